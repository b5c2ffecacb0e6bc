"""A wall clock that jumps under running workers: what waits goes by the monotonic clock, and nothing freezes.

The clock of every queuectl process of a home is moved by a file (a module that Python loads
by itself adds what the file says to time.time()), as `date -s` or a waking laptop moves it:
between any two looks, and for all processes at once.
"""

import os
import sys
import time

import pytest
from helpers.home import ledger, let_go
from helpers.marks import posix_only
from helpers.queue import rows
from helpers.waiting import wait_until

from queuectl_lib import times
from queuectl_lib.run import pace
from queuectl_lib.store import schedules

DAY = 86400.0
MOVED = """
import os, time
true_time = time.time

def moved_time():
    try:
        with open(os.environ["MOVED_BY"]) as file:
            return true_time() + float(file.read())
    except FileNotFoundError:
        return true_time()

time.time = moved_time
"""

pytestmark = posix_only


class Clock:
    """The wall clock of one home's processes."""

    def __init__(self, path):
        self.path = path

    def move(self, seconds):
        with open(self.path + ".new", "w") as file:
            file.write(repr(seconds))
        os.replace(self.path + ".new", self.path)


@pytest.fixture
def clock(home, tmp_path, monkeypatch):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(MOVED)
    monkeypatch.setenv("PYTHONPATH", str(hooks))
    monkeypatch.setenv("MOVED_BY", str(tmp_path / "moved-by"))
    home.python = [sys.executable]  # -S would leave the hook out
    return Clock(str(tmp_path / "moved-by"))


def test_the_clock_of_the_processes_is_moved(home, clock):
    job = home.add("exit 0")
    clock.move(-400 * DAY)
    other = home.add("exit 0")
    assert home.job(other)["created_at"] < home.job(job)["created_at"]


PATIENT = 'echo $QUEUECTL_JOB_ID >>"$QUEUECTL_HOME/ledger"; while [ ! -e "$QUEUECTL_HOME/go" ]; do sleep 0.05; done'


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["ahead", "back"])
def test_a_jump_ends_no_running_job_and_runs_none_again(home, clock, jump):
    running = [home.add(PATIENT, "--timeout", "60") for _ in range(2)]
    process = home.start("--count", "2")
    wait_until(lambda: len(ledger(home)) == 2, "both jobs to run")
    clock.move(jump)
    time.sleep(2 * pace.LOOK_AROUND_SECONDS)  # every worker has looked around, and ended nothing
    assert [home.state(job) for job in running] == ["processing"] * 2
    let_go(home)
    for job in running:
        home.wait_for_state(job, "completed")
        attempts = home.job(job)["history"]
        assert [attempt["exit_code"] for attempt in attempts] == [0]
    assert sorted(ledger(home)) == sorted(running)
    home.run("worker", "stop")
    assert process.wait(20) == 0


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["ahead", "back"])
def test_a_timeout_ends_a_job_on_time_whatever_the_clock_says(home, clock, jump):
    job = home.add(PATIENT, "--timeout", "2", "--max-retries", "0")
    home.start()
    wait_until(lambda: ledger(home), "the job to run")
    began = time.monotonic()
    clock.move(jump)
    home.wait_for_state(job, "dead")
    assert time.monotonic() - began < 15
    assert home.job(job)["history"][0]["outcome"] == "timed out"


def test_a_retry_does_not_wait_for_a_clock_that_went_back(home, clock):
    home.run("config", "set", "backoff_base", "3")
    job = home.add('echo x >>"$QUEUECTL_HOME/ledger"; test -e "$QUEUECTL_HOME/go"', "--max-retries", "1")
    home.start()
    home.wait_for_state(job, "failed")
    clock.move(-DAY)
    let_go(home)
    home.wait_for_state(job, "completed")
    assert ledger(home) == ["x", "x"]


