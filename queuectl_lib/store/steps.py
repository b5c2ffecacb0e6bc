"""The steps of the schema, append only: each brings a database from one format to the next."""

from __future__ import annotations

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
