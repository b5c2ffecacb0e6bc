"""One job sent first for a group of dead ones: what a person starts. How the others follow: store/following."""

from __future__ import annotations

import contextlib
import sqlite3

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase, QueueError
from queuectl_lib.host import bell, interrupts
from queuectl_lib.jobs import states
from queuectl_lib.store import changing, edges, following, opening, requeuing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterator, List, Optional, Tuple, Union

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Found
    from queuectl_lib.values import Fields

TRIED = 500  # of the oldest, to find one that may go
KEPT_RELEASES = 100  # rows of those that have ended, for `why`

JOIN = "UPDATE jobs SET release = ? WHERE seq = ? AND state = 'dead' AND signature = ?"


class Joining(changing.Verb):
    """Dead jobs of a group that are to follow the first of a release."""

    def __init__(self, release: int, signature: str) -> None:
        super().__init__()
        self.release = release
        self.signature = signature
        self.oldest: List[int] = []

    def one(self, connection: sqlite3.Connection, seq: int) -> bool:
        joined = connection.execute(JOIN, (self.release, seq, self.signature)).rowcount == 1
        if joined and len(self.oldest) < TRIED:
            self.oldest.append(seq)
        return joined


class Sent:
    """What has gone first, how many wait for it, and what was left for a reason."""

    def __init__(self) -> None:
        self.id = ""
        self.waiting = 0
        self.held = self.behind = 0  # as in requeuing.Requeuing
        self.kept: List[Tuple[str, str]] = []


def send(
    database: Database, found: Iterator[Found], signature: str, now: float, tell: Callable[[], object]
) -> Sent:
    """Put the oldest of the jobs *found*, all dead and of one group, back with one attempt; the others wait for it.

    Raises QueueError where none can go, or another goes first for this group already. A kill leaves all as it was,
    until the first has gone in the last transaction.
    """
    with contextlib.ExitStack() as held:
        with opening.told(database.path):  # not around the rest: its errors are its own
            held.enter_context(database.gate("canary"))  # of two at a time the second finds what the first has done
        number = begin(database, signature, now)
        verb = Joining(number, signature)
        changing.change(database, found, verb, tell)
        if not verb.oldest:
            raise QueueError("no job matches: nothing was requeued", "no_match")
        return go(database, verb, now)


RELEASES = "SELECT id, batch, waiting FROM releases WHERE signature = ? ORDER BY id DESC"
NEXT_NUMBER = "SELECT max(id) FROM releases WHERE id < %d" % (1 << 60)
BEGIN_RELEASE = "INSERT INTO releases (id, signature, batch, waiting, begun_at) VALUES (?, ?, 0, 0, ?)"
FORGET_OLD = (
    "DELETE FROM releases WHERE id NOT IN (SELECT id FROM releases ORDER BY id DESC LIMIT ?)"
    " AND id NOT IN (SELECT -job FROM settling) AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.seq = releases.batch"
    " AND jobs.release = releases.id AND jobs.state IN ('pending', 'processing'))"
)


def begin(database: Database, signature: str, now: float) -> int:
    """Make the row of a release that is prepared; its number. Raises QueueError where another of the group goes on."""
    from queuectl_lib import times

    with database.writing() as connection:
        other = under_way(connection, signature)
        if other:
            raise QueueError("%s: nothing was requeued" % other)
        newest = connection.execute(NEXT_NUMBER).fetchone()[0]
        # By the clock: the number of a row that is gone is never given to another.
        number = max(int(now * 1000), (newest if type(newest) is int else 0) + 1)
        connection.execute(BEGIN_RELEASE, (number, signature, times.utc_text(now)))
        connection.execute(FORGET_OLD, (KEPT_RELEASES,))
    return number


FIRST = "SELECT id, state, release FROM jobs WHERE seq = ?"
FOLLOWING = "SELECT 1 FROM settling WHERE job = ?"


def under_way(connection: sqlite3.Connection, signature: str) -> str:
    """What of the group goes on already, in words; "" where nothing does."""
    for row in opening.rows(connection, RELEASES, (signature,)):
        first = first_of(connection, row)
        if first:
            return "job %s goes first for this group already (%s)" % (opening.as_text(first["id"]), first["state"])
        if connection.execute(FOLLOWING, (-row["id"],)).fetchone():
            return "jobs of this group follow the one that went first, and not all have gone yet"
    return ""


