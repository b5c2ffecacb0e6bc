"""The due jobs of the queues that may start something: the best of all first, read from each a few at a time."""

from __future__ import annotations

import sqlite3

from queuectl_lib.jobs import attempts
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

    from queuectl_lib.store.serving import Line

# Each index is named: after an ANALYZE, SQLite up to 3.25 would rather read or sort the whole table.
FIND_DUE = (
    "SELECT seq, runs, priority, queue, next_run_at, %s FROM jobs INDEXED BY jobs_due"
    " WHERE queue = ? AND lane = 0 ORDER BY priority DESC, next_run_at, seq LIMIT ?"
) % ", ".join(attempts.CLAIMED_COLUMNS)


class DueJobs:
    """Those of some queues, for a claim of *want*.

    The best is of higher priority; then of the queue of which fewer run; then it was due earlier; then came first.
    """

    def __init__(self, connection: sqlite3.Connection, lines: Sequence[Line], want: int) -> None:
        self.connection = connection
        self.lines = [line for line in lines if line.room != 0]
        self.some = want + 1  # how many are read of a queue at a time
        self.left: Dict[int, List[sqlite3.Row]] = {}  # of each queue, the best last
        self.is_all: Set[int] = set()  # queues of which no more are due than those left
        self.passed: Set[int] = set()  # by seq: what stays due, and is not to be found again

    def best(self) -> Optional[Tuple[Line, sqlite3.Row]]:
        """The next one, and its queue; None where none is left."""
        found = None
        for line in self.lines:
            row = self._first_of(line)
            if row is not None and (found is None or place(line, row) < place(*found)):
                found = (line, row)
        return found

    def _first_of(self, line: Line) -> Optional[sqlite3.Row]:
        rows = self.left.get(line.queue)
        if not rows and line.queue not in self.is_all:
            limit = self.some + len(self.passed)
            found = opening.rows(self.connection, FIND_DUE, (line.queue, limit))
            if len(found) < limit:
                self.is_all.add(line.queue)
            rows = self.left[line.queue] = [row for row in reversed(found) if row["seq"] not in self.passed]
        return rows[-1] if rows else None

    def take(self, line: Line) -> None:
        """The first of *line* is claimed: it is due no more, and one more of its queue runs."""
        self.left[line.queue].pop()
        line.running += 1
        if line.room is not None:
            line.room -= 1
            if not line.room:
                self.lines.remove(line)

    def drop(self, line: Line) -> None:
        """The first of *line* is due no more."""
        self.left[line.queue].pop()

    def pass_over(self, line: Line) -> None:
        """The first of *line* stays due, but cannot be claimed."""
        self.passed.add(self.left[line.queue].pop()["seq"])


def place(line: Line, row: sqlite3.Row) -> Tuple[Any, ...]:
    """Where a job stands in the order of all queues. What is no number comes first, as SQLite has it."""
    priority = row["priority"] if isinstance(row["priority"], (int, float)) else float("inf")
    return (-priority, line.running, opening.as_text(row["next_run_at"]), row["seq"])
