"""Schedules by a clock that stands: each cell of what is to happen when, without a process."""

import json
import os
import time

import pytest
from helpers.marks import posix_only
from helpers.queue import claim, claim_one, enqueue, raw, rows, set_queue, settle
from helpers.zones import BERLIN, NEW_YORK, at, needs_tzset, zone

from queuectl_lib import times
from queuectl_lib.errors import BadInput, HostError, QueueError
from queuectl_lib.jobs import due_slots, recurring, states, wall_clock
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import pruning, queues, schedules, slots_made

START = at("2027-06-01T12:00:00")  # by which schedules are set here, unless a test says when
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def put(queue, when="*/15 * * * *", now=START, only=False, job=None, **asked):
    asked = dict({"name": "s", "when": when, "tz": "UTC", "job": job or {"command": "true"}}, **asked)
    return schedules.put(queue.database, [recurring.of_schedule(asked, JobMaker(1, "/", 0o022, now))], now, only)


def make(queue, now, **options):
    """Make what is due; how many jobs that were."""
    return slots_made.make_due(queue.database, now, **options).made


def schedule(queue, name="s"):
    (found,) = schedules.some_of(queue.database, [name])
    return found


def ids(queue):
    return [job["id"] for job in rows(queue)]


def slots(queue):
    """The times of day of all jobs that were made, in the order in which they were."""
    return [job["slot"][11:16] for job in rows(queue)]


def next_at(queue, name="s"):
    text = schedule(queue, name)["next_at"]
    return None if text is None else times.utc_seconds(text)


def finish(queue, kind=states.COMPLETED, now=START):
    """Run what is due to its end."""
    held = claim_one(queue, now)
    assert settle(queue, held, kind, now)
    return held


def counts(queue, name="s"):
    row = schedule(queue, name)
    return row["made"], row["skipped"]


# ---------------------------------------------------------------- a slot comes


def test_a_job_is_made_when_its_slot_comes_and_the_next_slot_is_noted_with_it(queue):
    put(queue)
    assert next_at(queue) == START + 15 * MINUTE
    assert make(queue, START + 15 * MINUTE - 0.001) == 0
    assert make(queue, START + 15 * MINUTE + 0.7) == 1
    assert make(queue, START + 15 * MINUTE + 0.8) == 0
    (job,) = rows(queue)
    assert job["id"] == "s@20270601T121500Z"
    assert job["schedule"] == "s" and job["slot"] == "2027-06-01T12:15:00.000000Z"
    assert next_at(queue) == START + 30 * MINUTE
    assert schedule(queue)["last_job"] == job["id"] and schedule(queue)["last_slot"] == job["slot"]
    assert counts(queue) == (1, 0)


def test_a_job_is_as_an_add_would_have_made_it_when_the_schedule_was_set(queue):
    job = {"command": ["echo", "a b"], "priority": 3, "timeout": "1m", "env": {"A": "b"}, "tags": ["x", "y"]}
    put(queue, job=job)
    make(queue, START + HOUR)
    (made,) = rows(queue)
    assert made["command"] == '["echo", "a b"]' and made["is_list"] == 1
    assert (made["priority"], made["timeout"], made["env"]) == (3, 60.0, '{"A": "b"}')
    assert (made["cwd"], made["umask"], made["max_retries"]) == (os.sep, 0o022, 1)
    assert rows(queue, "SELECT tag FROM tags ORDER BY tag") == [{"tag": "x"}, {"tag": "y"}]
    assert made["created_at"] == made["next_run_at"] == times.utc_text(START + HOUR)


def test_a_claim_knows_whose_job_it_is_and_for_which_slot(queue):
    put(queue)
    enqueue(queue, now=START)
    make(queue, START + 15 * MINUTE)
    other, mine = claim(queue, START + HOUR, want=2)
    assert (other.schedule, other.slot) == (None, None)
    assert (mine.schedule, mine.slot) == ("s", "2027-06-01T12:15:00.000000Z")


def test_an_id_that_another_job_has_gets_a_number_behind_it(queue):
    put(queue)
    for identifier in ("s@20270601T121500Z", "s@20270601T121500Z.2"):
        enqueue(queue, id=identifier)
    assert make(queue, START + 15 * MINUTE) == 1
    assert ids(queue)[-1] == "s@20270601T121500Z.3"


