"""Deleting finished jobs with their output, a little at a time, and giving the space back."""

from __future__ import annotations

import contextlib
import time

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.host import interrupts
from queuectl_lib.store import opening, settling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Sequence, Tuple

    from queuectl_lib.store.database import Database

PRUNE_ROWS = 500  # deleted per transaction, so that no claim waits long
VACUUM_PAGES = 500  # given back per transaction
YIELD_SECONDS = 0.015  # between two transactions of long work: longer than a waiter's longest nap at the gate


def prune(database: Database, states: Sequence[str], before: float, progress: Callable[[int], None]) -> int:
    """Delete jobs in final *states* that finished before *before*, with their output.

    In small transactions, so that no claim waits; calls *progress* with the sum so
    far. Gives the space back to the file system. Returns how many were deleted.
    Ctrl+C ends it between two transactions.
    """
    deleted = 0
    database.folder.refuse_links()
    with contexts.suppress(NoDatabase):
        for state in states:
            last_seq = 0
            while True:
                interrupts.keep_until_told()
                count, last_seq = prune_some(database, state, times.utc_text(before), last_seq)
                deleted += count
                progress(deleted)
                interrupts.heed()  # of what is not counted yet nobody would be told
                if last_seq < 0:
                    break
                time.sleep(YIELD_SECONDS)
        give_space_back(database)
    return deleted


SETTLED = "NOT EXISTS (SELECT 1 FROM settling WHERE job = jobs.seq)"  # else it is to be looked at once more
SOME_FINISHED = (
    "SELECT seq FROM jobs WHERE state = ? AND finished_at < ? AND seq > ? AND %s ORDER BY seq LIMIT ?" % SETTLED
)
STILL_THERE = "SELECT 1 FROM jobs WHERE seq = ? AND state = ? AND %s" % SETTLED
KEPT_FILES = "SELECT token FROM attempts WHERE job = ? AND token IS NOT NULL"
DELETE_JOB = "DELETE FROM jobs WHERE seq = ? AND state = ? AND %s" % SETTLED


def prune_some(database: Database, state: str, before: str, after_seq: int) -> Tuple[int, int]:
    """Delete one batch; how many, and the seq to go on from (-1: none left)."""
    with database.reading() as connection:
        rows = connection.execute(
            SOME_FINISHED,
            (state, before, after_seq, PRUNE_ROWS),
        ).fetchall()
    if not rows:
        return 0, -1
    tokens: List[str] = []
    deleted = 0
    let_go_of_children(database, [row["seq"] for row in rows], state)
    with database.writing() as connection:
        for row in rows:
            kept = opening.rows(connection, KEPT_FILES, (row["seq"],))
            gone = connection.execute(DELETE_JOB, (row["seq"], state)).rowcount
            if not gone:  # others may have been first
                opening.refuse_ignored(len(connection.execute(STILL_THERE, (row["seq"], state)).fetchall()))
            deleted += gone
            tokens += [token["token"] for token in kept if gone]
    for token in tokens:
        database.folder.remove_attempt_files(token)
    return deleted, rows[-1]["seq"]


# Of a job with many children a trigger would change all edges at once. Those that were met mean nothing to it any more.
MANY_CHILDREN = "SELECT 1 FROM edges WHERE parent = ? AND state = 0 LIMIT 1 OFFSET %d" % PRUNE_ROWS
LET_GO = (
    "UPDATE edges SET parent = NULL WHERE rowid IN"
    " (SELECT rowid FROM edges WHERE parent = (SELECT seq FROM jobs WHERE seq = ? AND state = ?) AND state = 0"
    " LIMIT %d)"
) % PRUNE_ROWS


def let_go_of_children(database: Database, seqs: Sequence[int], state: str) -> None:
    """Let the edges of those of *seqs* that have many forget their parent, a little at a time."""
    with database.reading() as connection:
        if connection.execute(settling.ANY_EDGE).fetchone() is None:
            return
        many = [seq for seq in seqs if connection.execute(MANY_CHILDREN, (seq,)).fetchone()]
    for seq in many:
        gone = PRUNE_ROWS
        while gone == PRUNE_ROWS:
            with database.writing() as connection:
                gone = connection.execute(LET_GO, (seq, state)).rowcount
            time.sleep(YIELD_SECONDS)


def give_space_back(database: Database) -> None:
    left, before = 1, 0
    while left and left != before:  # it stays where auto_vacuum was turned off
        before = left
        with database.writing() as opened:
            for _ in range(VACUUM_PAGES):  # sqlite3 steps this pragma once: a page, whatever N says
                opened.execute("PRAGMA incremental_vacuum(1)")
            left = opened.execute("PRAGMA freelist_count").fetchone()[0]
        time.sleep(YIELD_SECONDS)
    with opening.told(database.path), database.gate(), contextlib.closing(database.open(gated=True)) as opened:
        database.checkpoint(opened, 0)
