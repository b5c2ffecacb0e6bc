"""Queues: what is true of a class of jobs decides what starts, in one place, for the claim and for all who ask."""

import collections
import random
import sqlite3

import pytest
from helpers.queue import NOW, SETTINGS, claim, claim_one, enqueue, everything, raw, rows, set_queue, settle

from queuectl_lib import times
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.host import load
from queuectl_lib.jobs import gates, windows
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import eligible, gating, health, holding, open_queues, outlook, queues, serving
from storage import Queue


def claimed(queue, now=NOW, want=1):
    return [one.id for one in claim(queue, now, want)]


def next_due(queue, now=NOW):
    return outlook.under_way(queue.database, now)[1]


def is_over(queue):
    return outlook.nothing_left(queue.database)


def pause(queue, *names, until=None, now=NOW):
    queues.pause(queue.database, list(names), until, None, now)


@pytest.fixture
def seen(monkeypatch):
    """What the host tells, as the test has it; nothing of it is remembered."""
    monkeypatch.setattr(gating, "SEEN", {})
    answers = {"load": 0.0, "memory": 1 << 40, "free": 1 << 40}
    monkeypatch.setattr(load, "load", lambda: answers["load"])
    monkeypatch.setattr(load, "memory_available", lambda: answers["memory"])
    monkeypatch.setattr(load, "free_bytes", lambda path: answers["free"])

    def tell(**changed):
        answers.update(changed)
        gating.SEEN.clear()

    return tell


# ---------------------------------------------------------------- the order between queues


def test_priority_is_strict_between_queues(queue):
    set_queue(queue, "mail")
    for number, (name, priority) in enumerate([("mail", 1), ("default", 5), ("mail", 9), ("default", 0)]):
        enqueue(queue, id="j%d" % number, queue=name, priority=priority)
    assert claimed(queue, want=9) == ["j2", "j1", "j0", "j3"]


def test_of_equal_priority_the_queue_of_which_fewer_run_goes_first(queue):
    set_queue(queue, "bulk")
    set_queue(queue, "mail")
    for number in range(6):
        enqueue(queue, id="bulk%d" % number, queue="bulk")
    for number in range(3):
        enqueue(queue, id="mail%d" % number, queue="mail", now=NOW + 5)
    assert claimed(queue, NOW + 9, 6) == ["bulk0", "mail0", "bulk1", "mail1", "bulk2", "mail2"]


def test_a_million_of_one_do_not_starve_the_other(queue):
    set_queue(queue, "bulk")
    set_queue(queue, "mail")
    maker = JobMaker(1, "/", 0o022, NOW - 1000)
    maker.queue_of = lambda name: queues.ids(queue.database)[name]
    list(queue.enqueue_each((line, maker.row({"command": "true", "queue": "bulk"})) for line in range(2000)))
    held = [claim_one(queue) for _ in range(3)]
    enqueue(queue, id="mail", queue="mail")
    settle(queue, held[0], "completed")
    assert claimed(queue) == ["mail"]


def test_who_was_due_first_goes_first_where_as_many_run(queue):
    set_queue(queue, "a")
    set_queue(queue, "b")
    enqueue(queue, id="later", queue="a", run_at=times.utc_text(NOW - 1))
    enqueue(queue, id="earlier", queue="b", run_at=times.utc_text(NOW - 2))
    assert claimed(queue) == ["earlier"]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_all_queues_is_that_of_a_plain_model(queue, seed):
    chance = random.Random(seed)
    names = ["default", "a", "b", "c"]
    for name in names[1:]:
        set_queue(queue, name)
    waiting, running = [], collections.Counter()
    for number in range(40):
        job = (chance.randrange(-1, 2), NOW - chance.randrange(5), number, chance.choice(names))
        enqueue(queue, id="j%d" % number, queue=job[3], priority=job[0], run_at=times.utc_text(job[1]))
        waiting.append(job)
    held = []
    while waiting:
        best = min(waiting, key=lambda job: (-job[0], running[job[3]], job[1], job[2]))
        waiting.remove(best)
        running[best[3]] += 1
        one = claim_one(queue)
        assert one.id == "j%d" % best[2]
        held.append((one, best[3]))
        if chance.random() < 0.5:
            ended, name = held.pop(chance.randrange(len(held)))
            settle(queue, ended, "completed")
            running[name] -= 1


