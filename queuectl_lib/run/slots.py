"""The jobs that one worker runs at once: when there is room for one more, and what is waited for meanwhile.

    what runs                                     a further job
    nothing                                       is started at once, and more are claimed ahead while jobs are short
    one is young: it began less than              waits for it: one short job after the other costs least, and the
    QUICK_SECONDS ago, and jobs were short        young one may be over before another could begin
    of late
    otherwise, while a slot is free               is started as soon as one is due: the end of a job, the bell and
                                                  the next due time are waited for together
    all slots are taken                           is left to others

So short jobs keep the path that they have in a worker with one slot, and none waits behind a long one. What was
adopted is long.
"""

from __future__ import annotations

import os
import time

from queuectl_lib.errors import QueueError
from queuectl_lib.host import sight, waking
from queuectl_lib.jobs import attempts, states
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.run import concluding, launching, pace, run_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional, Set, Union

    from queuectl_lib.host.spawn import ChildProcess
    from queuectl_lib.host.waking import Bell, WakeUp
    from queuectl_lib.run.attempt import Attempt
    from queuectl_lib.run.interruption import Stop
    from queuectl_lib.run.spare_files import SpareFiles
    from queuectl_lib.settings import Settings


class Slots:
    """What one worker runs: at most *most* jobs that it has started, and any number that it ends for others."""

    def __init__(self, most: int, pace_of_late: pace.Pace) -> None:
        self.most = most
        self.pace = pace_of_late
        self.running: List[Attempt] = []
        self.left: Set[int] = set()  # seq of those that were let go because nothing is known of them

    def young(self) -> Optional[Attempt]:
        """The one of our own that may be short yet."""
        began = time.monotonic() - pace.QUICK_SECONDS
        for one in self.busy():
            if one.began > began and not one.adopted:
                return one
        return None

    def busy(self) -> List[Attempt]:
        """Those that need a slot."""
        return [one for one in self.running if not one.rests()]

    def free(self) -> int:
        """How many more may run beside those that do."""
        return max(0, self.most - len(self.busy()))

    def have_room(self) -> bool:
        """True where one more may be started now."""
        busy = len(self.busy())
        return not busy or (busy < self.most and (self.pace.is_long() or not self.young()))

    def start(self, attempt: Attempt, settings: Settings, spare: SpareFiles) -> Optional[Outcome]:
        """Start one more; what is to be recorded of one that cannot be started."""
        claim = attempt.claim
        try:
            attempt.start(settings, spare)
        except launching.CannotStart as error:
            joins = claim.is_to_join()  # what it cannot join now may run on: to the next attempt as to this one
            kind = states.SNOOZED if joins or isinstance(error, launching.NotNow) else states.FAILED
            refused = Outcome(claim, kind, time.time(), str(error))
            refused.joins = joins
        except (OSError, QueueError) as error:  # no memory, no processes, no disk: not the job's fault
            refused = attempts.unstarted(claim, str(getattr(error, "strerror", None) or error))
        else:
            self.running.append(attempt)
            return None
        attempt.discard()
        return refused

    def looking(self) -> Union[sight.Together, sight.Alone]:
        """What is entered while all are looked at: those that are being ended share what is seen of their processes.

        The ends that can be known by then are noted before, so that one look serves all.
        """
        if not [one for one in self.running if one.ending]:
            return sight.ALONE
        for one in self.running:
            one.leader_ended()
        return sight.TOGETHER

    def with_news(self) -> List[Attempt]:
        """Those that may have ended, or are to be ended: while no child has, not our own that go on."""
        if len(self.running) > 1 and not waking.has_ended(self.children()):
            return [one for one in self.running if one.lingers() or one.ending or one.overdue()]
        return self.running[:]

    def children(self) -> List[ChildProcess]:
        """Those whose end tells of a change."""
        return [one.child for one in self.running if one.child is not None and not one.lingers()]

    def end_all(self, kind: str, error: str) -> None:
        """Begin to end all that run."""
        with sight.TOGETHER:
            for one in self.running:
                one.end(kind, error)

    def leave(self, attempt: Attempt, say: Callable[[str], None]) -> None:
        """Let go of one that goes on."""
        say("job %s left running" % attempt.claim.id)
        attempt.forget()
        self.running.remove(attempt)

    def heed(self, stop: Stop, say: Callable[[str], None]) -> None:
        """Its worker stops, and waits for none of which nothing is known: who comes next asks on."""
        stop.heed()
        for one in [attempt for attempt in self.running if attempt.rests()]:
            self.left.add(one.claim.seq)
            self.leave(one, say)

    def keep_notes(self) -> None:
        """Leave the notes of what runs anew where they were swept away; give what has asked for it more time."""
        for one in self.running:
            if one.deadline is not None:
                concluding.extends(one)
            if one.child is not None and one.code is None and not os.path.exists(one.run_path):
                run_file.leave_anew(one.run_path, one.claim.token, one.began, one.child.pid)

    def wait(self, seconds: float, wake: WakeUp, bell: Optional[Bell] = None) -> bool:
        """Wait until a command's own process ends or the *bell* rings (True), a signal, a deadline, or *seconds*."""
        for one in self.running:
            if one.deadline is not None and not one.ending:
                seconds = min(seconds, max(0.001, one.deadline - time.monotonic()))
        return wake.wait_for(self.children(), seconds, pace.QUICK_SECONDS, bell)

    def tick(self) -> float:
        """How long to rest at the most before all are looked at."""
        if any(one.is_watched_closely() for one in self.running):
            return pace.ADOPTED_TICK_SECONDS
        return pace.CALM_TICK_SECONDS if all(one.output.is_calm() for one in self.running) else pace.TICK_SECONDS
