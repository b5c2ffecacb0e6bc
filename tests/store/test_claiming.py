"""Claiming: who gets which job, that nobody else does, and that a lost claim can finish nothing."""

import ast
import functools
import json
import os
import random
import re
import sqlite3
import subprocess
import time

import pytest
from helpers.bundle import ROOT, sources
from helpers.marks import posix_only
from helpers.processes import all_at_once
from helpers.queue import NOW, SETTINGS, claim, enqueue, everything, raw, rows, settle
from helpers.waiting import wait_until

from queuectl_lib import times
from queuectl_lib.errors import HostError
from queuectl_lib.host import locks
from queuectl_lib.jobs import attempts
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import claiming, due_jobs, finding, looking, outlook, schema, showing, steps
from storage import Queue

# ---------------------------------------------------------------- order


def claimed_ids(queue, now=NOW):
    return [held.id for held in claim(queue, now, 1000)]


def test_a_higher_priority_goes_first_then_the_earlier_due_time_then_who_came_first(queue):
    for identifier, priority, second in [
        ("low", -5, -90),
        ("plain-late", 0, -10),
        ("plain-early", 0, -20),
        ("plain-early-too", 0, -20),
        ("urgent-late", 10, -1),
        ("urgent-early", 10, -2),
        ("most", 1000000000, 0),
    ]:
        enqueue(queue, id=identifier, priority=priority, run_at=times.utc_text(NOW + second))
    expected = ["most", "urgent-early", "urgent-late", "plain-early", "plain-early-too", "plain-late", "low"]
    assert claimed_ids(queue) == expected


