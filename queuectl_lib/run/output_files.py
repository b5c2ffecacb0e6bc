"""The output of a running attempt: bounded, its head and tail kept."""

from __future__ import annotations

import os
import re
import stat

from queuectl_lib.host import failpoints, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Optional, Tuple

INLINE_BYTES = 32 * 1024  # output up to this size moves into the database
LEFT_OUT = b"\n[queuectl: %020d bytes left out here: the setting max_output]\n"
BEING_CUT = b"\n[queuectl: %020d bytes left out here: cut of %015d]\n"  # just as long: so much, of so many in all
COUNT = rb"\n\[queuectl: (\d{20}) bytes left out here: (?:cut of (\d{15}))?"


def cut_middle(path: str, limit: int) -> bool:
    """Keep a quarter of *limit* bytes at the head and one at the tail of a file that outgrew *limit*.

    Between them stands a line that counts what is gone. The job appends to the file, so
    it goes on behind the cut; what it writes during the cut itself may be lost uncounted.
    The tail is copied before anything is cut off, and the line tells of a cut that goes on until it is done: whoever
    is killed here leaves it to the next, who counts nothing twice, and two who do it at once do the same.
    """
    try:
        if size_of(path) <= limit:
            return False
        with os.fdopen(files.open_private(path, os.O_RDWR), "r+b") as file:
            keep, marker = limit // 4, len(LEFT_OUT % 0)
            size = file.seek(0, os.SEEK_END)
            gone = size - 2 * keep + gone_before(file, keep, marker, size)
            file.seek(size - keep)
            tail = file.read(keep)
            if len(tail) < keep:
                return False  # another has just cut it
            write_at(file, keep + marker, tail)
            write_at(file, keep, BEING_CUT % (gone, size))
            failpoints.failpoint("cut.copied")
            file.truncate(2 * keep + marker)
            failpoints.failpoint("cut.truncated")
            write_at(file, keep, LEFT_OUT % gone)
        return True
    except OSError:
        return False


def gone_before(file: BinaryIO, keep: int, marker: int, size: int) -> int:
    """How many bytes earlier cuts took from a file, less the line that counts them."""
    file.seek(keep)
    text = file.read(marker + keep)
    match = re.match(COUNT, text)
    if not match:
        return 0
    gone = int(match.group(1))
    of = int(match.group(2) or 0)
    if 2 * keep < of <= size:  # whoever cut it was killed: before it was shorter, if its tail still stands where it was
        file.seek(of - keep)
        if file.read(keep) == text[marker:]:
            return gone - (of - 2 * keep)
    return gone - marker


def write_at(file: BinaryIO, place: int, text: bytes) -> None:
    file.seek(place)
    file.write(text)
    file.flush()


def collected(path: str, limit: int, stays: bool) -> Tuple[Optional[bytes], int]:
    """What was written to *path*, if it is small and does not *stay* in its file, and its size in bytes.

    What outgrew *limit* bytes is cut.
    """
    size = 0
    try:
        size = size_of(path)
        if size > limit and cut_middle(path, limit):
            size = size_of(path)
        if stays or not size or size > INLINE_BYTES:
            return None, size
        with os.fdopen(files.open_private(path, os.O_RDONLY), "rb") as file:
            return file.read(), size
    except FileNotFoundError:
        return None, 0
    except OSError:
        return None, size  # it cannot be read now, and stays


def read_open(fd: int) -> Optional[bytes]:
    """What is in a small file that we have open, wherever it is now; None where that is large, or cannot be read."""
    try:
        with open("/proc/self/fd/%d" % fd, "rb") as file:
            data = file.read(INLINE_BYTES + 1)
    except OSError:
        return None
    return data if len(data) <= INLINE_BYTES else None


def size_of(path: str) -> int:
    """Bytes in an output file. Raises FileNotFoundError also where something else has its name: a job can do that."""
    info = os.lstat(path)
    if not stat.S_ISREG(info.st_mode):
        raise FileNotFoundError(path)
    return info.st_size
