"""`cancel` and `requeue`: jobs taken out by a person, and put back."""

from __future__ import annotations

import time

from queuectl_lib.commands import choosing, frame, tables, terminal
from queuectl_lib.errors import Interrupted, QueueError
from queuectl_lib.host import interrupts
from queuectl_lib.jobs import states
from queuectl_lib.store import finding, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence, Tuple

    from queuectl_lib.commands.frame import Call
    from storage import Queue

NAMED = 5  # of many that stay, or that are waited for


@frame.command("cancel", *choosing.CHANGING)
def cancel(call: Call) -> int:
    choosing.require(call)
    queue = call.queue()
    patience = call.config().grace + 15
    ids = choosing.ids_alone(call, queue.database)
    if ids is None:
        return cancel_selected(call, queue, patience)
    interrupts.keep_until_told()
    asked = queue.cancel(ids, call.now)
    running = [identifier for identifier, token in asked if token]
    if not running:
        return 0
    late, missed = see_them_end(queue, asked, patience)
    if missed:
        raise QueueError("before the cancel reached it, job %s" % ", job ".join(missed))
    if late:
        raise QueueError("not ended yet: %s: %s" % (", ".join(late), who_ends_it(queue)))
    return 0


def see_them_end(
    queue: Queue, asked: Sequence[Tuple[str, Optional[str]]], patience: float
) -> Tuple[List[str], List[str]]:
    """What await_cancel returns of jobs of which some run. Ctrl+C leaves the cancel as it is."""
    try:
        interrupts.heed()
        return await_cancel(queue, asked, patience)
    except KeyboardInterrupt:
        text = "interrupted; the cancel stands, and its worker ends job %s"
        raise Interrupted(text % named([identifier for identifier, token in asked if token], ", job ")) from None


def named(ids: Sequence[str], between: str = ", ") -> str:
    """The first of these, and how many more there are."""
    return between.join(ids[:NAMED]) + (" and %d more" % len(ids[NAMED:]) if ids[NAMED:] else "")


def cancel_selected(call: Call, queue: Queue, patience: float) -> int:
    """Ask for the end of all that a selector means, then wait for those that run, all with one deadline."""
    from queuectl_lib.store import cancelling

    chosen = choosing.selection(call, queue.database)
    if call.options.dry_run:
        return tables.dry_run(call, queue, chosen, states.HOLDING, "cancelled")
    verb = cancelling.Cancelling(choosing.narrow(chosen, states.HOLDING), call.now)
    choosing.change("cancelled", verb, lambda tell: cancelling.cancel_all(queue.database, chosen, verb, tell))
    late: List[str] = []
    if verb.asked:
        late, missed = see_them_end(queue, list(verb.asked.items()), patience)
        verb.changed += len(verb.asked) - len(late) - len(missed)
    if late:
        text = "cancelled %s; not ended yet: %s: %s"
        raise QueueError(text % (terminal.jobs_text(verb.changed), named(late), who_ends_it(queue)))
    return choosing.report(call, queue, "cancelled", verb)


def who_ends_it(queue: Queue) -> str:
    """Who will, for people."""
    if roster.has_worker(queue.folder):
        return "its worker goes on trying"
    from queuectl_lib.store import identity  # needed only then

    place = identity.copied_from(queue.database)
    if place:
        text = "this is a copy of the queue %s, where it is left alone: the next worker that starts here cancels it"
        return text % place
    return "the next worker that starts ends it"


def await_cancel(
    queue: Queue, asked: Sequence[Tuple[str, Optional[str]]], seconds: float
) -> Tuple[List[str], List[str]]:
    """Wait up to *seconds* for the end of what Queue.cancel returned, while a worker lives to end it.

    Returns the ids of jobs that still run, and words on each that ended another way first.
    """
    late, missed = [], []
    deadline = time.monotonic() + seconds
    for identifier, token in asked:
        while token and finding.running_token(queue.database, identifier) == token:
            if time.monotonic() > deadline or not roster.has_worker_soon(queue.folder):
                late.append(identifier)
                break
            time.sleep(0.05)
    for identifier, token in asked:
        if not token or identifier in late:
            continue  # cancelled already, or not yet
        state = finding.states_of(queue.database, [identifier])[0]
        if state != "cancelled":
            missed.append("%s was %s" % (identifier, state))
    return late, missed


@frame.command("requeue", *choosing.CHANGING)
def requeue(call: Call) -> int:
    choosing.require(call)
    return put_back(call, states.STATES, states.REQUEUED)


def put_back(call: Call, among: Sequence[str], wanted: Sequence[str], left: str = "", may_be_none: bool = False) -> int:
    """Requeue what the call means *among* the jobs in these states, and is in one of the states *wanted*."""
    queue = call.queue()
    ids = choosing.ids_alone(call, queue.database)
    if ids is not None:
        interrupts.keep_until_told()
        tell_kept(queue.requeue(ids, wanted, call.now))
        return 0
    from queuectl_lib.store import requeuing

    chosen = choosing.selection(call, queue.database, among)
    if call.options.dry_run:
        return tables.dry_run(call, queue, chosen, wanted, "requeued")
    verb = requeuing.Requeuing(choosing.narrow(chosen, wanted), call.now)
    found = choosing.found(queue.database, chosen, verb.guard)
    choosing.change("requeued", verb, lambda tell: requeuing.requeue_all(queue.database, found, verb, tell))
    verb.found += may_be_none
    code = choosing.report(call, queue, "requeued", verb, *left_behind(verb.held, verb.behind, left), left=left)
    tell_kept(verb.kept)
    return code


def left_behind(held: int, behind: int, left: str) -> List[str]:
    """Why some jobs were not put back, for people."""
    return [
        "left %s%s: %s" % (terminal.jobs_text(count), left, why)
        for count, why in (
            (held, "another job with the same key waits or runs"),
            (behind, "what they come after has not ended as they want"),
        )
        if count
    ]


def tell_kept(kept: Sequence[Tuple[str, str]]) -> None:
    """Say which jobs are not put back together with what they come after."""
    for identifier, holder in kept[:NAMED]:
        terminal.tell("left job %s cancelled: job %s has its key, and waits or runs" % (identifier, holder))
    if kept[NAMED:]:
        terminal.tell("left %d more cancelled, for the same reason" % len(kept[NAMED:]))
