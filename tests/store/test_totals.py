"""Counters that outlive what they count: they agree with the attempts that ended, whoever ended them, and how."""

import struct

import pytest
from helpers.queue import NOW, SETTINGS, claim, claim_one, enqueue, raw, settle

from queuectl_lib.jobs import attempts
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.store import identity, totals


def known(queue):
    with queue.database.reading() as connection:
        return totals.read(connection)[0]


def by_outcome(queue):
    return {name: int(count) for name, count in zip(totals.OUTCOMES, known(queue)) if count}


def in_table(queue):
    """The same by what stands in the attempts themselves."""
    text = "SELECT outcome, count(*) FROM attempts WHERE outcome <> 'running' GROUP BY outcome"
    with queue.database.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(text)}


def histogram(queue, begin):
    """By its bound how many there are in each bucket that has any; and their sum."""
    found = known(queue)[begin : begin + len(totals.BOUNDS) + 2]
    bounds = [*totals.BOUNDS, None]
    return {bound: int(count) for bound, count in zip(bounds, found) if count}, found[-1]


def test_each_way_in_which_an_attempt_ends_is_counted_by_its_outcome(queue):
    kinds = ("completed", "failed", "timed out", "lost", "cancelled", "given back", "snoozed")
    for kind in kinds:
        enqueue(queue, 3, id=kind.replace(" ", "-"))
    outcomes = [Outcome(held, kind, NOW + 1) for held, kind in zip(claim(queue, NOW, 7), kinds)]
    queue.exchange("w-1", outcomes, 0, NOW + 1, SETTINGS)
    assert by_outcome(queue) == in_table(queue) == dict.fromkeys(kinds, 1)


def test_what_never_ran_is_no_attempt_and_what_was_refused_did_not_end(queue):
    for name in ("back", "once"):
        enqueue(queue, 0, id=name)
    back, once = claim(queue, NOW, 2)
    queue.exchange("w-1", [attempts.unstarted(back)], 0, NOW, SETTINGS)
    settle(queue, once, "completed")
    settle(queue, once, "completed")  # its claim is over
    assert by_outcome(queue) == in_table(queue) == {"completed": 1}


def test_a_job_that_cannot_be_read_and_dies_of_it_counts_as_failed(queue):
    enqueue(queue, 0, id="odd")
    with raw(queue) as opened:
        opened.execute("UPDATE jobs SET command = x'ff'")
    assert claim_one(queue, NOW) is None
    assert by_outcome(queue) == in_table(queue) == {"failed": 1}


def test_what_ran_where_a_copy_was_taken_counts_there_as_lost(queue):
    enqueue(queue, 0, id="job")
    claim_one(queue, NOW)
    from queuectl_lib.store import ending

    with queue.database.writing() as connection:
        identity.part_from(connection, {"path": "/x/q.db"}, lambda c, o: ending.settle(c, o, SETTINGS), NOW)
    assert by_outcome(queue) == in_table(queue) == {"lost": 1}


def test_a_cancel_asked_for_meanwhile_counts_as_the_row_says(queue):
    for name in ("failed", "back"):
        enqueue(queue, 3, id=name)
    failed, back = claim(queue, NOW, 2)
    queue.cancel(["failed", "back"], NOW)
    settle(queue, failed, "failed")
    settle(queue, back, "given back")
    assert by_outcome(queue) == in_table(queue) == {"failed": 1, "cancelled": 1}


def test_durations_and_waits_stand_in_the_bucket_of_their_bound(queue):
    for number, (waits, takes) in enumerate([(0.05, 0.1), (60, 0.11), (100000, 7200), (-5, 0)]):
        enqueue(queue, 0, NOW, id="j%d" % number)
        outcome = Outcome(claim_one(queue, NOW), "completed", NOW + waits + takes)
        outcome.started, outcome.seconds, outcome.cpu = NOW + waits, takes, 0.5
        queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)
    assert histogram(queue, totals.DURATION) == ({0.1: 2, 1.0: 1, 7200.0: 1}, pytest.approx(7200.21))
    assert histogram(queue, totals.WAIT) == ({0.1: 2, 60.0: 1, None: 1}, pytest.approx(100060.05))
    assert known(queue)[totals.CPU] == 2.0


