"""Questions about all jobs: how many there are, and which are under way."""

from __future__ import annotations

import sqlite3

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import states
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

COUNT_STATES = "SELECT state, jobs FROM counts"
COUNT_JOBS = "SELECT state, count(*) AS jobs FROM jobs GROUP BY state"


def counts(database: Database) -> Dict[str, int]:
    """How many jobs are in each state, zeros too; all zero where no database exists yet."""
    found = dict.fromkeys(states.STATES, 0)
    with contexts.suppress(NoDatabase), database.reading() as connection:
        found.update(kept_counts(connection))
    return found


def kept_counts(connection: sqlite3.Connection) -> Dict[str, int]:
    """How many jobs are in each state, as it is kept; counted anew where somebody has made it what it cannot be."""
    kept = {row["state"]: row["jobs"] for row in opening.rows(connection, COUNT_STATES)}
    if not all(isinstance(kept.get(state), int) and kept[state] >= 0 for state in states.STATES):
        kept = {row["state"]: row["jobs"] for row in opening.rows(connection, COUNT_JOBS)}
    return {state: kept.get(state, 0) for state in states.STATES}


ANY_UNSETTLED = "SELECT 1 FROM settling"  # an end that has not reached all that come after it (store/settling)
OLDEST_WAITING = (
    "SELECT created_at, id, next_run_at FROM jobs INDEXED BY jobs_open"
    " WHERE state = ? AND state <> 'completed' ORDER BY seq LIMIT 1"
)


def overview(database: Database) -> Tuple[Dict[str, int], Optional[Tuple[str, str, str]]]:
    """Counts per state; when the oldest waiting job was created, its id, and when it is due."""
    counts = dict.fromkeys(states.STATES, 0)
    oldest: List[Tuple[str, ...]] = []
    with contexts.suppress(NoDatabase), database.reading() as connection:
        counts.update(kept_counts(connection))
        for state in states.WAITING:
            oldest += [tuple(map(opening.as_text, row)) for row in opening.rows(connection, OLDEST_WAITING, (state,))]
    created_at, identifier, due = min(oldest) if oldest else ("", "", "")
    return counts, (created_at, identifier, due) if oldest else None


# "state <> 'completed'" again, in so many words: SQLite's proof that a partial index serves needs it.
PROCESSING = (
    "SELECT seq, id, token, worker, cancel_requested FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'processing' AND state <> 'completed'"
)


def processing(database: Database) -> List[Fields]:
    """Every job under way: seq, id, token, worker, cancel_requested; and its holder, which is worker as it stands."""
    with database.reading() as connection:
        return all_processing(connection)


def all_processing(connection: sqlite3.Connection) -> List[Fields]:
    """The same. What somebody has put in the place of an id or a worker is text; that is the name of nobody."""
    jobs = [dict(row, holder=row["worker"]) for row in opening.rows(connection, PROCESSING)]
    for job in jobs:
        if type(job["worker"]) is not str:
            job["worker"] = ""
        if type(job["id"]) is not str:
            job["id"] = opening.as_text(job["id"])
    return jobs


PRIORITY = "SELECT priority FROM jobs INDEXED BY %s WHERE %s%s ORDER BY priority DESC LIMIT 1"
DUE = "queue = ? AND lane = 0"
PRIORITIES = tuple(PRIORITY % ("jobs_due", DUE, more) for more in ("", " AND priority < ?"))
PRIORITIES_LATER = tuple(PRIORITY % ("jobs_crowd", "lane = 1", more) for more in ("", " AND priority < ?"))


def priorities(connection: sqlite3.Connection, queue: Optional[int] = None) -> Iterator[Any]:
    """The priorities of what is due in a *queue* (None: of what waits for its time), highest first.

    Each is found by itself: there are few of them, as a rule.
    """
    first, following = PRIORITIES_LATER if queue is None else PRIORITIES
    values: Tuple[Any, ...] = () if queue is None else (queue,)
    found = opening.rows(connection, first, values)
    while found:
        yield found[0]["priority"]
        found = opening.rows(connection, following, values + (found[0]["priority"],))
