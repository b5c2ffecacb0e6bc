"""What all queues do at one moment, read for one who asks why: the same as store/explaining has it for a job."""

from __future__ import annotations

import sqlite3

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.store import explaining, looking, opening, preceding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

# Each index is named: after an ANALYZE, SQLite up to 3.25 would rather read or sort the whole table.
SOME_DUE = "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0 LIMIT ?)"
EARLIEST_DUE = (
    "SELECT next_run_at FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0 AND priority = ?"
    " ORDER BY next_run_at LIMIT 1"
)
SOME_FALLEN = "SELECT queue, next_run_at FROM jobs INDEXED BY jobs_later WHERE lane = 1 AND next_run_at <= ? LIMIT ?"
NEXT_LATER = (
    "SELECT next_run_at FROM jobs INDEXED BY jobs_later WHERE lane = 1 AND next_run_at > ? ORDER BY next_run_at LIMIT 1"
)
# "lane > 1" again, in so many words, for the proof that the index serves.
SOME_ASIDE = "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_aside WHERE lane = ? AND lane > 1 LIMIT ?)"
PRIORITIES_LOOKED_AT = 100


def of_queue(database: Database, now: float) -> Optional[Fields]:
    """What is known of all queues at one moment; None where there is no database.

    "counts" by state; "queues", for each with due jobs: queue, due, since, closed; "held", "after", "parked" (counts);
    "locks", the first two for which some are parked; "next", when the next job falls due. Counts end at MANY + 1.
    """
    with contexts.suppress(NoDatabase), database.reading() as connection:
        connection.execute("BEGIN")  # all that is asked is of one moment
        moment = explaining.Moment(connection, database, now, lambda other: True)
        rows = opening.rows(connection, SOME_FALLEN, (moment.now_text, preceding.MANY + 1))
        queues = [due_in(moment, number, rows) for number in moment.rows]
        most = preceding.MANY + 1
        aside = {lane: connection.execute(SOME_ASIDE, (lane, most)).fetchone()[0] for lane in (2, 3, 4)}
        later = opening.rows(connection, NEXT_LATER, (moment.now_text,))
        return {
            "counts": looking.kept_counts(connection),
            "queues": [one for one in queues if one["due"]],
            **{name: aside[lane] for lane, name in ((2, "after"), (3, "held"), (4, "parked"))},
            "locks": locks_of_parked(connection) if aside[4] else [],
            "next": opening.as_text(later[0]["next_run_at"]) if later else None,
        }
    return None


def locks_of_parked(connection: sqlite3.Connection) -> List[str]:
    from queuectl_lib.store import locking  # which few homes need

    found: List[str] = []
    row = connection.execute(locking.NEXT_KEY, ("",)).fetchone()
    while row is not None and len(found) < 2:
        found.append(opening.as_text(row[0]))
        row = connection.execute(locking.NEXT_KEY, (row[0],)).fetchone()
    return found


def due_in(moment: explaining.Moment, queue: int, fallen: Sequence[sqlite3.Row]) -> Fields:
    """How many are due in a queue, since when, and why that may start none of them."""
    due: int = moment.connection.execute(SOME_DUE, (queue, preceding.MANY + 1)).fetchone()[0]
    late = [opening.as_text(row["next_run_at"]) for row in fallen if row["queue"] == queue]
    since = late[:]
    for number, priority in enumerate(looking.priorities(moment.connection, queue) if due else ()):
        if number >= PRIORITIES_LOOKED_AT:
            break
        rows = opening.rows(moment.connection, EARLIEST_DUE, (queue, priority))
        since += [opening.as_text(row["next_run_at"]) for row in rows]
    name = moment.name(queue)
    return {"queue": name, "due": due + len(late), "since": min(since, default=None), "closed": moment.closed(queue)}
