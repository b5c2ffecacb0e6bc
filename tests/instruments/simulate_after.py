#!/usr/bin/env python3
"""simulate_after: the same interleavings as simulate, of jobs that come after others.

    python3 tests/instruments/simulate_after.py [--seeds N] [--first N] [--steps N]

The account knows by the words of the contract what an end of a parent makes of its children, what a requeue brings
back, and what it refuses. After each step every row and every edge must be as it says, and nothing be left to settle.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(sys.path[0]))

from instruments import simulate
from instruments.simulate import Account, World, must
from queuectl_lib import times
from queuectl_lib.jobs import states
from queuectl_lib.store import placing

KINDS = ("after", "after_any", "after_fail")
FITTING = {"after": ("completed",), "after_any": states.FINAL, "after_fail": ("dead",)}
SEEN = set()  # what seeds have come to: without it they prove less than they say
EDGES = "SELECT c.id, e.parent_id, e.state FROM edges e JOIN jobs c ON c.seq = e.child ORDER BY e.child, e.parent_id"


class Edge:
    """What a job waits for of another: open, met or broken."""

    def __init__(self, parent, kind):
        self.parent = parent
        self.kind = kind
        self.state = "open"
        self.look()

    def look(self):
        if self.parent.state in states.FINAL:
            self.state = "met" if self.parent.state in FITTING[self.kind] else "broken"


class AfterAccount(Account):
    """The same, and who comes after whom."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def note_fields(self, job, fields, now):
        found = [(parent, kind) for kind in KINDS for parent in fields.get(kind, ())]
        job.edges = [Edge(self.jobs[parent], kind) for parent, kind in found]
        job.fell = False  # cancelled because of a parent
        if self.is_broken(job):
            SEEN.add("cancelled at birth")
            self.fall(job, now)
        elif self.waits(job):
            job.lane = 2

    @staticmethod
    def is_broken(job):
        return any(edge.state == "broken" for edge in job.edges)

    @staticmethod
    def waits(job):
        return any(edge.state == "open" for edge in job.edges)

    def fall(self, job, now):
        job.end("cancelled", now)
        job.updated, job.fell = now, True

    def after(self, parent, state):
        """(child, edge) of all that come after *parent* by an edge in *state*."""
        return [
            (job, edge)
            for job in self.jobs.values()
            for edge in job.edges
            if (edge.parent, edge.state) == (parent, state)
        ]

    def ends(self, parent):
        for child, edge in self.after(parent, "open"):
            edge.look()
            if edge.state == "broken" and child.state in states.WAITING:
                SEEN.update({"a child falls", parent.fell and "a grandchild falls"})
                self.fall(child, self.now)
                self.ends(child)
            elif child.lane == 2 and not self.waits(child):
                SEEN.add("several parents" if len(child.edges) > 1 else "one parent")
                child.lane, child.updated = int(child.due > self.now), self.now

    def returns(self, parent):
        for child, edge in self.after(parent, "broken"):
            edge.state = "open"
            if child.fell and self.is_broken(child):
                SEEN.add("another parent keeps it down")
            if child.state == "cancelled" and not child.fell:
                SEEN.add("a person has cancelled it")
            if child.fell and child.state == "cancelled" and not self.is_broken(child):
                SEEN.add("a child returns")
                child.attempts, child.updated, child.finished, child.worker = 0, self.now, None, None
                child.fell = False
                child.wait("pending", child.first_due, 2)
                self.returns(child)

    def settle(self, outcome):
        job = self.jobs.get(outcome.claim.id)
        settled = super().settle(outcome)
        if settled and job.state in states.FINAL:
            self.ends(job)
        return settled

    def cancel(self, job, now):
        super().cancel(job, now)
        if job.state == "cancelled":
            job.fell = False  # also where it fell with another that the same call named before it
            self.ends(job)

    def requeue(self, job, now):
        super().requeue(job, now)
        job.fell = False
        for edge in job.edges:
            edge.state = "open" if edge.state == "broken" else edge.state
        job.lane = 2 if self.waits(job) else 0
        self.returns(job)

    def may_return(self, jobs):
        """True where each of them comes after nothing that has ended otherwise, but with it."""
        broken = [edge for job in jobs for edge in job.edges if edge.state == "broken"]
        if broken:
            SEEN.add("with its parent" if all(edge.parent in jobs for edge in broken) else "a broken edge")
        return all(edge.parent in jobs for edge in broken)


class AfterWorld(World):
    """The same, with children."""

    ACCOUNT = AfterAccount
    WEIGHTS = dict(simulate.WEIGHTS, enqueue=6, cancel=4, requeue=6, retry_dead=2)

    def more_fields(self):
        known = [one for one in self.account.jobs if one != self.naming]
        fields = {}
        for parent in self.chance.sample(known, min(len(known), self.chance.choice((0, 0, 1, 1, 2, 3)))):
            fields.setdefault(self.chance.choice(KINDS[:1] * 2 + KINDS), []).append(parent)
        return fields

    def call(self, function, *arguments, mortal=True):
        self.account.now = self.now
        return super().call(function, *arguments, mortal=mortal)

    def requeue(self):
        jobs = sorted(self.some_jobs(), key=lambda job: job.seq)
        ids, known = [job.id for job in jobs], ("dead", "cancelled")
        allowed = known if self.account.may_return(jobs) else ()
        self.by_hand("requeue", jobs, allowed, lambda: self.queue.requeue(ids, known, self.now), self.account.requeue)

    def check(self):
        super().check()
        connection = self.queue.database.kept
        wrong = placing.misplaced(self.queue.database, times.utc_text(self.now))
        must(not wrong, "not where PLACE says: %s", wrong)
        left = [tuple(row) for row in connection.execute("SELECT * FROM settling")]
        must(not left, "not settled: %s", left)
        words = ("met", "open", "broken")
        found = [(child, parent, words[state]) for child, parent, state in connection.execute(EDGES)]
        jobs = sorted(self.account.jobs.values(), key=lambda job: job.seq)
        expected = [
            (job.id, edge.parent.id, edge.state)
            for job in jobs
            for edge in sorted(job.edges, key=lambda e: e.parent.id)
        ]
        must(found == expected, "edges\n%s\nmust be\n%s", found, expected)

    def check_results(self):
        super().check_results()
        for job in self.account.jobs.values():
            must(not self.account.waits(job) or job.state == "cancelled", "%s waits for ever", job.id)


if __name__ == "__main__":
    sys.exit(simulate.main(AfterWorld))
