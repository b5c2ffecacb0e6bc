"""When a schedule is due: cron lines, intervals, changes of the clock, what is refused, and at what price."""

import random
import sys

import pytest
from helpers import walls
from helpers.walls import utc

from queuectl_lib import times
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import recurrence

zoneinfo = pytest.importorskip("zoneinfo") if sys.version_info >= (3, 9) else None
KNOWN = zoneinfo.available_timezones() if zoneinfo else set()
named = pytest.mark.skipif("Europe/Berlin" not in KNOWN, reason="no data of time zones here")
NOW = utc(2026, 11, 26, 12)
YEAR = 365 * 86400
MANY = 10**9


def parse(when, zone="UTC", anchor=NOW):
    return recurrence.parse(when, zone, anchor)


def shown(timing, slots):
    """Slots as the clock of their zone shows them, without the seconds."""
    return [timing.zone.text(slot).replace(":00 ", " ", 1) for slot in slots]


def berlin(when, begin, end):
    timing = parse(when, "Europe/Berlin")
    return shown(timing, timing.newest(end, begin, 1000))


# ---------------------------------------------------------------- what a line means


@pytest.mark.parametrize(
    "when, expected",
    [
        ("17 3 * * *", ["11-27 03:17", "11-28 03:17", "11-29 03:17"]),
        ("@hourly", ["11-26 13:00", "11-26 14:00", "11-26 15:00"]),
        ("@daily", ["11-27 00:00", "11-28 00:00", "11-29 00:00"]),
        ("@Midnight", ["11-27 00:00", "11-28 00:00", "11-29 00:00"]),
        ("@weekly", ["11-29 00:00", "12-06 00:00", "12-13 00:00"]),
        ("@monthly", ["12-01 00:00", "01-01 00:00", "02-01 00:00"]),
        ("@yearly", ["01-01 00:00", "01-01 00:00", "01-01 00:00"]),
        ("@annually", ["01-01 00:00", "01-01 00:00", "01-01 00:00"]),
        ("every 15m", ["11-26 12:15", "11-26 12:30", "11-26 12:45"]),
        ("@every 1h30m", ["11-26 13:30", "11-26 15:00", "11-26 16:30"]),
        ("*/20 * * * *", ["11-26 12:20", "11-26 12:40", "11-26 13:00"]),
        ("5-59/20 * * * *", ["11-26 12:05", "11-26 12:25", "11-26 12:45"]),
        ("1,2,50-52 12 * * *", ["11-26 12:01", "11-26 12:02", "11-26 12:50"]),
        ("0 0 * * 0", ["11-29 00:00", "12-06 00:00", "12-13 00:00"]),
        ("0 0 * * 7", ["11-29 00:00", "12-06 00:00", "12-13 00:00"]),
        ("0 0 * * SUN", ["11-29 00:00", "12-06 00:00", "12-13 00:00"]),
        ("0 0 * * fri-7", ["11-27 00:00", "11-28 00:00", "11-29 00:00"]),
        ("0 0 * * Fri-Sun", ["11-27 00:00", "11-28 00:00", "11-29 00:00"]),
        ("0 0 * * mon-tue", ["11-30 00:00", "12-01 00:00", "12-07 00:00"]),
        ("0 0 1 jan,DEC *", ["12-01 00:00", "01-01 00:00", "12-01 00:00"]),
        ("0 0 1 oct-dec/2 *", ["12-01 00:00", "10-01 00:00", "12-01 00:00"]),
        ("0 0 30 11 fri", ["11-27 00:00", "11-30 00:00", "11-05 00:00"]),
        ("0 0 1-7 * */7", ["12-06 00:00", "01-03 00:00", "02-07 00:00"]),
        ("0 0 */31 * fri", ["01-01 00:00", "10-01 00:00", "09-01 00:00"]),
        ("0 0 31 2 1-5", ["02-01 00:00", "02-02 00:00", "02-03 00:00"]),
        ("0 0 31 * *", ["12-31 00:00", "01-31 00:00", "03-31 00:00"]),
    ],
)
def test_a_line_means_what_it_means_to_cron(when, expected):
    slots = [slot for slot, word in parse(when).next_several(NOW, 3)]
    assert [times.utc_text(slot)[5:16].replace("T", " ") for slot in slots] == expected


