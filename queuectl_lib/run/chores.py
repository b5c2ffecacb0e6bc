"""What a supervisor does beside looking after its workers: a table of chores."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time

from queuectl_lib.errors import QueueError
from queuectl_lib.host import processes
from queuectl_lib.run import log
from queuectl_lib.store import looking, tidying

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Optional, Set, Tuple, Type

    from queuectl_lib.store.database import Database


TIDY_SECONDS = 0.05  # of each turn: nobody waits longer for it to start, or to heed a stop


class Chore:
    """What all have in common: a turn each time that the supervisor rests, and what they need to know."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def turn(self) -> None:
        raise NotImplementedError

    def mourn(self) -> None:
        """A worker has died."""

    def close(self) -> None:
        """The supervisor leaves."""


class Keeper(Chore):
    """An idle connection that lives as long as its supervisor; it follows a replaced file.

    While one is open, no operation deletes and re-makes the WAL.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
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


class Tidier(Chore):
    """Removes what the dead left in the folder: at the start, and whenever a worker has died.

    Once for all workers, and a little at each turn, for it may have to read of every attempt there is.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.is_wanted = True
        self.parts: Optional[Iterator[None]] = None  # of what is under way

    def turn(self) -> None:
        began = time.monotonic()
        while self.parts or self.is_wanted:
            if not self.parts:
                self.is_wanted = False
                self.parts = tidying.in_parts(self.database)
            self._go_on()
            if time.monotonic() - began >= TIDY_SECONDS:
                break

    def _go_on(self) -> None:
        with contextlib.suppress(QueueError, OSError):
            for _ in self.parts or ():
                return
        self.parts = None

    def mourn(self) -> None:
        self.is_wanted = True

    def close(self) -> None:
        with contextlib.suppress(QueueError, OSError):
            tidying.tidy_members(self.database.folder, looking.processing(self.database))


class LogTrimmer(Chore):
    """Keeps the log of a background supervisor from growing without end, and says what could not be written there."""

    def turn(self) -> None:
        log.trim_log(self.database.folder.log)
        log.tell_unwritten()


class Reaper(Chore):
    """Reaps what jobs left behind, where we are PID 1 of a container or a subreaper."""

    def turn(self) -> None:
        processes.reap_strangers(self.workers)

    def workers(self) -> Set[int]:
        """The pids whose exit status their supervisor still wants."""
        return {child.pid for child in multiprocessing.active_children() if child.pid}


CHORES: Tuple[Type[Chore], ...] = (Keeper, Tidier, LogTrimmer, Reaper)


class Chores:
    """All of them for one supervisor; the first turn of each comes at once."""

    def __init__(self, database: Database) -> None:
        self.chores = [kind(database) for kind in CHORES]
        self.turn()

    def turn(self) -> None:
        for chore in self.chores:
            chore.turn()

    def mourn(self) -> None:
        """A worker has died."""
        for chore in self.chores:
            chore.mourn()

    def close(self) -> None:
        for chore in self.chores:
            chore.close()
