"""`cancel` and what attempts left running: it is named, and with --leftovers ended, and nobody else ever is."""

import os
import re
import shutil
import subprocess

import pytest
from helpers.home import Home, contents
from helpers.marks import needs_proc
from helpers.processes import end_process, is_running
from helpers.waiting import wait_until

from queuectl_lib.run import concluding

pytestmark = needs_proc


@pytest.fixture
def left(home):
    """A home with the failed job `job`, the sleeper that it left, and its pid."""
    home.add("sleep 600 & echo $! > pid; exit 1", "--id", "job", "--backoff", "fixed:1h", "--cwd", home.path)
    home.run("worker", "start", "--background")
    home.wait_for_state("job", "failed")
    home.run("worker", "stop")
    home.pid = int(contents(os.path.join(home.path, "pid")))
    yield home
    end_process(home.pid)


def test_what_was_left_running_is_named_and_left_alone(left):
    done = left.run("cancel", "job")
    assert re.match(r"job job was cancelled; an attempt of it left running: pid %d \(sleep\); " % left.pid, done.stderr)
    assert done.stderr.endswith("`cancel --leftovers job` ends that\n")
    assert left.state("job") == "cancelled" and is_running(left.pid)


@pytest.mark.parametrize("words", [["job"], ["--state", "failed"]])
def test_it_is_ended_where_that_is_asked_for(left, words):
    said = left.run("cancel", "--leftovers", *words).stderr
    assert "ended what job job had left running: pid %d (sleep)\n" % left.pid in said
    wait_until(lambda: not is_running(left.pid), "the sleeper to end")
    assert left.state("job") == "cancelled"


def test_that_can_be_asked_for_afterwards(left):
    left.run("cancel", "job")
    left.run("cancel", "job", code=1)
    left.run("cancel", "--leftovers", "job")
    wait_until(lambda: not is_running(left.pid), "the sleeper to end")
    assert left.run("cancel", "--leftovers", "job").stderr == "nothing was left running here\n"


def test_nothing_is_ended_where_one_of_the_ids_is_none(left):
    left.run("cancel", "--leftovers", "job", "nope", code=1)
    assert left.state("job") == "failed" and is_running(left.pid)


def test_in_a_copy_nothing_of_the_original_is_named_or_ended(left, tmp_path):
    copy = Home(tmp_path / "copy")
    shutil.copytree(left.path, copy.path, ignore=shutil.ignore_patterns("bell"))
    assert copy.run("cancel", "--leftovers", "job").stderr == "nothing was left running here\n"
    assert copy.state("job") == "cancelled" and is_running(left.pid)


def test_a_stranger_that_has_read_the_run_file_is_not_touched(left):
    (name,) = [name for name in os.listdir(left.db + ".d/attempts") if name.endswith(".run")]
    with open(os.path.join(left.db + ".d/attempts", name), "rb") as file:
        stranger = subprocess.Popen(["sleep", "600"], stdin=file)
    try:
        left.run("cancel", "--leftovers", "job")
        wait_until(lambda: not is_running(left.pid), "the sleeper to end")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_one_that_resists_is_told(left, monkeypatch, near):
    monkeypatch.setattr(concluding, "end_left", lambda *_: "pid 7 (stuck)")
    said = near.run("cancel", "--leftovers", "job", code=1).stderr
    assert said == "what job job left running cannot be ended: pid 7 (stuck)\n"
    assert near.state("job") == "cancelled" and is_running(left.pid)
