#!/usr/bin/env python3
"""queuectl: a background job queue for shell commands, on one host, without installation.

This is the door. It sees that this Python is fit and that what belongs together is here, then
hands over; Python compiles it at every call and caches all else, so nothing else stands here.
Behind it: queuectl_lib, the rooms (its docstring is the map); storage.py, how jobs are kept and
move; worker.py, who runs them. Python 2.7 must be able to read it: types stand in comments.
"""

import os
import sys

VERSION = "0.1.0"
TOGETHER = "copy queuectl.py, storage.py, worker.py and queuectl_lib together"


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
    sys.stderr.write(
        "queuectl: error: this is Python %d.%d, and 3.8 or newer is needed: call queuectl.py with such a python3\n"
        % sys.version_info[:2]
    )
    sys.exit(3)

LIBRARY = os.path.dirname(os.path.realpath(__file__))  # of an archive, queuectl.pyz, the archive itself
if LIBRARY not in sys.path:
    sys.path.insert(0, LIBRARY)  # -I, -P and PYTHONSAFEPATH leave it out; for an archive it may be relative


def refuse(missing):
    # type: (Exception) -> int
    """Say which module is not there, one of ours or one that minimal packages of Python leave out; the exit code."""
    name, said = getattr(missing, "name", None) or "storage", str(missing)
    if said.startswith("cannot import name '"):
        name += "." + said.split("'")[1]
    text = "%s: %s" % (said, TOGETHER)
    if name.split(".")[0] not in ("queuectl_lib", "storage", "worker"):
        text = "this Python lacks a part that queuectl needs (%s): call queuectl.py with a complete one" % said
    elif said == "No module named 'queuectl_lib'":
        text = "the folder queuectl_lib is not beside queuectl.py: " + TOGETHER
    elif said.startswith(("No module", "cannot import")):
        for file in [name.rpartition(".")[0] + ".__init__"] * ("." in name) + [name]:
            path = file.replace(".", "/") + ".py"
            if not os.path.exists(os.path.join(LIBRARY, path)):
                text = "%s is missing: %s" % (path, TOGETHER)
                break
    sys.stderr.write("queuectl: error: %s\n" % text)
    return 3


try:
    import queuectl_lib

    if queuectl_lib.__file__ is None:  # a folder without its first file
        raise ImportError("No module", name="queuectl_lib.__init__")
    if queuectl_lib.VERSION != VERSION:
        text = "queuectl.py is %s and queuectl_lib is %s" % (VERSION, queuectl_lib.VERSION)
        raise ImportError(text, name="queuectl_lib")
    from queuectl_lib.commands import main as front
except (ImportError, SyntaxError) as error:  # the latter in a file that was copied by half
    sys.exit(refuse(error))


def main(argv=None):
    # type: (object) -> int
    """Run one command line (without the name of the program) and return its exit code."""
    try:
        return front.main(argv)  # type: ignore[arg-type]
    except (ImportError, SyntaxError) as error:  # of what one command alone needs
        return refuse(error)


if __name__ == "__main__":
    if hasattr(gc, "freeze"):  # PyPy has none
        gc.freeze()
    gc.enable()
    front.leave(main())
