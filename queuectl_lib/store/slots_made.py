"""Slots made: the jobs of schedules that are due, each once, in the transaction that moves their schedule on.

Two who look at once are kept apart by the gate, and by what a schedule's row says: only who finds it as he has read it
makes its jobs. Before the commit nothing has happened, and whoever looks next does it.
"""

from __future__ import annotations

import json
import sqlite3

from queuectl_lib import errors, times
from queuectl_lib.errors import QueueError
from queuectl_lib.host import bell, failpoints
from queuectl_lib.jobs import due_slots, fields, recurring, states
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import beside, finding, opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Collection, Dict, List, Optional, Sequence, Tuple

    from queuectl_lib.jobs.due_slots import Due
    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

AT_ONCE = 100  # schedules in one transaction, and jobs after which it takes up no other
READ = (
    "name, timing, zone, job, missed, missed_most, overlap, anchor, starts_at, ends_at, paused_at, next_at,"
    " last_slot, last_job, trouble"
)
# The index is named: after an ANALYZE, SQLite up to 3.25 would rather read the whole table.
FIND_DUE = "SELECT %s FROM schedules INDEXED BY schedules_next WHERE next_at <= ? ORDER BY next_at LIMIT ?" % READ
FIND_NEXT = "SELECT name, next_at FROM schedules INDEXED BY schedules_next WHERE next_at > '' ORDER BY next_at LIMIT ?"


class Made:
    """What one look has come to: how many schedules it *found*, how many jobs it *made*, and what is to be told."""

    def __init__(self) -> None:
        self.found = 0
        self.made = 0
        self.words: List[str] = []
        self.in_trouble: List[str] = []  # whose next slot cannot be computed or made: it is tried again later


def next_due(database: Database, apart: Collection[str]) -> Optional[float]:
    """When the next slot of any schedule comes, but of those set *apart*; None where there is none."""
    with database.reading() as connection:
        for row in opening.rows(connection, FIND_NEXT, (1 + len(apart),)):
            if row["name"] not in apart:
                return times.seconds_or(row["next_at"], times.LAST_TIME)  # what is no time falls due at none
    return None


def make_due(database: Database, now: float, apart: Collection[str] = ()) -> Made:
    """Make the jobs that are due by *now* of up to AT_ONCE schedules, in the order of their slots; but see *apart*."""
    done = Made()
    with database.reading() as connection:
        rows = opening.rows(connection, FIND_DUE, (times.utc_text(now), AT_ONCE + len(apart)))
    plans: List[Tuple[Fields, Optional[Due], str]] = []
    for row in map(dict, rows):
        if row["name"] not in apart:
            try:
                plans.append((row, due_slots.due(row, now), ""))
            except (QueueError, TypeError) as error:  # a zone that is gone; or what somebody has written there
                plans.append((row, None, str(error)))
    done.found = len(plans)
    if any(due or why != row["trouble"] for row, due, why in plans):
        with database.writing() as connection:
            for row, due, why in plans:
                if done.made < AT_ONCE:
                    carry_out(connection, row, due, why, now, done)
            failpoints.failpoint("schedule.before-commit")
        failpoints.failpoint("schedule.committed")
    done.in_trouble += [str(row["name"]) for row, due, why in plans if not due]
    if done.made:
        bell.ring(database.folder.bell)
    return done


FIND = "SELECT %s FROM schedules WHERE name = ?" % READ
TELL_TROUBLE = "UPDATE schedules SET trouble = ? WHERE name = ? AND next_at = ?"


