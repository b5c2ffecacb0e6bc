"""The database file: first use, upgrades, and the refusal of whatever is not a queue that this version knows."""

import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys

import pytest
from helpers.bundle import ROOT
from helpers.home import contents, wait_for_log
from helpers.marks import posix_only
from helpers.processes import all_at_once
from helpers.queue import NOW, know_steps, raw_file

import queuectl
from queuectl_lib.errors import HostError
from queuectl_lib.host import files
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import formats, looking, opening, schema, showing, steps
from queuectl_lib.store.database import Database
from storage import Queue

KNOWN = formats.FORMAT
NEW_STEP = ["ALTER TABLE jobs ADD COLUMN colour TEXT", "UPDATE jobs SET colour = 'red'"]

# Every command that opens the database, reading or writing.
COMMANDS = [
    ("initdb",),
    ("add", "true"),
    ("enqueue", '{"command": "true"}'),
    ("list",),
    ("status",),
    ("check",),
    ("show", "job"),
    ("logs", "job"),
    ("wait",),
    ("cancel", "job"),
    ("requeue", "job"),
    ("dlq", "list"),
    ("dlq", "retry", "--all"),
    ("dlq", "purge"),
    ("prune",),
]


def version_of(path):
    with raw_file(path) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def row_for(identifier, now=NOW):
    return JobMaker(1, "/", 0o022, now).row({"command": "true", "id": identifier})


@pytest.fixture
def queue(queue):
    """The same with a job in it."""
    queue.enqueue(row_for("job"))
    return queue


def content(path):
    if os.path.isdir(path):
        return sorted(os.listdir(path))
    with open(path, "rb") as file:
        return file.read()


# ---------------------------------------------------------------- what is not a queue of ours


def make_newer(home):
    home.add("true", "--id", "job")
    with raw_file(home.db) as connection:
        connection.execute("PRAGMA user_version = %d" % (KNOWN + 1))
    return "was written by a newer queuectl (format %d, this one knows %d)" % (KNOWN + 1, KNOWN)


def make_much_newer(home):
    home.add("true", "--id", "job")
    with raw_file(home.db) as connection:
        connection.execute("ALTER TABLE jobs RENAME TO tasks")
        connection.execute("PRAGMA user_version = 2000000000")
    return "was written by a newer queuectl"


def make_foreign(home):
    with raw_file(home.db) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
        connection.execute("INSERT INTO songs VALUES ('So What')")
    return "is a database of another program"


def make_foreign_with_our_tables(home):
    with raw_file(home.db) as connection:
        connection.execute("CREATE TABLE jobs (id TEXT, command TEXT, state TEXT)")
        connection.execute("PRAGMA user_version = %d" % KNOWN)
    return "is a database of another program"


def make_text(home):
    with open(home.db, "w") as file:
        file.write("these are my notes, not a database\n" * 100)
    return "is not a database"


def make_short_text(home):
    with open(home.db, "w") as file:
        file.write("x")
    return "choose another db_path"


def make_truncated(home):
    home.add("true", "--id", "job")
    with raw_file(home.db) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(home.db, "r+b") as file:
        file.truncate(os.path.getsize(home.db) // 2)
    return "is damaged"


def make_damaged(home):
    """Every page but the first is garbage: the version can still be read, nothing else."""
    home.add("true", "--id", "job")
    with raw_file(home.db) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.execute("PRAGMA page_size").fetchone()[0]
    size = os.path.getsize(home.db)
    with open(home.db, "r+b") as file:
        file.seek(page)
        file.write(b"\xa5" * (size - page))
    return "is damaged"


def make_directory(home):
    os.mkdir(home.db)
    with open(os.path.join(home.db, "kept"), "w"):
        pass
    return "is a directory"


def make_hard_linked(home):
    home.add("true", "--id", "job")
    os.link(home.db, home.db + ".link")
    return "has a second name (hard link)"


STRANGERS = [
    make_newer,
    make_much_newer,
    make_foreign,
    make_foreign_with_our_tables,
    make_text,
    make_short_text,
    make_truncated,
    make_damaged,
    make_directory,
    make_hard_linked,
]


@pytest.mark.parametrize("make", STRANGERS, ids=lambda make: make.__name__[5:])
def test_what_is_not_a_queue_of_ours_is_refused_in_one_line_and_never_changed(home, call, make):
    message = make(home)
    before, beside = content(home.db), set(os.listdir(home.path))
    for words in (("status",), ("add", "true"), ("worker", "start", "--drain")):
        error = (home.run if words[0] == "worker" else call)(*words, code=3).stderr
        assert message in error, words
        assert os.path.basename(home.db) in error
        assert content(home.db) == before, "%r has changed it" % (words,)
    left = set(os.listdir(home.path)) - beside
    assert left <= {"queuectl.db.d", "queuectl.db-wal", "queuectl.db-shm"}, "something else was made beside it"


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words).replace('{"command": "true"}', "JSON"))
def test_every_command_refuses_a_newer_database_and_leaves_every_byte(call, home, words):
    message = make_newer(home)
    before = content(home.db)
    assert message in call(*words, code=3).stderr
    assert content(home.db) == before


