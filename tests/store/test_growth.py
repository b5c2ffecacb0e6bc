"""Growth: what people ask takes no more steps of the database engine in a queue of thousands than in one of dozens."""

import random

import pytest
from helpers.queue import NOW, claim, enqueue, raw, rows, settle

from queuectl_lib import times
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.reports import problems
from queuectl_lib.store import at_hand, failure_words, health, looking, opening, showing
from storage import Queue

PRIORITIES = 4


@pytest.fixture
def steps(monkeypatch):
    """One number for each ten steps of the engine, on whatever connection."""
    found, connect = [], opening.connect

    def counted(*values):
        connection = connect(*values)
        connection.set_progress_handler(lambda: found.append(10), 10)
        return connection

    monkeypatch.setattr(opening, "connect", counted)
    return found


INSERT = (
    "INSERT INTO jobs (id, command, state, max_retries, priority, next_run_at, lane, cwd, created_at, updated_at,"
    " finished_at) VALUES (?, 'true', ?, 3, ?, ?, ?, '/', ?, ?, ?)"
)


def add_raw(queue, name, count, state, lane=None, due=None, ended=None):
    """Many jobs, by the shortest way."""
    made = times.utc_text(NOW)
    values = [
        ("%s-%d" % (name, number), state, number % PRIORITIES, due and times.utc_text(due), lane, made, made, ended)
        for number in range(count)
    ]
    with raw(queue) as connection:
        connection.execute("BEGIN")
        connection.executemany(INSERT, values)
        connection.execute("COMMIT")


def said_by_the_dead(database):
    jobs, _ = showing.jobs(database, ["dead"], 10)
    return failure_words.texts(database, jobs)


QUESTIONS = {
    "status": lambda database: looking.overview(database),
    "what runs": lambda database: at_hand.running(database, 5) == [],
    "what failed last": lambda database: at_hand.failures(database, 5),
    "what comes next": lambda database: at_hand.coming(database, 5, NOW),
    "dlq list": lambda database: said_by_the_dead(database),
    "list": lambda database: showing.jobs(database, [], 10),
    "list --state completed": lambda database: showing.jobs(database, ["completed"], 10),
    "list --state pending": lambda database: showing.jobs(database, ["pending"], 10),
    "show": lambda database: showing.job(database, "done-7"),
    "check, all in time": lambda database: health.due_work(database, NOW + 10, NOW - 1000),
    "check, all too late": lambda database: health.due_work(database, NOW + 10, NOW + 5),
}


@pytest.fixture(scope="module")
def small_and_large(tmp_path_factory):
    """The paths of two queues, which nobody changes."""
    found = []
    for sizes in ((100,), (100, 2000)):
        queue = Queue(str(tmp_path_factory.mktemp("grown") / "q.db"))
        queue.database.create()
        for size in sizes:
            add_raw(queue, "done%s" % (size if size > 100 else ""), size, "completed", ended=times.utc_text(NOW))
            add_raw(queue, "dead%d" % size, size, "dead", ended=times.utc_text(NOW))
            add_raw(queue, "due%d" % size, size, "pending", 0, NOW)
            add_raw(queue, "fallen%d" % size, size, "pending", 1, NOW + 1)
            add_raw(queue, "later%d" % size, size, "pending", 1, NOW + 1000)
        found.append(queue.path)
    return found


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_large_queue_is_asked_in_as_many_steps_as_a_small_one(small_and_large, monkeypatch, steps, name):
    monkeypatch.setattr(health, "MANY_DUE", 20)
    found = []
    for path in small_and_large:
        database = Queue(path).database
        with database.reading():  # what the first look at a file takes is not counted
            del steps[:]
        assert QUESTIONS[name](database)
        found.append(sum(steps))
    assert found[1] < 1.2 * found[0] + 200, found


# ---------------------------------------------------------------- what `check` says of due jobs


@pytest.mark.parametrize("priorities", [2, 1000])  # that are asked for one by one
@pytest.mark.parametrize("seed", range(4))
def test_the_job_that_waits_longest_is_named_whatever_its_priority(queue, monkeypatch, seed, priorities):
    monkeypatch.setattr(health, "MANY_PRIORITIES", priorities)
    chance, maker, since = random.Random(seed), JobMaker(3, "/", 0o022, NOW - 50), {}
    for number in range(30):
        due = NOW - chance.randrange(40)
        fields = {"id": "j%d" % number, "priority": chance.randrange(3), "run_at": times.utc_text(due)}
        list(queue.enqueue_each([(number, maker.row(dict(fields, command="true")))]))
        since["j%d" % number] = times.utc_text(due)
    for number in range(8):
        (held,) = claim(queue, NOW)
        settle(queue, held, "given back", NOW + number / 10)  # it keeps its next_run_at, and waits since then
        since[held.id] = times.utc_text(NOW + number / 10)
    due, running, oldest = health.due_work(queue.database, NOW + 1, NOW + 1)
    assert (due, running) == (30, 0)
    assert oldest == min((moment, identifier) for identifier, moment in since.items())
    assert health.due_work(queue.database, NOW + 1, NOW - 60)[2] is None


def test_due_jobs_are_counted_so_far_and_then_check_says_more(queue, monkeypatch):
    monkeypatch.setattr(health, "MANY_DUE", 3)
    for number in range(5):
        (found,) = problems.work_problems(queue, NOW, 60) if number else [{}]
        expected = {"due": min(number, 3), "more_due": number > 3} if number else {}
        assert {key: found[key] for key in expected} == expected
        enqueue(queue, id="j%d" % number)
    assert "jobs due: more than 3," in problems.work_problems(queue, NOW, 60)[0]["text"]
    assert "jobs due: more than 3" in problems.work_problems(queue, NOW + 100, 60)[0]["text"]


def test_completed_jobs_are_listed_newest_last_however_many_wait_behind_them(queue):
    for number in range(5):
        enqueue(queue, id="j%d" % number)
        settle(queue, claim(queue)[0], "completed", NOW + 10 - number)
        add_raw(queue, "w%d" % number, 30, "pending", 1, NOW + 1000)
    jobs, more = showing.jobs(queue.database, ["completed"], 3)
    assert ([job["id"] for job in jobs], more) == (["j2", "j3", "j4"], True)
    assert rows(queue, "SELECT count(*) AS jobs FROM jobs WHERE state = 'completed'") == [{"jobs": 5}]