def test_where_there_is_one_queue_nothing_else_is_asked(queue):
    enqueue(queue)
    with queue.database.reading() as connection:
        asked = []
        connection.set_trace_callback(asked.append)
        lines, closed = open_queues.look(connection, NOW, serving.Asker(queue.database, asks=True))
        connection.set_trace_callback(None)
    assert ([line.queue for line in lines], lines[0].room, closed) == ([0], None, ())
    assert len(asked) <= 1, "an SQLite before 3.14 tells nothing here"


# ---------------------------------------------------------------- limits


def test_never_more_run_than_the_limit_and_others_go_by(queue):
    set_queue(queue, "mail", running_most=2)
    for number in range(4):
        enqueue(queue, id="m%d" % number, queue="mail", priority=5)
    enqueue(queue, id="other")
    held = [claim_one(queue) for _ in range(3)]
    assert [one.id for one in held] == ["m0", "m1", "other"]
    assert claim(queue) == [] and next_due(queue) is None, "an end tells"
    settle(queue, held[0], "failed")
    assert claimed(queue) == ["m2"]
    assert claimed(queue) == []


def test_a_limited_job_is_claimed_to_be_started_now_and_none_ahead(queue):
    set_queue(queue, "mail", running_most=20)
    for number in range(3):
        enqueue(queue, id="m%d" % number, queue="mail")
    assert claimed(queue, want=32) == ["m0"]


def test_a_limit_lowered_ends_nothing_and_lets_nothing_start_until_it_fits(queue):
    set_queue(queue, "mail", running_most=3)
    for number in range(6):
        enqueue(queue, id="m%d" % number, queue="mail")
    held = [claim_one(queue) for _ in range(3)]
    set_queue(queue, "mail", running_most=1)
    for one in held[:2]:
        settle(queue, one, "completed")
        assert claim(queue) == []
    settle(queue, held[2], "completed")
    assert (claimed(queue), claimed(queue)) == (["m3"], [])
    set_queue(queue, "mail", running_most=3)
    assert [claimed(queue) for _ in range(3)] == [["m4"], ["m5"], []]
    set_queue(queue, "mail", running_most=None)


def test_a_limit_counts_what_was_adopted_and_not_what_waits_to_be_tried_again(queue):
    set_queue(queue, "mail", running_most=1)
    for number in range(2):
        enqueue(queue, id="m%d" % number, queue="mail", priority=-number)
    held = claim_one(queue)
    assert queue.adopt(held, "w-1", "w-2", NOW)
    assert claim(queue) == []
    settle(queue, held, "lost")
    assert claimed(queue) == ["m1"], "m0 waits for its next try"
    assert claimed(queue, NOW + 60) == []


def test_a_late_worker_frees_no_place_twice(queue):
    set_queue(queue, "mail", running_most=1)
    for number in range(3):
        enqueue(queue, id="m%d" % number, queue="mail", priority=-number)
    late = claim_one(queue)
    settle(queue, late, "lost")
    assert claimed(queue) == ["m1"]
    assert not settle(queue, late, "completed")
    assert claimed(queue) == []


def test_a_place_is_taken_until_the_fate_of_its_job_is_decided_however_long_that_takes(queue):
    set_queue(queue, "mail", running_most=1)
    enqueue(queue, id="m0", queue="mail", priority=1)
    enqueue(queue, id="m1", queue="mail")
    held = claim_one(queue)
    for later in (60, 86400, 10 * 366 * 86400):
        assert claim(queue, NOW + later, worker="w-2") == [], "w-1 may be dead, but nobody has proved it"
    settle(queue, held, "lost", NOW)
    assert claimed(queue, NOW) == ["m1"]


def test_who_records_an_end_takes_the_place_that_it_frees_in_the_same_transaction(queue):
    set_queue(queue, "mail", running_most=1)
    for number in range(2):
        enqueue(queue, id="m%d" % number, queue="mail")
    held = claim_one(queue)
    refused, claims, _ = queue.exchange("w-1", [Outcome(held, "completed", NOW)], 1, NOW, SETTINGS)
    assert (refused, [one.id for one in claims]) == ([], ["m1"])


