"""What the claim goes by, read for one who asks why: all of it in one read transaction, each look by an index.

The rules are those of the claim, and stand where it has them: what is due (store/claiming), which queues may start
something (store/eligible), which locks are taken (store/locking), who comes first (store/due_jobs). Here they are
asked, and what they say is told apart.
"""

from __future__ import annotations

import functools
import sqlite3

from queuectl_lib import errors, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import after, attempts, states
from queuectl_lib.store import due_jobs, eligible, opening, placing, preceding, serving, stuck
from queuectl_lib.store.serving import Asker, Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

MOST_ATTEMPTS = 100  # that are looked at, the newest
MOST_LOCKS = 200  # that are told apart in a count: an old SQLite takes 999 parameters
# Why a queue may start nothing, and what is set where that can be so: each is asked of a row with the others unset.
LIMITS = {
    "queue_paused": ("paused_at", "paused_until"),
    "queue_full": ("running_most",),
    "queue_rate": ("rate_count", "rate_seconds"),
    "window": ("windows",),
    "gate": ("load_most", "memory_least", "free_least", "free_path"),
}

JOB = (
    "SELECT seq, runs, state, lane, priority, run_at, next_run_at, queue, worker, token, cancel_requested,"
    " started_at, finished_at, created_at, updated_at, held_at, last_error, reason, exit_code, %s,"
    " lane = 0 OR lane = 1 AND next_run_at <= ? AS is_due,"
    " CASE lane WHEN 0 THEN 0 WHEN 4 THEN 0 WHEN 1 THEN next_run_at > ? ELSE %s > ? END AS is_early"
    " FROM jobs WHERE id = ?"
) % (
    ", ".join(attempts.CLAIMED_COLUMNS),
    placing.OWN_TIME,
)
ATTEMPTS = (
    "SELECT id, number, outcome, started_at, finished_at, exit_code, signal, error, worker, token, oom, timeout,"
    " launcher, leftovers, stdout_bytes, stderr_bytes, stdout IS NOT NULL AS stdout, stderr IS NOT NULL AS stderr"
    " FROM attempts WHERE job = ? ORDER BY number DESC LIMIT ?"
)
PARENTS = (
    "SELECT e.parent_id, e.wants, coalesce(j.state, 'gone') AS state FROM edges e LEFT JOIN jobs j ON j.seq = e.parent"
    " WHERE e.child = ? AND e.state = 1 ORDER BY e.rowid LIMIT ?"
)
MOST_PARENTS = 100


