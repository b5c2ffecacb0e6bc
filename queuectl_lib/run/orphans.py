"""The jobs of dead workers: what became of each is decided by evidence, in this order.

no run file or no "pid" line, and the lock free   it never started: given back
"exit N" in the run file                          it finished unseen: recorded (one that was
                                                  being ended, as what it was ended for)
the run file is locked                            it still runs: adopted by an idle worker
otherwise                                         it died: a lost attempt
"""

from __future__ import annotations

import time

from queuectl_lib.errors import QueueError
from queuectl_lib.host import bell, failpoints, tree
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.store import looking, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Sequence, Set

    from queuectl_lib.jobs.attempts import Outcome
    from queuectl_lib.run.options import CurrentSettings
    from queuectl_lib.values import Fields
    from storage import Queue


class Orphans:
    """What the worker *name* knows of the jobs of others, and does about them."""

    def __init__(
        self,
        queue: Queue,
        name: str,
        current: CurrentSettings,
        say: Callable[[str], None],
        report: Callable[[Outcome, bool], None],
    ) -> None:
        self.queue = queue
        self.name = name
        self.current = current
        self.say = say
        self.report = report
        self.sightings = roster.Sightings(queue.folder)
        self.puzzles: Set[str] = set()  # tokens of those whose files cannot be read

    def look_after(self, jobs: Sequence[Fields], running: List[Attempt], is_free: bool) -> None:
        """Decide what became of those of *jobs* (under way, none that we know to be ours) whose worker is dead.

        What has to be ended is adopted into *running*; so is, while that is empty and our worker *is_free*,
        one that goes on. Raises QueueError.
        """
        for job in self.among(jobs):
            try:
                self.decide(job, running, is_free)
            except QueueError:
                raise
            except Exception as error:  # one that cannot be judged keeps no other job from running
                self.puzzle(job, error)

    def among(self, jobs: Sequence[Fields]) -> List[Fields]:
        """Those of *jobs*, which are under way, whose worker is dead."""
        alive: Dict[str, bool] = {}
        for worker in {job["worker"] for job in jobs}:
            lives = self.sightings.is_alive(worker) or tree.job_object_lives(worker)
            alive[worker] = lives and worker != self.name  # a claim of ours that we do not know of: memory was short
        return [job for job in jobs if not alive[job["worker"]]]

    def decide(self, job: Fields, running: List[Attempt], is_free: bool) -> None:
        """Find out by evidence what became of an orphan: settle it, or adopt it if it runs."""
        self.current.refresh()
        orphan = self.taken_up(job)
        if orphan is None:
            return
        outcome = orphan.poll()
        if outcome:
            self.settle(outcome)
            return
        must_end = job["cancel_requested"] or orphan.overdue() or orphan.ending
        if must_end or (is_free and not running):
            self.adopt(orphan, job["worker"], running)

    def taken_up(self, job: Fields) -> Optional[Attempt]:
        """The attempt of an orphan, to be polled; None where it is no longer under way."""
        found = looking.running_attempt(self.queue.database, job["seq"], job["token"])
        if not found:
            return None
        claim, started = found
        attempt = Attempt(self.queue, claim)
        attempt.adopt(started, self.current.settings)
        return attempt

    def adopt(self, orphan: Attempt, dead: str, running: List[Attempt]) -> None:
        """Take over an attempt from the worker *dead*, unless another was first."""
        if self.queue.adopt(orphan.claim, dead, self.name, time.time()):
            failpoints.failpoint("adopt.committed")
            running.append(orphan)
            of = "%s, which died while it ran" % dead if dead != self.name else "oneself, for want of memory"
            self.say("job %s adopted from %s" % (orphan.claim.id, of))

    def settle(self, outcome: Outcome) -> None:
        """Record what became of an orphan, unless another was first."""
        refused, _, _ = self.queue.exchange(self.name, [outcome], 0, time.time(), self.current.settings)
        if not refused:
            self.report(outcome, False)
            bell.ring(self.queue.folder.bell)

    def puzzle(self, job: Fields, error: Exception) -> None:
        """What became of *job* cannot be read or judged now: no evidence, no verdict. Said once."""
        if job["token"] not in self.puzzles:
            text = str(error) if isinstance(error, OSError) else repr(error)
            self.say("job %s: what became of it cannot be read (%s); trying again" % (job["id"], text))
        self.puzzles.add(job["token"])
