"""What was asked of a supervisor, as evidence: when, and for as long as jobs of its workers are under way."""

from __future__ import annotations

import os

from queuectl_lib import contexts
from queuectl_lib.errors import HostError, NoDatabase
from queuectl_lib.store import looking, presence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.folder import Folder
    from queuectl_lib.values import Fields


def supervisor_of(worker: str) -> str:
    """The name of the supervisor that started *worker*."""
    return worker.rpartition("-")[0]


def told_to_stop(folder: Folder, supervisor: str) -> List[float]:
    """When a supervisor was asked to stop, and to do so now (seconds since 1970), as far as it was."""
    found = []
    for request in ("stop", "now"):
        with contexts.suppress(OSError):
            found.append(os.stat(folder.request_path(supervisor, request)).st_mtime)
    return found


def forget_requests(database: Database, supervisor: str) -> None:
    """Remove what was asked of a supervisor that is gone or leaves, unless jobs of its workers are under way.

    For these the requests tell whether they were interrupted. Whoever settles the last of them comes here again.
    """
    with contexts.suppress(HostError):
        jobs: List[Fields] = []
        with contexts.suppress(NoDatabase):
            jobs = looking.processing(database)
        if all(supervisor_of(job["worker"]) != supervisor for job in jobs):
            presence.remove_requests(database.folder, supervisor)
