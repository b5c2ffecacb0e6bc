"""What `list` and `dlq list` say beside their rows: what is not shown, where failures are, and what each died of."""

import time

import pytest
from helpers.marks import posix_only
from helpers.queue import SETTINGS, claim, enqueue

from queuectl_lib.commands import tables, terminal
from queuectl_lib.jobs import states
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.store import failure_words


@pytest.fixture
def home(near):
    return near


def fail(home, identifier, retries=0, line="", command="true"):
    """A job that has failed, and wrote that *line*, of which only what its group says is left."""
    enqueue(home.queue, retries, time.time() - 60, id=identifier, priority=9, command=command)
    (held,) = claim(home.queue, time.time())
    ended = Outcome(held, states.FAILED, time.time(), "exit code 3")
    ended.exit_code, ended.error_line = 3, line
    home.queue.exchange("w-1", [ended], 0, time.time(), SETTINGS)


@pytest.fixture
def mixed(home):
    """Three dead, one that waits for a retry, one that runs, three that are due."""
    for number in range(3):
        fail(home, "dead%d" % number)
    fail(home, "again", 3)
    for number in range(4):
        home.add("true", "--id", "due%d" % number)
    claim(home.queue, time.time())
    return home


@pytest.mark.parametrize(
    "words, said",
    [
        (["--limit", "2"], "; not shown: 1 pending, 1 processing, 1 failed, 3 dead"),
        (["--limit", "5"], "; not shown: 3 dead"),
        (["--state", "dead", "--limit", "1"], "; not shown: 2 dead"),
        (["--state", "pending,dead", "--limit", "1"], "; not shown: 2 pending, 3 dead"),
        (["--match", "true", "--limit", "1"], ""),  # of how many it is nobody has counted
        (["--json", "--limit", "2"], ""),
    ],
)
def test_the_closing_line_says_what_is_not_shown(mixed, words, said):
    start = "there are more: these are the newest %s (--limit N shows more)" % words[words.index("--limit") + 1]
    assert mixed.run("list", *words).stderr == "%s%s\n" % (start, said)


def test_a_list_that_is_whole_says_nothing(mixed):
    assert mixed.run("list").stderr == mixed.run("dlq", "list").stderr == ""
    assert mixed.run("list", "--limit", "8").stderr == ""


def test_large_numbers_can_be_read(home, monkeypatch):
    monkeypatch.setattr(tables, "SHOWN_JOBS", 1)
    home.run("enqueue", "-", input='{"command": "true"}\n' * 1002)
    assert home.run("list").stderr.endswith("; not shown: 1,001 pending\n")


def test_who_looks_for_failures_learns_where_they_are(mixed):
    assert mixed.run("list", "--state", "failed").stderr == ""
    mixed.run("cancel", "again")
    said = mixed.run("list", "--state", "failed").stderr
    assert said == "no jobs are failed: none waits for a retry; 3 dead: `queuectl.py dlq list`\n"
    mixed.run("dlq", "purge")
    assert mixed.run("list", "--state", "failed").stderr == "no jobs are failed\n"
    fail(mixed, "other", 3)
    for words in (["dlq", "list"], ["list", "--state", "dead"]):
        said = mixed.run(*words).stderr
        assert said == "no jobs are dead; 1 failed and will be tried again: `queuectl.py list --state failed`\n"
    assert mixed.run("dlq", "list", "--tag", "none").stderr == "no job matches\n"


# ---------------------------------------------------------------- what it died of


def errors_of(home, *words):
    headings, *lines = home.run(*words).stdout.splitlines()
    start, end = headings.index("ERROR"), headings.index("COMMAND")
    return {line.split()[0]: line[start:end].strip() for line in lines}


@posix_only
def test_the_last_line_that_tells_something_is_shown_as_it_is(home):
    command = "echo row 17 of /tmp/a.csv is wrong >&2; echo 'make: *** [all]' >&2; exit 3"
    home.add(command, "--max-retries", "0", "--id", "a")
    home.add("echo told on stdout; exit 4", "--max-retries", "0", "--id", "b")
    home.add("exit 5", "--max-retries", "0", "--id", "c")
    home.add("exit 6", "--max-retries", "0", "--id", "none", "--cwd", "/nowhere/at/all")
    home.drain()
    found = errors_of(home, "dlq", "list")
    assert found["a"] == "exit 3: row 17 of /tmp/a.csv is wrong"
    assert found["b"] == "exit 4: told on stdout" and found["c"] == "exit 5"
    assert found["none"] == "the directory /nowhere/at/all does not exist"
    assert errors_of(home, "list") == found


@posix_only
def test_of_very_many_the_newest_are_read_and_of_the_others_their_group_is_told(home, monkeypatch):
    monkeypatch.setattr(failure_words, "MOST", 1)
    for number in (17, 18):
        home.add("echo row %d is wrong >&2; exit 3" % number, "--max-retries", "0", "--id", "r%d" % number)
    home.drain()
    assert errors_of(home, "dlq", "list") == {"r17": "exit 3: row <n> is wrong", "r18": "exit 3: row 18 is wrong"}


@pytest.mark.parametrize("columns, headings", [(60, "ID WHEN ERROR COMMAND"), (80, "ID STATE WHEN ERROR COMMAND")])
def test_in_a_narrow_terminal_the_state_goes_before_what_they_died_of(mixed, monkeypatch, columns, headings):
    monkeypatch.setattr(terminal, "columns", lambda: columns)
    fail(mixed, "a-name-of-20-letters", line="x" * 90, command="y" * 90)
    shown = mixed.run("dlq", "list").stdout.splitlines()
    assert shown[0].split() == headings.split()
    assert "exit 3" in shown[-1]
