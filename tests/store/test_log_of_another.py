"""A log beside another database than its own: told by the counters of page 1, and put aside where nobody is."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest
from helpers.bundle import ROOT
from helpers.marks import posix_only
from helpers.queue import enqueue, raw_file

from queuectl_lib.store import database, log_of_another
from queuectl_lib.store.log_of_another import FRAME_HEADER, HEADER
from storage import Queue

pytestmark = posix_only

PAGE = 4096
KEEP_OPEN = """
import sys
sys.path.insert(0, sys.argv[1])
from storage import Queue
keeper = Queue(sys.argv[2]).database.keeper()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def first_look(monkeypatch):
    """This process is as one that has opened nothing yet."""
    monkeypatch.setattr(database, "LOG_SEEN", set())


def grow(connection, pages=3):
    """A commit that changes page 1, which holds the size of the database."""
    connection.execute("CREATE TABLE IF NOT EXISTS filling (bytes)")
    connection.execute("INSERT INTO filling VALUES (zeroblob(?))", (pages * PAGE,))


def change(connection):
    """A commit that changes other pages alone."""
    connection.execute("UPDATE counts SET jobs = jobs")


@contextlib.contextmanager
def connected(path):
    with raw_file(path) as connection:
        connection.isolation_level = None
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        yield connection


def image(path, name):
    """What a crash leaves at this moment, in a folder of its own; its path."""
    folder = os.path.join(os.path.dirname(path), name)
    os.mkdir(folder)
    for ending in ("", "-wal"):
        if os.path.exists(path + ending):
            shutil.copy(path + ending, os.path.join(folder, "q.db" + ending))
    return os.path.join(folder, "q.db")


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "q.db")
    Queue(path).database.create()
    with connected(path) as connection:
        grow(connection)
    return path


def beside(log, backup):
    """The database *backup* in the place of the one that *log* belongs to."""
    os.replace(backup, log)
    return log


def edit(path, place, data):
    with open(path, "r+b") as file:
        file.seek(place, os.SEEK_END if place < 0 else os.SEEK_SET)
        file.write(data)


def span(path):
    with open(path, "rb") as file, open(path + "-wal", "rb") as log:
        page_bytes = int.from_bytes(file.read(18)[16:], "big")  # 1024 before SQLite 3.12
        return log_of_another.counters(log.fileno(), page_bytes)


@pytest.fixture
def crashed(path):
    """A database with a log of its own that holds page 1, beside which an older copy of it lies: q.db.backup."""
    shutil.copy(path, path + ".backup")
    with connected(path) as connection:
        grow(connection)
    with connected(path) as connection:
        grow(connection)
        crashed = image(path, "crashed")
    os.replace(path + ".backup", crashed + ".backup")
    return crashed


# ---------------------------------------------------------------- whose it is


def test_a_log_belongs_to_its_own_database_at_every_moment_of_it(path):
    """A crash after each step; two connections take turns, as workers do, and one stays, as a keeper does."""
    with connected(path) as keeper, connected(path) as one, connected(path) as two:
        steps = [
            lambda: grow(one),
            lambda: grow(one),
            lambda: grow(two, 30),
            lambda: keeper.execute("BEGIN").connection.execute("SELECT count(*) FROM filling").fetchall(),
            lambda: grow(one),
            lambda: one.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall(),  # in part: the keeper reads what was
            lambda: grow(two),
            lambda: keeper.execute("COMMIT"),
            lambda: one.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall(),
            lambda: grow(one),  # a new round, over the frames of the last one
            lambda: one.execute("DELETE FROM filling WHERE rowid > 2"),
            lambda: two.execute("PRAGMA incremental_vacuum").fetchall(),
            lambda: one.execute("PRAGMA wal_checkpoint(RESTART)").fetchall(),
            lambda: change(two),
            lambda: two.execute("VACUUM"),
            lambda: one.execute("PRAGMA user_version = 5"),
            lambda: one.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall(),
            lambda: grow(two),
        ]
        told = 0
        for number, step in enumerate(steps):
            step()
            crashed = image(path, "after-%d" % number)
            assert not log_of_another.is_of_another(crashed), "after step %d" % number
            told += span(crashed) is not None
        assert told > len(steps) // 2, "there was something to tell by"


def test_an_older_copy_of_the_database_is_another(crashed):
    assert not log_of_another.is_of_another(crashed)
    assert log_of_another.is_of_another(beside(crashed, crashed + ".backup"))


def test_a_newer_one_is_another_too(path, crashed):
    with connected(path) as connection:
        for _ in range(3):
            grow(connection)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            connection.execute("VACUUM")
    for _ in range(3):
        with connected(path) as connection:
            grow(connection)
    assert log_of_another.is_of_another(beside(crashed, path))


def test_frames_of_an_earlier_round_behind_the_valid_ones_do_not_count(path):
    shutil.copy(path, path + ".backup")
    with connected(path) as connection:
        for _ in range(4):
            grow(connection, 9)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    with connected(path) as connection:
        grow(connection, 40)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        with connected(path) as another:
            grow(another, 1)  # at the beginning of the log, with new salts
        crashed = image(path, "crashed")
    size = os.path.getsize(crashed + "-wal")
    assert size > HEADER + 40 * (FRAME_HEADER + PAGE), "the frames of the first round are there"
    assert not log_of_another.is_of_another(crashed)
    assert log_of_another.is_of_another(beside(crashed, path + ".backup"))


