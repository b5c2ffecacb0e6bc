"""Pruning: the space comes back, in steps short enough that nobody waits long for his turn."""

import contextlib
import os
import time

import pytest
from helpers.queue import NOW, SETTINGS, raw

from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import changing, pruning, showing

ROWS = 2000


@pytest.fixture
def finished(queue):
    """A queue with many finished jobs of a kilobyte each."""
    maker = JobMaker(0, "/", 0o022, NOW)
    list(queue.enqueue_each((line, maker.row({"command": "true " + "x" * 1000})) for line in range(ROWS)))
    outcomes = [Outcome(held, "completed", NOW) for held in queue.exchange("w", [], ROWS, NOW, SETTINGS)[1]]
    queue.exchange("w", outcomes, 0, NOW, SETTINGS)
    return queue


def pages(queue, what):
    with raw(queue) as connection:
        return connection.execute("PRAGMA %s" % what).fetchone()[0]


def test_pruned_jobs_give_their_space_back(finished):
    before = pages(finished, "page_count")
    assert pruning.prune(finished.database, ["completed"], NOW + 1, lambda count: None) == ROWS
    assert pages(finished, "freelist_count") == 0
    assert pages(finished, "page_count") < before / 5
    assert os.path.getsize(finished.path) == pages(finished, "page_count") * pages(finished, "page_size")


def test_a_prune_lets_others_in_between_and_takes_few_turns_itself(finished, monkeypatch):
    turns = []
    whole = finished.database.writing

    @contextlib.contextmanager
    def counted():
        with whole() as connection:
            before = connection.total_changes
            free = connection.execute("PRAGMA freelist_count").fetchone()[0]
            yield connection
            freed = free - connection.execute("PRAGMA freelist_count").fetchone()[0]
            turns.append((connection.total_changes - before, max(freed, 0)))

    monkeypatch.setattr(finished.database, "writing", counted)
    rests = []
    monkeypatch.setattr(time, "sleep", rests.append)
    page_count = pages(finished, "page_count")
    pruning.prune(finished.database, ["completed"], NOW + 1, lambda count: None)
    deleting = -(-ROWS // changing.ROWS)
    assert max(freed for _, freed in turns) <= pruning.VACUUM_PAGES
    assert len(turns) <= deleting + page_count // pruning.VACUUM_PAGES + 2, "a synced transaction for every page"
    assert len(rests) >= len(turns) - 1 and min(rests) >= changing.YIELD_SECONDS


def test_a_database_that_cannot_shrink_is_pruned_all_the_same(queue):
    """Somebody rebuilt it without auto_vacuum: free pages stay, and prune ends."""
    with raw(queue) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
        connection.execute("PRAGMA journal_mode = WAL")
    maker = JobMaker(0, "/", 0o022, NOW)
    list(queue.enqueue_each((line, maker.row({"command": "echo " + "x" * 2000})) for line in range(100)))
    queue.cancel([job["id"] for job in showing.jobs(queue.database, [], 100)[0]], NOW)
    assert pruning.prune(queue.database, ["cancelled"], NOW + 1, lambda count: None) == 100
    with raw(queue) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 0
