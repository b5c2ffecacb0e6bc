"""Feeding one home from another: what `list --json` prints makes the same jobs elsewhere, and runs nothing twice."""

import json
import os
import time

import pytest
from helpers.home import Home, ledger
from helpers.marks import posix_only
from helpers.queue import claim, settle

from queuectl_lib.jobs import states
from queuectl_lib.jobs.fields import FIELDS
from queuectl_lib.jobs.making import JobMaker


@pytest.fixture
def home(near):
    return near


# What queuectl sets itself: it begins anew with a new job.
ITS_OWN = {"state", "attempts", "delay", "next_run_at", "created_at", "updated_at", "started_at", "finished_at"} | {
    *("exit_code", "last_error", "worker", "history", "reason", "depended_on", "schedule", "scheduled_at", "signature"),
    *("snoozes", "progress", "result"),
}
NAMES = {"after", "after_any", "after_fail"}  # of what must be there, too
GIVEN = {field.key for field in FIELDS if field.option is not None} - {"delay"} - NAMES
RICH = {
    "id": "rich",
    "command": "prog '' 'a b' caf\u00e9 \x1b\u202e",
    "max_retries": 7,
    "priority": -7,
    "run_at": "2031-12-01T10:00:00.250000Z",
    "timeout": 1.5,
    "cwd": os.path.abspath(os.sep),
    "env": {"A": "\x1b", "B": "caf\u00e9"},
    "umask": "0077",
    "unique": "a key",
    "queue": "mail",
    "tags": ["a:1", "b"],
    "ok_codes": [0, 24],
    "later_codes": [75],
    "dead_codes": [64, 65],
    "backoff": "30s,2m",
    "jitter": 0.2,
    "notify": ["dead", "completed"],
    "limit": {"core": 0, "nofile": 100},
    "shell": "/bin/sh",
    "launcher": "mine",
    "launcher_args": ["--mem=4G", "a b"],
}
MINE = '{"mine": {"run": ["env"]}}'


def value_of(key):
    """A value of the field *key* that is not its default; one that is new here takes one of these."""
    if key in RICH:
        return RICH[key]
    for value in (True, "x", 1, "1m", [7]):
        try:
            JobMaker(1, "/", 0o022, 0.0).row({"command": "true", key: value})
            return value
        except Exception:
            continue
    raise AssertionError("no value for the new field %s: give RICH one" % key)


def fields(home, identifier):
    return next(job for job in home.run("list", "--limit", "1000", "--json").json if job["id"] == identifier)


def test_every_stored_property_of_a_job_survives_the_way_from_list_to_enqueue(home, tmp_path):
    job = {key: value_of(key) for key in GIVEN}
    home.run("config", "set", "launchers", MINE)
    home.run("enqueue", "--make-queues", json.dumps(job))
    other = Home(tmp_path / "other")
    other.run("config", "set", "launchers", MINE)
    assert other.run("enqueue", "--make-queues", "-", input=home.run("list", "--json").stdout).id == "rich"
    ours, theirs = fields(home, "rich"), fields(other, "rich")
    plain = fields(home, home.add("true"))
    assert set(ours) | {"delay", "history", "depended_on", "result"} == GIVEN | ITS_OWN | NAMES
    for key in GIVEN:
        assert ours[key] == theirs[key], key
        assert ours[key] != plain[key], "the test gives %s no value of its own" % key


