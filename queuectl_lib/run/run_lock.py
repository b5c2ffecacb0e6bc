"""The lock of a run file as far as this process has it, and the descriptor by which notes are written there.

What inherits the lock can unlock it. So its watcher locks the file a second time, by the notes, which it keeps.
"""

from __future__ import annotations

import os

from queuectl_lib.host import files, locks, tree


class RunLock:
    """The lock of the run file *path*."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = -1  # of the file, for its lock
        self.notes = -1  # of the same, to write
        self.is_free = False  # it was held by nobody, once the command's own process had ended

    def take(self, notes: int) -> None:
        """Lock the file, open for *notes*, by a descriptor that the command may inherit: only for reading.

        Raises OSError.
        """
        self.notes = notes
        self.fd = files.open_private(self.path, os.O_RDONLY) if tree.JOBS_OUTLIVE_WORKERS else notes
        if not locks.try_lock(self.fd) or not locks.lock_apart(notes):
            raise OSError("the lock of a new file is held by someone else")

    def hand_over(self) -> None:
        """From here only the job's own tree holds it."""
        os.close(self.fd)
        self.fd = -1

    def note(self, line: bytes) -> None:
        """Where no watcher writes the notes (Windows). Raises OSError."""
        os.write(self.fd, line)

    def let_go(self, has_ended: bool = False) -> None:
        """Close the file. Once the command's own process *has ended*, see whether somebody holds its lock still.

        What nobody holds nobody can inherit, so that is asked once.
        """
        if has_ended and tree.JOBS_OUTLIVE_WORKERS and self.notes >= 0:
            self.is_free = locks.try_lock(self.notes, shared=True)
        for fd in {self.fd, self.notes}:
            if fd >= 0:
                os.close(fd)
        self.fd = self.notes = -1
