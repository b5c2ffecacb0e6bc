"""Locks as a person sees them: how many jobs may run with each, which do, and how many are parked for it."""

from __future__ import annotations

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase, QueueError
from queuectl_lib.host import bell
from queuectl_lib.store import locking, opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

MOST_LOCKS = 10000
COUNT_OTHERS = "SELECT count(*) FROM locks WHERE key <> ?"
SET = "INSERT OR REPLACE INTO locks (key, most) VALUES (?, ?)"
UNSET = "DELETE FROM locks WHERE key = ?"


def change(database: Database, key: str, most: Optional[int]) -> None:
    """Let *most* jobs with this lock run at a time (None: one, as where nothing is set). Raises QueueError."""
    with database.writing() as connection:
        if most is None or most == 1:
            connection.execute(UNSET, (key,))
        else:
            if connection.execute(COUNT_OTHERS, (key,)).fetchone()[0] >= MOST_LOCKS:
                raise QueueError("%d locks are set, and no more can be: `lock unset` one first" % MOST_LOCKS)
            opening.refuse_ignored(1 - connection.execute(SET, (key, most)).rowcount)
        locking.free_lock(connection, key)
    bell.ring(database.folder.bell)


PARKED = (
    "SELECT lock_key, count(*) AS jobs FROM jobs INDEXED BY jobs_aside WHERE lane = 4 AND lane > 1 GROUP BY lock_key"
)


def shown(database: Database) -> List[Fields]:
    """Each lock that is held, waited for or set: how many may run and do, who holds it, how many are parked."""
    most: Dict[str, int] = {}
    held: Dict[str, List[str]] = {}
    parked: Dict[str, int] = {}
    with contexts.suppress(NoDatabase), database.reading() as connection:
        most = {opening.as_text(key): number for key, number in locking.numbers(connection).items()}
        for row in opening.rows(connection, locking.HOLDERS):
            held.setdefault(opening.as_text(row["lock_key"]), []).append(opening.as_text(row["id"]))
        parked = {opening.as_text(row["lock_key"]): row["jobs"] for row in opening.rows(connection, PARKED)}
    return [
        {
            "lock": key,
            "most": most.get(key, 1),
            "running": len(held.get(key, ())),
            "held_by": held.get(key, []),
            "parked": parked.get(key, 0),
        }
        for key in sorted({*most, *held, *parked})
    ]
