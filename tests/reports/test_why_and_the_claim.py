"""What `why` says is what the claim does: over random queues, a job can be claimed if and only if nothing blocks it."""

import random

import pytest
from helpers.queue import NOW, SETTINGS, claim, enqueue, raw, raw_file, rows, set_queue, settle

from queuectl_lib.jobs import gates, states, windows
from queuectl_lib.reports import reasons
from queuectl_lib.reports.crew import Crew
from queuectl_lib.store import explaining, explaining_all, holding, lock_table, preceding, queues, serving
from storage import Queue

UNSYNCED = SETTINGS.but(durability="off")

QUEUES = ("default", "mail", "bulk")
SERVED = ((), (), ("mail",), ("default", "bulk"), ("!mail",))
LIMITS = (
    {},
    {},
    {"running_most": 1},
    {"running_most": 2},
    {"rate_count": 1, "rate_seconds": 3600.0},
    {"rate_count": 3, "rate_seconds": 60.0},
    {"windows": windows.stored_text(windows.parse(["sun 01:00-02:00"]))},  # NOW is a Friday everywhere, or nearly
    {"windows": windows.stored_text(windows.parse(["mon-sun"]))},
    {"memory_least": 1},
    {"memory_least": 1 << 60},
)


@pytest.fixture(autouse=True)
def no_wait(monkeypatch):
    """A claim is of the moment at which it got through, which on a busy host is another than the one asked about.

    Nor does what the host has told grow old between the two: a claim looks at nothing anew, and would find a gate shut.
    """
    monkeypatch.setattr(gates, "LOOK_AGAIN", 1e9)
    begin = serving.Asker.__init__
    monkeypatch.setattr(serving.Asker, "__init__", lambda self, database, asks, waited=0.0: begin(self, database, asks))


def people_of(queue, served=()):
    """One worker with one slot, alive and well, that serves these queues."""
    people = Crew(queue.folder)
    people.workers = [{"name": "w-1", "kind": "worker", "queues": list(served), "slots": 1, "pid": 0, "host": ""}]
    return people


def answers(queue, now, served=()):
    """What is said of each job that waits, by its id."""
    ids = [row["id"] for row in rows(queue) if row["state"] in states.WAITING]
    if not ids:
        return {}
    people = people_of(queue, served)
    why = reasons.Why(queue.database, people, now)
    return {one["job"]["id"]: why.of(one) for one in explaining.of_jobs(queue.database, ids, now, people.serves_both)}


def is_blocked(answer):
    return [one["reason"] for one in answer["reasons"] if one["reason"] not in reasons.NOT_BLOCKING]


def copy_of(queue, path, served, favourite=None):
    """The same queue in another file, in which one job is of higher priority than all others."""
    with raw(queue) as connection, raw_file(path) as other:
        other.execute("PRAGMA synchronous = OFF")
        connection.backup(other)
        if favourite:
            other.execute("UPDATE jobs SET priority = 1000000 WHERE id = ?", (favourite,))
    copy = Queue(path)
    copy.folder.make()
    copy.database.served = served
    return copy


class Chances:
    """A queue that random things were done to."""

    def __init__(self, queue, seed):
        self.queue, self.chance, self.now = queue, random.Random(seed), NOW
        self.names, self.held = [], []
        for name in QUEUES:
            set_queue(queue, name, **self.chance.choice(LIMITS))
        for key in ("db", "disk"):
            lock_table.change(queue.database, key, self.chance.choice((None, 2)))
        for _ in range(self.chance.randrange(4, 40)):
            self.chance.choice((self.add, self.add, self.add, self.claim, self.claim, self.settle, self.meddle))()
            self.now += self.chance.choice((0.001, 0.001, 0.5, 40.0))

    def add(self):
        fields = {"id": "j%d" % len(self.names), "priority": self.chance.choice((0, 0, 0, 1, -1))}
        fields.update(queue=self.chance.choice(QUEUES), lock=self.chance.choice((None, None, "db", "disk")))
        fields.update(hold=self.chance.random() < 0.1, delay=self.chance.choice((None, None, 5, 300)))
        if self.names and self.chance.random() < 0.2:
            fields[self.chance.choice(("after", "after_any"))] = [self.chance.choice(self.names)]
        enqueue(self.queue, max_retries=self.chance.choice((0, 2)), now=self.now, **fields)
        self.names.append(fields["id"])

    def claim(self):
        self.held += claim(self.queue, self.now, self.chance.choice((1, 1, 3)))

    def settle(self):
        if self.held:
            kind = self.chance.choice((states.COMPLETED, states.FAILED, states.GIVEN_BACK))
            settle(self.queue, self.held.pop(0), kind, self.now, settings=SETTINGS.but(backoff_base=100))

    def meddle(self):
        what = self.chance.randrange(5)
        if what == 0:
            queues.pause(self.queue.database, [self.chance.choice(QUEUES)], None, None, self.now)
        elif what == 1:
            queues.pause(self.queue.database, [self.chance.choice(QUEUES)], self.now + 60, None, self.now)
        elif what == 2:
            queues.resume(self.queue.database, [])
        elif what == 3:
            waiting = [row["id"] for row in rows(self.queue) if row["state"] in states.WAITING]
            holding.hold(self.queue.database, waiting[:1], self.now) if waiting else None
        else:
            held = [row["id"] for row in rows(self.queue) if row["held_at"] and row["state"] in states.WAITING]
            holding.release(self.queue.database, held[:1], self.now) if held else None


SEEDS = 25


