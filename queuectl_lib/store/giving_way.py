"""A waiting job that gives way to a newer one with its key: cancelled in the transaction that adds the other."""

from __future__ import annotations

import sqlite3

from queuectl_lib import errors, times
from queuectl_lib.errors import QueueError
from queuectl_lib.jobs import states
from queuectl_lib.store import cancelling, edges, finding, opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

    from queuectl_lib.jobs.ids import Holder

SAY_WHY = "UPDATE jobs SET last_error = ? WHERE seq = ?"


def give_way(connection: sqlite3.Connection, holder: Holder, newer: str, now: float, said: Optional[List[str]]) -> None:
    """Cancel *holder* for the job *newer*, and tell *said*. Raises QueueError where it runs: nobody stops that here."""
    head = finding.head(connection, holder)
    if head["state"] not in states.WAITING:
        text = "job %s with the key %s runs, and does not give way: nothing was added (`cancel %s` ends it)"
        raise QueueError(text % (holder, errors.shown(holder.key), holder))
    if cancelling.cancel_one(connection, head["seq"], head["state"], times.utc_text(now)) is not None:
        text = "job %s with the key %s may run by its launcher, and does not give way: nothing was added"
        raise QueueError(text % (holder, errors.shown(holder.key)) + " (`cancel %s` ends it)" % holder)
    opening.refuse_ignored(1 - connection.execute(SAY_WHY, ("replaced by job %s" % newer, head["seq"])).rowcount)
    cancelling.free_locks(connection, [head["lock_key"]])
    edges.settle_some(connection, now)  # what came after it; what is left is for the workers
    if said is not None:
        said.append("job %s, which waited with the key %s, was cancelled for it" % (holder, errors.shown(holder.key)))