def test_what_waits_behind_a_limit_is_not_touched_however_many_those_are(queue):
    set_queue(queue, "mail", running_most=1)
    maker = JobMaker(1, "/", 0o022, NOW)
    maker.queue_of = lambda name: queues.ids(queue.database)[name]
    list(queue.enqueue_each((line, maker.row({"command": "true", "queue": "mail"})) for line in range(1000)))
    claim(queue)
    before = everything(queue)
    with raw(queue) as connection:
        written = [tuple(row) for row in connection.execute("PRAGMA data_version")]
        for _ in range(3):
            assert claim(queue) == [] and next_due(queue) is None
        assert [tuple(row) for row in connection.execute("PRAGMA data_version")] == written
    assert everything(queue) == before


def test_the_default_queue_can_have_a_limit_too(queue):
    set_queue(queue, "default", running_most=1)
    enqueue(queue, id="a")
    enqueue(queue, id="b")
    assert (claimed(queue, want=5), claimed(queue)) == (["a"], [])


# ---------------------------------------------------------------- paused


def test_nothing_of_a_paused_queue_starts_what_runs_ends_and_retries_wait(queue):
    set_queue(queue, "mail")
    for number in range(3):
        enqueue(queue, id="m%d" % number, queue="mail")
    held = claim(queue, want=2)
    pause(queue, "mail")
    settle(queue, held[0], "completed")
    settle(queue, held[1], "failed")
    assert claim(queue, NOW + 60) == []
    assert next_due(queue, NOW + 60) is None
    queues.resume(queue.database, ["mail"])
    assert next_due(queue, NOW + 60) == NOW + 60
    assert claimed(queue, NOW + 60, 5) == ["m2", "m1"]


def test_a_pause_is_one_row_however_many_wait(queue):
    set_queue(queue, "mail")
    for _ in range(5):
        enqueue(queue, queue="mail")
    before = rows(queue)
    pause(queue, "mail")
    assert rows(queue) == before
    queues.resume(queue.database, ["mail"])
    assert rows(queue) == before


def test_a_pause_with_a_time_ends_by_itself_and_is_slept_through(queue):
    set_queue(queue, "mail")
    enqueue(queue, id="m", queue="mail")
    pause(queue, "mail", until=NOW + 600)
    assert next_due(queue, NOW + 1) == NOW + 600
    assert claim(queue, NOW + 599) == []
    assert not is_over(queue), "nobody has to see to it"
    assert claimed(queue, NOW + 600) == ["m"]
    assert not [row for row in queues.shown(queue.database, NOW + 601) if row["paused"]]


def test_all_are_paused_where_none_is_named(queue):
    set_queue(queue, "mail")
    enqueue(queue, id="m", queue="mail")
    enqueue(queue, id="d")
    pause(queue)
    assert claim(queue) == [] and next_due(queue) is None and is_over(queue)
    queues.resume(queue.database, [])
    assert len(claim(queue, want=2)) == 2


@pytest.mark.parametrize("until", ["rubbish", "", b"\x00", 7])
def test_a_pause_whose_end_cannot_be_read_lasts(queue, until):
    set_queue(queue, "mail")
    enqueue(queue, queue="mail")
    pause(queue, "mail", until=NOW + 600)
    with queue.database.writing() as connection:
        connection.execute("UPDATE queues SET paused_until = ? WHERE name = 'mail'", (until,))
    assert claim(queue, NOW + 6000) == [] and next_due(queue, NOW + 6000) is None and is_over(queue)
    queues.shown(queue.database, NOW)


# ---------------------------------------------------------------- what goes on without a person


def test_a_worker_that_drains_waits_for_no_person(queue):
    set_queue(queue, "mail")
    assert is_over(queue)
    enqueue(queue, id="held", hold=True)
    enqueue(queue, id="m", queue="mail")
    assert not is_over(queue)
    pause(queue, "mail")
    assert is_over(queue), "one is held, one in a paused queue"
    enqueue(queue, id="later", queue="mail", delay=60)
    assert is_over(queue)
    enqueue(queue, id="own", delay=60)
    assert not is_over(queue)
    queue.cancel(["own"], NOW)
    holding.release(queue.database, ["held"], NOW)
    assert not is_over(queue)


def test_what_is_parked_goes_on_and_what_runs_in_a_paused_queue_too(queue):
    set_queue(queue, "mail")
    enqueue(queue, id="a", queue="mail", lock="db")
    enqueue(queue, id="b", lock="db")
    held = claim_one(queue)
    claim(queue)
    pause(queue, "mail")
    assert not is_over(queue)
    pause(queue, "default")
    assert not is_over(queue), "a runs"
    settle(queue, held, "completed")
    assert is_over(queue)


