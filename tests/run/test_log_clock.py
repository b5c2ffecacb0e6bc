"""The clock of a log: local time, its offset in the first line and where it changes."""

import re

import pytest
from helpers.home import wait_for_log
from helpers.zones import BERLIN, at, needs_tzset, zone

from queuectl_lib.run import log


@needs_tzset
def test_the_first_line_after_a_change_of_the_clock_has_the_offset(monkeypatch):
    monkeypatch.setattr(log.Clock, "offset", None)
    with zone(BERLIN):
        second = int(at("2027-10-31T00:59:59"))
        log.second_text.cache_clear()
        found = [log.second_text(one) for one in (second, second + 1, second + 2)]
        assert found == ["2027-10-31 02:59:59", "2027-10-31 02:00:00 +01:00", "2027-10-31 02:00:01"]


@pytest.mark.parametrize("east, text", [(0, "+00:00"), (19800, "+05:30"), (-12600, "-03:30"), (39600, "+11:00")])
def test_an_offset_has_hours_and_minutes(east, text):
    assert log.offset_text(east) == text


def test_a_supervisor_says_first_which_clock_its_log_has(home):
    process = home.start("--drain")
    wait_for_log(process, "supervisor started")
    assert process.wait(60) == 0
    with open(process.log) as file:
        assert re.search(r"supervisor started, pid \d+, workers: 1, times: UTC[+-]\d\d:\d\d$", file.readline())