def test_who_has_read_a_schedule_before_another_made_its_job_makes_none(queue, monkeypatch):
    put(queue)
    real = due_slots.due

    def late(row, now):
        plan = real(row, now)
        monkeypatch.setattr(due_slots, "due", real)
        assert make(queue, now) == 1  # the other one, in between
        return plan

    monkeypatch.setattr(due_slots, "due", late)
    assert make(queue, START + 15 * MINUTE) == 0
    assert len(rows(queue)) == 1 and counts(queue) == (1, 0)


def test_who_has_read_a_schedule_before_it_was_set_anew_makes_none(queue, monkeypatch):
    put(queue)
    real = due_slots.due

    def late(row, now):
        put(queue, job={"command": "another"})
        return real(row, now)

    monkeypatch.setattr(due_slots, "due", late)
    assert make(queue, START + 15 * MINUTE) == 0
    monkeypatch.setattr(due_slots, "due", real)
    assert make(queue, START + 15 * MINUTE) == 1
    assert rows(queue)[0]["command"] == "another"


def test_no_slot_moves_on_without_its_job_and_no_job_is_there_without_that(queue, monkeypatch):
    put(queue)

    def fail(*words):
        raise KeyboardInterrupt

    for name in ("move_on", "add_job"):
        with monkeypatch.context() as patch:
            patch.setattr(slots_made, name, fail)
            with pytest.raises(KeyboardInterrupt):
                make(queue, START + 15 * MINUTE)
        assert rows(queue) == [] and next_at(queue) == START + 15 * MINUTE
    assert make(queue, START + 15 * MINUTE) == 1


# ---------------------------------------------------------------- missed slots


def test_once_makes_one_job_for_the_newest_of_the_missed_slots(queue):
    put(queue)
    assert make(queue, START + 3 * HOUR + 60) == 1
    assert slots(queue) == ["15:00"]
    assert counts(queue) == (1, 11)
    assert next_at(queue) == START + 3 * HOUR + 15 * MINUTE


@pytest.mark.parametrize("late, number", [(119, 1), (121, 0)])
def test_skip_makes_none_but_for_a_slot_that_has_only_just_come(queue, late, number):
    put(queue, missed="skip")
    assert make(queue, START + 3 * HOUR + late) == number
    assert counts(queue) == (number, 12 - number)
    assert next_at(queue) == START + 3 * HOUR + 15 * MINUTE
    assert schedule(queue)["last_slot"] == times.utc_text(START + 3 * HOUR)


def test_all_makes_the_newest_of_them_oldest_first_and_tells_of_the_rest(queue):
    put(queue, missed="all", overlap="allow")
    found = slots_made.make_due(queue.database, START + 3 * HOUR)
    assert found.made == 10
    assert slots(queue) == ["12:45", "13:00", "13:15", "13:30", "13:45", "14:00", "14:15", "14:30", "14:45", "15:00"]
    assert counts(queue) == (10, 2)
    assert found.words == ["schedule s: 2 slots were missed, not made"]


def test_all_takes_how_many_there_may_be(queue):
    put(queue, missed="all:2", overlap="allow")
    assert make(queue, START + 3 * HOUR) == 2 and slots(queue) == ["14:45", "15:00"]


@pytest.mark.parametrize("when", ["every 5s", "* * * * *", "0 0 29 2 *"])
def test_years_of_missed_slots_take_no_time(queue, when):
    put(queue, when, missed="all:3", overlap="allow")
    began = time.monotonic()
    assert make(queue, START + 10 * 366 * DAY) in (2, 3)
    assert time.monotonic() - began < 2.0
    assert next_at(queue) > START + 10 * 366 * DAY


def test_a_hundred_are_made_in_one_transaction_and_the_others_by_the_next_looks(queue):
    asked = [
        {"name": "s%d" % number, "when": "@daily", "tz": "UTC", "job": {"command": "true"}} for number in range(250)
    ]
    maker = JobMaker(1, "/", 0o022, START)
    schedules.put(queue.database, [recurring.of_schedule(one, maker) for one in asked], START)
    assert [make(queue, START + DAY) for _ in range(4)] == [100, 100, 50, 0]
    assert len(set(ids(queue))) == 250


