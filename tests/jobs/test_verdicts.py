"""How an attempt that ended by itself counts: by what it says, by its exit code, by lists of codes; and retry waits."""

import json

import pytest
from helpers.queue import SETTINGS

from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import backoff, making, policy, retry_rules, retrying, verdicts
from queuectl_lib.jobs.attempts import CLAIMED_COLUMNS, Claim


def verdict(code, lines="", rules=None, snoozes=0, **settings):
    found = verdicts.read(lines.encode("utf-8"))
    return verdicts.verdict(code, "exit code %d" % code, found, rules or {}, SETTINGS.but(**settings), snoozes)


def kind_of(*words, **more):
    found = verdict(*words, **more)
    return "dead" if found.is_last else found.kind


# ---------------------------------------------------------------- what goes before what

LISTS = {"ok_codes": [0, 24], "later_codes": [75], "dead_codes": [65]}
ORDER = [
    ("dead", "dead"),
    ("snooze 10m", "snoozed"),
    ("ok", "completed"),
]


@pytest.mark.parametrize("code", [0, 1, 24, 65, 75, 255])
@pytest.mark.parametrize("level", ["job", "settings"])
@pytest.mark.parametrize("first", range(len(ORDER)))
@pytest.mark.parametrize("others", range(4))
def test_of_several_words_the_first_of_dead_snooze_ok_counts_whatever_the_code(code, level, first, others):
    behind = [word for word, _ in ORDER[first + 1 :]][:others]
    for lines in ([ORDER[first][0], *behind], [*behind, ORDER[first][0]]):
        text = "\n".join(lines)
        found = kind_of(code, text, LISTS) if level == "job" else kind_of(code, text, **LISTS)
        assert found == ORDER[first][1]


@pytest.mark.parametrize("level", ["job", "settings"])
@pytest.mark.parametrize(
    "code, expected",
    [(0, "completed"), (24, "completed"), (75, "snoozed"), (65, "dead"), (1, "failed"), (255, "failed")],
)
def test_without_a_word_the_lists_decide_and_without_these_the_exit_code(level, code, expected):
    assert (kind_of(code, "", LISTS) if level == "job" else kind_of(code, "", **LISTS)) == expected
    assert kind_of(code) == ("completed" if code == 0 else "failed")


@pytest.mark.parametrize(
    "code, rules, settings, expected",
    [
        (0, {"ok_codes": [1]}, {}, "failed"),  # as of a grep that is to find nothing
        (1, {"ok_codes": [1]}, {}, "completed"),
        (75, {"dead_codes": [75]}, {"later_codes": [75]}, "dead"),
        (75, {"ok_codes": [75]}, {"later_codes": [75]}, "completed"),
        (75, {"later_codes": []}, {"later_codes": [75]}, "failed"),
        (75, {"later_codes": [76]}, {"later_codes": [75]}, "failed"),
        (0, {"later_codes": [0]}, {}, "snoozed"),
        (65, {"later_codes": [75]}, {"dead_codes": [65]}, "dead"),
        (75, {"later_codes": "nonsense"}, {"later_codes": [75]}, "snoozed"),  # changed by hand
        (1, {"ok_codes": 7, "dead_codes": {}}, {}, "failed"),
    ],
)
def test_a_list_of_the_job_stands_in_place_of_that_of_the_settings(code, rules, settings, expected):
    assert kind_of(code, "", rules, **settings) == expected


@pytest.mark.parametrize(
    "line, seconds, why",
    [
        ("snooze 10 minutes the server is down", 600, "the server is down"),
        ("snooze 2 h", 7200, ""),
        ("snooze 90 days", None, None),
        ("snooze 10 monkeys", 10, "monkeys"),
        ("snooze 1 week", 7 * 86400, ""),
    ],
)
def test_a_unit_behind_a_blank_is_a_unit(line, seconds, why):
    assert verdicts.read(line.encode()).snooze == (None if seconds is None else (seconds, why))


def test_the_last_line_of_a_kind_counts():
    assert verdict(0, "snooze 10m one\nsnooze 20m two").delay == 1200
    assert verdict(1, "dead one\ndead two").error == "said dead: two (exit code 1)"


@pytest.mark.parametrize(
    "most, rules, snoozes, expected, error",
    [
        (100, {}, 99, "snoozed", "snoozed for 10m: why"),
        (100, {}, 100, "failed", "snoozed 100 times, as often as it may: why"),
        (100, {"max_snoozes": 1}, 1, "failed", "snoozed once, as often as it may: why"),
        (0, {}, 0, "failed", "it may not snooze (max_snoozes 0): why"),
        (0, {"max_snoozes": 2}, 1, "snoozed", "snoozed for 10m: why"),
        (100, {"max_snoozes": "x"}, 100, "failed", "snoozed 100 times, as often as it may: why"),
    ],
)
def test_a_snooze_too_many_is_a_failed_attempt(most, rules, snoozes, expected, error):
    found = verdict(0, "snooze 10m why", rules, snoozes, max_snoozes=most)
    assert (found.kind, found.error, found.is_last) == (expected, error, False)