def test_the_29th_of_february_comes_and_a_sunday_among_them():
    def days(when, year):
        return [times.utc_text(slot)[:10] for slot, _ in parse(when).next_several(utc(year), 2)]

    assert days("0 0 29 2 *", 2026) == ["2028-02-29", "2032-02-29"]
    assert days("0 0 29 2 *", 2097) == ["2104-02-29", "2108-02-29"]
    assert days("0 0 29 2 */7", 2026) == ["2032-02-29", "2060-02-29"]


def test_there_is_an_end_to_all_of_it():
    assert parse("0 0 29 2 *").after(utc(9997)) is None
    assert parse("* * * * *").after(times.LAST_TIME) is None
    assert parse("* * * * *").after(times.LAST_TIME - 100) == utc(9999, 12, 31, 23, 59)
    assert parse("59 23 31 12 *", "-05:00").after(utc(9999, 6)) is None
    assert parse("every 1h").after(times.LAST_TIME) is None
    assert parse("* * * * *").newest(1e300, 0.0, 1) == [utc(9999, 12, 31, 23, 59)]
    assert parse("0 0 1 1 *").newest(utc(1970, 6), -1.0, 9) == [0.0]


def test_after_is_strictly_after_and_newest_takes_in_its_end_but_not_its_beginning():
    timing = parse("0 * * * *")
    assert timing.after(NOW) == NOW + 3600
    assert timing.after(NOW - 0.001) == NOW
    assert timing.newest(NOW, NOW - 3600, 9) == [NOW]
    assert timing.newest(NOW - 0.001, NOW - 7200, 9) == [NOW - 3600]
    assert timing.newest(NOW + 3599.9, NOW - 7200.1, 9) == [NOW - 7200, NOW - 3600, NOW]
    assert timing.newest(NOW, 0.0, 2) == [NOW - 3600, NOW]
    assert timing.newest(NOW, 0.0, 0) == [] == timing.newest(NOW, NOW, 5) == timing.newest(NOW, NOW + 9999, 5)
    assert timing.count_between(NOW - 3600, NOW, MANY) == 1
    assert timing.count_between(NOW - 3600.1, NOW + 3599, MANY) == 2
    assert timing.count_between(NOW, NOW, MANY) == 0 == timing.count_between(NOW + 9999, NOW, MANY)


# ---------------------------------------------------------------- intervals


def test_an_interval_keeps_the_phase_of_its_anchor():
    timing = parse("every 15m", anchor=NOW + 7)
    assert timing.after(NOW) == NOW + 7, "the anchor itself is the first slot: a --start"
    assert timing.after(NOW + 7) == NOW + 907
    assert timing.newest(NOW + 6.9, 0.0, 5) == []
    assert timing.newest(NOW + 7, 0.0, 5) == [NOW + 7]
    assert timing.newest(NOW + 10 * YEAR, 0.0, 2) == [NOW + 10 * YEAR - 1793, NOW + 10 * YEAR - 893]
    assert timing.count_between(NOW, NOW + 10 * YEAR, MANY) == 10 * YEAR // 900
    assert timing.count_between(NOW, NOW + 10 * YEAR, 1000) == 1000


@pytest.mark.parametrize("when", ["every 1s", "every 1.1s", "every 7.3s", "every 1m", "every 100d", "every 3.000001s"])
def test_slots_of_an_interval_survive_being_written_down(when):
    """As text of microseconds: else the same slot would come again."""
    timing = parse(when, anchor=1700000000.123456)
    slot = timing.after(1764000000.0)
    for _ in range(250):
        kept = times.utc_seconds(times.utc_text(slot))
        assert kept == slot
        assert timing.newest(kept, 0.0, 1) == [slot]
        assert timing.count_between(kept, kept, MANY) == 0
        assert timing.after(slot - 4e-7) == slot
        following = timing.after(kept)
        assert following - slot == pytest.approx(timing.seconds, abs=1e-5)
        assert timing.count_between(kept, following, MANY) == 1
        slot = following


