"""A canary: one of a group goes first with one attempt; others follow its success, nothing its failure."""

import pytest
from helpers.queue import NOW, SETTINGS, claim, claim_one, enqueue, raw, requeue_dead, rows

from queuectl_lib import times
from queuectl_lib.errors import QueueError
from queuectl_lib.host import failpoints
from queuectl_lib.jobs import states
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import canary, claiming, edges, ending, following, identity, outlook, pruning, selecting
from queuectl_lib.store.selecting import Selection

LATER = NOW + 60


def outcome(held, kind=states.FAILED, line="boom", code=1, now=NOW):
    found = Outcome(held, kind, now, None if kind == states.COMPLETED else "exit code 1")
    found.exit_code = None if kind in (states.LOST, states.GIVEN_BACK) else 0 if kind == states.COMPLETED else code
    found.error_line = line
    return found


def dead(queue, count=1, line="boom", **fields):
    """So many dead jobs of one group; their ids, the oldest first."""
    maker = JobMaker(fields.pop("max_retries", 0), "/", 0o022, NOW)
    made = [(n, maker.row(dict({"command": "true"}, **fields))) for n in range(count)]
    ids = list(queue.enqueue_each(made))
    while True:
        held = claim(queue, want=500)
        if not held:
            return [str(one) for one in ids]
        queue.exchange("w-1", [outcome(one, line=line) for one in held], 0, NOW, SETTINGS)


def send(queue, **conditions):
    """As `dlq retry --group G --canary`, of the group of the oldest dead job."""
    signature = next(row["signature"] for row in rows(queue) if row["state"] == "dead")
    selection = Selection(["dead"])
    selection.signature = signature
    for name, value in conditions.items():
        setattr(selection, name, value)
    return canary.send(queue.database, selecting.find(queue.database, selection), signature, LATER, lambda: None)


def end(queue, kind=states.COMPLETED, line="boom", now=LATER):
    """End what is due first so; the exchange's answer."""
    held = claim_one(queue, now)
    queue.exchange("w-1", [outcome(held, kind, line, now=now)], 0, now, SETTINGS)
    return held


def states_of(queue):
    return [row["state"] for row in rows(queue)]


def settling_of(queue):
    return rows(queue, "SELECT * FROM settling")


def test_the_oldest_goes_first_with_one_attempt_and_the_others_wait_dead(queue):
    ids = dead(queue, 4, max_retries=0)
    sent = send(queue)
    assert (sent.id, sent.waiting, sent.held, sent.behind) == (ids[0], 3, 0, 0)
    assert states_of(queue) == ["pending", "dead", "dead", "dead"]
    assert len({row["release"] for row in rows(queue)} - {None}) == 1
    [release] = rows(queue, "SELECT * FROM releases")
    assert release["batch"] == 1 and release["waiting"] == 3 and release["begun_at"] == times.utc_text(LATER)


def test_its_success_lets_the_others_go_in_the_same_transaction_as_ordinary_retries(queue):
    ids = dead(queue, 4)
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET max_retries = 5")
    send(queue)
    held = claim_one(queue, LATER)
    refused, claims, more = queue.exchange("w-1", [outcome(held, states.COMPLETED)], 9, LATER, SETTINGS)
    assert refused == [] and [one.id for one in claims] == ids[1:], "claimed in the very transaction"
    assert [one.max_retries for one in claims] == [5, 5, 5] and [one.attempts for one in claims] == [1, 1, 1]
    first = rows(queue)[0]
    assert first["state"] == "completed" and first["max_retries"] == 5
    assert first["release"] is first["signature"] is None and settling_of(queue) == []
    queue.exchange("w-1", [outcome(one) for one in claims], 0, LATER, SETTINGS)
    assert states_of(queue) == ["completed"] + ["failed"] * 3, "these have their retries"


