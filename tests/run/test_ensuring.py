"""Ensuring: `worker start --ensure` may be called at any time by anybody, and `--max-time` ends what it starts."""

import os
import re
import signal
import subprocess
import time

import pytest
from helpers.home import contents, let_go
from helpers.marks import posix_only
from helpers.processes import end_process
from helpers.waiting import wait_until

from queuectl_lib.run.options import Options
from queuectl_lib.run.places import Places
from queuectl_lib.store import finding, roster
from worker import Supervisor

ENSURE = ("worker", "start", "--ensure", "--background", "--quiet")


def supervisors(home):
    return [member for member in roster.members(home.queue.folder) if member["kind"] == "supervisor"]


def has_begun(home):
    return os.path.exists(os.path.join(home.path, "begun"))


def add_gated_job(home):
    """A job that says that it has begun, and ends when it is let go."""
    return home.add("echo on > begun; while [ ! -e go ]; do sleep 0.03; done", "--cwd", home.path)


@posix_only
def test_many_crontabs_at_the_same_instant_start_one_supervisor_and_say_nothing(home):
    home.run("initdb")
    barrier, starter = os.pipe()
    words = ["env", "-i", "/bin/sh", "-c", 'read -r line; exec "$@" </dev/null', "sh"] + home.command(*ENSURE)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    calls = [subprocess.Popen(words, stdin=barrier, cwd="/", **pipes) for _ in range(8)]
    os.close(barrier)
    os.close(starter)  # the end of the pipe is what all of them wait for
    said = [call.communicate(timeout=60) + (call.returncode,) for call in calls]
    assert said == [(b"", b"", 0)] * 8
    assert len(supervisors(home)) == 1
    assert contents(home.queue.folder.log).count("supervisor started") == 1


def test_a_healthy_supervisor_makes_the_next_call_silent_and_a_dead_one_is_replaced(home):
    first = home.run("worker", "start", "--ensure", "--background")
    assert "started in the background" in first.stderr
    before = supervisors(home)
    again = home.run("worker", "start", "--ensure", "--background")
    assert (again.stdout, again.stderr) == ("", "")
    assert supervisors(home) == before
    for member in roster.members(home.queue.folder):
        end_process(member["pid"])
    wait_until(lambda: roster.members(home.queue.folder) == [], "the killed ones to be gone")
    quiet = home.run(*ENSURE)
    assert (quiet.stdout, quiet.stderr) == ("", "")
    assert len(supervisors(home)) == 1 and supervisors(home) != before
    job = home.add("exit 0")
    home.wait_for_state(job, "completed")


@posix_only
@pytest.mark.parametrize("how", ["file", "signal", "max-time", "foreground"])
def test_while_a_stopping_supervisor_finishes_a_long_job_a_new_one_is_started(home, how):
    job = add_gated_job(home)
    if how == "foreground":
        home.start("--ensure")
    else:
        home.run(*ENSURE, *(("--max-time", "4s") if how == "max-time" else ()))
    wait_until(lambda: has_begun(home), "the job to begin")
    old = supervisors(home)[0]
    if how == "signal":
        os.kill(old["pid"], signal.SIGTERM)
    elif how != "max-time":
        os.close(os.open(home.queue.folder.request_path(old["name"], "stop"), os.O_CREAT | os.O_WRONLY))
    wait_until(lambda: not roster.is_served(home.queue.folder), "the supervisor to be seen to stop")
    home.run(*ENSURE)
    assert len(supervisors(home)) == 2
    other = home.add("exit 0")
    home.wait_for_state(other, "completed")
    assert home.state(job) == "processing"
    let_go(home)
    home.wait_for_state(job, "completed")
    wait_until(lambda: old not in supervisors(home), "the old supervisor to leave")
    assert home.job(job)["attempts"] == 1


def test_a_foreground_supervisor_counts_as_one(home):
    foreground = home.start("--ensure")
    home.wait_for_workers(1)
    home.run(*ENSURE)
    assert len(supervisors(home)) == 1
    second = home.start("--ensure")
    assert second.wait(20) == 0
    assert contents(second.log) == ""
    home.run("worker", "stop")
    assert foreground.wait(20) == 0
    home.run(*ENSURE)
    assert len(supervisors(home)) == 1


