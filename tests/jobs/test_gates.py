"""What keeps a queue from starting anything: said in words, with the time to look again, and shut when in doubt."""

import sqlite3
import time

import pytest
from helpers.zones import BERLIN, at, needs_tzset, zone

from queuectl_lib import times
from queuectl_lib.errors import BadInput
from queuectl_lib.host import load
from queuectl_lib.jobs import gates
from queuectl_lib.jobs.gates import Gate

NOW = 1800000000.0
GIGA = 1 << 30


class Host:
    """What it would tell; and what it was asked for."""

    def __init__(self, load=0.5, memory=64 * GIGA, free=None):
        self.asked = []
        self.answers = {"load": load, "memory": memory}
        self.disks = free or {}

    def load(self):
        self.asked.append("load")
        return self.answers["load"]

    def memory_available(self):
        self.asked.append("memory")
        return self.answers["memory"]

    def free_bytes(self, path):
        self.asked.append(path)
        return self.disks.get(path)


# ---------------------------------------------------------------- gates


@pytest.mark.parametrize(
    "fields, host, words",
    [
        ({}, {}, None),
        ({"load_most": 4}, {"load": 3.99}, None),
        ({"load_most": 4}, {"load": 6.2}, "load 6.2 over 4"),
        ({"load_most": 2.5}, {"load": 12.0}, "load 12 over 2.5"),
        ({"load_most": 4.0}, {"load": 4.0}, "load 4 is not below 4"),
        ({"load_most": 4}, {"load": 4.001}, "load 4 is not below 4"),
        ({"load_most": 0.5}, {"load": 0.0}, None),
        ({"load_most": 4}, {"load": None}, "cannot read the load of this host"),
        ({"memory_least": 2 * GIGA}, {"memory": 2 * GIGA}, None),
        ({"memory_least": 2 * GIGA}, {"memory": GIGA * 6 // 5}, "memory 1.2G of 2G"),
        ({"memory_least": 2 * GIGA}, {"memory": 2 * GIGA - 1}, "memory 2147483647 of 2147483648 bytes"),
        ({"memory_least": 2 * GIGA}, {"memory": 0}, "memory 0 bytes of 2G"),
        ({"memory_least": 2 * GIGA}, {"memory": None}, "cannot read how much memory is available"),
        ({"free_least": 20 * GIGA, "free_path": "/data"}, {"free": {"/data": 20 * GIGA}}, None),
        (
            {"free_least": 20 * GIGA, "free_path": "/data"},
            {"free": {"/data": GIGA * 16 // 5}},
            "free 3.2G of 20G on /data",
        ),
        ({"free_least": 20 * GIGA, "free_path": "/data"}, {"free": {"/": 99 * GIGA}}, "cannot read /data"),
        ({"free_least": 1, "free_path": "/\x1b[2J"}, {}, r"cannot read /\x1b[2J"),
        ({"free_least": 1}, {"free": {None: 5, "": 5}}, "cannot read the folder to look at"),
        ({"load_most": 4, "memory_least": 1, "free_least": 1, "free_path": "/"}, {"free": {"/": 1}}, None),
        ({"load_most": 4, "memory_least": 1, "free_least": 1, "free_path": "/"}, {}, "cannot read /"),
    ],
)
def test_a_gate_says_what_closes_it_and_looks_again_in_ten_seconds(fields, host, words):
    found = Gate(**fields).closed_by(NOW, Host(**host))
    assert found == (words and (words, NOW + 10))


def test_only_what_is_limited_is_asked_for_and_nothing_behind_a_closed_window():
    host = Host(free={"/data": 5})
    assert Gate(memory_least=1).closed_by(NOW, host) is None
    assert Gate(free_least=5, free_path="/data").closed_by(NOW, host) is None
    assert Gate(rate_count=1, rate_seconds=60.0, last_start=NOW).closed_by(NOW, host) is None
    assert host.asked == ["memory", "/data"]
    day = time.strftime("%a", time.localtime(NOW)).lower()
    elsewhere = next(one for one in ("mon", "tue", "wed") if one != day)
    assert Gate(windows=elsewhere, load_most=0.1, memory_least=9 * GIGA).closed_by(NOW, host)[0].startswith("opens ")
    assert host.asked == ["memory", "/data"]


@pytest.mark.parametrize(
    "ago, expected",
    [
        (None, None),
        (0.0, 15.0),
        (14.9, 0.1),
        (15.0, None),
        (3600.0, None),
        (-1.0, None),  # the clock was put back: nothing is frozen until it is as late again
        (-86400.0, None),
    ],
)
def test_under_a_limit_of_load_one_start_is_made_in_15_seconds(ago, expected):
    gate = Gate(load_most=4, last_start=None if ago is None else NOW - ago)
    found = gate.closed_by(NOW, Host())
    assert found == gate.spaced_by(NOW)
    if expected is None:
        assert found is None
    else:
        assert found[0] == "one start in 15 s under a limit of load"
        assert found[1] == pytest.approx(NOW + expected)
        assert gate.spaced_by(found[1]) is None, "it is looked at again in time"
    assert Gate(memory_least=1, last_start=NOW).closed_by(NOW, Host()) is None, "no other gate holds it up"
    assert gate.closed_by(NOW, Host(load=9.0))[0] == "load 9 over 4", "that tells more"


# ---------------------------------------------------------------- windows


@needs_tzset
@pytest.mark.parametrize(
    "windows, moment, expected",
    [
        (None, "12:00:00", None),
        ("22:00-06:00", "23:00:00", None),
        ("22:00-06:00", "21:00:00", ("opens 22:00", 60)),  # at most a minute ahead
        ("22:00-06:00", "21:59:30", ("opens 22:00", 30)),
        ("22:00-06:00", "06:00:00", ("opens 22:00", 60)),
        ("sat,sun; 22:00-06:00", "21:59:59", ("opens 22:00", 1)),
        ("sun", "12:00:00", ("opens sun 00:00", 60)),
        ("thu 10:00-11:00", "12:00:00", ("opens thu 10:00", 60)),  # the next one
    ],
)
def test_a_closed_window_says_when_it_opens(windows, moment, expected):
    with zone(BERLIN):
        now = at("2027-03-04T" + moment, 1)  # a Thursday
        found = Gate(windows=windows).closed_by(now, Host())
        assert found == (expected and (expected[0], now + expected[1]))
        if expected and expected[1] < 60:
            assert Gate(windows=windows).closed_by(found[1], Host()) is None


@needs_tzset
def test_a_window_that_is_open_leaves_the_word_to_the_gates():
    with zone("UTC0"):
        gate = Gate(windows="00:00-24:00", load_most=1)
        assert gate.closed_by(NOW, Host(load=2.0)) == ("load 2 over 1", NOW + 10)


# ---------------------------------------------------------------- the row


COLUMNS = ("windows", "load_most", "memory_least", "free_least", "free_path", "rate_count", "rate_seconds")
COLUMNS += ("last_start_at",)


def row(**fields):
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    sql = "SELECT " + ", ".join("? AS " + name for name in COLUMNS)
    found = connection.execute(sql, [fields.get(name) for name in COLUMNS]).fetchone()
    connection.close()
    return found


def test_a_gate_is_made_of_a_row():
    gate = Gate.of(row(), "/home/q")
    assert not gate.is_set()
    assert (gate.windows, gate.last_start, gate.free_path) == (None, None, "/home/q")
    started = times.utc_text(NOW - 5)
    gate = Gate.of(row(load_most=4, free_least=7, free_path="/data", rate_count=2, last_start_at=started), "/home/q")
    assert gate.is_set()
    assert (gate.load_most, gate.free_least, gate.free_path, gate.rate_count) == (4, 7, "/data", 2)
    assert gate.spaced_by(NOW)[1] == NOW + 10
    assert Gate.of(row(free_least=9), "/home/q").closed_by(NOW, Host(free={"/home/q": 8}))[0] == (
        "free 8 bytes of 9 bytes on /home/q"
    )


@pytest.mark.parametrize(
    "fields",
    [{"windows": "mon-fri"}, {"load_most": 1}, {"memory_least": 1}, {"free_least": 1}],
)
def test_a_queue_with_any_gate_is_one_that_has_to_be_asked(fields):
    assert Gate(**fields).is_set()
    assert not Gate(rate_count=1, rate_seconds=1.0, free_path="/").is_set()


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"windows": "whenever"}, "cannot read its windows in the database"),
        ({"windows": ""}, "cannot read its windows in the database"),
        ({"windows": 5}, "cannot read its windows in the database"),
        ({"windows": b"mon"}, "cannot read its windows in the database"),
        ({"load_most": "4"}, "cannot read its load_most in the database"),
        ({"memory_least": b"\0", "windows": "mon-sun"}, "cannot read its memory_least in the database"),
        ({"free_least": 1, "free_path": 2}, "cannot read its free_path in the database"),
    ],
)
def test_a_row_that_nobody_has_stored_so_keeps_the_queue_closed(fields, words):
    assert Gate.of(row(**fields), "/").closed_by(NOW, Host()) == (words, NOW + 60)


