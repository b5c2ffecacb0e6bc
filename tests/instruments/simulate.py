#!/usr/bin/env python3
"""simulate: thousands of interleavings of imaginary workers on the real storage, one seed each.

    python3 tests/instruments/simulate.py [--seeds N] [--first N] [--steps N]

Nothing here runs or sleeps. The queue is the real one, on a real SQLite file (in /dev/shm
where that exists); workers, commands, clocks and deaths are imaginary, and a seed decides
who makes the next step. A worker can die before a call, inside its transaction, after its
commit but before it knows, or seem dead and wake late with a result in its hands.

A second account is kept in plain Python (Account): what every job must look like by the
words of the contract. After each step the database must agree with it row by row, and no
two commands of one job may run at once. In the end one last worker drains the queue, and
every job must have got what its commands did.

The first step that breaks something ends the run: its seed and the steps so far are shown.
Exit code: 0 all seeds held, 1 one did not.
"""

import argparse
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from queuectl_lib import settings, times
from queuectl_lib.errors import QueueError
from queuectl_lib.host import failpoints
from queuectl_lib.jobs import states
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.settings import Settings
from queuectl_lib.store import claiming, looking, pruning, requeuing, selecting
from queuectl_lib.store.database import Database
from storage import Queue

START = 1800000000.0
DAY = 86400.0
STEPS = 120
SETTINGS = Settings(**dict(settings.SETTING_DEFAULTS, backoff_base=2, backoff_cap=20))
SNOOZES = 75  # what a command exits with that asks to run again later
COUNTED = ("completed", "failed", "lost", "cancelled")  # outcomes that use up an attempt


class Broken(Exception):
    """What the storage did is not what the contract says."""


class Crash(BaseException):
    """The imaginary process that made this call is killed here."""


def must(condition, text, *values):
    if not condition:
        raise Broken(text % values)


class SimulatedDatabase(Database):
    """The real database, but its calls share one connection: opening one is most of their cost."""

    kept = None
    fresh = False

    def open(self, options="mode=rw", gated=False):
        if self.fresh:
            return super().open(options, gated)
        if self.kept is None:
            self.kept = super().open(options, gated)
        return Unclosed(self.kept)


class SimulatedQueue(Queue):
    """The real queue on such a database."""

    def __init__(self, path):
        super().__init__(path)
        self.database = SimulatedDatabase(path)

    def enqueue_all(self, rows):
        self.database.fresh = True  # its private table lives and dies with its connection
        try:
            return list(self.enqueue_each(rows))
        finally:
            self.database.fresh = False


class Unclosed:
    """A connection that somebody else closes."""

    def __init__(self, connection):
        self.execute, self.executemany = connection.execute, connection.executemany

    def close(self):
        return


# ---------------------------------------------------------------- the account


class Job:
    """A job as it must be."""

    def __init__(self, identifier, seq, retries, priority, due, now, failures):
        self.id = identifier
        self.seq = seq
        self.max_retries = retries
        self.priority = priority
        self.first_due = due
        self.failures = failures  # how many executions fail before one succeeds
        self.naps = int(seq % 5 == 0)  # how often it asks to run again later, before that
        self.snoozes = 0
        self.state = "pending"
        self.attempts = 0
        self.due = due
        self.lane = int(due > now)
        self.worker = None
        self.token = None
        self.cancel_requested = 0
        self.runs = 0
        self.updated = now
        self.finished = None
        self.history = []  # [number, outcome, token where processes were left]

    def wait(self, state, due, lane):
        self.state, self.due, self.lane, self.token = state, due, lane, None

    def end(self, state, now):
        self.wait(state, None, None)
        self.finished = now

    def row(self):
        """The same columns as EXPECTED."""
        return (
            self.id,
            self.state,
            self.attempts,
            self.due if self.due is None else times.utc_text(self.due),
            self.lane,
            self.worker,
            self.token,
            self.cancel_requested,
            self.runs,
            times.utc_text(self.updated),
            self.finished if self.finished is None else times.utc_text(self.finished),
        )