def first_of(connection: sqlite3.Connection, release: Union[sqlite3.Row, Fields]) -> Optional[sqlite3.Row]:
    """The job that goes first in a *release*, while it waits or runs; None where it has ended, however."""
    if not type(release["batch"]) is type(release["waiting"]) is int or release["batch"] <= 0 or release["waiting"] < 0:
        return None
    found = opening.rows(connection, FIRST, (release["batch"],))
    is_it = found and found[0]["release"] == release["id"] and found[0]["state"] in states.HOLDING
    return found[0] if is_it else None


GO_FIRST = "UPDATE jobs SET release = ? WHERE seq = ?"
HAS_GONE = "UPDATE releases SET batch = ?, waiting = ? WHERE id = ?"


def go(database: Database, verb: Joining, now: float) -> Sent:
    """Put the first of those that joined back that can go. Raises QueueError where none of the oldest can."""
    sent, requeue = Sent(), requeuing.Requeuing(["dead"], now)
    interrupts.keep_until_told()
    with database.writing() as connection:
        for seq in verb.oldest:
            if requeue.one(connection, seq):
                connection.execute(GO_FIRST, (verb.release, seq))
                sent.waiting = verb.changed - 1 - requeue.held - requeue.behind
                connection.execute(HAS_GONE, (seq, sent.waiting, verb.release))
                sent.id = opening.as_text(opening.rows(connection, FIRST, (seq,))[0]["id"])
                break
        sent.held, sent.behind = requeue.held, requeue.behind
        if not sent.id:
            text = "none of the oldest %d can go: another job has their key, or what they come after has not ended"
            raise QueueError("%s as they want: nothing was requeued" % (text % len(verb.oldest)))
        is_unsettled = edges.settle_some(connection, now, kept=sent.kept)
    bell.ring(database.folder.bell)
    edges.settle_rest(database, is_unsettled, now, sent.kept)
    return sent


ALL_RELEASES = "SELECT id, signature, batch, waiting FROM releases"


def firsts(database: Database) -> Dict[str, Fields]:
    """What goes first now: id and waiting, by the signature of its group."""
    found: Dict[str, Fields] = {}
    with contexts.suppress(NoDatabase), database.reading() as connection:
        for row in opening.rows(connection, ALL_RELEASES):
            first = first_of(connection, row)
            if first:
                fields = {"id": opening.as_text(first["id"]), "waiting": row["waiting"]}
                found[opening.as_text(row["signature"])] = fields
    return found


def goes_first(database: Database, job: Fields) -> Optional[str]:
    """The id of the job that goes first for the group of a dead *job* (release, signature) that is to follow it."""
    if job["release"] is not None:
        with contexts.suppress(NoDatabase), database.reading() as connection:
            release = following.release_of(connection, job["release"])
            first = first_of(connection, release) if release and release["signature"] == job["signature"] else None
            return opening.as_text(first["id"]) if first else None
    return None


FAILED_FIRST = (
    "SELECT r.id, r.signature, r.batch, r.waiting, j.signature AS own FROM jobs j JOIN releases r ON r.id = j.release"
    " WHERE j.id = ? AND j.state = 'dead' AND r.batch = j.seq"
)


STILL_DEAD = (
    "SELECT count(*) FROM (SELECT seq, release, signature FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'dead' AND state <> 'completed' ORDER BY seq DESC LIMIT %d)"
    " WHERE release = ? AND signature = ? AND seq <> ?"
) % following.READ_ROWS


def failed_first(database: Database, identifier: str) -> Optional[Fields]:
    """Where this dead job has gone first and failed: the *group*, how many *stay* dead, whether *alike* failed anew.

    Those that stay are counted: since then a person may have deleted some, or put them back.
    """
    with contexts.suppress(NoDatabase), database.reading() as connection:
        for row in opening.rows(connection, FAILED_FIRST, (identifier,)):
            release = following.release_of(connection, row["id"])
            if release is not None and release["waiting"] < 0:
                group, own = opening.as_text(row["signature"]), opening.as_text(row["own"])
                still = connection.execute(STILL_DEAD, (row["id"], row["signature"], row["batch"])).fetchone()[0]
                return {"group": group, "stay": min(-1 - release["waiting"], still), "alike": own == group}
    return None
