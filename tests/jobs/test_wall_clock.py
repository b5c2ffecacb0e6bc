"""Zones: what is known, what is refused, and when a fixed time comes wherever a clock is changed."""

import os
import subprocess
import sys
import time

import pytest
from helpers import walls
from helpers.marks import long, posix_only

from queuectl_lib.errors import BadInput, HostError
from queuectl_lib.host import system
from queuectl_lib.jobs import recurrence, wall_clock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
zoneinfo = pytest.importorskip("zoneinfo") if sys.version_info >= (3, 9) else None
KNOWN = sorted(zoneinfo.available_timezones()) if zoneinfo else []
named = pytest.mark.skipif("Europe/Berlin" not in KNOWN, reason="no data of time zones here")


@pytest.mark.parametrize(
    "name, offset",
    [("UTC", 0), ("utc", 0), ("+02:00", 7200), ("-05", -18000), ("+0530", 19800), ("-00:30", -1800), ("+14:00", 50400)],
)
def test_utc_and_offsets_are_known_everywhere_and_never_change(name, offset):
    zone = wall_clock.find(name)
    assert [zone.offset(second) for second in (0, 1700000000, 253402300799)] == [offset] * 3
    assert zone.next_change(0, 253402300799) is None
    assert zone.last_change(0, 253402300799) is None
    assert zone.reached(1700000000) == 1700000000 + offset


@pytest.mark.parametrize("name", ["+24:00", "+02:60", "-99"])
def test_an_offset_that_cannot_be_is_refused(name):
    with pytest.raises(BadInput, match="is not an offset that exists"):
        wall_clock.find(name)


@named
@pytest.mark.parametrize(
    "name, hint",
    [
        ("Europe/Berln", "did you mean Europe/Berlin?"),
        ("europe/berlin_", "did you mean Europe/Berlin?"),
        ("Nowhere-at-all-123", "write local, UTC, +02:00 or a name such as Europe/Berlin"),
        ("", "write local, UTC"),
        ("../etc/passwd", "unknown zone"),
        ("/etc/localtime", "unknown zone"),
        ("right/Europe/Berlin", "unknown zone"),
        ("Europe", "unknown zone"),
        ("zone.tab", "unknown zone"),
        ("+2", "unknown zone"),
        ("x" * 5000, "unknown zone"),
        ("Z\u00fcrich", "unknown zone"),
    ],
)
def test_an_unknown_zone_is_refused_with_its_nearest(name, hint):
    with pytest.raises(BadInput) as refusal:
        wall_clock.find(name)
    assert hint in str(refusal.value)
    assert str(refusal.value).startswith("tz: unknown zone ") and "\n" not in str(refusal.value)


