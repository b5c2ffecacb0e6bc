"""How often the system has ended a process for want of memory: evidence for a job that was killed.

Linux counts that: for the memory cgroup of this process, which is that of its jobs, too, unless they leave it; where
that tells nothing, for the whole host. So it proves nothing of one job; but where the count rose while a job ran
that a SIGKILL ended which was not ours, that is the likely reason.
"""

from __future__ import annotations

import functools
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

SECONDS = 1.0  # how old a count may be that was taken before a job began: its share of a short job is nothing
LIKELY = "likely"
HOST = "/proc/vmstat"
OWN = "/proc/self/cgroup"
LAST: List[object] = [float("-inf"), None]  # when (monotonic), and the count


@functools.lru_cache(maxsize=None)
def place() -> Optional[str]:
    """The file that tells of our cgroup, or else of the host; None where there is none, as outside of Linux."""
    return next((path for path in of_own_cgroup() + [HOST] if count_in(path) is not None), None)


def of_own_cgroup() -> List[str]:
    """The files that may tell of our cgroup, of version 1 and 2. What is mounted elsewhere is not found."""
    try:
        with open(OWN, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return []
    found = []
    for line in lines:
        if len(line) == 3 and "memory" in line[1].split(","):
            found.append("/sys/fs/cgroup/memory%s/memory.oom_control" % line[2].rstrip("/"))
        elif len(line) == 3 and line[1] == "":
            found.append("/sys/fs/cgroup%s/memory.events" % line[2].rstrip("/"))
    return found


def count_in(path: str) -> Optional[int]:
    """The number behind oom_kill (Linux 4.13) in the file *path*; None where it does not tell."""
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            text = os.read(fd, 65536)
        finally:
            os.close(fd)
        at = (b"\n" + text).index(b"\noom_kill ")
        return int(text[at + len(b"oom_kill ") :].split(None, 1)[0])
    except (OSError, ValueError, IndexError):
        return None


def before(now: float) -> Optional[int]:
    """The count as it was at *now* (monotonic), just before a job begins, or up to SECONDS earlier."""
    taken, count = LAST
    if now - taken > SECONDS:  # type: ignore[operator]
        path = place()
        count = None if path is None else count_in(path)
        LAST[:] = [time.monotonic(), count]
    return count  # type: ignore[return-value]


def evidence(count: Optional[int]) -> Optional[str]:
    """LIKELY where it is more by now than *count*, taken before a job began; None where that is not known."""
    path = None if count is None else place()
    now = None if path is None else count_in(path)
    if now is not None:  # for those that begin from now on this one is no evidence
        LAST[:] = [time.monotonic(), now]
    return LIKELY if now is not None and count is not None and now > count else None
