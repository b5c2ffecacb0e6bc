"""Who is alive: supervisors and workers by the locks that they hold, and what was asked of them.

A lock is the kernel's word, not a clock's: it falls when its holder dies, however that happens.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time

from queuectl_lib import times
from queuectl_lib.errors import BadInput, HostError, NoDatabase, QueueError
from queuectl_lib.host import files, locks
from queuectl_lib.jobs import ids
from queuectl_lib.store import looking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.folder import Folder
    from queuectl_lib.values import Fields

REQUESTS = ("stop", "leave", "now")  # files that ask a supervisor and its workers to end: a later one outdoes
MISSING_SECONDS = 3.0  # a life file that was deleted is back before this
LETTING_GO_SECONDS = 2.0  # a supervisor whose home was renamed has ended before this
HEARING_SECONDS = 10.0  # within which a supervisor hears what it is asked
STARTING_SECONDS = 3.0  # a supervisor without a worker has this long to start one


class Presence:
    """Proof that one supervisor or worker lives: its life file, locked until it dies.

    The descriptor is not inheritable, so a job can never keep a dead worker alive.
    """

    def __init__(self, folder: Folder, name: str, details: Fields) -> None:
        self.path = folder.life_path(name)
        self.details = dict(details, name=name)
        self.fd = locks.hold_file(self.path)
        self.file = os.fstat(self.fd)
        try:
            self._write()
        except OSError as error:  # of which a disk that is full names no file
            self.end()
            raise OSError(error.errno, error.strerror, self.path) from None

    def _write(self) -> None:
        text = json.dumps(self.details).encode("ascii")
        os.lseek(self.fd, 0, os.SEEK_SET)
        if os.write(self.fd, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        os.ftruncate(self.fd, len(text))

    def tell(self, key: str, text: str) -> None:
        """Let whoever looks know something of us; "" takes it back."""
        if self.details.get(key, "") != text:
            self.details[key] = text
            with contextlib.suppress(OSError):
                self._write()

    def is_shown(self) -> bool:
        """True while our life file is at its path, or where that cannot be told."""
        if not locks.CAN_VANISH:
            return True
        try:
            return os.path.samestat(os.stat(self.path), self.file)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    def has_a_name(self) -> bool:
        """True while our life file has not been deleted, wherever it is now."""
        return os.fstat(self.fd).st_nlink > 0

    def show_again(self) -> None:
        """Make the life file anew. It is locked when it appears, so nobody takes us for dead. Raises OSError."""
        partial = self.path[: -len(".life")] + ".anew"
        old, self.fd = self.fd, locks.hold_file(partial)
        try:
            self._write()
            os.rename(partial, self.path)
        except OSError:
            os.close(self.fd)
            self.fd = old
            raise
        self.file = os.fstat(self.fd)
        os.close(old)

    def end(self, stays: bool = False) -> None:
        """Give the lock up and take the file away, where it does not stay as that of one that is dead."""
        if stays or not self.is_shown():
            os.close(self.fd)
        else:
            locks.remove_held_file(self.path, self.fd)


class Sightings:
    """Who lives, to one who looks again and again.

    A life file that is not there proves nothing at once: the dead leave theirs, unlocked, and who lives makes
    it anew when it was deleted. Only one that stays away for MISSING_SECONDS has nobody any more.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.missed: Dict[str, float] = {}  # since when, on the monotonic clock

    def is_alive(self, name: str) -> bool:
        """True while the supervisor or worker *name* lives, or where that cannot be told."""
        held = locks.is_held(self.folder.life_path(name), missing=None)
        if held is not None:
            self.missed.pop(name, None)
            return held
        if is_alive(self.folder, name):  # there again, or out of sight
            return True
        now = time.monotonic()
        return now - self.missed.setdefault(name, now) < MISSING_SECONDS


def member_details(kind: str, supervisor: str, limited: bool) -> Fields:
    """What `worker list` shows of this process; *limited* where its time is (--max-time)."""
    import socket  # which only those who are listed need

    return {
        "kind": kind,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": times.utc_text(time.time()),
        "supervisor": supervisor,
        "limited": limited,
    }


