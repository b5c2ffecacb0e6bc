"""For tests against real programs (`make real`): which they need, and that these are not here."""

import os
import shutil

import pytest


def needs(*programs):
    """A mark that skips where one of *programs* is not installed, and names it."""
    missing = [program for program in programs if found(program) is None]
    return pytest.mark.skipif(bool(missing), reason="not installed: %s" % ", ".join(missing))


def found(program):
    """The path of a program, also where cron and others have no such folder in PATH; None where it is not there."""
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(("/usr/sbin", "/usr/local/bin")))
