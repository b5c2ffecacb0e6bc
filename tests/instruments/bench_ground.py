"""What the works of bench stand on: figures, a queue to measure, processes that are timed, the large database."""

import collections
import contextlib
import os
import sqlite3
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "queuectl.py")
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests")]

from queuectl_lib import settings, times
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import wording
from queuectl_lib.store import looking, queues, roster
from storage import Queue

# turns: repetitions; costly: of what takes seconds; jobs, crowd: drained by 2, and by 2 and
# 50 workers; lines: enqueued from a file; rows: of each kind in the large database; due: that
# fall due at once; row: jobs of each of ten parts of a long row; idle: seconds of doing nothing;
# pickups, claims, adds: single operations; burst: adds at once; seconds: after which one work,
# on a busy machine, makes do with fewer turns.
Scale = collections.namedtuple(
    "Scale", "name turns costly jobs crowd lines rows due row idle pickups claims adds burst seconds"
)
SCALES = {
    "quick": Scale("quick", 2, 1, 200, 300, 5000, 5000, 5000, 200, 2.0, 20, 20, 3, 20, 10),
    "normal": Scale("normal", 5, 3, 2000, 5000, 100000, 200000, 100000, 3000, 16.0, 200, 200, 15, 100, 13),
    "full": Scale("full", 7, 5, 2000, 5000, 100000, 1000000, 100000, 20000, 20.0, 200, 500, 25, 100, 600),
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


def drain_rate(home, slots, jobs, command="true"):
    """Jobs per second from the first start to the last finish, workers with these *slots* being up and idle before."""
    with home.working(slots, wording.useful_processes(slots)):
        home.fill(jobs, command)
        home.await_completed(jobs, 0.2)  # the span is told by the jobs themselves
    return jobs / home.span()


def timed(words, stdin=None, environment=None, codes=(0,)):
    """Wall and CPU seconds of a process that exits with one of *codes* (CPU: None where the system does not tell)."""
    streams = {"stdin": stdin or subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    began = time.perf_counter()
    child = subprocess.Popen(words, env=dict(clean_environment(), **(environment or {})), **streams)
    if not hasattr(os, "wait4"):
        code, cpu = child.wait(), None
        wall = time.perf_counter() - began
    else:
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        code, cpu = status >> 8 or status, usage.ru_utime + usage.ru_stime
        child.returncode = code  # reaped here
    if code not in codes:
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
            populate(self.large, self.scale.rows, self.scale.rows, self.scale.due)
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


# In front of all others, by their priority: held, parked for a lock, after a job that is held, and in a paused queue.
ASIDE = (
    NUMBERS
    + " INSERT INTO jobs (id, command, max_retries, priority, next_run_at, lane, cwd, umask, created_at, updated_at,"
    " held_at, lock_key, queue) SELECT :name || printf('%%07d', i), 'true', 3, 9, :t, :lane, '/', 18, :t, :t,"
    " :held_at, :lock_key, :queue FROM n"
)
ASIDE_KINDS = {
    "held": {"lane": 3, "held_at": True},
    "parked": {"lane": 4, "lock_key": "taken"},
    "after": {"lane": 2},
    "paused": {"lane": 0, "queue": True},
}
EDGES = (
    "INSERT INTO edges (child, parent, parent_id, wants, state)"
    " SELECT seq, (SELECT seq FROM jobs WHERE id = 'held0000001'), 'held0000001', 1, 1 FROM jobs WHERE lane = 2"
)


def set_aside(home, count, runs="true"):
    """Put so many jobs of each of ASIDE_KINDS in front of what is due.

    The lock is held by one that a worker runs; which ends, so other workers have to come to it, where it *runs* long.
    """
    queues.change(home.queue.database, "paused", {})
    queues.pause(home.queue.database, ["paused"], None, None, time.time())
    holder = {"command": runs, "id": "holder", "lock": "taken", "priority": 99}
    home.queue.enqueue(JobMaker(3, "/", 0o022, time.time()).row(holder))
    if runs == "true":
        known = settings.Settings(**settings.SETTING_DEFAULTS)
        assert home.queue.exchange("other", [], 1, time.time(), known)[1][0].id == "holder"
    now = times.utc_text(time.time())
    with home.connect() as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        paused = connection.execute("SELECT id FROM queues WHERE name = 'paused'").fetchone()[0]
        for name, kind in ASIDE_KINDS.items():
            values = dict({"name": name, "t": now, "held_at": None, "lock_key": None, "queue": 0}, **kind)
            values.update(held_at=values["held_at"] and now, queue=values["queue"] and paused)
            connection.execute(ASIDE % count, values)
        connection.execute(EDGES)
        connection.execute("COMMIT")


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
