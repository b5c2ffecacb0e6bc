"""What a report shows: read once, and put into numbers; how it looks is the business of its other rooms."""

from __future__ import annotations

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import kinds, local_time, states
from queuectl_lib.reports import bins, history, problems, queue_reasons
from queuectl_lib.store import durations, failed, groups, health, looking, said, showing, window
from queuectl_lib.store import past as past_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence

    from queuectl_lib.values import Fields
    from storage import Queue

MOST_BINS = 120
NEWEST_FAILURES, LAST_LINES = 20, 5
MOST_RUNNING = 50
WAITING_SECONDS, LEAST_FREE = 900.0, 256 << 20  # as `check` has them where it is told nothing else


class Seen:
    """A *queue* as it has been since *since* and is *now* (both seconds since 1970). Raises HostError."""

    def __init__(self, queue: Queue, since: float, now: float) -> None:
        self.queue = queue
        self.now = now
        self.since = since = window.whole_unit(max(times.FIRST_TIME, since), now)
        self.offset = local_time.LOCAL.offset(int(now))
        self.bins = bins.of_time(since, now, self.offset, MOST_BINS)
        self.counts = looking.counts(queue.database)
        self.answer = queue_reasons.of(queue, now)
        self.troubles = troubles(queue, now)
        past = past_room.Past(queue.database, since, now)
        self.ends, self.detail, self.before, self.failures = past.ends, past.detail, past.before, past.failures
        self.newest = [failed.told(queue.database, row, LAST_LINES) for row in self.failures.rows[:NEWEST_FAILURES]]
        self.dead = groups.of_dead(queue.database) if self.counts["dead"] else []
        self.running = running(queue, now) if self.counts["processing"] else []

    def total(self, verb: str) -> int:
        """How many attempts ended so (a verb of states.ENDINGS)."""
        return sum(count for (_, outcome), count in self.ends.items() if states.ENDINGS.get(outcome) == verb)

    def ended(self) -> int:
        return sum(self.ends.values())

    def by_bin(self, verbs: Sequence[str]) -> List[int]:
        """How many attempts ended so in each bin."""
        found = [0] * self.bins.count
        for (moment, outcome), count in self.ends.items():
            place = self.bins.place(moment)
            if place is not None and states.ENDINGS.get(outcome) in verbs:
                found[place] += count
        return found

    def at_once(self) -> List[float]:
        """How many attempts ran at once, as a mean of each bin."""
        spans = [
            (max(one.began, self.since), self.now if one.ended is None else one.ended) for one in self.detail.attempts
        ]
        return bins.mean_at_once(spans, self.bins, self.detail.weight, self.now)


def troubles(queue: Queue, now: float) -> List[str]:
    """What `check` would say to people; nothing counts as told by it."""
    found = problems.work_problems(queue, now, WAITING_SECONDS)
    found += problems.standstill_problems(queue, now, WAITING_SECONDS)
    found += problems.schedule_problems(queue, now, WAITING_SECONDS) + problems.disk_problems(queue, LEAST_FREE)
    untold = health.deaths_to_tell(queue.database, 0)[1]
    texts = [str(one["text"]) for one in found]
    return texts + (["new dead letters: %d" % untold] if untold else [])


def running(queue: Queue, now: float) -> List[Fields]:
    """What runs, the longest first, each with "kind", "elapsed" and "times_p95" (None: not known)."""
    database = queue.database
    jobs: List[Fields] = []
    tokens: Dict[object, object] = {}
    with contexts.suppress(NoDatabase):
        held = looking.processing(database)
        tokens = {one["id"]: one["token"] for one in held}
        jobs = list(showing.in_order(database, iter([(one["seq"], "processing") for one in held]), ["processing"]))
    for job in jobs:
        job["elapsed"] = history.elapsed_of(job, now) or 0.0
        job["kind"] = kinds.of(job["name"], job["command"])
    jobs.sort(key=lambda job: -job["elapsed"])
    known = durations.look(database, [job["kind"] for job in jobs[:MOST_RUNNING]])
    for job in jobs[:MOST_RUNNING]:
        job["times_p95"] = times_p95(job["elapsed"], known.get(job["kind"], []))
        job["progress"] = said.now(database, tokens.get(job["id"])).get("progress")
    return jobs


def times_p95(elapsed: float, recent: Sequence[float]) -> Optional[float]:
    """How many times what 95 of 100 of its kind do not exceed; None where its kind is not known well."""
    highest = history.p95(recent) if len(recent) >= history.LONG_SAMPLES else None
    return elapsed / highest if highest else None


class KindSeen:
    """Of one kind: how many *runs* were looked at, how many of them *failed*, the seconds of the others."""

    def __init__(self) -> None:
        self.runs = self.failed = 0
        self.is_named = False
        self.seconds: List[float] = []


def by_kind(detail: window.Detail) -> Dict[str, KindSeen]:
    found: Dict[str, KindSeen] = {}
    for one in detail.attempts:
        if one.kind is None or one.ended is None or states.ENDINGS.get(one.outcome) not in ("complete", "fail"):
            continue
        kind = found.setdefault(one.kind, KindSeen())
        kind.runs += 1
        kind.is_named = kind.is_named or one.is_named
        if one.has_failed:
            kind.failed += 1
        elif one.ended >= one.began:
            kind.seconds.append(one.ended - one.began)
    return found
