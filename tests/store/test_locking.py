"""Locks: never two of one key, and never a free place beside a job that waits for it."""

import json
import random

import pytest
from helpers.marks import posix_only
from helpers.processes import all_at_once
from helpers.queue import NOW, SETTINGS, claim, claim_one, enqueue, rows, set_queue, settle

from queuectl_lib.errors import QueueError
from queuectl_lib.jobs import attempts
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.changes import Change
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import editing, holding, lock_table, locking, outlook, placing, pruning, queues


def lane(queue, identifier):
    return rows(queue, "SELECT lane FROM jobs WHERE id = '%s'" % identifier)[0]["lane"]


def parked(queue):
    return [row["id"] for row in rows(queue, "SELECT id FROM jobs WHERE lane = 4 ORDER BY seq")]


def claimed(queue, now=NOW, want=1):
    return [one.id for one in claim(queue, now, want)]


def nothing_free_is_parked(queue):
    """No job is parked for a lock of which a place is free, but for those of which enough are due."""
    for row in lock_table.shown(queue.database):
        if row["parked"]:
            sql = "SELECT queue, sum(lane = 0) AS due, sum(lane = 4) AS parked FROM jobs WHERE lock_key = '%s'"
            sql += " AND lane IS NOT NULL GROUP BY queue"
            free = row["most"] - row["running"]
            for each in rows(queue, sql % row["lock"]):
                assert each["due"] >= min(free, each["parked"] + each["due"]) or free <= 0, (row, each)


# ---------------------------------------------------------------- taken and free


def test_two_with_one_lock_do_not_run_at_once_and_others_go_by(queue):
    enqueue(queue, id="first", lock="db")
    enqueue(queue, id="second", lock="db")
    enqueue(queue, id="other", lock="web")
    enqueue(queue, id="free")
    held = [claim_one(queue) for _ in range(3)]
    assert [one.id for one in held] == ["first", "other", "free"]
    assert claim(queue) == [] and parked(queue) == ["second"]
    settle(queue, held[0], "completed")
    assert claimed(queue) == ["second"]


def test_a_locked_job_is_claimed_first_or_not_at_all(queue):
    enqueue(queue, id="locked", lock="db")
    for number in range(3):
        enqueue(queue, id="j%d" % number)
    enqueue(queue, id="locked-too", lock="web")
    enqueue(queue, id="behind")
    assert claimed(queue, want=32) == ["locked", "j0", "j1", "j2"]
    assert claimed(queue, want=32) == ["locked-too", "behind"]


def test_no_claim_takes_two_of_one_lock(queue):
    for number in range(4):
        enqueue(queue, id="j%d" % number, lock="db")
    lock_table.change(queue.database, "db", 1)
    assert claimed(queue, want=32) == ["j0"]
    assert claimed(queue, want=32) == []


@pytest.mark.parametrize("kind", ["completed", "failed", "timed out", "lost", "cancelled", "given back"])
def test_however_it_ends_the_lock_is_free(queue, kind):
    enqueue(queue, id="holder", lock="db", max_retries=0)
    enqueue(queue, id="next", lock="db", priority=1, delay=1)
    held = claim_one(queue)
    assert claimed(queue, NOW + 2) == [] and parked(queue) == ["next"]
    settle(queue, held, kind, NOW + 3)
    assert claimed(queue, NOW + 3) == ["next"]


def test_a_claim_that_is_given_back_unstarted_gives_up_its_lock(queue):
    enqueue(queue, id="holder", lock="db")
    enqueue(queue, id="next", lock="db", priority=1, delay=1)
    held = claim_one(queue)
    claim(queue, NOW + 2)
    queue.exchange("w-1", [attempts.unstarted(held)], 0, NOW + 3, SETTINGS)
    assert claimed(queue, NOW + 3) == ["next"], "it is the better one"
    assert claimed(queue, NOW + 3) == [] and parked(queue) == ["holder"]


