"""What jobs have beside their rows (jobs/beside), put in its tables in the transaction that adds or changes them."""

from __future__ import annotations

import json
import sqlite3

from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Sequence, Tuple

INSERT_TAG = "INSERT OR IGNORE INTO tags (job, tag) VALUES (?, ?)"


def insert(connection: sqlite3.Connection, jobs: Iterable[Tuple[int, str, str]]) -> None:
    """For each job its seq, where it comes from ("line 5: ", or nothing), and what it has beside its row."""
    for seq, _place, text in jobs:
        found = json.loads(text)
        connection.executemany(INSERT_TAG, [(seq, tag) for tag in found.get("tags", ())])


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
