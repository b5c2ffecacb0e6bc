"""Recovery: workers and supervisors are killed, and every job is still dealt with, once, by evidence."""

import collections
import contextlib
import errno
import glob
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from helpers.home import contents, ledger, let_go, wait_for_log
from helpers.marks import needs_proc, posix_only
from helpers.processes import end_process, is_running
from helpers.queue import SETTINGS, in_full
from helpers.waiting import wait_until

from queuectl_lib import times
from queuectl_lib.errors import HostError
from queuectl_lib.host import files, locks, processes
from queuectl_lib.host.tree import Tree
from queuectl_lib.host.waking import WakeUp
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import run_file
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.launching import CannotStart
from queuectl_lib.run.options import Options
from queuectl_lib.run.pace import Pace
from queuectl_lib.run.slots import Slots
from queuectl_lib.run.spare_files import SpareFiles
from queuectl_lib.store import claiming, finding, looking, roster, showing
from queuectl_lib.store.presence import Presence
from worker import Worker

pytestmark = posix_only


# Says that it runs, waits to be let go, says that it is done.
PATIENT = (
    'echo "begun-$QUEUECTL_JOB_ID" >> ledger; echo before; while [ ! -e go ]; do sleep 0.03; done;'
    ' echo "done-$QUEUECTL_JOB_ID" >> ledger; echo after; '
)


def add(home, identifier, command, **fields):
    """Enqueue a job that runs in the home."""
    fields.update(id=identifier, command=command)
    home.queue.enqueue(JobMaker(3, home.path, 0o022, time.time()).row(fields))


def start(home, *words):
    return home.start("--backoff-base", "0", *words)


def wait_for_entries(home, *entries):
    wait_until(lambda: set(entries) <= set(ledger(home)), "the ledger to hold %s" % (entries,))


def holder(home, identifier):
    """The name of the worker that holds a running job."""
    return {job["id"]: job["worker"] for job in looking.processing(home.queue.database)}.get(identifier)


def worker_pid(home, identifier):
    """The pid of the living worker that holds a running job."""
    return {worker["name"]: worker["pid"] for worker in home.workers()}[holder(home, identifier)]


def kill_everyone(home, process):
    """Kill the supervisor, then its workers; their jobs live on."""
    process.kill()
    process.wait()
    wait_until(lambda: kill_workers(home) == 0, "all workers to be gone")


def kill_workers(home):
    members = roster.members(home.queue.folder)
    for member in members:
        if member["pid"]:
            end_process(member["pid"])
    return len(members)


def notes(home, identifier):
    """The status that the watcher of a running job has written so far: name to value."""
    text = contents(home.queue.folder.attempt_path(finding.running_token(home.queue.database, identifier), "run"))
    return {name: value for name, _, value in (line.partition(" ") for line in text.splitlines())}


def claim_as(home, worker, ahead=0):
    """Claim the next due job under the name of a worker, as if it had died right afterwards."""
    _, claims, _ = home.queue.exchange(worker, [], 1, time.time() + ahead, SETTINGS)
    return claims[0]


def wait_for_a_look_around(home, name):
    """Wait until the living workers have dealt with a claim of a dead one, and so looked at all claims."""
    add(home, name, "true", delay="1h")  # nobody else claims it meanwhile
    assert claim_as(home, "dead-worker", ahead=7200).id == name
    home.wait_for_state(name, "completed")


# ---------------------------------------------------------------- a killed worker


def test_a_job_whose_worker_is_killed_goes_on_is_adopted_and_runs_exactly_once(home):
    add(home, "job", PATIENT)
    process = start(home)
    wait_for_entries(home, "begun-job")
    dead = holder(home, "job")
    os.kill(worker_pid(home, "job"), signal.SIGKILL)
    wait_until(lambda: holder(home, "job") != dead, "another worker to adopt the job")
    let_go(home)
    home.wait_for_state("job", "completed")
    job = in_full(home.queue, "job")
    assert (job["attempts"], job["exit_code"]) == (1, 0)
    assert [(a["outcome"], a["stdout"]) for a in job["history"]] == [("completed", b"before\nafter\n")]
    assert ledger(home) == ["begun-job", "done-job"]
    assert "died (killed by SIGKILL)" in contents(process.log)