EXPECTED = (
    "SELECT id, state, attempts, next_run_at, lane, worker, token, cancel_requested, runs, updated_at, finished_at"
    " FROM jobs ORDER BY seq"
)


class Account:
    """What must be in the database, kept by the words of the contract."""

    def __init__(self):
        self.jobs = {}
        self.last_seq = 0

    def add(self, identifier, retries, priority, due, now, failures):
        self.last_seq = max([job.seq for job in self.jobs.values()] or [0]) + 1
        self.jobs[identifier] = Job(identifier, self.last_seq, retries, priority, due, now, failures)

    def note_fields(self, job, fields, now):
        """What else the new *job* was given."""

    def claimable(self, want, now):
        """Promote what is due; who is claimed next, in order."""
        for job in self.jobs.values():
            if job.lane == 1 and job.due <= now:
                job.lane = 0
        due = [job for job in self.jobs.values() if job.lane == 0]
        return sorted(due, key=lambda job: (-job.priority, job.due, job.seq))[:want]

    def claim(self, job, worker, token, now):
        job.wait("processing", None, None)
        job.attempts += 1
        job.runs += 1
        job.worker, job.token, job.updated, job.finished = worker, token, now, None
        job.history.append([job.runs, "running", None])

    def settle(self, outcome):
        """True where the claim is still its own, and then what that makes of the job."""
        job = self.jobs.get(outcome.claim.id)
        token = outcome.claim.token
        if not job or job.token != token or job.seq != outcome.claim.seq:
            return False
        kind = outcome.kind
        if kind != "completed" and job.cancel_requested:
            kind = "cancelled"
        job.updated, job.cancel_requested = outcome.finished, 0
        if outcome.unstarted:
            job.history.pop()
        else:
            recorded = "cancelled" if outcome.kind == "given back" and kind == "cancelled" else outcome.kind
            job.history[-1] = [job.runs, recorded, outcome.leftovers and token]
        if kind == "given back":
            job.attempts -= 1
            job.runs -= int(outcome.unstarted)
            job.worker = None
            job.wait("pending", job.first_due, 0)
        elif kind == "snoozed":
            job.attempts, job.snoozes, job.worker = job.attempts - 1, job.snoozes + 1, None
            job.wait("pending", outcome.finished + outcome.delay, 1)
            job.finished = None
        elif kind in ("completed", "cancelled"):
            if outcome.unstarted:
                job.attempts, job.runs, job.worker = job.attempts - 1, job.runs - 1, None
            job.end(kind, outcome.finished)
        elif job.attempts > job.max_retries:
            job.end("dead", outcome.finished)
        else:
            delay = min(SETTINGS.backoff_base**job.attempts, SETTINGS.backoff_cap)
            job.wait("failed", outcome.finished + delay, 1)
            job.finished = None
        return True

    def cancel(self, job, now):
        job.updated = now
        if job.state == "processing":
            job.cancel_requested = 1
        else:
            job.end("cancelled", now)

    def requeue(self, job, now):
        job.attempts, job.snoozes, job.updated, job.finished, job.worker = 0, 0, now, None, None
        job.wait("pending", now, 0)

    def hurry(self, job, now):
        if job.due > now:
            job.wait("failed", now, 0)
            job.updated = now


# ---------------------------------------------------------------- the imaginary


class Execution:
    """A command that some claim has started; it goes on whatever becomes of its worker."""

    def __init__(self, job, token, code):
        self.job = job
        self.token = token
        self.code = code  # what it will exit with
        self.state = "running"  # exited, or killed without a word
        self.ended_at = None

    def finish(self, state, now):
        if self.state == "running":
            self.state, self.ended_at = state, now


class Worker:
    """A worker of the simulation; ``ghost`` seems dead to the others but wakes late."""

    def __init__(self, name):
        self.name = name
        self.alive = True
        self.ghost = False
        self.stopping = False
        self.ahead = []
        self.running = None  # a claim; its execution is known by its token
        self.ended = []
        self.verdicts = []  # (claim, dead worker, outcome or None to adopt), decided but not yet written

    def idle(self):
        return not (self.running or self.ahead or self.stopping)


