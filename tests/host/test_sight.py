"""One look at the processes of the host: what it finds, and who may share it."""

import os
import subprocess
import time

import pytest
from helpers.marks import needs_proc
from helpers.queue import SETTINGS, claim, enqueue
from helpers.waiting import wait_until

from queuectl_lib.host import processes, sight
from queuectl_lib.jobs import states
from queuectl_lib.run import pace
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.slots import Slots
from queuectl_lib.run.spare_files import SpareFiles

pytestmark = needs_proc

TOKEN = "0123456789abcdef"


@pytest.fixture
def looks(monkeypatch):
    """When each table of processes was read."""
    found, table = [], processes.process_table
    monkeypatch.setattr(processes, "process_table", lambda: found.append(time.monotonic()) or table())
    return found


def sleeper(**variables):
    process = subprocess.Popen(["sleep", "60"], env=dict(os.environ, **variables))
    wait_until(lambda: b"PATH=" in sight.environment(process.pid), "its environment, which exec puts there last")
    return process


@pytest.fixture
def ended():
    """Processes that are ended behind the test."""
    found = []
    yield found
    for process in found:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "theirs, queue, is_one",
    [("q1", "q1", True), ("q2", "q1", False), ("", "q1", True), (None, "q1", True), ("q2", "", True)],
)
def test_who_carries_the_token_of_an_attempt_in_this_queue(ended, theirs, queue, is_one):
    variables = {"QUEUECTL_TOKEN": TOKEN} if theirs is None else {"QUEUECTL_TOKEN": TOKEN, "QUEUECTL_QUEUE": theirs}
    ended.append(sleeper(**variables))
    pid = ended[0].pid
    assert (pid in sight.Look().carriers(TOKEN, queue)) == is_one
    assert sight.carries(pid, TOKEN, queue) is is_one
    assert pid not in sight.Look().carriers("f" * 16, queue)


def test_of_a_process_without_an_environment_it_cannot_be_told(ended):
    """Each has none for a moment while it begins: the watcher of an orphan, too, and it must not be taken for dead."""
    ended.append(subprocess.Popen(["sleep", "60"], env={}))
    wait_until(lambda: processes.linux_process(str(ended[0].pid)).name == "sleep", "sleep to be what runs")
    assert sight.carries(ended[0].pid, TOKEN, "q1") is None
    ended[0].kill()
    wait_until(lambda: processes.linux_process(str(ended[0].pid)) is None, "it to die")
    assert sight.carries(ended[0].pid, TOKEN, "q1") is False, "dead, and not waited for yet"


def test_a_session_and_all_that_descends_from_it():
    with subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60 & wait"], start_new_session=True) as process:
        try:
            wait_until(lambda: len(sight.Look().session(process.pid)) == 3, "the shell to start two programs")
            look = sight.Look()
            found = look.session(process.pid)
            assert look.with_descendants({process.pid}) == found
            assert look.with_descendants({os.getpid()}) >= found
            assert look.session(10**9) == set()
        finally:
            os.killpg(process.pid, 9)


def test_each_looks_for_himself_but_together_once_and_never_at_what_is_older_than_he_asks_for(looks):
    assert sight.look(0.0) is not sight.look(0.0)
    with sight.TOGETHER:
        first = sight.look(0.0)
        assert sight.look(first.began - 1) is first
        later = sight.look(time.monotonic())
        assert later is not first and sight.look(0.0) is later
        assert sight.look(later.began) is not later, "what was seen at that very moment may be older"
    assert sight.look(0.0) is not later
    assert len(looks) == 6


@pytest.fixture
def slots(queue):
    """Ten jobs that sleep, each an attempt of one worker."""
    held = Slots(10, pace.Pace())
    for _ in range(10):
        enqueue(queue, command="sleep 60")
        assert held.start(Attempt(queue, claim(queue)[0]), SETTINGS, SpareFiles(queue)) is None
    wait_until(lambda: all(one.has_begun() for one in held.running), "all to begin")
    yield held
    for one in held.running:
        one.tree.end(0.0)


def collected(slots):
    """What is over now, as a worker finds out."""
    with slots.looking():
        return [one.poll() for one in slots.running]


def test_ten_that_are_ended_at_once_look_a_few_times_and_not_ten_times_as_often(slots, looks):
    slots.end_all(states.GIVEN_BACK, "ended by a stop")
    assert len(looks) == 1
    children = [one.child for one in slots.running]
    wait_until(lambda: all(child.poll() is not None for child in children), "the watchers to end")
    del looks[:]
    outcomes = collected(slots)
    assert [outcome.kind for outcome in outcomes] == [states.GIVEN_BACK] * 10
    assert [outcome.leftovers for outcome in outcomes] == [None] * 10
    assert len(looks) <= 2


def test_what_ends_behind_the_look_of_another_is_not_judged_by_it(slots):
    """Its own processes were seen alive there: they would be told as left running."""
    first, second = slots.running[:2]
    first.end(states.GIVEN_BACK, "ended by a stop")
    with sight.TOGETHER:
        first.tree.members()
        assert second.child.pid in sight.look(0.0).table
        os.killpg(second.child.pid, 9)
        wait_until(lambda: not sight.Look().session(second.child.pid), "the second to end")
        outcome = second.poll()
    assert outcome.leftovers is None