def test_the_lock_of_a_killed_starter_binds_nobody(home):
    home.run("initdb")
    fd = roster.try_start_lock(home.queue.folder)
    done = home.run(*ENSURE)
    assert (done.stderr, roster.members(home.queue.folder)) == ("", []), "another one is starting it"
    os.close(fd)
    home.run(*ENSURE)
    assert len(supervisors(home)) == 1


def test_a_supervisor_does_not_hold_the_right_to_start_the_next_one(home):
    home.run(*ENSURE)
    fd = roster.try_start_lock(home.queue.folder)
    assert fd is not None
    os.close(fd)


def test_a_start_that_fails_is_one_line_and_exit_3_also_when_quiet(home):
    with open(os.path.join(home.path, "config.json"), "w") as file:
        file.write('{"max_retries": }')
    assert "config.json: line 1, column 17" in home.run(*ENSURE, code=3).stderr
    os.unlink(os.path.join(home.path, "config.json"))
    home.run("initdb")
    with open(home.db, "r+b") as file:
        file.write(b"not a database, not at all")
    assert "is not a database" in home.run(*ENSURE, code=3).stderr


# ---------------------------------------------------------------- --max-time


@posix_only
def test_after_max_time_running_jobs_finish_and_nothing_new_starts(home):
    long = add_gated_job(home)
    process = home.start("--max-time", "4s")
    wait_until(lambda: has_begun(home), "the job to begin")
    assert roster.is_served(home.queue.folder)
    wait_until(lambda: not roster.is_served(home.queue.folder), "the time to be over")
    waiting = home.add("exit 0")
    let_go(home)
    assert process.wait(20) == 0
    assert finding.states_of(home.queue.database, [long, waiting]) == ["completed", "pending"]
    assert "stopping: running jobs finish, nothing new starts" in contents(process.log)


def test_max_time_ends_a_drain_that_waits_for_a_later_job_and_a_drain_ends_before_it(home):
    later = home.add("exit 0", "--delay", "1h")
    began = time.monotonic()
    home.run("worker", "start", "--drain", "--max-time", "1s")
    assert time.monotonic() - began < 40
    assert home.state(later) == "pending"
    home.run("cancel", later)
    home.run("worker", "start", "--drain", "--max-time", "1h")


def test_max_time_holds_in_the_background_too(home):
    home.run("worker", "start", "--background", "--max-time", "0.5s", "--count", "2")
    log = home.queue.folder.log
    wait_until(lambda: contents(log).rstrip().endswith("supervisor stopped"), "the supervisor to leave in time")
    assert roster.members(home.queue.folder) == []


def test_a_background_start_whose_time_is_over_before_its_workers_are_up_is_no_failure(home):
    home.run("initdb")
    supervisor = Supervisor(home.queue, "s1", Options(1, False, None, 0.0), None)
    supervisor.stage = "stop"
    supervisor.announce_ready()
    assert os.path.exists(home.queue.folder.request_path("s1", "ready")), (
        "whoever waits for it learns that it has begun"
    )
    home.run("worker", "start", "--background", "--max-time", "0")
    wait_until(lambda: roster.members(home.queue.folder) == [], "the supervisor to leave")


GATED = "echo x >> begun; while [ ! -e go-$QUEUECTL_JOB_ID ]; do sleep 0.03; done"


def entries(home):
    return contents(os.path.join(home.path, "begun")).count("x")


def add_gated(home, number):
    for place in range(number):
        home.add(GATED, "--id", "gated-%d" % place, "--cwd", home.path)


