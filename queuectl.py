#!/usr/bin/env python3
"""queuectl: a background job queue for shell commands, on one host, without installation.

This is the door. It sees that this Python is fit and that what belongs together is here, then hands over;
Python compiles it at every call and caches all else. Behind it: queuectl_lib, the rooms (its docstring is the map);
storage.py, how jobs are kept and move; worker.py, who runs them. Python 2.7 must read it: types stand in comments.
"""

import os
import sys

VERSION = "0.1.0"


def leave_quietly(kind, error, trace):
    # type: (type, BaseException, object) -> None
    """In place of the traceback when Ctrl+C comes before main can see to it, while all is still loading."""
    if issubclass(kind, KeyboardInterrupt):
        os._exit(130)
    sys.__excepthook__(kind, error, trace)  # type: ignore[arg-type]


if __name__ == "__main__":
    import gc

    gc.disable()  # until all is loaded: there is nothing to find
    sys.excepthook = leave_quietly

if sys.version_info < (3, 8):
    told = "queuectl: error: this is Python %d.%d, and 3.8 or newer is needed: call queuectl.py with such a python3\n"
    sys.stderr.write(told % sys.version_info[:2])
    sys.exit(3)

LIBRARY = os.path.dirname(os.path.realpath(__file__))  # of an archive, queuectl.pyz, the archive itself
if LIBRARY not in sys.path:
    sys.path.insert(0, LIBRARY)  # -I, -P and PYTHONSAFEPATH leave it out; for an archive it may be relative


def refuse(error):
    # type: (Exception) -> int
    """Say what is missing or not whole: a file of ours, or what minimal packages of Python leave out; the exit code."""
    name, said = getattr(error, "name", None) or "storage", str(error)
    if isinstance(error, AttributeError):
        name = said.split("'")[1]
    elif said.startswith("cannot import name '"):
        name += "." + said.split("'")[1]
    text, cure = said, "copy queuectl.py, storage.py, worker.py and queuectl_lib together"
    if isinstance(error, OSError):
        text, cure = "cannot read %s" % error.filename, str(error.strerror)
    elif name.split(".")[0] not in ("queuectl_lib", "storage", "worker"):
        text, cure = "this Python lacks a part that queuectl needs (%s)" % said, "call queuectl.py with a complete one"
    elif said == "No module named 'queuectl_lib'":
        text = "the folder queuectl_lib is not beside queuectl.py"
    elif isinstance(error, AttributeError) or said.startswith(("No module", "cannot import")):
        parts = name.split(".")
        for place in ["/".join(parts[: end + 1]) for end in range(len(parts))]:
            is_folder = os.path.isdir(os.path.join(LIBRARY, place))
            text = place + ("/__init__.py" if is_folder else ".py")
            if not is_folder or not os.path.exists(os.path.join(LIBRARY, text)):
                break
        text += " is not whole" if os.path.exists(os.path.join(LIBRARY, text)) else " is missing"
    sys.stderr.write("queuectl: error: %s: %s\n" % (text, cure))
    return 3


try:
    import queuectl_lib

    if queuectl_lib.VERSION != VERSION:
        raise ImportError("queuectl.py is %s and queuectl_lib is %s" % (VERSION, queuectl_lib.VERSION), name="storage")
    from queuectl_lib.commands import main as front
except (ImportError, SyntaxError, AttributeError, OSError) as error:  # some in a file that was copied by half
    sys.exit(refuse(error))


def main(argv=None):
    # type: (object) -> int
    """Run one command line (without the name of the program) and return its exit code."""
    try:
        return front.main(argv)  # type: ignore[arg-type]
    except (ImportError, SyntaxError, AttributeError) as error:  # of what one command alone needs
        if isinstance(error, AttributeError) and "module '" not in str(error):
            raise
        return refuse(error)


if __name__ == "__main__":
    getattr(gc, "freeze", gc.enable)()  # PyPy has none
    gc.enable()
    front.leave(main())
