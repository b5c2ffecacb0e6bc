"""`schedule`: set, listed, shown, paused, run, removed and loaded from the command line."""

import json
import os
import time

import pytest
from helpers.marks import WINDOWS
from helpers.queue import rows
from helpers.zones import needs_tzset, zone

from queuectl_lib.jobs import local_time


def only_line(text):
    (line,) = text.splitlines()
    return line


def test_set_prints_the_name_and_on_standard_error_the_next_three_slots(call):
    done = call("schedule", "set", "backup", "17 3 * * *", "echo hi", "--tz", "+02:00")
    assert done.stdout == "backup\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.startswith("next: ") and " 03:17:00 +02:00  " in line and line.endswith("T01:17:00Z")


def test_set_takes_the_options_of_add_and_the_directory_and_umask_of_its_call(call, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--env", "A=b", "--timeout", "1h", "--priority", "3", "--tag", "x", "--max-retries", "0", "--unique", "k"]
    call("schedule", "set", "s", "@daily", *words, "--", "rsync", "-a", "x", "y")
    job = call("schedule", "show", "s", "--json").json["job"]
    assert job.pop("cwd") == os.path.realpath(str(tmp_path)) and (job.pop("umask", None) or WINDOWS)
    assert job == {
        "command": ["rsync", "-a", "x", "y"],
        "max_retries": 0,
        "priority": 3,
        "timeout": "1h",
        "env": {"A": "b"},
        "unique": "k",
        "tags": ["x"],
    }
    identifier = call("schedule", "run", "s").id
    made = call("show", identifier, "--json").json
    assert made["schedule"] == "s" and made["command"] == ["rsync", "-a", "x", "y"] and made["cwd"] == str(tmp_path)
    assert identifier == "s@%sZ" % made["scheduled_at"][:19].replace("-", "").replace(":", "")


@pytest.mark.parametrize("place", [1, 2, 3])
def test_options_may_stand_between_the_words(call, place):
    words = ["s", "every 1h", "exit 3"]
    call("schedule", "set", *words[:place], "--priority", "4", *words[place:])
    shown = json.loads(call("schedule", "list", "--json").stdout)[0]
    assert (shown["name"], shown["when"], shown["job"]["command"]) == ("s", "every 1h", "exit 3")
    assert shown["job"]["priority"] == 4


def test_quiet_says_nothing_and_json_shows_what_was_set(call):
    done = call("schedule", "set", "s", "@daily", "true", "--quiet")
    assert done.stdout == done.stderr == ""
    assert call("schedule", "set", "s", "@daily", "true", "--json").json["when"] == "@daily"


def test_a_word_is_said_of_what_is_easily_misunderstood(call):
    assert "last gap is 15 minutes" in call("schedule", "set", "s", "*/45 * * * *", "true").stderr
    call("schedule", "pause", "s")
    assert "s is paused: `schedule resume s` goes on" in call("schedule", "set", "s", "@daily", "true").stderr
    assert "is over" in call("schedule", "set", "t", "@daily", "true", "--end", "2001-01-01").stderr


@pytest.mark.parametrize(
    "words, said",
    [
        (("s", "0 0 31 2 *", "true"), "no such day"),
        (("s", "* * * * * *", "true"), "every 10s"),
        (("s", "@daily"), "give one command"),
        (("s", "@daily", "true", "--id", "x"), "--id"),
        (("s", "@daily", "true", "--delay", "5m"), "--delay"),
        (("s", "@daily", "true", "--missed", "all", "--overlap", "skip"), "all but one"),
        (("s", "@daily", "true", "--overlap", "replace"), "overlap"),
        (("s", "@daily", "true", "--queue", "nope"), "nope"),
        (("s", "*", "*", "*", "*", "*", "true"), "quotes"),
        (("a/b", "@daily", "true"), "name"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_makes_no_home(call, home, words, said):
    assert said in call("schedule", "set", *words, code=2).stderr
    assert not os.path.exists(home.db)


HERE = "(%s)" % local_time.offset_text(time.time())


def test_the_list_has_the_columns_of_list_timers(call):
    assert call("schedule", "list").stderr == "no schedules\n"
    call("schedule", "set", "a", "every 2h", "true", "--tz", "UTC")
    call("schedule", "set", "b", "@daily", "true")
    call("schedule", "set", "c", "@daily", "true", "--end", "2001-01-01")
    call("schedule", "pause", "b")
    lines = call("schedule", "list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "WHEN", "NEXT", HERE, "LEFT", "LAST", "OUTCOME"]
    assert lines[1].startswith("a     every 2h  ") and "  119m" in lines[1]
    assert (" +00:00  119m" in lines[1]) == (HERE != "(+00:00)"), "an offset is told where it is not the one above"
    assert lines[2].split() == ["b", "@daily", "paused", "-", "-", "-"]
    assert lines[3].split() == ["c", "@daily", "over", "-", "-", "-"]


def test_show_hides_the_values_of_variables_and_json_has_them(call):
    call("schedule", "set", "s", "@daily", "true", "--env", "SECRET=swordfish")
    shown = call("schedule", "show", "s").stdout
    assert "swordfish" not in shown and "SECRET (values not shown)" in shown
    assert call("schedule", "show", "s", "--json").json["job"]["env"] == {"SECRET": "swordfish"}


@needs_tzset
def test_next_shows_the_time_on_the_wall_its_offset_and_utc_and_marks_changes_of_the_clock(call):
    with zone("CET-1CEST,M3.5.0,M10.5.0/3"):
        call("schedule", "set", "s", "30 2 * * *", "true")
        lines = call("schedule", "next", "s", "-n", "2", "--from", "2027-03-27T12:00:00Z").stdout.splitlines()
        assert lines == [
            "2027-03-28 03:00:00 +02:00  2027-03-28T01:00:00Z  (moved: 02:30 does not exist)",
            "2027-03-29 02:30:00 +02:00  2027-03-29T00:30:00Z",
        ]
        lines = call("schedule", "next", "s", "-n", "1", "--from", "2027-10-30T12:00:00Z").stdout.splitlines()
        assert lines == ["2027-10-31 02:30:00 +02:00  2027-10-31T00:30:00Z  (the first of two: 02:30 comes twice)"]


def test_next_of_all_stands_in_the_order_of_time(call):
    call("schedule", "set", "noon", "0 12 * * *", "true", "--tz", "UTC")
    call("schedule", "set", "hours", "0 */6 * * *", "true", "--tz", "UTC")
    call("schedule", "pause", "noon")
    done = call("schedule", "next", "-n", "3", "--from", "2027-01-01T07:00:00Z")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["hours", "noon"] + ["hours"] * 2 + ["noon"] * 2
    assert done.stdout.splitlines()[1].endswith("(paused)")
    found = call("schedule", "next", "--json", "hours", "-n", "1", "--from", "2027-01-01T07:00:00Z").json
    expected = {"name": "hours", "at": "2027-01-01T12:00:00.000000Z", "local": "2027-01-01 12:00:00 +00:00"}
    assert found == [dict(expected, remark="", paused=False)]


def test_pause_and_resume(call):
    call("schedule", "set", "a", "@daily", "true")
    call("schedule", "set", "b", "@daily", "true")
    call("schedule", "pause", "a", "b")
    assert [one["paused"] for one in call("schedule", "list", "--json").json] == [True, True]
    assert "a: next: " in call("schedule", "resume", "a").stderr
    assert [one["paused"] for one in call("schedule", "list", "--json").json] == [False, True]


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "run", "remove", "next"])
def test_an_unknown_name_is_told_with_the_nearest(call, verb):
    assert "no schedule has the name" in call("schedule", verb, "backp", code=1).stderr
    call("schedule", "set", "backup", "@daily", "true")
    assert "did you mean backup?" in call("schedule", verb, "backp", code=1).stderr


def test_remove_leaves_the_waiting_jobs_unless_they_are_to_be_cancelled(call, home):
    call("schedule", "set", "a", "@daily", "true")
    call("schedule", "set", "b", "@daily", "true")
    first, second = call("schedule", "run", "a").id, call("schedule", "run", "b").id
    assert "1 job of theirs will still run" in call("schedule", "remove", "a").stderr
    assert call("schedule", "remove", "b", "--cancel").stderr == "cancelled 1 job\n"
    assert {job["id"]: job["state"] for job in rows(home.queue)} == {first: "pending", second: "cancelled"}
    assert call("schedule", "list").stderr == "no schedules\n"


# ---------------------------------------------------------------- load


def test_what_list_shows_can_be_loaded_into_another_home(call, home, tmp_path):
    call("schedule", "set", "a", "17 3 * * *", "true", "--missed", "all:3", "--env", "A=b", "--tz", "UTC")
    call("schedule", "set", "b", "every 5m", "--start", "2027-01-01T00:00:00Z", "--", "prog", "x y")
    call("schedule", "pause", "b")
    text = call("schedule", "list", "--json").stdout
    assert home.run("schedule", "load", "-", input=text).stderr == "schedules: 2 same\n"
    other = ["--home", str(tmp_path / "other")]
    assert home.run(*other, "schedule", "load", "-", input=text).stderr == "schedules: 2 new\n"
    assert home.run(*other, "schedule", "list", "--json").json == json.loads(text)


def test_load_takes_lines_and_a_file_and_only_removes_the_others(call, tmp_path):
    call("schedule", "set", "old", "@daily", "true")
    path = tmp_path / "schedules.json"
    job = {"command": "true"}
    lines = [{"name": "a", "when": "@daily", "job": job}, {"name": "b", "when": "every 1h", "job": job, "paused": True}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert call("schedule", "load", str(path)).stderr == "schedules: 2 new\n"
    assert call("schedule", "load", "--only", str(path)).stderr == "schedules: 2 same, 1 removed\n"
    assert [one["name"] for one in call("schedule", "list", "--json").json] == ["a", "b"]


@pytest.mark.parametrize(
    "text, said",
    [
        ('{"name": "a", "when": "@daily", "job": {"command": "x"}}\n{"name": "b", "when": "nope"}', "line 2: when"),
        ('{"name": "a", "when": "@daily", "job": {"command": "x"}}\n' * 2, "line 2: the schedule a comes twice"),
        ('{"name": "a", "when": "@daily", "job": {"command": "x", "id": "y"}}', "line 1: job: id"),
        ('{"name": "a", "whn": "@daily"}', "did you mean when"),
        ("[]", "no schedule was given"),
        ("", "no schedule was given"),
        ("[3]", "line 1: a schedule is an object"),
        ("nope", "line 1"),
    ],
)
def test_a_mistake_in_what_is_loaded_changes_nothing(call, home, text, said):
    call("schedule", "set", "old", "@daily", "true")
    before = rows(home.queue, "SELECT * FROM schedules")
    assert said in home.run("schedule", "load", "--only", "-", input=text, code=2).stderr
    assert rows(home.queue, "SELECT * FROM schedules") == before


def test_one_schedule_with_no_database_anywhere_is_none(call):
    assert call("schedule", "list", "--json").json == []
    assert call("schedule", "next").stdout == ""


def test_a_job_that_is_shown_by_another_home_can_be_enqueued_here(call, home):
    call("schedule", "set", "a", "@daily", "true")
    call("schedule", "run", "a")
    text = call("list", "--json").stdout
    call("schedule", "remove", "a", "--cancel")
    made = json.loads(text)[0]
    made["id"] = "again"
    home.run("enqueue", json.dumps(made))
    again = call("show", "again", "--json").json
    assert again["schedule"] is None and again["scheduled_at"] is None
