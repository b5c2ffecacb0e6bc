"""The arrow back: a dead or cancelled job made pending again, by a person; and a failed one's retry, at once."""

from __future__ import annotations

import sqlite3

from queuectl_lib import times
from queuectl_lib.errors import QueueError
from queuectl_lib.host import bell
from queuectl_lib.store import changing, dependencies, edges, finding, following, opening, placing, settling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator, List, Optional, Sequence, Tuple

    from queuectl_lib.jobs.ids import Holder
    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Found


def requeue_one(connection: sqlite3.Connection, head: sqlite3.Row, now: float) -> Optional[Holder]:
    """Move one job back to pending, unless another holds its key: that one is returned. A failed one is due now.

    Raises IntegrityError, and QueueError where what it comes after has not ended as it wants.
    """
    if head["state"] == "failed":  # it holds its key itself
        bring_forward(connection, head["seq"], now)
        return None
    holder = finding.find_holder(connection, head["unique_key"])
    if holder is None:
        dependencies.allow_return(connection, head)
        moved = connection.execute(following.REQUEUE_JOB, (times.utc_text(now), times.utc_text(now), head["seq"]))
        opening.refuse_ignored(1 - moved.rowcount)
        settling.has_returned(connection, head["seq"])
    return holder


# No arrow: it stays failed, with the attempts that it has had. What is due already keeps its place in the order.
BRING_FORWARD = (
    "UPDATE jobs SET next_run_at = ?, lane = %s, updated_at = ? WHERE seq = ? AND state = 'failed' AND next_run_at > ?"
) % placing.AT_ONCE
STILL_LATER = "SELECT 1 FROM jobs WHERE seq = ? AND state = 'failed' AND next_run_at > ?"
IS_HELD = "SELECT 1 FROM jobs WHERE seq = ? AND held_at IS NOT NULL"


def is_held(connection: sqlite3.Connection, head: sqlite3.Row) -> bool:
    """True for a failed job that a person holds: it would not run."""
    return head["state"] == "failed" and connection.execute(IS_HELD, (head["seq"],)).fetchone() is not None


def bring_forward(connection: sqlite3.Connection, seq: int, now: float) -> None:
    """Let a failed job be due now. Raises IntegrityError."""
    now_text = times.utc_text(now)
    if connection.execute(BRING_FORWARD, (now_text, now_text, seq, now_text)).rowcount != 1:
        opening.refuse_ignored(len(connection.execute(STILL_LATER, (seq, now_text)).fetchall()))


def by_age(head: sqlite3.Row) -> int:
    """The order in which several are moved: what others come after is put back before them."""
    return int(head["seq"])


class Requeuing(changing.Verb):
    """Jobs moved back that are in one of the states of *guard*, and how many stay as they are, and why."""

    HEAD = "SELECT seq, id, state, unique_key FROM jobs WHERE seq = ?"

    def __init__(self, guard: Sequence[str], now: float) -> None:
        super().__init__()
        self.guard = guard
        self.now = now
        self.held = 0  # since another holds their key
        self.behind = 0  # since what they come after has not ended as they want
        self.on_hold = 0  # since a person holds them
        self.kept: List[Tuple[str, str]] = []  # of what was cancelled because of them, as storage.Queue.requeue has it
        self.is_unsettled = False

    def one(self, connection: sqlite3.Connection, seq: int) -> bool:
        heads = opening.rows(connection, self.HEAD, (seq,))
        if not heads or heads[0]["state"] not in self.guard:
            return False
        if is_held(connection, heads[0]):
            self.on_hold += 1
            return False
        try:
            holder = requeue_one(connection, heads[0], self.now)
        except QueueError:
            self.behind += 1
            return False
        self.held += holder is not None
        return holder is None

    def finish(self, connection: sqlite3.Connection) -> None:
        self.is_unsettled = edges.settle_some(connection, self.now, kept=self.kept)


def requeue_all(database: Database, found: Iterator[Found], verb: Requeuing, tell: Callable[[], object]) -> None:
    """Move the jobs *found* back, and what was cancelled because of them; changing.change tells more."""
    changing.change(database, found, verb, tell)
    bell.ring(database.folder.bell)
    edges.settle_rest(database, verb.is_unsettled, verb.now, verb.kept)