def test_first_come_is_first_served_within_one_enqueue_and_between_two(queue):
    maker = JobMaker(1, "/", 0o022, NOW)
    rows = [(line, maker.row({"command": "true", "id": "z%d" % (9 - line)})) for line in range(5)]
    list(queue.enqueue_each(rows))
    enqueue(queue, id="after")
    assert claimed_ids(queue) == ["z9", "z8", "z7", "z6", "z5", "after"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("batch", [1, 3, 16])
def test_the_order_of_claims_is_the_order_of_the_contract(queue, seed, batch):
    chance = random.Random(seed)
    maker = JobMaker(1, "/", 0o022, NOW)
    wanted = []
    for number in range(40):
        priority, due = chance.randrange(-2, 3), NOW + chance.randrange(-5, 6)
        fields = {"command": "true", "id": "j%d" % number, "priority": priority, "run_at": times.utc_text(due)}
        list(queue.enqueue_each([(number, maker.row(fields))]))
        wanted.append((-priority, due, number))
    found = []
    while True:
        held = claim(queue, NOW, batch)
        if not held:
            break
        found += [one.id for one in held]
    assert found == ["j%d" % number for _, due, number in sorted(wanted) if due <= NOW]
    late = sorted(one for one in wanted if one[1] > NOW)
    assert claimed_ids(queue, NOW + 5) == ["j%d" % number for _, _, number in late]


def test_a_retry_and_a_new_job_stand_in_one_line(queue):
    enqueue(queue, id="tried")
    settle(queue, claim(queue)[0], "failed", NOW)  # due again at NOW + 2
    enqueue(queue, now=NOW + 1, id="before")
    enqueue(queue, now=NOW + 3, id="after")
    enqueue(queue, now=NOW + 4, id="urgent", priority=1)
    assert claimed_ids(queue, NOW + 5) == ["urgent", "before", "tried", "after"]


@pytest.mark.parametrize("fields", [{"delay": "10s"}, {"run_at": times.utc_text(NOW + 10)}], ids=sorted)
def test_a_future_job_is_not_claimed_before_it_is_due(queue, fields):
    enqueue(queue, **fields)
    assert claim(queue, NOW) == []
    assert claim(queue, NOW + 9.999999) == []
    assert outlook.under_way(queue.database, NOW)[1] == NOW + 10
    assert len(claim(queue, NOW + 10)) == 1


def test_a_future_job_of_high_priority_does_not_hold_up_what_is_due(queue):
    enqueue(queue, id="future", priority=100, delay=60)
    enqueue(queue, id="due")
    assert claimed_ids(queue) == ["due"]


def test_a_claim_takes_no_more_than_it_wants_and_says_whether_more_is_due(queue):
    for number in range(3):
        enqueue(queue, id="j%d" % number)
    _, held, more = queue.exchange("w-1", [], 2, NOW, SETTINGS)
    assert ([one.id for one in held], more) == (["j0", "j1"], True)
    _, held, more = queue.exchange("w-1", [], 2, NOW, SETTINGS)
    assert ([one.id for one in held], more) == (["j2"], False)
    assert queue.exchange("w-1", [], 2, NOW, SETTINGS) == ([], [], False)


def test_a_claim_carries_what_the_job_asked_for(queue):
    job = {"id": "job", "command": ["a b", "$c"], "timeout": "1m", "cwd": os.path.abspath("/sub")}
    job.update(env={"A": "1"}, max_retries=7)
    enqueue(queue, **job)
    held = claim(queue)[0]
    assert (held.id, held.command, held.timeout) == ("job", ["a b", "$c"], 60)
    assert (held.cwd, held.env, held.max_retries) == (job["cwd"], {"A": "1"}, 7)
    assert (held.attempts, held.number, held.umask) == (1, 1, 0o022)
    found = showing.job(queue.database, "job")
    assert (found["state"], found["worker"], found["attempts"]) == ("processing", "w-1", 1)
    assert found["started_at"] == found["updated_at"] == times.utc_text(NOW)


# ---------------------------------------------------------------- an old SQLite is enough

NEWER = (
    r"\bRETURNING\b",  # 3.35
    r"\bSTRICT\b",  # 3.37
    r"\bWITHOUT\s+ROWID\b",  # 3.8.2
    r"\bON\s+CONFLICT\b",  # 3.24
    r"\bOVER\s*\(",  # 3.25
    r"\bFILTER\s*\(",  # 3.25
    r"\bNULLS\s+(FIRST|LAST)\b",  # 3.30
    r"\bUPDATE\b[^;(]*\bSET\b[^;(]*\bFROM\s+jobs\b",  # 3.33
    r"\bGENERATED\s+ALWAYS\b",  # 3.31
    r"\b(DROP|RENAME)\s+COLUMN\b",  # 3.35 and 3.25
    r"\bWITH\s+RECURSIVE\b|\bMATERIALIZED\b",  # 3.8.3 and 3.35
    r"\b(json_\w+|iif|unixepoch|format)\s*\(",  # may be left out of a build, or 3.32 and newer
    r"\bIS\s+(NOT\s+)?DISTINCT\b|\bTRUE\b|\bFALSE\b",  # 3.39 and 3.23
)


@functools.lru_cache(maxsize=None)
def statements():
    """Every text in storage.py and store/ that looks like SQL."""
    texts = []
    for name in sources():
        if name.startswith(("storage", "queuectl_lib/store/")):
            with open(os.path.join(ROOT, name), encoding="utf-8") as file:
                nodes = list(ast.walk(ast.parse(file.read())))
            texts += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    verbs = r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|PRAGMA|WHERE)\b"
    found = [text for text in texts if re.match(verbs, text)]
    assert len(found) > 40, "the statements are elsewhere now: this test must follow them"
    return found


@pytest.mark.parametrize("pattern", NEWER)
def test_no_statement_needs_a_newer_sqlite(pattern):
    assert [text for text in statements() if re.search(pattern, text)] == []


def test_only_where_it_is_known_does_an_index_become_partial(monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 7, 17))
    newest = [schema.fitting(statement) for steps in steps.MIGRATIONS for statement in steps]
    assert not [one for one in newest if "INDEX" in one and "WHERE" in one]
    connection = sqlite3.connect(":memory:")
    for statement in newest:
        connection.execute(statement)
    for statement, values in ((due_jobs.FIND_DUE, (0, 2)), (outlook.NEXT_DUE, ())):
        (row,) = connection.execute("EXPLAIN QUERY PLAN " + statement, values).fetchall()
        assert "(lane=?" in row[3], "a plain index must lead to the lane: %s" % row[3]
    connection.close()