def test_a_start_that_cannot_be_read_is_long_ago():
    assert Gate.of(row(load_most=4, last_start_at="yesterday"), "/").closed_by(NOW, Host()) is None


# ---------------------------------------------------------------- rates


@pytest.mark.parametrize(
    "text, starts, seconds, canonical",
    [
        ("60/1m", 60, 60.0, "60/1m"),
        ("1/1s", 1, 1.0, "1/1s"),
        ("1/1", 1, 1.0, "1/1s"),
        ("10000/1d", 10000, 86400.0, "10000/1d"),
        ("5/90", 5, 90.0, "5/90s"),
        ("5/1h30m", 5, 5400.0, "5/90m"),
        ("007/0.5s", 7, 0.5, "7/0.5s"),
        (" 5 / 2h ", 5, 7200.0, "5/2h"),
        ("1/0.001", 1, 0.001, "1/0.001s"),
    ],
)
def test_a_rate_is_read_and_written(text, starts, seconds, canonical):
    assert gates.parse_rate(text) == (starts, seconds)
    assert gates.rate_text(starts, seconds) == canonical
    assert gates.parse_rate(canonical) == (starts, seconds)


@pytest.mark.parametrize(
    "text, words",
    [
        ("0/1m", "rate: 0 starts are none at all: `pause` does that"),
        ("5/0s", 'rate: "5/0s" is no limit'),
        ("5/0.0001", "is no limit"),
        ("10001/1m", "rate: 10001 is not between 1 and 10000"),
        ("-1/1m", "rate: -1 is not between 1 and 10000"),
        ("1.5/1m", 'rate: "1.5" is not a whole number'),
        ("60", 'rate: "60" is not starts in a time, such as 60/1m'),
        ("60/m", 'rate: "m" is not a duration'),
        ("60/", "is not a duration"),
        ("/1m", "is not a whole number"),
        ("60/1m/1h", "is not starts in a time"),
        ("", "is not starts in a time"),
        ("x/y", 'rate: "x" is not a whole number'),
        ("5/200000d", "is not between 0 and 100 years"),
        ("9" * 5000 + "/1m", "is not a whole number"),
        (60, "rate: 60 is not starts in a time"),
        (None, "is not starts in a time"),
    ],
)
def test_a_rate_that_cannot_be_meant_is_refused(text, words):
    with pytest.raises(BadInput) as caught:
        gates.parse_rate(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "oldest, expected",
    [
        (None, None),  # fewer have started
        (NOW - 3600, None),
        (NOW - 60.002, None),
        (NOW - 60, NOW + 0.001),  # older than the span, not as old
        (NOW - 59, NOW + 1.001),
        (NOW, NOW + 60.001),
        (NOW + 86400, NOW + 60.001),  # the clock was put back: the span is waited once
    ],
)
def test_a_start_waits_until_the_one_that_many_before_is_older_than_the_span(oldest, expected):
    found = Gate(rate_count=60, rate_seconds=60.0).rate_closed_by(NOW, oldest)
    if expected is None:
        assert found is None
    else:
        assert found[0] == "rate 60/1m is used up"
        assert found[1] == pytest.approx(expected, abs=1e-6)
        assert Gate(rate_count=60, rate_seconds=60.0).rate_closed_by(found[1], min(oldest, NOW)) is None


