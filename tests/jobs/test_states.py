"""The state machine: the legal moves, the refusal of all others, and the counts that follow every move.

Two tables carry this file. REACH says how a job comes into each state by legal moves alone; STEPS says what each
storage function does to a job in each state. A pair of state and function that STEPS does not name must do nothing.
"""

import itertools
import random
import sqlite3
import threading

import pytest
from helpers.queue import NOW, claim, enqueue, everything, raw, requeue_dead, rows, settle

from queuectl_lib import times
from queuectl_lib.errors import QueueError
from queuectl_lib.jobs import attempts, states
from queuectl_lib.jobs.attempts import Claim
from queuectl_lib.jobs.ids import MadeId
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import bulk, finding, looking, pruning, schema, steps

PAIRS = list(itertools.product(states.STATES, states.STATES))


def state_of(queue, identifier):
    return finding.states_of(queue.database, [identifier])[0]


def real_counts(queue):
    found = dict.fromkeys(states.STATES, 0)
    found.update((row["state"], row["n"]) for row in rows(queue, "SELECT state, count(*) n FROM jobs GROUP BY state"))
    return found


# ---------------------------------------------------------------- how a job comes into a state


def reach_pending(queue):
    return enqueue(queue, id="job"), None


def reach_processing(queue):
    enqueue(queue, id="job")
    return "job", claim(queue)[0]


def reach_completed(queue):
    _, held = reach_processing(queue)
    settle(queue, held, "completed")
    return "job", held


def reach_failed(queue):
    _, held = reach_processing(queue)
    settle(queue, held, "failed")
    return "job", held


def reach_dead(queue):
    _, held = reach_failed(queue)
    held = claim(queue, NOW + 10000)[0]
    settle(queue, held, "failed", NOW + 10000)
    return "job", held


def reach_cancelled(queue):
    _, held = reach_processing(queue)
    settle(queue, held, "cancelled")
    return "job", held


REACH = {
    "pending": reach_pending,
    "processing": reach_processing,
    "completed": reach_completed,
    "failed": reach_failed,
    "dead": reach_dead,
    "cancelled": reach_cancelled,
}


# ---------------------------------------------------------------- what each function does in each state

LATER = NOW + 20000.0


def lost_claim(held):
    """A claim that cannot be valid, for jobs that nobody has claimed yet."""
    if held is not None:
        return held
    row = dict.fromkeys(attempts.CLAIMED_COLUMNS)
    row.update(dict.fromkeys(("is_list", "attempts", "timeout", "cwd", "env", "umask", "snoozes"), 0))
    return Claim(dict(row, seq=1, id="job", command="true", max_retries=1), "0" * 16, 1, 1)


def refused(act):
    """Run *act*; True when it raised QueueError."""
    try:
        act()
    except QueueError:
        return True
    return False


# Each takes (queue, id, claim) and returns true when the storage accepted it.
FUNCTIONS = {
    "claim": lambda queue, job, held: claim(queue, LATER),
    "complete": lambda queue, job, held: settle(queue, lost_claim(held), "completed", LATER),
    "fail": lambda queue, job, held: settle(queue, lost_claim(held), "failed", LATER),
    "time out": lambda queue, job, held: settle(queue, lost_claim(held), "timed out", LATER),
    "lose": lambda queue, job, held: settle(queue, lost_claim(held), "lost", LATER),
    "end as cancelled": lambda queue, job, held: settle(queue, lost_claim(held), "cancelled", LATER),
    "release": lambda queue, job, held: settle(queue, lost_claim(held), "given back", LATER),
    "release unstarted": lambda queue, job, held: settle(queue, lost_claim(held), "given back", LATER, True),
    "cancel unstarted": lambda queue, job, held: settle(queue, lost_claim(held), "cancelled", LATER, True),
    "adopt": lambda queue, job, held: queue.adopt(lost_claim(held), "w-1", "w-2", LATER),
    "cancel": lambda queue, job, held: not refused(lambda: queue.cancel([job], LATER)),
    "requeue": lambda queue, job, held: not refused(lambda: queue.requeue([job], ("dead", "cancelled"), LATER)),
    "dlq retry": lambda queue, job, held: not refused(lambda: queue.requeue([job], ("dead",), LATER)),
    "dlq retry --all": lambda queue, job, held: requeue_dead(queue, LATER)[0],
    "forgive clock": lambda queue, job, held: queue.forgive_clock(LATER),
}

