#!/usr/bin/env python3
"""queuectl: a background job queue for shell commands, on one host, without installation.

This is the door. It sees that this Python is fit and that nobody else could have written what it loads, and hands over;
Python compiles it at every call and caches all else. Behind it: queuectl_lib, the rooms (its docstring is the map);
storage.py, how jobs are kept and move; worker.py, who runs them. Python 2.7 must read it: types stand in comments.
"""

import sys

if __name__ == "__main__" and not (getattr(sys.flags, "isolated", 0) or getattr(sys.flags, "safe_path", 0)):
    del sys.path[0]  # the folder of this file: a json.py in it is not Python's
import os

if __name__ == "__main__":
    # No traceback at Ctrl+C before main sees to it.
    sys.excepthook = lambda *told: os._exit(130) if told[0] is KeyboardInterrupt else sys.__excepthook__(*told)
    import gc
    gc.disable()  # until all is loaded
    umask = os.umask(0o022)
    os.umask(umask & 0o077 | 0o022)  # what Python caches of our files is for nobody else to write

VERSION = "0.1.0"
LIBRARY = os.path.dirname(os.path.realpath(__file__))  # or the archive, queuectl.pyz
FIRST = {  # all others: host/loading
    ("queuectl_lib" + name).replace("/__init__", "").replace("/", "."): "%s/queuectl_lib%s.py" % (LIBRARY, name)
    for name in ("/__init__", "/contexts", "/errors", "/lacking", "/host/__init__", "/host/trust", "/host/loading",
                 "/host/bundle")
}

if sys.version_info < (3, 8):
    told = "queuectl: error: this is Python %d.%d, and 3.8 or newer is needed: call queuectl.py with such a python3\n"
    sys.stderr.write(told % sys.version_info[:2])
    sys.exit(3)


def find_spec(name, path=None, target=None):
    # type: (str, object, object) -> object
    """For Python, which asks this module as a finder: of FIRST the very file, not what it might take beside it."""
    if name not in FIRST:
        return None
    if os.path.isfile(LIBRARY):
        return PathFinder.find_spec(name, path or [LIBRARY])  # type: ignore[arg-type]
    if not os.path.exists(FIRST[name]):
        raise ImportError("No module named %s" % name, name=name)
    return spec_from_file_location(name, FIRST[name])


try:
    from _frozen_importlib_external import PathFinder, cache_from_source, spec_from_file_location
    if hasattr(os, "geteuid"):
        owners = (0, os.stat("/").st_uid, os.geteuid() or os.stat(LIBRARY).st_uid)  # for root the owner is as good
        sys.dont_write_bytecode |= owners[2] != os.geteuid()  # who is to find nothing of root's among them
        paths = list(FIRST.values()) + [cache_from_source(path) for path in FIRST.values()]
        for path in filter(os.path.exists, sorted(set(paths + [os.path.dirname(path) for path in paths]))):
            info = os.stat(path)
            if info.st_uid not in owners or info.st_mode & (0o002 if info.st_gid == info.st_uid else 0o022):
                sys.stderr.write("queuectl: error: %s can be written by other users: chmod go-w it first\n" % path)
                sys.exit(3)
    sys.meta_path.insert(0, sys.modules[__name__])
    import queuectl_lib
    if queuectl_lib.VERSION != VERSION:
        raise ImportError("queuectl.py is %s and queuectl_lib is %s" % (VERSION, queuectl_lib.VERSION), name="storage")
    from queuectl_lib.host import bundle
    bundle.admit()
    from queuectl_lib.commands import main as front
except Exception as error:
    text = "the folder queuectl_lib is not beside queuectl.py: copy queuectl.py, storage.py, worker.py and it together"
    missing = [path[len(LIBRARY) + 1:] for path in sorted(FIRST.values()) if not os.path.exists(path)]
    if os.path.isfile(LIBRARY) or not missing:
        from queuectl_lib import lacking
        text = lacking.told(error, LIBRARY)
    elif os.path.isdir(LIBRARY + "/queuectl_lib"):
        text = "%s is missing: copy queuectl.py, storage.py, worker.py and queuectl_lib together" % missing[0]
    sys.stderr.write("queuectl: error: %s\n" % text)
    sys.exit(3)

main = front.main
if __name__ == "__main__":
    front.begin(umask)
