"""Rates: never more than N starts of a queue in any span of P, whatever happens to N, to the clock and to the jobs."""

import random
import threading
import time

import pytest
from helpers.queue import NOW, SETTINGS, claim, claim_one, enqueue, rows, set_queue, settle

from queuectl_lib import times
from queuectl_lib.jobs import attempts, gates
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import open_queues, outlook, queues, rates, serving


def limited(queue, count, seconds, jobs=100, name="mail"):
    """A queue that may start *count* jobs in *seconds*, with so many in it."""
    set_queue(queue, name, rate_count=count, rate_seconds=seconds)
    maker = JobMaker(1000, "/", 0o022, NOW)
    maker.queue_of = lambda name: queues.ids(queue.database)[name]
    list(queue.enqueue_each((line, maker.row({"command": "true", "queue": name})) for line in range(jobs)))


def starts_at(queue, now, most=1000):
    """Start all that may be started at *now*, one claim after the other; how many."""
    found = 0
    while found < most and claim_one(queue, now):
        found += 1
    return found


@pytest.fixture(autouse=True)
def no_wait(monkeypatch, request):
    """Here a claim takes no time, however slow the host is: the clock of these tests is their own."""
    if "write_lock" not in request.node.name:
        whole = serving.Asker.__init__
        monkeypatch.setattr(
            serving.Asker, "__init__", lambda self, database, asks, waited=0: whole(self, database, asks)
        )


def most_in_a_span(moments, seconds):
    """The most of *moments* that lie in one span of that length, its ends included."""
    moments = sorted(moments)
    return max((sum(1 for other in moments if one <= other <= one + seconds) for one in moments), default=0)


def test_n_start_in_a_span_and_the_next_when_the_first_is_older_than_it(queue):
    limited(queue, 3, 10)
    assert starts_at(queue, NOW) == 3
    assert starts_at(queue, NOW + 9.9) == 0
    assert starts_at(queue, NOW + 10) == 0, "a span of exactly that length has its two ends in it"
    assert starts_at(queue, NOW + 11) == 3


def test_there_is_no_seam_at_which_twice_as_many_start(queue):
    limited(queue, 10, 60)
    assert starts_at(queue, NOW, most=1) == 1
    assert starts_at(queue, NOW + 58) == 9
    assert starts_at(queue, NOW + 61) == 1, "the nine of a second ago count still"
    assert starts_at(queue, NOW + 119.5) == 9


@pytest.mark.parametrize("seed", range(6))
def test_no_span_has_more_starts_while_times_and_ends_are_what_they_will(queue, seed):
    chance = random.Random(seed)
    count, seconds = chance.choice([(1, 1), (3, 2.5), (5, 10), (7, 0.5)])
    limited(queue, count, seconds, jobs=60)
    now, moments, held = NOW, [], []
    while len(moments) < 60:
        now += chance.choice([0, 0.0001, seconds / 7, seconds / 2, seconds, seconds * 3])
        for one in claim(queue, now, chance.choice([1, 4, 32])):
            moments.append(now)
            held.append(one)
        while held and chance.random() < 0.5:
            settle(queue, held.pop(), chance.choice(["completed", "failed", "timed out", "lost"]), now)
    assert most_in_a_span(moments, seconds) <= count


@pytest.mark.parametrize("seed", range(6))
def test_nor_while_the_number_is_raised_and_lowered(queue, seed):
    chance = random.Random(seed)
    limited(queue, 5, 10, jobs=200)
    now, moments, most = NOW, [], 5
    for _ in range(60):
        now += chance.choice([0, 0.5, 2, 5, 11])
        if chance.random() < 0.2:
            most = chance.randrange(1, 9)
            set_queue(queue, "mail", rate_count=most, rate_seconds=10)
        begun = starts_at(queue, now)
        moments += [now] * begun
        lately = [one for one in moments if one >= now - 10]
        assert begun == 0 or len(lately) <= most, "what starts now has no more than N in the span before it"
    assert len(moments) > 30


def test_a_number_that_is_raised_lets_the_difference_start_at_once(queue):
    limited(queue, 2, 60)
    assert starts_at(queue, NOW) == 2
    set_queue(queue, "mail", rate_count=5, rate_seconds=60)
    assert starts_at(queue, NOW + 1) == 3
    assert starts_at(queue, NOW + 61) == 2
    assert starts_at(queue, NOW + 62.5) == 3


