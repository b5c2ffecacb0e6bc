"""The facts of a live view: what ended of late, what runs against its kind, the last line of what is being written."""

import os

import pytest
from helpers.marks import posix_only

from queuectl_lib import times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.reports import live
from queuectl_lib.store import live as stored

NOW = 1800000000.0


def ends(*seconds_ago, outcome="completed"):
    return [(outcome, times.utc_text(NOW - one)) for one in seconds_ago]


def test_ends_of_the_last_minute_are_counted():
    found = live.of_late(ends(1, 30, 59.5, 60.5, 4000) + ends(2, outcome="failed") + ends(3, outcome="timed out"), NOW)
    assert found == {"ended": 5, "failed": 2, "is_more": False}
    assert live.of_late([], NOW) == {"ended": 0, "failed": 0, "is_more": False}
    assert live.of_late([("completed", None), (None, 7), ("x", "soon")], NOW)["ended"] == 0


def test_more_ends_than_are_looked_at_are_told_by_their_pace():
    fast = ends(*[place * 0.1 for place in range(stored.MOST_LATELY)])  # 300 in 30 seconds
    found = live.of_late(fast, NOW)
    assert found["is_more"] and 595 <= found["ended"] <= 605
    assert live.of_late(ends(*[0.0] * stored.MOST_LATELY), NOW)["ended"] == 60 * stored.MOST_LATELY


@pytest.mark.parametrize(
    "samples, seconds, is_known, is_long", [(4, 900, False, False), (20, 30, True, False), (20, 900, True, True)]
)
def test_what_runs_is_held_against_its_kind_where_that_is_known(samples, seconds, is_known, is_long):
    job = {"started_at": times.utc_text(NOW - seconds)}
    found = live.running(job, [10.0] * samples, NOW)
    assert found["seconds"] == seconds and found["is_long"] is is_long
    assert found["median"] == found["p95"] == (10.0 if is_known else None)


def test_the_verdict_on_an_end_is_in_the_words_of_a_signature():
    times_of = {"started_at": times.utc_text(NOW - 5), "finished_at": times.utc_text(NOW)}
    for outcome, code, signal, verdict in (
        ("completed", 0, None, "completed"),
        ("failed", 3, None, "exit 3"),
        ("failed", None, "SIGKILL", "signal KILL"),
        ("timed out", None, "SIGTERM", "timed out"),
        ("given back", None, None, "given back"),
        (None, None, None, "None"),
    ):
        found = live.ended(dict(times_of, outcome=outcome, exit_code=code, signal=signal), NOW)
        assert (found["verdict"], found["seconds"]) == (verdict, 5.0)
    back = {"started_at": times_of["finished_at"], "finished_at": times_of["started_at"], "outcome": "completed"}
    assert live.ended(back, NOW)["seconds"] is None, "a clock that was put back"


# ---------------------------------------------------------------- of a queue


@pytest.mark.parametrize(
    "data, line",
    [
        (b"", ""),
        (b"one\ntwo\n", "two"),
        (b"one\ntwo", "two"),
        (b"one\n\n  \n", "one"),
        (b" 10 %\r 20 %\r 30 %\r", "30 %"),
        (b"\xff\x1b[2J", "\\xff\x1b[2J"),
    ],
)
def test_the_last_line_is_the_last_with_anything_on_it(data, line):
    assert stored.last_of(data) == line


@pytest.fixture
def database(near):
    near.run("initdb")
    return near.queue.database


def attempt(database, **streams):
    token = "0123456789abcdef"
    for age, (kind, data) in enumerate(streams.items()):
        path = database.folder.attempt_path(token, kind)
        with open(path, "wb") as file:
            file.write(data)
        os.utime(path, (NOW + age, NOW + age))
    return token


def test_the_stream_that_was_written_to_last_has_the_last_line(database):
    assert stored.last_line(database, attempt(database, out=b"result\n", err=b"warning\n")) == "warning"
    assert stored.last_line(database, attempt(database, err=b"warning\n", out=b"result\n")) == "result"
    assert stored.last_line(database, attempt(database, out=b"result\n", err=b"\n\n")) == "result"
    assert stored.last_line(database, "fedcba9876543210") == stored.last_line(database, None) == ""


def test_of_an_endless_line_no_more_than_its_end_is_read(database):
    line = stored.last_line(database, attempt(database, out=b"x" * 10000000))
    assert 0 < len(line) <= 4096


@posix_only
def test_what_a_job_put_in_the_place_of_its_output_is_not_followed(database):
    token = attempt(database)
    os.symlink("/etc/passwd", database.folder.attempt_path(token, "out"))
    os.mkfifo(database.folder.attempt_path(token, "err"))
    assert stored.last_line(database, token) == ""


def test_a_queue_that_is_not_there_yet_is_empty_and_one_that_has_gone_is_told(near):
    looked = live.Live(near.queue)
    assert looked.look(NOW)["counts"]["pending"] == 0
    near.add("true")
    assert len(looked.look(NOW)["next"]) == 1
    os.rename(near.db, near.db + ".away")
    with pytest.raises(NoDatabase):
        looked.look(NOW)


def test_no_more_is_read_than_the_screen_has_lines_for(near):
    near.run("enqueue", "--lines", "-", input="true\n" * 300)
    assert len(live.Live(near.queue).look(NOW, 24)["next"]) == 24


def test_what_takes_long_is_asked_now_and_then(near):
    looked, asked = live.Live(near.queue), []
    for moment in (NOW, NOW + 1, NOW + 4.9, NOW + 5.1, NOW - 3600):
        looked.now_and_then("x", 5.0, moment, lambda moment=moment: asked.append(moment))
    assert asked == [NOW, NOW + 5.1, NOW - 3600], "and at once after a clock that was put back"
