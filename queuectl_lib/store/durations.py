"""What is known of kinds of jobs, as it is asked: durations, numbers, the last end; forgotten, or read again."""

from __future__ import annotations

import json
import struct

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import kinds as names
from queuectl_lib.jobs import states
from queuectl_lib.store import kinds, opening, showing

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.kinds import Seen
    from queuectl_lib.values import Fields

LOOK = "SELECT kind, recent FROM kinds WHERE kind IN (%s)"
AT_ONCE = 500  # an old SQLite takes 999 parameters


def look(database: Database, wanted: Iterable[str]) -> Dict[str, List[float]]:
    """The last durations (seconds, the newest last) of those of the kinds *wanted* that are known."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        return look_in(connection, wanted)
    return {}


def look_in(connection: sqlite3.Connection, wanted: Iterable[str]) -> Dict[str, List[float]]:
    """The same, within a transaction."""
    asked, found = sorted(set(wanted)), {}
    while asked:
        some, asked = asked[:AT_ONCE], asked[AT_ONCE:]
        for row in opening.rows(connection, LOOK % ", ".join("?" * len(some)), some):
            found[str(row["kind"])] = durations_of(row["recent"])
    return found


def durations_of(blob: object) -> List[float]:
    """What stands in `recent`; nothing where that is damaged."""
    if not isinstance(blob, bytes) or len(blob) % 4:
        return []
    return [one for one in struct.unpack("<%df" % (len(blob) // 4), blob) if 0 <= one <= kinds.MOST_SECONDS]


ALL = "SELECT kind, runs, failures, ended, recent FROM kinds"


def table(database: Database) -> List[Fields]:
    """Each kind: kind, runs, failures, last_at (None where no time stands there), recent (durations)."""
    rows: List[sqlite3.Row] = []
    with contexts.suppress(NoDatabase), database.reading() as connection:
        rows = opening.rows(connection, ALL)
    found = []
    for row in rows:
        one: Fields = {"kind": opening.as_text(row["kind"])}
        one.update({name: row[name] if type(row[name]) is int else 0 for name in ("runs", "failures")})
        is_time = type(row["ended"]) is int and times.FIRST_TIME <= row["ended"] <= times.LAST_TIME
        one["last_at"] = times.utc_text(row["ended"]) if is_time else None
        found.append(dict(one, recent=durations_of(row["recent"])))
    return found


ONE = "SELECT runs, failures FROM kinds WHERE kind = ?"


def tally(database: Database, kind: str) -> Tuple[int, int]:
    """How many attempts of this kind have ended, and how many of them failed."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        for runs, failures in connection.execute(ONE, (kind,)):
            if type(runs) is type(failures) is int:
                return runs, failures
    return 0, 0


# ---------------------------------------------------------------- begun anew

FORGET_ALL = "DELETE FROM kinds"
FORGET_ONE = "DELETE FROM kinds WHERE kind = ?"


def reset(database: Database, kind: Optional[str] = None) -> int:
    """Forget one kind, or all (None); how many were forgotten."""
    with contexts.suppress(NoDatabase), database.writing() as connection:
        if kind is None:
            return connection.execute(FORGET_ALL).rowcount
        return connection.execute(FORGET_ONE, (kind,)).rowcount
    return 0


NEWEST = 100000  # attempts that are read again
READ_ROWS = 10000  # of them in one read, so that no log grows meanwhile
ENDS = "SELECT ended FROM counts WHERE state = 'completed'"
ATTEMPTS = (
    "SELECT a.id, a.outcome, a.started_at, a.finished_at, a.ended, a.command AS changed, j.command, j.is_list, j.name"
    " FROM attempts a %s CROSS JOIN jobs j WHERE j.seq = a.job AND "
)
OLD = ATTEMPTS % "" + "a.id < ? ORDER BY a.id DESC LIMIT ?"
SINCE = ATTEMPTS % "INDEXED BY attempts_ended" + "a.ended > ? AND a.ended IS NOT NULL ORDER BY a.ended"


def rebuild(database: Database) -> Tuple[int, int]:
    """Make the table anew from the newest attempts that are there: how many say something, and of how many kinds.

    They are read before the gate is taken, and what has ended meanwhile behind it: each once, by the number of its end.
    """
    before, found = 0, []
    with contexts.suppress(NoDatabase), database.reading() as connection:
        before = ended_so_far(connection)
    for row in newest(database):
        if not (type(row["ended"]) is int and row["ended"] > before):
            found.append(End(row))
    with database.writing() as connection:
        since = [End(row) for row in opening.rows(connection, SINCE, (before,)) if type(row["ended"]) is int]
        known = [end for end in sorted(found, key=lambda end: end.place) + since if end.kind]
        made: Dict[str, Seen] = {}
        for end in known:
            made.setdefault(end.kind, kinds.Seen()).add(end.failed, end.seconds, end.at)
        connection.execute(FORGET_ALL)
        last = sorted(made.items(), key=lambda item: item[1].ended)[-kinds.MOST_KINDS :]
        values = [(seen.runs, seen.failures, int(seen.ended), seen.blob(), kind) for kind, seen in last]
        connection.executemany(kinds.BEGIN, values)
    return len(known), len(values)


def ended_so_far(connection: sqlite3.Connection) -> int:
    row = connection.execute(ENDS).fetchone()
    return row[0] if row and type(row[0]) is int else 0


def newest(database: Database) -> Iterator[sqlite3.Row]:
    """The newest attempts, in parts."""
    below, left = (1 << 63) - 1, NEWEST
    while left > 0:
        with database.reading() as connection:
            rows = opening.rows(connection, OLD, (below, min(left, READ_ROWS)))
        yield from rows
        if len(rows) < min(left, READ_ROWS):
            return
        below, left = rows[-1]["id"], left - len(rows)


class End:
    """An attempt that has ended: its kind ("" where it says nothing of one), whether it failed, when, its seconds."""

    def __init__(self, row: sqlite3.Row) -> None:
        self.place = (row["ended"] if type(row["ended"]) is int else 0, row["id"])  # in the order of ends
        says = states.ENDINGS.get(opening.as_text(row["outcome"])) in kinds.COUNTING
        self.kind = kind_of(row) if says else ""
        self.failed = row["outcome"] != states.COMPLETED
        began, self.at = (times.seconds_or(row[name], -1.0) for name in ("started_at", "finished_at"))
        self.seconds = self.at - began if began >= 0 and self.at >= 0 else None


def kind_of(row: Any) -> str:
    """The kind of what an attempt has run: of its job, or where that was changed since, of what it was then."""
    return names.of(row["name"], command_run(row))


def command_run(row: Any) -> Any:
    """The command that an attempt has run: a text or a list."""
    if row["changed"] is not None:
        return showing.read_or_raw(json.loads, row["changed"])
    return command_of(row)


def command_of(row: Any) -> Any:
    """The command of a job in *row*: a text or a list."""
    return showing.read_or_raw(showing.arguments, row["command"]) if row["is_list"] else row["command"]