# ---------------------------------------------------------------- pause, resume, set anew, run


def test_what_comes_while_a_schedule_is_paused_is_not_missed(queue):
    put(queue)
    assert schedules.pause(queue.database, ["s"], START + 1) == ["s"]
    assert schedules.pause(queue.database, ["s"], START + 2) == []
    assert make(queue, START + DAY) == 0 and next_at(queue) is None
    assert schedules.resume(queue.database, ["s"], START + DAY + 1) == ["s"]
    assert next_at(queue) == START + DAY + 15 * MINUTE
    assert make(queue, START + DAY + 2) == 0 and counts(queue) == (0, 0)
    assert schedules.resume(queue.database, ["s"], START + 2 * DAY) == []
    assert next_at(queue) == START + DAY + 15 * MINUTE


def test_resumed_after_a_clock_that_went_back_a_little_no_slot_comes_twice(queue):
    put(queue)
    make(queue, START + HOUR)
    schedules.pause(queue.database, ["s"], START)
    schedules.resume(queue.database, ["s"], START)
    assert next_at(queue) == START + 75 * MINUTE


def test_all_that_are_named_are_paused_or_none(queue):
    put(queue)
    with pytest.raises(QueueError, match="did you mean s"):
        schedules.pause(queue.database, ["s", "ss"], START)
    assert next_at(queue)


def test_set_anew_as_it_was_nothing_changes(queue):
    put(queue, "every 10m", now=START)
    assert put(queue, "every  10m", now=START + 7 * MINUTE) == {"s": "same"}
    assert next_at(queue) == START + 10 * MINUTE


def test_set_anew_with_another_job_its_phase_and_its_count_stay(queue):
    put(queue, "every 10m", now=START)
    make(queue, START + 10 * MINUTE)
    assert put(queue, "every 10m", now=START + 17 * MINUTE, job={"command": "false"}) == {"s": "changed"}
    assert next_at(queue) == START + 20 * MINUTE and counts(queue) == (1, 0)


def test_due_at_other_times_its_next_slot_is_the_first_after_now(queue):
    put(queue, "@daily")
    assert put(queue, "5 12 * * *", now=START + HOUR) == {"s": "changed"}
    assert make(queue, START + HOUR) == 0
    assert next_at(queue) == START + DAY + 5 * MINUTE
    put(queue, "5 12 * * *", now=START + HOUR, tz="+02:00")
    assert next_at(queue) == START + 22 * HOUR + 5 * MINUTE


def test_an_overdue_slot_outlives_a_change_of_the_job(queue):
    put(queue)
    put(queue, job={"command": "false"}, now=START + 20 * MINUTE)
    assert make(queue, START + 20 * MINUTE) == 1 and slots(queue) == ["12:15"]


def test_a_paused_schedule_that_is_set_anew_stays_paused_unless_it_is_said(queue):
    put(queue)
    schedules.pause(queue.database, ["s"], START)
    put(queue, "@daily")
    assert schedule(queue)["paused_at"] and next_at(queue) is None
    put(queue, "@daily", paused=False)
    assert not schedule(queue)["paused_at"] and next_at(queue) == START + 12 * HOUR


def test_a_run_by_hand_changes_nothing_of_its_slots(queue):
    put(queue)
    before = schedule(queue)
    identifier = slots_made.run_now(queue.database, before, START + 60.5)
    assert identifier == "s@20270601T120100Z"
    assert rows(queue)[0]["slot"] == times.utc_text(START + 60.5)
    assert schedule(queue) == before
    assert make(queue, START + 15 * MINUTE) == 1, "and keeps none from being made"


def test_a_run_by_hand_heeds_a_key_that_is_held(queue):
    put(queue, job={"command": "true", "unique": "k"})
    enqueue(queue, unique="k")
    with pytest.raises(QueueError, match="key"):
        slots_made.run_now(queue.database, schedule(queue), START)


def test_the_only_schedules_are_those_that_were_given(queue):
    put(queue, name="a")
    put(queue, name="b")
    assert put(queue, name="a", only=True) == {"a": "same", "b": "removed"}
    assert [row["name"] for row in schedules.all_of(queue.database)] == ["a"]


