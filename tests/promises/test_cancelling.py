"""Cancelling: what waits never runs, what runs is ended with its whole tree, and nobody else is touched."""

import contextlib
import errno
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys

import pytest
from helpers.home import contents, wait_for_log
from helpers.marks import posix_only
from helpers.processes import end_process, is_running
from helpers.queue import NOW, SETTINGS, claim, enqueue, settle
from helpers.waiting import wait_until

import queuectl
from queuectl_lib.errors import HostError
from queuectl_lib.host import processes
from queuectl_lib.run import run_file
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.launching import CannotStart
from queuectl_lib.run.spare_files import SpareFiles
from queuectl_lib.store import finding, roster, showing


@pytest.fixture
def home(near):
    return near


pytestmark = posix_only
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="such processes are found through /proc only")

# Starts one process of every kind that a tree can hold; each writes its pid into `pids`.
TREE = r"""
import os, subprocess, sys, time

def note():
    with open("pids", "a") as file:
        file.write("%s %d\n" % (kind, os.getpid()))

def fork():
    return os.fork() == 0

def stay():
    time.sleep(60)
    os._exit(0)

kind = "own session"
if fork():
    os.setsid()
    note()
    stay()

kind = "own session, closed descriptors"
if fork():
    os.setsid()
    os.closerange(0, 64)
    note()
    stay()

kind = "forked twice"
if fork():
    os.setsid()
    if fork():
        note()
        stay()
    os._exit(0)

kind = "forked twice, closed descriptors"
if fork():
    os.setsid()
    if fork():
        os.chdir(".")
        os.closerange(0, 64)
        note()
        stay()
    os._exit(0)

kind = "ignores TERM"
if fork():
    import signal
    for name in ("TERM", "HUP", "INT"):
        signal.signal(getattr(signal, "SIG" + name), signal.SIG_IGN)
    note()
    stay()

kind = "stopped"
if fork():
    import signal
    note()
    os.kill(os.getpid(), signal.SIGSTOP)
    stay()

started = [
    ["empty environment", "env -i /bin/sh -c 'echo empty environment $$ >> pids; exec sleep 60'"],
    ["background", "echo background $$ >> pids; exec sleep 60"],
    ["job control", "set -m; sleep 60 & echo job control $! >> pids; wait"],
    ["no hangup", "nohup sh -c 'echo no hangup $$ >> pids; exec sleep 60' > /dev/null 2>&1 &"],
]
for kind, command in started:
    subprocess.Popen(["/bin/sh", "-c", command])
kind = "closed descriptors"
child = subprocess.Popen(["sleep", "60"], close_fds=True)
with open("pids", "a") as file:
    file.write("%s %d\n" % (kind, child.pid))
kind = "leader"
note()
time.sleep(60)
"""
KINDS = 12


def pids(home):
    """What a tree has written about itself: kind to pid."""
    pairs = [line.rpartition(" ") for line in contents(os.path.join(home.path, "pids")).splitlines()]
    return {kind: int(pid) for kind, _, pid in pairs}


def add_tree(home, *options):
    path = os.path.join(home.path, "tree.py")
    with open(path, "w") as file:
        file.write(TREE)
    home.run("config", "set", "grace", "0.5")
    words = ["--", sys.executable, path]
    return home.run("add", "--cwd", home.path, "--max-retries", "0", *(list(options) + words)).id


def assert_ended(tree):
    alive = {kind: pid for kind, pid in tree.items() if is_running(pid)}
    for pid in alive.values():
        end_process(pid)
    assert alive == {}


# ---------------------------------------------------------------- waiting jobs


def test_a_cancelled_job_never_runs(home):
    job, later = home.add("echo ran >> ledger", "--cwd", home.path), home.add("true", "--delay", "1h")
    home.run("cancel", job, later)
    home.drain()
    for one in (home.job(job), home.job(later)):
        assert (one["state"], one["attempts"], one["history"]) == ("cancelled", 0, [])
        assert one["finished_at"]
    assert contents(os.path.join(home.path, "ledger")) == ""


