"""Times and durations: what is understood, what is refused, and the one form in which times are stored."""

import calendar
import datetime
import random
import time

import pytest
from helpers.marks import posix_only

from queuectl_lib import errors, times
from queuectl_lib.errors import BadInput
from queuectl_lib.store import looking


def utc(*fields):
    return float(calendar.timegm(fields + (0,) * (6 - len(fields))))


# ---------------------------------------------------------------- times


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2027-12-01T10:00:00Z", utc(2027, 12, 1, 10)),
        ("2027-12-01T10:00:00z", utc(2027, 12, 1, 10)),
        ("2027-12-01t10:00:00Z", utc(2027, 12, 1, 10)),
        ("2027-12-01 10:00:00Z", utc(2027, 12, 1, 10)),
        ("2027-12-01 10:00:00 Z", utc(2027, 12, 1, 10)),
        ("2027-12-01T10:00Z", utc(2027, 12, 1, 10)),
        ("2027-12-01T10:00:00+00:00", utc(2027, 12, 1, 10)),
        ("2027-12-01T10:00:00-00:00", utc(2027, 12, 1, 10)),
        ("2027-12-01T10:00:00+02:00", utc(2027, 12, 1, 8)),
        ("2027-12-01T10:00:00+0530", utc(2027, 12, 1, 4, 30)),
        ("2027-12-01T10:00:00-05", utc(2027, 12, 1, 15)),
        ("2027-12-01T10:00:00 -08:00", utc(2027, 12, 1, 18)),
        ("2027-12-01T23:30:00-14:00", utc(2027, 12, 2, 13, 30)),
        ("2027-01-01T00:30:00+01:00", utc(2026, 12, 31, 23, 30)),
        ("2028-02-29T00:00:00Z", utc(2028, 2, 29)),
        ("2027-12-01T10:00:00.5Z", utc(2027, 12, 1, 10) + 0.5),
        ("2027-12-01T10:00:00,5Z", utc(2027, 12, 1, 10) + 0.5),
        ("2027-12-01T10:00:00.000001Z", utc(2027, 12, 1, 10) + 0.000001),
        ("2027-12-01T10:00:00.123456789Z", utc(2027, 12, 1, 10) + 0.123456789),
        ("9999-12-31T23:59:59Z", utc(9999, 12, 31, 23, 59, 59)),
    ],
)
def test_a_time_with_a_zone_means_that_moment_everywhere(text, seconds):
    assert times.parse_time(text) == pytest.approx(seconds, abs=1e-6)


@posix_only
@pytest.mark.parametrize(
    "zone, text, moment",
    [
        ("UTC0", "2027-12-01T10:00:00", (2027, 12, 1, 10)),
        ("XXX-2", "2027-12-01T10:00:00", (2027, 12, 1, 8)),
        ("XXX8", "2027-12-01 10:00", (2027, 12, 1, 18)),
        ("XXX-2", "2027-12-01", (2027, 11, 30, 22)),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2027-01-15T12:00:00", (2027, 1, 15, 11)),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2027-07-15T12:00:00", (2027, 7, 15, 10)),
        ("XXX-2", "2027-12-01T10:00:00Z", (2027, 12, 1, 10)),
    ],
)
def test_a_time_without_a_zone_is_local_time(monkeypatch, zone, text, moment):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert times.parse_time(text) == utc(*moment)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "tomorrow",
        "now",
        "12:00",
        "10:00:00Z",
        "1764583200",
        1764583200,
        1764583200.5,
        None,
        True,
        [],
        {},
        b"2027-12-01T10:00:00Z",
        "2027-12-1T10:00:00Z",
        "27-12-01T10:00:00Z",
        "02027-12-01T10:00:00Z",
        "2027/12/01T10:00:00Z",
        "01.12.2027 10:00",
        "20271201T100000Z",
        "2027-12-01T10Z",
        "2027-12-01T1000Z",
        "2027-12-01T10:00:0Z",
        "2027-12-01T10:00:00.Z",
        "2027-12-01T10:00:00.1234567890Z",
        "2027-12-01T10:00:00ZZ",
        "2027-12-01T10:00:00Z+02:00",
        "2027-12-01T10:00:00+2",
        "2027-12-01T10:00:00+02:0",
        "2027-12-01T10:00:00+02:",
        "2027-12-01T10:00:00 CET",
        "2027-12-01T10:00:00Z tail",
        " 2027-12-01T10:00:00Z",
        "2027-12-01T10:00:00Z\n",
        "2027-12-01T10:00:00\n",
        "2027-12-01T10:00:00\nZ",
        "2027-12-01T10:00:00Z\0",
        "-2027-12-01T10:00:00Z",
        "2027-W48-1",
        "2027-335",
        "\u0662\u0660\u0662\u0667-12-01T10:00:00Z",
        "2027\u201312\u201301T10:00:00Z",
        "\ud800",
        "2" * 100000,
    ],
    ids=lambda value: repr(value)[:40].encode("ascii", "backslashreplace").decode(),
)
def test_what_is_not_a_time_is_refused_by_name(value):
    with pytest.raises(BadInput, match=r"^run_at: .* is not a time such as 2027-12-01T10:00:00Z(; .*`)?$") as caught:
        times.parse_time(value)
    assert len(str(caught.value)) < 200
    assert errors.printable(str(caught.value)) == str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "2027-00-01T10:00:00Z",
        "2027-13-01T10:00:00Z",
        "2027-02-29T10:00:00Z",
        "2027-04-31T10:00:00Z",
        "2027-12-00T10:00:00Z",
        "2027-12-01T24:00:00Z",
        "2027-12-01T10:60:00Z",
        "2027-12-01T10:00:60Z",
        "2027-12-01T10:00:00+24:00",
        "2027-12-01T10:00:00+02:60",
        "0000-01-01T00:00:00Z",
    ],
)
def test_a_time_that_does_not_exist_is_refused(text):
    with pytest.raises(BadInput, match=r"^when: .* is not a time that exists$"):
        times.parse_time(text, "when")


