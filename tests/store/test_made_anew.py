"""The step that makes the table of jobs anew: what was in it, and what others have put on it, comes along."""

import os
import sqlite3

from helpers.home import contents
from helpers.marks import posix_only
from helpers.queue import NOW, know_steps, raw_file
from helpers.waiting import wait_until

from queuectl_lib import times
from queuectl_lib.jobs import states
from queuectl_lib.store import looking, placing, schema, showing, steps

OLD = steps.JOBS_ANEW - 1
ROW = (
    "INSERT INTO jobs (seq, id, command, state, max_retries, next_run_at, lane, cwd, created_at, updated_at, token,"
    " worker) VALUES (?, ?, 'true', ?, 3, ?, ?, '/', ?, ?, ?, ?)"
)
OF_OTHERS = (
    "CREATE TABLE notes (job TEXT, state TEXT)",
    "CREATE INDEX by_cwd ON jobs (cwd)",
    "CREATE TRIGGER theirs AFTER UPDATE OF state ON jobs BEGIN INSERT INTO notes VALUES (NEW.id, NEW.state); END",
    "CREATE VIEW waiting AS SELECT id FROM jobs WHERE state = 'pending'",
)


def as_it_was(path):
    """Make the database at *path* one of the format before, in its place: with all its rows, less what is new."""
    old = sqlite3.connect(":memory:")
    for statements in steps.MIGRATIONS[:OLD]:
        for statement in statements:
            old.execute(schema.fitting(statement))
    shape = old.execute(
        "SELECT name, type FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    kept = {}
    with raw_file(path) as connection:
        for name, _ in shape:
            columns = [row[1] for row in old.execute("PRAGMA table_info(%s)" % name)]
            kept[name] = (
                columns,
                [tuple(row) for row in connection.execute("SELECT %s FROM %s" % (", ".join(columns), name))],
            )
        now = connection.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
        for kind in ("trigger", "view", "index", "table"):
            for found in now:
                if found[0] == kind and not (kind == "index" and found[1].startswith("sqlite_")):
                    connection.execute("DROP %s IF EXISTS %s" % (kind.upper(), found[1]))
        for statements in steps.MIGRATIONS[:OLD]:
            for statement in statements:
                connection.execute(schema.fitting(statement))
        for name, (columns, rows) in kept.items():
            connection.execute("DELETE FROM %s" % name)
            places = ", ".join("?" * len(columns))
            connection.executemany("INSERT INTO %s (%s) VALUES (%s)" % (name, ", ".join(columns), places), rows)
        connection.execute("DELETE FROM counts")
        columns, rows = kept["counts"]
        connection.executemany(
            "INSERT INTO counts (%s) VALUES (%s)" % (", ".join(columns), ", ".join("?" * len(columns))), rows
        )
        connection.execute("PRAGMA user_version = %d" % OLD)
        connection.commit()
    old.close()


def dump(path, names):
    with raw_file(path) as connection:
        found = {
            name: [tuple(row) for row in connection.execute("SELECT * FROM %s ORDER BY 1" % name)] for name in names
        }
        found["things"] = [
            (row["type"], row["name"], row["sql"])
            for row in connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
        ]
    return found


def test_what_is_there_comes_along_row_by_row(queue, monkeypatch):
    know_steps(monkeypatch, steps.MIGRATIONS[:OLD])
    queue.database.create()
    text = times.utc_text(NOW)
    with raw_file(queue.path) as connection:
        for statement in OF_OTHERS:
            connection.execute(statement)
        for number, state in enumerate(states.STATES, 1):
            waits = state in states.WAITING
            held = ("t", "w") if state == "processing" else (None, None)
            values = (number * 7, state, state, text if waits else None, int(state == "failed") if waits else None)
            connection.execute(ROW, values + (text, text) + held)
        connection.commit()
        before = [tuple(row) for row in connection.execute("SELECT %s FROM jobs ORDER BY seq" % steps.OLD_COLUMNS)]
    monkeypatch.undo()
    assert looking.counts(queue.database) == dict.fromkeys(states.STATES, 1)
    with raw_file(queue.path) as connection:
        after = [tuple(row) for row in connection.execute("SELECT %s FROM jobs ORDER BY seq" % steps.OLD_COLUMNS)]
        added = [tuple(row) for row in connection.execute("SELECT queue, lock_key, held_at, tags, snoozes FROM jobs")]
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert after == before
    assert set(added) == {(0, None, None, None, 0)}
    queue.cancel(["pending"], NOW)
    found = dump(queue.path, ["notes", "waiting"])
    assert found["notes"] == [("pending", "cancelled")], "the trigger of somebody else is still there"
    assert found["waiting"] == [] and "by_cwd" in [name for _, name, _ in found["things"]]


def test_an_upgraded_database_has_what_a_new_one_has(queue, tmp_path, monkeypatch):
    know_steps(monkeypatch, steps.MIGRATIONS[:OLD])
    queue.database.create()
    monkeypatch.undo()
    looking.counts(queue.database)
    new = type(queue)(str(tmp_path / "new.db"))
    new.database.create()
    tables = ["counts", "queues"]
    assert dump(queue.path, tables) == dump(new.path, tables)


def test_the_lane_of_what_waited_is_what_place_says(queue, monkeypatch):
    know_steps(monkeypatch, steps.MIGRATIONS[:OLD])
    queue.database.create()
    with raw_file(queue.path) as connection:
        for number, (lane, due) in enumerate(((0, NOW - 5), (1, NOW + 60), (1, NOW - 60)), 1):
            text = times.utc_text(due)
            connection.execute(ROW, (number, "j%d" % number, "pending", text, lane, text, text, None, None))
        connection.commit()
    monkeypatch.undo()
    assert placing.misplaced(queue.database, times.utc_text(NOW)) == []
    with raw_file(queue.path) as connection:
        connection.execute("UPDATE jobs SET lane = 3 WHERE id = 'j2'")
        connection.commit()
    assert [row["id"] for row in placing.misplaced(queue.database, times.utc_text(NOW))] == ["j2"]


@posix_only
def test_jobs_that_run_are_taken_over_by_a_worker_of_the_new_format(home):
    """Old workers were stopped with --leave-running, the files replaced, new workers started."""
    home.run("worker", "start", "--background", "--count", "2")
    ledger = os.path.join(home.path, "ledger")
    ids = [home.add("echo begun >> %s; sleep 2; echo done >> %s" % (ledger, ledger)) for _ in range(2)]
    wait_until(lambda: os.path.exists(ledger) and contents(ledger).count("begun") == 2, "both to begin")
    home.run("worker", "stop", "--leave-running")
    as_it_was(home.db)
    home.run("worker", "start", "--background", "--count", "2")
    for identifier in ids:
        home.wait_for_state(identifier, "completed")
        assert showing.job(home.queue.database, identifier)["attempts"] == 1
    assert contents(ledger).split().count("begun") == 2, "each ran once"
    assert os.path.exists("%s.v%d.backup" % (home.db, OLD))
    home.run("worker", "stop")
