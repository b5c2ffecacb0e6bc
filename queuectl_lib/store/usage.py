"""What the attempts of each kind of job have used of late: CPU and memory, of the newest that ended."""

from __future__ import annotations

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.store import durations, opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from queuectl_lib.store.database import Database

NEWEST = 5000  # attempts that are looked at: the same work however many there are
USED = (
    "SELECT j.name, j.command, j.is_list, a.command AS changed, a.cpu, a.peak_rss"
    " FROM attempts a INDEXED BY attempts_ended"
    " CROSS JOIN jobs j WHERE a.ended > 0 AND a.ended IS NOT NULL AND j.seq = a.job ORDER BY a.ended DESC LIMIT %d"
) % NEWEST


class Used:
    """Of one kind: *cpu*, seconds of each attempt of which it is known; *peak*, bytes of the largest process or None.

    What is known of a peak is often a bound alone (it is negative then), of which nothing is said here.
    """

    def __init__(self) -> None:
        self.cpu: List[float] = []
        self.peak: Any = None

    def add(self, cpu: object, peak: object) -> None:
        if isinstance(cpu, (int, float)) and cpu >= 0:
            self.cpu.append(float(cpu))
        if isinstance(peak, int) and peak >= 0:
            self.peak = max(peak, self.peak or 0)


def of_kinds(database: Database) -> Dict[str, Used]:
    """What is known, by kind."""
    found: Dict[str, Used] = {}
    with contexts.suppress(NoDatabase), database.reading() as connection:
        for row in opening.rows(connection, USED):
            kind = durations.kind_of(row)
            found.setdefault(kind, Used()).add(row["cpu"], row["peak_rss"])
    return found
