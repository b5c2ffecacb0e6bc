"""The note of the last try to tell the hook: the file `hook` in the queue's folder, replaced as a whole.

It needs no database, which may be what refuses. That it is there says that somebody listens, or did.
"""

from __future__ import annotations

import json
import os

from queuectl_lib import contexts
from queuectl_lib.host import files, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.store.folder import Folder
    from queuectl_lib.values import Fields

FIRST_SECONDS, LONGEST_SECONDS = 10.0, 3600.0  # between two tries while it fails; each pause is twice the last one
UNSEEN_SECONDS = 300.0  # longer than any run takes
UNSEEN = "nobody has seen how it ended"
MOST_BYTES = 16384


class Note:
    """What the last try was."""

    def __init__(self) -> None:
        self.began = 0.0  # seconds since 1970; 0: there was none
        self.failed_at = 0.0  # when the last one failed, the same
        self.events = 0  # that it was given
        self.tries = 0  # in a row that did not succeed, with the one that is under way
        self.since = 0.0  # when the first of these began
        self.why = ""  # the last that has ended failed; "" where none of these has ended
        self.token = ""  # which marks its processes
        self.pid = 0  # of its first process
        self.launched = 0.0  # the same, monotonic
        self.boot = ""  # of the host, for these two

    def pause(self, every: float) -> float:
        """How many seconds after its beginning, or its failure, the next one may begin; *every* where all is well."""
        if not self.tries:
            return every
        first = min(every, FIRST_SECONDS) or FIRST_SECONDS
        return max(every, min(first * 2.0 ** min(self.tries - 1, 20), LONGEST_SECONDS))

    def fails(self, now: float) -> bool:
        """True where the last try that has ended failed, or the one that began long ago has not been seen to end."""
        return self.tries > 0 and (self.why != "" or abs(now - self.began) > UNSEEN_SECONDS)

    def mend(self) -> None:
        """Another hook was set: what failed is tried at once."""
        self.began = self.failed_at = 0.0

    def is_mended(self) -> bool:
        """True from then on until that try."""
        return self.tries > 0 and not self.began

    def reason(self) -> str:
        """Why, for people."""
        return self.why or UNSEEN

    def rest(self, now: float, every: float) -> float:
        """How many seconds from *now* on until then. A clock that went back makes nobody wait."""
        since = max(self.began, self.failed_at) if self.tries else self.began
        left = since + self.pause(every) - now
        return left if 0 < left <= self.pause(every) else 0.0


def path_of(folder: Folder) -> str:
    return os.path.join(folder.path, "hook")


def is_there(folder: Folder) -> bool:
    return os.path.exists(path_of(folder))


def read(folder: Folder) -> Note:
    """The note as far as it can be read: a job may have put there what none of ours would."""
    found: Fields = {}
    with contexts.suppress(OSError, ValueError, RecursionError):
        fd = files.open_private(path_of(folder), os.O_RDONLY | files.WITHOUT_WAITING)
        try:
            found = json.loads(os.read(fd, MOST_BYTES).decode("ascii"))
        finally:
            os.close(fd)
    note = Note()
    for name, known in vars(note).items() if isinstance(found, dict) else ():
        value = found.get(name)
        if isinstance(known, str) and isinstance(value, str):
            setattr(note, name, value)
        elif not isinstance(known, str) and type(value) in (int, float) and 0 <= float(value or 0) < 1e11:
            setattr(note, name, type(known)(value or 0))
    return note


def write(folder: Folder, note: Note) -> None:
    """Replace it. Raises OSError."""
    partial = path_of(folder) + ".partial"
    text = json.dumps(dict(vars(note), why=note.why[:1000]))
    fd = files.open_private(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(fd, text.encode("ascii"))
    finally:
        os.close(fd)
    files.replace(partial, path_of(folder))


def remove(folder: Folder) -> None:
    with contexts.suppress(OSError):
        files.remove(path_of(folder))


def lock_path(folder: Folder) -> str:
    return os.path.join(folder.path, "hook.lock")


def is_locked(folder: Folder) -> bool:
    """True while somebody tells the hook, or where that cannot be told."""
    return locks.is_held(lock_path(folder)) is not False


def try_lock(folder: Folder) -> Optional[int]:
    """The right to tell the hook, which one at a time has: a descriptor that holds it until it closes; None: taken.

    Raises OSError.
    """
    fd = files.open_private(lock_path(folder), os.O_RDWR | os.O_CREAT)
    if locks.try_lock(fd):
        return fd
    os.close(fd)
    return None
