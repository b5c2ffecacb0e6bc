"""The end of an attempt: its outcome recorded, and its job moved on, in one transaction.

The arrows out of processing. Every finishing write names the claim that it finishes; what it finds no longer as it
must be, it leaves alone, and says so. What else follows in the same transaction stands in store/aftermath.
"""

from __future__ import annotations

import sqlite3

from queuectl_lib import times
from queuectl_lib.jobs import retrying, states
from queuectl_lib.store import aftermath, opening, placing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence

    from queuectl_lib.jobs.attempts import Outcome
    from queuectl_lib.settings import Settings

# The guard of every finishing write: the claim must still be its own.
OWN_CLAIM = " WHERE seq = ? AND token = ? AND state = 'processing'"

FINISH_ATTEMPT = (
    "UPDATE attempts SET outcome = ?, started_at = coalesce(?, started_at), finished_at = ?, exit_code = ?,"
    " signal = ?, error = ?, token = ?, leftovers = ?, erased = ?, stdout_bytes = ?,"
    " stderr_bytes = ?, stdout = ?, stderr = ?, cpu = ?, peak_rss = ?, oom = ?, note = ?, timeout = ?,"
    " ended = (SELECT ended FROM counts WHERE state = 'completed')"
    " WHERE id = ? AND outcome = 'running'"
)
CLAIM_LEFT = "SELECT 1 FROM jobs" + OWN_CLAIM
# Attempts in the order of their ends: a number, for clocks go back. It stands in the row of 'completed'.
COUNT_END = "UPDATE counts SET ended = ended + 1 WHERE state = 'completed'"
UNFINISHED = "SELECT 1 FROM attempts WHERE id = ? AND outcome = 'running'"
DELETE_ATTEMPT = "DELETE FROM attempts WHERE id = ? AND outcome = 'running'"


def settle_all(connection: sqlite3.Connection, outcomes: Sequence[Outcome], settings: Settings) -> List[Outcome]:
    """Settle each, count them and note what they say of their kinds; those that were refused. Raises IntegrityError."""
    refused = [outcome for outcome in outcomes if not end_attempt(connection, outcome, settings)]
    if outcomes:
        count(connection, [one for one in outcomes if one not in refused] if refused else outcomes, True)
    return refused


def settle(connection: sqlite3.Connection, outcome: Outcome, settings: Settings) -> bool:
    """The same of one that no worker has run to its end, which says nothing of its kind; False where it is refused."""
    is_settled = end_attempt(connection, outcome, settings)
    if is_settled:
        count(connection, [outcome], False)
    return is_settled


def count(connection: sqlite3.Connection, outcomes: Sequence[Outcome], has_kinds: bool) -> None:
    """Count these, once for all. A worker whose first end comes when its files were replaced counts nothing."""
    try:
        from queuectl_lib.store import kinds, totals  # which no worker needs that only waits
    except ImportError:
        return
    totals.record(connection, outcomes)
    if has_kinds:
        kinds.record(connection, outcomes)


def end_attempt(connection: sqlite3.Connection, outcome: Outcome, settings: Settings) -> bool:
    """Finish one attempt and move its job on; False when the claim is not its own any more. Raises IntegrityError."""
    claim = outcome.claim
    end = times.utc_text(outcome.finished)
    start = None if outcome.started is None else times.utc_text(outcome.started)
    kind = final_kind(connection, outcome)
    if kind == states.CANCELLED and outcome.joins:  # the far job is to be ended: its claim stays, for who adopts it
        return False
    state, delay = retrying.after(kind, claim, settings, outcome.is_last, outcome.delay)
    if not move_on(connection, outcome, state, delay, start, end):
        opening.refuse_ignored(len(connection.execute(CLAIM_LEFT, (claim.seq, claim.token)).fetchall()))
        return False
    for keep in aftermath.AFTERMATH:
        keep(connection, outcome, state, end)
    if outcome.unstarted:
        connection.execute(DELETE_ATTEMPT, (claim.attempt_id,))
        return True
    connection.execute(COUNT_END)
    finished = connection.execute(
        FINISH_ATTEMPT,
        (
            outcome.kind,
            start,
            end,
            outcome.exit_code,
            outcome.signal,
            outcome.error,
            claim.token if outcome.keeps_files() else None,
            outcome.leftovers,
            outcome.erased,
            outcome.stdout_bytes,
            outcome.stderr_bytes,
            outcome.stdout,
            outcome.stderr,
            outcome.cpu,
            outcome.peak_rss,
            outcome.oom,
            outcome.note,
            outcome.timeout,
            claim.attempt_id,
        ),
    )
    if finished.rowcount != 1:  # somebody has deleted it, or a trigger keeps it
        opening.refuse_ignored(len(connection.execute(UNFINISHED, (claim.attempt_id,)).fetchall()))
    return True