def test_a_job_that_kills_its_own_worker_is_adopted_and_runs_exactly_once(home):
    add(home, "job", "kill -9 $(ps -o ppid= -p $PPID); echo done >> ledger")
    home.drain()
    assert (home.state("job"), showing.job(home.queue.database, "job")["attempts"]) == ("completed", 1)
    assert ledger(home) == ["done"]


def test_a_job_that_takes_its_worker_along_each_time_ends_up_dead_and_the_queue_goes_on(home):
    add(home, "poison", "echo run >> ledger; kill -9 $(ps -o ppid= -p $PPID) 0", max_retries=1)
    add(home, "next", "true", priority=-1)
    home.drain()
    job = showing.job(home.queue.database, "poison")
    assert (job["state"], job["attempts"]) == ("dead", 2)
    assert [attempt["outcome"] for attempt in job["history"]] == ["lost", "lost"]
    assert ledger(home) == ["run", "run"]
    assert home.state("next") == "completed"


def test_an_adopted_job_can_be_cancelled(home):
    add(home, "job", "echo $$ > pid; echo begun >> ledger; sleep 60")
    start(home)
    wait_for_entries(home, "begun")
    dead = holder(home, "job")
    os.kill(worker_pid(home, "job"), signal.SIGKILL)
    wait_until(lambda: holder(home, "job") != dead, "another worker to adopt the job")
    home.run("cancel", "job")
    assert home.state("job") == "cancelled"
    assert not is_running(int(contents(os.path.join(home.path, "pid"))))


# ---------------------------------------------------------------- everybody killed, started again later


def test_jobs_that_finished_unseen_are_recorded_with_what_they_did(home):
    ends = {"success": ":", "failure": "exit 3", "signal": "kill -9 $$", "later": "[ $QUEUECTL_ATTEMPT = 2 ]"}
    for name, end in ends.items():
        add(home, name, PATIENT + end, max_retries=int(name == "later"))
    process = start(home, "--count", "4")
    wait_for_entries(home, *["begun-" + name for name in ends])
    kill_everyone(home, process)
    let_go(home)
    wait_until(lambda: all("exit" in notes(home, name) for name in ends), "all jobs to end unseen")
    home.drain()
    jobs = {name: in_full(home.queue, name) for name in ends}
    assert {name: job["state"] for name, job in jobs.items()} == {
        "success": "completed",
        "failure": "dead",
        "signal": "dead",
        "later": "completed",
    }
    assert [jobs[name]["exit_code"] for name in ends] == [0, 3, 137, 0]
    assert jobs["failure"]["last_error"] == "exit code 3"
    assert jobs["signal"]["last_error"].startswith("killed by SIGKILL")
    assert [attempt["outcome"] for attempt in jobs["later"]["history"]] == ["failed", "completed"]
    assert {name: job["attempts"] for name, job in jobs.items()} == {
        "success": 1,
        "failure": 1,
        "signal": 1,
        "later": 2,
    }
    assert all(job["history"][0]["stdout"] == b"before\nafter\n" for job in jobs.values())
    expected = {"begun-" + name: job["attempts"] for name, job in jobs.items()}
    expected.update({"done-" + name: job["attempts"] for name, job in jobs.items()})
    assert collections.Counter(ledger(home)) == expected


def test_a_job_that_still_runs_is_adopted_and_its_timeout_still_holds(home):
    add(home, "slow", "echo $$ > pid; echo begun >> ledger; sleep 60", timeout=2, max_retries=0)
    add(home, "patient", PATIENT)
    process = start(home, "--count", "2")
    wait_for_entries(home, "begun", "begun-patient")
    kill_everyone(home, process)
    assert finding.states_of(home.queue.database, ["slow", "patient"]) == ["processing", "processing"]
    start(home, "--count", "2")
    home.wait_for_state("slow", "dead")
    let_go(home)
    home.wait_for_state("patient", "completed")
    slow = showing.job(home.queue.database, "slow")
    assert slow["last_error"] == "timed out after 2 s"
    took = times.utc_seconds(slow["finished_at"]) - times.utc_seconds(slow["started_at"])
    assert took >= 2
    assert not is_running(int(contents(os.path.join(home.path, "pid"))))
    assert ledger(home).count("begun") == 1
    assert [ledger(home).count(entry) for entry in ("begun-patient", "done-patient")] == [1, 1]
    assert showing.job(home.queue.database, "patient")["attempts"] == 1


