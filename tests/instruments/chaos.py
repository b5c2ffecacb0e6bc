#!/usr/bin/env python3
"""chaos: two minutes of everything going wrong, with a ledger that says what really happened.

    python3 tests/instruments/chaos.py [--seed N | --seeds 1-10] [--seconds 110] [--jobs N] [--json FILE]

The idea. Jobs keep their own books: each execution appends one line to a ledger when it
starts and one when it has succeeded, and holds a lock of its job for as long as anything
of it lives. Whoever submits keeps books too: what was acknowledged, refused, or cut off.
In between, everything is killed, paused, stopped, locked and starved. In the end queuectl
drains what is left, and three accounts must agree: what was asked for, what the ledger
saw, and what the database says. Each difference is a violation, shown with its evidence.

The run is black box: the real command line, real processes, real signals. What it reads
beyond the command line is the documented database and the two documented folders.

    Arena         one home with its supervisors; the second, where root may mount a tmpfs,
                  is small and runs full now and then
    Enqueuer      submits batches, and is itself killed in the middle of some
    Killer        SIGKILL and SIGSTOP for workers, supervisors, or all of a supervisor
    Executioner   kills the worker of a job that asks for it in the ledger
    Stopper       worker stop in all its forms, and stop signals
    Meddler       cancels, requeues, holds, pauses, prunes, sends canaries, holds the database's lock
    Filler        fills the disk and frees it
    Landlord      starts supervisors where some are missing, some with a log that nobody reads
    Copier        copies the home in the middle of it all, and lets the copy work
    Mover         renames the home, and back
    Sweeper       deletes life files, as a cleaner of temporary files does
    Miser         lowers the process limit and raises it (run by root, all is done as a user of its own)
    Audit         compares the accounts

Run by root, the play is another user's, one that owns nothing else: root knows no process limit.
Only processes of this run are signalled: they carry its cookie in their environment and
are known by pid and start time. Everything random comes from the seed; the scheduling of
the system does not, so a seed repeats the plan, not the run.

Exit code: 0 all promises held, 1 violations, 2 the run itself failed.
"""

import argparse
import calendar
import collections
import contextlib
import datetime
import fcntl
import itertools
import json
import os
import random
import re
import resource
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUEUECTL = [sys.executable, "-S", os.path.join(ROOT, "queuectl.py")]  # -S: starts sooner; it needs no site packages

SCHEDULE, SCHEDULE_SECONDS = "tick", 2  # whose slots are made, each once
DRAIN_SECONDS = 20.0  # of the whole run: kept for the drain and the audit
DRAIN_DEADLINE = 60.0  # a drain that takes longer is a violation
CALL_SECONDS = 50.0  # a call that takes longer hangs
LATE_SECONDS = 3.0  # the longest that anything a job left behind may live
PRUNE_AGE = 10.0  # seconds since its end after which a job may be pruned here
OPEN_JOBS = 300  # enqueuers wait while more jobs than this are open
SHOWN_PER_SORT = 5  # violations that are printed; --json has them all
F_SETPIPE_SZ = 1031  # of fcntl(2); the module names it from 3.10 on
NOTICED_SECONDS = 3.5  # after which a supervisor must have seen that its files are gone or elsewhere
COPY_SECONDS = 3  # that a copy of the home works
USERS = (61000, 61999)  # one of these plays where root runs this
SMALL_DISK = 12 * 1024 * 1024
SMALL_SHARE = 0.15  # of the jobs go to the arena whose disk runs full
INLINE_BYTES = 32 * 1024  # larger output stays in a file (README)

# A config that makes two minutes long: quick retries, short grace, output that is soon too much.
MAX_OUTPUT = 1000000
NARROW = "narrow"  # a queue of which two run at a time
SETTINGS = {"backoff_base": 0.02, "grace": 0.6, "poll_interval": 0.5, "max_output": MAX_OUTPUT}

# What every job runs, as `job.sh TAG KIND ARGUMENT` in one form or another. /proc/uptime
# is the clock a shell can read without a process. The lock (7) is inherited by all that a
# job starts, so the next attempt finds it taken while anything of the last one lives.
# The same for the lock that the job asked for (6) and for a place in the narrow queue (5), which what it leaves
# behind does not hold.
# A success ignores TERM from before its line: what says "end" also exits 0. A job kills by
# /proc/self, never by $PPID, which is init's once the parent has died; the watcher leads
# the session, so its pid is nobody else's while the job lives. It raises a process limit
# that it has inherited: what fails for want of processes in a job is the job's own.
JOB_SCRIPT = r"""#!/bin/sh
ulimit -S -p "$CHAOS_PROCESSES" 2>/dev/null || ulimit -S -u "$CHAOS_PROCESSES" 2>/dev/null
tag=$1 kind=$2 argument=$3
note() {
    read -r now rest </proc/uptime
    echo "$1 $QUEUECTL_JOB_ID $QUEUECTL_ATTEMPT $QUEUECTL_TOKEN $now $tag $2" >>"$CHAOS_LEDGER"
}
pause() { sleep "$1" || exit 143; }
succeed() { trap '' HUP INT TERM; note end; exit 0; }
say() { until echo "$1" >>"$QUEUECTL_CONTROL"; do pause 0.1; done; } 2>/dev/null
whoami() { read -r stat </proc/self/stat; set -- $stat; self=$1 watcher=$6; }
if [ "$kind" = later ]; then pause "$argument"; note late; exit; fi
exec 7>>"$CHAOS_LOCKS/$tag"
flock -n -E 99 7
[ $? = 99 ] && note overlap
if [ "$CHAOS_LOCK" ]; then
    exec 6>>"$CHAOS_LOCKS/lock-$CHAOS_LOCK"
    flock -n -E 99 6
    [ $? = 99 ] && note two-of-one-lock
fi
if [ "$CHAOS_NARROW" ]; then
    place=
    for place in 1 2 none; do
        exec 5>>"$CHAOS_LOCKS/narrow-$place"
        flock -n -E 99 5
        [ $? = 99 ] || break
    done
    [ "$place" = none ] && note over-the-limit
fi
note start
case $kind in
    instant) succeed ;;
    short | long) pause "$argument"; succeed ;;
    reader) cat; succeed ;;
    talker) head -c "$argument" /dev/zero | tr '\0' x; succeed ;;
    flood) head -c "$argument" /dev/zero | tr '\0' x; succeed ;;
    binary) printf '\377\376\200\033[2J\n\303'; succeed ;;
    signalled) whoami; kill -"$argument" "$self"; sleep 9; exit 99 ;;
    flaky) [ "$QUEUECTL_ATTEMPT" -gt "$argument" ] || exit 9; succeed ;;
    faltering) pause 0.3; [ "$QUEUECTL_ATTEMPT" -gt "$argument" ] || exit 9; succeed ;;
    exiting) exit "$argument" ;;
    suicide) whoami; kill -KILL "$self"; sleep 9; exit 99 ;;
    assassin) whoami; note kill-worker "$watcher"; pause 0.6; succeed ;;
    poison) whoami; note kill-worker "$watcher"; pause 0.2; kill -KILL "$watcher" "$self" ;;
    sleeper) pause 30; succeed ;;
    stubborn) trap '' HUP INT TERM; sleep 30; sleep 30; succeed ;;
    parent) "$CHAOS_JOB" "$tag" later "$argument" 5>&- 6>&- & succeed ;;
    closing) "$CHAOS_JOB" "$tag" later "$argument" </dev/null >/dev/null 2>&1 5>&- 6>&- 7>&- 9>&- & succeed ;;
    daemon) setsid -f "$CHAOS_JOB" "$tag" later "$argument" 5>&- 6>&-; succeed ;;
    untidy)
        [ "$QUEUECTL_ATTEMPT" -gt 1 ] && succeed
        setsid -f "$CHAOS_JOB" "$tag" later "$argument" 5>&- 6>&-
        exit 9
        ;;
    snoozer) [ "${QUEUECTL_SNOOZES:-0}" -ge "$argument" ] && succeed; say "snooze 1s"; exit 0 ;;
    deferring) [ "${QUEUECTL_SNOOZES:-0}" -ge "$argument" ] && succeed; exit 75 ;;
    doomed) say "dead no use"; exit 1 ;;
    pardoned) say ok; exit 3 ;;
    tolerated) exit 24 ;;
    needy) [ -e "$CHAOS_LOCKS/mended" ] && succeed; echo "cannot connect to the database" >&2; exit 9 ;;
esac
exit 98
"""


# ---------------------------------------------------------------- kinds of jobs


class Kind:
    """What a job does, and what must become of it.

    ``attempts`` says how many it takes in the end, given the job; ``exit_codes`` are those
    that the last one may have.
    """

    def __init__(
        self, name, share, argument=None, state="completed", retries=(3,), timeout=None, exit_codes=(0,), rules=()
    ):
        self.name = name
        self.share = share
        self.argument = argument or (lambda rng: "-")
        self.state = state
        self.retries = retries
        self.timeout = timeout
        self.exit_codes = exit_codes
        self.rules = dict(rules)  # of jobs/policy
        self.is_told = name not in ("pardoned", "tolerated")  # by a line in the ledger, when it succeeds

    def attempts(self, job):
        """How many it has used in the end; None where that depends on what others do."""
        if self.name == "needy":
            return None
        if self.state == "dead" and self.name != "doomed":
            return job.max_retries + 1
        if self.name in ("flaky", "faltering"):
            return int(job.argument) + 1
        return 2 if self.name == "untidy" else 1


def seconds_between(low, high):
    return lambda rng: "%.3f" % rng.uniform(low, high)


def one_of(*values):
    return lambda rng: str(rng.choice(values))


