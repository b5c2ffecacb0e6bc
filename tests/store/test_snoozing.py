"""A job that asks to run again later: what its row says, what it keeps, and that no retry is ever spent on it."""

import random

import pytest
from helpers.queue import NOW, SETTINGS, claim, claim_one, enqueue, raw, requeue_dead, rows, set_queue

from queuectl_lib import times
from queuectl_lib.jobs import verdicts
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.store import holding, outlook, placing, queues, showing


def end(queue, held, kind, now, delay=None, is_last=False, settings=SETTINGS):
    outcome = Outcome(held, kind, now, None if kind == "completed" else "why")
    outcome.exit_code, outcome.delay, outcome.is_last = 0, delay, is_last
    return not queue.exchange("w-1", [outcome], 0, now, settings)[0]


def job(queue, identifier="job"):
    return showing.job(queue.database, identifier)


def test_a_snoozed_job_waits_as_long_as_it_asked_and_has_spent_no_retry(queue):
    enqueue(queue, 3, id="job")
    held = claim_one(queue, NOW)
    assert end(queue, held, "snoozed", NOW + 1, delay=600.0)
    found = job(queue)
    assert (found["state"], found["attempts"], found["snoozes"]) == ("pending", 0, 1)
    assert found["next_run_at"] == times.utc_text(NOW + 601)
    assert (found["last_error"], found["worker"]) == ("why", None)
    assert [one["outcome"] for one in found["history"]] == ["snoozed"]
    assert claim_one(queue, NOW + 600.9) is None
    again = claim_one(queue, NOW + 601)
    assert (again.attempts, again.number, again.snoozes) == (1, 2, 1)
    assert rows(queue)[0]["runs"] == 2


def test_its_claim_is_over_and_it_is_recorded_once(queue):
    enqueue(queue, 3, id="job")
    held = claim_one(queue, NOW)
    assert end(queue, held, "snoozed", NOW, delay=600.0)
    assert not end(queue, held, "snoozed", NOW, delay=600.0)
    assert job(queue)["snoozes"] == 1


def test_without_a_delay_the_backoff_of_its_number_is_waited(queue):
    enqueue(queue, 3, id="job")
    now = NOW
    for number, delay in enumerate((2, 4, 8)):
        held = claim_one(queue, now)
        assert held.snoozes == number
        end(queue, held, "snoozed", now)
        assert claim_one(queue, now + delay - 0.1) is None
        now += delay


@pytest.mark.parametrize("retries_left", [0, 2])
def test_backoff_and_retries_count_failed_attempts_only(queue, retries_left):
    enqueue(queue, retries_left, id="job")
    now = NOW
    for _ in range(5):
        end(queue, claim_one(queue, now), "snoozed", now, delay=1.0)
        now += 1
    end(queue, claim_one(queue, now), "failed", now)
    found = job(queue)
    assert (found["state"], found["attempts"]) == (("failed", 1) if retries_left else ("dead", 1))
    if retries_left:
        assert found["next_run_at"] == times.utc_text(now + 2), "the delay of a first failure"


def test_dead_at_once_leaves_retries_unused(queue):
    enqueue(queue, 5, id="job")
    end(queue, claim_one(queue, NOW), "failed", NOW, is_last=True)
    assert (job(queue)["state"], job(queue)["attempts"]) == ("dead", 1)


def test_a_requeue_forgets_how_often_it_has_snoozed(queue):
    enqueue(queue, 0, id="job")
    end(queue, claim_one(queue, NOW), "snoozed", NOW, delay=1.0)
    end(queue, claim_one(queue, NOW + 1), "failed", NOW + 1)
    assert job(queue)["snoozes"] == 1
    requeue_dead(queue, NOW + 2)
    assert job(queue)["snoozes"] == 0
    assert claim_one(queue, NOW + 2) is not None


def test_a_cancel_that_was_asked_for_meanwhile_goes_before(queue):
    enqueue(queue, 3, id="job")
    held = claim_one(queue, NOW)
    queue.cancel(["job"], NOW)
    end(queue, held, "snoozed", NOW, delay=1.0)
    assert job(queue)["state"] == "cancelled"


def test_its_key_stays_held_and_its_lock_is_let_go(queue):
    enqueue(queue, 3, id="job", unique="key", lock="door")
    enqueue(queue, 3, id="other", lock="door")
    held = claim_one(queue, NOW)
    assert held.id == "job" and claim_one(queue, NOW) is None
    end(queue, held, "snoozed", NOW, delay=60.0)
    assert enqueue(queue, 3, id="second", unique="key") == "job"
    assert claim_one(queue, NOW).id == "other"


def test_held_and_released_it_still_waits_for_its_time(queue):
    enqueue(queue, 3, id="job")
    end(queue, claim_one(queue, NOW), "snoozed", NOW, delay=60.0)
    holding.hold(queue.database, ["job"], NOW + 1)
    assert claim_one(queue, NOW + 100) is None
    holding.release(queue.database, ["job"], NOW + 2)
    assert claim_one(queue, NOW + 59) is None, "the release has forgotten when it is due"
    assert claim_one(queue, NOW + 60).id == "job"