def test_the_time_before_the_worker_died_counts_for_the_timeout(queue):
    queue.enqueue(JobMaker(3, "/", 0o022, time.time()).row({"command": "true", "timeout": 150}))
    attempt = Attempt(queue, queue.exchange("dead", [], 1, time.time(), SETTINGS)[1][0])
    began = time.monotonic() - 100
    with open(attempt.run_path, "wb") as file:
        file.write(run_file.start_line(attempt.claim.token, began) + b"pid 1\n")
    attempt.adopt(time.time() - 5, SETTINGS)  # a wall clock that went back meanwhile tells another age
    assert attempt.deadline == pytest.approx(began + 150, abs=0.001)
    with open(attempt.run_path, "w") as file:
        file.write("start of-another-boot 7.0 %s -\npid 1\n" % attempt.claim.token)
    attempt.adopt(time.time() - 50, SETTINGS)
    assert attempt.deadline == pytest.approx(time.monotonic() + 100, abs=5)


def test_a_job_that_died_with_its_worker_is_a_lost_attempt_and_is_retried(home):
    command = 'echo "$QUEUECTL_JOB_ID" >> ledger; [ -e go ] || sleep 60'
    home.run("config", "set", "backoff_base", "50")
    add(home, "retried", command, max_retries=1)
    add(home, "last", command, max_retries=0)
    process = start(home, "--count", "2")
    wait_for_entries(home, "retried", "last")
    kill_everyone(home, process)
    for name in ("retried", "last"):
        os.killpg(int(notes(home, name)["pid"]), signal.SIGKILL)
    let_go(home)
    home.drain()
    retried, last = showing.job(home.queue.database, "retried"), showing.job(home.queue.database, "last")
    assert (retried["state"], retried["attempts"]) == ("completed", 2)
    assert [attempt["outcome"] for attempt in retried["history"]] == ["lost", "completed"]
    assert (last["state"], last["attempts"]) == ("dead", 1)
    assert last["last_error"].startswith("lost:")
    waited = times.utc_seconds(retried["started_at"]) - times.utc_seconds(retried["history"][0]["finished_at"])
    assert waited < 40, "--backoff-base 0 holds for lost attempts, too: without it this takes 50 s"
    assert sorted(ledger(home)) == ["last", "retried", "retried"]


@needs_proc
@pytest.mark.parametrize("detached", [False, True])
def test_what_is_left_of_a_job_that_died_with_its_worker_is_ended_before_the_retry(home, detached):
    """Its shells are killed, but a child that gave up the attempt's lock (as Popen's do) lives on."""
    code = (
        "import os, subprocess, sys, time\n"
        "if os.path.exists('child'):\n"
        "    alive = subprocess.call(['/bin/sh', '-c', 'ps -o stat= -p $(cat child) | grep -v Z'])\n"
        "    sys.exit(3 if alive == 0 else 0)\n"
        "child = subprocess.Popen(['sleep', '60'], close_fds=True, start_new_session=%r)\n"
        "open('child', 'w').write(str(child.pid))\n"
        "open('leader', 'w').write(str(os.getpid()))\n"
        "time.sleep(60)"
    ) % detached
    add(home, "job", [sys.executable, "-c", code], max_retries=1)
    process = start(home)
    leader = int(wait_until(lambda: contents(os.path.join(home.path, "leader")), "the job to run"))
    child = int(contents(os.path.join(home.path, "child")))
    watcher = int(notes(home, "job")["pid"])
    kill_everyone(home, process)
    for pid in (watcher, leader):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_running(leader), "the job to die")
    try:
        assert is_running(child)
        home.drain()
        assert not is_running(child)
        job = showing.job(home.queue.database, "job")
        assert job["state"] == "completed", job["last_error"]
        assert [attempt["outcome"] for attempt in job["history"]] == ["lost", "completed"]
    finally:
        end_process(child)


