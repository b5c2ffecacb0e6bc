"""What the database said last: an answer that counts while its files stay as they were."""

from __future__ import annotations

import os
import time

from queuectl_lib.run import pace
from queuectl_lib.store import outlook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from queuectl_lib.store.database import Database


class Glance:
    """What the database said last: an idle worker asks every second and would hear the same.

    An answer counts while the files stay as they were. Their times can be as coarse as two
    seconds, so it counts only if they had been at rest for SETTLED_SECONDS before.
    """

    def __init__(self, database: Database, workers: int = 1) -> None:
        self.database = database
        self.workers = workers  # which ask in turn
        self.processing: List[Dict[str, Any]] = []
        self.next_due: Optional[float] = None
        self.is_stale = False
        self.seen: Any = None
        self.counts_until = 0.0  # monotonic

    def due_within(self, pause: float) -> float:
        """Seconds until the next job falls due, *pause* at the most; 0.0 where the database is to be asked first."""
        if self.is_stale:  # the bell was rung in vain, or for later
            return 0.0
        return max(0.001, pause if self.next_due is None else min(pause, self.next_due - time.time()))

    def refresh(self) -> None:
        """Ask again if the answer can have changed. Raises HostError."""
        self.is_stale = False
        seen = self.database.fingerprint()
        now = time.time()
        is_near = self.next_due is not None and self.next_due <= now  # it may have been a gate, and closed again
        if seen and seen == self.seen and time.monotonic() < self.counts_until and not is_near:
            return
        self.seen, self.next_due = None, None
        self.processing, self.next_due = outlook.under_way(self.database, now)
        self.counts_until = time.monotonic() + pace.fresh_seconds(self.workers, os.urandom(1)[0] / 256)
        if seen and seen[0] < now - pace.SETTLED_SECONDS:
            self.seen = seen
