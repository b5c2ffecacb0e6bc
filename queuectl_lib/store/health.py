"""What `check` and `doctor` ask of the database: work that waits, deaths, successes, damage."""

from __future__ import annotations

import contextlib
import sqlite3
import time

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.store import looking, opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

COUNT_DUE = (
    "SELECT (SELECT count(*) FROM jobs WHERE lane = 0)"
    " + (SELECT count(*) FROM jobs WHERE lane = 1 AND next_run_at <= ?)"
)
# Waiting since: what was given back keeps its old next_run_at, and has waited only since it was touched.
OVERDUE = (
    "SELECT id, max(next_run_at, updated_at) AS since FROM jobs"
    " WHERE lane = %d AND next_run_at < ? AND updated_at < ?"
    " ORDER BY since LIMIT 1"
)
OVERDUE_IN_LANE = (OVERDUE % 0, OVERDUE % 1)


def due_work(database: Database, now: float, before: float) -> Tuple[int, int, Optional[Tuple[str, str]]]:
    """How many jobs are due, how many are under way; which has been due longest, since before *before*."""
    limit = times.utc_text(max(times.FIRST_TIME, before))
    waiting: List[Tuple[str, str]] = []
    try:
        with database.reading() as connection:
            due = connection.execute(COUNT_DUE, (times.utc_text(now),)).fetchone()[0]
            running = looking.kept_counts(connection)["processing"]
            for statement in OVERDUE_IN_LANE:
                found = opening.rows(connection, statement, (limit, limit))
                waiting += [(opening.as_text(row["since"]), opening.as_text(row["id"])) for row in found]
    except NoDatabase:
        return 0, 0, None
    return due, running, min(waiting) if waiting else None


LAST_SUCCESS = "SELECT finished_at FROM successes WHERE unique_key = ?"


def last_success(database: Database, key: str) -> Optional[str]:
    """When a job with *key* last completed, also one that was pruned since."""
    row = None
    with contexts.suppress(NoDatabase), database.reading() as connection:
        found = opening.rows(connection, LAST_SUCCESS, (key,))
        row = found[0] if found else None
    return opening.as_text(row["finished_at"]) if row else None


DEATHS_TOLD = "UPDATE counts SET told = ? WHERE state = 'dead'"


@contexts.contextmanager
def untold_deaths(database: Database, newest: int) -> Iterator[Tuple[int, List[Fields]]]:
    """How many jobs that died since the last time are still dead, and the *newest* of them.

    Who has retried or purged one knows of it.

    They count as told when the block ends without an error. Each is told once: where
    there are any, only one process at a time is in the block.
    """
    if not deaths_to_tell(database, 0)[1]:
        yield 0, []
        return
    with contextlib.ExitStack() as held:
        with opening.told(database.path):  # not around the block: its errors are its own
            held.enter_context(database.gate("check"))
        deaths, untold, jobs = deaths_to_tell(database, newest)
        yield untold, jobs
        if untold:
            with database.writing() as opened:
                opened.execute(DEATHS_TOLD, (deaths,))


KNOWN_DEATHS = "SELECT deaths, told FROM counts WHERE state = 'dead'"
UNTOLD = " FROM jobs WHERE state = 'dead' AND state <> 'completed' AND death > ?"
COUNT_UNTOLD = "SELECT count(*)" + UNTOLD
NEWEST_UNTOLD = "SELECT id, last_error, finished_at" + UNTOLD + " ORDER BY death DESC, seq DESC LIMIT ?"


def deaths_to_tell(database: Database, newest: int) -> Tuple[int, int, List[Fields]]:
    """Deaths ever, how many jobs are dead that nobody was told of, and the newest of these."""
    try:
        with database.reading() as connection:
            found = opening.rows(connection, KNOWN_DEATHS)
            if not found or not all(isinstance(number, int) for number in found[0]):
                return 0, 0, []  # somebody has changed it: nothing is known
            deaths, told = found[0]
            if deaths <= told:
                return deaths, 0, []
            untold = connection.execute(COUNT_UNTOLD, (told,)).fetchone()[0]
            jobs = opening.rows(connection, NEWEST_UNTOLD, (told, newest))
    except NoDatabase:
        return 0, 0, []
    return deaths, untold, [opening.without_bytes(job) for job in jobs]


def damage(database: Database, seconds: float) -> Optional[str]:
    """What SQLite's quick check complains of, "" if nothing, None if it takes longer than *seconds*."""
    with database.reading() as connection:
        deadline = time.monotonic() + seconds
        connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 100000)
        try:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.OperationalError as error:
            if "interrupt" in str(error):
                return None
            raise
    return "" if found == "ok" else found.replace("\n", " ")
