"""The jobs that have ended, one after the other as they did, each with its last attempt; or all attempts that have.

Those from before ends were numbered (store/ended) come first, as they began.
"""

from __future__ import annotations

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.store import ended, opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

AT_ONCE = 500  # in one read
LOG = "SELECT %s, a.stdout_bytes FROM attempts a%%s JOIN jobs j ON j.seq = a.job WHERE %%s" % ended.COLUMNS
# CROSS: else an SQLite that knows its tables from ANALYZE may begin with the jobs, and sort.
UNNUMBERED = (
    LOG.replace("JOIN", "CROSS JOIN") % ("", "a.id > ? AND a.ended IS NULL AND a.outcome <> 'running'%s"),
    " ORDER BY a.id LIMIT %d" % AT_ONCE,
)
NUMBERED = (
    LOG.replace("JOIN", "CROSS JOIN") % (" INDEXED BY attempts_ended", "a.ended > ? AND a.ended IS NOT NULL%s"),
    " ORDER BY a.ended LIMIT %d" % AT_ONCE,
)
IS_LAST = " AND NOT EXISTS (SELECT 1 FROM attempts b WHERE b.job = a.job AND b.number > a.number)"


def each(database: Database, states: Optional[Sequence[str]], since: Optional[str]) -> Iterator[Fields]:
    """The jobs in these *states*, each once, with its last attempt, where that has ended; all attempts for None.

    Those alone that ended at the time *since* or later. Rows as those of store/ended, with stdout_bytes.
    """
    more = ""
    values: List[str] = []
    if states is not None:
        more += " AND j.state IN (%s)" % ", ".join("?" * len(states)) + IS_LAST
        values += states
    if since is not None:
        more += " AND a.finished_at >= ?"
        values.append(since)
    for column, (begin, order) in (("attempt_id", UNNUMBERED), ("ended", NUMBERED)):
        behind = 0
        rows: List[Fields] = [{}]
        while rows:
            rows = page(database, begin % more + order, [behind, *values])
            yield from rows
            behind = max([row[column] for row in rows if type(row[column]) is int], default=behind)
            rows = rows if len(rows) == AT_ONCE else []


def page(database: Database, statement: str, values: Sequence[object]) -> List[Fields]:
    with contexts.suppress(NoDatabase), database.reading() as connection:
        return opening.all_without_bytes(opening.rows(connection, statement, values))
    return []
