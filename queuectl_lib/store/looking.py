"""Questions about jobs: counts, lists, one in full, what runs and when the next falls due."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time

from queuectl_lib import errors, times
from queuectl_lib.errors import HostError, NoDatabase, QueueError
from queuectl_lib.jobs import fields, states
from queuectl_lib.jobs.ids import Holder
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

    from queuectl_lib.jobs.attempts import Claim
    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

COUNT_STATES = "SELECT state, jobs FROM counts"
COUNT_JOBS = "SELECT state, count(*) FROM jobs GROUP BY state"


def counts(database: Database) -> Dict[str, int]:
    """How many jobs are in each state, zeros too; all zero where no database exists yet."""
    found = dict.fromkeys(states.STATES, 0)
    with contextlib.suppress(NoDatabase), database.reading() as connection:
        found.update(kept_counts(connection))
    return found


def kept_counts(connection: sqlite3.Connection) -> Dict[str, int]:
    """How many jobs are in each state, as it is kept; counted anew where somebody has made it what it cannot be."""
    kept = {row["state"]: row["jobs"] for row in connection.execute(COUNT_STATES)}
    if all(isinstance(kept.get(state), int) and kept[state] >= 0 for state in states.STATES):
        return kept
    return dict(dict.fromkeys(states.STATES, 0), **dict(connection.execute(COUNT_JOBS).fetchall()))


def nothing_left(database: Database) -> bool:
    """True when no job waits or runs (False where the database does not answer)."""
    try:
        return states.nothing_left(counts(database))
    except HostError:
        return False


def counts_of(database: Database, ids: Sequence[str]) -> Dict[str, int]:
    """How many of these jobs are in each state, zeros too. Raises QueueError for one that does not exist."""
    found = states_of(database, ids)
    return {state: found.count(state) for state in states.STATES}


OLDEST_WAITING = (
    "SELECT created_at, id, next_run_at FROM jobs INDEXED BY jobs_open"
    " WHERE state = ? AND state <> 'completed' ORDER BY seq LIMIT 1"
)


def overview(database: Database) -> Tuple[Dict[str, int], Optional[Tuple[str, str, str]]]:
    """Counts per state; when the oldest waiting job was created, its id, and when it is due."""
    counts = dict.fromkeys(states.STATES, 0)
    oldest: List[Tuple[str, str, str]] = []
    with contextlib.suppress(NoDatabase), database.reading() as connection:
        counts.update(kept_counts(connection))
        for state in states.WAITING:
            found = connection.execute(OLDEST_WAITING, (state,))
            oldest += [(row["created_at"], row["id"], row["next_run_at"]) for row in found]
    return counts, min(oldest) if oldest else None


LIST_JOBS = "SELECT seq, %s FROM jobs ORDER BY seq DESC LIMIT ?" % fields.SHOWN_COLUMNS
LIST_COMPLETED = "SELECT seq, %s FROM jobs WHERE state = 'completed' ORDER BY seq DESC LIMIT ?" % fields.SHOWN_COLUMNS
LIST_OPEN = (
    "SELECT seq, %s FROM jobs INDEXED BY jobs_open WHERE state = ? AND state <> 'completed'"
    " ORDER BY seq DESC LIMIT ?" % fields.SHOWN_COLUMNS
)


def jobs(database: Database, states: Sequence[str], limit: int) -> Tuple[List[Fields], bool]:
    """The newest *limit* jobs (in *states*, or all), newest last, and whether there are more."""
    rows: List[sqlite3.Row] = []
    with contextlib.suppress(NoDatabase), database.reading() as connection:
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


def job_fields(row: sqlite3.Row) -> Fields:
    """A job as the outside sees it: the JSON keys, in the order of the columns."""
    job = dict(row)
    del job["seq"]
    for key, value in job.items():
        if type(value) is bytes:  # no field is: somebody else wrote it
            job[key] = value.decode("utf-8", "backslashreplace")
    if job.pop("is_list"):
        job["command"] = read_or_raw(arguments, job["command"])
    for key, read in fields.READ:
        job[key] = read_or_raw(read, job[key])
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


GET_JOB = "SELECT seq, %s FROM jobs WHERE id = ?" % fields.SHOWN_COLUMNS
# Facts alone: stdout and stderr say whether the bytes stand in the row (else in a file, if anywhere).
GET_ATTEMPTS = (
    "SELECT id, job, number, outcome, started_at, finished_at, exit_code, signal, error, worker, token, leftovers,"
    " erased, stdout_bytes, stderr_bytes, stdout IS NOT NULL AS stdout, stderr IS NOT NULL AS stderr"
    " FROM attempts WHERE job = ? ORDER BY number"
)


def job(database: Database, identifier: str) -> Fields:
    """One job in full, with its attempts under "history" (their output apart, in store/output).

    Raises QueueError if there is none.
    """
    try:
        with database.reading() as connection:
            found = opening.rows(connection, GET_JOB, (identifier,))
            if not found:
                raise no_such_job(identifier)
            row = found[0]
            attempts = opening.rows(connection, GET_ATTEMPTS, (row["seq"],))
    except NoDatabase:
        raise no_such_job(identifier) from None
    return dict(job_fields(row), history=[dict(attempt) for attempt in attempts])


GET_HEAD = "SELECT seq, id, state, token, worker, unique_key FROM jobs WHERE id = ?"


def head(connection: sqlite3.Connection, identifier: str) -> sqlite3.Row:
    """The job's seq, id, state, token, worker and key. Raises QueueError if there is none."""
    found: Optional[sqlite3.Row] = connection.execute(GET_HEAD, (identifier,)).fetchone()
    if found is None:
        raise no_such_job(identifier)
    return found


