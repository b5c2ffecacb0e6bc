"""What is copied together to a host, and copying it."""

import os
import shutil
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from queuectl_lib import BUNDLE

FILES = [name for name in BUNDLE if name.endswith(".py")]  # the doors


def copy_bundle(target, names=BUNDLE):
    """Copy the doors and the folder of rooms into the directory *target*, without what Python has cached."""
    for name in names:
        source = os.path.join(ROOT, name)
        if os.path.isdir(source):
            shutil.copytree(source, os.path.join(str(target), name), ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, str(target))


def sources():
    """The path below ROOT of every Python file of the bundle: "storage.py", "queuectl_lib/settings.py" ..."""
    found = list(FILES)
    for folder, _, names in os.walk(os.path.join(ROOT, "queuectl_lib")):
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names if name.endswith(".py")]
    return sorted(name.replace(os.sep, "/") for name in found)
