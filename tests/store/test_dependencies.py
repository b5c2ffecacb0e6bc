"""Jobs after jobs: what each end of a parent makes of its children, and that a cut between two steps costs nothing."""

import contextlib
import json
import time

import pytest
from helpers.processes import all_at_once
from helpers.queue import NOW, SETTINGS, claim, enqueue, raw, requeue_dead, rows, set_queue, settle

from queuectl_lib import times
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.jobs import after
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import (
    dependencies,
    edges,
    ending,
    finding,
    holding,
    looking,
    outlook,
    placing,
    pruning,
    queues,
    selecting,
    settling,
    showing,
)
from queuectl_lib.store.selecting import Selection

LATER = NOW + 60
AFTER, ANY, FAIL = "after", "after_any", "after_fail"


def add(queue, identifier, retries=0, born=None, **fields):
    row = JobMaker(retries, "/", 0o022, fields.pop("now", NOW)).row(
        dict({"command": "true", "id": identifier}, **fields)
    )
    return queue.enqueue(row, born)


def add_all(queue, *jobs, born=None):
    maker = JobMaker(0, "/", 0o022, NOW)
    made = [(line, maker.row(dict({"command": "true"}, **job))) for line, job in enumerate(jobs, 1)]
    return list(queue.enqueue_each(made, born))


def end(queue, identifier, how, now=NOW):
    """Bring the due job *identifier* to its end; nothing else may be due before it."""
    if how == "cancelled":
        queue.cancel([identifier], now)
        return
    (held,) = claim(queue, now)
    assert held.id == identifier
    assert settle(queue, held, "completed" if how == "completed" else "failed", now)


def job(queue, identifier):
    (found,) = rows(queue, "SELECT * FROM jobs WHERE id = '%s'" % identifier)
    return found


def stands(queue, identifier):
    """Its state, and its lane or why it was cancelled."""
    found = job(queue, identifier)
    return found["state"], found["lane"] if found["lane"] is not None else found["last_error"]


def edges_in(queue):
    sql = "SELECT c.id, parent_id, wants, e.state FROM edges e JOIN jobs c ON c.seq = child ORDER BY e.rowid"
    return [tuple(row.values()) for row in rows(queue, sql)]


def is_settled(queue):
    """Nothing is left to do, and all stands as it must."""
    assert rows(queue, "SELECT * FROM settling") == []
    assert placing.misplaced(queue.database, "9") == []
    wrong = "SELECT c.id FROM edges e JOIN jobs c ON c.seq = e.child JOIN jobs p ON p.seq = e.parent WHERE %s"
    final = "p.state IN ('completed', 'dead', 'cancelled')"
    assert rows(queue, wrong % ("e.state = 1 AND " + final)) == []
    assert rows(queue, wrong % ("e.state = 2 AND NOT " + final)) == []
    assert rows(queue, wrong % "e.state = 2 AND c.state NOT IN ('cancelled', 'dead')") == []
    return True


# ---------------------------------------------------------------- the table of ends

WAITS, DUE = ("pending", 2), ("pending", 0)
TABLE = {
    (AFTER, "completed"): DUE,
    (ANY, "completed"): DUE,
    (FAIL, "completed"): ("cancelled", "not needed: J completed"),
    (AFTER, "dead"): ("cancelled", "not run: J is dead"),
    (ANY, "dead"): DUE,
    (FAIL, "dead"): DUE,
    (AFTER, "cancelled"): ("cancelled", "not run: J was cancelled"),
    (ANY, "cancelled"): DUE,
    (FAIL, "cancelled"): ("cancelled", "not needed: J was cancelled"),
}


@pytest.mark.parametrize("kind, how", sorted(TABLE))
def test_each_end_of_a_parent_makes_of_its_child_what_the_table_says(queue, kind, how):
    add(queue, "J")
    add(queue, "child", **{kind: ["J"]})
    assert stands(queue, "child") == WAITS
    end(queue, "J", how)
    assert stands(queue, "child") == TABLE[kind, how]
    assert is_settled(queue)


@pytest.mark.parametrize("kind, how", sorted(TABLE))
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_a_parent_that_is_final_when_the_child_is_added_counts_as_if_it_ended_a_second_later(queue, kind, how, many):
    add(queue, "J")
    end(queue, "J", how)
    born = []
    if many:
        add_all(queue, {"id": "child", kind: ["J"]}, born=born)
    else:
        assert add(queue, "child", born=born, **{kind: ["J"]}) == "child"
    assert stands(queue, "child") == TABLE[kind, how]
    state, text = TABLE[kind, how]
    assert born == (["job child was cancelled: %s" % text] if state == "cancelled" else [])
    assert sum(looking.counts(queue.database).values()) == 2
    assert is_settled(queue)