def test_a_retry_does_not_wait_for_a_clock_that_went_back_while_no_worker_ran(home, clock):
    home.run("config", "set", "backoff_base", "3")
    job = home.add('echo x >>"$QUEUECTL_HOME/ledger"; test -e "$QUEUECTL_HOME/go"', "--max-retries", "1")
    clock.move(DAY)
    process = home.start()
    home.wait_for_state(job, "failed")
    home.run("worker", "stop")
    assert process.wait(20) == 0
    clock.move(0)
    let_go(home)
    home.start()
    home.wait_for_state(job, "completed")


def test_a_clock_that_goes_ahead_burns_no_retries(home, clock):
    home.run("config", "set", "backoff_base", "3")
    job = home.add('echo x >>"$QUEUECTL_HOME/ledger"; test -e "$QUEUECTL_HOME/go"', "--max-retries", "3")
    home.start()
    home.wait_for_state(job, "failed")
    let_go(home)
    clock.move(DAY)
    home.wait_for_state(job, "completed")
    assert ledger(home) == ["x", "x"], "the retry came early, and was the only one"


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["ahead", "back"])
def test_after_a_jump_new_jobs_run_and_dead_workers_are_noticed(home, clock, jump):
    process = home.start("--count", "2")
    home.wait_for_workers(2)
    clock.move(jump)
    for _ in range(3):
        home.wait_for_state(home.add("exit 0"), "completed")
    lost = home.add(PATIENT)
    wait_until(lambda: ledger(home), "the patient job to run")
    before = {member["name"] for member in home.workers()}
    holder = home.job(lost)["worker"]
    os.kill(next(member["pid"] for member in home.workers() if member["name"] == holder), 9)
    wait_until(lambda: {member["name"] for member in home.workers()} - before, "another worker in its place")
    let_go(home)
    home.wait_for_state(lost, "completed")
    assert ledger(home) == [lost], "adopted, not run again"
    home.run("worker", "stop")
    assert process.wait(20) == 0


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["ahead", "back"])
def test_limits_of_waiting_go_by_the_monotonic_clock(home, clock, jump):
    """`wait --timeout`, `worker start --max-time` and `worker stop` neither end early nor hang."""
    job = home.add(PATIENT)
    process = home.start("--max-time", "3s")
    wait_until(lambda: ledger(home), "the job to run")
    clock.move(jump)
    began = time.monotonic()
    home.run("wait", job, "--timeout", "1", code=124)
    assert 0.9 < time.monotonic() - began < 15
    let_go(home)
    assert process.wait(20) == 0
    assert home.state(job) == "completed"


def test_a_clock_that_jumps_under_two_supervisors_makes_each_slot_of_a_schedule_once(home, clock):
    words = ["--missed", "all:1000", "--overlap", "allow", "--tz", "UTC", "--hold"]
    home.run("schedule", "set", "s", "* * * * *", "true", *words)
    for _ in range(2):
        home.start("--count", "1")
    home.wait_for_workers(2)
    for jump in (600, 4000, 2000, 9000, 30000, 26000, 40000):  # back by three hours at the most: it was right before
        clock.move(jump)
        most = times.utc_text(time.time() + jump)
        wait_until(lambda most=most: schedule_of(home)["next_at"] > most, "the slots of %s" % most)
    found = sorted(times.utc_seconds(job["slot"]) for job in rows(home.queue))
    assert found == [found[0] + 60 * number for number in range(len(found))] and len(found) > 600
    assert schedule_of(home)["made"] == len(found) and schedule_of(home)["skipped"] == 0


def schedule_of(home):
    (found,) = schedules.all_of(home.queue.database)
    return found


def test_a_clock_that_was_put_right_under_a_supervisor_keeps_no_schedule_waiting(home, clock):
    clock.move(400 * DAY)
    home.run("schedule", "set", "s", "every 1s", "true", "--overlap", "allow")
    home.start("--count", "1")
    wait_until(lambda: schedule_of(home)["made"], "the first slot")
    clock.move(0)
    before = schedule_of(home)["made"]
    wait_until(lambda: schedule_of(home)["made"] > before + 2, "slots by the clock that is right")
    assert times.utc_seconds(schedule_of(home)["next_at"]) < time.time() + 60
