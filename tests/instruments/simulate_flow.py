#!/usr/bin/env python3
"""simulate_flow: the same interleavings as simulate, of jobs with queues, limits, locks, pauses and holds.

    python3 tests/instruments/simulate_flow.py [--seeds N] [--first N] [--steps N]

The account knows the rules by the words of the contract, in plain Python: who is next between queues, what is claimed
only to be started at once, which job is parked for a lock and which comes back when that is free. After each step
every row must stand in the lane that the account says, which is the one that PLACE says; never do more run of a queue
or with a lock than may; and where a place is free, no job that could take it is left aside.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(sys.path[0]))

from instruments import simulate
from instruments.simulate import Account, World, must
from queuectl_lib import times
from queuectl_lib.jobs import states
from queuectl_lib.store import holding, lock_table, placing, queues

QUEUES = ("default", "mail", "bulk")
LOCKS = ("db", "disk")


class FlowAccount(Account):
    """The same, and who may run."""

    def __init__(self):
        super().__init__()
        self.limits = dict.fromkeys(QUEUES)
        self.paused = dict.fromkeys(QUEUES, False)
        self.most = dict.fromkeys(LOCKS, 1)

    def note_fields(self, job, fields, now):
        job.queue, job.lock, job.held = fields.get("queue", "default"), fields.get("lock"), bool(fields.get("hold"))
        job.lane = 3 if job.held else job.lane

    def place(self, job, now):
        """The lane of a job that waits."""
        job.lane = 3 if job.held else int(job.due > now)

    # -------------------------------------------------------- what may run

    def running(self, key, value):
        return sum(job.state == "processing" and getattr(job, key) == value for job in self.jobs.values())

    def free_lock(self, key):
        for queue in QUEUES if key is not None else ():
            places = self.most[key] - self.running("lock", key)
            parked = [job for job in self.jobs.values() if (job.lane, job.lock, job.queue) == (4, key, queue)]
            for job in sorted(parked, key=self.order)[: max(0, places)]:
                job.lane = 0

    @staticmethod
    def order(job):
        return (-job.priority, job.due, job.seq)

    def claimable(self, want, now):
        for job in self.jobs.values():
            if job.lane == 1 and job.due <= now:
                job.lane = 0
        run = {queue: self.running("queue", queue) for queue in QUEUES}
        held = {key: self.running("lock", key) for key in LOCKS}
        is_open = {queue: not self.paused[queue] for queue in QUEUES}
        chosen = []
        while len(chosen) < want:
            due = [
                job
                for job in self.jobs.values()
                if job.lane == 0 and job not in chosen and is_open[job.queue]
                if self.limits[job.queue] is None or run[job.queue] < self.limits[job.queue]
            ]
            if not due:
                break
            best = min(due, key=lambda job: (-job.priority, run[job.queue], job.due, job.seq))
            if chosen and (best.lock or self.limits[best.queue] is not None):
                break
            if best.lock and held[best.lock] >= self.most[best.lock]:
                best.lane = 4
                continue
            chosen.append(best)
            run[best.queue] += 1
            if best.lock:
                held[best.lock] += 1
        return chosen

    # -------------------------------------------------------- what the others do, and a lock with it

    def settle(self, outcome):
        job = self.jobs.get(outcome.claim.id)
        settled = super().settle(outcome)
        if settled:
            if job.lane is not None:
                job.held = False
                is_given_back = job.state == "pending" and outcome.kind != "snoozed"
                self.place(job, 0 if is_given_back else outcome.finished)
                job.lane = 0 if is_given_back else job.lane
            self.free_lock(job.lock)
        return settled

    def cancel(self, job, now):
        waits = job.state != "processing"
        super().cancel(job, now)
        if waits:
            self.free_lock(job.lock)

    def requeue(self, job, now):
        super().requeue(job, now)
        job.held = False

    def hold(self, job, now):
        if not job.held:
            job.held, job.lane, job.updated = True, 3, now
            self.free_lock(job.lock)

    def release(self, job, now):
        if job.held and job.state in states.WAITING:
            job.held, job.updated = False, now
            self.place(job, now)


class FlowWorld(World):
    """The same, and people who hold, pause and limit."""

    ACCOUNT = FlowAccount
    WEIGHTS = dict(
        simulate.WEIGHTS,
        enqueue=6,
        hold=3,
        release=3,
        pause=2,
        resume=3,
        limit=2,
        lock=2,
    )

    def __init__(self, seed, folder):
        super().__init__(seed, folder)
        for name in QUEUES[1:]:
            queues.change(self.queue.database, name, {})
        self.numbers = queues.ids(self.queue.database)

    def more_fields(self):
        fields = {"queue": self.chance.choice(QUEUES), "lock": self.chance.choice((None, None) + LOCKS)}
        return dict(fields, hold=self.chance.random() < 0.1)

    def queue_of(self, name):
        return self.numbers[name]

    def hold(self):
        jobs = self.some_jobs()
        ids = [job.id for job in jobs]
        self.by_hand(
            "hold", jobs, states.WAITING, lambda: holding.hold(self.queue.database, ids, self.now), self.account.hold
        )

    def release(self):
        jobs = self.some_jobs()
        ids = [job.id for job in jobs]
        allowed = states.WAITING + ("processing",)

        def call():
            holding.release(self.queue.database, ids, self.now)

        self.by_hand("release", jobs, allowed, call, self.account.release)

    def pause(self):
        name = self.chance.choice(QUEUES)
        self.note("pause %s", name)
        queues.pause(self.queue.database, [name], None, None, self.now)
        self.account.paused[name] = True

    def resume(self):
        self.note("resume")
        queues.resume(self.queue.database, [])
        self.account.paused = dict.fromkeys(QUEUES, False)

    def limit(self):
        name, limit = self.chance.choice(QUEUES), self.chance.choice((None, 1, 2))
        self.note("queue set %s --limit %s", name, limit)
        queues.change(self.queue.database, name, {"running_most": limit})
        self.account.limits[name] = limit

    def lock(self):
        key, most = self.chance.choice(LOCKS), self.chance.choice((1, 1, 2))
        self.note("lock set %s %d", key, most)
        lock_table.change(self.queue.database, key, most)
        self.account.most[key] = most
        self.account.free_lock(key)

    def check(self):
        super().check()
        wrong = placing.misplaced(self.queue.database, times.utc_text(self.now))
        must(not wrong, "not where PLACE says: %s", wrong)
        for job in self.account.jobs.values():
            if job.lane == 4:
                free = self.account.most[job.lock] - self.account.running("lock", job.lock)
                due = [
                    one
                    for one in self.account.jobs.values()
                    if (one.lock, one.queue, one.lane) == (job.lock, job.queue, 0)
                ]
                must(free <= 0 or due, "%s is parked, and nothing runs with its lock", job.id)

    def drain(self):
        self.resume()
        for name in QUEUES:
            queues.change(self.queue.database, name, {"running_most": None})
            self.account.limits[name] = None
        held = [job for job in self.account.jobs.values() if job.held and job.state in states.WAITING]
        holding.release(self.queue.database, [job.id for job in held], self.now)
        for job in held:
            self.account.release(job, self.now)
        super().drain()


if __name__ == "__main__":
    sys.exit(simulate.main(FlowWorld))
