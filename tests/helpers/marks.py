"""Where a test can run: marks for the whole file or one test."""

import os
import sys

import pytest

WINDOWS = sys.platform == "win32"

posix_only = pytest.mark.skipif(WINDOWS, reason="signals, modes and shells of POSIX")
long = pytest.mark.long
needs_proc = pytest.mark.skipif(WINDOWS or not os.path.isdir("/proc/self"), reason="looks into /proc")