def test_a_queue_without_a_rate_never_waits_for_one():
    assert Gate().rate_closed_by(NOW, NOW) is None


def test_no_span_of_time_ever_holds_more_starts_than_the_rate():
    """A ring of the last starts, as the store keeps it, each start made as soon as the gate lets it."""
    gate, ring, starts, now = Gate(rate_count=3, rate_seconds=10.0), {}, [], NOW
    for number in range(200):
        closed = gate.rate_closed_by(now, ring.get(number % 3))
        if closed:
            assert closed[1] > now
            now = closed[1]
            assert gate.rate_closed_by(now, ring.get(number % 3)) is None
        ring[number % 3] = times.utc_seconds(times.utc_text(now))
        starts.append(ring[number % 3])
        now += (0.0, 0.1, 2.0, 11.0)[number % 4]
    assert all(later - first > 10.0 for first, later in zip(starts, starts[3:]))


# ---------------------------------------------------------------- what a gate is set with


def test_the_words_that_set_a_gate(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "CAN_TELL_LOAD", True)
    monkeypatch.setattr(load, "CAN_TELL_MEMORY", True)
    monkeypatch.chdir(tmp_path)
    assert gates.parse_load("4") == 4
    assert gates.parse_load("0.5") == 0.5
    assert gates.parse_memory("2G") == 2 * GIGA
    assert gates.parse_free("20G") == (20 * GIGA, None)
    assert gates.parse_free("512M:data") == (512 << 20, str(tmp_path / "data"))
    assert gates.parse_free("1:%s" % tmp_path) == (1, str(tmp_path))


