"""What comes after an attempt: which state, and after which delay. Pure: nothing is asked and nothing is written."""

from __future__ import annotations

from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Tuple

    from queuectl_lib.jobs.attempts import Claim
    from queuectl_lib.settings import Settings

# The state that each verb leads to, a failure without retries left.
ENTERED = {"complete": "completed", "fail": "dead", "cancel": "cancelled", "release": "pending"}


def after(kind: str, claim: Claim, settings: Settings) -> Tuple[str, float]:
    """The state that the job of *claim* enters when that ended as *kind*, and seconds until it is due.

    The delay is 0 for every state but failed.
    """
    verb = states.ENDINGS[kind]
    if verb == "fail" and claim.attempts <= claim.max_retries:
        return "failed", backoff_delay(settings.backoff_base, claim.attempts, settings.backoff_cap)
    return ENTERED[verb], 0.0


def backoff_delay(base: float, attempt: int, cap: float) -> float:
    """Seconds to wait after attempt number *attempt* (from 1) failed: min(base ** attempt, cap).

    >>> [backoff_delay(2, n, 3600) for n in (1, 2, 3, 12, 5000)]
    [2.0, 4.0, 8.0, 3600.0, 3600.0]
    """
    try:
        return min(float(base) ** attempt, float(cap))
    except OverflowError:
        return float(cap)
