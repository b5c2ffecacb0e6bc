"""A file that a command writes for others to read (-o FILE): beside, and renamed, so that nobody reads half of it."""

from __future__ import annotations

import os

from queuectl_lib import errors, values
from queuectl_lib.errors import BadInput, HostError
from queuectl_lib.host import files, new_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Optional


def write(path: str, pieces: Iterable[bytes], mode: Optional[int] = None) -> None:
    """Make the file *path* of *pieces*, in the place of one that is there; private, or with that *mode*.

    Raises BadInput where something else stands there, HostError where the system refuses; then nothing has changed.
    """
    check(path)
    if os.path.basename(path) == "" or os.path.isdir(path):
        raise BadInput("-o: %s is a folder: name a file in it" % errors.shown(path))
    if files.is_irregular(path):
        raise BadInput("-o: %s is a link, a pipe or a device, and no file: name a file" % errors.shown(path))
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise HostError("-o: %s: there is no such folder" % errors.shown(os.path.dirname(path)))
    new_files.write(path, pieces, replaces=True, mode=mode)


def check(path: str) -> None:
    """Raise BadInput for what is no name of a file."""
    if not values.check_text(path, "-o"):
        raise BadInput("-o is empty: name a file")
