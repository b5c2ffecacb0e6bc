"""Selecting: what meets all conditions is found, and nothing else; in small reads, by an index where there is one."""

import itertools
import json
import random

import pytest
from helpers.queue import NOW, claim, enqueue, raw, rows, settle

from queuectl_lib import times
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.jobs import states
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import cancelling, changing, finding, numbered, opening, requeuing, selecting, showing
from queuectl_lib.store.selecting import Selection

TAGS = ["a", "b", "c"]
TEXTS = ["echo One", "ECHO two", "a%b_c", "\u00c4 echo", "true"]


def selection(**conditions):
    chosen = Selection(conditions.pop("states", states.STATES))
    for name, value in conditions.items():
        assert hasattr(chosen, name), name
        setattr(chosen, name, value)
    return chosen


def found(queue, newest_first=False, **conditions):
    return [seq for seq, _ in selecting.find(queue.database, selection(**conditions), newest_first)]


def ids(queue, **conditions):
    return list(numbered.ids_of(queue.database, selecting.find(queue.database, selection(**conditions))))


def fill(queue, count, seed=0):
    """Jobs of all kinds, put there by the shortest way."""
    chance = random.Random(seed)
    maker = JobMaker(1, "/", 0o022, NOW)
    jobs = [
        {"command": chance.choice(TEXTS), "tags": chance.sample(TAGS, chance.randrange(4)), "id": "j%d" % number}
        for number in range(count)
    ]
    list(queue.enqueue_each((number, maker.row(job)) for number, job in enumerate(jobs)))
    with raw(queue) as connection:
        connection.execute("BEGIN")
        connection.execute("DROP TRIGGER jobs_move")
        connection.execute("INSERT INTO queues (name) VALUES ('other')")
        for seq in range(1, count + 1):
            state = chance.choice(states.STATES)
            waits = state in states.WAITING
            connection.execute(
                "UPDATE jobs SET state = ?, lane = ?, next_run_at = ?, token = ?, created_at = ?, queue = ?,"
                " finished_at = ? WHERE seq = ?",
                (
                    *(state, 0 if waits else None, times.utc_text(NOW) if waits else None),
                    "t" if state == "processing" else None,
                    *(times.utc_text(NOW + chance.randrange(10)), chance.randrange(2)),
                    *(times.utc_text(NOW + seq) if state in states.FINAL else None, seq),
                ),
            )
        connection.execute("COMMIT")


def meets(job, chosen):
    """The conditions in so many words."""
    tags = (job["tags"] or "").split()
    return (
        job["state"] in chosen.states
        and (chosen.ids is None or job["id"] in chosen.ids)
        and (not chosen.queues or ["default", "other"][job["queue"]] in chosen.queues)
        and all(tag in tags for tag in chosen.tags)
        and chosen.match.lower() in job["command"].lower()
        and (chosen.since is None or job["created_at"] >= chosen.since)
        and (chosen.until is None or job["created_at"] <= chosen.until)
        and (chosen.finished_before is None or (job["finished_at"] or "~") < chosen.finished_before)
    )


@pytest.mark.parametrize("read_rows", [3, 1000])
@pytest.mark.parametrize("seed", range(2))
def test_what_meets_all_conditions_is_found_in_order_and_nothing_else(queue, monkeypatch, seed, read_rows):
    monkeypatch.setattr(selecting, "READ_ROWS", read_rows)
    fill(queue, 60, seed)
    everything, chance = rows(queue), random.Random(seed)
    hits = 0
    for _ in range(60):
        chosen = Selection()
        for name, values in (
            ("ids", [None, None, None, ["j7", "j3", "j50", "j51"]]),
            ("states", [states.STATES, states.HOLDING, states.FINAL, ("completed",), ("dead", "pending"), ()]),
            ("queues", [[], [], ["other"], ["default", "other"]]),
            ("tags", [[], [], ["a"], ["b", "a"], TAGS, ["none"]]),
            ("match", ["", "", "EcHo", "%b_", "\u00c4 E", "x"]),
            ("since", [None, None, times.utc_text(NOW + 4)]),
            ("until", [None, None, times.utc_text(NOW + 6)]),
            ("finished_before", [None, None, times.utc_text(NOW + 40)]),
            ("last", [None, None, 1, 5]),
        ):
            setattr(chosen, name, chance.choice(values))
        expected = [row["seq"] for row in everything if meets(row, chosen)]
        expected = expected[-chosen.last :] if chosen.last else expected
        hits += len(expected)
        for newest_first in (False, True):
            got = [seq for seq, _ in selecting.find(queue.database, chosen, newest_first)]
            assert got == (expected[::-1] if newest_first else expected), vars(chosen)
    assert hits > 80


