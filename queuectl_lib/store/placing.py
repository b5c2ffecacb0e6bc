"""PLACE: the one statement that decides in which lane a waiting job stands; and the proof that each stands there.

    lane        holds                                  comes in                         leaves for lane 0
    0 due       may start, as far as it knows itself   enqueue, promotion, release      by a claim
    1 later     waits for its own time                 enqueue, a failure               when that has come
    2 after     an open dependency                     enqueue, requeue of a parent     when the last one closes
    3 held      a person said so                       `hold`, `add --hold`             by `release`
    4 parked    its lock is taken                      the claim that met it            when that is free

A claim looks at lane 0 alone: what cannot run is not passed over, it is not there. Whatever is true of a class of
jobs (a pause, a limit) belongs to their queue. Every writer but the claim says PLACE, and never a lane by its number;
next_run_at keeps the own due time of a job in each lane, so that it comes back to its old place in the order.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

OPEN_EDGE = "EXISTS (SELECT 1 FROM edges WHERE child = jobs.seq AND state = 1)"


# What was given no time and has neither failed nor snoozed is due, also where the clock stands before it was added.
OWN_TIME = "CASE WHEN run_at IS NULL AND state <> 'failed' AND snoozes = 0 THEN '' ELSE next_run_at END"


def place(due: str = OWN_TIME, now: str = "?", held_at: str = "held_at") -> str:
    """The lane as an expression: for a job that is *due* then, where it is *now*, *held_at* (expressions, too)."""
    rule = "CASE WHEN %s IS NOT NULL THEN 3 WHEN %s THEN 2 WHEN %s > %s THEN 1 ELSE 0 END"
    return rule % (held_at, OPEN_EDGE, due, now)


AT_ONCE = place("''", "''")  # of one that is due, whatever the clock says: it was claimed, or is to run again now

# Parked, a job is one that a claim found due; and due, one that nobody has promoted yet stands as later.
MISPLACED = (
    "SELECT seq, id, lane, %s AS place FROM jobs WHERE lane IS NOT NULL"
    " AND CASE lane WHEN 4 THEN 0 WHEN 1 THEN 0 ELSE lane END <> CASE %s WHEN 1 THEN 0 ELSE %s END LIMIT 10"
) % (place(), place(), place())


def misplaced(database: Database, now_text: str) -> List[Fields]:
    """The first waiting jobs that do not stand where PLACE says, less those that nobody has promoted yet."""
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(MISPLACED, (now_text,) * 3)]
