"""What a live view shows beside what `status` does: what runs, the newest ends, how many there were of late.

All of it in one transaction, by indexes and within fixed limits: the same work at ten jobs and at a million.
"""

from __future__ import annotations

import os
import sqlite3

from queuectl_lib import contexts
from queuectl_lib.host import system
from queuectl_lib.jobs import kinds
from queuectl_lib.store import durations, looking, opening, output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

RUNNING = (
    "SELECT seq, id, state, name, command, is_list, started_at, worker, token FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'processing' AND state <> 'completed' ORDER BY seq LIMIT ?"
)
ENDS = (
    "SELECT a.ended, a.outcome, a.started_at, a.finished_at, a.exit_code, a.signal, j.id, j.state, j.name, j.command,"
    " j.is_list FROM attempts a INDEXED BY attempts_ended CROSS JOIN jobs j WHERE a.ended IS NOT NULL AND j.seq = a.job"
    " ORDER BY a.ended DESC LIMIT ?"
)
LATELY = (
    "SELECT outcome, finished_at FROM attempts INDEXED BY attempts_ended WHERE ended IS NOT NULL"
    " ORDER BY ended DESC LIMIT ?"
)
MOST_LATELY = 300  # ends by which is told how many there were of late


def look(database: Database, running: int, ends: int) -> Fields:
    """"counts" by state; "running", the first that were added; "ends", the newest; "lately". Raises HostError.

    "lately" has an outcome and a time of each of the newest MOST_LATELY ends.
    """
    with database.reading() as connection:
        connection.execute("BEGIN")  # all that is asked is of one moment
        found: Fields = {
            "counts": looking.kept_counts(connection),
            "running": [plain(row) for row in opening.rows(connection, RUNNING, (running,))],
            "ends": [plain(row) for row in opening.rows(connection, ENDS, (ends,))],
            "lately": [(opening.as_text(row[0]), row[1]) for row in opening.rows(connection, LATELY, (MOST_LATELY,))],
        }
        found["usual"] = usual(connection, found["running"])
    return found


def plain(row: sqlite3.Row) -> Fields:
    """A job as it stands there, which may be anything; its command as `list` shows it."""
    job: Fields = opening.without_bytes(row)
    job["id"] = str(job["id"])
    job["words"] = durations.command_of(row)
    if row["is_list"]:
        from queuectl_lib.store import selecting  # which most queues need not

        job["command"] = selecting.text_of(row)
    return job


def usual(connection: sqlite3.Connection, running: List[Fields]) -> Dict[str, List[float]]:
    """The last durations of the kinds of what runs; each of *running* is told its "kind"."""
    for job in running:
        job["kind"] = kinds.of(job["name"], job.pop("words"))
    return durations.look_in(connection, [job["kind"] for job in running])


def last_line(database: Database, token: object) -> str:
    """The last line with anything on it that the running attempt with that *token* wrote, on either stream; or "".

    It is theirs to show safely. No more than the end of each file is read.
    """
    attempt: Fields = {"id": 0, "token": token}
    for stream in ("stdout", "stderr"):
        attempt.update({stream: 0, stream + "_bytes": 0})
    found: List[Tuple[int, Any]] = []
    for stream in ("stdout", "stderr"):
        one = output.Output(database, attempt, stream)
        if one.size:
            with contexts.suppress(OSError):
                found.append((os.stat(one.path).st_mtime_ns, one))
    for _, one in sorted(found, key=lambda pair: pair[0], reverse=True):
        line = last_of(one.tail(output.LINE_BYTES))
        if line:
            return line
    return ""


def last_of(data: bytes) -> str:
    """The last line of *data* with anything on it; a bar that was drawn over itself is taken as it stands last."""
    for line in reversed(system.output_text(data).replace("\r", "\n").split("\n")):
        if line.strip():
            return line.strip()
    return ""