ANY_CODE = None  # it is killed in the middle of something: no code is promised
KINDS = [
    Kind("instant", 300),
    Kind("short", 250, seconds_between(0.001, 0.02)),
    Kind("long", 55, seconds_between(1, 2)),
    Kind("reader", 30),
    Kind("talker", 50, one_of(1, 4096, 32768, 32769, 300000)),
    Kind("flood", 10, one_of(2500000, 6000000)),
    Kind("binary", 15),
    Kind(
        "signalled",
        25,
        one_of("HUP", "INT", "TERM", "USR1", "ALRM", "PIPE", "SEGV"),
        state="dead",
        retries=(0, 1),
        exit_codes=(129, 130, 143, 138, 142, 141, 139),
    ),
    Kind("flaky", 80, one_of(1, 2)),
    Kind("faltering", 40, one_of(1, 2)),
    Kind("exiting", 50, one_of(1, 7, 77, 120), state="dead", retries=(0, 1, 2), exit_codes=(1, 7, 77, 120)),
    Kind("suicide", 20, state="dead", retries=(0, 1), exit_codes=(137,)),
    Kind("assassin", 25),
    Kind("poison", 10, state="dead", retries=(0, 1), exit_codes=ANY_CODE),
    Kind("sleeper", 15, state="dead", retries=(0, 1), timeout=0.4, exit_codes=ANY_CODE),
    Kind("stubborn", 8, state="dead", retries=(0,), timeout=0.4, exit_codes=ANY_CODE),
    Kind("parent", 30, seconds_between(0.1, 1.5)),
    Kind("closing", 20, seconds_between(0.1, 1.5)),
    Kind("daemon", 20, seconds_between(0.1, 1.5)),
    Kind("untidy", 20, seconds_between(0.5, LATE_SECONDS)),
    Kind("snoozer", 30, one_of(1, 2)),
    Kind("deferring", 30, one_of(1, 2), rules={"later_codes": [75]}),
    Kind("doomed", 15, state="dead", exit_codes=(1,)),
    Kind("pardoned", 15, exit_codes=ANY_CODE),
    Kind("tolerated", 15, exit_codes=ANY_CODE, rules={"ok_codes": [24]}),
    Kind("needy", 100, retries=(0, 1)),  # what it needs is there now and then, and in the end
    Kind("missing", 8, state="dead", retries=(0, 1), exit_codes=ANY_CODE),
]
BINARY = b"\xff\xfe\x80\x1b[2J\n\xc3".hex().upper()
FORMS = ("text", "exec", "dollars", "sourced", "list", "shell list")
TAG = re.compile(r"\bj\d+\.\d+\.\d+\b")


class Job:
    """One job as it was asked for; ``batch`` knows what became of the asking."""

    def __init__(self, tag, kind, rng, script, batch):
        self.tag = tag
        self.kind = kind
        self.batch = batch
        self.argument = kind.argument(rng)
        self.max_retries = rng.choice(kind.retries)
        self.form = rng.choice(FORMS)
        self.priority = rng.choice((0, 0, 0, 1, -5))
        self.lock = rng.choice(("a", "b") + (None,) * 8)
        self.queue = rng.choice((NARROW,) + (None,) * 7)
        self.parent = rng.choice(batch.jobs) if batch.jobs and batch.names_ids and rng.random() < 0.25 else None
        self.wants = rng.choice(("after", "after_any"))  # of it
        self.command = self._command(script)

    def _command(self, script):
        words = [script, self.tag, self.kind.name, self.argument]
        if self.kind.name == "missing":
            return ["/nonexistent/program", self.tag]
        line = " ".join(shlex.quote(word) for word in words)
        return {
            "text": line,
            "exec": "exec " + line,
            "dollars": ": $$; " + line,
            "sourced": "set -- %s; . %s" % (" ".join(words[1:]), script),
            "list": words,
            "shell list": ["/bin/sh"] + words,
        }[self.form]

    def fields(self):
        """As a line of `enqueue -`."""
        fields = {"command": self.command, "max_retries": self.max_retries, "priority": self.priority}
        if self.kind.timeout:
            fields["timeout"] = self.kind.timeout
        if self.batch.names_ids:
            fields["id"] = self.tag
        fields.update(self.kind.rules)
        if self.parent:
            fields[self.wants] = [self.parent.tag]
        if self.lock:
            fields.update(lock=self.lock, env={"CHAOS_LOCK": self.lock})
        if self.queue:
            fields.update(queue=self.queue, env=dict(fields.get("env", {}), CHAOS_NARROW="1"))
        return fields

    def add_words(self):
        """As the arguments of `add`."""
        words = ["add", "--max-retries=%d" % self.max_retries, "--priority=%d" % self.priority]
        words += ["--timeout=%g" % self.kind.timeout] if self.kind.timeout else []
        for key, codes in self.kind.rules.items():
            words.append("--%s=%s" % (key.replace("_", "-"), ",".join(map(str, codes))))
        words += ["--id=" + self.tag] if self.batch.names_ids else []
        words += ["--lock=" + self.lock, "--env=CHAOS_LOCK=" + self.lock] if self.lock else []
        words += ["--queue=" + self.queue, "--env=CHAOS_NARROW=1"] if self.queue else []
        return words + (["--"] + self.command if isinstance(self.command, list) else [self.command])


class Batch:
    """Jobs of one call, and its fate: acknowledged, refused, or cut off (unknown)."""

    def __init__(self, names_ids):
        self.names_ids = names_ids
        self.jobs = []
        self.fate = "unknown"
        self.ids = []  # as acknowledged


# ---------------------------------------------------------------- processes


class Process:
    """A process, known by pid and start time."""

    def __init__(self, pid, parent, start):
        self.pid = pid
        self.parent = parent
        self.start = start

    def __eq__(self, other):
        return isinstance(other, Process) and (self.pid, self.start) == (other.pid, other.start)

    def __hash__(self):
        return hash((self.pid, self.start))


def boot_seconds():
    """The clock that the jobs read from /proc/uptime."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def find_process(pid):
    """The living process *pid*, or None (a zombie is dead)."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            words = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if words[0] in b"ZX" else Process(pid, int(words[1]), int(words[19]))


def all_processes():
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [process for process in map(find_process, pids) if process]


def read_proc(pid, name):
    try:
        with open("/proc/%d/%s" % (pid, name), "rb") as file:
            return file.read()
    except OSError:
        return b""


def carries(pid, cookie):
    return cookie in read_proc(pid, "environ").split(b"\0")


def is_stopped(pid):
    """True for a process that is paused: it notices nothing."""
    return read_proc(pid, "stat").rpartition(b")")[2].split()[:1] == [b"T"]


def limit_text(limit):
    """A limit as `ulimit` takes it."""
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)


def is_worker(pid):
    """True for what multiprocessing has spawned, which leaves out its resource tracker."""
    return b"spawn_main" in read_proc(pid, "cmdline")


def send(process, cookie, number):
    """Signal *process* if it is still that one and carries *cookie*; True if it was sent."""
    handle = -1
    try:
        if hasattr(os, "pidfd_open"):
            handle = os.pidfd_open(process.pid)  # pins the identity between the look and the signal
        if find_process(process.pid) != process or not carries(process.pid, cookie):
            return False
        if handle >= 0:
            signal.pidfd_send_signal(handle, number)
        else:
            os.kill(process.pid, number)
        return True
    except OSError:
        return False
    finally:
        if handle >= 0:
            os.close(handle)


# ---------------------------------------------------------------- arena


class Violation:
    """A broken promise: its sort, what it is about, and the evidence."""

    def __init__(self, sort, subject, text, evidence=()):
        self.sort = sort
        self.subject = subject
        self.text = text
        self.evidence = list(evidence)


class Call:
    """What one call of the command line printed and returned (killed: it was, by us)."""

    def __init__(self, code, stdout, stderr, killed):
        self.code = code
        self.stdout = stdout
        self.stderr = stderr
        self.killed = killed