class Moment:
    """What stands in the database at one moment, as far as it is asked for.

    *serves* says of the name of a queue whether a worker that could take the jobs in question starts jobs of it.
    """

    def __init__(
        self, connection: sqlite3.Connection, database: Database, now: float, serves: Callable[[str], bool]
    ) -> None:
        self.connection = connection
        self.now = now
        self.now_text = times.utc_text(now)
        self.asker = Asker(database, asks=True)
        self.asker.wanted = ()  # for all queues, whoever serves them
        self.serves = serves
        self.rows = {row["id"]: row for row in opening.rows(connection, serving.QUEUES)}
        self.shut: Dict[int, List[Fields]] = {}
        self.taken: Dict[object, bool] = {}
        self._running: Optional[Dict[int, int]] = None

    @property
    def running(self) -> Dict[int, int]:
        """How many jobs of each queue are under way."""
        if self._running is None:
            self._running = eligible.running_in(self.connection)
        return self._running

    def name(self, queue: object) -> str:
        """What a queue is called, by its number; a number of none by itself."""
        return opening.as_text(self.rows[queue]["name"]) if queue in self.rows else "number %s" % (queue,)

    def closed(self, queue: Any) -> List[Fields]:
        """Each reason why a queue may start nothing now: reason, text, again (when to ask again, or None)."""
        if queue not in self.shut:
            found = []
            row = dict(self.rows[queue]) if queue in self.rows else {}
            for reason, columns in LIMITS.items() if row else ():
                others = [column for names in LIMITS.values() if names != columns for column in names]
                alone: Any = dict(row, **dict.fromkeys(others))
                shut = eligible.closed_by(self.connection, alone, self.running.get(queue, 0), self.now, self.asker)
                if shut:
                    found.append({"reason": reason, "text": shut.short, "again": shut.again})
            self.shut[queue] = found
        return self.shut[queue]

    def is_taken(self, key: object) -> bool:
        """True where no other job with this lock may be started."""
        from queuectl_lib.store import locking  # which few jobs need

        if key not in self.taken:
            self.taken[key] = locking.free_places(self.connection, key) <= 0
        return self.taken[key]

    def taken_locks(self) -> List[object]:
        """All of which no place is free."""
        from queuectl_lib.store import locking  # the same

        held = [row["lock_key"] for row in opening.rows(self.connection, locking.LOCKS_RUNNING)]
        return [key for key in held if self.is_taken(key)]

    # -------------------------------------------------------- one job

    def job(self, identifier: str) -> Fields:
        """What is known of one job, by "job" (its row), "queue", "attempts"; where it waits also what it waits for.

        Raises QueueError if there is none.
        """
        found = opening.rows(self.connection, JOB, (*[self.now_text] * 3, identifier))
        if not found:
            raise errors.no_such_job(identifier)
        job = found[0]
        rows = opening.rows(self.connection, ATTEMPTS, (job["seq"], MOST_ATTEMPTS))
        facts: Fields = {"job": opening.without_bytes(job), "queue": self.name(job["queue"])}
        facts["wrong"] = attempts.what_is_wrong(job) if job["state"] in states.WAITING else None
        facts["attempts"] = [opening.without_bytes(row) for row in rows]
        if job["state"] in states.WAITING:
            facts.update(closed=self.closed(job["queue"]), parents=self.parents(job), lock=self.lock(job))
            blocked = facts["closed"] or facts["lock"] or not job["is_due"]
            facts["ahead"] = None if blocked else self.ahead(job)
            facts["running"] = sum(self.running.values())
        return facts

    def parents(self, job: sqlite3.Row) -> Optional[List[Fields]]:
        """What it comes after and is open yet, by "id", "wants" and "state"; None where it waits for none."""
        if job["lane"] not in (2, 3):
            return None
        rows = opening.rows(self.connection, PARENTS, (job["seq"], MOST_PARENTS + 1))
        found = [
            {"id": row["parent_id"], "wants": after.KEYS.get(row["wants"], "after"), "state": row["state"]}
            for row in map(opening.without_bytes, rows)
        ]
        return found if found or job["lane"] == 2 else None

    def lock(self, job: sqlite3.Row) -> Optional[Fields]:
        """Its lock, where that is taken or it is put aside for it: "held_by"; None where that keeps it from nothing."""
        key = job["lock_key"]
        if key is None or not (job["lane"] == 4 or self.is_taken(key)):
            return None
        rows = opening.rows(self.connection, stuck.HELD_BY, (key,))
        return {"held_by": [opening.as_text(row["id"]) for row in rows]}

    # -------------------------------------------------------- who comes first

    def ahead(self, job: sqlite3.Row) -> Fields:
        """Of a job that can be claimed: how many are claimed before it, as far as that is sure now.

        "jobs"; "priority", how many of them for their priority alone; "more": there are still more. Of another queue
        with jobs of the same priority, with which it takes turns, only the next one counts: "turns".
        """
        locks = self.taken_locks()
        counting = preceding.Counting(self.connection, self.now_text, locks if len(locks) <= MOST_LOCKS else [])
        place = (job["priority"], job["next_run_at"], job["seq"])
        queue = job["queue"]
        higher = counting.higher(queue, place)
        same = counting.same(queue, place)
        turns = 0
        own = due_jobs.place(Line(queue, self.running.get(queue, 0)), job)
        for number, row in self.rows.items():
            if number == queue or not self.serves(opening.as_text(row["name"])) or self.closed(number):
                continue
            higher += counting.higher(number, place)
            first = counting.first_of(number, job["priority"])
            line = Line(number, self.running.get(number, 0))
            turns += first is not None and due_jobs.place(line, first) < own
        jobs = higher + same + turns
        most = preceding.MANY
        is_cut = jobs > most or counting.is_cut
        return {"jobs": min(jobs, most), "priority": min(higher, most), "turns": turns, "more": is_cut}


# ---------------------------------------------------------------- asked


def of_jobs(database: Database, ids: Sequence[str], now: float, serves: Callable[[str, str], bool]) -> List[Fields]:
    """What is known of each of these jobs (Moment.job), at one moment. Raises QueueError for one that does not exist.

    *serves* (queue, other): whether a worker that serves the one serves the other, too.
    """
    try:
        with database.reading() as connection:
            connection.execute("BEGIN")  # all that is asked is of one moment
            moment = Moment(connection, database, now, lambda other: True)
            found = []
            for identifier in ids:
                queue = moment.name(queue_of(connection, identifier))
                moment.serves = functools.partial(serves, queue)
                found.append(moment.job(identifier))
            return found
    except NoDatabase:
        raise errors.no_such_job(ids[0]) from None


QUEUE_OF = "SELECT queue FROM jobs WHERE id = ?"


def queue_of(connection: sqlite3.Connection, identifier: str) -> object:
    found = opening.rows(connection, QUEUE_OF, (identifier,))
    return found[0]["queue"] if found else None
