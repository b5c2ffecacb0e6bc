"""Quiet: who is idle looks at the times of a few files, and misses nothing that shows in them."""

import os
import signal
import subprocess
import time

import pytest
from helpers.marks import needs_proc, posix_only
from helpers.queue import enqueue
from helpers.waiting import wait_until
from instruments import strace_faults

from queuectl_lib import times
from queuectl_lib.host.waking import Bell, WakeUp
from queuectl_lib.run import pace
from queuectl_lib.run.quiet import Quiet
from queuectl_lib.store import presence, roster, showing

pytestmark = posix_only
WINDOW_SECONDS = 4
SOON = pace.LOOK_AT_ALL_SECONDS / 2  # long before all would be looked at anyway, and long for who looks every second


def let_rest(queue, seconds=60.0):
    """As if the last change of anything had been *seconds* ago."""
    for path in (queue.path, queue.path + "-wal", queue.folder.workers):
        os.utime(path, (time.time() - seconds,) * 2)


@pytest.fixture
def kept(queue):
    """A queue that somebody keeps open, at rest."""
    keeper = queue.database.keeper()
    enqueue(queue)
    let_rest(queue)
    yield queue
    keeper.close()


class Ear:
    """A bell that does not ring, and whose hearer has a supervisor."""

    lives = True

    def tells_of_parent(self):
        return self.lives


def put_request(queue):
    queue.folder.put_request("s", "stop")


def sweep(queue):
    os.unlink(queue.folder.life_path("w"))


def rename(queue):
    os.rename(queue.folder.path, queue.folder.path + ".other")


def put_another(queue):
    os.rename(queue.folder.workers, queue.folder.workers + ".other")
    os.mkdir(queue.folder.workers)
    let_rest(queue)


def replace(queue):
    with open(queue.path, "rb") as file, open(queue.path + ".copy", "wb") as copy:
        copy.write(file.read())
    os.rename(queue.path + ".copy", queue.path)
    let_rest(queue)


FOR_ALL = [put_request, sweep, rename, put_another, replace]


@pytest.mark.parametrize("ear", [Ear(), None], ids=["worker", "supervisor"])
@pytest.mark.parametrize("change", FOR_ALL, ids=lambda change: change.__name__)
def test_it_ends_with_whatever_others_do(kept, change, ear):
    life = presence.Presence(kept.folder, "w", {"kind": "worker"})
    let_rest(kept)
    quiet = Quiet(kept.database, [], ear)
    assert [quiet.lasts() for _ in range(3)] == [False, True, True]
    life.tell("asked", "stop")
    assert quiet.lasts(), "what one writes of oneself is no news"
    change(kept)
    assert not quiet.lasts()
    os.close(life.fd)


def test_a_commit_ends_that_of_a_worker_alone(kept):
    for ear in (Ear(), None):
        quiet = Quiet(kept.database, [], ear)
        assert [quiet.lasts() for _ in range(2)] == [False, True]
        enqueue(kept)
        assert quiet.lasts() == (ear is None)
        let_rest(kept)


def test_it_does_not_begin_before_all_has_been_at_rest_for_a_while(kept):
    let_rest(kept, pace.SETTLED_SECONDS - 1)
    quiet = Quiet(kept.database, [], Ear())
    assert not quiet.lasts() and not quiet.lasts()
    let_rest(kept, -10)  # the clock went back
    assert not quiet.lasts() and not quiet.lasts()


def test_all_is_looked_at_now_and_then_and_when_the_clock_is_set(kept, monkeypatch):
    quiet = Quiet(kept.database, [], Ear())
    assert [quiet.lasts() for _ in range(2)] == [False, True]
    real, wall = time.monotonic, time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 2 * pace.CLOCK_SET_SECONDS)
    assert [quiet.lasts() for _ in range(2)] == [False, True]
    monkeypatch.setattr(time, "time", lambda: wall() + 2 * pace.CLOCK_SET_SECONDS + pace.LOOK_AT_ALL_SECONDS)
    monkeypatch.setattr(time, "monotonic", lambda: real() + pace.LOOK_AT_ALL_SECONDS)
    assert [quiet.lasts() for _ in range(2)] == [False, True]


def test_one_stays_until_woken_or_signalled_or_something_is_about_to_fall_due(kept):
    noted, waits = [], []
    quiet = Quiet(kept.database, noted, Ear())
    assert not quiet.lasts()

    def wait(news=None):
        waits.append(news)
        if len(waits) == 3 and news == "signal":
            noted.append(signal.SIGTERM)
        return len(waits) == 5

    assert quiet.stay(wait, due=time.time() + 3600) and len(waits) == 5
    waits.clear()
    assert not quiet.stay(wait, due=time.time() + pace.LOOK_AROUND_SECONDS) and not waits
    assert not quiet.stay(lambda: wait("signal")) and len(waits) == 3
    noted.clear()
    quiet.bell.lives = False
    assert not quiet.stay(wait) and len(waits) == 3