class Arena:
    """One home, all that is done to it, and the books about it."""

    def __init__(self, name, folder, home, jobs, supervisors, workers, seed, disk=None):
        self.name = name
        self.folder = folder
        self.home = home
        self.jobs_wanted = jobs
        self.supervisors_wanted = supervisors
        self.workers_each = workers
        self.seed = seed
        self.disk = disk  # the mount point that is filled, or None
        self.database = os.path.join(home, "queuectl.db")
        self.ledger_path = os.path.join(folder, "ledger")
        self.log_path = os.path.join(folder, "log")
        self.script = os.path.join(folder, "job.sh")
        cookie = "CHAOS_RUN=%s" % os.urandom(8).hex()
        self.cookie = cookie.encode("ascii")
        self.environment = dict(
            os.environ,
            CHAOS_PROCESSES=limit_text(resource.getrlimit(resource.RLIMIT_NPROC)[1]),
            QUEUECTL_HOME=home,
            CHAOS_LEDGER=self.ledger_path,
            CHAOS_LOCKS=os.path.join(folder, "locks"),
            CHAOS_JOB=self.script,
            CHAOS_RUN=cookie.partition("=")[2],
            PYTHONPYCACHEPREFIX=os.path.join(folder, "compiled"),  # quick starts; the product's folder stays as it is
        )
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.over = threading.Event()
        self.guard = threading.Lock()
        self.batches = []
        self.supervisors = []  # Popen objects
        self.listed = []  # workers that `worker list` named last
        self.counts = collections.Counter()
        self.violations = []
        self.cancels_asked = set()
        self.cancels_acknowledged = set()
        self.requeues = collections.Counter()  # id -> how often it was acknowledged
        self.pruned = {}  # id -> Record as it was before a prune that was allowed to take it
        self.place = threading.Condition()  # of what follows
        self.users = 0  # calls that find the home by its path
        self.is_moved = False
        self.swept = set()  # names of workers whose life file was deleted
        self.no_kills = threading.Lock()  # held while who attends to whom must not change
        self.logs = []  # (read end of a pipe that nobody reads, supervisor)
        self.began = self.ends_at = 0.0

    def prepare(self):
        os.mkdir(self.home, 0o700)
        os.mkdir(os.path.join(self.folder, "locks"))
        with open(self.script, "w") as file:
            file.write(JOB_SCRIPT)
        os.chmod(self.script, 0o755)
        open(self.ledger_path, "w").close()
        for key, value in SETTINGS.items():
            self.call(["config", "set", key, str(value)])
        self.call(["initdb"])
        self.call(["queue", "set", NARROW, "--limit", "2"])
        self.call(["schedule", "set", SCHEDULE, "every 2s", "true", "--missed", "all:1000", "--overlap", "allow"])

    def rng(self, who):
        return random.Random("%s/%s/%s" % (self.seed, self.name, who))

    def count(self, what, number=1):
        with self.guard:
            self.counts[what] += number

    def accuse(self, sort, subject, text, evidence=()):
        with self.guard:
            self.violations.append(Violation(sort, "%s: %s" % (self.name, subject), text, evidence))

    # -------------------------------------------------------- calling

    @contextlib.contextmanager
    def in_place(self):
        """Wait until the home is where it belongs, and keep it there."""
        with self.place:
            self.place.wait_for(lambda: not self.is_moved)
            self.users += 1
        try:
            yield
        finally:
            with self.place:
                self.users -= 1
                self.place.notify_all()

    def call(self, words, stdin="", allowed=(0,), kill_after=None):
        """Run the command line; accuse it where it hangs, crashes or exits as it never should."""
        with self.in_place():
            return self.call_in_place(words, stdin, allowed, kill_after)

    def call_in_place(self, words, stdin="", allowed=(0,), kill_after=None):
        """The same for one who keeps the home in its place."""
        child = subprocess.Popen(
            QUEUECTL + words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            env=self.environment,
        )
        killed = False
        try:
            stdout, stderr = child.communicate(stdin, timeout=kill_after or CALL_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()  # our child, not waited for yet: nobody else has its pid
            killed = True
            stdout, stderr = child.communicate()
        result = Call(child.returncode, stdout, stderr, killed)
        self._judge_call(words, result, allowed + ((3,) if self.disk else ()), kill_after)
        return result

    def _judge_call(self, words, result, allowed, kill_after):
        name = " ".join(words[:4])
        if "Traceback" in result.stderr:
            self.accuse("crash", name, "a traceback instead of a message", result.stderr.splitlines()[-12:])
        elif result.killed and not kill_after:
            self.accuse("hung", name, "did not return within %d seconds" % CALL_SECONDS)
        elif not result.killed and result.code not in allowed:
            self.accuse("exit code", name, "exit code %d" % result.code, [result.stdout[-500:], result.stderr[-500:]])

    def connect(self):
        """A connection that changes nothing by itself, not even the WAL."""
        connection = sqlite3.connect("file:%s?mode=rw" % self.database, uri=True, timeout=20, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        return contextlib.closing(connection)

    def open_jobs(self):
        """How many jobs wait or run (as if many, where the database does not answer)."""
        try:
            with self.connect() as connection:
                states = dict(map(tuple, connection.execute("SELECT state, count(*) FROM jobs GROUP BY state")))
        except sqlite3.Error:
            return OPEN_JOBS
        return sum(states.get(state, 0) for state in ("pending", "failed", "processing"))

    # -------------------------------------------------------- supervisors

    def start_supervisor(self, *words):
        with self.in_place(), open(self.log_path, "ab") as log:
            child = self.popen_supervisor(words, log)
        self.count("supervisors started")
        return child

    def start_unread_supervisor(self, *words):
        """The same with a log that is full after a few lines, and that nobody reads while it lives."""
        reader, writer = os.pipe()
        fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
        try:
            with self.in_place():
                child = self.popen_supervisor(words, writer)
        finally:
            os.close(writer)
        with self.guard:
            self.logs.append((reader, child))
        self.count("logs that nobody reads")
        return child

    def popen_supervisor(self, words, log):
        return subprocess.Popen(
            QUEUECTL + ["worker", "start"] + list(words),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=self.environment,
        )

    def read_unread_logs(self):
        """What supervisors that are gone have left unread, added to the log. (Their workers may still write.)"""
        with self.guard:
            ended = [(reader, child) for reader, child in self.logs if child.poll() is not None]
            self.logs = [pair for pair in self.logs if pair not in ended]
        for reader, _ in ended:
            os.set_blocking(reader, False)
            with contextlib.suppress(OSError), open(self.log_path, "ab") as log:
                log.write(os.read(reader, 65536))
            os.close(reader)

    def living_supervisors(self):
        with self.guard:
            children = [child for child in self.supervisors if child.poll() is None]
        return [process for process in (find_process(child.pid) for child in children) if process]

    def living_workers(self):
        """Children of our supervisors, and workers that were listed and have outlived theirs."""
        supervisors = {process.pid for process in self.living_supervisors()}
        found = {p for p in all_processes() if p.parent in supervisors and is_worker(p.pid)}
        found.update(process for process in self.listed if find_process(process.pid) == process)
        return sorted(found, key=lambda process: (process.start, process.pid))

    def settled_workers(self):
        """The workers that have begun to work: they have written their life files."""
        pids = self.pids_of_life_files()
        return [worker for worker in self.living_workers() if worker.pid in pids]

    def pids_of_life_files(self):
        pids = set()
        for path in self.life_files():
            with contextlib.suppress(OSError, ValueError), open(path) as file:
                pids.add(json.loads(file.read() or "{}").get("pid"))
        return pids

    def life_files(self):
        folder = os.path.join(self.database + ".d", "workers")
        with contextlib.suppress(OSError):  # the home is elsewhere for a moment
            return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".life"))
        return []

    def list_workers(self):
        """Ask `worker list --json`, and pin each pid to its start time."""
        result = self.call(["worker", "list", "--json"])
        if result.code == 0:
            pids = [member["pid"] for member in json.loads(result.stdout) if member["kind"] == "worker"]
            found = [process for process in map(find_process, pids) if process]
            self.listed = [process for process in found if carries(process.pid, self.cookie)]

    def signal(self, process, number, what):
        if send(process, self.cookie, number):
            self.count(what)
            return True
        return False

    def carriers(self):
        """Every living process of this arena."""
        return [process for process in all_processes() if carries(process.pid, self.cookie)]

    def kill_everything(self):
        """The end of the run, or of the world: nothing of the arena survives."""
        for _ in range(50):
            found = self.carriers()
            if not found:
                break
            for process in found:
                send(process, self.cookie, signal.SIGKILL)
            time.sleep(0.02)
        for child in self.supervisors:
            child.wait()


# ---------------------------------------------------------------- agents


class Agent(threading.Thread):
    """Acts again and again, after random pauses, until the arena is over."""

    pauses = (0.1, 0.2)

    def __init__(self, arena, number=0):
        self.role = "%s %d" % (type(self).__name__, number)
        threading.Thread.__init__(self, name="%s of %s" % (self.role, arena.name), daemon=True)
        self.arena = arena
        self.number = number
        self.rng = arena.rng(self.role)
        self.error = ""

    def run(self):
        try:
            while not self.arena.over.wait(self.rng.uniform(*self.pauses)):
                self.act()
            self.finish()
        except Exception:
            self.error = traceback.format_exc()

    def act(self):
        raise NotImplementedError

    def finish(self):
        """Undo what must not outlast the chaos."""

    def choose(self, weighted):
        """Call one of the functions, each as likely as its weight."""
        functions = list(weighted)
        self.rng.choices(functions, [weighted[function] for function in functions])[0]()


class Landlord(Agent):
    """Starts supervisors where some are missing, not always at once; keeps the list of workers fresh."""

    pauses = (0.05, 0.1)
    restart_at = 0.0
    list_at = 0.0

    def act(self):
        arena, now = self.arena, time.monotonic()
        with arena.guard:
            arena.supervisors = [child for child in arena.supervisors if child.poll() is None]
            missing = arena.supervisors_wanted - len(arena.supervisors)
        if missing and not self.restart_at:
            self.restart_at = now + self.rng.choice((0, 0, 0.2, 0.8))
        elif missing and now >= self.restart_at:
            start = arena.start_unread_supervisor if self.rng.random() < 0.2 else arena.start_supervisor
            jobs = arena.workers_each * self.rng.choice((1, 1, 2, 5))  # on so many workers: several at once in each
            child = start("-n", str(jobs), "--processes", str(arena.workers_each))
            with arena.guard:
                arena.supervisors.append(child)
            self.restart_at = 0.0
        if now >= self.list_at:
            arena.read_unread_logs()
            arena.list_workers()
            self.list_at = time.monotonic() + 3


class Enqueuer(Agent):
    """Submits batches at an even pace, waits while much is open, and is killed in the middle of some."""

    pauses = (0.02, 0.3)
    batches = 0

    def act(self):
        arena = self.arena
        passed = (time.monotonic() - arena.began) / (arena.ends_at - arena.began - 8)
        with arena.guard:
            submitted = sum(len(batch.jobs) for batch in arena.batches)
        if passed > 1 or submitted >= arena.jobs_wanted * min(1, passed + 0.1) or arena.open_jobs() >= OPEN_JOBS:
            return
        if self.rng.random() < 0.3:
            self.submit(self.new_batch(1), with_add=True)
        else:
            self.submit(self.new_batch(self.rng.choice((1, 2, 5, 10, 20, 40, 80))), with_add=False)

    def new_batch(self, size):
        self.batches += 1
        batch = Batch(names_ids=self.rng.random() < 0.6)
        kinds = self.rng.choices(KINDS, [kind.share for kind in KINDS], k=size)
        for index, kind in enumerate(kinds):
            tag = "j%d.%d.%d" % (self.number, self.batches, index)
            batch.jobs.append(Job(tag, kind, self.rng, self.arena.script, batch))
        return batch

    def submit(self, batch, with_add):
        arena = self.arena
        with arena.guard:
            arena.batches.append(batch)
        words, text = (batch.jobs[0].add_words(), "") if with_add else (["enqueue", "-"], self.json_of(batch))
        kill_after = self.rng.uniform(0.03, 0.4) if self.rng.random() < 0.2 else None
        result = arena.call(words, text, kill_after=kill_after)
        batch.ids = result.stdout.split("\n")[:-1]
        if batch.ids or result.code == 0:
            batch.fate = "acknowledged"
        elif not result.killed:
            batch.fate = "refused"
        arena.count("enqueuers killed", int(result.killed))
        if not result.killed and result.code == 0 and len(batch.ids) != len(batch.jobs):
            arena.accuse("exit code", words[0], "%d ids printed for %d jobs" % (len(batch.ids), len(batch.jobs)))

    def json_of(self, batch):
        values = [job.fields() for job in batch.jobs]
        if self.rng.random() < 0.3:
            return json.dumps(values)
        return "".join(json.dumps(value) + "\n" for value in values)