@pytest.mark.parametrize("kind", [states.FAILED, states.TIMED_OUT, states.LOST])
def test_its_failure_touches_nothing_else_whatever_retries_it_has(queue, kind):
    dead(queue, 4)
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET max_retries = 5")
    sent = send(queue)
    before = rows(queue)[1:]
    held = end(queue, kind)
    assert held.max_retries == 0, "one attempt"
    assert rows(queue)[1:] == before and rows(queue)[0]["state"] == "dead"
    assert rows(queue)[0]["max_retries"] == 5, "not for good"
    assert rows(queue)[0]["runs"] == 2, "its history is kept"
    told = canary.failed_first(queue.database, sent.id)
    assert told["stay"] == 3 and told["alike"] is (kind == states.FAILED), "with another signature too it is a failure"
    assert settling_of(queue) == [] and canary.firsts(queue.database) == {}


def test_what_is_given_back_goes_on_as_the_first(queue):
    dead(queue, 3)
    sent = send(queue)
    end(queue, states.GIVEN_BACK)
    assert canary.firsts(queue.database)[rows(queue)[1]["signature"]] == {"id": sent.id, "waiting": 2}
    assert end(queue, states.FAILED).max_retries == 0
    assert states_of(queue) == ["dead"] * 3


def test_one_that_is_adopted_is_still_the_first(queue):
    dead(queue, 2)
    send(queue)
    held = claim_one(queue, LATER)
    adopted, _ = claiming.running_attempt(queue.database, held.seq, held.token)
    assert adopted.max_retries == 0
    queue.exchange("w-2", [outcome(adopted, states.COMPLETED)], 0, LATER, SETTINGS)
    assert states_of(queue) == ["completed", "pending"]


def test_one_that_ran_when_a_copy_was_taken_has_failed_there(queue):
    dead(queue, 2)
    send(queue)
    claim_one(queue, LATER)
    with queue.database.writing() as connection:
        origin = {"path": queue.path}
        identity.part_from(connection, origin, lambda c, o: ending.settle(c, o, SETTINGS), LATER)
    assert states_of(queue) == ["dead", "dead"] and canary.firsts(queue.database) == {}


# ---------------------------------------------------------------- many, in several transactions


class Killed(BaseException):
    pass


def die(name):
    if name == "exchange.before-commit":
        raise Killed


def test_of_2500_those_that_follow_go_at_most_a_thousand_in_a_transaction_and_a_kill_loses_none(queue, monkeypatch):
    dead(queue, 2501)
    send(queue)
    end(queue)
    pending = [states_of(queue).count("pending")]
    assert len(settling_of(queue)) == 1, "the rest is noted"
    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "failpoint", die)
        with pytest.raises(Killed):
            queue.exchange("w-2", [], 0, LATER, SETTINGS)
    while settling_of(queue):
        queue.exchange("w-2", [], 0, LATER, SETTINGS)
        pending.append(states_of(queue).count("pending"))
    assert pending == [1000, 2000, 2500]
    [release] = rows(queue, "SELECT * FROM releases")
    assert release["waiting"] == 0 and release["batch"] < 0


def test_a_cut_between_two_of_them_leaves_the_rest_to_the_next_one_who_writes(queue, monkeypatch):
    monkeypatch.setattr(following, "MOST_AT_ONCE", 2)
    ids = dead(queue, 6)
    send(queue)

    held = claim_one(queue, LATER)
    for kills in (True, False):
        with monkeypatch.context() as patch:
            if kills:
                patch.setattr(failpoints, "failpoint", die)
                with pytest.raises(Killed):
                    queue.exchange("w-1", [outcome(held, states.COMPLETED)], 0, LATER, SETTINGS)
                assert states_of(queue) == ["processing"] + ["dead"] * 5 and settling_of(queue) == [], "neither"
            else:
                queue.exchange("w-1", [outcome(held, states.COMPLETED)], 0, LATER, SETTINGS)
                assert states_of(queue) == ["completed", "pending", "pending", "dead", "dead", "dead"], "both"
    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "failpoint", die)
        with pytest.raises(Killed):
            queue.exchange("w-2", [], 0, LATER, SETTINGS)
    assert states_of(queue).count("pending") == 2
    queue.exchange("w-2", [], 0, LATER, SETTINGS)
    assert states_of(queue).count("pending") == 4
    other = enqueue(queue)
    queue.cancel([other], LATER)  # whoever writes next, and a call goes on to the end
    assert states_of(queue)[:6] == ["completed"] + ["pending"] * 5 and ids