def test_a_newer_database_is_told_from_a_queue_that_does_not_exist(home):
    assert "no job" in home.run("show", "job", code=1).stderr
    make_newer(home)
    assert "use that one" in home.run("show", "job", code=3).stderr


def test_an_empty_file_is_filled_like_a_missing_one(home):
    with open(home.db, "wb"):
        pass
    job = home.add("true")
    assert home.state(job) == "pending"


# ---------------------------------------------------------------- upgrading


def test_the_format_is_the_number_of_the_last_step():
    assert len(steps.MIGRATIONS) == formats.FORMAT


@pytest.fixture
def newer_program(monkeypatch):
    """This program, one version further on."""
    know_steps(monkeypatch, steps.MIGRATIONS + [NEW_STEP])


def backups(queue):
    folder, name = os.path.split(queue.path)
    return sorted(entry for entry in os.listdir(folder) if entry.startswith(name) and "backup" in entry)


def colours(path):
    with raw_file(path) as connection:
        return [row["colour"] for row in connection.execute("SELECT colour FROM jobs ORDER BY seq")]


USES = [
    lambda queue: looking.counts(queue.database),
    lambda queue: showing.job(queue.database, "job"),
    lambda queue: queue.cancel(["job"], NOW),
    lambda queue: queue.enqueue(row_for("other")),
    lambda queue: list(queue.enqueue_each([(1, row_for("other"))])),
]


@pytest.mark.parametrize("use", range(len(USES)), ids=["counts", "job", "cancel", "enqueue", "enqueue all"])
def test_an_older_database_is_upgraded_at_first_use(queue, newer_program, use):
    USES[use](queue)
    assert version_of(queue.path) == KNOWN + 1
    assert colours(queue.path)[0] == "red"
    assert showing.job(queue.database, "job")["id"] == "job"


def test_an_older_database_is_backed_up_beside_itself_before_it_is_upgraded(queue, newer_program):
    with raw_file(queue.path) as connection:
        before = list(connection.iterdump())
    looking.counts(queue.database)
    assert backups(queue) == ["q.db.v%d.backup" % KNOWN]
    backup = "%s.v%d.backup" % (queue.path, KNOWN)
    assert version_of(backup) == KNOWN
    with raw_file(backup) as connection:
        assert list(connection.iterdump()) == before
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_backup_can_be_put_back_and_used_by_the_older_program(queue, monkeypatch):
    know_steps(monkeypatch, steps.MIGRATIONS + [NEW_STEP])
    queue.enqueue(row_for("made by the newer one".replace(" ", "-")))
    monkeypatch.undo()
    with pytest.raises(HostError, match="newer"):
        looking.counts(queue.database)
    for ending in ("", "-wal", "-shm"):
        files.remove(queue.path + ending)
    shutil.copyfile("%s.v%d.backup" % (queue.path, KNOWN), queue.path)
    assert looking.counts(queue.database)["pending"] == 1
    assert queue.enqueue(row_for("again")) == "again"


def test_a_database_that_is_up_to_date_is_not_backed_up(queue):
    looking.counts(queue.database)
    queue.enqueue(row_for("other"))
    assert backups(queue) == []


@posix_only
def test_a_backup_is_private_whatever_the_umask(queue, newer_program):
    umask = os.umask(0)
    try:
        looking.counts(queue.database)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(os.stat("%s.v%d.backup" % (queue.path, KNOWN)).st_mode) == 0o600


