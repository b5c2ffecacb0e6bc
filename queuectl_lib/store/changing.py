"""Many jobs changed by one verb, a few a transaction: found before, and changed only while they still fit.

So no claim waits long, nothing is looked for while the write lock is held, and Ctrl+C keeps what is done.
"""

from __future__ import annotations

import itertools
import sqlite3
import time

from queuectl_lib.host import interrupts
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator, List, Sequence, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Found

ROWS = 500  # changed in one transaction
YIELD_SECONDS = 0.015  # between two of them: longer than a waiter's longest nap at the gate
NAMED = 5  # of the jobs that the database refuses to change


class Verb:
    """What is done with each job, and what has become of the jobs so far."""

    together = False  # where the database refuses to change one, the others of its transaction stay, too

    def __init__(self) -> None:
        self.found = 0
        self.changed = 0
        self.refused = 0  # by a constraint or trigger of somebody's
        self.named: List[Tuple[str, str]] = []  # the first of these, each with its reason

    def prepare(self, database: Database, seqs: Sequence[int]) -> None:
        """What has to be done before the transaction that is to change these."""

    def one(self, connection: sqlite3.Connection, seq: int) -> bool:
        """Change one job; False, and nothing done, where it no longer fits. Raises IntegrityError."""
        raise NotImplementedError

    def finish(self, connection: sqlite3.Connection) -> None:
        """What else belongs into the transaction that has changed some."""


ID_OF = "SELECT id FROM jobs WHERE seq = ?"


def change(database: Database, found: Iterator[Found], verb: Verb, tell: Callable[[], object]) -> None:
    """Do what *verb* does with the jobs *found*; *tell* is called after each transaction.

    Raises KeyboardInterrupt between two of them.
    """
    while True:
        batch = list(itertools.islice(found, ROWS))
        if not batch:
            return
        interrupts.keep_until_told()
        refused: List[Tuple[str, str]] = []
        verb.prepare(database, [seq for seq, _ in batch])
        with database.writing() as connection:
            changed = sum([change_one(connection, seq, verb, refused) for seq, _ in batch])
            verb.finish(connection)
        verb.found += len(batch)
        verb.changed += changed
        verb.refused += len(refused)
        verb.named += refused[: NAMED - len(verb.named)]
        tell()
        if len(batch) < ROWS:
            return  # nothing is left that an interrupt could spare
        interrupts.heed()
        time.sleep(YIELD_SECONDS)


def change_one(connection: sqlite3.Connection, seq: int, verb: Verb, refused: List[Tuple[str, str]]) -> bool:
    """One of them; where the database refuses to change it, all that was done for it is undone, and it is noted."""
    try:
        with opening.undone_alone(connection):
            return verb.one(connection, seq)
    except sqlite3.IntegrityError as error:
        if verb.together or not connection.in_transaction:  # a trigger has ended it
            raise
        rows = opening.rows(connection, ID_OF, (seq,))
        refused.append((opening.as_text(rows[0]["id"]) if rows else "?", str(error)))
        return False
