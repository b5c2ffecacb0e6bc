"""What supervisors and workers say: one line at a time, to standard error or a log that is rotated."""

from __future__ import annotations

import contextlib
import functools
import os
import time

from queuectl_lib import errors
from queuectl_lib.host import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence, Union

LOG_BYTES = 8 * 1024 * 1024  # a background log larger than this is rotated


def say(who: str, text: str) -> None:
    """One line to the log (standard error), in one write so that lines of many processes stay whole."""
    line = "%s %s: %s\n" % (second_text(int(time.time())), who, errors.printable(text))
    with contextlib.suppress(OSError):  # a full or closed log stops no work
        os.write(2, line.encode("utf-8", "backslashreplace"))


@functools.lru_cache(maxsize=1)
def second_text(second: int) -> str:
    """A second since 1970 as local time: a busy worker says hundreds of lines in one."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


def brief(command: Union[str, Sequence[str]]) -> str:
    """A command as one short piece of text."""
    if isinstance(command, str):
        text = command
    else:
        import shlex  # needed only for lists

        text = " ".join(shlex.quote(word) for word in command)
    return text if len(text) <= 60 else text[:57] + "..."


def trim_log(path: str) -> None:
    """Rotate the log when standard error is that file and it has grown large."""
    try:
        info = os.fstat(2)
        if info.st_size > LOG_BYTES and os.path.samestat(info, os.stat(path)):
            import shutil  # needed only then

            shutil.copyfile(path, path + ".1")
            os.chmod(path + ".1", files.PRIVATE_FILE)
            files.empty(2, path)
    except OSError:
        pass
