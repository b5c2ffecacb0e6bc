"""Glancing: an idle worker does not ask a database that has not changed, and misses no change."""

import os
import time

import pytest
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS

from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import pace
from queuectl_lib.run.glance import Glance
from queuectl_lib.store import outlook, pruning

pytestmark = posix_only


@pytest.fixture
def glance(queue, monkeypatch):
    """A glance at a queue that others keep open, which counts how often it asks."""
    keeper = queue.database.keeper()
    queue.enqueue(JobMaker(0, "/", 0o022, NOW).row({"command": "true", "delay": "1d"}))
    glance = Glance(queue.database)
    glance.queue = queue
    whole, glance.asked = outlook.under_way, 0

    def counted(database, now):
        glance.asked += 1
        return whole(database, now)

    monkeypatch.setattr(outlook, "under_way", counted)
    yield glance
    keeper.close()


def let_rest(queue, seconds=60.0):
    """As if the last commit had been *seconds* ago."""
    for ending in ("", "-wal"):
        os.utime(queue.path + ending, (time.time() - seconds,) * 2)


def test_files_at_rest_are_asked_once(glance):
    let_rest(glance.queue)
    for _ in range(5):
        glance.refresh()
    assert glance.asked == 1
    assert glance.next_due == NOW + 86400


def test_files_that_changed_a_moment_ago_are_asked_again(glance):
    let_rest(glance.queue, pace.SETTLED_SECONDS - 1)
    glance.refresh()
    glance.refresh()
    assert glance.asked == 2


def test_a_commit_is_seen(glance):
    let_rest(glance.queue)
    glance.refresh()
    glance.queue.enqueue(JobMaker(0, "/", 0o022, NOW).row({"command": "true", "delay": "1h"}))
    glance.refresh()
    assert glance.next_due == NOW + 3600
    held = glance.queue.exchange("w", [], 1, NOW + 3600, SETTINGS)[1][0]
    glance.refresh()
    assert [job["token"] for job in glance.processing] == [held.token]


def test_a_checkpoint_or_a_replaced_file_is_seen(glance):
    let_rest(glance.queue)
    glance.refresh()
    os.rename(glance.queue.path, glance.queue.path + ".old")
    os.rename(glance.queue.path + ".old", glance.queue.path)
    glance.refresh()
    assert glance.asked == 1, "the same file under the same name"
    pruning.prune(glance.queue.database, ["completed"], NOW, lambda count: None)
    assert os.path.getsize(glance.queue.path + "-wal") == 0
    glance.refresh()
    assert glance.asked == 2


def test_an_answer_counts_no_longer_than_it_may(glance, monkeypatch):
    let_rest(glance.queue)
    glance.refresh()
    later = time.monotonic() + pace.FRESH_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    glance.refresh()
    assert glance.asked == 2


def test_a_database_that_refuses_is_asked_again_and_its_old_answer_is_forgotten(glance, monkeypatch):
    let_rest(glance.queue)
    glance.refresh()
    assert glance.next_due is not None
    path = glance.queue.path
    os.rename(path, path + ".away")
    with pytest.raises(NoDatabase):
        glance.refresh()
    assert glance.next_due is None
    os.rename(path + ".away", path)
    glance.refresh()
    assert glance.next_due == NOW + 86400
