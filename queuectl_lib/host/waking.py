"""Waiting for whatever comes first: the end of a process, a signal, the time."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import subprocess
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Sequence

    from queuectl_lib.host.spawn import ChildProcess

WINDOWS_WAITS = 60  # of how many workers Windows can tell the end at once (63, less some)


class WakeUp:
    """Ends a wait when a signal arrives: handlers only note it and the wait's pipe wakes."""

    def __init__(self, noted: List[int]) -> None:
        self.noted = noted
        self.reader, self.writer = socket.socketpair()
        self.reader.setblocking(False)
        self.writer.setblocking(False)
        signal.set_wakeup_fd(self.writer.fileno(), warn_on_full_buffer=False)

    def catch(self, number: int) -> None:
        signal.signal(number, self._note)

    def ignore(self, number: int) -> None:
        """Let a signal only wake; unlike SIG_IGN, a job does not inherit this."""
        signal.signal(number, self._pass)

    def _note(self, number: int, frame: object) -> None:
        self.noted.append(number)

    def _pass(self, number: int, frame: object) -> None:
        return

    def wait_for_any(self, handles: Sequence[Any], seconds: float) -> None:
        """Wait until one of *handles* (sentinels of processes) is ready, a signal arrives, or *seconds*."""
        import multiprocessing.connection  # loads tempfile and hashlib: no worker needs these

        watched = list(handles)
        if sys.platform == "win32":
            watched = watched[:WINDOWS_WAITS]  # and no sockets
        else:
            watched.append(self.reader)
        with contextlib.suppress(InterruptedError):  # on Windows Ctrl+C ends the wait so
            multiprocessing.connection.wait(watched, seconds)
        self.clear()

    def wait_for(self, child: Optional[ChildProcess], seconds: float, long: float) -> bool:
        """Wait until *child* ends (True), *seconds* are over, or, where more than *long* of them are left, a signal.

        Without a child it is never True.
        """
        if sys.platform == "win32":
            return self._wait_for_handle(child, seconds)
        until = time.monotonic() + seconds
        while child is None or child.poll() is None:
            left = until - time.monotonic()
            if left <= 0 or (self.noted and left > long):
                return False
            select.select([self.reader], [], [], left)
            self.clear()
        return True

    def _wait_for_handle(self, child: Any, seconds: float) -> bool:
        """The same on Windows, which tells of no child's end by a signal."""
        if child is None:
            time.sleep(seconds)
            return False
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            while len(self.reader.recv(4096)) == 4096:
                pass

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        self.reader.close()
        self.writer.close()
