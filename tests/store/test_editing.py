"""Editing and holding in the storage: what changes, where a job stands then, and what a claim in between leaves."""

import json
import os

import pytest
from helpers.marks import posix_only
from helpers.queue import NOW, claim, claim_one, enqueue, everything, in_full, raw, rows, set_queue, settle

from queuectl_lib.errors import BadInput, HostError, QueueError
from queuectl_lib.host import bell, failpoints, shells
from queuectl_lib.jobs.changes import Change
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import editing, holding, locking, opening, placing, queues
from storage import Queue

LATER = NOW + 60


def changed(emptied=(), env=None, unset=(), tags=(), untags=(), now=LATER, **asked):
    change = Change(JobMaker(3, "/", 0o022, now), asked, emptied)
    change.with_variables(env or {}, unset)
    change.with_tags(tags, untags)
    return change


def edit(queue, /, *ids, **how):
    return editing.edit(queue.database, ids, changed(**how), LATER)


def row(queue, identifier):
    return next(job for job in rows(queue) if job["id"] == identifier)


def failed(queue, identifier, now=NOW, **fields):
    """A job whose first attempt has failed, to be tried again 2 s later."""
    enqueue(queue, id=identifier, max_retries=3, now=now, **fields)
    assert settle(queue, claim_one(queue, now), "failed", now)
    return identifier


def stand(queue, identifier, lane):
    """Put a waiting job into *lane* as what is built on it would: behind an open edge, or parked for its lock."""
    with raw(queue) as connection:
        if lane == 2:
            connection.execute(
                "INSERT INTO edges (child, parent, parent_id, wants, state)"
                " SELECT seq, NULL, 'parent', 1, 1 FROM jobs WHERE id = ?",
                (identifier,),
            )
        connection.execute("UPDATE jobs SET lane = ? WHERE id = ?", (lane, identifier))


# ---------------------------------------------------------------- what changes

ROWS = [
    ({"priority": -5}, {"priority": -5}),
    ({"max_retries": 9}, {"max_retries": 9}),
    ({"timeout": "1m"}, {"timeout": 60.0}),
    ({"emptied": ["timeout"]}, {"timeout": None}),
    ({"lock": "other"}, {"lock_key": "other"}),
    ({"emptied": ["lock"]}, {"lock_key": None}),
    ({"queue": "default"}, {"queue": 0}),
    ({"cwd": "sub"}, {"cwd": os.sep + "sub"}),
    ({"command": "echo b"}, {"command": "echo b", "is_list": 0}),
    ({"command": ["b", "c d"]}, {"command": '["b", "c d"]', "is_list": 1}),
    ({"env": {"B": "2"}}, {"env": '{"A": "1", "B": "2"}'}),
    ({"env": {"A": "3"}}, {"env": '{"A": "3"}'}),
    ({"unset": ["A"]}, {"env": None}),
    ({"tags": ["y"], "untags": ["x"]}, {"tags": "y"}),
    ({"untags": ["x"]}, {"tags": None}),
    ({"run_at": "2027-02-01T00:00:00Z"}, {"run_at": "2027-02-01T00:00:00.000000Z", "lane": 1}),
    ({"delay": "10m"}, {"run_at": "2027-01-15T08:11:00.000000Z", "lane": 1}),
    ({"delay": 0}, {"run_at": "2027-01-15T08:01:00.000000Z", "lane": 0}),
]
RICH = {"command": "echo a", "timeout": 5, "lock": "key", "env": {"A": "1"}, "tags": ["x"], "max_retries": 3}


