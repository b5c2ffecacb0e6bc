"""The bell that wakes an idle worker: a FIFO, where the system has these (a hint only: polling is the truth)."""

from __future__ import annotations

import os
import stat
import sys

from queuectl_lib import contexts
from queuectl_lib.host import files


def make(path: str) -> None:
    """Hang the bell where it is missing, or where something else has its place (but for a folder, which stays)."""
    if sys.platform == "win32":
        return
    with contexts.suppress(OSError):
        try:
            if stat.S_ISFIFO(os.lstat(path).st_mode):
                return
            files.remove(path)
        except FileNotFoundError:
            pass
        os.mkfifo(path, files.PRIVATE_FILE)


def ring(path: str) -> None:
    """Wake one worker that sleeps, where one does."""
    if sys.platform == "win32":
        return
    with contexts.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.write(fd, b"\n")
        finally:
            os.close(fd)
