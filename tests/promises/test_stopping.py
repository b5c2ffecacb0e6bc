"""Stopping: running jobs finish or are given back, nothing new starts, and nothing stays behind."""

import contextlib
import glob
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from helpers.bundle import ROOT, copy_bundle
from helpers.home import PATIENT, Home, contents, ledger, let_go, wait_for_log
from helpers.installed import Copy, Installed, broken, newer
from helpers.marks import needs_proc, posix_only
from helpers.processes import is_running
from helpers.waiting import wait_until

from queuectl_lib.commands import worker as commands_worker
from queuectl_lib.host import processes
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import pace, replacing
from queuectl_lib.run.options import Options
from queuectl_lib.settings import SETTING_DEFAULTS, ConfigFile, Settings
from queuectl_lib.store import finding, looking, roster, showing

pytestmark = posix_only


def add(home, command, **fields):
    """Enqueue a job that runs in the home; returns its id."""
    return home.queue.enqueue(JobMaker(3, home.path, 0o022, time.time()).row(dict(fields, command=command)))


def wait_for_entry(home, entry):
    wait_until(lambda: entry in ledger(home), "the job to say %s" % entry)


def leave(process, seconds=20.0):
    """Wait until a supervisor has left by itself, and return its exit code."""
    wait_until(lambda: process.poll() is not None, "the supervisor to leave", seconds)
    return process.returncode


def start_on(home, output, *words, **options):
    """Start `worker start WORDS` as the leader of a session of its own."""
    process = subprocess.Popen(
        home.command("worker", "start", *words),
        stdin=options.get("stdin", subprocess.DEVNULL),
        stdout=output,
        stderr=output,
        env=home.environment(),
        start_new_session=True,
        preexec_fn=options.get("before"),
    )
    home.started.append(process)
    return process


def assert_nothing_is_left(home):
    assert roster.members(home.queue.folder) == []
    assert os.listdir(home.queue.folder.workers) == []
    assert os.listdir(home.queue.folder.attempts) == []
    assert looking.counts(home.queue.database)["processing"] == 0


# ---------------------------------------------------------------- stopping in peace


def test_stop_without_a_worker_is_done_at_once(home):
    began = time.monotonic()
    assert home.run("worker", "stop").stderr == "no worker is running\n"
    home.add("true")
    home.run("worker", "stop")
    home.run("worker", "stop", "--now")
    assert time.monotonic() - began < 10


def test_stop_lets_the_running_job_finish_and_takes_nothing_new(home):
    first, second = add(home, PATIENT), add(home, "echo second >> ledger")
    process = home.start()
    wait_for_entry(home, "begun")
    stop = subprocess.Popen(home.command("worker", "stop"), env=home.environment(), stderr=subprocess.DEVNULL)
    try:
        wait_for_log(process, "stopping")
        third = add(home, "echo third >> ledger", priority=10)
        assert stop.poll() is None, "stop waits for the job"
        let_go(home)
        assert stop.wait(20) == 0
    finally:
        stop.kill()
        stop.wait()
    assert leave(process) == 0
    assert ledger(home) == ["begun", "done"]
    assert [home.state(job) for job in (first, second, third)] == ["completed", "pending", "pending"]
    assert_nothing_is_left(home)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_to_the_supervisor_lets_the_running_job_finish(home, name):
    first, second = add(home, PATIENT), add(home, "true")
    process = home.start()
    wait_for_entry(home, "begun")
    process.send_signal(getattr(signal, name))
    wait_for_log(process, "%s received" % name)
    let_go(home)
    assert leave(process) == 0
    assert ledger(home) == ["begun", "done"]
    assert [home.state(first), home.state(second)] == ["completed", "pending"]
    assert_nothing_is_left(home)


def test_idle_workers_stop_within_a_second_or_so_however_rarely_they_poll(home):
    process = home.start("--count", "3", "--processes", "3", "--poll-interval", "60")
    home.wait_for_workers(3)
    began = time.monotonic()
    home.run("worker", "stop")
    assert time.monotonic() - began < 5
    assert leave(process) == 0
    assert_nothing_is_left(home)


