"""What durations of a kind come to: the median, the 95th percentile, and whether an attempt runs unusually long."""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.jobs import kinds
from queuectl_lib.store import durations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

LONG_SAMPLES = 10  # below which nothing is said to run long
LONG_TIMES = 3  # the 95th percentile
LONG_LEAST = 60.0  # seconds


def median(recent: Sequence[float]) -> Optional[float]:
    """The middle one, or the mean of the two there; None of none."""
    ordered, half = sorted(recent), len(recent) // 2
    if not ordered:
        return None
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def p95(recent: Sequence[float]) -> Optional[float]:
    """The least one that 95 of 100 do not exceed; None of none."""
    ordered = sorted(recent)
    return ordered[(len(ordered) * 95 + 99) // 100 - 1] if ordered else None


def is_long(elapsed: float, recent: Sequence[float]) -> bool:
    """True where an attempt that has run for *elapsed* seconds runs unusually long, by the durations of its kind."""
    highest = p95(recent)
    return len(recent) >= LONG_SAMPLES and highest is not None and elapsed > max(LONG_TIMES * highest, LONG_LEAST)


def usual_text(facts: Fields) -> str:
    """How long a kind usually takes, by the *facts* of long_ones; most kinds of short jobs take less than a second."""
    return "less than 1s" if facts["usual_seconds"] < 1 else times.age_text(facts["usual_seconds"])


def elapsed_of(job: Fields, now: float) -> Optional[float]:
    """How long *job*, as it is shown, has been running; None where it does not, or that cannot be told."""
    if job["state"] != "processing":
        return None
    since = times.seconds_or(job["started_at"], now)
    return now - since


def long_ones(database: Database, jobs: Iterable[Fields], now: float) -> Dict[Any, Dict[str, float]]:
    """Those of *jobs*, as they are shown, that run unusually long: by id the seconds so far, and the usual ones."""
    elapsed: List[Any] = [(job, elapsed_of(job, now)) for job in jobs]
    elapsed = [(job, seconds) for job, seconds in elapsed if seconds is not None and seconds > LONG_LEAST]
    if not elapsed:
        return {}
    named = [kinds.of(job["name"], job["command"]) for job, _ in elapsed]
    known, found = durations.look(database, named), {}
    for (job, seconds), kind in zip(elapsed, named):
        recent = known.get(kind, [])
        if is_long(seconds, recent):
            found[job["id"]] = {"running_seconds": seconds, "usual_seconds": median(recent) or 0.0}
    return found
