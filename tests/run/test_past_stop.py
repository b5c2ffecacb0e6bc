"""Which deaths belong to a stop that a dead worker was asked for: by the time of its request file."""

import os
import time

import pytest

from queuectl_lib.host import locks
from queuectl_lib.run import interruption
from queuectl_lib.run.interruption import PastStop
from storage import Queue

GRACE = 10.0


@pytest.fixture
def folder(tmp_path):
    folder = Queue(str(tmp_path / "q.db")).folder
    folder.make()
    return folder


def ask(folder, request, seconds_ago):
    path = folder.request_path("s1", request)
    open(path, "w").close()
    moment = time.time() - seconds_ago
    os.utime(path, (moment, moment))


def explains(folder, died_ago):
    return PastStop(folder, "s1-2").explains(time.monotonic() - died_ago, GRACE)


@pytest.mark.parametrize(
    "asked_ago, died_ago, belongs",
    [
        (100.0, 99.0, True),  # behind the stop
        (100.0, 90.5, True),
        (100.0, 89.0, False),  # when the grace was over
        (100.0, 102.5, True),  # a worker that was signalled itself saw the death first
        (100.0, 104.0, False),  # long before anybody was told
    ],
)
@pytest.mark.parametrize("request_name", ["stop", "now"])
def test_a_death_belongs_to_a_stop_that_was_asked_for_near_it(folder, request_name, asked_ago, died_ago, belongs):
    ask(folder, request_name, asked_ago)
    assert explains(folder, died_ago) is belongs


def test_either_of_two_requests_explains_it(folder):
    """A stop whose grace is long over, and then one that ends the jobs."""
    ask(folder, "stop", 500.0)
    ask(folder, "now", 100.0)
    assert explains(folder, 95.0) is True
    assert explains(folder, 495.0) is True
    assert explains(folder, 300.0) is False


def test_without_a_request_a_fresh_death_is_held_back_while_the_supervisor_lives(folder):
    assert explains(folder, 0.0) is False, "nobody is left who could be told"
    held = locks.hold_file(folder.life_path("s1"))
    try:
        assert explains(folder, 0.0) is None
        assert explains(folder, interruption.HOLD_SECONDS + 0.1) is False
    finally:
        os.close(held)
    assert explains(folder, 0.0) is False


def test_a_request_for_others_says_nothing(folder):
    open(folder.request_path("s2", "stop"), "w").close()
    stop = PastStop(folder, "s1-1")
    assert not stop.is_told() and stop.explains(time.monotonic(), GRACE) is False
    assert PastStop(folder, "s2-1").is_told()
