"""A few jobs of those that matter now, for `status`: what runs, what failed last, what comes next.

Each is found by an index, at ten jobs and at a million alike.
"""

from __future__ import annotations

import sqlite3

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import states
from queuectl_lib.store import open_queues, opening, serving, waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

COLUMNS = (
    "seq, id, state, command, is_list, priority, next_run_at, started_at, updated_at, finished_at, exit_code,"
    " last_error, worker, token, signature, lock_key, name"
)
RUNNING = (
    "SELECT %s FROM jobs INDEXED BY jobs_open WHERE state = 'processing' AND state <> 'completed' ORDER BY seq LIMIT ?"
) % COLUMNS


def running(database: Database, most: int) -> List[Fields]:
    """The first *most* jobs that run, as they were added: id, command, worker, started_at; and their token."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        return [plain(row) for row in opening.rows(connection, RUNNING, (most,))]
    return []


def plain(row: sqlite3.Row) -> Fields:
    """A job as it stands there, which may be anything; its command as `list` shows it."""
    job: Fields = opening.without_bytes(row)
    job["id"] = str(job["id"])
    if row["is_list"]:
        from queuectl_lib.store import selecting  # which most commands need not

        job["command"] = selecting.text_of(row)
    return job


# ---------------------------------------------------------------- what failed

LAST_ENDS = 300  # attempts, among which those that failed are looked for
ENDED = (
    "SELECT job, outcome, finished_at FROM attempts INDEXED BY attempts_ended WHERE ended IS NOT NULL"
    " ORDER BY ended DESC LIMIT ?"
)
THESE = "SELECT %s FROM jobs WHERE seq IN (%%s) AND +state IN ('dead', 'failed')" % COLUMNS
LAST_ADDED = (
    "SELECT %s FROM jobs INDEXED BY jobs_open WHERE state = ? AND state <> 'completed' ORDER BY seq DESC LIMIT ?"
) % COLUMNS


def failures(database: Database, most: int) -> List[Fields]:
    """The *most* jobs, dead or waiting for a retry, that failed last, the newest first; with "failed_at".

    They are looked for among the last ends of attempts, and among those added last.
    """
    found: Dict[Any, sqlite3.Row] = {}
    at: Dict[Any, Any] = {}
    with contexts.suppress(NoDatabase), database.reading() as connection:
        ends = opening.rows(connection, ENDED, (LAST_ENDS,))
        failed = [row for row in reversed(ends) if states.ENDINGS.get(opening.as_text(row["outcome"])) == "fail"]
        at = {row["job"]: row["finished_at"] for row in failed}
        rows = opening.rows(connection, THESE % ", ".join("?" * len(at)), list(at))
        for state in ("dead", "failed"):
            rows += opening.rows(connection, LAST_ADDED, (state, most))
        found = {row["seq"]: row for row in rows}
    for seq, row in found.items():  # one that waits for a retry has not finished
        at.setdefault(seq, row["updated_at"] if row["finished_at"] is None else row["finished_at"])
    newest = sorted(found.values(), key=lambda row: (opening.as_text(at[row["seq"]]), row["seq"]), reverse=True)
    return [dict(plain(row), failed_at=at[row["seq"]]) for row in newest[:most]]


# ---------------------------------------------------------------- what comes next

DUE = (
    "SELECT %s FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0"
    " ORDER BY priority DESC, next_run_at, seq LIMIT ?"
) % COLUMNS
LATER = "SELECT %s FROM jobs INDEXED BY jobs_later WHERE lane = 1 ORDER BY next_run_at LIMIT ?" % COLUMNS


def coming(database: Database, most: int, now: float) -> List[Fields]:
    """The *most* jobs that come next: those that are due, as they are claimed, then those that wait for their time.

    What is held, waits for others or a lock, or is in a queue that may start nothing, is not among them.
    """
    due: List[sqlite3.Row] = []
    with contexts.suppress(NoDatabase), database.reading() as connection:
        lines, closed = open_queues.look(connection, now, serving.Asker(database, asks=True))
        full = [one.queue for one in closed if one.kind == serving.FULL]
        for queue in [line.queue for line in lines] + full:
            due += opening.rows(connection, DUE, (queue, most))
        if [row for row in due if row["lock_key"] is not None]:
            held = waiting.taken(connection)
            due = [row for row in due if row["lock_key"] not in held]
        due = sorted(due, key=place_of)[:most]
        due += opening.rows(connection, LATER, (most - len(due),)) if len(due) < most else []
    return [plain(row) for row in due]


def place_of(row: sqlite3.Row) -> Tuple[float, str, int]:
    """Its place in the order of claims."""
    priority = row["priority"] if type(row["priority"]) is int else 0
    return -priority, opening.as_text(row["next_run_at"]), row["seq"]
