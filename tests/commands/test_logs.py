"""`logs`: what it says beside the output, and how much of it it prints."""

import subprocess
import sys

import pytest
from helpers.home import let_go
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS, claim, enqueue, raw, rows
from helpers.waiting import wait_until

from queuectl_lib.commands import logs_words, terminal
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.store import output


@pytest.fixture
def home(near):
    near.run("initdb")
    return near


def ended(home, identifier="job", kind="failed", code=3, out=b"", err=b""):
    """One more attempt of a job, which is added where there is none."""
    if not home.run("list").stdout.count(identifier + " "):
        enqueue(home.queue, id=identifier, max_retries=1)
    now = NOW + 100000 * (1 + len(rows(home.queue, "SELECT id FROM attempts")))
    (held,) = claim(home.queue, now)
    outcome = Outcome(held, kind, now + 1, None if kind == "completed" else "exit code %s" % code)
    outcome.started, outcome.exit_code = now, code
    outcome.stdout, outcome.stderr, outcome.stdout_bytes, outcome.stderr_bytes = out, err, len(out), len(err)
    home.queue.exchange("w-1", [outcome], 0, now + 1, SETTINGS)


# ---------------------------------------------------------------- a word where there is nothing


def test_of_a_job_that_has_not_run_is_told_why(home):
    home.add("true", "--id", "later", "--delay", "30m")
    home.add("true", "--id", "held", "--hold")
    home.add("true", "--id", "due")
    home.add("true", "--id", "out")
    home.run("cancel", "out")
    said = {name: home.run("logs", name) for name in ("later", "held", "due", "out")}
    assert {one.stdout for one in said.values()} == {""}
    assert said["later"].stderr == "job later has not run yet: due in 29m\n"
    assert said["held"].stderr == "job held has not run yet: held\n"
    assert said["due"].stderr.startswith("job due has not run yet: ") and "no worker is alive" in said["due"].stderr
    assert said["out"].stderr == "job out was cancelled before it ran\n"


def test_of_an_attempt_that_wrote_nothing_is_told_how_it_ended(home):
    ended(home)
    assert home.run("logs", "job").stderr == "attempt 1 of 2 of job job wrote nothing; it failed: exit code 3\n"
    ended(home, kind="completed", code=0, out=b"fine\n")
    assert (home.run("logs", "job").stdout, home.run("logs", "job").stderr) == ("fine\n", "")
    said = home.run("logs", "job", "--stderr").stderr
    assert said == "attempt 2 of 2 of job job wrote nothing to stderr; it completed\n"
    with raw(home.queue) as connection:
        connection.execute("UPDATE attempts SET stdout = NULL")
    assert "wrote 5 bytes, which are not there any more" in home.run("logs", "job").stderr


def test_of_one_that_runs_and_has_written_nothing_is_told_since_when(home):
    enqueue(home.queue, id="job")
    claim(home.queue)
    said = home.run("logs", "job").stderr
    assert "attempt 1 of 2 of job job has written nothing yet, and has been running for " in said


def test_at_a_terminal_it_is_told_which_attempt_is_shown(home, monkeypatch):
    ended(home, out=b"one\n")
    ended(home, out=b"two\n")
    assert home.run("logs", "job").stderr == ""
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: True)
    assert home.run("logs", "job").stderr == "==> attempt 2 of 2: failed: exit code 3 <==\n"
    assert home.run("logs", "job", "--attempt", "1").stderr == "==> attempt 1 of 2: failed: exit code 3 <==\n"


# ---------------------------------------------------------------- which job


def test_without_an_id_a_terminal_gets_the_one_that_runs(home, monkeypatch):
    for name in ("a", "b"):
        enqueue(home.queue, id=name)
    assert "name jobs" in home.run("logs", code=2).stderr
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: stream is sys.stdout)
    assert "no job runs now: name jobs" in home.run("logs", code=2).stderr
    claim(home.queue)
    assert "of job a has written nothing yet" in home.run("logs").stderr
    claim(home.queue)
    assert "2 jobs run (a, b): name jobs" in home.run("logs", code=2).stderr


# ---------------------------------------------------------------- the last lines


@pytest.mark.parametrize(
    "text, lines, shown",
    [
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"a\nb\nc\n", 9, b"a\nb\nc\n"),
        (b"a\n\n\n", 2, b"\n\n"),
        (b"a\nb\n", 0, b""),
        (b"", 3, b""),
        (b"one line", 1, b"one line"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 2, 65536])
def test_the_last_lines_begin_where_they_do(monkeypatch, text, lines, shown, chunk):
    class Kept(output.Output):
        def __init__(self):
            self.size = len(text)

        def read(self, offset, count):
            return text[offset : offset + count]

    monkeypatch.setattr(output, "CHUNK_BYTES", chunk)
    assert text[Kept().begin_of_last(lines) :] == shown


