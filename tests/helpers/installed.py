"""A home with a copy of the program in it, and other files copied over these."""

import os
import re
import sys
import time

from helpers.bundle import BUNDLE, copy_bundle
from helpers.home import Home, contents


class Installed(Home):
    """A home that holds its own copy of the bundle, and is called by it."""

    def command(self, *words):
        return self.python + [os.path.join(self.path, "queuectl.py")] + [str(word) for word in words]

    def replace(self, change):
        """Copy the bundle over itself as `cp -r` does, file by file, each *change*d by a function of its text."""
        for name in reversed(BUNDLE):  # the folder first, the door last
            path = os.path.join(self.path, name)
            inside = [os.path.join(folder, one) for folder, _, names in os.walk(path) for one in names]
            for file in sorted(one for one in inside or [path] if one.endswith(".py")):
                text = contents(file)
                with open(file, "w", encoding="utf-8") as target:
                    target.write(change(text))
                # Python tells a file from its bytecode by size and second: as if this were some seconds later.
                os.utime(file, (time.time() + 5,) * 2)


class Copy(Installed):
    """The same, copied there at once; as before its first start, without bytecode, where it is not *used*."""

    def __init__(self, path, used=True):
        super().__init__(path)
        os.mkdir(self.path, 0o700)
        copy_bundle(self.path, used_by=sys.executable if used else None)


def newer(text):
    """As if the next version had been released."""
    return re.sub(r'^VERSION = ".*"$', 'VERSION = "9.9.9"', text, flags=re.M)


def broken(text):
    """No version of ours at all: whoever loads this, and be it one line, is found out."""
    return "raise SystemExit('this was loaded after all')\n"