def test_a_closed_window_and_a_used_up_rate_are_waited_for(queue):
    set_queue(queue, "mail", rate_count=1, rate_seconds=60)
    enqueue(queue, queue="mail")
    enqueue(queue, queue="mail")
    settle(queue, claim_one(queue), "completed")
    assert claim(queue) == [] and not is_over(queue)


def test_who_serves_some_queues_waits_for_these_alone(queue):
    set_queue(queue, "mail")
    set_queue(queue, "bulk")
    enqueue(queue, id="d", delay=60)
    queue.database.served = ["mail"]
    assert is_over(queue)
    enqueue(queue, id="b", queue="bulk")
    assert is_over(queue)
    held = None
    queue.database.served = ["bulk"]
    assert not is_over(queue)
    held = claim_one(queue)
    queue.database.served = ["mail"]
    assert is_over(queue), "what runs elsewhere"
    settle(queue, held, "completed")
    queue.database.served = ["!mail"]
    assert not is_over(queue)


def test_one_look_through_what_waits_for_its_time_is_enough_for_all_queues(queue):
    for number in range(20):
        set_queue(queue, "q%d" % number)
        pause(queue, "q%d" % number)
    for _ in range(50):
        enqueue(queue, queue="q7", delay=60)
    with queue.database.reading() as connection:
        asked = []
        connection.set_trace_callback(asked.append)
        assert not outlook.goes_on(connection, queue.database)
        connection.set_trace_callback(None)
    assert len([text for text in asked if "jobs_later" in text]) <= 1


# ---------------------------------------------------------------- who serves which


@pytest.mark.parametrize(
    ("served", "found"),
    [
        ([], ["a", "b", "d"]),
        (["a"], ["a"]),
        (["a", "default"], ["a", "d"]),
        (["!a"], ["b", "d"]),
        (["!a", "!b"], ["d"]),
        (["gone"], []),
        (["!gone"], ["a", "b", "d"]),
    ],
)
def test_jobs_of_served_queues_alone_are_claimed(queue, served, found):
    for name in ("a", "b"):
        set_queue(queue, name)
        enqueue(queue, id=name, queue=name)
    enqueue(queue, id="d")
    queue.database.served = served
    assert (next_due(queue) is not None) == bool(found)
    assert sorted(claimed(queue, want=9)) == found
    assert next_due(queue) is None, "what others serve keeps nobody awake"


# ---------------------------------------------------------------- gates


def test_a_closed_window_costs_no_attempt_and_is_looked_at_again_within_a_minute(queue):
    now = NOW
    opens = now + 7200
    text = windows.stored_text(windows.parse([window_at(opens)]))
    set_queue(queue, "night", windows=text)
    enqueue(queue, id="n", queue="night")
    enqueue(queue, id="other", priority=-5)
    assert claimed(queue, now, 5) == ["other"]
    assert claim(queue, now) == []
    assert rows(queue, "SELECT attempts, runs, lane FROM jobs WHERE id = 'n'") == [
        {"attempts": 0, "runs": 0, "lane": 0}
    ]
    assert now < next_due(queue, now) <= now + 60
    assert not is_over(queue)
    assert claimed(queue, opens + 1) == ["n"]


def test_what_runs_at_the_end_of_its_window_ends_by_itself_and_nothing_more_is_started(queue):
    ends = NOW + 1800
    text = windows.stored_text(windows.parse([window_at(ends - 3600)]))
    set_queue(queue, "night", windows=text)
    for number in range(2):
        enqueue(queue, id="n%d" % number, queue="night", max_retries=3)
    held = claim_one(queue)
    assert (held.id, held.timeout) == ("n0", None)
    assert claim(queue, ends) == []
    assert rows(queue, "SELECT state, cancel_requested FROM jobs WHERE id = 'n0'") == [
        {"state": "processing", "cancel_requested": 0}
    ]
    assert settle(queue, held, "completed", ends + 600)
    assert claim(queue, ends + 600) == []
    assert rows(queue, "SELECT state FROM jobs WHERE id = 'n0'") == [{"state": "completed"}]


