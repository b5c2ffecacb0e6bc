"""The far side of an attempt that a launcher started: ended and asked after by control programs, never waited for.

    what alive says          what is known of the job there
    exit code 0              it is there: asked again soon, ever more seldom
    exit code 1              it is gone; not where a Python tells its own mistake: with that it ends so, too
    any other, or no answer  nothing: asked again after UNKNOWN_SECONDS, twice as long each time

An ending that fails is tried again in the same way; whether the job has ended meanwhile, alive tells. Where a
launcher has no *alive*, the end of its own process is believed.
"""

from __future__ import annotations

import time

from queuectl_lib.host.control import Control
from queuectl_lib.run import launching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    from queuectl_lib.host.control import Answer
    from queuectl_lib.jobs.attempts import Claim
    from queuectl_lib.jobs.launchers import Launcher

SOON_SECONDS, SELDOM_SECONDS = 0.1, 5.0  # between two questions after one that is there
UNKNOWN_SECONDS, LONGEST_SECONDS = 10.0, 300.0  # where there was no answer, or an ending has failed
SURE_SECONDS = 1.0  # where its client died, alive must say "gone" twice: a request may be on its way
KILLED_SECONDS = 30.0  # what outlives KILL for so long is sent it again

DEFIANT_SECONDS = 5.0  # and is told of after this

ALIVE = "alive"
GENTLY, HARD = "TERM", "KILL"  # endings


class Far:
    """What is known of the far job of *claim*; *launcher* gives its launcher as config.json has it now, or None."""

    def __init__(self, claim: Claim, launcher: Callable[[], Optional[Launcher]], grace: float) -> None:
        self.claim = claim
        self.launcher = launcher
        self.grace = grace
        self.is_gone = False
        self.is_doubted = False  # its client was killed
        self.gone_once = False
        self.there_since: Optional[float] = None  # monotonic; since alive has said so without a break
        self.trouble = ""  # why nothing is known of it, or why it cannot be ended
        self.control: Optional[Control] = None
        self.verb = ""  # ALIVE, GENTLY or HARD: what that is
        self.wanted = ""  # GENTLY or HARD
        self.delivered = ""  # the same, which end has taken
        self.defied_since: Optional[float] = None  # monotonic: KILL was delivered
        self.end_at = self.ask_at = self.killed_at = 0.0  # monotonic: not before
        self.end_pause = self.ask_pause = 0.0

    def turn(self, wanted: str) -> None:
        """One look: at the control program that runs, or begin the next: to end it as *wanted*, or else to ask."""
        if self.is_gone:
            return
        if wanted != self.wanted:
            self.wanted, self.end_at, self.end_pause = wanted, 0.0, 0.0
        if self.control is not None:
            answer = self.control.poll()
            if answer is None:
                return
            self.control = None
            self.hear(answer)
        now = time.monotonic()
        if not self.is_gone and self.must_end() and now >= self.end_at:
            self.begin(self.wanted)
        elif not self.is_gone and now >= self.ask_at:
            self.begin(ALIVE)

    def must_end(self) -> bool:
        """True while what is wanted was not delivered; KILL again where that was long ago."""
        if self.wanted == HARD and self.delivered == HARD and time.monotonic() > self.killed_at + KILLED_SECONDS:
            self.delivered = GENTLY
        return bool(self.wanted) and self.delivered not in (self.wanted, HARD)

    def begin(self, verb: str) -> None:
        """Start a control program."""
        self.verb = verb
        found = self.launcher()
        if found is None:
            return self.is_unknown("launcher %s is not in config.json any more" % self.claim.launcher)
        if verb == ALIVE and found.alive is None:  # its own process has told
            self.is_gone = True
            return None
        if verb == ALIVE:
            words = found.alive_words(self.claim, self.claim.far_attempt)
        else:
            words = found.end_words(self.claim, self.claim.far_attempt, verb, self.grace)
        try:
            self.control = Control(words, dict(launching.worker_environment(), **found.env))
        except (OSError, ValueError) as error:
            self.fail("%s: %s" % (getattr(error, "filename", None) or verb, getattr(error, "strerror", None) or error))
        return None

    def hear(self, answer: Answer) -> None:
        """Take in what came of a control program."""
        now = time.monotonic()
        if self.verb != ALIVE:
            if answer.code != 0:
                return self.fail(answer.words)
            self.delivered, self.trouble = self.verb, ""
            if self.verb == HARD:
                self.killed_at, self.defied_since = now, self.defied_since or now
            self.ask_at, self.ask_pause = now, 0.0
        elif answer.code == 1 and not answer.has_failed:
            self.trouble, self.there_since, self.ask_at = "", None, now + SURE_SECONDS
            self.is_gone, self.gone_once = self.gone_once or not self.is_doubted, True
        elif answer.code == 0:
            self.there_since, self.gone_once = self.there_since or now, False
            if self.defied_since is not None and now > self.defied_since + DEFIANT_SECONDS:
                self.trouble = "launcher %s says that the job lives on after KILL" % self.claim.launcher
            elif not self.must_end():
                self.trouble = ""
            self.ask_pause = min(max(SOON_SECONDS, self.ask_pause * 1.5), SELDOM_SECONDS)
            self.ask_at = now + self.ask_pause
        else:
            self.fail(answer.words)
        return None

    def fail(self, words: str) -> None:
        """What was asked of a control program it has not done. An ending: was there anything to end? Alive tells."""
        name = self.claim.launcher
        if self.verb == ALIVE:
            return self.is_unknown("launcher %s does not say whether the job still runs: %s" % (name, words))
        self.end_pause = min(max(UNKNOWN_SECONDS, self.end_pause * 2), LONGEST_SECONDS)
        self.end_at = time.monotonic() + self.end_pause
        self.trouble = "launcher %s cannot end the job: %s" % (name, words)
        self.ask_at = time.monotonic()
        return None

    def is_unknown(self, words: str) -> None:
        """Nothing is known of it: never given away for that."""
        now = time.monotonic()
        self.trouble, self.there_since = words, None
        self.ask_pause = min(max(UNKNOWN_SECONDS, self.ask_pause * 2), LONGEST_SECONDS)
        self.ask_at = now + self.ask_pause
        if self.verb != ALIVE:
            self.end_at = self.ask_at

    def is_busy(self) -> bool:
        """True while a control program runs, or is about to."""
        return self.control is not None or time.monotonic() > self.ask_at - 2 * SOON_SECONDS

    def abandon(self) -> None:
        """Leave it to others."""
        if self.control is not None:
            self.control.abandon()
        self.control = None
