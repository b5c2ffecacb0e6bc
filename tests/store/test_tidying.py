"""Tidying: what lies about is removed, and all attempts are asked after only where something does."""

import os
import subprocess

import pytest
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS, claim, enqueue
from helpers.waiting import wait_until

from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.store import tidying


@pytest.fixture
def asked(monkeypatch):
    """How often every attempt there is was read."""
    found, whole = [], tidying.kept_files

    def counted(database, tokens):
        found.append(database.path)
        return whole(database, tokens)

    monkeypatch.setattr(tidying, "kept_files", counted)
    return found


def put(queue, token):
    paths = [queue.folder.attempt_path(token, kind) for kind in ("run", "out", "err")]
    for path in paths:
        with open(path, "w"):
            pass
    return paths


def test_the_files_of_running_jobs_are_known_without_reading_all_attempts(queue, asked):
    enqueue(queue)
    paths = put(queue, claim(queue)[0].token)
    tidying.tidy(queue.database)
    assert asked == []
    assert all(os.path.exists(path) for path in paths)


def test_what_belongs_to_no_attempt_is_removed(queue, asked):
    enqueue(queue)
    kept = put(queue, claim(queue)[0].token)
    stray = put(queue, "0123456789abcdef")
    tidying.tidy(queue.database)
    assert len(asked) == 1
    assert [os.path.exists(path) for path in kept + stray] == [True] * 3 + [False] * 3


def test_files_that_an_ended_attempt_keeps_are_kept(queue, asked):
    enqueue(queue)
    held = claim(queue)[0]
    paths = put(queue, held.token)
    outcome = Outcome(held, "completed", NOW)
    outcome.stdout_bytes = 10**6  # too large for the database
    assert queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)[0] == []
    tidying.tidy(queue.database)
    assert len(asked) == 1
    assert [os.path.exists(path) for path in paths] == [False, True, False]


def test_an_attempt_that_left_processes_running_keeps_its_lock_and_its_output(queue, asked):
    enqueue(queue)
    held = claim(queue)[0]
    paths = put(queue, held.token)
    outcome = Outcome(held, "completed", NOW)
    outcome.leftovers = "sleep (pid 17)"
    assert queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)[0] == []
    tidying.tidy(queue.database)
    assert all(os.path.exists(path) for path in paths)


@posix_only
@pytest.mark.parametrize("place", ["report.recorded", "report.removed"])
def test_files_of_an_attempt_whose_worker_was_killed_between_record_and_removal_are_tidied(home, place):
    first = home.add("head -c 100000 /dev/zero | tr '\\0' x; echo error >&2")
    words = home.command("worker", "start")
    fail = dict(home.environment(), QUEUECTL_FAILPOINT=place + ":" + os.path.join(home.path, "fail"))
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=fail)
    home.started.append(process)
    home.wait_for_state(first, "completed")
    attempts = home.queue.folder.attempts
    wait_until(lambda: os.path.exists(os.path.join(home.path, "fail")), "the worker to be killed")
    wait_until(lambda: [name[-4:] for name in os.listdir(attempts)] == [".out"], "the rest to be tidied")
    assert home.run("logs", first).stdout == "x" * 100000
