"""Moments as people write them: the next 22:00, tomorrow 06:00, +2h."""

import pytest
from helpers.queue import rows
from helpers.zones import BERLIN, at, needs_tzset, zone

from queuectl_lib import times
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import moments

FRIDAY = at("2026-11-27 21:30")  # a Friday, UTC

pytestmark = needs_tzset


@pytest.fixture(autouse=True)
def greenwich():
    with zone("UTC0"):
        yield


@pytest.mark.parametrize(
    "text, moment",
    [
        ("22:00", "2026-11-27 22:00"),
        ("21:30", "2026-11-28 21:30"),
        ("21:30:01", "2026-11-27 21:30:01"),
        ("6:15", "2026-11-28 06:15"),
        ("at 6:15", "2026-11-28 06:15"),
        ("6am", "2026-11-28 06:00"),
        ("12am", "2026-11-28 00:00"),
        ("12:30 pm", "2026-11-28 12:30"),
        ("10PM", "2026-11-27 22:00"),
        ("today 6:00", "2026-11-27 06:00"),
        ("tomorrow 06:00", "2026-11-28 06:00"),
        ("Tomorrow at 6am", "2026-11-28 06:00"),
        ("tomorrow noon", "2026-11-28 12:00"),
        ("midnight", "2026-11-28 00:00"),
        ("fri 22:00", "2026-11-27 22:00"),
        ("friday 21:00", "2026-12-04 21:00"),
        ("mon 06:00", "2026-11-30 06:00"),
        ("+2h", "2026-11-27 23:30"),
        ("+1h 30m", "2026-11-27 23:00"),
        ("in 90 minutes", "2026-11-27 23:00"),
        ("now", "2026-11-27 21:30"),
        ("2026-11-27 21:00", "2026-11-27 21:00"),
        ("2027-12-01T10:00:00+02:00", "2027-12-01 08:00"),
    ],
)
def test_a_moment_is_understood(text, moment):
    assert moments.parse(text, "run_at", FRIDAY) == at(moment)


@pytest.mark.parametrize(
    "text, said",
    [
        ("tomorrow", ": a time of day is missing"),
        ("monday", ": a time of day is missing"),
        ("3600", ": a length of time from now is `delay`"),
        (3600, ": a length of time from now is `delay`"),
        ("2h", ": a length of time from now is `delay`"),
        ("22", "is not a time such as 2027-12-01T10:00:00Z, 22:00, tomorrow 06:00 or +2h"),
        ("tomorrow 6", "is not a time such as"),
        ("yesterday 6:00", "is not a time such as"),
        ("22:00Z", "is not a time such as"),
        ("", "is not a time such as"),
        (None, "is not a time such as"),
        ("\u0662\u0662:00", "is not a time such as"),
        ("22:00 " * 1000, "is not a time such as"),
        ("25:00", "is not a time that exists"),
        ("22:60", "is not a time that exists"),
        ("13pm", "is not a time that exists"),
        ("0am", "is not a time that exists"),
        ("+2 parsecs", "is not a duration such as"),
        ("2026-02-30", "is not a time that exists"),
    ],
)
def test_what_is_no_moment_is_refused_with_what_may_have_been_meant(text, said):
    with pytest.raises(BadInput) as told:
        moments.parse(text, "run_at", FRIDAY)
    assert str(told.value).startswith("run_at: ") and said in str(told.value)
    assert len(str(told.value)) < 250


@pytest.mark.parametrize(
    "now, text, moment",
    [
        # The clock is put back at 03:00 CEST (01:00 UTC), so 02:30 comes twice.
        ("2026-10-24 23:00", "2:30", "2026-10-25 00:30"),
        ("2026-10-25 00:45", "2:30", "2026-10-25 01:30"),
        ("2026-10-25 01:45", "2:30", "2026-10-26 01:30"),
        # It is put forward at 02:00 CET (01:00 UTC), so there is no 02:30 on that day.
        ("2026-03-28 23:00", "2:30", "2026-03-29 01:30"),
        ("2026-03-29 00:30", "3:00", "2026-03-29 01:00"),
        ("2026-07-01 12:00", "tomorrow 06:00", "2026-07-02 04:00"),
        ("2026-07-01 23:30", "tomorrow 06:00", "2026-07-03 04:00"),
    ],
)
def test_the_clock_on_the_wall_decides_also_when_it_is_changed(now, text, moment):
    with zone(BERLIN):
        assert moments.parse(text, "run_at", at(now)) == at(moment)


def test_add_edit_json_and_pause_take_such_times(near):
    home = near
    before = times.utc_seconds(home.job(home.add("true"))["created_at"])
    job = home.add("true", "--run-at", "+2h")
    due = times.utc_seconds(home.job(job)["run_at"]) - before
    assert 7199 < due < 7300
    other = home.run("enqueue", '{"command": "true", "run_at": "in 1 week"}').id
    assert 7 * 86400 - 1 < times.utc_seconds(home.job(other)["run_at"]) - before < 7 * 86400 + 100
    home.run("edit", job, "--run-at", "+1d")
    assert 86399 < times.utc_seconds(home.job(job)["run_at"]) - before < 86500
    home.run("pause", "--until", "+5min")
    assert rows(home.queue, "SELECT count(*) AS n FROM queues WHERE paused_at IS NOT NULL") == [{"n": 1}]
