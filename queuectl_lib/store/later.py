"""What a `worker start --drain` waits for where nothing is due and nothing runs: jobs whose own time is to come."""

from __future__ import annotations

from queuectl_lib import contexts, times
from queuectl_lib.errors import QueueError
from queuectl_lib.store import looking, opening, outlook, serving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.store.database import Database

LONG_SECONDS = 60.0  # what comes sooner is not worth a word
LATER = "FROM jobs INDEXED BY jobs_later WHERE lane = 1 AND queue IN (%s)"
NEXT = "SELECT id, state, next_run_at %s ORDER BY next_run_at LIMIT 1" % LATER
LAST = "SELECT next_run_at %s ORDER BY next_run_at DESC LIMIT 1" % LATER
MANY = 10000  # counted so far
HOW_MANY = "SELECT count(*) FROM (SELECT 1 %s LIMIT %d)" % (LATER, MANY + 1)


class Later:
    """The next of *jobs* whose time is to come: its id and state, when it and the last one are due."""

    def __init__(self, identifier: str, state: str, begin: float, end: float, jobs: int) -> None:
        self.id = identifier
        self.state = state
        self.begin = begin
        self.end = end
        self.jobs = jobs

    def words(self, now: float) -> str:
        """For people."""
        what = "a retry of job" if self.state == "failed" else "job"
        text = "draining: waits for %s %s, due in %s" % (what, self.id, times.age_text(self.begin - now))
        if self.jobs > 1:
            others = "more than {:,}".format(MANY) if self.jobs > MANY else "%d" % (self.jobs - 1)
            text += ", and for %s later, the last due in %s" % (others, times.age_text(self.end - now))
        return text


def all_that_is_left(database: Database, now: float) -> Optional[Later]:
    """That, in the queues served here, where nothing runs, is due, or will be before long; else None."""
    with contexts.suppress(QueueError), database.reading() as connection:
        connection.execute("BEGIN")  # all that is asked is of one moment
        if looking.kept_counts(connection)["processing"]:
            return None
        due = outlook.next_due(connection, now, serving.Asker(database, asks=False))
        if due is None or due <= now + LONG_SECONDS:
            return None
        rows = [row for row in opening.rows(connection, serving.QUEUES) if row["paused_at"] is None]
        queues = [row["id"] for row in rows if serving.is_served(database.served, row["name"])]
        places = ", ".join("?" * len(queues))
        for first in opening.rows(connection, NEXT % places, queues) if queues else ():
            begin = times.seconds_or(first["next_run_at"], now)
            end = times.seconds_or(connection.execute(LAST % places, queues).fetchone()[0], begin)
            jobs = connection.execute(HOW_MANY % places, queues).fetchone()[0]
            return Later(opening.as_text(first["id"]), first["state"], begin, end, jobs)
    return None
