"""The steps of the schema, append only: each brings a database from one format to the next.

What of it belongs to which design: jobs, attempts and counts to the queue itself; edges, settling, queues, starts,
locks, tags and schedules to what may run when; kinds, errors, totals, origins and releases to what is told of it.
"""

from __future__ import annotations

JOBS_ADDED = """
CREATE TRIGGER jobs_added AFTER INSERT ON jobs BEGIN
    UPDATE counts SET jobs = jobs + 1 WHERE state = NEW.state;
END
"""
JOBS_MOVE = """
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
"""
JOBS_MOVED = """
CREATE TRIGGER jobs_moved AFTER UPDATE OF state ON jobs BEGIN
    UPDATE counts SET jobs = jobs - 1 WHERE state = OLD.state;
    UPDATE counts SET jobs = jobs + 1 WHERE state = NEW.state;
END
"""

OLD_COLUMNS = (
    "seq, id, command, is_list, state, attempts, max_retries, priority, run_at, next_run_at, lane, timeout, cwd,"
    " env, umask, created_at, updated_at, started_at, finished_at, exit_code, last_error, worker, token,"
    " cancel_requested, runs, unique_key, death, pipe_output"
)

JOBS_ANEW = 6  # the step that makes the table of jobs anew

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
        JOBS_ADDED,
        JOBS_MOVE,
        JOBS_MOVED,
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
    [
        # Lanes 2 to 4 (store/placing) and all that is asked of jobs, in one step: each is an outage for old workers.
        # SQLite cannot change a CHECK, so the table is made anew. What somebody has damaged comes along as it is.
        "PRAGMA ignore_check_constraints = ON",
        "PRAGMA legacy_alter_table = ON",  # a view of somebody's names jobs, which are away for a moment
        "DROP TRIGGER jobs_added",
        "DROP TRIGGER jobs_move",
        "DROP TRIGGER jobs_moved",
        "DROP TRIGGER jobs_deleted",
        """
        CREATE TABLE jobs_anew (
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
            lane INTEGER CHECK (lane BETWEEN 0 AND 4),
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
            unique_key TEXT,
            death INTEGER,
            pipe_output INTEGER,
            queue INTEGER NOT NULL DEFAULT 0, -- of queues; 0 is default
            lock_key TEXT,
            held_at TEXT,
            tags TEXT, -- its tags with blanks between, as a claim and a list read them; a tag's jobs are in tags
            reason TEXT, -- why the queue itself has cancelled it, JSON
            schedule TEXT,
            slot TEXT,
            name TEXT,
            policy TEXT, -- what its exit codes mean, JSON
            snoozes INTEGER NOT NULL DEFAULT 0,
            signature TEXT, -- of its last failure
            origin INTEGER,
            release INTEGER, -- the group retry that it belongs to, or waits for
            CHECK ((state = 'processing') = (token IS NOT NULL)),
            CHECK ((state IN ('pending', 'failed')) = (lane IS NOT NULL)),
            CHECK ((lane IS NULL) = (next_run_at IS NULL))
        )
        """,
        "INSERT INTO jobs_anew (%(columns)s) SELECT %(columns)s FROM jobs" % {"columns": OLD_COLUMNS},
        "DROP TABLE jobs",
        "ALTER TABLE jobs_anew RENAME TO jobs",
        "CREATE INDEX jobs_due ON jobs ({plain:lane, }queue, priority DESC, next_run_at, seq) {where:lane = 0}",
        "CREATE INDEX jobs_later ON jobs ({plain:lane, }next_run_at) {where:lane = 1}",
        "CREATE INDEX jobs_crowd ON jobs ({plain:lane, }priority DESC, next_run_at) {where:lane = 1}",
        "CREATE INDEX jobs_aside ON jobs (lane, lock_key, queue, priority DESC, next_run_at, seq) {where:lane > 1}",
        "CREATE INDEX jobs_open ON jobs (state) {where:state <> 'completed'}",
        "CREATE INDEX jobs_completed ON jobs ({plain:state, }lane) {where:state = 'completed'}",
        "CREATE INDEX jobs_keyed ON jobs (unique_key, state) {where:unique_key IS NOT NULL}",
        JOBS_ADDED,
        JOBS_MOVE,
        JOBS_MOVED,
        # seq of the newest is given out again: nothing that names a job may outlive it.
        """
        CREATE TRIGGER jobs_deleted AFTER DELETE ON jobs BEGIN
            UPDATE counts SET jobs = jobs - 1 WHERE state = OLD.state;
            DELETE FROM attempts WHERE job = OLD.seq;
            DELETE FROM tags WHERE job = OLD.seq;
            DELETE FROM settling WHERE job = OLD.seq;
            DELETE FROM edges WHERE child = OLD.seq;
            INSERT OR REPLACE INTO settling (job, verb)
                SELECT child, 'broken' FROM edges WHERE parent = OLD.seq AND state = 1;
            UPDATE edges SET state = 2 WHERE parent = OLD.seq AND state = 1;
            UPDATE edges SET parent = NULL WHERE parent = OLD.seq;
        END
        """,
        # wants: 1 success, 2 any end, 3 failure; state: 1 open, 0 met, 2 broken
        "CREATE TABLE edges (child INTEGER NOT NULL, parent INTEGER, parent_id TEXT NOT NULL,"
        " wants INTEGER NOT NULL, state INTEGER NOT NULL)",
        "CREATE INDEX edges_of_child ON edges (child, state)",
        "CREATE INDEX edges_of_parent ON edges (parent, state)",
        "CREATE TABLE settling (job INTEGER PRIMARY KEY, verb TEXT NOT NULL)",
        # Its number is never given out again, so that no job comes into another queue than it was meant for.
        "CREATE TABLE queues (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, paused_at TEXT,"
        " paused_until TEXT, note TEXT, running_most INTEGER, rate_count INTEGER, rate_seconds REAL,"
        " starts INTEGER NOT NULL DEFAULT 0, windows TEXT, load_most REAL,"
        " memory_least INTEGER, free_least INTEGER, free_path TEXT, last_start_at TEXT)",
        "INSERT INTO queues (id, name) VALUES (0, 'default')",
        "CREATE TABLE starts (queue INTEGER NOT NULL, slot INTEGER NOT NULL, at TEXT NOT NULL,"
        " PRIMARY KEY (queue, slot))",
        "CREATE TABLE locks (key TEXT PRIMARY KEY, most INTEGER NOT NULL)",
        "CREATE TABLE tags (job INTEGER NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (job, tag))",
        "CREATE INDEX tags_of ON tags (tag, job)",
        "CREATE TABLE schedules (name TEXT PRIMARY KEY, timing TEXT NOT NULL, zone TEXT NOT NULL, job TEXT NOT NULL,"
        " missed TEXT NOT NULL, missed_most INTEGER, overlap TEXT NOT NULL, anchor TEXT,"
        " starts_at TEXT, ends_at TEXT, paused_at TEXT, next_at TEXT, last_slot TEXT, last_job TEXT,"
        " last_outcome TEXT, outcome_at TEXT, failures INTEGER NOT NULL DEFAULT 0,"
        " made INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0, trouble TEXT)",
        "CREATE INDEX schedules_next ON schedules (next_at)",
        "ALTER TABLE attempts ADD COLUMN command TEXT",  # where the job's was changed since: as JSON, a text or a list
        "ALTER TABLE attempts ADD COLUMN ended INTEGER",  # its number in the order of ends
        "ALTER TABLE attempts ADD COLUMN cpu REAL",
        "ALTER TABLE attempts ADD COLUMN peak_rss INTEGER",
        "ALTER TABLE attempts ADD COLUMN oom TEXT",
        "ALTER TABLE attempts ADD COLUMN note TEXT",  # last progress and result: JSON
        "ALTER TABLE attempts ADD COLUMN launcher TEXT",
        "ALTER TABLE attempts ADD COLUMN timeout REAL",  # the one in force
        "CREATE INDEX attempts_ended ON attempts (ended) {where:ended IS NOT NULL}",
        "ALTER TABLE counts ADD COLUMN ended INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE counts ADD COLUMN hooked INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE kinds (kind TEXT PRIMARY KEY, runs INTEGER NOT NULL, failures INTEGER NOT NULL,"
        " ended INTEGER NOT NULL, recent BLOB NOT NULL)",
        "CREATE TABLE errors (signature TEXT PRIMARY KEY, text TEXT NOT NULL, first_at TEXT NOT NULL,"
        " last_at TEXT NOT NULL, failures INTEGER NOT NULL)",
        "CREATE TABLE totals (key TEXT PRIMARY KEY, value REAL NOT NULL)",
        "CREATE TABLE origins (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
        "CREATE TABLE releases (id INTEGER PRIMARY KEY, signature TEXT NOT NULL, batch INTEGER NOT NULL,"
        " waiting INTEGER NOT NULL, begun_at TEXT NOT NULL)",
        "PRAGMA legacy_alter_table = OFF",
        "PRAGMA ignore_check_constraints = OFF",
    ],
    [  # 7: a queue may have a launcher of its own
        "ALTER TABLE queues ADD COLUMN launcher TEXT",
        "ALTER TABLE queues ADD COLUMN launcher_args TEXT",  # JSON, a list
    ],
]
