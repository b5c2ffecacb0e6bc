"""Many jobs at once, all or none, in flat memory.

Between reading input and holding the write lock stands a private table: a slow or wrong input
costs nobody else anything. It holds what each row has of its own, and which of the rows of a second
one has the rest; it is filled by many rows at once, and has no index.
"""

from __future__ import annotations

import sqlite3
import sys
import time

from queuectl_lib import contexts
from queuectl_lib.errors import QueueError
from queuectl_lib.host import failpoints, interrupts
from queuectl_lib.jobs import fields, ids
from queuectl_lib.jobs.ids import Holder, MadeId
from queuectl_lib.store import finding, opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator, List, Optional, Sequence, Tuple

CREATE_INCOMING = "CREATE TEMP TABLE incoming (shared INTEGER, %s, line INTEGER, made INTEGER)" % fields.OWN_COLUMNS
CREATE_SHARED = "CREATE TEMP TABLE incoming_shared (number INTEGER PRIMARY KEY, %s, beside)" % fields.SHARED_COLUMNS
INSERT_SHARED = "INSERT INTO incoming_shared VALUES (%s)" % ", ".join("?" * (1 + fields.SHARED + 1))

# The keys among them: the first row with a key leads, those behind it lose their id; so does
# the leader when a job of the queue holds the key. What has no id is not added.
CREATE_KEYS = (
    "CREATE TEMP TABLE incoming_keys (unique_key TEXT PRIMARY KEY, leader INTEGER NOT NULL, holder TEXT, state TEXT)"
)
INSERT_KEY = "INSERT OR IGNORE INTO incoming_keys (unique_key, leader) VALUES (?, ?)"
ANY_KEY = "SELECT 1 FROM incoming_keys LIMIT 1"
INCOMING_AT_ONCE = 100  # with their values still below the 999 parameters that an old SQLite takes


def take_in(connection: sqlite3.Connection, rows: Iterable[Tuple[object, Sequence[Any]]]) -> bool:
    """Fill a new private table: row N of *rows* gets the rowid N. True where any has a key."""
    with numbered_parameters():
        return fill(connection, rows)


@contexts.contextmanager
def numbered_parameters() -> Iterator[None]:
    """The first Python 3.12 take ?1 for a name, and warn (https://github.com/python/cpython/issues/117995)."""
    if sys.version_info[:2] != (3, 12):
        yield
        return
    import warnings  # needed only there

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Binding", DeprecationWarning)
        yield


def fill(connection: sqlite3.Connection, rows: Iterable[Tuple[object, Sequence[Any]]]) -> bool:
    for statement in (CREATE_INCOMING, CREATE_SHARED, CREATE_KEYS, "BEGIN"):
        connection.execute(statement)
    many = ""
    shared, sets = None, 0
    own: List[Any] = []  # of rows that share the rest, one after the other
    for number, (line, row) in enumerate(rows, 1):
        key = row[fields.KEY]
        if key is not None and not connection.execute(INSERT_KEY, (key, number)).rowcount:
            row = (None,) + tuple(row[1:])  # an earlier one has the key
        if row[fields.OWN :] != shared:
            insert_few(connection, sets, own)
            shared, sets, own = row[fields.OWN :], sets + 1, []
            connection.execute(INSERT_SHARED, (sets,) + tuple(shared))
        own += row[: fields.OWN]
        own += line, type(row[0]) is MadeId
        if len(own) == INCOMING_AT_ONCE * WIDTH:
            many = many or insert_incoming(INCOMING_AT_ONCE)
            connection.execute(many, [sets] + own)
            own = []
    insert_few(connection, sets, own)
    connection.execute("COMMIT")
    return connection.execute(ANY_KEY).fetchone() is not None


WIDTH = fields.OWN + 2  # values of a row in the private table, less the number of those that it shares


def insert_incoming(rows: int) -> str:
    """The statement for *rows* that share the rest: its number first, then what each has of its own."""
    own = [["?1"] + ["?%d" % (2 + row * WIDTH + place) for place in range(WIDTH)] for row in range(rows)]
    return "INSERT INTO incoming VALUES " + ", ".join("(%s)" % ", ".join(one) for one in own)


INSERT_INCOMING = insert_incoming(1)


def insert_few(connection: sqlite3.Connection, shared: int, own: Sequence[Any]) -> None:
    """Rows for the private table that are too few to go at once."""
    places = range(0, len(own), WIDTH)
    connection.executemany(INSERT_INCOMING, ([shared] + list(own[place : place + WIDTH]) for place in places))


