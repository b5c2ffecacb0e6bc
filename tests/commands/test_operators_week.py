"""What somebody who ran a queue for a week stumbled over: silence where there was something to say, or the reverse."""

import contextlib
import os
import re
import sqlite3
import time

import pytest
from helpers.marks import posix_only

from queuectl_lib import times
from queuectl_lib.commands import run, terminal
from queuectl_lib.doctor import trial
from queuectl_lib.host import processes, sight, system
from queuectl_lib.jobs import local_time
from queuectl_lib.store import staying
from queuectl_lib.store.presence import Presence
from storage import Queue

pytestmark = posix_only


@pytest.fixture
def home(near):
    return near


@contextlib.contextmanager
def living(home, name, database="queuectl.db", kind="supervisor", **details):
    """A supervisor or worker lives, with the pid of this process, and does nothing."""
    home.run("initdb")
    facts = {"kind": kind, "pid": os.getpid(), "host": system.hostname(), "since": times.utc_text(time.time())}
    presence = Presence(Queue(os.path.join(home.path, database)).folder, name, dict(facts, supervisor=None, **details))
    try:
        yield
    finally:
        presence.end()


# ---------------------------------------------------------------- the queue is not there


def test_check_of_a_home_that_is_not_there_is_no_silence(home):
    os.rmdir(home.path)
    said = "there is no folder %s: nothing is checked" % home.path
    assert home.run("check", code=1).stdout == said + "\n"
    assert home.run("check", code=1).stdout == said + "\n", "each time: nothing can be noted"
    (one,) = home.run("check", "--json", code=1).json["problems"]
    assert one == {"kind": "home", "text": said, "path": home.path}
    assert not os.path.exists(home.path)


def test_check_tells_of_a_database_that_went_from_under_its_supervisor(home):
    assert home.run("check").stdout == "", "nothing was added yet"
    home.run("initdb")
    with living(home, "aa"):
        os.remove(home.db)
        (line,) = home.run("check", code=1).stdout.splitlines()
        assert line.startswith("the database %s is gone, and supervisor aa (pid %d) lives" % (home.db, os.getpid()))
        (one,) = home.run("check", "--json", code=1).json["problems"]
        assert (one["kind"], one["path"], one["alive"]) == ("database", home.db, ["aa"])
    assert home.run("check").stdout == ""


def test_a_new_home_is_told_on_a_terminal_alone(home, monkeypatch):
    other = home.path + "2"
    assert home.run("add", "true").stderr == ""
    home.path, before = other, home.path
    assert home.run("add", "true").stderr == "", "in cron"
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: True)
    assert "a new queue" not in home.run("add", "true").stderr
    home.path = other + "3"
    assert "a new queue in %s\n" % home.path in home.run("add", "true").stderr
    home.path = other + "4"
    assert "a new queue" not in home.run("add", "true", "--quiet").stderr
    home.path = before


# ---------------------------------------------------------------- paused


def test_a_pause_of_all_leaves_the_note_and_the_later_end_of_a_single_one(home):
    for name in ("heavy", "mail"):
        home.run("queue", "set", name)
    home.run("pause", "heavy", "--for", "30m", "--note", "disk is moved")
    home.run("pause", "mail", "--note", "for good")
    done = home.run("pause", "--for", "10m")
    stays = "queue %s was paused already: its own pause stays"
    assert done.stderr.splitlines() == [stays % name for name in ("heavy", "mail")]
    shown = {row["name"]: row for row in home.run("queue", "list", "--json").json}
    left = times.utc_seconds(shown["heavy"]["paused_until"]) - times.utc_seconds(shown["heavy"]["paused_at"])
    assert (round(left), shown["heavy"]["note"]) == (1800, "disk is moved")
    assert (shown["mail"]["paused_until"], shown["mail"]["note"]) == (None, "for good")
    assert shown["default"]["paused_until"] is not None


def test_a_pause_of_all_is_not_over_sooner_for_a_queue_that_was_paused(home):
    home.run("queue", "set", "heavy")
    home.run("pause", "heavy", "--for", "30m", "--note", "disk is moved")
    done = home.run("pause", "--note", "at night", "--json")
    assert done.json["before"] == ["heavy"]
    assert "lasts as long as this one now, and its note stays" in done.stderr
    row = home.run("queue", "show", "heavy", "--json").json
    assert (row["paused"], row["paused_until"], row["note"]) == (True, None, "disk is moved")
    assert home.run("pause", "heavy", "--for", "5m").stderr == "", "what is named is what it is told to be"
    assert home.run("queue", "show", "heavy", "--json").json["note"] is None
    assert home.run("resume").stderr == ""
    assert [row["paused"] for row in home.run("queue", "list", "--json").json] == [False, False]