@pytest.mark.parametrize("kind", [AFTER, ANY, FAIL])
def test_a_failure_with_retries_left_is_no_end(queue, kind):
    add(queue, "J", retries=1)
    add(queue, "child", **{kind: ["J"]})
    end(queue, "J", "dead")
    assert job(queue, "J")["state"] == "failed"
    assert stands(queue, "child") == WAITS
    end(queue, "J", "completed", LATER)
    assert stands(queue, "child")[0] == ("cancelled" if kind == FAIL else "pending")


@pytest.mark.parametrize("kind", ["lost", "timed out"])
def test_an_attempt_that_was_lost_or_took_too_long_counts_by_the_state_that_follows(queue, kind):
    add(queue, "J", retries=1)
    add(queue, "child", after=["J"])
    for now, expected in ((NOW, WAITS), (LATER, ("cancelled", "not run: J is dead"))):
        (held,) = claim(queue, now)
        assert settle(queue, held, kind, now)
        assert stands(queue, "child") == expected


def test_an_attempt_that_is_given_back_is_no_end(queue):
    add(queue, "J")
    add(queue, "child", after=["J"])
    (held,) = claim(queue)
    assert settle(queue, held, "given back")
    assert stands(queue, "child") == WAITS
    assert rows(queue, "SELECT * FROM settling") == []


def test_an_attempt_that_is_adopted_is_no_end_but_its_end_is_one(queue):
    add(queue, "J")
    add(queue, "child", after=["J"])
    (held,) = claim(queue)
    assert queue.adopt(held, "w-1", "w-2", NOW)
    assert stands(queue, "child") == WAITS
    assert rows(queue, "SELECT * FROM settling") == []
    assert settle(queue, held, "completed", LATER)
    assert stands(queue, "child") == DUE
    assert is_settled(queue)


def test_a_running_parent_that_is_cancelled_counts_when_it_has_ended(queue):
    add(queue, "J")
    add(queue, "child", after=["J"])
    (held,) = claim(queue)
    queue.cancel(["J"], NOW)
    assert stands(queue, "child") == WAITS
    assert settle(queue, held, "cancelled", LATER)
    assert stands(queue, "child") == ("cancelled", "not run: J was cancelled")


def test_a_child_starts_only_once_all_its_parents_have_ended_as_it_asks(queue):
    for one in "abc":
        add(queue, one)
    add(queue, "child", after=["a"], after_any=["b"], after_fail=["c"])
    end(queue, "a", "completed")
    end(queue, "b", "cancelled")
    assert stands(queue, "child") == WAITS
    end(queue, "c", "dead")
    assert stands(queue, "child") == DUE
    assert [claim(queue)[0].id, is_settled(queue)] == ["child", True]


def test_the_exchange_that_records_an_end_claims_what_comes_after_it(queue):
    add(queue, "J")
    add(queue, "child", after=["J"])
    (held,) = claim(queue)
    _, claims, more = queue.exchange("w-1", [Outcome(held, "completed", NOW)], 1, NOW, SETTINGS)
    assert [one.id for one in claims] == ["child"]
    assert not more


# ---------------------------------------------------------------- further down


def test_what_comes_after_a_cancelled_job_is_cancelled_too_and_names_the_root(queue):
    add(queue, "J1")
    for parent, child in (("J1", "J2"), ("J2", "J3"), ("J3", "J4")):
        add(queue, child, after=[parent])
    end(queue, "J1", "dead")
    assert stands(queue, "J2") == ("cancelled", "not run: J1 is dead")
    assert stands(queue, "J3") == ("cancelled", "not run: J1 is dead (through J2)")
    assert stands(queue, "J4") == ("cancelled", "not run: J1 is dead (through J3)")
    reason = {"why": "not run", "parent": "J3", "state": "cancelled", "root": "J1", "root_state": "dead"}
    assert showing.job(queue.database, "J4")["reason"] == reason
    assert is_settled(queue)


def test_a_child_of_what_was_not_needed_is_not_needed_either(queue):
    add(queue, "J")
    add(queue, "mend", after_fail=["J"])
    add(queue, "tell", after=["mend"])
    add(queue, "else", after_fail=["mend"])
    add(queue, "any", after_any=["mend"])
    end(queue, "J", "completed")
    assert stands(queue, "tell") == ("cancelled", "not needed: J completed (through mend)")
    assert stands(queue, "else") == ("cancelled", "not needed: mend was cancelled")
    assert stands(queue, "any") == DUE
    assert dependencies.not_needed(queue.database, []) == 3
    assert dependencies.not_needed(queue.database, ["tell", "any"]) == 1