WEIGHTS = {
    "enqueue": 4,
    "work": 40,
    "end_command": 12,
    "start_worker": 10,
    "kill_worker": 7,
    "look_around": 14,
    "decide": 20,
    "wake_ghost": 12,
    "pass_time": 8,
    "cancel": 3,
    "requeue": 4,
    "hurry": 2,
    "retry_dead": 1,
    "prune": 1,
    "stop_worker": 2,
    "jump": 1,
    "forgive": 2,
    "crash_host": 1,
}


class World:
    """One seed: a queue, its account, and everything imaginary."""

    ACCOUNT = Account
    WEIGHTS = WEIGHTS

    def __init__(self, seed, folder):
        self.chance = random.Random(seed)
        self.queue = SimulatedQueue(os.path.join(folder, "q.db"))
        self.queue.database.create()
        self.account = self.ACCOUNT()
        self.now = START
        self.workers = []
        self.executions = {}
        self.steps = []
        self.made = 0
        self.naming = ""
        self.die_at = ""
        self.went_back = False
        failpoints.failpoint = self.failpoint

    def close(self):
        if self.queue.database.kept is not None:
            self.queue.database.kept.close()

    # -------------------------------------------------------- dying inside a call

    def failpoint(self, name):
        if self.die_at and name.endswith(self.die_at):
            raise Crash()

    def call(self, function, *arguments, mortal=True):
        """(result, fate): fate is "" or where the caller died: before-commit, committed."""
        if mortal and self.chance.random() < 0.1:
            self.die_at = self.chance.choice(("before-commit", "committed"))
        try:
            return function(*arguments), ""
        except Crash:
            return None, self.die_at
        finally:
            self.die_at = ""

    def note(self, text, *values):
        self.steps.append("%3d  %-12s %s" % (len(self.steps) + 1, "t=%+.2f" % (self.now - START), text % values))

    # -------------------------------------------------------- steps of people

    def enqueue(self):
        count = self.chance.choice((1, 1, 2, 4))
        fields = []
        for _ in range(count):
            self.made += 1
            identifier = "j%d" % self.made
            if self.account.jobs and self.chance.random() < 0.05:
                identifier = self.chance.choice(list(self.account.jobs))
            delay = self.chance.choice((0, 0, 0, 5, 30))
            fields.append(
                {
                    "id": identifier,
                    "command": "true",
                    "max_retries": self.chance.choice((0, 1, 1, 3)),
                    "priority": self.chance.choice((0, 0, 0, 5, -5)),
                    "delay": delay,
                }
            )
            self.naming = identifier
            fields[-1].update(self.more_fields())
        maker = JobMaker(3, "/", 0o022, self.now)
        maker.queue_of = self.queue_of
        rows = [(line, maker.row(one)) for line, one in enumerate(fields, 1)]
        ids = [one["id"] for one in fields]
        taken = len(set(ids)) < count or any(identifier in self.account.jobs for identifier in ids)
        self.note("enqueue %s%s", " ".join(ids), ", refused" if taken else "")
        enqueue = (lambda: self.queue.enqueue(rows[0][1])) if count == 1 else lambda: self.queue.enqueue_all(rows)
        try:
            _, fate = self.call(enqueue)
            must(fate == "before-commit" or not taken, "an id that exists was taken again")
        except QueueError as error:
            must(taken, "refused: %s", error)
            return
        if fate:
            self.steps[-1] += ", killed " + fate
        for one in fields if fate != "before-commit" else ():
            self.account.add(
                one["id"],
                one["max_retries"],
                one["priority"],
                self.now + one["delay"],
                self.now,
                self.chance.choice((0, 0, 0, 1, 2, 9)),
            )
            self.account.note_fields(self.account.jobs[one["id"]], one, self.now)

    def more_fields(self):
        """What else a new job is given, whose id is self.naming."""
        return {}

    def queue_of(self, name):
        raise Broken("no job here names a queue")

    def some_jobs(self):
        ids = list(self.account.jobs)
        chosen = self.chance.sample(ids, min(len(ids), self.chance.choice((1, 1, 2))))
        return [self.account.jobs[identifier] for identifier in chosen]

    def by_hand(self, verb, jobs, allowed, function, change):
        """One call of a person for all of *jobs* or none."""
        if not jobs:
            return
        self.note("%s %s", verb, " ".join(job.id for job in jobs))
        possible = all(job.state in allowed for job in jobs)
        try:
            _, fate = self.call(function)
        except QueueError as error:
            must(not possible, "%s refused: %s", verb, error)
            self.steps[-1] += ", refused"
            return
        if fate:
            self.steps[-1] += ", killed " + fate
        must(possible or fate == "before-commit", "%s went through", verb)
        if fate != "before-commit":
            for job in jobs:
                change(job, self.now)

    def cancel(self):
        jobs = self.some_jobs()
        ids = [job.id for job in jobs]
        allowed = ("pending", "failed", "processing")
        self.by_hand("cancel", jobs, allowed, lambda: self.queue.cancel(ids, self.now), self.account.cancel)

    def requeue(self):
        jobs = self.some_jobs()
        ids, states = [job.id for job in jobs], ("dead", "cancelled")
        self.by_hand("requeue", jobs, states, lambda: self.queue.requeue(ids, states, self.now), self.account.requeue)

    def hurry(self):
        """A requeue of what waits for a retry: no move, but it is due."""
        jobs = self.some_jobs()
        ids, allowed = [job.id for job in jobs], () if any(getattr(job, "held", False) for job in jobs) else ("failed",)
        self.by_hand("hurry", jobs, allowed, lambda: self.queue.requeue(ids, ("failed",), self.now), self.account.hurry)

    def retry_dead(self):
        jobs = [job for job in self.account.jobs.values() if job.state == "dead"]
        self.by_hand("dlq retry --all", jobs, ("dead",), self.requeue_dead, self.account.requeue)

    def requeue_dead(self):
        dead = selecting.find(self.queue.database, selecting.Selection(["dead"]))
        requeuing.requeue_all(self.queue.database, dead, requeuing.Requeuing(["dead"], self.now), lambda: None)

    def prune(self):
        state = self.chance.choice(states.FINAL)
        before = self.now - self.chance.choice((0, 10, 40))
        self.note("prune %s before t=%+.2f", state, before - START)
        count, _ = self.call(pruning.prune, self.queue.database, [state], before, lambda count: None, mortal=False)
        gone = [job.id for job in self.account.jobs.values() if job.state == state and job.finished < before]
        must(count == len(gone), "%s pruned, not %s", count, gone)
        for identifier in gone:
            del self.account.jobs[identifier]

    # -------------------------------------------------------- time, and the ends of the world

    def pass_time(self):
        self.now += self.chance.choice((0.25, 1, 3, 10, 30))
        self.note("time passes")

    def jump(self):
        days = self.chance.choice((-DAY, DAY))
        self.now += days
        self.went_back = self.went_back or days < 0
        self.note("the clock jumps by %+d days", days / DAY)

    def forgive(self):
        """What a worker does that sees the clock go back."""
        if not self.went_back:
            return
        self.went_back = False
        self.note("a worker forgives the clock")
        self.call(self.queue.forgive_clock, self.now, mortal=False)
        for job in self.account.jobs.values():
            if job.lane == 1 and (job.state == "failed" or job.snoozes) and job.updated > self.now:
                job.lane = 0

    def crash_host(self):
        self.note("the host goes down, and up again")
        for worker in self.workers:
            worker.alive = worker.ghost = False
        for execution in self.executions.values():
            execution.finish("killed", self.now)

    def end_command(self):
        running = [execution for execution in self.executions.values() if execution.state == "running"]
        if running:
            execution = self.chance.choice(running)
            state = "killed" if self.chance.random() < 0.1 else "exited"
            self.note("the command of %s %s", execution.job, state)
            execution.finish(state, self.now)

    # -------------------------------------------------------- steps of workers

    def start_worker(self):
        if sum(worker.alive for worker in self.workers) < 4:
            self.workers.append(Worker("w%d" % (len(self.workers) + 1)))
            self.note("%s starts", self.workers[-1].name)

    def some_worker(self, fits=lambda worker: True):
        living = [worker for worker in self.workers if worker.alive and fits(worker)]
        return self.chance.choice(living) if living else None

    def kill_worker(self):
        worker = self.some_worker()
        if worker:
            worker.alive = False
            worker.ghost = self.chance.random() < 0.7
            self.note("%s %s", worker.name, "falls silent" if worker.ghost else "is killed")

    def wake_ghost(self):
        """It finishes what it was at, late: only what is still its own may count."""
        ghosts = [worker for worker in self.workers if worker.ghost]
        if ghosts:
            worker = self.chance.choice(ghosts)
            self.collect(worker)
            self.note("%s wakes late", worker.name)
            self.write(worker, worker.ended, 0)
            worker.ended = []

    def stop_worker(self):
        """worker stop --now: end what runs, give everything back."""
        worker = self.some_worker()
        if worker:
            self.note("%s is stopped now", worker.name)
            self.collect(worker)
            worker.stopping = True
            if worker.running:
                self.end_for(worker, "given back")

    def work(self):
        """A round of a worker."""
        worker = self.some_worker()
        if not worker:
            return
        self.collect(worker)
        if worker.ahead and not worker.running and not worker.stopping:
            self.start(worker, worker.ahead.pop(0))
        else:
            self.trade(worker)
        if worker.stopping and not (worker.running or worker.ended or worker.ahead):
            worker.alive = False

    def start(self, worker, claim):
        job = self.account.jobs[claim.id]
        expected = [left for _, _, left in job.history if left]
        must(sorted(claim.leftovers) == sorted(expected), "leftovers %s, not %s", claim.leftovers, expected)
        overlapping = [e.token for e in self.executions.values() if e.job == claim.id and e.state == "running"]
        must(not overlapping, "%s starts twice at once", claim.id)
        must(claim.attempts <= claim.max_retries + 1, "%s has too many attempts", claim.id)
        self.note("%s runs %s, attempt %d", worker.name, claim.id, claim.attempts)
        code = SNOOZES if job.snoozes < job.naps else 0 if claim.attempts > job.failures else 1
        self.executions[claim.token] = Execution(claim.id, claim.token, code)
        worker.running = claim

    def collect(self, worker):
        """Turn an execution that ended into an outcome in the worker's hands."""
        claim = worker.running
        if claim and self.executions[claim.token].state != "running":
            worker.ended.append(self.outcome_of(claim))
            worker.running = None

    def outcome_of(self, claim):
        """The verdict by evidence; None while it runs."""
        execution = self.executions.get(claim.token)
        if execution is None:
            outcome = Outcome(claim, "given back", self.now)
            outcome.unstarted = True
            return outcome
        if execution.state == "running":
            return None
        kind = {0: "completed", 1: "failed", SNOOZES: "snoozed"}[execution.code]
        outcome = Outcome(claim, "lost" if execution.state == "killed" else kind, execution.ended_at)
        outcome.delay = 7.0 if kind == "snoozed" else None
        if outcome.kind == "failed" and self.chance.random() < 0.3:
            outcome.leftovers = "pid 1 (sleep)"
        return outcome

    def end_for(self, worker, kind):
        """End the running command, which may leave politely: with exit code 0."""
        claim = worker.running
        self.executions[claim.token].finish(self.chance.choice(("killed", "exited")), self.now)
        worker.ended.append(Outcome(claim, kind, self.now))
        worker.running = None

    def trade(self, worker):
        want = 0 if worker.running or worker.stopping else self.chance.choice((0, 1, 1, 3))
        outcomes = list(worker.ended)
        if not want and worker.ahead:
            outcomes += [self.outcome_of(claim) for claim in worker.ahead]
        elif worker.ahead:
            want = 0
        if not (outcomes or want):
            return
        told = " and ".join("%s %s" % (o.claim.id, "unstarted" if o.unstarted else o.kind) for o in outcomes)
        self.note("%s records %s, wants %d", worker.name, told or "nothing", want)
        claims = self.write(worker, outcomes, want)
        if claims is not None:
            worker.ended = []
            worker.ahead = claims if want else []

    def write(self, worker, outcomes, want, mortal=True):
        """exchange(), checked; None where the worker died in it."""
        done, fate = self.call(self.queue.exchange, worker.name, outcomes, want, self.now, SETTINGS, mortal=mortal)
        if fate:
            self.steps[-1] += ", killed " + fate
            worker.alive = worker.ghost = False
        if fate == "before-commit":
            return None
        accepted = [self.account.settle(outcome) for outcome in outcomes]
        expected = self.account.claimable(want, self.now) if want else []
        tokens = self.tokens()
        for job in expected:
            must(tokens.get(job.id), "%s is next, but was not claimed", job.id)
            self.account.claim(job, worker.name, tokens[job.id], self.now)
        if fate:
            return None
        refused, claims, _ = done
        self.steps[-1] += ", too late" * (False in accepted)
        must([outcome not in refused for outcome in outcomes] == accepted, "%s accepted, not %s", outcomes, accepted)
        must([claim.id for claim in claims] == [job.id for job in expected], "claimed out of order: %s", claims)
        return claims

    def tokens(self):
        return dict(
            map(tuple, self.queue.database.kept.execute("SELECT id, token FROM jobs WHERE state = 'processing'"))
        )

    def look_around(self):
        """Heed cancels; decide by evidence about the jobs of the dead, but write it later."""
        worker = self.some_worker(self.chance.choice((Worker.idle, lambda worker: True)))
        if not worker:
            return
        living = {other.name for other in self.workers if other.alive}
        jobs = looking.processing(self.queue.database)
        self.note("%s looks around", worker.name)
        for job in jobs:
            if worker.running and job["token"] == worker.running.token and job["cancel_requested"]:
                self.collect(worker)
                if worker.running:
                    self.end_for(worker, "cancelled")
            if job["worker"] not in living:
                found = claiming.running_attempt(self.queue.database, job["seq"], job["token"])
                must(found, "%s is processing without an attempt", job["id"])
                worker.verdicts.append((found[0], job["worker"], self.outcome_of(found[0])))

    def decide(self):
        """Write a verdict, which by now another worker may have written."""
        adopting = self.chance.random() < 0.5
        worker = self.some_worker(lambda one: one.idle() if adopting and one.verdicts else one.verdicts)
        if not worker:
            return
        claim, dead, outcome = worker.verdicts.pop(self.chance.randrange(len(worker.verdicts)))
        if outcome:
            self.note("%s settles %s of %s: %s", worker.name, claim.id, dead, outcome.kind)
            self.write(worker, [outcome], 0)
        elif worker.idle():
            self.adopt(worker, claim, dead)

    def adopt(self, worker, claim, dead):
        self.note("%s adopts %s of %s", worker.name, claim.id, dead)
        done, fate = self.call(self.queue.adopt, claim, dead, worker.name, self.now)
        job = self.account.jobs.get(claim.id)
        mine = bool(job) and (job.seq, job.token, job.worker) == (claim.seq, claim.token, dead)
        if fate:
            self.steps[-1] += ", killed " + fate
            worker.alive = False
        else:
            must(done == mine, "adopted: %s, not %s", done, mine)
        if mine and fate != "before-commit":
            job.worker, job.updated = worker.name, self.now
            worker.running = None if fate else claim

    # -------------------------------------------------------- checking

    def check(self):
        """The database agrees with the account."""
        connection = self.queue.database.kept or self.queue.database.open() and self.queue.database.kept
        found = [tuple(row) for row in connection.execute(EXPECTED)]
        expected = [job.row() for job in sorted(self.account.jobs.values(), key=lambda job: job.seq)]
        for one, other in zip(found, expected):
            must(one == other, "is       %s\nmust be  %s", one, other)
        must(len(found) == len(expected), "%d jobs, not %d", len(found), len(expected))
        self.check_history(connection)
        kept = dict(map(tuple, connection.execute("SELECT state, jobs FROM counts")))
        real = dict.fromkeys(states.STATES, 0)
        for job in self.account.jobs.values():
            real[job.state] += 1
        must(kept == real, "counts %s, not %s", kept, real)
        tokens = [job.token for job in self.account.jobs.values() if job.token]
        must(len(set(tokens)) == len(tokens), "one token for two claims")
        for job in self.account.jobs.values():
            must(job.attempts <= job.max_retries + 1, "%s has %d attempts", job.id, job.attempts)

    def check_history(self, connection):
        rows = connection.execute(
            "SELECT j.id, a.number, a.outcome, CASE WHEN a.leftovers IS NULL THEN NULL ELSE a.token END"
            " FROM attempts a JOIN jobs j ON j.seq = a.job ORDER BY a.job, a.number"
        )
        found = {identifier: [] for identifier in self.account.jobs}
        for identifier, *attempt in rows:
            found[identifier].append(attempt)
        for job in self.account.jobs.values():
            one, other = found[job.id], job.history
            must(one == other, "history of %s\nis       %s\nmust be  %s", job.id, one, other)

    def drain(self):
        """One last worker, and nothing goes wrong any more."""
        self.note("all others die; one last worker drains")
        for worker in self.workers:
            worker.alive = False
        last = Worker("last")
        self.workers.append(last)
        for execution in self.executions.values():
            execution.finish("exited", self.now)
        for _ in range(1000):
            if all(job.state in states.FINAL for job in self.account.jobs.values()):
                return
            for job in looking.processing(self.queue.database):
                claim, _ = claiming.running_attempt(self.queue.database, job["seq"], job["token"])
                self.write(last, [self.outcome_of(claim)], 0, mortal=False)
            self.now += 3000  # past every backoff, and soon past every jump of the clock
            for claim in self.write(last, [], 4, mortal=False):
                self.start(last, claim)
                self.executions[claim.token].finish("exited", self.now)
                self.collect(last)
                self.write(last, last.ended, 0, mortal=False)
                last.ended = []
            self.check()
        raise Broken("it does not come to an end")

    def check_results(self):
        """What the commands did is what the jobs have become."""
        for job in self.account.jobs.values():
            done = [e for e in self.executions.values() if e.job == job.id and (e.state, e.code) == ("exited", 0)]
            last = job.history[-1][1] if job.history else "none"
            if job.state == "completed":
                must(done and last == "completed", "%s is completed, but nothing of it succeeded", job.id)
            elif job.state == "dead":
                must(job.attempts == job.max_retries + 1, "%s is dead after %d attempts", job.id, job.attempts)
        must(looking.counts(self.queue.database)["processing"] == 0, "something is still processing")


