"""An ended attempt as programs are told of it, and the numbers by which they go on from where they were."""

import json

from helpers.queue import NOW, SETTINGS, claim, claim_one, enqueue, raw, requeue_dead, settle

from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.store import ended, events

KEYS = (
    *("seq", "at", "id", "name", "kind", "attempt", "outcome", "state", "exit_code", "signal", "error", "signature"),
    *("duration", "waited", "cpu", "peak_rss", "worker", "result"),
)


def records(queue, number=0, limit=100):
    return [events.record(row) for row in ended.after(queue.database, number, limit)]


def test_a_record_tells_of_one_attempt_by_fixed_keys(queue):
    enqueue(queue, 0, id="one", name="kind", command="true", now=NOW - 30)
    held = claim_one(queue, NOW)
    outcome = Outcome(held, "completed", NOW + 2.5)
    outcome.started, outcome.exit_code, outcome.cpu, outcome.peak_rss = NOW + 0.5, 0, 0.25, 7340032
    outcome.note = json.dumps({"result": "42 rows"})
    queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)
    (record,) = records(queue)
    assert tuple(record) == KEYS
    assert record == {
        "seq": 1,
        "at": "2027-01-15T08:00:02.500000Z",
        "id": "one",
        "name": "kind",
        "kind": "kind",
        "attempt": 1,
        "outcome": "completed",
        "state": "completed",
        "exit_code": 0,
        "signal": None,
        "error": None,
        "signature": None,
        "duration": 2.0,
        "waited": 30.5,
        "cpu": 0.25,
        "peak_rss": 7340032,
        "worker": "w-1",
        "result": "42 rows",
    }


def test_state_is_what_that_end_made_of_the_job_whatever_came_later(queue):
    enqueue(queue, 1, id="job", command="make x")
    settle(queue, claim_one(queue, NOW), "failed", NOW, exit_code=2, error="exit code 2")
    settle(queue, claim_one(queue, NOW + 10), "timed out", NOW + 10)
    requeue_dead(queue, NOW + 11)
    settle(queue, claim_one(queue, NOW + 12), "given back", NOW + 12)
    settle(queue, claim_one(queue, NOW + 13), "completed", NOW + 13)
    found = [(one["seq"], one["attempt"], one["outcome"], one["state"]) for one in records(queue)]
    assert found == [
        *((1, 1, "failed", "failed"), (2, 2, "timed out", "dead"), (3, 3, "given back", "pending")),
        (4, 4, "completed", "completed"),
    ]
    first, second, third, last = (one["signature"] for one in records(queue))
    assert first and second and first != second and third is last is None, "each failure tells its own group"


def test_an_attempt_that_failed_after_a_cancel_was_asked_for_left_its_job_cancelled(queue):
    enqueue(queue, 3, id="job")
    held = claim_one(queue, NOW)
    queue.cancel(["job"], NOW)
    settle(queue, held, "failed", NOW + 1)
    assert [(one["outcome"], one["state"]) for one in records(queue)] == [("failed", "cancelled")]


def test_the_mark_of_an_end_is_no_word_of_the_job_itself(queue, tmp_path):
    enqueue(queue, 0, id="job")
    held = claim_one(queue, NOW)
    outcome = Outcome(held, "failed", NOW)
    outcome.note = json.dumps({"result": "half"})
    queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)
    (record,) = records(queue)
    assert (record["state"], record["result"]) == ("dead", "half")


def test_a_reader_goes_on_behind_the_number_it_saw_last_and_takes_as_many_as_it_wants(queue):
    for number in range(5):
        enqueue(queue, 0, id="j%d" % number)
    for held in claim(queue, NOW, 5):
        settle(queue, held, "completed", NOW)
    assert [one["seq"] for one in records(queue, 2)] == [3, 4, 5]
    assert [one["seq"] for one in records(queue, 2, 2)] == [3, 4]
    assert records(queue, 5) == [] and ended.look(queue.database, 5, 1) == ([], 5)


def test_what_somebody_has_damaged_is_told_and_hides_nothing(queue):
    for number in range(3):
        enqueue(queue, 0, id="j%d" % number)
    for held in claim(queue, NOW, 3):
        settle(queue, held, "failed", NOW)
    with raw(queue) as opened:
        opened.execute("UPDATE attempts SET note = '[[[', started_at = x'ff', cpu = 'much', error = 7 WHERE ended = 1")
        opened.execute("UPDATE attempts SET outcome = x'ff00', number = 'x', note = '{\"end\": 3}' WHERE ended = 2")
        opened.execute("UPDATE attempts SET job = 99 WHERE ended = 3")
        opened.execute("UPDATE jobs SET name = 3, command = x'c3', created_at = 1.5, run_at = x'00' WHERE id = 'j0'")
        opened.execute("UPDATE counts SET ended = 'many' WHERE state = 'completed'")
    found = records(queue)
    assert [(one["seq"], one["id"]) for one in found] == [(1, "j0"), (2, "j1"), (3, None)]
    assert ended.look(queue.database, 0, 9)[1] == 3
    assert all(tuple(one) == KEYS for one in found)
    json.dumps(found)