SHARED_BYTES = "SELECT total(%s) FROM incoming i CROSS JOIN incoming_shared s ON s.number = i.shared" % " + ".join(
    "coalesce(length(CAST(s.%s AS BLOB)), 0)" % column for column in fields.SHARED_COLUMNS.split(", ")
)


def most_bytes(connection: sqlite3.Connection) -> int:
    """What all in the private table may add to the log, with its indexes."""
    pages, size = (connection.execute("PRAGMA temp.%s" % name).fetchone()[0] for name in ("page_count", "page_size"))
    return 3 * (int(pages) * int(size) + int(connection.execute(SHARED_BYTES).fetchone()[0]))


FIND_HOLDERS = (
    "INSERT OR REPLACE INTO incoming_keys SELECT k.unique_key, k.leader, j.id, j.state"
    " FROM incoming_keys k CROSS JOIN jobs j ON j.unique_key = k.unique_key"
    " WHERE j.unique_key IS NOT NULL AND j.%s" % finding.HOLDS
)
DROP_HELD = "UPDATE incoming SET id = NULL WHERE rowid IN (SELECT leader FROM incoming_keys WHERE holder IS NOT NULL)"


def insert_all(
    connection: sqlite3.Connection, keyed: bool, born: Optional[List[str]] = None, skips: bool = False
) -> None:
    """Move everything from the private table into the queue, but those whose key is held; *skips*: whose id is there.

    Into *born* go sentences on what is cancelled at once. Raises QueueError for a given id that exists,
    IntegrityError where one comes twice.
    """
    connection.execute("PRAGMA ignore_check_constraints = ON")  # a JobMaker has checked each row
    connection.execute("BEGIN IMMEDIATE")
    try:
        named = [row["queue"] for row in connection.execute(NAMED_QUEUES)]
        if [queue for queue in named if isinstance(queue, str)]:
            from queuectl_lib.store import queues  # which few calls make

            queues.make_named(connection)
        finding.heed_queues(connection, [queue for queue in named if not isinstance(queue, str)], born)
        if skips:
            from queuectl_lib.store import skipping  # which few calls ask for

            skipping.skip(connection)
        if keyed:
            connection.execute(FIND_HOLDERS)
            connection.execute(DROP_HELD)
        with counted_at_once(connection):
            while not insert_incoming_jobs(connection):
                pass  # those that were taken have other ids now
        if connection.execute(ANY_BESIDE).fetchone():
            from queuectl_lib.store import beside  # which few jobs need

            beside.insert(connection, connection.execute(ALL_BESIDE), born)
        failpoints.failpoint("enqueue.before-commit")
        with interrupts.held():
            connection.execute("COMMIT")
            failpoints.failpoint("enqueue.committed")
    except BaseException:
        opening.roll_back(connection)
        raise


INSERT_ALL = (
    "INSERT INTO jobs (%s) SELECT %s FROM incoming i CROSS JOIN incoming_shared s ON s.number = i.shared"
    " WHERE i.id IS NOT NULL ORDER BY i.rowid"
) % (fields.INSERT_COLUMNS, fields.INSERT_COLUMNS)
INSERT_ALL_ALIKE = "INSERT INTO jobs (%s) SELECT %s, %s FROM incoming i WHERE i.id IS NOT NULL ORDER BY i.rowid" % (
    fields.INSERT_COLUMNS,
    fields.OWN_COLUMNS,
    ", ".join("?" * fields.SHARED),
)
FIND_SHARED = "SELECT %s FROM incoming_shared LIMIT 2" % fields.SHARED_COLUMNS


def insert_incoming_jobs(connection: sqlite3.Connection) -> bool:
    """False, and nothing inserted, when a made id exists: it is made anew."""
    try:
        added = insert_rows(connection)
        opening.refuse_ignored(connection.execute(COUNT_INCOMING).fetchone()[0] - added)
    except sqlite3.IntegrityError:
        if not rename_taken(connection):
            raise
        return False
    return True


def insert_rows(connection: sqlite3.Connection) -> int:
    """How many were inserted. Where all share the rest, as they mostly do, it is given once, and joined to none."""
    shared = connection.execute(FIND_SHARED).fetchall()
    if len(shared) == 1:
        return connection.execute(INSERT_ALL_ALIKE, tuple(shared[0])).rowcount
    return connection.execute(INSERT_ALL).rowcount


