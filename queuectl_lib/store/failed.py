"""The newest attempts of a stretch of time that failed: the group of each, and the last lines of what it wrote."""

from __future__ import annotations

import sqlite3

from queuectl_lib import times
from queuectl_lib.host import system
from queuectl_lib.jobs import states
from queuectl_lib.store import failure_words, groups, opening, window
from queuectl_lib.store.output import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

LOOKED_AT = 2000  # failures, the newest
TAIL_BYTES = 4096  # of an output, in which its last lines are looked for
IS_SIGNED = "(j.signature IS NOT NULL AND a.number = j.runs AND j.state IN ('dead', 'failed'))"
FAILED = (
    "SELECT a.id, a.number, a.outcome, a.exit_code, a.signal, a.error, a.oom, a.token, a.started_at, a.finished_at,"
    " a.stdout_bytes, a.stderr_bytes, {signed} AS is_signed, j.signature, j.id AS job, j.name, j.is_list,"
    " CASE WHEN {signed} THEN NULL ELSE substr(a.stdout, -{tail}) END AS stdout,"
    " CASE WHEN {signed} THEN NULL ELSE substr(a.stderr, -{tail}) END AS stderr,"
    " substr(coalesce(a.command, j.command), 1, {command}) AS command, a.command IS NOT NULL AS changed"
    " FROM attempts a CROSS JOIN jobs j WHERE %s AND a.outcome IN ({failing}) AND j.seq = a.job"
    " ORDER BY a.id DESC LIMIT {most}"
).format(
    signed=IS_SIGNED,
    tail=TAIL_BYTES,
    command=window.COMMAND_CHARACTERS,
    failing=", ".join("'%s'" % one for one in sorted(states.ENDINGS) if states.ENDINGS[one] == "fail"),
    most=LOOKED_AT,
)


class Failures:
    """*groups*: signature to [text, how many, when the last (seconds since 1970)]; *rows*, the newest first."""

    def __init__(self) -> None:
        self.groups: Dict[str, List[Any]] = {}
        self.rows: List[sqlite3.Row] = []

    def add(self, signature: str, text: str, ended: float) -> None:
        known = self.groups.setdefault(signature, [text, 0, ended])
        known[1] += 1
        known[2] = max(known[2], ended)


def of(database: Database, seen: window.Window) -> Failures:
    """The newest LOOKED_AT failures of the window *seen*, of which the groups are told."""
    rows: List[sqlite3.Row] = []
    for condition, values in seen.parts():
        rows += opening.rows(seen.connection, FAILED % condition, values)
    ends = {row["id"]: times.seconds_or(row["finished_at"], -1.0) for row in rows}
    rows = sorted([row for row in rows if ends[row["id"]] >= seen.since], key=lambda row: ends[row["id"]])
    found = Failures()
    found.rows = rows[::-1][:LOOKED_AT]
    texts = groups.texts(database, {row["signature"] for row in found.rows if row["is_signed"]})
    for row in found.rows:
        if row["is_signed"]:
            signature = opening.as_text(row["signature"])
            found.add(signature, texts.get(signature, "?"), ends[row["id"]])
        else:
            signed = groups.signed_old(database, row, row)
            found.add(signed.signature, signed.text, ends[row["id"]])
    return found


FACTS = (
    "SELECT id, outcome, exit_code, signal, error, oom, token, stdout_bytes, stderr_bytes,"
    " stdout IS NOT NULL AS stdout, stderr IS NOT NULL AS stderr FROM attempts WHERE id = ?"
)


def told(database: Database, row: sqlite3.Row, lines: int) -> Fields:
    """One failure for people: job, name, command, number, ended (as it is stored), verdict, and its last *lines*."""
    last: List[str] = []
    with database.reading() as connection:
        found = opening.rows(connection, FACTS, (row["id"],))
    for stream in ("stderr", "stdout") if found else ():
        if not last:
            text = system.output_text(Output(database, opening.without_bytes(found[0]), stream).tail(TAIL_BYTES))
            last = [line for line in text.replace("\r", "\n").split("\n") if line.strip()][-lines:]
    without = dict(opening.without_bytes(row), stdout=b"", stderr=b"", stdout_bytes=0, stderr_bytes=0)
    return {
        "job": opening.as_text(row["job"]),
        "name": row["name"] if isinstance(row["name"], str) else None,
        "command": text_of(window.words_of(row)),
        "number": row["number"],
        "ended": opening.as_text(row["finished_at"]),
        "verdict": failure_words.of_attempt(database, without).text(),
        "lines": last,
    }


def text_of(words: Any) -> str:
    """A command as people see it."""
    return system.typed([str(word) for word in words]) if isinstance(words, list) else str(words)