class Killer(Agent):
    """SIGKILL and SIGSTOP, at any instruction."""

    def __init__(self, arena, number=0):
        Agent.__init__(self, arena, number)
        self.pauses = (0.02, 0.15) if not arena.disk else (0.3, 1.2)
        self.paused = []  # (when to go on, process)

    def act(self):
        self.let_go_on()
        with self.arena.no_kills:
            self.strike()

    def strike(self):
        self.choose(
            {
                self.kill_worker: 70,
                self.kill_supervisor: 4,
                self.kill_supervisor_and_workers: 3,
                self.pause_worker: 12,
                self.pause_supervisor: 1,
            }
        )

    def victim(self):
        """A worker, or None; rarely one that is still starting (those alone would end their supervisor).

        On a busy host most are starting most of the time: a few live on, or nothing would get done.
        """
        workers = self.arena.settled_workers()
        enough = self.arena.workers_each * self.arena.supervisors_wanted * 0.4
        if self.rng.random() < 0.05:
            workers = self.arena.living_workers()
        return self.rng.choice(workers) if len(workers) > enough else None

    def kill_worker(self):
        worker = self.victim()
        if worker:
            self.arena.signal(worker, signal.SIGKILL, "workers killed")

    def kill_supervisor(self):
        supervisors = self.arena.living_supervisors()
        if supervisors:
            self.arena.signal(self.rng.choice(supervisors), signal.SIGKILL, "supervisors killed")

    def kill_supervisor_and_workers(self):
        supervisors = self.arena.living_supervisors()
        if not supervisors:
            return
        supervisor = self.rng.choice(supervisors)
        workers = [worker for worker in self.arena.living_workers() if worker.parent == supervisor.pid]
        if self.arena.signal(supervisor, signal.SIGKILL, "supervisors killed"):
            self.arena.count("supervisors killed with all their workers")
        for worker in workers:
            self.arena.signal(worker, signal.SIGKILL, "workers killed")

    def pause_worker(self):
        self.pause(self.victim(), "workers paused")

    def pause_supervisor(self):
        supervisors = self.arena.living_supervisors()
        self.pause(self.rng.choice(supervisors) if supervisors else None, "supervisors paused")

    def pause(self, process, what):
        if process and self.arena.signal(process, signal.SIGSTOP, what):
            self.paused.append((time.monotonic() + self.rng.uniform(0.1, 2.5), process))

    def let_go_on(self, all_of_them=False):
        for when, process in self.paused[:]:
            if all_of_them or time.monotonic() >= when:
                send(process, self.arena.cookie, signal.SIGCONT)
                self.paused.remove((when, process))

    def finish(self):
        self.let_go_on(all_of_them=True)


class Executioner(Agent):
    """Reads the ledger, and kills the worker of the job that asks for it."""

    pauses = (0.03, 0.06)
    offset = 0

    def act(self):
        with open(self.arena.ledger_path) as ledger:
            ledger.seek(self.offset)
            text = ledger.read()
        text = text[: text.rfind("\n") + 1]
        self.offset += len(text)  # ASCII only
        for line in text.splitlines():
            if line.startswith("kill-worker "):
                self.execute_worker_of(int(line.split()[6]))

    def execute_worker_of(self, watcher_pid):
        watcher = find_process(watcher_pid)
        if watcher and carries(watcher_pid, self.arena.cookie):
            worker = find_process(watcher.parent)
            if worker and is_worker(worker.pid):
                self.arena.signal(worker, signal.SIGKILL, "workers killed for a job")


