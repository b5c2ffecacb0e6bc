"""The ids of the newest jobs of some states that begin with what somebody has typed: for a shell that completes them.

However many jobs there are, few rows are read: of each state so many of the newest, or all that begin so.
"""

from __future__ import annotations

from queuectl_lib.jobs import states
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence

    from queuectl_lib.store.database import Database

MOST = 200
MOST_READ = 20000  # rows of a state
IDS = "SELECT seq, id FROM (SELECT seq, id FROM jobs %s ORDER BY seq DESC LIMIT %d) WHERE id >= ? AND id < ? LIMIT %d"
OF_STATE = IDS % ("INDEXED BY jobs_open WHERE state = ? AND state <> 'completed'", MOST_READ, MOST)
COMPLETED = IDS % ("INDEXED BY jobs_completed WHERE state = 'completed' AND lane IS NULL", MOST_READ, MOST)
OF_ALL = "SELECT seq, id FROM jobs WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT %d" % MOST_READ
NEWEST = "SELECT seq, id FROM jobs ORDER BY seq DESC LIMIT %d" % MOST


def of(database: Database, begin: str, wanted: Sequence[str]) -> List[str]:
    """Up to MOST ids that begin with *begin*, of jobs in the states *wanted*, the newest first. Raises HostError."""
    span = (begin, begin + "\x7f")  # behind every character of an id
    found = []
    with database.reading() as connection:
        if set(wanted) >= set(states.STATES):
            found += opening.rows(connection, OF_ALL, span) if begin else opening.rows(connection, NEWEST, ())
        else:
            for state in wanted:
                is_open = state != "completed"
                values = (state, *span) if is_open else span
                found += opening.rows(connection, OF_STATE if is_open else COMPLETED, values)
    newest = sorted(found, key=lambda row: -row["seq"])[:MOST]
    return [opening.as_text(row["id"]) for row in newest]