# ---------------------------------------------------------------- claims of dead workers


def test_a_claim_whose_command_never_started_is_given_back_without_burning_an_attempt(home):
    for name in ("no-run-file", "no-pid"):
        add(home, name, "echo %s >> ledger" % name, max_retries=0)
    claim_as(home, "dead-worker")
    claim = claim_as(home, "dead-worker")
    with open(home.queue.folder.attempt_path(claim.token, "run"), "w") as file:
        file.write("start some-boot 1.0 %s -\n" % claim.token)  # the worker died before its watcher said a word
    with open(home.queue.folder.life_path("dead-worker"), "w") as file:
        file.write("{}")  # exists, but nobody holds it locked
    home.drain()
    for name in ("no-run-file", "no-pid"):
        job = showing.job(home.queue.database, name)
        assert (job["state"], job["attempts"], len(job["history"])) == ("completed", 1, 1)
    assert sorted(ledger(home)) == ["no-pid", "no-run-file"]
    assert os.listdir(home.queue.folder.attempts) == []


@needs_proc
def test_a_pid_that_somebody_else_has_now_proves_nothing_and_is_left_alone(home):
    add(home, "here", "true", max_retries=1)
    add(home, "elsewhere", "true", max_retries=0)
    add(home, "held", "true", max_retries=1)
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    stranger = subprocess.Popen(["sleep", "60"])
    rest = stranger
    try:
        for boot_id in (boot, "another-boot", boot):
            claim = claim_as(home, "dead-worker")
            for kind in ("out", "err"):
                open(home.queue.folder.attempt_path(claim.token, kind), "w").close()
            with open(home.queue.folder.attempt_path(claim.token, "run"), "w") as file:
                words = (boot_id, claim.token, processes.pid_namespace(), stranger.pid)
                file.write("start %s 1.0 %s %s\npid %d\n" % words)
                file.flush()
                if claim.id == "held":  # something of this job lives on, but its watcher is gone
                    assert locks.try_lock(file.fileno())
                    rest = subprocess.Popen(["sleep", "60"], stdin=file)
        home.drain()
        assert stranger.poll() is None
        assert rest.poll() is not None
    finally:
        for process in (stranger, rest):
            process.kill()
            process.wait()
    for name in ("here", "held"):
        job = showing.job(home.queue.database, name)
        assert (job["state"], [a["outcome"] for a in job["history"]]) == ("completed", ["lost", "completed"])
    job = showing.job(home.queue.database, "elsewhere")
    assert (job["state"], job["last_error"]) == ("dead", "lost: the host was restarted while it ran")


def test_the_claim_of_a_worker_that_lives_is_never_taken(home):
    add(home, "job", "true")
    presence = Presence(home.queue.folder, "living-worker", {"kind": "worker", "pid": os.getpid(), "supervisor": "x"})
    try:
        claim_as(home, "living-worker")
        process = start(home, "--count", "2")
        wait_for_a_look_around(home, "probe")
        assert holder(home, "job") == "living-worker"
    finally:
        presence.end()
    home.wait_for_state("job", "completed")
    assert showing.job(home.queue.database, "job")["attempts"] == 1
    assert process.poll() is None


def test_without_access_to_the_evidence_nobody_is_taken_for_dead(home, monkeypatch):
    add(home, "job", "true")
    claim = claim_as(home, "worker")
    for path in (home.queue.folder.life_path("worker"), home.queue.folder.attempt_path(claim.token, "run")):
        open(path, "w").close()

    def refuse(path, flags):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(files, "open_private", refuse)
    assert home.queue.folder.is_alive("worker")
    assert home.queue.folder.attempt_is_held(claim.token)


# ---------------------------------------------------------------- a killed supervisor, a paused worker


