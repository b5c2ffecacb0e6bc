"""One run of a command by a launcher: the process here stands for one elsewhere, whose end alone makes it over.

    its own process here                      what follows
    exits 0, nobody was ending it             over: completed
    exits with a later code, attach           over: snoozed; the next attempt joins what runs there
    lost with its watcher, attach             over: given back; the next attempt joins
    exits otherwise, or is lost               over once alive says that it is gone. One that is there is waited for
                                              a grace where the code is known, and ended then; else at once
    lives, and is to be ended                 `end` in place of signals: TERM, a grace, KILL; over once alive says
                                              that it is gone; then what is left here is ended as ever

While nothing is known of the far side, the job waits, holds no slot, and is given to nobody (promise 34): its worker
writes why into the row of the attempt. A claim that is not synced is made so before its start: a far job outlives a
power cut here.
"""

from __future__ import annotations

import time

from queuectl_lib import contexts
from queuectl_lib.errors import QueueError
from queuectl_lib.host import system
from queuectl_lib.jobs import attempts, interpreters, launchers, retry_rules, signatures, states
from queuectl_lib.run import concluding, far, launching
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.store import launched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

    from queuectl_lib.jobs.attempts import Claim, Outcome
    from queuectl_lib.jobs.launchers import Launcher
    from queuectl_lib.run.options import CurrentSettings
    from queuectl_lib.settings import Settings
    from storage import Queue

# Run here in place of a launcher that does not attach any more: so the far job is ended, and then the job snoozed.
ENDED_FIRST = 'echo "snooze 1s its launcher attaches no more: what it began is over" >"$QUEUECTL_CONTROL"; exit 75'
LOCAL_SECONDS = 2.0  # of grace for what is left here once the far job is gone
LINE_CHARACTERS = 200  # of what a launcher says
JOINED = "lost: its launcher is gone; the next attempt joins the job there"


