"""The windows of a queue: what is one, when it is open, and what the clock on the wall does to it."""

import random
import time

import pytest
from helpers.zones import APIA, BERLIN, LORD_HOWE, NEW_YORK, SAO_PAULO, at, needs_tzset, zone

from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import windows

NIGHT = "mon-fri 22:00-06:00"


def wall(text):
    """What an instant is called on the wall; of two, the first."""
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M"))


def is_open(texts, text):
    return windows.parse(texts).is_open(wall(text))


# ---------------------------------------------------------------- what is one


@pytest.mark.parametrize(
    "text, canonical",
    [
        (NIGHT, NIGHT),
        ("sat,sun", "sat,sun"),
        ("sun,sat", "sat,sun"),
        ("sat-sun", "sat,sun"),
        ("22:00-24:00", "22:00-24:00"),
        ("22:00-00:00", "22:00-24:00"),
        ("fri-mon 08:00-09:30", "fri-mon 08:00-09:30"),
        ("Fri-MON  8:00 - 9:30", "fri-mon 08:00-09:30"),
        ("mon, tue,wed ,fri 01:00-02:00", "mon-wed,fri 01:00-02:00"),
        ("sun,mon", "sun,mon"),
        ("wed-wed", "wed"),
        ("mon,mon", "mon"),
        ("mon-sun 01:00-02:00", "01:00-02:00"),
        ("wed-tue", "mon-sun"),
        ("00:00-24:00", "mon-sun"),
        ("mon 00:00-24:00", "mon"),
        ("mon-fri,sat-sun", "mon-sun"),
        ("23:59-00:01", "23:59-00:01"),
        ("00:01-00:00", "00:01-24:00"),
        ("\tmon\n", "mon"),
    ],
)
def test_a_window_has_one_form_which_is_taken_back(text, canonical):
    found = windows.parse([text])
    assert found.texts() == [canonical]
    again = windows.parse(found.texts())
    assert (again.texts(), again.edges, again.before) == (found.texts(), found.edges, found.before)


def test_several_keep_their_order_and_each_is_there_once():
    found = windows.parse(("sat,sun", NIGHT, "sun,sat"))
    assert found.texts() == ["sat,sun", NIGHT]
    assert windows.stored_text(found) == "sat,sun; mon-fri 22:00-06:00"
    assert windows.stored(windows.stored_text(found)).texts() == found.texts()


@pytest.mark.parametrize(
    "texts, words",
    [
        (["22:00-22:00"], 'window: "22:00-22:00": it ends as it starts: the whole day is 00:00-24:00'),
        (["mon 00:00-00:00"], "it ends as it starts"),
        (["25:00-26:00"], '"25:00" is not a time from 00:00 to 24:00'),
        (["22:60-23:00"], '"22:60" is not a time'),
        (["22:00-24:01"], '"24:01" is not a time'),
        (["24:00-06:00"], "24:00 is an end alone"),
        (["mno 22:00-06:00"], 'window: "mno 22:00-06:00": unknown day "mno": did you mean mon?'),
        (["monday"], "did you mean mon?"),
        (["wednesday"], "did you mean wed?"),
        (["xyz"], 'unknown day "xyz": known: mon, tue, wed, thu, fri, sat, sun'),
        ([], "windows: none is given: name one, such as"),
        ([""], "window: it is empty: name one, such as"),
        (["  "], "window: it is empty"),
        (["sat", ""], "window: it is empty"),
        (["mon 22:00"], '"22:00" is not a span such as 22:00-06:00'),
        (["2200-0600"], '"2200-0600" is not a span'),
        (["22:00:00-06:00:00"], "is not a span"),
        (["22:00–06:00"], "is not a span"),
        (["٢٢:٠٠-٢٣:٠٠"], "is not a span"),
        (["22:00-06:00,08:00-09:00"], "is not a span"),
        (["22:00-06:00 mon"], "is not days, then one span of time"),
        (["mon 22:00-06:00 tue 22:00-06:00"], "is not days, then one span of time"),
        (["mon tue 22:00-06:00"], "is not days, then one span of time"),
        (["mon-tue-wed"], '"mon-tue-wed" is not days such as mon-fri'),
        (["mon,"], '"" is not days such as mon-fri'),
        (["-"], '"-" is not days'),
        (["mon; tue"], "is not days, then one span of time"),
        ("mon", 'windows: "mon" is not a list of texts'),
        (None, "windows: None is not a list of texts"),
        ([5], "window: 5 is not a text"),
        (["mon," * 50], "is longer than 100 characters"),
        (["mon"] * 51, "windows: 51 are more than 50"),
        (["mon\0"], r"unknown day"),
        (["\x1b[2J"], r"\x1b[2j"),
        (["\udc80 22:00-06:00"], r"\udc80"),
    ],
)
def test_bad_windows_are_refused_in_one_line_that_says_why(texts, words):
    with pytest.raises(BadInput) as caught:
        windows.parse(texts)
    assert words in str(caught.value)
    assert str(caught.value).startswith("window") and str(caught.value).isprintable()


