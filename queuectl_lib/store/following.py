"""One job that goes first for a group of dead ones, and the others that follow it once it has succeeded.

The first goes with one attempt (jobs/attempts.Claim). Its end is written together with what follows from it; of many
others 1,000 at most go in a transaction, the rest in the next ones, whoever makes them (store/edges: `follow`). In a
row of releases, where jobs.release is its id both for the first and for those that are to follow:

    batch      0 while it is prepared; the seq of the first once that has gone; -seq of the last that has followed
    waiting    how many are still to follow, in the end how many could not; -1 - that many where the first has failed

Whoever is dead and has another signature, or another release, or none, does not follow: what died since, what a
person has put back meanwhile. So a release that has ended needs no word to those that waited for it.
"""

from __future__ import annotations

import sqlite3

from queuectl_lib.store import opening, placing, settling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, Tuple

    from queuectl_lib.values import Fields

MOST_AT_ONCE = 1000  # that follow in one transaction: while it lasts, claims of others wait
READ_ROWS = 20000  # dead jobs that are looked at in one transaction

REQUEUE_JOB = (
    "UPDATE jobs SET state = 'pending', attempts = 0, snoozes = 0, next_run_at = ?, lane = %s, held_at = NULL,"
    " updated_at = ?, started_at = NULL, finished_at = NULL, exit_code = NULL, last_error = NULL, reason = NULL,"
    " worker = NULL, release = NULL WHERE seq = ? AND state IN ('dead', 'cancelled')"
) % placing.place("''", "''", "NULL")  # what was held when it was cancelled is to run again, too

FIRST_SUCCEEDED = "UPDATE releases SET batch = -batch WHERE id = ? AND batch = ? AND batch > 0 AND waiting >= 0"
FIRST_FAILED = "UPDATE releases SET waiting = -1 - waiting WHERE id = ? AND batch = ? AND waiting >= 0"
LET_FOLLOW = "INSERT OR REPLACE INTO settling (job, verb) VALUES (?, 'follow')"


def first_has_ended(connection: sqlite3.Connection, release: int, seq: int, state: str) -> None:
    """In the transaction that moves the job *seq* to a final *state*, where it is the first of a *release*."""
    if state != "completed":
        connection.execute(FIRST_FAILED, (release, seq))
    elif connection.execute(FIRST_SUCCEEDED, (release, seq)).rowcount == 1:
        connection.execute(LET_FOLLOW, (-release,))  # no job's number: those are above 0


RELEASE = "SELECT id, signature, batch, waiting FROM releases WHERE id = ?"
NEXT_DEAD = (
    "SELECT seq, signature, release, unique_key FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'dead' AND state <> 'completed' AND seq > ? ORDER BY seq LIMIT ?"
)
SO_FAR = "UPDATE releases SET batch = ?, waiting = max(waiting - ?, 0) WHERE id = ?"
DONE = "DELETE FROM settling WHERE job = ?"


def follow(
    connection: sqlite3.Connection,
    job: int,
    now_text: str,
    may_return: Callable[[sqlite3.Connection, int, object], bool],
) -> Tuple[int, bool]:
    """Put the next ones back that follow the first of the release -*job*; how many, and whether that is all.

    *may_return* says of a seq and its unique key whether nothing else keeps the job.
    """
    release = release_of(connection, -job)
    if release is None or release["batch"] >= 0:
        connection.execute(DONE, (job,))
        return 0, True
    behind, gone = -release["batch"], 0
    dead = opening.rows(connection, NEXT_DEAD, (behind, READ_ROWS))
    is_all = len(dead) < READ_ROWS
    for row in dead:
        if row["release"] == release["id"] and row["signature"] == release["signature"]:
            if gone == MOST_AT_ONCE:
                is_all = False
                break
            gone += may_return(connection, row["seq"], row["unique_key"]) and put_back(connection, row["seq"], now_text)
        behind = row["seq"]
    connection.execute(SO_FAR, (-behind, gone, release["id"]))
    if is_all:
        connection.execute(DONE, (job,))
    return gone, is_all


def put_back(connection: sqlite3.Connection, seq: int, now_text: str) -> bool:
    """Move a dead job back to pending; False where a constraint or trigger of somebody's keeps it."""
    try:
        if connection.execute(REQUEUE_JOB, (now_text, now_text, seq)).rowcount != 1:
            return False
    except sqlite3.IntegrityError:
        if not connection.in_transaction:  # the trigger has ended it
            raise
        return False
    settling.has_returned(connection, seq)
    return True


def release_of(connection: sqlite3.Connection, number: object) -> Optional[Fields]:
    """A row of releases; None where there is none, or where somebody has made it what it cannot be."""
    for row in opening.rows(connection, RELEASE, (number,)):
        if type(row["batch"]) is type(row["waiting"]) is int:
            return dict(row)
    return None