# ---------------------------------------------------------------- a claim that is lost

ENDINGS = [
    ("completed", False),
    ("failed", False),
    ("timed out", False),
    ("lost", False),
    ("cancelled", False),
    ("given back", False),
    ("given back", True),
]


def lose_to_another_worker(queue, held):
    """The claim is given back by whoever found its worker dead, and taken by the next one."""
    assert settle(queue, held, "given back")
    assert claim(queue, worker="w-2")


def lose_to_a_retry(queue, held):
    assert settle(queue, held, "lost")
    assert claim(queue, NOW + 2, worker="w-1")  # even by a worker of the same name


def lose_to_a_final_state(queue, held):
    assert settle(queue, held, "completed")


def lose_to_the_dead_letters(queue, held):
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET max_retries = 0")
    held.max_retries = 0
    assert settle(queue, held, "lost")


def lose_to_a_requeue(queue, held):
    queue.cancel(["job"], NOW)
    assert settle(queue, held, "cancelled")
    queue.requeue(["job"], ("cancelled",), NOW)
    assert claim(queue, worker="w-1")


def lose_to_a_deletion(queue, held):
    with raw(queue) as connection:
        connection.execute("DELETE FROM jobs")


def lose_to_a_new_job_in_the_same_row(queue, held):
    lose_to_a_deletion(queue, held)
    enqueue(queue, id="job")
    assert claim(queue, worker="w-1")[0].seq == held.seq


LOSSES = [
    lose_to_another_worker,
    lose_to_a_retry,
    lose_to_a_final_state,
    lose_to_the_dead_letters,
    lose_to_a_requeue,
    lose_to_a_deletion,
    lose_to_a_new_job_in_the_same_row,
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__[8:])
@pytest.mark.parametrize("kind, unstarted", ENDINGS)
def test_a_late_worker_cannot_finish_a_job_it_lost(queue, loss, kind, unstarted):
    enqueue(queue, id="job")
    held = claim(queue)[0]
    loss(queue, held)
    before = everything(queue)
    assert not settle(queue, held, kind, NOW + 50, unstarted)
    assert everything(queue) == before
    assert sum(looking.counts(queue.database).values()) == len(before[0])


@pytest.mark.parametrize("kind, unstarted", ENDINGS)
def test_finishing_twice_does_nothing(queue, kind, unstarted):
    enqueue(queue)
    held = claim(queue)[0]
    assert settle(queue, held, kind, NOW + 1, unstarted)
    before = everything(queue)
    for again, also_unstarted in ENDINGS:
        assert not settle(queue, held, again, NOW + 2, also_unstarted)
        assert everything(queue) == before


def test_one_refused_result_does_not_hold_back_the_others_nor_the_next_claim(queue):
    enqueue(queue, id="lost")
    enqueue(queue, id="kept")
    enqueue(queue, id="next")
    lost, kept = claim(queue, want=2)
    settle(queue, lost, "completed")
    outcomes = [Outcome(lost, "failed", NOW + 1), Outcome(kept, "completed", NOW + 1)]
    refused, held, _ = queue.exchange("w-1", outcomes, 1, NOW + 1, SETTINGS)
    assert refused == outcomes[:1]
    assert [one.id for one in held] == ["next"]
    assert finding.states_of(queue.database, ["lost", "kept", "next"]) == ["completed", "completed", "processing"]


def test_every_claim_has_a_token_of_its_own(queue):
    enqueue(queue)
    tokens = set()
    for _ in range(20):
        held = claim(queue)[0]
        tokens.add(held.token)
        settle(queue, held, "given back", unstarted=True)
    assert len(tokens) == 20
    assert all(re.match(r"[0-9a-f]{16}\Z", token) for token in tokens)


# ---------------------------------------------------------------- adopting and giving back


