"""Which queues may start something now, and when to ask again: for the claim, for who waits, for who explains.

    closed      why                                       opens again
    paused      a person said so (`pause`)                by `resume`, or when its time is over
    full        as many run as may                        when one of them has ended: who records that, claims
    shut        its rate is used up (store/rates), or     when that is over; a gate is looked at again and again
                by a gate: window, load, memory, disk

How many run is counted anew each time, from the rows of those that do: a count that is derived cannot leak, needs no
lease, and ends when the fate of a job is decided. Where there is but the one queue, and nothing is set of it, one row
is read (store/serving). What is said of a queue and what is done come from here, so that they cannot part.
"""

from __future__ import annotations

import sqlite3

from queuectl_lib import times
from queuectl_lib.store import opening, serving
from queuectl_lib.store.serving import Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Tuple

    from queuectl_lib.store.serving import Asker

RUNNING = (
    "SELECT queue, count(*) AS jobs FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'processing' AND state <> 'completed' GROUP BY queue"
)
AGAIN = 60.0  # is looked at a row that somebody has made what cannot be read


class Closed:
    """One queue that may start nothing: why, in words, and when to ask again (since 1970; None: an end tells)."""

    def __init__(self, queue: int, name: str, kind: str, short: str, again: Optional[float] = None) -> None:
        self.queue = queue
        self.name = name
        self.kind = kind
        self.short = short
        self.why = "queue %s: %s" % (name, short) if kind == serving.SHUT else short
        self.again = again


def look_at(
    connection: sqlite3.Connection, rows: Sequence[sqlite3.Row], now: float, asker: Asker
) -> Tuple[Sequence[Line], Sequence[Closed]]:
    """Of the queues in *rows* those served that may start something at *now* (since 1970), and those that may not."""
    running = running_in(connection)
    lines: List[Line] = []
    closed: List[Closed] = []
    for row in rows:
        if serving.is_served(asker.wanted, row["name"]):
            why = closed_by(connection, row, running.get(row["id"], 0), now, asker)
            if why is None:
                lines.append(line_of(row, running.get(row["id"], 0)))
            else:
                closed.append(why)
    return lines, closed


def running_in(connection: sqlite3.Connection) -> Dict[int, int]:
    """How many jobs of each queue are under way."""
    return {row["queue"]: row["jobs"] for row in opening.rows(connection, RUNNING)}


def closed_by(
    connection: sqlite3.Connection, row: sqlite3.Row, running: int, now: float, asker: Asker
) -> Optional[Closed]:
    """Why the queue in *row*, of which so many run, may start nothing; None where it may."""
    number, name, most = row["id"], opening.as_text(row["name"]), row["running_most"]
    if is_paused(row, now):
        return Closed(number, name, serving.PAUSED, "queue %s paused" % name, serving.paused_until(row))
    if most is not None and type(most) is not int:
        return Closed(number, name, serving.SHUT, "cannot read its limit in the database", now + AGAIN)
    if most is not None and running >= most:
        return Closed(number, name, serving.FULL, "queue %s: %d at once" % (name, most))
    shut = None
    if row["rate_count"] is not None:
        from queuectl_lib.store import rates  # which few queues need

        shut = rates.used_up(connection, row, now, claims=not asker.asks)
    if shut is None and has_gate(row):
        from queuectl_lib.store import gating  # the same

        shut = gating.shut_by(row, now, asker.path, asker.asks)
    return Closed(number, name, serving.SHUT, *shut) if shut else None


def line_of(row: sqlite3.Row, running: int) -> Line:
    """The queue in *row*, which is open."""
    room = None if row["running_most"] is None else row["running_most"] - running
    counts = row["rate_count"] is not None or row["load_most"] is not None
    line = Line(row["id"], running, room, counts or room is not None or has_gate(row))
    line.row = row if counts else None
    if row["launcher"] is not None or row["launcher_args"] is not None:
        serving.read_launcher(line, row)
    return line


def is_paused(row: sqlite3.Row, now: float) -> bool:
    """True where a person has paused the queue in *row*, and the time for which he did so is not over."""
    until = serving.paused_until(row)
    return row["paused_at"] is not None and (until is None or until > now)


def has_gate(row: sqlite3.Row) -> bool:
    return any(row[column] is not None for column in ("windows", "load_most", "memory_least", "free_least"))


def next_look(closed: Sequence[Closed]) -> Optional[float]:
    """When one of these may have opened by itself; None where only what others do opens them."""
    return min([one.again for one in closed if one.again is not None], default=None)


def note_start(connection: sqlite3.Connection, row: sqlite3.Row, now: float) -> None:
    """Note that a job of the queue in *row* is started, where its rate or its load gate is to know of that."""
    if row["rate_count"] is not None:
        from queuectl_lib.store import rates

        rates.note_start(connection, row, now)
    if row["load_most"] is not None:
        connection.execute(NOTE_START, (times.utc_text(now), row["id"]))


NOTE_START = "UPDATE queues SET last_start_at = ? WHERE id = ?"