class Stopper(Agent):
    """Every way of asking politely."""

    pauses = (1.5, 4.0)

    def act(self):
        self.choose(
            {
                self.signal_one: 5,
                self.signal_one_worker: 2,
                lambda: self.stop("worker stop"): 1,
                lambda: self.stop("worker stop --timeout", "--timeout", "0.5"): 1,
                lambda: self.stop("worker stop --now", "--now"): 2,
                lambda: self.stop("worker stop --leave-running", "--leave-running"): 2,
                self.terminate_everything: 2,
            }
        )

    def stop(self, what, *words):
        self.arena.call(["worker", "stop"] + list(words))
        self.arena.count(what)

    def signal_one(self):
        """Once to stop; twice to stop now."""
        supervisors = self.arena.living_supervisors()
        if supervisors:
            number = self.rng.choice((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
            supervisor = self.rng.choice(supervisors)
            self.arena.signal(supervisor, number, "stop signals")
            if self.rng.random() < 0.5:
                time.sleep(self.rng.uniform(0, 0.4))
                self.arena.signal(supervisor, number, "stop signals")

    def signal_one_worker(self):
        workers = self.arena.living_workers()
        if workers:
            self.arena.signal(self.rng.choice(workers), signal.SIGTERM, "workers signalled to stop")

    def terminate_everything(self):
        """TERM to supervisors, workers, watchers and jobs in one moment, as when the host goes down.

        Not to jobs that nobody attends to: no supervisor of theirs is told to stop, or one that is paused and notes
        nothing. Nor while the home is elsewhere: then the stop cannot be noted in it (docs/promises.md, 8).
        """
        arena = self.arena
        with arena.in_place(), arena.no_kills:
            supervisors = [one for one in arena.living_supervisors() if not is_stopped(one.pid)]
            workers = arena.living_workers()
            attended = {worker.pid for worker in workers if worker.parent in {one.pid for one in supervisors}}
            table = all_processes()
            tokens = {token_of(process.pid) for process in table if process.parent in attended} - {b""}
            jobs = [process for process in table if token_of(process.pid) in tokens]
            everybody = supervisors + [worker for worker in workers if worker.pid in attended] + jobs
            self.rng.shuffle(everybody)
            for process in everybody:
                arena.signal(process, signal.SIGTERM, "terminated with everything")
            arena.over.wait(1)
        arena.count("times that everything was terminated")


def token_of(pid):
    """What a process carries of the attempt that it belongs to, b"" for none."""
    for variable in read_proc(pid, "environ").split(b"\0"):
        if variable.startswith(b"QUEUECTL_TOKEN="):
            return variable
    return b""


class Copier(Agent):
    """Copies the home while everything runs, and lets the copy work: nothing of the original may notice.

    What the copy runs keeps its books elsewhere, under a cookie of its own.
    """

    pauses = (5.0, 10.0)
    copies = 0

    def act(self):
        self.copies += 1
        place = os.path.join(self.arena.folder, "copy%d" % self.copies)
        os.mkdir(place)
        copy = Arena("copy", place, os.path.join(place, "home"), 0, 1, 2, self.arena.seed)
        os.mkdir(os.path.join(place, "locks"))
        open(copy.ledger_path, "w").close()
        copy.script = copy.environment["CHAOS_JOB"] = self.arena.script
        if self.copy_home(copy):
            self.let_work(copy)
            self.arena.count("copies that worked")
        with self.arena.guard:
            self.arena.violations += copy.violations
        shutil.rmtree(place, ignore_errors=True)

    def copy_home(self, copy):
        """False where that is not to be had; the lock of the database is held, for else no copy is whole."""
        try:
            with self.arena.in_place(), self.arena.connect() as connection:
                connection.execute("BEGIN IMMEDIATE")
                subprocess.check_call(["cp", "-a", self.arena.home, copy.home], stderr=subprocess.DEVNULL)
                connection.execute("ROLLBACK")
            return True
        except (sqlite3.Error, subprocess.CalledProcessError):  # files come and go meanwhile
            return False

    def let_work(self, copy):
        try:
            child = copy.start_supervisor("-n", "2", "--drain", "--max-time", "%ds" % COPY_SECONDS)
            copy.supervisors.append(child)
            self.arena.over.wait(COPY_SECONDS)
            copy.call(["worker", "stop", "--now"])
            if child.wait(CALL_SECONDS):
                copy.accuse("exit code", "a copy", "exit code %d" % child.returncode, read_log(copy)[-8:])
            copy.call(["list", "--json"])
            copy.call(["status"])
            with copy.connect() as connection:
                found = connection.execute("PRAGMA integrity_check").fetchall()[0][0]
            if found != "ok":
                copy.accuse("damaged", "a copy", "integrity_check says %s" % found)
        finally:
            copy.kill_everything()


class Mover(Agent):
    """Renames the home and, a little later, back. Jobs go on; whoever serves it notices or lets go."""

    pauses = (4.0, 9.0)

    def act(self):
        arena, elsewhere = self.arena, self.arena.home + ".elsewhere"
        if not self.take_place():
            return
        try:
            os.rename(arena.home, elsewhere)
            seconds = self.rng.choice((0.05, 0.5, 2.0, NOTICED_SECONDS + 1))
            before = arena.living_supervisors()
            arena.over.wait(seconds)
            if seconds > NOTICED_SECONDS and not arena.over.is_set():
                self.judge(before)
            self.put_back(elsewhere)
        finally:
            with arena.place:
                arena.is_moved = False
                arena.place.notify_all()
        arena.count("times the home was elsewhere")

    def take_place(self):
        """Have nobody call until it is back; False where somebody does for too long."""
        arena = self.arena
        with arena.place:
            arena.is_moved = True
            if arena.place.wait_for(lambda: not arena.users, 3):
                return True
            arena.is_moved = False
            arena.place.notify_all()
            return False

    def judge(self, before):
        for supervisor in before:
            if find_process(supervisor.pid) == supervisor and not is_stopped(supervisor.pid):
                workers = [worker for worker in self.arena.living_workers() if worker.parent == supervisor.pid]
                if not any(is_stopped(worker.pid) for worker in workers):
                    text = "still there %.1f s after its home was moved" % (NOTICED_SECONDS + 1)
                    self.arena.accuse("stayed", "supervisor %d" % supervisor.pid, text)

    def put_back(self, elsewhere):
        """A supervisor that was only starting may have made a home of its own, which nobody has put a job into."""
        for number in range(50):
            try:
                os.rename(elsewhere, self.arena.home)
                return
            except OSError:
                for process in self.arena.living_supervisors() + self.arena.living_workers():
                    self.arena.signal(process, signal.SIGKILL, "supervisors and workers of a newcomer killed")
                with contextlib.suppress(OSError):
                    os.rename(self.arena.home, "%s.newcomer%d.%d" % (self.arena.home, int(time.time()), number))
                time.sleep(0.1)
        raise OSError("the home cannot be put back")


class Sweeper(Agent):
    """Deletes life files. Whoever lives makes his anew, and nobody is taken for dead."""

    pauses = (3.0, 7.0)

    def act(self):
        arena = self.arena
        paths = arena.life_files()
        supervisors = arena.living_supervisors()
        visible = arena.pids_of_life_files()
        for path in paths if self.rng.random() < 0.5 else paths[: self.rng.randint(0, len(paths))]:
            with contextlib.suppress(OSError):
                os.unlink(path)
                arena.swept.add(os.path.basename(path)[: -len(".life")])
        arena.count("times that life files were swept away")
        arena.over.wait(NOTICED_SECONDS)
        with arena.place:
            if arena.over.is_set() or arena.is_moved:
                return
            seen = arena.pids_of_life_files()
        for one in supervisors:
            was_there = one.pid in visible and find_process(one.pid) == one and not is_stopped(one.pid)
            if was_there and one.pid not in seen and not self.lives_longer(one):
                text = "no life file %.1f s after it was swept away" % NOTICED_SECONDS
                arena.accuse("invisible", "supervisor %d" % one.pid, text)

    def lives_longer(self, supervisor):
        """True where it is not gone or seen a little later: it was leaving, or had just been paused or moved."""
        time.sleep(2.5)
        return find_process(supervisor.pid) != supervisor or supervisor.pid in self.arena.pids_of_life_files()


class Miser(Agent):
    """Lowers the process limit of supervisors and workers below what runs, and raises it again."""

    pauses = (2.0, 6.0)

    def act(self):
        members = self.arena.living_supervisors() + self.arena.living_workers()
        high = {process: self.limit_of(process.pid) for process in members}
        try:
            for process, limits in high.items():
                if limits:
                    self.set_limit(process.pid, (self.rng.choice((1, 1, 3)), limits[1]))
            self.arena.over.wait(self.rng.uniform(0.3, 2))
        finally:
            for process in self.arena.living_supervisors() + self.arena.living_workers():
                limits = self.limit_of(process.pid)
                if limits:
                    self.set_limit(process.pid, (limits[1], limits[1]))
        self.arena.count("times the process limit was lowered")

    @staticmethod
    def limit_of(pid):
        with contextlib.suppress(OSError):
            return resource.prlimit(pid, resource.RLIMIT_NPROC)
        return None

    @staticmethod
    def set_limit(pid, limits):
        with contextlib.suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_NPROC, limits)


class Meddler(Agent):
    """Cancels, requeues, prunes, looks, and holds the database's lock from outside.

    One thread, so that of a cancel and a requeue it is known which came last.
    """

    pauses = (0.2, 1.5)
    unseen = ()  # canaries that were waited for in vain: the others may follow one of them at any time

    def act(self):
        self.choose(
            {
                self.cancel: 10,
                self.requeue: 5,
                self.prune: 2,
                self.look: 2,
                self.hold_lock: 2,
                self.hold: 5,
                self.pause: 2,
                self.canary: 8,
            }
        )

    def hold(self):
        """Some for a moment; what has begun or ended meanwhile refuses all of them."""
        ids = self.rng.sample(self.recent_ids(), min(self.rng.randint(1, 3), len(self.recent_ids())))
        if ids and self.arena.call(["hold"] + ids, allowed=(0, 1)).code == 0:
            self.arena.count("jobs held", len(ids))
            self.arena.over.wait(self.rng.choice((0.1, 0.5, 2)))
            self.arena.call(["release"] + ids, allowed=(0, 1))

    def pause(self):
        name = self.rng.choice((NARROW, "default"))
        if self.arena.call(["pause", name]).code == 0:
            self.arena.count("queues paused")
            self.arena.over.wait(self.rng.choice((0.1, 0.5, 1)))
        self.arena.call(["resume"])

    def cancel(self):
        ids = self.rng.sample(self.recent_ids(), min(self.rng.randint(1, 3), len(self.recent_ids())))
        if not ids:
            return
        arena = self.arena
        with arena.guard:
            arena.cancels_asked.update(ids)
        result = arena.call(["cancel"] + ids, allowed=(0, 1))
        if result.code == 0:
            too_late = {identifier for identifier in ids if "job %s was " % identifier in result.stdout + result.stderr}
            with arena.guard:
                arena.cancels_acknowledged.update(set(ids) - too_late)
                arena.counts["jobs cancelled"] += len(ids) - len(too_late)

    def requeue(self):
        """All of them go back or none; a dead one may go by another name for it."""
        try:
            with self.arena.connect() as connection:
                rows = connection.execute("SELECT id, state FROM jobs WHERE state IN ('dead', 'cancelled')").fetchall()
        except sqlite3.Error:
            return
        chosen = self.rng.sample(rows, min(len(rows), self.rng.randint(1, 3)))
        if not chosen:
            return
        ids, arena = [row["id"] for row in chosen], self.arena
        dead = all(row["state"] == "dead" for row in chosen)
        verb = ["dlq", "retry"] if dead and self.rng.random() < 0.5 else ["requeue"]
        if arena.call(verb + ids, allowed=(0, 1)).code == 0:
            with arena.guard:
                arena.requeues.update(ids)
                arena.cancels_acknowledged.difference_update(ids)
                arena.counts["jobs requeued"] += len(ids)

    def canary(self):
        """One job of those that need what is not there goes first: the others follow it, or stay where they are."""
        arena = self.arena
        found = arena.call(["dlq", "groups", "--json"]).stdout
        groups = [group for group in json.loads(found or "[]") if "cannot connect to the database" in group["text"]]
        if not groups:
            return
        mend(arena, self.rng.random() < 0.4)
        before = dead_runs(arena)
        told = arena.call(["dlq", "retry", "--group", groups[0]["group"], "--canary"], allowed=(0, 1))
        if told.code == 0 and before:
            arena.count("canaries")
            self.watch((told.stdout + told.stderr).split()[0], before)
        mend(arena, self.rng.random() < 0.3)

    def watch(self, canary, before):
        """Wait for its end: where it fails, nothing else of its group has run."""
        arena, deadline = self.arena, time.monotonic() + 4
        while time.monotonic() < deadline and not arena.over.is_set():
            after = dead_runs(arena)
            if after.get(canary, 0) > before.get(canary, 0):  # dead again, after one more run
                arena.count("canaries that failed")
                ran = [one for one in set(before) & set(after) - {canary} if after[one] > before[one]]
                for identifier in ran if set(self.unseen) <= set(after) else ():
                    arena.accuse("released", identifier, "it ran, though its canary %s failed" % canary)
                return
            arena.over.wait(0.1)
        self.unseen += (canary,)

    def recent_ids(self):
        with self.arena.guard:
            ids = [identifier for batch in self.arena.batches[-8:] for identifier in batch.ids]
        return ids[-60:]

    def prune(self):
        """The records are copied first: what is old enough to go was final by then."""
        arena = self.arena
        with arena.in_place():  # all of it: a call that has to wait for the home would prune what has ended since
            try:
                records = read_records(arena)
            except sqlite3.Error:
                return
            arena.call_in_place(["prune", "--older-than", "%ds" % PRUNE_AGE])
        for record in records:
            if record.state in ("completed", "cancelled"):
                arena.pruned[record.id] = record
        self.arena.count("prunes")

    def look(self):
        self.arena.call(self.rng.choice(("list --json", "status --json", "dlq list", "worker list")).split())

    def hold_lock(self):
        try:
            with self.arena.connect() as connection:
                connection.execute("BEGIN IMMEDIATE")
                self.arena.over.wait(self.rng.choice((0.3, 1, 2, 4)))
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            return  # a full disk refuses us too
        self.arena.count("locks held")


class Filler(Agent):
    """Fills the disk to the last byte, and frees it a little later."""

    pauses = (2.0, 5.0)

    def act(self):
        path = os.path.join(self.arena.disk, "filler")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            until = time.monotonic() + self.rng.uniform(0.5, 3)
            while time.monotonic() < until and not self.arena.over.is_set():
                self.fill(fd)
                time.sleep(0.05)  # others may have freed a little meanwhile
        finally:
            os.close(fd)
            os.unlink(path)
        self.arena.count("disk full")

    @staticmethod
    def fill(fd):
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(fd, b"\0" * size)


def mend(arena, wanted):
    """What needy jobs need is there, or is not."""
    path = os.path.join(arena.folder, "locks", "mended")
    if wanted:
        open(path, "w").close()
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


NEEDY = "state = 'dead' AND command LIKE '%needy%'"


def dead_runs(arena):
    """How often each of the needy that are dead has run, by id; nothing where the database does not answer."""
    try:
        with arena.connect() as connection:
            return dict(map(tuple, connection.execute("SELECT id, runs FROM jobs WHERE %s" % NEEDY)))
    except sqlite3.Error:
        return {}


# ---------------------------------------------------------------- the accounts


class Entry:
    """One line of the ledger."""

    def __init__(self, number, line):
        words = line.split()
        self.number = number
        self.line = line
        self.event, self.id, attempt, self.token, when, self.tag = words[:6]
        self.attempt = int(attempt)
        self.when = float(when)


class Record:
    """A job as the database has it, with its attempts."""

    def __init__(self, row, attempts):
        self.row = dict(row)
        self.attempts = attempts
        self.id = row["id"]
        self.state = row["state"]
        found = TAG.search(row["command"])
        self.tag = found.group() if found else ""

    def outcomes(self, *names):
        return [attempt for attempt in self.attempts if attempt["outcome"] in names]


def read_ledger(arena):
    with open(arena.ledger_path) as file:
        return [Entry(number, line) for number, line in enumerate(file.read().splitlines(), 1)]


def read_records(arena):
    with arena.connect() as connection:
        connection.execute("BEGIN")
        attempts = collections.defaultdict(list)
        for row in connection.execute(
            "SELECT job, number, outcome, started_at, finished_at, exit_code, signal, error, worker, token, leftovers,"
            " stdout_bytes, stderr_bytes, CASE WHEN stdout_bytes < 16 THEN hex(stdout) END AS content"
            " FROM attempts ORDER BY job, number"
        ):
            attempts[row["job"]].append(dict(row))
        return [Record(row, attempts[row["seq"]]) for row in connection.execute("SELECT * FROM jobs ORDER BY seq")]


def read_log(arena):
    with open(arena.log_path, errors="replace") as file:
        return file.read().splitlines()


def boot_time_of(text, offset):
    """A time of the database on the clock of the ledger."""
    return second_of(text) + float("0" + text[19:26]) - offset


def second_of(text):
    return calendar.timegm(datetime.datetime.fromisoformat(text[:19]).timetuple())


class Audit:
    """Compares what was asked for, what the ledger saw, and what the database says."""

    def __init__(self, arena):
        self.arena = arena
        self.entries = read_ledger(arena)
        self.records = read_records(arena)
        self.log = read_log(arena)
        self.clock_offset = time.time() - boot_seconds()
        self.jobs = {job.tag: job for batch in arena.batches for job in batch.jobs}
        self.by_tag = collections.defaultdict(list)
        present = {record.id for record in self.records}
        pruned = [record for identifier, record in arena.pruned.items() if identifier not in present]
        self.scheduled = [record for record in self.records + pruned if record.row["schedule"]]
        for record in self.records + pruned:
            if not record.row["schedule"]:
                self.by_tag[record.tag].append(record)
        self.lines = collections.defaultdict(list)
        for entry in self.entries:
            self.lines[entry.tag].append(entry)

    def run(self):
        self.check_database()
        self.check_phantoms()
        self.check_slots()
        for batch in self.arena.batches:
            self.check_batch(batch)
        for tag, job in self.jobs.items():
            for record in self.by_tag.get(tag, [])[:1]:
                self.check_job(job, record, self.lines[tag])
        self.check_listing()
        self.check_files()
        self.check_log()

    def accuse(self, sort, tag, text):
        self.arena.accuse(sort, tag, text, self.evidence(tag))

    def evidence(self, tag):
        """All that is known about one job."""
        lines = []
        job = self.jobs.get(tag)
        if job:
            lines.append(
                "asked    %s, argument %s, %s, retries %d, batch of %d %s"
                % (job.kind.name, job.argument, job.form, job.max_retries, len(job.batch.jobs), job.batch.fate)
            )
        ids = set()
        for record in self.by_tag.get(tag, []):
            ids.add(record.id)
            lines.append("job      " + some_fields(record.row))
            lines += ["attempt  " + some_fields(attempt) for attempt in record.attempts]
        lines += ["ledger   %d: %s" % (entry.number, entry.line) for entry in self.lines.get(tag, [])]
        mentions = [line for line in self.log if any(identifier in line for identifier in ids | {tag})]
        return lines + ["log      " + line for line in mentions[-24:]]

    # -------------------------------------------------------- the database as a whole

    def check_database(self):
        with self.arena.connect() as connection:
            found = connection.execute("PRAGMA integrity_check").fetchall()[0][0]
            if found != "ok":
                self.arena.accuse("damaged", "database", "integrity_check says %s" % found)
            counted = dict(map(tuple, connection.execute("SELECT state, count(*) FROM jobs GROUP BY state")))
            kept = dict(map(tuple, connection.execute("SELECT state, jobs FROM counts WHERE jobs")))
            if counted != kept:
                self.arena.accuse("damaged", "counts", "%s are counted, %s is kept" % (counted, kept))

    def check_listing(self):
        result = self.arena.call(["list", "--limit", "1000000", "--json"])
        listed = {job["id"]: job["state"] for job in json.loads(result.stdout or "[]")}
        stored = {record.id: record.state for record in self.records}
        for identifier in sorted(set(listed.items()) ^ set(stored.items()))[:5]:
            self.arena.accuse("wrong result", "list", "list and database differ in %s" % (identifier,))

    def check_phantoms(self):
        for tag, records in self.by_tag.items():
            if tag not in self.jobs:
                self.accuse("phantom", tag, "in the database, but nobody has asked for it")
            elif len(records) > 1:
                self.accuse("phantom", tag, "asked for once, in the database %d times" % len(records))
        for tag in self.lines:
            if tag not in self.by_tag:
                self.accuse("invented", tag, "it ran, but the database does not know it")

    def check_slots(self):
        """Each slot of the schedule has made one job, and none was left out; but some may have been pruned by hand."""
        found = sorted(second_of(one.row["slot"]) for one in self.scheduled)
        with self.arena.connect() as connection:
            (row,) = connection.execute("SELECT made, skipped, anchor, last_slot FROM schedules").fetchall()
        begin, end = second_of(row["anchor"]), second_of(row["last_slot"] or row["anchor"])
        expected = list(range(begin + SCHEDULE_SECONDS, end + 1, SCHEDULE_SECONDS))
        self.arena.count("slots", len(expected))
        for slot in sorted(set(expected) ^ set(found)) + [one for one in set(found) if found.count(one) > 1]:
            text = "%d jobs of the slot at %d" % (found.count(slot), slot - begin)
            self.arena.accuse("lost" if slot not in found else "phantom", SCHEDULE, text)
        if (row["made"], row["skipped"]) != (len(expected), 0):
            self.arena.accuse("wrong result", SCHEDULE, "%s of %d" % (dict(row), len(expected)))
        for record in self.scheduled:
            if record.state not in ("completed", "dead"):
                self.arena.accuse("lost", SCHEDULE, "%s is %s" % (record.id, record.state))

    def check_batch(self, batch):
        present = [job for job in batch.jobs if self.by_tag.get(job.tag)]
        if batch.fate == "acknowledged":
            for job in batch.jobs:
                if job not in present:
                    self.accuse("lost", job.tag, "acknowledged, but not in the database (and not pruned)")
            for job, identifier in zip(batch.jobs, batch.ids):
                if job in present and self.by_tag[job.tag][0].id != identifier:
                    self.accuse("lost", job.tag, "acknowledged as %s" % identifier)
        elif batch.fate == "refused" and present:
            self.accuse("phantom", present[0].tag, "the call failed, but its jobs are there")
        elif present and len(present) < len(batch.jobs):
            missing = [job.tag for job in batch.jobs if job not in present]
            self.accuse("phantom", present[0].tag, "half a batch: %s missing" % ", ".join(missing[:10]))

    # -------------------------------------------------------- one job

    def check_job(self, job, record, entries):
        starts = [entry for entry in entries if entry.event == "start"]
        self.check_state(job, record, starts)
        self.check_overlap(job, entries)
        self.check_numbers(job, record, starts)
        self.check_successes(job, record, entries)
        self.check_rest_in_peace(job, record, starts)
        self.check_parent(job, record, starts)

    def fell_with_its_parent(self, job, record):
        """True where the queue has cancelled it, for what it comes after cannot complete, or could not at that time."""
        parents = self.by_tag.get(job.parent.tag, []) if job.parent else []
        if not (record.row["reason"] and parents):
            return False
        was_sent_back = self.arena.requeues[parents[0].id] or job.parent.kind.name == "needy"
        return bool(was_sent_back or parents[0].state in ("dead", "cancelled"))

    def check_parent(self, job, record, starts):
        """It begins when its parent has ended, and as it wants."""
        parents = self.by_tag.get(job.parent.tag, []) if job.parent else []
        if not (parents and starts):
            return
        (parent,) = parents[:1]
        self.arena.count("children that ran")
        if job.wants == "after" and parent.state != "completed":
            self.accuse("too early", job.tag, "it ran, but its parent is %s" % parent.state)
            return
        may_have_ended_twice = self.arena.requeues[parent.id] or job.parent.parent or job.parent.kind.name == "needy"
        ended = boot_time_of(parent.row["finished_at"], self.clock_offset)
        if not may_have_ended_twice and starts[0].when < ended - 0.05:
            self.accuse("too early", job.tag, "it ran before its parent had ended")

    def check_state(self, job, record, starts):
        kind, row = job.kind, record.row
        if record.state == "processing":
            self.accuse("stuck", job.tag, "processing, though nobody is left")
        elif record.state not in ("completed", "dead", "cancelled"):
            self.accuse("lost", job.tag, "acknowledged, drained, and not final: %s" % record.state)
        elif record.state == "cancelled":
            if record.id not in self.arena.cancels_asked and not self.fell_with_its_parent(job, record):
                self.accuse("wrong result", job.tag, "cancelled, though nobody asked")
        elif record.id in self.arena.cancels_acknowledged:
            self.accuse("wrong result", job.tag, "the cancel was acknowledged, but it is %s" % record.state)
        elif record.state != kind.state and not self.was_out_of_sight(record):
            self.accuse("wrong result", job.tag, "%s, but must be %s" % (record.state, kind.state))
        elif kind.exit_codes is not ANY_CODE and row["exit_code"] not in kind.exit_codes:
            self.accuse("wrong result", job.tag, "exit code %s" % row["exit_code"])
        elif kind.attempts(job) not in (None, row["attempts"]):
            self.accuse("wrong result", job.tag, "%s attempts, not %d" % (row["attempts"], kind.attempts(job)))
        elif not starts and kind.name != "missing":
            self.accuse("lost", job.tag, "%s, but it never ran" % record.state)
        elif record.state == "completed" and not self.arena.disk:  # a full one takes no output
            self.check_output(job, record.attempts[-1])

    def check_output(self, job, attempt):
        size, written = attempt["stdout_bytes"], job.argument
        if job.kind.name == "talker" and size != int(written):
            self.accuse("wrong result", job.tag, "its output is not as long as what it wrote")
        elif job.kind.name == "flood" and not MAX_OUTPUT / 4 < size <= MAX_OUTPUT:
            self.accuse("wrong result", job.tag, "%d bytes of its output are kept" % size)
        elif job.kind.name == "binary" and attempt["content"] != BINARY:
            self.accuse("wrong result", job.tag, "its output is %s" % attempt["content"])

    def check_overlap(self, job, entries):
        """The lock was taken, or something of an attempt spoke after the next one had begun."""
        current = ""
        for entry in entries:
            if entry.event == "overlap":
                self.accuse("overlapping", job.tag, "an attempt began while another one held its lock")
                return
            if entry.event in ("two-of-one-lock", "over-the-limit"):
                self.accuse("too many at once", job.tag, entry.event)
                return
            if entry.event == "start":
                current = entry.token
            elif entry.token != current:
                self.accuse("overlapping", job.tag, "an attempt still went on after the next one had begun")
                return

    def check_numbers(self, job, record, starts):
        """Each execution has its record, and its number; none is beyond the limit."""
        numbers = [entry.attempt for entry in starts]
        series = 1 + self.arena.requeues[record.id]
        free = len(record.outcomes("given back", "snoozed"))
        if len({entry.token for entry in starts}) < len(starts):
            self.accuse("overlapping", job.tag, "one claim was executed twice")
        elif len(starts) > len(record.attempts):
            text = "%d executions, but only %d are on record" % (len(starts), len(record.attempts))
            self.accuse("invented", job.tag, text)
        elif job.kind.name == "needy":  # whom others have sent back, with its group
            return
        elif len(record.attempts) - free > (job.max_retries + 1) * series:
            self.accuse("wrong result", job.tag, "more attempts than its retries allow")
        elif sum(later < earlier for earlier, later in zip(numbers, numbers[1:])) >= series or not all(
            1 <= number <= job.max_retries + 1 for number in numbers
        ):
            self.accuse("wrong result", job.tag, "told its attempts that they are number %s" % numbers)
        elif record.outcomes("running") and record.state != "processing":
            self.accuse("stuck", job.tag, "final, but an attempt is on record as running")

    def was_out_of_sight(self, record):
        """True where its worker may have been killed before its swept life file was back.

        Whether it lives is seen only by who has looked for some seconds, so a timeout may pass (docs/promises.md, 25).
        """
        return any(attempt["worker"] in self.arena.swept for attempt in record.attempts)

    def check_successes(self, job, record, entries):
        """Once, but for those that were being ended when they succeeded: their record says so."""
        ends = [entry for entry in entries if entry.event == "end"]
        ended_anyway = record.outcomes("timed out", "cancelled")
        excused = [attempt for attempt in ended_anyway if attempt["exit_code"] == 0]
        if ends and job.kind.state == "dead" and not self.was_out_of_sight(record):
            self.accuse("not ended", job.tag, "it went on to its own end, long after its timeout")
        elif len(ends) > 1 + len(excused):
            self.accuse("succeeded twice", job.tag, "%d successes in the ledger" % len(ends))
        elif record.state == "completed" and not ends and job.kind.is_told:
            self.accuse("wrong result", job.tag, "completed, but the ledger saw no success")
        elif record.state == "cancelled" and len(ends) > len(excused):
            self.accuse("wrong result", job.tag, "it succeeded, but its record says cancelled")

    def check_rest_in_peace(self, job, record, starts):
        if record.state in ("completed", "dead", "cancelled") and record.row["finished_at"]:
            finished = boot_time_of(record.row["finished_at"], self.clock_offset)
            if any(entry.when > finished + 0.05 for entry in starts):
                self.accuse("resurrected", job.tag, "it ran again after it was %s" % record.state)

    # -------------------------------------------------------- what is left behind

    def check_files(self):
        folder = self.arena.database + ".d"
        left = sorted(os.listdir(os.path.join(folder, "workers")))
        if left:
            self.arena.accuse("leaked", "workers", "%d files of nobody: %s" % (len(left), ", ".join(left[:8])))
        wanted = {}
        for record in self.records:
            wanted.update((attempt["token"], attempt) for attempt in record.attempts if attempt["token"])
        for name in sorted(os.listdir(os.path.join(folder, "attempts"))):
            token, _, ending = name.partition(".")
            if not may_stay(ending, wanted.get(token)):
                tags = {entry.tag for entry in self.entries if entry.token == token}
                whose = min(tags) if tags else "?"
                text = "attempts/%s, wanted by %s" % (name, some_fields(wanted.get(token) or {}) or "nobody")
                self.arena.accuse("leaked", whose, text, self.evidence(whose))

    def check_log(self):
        """No traceback through the product's code (Python's own: a signal, or a parent's death, before that began)."""
        tracebacks = collections.defaultdict(list)
        for index, line in enumerate(self.log):
            if line.startswith("Traceback"):
                lines = [line] + list(itertools.takewhile(is_of_traceback, self.log[index + 1 : index + 60]))
                ours = [text for text in lines if 'File "%s' % ROOT in text and ", line 0, in" not in text]
                if ours:  # line 0: the signal came before the first line
                    tracebacks[self.log[index + len(lines)] if index + len(lines) < len(self.log) else ""].append(lines)
        for error, found in tracebacks.items():
            self.arena.accuse("crash", "a worker or supervisor", "%d times: %s" % (len(found), error), found[0])

    # -------------------------------------------------------- figures

    def figures(self):
        """What happened to the jobs, from the books and the log."""
        fates = collections.Counter(batch.fate for batch in self.arena.batches)
        known = [record for records in self.by_tag.values() for record in records]
        states = collections.Counter(record.state for record in known)
        figures = {"batches " + fate: number for fate, number in fates.items()}
        figures.update({"jobs " + state: number for state, number in states.items()})
        figures.update(
            {
                "jobs": len(known),
                "executions": sum(entry.event == "start" for entry in self.entries),
                "jobs pruned": len(known) - sum(not record.row["schedule"] for record in self.records),
                "attempts given back": sum(len(record.outcomes("given back")) for record in known),
                "attempts snoozed": sum(len(record.outcomes("snoozed")) for record in known),
                "attempts lost": sum(len(record.outcomes("lost")) for record in known),
                "jobs adopted": sum(" adopted from " in line for line in self.log),
                "jobs finished unseen": self.finished_unseen(),
                "claims fenced off": sum("its claim was lost" in line for line in self.log),
                "supervisors given up": sum("workers cannot start" in line for line in self.log),
                "times of trouble": sum("; trying again" in line for line in self.log),
            }
        )
        return figures

    def finished_unseen(self):
        """Results that a worker reported without having started or adopted the job."""
        held, unseen = set(), 0
        for line in self.log:
            found = re.match(r"\S+ \S+ (\S+): job (\S+) (\w+)", line)
            if not found:
                continue
            worker, job, verb = found.groups()
            if verb in ("started", "adopted"):
                held.add((worker, job))
            elif verb in ("completed", "failed", "timed", "killed", "exit") and (worker, job) not in held:
                unseen += 1
        return unseen


def is_of_traceback(line):
    return line.startswith("  ")


def some_fields(row):
    """A row in one line, without what is empty or known."""
    dull = ("seq", "cwd", "umask", "lane", "is_list", "env", "job", "priority", "stderr_bytes", "created_at", "run_at")
    return " ".join("%s=%s" % (key, value) for key, value in row.items() if value not in (None, "") and key not in dull)


def may_stay(ending, attempt):
    """Whether a file of an attempt is still of use: large output, and all of one that left processes running."""
    if not attempt:
        return False
    return (
        bool(attempt["leftovers"])
        or {"out": attempt["stdout_bytes"], "err": attempt["stderr_bytes"]}.get(ending, 0) > INLINE_BYTES
    )


# ---------------------------------------------------------------- the run


def crew(arena):
    """Who acts in an arena."""
    agents = [Landlord(arena), Executioner(arena), Stopper(arena), Meddler(arena)]
    agents += [Enqueuer(arena, number) for number in range(1 if arena.disk else 3)]
    agents += [Killer(arena)] + ([Filler(arena)] if arena.disk else [Copier(arena), Mover(arena), Sweeper(arena)])
    return agents + ([] if arena.disk or os.geteuid() == 0 else [Miser(arena)])


def make_chaos(arenas, seconds):
    """Let everybody act for *seconds*; returns the errors of the run itself."""
    agents = [agent for arena in arenas for agent in crew(arena)]
    for arena in arenas:
        arena.began = time.monotonic()
        arena.ends_at = arena.began + seconds
    for agent in agents:
        agent.start()
    time.sleep(seconds)
    for arena in arenas:
        arena.over.set()
    for agent in agents:
        agent.join(CALL_SECONDS + 10)
    errors = [agent.error for agent in agents if agent.error]
    return errors + ["%s does not end" % agent.name for agent in agents if agent.is_alive()]


def last_crash(arena):
    """Every worker and supervisor dies at once; only the jobs go on."""
    for process in arena.living_supervisors():
        arena.signal(process, signal.SIGKILL, "supervisors killed")
    arena.list_workers()
    for process in arena.living_workers():
        arena.signal(process, signal.SIGKILL, "workers killed")


def let_all_go(arena):
    """What was held or paused when the end came."""
    arena.call(["resume"])
    arena.call(["schedule", "pause", SCHEDULE])
    mend(arena, True)
    with arena.connect() as connection:
        found = connection.execute("SELECT id FROM jobs WHERE held_at IS NOT NULL AND state IN ('pending', 'failed')")
        ids = [row["id"] for row in found]
    if ids:
        arena.call(["release"] + ids)


def retry_needy(arena):
    """What they need is there now."""
    ids = sorted(dead_runs(arena))
    if ids:
        arena.call(["dlq", "retry"] + ids)


def drain(arena):
    """Run what is left to its end, and then what was dead for want of something; a last, short drain tidies up."""
    let_all_go(arena)
    for jobs, deadline in (("12", DRAIN_DEADLINE), ("12", DRAIN_DEADLINE), ("1", CALL_SECONDS)):
        retry_needy(arena)
        child = arena.start_supervisor("--drain", "-n", jobs)
        with arena.guard:
            arena.supervisors.append(child)
        try:
            if child.wait(deadline):
                text = "exit code %d" % child.returncode
                arena.accuse("exit code", "worker start --drain", text, read_log(arena)[-8:])
        except subprocess.TimeoutExpired:
            text = "not drained within %d seconds, %d jobs are open" % (deadline, arena.open_jobs())
            arena.accuse("stuck", "worker start --drain", text, read_log(arena)[-12:])
            arena.kill_everything()
            return


def check_survivors(arena):
    """Nothing of the run lives on, once what jobs left behind has had its time."""
    deadline = time.monotonic() + LATE_SECONDS + 3
    while arena.carriers() and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in arena.carriers():
        variables = read_proc(process.pid, "environ").decode("utf-8", "replace").split("\0")
        about = [text for text in variables if text.startswith("QUEUECTL_")]
        command = read_proc(process.pid, "cmdline").replace(b"\0", b" ").decode("utf-8", "replace")
        arena.accuse("leaked", "process %d" % process.pid, "still alive: %s" % command, about)


@contextlib.contextmanager
def small_disk(folder):
    """A tmpfs of our own, or None where we may not mount one."""
    mount = os.path.join(folder, "disk")
    os.mkdir(mount)
    words = ["mount", "-t", "tmpfs", "-o", "size=%d,mode=0700" % SMALL_DISK, "none", mount]
    try:
        mounted = os.geteuid() == 0 and subprocess.call(words, stderr=subprocess.DEVNULL) == 0
    except OSError:
        mounted = False
    try:
        yield mount if mounted else None
    finally:
        if mounted:
            shutil.copytree(mount, mount + ".copy", ignore=lambda path, names: [n for n in names if n == "bell"])
            subprocess.call(["umount", "-l", mount])


def make_arenas(folder, disk, options):
    """The large one, and where there is a disk to fill the small one."""
    small = int(options.jobs * SMALL_SHARE) if disk else 0
    for name in ("large", "small") if disk else ("large",):
        os.mkdir(os.path.join(folder, name))
    place = os.path.join(folder, "large")
    arenas = [Arena("large", place, os.path.join(place, "home"), options.jobs - small, 2, 5, options.seed)]
    if disk:
        home = os.path.join(disk, "home")
        arenas.append(Arena("small", os.path.join(folder, "small"), home, small, 1, 2, options.seed, disk))
    return arenas


def play(arenas, seconds):
    """Chaos, a last crash, the drain, the audit; returns figures per arena and errors of the run itself."""
    for arena in arenas:
        arena.prepare()
    errors = make_chaos(arenas, seconds)
    drains = [threading.Thread(target=lambda arena=arena: (last_crash(arena), drain(arena))) for arena in arenas]
    for thread in drains:
        thread.start()
    for thread in drains:
        thread.join()
    figures = {}
    for arena in arenas:
        check_survivors(arena)
        audit = Audit(arena)
        audit.run()
        figures[arena.name] = dict(audit.figures(), **arena.counts)
    return figures, errors


def total(figures, *names):
    return sum(figures.get(name, 0) for name in names)


KILLS = ("workers killed", "workers killed for a job", "supervisors killed")


def print_report(report, out):
    out("seed %s, %.0f s" % (report["seed"], report["seconds"]))
    for name, figures in report["arenas"].items():
        out("%s arena: %d jobs, %d kills of workers and supervisors" % (name, figures["jobs"], total(figures, *KILLS)))
        out("  " + ", ".join("%s %d" % (key, figures[key]) for key in sorted(figures) if figures[key]))
    sorts = collections.Counter()
    for violation in report["violations"]:
        sorts[violation["sort"]] += 1
        if sorts[violation["sort"]] <= SHOWN_PER_SORT:
            out("VIOLATION %(sort)s: %(subject)s: %(text)s" % violation)
            for line in violation["evidence"]:
                out("    " + line)
    for error in report["errors"]:
        out("ERROR of the run itself: " + error)
    out("total: %d jobs, %d kills" % (report["jobs"], report["kills"]))
    out("violations: " + (", ".join("%s %d" % item for item in sorted(sorts.items())) or "none"))


def parse_arguments():
    parser = argparse.ArgumentParser(description="Kill, pause, stop, lock and starve queuectl, then audit it.")
    parser.add_argument("--seed", type=int, default=None, help="repeats a plan (default: at random)")
    parser.add_argument("--seeds", metavar="A-B", help="several, one after the other, and their total")
    parser.add_argument("--seconds", type=float, default=110, help="how long it takes in all, about (default 110)")
    parser.add_argument("--jobs", type=int, default=2600, help="how many are asked for (default 2600)")
    parser.add_argument("--json", metavar="FILE", help="write the report there, too")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1000000)
    first, _, last = (options.seeds or str(options.seed)).partition("-")
    if not (first + (last or first)).isdigit():
        parser.error("--seeds: 1-10 is expected")
    options.seeds = range(int(first), int(last or first) + 1)
    return options