def test_a_chain_that_comes_with_a_dead_root_is_cancelled_at_birth(queue):
    add(queue, "J")
    end(queue, "J", "dead")
    born = []
    chain = [{"id": "c%d" % n, "after": ["J" if not n else "c%d" % (n - 1)]} for n in range(8)]
    assert add_all(queue, *chain, born=born) == ["c%d" % n for n in range(8)]
    assert born[0] == "job c0 was cancelled: not run: J is dead"
    assert born[1] == "job c1 was cancelled: not run: J is dead (through c0)"
    assert born[5:] == ["3 more were cancelled"]
    assert looking.counts(queue.database)["cancelled"] == 8
    assert is_settled(queue)


# ---------------------------------------------------------------- the way back


@pytest.mark.parametrize("how", ["dead", "cancelled"])
@pytest.mark.parametrize("all_of_them", [False, True], ids=["requeue", "retry --all"])
def test_the_return_of_a_parent_brings_back_what_its_end_took_down(queue, how, all_of_them):
    add(queue, "J")
    add(queue, "child", after=["J"])
    add(queue, "later", run_at="2200-01-01T00:00:00Z", after=["child"])
    add(queue, "held", hold=True, after=["child"])
    end(queue, "J", how)
    assert [stands(queue, one)[0] for one in ("child", "later", "held")] == ["cancelled"] * 3
    if all_of_them and how == "dead":
        requeue_dead(queue, LATER)
    else:
        assert queue.requeue(["J"], ("dead", "cancelled"), LATER) == []
    assert [stands(queue, one) for one in ("J", "child", "later", "held")] == [DUE, WAITS, WAITS, ("pending", 3)]
    found = job(queue, "child")
    assert (found["reason"], found["last_error"], found["finished_at"], found["attempts"]) == (None, None, None, 0)
    assert is_settled(queue)
    end(queue, "J", "completed", LATER)
    end(queue, "child", "completed", LATER)
    assert [stands(queue, one) for one in ("later", "held")] == [("pending", 1), ("pending", 3)]
    assert is_settled(queue)


def test_a_chain_that_was_brought_back_falls_with_the_next_death(queue):
    add(queue, "J")
    add(queue, "child", after=["J"])
    add(queue, "grandchild", after=["child"])
    for _ in range(3):
        end(queue, "J", "dead", LATER)
        assert stands(queue, "grandchild") == ("cancelled", "not run: J is dead (through child)")
        queue.requeue(["J"], ("dead",), LATER)
        assert stands(queue, "grandchild") == WAITS
        assert is_settled(queue)


def test_what_a_person_has_cancelled_does_not_come_back_with_its_parent(queue):
    add(queue, "J")
    add(queue, "child", after=["J"])
    queue.cancel(["child"], NOW)
    end(queue, "J", "dead")
    queue.requeue(["J"], ("dead",), NOW)
    assert stands(queue, "child") == ("cancelled", "cancelled before it ran")
    queue.requeue(["child"], ("cancelled",), NOW)
    assert stands(queue, "child") == WAITS
    assert is_settled(queue)


def test_a_child_with_another_broken_edge_stays_and_says_why(queue):
    add(queue, "J")
    add(queue, "K")
    add(queue, "child", after=["J", "K"])
    end(queue, "J", "dead")
    end(queue, "K", "dead")
    assert stands(queue, "child") == ("cancelled", "not run: J is dead")
    queue.requeue(["J"], ("dead",), NOW)
    assert stands(queue, "child") == ("cancelled", "not run: K is dead")
    queue.requeue(["K"], ("dead",), NOW)
    assert stands(queue, "child") == WAITS
    assert is_settled(queue)


def test_a_child_whose_key_is_held_stays_and_comes_back_the_next_time(queue):
    add(queue, "J")
    add(queue, "child", after=["J"], unique="k")
    assert add(queue, "other", unique="k") == "child"  # it waits, so it holds its key
    end(queue, "J", "dead")
    assert add(queue, "other", unique="k", priority=-1) == "other"  # which the cascade has freed
    assert queue.requeue(["J"], ("dead",), NOW) == [("child", "other")]
    assert stands(queue, "child")[0] == "cancelled"
    end(queue, "J", "dead")
    queue.cancel(["other"], NOW)
    assert queue.requeue(["J"], ("dead",), NOW) == []
    assert stands(queue, "child") == WAITS
    assert is_settled(queue)


