"""Where a supervisor or worker stands: whether the queue at its path is still its own, and others see that it lives.

life file at its path, and ours          all is well
gone, the folder still ours              made anew: a cleaner of temporary files took it
the folder deleted or renamed, the
database still the one that it was       made anew with it: what runs goes on, its output is lost
the folder gone or another, and the
life file has a name somewhere (MOVED)   renamed, or covered by a mount: let go; the jobs go on, and whoever
                                         starts a worker where the folder is now adopts them
... and no name any more (DELETED)       nothing is left that anybody could adopt: the jobs go on to their
                                         end with their workers, and nothing of them can be recorded
the folder there, the database away for
so long that it was moved or deleted     let go, too
another queue's database in its place    the same (one of ours that was restored is followed: it has our id)
one without an id, never worked on       the same, for nothing tells whose it is: a backup from before our first
                                         worker, or the new database of another queue
cannot be told (no permission, no disk)  no evidence: as before
"""

from __future__ import annotations

import contextlib
import os
import time

from queuectl_lib.errors import QueueError
from queuectl_lib.run import log, pace
from queuectl_lib.store import identity
from queuectl_lib.store.presence import Presence, Sightings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, Tuple

    from queuectl_lib.settings import Settings
    from queuectl_lib.store.database import Database
    from queuectl_lib.store.folder import Folder
    from queuectl_lib.values import Fields

MOVED, DELETED, REPLACED, UNKNOWN = "moved", "deleted", "replaced", "unknown"
WHY = {
    MOVED: "the queue is no longer in %s: it was moved or renamed, or something is mounted over it",
    DELETED: "the queue in %s was deleted, so what its jobs come to can be recorded nowhere",
    REPLACED: "the database of another queue was put in the place of that in %s",
    UNKNOWN: "a database that no worker has worked on yet was put in the place of that in %s, so it may be another's",
}


class Standing:
    """Where one supervisor or worker stands."""

    def __init__(self, folder: Folder, name: str, details: Fields, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.say = say
        self.presence = Presence(folder, name, dict(details, folder=folder.path))
        self.sightings = Sightings(folder)
        self.place = identity_of(folder.path)
        self.database = identity_of(folder.database)
        self.lost = ""  # or MOVED (replaced, too), or DELETED
        self.reason = ""
        self.queue: Optional[Database] = None  # once it was known for what it is
        self.found_id = ""  # in a database that was put in the place of ours
        self.looked_at = 0.0
        self.shown_at = 0.0  # monotonic: when our life file was last seen before a start
        self.missed_at = 0.0  # monotonic: when our life file was first seen to be gone
        self.gone_at = 0.0  # monotonic: the same of the database
        self.told = ""
        self.logs = log.goes_to(folder.log)

    def recognise(self, database: Database, settle: Callable[..., bool], settings: Settings) -> None:
        """Know the queue for what it is before anything is done about its jobs; that it is a copy is told once.

        *settle* is that of storage. Raises QueueError and OSError.
        """
        told = identity.recognise(
            database, lambda connection, outcome: settle(connection, outcome, settings), time.time()
        )
        self.queue = database
        if told:
            self.say(told)

    def is_lost(self, at_once: bool = False) -> bool:
        """Look now and then, or *at_once*: True once the queue is not at its path any more, which is said once."""
        now = time.monotonic()
        if not self.lost and (at_once or now - self.looked_at >= pace.STANDING_SECONDS):
            self.looked_at = now
            with contextlib.suppress(OSError):  # it cannot be told: as before
                self._look(now)
        return bool(self.lost)

    def is_shown(self) -> bool:
        """True while others can see that we live, or could a moment ago. For each start of a job.

        They wait for MISSING_SECONDS before they take anybody for dead, so what was just seen need not be looked for.
        """
        now = time.monotonic()
        if now - self.shown_at < pace.HEED_SECONDS:
            return True
        if self.presence.is_shown():
            self.shown_at = now
            return True
        self.is_lost(at_once=True)
        return False

    def _look(self, now: float) -> None:
        database = identity_of(self.folder.database)
        if identity_of(self.folder.path) != self.place and not self._is_swept(database):
            self._lose(MOVED if self.presence.has_a_name() else DELETED)
            self.folder.is_deleted = self.lost == DELETED
        elif self._is_database_gone(database, now):
            self._lose(MOVED)
        elif self._is_another(database):
            self._lose(REPLACED if self.found_id else UNKNOWN)
        elif self.presence.is_shown():
            self.missed_at = 0.0
            self._see_to_log()
        elif not self.missed_at:  # all may be about to be deleted: in that nobody is to be disturbed
            self.missed_at = now
        elif now - self.missed_at >= pace.STANDING_SECONDS / 2:
            self._show_again()

    def _lose(self, what: str) -> None:
        """Know, and say, what became of the queue."""
        self.lost = MOVED if what in (REPLACED, UNKNOWN) else what
        self.reason = WHY[what] % os.path.dirname(self.folder.path)
        self.say(self.reason)

    def _is_swept(self, database: Optional[Tuple[int, int]]) -> bool:
        """True where the folder is gone, or was made anew by another of us, beside the *database* of ours."""
        return self.database is not None and database == self.database

    def _is_another(self, database: Optional[Tuple[int, int]]) -> bool:
        """True where what was put at its path is that of another queue; False where that cannot be told."""
        if database in (None, self.database) or self.queue is None:
            return False
        with contextlib.suppress(QueueError):
            self.found_id = identity.noted_id(self.queue)
            if self.found_id != self.folder.identity:
                return True
            self.database = database
        return False

    def _is_database_gone(self, database: Optional[Tuple[int, int]], now: float) -> bool:
        """True once it has been away for so long that nobody is just putting another one there."""
        if self.database is None or database is not None:
            self.gone_at = 0.0
            return False
        self.gone_at = self.gone_at or now
        return now - self.gone_at >= pace.GONE_SECONDS

    def _see_to_log(self) -> None:
        """Go on in a log that others find, where ours was deleted, or renamed with the folder. Raises OSError."""
        if self.logs and not log.goes_to(self.folder.log):
            log.begin_anew(self.folder.log)

    def _show_again(self) -> None:
        try:
            self.folder.make()
            self._see_to_log()
            self.presence.show_again()
            self.place = identity_of(self.folder.path)
        except OSError as error:
            text = "its life file was deleted or emptied and cannot be made anew: %s" % error.strerror
        else:
            text = "its life file was deleted or emptied (is %s swept by a cleaner?): made anew" % self.folder.workers
        if text != self.told:
            self.say(text)
        self.told = text

    def why(self) -> str:
        """What became of the queue, for people."""
        return self.reason

    def sees(self, name: str) -> bool:
        """True while the supervisor or worker *name* lives, or where that cannot be told."""
        return self.sightings.is_alive(name)

    def is_sure(self) -> bool:
        """True while the queue is known for what it is, and no life file that we look for is missing."""
        return bool(self.folder.identity) and not (self.missed_at or self.sightings.missed)

    def leave(self, holds_jobs: bool) -> None:
        """Give up the life file; one whose owner *holds_jobs* stays, as a dead one: these may be adopted at once."""
        with contextlib.suppress(OSError):
            self.presence.end(stays=holds_jobs or bool(self.lost))


def identity_of(path: str) -> Optional[Tuple[int, int]]:
    """Device and inode of *path*, None where nothing is there. Raises OSError where that cannot be told."""
    try:
        info = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return info.st_dev, info.st_ino