def main():
    options = parse_arguments()
    missing = [tool for tool in ("flock", "setsid") if not shutil.which(tool)]
    if not sys.platform.startswith("linux") or missing:
        print("chaos needs Linux with /proc, and util-linux: %s" % (", ".join(missing) or sys.platform))
        return 2
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(2))
    reports = []
    for seed in options.seeds:
        options.seed = seed
        reports.append(run_seed(options))
    if len(reports) > 1:
        print_total(reports, print)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(reports if len(reports) > 1 else reports[0], file, indent=1)
    if any(report["violations"] for report in reports):
        return 1
    return 2 if any(report["errors"] for report in reports) else 0


def print_total(reports, out):
    """Of several seeds: what happened, and whether anything broke."""
    sums = [sum(report[name] for report in reports) for name in ("jobs", "kills")]
    broken = sum(len(report["violations"]) for report in reports)
    out("%d seeds: %d jobs, %d kills, %d violations" % (len(reports), sums[0], sums[1], broken))


def run_seed(options):
    """Chaos with one seed, told; returns its report."""
    folder = tempfile.mkdtemp(prefix="queuectl-chaos-")
    with small_disk(folder) as disk:
        report = as_another_user(folder, disk, lambda: report_of(folder, disk, options))
    print_report(report, print)
    if report["violations"] or report["errors"]:
        print("ledger, log and home are kept in %s" % folder)
    else:
        shutil.rmtree(folder)
    return report


