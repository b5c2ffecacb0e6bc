"""What `check` and `doctor` ask of the database: work that waits, deaths, successes, damage."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import time

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.store import looking, open_queues, opening, serving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator, List, Optional, Sequence, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

MANY_DUE = 10000  # due jobs are counted so far: of a million nobody wants to wait for the number
SOME_DUE = "SELECT 1 FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0 LIMIT ?"
SOME_FALLEN_DUE = "SELECT 1 FROM jobs INDEXED BY jobs_later WHERE lane = 1 AND next_run_at <= ?%s LIMIT ?"
OVERDUE = "SELECT id, next_run_at, updated_at FROM jobs INDEXED BY %s AND next_run_at < ? ORDER BY next_run_at"
OVERDUE_OF_PRIORITY = OVERDUE % "jobs_due WHERE queue = ? AND lane = 0 AND priority = ?"
OVERDUE_IN_QUEUE = OVERDUE % "jobs_due WHERE queue = ? AND lane = 0"
OVERDUE_LATER = OVERDUE.replace(" ORDER", "%s ORDER")  # of which nobody has promoted what has fallen due
MANY_PRIORITIES = 1000  # so many are asked for one by one


def due_work(database: Database, now: float, before: float) -> Tuple[int, int, Optional[Tuple[str, str]]]:
    """How many jobs are due, how many are under way; which has been due longest, since before *before*.

    More than MANY_DUE that are due are not counted on.
    """
    limit = times.utc_text(max(times.FIRST_TIME, before))
    try:
        with database.reading() as connection:
            connection.text_factory = opening.text_or_bytes
            lines, closed = open_queues.look(connection, now, serving.Asker(database, asks=True))
            queues = [line.queue for line in lines] + [one.queue for one in closed if one.kind == serving.FULL]
            shut = [one.queue for one in closed if one.kind != serving.FULL]
            due = sum(len(connection.execute(SOME_DUE, (queue, MANY_DUE + 1)).fetchall()) for queue in queues)
            fallen_due = SOME_FALLEN_DUE % but_not(shut)
            due += len(connection.execute(fallen_due, (times.utc_text(now), *shut, MANY_DUE + 1)).fetchall())
            running = looking.kept_counts(connection)["processing"]
            waiting = list(overdue(connection, queues, shut, limit))
    except NoDatabase:
        return 0, 0, None
    return due, running, min(waiting) if waiting else None


def but_not(shut: Sequence[int]) -> str:
    """The condition that a job is in none of these queues, which are closed: there nothing is late."""
    return " AND queue NOT IN (%s)" % ", ".join("?" * len(shut)) if shut else ""


def overdue(
    connection: sqlite3.Connection, queues: Sequence[int], shut: Sequence[int], limit: str
) -> Iterator[Tuple[str, str]]:
    """Since when, and which: of those that wait since before *limit* the one of each priority that waits longest."""
    later = OVERDUE_LATER % ("jobs_later WHERE lane = 1", but_not(shut))
    asked: List[Tuple[str, Tuple[Any, ...]]] = [(later, (limit, *shut))]
    for queue in queues:
        found = list(itertools.islice(looking.priorities(connection, queue), MANY_PRIORITIES))
        if len(found) < MANY_PRIORITIES:
            asked += [(OVERDUE_OF_PRIORITY, (queue, priority, limit)) for priority in found]
        else:
            asked.append((OVERDUE_IN_QUEUE, (queue, limit)))
    for statement, values in asked:
        one = longest_of(connection.execute(statement, values), limit)
        if one:
            yield one


def longest_of(rows: Iterable[sqlite3.Row], limit: str) -> Optional[Tuple[str, str]]:
    """Of *rows* in the order of next_run_at: the one that waits longest.

    Waiting since: what was given back keeps its old next_run_at, and has waited only since it was touched.
    """
    found = None
    for row in rows:
        due, touched = opening.as_text(row["next_run_at"]), opening.as_text(row["updated_at"])
        if found and found[0] <= due:
            break
        if touched < limit and not (found and found[0] <= touched):
            found = (max(due, touched), opening.as_text(row["id"]))
    return found


ANY_ASIDE = (
    "SELECT 1 FROM jobs INDEXED BY jobs_aside WHERE lane > 1 LIMIT 1",
    "SELECT 1 FROM queues"
    " WHERE id <> 0 OR coalesce(paused_at, windows, load_most, memory_least, free_least) IS NOT NULL LIMIT 1",
)


def any_aside(database: Database) -> bool:
    """True where a job may wait for a lock or a person, or a queue for something."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        return bool([1 for statement in ANY_ASIDE if connection.execute(statement).fetchone()])
    return False


LATE_SECONDS = 120.0  # how late a slot may be: between two `worker start --drain` of cron nobody is there
FAILURES = 2  # of jobs of a schedule in a row, from which on it is told of
TO_TELL = "SELECT 1 FROM schedules WHERE trouble IS NOT NULL OR failures >= ? OR next_at < ? LIMIT 1"


def any_schedule_to_tell(database: Database, now: float) -> bool:
    """True where something may be wrong with a schedule."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        values = (FAILURES, times.utc_text(max(times.FIRST_TIME, now - LATE_SECONDS)))
        return connection.execute(TO_TELL, values).fetchone() is not None
    return False


ANY_TOLD = "SELECT 1 FROM totals WHERE key > 'trouble ' AND key < 'trouble!' LIMIT 1"  # store/told_troubles


def any_trouble_told(database: Database) -> bool:
    """True where somebody was told of a trouble that may be over by now."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        return connection.execute(ANY_TOLD).fetchone() is not None
    return False


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
TOLD_OF = "SELECT id, last_error, finished_at, signature, command, is_list"
NEWEST_UNTOLD = TOLD_OF + UNTOLD + " ORDER BY death DESC, seq DESC LIMIT ?"


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
    return deaths, untold, [as_told(job) for job in jobs]


def as_told(row: sqlite3.Row) -> Fields:
    """A death as it is told: its command as `list` shows it."""
    job: Fields = opening.without_bytes(row)
    if job.pop("is_list"):
        from queuectl_lib.store import selecting  # which most deaths need not

        job["command"] = selecting.text_of(row)
    return job


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