def test_a_worker_that_is_idle_goes_on_with_the_rest(queue, monkeypatch):
    """One that was killed, or had no more to do, may have been the only one that was busy."""
    monkeypatch.setattr(following, "MOST_AT_ONCE", 1)
    dead(queue, 3)
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET queue = 7")  # nothing of it is due here
    assert outlook.under_way(queue.database, LATER)[1] is None
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET queue = 0")
    send(queue)
    held = claim_one(queue, LATER)
    refused, claims, more = queue.exchange("w-1", [outcome(held, states.COMPLETED)], 0, LATER, SETTINGS)
    assert more, "the bell is rung for others"
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET queue = 7")
    assert outlook.under_way(queue.database, LATER)[1] is not None, "whoever looks finds that something is to be done"


def test_of_very_many_other_dead_jobs_only_some_are_looked_at_in_a_transaction(queue, monkeypatch):
    monkeypatch.setattr(following, "READ_ROWS", 3)
    dead(queue, 1)
    dead(queue, 7, line="else")
    dead(queue, 2)
    send(queue)
    end(queue)
    steps = 0
    while settling_of(queue):
        queue.exchange("w-1", [], 0, LATER, SETTINGS)
        steps += 1
    assert states_of(queue) == ["completed"] + ["dead"] * 7 + ["pending"] * 2 and steps >= 2


# ---------------------------------------------------------------- who follows


def test_who_died_since_or_has_another_error_does_not_follow(queue):
    dead(queue, 2)
    dead(queue, 1, line="else")
    send(queue)
    dead_since = enqueue(queue, max_retries=0, now=NOW - 9)
    held = claim(queue, want=2)
    newcomer = next(one for one in held if one.id == dead_since)
    first = next(one for one in held if one.id != dead_since)
    queue.exchange("w-1", [outcome(newcomer)], 0, LATER, SETTINGS)
    queue.exchange("w-1", [outcome(first, states.COMPLETED)], 0, LATER, SETTINGS)
    assert states_of(queue) == ["completed", "pending", "dead", "dead"]


def test_who_was_put_back_by_hand_and_died_again_does_not_follow(queue):
    ids = dead(queue, 3)
    send(queue)
    first = claim_one(queue, LATER)
    queue.requeue([ids[1]], ["dead"], LATER)
    queue.exchange("w-1", [outcome(claim_one(queue, LATER))], 0, LATER, SETTINGS)
    queue.exchange("w-1", [outcome(first, states.COMPLETED)], 0, LATER, SETTINGS)
    assert states_of(queue) == ["completed", "dead", "pending"]


def test_only_those_that_were_meant_follow(queue):
    dead(queue, 2, tags=["x"])
    dead(queue, 1)
    dead(queue, 3, tags=["x"])
    assert send(queue, tags=["x"], oldest=4).waiting == 3
    end(queue)
    assert states_of(queue) == ["completed", "pending", "dead", "pending", "pending", "dead"]


def test_a_key_that_is_held_meanwhile_is_passed_over_and_counted(queue):
    dead(queue, 1)
    dead(queue, 1, unique="k")
    dead(queue, 1)
    send(queue)
    first = claim_one(queue, LATER)
    enqueue(queue, unique="k")
    queue.exchange("w-1", [outcome(first, states.COMPLETED)], 0, LATER, SETTINGS)
    assert states_of(queue) == ["completed", "dead", "pending", "pending"]
    assert rows(queue, "SELECT waiting FROM releases")[0]["waiting"] == 1, "how many could not"


def test_where_the_key_of_the_oldest_is_held_the_next_one_goes_first(queue):
    ids = dead(queue, 1, unique="k") + dead(queue, 2)
    enqueue(queue, unique="k")
    sent = send(queue)
    assert (sent.id, sent.waiting, sent.held) == (ids[1], 1, 1)


