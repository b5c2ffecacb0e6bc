"""What jobs have beside their rows (jobs/beside), put in its tables in the transaction that adds or changes them."""

from __future__ import annotations

import json
import sqlite3

from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, List, Optional, Sequence, Tuple

    from queuectl_lib.store.dependencies import Adding

INSERT_TAG = "INSERT OR IGNORE INTO tags (job, tag) VALUES (?, ?)"
NAMED = 5  # of the jobs that are cancelled at once


def insert(
    connection: sqlite3.Connection, jobs: Iterable[Tuple[int, str, str, str]], born: Optional[List[str]] = None
) -> None:
    """For each job its seq, its id, where it comes from ("line 5: ", or nothing), and what it has beside its row.

    Into *born* goes a sentence on each of those that are cancelled at once, of many on the first and their number.
    """
    seen, found = "", {}
    adding: Optional[Adding] = None
    count = 0
    for seq, identifier, place, text in jobs:
        if text != seen:
            seen, found = text, json.loads(text)
        connection.executemany(INSERT_TAG, [(seq, tag) for tag in found.get("tags", ())])
        if "edges" in found:
            if adding is None:
                from queuectl_lib.store import dependencies  # which few jobs need

                adding = dependencies.Adding(connection)
            why = adding.insert(seq, place, found["edges"])
            count += bool(why)
            if why and born is not None and count <= NAMED:
                born.append("job %s was cancelled: %s" % (identifier, why))
    if count > NAMED and born is not None:
        born.append("%d more were cancelled" % (count - NAMED))


SET_TAGS = "UPDATE jobs SET tags = ? WHERE seq = ?"
FORGET_TAGS = "DELETE FROM tags WHERE job = ?"
TAGS_OF = "SELECT tag FROM tags WHERE job = ?"


def set_tags(connection: sqlite3.Connection, seq: int, tags: Sequence[str]) -> None:
    """Give the job *tags* (checked) in the place of those that it has: in its row, and where a tag's jobs are found."""
    moved = connection.execute(SET_TAGS, (" ".join(sorted(tags)) or None, seq))
    opening.refuse_ignored(1 - moved.rowcount)
    connection.execute(FORGET_TAGS, (seq,))
    connection.executemany(INSERT_TAG, [(seq, tag) for tag in tags])
    found = {row["tag"] for row in opening.rows(connection, TAGS_OF, (seq,))}
    opening.refuse_ignored(len(found ^ set(tags)))