def test_of_several_all_are_set_or_none(queue):
    put(queue)
    maker = JobMaker(1, "/", 0o022, START)
    asked = [{"name": name, "when": "@daily", "job": {"command": "true"}} for name in ("a", "b")]
    found = [recurring.of_schedule(one, maker) for one in asked]
    with raw(queue) as connection:
        connection.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON schedules WHEN NEW.name = 'b' BEGIN SELECT RAISE(IGNORE); END"
        )
    with pytest.raises(HostError):
        schedules.put(queue.database, found, START)
    assert [row["name"] for row in schedules.all_of(queue.database)] == ["s"]


def test_there_may_be_so_many_and_no_more(queue, monkeypatch):
    monkeypatch.setattr(recurring, "MOST", 1)
    put(queue)
    put(queue, "@daily")
    with pytest.raises(BadInput, match="at most 1 "):
        put(queue, name="b")
    assert len(schedules.all_of(queue.database)) == 1


# ---------------------------------------------------------------- overlap


def test_skip_makes_none_while_the_last_job_waits_runs_or_failed(queue):
    put(queue)
    make(queue, START + 15 * MINUTE)
    assert make(queue, START + 30 * MINUTE) == 0
    held = claim_one(queue, START + 31 * MINUTE)
    assert make(queue, START + 45 * MINUTE) == 0
    settle(queue, held, states.FAILED, START + 46 * MINUTE)
    assert rows(queue)[0]["state"] == "failed" and make(queue, START + 60 * MINUTE) == 0
    assert counts(queue) == (1, 3)
    finish(queue, now=START + 61 * MINUTE)
    assert make(queue, START + 75 * MINUTE) == 1 and slots(queue) == ["12:15", "13:15"]


@pytest.mark.parametrize("end", ["dead", "cancelled", "pruned"])
def test_what_is_final_overlaps_with_nothing(queue, end):
    put(queue, job={"command": "true", "max_retries": 0})
    make(queue, START + 15 * MINUTE)
    if end == "cancelled":
        queue.cancel(ids(queue), START + 16 * MINUTE)
    else:
        finish(queue, states.FAILED, START + 16 * MINUTE)
    if end == "pruned":
        pruning.prune(queue.database, ["dead"], START + HOUR, lambda *done: None)
        assert rows(queue) == [] and schedule(queue)["last_outcome"] == "dead"
    assert make(queue, START + 30 * MINUTE) == 1


def test_queue_lets_one_wait_behind_one_that_runs_and_no_more(queue):
    put(queue, overlap="queue")
    make(queue, START + 15 * MINUTE)
    assert make(queue, START + 30 * MINUTE) == 0, "one waits already"
    claim_one(queue, START + 31 * MINUTE)
    assert make(queue, START + 45 * MINUTE) == 1
    assert make(queue, START + 60 * MINUTE) == 0
    assert counts(queue) == (2, 2)
    assert {job["lock_key"] for job in rows(queue)} == {"schedule:s"}


def test_one_that_failed_and_waits_for_its_next_try_is_one_that_waits(queue):
    put(queue, overlap="queue")
    make(queue, START + 15 * MINUTE)
    settle(queue, claim_one(queue, START + 29 * MINUTE), states.FAILED, START + 30 * MINUTE)
    assert rows(queue)[0]["state"] == "failed" and make(queue, START + 30 * MINUTE) == 0
    assert counts(queue) == (1, 1)


@pytest.mark.parametrize("overlap", ["skip", "queue", "allow"])
def test_while_its_queue_is_paused_one_waits_there_unless_all_are_allowed(queue, overlap):
    set_queue(queue, "mail")
    maker = JobMaker(1, "/", 0o022, START)
    maker.queue_of = lambda name: queues.ids(queue.database)[name]
    asked = {"name": "s", "when": "*/15 * * * *", "tz": "UTC", "overlap": overlap}
    asked["job"] = {"command": "true", "queue": "mail"}
    schedules.put(queue.database, [recurring.of_schedule(asked, maker)], START)
    queues.pause(queue.database, ["mail"], None, None, START)
    found = [make(queue, START + number * 15 * MINUTE) for number in range(1, 5)]
    assert found == ([1, 1, 1, 1] if overlap == "allow" else [1, 0, 0, 0])
    assert counts(queue) == (sum(found), 4 - sum(found))
    assert claim(queue, START + HOUR) == []
    queues.resume(queue.database, ["mail"])
    assert len(claim(queue, START + HOUR, 9)) == sum(found)