@pytest.mark.parametrize(
    "text",
    [
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T23:59:59.5Z",
    ],
)
def test_a_time_before_1970_or_after_9999_is_refused(text):
    with pytest.raises(BadInput, match=r"^run_at: .* is not between the years 1970 and 9999$"):
        times.parse_time(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "9999-12-31T23:59:59.9"])
def test_a_local_time_at_the_edge_of_the_calendar_is_refused_without_a_crash(text):
    with pytest.raises(BadInput):
        times.parse_time(text)


# ---------------------------------------------------------------- times as they are stored


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (0.000001, "1970-01-01T00:00:00.000001Z"),
        (1.9999996, "1970-01-01T00:00:02.000000Z"),
        (1800000000, "2027-01-15T08:00:00.000000Z"),
        (1800000000.25, "2027-01-15T08:00:00.250000Z"),
        (1835395199.999999, "2028-02-28T23:59:59.999999Z"),
        (times.LAST_TIME, "9999-12-31T23:59:59.000000Z"),
    ],
)
def test_a_time_is_stored_in_utc_with_microseconds(seconds, text):
    assert times.utc_text(seconds) == text


def moments(count):
    chance = random.Random(7)
    edges = [0.0, 0.5, 0.999999, 946684799.999999, 946684800.0, 2147483647.0, 2147483648.0]
    return edges + [chance.randrange(4102444800 * 1000000) / 1000000.0 for _ in range(count)]


def test_stored_times_come_back_as_they_went_in():
    for seconds in moments(2000):
        text = times.utc_text(seconds)
        assert abs(times.utc_seconds(text) - seconds) < 1e-6
        assert times.utc_text(times.utc_seconds(text)) == text


def test_stored_times_sort_as_the_moments_do():
    ordered = sorted(moments(2000))
    texts = [times.utc_text(seconds) for seconds in ordered]
    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {27}


def test_stored_times_agree_with_datetime():
    for seconds in moments(300):
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=round(seconds * 1000000))
        assert times.utc_text(seconds) == moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@posix_only
