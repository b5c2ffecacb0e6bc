"""`show`: a head, a table of the attempts, the end of what the last one wrote; with --all everything."""

import re
import sys

import pytest
from helpers.queue import NOW, SETTINGS, claim, enqueue, raw
from helpers.zones import needs_tzset, zone

from queuectl_lib.commands import terminal
from queuectl_lib.jobs.attempts import Outcome


@pytest.fixture
def home(near):
    near.run("initdb")
    return near


def attempts(home, count, retries=4, output=b"", error_output=b"", kind="failed"):
    """A job `job` with so many attempts, of 1.25 s each; returns its last outcome."""
    if not home.run("list").stdout.count("job "):
        enqueue(home.queue, id="job", max_retries=retries)
    for number in range(count):
        now = NOW + number * 100000
        (held,) = claim(home.queue, now)
        outcome = Outcome(held, kind, now + 1.25, None if kind == "completed" else "exit code 3")
        outcome.started, outcome.seconds, outcome.exit_code = now, 1.25, 0 if kind == "completed" else 3
        outcome.stdout, outcome.stderr = output, error_output
        outcome.stdout_bytes, outcome.stderr_bytes = len(output), len(error_output)
        home.queue.exchange("w-1", [outcome], 0, now + 2, SETTINGS)


def table_of(text):
    """The lines of the table, its heading first, as words."""
    lines = text.split("\n#")[1].split("\n\n")[0].splitlines()
    return [["#", *lines[0].split()]] + [line.split() for line in lines[1:]]


@pytest.fixture
def terminals(monkeypatch):
    """Makes standard output a terminal of so many columns."""

    def make(columns):
        monkeypatch.setattr(terminal, "is_terminal", lambda stream: stream is sys.stdout)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("NO_COLOR", "1")

    return make


def test_each_attempt_is_a_line_and_of_the_last_the_end_is_shown(home):
    attempts(home, 5, output=b"".join(b"line %d\n" % n for n in range(200)), error_output=b"boom\n")
    shown = home.run("show", "job").stdout
    heading, *rows = table_of(shown)
    assert heading == ["#", "OUTCOME", "STARTED", "TOOK", "EXIT", "STDOUT", "STDERR", "SAYS"]
    same = ["1.25", "s", "3", "1690", "5", "boom"]
    assert [row[:2] + row[4:] for row in rows] == [[str(number), "failed", *same] for number in range(1, 6)]
    assert re.findall("line \\d+", shown) == ["line %d" % n for n in range(190, 200)]
    assert "attempt 5: failed\n  error: exit code 3\n  it says: boom\n" in shown
    assert shown.endswith("  stderr, 5 bytes:\n    boom\n  (`logs job --attempt 5` shows all of it)\n")
    everything = home.run("show", "job", "--all").stdout
    assert [everything.count("attempt %d: failed\n  started " % n) for n in range(1, 6)] == [1] * 5
    assert everything.count("line 0\n") == everything.count("line 199\n") == 5 and "OUTCOME" not in everything


def test_a_job_that_has_not_run_is_its_head_alone(home):
    enqueue(home.queue, id="job")
    shown = home.run("show", "job").stdout
    assert "attempts      0\n" in shown and "\n\n" not in shown
    assert home.run("show", "job", "--all").stdout == shown


def test_after_a_requeue_the_table_has_a_mark_between_and_attempts_says_both(home):
    attempts(home, 2, retries=1)
    home.run("requeue", "job")
    assert "attempts      0 (2 in all)\n" in home.run("show", "job").stdout
    assert [row[0] for row in table_of(home.run("show", "job").stdout)] == ["#", "1", "2", "--"]
    attempts(home, 1, kind="completed")
    shown = home.run("show", "job").stdout
    assert "attempts      1 (3 in all)\n" in shown
    assert [row[0] for row in table_of(shown)] == ["#", "1", "2", "--", "3"] and "\n--  put back\n3" in shown
    everything = home.run("show", "job", "--all").stdout
    places = [everything.index(word) for word in ("attempt 2", "--  put back into the queue\n", "attempt 3")]
    assert places == sorted(places)


def test_of_many_attempts_the_newest_are_in_the_table(home):
    attempts(home, 60, retries=59)
    shown = home.run("show", "job").stdout
    assert [row[0] for row in table_of(shown)] == ["#", *map(str, range(41, 61))]
    assert "\n... 40 earlier attempts: `show job --all`\n" in shown
    assert home.run("show", "job", "--all").stdout.count("\nattempt ") == 60


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_the_table_fits_a_terminal_and_what_was_not_set_is_left_out(home, terminals, columns):
    attempts(home, 3, output=b"x\n", error_output=b"a rather long line that says why it could not be done\n" * 3)
    wide = home.run("show", "job").stdout
    terminals(columns)
    shown = home.run("show", "job").stdout
    (head, table, rest) = shown.split("\n\n")
    assert max(map(len, table.splitlines())) <= columns
    assert ("SAYS" in table) == (columns > 60) and "a rather long line" in rest
    assert " -\n" not in head and "timeout  " in wide and "timeout  " not in head and "state         failed\n" in head
    assert "timeout       -\n" in home.run("show", "job", "--all").stdout


@needs_tzset
def test_people_are_shown_the_clock_of_the_host_and_programs_utc(home):
    with zone("IST-5:30"):
        attempts(home, 2)
        shown = home.run("show", "job").stdout
        assert re.search(r"^next_run_at   \S+ \S+ \+05:30$", shown, re.M) and shown.count("+05:30") == 1
        assert "created_at    2027-01-15 13:30:00\n" in shown
        assert "started_at    2027-01-16 17:16:40\n" in shown and "1  failed   2027-01-15 13:30:00  1.25 s" in shown
        assert home.job("job")["started_at"] == "2027-01-16T11:46:40.000000Z"


def test_bytes_that_are_no_text_are_shown_and_lines_without_end_are_cut(home):
    attempts(home, 1, output=bytes(range(256)) * 3 + b"x" * 100000)
    shown = home.run("show", "job").stdout
    assert len(shown) < 4000 and "x" * 400 + "...\n" in shown
    assert all(line.isprintable() for line in shown.splitlines())


def test_output_that_is_not_there_any_more_is_told(home):
    attempts(home, 1, output=b"some\n")
    with raw(home.queue) as connection:
        connection.execute("UPDATE attempts SET stdout = NULL")
    for words in (["show", "job"], ["show", "job", "--all"]):
        assert "  stdout, 5 bytes, which are not there any more\n" in home.run(*words).stdout


def test_all_stands_for_all_jobs_alone_and_for_all_of_one_beside_it(home):
    attempts(home, 1)
    enqueue(home.queue, id="other")
    assert re.findall(r"^id +(\w+)", home.run("show", "--all").stdout, re.M) == ["job", "other"]
    assert "OUTCOME" in home.run("show", "--all").stdout
    for words in (["--state", "failed"], ["--last", "2"], ["job", "other"]):
        assert "OUTCOME" not in home.run("show", *words, "--all").stdout
    assert [one["id"] for one in home.run("show", "--all", "--json").json] == ["job", "other"]
    assert home.run("show", "job", "--all", "--json").json["id"] == "job"
