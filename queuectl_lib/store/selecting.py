"""Jobs found by what they have in common, a few at a time: the newest first, or the oldest.

Each read looks at READ_ROWS rows at most, so that no log grows while a million are gone through. What drives the walk:
given ids; else the rarest of the tags (tags_of); else the range of ids of a schedule; else one index for each state
(jobs_open, jobs_completed); else the order in which jobs were added. Whatever else is asked is looked at row by row.
"""

from __future__ import annotations

import heapq
import itertools
import json
import sqlite3

from queuectl_lib import contexts, errors
from queuectl_lib.errors import NoDatabase
from queuectl_lib.host import system
from queuectl_lib.jobs import states as known
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

    from queuectl_lib.store.database import Database

    Found = Tuple[int, str]  # the seq of a job, and its state when it was found

READ_ROWS = 10000
FIRST_SEQ, LAST_SEQ = -(1 << 63), (1 << 63) - 1


class Selection:
    """Conditions, of which a job must meet all; *last* then leaves the newest so many."""

    def __init__(self, states: Sequence[str] = known.STATES) -> None:
        self.ids: Optional[List[str]] = None
        self.states = states
        self.queues: List[str] = []
        self.tags: List[str] = []
        self.match = ""
        self.since: Optional[str] = None  # created at or after this time, as it is stored
        self.until: Optional[str] = None
        self.schedule: Optional[str] = None
        self.signature: Optional[str] = None  # of the last failure
        self.held: Optional[bool] = None
        self.finished_before: Optional[str] = None
        self.last: Optional[int] = None
        self.oldest: Optional[int] = None  # so many of those that are left
        self.top: Optional[int] = None  # the seq of the newest that can be meant, where that is not the newest of all


class Plan:
    """What a selection comes to on this database: the ways to walk, and what is asked of each row."""

    def __init__(self, connection: sqlite3.Connection, selection: Selection) -> None:
        self.match = lowered(selection.match)
        self.conditions: List[str] = []
        self.values: List[Any] = []
        # What is added meanwhile is not meant.
        self.top: int = newest_of(connection) if selection.top is None else selection.top
        self.ways = self.chosen(connection, selection)
        if len(selection.states) < len(known.STATES) and not (self.ways and self.ways[0].names_state):
            self.ask_one_of("jobs.state", selection.states)
        if selection.queues:
            self.ask_one_of("jobs.queue", [queue_number(connection, name) for name in selection.queues])
        for condition, value in (
            ("jobs.created_at >= ?", selection.since),
            ("jobs.created_at <= ?", selection.until),
            ("jobs.finished_at < ?", selection.finished_before),
            ("jobs.schedule = ?", selection.schedule),
            ("jobs.signature = ?", selection.signature),
        ):
            if value is not None:
                self.ask(condition, [value])
        if selection.held is not None:
            self.ask("(jobs.held_at IS NOT NULL) = ?", [int(selection.held)])

    def ask(self, condition: str, values: Sequence[Any]) -> None:
        self.conditions.append(condition)
        self.values += values

    def ask_one_of(self, column: str, values: Sequence[Any]) -> None:
        self.ask("%s IN (%s)" % (column, ", ".join("?" * len(values))), values)

    def chosen(self, connection: sqlite3.Connection, selection: Selection) -> List[Way]:
        tags = list(selection.tags)
        if len(tags) > 1:
            tags.sort(key=lambda tag: int(connection.execute(HOW_MANY, (tag, READ_ROWS)).fetchone()[0]))
        for tag in tags if selection.ids is not None else tags[1:]:
            self.ask("EXISTS (SELECT 1 FROM tags WHERE job = jobs.seq AND tag = ?)", [tag])
        if selection.ids is not None:
            return []
        if tags:
            return [Way(BY_TAG, (tags[0],), "tags.job")]
        if selection.schedule is not None:
            return [Way(BY_SCHEDULE, (selection.schedule + "@", selection.schedule + "A"))]
        if len(selection.states) == len(known.STATES) and selection.signature is None:
            return [Way(BY_SEQ, ())]
        ways = [Way(BY_STATE, (state,), names_state=True) for state in selection.states if state != "completed"]
        may_be_completed = "completed" in selection.states and selection.signature is None  # that has none
        return ways + [Way(BY_COMPLETED, (), names_state=True)] * may_be_completed

    def rows(self, connection: sqlite3.Connection, text: str, values: Sequence[Any]) -> List[sqlite3.Row]:
        """The rows that *text* finds, each with whether it fits as far as SQL can tell."""
        fits = " AND ".join(self.conditions) or "1"
        command = ", CASE WHEN %s THEN command END AS command, is_list" % fits if self.match else ""
        columns = "jobs.seq AS seq, jobs.state AS state, %s AS fits%s" % (fits, command)
        return opening.rows(connection, "SELECT %s %s" % (columns, text), self.values * (1 + bool(command)) + [*values])

    def part(self, connection: sqlite3.Connection, way: Way, low: int, high: int, order: str) -> List[sqlite3.Row]:
        """The first READ_ROWS that *way* finds from *low* to *high*."""
        return self.rows(connection, way.text + PART % (way.key, way.key, order), (*way.values, low, high, READ_ROWS))

    def fits(self, row: sqlite3.Row) -> bool:
        return bool(row["fits"]) and (not self.match or self.match in lowered(text_of(row)))


class Way:
    """A statement that finds rows in the order of its *key*."""

    def __init__(self, text: str, values: Tuple[Any, ...], key: str = "jobs.seq", names_state: bool = False) -> None:
        self.text = text
        self.values = values
        self.key = key
        self.names_state = names_state


