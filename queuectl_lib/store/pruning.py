"""Deleting finished jobs with their output, a little at a time, and giving the space back."""

from __future__ import annotations

import contextlib
import sqlite3
import time

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase, QueueError
from queuectl_lib.host import interrupts
from queuectl_lib.jobs import states as known
from queuectl_lib.store import changing, edges, finding, opening, selecting, settling
from queuectl_lib.store.selecting import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator, List, Optional, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Found

VACUUM_PAGES = 500  # given back per transaction


def prune(database: Database, states: Sequence[str], before: float, progress: Callable[[int], None]) -> int:
    """Delete jobs in final *states* that finished before *before*, with their output; how many, also to *progress*."""
    selection = Selection(states)
    selection.finished_before = times.utc_text(before)
    verb = Deleting(states, selection.finished_before)
    delete(database, selecting.find(database, selection), verb, lambda: progress(verb.changed))
    return verb.changed


def delete(database: Database, found: Iterator[Found], verb: Deleting, tell: Callable[[], object]) -> None:
    """Delete the jobs *found*, with their output, in small transactions, after each of which *tell* is called.

    Gives the space back to the file system. Ctrl+C ends it between two transactions.
    """
    database.folder.refuse_links()

    def told() -> None:
        verb.remove_files(database)
        tell()
        interrupts.heed()  # of what is not counted yet nobody would be told

    with contexts.suppress(NoDatabase):
        changing.change(database, found, verb, told)
        give_space_back(database)


def delete_ids(database: Database, ids: Sequence[str], verb: Deleting, now: float) -> None:
    """Delete these jobs; all or none. Raises QueueError where one does not exist, or is not to be deleted."""
    database.folder.refuse_links()
    with finding.no_job_without_database(ids):
        with database.reading() as connection:  # what is refused holds nobody up
            heads = [finding.head(connection, identifier) for identifier in ids]
        refuse_unfit(heads, verb.states)
        verb.prepare(database, [head["seq"] for head in heads])
        with database.writing() as connection:
            heads = [finding.head(connection, identifier) for identifier in ids]
            refuse_unfit(heads, verb.states)
            edges.settle_some(connection, now)
            for head in heads:
                if not verb.one(connection, head["seq"]):
                    text = "job %s has only just ended: nothing was deleted, try again"
                    raise QueueError(text % head["id"], "wrong_state")
    verb.found = verb.changed = len(ids)
    verb.remove_files(database)
    give_space_back(database)


def refuse_unfit(heads: Sequence[sqlite3.Row], wanted: Sequence[str]) -> None:
    """Raise QueueError where one of these is in none of the states *wanted*, with what to type."""
    for head in heads:
        identifier, state = head["id"], head["state"]
        if state not in wanted:
            verb = "dlq purge" if state == "dead" else "prune" if state in known.FINAL else "cancel"
            does = "deletes it" if state in known.FINAL else "comes first"
            text = "job %s is %s, not %s: nothing was deleted; `%s %s` %s"
            raise QueueError(text % (identifier, state, " or ".join(wanted), verb, identifier, does), "wrong_state")


class Deleting(changing.Verb):
    """Jobs deleted that are in one of *states*, and finished before that time where one is given.

    With the tokens of attempts whose files are to follow once that is committed.
    """

    KEPT_FILES = "SELECT token FROM attempts WHERE job = ? AND token IS NOT NULL"
    DELETE_JOB = "DELETE FROM jobs WHERE seq = ? AND state IN (%s)"
    STILL_THERE = "SELECT 1 FROM jobs WHERE seq = ? AND state IN (%s)"
    SETTLED = " AND NOT EXISTS (SELECT 1 FROM settling WHERE job = jobs.seq)"  # else it is to be looked at once more
    together = True

    def __init__(self, states: Sequence[str], finished_before: Optional[str] = None) -> None:
        super().__init__()
        self.states = states
        self.values = [*states] + ([] if finished_before is None else [finished_before])
        places = ", ".join("?" * len(states)) + (") AND (finished_at < ?" if finished_before is not None else "")
        self.delete, self.still_there = ((text % places) + self.SETTLED for text in (self.DELETE_JOB, self.STILL_THERE))
        self.tokens: List[str] = []

    def prepare(self, database: Database, seqs: Sequence[int]) -> None:
        let_go_of_children(database, seqs, self.states)

    def one(self, connection: sqlite3.Connection, seq: int) -> bool:
        kept = [row["token"] for row in opening.rows(connection, self.KEPT_FILES, (seq,))]
        gone = connection.execute(self.delete, [seq, *self.values]).rowcount
        if not gone:  # others may have been first
            opening.refuse_ignored(len(connection.execute(self.still_there, [seq, *self.values]).fetchall()))
        self.tokens += kept if gone else []
        return bool(gone)

    def remove_files(self, database: Database) -> None:
        while self.tokens:
            database.folder.remove_attempt_files(self.tokens.pop())


# Of a job with many children a trigger would change all edges at once. Those that were met mean nothing to it any more.
MANY_CHILDREN = "SELECT 1 FROM edges WHERE parent = ? AND state = 0 LIMIT 1 OFFSET %d" % changing.ROWS
LET_GO = (
    "UPDATE edges SET parent = NULL WHERE rowid IN"
    " (SELECT rowid FROM edges WHERE parent = (SELECT seq FROM jobs WHERE seq = ? AND state IN (%%s)) AND state = 0"
    " LIMIT %d)"
) % changing.ROWS


def let_go_of_children(database: Database, seqs: Sequence[int], states: Sequence[str]) -> None:
    """Let the edges of those of *seqs* that have many forget their parent, a little at a time."""
    with database.reading() as connection:
        if connection.execute(settling.ANY_EDGE).fetchone() is None:
            return
        many = [seq for seq in seqs if connection.execute(MANY_CHILDREN, (seq,)).fetchone()]
    for seq in many:
        gone = changing.ROWS
        while gone == changing.ROWS:
            with database.writing() as connection:
                gone = connection.execute(LET_GO % ", ".join("?" * len(states)), [seq, *states]).rowcount
            time.sleep(changing.YIELD_SECONDS)


def give_space_back(database: Database) -> None:
    left, before = 1, 0
    while left and left != before:  # it stays where auto_vacuum was turned off
        before = left
        with database.writing() as opened:
            for _ in range(VACUUM_PAGES):  # sqlite3 steps this pragma once: a page, whatever N says
                opened.execute("PRAGMA incremental_vacuum(1)")
            left = opened.execute("PRAGMA freelist_count").fetchone()[0]
        time.sleep(changing.YIELD_SECONDS)
    with opening.told(database.path), database.gate(), contextlib.closing(database.open(gated=True)) as opened:
        database.checkpoint(opened, 0)