def test_workers_of_a_killed_supervisor_keep_their_job_finish_it_and_leave(home):
    add(home, "job", PATIENT)
    add(home, "never", "echo never >> ledger", delay="10h")
    process = start(home, "--count", "2")
    wait_for_entries(home, "begun-job")
    owner = holder(home, "job")
    process.kill()
    process.wait()
    home.wait_for_workers(1)
    start(home)
    wait_for_a_look_around(home, "probe")
    assert holder(home, "job") == owner, "nobody takes it from a worker that lives"
    let_go(home)
    home.wait_for_state("job", "completed")
    wait_until(lambda: owner not in [worker["name"] for worker in home.workers()], "the old worker to leave")
    assert ledger(home) == ["begun-job", "done-job"]
    assert showing.job(home.queue.database, "job")["worker"] == owner


def test_the_job_of_a_paused_worker_waits_for_it_and_runs_once(home):
    add(home, "job", PATIENT)
    start(home, "--count", "2")
    wait_for_entries(home, "begun-job")
    pid = worker_pid(home, "job")
    os.kill(pid, signal.SIGSTOP)
    let_go(home)
    wait_for_entries(home, "done-job")
    wait_for_a_look_around(home, "probe")
    assert home.state("job") == "processing"
    os.kill(pid, signal.SIGCONT)
    home.wait_for_state("job", "completed")
    assert ledger(home) == ["begun-job", "done-job"]
    assert showing.job(home.queue.database, "job")["attempts"] == 1


def test_a_paused_worker_that_wakes_late_cannot_finish_a_job_that_it_lost(home):
    add(home, "job", PATIENT, max_retries=0)
    process = start(home)
    wait_for_entries(home, "begun-job")
    pid = worker_pid(home, "job")
    os.kill(pid, signal.SIGSTOP)
    seq = looking.processing(home.queue.database)[0]["seq"]
    claim, _ = claiming.running_attempt(home.queue.database, seq, finding.running_token(home.queue.database, "job"))
    verdict = Outcome(claim, "lost", time.time(), "lost: so the test decided")
    assert home.queue.exchange("another-worker", [verdict], 0, time.time(), SETTINGS)[0] == []
    let_go(home)
    wait_for_entries(home, "done-job")
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: "its claim was lost" in contents(process.log), "the late worker to notice")
    job = showing.job(home.queue.database, "job")
    assert (job["state"], job["last_error"]) == ("dead", "lost: so the test decided")
    assert [attempt["outcome"] for attempt in job["history"]] == ["lost"]


# ---------------------------------------------------------------- workers that cannot start


def test_what_keeps_workers_from_starting_once_all_were_up_is_told_once_and_waited_for(home):
    add(home, "job", PATIENT)
    process = start(home, "--count", "2")
    wait_for_entries(home, "begun-job")
    home.wait_for_workers(2)
    # Before all were up once, workers that cannot start are the end of their supervisor.
    wait_until(lambda: glob.glob(home.db + ".d/workers/*.ready"), "the supervisor to know that all are up")
    busy = holder(home, "job")
    settings = os.path.join(home.path, "config.json")
    with open(settings, "w") as file:
        file.write('{"max_retries": 3,}')
    for member in home.workers():
        if member["name"] != busy:
            os.kill(member["pid"], signal.SIGKILL)
    wait_until(lambda: "no worker can start now (exit code 3)" in contents(process.log), "the trouble to be told")
    time.sleep(4)  # several tries, of which nothing is heard
    log = contents(process.log)
    assert log.count(" died (") == 2, "one killed, one that could not start"
    assert (log.count("config.json: line 1, column"), log.count("no worker can start")) == (1, 1), log
    assert "Traceback" not in log
    os.unlink(settings)
    wait_until(lambda: "workers start again" in contents(process.log), "the trouble to be over")
    add(home, "second", "true")
    home.wait_for_state("second", "completed")
    let_go(home)
    home.wait_for_state("job", "completed")
    assert process.poll() is None


@needs_proc
def test_a_python_that_cannot_start_children_stops_the_supervisor_with_a_reason(home, tmp_path, monkeypatch):
    home.python = [sys.executable]
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "with open('/proc/self/cmdline', 'rb') as file:\n"
        "    if b'--multiprocessing-fork' in file.read():\n"
        "        os._exit(9)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = home.start("--count", "3")
    wait_until(lambda: process.poll() is not None, "the supervisor to give up")
    assert process.returncode == 3
    assert "workers cannot start (exit code 9 each time)" in contents(process.log)


