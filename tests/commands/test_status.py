"""The screen of `status`: what runs, what failed last, what comes next, on 24 lines; and what its JSON gains."""

import json
import time

import pytest
from helpers.queue import claim, enqueue, raw, settle

from queuectl_lib.store import at_hand


@pytest.fixture
def home(near):
    return near


def fail(home, identifier, exit_code=3, retries=0, now=None, **fields):
    """A job that has failed, now unless told; it is dead where it has no retries."""
    now = time.time() if now is None else now
    enqueue(home.queue, retries, now - 60, id=identifier, priority=9, **fields)
    (held,) = claim(home.queue, now)
    assert held.id == identifier
    assert settle(home.queue, held, "failed", now, error="exit code %d" % exit_code, exit_code=exit_code)


def lines_of(home, *words):
    return home.run("status", *words).stdout.splitlines()


def section(home, name):
    """The rows behind a name, each in its columns."""
    lines = lines_of(home)
    (start,) = [number for number, line in enumerate(lines) if line.startswith(name + " ")]
    found = [lines[start][16:]]
    for line in lines[start + 1 :]:
        if line[:1] != " ":
            break
        found.append(line[16:])
    return [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in found]


def test_an_empty_queue_has_its_counts_and_no_more(home):
    lines = [line.split("  ")[0] for line in lines_of(home)]
    assert lines[6:] == ["workers", "oldest waiting", "database"] and len(lines) == 9
    value = home.run("status", "--json").json
    assert (value["running"], value["failures"], value["next"]) == ([], [], [])


def test_what_failed_last_is_told_with_its_reason_whenever_it_was_added(home):
    enqueue(home.queue, 0, time.time() - 900, id="old", priority=9)
    (held,) = claim(home.queue, time.time())
    for number in range(6):
        fail(home, "dead%d" % number, number + 1, now=time.time() - 600 + number)
    fail(home, "again", 9, retries=3, now=time.time() - 300)
    settle(home.queue, held, "failed", time.time() - 120, error="exit code 7", exit_code=7)
    rows = section(home, "failures")
    assert rows[0] == ["old", "dead", "2m ago", "exit 7"]
    assert [row[0] for row in rows] == ["old", "again", "dead5", "dead4", "dead3"]
    assert [row[-1] for row in rows] == ["exit 7", "exit 9", "exit 6", "exit 5", "exit 4"]
    assert "  5 of 8" in home.run("status").stdout
    first = home.run("status", "--json").json["failures"][0]
    assert (first["id"], first["state"], first["exit_code"], first["reason"]) == ("old", "dead", 7, "exit 7")


def test_what_was_put_right_since_is_no_failure_any_more(home):
    fail(home, "b")
    fail(home, "a")
    home.run("dlq", "retry", "a")
    assert [one["id"] for one in home.run("status", "--json").json["failures"]] == ["b"]
    home.run("dlq", "purge")
    (held,) = claim(home.queue, time.time())
    settle(home.queue, held, "completed", time.time())
    assert not [line for line in lines_of(home) if line.startswith("failures")]


def test_a_failure_is_found_where_its_attempt_is_gone(home):
    """As an older version left it, and behind many other ends."""
    for number in range(3):
        fail(home, "dead%d" % number)
    with raw(home.queue) as connection:
        connection.execute("UPDATE attempts SET ended = NULL")
        connection.execute("DELETE FROM attempts WHERE job = 1")
    assert {row[0] for row in section(home, "failures")} == {"dead0", "dead1", "dead2"}


def test_what_comes_next_is_what_a_worker_claims_next(home):
    home.add("echo held", "--hold")
    home.add("echo later", "--delay", "2h")
    for name, priority in (("low", 1), ("high", 7), ("middle", 5)):
        home.add("echo " + name, "--priority", priority)
    home.run("queue", "set", "shut")
    home.run("pause", "shut")
    home.add("echo shut", "--queue", "shut", "--priority", "9")
    following = home.run("status", "--json").json["next"]
    assert [one["command"] for one in following] == ["echo " + word for word in ("high", "middle", "low", "later")]
    assert [row[-1] for row in section(home, "next")] == ["echo high", "echo middle", "echo low"]
    claimed = [held.id for held in claim(home.queue, time.time(), 3)]
    assert claimed == [one["id"] for one in following[:3]]
    assert section(home, "next")[0][1:] in (["due in 119m", "echo later"], ["due in 2h", "echo later"])


def test_what_runs_is_told_with_its_time_and_command(home):
    for number in range(12):
        enqueue(home.queue, 1, time.time() - 400, id="r%d" % number, command=["sleep", "a b"])
    claim(home.queue, time.time() - 300, 12)
    rows = section(home, "running")
    assert rows[0] == ["r0", "for 5m", "sleep 'a b'"] and len(rows) == 10
    assert "  10 of 12" in home.run("status").stdout
    assert len(home.run("status", "--json").json["running"]) == 10


def test_it_never_has_more_than_a_screen_and_no_long_line(home):
    home.run("queue", "set", "shut")
    home.run("pause", "shut")
    home.add("true", "--queue", "shut")
    for number in range(7):
        fail(home, "dead%d" % number, command="x" * 900)
    for number in range(20):
        enqueue(home.queue, 1, time.time() - 400, id="r%d" % number, command="y" * 900)
    claim(home.queue, time.time(), 12)
    home.add("true", "--after", "r0")
    home.add("true", "--hold")
    lines = lines_of(home)
    assert len(lines) <= 24
    assert max(map(len, lines)) < 300
    assert [len(section(home, name)) for name in ("failures", "next")] == [5, 3]
    assert len(section(home, "running")) >= 3


@pytest.mark.parametrize("column", ["id", "command", "started_at", "updated_at", "next_run_at", "signature", "worker"])
@pytest.mark.parametrize("value", [None, 7, 1.5, b"\xff\x00", "\x1b[31mno", ""])
def test_damaged_rows_are_shown_as_they_are(home, column, value):
    fail(home, "dead")
    fail(home, "again", retries=3)
    home.add("true", "--id", "due")
    home.add("true", "--id", "runs", "--priority", "9")
    claim(home.queue, time.time())
    with raw(home.queue) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        try:
            connection.execute("UPDATE jobs SET %s = ? WHERE id = 'dead'" % column, (value,))
            if column != "id":
                connection.execute("UPDATE jobs SET %s = ?" % column, (value,))
        except Exception as error:
            pytest.skip(str(error))  # what the schema itself refuses
    shown = home.run("status").stdout
    assert all(line.isprintable() for line in shown.splitlines())
    assert len(json.loads(home.run("status", "--json").stdout)["failures"]) == 2
    home.run("dlq", "list")
    home.run("list")


def test_no_question_walks_over_the_jobs(home):
    home.run("initdb")
    questions = {
        at_hand.RUNNING: (5,),
        at_hand.ENDED: (5,),
        at_hand.THESE % "?, ?": (1, 2),
        at_hand.LAST_ADDED: ("dead", 5),
        at_hand.DUE: (0, 5),
        at_hand.LATER: (5,),
    }
    with raw(home.queue) as connection:
        for statement, values in questions.items():
            plan = " ".join(row["detail"] for row in connection.execute("EXPLAIN QUERY PLAN " + statement, values))
            assert "INDEX" in plan or "PRIMARY KEY" in plan, (statement, plan)
            assert "TEMP B-TREE" not in plan, (statement, plan)
