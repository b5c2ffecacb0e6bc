"""What the manual says of settings, files, variables and exit codes, which no parser knows."""

from __future__ import annotations

ABOUT = (
    "A background job queue for shell commands, on one host: jobs are kept in a database, and workers run them, again"
    " where they fail. No daemon, no port, no installation.",
    "A job is enqueued by `add`, `run` or `enqueue`, and run by a worker: `worker start`. It is pending until then,"
    " processing while it runs, and in the end completed, dead (all its attempts have failed) or cancelled; failed is"
    " one that waits for its next attempt. The dead wait for a person: `dlq groups`, `dlq retry`.",
)
SETTINGS = {
    "max_retries": "further attempts of a job that names no number",
    "backoff_base": "the wait before attempt N + 1 is this to the power of N, in seconds; 0, 1 and fractions work",
    "backoff_cap": "the longest wait between attempts, in seconds",
    "backoff": "how the waits grow: exponential, exponential:2, linear:30s, fixed:30s, or a list 30s,2m,10m",
    "jitter": "each wait is up to this share longer: 0 to 1, or 20%",
    "ok_codes": "exit codes that complete a job: 0,24 or 0-3",
    "later_codes": "exit codes that mean: again later, and no retry is spent",
    "dead_codes": "exit codes that mean: no retry would help",
    "max_snoozes": "how often a job may ask to run again later",
    "timeout": "an attempt that runs longer is ended, in seconds",
    "shell": "who reads the text of a job, in place of /bin/sh: a whole path",
    "db_path": "the database, relative to the home",
    "poll_interval": "the longest time for which an idle worker does not look at the database, in seconds",
    "grace": "between TERM and KILL where a job is ended, in seconds",
    "max_output": "bytes kept of each output stream of an attempt: the first and the last",
    "durability": "full, or off: results survive every kill, but the last ones not a power loss",
    "hook": "a program that is told of what happens: a text for /bin/sh, or a list of words",
    "hook_on": "what it is told of: dead, stuck, failed, running_long, cancelled, snoozed, completed, idle",
    "hook_every": "from one of its runs to the next, at the least, in seconds",
    "hook_max_age": "what ended longer ago is told as one summary, in seconds",
    "launchers": "programs that start jobs elsewhere, by their names: JSON (docs/launchers.md)",
    "launcher": "which of them starts a job that names none, in a queue that names none",
}
FILES = {
    "config.json": "in the home: the settings that are not as below",
    "queuectl.db": "in the home, where db_path names no other: the database, an SQLite file",
    "queuectl.db.d": "beside it: output of running jobs, life files of workers, worker.log of those in the background;"
    " for nobody else to read",
}
ENVIRONMENT = {
    "QUEUECTL_HOME": "the home, where --home names none",
    "QUEUECTL_DB_PATH": "the database, in place of the setting db_path; a --home in the call counts more",
    "NO_COLOR": "no colours",
    "COLUMNS": "how wide help is",
    "SOURCE_DATE_EPOCH": "the date of this manual, in seconds since 1970",
}
OF_A_JOB = {
    "QUEUECTL_JOB_ID": "its id",
    "QUEUECTL_ATTEMPT": "the number of the attempt, from 1",
    "QUEUECTL_MAX_RETRIES": "as it was asked for",
    "QUEUECTL_TAGS": "with blanks between, where it has any",
    "QUEUECTL_CONTROL": "a file that it may write to, to say what is to become of it (`say` does that)",
    "QUEUECTL_SNOOZES": "how often it has asked to run later, where it has",
    "QUEUECTL_SCHEDULE, QUEUECTL_SCHEDULED_AT": "which schedule has made it, and for when",
    "QUEUECTL_HOME": "the home of its worker",
}
CODES = {
    "0": "done",
    "1": "not done: no such job, a wrong state, an id that is taken, a job that failed and was waited for; `check`:"
    " something is wrong; `doctor`: this host cannot run the queue",
    "2": "wrong usage or bad input; nothing was changed",
    "3": "the environment: database unreadable or locked too long, disk full, home not writable, bad config.json",
    "124": "`wait`: the time is over",
    "130": "interrupted: nothing was done, or the message says what was (`run`: 143 after SIGTERM, 129 after SIGHUP)",
}
OF_RUN = (
    "`run`, `add --wait`, `wait --exit-code` and `logs -f --exit-code` end with the exit code of the job. Where it died"
    " of a signal, `run` and `logs` end with 128 and the number of that. `run` ends with 127 where the program was not"
    " found, with 126 where it may not be executed, with 125 where the job has no exit code: it was cancelled before it"
    " ran, could not be started, or was deleted; and with 141 where nobody reads its output any more: the job goes on.",
)