def test_a_retry_waits_from_when_it_was_due(queue):
    enqueue(queue, 1, NOW)
    settle(queue, claim_one(queue, NOW), "failed", NOW)
    outcome = Outcome(claim_one(queue, NOW + 9), "completed", NOW + 10)
    outcome.started = NOW + 9
    queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)
    waits, total = histogram(queue, totals.WAIT)
    assert waits == {10.0: 1} and total == pytest.approx(9 - SETTINGS.backoff_base)


def test_what_is_not_known_of_an_attempt_is_left_out(queue):
    for number, kind in enumerate(("lost", "completed", "completed", "failed")):
        enqueue(queue, 0, NOW, id="j%d" % number)
        outcome = Outcome(claim_one(queue, NOW), kind, NOW + 5)
        outcome.started = None if number == 3 else NOW
        outcome.seconds = {1: -3.0, 2: 1e12}.get(number)
        outcome.claim.due = {1: "soon", 2: None}.get(number, outcome.claim.due)
        queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)
    assert histogram(queue, totals.DURATION) == histogram(queue, totals.WAIT) == ({}, 0.0)
    assert sum(by_outcome(queue).values()) == 4


def test_the_counters_outlive_the_jobs(queue):
    enqueue(queue, 0)
    settle(queue, claim_one(queue, NOW), "completed")
    with queue.database.writing() as connection:
        connection.execute("DELETE FROM jobs")
    assert in_table(queue) == {} and by_outcome(queue) == {"completed": 1}


@pytest.mark.parametrize(
    "value",
    ["'x'", "x'00'", "1.5", "x''", "zeroblob(9)", "x'%s'" % struct.pack("<2d", float("nan"), 1).hex(),
     "x'%s'" % struct.pack("<2d", -1, 1).hex(), "x'%s'" % struct.pack("<d", float("inf")).hex()],
)  # fmt: skip
def test_counters_that_somebody_has_damaged_begin_anew(queue, value):
    for number in range(2):
        enqueue(queue, 0, id="j%d" % number)
    settle(queue, claim_one(queue, NOW), "completed")
    with raw(queue) as opened:
        opened.execute("UPDATE totals SET value = %s WHERE key = '%s'" % (value, totals.KEY))
    assert by_outcome(queue) == {}
    settle(queue, claim_one(queue, NOW), "completed")
    assert by_outcome(queue) == {"completed": 1}


def test_counters_of_a_newer_version_are_kept(queue):
    for number in range(2):
        enqueue(queue, 0, id="j%d" % number)
    settle(queue, claim_one(queue, NOW), "completed")
    more = struct.pack("<d", 7.0)
    with raw(queue) as opened:
        opened.execute("UPDATE totals SET value = CAST(value || ? AS BLOB)", (more,))
        before = opened.execute("SELECT value FROM totals").fetchone()[0]
    assert len(before) == 8 * (totals.PLACES + 1)
    settle(queue, claim_one(queue, NOW), "completed")
    assert known(queue)[totals.PLACES] == 7.0 and by_outcome(queue) == {"completed": 2}


def test_the_other_rows_of_totals_stay_as_they_are(queue):
    enqueue(queue, 0)
    with raw(queue) as opened:
        opened.execute("INSERT INTO totals VALUES ('told slow x', 1), ('trouble first y', 2)")
    settle(queue, claim_one(queue, NOW), "completed")
    with raw(queue) as opened:
        found = [tuple(row) for row in opened.execute("SELECT key, value FROM totals WHERE key <> ?", (totals.KEY,))]
    assert found == [("told slow x", 1.0), ("trouble first y", 2.0)]
