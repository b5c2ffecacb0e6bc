"""What is wrong with schedules, as a sentence and facts each: slots that nobody makes, no success, trouble."""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.errors import QueueError
from queuectl_lib.jobs import due_slots
from queuectl_lib.store import health, roster, schedules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields


def told_of(database: Database, now: float, waiting: float) -> List[Tuple[str, Fields]]:
    """All there is to tell; with a supervisor alive a slot may be late by *waiting* seconds."""
    is_served = any(member["kind"] == "supervisor" for member in roster.members(database.folder))
    patience = max(waiting, health.LATE_SECONDS) if is_served else health.LATE_SECONDS
    found = []
    for row in schedules.all_of(database):
        for text, facts in problems_of(row, now, patience, is_served):
            found.append(("schedule %s: %s" % (row["name"], text), dict(facts, schedule=row["name"])))
    return found


def problems_of(row: Fields, now: float, patience: float, is_served: bool) -> Iterator[Tuple[str, Fields]]:
    if row["trouble"]:
        yield str(row["trouble"]), {}
    if type(row["failures"]) is int and row["failures"] >= health.FAILURES:
        text = "its last %d slots brought no success; the last outcome: %s"
        yield text % (row["failures"], row["last_outcome"]), {"failures": row["failures"]}
    since = times.seconds_or(row["next_at"], now)
    if since < now - patience and not row["trouble"]:
        try:
            number, zone = due_slots.count_of_due(row, now), due_slots.timing_of(row).zone
        except (QueueError, TypeError):
            return  # the next supervisor finds out, and notes the trouble
        text = "%s since %s and %s"
        slots = "1 slot" if number == 1 else "%d slots" % number
        whom = "none was made, though a supervisor is alive: its log says more" if is_served else "no worker"
        yield text % (slots, short(zone.text(since), zone.text(now)), whom), {"slots": number, "since": row["next_at"]}


def short(text: str, now: str) -> str:
    """A time on the wall for people: of today the minute alone."""
    return text[11:16] if text[:10] == now[:10] else text[:16]
