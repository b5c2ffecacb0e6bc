"""`joblog`: what has ended, in the nine columns of GNU parallel, or with all that is known."""

import json
import os
import stat

import pytest
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS, claim_one, enqueue, raw, settle

from queuectl_lib.commands import terminal
from queuectl_lib.jobs.attempts import Outcome

HEAD = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"


@pytest.fixture
def home(near):
    return near


def ends(home, kind, command, exit_code=None, signal=None, retries=0, at=NOW):
    """A job whose attempt took 1.25 s, and ended so."""
    home.queue.database.ready()
    identifier = enqueue(home.queue, retries, at - 1, command=command, priority=1)
    outcome = Outcome(claim_one(home.queue, at), kind, at + 1.25)
    outcome.started, outcome.exit_code, outcome.signal, outcome.stdout_bytes = at, exit_code, signal, 7
    home.queue.exchange("w-1", [outcome], 0, at, SETTINGS)
    return identifier


def columns(home, *words):
    text = home.run("joblog", *words).stdout
    assert text.startswith(HEAD) and text.endswith("\n")
    return [line.split("\t", 8) for line in text[len(HEAD) :].split("\n")[:-1]]


def test_each_job_that_ended_is_a_line_of_nine_columns_counted_from_one(home):
    ends(home, "completed", "true", 0)
    ends(home, "failed", "a\tb\n'c' {} x", 3)
    ends(home, "failed", ["printf", "%s", "a b"], 137, "SIGKILL")
    begin = ["%d.000" % NOW, "1.250", "0", "7"]
    assert columns(home) == [
        ["1", ":", *begin, "0", "0", "true"],
        ["2", ":", *begin, "3", "0", "a\tb\0'c' {} x"],
        ["3", ":", *begin, "0", "9", "printf %s 'a b'"],
    ]


def test_only_what_has_completed_is_zero_and_zero(home):
    """For parallel runs again what is not: a command that was content with 24 has succeeded, one without a code not."""
    ends(home, "completed", "ok 24", 24)
    ends(home, "failed", "said dead", 0)
    ends(home, "timed out", "slow")
    ends(home, "lost", "gone")
    ends(home, "failed", "odd signal", 1, "SIGNONSENSE")
    assert [line[6:] for line in columns(home)] == [
        ["0", "0", "ok 24"],
        *(["-1", "0", name] for name in ("said dead", "slow", "gone")),
        ["1", "0", "odd signal"],
    ]


def test_a_job_stands_there_once_with_its_last_attempt_and_only_when_it_is_over(home):
    ends(home, "failed", "twice", 1, retries=1)
    assert columns(home) == [], "its retry is to come"
    assert [line[8] for line in columns(home, "--state", "failed")] == ["twice"]
    settle(home.queue, claim_one(home.queue, NOW + 60), "completed", NOW + 60, exit_code=0)
    ends(home, "cancelled", "taken out")
    assert [line[6:] for line in columns(home)] == [["0", "0", "twice"]]
    assert [line[8] for line in columns(home, "--state", "cancelled")] == ["taken out"]
    every = [json.loads(line) for line in home.run("joblog", "--format", "jsonl", "--attempts").stdout.splitlines()]
    assert [(one["command"], one["outcome"]) for one in every] == [
        *(("twice", "failed"), ("twice", "completed"), ("taken out", "cancelled")),
    ]
    failed = home.run("joblog", "--format", "jsonl", "--attempts", "--state", "failed").stdout
    assert json.loads(failed)["seq"] == 1


def test_what_ended_before_ends_were_numbered_comes_first(home):
    ends(home, "completed", "new")
    ends(home, "completed", "old")
    with raw(home.queue) as opened:
        opened.execute("UPDATE attempts SET ended = NULL WHERE ended = 2")
    assert [line[8] for line in columns(home)] == ["old", "new"]


