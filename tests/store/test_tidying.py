"""Tidying: what lies about is removed, and all attempts are asked after only where something does."""

import os
import subprocess

import pytest
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS, claim, enqueue, raw
from helpers.waiting import wait_until

from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.store import tidying


@pytest.fixture
def asked(monkeypatch):
    """A number for each part of the attempts that was read: from which one on downward."""
    found, whole = [], tidying.kept_files

    def counted(database, tokens, below):
        found.append(below)
        return whole(database, tokens, below)

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
    assert len(asked) == 2  # and that there is no other
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


def ended(queue, leftovers=None, stdout_bytes=0):
    """The token of an attempt that has ended."""
    enqueue(queue)
    held = claim(queue)[0]
    outcome = Outcome(held, "completed", NOW)
    outcome.leftovers, outcome.stdout_bytes = leftovers, stdout_bytes
    assert queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)[0] == []
    return held.token


@pytest.mark.parametrize("part", [1, 2, 3, 100])
def test_attempts_are_read_a_part_at_a_time_whatever_gaps_there_are(queue, monkeypatch, part):
    monkeypatch.setattr(tidying, "PART", part)
    kept = [put(queue, ended(queue, "sleep (pid 17)"))]
    for _ in range(6):
        ended(queue)
    kept.append(put(queue, ended(queue, "sleep (pid 17)")))
    with raw(queue) as connection:
        connection.execute("DELETE FROM attempts WHERE id IN (3, 4, 5)")
        connection.execute("UPDATE attempts SET id = 1 << 61 WHERE id = 2")
        connection.execute("UPDATE attempts SET id = -(1 << 62) WHERE id = 1")
    stray = put(queue, "0123456789abcdef")
    tidying.tidy(queue.database)
    assert all(os.path.exists(path) for paths in kept for path in paths)
    assert not any(os.path.exists(path) for path in stray)


def test_no_attempt_is_read_that_is_older_than_all_whose_files_are_found(queue, monkeypatch, asked):
    monkeypatch.setattr(tidying, "PART", 2)
    for _ in range(6):
        ended(queue)
    put(queue, ended(queue, "sleep (pid 17)"))
    ended(queue)
    tidying.tidy(queue.database)
    assert len(asked) == 1


def test_nothing_is_removed_before_all_attempts_were_asked(queue, monkeypatch):
    monkeypatch.setattr(tidying, "PART", 1)
    for _ in range(3):
        ended(queue)
    stray = put(queue, "0123456789abcdef")
    pauses = [all(map(os.path.exists, stray)) for _ in tidying.in_parts(queue.database)]
    assert pauses == [True] * 4
    assert not any(map(os.path.exists, stray))


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