def carry_out(
    connection: sqlite3.Connection, row: Fields, due: Optional[Due], why: str, now: float, done: Made
) -> None:
    """Do for one schedule what was planned, where its row is still what it was. Raises IntegrityError."""
    name = row["name"]
    if [dict(found) for found in opening.rows(connection, FIND, (name,))] != [row]:
        return  # somebody else was first, or has set it anew: the next look tells
    if not due:
        connection.execute(TELL_TROUBLE, (why, name, row["next_at"]))
        done.words += ["schedule %s: %s" % (name, why)] if why != row["trouble"] else []
        return
    try:
        with opening.undone_alone(connection):
            note_cancelled(connection, row)
            made = make_jobs(connection, row, due, now)
            move_on(connection, row, due, made, None)
            done.made += len(made)
            if due.left_out:
                done.words.append("schedule %s: %s, not made" % (name, missed_text(due.left_out)))
    except (QueueError, sqlite3.IntegrityError) as error:
        if not connection.in_transaction:  # a trigger has ended it
            raise
        done.words.append("schedule %s: its job is refused: %s" % (name, error))
        try:
            move_on(connection, row, due, [], "its job is refused: %s" % error)
        except sqlite3.IntegrityError:
            done.in_trouble.append(name)


def missed_text(count: int) -> str:
    return "1 slot was missed" if count == 1 else "%d slots were missed" % count


NOTE_CANCELLED = (
    "UPDATE schedules SET last_outcome = 'cancelled', outcome_at = (SELECT finished_at FROM jobs WHERE id = last_job)"
    " WHERE name = ? AND (SELECT state FROM jobs WHERE id = last_job) = 'cancelled'"
)


def note_cancelled(connection: sqlite3.Connection, row: Fields) -> None:
    """What was cancelled before it ran ended no attempt, with which that would have been noted (store/aftermath)."""
    connection.execute(NOTE_CANCELLED, (row["name"],))


STATE_OF = "SELECT state FROM jobs WHERE id = ?"


def make_jobs(connection: sqlite3.Connection, row: Fields, due: Due, now: float) -> List[str]:
    """Add a job for each slot that overlaps with no other, oldest first; their ids."""
    last = opening.rows(connection, STATE_OF, (row["last_job"],))
    state = last[0]["state"] if last else None
    is_one = len(due.slots) == 1  # of several that are caught up with, all stand in line
    if row["overlap"] == "skip" and state in states.HOLDING:
        return []
    if row["overlap"] == "queue" and is_one and state in states.WAITING:
        return []
    made = []
    for slot in due.slots:
        identifier = add_job(connection, row, slot, now)
        made += [identifier] if identifier else []
        failpoints.failpoint("schedule.inserted")
    return made


INSERT_JOB = "INSERT INTO jobs (%s, schedule, slot) VALUES (%s, ?, ?)" % (
    fields.INSERT_COLUMNS,
    ", ".join("?" * fields.BESIDE),
)


def add_job(connection: sqlite3.Connection, row: Fields, slot: float, now: float) -> Optional[str]:
    """Add the job of a schedule for *slot*; its id, None where another one holds its key.

    Raises QueueError where it is refused now, IntegrityError where the database does.
    """
    maker = JobMaker(0, "/", None, now)
    maker.queue_of = lambda name: queue_number(connection, name)
    asked = dict(read_job(row["job"]), id=free_id(connection, row["name"], slot))
    if row["overlap"] == "queue":
        asked["lock"] = recurring.lock_of(row["name"])
    job = maker.row(asked)
    if finding.find_holder(connection, job[fields.KEY]) is not None:
        return None
    added = connection.execute(INSERT_JOB, tuple(job[: fields.BESIDE]) + (row["name"], times.utc_text(slot)))
    opening.refuse_ignored(1 - added.rowcount)
    if job[fields.BESIDE]:
        beside.insert(connection, [(added.lastrowid or 0, job[0], "", job[fields.BESIDE])])
    return str(job[0])


QUEUE_NUMBER = "SELECT id FROM queues WHERE name = ?"
QUEUE_NAMES = "SELECT name FROM queues ORDER BY name"


