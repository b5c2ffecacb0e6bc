"""What a gate asks of the host: its load, the memory and the disk space that are left, and the zone of its clock.

None is an answer that should have come and did not: a gate fails shut. What a host can never tell is a fact below, so
that a gate which could never open is refused when it is set.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

CAN_TELL_LOAD = hasattr(os, "getloadavg")
CAN_TELL_MEMORY = sys.platform in ("linux", "win32")
MEMORY = "/proc/meminfo"


def load() -> Optional[float]:
    """How many processes ran or wanted to, on average of the last minute."""
    if sys.platform == "win32":
        return None
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def memory_available() -> Optional[int]:
    """Bytes that programs can still take without the host having to swap."""
    if sys.platform == "win32":
        from queuectl_lib.host import windows  # which only loads there

        return windows.memory_available()
    return available_in(MEMORY) if CAN_TELL_MEMORY else None


def available_in(path: str) -> Optional[int]:
    """MemAvailable of meminfo, which Linux has since 3.14."""
    try:
        with open(path, "rb") as file:
            line = next(line for line in file if line.startswith(b"MemAvailable:"))
        return int(line.split()[1]) << 10
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def free_bytes(path: str) -> Optional[int]:
    """Bytes free to us on the disk that *path* is on, which is then looked at: a dead server can keep that waiting."""
    try:
        if sys.platform == "win32":
            import shutil  # with three compressors: needed only here

            return shutil.disk_usage(path).free
        disk = os.statvfs(path)
    except (OSError, ValueError):
        return None
    return disk.f_bavail * disk.f_frsize


def heed_zone() -> None:
    """Let the clock on the wall be that of the host as it is now: a process goes on with the zone it began in."""
    if sys.platform != "win32":
        time.tzset()
