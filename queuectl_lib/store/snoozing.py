"""The arrow back to pending of a job that has asked to run again later: no retry spent, and few rows of it kept."""

from __future__ import annotations

import sqlite3

from queuectl_lib import times
from queuectl_lib.jobs import states
from queuectl_lib.store import opening, placing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.jobs.attempts import Outcome

# What is no number stays, so that the next claim sets the job aside and says what stands there.
SNOOZE_JOB = (
    "UPDATE jobs SET state = 'pending', token = NULL, worker = NULL, cancel_requested = 0, snoozes = snoozes + 1,"
    " exit_code = ?, last_error = ?, started_at = coalesce(?, started_at), finished_at = NULL, updated_at = ?,"
    " next_run_at = ?, lane = %s,"
    " attempts = CASE typeof(attempts) WHEN 'integer' THEN max(attempts - 1, 0) ELSE attempts END"
    " WHERE seq = ? AND token = ? AND state = 'processing'"
) % placing.place("?", "?")


def snooze(connection: sqlite3.Connection, outcome: Outcome, due: float, start: Optional[str], end: str) -> bool:
    """Let the job of an attempt that ended wait until *due*; False where the claim is not its own any more."""
    claim, due_text = outcome.claim, times.utc_text(min(due, times.LAST_TIME))
    values = (outcome.exit_code, outcome.error, start, end, due_text, due_text, end, claim.seq, claim.token)
    if connection.execute(SNOOZE_JOB, values).rowcount != 1:
        return False
    forget_old_rows(connection, claim.seq, claim.attempt_id)
    return True


KEPT_ROWS = 10  # of consecutive attempts that were snoozed
LATEST = "SELECT id, outcome, leftovers FROM attempts WHERE job = ? AND id <> ? ORDER BY number DESC LIMIT 50"
FORGET = "DELETE FROM attempts WHERE id = ?"


def forget_old_rows(connection: sqlite3.Connection, seq: int, attempt_id: int) -> None:
    """Of the attempts that were snoozed in a row up to this one, keep the newest; what may still run keeps its row."""
    kept = 1
    for row in opening.rows(connection, LATEST, (seq, attempt_id)):
        if row["outcome"] != states.SNOOZED:
            return
        if kept >= KEPT_ROWS and row["leftovers"] is None:
            connection.execute(FORGET, (row["id"],))
        kept += 1
