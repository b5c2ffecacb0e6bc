"""What a name that does not exist may have meant: slips of the hand, other words, and nothing where it is neither."""

import pytest

from queuectl_lib import errors, meant, settings
from queuectl_lib.jobs import fields, states

COMMANDS = ["list", "status", "stats", "prune", "cron", "show", "add", "check", "wait", "get", "set"]


@pytest.mark.parametrize(
    "name, near",
    [
        ("lst", ["list"]),
        ("LIST", ["list"]),
        ("liste", ["list"]),
        ("statu", ["status"]),
        ("stat", ["stats"]),
        ("sta", ["status", "stats"]),
        ("gte", ["get"]),
        ("listing", ["list"]),
        ("run", []),
        ("ls", []),
        ("top", []),
        ("version", []),
        ("delete", []),
        ("tail", []),
        ("", []),
        ("-", []),
    ],
)
def test_a_slip_of_the_hand_is_seen_and_another_word_is_not(name, near):
    assert meant.nearest(name, COMMANDS) == near


def test_what_is_shunned_is_not_named_for_being_alike_but_by_its_own_letters():
    assert meant.nearest("prunes", COMMANDS, ["prune"]) == []
    assert meant.nearest("PRUNE", COMMANDS, ["prune"]) == ["prune"]


@pytest.mark.parametrize(
    "one, other, far",
    [("abcd", "abcd", 0), ("abcd", "abdc", 1), ("abcd", "abd", 1), ("abcd", "xbcd", 1), ("abc", "abx", 2)],
)
def test_slips_are_counted(one, other, far):
    assert meant.distance(one, other, 2) == meant.distance(other, one, 2) == far


def test_names_of_very_different_length_are_not_compared_letter_by_letter():
    assert meant.distance("x" * 100, "x", 2) == 3


def test_the_other_words_lead_to_names_that_exist_and_are_none_themselves():
    known = {"key": fields.JOB_KEYS, "setting": settings.BY_KEY, "state": states.STATES}
    for what, names in known.items():
        own = {meant.plain(name) for name in names}
        for word, name in meant.OTHER_WORDS[what].items():
            assert word == meant.plain(word) and word not in own, word
            assert "`" in name or name.split(",")[0] in names, name


@pytest.mark.parametrize(
    "what, name, said",
    [
        ("key", "cmd", "did you mean command?"),
        ("key", "cwdd", "did you mean cwd?"),
        ("setting", "poll-interval-ms", "did you mean poll_interval, in seconds: 0.2 for 200 ms?"),
        ("setting", "timeout_sec", "did you mean timeout, in seconds, or as 10m, 1h30m?"),
        ("setting", "concurrency", "`worker start --count N`"),
        ("setting", "default_timeout", "did you mean timeout?"),
        ("state", "running", "did you mean processing?"),
        ("state", "Done", "did you mean completed?"),
        ("state", "xyzzy", "known: pending"),
        ("queue", "running", "known: pending"),
    ],
)
def test_a_name_is_refused_with_what_it_is_called_here(what, name, said):
    known = {"key": fields.JOB_KEYS, "setting": list(settings.BY_KEY)}.get(what, states.STATES)
    assert said in str(errors.unknown_name(what, name, known))