def test_stored_times_do_not_depend_on_the_zone(monkeypatch):
    texts = []
    try:
        for zone in ("UTC0", "XXX-14", "XXX11"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            texts.append(times.utc_text(1800000000))
            assert times.utc_seconds(texts[-1]) == 1800000000
    finally:
        monkeypatch.undo()
        time.tzset()
    assert len(set(texts)) == 1


# ---------------------------------------------------------------- durations


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        ("10m", 600),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1h5", 3605),
        ("2d", 172800),
        ("1d2h3m4s", 93784),
        ("0.5", 0.5),
        ("1.5h", 5400),
        ("0.25s", 0.25),
        ("1w", 604800),
        ("5min", 300),
        ("10 m", 600),
        ("1h 30m", 5400),
        ("1 day 2 hours", 93600),
        ("2weeks 1d 1hr 1min 1sec", 2 * 604800 + 86400 + 3661),
        ("90 seconds", 90),
        ("007", 7),
        (" 90 ", 90),
        (90, 90),
        (0, 0),
        (0.5, 0.5),
        (times.SECONDS_LIMIT, times.SECONDS_LIMIT),
        (str(times.SECONDS_LIMIT), times.SECONDS_LIMIT),
    ],
)
def test_a_duration_is_understood(value, seconds):
    found = times.parse_duration(value, "delay")
    assert found == seconds
    assert isinstance(found, float)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "s",
        "soon",
        "1h 30",
        "2 h 5",
        "1 2",
        "30m1h",
        "1h1h",
        "-5",
        "+5",
        "-5s",
        "5 x",
        "5mo",
        "1y",
        "1H",
        "1e3",
        ".5",
        "5.",
        "1,5",
        "0x10",
        "1_000",
        "inf",
        "nan",
        "Infinity",
        "1:30",
        "PT90S",
        "\u0669\u0660",
        "\uff19",
        "90\0",
        "\ud800",
        "9" * 41,
        "9" * 1000000,
        None,
        True,
        False,
        [],
        {},
        b"90",
    ],
    ids=lambda value: repr(value)[:40].encode("ascii", "backslashreplace").decode(),
)
def test_what_is_not_a_duration_is_refused_by_name(value):
    with pytest.raises(BadInput, match=r"^delay: .* is not a duration such as 90, 90s, 10m or 1h30m$") as told:
        times.parse_duration(value, "delay")
    assert len(str(told.value)) < 200
    assert errors.printable(str(told.value)) == str(told.value)


@pytest.mark.parametrize(
    "value",
    [
        -1,
        -0.001,
        float("inf"),
        float("-inf"),
        float("nan"),
        1e300,
        10**400,
        -(10**400),
        times.SECONDS_LIMIT + 1,
        "36601d",
        "9" * 40,
        "9999999999999h",
    ],
    ids=lambda value: errors.shown(value)[:30],
)
def test_a_length_of_time_that_cannot_be_meant_is_refused(value):
    with pytest.raises(BadInput, match=r"^timeout: .* is not between 0 and 100 years$") as caught:
        times.parse_duration(value, "timeout")
    assert len(str(caught.value)) < 200


# ---------------------------------------------------------------- through the command line


def test_add_stores_the_moment_that_was_asked_for(home):
    job = home.add("true", "--run-at", "2027-12-01T10:00:00+02:00")
    assert home.job(job)["run_at"] == home.job(job)["next_run_at"] == "2027-12-01T08:00:00.000000Z"


def test_a_delay_counts_from_the_enqueue(home):
    job = home.job(home.add("true", "--delay", "1h30m"))
    created, due = times.utc_seconds(job["created_at"]), times.utc_seconds(job["next_run_at"])
    assert due - created == pytest.approx(5400, abs=0.001)


@pytest.mark.parametrize(
    "words",
    [
        ("--run-at", "tomorrow"),
        ("--run-at", "2027-02-30"),
        ("--delay", "soon"),
        ("--delay", "101d101d"),
        ("--timeout", "0"),
        ("--delay", "5", "--run-at", "2027-12-01T10:00:00Z"),
    ],
    ids=" ".join,
)
def test_a_bad_time_is_bad_input_and_adds_nothing(home, words):
    error = home.run("add", "true", *words, code=2).stderr
    assert words[0][2:].replace("-", "_") in error
    assert sum(looking.counts(home.queue.database).values()) == 0


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0 s"),
        (4e-06, "0 s"),
        (5.6e-05, "0.06 ms"),
        (0.00042, "0.42 ms"),
        (0.0042, "4.2 ms"),
        (0.0996, "99.6 ms"),
        (0.25, "0.25 s"),
        (1.25, "1.25 s"),
        (9.999, "10 s"),
        (60.0, "60 s"),
        (100.5, "100.5 s"),
        (86400.0, "86400 s"),
    ],
)
def test_how_long_something_took_is_told_without_exponents(seconds, text):
    assert times.seconds_text(seconds) == text


@pytest.mark.parametrize(
    "seconds, text",
    [(99.5, "99.5 s"), (100, "1m40s"), (3600, "1h"), (7500, "2h5m"), (86399, "23h59m"), (90000, "1d1h")],
)
def test_what_lasts_long_is_told_as_it_is_typed(seconds, text):
    assert times.span_text(seconds) == text
    assert seconds < 100 or abs(times.parse_duration(text, "x") - seconds) < 3600
