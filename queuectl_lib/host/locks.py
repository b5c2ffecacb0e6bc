"""File locks, which the kernel drops when their holder dies, and standing in line for one."""

from __future__ import annotations

import _thread
import os
import sys
import time

from queuectl_lib import contexts
from queuectl_lib.errors import HostError
from queuectl_lib.host import files

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any, Iterator, List, Optional
else:
    try:
        import _signal as signal  # what does the work in signal, which makes enums of it: a millisecond of every `add`
    except ImportError:
        import signal

BUSY_SECONDS = 30.0  # how long one waits for its turn
CAN_VANISH = sys.platform != "win32"  # a file that is open can be deleted or renamed
LOCK_BYTE = 1 << 30  # Windows locks forbid reading what they cover: lock beyond the content
if sys.platform == "linux":  # of fcntl(2); Python names them from 3.9 on
    ASK_APART, TAKE_APART = 36, 37  # F_OFD_GETLK, F_OFD_SETLK
    WHOLE = fcntl.F_WRLCK.to_bytes(2, sys.byteorder) + bytes(30)  # struct flock: all of the file


def try_lock(fd: int, shared: bool = False) -> bool:
    """Lock an open file without waiting; False when someone else holds it.

    The kernel drops the lock when the last copy of *fd* is closed, so also at the death
    of its holder. flock, never lockf: POSIX locks vanish with any close of the file.
    """
    try:
        if sys.platform == "win32":
            os.lseek(fd, LOCK_BYTE, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if sys.platform == "win32":
            return False
        raise HostError("file locks do not work here (%s): use a local file system" % error.strerror) from None
    return True


def lock_apart(fd: int) -> bool:
    """Lock an open file by a lock beside that of try_lock, which it does not meet; False when someone else holds it.

    It belongs to the copies of *fd* alone, so whoever has inherited the other lock only, and unlocks that,
    leaves this one. To ask after it takes nothing. It is had on Linux; elsewhere nothing is done.
    """
    if sys.platform == "linux":
        try:
            fcntl.fcntl(fd, TAKE_APART, WHOLE)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            pass  # a kernel that does not know it: the other lock has to do
    return True


def is_locked_apart(fd: int) -> bool:
    """True where somebody else holds that second lock of an open file."""
    if sys.platform == "linux":
        with contexts.suppress(OSError):
            return not fcntl.fcntl(fd, ASK_APART, WHOLE).startswith(fcntl.F_UNLCK.to_bytes(2, sys.byteorder))
    return False


def is_byte_held(path: str, byte: int) -> bool:
    """True where another process holds a POSIX lock of that byte of the file *path*, or where it cannot be asked.

    Only for who has no such lock on that file: any of ours falls. Off Linux False says nothing: take_bytes tells.
    """
    if sys.platform == "win32":
        return True
    try:
        fd = files.open_private(path, os.O_RDONLY | files.WITHOUT_WAITING)
    except OSError as error:
        return not isinstance(error, FileNotFoundError)
    try:
        if sys.platform == "linux":
            asked = fcntl.F_WRLCK.to_bytes(2, sys.byteorder) + bytes(6) + byte.to_bytes(8, sys.byteorder)
            asked += (1).to_bytes(8, sys.byteorder) + bytes(8)  # struct flock: this byte alone
            return not fcntl.fcntl(fd, fcntl.F_GETLK, asked).startswith(fcntl.F_UNLCK.to_bytes(2, sys.byteorder))
        return False
    except OSError:
        return True
    finally:
        os.close(fd)


def take_bytes(fd: int, start: int, size: int) -> bool:
    """Hold a POSIX lock of a part of an open file, until any descriptor of it is closed; False where it is taken."""
    if sys.platform != "win32":
        with contexts.suppress(OSError):
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, size, start)
            return True
    return False


