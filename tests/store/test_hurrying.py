"""A requeue of what waits for a retry: no arrow, but it is due at once, with the attempts that it has had."""

import pytest
from helpers.queue import NOW, claim, claim_one, enqueue, everything, raw, rows, settle

from queuectl_lib import times
from queuectl_lib.errors import QueueError
from queuectl_lib.jobs import states
from queuectl_lib.store import holding, placing, requeuing, selecting
from queuectl_lib.store.selecting import Selection

LATER = NOW + 0.5


def failed(queue, identifier, **fields):
    """A job whose first attempt has failed, to be tried again 2 s later."""
    enqueue(queue, id=identifier, max_retries=3, **fields)
    assert settle(queue, claim_one(queue), "failed")
    return identifier


def hurry(queue, *ids):
    return queue.requeue(ids, states.RUN_AGAIN, LATER)


def row(queue, identifier):
    return next(job for job in rows(queue) if job["id"] == identifier)


def test_it_is_due_at_once_and_keeps_its_attempts(queue):
    failed(queue, "job", priority=3)
    before = row(queue, "job")
    assert claim(queue, LATER) == []
    hurry(queue, "job")
    changed = {key: value for key, value in row(queue, "job").items() if value != before[key]}
    assert changed == {"lane": 0, "next_run_at": times.utc_text(LATER), "updated_at": times.utc_text(LATER)}
    assert placing.misplaced(queue.database, times.utc_text(LATER)) == []
    assert claim_one(queue, LATER).attempts == 2


def test_what_is_due_already_keeps_its_place(queue):
    for name in ("first", "second"):
        failed(queue, name)
    before = everything(queue)
    queue.requeue(["first"], states.RUN_AGAIN, NOW + 60)
    assert everything(queue) == before
    assert [one.id for one in claim(queue, NOW + 60, want=2)] == ["first", "second"]


def test_it_goes_with_dead_and_cancelled_ones_and_holds_its_key_itself(queue):
    failed(queue, "job", unique="k")
    enqueue(queue, id="out")
    queue.cancel(["out"], NOW)
    hurry(queue, "job", "out")
    assert (row(queue, "job")["attempts"], row(queue, "job")["state"]) == (1, "failed")
    assert row(queue, "out")["state"] == "pending"
    with pytest.raises(QueueError, match="job out is pending, not dead or cancelled or failed: nothing was requeued"):
        hurry(queue, "job", "out")


def test_what_a_person_holds_is_refused_with_what_to_type(queue):
    failed(queue, "held")
    failed(queue, "job")
    holding.hold(queue.database, ["held"], NOW)
    before = everything(queue)
    with pytest.raises(QueueError, match="job held is held: `release held` lets it run again: nothing was requeued"):
        hurry(queue, "job", "held")
    assert everything(queue) == before


def test_of_many_those_that_are_held_are_left_and_counted(queue):
    failed(queue, "held")
    failed(queue, "job")
    holding.hold(queue.database, ["held"], NOW)
    verb = requeuing.Requeuing(["failed"], LATER)
    requeuing.requeue_all(queue.database, selecting.find(queue.database, Selection(["failed"])), verb, lambda: None)
    assert (verb.changed, verb.on_hold) == (1, 1)
    assert row(queue, "held")["lane"] == 3


@pytest.mark.parametrize("action", ["ABORT, 'no'", "IGNORE"])
def test_a_trigger_of_somebodys_that_keeps_it_later_is_told(queue, action):
    failed(queue, "job")
    with raw(queue) as connection:
        connection.execute("CREATE TRIGGER mine BEFORE UPDATE ON jobs BEGIN SELECT RAISE(%s); END" % action)
    with pytest.raises(QueueError, match="refuses the change"):
        hurry(queue, "job")
    assert row(queue, "job")["lane"] == 1


@pytest.mark.parametrize("value", [b"\xff", 7, 1e300, "9999-99-99T"])
def test_a_due_time_that_is_none_does_no_harm(queue, value):
    failed(queue, "job")
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET next_run_at = ?", (value,))
    hurry(queue, "job")
    assert claim_one(queue, LATER + 60) is not None or row(queue, "job")["state"] == "dead"
