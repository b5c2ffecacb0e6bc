#!/usr/bin/env python3
"""bench: how fast the queue is, as ratios to yardsticks that run beside it.

    python3 tests/instruments/bench.py [--quick | --full] [--only 1,3,5 | --beside] [--json FILE] [--dir DIR]

Machines differ and are noisy, so no figure stands alone: every work is done by the queue
and by a yardstick (a bare loop, xargs, an interpreter that imports three modules), turn
by turn in the same run and with the same interpreter file. The ratio is the median of the
ratios of the turns, the spread their smallest and largest. A target that is not reached
is printed as such; nothing here is asserted, and the exit code tells only of breakage.

Every work is a function below, named after its number, with the rule that it follows in
its docstring. What the host lacks (/proc, a FIFO, xargs) is said in the row, not guessed.

--quick   seconds: does it run at all? The figures mean little.
(normal)  within three minutes on two cores; the large database has 200,000 jobs of a kind.
--full    1,000,000 jobs of a kind, more turns, an output of 1 GB, other queues beside it.
"""

import argparse
import collections
import contextlib
import json
import os
import platform
import random
import select
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "queuectl.py")
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests")]

from helpers.bundle import copy_bundle

from queuectl_lib import settings, times
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.fields import JobMaker
from queuectl_lib.run import wording
from queuectl_lib.settings import Settings
from queuectl_lib.store import looking, pruning, roster
from storage import Queue

# turns: repetitions; costly: of what takes seconds; jobs, crowd: drained by 2, and by 2 and
# 50 workers; lines: enqueued from a file; rows: of each kind in the large database; idle:
# seconds of doing nothing; pickups, claims, adds: single operations; seconds: after which
# one work, on a busy machine, makes do with fewer turns.
Scale = collections.namedtuple("Scale", "name turns costly jobs crowd lines rows idle pickups claims adds seconds")
SCALES = {
    "quick": Scale("quick", 2, 1, 200, 300, 5000, 5000, 2.0, 20, 20, 3, 10),
    "normal": Scale("normal", 5, 3, 2000, 5000, 100000, 200000, 16.0, 200, 200, 15, 13),
    "full": Scale("full", 7, 5, 2000, 5000, 100000, 1000000, 20.0, 200, 500, 25, 600),
}
SMALL = 1000  # jobs in the small database
DAY = 86400.0
LADEN, LEAN = [sys.executable], [sys.executable, "-S"]  # with what the site directory loads at each start, and without
YARDSTICK = ["-c", "import argparse, json, sqlite3"]
IMPORTS = LADEN + YARDSTICK
UNCACHED = {"PYTHONDONTWRITEBYTECODE": "1"}
UNDER_LOAD_SECONDS = 600.0  # how long anything may take before it counts as broken


class Missing(Exception):
    """The host lacks what a measurement needs; in words for the table."""


# ---------------------------------------------------------------- figures


class Row:
    """One line of the table: a figure, what it is held against, and the target."""

    def __init__(self, number, work, ours, yardstick, ratios, target, reached, note=""):
        self.number = number
        self.work = work
        self.ours = ours
        self.yardstick = yardstick
        self.ratio = statistics.median(ratios) if ratios else None
        self.spread = (min(ratios), max(ratios)) if ratios else None
        self.turns = len(ratios)
        self.target = target
        self.reached = reached  # True, False, or None where it was not measured
        self.note = note

    def cells(self):
        ratio = "-" if self.ratio is None else "%.3g" % self.ratio
        spread = "-" if self.spread is None else "%.3g to %.3g" % self.spread
        reached = {True: "yes", False: "NO", None: "-"}[self.reached]
        figures = (self.ours, self.yardstick, ratio, spread, str(self.turns or "-"))
        return (self.number, self.work) + figures + (self.target, reached, self.note)


def at_least(number, work, unit, ours, yardstick, limit, note=""):
    """A rate, turn by turn, that should be *limit* times the yardstick's or more."""
    return ratio_row(number, work, unit, ours, yardstick, ">= %g" % limit, lambda ratio: ratio >= limit, note)


def at_most(number, work, unit, ours, yardstick, limit, note=""):
    """A cost, turn by turn, that should be *limit* times the yardstick's or less."""
    return ratio_row(number, work, unit, ours, yardstick, "<= %g" % limit, lambda ratio: ratio <= limit, note)


def ratio_row(number, work, unit, ours, yardstick, target, is_reached, note):
    ratios = [a / b for a, b in zip(ours, yardstick)]
    texts = ["%s %s" % (number_text(statistics.median(values)), unit) for values in (ours, yardstick)]
    return Row(number, work, texts[0], texts[1], ratios, target, is_reached(statistics.median(ratios)), note)


def plain_row(number, work, value, unit, limit, note="", spread=()):
    """A figure without a yardstick: at most *limit*."""
    row = Row(
        number, work, "%s %s" % (number_text(value), unit), "-", [], "<= %g %s" % (limit, unit), value <= limit, note
    )
    row.spread = (min(spread), max(spread)) if spread else None
    row.turns = len(spread)
    return row


def absent_row(number, work, target, why):
    return Row(number, work, "not available", "-", [], target, None, why)


def number_text(value):
    """Three digits, and thousands apart: 0.0123, 4.56, 789, 12,345."""
    return "{:,.0f}".format(value) if abs(value) >= 100 else "%.3g" % value


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


