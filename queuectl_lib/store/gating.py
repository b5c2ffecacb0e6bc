"""The gates of queues, asked: what the host tells is looked at before a transaction, and known within one.

A look at a disk can hang with its server, so while others wait for the write lock nothing is asked: what was not looked
at within LOOK_AGAIN seconds counts as shut, and is looked at before the next try.
"""

from __future__ import annotations

import os
import time

from queuectl_lib.host import load
from queuectl_lib.jobs import gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import Callable, Dict, Optional, Tuple

SEEN: Dict[Tuple[str, str], Tuple[float, Optional[float]]] = {}  # by question and path: when (monotonic), the answer


class NotLooked(Exception):
    """What the host would tell now is not known."""


class Look:
    """What the host tells, not older than LOOK_AGAIN seconds; *asks* says whether it may be asked anew."""

    def __init__(self, asks: bool) -> None:
        self.asks = asks

    def load(self) -> Optional[float]:
        return self._seen("load", "", load.load)

    def memory_available(self) -> Optional[int]:
        found = self._seen("memory", "", load.memory_available)
        return None if found is None else int(found)

    def free_bytes(self, path: str) -> Optional[int]:
        found = self._seen("free", path, lambda: load.free_bytes(path))
        return None if found is None else int(found)

    def _seen(self, what: str, path: str, ask: Callable[[], Optional[float]]) -> Optional[float]:
        at, found = SEEN.get((what, path), (0.0, None))
        now = time.monotonic()
        if at and now - at < gates.LOOK_AGAIN:
            return found
        if not self.asks:
            raise NotLooked
        found = ask()
        SEEN[what, path] = (now, found)
        return found


def shut_by(row: sqlite3.Row, now: float, database_path: str, asks: bool) -> Optional[Tuple[str, float]]:
    """Why the queue in *row* may start nothing at *now*, and when to look again; None where it may."""
    gate = gates.Gate.of(dict(row), os.path.dirname(database_path))
    if asks:
        load.heed_zone()
    try:
        return gate.closed_by(now, Look(asks))
    except NotLooked:
        return "its gate is about to be looked at", now
