"""What waits for a queue, a lock or a person, and for how long: asked by `check`, where anything does."""

from __future__ import annotations

import sqlite3

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.store import eligible, open_queues, opening, outlook, serving, waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.serving import Asker
    from queuectl_lib.values import Fields

MANY = 10000  # jobs are counted so far: of a million nobody wants to wait for the number
EXPECTED = ("opens ", "rate ", "one start in ")  # how it is put that a queue is shut as it was meant to be
# "lane > 1" again, in so many words, for the proof that the index serves.
LONGEST_PARKED = (
    "SELECT id, lock_key, next_run_at FROM jobs INDEXED BY jobs_aside"
    " WHERE lane = 4 AND lane > 1 AND next_run_at < ? ORDER BY next_run_at, seq LIMIT 1"
)
SOME_HELD = "SELECT id, held_at FROM jobs INDEXED BY jobs_aside WHERE lane = 3 AND lane > 1 AND held_at < ? LIMIT ?"
HELD_BY = (
    "SELECT id FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'processing' AND state <> 'completed' AND lock_key = ? ORDER BY seq"
)
SOME_DUE = "SELECT 1 FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0 LIMIT ?"
EARLIEST_DUE = "SELECT min(next_run_at) FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0"


class Standstill:
    """All of it at one moment: jobs parked since before one time, held and queues paused since before two others."""

    def __init__(
        self, database: Database, now: float, parked_before: float, held_before: float, paused_before: float
    ) -> None:
        asker = serving.Asker(database, asks=True)
        asker.wanted = ()  # for all queues, whoever serves them
        self.parked: Optional[Fields] = None
        self.held: List[Fields] = []
        self.paused: List[Fields] = []
        self.queues: List[Fields] = []
        with contexts.suppress(NoDatabase), database.reading() as connection:
            self.parked = parked(connection, parked_before)
            self.held = held(connection, held_before)
            self.paused = paused(connection, now, paused_before)
            self.queues = due_queues(connection, now, asker)


def parked(connection: sqlite3.Connection, before: float) -> Optional[Fields]:
    """Of jobs parked for a lock, and due since before *before*, the one that waits longest; and who runs with that."""
    for row in opening.rows(connection, LONGEST_PARKED, (text_of(before),)):
        found = opening.rows(connection, HELD_BY, (row["lock_key"],))
        held_by = [opening.as_text(each["id"]) for each in found]
        job = {"id": row["id"], "since": row["next_run_at"], "lock": row["lock_key"]}
        return dict({key: opening.as_text(value) for key, value in job.items()}, held_by=held_by)
    return None


def held(connection: sqlite3.Connection, before: float) -> List[Fields]:
    """The jobs that persons have held since before *before*, up to one more than MANY."""
    found = opening.rows(connection, SOME_HELD, (text_of(before), MANY + 1))
    return [{"id": opening.as_text(row["id"]), "since": opening.as_text(row["held_at"])} for row in found]


def paused(connection: sqlite3.Connection, now: float, before: float) -> List[Fields]:
    """The queues that are paused since before *before*, and how many jobs wait in each."""
    rows = opening.rows(connection, serving.QUEUES.replace(" FROM ", ", note FROM "))
    rows = [row for row in rows if eligible.is_paused(row, now)]
    rows = [row for row in rows if times.seconds_or(row["paused_at"], now) < before]
    facts = ({"queue": row["name"], "since": row["paused_at"], "note": row["note"] or ""} for row in rows)
    texts: List[Dict[str, str]] = [{key: opening.as_text(value) for key, value in one.items()} for one in facts]
    return [dict(one, waiting=waiting.waiting_in(connection, row["id"])) for one, row in zip(texts, rows)]


def due_queues(connection: sqlite3.Connection, now: float, asker: Asker) -> List[Fields]:
    """Each queue that no person has paused, with jobs that are due: how many, since when, and why it is closed."""
    lines, closed = open_queues.look(connection, now, asker)
    why = {one.queue: one.short for one in closed if one.kind == serving.SHUT}
    left_out = {one.queue for one in closed if one.kind == serving.PAUSED}
    found: List[Fields] = []
    for row in opening.rows(connection, "SELECT id, name FROM queues ORDER BY id"):
        if row["id"] not in left_out and outlook.has_due(connection, row["id"]):
            due = len(connection.execute(SOME_DUE, (row["id"], MANY + 1)).fetchall())
            since = opening.as_text(connection.execute(EARLIEST_DUE, (row["id"],)).fetchone()[0])
            found.append(
                {"queue": opening.as_text(row["name"]), "due": due, "since": since, "shut": why.get(row["id"])}
            )
    return found


def text_of(moment: float) -> str:
    return times.utc_text(max(times.FIRST_TIME, moment))