def test_quiet_says_nothing_of_a_pause_and_tells_what_did_not_work(home):
    home.run("pause")
    assert home.run("add", "true", "--quiet").stderr == ""
    assert home.run("enqueue", '{"command": "true"}', "--quiet").stderr == ""
    assert "it waits" in home.run("add", "true", "--id", "a").stderr
    home.run("cancel", "a")
    assert "was cancelled: " in home.run("add", "true", "--after", "a", "--quiet").stderr


# ---------------------------------------------------------------- doctor


def test_doctor_does_not_advise_to_try_doctor():
    line = "queuectl: error: workers cannot start (exit code 3 each time): see what they said above, and try `doctor`"
    assert trial.last_words([line]) == "workers cannot start (exit code 3 each time)"
    assert trial.last_words(["no room", line]).endswith("each time); before that it said: no room")


# ---------------------------------------------------------------- settings, edit


def test_another_database_is_refused_while_somebody_serves_this_one(home):
    with living(home, "aa"):
        for words in (["set", "db_path", "other.db"], ["set", "db_path", "/elsewhere/queuectl.db"]):
            said = home.run("config", *words, code=1).stderr
            assert "aa would go on with %s" % home.db in said and "`worker stop` first; nothing was changed" in said
        home.run("config", "set", "db_path", "queuectl.db")
        home.run("config", "unset", "db_path")
        home.run("config", "set", "grace", "5")
    home.run("config", "set", "db_path", "other.db")
    with living(home, "aa", "other.db"):
        assert "aa would go on with" in home.run("config", "unset", "db_path", code=1).stderr
        assert home.run("config", "get", "db_path").stdout == "other.db\n"


def test_the_refusal_to_edit_what_has_ended_names_what_can_be_done(home):
    home.run("add", "true", "--id", "a")
    home.run("cancel", "a")
    said = home.run("edit", "a", "--command", "echo b", code=1).stderr
    assert said.endswith("; `pause`, `requeue a`, the same `edit` again and `resume` run it changed\n")
    for words in (["pause"], ["requeue", "a"], ["edit", "a", "--command", "echo b"], ["resume"]):
        home.run(*words)
    assert home.job("a")["command"] == "echo b"


# ---------------------------------------------------------------- schedules


def imported(home, *lines, code=0):
    path = home.path + ".crontab"
    with open(path, "w") as file:
        file.write("".join(line + "\n" for line in lines))
    return home.run("schedule", "import", path, "--dry-run", code=code)


@pytest.mark.parametrize("command", ["cat%hello world", "cat%one%two", "sort > x-$(date +\\%F)%b%a%"])
def test_what_an_import_says_to_use_can_be_put_into_the_crontab(home, command):
    said = imported(home, "1 2 * * * " + command, code=1).stderr
    line = said.split(": use ")[1].split("\n")[0]
    assert "%" not in line.replace("\\%", "")
    done = imported(home, "1 2 * * * " + line)
    assert "printf '%s\\n'" in done.stdout, "and is a command without input then"


def test_an_import_tells_of_its_lines_in_their_order_and_of_its_own_defaults(home):
    said = imported(home, "@reboot a", "MAILTO=me", "1 2 * * * true", "@reboot b").stderr.splitlines()
    assert [line[:6] for line in said] == ["line 1", "line 2", "line 4", "line 3"]
    text = home.run("schedule", "import", "--help").stdout
    assert "skip (default)" in text and "allow (default)" in text and "once (default)" not in text


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_schedule_list_shows_when_each_is_due_next_at_any_width(home, monkeypatch, columns):
    for name in ("nightly-backup-of-all-there-is", "mirror-of-the-archive"):
        home.run("schedule", "set", name, "17 3 1 1 *", "true", "--tz", "+02:00")
    monkeypatch.setattr(terminal, "columns", lambda: columns)
    monkeypatch.setattr(local_time.LOCAL, "offset", lambda seconds: 7200)
    found = home.run("schedule", "list").stdout.splitlines()
    assert "NEXT (+02:00)" in found[0]
    assert all(re.search(r"-01-01|\b01-01 03:17(?!\.)", line) and "03:17" in line for line in found[1:]), found
    assert max(map(len, found)) <= columns


# ---------------------------------------------------------------- workers that start nothing


