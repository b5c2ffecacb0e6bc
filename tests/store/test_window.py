"""The attempts of a stretch of time: each that ended in it counted once, whatever clocks and people have done."""

import random

import pytest
from helpers.queue import NOW, raw

from queuectl_lib import times
from queuectl_lib.store import failed, window

HOUR, DAY = 3600, 86400
JOB = (
    "INSERT INTO jobs (seq, id, command, state, max_retries, cwd, created_at, updated_at, name, runs, signature)"
    " VALUES (?, ?, ?, ?, 3, '/', ?, ?, ?, 1, ?)"
)
ATTEMPT = (
    "INSERT INTO attempts (id, job, number, outcome, started_at, finished_at, exit_code, worker, stderr, stderr_bytes,"
    " ended) VALUES (?, ?, 1, ?, ?, ?, ?, 'w', ?, ?, ?)"
)


def put(queue, spans, outcome="completed", command="true", name=None, first=1, with_numbers=True, stderr=None):
    """Attempts (began, ended), each of a job of its own, as they began."""
    ends = {place: number for number, place in enumerate(sorted(range(len(spans)), key=lambda i: spans[i][1]), first)}
    with raw(queue) as connection:
        connection.execute("BEGIN")
        for place, (began, ended) in enumerate(spans):
            begin, end = times.utc_text(began), times.utc_text(ended)
            seq = first + place
            state = "completed" if outcome == "completed" else "dead"
            connection.execute(JOB, (seq, "job-%d" % seq, command, state, begin, end, name, None))
            number = ends[place] if with_numbers else None
            connection.execute(ATTEMPT, (seq, seq, outcome, begin, end, 0, stderr, len(stderr or b""), number))
        connection.execute("COMMIT")


def look(queue, since, now=NOW, until=None):
    """(counted, read in full) of the window."""
    with queue.database.reading() as connection:
        seen = window.Window(connection, since, until)
        ends = window.ends(seen, now)
        return ends, window.detail(seen, sum(ends.values()), now)