def test_all_that_were_missed_stand_in_line_where_they_are_queued(queue):
    put(queue, missed="all:4")
    assert schedule(queue)["overlap"] == "queue"
    assert make(queue, START + 3 * HOUR) == 4
    assert {job["lock_key"] for job in rows(queue)} == {"schedule:s"}


def test_allow_makes_a_job_whatever_the_last_one_does(queue):
    put(queue, overlap="allow")
    assert [make(queue, START + number * 15 * MINUTE) for number in (1, 2, 3)] == [1, 1, 1]
    assert {job["lock_key"] for job in rows(queue)} == {None}


def test_a_held_key_keeps_a_slot_from_being_made_and_is_counted(queue):
    put(queue, overlap="allow", job={"command": "true", "unique": "k"})
    assert [make(queue, START + number * 15 * MINUTE) for number in (1, 2)] == [1, 0]
    assert counts(queue) == (1, 1)


# ---------------------------------------------------------------- the last outcome


def test_the_last_outcome_is_kept_beyond_prune(queue):
    put(queue)
    make(queue, START + 15 * MINUTE)
    assert schedule(queue)["last_outcome"] == "pending"
    finish(queue, now=START + 16 * MINUTE)
    pruning.prune(queue.database, states.FINAL, START + HOUR, lambda *done: None)
    assert rows(queue) == []
    found = schedule(queue)
    assert found["last_outcome"] == "completed" and found["outcome_at"] == times.utc_text(START + 16 * MINUTE)
    assert found["last_job"] == "s@20270601T121500Z"


def test_a_job_that_was_cancelled_before_it_ran_is_an_outcome_too_beyond_prune(queue):
    put(queue)
    make(queue, START + 15 * MINUTE)
    queue.cancel(ids(queue), START + 16 * MINUTE)
    assert schedule(queue)["last_outcome"] == "cancelled"
    make(queue, START + 30 * MINUTE)
    pruning.prune(queue.database, states.FINAL, START + HOUR, lambda *done: None)
    with raw(queue) as connection:
        (found,) = connection.execute("SELECT last_outcome, outcome_at, failures FROM schedules")
    assert tuple(found) == ("cancelled", times.utc_text(START + 16 * MINUTE), 0)


def test_failures_in_a_row_are_counted_until_a_success(queue):
    put(queue, job={"command": "true", "max_retries": 0})
    found = []
    for number, kind in enumerate([states.FAILED, states.FAILED, states.COMPLETED], 1):
        make(queue, START + number * 15 * MINUTE)
        finish(queue, kind, START + number * 15 * MINUTE)
        found.append(schedule(queue)["failures"])
    assert found == [1, 2, 0]


def test_an_attempt_that_is_retried_is_no_outcome_and_jobs_of_no_schedule_are_none_either(queue):
    put(queue)
    make(queue, START + 15 * MINUTE)
    finish(queue, states.FAILED, START + 15 * MINUTE)
    enqueue(queue, max_retries=0, now=START)
    finish(queue, states.FAILED, START + 15 * MINUTE)
    assert rows(queue, "SELECT last_outcome, failures FROM schedules") == [{"last_outcome": None, "failures": 0}]


# ---------------------------------------------------------------- begin and end


def test_nothing_comes_before_the_start_or_after_the_end(queue):
    put(queue, start="2027-06-01T13:00:00Z", end="2027-06-01T13:30:00Z")
    assert next_at(queue) == START + HOUR
    for number in range(20):
        make(queue, START + number * 5 * MINUTE)
        if rows(queue) and rows(queue)[-1]["state"] == "pending":
            finish(queue, now=START + number * 5 * MINUTE)
    assert slots(queue) == ["13:00", "13:15", "13:30"]
    assert next_at(queue) is None


def test_a_slot_before_the_end_is_made_after_it(queue):
    put(queue, end="2027-06-01T13:00:00Z")
    assert make(queue, START + DAY) == 1 and slots(queue) == ["13:00"]
    assert counts(queue) == (1, 3) and next_at(queue) is None