def test_a_claim_is_adopted_only_once(queue):
    enqueue(queue, id="job")
    held = claim(queue)[0]
    assert queue.adopt(held, "w-1", "w-2", NOW + 1)
    assert not queue.adopt(held, "w-1", "w-3", NOW + 2)
    assert showing.job(queue.database, "job")["worker"] == "w-2"
    assert settle(queue, held, "completed", NOW + 3), "the adopted claim keeps its token"


def test_a_finished_claim_is_not_adopted(queue):
    enqueue(queue, id="job")
    held = claim(queue)[0]
    settle(queue, held, "completed")
    before = everything(queue)
    assert not queue.adopt(held, "w-1", "w-2", NOW + 1)
    assert everything(queue) == before


ADOPTER = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
import storage
from queuectl_lib.store import claiming, looking
queue = storage.Queue(sys.argv[2])
job = looking.processing(queue.database)[0]
claim, _ = claiming.running_attempt(queue.database, job["seq"], job["token"])
print("ready", flush=True)
sys.stdin.readline()
print(queue.adopt(claim, "w-1", "w-%d" % os.getpid(), time.time()))
"""


def processes(script, count, *arguments):
    """What *count* Pythons on *script*, let go at once, have printed."""
    ended = all_at_once(script, count, *arguments)
    assert [(code, error) for code, _, error in ended] == [(0, "")] * count
    return [output for _, output, _ in ended]


def test_of_several_processes_that_adopt_at_once_one_succeeds(queue):
    enqueue(queue)
    claim(queue)
    told = processes(ADOPTER, 4, queue.path)
    assert sorted(told) == ["False"] * 3 + ["True"]


def test_giving_back_what_never_started_leaves_no_trace_and_burns_no_attempt(queue):
    enqueue(queue, id="job", priority=3, run_at=times.utc_text(NOW - 7))
    before, history = everything(queue)
    settle(queue, claim(queue)[0], "given back", NOW + 1, unstarted=True)
    after, attempts = everything(queue)
    assert history == attempts == []
    assert after[0].pop("updated_at") == times.utc_text(NOW + 1)
    del before[0]["updated_at"]
    assert after == before


def test_giving_back_what_was_ended_keeps_the_attempt_but_burns_no_retry(queue):
    enqueue(queue, id="job")
    for number in range(1, 6):
        held = claim(queue)[0]
        assert (held.attempts, held.number) == (1, number)
        settle(queue, held, "given back", NOW + number)
    job = showing.job(queue.database, "job")
    assert (job["state"], job["attempts"], job["worker"], job["started_at"]) == ("pending", 0, None, None)
    assert [attempt["outcome"] for attempt in job["history"]] == ["given back"] * 5
    assert [attempt["number"] for attempt in job["history"]] == [1, 2, 3, 4, 5]


def test_a_retry_that_is_given_back_counts_only_what_ran(queue):
    enqueue(queue, id="job")
    settle(queue, claim(queue)[0], "failed")
    held = claim(queue, NOW + 2)[0]
    assert held.attempts == 2
    settle(queue, held, "given back", NOW + 3, unstarted=True)
    assert showing.job(queue.database, "job")["attempts"] == 1
    held = claim(queue, NOW + 3)[0]
    assert (held.attempts, held.number) == (2, 2)
    settle(queue, held, "failed", NOW + 4)
    assert showing.job(queue.database, "job")["state"] == "dead"


def test_a_job_that_is_given_back_keeps_its_place_in_the_line(queue):
    for number in range(3):
        enqueue(queue, now=NOW + number, id="j%d" % number)
    held = claim(queue, NOW + 5)[0]
    settle(queue, held, "given back", NOW + 6, unstarted=True)
    assert claimed_ids(queue, NOW + 7) == ["j0", "j1", "j2"]


# ---------------------------------------------------------------- many processes at once

CLAIMER = """
import contextlib, json, os, sqlite3, sys, time
sys.path.insert(0, sys.argv[1])
import storage
from queuectl_lib.jobs import attempts
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.settings import SETTING_DEFAULTS, Settings
queue, batch = storage.Queue(sys.argv[2]), int(sys.argv[3])
settings = Settings(**SETTING_DEFAULTS)
name, outcomes, got, alone = "w-%d" % os.getpid(), [], [], True