def test_between_two_attempts_the_lock_is_free_and_the_retry_waits_its_turn(queue):
    enqueue(queue, id="tried", lock="db")
    enqueue(queue, id="next", lock="db")
    held = claim_one(queue)
    claim(queue)
    settle(queue, held, "failed", NOW)
    held = claim_one(queue, NOW)
    assert held.id == "next"
    assert claimed(queue, NOW + 60) == [] and parked(queue) == ["tried"]
    settle(queue, held, "completed", NOW + 61)
    assert claimed(queue, NOW + 61) == ["tried"]


def test_a_late_worker_that_lost_its_claim_frees_nothing(queue):
    enqueue(queue, id="job", lock="db", max_retries=5)
    enqueue(queue, id="next", lock="db")
    late = claim_one(queue)
    claim(queue)
    settle(queue, late, "lost", NOW)
    held = claim_one(queue)
    assert held.id == "next"
    claim(queue, NOW + 60)
    assert not settle(queue, late, "completed", NOW + 60)
    assert claimed(queue, NOW + 61) == [], "next runs still"


def test_an_adopted_job_holds_its_lock(queue):
    enqueue(queue, id="job", lock="db")
    enqueue(queue, id="next", lock="db")
    held = claim_one(queue)
    assert queue.adopt(held, "w-1", "w-2", NOW)
    assert claimed(queue) == [] and parked(queue) == ["next"]


def test_a_lock_is_taken_until_the_fate_of_its_job_is_decided_however_long_that_takes(queue):
    enqueue(queue, id="job", lock="db", max_retries=0)
    enqueue(queue, id="next", lock="db")
    held = claim_one(queue)
    for later in (60, 86400, 10 * 366 * 86400):
        assert claim(queue, NOW + later, worker="w-2") == [], "w-1 may be dead, but nobody has proved it"
        assert locking.free_some(queue.database) == 0
    settle(queue, held, "lost", NOW)
    assert claimed(queue) == ["next"]


def test_who_records_an_end_takes_what_was_parked_for_it_in_the_same_transaction(queue):
    enqueue(queue, id="job", lock="db")
    enqueue(queue, id="next", lock="db")
    held = claim_one(queue)
    assert claim(queue) == [] and parked(queue) == ["next"]
    refused, claims, _ = queue.exchange("w-1", [Outcome(held, "completed", NOW)], 1, NOW, SETTINGS)
    assert (refused, [one.id for one in claims]) == ([], ["next"])


def test_a_cancelled_job_holds_its_lock_until_it_has_ended(queue):
    enqueue(queue, id="job", lock="db")
    enqueue(queue, id="next", lock="db")
    held = claim_one(queue)
    queue.cancel(["job"], NOW)
    assert claimed(queue) == []
    settle(queue, held, "cancelled")
    assert claimed(queue) == ["next"]


# ---------------------------------------------------------------- order


def test_the_best_of_the_parked_goes_next_and_a_better_one_that_comes_before_it(queue):
    enqueue(queue, id="holder", lock="db", priority=99)
    held = claim_one(queue)
    for identifier, priority, second in [("low", -1, -9), ("late", 0, -1), ("early", 0, -5), ("high", 5, 0)]:
        enqueue(queue, id=identifier, lock="db", priority=priority, run_at="2027-01-15T07:59:%02dZ" % (60 + second - 1))
    assert claim(queue) == [] and len(parked(queue)) == 4
    found = []
    for number in range(5):
        if number == 2:
            enqueue(queue, id="better", lock="db", priority=9)
        settle(queue, held, "completed")
        held = claim_one(queue)
        found.append(held.id)
    assert found == ["high", "early", "better", "late", "low"]


