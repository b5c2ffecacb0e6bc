"""The bytecode of our own files, which spares each call compiling: whether it is there, and written where it is not."""

from __future__ import annotations

import os
import sys

import queuectl_lib
from queuectl_lib import contexts
from queuectl_lib.host import loading
from queuectl_lib.host.loading import IS_ARCHIVE, LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, List, Optional


def sources() -> List[str]:
    """The path of every file of the bundle, none for an archive."""
    found = [os.path.join(LIBRARY, name) for name in queuectl_lib.BUNDLE if name.endswith(".py")]
    for folder, _, names in os.walk(os.path.join(LIBRARY, "queuectl_lib")):
        found += [os.path.join(folder, name) for name in names if name.endswith(".py")]
    return [] if IS_ARCHIVE else sorted(found)


def lean_cache_of(path: str) -> str:
    return loading.lean(loading.cache_of(path))


def uncached(cache_of: Callable[[str], str] = loading.cache_of) -> Iterator[str]:
    """The sources that have no bytecode, or one that is not theirs any more (of another time or size)."""
    for path in sources():
        if os.path.basename(path) == "queuectl.py":
            continue  # Python compiles it at each call, whatever there is
        try:
            with open(cache_of(path), "rb") as file:
                is_current = file.read(loading.HEADER_BYTES) == loading.header_of(os.stat(path))
        except OSError:
            is_current = False
        if not is_current:
            yield path


def is_ours() -> bool:
    """True where the files are this user's, and he may write beside them."""
    if IS_ARCHIVE or not os.access(os.path.join(LIBRARY, "queuectl_lib"), os.W_OK):
        return False
    return sys.platform == "win32" or os.stat(LIBRARY).st_uid == os.geteuid()


def write_bytecode() -> None:
    """Have the bytecode of all our files beside them, where they are ours.

    PYTHONDONTWRITEBYTECODE, which many containers set, forbids Python to keep what it has
    compiled, not to use what is there. What a worker loads is there without docstrings and annotations, too. Raises
    HostError where somebody else could have written that.
    """
    if loading.Finder.way:
        for path in sources():
            loading.Finder.way.refuse_code(lean_cache_of(path))
    missing = list(uncached()) if is_ours() else []
    lean = [path for path in uncached(lean_cache_of) if not is_for_calls(path)] if is_ours() else []
    if (missing or lean) and has_room():
        import py_compile  # needed only here

        with contexts.suppress(OSError, py_compile.PyCompileError):  # a full disk: it was only to be quicker
            for path in missing:
                keep_only_whole(py_compile.compile(path, doraise=True))
            for path in lean:
                keep_only_whole(write_lean(path))


ROOM_BYTES = 64 << 20  # free: with less of it the few megabytes of bytecode are left to the jobs


def has_room() -> bool:
    """False where the disk of our files is so full that a start must not fill it."""
    import shutil  # needed only here

    try:
        return shutil.disk_usage(LIBRARY).free >= ROOM_BYTES
    except OSError:
        return True


def write_lean(path: str) -> str:
    """Write the bytecode that a worker loads, of the source *path*; returns where. Raises OSError.

    It reads no docstrings, annotations (54 kB of strings and tuples) and columns of tracebacks (15 kB).
    """
    import ast  # needed only here
    import marshal

    with open(path, "rb") as file:
        info = os.fstat(file.fileno())
        tree = ast.parse(file.read(), path)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        for part in ("body", "orelse", "finalbody"):
            statements = getattr(node, part, None)
            if isinstance(statements, list):
                statements[:] = [without_types(one) for one in statements]
    code = lines_only(compile(tree, path, "exec", dont_inherit=True, optimize=2))
    cache = lean_cache_of(path)
    os.makedirs(os.path.dirname(cache), exist_ok=True)
    partial = "%s.%d" % (cache, os.getpid())
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, info.st_mode & 0o666 | 0o200), "wb") as file:
            file.write(loading.header_of(info) + marshal.dumps(code))
        os.replace(partial, cache)
    except OSError:
        with contexts.suppress(OSError):
            os.unlink(partial)
        raise
    return cache


def without_types(statement: Any) -> Any:
    """A statement that needs nothing which is there for annotations: NAME: TYPE = VALUE, and what lets Python 3.8 read.

    One that does nothing stands for what had no other meaning.
    """
    import ast  # needed only here

    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        return ast.copy_location(ast.Assign([statement.target], statement.value, lineno=statement.lineno), statement)
    if isinstance(statement, ast.AnnAssign) or getattr(statement, "module", None) == "__future__":
        return ast.copy_location(ast.Pass(), statement)
    return statement


def lines_only(code: Any) -> Any:
    """A code object that knows its lines, not the columns too: its table has but entries of kind 13 and 15.

    (Of Python 3.11 and later: Objects/locations.md in its sources. An entry is for up to eight code units.)
    """
    if not hasattr(code, "co_positions"):
        return code
    table, before = bytearray(), code.co_firstlineno
    for start, end, line in code.co_lines():
        for place in range(start, end, 16):
            kind = 15 if line is None else 13
            table.append(0x80 | kind << 3 | (min(end - place, 16) // 2 - 1))
            if line is not None:
                table += signed_number(line - before)
                before = line
    inner = [lines_only(one) if isinstance(one, type(code)) else one for one in code.co_consts]
    found = code.replace(co_linetable=bytes(table), co_consts=tuple(inner))
    return found if lines_of(found) == lines_of(code) else code


def signed_number(value: int) -> bytearray:
    """As that table has it: six bits a byte, the lowest first, of them the first one for the sign."""
    rest = abs(value) << 1 | (value < 0)
    found = bytearray()
    while rest > 63:
        found.append(rest & 63 | 64)
        rest >>= 6
    found.append(rest)
    return found


def lines_of(code: Any) -> List[Optional[int]]:
    """The line of each code unit."""
    return [line for start, end, line in code.co_lines() for _ in range(start, end, 2)]


def is_for_calls(path: str) -> bool:
    """True for a room that no worker loads."""
    return os.path.basename(os.path.dirname(path)) in ("commands", "doctor", "reports")


def keep_only_whole(cache: Optional[str]) -> None:
    """Remove bytecode that a full disk has cut short: Python does not look (before 3.13), and stumbles on it."""
    import marshal  # needed only here

    if cache:
        with open(cache, "rb") as file:
            code = file.read()[loading.HEADER_BYTES :]
        try:
            marshal.loads(code)
        except (EOFError, ValueError, TypeError):
            os.unlink(cache)  # Windows lets nobody remove a file that is open