def states_of(database: Database, ids: Sequence[str]) -> List[str]:
    """The state of each job. Raises QueueError for one that does not exist."""
    try:
        with database.reading() as connection:
            return [head(connection, identifier)["state"] for identifier in ids]
    except NoDatabase:
        raise no_such_job(ids[0]) from None


def exists(database: Database, identifier: str) -> bool:
    """True where a job has this id."""
    try:
        return bool(states_of(database, [identifier]))
    except QueueError:
        return False


def running_token(database: Database, identifier: str) -> Optional[str]:
    """The token of the claim that holds a job now, or None."""
    with database.reading() as connection:
        token: Optional[str] = head(connection, identifier)["token"]
        return token


def no_such_job(identifier: str) -> QueueError:
    return QueueError("no job has the id %s: `list` shows the newest" % errors.shown(identifier))


@contextlib.contextmanager
def no_job_without_database(ids: Sequence[str]) -> Iterator[None]:
    """Where no database exists, neither does a job with the first of *ids*."""
    try:
        yield
    except NoDatabase:
        raise no_such_job(ids[0]) from None


# "state <> 'completed'" again, in so many words: SQLite's proof that a partial index serves needs it.
PROCESSING = (
    "SELECT seq, id, token, worker, cancel_requested FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'processing' AND state <> 'completed'"
)


def processing(database: Database) -> List[Fields]:
    """Every job under way: seq, id, token, worker, cancel_requested."""
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(PROCESSING)]


DUE_IN_ORDER = "FROM jobs INDEXED BY jobs_due WHERE lane = 0 ORDER BY priority DESC, next_run_at, seq"
ANY_DUE = "SELECT 1 %s LIMIT 1" % DUE_IN_ORDER
NEXT_DUE = "SELECT next_run_at FROM jobs INDEXED BY jobs_later WHERE lane = 1 ORDER BY next_run_at LIMIT 1"


def under_way(database: Database, now: float) -> Tuple[List[Fields], Optional[float]]:
    """What a worker asks again and again: every job under way, and when the next one falls due."""
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(PROCESSING)], next_due(connection, now)


def next_due(connection: sqlite3.Connection, now: float) -> Optional[float]:
    """When the next waiting job falls due (*now* where one is due); None where none waits."""
    if connection.execute(ANY_DUE).fetchone():
        return now
    row = connection.execute(NEXT_DUE).fetchone()
    return times.seconds_or(row["next_run_at"], now) if row else None  # what is no time is set aside, now


RUNNING_ATTEMPT = (
    "SELECT j.seq, %s, a.id AS attempt_id, a.number, a.started_at, j.token, j.worker, j.cancel_requested"
    " FROM jobs j JOIN attempts a ON a.job = j.seq AND a.number = j.runs"
    " WHERE j.seq = ? AND j.token = ? AND j.state = 'processing'"
    % ", ".join("j." + column for column in fields.CLAIMED_COLUMNS)
)


def running_attempt(database: Database, seq: int, token: str) -> Optional[Tuple[Claim, float]]:
    """The claim *token* on job *seq* and when it started, if it still stands."""
    from queuectl_lib.jobs import attempts  # which most questions need not; a worker has it loaded

    with database.reading() as connection:
        row = connection.execute(RUNNING_ATTEMPT, (seq, token)).fetchone()
    if not row:
        return None
    try:
        claim = attempts.Claim(row, row["token"], row["attempt_id"], row["number"])
    except (ValueError, TypeError, RecursionError):  # it runs already: what cannot be read is not needed
        claim = attempts.Claim(attempts.mended(row), row["token"], row["attempt_id"], row["number"])
    return claim, times.seconds_or(row["started_at"], time.time())


ATTEMPT_BEFORE = "SELECT error FROM attempts WHERE job = ? AND number < ? ORDER BY number DESC LIMIT 1"


def ended_so_before(database: Database, claim: Claim, error: str) -> bool:
    """True where the attempt before this one ended with the same *error*."""
    with database.reading() as connection:
        row = connection.execute(ATTEMPT_BEFORE, (claim.seq, claim.number)).fetchone()
    return row is not None and row["error"] == error


RECORDED = "SELECT 1 FROM attempts WHERE id = ? AND job = ? AND outcome = ? AND finished_at = ?"


def is_recorded(database: Database, claim: Claim, kind: str, finished: float) -> bool:
    """True where this very attempt is recorded as having ended so, then (seconds since 1970)."""
    values = (claim.attempt_id, claim.seq, kind, times.utc_text(finished))
    with database.reading() as connection:
        return connection.execute(RECORDED, values).fetchone() is not None


# NOT NULL again, for the proof that the index serves.
HOLDS = "state IN (%s)" % ", ".join("'%s'" % state for state in states.HOLDING)
FIND_HOLDER = "SELECT id, state FROM jobs WHERE unique_key = ? AND unique_key IS NOT NULL AND %s LIMIT 1" % HOLDS


def find_holder(connection: sqlite3.Connection, key: Optional[str]) -> Optional[Holder]:
    """The job that waits or runs with *key*."""
    row = None if key is None else connection.execute(FIND_HOLDER, (key,)).fetchone()
    return None if key is None or row is None else Holder.of(row["id"], key, row["state"])


def key_is_held(identifier: str, holder: Holder, same_call: bool) -> QueueError:
    if same_call:
        text = "jobs %s and %s have the same key %s, and only one can wait: nothing was requeued"
        return QueueError(text % (holder, identifier, errors.shown(holder.key)))
    text = "job %s has the key %s, which job %s (%s) holds: nothing was requeued"
    return QueueError(text % (identifier, errors.shown(holder.key), holder, holder.state))