def test_a_worker_that_was_paused_is_told_by_check_and_list_and_before_a_stop(home, monkeypatch):
    home.run("initdb")
    with living(home, "aa-1", kind="worker"):
        monkeypatch.setattr(processes, "is_paused", lambda pid: True)
        monkeypatch.setattr(sight, "holds_lock", lambda pid, path: True)
        assert home.run("check", "--all").stdout == "", "there is nothing that it could do"
        home.run("add", "true", "--quiet")
        said = "aa-1 is paused (state T): `kill -CONT %d` lets it go on; jobs due: 1, under way: 0\n" % os.getpid()
        assert home.run("check", "--all", code=1).stdout == said
        assert home.run("check", code=1).stdout == said
        assert home.run("check", code=1).stdout == "", "once a day"
        (one,) = home.run("check", "--json", code=1).json["problems"]
        assert (one["kind"], one["pids"], one["due"]) == ("workers", [os.getpid()], 1)
        for state, words in (("paused", "worker, paused"), ("stopping", "worker, stopping")):
            if state == "stopping":
                monkeypatch.setattr(processes, "is_paused", lambda pid: False)
                home.queue.folder.put_request("aa-1", "stop")
            (row,) = listed(home, "--json").json
            assert row["state"] == state and words in listed(home).stdout
        assert "over: work and no worker that can do it" in home.run("check").stdout


def listed(home, *words):
    """`worker list` within this process, where what a test replaces is replaced."""
    return home.run("--home", home.path, "worker", "list", *words)


def test_why_says_that_workers_are_to_stay_stopped_and_that_schedules_are_late(home):
    home.run("add", "true", "--id", "a")
    home.run("cancel", "a")
    assert home.run("why").stdout.startswith("nothing runs and nothing is due")
    home.run("schedule", "set", "mirror", "every 1h", "true", "--quiet")
    with contextlib.closing(sqlite3.connect(home.db)) as database, database:
        database.execute("UPDATE schedules SET next_at = ?", (times.utc_text(time.time() - 7200),))
    said = home.run("why").stdout
    assert said.startswith("nothing runs: the schedule mirror is late, and no worker is alive\n")
    assert "worker start" in said
    home.run("schedule", "remove", "mirror")
    staying.begin(home.queue.folder)
    said = home.run("why").stdout
    assert said.startswith("nothing runs: nothing is due, and no worker is alive: they stay stopped until `worker")


# ---------------------------------------------------------------- small words


def test_a_shell_that_is_not_there_is_no_setting(home):
    assert "is no program that can be run here" in home.run("config", "set", "shell", "/bin/nosuch", code=2).stderr
    assert home.run("config", "get", "shell").stdout == "none\n"
    home.run("config", "set", "shell", "/bin/sh")
    home.run("config", "set", "shell", "none")


def test_leftovers_that_there_are_none_of_are_no_silence(home):
    home.run("add", "true", "--id", "a")
    assert home.run("cancel", "a", "--leftovers").stderr == "nothing was left running here\n"
    assert home.run("cancel", "a", "--leftovers", "--quiet").stderr == ""


def test_help_of_check_says_that_a_death_is_told_once(home):
    assert "a death is told once" in " ".join(home.run("check", "--help").stdout.split())


def test_what_is_written_for_others_replaces_no_file_of_another_kind(home):
    """The database itself may have been named, by a slip of the shell's completion."""
    home.run("add", "true")
    with open(home.db, "rb") as file:
        before = file.read()
    for words, path in ((["joblog", "-o"], home.db), (["metrics", "-o"], home.path + "/mine.prom")):
        if path != home.db:
            with open(path, "w") as file:
                file.write("mine\n")
        said = home.run(*words, path, code=1).stderr
        assert "is there, and is no " in said and "give another name" in said
    with open(home.db, "rb") as file:
        assert file.read() == before
    with open(home.path + "/mine.prom") as file:
        assert file.read() == "mine\n"
    for name in ("jobs.log", "q.prom"):
        for _ in range(2):
            home.run("joblog" if name == "jobs.log" else "metrics", "-o", home.path + "/" + name)


@pytest.mark.parametrize(
    "error, code",
    [
        ("the program /no/such does not exist", 127),
        ("x was not found on PATH", 127),
        ("x is not executable", 126),
        ("the directory /no does not exist", 125),
    ],
)
def test_run_ends_as_a_shell_would_where_a_program_cannot_be_started(error, code):
    assert run.code_of_start(error) == code
