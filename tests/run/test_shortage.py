"""What the host is short of costs no job an attempt: neither processes nor a /dev that can be used."""

import contextlib
import os
import shutil
import subprocess
import sys
import time

import pytest
from helpers.home import contents
from helpers.marks import long, posix_only
from helpers.queue import NOW, SETTINGS, claim
from helpers.users import another, become_nobody
from helpers.waiting import wait_until

from queuectl_lib.jobs import attempts, states
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import launching, run_file, trouble
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.options import Options
from queuectl_lib.run.spare_files import SpareFiles
from queuectl_lib.store import looking
from worker import Worker

resource = pytest.importorskip("resource")

pytestmark = posix_only
linux_only = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux sets the limits of others")
SOMEBODY = 61000 + os.getpid() % 4000  # whose processes nobody else starts: they are counted per user


@pytest.fixture
def somebody():
    with another(SOMEBODY) as user:
        yield user


def processes_of(uid):
    found = []
    for pid in os.listdir("/proc"):
        with contextlib.suppress(OSError):  # it has gone meanwhile
            if pid.isdigit() and os.stat("/proc/" + pid).st_uid == uid:
                found.append(int(pid))
    return found


def limit_processes(somebody, pids, most):
    """Let those of that user's processes start others only up to *most* in all; -1: as many as his hard limit says."""
    code = "import resource as r, sys\nfor pid in map(int, sys.argv[2:]):\n    hard = r.prlimit(pid, r.RLIMIT_NPROC)[1]"
    code += "\n    r.prlimit(pid, r.RLIMIT_NPROC, (hard if sys.argv[1] == '-1' else int(sys.argv[1]), hard))"
    words = [somebody.python, "-c", code, str(most)] + [str(pid) for pid in pids]
    subprocess.check_call(words, preexec_fn=lambda: become_nobody(SOMEBODY), cwd="/")


def enqueue(somebody, count):
    text = '{"id": "j%d", "command": "echo %d >> made; /bin/true", "max_retries": 0, "cwd": "' + somebody.home + '"}\n'
    somebody.run(
        "--home", somebody.home, "enqueue", "-", input="".join(text % (n, n) for n in range(count)).encode(), cwd="/"
    )


def begin(somebody, prelude=()):
    """A worker of that user, and the path of its log; *prelude* stands before the call."""
    log = os.path.join(somebody.folder, "log")
    words = somebody.command("--home", somebody.home, "worker", "start")
    become = "import os, sys; os.setgroups([]); os.setgid(%d); os.setuid(%d); os.execv(sys.argv[1], sys.argv[1:])"
    call = [*prelude, sys.executable, "-c", become % (SOMEBODY, SOMEBODY)] + words
    env = {"PATH": "/usr/bin:/bin"}
    with open(log, "wb") as file:
        process = subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env)
    wait_until(lambda: "worker started" in contents(log), "the worker to start")
    return process, log


def all_made(somebody, log, count):
    """Wait until all jobs are completed, and see that each ran once and that the trouble was told of once."""

    def completed():
        return "completed       %d\n" % count in somebody.run("--home", somebody.home, "status")

    wait_until(completed, "all jobs to be completed")
    assert sorted(contents(os.path.join(somebody.home, "made")).split()) == [str(n) for n in range(count)]
    assert contents(log).count("cannot start a job") == 1
    assert contents(log).count(" started (attempt 1 of ") == count, "what could not be started is not called so"
    assert "given back" not in contents(log)


@linux_only
def test_a_process_limit_that_keeps_jobs_from_beginning_costs_none_an_attempt(somebody):
    process, log = begin(somebody)
    try:
        mine = processes_of(SOMEBODY)
        limit_processes(somebody, mine, len(mine) + 1)  # the watcher can be started, and nothing by it
        enqueue(somebody, 5)
        # In other words where the call that enqueues, which counts as well, has not ended yet: it is told once.
        wait_until(lambda: "cannot start a job (" in contents(log), "the shortage to be told")
        assert "dead            0\n" in somebody.run("--home", somebody.home, "status")
        assert " started (attempt" not in contents(log)
        limit_processes(somebody, mine, -1)
        all_made(somebody, log, 5)
    finally:
        process.terminate()
        process.wait(30)


