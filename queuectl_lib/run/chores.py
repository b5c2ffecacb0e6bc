"""What a supervisor does beside looking after its workers: a table of chores."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time

from queuectl_lib.errors import QueueError
from queuectl_lib.host import bell, processes
from queuectl_lib.jobs import wall_clock
from queuectl_lib.run import chore, hooks, log, pace, trouble
from queuectl_lib.run.chore import Chore
from queuectl_lib.run.hooks import Hooks
from queuectl_lib.store import locking, looking, slots_made, tidying

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, Optional, Set, Tuple, Type

    from queuectl_lib.settings import ConfigFile
    from queuectl_lib.store.database import Database


FREE_SECONDS = 60.0  # between two looks for what is parked in vain
TIDY_SECONDS = 0.05  # of each turn: nobody waits longer for it to start, or to heed a stop


class Keeper(Chore):
    """An idle connection that lives as long as its supervisor; it follows a replaced file.

    While one is open, no operation deletes and re-makes the WAL.
    """

    def __init__(self, database: Database, say: Callable[[str], None] = chore.to_nobody) -> None:
        super().__init__(database, say)
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

    def __init__(self, database: Database, say: Callable[[str], None] = chore.to_nobody) -> None:
        super().__init__(database, say)
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


class Freer(Chore):
    """Makes due what is parked for a lock that nobody holds any more: somebody has deleted rows by hand."""

    def __init__(self, database: Database, say: Callable[[str], None] = chore.to_nobody) -> None:
        super().__init__(database, say)
        self.not_before = 0.0  # monotonic

    def turn(self) -> None:
        if time.monotonic() < self.not_before:
            return
        self.not_before = time.monotonic() + FREE_SECONDS
        patience, self.database.busy_seconds = self.database.busy_seconds, pace.LOCK_SECONDS
        with contextlib.suppress(QueueError, OSError):
            if locking.free_some(self.database):
                bell.ring(self.database.folder.bell)
        self.database.busy_seconds = patience


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
        return {child.pid for child in multiprocessing.active_children() if child.pid} | hooks.TELLERS


class Scheduler(Chore):
    """Makes the jobs of schedules when their slots come: the supervisor, so that busy workers delay nothing.

    The database is asked only when its files have changed, when a slot comes, and now and then for safety. All next
    slots are found anew, a part at a time, at the start and where the clock went back or its zone is another.
    """

    is_service = True

    def __init__(self, database: Database, say: Callable[[str], None] = chore.to_nobody) -> None:
        super().__init__(database, say)
        self.next_at: Optional[float] = None  # the next slot, as far as is known
        self.seen: Any = None
        self.asked_at = self.counts_until = 0.0  # monotonic
        self.apart: Dict[str, float] = {}  # schedules in trouble, and until when they are left alone (monotonic)
        self.behind: Optional[str] = ""  # which the next slots are found anew; None: that is done
        self.clock = trouble.ClockWatch()
        self.zone: Any = None
        self.trouble = trouble.Trouble(self._tell)
        self.trouble.lock_seconds = pace.LOCK_SECONDS  # the supervisor has to heed its signals

    def _tell(self, text: str) -> None:
        if self.next_at is not None:  # else it is the workers' to tell
            self.say("schedules: " + text)

    def due(self) -> Optional[float]:
        if self.trouble.is_in_the_way():
            return time.time() + self.trouble.rest()
        return 0.0 if self.behind is not None else self.next_at

    def turn(self) -> None:
        if self.trouble.is_in_the_way():
            return
        patience, self.database.busy_seconds = self.database.busy_seconds, pace.LOCK_SECONDS
        try:
            self._look()
            self.trouble.over()
        except QueueError as error:
            self.trouble.meet(error)
        except (OSError, MemoryError) as error:
            self.trouble.meet(trouble.in_words(error))
        finally:
            self.database.busy_seconds = patience

    def _look(self) -> None:
        now = time.monotonic()
        self.apart = {name: until for name, until in self.apart.items() if until > now}
        if self.clock.went_back():
            self.behind = ""
        if self.next_at is None or self.next_at > time.time():
            if now - self.asked_at < pace.LOOK_AROUND_SECONDS and self.behind is None:
                return
            self._ask(now)
        if self.next_at is None and self.behind is None:
            return
        self._heed_zone()
        if self.next_at is not None and self.next_at <= time.time():
            self._make(now)
        elif self.behind is not None:
            self._review()

    def _ask(self, now: float) -> None:
        """Find out when the next slot comes, where that can have changed."""
        self.asked_at = now
        seen = self.database.fingerprint()
        if not (seen and seen == self.seen and now < self.counts_until):
            self.next_at = slots_made.next_due(self.database, self.apart)
            self.seen = seen if seen and seen[0] < time.time() - pace.SETTLED_SECONDS else None
            self.counts_until = now + pace.APART_SECONDS

    def _make(self, now: float) -> None:
        made = slots_made.make_due(self.database, time.time(), self.apart)
        for word in made.words:
            self.say(word)
        self.apart.update(dict.fromkeys(made.in_trouble, now + pace.APART_SECONDS))
        self.next_at = slots_made.next_due(self.database, self.apart)
        if not made.found and self.next_at is not None:  # a time that somebody wrote in another form: it has not come
            self.next_at = max(self.next_at, time.time() + pace.LOOK_AROUND_SECONDS)
        self.seen = None

    def _heed_zone(self) -> None:
        wall_clock.look_again()
        zone = (time.timezone, time.altzone, time.tzname)
        if self.zone not in (None, zone):
            self.behind = ""
        self.zone = zone

    def _review(self) -> None:
        self.behind, words = slots_made.review(self.database, time.time(), self.behind or "")
        for word in words:
            self.say(word)
        self.next_at = slots_made.next_due(self.database, self.apart)
        self.seen = None


CHORES: Tuple[Type[Chore], ...] = (Keeper, Tidier, Freer, Hooks, LogTrimmer, Reaper, Scheduler)


class Chores:
    """All of them for one supervisor; the first turn of each comes at once."""

    def __init__(
        self,
        database: Database,
        say: Callable[[str], None] = chore.to_nobody,
        drains: bool = False,
        name: str = "",
        config: Optional[ConfigFile] = None,
    ) -> None:
        kinds = CHORES
        if drains:
            from queuectl_lib.run import draining  # which no other supervisor needs

            kinds += (draining.Teller,)
        self.chores = [kind(database, say) for kind in kinds]
        if config is not None:
            for one in self.chores:
                one.meet(chore.Supervised(name, config, drains))
        self.turn()

    def turn(self, serves: bool = True) -> None:
        for one in self.chores:
            if serves or not one.is_service:
                one.turn()

    def due(self) -> Optional[float]:
        """When the next of them has something to do that no file tells of."""
        return min((due for due in [one.due() for one in self.chores] if due is not None), default=None)

    def mourn(self) -> None:
        """A worker has died."""
        for one in self.chores:
            one.mourn()

    def close(self, heed: Callable[[], str] = str) -> None:
        """The supervisor leaves, once none of them lingers; *heed* is asked how it is wanted to stop meanwhile."""
        stage = heed()
        while True in [one.lingers(stage) for one in self.chores]:
            time.sleep(pace.HEED_SECONDS)
            stage = heed()
        for one in self.chores:
            one.close()
