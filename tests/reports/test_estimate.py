"""About how long the queue will take: exact where it is known, and nothing at all where it would be a guess."""

import pytest
from helpers.queue import NOW, SETTINGS, claim, enqueue, rows, set_queue

from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.reports import estimate, history
from queuectl_lib.store import ahead, kinds, looking, queues
from queuectl_lib.store.ahead import Ahead


def learn(queue, name, *seconds):
    """Jobs of this name took so long."""
    enqueue(queue, 0, name=name, id="teacher-" + name)
    held = claim(queue)[0]
    outcomes = [Outcome(held, "completed", NOW) for _ in seconds]
    for outcome, one in zip(outcomes, seconds):
        outcome.seconds = float(one)
    with queue.database.writing() as connection:
        kinds.record(connection, outcomes)
    queue.exchange("w-1", [Outcome(held, "cancelled", NOW)], 0, NOW, SETTINGS)


def worker(slots=1, **more):
    return dict({"kind": "worker", "name": "w-1", "slots": slots, "supervisor": "w"}, **more)


def seconds(queue, slots=1, now=NOW):
    return estimate.of(queue.database, [worker(slots)], now).seconds


@pytest.fixture
def known(queue):
    learn(queue, "ten", 5, 10, 15, 10, 10)
    learn(queue, "four", 4, 4, 4, 4, 4)
    learn(queue, "hardly", 99, 99, 99, 99)
    return queue


def add(known, *names, **fields):
    for name in names:
        enqueue(known, 0, name=name, **fields)


def test_due_jobs_take_the_medians_of_their_kinds(known):
    add(known, "ten", "ten", "four")
    assert [seconds(known, slots) for slots in (1, 2, 3, 9)] == [24.0, 14.0, 10.0, 10.0]


def test_the_longest_go_first_to_whoever_is_free_first(known):
    add(known, "four", "four", "four", "four", "ten")
    assert seconds(known, 2) == 14.0  # 10 + 4 beside 4 + 4 + 4
    assert seconds(known, 3) == 10.0


def test_what_runs_holds_its_place_for_what_is_left_of_its_median(known):
    add(known, "ten", "ten", "ten")
    claim(known, NOW)
    assert seconds(known, 1, NOW + 4) == 26.0
    assert seconds(known, 2, NOW + 4) == 16.0  # six are left of the first: 6 + 10 beside 10
    assert seconds(known, 1, NOW + 100) == 20.0, "what is over its median may end at once"


def test_what_is_unknown_goes_at_the_mean_of_the_rest(known):
    add(known, "ten", "four", "hardly", "strange")
    found = estimate.of(known.database, [worker()], NOW)
    assert (found.seconds, found.known, found.looked) == (28.0, 2, 4)
    assert found.facts() == {"eta_seconds": 28.0, "eta_known": 0.5}


def test_less_than_half_known_is_nothing_known(known):
    add(known, "ten", "hardly", "strange")
    found = estimate.of(known.database, [worker()], NOW)
    assert found.facts() == {"eta_seconds": None, "eta_known": 1 / 3.0} and found.sentence() == ""


def test_the_rest_goes_at_the_mean_and_no_more_than_500_are_looked_at(known, monkeypatch):
    monkeypatch.setattr(ahead, "SAMPLE", 500)
    seen = Ahead()
    seen.due, seen.sample = 1000, [[10.0] * 5] * 250 + [[4.0] * 5] * 250
    found = estimate.reckoned(seen, 1)
    assert (found.seconds, found.looked) == (3500.0 + 500 * 7.0, 500)
    assert estimate.reckoned(seen, 2).seconds == 1750.0 + 500 * 7.0 / 2


def test_the_sample_is_the_first_500_as_they_would_be_claimed(known):
    add(known, *["strange"] * 600)
    add(known, *["four"] * 500, priority=7)
    found = estimate.of(known.database, [worker(10)], NOW)
    assert (found.due, found.looked, found.known) == (1100, 500, 500)
    assert found.seconds == 200.0 + 600 * 4.0 / 10
    assert found.sentence() == "about 7 min left (1100 due; kinds known: 500 of 500)"


def test_jobs_not_yet_due_are_told_apart(known):
    add(known, "four")
    for number in range(3):
        enqueue(known, 0, name="ten", delay=3600 + number)
    found = estimate.of(known.database, [worker()], NOW)
    assert (found.seconds, found.due, found.later) == (4.0, 1, 3)
    assert found.sentence() == "about 4 s left (1 due; kinds known: 1 of 1), and 3 later"


def test_nobody_alive_or_all_of_them_leaving_is_no_time(known):
    add(known, "four")
    assert estimate.of(known.database, [], NOW).seconds is None
    assert estimate.of(known.database, [{"kind": "supervisor", "name": "w"}], NOW).seconds is None
    assert estimate.of(known.database, [worker(asked="stop")], NOW).seconds is None
    assert estimate.of(known.database, [worker(asked="stop"), worker(2)], NOW).seconds == 4.0


