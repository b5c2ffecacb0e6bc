"""How Python finds and loads our rooms, in a call and in a process that multiprocessing has spawned, and nothing else.

A worker loads this room as Python does it, all others without what nobody reads there: so it is short, imports
little, and has its types in quotes.
"""

import os
import sys
from _frozen_importlib import ModuleSpec  # these two are of importlib, which need not be loaded for it
from _frozen_importlib_external import (  # type: ignore[attr-defined]
    MAGIC_NUMBER,
    PathFinder,
    SourceFileLoader,
    _compile_bytecode,
    cache_from_source,
)

import queuectl_lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from queuectl_lib.host.trust import Way

LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(queuectl_lib.__file__)))  # what modules are loaded from
IS_ARCHIVE = os.path.isfile(LIBRARY)  # queuectl.pyz


def lean(cache: str) -> str:
    """Where bytecode.write_bytecode keeps beside the bytecode *cache* that of workers, as Python calls it."""
    return cache[: -len("pyc")] + "opt-2.pyc"


class Loader(SourceFileLoader):
    """Takes the bytecode at one go where it is as it should be, which saves a call of thirty rooms a millisecond.

    All else is left to Python, which knows more kinds of it, and writes what is missing.
    """

    def caches(self) -> "Tuple[str, ...]":
        """Where bytecode may be, the best first."""
        return (cache_of(self.path),)

    def get_code(self, fullname: str) -> "Optional[CodeType]":
        for path in self.caches():
            try:
                data, info = read(path), os.stat(self.path)
                if data.startswith(header_of(info)):
                    found: "CodeType" = _compile_bytecode(memoryview(data)[HEADER_BYTES:], fullname, path, self.path)
                    return found
            except (OSError, EOFError, ValueError, TypeError, ImportError):
                pass
        try:
            return super().get_code(fullname)
        except (EOFError, ValueError, TypeError):  # a full disk has cut the bytecode short: the source is there
            return self.source_to_code(read(self.path), self.path)


class LeanLoader(Loader):
    """Takes the bytecode without docstrings and annotations, where it is: a worker reads none, and keeps all it has."""

    def caches(self) -> "Tuple[str, ...]":
        cache = cache_of(self.path)
        return lean(cache), cache


HEADER_BYTES = 16  # PEP 552: magic, flags, time, size


def header_of(info: "os.stat_result") -> bytes:
    """What the bytecode of a source begins with, of which *info* is known."""
    numbers = (0, int(info.st_mtime) & 0xFFFFFFFF, info.st_size & 0xFFFFFFFF)
    return MAGIC_NUMBER + b"".join([number.to_bytes(4, "little") for number in numbers])


def cache_of(path: str) -> str:
    """Where Python keeps the bytecode of the source *path*."""
    if sys.pycache_prefix:
        return cache_from_source(path)
    folder, _, name = path.rpartition(os.sep)
    return "%s%s__pycache__%s%s%s" % (folder, os.sep, os.sep, name[:-3], ENDING)


# Asked of an absolute path: of another one it would need the directory where this process is (PYTHONPYCACHEPREFIX).
ENDING = os.path.basename(cache_from_source(os.path.join(LIBRARY, "x.py")))[1:]


def read(path: str) -> bytes:
    """All that is in a file, asking no more than its size; less where it is cut meanwhile."""
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        return os.read(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)


class Finder:
    """Finds what is ours: beside queuectl_lib, whose folder is not on sys.path, where a json.py would count.

    It knows where that is, so it lists no folder and takes nothing else that lies beside a room, as Python would. In a
    call it looks at each file and folder before Python loads from it. For a worker its supervisor has looked.
    """

    way: "Optional[Way]" = None
    loader = Loader
    noted: "Dict[str, Any]" = {}  # of rooms that are loaded where they are needed: what stood there at the start

    @classmethod
    def find_spec(cls, name: str, path: "Any" = None, target: "Any" = None) -> "Optional[ModuleSpec]":
        if name.partition(".")[0] not in ("queuectl_lib", "storage", "worker"):
            return None
        if name in cls.noted and cls.noted[name] != stamp(path_of(name)):
            raise ImportError("%s was replaced after this process had begun" % path_of(name), name=name)
        if IS_ARCHIVE:
            return PathFinder.find_spec(name, path or [LIBRARY])
        place = LIBRARY + os.sep + name.replace(".", os.sep)
        for file, inside in ((place + ".py", None), (place + os.sep + "__init__.py", [place])):
            if os.path.exists(file) and not (inside and name.count(".") > 1):  # a floor, and no room
                if cls.way:
                    cls.way.refuse_code(file, cache_of(file))
                return spec_of(name, cls.loader(name, file), inside)
        raise ModuleNotFoundError("No module named %r" % name, name=name)

    def __reduce__(self) -> "Tuple[Callable[[], Finder], Tuple[()]]":
        return find_in_child, ()  # before what is handed over together with it


