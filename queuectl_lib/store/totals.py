"""Counters that outlive the attempts they count: outcomes, how long they took and waited, CPU; for `metrics`.

One row of totals, written once in each transaction that ends attempts, so it agrees with them whoever is killed: its
value is a blob of little-endian doubles, PLACES of them, for the price of a row is the same for one number and for 31.
A histogram is one number for each of BOUNDS and one for what is longer, each without those below, then the sum. New
counters go to the end; what somebody has damaged counts from nothing again.
"""

from __future__ import annotations

import functools
import struct

from queuectl_lib import times
from queuectl_lib.jobs import states
from queuectl_lib.store import kinds

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import List, Optional, Sequence, Tuple

    from queuectl_lib.jobs.attempts import Outcome

OUTCOMES = (
    *(states.COMPLETED, states.FAILED, states.TIMED_OUT, states.LOST),
    *(states.SNOOZED, states.GIVEN_BACK, states.CANCELLED),
)
BOUNDS = (0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 7200.0, 28800.0, 86400.0)  # seconds, for ever
CPU = len(OUTCOMES)
DURATION = CPU + 1  # where a histogram begins
WAIT = DURATION + len(BOUNDS) + 2
PLACES = WAIT + len(BOUNDS) + 2
MOST = 1e300  # no counter comes so far

KEY = "ends of attempts"
READ = "SELECT value FROM totals WHERE key = '%s'" % KEY
WRITE = "UPDATE totals SET value = ? WHERE key = '%s'" % KEY
BEGIN = "INSERT OR REPLACE INTO totals (value, key) VALUES (?, '%s')" % KEY


def record(connection: sqlite3.Connection, outcomes: Sequence[Outcome]) -> None:
    """Count these, in the transaction that has settled them."""
    counted = [outcome for outcome in outcomes if not outcome.unstarted]  # of those nothing is left
    if not counted:
        return
    known, is_there = read(connection)
    for outcome in counted:
        add(known, outcome)
    connection.execute(WRITE if is_there else BEGIN, (struct.pack("<%dd" % len(known), *known),))


def read(connection: sqlite3.Connection) -> Tuple[List[float], bool]:
    """The counters, PLACES of them or, of a newer version, more; and whether their row is there."""
    row = connection.execute(READ).fetchone()
    blob = row[0] if row else None
    if isinstance(blob, bytes) and len(blob) >= 8 and len(blob) % 8 == 0:
        known = list(struct.unpack("<%dd" % (len(blob) // 8), blob))
        if min(known) >= 0 and sum(known) < MOST:
            return known + [0.0] * (PLACES - len(known)), True
    return [0.0] * PLACES, row is not None


def add(known: List[float], outcome: Outcome) -> None:
    """Count one, in its place."""
    if outcome.kind in OUTCOMES:
        known[OUTCOMES.index(outcome.kind)] += 1
    if outcome.cpu is not None:
        known[CPU] += outcome.cpu
    if outcome.started is None or outcome.kind == states.LOST:  # when that one ended is not known
        return
    observe(known, DURATION, kinds.seconds_of(outcome))
    if outcome.claim.due is not None:
        observe(known, WAIT, waited(outcome.claim.due, outcome.started))


def observe(known: List[float], begin: int, seconds: Optional[float]) -> None:
    """Count *seconds* in the histogram that begins there. (None, or what no clock can have measured, is left out.)"""
    if seconds is None or not 0 <= seconds <= kinds.MOST_SECONDS:
        return
    place = len(BOUNDS)
    while place and seconds <= BOUNDS[place - 1]:
        place -= 1
    known[begin + place] += 1
    known[begin + len(BOUNDS) + 1] += seconds


def waited(due: str, started: float) -> Optional[float]:
    """Seconds from when an attempt was due until it began; None where what stands there is no time."""
    since = second(due[:19]) if due[19:20] == "." and due[26:] == "Z" and due[20:26].isdigit() else None
    return None if since is None else max(0.0, started - since - int(due[20:26]) / 1e6)


@functools.lru_cache(maxsize=4)
def second(text: str) -> Optional[float]:
    """A whole second, as times.utc_text writes it: many jobs were added in one."""
    since = times.seconds_or(text + "Z", -1.0)
    return since if since >= 0 else None