def test_what_was_never_committed_does_not_count(crashed):
    before = span(crashed)
    with open(crashed + "-wal", "r+b") as file:
        header = file.read(HEADER)
        file.seek(0, os.SEEK_END)
        frame = (1).to_bytes(4, "big") + bytes(4) + header[16:24] + bytes(8)
        file.write(frame + bytes(24) + (10**6).to_bytes(4, "big") + bytes(PAGE - 28))
    assert span(crashed) == before


def test_a_log_without_page_1_tells_nothing(path):
    with connected(path) as connection:
        grow(connection)
    shutil.copy(path, path + ".backup")
    with connected(path) as connection:
        change(connection)
        crashed = image(path, "crashed")
    assert os.path.getsize(crashed + "-wal") > HEADER and span(crashed) is None
    edit(crashed, 24, b"\xff\xff\xff\xff")
    assert not log_of_another.is_of_another(crashed)


@pytest.mark.parametrize("place, data", [(0, b"\0"), (8, b"\0\0\x20\0"), (16, b"another!"), (HEADER + 8, b"another!")])
def test_an_odd_log_tells_nothing(crashed, place, data):
    beside(crashed, crashed + ".backup")
    assert log_of_another.is_of_another(crashed)
    edit(crashed + "-wal", place, data)
    assert not log_of_another.is_of_another(crashed)


def test_a_log_that_is_cut_off_or_has_a_journal_beside_it_tells_nothing(crashed):
    beside(crashed, crashed + ".backup")
    with open(crashed + "-journal", "wb") as file:
        file.write(b"hot, perhaps")
    assert not log_of_another.is_of_another(crashed)
    os.unlink(crashed + "-journal")
    for size in (HEADER + 30, HEADER - 1, 0):
        os.truncate(crashed + "-wal", size)
        assert not log_of_another.is_of_another(crashed)


def test_a_database_of_another_program_is_left_alone(crashed):
    beside(crashed, crashed + ".backup")
    edit(crashed, 68, b"else")
    assert not log_of_another.is_of_another(crashed)


# ---------------------------------------------------------------- what becomes of it


def test_the_log_of_another_is_put_aside_before_anything_is_read(crashed, first_look, capfd):
    beside(crashed, crashed + ".backup")
    size = os.path.getsize(crashed + "-wal")
    with Queue(crashed).database.reading() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert connection.execute("SELECT count(*) FROM filling").fetchone()[0] == 1
    assert os.path.getsize(crashed + "-wal.orphan1") == size
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "put aside as %s-wal.orphan1" % crashed in said


def test_its_own_log_is_taken_in(crashed, first_look, capfd):
    with Queue(crashed).database.writing() as connection:
        assert connection.execute("SELECT count(*) FROM filling").fetchone()[0] == 3
    assert not os.path.exists(crashed + "-wal.orphan1") and capfd.readouterr().err == ""


def test_while_anybody_is_connected_the_log_is_left_alone(path, first_look, capfd):
    shutil.copy(path, path + ".backup")
    words = [sys.executable, "-c", KEEP_OPEN, ROOT, path]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline() == b"open\n"
            for _ in range(3):
                with connected(path) as connection:
                    grow(connection)
                    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            with connected(path) as connection:
                grow(connection)
            os.replace(path + ".backup", path)
            assert log_of_another.is_of_another(path)
            log_of_another.put_aside(path)
            assert not os.path.exists(path + "-wal.orphan1"), "the one who is connected would write on into it"
            database.Database(path)._see_to_log(gated=False)
            assert not os.path.exists(path + "-wal.orphan1")
        finally:
            other.kill()
    Queue(path).database.open().close()
    assert os.path.exists(path + "-wal.orphan1"), "nobody is left"
    assert "put aside" in capfd.readouterr().err


def test_who_connects_meanwhile_waits_and_nobody_meets_the_log(crashed, first_look, monkeypatch):
    """Both locks are needed: of those that have the log open already, and of those that are about to open it."""
    beside(crashed, crashed + ".backup")
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0.05); c.execute('SELECT * FROM counts')"
    said = []

    def connect(path):
        done = subprocess.run([sys.executable, "-c", script, path], stderr=subprocess.PIPE, timeout=60)
        said.append(done.stderr.decode())
        return put_aside(path)

    put_aside = log_of_another.schema.put_aside_what_is_of_another
    monkeypatch.setattr(log_of_another.schema, "put_aside_what_is_of_another", connect)
    Queue(crashed).database.open().close()
    assert len(said) == 1 and "database is locked" in said[0]
    assert os.path.exists(crashed + "-wal.orphan1")


def test_a_process_looks_once_for_later_its_own_locks_would_fall(path, first_look, monkeypatch):
    looks = []
    monkeypatch.setattr(database.Database, "_see_to_log", lambda self, gated: looks.append(self.path))
    queue = Queue(path)
    enqueue(queue)
    enqueue(Queue(path))
    with queue.database.reading():
        pass
    assert looks == [path]


def test_where_it_cannot_be_put_aside_it_is_left_to_sqlite(crashed, first_look, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    beside(crashed, crashed + ".backup")
    monkeypatch.setattr(log_of_another, "put_aside", refuse)
    with contextlib.suppress(sqlite3.DatabaseError):
        Queue(crashed).database.open().close()
