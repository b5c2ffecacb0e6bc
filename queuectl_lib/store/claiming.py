"""The claim: due jobs given to a worker, in order; what cannot be read is set aside, and holds up no other.

The arrow from pending and failed to processing, which storage.Queue.exchange draws together with those that end
attempts. A row that somebody changed by hand, or that was damaged, is found out here, before anything is started.
"""

from __future__ import annotations

import os
import sqlite3
import time

from queuectl_lib import times
from queuectl_lib.jobs import attempts, states
from queuectl_lib.jobs.attempts import Claim, Outcome
from queuectl_lib.store import looking, open_queues, opening
from queuectl_lib.store.due_jobs import DueJobs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional, Tuple

    from queuectl_lib.store import locking
    from queuectl_lib.store.database import Database
    from queuectl_lib.store.serving import Asker, Line
    from queuectl_lib.values import Fields

# Each index is named: after an ANALYZE, SQLite up to 3.25 would rather read or sort the whole table.
FALLEN_DUE = "FROM jobs INDEXED BY jobs_later WHERE lane = 1 AND next_run_at <= ?"
SOME_FALLEN_DUE = "SELECT seq %s LIMIT ?" % FALLEN_DUE
PROMOTE_DUE = "UPDATE jobs INDEXED BY jobs_later SET lane = 0 WHERE lane = 1 AND next_run_at <= ?"
PROMOTE_NO_TIMES = "UPDATE jobs INDEXED BY jobs_later SET lane = 0 WHERE lane = 1 AND next_run_at > '9999-12-32'"


def claim_due(
    connection: sqlite3.Connection,
    worker: str,
    want: int,
    now: float,
    settle: Callable[[Outcome], object],
    asker: Asker,
) -> Tuple[List[Claim], bool]:
    """Claim up to *want* due jobs for *worker*, in order, of the queues that *asker* serves; and whether more are due.

    What cannot be read is claimed, too, and then *settle* has its death; what a constraint or trigger keeps where
    it is, is passed over. Raises IntegrityError where there is nothing else.
    """
    now_text = times.utc_text(now)
    promote(connection, now_text)
    begin = now + asker.waited  # so old is the caller's look at the clock
    lines, _ = open_queues.look(connection, begin, asker)
    due = DueJobs(connection, lines, want)
    if due.best() is None and connection.execute(PROMOTE_NO_TIMES).rowcount > 0:
        due = DueJobs(connection, lines, want)
    claim = Claiming(connection, worker, due, now, settle)
    claim.begin, claim.launcher = begin, asker.launcher
    return claim.up_to(want)


BEHIND = 100  # how many jobs that cannot be moved do not hide those behind them
PARKED_MOST = 200  # in one transaction: while it lasts, claims of others wait


