"""Our own files: where they lie, whether they can be trusted, and their bytecode, which spares each call compiling."""

from __future__ import annotations

import contextlib
import os
import sys

import queuectl_lib
from queuectl_lib.host import trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List

LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(queuectl_lib.__file__)))  # what modules are loaded from
IS_ARCHIVE = os.path.isfile(LIBRARY)  # queuectl.pyz
SCRIPT = LIBRARY if IS_ARCHIVE else os.path.join(LIBRARY, "queuectl.py")
HERE = os.path.dirname(SCRIPT)  # the home, where none is named


def sources() -> List[str]:
    """The path of every file of the bundle, none for an archive."""
    found = [os.path.join(LIBRARY, name) for name in queuectl_lib.BUNDLE if name.endswith(".py")]
    for folder, _, names in os.walk(os.path.join(LIBRARY, "queuectl_lib")):
        found += [os.path.join(folder, name) for name in names if name.endswith(".py")]
    return [] if IS_ARCHIVE else sorted(found)


def refuse_untrusted() -> None:
    """Raise HostError where another user could put code of his in the place of ours, or of its bytecode."""
    way = trust.Way()
    for path in sources() + [cache_of(path) for path in sources()] + [SCRIPT]:
        way.refuse_untrusted_file(path)


def cache_of(path: str) -> str:
    """Where Python keeps the bytecode of the source *path*."""
    import importlib.util  # needed only here

    return importlib.util.cache_from_source(path)


def uncached() -> Iterator[str]:
    """The sources that have no bytecode, or one that is not theirs any more (of another time or size)."""
    import struct  # needed only here

    for path in sources():
        if os.path.basename(path) == "queuectl.py":
            continue  # Python compiles it at each call, whatever there is
        try:
            with open(cache_of(path), "rb") as file:  # PEP 552: magic, flags, time, size
                header = file.read(16)
            info = os.stat(path)
        except OSError:
            yield path
            continue
        if header[4:] != struct.pack("<3I", 0, int(info.st_mtime) & 0xFFFFFFFF, info.st_size & 0xFFFFFFFF):
            yield path


def is_ours() -> bool:
    """True where the files are this user's, and he may write beside them."""
    if IS_ARCHIVE or not os.access(os.path.join(LIBRARY, "queuectl_lib"), os.W_OK):
        return False
    return sys.platform == "win32" or os.stat(LIBRARY).st_uid == os.geteuid()


def write_bytecode() -> None:
    """Have the bytecode of all our files beside them, where they are ours.

    PYTHONDONTWRITEBYTECODE, which many containers set, forbids Python to keep what it has
    compiled, not to use what is there.
    """
    missing = list(uncached()) if is_ours() else []
    if missing:
        import py_compile  # needed only here

        with contextlib.suppress(OSError, py_compile.PyCompileError):  # a full disk: it was only to be quicker
            for path in missing:
                py_compile.compile(path, doraise=True)