@pytest.mark.parametrize("how", ["list", "show"])
def test_what_is_printed_of_a_waiting_job_makes_it_elsewhere(home, tmp_path, how):
    given = [
        {"id": "plain", "command": "exit 0"},
        {"id": "rich", "command": "a\nb \x7f \x9b", "max_retries": 0, "priority": -7, "timeout": 1.5},
        {"id": "list", "command": ["prog", "", "a b", "caf\u00e9 \x1b\u202e"]},
        {"id": "failed", "command": "echo out; exit 1", "env": {"A": "1"}, "priority": 9, "max_retries": 1},
    ]
    home.run("enqueue", json.dumps(given))
    settle(home.queue, claim(home.queue, time.time())[0], "failed", time.time())
    other = Home(tmp_path / "other")
    ids = [job["id"] for job in given]
    text = home.run("list", "--state", "pending,failed", "--json").stdout
    assert [job["state"] for job in json.loads(text)] == ["pending", "pending", "pending", "failed"]
    if how == "show":
        text = "\n".join(home.run("show", identifier, "--json").stdout for identifier in ids)
    assert other.run("enqueue", "-", input=text).stdout.split() == ids
    for identifier in ids:
        ours, theirs = fields(home, identifier), fields(other, identifier)
        assert {key: ours[key] for key in GIVEN} == {key: theirs[key] for key in GIVEN}
        assert (theirs["state"], theirs["attempts"]) == ("pending", 0)


def test_what_ran_or_runs_is_refused_whole_with_the_first_and_how_many(home, tmp_path):
    for name, command in (("done", "exit 0"), ("died", "exit 1")):
        home.run("enqueue", json.dumps({"id": name, "command": command, "max_retries": 0}))
    home.drain()
    home.add("true", "--id", "out")
    home.run("cancel", "out")
    home.add("true", "--id", "waits")
    other = Home(tmp_path / "other")
    text = home.run("list", "--json").stdout
    said = other.run("enqueue", "-", input=text, code=2).stderr
    assert "job 1: job done says that it is completed" in said
    assert "jobs of that kind: 3" in said and "--any-state" in said and "--state pending,failed" in said
    assert not os.path.exists(other.path), "not even a home was made"
    text = "\n".join(json.dumps(job) for job in reversed(home.run("list", "--json").json))
    said = other.run("enqueue", "-", input=text, code=2).stderr
    assert "line 2: job out says that it is cancelled" in said, "also where a job that waits leads"
    assert other.run("list").stdout == ""
    found = other.run("enqueue", "-", "--any-state", input=text).stdout.split()
    assert found == ["waits", "out", "died", "done"]
    assert [job["state"] for job in other.run("list", "--json").json] == ["pending"] * 4


@posix_only
def test_the_line_of_the_readme_runs_no_job_a_second_time(home, tmp_path):
    home.add("echo first >> ledger", "--cwd", home.path)
    home.drain()
    home.add("echo second >> ledger", "--cwd", home.path)
    other = Home(tmp_path / "other")
    waiting = home.run("list", "--state", "pending,failed", "--limit", "1000000", "--json").stdout
    other.run("enqueue", "-", input=waiting)
    other.drain()
    assert ledger(home) == ["first", "second"]


@pytest.mark.parametrize("state", states.STATES)
def test_a_state_is_taken_where_it_says_that_the_job_waits(home, state):
    job = json.dumps({"command": "true", "state": state})
    if state in states.WAITING:
        home.run("enqueue", job)
    else:
        assert "the job says that it is %s" % state in home.run("enqueue", job, code=2).stderr
        home.run("enqueue", job, "--any-state")
    assert [job["state"] for job in home.run("list", "--json").json] == ["pending"]


@pytest.mark.parametrize("state", ["Completed", "done", 5, ["dead"], {"a": 1}, ""])
def test_a_state_that_nobody_knows_is_refused(home, state):
    assert "unknown state" in home.run("enqueue", json.dumps({"command": "true", "state": state}), code=2).stderr


@posix_only
def test_a_umask_is_what_the_job_runs_with(home):
    job = home.add("umask", "--umask", "027")
    other = home.run("enqueue", '{"command": "umask", "umask": "0002"}').id
    home.drain()
    assert [home.job(one)["history"][0]["stdout"].strip()[-3:] for one in (job, other)] == ["027", "002"]


@pytest.mark.parametrize("umask", ["8", "1000", "0o22", "", "-1", "22 ", 18, True, ["022"], "0" * 5])
def test_a_umask_that_is_none_is_refused(home, umask):
    assert "umask:" in home.run("enqueue", json.dumps({"command": "true", "umask": umask}), code=2).stderr