@pytest.mark.parametrize("how, word", [("dead", "dead"), ("cancelled", "cancelled")])
def test_a_child_is_not_requeued_while_its_parent_is_final(queue, how, word):
    add(queue, "J")
    add(queue, "B", after=["J"])
    end(queue, "J", how)
    text = "job B waits for J, which is %s: retry that, or `edit B --no-after`: nothing was requeued" % word
    with pytest.raises(QueueError) as refused:
        queue.requeue(["B"], ("dead", "cancelled"), NOW)
    assert (str(refused.value), refused.value.exit_code) == (text, 1)
    queue.requeue(["B", "J"], ("dead", "cancelled"), NOW)  # in whatever order they are named
    assert [stands(queue, one) for one in ("J", "B")] == [DUE, WAITS]
    assert is_settled(queue)


def test_what_was_not_needed_is_not_requeued_but_can_be_made_to_wait_for_nothing(queue):
    add(queue, "J")
    add(queue, "B", after_fail=["J"])
    end(queue, "J", "completed")
    with pytest.raises(QueueError, match="waits for J, which is completed: `edit B --no-after`"):
        queue.requeue(["B"], ("cancelled",), NOW)
    with queue.database.writing() as connection:
        assert dependencies.forget(connection, finding.head(connection, "B")["seq"], "") == 1
    assert stands(queue, "B")[0] == "cancelled"
    queue.requeue(["B"], ("cancelled",), NOW)
    assert stands(queue, "B") == DUE


def test_a_dead_child_whose_parents_were_met_is_retried_at_once(queue):
    add(queue, "J")
    add(queue, "child", after=["J"])
    end(queue, "J", "completed")
    end(queue, "child", "dead")
    queue.requeue(["child"], ("dead",), NOW)
    assert stands(queue, "child") == DUE


def test_an_edge_that_was_met_stays_met_whatever_becomes_of_the_parent_then(queue):
    add(queue, "J")
    add(queue, "K")
    add(queue, "child", after_any=["J"], after=["K"])
    end(queue, "J", "dead")
    queue.requeue(["J"], ("dead",), NOW)
    assert ("child", "J", 2, 0) in edges_in(queue)
    end(queue, "J", "dead")
    queue.requeue(["J"], ("dead",), NOW)
    with queue.database.writing() as connection:
        connection.execute("UPDATE jobs SET priority = -1 WHERE id = 'J'")
    end(queue, "K", "completed")
    assert stands(queue, "child") == DUE
    assert is_settled(queue)


# ---------------------------------------------------------------- a change of mind


def test_a_job_that_forgets_its_parents_is_placed_by_its_own_time(queue):
    add(queue, "J")
    add(queue, "now", after=["J"])
    add(queue, "later", after=["J"], delay="1h")
    add(queue, "held", after=["J"], hold=True)
    with queue.database.writing() as connection:
        for one in ("now", "later", "held"):
            assert dependencies.forget(connection, finding.head(connection, one)["seq"], times.utc_text(NOW + 1)) == 1
    assert [stands(queue, one)[1] for one in ("now", "later", "held")] == [0, 1, 3]
    end(queue, "J", "cancelled")
    assert stands(queue, "now") == DUE
    assert is_settled(queue)


# ---------------------------------------------------------------- beside time, holds, locks and deletions


def test_a_job_that_is_released_goes_back_to_wait_for_its_parents(queue):
    add(queue, "J")
    add(queue, "child", after=["J"])
    holding.hold(queue.database, ["child"], NOW)
    assert stands(queue, "child") == ("pending", 3)
    holding.release(queue.database, ["child"], NOW)
    assert stands(queue, "child") == WAITS
    end(queue, "J", "completed")
    assert stands(queue, "child") == DUE


def test_a_child_with_a_lock_waits_for_its_parents_first(queue):
    add(queue, "J")
    add(queue, "other", lock="l", priority=9)
    add(queue, "child", after=["J"], lock="l")
    (other,) = claim(queue)
    end(queue, "J", "completed")
    assert claim(queue) == []
    assert stands(queue, "child") == ("pending", 4)
    assert settle(queue, other, "completed")
    assert [one.id for one in claim(queue)] == ["child"]


