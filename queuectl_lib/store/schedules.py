"""Schedules kept: set, listed, paused, resumed, removed; their jobs are made in store/slots_made."""

from __future__ import annotations

import os
import sqlite3

from queuectl_lib import contexts, errors, times
from queuectl_lib.errors import BadInput, NoDatabase, QueueError
from queuectl_lib.jobs import due_slots, recurring
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

COLUMNS = ", ".join(recurring.ASKED + ("name", "anchor", "paused_at") + recurring.OWN_KEYS)
# What has become of its last job, where that still exists; else what was noted when it ended.
STATE_OF_LAST = "coalesce((SELECT state FROM jobs WHERE id = schedules.last_job), last_outcome) AS last_outcome"
LIST = "SELECT %s FROM schedules ORDER BY name" % COLUMNS.replace("last_outcome", STATE_OF_LAST)
GET = "SELECT %s FROM schedules WHERE name = ?" % COLUMNS
NAMES = "SELECT name FROM schedules"


def all_of(database: Database) -> List[Fields]:
    """Every schedule as its row, in the order of their names; none where no database exists."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        return [opening.without_bytes(row) for row in opening.rows(connection, LIST)]
    return []


def some_of(database: Database, names: Sequence[str]) -> List[Fields]:
    """Those with these *names*. Raises QueueError for one that does not exist."""
    found = {row["name"]: row for row in all_of(database)}
    for name in names:
        if name not in found:
            raise unknown(name, list(found))
    return [found[name] for name in names]


def unknown(name: str, known: Sequence[str]) -> QueueError:
    """The refusal of a schedule that does not exist, with the nearest that does."""
    import difflib  # needed only to refuse

    near = difflib.get_close_matches(name[: errors.NAME_CHARACTERS], known, 1, 0.5)
    hint = "did you mean %s?" % near[0] if near else "`schedule list` shows all"
    text = "no schedule has the name %s: %s" % (errors.shown(name), hint)
    return QueueError(text, "no_such_schedule", "schedule list")


INSERT = "INSERT INTO schedules (name, %s, anchor, paused_at, next_at) VALUES (?, %s, ?, ?, ?)" % (
    ", ".join(recurring.ASKED),
    ", ".join("?" * len(recurring.ASKED)),
)
CHANGE = "UPDATE schedules SET %s, anchor = ?, paused_at = ?, next_at = ?, trouble = NULL WHERE name = ?" % ", ".join(
    column + " = ?" for column in recurring.ASKED
)
DELETE = "DELETE FROM schedules WHERE name = ?"
COUNT = "SELECT count(*) FROM schedules"


def put(database: Database, asked: Sequence[Fields], now: float, only: bool = False) -> Dict[str, str]:
    """Set each schedule in *asked* (recurring.of_schedule), all or none; the *only* ones that there are, where wanted.

    Returns what became of each name: "new", "changed", "same", or "removed".
    """
    database.ready()
    wanted = {row["name"]: row for row in asked}
    with database.writing() as connection:
        done = {name: put_one(connection, row, now) for name, row in wanted.items()}
        names = [row["name"] for row in opening.rows(connection, NAMES)] if only else []
        for name in names:
            if name not in wanted:
                connection.execute(DELETE, (name,))
                done[opening.as_text(name)] = "removed"
        if connection.execute(COUNT).fetchone()[0] > recurring.MOST:
            raise BadInput("a queue has at most %d schedules: nothing was changed" % recurring.MOST)
    nudge(database)
    return done


def put_one(connection: sqlite3.Connection, asked: Fields, now: float) -> str:
    """Insert or change one. Where it is due at other times than before, its next slot is the first after *now*."""
    found = opening.rows(connection, GET, (asked["name"],))
    before = dict(found[0]) if found else {}
    row = dict(before, **{column: asked[column] for column in recurring.ASKED})
    row.update(name=asked["name"], anchor=before.get("anchor"), paused_at=before.get("paused_at"))
    if asked["paused"] is not None and asked["paused"] != bool(row["paused_at"]):
        row["paused_at"] = times.utc_text(now) if asked["paused"] else None
    moved = [column for column in WHEN if not found or row[column] != before[column]]
    if "timing" in moved or "starts_at" in moved:
        row["anchor"] = times.utc_text(now // 1)
    if moved or row["paused_at"] != before["paused_at"]:
        row["next_at"] = None if row["paused_at"] else next_text(dict(row, last_slot=None) if moved else row, now)
    if row == before:
        return "same"
    values = tuple(row[column] for column in recurring.ASKED)
    kept = (row["anchor"], row["paused_at"], row["next_at"])
    if found:
        written = connection.execute(CHANGE, values + kept + (row["name"],))
    else:
        written = connection.execute(INSERT, (row["name"],) + values + kept)
    opening.refuse_ignored(1 - written.rowcount)
    return "changed" if found else "new"


WHEN = ("timing", "zone", "starts_at", "ends_at")  # the columns that say when it is due


def next_text(row: Fields, now: float) -> Optional[str]:
    """The first slot after *now* as it is kept, and after the last one that was made; None where there is none."""
    slot = due_slots.first_unmade(row, now)
    return None if slot is None else times.utc_text(slot)


PAUSE = "UPDATE schedules SET paused_at = ?, next_at = NULL WHERE name = ? AND paused_at IS NULL"
RESUME = "UPDATE schedules SET paused_at = NULL, next_at = ?, trouble = NULL WHERE name = ? AND paused_at IS NOT NULL"


def pause(database: Database, names: Sequence[str], now: float) -> List[str]:
    """Make no more jobs of these; which of them were not paused before. Raises QueueError for an unknown one."""
    with writing_to(database, names) as connection:
        heads = heads_of(connection, names)
        for name in names:
            connection.execute(PAUSE, (times.utc_text(now), name))
    return [head["name"] for head in heads if not head["paused_at"]]


def resume(database: Database, names: Sequence[str], now: float) -> List[str]:
    """Go on with these, from the first slot after *now*: what came while they were paused was not missed."""
    with writing_to(database, names) as connection:
        paused = [head for head in heads_of(connection, names) if head["paused_at"]]
        for head in paused:
            connection.execute(RESUME, (next_text(head, now), head["name"]))
    nudge(database)
    return [head["name"] for head in paused]


JOBS_WAITING = (
    "SELECT id FROM jobs WHERE id > ? AND id < ? AND schedule = ? AND state IN ('pending', 'failed') ORDER BY seq"
)


def remove(database: Database, names: Sequence[str]) -> List[str]:
    """Forget these; the ids of their jobs that wait, which stay. Raises QueueError for an unknown one."""
    waiting: List[str] = []
    with writing_to(database, names) as connection:
        heads_of(connection, names)
        for name in names:
            opening.refuse_ignored(1 - connection.execute(DELETE, (name,)).rowcount)
            values = (name + "@", name + "A", name)  # A stands behind @
            waiting += [opening.as_text(row["id"]) for row in opening.rows(connection, JOBS_WAITING, values)]
    return waiting


def heads_of(connection: sqlite3.Connection, names: Sequence[str]) -> List[Fields]:
    """The rows of these. Raises QueueError for one that does not exist."""
    found = []
    for name in names:
        rows = opening.rows(connection, GET, (name,))
        if not rows:
            raise unknown(name, [opening.as_text(row["name"]) for row in opening.rows(connection, NAMES)])
        found.append(dict(rows[0]))
    return found


@contexts.contextmanager
def writing_to(database: Database, names: Sequence[str]) -> Iterator[sqlite3.Connection]:
    """A write transaction; where no database exists, neither does a schedule with the first of *names*."""
    try:
        with database.writing() as connection:
            yield connection
    except NoDatabase:
        raise unknown(names[0], []) from None


def nudge(database: Database) -> None:
    """Have supervisors that rest look at the schedules now: by the time of a folder that they watch (run/quiet)."""
    with contexts.suppress(OSError):
        os.utime(database.folder.workers)