IN_LINE_AFTER = 0.002  # a nap that has grown longer ends the asking, after 7 ms
LEFT_BEHIND: List[Any] = []  # what tells of threads that wait in vain
LEFT_BEHIND_MOST = 3


def wait_for_lock(fd: int, seconds: float) -> bool:
    """Lock an open file within *seconds*; False when it does not come free.

    Who has waited for a moment stands in line: many who ask again and again would cost more
    than the one who works, and the last to come would be served first.
    """
    pause, deadline = 0.0002, time.monotonic() + seconds
    while not try_lock(fd):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if pause > IN_LINE_AFTER and sys.platform != "win32":
            with contexts.suppress(RuntimeError):  # no thread can be started: ask on
                return lock_in_line(fd, left)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.01)
    return True


def lock_in_line(fd: int, seconds: float) -> bool:
    """The same in the order of coming, which the kernel keeps. Raises RuntimeError where no thread is to be had.

    The kernel's waiting (flock) knows no limit, so a thread does it. When the time is over it is left
    behind, and its turn passes as soon as it comes: nobody else has the lock's description open then.
    Where the lock is never free, no more than LEFT_BEHIND_MOST are left so.
    """
    if sys.platform == "win32":
        raise NotImplementedError
    LEFT_BEHIND[:] = [turn for turn in LEFT_BEHIND if turn.locked()]
    if len(LEFT_BEHIND) >= LEFT_BEHIND_MOST:
        raise RuntimeError
    turn = _thread.allocate_lock()
    refused: List[OSError] = []
    turn.acquire()
    copy = os.dup(fd)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the main thread
    try:
        _thread.start_new_thread(stand_in_line, (copy, turn, refused))
    except RuntimeError:
        os.close(copy)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if not turn.acquire(timeout=seconds):
        LEFT_BEHIND.append(turn)
        return False
    if refused:
        raise refused[0]
    return True


def stand_in_line(fd: int, turn: Any, refused: List[OSError]) -> None:
    """In a thread of its own: wait for the lock of *fd*, close it, and let *turn* go."""
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError as error:
            refused.append(error)
    os.close(fd)
    turn.release()


def is_held(path: str, missing: Optional[bool] = False) -> Optional[bool]:
    """True while somebody holds a lock of the file *path*, False where nobody does, None where that cannot be told.

    Only evidence counts. No access is none, nor is a file that is gone together with its folder; *missing* is what
    one means that is gone from there. What is no file is as good as gone: nobody of ours holds it.
    """
    try:
        fd = files.open_private(path, os.O_RDWR | files.WITHOUT_WAITING)
    except FileNotFoundError:
        return missing if os.path.isdir(os.path.dirname(path)) else None
    except OSError:
        return missing if files.is_irregular(path) else None  # no permission now, or (Windows) on its way out
    try:
        return not try_lock(fd, shared=True) or is_locked_apart(fd)
    finally:
        os.close(fd)


def hold_file(path: str) -> int:
    """Make the file *path* and lock it; the descriptor, which holds the lock until it closes."""
    while True:
        fd = files.open_private(path, os.O_RDWR | os.O_CREAT)
        if try_lock(fd) and is_still_there(path, fd):
            return fd
        os.close(fd)  # a tidying process took it for a dead one's: again
        time.sleep(0.001)


def is_still_there(path: str, fd: int) -> bool:
    """True where *path* still names the open file *fd*."""
    if sys.platform == "win32":
        return True  # an open file cannot be replaced there
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def remove_held_file(path: str, fd: int) -> None:
    """Remove a file whose lock *fd* holds, and let the lock go: while locked, so that nobody is mistaken for dead."""
    if sys.platform == "win32":
        os.close(fd)
        files.remove(path)
    else:
        try:
            files.remove(path)
        finally:
            os.close(fd)


@contexts.contextmanager
def not_paused() -> Iterator[None]:
    """Put Ctrl+Z off while the gate is held: one paused process must not stop the queue."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTSTP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