def test_an_interval_counts_from_its_start(queue):
    put(queue, "every 40m", start="2027-06-01T10:10:00Z")
    assert next_at(queue) == START + 10 * MINUTE


# ---------------------------------------------------------------- clocks and zones


def review(queue, now):
    return slots_made.review(queue.database, now, "")


def test_a_clock_that_went_a_day_ahead_is_as_if_nobody_had_been_there(queue):
    put(queue)
    make(queue, START + 15 * MINUTE)
    finish(queue, now=START + 15 * MINUTE)
    assert make(queue, START + DAY) == 1
    assert counts(queue) == (2, 94)


def test_after_a_clock_that_went_back_a_little_no_slot_comes_twice(queue):
    put(queue)
    make(queue, START + 3 * HOUR)
    finish(queue, now=START + 3 * HOUR)
    review(queue, START + HOUR)
    assert next_at(queue) == START + 3 * HOUR + 15 * MINUTE
    assert make(queue, START + 3 * HOUR) == 0


def test_a_clock_that_was_put_right_freezes_nothing(queue):
    put(queue)
    make(queue, START + DAY)
    _, words = review(queue, START)
    assert next_at(queue) == START + 15 * MINUTE
    assert words == ["schedule s: the clock went back: what was due by the former one is forgotten"]
    assert schedule(queue)["trouble"] and review(queue, START)[1] == []
    finish(queue, now=START + DAY)
    assert make(queue, START + 15 * MINUTE) == 1
    assert schedule(queue)["trouble"] is None


@pytest.mark.parametrize("when", ["@daily", "every 1h"])
def test_a_schedule_that_was_set_by_a_wrong_clock_is_not_frozen_either(queue, when):
    put(queue, when, now=START + 70 * 366 * DAY)
    review(queue, START)
    assert START < next_at(queue) <= START + DAY


def test_what_is_due_stays_due_when_all_are_looked_at_anew(queue):
    put(queue)
    review(queue, START + HOUR)
    assert make(queue, START + HOUR) == 1


def test_of_many_a_part_is_looked_at_at_a_time(queue):
    asked = [{"name": "s%03d" % number, "when": "@daily", "job": {"command": "true"}} for number in range(250)]
    maker = JobMaker(1, "/", 0o022, START)
    schedules.put(queue.database, [recurring.of_schedule(one, maker) for one in asked], START)
    behind, places = "", []
    while behind is not None:
        behind, _ = slots_made.review(queue.database, START, behind)
        places.append(behind)
    assert places == ["s099", "s199", None]


@needs_tzset
def test_in_another_zone_of_the_host_the_next_slot_is_found_anew(queue):
    with zone(BERLIN):
        put(queue, "17 3 * * *", tz="local")
        assert next_at(queue) == at("2027-06-02T03:17:00", 2)
    with zone(NEW_YORK):
        review(queue, START)
        assert next_at(queue) == at("2027-06-02T03:17:00", -4)


@needs_tzset
def test_a_time_that_the_clock_goes_past_comes_once_behind_the_gap_and_one_that_comes_twice_once(queue):
    with zone(BERLIN):
        put(queue, "30 2 * * *", tz="local", now=at("2027-03-27T12:00:00"))
        assert next_at(queue) == at("2027-03-28T03:00:00", 2)
        assert make(queue, at("2027-03-28T03:00:00", 2)) == 1
        assert next_at(queue) == at("2027-03-29T02:30:00", 2)
        put(queue, "30 2 * * *", tz="local", name="o", now=at("2027-10-30T12:00:00"))
        assert next_at(queue, "o") == at("2027-10-31T02:30:00", 2)
        assert make(queue, at("2027-10-31T02:30:00", 2)) >= 1
        assert next_at(queue, "o") == at("2027-11-01T02:30:00", 1)


@needs_tzset
def test_several_slots_that_fall_on_one_instant_are_one_job(queue):
    with zone(BERLIN):
        put(queue, "0,30 2 * * *", tz="local", now=at("2027-03-27T12:00:00"), missed="all", overlap="allow")
        assert make(queue, at("2027-03-28T09:00:00")) == 1


