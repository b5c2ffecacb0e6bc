"""What differs between systems, as facts: how long a command may be, what a umask and a directory are here."""

from __future__ import annotations

import os
import sys
import time

from queuectl_lib import values
from queuectl_lib.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence, Tuple, Union

WINDOWS = sys.platform == "win32"
SYNCS_LOG_ALONE = sys.platform == "linux"  # a file that another has open: by one call, and it reaches the disk
SYNCS_HALF = sys.platform == "darwin"  # where fsync alone does not reach the disk (fcntl(2), F_FULLFSYNC)
TELLS_FILE_TIMES = not WINDOWS  # which tells the times of an open file late

# Linux refuses one argument of 128 KiB and more; cmd.exe a line over 8191 characters.
COMMAND_BYTES = 8000 if sys.platform == "win32" else 131000
MOST_PID = 2**31 - 1  # of a process on any system
ARGUMENTS_BYTES = 30000 if sys.platform == "win32" else 1000000


def current_directory() -> str:
    try:
        return str(values.check_text(os.getcwd(), "the current directory"))
    except OSError:
        raise HostError("the current directory no longer exists: change to one that does") from None


def directory_as_seen() -> str:
    """The same by the name by which the user has come to it (PWD), which may lead over links: today's `current`."""
    here, seen = current_directory(), os.environ.get("PWD", "")
    if seen == here or WINDOWS or not os.path.isabs(seen) or os.path.normpath(seen) != seen:
        return here
    try:
        is_here = os.path.samestat(os.stat(seen), os.stat(here))
    except OSError:
        return here
    return str(values.check_text(seen, "the current directory")) if is_here else here


callers_umask: Optional[int] = None  # where the door has put another in its place


def current_umask() -> Optional[int]:
    """The umask that a job enqueued by this process will run with."""
    if sys.platform == "win32":
        return None
    if callers_umask is not None:
        return callers_umask
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def output_text(data: bytes) -> str:
    """Output as text: UTF-8, on Windows else what cmd and its commands write there."""
    if sys.platform == "win32":
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("oem", "backslashreplace")
    return data.decode("utf-8", "backslashreplace")


def how_to_kill(pids: Sequence[int]) -> str:
    """What to type to end processes that do not react, as the end of a message; "" where there is none to name.

    To `kill` 0 and -1 are everybody, the reader's own shell among them; some cut larger numbers down to such.
    """
    pids = [pid for pid in pids if 1 < pid <= MOST_PID]
    if not pids:
        return ""
    if sys.platform == "win32":
        return "`taskkill /f%s` ends them" % "".join(" /pid %d" % pid for pid in pids)
    words = " ".join("%d" % pid for pid in pids)
    return "`kill -CONT %s` wakes who is paused, `kill -9 %s` ends them" % (words, words)


def up_seconds() -> float:
    """For how long this host has been up, as far as it tells: some leave out the time that they slept."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


MOST_CODE = 255  # that a process can end with, but on Windows


def fitting_code(code: int) -> int:
    """The exit code of a job as one that we can end with: never 0 where it is not 0."""
    if sys.platform == "win32":
        return (code + 2**31) % 2**32 - 2**31
    return min(code, MOST_CODE) if code >= 0 else MOST_CODE


def hostname() -> str:
    """The name of this host."""
    import _socket  # its front end weighs 200 kB

    return _socket.gethostname()


def typed(command: Union[str, Sequence[str]]) -> str:
    """A command, text or a list of arguments, as one would type it here."""
    if isinstance(command, str):
        return command
    if sys.platform == "win32":
        import subprocess  # needed only for lists

        return subprocess.list2cmdline(command)
    return " ".join(map(quoted, command))


PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-")


def quoted(word: str) -> str:
    """*word* as a POSIX shell reads it back, in quotes where it needs some; shlex would be loaded for this alone."""
    return word if word and PLAIN.issuperset(word) else "'%s'" % word.replace("'", "'\"'\"'")


def user_and_home() -> Tuple[str, str]:
    """The name of the user that we are, and his home directory."""
    if sys.platform != "win32":
        import pwd  # needed only here

        try:
            user = pwd.getpwuid(os.geteuid())
            return user.pw_name, user.pw_dir
        except KeyError:
            pass  # in a container he may have none
    home = os.path.expanduser("~")
    return os.path.basename(home), home