def simulate(seed, steps=STEPS, kind=World):
    """Play one seed; returns its steps in words. Raises Broken, with the steps so far."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="queuectl-simulation-", dir=place)
    untouched = failpoints.failpoint
    world = kind(seed, folder)
    try:
        for name in world.chance.choices(list(world.WEIGHTS), list(world.WEIGHTS.values()), k=steps):
            getattr(world, name)()
            world.check()
        world.drain()
        world.check_results()
        return world.steps
    except (Broken, QueueError, sqlite3.Error) as error:
        raise Broken("seed %s, step %d\n%s\n%s" % (seed, len(world.steps), "\n".join(world.steps), error)) from error
    finally:
        failpoints.failpoint = untouched
        world.close()
        shutil.rmtree(folder)


def main(kind=World):
    parser = argparse.ArgumentParser(description="Simulate workers that die between any two calls.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--first", type=int, default=1, help="the first of them (default 1)")
    parser.add_argument("--steps", type=int, default=STEPS, help="per seed (default %d)" % STEPS)
    options = parser.parse_args()
    began, steps = time.monotonic(), 0
    for seed in range(options.first, options.first + options.seeds):
        try:
            steps += len(simulate(seed, options.steps, kind))
        except Broken as error:
            print(error)
            return 1
    print("%d seeds, %d steps, %.1f s: every step held" % (options.seeds, steps, time.monotonic() - began))
    return 0


if __name__ == "__main__":
    sys.exit(main())
