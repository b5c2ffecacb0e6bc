"""The one place that opens a connection to a database, and what SQLite says, explained."""

from __future__ import annotations

import os
import sqlite3

from queuectl_lib import contexts, errors
from queuectl_lib.errors import HostError, Locked
from queuectl_lib.host import files, places, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Optional, Sequence

    from queuectl_lib.values import Fields

CHECKPOINT_BYTES = 4 * 1024 * 1024  # a WAL larger than this is written back
HAS_TRUNCATE = sqlite3.sqlite_version_info >= (3, 8, 8)  # else the first commit after a checkpoint cuts the WAL


def connect(path: str, busy_seconds: float, options: str = "mode=rw") -> sqlite3.Connection:
    """A connection to the file *path*; *options* are those of an SQLite URI. Raises sqlite3.Error and HostError."""
    if files.is_irregular(path + "-journal"):  # SQLite would open a pipe, and wait for who writes into it
        raise HostError(NO_FILE % errors.printable(path + "-journal"))
    connection = sqlite3.connect(uri(path, options), timeout=busy_seconds, isolation_level=None, uri=True)
    with closed_on_error(connection):
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        if system.SYNCS_HALF:
            connection.execute("PRAGMA fullfsync = 1")
            connection.execute("PRAGMA checkpoint_fullfsync = 1")
        if not HAS_TRUNCATE:
            connection.execute("PRAGMA journal_size_limit = %d" % (CHECKPOINT_BYTES // 2)).fetchall()
    return connection


def uri(path: str, options: str) -> str:
    """*path* as SQLite takes it together with *options* (https://www.sqlite.org/uri.html)."""
    if system.WINDOWS:
        path = "/" + path.replace("\\", "/")
    for char, code in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
        path = path.replace(char, code)
    return "file:%s?%s" % (path, options)


@contexts.contextmanager
def closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """Python 3.13 warns of a connection that is dropped unclosed."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction, which SQLite may have ended already by itself."""
    with contexts.suppress(sqlite3.Error):
        connection.execute("ROLLBACK")


class Refused(HostError):
    """A constraint or a trigger of the database forbids what was tried; nothing is wrong with its file or its disk."""

    code = "database_refuses"


def refuse_ignored(missing: int) -> None:
    """Raise IntegrityError where some of what was written is *missing*: RAISE(IGNORE) in a trigger says nothing."""
    if missing > 0:
        raise sqlite3.IntegrityError("a trigger ignores it")


@contexts.contextmanager
def undone_alone(connection: sqlite3.Connection) -> Iterator[None]:
    """A part of a transaction, of which nothing is left where it fails, while the transaction may go on."""
    connection.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a trigger may have ended all of it
            connection.execute("ROLLBACK TO part")
            connection.execute("RELEASE part")
        raise
    connection.execute("RELEASE part")


def rows(connection: sqlite3.Connection, statement: str, values: Sequence[Any] = ()) -> List[sqlite3.Row]:
    """All that *statement* finds; text that is no UTF-8, for which Python would refuse all of it, as bytes."""
    try:
        return connection.execute(statement, values).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    connection.text_factory = text_or_bytes
    return connection.execute(statement, values).fetchall()


def text_or_bytes(data: bytes) -> Any:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def as_text(value: object) -> str:
    """What stands where text belongs, as text."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def without_bytes(row: sqlite3.Row) -> Fields:
    """*row* with text in the place of bytes, which none of its fields is: somebody else wrote them."""
    return all_without_bytes([row])[0]


def all_without_bytes(found: Sequence[sqlite3.Row]) -> List[Fields]:
    """The same of many, which have the same names."""
    names = found[0].keys() if found else []  # dict(row) looks each name up, which takes three times as long
    rows = [dict(zip(names, row)) for row in found]
    for row in rows:
        if bytes in map(type, row.values()):
            row.update({key: as_text(value) for key, value in row.items() if isinstance(value, bytes)})
    return rows


@contexts.contextmanager
def told(path: str) -> Iterator[None]:
    """Turn what SQLite and the system say about *path* into one line that helps."""
    try:
        with files.refusals_told(path):
            yield
    except sqlite3.IntegrityError as error:
        text = "%s refuses the change (%s): look at its constraints and triggers; nothing was changed"
        raise Refused(text % (errors.printable(path), errors.printable(str(error)))) from error
    except sqlite3.DatabaseError as error:
        text = "out of memory" if is_for_want_of_memory(error) else str(error)
        known = explained(text)
        kind = Locked if known == LOCKED else HostError if known else Refused
        said = explanation(path, text)
        raise kind(said, "disk_full" if "full" in text.lower() or said.endswith(NO_ROOM) else "") from error


NO_ROOM = "cannot grow: the disk is full; nothing was changed"
LOCKED = "is locked by another program for too long: end that program, then try again"
EXPLANATIONS = (
    ("locked", LOCKED),
    ("busy", LOCKED),
    ("full", NO_ROOM),
    ("readonly", "is read-only: check its permissions and those of its directory"),
    ("read-only", "is read-only: check its permissions and those of its directory"),
    ("unable to open", "cannot be opened: check the permissions of it and of its directory"),
    ("not a database", "is not a database: move it away, or choose another db_path"),
    ("malformed", "is damaged: it was left as it is; move it away together with its -wal, then restore a backup"),
    ("out of memory", "cannot be used now: there is no memory; nothing was changed"),
    ("disk i/o", "cannot be read or written (disk I/O error): check the disk, then try again"),
)


ROOM_BYTES = 1024 * 1024  # more than any page, or part of the index, that SQLite maps at once


def is_for_want_of_memory(error: sqlite3.Error) -> bool:
    """True where SQLite tells as a fault of the disk that it could not have memory, say to map its index."""
    if "NOMEM" in str(getattr(error, "sqlite_errorname", "")):  # of Python 3.11
        return True
    if "disk i/o" not in str(error).lower():
        return False
    try:
        return not bytearray(ROOM_BYTES)
    except MemoryError:
        return True


BESIDE = ("-wal", "-shm", "-journal")  # files of SQLite's own
NO_FILE = "%s is no file, so SQLite cannot use it: move it away"


def in_the_way(path: str) -> str:
    """What keeps SQLite from its own files beside the database *path*, for people; "" where nothing does."""
    for ending in BESIDE:
        if files.is_irregular(path + ending):
            return NO_FILE % errors.printable(path + ending)
    return ""


def explanation(path: str, message: str) -> str:
    """One line about a database that refuses."""
    lowered = message.lower()
    wrong = in_the_way(path) if explained(message) else ""
    if wrong:
        return wrong
    if "full" in lowered:
        elsewhere = places.full_temporary_folder(path)
        if elsewhere:
            text = "%s: %s, where SQLite keeps its temporary files, is full: set SQLITE_TMPDIR to another folder"
            return text % (errors.printable(path), errors.printable(elsewhere))
    meant = explained(message)
    if "unable to open" in lowered and files.lacks_descriptors():
        meant = "cannot be opened: this process has as many files open as it may have (ulimit -n)"
    elif "unable to open" in lowered and places.is_full(os.path.dirname(path)):
        meant = NO_ROOM
    elif "disk i/o" in lowered:  # what SQLite says, too, where there is no room for its index (-shm)
        why = places.why_not_larger(path, BESIDE)
        if why or places.is_full(os.path.dirname(path)):
            meant = "cannot grow: %s; nothing was changed" % why if why else NO_ROOM
    return "%s%s" % (errors.printable(path), " " + meant if meant else ": " + errors.printable(message))


def explained(message: str) -> Optional[str]:
    """What SQLite means where it speaks of the database as a whole; None where it is about what was tried."""
    lowered = message.lower().replace("malformed json", "")  # which an expression says
    return next((text for word, text in EXPLANATIONS if word in lowered), None)