# ---------------------------------------------------------------- when it is open (2027-03-01 is a Monday)


@needs_tzset
@pytest.mark.parametrize(
    "texts, moment, expected",
    [
        ([NIGHT], "2027-03-05 21:59", False),  # Friday
        ([NIGHT], "2027-03-05 22:00", True),
        ([NIGHT], "2027-03-06 01:00", True),  # Saturday, but it is the night of Friday
        ([NIGHT], "2027-03-06 05:59", True),
        ([NIGHT], "2027-03-06 06:00", False),  # the end itself is outside
        ([NIGHT], "2027-03-06 22:00", False),
        ([NIGHT], "2027-03-08 01:00", False),  # Monday, but the night of Sunday
        ([NIGHT], "2027-03-08 22:00", True),
        (["sun 22:00-06:00"], "2027-03-08 05:59", True),  # around the end of the week
        (["sun 22:00-06:00"], "2027-03-01 06:00", False),
        (["sat,sun"], "2027-03-05 23:59", False),  # days alone are whole days
        (["sat,sun"], "2027-03-06 00:00", True),
        (["sat,sun"], "2027-03-07 23:59", True),
        (["sat,sun"], "2027-03-08 00:00", False),
        (["22:00-24:00"], "2027-03-03 23:59", True),
        (["22:00-24:00"], "2027-03-04 00:00", False),
        (["fri-mon 08:00-09:30"], "2027-03-01 08:00", True),  # Monday
        (["fri-mon 08:00-09:30"], "2027-03-02 08:00", False),
        (["fri-mon 08:00-09:30"], "2027-03-05 09:29", True),
        (["fri-mon 08:00-09:30"], "2027-03-05 09:30", False),
        (["mon 08:00-12:00", "mon 10:00-14:00"], "2027-03-01 12:00", True),  # overlapping: a set of minutes
        (["mon 08:00-12:00", "mon 10:00-14:00"], "2027-03-01 14:00", False),
        (["00:00-24:00"], "2027-03-03 13:00", True),
    ],
)
def test_when_a_window_is_open(texts, moment, expected):
    with zone("XXX5"):
        assert is_open(texts, moment) is expected


@needs_tzset
@pytest.mark.parametrize(
    "texts, now, change",
    [
        ([NIGHT], "2027-03-05 12:00", "2027-03-05 22:00"),
        ([NIGHT], "2027-03-05 22:00", "2027-03-06 06:00"),
        ([NIGHT], "2027-03-06 06:00", "2027-03-08 22:00"),
        ([NIGHT, "sat,sun"], "2027-03-05 23:00", "2027-03-08 00:00"),  # a part of Saturday is in both
        (["sat,sun", "fri 20:00-24:00"], "2027-03-05 21:00", "2027-03-08 00:00"),  # one after the other, without a seam
        (["22:00-24:00", "00:00-06:00"], "2027-03-05 22:00", "2027-03-06 06:00"),
        (["sun 22:00-06:00"], "2027-03-07 23:00", "2027-03-08 06:00"),
        (["sun"], "2027-03-08 00:00", "2027-03-14 00:00"),
        (["mon"], "2027-03-01 00:00", "2027-03-02 00:00"),
    ],
)
def test_the_next_change_is_the_end_of_an_open_window_and_the_start_of_the_next_else(texts, now, change):
    with zone("XXX-3"):
        found = windows.parse(texts)
        for second in (0.0, 0.25, 59.9):
            assert found.next_change(wall(now) + second) == wall(change)