def test_the_end_of_its_supervisor_ends_a_wait_once(tmp_path):
    ear, wake = Bell(str(tmp_path / "none"), str(tmp_path / "q.db")), WakeUp([])
    assert not ear.tells_of_parent(), "that of the tests started it by no spawn"
    ear.parent, alive = os.pipe()
    parent = ear.parent
    ear.watched.append(parent)
    try:
        assert not ear.wait(0.01, wake) and ear.tells_of_parent()
        os.close(alive)
        began = time.monotonic()
        assert not ear.wait(60, wake) and time.monotonic() - began < 30
        assert not ear.tells_of_parent()
        began = time.monotonic()
        assert not ear.wait(0.2, wake) and time.monotonic() - began > 0.19, "else it would spin"
    finally:
        os.close(parent)
        ear.close()
        wake.close()


# ---------------------------------------------------------------- in processes


def pids(home):
    return {member["kind"]: member["pid"] for member in roster.members(home.queue.folder)}


def supervisor_of(home):
    (name,) = [member["name"] for member in roster.members(home.queue.folder) if member["kind"] == "supervisor"]
    return name


def wakes(pid):
    """How often a process has gone to sleep."""
    with open("/proc/%d/status" % pid) as file:
        return int(next(line for line in file if line.startswith("voluntary")).split()[1])


def be_quiet(home):
    """Wait until nothing but the times of files has been looked at for a while."""
    let_rest(home.queue)
    before = {pid: wakes(pid) for pid in pids(home).values()}
    wait_until(lambda: all(wakes(pid) >= before[pid] + 3 for pid in before), "everybody to have looked")


@pytest.fixture
def idle(home):
    home.process = home.start("--count", "1")
    home.wait_for_workers(1)
    wait_until(lambda: os.path.exists(home.queue.folder.request_path(supervisor_of(home), "ready")), "it to be ready")
    be_quiet(home)
    return home


@needs_proc
def test_an_idle_worker_heeds_a_stop_that_its_paused_supervisor_does_not_tell(idle):
    found = pids(idle)
    os.kill(found["supervisor"], signal.SIGSTOP)
    idle.queue.folder.put_request(supervisor_of(idle), "stop")
    wait_until(lambda: "worker" not in pids(idle), "the worker to leave", SOON)
    os.kill(found["supervisor"], signal.SIGCONT)
    assert idle.process.wait(20) == 0


@needs_proc
def test_an_idle_worker_leaves_when_its_supervisor_is_killed(idle):
    os.kill(pids(idle)["supervisor"], signal.SIGKILL)
    wait_until(lambda: not pids(idle), "the worker to leave", SOON)


@needs_proc
def test_the_swept_life_files_of_who_is_idle_are_made_anew(idle):
    names = os.listdir(idle.queue.folder.workers)
    for name in names:
        os.unlink(os.path.join(idle.queue.folder.workers, name))
    lives = {name for name in names if name.endswith(".life")}
    wait_until(lambda: lives <= set(os.listdir(idle.queue.folder.workers)), "the life files", SOON)


@needs_proc
def test_a_job_that_was_added_without_the_bell_is_started(idle):
    os.unlink(idle.queue.folder.bell)
    job = idle.add("true")
    wait_until(lambda: idle.state(job) == "completed", "the job to run", SOON)


@needs_proc
def test_a_job_that_falls_due_is_started_then(idle):
    job = idle.add("true", "--delay", "6s")
    be_quiet(idle)
    idle.wait_for_state(job, "completed")
    found = showing.job(idle.queue.database, job)
    late = times.utc_seconds(found["started_at"]) - times.utc_seconds(found["created_at"]) - 6
    assert 0 <= late < SOON / 2


@needs_proc
@pytest.mark.skipif(bool(strace_faults.why_not()), reason="needs strace")
def test_an_idle_supervisor_and_worker_wake_as_seldom_and_do_as_little_as_they_may(idle):
    """By the number of their sleeps and system calls: twice as many are no accident."""
    found, tries = pids(idle), []
    most = {"supervisor": (3, 14), "worker": (1.5, 8)}  # a second
    for _ in range(4):  # into each falls a look at all there is, into some a look at the database
        slept = {kind: wakes(pid) for kind, pid in found.items()}
        time.sleep(WINDOW_SECONDS)
        slept = {kind: wakes(pid) - slept[kind] for kind, pid in found.items()}
        calls = dict(zip(found, calls_of(list(found.values()))))
        tries.append({kind: (slept[kind] / WINDOW_SECONDS, calls[kind] / WINDOW_SECONDS) for kind in found})
        if all(tries[-1][kind][0] <= most[kind][0] and tries[-1][kind][1] <= most[kind][1] for kind in found):
            return
    pytest.fail("sleeps and system calls a second: %r" % tries)


def calls_of(numbers):
    """How many system calls each of these processes makes in WINDOW_SECONDS."""
    words = ["timeout", "-s", "INT", str(WINDOW_SECONDS), "strace", "-qq", "-f", "-o", "/dev/stdout"]
    words += [word for pid in numbers for word in ("-p", str(pid))]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    begun = [line.split()[0] for line in done.stdout.splitlines() if b"(" in line and b"resumed>" not in line]
    assert begun, done.stderr
    return [begun.count(b"%d" % pid) for pid in numbers]