def is_sole_worker():
    with contextlib.closing(sqlite3.connect(sys.argv[2], timeout=30)) as connection:
        return connection.execute("SELECT min(worker) = max(worker) FROM attempts").fetchone()[0]

print("ready", flush=True)
sys.stdin.readline()
while True:
    refused, claims, _ = queue.exchange(name, outcomes, batch, time.time(), settings)
    assert not refused, "a result of its own was refused"
    if not claims:
        break
    got += [claim.id for claim in claims]
    outcomes = [Outcome(claim, "completed", time.time()) for claim in claims]
    while alone:  # what one has alone would prove nothing
        time.sleep(0.002)
        alone = is_sole_worker()
print(json.dumps(got))
"""


@pytest.mark.parametrize("jobs, batch", [(300, 1), (800, 7)])
def test_eight_processes_that_claim_at_once_get_every_job_exactly_once(queue, jobs, batch):
    maker = JobMaker(1, "/", 0o022, time.time())
    wanted = list(queue.enqueue_each((line, maker.row({"command": "true"})) for line in range(jobs)))
    told = [json.loads(text) for text in processes(CLAIMER, 8, queue.path, batch)]
    assert sorted(identifier for ids in told for identifier in ids) == sorted(wanted)
    assert sum(1 for ids in told if ids) > 1, "one process had them all: nothing was proved"
    assert looking.counts(queue.database)["completed"] == jobs
    ended = rows(queue, "SELECT job, number, outcome FROM attempts ORDER BY job")
    assert [(row["number"], row["outcome"]) for row in ended] == [(1, "completed")] * jobs
    assert {row["attempts"] for row in rows(queue)} == {1}


WRITER = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
import storage
from queuectl_lib.store import looking, requeuing, selecting, showing
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.jobs import attempts
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.settings import SETTING_DEFAULTS, Settings
queue = storage.Queue(sys.argv[2])
settings = Settings(**SETTING_DEFAULTS)
print("ready", flush=True)
sys.stdin.readline()
for number in range(6):
    now = time.time()
    maker = JobMaker(0, "/", 0o022, now)
    one = queue.enqueue(maker.row({"command": "true"}))
    list(queue.enqueue_each([(1, maker.row({"command": "true"})), (2, maker.row({"command": "true"}))]))
    _, claims, _ = queue.exchange("w-%d" % os.getpid(), [], 1, time.time(), settings)
    queue.exchange("w", [Outcome(claim, "failed", time.time()) for claim in claims], 0, time.time(), settings)
    dead = selecting.find(queue.database, selecting.Selection(["dead"]))
    requeuing.requeue_all(queue.database, dead, requeuing.Requeuing(["dead"], time.time()), lambda: None)
    looking.counts(queue.database)
    showing.jobs(queue.database, [], 10)
print("done")
"""


def test_sixteen_processes_that_write_at_once_see_no_database_is_locked(queue):
    assert processes(WRITER, 16, queue.path) == ["done"] * 16
    counts = looking.counts(queue.database)
    assert sum(counts.values()) == 16 * 6 * 3
    assert counts["processing"] == counts["completed"] == 0


@posix_only
def test_a_lock_that_another_program_holds_is_waited_out(home):
    home.run("initdb")
    gate = os.path.join(home.queue.folder.path, "gate")
    with raw(home.queue) as other:
        other.execute("BEGIN IMMEDIATE")
        adding = subprocess.Popen(home.command("add", "true"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: locks.is_held(gate), "the other process to stand at the lock")
        assert adding.poll() is None
        other.execute("COMMIT")
        output, error = adding.communicate(timeout=30)
    assert (adding.returncode, error) == (0, b"")
    assert home.state(output.decode().strip()) == "pending"


def test_a_lock_that_is_never_given_up_is_reported_in_one_line(queue):
    impatient = Queue(queue.path, busy_seconds=0.1)
    with raw(queue) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HostError, match="is locked by another program for too long"):
            enqueue(impatient)
    assert enqueue(impatient), "it works again afterwards"
    assert sum(looking.counts(queue.database).values()) == 1