@pytest.mark.parametrize("when", ["every 1s", "every 1.1s", "every 1.000001s"])
def test_an_interval_goes_on_in_far_years(when):
    timing = parse(when, anchor=utc(2026) + 0.123457)
    slot = utc(9000) + 0.3
    for _ in range(300):
        following = timing.after(slot)
        assert slot < following < slot + 1.2
        assert timing.newest(following, 0.0, 1) == [following]
        slot = following


@named
def test_an_interval_knows_no_summer():
    timing = parse("every 24h", "Europe/Berlin", utc(2026, 3, 28, 6))
    assert timing.newest(utc(2026, 3, 31), 0.0, 9) == [utc(2026, 3, day, 6) for day in (28, 29, 30)]
    assert [word for _, word in timing.next_several(utc(2026, 3, 28), 5)] == [""] * 5


# ---------------------------------------------------------------- changes of the clock

SPRING = utc(2026, 3, 28, 22, 59), utc(2026, 3, 29, 3)  # from 23:59 to 05:00 in Berlin, without an hour
AUTUMN = utc(2026, 10, 24, 21, 59), utc(2026, 10, 25, 3)  # from 23:59 to 04:00, with one twice


@named
@pytest.mark.parametrize(
    "when, expected",
    [
        ("30 2 * * *", ["29 03:00 +02:00"]),
        ("0 2 * * *", ["29 03:00 +02:00"]),
        ("30 3 * * *", ["29 03:30 +02:00"]),
        ("59 1 * * *", ["29 01:59 +01:00"]),
        ("0 1-4 * * *", ["29 01:00 +01:00", "29 03:00 +02:00", "29 04:00 +02:00"]),
        ("0,15,30 2 * * *", ["29 03:00 +02:00"]),
        ("30 2,3 * * *", ["29 03:00 +02:00", "29 03:30 +02:00"]),
        ("*/30 2 * * *", []),
        ("30 * * * *", ["29 00:30 +01:00", "29 01:30 +01:00", "29 03:30 +02:00", "29 04:30 +02:00"]),
        ("0 */2 * * *", ["29 00:00 +01:00", "29 04:00 +02:00"]),
        ("0 2 29 3 *", ["29 03:00 +02:00"]),
    ],
)
def test_when_the_clock_is_put_forward(when, expected):
    assert berlin(when, *SPRING) == ["2026-03-" + text for text in expected]


@named
@pytest.mark.parametrize(
    "when, expected",
    [
        ("30 2 * * *", ["25 02:30 +02:00"]),
        ("0 3 * * *", ["25 03:00 +01:00"]),
        ("0 0-3 * * *", ["25 00:00 +02:00", "25 01:00 +02:00", "25 02:00 +02:00", "25 03:00 +01:00"]),
        ("*/30 2 * * *", ["25 02:00 +02:00", "25 02:30 +02:00", "25 02:00 +01:00", "25 02:30 +01:00"]),
        ("30 1-3 * * *", ["25 01:30 +02:00", "25 02:30 +02:00", "25 03:30 +01:00"]),
        (
            "30 */1 * * *",
            ["25 00:30 +02:00", "25 01:30 +02:00"] + ["25 02:30 +02:00", "25 02:30 +01:00", "25 03:30 +01:00"],
        ),
        ("0 */2 * * *", ["25 00:00 +02:00", "25 02:00 +02:00", "25 02:00 +01:00", "25 04:00 +01:00"]),
    ],
)
def test_when_the_clock_is_put_back(when, expected):
    assert berlin(when, *AUTUMN) == ["2026-10-" + text for text in expected]


@named
@pytest.mark.parametrize(
    "zone, when, begin, expected",
    [
        ("Australia/Lord_Howe", "10 2 * * *", (2026, 10, 3), "2026-10-04 02:30 +11:00"),  # half an hour
        ("America/Sao_Paulo", "0 0 * * *", (2018, 11, 3, 12), "2018-11-04 01:00 -02:00"),  # at midnight
        ("Pacific/Apia", "17 3 30 12 *", (2011, 12, 29), "2011-12-31 00:00 +14:00"),  # a day that was not
        ("Africa/Casablanca", "30 2 * * *", (2026, 3, 21, 12), "2026-03-22 03:00 +01:00"),  # the end of Ramadan
        ("Europe/Dublin", "30 1 * * *", (2026, 3, 28, 12), "2026-03-29 02:00 +01:00"),  # where winter is the exception
    ],
)
def test_a_time_in_a_gap_comes_at_its_end_in_odd_zones(zone, when, begin, expected):
    timing = parse(when, zone)
    slot = timing.after(utc(*begin))
    assert shown(timing, [slot]) == [expected]
    assert timing.newest(slot, utc(*begin), 9) == [slot]
    assert timing.count_between(utc(*begin), slot, 9) == 1