def test_a_closed_gate_keeps_a_retry_and_a_requeued_job_waiting_and_not_what_runs(queue, seen):
    set_queue(queue, "heavy", memory_least=1 << 30)
    enqueue(queue, id="requeued", queue="heavy", max_retries=0, priority=9)
    enqueue(queue, id="tried", queue="heavy", priority=5)
    enqueue(queue, id="runs", queue="heavy")
    next_due(queue)
    held = [claim_one(queue) for _ in range(3)]
    settle(queue, held[0], "failed")
    settle(queue, held[1], "failed")
    queue.requeue(["requeued"], ["dead"], NOW)
    seen(memory=1)
    next_due(queue, NOW + 60)
    assert claim(queue, NOW + 60, 9) == []
    found = rows(queue, "SELECT id, attempts, runs FROM jobs WHERE state IN ('pending', 'failed') ORDER BY id")
    assert found == [{"id": "requeued", "attempts": 0, "runs": 1}, {"id": "tried", "attempts": 1, "runs": 1}]
    assert settle(queue, held[2], "completed", NOW + 61)
    seen(memory=1 << 40)
    next_due(queue, NOW + 120)
    assert [claimed(queue, NOW + 120) for _ in range(2)] == [["requeued"], ["tried"]]


def window_at(moment):
    import time

    begin = time.localtime(moment)
    end = time.localtime(moment + 3600)
    return "%02d:%02d-%02d:%02d" % (begin.tm_hour, begin.tm_min, end.tm_hour, end.tm_min)


@pytest.mark.parametrize(
    ("column", "least", "shut"),
    [("load_most", 4.0, {"load": 6.2}), ("memory_least", 1 << 30, {"memory": 1}), ("free_least", 1 << 30, {"free": 1})],
)
def test_a_gate_closes_and_opens_its_queue_alone(queue, seen, column, least, shut):
    set_queue(queue, "heavy", **{column: least})
    for number in range(3):
        enqueue(queue, id="h%d" % number, queue="heavy")
    seen(**shut)
    enqueue(queue, id="other", priority=-1)
    assert next_due(queue) == NOW
    assert claimed(queue, want=9) == ["other"]
    assert next_due(queue) == NOW + gates.LOOK_AGAIN
    assert claim(queue) == []
    assert {row["attempts"] for row in rows(queue, "SELECT attempts FROM jobs WHERE id LIKE 'h%'")} == {0}
    seen(load=0.0, memory=1 << 40, free=1 << 40)
    assert next_due(queue, NOW + 11) == NOW + 11
    assert claimed(queue, NOW + 11, 9) == ["h0"], "one, to be started now"


def test_within_a_transaction_the_host_is_not_asked(queue, seen, monkeypatch):
    set_queue(queue, "heavy", free_least=1)
    enqueue(queue, id="h", queue="heavy")
    asked = []
    monkeypatch.setattr(load, "free_bytes", lambda path: asked.append(path) or 1 << 40)
    assert claim(queue) == [] and asked == [], "a disk that hangs would hold all others up"
    assert next_due(queue) == NOW and len(asked) == 1
    assert claimed(queue) == ["h"] and len(asked) == 1


def test_what_the_host_cannot_tell_shuts_the_gate(queue, seen):
    set_queue(queue, "heavy", memory_least=1)
    enqueue(queue, queue="heavy")
    seen(memory=None)
    assert next_due(queue) == NOW + gates.LOOK_AGAIN
    assert queues.shown(queue.database, NOW)[1]["closed"].endswith("cannot read how much memory is available")


def test_under_a_limit_of_load_one_starts_in_a_while_for_all_workers_together(queue, seen):
    set_queue(queue, "heavy", load_most=4.0)
    for number in range(3):
        enqueue(queue, id="h%d" % number, queue="heavy")
    next_due(queue)
    assert claimed(queue) == ["h0"]
    assert claimed(queue) == []
    assert next_due(queue, NOW + 1) == pytest.approx(NOW + gates.START_SECONDS, abs=1)
    gating.SEEN.clear()
    next_due(queue, NOW + 16)
    assert claimed(queue, NOW + 16) == ["h1"]


def test_a_worker_that_begins_anew_knows_when_the_last_one_was_started_under_a_limit_of_load(queue, seen):
    set_queue(queue, "heavy", load_most=4.0)
    for number in range(2):
        enqueue(queue, id="h%d" % number, queue="heavy")
    next_due(queue)
    settle(queue, claim_one(queue), "completed", NOW + 1)
    again = Queue(queue.path)
    gating.SEEN.clear()
    assert next_due(again, NOW + 5) == pytest.approx(NOW + gates.START_SECONDS, abs=1)
    assert claim(again, NOW + 5) == []
    next_due(again, NOW + 16)
    assert claimed(again, NOW + 16) == ["h1"]


