"""A far job of which nothing is known: `why`, `list`, `check` and `show` read it in the row of its attempt."""

import time

import pytest
from helpers.queue import claim, enqueue, raw

from queuectl_lib import times
from queuectl_lib.store.presence import Presence

UNKNOWN = "launcher slurm does not say whether the job still runs: squeue: down\x1b[2J (exit code 1)"


@pytest.fixture
def home(near):
    """A worker lives, and holds two jobs that a launcher has started."""
    near.run("initdb")
    near.run("config", "set", "launchers", '{"slurm": {}}')
    presence = Presence(near.queue.folder, "w-1", {"kind": "worker", "pid": 0, "supervisor": "w"})
    for identifier in ("j1", "j2"):
        enqueue(near.queue, now=time.time(), id=identifier, launcher="slurm")
    assert len(claim(near.queue, time.time(), 2)) == 2
    try:
        yield near
    finally:
        presence.end()


def note(home, identifier, error=UNKNOWN, launcher="slurm", age=0.0):
    """As the worker does: what is not known, and for how long."""
    with raw(home.queue) as connection:
        where = "WHERE job = (SELECT seq FROM jobs WHERE id = ?)"
        connection.execute("UPDATE attempts SET error = ?, launcher = ? " + where, (error, launcher, identifier))
        since = times.utc_text(time.time() - age)
        connection.execute("UPDATE jobs SET updated_at = ? WHERE id = ?", (since, identifier))


def test_why_says_so_and_what_to_type(home):
    assert home.run("why", "j1", "--json").json["reason"] == "running"
    note(home, "j1", launcher="slurm#2:00000000000000aa")
    answer = home.run("why", "j1", "--json").json
    assert answer["reason"] == "launcher_unknown" and answer["reasons"][0]["launcher"] == "slurm"
    assert answer["next"][0].endswith(" doctor --launcher slurm")
    told = home.run("why", "j1").stdout
    assert "squeue: down\\x1b[2J (exit code 1); until that is known" in told and "given to nobody" in told
    assert "try: " in told and "doctor --launcher slurm" in told
    note(home, "j1", "launcher slurm is not in config.json any more")
    assert home.run("why", "j1", "--json").json["next"][0].endswith(" config get launchers")


def test_why_of_one_that_is_cancelled_but_cannot_be_ended_says_that(home):
    home.run("config", "set", "grace", "0")
    with raw(home.queue) as connection:
        connection.execute("UPDATE jobs SET cancel_requested = 1 WHERE id = 'j1'")
    assert home.run("why", "j1", "--json").json["reason"] == "ending"
    note(home, "j1", "launcher slurm cannot end the job: scancel: down (exit code 1)")
    assert home.run("why", "j1", "--json").json["reason"] == "launcher_unknown"


def test_list_has_it_beside_the_job_and_beside_no_other(home):
    assert "ERROR" not in home.run("list").stdout
    note(home, "j1")
    lines = {line.split()[0]: line for line in home.run("list").stdout.splitlines()}
    assert "ERROR" in lines["ID"] and "does not say whether" in lines["j1"] and "\x1b" not in lines["j1"]
    assert "does not say" not in lines["j2"]


def test_check_tells_of_it_once_it_has_lasted_a_minute(home):
    note(home, "j1", age=30)
    assert home.run("check", "--json").json["problems"] == []
    note(home, "j1", age=90)
    note(home, "j2", age=70)
    (problem,) = home.run("check", "--json", code=1).json["problems"]
    assert (problem["kind"], problem["launcher"], problem["id"], problem["jobs"]) == ("launcher", "slurm", "j1", 2)
    (line,) = home.run("check", "--all", code=1).stdout.splitlines()
    assert "jobs j1, j2: launcher slurm does not say" in line and "`why j1`" in line and "\x1b" not in line
    assert len(home.run("check", code=1).stdout.splitlines()) == 1, "told once"
    assert home.run("check", code=1).stdout == ""
    note(home, "j1", None)
    note(home, "j2", None)
    assert "over: jobs of which the launcher slurm tells nothing" in home.run("check").stdout


def test_show_names_the_launcher_of_each_attempt(home):
    note(home, "j1", None, "slurm#1:00000000000000aa+")
    attempt = home.run("show", "j1", "--json").json["history"][0]
    assert (attempt["launcher"], attempt["joined"]) == ("slurm", 1)
    assert "LAUNCHER" in home.run("show", "j1").stdout and "slurm, joins 1" in home.run("show", "j1").stdout
    assert "launcher slurm, joins 1" in home.run("show", "j1", "--all").stdout
    note(home, "j1", None, None)
    assert "LAUNCHER" not in home.run("show", "j1").stdout
    note(home, "j1", UNKNOWN)
    assert "error: launcher slurm does not say" in home.run("show", "j1").stdout