def test_a_stop_in_the_middle_of_many_short_jobs_leaves_each_done_once_or_waiting(home):
    jobs = "".join('{"command": "echo j%d >> ledger", "cwd": "%s"}\n' % (n, home.path) for n in range(400))
    home.run("enqueue", "-", input=jobs)
    process = home.start("--count", "2")
    wait_until(lambda: len(ledger(home)) >= 40, "some jobs to run")
    process.send_signal(signal.SIGTERM)
    assert leave(process) == 0
    counts, done = looking.counts(home.queue.database), ledger(home)
    assert len(done) == len(set(done)) == counts["completed"]
    assert counts["completed"] + counts["pending"] == 400
    assert counts["pending"] > 0, "the stop came too late to show anything"
    assert_nothing_is_left(home)


def test_a_stop_that_waits_loads_nothing_more(tmp_path):
    """It may wait for hours, and the files may be replaced meanwhile."""
    home = Copy(tmp_path / "installed")
    try:
        process = home.start("--poll-interval", "0.2")
        add(home, PATIENT)
        wait_for_entry(home, "begun")
        with subprocess.Popen(
            home.command("worker", "stop"), stderr=subprocess.PIPE, env=home.environment(), cwd=home.path
        ) as stop:
            wait_until(lambda: "stopping" in contents(process.log), "the stop to be heard")
            home.replace(broken)
            let_go(home)
            said = stop.communicate(timeout=20)[1].decode()
        assert (stop.returncode, said) == (0, "stopped\n")
    finally:
        home.clean_up()


@needs_proc
def test_a_stop_waits_for_the_end_of_the_processes_themselves(home, monkeypatch):
    """Who has given up its life file still holds the disk busy for a moment: `worker stop && umount` has to work."""
    with subprocess.Popen(["sleep", "0.5"]) as process:
        member = dict(home.queue.folder.details_of("s-1"), pid=process.pid, host=socket.gethostname(), supervisor="s")
        seen = iter([[member], []])
        monkeypatch.setattr(roster, "members_of", lambda folder, supervisors: next(seen))
        assert commands_worker.await_end(home.queue, ["s"], None)
        assert not is_running(process.pid)


def children_of(pid):
    table = processes.process_table()
    return [one for one, process in table.items() if process.parent == pid]


@needs_proc
def test_a_supervisor_has_no_children_but_its_workers(home):
    """Multiprocessing would start a helper that costs as much as a worker, for what nobody here uses."""
    process = home.start("--count", "2", "--processes", "2")
    home.wait_for_workers(2)
    workers = [member["pid"] for member in roster.members(home.queue.folder) if member["kind"] == "worker"]
    assert sorted(children_of(process.pid)) == sorted(workers)


@needs_proc
def test_after_a_stop_nobody_has_the_log_open(home):
    """As a helper of multiprocessing would, which ends after the supervisor: its disk could not be unmounted."""
    home.run("worker", "start", "--background", "--count", "2")
    home.wait_for_workers(2)
    home.run("worker", "stop")
    log, found = home.db + ".d/worker.log", []
    for path in glob.glob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            found += [path] if os.readlink(path) == log else []
    assert found == []


@needs_proc
def test_after_a_stop_no_process_of_the_queue_is_left(home):
    home.start("--count", "3")
    home.wait_for_workers(3)
    pids = [member["pid"] for member in roster.members(home.queue.folder)]
    home.run("worker", "stop")
    assert len(pids) == 4 and not any(is_running(pid) for pid in pids)


def test_stop_reaches_only_the_supervisors_of_this_queue(home, tmp_path):
    other = Home(tmp_path / "other")
    os.mkdir(other.path, 0o700)
    try:
        mine, theirs = home.start(), other.start()
        home.wait_for_workers(1)
        other.wait_for_workers(1)
        home.run("worker", "stop")
        assert leave(mine) == 0
        assert theirs.poll() is None
        job = add(other, "true")
        other.wait_for_state(job, "completed")
    finally:
        other.clean_up()


def test_one_stop_ends_every_supervisor_of_the_queue(home):
    first, second = home.start(), home.start("--count", "2")
    home.wait_for_workers(3)
    home.run("worker", "stop")
    assert [leave(first), leave(second)] == [0, 0]
    assert_nothing_is_left(home)


# ---------------------------------------------------------------- stopping now