def test_a_cancel_of_what_waits_is_done_with_its_commit(home, monkeypatch, capsys):
    """Nothing is read after it: a disk that fails then must not make a cancel look undone."""
    job = home.add("true")

    def fail(*arguments):
        raise HostError("the disk fails")

    for room, name in ((finding, "states_of"), (finding, "running_token"), (showing, "job")):
        monkeypatch.setattr(room, name, fail)
    assert queuectl.main(["--home", home.path, "cancel", job]) == 0, capsys.readouterr().err
    monkeypatch.undo()
    assert home.state(job) == "cancelled"


def test_a_failed_job_that_waits_for_its_retry_can_be_cancelled(home):
    job = home.add("exit 1")
    process = home.start("--backoff-base", "1000", "--drain")
    home.wait_for_state(job, "failed")
    home.run("cancel", job)
    assert showing.job(home.queue.database, job)["state"] == "cancelled"
    assert process.wait(20) == 0, "nothing is left to drain"


def test_several_are_cancelled_all_or_none(home):
    done = home.add("true")
    home.drain()
    first, second = home.add("true"), home.add("true")
    for other, reason in ((done, "is completed already"), ("no-such-job", "no job has the id")):
        result = home.run("cancel", first, other, second, code=1)
        assert reason in result.stderr
        assert finding.states_of(home.queue.database, [first, second]) == ["pending", "pending"]
    home.run("cancel", first, second, first)
    assert finding.states_of(home.queue.database, [first, second]) == ["cancelled", "cancelled"]


def test_a_final_job_cannot_be_cancelled(home):
    home.run(
        "enqueue",
        "-",
        input='{"id": "completed", "command": "true"}\n{"id": "dead", "command": "false",'
        ' "max_retries": 0}\n{"id": "cancelled", "command": "true", "delay": 3600}',
    )
    home.run("cancel", "cancelled")
    home.drain()
    for state in ("completed", "dead", "cancelled"):
        result = home.run("cancel", state, code=1)
        assert "job %s is %s already" % (state, state) in result.stderr
        assert home.state(state) == state


# ---------------------------------------------------------------- running jobs


@needs_proc
def test_cancel_ends_the_whole_tree_of_a_running_job_and_returns_when_it_is_gone(home):
    job = add_tree(home)
    home.start()
    wait_until(lambda: len(pids(home)) == KINDS, "the tree to grow")
    home.run("cancel", job)
    assert_ended(pids(home))
    found = home.job(job)
    assert (found["state"], found["last_error"]) == ("cancelled", "cancelled while it ran")
    assert [attempt["outcome"] for attempt in found["history"]] == ["cancelled"]


@needs_proc
def test_a_timeout_ends_the_whole_tree(home):
    job = add_tree(home, "--timeout", "2")
    home.drain()
    assert len(pids(home)) == KINDS
    assert_ended(pids(home))
    assert showing.job(home.queue.database, job)["last_error"] == "timed out after 2 s"


