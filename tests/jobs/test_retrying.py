"""Retrying: how long to wait, how often to try, and what a dead job becomes when a person wants it back."""

import fractions
import math

import pytest
from helpers.queue import NOW, SETTINGS, claim_one, enqueue, requeue_dead, settle

from queuectl_lib import times
from queuectl_lib.jobs import retrying, states
from queuectl_lib.jobs.attempts import CLAIMED_COLUMNS, Claim
from queuectl_lib.store import looking, outlook, showing

FAILURES = ("failed", "timed out", "lost")


def end(queue, held, kind, now, settings=SETTINGS, error="exit code 1", exit_code=1):
    """Record how an attempt ended, as the storage must take it."""
    assert settle(queue, held, kind, now, settings=settings, error=error, exit_code=exit_code)


def fail_until_dead(queue, settings=SETTINGS, kind="failed", now=NOW):
    """Run the job whenever it is due; returns when each attempt ran and what the last time was."""
    times = []
    while True:
        held = claim_one(queue, now)
        times.append(now)
        end(queue, held, kind, now, settings)
        if showing.job(queue.database, "job")["state"] == "dead":
            return times
        assert len(times) < 100, "it never ends"
        now = outlook.under_way(queue.database, now)[1]


# ---------------------------------------------------------------- how long to wait


@pytest.mark.parametrize(
    "base, attempt, cap, seconds",
    [
        (2, 1, 3600, 2),
        (2, 2, 3600, 4),
        (2, 3, 3600, 8),
        (2, 11, 3600, 2048),
        (2, 12, 3600, 3600),
        (2, 5000, 3600, 3600),
        (3, 4, 3600, 81),
        (0, 1, 3600, 0),
        (0, 7, 3600, 0),
        (0, 1000000, 3600, 0),
        (0.0, 3, 3600, 0),
        (1, 1, 3600, 1),
        (1, 9, 3600, 1),
        (1, 1000001, 3600, 1),
        (1.5, 1, 3600, 1.5),
        (1.5, 2, 3600, 2.25),
        (1.5, 3, 3600, 3.375),
        (1.5, 30, 3600, 3600),
        (0.5, 1, 3600, 0.5),
        (0.5, 3, 3600, 0.125),
        (0.5, 5000, 3600, 0),
        (10**9, 1, 3600, 3600),
        (10**9, 5000, 3600, 3600),
        (1e9, 5000, 3600, 3600),
        (10**9, 1000001, 3600, 3600),
        (10**9, 1, 10**9, 10**9),
        (2, 3, 5, 5),
        (2, 3, 0, 0),
        (2, 5000, 0, 0),
        (2, 3, 7.5, 7.5),
        (2, 3, 8, 8),
    ],
)
def test_the_next_attempt_waits_base_to_the_power_of_attempt_but_no_longer_than_the_cap(base, attempt, cap, seconds):
    delay = retrying.backoff_delay(base, attempt, cap)
    assert delay == seconds
    assert isinstance(delay, float)
    assert math.isfinite(delay)


@pytest.mark.parametrize("base", [0, 1, 1.25, 1.5, 2, 3, 10])
def test_the_delay_is_the_exact_minimum_and_never_shrinks(base):
    delays = [retrying.backoff_delay(base, attempt, 3600) for attempt in range(1, 60)]
    exact = [float(min(fractions.Fraction(base) ** attempt, 3600)) for attempt in range(1, 60)]
    assert delays == pytest.approx(exact, rel=1e-12)
    assert delays == sorted(delays)


@pytest.mark.parametrize(
    "base, cap, delays",
    [
        (2, 3600, [2, 4, 8, 16]),
        (3, 3600, [3, 9, 27, 81]),
        (1.5, 3600, [1.5, 2.25, 3.375, 5.0625]),
        (1, 3600, [1, 1, 1, 1]),
        (0, 3600, [0, 0, 0, 0]),
        (2, 5, [2, 4, 5, 5]),
        (2, 0, [0, 0, 0, 0]),
        (10**9, 3600, [3600, 3600, 3600, 3600]),
    ],
)
def test_attempts_come_at_the_times_that_the_settings_name(queue, base, cap, delays):
    settings = SETTINGS.but(backoff_base=base, backoff_cap=cap)
    enqueue(queue, len(delays), id="job")
    times = fail_until_dead(queue, settings)
    assert [after - before for before, after in zip(times, times[1:])] == pytest.approx(delays, abs=2e-6)


