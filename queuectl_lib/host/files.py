"""Files of ours: private whatever the umask, never through a link, replaced and removed also under Windows."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time

from queuectl_lib import contexts, errors
from queuectl_lib.errors import HostError

if sys.platform == "linux":
    import fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Iterator, Tuple

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0)  # should it be a FIFO
OPEN_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

HAS_LEASES = sys.platform == "linux"


# Some C libraries know of no access() to a link itself, and say that there is nothing.
CAN_ASK = os.access in os.supports_follow_symlinks and os.access(os.sep, os.F_OK, follow_symlinks=False)


def is_there(path: str) -> bool:
    """os.path.lexists, for what mostly is not there: at a quarter of its price, for nothing is raised."""
    return os.access(path, os.F_OK, follow_symlinks=False) if CAN_ASK else os.path.lexists(path)


def open_private(path: str, flags: int) -> int:
    """os.open that creates with mode 0600 whatever the umask, and follows no link."""
    fd = os.open(path, flags | OPEN_SAFELY, PRIVATE_FILE)
    if flags & os.O_CREAT:
        restore_owner_bits(fd)
    return fd


def open_appending(path: str) -> int:
    """Open a file, made where it is missing, so that all who inherit the descriptor append to it."""
    if sys.platform == "win32":
        from queuectl_lib.host import windows  # which only loads there

        return windows.open_appending(path)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | OPEN_SAFELY, PRIVATE_FILE)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a pipe that nobody reads, or a socket
            raise OSError(errno.EINVAL, "it is no regular file", path) from None
        raise
    refuse_no_file(fd, path)
    restore_owner_bits(fd)
    return fd


def refuse_no_file(fd: int, path: str) -> None:
    """Close *fd* and raise OSError where it is no regular file: who opens a pipe or a device may wait for ever."""
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        raise OSError(errno.EINVAL, "it is no regular file", path)


def empty(fd: int, path: str) -> None:
    """Cut the file *path*, open as *fd*, down to nothing: every writer appends, so none leaves a hole."""
    if sys.platform == "win32":
        os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))  # the descriptor may only append
    else:
        os.ftruncate(fd, 0)


def restore_owner_bits(fd: int) -> None:
    """Make a file of ours usable again if a umask took even its owner's bits."""
    if sys.platform != "win32":
        info = os.fstat(fd)
        if info.st_mode & PRIVATE_FILE != PRIVATE_FILE and info.st_uid == os.geteuid():
            os.fchmod(fd, PRIVATE_FILE)


def keep_mode(fd: int, path: str) -> None:
    """Give an open file that is to replace *path* the mode of that one, less what others could write."""
    if sys.platform != "win32":
        with contexts.suppress(OSError):
            os.fchmod(fd, stat.S_IMODE(os.stat(path).st_mode) & 0o755)


def make_private(fd: int, mode: int = PRIVATE_FILE) -> None:
    """Give an open file of ours the mode 0600, or another one, whatever the umask."""
    if sys.platform != "win32":
        os.fchmod(fd, mode)


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def becomes(old: str, new: str) -> bool:
    """Whether the file *old*, as one that was written just now, could be given the name *new*."""
    try:
        os.utime(old)
        os.replace(old, new)
    except OSError:
        return False
    return True


def make_private_folder(path: str) -> None:
    """Make a directory with mode 0700 whatever the umask, and its entry durable; nothing where it is there."""
    try:
        os.mkdir(path, PRIVATE_FOLDER)
        if sys.platform != "win32":
            os.chmod(path, PRIVATE_FOLDER)  # a umask may have taken even the owner's bits
            sync_folder(os.path.dirname(path))
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):  # a link to one is none of ours
            raise


def is_as_made(fd: int, most_bytes: int) -> bool:
    """True where the file of *fd* is still private, has no second name, and holds no more than *most_bytes*."""
    info = os.fstat(fd)
    return info.st_size <= most_bytes and info.st_nlink == 1 and stat.S_IMODE(info.st_mode) == PRIVATE_FILE


def is_open_here_only(fd: int) -> bool:
    """True where the kernel is certain that nobody else has the file of *fd* open.

    It grants a write lease only then (fcntl(2), F_SETLEASE), on file systems that have leases.
    Whoever opens the file at that moment waits until the lease is given up, and we get SIGIO.
    """
    if sys.platform == "linux":
        try:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError:
            return False
        return True
    return False


