"""What the end of a job, or its way back, does to those that come after it: a little in each write transaction.

An end puts the job in `settling`, in its own transaction; whoever writes next settles edges, 500 at the most, before
it does anything else (storage.exchange, cancel, requeue). Each step is decided by what stands in the database then,
so that a kill in between costs nothing, and two who do it at once take turns at the gate.

    verb        what is done, and what it becomes
    returned    broken edges of the job open again, what was cancelled because of them waits again; then: ended
    ended       where the job is final, its open edges are closed: met, or broken; then the row goes
    follow      those of a group go after the one that has gone first (store/following); then the row goes
    broken      the job's own parent was deleted (a trigger says so): it is cancelled; then: returned

What is cancelled or put back so is a parent, too, and comes to stand there in turn. Parents always have a lower seq,
so this comes to an end.
"""

from __future__ import annotations

import sqlite3
import time

from queuectl_lib import contexts, times
from queuectl_lib.errors import HostError
from queuectl_lib.jobs import after, states
from queuectl_lib.store import opening, placing, settling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Optional, Sequence, Tuple

    from queuectl_lib.store.database import Database

MOST_AT_ONCE = 500  # edges settled in a transaction: while it lasts, claims of others wait
YIELD_SECONDS = 0.015  # between two transactions: longer than a waiter's longest nap at the gate

NEXT = "SELECT job, verb FROM settling"  # the first: a LIMIT costs as much as all the rest of it


def settle_some(
    connection: sqlite3.Connection,
    now: float,
    most: int = MOST_AT_ONCE,
    kept: Optional[List[Tuple[str, str]]] = None,
) -> bool:
    """Settle up to *most* edges; True where more is left.

    Into *kept* go those that cannot come back, since another holds their key: their ids, and its.
    """
    now_text = times.utc_text(now)
    row = connection.execute(NEXT).fetchone()
    while row is not None and most > 0:
        most -= 1 + settle_one(connection, row["job"], row["verb"], now_text, most, kept)
        row = connection.execute(NEXT).fetchone()
    return row is not None


REST_SECONDS = 10.0  # a call goes on for so long: what is left then is for the workers


def settle_rest(
    database: Database, is_unsettled: bool, now: float, kept: Optional[List[Tuple[str, str]]] = None
) -> None:
    """Go on in transactions of their own, with claims of others in between. What was asked for stands already."""
    deadline = time.monotonic() + REST_SECONDS
    with contexts.suppress(HostError):
        while is_unsettled and time.monotonic() < deadline:
            time.sleep(YIELD_SECONDS)
            with database.writing() as connection:
                is_unsettled = settle_some(connection, now, kept=kept)


HEAD = "SELECT id, state, reason FROM jobs WHERE seq = ?"
SOME_OPEN = "SELECT rowid, child, wants FROM edges WHERE parent = ? AND state = 1 LIMIT ?"
SOME_BROKEN = "SELECT rowid, child, wants FROM edges WHERE parent = ? AND state = 2 LIMIT ?"
TURN_TO = "UPDATE settling SET verb = ? WHERE job = ?"
DONE = "DELETE FROM settling WHERE job = ?"


def settle_one(
    connection: sqlite3.Connection,
    job: int,
    verb: str,
    now_text: str,
    most: int,
    kept: Optional[List[Tuple[str, str]]],
) -> int:
    """Settle edges of one job, up to *most*; how many."""
    if verb == "follow":
        from queuectl_lib.store import following  # which few homes need

        gone, is_all = following.follow(connection, job, now_text, may_return)
        return gone if is_all else max(gone, most)  # the rest is for another transaction
    if verb == "broken":
        cancel_broken(connection, job, now_text)
        connection.execute(TURN_TO, ("returned", job))
        return 0
    if verb == "returned":
        edges = opening.rows(connection, SOME_BROKEN, (job, most))
        reopen(connection, edges, now_text, kept)
        if len(edges) < most:
            connection.execute(TURN_TO, ("ended", job))
        return len(edges)
    found = opening.rows(connection, HEAD, (job,))
    identifier, state, reason = found[0] if found else (None, after.DELETED, None)
    edges = opening.rows(connection, SOME_OPEN, (job, most)) if state in states.FINAL or not found else []
    close(connection, edges, (opening.as_text(identifier), state, reason), now_text)
    if len(edges) < most:
        connection.execute(DONE, (job,))
    return len(edges)


# ---------------------------------------------------------------- an end

SET_EDGE = "UPDATE edges SET state = ? WHERE rowid = ?"
FREE_CHILD = "UPDATE jobs SET lane = %s, updated_at = ? WHERE seq = ? AND lane = 2 AND NOT %s" % (
    placing.place(),
    placing.OPEN_EDGE,
)
CANCEL_CHILD = (
    "UPDATE jobs SET state = 'cancelled', lane = NULL, next_run_at = NULL, finished_at = ?, updated_at = ?,"
    " last_error = ?, reason = ? WHERE seq = ? AND state IN ('pending', 'failed')"
)


