"""What a supervisor does beside looking after its workers, each chore in its own rhythm."""

from __future__ import annotations

import contextlib
import os
import time

from queuectl_lib.errors import QueueError
from queuectl_lib.run import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Tuple, Type, Union

    from queuectl_lib.store.database import Database


class Keeper:
    """An idle connection that lives as long as its supervisor; it follows a replaced file.

    While one is open, no operation deletes and re-makes the WAL.
    """

    every = 0.0  # seconds between two turns: each time that the supervisor rests

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connection: Any = None
        self.identity: Any = None

    def turn(self) -> None:
        identity = self._identity()
        if identity == self.identity:
            return
        self.close()
        with contextlib.suppress(QueueError):
            self.connection = self.database.keeper()
            self.identity = identity

    def _identity(self) -> Optional[Tuple[int, int]]:
        try:
            info = os.stat(self.database.path)
            return info.st_dev, info.st_ino
        except OSError:
            return None

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = self.identity = None


class LogTrimmer:
    """Keeps the log of a background supervisor from growing without end."""

    every = 0.0

    def __init__(self, database: Database) -> None:
        self.path = database.folder.log

    def turn(self) -> None:
        log.trim_log(self.path)

    def close(self) -> None:
        """Nothing is held."""


CHORES: Tuple[Type[Union[Keeper, LogTrimmer]], ...] = (Keeper, LogTrimmer)


class Chores:
    """All of them for one supervisor; the first turn of each comes at once."""

    def __init__(self, database: Database) -> None:
        self.chores = [kind(database) for kind in CHORES]
        self.due: List[float] = [0.0] * len(self.chores)  # monotonic
        self.turn()

    def turn(self) -> None:
        now = time.monotonic()
        for place, chore in enumerate(self.chores):
            if now >= self.due[place]:
                self.due[place] = now + chore.every
                chore.turn()

    def close(self) -> None:
        for chore in self.chores:
            chore.close()
