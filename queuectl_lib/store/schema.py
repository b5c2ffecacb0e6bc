"""The schema: a database made, or brought up to date, by the steps of store/steps. Few calls need this."""

from __future__ import annotations

import os
import re
import sqlite3

from queuectl_lib import errors
from queuectl_lib.errors import HostError
from queuectl_lib.host import files
from queuectl_lib.store import formats, opening, steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List


def fitting(statement: str) -> str:
    """A schema statement for this SQLite: partial indexes exist from 3.8.0."""
    partial = sqlite3.sqlite_version_info >= (3, 8, 0)
    statement = re.sub(r"\{plain:(.*?)\}", "" if partial else r"\1", statement)
    return re.sub(r"\{where:(.*?)\}", r"WHERE \1" if partial else "", statement)


def migrate(connection: sqlite3.Connection, path: str, busy_seconds: float) -> None:
    """Bring the schema to the newest version; a step and its number commit together."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = formats.version_of(connection, path)  # again: another may have been first
        if 0 < version < formats.FORMAT:
            back_up(path, version, busy_seconds)
        theirs = made_by_others(connection) if 0 < version < steps.JOBS_ANEW else []
        for statements in steps.MIGRATIONS[version : formats.FORMAT]:  # no more, where its file is a newer one by now
            for statement in statements:
                connection.execute(fitting(statement))
        for statement in theirs:
            connection.execute(statement)
        connection.execute("PRAGMA application_id = %d" % formats.APPLICATION_ID)
        connection.execute("PRAGMA user_version = %d" % formats.FORMAT)
        connection.execute("COMMIT")
    except BaseException:
        opening.roll_back(connection)
        raise


ON_JOBS = "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'jobs' AND type <> 'table' AND sql IS NOT NULL"


def made_by_others(connection: sqlite3.Connection) -> List[str]:
    """The statements of triggers and indexes on jobs that are none of ours: they go with the table, and are to stay."""
    ours = set(re.findall(r"CREATE (?:INDEX|TRIGGER) (\w+)", repr(steps.MIGRATIONS)))
    return [row["sql"] for row in connection.execute(ON_JOBS) if row["name"] not in ours]


def back_up(path: str, version: int, busy_seconds: float) -> None:
    """Copy the database beside itself before its format changes.

    Called with the write lock held, so only one does it; read through a connection
    of its own, which sees the old format.
    """
    import contextlib  # needed only here

    backup = "%s.v%d.backup" % (path, version)
    partial = backup + ".partial"
    files.remove(partial)
    os.close(files.open_private(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    source, copy = opening.connect(path, busy_seconds), sqlite3.connect(partial)
    with contextlib.closing(source), contextlib.closing(copy):
        source.backup(copy)
    os.replace(partial, backup)


def create(path: str, busy_seconds: float) -> None:
    """Make the database under another name: nobody ever sees it half done. Raises HostError."""
    import contextlib  # needed only here

    partial = path + ".partial"
    for ending in ("", "-wal", "-shm", "-journal"):
        files.remove(partial + ending)
    fd = files.open_private(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    files.make_private(fd)
    os.close(fd)
    with contextlib.closing(opening.connect(partial, busy_seconds)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        migrate(connection, partial, busy_seconds)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":  # SQLite refuses this without an error
        raise HostError(
            "%s cannot be created: the disk is full, or its file system is not one for SQLite's WAL"
            % errors.printable(path)
        )
    put_aside_what_is_of_another(path)
    os.replace(partial, path)
    files.sync_folder(os.path.dirname(path))


def put_aside_what_is_of_another(path: str) -> List[str]:
    """The log of a database that was deleted or moved away, which SQLite would replay into the new one; where it is."""
    aside = []
    for ending in ("-wal", "-journal"):
        orphan = path + ending
        if os.path.lexists(orphan) and os.path.getsize(orphan):  # it may hold the only copy of jobs
            number = 1
            while os.path.lexists("%s.orphan%d" % (orphan, number)):
                number += 1
            aside.append("%s.orphan%d" % (orphan, number))
            files.replace(orphan, aside[-1])
        files.remove(orphan)
    files.remove(path + "-shm")
    return aside