def as_another_user(folder, disk, play):
    """What *play* returns, played where root calls by a user who owns *folder* and *disk*, and nothing else."""
    if os.geteuid() != 0:
        return play()
    user = random.SystemRandom().randint(*USERS)
    for path in (folder, disk):
        if path:
            os.chown(path, user, user)
    result = os.path.join(folder, "report.json")
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            QUEUECTL[:] = reachable_queuectl()
            report = play()
            with open(result, "w") as file:
                json.dump(report, file)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(2)
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit("chaos: the play itself failed (status %d); what is left is in %s" % (status, folder))
    with open(result) as file:
        return json.load(file)


def reachable_queuectl():
    """How this user calls queuectl: with our Python, or the system's where ours is in reach of root alone."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if os.access(python, os.X_OK) and os.access(QUEUECTL[-1], os.R_OK):
            return [python] + QUEUECTL[1:]
    raise SystemExit("chaos: no Python that user %d may run, or no access to %s" % (os.getuid(), QUEUECTL[-1]))


def report_of(folder, disk, options):
    """The play, and what is to be said of it."""
    began = time.monotonic()
    arenas = []
    try:
        arenas = make_arenas(folder, disk, options)
        figures, errors = play(arenas, max(5.0, options.seconds - DRAIN_SECONDS))
    finally:
        for arena in arenas:
            arena.over.set()
            arena.kill_everything()
    violations = [vars(violation) for arena in arenas for violation in arena.violations]
    return {
        "seed": options.seed,
        "seconds": time.monotonic() - began,
        "jobs": sum(each["jobs"] for each in figures.values()),
        "kills": sum(total(each, *KILLS) for each in figures.values()),
        "arenas": figures,
        "violations": violations,
        "errors": errors,
    }


if __name__ == "__main__":
    sys.exit(main())
