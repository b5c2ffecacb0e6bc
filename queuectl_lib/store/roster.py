"""Who is alive, to a call that wants to know: supervisors and workers, and what is asked of them."""

from __future__ import annotations

import os
import time

from queuectl_lib import contexts
from queuectl_lib.errors import BadInput, HostError, NoDatabase, QueueError
from queuectl_lib.host import files, locks, system
from queuectl_lib.store import looking
from queuectl_lib.store.folder import REQUESTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.folder import Folder
    from queuectl_lib.values import Fields

LETTING_GO_SECONDS = 2.0  # a supervisor whose home was renamed has ended before this
HEARING_SECONDS = 10.0  # within which a supervisor hears what it is asked
STARTING_SECONDS = 3.0  # a supervisor without a worker has this long to start one


def members(folder: Folder) -> List[Fields]:
    """The supervisors and workers that live: kind, name, pid, host, since, supervisor."""
    found = []
    for name in life_names(folder):
        if folder.is_alive(name):
            details = folder.details_of(name)
            for key in ("inode", "path"):  # which tell nobody anything, but store/presence and reports/failures
                details.pop(key, None)
            found.append(details)
    return sorted(found, key=lambda member: (str(member["since"]), str(member["name"])))


def life_names(folder: Folder) -> List[str]:
    try:
        return [entry[:-5] for entry in os.listdir(folder.workers) if entry.endswith(".life")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HostError("cannot read %s: %s" % (folder.workers, error.strerror)) from None


def members_of(folder: Folder, supervisors: Sequence[str]) -> List[Fields]:
    """Those of the members that are one of these supervisors or a worker of one."""
    return [member for member in members(folder) if (member["supervisor"] or member["name"]) in supervisors]


def pids_here(members: Sequence[Fields]) -> List[int]:
    """The pids of those of *members* that live on this host, 0 where one has not said his."""
    here = system.hostname()
    return [int(member["pid"]) for member in members if member["host"] == here]


def members_and_jobs(database: Database) -> List[Fields]:
    """The members, and the ids of the jobs that each holds as "jobs", of which the first (or None) is "job"."""
    alive = members(database.folder)
    held: Dict[object, List[str]] = {}
    with contexts.suppress(NoDatabase):
        for job in looking.processing(database) if alive else ():
            held.setdefault(job["worker"], []).append(job["id"])
    found = [(member, held.get(member["name"], [])) for member in alive]
    return [dict(member, job=jobs[0] if jobs else None, jobs=jobs) for member, jobs in found]


def ask_to_stop(folder: Folder, supervisors: Sequence[str], request: str) -> None:
    """Leave each of these supervisors a *request* ("stop", "now" or "leave"), which its workers heed, too."""
    with files.refusals_told(folder.workers):
        for name in supervisors:
            folder.put_request(name, request)


def has_heard(member: Fields) -> bool:
    """True for one who says that he knows of a stop, or is of an older version, which does not say."""
    return bool(member.get("asked")) or "folder" not in member


def patience_with(left: Sequence[Fields]) -> float:
    """How long, in seconds, those who are *left* after a stop may stay as they are.

    For ever while a worker that has heard of it finishes a job. One that has not may wait for a locked
    database; a supervisor looks at requests twice a second.
    """
    workers = [has_heard(member) for member in left if member["kind"] == "worker"]
    if True in workers:
        return float("inf")
    return HEARING_SECONDS + (locks.BUSY_SECONDS if workers else 0)


def has_worker(folder: Folder) -> bool:
    """True while any worker lives that can heed a request."""
    return any(member["kind"] == "worker" for member in members(folder))


def has_worker_soon(folder: Folder) -> bool:
    """True where a worker lives; a supervisor gets a moment to replace the one it has lost."""
    deadline = time.monotonic() + STARTING_SECONDS
    while not has_worker(folder):
        if not members(folder) or time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_served(folder: Folder, wanted: Sequence[str] = ()) -> bool:
    """True while a supervisor lives that nobody has asked to stop, and that serves the queues *wanted* at least.

    Those that began at another path get a moment to let go of it, for the home may have been renamed just now;
    where they do not, they see it there (in a container, say).
    """
    deadline = time.monotonic() + LETTING_GO_SECONDS
    while True:
        found = [member for member in members(folder) if member["kind"] == "supervisor"]
        found = [member for member in found if serves_at_least(member.get("queues", ()), wanted)]
        serving = [member for member in found if not is_asked_to_stop(folder, str(member["name"]))]
        from_elsewhere = all(is_of_another_path(folder, member) for member in serving)
        if not serving or not from_elsewhere or time.monotonic() > deadline:
            return bool(serving)
        time.sleep(0.05)


def serves_at_least(served: Sequence[str], wanted: Sequence[str]) -> bool:
    """True where who serves the queues *served* (store/serving.is_served) serves all that are *wanted*."""
    if not served or not wanted:
        return not served
    if served[0].startswith("!"):
        left_out = {name[1:] for name in served}
        return left_out <= {name[1:] for name in wanted} if wanted[0].startswith("!") else not left_out & set(wanted)
    return set(wanted) <= set(served)


def is_of_another_path(folder: Folder, member: Fields) -> bool:
    """True where *member*, of this host, knows this folder by another path than we do."""
    return member.get("folder", folder.path) != folder.path and bool(pids_here([member]))


def is_asked_to_stop(folder: Folder, supervisor: str) -> bool:
    return any(folder.is_asked(supervisor, request) for request in REQUESTS)


def try_start_lock(folder: Folder, name: str = "start") -> Optional[int]:
    """The right to start a supervisor (or workers: "slots"): a descriptor to close, None where another holds it."""
    fd = files.open_private(os.path.join(folder.path, name), os.O_RDWR | os.O_CREAT)
    if locks.try_lock(fd):
        return fd
    os.close(fd)
    return None


def is_asked_by_its_job(database: Database) -> bool:
    """True when a job of this very queue calls, not what an attempt that has ended left running."""
    identifier, token = os.environ.get("QUEUECTL_JOB_ID"), os.environ.get("QUEUECTL_TOKEN")
    if not identifier or not token:
        return False
    from queuectl_lib.jobs import ids  # which most calls need not
    from queuectl_lib.store import finding

    try:
        return finding.running_token(database, ids.check_id(identifier)) == token
    except (NoDatabase, BadInput):
        return False
    except HostError:
        return True  # it cannot be told now: rather leave too early than wait for oneself
    except QueueError:
        return False


def calling_job(database: Database) -> Optional[int]:
    """The seq of the job that calls, None where none does."""
    if not is_asked_by_its_job(database):
        return None
    from queuectl_lib.store import finding

    with database.reading() as connection:
        return int(finding.head(connection, os.environ["QUEUECTL_JOB_ID"])["seq"])


def counts_of_others(database: Database) -> Dict[str, int]:
    """How many jobs are in each state, less the one that asks."""
    counts = looking.counts(database)
    if counts["processing"] and is_asked_by_its_job(database):
        counts["processing"] -= 1
    return counts
