"""A schedule lived through at random, beside an account of its slots in the plainest words there are.

Slots are made late, jobs run across the next slots, the schedule is paused, resumed and changed, and the clock goes
back: `python3 tests/instruments/simulate_schedules.py --seeds 2000`.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests")]

from helpers.queue import claim_one, rows, settle

from queuectl_lib import times
from queuectl_lib.jobs import due_slots, recurring, states
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import schedules, slots_made
from storage import Queue

START = times.utc_seconds("2027-06-01T12:00:00.000000Z")
END = START + 40 * 86400
HOUR = 3600.0
STEPS = 150
WHEN = {"*/7 * * * *": lambda minute: minute % 60 % 7 == 0, "5 * * * *": lambda minute: minute % 60 == 5}
POLICIES = [
    *(("once", None, "skip"), ("once", None, "allow"), ("once", None, "queue"), ("skip", None, "skip")),
    *(("all", 3, "queue"), ("all", 3, "allow"), ("skip", None, "allow")),
]


ACTS = ["look"] * 4 + ["wait"] * 3 + ["claim", "end"] * 2 + ["long", "pause", "back", "set"]


class Account:
    """What must be there: the slots that were made, and when the next one is."""

    def __init__(self, when, missed, most, overlap):
        self.missed, self.most, self.overlap = missed, most, overlap
        self.made, self.skipped = [], 0
        self.last = None  # the newest slot that was seen to
        self.open = []  # jobs that are not final, in their order
        self.is_running = False  # the first of them
        self.newest_is_open = False
        self.set(when, START)

    def set(self, when, now):
        self.when = when
        self.slots = [START + 60.0 * minute for minute in range(int(END - START) // 60) if WHEN[when](minute)]
        self.next = self.first_after(now)

    def first_after(self, now):
        return next(slot for slot in self.slots if slot > now)

    def make(self, now):
        if self.next is None or self.next > now:
            return
        due = [slot for slot in self.slots if self.next <= slot <= now]
        chosen = due[-(self.most or 1) :]
        if self.missed == "skip":
            chosen = [slot for slot in chosen if now - slot <= 120]
        newest_waits = self.newest_is_open and not (len(self.open) == 1 and self.is_running)
        if (self.overlap == "skip" and self.newest_is_open) or (
            self.overlap == "queue" and len(chosen) == 1 and newest_waits
        ):
            chosen = []
        self.made += chosen
        self.open += chosen
        self.newest_is_open = self.newest_is_open or bool(chosen)
        self.skipped += len(due) - len(chosen)
        self.last, self.next = due[-1], self.first_after(now)

    def end(self):
        self.open.pop(0)
        self.is_running = False
        self.newest_is_open = bool(self.open)

    def put_back(self, now):
        if self.next is not None and self.next > now:
            self.next = self.first_after(max(now, self.last or 0))


def put(queue, when, now, policy):
    missed, most, overlap = policy
    asked = {"name": "s", "when": when, "tz": "UTC", "missed": missed, "missed_most": most, "overlap": overlap}
    asked["job"] = {"command": "true"}
    schedules.put(queue.database, [recurring.of_schedule(asked, JobMaker(1, "/", 0o022, now))], now)


def live(queue, policy, seed):
    """One life of a new schedule, and its slots; raises AssertionError where it is not what the account says."""
    chance, now = random.Random("%d %s" % (seed, policy)), START
    account = Account("*/7 * * * *", *policy)
    put(queue, "*/7 * * * *", START, policy)
    held = None
    for step in range(STEPS):
        act = chance.choice(ACTS)
        if act == "look":
            slots_made.make_due(queue.database, now)
            account.make(now)
        elif act in ("wait", "long"):
            now += chance.random() * (chance.choice((200, 900)) if act == "wait" else 8 * HOUR)
        elif act == "claim" and not held:
            held = claim_one(queue, max(now, START))
            account.is_running = bool(held)
        elif act == "end" and held:
            settle(queue, held, states.COMPLETED, now)
            held = None
            account.end()
        elif act == "pause":
            change = schedules.pause if account.next is not None else schedules.resume
            change(queue.database, ["s"], now)
            account.next = None if account.next is not None else account.first_after(max(now, account.last or 0))
        elif act == "back" and now - START > 4 * HOUR:
            now -= chance.random() * due_slots.CLOCK_BACK_SECONDS / 3
            if account.last and account.last > now + due_slots.CLOCK_BACK_SECONDS:
                now = account.last
            slots_made.review(queue.database, now, "")
            account.put_back(now)
        elif act == "set" and account.next is not None:
            when = chance.choice(sorted(WHEN))
            put(queue, when, now, policy)
            if when != account.when:
                account.set(when, now)
        (row,) = schedules.all_of(queue.database)
        following = None if account.next is None else times.utc_text(account.next)
        assert row["next_at"] == following, "step %d, %s" % (step, act)
        assert (row["made"], row["skipped"]) == (len(account.made), account.skipped), "step %d, %s" % (step, act)
    found = [times.utc_seconds(job["slot"]) for job in rows(queue, "SELECT slot FROM jobs ORDER BY seq")]
    assert found == account.made
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", metavar="N", type=int, default=200, help="how many lives (default 200)")
    options = parser.parse_args()
    began, slots = time.monotonic(), 0
    for seed in range(options.seeds):
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # no sync is what is looked at here
        folder = tempfile.mkdtemp(prefix="queuectl-schedules-", dir=place)
        try:
            queue = Queue(os.path.join(folder, "queuectl.db"))
            slots += len(live(queue, POLICIES[seed % len(POLICIES)], seed))
        except AssertionError as error:
            print("seed %d, %s: %s" % (seed, POLICIES[seed % len(POLICIES)], error))
            return 1
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    steps = "%d lives of %d steps, %d slots" % (options.seeds, STEPS, slots)
    print("%s, every slot as the account has it; %.0f s" % (steps, time.monotonic() - began))
    return 0


if __name__ == "__main__":
    sys.exit(main())
