"""Files made for whoever asked for them: private, each whole or not at all, and none in the place of another.

No link is followed: the content goes into a new file beside, which then is given the name.
"""

from __future__ import annotations

import errno
import os
import re

from queuectl_lib import contexts
from queuectl_lib.host import files, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Optional

NAME = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}\Z"
DEVICE = r"(?i)(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(\.|\Z)"  # which Windows opens whatever stands behind
WITHOUT_LINKS = (errno.EPERM, errno.ENOSYS, errno.EMLINK, getattr(errno, "ENOTSUP", errno.ENOSYS), errno.EOPNOTSUPP)


def name_of(identifier: str, number: int) -> str:
    """A name for a file of the job *identifier* that is a name on every system, and no path.

    A colon is written %3A. What is no id, for somebody has changed it, is told by *number*.
    """
    name = identifier.replace(":", "%3A")
    if not re.match(NAME, identifier.replace(":", "_")):
        return "%%job-%d" % number
    return "%%%02X%s" % (ord(name[0]), name[1:]) if re.match(DEVICE, name) else name


def make_folder(path: str) -> None:
    """Make the directory *path* where it is missing, for its owner alone. Raises HostError."""
    with files.refusals_told(path):
        os.makedirs(path, files.PRIVATE_FOLDER, exist_ok=True)


def write(path: str, pieces: Iterable[bytes], replaces: bool, mode: Optional[int] = None) -> bool:
    """Make the file *path* of *pieces*; False where something has that name, unless that *replaces* it.

    It is private where no *mode* is given. Raises HostError; nothing is left then.
    """
    if not replaces and files.is_there(path):
        return False
    with files.refusals_told(path):
        partial = os.path.join(os.path.dirname(path), ".queuectl-%s.partial" % os.urandom(8).hex())
        fd = files.open_private(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with os.fdopen(fd, "wb") as file:
                for piece in pieces:
                    file.write(piece)
                if mode is not None:
                    files.make_private(file.fileno(), mode)
            if replaces:
                files.replace(partial, path)
                return True
            return named(partial, path)
        finally:
            with contexts.suppress(OSError):
                os.unlink(partial)


def named(partial: str, path: str) -> bool:
    """Give the file *partial* the name *path*, also; False where something has it. Raises OSError."""
    try:
        if system.WINDOWS:
            os.rename(partial, path)  # which refuses there what another has
        else:
            os.link(partial, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        if files.is_there(path):
            return False
        os.rename(partial, path)
    return True
