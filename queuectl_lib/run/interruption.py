"""An interruption from outside is no failure: a job that a stop of everything at once has ended is given back.

At the end of a host, a container or a service TERM goes to supervisor, workers, watchers and
commands in the same moment. A command that dies by a signal that stops, within the grace time
after its supervisor was told to stop, has been interrupted. Its death may be seen before the
stop is, so such a death, and no other, is held back for a moment before it counts.

A stop is told by the request files of the supervisor (store/folder), which outlive it as long as
jobs of its workers are under way. Without one nothing is given back, so no job can go on so for ever.
"""

from __future__ import annotations

import os
import time

from queuectl_lib.run import run_file
from queuectl_lib.store import stops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.run.attempt import Attempt
    from queuectl_lib.store.folder import Folder

SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT", "SIGKILL")
HOLD_SECONDS = 0.5  # how long the stop may take to be seen after the death
SIGNALLED_SECONDS = 3.0  # the same where the worker itself was signalled, and starts nothing any more


def has_ended(attempt: Attempt) -> Optional[bool]:
    """Whether a stop of everything has ended it; None while that may come out yet."""
    if attempt.ending or attempt.code == 0:
        return False
    if attempt.code is None:  # it has left none, so when it died is not known
        return any(stop.is_told() for stop in attempt.stops)
    if run_file.how_it_ended(attempt.code)[1] not in SIGNALS:
        return False
    found = [stop.explains(attempt.ended_at, attempt.grace) for stop in attempt.stops]
    return True if True in found else None if None in found else False


class Stop:
    """What a worker knows of a stop of its supervisor."""

    def __init__(self, folder: Folder, supervisor: str) -> None:
        self.folder = folder
        self.supervisor = supervisor
        self.told_at: Optional[float] = None  # monotonic
        self.is_signalled = False

    def is_asked(self, request: str) -> bool:
        """True where the supervisor, and so the worker, is asked to (one of roster.REQUESTS)."""
        return self.folder.is_asked(self.supervisor, request)

    def heed(self) -> None:
        """The worker is stopping: by its supervisor's wish, or it was signalled itself."""
        self.is_signalled = True
        self._look()

    def explains(self, died_at: float, grace: float) -> Optional[bool]:
        """Whether a death at *died_at* (monotonic) belongs to the stop; None while that may come out yet."""
        self._look()
        if self.told_at is not None:
            return died_at - self.told_at <= grace
        patience = SIGNALLED_SECONDS if self.is_signalled else HOLD_SECONDS
        return None if time.monotonic() < died_at + patience else False

    def is_told(self) -> bool:
        self._look()
        return self.told_at is not None

    def _look(self) -> None:
        if self.told_at is None and stops.told_to_stop(self.folder, self.supervisor):
            self.told_at = time.monotonic()


class PastStop:
    """The same for the job of a worker that is dead, by the times of files."""

    def __init__(self, folder: Folder, worker: str) -> None:
        self.folder = folder
        self.supervisor = stops.supervisor_of(worker)

    def is_told(self) -> bool:
        return bool(stops.told_to_stop(self.folder, self.supervisor))

    def explains(self, died_at: float, grace: float) -> Optional[bool]:
        told = stops.told_to_stop(self.folder, self.supervisor)
        told = [moment - time.time() + time.monotonic() for moment in told]
        if any(-SIGNALLED_SECONDS <= died_at - moment <= grace for moment in told):
            return True
        young = time.monotonic() < died_at + HOLD_SECONDS
        return None if young and self.folder.is_alive(self.supervisor) else False


def noted_at(run_path: str) -> float:
    """When the exit code in a run file was written (monotonic), by the time of the file."""
    try:
        return time.monotonic() - max(0.0, time.time() - os.stat(run_path).st_mtime)
    except OSError:
        return time.monotonic()
