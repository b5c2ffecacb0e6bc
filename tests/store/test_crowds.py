"""Crowds: of many jobs that fall due at once each claim promotes a part, and the order holds all the same."""

import random

import pytest
from helpers.queue import NOW, claim, enqueue, raw, rows

from queuectl_lib import times
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import claiming

PRIORITIES = 5


def add_later(queue, count, due):
    """Many jobs that wait for *due*, by the shortest way."""
    created, due_text = times.utc_text(NOW), times.utc_text(due)
    with raw(queue) as connection:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO jobs (id, command, max_retries, priority, next_run_at, lane, cwd, created_at, updated_at)"
            " VALUES (?, 'true', 3, ?, ?, 1, '/', ?, ?)",
            [("%f-%d" % (due, number), number % PRIORITIES, due_text, created, created) for number in range(count)],
        )
        connection.execute("COMMIT")


def steps_of(connection, statement, values):
    """How many steps the database engine takes, about."""
    steps = []
    connection.set_progress_handler(lambda: steps.append(1), 10)
    connection.execute(statement, values).fetchall()
    connection.set_progress_handler(None, 1)
    return 10 * len(steps)


@pytest.mark.parametrize("priorities", [1, 2, 1000])  # that are asked for one by one
@pytest.mark.parametrize("crowd", [1, 2, 7, 20])
def test_the_order_holds_among_more_than_one_claim_promotes(queue, monkeypatch, crowd, priorities):
    monkeypatch.setattr(claiming, "CROWD", crowd)
    monkeypatch.setattr(claiming, "MANY_PRIORITIES", priorities)
    chance = random.Random(crowd)
    maker = JobMaker(1, "/", 0o022, NOW)
    wanted, jobs = [], []
    for number in range(40):
        priority, due = chance.randrange(-2, 3), NOW + 5 + chance.randrange(5)
        fields = {"command": "true", "id": "j%d" % number, "priority": priority, "run_at": times.utc_text(due)}
        jobs.append((number, maker.row(fields)))
        wanted.append((-priority, due, number))
    list(queue.enqueue_each(jobs))
    enqueue(queue, id="future", priority=9, delay=60)
    found = [claim(queue, NOW + 10)[0].id for _ in wanted]
    assert found == ["j%d" % number for _, _, number in sorted(wanted)]
    assert claim(queue, NOW + 10) == []


def test_of_a_crowd_that_falls_due_one_claim_promotes_a_part(queue):
    enqueue(queue)
    add_later(queue, 3 * claiming.CROWD, NOW - 1)
    promoted = "SELECT count(*) AS jobs FROM jobs WHERE id <> 'job' AND (lane = 0 OR state = 'processing')"
    for part in (1, 2, 3):
        assert len(claim(queue)) == 1
        assert rows(queue, promoted) == [{"jobs": 1 + part * claiming.CROWD}]


def test_what_priorities_that_cannot_be_read_hide_is_promoted_too(queue, monkeypatch):
    monkeypatch.setattr(claiming, "CROWD", 3)
    add_later(queue, 7, NOW - 1)
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET priority = CAST(x'ff80' AS TEXT)")
    for _ in range(7):
        claim(queue)
    assert rows(queue, "SELECT DISTINCT state FROM jobs") == [{"state": "processing"}]


def test_the_first_of_a_crowd_are_found_without_a_look_at_all_of_it(queue):
    enqueue(queue, id="last", priority=9, now=NOW - 20000, delay=20000)
    found = []
    for jobs in (1000, 9000):
        add_later(queue, jobs, NOW - jobs)
        with raw(queue) as connection:
            found.append(steps_of(connection, claiming.FIRST_OF_PRIORITY, (9, times.utc_text(NOW), 10)))
    assert found[1] < 1.5 * found[0] + 100, found