def second_signal(home, process):
    process.send_signal(signal.SIGTERM)
    wait_for_log(process, "stopping:")
    process.send_signal(signal.SIGINT)


URGENT = {
    "a second signal": second_signal,
    "stop --now": lambda home, process: home.run("worker", "stop", "--now"),
    "the deadline of stop --timeout": lambda home, process: home.run("worker", "stop", "--timeout", "0.3"),
}


@pytest.mark.parametrize("how", sorted(URGENT))
def test_a_stop_that_cannot_wait_ends_the_job_and_gives_it_back_without_a_retry(home, how):
    job = add(home, "echo $$ > pid; sleep 60; echo done >> ledger", max_retries=0)
    process = home.start()
    pid = int(wait_until(lambda: contents(os.path.join(home.path, "pid")).strip(), "the job to run"))
    URGENT[how](home, process)
    assert leave(process) == 0
    assert not is_running(pid)
    found = showing.job(home.queue.database, job)
    assert (found["state"], found["attempts"]) == ("pending", 0)
    assert [attempt["outcome"] for attempt in found["history"]] == ["given back"]
    assert ledger(home) == []
    assert_nothing_is_left(home)


def test_a_job_that_was_given_back_runs_as_its_first_attempt(home):
    job = add(home, 'echo "$QUEUECTL_ATTEMPT" >> ledger; [ -e go ] || sleep 60', max_retries=0)
    home.start()
    wait_for_entry(home, "1")
    home.run("worker", "stop", "--now")
    let_go(home)
    home.drain()
    assert home.state(job) == "completed"
    assert ledger(home) == ["1", "1"]


def test_a_job_that_ignores_term_is_killed_after_the_grace(home):
    home.run("config", "set", "grace", "0.5")
    job = add(home, "trap '' TERM; echo $$ > pid; while :; do sleep 0.05; done")
    process = home.start()
    pid = int(wait_until(lambda: contents(os.path.join(home.path, "pid")).strip(), "the job to run"))
    began = time.monotonic()
    home.run("worker", "stop", "--now")
    assert 0.5 <= time.monotonic() - began < 8
    assert leave(process) == 0
    assert not is_running(pid)
    assert home.state(job) == "pending"