def test_while_its_zone_cannot_be_had_nothing_is_made_and_others_are(queue, monkeypatch):
    put(queue, tz="+02:00")
    put(queue, name="t")
    real = wall_clock.find

    def gone(name):
        if name == "+02:00":
            raise HostError("tz: it is gone")
        return real(name)

    with monkeypatch.context() as patch:
        patch.setattr(wall_clock, "find", gone)
        found = slots_made.make_due(queue.database, START + HOUR)
        assert (found.made, found.in_trouble, found.words[0]) == (1, ["s"], "schedule s: tz: it is gone")
        assert schedule(queue)["trouble"] == "tz: it is gone"
        again = slots_made.make_due(queue.database, START + HOUR)
        assert again.words == [] and again.in_trouble == ["s"]
        assert slots_made.make_due(queue.database, START + HOUR, ["s"]).in_trouble == []
        assert slots_made.next_due(queue.database, ["s"]) == next_at(queue, "t")
    assert make(queue, START + HOUR) == 1
    assert schedule(queue)["trouble"] is None


# ---------------------------------------------------------------- refused, damaged


def test_a_job_that_is_refused_now_is_told_and_its_slot_skipped(queue):
    put(queue)
    put(queue, name="t")
    with raw(queue) as connection:
        text = json.dumps({"command": "true", "queue": "mail"})
        connection.execute("UPDATE schedules SET job = ? WHERE name = 's'", (text,))
    found = slots_made.make_due(queue.database, START + 15 * MINUTE)
    assert found.made == 1 and "mail" in found.words[0]
    row = schedule(queue)
    assert "its job is refused" in row["trouble"] and (row["made"], row["skipped"], row["failures"]) == (0, 1, 1)
    assert next_at(queue) == START + 30 * MINUTE
    put(queue, job={"command": "false"})
    assert make(queue, START + 30 * MINUTE) == 1 and schedule(queue)["trouble"] is None


@pytest.mark.parametrize("what", ["IGNORE", "ABORT, 'no'"])
def test_a_trigger_that_keeps_a_job_out_is_told_and_nothing_is_half_made(queue, what):
    put(queue)
    put(queue, name="t")
    with raw(queue) as connection:
        connection.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON jobs WHEN NEW.schedule = 's' BEGIN SELECT RAISE(%s); END" % what
        )
    assert make(queue, START + 15 * MINUTE) == 1
    assert [job["schedule"] for job in rows(queue)] == ["t"]
    assert "refused" in schedule(queue)["trouble"] and counts(queue) == (0, 1)


def test_a_trigger_that_keeps_a_schedule_from_moving_on_makes_no_job_again_and_again(queue):
    put(queue)
    with raw(queue) as connection:
        connection.execute("CREATE TRIGGER refused BEFORE UPDATE ON schedules BEGIN SELECT RAISE(IGNORE); END")
    found = slots_made.make_due(queue.database, START + 15 * MINUTE)
    assert found.made == 0 and found.in_trouble == ["s"]
    assert rows(queue) == []


BAD = ["x", b"\xff", 7, "", "[]", '{"command": 3}', "{" * 100000]


@pytest.mark.parametrize("column", ["timing", "zone", "job", "next_at", "starts_at", "missed_most", "anchor"])
@pytest.mark.parametrize("value", BAD, ids=range(len(BAD)))
def test_whatever_stands_in_a_row_holds_up_no_other(queue, column, value):
    put(queue, "every 15m", missed="all", overlap="allow")
    put(queue, name="t")
    with raw(queue) as connection:
        connection.execute("UPDATE schedules SET %s = ? WHERE name = 's'" % column, (value,))
    slots_made.make_due(queue.database, START + 15 * MINUTE)
    assert [job["slot"] for job in rows(queue) if job["schedule"] == "t"] == ["2027-06-01T12:15:00.000000Z"]
    review(queue, START + 15 * MINUTE)
    slots_made.next_due(queue.database, [])
    for row in schedules.all_of(queue.database):
        json.dumps(recurring.as_json(row))


# ---------------------------------------------------------------- what is asked for


