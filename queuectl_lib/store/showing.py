"""Jobs as the outside sees them, by their JSON keys: in a list, or one in full."""

from __future__ import annotations

import itertools
import json
import sqlite3

from queuectl_lib import contexts, errors
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import fields
from queuectl_lib.jobs import states as known
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, List, Sequence, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

# Of what a job comes after, that which it still waits for: so what is listed can be fed to another queue.
OPEN_EDGES = "(SELECT group_concat(parent_id, ' ') FROM edges WHERE child = jobs.seq AND state = 1 AND wants = %d)"
# What is shown of a field, where that does not stand in a column of its own.
SOURCES = {
    "queue": "(SELECT name FROM queues WHERE id = jobs.queue)",
    "after": OPEN_EDGES % 1,
    "after_any": OPEN_EDGES % 2,
    "after_fail": OPEN_EDGES % 3,
}
SHOWN = [(SOURCES.get(field.key, field.column), field.key) for field in fields.FIELDS]
SHOWN_COLUMNS = ", ".join(["is_list"] + ['%s AS "%s"' % pair for pair in SHOWN if pair[0]])
LIST_JOBS = "SELECT seq, %s FROM jobs ORDER BY seq DESC LIMIT ?" % SHOWN_COLUMNS
LIST_COMPLETED = (
    "SELECT seq, %s FROM jobs INDEXED BY jobs_completed WHERE state = 'completed' AND lane IS NULL"
    " ORDER BY seq DESC LIMIT ?" % SHOWN_COLUMNS
)
LIST_OPEN = (
    "SELECT seq, %s FROM jobs INDEXED BY jobs_open WHERE state = ? AND state <> 'completed'"
    " ORDER BY seq DESC LIMIT ?" % SHOWN_COLUMNS
)


def jobs(database: Database, states: Sequence[str], limit: int) -> Tuple[List[Fields], bool]:
    """The newest *limit* jobs (in *states*, or all), newest last, and whether there are more."""
    rows: List[sqlite3.Row] = []
    with contexts.suppress(NoDatabase), database.reading() as connection:
        if not states:
            rows = opening.rows(connection, LIST_JOBS, (limit + 1,))
        for state in states:
            statement: str = LIST_OPEN
            values: Tuple[Any, ...] = (state, limit + 1)
            if state == "completed":
                statement, values = (LIST_COMPLETED, (limit + 1,))
            rows += opening.rows(connection, statement, values)
    rows.sort(key=lambda row: int(row["seq"]), reverse=True)
    return [job_fields(row) for row in reversed(rows[:limit])], len(rows) > limit


BY_SEQ = "SELECT seq, %s FROM jobs WHERE seq IN (%%s)" % SHOWN_COLUMNS
AT_ONCE = 500  # jobs in one read; and an old SQLite takes 999 parameters


def in_order(database: Database, found: Iterator[Tuple[int, str]], states: Sequence[str]) -> Iterator[Fields]:
    """The jobs *found* (by seq and the state of then), a few at a time; without those in other *states* meanwhile."""
    wanted = frozenset(states) if len(states) < len(known.STATES) else None
    while True:
        some = [seq for seq, _ in itertools.islice(found, AT_ONCE)]
        rows: List[sqlite3.Row] = []
        with contexts.suppress(NoDatabase), database.reading() as connection:
            rows = opening.rows(connection, BY_SEQ % ", ".join("?" * len(some)), some)
        by_seq = {row["seq"]: row for row in rows}
        for seq in some:
            if seq in by_seq and (wanted is None or by_seq[seq]["state"] in wanted):
                yield job_fields(by_seq[seq])
        if len(some) < AT_ONCE:
            return


def job_fields(row: sqlite3.Row) -> Fields:
    """A job as the outside sees it: the JSON keys, in the order of the columns."""
    job = opening.without_bytes(row)
    del job["seq"]
    if job.pop("is_list"):
        job["command"] = read_or_raw(arguments, job["command"])
    for key, read in fields.READ:
        job[key] = read_or_raw(read, job[key])
    job["progress"] = None  # of what runs: store/said
    return job


def arguments(text: str) -> List[Any]:
    """The words of a command that is kept as a list. Raises ValueError."""
    words = json.loads(text)
    if not isinstance(words, list):
        raise ValueError
    return words


def read_or_raw(read: Callable[[Any], Any], value: Any) -> Any:
    """What is stored, as it stands, where it cannot be read: changed by hand, or damaged."""
    try:
        return read(value)
    except (ValueError, TypeError, RecursionError):
        return value


GET_JOB = "SELECT seq, %s FROM jobs WHERE id = ?" % SHOWN_COLUMNS
# Facts alone: stdout and stderr say whether the bytes stand in the row (else in a file, if anywhere).
GET_ATTEMPTS = (
    "SELECT id, job, number, command, outcome, started_at, finished_at, exit_code, signal, error, worker, token,"
    " leftovers, erased, cpu, peak_rss, oom, note, timeout, launcher, stdout_bytes, stderr_bytes,"
    " stdout IS NOT NULL AS stdout, stderr IS NOT NULL AS stderr"
    " FROM attempts WHERE job = ? ORDER BY number"
)
# What it came after, and how that turned out.
GET_CLOSED = (
    "SELECT e.parent_id AS id, CASE e.wants WHEN 1 THEN 'after' WHEN 2 THEN 'after_any' ELSE 'after_fail' END AS kind,"
    " CASE e.state WHEN 0 THEN 'met' ELSE 'broken' END AS outcome, coalesce(j.state, 'gone') AS state"
    " FROM edges e LEFT JOIN jobs j ON j.seq = e.parent WHERE e.child = ? AND e.state <> 1 ORDER BY e.rowid"
)


def job(database: Database, identifier: str) -> Fields:
    """One job in full, with its attempts under "history" (their output apart, in store/output).

    Raises QueueError if there is none.
    """
    try:
        with database.reading() as connection:
            found = opening.rows(connection, GET_JOB, (identifier,))
            if not found:
                raise errors.no_such_job(identifier)
            row = found[0]
            attempts = opening.rows(connection, GET_ATTEMPTS, (row["seq"],))
            closed = opening.rows(connection, GET_CLOSED, (row["seq"],))
    except NoDatabase:
        raise errors.no_such_job(identifier) from None
    history = [attempt_fields(attempt) for attempt in attempts]
    shown = dict(job_fields(row), depended_on=[opening.without_bytes(parent) for parent in closed], history=history)
    shown["result"] = None
    if row["state"] == "processing" or any(attempt["note"] for attempt in history):
        from queuectl_lib.store import said  # which few jobs need

        said.in_full(database, shown)
    return shown


def attempt_fields(row: sqlite3.Row) -> Fields:
    """An attempt as the outside sees it; its command is None unless the job's was changed since."""
    attempt = opening.without_bytes(row)
    attempt["command"] = read_or_raw(lambda text: text and json.loads(text), attempt["command"])
    peak = attempt["peak_rss"]
    is_bound = isinstance(peak, int) and peak < 0  # as Outcome.peak_rss has it
    attempt.update(peak_rss=None if is_bound else peak, peak_rss_under=-peak if is_bound else None, joined=None)
    if attempt["launcher"] is not None:
        from queuectl_lib.store import launched  # which few jobs need

        attempt["launcher"], attempt["joined"] = launched.parts(attempt["launcher"])
    return attempt
