"""Everything that an attempt started, with the same verbs on every system.

    hold(child)           the command has just been started
    resume(child)         let it run, where it was started suspended (Windows)
    members()             the pids that live now
    seems_alive()         a cheap sign that there are any
    description()         who they are, for people
    left()                the same of an attempt that is over
    others()              who else holds its lock, for people
    leader_lives(pid)     whether the watcher of an orphan lives, as far as that can be told
    signal(gently)        TERM, or KILL, to all of them
    end(seconds)          TERM, some grace, KILL; says who resisted
    let_go()              the attempt is over: what is left is left alone; tells what it has used

JOBS_OUTLIVE_WORKERS says whether a job goes on when its worker dies. Where it does not
(Windows), own_job_object holds a worker and all that it starts together.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

JOBS_OUTLIVE_WORKERS = sys.platform != "win32"

if sys.platform == "win32":
    from queuectl_lib.host.tree_windows import Tree as Tree
    from queuectl_lib.host.windows import job_object_lives as job_object_lives
    from queuectl_lib.host.windows import own_job_object as own_job_object
    from queuectl_lib.host.windows import spare_leftovers as spare_leftovers
else:
    from queuectl_lib.host.tree_posix import Tree as Tree

    def own_job_object(worker: str) -> Any:
        """Only Windows has these."""
        return None

    def spare_leftovers(job_object: Any) -> None:
        """Nothing holds what a worker's jobs left running."""

    def job_object_lives(worker: str) -> bool:
        """Whether processes of a dead worker must be waited for."""
        return False