@pytest.mark.parametrize("place", ["parked", "due"])
def test_the_best_goes_next_whatever_its_queue(queue, place):
    set_queue(queue, "mail")
    enqueue(queue, id="holder", lock="db", priority=99)
    held = claim_one(queue)
    enqueue(queue, id="worse", lock="db", priority=1)
    if place == "due":
        assert claim(queue) == [] and parked(queue) == ["worse"]
    enqueue(queue, id="better", queue="mail", lock="db", priority=2)
    if place == "parked":
        assert claim(queue) == [] and parked(queue) == ["worse", "better"]
    found = []
    for _ in range(2):
        settle(queue, held, "completed")
        held = claim_one(queue)
        found.append(held.id)
        assert claim(queue) == []
    assert found == ["better", "worse"]


@pytest.mark.parametrize("seed", range(3))
def test_one_after_the_other_they_start_in_the_order_of_the_contract(queue, seed):
    chance = random.Random(seed)
    wanted = []
    for number in range(30):
        priority = chance.randrange(3)
        enqueue(queue, id="j%d" % number, lock="db", priority=priority)
        wanted.append((-priority, number))
    found = []
    while True:
        held = claim_one(queue)
        if held is None:
            break
        claim(queue)  # somebody else tries, and parks
        found.append(held.id)
        settle(queue, held, "completed")
    assert found == ["j%d" % number for _, number in sorted(wanted)]


def test_two_hundred_are_parked_in_one_claim_and_the_rest_by_the_next(queue):
    enqueue(queue, id="holder", lock="db", priority=1)
    claim(queue)
    maker = JobMaker(1, "/", 0o022, NOW)
    list(queue.enqueue_each((line, maker.row({"command": "true", "lock": "db"})) for line in range(450)))
    enqueue(queue, id="free")
    counts = []
    for _ in range(3):
        refused, held, more = queue.exchange("w-1", [], 1, NOW, SETTINGS)
        counts.append((len(parked(queue)), [one.id for one in held], more))
    assert counts == [(200, [], True), (400, [], True), (450, ["free"], False)]


# ---------------------------------------------------------------- of each queue


def test_the_best_of_each_queue_is_freed_for_that_of_one_may_not_start(queue):
    for name in ("a", "b", "c"):
        set_queue(queue, name)
    enqueue(queue, id="holder", lock="db", priority=99)
    held = claim_one(queue)
    for name, priority in (("a", 9), ("b", 5), ("c", 1)):
        for number in range(2):
            enqueue(queue, id="%s%d" % (name, number), queue=name, lock="db", priority=priority)
    claim(queue)
    assert len(parked(queue)) == 6
    queues.pause(queue.database, ["a"], None, None, NOW)
    set_queue(queue, "b", running_most=1)
    enqueue(queue, id="fills-b", queue="b", priority=100)
    assert claimed(queue) == ["fills-b"]
    settle(queue, held, "completed")
    assert parked(queue) == ["a1", "b1", "c1"]
    assert claimed(queue) == ["c0"], "a is paused, b is full"


def test_what_is_freed_in_a_paused_queue_is_parked_again_when_it_is_resumed(queue):
    set_queue(queue, "a")
    enqueue(queue, id="holder", lock="db", priority=99)
    held = claim_one(queue)
    enqueue(queue, id="a", queue="a", lock="db", priority=9)
    enqueue(queue, id="d", lock="db")
    claim(queue)
    queues.pause(queue.database, ["a"], None, None, NOW)
    settle(queue, held, "completed")
    held = claim_one(queue)
    assert (held.id, lane(queue, "a")) == ("d", 0)
    queues.resume(queue.database, ["a"])
    assert claim(queue) == [] and parked(queue) == ["a"]
    settle(queue, held, "completed")
    assert claimed(queue) == ["a"]


# ---------------------------------------------------------------- how many


def test_as_many_run_as_lock_set_says(queue):
    lock_table.change(queue.database, "db", 3)
    for number in range(5):
        enqueue(queue, id="j%d" % number, lock="db")
    assert [claimed(queue) for _ in range(4)] == [["j0"], ["j1"], ["j2"], []]


