"""Our own files: where they lie, whose home they serve, and that nobody else could have written what is loaded."""

from __future__ import annotations

import os
import sys

import queuectl_lib
from queuectl_lib import contexts
from queuectl_lib.host import loading
from queuectl_lib.host.loading import IS_ARCHIVE, LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

SCRIPT = LIBRARY if IS_ARCHIVE else os.path.join(LIBRARY, "queuectl.py")
HERE = os.path.dirname(SCRIPT)  # the home, where none is named


# What a worker sets beside QUEUECTL_HOME: the same home, and the program that it holds for.
SET_BY_WORKER = ("QUEUECTL_WORKER_HOME", "QUEUECTL_PROGRAM")


def home_was_set() -> bool:
    """True where a worker has set QUEUECTL_HOME for its jobs, and nobody has changed it since."""
    home = os.environ.get("QUEUECTL_HOME")
    return bool(home) and os.environ.get(SET_BY_WORKER[0]) == home


def home_in_environment() -> str:
    """QUEUECTL_HOME, "" without; but what a worker has set holds for the program alone that the worker runs."""
    if home_was_set():
        program = os.environ.get(SET_BY_WORKER[1], "")
        with contexts.suppress(OSError):
            if program != SCRIPT and not os.path.samefile(program, SCRIPT):
                return ""
    return os.environ.get("QUEUECTL_HOME", "")


def admit() -> None:
    """Have Python find what is ours, and load nothing of it that somebody else could have written. Raises HostError."""
    from queuectl_lib.host import trust  # which no worker needs

    way = trust.Way()
    way.look_at_code(LIBRARY)
    if not IS_ARCHIVE:
        loading.Finder.way = way
        way.refuse_code(SCRIPT)
        for name in [name for name in sys.modules if name.startswith("queuectl_lib")]:
            spec = sys.modules[name].__spec__  # of the first rooms: the door asked for no group
            if spec and spec.origin:
                way.refuse_code(spec.origin, spec.cached)
    loading.find_ours()


def look_again() -> None:
    """See that nobody else could have written anything that lies among our files. Raises HostError."""
    from queuectl_lib.host import trust  # which a supervisor has loaded

    way = trust.Way()
    way.look_at_code(LIBRARY)
    for name in queuectl_lib.BUNDLE + ("__pycache__",) if not IS_ARCHIVE else ():
        way.refuse_tree(os.path.join(LIBRARY, name))


@contexts.contextmanager
def found_by_child() -> Iterator[None]:
    """A process that multiprocessing spawns meanwhile inherits our folder as the last on its sys.path.

    It reads all files anew, so they are looked at anew. Raises HostError.
    """
    look_again()
    sys.path.append(LIBRARY)
    try:
        yield
    finally:
        sys.path.pop()