@pytest.mark.parametrize("broken", ["ALTER TABLE nothing ADD COLUMN x", "not SQL", "UPDATE jobs SET state = 'dead'"])
def test_a_failing_step_leaves_the_old_version_intact(queue, monkeypatch, broken):
    with raw_file(queue.path) as connection:
        before = list(connection.iterdump())
    know_steps(monkeypatch, steps.MIGRATIONS + [NEW_STEP + [broken]])
    for _ in range(2):
        with pytest.raises((HostError, sqlite3.IntegrityError)):
            looking.counts(queue.database)
        assert version_of(queue.path) == KNOWN
        with raw_file(queue.path) as connection:
            assert list(connection.iterdump()) == before
    monkeypatch.undo()
    assert looking.counts(queue.database)["pending"] == 1
    assert queue.enqueue(row_for("other")) == "other"


def test_two_steps_are_one_upgrade(queue, monkeypatch):
    second = ["ALTER TABLE jobs ADD COLUMN size INTEGER"]
    know_steps(monkeypatch, steps.MIGRATIONS + [NEW_STEP, second])
    looking.counts(queue.database)
    assert version_of(queue.path) == KNOWN + 2
    assert backups(queue) == ["q.db.v%d.backup" % KNOWN]


def test_a_new_database_comes_in_the_newest_version_without_a_backup(tmp_path, newer_program):
    queue = Queue(str(tmp_path / "new.db"))
    queue.enqueue(row_for("job"))
    assert version_of(queue.path) == KNOWN + 1
    assert backups(queue) == []


def test_a_backup_is_of_the_old_version_also_when_another_process_upgrades_first(queue, newer_program, monkeypatch):
    back_up = schema.back_up

    def overtaken(path, *arguments):
        monkeypatch.setattr(schema, "back_up", back_up)
        with contextlib.suppress(HostError):  # shut out by a lock: as good
            looking.counts(Database(path, busy_seconds=0.2))
        return back_up(path, *arguments)

    monkeypatch.setattr(schema, "back_up", overtaken)
    looking.counts(queue.database)
    assert version_of("%s.v%d.backup" % (queue.path, KNOWN)) == KNOWN
    assert looking.counts(queue.database)["pending"] == 1


UPGRADER = """
import sys
sys.path.insert(0, sys.argv[1])
import storage
from queuectl_lib.store import formats, looking, steps
steps.MIGRATIONS.append(%r)
formats.FORMAT += 1
queue = storage.Queue(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
print(looking.counts(queue.database)["pending"])
""" % (NEW_STEP,)


def test_several_processes_that_upgrade_at_once_make_one_upgrade_and_one_good_backup(queue):
    ended = all_at_once(UPGRADER, 6, queue.path)
    assert ended == [(0, "1", "")] * 6
    assert version_of(queue.path) == KNOWN + 1
    assert backups(queue) == ["q.db.v%d.backup" % KNOWN]
    assert version_of("%s.v%d.backup" % (queue.path, KNOWN)) == KNOWN


# ---------------------------------------------------------------- first use


def test_first_use_by_eight_processes_at_once_works(home):
    words = [("add", "true", "--id", "job%d" % number) for number in range(4)]
    words += [("enqueue", '{"command": "true", "id": "job%d"}' % number) for number in range(4, 6)]
    words += [("status",), ("list",)]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(home.command(*one), stdout=pipe, stderr=pipe) for one in words]
    ended = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0] * 8, ended
    assert sorted(job["id"] for job in showing.jobs(home.queue.database, [], 10)[0]) == [
        "job%d" % number for number in range(6)
    ]
    assert looking.counts(home.queue.database)["pending"] == 6


FIRST_USER = """
import sys
sys.path.insert(0, sys.argv[1])
import storage
from queuectl_lib.store import looking
from queuectl_lib.jobs.making import JobMaker
queue = storage.Queue(sys.argv[2])
maker = JobMaker(1, "/", 0o022, 1800000000.0)
rows = [(line, maker.row({"command": "true"})) for line in range(3)]
print("ready", flush=True)
sys.stdin.readline()
print(len(list(queue.enqueue_each(rows))), looking.counts(queue.database)["pending"] >= 3)
"""


@pytest.mark.parametrize("round_number", range(2))
def test_first_use_within_the_same_millisecond_works(tmp_path, round_number):
    path = str(tmp_path / "first.db")
    assert all_at_once(FIRST_USER, 8, path) == [(0, "3 True", "")] * 8
    assert looking.counts(Database(path))["pending"] == 24


def test_nobody_sees_a_database_that_is_only_half_made(home, monkeypatch):
    seen = []
    migrate = schema.migrate

    def watched(*arguments):
        seen.append(home.run("status", "--json").json["pending"])
        migrate(*arguments)
        seen.append(home.run("list", "--json").json)

    monkeypatch.setattr(schema, "migrate", watched)
    assert home.queue.database.create()
    assert seen == [0, []]


