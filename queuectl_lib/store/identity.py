"""What makes a queue itself: where its folder lies, noted in its database; so a copy is told from what it is a copy of.

    in the database, which a copy takes along         on this host, which no copy can take along
    +------------------------------------------+      +------------------------------------------+
    | identity: id        made here, random    |      | q.db.d    its device and inode           |
    |           folder    device:inode of q.db.d  <-->| q.db      its device and inode           |
    |           file      device:inode of q.db |      | the path                                 |
    |           path, boot                     |      | the boot id                              |
    +------------------------------------------+      +------------------------------------------+

    folder or file as noted           the same queue. `mv` within a file system changes only the path,
                                      as does another mount of the same disk: the inode stays.
    else, known for another boot      nothing that ran then lives: noted anew, whatever it is.
    else, path and inodes as noted    mounted again, so nothing that ran then lives; or the image of a disk, copied
                                      whole, whose original may live on elsewhere: noted anew, quietly.
    else                              a copy: cp, tar and rsync make new inodes, a snapshot is another
                                      device, and what was noted may live on where it was.

A supervisor and each worker compare before they do anything else. In a copy, what was under way in the
original counts as interrupted, what earlier attempts left running there is forgotten, and a new id is made.
The id stands in the environment of each job (QUEUECTL_QUEUE), beside its token: both must be right for a
process to be one of ours. A database without a note (from before, or never worked on) is noted quietly.

*Limits:* a move to another file system is a copy and a deletion; where the boot has no id (macOS, Windows, a
/proc that hides it) a copy that is taken back after a restart of the host counts as a copy.
"""

from __future__ import annotations

import os
import sqlite3

from queuectl_lib import contexts
from queuectl_lib.errors import QueueError
from queuectl_lib.host import processes
from queuectl_lib.jobs import attempts, states
from queuectl_lib.jobs.attempts import Claim, Outcome
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

COLUMNS = ("id", "folder", "file", "path", "boot")

NEW, SAME, COPY = "new", "same", "copy"


def recognise(database: Database, settle: Callable[[sqlite3.Connection, Outcome], object], now: float) -> str:
    """Learn which queue this is; in a copy, *settle* what was under way in the original, as lost at *now*.

    Returns what there is to say, "" where nothing. Raises QueueError and OSError, and then nothing is known.
    """
    here, text = look_here(database), ""
    with database.reading() as connection:
        before = noted(connection)
    if before is None or dict(before, id="") != here:
        with database.writing() as connection:
            before = noted(connection)  # again: another may have been first
            found = verdict(before, here)
            here["id"] = before["id"] if before and found == SAME else os.urandom(8).hex()
            if before and found == COPY:
                text = sentence(before, database.path, part_from(connection, before, settle, now))
            note(connection, here)
            before = here
    database.folder.identity = str(before["id"])
    return text


def look_here(database: Database, lacks_folder: bool = False) -> Fields:
    """What this host says of the queue, as it would be noted; its id is not known yet. Raises OSError."""
    return {
        "id": "",
        "folder": "" if lacks_folder else device_and_inode(database.folder.path),
        "file": device_and_inode(database.path),
        "path": database.path,
        "boot": processes.boot_id(),
    }


def device_and_inode(path: str) -> str:
    info = os.stat(path)
    return "%d:%d" % (info.st_dev, info.st_ino)


def verdict(noted: Optional[Fields], here: Fields) -> str:
    """NEW, the SAME queue that was noted, or a COPY of it (see above)."""
    if noted is None:
        return NEW
    if noted["folder"] == here["folder"] or noted["file"] == here["file"]:
        return SAME
    if processes.is_another_boot(noted["boot"], here["boot"]):
        return NEW
    is_there_again = all(inode(noted[key]) == inode(here[key]) for key in ("folder", "file"))
    return NEW if noted["path"] == here["path"] and is_there_again else COPY


def inode(device_and_inode: str) -> str:
    return device_and_inode.partition(":")[2]


GET_NOTE = "SELECT id, folder, file, path, boot FROM identity"


def noted(connection: sqlite3.Connection) -> Optional[Fields]:
    """What was noted last, None where nothing was, or where somebody has made it what it cannot be."""
    found = [dict(row) for row in opening.rows(connection, GET_NOTE)]
    return found[0] if found and all(type(value) is str for value in found[0].values()) else None


def noted_id(database: Database) -> str:
    """The id of the queue whose *database* is at its path now, "" where none was noted. Raises QueueError."""
    with database.reading() as connection:
        found = noted(connection)
    return str(found["id"]) if found else ""


FORGET_NOTE = "DELETE FROM identity"
NOTE = "INSERT INTO identity (id, folder, file, path, boot) VALUES (?, ?, ?, ?, ?)"


def note(connection: sqlite3.Connection, here: Fields) -> None:
    connection.execute(FORGET_NOTE)
    connection.execute(NOTE, tuple(here[column] for column in COLUMNS))


UNDER_WAY = (
    "SELECT j.seq, j.id, j.attempts, j.max_retries, j.unique_key, j.token, j.signature, j.release,"
    " a.id AS attempt_id, a.number"
    " FROM jobs j INDEXED BY jobs_open JOIN attempts a ON a.job = j.seq AND a.token = j.token"
    " WHERE j.state = 'processing' AND j.state <> 'completed'"
)
# The rest of a claim, of which settling needs nothing: what stands in the row may be anything.
EMPTY = dict(dict.fromkeys(attempts.CLAIMED_COLUMNS), command="", is_list=0, cwd="", snoozes=0)
FORGET_LEFTOVERS = "UPDATE attempts SET leftovers = NULL WHERE leftovers IS NOT NULL"


def part_from(
    connection: sqlite3.Connection,
    original: Fields,
    settle: Callable[[sqlite3.Connection, Outcome], object],
    now: float,
) -> int:
    """Settle what was under way in the *original*, and forget what was left running there; how many were settled.

    So no attempt here ends anything of the original's.
    """
    jobs: List[Fields] = [dict(row) for row in opening.rows(connection, UNDER_WAY)]
    for job in jobs:
        claim = Claim(attempts.mended(dict(EMPTY, **job)), job["token"], job["attempt_id"], job["number"])
        text = "lost: it ran in %s when this copy was taken" % os.path.dirname(original["path"])
        with contexts.suppress(sqlite3.IntegrityError), opening.undone_alone(connection):
            settle(connection, Outcome(claim, states.LOST, now, text))  # else a worker will, as an orphan
    connection.execute(FORGET_LEFTOVERS)
    return len(jobs)


def sentence(original: Fields, path: str, interrupted: int) -> str:
    """What is said of a copy, once."""
    text = "this is a copy of the queue %s: what was running there is left alone" % place_of(original, path)
    if interrupted:
        text += ", %s as interrupted" % ("1 job counts" if interrupted == 1 else "%d jobs count" % interrupted)
    return text


def place_of(original: Fields, path: str) -> str:
    """Where the original of the copy at *path* is, or was."""
    where = os.path.dirname(original["path"])
    return "that was in %s before" % where if original["path"] == path else "in %s" % where


def copied_from(database: Database) -> str:
    """Where what is under way here runs, until the first worker of a copy settles it; "" in one that is none.

    For calls that tell what becomes of it; also "" where it cannot be told.
    """
    with contexts.suppress(QueueError, OSError), database.reading() as connection:
        original = noted(connection)
        lacks_folder = not os.path.exists(database.folder.path)  # a copy of the database alone, until somebody makes it
        if original and verdict(original, look_here(database, lacks_folder)) == COPY:
            return place_of(original, database.path)
    return ""
