"""Queues: a row for each class of jobs, with what is true of all of them: a pause, limits, a rate, gates."""

from __future__ import annotations

import json
import sqlite3
import time

from queuectl_lib import contexts, errors, times
from queuectl_lib.errors import BadInput, NoDatabase, QueueError
from queuectl_lib.host import bell
from queuectl_lib.jobs import ids as ids_made
from queuectl_lib.jobs import states, windows
from queuectl_lib.store import eligible, opening, rates, serving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

DEFAULT = "default"
MOST_QUEUES = 64
NAMES = "SELECT id, name FROM queues ORDER BY id"
FIND = "SELECT id FROM queues WHERE name = ?"


def ids(database: Database) -> Dict[str, int]:
    """The number of each queue by its name."""
    found = {DEFAULT: 0}
    with contexts.suppress(NoDatabase), database.reading() as connection:
        found.update({opening.as_text(row["name"]): row["id"] for row in opening.rows(connection, NAMES)})
    return found


def named(database: Database, text: Optional[str]) -> List[str]:
    """The queues that *text* names, with commas between them. Raises BadInput for one that there is not."""
    known = ids(database)
    names = [] if text is None else text.split(",")
    for name in names:
        if name not in known:
            raise unknown(name, known)
    return list(dict.fromkeys(names))


def unknown(name: object, known: Dict[str, int]) -> BadInput:
    """The refusal of a queue that there is not."""
    refusal = errors.unknown_name("queue", name, list(known))
    return BadInput("%s (`queue set NAME` makes one)" % refusal, refusal.code)


LAUNCHERS = "SELECT name, launcher FROM queues"


def launchers(database: Database) -> Dict[str, Optional[str]]:
    """The launcher of each queue by its name; None for none."""
    found: Dict[str, Optional[str]] = {}
    with contexts.suppress(NoDatabase), database.reading() as connection:
        found.update({opening.as_text(row["name"]): row["launcher"] for row in opening.rows(connection, LAUNCHERS)})
    return found


PAUSED = "SELECT name, paused_at, paused_until FROM queues WHERE id = ?"


def heed(connection: sqlite3.Connection, number: int, said: Optional[List[str]]) -> None:
    """Raise QueueError where a queue, as jobs were checked to name it, was removed since; *said* is told of a pause."""
    found = opening.rows(connection, PAUSED, (number,))
    if number and not found:
        raise QueueError("the queue was removed meanwhile: nothing was changed")
    now = time.time()
    for row in found:
        if said is not None and eligible.is_paused(row, now):
            since = times.age_text(now - times.seconds_or(row["paused_at"], now))
            text = "queue %s has been paused for %s: it waits" % (opening.as_text(row["name"]), since)
            said.append(ids_made.Aside(text))


NEW_QUEUES = "SELECT DISTINCT queue FROM incoming_shared WHERE typeof(queue) = 'text'"
NUMBER_QUEUES = "UPDATE incoming_shared SET queue = ? WHERE queue = ?"


def make_named(connection: sqlite3.Connection) -> None:
    """Make the queues that jobs of a private table (store/bulk) have by name yet. Raises QueueError."""
    for row in connection.execute(NEW_QUEUES).fetchall():
        connection.execute(NUMBER_QUEUES, (make(connection, row["queue"]), row["queue"]))


# ---------------------------------------------------------------- made and changed

INSERT = "INSERT INTO queues (name) VALUES (?)"
COUNT = "SELECT count(*) FROM queues"
CHANGE = "UPDATE queues SET %s = ? WHERE id = ?"
# What `queue set` may change. (Never made from what somebody types: this is the list of the names in statements.)
COLUMNS = (
    *("running_most", "rate_count", "rate_seconds", "windows", "load_most", "memory_least", "free_least", "free_path"),
    *("launcher", "launcher_args"),
)


