"""The control file of an attempt, read: a job may have put anything there, and nothing of it is waited for or followed.

It is no file of ours where it is a link, a pipe, a folder or a device, has a second name, or belongs to another user:
then what it is comes in words, in place of its lines.
"""

from __future__ import annotations

import os
import stat
import sys

from queuectl_lib.host import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

TAIL_BYTES = 16 * 1024  # at the end, in which what is heeded stands


class Found:
    """The last lines of the file; what is wrong with it, for people; its size; when it was written last."""

    def __init__(self, text: bytes, trouble: Optional[str], info: os.stat_result) -> None:
        self.text = text
        self.trouble = trouble
        self.size = info.st_size
        self.mtime = info.st_mtime


def look(path: str) -> Optional[os.stat_result]:
    """What is known of it without a look inside; None where there is none."""
    try:
        return os.lstat(path)
    except OSError:
        return None


def trouble_with(info: os.stat_result) -> Optional[str]:
    """Why what is known so is no control file, in words; None where it may be one."""
    if not stat.S_ISREG(info.st_mode):
        return "the control file is no regular file"
    if info.st_nlink > 1:
        return "the control file has a second name"
    if sys.platform != "win32" and info.st_uid != os.geteuid():
        return "the control file belongs to another user"
    return None


def read(path: str, past: int = 0) -> Optional[Found]:
    """Its last lines, of those behind byte *past* (the first is whole, or left out); None where there is no file."""
    info = look(path)
    if info is None:
        return None
    trouble = trouble_with(info)
    if trouble is None:
        try:
            return read_file(path, past)
        except OSError as error:
            trouble = "the control file cannot be read: %s" % error.strerror
    return Found(b"", trouble, info)


def read_file(path: str, past: int) -> Found:
    """The same of one that looked as it should a moment ago. Raises OSError."""
    fd = files.open_private(path, os.O_RDONLY | files.WITHOUT_WAITING)
    try:
        info = os.fstat(fd)
        trouble = trouble_with(info)
        start = max(past if past <= info.st_size else 0, info.st_size - TAIL_BYTES, 0)
        os.lseek(fd, max(0, start - 1), os.SEEK_SET)
        text = b"" if trouble else os.read(fd, TAIL_BYTES + 1)
    finally:
        os.close(fd)
    if start and text:  # what stands before the first line that is whole
        before, text = text[:1], text[1:]
        if before != b"\n":
            text = text.partition(b"\n")[2]
    return Found(text, trouble, info)