# ---------------------------------------------------------------- what is understood

UNDERSTOOD = [
    *("snooze 1", "snooze 1s", "snooze 30d", "snooze 10m the server is down", "dead", "dead bad input", "ok"),
    *("signature disk-full", "progress 0", "progress 100", "progress 40% loading", "progress 1.5"),
    *("result x", "extend 30m", "  ok  ", "ok\r"),
]
NOT_UNDERSTOOD = [
    *("snooze", "snooze soon", "snooze 0", "snooze 0.5s", "snooze 31d", "snooze -1", "Snooze 10m", "snoozed 10m"),
    *("ok then", "OK", "signature", "signature two words", "signature \u00e9", "signature " + "x" * 65),
    *("progress", "progress 101", "progress -1", "progress half", "result", "extend", "extend 0", "extend 5m now"),
    *("nonsense", "{}", "deadly", "result\t", "ok\0", "\x1b[31mok"),
]


@pytest.mark.parametrize("line", UNDERSTOOD)
def test_a_line_is_understood(line):
    assert verdicts.read(line.encode()).ignored_lines == 0


@pytest.mark.parametrize("line", NOT_UNDERSTOOD)
def test_a_line_that_is_not_understood_decides_nothing_and_is_named(line):
    found = verdicts.read(line.encode())
    assert found.ignored == [line.strip()]
    assert verdicts.verdict(0, "", found, {}, SETTINGS, 0).kind == "completed"
    assert verdicts.verdict(3, "exit code 3", found, {}, SETTINGS, 0).kind == "failed"


def test_what_is_no_utf_8_is_named_and_lines_around_it_are_heard():
    found = verdicts.read(b"progress 5\n\xff\xfe\x00ok\nsnooze 10m\n")
    assert found.ignored == ["\\xff\\xfe\0ok"]
    assert found.progress == {"percent": 5, "text": None} and found.snooze == (600, "")


def test_ten_thousand_lines_leave_a_short_note():
    found = verdicts.read(b"nonsense\n" * 10000 + b"result " + b"\xc3\xa9" * 10000)
    note = json.loads(found.note())
    assert (note["ignored"], note["ignored_lines"]) == (["nonsense"] * 3, 10000)
    assert note["result"] == "\u00e9" * 2048, "4 KiB, and no half of a character"


def test_who_says_nothing_has_no_note():
    assert verdicts.read(b"").note() is None
    assert verdicts.read(b"dead\nok\nsignature x\nextend 5m\n\n").note() is None


# ---------------------------------------------------------------- codes

GOOD_CODES = [
    ("0,24", [0, 24]),
    ("64-78", list(range(64, 79))),
    (" 3 , 1-2,2", [1, 2, 3]),
    ("0-255", list(range(256))),
    ([0, "2-3", 2], [0, 2, 3]),
    ([], []),
    ("none", []),
]
BAD_CODES = [
    "256",
    "x",
    "1,",
    "5-4",
    "-1",
    "1-",
    "1.5",
    5,
    None,
    {},
    [True],
    [1.0],
    [-1],
    [256],
    [[1]],
    "1-99999999999",
]


@pytest.mark.parametrize("given, expected", GOOD_CODES)
def test_codes_are_read_and_said_as_one_types_them(given, expected, monkeypatch):
    assert retry_rules.check_codes(given, "ok_codes") == expected
    assert retry_rules.check_codes(retry_rules.codes_text(expected), "ok_codes") == expected


@pytest.mark.parametrize("given", BAD_CODES, ids=repr)
def test_what_is_no_list_of_codes_is_refused_by_its_name(given, monkeypatch):
    monkeypatch.setattr(retry_rules, "HIGHEST_CODE", 255)
    with pytest.raises(BadInput, match="^ok_codes: "):
        retry_rules.check_codes(given, "ok_codes")


def test_on_windows_codes_are_larger_and_a_list_of_them_is_bounded(monkeypatch):
    monkeypatch.setattr(retry_rules, "HIGHEST_CODE", 4294967295)
    assert retry_rules.check_codes("3221225786", "ok_codes") == [3221225786]
    with pytest.raises(BadInput, match="more than 1000"):
        retry_rules.check_codes("0-4294967295", "ok_codes")


@pytest.mark.parametrize(
    "first, second", [("ok_codes", "later_codes"), ("ok_codes", "dead_codes"), ("later_codes", "dead_codes")]
)
def test_a_code_in_two_lists_of_a_job_is_refused_and_named(first, second):
    with pytest.raises(BadInput, match="exit code 7 is in %s and in %s" % (first, second)):
        policy.of({first: "5,7", second: "6-8"}.get)