@named
def test_a_day_that_was_not_makes_one_job_of_all_its_slots():
    timing = parse("0,30 0-23 * * *", "Pacific/Apia")
    assert timing.count_between(utc(2011, 12, 30, 9, 45), utc(2011, 12, 30, 10, 15), MANY) == 1
    assert timing.count_between(utc(2011, 12, 29, 10, 15), utc(2011, 12, 31, 10, 15), MANY) == 96
    assert parse("*/30 * * * *", "Pacific/Apia").count_between(utc(2011, 12, 29), utc(2011, 12, 31), MANY) == 96


@named
def test_what_a_change_of_the_clock_did_is_said():
    def words(when, begin, number):
        return [word for _, word in parse(when, "Europe/Berlin").next_several(utc(*begin), number)]

    assert words("30 2 * * *", (2026, 3, 27), 4) == ["", "", "moved: 02:30 does not exist", ""]
    assert words("0,30 2 * * *", (2026, 3, 28, 12), 1) == ["moved: 02:00 and 02:30 do not exist"]
    assert words("0-59/10 1,2 * * *", (2026, 3, 29, 0, 55), 1) == ["moved: 02:00 to 02:50 do not exist"]
    assert words("30 2 * * *", (2026, 10, 25), 2) == ["the first of two: 02:30 comes twice", ""]
    assert words("0 3 * * *", (2026, 10, 25), 1) == [""]
    assert words("30 * * * *", (2026, 3, 29), 2) == ["", "left out: 02:30 does not exist"]
    gap = "left out: 2026-03-29 02:00 and 02:30 do not exist"
    assert words("*/30 2 * * *", (2026, 3, 28, 12), 2) == [gap, ""]
    assert words("30 * * * *", (2026, 10, 25), 3) == ["", "again: the clock was put back", ""]
    lost = parse("17 3 30 12 *", "Pacific/Apia").next_several(utc(2011, 12, 1), 1)
    assert lost == [(utc(2011, 12, 30, 10), "moved: 2011-12-30 03:17 does not exist")]


# ---------------------------------------------------------------- beside an oracle


def check_beside(timing, expected, low, high, dice):
    """All that *timing* tells from *low* to *high* is what the oracle found there."""
    assert timing.newest(high, low - 1, MANY) == expected, timing.text
    assert timing.count_between(low - 1, high, MANY) == len(expected), timing.text
    for _ in range(10):
        now = dice.randint(int(low), int(high)) + dice.choice((0, 0.5))
        later, earlier = [slot for slot in expected if slot > now], [slot for slot in expected if slot <= now]
        found = timing.after(now)
        assert found == later[0] if later else found is None or found > high, (timing.text, now)
        assert timing.newest(now, low - 1, 3) == earlier[-3:], (timing.text, now)
        assert timing.count_between(low - 1, now, MANY) == len(earlier), (timing.text, now)
        assert timing.count_between(now, high, 5) == min(5, len(later)), (timing.text, now)