@pytest.mark.parametrize("seed", range(4))
def test_each_attempt_that_ended_in_it_is_counted_once(queue, monkeypatch, seed):
    monkeypatch.setattr(window, "IDS_AT_ONCE", 70)
    chance = random.Random(seed)
    begins = sorted(NOW - chance.random() * 3 * DAY for _ in range(400))
    spans = [(one, min(NOW, one + chance.choice([1, 60, HOUR, 2 * DAY]))) for one in begins]
    spans = [(began + chance.choice([0, -600, 600]), ended) for began, ended in spans]  # the clock was set
    put(queue, spans)
    for length in (2 * HOUR, DAY, 2 * DAY):
        since = window.whole_unit(NOW - length, NOW)
        ends, detail = look(queue, since)
        expected = [ended for _, ended in spans if since <= ended <= NOW]
        assert sum(ends.values()) == len(expected)
        assert sorted(one.ended for one in detail.attempts) == pytest.approx(sorted(expected))
        unit = 1 if length < 3 * HOUR else 60
        assert {moment for moment, _ in ends} == {one // unit * unit for one in expected}


def test_attempts_from_before_ends_had_numbers_are_counted(queue):
    put(queue, [(NOW - 1.5 * HOUR, NOW - 50), (NOW - 90, NOW - 40)], with_numbers=False)
    ends, detail = look(queue, NOW - HOUR)
    assert sum(ends.values()) == len(detail.attempts) == 2


def test_what_began_long_before_and_ended_in_it_is_found(queue):
    put(queue, [(NOW - 9 * DAY, NOW - 60), (NOW - 8 * DAY, NOW - 7 * DAY), (NOW - 50, NOW - 40)])
    ends, detail = look(queue, NOW - DAY)
    assert sum(ends.values()) == 2 and {one.job for one in detail.attempts} == {"job-1", "job-3"}


def test_of_many_a_sample_is_read_that_lies_evenly_and_all_are_counted(queue, monkeypatch):
    monkeypatch.setattr(window, "IN_FULL", 1000)
    monkeypatch.setattr(window, "SAMPLE", 500)
    put(queue, [(NOW - 5000 + place, NOW - 4990 + place) for place in range(4000)])
    with queue.database.reading() as connection:
        seen = window.Window(connection, NOW - DAY)
        detail = window.detail(seen, 4000, NOW)
    assert 450 <= len(detail.attempts) <= 550 and detail.weight == 8 and detail.is_sample
    for part in range(8):
        begin = NOW - 5000 + part * 500
        assert 50 <= sum(begin <= one.began < begin + 500 for one in detail.attempts) <= 75


def test_kinds_are_told_of_fewer_where_a_sample_is_read(queue, monkeypatch):
    monkeypatch.setattr(window, "IN_FULL", 50)
    monkeypatch.setattr(window, "SAMPLE", 40)
    monkeypatch.setattr(window, "OF_SAMPLE", 5)
    put(queue, [(NOW - 500 + place, NOW - 499 + place) for place in range(400)], command="python3 x.py 7")
    _, detail = look(queue, NOW - DAY)
    assert detail.is_sample and len([one for one in detail.attempts if one.kind]) <= 6


def test_kinds_are_told_of_some_that_lie_evenly(queue, monkeypatch):
    monkeypatch.setattr(window, "WITH_KINDS", 10)
    put(queue, [(NOW - 500 + place, NOW - 499 + place) for place in range(100)], command="python3 x.py 7")
    _, detail = look(queue, NOW - DAY)
    kinds = [one.kind for one in detail.attempts]
    assert kinds.count("python3 x.py <n>") == 10 and kinds.count(None) == 90


def test_the_stretch_before_ends_where_the_other_begins(queue):
    put(queue, [(NOW - 2000, NOW - 1900), (NOW - 900, NOW - 800)])
    with queue.database.reading() as connection:
        earlier = window.Window(connection, NOW - 2500, NOW - 1000)
        found = window.detail(earlier, 10, NOW - 1000)
    assert [one.job for one in found.attempts] == ["job-1"]


DAMAGE = (
    "UPDATE attempts SET started_at = 7 WHERE id % 3 = 0",
    "UPDATE attempts SET started_at = x'ff00', finished_at = x'ff' WHERE id % 5 = 0",
    "UPDATE attempts SET finished_at = CAST(x'ff41' AS TEXT) WHERE id % 5 = 1",
    "UPDATE attempts SET outcome = x'ff' WHERE id % 4 = 1",
    "UPDATE attempts SET outcome = 'a' || x'1e' || 'b', worker = 9 WHERE id % 4 = 2",
    "UPDATE attempts SET ended = 'x' WHERE id % 7 = 1",
    "UPDATE attempts SET ended = -5 WHERE id % 7 = 2",
    "UPDATE attempts SET ended = x'ff' WHERE id % 7 = 3",
    "UPDATE attempts SET id = 4611686018427387904 WHERE id = 30",
    "UPDATE attempts SET id = -9 WHERE id = 3",
    "UPDATE jobs SET id = CAST(x'ff' || seq AS BLOB), name = 3.5, command = x'ff', is_list = 1 WHERE seq % 6 = 2",
    "UPDATE jobs SET created_at = 'x', run_at = 17 WHERE seq % 6 = 3",
    "UPDATE jobs SET signature = x'ff' WHERE seq % 6 = 4",
    "UPDATE attempts SET exit_code = 'x', signal = 7, error = x'ff', stdout = 'text', stdout_bytes = 'many'",
    "UPDATE attempts SET command = '[not json' WHERE id % 2 = 0",
)


@pytest.mark.parametrize("damage", range(len(DAMAGE) + 1))
def test_what_somebody_has_put_there_is_no_obstacle(queue, damage):
    put(queue, [(NOW - 400 + place, NOW - 390 + place) for place in range(60)], "failed", stderr=b"why\n")
    with raw(queue) as connection:
        for statement in DAMAGE if damage == len(DAMAGE) else DAMAGE[damage : damage + 1]:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(statement)
    ends, detail = look(queue, NOW - DAY)
    assert all(isinstance(outcome, str) and moment > 0 for moment, outcome in ends)
    with queue.database.reading() as connection:
        found = failed.of(queue.database, window.Window(connection, NOW - DAY))
    told = [failed.told(queue.database, row, 3) for row in found.rows]
    assert all(isinstance(one["verdict"], str) and isinstance(one["command"], str) for one in told)
    if damage not in (3, 4, len(DAMAGE)):
        assert found.rows and (damage in (1, 2) or len(told) >= 59)


def test_failures_come_newest_first_each_with_its_group_and_its_last_lines(queue):
    lines = b"".join(b"line %d\n" % number for number in range(9)) + b"\r\n  \nValueError: 17\n"
    put(queue, [(NOW - 400, NOW - 30), (NOW - 300, NOW - 100)], "failed", stderr=lines)
    put(queue, [(NOW - 200, NOW - 10)], "completed", first=3)
    with queue.database.reading() as connection:
        found = failed.of(queue.database, window.Window(connection, NOW - DAY))
    told = [failed.told(queue.database, row, 3) for row in found.rows]
    assert [one["job"] for one in told] == ["job-1", "job-2"]
    assert told[0]["lines"] == ["line 7", "line 8", "ValueError: 17"]
    assert [(text, count) for text, count, _ in found.groups.values()] == [("exit 0: ValueError: <n>", 2)]


def test_an_empty_queue_has_an_empty_window(queue):
    ends, detail = look(queue, NOW - DAY)
    assert ends == {} and detail.attempts == []