def test_a_child_of_a_queue_that_may_not_start_waits_for_its_parents_first(queue):
    set_queue(queue, "mail", running_most=1)
    add(queue, "J")
    enqueue(queue, id="other", queue="mail", priority=9)
    enqueue(queue, id="child", queue="mail", after=["J"])
    (other,) = claim(queue)
    assert other.id == "other"
    end(queue, "J", "completed")
    assert stands(queue, "child") == DUE
    assert claim(queue) == [], "its queue is full"
    queues.pause(queue.database, ["mail"], None, None, NOW)
    assert settle(queue, other, "completed")
    assert claim(queue) == [], "and now it is paused"
    queues.resume(queue.database, ["mail"])
    assert [one.id for one in claim(queue)] == ["child"]


def test_a_child_with_a_time_of_its_own_waits_for_both(queue):
    add(queue, "J")
    add(queue, "child", after=["J"], delay="1m")
    end(queue, "J", "completed")
    assert stands(queue, "child") == ("pending", 1)
    assert claim(queue, NOW + 59) == []
    assert [one.id for one in claim(queue, NOW + 61)] == ["child"]


def test_the_delay_of_a_child_counts_from_its_enqueue(queue):
    add(queue, "J")
    add(queue, "child", after=["J"], delay="1m")
    end(queue, "J", "completed", NOW + 300)
    assert stands(queue, "child") == DUE


def test_a_held_child_stays_held_when_its_parents_have_ended(queue):
    add(queue, "J")
    add(queue, "child", after=["J"], hold=True)
    end(queue, "J", "completed")
    assert stands(queue, "child") == ("pending", 3)
    assert is_settled(queue)


def test_a_held_child_falls_with_its_parent(queue):
    add(queue, "J")
    add(queue, "child", after=["J"], hold=True)
    end(queue, "J", "dead")
    assert stands(queue, "child")[0] == "cancelled"


@pytest.mark.parametrize("kind", [AFTER, ANY, FAIL])
def test_a_parent_deleted_by_hand_leaves_no_orphan_that_waits(queue, kind):
    add(queue, "J")
    add(queue, "child", **{kind: ["J"]})
    add(queue, "grandchild", after=["child"])
    with raw(queue) as connection:
        connection.execute("DELETE FROM jobs WHERE id = 'J'")
    assert not outlook.nothing_left(queue.database)
    assert claim(queue) == []
    why = "not needed" if kind == FAIL else "not run"
    assert stands(queue, "child") == ("cancelled", "%s: J was deleted" % why)
    assert stands(queue, "grandchild") == ("cancelled", "%s: J was deleted (through child)" % why)
    assert rows(queue, "SELECT * FROM settling") == []
    with pytest.raises(QueueError, match="waits for J, which is deleted: `edit child --no-after`"):
        queue.requeue(["child"], ("cancelled",), NOW)
    (shown,) = showing.job(queue.database, "child")["depended_on"]
    assert shown == {"id": "J", "kind": kind, "outcome": "broken", "state": "gone"}


def test_a_seq_that_is_given_out_again_binds_no_child_to_a_stranger(queue):
    add(queue, "child-of-none")
    add(queue, "J")
    end(queue, "child-of-none", "completed")
    end(queue, "J", "completed")
    add(queue, "child", after=["J"])
    with raw(queue) as connection:
        connection.execute("DELETE FROM jobs WHERE id IN ('child', 'J')")
    assert rows(queue, "SELECT * FROM edges") == []
    add(queue, "stranger")
    end(queue, "stranger", "dead")
    assert is_settled(queue)


def prune(queue, *states):
    return pruning.prune(queue.database, states, LATER, lambda count: None)


def test_a_pruned_parent_keeps_its_name_and_its_outcome(queue):
    add(queue, "J")
    add(queue, "K")
    add(queue, "child", after=["J", "K"])
    end(queue, "J", "completed")
    assert prune(queue, "completed") == 1
    found = showing.job(queue.database, "child")
    assert (found["after"], found["depended_on"]) == (
        ["K"],
        [{"id": "J", "kind": "after", "outcome": "met", "state": "gone"}],
    )
    end(queue, "K", "completed")
    assert stands(queue, "child") == DUE


def test_a_parent_that_was_pruned_is_unknown_to_who_comes_later(queue):
    add(queue, "J")
    end(queue, "J", "completed")
    assert prune(queue, "completed") == 1
    with pytest.raises(QueueError, match='after: no job has the id "J": nothing was added'):
        add(queue, "child", after=["J"])
    assert rows(queue) == []