class Claiming:
    """One claim: what it has taken of the jobs that are *due*.

    Whoever claims starts the first at once, and holds the others ahead. So one with a lock, or of a queue that counts
    what runs or starts, is claimed as the first or not at all: ahead it would hold a place that it does not use.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        worker: str,
        due: DueJobs,
        now: float,
        settle: Callable[[Outcome], object],
    ) -> None:
        self.connection = connection
        self.worker = worker
        self.due = due
        self.begin = now  # of what is claimed
        self.now_text = times.utc_text(now)
        self.settle = settle
        self.launcher: Optional[str] = None  # the setting
        self.locks: Optional[locking.Taken] = None  # no job that was met has one
        self.claims: List[Claim] = []
        self.refusal: Optional[sqlite3.IntegrityError] = None

    def up_to(self, want: int) -> Tuple[List[Claim], bool]:
        """So many claims, and whether more are due. Raises IntegrityError where all that is due refuses to move."""
        moved = parked = 0
        best = self.due.best()
        while best and len(self.claims) < want and parked < PARKED_MOST and len(self.due.passed) < BEHIND:
            line, row = best
            if self.claims and (line.starts_now or row["lock_key"] is not None):
                break
            try:
                is_claimed = self.take(line, row)
                moved, parked = moved + is_claimed, parked + (not is_claimed)
            except sqlite3.IntegrityError as error:
                if not self.connection.in_transaction:  # the trigger has ended it
                    raise
                self.refusal = error
                self.due.pass_over(line)
            best = self.due.best()
        if self.refusal and not moved:
            raise self.refusal
        return self.claims, best is not None and not self.refusal

    def take(self, line: Line, row: sqlite3.Row) -> bool:
        """Claim the first of *line*, or set it aside where it cannot be read; False where its lock is taken: parked."""
        fields = dict(zip(row.keys(), row))  # dict(row) asks for each by name, and Row looks for a name in all of them
        key = fields["lock_key"]
        why = attempts.what_is_wrong(fields)
        if why:
            set_aside(self.connection, self.worker, fields, why, self.now_text, self.settle)
            self.due.drop(line)
            return True
        if key is not None and self.is_parked(fields["seq"], key):
            self.due.drop(line)
            return False
        claim = claim_one(self.connection, self.worker, fields, self.now_text)
        chosen = self.launcher is not None or line.launcher is not None or "launcher" in claim.policy
        if chosen or claim.was_launched:
            from queuectl_lib.store import launched  # which few homes need

            launched.note(self.connection, claim, line, self.launcher)
        self.claims.append(claim)
        if line.row is not None:
            from queuectl_lib.store import eligible  # which few homes need

            eligible.note_start(self.connection, line.row, self.begin)
        self.due.take(line)
        return True

    def is_parked(self, seq: int, key: object) -> bool:
        """True where the lock of a job is taken: it is put aside."""
        from queuectl_lib.store import locking  # the same

        self.locks = self.locks or locking.Taken(self.connection)
        is_taken = self.locks.is_taken(key)
        if is_taken:
            locking.park(self.connection, seq)
        return is_taken


CROWD = 1000  # how many are promoted in one transaction: while it lasts, claims of others wait
MANY_PRIORITIES = 1000  # so many are asked for one by one


def promote(connection: sqlite3.Connection, now_text: str) -> None:
    """Put what has fallen due in the line of claims; of a crowd those whose turn it is, so that the order holds."""
    fallen = len(connection.execute(SOME_FALLEN_DUE, (now_text, CROWD + 1)).fetchall())
    if fallen > CROWD:
        promote_best(connection, now_text)
    elif fallen:
        connection.execute(PROMOTE_DUE, (now_text,))


FIRST_OF_PRIORITY = (
    "SELECT seq FROM jobs INDEXED BY jobs_crowd WHERE lane = 1 AND priority = ? AND next_run_at <= ?"
    " ORDER BY next_run_at, seq LIMIT ?"
)
FIRST_OF_ALL = "SELECT seq %s ORDER BY priority DESC, next_run_at, seq LIMIT ?" % FALLEN_DUE  # looks at each
PROMOTE_ONE = "UPDATE jobs SET lane = 0 WHERE seq = ? AND lane = 1"


def promote_best(connection: sqlite3.Connection, now_text: str) -> None:
    """Promote the first CROWD of those that have fallen due, in the order of claims."""
    best: List[sqlite3.Row] = []
    for visited, priority in enumerate(looking.priorities(connection)):
        if len(best) >= CROWD or visited >= MANY_PRIORITIES:
            break
        best += opening.rows(connection, FIRST_OF_PRIORITY, (priority, now_text, CROWD - len(best)))
    if len(best) < CROWD:
        best = opening.rows(connection, FIRST_OF_ALL, (now_text, CROWD))
    connection.executemany(PROMOTE_ONE, [(row["seq"],) for row in best])


def set_aside(
    connection: sqlite3.Connection,
    worker: str,
    row: Fields,
    why: str,
    now_text: str,
    settle: Callable[[Outcome], object],
) -> None:
    """Claim a job that cannot be read, and let it die of that; both or neither. Raises IntegrityError."""
    with opening.undone_alone(connection):
        claim = claim_one(connection, worker, attempts.mended(row), now_text)
        claim.max_retries = -1  # none is left
        settle(Outcome(claim, states.FAILED, times.utc_seconds(now_text), why))


CLAIM_JOB = (
    "UPDATE jobs"
    " SET state = 'processing', lane = NULL, next_run_at = NULL, attempts = attempts + 1, runs = ?,"
    " worker = ?, token = ?, started_at = ?, updated_at = ?, finished_at = NULL, exit_code = NULL"
    " WHERE seq = ? AND lane = 0"
)
MOST_RUNS = 1 << 62  # whatever somebody wrote there: a number that the database can still hold
INSERT_ATTEMPT = "INSERT INTO attempts (job, number, started_at, worker, token) VALUES (?, ?, ?, ?, ?)"
LAST_NUMBER = "SELECT max(number) FROM attempts WHERE job = ? AND number BETWEEN 0 AND %d" % MOST_RUNS
DELETE_ATTEMPT = "DELETE FROM attempts WHERE id = ?"
FIND_LEFT = (
    "SELECT token, leftovers, launcher FROM attempts WHERE job = ?"
    " AND (launcher IS NOT NULL OR (leftovers IS NOT NULL AND token IS NOT NULL))"
)


def claim_one(connection: sqlite3.Connection, worker: str, row: Fields, now_text: str) -> Claim:
    """Give the due job in *row* to *worker*, under a new token, as a new attempt. Raises IntegrityError."""
    token = os.urandom(8).hex()
    number = min(row["runs"], MOST_RUNS) + 1
    try:
        attempt = insert_attempt(connection, (row["seq"], number, now_text, worker, token))
    except sqlite3.IntegrityError:  # somebody set runs back
        number = 1 + int(connection.execute(LAST_NUMBER, (row["seq"],)).fetchone()[0] or 0)
        attempt = insert_attempt(connection, (row["seq"], number, now_text, worker, token))
    try:
        moved = connection.execute(CLAIM_JOB, (number, worker, token, now_text, now_text, row["seq"]))
        opening.refuse_ignored(1 - moved.rowcount)
    except sqlite3.IntegrityError:
        connection.execute(DELETE_ATTEMPT, (attempt,))
        raise
    row["attempts"] += 1  # counted before it starts: what kills its worker ends up dead
    claim = Claim(row, token, attempt, number)
    if number > 1:
        found = opening.rows(connection, FIND_LEFT, (row["seq"],))
        claim.leftovers = [left["token"] for left in found if None not in (left["leftovers"], left["token"])]
        claim.was_launched = any(left["launcher"] is not None for left in found)
    return claim


def insert_attempt(connection: sqlite3.Connection, values: Tuple[int, int, str, str, str]) -> int:
    """Its id. Raises IntegrityError, also where a trigger ignores it: what it comes to could be recorded nowhere."""
    inserted = connection.execute(INSERT_ATTEMPT, values)
    opening.refuse_ignored(1 - inserted.rowcount)
    return inserted.lastrowid or 0


RUNNING_ATTEMPT = (
    "SELECT j.seq, j.runs, %s, a.id AS attempt_id, a.number, a.started_at, j.token, j.worker, j.cancel_requested,"
    " a.launcher FROM jobs j LEFT JOIN attempts a ON a.job = j.seq AND a.token = j.token"  # runs may be changed by now
    " WHERE j.seq = ? AND j.token = ? AND j.state = 'processing'"
    % ", ".join("j." + column for column in attempts.CLAIMED_COLUMNS)
)


def running_attempt(database: Database, seq: int, token: str) -> Optional[Tuple[Claim, float]]:
    """The claim *token* on job *seq* and when it started, if it still stands."""
    with database.reading() as connection:
        found = opening.rows(connection, RUNNING_ATTEMPT, (seq, token))
    if not found:
        return None
    row = found[0]
    number = row["number"] if type(row["number"]) is int else 0
    fields = dict(row) if attempts.can_be_read(row) else attempts.mended(row)  # it runs already: the rest is not needed
    claim = Claim(fields, row["token"], row["attempt_id"] or 0, number)
    if row["launcher"] is not None:
        from queuectl_lib.store import launched  # which few homes need

        launched.read(claim, row["launcher"])
        claim.is_unwanted = bool(row["cancel_requested"])
    return claim, times.seconds_or(row["started_at"], time.time())


ATTEMPT_BEFORE = "SELECT error FROM attempts WHERE job = ? AND number < ? ORDER BY number DESC LIMIT 1"


def ended_so_before(database: Database, claim: Claim, error: str) -> bool:
    """True where the attempt before this one ended with the same *error*."""
    with database.reading() as connection:
        found = opening.rows(connection, ATTEMPT_BEFORE, (claim.seq, claim.number))
    return bool(found) and found[0]["error"] == error


RECORDED = "SELECT 1 FROM attempts WHERE id = ? AND job = ? AND outcome = ? AND finished_at = ?"


def is_recorded(database: Database, claim: Claim, kind: str, finished: float) -> bool:
    """True where this very attempt is recorded as having ended so, then (seconds since 1970)."""
    values = (claim.attempt_id, claim.seq, kind, times.utc_text(finished))
    with database.reading() as connection:
        return connection.execute(RECORDED, values).fetchone() is not None