STEPS = {
    ("pending", "claim"): "processing",
    ("pending", "cancel"): "cancelled",
    ("processing", "complete"): "completed",
    ("processing", "fail"): "failed",
    ("processing", "time out"): "failed",
    ("processing", "lose"): "failed",
    ("processing", "end as cancelled"): "cancelled",
    ("processing", "release"): "pending",
    ("processing", "release unstarted"): "pending",
    ("processing", "cancel unstarted"): "cancelled",
    ("processing", "adopt"): "processing",
    ("processing", "cancel"): "processing",
    ("failed", "claim"): "processing",
    ("failed", "cancel"): "cancelled",
    ("dead", "requeue"): "pending",
    ("dead", "dlq retry"): "pending",
    ("dead", "dlq retry --all"): "pending",
    ("cancelled", "requeue"): "pending",
}


@pytest.mark.parametrize("state", states.STATES)
def test_every_state_can_be_reached_by_legal_moves(queue, state):
    job, _ = REACH[state](queue)
    assert state_of(queue, job) == state
    assert looking.counts(queue.database) == dict(dict.fromkeys(states.STATES, 0), **{state: 1})


@pytest.mark.parametrize("state, function", list(itertools.product(states.STATES, FUNCTIONS)))
def test_a_storage_function_makes_its_own_moves_and_no_other(queue, state, function):
    job, held = REACH[state](queue)
    before = everything(queue)
    accepted = FUNCTIONS[function](queue, job, held)
    if (state, function) in STEPS:
        assert accepted, "%s was refused in %s" % (function, state)
        assert state_of(queue, job) == STEPS[state, function]
    else:
        assert not accepted, "%s was accepted in %s" % (function, state)
        assert everything(queue) == before, "a refused %s has changed something" % function
    assert looking.counts(queue.database) == real_counts(queue)


def test_a_failure_without_retries_left_moves_to_dead(queue):
    enqueue(queue, id="job", max_retries=0)
    settle(queue, claim(queue)[0], "failed")
    assert state_of(queue, "job") == "dead"


def test_the_functions_make_all_the_moves_that_the_table_draws(queue):
    made = {(state, end) for (state, _), end in STEPS.items() if state != end} | {("processing", "dead")}
    assert made == {(start, end) for start, ends in states.MOVES.items() for end in ends}


def test_one_refused_id_leaves_all_the_others_as_they_were(queue):
    reach_dead(queue)
    enqueue(queue, id="waiting")
    before = everything(queue)
    with pytest.raises(QueueError, match="job is dead already: nothing was cancelled"):
        queue.cancel(["waiting", "job"], LATER)
    with pytest.raises(QueueError, match="waiting is pending, not dead: nothing was requeued"):
        queue.requeue(["job", "waiting"], ("dead",), LATER)
    with pytest.raises(QueueError, match='no job has the id "nobody"'):
        queue.cancel(["waiting", "nobody"], LATER)
    with pytest.raises(QueueError, match='no job has the id "nobody"'):
        queue.requeue(["job", "nobody"], ("dead",), LATER)
    assert everything(queue) == before


# ---------------------------------------------------------------- the schema


