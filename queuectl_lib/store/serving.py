"""Who serves which queues, who asks what of them may start, and what they are told: a Line for each that is open."""

from __future__ import annotations

import json
import sqlite3

from queuectl_lib import times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from queuectl_lib.store.database import Database

QUEUES = (
    "SELECT id, name, paused_at, paused_until, running_most, rate_count, rate_seconds, windows, load_most,"
    " memory_least, free_least, free_path, starts, last_start_at,"
    " launcher, launcher_args FROM queues"
)
PAUSED, FULL, SHUT = "paused", "full", "shut"  # why one is closed (store/eligible)


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
        self.launcher: Optional[str] = None  # of its jobs that have none of their own
        self.launcher_args: object = None


def read_launcher(line: Line, row: sqlite3.Row) -> None:
    """What the queue in *row* says of launchers; what somebody has changed it to is no words."""
    line.launcher = row["launcher"]
    try:
        line.launcher_args = json.loads(row["launcher_args"]) if row["launcher_args"] else None
    except (ValueError, TypeError, RecursionError):
        line.launcher_args = None


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
        self.launcher: Optional[str] = None  # of jobs that neither name one nor wait in a queue that does


def paused_until(row: sqlite3.Row) -> Optional[float]:
    """When its pause ends by itself; None where it does not, or what stands there is no time."""
    return times.utc_seconds(row["paused_until"]) if times.is_time(row["paused_until"]) else None
