"""A database that refuses, a host that cannot start a process, a clock that goes back: noticed, told once, got over."""

from __future__ import annotations

import time

from queuectl_lib.errors import Locked
from queuectl_lib.host import locks
from queuectl_lib.run import pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Optional, Sequence, Union

    from queuectl_lib.run.attempt import Attempt

NO_MEMORY = "no memory"


class Trouble:
    """What keeps one worker from going on now, and when it may try again."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.text = ""  # what was told last
        self.lock_seconds = locks.BUSY_SECONDS  # that are waited for a lock at one go
        self.pause = 0.0  # seconds between two tries while the database refuses
        self.since = 0.0  # monotonic; when that began
        self.shortage_pause = 0.0  # while no process can be started
        self.shortage, self.shortage_at = "", 0.0  # what was told of it, and when it was met last (monotonic)
        self.retry_at = 0.0  # monotonic
        self.write_refused = False  # the last time
        self.starts: Dict[str, str] = {}  # of jobs, by token: told once they have begun

    def meet(self, error: Union[Exception, str], in_writing: bool = False) -> None:
        """The database refuses: keep everything, say it once, try again, ever more slowly.

        A lock that is waited for in short turns, for the sake of jobs that run, is told as late as one waited for at
        one go, and tried again at once.
        """
        text, now, is_lock = str(error), time.monotonic(), isinstance(error, Locked)
        self.write_refused = self.write_refused or in_writing
        if not self.pause:
            self.since = now - (self.lock_seconds if is_lock else 0.0)
        if text != self.text and (not is_lock or now - self.since > locks.BUSY_SECONDS - 1):
            self.text = text
            self.say("%s; trying again" % text)
        in_turns = is_lock and self.lock_seconds < locks.BUSY_SECONDS
        self.pause = 0.1 if in_turns else min(max(0.1, self.pause * 2), pace.TROUBLE_SECONDS)
        self.retry_at = now + self.pause

    def patience(self, running: Sequence[Attempt]) -> float:
        """How long to wait for a lock at one go, in seconds: not long where jobs run that may have to be ended."""
        self.lock_seconds = pace.LOCK_SECONDS if running else locks.BUSY_SECONDS
        return self.lock_seconds

    def note_start(self, token: str, shortage: Optional[str]) -> None:
        """A job has begun (None), or could not for a *shortage* of the host, and then it was not started."""
        text = self.starts.pop(token, "")
        if shortage is not None:
            self.meet_shortage("cannot start a job (%s)" % shortage)
            return
        self.shortage_pause = 0.0
        if text:
            self.say(text)

    def tell_starts(self, running: Sequence[Attempt]) -> None:
        """Tell of those that are *running* that they were started, where they have begun."""
        for attempt in running if self.starts else ():
            token = attempt.claim.token
            if token in self.starts and attempt.has_begun():
                self.say(self.starts.pop(token))

    def meet_shortage(self, text: str) -> None:
        """The host cannot start a process now: wait, ever longer until one starts again."""
        now = time.monotonic()
        is_new = text != self.shortage or now - self.shortage_at > pace.NO_START_SECONDS  # else some began in between
        if is_new and not self.shortage_pause:
            self.say("%s; trying again" % text)
        self.shortage, self.shortage_at = text, now
        self.shortage_pause = min(max(0.1, self.shortage_pause * 2), pace.TROUBLE_SECONDS)
        self.retry_at = now + self.shortage_pause

    def over(self, in_writing: bool = False) -> None:
        """The database has answered; where a write was refused only a write tells: reading may have gone on."""
        self.write_refused = self.write_refused and not in_writing
        if self.pause and not self.write_refused:
            if self.text:
                self.say("there is memory again" if self.text == NO_MEMORY else "the database answers again")
            self.text, self.pause, self.retry_at = "", 0.0, 0.0

    def is_over(self) -> bool:
        """True where nothing is refused or short, as far as was tried."""
        return not (self.pause or self.shortage_pause)

    def is_in_the_way(self, stage: str = "") -> bool:
        """True until the next try is due. In a *stage* of stopping nothing starts, so no shortage is in the way."""
        return time.monotonic() < self.retry_at and not (stage and not self.pause)

    def rest(self) -> float:
        """How many seconds until then; in a shortage fewer, for requests and cancels are heeded as ever."""
        left = max(0.01, self.retry_at - time.monotonic())
        return left if self.pause else min(left, pace.STANDING_SECONDS)

    def outlasts(self, stage: str) -> bool:
        """True where the database has refused for so long that a worker in this *stage* leaves without it."""
        if stage == "stop":
            return self.pause > 0 and time.monotonic() - self.since >= pace.STOP_SECONDS
        return bool(stage) and self.pause >= pace.TROUBLE_SECONDS


def in_words(error: Exception) -> str:
    """What the disk, its permissions or a lack of memory are told as."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    return "%s: %s" % (getattr(error, "filename", None), getattr(error, "strerror", None))


class ClockWatch:
    """Notices a wall clock that went back: who waits for a time of it would wait for that again."""

    def __init__(self) -> None:
        self.offset = time.time() - time.monotonic()

    def went_back(self) -> bool:
        """True where it did, by more than a second, since the last question."""
        before, self.offset = self.offset, time.time() - time.monotonic()
        return self.offset < before - 1
