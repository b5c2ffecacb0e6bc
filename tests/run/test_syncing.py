"""When a claim reaches the disk: with the results that go along with it, else once its job has been started."""

import errno
import os

import pytest
from helpers.queue import SETTINGS, claim_one, enqueue

from queuectl_lib.errors import HostError
from queuectl_lib.host import files, system
from queuectl_lib.host.waking import Bell
from queuectl_lib.jobs import attempts
from queuectl_lib.run.options import Options
from queuectl_lib.run.standing import Standing
from queuectl_lib.store import looking
from queuectl_lib.store.database import Database
from worker import Worker

LATER = ["commit", "start", "sync of q.db-wal"]


@pytest.fixture
def seen(monkeypatch):
    """What is done, in order."""
    done, writing, sync = [], Database.writing, files.sync

    def writing_seen(database, synced=True):
        done.append("commit, synced" if synced else "commit")
        return writing(database, synced)

    def sync_seen(path):
        done.append("sync of " + os.path.basename(path))
        sync(path)

    monkeypatch.setattr(Database, "writing", writing_seen)
    monkeypatch.setattr(files, "sync", sync_seen)
    return done


@pytest.fixture
def make_worker(queue, seen, monkeypatch):
    made = []

    def make(settings=SETTINGS):
        one = Worker(queue, "w", "s", Options(1, False), lambda: settings)
        one.standing = Standing(queue.folder, "w", {"kind": "worker"}, one.say)
        one.bell = Bell(queue.folder.bell, queue.path)
        monkeypatch.setattr(one.slots, "start", lambda *values: seen.append("start"))
        made.append(one)
        return one

    queue.database.create()
    yield make
    for one in made:
        one.bell.close()
        one.standing.leave(holds_jobs=False)


def go_on(one, seen):
    del seen[:]
    one.keep_going()
    return seen


def test_a_claim_without_results_is_synced_when_its_job_has_been_started(queue, make_worker, seen):
    enqueue(queue)
    assert go_on(make_worker(), seen) == (LATER if system.SYNCS_LOG_ALONE else ["commit, synced", "start"])


def test_a_claim_is_synced_with_the_results_that_it_goes_with(queue, make_worker, seen):
    enqueue(queue)
    enqueue(queue)
    one = make_worker()
    one.ended.append(attempts.unstarted(claim_one(queue)))
    assert go_on(one, seen) == ["commit, synced", "start"]


def test_of_several_claims_the_first_start_brings_all_to_the_disk(queue, make_worker, seen):
    one = make_worker()
    one.pace.batch = 3
    for _ in range(3):
        enqueue(queue)
    go_on(one, seen)
    assert looking.counts(queue.database)["processing"] == 3 and not queue.database.is_behind
    assert go_on(one, seen) == ["start"] and go_on(one, seen) == ["start"]


def test_without_durability_nothing_is_synced(queue, make_worker, seen):
    enqueue(queue)
    assert go_on(make_worker(SETTINGS.but(durability="off")), seen) == ["commit", "start"]


def test_what_a_later_commit_has_synced_is_not_synced_again(queue, make_worker, seen):
    enqueue(queue)
    claim_one(queue)
    assert queue.database.is_behind == system.SYNCS_LOG_ALONE
    enqueue(queue)  # by the same connection's owner: its log is synced as a whole
    assert not queue.database.is_behind


def test_a_sync_that_fails_is_told_and_loses_nothing_of_the_start(queue, make_worker, seen, monkeypatch):
    if not system.SYNCS_LOG_ALONE:
        pytest.skip("all commits are synced here")

    def fail(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    enqueue(queue)
    one = make_worker()
    monkeypatch.setattr(files, "sync", fail)
    with pytest.raises(HostError, match="Input/output error"):
        one.keep_going()
    assert seen[-1] == "start" and len(one.trouble.starts) == 1
    assert not one.ahead and not queue.database.is_behind