# ---------------------------------------------------------------- chaos


def processes_with(mark):
    """The pids of all living processes that carry *mark* in their environment."""
    found = []
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        try:
            with open("/proc/%s/environ" % entry, "rb") as file:
                if mark.encode() in file.read():
                    found.append(int(entry))
        except (OSError, ValueError):
            continue
    return found


def kill_one(home, chance, supervisors):
    """Kill a random worker or supervisor that this test has started; one supervisor always serves."""
    members = [member for member in roster.members(home.queue.folder) if member["pid"] and member["kind"] != "starting"]
    kind = "supervisor" if chance.random() < 0.25 else "worker"
    victims = [member["pid"] for member in members if member["kind"] == kind]
    if not victims:
        return False
    pid = chance.choice(victims)
    end_process(pid)
    for process in supervisors[:]:
        if process.pid == pid:
            process.wait()
            supervisors.remove(process)
            supervisors.append(start(home, "--count", "3"))
    return True


def test_random_kills_of_workers_and_supervisors_lose_nothing_and_repeat_nothing(home, monkeypatch):
    mark = "QUEUE_TEST_MARK=%d.%d" % (os.getpid(), time.monotonic_ns())
    monkeypatch.setenv(*mark.split("="))
    command = (
        'mkdir "alone-$QUEUECTL_JOB_ID" || { echo overlap >> ledger; exit 1; }; %s'
        ' echo "$QUEUECTL_JOB_ID" >> ledger; rmdir "alone-$QUEUECTL_JOB_ID"'
    )
    pauses = ("", "sleep 0.03;", "sleep 0.1;")
    jobs = {"j%03d" % n: {"id": "j%03d" % n, "command": command % pauses[n % 3], "cwd": home.path} for n in range(150)}
    home.run("enqueue", "-", input="\n".join(json.dumps(job) for job in jobs.values()))
    chance = random.Random(20)
    supervisors = [start(home, "--count", "3")]
    kills = 0
    while kills < 20 and looking.counts(home.queue.database)["completed"] < 150:
        reached = min(145, (kills + 1) * 7)
        wait_until(lambda reached=reached: len(ledger(home)) >= reached, "%d jobs to have run" % reached, 60)
        time.sleep(chance.random() * 0.03)  # any moment, not only the one after an entry
        kills += kill_one(home, chance, supervisors)
    assert kills == 20, "the jobs ran out too early"
    home.run("wait", "--timeout", "60")
    home.run("worker", "stop")
    home.drain()  # also tidies up
    assert collections.Counter(ledger(home)) == dict.fromkeys(jobs, 1)
    for job in showing.jobs(home.queue.database, [], 1000)[0]:
        assert (job["state"], job["attempts"]) == ("completed", 1), job
    assert [name for name in os.listdir(home.path) if name.startswith("alone-")] == []
    assert os.listdir(home.queue.folder.workers) == []
    assert os.listdir(home.queue.folder.attempts) == []
    wait_until(lambda: processes_with(mark) == [], "every process of the test to be gone")


# ---------------------------------------------------------------- where little can be seen of other processes


@pytest.fixture
def no_proc(monkeypatch):
    """As on macOS and BSD: no /proc, so only `ps` and the locks tell."""
    monkeypatch.setattr(processes, "has_proc", lambda: False)
    monkeypatch.setattr(processes, "pidfd", lambda pid: None)


@pytest.fixture
def orphan(queue):
    """A running attempt whose worker is gone: (the attempt as the next worker sees it, its watcher)."""
    queue.enqueue(JobMaker(0, "/", 0o022, time.time()).row({"command": "sleep 60; exit 0"}))
    claim = queue.exchange("dead", [], 1, time.time(), SETTINGS)[1][0]
    first = Attempt(queue, claim)
    first.start(SETTINGS, SpareFiles(queue))
    watcher = first.child
    wait_until(lambda: "pid" in run_file.read_status(first.run_path), "the watcher to speak")
    first.lock.let_go()
    adopted = Attempt(queue, claim)
    adopted.adopt(time.time(), SETTINGS)
    yield adopted, watcher
    with contextlib.suppress(ProcessLookupError):
        os.killpg(watcher.pid, signal.SIGKILL)
    ended(watcher)