def test_a_dead_letter_that_is_purged_leaves_no_orphan_that_waits(queue):
    add(queue, "J")
    add(queue, "K", priority=-1)
    add(queue, "child", after=["J"])
    add(queue, "told", after_any=["J"], after=["K"])
    end(queue, "J", "dead")
    verb = pruning.Deleting(["dead"])
    pruning.delete(queue.database, selecting.find(queue.database, Selection(["dead"])), verb, lambda: None)
    assert verb.changed == 1
    assert stands(queue, "child") == ("cancelled", "not run: J is dead")
    assert stands(queue, "told") == WAITS
    with pytest.raises(QueueError, match="waits for J, which is deleted: `edit child --no-after`"):
        queue.requeue(["child"], ("cancelled",), NOW)
    end(queue, "K", "completed")
    assert stands(queue, "told") == DUE
    assert is_settled(queue)


def test_prune_leaves_a_job_whose_end_has_not_reached_its_children(queue):
    add(queue, "J")
    add(queue, "child", after=["J"])
    (held,) = claim(queue)
    with queue.database.writing() as connection:
        ending.settle(connection, Outcome(held, "completed", NOW), SETTINGS)
    assert not outlook.nothing_left(queue.database)
    assert prune(queue, "completed") == 0
    assert claim(queue, want=0) == []
    assert stands(queue, "child") == DUE
    assert prune(queue, "completed") == 1


def test_a_parent_of_many_is_pruned_a_little_at_a_time(queue, monkeypatch):
    fan_out(queue, 1200)
    end(queue, "J", "completed")
    while rows(queue, "SELECT * FROM settling"):
        claim(queue, want=0)
    changed = []
    writing = type(queue.database).writing

    @contextlib.contextmanager
    def counted(self, *more):
        with writing(self, *more) as connection:
            yield connection
            changed.append(connection.total_changes)

    monkeypatch.setattr(type(queue.database), "writing", counted)
    assert prune(queue, "completed") == 1
    assert max(changed) <= 600, changed
    assert rows(queue, "SELECT DISTINCT parent, state FROM edges") == [{"parent": None, "state": 0}]


# ---------------------------------------------------------------- a little at a time


def fan_out(queue, count, **fields):
    add(queue, "J")
    add_all(queue, *[dict({"id": "c%d" % n, "after": ["J"]}, **fields) for n in range(count)])


@pytest.mark.parametrize("how", ["completed", "dead"])
def test_an_end_is_settled_five_hundred_children_a_transaction(queue, how):
    fan_out(queue, 1200)
    end(queue, "J", how)
    left = []
    while rows(queue, "SELECT * FROM settling"):
        left.append(len(rows(queue, "SELECT 1 FROM edges WHERE state = 1")))
        assert outlook.under_way(queue.database, NOW)[1] == NOW, "an idle worker comes back at once"
        assert not outlook.nothing_left(queue.database)
        queue.exchange("w-1", [], 0, NOW, SETTINGS)
    steps = [before - now for before, now in zip([1200] + left, left + [0])]
    assert max(steps) <= 500, steps
    assert len(left) >= 2
    state = "pending" if how == "completed" else "cancelled"
    assert looking.counts(queue.database)[state] == 1200
    assert is_settled(queue)


def test_who_cancels_or_requeues_goes_on_until_all_is_settled(queue):
    fan_out(queue, 1200)
    queue.cancel(["J"], NOW)
    assert looking.counts(queue.database)["cancelled"] == 1201
    assert is_settled(queue)
    queue.requeue(["J"], ("cancelled",), NOW)
    assert looking.counts(queue.database)["pending"] == 1201
    assert is_settled(queue)


def partly(queue, most):
    """One transaction that settles so few edges."""
    with queue.database.writing() as connection:
        return edges.settle_some(connection, LATER, most)


def put(queue, identifier, verb):
    """The move alone, without the settling that goes with it, as if it was cut off there."""
    seq = job(queue, identifier)["seq"]
    with queue.database.writing() as connection:
        if verb == "returned":
            connection.execute(
                "UPDATE jobs SET state = 'pending', lane = 0, next_run_at = created_at, finished_at = NULL,"
                " last_error = NULL WHERE seq = ?",
                (seq,),
            )
            settling.has_returned(connection, seq)
        else:
            connection.execute(
                "UPDATE jobs SET state = 'processing', token = 'x', lane = NULL, next_run_at = NULL WHERE seq = ?",
                (seq,),
            )
            connection.execute(
                "UPDATE jobs SET state = ?, token = NULL, finished_at = created_at WHERE seq = ?", (verb, seq)
            )
            settling.has_ended(connection, seq)