def test_a_text_is_matched_whatever_the_case_of_ascii_and_as_it_is_shown(queue):
    for number, command in enumerate(
        ["echo 100%", "ECHO x_y", "\u00e4", "\u00c4", ["printf", "A b"], ["rsync", "-a", "src/"]]
    ):
        enqueue(queue, id="j%d" % number, command=command)
    for text, expected in (
        ("eCHo", ["j0", "j1"]),
        ("%", ["j0"]),
        ("_", ["j1"]),
        ("\u00e4", ["j2"]),
        ("RSYNC -A", ["j5"]),
        ("a b", ["j4"]),
        ('"', []),
    ):
        assert ids(queue, match=text) == expected, text


def test_the_jobs_of_a_schedule_are_found_by_their_ids(queue, monkeypatch):
    monkeypatch.setattr(selecting, "READ_ROWS", 2)
    for name in ("night@1", "night@2", "night", "night@3", "nightly@1", "night@by-hand", "night@4"):
        enqueue(queue, id=name)
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET schedule = 'night' WHERE id GLOB 'night@[1-9]'")
    assert ids(queue, schedule="night") == ["night@1", "night@2", "night@3", "night@4"]
    assert ids(queue, schedule="night", last=1) == ["night@4"]
    assert ids(queue, schedule="nigh") == []


def test_an_unknown_queue_is_refused_and_so_is_an_unknown_id(queue):
    enqueue(queue, id="job")
    with pytest.raises(BadInput, match='unknown queue "defualt": did you mean default'):
        found(queue, queues=["defualt"])
    with pytest.raises(QueueError, match="no job has the id"):
        found(queue, ids=["job", "nosuch"])


def test_what_is_added_while_one_looks_is_not_meant(queue, monkeypatch):
    monkeypatch.setattr(selecting, "READ_ROWS", 2)
    for number in range(5):
        enqueue(queue, id="j%d" % number)
    walk = selecting.find(queue.database, Selection())
    assert next(walk)[0] == 1
    enqueue(queue, id="late")
    assert [seq for seq, _ in walk] == [2, 3, 4, 5]


def test_a_job_that_changes_its_state_while_one_looks_is_found_once(queue, monkeypatch):
    monkeypatch.setattr(selecting, "READ_ROWS", 2)
    for number in range(6):
        enqueue(queue, id="j%d" % number)
    claim(queue)
    walk = selecting.find(queue.database, selection(states=states.HOLDING))
    seen = [next(walk)[0]]
    settle(queue, claim(queue)[0], "failed")
    seen += [seq for seq, _ in walk]
    assert sorted(set(seen)) == sorted(seen)


class Steps(list):
    """One number for each ten steps of the engine, and how long the longest read was."""


@pytest.fixture
def steps(monkeypatch):
    counted, connect = Steps(), opening.connect

    def connected(*values):
        connection = connect(*values)
        connection.set_progress_handler(lambda: counted.append(10), 10)
        return connection

    monkeypatch.setattr(opening, "connect", connected)
    return counted


@pytest.mark.parametrize(
    "conditions",
    [{"tags": ["rare"]}, {"tags": ["often", "rare"]}, {"states": ["dead"]}, {"schedule": "s"}, {"ids": ["r1", "r2"]}],
    ids=str,
)
def test_few_are_found_among_many_in_as_many_steps_as_among_few(queue, monkeypatch, steps, conditions):
    monkeypatch.setattr(selecting, "READ_ROWS", 20)
    maker = JobMaker(0, "/", 0o022, NOW)
    for name in ("r1", "r2"):
        enqueue(queue, 0, id=name, tags=["rare", "often"])
        settle(queue, claim(queue)[0], "failed")
    for name in ("s@1", "s@2"):
        enqueue(queue, id=name)
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET schedule = 's' WHERE id GLOB 's@*'")
    took = []
    for size in (100, 2000):
        many = [
            maker.row({"command": "true", "id": "m%d-%d" % (size, number), "tags": ["often"]}) for number in range(size)
        ]
        list(queue.enqueue_each(enumerate(many)))
        del steps[:]
        assert len(found(queue, **conditions)) == 2
        took.append(sum(steps))
    assert took[1] < 1.2 * took[0] + 200, took


