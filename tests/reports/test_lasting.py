"""Troubles that last: `check` as cron calls it tells of each when it begins, once a day, and when it is over."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time

import pytest
from helpers.queue import enqueue
from helpers.waiting import wait_until

from queuectl_lib.host import system
from queuectl_lib.reports import lasting
from queuectl_lib.store import queues, told_troubles
from queuectl_lib.store.presence import Presence

HUGE = "999999T"
EXPECT = ("--expect", "k", "--every", "1h")


@pytest.fixture
def home(near):
    near.run("initdb")
    set_age(near, 3600)
    return near


@pytest.fixture
def unused(home):
    shutil.rmtree(home.path)
    return home


def set_age(home, seconds):
    """So long ago somebody came or left last."""
    os.utime(home.queue.folder.workers, (time.time() - seconds,) * 2)


def check(home, *words, code=1):
    """The lines that cron would mail."""
    done = home.run("check", *words, code=code)
    assert done.stderr == ""
    return done.stdout.splitlines()


def shift(home, seconds):
    """As if all that was told had been told so long ago."""
    with contextlib.closing(sqlite3.connect(home.db)) as connection:
        connection.execute("UPDATE totals SET value = value - ? WHERE key LIKE 'trouble %'", (seconds,))
        connection.commit()


@contextlib.contextmanager
def present_worker(home):
    presence = Presence(home.queue.folder, "w-1", {"kind": "worker", "pid": 0, "supervisor": "w"})
    try:
        yield
    finally:
        presence.end()


def test_a_trouble_is_told_when_it_begins_once_a_day_and_when_it_is_over(home):
    first = check(home, *EXPECT)
    assert first == ['no job with the key "k" completed within 1h; the last success: never']
    assert check(home, *EXPECT) == [] == check(home, *EXPECT), "and the exit code says that it lasts"
    shift(home, 23 * 3600)
    assert check(home, *EXPECT) == []
    shift(home, 3600)
    assert check(home, *EXPECT) == [first[0] + " (told first 24h ago)"]
    assert check(home, *EXPECT) == []
    home.add("true", "--unique", "k")
    home.drain()
    set_age(home, 3600)
    assert check(home, *EXPECT, code=0) == ['over: no success of a job with the key "k" (told first 24h ago)']
    assert check(home, *EXPECT, code=0) == []
    assert told_troubles.known(home.queue.database) == {}


@pytest.mark.parametrize("more", [["--all"], ["--json"]])
def test_who_asks_for_all_is_told_all_and_cron_still_gets_its_mail(home, more):
    for _ in range(2):
        assert "within 1h" in home.run("check", *EXPECT, *more, code=1).stdout
    assert len(check(home, *EXPECT)) == 1
    assert "within 1h" in home.run("check", *EXPECT, *more, code=1).stdout


def test_a_call_that_asks_for_something_else_says_of_nothing_that_it_is_over(home):
    assert len(check(home, *EXPECT, "--min-free", HUGE)) == 2
    assert check(home, code=0) == []
    assert check(home, "--min-free", "1", code=0) == []
    assert check(home, "--expect", "k", "--every", "2h")[0].startswith("no job with the key"), "another limit is new"
    assert check(home, *EXPECT, "--min-free", HUGE) == []
    assert check(home, "--expect", "other", "--every", "1h", "--min-free", HUGE) != []


def test_each_kind_is_known_by_what_it_is_of(home):
    for name in ("mail", "bulk"):
        queues.change(home.queue.database, name, {})
        queues.pause(home.queue.database, [name], None, None, time.time() - 2 * 86400)
    assert sorted(line.split()[1] for line in check(home)) == ["bulk", "mail"]
    home.run("resume", "mail")
    [line] = check(home)
    assert line.startswith("over: queue mail paused for too long (told first ")
    home.run("resume", "bulk")
    assert check(home, code=0)[0].startswith("over: queue bulk")


def test_jobs_that_are_late_are_one_trouble_whichever_is_the_oldest(home):
    with present_worker(home):
        enqueue(home.queue, 0, time.time() - 7200, id="old")
        assert "old has been due since" in check(home)[0]
        home.run("cancel", "old")
        enqueue(home.queue, 0, time.time() - 3600, id="other")
        assert check(home) == []
        home.run("cancel", "other")
        assert check(home, code=0)[0].startswith("over: jobs that wait too long")


def test_a_report_that_could_not_be_written_is_made_again(home):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(home.command("check", *EXPECT), stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
    assert len(check(home, *EXPECT)) == 1
    assert check(home, *EXPECT) == []


def test_a_home_that_was_never_used_stays_untouched_and_is_told_of_each_time(unused):
    for _ in range(2):
        assert len(check(unused, *EXPECT)) == 1
    assert not os.path.exists(unused.path)


def test_where_nothing_can_be_noted_it_is_told_each_time(home, monkeypatch):
    monkeypatch.setattr(home.queue.database.__class__, "writing", refuse)
    for _ in range(2):
        assert len(check(home, *EXPECT)) == 1


@contextlib.contextmanager
def refuse(*_, **__):
    from queuectl_lib.errors import HostError

    raise HostError("the disk is full")
    yield


@pytest.mark.parametrize("key", ["trouble last x", 'trouble last ["disk", 1]', 'trouble last {"a": 1}', "trouble last"])
@pytest.mark.parametrize("value", [1.5, "no number", b"\xff"])
def test_what_somebody_has_written_there_holds_up_no_check(home, key, value):
    with contextlib.closing(sqlite3.connect(home.db)) as connection:
        connection.execute("INSERT INTO totals VALUES (?, ?)", (key, value))
        connection.commit()
    assert check(home, code=0) == []
    assert len(check(home, *EXPECT)) == 1


# ---------------------------------------------------------------- nobody there


def test_the_absence_of_workers_is_no_trouble_while_cron_may_be_starting_them(home, monkeypatch):
    home.add("true")
    set_age(home, 60)
    assert check(home, code=0) == []
    assert "no worker is alive" in home.run("check", "--all", code=1).stdout, "who asks himself is told at once"
    set_age(home, 130)
    monkeypatch.setattr(system, "up_seconds", lambda: 60.0)
    assert check(home, code=0) == [], "the host has just started"
    monkeypatch.setattr(system, "up_seconds", lambda: 130.0)
    assert check(home)[0].startswith("no worker is alive; jobs due: 1")
    set_age(home, 60)
    assert check(home, code=0) == [], "and while that is so, nothing is over either"
    set_age(home, 130)
    assert check(home) == []
    with present_worker(home):
        assert check(home, code=0)[0].startswith("over: work and no worker that can do it")


def test_a_host_says_for_how_long_it_has_been_up():
    before = system.up_seconds()
    wait_until(lambda: system.up_seconds() > before, "time to pass")
    assert lasting.SETTLING_SECONDS == 120
