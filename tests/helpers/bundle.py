"""What is copied together to a host, and copying it."""

import contextlib
import functools
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from queuectl_lib import BUNDLE

FILES = [name for name in BUNDLE if name.endswith(".py")]  # the doors


def copy_bundle(target, names=BUNDLE, used_by=None):
    """Copy the doors and the folder of rooms into the directory *target*, without what Python has cached.

    But with all bytecode where it is *used_by* a Python already, whose first start would compile for seconds.
    """
    for name in names:
        source = os.path.join(ROOT, name)
        if os.path.isdir(source):
            shutil.copytree(source, os.path.join(str(target), name), ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, str(target))  # with its time, which its bytecode has noted
    for name in bytecode_of(used_by) if used_by else ():
        folder = os.path.join(str(target), os.path.dirname(name))
        if os.path.isdir(os.path.dirname(folder)):
            os.makedirs(folder, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # a room that no worker loads has only one of them
                shutil.copy2(os.path.join(ROOT, name), folder)


WRITE_BYTECODE = """
import sys
sys.path.insert(0, sys.argv[1])
from queuectl_lib.host import bytecode
bytecode.write_bytecode()
print(sys.implementation.cache_tag)
"""


@functools.lru_cache(maxsize=None)
def bytecode_of(python):
    """The path below ROOT of all bytecode that *python* keeps of the bundle, once it is there."""
    tag = subprocess.check_output([python, "-S", "-B", "-c", WRITE_BYTECODE, ROOT], timeout=120).decode().strip()
    found = []
    for name in sources():
        folder, file = os.path.split(name)
        ends = (".pyc", ".opt-2.pyc") if name != "queuectl.py" else ()  # which is compiled at each call
        found += [os.path.join(folder, "__pycache__", "%s.%s%s" % (file[:-3], tag, end)) for end in ends]
    return found


def sources():
    """The path below ROOT of every Python file of the bundle: "storage.py", "queuectl_lib/settings.py" ..."""
    found = list(FILES)
    for folder, _, names in os.walk(os.path.join(ROOT, "queuectl_lib")):
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names if name.endswith(".py")]
    return sorted(name.replace(os.sep, "/") for name in found)
