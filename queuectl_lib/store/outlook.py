"""What is to come: when the next job may be started, and whether any will be that no person has to see to first."""

from __future__ import annotations

import sqlite3

from queuectl_lib import times
from queuectl_lib.errors import HostError, NoDatabase
from queuectl_lib.jobs import states
from queuectl_lib.store import looking, open_queues, opening, serving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.serving import Asker
    from queuectl_lib.values import Fields

ANY_DUE = "SELECT 1 FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0 LIMIT 1"
NEXT_DUE = "SELECT next_run_at FROM jobs INDEXED BY jobs_later WHERE lane = 1 ORDER BY next_run_at LIMIT 1"


def under_way(database: Database, now: float) -> Tuple[List[Fields], Optional[float]]:
    """What a worker asks again and again: every job under way, and when the next one may be started."""
    with database.reading() as connection:
        return looking.all_processing(connection), next_due(connection, now, serving.Asker(database, asks=True))


def next_due(connection: sqlite3.Connection, now: float, asker: Asker) -> Optional[float]:
    """When the next waiting job falls due, or its queue may have opened (*now*: one can start); None: at no known time.

    Of a queue that is closed, jobs that are due are none: a worker that took them for such would never rest.
    """
    if connection.execute(looking.ANY_UNSETTLED).fetchone():
        return now
    lines, closed = open_queues.look(connection, now, asker)
    if [line for line in lines if has_due(connection, line.queue)]:
        return now
    moments = [one.again for one in closed if one.again is not None and has_due(connection, one.queue)]
    for row in opening.rows(connection, NEXT_DUE):
        moments.append(times.seconds_or(row["next_run_at"], now))  # what is no time is set aside, now
    return min(moments, default=None)


def has_due(connection: sqlite3.Connection, queue: int) -> bool:
    return connection.execute(ANY_DUE, (queue,)).fetchone() is not None


def nothing_left(database: Database) -> bool:
    """True when nothing runs, or will without a person (False where the database does not answer)."""
    try:
        with database.reading() as connection:
            connection.execute("BEGIN")  # all that is asked is of one moment
            return not goes_on(connection, database)
    except NoDatabase:
        return True
    except HostError:
        return False


RUNNING_IN = "SELECT DISTINCT queue FROM jobs INDEXED BY jobs_open WHERE state = 'processing' AND state <> 'completed'"
# One look for all queues: of one alone it would pass by what waits for its time in the others.
ANY_LATER = "SELECT 1 FROM jobs INDEXED BY jobs_later WHERE lane = 1 AND queue IN (%s) LIMIT 1"
# "lane > 1" again, in so many words, for the proof that the index serves.
ANY_PARKED = "SELECT 1 FROM jobs INDEXED BY jobs_aside WHERE lane = 4 AND lane > 1 AND queue IN (%s) LIMIT 1"


def goes_on(connection: sqlite3.Connection, database: Database) -> bool:
    """True where, of the queues served here, something runs, or will without a person.

    What is held, what waits in a paused queue, and what waits for these does not; nor what comes after a job that
    goes on by itself, for that one counts already.
    """
    if connection.execute(looking.ANY_UNSETTLED).fetchone():
        return True
    kept = looking.kept_counts(connection)
    if states.nothing_left(kept):
        return False
    queues = opening.rows(connection, serving.QUEUES)
    rows = [row for row in queues if serving.is_served(database.served, row["name"])]
    if kept["processing"]:
        running = {row["queue"] for row in opening.rows(connection, RUNNING_IN)}
        if running & {row["id"] for row in rows} or not database.served:
            return True
    return goes_on_waiting(connection, rows)


def goes_on_waiting(connection: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> bool:
    """True where a job waits, in one of the queues in *rows*, for what comes by itself."""
    if connection.execute(looking.ANY_UNSETTLED).fetchone():
        return True
    queues = [row["id"] for row in rows if row["paused_at"] is None or serving.paused_until(row) is not None]
    if [queue for queue in queues if has_due(connection, queue)]:
        return True
    places = ", ".join("?" * len(queues))
    asked = (ANY_LATER % places, ANY_PARKED % places)
    return bool(queues and [1 for statement in asked if connection.execute(statement, queues).fetchone()])
