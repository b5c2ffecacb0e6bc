"""Limits and niceness as they are asked for: options, JSON in and out, schedules, and what is refused."""

import pytest
from helpers.marks import posix_only

from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import limits

pytestmark = posix_only

ASKED = "cpu=90m,fsize=10G,nofile=1024,nproc=200,core=0,as=1000000000"
MEANT = {"cpu": 5400, "fsize": 10 * 2**30, "nofile": 1024, "nproc": 200, "core": 0, "as": 1000000000}


@pytest.fixture
def home(near):
    return near


def test_what_is_asked_for_is_kept_shown_and_fed_back(home):
    home.run("add", "--id", "a", "--nice", "5", "--limit", ASKED, "true")
    job = home.run("show", "a", "--json").json
    assert (job["limit"], job["nice"]) == (MEANT, 5)
    assert "limit         %s\n" % ASKED in home.run("show", "a").stdout
    again = '{"id": "b", "command": "true", "limit": %s}' % str(job["limit"]).replace("'", '"')
    home.run("enqueue", again)
    assert home.run("show", "b", "--json").json["limit"] == MEANT


def test_json_takes_durations_as_text_and_rounds_seconds_up():
    assert limits.check({"cpu": "1h"}, "limit") == {"cpu": 3600}
    assert limits.check({"cpu": 0.2}, "limit") == {"cpu": 1}


def test_a_schedule_hands_them_to_its_jobs(home):
    home.run("schedule", "set", "s", "@daily", "--limit", "cpu=1h", "--nice", "3", "true")
    assert " cpu=1h\n" in home.run("schedule", "show", "s").stdout
    home.run("schedule", "run", "s")
    (job,) = home.run("list", "--json").json
    assert (job["limit"], job["nice"]) == ({"cpu": 3600}, 3)


def test_lists_that_are_given_in_parts_are_one_list(home):
    job = home.run("add", "true", *("--limit", "cpu=1m", "--limit", "as=2G", "--ok-codes", "0", "--ok-codes", "24")).id
    found = home.run("show", job, "--json").json
    assert (found["limit"], found["ok_codes"]) == ({"cpu": 60, "as": 2 * 2**30}, [0, 24])
    home.run("add", "true", "--limit", "cpu=1m", "--limit", "cpu=2m", code=2)


@pytest.mark.parametrize(
    "text",
    ["", ",", "cpu", "cpu=", "=1", "cpu=1,cpu=2", "foo=1", "CPU=1", "cpu=0", "cpu=-1", "cpu=nan", "cpu=200y", "as=1K"]
    + ["as=lots", "fsize=-1", "fsize=99999999T", "nofile=3", "nofile=1K", "nproc=0", "cpu=1;core=0", "cpu=1,,core=0"],
)
def test_bad_limits_are_refused_in_one_line_without_effect(home, text):
    home.run("add", "--limit", text, "true", code=2)
    assert home.run("list", "--json").json == []


@pytest.mark.parametrize(
    "value",
    [5, "cpu=1", [], {}, True, {"cpu": None}, {"cpu": True}, {"fsize": "1G"}, {"fsize": 1.5}, {"foo": 1}]
    + [{"as": 2**63}],
)
def test_json_that_is_no_limit_is_refused(value):
    with pytest.raises(BadInput):
        limits.check(value, "limit")


def test_windows_refuses_limits_when_they_are_asked_for(monkeypatch):
    monkeypatch.setattr(limits.system, "WINDOWS", True)
    with pytest.raises(BadInput, match="Windows"):
        limits.check({"cpu": 1}, "limit")