def test_what_is_always_open_never_changes():
    found = windows.parse(["mon-fri", "sat,sun"])
    assert found.next_change(1800000000.0) is None
    assert found.words(1800000000.0) == "always open"
    assert windows.parse(["12:00-24:00", "00:00-12:00"]).next_change(1800000000.0) is None


# ---------------------------------------------------------------- when the clock is changed
# In Berlin 02:00 is 03:00 on 2027-03-28, and 03:00 is 02:00 on 2027-10-31, both Sundays.

SPRING, AUTUMN = at("2027-03-28T01:00"), at("2027-10-31T01:00")  # the instants of it


@needs_tzset
@pytest.mark.parametrize(
    "text, opens, closes",
    [
        ("sun 01:30-02:30", SPRING - 1800, SPRING),  # what is skipped is no minute of it
        ("sun 02:30-03:30", SPRING, SPRING + 1800),  # begins in the gap, so at its end
        ("sun 01:00-04:00", SPRING - 3600, SPRING + 3600),
        ("sat 22:00-06:00", SPRING - 4 * 3600, SPRING + 3 * 3600),  # seven hours
        ("sun 03:00-04:00", SPRING, SPRING + 3600),
        ("sun 01:00-02:00", SPRING - 3600, SPRING),
        ("sun", at("2027-03-28T00:00", 1), at("2027-03-29T00:00", 2)),  # 23 hours
    ],
)
def test_a_skipped_hour_is_never_inside(text, opens, closes):
    with zone(BERLIN):
        found = windows.parse([text])
        assert found.next_change(SPRING - 2 * 86400) == opens
        assert found.next_change(opens) == closes
        assert [found.is_open(one) for one in (opens - 1, opens, closes - 1, closes)] == [False, True, True, False]


@needs_tzset
def test_a_window_within_a_skipped_hour_does_not_open_that_night_and_it_is_said():
    with zone(BERLIN):
        found = windows.parse(["sun 02:10-02:50", "sun 01:50-02:10"])
        assert found.next_change(SPRING - 86400) == SPRING - 600
        assert found.next_change(SPRING - 600) == SPRING
        assert found.next_change(SPRING) == at("2027-04-04T01:50", 2)
        sentence = "sun 02:10-02:50 does not open on 2027-03-28: the clock skips it"
        assert found.words(SPRING - 86400) == "opens 01:50; " + sentence
        assert found.words(SPRING - 60) == "open until 03:00; " + sentence
        assert found.words(SPRING) == "opens sun 01:50"
        alone = windows.parse(["sun 02:00-03:00"])
        assert alone.words(SPRING - 3600) == (
            "opens 2027-04-04 02:00; sun 02:00-03:00 does not open on 2027-03-28: the clock skips it"
        )
        assert alone.next_change(SPRING - 3600) == at("2027-04-04T02:00", 2)
        assert windows.parse(["mon-sat 02:00-03:00"]).skipped(SPRING - 3600) == []


@needs_tzset
@pytest.mark.parametrize(
    "text, changes",
    [
        ("sun 02:00-03:00", [AUTUMN - 3600, AUTUMN + 3600]),  # twice, without a seam
        ("sun 02:15-02:45", [AUTUMN - 2700, AUTUMN - 900, AUTUMN + 900, AUTUMN + 2700]),
        ("sun 01:00-02:30", [AUTUMN - 7200, AUTUMN - 1800, AUTUMN, AUTUMN + 1800]),
        ("sun 02:30-04:00", [AUTUMN - 1800, AUTUMN, AUTUMN + 1800, AUTUMN + 7200]),
        ("sat 22:00-06:00", [AUTUMN - 5 * 3600, AUTUMN + 4 * 3600]),  # nine hours
        ("sun 03:00-04:00", [AUTUMN + 3600, AUTUMN + 7200]),
    ],
)
def test_a_repeated_hour_is_inside_twice(text, changes):
    with zone(BERLIN):
        found, now, seen = windows.parse([text]), AUTUMN - 43200, []
        while len(seen) < len(changes):
            now = found.next_change(now)
            seen.append(now)
        assert seen == changes
        assert found.next_change(now) > AUTUMN + 5 * 86400