def ended(child):
    """The exit code of a child once it has one."""
    wait_until(lambda: child.poll() is not None, "pid %d to end" % child.pid)
    return child.returncode


def outcome_of(attempt, watcher):
    """Poll an attempt to its end, as a worker does."""
    return wait_until(lambda: (watcher.poll(), attempt.poll())[1], "the attempt to end")


def test_an_orphan_is_ended_also_where_there_is_no_proc(orphan, no_proc):
    attempt, watcher = orphan
    assert attempt.poll() is None
    assert watcher.pid in attempt.tree.members()
    attempt.end("cancelled", "cancelled while it ran")
    outcome = outcome_of(attempt, watcher)
    assert (outcome.kind, outcome.leftovers) == ("cancelled", None)


def test_without_proc_a_process_that_began_at_another_time_is_not_taken_for_the_watcher(orphan, no_proc):
    attempt, watcher = orphan
    with open(attempt.run_path, "wb") as file:
        file.write(run_file.start_line(attempt.claim.token, time.monotonic() - 600) + b"pid %d\n" % watcher.pid)
    assert attempt.tree.members() == []


def test_without_proc_nobody_is_taken_for_a_watcher_that_no_file_names(queue, no_proc, monkeypatch):
    """Some systems list pid 0, the kernel, whose group would be everybody."""
    started = time.strftime("%a %b %d %H:%M:%S %Y", time.localtime(time.time() - time.monotonic()))
    table = {pid: processes.Process(0, 0, started, "any") for pid in (0, 1, 500)}
    monkeypatch.setattr(processes, "process_table", lambda: table)
    tree = run_file.tree_of(secrets.token_hex(8), os.path.join(queue.folder.path, "missing"))
    assert tree.members() == []


def test_a_lock_that_is_held_is_proof_of_life_where_nobody_can_be_found(orphan, monkeypatch):
    """The watcher was killed, the command was not, and nothing shows who it is: no second run beside it."""
    attempt, watcher = orphan
    children = [pid for pid in attempt.tree.members() if pid != watcher.pid]
    monkeypatch.setattr(Tree, "_look", lambda self: self.known.clear() or SimpleNamespace(table={}))
    monkeypatch.setattr(processes, "KILL_SECONDS", 0.3)
    attempt.grace = 0.1
    os.kill(watcher.pid, signal.SIGKILL)
    ended(watcher)
    try:
        assert attempt.poll() is None, "something of it holds the lock"
        outcome = outcome_of(attempt, watcher)
        assert (outcome.kind, outcome.leftovers) == ("lost", "unknown processes")
        attempt.claim.leftovers = [attempt.claim.token]
        again = Attempt(attempt.queue, attempt.claim)
        with pytest.raises(CannotStart, match="still runs and cannot be ended: unknown processes"):
            again.start(SETTINGS, SpareFiles(attempt.queue))
    finally:
        for pid in children:
            end_process(pid)


@pytest.fixture
def leftover(queue):
    """A claim whose job has an earlier attempt with leftovers: (the claim, the path of that attempt's lock)."""
    queue.enqueue(JobMaker(0, "/", 0o022, time.time()).row({"command": "true"}))
    claim = queue.exchange("w-1", [], 1, time.time(), SETTINGS)[1][0]
    token = secrets.token_hex(8)  # whoever carries it is ended, in other tests as well
    claim.leftovers = [token]
    return claim, queue.folder.attempt_path(token, "run")


def test_a_leftover_that_is_dying_is_waited_for_and_costs_no_attempt(queue, leftover):
    """The lock outlives the process that `ps` calls dead: its other threads let go last."""
    claim, path = leftover
    fd = files.open_private(path, os.O_RDWR | os.O_CREAT)
    assert locks.try_lock(fd)
    timer = threading.Timer(0.4, os.close, [fd])
    timer.start()
    attempt = Attempt(queue, claim)
    attempt.start(SETTINGS, SpareFiles(queue))
    timer.join()
    assert ended(attempt.child) == 0
    attempt.discard()


