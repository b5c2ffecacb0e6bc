"""`check` on schedules: slots that nobody makes, no success twice, trouble; and nothing while all is well."""

import time

import pytest
from helpers.queue import claim_one, raw, settle
from helpers.zones import BERLIN, at, needs_tzset, zone

from queuectl_lib.errors import HostError
from queuectl_lib.jobs import recurring, states, wall_clock
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.reports import problems
from queuectl_lib.store import health, schedules, slots_made
from queuectl_lib.store.presence import Presence

START = at("2027-06-01T12:00:00")
MINUTE = 60.0


def put(queue, when="*/15 * * * *", now=START, **asked):
    job = {"command": "true", "max_retries": 0}
    asked = dict({"name": "backup", "when": when, "tz": "UTC", "job": job}, **asked)
    schedules.put(queue.database, [recurring.of_schedule(asked, JobMaker(1, "/", 0o022, now))], now)


def told(queue, now):
    return [one["text"] for one in problems.schedule_problems(queue, now, 15 * MINUTE)]


def test_slots_that_no_worker_makes_are_counted_and_since_when(queue):
    put(queue)
    assert told(queue, START + 15 * MINUTE + health.LATE_SECONDS - 1) == []
    assert told(queue, START + 50 * MINUTE) == ["schedule backup: 3 slots since 12:15 and no worker"]
    assert told(queue, START + 17.5 * MINUTE) == ["schedule backup: 1 slot since 12:15 and no worker"]
    (found,) = problems.schedule_problems(queue, START + 50 * MINUTE, 15 * MINUTE)
    del found["text"]
    assert found == {"kind": "schedule", "schedule": "backup", "slots": 3, "since": "2027-06-01T12:15:00.000000Z"}


@needs_tzset
def test_since_when_is_a_time_of_its_own_clock_with_the_day_where_that_is_another(queue):
    with zone(BERLIN):
        put(queue, "17 3 * * *", tz="local")
        assert told(queue, at("2027-06-02T09:00:00", 2)) == ["schedule backup: 1 slot since 03:17 and no worker"]
        assert told(queue, at("2027-06-04T09:00:00", 2)) == [
            "schedule backup: 3 slots since 2027-06-02 03:17 and no worker"
        ]


def test_a_supervisor_gets_longer_and_then_it_is_said_that_it_makes_none(queue):
    Presence(queue.folder, "s1", {"kind": "supervisor"})
    put(queue)
    assert told(queue, START + 29 * MINUTE) == []
    (text,) = told(queue, START + 31 * MINUTE)
    assert text.startswith("schedule backup: 2 slots since 12:15 and none was made, though a supervisor is alive")


def test_two_slots_in_a_row_without_success_are_told_until_one_succeeds(queue):
    put(queue)
    found = []
    for number, kind in enumerate([states.FAILED, states.FAILED, states.COMPLETED], 1):
        now = START + number * 15 * MINUTE
        slots_made.make_due(queue.database, now)
        settle(queue, claim_one(queue, now), kind, now)
        found.append(told(queue, now))
    assert found == [[], ["schedule backup: its last 2 slots brought no success; the last outcome: dead"], []]


def test_trouble_is_told_as_it_is(queue, monkeypatch):
    put(queue, tz="+02:00")

    def gone(name):
        raise HostError("tz: it is gone")

    monkeypatch.setattr(wall_clock, "find", gone)
    slots_made.make_due(queue.database, START + 15 * MINUTE)
    assert told(queue, START + 60 * MINUTE) == ["schedule backup: tz: it is gone"]


def test_a_paused_schedule_and_one_that_is_over_are_no_problem(queue):
    put(queue)
    put(queue, name="over", end="2027-06-01T11:00:00Z")
    schedules.pause(queue.database, ["backup"], START)
    assert told(queue, START + 365 * 86400) == []


@pytest.mark.parametrize("value", [b"\xff", "x", "", 7])
@pytest.mark.parametrize("column", ["next_at", "failures", "timing", "zone", "trouble"])
def test_what_somebody_has_written_there_holds_up_no_check(queue, column, value):
    put(queue)
    put(queue, name="other")
    with raw(queue) as connection:
        connection.execute("UPDATE schedules SET %s = ? WHERE name = 'backup'" % column, (value,))
    assert "schedule other: 3 slots since 12:15 and no worker" in told(queue, START + 50 * MINUTE)


def test_check_says_so(home):
    home.run("schedule", "set", "backup", "every 1h", "true")
    home.run("check", "--min-free", "0")
    put(home.queue, "every 1h", now=time.time() - 3 * 3600 - 60, name="late")
    done = home.run("check", "--min-free", "0", code=1)
    assert done.stdout.startswith("schedule late: 3 slots since ") and done.stdout.endswith(" and no worker\n")