def is_alive(folder: Folder, name: str) -> bool:
    """True while the supervisor or worker *name* lives, or where that cannot be told."""
    return locks.is_held(folder.life_path(name)) is not False


def has_begun(folder: Folder, name: str) -> bool:
    """True once the worker *name* has written its life file, which none that fails at it leaves behind."""
    try:
        return os.stat(folder.life_path(name)).st_size > 0
    except OSError:
        return False


def members(folder: Folder) -> List[Fields]:
    """The supervisors and workers that live: kind, name, pid, host, since, supervisor."""
    found = []
    for name in life_names(folder):
        if is_alive(folder, name):
            found.append(details_of(folder, name))
    return sorted(found, key=lambda member: (str(member["since"]), str(member["name"])))


def life_names(folder: Folder) -> List[str]:
    try:
        return [entry[:-5] for entry in os.listdir(folder.workers) if entry.endswith(".life")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HostError("cannot read %s: %s" % (folder.workers, error.strerror)) from None


def details_of(folder: Folder, name: str) -> Fields:
    details = {"kind": "starting", "name": name, "pid": 0, "host": "", "since": "", "supervisor": "", "limited": False}
    try:
        with open(folder.life_path(name), "rb") as file:
            details.update(json.loads(file.read(4096).decode("ascii")))
    except (OSError, ValueError):
        pass  # it has just begun, or has just gone
    return details


def members_of(folder: Folder, supervisors: Sequence[str]) -> List[Fields]:
    """Those of the members that are one of these supervisors or a worker of one."""
    return [member for member in members(folder) if (member["supervisor"] or member["name"]) in supervisors]


def members_and_jobs(database: Database) -> List[Fields]:
    """The members, and the id of the job that each runs (or None) as "job"."""
    alive = members(database.folder)
    jobs: Dict[str, str] = {}
    with contextlib.suppress(NoDatabase):
        jobs = {job["worker"]: job["id"] for job in looking.processing(database)} if alive else {}
    return [dict(member, job=jobs.get(member["name"])) for member in alive]


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


def is_served(folder: Folder) -> bool:
    """True while a supervisor lives that nobody has asked to stop.

    Those that began at another path get a moment to let go of it, for the home may have been renamed just now;
    where they do not, they see it there (in a container, say).
    """
    deadline = time.monotonic() + LETTING_GO_SECONDS
    while True:
        found = [member for member in members(folder) if member["kind"] == "supervisor"]
        serving = [member for member in found if not is_asked_to_stop(folder, str(member["name"]))]
        from_elsewhere = all(is_of_another_path(folder, member) for member in serving)
        if not serving or not from_elsewhere or time.monotonic() > deadline:
            return bool(serving)
        time.sleep(0.05)


def is_of_another_path(folder: Folder, member: Fields) -> bool:
    """True where *member*, of this host, knows this folder by another path than we do."""
    if member.get("folder", folder.path) == folder.path:
        return False
    import socket  # needed only then

    return bool(member["host"] == socket.gethostname())


def is_asked_to_stop(folder: Folder, supervisor: str) -> bool:
    return any(os.path.exists(folder.request_path(supervisor, request)) for request in REQUESTS)


def remove_requests(folder: Folder, supervisor: str) -> None:
    """What was asked of a supervisor that is gone or leaves."""
    for request in REQUESTS + ("ready",):
        with contextlib.suppress(OSError):
            files.remove(folder.request_path(supervisor, request))


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
    try:
        return looking.running_token(database, ids.check_id(identifier)) == token
    except (NoDatabase, BadInput):
        return False
    except HostError:
        return True  # it cannot be told now: rather leave too early than wait for oneself
    except QueueError:
        return False


def counts_of_others(database: Database) -> Dict[str, int]:
    """How many jobs are in each state, less the one that asks."""
    counts = looking.counts(database)
    if counts["processing"] and is_asked_by_its_job(database):
        counts["processing"] -= 1
    return counts