def test_in_a_paused_queue_it_does_not_start_when_its_time_has_come(queue):
    set_queue(queue, "slow")
    enqueue(queue, 3, id="job", queue="slow")
    end(queue, claim_one(queue, NOW), "snoozed", NOW, delay=60.0)
    queues.pause(queue.database, ["slow"], None, None, NOW)
    assert claim_one(queue, NOW + 60) is None
    queues.resume(queue.database, ["slow"])
    assert claim_one(queue, NOW + 60).id == "job"


def test_after_the_clock_went_back_it_does_not_wait_for_it(queue):
    enqueue(queue, 3, id="job")
    end(queue, claim_one(queue, NOW), "snoozed", NOW, delay=60.0)
    queue.forgive_clock(NOW - 86400)
    assert claim_one(queue, NOW - 86400) is not None


def test_none_is_left_for_a_drain_to_forget(queue):
    enqueue(queue, 3, id="job")
    end(queue, claim_one(queue, NOW), "snoozed", NOW, delay=60.0)
    assert not outlook.nothing_left(queue.database)
    assert placing.misplaced(queue.database, times.utc_text(NOW + 1)) == []


def outcomes(queue):
    return [one["outcome"] for one in job(queue)["history"]]


def test_of_attempts_that_snoozed_in_a_row_ten_are_kept(queue):
    enqueue(queue, 9, id="job")
    now = NOW
    for kind, count in (("snoozed", 25), ("failed", 1), ("snoozed", 12)):
        for _ in range(count):
            end(queue, claim_one(queue, now), kind, now, delay=1.0)
            now += 10
    assert outcomes(queue) == ["snoozed"] * 10 + ["failed"] + ["snoozed"] * 10
    assert [one["number"] for one in job(queue)["history"]] == [*range(16, 26), 26, *range(29, 39)]
    assert rows(queue)[0]["runs"] == 38


def test_a_row_that_tells_of_what_still_runs_is_kept(queue):
    enqueue(queue, 9, id="job")
    now = NOW
    for number in range(15):
        outcome = Outcome(claim_one(queue, now), "snoozed", now, "why")
        outcome.delay, outcome.leftovers = 1.0, "pid 1" if number == 0 else None
        queue.exchange("w-1", [outcome], 0, now, SETTINGS)
        now += 1
    assert len(outcomes(queue)) == 11 and job(queue)["history"][0]["number"] == 1


@pytest.mark.parametrize(
    "column, value", [("snoozes", "many"), ("snoozes", -5), ("snoozes", 1 << 62), ("attempts", "x")]
)
def test_a_row_that_somebody_changed_while_it_ran_stops_nobody(queue, column, value):
    enqueue(queue, 3, id="job")
    held = claim_one(queue, NOW)
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET %s = ?" % column, (value,))
    assert end(queue, held, "snoozed", NOW, delay=1.0)
    claim(queue, NOW + 60)
    assert job(queue)["state"] in ("processing", "dead")


@pytest.mark.parametrize("seed", range(10))
def test_at_random_attempts_and_retries_add_up(queue, seed):
    """Every failed attempt is counted, none that snoozed is; a job dies of its retries or its own word, never else."""
    dice = random.Random(seed)
    most = dice.randint(0, 4)
    settings = SETTINGS.but(max_snoozes=dice.choice([0, 1, 3, 100]))
    enqueue(queue, most, id="job")
    now, failed, snoozed, asked_dead = NOW, 0, 0, False
    while job(queue)["state"] in ("pending", "failed") and failed + snoozed < 60:
        held = claim_one(queue, now)
        if held is None:
            now += 1
            continue
        assert held.attempts == failed + 1 and held.snoozes == snoozed
        code = dice.choice([1, 2, 75, 75, 75, 0 if dice.random() < 0.1 else 75, 65 if dice.random() < 0.1 else 1])
        lines = dice.choice([b"", b"", b"snooze 1s", b"dead" if dice.random() < 0.1 else b"snooze 2s"])
        rules = {"later_codes": [75], "dead_codes": [65]}
        found = verdicts.verdict(code, "exit", verdicts.read(lines), rules, settings, held.snoozes)
        outcome = Outcome(held, found.kind, now, found.error)
        outcome.is_last, outcome.delay = found.is_last, found.delay
        queue.exchange("w-1", [outcome], 0, now, settings)
        failed += found.kind == "failed"
        snoozed += found.kind == "snoozed"
        asked_dead = asked_dead or found.is_last
        assert job(queue)["snoozes"] == snoozed <= settings.max_snoozes
        assert job(queue)["attempts"] == failed + (found.kind == "completed")
    state = job(queue)["state"]
    assert state != "dead" or asked_dead or failed == most + 1
    assert failed <= most + 1
    assert rows(queue)[0]["runs"] == failed + snoozed + (state == "completed")


def test_several_at_once_go_back_with_the_queue_they_are_in(queue):
    for number in range(5):
        enqueue(queue, 1, id="job-%d" % number, priority=number)
    for held in claim(queue, NOW, want=5):
        end(queue, held, "snoozed", NOW, delay=5.0)
    assert [one.id for one in claim(queue, NOW + 5, want=5)] == ["job-4", "job-3", "job-2", "job-1", "job-0"]
