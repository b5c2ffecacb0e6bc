"""The jobs of dead workers: what became of each is decided by evidence, and by who holds the claim.

    what there is                                what it means
    lives: its watcher is seen, or its lock is   it still runs: adopted by one with a free slot, or by any where it has
    held and nothing shows the watcher dead      to be ended (cancelled, overdue, in the middle of an ending)
    lives, and its watcher is gone               ended, and lost
    "exit N"                                     it finished unseen: recorded (one that was being ended, as what
                                                 it was ended for; one that was given back and exited 0, completed)
    no output files, which are made after the    it was not launched: given back, as if it had never been claimed
    run file and before the launch
    "start" and no "pid"                         its command did not begin: given back once; twice in a row, lost
    output files and no "start"                  somebody has changed its run file: lost; where the host was started
                                                 again since, its start had not reached the disk: given back
    otherwise                                    it died without a word: lost; given back where its supervisor
                                                 was told to stop (run/interruption)

A lock that is held is life, whatever else is seen, or not seen, from here: processes in another PID
namespace, or where there is no /proc, are waited for. Of a wish to end it that the run file tells,
what would cost no retry is believed only where it stands elsewhere too, for a job can write there:
"cancelled" where the job's row says so, "given back" where the supervisor was told to stop.

To look changes nothing. Whoever is to end an orphan, or to record it, first adopts it (in the
database, from the dead worker by name), so of two who look at the same one only one goes on.
"""

from __future__ import annotations

import time

from queuectl_lib.errors import QueueError
from queuectl_lib.host import failpoints, tree
from queuectl_lib.jobs import states
from queuectl_lib.run import taking
from queuectl_lib.run.interruption import PastStop
from queuectl_lib.store import claiming, opening, presence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Sequence, Set

    from queuectl_lib.run.attempt import Attempt
    from queuectl_lib.run.interruption import Stop
    from queuectl_lib.run.options import CurrentSettings
    from queuectl_lib.values import Fields
    from storage import Queue


class Orphans:
    """What the worker *name*, whose supervisor's *stop* is given, knows of the jobs of others, and does about them."""

    def __init__(
        self, queue: Queue, name: str, current: CurrentSettings, stop: Stop, say: Callable[[str], None]
    ) -> None:
        self.queue = queue
        self.name = name
        self.current = current
        self.stop = stop
        self.say = say
        self.sightings = presence.Sightings(queue.folder)
        self.free = 0  # slots, for those that go on
        self.puzzles: Set[str] = set()  # tokens of those whose files cannot be read

    def look_after(self, jobs: Sequence[Fields], held: Set[int], running: List[Attempt], free: int) -> None:
        """Find out what became of those of *jobs* (under way) whose worker is dead; *held*, by seq, are known as ours.

        What has ended or has to be ended is adopted into *running*; so are, where so many slots are *free*, those that
        go on. Raises QueueError.
        """
        self.free = free
        ours = ("", self.name)  # what has no worker any more may be ours all the same
        for job in self.among([job for job in jobs if job["worker"] not in ours or job["seq"] not in held]):
            try:
                self.decide(job, running)
            except opening.Refused as error:  # a trigger, say: the others are taken up
                self.puzzle(job, error)
            except QueueError:
                raise
            except Exception as error:  # one that cannot be judged keeps no other job from running
                self.puzzle(job, error)

    def among(self, jobs: Sequence[Fields]) -> List[Fields]:
        """Those of *jobs*, which are under way, whose worker is dead."""
        alive: Dict[str, bool] = {}
        for worker in {job["worker"] for job in jobs}:
            lives = worker != "" and (self.sightings.is_alive(worker) or tree.job_object_lives(worker))
            alive[worker] = lives and worker != self.name  # a claim of ours that we do not know of: memory was short
        return [job for job in jobs if not alive[job["worker"]]]

    def decide(self, job: Fields, running: List[Attempt]) -> None:
        """Adopt one orphan, if it has ended or has to be ended, or if there is time for it."""
        self.current.refresh()
        orphan = self.taken_up(job)
        if orphan is None:
            return
        has_ended = orphan.judge() is not None
        must_end = job["cancel_requested"] or orphan.must_be_ended()
        if not (has_ended or must_end or self.free > 0):
            return
        if not self.queue.adopt(orphan.claim, job["holder"], self.name, time.time()):
            return  # another worker was first
        failpoints.failpoint("adopt.committed")
        running.append(orphan)
        if not has_ended:
            self.free -= 1
            orphan.stops.append(self.stop)
            self.say("job %s adopted from %s" % (orphan.claim.id, self.former(job["worker"])))
            if job["cancel_requested"]:
                orphan.cancel()

    def former(self, worker: str) -> str:
        """The worker that held a job, and why it does no more, for people."""
        if worker == self.name:
            return "oneself, for want of memory"
        if not worker:
            return "a worker whose name cannot be read"
        let_go = self.queue.folder.details_of(worker).get("asked") == "leave"
        return "%s, which %s" % (worker, "left it running" if let_go else "died while it ran")

    def taken_up(self, job: Fields) -> Optional[Attempt]:
        """The attempt of an orphan, to be looked at; None where it is no longer under way."""
        found = claiming.running_attempt(self.queue.database, job["seq"], job["token"])
        if not found:
            return None
        claim, started = found
        stop = PastStop(self.queue.folder, job["worker"])
        attempt = taking.attempt_of(self, claim, stop)
        believed = [states.TIMED_OUT, states.LOST]
        believed += [states.CANCELLED] if job["cancel_requested"] else []
        believed += [states.GIVEN_BACK] if stop.is_told() else []
        attempt.adopt(started, self.current.settings, believed)
        return attempt

    def puzzle(self, job: Fields, error: Exception) -> None:
        """What became of *job* cannot be read, judged or taken up now: no evidence, no verdict. Said once."""
        if job["token"] not in self.puzzles:
            text = str(error) if isinstance(error, (OSError, QueueError)) else repr(error)
            what = "it cannot be adopted" if isinstance(error, QueueError) else "what became of it cannot be read"
            self.say("job %s: %s (%s); trying again" % (job["id"], what, text))
        self.puzzles.add(job["token"])
