"""What a supervisor does for the hook: it sees that there is something to tell, and starts who tells it.

That is a process of our own (`hook --now`), which outlives a supervisor that is killed, and holds up neither it nor a
job, whatever the hook does. Here few statements look whether one is wanted; where no hook is set, not even these.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

from queuectl_lib.errors import HostError, QueueError
from queuectl_lib.host import bundle, spawn
from queuectl_lib.run import launching, pace, run_file
from queuectl_lib.run.chore import Chore
from queuectl_lib.store import hook_note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Set, Tuple

    from queuectl_lib.run.chore import Supervised
    from queuectl_lib.settings import Settings
    from queuectl_lib.store.database import Database
    from queuectl_lib.store.hooking import Cursor

LOOK_SECONDS = 1.0  # between two looks
SIGNS_SECONDS = 60.0  # the same for what stands still, or runs long; and where a look was in vain
FLUSH_SECONDS = 60.0  # how long it is kept in mind alone that nothing was to be told
LIMIT_SECONDS = 60.0  # that the hook may take (run/hook_process): a drain waits for so long
STOPPING_SECONDS = 5.0  # for who tells it to end the hook


TELLERS: Set[int] = set()  # pids of ours whose exit status is wanted


class Hooks(Chore):
    """Looks each second, where a hook is set, whether there is something to tell it."""

    def __init__(self, database: Database, say: Any) -> None:
        super().__init__(database, say)
        self.supervisor: Any = None
        self.teller: Any = None  # the process
        self.listens: Optional[bool] = None  # somebody, as far as was seen
        self.look_at = self.flush_at = self.not_before = 0.0  # monotonic
        self.signs_at = time.monotonic() + SIGNS_SECONDS  # who has just begun may yet see to what stands still
        self.passed = 0  # up to this end nothing is to be told
        self.is_behind = False  # there are more ends to be looked at
        self.seen: Any = None  # of the database's files
        self.settings: Optional[Settings] = None
        self.told = ""  # the last trouble
        self.leaving: Optional[Tuple[str, float]] = None  # the stage, and since when (monotonic)

    def meet(self, supervisor: Supervised) -> None:
        self.supervisor = supervisor

    def due(self) -> Optional[float]:
        if self.teller is not None:
            return time.time() + pace.SUPERVISOR_TICK_SECONDS
        return time.time() + self.look_at - time.monotonic() if self.listens else None

    def turn(self) -> None:
        now = time.monotonic()
        if now < self.look_at or self.supervisor is None or self._is_telling():
            return
        self.look_at = now + LOOK_SECONDS
        with contextlib.suppress(QueueError, OSError, MemoryError):  # of which others tell
            settings = self._read()
            if settings.hook is not None:
                if not self.listens:
                    self._listen()
                self._look(settings, now)
            elif self.listens is not False:
                self._forget()

    def _read(self) -> Settings:
        """The settings as they are; where they cannot be read, as they were. Raises QueueError."""
        try:
            self.settings = self.supervisor.config()
        except QueueError:
            if self.settings is None:
                raise
        assert self.settings is not None
        return self.settings

    def _listen(self) -> None:
        """A hook is set: before a worker is started, for it is told of what ends from now on."""
        from queuectl_lib.store import hooking  # which few homes need

        self.listens = True  # so that it is looked at again, where it is refused
        if hooking.listen(self.database):
            self.say("hook: it is told of what ends from now on")

    def _forget(self) -> None:
        """No hook is set; where there was one, that nobody listens any more."""
        if hook_note.is_there(self.database.folder):
            from queuectl_lib.store import hooking  # the same

            hooking.forget(self.database)
        self.listens = False

    def _look(self, settings: Settings, now: float) -> None:
        note = hook_note.read(self.database.folder)
        if now < self.not_before or note.rest(time.time(), settings.hook_every):
            return
        if self._is_something(settings, now) and not hook_note.is_locked(self.database.folder):
            self._start()

    def _is_something(self, settings: Settings, now: float) -> bool:
        """True where there is something to tell. Raises QueueError."""
        from queuectl_lib.store import hooking  # which few homes need

        seen = self.database.fingerprint()
        is_new = not (seen and seen == self.seen)
        if not is_new and now < self.signs_at:
            return False
        patience, self.database.busy_seconds = self.database.busy_seconds, pace.LOCK_SECONDS
        try:
            cursor = hooking.how_far(self.database)
            if cursor is None or not cursor.next:
                self._listen()
                return False
            if self._are_ends(cursor, settings, now):
                return True
            self.seen = seen if seen and seen[0] < time.time() - pace.SETTLED_SECONDS else None
            return self._are_signs(cursor, settings, now)
        finally:
            self.database.busy_seconds = patience

    def _are_ends(self, cursor: Cursor, settings: Settings, now: float) -> bool:
        """True where an attempt has ended that is to be told of; a part of many at a time."""
        from queuectl_lib.store import hooking  # the same

        self.passed = max(cursor.next - 1, self.passed if self.passed <= cursor.last else 0)
        if self.passed < cursor.last:
            found, self.passed = hooking.any_wanted(self.database, self.passed, cursor.last, settings.hook_on)
            self.is_behind = not found and self.passed < cursor.last
            if found or self.is_behind:
                return found
        if self.passed >= cursor.next and now >= self.flush_at:
            self.flush_at = now + FLUSH_SECONDS
            hooking.advance(self.database, cursor.kept, self.passed + 1, synced=False)
        return False

    def _are_signs(self, cursor: Cursor, settings: Settings, now: float) -> bool:
        """True where something is to be told beside ends."""
        from queuectl_lib.store import hook_signs, hooking  # the same

        clock, told = time.time(), cursor.told
        tells_idle = "idle" in settings.hook_on and told.get(hooking.IDLE, 0) < cursor.last
        if tells_idle and hook_signs.is_idle(self.database, clock):
            return True
        if now < self.signs_at:
            return False
        self.signs_at = now + SIGNS_SECONDS
        is_stuck = "stuck" in settings.hook_on and hook_signs.may_be_stuck(self.database, clock)
        if is_stuck != (hooking.STUCK in told):
            return True
        long = hook_signs.youngest_long(self.database, clock, told, settings.hook_on)
        if long is not None:
            self.signs_at = now + max(SIGNS_SECONDS, long / 10)
        return long is not None or bool(hook_signs.ended_since(self.database, told))

    def _start(self) -> None:
        """Start who tells it."""
        command = [sys.executable] + subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        command += [bundle.SCRIPT, "--home", self.supervisor.home, "hook", "--now", "--name", self.supervisor.name]
        environment = dict(launching.environment_and_homes())
        self.began = time.time()
        try:
            self.teller = spawn.detached(command, environment, 2)
            TELLERS.add(self.teller.pid)
        except OSError as error:
            self._tell("cannot start who tells it (%s)" % error.strerror)
            self.not_before = time.monotonic() + SIGNS_SECONDS

    def _is_telling(self) -> bool:
        """True while who tells it is at work."""
        if self.teller is None:
            return False
        code = self.teller.poll()
        if code is None:
            return True
        self.teller, self.seen = None, None
        TELLERS.clear()
        if code in (0, 1, QueueError.exit_code, HostError.exit_code):  # it, or the note, has said what there is to say
            self.told = ""
        else:
            self._tell("who tells it has ended (%s)" % run_file.how_it_ended(code)[0])
        note = hook_note.read(self.database.folder)
        if note.began < self.began and not note.is_mended() and self.settings:  # it was not run, or not noted
            pause = SIGNS_SECONDS if code else max(2 * LOOK_SECONDS, self.settings.hook_every)
            self.not_before = time.monotonic() + pause
        return False

    def _tell(self, text: str) -> None:
        if text != self.told:
            self.told = text
            self.say("hook: %s; trying again" % text)

    def lingers(self, stage: str) -> bool:
        """True while the supervisor, which has nothing else to do, is to wait for what is being told.

        One that has drained tells all that ended in it, unless the hook fails; one that is stopped waits for no more
        than the grace of its jobs.
        """
        now = time.monotonic()
        if self.leaving is None or self.leaving[0] != stage:
            self.leaving = (stage, now)
        if self.settings is None or self.settings.hook is None:
            return False
        grace, waited = self.settings.grace, now - self.leaving[1]
        with contextlib.suppress(QueueError, OSError, MemoryError):
            if self._is_telling():
                patience = {"": LIMIT_SECONDS + grace + STOPPING_SECONDS, "now": 0.0}.get(stage, grace)
                if waited < patience:
                    return True
                self.say("hook: it is not waited for any longer; the next supervisor tells the same again")
                self.teller.terminate()
                return False
            drained = self.supervisor.drains and not stage and waited < LIMIT_SECONDS
            note = hook_note.read(self.database.folder)
            if drained and not note.rest(time.time(), 0.0 if not note.tries else self.settings.hook_every):
                self.signs_at = max(self.signs_at, now + LOOK_SECONDS)  # of which it is too late to tell
                if now >= self.not_before and self._is_something(self.settings, now):
                    self._start()
                return self.teller is not None or self.is_behind
        return False

    def close(self) -> None:
        if self.teller is not None:
            self.teller.poll()
            self.teller.returncode = self.teller.returncode or 0  # it is on its own now: no warning