@pytest.fixture
def newest():
    """The newest schema in memory, by the same statements."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    for statements in steps.MIGRATIONS:
        for statement in statements:
            connection.execute(schema.fitting(statement))
    yield connection
    connection.close()


def columns_of(state):
    """What the CHECK constraints ask of a row in *state*."""
    waiting = state in states.WAITING
    return {
        "state": state,
        "token": "t" if state == "processing" else None,
        "lane": 0 if waiting else None,
        "next_run_at": times.utc_text(NOW) if waiting else None,
    }


def insert(newest, state="pending", **fields):
    row = dict({"id": "job", "command": "true", "max_retries": 3, "cwd": "/"}, **columns_of(state))
    row.update({"created_at": times.utc_text(NOW), "updated_at": times.utc_text(NOW)}, **fields)
    names = sorted(row)
    newest.execute("INSERT INTO jobs (%s) VALUES (:%s)" % (", ".join(names), ", :".join(names)), row)


UPDATE = "UPDATE %s jobs SET state = :state, token = :token, lane = :lane, next_run_at = :next_run_at"


@pytest.mark.parametrize("clause", ["", "OR IGNORE", "OR REPLACE"])
@pytest.mark.parametrize("start, end", PAIRS)
def test_the_schema_lets_a_job_make_exactly_the_moves_of_the_table(newest, start, end, clause):
    insert(newest, start)
    if end in states.MOVES[start]:
        newest.execute(UPDATE % clause, columns_of(end))
        expected = end
    else:
        with pytest.raises(sqlite3.IntegrityError, match="no such move"):
            newest.execute(UPDATE % clause, columns_of(end))
        expected = start
    assert [row["state"] for row in newest.execute("SELECT state FROM jobs")] == [expected]
    counts = {row["state"]: row["jobs"] for row in newest.execute("SELECT * FROM counts")}
    assert counts == dict(dict.fromkeys(states.STATES, 0), **{expected: 1})


@pytest.mark.parametrize("end", states.STATES)
def test_a_user_with_sql_cannot_move_a_finished_job_of_a_real_queue(queue, end):
    reach_completed(queue)
    before = everything(queue)
    with raw(queue) as connection, pytest.raises(sqlite3.IntegrityError, match="no such move"):
        connection.execute(UPDATE % "", columns_of(end))
    assert everything(queue) == before
    assert looking.counts(queue.database) == real_counts(queue)


def test_the_moves_name_every_state_and_no_other():
    assert tuple(states.MOVES) == states.STATES
    assert {end for ends in states.MOVES.values() for end in ends} <= set(states.STATES)
    assert set(states.WAITING + states.FINAL + ("processing",)) == set(states.STATES)


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "running"},
        {"state": None},
        {"state": "Pending"},
        {"attempts": -1},
        {"attempts": None},
        {"max_retries": -1},
        {"max_retries": None},
        {"is_list": 2},
        {"timeout": 0},
        {"timeout": -1},
        {"id": None},
        {"command": None},
        {"cwd": None},
        {"created_at": None},
        {"token": "t"},
        {"lane": 5},
        {"lane": None},
        {"next_run_at": None},
        {"lane": None, "next_run_at": None},
        dict(columns_of("processing"), token=None),
        dict(columns_of("processing"), lane=0, next_run_at=times.utc_text(NOW)),
        dict(columns_of("completed"), token="t"),
        dict(columns_of("completed"), lane=0, next_run_at=times.utc_text(NOW)),
        dict(columns_of("dead"), lane=1, next_run_at=times.utc_text(NOW)),
        dict(columns_of("failed"), lane=None, next_run_at=None),
        dict(columns_of("cancelled"), next_run_at=times.utc_text(NOW)),
    ],
    ids=str,
)
def test_a_row_that_contradicts_its_state_is_refused_by_the_schema(newest, fields):
    with pytest.raises(sqlite3.IntegrityError):
        insert(newest, **fields)
    assert not newest.execute("SELECT 1 FROM jobs").fetchall()
    assert not newest.execute("SELECT 1 FROM counts WHERE jobs <> 0").fetchall()


def test_an_id_exists_only_once(newest):
    insert(newest)
    with pytest.raises(sqlite3.IntegrityError):
        insert(newest)


# ---------------------------------------------------------------- counts


def fill(queue):
    """One job in every state, and a second one that waits."""
    for state in ("processing", "completed", "cancelled", "dead", "failed", "pending"):
        REACH[state](queue)
        with raw(queue) as connection:
            connection.execute("UPDATE jobs SET id = ? WHERE id = 'job'", (state,))
    enqueue(queue, id="second", delay=100)
    found = {row["id"]: row["state"] for row in rows(queue)}
    assert found == dict(zip(states.STATES, states.STATES), second="pending")


@pytest.mark.parametrize("where", ["", " WHERE state = 'dead'", " WHERE id > 'd'", " WHERE 0"])
def test_counts_stay_right_after_a_raw_delete(queue, where):
    fill(queue)
    assert looking.counts(queue.database) == real_counts(queue)
    assert sum(looking.counts(queue.database).values()) == 7
    with raw(queue) as connection:
        connection.execute("DELETE FROM jobs" + where)
    assert looking.counts(queue.database) == real_counts(queue)
    orphans = rows(queue, "SELECT id FROM attempts WHERE job NOT IN (SELECT seq FROM jobs)")
    assert not orphans, "attempts of deleted jobs are left"


def test_a_queue_emptied_by_hand_is_simply_empty(home):
    home.add("true", "--id", "one")
    home.add("true", "--id", "two", "--delay", "1h")
    with raw(home.queue) as connection:
        connection.execute("DELETE FROM jobs")
    assert home.run("list", "--json").json == []
    status = home.run("status", "--json").json
    assert {status[state] for state in states.STATES} == {0}
    assert home.add("true", "--id", "one") == "one"
    assert looking.counts(home.queue.database)["pending"] == 1


def test_counts_follow_an_enqueue_that_fails(queue):
    enqueue(queue, id="job")
    maker = JobMaker(1, "/", 0o022, NOW)
    taken = [(1, maker.row({"command": "true"})), (2, maker.row({"command": "true", "id": "job"}))]
    with pytest.raises(QueueError, match="line 2: job job exists already: nothing was added"):
        list(queue.enqueue_each(taken))
    assert looking.counts(queue.database) == real_counts(queue) == dict(dict.fromkeys(states.STATES, 0), pending=1)


LARGE = bulk.COUNTED_AT_ONCE + 1


def large_batch(first=0, **last):
    """Rows of so many jobs that they are counted in one go, the last one with *last*."""
    maker = JobMaker(1, "/", 0o022, NOW)
    jobs = [{"command": "true", "id": "job%d" % number} for number in range(first, first + LARGE)]
    jobs[-1].update(last)
    return [(line, maker.row(job)) for line, job in enumerate(jobs, 1)]


def triggers(queue):
    found = rows(queue, "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    return {row["name"]: row["sql"] for row in found}


@pytest.mark.parametrize("size", [LARGE - 2, LARGE - 1, LARGE])
def test_counts_follow_a_large_enqueue_and_what_is_done_by_hand_after_it(queue, size):
    before = triggers(queue)
    enqueue(queue, id="first")
    list(queue.enqueue_each(large_batch()[:size]))
    assert triggers(queue) == before
    assert (
        looking.counts(queue.database) == real_counts(queue) == dict(dict.fromkeys(states.STATES, 0), pending=size + 1)
    )
    with raw(queue) as connection:
        connection.execute(
            "INSERT INTO jobs (id, command, max_retries, cwd, created_at, updated_at, lane, next_run_at)"
            " SELECT 'copy', command, 0, cwd, '', '', lane, next_run_at FROM jobs WHERE id = 'first'"
        )
        connection.execute("DELETE FROM jobs WHERE id LIKE 'job%'")
    assert looking.counts(queue.database) == real_counts(queue) == dict(dict.fromkeys(states.STATES, 0), pending=2)


@pytest.mark.parametrize("last", [{"id": "first"}, {"id": "job0"}], ids=["exists", "comes-twice"])
def test_counts_follow_a_large_enqueue_that_fails(queue, last):
    before = triggers(queue)
    enqueue(queue, id="first")
    with pytest.raises(QueueError, match="line %d: .*%s " % (LARGE, last["id"])):
        list(queue.enqueue_each(large_batch(**last)))
    assert triggers(queue) == before
    assert looking.counts(queue.database) == real_counts(queue) == dict(dict.fromkeys(states.STATES, 0), pending=1)


def test_counts_follow_a_large_enqueue_of_which_some_is_not_added_and_some_is_named_anew(queue):
    enqueue(queue, id="taken")
    enqueue(queue, id="holder", unique="k")
    batch = large_batch(unique="k") + large_batch(LARGE, unique="k")
    batch[0] = (1, (MadeId("taken"),) + batch[0][1][1:])
    ids = list(queue.enqueue_each(batch))
    assert ids[0] not in ("taken", "job0")
    assert [ids[LARGE - 1], ids[-1]] == ["holder", "holder"]
    assert (
        looking.counts(queue.database) == real_counts(queue) == dict(dict.fromkeys(states.STATES, 0), pending=2 * LARGE)
    )


def test_those_who_read_and_work_during_a_large_enqueue_see_every_count_right(queue):
    """With a connection that stays open, one for each look, and a worker that claims and finishes."""

    def work():
        for held in claim(queue):
            settle(queue, held, "completed")
        return True

    errors, looks, ended = [], [], threading.Event()

    def watch(turn):
        try:
            while not ended.is_set():
                looks.append(turn())
        except Exception as error:
            errors.append(error)

    right = "SELECT (SELECT sum(jobs) FROM counts) = (SELECT count(*) FROM jobs)"
    reader = sqlite3.connect(queue.path, check_same_thread=False)
    turns = [
        lambda: reader.execute(right).fetchone()[0] == 1,
        lambda: sum(looking.counts(queue.database).values()) in (0, LARGE, 2 * LARGE, 3 * LARGE),
        work,
    ]
    threads = [threading.Thread(target=watch, args=(turn,)) for turn in turns]
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            list(queue.enqueue_each(large_batch(number * LARGE)))
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    with reader:  # it has known the trigger from before
        reader.execute("DELETE FROM jobs WHERE id = 'job%d'" % (LARGE - 1))
    reader.close()
    assert (errors, all(looks)) == ([], True)
    assert looking.counts(queue.database) == real_counts(queue)
    assert sum(looking.counts(queue.database).values()) == 3 * LARGE - 1
    assert claim(queue, want=1), "there is work left"


VERBS = ("enqueue", "claim", "settle", "settle", "cancel", "requeue", "retry", "adopt", "prune", "sql")


def random_step(queue, chance, held, now):
    """One random transition; *held* are claims, some of them lost long ago."""
    job = chance.choice(rows(queue, "SELECT id FROM jobs") or [{"id": "nobody"}])["id"]
    verb = chance.choice(VERBS)
    if verb == "enqueue":
        enqueue(queue, chance.randrange(3), now, priority=chance.randrange(3), delay=chance.choice([0, 5]))
    elif verb == "claim":
        held.extend(claim(queue, now, chance.randrange(1, 4)))
    elif verb == "settle" and held:
        kind = chance.choice(["completed", "failed", "timed out", "lost", "cancelled", "given back"])
        settle(queue, chance.choice(held), kind, now, kind == "given back" and chance.random() < 0.5)
    elif verb == "adopt" and held:
        queue.adopt(chance.choice(held), "w-1", "w-1", now)
    elif verb == "cancel":
        refused(lambda: queue.cancel([job], now))
    elif verb == "requeue":
        refused(lambda: queue.requeue([job], ("dead", "cancelled"), now))
    elif verb == "retry":
        requeue_dead(queue, now)
    elif verb == "prune":
        pruning.prune(queue.database, [chance.choice(states.FINAL)], now - 20, lambda count: None)
    elif verb == "sql" and chance.random() < 0.2:
        with raw(queue) as connection:
            connection.execute("DELETE FROM jobs WHERE seq % 7 = 0")


@pytest.mark.parametrize("seed", range(4))
def test_random_moves_stay_within_the_table_and_keep_the_counts(queue, seed):
    chance = random.Random(seed)
    held, before, made, now = [], {}, set(), NOW
    for _ in range(150):
        now += chance.choice([0, 1, 4])
        random_step(queue, chance, held, now)
        after = {row["id"]: row for row in rows(queue)}
        for identifier in before.keys() & after.keys():
            start, end = before[identifier]["state"], after[identifier]["state"]
            assert start == end or end in states.MOVES[start], "%s moved from %s to %s" % (identifier, start, end)
            made.add((start, end))
        assert looking.counts(queue.database) == real_counts(queue)
        assert all(row["attempts"] <= row["max_retries"] + 1 for row in after.values())
        assert all(row["attempts"] <= row["runs"] for row in after.values())
        before = after
    assert len([pair for pair in made if pair[0] != pair[1]]) >= 6, "the walk went nowhere: %s" % made
