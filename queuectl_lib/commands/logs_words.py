"""What `logs` says on standard error beside the output: which attempt it is, why there is none, how it ended."""

from __future__ import annotations

import signal
import sys
import time

from queuectl_lib import errors, times
from queuectl_lib.commands import frame, terminal
from queuectl_lib.host import system
from queuectl_lib.jobs import states
from queuectl_lib.reports import rounds
from queuectl_lib.store import roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.store.output import Follower
    from queuectl_lib.values import Fields
    from storage import Queue

LOOK_SECONDS = 1.0  # between two looks for workers


class Words:
    """What is said of one job while its output is printed.

    *of_stderr*: only that is shown; *is_alone*: no other job. Who *follows* is told of each attempt; else the word is
    for a person at a terminal.
    """

    def __init__(self, queue: Queue, follower: Follower, follows: bool, is_alone: bool, of_stderr: bool) -> None:
        self.queue = queue
        self.follower = follower
        self.follows = follows
        self.of_stderr = of_stderr
        self.is_alone = is_alone
        self.hinted = False
        self.look_at = 0.0
        self.at_hand: Optional[Fields] = None  # the attempt whose end has not been told
        self.waits = False  # that nothing has run yet was said
        if self.follows or terminal.is_terminal(sys.stderr):
            follower.begins = self.begins

    @property
    def job(self) -> str:
        return "job %s" % self.follower.identifier

    def tell(self, text: str) -> None:
        """Say how it goes on."""
        terminal.tell(text)

    def begins(self, attempt: Fields) -> None:
        """Say which attempt it is whose output comes now."""
        self.tell_end(attempt)
        self.at_hand = attempt
        text = rounds.name(self.follower.job, attempt)
        if not self.follows:
            text += ": %s" % ("running" if attempt["outcome"] == states.RUNNING else rounds.how(attempt))
        self.tell("==> %s <==" % text)

    def tell_end(self, now: Optional[Fields]) -> None:
        """Say how the attempt ended that was at hand, where that is another than the one *now*, and others follow."""
        job, last = self.follower.job, self.at_hand
        if not self.follows or last is None or self.follower.number is not None:
            return
        ended = [one for one in job["history"] if one["id"] == last["id"] and one["outcome"] != states.RUNNING]
        if ended and job["state"] not in states.FINAL or now is not None:
            self.at_hand = None
            due = due_text(job, time.time()) if now is None else ""
            more = "; it is %s" % (due if due != "due" else "due again") if due else ""
            for one in ended:
                self.tell("%s %s%s" % (rounds.name(job, one), rounds.how(one), more))

    def meanwhile(self) -> None:
        """Say, while more may come, what it waits for, and where nobody is alive who could run it."""
        self.tell_end(None)
        if time.monotonic() >= self.look_at:
            self.look_at = time.monotonic() + LOOK_SECONDS
            alive = bool(roster.members(self.queue.folder))
            if not alive and not self.hinted:
                self.nobody_works("no worker is running: `%s worker start` starts one" % frame.PROGRAM)
            self.hinted = not alive
        if self.follower.attempt is None and not self.waits:
            self.has_not_run()

    def nobody_works(self, text: str) -> None:
        terminal.tell(text)

    def has_not_run(self) -> None:
        """Say so, once."""
        self.waits = True
        due = due_text(self.follower.job, time.time())
        self.tell("%s has not run yet%s" % (self.job, ": %s" % due if due not in ("", "due") else ""))

    def wrote_nothing(self) -> None:
        """Say why there is nothing to show."""
        attempt, job = self.follower.attempt, self.follower.job
        if attempt is None:
            terminal.tell(self.why_not_yet())
            return
        gone = [attempt[one + "_bytes"] for one in self.follower.streams]
        gone = [one for one in gone if type(one) is int and one > 0]
        where = " to stderr" if self.of_stderr else ""
        name = "%s of %s" % (rounds.name(job, attempt), self.job)
        if gone:
            terminal.tell("%s wrote %d bytes%s, which are not there any more" % (name, sum(gone), where))
        elif attempt["outcome"] == states.RUNNING:
            since = rounds.seconds_of(attempt, time.time())
            ran = "" if since < 0 else ", and has been running for %s" % times.age_text(since)
            terminal.tell("%s has written nothing%s yet%s" % (name, where, ran))
        else:
            terminal.tell("%s wrote nothing%s; it %s" % (name, where, rounds.how(attempt)))

    def why_not_yet(self) -> str:
        """Why no attempt of it is known."""
        job = self.follower.job
        if job["state"] == "cancelled":
            return "%s was cancelled before it ran" % self.job
        if job["state"] not in states.WAITING:
            return "of %s no attempt is known" % self.job
        due = due_text(job, time.time())
        if not self.is_alone or (due and due != "due"):
            return "%s has not run yet%s" % (self.job, ": %s" % due if due else "")
        return "%s has not run yet: %s" % (self.job, self.why())

    def why(self) -> str:
        """The sentence of the command `why`."""
        from queuectl_lib.reports import crew, reasons  # which most calls need not
        from queuectl_lib.store import explaining

        now, people = time.time(), crew.Crew(self.queue.folder)
        (facts,) = explaining.of_jobs(self.queue.database, [self.follower.identifier], now, people.serves_both)
        return str(reasons.Why(self.queue.database, people, now).of(facts)["sentence"])

    def has_ended(self) -> None:
        """Say how the job ended, or the attempt that was chosen."""
        job, attempt = self.follower.job, self.follower.attempt
        if attempt is None:
            terminal.tell(self.why_not_yet())
        elif self.follower.number is not None:
            terminal.tell("%s of %s %s" % (rounds.name(job, attempt), self.job, rounds.how(attempt)))
        elif job["state"] == "completed":
            seconds = rounds.seconds_of(attempt, 0.0)
            took = "" if seconds < 0 else ", after %s" % times.span_text(seconds)
            terminal.tell("%s completed: %s%s" % (self.job, rounds.name(job, attempt), took))
        else:
            terminal.tell("%s: %s" % (self.job, self.why()))

    def is_gone(self) -> None:
        """Say what was last seen of a job that was deleted meanwhile."""
        job, attempt = self.follower.job, self.follower.attempt
        state = errors.printable(str(job["state"]))
        seen = "" if attempt is None else ", %s %s" % (rounds.name(job, attempt), rounds.how(attempt))
        terminal.tell("%s was deleted meanwhile; last seen: %s%s" % (self.job, state, seen))


def due_text(job: Fields, now: float) -> str:
    """When a job that waits is due, in short; "" where something else keeps it, or what stands there is no time."""
    from queuectl_lib.commands import tables  # which few calls need

    return tables.time_that_matters(job, now) if job["state"] in states.WAITING else ""


def exit_code_of(job: Fields, attempt: Optional[Fields], none: int = 1) -> int:
    """The exit code of an attempt, or 128 and its signal; *none* where it failed with neither, or never came."""
    if attempt is None:
        return none
    code, name = attempt["exit_code"], attempt["signal"]
    if type(code) is int and (code or attempt["outcome"] == states.COMPLETED):
        return system.fitting_code(code)
    number = getattr(signal, name, None) if isinstance(name, str) and name.startswith("SIG") else None
    return 128 + int(number) if isinstance(number, signal.Signals) else none