# ---------------------------------------------------------------- the claim stays cheap


def add_raw(queue, count, lane, due):
    """Many waiting jobs, by the shortest way."""
    created = times.utc_text(NOW)
    with raw(queue) as connection:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO jobs (id, command, max_retries, priority, next_run_at, lane, cwd, created_at, updated_at)"
            " VALUES (?, 'true', 3, ?, ?, ?, '/', ?, ?)",
            [("r%d-%d" % (lane, number), number % 5, due, lane, created, created) for number in range(count)],
        )
        connection.execute("COMMIT")


def plan(connection, statement, values):
    return [row["detail"] for row in connection.execute("EXPLAIN QUERY PLAN " + statement, values)]


@pytest.fixture(params=["fresh", "many future jobs", "many future jobs, analysed", "many due jobs, analysed"])
def filled(request, queue):
    if "future" in request.param:
        add_raw(queue, 4000, 1, times.utc_text(NOW + 1000))
    if "due" in request.param:
        add_raw(queue, 4000, 0, times.utc_text(NOW - 1000))
    enqueue(queue, id="due")
    with raw(queue) as connection:
        if "analysed" in request.param:
            connection.execute("ANALYZE")
        yield connection


def test_the_claim_walks_the_index_of_due_jobs_without_sorting(filled):
    detail, *sorting = plan(filled, due_jobs.FIND_DUE, (0, 2))
    assert not sorting or sqlite3.sqlite_version_info < (3, 9)
    assert re.search(r"USING (COVERING )?INDEX jobs_due", detail), detail


@pytest.mark.parametrize(
    "statement, values, index",
    [
        (claiming.SOME_FALLEN_DUE, (times.utc_text(NOW), 2), "jobs_later"),
        (claiming.PROMOTE_DUE, (times.utc_text(NOW),), "jobs_later"),
        (looking.PRIORITIES_LATER[0], (), "jobs_crowd"),
        (looking.PRIORITIES_LATER[1], (0,), "jobs_crowd"),
        (outlook.NEXT_DUE, (), "jobs_later"),
        (looking.PROCESSING, (), "jobs_open"),
    ],
    ids=["fallen due", "promote", "top priority", "next priority", "next due", "processing"],
)
def test_what_a_worker_asks_all_the_time_uses_an_index(filled, statement, values, index):
    detail = plan(filled, statement, values)[0]  # old ones tell the plan of every trigger, too
    assert "INDEX %s" % index in detail


@pytest.mark.parametrize(
    "ask",
    [
        [(claiming.SOME_FALLEN_DUE, (times.utc_text(NOW), 2)), (due_jobs.FIND_DUE, (0, 2))],
        [(outlook.ANY_DUE, (0,))],
        [(outlook.NEXT_DUE, ())],
        [(looking.PROCESSING, ())],
        [(looking.COUNT_STATES, ())],
    ],
    ids=["claim", "any due", "next due", "processing", "counts"],
)
def test_what_a_worker_asks_takes_few_steps_among_thousands_of_jobs(filled, ask):
    steps = [0]

    def count():
        steps[0] += 1

    filled.set_progress_handler(count, 1)
    for statement, values in ask:
        filled.execute(statement, values).fetchall()
    filled.set_progress_handler(None, 1)
    assert steps[0] < 400, "%d steps of the database engine" % steps[0]


@pytest.mark.parametrize("durability, mode", [("full", 2), ("off", 1)])
def test_results_are_synced_one_by_one_unless_durability_is_off(queue, monkeypatch, durability, mode):
    seen = []

    def claim_nothing(connection, *rest):
        seen.append(connection.execute("PRAGMA synchronous").fetchone()[0])
        return [], False

    enqueue(queue)
    result = attempts.unstarted(claim(queue)[0])
    monkeypatch.setattr(claiming, "claim_due", claim_nothing)
    queue.exchange("w", [result], 1, NOW, SETTINGS.but(durability=durability))
    with queue.database.writing() as connection:  # as every other write: an enqueue is always synced
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert seen == [mode]
