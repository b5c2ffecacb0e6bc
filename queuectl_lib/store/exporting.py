"""Jobs handed over to another program: read a few at a time, and taken out of the queue only as they were read."""

from __future__ import annotations

import itertools
import sqlite3

from queuectl_lib import times
from queuectl_lib.host import bell
from queuectl_lib.store import cancelling, changing, edges, opening, settling, showing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Found
    from queuectl_lib.values import Fields


def read(database: Database, found: Iterator[Found], states: Sequence[str]) -> Iterator[Tuple[int, Fields]]:
    """Of each of the jobs *found* that is in one of these *states* its seq, and the job as the outside sees it."""
    while True:
        some = [seq for seq, _ in itertools.islice(found, showing.AT_ONCE)]
        if not some:
            return
        with database.reading() as connection:
            rows = opening.rows(connection, showing.BY_SEQ % ", ".join("?" * len(some)), some)
        by_seq: Dict[int, sqlite3.Row] = {row["seq"]: row for row in rows}
        for seq in some:
            if seq in by_seq and by_seq[seq]["state"] in states:
                yield seq, showing.job_fields(by_seq[seq])


# What was claimed, changed or cancelled since it was read stays: there it is no longer what was handed over.
TAKE = (
    "UPDATE jobs SET state = 'cancelled', lane = NULL, next_run_at = NULL, finished_at = ?, updated_at = ?,"
    " last_error = ? WHERE seq = ? AND state IN ('pending', 'failed') AND updated_at IS ?"
)
SEEN = "SELECT lock_key FROM jobs WHERE seq = ? AND state IN ('pending', 'failed') AND updated_at IS ?"


class Taking(changing.Verb):
    """Jobs taken out, each as it was when it was last changed at the time of *seen*, by seq."""

    def __init__(self, seen: Dict[int, object], why: str, now: float) -> None:
        super().__init__()
        self.seen = seen
        self.why = why
        self.now = now
        self.now_text = times.utc_text(now)
        self.taken: Set[int] = set()
        self.some: List[int] = []  # of this transaction
        self.keys: Set[Optional[str]] = set()

    def one(self, connection: sqlite3.Connection, seq: int) -> bool:
        rows = opening.rows(connection, SEEN, (seq, self.seen[seq]))
        if not rows or cancelling.is_to_join(connection, seq):  # that may run: as what was claimed meanwhile
            return False
        moved = connection.execute(TAKE, (self.now_text, self.now_text, self.why, seq, self.seen[seq]))
        opening.refuse_ignored(1 - moved.rowcount)
        settling.has_ended(connection, seq)
        self.keys.add(rows[0]["lock_key"])
        self.some.append(seq)
        return True

    def finish(self, connection: sqlite3.Connection) -> None:
        cancelling.free_locks(connection, self.keys)
        self.keys.clear()


def take(database: Database, verb: Taking, tell: Callable[[], object]) -> None:
    """Take them out, what comes after others before those: else these would be cancelled for their sake.

    verb.taken has, whatever happens, those of which that is sure.
    """
    found = ((seq, "") for seq in sorted(verb.seen, reverse=True))

    def sure() -> None:
        verb.taken.update(verb.some)
        verb.some.clear()
        tell()

    changing.change(database, found, verb, sure)
    edges.settle_rest(database, True, verb.now)
    bell.ring(database.folder.bell)
