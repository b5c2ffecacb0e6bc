"""How long jobs of each kind take, and how often they fail: noted where attempts end (asked in store/durations).

A row of kinds holds how many attempts ended (runs), how many of them failed, when the last did (ended, seconds since
1970), and `recent`: seconds of the last RING that succeeded, as little-endian float32, so that what is old leaves by
itself. It is written in the transaction that finishes the attempts, once for all of a kind: exactly once, whoever is
killed. What is given back, cancelled or snoozed says nothing of a kind. What somebody has put there that can be no
number counts as none, and a ring that is none is refilled.
"""

from __future__ import annotations

import struct

from queuectl_lib.jobs import kinds, states

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import Dict, List, Optional, Sequence

    from queuectl_lib.jobs.attempts import Outcome

RING = 64  # durations of a kind
MOST_KINDS = 1000  # of more, those longest unseen go
KEPT_KINDS = 968  # then: so a queue of which each job is a kind of its own does not look for them at each end
MOST_SECONDS = 10 * 365 * 86400.0  # a longer one is a clock that was set
COUNTING = ("complete", "fail")  # the verbs of states.ENDINGS that say something of a kind

# One statement, and a short one: on a fresh connection most of what it costs is to read it. The blobs are added as
# text, which they are not, and cut as what they are: from the end, so that what somebody has damaged leaves. (Of an
# empty one substr makes NULL.)
ADD = (
    "UPDATE kinds SET runs = runs + ?, failures = failures + ?, ended = ?,"
    " recent = coalesce(substr(CAST(recent || ? AS BLOB), %d), x'') WHERE kind = ?" % (-4 * RING)
)
BEGIN = "INSERT OR REPLACE INTO kinds (runs, failures, ended, recent, kind) VALUES (?, ?, ?, ?, ?)"
COUNT = "SELECT count(*) FROM kinds"
FORGET = (
    "DELETE FROM kinds WHERE kind NOT IN"
    " (SELECT kind FROM kinds ORDER BY typeof(ended) = 'integer' DESC, ended DESC LIMIT %d)" % KEPT_KINDS
)


class Seen:
    """What has ended of one kind: how many attempts, how many that failed, the seconds of those that did not."""

    def __init__(self) -> None:
        self.runs = 0
        self.failures = 0
        self.ended = 0.0
        self.recent: List[float] = []

    def add(self, failed: bool, seconds: Optional[float], ended: float) -> None:
        self.runs += 1
        self.ended = ended
        if failed:
            self.failures += 1
        elif seconds is not None and 0 <= seconds <= MOST_SECONDS:
            self.recent.append(seconds)

    def blob(self) -> bytes:
        last = self.recent[-RING:]
        return struct.pack("<%df" % len(last), *last)


def record(connection: sqlite3.Connection, outcomes: Sequence[Outcome]) -> None:
    """Note what these say of their kinds, in the transaction that has settled them."""
    found: Dict[str, Seen] = {}
    for outcome in outcomes:
        claim, verb = outcome.claim, states.ENDINGS.get(outcome.kind)
        # (Without a command: what stands there cannot be read, attempts.mended.)
        if verb in COUNTING and not outcome.counts_as_cancelled and (claim.command or claim.name):
            kind = kinds.of(claim.name, claim.command)
            if kind not in found:
                found[kind] = Seen()
            found[kind].add(outcome.kind != states.COMPLETED, seconds_of(outcome), outcome.finished)
    for kind, seen in found.items():
        note(connection, kind, seen)


def seconds_of(outcome: Outcome) -> Optional[float]:
    """How long it took, by a clock that nobody sets where one saw both its ends; None where that is not known."""
    if outcome.seconds is not None or outcome.started is None:
        return outcome.seconds
    return outcome.finished - outcome.started


def note(connection: sqlite3.Connection, kind: str, seen: Seen) -> None:
    values = (seen.runs, seen.failures, int(seen.ended), seen.blob(), kind)
    if connection.execute(ADD, values).rowcount == 1:
        return
    connection.execute(BEGIN, values)
    if connection.execute(COUNT).fetchone()[0] > MOST_KINDS:
        connection.execute(FORGET)
