"""The schema: an append-only list of steps, and a database made or brought up to date by them."""

from __future__ import annotations

import os
import re
import sqlite3

from queuectl_lib import errors
from queuectl_lib.errors import HostError
from queuectl_lib.host import files
from queuectl_lib.store import opening

APPLICATION_ID = 0x71756575  # "queu"
HEAD_BYTES = 100  # of an SQLite database (https://www.sqlite.org/fileformat.html#the_database_header)

# Append only. {where:...} becomes WHERE ... where this SQLite has partial indexes (3.8);
# where it has none, {plain:...} stands instead, so that a plain index serves as well.
MIGRATIONS = [
    [
        """
        CREATE TABLE jobs (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            command TEXT NOT NULL,
            is_list INTEGER NOT NULL DEFAULT 0 CHECK (is_list IN (0, 1)),
            state TEXT NOT NULL DEFAULT 'pending'
                CHECK (state IN ('pending', 'processing', 'completed', 'failed', 'dead', 'cancelled')),
            attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
            max_retries INTEGER NOT NULL CHECK (max_retries >= 0),
            priority INTEGER NOT NULL DEFAULT 0,
            run_at TEXT,
            next_run_at TEXT,
            lane INTEGER CHECK (lane IN (0, 1)),
            timeout REAL CHECK (timeout > 0),
            cwd TEXT NOT NULL,
            env TEXT,
            umask INTEGER,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL,
            started_at TEXT,
            finished_at TEXT,
            exit_code INTEGER,
            last_error TEXT,
            worker TEXT,
            token TEXT,
            cancel_requested INTEGER NOT NULL DEFAULT 0,
            runs INTEGER NOT NULL DEFAULT 0,
            CHECK ((state = 'processing') = (token IS NOT NULL)),
            CHECK ((state IN ('pending', 'failed')) = (lane IS NOT NULL)),
            CHECK ((lane IS NULL) = (next_run_at IS NULL))
        )
        """,
        # lane 0 is due and in the order of claims; lane 1 waits for next_run_at. Apart,
        # so that a claim never walks over a hundred thousand future jobs.
        "CREATE INDEX jobs_due ON jobs ({plain:lane, }priority DESC, next_run_at, seq) {where:lane = 0}",
        "CREATE INDEX jobs_later ON jobs ({plain:lane, }next_run_at) {where:lane = 1}",
        # Nearly all rows are completed in the end: left out, they cost nothing here.
        "CREATE INDEX jobs_open ON jobs (state) {where:state <> 'completed'}",
        """
        CREATE TABLE attempts (
            id INTEGER PRIMARY KEY,
            job INTEGER NOT NULL,
            number INTEGER NOT NULL,
            outcome TEXT NOT NULL DEFAULT 'running',
            started_at TEXT NOT NULL,
            finished_at TEXT,
            exit_code INTEGER,
            signal TEXT,
            error TEXT,
            worker TEXT NOT NULL,
            token TEXT,
            leftovers TEXT,
            stdout_bytes INTEGER NOT NULL DEFAULT 0,
            stderr_bytes INTEGER NOT NULL DEFAULT 0,
            stdout BLOB,
            stderr BLOB,
            UNIQUE (job, number)
        )
        """,
        "CREATE TABLE counts (state TEXT PRIMARY KEY, jobs INTEGER NOT NULL)",
        "INSERT INTO counts SELECT 'pending', 0 UNION ALL SELECT 'processing', 0 UNION ALL SELECT 'completed', 0"
        " UNION ALL SELECT 'failed', 0 UNION ALL SELECT 'dead', 0 UNION ALL SELECT 'cancelled', 0",
        """
        CREATE TRIGGER jobs_added AFTER INSERT ON jobs BEGIN
            UPDATE counts SET jobs = jobs + 1 WHERE state = NEW.state;
        END
        """,
        """
        CREATE TRIGGER jobs_move BEFORE UPDATE OF state ON jobs
        WHEN NOT CASE OLD.state
            WHEN 'pending' THEN NEW.state IN ('processing', 'cancelled')
            WHEN 'processing' THEN NEW.state IN ('completed', 'failed', 'dead', 'cancelled', 'pending')
            WHEN 'failed' THEN NEW.state IN ('processing', 'cancelled')
            WHEN 'dead' THEN NEW.state = 'pending'
            WHEN 'cancelled' THEN NEW.state = 'pending'
            ELSE 0 END
        BEGIN
            SELECT RAISE(ABORT, 'no such move');
        END
        """,
        """
        CREATE TRIGGER jobs_moved AFTER UPDATE OF state ON jobs BEGIN
            UPDATE counts SET jobs = jobs - 1 WHERE state = OLD.state;
            UPDATE counts SET jobs = jobs + 1 WHERE state = NEW.state;
        END
        """,
        """
        CREATE TRIGGER jobs_deleted AFTER DELETE ON jobs BEGIN
            UPDATE counts SET jobs = jobs - 1 WHERE state = OLD.state;
            DELETE FROM attempts WHERE job = OLD.seq;
        END
        """,
    ],
    [
        "ALTER TABLE jobs ADD COLUMN unique_key TEXT",
        # With the state, so that however many have finished with a key, who holds it is found
        # at once. One term after WHERE: SQLite 3.8.0 to 3.8.8 cannot prove more.
        "CREATE INDEX jobs_keyed ON jobs (unique_key, state) {where:unique_key IS NOT NULL}",
        # A table of its own, for prune deletes the jobs. No trigger writes it, nor the counter
        # below: the two cost every claim and finish of every job a tenth.
        "CREATE TABLE successes (unique_key TEXT PRIMARY KEY, finished_at TEXT NOT NULL)",
        # How many deaths there were, and up to which of them `check` has told (in the row of
        # 'dead'): numbers, for clocks go back. jobs.death is the number of a job's own last.
        "ALTER TABLE counts ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE counts ADD COLUMN told INTEGER NOT NULL DEFAULT 0",
        "UPDATE counts SET deaths = jobs WHERE state = 'dead'",
        "ALTER TABLE jobs ADD COLUMN death INTEGER",
        "UPDATE jobs SET death = 1 WHERE state = 'dead' AND state <> 'completed'",
    ],
    [
        # Where the queue was worked on last (store/identity): one row, or none yet.
        "CREATE TABLE identity (id TEXT, folder TEXT, file TEXT, path TEXT, boot TEXT)",
    ],
    [
        "ALTER TABLE jobs ADD COLUMN pipe_output INTEGER",
        "ALTER TABLE attempts ADD COLUMN erased TEXT",  # which of its streams a job erased a part of
    ],
    [
        # The first in the order of claims of a hundred thousand that fall due at once.
        "CREATE INDEX jobs_crowd ON jobs ({plain:lane, }priority DESC, next_run_at) {where:lane = 1}",
        # The newest completed behind a million that wait: 8 bytes a job, 2 microseconds. (Lane is null in all of them.)
        "CREATE INDEX jobs_completed ON jobs ({plain:state, }lane) {where:state = 'completed'}",
    ],
]