DIES_HALF_WAY = """
import os, sys
sys.path.insert(0, sys.argv[1])
from queuectl_lib.store import database, schema
migrate = schema.migrate
def dying(*arguments):
    %s
    os._exit(9)
schema.migrate = dying
database.Database(sys.argv[2]).create()
"""


@pytest.mark.parametrize("first", ["pass", "migrate(*arguments)"], ids=["before schema", "after schema"])
def test_a_first_use_that_dies_half_way_is_made_good_by_the_next(home, first):
    died = subprocess.run([sys.executable, "-c", DIES_HALF_WAY % first, ROOT, home.db])
    assert died.returncode == 9
    assert home.run("status", "--json").json["pending"] == 0
    job = home.add("true")
    assert home.state(job) == "pending"
    assert [entry for entry in os.listdir(home.path) if "partial" in entry] == []


class NoWal:
    """A connection whose SQLite cannot begin a WAL, and says so only by the mode that it names."""

    def __init__(self, connection):
        self.connection = connection
        self.close = connection.close

    def execute(self, statement, *values):
        return self.connection.execute(statement.replace("= WAL", "= DELETE"), *values)


def test_a_database_that_cannot_have_a_wal_is_not_made(home, monkeypatch):
    connect = opening.connect
    with monkeypatch.context() as patch:
        patch.setattr(opening, "connect", lambda *arguments: NoWal(connect(*arguments)))
        with pytest.raises(HostError, match="cannot be created: the disk is full"):
            home.queue.database.create()
    assert not os.path.exists(home.db)
    assert home.queue.database.create()
    assert [name for name in os.listdir(home.path) if "partial" in name] == []


def test_initdb_says_whether_there_was_a_queue_and_harms_none(home):
    assert "created" in home.run("initdb").stderr
    job = home.add("true")
    assert "exists already" in home.run("initdb").stderr
    assert home.state(job) == "pending"


@posix_only
def test_the_database_and_its_folder_are_private_whatever_the_umask(home):
    for umask in (0o000, 0o777):
        name = "umask%o.db" % umask
        home.run("config", "set", "db_path", name)
        old = os.umask(umask)
        try:
            home.add("true")
        finally:
            os.umask(old)
        path = os.path.join(home.path, name)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        for folder in ("", "workers", "attempts"):
            assert stat.S_IMODE(os.stat(os.path.join(path + ".d", folder)).st_mode) == 0o700


# ---------------------------------------------------------------- what lies in the place of a database


