"""What became of many jobs: of each its last attempt with its output, a few at a time, so that nobody waits.

No read lasts longer than a page takes to be fetched: who prints it may be as slow as the reader of a pipe.
"""

from __future__ import annotations

import itertools
import sqlite3

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase, QueueError
from queuectl_lib.jobs import states
from queuectl_lib.store import durations, opening, said, showing
from queuectl_lib.store.output import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Found
    from queuectl_lib.values import Fields

AT_ONCE = 500  # jobs in one read; and an old SQLite takes 999 parameters
BYTES_AT_ONCE = 4 * 1024 * 1024  # of output that is held; what is larger is read when it is printed
STREAMS = ("stdout", "stderr")

OF_JOBS = (
    "SELECT j.seq, j.id AS job, j.state, j.tags, j.command, j.is_list,"
    " a.id, a.number, a.outcome, a.started_at, a.finished_at, a.exit_code,"
    " a.signal, a.error, a.token, a.note, a.stdout_bytes, a.stderr_bytes,"
    " a.stdout IS NOT NULL AS stdout, a.stderr IS NOT NULL AS stderr,"
    " coalesce(length(a.stdout), 0) + coalesce(length(a.stderr), 0) AS held"
    " FROM jobs j LEFT JOIN attempts a ON a.id ="
    " (SELECT id FROM attempts WHERE job = j.seq ORDER BY number DESC LIMIT 1) WHERE j.seq IN (%s)"
)
OF_ATTEMPT = ("id", "number", "outcome", "started_at", "finished_at", "exit_code", "signal", "error", "token", "note")
OUTPUTS = "SELECT id, stdout, stderr FROM attempts WHERE id IN (%s)"


class Result:
    """One job and what its last attempt came to; *outputs* are empty where there is none."""

    def __init__(self, database: Database, row: Fields, blobs: Dict[int, sqlite3.Row]) -> None:
        self.seq: int = row["seq"]
        self.is_final: bool = row["state"] in states.FINAL
        result = said.of_note(row["note"]).get("result")  # below: what it says now
        if row["outcome"] == states.RUNNING:
            result = said.now(database, row["token"]).get("result")
        self.facts: Fields = {
            "id": row["job"],
            "state": row["state"],
            "tags": sorted(row["tags"].split()) if isinstance(row["tags"], str) else [],
            "attempt": row["number"],
            "exit_code": row["exit_code"],
            "signal": row["signal"],
            "seconds": seconds_of(row),
            "command": durations.command_of(row),
            "error": row["error"],
            "result": result,
        }
        self.outputs: Dict[str, Output] = {}
        for stream in STREAMS if row["id"] is not None else ():
            output = self.outputs[stream] = Output(database, row, stream)
            blob = blobs[row["id"]][stream] if row["id"] in blobs else None
            if blob is not None:
                output.blob = blob if isinstance(blob, bytes) else str(blob).encode("utf-8", "surrogatepass")
        for stream in STREAMS:
            self.facts[stream + "_bytes"] = self.outputs[stream].size if self.outputs else 0


def of_attempt(database: Database, identifier: str, number: Optional[int]) -> Result:
    """A job with one of its attempts: that of this *number*, else the last. Raises QueueError where there is none."""
    job = showing.job(database, identifier)
    attempts = [one for one in job["history"] if number in (None, one["number"])]
    if number is not None and not attempts:
        raise QueueError("job %s has no attempt %d" % (identifier, number), "no_such_attempt")
    attempt = attempts[-1] if attempts else dict.fromkeys(OF_ATTEMPT)
    note = attempt["note"] or {}
    row = dict(attempt, seq=0, job=job["id"], state=job["state"], tags=" ".join(job["tags"]), note=None)
    row.update(command=job["command"], is_list=False)
    result = Result(database, row, {})
    result.facts["result"] = note.get("result")
    return result


def seconds_of(row: Fields) -> Optional[float]:
    """How long the attempt took; None while it runs, and where that cannot be told."""
    begin, end = (times.seconds_or(row[name], -1.0) for name in ("started_at", "finished_at"))
    return None if begin < 0 or end < 0 else round(max(0.0, end - begin), 6)


def of(database: Database, found: Iterator[Found]) -> Iterator[Result]:
    """What became of each of the jobs *found* that is still there, in that order."""
    while True:
        some = [seq for seq, _ in itertools.islice(found, AT_ONCE)]
        rows: Dict[int, Fields] = {}
        with contexts.suppress(NoDatabase), database.reading() as connection:
            for row in opening.rows(connection, OF_JOBS % ", ".join("?" * len(some)), some):
                rows[row["seq"]] = opening.without_bytes(row)
        known = [rows[seq] for seq in some if seq in rows]
        for part in parts(known):
            blobs = outputs(database, [row["id"] for row in part if row["held"]])
            for one in part:
                yield Result(database, one, blobs)
        if len(some) < AT_ONCE:
            return


def parts(rows: Sequence[Fields]) -> Iterator[List[Fields]]:
    """*rows* in parts, the outputs of each of which may be held together; or of one alone."""
    part: List[Fields] = []
    held = 0
    for row in rows:
        if part and held + row["held"] > BYTES_AT_ONCE:
            yield part
            part, held = [], 0
        part.append(row)
        held += row["held"]
    if part:
        yield part


def outputs(database: Database, attempts: Sequence[int]) -> Dict[int, sqlite3.Row]:
    """What is kept in the database of the output of these *attempts*."""
    if not attempts:
        return {}
    with contexts.suppress(NoDatabase), database.reading() as connection:
        rows = opening.rows(connection, OUTPUTS % ", ".join("?" * len(attempts)), attempts)
        return {row["id"]: row for row in rows}
    return {}
