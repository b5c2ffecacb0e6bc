"""What jobs say of themselves, as callers are shown it: while one runs from its control file, then from its attempt.

Nothing is written for it while a job runs: whoever asks reads the file.
"""

from __future__ import annotations

import json

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.host import control_file
from queuectl_lib.jobs import states, verdicts
from queuectl_lib.store import folder, looking, opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields


def now(database: Database, token: object) -> Fields:
    """What the running attempt with that *token* says: progress, result, lines that are not understood; or nothing."""
    found = control_file.read(database.folder.attempt_path(token, folder.SAY)) if isinstance(token, str) else None
    if found is None:
        return {}
    heard = verdicts.read(found.text)
    if found.trouble:
        heard.ignore(found.trouble)
    return of_note(heard.note())


def of_note(note: object) -> Fields:
    """What stands in the column of an attempt; {} where somebody has changed it to what cannot be read."""
    try:
        found = json.loads(note) if isinstance(note, str) else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    known: Fields = {}
    progress = found.get("progress")
    if isinstance(progress, dict) and type(progress.get("percent")) in (int, float):
        text = progress.get("text")
        known["progress"] = {"percent": progress["percent"], "text": text if isinstance(text, str) else None}
    if isinstance(found.get("result"), str):
        known["result"] = found["result"]
    ignored = found.get("ignored")
    if isinstance(ignored, list) and all(isinstance(line, str) for line in ignored):
        lines = found.get("ignored_lines")
        known.update(ignored=ignored, ignored_lines=lines if type(lines) is int else len(ignored))
    return known


class Running:
    """The progress of what runs: the tokens are asked for at the first job that does."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tokens: Optional[Dict[str, object]] = None

    def progress_of(self, job: Fields) -> Optional[Fields]:
        if self.tokens is None:
            self.tokens = {}
            with contexts.suppress(NoDatabase):
                self.tokens = {one["id"]: one["token"] for one in looking.processing(self.database)}
        found: Optional[Fields] = now(self.database, self.tokens.get(job["id"])).get("progress")
        return found


MOST_TOLD = 10  # of those that run


def all_progress(database: Database) -> Dict[str, Fields]:
    """Of what runs and says how far it is, by id: the first few."""
    told: Dict[str, Fields] = {}
    for job in looking.processing(database):
        progress = now(database, job["token"]).get("progress")
        if progress and len(told) < MOST_TOLD:
            told[job["id"]] = progress
    return told


def in_full(database: Database, job: Fields) -> None:
    """Add to *job*, as it is shown with its history, what its attempts have said, and the last of them says."""
    for attempt in job["history"]:
        runs = attempt["outcome"] == states.RUNNING
        attempt["note"] = (now(database, attempt["token"]) if runs else of_note(attempt["note"])) or None
    last: Fields = (job["history"][-1]["note"] if job["history"] else None) or {}
    job["progress"], job["result"] = last.get("progress"), last.get("result")


NOTES = (
    "SELECT j.id, a.note FROM jobs j JOIN attempts a ON a.job = j.seq AND a.number ="
    " (SELECT max(number) FROM attempts WHERE job = j.seq) WHERE j.id IN (%s)"
)
AT_ONCE = 500  # an old SQLite takes 999 parameters


def results(database: Database, ids: Sequence[str]) -> Dict[str, str]:
    """The result of each of these jobs that has told one at its last attempt, by id."""
    found: Dict[str, str] = {}
    for some in parts(ids):
        with contexts.suppress(NoDatabase), database.reading() as connection:
            for row in opening.rows(connection, NOTES % ", ".join("?" * len(some)), some):
                result = of_note(row["note"]).get("result")
                if result is not None:
                    found[opening.as_text(row["id"])] = result
    return found


def parts(ids: Sequence[str]) -> Iterator[List[str]]:
    for start in range(0, len(ids), AT_ONCE):
        yield list(ids[start : start + AT_ONCE])
