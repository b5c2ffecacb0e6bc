"""A file that a command writes for others to read (-o FILE): beside, and renamed, so that nobody reads half of it."""

from __future__ import annotations

import os

from queuectl_lib import errors, values
from queuectl_lib.errors import BadInput, HostError, QueueError
from queuectl_lib.host import files, new_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Optional, Sequence


def write(path: str, pieces: Iterable[bytes], begins: Sequence[bytes], what: str, mode: Optional[int] = None) -> None:
    """Make the file *path* of *pieces*, in the place of an older one of this kind; private, or with that *mode*.

    What is there must be empty or begin with one of *begins*, or it is not *what* this command makes, but somebody's.
    Raises BadInput or QueueError where something else stands there, HostError where the system refuses; then nothing
    has changed.
    """
    check(path)
    if os.path.basename(path) == "" or os.path.isdir(path):
        raise BadInput("-o: %s is a folder: name a file in it" % errors.shown(path))
    if files.is_irregular(path):
        raise BadInput("-o: %s is a link, a pipe or a device, and no file: name a file" % errors.shown(path))
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise HostError("-o: %s: there is no such folder" % errors.shown(os.path.dirname(path)))
    refuse_another(path, begins, what)
    new_files.write(path, pieces, replaces=True, mode=mode)


def refuse_another(path: str, begins: Sequence[bytes], what: str) -> None:
    """Raise QueueError for a file that is none of ours of this kind: the database itself may have been named."""
    if not files.is_there(path):
        return
    with files.refusals_told(path), os.fdopen(files.open_private(path, os.O_RDONLY), "rb") as file:
        begin = file.read(max(map(len, begins)))
    if begin and not any(begin.startswith(one) for one in begins):
        text = "-o: %s is there, and is no %s: give another name, or remove it first"
        raise QueueError(text % (errors.shown(path), what), "exists")


def check(path: str) -> None:
    """Raise BadInput for what is no name of a file."""
    if not values.check_text(path, "-o"):
        raise BadInput("-o is empty: name a file")
