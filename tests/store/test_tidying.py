"""Tidying: what lies about is removed, and all attempts are asked after only where something does."""

import os

import pytest
from helpers.queue import NOW, SETTINGS, claim, enqueue

from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.store import tidying


@pytest.fixture
def asked(monkeypatch):
    """How often every attempt there is was read."""
    found, whole = [], tidying.known_tokens

    def counted(database):
        found.append(database.path)
        return whole(database)

    monkeypatch.setattr(tidying, "known_tokens", counted)
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
    assert all(os.path.exists(path) for path in paths)