def test_raised_those_that_fit_are_due_in_the_same_transaction(queue):
    for number in range(6):
        enqueue(queue, id="j%d" % number, lock="db")
    claim(queue)
    claim(queue)
    assert len(parked(queue)) == 5
    lock_table.change(queue.database, "db", 3)
    assert parked(queue) == ["j3", "j4", "j5"]
    assert [claimed(queue) for _ in range(3)] == [["j1"], ["j2"], []]
    lock_table.change(queue.database, "db", None)
    assert lock_table.shown(queue.database)[0]["most"] == 1


def test_lowered_nothing_is_ended_and_nothing_starts_until_it_fits(queue):
    lock_table.change(queue.database, "db", 3)
    for number in range(6):
        enqueue(queue, id="j%d" % number, lock="db")
    held = [claim_one(queue) for _ in range(3)]
    lock_table.change(queue.database, "db", 1)
    for one in held[:2]:
        settle(queue, one, "completed")
        assert claim(queue) == []
    settle(queue, held[2], "completed")
    assert [claimed(queue) for _ in range(2)] == [["j3"], []]


def test_a_huge_number_frees_no_more_at_once_than_a_transaction_bears_and_all_in_the_end(queue):
    enqueue(queue, id="holder", lock="db", priority=1)
    claim(queue)
    maker = JobMaker(1, "/", 0o022, NOW)
    list(queue.enqueue_each((line, maker.row({"command": "true", "lock": "db"})) for line in range(1200)))
    while claim_one(queue) or len(parked(queue)) < 1200:
        pass
    lock_table.change(queue.database, "db", 1000000)
    assert len(parked(queue)) == 1200 - locking.FREED_AT_ONCE
    done = 0
    while True:
        held = claim_one(queue)
        if held is None:
            break
        done += 1
        settle(queue, held, "completed")
        if done > 5:
            break
    assert len(parked(queue)) < 1200 - locking.FREED_AT_ONCE


def test_ten_thousand_numbers_can_be_set_and_then_changed(queue, monkeypatch):
    monkeypatch.setattr(lock_table, "MOST_LOCKS", 2)
    lock_table.change(queue.database, "a", 2)
    lock_table.change(queue.database, "b", 2)
    with pytest.raises(QueueError, match="2 locks are set"):
        lock_table.change(queue.database, "c", 2)
    lock_table.change(queue.database, "a", 5)
    lock_table.change(queue.database, "c", 1)
    assert [(row["lock"], row["most"]) for row in lock_table.shown(queue.database)] == [("a", 5), ("b", 2)]


# ---------------------------------------------------------------- what leaves its turn without a claim


def edited(queue, identifier, /, **asked):
    emptied = [key for key, value in asked.items() if value is None]
    maker = JobMaker(1, "/", 0o022, NOW)
    maker.queue_of = lambda name: queues.ids(queue.database)[name]
    change = Change(maker, {key: value for key, value in asked.items() if value is not None}, emptied)
    editing.edit(queue.database, [identifier], change, NOW)


LEAVINGS = {
    "cancel": lambda queue: queue.cancel(["next"], NOW),
    "hold": lambda queue: holding.hold(queue.database, ["next"], NOW),
    "edit --lock": lambda queue: edited(queue, "next", lock="other"),
    "edit --lock none": lambda queue: edited(queue, "next", lock=None),
    "edit --run-at": lambda queue: edited(queue, "next", run_at="2031-01-01"),
    "edit --queue of a paused one": lambda queue: edited(queue, "next", queue="paused"),
    "edit --priority": lambda queue: edited(queue, "next", priority=-9),
}


@pytest.mark.parametrize("how", sorted(LEAVINGS))
def test_who_leaves_its_turn_without_a_claim_lets_the_next_one_have_it(queue, how):
    set_queue(queue, "paused")
    queues.pause(queue.database, ["paused"], None, None, NOW)
    enqueue(queue, id="holder", lock="db", priority=9)
    enqueue(queue, id="next", lock="db", priority=5)
    enqueue(queue, id="after", lock="db")
    held = claim_one(queue)
    claim(queue)
    settle(queue, held, "completed")
    assert (lane(queue, "next"), lane(queue, "after")) == (0, 4)
    LEAVINGS[how](queue)
    found = claimed(queue) + claimed(queue)
    assert "after" in found, "nobody runs with the lock"
    assert placing.misplaced(queue.database, "2027-01-15T08:00:00.000000Z") == []