def test_a_retry_is_not_claimed_before_its_time(queue):
    enqueue(queue, 3, id="job")
    end(queue, claim_one(queue, NOW), "failed", NOW)
    assert showing.job(queue.database, "job")["next_run_at"] == times.utc_text(NOW + 2)
    assert claim_one(queue, NOW + 1.99) is None
    assert claim_one(queue, NOW + 2).attempts == 2


def test_the_wait_begins_when_the_attempt_ended(queue):
    enqueue(queue, 3, id="job")
    end(queue, claim_one(queue, NOW), "failed", NOW + 500)
    assert outlook.under_way(queue.database, NOW + 500)[1] == NOW + 502


def test_a_delay_beyond_the_last_time_ends_at_the_last_time(queue):
    enqueue(queue, 3, id="job")
    late = times.LAST_TIME - 1
    end(queue, claim_one(queue, late), "failed", late)
    assert showing.job(queue.database, "job")["next_run_at"] == times.utc_text(times.LAST_TIME)


# ---------------------------------------------------------------- how often to try


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("max_retries", [0, 1, 2, 3, 10])
def test_a_job_with_n_retries_runs_n_plus_one_times(queue, max_retries, kind):
    enqueue(queue, max_retries, id="job")
    began = fail_until_dead(queue, kind=kind)
    assert len(began) == max_retries + 1
    job = showing.job(queue.database, "job")
    assert (job["state"], job["attempts"], job["next_run_at"]) == ("dead", max_retries + 1, None)
    assert [attempt["number"] for attempt in job["history"]] == list(range(1, max_retries + 2))
    assert [attempt["outcome"] for attempt in job["history"]] == [kind] * (max_retries + 1)
    assert [attempt["started_at"] for attempt in job["history"]] == [times.utc_text(when) for when in began]
    assert claim_one(queue, NOW + 10**9) is None, "a dead job is never claimed"


@pytest.mark.parametrize("max_retries", [0, 2])
def test_real_workers_run_a_failing_job_n_plus_one_times(home, max_retries):
    job = home.add("exit 7", "--max-retries", max_retries)
    home.drain()
    found = home.job(job)
    assert (found["state"], found["attempts"], found["exit_code"]) == ("dead", max_retries + 1, 7)
    assert len(found["history"]) == max_retries + 1


def test_a_success_after_failures_completes_the_job_and_forgets_the_error(queue):
    enqueue(queue, 1, id="job")
    end(queue, claim_one(queue, NOW), "failed", NOW)
    assert showing.job(queue.database, "job")["last_error"] == "exit code 1"
    end(queue, claim_one(queue, NOW + 2), "completed", NOW + 3, error=None, exit_code=0)
    job = showing.job(queue.database, "job")
    assert (job["state"], job["attempts"], job["exit_code"], job["last_error"]) == ("completed", 2, 0, None)
    assert [attempt["error"] for attempt in job["history"]] == ["exit code 1", None]


def test_a_job_that_names_no_retries_takes_the_setting_of_its_enqueue(home):
    home.run("config", "set", "max_retries", "1")
    job = home.add("exit 1")
    home.run("config", "set", "max_retries", "5")
    home.drain()
    assert home.job(job)["attempts"] == 2


# ---------------------------------------------------------------- dead letters


def test_a_dead_job_says_when_and_why_it_died(queue):
    enqueue(queue, 0, id="job")
    end(queue, claim_one(queue, NOW), "failed", NOW + 5, error="killed by SIGSEGV", exit_code=None)
    job = showing.job(queue.database, "job")
    assert (job["state"], job["last_error"], job["exit_code"]) == ("dead", "killed by SIGSEGV", None)
    assert job["finished_at"] == job["updated_at"] == times.utc_text(NOW + 5)
    assert [row["id"] for row in showing.jobs(queue.database, ["dead"], 10)[0]] == ["job"]