@linux_only
def test_a_null_device_that_cannot_be_written_costs_no_job_an_attempt(somebody):
    plain = os.path.join(somebody.folder, "plain")
    with open(plain, "w"):
        pass
    within = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /dev/null && exec "$@"', plain]
    if subprocess.run(within + ["true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("nothing can be mounted here")
    process, log = begin(somebody, within)
    try:
        enqueue(somebody, 3)
        wait_until(lambda: "/dev/null cannot be used: Permission denied" in contents(log), "it to be told")
        assert "dead            0\n" in somebody.run("--home", somebody.home, "status")
        subprocess.check_call(["nsenter", "-t", str(process.pid), "-m", "umount", "-l", "/dev/null"])
        all_made(somebody, log, 3)
    finally:
        process.terminate()
        process.wait(30)


WAITING_SHELLS = {"bash", "mksh"}  # they try again for half a minute


@long
@pytest.mark.parametrize("name", ["dash", "busybox", "yash", "zsh", "bash", "mksh"])
def test_under_every_shell_that_cannot_fork_the_notes_say_that_the_command_never_began(name, somebody):
    found = shutil.which(name)
    if not found:
        pytest.skip("there is no %s here" % name)
    shell, run, made = (os.path.join(somebody.home, one) for one in ("sh", "0123456789abcdef.run", "made"))
    shutil.copy(os.path.realpath(found), shell)
    with open(run, "w") as file:
        file.write("start 1 1.0 0123456789abcdef\n")
    os.chmod(run, 0o666)
    os.chmod(shell, 0o755)

    def alone():
        become_nobody(SOMEBODY)
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        os.dup2(os.open(run, os.O_RDONLY), 0)
        os.dup2(os.open(run, os.O_WRONLY | os.O_APPEND), 3)

    for script, words in ((launching.EXECUTE, ["touch", made]), (launching.EVALUATE, ["touch %s; true" % made])):
        call = [shell, "-c", script, shell, "0022"] + words
        done = subprocess.run(call, preexec_fn=alone, close_fds=False, cwd="/", stderr=subprocess.PIPE, timeout=60)
        assert done.returncode > 0 and done.stderr == b""
        assert run_file.never_began(run_file.read_status(run)), contents(run)
        assert not os.path.exists(made)


# ---------------------------------------------------------------- what is evidence, and what follows


def begun(queue, **fields):
    queue.enqueue(JobMaker(0, os.path.dirname(queue.path), 0o022, NOW).row(dict({"command": "exit 3"}, **fields)))
    return Attempt(queue, claim(queue)[0])


def test_a_command_that_ran_is_not_taken_for_one_that_never_began(queue):
    attempt = begun(queue)
    attempt.start(SETTINGS, SpareFiles(queue))
    outcome = wait_until(attempt.poll, "its end")
    assert (outcome.unstarted, outcome.exit_code) == (False, 3)


@pytest.mark.parametrize("text", ["exec 3<&-; exit 2", "echo 'exit 126' >&3; exit 126", "kill -9 $$", "exit 254"])
def test_an_attempt_whose_watcher_ended_before_its_command_is_given_back(queue, monkeypatch, text):
    attempt = begun(queue)
    monkeypatch.setattr(launching, "EVALUATE", text)
    attempt.start(SETTINGS, SpareFiles(queue))
    outcome = wait_until(attempt.poll, "its end")
    assert (outcome.kind, outcome.unstarted) == (states.GIVEN_BACK, True)
    assert "could not begin" in outcome.error


def test_a_watcher_that_has_no_disk_for_its_note_does_not_begin_the_command(queue, monkeypatch):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    attempt = begun(queue, command="touch made; exit 1")
    monkeypatch.setattr(launching, "EVALUATE", "exec 3>/dev/full\n" + launching.EVALUATE)
    attempt.start(SETTINGS, SpareFiles(queue))
    assert wait_until(attempt.poll, "its end").unstarted
    assert not os.path.exists(os.path.join(os.path.dirname(queue.path), "made"))


def test_a_time_limit_that_passes_before_the_command_begins_is_no_failure(queue, monkeypatch):
    """bash tries to fork for fifteen seconds."""
    attempt = begun(queue, timeout=0.1)
    monkeypatch.setattr(launching, "EVALUATE", "sleep 30; true")
    attempt.start(SETTINGS, SpareFiles(queue))
    assert wait_until(attempt.poll, "its end").unstarted


def test_a_shortage_is_told_once_and_tried_ever_more_slowly_until_a_job_begins(queue, monkeypatch, capfd):
    one = Worker(queue, "w-1", "s", Options(1, False), lambda: SETTINGS)
    pauses = []
    for _ in range(8):
        attempt = begun(queue)
        outcome = attempts.unstarted(attempt.claim, "/dev/null cannot be used: Permission denied")
        monkeypatch.setattr(attempt, "poll", lambda outcome=outcome: outcome)
        one.running[:] = [attempt]
        one.collect_ended()
        one.report(outcome, False)
        pauses.append(one.trouble.shortage_pause)
    assert pauses == sorted(pauses) and pauses[0] < 1 and pauses[-1] == trouble.pace.TROUBLE_SECONDS
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "/dev/null cannot be used: Permission denied); trying again" in said


def short(one, claimed=()):
    """*one*, a worker that waits because a job of those *claimed* could not be started."""
    one.ahead.extend(claimed)
    for _ in range(8):
        one.trouble.meet_shortage("cannot start a job (no process)")
    return one


def test_a_stop_during_a_shortage_gives_back_at_once_what_waits_for_it(queue):
    queue.enqueue(JobMaker(0, "/", 0o022, NOW).row({"command": "true"}))
    one = short(Worker(queue, "w-1", "s", Options(1, False), lambda: SETTINGS), claim(queue, worker="w-1"))
    one.keep_going()
    assert len(one.ahead) == 1, "it waits"
    one.stage = "stop"
    one.keep_going()
    assert not one.ahead
    assert looking.counts(queue.database)["pending"] == 1


def test_a_worker_that_waits_for_the_end_of_a_shortage_heeds_requests_meanwhile(queue):
    one = short(Worker(queue, "w-1", "s", Options(1, False), lambda: SETTINGS))
    assert one.trouble.retry_at > time.monotonic() + 3
    assert one.due_within(60.0) <= trouble.pace.STANDING_SECONDS
    for _ in range(8):
        one.trouble.meet("it is read-only")
    assert one.due_within(60.0) > 3, "a database that refuses is asked ever more rarely"
    one.stage = "stop"
    assert one.trouble.is_in_the_way(one.stage), "what is given back goes there"


def test_a_shortage_that_lets_some_jobs_begin_is_told_once_all_the_same(monkeypatch):
    now, said = [1000.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    one = trouble.Trouble(said.append)
    for _ in range(20):
        one.note_start("token", "no process")
        one.note_start("token", None)
        now[0] += 2
    assert said == ["cannot start a job (no process); trying again"]
    now[0] += trouble.pace.NO_START_SECONDS
    one.note_start("token", "no process")
    assert len(said) == 2, "this is another one"
