"""What dead supervisors and workers, and deleted jobs, left in the folder, removed."""

from __future__ import annotations

import contextlib
import os

from queuectl_lib.host import files, locks
from queuectl_lib.store import folder, looking, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.folder import Folder

KNOWN_TOKENS = "SELECT token FROM attempts WHERE token IS NOT NULL"


def tidy(database: Database) -> None:
    """Remove what dead supervisors and workers, and deleted jobs, left in the folder."""
    database.folder.refuse_links()
    names = {entry.split(".")[0] for entry in os.listdir(database.folder.attempts)}  # first: a file follows its claim
    found = set(filter(folder.is_token, names))  # what else lies there is nobody's business
    jobs = looking.processing(database)
    held = {job["worker"] for job in jobs}
    for name in roster.life_names(database.folder):
        if name not in held:
            remove_dead_life(database.folder, name)
    remove_stale_requests(database.folder)
    found -= {job["token"] for job in jobs}
    if found:  # to ask after them all is to read of every attempt there is
        found.difference_update(known_tokens(database))
    for token in found:
        database.folder.remove_attempt_files(token)


def known_tokens(database: Database) -> List[str]:
    """Tokens whose files in the attempts folder still mean something."""
    with database.reading() as connection:
        return [row["token"] for row in connection.execute(KNOWN_TOKENS)]


def remove_stale_requests(folder: Folder) -> None:
    """Requests to supervisors of whom neither they nor a worker lives any more."""
    entries = os.listdir(folder.workers)  # before the names: a request follows its supervisor
    wanted = {str(member["supervisor"]) for member in roster.members(folder)} | set(roster.life_names(folder))
    for entry in entries:
        name, _, kind = entry.rpartition(".")
        if kind != "life" and name not in wanted:
            with contextlib.suppress(OSError):
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
    roster.remove_requests(folder, name)