def test_where_none_can_go_none_does(queue):
    dead(queue, 1, unique="k")
    enqueue(queue, unique="k")
    with pytest.raises(QueueError, match="none of the oldest 1 can go"):
        send(queue)
    assert states_of(queue) == ["dead", "pending"] and canary.firsts(queue.database) == {}


def test_two_with_one_key_that_follow_do_not_both(queue):
    dead(queue, 1)
    dead(queue, 1, unique="k")
    dead(queue, 1, unique="k")
    send(queue)
    end(queue)
    assert states_of(queue) == ["completed", "pending", "dead"]


def test_what_comes_after_those_that_follow_comes_back_with_them(queue):
    ids = dead(queue, 2)
    child = enqueue(queue, after=[ids[1]])
    assert states_of(queue)[2] == "cancelled", child
    send(queue)
    end(queue)
    while settling_of(queue):
        queue.exchange("w-1", [], 0, LATER, SETTINGS)
    assert states_of(queue) == ["completed", "pending", "pending"]
    assert rows(queue)[2]["lane"] == 2


def test_locked_ones_follow_one_at_a_time(queue):
    dead(queue, 3, lock="l")
    send(queue)
    held = claim_one(queue, LATER)
    _, claims, _ = queue.exchange("w-1", [outcome(held, states.COMPLETED)], 5, LATER, SETTINGS)
    assert len(claims) == 1 and states_of(queue).count("pending") == 1


# ---------------------------------------------------------------- what ends it otherwise


def test_a_second_is_refused_while_the_first_waits_or_runs(queue):
    dead(queue, 3)
    sent = send(queue)
    for step in (lambda: None, lambda: claim_one(queue, LATER)):
        step()
        with pytest.raises(QueueError, match="job %s goes first for this group already" % sent.id):
            send(queue)
    assert states_of(queue) == ["processing", "dead", "dead"]


def test_a_second_is_refused_while_others_follow(queue, monkeypatch):
    monkeypatch.setattr(following, "MOST_AT_ONCE", 1)
    dead(queue, 4)
    send(queue)
    end(queue)
    with pytest.raises(QueueError, match="not all have gone yet"):
        send(queue)


def test_one_of_another_group_may_go_meanwhile(queue):
    dead(queue, 2)
    send(queue)
    dead_else = enqueue(queue, max_retries=0, now=NOW - 9)
    held = claim_one(queue)
    assert held.id == dead_else
    queue.exchange("w-1", [outcome(held, line="else")], 0, NOW, SETTINGS)
    signature = rows(queue)[2]["signature"]
    selection = Selection(["dead"])
    selection.signature = signature
    found = selecting.find(queue.database, selection)
    assert canary.send(queue.database, found, signature, LATER, lambda: None).id == dead_else
    assert len(canary.firsts(queue.database)) == 2


@pytest.mark.parametrize("running", [False, True])
def test_cancelled_it_ends_and_put_back_later_it_is_an_ordinary_job(queue, running):
    dead(queue, 3)
    sent = send(queue)
    held = claim_one(queue, LATER) if running else None
    queue.cancel([sent.id], LATER)
    if running:
        queue.exchange("w-1", [outcome(held, states.CANCELLED)], 0, LATER, SETTINGS)
    assert states_of(queue) == ["cancelled", "dead", "dead"] and canary.firsts(queue.database) == {}
    queue.requeue([sent.id], ["cancelled"], LATER)
    end(queue)
    assert states_of(queue) == ["completed", "dead", "dead"]


def test_cancelled_for_what_it_comes_after_and_revived_it_is_an_ordinary_job(queue):
    ids = dead(queue, 2)
    send(queue)
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET state = 'cancelled', lane = NULL, next_run_at = NULL, reason = ?"
                           " WHERE seq = 1", ('{"kind":"after"}',))
    with queue.database.writing() as connection:
        edges.do_each(connection, edges.REVIVE_CHILD, [(times.utc_text(LATER), times.utc_text(LATER), 1)])
    assert rows(queue)[0]["state"] == "pending" and rows(queue)[0]["release"] is None
    end(queue)
    assert states_of(queue) == ["completed", "dead"], ids