def test_a_number_that_is_lowered_counts_what_has_started(queue):
    limited(queue, 5, 60)
    assert starts_at(queue, NOW) == 5
    set_queue(queue, "mail", rate_count=2, rate_seconds=60)
    assert starts_at(queue, NOW + 59) == 0
    assert starts_at(queue, NOW + 61) == 2
    assert starts_at(queue, NOW + 119) == 0


def test_a_rate_that_is_set_again_as_it_is_forgets_nothing(queue):
    limited(queue, 3, 60)
    assert starts_at(queue, NOW, most=2) == 2
    set_queue(queue, "mail", rate_count=3, rate_seconds=60)
    assert starts_at(queue, NOW + 1) == 1
    set_queue(queue, "mail", running_most=5)
    assert starts_at(queue, NOW + 2) == 0


def test_retries_are_starts_too(queue):
    limited(queue, 2, 60, jobs=1)
    settle(queue, claim_one(queue), "failed", NOW)
    settle(queue, claim_one(queue, NOW + 5), "failed", NOW + 5)
    assert claim(queue, NOW + 30) == []
    assert len(claim(queue, NOW + 61)) == 1


def test_what_is_parked_or_cannot_be_read_has_not_started(queue):
    set_queue(queue, "mail", rate_count=2, rate_seconds=60)
    enqueue(queue, lock="db", id="holder")
    assert claim_one(queue).id == "holder"
    enqueue(queue, queue="mail", lock="db", id="parked", priority=9)
    enqueue(queue, queue="mail", id="unreadable", priority=8)
    for number in range(4):
        enqueue(queue, queue="mail", id="j%d" % number)
    with queue.database.writing() as connection:
        connection.execute("UPDATE jobs SET env = 'no JSON' WHERE id = 'unreadable'")
    assert [one.id for _ in range(5) for one in claim(queue)] == ["j0", "j1"]


def test_a_start_is_claimed_alone_and_none_ahead(queue):
    limited(queue, 10, 60)
    assert len(claim(queue, NOW, 32)) == 1
    enqueue(queue, id="urgent", priority=1)
    enqueue(queue, id="plain", priority=-1)
    assert [one.id for one in claim(queue, NOW, 32)] == ["urgent"], "a batch ends before it"


def test_where_the_rate_is_used_up_the_jobs_behind_go_first(queue):
    limited(queue, 1, 60, jobs=2)
    enqueue(queue, id="other", priority=-9)
    claim(queue)
    assert [one.id for one in claim(queue)] == ["other"]


# ---------------------------------------------------------------- the clock


def test_a_clock_put_back_a_day_is_waited_for_once(queue):
    limited(queue, 3, 60)
    assert starts_at(queue, NOW) == 3
    back = NOW - 86400
    assert starts_at(queue, back) == 0
    assert starts_at(queue, back + 30) == 0
    assert starts_at(queue, back + 61) == 3
    assert starts_at(queue, back + 62) == 0


def test_a_worker_tries_at_once_after_such_a_clock_and_then_rests(queue):
    limited(queue, 3, 60)
    assert starts_at(queue, NOW) == 3
    back = NOW - 86400
    assert outlook.under_way(queue.database, back)[1] == back, "the claim has to set these right"
    claim(queue, back)
    assert outlook.under_way(queue.database, back + 1)[1] == pytest.approx(back + 60, abs=0.9)


def test_a_clock_put_forward_lets_n_start_at_once_and_no_more(queue):
    limited(queue, 3, 60)
    assert starts_at(queue, NOW) == 3
    assert starts_at(queue, NOW + 86400) == 3
    assert starts_at(queue, NOW + 86401) == 0


@pytest.mark.parametrize("seed", range(4))
def test_no_span_of_true_time_has_more_however_often_the_clock_is_put_back(queue, seed):
    chance = random.Random(seed)
    limited(queue, 4, 10, jobs=100)
    real, offset, moments = NOW, 0.0, []
    for _ in range(80):
        real += chance.choice([0.1, 1, 3, 6])
        if chance.random() < 0.2:
            offset -= chance.choice([1, 5, 20, 86400])
        moments += [real] * starts_at(queue, real + offset)
    assert most_in_a_span(moments, 10) <= 4


