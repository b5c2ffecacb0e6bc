"""Unique keys: who holds one, and what is said to another job with it."""

from __future__ import annotations

import sqlite3

from queuectl_lib import errors
from queuectl_lib.errors import QueueError
from queuectl_lib.jobs import states
from queuectl_lib.jobs.ids import Holder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

# NOT NULL again, for the proof that the index serves.
HOLDS = "state IN (%s)" % ", ".join("'%s'" % state for state in states.HOLDING)
FIND_HOLDER = "SELECT id, state FROM jobs WHERE unique_key = ? AND unique_key IS NOT NULL AND %s LIMIT 1" % HOLDS


def find_holder(connection: sqlite3.Connection, key: Optional[str]) -> Optional[Holder]:
    """The job that waits or runs with *key*."""
    row = None if key is None else connection.execute(FIND_HOLDER, (key,)).fetchone()
    return None if key is None or row is None else Holder.of(row["id"], key, row["state"])


def key_is_held(identifier: str, holder: Holder, same_call: bool) -> QueueError:
    if same_call:
        text = "jobs %s and %s have the same key %s, and only one can wait: nothing was requeued"
        return QueueError(text % (holder, identifier, errors.shown(holder.key)))
    text = "job %s has the key %s, which job %s (%s) holds: nothing was requeued"
    return QueueError(text % (identifier, errors.shown(holder.key), holder, holder.state))