def test_the_begin_of_a_line_is_not_looked_for_through_a_gigabyte():
    class Endless(output.Output):
        size = 1 << 40
        seen = 0

        def __init__(self):
            pass

        def read(self, offset, count):
            self.seen += count
            return b"x" * count

    found = Endless()
    assert found.begin_of_last(10) == found.size - output.LEAST_BACK and found.seen == output.LEAST_BACK


def test_lines_are_those_of_each_stream_and_none_but_the_last(home):
    ended(home, out=b"1\n2\n3\n", err=b"x\ny\n")
    done = home.run("logs", "job", "--lines", "1")
    assert (done.stdout, done.stderr) == ("3\n", "y\n")
    assert home.run("logs", "job", "-n", "2", "--stderr").stdout == "x\ny\n"
    assert (home.run("logs", "job", "-n", "0").stdout, home.run("logs", "job", "-n", "0").stderr) == ("", "")
    for number in ("-1", "some", "1.5"):
        assert "--lines: " in home.run("logs", "job", "--lines=" + number, code=2).stderr


# ---------------------------------------------------------------- followed to the end


def test_follow_closes_with_the_outcome_and_the_exit_code_only_where_it_is_asked_for(home):
    ended(home, "job", err=b"boom\n")
    ended(home, "job", err=b"boom\n")
    done = home.run("logs", "-f", "job")
    assert done.stderr.startswith("==> attempt 2 of 2 <==\nboom\njob job: dead after 2 of 2 attempts")
    assert home.run("logs", "-f", "job", "--attempt", "1").stderr.endswith("of job job failed: exit code 3\n")
    ended(home, "fine", kind="completed", code=0)
    said = home.run("logs", "-f", "fine", "--exit-code").stderr
    assert said.endswith("job fine completed: attempt 1 of 2, after 1 s\n")


@pytest.mark.parametrize(
    "outcome, code, signal, exits",
    [
        ("completed", 0, None, 0),
        ("completed", 75, None, 75),
        ("failed", 3, None, 3),
        ("failed", 0, None, 1),  # what it has said of itself is a failure
        ("failed", None, "SIGTERM", 143),
        ("failed", None, "SIG_DFL", 1),
        ("lost", None, None, 1),
        ("failed", "text", b"\xff", 1),
    ],
)
def test_the_exit_code_is_that_of_the_attempt_or_of_its_signal(outcome, code, signal, exits):
    assert logs_words.exit_code_of({}, {"outcome": outcome, "exit_code": code, "signal": signal}) == exits


def test_exit_code_is_of_one_job_that_is_followed(home):
    ended(home, code=5)
    ended(home, code=5)
    home.run("logs", "job", "-f", "--exit-code", code=5)
    for words in (["job"], ["job", "job2", "-f"], ["--last", "1", "-f"]):
        assert "--exit-code goes with --follow, of one job" in home.run("logs", *words, "--exit-code", code=2).stderr


def follower(home, *words):
    command = home.command("logs", "-f", *words)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment())


@posix_only
def test_who_follows_is_told_that_nobody_is_there_and_of_each_attempt(home):
    home.add("echo $QUEUECTL_ATTEMPT; exit 4", "--id", "job", "--max-retries", "1")
    process = follower(home, "job", "--exit-code")
    try:
        assert process.stderr.readline() == b"no worker is running: `queuectl.py worker start` starts one\n"
        assert process.stderr.readline() == b"job job has not run yet\n"
        home.start("--drain", "--backoff-base", "1")
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (out, process.returncode) == (b"1\n2\n", 4)
    first, middle, second, last = err.decode().splitlines()
    assert (first, second) == ("==> attempt 1 of 2 <==", "==> attempt 2 of 2 <==")
    assert middle.startswith("attempt 1 of 2 failed: exit code 4")
    assert last.startswith("job job: dead after 2 of 2 attempts, each with the same end: exit code 4")


@posix_only
def test_a_job_that_is_deleted_while_it_is_followed_ends_that_by_what_was_last_seen(home):
    home.add("while [ ! -e '%s/go' ]; do sleep 0.05; done" % home.path, "--id", "job")
    home.start()
    home.wait_for_state("job", "processing")
    process = follower(home, "job")
    try:
        assert process.stderr.readline() == b"==> attempt 1 of 4 <==\n"
        with raw(home.queue) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("DELETE FROM jobs WHERE id = 'job'")
        err = process.communicate(timeout=60)[1].decode()
    finally:
        process.kill()
        let_go(home)
    assert err == "job job was deleted meanwhile; last seen: processing, attempt 1 of 4 running\n"
    assert process.returncode == 0
    wait_until(lambda: home.run("worker", "stop").code == 0, "the worker to stop")
