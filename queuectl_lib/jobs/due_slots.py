"""Which slots of a schedule are to be made now, which are left out, and when the next one comes: from its row alone."""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.jobs import recurrence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from queuectl_lib.jobs.recurrence import Timing
    from queuectl_lib.values import Fields

LATE_SECONDS = 120.0  # a slot that is older is missed for good, where missed ones are skipped; `--drain` is in time
CLOCK_BACK_SECONDS = 3 * 3600.0  # a clock that was put back so far, as cron has it, was wrong before: no slot waits
MANY_SLOTS = 1000000000
MOMENT = 1e-6  # the smallest part of a time that is stored


class Due:
    """What is due: the *slots* to be made, in their order, and how many are *left_out*; the *last* and the *next*."""

    def __init__(self, slots: List[float], left_out: int, last: Optional[float], following: Optional[float]) -> None:
        self.slots = slots
        self.left_out = left_out
        self.last = last
        self.next = following


def timing_of(row: Fields) -> Timing:
    """When the schedule in *row* is due. Raises BadInput or HostError: what was known once may be no more."""
    start = row["starts_at"] or row["anchor"]
    return recurrence.parse(row["timing"], row["zone"], times.utc_seconds(start) if start else 0.0)


def first_after(row: Fields, now: float, timing: Optional[Timing] = None) -> Optional[float]:
    """The first slot after *now*, not before its start; None where there is none before its end."""
    start = times.utc_seconds(row["starts_at"]) if row["starts_at"] else 0.0
    slot = (timing or timing_of(row)).after(max(now, start - MOMENT))
    return None if slot is None or slot > end_of(row) else slot


def first_unmade(row: Fields, now: float) -> Optional[float]:
    """The same; after a clock that went back a little the first that was not there before."""
    last = times.utc_seconds(row["last_slot"]) if row["last_slot"] else 0.0
    return first_after(row, max(now, last) if last <= now + CLOCK_BACK_SECONDS else now)


def end_of(row: Fields) -> float:
    return times.utc_seconds(row["ends_at"]) if row["ends_at"] else times.LAST_TIME


def due(row: Fields, now: float) -> Due:
    """What is due by *now* of the schedule in *row*, whose next_at has come: computed backwards, never walked."""
    timing, since = timing_of(row), times.utc_seconds(row["next_at"]) - MOMENT
    until = min(now, end_of(row))
    found = timing.newest(until, since, row["missed_most"] or 1)
    last = found[-1] if found else None
    if row["missed"] == "skip":
        found = [slot for slot in found if now - slot <= LATE_SECONDS]
    number = timing.count_between(since, until, MANY_SLOTS)
    return Due(found, max(0, number - len(found)), last, first_after(row, now, timing))


def count_of_due(row: Fields, now: float) -> int:
    """How many slots have come by *now* and were not seen to."""
    since = times.utc_seconds(row["next_at"]) - MOMENT
    return timing_of(row).count_between(since, min(now, end_of(row)), MANY_SLOTS)


def found_anew(row: Fields, now: float) -> Fields:
    """What changes of *row*, whose next slot has not come, where clock or zone may be others than when it was found.

    After a clock that was put back a little, it waits, so that no slot comes twice; after one that was put right,
    whatever stands behind that is forgotten.
    """
    changed = dict(row)
    for column in ("last_slot", "anchor"):
        if row[column] and times.utc_seconds(row[column]) > now + CLOCK_BACK_SECONDS:
            changed[column] = times.utc_text(now // 1) if column == "anchor" else None
            changed["trouble"] = "the clock went back: what was due by the former one is forgotten"
    following = first_unmade(changed, now)
    changed["next_at"] = None if following is None else times.utc_text(following)
    return {column: value for column, value in changed.items() if value != row[column]}


def to_come(row: Fields, now: float, number: int, timing: Optional[Timing] = None) -> List[Tuple[float, str]]:
    """The first *number* slots after *now*, each with a word where a change of the clock moved it or left one out."""
    start = times.utc_seconds(row["starts_at"]) if row["starts_at"] else 0.0
    found = (timing or timing_of(row)).next_several(max(now, start - MOMENT), number)
    return [(slot, word) for slot, word in found if slot <= end_of(row)]
