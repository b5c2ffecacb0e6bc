"""What a monitoring asks of the database: how much is due, since when, what has died, what has succeeded last."""

from __future__ import annotations

import sqlite3

from queuectl_lib import times
from queuectl_lib.store import health, looking, open_queues, opening, serving, totals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

    from queuectl_lib.store.database import Database

SQLITE = sqlite3.sqlite_version
COUNT_DUE = "SELECT count(*) FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0"
COUNT_FALLEN_DUE = "SELECT count(*) FROM jobs INDEXED BY jobs_later WHERE lane = 1 AND next_run_at <= ?%s"
OLDEST_DEAD = (
    "SELECT min(finished_at) FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'dead' AND state <> 'completed' AND typeof(finished_at) = 'text'"
)
DEATHS = "SELECT deaths FROM counts WHERE state = 'dead'"


class Measured:
    """What was found at the time *now*. Ages are seconds, 0 where there is nothing that could have one."""

    def __init__(self, database: Database, now: float) -> None:
        """Raises HostError where the database cannot be read."""
        self.now = now
        with database.reading() as connection:
            connection.execute("BEGIN")  # all that is asked is of one moment
            connection.text_factory = opening.text_or_bytes
            self.jobs: Dict[str, int] = looking.kept_counts(connection)
            self.due_jobs = due_jobs(connection, database, now)
            dead = connection.execute(OLDEST_DEAD).fetchone()[0]
            self.counters: List[float] = totals.read(connection)[0]
            deaths = opening.rows(connection, DEATHS)
        self.deaths = deaths[0]["deaths"] if deaths and type(deaths[0]["deaths"]) is int else 0
        self.oldest_dead_age = self.age_of(dead)
        oldest: Optional[Tuple[str, str]] = health.due_work(database, now, now)[2] if self.due_jobs else None
        self.oldest_due_age = self.age_of(oldest[0]) if oldest else 0.0

    def age_of(self, text: object) -> float:
        return max(0.0, self.now - times.seconds_or(text, self.now))


def due_jobs(connection: sqlite3.Connection, database: Database, now: float) -> int:
    """How many jobs could be started now, were there workers enough: without those of queues that are closed."""
    lines, closed = open_queues.look(connection, now, serving.Asker(database, asks=True))
    queues = [line.queue for line in lines] + [one.queue for one in closed if one.kind == serving.FULL]
    shut = [one.queue for one in closed if one.kind != serving.FULL]
    due = sum(connection.execute(COUNT_DUE, (queue,)).fetchone()[0] for queue in queues)
    fallen = connection.execute(COUNT_FALLEN_DUE % health.but_not(shut), (times.utc_text(now), *shut)).fetchone()[0]
    return int(due + fallen)


NEWEST_SUCCESSES = "SELECT unique_key, finished_at FROM successes ORDER BY finished_at DESC LIMIT ?"
HOW_MANY = "SELECT count(*) FROM successes"


def successes(database: Database, most: int) -> Tuple[List[Tuple[str, float]], int]:
    """When a job with each key last completed (seconds since 1970), of the *most* newest; how many more there are."""
    with database.reading() as connection:
        rows = opening.rows(connection, NEWEST_SUCCESSES, (most,))
        left = int(connection.execute(HOW_MANY).fetchone()[0]) - len(rows)
    found = [(opening.as_text(row["unique_key"]), times.seconds_or(row["finished_at"], -1.0)) for row in rows]
    return [(key, at) for key, at in found if at >= 0], left
