"""Several jobs at once in one worker: when one more begins, and that each is followed by itself."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from helpers.bundle import ROOT
from helpers.home import PATIENT, contents, ledger, let_go, wait_for_log
from helpers.marks import needs_proc, posix_only
from helpers.queue import SETTINGS, claim, enqueue, raw
from helpers.waiting import wait_until

from queuectl_lib.errors import BadInput, Locked
from queuectl_lib.host import bell as bell_of_the_queue
from queuectl_lib.host.waking import Bell, WakeUp
from queuectl_lib.run import output_streams, pace, replacing, slots, wording
from queuectl_lib.run.options import Options
from queuectl_lib.run.places import Places
from queuectl_lib.run.replacing import WorkerProcess, next_share
from queuectl_lib.run.trouble import Trouble
from queuectl_lib.store import roster, showing
from worker import Worker


@pytest.fixture
def home(near):
    return near


ODD_MEMBER = '{"kind": "worker", "slots": "many", "pid": [], "limited": 1}'
# A program, on every system, that ends once so many run at once; the last word tells them apart.
MEET = """
import os, sys, time
open("here-" + sys.argv[2], "w").close()
while len([name for name in os.listdir() if name.startswith("here-")]) < int(sys.argv[1]):
    time.sleep(0.02)
"""


def begun(home, count):
    wait_until(lambda: ledger(home).count("begun") == count, "%d jobs to run at once" % count)


def patient(home, count, *words):
    return [home.add(PATIENT, "--cwd", home.path, *words) for _ in range(count)]


# ---------------------------------------------------------------- how many, on how many


@pytest.mark.parametrize("jobs, processes, shares", [(1, 1, [1]), (7, 3, [3, 2, 2]), (8, 2, [4, 4]), (5, 5, [1] * 5)])
def test_each_worker_gets_its_share_of_the_slots(jobs, processes, shares):
    asked = Options(jobs, False, processes=processes)
    assert replacing.shares(asked) == shares
    began = []
    for share in shares:
        assert next_share(asked, began) == share
        began.append(WorkerProcess("w", None, share))
    del began[0]
    assert next_share(asked, began) == shares[0], "who is replaced leaves its share to the next"


def test_there_are_no_more_processes_than_two_for_each_core_unless_asked_for(monkeypatch):
    def asked(count, processes=None):
        return wording.checked_options(count, processes, False, {}, None)

    monkeypatch.setattr(wording.host, "cores", lambda: 3)
    assert [asked(count).processes for count in ("1", "6", "7", "50")] == [1, 6, 6, 6]
    assert asked("50", "20").processes == 20
    assert wording.described(asked("7")) == "workers: 6, jobs at once: 7"
    assert wording.described(asked("2")) == "workers: 2"


@pytest.mark.parametrize("count, processes", [("2", "3"), ("4", "0"), ("4", "x"), ("4", "-1")])
def test_a_number_of_processes_that_cannot_be_is_refused(home, count, processes):
    with pytest.raises(BadInput, match="--processes"):
        wording.checked_options(count, processes, False, {}, None)
    assert "--processes" in home.run("worker", "start", "--count", count, "--processes", processes, code=2).stderr
    assert not os.path.exists(home.db)


def test_a_background_supervisor_is_started_with_the_same_slots(home):
    text = home.run("worker", "start", "--background", "--count", "5", "--processes", "2").stderr
    assert ", workers: 2, jobs at once: 5; log: " in text
    home.wait_for_workers(2)
    assert sorted(one["slots"] for one in home.workers()) == [2, 3]
    assert "workers         2 alive, jobs at once: 5, supervisors: 1\n" in home.run("status").stdout
    status = home.run("status", "--json").json
    assert (status["workers"], status["slots"], status["supervisors"]) == (2, 5, 1)


def test_supervisors_whose_time_is_limited_share_slots_and_not_processes(home):
    first = home.start("--count", "3", "--processes", "1", "--max-time", "1h")
    home.wait_for_workers(1)
    second = home.start("--count", "5", "--processes", "2", "--max-time", "1h")
    home.wait_for_workers(2)
    assert sorted(one["slots"] for one in home.workers()) == [2, 3]
    assert Places(home.queue.folder, "third", True).most(4, 0, True) == 0
    assert first.poll() is None and second.poll() is None


@posix_only
@pytest.mark.parametrize("text", [ODD_MEMBER, "[1, 2]", "7", "[" * 4000])
def test_whatever_a_job_writes_into_the_life_file_of_its_worker_is_no_traceback(home, text):
    process = home.start("--count", "3", "--processes", "1")
    home.wait_for_workers(1)
    with open(home.queue.folder.life_path(home.workers()[0]["name"]), "w") as file:
        file.write(text)
    assert " alive, jobs at once: " in home.run("status").stdout
    home.run("worker", "list")
    assert isinstance(home.run("status", "--json").json["slots"], int)
    process.terminate()
    assert process.wait(60) == 0


# ---------------------------------------------------------------- when one more begins


def test_as_many_jobs_run_at_once_in_one_process_as_it_has_slots(home):
    def meet(number):
        words = [sys.executable, "-c", MEET, "5", str(number)]
        return home.run("add", "--cwd", home.path, "--", *words).id

    jobs = [meet(number) for number in range(4)]
    process = home.start("--count", "6", "--processes", "1", "--drain")
    for job in jobs:
        home.wait_for_state(job, "processing")
    jobs.append(meet(4))  # the bell, beside jobs that run
    assert process.wait(60) == 0
    log = contents(process.log)
    assert log.count(": worker started, pid ") == 1
    for job in jobs:
        assert log.count("job %s started (attempt 1 of 4)" % job) == log.count("job %s completed" % job) == 1


@posix_only
def test_no_more_run_at_once_than_there_are_slots(home):
    patient(home, 5)
    process = home.start("--count", "3", "--processes", "1", "--drain")
    begun(home, 3)
    wait_until(lambda: home.run("status", "--json").json["processing"] == 3, "three to be claimed, and no more")
    assert ledger(home).count("begun") == 3
    let_go(home)
    assert process.wait(60) == 0
    assert ledger(home).count("done") == 5


@posix_only
def test_short_jobs_pass_long_ones_one_after_the_other(home):
    patient(home, 2)
    process = home.start("--count", "3", "--processes", "1")
    begun(home, 2)
    shorts = [home.add("mkdir alone && rmdir alone", "--cwd", home.path) for _ in range(30)]
    for job in shorts:
        home.wait_for_state(job, "completed")
    assert ledger(home).count("done") == 0, "the long ones still run"
    let_go(home)
    wait_until(lambda: ledger(home).count("done") == 2, "the long ones to end")
    process.terminate()
    assert process.wait(60) == 0


def worker_of(queue, most):
    """A worker that has not begun: what it thinks, without a process."""
    return Worker(queue, "w-1", "s1", Options(most, False, processes=1, slots=most), lambda: SETTINGS)


class Running:
    """An attempt as Slots sees it."""

    def __init__(self, age, adopted=False, deadline=None, ending=None, lingers=False):
        self.began = time.monotonic() - age
        self.adopted, self.deadline, self.ending, self.child = adopted, deadline, ending, None
        self.lingers = lambda: lingers
        self.rests = lambda: False
        self.is_watched_closely = lambda: lingers or bool(ending)
        self.output = output_streams.OutputStreams({}, False)


@pytest.mark.parametrize(
    "ages, room",
    [
        ([], True),
        ([0], False),
        ([60], True),
        ([60, 0], False),
        ([0, 60], False),
        ([60, 60], True),
        ([60, 60, 60], False),
        ([60, 60, 60, 60], False),
    ],
)
def test_there_is_room_where_a_slot_is_free_and_all_that_runs_is_long(ages, room):
    one = slots.Slots(3, pace.Pace())
    one.running += [Running(age) for age in ages]
    assert one.have_room() is room
    assert one.free() == max(0, 3 - len(ages))


def test_where_jobs_were_long_of_late_the_next_one_does_not_wait_to_see_whether_the_last_is_short():
    one = slots.Slots(3, pace.Pace())
    one.running.append(Running(0))
    assert not one.have_room()
    one.pace.follow(60)
    assert one.have_room()
    for _ in range(5):
        one.pace.follow(0.001)
    assert not one.have_room(), "a few short ones, and one after the other is quicker again"


def test_what_was_adopted_is_long():
    one = slots.Slots(2, pace.Pace())
    one.running.append(Running(0, adopted=True))
    assert one.have_room() and one.young() is None


@posix_only
def test_a_worker_with_a_free_slot_hears_the_bell_beside_what_runs(home):
    home.run("initdb")
    wake, bell = WakeUp([]), Bell(home.queue.folder.bell, home.queue.path)
    one = slots.Slots(2, pace.Pace())
    one.running.append(Running(60))
    try:
        timer = threading.Timer(0.1, home.run, ["add", "true"])
        timer.start()
        assert one.wait(60, wake, bell) and bell.rung
        timer.join()
        bell.rung = False
        began = time.monotonic()
        one.running.append(Running(60, deadline=time.monotonic() + 0.2))
        assert not one.wait(60, wake, bell) and time.monotonic() - began < 30, "a deadline ends it, too"
    finally:
        bell.close()
        wake.close()


def test_a_full_worker_leaves_the_bell_to_others(queue, monkeypatch):
    one = worker_of(queue, 2)
    heard = []
    monkeypatch.setattr(slots.Slots, "wait", lambda self, seconds, wake, bell=None: heard.append(bell))
    one.bell = one.wake = "the bell"
    one.running += [Running(60)]
    monkeypatch.setattr(Running, "bound_output", lambda self: False, raising=False)
    one.watch_running()
    one.running += [Running(60)]
    one.watch_running()
    one.stage = "stop"
    one.running.pop()
    one.watch_running()
    assert heard == ["the bell", None, None]


def test_what_is_held_ahead_is_given_back_as_soon_as_a_job_is_long_and_one_is_claimed_anew(queue, monkeypatch):
    ids = [enqueue(queue, now=time.time()) for _ in range(4)]
    one = worker_of(queue, 3)
    one.bell = Bell(queue.folder.bell, queue.path)
    one.wake = WakeUp([])
    try:
        one.ahead.extend(claim(queue, time.time(), 3, "w-1"))
        one.running.append(Running(60))
        one.pace.follow(pace.AHEAD_SECONDS)
        one.watch_running()
        assert [held.id for held in one.ahead] == [ids[0]], "one at a time, while jobs are long"
        jobs = [showing.job(queue.database, job) for job in ids]
        assert [(job["state"], job["attempts"]) for job in jobs] == [("processing", 1)] + [("pending", 0)] * 3
    finally:
        one.bell.close()
        one.wake.close()


# ---------------------------------------------------------------- each by itself


@posix_only
def test_one_of_many_is_cancelled_one_times_out_and_the_others_go_on(home):
    timed = home.add("sleep 60", "--timeout", "0.3", "--max-retries", "0")
    other = home.add("sleep 60")
    patient(home, 3)
    process = home.start("--count", "5", "--processes", "1", "--drain")
    begun(home, 3)
    home.wait_for_state(timed, "dead")
    home.run("cancel", other)
    home.wait_for_state(other, "cancelled")
    assert ledger(home).count("done") == 0 and "timed out after 0.3 s" in home.job(timed)["last_error"]
    let_go(home)
    assert process.wait(60) == 0
    assert sorted(ledger(home)) == ["begun"] * 3 + ["done"] * 3


@posix_only
def test_a_flood_of_one_is_cut_while_others_run(home):
    home.run("config", "set", "max_output", "100000")
    patient(home, 2)
    flood = home.add("yes %s | head -c 3000000; echo flooded >> ledger; sleep 0.2" % ("x" * 99), "--cwd", home.path)
    home.start("--count", "3", "--processes", "1")
    begun(home, 2)
    home.wait_for_state(flood, "completed")
    assert home.job(flood)["history"][0]["stdout_bytes"] <= 100000
    assert ledger(home).count("done") == 0
    let_go(home)


@posix_only
def test_a_stop_waits_for_all_and_a_second_one_gives_all_back(home):
    jobs = patient(home, 4)
    process = home.start("--count", "4", "--processes", "1")
    begun(home, 4)
    process.terminate()
    wait_for_log(process, "nothing new starts")
    late = home.add("true")
    process.terminate()
    assert process.wait(60) == 0
    found = [home.job(job) for job in jobs]
    assert [(job["state"], job["attempts"]) for job in found] == [("pending", 0)] * 4
    assert home.state(late) == "pending"


@posix_only
def test_a_stop_lets_all_of_them_finish(home):
    jobs = patient(home, 4)
    process = home.start("--count", "4", "--processes", "1")
    begun(home, 4)
    process.terminate()
    wait_for_log(process, "nothing new starts")
    let_go(home)
    assert process.wait(60) == 0
    assert {home.state(job) for job in jobs} == {"completed"}


@posix_only
def test_a_worker_that_is_killed_takes_its_row_of_jobs_along_and_each_is_decided_by_itself(home):
    jobs = patient(home, 5)
    brief = home.add("while [ -e %s/alive ]; do sleep 0.02; done; exit 3" % home.path, "--max-retries", "0")
    with open(os.path.join(home.path, "alive"), "w"):
        pass
    process = home.start("--count", "6", "--processes", "1")
    begun(home, 5)
    home.wait_for_state(brief, "processing")
    first = home.workers()[0]
    os.kill(process.pid, signal.SIGSTOP)  # nobody replaces it yet
    os.kill(first["pid"], signal.SIGKILL)
    os.remove(os.path.join(home.path, "alive"))
    os.kill(process.pid, signal.SIGCONT)
    home.wait_for_state(brief, "dead")
    for job in jobs:
        wait_for_log(process, "job %s adopted from %s, which died" % (job, first["name"]))
    assert "exit code 3" in home.job(brief)["last_error"]
    let_go(home)
    for job in jobs:
        home.wait_for_state(job, "completed")
    assert [home.job(job)["attempts"] for job in jobs] == [1] * 5
    assert sorted(ledger(home)) == ["begun"] * 5 + ["done"] * 5, "each ran once"


@posix_only
def test_of_a_row_of_orphans_a_worker_adopts_as_many_as_it_has_slots(home):
    jobs = patient(home, 5)
    process = home.start("--count", "5", "--processes", "1")
    begun(home, 5)
    home.run("worker", "stop", "--leave-running")
    assert process.wait(60) == 0
    process = home.start("--count", "3", "--processes", "1", "--drain")
    wait_until(lambda: contents(process.log).count(" adopted from ") == 3, "three to be adopted")
    listed = [one for one in home.run("worker", "list", "--json").json if one["kind"] == "worker"]
    assert len(listed) == 1 and len(listed[0]["jobs"]) == 3 and listed[0]["job"] == listed[0]["jobs"][0]
    assert set(listed[0]["jobs"]) < set(jobs)
    lines = home.run("worker", "list").stdout.splitlines()
    assert [line.split()[-1] for line in lines if " worker " in line] == listed[0]["jobs"]
    let_go(home)
    assert process.wait(60) == 0
    assert [home.state(job) for job in jobs] == ["completed"] * 5
    assert sorted(ledger(home)) == ["begun"] * 5 + ["done"] * 5
    assert roster.members(home.queue.folder) == []


@posix_only
def test_a_hundred_jobs_outlive_all_workers_twice_and_each_runs_once(home):
    os.mkfifo(os.path.join(home.path, "gate"))
    waits = {"command": "echo begun >> ledger; read line < gate; echo done >> ledger", "cwd": home.path}
    home.run("enqueue", "-", input=(json.dumps(waits) + "\n") * 100)
    process = home.start("--count", "100", "--processes", "4")
    begun(home, 100)
    for adopted in (100, 200):
        for worker in home.workers():
            os.kill(worker["pid"], signal.SIGKILL)
        wait_until(lambda n=adopted: contents(process.log).count(" adopted from ") == n, "%d adoptions" % adopted, 60)
    with open(os.path.join(home.path, "gate"), "w") as gate:
        gate.write("go\n" * 100)
        gate.flush()
        wait_until(lambda: home.run("status", "--json").json["completed"] == 100, "all to end", 60)
    assert sorted(ledger(home)) == ["begun"] * 100 + ["done"] * 100
    assert {job["attempts"] for job in home.run("list", "--json", "--limit", "100").json} == {1}


# ---------------------------------------------------------------- what a row must not cost


def test_a_worker_with_a_free_slot_does_not_ring_for_itself(queue, monkeypatch):
    rung = []
    monkeypatch.setattr(bell_of_the_queue, "ring", rung.append)
    one = worker_of(queue, 3)
    one.bell = Bell(queue.folder.bell, queue.path)
    one.running.append(Running(60))
    one.bell.rung = True  # somebody has rung, and nothing is due
    one.keep_going()
    one.keep_going()
    one.bell.close()
    assert (rung, one.bell.rung) == ([], False)


@posix_only
def test_a_database_that_others_lock_keeps_no_running_job_from_its_timeout(home):
    timed = home.add("while :; do echo on >> alive; sleep 0.05; done", "--cwd", home.path, "--timeout", "2")
    brief = home.add("while [ ! -e locked ]; do sleep 0.02; done", "--cwd", home.path)
    process = home.start("--count", "3", "--processes", "1")
    home.wait_for_state(timed, "processing")
    home.wait_for_state(brief, "processing")
    with raw(home.queue) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with open(os.path.join(home.path, "locked"), "w"):
            pass  # its result has to wait for the lock
        wait_until(lambda: not is_written(home, "alive"), "the other to be ended while the database is locked")
        assert "is locked by" not in contents(process.log), "which is told once it has lasted for long"
        connection.execute("ROLLBACK")
    wait_until(lambda: "timed out after 2 s" in contents(process.log), "it to be recorded")
    home.wait_for_state(brief, "completed")


def is_written(home, name):
    """Whether a file grows within a quarter of a second."""
    before = contents(os.path.join(home.path, name))
    time.sleep(0.25)
    return not before or contents(os.path.join(home.path, name)) != before


def test_trouble_does_not_keep_a_worker_from_looking_at_what_runs(queue, monkeypatch):
    one = worker_of(queue, 3)
    waited = []
    monkeypatch.setattr(slots.Slots, "wait", lambda self, seconds, wake, bell=None: waited.append(seconds))
    monkeypatch.setattr(Running, "bound_output", lambda self: False, raising=False)
    one.bell = one.wake = "the bell"
    one.running.append(Running(60))
    one.trouble.retry_at = time.monotonic() + 5
    one.watch_running()
    one.running.append(Running(60, ending="cancelled"))
    one.watch_running()
    assert waited == [pace.TICK_SECONDS, pace.ADOPTED_TICK_SECONDS]


def test_a_lock_is_told_after_as_long_where_it_is_waited_for_in_turns(capfd, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    told = []
    for running in ([], [Running(60)]):
        one = Trouble(told.append)
        for _ in range(100):
            now[0] += one.patience(running)
            one.meet(Locked("it is locked"), in_writing=True)
            if told:
                break
            now[0] += one.pause
        assert told == ["it is locked; trying again"]
        told.clear()
        one.over(in_writing=True)
        assert told == ["the database answers again"]
        told.clear()
    one.meet(Locked("it is locked"), in_writing=True)
    one.over(in_writing=True)
    assert told == [], "what was not told is not told to be over"


@posix_only
@needs_proc
def test_a_job_that_runs_takes_few_descriptors_of_its_worker(home):
    process = home.start("--count", "8", "--processes", "1")
    home.wait_for_workers(1)
    folder = "/proc/%d/fd" % home.workers()[0]["pid"]
    wait_until(lambda: not home.queue.database.fingerprint() or len(os.listdir(folder)) > 5, "it to be up")
    patient(home, 1)
    begun(home, 1)
    before = len(os.listdir(folder))
    patient(home, 7)
    begun(home, 8)
    few = before + 7 * (wording.FILES_OF_JOB - 1)
    wait_until(lambda: len(os.listdir(folder)) <= few, "it to hold three for each; it opens others for a moment")
    let_go(home)
    process.terminate()
    assert process.wait(60) == 0


@posix_only
def test_a_worker_has_no_more_slots_than_it_may_have_files_open(home, monkeypatch):
    monkeypatch.setattr(wording.host, "cores", lambda: 1)
    monkeypatch.setattr(wording.host, "most_descriptors", lambda: 264)
    assert wording.most_slots() == 50
    assert wording.checked_options("300", None, False, {}, None).processes == 6
    with pytest.raises(BadInput, match=r"--processes 5 cannot run 300 jobs at once: one runs up to 50 here \(`ulimit"):
        wording.checked_options("300", "5", False, {}, None)
    monkeypatch.setattr(wording.host, "most_descriptors", lambda: 16)
    assert wording.most_slots() == 1
    monkeypatch.undo()
    assert wording.host.most_descriptors() >= 16


@posix_only
def test_a_lack_of_descriptors_is_not_told_as_one_of_permissions(queue):
    enqueue(queue)
    script = (
        "import os, resource, sys\n"
        "sys.path.insert(0, %r)\n"
        "from storage import Queue\n"
        "from queuectl_lib.store import looking\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n"
        "held = []\n"
        "try:\n"
        "    while True: held.append(os.open(os.devnull, os.O_RDONLY))\n"
        "except OSError: os.close(held.pop())\n"
        "try: looking.counts(Queue(sys.argv[1]).database)\n"
        "except Exception as error: print(error)\n" % ROOT
    )
    said = subprocess.run([sys.executable, "-c", script, queue.path], stdout=subprocess.PIPE, check=True).stdout
    assert "as many files open as it may have (ulimit -n)" in said.decode() or "Too many open files" in said.decode()


# ---------------------------------------------------------------- how often all that runs is looked at


def writing(tmp_path, name):
    """An attempt with an output of its own, to which *name* is written."""
    one = Running(60)
    one.file = open(str(tmp_path / name), "wb", buffering=0)
    one.output.files = [one.file.fileno()]
    one.output.sizes = [0]
    return one


@posix_only
def test_what_has_written_nothing_for_long_is_looked_at_half_as_often_until_it_does(tmp_path):
    one = slots.Slots(4, pace.Pace())
    one.running += [writing(tmp_path, "quiet"), writing(tmp_path, "other")]
    assert one.tick() == pace.TICK_SECONDS, "they have only begun"
    for running in one.running:
        running.output.grew_at -= pace.CALM_SECONDS
        assert not running.output.may_need_a_look(100)
    assert one.tick() == pace.CALM_TICK_SECONDS
    one.running[1].file.write(b"again")
    assert one.running[1].output.may_need_a_look(100) and one.tick() == pace.TICK_SECONDS
    one.running[1].output.grew_at -= pace.CALM_SECONDS
    one.running.append(Running(60, ending=("cancelled", ""), lingers=True))
    assert one.tick() == pace.ADOPTED_TICK_SECONDS
    for running in one.running[:2]:
        running.file.close()