def queue_number(connection: sqlite3.Connection, name: object) -> int:
    """(Here, for store/queues would bring all that limits a queue into the memory of each supervisor.)"""
    found = opening.rows(connection, QUEUE_NUMBER, (str(name),))
    if not found:
        known = [opening.as_text(row["name"]) for row in opening.rows(connection, QUEUE_NAMES)]
        raise errors.unknown_name("queue", name, known)
    return int(found[0]["id"])


def read_job(text: object) -> Dict[str, Any]:
    """The job of a schedule from its column. Raises BadInput for what none of ours has written there."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise errors.BadInput("job: what stands there is no object of JSON")
    return found


def free_id(connection: sqlite3.Connection, name: str, slot: float) -> str:
    """The id of the job for *slot*; with a number behind it where another job has that."""
    first = "%s@%s" % (name, times.second_text(int(slot)).translate({ord("-"): None, ord(":"): None}) + "Z")
    identifier, number = first, 1
    while opening.rows(connection, STATE_OF, (identifier,)):
        number += 1
        identifier = "%s.%d" % (first, number)
    return identifier


MOVE_ON = (
    "UPDATE schedules SET next_at = ?, last_slot = coalesce(?, last_slot), last_job = coalesce(?, last_job),"
    " made = made + ?, skipped = skipped + ?, failures = failures + ?, trouble = ? WHERE name = ? AND next_at = ?"
)


def move_on(connection: sqlite3.Connection, row: Fields, due: Due, made: Sequence[str], why: Optional[str]) -> None:
    """Note what was made of the slots that are due, and when the next one is."""
    following, last = (None if slot is None else times.utc_text(slot) for slot in (due.next, due.last))
    skipped = due.left_out + len(due.slots) - len(made)
    counted = (len(made), skipped, int(why is not None))
    values = (following, last, made[-1] if made else None) + counted + (why, row["name"], row["next_at"])
    opening.refuse_ignored(1 - connection.execute(MOVE_ON, values).rowcount)


def run_now(database: Database, row: Fields, now: float) -> str:
    """A job of this schedule at once, beside its slots; its id. Raises QueueError where its key is held."""
    with database.writing() as connection:
        identifier = add_job(connection, row, now, now)
        if identifier is None:
            text = "another job waits or runs with the key of schedule %s: nothing was added"
            raise QueueError(text % row["name"], "key_held")
    bell.ring(database.folder.bell)
    return identifier


REVIEWED = "SELECT %s FROM schedules WHERE name > ? AND paused_at IS NULL ORDER BY name LIMIT ?" % READ
FOUND_ANEW = "UPDATE schedules SET %s WHERE name = ? AND next_at IS ?"
MAY_CHANGE = ("next_at", "last_slot", "anchor", "trouble")
FIND_ANEW = FOUND_ANEW % ", ".join(column + " = ?" for column in MAY_CHANGE)


def review(database: Database, now: float, after: str) -> Tuple[Optional[str], List[str]]:
    """Find the next slot anew of some schedules behind *after*, as the clock or its zone may be others.

    Returns behind which to go on (None for the end), and a word on each that matters. What is due stays due.
    """
    with database.reading() as connection:
        rows = [dict(row) for row in opening.rows(connection, REVIEWED, (after, AT_ONCE))]
    changes = []
    for row in rows:
        try:
            changed = {} if row["next_at"] and row["next_at"] <= times.utc_text(now) else due_slots.found_anew(row, now)
        except (QueueError, TypeError):
            continue  # told when it is due
        if changed:
            changes.append((dict(row, **changed), row))
    if changes:
        with database.writing() as connection:
            for new, row in changes:
                values = tuple(new[column] for column in MAY_CHANGE)
                connection.execute(FIND_ANEW, values + (row["name"], row["next_at"]))
    words = [
        "schedule %s: %s" % (new["name"], new["trouble"]) for new, row in changes if new["trouble"] != row["trouble"]
    ]
    return (str(rows[-1]["name"]) if len(rows) == AT_ONCE else None), words