def test_who_waited_for_the_write_lock_notes_the_start_when_it_is(queue):
    """His look at the clock is old by then: starts of others meanwhile lie in its future, and stay what they were."""
    limited(queue, 2, 1)
    claim(queue, NOW - 1.5)
    assert len(claim(queue, NOW + 0.4)) == 1, "the other worker, meanwhile"
    held = threading.Event()

    def hold():
        with queue.database.gate():
            held.set()
            time.sleep(0.5)

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    assert len(claim(queue, NOW)) == 1, "asked at NOW, in the line half a second later"
    other.join()
    found = [times.utc_seconds(row["at"]) for row in rows(queue, "SELECT at FROM starts ORDER BY at")]
    assert found[0] >= NOW + 0.4 and found[1] >= NOW + 0.45
    assert starts_at(queue, NOW + 1.2) == 0


# ---------------------------------------------------------------- what somebody has written, and what is said


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE queues SET starts = 'x' WHERE name = 'mail'",
        "UPDATE queues SET starts = -7 WHERE name = 'mail'",
        "UPDATE starts SET at = 'never'",
        "UPDATE starts SET at = x'00'",
        "UPDATE queues SET rate_seconds = NULL WHERE name = 'mail'",
        "UPDATE queues SET rate_count = 'x' WHERE name = 'mail'",
        "UPDATE queues SET rate_count = 0 WHERE name = 'mail'",
        "DELETE FROM starts",
    ],
)
def test_a_row_that_somebody_has_changed_keeps_nothing_else_from_running(queue, change):
    limited(queue, 2, 60, jobs=5)
    claim(queue)
    with queue.database.writing() as connection:
        connection.execute(change)
    enqueue(queue, id="other", priority=-1)
    found = []
    for second in range(0, 300, 30):
        found += [one.id for one in claim(queue, NOW + second)]
    assert "other" in found
    queues.shown(queue.database, NOW)
    outlook.under_way(queue.database, NOW)


def test_a_queue_without_a_rate_has_no_ring(queue):
    limited(queue, 3, 60)
    starts_at(queue, NOW)
    set_queue(queue, "mail", rate_count=None, rate_seconds=None)
    assert rows(queue, "SELECT * FROM starts") == []
    assert starts_at(queue, NOW, most=20) == 20


def test_the_ring_has_never_more_rows_than_its_number(queue):
    limited(queue, 4, 1)
    for second in range(8):
        starts_at(queue, NOW + second * 1.1)
        assert len(rows(queue, "SELECT * FROM starts")) <= 4


def test_why_and_until_when_is_said(queue):
    limited(queue, 1, 60)
    claim(queue)
    with queue.database.reading() as connection:
        _, closed = open_queues.look(connection, NOW + 1, serving.Asker(queue.database, asks=True))
    assert [(one.kind, one.why) for one in closed] == [("shut", "queue mail: rate 1/1m is used up")]
    assert closed[0].again == pytest.approx(NOW + 60, abs=0.9)


def test_one_look_of_a_ring_of_ten_thousand_reads_one_row(queue):
    limited(queue, gates.MOST_STARTS, 3600, jobs=1)
    with queue.database.writing() as connection:
        values = [(1, slot, times.utc_text(NOW - 10)) for slot in range(gates.MOST_STARTS)]
        connection.executemany(rates.NOTE, values)
        plan = connection.execute("EXPLAIN QUERY PLAN " + rates.STARTED, (1, 0)).fetchall()
        assert "SCAN" not in str([tuple(row) for row in plan])
    assert claim(queue) == []


def test_a_claim_that_is_given_back_has_started_nothing_more_than_it_took(queue):
    limited(queue, 2, 60, jobs=1)
    held = claim_one(queue)
    queue.exchange("w-1", [attempts.unstarted(held)], 0, NOW, SETTINGS)
    assert len(claim(queue, NOW + 1)) == 1
    assert rows(queue, "SELECT count(*) AS n FROM starts")[0]["n"] == 2, "rather one start too few than one too many"
