"""The jobs of an enqueue whose ids are there already, left out of it: the same list given again adds what is missing.

Asked in the transaction that adds the others, so what somebody else adds meanwhile is there, too. An id that comes
twice in one input stays a mistake of that input.
"""

from __future__ import annotations

import sqlite3

from queuectl_lib.jobs.ids import Holder, There
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

CREATE_THERE = "CREATE TEMP TABLE incoming_there (number INTEGER PRIMARY KEY, id, state, differs INTEGER NOT NULL)"
FIND_THERE = (
    "INSERT INTO incoming_there SELECT i.rowid, j.id, j.state, j.command IS NOT i.command OR j.is_list IS NOT i.is_list"
    " FROM incoming i CROSS JOIN jobs j ON j.id = i.id WHERE NOT i.made"
)
DROP_THERE = "UPDATE incoming SET id = NULL WHERE rowid IN (SELECT number FROM incoming_there)"


def skip(connection: sqlite3.Connection) -> None:
    """Take the ids that exist from the rows of the private table (store/bulk): what has none is not added."""
    for statement in (CREATE_THERE, FIND_THERE, DROP_THERE):
        connection.execute(statement)


# Where the one that leads a key is there already, what came behind it with that key stands for the same job.
LIST_ALL = (
    "SELECT coalesce(t.id, k.holder, u.id, l.id, i.id) AS id, t.id IS NOT NULL AS there, i.id IS NULL AS is_left,"
    " i.unique_key, coalesce(t.state, k.state, u.state, 'pending') AS state, t.differs FROM incoming i"
    " LEFT JOIN incoming_there t ON t.number = i.rowid"
    " LEFT JOIN incoming_keys k ON k.unique_key = i.unique_key"
    " LEFT JOIN incoming l ON l.rowid = k.leader"
    " LEFT JOIN incoming_there u ON u.number = k.leader"
    " ORDER BY i.rowid"
)


def ids_of(connection: sqlite3.Connection) -> Iterator[str]:
    """What became of each row, in order: as bulk.ids_of has it, a There for what was skipped."""
    for row in connection.execute(LIST_ALL):
        identifier, state = row["id"], opening.as_text(row["state"])
        if row["there"]:
            yield There.of(identifier, state, bool(row["differs"]))
        else:
            yield Holder.of(identifier, row["unique_key"], state) if row["is_left"] else identifier