@pytest.mark.parametrize(
    "parse, text, words",
    [
        (gates.parse_load, "0", 'max-load: "0" is not above 0'),
        (gates.parse_load, "-1", "is not above 0"),
        (gates.parse_load, "nan", "is not a number"),
        (gates.parse_load, "much", "is not a number"),
        (gates.parse_load, "99999999", "at most 1000000"),
        (gates.parse_memory, "0", "is not a size from 1 byte"),
        (gates.parse_memory, "2GB", 'min-memory: "2GB" is not a size such as'),
        (gates.parse_memory, "999999999999T", "is not a size from 1 byte to"),  # more than a column can hold
        (gates.parse_free, "", 'min-free: "" is not a size'),
        (gates.parse_free, "20G:", "a path belongs behind the colon"),
        (gates.parse_free, ":/data", 'min-free: "" is not a size'),
        (gates.parse_free, "/data:20G", 'min-free: "/data" is not a size'),
        (gates.parse_free, "20G:/a\0b", "holds a NUL character"),
        (gates.parse_free, "20G:/\udc80", "is not valid UTF-8"),
        (gates.parse_free, "20G:/" + "x" * 5000, "a path belongs"),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused(monkeypatch, parse, text, words):
    monkeypatch.setattr(load, "CAN_TELL_LOAD", True)
    monkeypatch.setattr(load, "CAN_TELL_MEMORY", True)
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert words in str(caught.value)


def test_what_the_host_cannot_tell_is_refused_when_it_is_set(monkeypatch):
    monkeypatch.setattr(load, "CAN_TELL_LOAD", False)
    monkeypatch.setattr(load, "CAN_TELL_MEMORY", False)
    with pytest.raises(BadInput, match="max-load: this system does not tell its load"):
        gates.parse_load("4")
    with pytest.raises(BadInput, match="min-memory: this system does not tell how much memory is available"):
        gates.parse_memory("2G")