def is_irregular(path: str) -> bool:
    """True where something stands at *path*, and it is no file: a folder, a FIFO, a link."""
    try:
        return not stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def read_whole(path: str) -> bytes:
    """The content of a file that others replace; on Windows it cannot be opened at that moment."""
    for tries_left in range(50 if sys.platform == "win32" else 0, -1, -1):
        try:
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
            refuse_no_file(fd, path)
            with open(fd, "rb") as file:
                return file.read()
        except PermissionError:
            if not tries_left:
                raise
            time.sleep(0.02)
    return b""


def replace(partial: str, path: str) -> None:
    """os.replace; on Windows it waits up to a second for those who have *path* open."""
    for tries_left in range(50 if sys.platform == "win32" else 0, -1, -1):
        try:
            os.replace(partial, path)
            return
        except PermissionError:
            if not tries_left:
                raise
            time.sleep(0.02)


def remove(path: str) -> None:
    """Delete a file that may be gone already or, on Windows, still open elsewhere."""
    for _ in range(10 if sys.platform == "win32" else 1):
        try:
            os.unlink(path)
            return
        except FileNotFoundError:
            return
        except PermissionError:
            if sys.platform != "win32":
                raise
            time.sleep(0.02)


def remove_from(folder: str, names: Iterable[str]) -> None:
    """Delete files of ours, which may be gone already, from a *folder* that is no link. Raises OSError."""
    if sys.platform == "win32":
        for name in names:
            remove(os.path.join(folder, name))
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | OPEN_SAFELY)
    try:
        for name in names:
            try:
                os.unlink(name, dir_fd=fd)
            except FileNotFoundError:
                pass
            except OSError:
                if not os.path.isdir(os.path.join(folder, name)):  # a job can make one in place of its output
                    raise
    finally:
        os.close(fd)


CAN_ALLOCATE = sys.platform == "linux"


def allocate(fd: int, size: int) -> None:
    """See that the first *size* bytes of an open file have their blocks on the disk. Raises OSError."""
    if sys.platform == "linux":
        os.posix_fallocate(fd, 0, size)


def has_holes(path: str) -> bool:
    """True where blocks of the file *path* are still to be given to it. Raises OSError."""
    if sys.platform == "win32":
        return False
    info = os.stat(path)
    return info.st_blocks * 512 < info.st_size


def open_nameless(folder: str) -> int:
    """A file on the disk of *folder* that is gone once closed. Raises OSError, also where none can be."""
    return os.open(folder, os.O_RDWR | getattr(os, "O_TMPFILE", 0), PRIVATE_FILE)


def disk_of(folder: str) -> Tuple[int, int, int]:
    """Bytes free to us on the disk of *folder*, bytes in one of its blocks, and inodes. Raises OSError."""
    if sys.platform == "win32":
        raise NotImplementedError
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize, disk.f_frsize, disk.f_files


def sync_folder(path: str) -> None:
    """Make a new entry of a directory survive power loss (not needed on Windows)."""
    if sys.platform == "win32":
        return
    with contexts.suppress(OSError):
        sync(path)


def sync(path: str) -> None:
    """Bring to the disk what was written to *path*, by whomever. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | WITHOUT_WAITING)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_home(home: str) -> None:
    """Make the home, private, where it is missing. Raises HostError."""
    with refusals_told(home):
        if not os.path.isdir(home):
            from queuectl_lib.host import trust  # which no worker needs

            os.makedirs(home, PRIVATE_FOLDER, exist_ok=True)
            os.chmod(home, PRIVATE_FOLDER)  # a umask may have taken even the owner's bits
            trust.Way().refuse_untrusted(home)  # a neighbour may have been there first, a moment ago


def full_or_not(error: OSError) -> str:
    """The code of an error of the system where that is a full disk; "" for all others."""
    return "disk_full" if error.errno in FULL else ""


@contexts.contextmanager
def refusals_told(path: str) -> Iterator[None]:
    """Turn what the system says about *path* into one line that helps."""
    try:
        yield
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else path
        text = "cannot use %s: %s" % (errors.printable(where), error.strerror or error)
        raise HostError(text, full_or_not(error)) from error


def lacks_descriptors() -> bool:
    """True where this process, or the host, can hardly open a file more."""
    try:
        for fd in os.pipe():
            os.close(fd)
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