@needs_tzset
@pytest.mark.parametrize("name", [BERLIN, LORD_HOWE, SAO_PAULO, NEW_YORK, APIA, "XXX-5:45"])
def test_the_next_change_agrees_with_a_walk_from_minute_to_minute(name):
    """Around each change of the clock in a year, with windows that begin and end near it."""
    random.seed(7)
    with zone(name):
        if name == APIA and time.localtime(at("2011-12-30T09:59")).tm_mday != 29:
            pytest.skip("this host has no database of zones")
        start = int(at("2011-06-01T00:00"))
        days = [start + day * 86400 for day in range(366)]
        shifts = [windows.first_shift(day, day + 86400) for day in days]
        shifts = [shift for shift in shifts if time.localtime(shift).tm_gmtoff != time.localtime(shift - 1).tm_gmtoff]
        assert name == "XXX-5:45" or len(shifts) >= 2
        for shift in shifts or [start]:
            minutes = range(shift - 30 * 3600, shift + 30 * 3600, 60)
            for _ in range(12):
                begin, length = random.randrange(1440), random.choice((10, 30, 45, 60, 90, 480))
                text = "%s-%s" % tuple(windows.minute_text(one % 1440) for one in (begin, begin + length))
                found = windows.parse(["%s %s" % (random.choice(("sat,sun", "mon-fri", "mon-sun")), text)])
                states = [found.is_open(minute) for minute in minutes]
                changes = [one for one, now, last in zip(minutes[1:], states[1:], states) if now != last]
                now, seen = minutes[0], []
                while now < minutes[-1]:
                    now = found.next_change(now)
                    seen.append(now)
                assert seen[: len(changes)] == changes, (name, text)
                assert seen[len(changes) :] == [] or seen[len(changes)] > minutes[-1]


@needs_tzset
def test_a_lost_day_is_told():
    with zone(APIA):
        if time.localtime(at("2011-12-30T09:59")).tm_mday != 29:
            pytest.skip("this host has no database of zones")
        found = windows.parse(["fri", "fri 23:00-01:00"])
        assert found.skipped(at("2011-12-28T12:00")) == ["fri does not open on 2011-12-30: the clock skips it"]


@needs_tzset
def test_a_gap_at_midnight_belongs_to_the_day_that_lacks_it():
    with zone(SAO_PAULO):  # 2027-10-17, a Sunday, begins at 01:00
        found = windows.parse(["00:00-01:00"])
        assert found.words(at("2027-10-16T12:00", -3)) == (
            "opens mon 00:00; 00:00-01:00 does not open on 2027-10-17: the clock skips it"
        )
        assert windows.parse(["23:00-00:30"]).skipped(at("2027-10-16T12:00", -3)) == []


@needs_tzset
def test_a_gap_around_midnight_belongs_to_both_days():
    with zone("XXX0YYY,M3.5.6/23:30,M10.5.0"):  # from 2027-03-27 23:30, a Saturday, to 00:30
        found = windows.parse(["sat 23:40-00:10", "sun 00:00-00:20", "sun 00:00-00:40"])
        assert found.words(at("2027-03-27T12:00")) == (
            "opens 00:30; sat 23:40-00:10 does not open on 2027-03-27: the clock skips it"
            "; sun 00:00-00:20 does not open on 2027-03-28: the clock skips it"
        )


@needs_tzset
def test_a_clock_that_is_put_back_and_ahead_again_within_days_repeats_its_hour_all_the_same():
    with zone("XXX0YYY,M6.1.3,M5.5.0/3"):  # back at 2027-05-30 03:00, a Sunday, and ahead on Wednesday
        found, back = windows.parse(["sun 02:15-02:45"]), at("2027-05-30T02:00")
        assert found.next_change(back - 900) == back + 900
        assert found.next_change(back + 900) == back + 2700
        assert found.next_change(back + 2700) == at("2027-06-06T02:15", 1)


@needs_tzset
@pytest.mark.parametrize(
    "now, words",
    [
        ("2027-03-05 12:00", "opens 22:00"),
        ("2027-03-05 23:00", "open until 06:00"),
        ("2027-03-06 12:00", "opens mon 22:00"),
    ],
)
def test_what_is_told_of_a_window(now, words):
    with zone("UTC0"):
        assert windows.parse([NIGHT]).words(wall(now)) == words


@needs_tzset
def test_it_is_the_wall_of_the_host_that_counts():
    now, found = at("2027-03-03T20:30"), windows.parse(["22:00-06:00"])
    seen = []
    for name in ("UTC0", "XXX-2", "XXX5"):
        with zone(name):
            seen.append(found.is_open(now))
    assert seen == [False, True, False]
