"""What is told to a hook at one go: ended attempts, a summary of what is old, and what is no end of anything."""

import json

import pytest
from helpers.queue import NOW, claim_one, enqueue, raw, settle

from queuectl_lib import settings, times
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.reports import hook_batch
from queuectl_lib.settings import Settings
from queuectl_lib.store import hooking

DEFAULTS = Settings(**settings.SETTING_DEFAULTS)


@pytest.fixture
def listening(queue):
    hooking.listen(queue.database)
    return queue


def run_one(queue, kind="failed", now=NOW, **fields):
    enqueue(queue, 0, now=now, **fields)
    assert settle(queue, claim_one(queue, now), kind, now)


def batch(queue, now=NOW, moves=True, **changed):
    cursor = hooking.how_far(queue.database)
    found = hook_batch.batch_of(queue, DEFAULTS.but(**changed), cursor, now)
    if moves:
        hooking.advance(queue.database, cursor.kept, found.following, found.told, found.over)
    return found


def words(found):
    return [event["event"] for event in found.events]


def test_a_batch_holds_what_is_news_and_the_next_one_begins_behind_it(listening):
    run_one(listening, "completed")
    run_one(listening, id="one")
    run_one(listening, "completed")
    first = batch(listening)
    assert words(first) == ["dead"] and first.word() == "dead"
    assert json.loads(first.data().decode("ascii"))["id"] == "one"
    assert first.following == 4 and words(batch(listening)) == []


def test_a_batch_is_bounded_and_the_rest_comes_in_the_next_ones(listening, monkeypatch):
    monkeypatch.setattr(hook_batch, "MOST", 5)
    monkeypatch.setattr(hooking, "AT_ONCE", 3)
    for number in range(10):
        run_one(listening, id="j%d" % number)
    found = []
    for size in (4, 4, 2, 0):
        part = batch(listening, hook_on=["dead", "idle"])
        assert len([event for event in part.events if event["event"] == "dead"]) == size
        found += [event["id"] for event in part.events if event["event"] == "dead"]
    assert found == ["j%d" % number for number in range(10)]


def test_what_is_older_than_it_may_be_is_one_summary(listening):
    for _ in range(3):
        run_one(listening)
    run_one(listening, "completed")
    run_one(listening, now=NOW + 86400, id="new")
    found = batch(listening, NOW + 86400 + 60, hook_on=["dead", "completed"])
    assert words(found) == ["summary", "dead"] and found.word() == "dead"
    summary = found.events[0]
    assert summary["counts"] == {"dead": 3, "completed": 1}
    assert summary["text"].startswith("not told in time, from 2027-01-15T08:00:00")
    assert (summary["seq"], found.events[1]["id"]) == (4, "new")


def test_idle_waits_for_retries_and_is_told_of_each_end_of_work_once(listening):
    enqueue(listening, 1, id="one")
    settle(listening, claim_one(listening), "failed")
    assert words(batch(listening, hook_on=["idle"])) == [], "a retry is to come"
    settle(listening, claim_one(listening, NOW + 60), "completed", NOW + 60)
    assert words(batch(listening, hook_on=["idle"])) == ["idle"]
    assert words(batch(listening, hook_on=["idle"])) == []
    enqueue(listening, 1, id="later", run_at=times.utc_text(NOW + 9999))
    assert words(batch(listening, hook_on=["idle"])) == []
    run_one(listening, "completed")
    assert words(batch(listening, hook_on=["idle"])) == ["idle"], "what is to come is not due"


def test_stuck_is_told_once_until_it_is_over(listening):
    enqueue(listening, id="one")
    assert words(batch(listening, NOW + 600)) == []
    found = batch(listening, NOW + 901)
    assert words(found) == ["stuck"]
    assert "no worker is alive" in found.events[0]["text"] and "job one has been due since" in found.events[0]["text"]
    assert words(batch(listening, NOW + 5000)) == []
    held = claim_one(listening, NOW + 5000)
    assert words(batch(listening, NOW + 5000)) == []
    assert "hook stuck" not in hooking.how_far(listening.database).told
    settle(listening, held, "completed", NOW + 5000)
    enqueue(listening, now=NOW + 5000)
    assert words(batch(listening, NOW + 9000)) == ["stuck"]


def test_what_waits_for_its_turn_behind_what_runs_is_not_stuck(listening):
    for _ in range(2):
        enqueue(listening)
    claim_one(listening)
    assert words(batch(listening, NOW + 9000)) == []


def test_an_attempt_that_runs_long_is_told_of_once_also_by_the_wish_of_its_job(listening):
    for _ in range(12):
        enqueue(listening, name="kind")
        outcome = Outcome(claim_one(listening), "completed", NOW + 1)
        outcome.started = NOW
        listening.exchange("w-1", [outcome], 0, NOW, DEFAULTS)
    enqueue(listening, id="one", name="kind")
    enqueue(listening, id="mine", name="kind", notify=["running_long"])
    first, _ = claim_one(listening), claim_one(listening)
    assert words(batch(listening, NOW + 30)) == []
    found = batch(listening, NOW + 600)
    assert words(found) == ["running_long"] and found.events[0]["id"] == "mine"
    found = batch(listening, NOW + 600, hook_on=["running_long"])
    assert [event["id"] for event in found.events] == ["one"]
    assert words(batch(listening, NOW + 900, hook_on=["running_long"])) == []
    settle(listening, first, "completed", NOW + 900)
    batch(listening, NOW + 900)
    assert len([key for key in hooking.how_far(listening.database).told if "long" in key]) == 1


DAMAGE = ("x", None, 7, 2.5, b"\xff\x00", "a\u202e\x1b[31m\n\ud800".encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("column", ["outcome", "error", "finished_at", "note", "worker", "command"])
def test_a_damaged_row_is_told_as_it_stands(listening, column):
    run_one(listening)
    for value in DAMAGE:
        with raw(listening) as connection:
            try:
                connection.execute("UPDATE attempts SET %s = ?" % column, (value,))
            except Exception:
                continue  # NOT NULL
        for line in batch(listening, moves=False).data().decode("ascii").splitlines():
            json.loads(line)


def test_jobs_that_are_gone_are_not_told_of(listening):
    run_one(listening)
    with raw(listening) as connection:
        connection.execute("DELETE FROM jobs")
    found = batch(listening)
    assert words(found) == [] and found.following == 2
