"""A stop that reaches everything at once, as at the end of a host or a container: what it ends is given back."""

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.home import contents
from helpers.marks import posix_only
from helpers.processes import is_running
from helpers.waiting import wait_until

from queuectl_lib.store import finding, roster, showing

pytestmark = [posix_only, pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")]


def everything(home):
    """The pids of supervisor, workers, watchers and commands."""
    marks = (home.path.encode(), b"QUEUECTL_TOKEN=")
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % entry, "rb") as environment, open("/proc/%s/cmdline" % entry, "rb") as words:
                text = environment.read()
                if (marks[0] in text and marks[1] in text) or marks[0] in words.read():
                    found.append(int(entry))
        except OSError:
            continue
    return found


def ended(process):
    """Its exit code once it has ended; who does not end in time is told of with its log and all that runs."""
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        running = subprocess.run(["ps", "-eo", "pid,ppid,stat,etimes,args"], capture_output=True, text=True).stdout
        raise AssertionError("%d has not ended\n%s\n%s" % (process.pid, contents(process.log), running)) from None


def signal_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def begin(home, command, *options):
    """A worker that runs the job "job", which has begun; the process of its supervisor, and all pids there are."""
    home.run("add", "touch begun; " + command, "--id", "job", "--cwd", home.path, "--max-retries", "0", *options)
    process = home.start("--count", "2")
    wait_until(lambda: os.path.exists(os.path.join(home.path, "begun")), "the job to run")
    pids = [member["pid"] for member in roster.members(home.queue.folder)]
    return process, sorted(set(everything(home) + pids))


def given_back(home):
    job = showing.job(home.queue.database, "job")
    ends = [(attempt["outcome"], attempt["error"]) for attempt in job["history"]]
    return (job["state"], job["attempts"]) == ("pending", 0) and [end[0] for end in ends] == ["given back"], ends


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_what_a_signal_to_everything_at_once_ends_is_given_back(home, name, order):
    process, pids = begin(home, "exec sleep 60")
    signal_all(pids[::order], getattr(signal, name))
    assert ended(process) == 0
    assert given_back(home)[0], (given_back(home), contents(process.log))
    assert "SIG" in given_back(home)[1][0][1]
    assert os.listdir(home.queue.folder.workers) == []


def test_a_job_whose_death_is_seen_well_before_the_stop_is_given_back(home):
    process, pids = begin(home, "exec sleep 60")
    signal_all(
        [pid for pid in pids if pid not in [one["pid"] for one in roster.members(home.queue.folder)]], signal.SIGTERM
    )
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 0
    assert given_back(home)[0], (given_back(home), contents(process.log))


@pytest.mark.parametrize(
    "command", ["trap '' TERM; while :; do sleep 0.1; done", "trap 'exit 3' TERM; trap '' TERM; sleep 60"]
)
def test_what_is_killed_together_with_everything_after_a_stop_is_given_back_by_the_next_worker(home, command):
    process, pids = begin(home, command)
    signal_all(pids, signal.SIGTERM)
    time.sleep(1)
    signal_all(sorted(set(everything(home) + pids)), signal.SIGKILL)
    ended(process)
    wait_until(lambda: not any(is_running(pid) for pid in everything(home)), "all to be gone")
    home.run("add", "true", "--id", "other")
    second = home.start()
    wait_until(
        lambda: [one["outcome"] for one in showing.job(home.queue.database, "job")["history"]][:1] == ["given back"],
        "the first attempt to be given back",
    )
    home.run("worker", "stop", "--now")
    ended(second)
    assert showing.job(home.queue.database, "job")["attempts"] == 0
    assert [name for name in os.listdir(home.queue.folder.workers) if not name.endswith(".life")] == []


@pytest.mark.parametrize("end", ["kill -TERM $$", "kill -KILL $$", "exit 143", "kill -TERM $(ps -o ppid= -p $PPID) $$"])
def test_a_signal_without_a_stop_is_a_failure_as_ever(home, end):
    home.run("add", end, "--id", "job", "--max-retries", "0")
    began = time.monotonic()
    home.drain()
    assert finding.states_of(home.queue.database, ["job"]) == ["dead"]
    assert time.monotonic() - began < 12


def test_a_failure_of_its_own_and_a_success_count_also_beside_a_stop(home):
    home.run(
        "add",
        "trap 'exit 3' TERM; touch begun; sleep 60 & wait",
        "--id",
        "job",
        "--cwd",
        home.path,
        "--max-retries",
        "0",
    )
    process = home.start()
    wait_until(lambda: os.path.exists(os.path.join(home.path, "begun")), "the job to run")
    pids = sorted(set(everything(home)))
    signal_all(pids, signal.SIGTERM)
    assert ended(process) == 0
    assert finding.states_of(home.queue.database, ["job"]) == ["dead"]


def test_a_death_long_after_the_stop_is_a_failure(home):
    home.run("config", "set", "grace", "0.3")
    process, pids = begin(home, "while [ ! -e go ]; do sleep 0.05; done; kill -KILL $$")
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: "stopping:" in contents(process.log), "the stop")
    time.sleep(1.5)
    open(os.path.join(home.path, "go"), "w").close()
    assert ended(process) == 0
    assert finding.states_of(home.queue.database, ["job"]) == ["dead"]


def test_a_command_that_exits_0_within_the_grace_time_of_stop_now_is_completed(home):
    process, pids = begin(home, "trap 'echo saved; exit 0' TERM; while :; do sleep 0.05; done")
    home.run("worker", "stop", "--now")
    ended(process)
    job = showing.job(home.queue.database, "job")
    assert (job["state"], job["attempts"]) == ("completed", 1)


def test_a_command_that_exits_0_while_it_is_cancelled_is_cancelled(home):
    process, pids = begin(home, "trap 'exit 0' TERM; while :; do sleep 0.05; done")
    home.run("cancel", "job")
    assert finding.states_of(home.queue.database, ["job"]) == ["cancelled"]