CANCEL_WANTED = "SELECT cancel_requested FROM jobs WHERE seq = ?"


def final_kind(connection: sqlite3.Connection, outcome: Outcome) -> str:
    """How the attempt counts for its job: what did not complete is cancelled where that was asked for meanwhile."""
    if outcome.kind in (states.COMPLETED, states.CANCELLED):
        return outcome.kind
    row = connection.execute(CANCEL_WANTED, (outcome.claim.seq,)).fetchone()
    if not row or not row["cancel_requested"]:
        return outcome.kind
    if outcome.kind == states.GIVEN_BACK:
        outcome.kind = states.CANCELLED
        outcome.error = "cancelled before it ran" if outcome.unstarted else "cancelled while it was given back"
    outcome.counts_as_cancelled = True
    return states.CANCELLED


COMPLETE_JOB = (
    "UPDATE jobs SET state = 'completed', token = NULL, cancel_requested = 0, exit_code = ?, last_error = NULL,"
    " started_at = coalesce(?, started_at), finished_at = ?, updated_at = ?" + OWN_CLAIM
)
END_JOB = (
    "UPDATE jobs SET state = ?, token = NULL, cancel_requested = 0, exit_code = ?, last_error = ?,"
    " started_at = coalesce(?, started_at), finished_at = ?, updated_at = ?" + OWN_CLAIM
)
RETRY_JOB = (
    "UPDATE jobs SET state = 'failed', token = NULL, cancel_requested = 0, exit_code = ?, last_error = ?,"
    " started_at = coalesce(?, started_at), finished_at = NULL, updated_at = ?, next_run_at = ?, lane = %s" + OWN_CLAIM
) % placing.place("?", "?")
# What is no number stays, so that the next claim sets the job aside and says what stands there.
ONE_LESS = "attempts = CASE typeof(attempts) WHEN 'integer' THEN max(attempts - 1, 0) ELSE attempts END"
RELEASE_JOB = (
    "UPDATE jobs SET state = 'pending', token = NULL, worker = NULL, runs = runs - ?,"
    " started_at = NULL, updated_at = ?, next_run_at = coalesce(run_at, created_at), lane = %s, "
    % placing.AT_ONCE
    + ONE_LESS
    + OWN_CLAIM
)
WITHDRAW_JOB = (  # cancelled between its claim and its start: the attempt never was
    "UPDATE jobs SET state = 'cancelled', token = NULL, worker = NULL, cancel_requested = 0,"
    " runs = runs - 1, started_at = NULL, finished_at = ?, updated_at = ?, last_error = ?, " + ONE_LESS + OWN_CLAIM
)


def move_on(
    connection: sqlite3.Connection, outcome: Outcome, state: str, delay: float, start: Optional[str], end: str
) -> bool:
    """Move the job of an ended attempt to its next *state*; False where the claim is not its own any more."""
    guard = (outcome.claim.seq, outcome.claim.token)
    if state == "completed":
        return connection.execute(COMPLETE_JOB, (outcome.exit_code or 0, start, end, end) + guard).rowcount == 1
    if outcome.kind == states.SNOOZED and state == "pending":
        from queuectl_lib.store import snoozing  # which few homes need

        return snoozing.snooze(connection, outcome, outcome.finished + delay, start, end)
    if state == "pending":
        return connection.execute(RELEASE_JOB, (int(outcome.unstarted), end) + guard).rowcount == 1
    if outcome.unstarted:
        return connection.execute(WITHDRAW_JOB, (end, end, outcome.error) + guard).rowcount == 1
    if state == "failed":
        due = times.utc_text(min(outcome.finished + delay, times.LAST_TIME))
        values = (outcome.exit_code, outcome.error, start, end, due, due, end)
        return connection.execute(RETRY_JOB, values + guard).rowcount == 1
    ended = (state, outcome.exit_code, outcome.error, start, end, end)
    return connection.execute(END_JOB, ended + guard).rowcount == 1