MOVES = [("dead", "returned") * 2 + ("completed",)] + [(("dead", "returned") * 2)[:most] for most in (2, 3, 4)]
MOVES += [("dead", "returned", "completed"), ("cancelled", "returned", "dead"), ("dead", "returned", "cancelled")]


@pytest.mark.parametrize("moves", MOVES, ids="-".join)
@pytest.mark.parametrize("few", [2, 3, 7])
def test_ends_and_returns_that_overtake_the_settling_come_to_what_the_last_one_says(queue, moves, few):
    fan_out(queue, 9)
    add(queue, "grandchild", after=["c4", "c8"])
    add(queue, "mend", after_fail=["J"])
    for move in moves:
        put(queue, "J", move)
        partly(queue, few)
    while partly(queue, few):
        pass
    assert is_settled(queue)
    state = "cancelled" if moves[-1] in ("dead", "cancelled") else "pending"
    lane = {"completed": 0, "returned": 2}.get(moves[-1])
    assert {(job(queue, "c%d" % n)["state"], job(queue, "c%d" % n)["lane"]) for n in range(9)} == {(state, lane)}
    assert job(queue, "grandchild")["state"] == state


def test_ten_thousand_parents_free_their_child_with_the_last(queue):
    count = 10000
    add_all(queue, *[{"id": "p%d" % n} for n in range(count)])
    add(queue, "child", after=["p%d" % n for n in range(count)])
    for _ in range(-(-count // 500)):
        assert stands(queue, "child") == WAITS
        held = claim(queue, want=500)
        queue.exchange("w-1", [Outcome(one, "completed", NOW) for one in held], 0, NOW, SETTINGS)
    while rows(queue, "SELECT * FROM settling"):
        queue.exchange("w-1", [], 0, NOW, SETTINGS)
    assert stands(queue, "child") == DUE
    assert is_settled(queue)


def test_a_trigger_that_keeps_one_child_holds_up_no_other(queue):
    fan_out(queue, 5)
    with raw(queue) as connection:
        connection.execute(
            "CREATE TRIGGER mine BEFORE UPDATE ON jobs WHEN OLD.id = 'c2' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    end(queue, "J", "completed")
    assert [job(queue, "c%d" % n)["lane"] for n in range(5)] == [0, 0, 2, 0, 0]
    assert rows(queue, "SELECT * FROM settling") == []


def test_whatever_somebody_writes_into_settling_comes_to_an_end(queue):
    add(queue, "J")
    add(queue, "child", after=["J"])
    with raw(queue) as connection:
        connection.executemany(
            "INSERT INTO settling VALUES (?, ?)", [(1, "ended"), (2, "broken"), (3, "x"), (99, "returned")]
        )
    assert [one.id for one in claim(queue)] == ["J"]
    assert stands(queue, "child") == WAITS
    assert rows(queue, "SELECT * FROM settling") == []


# ---------------------------------------------------------------- how they are added


def test_children_may_come_with_their_parents_in_one_input(queue):
    add_all(queue, {"id": "a"}, {"id": "b", "after": ["a"]}, {"id": "c", "after": ["a", "b"]})
    assert [stands(queue, one) for one in "abc"] == [DUE, WAITS, WAITS]
    assert edges_in(queue) == [("b", "a", 1, 1), ("c", "a", 1, 1), ("c", "b", 1, 1)]


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"after": ["x"]}, 'after: no job has the id "x": nothing was added'),
        ({"after_any": ["J", "x"]}, 'after_any: no job has the id "x": nothing was added'),
    ],
)
def test_a_parent_that_does_not_exist_is_refused_and_nothing_added(queue, fields, text):
    add(queue, "J")
    with pytest.raises(QueueError) as refused:
        add(queue, "child", **fields)
    assert (str(refused.value), refused.value.exit_code) == (text, 1)
    with pytest.raises(QueueError) as refused:
        add_all(queue, {"id": "one"}, dict({"id": "child"}, **fields))
    assert (str(refused.value), refused.value.exit_code) == ("line 2: " + text, 1)
    assert [found["id"] for found in rows(queue)] == ["J"]
    assert edges_in(queue) == []