def test_since_is_about_the_end(home):
    ends(home, "completed", "old", at=NOW - 100)
    ends(home, "completed", "new", at=NOW)
    assert [line[8] for line in columns(home, "--since", "2027-01-15T08:00:00Z")] == ["new"]


def test_the_wide_form_has_a_name_for_each_cell_and_nothing_in_it_breaks_a_line(home):
    command = "printf 'a\tb\\n'\n\x1b[31m\u202e"
    ends(home, "failed", command, 3)
    ends(home, "completed", ["x", "=1+1"])
    head, *lines = [line.split("\t") for line in home.run("joblog", "--format", "wide").stdout.splitlines()]
    assert head[:6] == ["seq", "at", "id", "name", "kind", "attempt"] and head[-1] == "command"
    cells = [dict(zip(head, line)) for line in lines if len(line) == len(head)]
    assert [cell["command"] for cell in cells] == ["printf 'a\\tb\\\\n'\\n\\x1b[31m\\u202e", "x =1+1"]
    assert [cell["exit_code"] for cell in cells] == ["3", ""]
    (first, second) = [json.loads(line) for line in home.run("joblog", "--format", "jsonl").stdout.splitlines()]
    assert first["command"] == command and second["command"] == ["x", "=1+1"] and list(first) == head


@posix_only
def test_a_file_is_written_whole_private_and_in_the_place_of_the_former(home):
    path = os.path.join(home.path, "jobs.log")
    ends(home, "completed", "one")
    assert home.run("joblog", "-o", path).stdout == ""
    before = os.stat(path).st_ino
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    ends(home, "completed", "two")
    home.run("joblog", "-o", path)
    with open(path) as file:
        assert file.read().count("\n") == 3
    assert os.stat(path).st_ino != before, "renamed, not written into"
    assert [name for name in os.listdir(home.path) if name.endswith(".partial")] == []
    assert columns(home, "-o", "-") == columns(home)


@pytest.mark.parametrize(
    "words, code, text",
    [
        (["--format", "csv"], 2, 'unknown format "csv": known: parallel, wide, jsonl'),
        (["--attempts"], 2, "--attempts goes with --format wide or jsonl"),
        (["--since", "soon"], 2, '--since: "soon" is neither a time'),
        (["--state", "done"], 2, 'unknown state "done"'),
        (["-o", ""], 2, "-o is empty"),
        (["-o", os.devnull], 2, "a link, a pipe or a device"),
        (["-o", "."], 2, "is a folder"),
        (["-o", "none/x"], 3, '"none": there is no such folder'),
    ],
)
def test_what_cannot_be_meant_is_refused(home, words, code, text):
    assert text in home.run("joblog", *words, code=code).stderr


def test_without_a_queue_there_is_the_line_of_names_alone(call):
    assert call("joblog").stdout == HEAD


def test_what_somebody_has_damaged_hides_no_other(home):
    for name in ("a", "b", "c"):
        ends(home, "failed", name, 1)
    with raw(home.queue) as opened:
        opened.execute("UPDATE attempts SET started_at = x'ff', stdout_bytes = 'many', exit_code = 'x' WHERE ended = 1")
        opened.execute("UPDATE attempts SET finished_at = 7, signal = 3, number = 'x' WHERE ended = 2")
        opened.execute("UPDATE jobs SET is_list = 1, command = '{' WHERE command = 'c'")
    assert [line[8] for line in columns(home)] == ["a", "b", "{"]
    for form in ("wide", "jsonl"):
        assert home.run("joblog", "--format", form).stdout.count("\n") == 3 + (form == "wide")


def test_on_a_terminal_nothing_of_a_command_acts(home, monkeypatch):
    """Elsewhere it stands there byte for byte, for parallel runs it."""
    command = "echo '\x1b[2J\u202e\x07'\n\rx"
    ends(home, "failed", command, 1)
    assert columns(home)[0][8] == command.replace("\n", "\0")
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: True)
    assert columns(home)[0][8] == "echo '\\x1b[2J\\u202e\\x07'\\x00\\rx"
