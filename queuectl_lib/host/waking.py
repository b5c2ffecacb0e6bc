"""Waiting for whatever comes first: the end of a process, a signal, a new job, the time."""

from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import sys
import time

if sys.platform == "win32":
    import socket
else:
    import _socket as socket  # all that is needed of it: its names for numbers weigh 200 kB, in each worker

from queuectl_lib import contexts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Sequence, Tuple

    from queuectl_lib.host.spawn import ChildProcess

WINDOWS_WAITS = 60  # of how many processes Windows can tell the end at once (63, less some)
WAL_TICK_SECONDS = 0.015  # how often the WAL's time is asked where there is no FIFO


class WakeUp:
    """Ends a wait when a signal arrives: handlers only note it and the wait's pipe wakes."""

    def __init__(self, noted: List[int]) -> None:
        self.noted = noted
        self.reader, self.writer = socket.socketpair()
        self.reader.setblocking(False)
        self.writer.setblocking(False)
        self.poller: Any = None  # of the handles that were waited for last
        self.polled: List[int] = []
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

    def wait_for_any(self, handles: Sequence[Any], seconds: float) -> bool:
        """Wait until one of *handles* (sentinels of processes) is ready, a signal arrives, or *seconds*: False then.

        On Windows it is always True.
        """
        if sys.platform == "win32":
            self._wait_for_handles(handles[:WINDOWS_WAITS], seconds)  # and no sockets
            return True
        watched = [self.reader.fileno(), *handles]
        if watched != self.polled:
            self.poller, self.polled = select.poll(), watched
            for number in watched:
                self.poller.register(number, select.POLLIN)
        ready = self.poller.poll(int(seconds * 1000) + 1)
        if ready:
            self.clear()
        return bool(ready)

    def _wait_for_handles(self, handles: Sequence[Any], seconds: float) -> None:
        """The same on Windows."""
        import multiprocessing.connection  # loads tempfile and hashlib: no worker needs these

        if not handles:
            time.sleep(seconds)
        with contexts.suppress(InterruptedError):  # by Ctrl+C
            multiprocessing.connection.wait(list(handles), seconds)
        self.clear()

    def wait_for(
        self, children: Sequence[ChildProcess], seconds: float, long: float, bell: Optional[Bell] = None
    ) -> bool:
        """Wait until one of *children* ends or the *bell* rings (True), or *seconds* are over.

        Where more than *long* of them are left, a signal ends it, too; with a bell, also the end of our parent.
        """
        if sys.platform == "win32":
            return self._wait_for_ends(children, seconds, bell)
        until = time.monotonic() + seconds
        watched = [self.reader.fileno()] + (bell.watched if bell else [])
        while not has_ended(children):
            left = until - time.monotonic()
            if left <= 0 or (self.noted and left > long):
                return False
            ready = select.select(watched, [], [], left)[0]
            self.clear()
            if bell and bell.tells(ready):
                return bell.rung
        return True

    def _wait_for_ends(self, children: Sequence[Any], seconds: float, bell: Optional[Bell]) -> bool:
        """The same on Windows, which tells of no child's end by a signal."""
        until = time.monotonic() + seconds
        before = bell.log() if bell else None
        while not has_ended(children):
            left = until - time.monotonic()
            if bell and bell.log() != before:
                bell.rung = True
                return True
            if left <= 0:
                return False
            self._wait_for_one(children, min(left, WAL_TICK_SECONDS) if bell else left)
        return True

    def _wait_for_one(self, children: Sequence[Any], seconds: float) -> None:
        if not children:
            time.sleep(seconds)
        elif len(children) == 1:
            with contexts.suppress(subprocess.TimeoutExpired):
                children[0].wait(seconds)
        else:
            self._wait_for_handles([int(child._handle) for child in children], seconds)

    def clear(self) -> None:
        try:
            while len(self.reader.recv(4096)) == 4096:
                pass
        except OSError:
            pass

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        self.reader.close()
        self.writer.close()


def has_ended(children: Sequence[ChildProcess]) -> bool:
    """True where one of them is over. Of many that is asked at one go, where the system can tell."""
    if True in [child.returncode is not None for child in children]:  # reaped already
        return True
    if sys.platform == "linux" and len(children) > 1 and not any_child_ended():
        return False
    return True in [child.poll() is not None for child in children]


def any_child_ended() -> bool:
    """True where a child of ours, whichever, has ended and was not reaped; or where there is none."""
    if sys.platform == "linux":
        with contexts.suppress(ChildProcessError):
            return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return True


class Bell:
    """Wakes an idle worker when a job is added (the FIFO that `ring` writes to), or when its supervisor has ended.

    Several workers listen; the one that gets the byte asks the database, and rings again
    if more is due than it took. Where there is no FIFO (Windows) the WAL's time tells.
    """

    def __init__(self, path: str, db_path: str) -> None:
        self.wal_path = db_path + "-wal"
        self.fd = -1
        self.rung = False  # since whoever listens has heeded it
        self.parent = sentinel_of_parent()
        if sys.platform != "win32":
            with contexts.suppress(OSError):  # without it, polling remains
                fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
                if stat.S_ISFIFO(os.fstat(fd).st_mode):  # anything else would always be ready
                    self.fd = fd
                else:
                    os.close(fd)
        self.watched = [fd for fd in (self.fd, self.parent) if fd >= 0]

    def wait(self, seconds: float, wake: WakeUp) -> bool:
        """Return True when the bell rings; False when a signal arrives, our parent has ended, or after *seconds*."""
        if sys.platform == "win32":
            return wake.wait_for((), seconds, 0.0, self)
        deadline = time.monotonic() + seconds
        reader = wake.reader.fileno()
        watched = [reader, *self.watched]
        while seconds > 0:
            ready = select.select(watched, [], [], seconds)[0]
            if reader in ready:
                wake.clear()
            if self.tells(ready) or self.fd not in ready:
                return self.rung
            seconds = deadline - time.monotonic()
        return False

    def tells(self, ready: Sequence[int]) -> bool:
        """Whether of the descriptors that are *ready* one tells of the bell, which is noted, or of our parent's end."""
        if self.parent in ready:  # it will be so for ever
            self.watched.remove(self.parent)
            self.parent = -1
            return True
        self.rung = self.rung or (self.fd in ready and self._take())
        return self.rung

    def tells_of_parent(self) -> bool:
        """True where a wait ends with the process that started ours, which has not ended as far as we have waited."""
        return self.parent >= 0

    def _take(self) -> bool:
        """True for the one worker that gets what the bell holds."""
        with contexts.suppress(BlockingIOError):
            return bool(os.read(self.fd, 65536))
        return False

    def log(self) -> Optional[Tuple[int, int]]:
        """Time and size of the WAL, which tell of a commit; None where there is none."""
        try:
            info = os.stat(self.wal_path)
            return info.st_mtime_ns, info.st_size
        except OSError:
            return None

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def sentinel_of_parent() -> int:
    """A descriptor that is ready once the process that started this one has ended; -1 where there is none."""
    if sys.platform == "win32":
        return -1
    import multiprocessing.process  # which a worker has loaded

    parent = multiprocessing.process.parent_process()
    return parent.sentinel if parent else -1