def test_a_failed_job_with_retries_is_not_in_the_dead_letter_queue(queue):
    enqueue(queue, 1, id="job")
    end(queue, claim_one(queue, NOW), "failed", NOW)
    assert showing.jobs(queue.database, ["dead"], 10) == ([], False)
    assert requeue_dead(queue, NOW) == (0, [])
    assert showing.job(queue.database, "job")["finished_at"] is None, "it is not finished"


@pytest.mark.parametrize("by", ["requeue", "dlq retry", "dlq retry --all"])
def test_a_requeue_resets_attempts_and_keeps_the_history(queue, by):
    enqueue(queue, 1, id="job")
    fail_until_dead(queue)
    again = NOW + 500
    if by == "dlq retry --all":
        assert requeue_dead(queue, again) == (1, [])
    else:
        queue.requeue(["job"], ("dead", "cancelled") if by == "requeue" else ("dead",), again)
    job = showing.job(queue.database, "job")
    assert (job["state"], job["attempts"], job["last_error"], job["exit_code"]) == ("pending", 0, None, None)
    assert (job["started_at"], job["finished_at"], job["worker"]) == (None, None, None)
    assert [attempt["number"] for attempt in job["history"]] == [1, 2]
    times = fail_until_dead(queue, now=again)
    assert times == [again, again + 2], "it has all its retries again, and the first delay"
    job = showing.job(queue.database, "job")
    assert [attempt["number"] for attempt in job["history"]] == [1, 2, 3, 4]
    assert job["attempts"] == 2


def test_a_requeued_job_is_due_at_once_whatever_its_run_at_was(queue):
    enqueue(queue, 0, delay=3600, id="job")
    queue.cancel(["job"], NOW)
    queue.requeue(["job"], ("cancelled",), NOW + 1)
    assert claim_one(queue, NOW + 1).id == "job"


def test_all_dead_jobs_go_back_in_one_go_and_nothing_else_does(queue):
    for number in range(3):
        enqueue(queue, 0, id="dead%d" % number)
        end(queue, claim_one(queue, NOW), "failed", NOW)
    enqueue(queue, 0, id="cancelled")
    queue.cancel(["cancelled"], NOW)
    assert requeue_dead(queue, NOW) == (3, [])
    counts = looking.counts(queue.database)
    assert (counts["pending"], counts["cancelled"], counts["dead"]) == (3, 1, 0)


# ---------------------------------------------------------------- cancelled while it ran


@pytest.mark.parametrize("kind", FAILURES + ("cancelled",))
@pytest.mark.parametrize("max_retries", [0, 3])
def test_a_failure_while_a_cancel_was_requested_ends_as_cancelled(queue, kind, max_retries):
    enqueue(queue, max_retries, id="job")
    held = claim_one(queue, NOW)
    assert queue.cancel(["job"], NOW + 1) == [("job", held.token)]
    assert showing.job(queue.database, "job")["state"] == "processing", "its command runs until its worker has ended it"
    end(queue, held, kind, NOW + 2)
    job = showing.job(queue.database, "job")
    assert (job["state"], job["next_run_at"]) == ("cancelled", None)
    assert claim_one(queue, NOW + 10000) is None
    assert [attempt["outcome"] for attempt in job["history"]] == [kind]


def test_a_success_that_beats_the_cancel_stands(queue):
    enqueue(queue, 3, id="job")
    held = claim_one(queue, NOW)
    queue.cancel(["job"], NOW + 1)
    end(queue, held, "completed", NOW + 2, error=None, exit_code=0)
    assert showing.job(queue.database, "job")["state"] == "completed"