NEWEST = "SELECT max(seq) FROM jobs"
HOW_MANY = "SELECT count(*) FROM (SELECT 1 FROM tags WHERE tag = ? LIMIT ?)"
BY_ID = "FROM jobs WHERE id = ?"
BY_TAG = "FROM tags INDEXED BY tags_of CROSS JOIN jobs ON jobs.seq = tags.job WHERE tag = ?"
BY_SCHEDULE = ", id FROM jobs WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
BY_STATE = "FROM jobs INDEXED BY jobs_open WHERE jobs.state = ? AND jobs.state <> 'completed'"
BY_COMPLETED = "FROM jobs INDEXED BY jobs_completed WHERE jobs.state = 'completed' AND jobs.lane IS NULL"
BY_SEQ = "FROM jobs WHERE 1"
PART = " AND %s BETWEEN ? AND ? ORDER BY %s %s LIMIT ?"
QUEUES = "SELECT id, name FROM queues ORDER BY id"


def newest_of(connection: sqlite3.Connection) -> int:
    """The seq of the newest job, 0 where there is none."""
    return connection.execute(NEWEST).fetchone()[0] or 0


def newest_seq(database: Database) -> int:
    """The same."""
    try:
        with database.reading() as connection:
            return newest_of(connection)
    except NoDatabase:
        return 0


def queue_number(connection: sqlite3.Connection, name: str) -> int:
    """The number of the queue *name*. Raises BadInput."""
    queues: Dict[str, int] = {row["name"]: row["id"] for row in connection.execute(QUEUES)}
    if name not in queues:
        raise errors.unknown_name("queue", name, list(queues))
    return queues[name]


def lowered(text: str) -> bytes:
    """*text* without the difference between A and a, but of ASCII alone."""
    return text.encode("utf-8", "surrogatepass").lower()


def text_of(row: sqlite3.Row) -> str:
    """A command as `list` shows it."""
    text = opening.as_text(row["command"])
    if row["is_list"]:
        with contexts.suppress(ValueError, TypeError, RecursionError):
            return system.typed(json.loads(text))
    return text


# ---------------------------------------------------------------- walking


def find(database: Database, selection: Selection, newest_first: bool = False, low: int = FIRST_SEQ) -> Iterator[Found]:
    """Each job that *selection* means and that is there now, from *low* on. Raises QueueError for an unknown id."""
    if selection.last is not None:
        newest = list(itertools.islice(walk(database, selection, True, low), selection.last))
        yield from itertools.islice(newest if newest_first else reversed(newest), selection.oldest)
    else:
        yield from itertools.islice(walk(database, selection, newest_first, low), selection.oldest)


def walk(database: Database, selection: Selection, newest_first: bool, low: int) -> Iterator[Found]:
    try:
        with database.reading() as connection:
            plan = Plan(connection, selection)
            if selection.ids is not None:
                found = dict(one_of_id(connection, plan, identifier) for identifier in selection.ids)
    except NoDatabase:
        if selection.ids:
            raise errors.no_such_job(selection.ids[0]) from None
        return
    if selection.ids is not None:
        yield from sorted(((seq, state) for seq, state in found.items() if state), reverse=newest_first)
        return
    walks = [in_parts(database, plan, way, newest_first, low) for way in plan.ways]
    before = None
    for pair in heapq.merge(*walks, key=lambda pair: pair[0], reverse=newest_first):
        if pair[0] != before:  # else it has gone from one state to another meanwhile
            yield pair
        before = pair[0]


def one_of_id(connection: sqlite3.Connection, plan: Plan, identifier: str) -> Found:
    """The job of this id, without its state where it does not fit. Raises QueueError where there is none."""
    rows = plan.rows(connection, BY_ID, [identifier])
    if not rows:
        raise errors.no_such_job(identifier)
    return rows[0]["seq"], rows[0]["state"] if plan.fits(rows[0]) else ""


def in_parts(database: Database, plan: Plan, way: Way, newest_first: bool, low: int) -> Iterator[Found]:
    """What *way* finds that fits, in order, a read after the other."""
    if way.text == BY_SCHEDULE:
        yield from sorted(of_schedule(database, plan, way, low), reverse=newest_first)
        return
    high = plan.top
    while low <= high:
        try:
            with database.reading() as connection:
                rows = plan.part(connection, way, low, high, "DESC" if newest_first else "ASC")
        except NoDatabase:
            return
        for row in rows:
            if plan.fits(row):
                yield row["seq"], row["state"]
        if len(rows) < READ_ROWS:
            return
        if newest_first:
            high = rows[-1]["seq"] - 1
        else:
            low = rows[-1]["seq"] + 1


def of_schedule(database: Database, plan: Plan, way: Way, low: int) -> Iterator[Found]:
    """The same, of the ids of a schedule: in the order of the ids."""
    behind, end = way.values
    while True:
        with database.reading() as connection:
            rows = plan.rows(connection, way.text, [behind, end, READ_ROWS])
        for row in rows:
            if plan.fits(row) and low <= row["seq"] <= plan.top:
                yield row["seq"], row["state"]
        if len(rows) < READ_ROWS:
            return
        behind = rows[-1]["id"]


def newest(database: Database, selection: Selection, limit: Optional[int]) -> Tuple[Iterator[Found], bool]:
    """The newest *limit* of them (None: all), the oldest first; and whether there are more."""
    if limit is None:
        return find(database, selection), False
    if limit <= READ_ROWS or selection.last is not None:
        found = list(itertools.islice(find(database, selection, True), limit + 1))
        return reversed(found[:limit]), len(found) > limit
    oldest = FIRST_SEQ  # of a million not even the numbers are kept
    for number, (seq, _) in enumerate(find(database, selection, True)):
        if number == limit:
            return find(database, selection, low=oldest), True
        oldest = seq
    return find(database, selection), False
