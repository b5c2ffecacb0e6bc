"""What lies ahead of the workers: the first due jobs as they would be claimed, what runs, what sets the pace.

Counted and read as far as an estimate of the time needs (reports/estimate): the same work at ten jobs and at a million.
"""

from __future__ import annotations

import heapq
import itertools
import sqlite3

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import kinds
from queuectl_lib.store import durations, looking, open_queues, opening, serving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Tuple

    from queuectl_lib.store.database import Database

SAMPLE = 500  # due jobs that are looked at
MANY = 10000  # jobs of a lane are counted so far
COLUMNS = "name, command, is_list, lock_key, started_at"
DUE = (
    "SELECT priority, next_run_at, seq, %s FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0"
    " ORDER BY priority DESC, next_run_at, seq LIMIT %d" % (COLUMNS, SAMPLE)
)
RUNNING = (
    "SELECT %s FROM jobs INDEXED BY jobs_open WHERE state = 'processing' AND state <> 'completed'"
    " ORDER BY seq LIMIT %d" % (COLUMNS, SAMPLE)
)
SOME_DUE = "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0 LIMIT ?)"
# What has fallen due and is not promoted yet is taken for due.
SOME_LATER = (
    "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_later WHERE lane = 1 AND next_run_at > ? LIMIT ?)"
)
# "lane > 1" again, in so many words, for the proof that the index serves.
SOME_ASIDE = "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_aside WHERE lane = ? AND lane > 1 LIMIT ?)"


class Ahead:
    """All of it at one moment. *due*: how many; *later*: how many wait for their time or for others.

    *sample*: durations of the kind of each due job looked at (none known: empty); *running*: the same of what runs,
    with the seconds that it has run. *is_limited*: a queue, a lock or a person sets the pace, or nobody can count it.
    """

    def __init__(self) -> None:
        self.due = 0
        self.later = 0
        self.sample: List[List[float]] = []
        self.running: List[Tuple[float, List[float]]] = []
        self.is_limited = False


def look(database: Database, now: float) -> Ahead:
    found = Ahead()
    with contexts.suppress(NoDatabase), database.reading() as connection:
        connection.execute("BEGIN")  # all that is asked is of one moment
        lines, closed = open_queues.look(connection, now, serving.Asker(database, asks=True))
        paced = [line.queue for line in lines if line.starts_now] + [one.queue for one in closed]
        limited = any(has_due(connection, queue) for queue in paced)
        due = list(itertools.islice(in_order(connection, [line.queue for line in lines]), SAMPLE))
        running = opening.rows(connection, RUNNING)
        count(connection, found, [line.queue for line in lines], now)
        found.is_limited = found.is_limited or limited or any(row["lock_key"] is not None for row in due)
        named = [kinds.of(row["name"], durations.command_of(row)) for row in due + running]
        known = durations.look_in(connection, named)
        found.sample = [known.get(kind, []) for kind in named[: len(due)]]
        for row, kind in zip(running, named[len(due) :]):
            elapsed = max(0.0, now - times.seconds_or(row["started_at"], now))
            found.running.append((elapsed, known.get(kind, [])))
    return found


def has_due(connection: sqlite3.Connection, queue: int) -> bool:
    return bool(connection.execute(SOME_DUE, (queue, 1)).fetchone()[0])


def in_order(connection: sqlite3.Connection, queues: List[int]) -> Iterable[sqlite3.Row]:
    """The first due jobs of these queues, as they would be claimed."""
    parts = [opening.rows(connection, DUE, (queue,)) for queue in queues]
    if len(parts) == 1:
        return parts[0]
    return heapq.merge(*parts, key=place_of)


def place_of(row: sqlite3.Row) -> Tuple[float, str, int]:
    priority = row["priority"] if type(row["priority"]) is int else 0
    return -priority, opening.as_text(row["next_run_at"]), row["seq"]


def count(connection: sqlite3.Connection, found: Ahead, queues: List[int], now: float) -> None:
    """How many are due, and how many are not yet; of more than MANY in two lanes nobody can tell without counting."""
    most = MANY + 1
    kept = looking.kept_counts(connection)
    later = connection.execute(SOME_LATER, (times.utc_text(now), most)).fetchone()[0]
    aside: Dict[int, int] = {lane: connection.execute(SOME_ASIDE, (lane, most)).fetchone()[0] for lane in (2, 3, 4)}
    found.later = later + aside[2]
    if max(later, *aside.values()) <= MANY:
        found.due = max(0, kept["pending"] + kept["failed"] - later - sum(aside.values()))
    else:
        found.due = sum(connection.execute(SOME_DUE, (queue, most)).fetchone()[0] for queue in queues)
    found.is_limited = aside[4] > 0 or (max(later, *aside.values()) > MANY and found.due > MANY)