def test_no_read_looks_at_more_rows_than_so_many(queue, monkeypatch, steps):
    """However few of them fit: a reader that stays keeps the log from being written back."""
    monkeypatch.setattr(selecting, "READ_ROWS", 50)
    maker = JobMaker(0, "/", 0o022, NOW)
    list(queue.enqueue_each((number, maker.row({"command": "true"})) for number in range(3000)))
    longest, reading = [0], queue.database.reading

    def measured():
        longest.append(sum(steps))
        return reading()

    monkeypatch.setattr(queue.database, "reading", measured)
    assert found(queue, match="nothing of the kind") == []
    longest.append(sum(steps))
    reads = [after - before for before, after in zip(longest, longest[1:])]
    assert len(reads) >= 60 and max(reads[1:]) < 50 * 40, max(reads)


# ---------------------------------------------------------------- a beginning of an id


def test_a_beginning_means_the_only_made_id_that_begins_so(queue):
    for name in ("2k2wmdx94bjz", "2k2wme1wtf6w", "3k2wme1wtf6w", "2k2", "3k", "3kay", "4k2wme1wtf6w4", "5k2wme1wtf6u"):
        enqueue(queue, id=name)
    database = queue.database
    assert finding.in_full(database, ["2k2wmd", "3k2", "2k2", "2k2wmdx94bjz"]) == [
        "2k2wmdx94bjz",
        "3k2wme1wtf6w",
        "2k2",
    ]
    assert finding.in_full(database, ["3k"]) == ["3k"], "an id that is there comes before a beginning"
    for word in ("4", "5", "9", "3ka", "K", "no:such"):
        assert finding.in_full(database, [word]) == [word], "only ids that were made can be meant so"
    with pytest.raises(QueueError, match="more than one id begins with 2k2w: 2k2wmdx94bjz, 2k2wme1wtf6w$"):
        finding.in_full(database, ["2k2w"])
    enqueue(queue, id="2k2wme1wtf6x")
    with pytest.raises(QueueError, match="2k2wmdx94bjz, 2k2wme1wtf6w and others"):
        finding.in_full(database, ["3k", "2"])


# ---------------------------------------------------------------- changed, a few at a time


def few(monkeypatch, count=2):
    monkeypatch.setattr(changing, "ROWS", count)
    monkeypatch.setattr(changing, "YIELD_SECONDS", 0)


def cancel(queue, guard=states.HOLDING, tell=lambda: None, **conditions):
    verb = cancelling.Cancelling(guard, NOW)
    cancelling.cancel_all(queue.database, selection(**conditions), verb, tell)
    return verb


def test_each_transaction_changes_a_few_and_is_told_of(queue, monkeypatch):
    few(monkeypatch)
    for number in range(5):
        enqueue(queue, id="j%d" % number)
    sums = []
    verb = cancelling.Cancelling(states.HOLDING, NOW)
    chosen = selection(states=states.HOLDING)
    cancelling.cancel_all(queue.database, chosen, verb, lambda: sums.append((verb.found, verb.changed)))
    assert sums == [(2, 2), (4, 4), (5, 5)]
    assert {row["state"] for row in rows(queue)} == {"cancelled"}


@pytest.mark.parametrize("how", ["cancel", "requeue", "delete"])
def test_what_fits_no_more_when_its_turn_comes_is_left_as_it_is(queue, monkeypatch, how):
    """It was found in a state that it has left since: the guard of the verb holds."""
    from queuectl_lib.store import pruning

    few(monkeypatch)
    for number in range(4):
        enqueue(queue, 0, id="j%d" % number)
    for held in claim(queue, want=4):
        settle(queue, held, "failed")
    if how == "cancel":
        queue.requeue(["j%d" % number for number in range(4)], ["dead"], NOW)

    def meanwhile():
        if how == "cancel" and finding.states_of(queue.database, ["j3"]) == ["pending"]:
            (last,) = [held for held in claim(queue, want=9) if held.id == "j3"]
            settle(queue, last, "completed")
        elif how != "cancel" and finding.states_of(queue.database, ["j3"]) == ["dead"]:
            queue.requeue(["j3"], ["dead"], NOW)
            settle(queue, claim(queue, want=9)[-1], "completed")

    chosen = selection(states=["dead"])
    pairs = selecting.find(queue.database, chosen)
    if how == "cancel":
        verb = cancel(queue, tell=meanwhile, states=states.HOLDING)
    elif how == "requeue":
        verb = requeuing.Requeuing(["dead"], NOW)
        requeuing.requeue_all(queue.database, pairs, verb, meanwhile)
    else:
        verb = pruning.Deleting(["dead"])
        pruning.delete(queue.database, pairs, verb, meanwhile)
    assert finding.states_of(queue.database, ["j3"]) == ["completed"]
    assert verb.changed + len(getattr(verb, "asked", ())) == 3


