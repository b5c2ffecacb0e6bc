"""What the shells of this host do with the environment."""

from __future__ import annotations

import functools
import re
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")  # what every shell hands on to what it starts
OPTIONS_OF_BASH = frozenset(("SHELLOPTS", "BASHOPTS"))  # which it takes over, and no other shell does
ODD = "queuectl.odd-name"
PROBE = "import os, sys; sys.exit(%r not in os.environ)" % ODD


@functools.lru_cache(maxsize=None)
def hands_on(shell: str) -> bool:
    """True where *shell* hands variables whose names are none for it on to what it starts: bash does, dash does not.

    Takes some ten milliseconds, once.
    """
    call = [shell, "-c", 'exec "$0" -I -S -c "$1"', sys.executable, PROBE]
    try:
        return subprocess.run(call, env={ODD: "1"}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def bash() -> Optional[str]:
    """Where bash is, None where there is none."""
    import shutil  # with three compressors: needed only where a text has an odd variable

    return shutil.which("bash", path="/bin:/usr/bin:/usr/local/bin")
