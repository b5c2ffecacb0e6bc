"""Reaping: as PID 1 of a container, or as a subreaper, a supervisor inherits what jobs leave behind."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
from helpers.home import contents, wait_for_log
from helpers.neighbours import needs_root
from helpers.waiting import wait_until

from queuectl_lib.host import processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="subreapers and PID namespaces of Linux")

SUBREAPER = """
import ctypes, os, sys
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
LEAVES_DAEMONS = "for n in 1 2 3; do (setsid sleep 0.2 &) ; done; exit 7"
AS_PID_1 = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def children(pid):
    """(pid, state) of each child of *pid*, zombies included."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        words = contents("/proc/%s/stat" % entry).rpartition(")")[2].split()
        if words and int(words[1]) == pid:
            found.append((int(entry), words[0]))
    return found


def start_as(home, prefix, *words):
    log = home.path + ".log"
    with open(log, "wb") as file:
        process = subprocess.Popen(
            prefix + home.command("worker", "start", *words),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=home.environment(),
        )
    process.log = log
    home.started.append(process)
    wait_for_log(process, "worker started")
    return process


def check(home, supervisor, process):
    """Run jobs that leave daemons behind, kill a worker, and see that all is reaped, and each once."""
    jobs = [home.add(LEAVES_DAEMONS, "--max-retries", "0") for _ in range(5)]
    for job in jobs:
        home.wait_for_state(job, "dead")
        assert home.job(job)["last_error"] == "exit code 7"
    worker = next(pid for pid, _ in children(supervisor) if b"spawn_main" in cmdline(pid))
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: "died (killed by SIGKILL)" in contents(process.log), "the supervisor to know of it")
    job = home.add("true")
    home.wait_for_state(job, "completed")
    wait_until(lambda: "Z" not in {state for _, state in children(supervisor)}, "no zombie to be left", 5)


def cmdline(pid):
    with contextlib.suppress(OSError), open("/proc/%d/cmdline" % pid, "rb") as file:
        return file.read()
    return b""  # it has been reaped meanwhile


def test_a_supervisor_that_is_a_subreaper_reaps_what_jobs_leave_and_its_workers_as_ever(home):
    process = start_as(home, home.python + ["-c", SUBREAPER])
    check(home, process.pid, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@needs_root
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_supervisor_that_is_pid_1_reaps_what_jobs_leave_and_heeds_signals(home, name):
    if subprocess.call(AS_PID_1 + ["true"], stderr=subprocess.DEVNULL) != 0:
        pytest.skip("no PID namespace can be made here")
    process = start_as(home, AS_PID_1)
    assert "supervisor started, pid 1," in contents(process.log)
    supervisor = children(process.pid)[0][0]
    check(home, supervisor, process)
    os.kill(supervisor, getattr(signal, name))
    assert process.wait(20) == 0
    assert contents(process.log).rstrip().endswith("supervisor stopped")


def test_an_exit_status_that_somebody_waits_for_is_left_alone():
    ours = subprocess.Popen(["true"])
    wait_until(lambda: os.waitid(os.P_PID, ours.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT), "it to end")
    processes.reap_strangers(lambda: {ours.pid})  # what other tests left, too
    assert processes.reap_strangers(lambda: {ours.pid}) == 0
    assert ours.wait(5) == 0
