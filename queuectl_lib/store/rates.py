"""Rates: never more than N starts of a queue in any span of P seconds, by a ring of the last N.

Start number k is allowed where the one N before it is older than P: it stands in the ring at the place that k is to
take. So one row is read and one written, no window has a seam, and nothing grows.
"""

from __future__ import annotations

import sqlite3

from queuectl_lib import times
from queuectl_lib.jobs import gates
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

STARTED = "SELECT at FROM starts WHERE queue = ? AND slot = ?"
NOTE = "INSERT OR REPLACE INTO starts (queue, slot, at) VALUES (?, ?, ?)"
COUNT = "UPDATE queues SET starts = ? WHERE id = ?"
FORGIVE = "UPDATE starts SET at = ? WHERE queue = ? AND at > ?"
FUTURE_SECONDS = 1.0  # a start that lies further ahead is from before a clock that was put back


def used_up(connection: sqlite3.Connection, row: sqlite3.Row, now: float, claims: bool) -> Optional[Tuple[str, float]]:
    """Why the queue in *row* may start nothing more at *now*, and when it may again; None where it may.

    After a clock that was put back it may, until who *claims* has set its starts to now: then its time is waited once.
    """
    count, seconds = row["rate_count"], row["rate_seconds"]
    if type(count) is not int or count < 1 or type(seconds) not in (int, float):
        return "cannot read its rate in the database", now + gates.WINDOW_AGAIN
    found = connection.execute(STARTED, (row["id"], slot_of(row))).fetchone()
    oldest = None if found is None else times.seconds_or(found[0], now)
    if oldest is not None and oldest > now + FUTURE_SECONDS:
        if not claims:
            return None
        forgive(connection, row["id"], now)
        oldest = now
    return gates.Gate(rate_count=count, rate_seconds=seconds).rate_closed_by(now, oldest)


def forgive(connection: sqlite3.Connection, queue: int, now: float) -> None:
    """Starts in the future are of *now*."""
    connection.execute(FORGIVE, (times.utc_text(now), queue, times.utc_text(now + FUTURE_SECONDS)))


def starts_of(row: sqlite3.Row) -> int:
    return row["starts"] if isinstance(row["starts"], int) and row["starts"] >= 0 else 0


def slot_of(row: sqlite3.Row) -> int:
    """The place of its next start in the ring."""
    return starts_of(row) % int(row["rate_count"])


def note_start(connection: sqlite3.Connection, row: sqlite3.Row, now: float) -> None:
    """One more has started."""
    forgive(connection, row["id"], now)
    connection.execute(NOTE, (row["id"], slot_of(row), times.utc_text(now)))
    connection.execute(COUNT, (starts_of(row) + 1, row["id"]))


ALL_STARTS = "SELECT at FROM starts WHERE queue = ? ORDER BY at"
FORGET = "DELETE FROM starts WHERE queue = ?"
COUNT_ANEW = "UPDATE queues SET starts = ? WHERE id = ?"


def resize(connection: sqlite3.Connection, queue: int, count: Optional[int]) -> None:
    """Make the ring of a queue one of *count* starts, with the newest in it; None: it has no rate any more.

    Older ones stay below the ring, for the number may be raised again while they count.
    """
    found = [row["at"] for row in opening.rows(connection, ALL_STARTS, (queue,))] if count else []
    first = min(count or 0, len(found)) - len(found)
    connection.execute(FORGET, (queue,))
    connection.executemany(NOTE, [(queue, slot, at) for slot, at in enumerate(found, first)][-gates.MOST_STARTS :])
    connection.execute(COUNT_ANEW, (len(found) + first, queue))
