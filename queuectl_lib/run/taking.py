"""Which kind of attempt a claim becomes: one that runs here, or one that a launcher starts elsewhere."""

from __future__ import annotations

from queuectl_lib.run.attempt import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol, Union

    from queuectl_lib.jobs.attempts import Claim
    from queuectl_lib.run.interruption import PastStop, Stop
    from queuectl_lib.run.options import CurrentSettings
    from storage import Queue

    class Holder(Protocol):
        """Who holds a claim, or may: of what queue, with which settings at any time, and what it writes to the log."""

        queue: Queue
        current: CurrentSettings

        def say(self, text: str, /) -> None:
            """Write a line."""


def attempt_of(holder: Holder, claim: Claim, *stops: Union[Stop, PastStop]) -> Attempt:
    """The attempt of *claim*, which any of *stops* may have interrupted."""
    if claim.launcher is None:
        return Attempt(holder.queue, claim, *stops)
    from queuectl_lib.run import far_attempt  # which few homes need

    return far_attempt.FarAttempt(holder.queue, claim, holder.current, holder.say, *stops)