def seen_in(queue, seed, tmp_path):
    """The reasons that were seen in one random queue, each of which was held against the claim."""
    world = Chances(queue, seed)
    served = world.chance.choice(SERVED)
    said = answers(queue, world.now, served)
    for number, (identifier, answer) in enumerate(said.items()):
        copy = copy_of(queue, str(tmp_path / ("%d-%d.db" % (seed, number))), served, identifier)
        taken = [held.id for held in copy.exchange("w-1", [], 1, world.now, UNSYNCED)[1]]
        told = "seed %d: of %s is said %s, and the claim took %s" % (seed, identifier, answer["reasons"], taken)
        assert (taken == [identifier]) == (not is_blocked(answer)), told
    copy = copy_of(queue, str(tmp_path / ("%d.db" % seed)), served)
    taken = [held.id for held in copy.exchange("w-1", [], 1, world.now, UNSYNCED)[1]]
    first = [one for one, each in said.items() if not is_blocked(each) and each["reasons"][-1]["reason"] == "next"]
    assert first == taken, "seed %d: next is %s" % (seed, {one: answer["reason"] for one, answer in said.items()})
    return {one["reason"] for answer in said.values() for one in answer["reasons"]}


@pytest.mark.parametrize("block", range(2))
def test_a_job_can_be_claimed_if_and_only_if_no_reason_blocks_it(tmp_path, block):
    seen = set()
    for seed in range(block * SEEDS, block * SEEDS + SEEDS):
        queue = Queue(str(tmp_path / ("q%d.db" % seed)))
        queue.database.create()
        seen |= seen_in(queue, seed, tmp_path)
    wanted = {"queue_paused", "held", "after", "lock", "queue_full", "queue_rate", "gate", "window", "not_due"}
    wanted |= {"queue_not_served", "backoff", "failed_will_retry", "behind", "next"}
    assert wanted <= seen, "a reason that no queue had proves nothing: %s" % (wanted - seen)


def test_as_many_as_are_said_to_come_first_do(queue):
    for number in range(12):
        enqueue(queue, id="j%d" % number, priority=number % 3, now=NOW + number)
    said = answers(queue, NOW + 20)
    order = [claim(queue, NOW + 20)[0].id for _ in range(12)]
    places = {one: next(r.get("ahead", 0) for r in answer["reasons"]) for one, answer in said.items()}
    assert [places[one] for one in order] == list(range(12))


def test_a_job_whose_lock_is_taken_comes_before_nobody(queue):
    for number in range(3):
        enqueue(queue, id="locked%d" % number, lock="db")
    enqueue(queue, id="free")
    assert [held.id for held in claim(queue, NOW)] == ["locked0"]
    assert answers(queue, NOW)["free"]["reason"] == "next"
    assert [held.id for held in claim(queue, NOW)] == ["free"]


def test_one_of_two_queues_takes_turns_with_the_other(queue):
    set_queue(queue, "mail")
    enqueue(queue, id="a0", now=NOW)
    enqueue(queue, id="a1", now=NOW + 1)
    enqueue(queue, id="m0", queue="mail", now=NOW + 2)
    assert claim(queue, NOW + 3)[0].id == "a0"
    said = answers(queue, NOW + 3)
    assert said["m0"]["reason"] == "next", "less of its queue runs"
    assert said["a1"]["sentence"].startswith("waits behind 1 job that comes first, as other queues take turns with its")


def test_a_count_is_cut(queue, monkeypatch):
    monkeypatch.setattr(preceding, "MANY", 3)
    for number in range(6):
        enqueue(queue, id="j%d" % number)
    said = answers(queue, NOW + 1)
    assert said["j2"]["sentence"].startswith("waits behind 2 jobs that were due earlier; ")
    assert said["j5"]["sentence"].startswith("waits behind more than 3 jobs that were due earlier; ")


def test_what_has_fallen_due_unclaimed_counts_as_what_comes_first(queue):
    enqueue(queue, id="late", run_at="2027-01-15T08:00:30Z")
    enqueue(queue, id="first", run_at="2027-01-15T08:00:10Z")
    said = answers(queue, NOW + 60)
    assert said["first"]["reason"] == "next" and said["late"]["reasons"][-1]["ahead"] == 1


def test_all_that_is_said_is_of_one_moment(queue, monkeypatch):
    enqueue(queue, id="a", lock="db")
    enqueue(queue, id="b", lock="db")
    real = explaining.Moment.lock

    def meanwhile(self, job):
        claim(queue, NOW + 1)  # now a runs with the lock, and b waits for it
        return real(self, job)

    monkeypatch.setattr(explaining.Moment, "lock", meanwhile)
    assert answers(queue, NOW + 1)["b"]["reason"] == "behind"
    assert answers(queue, NOW + 1)["b"]["reason"] == "lock"


def test_no_look_goes_through_all_jobs(queue, monkeypatch):
    """Whatever `why` asks of the database is served by an index."""
    enqueue(queue, id="parent")
    enqueue(queue, id="child", after=["parent"])
    enqueue(queue, id="later", delay=60)
    enqueue(queue, id="locked", lock="db", priority=9)
    claim(queue, NOW + 1)
    enqueue(queue, id="two", lock="db")
    asked = set()
    real = explaining.Moment.__init__

    def begin(self, connection, *rest):
        connection.set_trace_callback(asked.add)
        real(self, connection, *rest)

    monkeypatch.setattr(explaining.Moment, "__init__", begin)
    answers(queue, NOW + 2)
    explaining_all.of_queue(queue.database, NOW + 2)
    wide = []
    with raw(queue) as connection:
        for statement in asked:
            if statement.startswith("SELECT"):
                plan = [row["detail"] for row in connection.execute("EXPLAIN QUERY PLAN " + statement)]
                wide += [(statement, one) for one in plan if one.startswith("SCAN") and "jobs" in one]
    assert len(asked) > 20
    assert wide == []
