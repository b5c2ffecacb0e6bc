"""The arrow out by a person: a waiting job cancelled at once, a running one's worker asked to end it."""

from __future__ import annotations

import sqlite3

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.host import bell
from queuectl_lib.jobs import attempts
from queuectl_lib.store import changing, edges, folder, locking, opening, selecting, settling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable, List, Optional, Sequence, Set

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Selection

CANCEL_WAITING = (
    "UPDATE jobs SET state = 'cancelled', lane = NULL, next_run_at = NULL, finished_at = ?, updated_at = ?,"
    " last_error = 'cancelled before it ran'"
    " WHERE seq = ? AND state IN ('pending', 'failed')"
)
JOINS = "SELECT 1 FROM attempts WHERE job = ? AND launcher LIKE '%+' LIMIT 1"
REQUEST_CANCEL = "UPDATE jobs SET cancel_requested = 1, updated_at = ? WHERE seq = ? AND state = 'processing'"


def cancel_one(connection: sqlite3.Connection, seq: int, state: str, now_text: str) -> Optional[str]:
    """Cancel a job that is in this *state*, none of states.FINAL, in this transaction. Raises IntegrityError.

    Where a launcher has started it, and the next attempt was to join that, the token of an attempt of nobody: a worker
    adopts it, and ends what runs there. None otherwise.
    """
    token = None
    if state != "processing" and is_to_join(connection, seq):
        token = claim_for_nobody(connection, seq, now_text)
    if state == "processing" or token:
        moved = connection.execute(REQUEST_CANCEL, (now_text, seq))
    else:
        moved = connection.execute(CANCEL_WAITING, (now_text, now_text, seq))
        settling.has_ended(connection, seq)
    opening.refuse_ignored(1 - moved.rowcount)
    return token


def is_to_join(connection: sqlite3.Connection, seq: int) -> bool:
    """True for a waiting job that a launcher may be running: its next attempt is to join that."""
    if not connection.execute(JOINS, (seq,)).fetchone():
        return False
    from queuectl_lib.store import claiming, launched  # which few homes need

    return launched.far_job(connection, seq, claiming.MOST_RUNS) is not None


WAITS = (
    "SELECT seq, runs, %s FROM jobs WHERE seq = ? AND state IN ('pending', 'failed')"
    % ", ".join(attempts.CLAIMED_COLUMNS)
)
NOBODY = "nobody"  # no worker has this name: whoever looks for what the dead have left adopts it
TO_CLAIM = "UPDATE jobs SET lane = 0 WHERE seq = ?"


def claim_for_nobody(connection: sqlite3.Connection, seq: int, now_text: str) -> Optional[str]:
    """Begin the attempt of a waiting job that is to join a far job, for a worker to adopt; its token, None where it
    waits no more. Raises IntegrityError.
    """
    from queuectl_lib.store import claiming, launched  # which few homes need

    found = opening.rows(connection, WAITS, (seq,))
    if not found:
        return None
    row = dict(found[0]) if attempts.can_be_read(found[0]) else attempts.mended(found[0])
    connection.execute(TO_CLAIM, (seq,))
    claim = claiming.claim_one(connection, NOBODY, row, now_text)
    launched.note(connection, claim, None, None)
    return claim.token


def free_locks(connection: sqlite3.Connection, keys: Iterable[Optional[str]]) -> None:
    """What was cancelled may have been the next one with its lock: others are."""
    for key in set(keys) - {None}:
        locking.free_lock(connection, key)


LEFT = (
    "SELECT token FROM attempts WHERE job = (SELECT seq FROM jobs WHERE id = ?)"
    " AND leftovers IS NOT NULL AND token IS NOT NULL ORDER BY number"
)


def left_running(database: Database, identifier: str) -> List[str]:
    """The tokens of the attempts of a job that left processes running when they ended."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        return [row["token"] for row in opening.rows(connection, LEFT, (identifier,)) if folder.is_token(row["token"])]
    return []


class Cancelling(changing.Verb):
    """Jobs cancelled, in the states of *guard*, and (id, token) of those whose workers were asked to end them."""

    HEAD = "SELECT id, state, token, lock_key, runs FROM jobs WHERE seq = ?"
    LEAVES = "SELECT 1 FROM attempts WHERE job = ? AND leftovers IS NOT NULL"

    def __init__(self, guard: Sequence[str], now: float) -> None:
        super().__init__()
        self.guard = guard
        self.now = now
        self.now_text = times.utc_text(now)
        self.is_unsettled = False
        self.asked: Dict[str, str] = {}
        self.leaving: List[str] = []  # ids of those that waited, and whose attempts left processes running
        self.keys: Set[Optional[str]] = set()

    def one(self, connection: sqlite3.Connection, seq: int) -> bool:
        head = opening.rows(connection, self.HEAD, (seq,))
        state = head[0]["state"] if head else "completed"
        if state not in self.guard or (state == "processing" and head[0]["token"] in self.asked.values()):
            return False
        token = cancel_one(connection, seq, state, self.now_text)
        if state == "processing" or token:
            self.asked[opening.as_text(head[0]["id"])] = token or head[0]["token"]
            return False
        self.keys.add(head[0]["lock_key"])
        if head[0]["runs"] and connection.execute(self.LEAVES, (seq,)).fetchone():
            self.leaving.append(opening.as_text(head[0]["id"]))
        return True

    def finish(self, connection: sqlite3.Connection) -> None:
        free_locks(connection, self.keys)
        self.keys.clear()
        self.is_unsettled = edges.settle_some(connection, self.now)


def cancel_all(database: Database, selection: Selection, verb: Cancelling, tell: Callable[[], object]) -> None:
    """Cancel what *selection* means; also what begins to run meanwhile."""
    selection.top = selecting.newest_seq(database)
    before = -1
    while before < verb.changed + len(verb.asked):
        before = verb.changed + len(verb.asked)
        verb.refused, verb.named = 0, []  # these are met anew each time
        found = (pair for pair in selecting.find(database, selection) if pair[1] in verb.guard)
        changing.change(database, found, verb, tell)
        if selection.last is not None or selection.ids is not None:
            break
    edges.settle_rest(database, verb.is_unsettled, verb.now)
    bell.ring(database.folder.bell)  # for what comes after them
