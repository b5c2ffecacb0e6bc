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
COUNT = "UPDATE queues SET starts = starts + 1 WHERE id = ?"
FORGIVE = "UPDATE starts SET at = ? WHERE queue = ? AND at > ?"


def used_up(connection: sqlite3.Connection, row: sqlite3.Row, now: float) -> Optional[Tuple[str, float]]:
    """Why the queue in *row* may start nothing more at *now*, and when it may again; None where it may."""
    found = connection.execute(STARTED, (row["id"], slot_of(row))).fetchone()
    oldest = None if found is None else times.seconds_or(found[0], now)
    return gates.Gate(rate_count=row["rate_count"], rate_seconds=row["rate_seconds"]).rate_closed_by(now, oldest)


def slot_of(row: sqlite3.Row) -> int:
    """The place of its next start in the ring."""
    count = row["rate_count"]
    return row["starts"] % count if isinstance(row["starts"], int) and isinstance(count, int) and count > 0 else 0


def note_start(connection: sqlite3.Connection, row: sqlite3.Row, now: float) -> None:
    """One more has started. (After a clock that was put back those in the future are of now: waited for once.)"""
    now_text = times.utc_text(now)
    connection.execute(FORGIVE, (now_text, row["id"], now_text))
    connection.execute(NOTE, (row["id"], slot_of(row), now_text))
    connection.execute(COUNT, (row["id"],))


ALL_STARTS = "SELECT at FROM starts WHERE queue = ? ORDER BY at"
FORGET = "DELETE FROM starts WHERE queue = ?"
COUNT_ANEW = "UPDATE queues SET starts = ? WHERE id = ?"


def resize(connection: sqlite3.Connection, queue: int, count: Optional[int]) -> None:
    """Make the ring of a queue one of *count* starts, with the newest in it; None: it has no rate any more."""
    newest = [row["at"] for row in opening.rows(connection, ALL_STARTS, (queue,))][-count:] if count else []
    connection.execute(FORGET, (queue,))
    connection.executemany(NOTE, [(queue, slot, at) for slot, at in enumerate(newest)])
    connection.execute(COUNT_ANEW, (len(newest), queue))
