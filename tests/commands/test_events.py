"""`events`: a line of JSON for each attempt that ended; readers go on behind the last number they saw."""

import json
import os
import subprocess

import pytest
from helpers.home import contents
from helpers.marks import posix_only
from helpers.queue import NOW, claim, enqueue, settle
from helpers.waiting import wait_until

from queuectl_lib.commands import events
from queuectl_lib.run import quiet
from queuectl_lib.store import ended


@pytest.fixture
def home(near):
    near.run("initdb")
    return near


def end(home, *outcomes):
    """A job for each, that ended so."""
    for outcome in outcomes:
        enqueue(home.queue, 0)
        settle(home.queue, claim(home.queue)[0], outcome, NOW)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def told(home, *words):
    """As pairs of the number and what is told of it."""
    found = lines(home.run("events", *words).stdout)
    return [(one["seq"], "gap" if "gap" in one else one["state"]) for one in found]


def forget(home, *numbers):
    with home.queue.database.writing() as connection:
        for number in numbers:
            connection.execute("DELETE FROM attempts WHERE ended = ?", (number,))


def test_each_end_is_a_line_in_order_and_some_may_be_asked_for(home):
    end(home, "completed", "failed", "cancelled", "completed")
    every = [(1, "completed"), (2, "dead"), (3, "cancelled"), (4, "completed")]
    assert told(home) == every
    assert told(home, "--after", "0") == every
    assert told(home, "--after", "2", "--limit", "1") == every[2:3]
    assert told(home, "--state", "dead,cancelled") == every[1:3]
    assert told(home, "--state", "completed", "--limit", "2") == [every[0], every[3]]
    assert told(home, "--after", "now") == told(home, "--after", "4") == []
    assert home.run("events", "--json").json == lines(home.run("events").stdout)


def test_where_nothing_has_ended_or_no_queue_is_there_nothing_is_printed(home, near):
    assert home.run("events").stdout == "" and home.run("events", "--json").json == []
    assert home.run("events", "--follow", "--until-idle").stdout == ""
    assert home.run("events", "--after", "0").stdout == ""


def test_a_reader_with_a_cursor_is_told_of_what_is_gone(home):
    end(home, *["completed"] * 6)
    forget(home, 1, 3, 4, 6)
    assert told(home) == [(2, "completed"), (5, "completed")], "who has no cursor has missed nothing"
    assert told(home, "--after", "0") == [(1, "gap"), (2, "completed"), (4, "gap"), (5, "completed"), (6, "gap")]
    assert told(home, "--after", "2", "--state", "dead") == [(4, "gap"), (6, "gap")]
    assert told(home, "--after", "5") == [(6, "gap")]
    assert told(home, "--after", "6") == []


def test_a_cursor_ahead_of_the_queue_is_refused(home):
    end(home, "completed")
    text = "the cursor is ahead of the queue: 7 of 1 ends, so it was restored or made anew; begin again with --after 1"
    for words in (["--after", "7"], ["--after", "7", "--follow"]):
        assert text in home.run("events", *words, code=1).stderr


@pytest.mark.parametrize(
    "words, text",
    [
        (["--after", "x"], "--after: \"x\" is not a whole number"),
        (["--after", "-1"], "--after: -1 is not between 0 and"),
        (["--limit", "0"], "--limit: 0 is not between 1 and"),
        (["--state", "done"], 'unknown state "done"'),
        (["--state", "processing"], "leaves no job processing"),
        (["--until-idle"], "--until-idle goes with --follow"),
        (["--follow", "--json"], "--json and --follow contradict each other"),
    ],
)
def test_what_cannot_be_meant_is_refused(home, words, text):
    stderr = home.run("events", *words, code=2).stderr
    assert text in (json.loads(stderr)["error"]["message"] if "--json" in words else stderr)


def test_more_than_one_read_is_one_stream(home, monkeypatch):
    monkeypatch.setattr(events, "AT_ONCE", 2)
    end(home, *["completed"] * 5)
    assert [number for number, _ in told(home)] == [1, 2, 3, 4, 5]
    assert [number for number, _ in told(home, "--follow", "--until-idle")] == [1, 2, 3, 4, 5]
    assert [number for number, _ in told(home, "--follow", "--limit", "3")] == [1, 2, 3]


def test_who_follows_asks_the_database_no_more_while_nothing_changes(home, monkeypatch):
    end(home, "completed")
    asked, waited = [], []
    look = ended.look

    def wait(seconds):
        waited.append(seconds)
        if len(waited) > 200:
            raise KeyboardInterrupt

    monkeypatch.setattr(ended, "look", lambda *args: asked.append(1) or look(*args))
    monkeypatch.setattr(events, "wait", wait)
    monkeypatch.setattr(quiet.Quiet, "lasts", lambda self: True)
    assert [one["seq"] for one in lines(home.run("events", "--follow", code=130).stdout)] == [1]
    assert len(asked) < 20 and sum(waited) > 180


def test_what_ends_while_one_follows_is_printed_at_once_and_each_once(home):
    path = os.path.join(home.path, "printed")
    with open(path, "wb") as file:
        words = home.command("events", "--follow", "--limit", "3")
        process = subprocess.Popen(words, stdout=file, env=home.environment())
    home.started.append(process)
    for number in (1, 2, 3):
        end(home, "completed")
        printed = wait_until(lambda: contents(path).split("\n")[number - 1 : -1], "a line more")  # noqa: B023
        assert [json.loads(line)["seq"] for line in printed] == [number]
    wait_until(lambda: process.poll() == 0, "the follower to end")


@posix_only
def test_who_follows_ends_by_itself_once_nobody_reads(home):
    end(home, "completed")
    words = home.command("events", "--follow")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment())
    home.started.append(process)
    process.stdout.readline()
    process.stdout.close()
    try:
        wait_until(lambda: process.poll() is not None, "the follower to end")
    finally:
        process.kill()
    assert (process.wait(), process.communicate()[1]) == (0, b"")


def test_a_mark_of_an_end_is_not_shown_as_a_word_of_the_job(home):
    end(home, "failed")
    (job,) = home.run("list", "--json").json
    (attempt,) = home.job(job["id"])["history"]
    assert attempt["note"] is None and "note" not in home.run("show", job["id"], "--all").stdout
