"""What cannot be seen is not taken for dead: jobs in another PID namespace, and hosts without /proc (root on Linux)."""

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.home import contents, ledger, let_go
from helpers.processes import end_process, is_running
from helpers.waiting import wait_until

from queuectl_lib.store import roster, showing

APART = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
# Nothing but an empty folder is at /proc: neither /proc nor `ps` show a process.
UNSEEN = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]


def is_refused(words):
    return subprocess.run(words + ["true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or is_refused(APART) or is_refused(UNSEEN),
    reason="only root on Linux can make namespaces, and here none can be made otherwise",
)

PATIENT = "echo begun >> ledger; while [ ! -e go ]; do sleep 0.05; done; echo done >> ledger"

# What it has inherited of the run lock it gives up, for all who share that.
UNLOCKING = "%s -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_UN)'; %s" % (sys.executable, PATIENT)


@pytest.fixture(autouse=True)
def nothing_is_left_apart(home):
    """What was started in a namespace of its own ends with it: the pids in its life files mean others here."""
    yield
    apart = [process for process in home.started if process.args[: len(APART)] == APART]
    for process in apart:
        process.kill()
        process.wait()
    if apart:
        wait_until(lambda: not roster.members(home.queue.folder), "what was apart to be gone")


def start_in(home, within, *words):
    log = home.path + "-%d.log" % len(home.started)
    with open(log, "wb") as file:
        command = within + home.command("worker", "start", "--backoff-base", "0", *words)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=home.environment())
    process.log = log
    home.started.append(process)
    return process


def orphan_of_a_container(home, *options, command=PATIENT):
    """A job whose worker, in a PID namespace of its own, was killed; it lives. The pid of its container's init."""
    home.run("add", command, "--id", "job", "--cwd", home.path, "--max-retries", "1", *options)
    container = subprocess.Popen(APART + ["sleep", "600"])
    init = int(
        wait_until(
            lambda: contents("/proc/%d/task/%d/children" % (container.pid, container.pid)).strip(), "the container"
        )
    )
    inside = ["nsenter", "-t", str(init), "-p", "-m"]
    worker = start_in(home, inside)
    wait_until(lambda: "begun" in ledger(home), "the job to run")
    mine = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if is_part(pid, home)]
    for pid in mine:
        end_process(pid)
    worker.wait()
    wait_until(lambda: not roster.members(home.queue.folder), "the workers to be gone")
    return container, init


def is_part(pid, home):
    """Whether *pid* is a supervisor or worker of this home."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as words, open("/proc/%d/environ" % pid, "rb") as environment:
            text = words.read()
            ours = home.path.encode() in text or b"multiprocessing" in text
            return ours and b"QUEUECTL_TOKEN=" not in environment.read() and _started_here(pid, home)
    except OSError:
        return False


def _started_here(pid, home):
    return any(home.path in os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid))


@pytest.mark.parametrize("second", [[], APART])
@pytest.mark.parametrize("command", [PATIENT, UNLOCKING], ids=["as it is", "unlocked"])
def test_a_job_in_another_pid_namespace_is_adopted_and_goes_on_to_its_end(home, second, command):
    container, init = orphan_of_a_container(home, command=command)
    try:
        worker = start_in(home, second)
        wait_until(lambda: "adopted from" in contents(worker.log), "the job to be adopted")
        time.sleep(1)
        assert home.state("job") == "processing" and "killed" not in contents(worker.log)
        let_go(home)
        home.wait_for_state("job", "completed")
        assert ledger(home) == ["begun", "done"]
    finally:
        end_process(init)
        container.wait()


def test_a_job_that_cannot_be_signalled_from_here_is_told_of_and_waited_for(home):
    home.run("config", "set", "grace", "0.2")
    container, init = orphan_of_a_container(home, "--timeout", "1")
    try:
        worker = start_in(home, APART)
        said = "job job cannot be ended: still alive: processes that cannot be seen from here"
        wait_until(lambda: said in contents(worker.log), "it to be told")
        assert home.state("job") == "processing" and ledger(home) == ["begun"]
        end_process(init)  # with which all that is in there ends
        wait_until(lambda: "timed out after 1 s" in contents(worker.log), "the end of it")
    finally:
        end_process(init)
        container.wait()


@pytest.mark.parametrize("how", ["timeout", "cancel", "stop --now"])
def test_without_any_table_our_own_child_and_its_group_are_ended_by_their_number(home, how):
    home.run("config", "set", "grace", "0.5")
    command = "echo $$ > pid; trap '' TERM; sleep 60 & while :; do sleep 0.05; done"
    home.run(
        "add",
        command,
        "--id",
        "job",
        "--cwd",
        home.path,
        "--max-retries",
        "0",
        *(["--timeout", "1"] * (how == "timeout")),
    )
    worker = start_in(home, UNSEEN)
    pid = int(wait_until(lambda: contents(os.path.join(home.path, "pid")).strip(), "the job to run"))
    if how == "cancel":
        home.run("cancel", "job")
    if how == "stop --now":
        home.run("worker", "stop", "--now")
    expected = {"timeout": "dead", "cancel": "cancelled", "stop --now": "pending"}[how]
    home.wait_for_state("job", expected)
    assert not is_running(pid)
    assert showing.job(home.queue.database, "job")["history"][0]["leftovers"] is None, contents(worker.log)


def test_without_any_table_an_orphan_is_adopted_and_finishes(home):
    home.run("add", PATIENT, "--id", "job", "--cwd", home.path, "--max-retries", "0")
    start_in(home, UNSEEN)
    wait_until(lambda: "begun" in ledger(home), "the job to run")
    os.kill(home.workers()[0]["pid"], signal.SIGKILL)
    time.sleep(1)
    let_go(home)
    home.wait_for_state("job", "completed")
    assert ledger(home) == ["begun", "done"]
