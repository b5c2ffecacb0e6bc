"""The arrow back: a dead or cancelled job made pending again, by a person."""

from __future__ import annotations

import sqlite3

from queuectl_lib import times
from queuectl_lib.store import dependencies, finding, opening, placing, settling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.jobs.ids import Holder

REQUEUE_JOB = (
    "UPDATE jobs SET state = 'pending', attempts = 0, next_run_at = ?, lane = %s, held_at = NULL, updated_at = ?,"
    " started_at = NULL, finished_at = NULL, exit_code = NULL, last_error = NULL, reason = NULL, worker = NULL"
    " WHERE seq = ? AND state IN ('dead', 'cancelled')"
) % placing.place("''", "''", "NULL")  # what was held when it was cancelled is to run again, too


def requeue_one(connection: sqlite3.Connection, head: sqlite3.Row, now: float) -> Optional[Holder]:
    """Move one job back to pending, unless another holds its key: that one is returned.

    Raises IntegrityError, and QueueError where what it comes after has not ended as it wants.
    """
    holder = finding.find_holder(connection, head["unique_key"])
    if holder is None:
        dependencies.allow_return(connection, head)
        moved = connection.execute(REQUEUE_JOB, (times.utc_text(now), times.utc_text(now), head["seq"]))
        opening.refuse_ignored(1 - moved.rowcount)
        settling.has_returned(connection, head["seq"])
    return holder


def by_age(head: sqlite3.Row) -> int:
    """The order in which several are moved: what others come after is put back before them."""
    return int(head["seq"])