def make(connection: sqlite3.Connection, name: str) -> int:
    """The number of the queue *name*, which is made where there is none. Raises QueueError where there are too many."""
    found = connection.execute(FIND, (name,)).fetchone()
    if found:
        return int(found[0])
    if connection.execute(COUNT).fetchone()[0] >= MOST_QUEUES:
        raise QueueError("there are %d queues, and no more can be: `queue remove` one that is empty" % MOST_QUEUES)
    added = connection.execute(INSERT, (name,))
    opening.refuse_ignored(1 - added.rowcount)
    return added.lastrowid or 0


def change(database: Database, name: str, values: Fields) -> bool:
    """Set *values* (by COLUMNS) of the queue *name*, which is made where there is none: True. Raises QueueError."""
    with database.writing() as connection:
        is_new = connection.execute(FIND, (name,)).fetchone() is None
        number = make(connection, name)
        for column in COLUMNS:
            if column in values:
                changed = connection.execute(CHANGE % column, (values[column], number))
                opening.refuse_ignored(1 - changed.rowcount)
        if "rate_count" in values:
            rates.resize(connection, number, values["rate_count"])
    bell.ring(database.folder.bell)
    return is_new


ANY_JOB = (
    "SELECT id FROM jobs INDEXED BY jobs_open WHERE state = ? AND state <> 'completed' AND queue = ? LIMIT 1",
    "SELECT id FROM jobs WHERE state = 'completed' AND queue = ? AND seq > ? LIMIT 1",
)
NEWEST = "SELECT max(seq) FROM jobs"
REMOVE = "DELETE FROM queues WHERE id = ? AND id <> 0"


def remove(database: Database, name: str) -> None:
    """Remove the queue *name*, of which no job is left. Raises QueueError."""
    if name == DEFAULT:
        raise BadInput("the queue default cannot be removed: jobs that name none are in it")
    with database.reading() as connection:  # among a million that have completed it takes its time
        newest = connection.execute(NEWEST).fetchone()[0] or 0
        refuse_jobs(connection, name, 0)
    with database.writing() as connection:
        number = refuse_jobs(connection, name, newest)
        rates.resize(connection, number, None)
        opening.refuse_ignored(1 - connection.execute(REMOVE, (number,)).rowcount)


def refuse_jobs(connection: sqlite3.Connection, name: str, seen: int) -> int:
    """The number of the queue *name*. Raises QueueError where it has a job; those completed up to *seen* were seen."""
    number = number_of(connection, name)
    asked: List[Tuple[str, Tuple[Any, ...]]] = [(ANY_JOB[0], (state, number)) for state in states.STATES]
    for statement, values in asked + [(ANY_JOB[1], (number, seen))]:
        found = connection.execute(statement, values).fetchone()
        if found:
            text = "queue %s still has jobs, such as %s: `prune` or `edit --queue` them first; nothing was removed"
            raise QueueError(text % (name, opening.as_text(found[0])))
    return number


def number_of(connection: sqlite3.Connection, name: str) -> int:
    """The number of the queue *name*. Raises QueueError."""
    found = connection.execute(FIND, (name,)).fetchone()
    if not found:
        known = {opening.as_text(row["name"]): row["id"] for row in opening.rows(connection, NAMES)}
        raise unknown(name, known)
    return int(found[0])


# ---------------------------------------------------------------- paused

PAUSE = "UPDATE queues SET paused_at = ?, paused_until = ?, note = ? WHERE id = ?"
ALL_IDS = "SELECT id FROM queues"
PAUSES = "SELECT id, name, paused_at, paused_until, note FROM queues ORDER BY id"


def pause(
    database: Database, names: Sequence[str], until: Optional[float], note: Optional[str], now: float
) -> List[Tuple[str, bool]]:
    """Let nothing start in the queues *names* (none named: in all), up to *until* (seconds since 1970).

    Where none is named, what was said of one by itself stays: its note, and its end where that comes later. Returns
    the names of those that were paused already then, and whether each is so for longer now. Raises QueueError.
    """
    values = (times.utc_text(now), None if until is None else times.utc_text(until), note)
    before: List[Tuple[str, bool]] = []
    with database.writing() as connection:
        paused = {} if names else {row["id"]: row for row in opening.rows(connection, PAUSES)}
        for number in numbers_of(connection, names):
            own, row = values, paused.get(number)
            if row is not None and eligible.is_paused(row, now):
                end = serving.paused_until(row)
                is_longer = end is not None and (until is None or end < until)
                before.append((opening.as_text(row["name"]), is_longer))
                if not is_longer:
                    continue
                own = (row["paused_at"], values[1], row["note"] or note)
            opening.refuse_ignored(1 - connection.execute(PAUSE, own + (number,)).rowcount)
    return before