def test_cancelling_signals_nobody_else(home):
    """A neighbour in the worker's own session, one that looks like the job, and another job live on."""
    marks = {"QUEUECTL_JOB_ID": "mine", "QUEUECTL_HOME": home.path, "QUEUECTL_TOKEN": secrets.token_hex(8)}
    lookalike = subprocess.Popen(["sleep", "60"], env=dict(os.environ, **marks), cwd=home.path)
    home.run(
        "enqueue",
        "-",
        input="\n".join(
            json.dumps({"id": name, "command": "echo $$ > %s; sleep 60" % name, "cwd": home.path})
            for name in ("mine", "other")
        ),
    )
    shell = subprocess.Popen(
        ["/bin/sh", "-c", 'sleep 60 & echo $! > neighbour; exec "$@"', "sh"]
        + home.command("worker", "start", "--count", "2"),
        env=home.environment(),
        cwd=home.path,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    home.started.append(shell)
    names = ("mine", "other", "neighbour")
    wait_until(lambda: all(contents(os.path.join(home.path, name)).strip() for name in names), "all to run")
    running = {name: int(contents(os.path.join(home.path, name))) for name in names}
    try:
        home.run("cancel", "mine")
        assert not is_running(running.pop("mine"))
        assert all(is_running(pid) for pid in running.values()), running
        assert lookalike.poll() is None
        assert shell.poll() is None
        assert [home.state("mine"), home.state("other")] == ["cancelled", "processing"]
        home.run("worker", "stop", "--now")
    finally:
        for pid in running.values():
            end_process(pid)
        lookalike.kill()
        lookalike.wait()


# Is there before the job, takes what it is handed, and hands it on to a child of its own.
STRANGER = r"""
import os, socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind("socket")
server.listen(1)
connection = server.accept()[0]
ancillary = connection.recvmsg(1, socket.CMSG_SPACE(4))[1]
fd = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
os.set_inheritable(fd, True)
child = os.fork()
if child:
    with open("handed.partial", "w") as file:
        file.write("%d %s" % (child, os.readlink("/proc/self/fd/%d" % fd)))
    os.rename("handed.partial", "handed")
time.sleep(60)
"""
HAND_OVER = r"""
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect("socket")
client.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, (9).to_bytes(4, sys.byteorder))])
"""


@needs_proc
@pytest.mark.parametrize("watcher_is_seen", [True, False])
def test_a_process_that_was_there_before_the_job_and_was_handed_its_lock_is_told_and_never_signalled(
    queue, tmp_path, monkeypatch, watcher_is_seen
):
    monkeypatch.setattr(processes, "KILL_SECONDS", 0.3)
    stranger = subprocess.Popen([sys.executable, "-c", STRANGER], cwd=str(tmp_path))
    wait_until((tmp_path / "socket").exists, "the stranger to listen")
    words = " ".join(map(shlex.quote, [sys.executable, "-c", HAND_OVER]))
    enqueue(queue, command="%s; sleep 60; exit 0" % words, cwd=str(tmp_path))
    attempt = Attempt(queue, claim(queue)[0])
    attempt.start(SETTINGS, SpareFiles(queue))
    attempt.grace = 0.1
    try:
        wait_until((tmp_path / "handed").exists, "the lock to be handed over")
        child, path = contents(str(tmp_path / "handed")).split()
        assert path == attempt.run_path
        known = attempt.tree.members() if watcher_is_seen else []
        assert not {stranger.pid, int(child)} & set(known)
        if not watcher_is_seen:
            os.killpg(attempt.child.pid, signal.SIGKILL)
        attempt.end("cancelled", "cancelled while it ran")
        outcome = wait_until(attempt.poll, "it to be ended")
        name = contents("/proc/%d/comm" % stranger.pid).strip()
        told = ", ".join("pid %d (%s)" % (pid, name) for pid in sorted([stranger.pid, int(child)]))
        assert outcome.leftovers == told + ", to which it handed its lock"
        assert stranger.poll() is None and is_running(int(child))
        attempt.claim.leftovers = [attempt.claim.token]
        with pytest.raises(CannotStart, match="to which it handed its lock"):
            Attempt(queue, attempt.claim).start(SETTINGS, SpareFiles(queue))
        assert stranger.poll() is None and is_running(int(child))
    finally:
        with contextlib.suppress(OSError):
            os.killpg(attempt.child.pid, signal.SIGKILL)
        stranger.kill()
        stranger.wait()
        end_process(int(child))


@pytest.mark.parametrize("refusal", [errno.ENOSYS, errno.EPERM, errno.EMFILE])
def test_where_the_kernel_gives_no_pidfd_a_process_is_ended_all_the_same(monkeypatch, refusal):
    def refused(pid):
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "pidfd_open", refused, raising=False)
    process = subprocess.Popen(["sleep", "60"])
    try:
        start = processes.process_table()[process.pid].start
        processes.send_signal(process.pid, "1", signal.SIGKILL)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        processes.send_signal(process.pid, start, signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()


def test_a_process_that_has_the_pid_of_an_ended_one_is_never_signalled(home):
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        tree = run_file.tree_of(secrets.token_hex(8), os.path.join(home.path, "run"))
        tree.known = {stranger.pid: "1"}  # when the one began that had this pid before
        assert stranger.pid not in tree.members()
        tree.known = {stranger.pid: "1"}
        tree.signal(gently=False)
        processes.send_signal(stranger.pid, "1", signal.SIGKILL)
        with pytest.raises(subprocess.TimeoutExpired):
            stranger.wait(0.3)
    finally:
        stranger.kill()
        stranger.wait()


def test_a_cancelled_job_that_leaves_politely_is_cancelled_and_not_retried(home):
    job = home.add("trap 'echo bye; exit 0' TERM; echo on > begun; while :; do sleep 0.03; done", "--cwd", home.path)
    home.start()
    wait_until(lambda: contents(os.path.join(home.path, "begun")), "the job to run")
    home.run("cancel", job)
    assert home.state(job) == "cancelled"
    assert home.run("logs", job).stdout == "bye\n"
    assert home.job(job)["history"][0]["exit_code"] == 0, "the shell that watches it outlives the signal, and says so"


def test_a_cancelled_job_can_be_requeued_and_runs_from_the_start(home):
    job = home.add('[ -e begun ] || { echo on > begun; sleep 60; }; echo "$QUEUECTL_ATTEMPT"', "--cwd", home.path)
    home.start()
    wait_until(lambda: contents(os.path.join(home.path, "begun")), "the job to run")
    home.run("cancel", job)
    home.run("requeue", job)
    home.wait_for_state(job, "completed")
    found = home.job(job)
    assert [attempt["outcome"] for attempt in found["history"]] == ["cancelled", "completed"]
    assert found["history"][1]["stdout"] == "1\n"
    assert found["attempts"] == 1


def test_a_cancel_without_any_worker_is_kept_for_the_next_one(home):
    job = home.add("echo $$ > pid; sleep 60", "--cwd", home.path)
    process = home.start()
    pid = int(wait_until(lambda: contents(os.path.join(home.path, "pid")).strip(), "the job to run"))
    worker = home.workers()[0]["pid"]
    process.kill()
    process.wait()
    end_process(worker)
    wait_until(lambda: not roster.members(home.queue.folder), "the worker to be gone")
    assert "not ended yet: %s" % job in home.run("cancel", job, code=1).stderr
    assert is_running(pid)
    home.start()
    home.wait_for_state(job, "cancelled")
    assert not is_running(pid)


def test_a_cancel_waits_for_the_worker_that_a_living_supervisor_puts_in_place_of_a_killed_one(home):
    job = home.add("echo on > begun; sleep 60", "--cwd", home.path)
    home.start()
    wait_until(lambda: contents(os.path.join(home.path, "begun")), "the job to run")
    end_process(home.workers()[0]["pid"])
    home.run("cancel", job)
    assert home.state(job) == "cancelled"


def test_a_job_cancelled_between_its_claim_and_its_start_has_had_no_attempt(home):
    """Its worker finds no folder for its files, so the attempt never begins."""
    home.start()
    home.wait_for_workers(1)
    attempts = home.db + ".d/attempts"
    os.rename(attempts, attempts + ".away")
    with open(attempts, "w"):
        pass
    job = home.add("echo on", "--cwd", home.path)
    wait_for_log(home.started[0], "cannot start a job")
    home.run("cancel", job)
    assert home.state(job) == "cancelled"
    found = home.job(job)
    assert (found["attempts"], found["history"], found["started_at"], found["worker"]) == (0, [], None, None)
    assert found["last_error"] == "cancelled before it ran"
    os.unlink(attempts)
    os.rename(attempts + ".away", attempts)
    home.run("requeue", job)
    home.wait_for_state(job, "completed")
    assert [attempt["number"] for attempt in home.job(job)["history"]] == [1]


def test_an_attempt_that_never_was_is_not_counted_beside_one_that_was(queue):
    identifier = enqueue(queue, max_retries=5)
    settle(queue, claim(queue)[0], "failed")
    held = claim(queue, NOW + 100)[0]
    assert held.number == 2
    queue.cancel([identifier], NOW + 101)
    assert settle(queue, held, "given back", NOW + 102, unstarted=True)
    found = showing.job(queue.database, identifier)
    assert (found["state"], found["attempts"]) == ("cancelled", 1)
    assert [attempt["number"] for attempt in found["history"]] == [1]
    queue.requeue([identifier], ("cancelled",), NOW + 103)
    assert claim(queue, NOW + 104)[0].number == 2
