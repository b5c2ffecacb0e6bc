"""What a live view shows at one moment: read again and again, so that each look costs a few milliseconds.

What takes longer is asked now and then: about how long it will take, and why nothing goes on. What a look has to open
files for is told of those jobs alone that are on the screen (fill_in).
"""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import signatures, states
from queuectl_lib.reports import estimate, history, queue_reasons
from queuectl_lib.store import at_hand, failure_words, live, roster, said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Sequence, Tuple

    from queuectl_lib.values import Fields
    from storage import Queue

MOST = 200  # jobs of each sort that are looked at, where the screen does not say how many
LATELY_SECONDS = 60.0
ESTIMATE_SECONDS = 5.0  # how often it is asked, and why nothing goes on
REASON_SECONDS = 2.0
GOES_ON = ("busy", "idle")  # reasons that nobody has to be told of


class Live:
    """One queue, looked at again and again."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.kept: Dict[str, Tuple[float, Any]] = {}
        self.reasons: Dict[object, str] = {}
        self.was_there = False

    def look(self, now: float, most: int = MOST) -> Fields:
        """All but what fill_in tells, of *most* jobs of each sort. Raises HostError, NoDatabase where one was there."""
        database = self.queue.database
        try:
            seen = live.look(database, most, most)
        except NoDatabase:
            if self.was_there:
                raise
            seen = {"counts": dict.fromkeys(states.STATES, 0), "running": [], "ends": [], "lately": [], "usual": {}}
        else:
            self.was_there = True
        counts = seen["counts"]
        members = roster.members(self.queue.folder)
        workers = [one for one in members if one["kind"] == "worker"]
        waits = bool(counts["pending"] or counts["failed"])
        found: Fields = {"at": now, "counts": counts, "database": self.queue.path}
        found.update(workers=len(workers), slots=sum(one.get("slots", 1) for one in workers))
        found["lately"] = of_late(seen["lately"], now)
        goes_on = workers and (waits or counts["processing"])
        found["left"] = self.now_and_then("left", ESTIMATE_SECONDS, now, self.left(members, now)) if goes_on else None
        found["stuck"] = self.now_and_then("stuck", REASON_SECONDS, now, lambda: self.stuck(now))
        found["running"] = [running(job, seen["usual"].get(job["kind"], []), now) for job in seen["running"]]
        found["failures"] = at_hand.failures(database, most) if counts["dead"] or counts["failed"] else []
        found["next"] = at_hand.coming(database, most, now) if waits else []
        found["ends"] = [ended(job, now) for job in seen["ends"]]
        return found

    def now_and_then(self, name: str, seconds: float, now: float, ask: Callable[[], Any]) -> Any:
        """What *ask* says, which is asked so often; at once where the clock has gone back."""
        at, known = self.kept.get(name, (0.0, None))
        if not at <= now < at + seconds:
            known = ask()
            self.kept[name] = (now, known)
        return known

    def left(self, members: Sequence[Any], now: float) -> Callable[[], Optional[float]]:
        return lambda: estimate.of(self.queue.database, members, now).seconds

    def stuck(self, now: float) -> Optional[Fields]:
        """What `why` says where something is wrong: its sentence and what to type; None where all goes on."""
        found = queue_reasons.of(self.queue, now)
        return None if found["reason"] in GOES_ON else {"sentence": found["sentence"], "next": found["next"]}

    # -------------------------------------------------------- what files tell

    def fill_in(self, jobs: Sequence[Fields], failures: Sequence[Fields]) -> None:
        """Tell how far the running *jobs* are and what they wrote last, and of *failures* what they say."""
        database = self.queue.database
        for job in jobs:
            job["progress"] = said.now(database, job["token"]).get("progress")
            job["line"] = live.last_line(database, job["token"])
        new = [job for job in failures if key_of(job) not in self.reasons]
        told = failure_words.texts(database, new) if new else {}
        known = {key_of(job): self.reasons.get(key_of(job)) or told.get(job["id"], "-") for job in failures}
        self.reasons = known
        for job in failures:
            job["says"] = known[key_of(job)]


def key_of(job: Fields) -> object:
    return job["id"], job["failed_at"]


def running(job: Fields, recent: Sequence[float], now: float) -> Fields:
    """*job* with its "seconds" so far, and by its kind's durations the "median", "p95" and whether it "is_long"."""
    seconds = max(0.0, now - times.seconds_or(job["started_at"], now))
    known = recent if len(recent) >= estimate.SAMPLES else []
    usual = {"median": history.median(known), "p95": history.p95(known)}
    return dict(job, seconds=seconds, is_long=history.is_long(seconds, recent), **usual)


def ended(job: Fields, now: float) -> Fields:
    """*job* of an attempt that has ended, with its "seconds" (None: not known) and the "verdict" on it."""
    began, over = (times.seconds_or(job[name], -1.0) for name in ("started_at", "finished_at"))
    verdict = str(job["outcome"])
    if states.ENDINGS.get(verdict) == "fail":
        verdict = signatures.verdict(verdict, job["exit_code"], job["signal"])
    return dict(job, seconds=over - began if 0 <= began <= over else None, verdict=verdict)


def of_late(ends: Sequence[Tuple[str, object]], now: float) -> Fields:
    """How many ended in the last minute, and how many of them failed; "is_more" where more than were looked at did.

    Then they are at the pace of those that were looked at.
    """
    since, ahead = times.utc_text(now - LATELY_SECONDS), times.utc_text(now + LATELY_SECONDS)
    young = [(outcome, at) for outcome, at in ends if isinstance(at, str) and since < at < ahead]  # no time is read
    failed = sum(states.ENDINGS.get(outcome) == "fail" for outcome, _ in young)
    if len(young) < live.MOST_LATELY:
        return {"ended": len(young), "failed": failed, "is_more": False}
    times_more = LATELY_SECONDS / max(1.0, now - times.seconds_or(min(at for _, at in young), now))
    return {"ended": round(len(young) * times_more), "failed": round(failed * times_more), "is_more": True}