def spec_of(name: str, loader: "Loader", inside: "Optional[List[str]]") -> "ModuleSpec":
    """What Python is to know of one of ours before it is loaded; *inside* is where more of it lies."""
    spec = ModuleSpec(name, loader, origin=loader.path, is_package=bool(inside))
    spec.has_location = True
    spec.cached = cache_of(loader.path)
    if inside:
        spec.submodule_search_locations = inside
    return spec


def find_ours() -> None:
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


def find_in_child() -> "Finder":
    """The same in a process that multiprocessing has spawned, which found this room at the end of sys.path."""
    find_ours()
    while LIBRARY in sys.path:
        sys.path.remove(LIBRARY)
    forget_the_start()
    Finder.loader = LeanLoader
    Finder.noted = {"queuectl_lib." + name: stamp(path_of("queuectl_lib." + name)) for name in LATE.split()}
    return Finder()


# What a worker loads only where it is needed, as in few homes, for all that is loaded is in the memory of each: from
# the files as they were when it began, for newer ones need not fit the rest of it. (test_house knows that it is all.)
LATE = """store.schema store.steps store.log_of_another store.eligible store.rates store.gating jobs.gates jobs.windows
 host.load store.locking store.edges jobs.after jobs.retry_rules jobs.backoff jobs.verdicts host.control_file
 run.hearing store.snoozing store.alike store.following jobs.signatures host.digests run.telling run.limiting
 jobs.policy jobs.limits host.bounds store.kinds store.totals jobs.kinds run.scripts jobs.interpreters run.first_line
 jobs.notices meant jobs.broken_config jobs.launchers jobs.launcher_presets
 jobs.launcher_words run.far_attempt run.far host.control store.launched"""


def path_of(name: str) -> str:
    return LIBRARY + os.sep + name.replace(".", os.sep) + ".py"


def stamp(path: str) -> "Any":
    """What tells a file from one that has taken its place."""
    try:
        info = os.stat(LIBRARY if IS_ARCHIVE else path)
        return info.st_ino, info.st_mtime_ns, info.st_size
    except OSError:
        return None


# Of modules that multiprocessing loads: what stands for C where there is none, and tables of names, which we look up in
# none of: other names of locales, those of Python 2.
IN_PLACE_OF_C = {"_Pickler": "Pickler", "_Unpickler": "Unpickler"}
TABLES = {
    "locale": ("locale_alias", "windows_locale"),
    "_compat_pickle": ("IMPORT_MAPPING", "NAME_MAPPING", "REVERSE_IMPORT_MAPPING", "REVERSE_NAME_MAPPING"),
}


def forget_the_start() -> None:
    """Give back what Python has loaded for the start alone, before our rooms are: they come to stand in its place."""
    import datetime  # noqa: F401 - as the rooms will, and json: they leave much behind that can be collected
    import gc
    import json  # noqa: F401
    import pickle

    for name, of_c in IN_PLACE_OF_C.items():
        if vars(pickle).get(name) is not vars(pickle)[of_c]:
            vars(pickle).pop(name, None)
    for module, tables in TABLES.items():
        for table in tables:
            vars(sys.modules.get(module, sys)).get(table, {}).clear()
    forget_modules()
    sys.path_importer_cache.clear()
    gc.collect()


def forget_modules() -> None:
    """Those that multiprocessing has loaded for what no worker does: to hand sockets on, to track resources."""
    from multiprocessing import reduction

    known = vars(sys.modules["multiprocessing"])
    known.pop("resource_tracker", None)
    reducers = getattr(reduction.ForkingPickler, "_extra_reducers", {})
    whole = vars(reduction).pop("socket", None)
    reducers.pop(getattr(whole, "socket", None), None)
    for name in ("multiprocessing.resource_tracker", "socket"):
        sys.modules.pop(name, None)


def in_child(target: "Callable[..., None]", arguments: "Tuple[Any, ...]") -> "Dict[str, Any]":
    """What multiprocessing is to do in a spawned process: find what is ours, then call *target*, which is."""
    return {"target": call_in_child, "args": (Finder(), target) + arguments}


def call_in_child(finder: "Finder", target: "Callable[..., None]", *arguments: "Any") -> None:
    target(*arguments)
