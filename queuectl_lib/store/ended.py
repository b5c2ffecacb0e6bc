"""The attempts that have ended, in the order of their ends: what readers with a cursor go on from, each with its job.

Each end has a number, given in the transaction that records it (store/ending): 1, 2, 3, for as long as the database
lives. Ends of attempts that were deleted since are missing, and those from before there were numbers have none.
"""

from __future__ import annotations

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

LAST = "SELECT ended FROM counts WHERE state = 'completed'"
COLUMNS = (
    "a.id AS attempt_id, a.ended, a.job, a.number, a.outcome, a.started_at, a.finished_at, a.exit_code, a.signal,"
    " a.error, a.worker, a.cpu, a.peak_rss, a.note, a.command AS changed,"
    " j.id, j.name, j.command, j.is_list, j.state, j.runs, j.signature, j.created_at, j.run_at,"
    " j.finished_at AS job_finished_at, j.policy"
)
AFTER = (
    "SELECT %s FROM attempts a INDEXED BY attempts_ended LEFT JOIN jobs j ON j.seq = a.job"
    " WHERE a.ended > ? AND a.ended IS NOT NULL ORDER BY a.ended LIMIT ?" % COLUMNS
)


def after(database: Database, number: int, limit: int) -> List[Fields]:
    """The first *limit* attempts whose end has a higher number, by it. What store/events makes a record of."""
    return look(database, number, limit)[0]


def look(database: Database, number: int, limit: int) -> Tuple[List[Fields], int]:
    """The same, and the number of the last end there was; 0 where no database exists yet. Raises HostError."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        found = opening.rows(connection, LAST)
        last = found[0]["ended"] if found else 0
        rows = opening.rows(connection, AFTER, (number, limit))
        known = [row for row in opening.all_without_bytes(rows) if type(row["ended"]) is int]
        return known, last if type(last) is int else max([row["ended"] for row in known], default=number)
    return [], 0
