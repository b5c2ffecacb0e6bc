"""A home that is elsewhere for a moment, while a job ends: what its job has said of itself is still heard."""

import os
import threading

import pytest
from helpers.queue import NOW, claim, enqueue

from queuectl_lib.run import concluding, run_file
from queuectl_lib.run.attempt import Attempt


@pytest.fixture
def attempt(queue):
    enqueue(queue)
    found = Attempt(queue, claim(queue, NOW)[0])
    os.makedirs(os.path.dirname(found.run_path), exist_ok=True)
    open(found.run_path, "w").close()
    return found


def move_away(attempt):
    """The home; it lies beside its place now."""
    home = os.path.dirname(attempt.queue.database.path)
    os.rename(home, home + ".elsewhere")
    return home


@pytest.mark.parametrize("says", [True, False])
def test_what_a_job_has_said_is_heard_once_its_home_is_back(attempt, says):
    if says:
        open(concluding.control_path(attempt), "w").close()
    assert concluding.speaks(attempt) is says
    home = move_away(attempt)
    timer = threading.Timer(0.05, os.rename, (home + ".elsewhere", home))
    timer.start()
    assert concluding.speaks(attempt) is says
    timer.join()


def test_a_home_that_does_not_come_back_is_not_waited_for_for_ever(attempt, monkeypatch):
    monkeypatch.setattr(run_file, "AWAY_SECONDS", 0.05)
    open(concluding.control_path(attempt), "w").close()
    move_away(attempt)
    assert not concluding.speaks(attempt)


def test_what_a_cleaner_has_taken_is_not_waited_for(attempt, monkeypatch):
    monkeypatch.setattr(run_file.time, "sleep", None)
    os.remove(attempt.run_path)
    assert not concluding.speaks(attempt)
