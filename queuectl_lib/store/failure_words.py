"""What jobs said when they failed last: how the attempt ended, and the line of its output that tells most, as it is.

The group of a failure (store/groups) has that line without what varies; who looks at single jobs wants to know it.
"""

from __future__ import annotations

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import signatures, states
from queuectl_lib.store import groups, opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

OOM = {"proved": "out of memory", "likely": "most likely out of memory"}
MOST = 500  # jobs in one list whose output is looked at; and an old SQLite takes 999 parameters
LAST = (
    "SELECT j.id, a.outcome, a.exit_code, a.signal, a.error, a.oom, a.token, a.stdout_bytes, a.stderr_bytes,"
    " substr(a.stdout, -%d) AS stdout, substr(a.stderr, -%d) AS stderr FROM jobs j CROSS JOIN attempts a"
    " WHERE j.id IN (%%s) AND a.job = j.seq AND a.number = (SELECT max(number) FROM attempts WHERE job = j.seq)"
    % (signatures.TAIL_BYTES, signatures.TAIL_BYTES)
)


class FailureWords:
    """Of one failure: the *verdict* (exit 3, signal KILL), and the *line* that tells more; None where none is known."""

    def __init__(self, verdict: str, line: Optional[str]) -> None:
        self.verdict = verdict
        self.line = line

    def text(self) -> str:
        """For people, who must not be driven by it: it is theirs to print safely."""
        if not self.line:
            return self.verdict
        return self.line if self.line.startswith(self.verdict) else "%s: %s" % (self.verdict, self.line)


def texts(database: Database, jobs: Sequence[Fields]) -> Dict[Any, str]:
    """By its id what each of *jobs* (id, signature, last_error; those first that matter most) says of its last failure.

    Where its output is gone, that is what those of its group have in common.
    """
    words = of_jobs(database, [job["id"] for job in jobs])
    silent = [job for job in jobs if job["id"] not in words or words[job["id"]].line is None]
    known = groups.texts(database, [job["signature"] for job in silent]) if silent else {}
    found: Dict[Any, str] = {key: one.text() for key, one in words.items()}
    for job in silent:
        text = known.get(job["signature"], "")
        if job["id"] not in found or groups.tells_more(text):
            found[job["id"]] = text or ("-" if job["last_error"] is None else str(job["last_error"]))
    return found


def of_jobs(database: Database, ids: Sequence[object]) -> Dict[str, FailureWords]:
    """By its id what each of these (the first MOST of them) said last, where an attempt of it is known."""
    known = [one for one in ids if isinstance(one, str)][:MOST]
    rows: List[Any] = []
    with contexts.suppress(NoDatabase), database.reading() as connection:
        rows = opening.rows(connection, LAST % ", ".join("?" * len(known)), known)
    return {opening.as_text(row["id"]): of_attempt(database, row) for row in rows}


def of_attempt(database: Database, row: Any) -> FailureWords:
    """The same of one attempt, with its streams or the ends of them. What stands there may be anything."""
    verdict = signatures.verdict(opening.as_text(row["outcome"]), row["exit_code"], row["signal"])
    line = groups.telling_line(database, row)
    error = row["error"].strip().split("\n")[0] if isinstance(row["error"], str) else ""
    if row["exit_code"] is None and row["signal"] is None and row["outcome"] == states.FAILED and error:
        return FailureWords(error, "")  # it could not be started, and that says why
    if not line and signatures.sign(verdict, None, error).text != verdict:
        line = error
    if not line and row["signal"] == "SIGKILL":
        line = OOM.get(row["oom"], "")
    return FailureWords(verdict, line or None)