def test_a_better_lock_or_none_lets_a_parked_job_start_at_once(queue):
    for number in range(3):
        enqueue(queue, id="j%d" % number, lock="db")
    claim(queue)
    claim(queue)
    assert parked(queue) == ["j1", "j2"]
    edited(queue, "j2", lock=None)
    assert claimed(queue) == ["j2"]
    edited(queue, "j1", lock="web")
    assert claimed(queue) == ["j1"]


def test_what_is_parked_can_be_cancelled_and_held_and_comes_back_to_its_place(queue):
    for number in range(4):
        enqueue(queue, id="j%d" % number, lock="db")
    held = claim_one(queue)
    claim(queue)
    queue.cancel(["j1"], NOW)
    holding.hold(queue.database, ["j2"], NOW)
    settle(queue, held, "completed")
    held = claim_one(queue)
    assert held.id == "j3"
    holding.release(queue.database, ["j2"], NOW)
    assert claim(queue) == [] and parked(queue) == ["j2"]
    settle(queue, held, "completed")
    assert claimed(queue) == ["j2"]
    queue.requeue(["j1"], ["cancelled"], NOW)
    assert claim(queue) == [] and parked(queue) == ["j1"]


def test_what_cannot_be_read_gives_up_the_lock_that_it_had_its_turn_for(queue):
    enqueue(queue, id="holder", lock="db", priority=9)
    enqueue(queue, id="next", lock="db", priority=5, max_retries=0)
    enqueue(queue, id="after", lock="db")
    held = claim_one(queue)
    claim(queue)
    settle(queue, held, "completed")
    with queue.database.writing() as connection:
        connection.execute("UPDATE jobs SET env = 'no JSON' WHERE id = 'next'")
    found = claimed(queue) + claimed(queue)
    assert found == ["after"]
    assert rows(queue, "SELECT state FROM jobs WHERE id = 'next'")[0]["state"] == "dead"


def test_rows_deleted_by_hand_are_made_up_for(queue):
    for number in range(3):
        enqueue(queue, id="j%d" % number, lock="db")
    claim(queue)
    claim(queue)
    assert locking.free_some(queue.database) == 0, "it is held"
    with queue.database.writing() as connection:
        connection.execute("DELETE FROM jobs WHERE id = 'j0'")
    assert claim(queue) == []
    assert locking.free_some(queue.database) == 1
    assert claimed(queue) == ["j1"]


def test_where_nothing_is_parked_one_row_is_looked_for(queue):
    with queue.database.reading() as connection:
        seen = []
        connection.set_trace_callback(seen.append)
        locking.unheld_keys(connection)
        connection.set_trace_callback(None)
        plan = connection.execute("EXPLAIN QUERY PLAN " + locking.NEXT_KEY, ("",)).fetchall()
    assert len([text for text in seen if text.startswith("SELECT")]) <= 1, "an SQLite before 3.14 tells nothing here"
    assert "jobs_aside" in str([tuple(row) for row in plan])


