"""Our own files: where they lie, whether they can be trusted, and their bytecode, which spares each call compiling."""

from __future__ import annotations

import contextlib
import os
import sys
from _frozen_importlib_external import (  # of importlib.machinery, which need not be loaded for it
    PathFinder,
    SourceFileLoader,
    spec_from_file_location,
)

import queuectl_lib
from queuectl_lib.host import trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(queuectl_lib.__file__)))  # what modules are loaded from
IS_ARCHIVE = os.path.isfile(LIBRARY)  # queuectl.pyz
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
        with contextlib.suppress(OSError):
            if program != SCRIPT and not os.path.samefile(program, SCRIPT):
                return ""
    return os.environ.get("QUEUECTL_HOME", "")


def sources() -> List[str]:
    """The path of every file of the bundle, none for an archive."""
    found = [os.path.join(LIBRARY, name) for name in queuectl_lib.BUNDLE if name.endswith(".py")]
    for folder, _, names in os.walk(os.path.join(LIBRARY, "queuectl_lib")):
        found += [os.path.join(folder, name) for name in names if name.endswith(".py")]
    return [] if IS_ARCHIVE else sorted(found)


def admit() -> None:
    """Have Python find what is ours, and load nothing of it that somebody else could have written. Raises HostError."""
    Finder.way = trust.Way()
    Finder.way.look_at_code(LIBRARY)
    if IS_ARCHIVE or trust.is_closed(LIBRARY, [os.path.join(LIBRARY, name) for name in queuectl_lib.BUNDLE]):
        Finder.way = None
    else:
        Finder.way.refuse_code(SCRIPT)
        for name in [
            name for name in sys.modules if name.startswith("queuectl_lib")
        ]:  # the door did not ask for groups
            spec = sys.modules[name].__spec__
            if spec and spec.origin:
                Finder.way.refuse_code(spec.origin, spec.cached)
    find_ours()


class Finder:
    """Finds what is ours: beside queuectl_lib, whose folder is not on sys.path, where a json.py would count.

    It knows where that is, so it lists no folder and tries no other endings, as Python would for each room. In a call
    it looks at each file and folder before Python loads from it. A worker loads what its supervisor has.
    """

    way: Optional[trust.Way] = None

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        if name.partition(".")[0] not in ("queuectl_lib", "storage", "worker"):
            return None
        if IS_ARCHIVE:
            return PathFinder.find_spec(name, path or [LIBRARY])
        place = LIBRARY + os.sep + name.replace(".", os.sep)
        for file, inside in ((place + ".py", None), (place + os.sep + "__init__.py", [place])):
            if os.path.exists(file):
                loader = SourceFileLoader(name, file)
                spec = spec_from_file_location(name, file, loader=loader, submodule_search_locations=inside)
                if cls.way and spec:
                    cls.way.refuse_code(file, spec.cached)
                return spec
        return None

    def __reduce__(self) -> Tuple[Callable[[], Finder], Tuple[()]]:
        return find_in_child, ()  # before what is handed over together with it


def find_ours() -> None:
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


@contextlib.contextmanager
def found_by_child() -> Iterator[None]:
    """A process that multiprocessing spawns meanwhile inherits our folder as the last on its sys.path."""
    sys.path.append(LIBRARY)
    try:
        yield
    finally:
        sys.path.pop()


def find_in_child() -> Finder:
    """The same in a process that multiprocessing has spawned, which found this room at the end of sys.path."""
    find_ours()
    while LIBRARY in sys.path:
        sys.path.remove(LIBRARY)
    return Finder()


def in_child(target: Callable[..., None], arguments: Tuple[Any, ...]) -> Dict[str, Any]:
    """What multiprocessing is to do in a spawned process: find what is ours, then call *target*, which is."""
    return {"target": call_in_child, "args": (Finder(), target) + arguments}


def call_in_child(finder: Finder, target: Callable[..., None], *arguments: Any) -> None:
    target(*arguments)


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
                keep_only_whole(py_compile.compile(path, doraise=True))


def keep_only_whole(cache: Optional[str]) -> None:
    """Remove bytecode that a full disk has cut short: Python does not look (before 3.13), and stumbles on it."""
    import marshal  # needed only here

    if cache:
        with open(cache, "rb") as file:
            file.seek(16)  # PEP 552: the header
            try:
                marshal.load(file)
            except (EOFError, ValueError, TypeError):
                os.unlink(cache)