@posix_only
def test_the_log_of_a_deleted_database_is_put_aside_and_brings_no_job_back(tmp_path):
    """A killed supervisor leaves the log; SQLite would replay it into the new database."""
    queue = Queue(str(tmp_path / "q.db"))
    queue.database.create()
    keeper = queue.database.keeper()
    for number in range(3):
        queue.enqueue(row_for("old-%d" % number))
    for ending in ("-wal", "-shm"):
        shutil.copy(queue.path + ending, queue.path + ending + ".left")
    keeper.close()
    os.unlink(queue.path)
    for ending in ("-wal", "-shm"):
        os.replace(queue.path + ending + ".left", queue.path + ending)
    size = os.path.getsize(queue.path + "-wal")
    queue.enqueue(row_for("new"))
    assert [job["id"] for job in showing.jobs(queue.database, [], 10)[0]] == ["new"]
    assert os.path.getsize(queue.path + "-wal.orphan1") == size, "it may be the only copy of jobs"
    os.unlink(queue.path)
    for ending, content in (("-wal", b"another log"), ("-journal", b"")):
        with open(queue.path + ending, "wb") as file:
            file.write(content)
    queue.database.create()
    assert os.path.getsize(queue.path + "-wal.orphan1") == size, "an older one stays"
    assert os.path.getsize(queue.path + "-wal.orphan2") == len(b"another log")
    assert not os.path.exists(queue.path + "-journal.orphan1"), "an empty one is nothing to keep"
    with raw_file(queue.path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


@posix_only
def test_a_pipe_in_the_place_of_a_database_is_refused_and_stays(tmp_path):
    path = str(tmp_path / "q.db")
    os.mkfifo(path)
    with pytest.raises(HostError, match="is a device or pipe, not a database"):
        Queue(path).enqueue(row_for("job"))
    assert stat.S_ISFIFO(os.stat(path).st_mode)
    assert os.listdir(str(tmp_path)) == ["q.db"]


def test_a_directory_in_the_place_of_a_database_is_refused_and_nothing_is_made_beside_it(tmp_path):
    os.mkdir(str(tmp_path / "q.db"))
    with pytest.raises(HostError, match="is a directory, not a database"):
        Database(str(tmp_path / "q.db")).create()
    assert os.listdir(str(tmp_path)) == ["q.db"]


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("make", [os.mkdir, getattr(os, "mkfifo", None)], ids=["a directory", "a pipe"])
def test_what_stands_in_the_place_of_a_file_of_sqlite_is_named_and_no_worker_starts(home, ending, make):
    """A worker that could only read would wait for it to go away, for ever."""
    if make is None:
        pytest.skip("no pipes with a name here")
    home.run("add", "true")
    path = home.db + ending
    make(path)
    named = "%s is no file, so SQLite cannot use it: move it away" % path
    for words in (["worker", "start", "--drain"], ["worker", "start", "--background"], ["initdb"]):
        assert named in home.run(*words, code=3).stderr
    if make is os.mkdir or ending == "-journal":  # another pipe it takes away
        assert named in home.run("add", "true", code=3).stderr
    assert named in home.run("doctor", code=1).stdout
    assert not stat.S_ISREG(os.stat(path).st_mode)
    os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
    home.drain()


@posix_only
def test_a_pipe_in_the_place_of_the_journal_holds_up_no_call_and_no_worker(home):
    """SQLite opens a journal for reading, to see whether it is to be played back, and a pipe has nothing to read."""
    process = home.start("--count", "2")
    first = home.add("true")
    home.wait_for_state(first, "completed")
    pipe = home.db + "-journal"
    os.mkfifo(pipe, 0o600)
    named = "%s is no file, so SQLite cannot use it: move it away" % pipe
    for words in (["add", "true"], ["list"], ["status"], ["check"], ["show", first], ["wait", first], ["prune"]):
        assert named in home.run(*words, code=3, timeout=20).stderr
    wait_for_log(process, "%s; trying again" % named)
    os.unlink(pipe)
    home.wait_for_state(home.add("true"), "completed")
    wait_for_log(process, "the database answers again")
    log = contents(process.log)
    assert log.count(named) <= 2, "told by each worker once at the most: %s" % log
    os.mkfifo(pipe, 0o600)
    home.run("worker", "stop", timeout=60)
    assert process.wait(timeout=20) == 0


@posix_only
def test_a_pipe_in_the_place_of_a_log_is_not_waited_for(queue):
    queue.database.create()
    os.mkfifo(queue.path + "-wal")
    queue.database.is_behind = True
    with pytest.raises(HostError):
        queue.database.catch_up()


def test_an_upgrade_waits_for_the_gate(queue, monkeypatch):
    """Else its commit could race a checkpoint."""
    know_steps(monkeypatch, steps.MIGRATIONS + [NEW_STEP])
    late = Queue(queue.path, busy_seconds=0.1)
    with queue.database.gate():
        with pytest.raises(HostError, match="locked by another queuectl"):
            looking.counts(late.database)
        assert version_of(queue.path) == KNOWN
    looking.counts(late.database)
    assert version_of(queue.path) == KNOWN + 1


def test_an_upgrade_that_comes_second_to_a_newer_one_changes_nothing(queue):
    with queue.database.gate():
        connection = opening.connect(queue.path, 1.0)
    with contextlib.closing(connection), raw_file(queue.path) as newer:
        newer.execute("PRAGMA user_version = %d" % (KNOWN + 7))
        with pytest.raises(HostError, match="newer queuectl"):
            schema.migrate(connection, queue.path, 1.0)
    assert version_of(queue.path) == KNOWN + 7


@posix_only
@pytest.mark.parametrize("umask", [0o777, 0o277, 0o077, 0])
def test_what_is_made_is_private_and_usable_whatever_the_umask(tmp_path, umask):
    """As another user than root, who may do everything: the modes are looked at."""
    home = tmp_path / "home"
    before = os.umask(umask)
    try:
        queuectl.main(["--home", str(home), "config", "set", "grace", "3"])
        queuectl.main(["--home", str(home), "add", "true", "--quiet"])
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(str(home)).st_mode) == 0o700
    for folder, _, names in os.walk(str(home)):
        for name in names:
            info = os.stat(os.path.join(folder, name))
            if not stat.S_ISFIFO(info.st_mode):
                assert stat.S_IMODE(info.st_mode) == 0o600, name
