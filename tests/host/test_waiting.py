"""Waiting: for a lock that somebody else holds, and between two looks at the jobs of others."""

import _thread
import contextlib
import os
import threading
import time

import pytest
from helpers.marks import posix_only
from helpers.waiting import wait_until

from queuectl_lib.host import files, locks
from queuectl_lib.run import pace

# ---------------------------------------------------------------- for a lock


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "gate")


@contextlib.contextmanager
def opened(path):
    fd = files.open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        yield fd
    finally:
        os.close(fd)


def test_a_lock_that_comes_free_in_time_is_taken(path):
    held = files.open_private(path, os.O_RDWR | os.O_CREAT)
    assert locks.try_lock(held)
    threading.Timer(0.3, os.close, [held]).start()
    with opened(path) as mine, opened(path) as other:
        assert locks.wait_for_lock(mine, 30)
        assert not locks.try_lock(other), "it is held now"


def test_the_time_to_wait_is_kept(path):
    with opened(path) as held, opened(path) as mine:
        assert locks.try_lock(held)
        began = time.monotonic()
        assert not locks.wait_for_lock(mine, 0.5)
        assert 0.5 <= time.monotonic() - began < 5


@posix_only
def test_who_waits_in_line_is_served_in_the_order_of_coming(path):
    order, began = [], []
    with opened(path) as held:
        assert locks.try_lock(held)

        def come(number):
            with opened(path) as fd:
                began.append(number)
                assert locks.lock_in_line(fd, 30)
                order.append(number)

        comers = []
        for number in range(5):
            comers.append(threading.Thread(target=come, args=[number]))
            comers[-1].start()
            wait_until(lambda number=number: waiters(path) == number + 1, "comer %d to stand in line" % number)
    for comer in comers:
        comer.join(30)
    assert order == began == list(range(5))


def waiters(path):
    """How many wait for a lock on *path*, as the kernel tells in proc(5), locks."""
    if not os.path.exists("/proc/locks"):
        pytest.skip("the kernel does not tell who waits")
    inode = ":%d " % os.stat(path).st_ino
    with open("/proc/locks", encoding="ascii") as file:
        return sum("-> FLOCK" in line and inode in line for line in file)


@posix_only
def test_a_turn_that_comes_too_late_passes_to_whoever_waits_then(path):
    with opened(path) as held, opened(path) as mine:
        assert locks.try_lock(held)
        assert not locks.lock_in_line(mine, 0.1)
        assert any(turn.locked() for turn in locks.LEFT_BEHIND)
    with opened(path) as other:
        assert locks.wait_for_lock(other, 30)
    wait_until(lambda: not any(turn.locked() for turn in locks.LEFT_BEHIND), "the thread that was left behind")


@posix_only
def test_where_a_lock_is_never_free_no_more_than_a_few_threads_are_left_behind(path):
    with opened(path) as held:
        assert locks.try_lock(held)
        before = threading.active_count(), len(os.listdir("/dev/fd"))
        for _ in range(locks.LEFT_BEHIND_MOST + 3):
            with opened(path) as mine:
                assert not locks.wait_for_lock(mine, 0.05)
        assert sum(turn.locked() for turn in locks.LEFT_BEHIND) == locks.LEFT_BEHIND_MOST
        assert len(os.listdir("/dev/fd")) <= before[1] + locks.LEFT_BEHIND_MOST
    wait_until(lambda: not any(turn.locked() for turn in locks.LEFT_BEHIND), "the threads that were left behind")


@posix_only
def test_where_no_thread_can_be_started_a_lock_is_asked_for_again_and_again(path, monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    with opened(path) as mine:
        held = files.open_private(path, os.O_RDWR)
        assert locks.try_lock(held)
        fds = len(os.listdir("/dev/fd"))
        assert not locks.wait_for_lock(mine, 0.2)
        assert len(os.listdir("/dev/fd")) == fds
        os.close(held)
        assert locks.wait_for_lock(mine, 30)


# ---------------------------------------------------------------- between two looks


@pytest.mark.parametrize("workers, seconds", [(1, 1), (2, 1), (4, 1), (8, 2), (50, 12.5)])
def test_many_workers_with_short_jobs_share_the_looking_around(workers, seconds):
    assert pace.pause_between_looks(time.monotonic(), [], workers) == seconds


def test_a_worker_whose_job_runs_for_a_second_looks_every_second_whether_it_was_cancelled():
    now = time.monotonic()
    assert pace.pause_between_looks(now, [now - 0.9], 50) > 1
    assert pace.pause_between_looks(now, [now - 1.1], 50) == 1


@posix_only
def test_a_cancel_among_many_workers_is_heeded_within_seconds(home):
    home.run("worker", "start", "--background", "--count", "12")
    job = home.add("sleep 60", "--max-retries", "0")
    home.wait_for_state(job, "processing")
    began = time.monotonic()
    home.run("cancel", job)
    home.wait_for_state(job, "cancelled")
    assert time.monotonic() - began < 10