@pytest.mark.parametrize("kind", ["pending", "later", "failed", "held"])
@pytest.mark.parametrize(("how", "expected"), ROWS, ids=[json.dumps(one) for one, _ in ROWS])
def test_an_edit_changes_what_was_asked_for_and_nothing_else(queue, kind, how, expected):
    if kind == "failed":
        failed(queue, "job", **{key: value for key, value in RICH.items() if key != "max_retries"})
    else:
        enqueue(queue, id="job", hold=kind == "held", **dict(RICH, **({"delay": "1h"} if kind == "later" else {})))
    before = row(queue, "job")
    edit(queue, "job", **how)
    expected = dict(expected, updated_at="2027-01-15T08:01:00.000000Z")
    if "run_at" in expected:
        expected["next_run_at"] = expected["run_at"]
    if kind == "failed" and {"priority", "lock_key", "queue"} & set(expected):
        expected["lane"] = 0  # its time had come, and nobody had promoted it yet
    if kind == "held":
        expected["lane"] = 3
    assert row(queue, "job") == dict(before, **expected)
    assert placing.misplaced(queue.database, "2027-01-15T08:01:00.000000Z") == []


def test_tags_are_given_and_taken(queue):
    enqueue(queue, id="job", tags=["a", "b"])
    enqueue(queue, id="other", tags=["a"])
    found = edit(queue, "job", "other", tags=["c", "b"], untags=["a"])
    assert [job["tags"] for job in found] == [["b", "c"], ["b", "c"]]
    for job in found:
        assert dict(job, history=[], depended_on=[], result=None) == in_full(queue, job["id"]), "as it is then"


def test_a_job_has_at_most_16_tags(queue):
    enqueue(queue, id="job", tags=["t%d" % number for number in range(15)])
    edit(queue, "job", tags=["t14", "new"])
    with pytest.raises(QueueError, match="job job would have 17 tags: at most 16: nothing was changed"):
        edit(queue, "job", tags=["one"])
    edit(queue, "job", tags=["one"], untags=["new"])


@pytest.mark.parametrize(
    ("how", "words"),
    [({"unset": ["B"]}, 'job two has no variable "B"'), ({"untags": ["y"]}, 'job two has no tag "y"')],
)
def test_what_is_not_there_cannot_be_taken_and_then_no_job_is_changed(queue, how, words):
    enqueue(queue, id="one", env={"B": "1"}, tags=["y"])
    enqueue(queue, id="two", env={"A": "1"}, tags=["x"])
    before = everything(queue), rows(queue, "SELECT * FROM tags")
    with pytest.raises(QueueError, match=words + ": nothing was changed"):
        edit(queue, "one", "two", priority=1, **how)
    assert before == (everything(queue), rows(queue, "SELECT * FROM tags"))


def test_two_edits_of_different_variables_and_tags_both_stand(queue, monkeypatch):
    """The later one wins field by field: what it does not name it does not put back."""
    enqueue(queue, id="job", env={"A": "1"}, tags=["x"])
    between(monkeypatch, lambda: edit(queue, "job", env={"B": "2"}, tags=["y"], priority=7))
    edit(queue, "job", env={"C": "3"}, untags=["x"], timeout=9)
    job = in_full(queue, "job")
    assert (job["env"], job["tags"]) == ({"A": "1", "B": "2", "C": "3"}, ["y"])
    assert (job["priority"], job["timeout"]) == (7, 9)


@posix_only
def test_variables_that_no_shell_here_hands_on_are_refused_as_in_add(queue, monkeypatch):
    monkeypatch.setattr(shells, "hands_on", lambda shell: False)
    monkeypatch.setattr(shells, "bash", lambda: None)
    enqueue(queue, id="text", command="echo a; echo b")
    enqueue(queue, id="list", command=["printenv"], env={"a.b": "1"})
    before = everything(queue)
    with pytest.raises(BadInput, match="env: /bin/sh does not hand"):
        edit(queue, "text", env={"a.b": "1"})
    with pytest.raises(BadInput, match="env: /bin/sh does not hand"):
        edit(queue, "list", command="echo a; echo b")
    assert everything(queue) == before
    edit(queue, "list", command="echo a; echo b", unset=["a.b"])


def test_variables_that_somebody_has_damaged_are_not_written_over(queue):
    enqueue(queue, id="job")
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET env = '[1]'")
    with pytest.raises(QueueError, match="job job: its env cannot be read: nothing was changed"):
        edit(queue, "job", env={"A": "1"})
    edit(queue, "job", priority=2)
    assert row(queue, "job")["env"] == "[1]"