def test_a_parent_that_stands_in_a_later_line_is_refused(queue):
    with pytest.raises(BadInput) as refused:
        add_all(queue, {"id": "a"}, {"id": "b", "after": ["c"]}, {"id": "c"})
    assert str(refused.value) == "line 2: after: job c stands in line 3: put it before: nothing was added"
    assert rows(queue) == []


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"after": "a"}, 'after: "a" is no list of ids'),
        ({"after": {}}, "after: {} is no list of ids"),
        ({"after": [""]}, 'after: "" is not an id: up to'),
        ({"after_any": [1]}, "after_any: 1 is a number, and an id is text"),
        ({"after_fail": ["../x"]}, 'after_fail: "../x" is not an id'),
        ({"after": ["me"]}, "after: job me cannot come after itself"),
        ({"after": ["a"], "after_fail": ["a"]}, "after_fail: job a stands under after, too"),
        ({"after": ["p%d" % n for n in range(10001)]}, "after: 10001 jobs: 10000 at the most"),
    ],
)
def test_bad_input_is_refused_with_the_key_it_is_about(fields, text):
    with pytest.raises(BadInput) as refused:
        JobMaker(0, "/", 0o022, NOW).row(dict({"command": "true", "id": "me"}, **fields))
    assert str(refused.value).startswith(text)


def test_a_parent_that_is_named_twice_counts_once(queue):
    add(queue, "J")
    add(queue, "child", after=["J", "J"])
    assert edges_in(queue) == [("child", "J", 1, 1)]
    assert showing.job(queue.database, "child")["after"] == ["J"]


def test_nothing_of_a_job_whose_key_is_held_is_added(queue):
    add(queue, "J")
    add(queue, "holder", unique="k")
    assert add(queue, "child", unique="k", after=["J"]) == "holder"
    assert add_all(queue, {"id": "child", "unique": "k", "after": ["J"]}) == ["holder"]
    assert edges_in(queue) == []


@pytest.mark.parametrize("wants", sorted(after.KEYS))
def test_only_a_final_state_closes_an_edge(wants):
    assert [after.edge_state(wants, state) for state in ("pending", "processing", "failed")] == [after.OPEN] * 3


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", 1, b"{}", json.dumps({"why": "not run"})])
def test_a_reason_that_is_none_of_ours_is_none(text):
    assert after.reason_of(text) is None


def test_jobs_without_dependencies_leave_nothing_behind(queue):
    for _ in range(3):
        enqueue(queue)
    while True:
        held = claim(queue)
        if not held:
            break
        settle(queue, held[0], "completed")
    assert rows(queue, "SELECT * FROM settling") == rows(queue, "SELECT * FROM edges") == []


@pytest.mark.parametrize("fate", ["completed", "dead, and brought back"])
def test_what_comes_after_a_job_is_due_with_its_end_where_the_clock_went_back(queue, fate):
    """It was added a day ahead of the clock of now, and waits for no time."""
    before = NOW - 86400
    add(queue, "J")
    add(queue, "c", after=["J"])
    if fate != "completed":
        settle(queue, claim(queue, NOW)[0], "failed", NOW)
        queue.requeue(["J"], ["dead"], before)
    settle(queue, claim(queue, before)[0], "completed", before)
    assert [one.id for one in claim(queue, before)] == ["c"]


# The first of them ends the jobs, the others add what comes after.
ENDS_OR_ADDS = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from storage import Queue
from queuectl_lib import settings
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
queue, maker = Queue(sys.argv[2]), JobMaker(0, "/", 0o022, time.time())
known = settings.Settings(**settings.SETTING_DEFAULTS)
try:
    os.close(os.open(sys.argv[3], os.O_CREAT | os.O_EXCL))
    ends = True
except FileExistsError:
    ends = False
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    if ends:
        (held,) = queue.exchange("w", [], 1, time.time(), known)[1]
        kind = "failed" if number % 2 else "completed"
        queue.exchange("w", [Outcome(held, kind, time.time())], 0, time.time(), known)
    else:
        identifier = "%d-%d" % (os.getpid(), number)
        queue.enqueue(maker.row({"command": "true", "id": identifier, "after": ["J%d" % number]}))
"""


def test_no_race_decides_whether_a_job_may_come_after_one_that_ends_just_then(queue, tmp_path):
    """Added before or after that end, it is added, and comes to the same."""
    now = time.time()
    for number in range(40):
        add(queue, "J%d" % number, priority=100 - number, now=now)
    found = all_at_once(ENDS_OR_ADDS, 4, queue.path, tmp_path / "first")
    assert [code for code, _, _ in found] == [0] * 4, found
    while partly(queue, 1000):
        pass
    children = {one["id"]: one["state"] for one in rows(queue) if not one["id"].startswith("J")}
    assert len(children) == 120
    for child, state in children.items():
        number = int(child.partition("-")[2])
        assert state == ("cancelled" if number % 2 else "pending"), child