@posix_only
@pytest.mark.parametrize("count", [1, 2])
def test_supervisors_with_a_max_time_do_not_pile_up_behind_long_jobs(home, count):
    """As the documented line for cron does, each minute, with jobs that take longer."""
    add_gated(home, count + 2)
    line = ["--drain", "--count", str(count), "--max-time"]
    first = home.start(*line, "4s")
    wait_until(lambda: entries(home) == count, "the first jobs to run")
    others = [home.start(*line, "30s") for _ in range(3)]
    wait_until(lambda: len(supervisors(home)) == 4, "the next supervisors")
    wait_until(lambda: "stopping" in contents(first.log), "the time of the first to be over")
    time.sleep(2)  # four looks of each of them
    assert (entries(home), len(home.workers())) == (count, count)
    with open(os.path.join(home.path, "go-gated-0"), "w"):
        pass
    wait_until(lambda: entries(home) == count + 1, "its slot to be taken")
    time.sleep(1)
    assert (entries(home), len(home.workers())) == (count + 1, count), "and by one alone"
    assert [process.poll() for process in others] == [None] * 3, "who waits for a slot is not drained"
    for place in range(count + 2):
        with open(os.path.join(home.path, "go-gated-%d" % place), "w"):
            pass
    home.run("wait", "--timeout", "30")
    for process in [first] + others:
        assert process.wait(40) == 0


@posix_only
def test_supervisors_that_start_at_once_with_a_max_time_share_their_workers(home):
    add_gated(home, 6)
    started = [home.start("--count", "2", "--max-time", "1h") for _ in range(4)]
    wait_until(lambda: len(supervisors(home)) == 4 and entries(home) == 2, "all to serve, and two jobs to run")
    time.sleep(2)
    assert (entries(home), len(home.workers())) == (2, 2)
    home.run("worker", "stop", "--now")
    assert [process.wait(20) for process in started] == [0] * 4


@posix_only
def test_who_has_counted_lets_nobody_count_until_what_it_starts_is_up(home):
    home.run("initdb")
    one, two = (Places(home.queue.folder, name, True) for name in ("one", "two"))
    assert one.most(2, 0, True) == 2
    assert two.most(2, 0, True) == 0, "the workers of the first cannot be counted yet"
    assert one.most(2, 2, False) == 2
    assert two.most(2, 0, True) == 0
    assert one.most(2, 2, True) == 2
    assert two.most(2, 0, True) == 2, "they are up, and those who live are counted now (here nobody)"
    two.let_go()


@posix_only
@pytest.mark.parametrize("limit", [[], ["--max-time", "2s"]], ids=["no end", "a max-time"])
@pytest.mark.parametrize("descriptors", [9, 11])
def test_a_supervisor_that_lacks_descriptors_from_the_beginning_says_so(home, descriptors, limit):
    """What keeps it from counting the workers of others is not that these have taken all places."""
    home.run("initdb")
    words = ["/bin/sh", "-c", 'ulimit -n %d; exec "$@"' % descriptors, "sh"] + home.command("worker", "start", *limit)
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=home.environment(), timeout=60)
    said = done.stderr.decode()
    wanted = r"\nqueuectl: error: cannot start a worker: .*Too many open files\n$"
    assert done.returncode == 3 and re.search(wanted, said), said


def test_places_that_cannot_be_counted_for_once_are_none(home, monkeypatch):
    home.run("initdb")
    places = Places(home.queue.folder, "one", True)
    assert places.most(2, 0, True) == 2
    monkeypatch.setattr(places, "_counted", lambda *given: os.stat(home.path + "/none"))
    assert (places.most(2, 0, True), places.most(2, 1, True)) == (0, 1)
    places.let_go()


@posix_only
def test_a_supervisor_with_a_max_time_waits_for_nobody_who_has_none_and_says_that_it_is_ready(home):
    add_gated(home, 3)
    home.start()
    wait_until(lambda: entries(home) == 1, "a job to run")
    home.run("worker", "start", "--background", "--max-time", "1h")
    wait_until(lambda: entries(home) == 2, "a second one")
    home.run("worker", "start", "--background", "--max-time", "3s")  # returns though its slot is taken
    home.start()
    wait_until(lambda: entries(home) == 3, "one without a limit to take the third")
    wait_until(lambda: len(supervisors(home)) == 3, "who waited in vain to leave in time")
    home.run("worker", "stop", "--now")
