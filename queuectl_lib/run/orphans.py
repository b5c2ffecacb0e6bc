"""The jobs of dead workers: what became of each is decided by evidence, in this order.

no run file or no "pid" line, and the lock free   it never started: given back
"exit N" in the run file                          it finished unseen: recorded (one that was
                                                  being ended, as what it was ended for)
the run file is locked                            it still runs: adopted by an idle worker
otherwise                                         it died: a lost attempt
"""

from __future__ import annotations

from queuectl_lib.host import tree
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.store import looking, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Sequence, Set

    from queuectl_lib.settings import Settings
    from queuectl_lib.values import Fields
    from storage import Queue


class Orphans:
    """What one worker knows of the jobs of others."""

    def __init__(self, queue: Queue, say: Callable[[str], None]) -> None:
        self.queue = queue
        self.say = say
        self.puzzles: Set[str] = set()  # tokens of those whose files cannot be read

    def among(self, jobs: Sequence[Fields]) -> List[Fields]:
        """Those of *jobs*, which are under way, whose worker is dead."""
        alive: Dict[str, bool] = {}
        for worker in {job["worker"] for job in jobs}:
            alive[worker] = roster.is_alive(self.queue.folder, worker) or tree.job_object_lives(worker)
        return [job for job in jobs if not alive[job["worker"]]]

    def taken_up(self, job: Fields, settings: Settings) -> Optional[Attempt]:
        """The attempt of an orphan, to be polled; None where it is no longer under way."""
        found = looking.running_attempt(self.queue.database, job["seq"], job["token"])
        if not found:
            return None
        claim, started = found
        attempt = Attempt(self.queue, claim)
        attempt.adopt(started, settings)
        return attempt

    def puzzle(self, job: Fields, error: Exception) -> None:
        """What became of *job* cannot be read or judged now: no evidence, no verdict. Said once."""
        if job["token"] not in self.puzzles:
            text = str(error) if isinstance(error, OSError) else repr(error)
            self.say("job %s: what became of it cannot be read (%s); trying again" % (job["id"], text))
        self.puzzles.add(job["token"])