def test_a_leftover_that_nobody_can_ask_after_now_costs_no_attempt(queue, leftover, monkeypatch):
    claim, path = leftover
    whole = files.open_private

    def refuse(name, flags):
        if name == path:
            raise OSError(errno.EMFILE, "Too many open files", name)
        return whole(name, flags)

    here = a_worker(queue)
    monkeypatch.setattr(files, "open_private", refuse)
    here.start(claim)
    assert [(outcome.kind, outcome.unstarted) for outcome in here.ended] == [("given back", True)]


def test_an_attempt_that_is_being_ended_is_looked_at_now_and_then_not_without_pause(orphan):
    attempt, watcher = orphan
    attempt.child = watcher
    attempt.ending = ("timed out", "timed out after 1 s")
    wake = WakeUp([])
    slots = Slots(1, Pace())
    slots.running.append(attempt)
    try:
        attempt.deadline = time.monotonic() - 5
        began = time.monotonic()
        assert slots.wait(0.2, wake) is False, "its leader lives"
        assert time.monotonic() - began >= 0.19
        os.kill(watcher.pid, signal.SIGKILL)
        attempt.code = ended(watcher)
        began = time.monotonic()
        assert slots.wait(0.2, wake) is False, "its leader is gone, others are not"
        assert time.monotonic() - began >= 0.19
    finally:
        wake.close()


def a_worker(queue):
    options = Options(1, False)
    return Worker(queue, "w-1", "w", options, lambda: SETTINGS)


def test_a_job_whose_lock_is_refused_by_the_system_is_given_back(queue, monkeypatch, capfd):
    queue.enqueue(JobMaker(0, "/", 0o022, time.time()).row({"command": "true"}))
    claim = queue.exchange("w-1", [], 1, time.time(), SETTINGS)[1][0]

    def refuse(fd, shared=False):
        raise HostError("file locks do not work here (No locks available): use a local file system")

    here = a_worker(queue)
    with monkeypatch.context() as patched:
        patched.setattr(locks, "try_lock", refuse)
        here.start(claim)
    assert [(outcome.kind, outcome.unstarted) for outcome in here.ended] == [("given back", True)]
    assert here.running == []
    assert "cannot start a job (file locks do not work here" in capfd.readouterr().err


def test_an_orphan_whose_files_cannot_be_read_is_told_once_and_judged_when_they_can(queue, monkeypatch, capfd):
    queue.enqueue(JobMaker(0, "/", 0o022, time.time()).row({"command": "true", "id": "job"}))
    claim = queue.exchange("dead", [], 1, time.time(), SETTINGS)[1][0]
    os.close(locks.hold_file(queue.folder.life_path("dead")))  # as a dead one leaves it
    run_path = queue.folder.attempt_path(claim.token, "run")
    open(run_path, "w").close()
    here = a_worker(queue)
    whole = files.open_private

    def refuse(path, flags):
        if path == run_path:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return whole(path, flags)

    with monkeypatch.context() as patched:
        patched.setattr(files, "open_private", refuse)
        for _ in range(3):
            here.orphans.look_after(looking.processing(queue.database), set(), here.running, free=1)
    assert capfd.readouterr().err.count("what became of it cannot be read") == 1
    assert finding.states_of(queue.database, ["job"]) == ["processing"]
    here.look_around()
    here.trade(claim=False)
    assert finding.states_of(queue.database, ["job"]) == ["pending"]


@needs_proc
def test_a_job_whose_files_were_swept_before_its_worker_died_is_waited_for(home):
    """Nothing tells how it ended, so it counts as lost: but only once it has, and nothing runs beside it."""
    add(home, "patient", PATIENT, max_retries=1)
    process = start(home)
    wait_for_entries(home, "begun-patient")
    for name in os.listdir(home.queue.folder.attempts):
        os.unlink(os.path.join(home.queue.folder.attempts, name))
    kill_everyone(home, process)
    process = start(home)
    wait_for_log(process, "adopted")
    assert home.state("patient") == "processing"
    let_go(home)
    home.wait_for_state("patient", "completed")
    assert [word for word in ledger(home) if word.startswith("begun")] == ["begun-patient"] * 2, ledger(home)
    log = contents(process.log)
    assert "its shell was killed" not in log, log
