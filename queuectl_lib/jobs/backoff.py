"""How long a retry waits where a job or a setting says more than the base of an exponential backoff. Pure.

    delay = min(what the backoff says, the cap)        due = the end + delay * (1 + jitter * u)

u, from 0 to 1, is made of the job's id and the number of its attempt: two jobs that failed together come apart, and
whoever asks is told the same as the worker has reckoned. A row that somebody changed by hand goes by the settings.
"""

from __future__ import annotations

from queuectl_lib import errors, times, values
from queuectl_lib.jobs import retry_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from queuectl_lib.settings import Settings


def delay(identifier: str, number: int, rules: Mapping[str, Any], settings: Settings) -> float:
    """Seconds until the job is due after its attempt *number* (from 1) failed, by its *rules*, else by *settings*."""
    written = usable(rules, "backoff", retry_rules.check_backoff, settings.backoff)
    cap = usable(rules, "backoff_cap", times.parse_duration, settings.backoff_cap)
    jitter = usable(rules, "jitter", check_jitter, settings.jitter)
    seconds = min(retry_rules.delays(written, settings.backoff_base)(max(1, number)), float(cap))
    return float(seconds * (1 + jitter * share(identifier, number)) if jitter else seconds)


def usable(rules: Mapping[str, Any], key: str, check: Callable[[object, str], Any], otherwise: Any) -> Any:
    """What the job has for the rule *key*; *otherwise* where it has none, or what cannot be meant."""
    value = rules.get(key)
    if value is None:
        return otherwise
    try:
        return check(value, key)
    except errors.BadInput:
        return otherwise


def check_jitter(value: object, key: str) -> float:
    return values.check_number(value, key, 0, 1)


def share(identifier: str, number: int) -> float:
    """A number from 0 to 1 (exclusive) that a job and an attempt always have, and others have not."""
    import hashlib  # which loads much, for the few who want jitter

    text = "%s %d" % (identifier, number)
    first = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]
    return int.from_bytes(first, "big") / 2.0**64
