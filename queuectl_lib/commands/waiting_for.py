"""Waiting until jobs are final: how far it is, which fail, what only persons can free."""

from __future__ import annotations

import sys
import time

from queuectl_lib import values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.store import awaited, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional

    from queuectl_lib.store.awaited import Awaited
    from queuectl_lib.values import Fields
    from storage import Queue

ERROR_CHARACTERS = 200  # of a reason
FAILURES_AT_ONCE = 5  # that are told in a line each, of those that come between two looks
MOST_FAILURES = 20  # that are told so in all, unless --verbose asks for more


class Waiting:
    """One call that waits for jobs."""

    def __init__(self, queue: Queue, look: Awaited, is_bare: bool = False) -> None:
        self.queue = queue
        self.look = look
        self.is_bare = is_bare  # for all that was open, and so not for what only a person can free
        self.is_any = False  # only for the first that is final
        self.tells_failures = False
        self.tells_all = False
        self.told = 0
        self.left: Optional[Fields] = None  # to persons, by numbers
        self.progress = terminal.Progress()
        self.ahead = Outlook(queue, is_bare)

    def until_final(self, limit: Optional[float], now: float, said: Optional[Callable[[], str]] = None) -> None:
        """Wait, at most *limit* seconds; *said*: what stands in the line of progress. Raises KeyboardInterrupt."""
        deadline = None if limit is None else time.monotonic() + limit
        pause, hinted = 0.02, False
        try:
            while True:
                began = time.monotonic()
                self.tell_failures(self.look.look())
                self.left = self.left_to_persons(now)
                if self.left:  # which was asked later than the look: what has ended in between is not left
                    ended = self.look.look()
                    self.tell_failures(ended)
                    self.left = None if ended else self.left
                if not self.look.open or self.left or self.has_one() or (deadline is not None and began >= deadline):
                    return
                if not hinted and not roster.members(self.queue.folder):
                    hinted = True
                    terminal.tell("no worker is running: `%s worker start` starts one" % frame.PROGRAM)
                self.show(said)
                took = time.monotonic() - began
                time.sleep(pause if deadline is None else min(pause, max(0.001, deadline - time.monotonic())))
                pause = max(min(pause * 1.2, 0.25), 4 * took)  # at many jobs a look takes long
        finally:
            self.progress.end()

    def has_one(self) -> bool:
        """True where one is enough, and has ended."""
        return self.is_any and len(self.look.open) < len(self.look.found)

    def show(self, said: Optional[Callable[[], str]]) -> None:
        total = len(self.look.found)
        done = total - len(self.look.open)
        if said is None:
            self.progress.bar(done, total, "%d of %d jobs are final%s" % (done, total, self.ahead.text()))
        else:
            self.progress.show(said())

    def tell_failures(self, ended: List[int]) -> None:
        """Say of those that have ended since the last look which are dead or cancelled, and of what."""
        failed = [seq for seq in ended if self.look.found[seq] in ("dead", "cancelled")] if self.tells_failures else []
        if not failed:
            return
        most = FAILURES_AT_ONCE if self.tells_all else min(FAILURES_AT_ONCE, MOST_FAILURES - self.told)
        if most < 0:
            return
        from queuectl_lib.reports import deaths  # which only these need

        self.progress.end()
        told = [fields for fields in awaited.of(self.queue.database, failed) if not fields["not_needed"]]
        self.told += len(told[:most])
        if told and not most:
            self.told += 1
            terminal.tell("more fail, which is told no more: `%s dlq list`, `%s dlq groups`" % ((frame.PROGRAM,) * 2))
            return
        for job in deaths.with_errors(self.queue.database, told[:most]):
            how, why = ("is dead", job["reason"]) if job["state"] == "dead" else ("was cancelled", job["last_error"])
            terminal.tell("job %s %s: %s" % (job["id"], how, values.shortened(str(why or "?"), ERROR_CHARACTERS)))
        if told[most:]:
            terminal.tell("and %s more: `%s dlq list`" % (len(told) - most, frame.PROGRAM))

    def left_to_persons(self, now: float) -> Optional[Fields]:
        """What waits for persons, by numbers, where nothing else is waited for; None where something is."""
        states = [self.look.found[seq] for seq in self.look.open] if self.is_bare else []
        if not states or "processing" in states:
            return None
        from queuectl_lib.store import waiting  # which no job that is named needs

        database = self.queue.database
        return waiting.for_a_person(database, int(roster.is_asked_by_its_job(database)), now)


class Outlook:
    """What is said behind the progress of all jobs, on a terminal: about how long it will take, asked now and then."""

    EVERY = 2.0  # seconds

    def __init__(self, queue: Queue, is_bare: bool) -> None:
        self.queue = queue
        self.is_asked = is_bare and terminal.is_terminal(sys.stderr)
        self.known = ""
        self.again = time.monotonic() + 0.2  # who waits for less is told nothing

    def text(self) -> str:
        if self.is_asked and time.monotonic() > self.again:
            from queuectl_lib.reports import estimate  # which only a person needs

            self.known = estimate.words_left(self.queue.database, roster.members(self.queue.folder), time.time())
            self.again = time.monotonic() + self.EVERY
        return self.known


def words_of(left: Fields, jobs: int) -> str:
    """Of so many *jobs* that nobody but a person frees, which wait for what."""
    said = ["%d held" % left["held"]] if left["held"] else []
    said += ["%d in the paused queue %s" % (some, name) for name, some in left["in_paused_queues"].items()]
    others = jobs - left["held"] - sum(left["in_paused_queues"].values())
    said += ["%d after others" % others] if others > 0 else []
    return "%s wait%s for a person: %s" % (terminal.jobs_text(jobs), "s" if jobs == 1 else "", ", ".join(said))
