"""What jobs have beside their rows (jobs/beside), put in its tables in the transaction that adds them."""

from __future__ import annotations

import json
import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Tuple

INSERT_TAG = "INSERT OR IGNORE INTO tags (job, tag) VALUES (?, ?)"


def insert(connection: sqlite3.Connection, jobs: Iterable[Tuple[int, str, str]]) -> None:
    """For each job its seq, where it comes from ("line 5: ", or nothing), and what it has beside its row."""
    for seq, _place, text in jobs:
        found = json.loads(text)
        connection.executemany(INSERT_TAG, [(seq, tag) for tag in found.get("tags", ())])
