"""Output: what is new in it is read, and nothing else."""

import pytest
from helpers.queue import NOW, SETTINGS, claim

from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import opening, output, showing

ATTEMPTS = 40
BYTES = b"x" * 29000 + b"\n"


@pytest.fixture
def retried(queue):
    """A job with many attempts, each with output that stands in the database."""
    queue.enqueue(JobMaker(0, "/", 0o022, NOW).row({"id": "job", "command": "true", "max_retries": ATTEMPTS}))
    for number in range(ATTEMPTS):
        held = claim(queue, NOW + number * 10000)[0]
        outcome = Outcome(held, "failed", NOW + number * 10000)
        outcome.stdout = outcome.stderr = b"%d:" % held.number + BYTES
        outcome.stdout_bytes = outcome.stderr_bytes = len(outcome.stdout)
        assert queue.exchange("w-1", [outcome], 0, NOW + number * 10000, SETTINGS)[0] == []
    return queue


@pytest.fixture
def statements(monkeypatch):
    """What is asked of SQLite from here on."""
    found = []
    connect = opening.connect

    def traced(*arguments):
        connection = connect(*arguments)
        connection.set_trace_callback(found.append)
        return connection

    monkeypatch.setattr(opening, "connect", traced)
    return found


def reads_of_bytes(statements):
    return [text for text in statements if text.startswith(("SELECT stdout FROM", "SELECT stderr FROM"))]


def test_following_a_job_reads_the_bytes_of_no_attempt_but_the_one_at_hand(retried, statements):
    follower = output.Follower(retried.database, "job", None, ["stdout", "stderr"])
    assert [data for _, data in follower.news()] == [b"%d:" % ATTEMPTS + BYTES] * 2
    assert len(reads_of_bytes(statements)) == 2
    statements.clear()
    for _ in range(5):
        assert list(follower.news()) == []
    assert reads_of_bytes(statements) == [], "nothing is new, so nothing is read"
    assert not [text for text in statements if "SELECT *" in text], "that would carry the output of every attempt"


def test_one_attempt_of_many_is_read_alone(retried, statements):
    follower = output.Follower(retried.database, "job", 3, ["stdout"])
    assert [data for _, data in follower.news()] == [b"3:" + BYTES]
    assert len(reads_of_bytes(statements)) == 1
    assert follower.ended()


def test_of_what_was_there_at_the_first_look_the_last_lines_come_and_all_that_follows(queue):
    queue.enqueue(JobMaker(3, "/", 0o022, NOW).row({"id": "job", "command": "true"}))
    before, late = (output.Follower(queue.database, "job", None, ["stdout"]) for _ in range(2))
    before.lines = late.lines = 1
    begun = []
    before.begins = lambda attempt: begun.append(attempt["number"])
    assert list(before.news()) == []
    for number in range(3):
        held = claim(queue, NOW + number * 10000)[0]
        outcome = Outcome(held, "failed", NOW + number * 10000)
        outcome.stdout, outcome.stdout_bytes = b"%d\na\nb\n" % number, 6
        queue.exchange("w-1", [outcome], 0, NOW + number * 10000, SETTINGS)
        if number:
            found = b"".join(data for _, data in before.news())
            assert found == [b"", b"0\na\nb\n1\na\nb\n", b"2\na\nb\n"][number], "all began after the first look"
    assert begun == [1, 2, 3]
    assert [data for _, data in late.news()] == [b"b\n"]


def test_a_tail_of_output_that_stands_in_the_database_is_its_end(retried):
    attempt = showing.job(retried.database, "job")["history"][6]
    kept = output.Output(retried.database, attempt, "stderr")
    assert (kept.size, kept.tail(5), kept.read(0, 3)) == (len(b"7:" + BYTES), b"xxxx\n", b"7:x")
    assert kept.read(kept.size, 10) == b""
