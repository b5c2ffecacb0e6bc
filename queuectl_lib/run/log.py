"""What supervisors and workers say: one line at a time, to standard error or a log that is rotated."""

from __future__ import annotations

import functools
import os
import time

from queuectl_lib import errors
from queuectl_lib.host import files, stream, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence, Union

    from queuectl_lib.jobs.attempts import Claim

LINE_BYTES = 4096  # the longest line: a pipe takes so much whole or not at all
LOG_BYTES = 8 * 1024 * 1024  # a background log larger than this is rotated


class Unwritten:
    """What this process could not write of late: a reader that does not read stops no work."""

    rest = b""  # of a line that was written in part
    lines = 0
    who = ""  # said the last of them


def say(who: str, text: str) -> None:
    """One line to the log (standard error), in one write so that lines of many processes stay whole.

    Where it cannot be written now, it is counted, and told as soon as one can.
    """
    if Unwritten.lines:
        tell_unwritten()
    if not put(line_of(who, text)):
        Unwritten.who = who
        Unwritten.lines += 1


def tell_unwritten() -> None:
    """Say how many lines could not be written, once one can be."""
    number = "%d line%s" % (Unwritten.lines, "s" * (Unwritten.lines > 1))
    text = number + " could not be written here: nobody read, or there was no room"
    if Unwritten.lines and put(line_of(Unwritten.who, text)):
        Unwritten.lines = 0


def line_of(who: str, text: str) -> bytes:
    line = "%s %s: %s\n" % (second_text(int(time.time())), who, errors.printable(text))
    data = line.encode("utf-8", "backslashreplace")
    if len(data) <= LINE_BYTES:
        return data
    return data[: LINE_BYTES - 4].decode("utf-8", "ignore").encode("utf-8") + b"...\n"


def put(line: bytes) -> bool:
    """Write a line, behind what is left of an earlier one; False where not even its beginning can be written now."""
    try:
        if Unwritten.rest:
            Unwritten.rest = Unwritten.rest[stream.write(Unwritten.rest) :]
        if Unwritten.rest:
            return False
        Unwritten.rest = line[stream.write(line) :]
        return True
    except OSError:  # a full or closed log stops no work
        return False


class Clock:
    """The offset from UTC that this process has written last."""

    offset: Optional[int] = None


@functools.lru_cache(maxsize=1)
def second_text(second: int) -> str:
    """A second since 1970 as local time: a busy worker says hundreds of lines in one.

    With the offset where that is another one than that of the line before: the first hour after is the second of its
    name. (The first line of a supervisor says it in words.)
    """
    local = time.localtime(second)
    text = time.strftime("%Y-%m-%d %H:%M:%S", local)
    if Clock.offset not in (None, local.tm_gmtoff):
        text += " " + offset_text(local.tm_gmtoff)
    Clock.offset = local.tm_gmtoff
    return text


def offset_text(east: int) -> str:
    """Seconds east of UTC as an offset: +01:00."""
    return "%s%02d:%02d" % ("-" if east < 0 else "+", *divmod(abs(east) // 60, 60))


def clock_text() -> str:
    """What the first line of a log has to say of the times that follow."""
    return "times: UTC%s" % offset_text(time.localtime().tm_gmtoff)


def start_of(claim: Claim) -> str:
    """What is said of an attempt that has begun."""
    of = (claim.id, claim.attempts, claim.max_retries + 1, brief(claim.command))
    return "job %s started (attempt %d of %d): %s" % of


def brief(command: Union[str, Sequence[str]]) -> str:
    """A command as one short piece of text."""
    text = system.typed(command)
    return text if len(text) <= 60 else text[:57] + "..."


def goes_to(path: str) -> bool:
    """True where standard error is the file *path*; False where that cannot be told."""
    try:
        return os.path.samestat(os.fstat(2), os.stat(path))
    except OSError:
        return False


def begin_anew(path: str) -> None:
    """Go on in a new file at *path*: ours was deleted, or renamed with its folder. Raises OSError."""
    fd = files.open_appending(path)
    for stream_fd in (1, 2):
        os.dup2(fd, stream_fd)
    os.close(fd)


def trim_log(path: str) -> None:
    """Rotate the log when standard error is that file and it has grown large."""
    try:
        if os.fstat(2).st_size > LOG_BYTES and goes_to(path):
            import shutil  # needed only then

            files.remove(path + ".1")  # it may be a link, or no file
            shutil.copyfile(path, path + ".1")
            os.chmod(path + ".1", files.PRIVATE_FILE)
            files.empty(2, path)
    except OSError:
        pass