NAMED_QUEUES = "SELECT DISTINCT queue FROM incoming_shared"
ANY_BESIDE = "SELECT 1 FROM incoming_shared WHERE beside IS NOT NULL LIMIT 1"
ALL_BESIDE = (
    "SELECT j.seq, j.id, 'line ' || i.line || ': ', s.beside FROM incoming i"
    " CROSS JOIN incoming_shared s ON s.number = i.shared CROSS JOIN jobs j ON j.id = i.id"
    " WHERE s.beside IS NOT NULL ORDER BY i.rowid"
)

FIND_TAKEN = "SELECT i.rowid, i.id, i.line, i.made FROM incoming i JOIN jobs j ON j.id = i.id ORDER BY i.made, i.rowid"
RENAME_INCOMING = "UPDATE incoming SET id = ? WHERE rowid = ?"


def rename_taken(connection: sqlite3.Connection) -> bool:
    """Make other ids for those that another enqueue has made too; a given one is refused. False for none."""
    taken = connection.execute(FIND_TAKEN).fetchall()
    for found in taken:
        if not found["made"]:
            text = "line %s: job %s exists already: nothing was added (--skip-existing leaves such out)"
            raise QueueError(text % (found["line"], found["id"]), "exists")
        connection.execute(RENAME_INCOMING, (ids.make_id(time.time()), found["rowid"]))
    return bool(taken)


INDEX_INCOMING = "CREATE INDEX temp.incoming_id ON incoming (id)"  # once it is known that an id comes twice
FIND_TWICE = (
    "SELECT line, id FROM incoming i"
    " WHERE id IS NOT NULL AND EXISTS (SELECT 1 FROM incoming WHERE id = i.id AND rowid < i.rowid)"
    " ORDER BY i.rowid LIMIT 1"
)


def refuse_twice(connection: sqlite3.Connection) -> None:
    """Raise QueueError for the first id in the private table that stood in it before."""
    connection.execute(INDEX_INCOMING)
    found = connection.execute(FIND_TWICE).fetchone()
    if found:
        text = "line %s: id %s comes twice: nothing was added"
        raise QueueError(text % (found["line"], found["id"]), "exists") from None


# Counting one job after the other would be a good part of the time that a large batch holds the write lock.
COUNTED_AT_ONCE = 1000  # jobs, from which on their trigger is put aside: others have to read the schema anew
COUNT_INCOMING = "SELECT count(*) FROM incoming WHERE id IS NOT NULL"
FIND_COUNTING = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'jobs_added'"
DROP_COUNTING = "DROP TRIGGER jobs_added"
COUNT_ADDED = "UPDATE counts SET jobs = jobs + ? WHERE state = 'pending'"


@contexts.contextmanager
def counted_at_once(connection: sqlite3.Connection) -> Iterator[None]:
    """Count the jobs of a large private table in one go, in the transaction that moves them into the queue.

    Nobody else sees the queue without the trigger that counts: it is back when the transaction
    commits, and was never away when it does not, for whatever reason.
    """
    added = connection.execute(COUNT_INCOMING).fetchone()[0]
    trigger = connection.execute(FIND_COUNTING).fetchone() if added >= COUNTED_AT_ONCE else None
    if not trigger:
        yield
        return
    connection.execute(DROP_COUNTING)
    yield
    failpoints.failpoint("enqueue.uncounted")
    connection.execute(COUNT_ADDED, (added,))
    connection.execute(trigger["sql"])


LIST_INCOMING = "SELECT id FROM incoming ORDER BY rowid"
LIST_INCOMING_AND_HOLDERS = (
    "SELECT coalesce(k.holder, l.id, i.id) AS id, i.id IS NULL AS held, i.unique_key,"
    " coalesce(k.state, 'pending') AS state"
    " FROM incoming i"
    " LEFT JOIN incoming_keys k ON k.unique_key = i.unique_key"
    " LEFT JOIN incoming l ON l.rowid = k.leader"
    " ORDER BY i.rowid"
)


def ids_of(connection: sqlite3.Connection, keyed: bool, skipped: bool = False) -> Iterator[str]:
    """What became of each row, in order: the id of its job, or the Holder of its key; a There for what was skipped."""
    if skipped:
        from queuectl_lib.store import skipping  # the same

        yield from skipping.ids_of(connection)
        return
    if not keyed:
        for row in connection.execute(LIST_INCOMING):
            yield row[0]
        return
    for row in connection.execute(LIST_INCOMING_AND_HOLDERS):
        yield Holder.of(row["id"], row["unique_key"], row["state"]) if row["held"] else row["id"]
