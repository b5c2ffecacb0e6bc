"""Errors for programs: with --json one object on standard error and no line beside it, and the same exit code."""

import json
import os

import pytest

from queuectl_lib.commands import terminal

ROWS = (
    (["show", "nope"], 1, "no_such_job", "list"),
    (["logs", "a", "--attempt", "9"], 1, "no_such_attempt", None),
    (["cancel", "--tag", "none"], 1, "no_match", None),
    (["requeue", "a"], 1, "wrong_state", None),
    (["add", "true", "--id", "a"], 1, "exists", None),
    (["schedule", "show", "x"], 1, "no_such_schedule", "schedule list"),
    (["stats", "x"], 1, "no_such_kind", "stats"),
    (["events", "--after", "7"], 1, "cursor_ahead", "events --after 0"),
    (["dlq", "list", "--group", "abcdef"], 1, "no_such_group", "dlq groups"),
    (["say", "ok"], 1, "refused", None),
    (["add"], 2, "bad_input", None),
    (["list", "--nope"], 2, "bad_usage", "list --help"),
    (["lock", "set", "db"], 2, "bad_usage", "lock set --help"),
    (["list", "--state"], 2, "bad_usage", "list --help"),
    ([], 2, "bad_usage", "--help"),
    (["lst"], 2, "unknown_command", None),
    (["list", "--state", "done"], 2, "unknown_name", None),
    (["add", "true", "--queue", "q"], 2, "unknown_queue", None),
)


@pytest.fixture
def queue_home(near):
    near.run("add", "true", "--id", "a", "--hold")
    return near


def said_both_ways(home, words, code):
    """What people are told of an error, and what a program is."""
    plain = home.run(*words, code=code).stderr if words else ""
    return plain, json.loads(home.run(*words, "--json", code=code).stderr)["error"]


@pytest.mark.parametrize("words, exit_code, code, line", ROWS, ids=lambda value: str(value))
def test_an_error_has_its_code_and_its_exit_code(queue_home, words, exit_code, code, line):
    plain, told = said_both_ways(queue_home, words, exit_code)
    assert told["code"] == code
    assert told.get("try") == (line and "queuectl.py " + line)
    assert not words or plain == "queuectl: error: %s\n" % told["message"]
    assert set(told) <= {"code", "message", "try"}


def test_a_broken_configuration_has_a_code(queue_home):
    path = os.path.join(queue_home.path, "config.json")
    with open(path, "w") as file:
        file.write("{")
    os.chmod(path, 0o600)
    assert json.loads(queue_home.run("status", "--json", code=3).stderr)["error"]["code"] == "bad_config"


def test_behind_two_dashes_it_is_a_word_of_the_job(queue_home):
    assert queue_home.job(queue_home.run("add", "--", "echo", "--json").id)["command"] == ["echo", "--json"]


def test_what_was_to_be_said_before_an_error_is_a_part_of_it():
    terminal.speak_to_a_program(True)
    try:
        terminal.tell("no worker is running\x1b")
        text = terminal.error_text("it is gone", "no_such_job", "")
    finally:
        terminal.speak_to_a_program(False)
    error = {"code": "no_such_job", "message": "it is gone", "notes": ["no worker is running\\x1b"]}
    assert text.count("\n") == 1 and json.loads(text) == {"error": error}


def test_what_was_to_be_said_comes_in_the_end_where_all_went_well(queue_home):
    queue_home.add("true")
    done = queue_home.run("wait", "--timeout", "0.1", "--json", code=124)
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["no worker is running", "timed out"]
    assert done.json["timed_out"] is True