@named
@pytest.mark.parametrize("name", [name for name in walls.ODD_ZONES if name in KNOWN])
def test_random_lines_agree_with_a_cron_that_looks_each_minute(name):
    dice, zone = random.Random(name), zoneinfo.ZoneInfo(name)
    changes = [second // 60 * 60 for second in walls.changes(zone, utc(1990), utc(2030))] or [int(utc(2020))]
    for _ in range(8):
        change = dice.choice(changes)
        low, high = change - dice.randint(0, 1500) * 60, change + dice.randint(0, 1500) * 60
        text = walls.random_line(dice)
        check_beside(parse(text, name), walls.Line(text).slots(zone, low, high), low, high, dice)


def test_random_lines_agree_with_a_calendar_over_years():
    dice = random.Random(7)
    for _ in range(30):
        text = walls.random_line(dice)
        line = walls.Line(text)
        minutes = sorted(hour * 60 + minute for hour in line.sets[1] for minute in line.sets[0])
        first = int(utc(dice.choice((1999, 2023, 2096)), dice.randint(1, 12))) // 86400
        days = [day for day in range(first, first + 800) if line.has_day(walls.wall(walls.UTC, day * 86400))]
        low, high = first * 86400.0, (first + 800) * 86400.0 - 1
        timing = parse(text)
        expected = [day * 86400.0 + minute * 60 for day in days for minute in minutes]
        assert timing.count_between(low - 1, high, MANY) == len(expected)
        assert timing.newest(high, low - 1, 50) == expected[-50:]
        assert [slot for slot, _ in timing.next_several(low - 1, 50) if slot <= high] == expected[:50]


# ---------------------------------------------------------------- the price


class Counting:
    """How often the clock of a zone is asked."""

    def __init__(self, zone):
        self.asked, self.offset = 0, zone.offset
        zone.offset = self

    def __call__(self, second):
        self.asked += 1
        return self.offset(second)


@pytest.mark.parametrize("when", ["* * * * *", "0-59 0-23 * * *", "17 3 * * *", "*/5 * * * *", "0 0 29 2 *", "@yearly"])
def test_nothing_is_iterated_from_the_past(when):
    timing = parse(when, "local")
    clock = Counting(timing.zone)
    prices = []
    for ask in (
        lambda: timing.after(NOW),
        lambda: timing.newest(NOW, NOW - YEAR, 1),
        lambda: timing.newest(NOW, NOW - YEAR, 10),
        lambda: timing.count_between(NOW - YEAR, NOW, MANY),
    ):
        clock.asked = 0
        ask()
        prices.append(clock.asked)
    assert prices[0] <= 60 and prices[1] <= 60 and prices[2] <= 400 and prices[3] <= 600, prices


@pytest.mark.parametrize(
    "when, number", [("* * * * *", 525600), ("17 3 * * *", 365), ("every 1s", YEAR), ("every 5s", YEAR // 5)]
)
def test_a_year_is_counted_by_arithmetic(when, number):
    timing = parse(when, "UTC", NOW - 2 * YEAR)
    assert timing.count_between(NOW - YEAR, NOW, MANY) == number
    assert timing.count_between(NOW - YEAR, NOW, 100) == 100


# ---------------------------------------------------------------- what is refused, and what is said


@pytest.mark.parametrize(
    "when, message",
    [
        ("* * * * * *", "has 6 fields: .*; for seconds: write every 10s"),
        ("* * * *", "has 4 fields: five are known"),
        ("0 0 1 1 * root /bin/true", "has 7 fields"),
        ("? * * * *", r'"\?" in minute: \? is not known: write \*'),
        ("0 0 L * *", '"L" in day of month: L is not known'),
        ("0 0 LW * *", '"LW" in day of month: L is not known'),
        ("0 0 L-3 * *", '"L-3" in day of month: L is not known'),
        ("0 0 15W * *", '"15W" in day of month: W is not known'),
        ("0 0 * * 5#2", '"5#2" in day of week: # and L are not known'),
        ("0 0 * * 5L", '"5L" in day of week: # and L are not known'),
        ("0~30 * * * *", '"0~30" in minute: ~ and H are not known: choose a value'),
        ("H * * * *", '"H" in minute: ~ and H are not known'),
        ("H/15 * * * *", '"H/15" in minute: ~ and H are not known'),
        ("H(0-29)/10 * * * *", "in minute: ~ and H are not known"),
        ("5/10 * * * *", '"5/10" in minute: write 5-59/10'),
        ("0 3/4 * * *", "in hour: write 3-23/4"),
        ("0 0 1/2 * *", "in day of month: write 1-31/2"),
        ("0 0 * jan/2 *", "in month: write jan-12/2"),
        ("0 0 * * 1/2", "in day of week: write 1-6/2"),
        ("0 0 31 2 *", '"0 0 31 2 \\*": no such day in any year'),
        ("0 0 30-31 feb *", "no such day in any year"),
        ("0 0 31 2,4,6,9,11 *", "no such day in any year"),
        ("0 0 31 2 */2", "no such day in any year"),
        ("*/0 * * * *", "a step of 0 comes nowhere"),
        ("60 * * * *", "60 is not between 0 and 59"),
        ("0 24 * * *", "24 is not between 0 and 23"),
        ("0 0 0 * *", "0 is not between 1 and 31"),
        ("0 0 * 13 *", "13 is not between 1 and 12"),
        ("0 0 * * 8", "8 is not between 0 and 7"),
        ("0 22-4 * * *", "in hour: it ends before it begins: write 22-23,0-4"),
        ("0 0 * foo *", '"foo" in month: write .*jan-dec'),
        ("0 0 * * fred", '"fred" in day of week: write .*sun-sat'),
        ("mon * * * *", '"mon" in minute: write'),
        ("1,,2 * * * *", '"" in minute: write'),
        ("-1 * * * *", '"-1" in minute'),
        ("*-5 * * * *", r'"\*-5" in minute'),
        ("1-2-3 * * * *", '"1-2-3" in minute'),
        ("\u0661 * * * *", "in minute: write"),
        ("1\u00b2 * * * *", "in minute: write"),
        ("\u017fun * * * *", "in minute: write"),
        ("99999 * * * *", "in minute"),
        ("*/99999 * * * *", "in minute"),
        ("every 0", "at most once a second: write every 1s or more"),
        ("every 0.9s", "at most once a second"),
        ("every 101y", "is not a duration"),
        ("every 40000d", "is not between 0 and 100 years"),
        ("every -5s", "is not a duration"),
        ("every", "write five fields such as 17 3"),
        ("every 5 x", "is not a duration"),
        ("@every", "unknown time"),
        ("@dayly", "did you mean @daily"),
        ("@reboot", "leave it in the crontab"),
        ("", "is not understood"),
        ("noon", "is not understood"),
        ("a\0b * * * *", "NUL"),
        (5, "is not text"),
        (None, "is not text"),
        ("1," * 600 + "1 * * * *", "longer than 1000 characters"),
        ("\ud800 * * * *", "not valid UTF-8"),
    ],
)
def test_what_is_refused_is_refused_in_one_line_that_helps(when, message):
    with pytest.raises(BadInput, match=message) as refusal:
        parse(when)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 250
    assert str(refusal.value).startswith(("when: ", "unknown time ")) and refusal.value.exit_code == 2


def test_one_form_stands_for_all_ways_to_write_it():
    assert parse(" 17  3 * *\t* ").text == "17 3 * * *"
    assert parse("@EVERY 15m").text == "every 15m"
    assert parse("@every 90").seconds == 90
    assert parse("every 1h 30m").seconds == parse("every 90min").seconds == 5400
    assert parse("@Daily").text == "@daily"


@pytest.mark.parametrize(
    "when, words",
    [
        ("*/45 * * * *", ["*/45 in minute: the steps begin anew each hour, so the last gap is 15 minutes"]),
        ("0-59/7 * * * *", ["0-59/7 in minute: the steps begin anew each hour, so the last gap is 4 minutes"]),
        ("0 */23 * * *", ["*/23 in hour: the steps begin anew each day, so the last gap is 1 hour"]),
        ("*/90 * * * *", ["*/90 in minute: the steps begin anew each hour, so only 0 is left of them"]),
        ("0 0 */2 * *", ["*/2 in day of month: the steps begin anew each month, so the gap at its end differs"]),
        ("0 0 1 */5 *", ["*/5 in month: the steps begin anew each year, so the last gap is 2 months"]),
        ("0 0 * * */2", ["*/2 in day of week: the steps begin anew each week, so the last gap is 1 day"]),
        ("*/15 */6 */1 */3 */7", []),
        ("10-50/15 * * * *", []),
        ("every 24h", []),
    ],
)
def test_uneven_steps_are_taken_with_a_word(when, words):
    assert parse(when).words() == words


@named
def test_days_as_an_interval_are_taken_with_a_word_where_there_is_summer_time():
    word = "every 48h counts elapsed time: by the clock it moves by an hour with summer time, as 30 7 * * * does not"
    assert parse("every 48h", "Europe/Berlin").words() == [word]
    assert parse("every 36h", "Europe/Berlin").words() == []
    assert parse("every 24h", "Asia/Tokyo").words() == []