def close(
    connection: sqlite3.Connection, edges: Sequence[sqlite3.Row], parent: Tuple[str, str, object], now_text: str
) -> None:
    """Close *edges*, whose *parent* (id, state, reason) has ended: met or broken, and what that means for the child."""
    identifier, state, parents_own = parent
    for wants in {edge["wants"] for edge in edges}:
        some = [edge for edge in edges if edge["wants"] == wants]
        becomes = after.edge_state(wants, state)
        do_each(connection, SET_EDGE, [(becomes, edge["rowid"]) for edge in some])
        if becomes == after.MET:
            do_each(connection, FREE_CHILD, [(now_text, now_text, edge["child"]) for edge in some])
        else:
            reason, words = after.why_not(wants, identifier, state, parents_own)
            cancelled = [(now_text, now_text, words, reason, edge["child"]) for edge in some]
            do_each(connection, CANCEL_CHILD, cancelled)
            do_each(connection, settling.HAS_ENDED, [(edge["child"],) for edge in some])


def do_each(connection: sqlite3.Connection, statement: str, values: Sequence[Tuple[Any, ...]]) -> None:
    """Each statement says itself what it changes, so that done twice it changes nothing.

    What a constraint or trigger of somebody's keeps where it is, is passed over: it must not hold up all others.
    """
    try:
        connection.executemany(statement, values)
    except sqlite3.IntegrityError:
        for one in values:
            try:
                connection.execute(statement, one)
            except sqlite3.IntegrityError:
                if not connection.in_transaction:  # the trigger has ended it
                    raise


# ---------------------------------------------------------------- a parent that was deleted

FIRST_BROKEN = (
    "SELECT e.parent_id, e.wants, j.state, j.reason FROM edges e LEFT JOIN jobs j ON j.seq = e.parent"
    " WHERE e.child = ? AND e.state = 2 ORDER BY e.rowid LIMIT 1"
)


def why_broken(connection: sqlite3.Connection, child: int) -> Optional[Tuple[str, str]]:
    """Why the job cannot run, as JSON and in words, by its first broken edge; None where none is."""
    for edge in opening.rows(connection, FIRST_BROKEN, (child,)):
        parent = opening.as_text(edge["parent_id"])
        return after.why_not(edge["wants"], parent, edge["state"] or after.DELETED, edge["reason"])
    return None


def cancel_broken(connection: sqlite3.Connection, child: int, now_text: str) -> None:
    """Cancel a job one of whose edges is broken, if it waits."""
    found = why_broken(connection, child)
    if found:
        reason, words = found
        do_each(connection, CANCEL_CHILD, [(now_text, now_text, words, reason, child)])


# ---------------------------------------------------------------- the way back

CHILD = "SELECT seq, id, state, reason, unique_key FROM jobs WHERE seq = ?"
# NOT NULL again, for the proof that the index serves.
HOLDS_KEY = "SELECT id FROM jobs WHERE unique_key = ? AND unique_key IS NOT NULL AND state IN (%s) LIMIT 1" % ", ".join(
    "'%s'" % state for state in states.HOLDING
)
REVIVE_CHILD = (
    "UPDATE jobs SET state = 'pending', attempts = 0, snoozes = 0, next_run_at = coalesce(run_at, created_at),"
    " lane = %s, updated_at = ?, started_at = NULL, finished_at = NULL, exit_code = NULL, last_error = NULL,"
    " reason = NULL, worker = NULL, release = NULL WHERE seq = ? AND state = 'cancelled'"
) % placing.place("coalesce(run_at, '')")  # as for what was given no time
EXPLAIN = "UPDATE jobs SET last_error = ?, reason = ? WHERE seq = ? AND state = 'cancelled'"


def reopen(
    connection: sqlite3.Connection,
    edges: Iterable[sqlite3.Row],
    now_text: str,
    kept: Optional[List[Tuple[str, str]]],
) -> None:
    """Open broken *edges* again, whose parent was put back; what was cancelled because of it waits again."""
    for edge in edges:
        do_each(connection, SET_EDGE, [(after.OPEN, edge["rowid"])])
        for child in opening.rows(connection, CHILD, (edge["child"],)):
            if child["state"] == "cancelled" and after.reason_of(child["reason"]):
                revive(connection, child, now_text, kept)


def may_return(connection: sqlite3.Connection, seq: int, key: object) -> bool:
    """True where no edge of a job is broken, and no other that waits or runs holds its *key*."""
    holders = [] if key is None else opening.rows(connection, HOLDS_KEY, (key,))
    return not holders and why_broken(connection, seq) is None


def revive(
    connection: sqlite3.Connection, child: sqlite3.Row, now_text: str, kept: Optional[List[Tuple[str, str]]]
) -> None:
    """Put back a job that the queue has cancelled, as it was; unless another edge is broken, or its key is held."""
    other = why_broken(connection, child["seq"])
    holders = [] if child["unique_key"] is None else opening.rows(connection, HOLDS_KEY, (child["unique_key"],))
    if other:
        do_each(connection, EXPLAIN, [(other[1], other[0], child["seq"])])
    elif holders:
        if kept is not None:
            kept.append((opening.as_text(child["id"]), opening.as_text(holders[0]["id"])))
    else:
        do_each(connection, REVIVE_CHILD, [(now_text, now_text, child["seq"])])
        settling.has_returned(connection, child["seq"])