# ---------------------------------------------------------------- a queue to measure


class Home:
    """A queue in a directory of its own."""

    def __init__(self, folder):
        os.mkdir(folder, 0o700)
        self.path = folder
        self.python = LADEN
        self.script = SCRIPT
        self.environment = {}
        self.queue = Queue(os.path.join(folder, settings.SETTING_DEFAULTS["db_path"]))

    def words(self, *words):
        return self.python + [self.script, "--home", self.path] + [str(word) for word in words]

    def call(self, *words):
        """Run one command; returns what it printed, raises where it failed."""
        done = subprocess.run(
            self.words(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(clean_environment(), **self.environment),
        )
        if done.returncode:
            raise RuntimeError("%r exited %d: %s" % (words, done.returncode, done.stderr.decode("utf-8", "replace")))
        return done.stdout.decode("utf-8", "replace")

    @contextlib.contextmanager
    def working(self, count, processes=None):
        """Idle workers, all of them up, for as long as the block lasts: a process for each slot, or so many."""
        self.call("worker", "start", "--background", "--count", count, "--processes", processes or count)
        try:
            yield self
        finally:
            self.call("worker", "stop", "--now")

    def maker(self):
        return JobMaker(3, self.path, 0o022, time.time())

    def add(self, command):
        return self.queue.enqueue(self.maker().row({"command": command}))

    def fill(self, count, command="true"):
        maker = self.maker()
        list(self.queue.enqueue_each((number, maker.row({"command": command})) for number in range(1, count + 1)))

    def await_completed(self, count, pause=0.02):
        """Wait until so many jobs have completed, asking every *pause* seconds, which costs a core a millisecond."""
        deadline = time.monotonic() + UNDER_LOAD_SECONDS
        while looking.counts(self.queue.database)["completed"] < count:
            if time.monotonic() > deadline:
                raise RuntimeError("%d jobs did not complete: %r" % (count, looking.counts(self.queue.database)))
            time.sleep(pause)

    def connect(self):
        return contextlib.closing(sqlite3.connect(self.queue.path, isolation_level=None))

    def span(self):
        """Seconds from the first start to the last finish of all jobs."""
        with self.connect() as connection:
            first, last = connection.execute("SELECT min(started_at), max(finished_at) FROM jobs").fetchone()
        return times.utc_seconds(last) - times.utc_seconds(first)

    def pids(self):
        """kind and pid of every supervisor and worker."""
        return [(member["kind"], member["pid"]) for member in roster.members(self.queue.folder)]


def clean_environment():
    """Ours less what would bend the figures: an outer queue, and modules compiled anew each time."""
    unwanted = ("QUEUECTL_", "PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


def drain_rate(home, slots, jobs):
    """Jobs per second from the first start to the last finish, workers with these *slots* being up and idle before."""
    with home.working(slots, wording.useful_processes(slots)):
        home.fill(jobs)
        home.await_completed(jobs, 0.2)  # the span is told by the jobs themselves
    return jobs / home.span()


def timed(words, stdin=None, environment=None):
    """Wall and CPU seconds of one process (CPU is None where the system does not tell)."""
    streams = {"stdin": stdin or subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    began = time.perf_counter()
    child = subprocess.Popen(words, env=dict(clean_environment(), **(environment or {})), **streams)
    if not hasattr(os, "wait4"):
        code, cpu = child.wait(), None
        wall = time.perf_counter() - began
    else:
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        code, cpu = status, usage.ru_utime + usage.ru_stime
        child.returncode = status  # reaped here
    if code:
        raise RuntimeError("%r ended with status %d" % (words, code))
    return wall, cpu


def columns(pairs):
    """Turns of many values as one list per value."""
    return [list(column) for column in zip(*pairs)]


# ---------------------------------------------------------------- the run


class Bench:
    """What the works share: the scale, a folder, a clock, the large database."""

    def __init__(self, scale, folder):
        self.scale = scale
        self.folder = folder
        self.began = time.monotonic()
        self.homes = 0
        self.growth = []  # (what, at the small size, at the large size)
        self.small = None
        self.large = None
        self.drained = None

    def home(self):
        self.homes += 1
        return Home(os.path.join(self.folder, "home%d" % self.homes))

    def turns(self, count, least=3):
        """Count to *count*, or only to *least* once the time of one work is used up."""
        began = time.monotonic()
        for number in range(count):
            if number >= least and time.monotonic() - began > self.scale.seconds:
                return
            yield number

    def databases(self):
        """The small and the large database, built at the first need."""
        if self.large is None:
            self.small, self.large = self.home(), self.home()
            populate(self.small, SMALL, SMALL, SMALL // 10)
            populate(self.large, self.scale.rows, self.scale.rows, self.scale.rows // 10)
        return self.small, self.large

    def grown(self, what, unit, small, large):
        self.growth.append((what, unit, small, large))


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
FINISHED = (
    NUMBERS + " INSERT INTO jobs (id, command, state, attempts, max_retries, cwd, umask, created_at, updated_at,"
    " started_at, finished_at, exit_code, worker, runs) SELECT 'finished' || printf('%%07d', i), 'true', 'completed',"
    " 1, 3, '/', 18, :t, :t, :t, CASE WHEN i <= :ancient THEN :t2 WHEN i <= :old THEN :t1 ELSE :t END, 0, 'w', 1 FROM n"
)
ATTEMPTS = (
    "INSERT INTO attempts (job, number, outcome, started_at, finished_at, exit_code, worker)"
    " SELECT seq, 1, 'completed', started_at, finished_at, 0, worker FROM jobs"
)
WAITING = (
    NUMBERS
    + " INSERT INTO jobs (id, command, max_retries, priority, run_at, next_run_at, lane, cwd, umask, created_at,"
    " updated_at) SELECT :name || printf('%%07d', i), 'true', 3, :priority, :run_at, :due, :lane, '/', 18, :t, :t"
    " FROM n"
)


def populate(home, pending, finished, future):
    """Fill a queue by SQL: quick, with the product's tables and indexes, its triggers off meanwhile.

    Of the finished jobs one in fifty finished long ago, the rest of their first half two
    days ago. The future jobs have a higher priority than the pending ones.
    """
    home.queue.database.create()
    now = time.time()
    ages = {"t": now, "t1": now - 2 * DAY, "t2": now - 400 * DAY}
    moments = {name: times.utc_text(moment) for name, moment in ages.items()}
    soon = times.utc_text(now + DAY)
    with home.connect() as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute("DROP TRIGGER %s" % name)
        connection.execute(FINISHED % finished, dict(moments, ancient=finished // 50, old=finished // 2))
        connection.execute(ATTEMPTS)
        due = dict(moments, name="pending", priority=0, run_at=None, due=moments["t"], lane=0)
        connection.execute(WAITING % pending, due)
        later = dict(moments, name="future", priority=9, run_at=soon, due=soon, lane=1)
        connection.execute(WAITING % future, later)
        connection.execute("UPDATE counts SET jobs = (SELECT count(*) FROM jobs WHERE jobs.state = counts.state)")
        for _, statement in triggers:
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


# ---------------------------------------------------------------- works 1, 2, 10, 11: draining

BARE_LOOP = """
import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
sync = getattr(os, "fdatasync", os.fsync)
print("ready", flush=True)
sys.stdin.readline()
began = time.time()
for _ in range(int(sys.argv[2])):
    os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "true"], os.environ), 0)
    os.write(fd, b"x" * 100)
    sync(fd)
print(began, time.time())
"""


def bare_loops_rate(bench, jobs):
    """Two bare loops side by side: spawn, wait, append 100 bytes, sync."""
    if not hasattr(os, "posix_spawn"):
        raise Missing("needs posix_spawn and /bin/sh")
    loops = []
    for number in range(2):
        words = [sys.executable, "-c", BARE_LOOP, os.path.join(bench.folder, "loop%d" % number), str(jobs // 2)]
        loops.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    for loop in loops:
        loop.stdout.readline()
    for loop in loops:
        loop.stdin.write(b"\n")
        loop.stdin.flush()
    spans = [tuple(map(float, loop.communicate()[0].split())) for loop in loops]
    return jobs / (max(end for _, end in spans) - min(begin for begin, _ in spans))


def xargs_rate(bench, jobs):
    """Plain xargs, two at a time, from its start to its end."""
    if not shutil.which("xargs"):
        raise Missing("needs xargs")
    path = os.path.join(bench.folder, "commands")
    with open(path, "w") as file:
        file.write("true\n" * jobs)
    with open(path) as file:
        return jobs / timed(["xargs", "-P2", "-I{}", "sh", "-c", "{}"], file)[0]


def work_1(bench):
    """2,000 jobs `true` through the shell by 2 workers that are up, first start to last finish."""
    jobs, pairs = bench.scale.jobs, []
    for _ in bench.turns(bench.scale.turns):
        bench.drained = bench.home()
        pairs.append((drain_rate(bench.drained, 2, jobs), bare_loops_rate(bench, jobs)))
    ours, loops = columns(pairs)
    return [at_least("1", "drain %d jobs, 2 workers" % jobs, "jobs/s", ours, loops, 0.8, "beside 2 bare synced loops")]


def work_2(bench):
    """The same with the durability of power loss given up, beside xargs -P2."""
    work, jobs = "drain %d jobs, not synced" % bench.scale.jobs, bench.scale.jobs
    if "durability" not in settings.SETTING_DEFAULTS:
        return [absent_row("2", work, ">= 1", "there is no such setting")]
    pairs = []
    for _ in bench.turns(bench.scale.turns):
        home = bench.home()
        home.call("config", "set", "durability", "off")
        pairs.append((drain_rate(home, 2, jobs), xargs_rate(bench, jobs)))
    ours, xargs = columns(pairs)
    return [at_least("2", work, "jobs/s", ours, xargs, 1.0, "beside xargs -P2")]


def work_10(bench):
    """Bytes of the database per finished `true` job after a checkpoint; files that jobs left."""
    jobs = bench.scale.jobs
    if bench.drained is None:
        bench.drained = bench.home()
        drain_rate(bench.drained, 2, jobs)
    home = bench.drained
    with home.connect() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        size = os.path.getsize(home.queue.path)
    files = len(os.listdir(home.queue.folder.attempts))
    return [
        plain_row("10", "disk per finished job", size / jobs, "bytes", 600, "%d jobs, whole file" % jobs),
        plain_row("10", "files left by %d jobs" % jobs, files, "files", 0),
    ]


def work_11(bench):
    """50 at once, 5,000 jobs `true`, beside the same with 2 at once."""
    jobs, pairs = bench.scale.crowd, []
    for _ in bench.turns(bench.scale.costly, 2):
        pairs.append((drain_rate(bench.home(), 50, jobs), drain_rate(bench.home(), 2, jobs)))
    many, few = columns(pairs)
    bench.grown("drain, 2 and 50 at once", "jobs/s", statistics.median(few), statistics.median(many))
    note = "beside 2 at once"
    return [at_least("11", "drain %d jobs, 50 at once" % jobs, "jobs/s", many, few, 0.9, note)]


# ---------------------------------------------------------------- works 3, 4, 5: submitting


def work_3(bench):
    """One `add` as a process of its own, 2 workers up; each job has ended before the next turn.

    On a Python whose site directory loads much and on one where it loads nothing; then from a
    fresh copy of ours where Python may keep no bytecode, before and after one `initdb` there.
    """
    home, rows = bench.home(), []
    with home.working(2):
        rows += add_rows(bench, home, "3", "", LADEN, 1.05)
        rows += add_rows(bench, home, "3", ", empty site directory", LEAN, 1.2)
        home.script, home.environment = fresh_copy(bench), UNCACHED
        rows += add_rows(bench, home, "3b", ", no bytecode kept", LADEN, 1.9)
        home.call("initdb")
        rows += add_rows(bench, home, "3b", ", the same after `initdb`", LADEN, 1.2)
        home.script, home.environment = SCRIPT, {}
    return rows


def fresh_copy(bench):
    """The path of queuectl.py in a new copy of the bundle, of which nothing was ever loaded."""
    folder = tempfile.mkdtemp(prefix="copy-", dir=bench.folder)
    copy_bundle(folder)
    return os.path.join(folder, "queuectl.py")


def add_rows(bench, home, number, what, python, limit):
    """Wall and CPU of `add`, called by *python*, beside the same that imports three modules."""
    home.python, walls, cpus = python, [], []
    before = looking.counts(home.queue.database)["completed"]
    for turn in bench.turns(bench.scale.adds + 1):
        ours = timed(home.words("add", "true"), environment=home.environment)
        home.await_completed(before + turn + 1)
        time.sleep(0.03)
        bare = timed(python + YARDSTICK)
        if turn:  # the first warms the caches
            walls.append((ours[0] * 1000, bare[0] * 1000))
            cpus.append((ours[1], bare[1]))
    home.python = LADEN
    note = "beside python -c 'import argparse, json, sqlite3'"
    rows = [at_most(number, "one add, wall" + what, "ms", *(columns(walls) + [limit, note]))]
    if None in cpus[0]:
        return rows + [absent_row(number, "one add, CPU" + what, "<= %g" % limit, "needs wait4")]
    milliseconds = [[value * 1000 for value in column] for column in columns(cpus)]
    return rows + [at_most(number, "one add, CPU" + what, "ms", *(milliseconds + [limit, note]))]


PLAIN_INSERT = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA synchronous = FULL")
names = sys.argv[3].split()
connection.execute("CREATE TABLE jobs (seq INTEGER PRIMARY KEY, %s)" % ", ".join(names[1:]))
with open(sys.argv[2], encoding="utf-8") as file:
    jobs = map(json.loads, file)
    rows = ((job["id"], job["command"], job["priority"], "pending", 3, 0, "/", "now", "now") for job in jobs)
    connection.executemany(
        "INSERT INTO jobs (id, command, priority, state, max_retries, attempts, cwd, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
connection.commit()
connection.close()
"""

PEAK_MEMORY = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def write_lines(path, count):
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            file.write('{"id": "job-%07d", "command": "echo %d", "priority": %d}\n' % (number, number, number % 10))


def work_4(bench):
    """`enqueue --file` of JSON Lines, beside a process that parses and inserts them plainly (WAL, synced)."""
    lines = bench.scale.lines
    path, few = os.path.join(bench.folder, "lines"), os.path.join(bench.folder, "few")
    write_lines(path, lines)
    write_lines(few, lines // 10)
    example = bench.home()
    example.queue.database.create()
    with example.connect() as connection:
        names = " ".join(row[1] for row in connection.execute("PRAGMA table_info(jobs)"))
    pairs = []
    for number in bench.turns(bench.scale.turns):
        home = bench.home()
        home.queue.database.create()
        ours = timed(home.words("enqueue", "--quiet", "--file", path))[0]
        plain = os.path.join(bench.folder, "plain%d.db" % number)
        pairs.append((ours, timed([sys.executable, "-c", PLAIN_INSERT, plain, path, names])[0]))
    note = "beside json.loads and one executemany"
    rows = [at_most("4", "enqueue %d lines" % lines, "s", *(columns(pairs) + [1.8, note]))]
    return rows + [memory_row(bench, few, path, lines)]


def memory_row(bench, few, path, lines):
    work = "its memory, beside a tenth of the lines"
    try:
        import resource  # noqa: F401
    except ImportError:
        return absent_row("4", work, "<= 1.1", "needs getrusage")
    peaks = []
    for source in (path, few):
        words = [sys.executable, "-c", PEAK_MEMORY] + bench.home().words("enqueue", "--quiet", "--file", source)
        unit = 1.0 / (1 << 20) if sys.platform == "darwin" else 1.0 / 1024
        peaks.append(int(subprocess.check_output(words, env=clean_environment())) * unit)
    return at_most("4", work, "MB", peaks[:1], peaks[1:], 1.1, "peak; flat is 1")


def work_5(bench):
    """From the return of Queue.enqueue (in this process) to a byte that the command's first word writes.

    The byte comes through a FIFO that this process sleeps on, so its own waking counts
    too. (The time of a file would be rounded to a tick of the kernel, up to 4 ms.)
    """
    if not hasattr(os, "mkfifo"):
        return [absent_row("5", "pick-up", "<= 25 ms", "needs a FIFO")]
    home, delays = bench.home(), []
    fifo = os.path.join(home.path, "fifo")
    os.mkfifo(fifo, 0o600)
    fd = os.open(fifo, os.O_RDWR)
    try:
        with home.working(2):
            for number in bench.turns(bench.scale.pickups, 50):
                time.sleep(random.uniform(0.02, 0.04))  # idle again, at no fixed beat
                home.add("echo > '%s'" % fifo)
                returned = time.perf_counter()
                if not select.select([fd], [], [], UNDER_LOAD_SECONDS)[0]:
                    raise RuntimeError("the job was not picked up")
                delays.append((time.perf_counter() - returned) * 1000)
                os.read(fd, 4096)
                home.await_completed(number + 1)
    finally:
        os.close(fd)
    part = max(1, len(delays) // 5)
    medians = [statistics.median(delays[begin : begin + part]) for begin in range(0, len(delays), part)]
    note = "%d adds, from the return of Queue.enqueue" % len(delays)
    return [
        plain_row("5", "pick-up, median", statistics.median(delays), "ms", 5, note, medians),
        plain_row("5", "pick-up, 99th percentile", percentile(delays, 0.99), "ms", 15, "worst %.1f ms" % max(delays)),
    ]


# ---------------------------------------------------------------- works 6, 7: idling


def cpu_seconds(pid):
    """CPU time of a process; the scheduler's own nanoseconds where it keeps them."""
    try:
        with open("/proc/%d/schedstat" % pid) as file:
            return int(file.read().split()[0]) / 1e9
    except OSError:
        with open("/proc/%d/stat" % pid) as file:
            words = file.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / float(os.sysconf("SC_CLK_TCK"))


def written_bytes(pid):
    with open("/proc/%d/io" % pid) as file:
        return int(dict(line.split(": ") for line in file)["write_bytes"])


def proportional_memory(pid):
    """PSS in MB: private pages, and of shared ones its share."""
    with open("/proc/%d/smaps_rollup" % pid) as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    raise Missing("needs PSS")


def work_6(bench):
    """CPU and disk writes of a supervisor with 4 workers that have nothing to do, in five windows."""
    if not os.path.exists("/proc/self/io"):
        return [absent_row("6", "idle, supervisor and 4 workers", "<= 0.2 %", "needs /proc")]
    home, shares = bench.home(), []
    home.queue.database.create()
    with home.working(4):
        time.sleep(5)  # until the workers trust that nothing changes
        pids = [pid for _, pid in home.pids()]
        written = sum(map(written_bytes, pids))
        for _ in range(5):
            used, began = sum(map(cpu_seconds, pids)), time.monotonic()
            time.sleep(bench.scale.idle / 5)
            shares.append(100 * (sum(map(cpu_seconds, pids)) - used) / (time.monotonic() - began))
        written = sum(map(written_bytes, pids)) - written
    note = "of one core, %g s; spread of five windows" % bench.scale.idle
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    root = "for root SQLite sets the owner of the WAL at each open: 4,096 in 30 s" if is_root else ""
    return [
        plain_row("6", "idle, supervisor and 4 workers", statistics.mean(shares), "%", 0.2, note, shares),
        plain_row("6", "written to the disk meanwhile", written, "bytes", 0, root),
    ]


BARE_CHILDREN = """
import multiprocessing, sys
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    code = "import os, sqlite3, subprocess, time; os.write(1, b'%d%c' % (os.getpid(), 10)); time.sleep(600)"
    children = [context.Process(target=exec, args=(code,), daemon=True) for _ in range(4)]
    for child in children:
        child.start()
    sys.stdin.read()
"""


def work_7(bench):
    """PSS of 4 idle workers and of 4 bare spawn-mode children that live at the same time.

    The last row is of a fresh copy of ours where Python may keep no bytecode.
    """
    if not os.path.exists("/proc/self/smaps_rollup"):
        return [absent_row("7", "memory of an idle worker", "<= 1.15", "needs /proc/PID/smaps_rollup")]
    rows = [memory_of_workers(bench.home(), "7", "", LADEN, 1.15)]
    rows.append(memory_of_workers(bench.home(), "7", ", empty site directory", LEAN, 1.15))
    home = bench.home()
    home.script, home.environment = fresh_copy(bench), UNCACHED
    rows.append(memory_of_workers(home, "7b", ", no bytecode kept", LADEN, 1.2))
    return rows + cost_of_sleepers(bench.home())


SLEEPERS = 100


def cost_of_sleepers(home):
    """A hundred jobs that sleep, at once: what all weighs that is not these, what it costs, and how soon all run."""
    with home.working(SLEEPERS, wording.useful_processes(SLEEPERS)):
        began = time.monotonic()
        maker = home.maker()
        list(home.queue.enqueue_each((n, maker.row({"command": "sleep 600"})) for n in range(SLEEPERS)))
        ours = [pid for _, pid in home.pids()]
        watchers = sleepers = set()
        while len(sleepers) < SLEEPERS and time.monotonic() < began + UNDER_LOAD_SECONDS:
            time.sleep(0.01)
            watchers = children_of(set(ours)) - set(ours)
            sleepers = {pid for pid in children_of(watchers) if name_of(pid) == "sleep"}
        took = time.monotonic() - began
        time.sleep(2)
        used, since = sum(map(cpu_seconds, ours)), time.monotonic()
        time.sleep(8)
        share = 100 * (sum(map(cpu_seconds, ours)) - used) / (time.monotonic() - since)
        memory = sum(map(proportional_memory, [*ours, *watchers]))
    what = "%d jobs `sleep 600` at once" % SLEEPERS
    note = "PSS of %d workers, their supervisor and the watching shells" % (len(ours) - 1)
    return [
        plain_row("7c", what + ", memory", memory, "MB", 85, note),
        plain_row("7c", what + ", CPU", share, "%", 1.5, "of one core, 8 s"),
        plain_row("7c", what + ", until all run", took, "s", 1),
    ]


def children_of(parents):
    """The pids of the children of these."""
    found = set()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open("/proc/%s/stat" % entry) as file:
            if int(file.read().rpartition(")")[2].split()[1]) in parents:
                found.add(int(entry))
    return found


def name_of(pid):
    with contextlib.suppress(OSError), open("/proc/%d/comm" % pid) as file:
        return file.read().strip()
    return ""


def memory_of_workers(home, number, what, python, limit):
    home.python = python
    with home.working(4):
        words = python + ["-c", BARE_CHILDREN]
        bare = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment())
        try:
            children = [int(bare.stdout.readline()) for _ in range(4)]
            time.sleep(1.5)
            ours = [proportional_memory(pid) for kind, pid in home.pids() if kind == "worker"]
            theirs = [proportional_memory(pid) for pid in children]
            (supervisor,) = [proportional_memory(pid) for kind, pid in home.pids() if kind == "supervisor"]
        finally:
            bare.communicate()
    note = "beside a bare spawn-mode child; the supervisor has %.1f MB" % supervisor
    return at_most(number, "memory of an idle worker" + what, "MB", sorted(ours), sorted(theirs), limit, note)


# ---------------------------------------------------------------- works 8, 9, 12: size


class Claimer:
    """Claims and finishes jobs in this process, as a worker does under its supervisor's keeper."""

    def __init__(self, home):
        self.queue = home.queue
        self.settings = Settings(**settings.SETTING_DEFAULTS)
        self.keeper = home.queue.database.keeper()

    def claim_and_finish(self):
        """Milliseconds of one claim and of recording its result."""
        began = time.perf_counter()
        _, claims, _ = self.queue.exchange("bench", [], 1, time.time(), self.settings)
        claimed = time.perf_counter()
        outcomes = [Outcome(claim, "completed", time.time()) for claim in claims]
        for outcome in outcomes:
            outcome.exit_code, outcome.started = 0, outcome.finished
        middle = time.perf_counter()
        self.queue.exchange("bench", outcomes, 0, time.time(), self.settings)
        return (claimed - began) * 1000, (time.perf_counter() - middle) * 1000

    def close(self):
        self.keeper.close()


def rows_text(bench):
    scaled = "" if bench.scale.rows == 1000000 else " (scaled down)"
    return "{:,} pending and finished each{}".format(bench.scale.rows, scaled)


def work_8(bench):
    """Claim + finish of one job at a time, alternately in the large and the small database."""
    claimers = [Claimer(home) for home in bench.databases()]
    for claimer in claimers:
        claimer.claim_and_finish()
    small, large = columns([[claimer.claim_and_finish() for claimer in claimers] for _ in range(bench.scale.claims)])
    for claimer in claimers:
        claimer.close()
    for place, what in enumerate(("claim", "finish")):
        few, many = ([pair[place] for pair in pairs] for pairs in (small, large))
        bench.grown(what, "ms", statistics.median(few), statistics.median(many))
    part = max(1, bench.scale.claims // 5)
    ours, theirs = (
        [statistics.median(map(sum, pairs[i : i + part])) for i in range(0, len(pairs), part)]
        for pairs in (large, small)
    )
    return [at_most("8", "claim + finish, large queue", "ms", ours, theirs, 1.5, rows_text(bench) + ", beside 1,000")]


def work_9(bench):
    """status, list and show as processes, beside an interpreter that imports three modules."""
    small, large = bench.databases()
    commands = {
        "status": (["status"], 1.3),
        "list --limit 20": (["list", "--limit", "20"], 1.3),
        "show": (["show", "finished0000500"], 1.3),
        "list --state completed": (["list", "--state", "completed"], 2.0),
    }
    rows = []
    for name, (words, limit) in commands.items():
        turns = []
        for _ in bench.turns(bench.scale.turns + 2):
            turns.append([timed(one)[0] * 1000 for one in (large.words(*words), IMPORTS, small.words(*words))])
        ours, bare, few = columns(turns)
        bench.grown(name, "ms", statistics.median(few), statistics.median(ours))
        rows.append(at_most("9", name, "ms", ours, bare, limit, rows_text(bench)))
    return rows


def prune_rate(home, days):
    """Milliseconds per 1,000 jobs of a prune in this process."""
    keeper = home.queue.database.keeper()
    began = time.perf_counter()
    deleted = pruning.prune(home.queue.database, ["completed"], time.time() - days * DAY, lambda count: None)
    seconds = time.perf_counter() - began
    keeper.close()
    return 1000 * seconds / max(1, deleted) * 1000


def work_12(bench):
    """Prune about half of the finished jobs while 2 workers run others; every claim of a third claimer is timed."""
    small, large = bench.databases()
    bench.grown("prune, per 1,000 jobs", "ms", prune_rate(small, 1), prune_rate(large, 300))
    claimer, waits = Claimer(large), []
    words = large.words("prune", "--json", "--state", "completed", "--older-than", "1d")
    with large.working(2):
        began = time.monotonic()
        pruning = subprocess.Popen(words, env=clean_environment(), stdout=subprocess.PIPE)
        while pruning.poll() is None:
            waits.append(claimer.claim_and_finish()[0])
            time.sleep(0.003)
        seconds = time.monotonic() - began
    claimer.close()
    said = pruning.communicate()[0]
    if pruning.returncode:
        raise RuntimeError("prune exited %d" % pruning.returncode)
    facts = (len(waits), seconds, json.loads(said)["deleted"], statistics.median(waits), percentile(waits, 0.99))
    note = "%d claims in %.1f s of pruning %d jobs; median %.1f ms, 99th percentile %.1f ms" % facts
    return [plain_row("12", "longest claim while pruning", max(waits), "ms", 250, note)]


# ---------------------------------------------------------------- growth, and others beside it

ENQUEUER = """
import sys
sys.path.insert(0, sys.argv[1])
import storage, time
from queuectl_lib.jobs.fields import JobMaker
queue = storage.Queue(sys.argv[2])
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    queue.enqueue(JobMaker(3, "/", 18, time.time()).row({"command": "true"}))
"""


def enqueue_rate(home, processes, jobs):
    """Jobs per second of processes that enqueue one by one at the same time."""
    home.queue.database.create()
    keeper = home.queue.database.keeper()
    words = [sys.executable, "-c", ENQUEUER, ROOT, home.queue.path, str(jobs // processes)]
    writers = [subprocess.Popen(words, stdin=subprocess.PIPE) for _ in range(processes)]
    time.sleep(0.3 + 0.05 * processes)
    began = time.perf_counter()
    for writer in writers:
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    codes = [writer.wait() for writer in writers]
    seconds = time.perf_counter() - began
    for writer in writers:
        writer.stdin.close()
    keeper.close()
    if any(codes) or looking.counts(home.queue.database)["pending"] != jobs:
        raise RuntimeError("enqueue by %d processes failed: %r" % (processes, codes))
    return jobs / seconds


def output_seconds(home, size):
    """Seconds of one job that writes *size* bytes, from its start to its recorded end."""
    home.add("head -c %d /dev/zero" % size)
    done = looking.counts(home.queue.database)["completed"]
    home.await_completed(done + 1)
    with home.connect() as connection:
        row = connection.execute("SELECT started_at, finished_at FROM jobs ORDER BY seq DESC LIMIT 1").fetchone()
    return times.utc_seconds(row[1]) - times.utc_seconds(row[0])


def growth_rows(bench):
    """What the works have not measured yet: writers at once, and sizes of output."""
    jobs = 64 if bench.scale.name == "quick" else 800
    bench.grown(
        "enqueue, 1 and 16 processes",
        "jobs/s",
        enqueue_rate(bench.home(), 1, jobs),
        enqueue_rate(bench.home(), 16, jobs),
    )
    if not shutil.which("head"):
        return
    home = bench.home()
    with home.working(1):
        sizes = [1, 10**6] + ([10**9] if bench.scale.name == "full" else [])
        times = [
            1000 * statistics.median(output_seconds(home, size) for _ in range(3 if size < 10**9 else 1))
            for size in sizes
        ]
    bench.grown("a job with 1 byte and 1 MB of output", "ms", times[0], times[1])
    if len(times) > 2:
        bench.grown("a job with 1 byte and 1 GB of output", "ms", times[0], times[2])


def parallel_rate(bench, jobs):
    path = os.path.join(bench.folder, "commands")
    with open(path, "w") as file:
        file.write("true\n" * jobs)
    with open(path) as file:
        return jobs / timed(["parallel", "-j2"], file)[0]


def spooler_rate(bench, jobs):
    """task-spooler with two slots and a server of its own, submitting included."""
    program = shutil.which("tsp") or "ts"
    script = '"$0" -S 2; i=0; while [ $i -lt %d ]; do "$0" -n true; i=$((i+1)); done; "$0" -w; "$0" -K' % jobs
    socket = "TS_SOCKET=" + os.path.join(bench.folder, "socket")
    return jobs / timed(["env", socket, "TS_MAXFINISHED=10", "sh", "-c", script, program])[0]


def nq_rate(bench, jobs):
    """nq runs one job at a time: two queues side by side, submitting included."""
    script = "i=0; while [ $i -lt %d ]; do nq -q true; i=$((i+1)); done; nq -w" % (jobs // 2)
    folders = [tempfile.mkdtemp(prefix="nq", dir=bench.folder) for _ in range(2)]
    both = " & ".join("(NQDIR=%s; export NQDIR; %s)" % (folder, script) for folder in folders)
    return jobs / timed(["sh", "-c", both + " & wait"])[0]


PEERS = (
    ("xargs -P2", ("xargs",), xargs_rate),
    ("GNU parallel -j2", ("parallel",), parallel_rate),
    ("task-spooler, 2 slots", ("tsp",), spooler_rate),
    ("nq, 2 queues", ("nq",), nq_rate),
)


def beside(bench):
    """The same jobs by others, where they are installed: (name, jobs/s or why not, ours to theirs)."""
    jobs, found = bench.scale.jobs, []
    for name, programs, rate in PEERS:
        if not any(map(shutil.which, programs)):
            found.append((name, "not installed", None))
            continue
        try:
            pairs = [(drain_rate(bench.home(), 2, jobs), rate(bench, jobs)) for _ in range(3)]
        except (RuntimeError, OSError) as error:
            found.append((name, "failed: %s" % error, None))
            continue
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        found.append((name, "%s jobs/s" % number_text(statistics.median(columns(pairs)[1])), ratio))
    return found


# ---------------------------------------------------------------- running and printing

WORKS = {
    1: work_1, 2: work_2, 3: work_3, 4: work_4, 5: work_5, 6: work_6,
    7: work_7, 8: work_8, 9: work_9, 10: work_10, 11: work_11, 12: work_12,
}  # fmt: skip


def sync_cost(folder):
    """Milliseconds to append 100 bytes and sync them here: what durability costs at the least."""
    sync, times = getattr(os, "fdatasync", os.fsync), []
    with open(os.path.join(folder, "sync"), "wb", buffering=0) as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(b"x" * 100)
            sync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def start_cost(*flags):
    """Milliseconds that an interpreter takes to start and end."""
    return statistics.median(timed([sys.executable] + list(flags) + ["-c", "pass"])[0] for _ in range(5)) * 1000


def host_facts(bench):
    """What the figures depend on. Where much more than a bare start is site, .pth files weigh on both sides."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "mode": bench.scale.name,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.system(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": None if load is None else round(load, 2),
        "python_ms": round(start_cost(), 1),
        "python_without_site_ms": round(start_cost("-S"), 1),
        "sync_ms": round(sync_cost(bench.folder), 3),
        "rows": bench.scale.rows,
    }


def measure(bench, numbers):
    """Run the works; a word on standard error tells how far it is."""
    rows = []
    for number in numbers:
        began = time.monotonic()
        sys.stderr.write("work %d ... " % number)
        sys.stderr.flush()
        try:
            rows += WORKS[number](bench)
        except Missing as error:
            rows.append(absent_row(str(number), (WORKS[number].__doc__ or "").split(",")[0], "", str(error)))
        sys.stderr.write("%.1f s\n" % (time.monotonic() - began))
    return rows


def print_table(headings, rows):
    widths = [max(len(str(row[place])) for row in [headings] + rows) for place in range(len(headings))]
    for row in [headings] + rows:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())


def print_report(facts, rows, growth, others):
    print(", ".join("%s %s" % (name, value) for name, value in facts.items()))
    print()
    headings = ("no", "work", "ours", "yardstick", "ratio", "spread", "turns", "target", "reached", "note")
    if rows:
        print_table(headings, [row.cells() for row in rows])
    if growth:
        print()
        cells = [
            (what, number_text(a) + " " + unit, number_text(b) + " " + unit, "%.2f" % (b / a))
            for what, unit, a, b in growth
        ]
        print_table(("growth: 1,000 jobs and the large queue, unless said", "small", "large", "ratio"), cells)
    if others:
        print()
        print_table(
            ("beside it", "rate", "ours / theirs"),
            [(n, text, "-" if r is None else "%.2f" % r) for n, text, r in others],
        )


def as_json(facts, rows, growth, others):
    return {
        "host": facts,
        "works": [vars(row) for row in rows],
        "growth": [dict(zip(("what", "unit", "small", "large"), one)) for one in growth],
        "beside": [dict(zip(("name", "rate", "ratio"), one)) for one in others],
    }


def parse_options(argv):
    parser = argparse.ArgumentParser(description="measure the queue beside yardsticks")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="seconds: does it run at all?")
    size.add_argument("--full", action="store_true", help="a million jobs, more turns, other queues beside it")
    parser.add_argument("--only", metavar="N[,N]", help="only these works (1 to 12)")
    parser.add_argument("--beside", action="store_true", help="only the other queues that are installed")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--dir", metavar="DIR", help="work in a new folder there: a disk, not memory")
    options = parser.parse_args(argv)
    if options.beside:
        options.only = ""
    words = list(map(str, WORKS)) if options.only is None else options.only.split(",")
    try:
        options.numbers = sorted(int(word) for word in words if word)
    except ValueError:
        parser.error("--only takes numbers such as 1,3,5")
    if not set(options.numbers) <= set(WORKS):
        parser.error("--only takes numbers from 1 to %d" % len(WORKS))
    return options


def main(argv=None):
    options = parse_options(argv)
    scale = SCALES["quick" if options.quick else "full" if options.full else "normal"]
    folder = tempfile.mkdtemp(prefix="queuectl-bench-", dir=options.dir)
    try:
        bench = Bench(scale, folder)
        facts = host_facts(bench)
        rows = measure(bench, options.numbers)
        if options.only is None:
            growth_rows(bench)
        others = beside(bench) if options.beside or (options.full and options.only is None) else []
        facts["seconds"] = round(time.monotonic() - bench.began)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print_report(facts, rows, bench.growth, others)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(as_json(facts, rows, bench.growth, others), file, indent=2)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
