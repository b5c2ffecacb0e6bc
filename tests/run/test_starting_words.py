"""What `worker start` says of others that work, and of what a drain waits for."""

import time

import pytest
from helpers.home import contents, wait_for_log
from helpers.queue import NOW, claim_one, enqueue, set_queue, settle

from queuectl_lib.run import draining
from queuectl_lib.store import later


def test_a_second_supervisor_says_how_many_jobs_run_at_once_in_all(home):
    assert "in all" not in home.run("worker", "start", "--background", "--count", "2").stderr
    said = home.run("worker", "start", "--background", "--count", "3").stderr
    assert "2 supervisors work on this queue now, jobs at once: 5 in all" in said
    third = home.start()
    wait_for_log(third, "3 supervisors work on this queue now, jobs at once: 6 in all")
    assert "in all" not in home.run("worker", "start", "--background", "--quiet").stderr
    assert "in all" not in contents(home.queue.folder.log), "who types it hears it, nobody else"


def test_a_drain_says_what_it_waits_for(home):
    home.add("true", "--id", "late", "--delay", "5h")
    assert "draining: waits for job late, due in 4h\n" in home.run("worker", "start", "--background", "--drain").stderr
    wait_for_log(home.start("--drain"), "draining: waits for job late, due in 4h")
    home.run("worker", "stop")


@pytest.mark.parametrize("delay, is_told", [(30, False), (7200, True)])
def test_what_comes_soon_is_not_worth_a_word(queue, delay, is_told):
    enqueue(queue, id="job", delay=delay)
    found = later.all_that_is_left(queue.database, NOW)
    assert bool(found) == is_told
    if found:
        assert found.words(NOW) == "draining: waits for job job, due in 2h"


def test_a_retry_is_called_one_and_others_are_counted(queue):
    enqueue(queue, id="bad", max_retries=3)
    assert later.all_that_is_left(queue.database, NOW) is None, "one is due"
    held = claim_one(queue)
    assert later.all_that_is_left(queue.database, NOW) is None, "one runs"
    settle(queue, held, "failed")
    for hours in (2, 30):
        enqueue(queue, id="j%d" % hours, delay=hours * 3600)
    found = later.all_that_is_left(queue.database, NOW - 3600)
    said = "draining: waits for a retry of job bad, due in 60m, and for 2 later, the last due in 31h"
    assert found.words(NOW - 3600) == said


def test_other_queues_than_those_served_are_nothing_to_wait_for(queue):
    set_queue(queue, "slow")
    enqueue(queue, id="job", delay=7200, queue="slow")
    assert later.all_that_is_left(queue.database, NOW).id == "job"
    queue.database.served = ["default"]
    assert later.all_that_is_left(queue.database, NOW) is None


def test_each_job_is_told_of_once(queue, monkeypatch):
    said = []
    monkeypatch.setattr(time, "time", lambda: clock[0])
    clock = [NOW]
    teller = draining.Teller(queue.database, said.append)
    enqueue(queue, id="job", delay=7200)
    for _ in range(3):
        teller.turn()
        clock[0] = teller.due()
    assert said == ["draining: waits for job job, due in 2h"]
    enqueue(queue, id="sooner", delay=3600)
    teller.turn()
    assert len(said) == 2 and "job sooner" in said[1]
