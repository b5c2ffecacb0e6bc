"""What has ended or come back, for those that come after it: noted here, and settled by store/edges.

Apart from it, for a worker loads that where something comes after something: mostly nothing does.
"""

from __future__ import annotations

import sqlite3

ANY_EDGE = "SELECT 1 FROM edges"

# One seek. What has returned, and is not settled yet, goes first, and turns to ended by itself.
HAS_ENDED = (
    "INSERT OR IGNORE INTO settling (job, verb)"
    " SELECT parent, 'ended' FROM edges WHERE parent = ? AND state = 1 LIMIT 1"
)
HAS_RETURNED = (
    "INSERT OR REPLACE INTO settling (job, verb) SELECT parent, 'returned' FROM edges WHERE parent = ? LIMIT 1"
)


def has_ended(connection: sqlite3.Connection, seq: int) -> None:
    """In the transaction that moves the job to a final state."""
    if connection.execute(ANY_EDGE).fetchone():  # quicker than the other, where nothing comes after anything
        connection.execute(HAS_ENDED, (seq,))


def has_returned(connection: sqlite3.Connection, seq: int) -> None:
    """In the transaction that puts the job back from a final state."""
    connection.execute(HAS_RETURNED, (seq,))
