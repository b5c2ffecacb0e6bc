"""Locks: jobs of which but so many run at a time, and the others are parked until a place is free.

    running with the key   < most   a job with it can be claimed
                           = most   the claim that meets one parks it (lane 4), and looks on
    one of them ends       free_lock: the best parked ones of each queue are due again

How many run is counted anew each time, from the rows of those that do (store/eligible). To free one too many is
harmless, for the claim parks it again; to free none where one could run is the mistake, so whatever ends, leaves lane
0 without a claim, or lets more run, calls free_lock, and a look each minute (free_some) makes up for rows that
somebody has deleted.
"""

from __future__ import annotations

import sqlite3

from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from queuectl_lib.store.database import Database

RUNNING_WITH = (
    "SELECT count(*) FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'processing' AND state <> 'completed' AND lock_key = ?"
)
MOST_WITH = "SELECT most FROM locks WHERE key = ?"
PARK = "UPDATE jobs SET lane = 4 WHERE seq = ? AND lane = 0"


class Taken:
    """Which locks are taken, as far as one claim has asked. (It takes one itself as its first, and asks no more.)"""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.free: Dict[object, int] = {}

    def is_taken(self, key: object) -> bool:
        """True where no other job with *key* may be started."""
        if key not in self.free:
            self.free[key] = free_places(self.connection, key)
        return self.free[key] <= 0


def free_places(connection: sqlite3.Connection, key: object) -> int:
    """How many more jobs with *key* may run; fewer than none where the number was lowered meanwhile."""
    most = connection.execute(MOST_WITH, (key,)).fetchone()
    running: int = connection.execute(RUNNING_WITH, (key,)).fetchone()[0]
    return (as_number(most[0]) if most else 1) - running


def as_number(most: object) -> int:
    """How many may run with a lock, as it is stored; 1 where somebody has made that what cannot be."""
    return most if isinstance(most, int) and most > 0 else 1


def park(connection: sqlite3.Connection, seq: int) -> None:
    """Put a due job aside, whose lock is taken. Raises IntegrityError where a trigger keeps it."""
    opening.refuse_ignored(1 - connection.execute(PARK, (seq,)).rowcount)


# "lane > 1" again, in so many words, for the proof that the index serves.
ASIDE = "FROM jobs INDEXED BY jobs_aside WHERE lane = 4 AND lane > 1 AND lock_key = ?"
NEXT_QUEUE = "SELECT queue %s AND queue > ? ORDER BY queue LIMIT 1" % ASIDE
BEST_PARKED = "SELECT seq %s AND queue = ? ORDER BY priority DESC, next_run_at, seq LIMIT ?" % ASIDE
UNPARK = "UPDATE jobs SET lane = 0 WHERE seq = ? AND lane = 4"
FREED_AT_ONCE = 500  # jobs or keys, in one transaction: of a lock with so many places each end frees as many again


def free_lock(connection: sqlite3.Connection, key: Optional[str]) -> int:
    """Make the best parked jobs with *key* due, of each queue as many as may run; how many.

    Of each queue, for the one that is best of all may wait in a queue that is paused.
    """
    queue = -1
    freed = 0
    while key is not None:
        found = connection.execute(NEXT_QUEUE, (key, queue)).fetchone()
        if not found:
            break
        places = free_places(connection, key)
        if places <= 0:
            break
        queue = found[0]
        best = connection.execute(BEST_PARKED, (key, queue, min(places, FREED_AT_ONCE))).fetchall()
        for row in best:
            freed += connection.execute(UNPARK, (row[0],)).rowcount
    return freed


NEXT_KEY = (
    "SELECT lock_key FROM jobs INDEXED BY jobs_aside"
    " WHERE lane = 4 AND lane > 1 AND lock_key > ? ORDER BY lock_key LIMIT 1"
)
LOCKS_RUNNING = (
    "SELECT lock_key, count(*) AS jobs FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'processing' AND state <> 'completed' AND lock_key IS NOT NULL GROUP BY lock_key"
)
HOLDERS = (
    "SELECT id, lock_key FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'processing' AND state <> 'completed' AND lock_key IS NOT NULL ORDER BY seq"
)
LOCKS = "SELECT key, most FROM locks"


def free_some(database: Database) -> int:
    """Make due what is parked for no reason any more: rows were deleted by hand. How many."""
    freed = 0
    with database.reading() as connection:
        keys = unheld_keys(connection)
    for begin in range(0, len(keys), FREED_AT_ONCE):
        with database.writing() as connection:
            for key in keys[begin : begin + FREED_AT_ONCE]:
                freed += free_lock(connection, key)
    return freed


def unheld_keys(connection: sqlite3.Connection) -> List[str]:
    """Locks that jobs are parked for, and of which a place is free."""
    found: List[str] = []
    row = connection.execute(NEXT_KEY, ("",)).fetchone()
    if row is None:  # as mostly
        return found
    running = {row["lock_key"]: row["jobs"] for row in opening.rows(connection, LOCKS_RUNNING)}
    most = numbers(connection)
    while row is not None:
        key = row[0]
        if running.get(key, 0) < most.get(key, 1):
            found.append(key)
        row = connection.execute(NEXT_KEY, (key,)).fetchone()
    return found


def numbers(connection: sqlite3.Connection) -> Dict[str, int]:
    """How many may run with each lock of which that was set."""
    return {row["key"]: as_number(row["most"]) for row in opening.rows(connection, LOCKS)}
