"""Many jobs at once: what the private table leaves out, and what is not checked a second time."""

import os

import pytest
from helpers.queue import NOW, raw

from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import bulk, opening

KINDS = [
    {},
    {"command": ["printf", "%s", "a b"]},
    {"delay": "0s"},
    {"delay": "9h"},
    {"run_at": "1970-01-01T00:00:00Z"},
    {"run_at": "9999-12-31T23:59:59Z"},
    {"timeout": "0.001s"},
    {"timeout": "36500d"},
    {"max_retries": 0},
    {"max_retries": 1000000, "priority": -1000000000},
    {"priority": 1000000000, "unique": "k"},
    {"unique": "k"},
    {"env": {}},
    {"env": {"A": "\\u00e4"}},
    {"umask": "0777"},
    {"pipe_output": True},
    {"pipe_output": False, "cwd": "sub"},
]


def test_rows_whose_constraints_are_not_checked_anew_keep_them(queue):
    maker = JobMaker(3, "/", 0o022, NOW)
    rows = [(number, maker.row(dict({"command": "true"}, **kind))) for number, kind in enumerate(KINDS)]
    assert len(list(queue.enqueue_each(rows))) == len(KINDS)
    with raw(queue) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone()[0] == len(KINDS) - 1
        said = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        assert said == ["ok"]
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE jobs SET max_retries = -1 WHERE seq = 1")
        connection.execute("PRAGMA ignore_check_constraints = OFF")
        if connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok":
            pytest.skip("this SQLite does not look for them")


def test_each_row_gets_what_it_shares_with_others(queue):
    maker = JobMaker(3, "/", None, NOW)
    delays = [None, "1h", None, "1h", "2h"] * 50  # no two of a kind one after the other
    rows = [(n, maker.row({"id": "j%d" % n, "command": "true", "delay": delay})) for n, delay in enumerate(delays)]
    assert list(queue.enqueue_each(rows)) == ["j%d" % number for number in range(250)]
    with raw(queue) as connection:
        found = dict(connection.execute("SELECT id, lane || ' ' || coalesce(run_at, '-') FROM jobs").fetchall())
    shared = {delay: row[6:9] for delay, (_, row) in zip(delays, rows)}
    assert len(shared) == 3
    assert found == {"j%d" % n: "%d %s" % (shared[delay][2], shared[delay][0] or "-") for n, delay in enumerate(delays)}


def test_what_a_batch_adds_to_the_log_is_foretold(queue):
    """A disk that is about to be full is told before anything is written."""
    queue.database.create()
    maker = JobMaker(3, "/", 0o022, NOW)
    large = dict.fromkeys("ABCD", "x" * 5000)  # one of 20000 is refused on Windows
    jobs = [{"command": "true", "env": large if n < 400 else {"A": "xxx"}} for n in range(800)]
    with opening.told(queue.path), queue.database.index_room.allocated(queue.database.open()) as opened:
        bulk.take_in(opened, ((number, maker.row(job)) for number, job in enumerate(jobs)))
        foretold, before = bulk.most_bytes(opened), os.path.getsize(queue.path + "-wal")
        bulk.insert_all(opened, False)
        added = os.path.getsize(queue.path + "-wal") - before
    assert 8000000 < added <= foretold < 4 * added
