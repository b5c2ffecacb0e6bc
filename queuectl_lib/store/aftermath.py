"""What else follows where an attempt is settled: successes, outcomes and deaths noted, locks and children let go."""

from __future__ import annotations

import json
import sqlite3

from queuectl_lib.jobs import states
from queuectl_lib.store import settling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Tuple

    from queuectl_lib.jobs.attempts import Outcome

RECORD_SUCCESS = "INSERT OR REPLACE INTO successes VALUES (?, ?)"


def remember_success(connection: sqlite3.Connection, outcome: Outcome, state: str, end: str) -> None:
    """For `check --expect`: when a job with this key last completed."""
    if state == "completed" and outcome.claim.unique_key is not None:
        connection.execute(RECORD_SUCCESS, (outcome.claim.unique_key, end))


COUNT_DEATH = "UPDATE counts SET deaths = deaths + 1 WHERE state = 'dead'"
NUMBER_DEATH = "UPDATE jobs SET death = (SELECT deaths FROM counts WHERE state = 'dead') WHERE seq = ?"


def number_death(connection: sqlite3.Connection, outcome: Outcome, state: str, end: str) -> None:
    """For `check`, which tells of each death once."""
    if state == "dead":
        connection.execute(COUNT_DEATH)
        connection.execute(NUMBER_DEATH, (outcome.claim.seq,))


FORGET = "UPDATE jobs SET signature = NULL, release = NULL WHERE seq = ?"


def sign_failure(connection: sqlite3.Connection, outcome: Outcome, state: str, end: str) -> None:
    """For who asks which failures are alike."""
    if state in ("failed", "dead"):
        try:
            from queuectl_lib.store import alike  # of failures alone
        except ImportError:  # newer files lie there: who asks for groups signs it then
            return
        alike.sign(connection, outcome, end)
    elif state == "completed" and outcome.claim.signature is not None:
        connection.execute(FORGET, (outcome.claim.seq,))


def mark_end(connection: sqlite3.Connection, outcome: Outcome, state: str, end: str) -> None:
    """For who asks later what this end has made of the job, where its outcome alone does not tell that."""
    if states.AFTER_ENDING.get(states.ENDINGS[outcome.kind]) != state:
        mark = {"state": state, "signature": outcome.signature}
        said = json.loads(outcome.note) if outcome.note else {}
        outcome.note = json.dumps(dict(said, end=mark), ensure_ascii=False)


def let_follow(connection: sqlite3.Connection, outcome: Outcome, state: str, end: str) -> None:
    """For those that wait for a job that goes first for them."""
    claim = outcome.claim
    if claim.release is not None and state in states.FINAL:
        from queuectl_lib.store import following  # which few homes need

        following.first_has_ended(connection, claim.release, claim.seq, state)


def give_up_lock(connection: sqlite3.Connection, outcome: Outcome, state: str, end: str) -> None:
    """Whatever becomes of the job: it runs no more, so another with its lock may."""
    if outcome.claim.lock_key is not None:
        from queuectl_lib.store import locking  # which few homes need

        locking.free_lock(connection, outcome.claim.lock_key)


NOTE_OUTCOME = (
    "UPDATE schedules SET last_outcome = ?, outcome_at = ?, failures = CASE ? WHEN 'completed' THEN 0"
    " ELSE failures + 1 END WHERE name = ?"
)


def note_outcome(connection: sqlite3.Connection, outcome: Outcome, state: str, end: str) -> None:
    """For whoever asks of a schedule how its last job ended, also once that is pruned."""
    if outcome.claim.schedule and state in states.FINAL:
        connection.execute(NOTE_OUTCOME, (state, end, state, outcome.claim.schedule))


def release_children(connection: sqlite3.Connection, outcome: Outcome, state: str, end: str) -> None:
    """For what comes after this job."""
    if state in states.FINAL:
        settling.has_ended(connection, outcome.claim.seq)


def let_join(connection: sqlite3.Connection, outcome: Outcome, state: str, end: str) -> None:
    """For the next attempt, which joins what a launcher has started for this one."""
    if outcome.joins:
        from queuectl_lib.store import launched  # which few homes need

        launched.let_join(connection, outcome.claim)


# What else follows, in this order. A worker calls each with the outcome, the state that its job has entered, and when.
AFTERMATH: Tuple[Callable[[sqlite3.Connection, Outcome, str, str], None], ...] = (
    remember_success,
    number_death,
    sign_failure,
    mark_end,
    let_follow,
    give_up_lock,
    note_outcome,
    release_children,
    let_join,
)