# ---------------------------------------------------------------- where it stands then


@pytest.mark.parametrize("lane", [2, 3, 4])
@pytest.mark.parametrize(
    "how", [{"priority": 3}, {"run_at": "2030-01-01"}, {"queue": "default"}, {"lock": "b"}, {"delay": 0}]
)
def test_where_a_job_stands_after_an_edit_is_what_place_says(queue, lane, how):
    enqueue(queue, id="job", lock="a", hold=lane == 3)
    if lane != 3:
        stand(queue, "job", lane)
    edit(queue, "job", **how)
    assert row(queue, "job")["lane"] == (lane if lane < 4 else int("run_at" in how))


@pytest.mark.parametrize("how", [{"timeout": 5}, {"command": "b"}, {"env": {"A": "1"}}, {"tags": ["x"]}, {"cwd": "/b"}])
def test_a_parked_job_stays_parked_where_its_turn_does_not_change(queue, how):
    enqueue(queue, id="job", lock="a")
    stand(queue, "job", 4)
    edit(queue, "job", **how)
    assert row(queue, "job")["lane"] == 4


@pytest.mark.parametrize(
    ("how", "told"),
    [({"lock": "b"}, ["a"]), ({"emptied": ["lock"]}, ["a"]), ({"priority": 1}, ["a"]), ({"cwd": "/"}, [])],
)
def test_the_lock_that_a_job_had_is_told_when_its_turn_changes(queue, monkeypatch, how, told):
    found = []
    monkeypatch.setattr(locking, "free_lock", lambda connection, key: found.append(key) or 0)
    enqueue(queue, id="job", lock="a")
    edit(queue, "job", **how)
    assert found == told


@pytest.mark.parametrize("how", ["held", {"run_at": "2031-01-01"}, {"lock": "b"}, {"emptied": ["lock"]}])
def test_the_lock_that_a_job_was_next_for_goes_to_another(queue, monkeypatch, how):
    for name in ("runs", "next", "behind"):
        enqueue(queue, id=name, lock="a")
    held = claim_one(queue)
    assert claim(queue) == [] and [row(queue, name)["lane"] for name in ("next", "behind")] == [4, 4]
    settle(queue, held, "completed")
    assert [row(queue, name)["lane"] for name in ("next", "behind")] == [0, 4]
    rung = []
    monkeypatch.setattr(bell, "ring", rung.append)
    if how == "held":
        holding.hold(queue.database, ["next"], LATER)
    else:
        edit(queue, "next", **how)
    assert row(queue, "behind")["lane"] == 0
    assert rung == [queue.folder.bell], "a worker may sleep"


def test_a_raised_priority_and_an_earlier_time_change_the_order_of_claims(queue):
    for name in "abc":
        enqueue(queue, id=name)
    enqueue(queue, id="d", delay="1h")
    edit(queue, "c", priority=1)
    edit(queue, "d", delay=0)
    edit(queue, "a", run_at="2031-01-01")
    assert [held.id for held in claim(queue, LATER, 9)] == ["c", "b", "d"]


def test_a_time_that_somebody_gave_is_not_forgiven_by_a_clock_that_went_back(queue):
    failed(queue, "retries")
    failed(queue, "told")
    edit(queue, "told", run_at="2027-01-16T00:00:00Z")
    queue.forgive_clock(NOW - 86400)
    assert [row(queue, name)["lane"] for name in ("retries", "told")] == [0, 1]


# ---------------------------------------------------------------- who may not be changed


def ended(queue, identifier, kind):
    enqueue(queue, id=identifier, max_retries=0)
    if kind == "cancelled":
        queue.cancel([identifier], NOW)
    else:
        settle(queue, claim_one(queue), {"dead": "failed"}.get(kind, kind))
    return identifier


