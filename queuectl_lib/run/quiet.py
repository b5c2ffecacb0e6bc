"""Quiet: that nothing has changed, by the times of the files in which it would show, for those who wait for it.

Who looks for what, and how often, while there is nothing to do (the numbers are those of run/pace):

    an idle worker wakes    at once for the bell (a new job), a signal (a stop), and the end of its supervisor;
                            after LOOK_AROUND_SECONDS or poll_interval, and when the next job falls due
    a supervisor wakes      at once for a signal and the end of a worker; after SUPERVISOR_TICK_SECONDS

    a wake costs both       a look at the folder of life files, whose time tells that none came, went or was asked
                            for (a stop, a sweep, a renamed home), and at the database, whose time tells of a commit
    all is looked at        where these have changed or are not SETTLED_SECONDS old, where the clock was set, and
                            every LOOK_AT_ALL_SECONDS, for the times of files are no more than a hint
    the database is opened  where it has changed, and else every FRESH_SECONDS by one worker of a supervisor or another

An idle process has cold caches: every room that a wake walks through costs it tens of microseconds.
"""

from __future__ import annotations

import os
import time

from queuectl_lib.host import system
from queuectl_lib.run import pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Sequence, Tuple

    from queuectl_lib.host.waking import Bell
    from queuectl_lib.store.database import Database


class Quiet:
    """Whether nothing has changed since one last looked at all there is: no file, and of *signals* none was noted.

    To a worker, whose *bell* is given, commits matter and the end of its supervisor; to a supervisor no more of the
    database than which file it is. Who only reads *sees_commits*, too.
    """

    def __init__(
        self, database: Database, signals: Sequence[int], bell: Optional[Bell] = None, sees_commits: bool = False
    ) -> None:
        self.members = database.folder.workers
        self.path = database.path
        self.signals = signals
        self.bell = bell
        self.sees_commits = sees_commits or bell is not None
        self.seen: Any = None
        self.since = 0.0  # monotonic: when all was looked at
        self.offset = 0.0  # of the clock then

    def stay(self, wait: Callable[[], bool], due: Optional[float] = None) -> bool:
        """Wait again and again while nothing changes, and nothing is about to fall *due*.

        True where *wait* said that it was woken; else the caller is to look at all there is, now.
        """
        while not self.signals and (due is None or due > time.time() + pace.LOOK_AROUND_SECONDS):
            if (self.bell and not self.bell.tells_of_parent()) or not self.lasts():
                break
            if wait():
                return True
        return False

    def lasts(self) -> bool:
        """True while nothing has changed. (What has been at rest for SETTLED_SECONDS was looked at since.)"""
        seen, now, clock = self._look(), time.monotonic(), time.time()
        lasts = seen is not None and seen == self.seen and now - self.since < pace.LOOK_AT_ALL_SECONDS
        if lasts and abs(clock - now - self.offset) < pace.CLOCK_SET_SECONDS:
            return True
        self.since, self.offset = now, clock - now
        self.seen = seen if seen and seen[0] < clock - pace.SETTLED_SECONDS else None
        return False

    def _look(self) -> Optional[Tuple[float, ...]]:
        """When the files last changed (seconds since 1970), and what differs after a change; None: no evidence."""
        if not system.TELLS_FILE_TIMES:
            return None
        try:
            members, main = os.stat(self.members), os.stat(self.path)
            log = os.stat(self.path + "-wal") if self.sees_commits else main
        except OSError:
            return None
        places = (members.st_mtime_ns, members.st_ino, members.st_dev, main.st_ino, main.st_dev)
        if not self.sees_commits:
            return (members.st_mtime, *places)
        times = (main.st_mtime_ns, main.st_size, log.st_mtime_ns, log.st_size, log.st_ino)
        return (max(members.st_mtime, main.st_mtime, log.st_mtime), *places, *times)