def pause_worker_of(home):
    """SIGSTOP the only worker and return what lets it go on."""
    pid = home.workers()[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


def request_now(home):
    name = home.workers()[0]["supervisor"]
    with open(home.queue.folder.request_path(name, "now"), "w"):
        pass


def test_a_job_that_ended_before_the_worker_saw_stop_now_is_completed_and_not_given_back(home):
    job = add(home, PATIENT)
    process = home.start()
    wait_for_entry(home, "begun")
    go_on = pause_worker_of(home)
    let_go(home)
    wait_for_entry(home, "done")
    run_file = home.queue.folder.attempt_path(finding.running_token(home.queue.database, job), "run")
    wait_until(lambda: "\nexit 0\n" in contents(run_file), "the job to end")
    request_now(home)
    go_on()
    assert leave(process) == 0
    assert home.state(job) == "completed"


def test_a_job_that_is_cancelled_while_it_is_given_back_is_cancelled(home):
    job = add(home, "echo begun >> ledger; sleep 60")
    process = home.start()
    wait_for_entry(home, "begun")
    go_on = pause_worker_of(home)
    home.queue.cancel([job], time.time())
    request_now(home)
    go_on()
    assert leave(process) == 0
    assert home.state(job) == "cancelled"


# ---------------------------------------------------------------- single workers, terminals


def test_a_single_worker_that_is_terminated_finishes_its_job_and_is_replaced(home):
    job = add(home, PATIENT, max_retries=0)
    process = home.start()
    wait_for_entry(home, "begun")
    pid = home.workers()[0]["pid"]
    os.kill(pid, signal.SIGTERM)
    later = add(home, "true")
    let_go(home)
    home.wait_for_state(job, "completed")
    home.wait_for_state(later, "completed")
    assert [worker["pid"] for worker in home.workers()] != [pid]
    assert showing.job(home.queue.database, job)["attempts"] == 1
    assert ledger(home) == ["begun", "done"]
    assert process.poll() is None


def test_a_terminated_worker_does_not_end_a_drain_before_its_time(home):
    first, second = add(home, PATIENT), add(home, "true")
    process = home.start("--drain")
    wait_for_entry(home, "begun")
    os.kill(home.workers()[0]["pid"], signal.SIGTERM)
    let_go(home)
    assert leave(process) == 0
    assert [home.state(first), home.state(second)] == ["completed", "completed"]


def become_foreground():
    """Take standard input as the controlling terminal (runs in the child)."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_ctrl_c_on_a_terminal_stops_the_workers_but_never_reaches_the_job(home):
    import pty

    job = add(home, "trap 'echo interrupted >> ledger' INT; " + PATIENT)
    second = add(home, "true")
    master, slave = pty.openpty()
    try:
        process = start_on(home, slave, "--count", "2", "--drain", stdin=slave, before=become_foreground)
        os.close(slave)
        wait_for_entry(home, "begun")
        home.wait_for_state(second, "completed")
        os.write(master, b"\x03")
        home.wait_for_workers(1)
        let_go(home)
        assert leave(process) == 0
        said = os.read(master, 65536).decode()
    finally:
        os.close(master)
    assert "SIGINT received" in said
    assert "Traceback" not in said
    assert ledger(home) == ["begun", "done"]
    assert home.state(job) == "completed"
    assert_nothing_is_left(home)


def test_a_signal_to_the_whole_group_of_the_supervisor_does_not_reach_the_job(home):
    job = add(home, PATIENT)
    with open(os.path.join(home.path, "log"), "wb") as log:
        process = start_on(home, log)
    process.log = log.name
    wait_for_entry(home, "begun")
    os.killpg(process.pid, signal.SIGINT)
    wait_for_log(process, "stopping:")
    os.killpg(process.pid, signal.SIGHUP)
    assert leave(process) == 0
    assert ledger(home) == ["begun"]
    assert home.state(job) == "pending", "the second signal gives the job back"
    assert "Traceback" not in contents(process.log)
    assert_nothing_is_left(home)


def test_workers_under_nohup_outlive_the_hangup_of_their_terminal(home):
    job = add(home, PATIENT, max_retries=0)
    with open(os.path.join(home.path, "log"), "wb") as log:
        process = start_on(home, log, before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.log = log.name
    wait_for_entry(home, "begun")
    os.killpg(process.pid, signal.SIGHUP)
    later = add(home, "true")
    let_go(home)
    home.wait_for_state(job, "completed")
    home.wait_for_state(later, "completed")
    assert process.poll() is None
    home.run("worker", "stop")
    assert leave(process) == 0
    assert "SIGHUP received" not in contents(process.log)


def test_a_stop_right_after_the_start_is_obeyed(home):
    process = home.start("--count", "4")
    wait_until(lambda: roster.members(home.queue.folder), "the supervisor to be there")
    process.send_signal(signal.SIGTERM)
    assert leave(process) == 0
    assert "Traceback" not in contents(process.log)
    assert_nothing_is_left(home)


def test_stop_waits_for_the_workers_of_a_supervisor_that_was_killed(home):
    job = add(home, PATIENT)
    process = home.start()
    wait_for_entry(home, "begun")
    process.kill()
    process.wait()
    stop = subprocess.Popen(home.command("worker", "stop"), env=home.environment(), stderr=subprocess.DEVNULL)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            stop.wait(0.5)
        let_go(home)
        assert stop.wait(20) == 0
    finally:
        stop.kill()
        stop.wait()
    assert home.state(job) == "completed"
    assert roster.members(home.queue.folder) == []


# ---------------------------------------------------------------- stops that come early, twice, or to one that fails


@pytest.mark.parametrize("pause", [0.05, 0.15, 0.25, 0.35])
def test_a_supervisor_that_is_stopped_twice_while_its_workers_begin_ends_well(home, pause):
    process = home.start("--count", "4")
    wait_for_log(process, "supervisor started")
    time.sleep(pause)  # anywhere in the start of its workers
    process.send_signal(signal.SIGTERM)
    wait_for_log(process, "SIGTERM received")
    process.send_signal(signal.SIGTERM)
    assert leave(process) == 0
    assert "died" not in contents(process.log)
    assert_nothing_is_left(home)


def test_a_supervisor_that_gives_up_still_hears_that_it_should_hurry(tmp_path):
    home = Installed(tmp_path / "installed")
    os.mkdir(home.path, 0o700)
    copy_bundle(home.path, used_by=sys.executable)
    try:
        job = add(home, "echo begun >> ledger; sleep 60")
        process = home.start("--count", "2")
        home.wait_for_workers(2)
        wait_for_entry(home, "begun")
        busy = {job["worker"] for job in looking.processing(home.queue.database)}
        home.replace(newer)
        idle = next(member for member in home.workers() if member["name"] not in busy)
        os.kill(idle["pid"], signal.SIGKILL)
        wait_for_log(process, "stopping: running jobs finish")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        assert leave(process) == 3
        assert "workers cannot start: the files here are of another version" in contents(process.log)
        assert home.state(job) == "pending"
    finally:
        home.clean_up()


def start_impatient(home):
    """The same as home.start() with a supervisor that soon takes a worker for one that hangs."""
    script = "import sys; sys.path.insert(0, %r); from queuectl_lib.run import pace; import queuectl;" % ROOT
    script += " pace.DEAF_SECONDS = 0.5; sys.exit(queuectl.main())"
    log = os.path.join(home.path, "foreground.log")
    with open(log, "wb") as file:
        words = [*home.python, "-c", script, "--home", home.path, "worker", "start"]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=home.environment())
    process.log = log
    home.started.append(process)
    return process


@pytest.mark.parametrize("how", ["--now", "--leave-running"])
def test_a_worker_that_hangs_is_killed_by_a_stop_that_waits_for_no_job_and_its_job_runs_once(home, how):
    job = add(home, PATIENT)
    home.run("config", "set", "grace", "0.2")
    process = start_impatient(home)
    wait_for_entry(home, "begun")
    pause_worker_of(home)  # as in an open() that never returns
    said = home.run("worker", "stop", how, timeout=30).stderr
    assert leave(process) == 0
    assert "does not heed the stop: it is killed" in contents(process.log)
    assert home.state(job) == "processing", "it runs on, said: %s" % said
    let_go(home)
    home.drain()
    assert home.state(job) == "completed" and ledger(home) == ["begun", "done"]


class Hanging:
    """A worker process that never ends by itself, as Pressing sees it."""

    pid, exitcode = 1, None

    def __init__(self):
        self.kills = 0

    def kill(self):
        self.kills += 1


@pytest.mark.parametrize(
    "stage, seconds", [("", None), ("stop", None), ("leave", pace.DEAF_SECONDS), ("now", pace.DEAF_SECONDS + 7)]
)
def test_who_has_jobs_to_wait_for_is_never_pressed_and_who_has_none_after_the_grace(monkeypatch, stage, seconds):
    now, said = [1000.0], []
    monkeypatch.setattr(replacing.time, "monotonic", lambda: now[0])
    config = ConfigFile("/nowhere")
    config.settings, config.seen = Settings(**dict(SETTING_DEFAULTS, grace=7.0)), ()
    pressing = replacing.Pressing(said.append, config, Options(1, False))
    worker = replacing.WorkerProcess("w-1", Hanging())
    pressing.turn(stage, [worker])
    now[0] += 3600  # the supervisor was paused, too
    for _ in range(400):
        pressing.turn(stage, [worker])
        waited = now[0] - 4600
        assert worker.process.kills == (seconds is not None and waited + 1 >= seconds), waited
        now[0] += 0.25
    assert len(said) == worker.process.kills


def test_of_several_requests_the_strongest_holds_and_is_told_once(home):
    add(home, PATIENT)
    process = home.start()
    wait_for_entry(home, "begun")
    pid = home.workers()[0]["pid"]
    supervisor = next(member["name"] for member in roster.members(home.queue.folder) if member["kind"] == "supervisor")
    os.kill(pid, signal.SIGSTOP)
    try:
        for request in ("leave", "stop"):
            with open(home.queue.folder.request_path(supervisor, request), "w"):
                pass
        wait_for_log(process, "stopping: running jobs go on")
        with open(home.queue.folder.request_path(supervisor, "now"), "w"):
            pass
        wait_for_log(process, "stopping now")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert leave(process) == 0
    assert contents(process.log).count("stopping") <= 3, contents(process.log)
    assert looking.counts(home.queue.database)["pending"] == 1
    assert_nothing_is_left(home)