@pytest.mark.parametrize("kind", ["completed", "dead", "cancelled"])
def test_a_final_job_is_not_edited_and_the_others_with_it_neither(queue, kind):
    ended(queue, "over", kind)
    enqueue(queue, id="waits")
    before = everything(queue)
    with pytest.raises(QueueError, match="job over is %s already: nothing was changed" % kind):
        edit(queue, "waits", "over", priority=1)
    assert everything(queue) == before


def test_a_running_job_is_not_edited(queue):
    enqueue(queue, id="job")
    claim_one(queue)
    before = everything(queue)
    with pytest.raises(QueueError, match="job job runs, with what it was started with: nothing was changed"):
        edit(queue, "job", priority=1)
    assert everything(queue) == before


def between(monkeypatch, action):
    """Have *action* happen once between what an edit has read and its change."""
    todo = [action]

    def failpoint(name):
        if name == "edit.before-change" and todo:
            todo.pop()()

    monkeypatch.setattr(failpoints, "failpoint", failpoint)


@pytest.mark.parametrize("how", [{"command": "echo b"}, {"priority": 3}, {"env": {"A": "1"}}, {"tags": ["x"]}])
def test_a_job_that_is_claimed_between_reading_and_writing_keeps_what_it_was_started_with(queue, monkeypatch, how):
    enqueue(queue, id="other", delay="1h")
    enqueue(queue, id="job")
    found = []
    between(monkeypatch, lambda: found.extend([claim_one(queue), everything(queue)]))
    with pytest.raises(QueueError, match="job job has started meanwhile: nothing was changed"):
        edit(queue, "other", "job", **how)
    held, before = found
    assert held.id == "job"
    assert (everything(queue), rows(queue, "SELECT * FROM tags")) == (before, [])
    assert settle(queue, held, "completed")


@pytest.mark.parametrize("kind", ["completed", "failed", "cancelled"])
def test_what_ended_between_reading_and_writing_is_left_alone(queue, monkeypatch, kind):
    enqueue(queue, id="job", max_retries=0)

    def happen():
        if kind == "cancelled":
            queue.cancel(["job"], NOW)
        else:
            settle(queue, claim_one(queue), kind)

    between(monkeypatch, happen)
    word = "was cancelled" if kind == "cancelled" else "has started"
    with pytest.raises(QueueError, match="job job %s meanwhile: nothing was changed" % word):
        edit(queue, "job", command="echo b")
    assert row(queue, "job")["command"] == "true"


def test_of_two_edits_at_once_the_later_one_wins_whole_field_by_whole_field(queue, monkeypatch):
    enqueue(queue, id="job", timeout=5)
    first = changed(priority=1, max_retries=7, command="echo first", now=NOW + 1)
    between(monkeypatch, lambda: editing.edit(queue.database, ["job"], first, NOW + 1))
    edit(queue, "job", priority=2, command=["echo", "second"])
    found = row(queue, "job")
    assert (found["priority"], found["command"], found["is_list"]) == (2, '["echo", "second"]', 1)
    assert (found["max_retries"], found["timeout"]) == (7, 5.0), "of which the later one says nothing"
    assert found["updated_at"] == "2027-01-15T08:01:00.000000Z", "that of the later one"