@pytest.mark.parametrize("kind", ["cancelled", "completed"])
def test_a_cancel_is_forgotten_once_it_has_been_served(queue, kind):
    enqueue(queue, 3, id="job")
    held = claim_one(queue, NOW)
    queue.cancel(["job"], NOW + 1)
    end(queue, held, kind, NOW + 2)
    if kind == "completed":
        return
    queue.requeue(["job"], ("cancelled",), NOW + 3)
    end(queue, claim_one(queue, NOW + 3), "failed", NOW + 4)
    assert showing.job(queue.database, "job")["state"] == "failed", "the old request has cancelled a new attempt"


def test_a_job_that_is_given_back_by_a_stop_does_not_outlive_its_cancel(queue):
    enqueue(queue, 3, id="job")
    held = claim_one(queue, NOW)
    queue.cancel(["job"], NOW + 1)
    end(queue, held, "given back", NOW + 2)
    assert showing.job(queue.database, "job")["state"] == "cancelled", (
        "the cancel was accepted, and then the job is to run again"
    )


# ---------------------------------------------------------------- a clock that goes back


def test_a_retry_that_would_wait_for_a_clock_that_went_back_is_due(queue):
    enqueue(queue, 3, id="job")
    end(queue, claim_one(queue, NOW), "failed", NOW)
    yesterday = NOW - 86400
    assert claim_one(queue, yesterday) is None
    queue.forgive_clock(yesterday)
    held = claim_one(queue, yesterday)
    assert held.attempts == 2, "no retry was burnt, and none was given for nothing"


def test_a_jump_of_the_clock_makes_no_future_job_due(queue):
    enqueue(queue, 3, run_at=times.utc_text(NOW + 60))
    queue.forgive_clock(NOW - 86400)
    assert claim_one(queue, NOW) is None
    assert outlook.under_way(queue.database, NOW)[1] == NOW + 60


def test_a_retry_whose_failure_is_past_keeps_its_date(queue):
    enqueue(queue, 3, id="job")
    end(queue, claim_one(queue, NOW), "failed", NOW)
    queue.forgive_clock(NOW + 1)
    assert claim_one(queue, NOW + 1) is None
    assert claim_one(queue, NOW + 2).attempts == 2


def test_a_clock_that_goes_ahead_burns_no_retries(queue):
    enqueue(queue, 3, id="job")
    end(queue, claim_one(queue, NOW), "failed", NOW)
    held = claim_one(queue, NOW + 86400)
    assert held.attempts == 2
    assert claim_one(queue, NOW + 2 * 86400) is None, "one job, one claim, whatever the clock says"
    end(queue, held, "failed", NOW + 86400)
    assert outlook.under_way(queue.database, NOW + 86400)[1] == NOW + 86400 + 4


def claim_after(attempts, retries=3):
    """The claim of a job whose attempt of that number ends."""
    row = dict.fromkeys(CLAIMED_COLUMNS)
    row.update(seq=1, id="job", command="true", is_list=0, attempts=attempts, max_retries=retries, snoozes=0)
    return Claim(row, "0" * 16, 1, attempts)


@pytest.mark.parametrize(
    "kind, attempts, expected",
    [
        ("completed", 1, ("completed", 0.0)),
        ("completed", 9, ("completed", 0.0)),
        ("given back", 9, ("pending", 0.0)),
        ("cancelled", 1, ("cancelled", 0.0)),
        ("failed", 1, ("failed", 2.0)),
        ("timed out", 2, ("failed", 4.0)),
        ("lost", 3, ("failed", 8.0)),
        ("failed", 4, ("dead", 0.0)),
        ("lost", 5, ("dead", 0.0)),
    ],
)
def test_what_comes_after_an_attempt_follows_from_its_ending_alone(kind, attempts, expected):
    assert retrying.after(kind, claim_after(attempts), SETTINGS) == expected


def test_every_ending_leads_along_an_arrow_of_the_machine():
    for kind, verb in states.ENDINGS.items():
        for attempts in (1, 9):
            state, _ = retrying.after(kind, claim_after(attempts), SETTINGS)
            assert states.MOVES["processing"][state] == verb
