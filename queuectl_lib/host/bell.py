"""The bell that wakes an idle worker: a FIFO, where the system has these (a hint only: polling is the truth)."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
import time

from queuectl_lib.host import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

    from queuectl_lib.host.waking import WakeUp


def make(path: str) -> None:
    """Hang the bell where it is missing."""
    if sys.platform != "win32" and not os.path.exists(path):
        with contextlib.suppress(OSError):
            os.mkfifo(path, files.PRIVATE_FILE)


def ring(path: str) -> None:
    """Wake one worker that sleeps, where one does."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.write(fd, b"\n")
        finally:
            os.close(fd)


class Bell:
    """Wakes an idle worker when a job is added (the FIFO that `ring` writes to).

    Several workers listen; the one that gets the byte asks the database, and rings again
    if more is due than it took. Where there is no FIFO (Windows) the WAL's time tells.
    """

    def __init__(self, path: str, db_path: str) -> None:
        self.wal_path = db_path + "-wal"
        self.fd = -1
        if sys.platform != "win32":
            with contextlib.suppress(OSError):  # without it, polling remains
                self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def wait(self, seconds: float, wake: WakeUp) -> bool:
        """Return True when the bell rings, False when a signal arrives or after *seconds*."""
        if sys.platform == "win32":
            return self._watch_wal(seconds)
        deadline = time.monotonic() + seconds
        watched = [wake.reader.fileno()] + ([self.fd] if self.fd >= 0 else [])
        while seconds > 0:
            ready = select.select(watched, [], [], seconds)[0]
            wake.clear()
            if self.fd not in ready:
                return False
            if self._take():
                return True
            seconds = deadline - time.monotonic()
        return False

    def _take(self) -> bool:
        """True for the one worker that gets what the bell holds."""
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self.fd, 65536))
        return False

    def _watch_wal(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        before = self._wal()
        while self._wal() == before:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.015)
        return True

    def _wal(self) -> Optional[Tuple[int, int]]:
        try:
            info = os.stat(self.wal_path)
            return info.st_mtime_ns, info.st_size
        except OSError:
            return None

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
