"""Jobs after jobs: edges put in and taken out, and what people ask of them. What an end does to them: store/edges.

A parent exists, or stands earlier in the same input: within a transaction seq only grows, so parent.seq < child.seq
is the whole rule, and no circle can be written.
"""

from __future__ import annotations

import sqlite3

from queuectl_lib import contexts, errors
from queuectl_lib.errors import BadInput, NoDatabase, QueueError
from queuectl_lib.jobs import after
from queuectl_lib.store import edges, opening, placing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence, Tuple

    from queuectl_lib.store.database import Database

PARENT = "SELECT seq, id, state, reason FROM jobs WHERE id = ?"
INSERT_EDGE = "INSERT INTO edges (child, parent, parent_id, wants, state) VALUES (?, ?, ?, ?, ?)"
LINE_OF = "SELECT line FROM incoming WHERE id = ?"  # of the private table of store/bulk
# At its birth, so by the clock of who adds it.
PLACE_NEW = "UPDATE jobs SET lane = %s WHERE seq = ? AND lane = 2" % placing.place("next_run_at", "created_at")
CANCEL_NEW = (
    "UPDATE jobs SET state = 'cancelled', lane = NULL, next_run_at = NULL, finished_at = created_at,"
    " last_error = ?, reason = ? WHERE seq = ? AND state IN ('pending', 'failed')"
)


class Adding:
    """The edges of the jobs of one enqueue. What several have alike is looked up once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.asked: object = None
        self.parents: List[sqlite3.Row] = []

    def insert(self, seq: int, place: str, wanted: Sequence[Tuple[str, int]]) -> Optional[str]:
        """Put in the edges of the new job *seq*; in words why it is cancelled at once, where it is.

        Raises QueueError for a parent that does not exist, BadInput for one that is no earlier one.
        """
        if wanted != self.asked:
            self.parents = [self.parent(place, parent, wants) for parent, wants in wanted]
            self.asked = wanted
        rows = []
        is_open = False
        why = None
        for parent, (identifier, wants) in zip(self.parents, wanted):
            if parent["seq"] >= seq:
                raise self.too_late(place, identifier, wants)
            state = after.edge_state(wants, parent["state"])
            rows.append((seq, parent["seq"], identifier, wants, state))
            is_open = is_open or state == after.OPEN
            if state == after.BROKEN and not why:
                why = after.why_not(wants, identifier, parent["state"], parent["reason"])
        self.connection.executemany(INSERT_EDGE, rows)
        if why:
            moved = self.connection.execute(CANCEL_NEW, (why[1], why[0], seq))
            opening.refuse_ignored(1 - moved.rowcount)
        elif not is_open:
            self.connection.execute(PLACE_NEW, (seq,))
        return why[1] if why else None

    def parent(self, place: str, identifier: str, wants: int) -> sqlite3.Row:
        found = opening.rows(self.connection, PARENT, (identifier,))
        if not found:
            text = "%s%s: no job has the id %s: nothing was added"
            raise QueueError(text % (place, after.KEYS[wants], errors.shown(identifier)), "no_such_job", "list")
        return found[0]

    def too_late(self, place: str, identifier: str, wants: int) -> BadInput:
        """Only of many: one that is added alone is its newest, and not its own parent, which has been checked."""
        line = self.connection.execute(LINE_OF, (identifier,)).fetchone()[0]
        text = "%s%s: job %s stands in line %s: put it before: nothing was added"
        return BadInput(text % (place, after.KEYS[wants], identifier, line))


# ---------------------------------------------------------------- a person's hand

BROKEN_OF = (
    "SELECT e.rowid, e.parent_id, e.wants, j.state FROM edges e LEFT JOIN jobs j ON j.seq = e.parent"
    " WHERE e.child = ? AND e.state = 2"
)


def allow_return(connection: sqlite3.Connection, head: sqlite3.Row) -> None:
    """Before a job is put back by a person: a broken edge whose parent waits again is open again.

    Raises QueueError for one whose parent has ended.
    """
    for edge in opening.rows(connection, BROKEN_OF, (head["seq"],)):
        state = edge["state"] or after.DELETED
        if after.edge_state(edge["wants"], state) == after.BROKEN:
            raise waits_for(opening.as_text(head["id"]), opening.as_text(edge["parent_id"]), state)
        connection.execute(edges.SET_EDGE, (after.edge_state(edge["wants"], state), edge["rowid"]))


def waits_for(identifier: str, parent: str, state: str) -> QueueError:
    way = "retry that, or " if state in ("dead", "cancelled") else ""
    text = "job %s waits for %s, which is %s: %s`edit %s --no-after`: nothing was requeued"
    return QueueError(text % (identifier, parent, state, way, identifier))


FORGET = "DELETE FROM edges WHERE child = ? AND state <> 0"
PLACE_AGAIN = "UPDATE jobs SET lane = %s, updated_at = ? WHERE seq = ? AND lane = 2" % placing.place()


def forget(connection: sqlite3.Connection, seq: int, now_text: str) -> int:
    """Let a job that waits, or was cancelled, come after nothing any more; how many edges that were not met are gone.

    One that waited for nothing else is placed. One that was cancelled stays so, but can be requeued.
    """
    gone = connection.execute(FORGET, (seq,)).rowcount
    connection.execute(PLACE_AGAIN, (now_text, now_text, seq))
    return gone


# ---------------------------------------------------------------- what people ask

COUNT_NOT_NEEDED = (
    "SELECT count(*) FROM jobs INDEXED BY jobs_open WHERE state = 'cancelled' AND state <> 'completed'"
    " AND reason LIKE ?"
)
IS_NOT_NEEDED = "SELECT count(*) FROM jobs WHERE id = ? AND state = 'cancelled' AND reason LIKE ?"


def not_needed(database: Database, ids: Sequence[str]) -> int:
    """How many of these jobs, or of all, are cancelled since what they were there for did not happen."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        if not ids:
            return int(connection.execute(COUNT_NOT_NEEDED, (after.LIKE_NOT_NEEDED,)).fetchone()[0])
        asked = [connection.execute(IS_NOT_NEEDED, (one, after.LIKE_NOT_NEEDED)) for one in ids]
        return sum(int(found.fetchone()[0]) for found in asked)
    return 0


CANCELLED_AFTER = (
    "SELECT j.seq, j.reason FROM edges e JOIN jobs j ON j.seq = e.child"
    " WHERE e.parent = ? AND e.state = 2 AND j.state = 'cancelled' AND j.reason IS NOT NULL LIMIT ?"
)
MANY_AFTER = 10000  # so many are counted


def cancelled_after(database: Database, identifier: str) -> int:
    """How many jobs the queue has cancelled because of the end of this one, MANY_AFTER at the most."""
    with database.reading() as connection:
        todo = [row["seq"] for row in opening.rows(connection, PARENT, (identifier,))]
        seen = set(todo)
        while todo and len(seen) <= MANY_AFTER:
            rows = opening.rows(connection, CANCELLED_AFTER, (todo.pop(), MANY_AFTER))
            found = [row["seq"] for row in rows if after.reason_of(row["reason"]) and row["seq"] not in seen]
            seen.update(found)
            todo += found
    return min(max(len(seen) - 1, 0), MANY_AFTER)
