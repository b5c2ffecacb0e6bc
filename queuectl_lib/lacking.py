"""Why nothing can begin: a file of ours that is missing or not whole, or what minimal packages of Python leave out."""

from __future__ import annotations

import os

TOGETHER = "copy queuectl.py, storage.py, worker.py and queuectl_lib together"


def told(error: Exception, library: str) -> str:
    """What is said of an *error* while the files in *library* are loaded; raises it where it is none of these."""
    name, said = getattr(error, "name", None) or "storage", str(error)
    if hasattr(error, "exit_code"):  # in words already
        return said
    if isinstance(error, OSError):
        return "cannot read %s: %s" % (error.filename, error.strerror)
    if isinstance(error, EOFError):  # a disk that was full when Python kept it; it does not look (before 3.13)
        cure = "find %s -name __pycache__ -exec rm -r {} +" % quoted(library)
        return "a file of compiled code is cut short: `%s` removes them" % cure
    if isinstance(error, AttributeError):
        name = said.split("'")[1]
    elif said.startswith("cannot import name '"):
        name += "." + said.split("'")[1]
    if not isinstance(error, (ImportError, SyntaxError, AttributeError)):
        raise error
    if name.split(".")[0] not in ("queuectl_lib", "storage", "worker"):
        text = "this Python lacks a part that queuectl needs (%s): call queuectl.py with a complete one"
        return text % said
    if isinstance(error, AttributeError) or said.startswith(("No module", "cannot import")):
        said = place_of(name, library)
    return "%s: %s" % (said, TOGETHER)


def quoted(path: str) -> str:
    """As host/system.quoted, which may be what is cut short."""
    is_plain = all(character.isalnum() or character in "/._-" for character in path)
    return path if is_plain else "'%s'" % path.replace("'", "'\"'\"'")


def place_of(name: str, library: str) -> str:
    """The file of the module *name*, and what is wrong with it."""
    parts, text = name.split("."), ""
    for place in ["/".join(parts[: end + 1]) for end in range(len(parts))]:
        is_folder = os.path.isdir(os.path.join(library, place))
        text = place + ("/__init__.py" if is_folder else ".py")
        if not is_folder or not os.path.exists(os.path.join(library, text)):
            break
    return text + (" is not whole" if os.path.exists(os.path.join(library, text)) else " is missing")