# ---------------------------------------------------------------- how long a retry waits


def claim_of(rules, attempts, identifier="job", snoozes=0):
    row = dict.fromkeys(CLAIMED_COLUMNS)
    row.update(seq=1, id=identifier, command="true", is_list=0, attempts=attempts, max_retries=99, snoozes=snoozes)
    row["policy"] = json.dumps(rules)
    return Claim(row, "0" * 16, 1, attempts)


@pytest.mark.parametrize(
    "rules, expected",
    [
        ({}, [2, 4, 8, 16]),
        ({"backoff": "exponential"}, [2, 4, 8, 16]),
        ({"backoff": "exponential:3"}, [3, 9, 27, 81]),
        ({"backoff": "linear:30s"}, [30, 60, 90, 120]),
        ({"backoff": "fixed:30s"}, [30, 30, 30, 30]),
        ({"backoff": "30s,2m,10m"}, [30, 120, 600, 600]),
        ({"backoff": "5"}, [5, 5, 5, 5]),
        ({"backoff": "30s,2m,10m", "backoff_cap": 60}, [30, 60, 60, 60]),
        ({"backoff_cap": 5}, [2, 4, 5, 5]),
        ({"backoff": 17, "backoff_cap": [], "jitter": "x"}, [2, 4, 8, 16]),  # changed by hand
    ],
)
def test_a_retry_waits_as_its_job_says(rules, expected):
    found = [retrying.after("failed", claim_of(rules, number), SETTINGS) for number in (1, 2, 3, 4)]
    assert found == [("failed", seconds) for seconds in expected]


def test_settings_say_it_for_all_and_a_job_otherwise():
    settings = SETTINGS.but(backoff="fixed:7s", backoff_cap=5)
    assert retrying.after("failed", claim_of({}, 3), settings) == ("failed", 5)
    assert retrying.after("failed", claim_of({"backoff": "fixed:4s"}, 3), settings) == ("failed", 4)


def test_jitter_comes_after_the_cap_is_always_the_same_and_differs_between_jobs_and_attempts():
    rules = {"backoff": "fixed:100s", "backoff_cap": 50, "jitter": 0.2}
    found = {retrying.after("failed", claim_of(rules, n, "job-%d" % j), SETTINGS)[1] for j in range(50) for n in (1, 2)}
    assert len(found) == 100
    assert min(found) >= 50 and 58 < max(found) < 60
    assert backoff.share("job", 1) == backoff.share("job", 1) == pytest.approx(0.35794428, abs=1e-6)
    assert 0.4 < sum(backoff.share(str(n), 1) for n in range(1000)) / 1000 < 0.6


def test_an_endless_backoff_ends_at_the_cap():
    assert retrying.after("failed", claim_of({"backoff": "exponential:9"}, 99999, "x"), SETTINGS.but()) == ("dead", 0.0)
    assert backoff.delay("x", 99999, {"backoff": "exponential:9"}, SETTINGS) == 3600


@pytest.mark.parametrize("asked, snoozes, expected", [(600.0, 5, 600.0), (None, 0, 2.0), (None, 2, 8.0), (0.0, 0, 1.0)])
def test_a_snooze_waits_as_asked_or_by_the_backoff_of_its_number(asked, snoozes, expected):
    claim = claim_of({}, 1, snoozes=snoozes)
    assert retrying.after("snoozed", claim, SETTINGS, asked=asked) == ("pending", expected)


BAD_BACKOFFS = [
    "",
    "fixed",
    "fixed:",
    "linear:soon",
    "exponential:-1",
    "exponential:x",
    "quadratic:2",
    "30s,",
    ",",
    "x,y",
]
BAD_BACKOFFS += ["fixed:30s,60s", "1e9999", 5, None, [], "5," * 1000 + "5", "exponential:inf", "\0"]


@pytest.mark.parametrize("given", BAD_BACKOFFS, ids=lambda given: repr(given)[:20])
def test_what_is_no_backoff_is_refused_by_its_name(given):
    with pytest.raises(BadInput, match="^backoff: "):
        retry_rules.check_backoff(given, "backoff")


# ---------------------------------------------------------------- in and out

RULES = {
    "ok_codes": [0, 24],
    "later_codes": "75",
    "dead_codes": ["64-66"],
    "max_snoozes": 7,
    "backoff": "30s, 2m",
    "backoff_cap": "1h",
    "jitter": 0.5,
}
STORED = dict(RULES, later_codes=[75], dead_codes=[64, 65, 66], backoff="30s,2m", backoff_cap=3600.0)


def test_a_job_has_all_its_rules_in_one_column():
    maker = making.JobMaker(3, "/", None, 0.0)
    assert [json.loads(value) for value in maker.row(dict(RULES, command="true")) if str(value).startswith("{")] == [
        STORED
    ]
    assert policy.of(STORED.get) == policy.of(RULES.get), "what is shown can be given"