def test_a_cancel_also_reaches_what_begins_to_run_while_it_goes_on(queue, monkeypatch):
    """It has left the states that were looked through before, and is in one that was looked through already."""
    few(monkeypatch)
    monkeypatch.setattr(selecting, "READ_ROWS", 2)
    for number in range(8):
        enqueue(queue, id="j%d" % number, priority=number)  # a claim takes the last first
    claimed = []

    def meanwhile():
        if not claimed:
            claimed.extend(claim(queue, want=2))
            enqueue(queue, id="late")

    verb = cancel(queue, tell=meanwhile, states=states.HOLDING)
    assert sorted(verb.asked) == ["j6", "j7"] and verb.changed == 6
    assert {row["id"] for row in rows(queue) if row["state"] == "processing" and row["cancel_requested"]} == {
        "j6",
        "j7",
    }
    assert finding.states_of(queue.database, ["late"]) == ["pending"], "it came later"


def test_one_that_was_to_wait_only_is_not_cancelled_once_it_runs(queue, monkeypatch):
    few(monkeypatch)
    for number in range(4):
        enqueue(queue, id="j%d" % number, priority=number)
    verb = cancel(queue, guard=["pending"], tell=lambda: claim(queue), states=["pending"])
    assert verb.changed == 3 and not verb.asked
    assert finding.states_of(queue.database, ["j3"]) == ["processing"]


def test_one_that_the_database_refuses_to_change_holds_up_no_other(queue, monkeypatch):
    few(monkeypatch)
    for number in range(9):
        enqueue(queue, id="j%d" % number)
    with raw(queue) as connection:
        for number, how in ((1, "RAISE(ABORT, 'kept')"), (2, "RAISE(IGNORE)"), (3, "RAISE(FAIL, 'so')")):
            connection.execute(
                "CREATE TRIGGER k%d BEFORE UPDATE ON jobs WHEN OLD.id = 'j%d' BEGIN SELECT %s; END"
                % (number, number, how)
            )
    verb = cancel(queue, states=states.HOLDING)
    assert (verb.changed, verb.refused, [name for name, _ in verb.named]) == (6, 3, ["j1", "j2", "j3"])


def test_of_many_that_are_refused_only_some_are_kept_in_mind(queue):
    for _ in range(20):
        enqueue(queue)
    with raw(queue) as connection:
        connection.execute("CREATE TRIGGER k BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'kept'); END")
    verb = cancel(queue, states=states.HOLDING)
    assert (verb.changed, verb.refused, len(verb.named)) == (0, 20, changing.NAMED)


# ---------------------------------------------------------------- listed


def test_the_newest_so_many_come_oldest_first_however_many_those_are(queue, monkeypatch):
    monkeypatch.setattr(selecting, "READ_ROWS", 4)
    for number in range(11):
        enqueue(queue, id="j%d" % number)
    for limit in (None, 1, 3, 4, 5, 10, 11, 12):
        pairs, more = selecting.newest(queue.database, Selection(), limit)
        wanted = list(range(1, 12))[-limit:] if limit else list(range(1, 12))
        assert ([seq for seq, _ in pairs], more) == (wanted, bool(limit and limit < 11)), limit


def test_a_job_that_is_gone_or_in_another_state_by_now_is_not_listed(queue, monkeypatch):
    monkeypatch.setattr(showing, "AT_ONCE", 2)
    for number in range(6):
        enqueue(queue, id="j%d" % number)
    jobs = showing.in_order(queue.database, selecting.find(queue.database, selection(states=["pending"])), ["pending"])
    assert next(jobs)["id"] == "j0"
    with raw(queue) as connection:
        connection.execute("DELETE FROM jobs WHERE id = 'j3'")
    queue.cancel(["j4"], NOW)
    assert [job["id"] for job in jobs] == ["j1", "j2", "j5"]


def test_what_is_listed_one_after_the_other_is_what_is_listed_at_once(queue):
    for number in range(5):
        enqueue(queue, id="j%d" % number, tags=["t"] * (number % 2), command=["a", "b"] if number % 2 else "true")
    listed = list(showing.in_order(queue.database, selecting.find(queue.database, Selection()), states.STATES))
    assert json.dumps(listed) == json.dumps(showing.jobs(queue.database, (), 10)[0])
    assert list(itertools.islice(listed, 1))[0]["id"] == "j0"
