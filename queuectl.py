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

VERSION = "0.1.0"
LIBRARY = os.path.dirname(os.path.realpath(__file__))  # of an archive, queuectl.pyz, the archive itself
FIRST = ("__init__", "errors", "host/__init__", "host/trust", "host/bundle")  # for all others bundle.Finder looks

if __name__ == "__main__":
    import gc
    gc.disable()  # until all is loaded
    # In place of the traceback where Ctrl+C comes before main can see to it.
    sys.excepthook = lambda *told: os._exit(130) if told[0] is KeyboardInterrupt else sys.__excepthook__(*told)
    umask = os.umask(0o022)
    os.umask(umask & 0o077 | 0o022)  # what Python caches of our files is for nobody else to write

if sys.version_info < (3, 8):
    told = "queuectl: error: this is Python %d.%d, and 3.8 or newer is needed: call queuectl.py with such a python3\n"
    sys.stderr.write(told % sys.version_info[:2])
    sys.exit(3)

try:
    if hasattr(os, "geteuid"):
        from _frozen_importlib_external import cache_from_source
        owners = (0, os.geteuid() or os.stat(LIBRARY).st_uid)  # for root the owner of the files is as good
        sys.dont_write_bytecode |= owners[1] != os.geteuid()  # who is to find nothing of root's among them
        is_open = os.stat(LIBRARY).st_mode & 0o011 or os.path.islink(LIBRARY + "/queuectl_lib")
        paths = [LIBRARY + "/queuectl_lib/%s.py" % name for name in FIRST if is_open]
        paths += [cache_from_source(path) for path in paths]
        for path in filter(os.path.exists, sorted(set(paths + [os.path.dirname(path) for path in paths]))):
            info = os.stat(path)
            if info.st_uid not in owners or info.st_mode & (0o002 if info.st_gid == info.st_uid else 0o022):
                sys.stderr.write("queuectl: error: %s can be written by other users: chmod go-w it first\n" % path)
                sys.exit(3)
    sys.path.insert(0, LIBRARY)  # only for this one, which loads nothing else
    import queuectl_lib
    del sys.path[0]
    if queuectl_lib.VERSION != VERSION:
        raise ImportError("queuectl.py is %s and queuectl_lib is %s" % (VERSION, queuectl_lib.VERSION), name="storage")
    from queuectl_lib.host import bundle
    bundle.admit()
    from queuectl_lib.commands import main as front
except Exception as error:
    text = "the folder queuectl_lib is not beside queuectl.py: copy queuectl.py, storage.py, worker.py and it together"
    if os.path.exists(LIBRARY + "/queuectl_lib") or os.path.isfile(LIBRARY):
        from queuectl_lib import lacking
        text = lacking.told(error, LIBRARY)
    sys.stderr.write("queuectl: error: %s\n" % text)
    sys.exit(3)

main = front.main
if __name__ == "__main__":
    front.begin(umask)
