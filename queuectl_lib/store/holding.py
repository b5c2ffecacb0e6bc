"""Jobs held by a person: kept from starting with all that they have, and let go again."""

from __future__ import annotations

import sqlite3

from queuectl_lib import errors, times
from queuectl_lib.errors import QueueError
from queuectl_lib.host import bell
from queuectl_lib.jobs import states
from queuectl_lib.store import changing, finding, locking, opening, placing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator, Optional, Sequence, Set

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Found

HOLD_JOB = (
    "UPDATE jobs SET held_at = ?, lane = %s, updated_at = ?"
    " WHERE seq = ? AND held_at IS NULL AND state IN ('pending', 'failed')"
) % placing.place("''", "''", "''")
RELEASE_JOB = (
    "UPDATE jobs SET held_at = NULL, lane = %s, updated_at = ?"
    " WHERE seq = ? AND held_at IS NOT NULL AND state IN ('pending', 'failed')"
) % placing.place(held_at="NULL")
STANDING = "SELECT seq, state, held_at, lock_key FROM jobs WHERE id = ?"


def hold(database: Database, ids: Sequence[str], now: float) -> None:
    """Keep waiting jobs from starting; all or none. One that is held already stays so.

    Raises QueueError when one does not exist, runs, or is finished.
    """
    now_text = times.utc_text(now)
    freed = 0
    with finding.no_job_without_database(ids), database.writing() as connection:
        for identifier in ids:
            job = standing(connection, identifier)
            if job["state"] == "processing":
                text = "job %s runs: cancel it, or hold it when it is back: nothing was held"
                raise QueueError(text % identifier, "wrong_state")
            if job["state"] in states.FINAL:
                raise QueueError("job %s is %s already: nothing was held" % (identifier, job["state"]), "wrong_state")
            if job["held_at"] is None:
                moved = connection.execute(HOLD_JOB, (now_text, now_text, job["seq"]))
                opening.refuse_ignored(1 - moved.rowcount)
                freed += locking.free_lock(connection, job["lock_key"])  # it may have been the next one with that lock
    if freed:
        bell.ring(database.folder.bell)


def release(database: Database, ids: Sequence[str], now: float) -> None:
    """Let held jobs go to where they belong by now; all or none. What nobody holds stays as it is, also where it runs.

    Raises QueueError when one does not exist or is finished: it would not run.
    """
    now_text = times.utc_text(now)
    with finding.no_job_without_database(ids), database.writing() as connection:
        for identifier in ids:
            job = standing(connection, identifier)
            if job["state"] in states.FINAL:
                text = "job %s is %s already: nothing was released"
                raise QueueError(text % (identifier, job["state"]), "wrong_state")
            if job["held_at"] is not None and job["state"] in states.WAITING:
                moved = connection.execute(RELEASE_JOB, (now_text, now_text, job["seq"]))
                opening.refuse_ignored(1 - moved.rowcount)
    bell.ring(database.folder.bell)


class Holding(changing.Verb):
    """Waiting jobs held (*hold*), or let go, in the states of *guard*."""

    HEAD = "SELECT state, held_at, lock_key FROM jobs WHERE seq = ?"

    def __init__(self, guard: Sequence[str], hold: bool, now: float) -> None:
        super().__init__()
        self.guard = guard
        self.hold = hold
        self.now_text = times.utc_text(now)
        self.keys: Set[Optional[str]] = set()

    def one(self, connection: sqlite3.Connection, seq: int) -> bool:
        found = opening.rows(connection, self.HEAD, (seq,))
        if not found or found[0]["state"] not in self.guard or (found[0]["held_at"] is None) != self.hold:
            return False
        moved = connection.execute(HOLD_JOB if self.hold else RELEASE_JOB, (self.now_text, self.now_text, seq))
        opening.refuse_ignored(1 - moved.rowcount)
        self.keys |= {found[0]["lock_key"]} if self.hold else set()
        return True

    def finish(self, connection: sqlite3.Connection) -> None:
        for key in self.keys - {None}:
            locking.free_lock(connection, key)
        self.keys.clear()


def change_all(database: Database, found: Iterator[Found], verb: Holding, tell: Callable[[], object]) -> None:
    """Hold the jobs *found*, or let them go; changing.change tells more."""
    changing.change(database, found, verb, tell)
    bell.ring(database.folder.bell)


def standing(connection: sqlite3.Connection, identifier: str) -> sqlite3.Row:
    """The job's seq, state, held_at and lock_key. Raises QueueError if there is none."""
    found = opening.rows(connection, STANDING, (identifier,))
    if not found:
        raise errors.no_such_job(identifier)
    return found[0]
