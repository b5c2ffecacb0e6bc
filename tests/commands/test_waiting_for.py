"""`wait` and `add --wait`: which jobs they are about, what they say meanwhile, and how they end."""

import json
import os
import signal
import subprocess
import time

import pytest
from helpers.marks import posix_only
from helpers.queue import claim
from helpers.terminals import THE_END, read_to_the_end

from queuectl_lib.store import awaited, pruning, waiting
from queuectl_lib.store.pruning import Deleting

pytestmark = posix_only


@pytest.fixture
def home(near):
    return near


def one_of_each(home):
    """Jobs that completed, died and were cancelled, by these ids."""
    home.run("enqueue", '[{"id": "good", "command": "true"}, {"id": "bad", "command": "exit 3", "max_retries": 0}]')
    home.run("add", "true", "--id", "out", "--delay", "1h")
    home.run("cancel", "out")
    home.drain()


def begun(home, *words):
    """A call that waits: its process, once it has said that nobody works."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(home.command(*words), env=home.environment(), **pipes)
    assert process.stderr.readline() == b"no worker is running: `queuectl.py worker start` starts one\n"
    return process


def test_what_was_final_before_is_none_of_its_business(home):
    one_of_each(home)
    done = home.run("wait", "--json")
    assert done.stderr == "" and sum(done.json[state] for state in ("completed", "dead", "cancelled")) == 0
    home.run("add", "true", "--delay", "1h")
    assert home.run("wait", "--timeout", "0", code=124).stderr == "timed out: 1 job is not final\n"


def test_what_is_added_meanwhile_is_not_waited_for(home):
    home.run("add", "exit 3", "--max-retries", "0")
    process = begun(home, "wait")
    home.run("add", "true", "--delay", "1h", "--id", "later")
    home.start()
    assert process.wait(20) == 1 and home.state("later") == "pending"
    assert process.communicate()[1] == b"not all completed: 1 dead\n"


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_failure_is_told_as_it_comes_where_that_is_asked_for(home, is_asked):
    home.run("add", "echo broken >&2; exit 3", "--id", "bad", "--max-retries", "0")
    home.run("add", "true", "--delay", "1h", "--id", "later")
    process = begun(home, "wait", *["--verbose"] * is_asked)
    home.start()
    if is_asked:
        assert process.stderr.readline() == b"job bad is dead: exit 3: broken\n"
        assert process.poll() is None
    home.wait_for_state("bad", "dead")
    home.run("cancel", "later")
    assert process.wait(20) == 1
    told = "job later was cancelled: cancelled before it ran\n" if is_asked else ""
    assert process.communicate()[1].decode() == told + "not all completed: 1 dead, 1 cancelled\n"


def test_what_ends_while_it_is_asked_who_is_left_is_not_left(home, monkeypatch):
    home.run("add", "true", "--delay", "1h", "--id", "later")
    real = waiting.for_a_person

    def late(*facts):
        if home.state("later") != "cancelled":
            home.queue.cancel(["later"], time.time())
        return real(*facts)

    monkeypatch.setattr(waiting, "for_a_person", late)
    assert home.run("wait", code=1).stderr == "not all completed: 1 cancelled\n"


def test_of_many_failures_at_once_the_first_are_named(home):
    home.run("enqueue", "-", input='{"command": "true", "delay": 3600}\n' * 8)
    process = begun(home, "wait", "--verbose")
    home.run("cancel", "--all")
    assert process.wait(20) == 1
    lines = process.communicate()[1].decode().splitlines()
    assert [line.split()[0] for line in lines] == ["job"] * 5 + ["and", "not"]
    assert lines[5] == "and 3 more: `queuectl.py dlq list`"


def test_a_terminal_is_told_without_being_asked(home):
    home.run("add", "true", "--id", "out", "--delay", "1h")
    import pty  # which Windows has not

    ours, theirs = pty.openpty()
    process = subprocess.Popen(home.command("wait", "out"), stderr=theirs, env=home.environment())
    assert os.read(ours, 65536).startswith(b"no worker is running")
    home.run("cancel", "out")
    assert process.wait(20) == 1
    os.write(theirs, THE_END)
    said = read_to_the_end(ours).decode()
    os.close(ours)
    os.close(theirs)
    assert "job out was cancelled: cancelled before it ran" in said


# ---------------------------------------------------------------- ids, the first, the code


def test_ids_come_from_standard_input(home):
    one_of_each(home)
    assert home.run("wait", "-", input="good\n").stderr == ""
    assert home.run("wait", "bad", "-", input="good bad\r\n", code=1).stderr == "not all completed: 1 dead\n"
    assert home.run("wait", "-", input="").stderr == "no id came on standard input: there is nothing to wait for\n"
    assert '"nope"' in home.run("wait", "-", input="good\nnope\n", code=1).stderr
    assert "is not an id" in home.run("wait", "-", input=b"good\n\xff\n", code=2).stderr


def test_any_ends_at_the_first_and_names_it(home):
    one_of_each(home)
    home.run("add", "true", "--id", "later", "--delay", "1h")
    assert home.run("wait", "--any", "later", "good").stdout == "good\n"
    assert home.run("wait", "--any", "later", "bad", code=1).stdout == "bad\n"
    found = home.run("wait", "--any", "--json", "later", "good").json
    assert found["ended"] == ["good"] and found["timed_out"] is False
    assert home.run("wait", "--any", "later", "--timeout", "0", code=124).stdout == ""


def test_json_names_what_did_not_complete(home):
    one_of_each(home)
    home.run("add", "true", "--id", "mend", "--after-fail", "good")
    home.run("add", "true", "--id", "later", "--delay", "1h")
    home.drain("--max-time", "0")
    found = home.run("wait", "good", "bad", "out", "mend", "later", "--timeout", "0", "--json", code=124).json
    expected = [("bad", "dead"), ("out", "cancelled"), ("later", "pending")]
    assert sorted((one["id"], one["state"]) for one in found["not_completed"]) == sorted(expected)
    assert found["not_needed"] == 1


CODES = [
    ("true", [], 0),
    ("exit 3", [], 3),
    ("exit 3", ["--ok-codes", "0,3"], 3),
    ("kill -TERM $$", [], 143),
    ("sleep 60", ["--timeout", "0.1"], 143),
    ("echo dead >> $QUEUECTL_CONTROL; exit 0", [], 1),  # 0 would say that it completed
]


@pytest.mark.parametrize("command, options, code", CODES)
def test_the_code_of_one_job_is_that_of_the_call(home, command, options, code):
    job = home.run("add", command, "--max-retries", "0", *options).id
    home.drain()
    home.run("wait", job, "--exit-code", code=code) if code not in (2, 3) else exits(home, job, code)


def exits(home, job, code):
    """As home.run, which takes these codes for refusals."""
    assert subprocess.call(home.command("wait", job, "--exit-code"), env=home.environment()) == code


def test_a_cancelled_job_has_no_code_of_its_own(home):
    one_of_each(home)
    home.run("wait", "out", "--exit-code", code=1)
    home.run("add", "true", "--id", "later", "--delay", "1h")
    home.run("wait", "later", "--exit-code", "--timeout", "0", code=124)


@pytest.mark.parametrize("words", [[], ["good", "bad"], ["good", "--any"], ["good", "--state", "dead"]])
def test_one_code_is_that_of_one_job(home, words):
    assert "--exit-code is that of one job" in home.run("wait", "--exit-code", *words, code=2).stderr


def test_a_job_that_is_deleted_unseen_ends_the_wait_and_is_no_success(home, monkeypatch):
    home.run("add", "true", "--id", "gone", "--delay", "1h")
    look = awaited.Awaited.look

    def deleted(self):
        if self.found and not self.gone:
            home.queue.cancel(["gone"], 0.0)
            pruning.delete_ids(home.queue.database, ["gone"], Deleting(["cancelled"]), 0.0)
        return look(self)

    monkeypatch.setattr(awaited.Awaited, "look", deleted)
    done = home.run("wait", "gone", "--json", code=1)
    assert done.json["not_completed"] == [{"id": "gone", "state": "deleted"}]
    assert done.stderr == "not all completed: 1 deleted before they were seen to end\n"


def test_what_waits_and_what_runs_is_seen_at_one_moment(home):
    home.run("enqueue", json.dumps([{"id": name, "command": "true"} for name in "abc"]))
    claim(home.queue, time.time(), 1)
    found = awaited.all_open(home.queue.database)
    assert (found.ids(), list(found.found.values())) == (["a", "b", "c"], ["processing", "pending", "pending"])


# ---------------------------------------------------------------- add --wait


def test_add_waits_and_exits_with_the_code_of_the_job(home):
    home.start()
    home.wait_for_workers(1)
    done = home.run("add", "exit 7", "--max-retries", "0", "--wait", code=7)
    assert home.state(done.id) == "dead" and done.stderr == ""
    assert home.run("add", "true", "--wait", "--quiet").stdout == ""
    assert home.run("add", "true", "--wait", "--json").json["state"] == "completed"
    said = home.run("add", "exit 7", "--max-retries", "0", "--wait", "--verbose", code=7)
    assert said.stderr == "job %s is dead: exit 7\n" % said.id or "exit code 7" in said.stderr


def test_add_that_waits_says_that_nobody_works_and_ctrl_c_leaves_the_job(home):
    process = begun(home, "add", "true", "--id", "stays", "--wait")
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, b"stays\n")
    assert b"error: interrupted; job stays stays in the queue: `wait stays --exit-code` waits for it\n" in said
    assert home.state("stays") == "pending"


def test_add_waits_for_the_job_that_has_its_key(home):
    home.run("add", "exit 7", "--id", "first", "--unique", "k", "--max-retries", "0")
    process = subprocess.Popen(
        home.command("add", "true", "--unique", "k", "--wait"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=home.environment(),
    )
    assert b"nothing was added" in process.stderr.readline()
    home.start()
    assert process.wait(20) == 7
    assert process.communicate()[0] == b"first\n"
