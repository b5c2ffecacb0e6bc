"""What comes after an attempt: which state, and after which delay. Pure: nothing is asked and nothing is written."""

from __future__ import annotations

from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

    from queuectl_lib.jobs.attempts import Claim
    from queuectl_lib.settings import Settings

SHORTEST_SNOOZE = 1.0  # seconds

# The state that each verb leads to, a failure without retries left.
ENTERED = {"complete": "completed", "fail": "dead", "cancel": "cancelled", "release": "pending"}


def after(
    kind: str, claim: Claim, settings: Settings, is_last: bool = False, asked: Optional[float] = None
) -> Tuple[str, float]:
    """The state that the job of *claim* enters when that ended as *kind*, and seconds until it is due.

    *is_last*: no retry is wanted. *asked*: so long it is to snooze. The delay is 0 for every state but failed, and
    pending of what snoozes.
    """
    verb = states.ENDINGS[kind]
    if verb == "fail" and claim.attempts <= claim.max_retries and not is_last:
        return "failed", delay_after(claim, claim.attempts, settings)
    if kind == states.SNOOZED:
        asked = delay_after(claim, claim.snoozes + 1, settings) if asked is None else asked
        return "pending", max(SHORTEST_SNOOZE, asked)
    return ENTERED[verb], 0.0


def delay_after(claim: Claim, number: int, settings: Settings) -> float:
    """Seconds to wait after attempt *number* (from 1) of that job, or after it has asked so often to run later."""
    if claim.policy or settings.jitter or settings.backoff != "exponential":
        from queuectl_lib.jobs import backoff  # which few homes need

        return backoff.delay(claim.id, number, claim.policy, settings)
    return backoff_delay(settings.backoff_base, number, settings.backoff_cap)


def backoff_delay(base: float, attempt: int, cap: float) -> float:
    """Seconds to wait after attempt number *attempt* (from 1) failed: min(base ** attempt, cap).

    >>> [backoff_delay(2, n, 3600) for n in (1, 2, 3, 12, 5000)]
    [2.0, 4.0, 8.0, 3600.0, 3600.0]
    """
    try:
        return min(float(base) ** attempt, float(cap))
    except OverflowError:
        return float(cap)