# ---------------------------------------------------------------- made, changed, removed


def test_no_more_than_sixty_four(queue):
    for number in range(queues.MOST_QUEUES - 1):
        set_queue(queue, "q%d" % number)
    with pytest.raises(QueueError, match="there are 64 queues"):
        set_queue(queue, "one-more")
    set_queue(queue, "q0", running_most=3)
    queues.remove(queue.database, "q1")
    set_queue(queue, "one-more")


@pytest.mark.parametrize(
    "state", ["pending", "failed", "processing", "completed", "dead", "cancelled", "held", "parked"]
)
def test_a_queue_with_jobs_is_not_removed(queue, state):
    set_queue(queue, "mail")
    if state == "parked":
        enqueue(queue, id="holder", lock="db", priority=1)
        claim(queue)
    enqueue(queue, id="m", queue="mail", hold=state == "held", lock="db", max_retries=int(state != "dead"))
    if state == "cancelled":
        queue.cancel(["m"], NOW)
    elif state != "held":
        held = claim_one(queue)
        if state not in ("processing", "parked", "pending"):
            settle(queue, held, {"dead": "failed"}.get(state, state))
    with pytest.raises(QueueError, match="queue mail still has jobs, such as m"):
        queues.remove(queue.database, "mail")
    assert "mail" in queues.ids(queue.database)


def test_the_number_of_a_removed_queue_is_never_given_out_again(queue):
    set_queue(queue, "mail", rate_count=2, rate_seconds=60)
    number = queues.ids(queue.database)["mail"]
    queues.remove(queue.database, "mail")
    set_queue(queue, "other")
    assert queues.ids(queue.database)["other"] > number
    with pytest.raises(BadInput, match="unknown queue .mail"):
        queues.remove(queue.database, "mail")
    with pytest.raises(BadInput, match="default cannot be removed"):
        queues.remove(queue.database, "default")


def test_a_job_that_was_checked_before_its_queue_was_removed_is_refused(queue):
    set_queue(queue, "mail")
    maker = JobMaker(1, "/", 0o022, NOW)
    number = queues.ids(queue.database)["mail"]
    maker.queue_of = lambda name: number
    row = maker.row({"command": "true", "queue": "mail"})
    queues.remove(queue.database, "mail")
    with pytest.raises(QueueError, match="removed meanwhile"):
        queue.enqueue(row)
    with pytest.raises(QueueError, match="removed meanwhile"):
        list(queue.enqueue_each([(1, row)]))
    assert rows(queue) == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE queues SET running_most = 'many' WHERE name = 'mail'",
        "UPDATE queues SET running_most = x'00' WHERE name = 'mail'",
        "UPDATE queues SET windows = 'never' WHERE name = 'mail'",
        "UPDATE queues SET load_most = 'low' WHERE name = 'mail'",
        "UPDATE queues SET free_least = 'much', free_path = 7 WHERE name = 'mail'",
        "UPDATE queues SET name = x'ff00' WHERE name = 'mail'",
        "UPDATE queues SET last_start_at = 'x', load_most = 1e9 WHERE name = 'mail'",
        "DELETE FROM queues WHERE name = 'mail'",
        "UPDATE jobs SET queue = 'mail' WHERE id = 'm'",
    ],
)
def test_a_row_that_somebody_has_changed_keeps_nothing_else_from_running(queue, change):
    set_queue(queue, "mail")
    enqueue(queue, id="m", queue="mail")
    enqueue(queue, id="other", priority=-1)
    with raw(queue) as connection:
        connection.execute(change)
    next_due(queue)
    assert "other" in claimed(queue) + claimed(queue)
    queues.shown(queue.database, NOW)
    is_over(queue)
    health.due_work(queue.database, NOW, NOW - 9)


def test_the_indexes_serve_what_is_asked_again_and_again(queue):
    asked = [
        (outlook.ANY_DUE, (0,)),
        (outlook.ANY_PARKED % "?", (0,)),
        (eligible.RUNNING, ()),
    ]
    with raw(queue) as connection:
        connection.row_factory = sqlite3.Row
        for statement, values in asked:
            plan = str([tuple(row) for row in connection.execute("EXPLAIN QUERY PLAN " + statement, values)])
            assert "INDEX" in plan, plan