def test_a_prune_of_what_held_a_lock_frees_nothing_that_runs(queue):
    enqueue(queue, id="done", lock="db")
    settle(queue, claim_one(queue), "completed")
    enqueue(queue, id="runs", lock="db")
    enqueue(queue, id="waits", lock="db")
    claim(queue)
    claim(queue)
    assert pruning.prune(queue.database, ["completed"], NOW + 1, lambda count: None) == 1
    assert claim(queue) == [] and parked(queue) == ["waits"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE jobs SET lock_key = x'00ff' WHERE id = 'j1'",
        "UPDATE jobs SET lock_key = 7 WHERE id = 'j1'",
        "INSERT INTO locks VALUES ('db', 'many')",
        "INSERT INTO locks VALUES ('db', -5)",
        "INSERT INTO locks VALUES (x'00', 3)",
    ],
)
def test_a_row_that_somebody_has_changed_keeps_nothing_else_from_running(queue, change):
    for number in range(3):
        enqueue(queue, id="j%d" % number, lock="db")
    enqueue(queue, id="other", priority=-9)
    with queue.database.writing() as connection:
        connection.execute(change)
    found = []
    for _ in range(6):
        found += claimed(queue)
    assert "other" in found
    lock_table.shown(queue.database)
    locking.free_some(queue.database)
    outlook.under_way(queue.database, NOW)


# ---------------------------------------------------------------- many at once

CLAIMER = """
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
from queuectl_lib import settings
from queuectl_lib.errors import HostError
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.settings import Settings
from queuectl_lib.store import outlook
from storage import Queue

queue, ledger, worker = Queue(sys.argv[2]), sys.argv[3], "w-%d" % os.getpid()
SETTINGS = Settings(**dict(settings.SETTING_DEFAULTS, backoff_base=0))
out = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def note(kind, held):
    os.write(out, (json.dumps([time.monotonic(), kind, held.id]) + "\\n").encode())

print("ready", flush=True)
sys.stdin.readline()
ended = []
while ended or not outlook.nothing_left(queue.database):
    for outcome in ended:
        note("end", outcome.claim)
    _, claims, _ = queue.exchange(worker, ended, 8, time.time(), SETTINGS)
    ended = []
    for held in claims[:1]:
        note("start", held)
        ended.append(Outcome(held, "completed" if held.number > 1 or held.seq % 5 else "failed", time.time(), None))
    for held in claims[1:]:
        one = Outcome(held, "given back", time.time(), None)
        one.unstarted = True
        ended.append(one)
        assert held.lock_key is None, "claimed ahead with a lock"
    ended = [one for one in ended if one.kind != "given back"] + [one for one in ended if one.kind == "given back"]
    if not claims:
        time.sleep(0.002)
"""


@posix_only
def test_eight_that_claim_never_exceed_a_lock_or_a_limit_and_leave_nothing(queue, tmp_path):
    lock_table.change(queue.database, "two", 2)
    set_queue(queue, "mail", running_most=3)
    set_queue(queue, "bulk")
    maker = JobMaker(3, "/", 0o022, NOW - 86400 * 365)
    maker.queue_of = lambda name: queues.ids(queue.database)[name]
    chance = random.Random(7)
    jobs = {}
    for number in range(240):
        fields = {"command": "true", "id": "j%d" % number, "queue": chance.choice(["default", "mail", "bulk"])}
        fields["priority"] = chance.randrange(3)
        lock = chance.choice([None, "one", "two", "web"])
        if lock:
            fields["lock"] = lock
        jobs[fields["id"]] = fields
    list(queue.enqueue_each((name, maker.row(fields)) for name, fields in jobs.items()))
    ledger = str(tmp_path / "ledger")
    for code, _, error in all_at_once(CLAIMER, 8, queue.path, ledger):
        assert (code, error) == (0, "")
    with open(ledger) as file:
        events = [json.loads(line) for line in file]
    # A start is noted after its claim, an end before it is recorded: so what the ledger shows at once was at once.
    running = set()
    most = {"one": 1, "two": 2, "web": 1}
    for _, kind, identifier in events:
        if kind == "start":
            running.add(identifier)
        else:
            running.discard(identifier)
        for key, number in most.items():
            assert sum(1 for one in running if jobs[one].get("lock") == key) <= number
        assert sum(1 for one in running if jobs[one]["queue"] == "mail") <= 3
    states = rows(queue, "SELECT state, count(*) AS n FROM jobs GROUP BY state")
    assert [(row["state"], row["n"]) for row in states] == [("completed", 240)]
