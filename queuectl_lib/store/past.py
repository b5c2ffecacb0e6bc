"""One look at the attempts of a stretch of time and of the one before it, all of one moment: for a report."""

from __future__ import annotations

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.store import failed, window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Tuple

    from queuectl_lib.store.database import Database

BEFORE = 5000  # attempts of the stretch before, to compare kinds with


class Past:
    """From *since* to *now* (seconds since 1970).

    *ends*: how many attempts ended when and how (window.ends); *detail*: as many as can be shown, *before*: some of
    the stretch before; *failures*: the newest. Raises HostError; of no database it is empty.
    """

    def __init__(self, database: Database, since: float, now: float) -> None:
        self.ends: Dict[Tuple[float, str], int] = {}
        self.detail = self.before = window.Detail([], 1.0, 0)
        self.failures = failed.Failures()
        with contexts.suppress(NoDatabase), database.reading() as connection:
            connection.execute("BEGIN")
            here = window.Window(connection, since)
            self.ends = window.ends(here, now)
            self.detail = window.detail(here, sum(self.ends.values()), now)
            self.failures = failed.of(database, here)
            earlier = window.Window(connection, max(times.FIRST_TIME, 2 * since - now), since)
            self.before = window.detail(earlier, earlier.high - earlier.low, since, BEFORE)