def steps_of_an_edit(queue, monkeypatch, size, asked, emptied):
    """How many steps of the engine two edits take beside so many jobs due and parked: of the next one, and a parked."""
    queue.database.create()
    set_queue(queue, "mail")
    enqueue(queue, id="holder", lock="a")
    maker = JobMaker(3, "/", 0o022, NOW)
    maker.queue_of = lambda name: queues.ids(queue.database)[name]
    list(queue.enqueue_each((n, maker.row({"command": "true", "id": "p%d" % n, "lock": "a"})) for n in range(size)))
    held = claim_one(queue)
    assert held.id == "holder"
    while rows(queue, "SELECT 1 FROM jobs WHERE lane = 0"):
        assert claim(queue) == [], "its lock is taken"
    settle(queue, held, "completed")
    assert (row(queue, "p0")["lane"], row(queue, "p1")["lane"]) == (0, 4)
    list(queue.enqueue_each((n, maker.row({"command": "true"})) for n in range(size)))
    counted, connect = [], opening.connect

    def connected(*values):
        connection = connect(*values)
        connection.set_progress_handler(lambda: counted.append(1), 1)
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(opening, "connect", connected)
        fresh = Queue(queue.path)
        editing.edit(fresh.database, ["p0", "p%d" % (size // 2)], Change(maker, asked, emptied), LATER)
    assert row(queue, "p1")["lane"] == 0, "the next one with the lock"
    return len(counted)


@pytest.mark.parametrize(
    ("asked", "emptied"),
    [
        ({"priority": 3}, []),
        ({"run_at": "2031-01-01"}, []),
        ({"queue": "mail"}, []),
        ({"lock": "b"}, []),
        ({}, ["lock"]),
    ],
    ids=["priority", "run_at", "queue", "lock", "no lock"],
)
def test_an_edit_takes_no_more_steps_among_thousands_than_among_few(tmp_path, monkeypatch, asked, emptied):
    few, many = (
        steps_of_an_edit(Queue(str(tmp_path / ("%d.db" % size))), monkeypatch, size, asked, emptied)
        for size in (20, 2000)
    )
    assert 0 < many <= 1.2 * few, (few, many)


def test_what_was_given_back_can_be_edited_again(queue):
    enqueue(queue, id="job", run_at="2027-01-01")
    assert settle(queue, claim_one(queue), "given back", unstarted=True)
    edit(queue, "job", run_at="2027-02-01")
    assert row(queue, "job")["lane"] == 1
    assert row(queue, "job")["attempts"] == 0


@pytest.mark.parametrize("used", [1, 3])
def test_fewer_retries_than_attempts_that_were_used_are_refused(queue, used):
    enqueue(queue, id="job", max_retries=5)
    for _ in range(used):
        settle(queue, claim_one(queue, LATER), "failed", NOW)
    words = "job job has used %s: at least %d" % ("1 attempt" if used == 1 else "3 attempts", used)
    with pytest.raises(QueueError, match=words):
        edit(queue, "job", max_retries=used - 1)
    edit(queue, "job", max_retries=used)
    assert settle(queue, claim_one(queue, LATER), "failed")
    assert row(queue, "job")["state"] == "dead", "one more, as asked for"


@pytest.mark.parametrize("what", ["jobs", "attempts", "tags"])
def test_a_trigger_that_ignores_a_change_is_told_and_nothing_stands(queue, what):
    failed(queue, "job", tags=["x"])
    event = "DELETE ON tags" if what == "tags" else "UPDATE ON " + what
    with raw(queue) as connection:
        connection.execute("CREATE TRIGGER ignores BEFORE %s BEGIN SELECT RAISE(IGNORE); END" % event)
    before = everything(queue), rows(queue, "SELECT * FROM tags")
    with pytest.raises(HostError, match="a trigger ignores it"):
        edit(queue, "job", command="echo b", tags=["y"], untags=["x"])
    assert before == (everything(queue), rows(queue, "SELECT * FROM tags"))


# ---------------------------------------------------------------- what the attempts so far have run


def commands(queue):
    return [attempt["command"] for attempt in in_full(queue, "job")["history"]]


def test_attempts_keep_the_command_that_they_ran(queue):
    failed(queue, "job", command="echo 1")
    edit(queue, "job", command=["prog", "a b"])
    assert commands(queue) == ["echo 1"]
    settle(queue, claim_one(queue, LATER), "failed", NOW)
    edit(queue, "job", command='["prog", "a b"]')
    settle(queue, claim_one(queue, LATER), "failed", NOW)
    assert commands(queue) == ["echo 1", ["prog", "a b"], None], "a text that looks like the list is another command"
    edit(queue, "job", priority=1)
    edit(queue, "job", command='["prog", "a b"]')
    assert commands(queue) == ["echo 1", ["prog", "a b"], None], "nothing has changed"
    edit(queue, "job", command="echo 1")
    assert commands(queue) == [None, ["prog", "a b"], '["prog", "a b"]'], "only where it differs"
    assert [one["command"] is None for one in rows(queue, "SELECT command FROM attempts")] == [True, False, False]


def test_attempts_before_a_requeue_keep_their_command_too(queue):
    ended(queue, "job", "dead")
    queue.requeue(["job"], ["dead"], NOW)
    edit(queue, "job", command="echo b")
    assert commands(queue) == ["true"]


def test_a_command_of_an_attempt_that_somebody_has_damaged_is_shown_as_it_stands(queue):
    failed(queue, "job")
    with raw(queue) as connection:
        connection.execute("UPDATE attempts SET command = 'no json'")
    assert commands(queue) == ["no json"]


# ---------------------------------------------------------------- hold and release


@pytest.mark.parametrize("kind", ["pending", "later", "failed"])
def test_a_hold_keeps_due_time_attempts_and_place(queue, kind):
    if kind == "failed":
        failed(queue, "job")
    else:
        enqueue(queue, id="job", **({"delay": "1h"} if kind == "later" else {}))
    enqueue(queue, id="other", now=NOW + 5)
    before = row(queue, "job")
    holding.hold(queue.database, ["job"], NOW)
    lane = {"held_at": "2027-01-15T08:00:00.000000Z", "lane": 3, "updated_at": "2027-01-15T08:00:00.000000Z"}
    assert row(queue, "job") == dict(before, **lane)
    assert [held.id for held in claim(queue, NOW + 7200, 1)] == ["other"], "however late it is"
    enqueue(queue, id="third", now=NOW + 7200)
    holding.release(queue.database, ["job"], NOW + 7200)
    assert row(queue, "job")["next_run_at"] == before["next_run_at"]
    assert [held.id for held in claim(queue, NOW + 7200, 9)] == ["job", "third"], "its old place in the order"


def test_a_job_is_due_later_or_behind_its_parents_once_it_is_released(queue):
    enqueue(queue, id="due", hold=True)
    enqueue(queue, id="later", hold=True, delay="2h")
    enqueue(queue, id="child", hold=True)
    stand(queue, "child", 2)
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET lane = 3 WHERE id = 'child'")
    holding.release(queue.database, ["due", "later", "child"], LATER)
    assert [row(queue, name)["lane"] for name in ("due", "later", "child")] == [0, 1, 2]
    assert {job["held_at"] for job in rows(queue)} == {None}


@pytest.mark.parametrize("lane", [2, 4])
def test_a_job_behind_its_parents_or_its_lock_can_be_held(queue, lane):
    enqueue(queue, id="job", lock="a")
    stand(queue, "job", lane)
    holding.hold(queue.database, ["job"], NOW)
    assert row(queue, "job")["lane"] == 3
    holding.release(queue.database, ["job"], NOW)
    assert row(queue, "job")["lane"] == (2 if lane == 2 else 0)


def test_a_hold_tells_the_lock_that_the_job_will_not_take(queue, monkeypatch):
    found = []
    monkeypatch.setattr(locking, "free_lock", lambda connection, key: found.append(key) or 0)
    enqueue(queue, id="job", lock="a")
    holding.hold(queue.database, ["job"], NOW)
    holding.hold(queue.database, ["job"], NOW)
    assert found == ["a"]


def test_a_held_job_stays_held_whatever_the_clock_does(queue):
    failed(queue, "job")
    holding.hold(queue.database, ["job"], NOW)
    queue.forgive_clock(NOW - 86400)
    assert claim(queue, NOW - 86400) == claim(queue, NOW + 86400 * 365) == []
    assert row(queue, "job")["lane"] == 3


def test_a_held_job_that_was_cancelled_is_not_held_once_it_is_requeued(queue):
    enqueue(queue, id="job", hold=True)
    queue.cancel(["job"], NOW)
    queue.requeue(["job"], ["cancelled"], NOW)
    assert in_full(queue, "job")["hold"] is False
    assert claim_one(queue).id == "job"


def test_a_hold_of_one_that_is_held_keeps_since_when(queue):
    enqueue(queue, id="job", hold=True)
    before = everything(queue)
    holding.hold(queue.database, ["job"], LATER)
    assert everything(queue) == before


def test_a_release_of_what_nobody_holds_changes_nothing(queue):
    enqueue(queue, id="runs")
    held = claim_one(queue)
    enqueue(queue, id="waits", delay="1h")
    before = everything(queue)
    holding.release(queue.database, ["runs", "waits"], LATER)
    assert everything(queue) == before
    assert settle(queue, held, "completed")


@pytest.mark.parametrize("verb", [holding.hold, holding.release])
@pytest.mark.parametrize("kind", ["completed", "dead", "cancelled"])
def test_a_final_job_is_neither_held_nor_released_and_the_others_with_it_neither(queue, verb, kind):
    ended(queue, "over", kind)
    enqueue(queue, id="waits", hold=verb is holding.release)
    before = everything(queue)
    with pytest.raises(QueueError, match="job over is %s already: nothing was " % kind):
        verb(queue.database, ["waits", "over"], LATER)
    assert everything(queue) == before


def test_a_running_job_is_not_held(queue):
    enqueue(queue, id="job")
    claim_one(queue)
    before = everything(queue)
    with pytest.raises(QueueError, match="job job runs: cancel it, or hold it when it is back: nothing was held"):
        holding.hold(queue.database, ["job"], LATER)
    assert everything(queue) == before


@pytest.mark.parametrize("verb", [holding.hold, holding.release])
def test_a_trigger_that_ignores_a_hold_or_a_release_is_told(queue, verb):
    enqueue(queue, id="job", hold=verb is holding.release)
    with raw(queue) as connection:
        connection.execute("CREATE TRIGGER ignores BEFORE UPDATE ON jobs BEGIN SELECT RAISE(IGNORE); END")
    with pytest.raises(HostError, match="a trigger ignores it"):
        verb(queue.database, ["job"], LATER)


def test_the_bell_rings_after_a_release_and_after_an_edit(queue, monkeypatch):
    rung = []
    monkeypatch.setattr(bell, "ring", rung.append)
    enqueue(queue, id="job", hold=True)
    del rung[:]
    holding.release(queue.database, ["job"], NOW)
    edit(queue, "job", priority=1)
    assert rung == [queue.folder.bell] * 2


def test_held_jobs_hold_their_key(queue):
    enqueue(queue, id="job", unique="key", hold=True)
    assert enqueue(queue, id="other", unique="key") == "job"
    assert len(rows(queue)) == 1


# ---------------------------------------------------------------- a clock that went back

DAY_BEFORE = NOW - 86400


@pytest.mark.parametrize("change", [{"priority": 3}, {"lock": "k"}], ids=lambda change: "".join(change))
def test_an_edit_of_a_due_job_keeps_it_due_where_the_clock_went_back(queue, change):
    enqueue(queue, id="a")
    editing.edit(queue.database, ["a"], changed(now=DAY_BEFORE, **change), DAY_BEFORE)
    assert row(queue, "a")["lane"] == 0
    assert [one.id for one in claim(queue, DAY_BEFORE)] == ["a"]


def test_a_released_job_is_due_where_the_clock_went_back(queue):
    enqueue(queue, id="a", hold=True)
    holding.release(queue.database, ["a"], DAY_BEFORE)
    assert [one.id for one in claim(queue, DAY_BEFORE)] == ["a"]


def test_one_with_a_time_of_its_own_waits_for_that_whatever_the_clock_does(queue):
    enqueue(queue, id="a", hold=True, run_at="2030-01-01T00:00:00Z")
    holding.release(queue.database, ["a"], DAY_BEFORE)
    assert row(queue, "a")["lane"] == 1
