"""`run`: a command as if it ran here. Its bytes, its exit code, what is said beside them; and the job is left alone."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from helpers.marks import posix_only
from helpers.near import Near
from helpers.queue import SETTINGS, claim, raw
from helpers.waiting import wait_until

from queuectl_lib.commands import add, logs_words, terminal
from queuectl_lib.commands import run as room
from queuectl_lib.errors import HostError
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.store import output, showing

pytestmark = posix_only
PATIENT = "echo begun; while [ ! -e %s ]; do sleep 0.03; done; echo done; exit 5"


@pytest.fixture(scope="module")
def working(tmp_path_factory):
    """A home in which two workers are alive."""
    path = str(tmp_path_factory.mktemp("run") / "home")
    os.mkdir(path, 0o700)
    home = Near(path)
    home.start("-n", "2", "--backoff-base", "0")
    home.wait_for_workers(2)
    yield home
    home.clean_up()
    assert home.complaints() == []


def begun(home, *words, **streams):
    """`run WORDS` begun, as a process, with the job of the id --id there."""
    pipes = dict({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}, **streams)
    process = subprocess.Popen(home.command("run", *words), env=home.environment(), **pipes)
    home.started.append(process)
    identifier = words[words.index("--id") + 1]
    wait_until(lambda: home.run("list", "--json").stdout.count('"%s"' % identifier), "job %s to be there" % identifier)
    return process


# ---------------------------------------------------------------- bytes and exit codes


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["echo out; echo err >&2"], 0, r"\Aerr\n"),
        (["--", "sh", "-c", "echo out; exit 7"], 7, r"\A"),
        (["echo out; exit 24", "--ok-codes", "24"], 24, r"\A"),
        (["echo out; nosuchthing"], 127, "nosuchthing: .*not found\n"),
        (["echo out; kill -9 $$"], 137, r"\A"),
        (["echo out; exec sleep 99", "--timeout", "0.3"], 143, r"\A"),
        (["echo out; echo dead not today >> $QUEUECTL_CONTROL; exit 0"], 125, ""),
    ],
)
def test_the_output_and_the_exit_code_are_those_of_the_job(working, words, code, said):
    done = run(working, words, code)
    assert done.stdout == "out\n" and re.search(said + r"\Z", done.stderr)


def run(home, words, code):
    at = words.index("--") if "--" in words else len(words)
    return home.run("run", *words[:at], "--max-retries", "0", *words[at:], code=code)


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["--", "nosuchprogram"], 127, "the program nosuchprogram was not found on PATH"),
        (["--", "/etc/passwd"], 126, "the program /etc/passwd is not executable"),
        (["true", "--cwd", "/nonexistent"], 125, "the directory /nonexistent does not exist"),
        (["true", "--after-fail", "fine"], 125, "was cancelled before it ran"),
    ],
)
def test_of_a_job_that_never_ran_it_says_why_in_place_of_its_output(working, words, code, said):
    if "fine" in words:
        working.run("run", "true", "--id", "fine")
    done = run(working, words, code)
    assert said in done.stderr and done.stdout == ""


def test_all_attempts_come_and_the_last_one_counts(working):
    done = working.run("run", "echo try $QUEUECTL_ATTEMPT; echo e$QUEUECTL_ATTEMPT >&2; [ $QUEUECTL_ATTEMPT = 3 ]")
    assert (done.stdout, done.stderr) == ("try 1\ntry 2\ntry 3\n", "e1\ne2\ne3\n")


def test_five_megabytes_arrive_byte_by_byte_on_both_streams(working, tmp_path):
    """No text, no line ends; through pipes and files alike."""
    sent = bytes(range(256)) * 20480
    source, got = tmp_path / "source", [tmp_path / "out", tmp_path / "err"]
    source.write_bytes(sent)
    with open(str(got[0]), "wb") as out, open(str(got[1]), "wb") as err:
        words = working.command("run", "cat %s; tac %s >&2" % (source, source))
        assert subprocess.run(words, stdout=out, stderr=err, timeout=60).returncode == 0
    expected = subprocess.run(["tac", str(source)], stdout=subprocess.PIPE, check=True).stdout
    assert got[0].read_bytes() == sent and got[1].read_bytes() == expected


def test_it_runs_from_the_bare_surroundings_of_cron(working):
    command = working.command("run", "--quiet", "echo $PATH; exit 3", "--max-retries", "0")
    done = subprocess.run(
        command, env={"PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert (done.returncode, done.stderr) == (3, b"") and done.stdout.endswith(b"bin\n")


def test_with_json_nothing_but_the_job_is_printed(working):
    done = working.run("run", "echo out; echo err >&2; exit 7", "--max-retries", "0", "--json", code=7)
    assert done.stderr == "" and done.json["state"] == "dead"
    (attempt,) = done.json["history"]
    assert (attempt["stdout"], attempt["stderr"], attempt["exit_code"]) == ("out\n", "err\n", 7)
    del done.json["updated_at"]
    assert done.json.items() <= working.job(done.json["id"]).items()


@pytest.mark.parametrize(
    "code, name, outcome, expected",
    [(256, None, "failed", 255), (-1, None, "failed", 255), (0, None, "failed", 9), (None, "SIGHUP", "failed", 129)]
    + [(None, "SIG_DFL", "failed", 9), (None, 5, "lost", 9), ("7", None, "failed", 9), (0, None, "completed", 0)],
)
def test_no_row_that_is_damaged_looks_like_a_success(code, name, outcome, expected):
    attempt = {"exit_code": code, "signal": name, "outcome": outcome}
    assert logs_words.exit_code_of({}, attempt, 9) == expected


# ---------------------------------------------------------------- what is said


def test_a_person_is_told_the_id_the_attempts_and_the_end(working, monkeypatch):
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: stream is sys.stderr)
    done = working.run("run", "echo a; exit 7", "--id", "told", "--max-retries", "1", code=7)
    begin, first, between, *_ = said = done.stderr.splitlines()
    assert begin == "job told was added; Ctrl+C leaves it alone"
    assert (first, between) == ("==> attempt 1 of 2 <==", "attempt 1 of 2 failed: exit code 7")
    assert said[-1].startswith("job told: dead after 2 of 2 attempts, each with the same end: exit code 7")
    assert working.run("run", "true", "--quiet").stderr == ""
    said = working.run("run", "true", "--id", "good").stderr.splitlines()
    assert said[-1].startswith("job good completed: attempt 1")


def test_without_a_worker_it_says_so_once_and_goes_on(home):
    process = begun(home, "echo ran", "--id", "alone")
    assert process.stderr.readline() == b"no worker is running: `queuectl.py worker start` starts one\n"
    home.start()
    assert process.communicate(timeout=20) == (b"ran\n", b"") and process.returncode == 0


def test_what_keeps_it_is_told_to_a_person(working, monkeypatch):
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: stream is sys.stderr)
    monkeypatch.setattr(room, "PATIENCE", 0.0)
    done = working.run("run", "echo a", "--id", "later", "--delay", "1")
    assert done.stderr.count("job later has not run yet: ") == 1


def test_cancelled_or_deleted_meanwhile_it_ends_with_a_code_of_its_own(home):
    process = begun(home, "true", "--id", "out", "--hold", "--quiet")
    home.run("cancel", "out")
    assert process.communicate(timeout=20) == (b"", b"") and process.returncode == 125
    process = begun(home, "true", "--id", "gone", "--hold", "--quiet", "--json")
    with raw(home.queue) as connection:
        connection.execute("DELETE FROM jobs WHERE id = 'gone'")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (125, b"")
    assert b'"message": "job gone was deleted before it was seen to end"' in err


def test_a_running_one_that_is_cancelled_ends_by_its_signal(working):
    process = begun(working, "exec sleep 99", "--id", "cut")
    working.wait_for_state("cut", "processing")
    working.run("cancel", "cut")
    assert process.wait(20) == 143 and process.communicate() == (b"", b"")


# ---------------------------------------------------------------- left alone, and come back to


@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_who_is_interrupted_leaves_the_job_and_says_how_to_come_back(working, tmp_path, name, code):
    go = str(tmp_path / "go")
    words = (PATIENT % go, "--max-retries", "0", "--id", name)
    process = begun(working, *words)
    assert process.stdout.readline() == b"begun\n"
    process.send_signal(getattr(signal, name))
    assert process.wait(20) == code
    said = process.communicate()[1].decode()
    text = "queuectl: error: interrupted; job %s goes on: `logs -f %s` follows it, as the same call with --attach does"
    assert said.startswith(text % (name, name)) and said.count("\n") == 1
    assert working.state(name) == "processing"
    again = begun(working, *words, "--attach")
    assert again.stdout.readline() == b"begun\n"
    let_go_at(go)
    assert again.wait(20) == 5 and again.communicate() == (b"done\n", b"")
    assert working.run("run", *words, "--attach", code=5).stdout == "begun\ndone\n", "it is final"
    assert len(working.job(name)["history"]) == 1


def let_go_at(path):
    with open(path, "w"):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_interrupt_between_the_commit_and_the_word_is_lost(near, monkeypatch, number):
    enqueue = add.Asked.enqueue

    def then_interrupted(self, queue):
        identifier = enqueue(self, queue)
        os.kill(os.getpid(), number)
        return identifier

    monkeypatch.setattr(add.Asked, "enqueue", then_interrupted)
    monkeypatch.setattr(room, "follow", lambda *words: 0)  # in place of waiting for ever
    before = signal.getsignal(number)
    said = near.run("run", "true", code=128 + number).stderr
    (job,) = near.run("list", "--json").json
    assert "interrupted; job %s goes on" % job["id"] in said and "--attach --id " + job["id"] in said
    assert signal.getsignal(number) == before


def test_whoever_reads_no_more_ends_the_call_and_not_the_job(working, tmp_path):
    go = str(tmp_path / "go")
    process = begun(working, PATIENT % go, "--id", "unread", "--max-retries", "0")
    process.stdout.close()
    let_go_at(go)
    assert process.wait(20) == 141
    told = process.stderr.read()
    assert told == b"nobody reads the output any more; job unread goes on: `logs -f unread` follows it\n"
    working.wait_for_state("unread", "dead")
    assert working.job("unread")["exit_code"] == 5


def test_a_trouble_of_the_host_says_that_the_job_goes_on(near, monkeypatch):
    def refuses(*words):
        raise HostError("the database is locked", "locked")

    near.add("true", "--id", "there")
    monkeypatch.setattr(output.Follower, "news", refuses)
    said = near.run("run", "true", code=3).stderr
    assert "the database is locked; job " in said and " goes on: `logs -f " in said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full")
def test_a_full_disk_behind_its_output_says_that_the_job_goes_on(working):
    with open("/dev/full", "wb") as full:
        words = working.command("run", "echo out", "--id", "full")
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, env=working.environment(), timeout=60)
    assert done.returncode == 3
    assert done.stderr == (
        b"queuectl: error: its output cannot be printed: No space left on device;"
        b" job full goes on: `logs -f full` follows it\n"
    )
    working.wait_for_state("full", "completed")


# ---------------------------------------------------------------- one that is there


def test_only_the_same_command_is_attached_to(home):
    home.add("echo a", "--id", "text", "--unique", "k")
    home.run("add", "--id", "words", "--", "echo", "a")
    for words, said in (
        (["echo b", "--attach", "--id", "text"], 'job text, which has this id, runs another command, "echo a"'),
        (["--attach", "--id", "text", "--", "echo", "a"], "runs another command"),
        (["echo a", "--attach", "--id", "words"], 'another command, "echo a"'),
        (["echo b", "--unique", "k"], 'job text, which has this key, runs another command, "echo a"'),
        (["echo a", "--id", "text"], "job text exists already: nothing was added; with --attach it is followed"),
    ):
        done = home.run("run", *words, code=1)
        assert said in done.stderr and "nothing was added" in done.stderr
    assert "--attach goes with --id ID" in home.run("run", "true", "--attach", code=2).stderr
    assert "`worker start` runs what waits" in home.run("run", code=2).stderr
    assert home.run("status", "--json").json["pending"] == 2


def test_one_that_holds_its_key_is_followed_and_told(working, tmp_path):
    go = str(tmp_path / "go")
    working.run("add", PATIENT % go, "--id", "holder", "--unique", "k", "--max-retries", "0")
    words = working.command("run", PATIENT % go, "--unique", "k")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=working.environment())
    assert b'job holder with the key "k" is ' in process.stderr.readline()
    let_go_at(go)
    assert process.wait(20) == 5 and process.communicate()[0] == b"begun\ndone\n"


def test_a_job_that_came_meanwhile_is_attached_to(near, monkeypatch):
    """Between the look for it and the enqueue another call has added it."""
    near.add("true", "--id", "one")
    near.run("cancel", "one")
    look, seen = showing.job, []

    def not_at_first(database, identifier):
        if not seen:
            seen.append(identifier)
            return look(database, "nobody")
        return look(database, identifier)

    monkeypatch.setattr(showing, "job", not_at_first)
    assert "was cancelled before it ran" in near.run("run", "true", "--id", "one", "--attach", code=125).stderr


def test_attempts_that_ended_before_the_first_look_come_too(near, monkeypatch):
    enqueue = add.Asked.enqueue

    def then_tried_twice(self, queue):
        identifier = enqueue(self, queue)
        for number, kind in enumerate(["failed", "completed"]):
            (held,) = claim(queue, time.time() + 100000 * number)
            outcome = Outcome(held, kind, time.time() + 1, None if number else "exit code 1")
            outcome.exit_code, outcome.stdout, outcome.stdout_bytes = 1 - number, b"try %d\n" % number, 6
            queue.exchange("w-1", [outcome], 0, time.time() + 1, SETTINGS)
        return identifier

    monkeypatch.setattr(add.Asked, "enqueue", then_tried_twice)
    assert near.run("run", "true", "--id", "quick").stdout == "try 0\ntry 1\n"
    monkeypatch.setattr(add.Asked, "enqueue", enqueue)
    assert near.run("run", "true", "--id", "quick", "--attach").stdout == "try 1\n", "as `logs -f`"


@pytest.mark.parametrize("text", ["\x1b[2J\x07", "a\u202eb", "\x9b31m", "x\x7fy", "\r\nover"])
def test_what_another_has_put_into_its_command_drives_no_terminal(near, text):
    near.run("add", "--id", "foreign", "--unique", "k", "--", "echo", text)
    for words in (["--attach", "--id", "foreign"], ["--unique", "k"]):
        said = near.run("run", "true", *words, code=1).stderr
        assert said.endswith("\n") and said[:-1].isprintable() and "runs another command" in said
