"""A text that something else than /bin/sh reads: as the words of a list, with a file where its first line names who.

The file is one more of the attempt (store/folder), written once its run file may not even be there: who finds it
without its job removes it. The interpreter is called with its path, so no disk has to allow that it is executed.
"""

from __future__ import annotations

import errno
import os

from queuectl_lib.host import files, system
from queuectl_lib.jobs import attempts, interpreters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.jobs.attempts import Claim


def as_list(claim: Claim, path: str, shell: Optional[str]) -> Claim:
    """*claim* with a list for its text: for its own shell, what its first line names with *path*, or else *shell*.

    Raises ValueError, in words, where nothing of that can be meant here.
    """
    text, own = claim.command, claim.policy.get("shell")
    if system.WINDOWS:
        raise ValueError("Windows runs no text by another shell than cmd")
    if own is None and text[:2] == interpreters.MARK:
        words = interpreters.named_in(str(text)) + [path]
        if len(words) < 2:
            raise ValueError("its first line names no interpreter")
    elif isinstance(own or shell, str):
        words = [str(own or shell), "-c", " %s" % text if text[:1] in ("-", "+") else str(text)]
    else:
        raise ValueError("its shell cannot be read")
    found = attempts.alike(claim)
    found.command = words
    return found


def write(text: str, path: str) -> None:
    """Write the file for the interpreter, private. Raises OSError."""
    data, flags = text.encode("utf-8"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        fd = files.open_private(path, flags)
    except FileNotFoundError:  # the folder was swept while it was empty
        files.make_private_folder(os.path.dirname(path))
        fd = files.open_private(path, flags)
    try:
        if os.write(fd, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(fd)
