"""`cancel` and `requeue`: jobs taken out by a person, and put back."""

from __future__ import annotations

import time

from queuectl_lib import values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import Interrupted, QueueError
from queuectl_lib.host import interrupts
from queuectl_lib.jobs import states
from queuectl_lib.store import finding, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence, Tuple

    from queuectl_lib.commands.frame import Call
    from storage import Queue

NAMED = 5  # of many that stay


@frame.command(
    "cancel",
    frame.argument("ids", metavar="ID", nargs="+"),
)
def cancel(call: Call) -> int:
    queue = call.queue()
    patience = call.config().grace + 15
    interrupts.keep_until_told()
    asked = queue.cancel(values.unique(call.options.ids), call.now)
    running = [identifier for identifier, token in asked if token]
    if not running:
        return 0
    try:
        interrupts.heed()
        late, missed = await_cancel(queue, asked, patience)
    except KeyboardInterrupt:
        text = "interrupted; the cancel stands, and its worker ends job %s"
        raise Interrupted(text % ", job ".join(running)) from None
    if missed:
        raise QueueError("before the cancel reached it, job %s" % ", job ".join(missed))
    if late:
        raise QueueError("not ended yet: %s: %s" % (", ".join(late), who_ends_it(queue)))
    return 0


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


@frame.command("requeue", frame.argument("ids", metavar="ID", nargs="+"))
def requeue(call: Call) -> int:
    interrupts.keep_until_told()
    tell_kept(call.queue().requeue(values.unique(call.options.ids), states.REQUEUED, call.now))
    return 0


def tell_kept(kept: Sequence[Tuple[str, str]]) -> None:
    """Say which jobs are not put back together with what they come after."""
    for identifier, holder in kept[:NAMED]:
        terminal.tell("left job %s cancelled: job %s has its key, and waits or runs" % (identifier, holder))
    if kept[NAMED:]:
        terminal.tell("left %d more cancelled, for the same reason" % len(kept[NAMED:]))
