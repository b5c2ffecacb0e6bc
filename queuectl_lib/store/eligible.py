"""Which queues may start something now, and when to ask again: for the claim, for who waits, for who explains.

    closed      why                                       opens again
    paused      a person said so (`pause`)                by `resume`, or when its time is over
    full        as many run as may                        when one of them has ended: who records that, claims
    shut        its rate is used up (store/rates), or     when that is over; a gate is looked at again and again
                by a gate: window, load, memory, disk

How many run is counted anew each time, from the rows of those that do: a count that is derived cannot leak, needs no
lease, and ends when the fate of a job is decided. Where there is but the one queue, and nothing is set of it, one row
is read. What is said of a queue and what is done come from here, so that they cannot part.
"""

from __future__ import annotations

import sqlite3

from queuectl_lib import times
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Tuple

    from queuectl_lib.store.database import Database

QUEUES = (
    "SELECT id, name, paused_at, paused_until, running_most, rate_count, rate_seconds, windows, load_most,"
    " memory_least, free_least, free_path, starts, last_start_at FROM queues"
)
LIMITS = ("paused_at", "running_most", "rate_count", "windows", "load_most", "memory_least", "free_least")
RUNNING = (
    "SELECT queue, count(*) AS jobs FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'processing' AND state <> 'completed' GROUP BY queue"
)
PAUSED, FULL, SHUT = "paused", "full", "shut"
AGAIN = 60.0  # is looked at a row that somebody has made what cannot be read


class Line:
    """One queue that may start something: its number, how many run, and how many more may (None: any number).

    Of one that *starts_now* a job is claimed to be started at once, and none ahead.
    """

    def __init__(self, queue: int, running: int = 0, room: Optional[int] = None, starts_now: bool = False) -> None:
        self.queue = queue
        self.running = running
        self.room = room
        self.starts_now = starts_now
        self.row: Optional[sqlite3.Row] = None  # where a start is to be noted


class Closed:
    """One queue that may start nothing: why, in words, and when to ask again (since 1970; None: an end tells)."""

    def __init__(self, queue: int, name: str, kind: str, short: str, again: Optional[float] = None) -> None:
        self.queue = queue
        self.name = name
        self.kind = kind
        self.short = short
        self.why = "queue %s: %s" % (name, short) if kind == SHUT else short
        self.again = again


def is_served(wanted: Sequence[str], name: str) -> bool:
    """True where who serves the queues *wanted* serves this one: all where none is named; all but "!NAME"."""
    if not wanted:
        return True
    if wanted[0].startswith("!"):
        return "!" + name not in wanted
    return name in wanted


class Asker:
    """For whom it is asked: the queues that he serves, the database, and whether the host may be asked anew.

    Within a write transaction, a claim, it may not: others wait (store/gating). For that one *waited*, in seconds.
    """

    def __init__(self, database: Database, asks: bool, waited: float = 0.0) -> None:
        self.wanted = database.served
        self.path = database.path
        self.asks = asks
        self.waited = waited


def look(connection: sqlite3.Connection, now: float, asker: Asker) -> Tuple[Sequence[Line], Sequence[Closed]]:
    """The queues, of those served, that may start something at *now* (seconds since 1970), and those that may not."""
    rows = opening.rows(connection, QUEUES)
    if not asker.wanted and len(rows) == 1 and not [column for column in LIMITS if rows[0][column] is not None]:
        return (Line(0),), ()
    running = running_in(connection)
    lines: List[Line] = []
    closed: List[Closed] = []
    for row in rows:
        if is_served(asker.wanted, row["name"]):
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
        return Closed(number, name, PAUSED, "queue %s paused" % name, paused_until(row))
    if most is not None and type(most) is not int:
        return Closed(number, name, SHUT, "cannot read its limit in the database", now + AGAIN)
    if most is not None and running >= most:
        return Closed(number, name, FULL, "queue %s: %d at once" % (name, most))
    shut = None
    if row["rate_count"] is not None:
        from queuectl_lib.store import rates  # which few queues need

        shut = rates.used_up(connection, row, now, claims=not asker.asks)
    if shut is None and has_gate(row):
        from queuectl_lib.store import gating  # the same

        shut = gating.shut_by(row, now, asker.path, asker.asks)
    return Closed(number, name, SHUT, *shut) if shut else None


def line_of(row: sqlite3.Row, running: int) -> Line:
    """The queue in *row*, which is open."""
    room = None if row["running_most"] is None else row["running_most"] - running
    counts = row["rate_count"] is not None or row["load_most"] is not None
    line = Line(row["id"], running, room, counts or room is not None or has_gate(row))
    line.row = row if counts else None
    return line


def is_paused(row: sqlite3.Row, now: float) -> bool:
    """True where a person has paused the queue in *row*, and the time for which he did so is not over."""
    until = paused_until(row)
    return row["paused_at"] is not None and (until is None or until > now)


def paused_until(row: sqlite3.Row) -> Optional[float]:
    """When its pause ends by itself; None where it does not, or what stands there is no time."""
    return times.utc_seconds(row["paused_until"]) if times.is_time(row["paused_until"]) else None


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