def test_a_worker_of_some_queues_alone_is_no_time(known):
    add(known, "four")
    assert estimate.of(known.database, [worker(queues=["default"])], NOW).seconds is None


def test_an_empty_queue_is_no_time(queue):
    found = estimate.of(queue.database, [worker()], NOW)
    assert found.facts() == {"eta_seconds": None, "eta_known": 0.0}


@pytest.mark.parametrize(
    "values",
    [
        {"running_most": 2},
        {"rate_count": 5, "rate_seconds": 60.0},
        {"windows": "mon-fri 02:00-03:00"},
        {"load_most": 100000.0},
    ],
)
def test_where_a_limit_sets_the_pace_there_is_no_time(known, values):
    add(known, "four")
    set_queue(known, "default", **values)
    assert seconds(known) is None
    set_queue(known, "default", **dict.fromkeys(values))
    assert seconds(known) == 4.0


def test_a_paused_queue_is_no_time(known):
    add(known, "four")
    queues.pause(known.database, ["default"], None, None, NOW)
    assert seconds(known) is None


def test_a_limited_queue_without_due_jobs_does_not_count(known):
    set_queue(known, "slow", running_most=1)
    add(known, "four")
    assert seconds(known) == 4.0
    add(known, "four", queue="slow")
    assert seconds(known) is None


def test_jobs_of_several_queues_are_of_one_sample(known):
    set_queue(known, "other", note="x")
    add(known, "four")
    add(known, "ten", queue="other")
    assert seconds(known, 2) == 10.0


def test_a_lock_sets_the_pace(known):
    add(known, "four", lock="db")
    assert seconds(known) is None


def test_a_job_parked_for_a_lock_sets_the_pace(known):
    add(known, "four", lock="db")
    add(known, "ten", lock="db")
    assert len(claim(known, NOW, 2) + claim(known, NOW, 2)) == 1
    add(known, "four")
    assert [row["lane"] for row in rows(known) if row["lock_key"] and row["state"] == "pending"] == [4]
    assert seconds(known) is None


def test_held_jobs_are_neither_due_nor_later(known):
    add(known, "four")
    enqueue(known, 0, name="ten", hold=True)
    found = estimate.of(known.database, [worker()], NOW)
    assert (found.due, found.later, found.seconds) == (1, 0, 4.0)


def test_where_it_cannot_be_counted_quickly_there_is_no_time(known, monkeypatch):
    monkeypatch.setattr(ahead, "MANY", 2)
    add(known, "four", "four", "four")
    for number in range(2):
        enqueue(known, 0, name="ten", delay=3600 + number)
    assert seconds(known) == 12.0, "what is due comes of what is counted anyway"
    enqueue(known, 0, name="ten", delay=3600)
    assert seconds(known) is None
    claim(known, NOW)
    assert estimate.of(known.database, [worker()], NOW).due == 2, "few that are due are counted"


def test_a_damaged_row_is_an_unknown_kind(known):
    add(known, "four", "four")
    with known.database.writing() as connection:
        connection.execute("UPDATE jobs SET name = x'ff', command = x'ff', is_list = 1 WHERE seq = 4")
        connection.execute("UPDATE kinds SET recent = 'abc' WHERE kind = 'ten'")
    assert looking.counts(known.database)["pending"] == 2
    assert seconds(known) == 8.0


def test_a_look_costs_no_more_at_many_jobs(known):
    """What is read of due jobs has a limit, and so has what is counted."""
    import re

    texts = [text for name, text in vars(ahead).items() if isinstance(text, str) and "SELECT" in text]
    assert texts and all(re.search(r"LIMIT (\?|500)", text) for text in texts)


def test_medians_and_percentiles_are_exact():
    assert history.median([]) is history.p95([]) is None
    assert history.median([3.0]) == history.p95([3.0]) == 3.0
    assert history.median([4.0, 1.0]) == 2.5 and history.median([9.0, 1.0, 2.0]) == 2.0
    assert history.p95([float(one) for one in range(1, 101)]) == 95.0
    assert history.p95([float(one) for one in range(1, 21)]) == 19.0
    assert history.p95([float(one) for one in range(1, 11)]) == 10.0


@pytest.mark.parametrize(
    "elapsed, recent, is_long",
    [
        (61, [1.0] * 10, True),
        (60, [1.0] * 10, False),
        (61, [1.0] * 9, False),
        (300, [100.0] * 64, False),
        (301, [100.0] * 64, True),
        (301, [1.0] * 5 + [100.0] * 5, True),
        (299, [1.0] * 5 + [100.0] * 5, False),
        (1e9, [], False),
    ],
)
def test_long_is_over_three_times_the_p95_and_a_minute_with_ten_samples(elapsed, recent, is_long):
    assert history.is_long(elapsed, recent) is is_long


@pytest.mark.parametrize(
    "seconds, text", [(0, "0 s"), (119, "119 s"), (2400, "40 min"), (9000, "2 h"), (259200, "3 days")]
)
def test_a_length_of_time_is_said_in_words(seconds, text):
    assert estimate.length_text(seconds) == text
