"""That one is alive: the life file of a supervisor or worker, and whether others are seen to hold theirs.

A lock is the kernel's word, not a clock's: it falls when its holder dies, however that happens.
"""

from __future__ import annotations

import errno
import json
import os
import time

from queuectl_lib import contexts, times
from queuectl_lib.host import files, locks, system
from queuectl_lib.store.folder import REQUESTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

    from queuectl_lib.store.folder import Folder
    from queuectl_lib.values import Fields

MOST_PATH = 2000  # bytes that PATH may take of a life file, of which readers take 4096
MISSING_SECONDS = 3.0  # a life file that was deleted is back before this


class Presence:
    """Proof that one supervisor or worker lives: its life file, locked until it dies.

    The descriptor is not inheritable, so a job can never keep a dead worker alive.
    """

    def __init__(self, folder: Folder, name: str, details: Fields) -> None:
        self.path = folder.life_path(name)
        self.details = dict(details, name=name)
        self.fd = locks.hold_file(self.path)
        self.file = os.fstat(self.fd)
        self.former: List[int] = []  # life files that have a name elsewhere: they may be put back, and are held still
        try:
            self._write()
        except OSError as error:  # of which a disk that is full names no file
            self.end()
            raise OSError(error.errno, error.strerror, self.path) from None

    def _write(self) -> None:
        text = json.dumps(dict(self.details, inode=os.fstat(self.fd).st_ino)).encode("ascii")
        os.lseek(self.fd, 0, os.SEEK_SET)
        if os.write(self.fd, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        os.ftruncate(self.fd, len(text))

    def tell(self, key: str, text: str) -> None:
        """Let whoever looks know something of us; "" takes it back."""
        if self.details.get(key, "") != text:
            self.details[key] = text
            with contexts.suppress(OSError):
                self._write()

    def is_shown(self, least_bytes: int = 1) -> bool:
        """True while our life file is at its path, and not emptied, or where that cannot be told."""
        if not locks.CAN_VANISH:
            return True
        try:
            info = os.stat(self.path)
            return os.path.samestat(info, self.file) and info.st_size >= least_bytes
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
        if os.fstat(old).st_nlink:
            self.former.append(old)
        else:
            os.close(old)

    def end(self, stays: bool = False) -> None:
        """Give the lock up and take the file away, where it does not stay as that of one that is dead."""
        for fd in self.former:
            os.close(fd)
        if stays or not self.is_shown(0):
            os.close(self.fd)
        else:
            locks.remove_held_file(self.path, self.fd)


class Sightings:
    """Who lives, to one who looks again and again.

    A life file that is not there proves nothing at once: the dead leave theirs, unlocked, and who lives makes
    it anew when it was deleted. Only one that stays away for MISSING_SECONDS has nobody any more. The copy of one,
    which nobody can hold, is none: the folder was deleted and put back.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.missed: Dict[str, float] = {}  # since when, on the monotonic clock

    def is_alive(self, name: str) -> bool:
        """True while the supervisor or worker *name* lives, or where that cannot be told."""
        held = locks.is_held(self.folder.life_path(name), missing=None)
        if held or held is False and not is_copied(self.folder, name):
            self.missed.pop(name, None)
            return held
        if self.folder.is_alive(name):  # there again, or out of sight
            return True
        now = time.monotonic()
        return now - self.missed.setdefault(name, now) < MISSING_SECONDS


def is_copied(folder: Folder, name: str) -> bool:
    """True where the life file of *name* is not the one that its owner made; False where that cannot be told."""
    inode = folder.details_of(name).get("inode")
    try:
        return inode not in (None, os.stat(folder.life_path(name)).st_ino)
    except OSError:
        return False


def member_details(kind: str, supervisor: str, asked: Fields, slots: int = 0) -> Fields:
    """What `worker list` shows of this process, what it was *asked* for included; *slots* of a worker."""
    details: Fields = {
        "kind": kind,
        "pid": os.getpid(),
        "host": system.hostname(),
        "since": times.utc_text(time.time()),
        "supervisor": supervisor,
        "slots": slots,
    }
    path = os.environ.get("PATH", "")
    if kind == "supervisor" and len(json.dumps(path)) <= MOST_PATH:
        details["path"] = path  # on which its jobs look for programs (reports/failures)
    return dict(details, **asked)


def has_begun(folder: Folder, name: str) -> bool:
    """True once the worker *name* has written its life file, which none that fails at it leaves behind."""
    try:
        return os.stat(folder.life_path(name)).st_size > 0
    except OSError:
        return False


def remove_requests(folder: Folder, supervisor: str) -> None:
    """What was asked of a supervisor that is gone or leaves."""
    for request in REQUESTS + ("ready",):
        with contexts.suppress(OSError):
            files.remove(folder.request_path(supervisor, request))
