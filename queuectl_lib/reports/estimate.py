"""About how long the workers alive need for what is due: by what jobs of these kinds took, or nothing at all.

The first due jobs in the order of claims and what runs are placed on the jobs at once that there are, the longest
first, each with the median of its kind; the rest goes at the mean of these. No estimate is better than a bad one: there
is none where less than half of what was looked at is known, nobody works, or something else than work sets the pace.
"""

from __future__ import annotations

import heapq

from queuectl_lib.reports import history
from queuectl_lib.store import ahead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Sequence

    from queuectl_lib.store.ahead import Ahead
    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

SAMPLES = 5  # durations that a kind must have to be known
LEAST_KNOWN = 0.5


class Estimate:
    """*seconds* that are left (None: not known); of how many jobs *looked* at how many are of *known* kinds."""

    def __init__(self, seconds: Optional[float], looked: int, known: int, seen: Ahead) -> None:
        self.seconds = seconds
        self.looked = looked
        self.known = known
        self.due = seen.due
        self.later = seen.later

    def facts(self) -> Fields:
        """For JSON."""
        return {"eta_seconds": self.seconds, "eta_known": self.known / float(self.looked) if self.looked else 0.0}

    def sentence(self) -> str:
        """For people; "" where nothing is known."""
        if self.seconds is None:
            return ""
        text = "about %s left (%d due; kinds known: %d of %d)"
        text = text % (length_text(self.seconds), self.due, self.known, self.looked)
        return text + (", and %d later" % self.later if self.later else "")


def length_text(seconds: float) -> str:
    """A length of time in words: 5 s, 40 min, 3 h, 5 days."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return "%d %s" % (round(seconds / size), unit)
    return "%d s" % round(seconds)


def of(database: Database, members: Sequence[Any], now: float) -> Estimate:
    """Of what is due now, by those of *members* (store/roster) who take new jobs."""
    return by_those_alive(ahead.look(database, now), members)


def until(database: Database, members: Sequence[Any], jobs: int, now: float) -> Optional[float]:
    """Seconds until so many of the due *jobs*, the first ones, and what runs now have ended; None: not known."""
    seen = ahead.look(database, now)
    seen.sample, seen.due = seen.sample[:jobs], jobs
    return by_those_alive(seen, members).seconds


def by_those_alive(seen: Ahead, members: Sequence[Any]) -> Estimate:
    alive = [member for member in members if member["kind"] == "worker" and not member.get("asked")]
    slots = sum(member.get("slots", 1) for member in alive)
    is_limited = seen.is_limited or any(member.get("queues") for member in alive)
    return reckoned(seen, 0 if is_limited else slots)


def reckoned(seen: Ahead, slots: int) -> Estimate:
    """The estimate for so many jobs at once; 0: there is none."""
    due = [history.median(recent) if len(recent) >= SAMPLES else None for recent in seen.sample]
    running = [history.median(recent) if len(recent) >= SAMPLES else None for _, recent in seen.running]
    known = [one for one in due + running if one is not None]
    looked = len(due) + len(running)
    if not slots or not looked or len(known) < LEAST_KNOWN * looked:
        return Estimate(None, looked, len(known), seen)
    mean = sum(known) / len(known)
    under_way = [max(0.0, (mean if one is None else one) - elapsed) for one, (elapsed, _) in zip(running, seen.running)]
    last = end_of([mean if one is None else one for one in due], under_way, slots)
    if not last:  # what runs has run longer than others of its kind: when it ends is not known
        return Estimate(None, looked, len(known), seen)
    return Estimate(last + max(0, seen.due - len(due)) * mean / slots, looked, len(known), seen)


def end_of(due: List[float], running: List[float], slots: int) -> float:
    """When the last of these ends, where what runs has its place and the longest that is due goes first."""
    ends = [0.0] * slots
    for seconds in sorted(running, reverse=True) + sorted(due, reverse=True):
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends)


def words_left(database: Database, members: Sequence[Any], now: float) -> str:
    """Behind a line of progress: ", about 40 min left", or nothing; of what is due alone where others come later."""
    found = of(database, members, now)
    if found.seconds is None:
        return ""
    return ", about %s %s" % (length_text(found.seconds), "for what is due" if found.later else "left")