def test_deleted_it_ends(queue):
    dead(queue, 2)
    send(queue)
    end(queue, states.FAILED)
    verb = pruning.Deleting(["dead"])
    selection = Selection(["dead"])
    selection.oldest = 1
    pruning.delete(queue.database, selecting.find(queue.database, selection), verb, lambda: None)
    assert states_of(queue) == ["dead"] and canary.firsts(queue.database) == {}
    assert send(queue).waiting == 0


def test_after_it_has_failed_another_may_go(queue):
    dead(queue, 3)
    send(queue)
    end(queue, states.FAILED)
    assert send(queue).waiting == 2
    end(queue)
    assert states_of(queue) == ["completed", "pending", "pending"]


def test_all_can_be_put_back_by_hand_as_ever(queue):
    dead(queue, 3)
    send(queue)
    assert requeue_dead(queue, LATER)[0] == 2
    end(queue)
    assert states_of(queue) == ["completed", "pending", "pending"] and settling_of(queue) == []
    assert [row["release"] for row in rows(queue)] == [None] * 3


def test_a_kill_before_the_first_has_gone_leaves_nothing_that_means_anything(queue, monkeypatch):
    dead(queue, 3)

    def stop(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(canary, "go", stop)
        with pytest.raises(Killed):
            send(queue)
    assert states_of(queue) == ["dead"] * 3 and canary.firsts(queue.database) == {}
    assert send(queue).waiting == 2


def test_the_rows_of_what_has_ended_are_few_and_no_number_is_given_twice(queue, monkeypatch):
    monkeypatch.setattr(canary, "KEPT_RELEASES", 2)
    dead(queue, 2)
    seen = set()
    for _ in range(5):
        send(queue)
        seen |= {row["id"] for row in rows(queue, "SELECT id FROM releases")}
        end(queue, states.FAILED)
    assert len(rows(queue, "SELECT * FROM releases")) == 2 and len(seen) == 5


DAMAGE = (
    "DELETE FROM releases",
    "UPDATE releases SET batch = 'x'",
    "UPDATE releases SET batch = x'ff', waiting = 'many'",
    "UPDATE releases SET waiting = NULL || x'00', signature = x'ff', begun_at = 5",
    "UPDATE releases SET batch = 999",
    "UPDATE releases SET batch = -1",
    "UPDATE releases SET id = 7",
    "UPDATE jobs SET release = 3 WHERE state = 'dead'",
    "INSERT INTO settling VALUES (-5, 'follow')",
    "INSERT INTO settling VALUES (5, 'follow')",
    "INSERT INTO settling SELECT -id, 'follow' FROM releases",
)


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("kind", [states.COMPLETED, states.FAILED])
def test_damaged_rows_stop_nobody_and_let_nobody_go_that_should_not(queue, how, kind):
    dead(queue, 3)
    sent = send(queue)
    held = claim_one(queue, LATER)
    with raw(queue) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        try:
            connection.execute(how)
        except Exception as error:
            assert "NOT NULL" in str(error)
    assert queue.exchange("w-1", [outcome(held, kind)], 0, LATER, SETTINGS)[0] == []
    for _ in range(3):
        queue.exchange("w-1", [], 0, LATER, SETTINGS)
    assert settling_of(queue) == []
    if kind == states.FAILED:
        assert states_of(queue) == ["dead"] * 3
    assert states_of(queue)[0] == kind if kind == states.COMPLETED else "dead"
    canary.firsts(queue.database)
    canary.failed_first(queue.database, sent.id)


def test_a_trigger_of_somebodys_that_keeps_one_dead_keeps_no_other(queue):
    ids = dead(queue, 4)
    with raw(queue) as connection:
        connection.execute(
            "CREATE TRIGGER own BEFORE UPDATE OF state ON jobs WHEN OLD.seq IN (2, 3) AND NEW.state = 'pending' BEGIN"
            " SELECT CASE OLD.seq WHEN 2 THEN RAISE(ABORT, 'mine') ELSE RAISE(IGNORE) END; END"
        )
    send(queue)
    end(queue)
    assert states_of(queue) == ["completed", "dead", "dead", "pending"], ids
