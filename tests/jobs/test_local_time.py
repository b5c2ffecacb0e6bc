"""Times for people: by the clock of the host, with its offset once on a screen, and where it changes."""

import pytest
from helpers.zones import BERLIN, LORD_HOWE, needs_tzset, zone

from queuectl_lib import times
from queuectl_lib.jobs import local_time

pytestmark = needs_tzset


def shown(zone_name, *moments, now=None):
    with zone(zone_name):
        screen = local_time.Screen(None if now is None else times.utc_seconds(now))
        return [screen.text(moment) for moment in moments]


def test_the_offset_is_told_once_on_a_screen():
    found = shown("IST-5:30", "2027-01-15T08:00:00.250000Z", "2027-01-15T08:00:01.000000Z")
    assert found == ["2027-01-15 13:30:00 +05:30", "2027-01-15 13:30:01"]


def test_around_a_change_of_the_clock_each_time_says_which_hour_it_means():
    autumn = ["2027-10-31T00:30:00Z", "2027-10-31T00:59:59Z", "2027-10-31T01:30:00Z", "2027-10-31T01:31:00Z"]
    assert shown(BERLIN, *autumn) == [
        "2027-10-31 02:30:00 +02:00",
        "2027-10-31 02:59:59",
        "2027-10-31 02:30:00 +01:00",
        "2027-10-31 02:31:00",
    ]
    back = shown(LORD_HOWE, "2027-04-03T14:59:00Z", "2027-04-03T15:00:00Z", "2027-04-03T14:59:30Z")
    assert back == ["2027-04-04 01:59:00 +11:00", "2027-04-04 01:30:00 +10:30", "2027-04-04 01:59:30 +11:00"]


def test_a_heading_has_the_offset_of_now_and_a_row_another():
    with zone(BERLIN):
        screen = local_time.Screen(times.utc_seconds("2027-12-01T10:00:00Z"))
        assert screen.heading("SINCE") == "SINCE (+01:00)"
        assert screen.text("2027-12-01T09:00:00Z") == "2027-12-01 10:00:00"
        assert screen.text("2027-07-01T09:00:00Z") == "2027-07-01 11:00:00 +02:00"


@pytest.mark.parametrize("value", [None, "soon", 5, 1.5, "2027-13-01T00:00:00Z", ""])
def test_what_is_no_time_is_shown_as_it_stands(value):
    assert shown(BERLIN, value) == [str(value)]


def test_times_at_the_edges_are_shown():
    for name, last, first in (
        ("UTC0", "9999-12-31 23:59:59 +00:00", "1970-01-01 00:00:00 +00:00"),
        ("XXX-14", "9999-12-31 23:59:59 +00:00", "1970-01-01 14:00:00 +14:00"),
        ("XXX11", "9999-12-31 12:59:59 -11:00", "1969-12-31 13:00:00 -11:00"),
    ):
        with zone(name):
            assert (local_time.text(1e300), local_time.text(-5)) == (last, first)
