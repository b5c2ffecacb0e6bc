"""storage: what a job is, how it moves, and how it is kept.

                     claim                  exit 0
    enqueue --> pending ------> processing --------> completed
                 ^  |  ^         |  |  ^ |
                 |  |  +-release-+  |  | +--retries left--> failed --cancel--+
                 |  |               |  +-------claim----------+              |
                 |  +----cancel-+   +---no retry left---> dead               |
                 |              v   +---cancel--+          |                 |
                 |          cancelled <---------+          |                 |
                 |              |  ^-----------------------|-----------------+
                 +---requeue----+------requeue-------------+

pending     Waits for a worker, or for its run_at. A claim takes it, a cancel ends it.
            A crash does not touch it: the row was synced before its id was printed.
processing  One worker holds it; `token` names that claim. The worker's finishing write
            moves it on. When the worker dies, whoever holds the queue next decides by
            evidence (worker.py): finished unseen, still running, died, or never started.
completed   Its command exited 0. Final; `prune` deletes it.
failed      The last attempt failed and retries remain; claimed again at next_run_at.
dead        Retries are used up: the dead letter queue. Only a person moves it out.
cancelled   A person took it out. Only a person moves it back.

While a job with a *unique key* is pending, failed or processing it *holds* the key: no other
with that key is added or requeued. Looked up and inserted in one transaction.

The same arrows stand below as MOVES, and in the schema as a trigger that refuses every
other move. Every write is one `BEGIN IMMEDIATE` transaction on a fresh connection, behind
the *gate*, a file lock that keeps writers in line (SQLite's own waiting sleeps, and is
unfair) and makes checkpoints safe: SQLite up to 3.51.2 can lose commits that race a
PASSIVE checkpoint (its "WAL-reset bug"), so automatic ones are off and ours run behind
the gate. A commit is synced to disk before the call returns; with the setting durability
off, those of claims and results are not. (A foreign writer, say the sqlite3 shell, knows no gate.)

Beside the database `q.db` lies the folder `q.db.d`, private to the user:

    gate            the write gate
    start           locked by a `worker start --ensure` until its supervisor lives
    check           held while dead letters are told of, so that two do not tell of the same
    bell            a FIFO: an enqueue writes a byte to wake a sleeping worker (a hint only)
    workers/N.life  held locked by the supervisor or worker N for as long as it lives
    workers/N.stop  supervisor N is asked to finish and leave (.now: to end its jobs first,
                    .leave: to leave them running)
    attempts/T.*    lock and status (.run), output (.out, .err) of the attempt with token T
    worker.log      what background supervisors and their workers say

What comes from outside is read and checked here too: settings (config.json in the home) and
jobs as JSON; and what `logs`, `check` and `doctor` tell is found here, and told elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import stat
import sys
import time

from queuectl_lib import errors, times, values
from queuectl_lib.errors import BadInput, HostError, NoDatabase, QueueError
from queuectl_lib.host import failpoints, files, locks, places, system
from queuectl_lib.jobs import fields, ids, retrying, states
from queuectl_lib.jobs.attempts import Claim
from queuectl_lib.jobs.ids import Holder, MadeId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

    from queuectl_lib.jobs.attempts import Outcome
    from queuectl_lib.settings import Settings
    from queuectl_lib.values import Fields

VERSION = "0.1.0"

REQUESTS = ("stop", "leave", "now")  # files that ask a supervisor and its workers to end: a later one outdoes
BUSY_SECONDS = 30.0  # how long a write waits for its turn
CHECKPOINT_BYTES = 4 * 1024 * 1024  # a WAL larger than this is written back
HAS_TRUNCATE = sqlite3.sqlite_version_info >= (3, 8, 8)  # else the first commit after a checkpoint cuts the WAL
CHUNK_BYTES = 64 * 1024  # of output that is read at once
INLINE_BYTES = 32 * 1024  # output up to this size moves into the database
PRUNE_ROWS = 500  # deleted per transaction, so that no claim waits long
VACUUM_PAGES = 500  # given back per transaction
STARTING_SECONDS = 3.0  # a supervisor without a worker has this long to start one
YIELD_SECONDS = 0.015  # between two transactions of long work: longer than a waiter's longest nap at the gate


class Presence:
    """Proof that one supervisor or worker lives: its life file, locked until it dies.

    The descriptor is not inheritable, so a job can never keep a dead worker alive.
    """

    def __init__(self, queue: Queue, name: str, details: Fields) -> None:
        self.path = queue.life_path(name)
        while True:
            self.fd = files.open_private(self.path, os.O_RDWR | os.O_CREAT)
            if locks.try_lock(self.fd) and self._still_ours():
                break
            os.close(self.fd)  # a tidying process took it for a dead one's: again
            time.sleep(0.001)
        os.lseek(self.fd, 0, os.SEEK_SET)
        os.write(self.fd, json.dumps(dict(details, name=name)).encode("ascii"))

    def _still_ours(self) -> bool:
        if sys.platform == "win32":
            return True  # an open file cannot be replaced there
        try:
            return os.path.samestat(os.fstat(self.fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def end(self) -> None:
        """Give the lock up and take the file away."""
        if sys.platform == "win32":
            os.close(self.fd)
            files.remove(self.path)
        else:
            files.remove(self.path)
            os.close(self.fd)


APPLICATION_ID = 0x71756575  # "queu"

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
]
INSERT_JOB = "INSERT INTO jobs (%s) VALUES (%s)" % (
    fields.INSERT_COLUMNS,
    ", ".join("?" * (fields.OWN + fields.SHARED)),
)

# Who holds a key: the one job with it that is not final. NOT NULL again, for the proof that the index serves.
HOLDS = "state IN ('pending', 'failed', 'processing')"
FIND_HOLDER = "SELECT id, state FROM jobs WHERE unique_key = ? AND unique_key IS NOT NULL AND %s LIMIT 1" % HOLDS

# Between reading input and holding the write lock stands a private table: a slow or
# wrong input then costs nobody else anything, and memory stays flat. It is filled by many rows at
# once that share most of their values, and has no index: these two were most of the cost of an enqueue.
CREATE_INCOMING = "CREATE TEMP TABLE incoming (%s, line INTEGER, made INTEGER, %s)" % (
    fields.SHARED_COLUMNS,
    fields.OWN_COLUMNS,
)


def insert_incoming(rows: int) -> str:
    """The statement for *rows* of the same SHARED_COLUMNS: these first, then what each has of its own."""
    shared = ["?%d" % (number + 1) for number in range(fields.SHARED)]
    own = [
        ["?%d" % (fields.SHARED + row * (fields.OWN + 2) + number + 1) for number in range(fields.OWN + 2)]
        for row in range(rows)
    ]
    return "INSERT INTO incoming VALUES " + ", ".join("(%s)" % ", ".join(shared + one) for one in own)


INSERT_INCOMING = insert_incoming(1)
INCOMING_AT_ONCE = 100  # with their values still below the 999 parameters that an old SQLite takes
INSERT_ALL = "INSERT INTO jobs (%s) SELECT %s FROM incoming WHERE id IS NOT NULL ORDER BY rowid" % (
    fields.INSERT_COLUMNS,
    fields.INSERT_COLUMNS,
)
COUNT_INCOMING = "SELECT count(*) FROM incoming WHERE id IS NOT NULL"
LIST_INCOMING = "SELECT id FROM incoming ORDER BY rowid"
FIND_TAKEN = "SELECT i.rowid, i.id, i.line, i.made FROM incoming i JOIN jobs j ON j.id = i.id ORDER BY i.made, i.rowid"
RENAME_INCOMING = "UPDATE incoming SET id = ? WHERE rowid = ?"
INDEX_INCOMING = "CREATE INDEX temp.incoming_id ON incoming (id)"  # once it is known that an id comes twice
FIND_TWICE = (
    "SELECT line, id FROM incoming i"
    " WHERE id IS NOT NULL AND EXISTS (SELECT 1 FROM incoming WHERE id = i.id AND rowid < i.rowid)"
    " ORDER BY i.rowid LIMIT 1"
)

# Counting one job after the other would be a good part of the time that a large batch holds the write lock.
COUNTED_AT_ONCE = 1000  # jobs, from which on their trigger is put aside: others have to read the schema anew
FIND_COUNTING = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'jobs_added'"
DROP_COUNTING = "DROP TRIGGER jobs_added"
COUNT_ADDED = "UPDATE counts SET jobs = jobs + ? WHERE state = 'pending'"

# The keys among them: the first row with a key leads, those behind it lose their id; so does
# the leader when a job of the queue holds the key. What has no id is not added.
CREATE_KEYS = (
    "CREATE TEMP TABLE incoming_keys (unique_key TEXT PRIMARY KEY, leader INTEGER NOT NULL, holder TEXT, state TEXT)"
)
INSERT_KEY = "INSERT OR IGNORE INTO incoming_keys (unique_key, leader) VALUES (?, ?)"
ANY_KEY = "SELECT 1 FROM incoming_keys LIMIT 1"
FIND_HOLDERS = (
    "INSERT OR REPLACE INTO incoming_keys SELECT k.unique_key, k.leader, j.id, j.state"
    " FROM incoming_keys k CROSS JOIN jobs j ON j.unique_key = k.unique_key"
    " WHERE j.unique_key IS NOT NULL AND j.%s" % HOLDS
)
DROP_HELD = "UPDATE incoming SET id = NULL WHERE rowid IN (SELECT leader FROM incoming_keys WHERE holder IS NOT NULL)"
LIST_INCOMING_AND_HOLDERS = (
    "SELECT coalesce(k.holder, l.id, i.id) AS id, i.id IS NULL AS held, i.unique_key,"
    " coalesce(k.state, 'pending') AS state"
    " FROM incoming i"
    " LEFT JOIN incoming_keys k ON k.unique_key = i.unique_key"
    " LEFT JOIN incoming l ON l.rowid = k.leader"
    " ORDER BY i.rowid"
)

# Each index is named: after an ANALYZE, SQLite up to 3.25 would rather read or sort the whole table.
PROMOTE_DUE = "UPDATE jobs INDEXED BY jobs_later SET lane = 0 WHERE lane = 1 AND next_run_at <= ?"
# A failed job whose failure lies in the future: the clock went back, so it is due.
IN_THE_FUTURE = "WHERE lane = 1 AND next_run_at > '' AND state = 'failed' AND updated_at > ?"
ANY_FAILED_IN_THE_FUTURE = "SELECT 1 FROM jobs INDEXED BY jobs_later %s LIMIT 1" % IN_THE_FUTURE
PROMOTE_FAILED_IN_THE_FUTURE = "UPDATE jobs INDEXED BY jobs_later SET lane = 0 %s" % IN_THE_FUTURE

CLAIM_COLUMNS = "seq, id, command, is_list, attempts, max_retries, timeout, cwd, env, umask, runs, unique_key"
DUE_IN_ORDER = "FROM jobs INDEXED BY jobs_due WHERE lane = 0 ORDER BY priority DESC, next_run_at, seq"
FIND_DUE = "SELECT %s %s LIMIT ?" % (CLAIM_COLUMNS, DUE_IN_ORDER)
CLAIM_JOB = (
    "UPDATE jobs"
    " SET state = 'processing', lane = NULL, next_run_at = NULL, attempts = attempts + 1, runs = runs + 1,"
    " worker = ?, token = ?, started_at = ?, updated_at = ?, finished_at = NULL, exit_code = NULL"
    " WHERE seq = ? AND lane = 0"
)
INSERT_ATTEMPT = "INSERT INTO attempts (job, number, started_at, worker, token) VALUES (?, ?, ?, ?, ?)"
FIND_LEFTOVERS = "SELECT token FROM attempts WHERE job = ? AND leftovers IS NOT NULL AND token IS NOT NULL"

# The guard of every finishing write: the claim must still be its own.
OWN_CLAIM = " WHERE seq = ? AND token = ? AND state = 'processing'"
COMPLETE_JOB = (
    "UPDATE jobs SET state = 'completed', token = NULL, cancel_requested = 0, exit_code = 0, last_error = NULL,"
    " started_at = coalesce(?, started_at), finished_at = ?, updated_at = ?" + OWN_CLAIM
)
FAIL_JOB = (
    "UPDATE jobs SET state = ?, token = NULL, cancel_requested = 0, exit_code = ?, last_error = ?,"
    " started_at = coalesce(?, started_at), finished_at = ?, updated_at = ?, next_run_at = ?, lane = ?" + OWN_CLAIM
)
RELEASE_JOB = (
    "UPDATE jobs SET state = 'pending', token = NULL, worker = NULL, attempts = attempts - 1, runs = runs - ?,"
    " started_at = NULL, updated_at = ?, next_run_at = coalesce(run_at, created_at), lane = 0" + OWN_CLAIM
)
FINISH_ATTEMPT = (
    "UPDATE attempts SET outcome = ?, started_at = coalesce(?, started_at), finished_at = ?, exit_code = ?,"
    " signal = ?, error = ?, token = ?, leftovers = ?, stdout_bytes = ?, stderr_bytes = ?, stdout = ?, stderr = ?"
    " WHERE id = ? AND outcome = 'running'"
)
RECORD_SUCCESS = "INSERT OR REPLACE INTO successes VALUES (?, ?)"
COUNT_DEATH = "UPDATE counts SET deaths = deaths + 1 WHERE state = 'dead'"
NUMBER_DEATH = "UPDATE jobs SET death = (SELECT deaths FROM counts WHERE state = 'dead') WHERE seq = ?"
DELETE_ATTEMPT = "DELETE FROM attempts WHERE id = ? AND outcome = 'running'"
CANCEL_WAITING = (
    "UPDATE jobs SET state = 'cancelled', lane = NULL, next_run_at = NULL, finished_at = ?, updated_at = ?,"
    " last_error = 'cancelled before it ran'"
    " WHERE seq = ? AND state IN ('pending', 'failed')"
)
REQUEST_CANCEL = "UPDATE jobs SET cancel_requested = 1, updated_at = ? WHERE seq = ? AND state = 'processing'"
REQUEUE_JOB = (
    "UPDATE jobs SET state = 'pending', attempts = 0, next_run_at = ?, lane = 0, updated_at = ?, started_at = NULL,"
    " finished_at = NULL, exit_code = NULL, last_error = NULL, worker = NULL"
    " WHERE seq = ? AND state IN ('dead', 'cancelled')"
)
ADOPT_JOB = "UPDATE jobs SET worker = ?, updated_at = ?" + OWN_CLAIM + " AND worker = ?"

# "state <> 'completed'" again, in so many words: SQLite's proof that a partial index serves needs it.
PROCESSING = (
    "SELECT seq, id, token, worker, cancel_requested FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'processing' AND state <> 'completed'"
)
RUNNING_ATTEMPT = (
    "SELECT j.seq, j.id, j.command, j.is_list, j.attempts, j.max_retries, j.timeout, j.cwd, j.env, j.umask,"
    " j.unique_key, a.id AS attempt_id, a.number, a.started_at, j.token, j.worker, j.cancel_requested"
    " FROM jobs j JOIN attempts a ON a.job = j.seq AND a.number = j.runs"
    " WHERE j.seq = ? AND j.token = ? AND j.state = 'processing'"
)

JOB_COLUMNS = (
    "id, command, is_list, state, attempts, max_retries, priority, run_at, next_run_at, timeout, cwd, env, umask,"
    ' unique_key AS "unique", created_at, updated_at, started_at, finished_at, exit_code, last_error, worker'
)
LIST_JOBS = "SELECT seq, %s FROM jobs ORDER BY seq DESC LIMIT ?" % JOB_COLUMNS
LIST_COMPLETED = "SELECT seq, %s FROM jobs WHERE state = 'completed' ORDER BY seq DESC LIMIT ?" % JOB_COLUMNS
LIST_OPEN = (
    "SELECT seq, %s FROM jobs INDEXED BY jobs_open WHERE state = ? AND state <> 'completed'"
    " ORDER BY seq DESC LIMIT ?" % JOB_COLUMNS
)
GET_JOB = "SELECT seq, %s FROM jobs WHERE id = ?" % JOB_COLUMNS
GET_HEAD = "SELECT seq, id, state, token, worker, unique_key FROM jobs WHERE id = ?"
FIND_DEAD = "SELECT seq, id, unique_key FROM jobs WHERE state = 'dead' AND state <> 'completed' ORDER BY seq"
GET_ATTEMPTS = "SELECT * FROM attempts WHERE job = ? ORDER BY number"
COUNT_STATES = "SELECT state, jobs FROM counts"
OLDEST_WAITING = (
    "SELECT created_at, id, next_run_at FROM jobs INDEXED BY jobs_open"
    " WHERE state = ? AND state <> 'completed' ORDER BY seq LIMIT 1"
)
ANY_DUE = "SELECT 1 %s LIMIT 1" % DUE_IN_ORDER
NEXT_DUE = "SELECT next_run_at FROM jobs INDEXED BY jobs_later WHERE lane = 1 ORDER BY next_run_at LIMIT 1"
KNOWN_TOKENS = "SELECT token FROM attempts WHERE token IS NOT NULL"

COUNT_DUE = (
    "SELECT (SELECT count(*) FROM jobs WHERE lane = 0)"
    " + (SELECT count(*) FROM jobs WHERE lane = 1 AND next_run_at <= ?) AS due,"
    " (SELECT jobs FROM counts WHERE state = 'processing') AS running"
)
# Waiting since: what was given back keeps its old next_run_at, and has waited only since it was touched.
OVERDUE = (
    "SELECT id, max(next_run_at, updated_at) AS since FROM jobs"
    " WHERE lane = %d AND next_run_at < ? AND updated_at < ?"
    " ORDER BY since LIMIT 1"
)
OVERDUE_IN_LANE = (OVERDUE % 0, OVERDUE % 1)
LAST_SUCCESS = "SELECT finished_at FROM successes WHERE unique_key = ?"
UNTOLD_DEATHS = "SELECT deaths, told, deaths - told AS untold FROM counts WHERE state = 'dead'"
NEWEST_DEATHS = (
    "SELECT id, last_error, finished_at FROM jobs"
    " WHERE state = 'dead' AND state <> 'completed' AND death > ?"
    " ORDER BY death DESC, seq DESC LIMIT ?"
)
DEATHS_TOLD = "UPDATE counts SET told = ? WHERE state = 'dead'"


class Queue:
    """One database and the folder beside it. Every method opens its own connection.

    Times are passed in as seconds since 1970. Every method may raise HostError.
    """

    def __init__(self, db_path: str, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = values.check_text(os.path.realpath(db_path), "the path of the database")
        self.folder = self.path + ".d"
        self.workers_folder = os.path.join(self.folder, "workers")
        self.attempts_folder = os.path.join(self.folder, "attempts")
        self.bell_path = os.path.join(self.folder, "bell")
        self.log_path = os.path.join(self.folder, "worker.log")
        self.busy_seconds = busy_seconds
        self.place_is_safe = False  # until it has been looked at

    def life_path(self, name: str) -> str:
        return os.path.join(self.workers_folder, name + ".life")

    def request_path(self, supervisor: str, request: str) -> str:
        """The file that asks *supervisor* to "stop", to stop "now", or to "leave" jobs running."""
        return os.path.join(self.workers_folder, supervisor + "." + request)

    def attempt_path(self, token: str, kind: str) -> str:
        """Where an attempt keeps its lock and status ("run") or output ("out", "err")."""
        return "%s%s%s.%s" % (self.attempts_folder, os.sep, token, kind)

    # -------------------------------------------------------- creating and opening

    def create(self) -> bool:
        """Create the database and its folder where they are missing; True if it was new."""
        self.refuse_unsafe_place()
        with told(self.path):
            with contextlib.suppress(FileNotFoundError):
                self._refuse_no_file(os.stat(self.path))
            self._make_folders()
            with self._gate():
                new = not os.path.exists(self.path) or not os.path.getsize(self.path)
                if new:
                    self._create_file()
                return new

    def refuse_unsafe_place(self) -> None:
        """Raise HostError where the database lies on a network file system."""
        if self.place_is_safe:
            return
        kind = places.network_file_system(self.path)
        self.place_is_safe = not kind
        if kind:
            raise HostError(
                "%s is on a network file system (%s), where locks and WAL are not safe:"
                " config set db_path to a local disk" % (errors.printable(self.path), kind)
            )

    def refuse_untrusted(self, home: str, config: str) -> None:
        """Raise HostError where another user could make a worker of this queue run something."""
        files = [self.path + ending for ending in ("", "-wal", "-shm")]
        places.refuse_untrusted(os.path.dirname(self.path), [home, config, self.folder] + files)

    def _make_folders(self) -> None:
        for folder in (self.folder, self.workers_folder, self.attempts_folder):
            try:
                os.mkdir(folder, files.PRIVATE_FOLDER)
                if sys.platform != "win32":
                    os.chmod(folder, files.PRIVATE_FOLDER)  # a umask may have taken even the owner's bits
                    files.sync_folder(os.path.dirname(folder))
            except FileExistsError:
                if not os.path.isdir(folder):
                    raise
        if sys.platform != "win32" and not os.path.exists(self.bell_path):
            with contextlib.suppress(OSError):
                os.mkfifo(self.bell_path, files.PRIVATE_FILE)

    def _create_file(self) -> None:
        """Make the database under another name: nobody ever sees it half done."""
        partial = self.path + ".partial"
        for ending in ("", "-wal", "-shm", "-journal"):
            files.remove(partial + ending)
        fd = files.open_private(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        if sys.platform != "win32":
            os.fchmod(fd, files.PRIVATE_FILE)
        os.close(fd)
        with contextlib.closing(self._connect(partial)) as connection:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._migrate(connection)
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":  # SQLite refuses this without an error
            raise HostError(
                "%s cannot be created: the disk is full, or its file system is not one for SQLite's WAL"
                % errors.printable(self.path)
            )
        self._put_aside_what_is_of_another()
        os.replace(partial, self.path)
        files.sync_folder(os.path.dirname(self.path))

    def _put_aside_what_is_of_another(self) -> None:
        """The log of a database that was deleted or moved away: SQLite would replay it into the new one."""
        for ending in ("-wal", "-journal"):
            orphan = self.path + ending
            if os.path.lexists(orphan) and os.path.getsize(orphan):  # it may hold the only copy of jobs
                number = 1
                while os.path.lexists("%s.orphan%d" % (orphan, number)):
                    number += 1
                files.replace(orphan, "%s.orphan%d" % (orphan, number))
            files.remove(orphan)
        files.remove(self.path + "-shm")

    def _connect(self, path: Optional[str] = None, options: str = "mode=rw") -> sqlite3.Connection:
        """The one place that opens a connection."""
        name = path or self.path
        if sys.platform == "win32":
            name = name.replace("\\", "/")
        for char, code in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
            name = name.replace(char, code)
        uri = "file:%s%s?%s" % ("/" if sys.platform == "win32" else "", name, options)
        connection = sqlite3.connect(uri, timeout=self.busy_seconds, isolation_level=None, uri=True)
        with closed_on_error(connection):
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            if sys.platform == "darwin":
                connection.execute("PRAGMA fullfsync = 1")
                connection.execute("PRAGMA checkpoint_fullfsync = 1")
            if not HAS_TRUNCATE:
                connection.execute("PRAGMA journal_size_limit = %d" % (CHECKPOINT_BYTES // 2)).fetchall()
        return connection

    def _open(self, options: str = "mode=rw", gated: bool = False) -> sqlite3.Connection:
        """A connection to the queue as this version knows it. Raises NoDatabase.

        *gated* says that the caller holds the gate, behind which an older format is upgraded.
        """
        try:
            info = os.stat(self.path)
        except FileNotFoundError:
            raise NoDatabase("%s does not exist: `queuectl.py initdb` creates it" % self.path) from None
        self._refuse_no_file(info)
        if info.st_nlink > 1:
            raise HostError("%s has a second name (hard link), which SQLite cannot keep safe: remove it" % self.path)
        if not info.st_size:
            raise NoDatabase("%s is empty: `queuectl.py initdb` fills it" % self.path)
        connection = self._connect(options=options)
        with closed_on_error(connection):
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise HostError("%s is a database of another program: choose another db_path" % self.path)
            if self._version(connection) < len(MIGRATIONS):
                with contextlib.nullcontext() if gated else self._gate():
                    self._migrate(connection)
        return connection

    def _refuse_no_file(self, info: os.stat_result) -> None:
        if not stat.S_ISREG(info.st_mode):
            what = "a directory" if stat.S_ISDIR(info.st_mode) else "a device or pipe"
            raise HostError("%s is %s, not a database: choose another db_path" % (self.path, what))

    def _version(self, connection: sqlite3.Connection) -> int:
        """The format of the database. Raises HostError for one that this program does not know."""
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise HostError(
                "%s was written by a newer queuectl (format %d, this one knows %d): use that one"
                % (self.path, version, len(MIGRATIONS))
            )
        return version

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring the schema to the newest version; a step and its number commit together."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = self._version(connection)  # again: another may have been first
            if 0 < version < len(MIGRATIONS):
                self._back_up(version)
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    connection.execute(fitting(statement))
            connection.execute("PRAGMA application_id = %d" % APPLICATION_ID)
            connection.execute("PRAGMA user_version = %d" % len(MIGRATIONS))
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise

    def _back_up(self, version: int) -> None:
        """Copy the database beside itself before its format changes.

        Called with the write lock held, so only one does it; read through a connection
        of its own, which sees the old format.
        """
        path = "%s.v%d.backup" % (self.path, version)
        partial = path + ".partial"
        files.remove(partial)
        os.close(files.open_private(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        with contextlib.closing(self._connect()) as source, contextlib.closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
        os.replace(partial, path)

    @contextlib.contextmanager
    def _gate(self, name: str = "gate") -> Iterator[None]:
        """Hold the write gate (or another). Waits its turn for busy_seconds, then raises HostError."""
        path = os.path.join(self.folder, name)
        try:
            fd = files.open_private(path, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            self._make_folders()
            fd = files.open_private(path, os.O_RDWR | os.O_CREAT)
        try:
            if not locks.wait_for_lock(fd, self.busy_seconds):
                raise HostError(
                    "%s has been locked by another queuectl for %d seconds: is one of them paused?"
                    % (self.path, self.busy_seconds)
                )
            with locks.not_paused():
                yield
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with told(self.path):
            connection = self._open_for_reading()
            try:
                yield connection
            finally:
                connection.close()

    def _open_for_reading(self) -> sqlite3.Connection:
        """The same as _open; also where nothing can be written, if all is in the database itself.

        In WAL mode even a reader makes files beside it, unless told that nothing changes
        (https://www.sqlite.org/wal.html#read_only_databases).
        """
        try:
            return self._open()
        except sqlite3.OperationalError:
            if os.access(self.path, os.W_OK) and os.access(os.path.dirname(self.path), os.W_OK):
                raise
            if os.path.exists(self.path + "-wal") and os.path.getsize(self.path + "-wal"):
                raise
            return self._open("mode=ro&immutable=1")

    @contextlib.contextmanager
    def _writing(self, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """One write transaction: all of it is on the disk afterwards, or none of it.

        Not *synced* it survives every kill, but power loss only once a later one is synced.
        """
        with told(self.path):
            if not os.path.isdir(self.folder) and not os.path.exists(self.path):
                raise NoDatabase("%s does not exist: `queuectl.py initdb` creates it" % self.path)
            self.refuse_unsafe_place()
            with self._gate():
                connection = self._open(gated=True)
                try:
                    if not synced:
                        connection.execute("PRAGMA synchronous = NORMAL")
                    connection.execute("BEGIN IMMEDIATE")
                    try:
                        yield connection
                        failpoints.failpoint("write.before-commit")
                        connection.execute("COMMIT")
                        failpoints.failpoint("write.committed")
                    except BaseException:
                        roll_back(connection)
                        raise
                    self._checkpoint(connection, CHECKPOINT_BYTES)
                finally:
                    connection.close()

    def _checkpoint(self, connection: sqlite3.Connection, more_than_bytes: int) -> None:
        """Write a large WAL back. Behind the gate only, where it cannot race a commit."""
        try:
            if os.stat(self.path + "-wal").st_size <= more_than_bytes:
                return
            connection.execute("PRAGMA busy_timeout = 0")  # a reader is not waited for: next time
            mode = "TRUNCATE" if HAS_TRUNCATE else "RESTART"
            connection.execute("PRAGMA wal_checkpoint(%s)" % mode).fetchall()
        except (OSError, sqlite3.OperationalError):
            pass  # the commit stands; the WAL is only larger than it need be

    def keeper(self) -> sqlite3.Connection:
        """An idle connection. While one is open, no operation deletes and re-makes the WAL."""
        with told(self.path):
            connection = self._open()
            with closed_on_error(connection):
                connection.execute("SELECT count(*) FROM counts").fetchall()
            return connection

    # -------------------------------------------------------- enqueue

    def enqueue(self, row: Sequence[Any]) -> str:
        """Add one job (a JobMaker row) and return its id once it is safe on the disk.

        While another job with its key waits or runs nothing is added, and that Holder is
        returned. Raises QueueError when a given id exists; a made one is then made anew.
        """
        self._ready()
        while True:
            try:
                with self._writing() as connection:
                    holder = find_holder(connection, row[fields.KEY])
                    if holder is not None:
                        return holder
                    connection.execute(INSERT_JOB, row)
                break
            except sqlite3.IntegrityError:
                if not isinstance(row[0], MadeId):
                    raise QueueError("job %s exists already: nothing was added" % row[0]) from None
                row = (ids.make_id(time.time()),) + tuple(row[1:])
        self.ring()
        return str(row[0])

    def enqueue_all(self, rows: Iterable[Tuple[object, Sequence[Any]]]) -> List[str]:
        """The same as enqueue_each, with the ids as a list."""
        return list(self.enqueue_each(rows))

    def enqueue_each(self, rows: Iterable[Tuple[object, Sequence[Any]]]) -> Iterator[str]:
        """Add many jobs, all or none. *rows* are (line number or "LINE, job N", JobMaker row).

        Gives the ids in order, the first one when all are safe on the disk; a Holder where
        a job of the queue or an earlier one of these has the key. No number of jobs needs
        more memory. Raises QueueError when a given id exists or comes twice.
        """
        self._ready()
        with told(self.path), contextlib.closing(self._open()) as connection:
            connection.execute(CREATE_INCOMING)
            connection.execute(CREATE_KEYS)
            self._take_in(connection, rows)
            keyed = connection.execute(ANY_KEY).fetchone() is not None
            try:
                with self._gate():
                    self._insert_all(connection, keyed)
                    self._checkpoint(connection, CHECKPOINT_BYTES)
            except sqlite3.IntegrityError:
                self._refuse_twice(connection)  # which nobody need wait for
                raise
            self.ring()
            if keyed:
                for row in connection.execute(LIST_INCOMING_AND_HOLDERS):
                    yield Holder.of(row["id"], row["unique_key"], row["state"]) if row["held"] else row["id"]
            else:
                for row in connection.execute(LIST_INCOMING):
                    yield row[0]

    def _ready(self) -> None:
        """See that the database exists, where one may: the first enqueue creates it."""
        self.refuse_unsafe_place()
        if not os.path.exists(self.path) or not os.path.getsize(self.path):
            self.create()

    @staticmethod
    def _take_in(connection: sqlite3.Connection, rows: Iterable[Tuple[object, Sequence[Any]]]) -> None:
        """Fill the private table: row N of *rows* gets the rowid N."""
        many = ""
        connection.execute("BEGIN")
        shared: Tuple[Any, ...] = ()
        own: List[Any] = []  # of rows that share the rest, one after the other
        for number, (line, row) in enumerate(rows, 1):
            row = tuple(row)
            key = row[fields.KEY]
            if key is not None and not connection.execute(INSERT_KEY, (key, number)).rowcount:
                row = (None,) + row[1:]  # an earlier one has the key
            if row[fields.OWN :] != shared:
                insert_few(connection, shared, own)
                shared, own = row[fields.OWN :], []
            own += (line, isinstance(row[0], MadeId)) + row[: fields.OWN]
            if len(own) == INCOMING_AT_ONCE * (fields.OWN + 2):
                many = many or insert_incoming(INCOMING_AT_ONCE)
                connection.execute(many, shared + tuple(own))
                own = []
        insert_few(connection, shared, own)
        connection.execute("COMMIT")

    def _insert_all(self, connection: sqlite3.Connection, keyed: bool) -> None:
        """Move everything from the private table into the queue, but those whose key is held.

        Raises QueueError for a given id that exists, IntegrityError where one comes twice.
        """
        connection.execute("BEGIN IMMEDIATE")
        try:
            if keyed:
                connection.execute(FIND_HOLDERS)
                connection.execute(DROP_HELD)
            with counted_at_once(connection):
                while not self._insert_incoming(connection):
                    pass  # those that were taken have other ids now
            failpoints.failpoint("enqueue.before-commit")
            connection.execute("COMMIT")
            failpoints.failpoint("enqueue.committed")
        except BaseException:
            roll_back(connection)
            raise

    def _insert_incoming(self, connection: sqlite3.Connection) -> bool:
        """False, and nothing inserted, when a made id exists: it is made anew."""
        try:
            connection.execute(INSERT_ALL)
        except sqlite3.IntegrityError:
            if not self._rename_taken(connection):
                raise
            return False
        return True

    @staticmethod
    def _rename_taken(connection: sqlite3.Connection) -> bool:
        """Make other ids for those that another enqueue has made too; a given one is refused. False for none."""
        taken = connection.execute(FIND_TAKEN).fetchall()
        for found in taken:
            if not found["made"]:
                raise QueueError("line %s: job %s exists already: nothing was added" % (found["line"], found["id"]))
            connection.execute(RENAME_INCOMING, (ids.make_id(time.time()), found["rowid"]))
        return bool(taken)

    @staticmethod
    def _refuse_twice(connection: sqlite3.Connection) -> None:
        """Raise QueueError for the first id in the private table that stood in it before."""
        connection.execute(INDEX_INCOMING)
        found = connection.execute(FIND_TWICE).fetchone()
        if found:
            raise QueueError("line %s: id %s comes twice: nothing was added" % (found["line"], found["id"])) from None

    def ring(self) -> None:
        """Wake a sleeping worker. A hint: the worker's polling is the truth."""
        if sys.platform == "win32":
            return
        with contextlib.suppress(OSError):
            fd = os.open(self.bell_path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            try:
                if stat.S_ISFIFO(os.fstat(fd).st_mode):
                    os.write(fd, b"\n")
            finally:
                os.close(fd)

    # -------------------------------------------------------- claim and finish

    def exchange(
        self, worker: str, outcomes: Sequence[Outcome], want: int, now: float, settings: Settings
    ) -> Tuple[List[Outcome], List[Claim], bool]:
        """Record *outcomes* and claim up to *want* due jobs, in one transaction.

        Returns the outcomes that were refused because their claim was lost, the new
        claims, and whether more due jobs are left for others.
        """
        with self._writing(synced=settings.durability == "full") as connection:
            refused = [o for o in outcomes if not self._settle(connection, o, settings)]
            claims, more = self._claim(connection, worker, want, now) if want else ([], False)
            failpoints.failpoint("exchange.before-commit")
        failpoints.failpoint("exchange.committed")
        return refused, claims, more

    def _claim(self, connection: sqlite3.Connection, worker: str, want: int, now: float) -> Tuple[List[Claim], bool]:
        now_text = times.utc_text(now)
        connection.execute(PROMOTE_DUE, (now_text,))
        due = connection.execute(FIND_DUE, (want + 1,)).fetchall()
        return [self._claim_one(connection, worker, row, now_text) for row in due[:want]], len(due) > want

    @staticmethod
    def _claim_one(connection: sqlite3.Connection, worker: str, row: sqlite3.Row, now_text: str) -> Claim:
        token = os.urandom(8).hex()
        number = row["runs"] + 1
        connection.execute(CLAIM_JOB, (worker, token, now_text, now_text, row["seq"]))
        attempt = connection.execute(INSERT_ATTEMPT, (row["seq"], number, now_text, worker, token)).lastrowid
        fields = dict(row)
        fields["attempts"] += 1  # counted before it starts: what kills its worker ends up dead
        claim = Claim(fields, token, attempt or 0, number)
        claim.unique_key = row["unique_key"]
        if number > 1:
            claim.leftovers = [left["token"] for left in connection.execute(FIND_LEFTOVERS, (row["seq"],))]
        return claim

    @staticmethod
    def _settle(connection: sqlite3.Connection, outcome: Outcome, settings: Settings) -> bool:
        """Finish one attempt and move its job on; False when the claim is not its own any more."""
        claim = outcome.claim
        end = times.utc_text(outcome.finished)
        start = None if outcome.started is None else times.utc_text(outcome.started)
        if outcome.kind == "given back" and cancel_wanted(connection, claim):
            outcome.kind, outcome.error = "cancelled", "cancelled while it was given back"
        if not move_on(connection, outcome, settings, start, end):
            return False
        if outcome.unstarted:
            connection.execute(DELETE_ATTEMPT, (claim.attempt_id,))
            return True
        connection.execute(
            FINISH_ATTEMPT,
            (
                outcome.kind,
                start,
                end,
                outcome.exit_code,
                outcome.signal,
                outcome.error,
                claim.token if outcome.keeps_files() else None,
                outcome.leftovers,
                outcome.stdout_bytes,
                outcome.stderr_bytes,
                outcome.stdout,
                outcome.stderr,
                claim.attempt_id,
            ),
        )
        return True

    # -------------------------------------------------------- recovery

    def processing(self) -> List[Fields]:
        """Every job under way: seq, id, token, worker, cancel_requested."""
        with self._reading() as connection:
            return [dict(row) for row in connection.execute(PROCESSING)]

    def look(self, now: float) -> Tuple[List[Fields], Optional[float]]:
        """What a worker asks again and again: every job under way, and when the next one falls due."""
        with self._reading() as connection:
            return [dict(row) for row in connection.execute(PROCESSING)], next_due(connection, now)

    def fingerprint(self) -> Optional[Tuple[float, Tuple[int, ...]]]:
        """When the database's files last changed (seconds since 1970), and what differs after each commit.

        None where that is no evidence: a file is missing, or Windows, which tells the
        times of an open file late.
        """
        if sys.platform == "win32":
            return None
        try:
            main, wal = os.stat(self.path), os.stat(self.path + "-wal")
        except OSError:
            return None
        changed = max(main.st_mtime, wal.st_mtime)
        return changed, (main.st_mtime_ns, main.st_size, main.st_ino, wal.st_mtime_ns, wal.st_size, wal.st_ino)

    def running_attempt(self, seq: int, token: str) -> Optional[Tuple[Claim, float]]:
        """The claim *token* on job *seq* and when it started, if it still stands."""
        with self._reading() as connection:
            row = connection.execute(RUNNING_ATTEMPT, (seq, token)).fetchone()
        if not row:
            return None
        claim = Claim(row, row["token"], row["attempt_id"], row["number"])
        claim.unique_key = row["unique_key"]
        return claim, times.utc_seconds(row["started_at"])

    def adopt(self, claim: Claim, dead_worker: str, worker: str, now: float) -> bool:
        """Take over a claim from a worker that is proved dead; False if someone else was first."""
        with self._writing() as connection:
            moved = connection.execute(ADOPT_JOB, (worker, times.utc_text(now), claim.seq, claim.token, dead_worker))
            return moved.rowcount == 1

    def forgive_clock(self, now: float) -> None:
        """After the wall clock went back: retries that would wait for it are due.

        A second is left for the failures of others between the caller's look at the clock and here.
        """
        future = (times.utc_text(now + 1.0),)
        with self._reading() as connection:
            if not connection.execute(ANY_FAILED_IN_THE_FUTURE, future).fetchone():
                return
        with self._writing() as connection:
            connection.execute(PROMOTE_FAILED_IN_THE_FUTURE, future)

    def known_tokens(self) -> List[str]:
        """Tokens whose files in the attempts folder still mean something."""
        with self._reading() as connection:
            return [row["token"] for row in connection.execute(KNOWN_TOKENS)]

    # -------------------------------------------------------- cancel, requeue, prune

    def cancel(self, ids: Sequence[str], now: float) -> List[Tuple[str, Optional[str]]]:
        """Cancel waiting jobs and ask the workers of running ones to end them; all or none.

        Returns (id, token) per job: the token of the running attempt, None if none ran.
        Raises QueueError when one does not exist or is finished.
        """
        with no_job_without_database(ids), self._writing() as connection:
            heads = [self._head(connection, identifier) for identifier in ids]
            for identifier, head in zip(ids, heads):
                if head["state"] in states.FINAL:
                    raise QueueError("job %s is %s already: nothing was cancelled" % (identifier, head["state"]))
            for head in heads:
                if head["state"] == "processing":
                    connection.execute(REQUEST_CANCEL, (times.utc_text(now), head["seq"]))
                else:
                    connection.execute(CANCEL_WAITING, (times.utc_text(now), times.utc_text(now), head["seq"]))
        return [(identifier, head["token"]) for identifier, head in zip(ids, heads)]

    def await_cancel(self, asked: Sequence[Tuple[str, Optional[str]]], seconds: float) -> Tuple[List[str], List[str]]:
        """Wait up to *seconds* for the end of what :meth:`cancel` returned, while a worker lives to end it.

        Returns the ids of jobs that still run, and words on each that ended another way first.
        """
        late, missed = [], []
        deadline = time.monotonic() + seconds
        for identifier, token in asked:
            while token and self.running_token(identifier) == token:
                if time.monotonic() > deadline or not self.has_worker_soon():
                    late.append(identifier)
                    break
                time.sleep(0.05)
        for identifier, token in asked:
            if not token or identifier in late:
                continue  # cancelled already, or not yet
            state = self.states_of([identifier])[0]
            if state != "cancelled":
                missed.append("%s was %s" % (identifier, state))
        return late, missed

    def requeue(self, ids: Sequence[str], states: Sequence[str], now: float) -> None:
        """Move jobs in one of *states* back to pending with attempts 0; all or none.

        Raises QueueError when one does not exist, is in another state, or has a key that
        a waiting or running job holds.
        """
        with no_job_without_database(ids), self._writing() as connection:
            heads = [self._head(connection, identifier) for identifier in ids]
            for identifier, head in zip(ids, heads):
                if head["state"] not in states:
                    raise QueueError(
                        "job %s is %s, not %s: nothing was requeued" % (identifier, head["state"], " or ".join(states))
                    )
            for head in heads:
                holder = self._requeue_one(connection, head, now)
                if holder is not None:
                    raise key_is_held(head["id"], holder, holder in ids)
        self.ring()

    def requeue_dead(self, now: float, left: Optional[List[str]] = None) -> int:
        """Move every dead job back to pending; returns how many.

        Those whose key is held stay, and their ids are put into *left*.
        """
        found, stay = [], []
        with contextlib.suppress(NoDatabase), self._writing() as connection:
            found = connection.execute(FIND_DEAD).fetchall()
            stay = [head["id"] for head in found if self._requeue_one(connection, head, now) is not None]
        if left is not None:
            left += stay
        self.ring()
        return len(found) - len(stay)

    @staticmethod
    def _requeue_one(connection: sqlite3.Connection, head: sqlite3.Row, now: float) -> Optional[Holder]:
        """Move one job back to pending, unless another holds its key: that one is returned."""
        holder = find_holder(connection, head["unique_key"])
        if holder is None:
            connection.execute(REQUEUE_JOB, (times.utc_text(now), times.utc_text(now), head["seq"]))
        return holder

    @staticmethod
    def _head(connection: sqlite3.Connection, identifier: str) -> sqlite3.Row:
        head: Optional[sqlite3.Row] = connection.execute(GET_HEAD, (identifier,)).fetchone()
        if head is None:
            raise no_such_job(identifier)
        return head

    def prune(self, states: Sequence[str], before: float, progress: Callable[[int], None]) -> int:
        """Delete jobs in final *states* that finished before *before*, with their output.

        In small transactions, so that no claim waits; calls *progress* with the sum so
        far. Gives the space back to the file system. Returns how many were deleted.
        """
        deleted = 0
        with contextlib.suppress(NoDatabase):
            for state in states:
                last_seq = 0
                while True:
                    count, last_seq = self._prune_some(state, times.utc_text(before), last_seq)
                    deleted += count
                    progress(deleted)
                    if last_seq < 0:
                        break
                    time.sleep(YIELD_SECONDS)
            self._give_space_back()
        return deleted

    def _prune_some(self, state: str, before: str, after_seq: int) -> Tuple[int, int]:
        """Delete one batch; how many, and the seq to go on from (-1: none left)."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT seq FROM jobs WHERE state = ? AND finished_at < ? AND seq > ? ORDER BY seq LIMIT ?",
                (state, before, after_seq, PRUNE_ROWS),
            ).fetchall()
        if not rows:
            return 0, -1
        tokens: List[str] = []
        deleted = 0
        with self._writing() as connection:
            for row in rows:
                kept = connection.execute(
                    "SELECT token FROM attempts WHERE job = ? AND token IS NOT NULL", (row["seq"],)
                ).fetchall()
                gone = connection.execute("DELETE FROM jobs WHERE seq = ? AND state = ?", (row["seq"], state)).rowcount
                deleted += gone
                tokens += [token["token"] for token in kept if gone]
        for token in tokens:
            self.remove_attempt_files(token)
        return deleted, rows[-1]["seq"]

    def _give_space_back(self) -> None:
        left, before = 1, 0
        while left and left != before:  # it stays where auto_vacuum was turned off
            before = left
            with self._writing() as connection:
                for _ in range(VACUUM_PAGES):  # sqlite3 steps this pragma once: a page, whatever N says
                    connection.execute("PRAGMA incremental_vacuum(1)")
                left = connection.execute("PRAGMA freelist_count").fetchone()[0]
            time.sleep(YIELD_SECONDS)
        with told(self.path), self._gate(), contextlib.closing(self._open(gated=True)) as connection:
            self._checkpoint(connection, 0)

    def remove_attempt_files(self, token: str) -> None:
        """Delete what an attempt left in the attempts folder, except a lock that is still held."""
        for kind in ("out", "err"):
            files.remove(self.attempt_path(token, kind))
        if not self.attempt_is_held(token):
            files.remove(self.attempt_path(token, "run"))

    # -------------------------------------------------------- looking

    def counts(self) -> Dict[str, int]:
        """How many jobs are in each state, zeros too; all zero where no database exists yet."""
        found = dict.fromkeys(states.STATES, 0)
        with contextlib.suppress(NoDatabase), self._reading() as connection:
            found.update((row["state"], row["jobs"]) for row in connection.execute(COUNT_STATES))
        return found

    def counts_of(self, ids: Sequence[str]) -> Dict[str, int]:
        """How many of these jobs are in each state, zeros too. Raises QueueError for one that does not exist."""
        found = self.states_of(ids)
        return {state: found.count(state) for state in states.STATES}

    def counts_of_others(self) -> Dict[str, int]:
        """How many jobs are in each state, less the one that asks."""
        counts = self.counts()
        if counts["processing"] and self.is_asked_by_its_job():
            counts["processing"] -= 1
        return counts

    def is_asked_by_its_job(self) -> bool:
        """True when a job of this very queue calls, not what an attempt that has ended left running."""
        identifier, token = os.environ.get("QUEUECTL_JOB_ID"), os.environ.get("QUEUECTL_TOKEN")
        if not identifier or not token:
            return False
        try:
            return self.running_token(ids.check_id(identifier)) == token
        except (NoDatabase, BadInput):
            return False
        except HostError:
            return True  # it cannot be told now: rather leave too early than wait for oneself
        except QueueError:
            return False

    def overview(self) -> Tuple[Dict[str, int], Optional[Tuple[str, str, str]]]:
        """Counts per state; when the oldest waiting job was created, its id, and when it is due."""
        counts = dict.fromkeys(states.STATES, 0)
        oldest: List[Tuple[str, str, str]] = []
        with contextlib.suppress(NoDatabase), self._reading() as connection:
            counts.update((row["state"], row["jobs"]) for row in connection.execute(COUNT_STATES))
            for state in states.WAITING:
                found = connection.execute(OLDEST_WAITING, (state,))
                oldest += [(row["created_at"], row["id"], row["next_run_at"]) for row in found]
        return counts, min(oldest) if oldest else None

    def due_work(self, now: float, before: float) -> Tuple[int, int, Optional[Tuple[str, str]]]:
        """How many jobs are due, how many are under way; which has been due longest, since before *before*."""
        limit = times.utc_text(max(times.FIRST_TIME, before))
        waiting: List[Tuple[str, str]] = []
        try:
            with self._reading() as connection:
                counts = connection.execute(COUNT_DUE, (times.utc_text(now),)).fetchone()
                for statement in OVERDUE_IN_LANE:
                    waiting += [(row["since"], row["id"]) for row in connection.execute(statement, (limit, limit))]
        except NoDatabase:
            return 0, 0, None
        return counts["due"], counts["running"], min(waiting) if waiting else None

    def last_success(self, key: str) -> Optional[str]:
        """When a job with *key* last completed, also one that was pruned since."""
        row = None
        with contextlib.suppress(NoDatabase), self._reading() as connection:
            row = connection.execute(LAST_SUCCESS, (key,)).fetchone()
        return row["finished_at"] if row else None

    @contextlib.contextmanager
    def untold_deaths(self, newest: int) -> Iterator[Tuple[int, List[Fields]]]:
        """How many jobs died since the last time, and the *newest* that are still dead.

        They count as told when the block ends without an error. Each is told once: where
        there are any, only one process at a time is in the block.
        """
        if not self._untold_deaths(0)[1]:
            yield 0, []
            return
        with contextlib.ExitStack() as held:
            with told(self.path):  # not around the block: its errors are its own
                held.enter_context(self._gate("check"))
            deaths, untold, jobs = self._untold_deaths(newest)
            yield untold, jobs
            if untold:
                with self._writing() as connection:
                    connection.execute(DEATHS_TOLD, (deaths,))

    def _untold_deaths(self, newest: int) -> Tuple[int, int, List[Fields]]:
        """Deaths ever, those nobody was told of, and the newest jobs of these."""
        try:
            with self._reading() as connection:
                row = connection.execute(UNTOLD_DEATHS).fetchone()
                jobs = connection.execute(NEWEST_DEATHS, (row["told"], newest if row["untold"] else 0)).fetchall()
        except NoDatabase:
            return 0, 0, []
        return row["deaths"], row["untold"], [dict(job) for job in jobs]

    def next_due(self, now: float) -> Optional[float]:
        """When the next waiting job falls due (*now* where one is due); None where none waits."""
        with self._reading() as connection:
            return next_due(connection, now)

    def jobs(self, states: Sequence[str], limit: int) -> Tuple[List[Fields], bool]:
        """The newest *limit* jobs (in *states*, or all), newest last, and whether there are more."""
        rows: List[sqlite3.Row] = []
        with contextlib.suppress(NoDatabase), self._reading() as connection:
            if not states:
                rows = connection.execute(LIST_JOBS, (limit + 1,)).fetchall()
            for state in states:
                statement, values = (LIST_OPEN, (state, limit + 1))  # type: Tuple[str, Tuple[Any, ...]]
                if state == "completed":
                    statement, values = (LIST_COMPLETED, (limit + 1,))
                rows += connection.execute(statement, values).fetchall()
        rows.sort(key=lambda row: int(row["seq"]), reverse=True)
        return [job_fields(row) for row in reversed(rows[:limit])], len(rows) > limit

    def job(self, identifier: str) -> Fields:
        """One job in full, with its attempts under "history". Raises QueueError if there is none."""
        try:
            with self._reading() as connection:
                row = connection.execute(GET_JOB, (identifier,)).fetchone()
                if row is None:
                    raise no_such_job(identifier)
                attempts = connection.execute(GET_ATTEMPTS, (row["seq"],)).fetchall()
        except NoDatabase:
            raise no_such_job(identifier) from None
        return dict(job_fields(row), history=[dict(attempt) for attempt in attempts])

    def states_of(self, ids: Sequence[str]) -> List[str]:
        """The state of each job. Raises QueueError for one that does not exist."""
        try:
            with self._reading() as connection:
                return [self._head(connection, identifier)["state"] for identifier in ids]
        except NoDatabase:
            raise no_such_job(ids[0]) from None

    def running_token(self, identifier: str) -> Optional[str]:
        """The token of the claim that holds a job now, or None."""
        with self._reading() as connection:
            token: Optional[str] = self._head(connection, identifier)["token"]
            return token

    def damage(self, seconds: float) -> Optional[str]:
        """What SQLite's quick check complains of, "" if nothing, None if it takes longer than *seconds*."""
        with self._reading() as connection:
            deadline = time.monotonic() + seconds
            connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 100000)
            try:
                found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            except sqlite3.OperationalError as error:
                if "interrupt" in str(error):
                    return None
                raise
        return "" if found == "ok" else found.replace("\n", " ")

    # -------------------------------------------------------- who is alive

    def attempt_is_held(self, token: str) -> bool:
        """True while a process of this attempt lives: one that inherited its lock."""
        return self._is_held(self.attempt_path(token, "run"))

    def is_alive(self, name: str) -> bool:
        """True while the supervisor or worker *name* lives, or where that cannot be told."""
        return self._is_held(self.life_path(name))

    @staticmethod
    def _is_held(path: str) -> bool:
        """True while *path* is locked. Only evidence counts: no access, no verdict of death."""
        try:
            fd = files.open_private(path, os.O_RDWR)
        except FileNotFoundError:
            return not os.path.isdir(os.path.dirname(path))
        except OSError:
            return True  # no permission now, or (Windows) on its way out: ask again later
        try:
            return not locks.try_lock(fd, shared=True)
        finally:
            os.close(fd)

    def members(self) -> List[Fields]:
        """The supervisors and workers that live: kind, name, pid, host, since, supervisor."""
        found = []
        for name in self._life_names():
            if self.is_alive(name):
                found.append(self._details(name))
        return sorted(found, key=lambda member: (str(member["since"]), str(member["name"])))

    def members_of(self, supervisors: Sequence[str]) -> List[Fields]:
        """Those of the members that are one of these supervisors or a worker of one."""
        return [member for member in self.members() if (member["supervisor"] or member["name"]) in supervisors]

    def members_and_jobs(self) -> List[Fields]:
        """The members, and the id of the job that each runs (or None) as "job"."""
        members = self.members()
        jobs: Dict[str, str] = {}
        with contextlib.suppress(NoDatabase):
            jobs = {job["worker"]: job["id"] for job in self.processing()} if members else {}
        return [dict(member, job=jobs.get(member["name"])) for member in members]

    def ask_to_stop(self, supervisors: Sequence[str], request: str) -> None:
        """Leave each of these supervisors a *request* ("stop", "now" or "leave"), which its workers heed, too."""
        with files.refusals_told(self.workers_folder):
            for name in supervisors:
                os.close(files.open_private(self.request_path(name, request), os.O_WRONLY | os.O_CREAT))

    def has_worker(self) -> bool:
        """True while any worker lives that can heed a request."""
        return any(member["kind"] == "worker" for member in self.members())

    def has_worker_soon(self) -> bool:
        """True where a worker lives; a supervisor gets a moment to replace the one it has lost."""
        deadline = time.monotonic() + STARTING_SECONDS
        while not self.has_worker():
            if not self.members() or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def is_served(self) -> bool:
        """True while a supervisor lives that nobody has asked to stop."""
        supervisors = [str(member["name"]) for member in self.members() if member["kind"] == "supervisor"]
        return any(not self._is_asked_to_stop(name) for name in supervisors)

    def _is_asked_to_stop(self, supervisor: str) -> bool:
        return any(os.path.exists(self.request_path(supervisor, request)) for request in REQUESTS)

    def try_start_lock(self) -> Optional[int]:
        """The right to start a supervisor where none serves: a descriptor to close, None where another holds it."""
        fd = files.open_private(os.path.join(self.folder, "start"), os.O_RDWR | os.O_CREAT)
        if locks.try_lock(fd):
            return fd
        os.close(fd)
        return None

    def _life_names(self) -> List[str]:
        try:
            return [entry[:-5] for entry in os.listdir(self.workers_folder) if entry.endswith(".life")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise HostError("cannot read %s: %s" % (self.workers_folder, error.strerror)) from None

    def _details(self, name: str) -> Fields:
        details = {"kind": "starting", "name": name, "pid": 0, "host": "", "since": "", "supervisor": ""}
        try:
            with open(self.life_path(name), "rb") as file:
                details.update(json.loads(file.read(4096).decode("ascii")))
        except (OSError, ValueError):
            pass  # it has just begun, or has just gone
        return details

    def tidy(self) -> None:
        """Remove what dead supervisors and workers, and deleted jobs, left in the folder."""
        held = {job["worker"] for job in self.processing()}
        for name in self._life_names():
            if name not in held:
                self._remove_dead_life(name)
        self._remove_stale_requests()
        files = os.listdir(self.attempts_folder)  # before the tokens: a file follows its claim
        tokens = set(self.known_tokens()) if files else set()
        for token in {entry.split(".")[0] for entry in files} - tokens:
            self.remove_attempt_files(token)

    def _remove_stale_requests(self) -> None:
        """Requests to supervisors of whom neither they nor a worker lives any more."""
        entries = os.listdir(self.workers_folder)  # before the names: a request follows its supervisor
        wanted = {str(member["supervisor"]) for member in self.members()} | set(self._life_names())
        for entry in entries:
            name, _, kind = entry.rpartition(".")
            if kind != "life" and name not in wanted:
                with contextlib.suppress(OSError):
                    files.remove(os.path.join(self.workers_folder, entry))

    def _remove_dead_life(self, name: str) -> None:
        try:
            fd = files.open_private(self.life_path(name), os.O_RDWR)
        except OSError:
            return
        try:
            dead = locks.try_lock(fd)
            if dead and sys.platform != "win32":
                files.remove(self.life_path(name))  # while locked, so that nobody is mistaken for dead
        finally:
            os.close(fd)
        if dead and sys.platform == "win32":
            with contextlib.suppress(OSError):
                os.unlink(self.life_path(name))
        if dead:
            for request in REQUESTS + ("ready",):
                with contextlib.suppress(OSError):
                    files.remove(self.request_path(name, request))


def move_on(
    connection: sqlite3.Connection, outcome: Outcome, settings: Settings, start: Optional[str], end: str
) -> bool:
    """Move the job of an ended attempt to its next state, and keep for `check` what that means."""
    claim = outcome.claim
    guard = (claim.seq, claim.token)
    state = ""
    if outcome.kind == "completed":
        moved = connection.execute(COMPLETE_JOB, (start, end, end) + guard)
    elif outcome.kind == "given back":
        moved = connection.execute(RELEASE_JOB, (int(outcome.unstarted), end) + guard)
    else:
        values = failure(connection, outcome, settings, start)
        state = values[0]
        moved = connection.execute(FAIL_JOB, values + guard)
    if moved.rowcount != 1:
        return False
    if outcome.kind == "completed" and claim.unique_key is not None:
        connection.execute(RECORD_SUCCESS, (claim.unique_key, end))
    elif state == "dead":
        connection.execute(COUNT_DEATH)
        connection.execute(NUMBER_DEATH, (claim.seq,))
    return True


def failure(
    connection: sqlite3.Connection, outcome: Outcome, settings: Settings, start: Optional[str]
) -> Tuple[Any, ...]:
    """The values of FAIL_JOB before its guard: cancelled, failed with a date, or dead."""
    claim = outcome.claim
    end = times.utc_text(outcome.finished)
    if outcome.kind == "cancelled" or cancel_wanted(connection, claim):
        return "cancelled", outcome.exit_code, outcome.error, start, end, end, None, None
    if claim.attempts > claim.max_retries:
        return "dead", outcome.exit_code, outcome.error, start, end, end, None, None
    delay = retrying.backoff_delay(settings.backoff_base, claim.attempts, settings.backoff_cap)
    due = times.utc_text(min(outcome.finished + delay, times.LAST_TIME))
    return "failed", outcome.exit_code, outcome.error, start, None, end, due, int(delay > 0)


def next_due(connection: sqlite3.Connection, now: float) -> Optional[float]:
    if connection.execute(ANY_DUE).fetchone():
        return now
    row = connection.execute(NEXT_DUE).fetchone()
    return times.utc_seconds(row["next_run_at"]) if row else None


def cancel_wanted(connection: sqlite3.Connection, claim: Claim) -> bool:
    row = connection.execute("SELECT cancel_requested FROM jobs WHERE seq = ?", (claim.seq,)).fetchone()
    return bool(row and row["cancel_requested"])


def find_holder(connection: sqlite3.Connection, key: Optional[str]) -> Optional[Holder]:
    """The job that waits or runs with *key*."""
    row = None if key is None else connection.execute(FIND_HOLDER, (key,)).fetchone()
    return None if key is None or row is None else Holder.of(row["id"], key, row["state"])


def insert_few(connection: sqlite3.Connection, shared: Sequence[Any], own: Sequence[Any]) -> None:
    """Rows for the private table that are too few to go at once."""
    size = fields.OWN + 2
    connection.executemany(
        INSERT_INCOMING, (tuple(shared) + tuple(own[place : place + size]) for place in range(0, len(own), size))
    )


@contextlib.contextmanager
def counted_at_once(connection: sqlite3.Connection) -> Iterator[None]:
    """Count the jobs of a large private table in one go, in the transaction that moves them into the queue.

    Nobody else sees the queue without the trigger that counts: it is back when the transaction
    commits, and was never away when it does not, for whatever reason.
    """
    added = connection.execute(COUNT_INCOMING).fetchone()[0]
    trigger = connection.execute(FIND_COUNTING).fetchone() if added >= COUNTED_AT_ONCE else None
    if not trigger:
        yield
        return
    connection.execute(DROP_COUNTING)
    yield
    failpoints.failpoint("enqueue.uncounted")
    connection.execute(COUNT_ADDED, (added,))
    connection.execute(trigger["sql"])


def fitting(statement: str) -> str:
    """A schema statement for this SQLite: partial indexes exist from 3.8.0."""
    partial = sqlite3.sqlite_version_info >= (3, 8, 0)
    statement = re.sub(r"\{plain:(.*?)\}", "" if partial else r"\1", statement)
    return re.sub(r"\{where:(.*?)\}", r"WHERE \1" if partial else "", statement)


def job_fields(row: sqlite3.Row) -> Fields:
    """A job as the outside sees it: the JSON keys, in the order of the columns."""
    fields = dict(row)
    del fields["seq"]
    if fields.pop("is_list"):
        fields["command"] = json.loads(fields["command"])
    fields["env"] = json.loads(fields["env"]) if fields["env"] else {}
    fields["umask"] = None if fields["umask"] is None else "%04o" % fields["umask"]
    return fields


def no_such_job(identifier: str) -> QueueError:
    return QueueError("no job has the id %s: `list` shows the newest" % errors.shown(identifier))


@contextlib.contextmanager
def no_job_without_database(ids: Sequence[str]) -> Iterator[None]:
    """Where no database exists, neither does a job with the first of *ids*."""
    try:
        yield
    except NoDatabase:
        raise no_such_job(ids[0]) from None


def key_is_held(identifier: str, holder: Holder, same_call: bool) -> QueueError:
    if same_call:
        text = "jobs %s and %s have the same key %s, and only one can wait: nothing was requeued"
        return QueueError(text % (holder, identifier, errors.shown(holder.key)))
    text = "job %s has the key %s, which job %s (%s) holds: nothing was requeued"
    return QueueError(text % (identifier, errors.shown(holder.key), holder, holder.state))


@contextlib.contextmanager
def closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """Python 3.13 warns of a connection that is dropped unclosed."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction, which SQLite may have ended already by itself."""
    with contextlib.suppress(sqlite3.Error):
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def told(path: str) -> Iterator[None]:
    """Turn what SQLite and the system say about *path* into one line that helps."""
    try:
        with files.refusals_told(path):
            yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        raise HostError(explanation(path, str(error))) from error


EXPLANATIONS = (
    ("locked", "is locked by another program for too long: end that program, then try again"),
    ("busy", "is locked by another program for too long: end that program, then try again"),
    ("full", "cannot grow: the disk is full; nothing was changed"),
    ("readonly", "is read-only: check its permissions and those of its directory"),
    ("read-only", "is read-only: check its permissions and those of its directory"),
    ("unable to open", "cannot be opened: check the permissions of it and of its directory"),
    ("not a database", "is not a database: move it away, or choose another db_path"),
    ("malformed", "is damaged: it was left as it is; restore a backup, or move it away with its -wal"),
    ("disk i/o", "cannot be read or written (disk I/O error): check the disk, then try again"),
)


def explanation(path: str, message: str) -> str:
    """One line about a database that refuses."""
    lowered = message.lower()
    for word, text in EXPLANATIONS:
        if word in lowered:
            return "%s %s" % (errors.printable(path), text)
    return "%s: %s" % (errors.printable(path), errors.printable(message))


class Output:
    """One output stream of one attempt, wherever it is kept: database or file."""

    def __init__(self, queue: Queue, attempt: Fields, stream: str) -> None:
        self.blob: Optional[bytes] = attempt[stream]
        self.path = ""
        self.size: int = attempt[stream + "_bytes"]
        if self.blob is None and attempt["token"]:
            self.path = queue.attempt_path(attempt["token"], stream[3:])
            try:
                self.size = os.stat(self.path).st_size
            except OSError:
                self.path = ""

    def read(self, offset: int, count: int) -> bytes:
        """Up to *count* bytes from *offset*."""
        if self.blob is not None:
            return bytes(self.blob[offset : offset + count])
        if not self.path:
            return b""
        try:
            with open(self.path, "rb") as file:
                file.seek(offset)
                return file.read(count)
        except FileNotFoundError:
            return b""  # it has just moved into the database

    def tail(self, count: int) -> bytes:
        return self.read(max(0, self.size - count), count)


def with_output(queue: Queue, job: Fields, most: int) -> Fields:
    """*job* with up to *most* bytes of each attempt's output as text, and without what is internal."""
    for attempt in job["history"]:
        for stream in ("stdout", "stderr"):
            output = Output(queue, attempt, stream)
            text = output.tail(most)
            attempt[stream] = system.output_text(text)
            attempt[stream + "_bytes"] = output.size
            if len(text) < output.size:
                attempt[stream + "_truncated"] = True
        for name in ("id", "job", "token"):
            attempt.pop(name, None)
    return job


class Follower:
    """Reads what is new in the output of a job, attempt after attempt.

    *number* chooses one attempt; without it begins the last one, and each that follows.
    """

    def __init__(self, queue: Queue, identifier: str, number: Optional[int], streams: Sequence[str]) -> None:
        self.queue = queue
        self.identifier = identifier
        self.number = number
        self.streams = streams
        self.offsets: Dict[str, int] = {}
        self.attempt: Optional[Fields] = None
        self.job: Fields = {}

    def news(self) -> Iterator[Tuple[str, bytes]]:
        """What came since the last call, in pieces, each with its stream. Raises QueueError if the job is gone."""
        self.job = self.queue.job(self.identifier)
        for attempt in self._wanted():
            if self.attempt is None or attempt["number"] != self.attempt["number"]:
                self.offsets = dict.fromkeys(self.streams, 0)
            self.attempt = attempt
            for stream in self.streams:
                for piece in self._pieces(Output(self.queue, attempt, stream), stream):
                    yield stream, piece

    def _wanted(self) -> List[Fields]:
        """The attempts to look at now: the chosen one; the last; or those since the one at hand."""
        history: List[Fields] = self.job["history"]
        if self.number is not None:
            return [attempt for attempt in history if attempt["number"] == self.number]
        if self.attempt is None:
            return history[-1:]
        at_hand = self.attempt["number"]
        return [attempt for attempt in history if attempt["number"] >= at_hand]

    def _pieces(self, output: Output, stream: str) -> Iterator[bytes]:
        while True:
            data = output.read(self.offsets[stream], CHUNK_BYTES)
            if not data:
                return
            if len(data) == CHUNK_BYTES:
                data = data[: data.rfind(b"\n") + 1] or data  # whole lines, so that no character is cut in two
            self.offsets[stream] += len(data)
            yield data

    def ended(self) -> bool:
        """True when no more can come."""
        if self.number is not None and self.attempt is not None:
            return bool(self.attempt["outcome"] != "running")
        return self.job["state"] in states.FINAL
