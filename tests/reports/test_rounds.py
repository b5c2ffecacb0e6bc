"""Rounds: what attempts are called, and where somebody has put their job back, as far as that is known."""

import pytest

from queuectl_lib.reports import rounds

WORDS = {"f": "failed", "s": "snoozed", "g": "given back", "c": "cancelled", "r": "running", "o": "completed"}


def job(outcomes, attempts, state="failed", retries=3):
    history = [{"number": place + 1, "outcome": WORDS[one]} for place, one in enumerate(outcomes)]
    return {"history": history, "attempts": attempts, "state": state, "max_retries": retries}


@pytest.mark.parametrize(
    "outcomes, attempts, state, places",
    [
        ("", 0, "pending", []),
        ("fff", 3, "dead", []),
        ("fffr", 1, "processing", [3]),  # dead, requeued, and it runs
        ("fff", 0, "pending", [3]),  # requeued, and it waits
        ("fffffff", 2, "failed", [5]),  # of several times the last is known
        ("cr", 1, "processing", [1]),
        ("cfcr", 1, "processing", [1, 3]),
        ("of", 1, "failed", [1]),
        ("ssr", 1, "processing", []),  # neither these ...
        ("fgs", 1, "pending", []),  # ... nor these count
        ("fs", 0, "pending", [1]),
        ("fff", 0, "dead", []),  # set by hand: nobody has put it back
        ("ff", "x", "dead", []),
        ("ff", -5, "pending", [2]),
    ],
)
def test_a_mark_stands_where_a_job_was_put_back(outcomes, attempts, state, places):
    assert rounds.put_back(job(outcomes, attempts, state)) == places


def test_an_attempt_is_named_with_the_number_of_all_where_it_is_one_of_these():
    assert rounds.name(job("ff", 2), {"number": 2}) == "attempt 2 of 4"
    for other in (job("ffffff", 2), job("ssf", 1), job("ff", 2, retries="x"), job("ff", 2, retries=0)):
        assert rounds.name(other, {"number": 2}) == "attempt 2"
    assert rounds.name(job("f", 1), {"number": "\x1b[31m"}) == "attempt \\x1b[31m"


def test_those_whose_rows_are_gone_are_counted_by_the_number_of_the_last():
    found = job("sss", 0)
    found["history"][-1]["number"] = 57
    assert rounds.in_all(found) == 57
    found["history"][-1]["number"] = "many"
    assert rounds.in_all(found) == 3


@pytest.mark.parametrize(
    "outcome, error, code, words",
    [
        ("completed", None, 0, "completed"),
        ("failed", "exit code 3", 3, "failed: exit code 3"),
        ("timed out", "timed out after 3 s", None, "timed out after 3 s"),
        ("snoozed", "snoozed for 10m: not yet", 0, "snoozed for 10m: not yet"),
        ("running", None, None, "running"),
    ],
)
def test_how_an_attempt_ended_is_told_once(outcome, error, code, words):
    facts = {"outcome": outcome, "error": error, "exit_code": code, "signal": None, "oom": None}
    assert rounds.how(facts) == words
