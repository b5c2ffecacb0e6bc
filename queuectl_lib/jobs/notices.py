"""What a hook is told of: the words for it, the settings and the rule of a job that name them. Pure."""

from __future__ import annotations

import json

from queuectl_lib import errors, values
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Optional, Sequence

# The most serious first: QUEUECTL_EVENT is the first one of a batch.
WORDS = ("dead", "stuck", "failed", "running_long", "cancelled", "snoozed", "completed", "idle")
OF_JOBS = tuple(word for word in WORDS if word not in ("stuck", "idle"))
LONGEST = 8192  # bytes of a hook, all its words together


def check_words(value: object, key: str, known: Sequence[str] = WORDS) -> List[str]:
    """A list of words, each once, in the order of WORDS. Raises BadInput."""
    if not isinstance(value, list):
        raise BadInput("%s: a list of %s is expected" % (key, ", ".join(known)))
    for word in value:
        if word not in known:
            named = word if isinstance(word, str) else json.dumps(word)
            raise BadInput("%s: %s is none of %s" % (key, errors.shown(named), ", ".join(known)))
    return [word for word in known if word in value]


def words_of(text: str, key: str) -> List[str]:
    """What a command line says: words with commas between them, or none. Raises BadInput where check_words does."""
    words = [word.strip().lower().replace("-", "_") for word in text.split(",")]
    return [] if words in ([""], ["none"]) else words


def check_rule(value: object, key: str) -> Optional[List[str]]:
    """What a job is to be told of beyond the setting; None for nothing. Raises BadInput."""
    return check_words(value, key, OF_JOBS) or None


def check_hook(value: object, key: str) -> Any:
    """The program to be told: a text for a shell, or a list of words; None for none. Raises BadInput."""
    if value is None:
        return None
    words = value if isinstance(value, list) else [value]
    checked = [values.check_text(word, key) for word in words]
    if not checked or not checked[0].strip():
        raise BadInput("%s is empty: `config unset %s` takes it back" % (key, key))
    if sum(len(word.encode("utf-8")) for word in checked) > LONGEST:
        raise BadInput("%s is longer than %d bytes: put it into a script, and name that" % (key, LONGEST))
    return checked if isinstance(value, list) else checked[0]


CHECKS = {"hook": check_hook, "hook_on": check_words}  # of the settings


def hook_of(text: str, key: str) -> object:
    """What a command line says: a text, a JSON list of words where it begins with [, or none. Raises BadInput."""
    if text.lower() in ("none", "null", ""):
        return None
    if not text.startswith("["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput('%s: not a JSON list of words such as ["mail.sh", "me"]: %s' % (key, error)) from None


def word_of(outcome: object, state: object) -> str:
    """What the end of an attempt is told as, by its outcome and the state that it has brought its job into.

    "" for one that was given back, which is no news of the job.
    """
    if state in ("dead", "cancelled", "completed"):
        return str(state)
    if outcome == states.SNOOZED:
        return "snoozed"
    return "failed" if states.ENDINGS.get(str(outcome)) == "fail" else ""


def rule_of(policy: object) -> List[str]:
    """What a job asks to be told of, by its policy as it is stored; nothing where that is damaged."""
    if not isinstance(policy, str) or '"notify"' not in policy:
        return []
    try:
        found = json.loads(policy)
    except (ValueError, RecursionError):
        return []
    words = found.get("notify") if isinstance(found, dict) else None
    return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []


def most_serious(words: Iterable[str]) -> str:
    """The first of them in the order of WORDS; "" of none."""
    found = set(words)
    return next((word for word in WORDS if word in found), "")
