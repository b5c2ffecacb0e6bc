"""Which kind of attempt a claim becomes: one that runs here, or one that a launcher starts elsewhere."""

from __future__ import annotations

from queuectl_lib.run.attempt import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Union

    from queuectl_lib.jobs.attempts import Claim
    from queuectl_lib.run.interruption import PastStop, Stop
    from queuectl_lib.run.options import CurrentSettings
    from storage import Queue


def attempt_of(
    queue: Queue, claim: Claim, current: CurrentSettings, say: Callable[[str], None], *stops: Union[Stop, PastStop]
) -> Attempt:
    """The attempt of *claim*; *current* has the settings of who holds it, *say* writes to the log."""
    if claim.launcher is None:
        return Attempt(queue, claim, *stops)
    from queuectl_lib.run import far_attempt  # which few homes need

    return far_attempt.FarAttempt(queue, claim, current, say, *stops)