def ask(**asked):
    asked = dict({"name": "s", "when": "@daily", "job": {"command": "true"}}, **asked)
    return recurring.of_schedule(asked, JobMaker(1, "/", 0o022, START))


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"when": "0 0 * * * *"}, "every 10s"),
        ({"when": "0 0 31 2 *"}, "no such day"),
        ({"when": "0 0 L * *"}, "L is not known"),
        ({"when": "5/15 * * * *"}, "write 5-59/15"),
        ({"when": "every 0"}, "at most once a second"),
        ({"when": "every 0.5s"}, "at most once a second"),
        ({"when": None}, "when"),
        ({"name": "-n"}, "is not a name"),
        ({"name": "a" * 65}, "is not a name"),
        ({"name": "a@b"}, "is not a name"),
        ({"name": None}, "is not a name"),
        ({"tz": "Europe/Berln"}, "Europe/Berlin|tzdata|Python 3.9"),
        ({"start": "2027-06-02T00:00:00Z", "end": "2027-06-01T00:00:00Z"}, "before the start"),
        ({"start": "tomorrow"}, "start"),
        ({"missed": "all:0"}, "between 1 and 1000"),
        ({"missed": "all:1001"}, "between 1 and 1000"),
        ({"missed": "all:x"}, "whole number"),
        ({"missed": "once:3"}, "missed"),
        ({"missed": "twice"}, "missed"),
        ({"missed": 1}, "missed"),
        ({"missed": "all", "missed_most": True}, "missed_most"),
        ({"missed": "all", "overlap": "skip"}, "all but one"),
        ({"overlap": "replace"}, "overlap"),
        ({"overlap": ["skip"]}, "overlap"),
        ({"overlap": "queue", "job": {"command": "true", "lock": "l"}}, "lock"),
        ({"job": {"command": "true", "id": "a"}}, "id"),
        ({"job": {"command": "true", "run_at": "2027-01-01"}}, "run_at"),
        ({"job": {"command": "true", "delay": 3}}, "delay"),
        ({"job": {"command": "true", "env": {"QUEUECTL_SCHEDULE": "x"}}}, "QUEUECTL_SCHEDULE"),
        ({"job": {}}, "command is missing"),
        ({"job": None}, "job"),
        ({"job": []}, "job"),
        ({"paused": 1}, "paused"),
        ({"jitter": "5m"}, "unknown key"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_in_one_line(asked, words):
    with pytest.raises(QueueError, match=words) as refusal:
        ask(**asked)
    assert "\n" not in str(refusal.value)


@posix_only  # elsewhere "/" is no place without its drive
def test_what_is_shown_can_be_set_again_and_is_the_same(queue):
    put(queue, missed="all:7", start="2027-06-01T13:00:00Z", job={"command": ["a"], "env": {"A": "b"}, "tags": ["x"]})
    shown = recurring.as_json(schedule(queue))
    again = recurring.of_schedule(json.loads(json.dumps(shown)), JobMaker(9, "/elsewhere", 0o077, START + 5))
    assert schedules.put(queue.database, [again], START + 5) == {"s": "same"}


def test_one_that_is_removed_is_forgotten_and_its_jobs_stay(queue):
    put(queue, overlap="allow")
    put(queue, name="s.2", overlap="allow")
    make(queue, START + 15 * MINUTE)
    make(queue, START + 30 * MINUTE)
    claim_one(queue, START + 31 * MINUTE)
    assert schedules.remove(queue.database, ["s"]) == ["s@20270601T123000Z"]
    assert [row["name"] for row in schedules.all_of(queue.database)] == ["s.2"]
    assert len(rows(queue)) == 4
    assert settle(queue, claim(queue, START + HOUR, 4)[-1], states.COMPLETED, START + HOUR), "also of a removed one"


def test_where_there_is_no_database_there_is_no_schedule(tmp_path):
    from storage import Queue

    missing = Queue(str(tmp_path / "none.db"))
    assert schedules.all_of(missing.database) == []
    for change in (schedules.pause, schedules.resume):
        with pytest.raises(QueueError, match="no schedule"):
            change(missing.database, ["s"], START)
    with pytest.raises(QueueError, match="no schedule"):
        schedules.remove(missing.database, ["s"])


def test_the_index_alone_is_asked_for_what_is_due(queue):
    with raw(queue) as connection:
        for statement in (slots_made.FIND_DUE, slots_made.FIND_NEXT):
            values = ["x"] * statement.count("?")
            plan = [row["detail"] for row in connection.execute("EXPLAIN QUERY PLAN " + statement, values)]
            assert len(plan) == 1 and "schedules_next" in plan[0], plan
