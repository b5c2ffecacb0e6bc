"""Of which queues a claim may start something: of the one that there mostly is, else of those that are eligible."""

from __future__ import annotations

import sqlite3

from queuectl_lib.store import opening, serving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence, Tuple

    from queuectl_lib.store.eligible import Closed
    from queuectl_lib.store.serving import Asker, Line

LIMITS = ("paused_at", "running_most", "rate_count", "windows", "load_most", "memory_least", "free_least")


def look(connection: sqlite3.Connection, now: float, asker: Asker) -> Tuple[Sequence[Line], Sequence[Closed]]:
    """The queues, of those served, that may start something at *now* (seconds since 1970), and those that may not."""
    rows = opening.rows(connection, serving.QUEUES)
    if not asker.wanted and len(rows) == 1 and not [column for column in LIMITS if rows[0][column] is not None]:
        line = serving.Line(0)
        if rows[0]["launcher"] is not None or rows[0]["launcher_args"] is not None:
            serving.read_launcher(line, rows[0])
        return (line,), ()
    from queuectl_lib.store import eligible  # which few homes need: most have one queue, and nothing set of it

    return eligible.look_at(connection, rows, now, asker)