def resume(database: Database, names: Sequence[str]) -> None:
    """Let jobs of the queues *names* (none named: of all) start again. Raises QueueError."""
    with database.writing() as connection:
        for number in numbers_of(connection, names):
            opening.refuse_ignored(1 - connection.execute(PAUSE, (None, None, None, number)).rowcount)
    bell.ring(database.folder.bell)


def numbers_of(connection: sqlite3.Connection, names: Sequence[str]) -> List[int]:
    if names:
        return [number_of(connection, name) for name in names]
    return [row["id"] for row in opening.rows(connection, ALL_IDS)]


# ---------------------------------------------------------------- shown

ROWS = serving.QUEUES.replace(" FROM ", ", note FROM ") + " ORDER BY id"
COUNTED = 10000  # so many due jobs are counted: of a million nobody wants to wait for the number
SOME_DUE = "SELECT 1 FROM jobs INDEXED BY jobs_due WHERE queue = ? AND lane = 0 LIMIT ?"
OPEN = "open"


def shown(database: Database, now: float) -> List[Fields]:
    """Each queue as it is shown: what is set of it, how many are due and run, and why nothing can start now."""
    found: List[Fields] = []
    with database.reading() as connection:
        asker = serving.Asker(database, asks=True)
        running = eligible.running_in(connection)
        for row in opening.rows(connection, ROWS):
            closed = eligible.closed_by(connection, row, running.get(row["id"], 0), now, asker)
            due = len(connection.execute(SOME_DUE, (row["id"], COUNTED + 1)).fetchall())
            found.append(dict(facts(row, now), due=due, running=running.get(row["id"], 0)))
            found[-1].update(state=closed.kind if closed else OPEN, closed=closed.short if closed else None)
    return found


def facts(row: sqlite3.Row, now: float) -> Fields:
    """What is set of the queue in *row*, by the keys of JSON."""
    is_paused = eligible.is_paused(row, now)
    value: Dict[str, Any] = {"name": opening.as_text(row["name"]), "limit": row["running_most"]}
    value["rate"] = None if row["rate_count"] is None else rate_text(row)
    value["windows"] = windows_of(row["windows"])
    value["max_load"], value["min_memory"] = row["load_most"], row["memory_least"]
    value["min_free"] = row["free_least"]
    value["min_free_path"] = row["free_path"]
    value["launcher"] = row["launcher"]
    value["launcher_args"] = words_of(row["launcher_args"])
    value["paused"] = is_paused
    value["paused_at"] = row["paused_at"] if is_paused else None
    value["paused_until"] = row["paused_until"] if is_paused else None
    value["note"] = row["note"] if is_paused else None
    return value


def rate_text(row: sqlite3.Row) -> str:
    from queuectl_lib.jobs import gates

    try:
        return gates.rate_text(row["rate_count"], row["rate_seconds"])
    except TypeError:  # somebody has changed it
        return "%s/%s" % (row["rate_count"], row["rate_seconds"])


def windows_of(text: Any) -> List[str]:
    """The windows of a queue; what stands there, where that cannot be read."""
    if text is None:
        return []
    try:
        return windows.stored(text).texts()
    except BadInput:
        return [str(text)]


def words_of(text: Any) -> List[str]:
    """What the launcher of a queue is given with its jobs; what stands there, where that cannot be read."""
    try:
        found = json.loads(text) if text else []
    except (ValueError, TypeError, RecursionError):
        found = None
    return found if isinstance(found, list) else [str(text)]
