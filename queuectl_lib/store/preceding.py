"""Who is claimed before a job: counts in the order of claims, by the indexes, and cut.

What is due stands in lane 0, or in lane 1 where nobody has promoted it yet (store/claiming); both count.
"""

from __future__ import annotations

import sqlite3

from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Sequence, Tuple

MANY = 10000  # jobs are counted so far: of a million nobody wants to wait for the number
# Each index is named: after an ANALYZE, SQLite up to 3.25 would rather read or sort the whole table.
DUE = "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0 AND %s%s LIMIT ?)"
FALLEN_DUE = (
    "SELECT queue, priority, next_run_at, seq, lock_key FROM jobs INDEXED BY jobs_later"
    " WHERE lane = 1 AND next_run_at <= ? LIMIT ?"
)
FIRST = (
    "SELECT priority, next_run_at, seq FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0 AND priority = ?%s"
    " ORDER BY next_run_at, seq LIMIT 1"
)
FIRST_FALLEN_DUE = (
    "SELECT priority, next_run_at, seq FROM (%s) WHERE queue = ? AND priority = ?%s ORDER BY next_run_at, seq LIMIT 1"
)


class Counting:
    """Counts those that come before one, less those whose lock is among *locks*: the claim puts these aside."""

    def __init__(self, connection: sqlite3.Connection, now_text: str, locks: Sequence[object]) -> None:
        self.connection = connection
        self.fallen: Tuple[Any, ...] = (now_text, MANY + 1)
        self.locks = locks
        places = ", ".join("?" * len(locks))
        self.free = " AND (lock_key IS NULL OR lock_key NOT IN (%s))" % places if locks else ""
        self.fallen_due = int(connection.execute("SELECT count(*) FROM (%s)" % FALLEN_DUE, self.fallen).fetchone()[0])
        self.is_cut = self.fallen_due > MANY

    def higher(self, queue: int, place: Tuple[Any, ...]) -> int:
        """How many of a queue are due and of higher priority than the job at *place* (priority, due, seq)."""
        return self.due(queue, "priority > ?", place[:1]) + self.of_fallen(queue, "priority > ?", place[:1])

    def same(self, queue: int, place: Tuple[Any, ...]) -> int:
        """How many of the same one were due earlier, or came first."""
        earlier = ("priority = ? AND next_run_at < ?", "priority = ? AND next_run_at = ? AND seq < ?")
        found = sum(self.due(queue, one, place[: one.count("?")]) for one in earlier)
        return found + sum(self.of_fallen(queue, one, place[: one.count("?")]) for one in earlier)

    def due(self, queue: int, condition: str, values: Tuple[Any, ...]) -> int:
        statement = DUE % (condition, self.free)
        return int(self.connection.execute(statement, (queue, *values, *self.locks, MANY + 1)).fetchone()[0])

    def of_fallen(self, queue: int, condition: str, values: Tuple[Any, ...]) -> int:
        """The same of what has fallen due and nobody has promoted yet (store/claiming)."""
        if not self.fallen_due:  # as mostly
            return 0
        statement = "SELECT count(*) FROM (%s) WHERE queue = ? AND %s%s" % (FALLEN_DUE, condition, self.free)
        values = (*self.fallen, queue, *values, *self.locks)
        return int(self.connection.execute(statement, values).fetchone()[0])

    def first_of(self, queue: int, priority: Any) -> Optional[sqlite3.Row]:
        """The first due job of a queue with this priority."""
        values = (queue, priority, *self.locks)
        found = opening.rows(self.connection, FIRST % self.free, values)
        found += opening.rows(self.connection, FIRST_FALLEN_DUE % (FALLEN_DUE, self.free), (*self.fallen, *values))
        found.sort(key=lambda row: (opening.as_text(row["next_run_at"]), row["seq"]))
        return found[0] if found else None
