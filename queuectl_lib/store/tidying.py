"""What dead supervisors and workers, and deleted jobs, left in the folder, removed."""

from __future__ import annotations

import os

from queuectl_lib import contexts
from queuectl_lib.host import files, locks
from queuectl_lib.store import folder, looking, presence, roster, stops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, Optional, Sequence, Set, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.folder import Folder
    from queuectl_lib.values import Fields

PART = 50000  # attempts that are read at a time
NEWEST_BELOW = "SELECT max(id) FROM attempts WHERE id < ?"
KEPT_FILES = (  # as Outcome.useless_files has it, from the row
    "SELECT token, leftovers IS NOT NULL OR finished_at IS NULL AS whole, stdout IS NULL AND stdout_bytes > 0 AS out,"
    " stderr IS NULL AND stderr_bytes > 0 AS err FROM attempts"
    " WHERE id BETWEEN ? AND ? AND token IS NOT NULL AND token NOT GLOB '*[^0-9a-f]*'"  # what is none may be no text
)


def tidy(database: Database) -> None:
    """Remove what dead supervisors and workers, and deleted jobs, left in the folder."""
    for _ in in_parts(database):
        pass


def in_parts(database: Database) -> Iterator[None]:
    """The same, with a pause after each part: among ten million attempts no token is found in less than a second."""
    database.folder.refuse_links()
    names = {entry.split(".")[0] for entry in os.listdir(database.folder.attempts)}  # first: a file follows its claim
    found = set(filter(folder.is_token, names))  # what else lies there is nobody's business
    jobs = looking.processing(database)
    tidy_members(database.folder, jobs)
    found -= {job["token"] for job in jobs}
    kept: Dict[str, Set[str]] = {}
    below: Optional[int] = MOST_ID
    while below is not None and not found.issubset(kept):  # what is found has ended, and how stands fast
        some, below = kept_files(database, found, below)
        kept.update(some)
        yield
    for token in found:
        if token not in kept:
            database.folder.remove_attempt_files(token)
        elif "run" not in kept[token] and not database.folder.attempt_is_held(token):
            # Its worker was killed between record and removal.
            useless = {*folder.FILES, folder.SAY, folder.SCRIPT} - kept[token]
            files.remove_from(database.folder.attempts, [token + "." + kind for kind in useless])


def tidy_members(folder: Folder, jobs: Sequence[Fields]) -> None:
    """Remove what is left of supervisors and workers that are dead, unless it tells of one of *jobs*, under way."""
    held = {job["worker"] for job in jobs}
    held |= {stops.supervisor_of(worker) for worker in held}  # what was asked of these tells of their jobs
    for name in roster.life_names(folder):
        if name not in held:
            remove_dead_life(folder, name)
    remove_stale_requests(folder, held)


MOST_ID = (1 << 63) - 1


def kept_files(database: Database, tokens: Set[str], below: int) -> Tuple[Dict[str, Set[str]], Optional[int]]:
    """Which files of each of these attempts still mean something; attempts that are not known are left out.

    All of one that goes on or has left processes running; else output that is too large for the database.
    Of the newest PART of the attempts before the one numbered *below*; then the number to go on from, if any.
    """
    found: Dict[str, Set[str]] = {}
    with database.reading() as connection:
        newest = connection.execute(NEWEST_BELOW, (below,)).fetchone()[0]
        if newest is None:
            return found, None
        oldest = max(newest - PART + 1, -MOST_ID)
        for row in connection.execute(KEPT_FILES, (oldest, newest)):
            if row["token"] in tokens:
                kinds = folder.FILES if row["whole"] else [kind for kind in folder.OUTPUTS if row[kind]]
                found[row["token"]] = set(kinds)
    return found, oldest


def remove_stale_requests(folder: Folder, held: Set[str]) -> None:
    """Requests to supervisors of whom neither they nor a worker lives any more, less those that are *held*."""
    entries = os.listdir(folder.workers)  # before the names: a request follows its supervisor
    wanted = held | {str(member["supervisor"]) for member in roster.members(folder)} | set(roster.life_names(folder))
    for entry in entries:
        name, _, kind = entry.rpartition(".")
        if kind != "life" and name not in wanted:
            with contexts.suppress(OSError):
                files.remove(os.path.join(folder.workers, entry))


def remove_dead_life(folder: Folder, name: str) -> None:
    """Remove the life file and the requests of a supervisor or worker that is dead."""
    try:
        fd = files.open_private(folder.life_path(name), os.O_RDWR)
    except OSError:
        return
    if not locks.try_lock(fd):
        os.close(fd)
        return
    locks.remove_held_file(folder.life_path(name), fd)
    presence.remove_requests(folder, name)
