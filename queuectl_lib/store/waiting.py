"""Why waiting jobs do not start, as a person asks it: of those in a list, of all by number."""

from __future__ import annotations

import sqlite3

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.eligible import Closed
    from queuectl_lib.values import Fields


class Reasons:
    """Queues that may start nothing, and locks of which no place is free, at one moment."""

    def __init__(self) -> None:
        self.closed: Dict[str, Closed] = {}  # by the name of the queue
        self.holders: Dict[str, List[str]] = {}  # ids, by the key of the lock

    def of(self, job: Fields) -> Optional[str]:
        """Why *job*, as it is shown, does not start though it is due; None where it may."""
        held_by = self.holders.get(job["lock"])
        if held_by:
            more = "" if len(held_by) == 1 else " and %d more" % (len(held_by) - 1)
            return "lock %s: %s%s" % (job["lock"], held_by[0], more)
        closed = self.closed.get(job["queue"])
        return closed.short if closed else None


# What no queue is where nothing was ever set.
ANY_SET = (
    "SELECT 1 FROM queues WHERE id <> 0 OR coalesce(paused_at, running_most, rate_count, windows, load_most,"
    " memory_least, free_least) IS NOT NULL LIMIT 1"
)


def reasons(database: Database, jobs: Sequence[Fields], now: float) -> Reasons:
    """Those of now, as far as *jobs*, as they are shown, need them."""
    found = Reasons()
    with contexts.suppress(NoDatabase), database.reading() as connection:
        if connection.execute(ANY_SET).fetchone():
            from queuectl_lib.store import open_queues, serving  # where nothing is set, no queue is closed

            _, closed = open_queues.look(connection, now, serving.Asker(database, asks=True))
            found.closed = {one.name: one for one in closed}
        if [job for job in jobs if job["lock"] is not None]:
            found.holders = taken(connection)
    return found


def taken(connection: sqlite3.Connection) -> Dict[str, List[str]]:
    """The jobs that run with each lock of which no place is free."""
    from queuectl_lib.store import locking  # which few jobs need

    held: Dict[str, List[str]] = {}
    for row in opening.rows(connection, locking.HOLDERS):
        held.setdefault(opening.as_text(row["lock_key"]), []).append(opening.as_text(row["id"]))
    most = locking.numbers(connection) if held else {}
    return {key: ids for key, ids in held.items() if len(ids) >= most.get(key, 1)}


# "lane > 1" again, in so many words, for the proof that the index serves.
ASIDE = "SELECT lane, count(*) AS jobs FROM jobs INDEXED BY jobs_aside WHERE lane > 1 GROUP BY lane"
LANES = {2: "after_others", 3: "held", 4: "parked"}
PAUSED = "SELECT id, name, paused_at, paused_until FROM queues WHERE paused_at IS NOT NULL ORDER BY id"
IN_QUEUE = (
    "SELECT count(*) FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0",
    "SELECT count(*) FROM jobs INDEXED BY jobs_later WHERE lane = 1 AND queue = ?",
    "SELECT count(*) FROM jobs INDEXED BY jobs_aside WHERE lane = 4 AND lane > 1 AND queue = ?",
)


def numbers(database: Database, now: float) -> Fields:
    """How many jobs wait after others, are held, are parked; and of each paused queue in which some wait, how many."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        return numbers_of(connection, now)
    return dict(dict.fromkeys(LANES.values(), 0), in_paused_queues={})


def numbers_of(connection: sqlite3.Connection, now: float) -> Fields:
    aside = {row["lane"]: row["jobs"] for row in opening.rows(connection, ASIDE)}
    found: Fields = {name: aside.get(lane, 0) for lane, name in LANES.items()}
    paused = opening.rows(connection, PAUSED)
    if paused:
        from queuectl_lib.store import eligible  # needed only then

        paused = [row for row in paused if eligible.is_paused(row, now)]
    waits = {opening.as_text(row["name"]): waiting_in(connection, row["id"]) for row in paused}
    return dict(found, in_paused_queues={name: jobs for name, jobs in waits.items() if jobs})


def waiting_in(connection: sqlite3.Connection, queue: int) -> int:
    """How many jobs of a queue wait for nothing but their time, their lock, or the queue."""
    return sum(connection.execute(statement, (queue,)).fetchone()[0] for statement in IN_QUEUE)


def for_a_person(database: Database, own: int, now: float) -> Optional[Fields]:
    """What waits for a person, by numbers, where nothing goes on but *own* jobs that run; None where something does."""
    from queuectl_lib.store import looking, outlook, serving  # which no list needs

    with contexts.suppress(NoDatabase), database.reading() as connection:
        connection.execute("BEGIN")  # all that is asked is of one moment
        rows = opening.rows(connection, serving.QUEUES)
        if looking.kept_counts(connection)["processing"] > own or outlook.goes_on_waiting(connection, rows):
            return None
        return numbers_of(connection, now)
    return None