@named
def test_a_name_needs_data_and_its_lack_is_the_hosts_fault(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo.ZoneInfo.clear_cache()
    zoneinfo.reset_tzpath([str(tmp_path)])
    try:
        with pytest.raises(HostError, match="no data of time zones: install tzdata") as refusal:
            recurrence.parse("17 3 * * *", "Europe/Berlin", 0.0)
    finally:
        zoneinfo.reset_tzpath()
    assert refusal.value.exit_code == 3


@pytest.mark.skipif(sys.version_info >= (3, 9), reason="this Python knows zones by name")
def test_an_old_python_says_what_names_need():
    with pytest.raises(HostError, match="names of zones need Python 3.9"):
        wall_clock.find("Europe/Berlin")


def test_local_is_refused_on_windows_while_tz_is_set(monkeypatch):
    monkeypatch.setattr(system, "WINDOWS", True)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    with pytest.raises(BadInput, match="local: Windows makes up rules of its own for the variable TZ"):
        wall_clock.find("local")
    monkeypatch.delenv("TZ")
    assert wall_clock.find("local").name == "local"


def test_years_that_the_system_does_not_know_have_the_rules_of_those_400_years_before(monkeypatch):
    def of_windows(second):
        if second > walls.utc(3000, 12, 31):
            raise OSError(22, "Invalid argument")
        return time.gmtime(second)

    monkeypatch.setattr(time, "localtime", of_windows)
    assert wall_clock.host_offset(int(walls.utc(9999, 12, 31))) == 0
    assert wall_clock.host_offset(-5) == 0


# ---------------------------------------------------------------- the zone of the host

AS_LOCAL = """
import os, sys
sys.path.insert(0, sys.argv[1])
from queuectl_lib.jobs import recurrence, wall_clock
for zone in sys.argv[2:]:
    os.environ["TZ"] = zone
    wall_clock.look_again()
    for when in ("30 2 * * *", "*/20 0-3 * * *", "0 0 1 1 *", "17 * * * sun"):
        own, other = [recurrence.parse(when, name, 0.0) for name in ("local", zone)]
        for year in range(9):
            now = 1100000000.0 + year * 40000000
            results = []
            for timing in (own, other):
                results.append((timing.next_several(now, 12), timing.newest(now, 0.0, 12),
                                timing.count_between(now, now + 9999999.0, 10 ** 6)))
            assert results[0] == results[1], (zone, when, now, results)
print("the same")
"""


@posix_only
@named
def test_the_zone_of_the_host_is_as_the_one_of_its_name():
    zones = ["Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Europe/Dublin"]
    words = [sys.executable, "-c", AS_LOCAL, ROOT] + zones
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.stdout == b"the same\n", done.stderr.decode()


RULES = """
import os, sys
sys.path.insert(0, sys.argv[1])
from queuectl_lib.jobs import recurrence, wall_clock
timing = recurrence.parse("30 2 * * *", "local", 0.0)
now = 1774699200.0  # Saturday, 2026-03-28, noon UTC
found = []
for zone in ("CET-1CEST,M3.5.0,M10.5.0/3", "UTC0", "XXX8"):
    os.environ["TZ"] = zone
    wall_clock.look_again()
    found += [timing.zone.text(slot) + " " + word for slot, word in timing.next_several(now, 1)]
print(found)
"""


@posix_only
def test_the_zone_of_the_host_may_change_and_needs_no_zoneinfo():
    words = [sys.executable, "-c", RULES, ROOT]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    expected = [
        "2026-03-29 03:00:00 +02:00 moved: 02:30 does not exist",
        "2026-03-29 02:30:00 +00:00 ",
        "2026-03-29 02:30:00 -08:00 ",
    ]
    assert done.stdout.decode() == "%s\n" % expected, done.stderr.decode()


# ---------------------------------------------------------------- fixed times around each change


def points(before, after, change):
    """Wall times around a change: in the middle of what is missing or comes twice, at its edges, and beside it."""
    low, high = sorted((change + before, change + after))
    middle = low + (high - low) // 120 * 60
    return (low - 1800, low - 60, low, low + 60, middle, high - 60, high, high + 60, high + 1800)


COMPARED = {}  # the name of one zone for all that have its changes


def compare(name, first_year, last_year):
    """Look at each change of a zone: what comes after, and before, an instant. Returns how many were compared."""
    zone, ours, number = zoneinfo.ZoneInfo(name), wall_clock.find(name), 0
    changes = walls.changes(zone, walls.utc(first_year), walls.utc(last_year + 1))
    offsets = [walls.offset(zone, second) for change in changes for second in (change - 1, change)]
    if COMPARED.setdefault(tuple(changes + offsets), name) != name:
        return 0
    for change in changes:
        assert (
            ours.next_change(change - 90000, change + 90000)
            == change
            == ours.last_change(change - 90000, change + 90000)
        )
        before, after = walls.offset(zone, change - 1), walls.offset(zone, change)
        for point in points(before, after, change):
            moment = walls.wall(walls.UTC, point)
            line = "%d %d %d %d *" % (moment.minute, moment.hour, moment.day, moment.month)
            timing, slot = recurrence.parse(line, name, 0.0), walls.instant_of(zone, moment)
            found = [timing.after(change - 200000), timing.after(slot - 1), timing.newest(change + 200000, 0.0, 1)[0]]
            assert found == [slot] * 3, (name, line, change)
            assert timing.count_between(change - 200000, slot - 1, 9) == 0, (name, line, change)
            assert timing.count_between(slot - 1, change + 200000, 9) == 1, (name, line, change)
            number += 1
    return number


@named
@pytest.mark.parametrize("name", [name for name in walls.ODD_ZONES if name in KNOWN])
def test_a_fixed_time_comes_once_around_each_change_of_an_odd_zone(name):
    compare(name, 2008, 2012)
    assert compare("Europe/Berlin", 2026, 2026) == 18


@long
@named
@pytest.mark.parametrize("name", KNOWN)
def test_a_fixed_time_comes_once_around_each_change_of_any_zone(name):
    if not name.startswith(("posix/", "right/")):
        compare(name, 1990, 2037)