def fitting(statement: str) -> str:
    """A schema statement for this SQLite: partial indexes exist from 3.8.0."""
    partial = sqlite3.sqlite_version_info >= (3, 8, 0)
    statement = re.sub(r"\{plain:(.*?)\}", "" if partial else r"\1", statement)
    return re.sub(r"\{where:(.*?)\}", r"WHERE \1" if partial else "", statement)


def version_of(connection: sqlite3.Connection, path: str) -> int:
    """The format of the database. Raises HostError for one that this program does not know."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise HostError(
            "%s was written by a newer queuectl (format %d, this one knows %d): use that one"
            % (path, version, len(MIGRATIONS))
        )
    return version


def migrate(connection: sqlite3.Connection, path: str, busy_seconds: float) -> None:
    """Bring the schema to the newest version; a step and its number commit together."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = version_of(connection, path)  # again: another may have been first
        if 0 < version < len(MIGRATIONS):
            back_up(path, version, busy_seconds)
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(fitting(statement))
        connection.execute("PRAGMA application_id = %d" % APPLICATION_ID)
        connection.execute("PRAGMA user_version = %d" % len(MIGRATIONS))
        connection.execute("COMMIT")
    except BaseException:
        opening.roll_back(connection)
        raise


def back_up(path: str, version: int, busy_seconds: float) -> None:
    """Copy the database beside itself before its format changes.

    Called with the write lock held, so only one does it; read through a connection
    of its own, which sees the old format.
    """
    import contextlib  # needed only here

    backup = "%s.v%d.backup" % (path, version)
    partial = backup + ".partial"
    files.remove(partial)
    os.close(files.open_private(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    source, copy = opening.connect(path, busy_seconds), sqlite3.connect(partial)
    with contextlib.closing(source), contextlib.closing(copy):
        source.backup(copy)
    os.replace(partial, backup)


def is_head_of_queue(head: bytes) -> bool:
    """True where a file begins as a database of ours does."""
    return head.startswith(b"SQLite format 3\0") and head[68:72] == APPLICATION_ID.to_bytes(4, "big")


def create(path: str, busy_seconds: float) -> None:
    """Make the database under another name: nobody ever sees it half done. Raises HostError."""
    import contextlib  # needed only here

    partial = path + ".partial"
    for ending in ("", "-wal", "-shm", "-journal"):
        files.remove(partial + ending)
    fd = files.open_private(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    files.make_private(fd)
    os.close(fd)
    with contextlib.closing(opening.connect(partial, busy_seconds)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        migrate(connection, partial, busy_seconds)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":  # SQLite refuses this without an error
        raise HostError(
            "%s cannot be created: the disk is full, or its file system is not one for SQLite's WAL"
            % errors.printable(path)
        )
    put_aside_what_is_of_another(path)
    os.replace(partial, path)
    files.sync_folder(os.path.dirname(path))


def put_aside_what_is_of_another(path: str) -> None:
    """The log of a database that was deleted or moved away: SQLite would replay it into the new one."""
    for ending in ("-wal", "-journal"):
        orphan = path + ending
        if os.path.lexists(orphan) and os.path.getsize(orphan):  # it may hold the only copy of jobs
            number = 1
            while os.path.lexists("%s.orphan%d" % (orphan, number)):
                number += 1
            files.replace(orphan, "%s.orphan%d" % (orphan, number))
        files.remove(orphan)
    files.remove(path + "-shm")