class FarAttempt(Attempt):
    """The attempt of a claim that has a launcher; *current* has the settings as they are at any time."""

    def __init__(
        self, queue: Queue, claim: Claim, current: CurrentSettings, say: Callable[[str], None], *stops: object
    ) -> None:
        super().__init__(queue, claim, *stops)  # type: ignore[arg-type]
        self.current = current
        self.say = say
        self.far = far.Far(claim, self.launcher, current.settings.grace)
        self.told_trouble = ""
        self.written_trouble = ""
        self.will_join = False
        self.gone_at: Optional[float] = None

    def launcher(self) -> Optional[Launcher]:
        """Its launcher as config.json has it now; None where it has none of that name."""
        self.current.refresh()
        try:
            return launchers.named(self.current.settings.launchers, self.claim.launcher or "")
        except KeyError:
            return None

    # -------------------------------------------------------- beginning

    def startable(self, environment: Dict[str, str], settings: Settings) -> Claim:
        found = self.launcher()
        if found is None:  # the host's fault, not the job's
            raise launching.NotNow("launcher %s is not in config.json" % self.claim.launcher)
        if system.WINDOWS:
            raise launching.CannotStart("Windows starts no job by a launcher")
        self.queue.database.catch_up()
        environment.update(found.env)
        claim = attempts.alike(self.claim)
        words = self.far_words(settings)
        claim.command = found.command(self.claim, words, self.claim.far_attempt, self.timeout_of(settings))
        if self.claim.is_to_join() and not found.attach:
            claim.command = [launching.SHELL, "-c", ENDED_FIRST]
        launching.check_directory(claim.cwd)
        try:
            launching.check_startable(claim, environment)
        except launching.CannotStart as error:  # cron has another PATH: no fault of the job
            raise launching.NotNow("launcher %s: %s" % (found.name, error)) from None
        return claim

    def timeout_of(self, settings: Settings) -> Optional[float]:
        return self.claim.timeout if self.claim.timeout is not None else settings.timeout

    def far_words(self, settings: Settings) -> List[str]:
        """What is to run there. Raises CannotStart."""
        text, shell = self.claim.command, self.claim.policy.get("shell") or settings.shell
        if not isinstance(text, str):
            return text
        if text[:2] == interpreters.MARK and not self.claim.policy.get("shell"):
            raise launching.CannotStart(
                "cannot start: a script that begins with #! cannot go through a launcher: give --shell, or run its file"
            )
        return [str(shell or launching.SHELL), "-c", " " + text if text[:1] in ("-", "+") else text]

    def set_deadline(self, settings: Settings, begin: float) -> None:
        """What the launcher's own failures exit with costs no retry, and is no success, whatever the job says of it."""
        super().set_deadline(settings, begin)
        self.far.grace = settings.grace
        found = self.launcher()
        codes = list(found.later_codes) if found else []
        if codes:
            there = {key: later(key, getattr(settings, key), codes) for key in retry_rules.CODES}
            self.settings = settings.but(**there)
            for key in retry_rules.CODES:
                with contexts.suppress(Exception):  # a row can be changed by hand
                    if self.claim.policy.get(key) is not None:
                        own = retry_rules.check_codes(self.claim.policy[key], key)
                        self.claim.policy = dict(self.claim.policy, **{key: later(key, own, codes)})

    # -------------------------------------------------------- the far side

    def joins(self) -> bool:
        """True where the next attempt is to join what this one began, which may run on."""
        if self.ending or self.claim.is_unwanted or not self.leader_ended():
            return False
        found = self.launcher()
        if found is None or not found.attach:
            return False
        if self.code is None or self.is_unwatched():
            return True
        verdict = concluding.judgement(self, self.code, concluding.speaks(self))
        return self.code in found.later_codes and verdict is not None and verdict.kind == states.SNOOZED

    def is_known(self) -> bool:
        """True where the end of its own process tells all: it came to its end by itself, or the next one joins."""
        self.will_join = self.joins()  # as config.json is now: what follows from it is decided once
        return not self.ending and (self.code == 0 or self.will_join)

    def wanted(self) -> str:
        """How the far job is to be ended now: "" not at all."""
        now = time.monotonic()
        if self.ending:
            return far.HARD if now >= self.kill_at else far.GENTLY
        if self.far.there_since is None or self.is_known():
            return ""
        since = self.far.there_since + (0.0 if self.is_unwatched() else self.grace)
        return "" if now < since else far.GENTLY if now < since + self.grace else far.HARD

    def is_ended_here(self) -> bool:
        """True where its launcher has no `end`: the tree here is all there is to end."""
        found = self.launcher()
        return found is not None and found.end is None

    def look_there(self) -> bool:
        """One look at the far side; True once nothing of it can live there."""
        if self.is_known():
            return True
        if self.ending and self.is_ended_here() and (not self.leader_ended() or self._tree_lives()):
            return True
        self.far.is_doubted = self.leader_ended() and self.is_unwatched()
        self.far.turn("" if self.is_ended_here() else self.wanted())
        self.tell_trouble()
        if self.far.is_gone and self.gone_at is None:
            self.gone_at = time.monotonic()
            self.kill_at = max(self.kill_at, self.gone_at + LOCAL_SECONDS)
        return self.far.is_gone

    def tell_trouble(self) -> None:
        """Say what keeps the far side unknown, once, and keep it where others read it."""
        if self.far.trouble != self.told_trouble:
            self.told_trouble = self.far.trouble
            if self.told_trouble:
                self.say("job %s: %s; trying again" % (self.claim.id, self.told_trouble))
        if self.told_trouble != self.written_trouble:
            with contexts.suppress(QueueError):  # the next look tries again
                launched.tell(self.queue.database, self.claim, self.told_trouble or None)
                self.written_trouble = self.told_trouble

    # -------------------------------------------------------- what an attempt is asked

    def is_over(self) -> bool:
        return super().is_over() and self.look_there()

    def press_on(self) -> None:
        if self.ending and self.look_there():
            super().press_on()

    def ask_to_end(self) -> None:
        if self.is_ended_here():
            super().ask_to_end()
        else:
            self.look_there()

    def end(self, kind: str, error: str) -> None:
        """The same, also of one whose own process has ended while its far job may run on."""
        if not self.ending and (not self.leader_ended() or not self.is_known()) and not self.far.is_gone:
            self._begin_to_end(kind, error)

    def judge(self) -> Optional[Outcome]:
        """What has to be asked for, who does not hold the claim cannot know."""
        return super().judge() if self.leader_ended() and self.is_known() else None

    def conclude(self) -> Outcome:
        if self.will_join and self.is_unwatched():
            found = concluding.outcome_of(self, states.GIVEN_BACK, JOINED)
        else:
            found = concluding.outcome(self)
        if self.ending:  # then what the launcher exits with tells nothing of the job
            found.exit_code = None
        elif found.kind == states.SNOOZED and not found.spoke:
            found.error = self.launchers_words(found)
        found.joins = self.will_join and found.kind in (states.SNOOZED, states.GIVEN_BACK)
        return found

    def launchers_words(self, found: Outcome) -> Optional[str]:
        """What is said of one that is put off: where the launcher's own failure did it, the words of that."""
        launcher = self.launcher()
        if launcher is None or self.code not in launcher.later_codes:
            return found.error
        from queuectl_lib.run import telling  # which few need

        line = signatures.telling_line(telling.tail(found.stderr, found.stderr_bytes, self.paths["err"]), b"")
        how = "exit code %s" % self.code
        return "launcher %s: %s" % (launcher.name, "%s (%s)" % (line[:LINE_CHARACTERS], how) if line else how)

    def is_watched_closely(self) -> bool:
        return self.far.is_busy() if self.far.trouble else super().is_watched_closely()

    def rests(self) -> bool:
        """True while nothing is known of the far side, or it cannot be ended."""
        return bool(self.far.trouble) and (bool(self.ending) or self.leader_ended())

    def forget(self) -> None:
        self.far.abandon()
        super().forget()


def later(key: str, listed: List[int], codes: List[int]) -> List[int]:
    """The list *key* of what exit codes mean, with *codes* meaning later."""
    found = {*listed, *codes} if key == "later_codes" else {*listed} - {*codes}
    return sorted(found)
