"""`cancel` and `requeue`: jobs taken out by a person, and put back."""

from __future__ import annotations

import time

from queuectl_lib.commands import choosing, frame, tables, terminal
from queuectl_lib.errors import Interrupted, NoSuchJob, QueueError
from queuectl_lib.host import interrupts
from queuectl_lib.jobs import states
from queuectl_lib.store import cancelling, finding, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence, Tuple

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.run.leftovers import Left
    from storage import Queue

NAMED = 5  # of many that stay, or that are waited for


@frame.command(
    "cancel",
    *choosing.CHANGING,
    frame.argument("--leftovers", action="store_true", help="end what earlier attempts left running, too"),
    shows=True,
)
def cancel(call: Call) -> int:
    choosing.require(call)
    queue = call.queue()
    patience = call.config().grace + 15
    ids = choosing.ids_alone(call, queue.database)
    if ids is None:
        return cancel_selected(call, queue, patience)
    interrupts.keep_until_told()
    over = ended_already(queue, ids) if call.options.leftovers else []
    wanted = [identifier for identifier in ids if identifier not in over]
    asked = queue.cancel(wanted, call.now) if wanted else []
    call.facts = {"cancelled": len(wanted), "ids": wanted}
    waited = [identifier for identifier, token in asked if not token]
    code = see_to_leftovers(call, queue, over + waited)
    if len(waited) == len(asked):
        return code
    late, missed = see_them_end(queue, asked, patience)
    if missed:
        raise QueueError("before the cancel reached it, job %s" % ", job ".join(missed), "wrong_state")
    if late:
        raise QueueError("not ended yet: %s: %s" % (", ".join(late), who_ends_it(queue)), "not_ended")
    return code


def ended_already(queue: Queue, ids: Sequence[str]) -> List[str]:
    """Those of these jobs that are final: what they left running can be ended all the same."""
    found = zip(ids, finding.states_of(queue.database, ids))
    return [identifier for identifier, state in found if state in states.FINAL]


def see_to_leftovers(call: Call, queue: Queue, ids: Sequence[str]) -> int:
    """Name what attempts of these jobs left running, or with --leftovers end it; 1 where something resists."""
    try:
        leaving = [identifier for identifier in ids if cancelling.left_running(queue.database, identifier)]
        if not leaving:
            return tell_of_none(call, ids)
        from queuectl_lib.run import leftovers  # which few calls need

        found = leftovers.living(queue.database, leaving)
    except QueueError as error:  # the cancel is done all the same
        terminal.tell("cancelled; what attempts have left running cannot be told: %s" % error)
        return int(call.options.leftovers)
    if call.options.leftovers:
        return end_leftovers(call, queue, found) if found else tell_of_none(call, ids)
    for identifier in list(found)[:NAMED]:
        text = "job %s was cancelled; an attempt of it left running: %s; `cancel --leftovers %s` ends that"
        terminal.tell(text % (identifier, leftovers.names(found[identifier]), identifier))
    if len(found) > NAMED:
        terminal.tell("%d more left processes running, too: `cancel --leftovers ID` ends those" % (len(found) - NAMED))
    return 0


def tell_of_none(call: Call, ids: Sequence[str]) -> int:
    """Say that there was nothing to end, where somebody has asked for that."""
    if call.options.leftovers and ids and not call.options.quiet:
        terminal.tell("nothing was left running here")
    return 0


def end_leftovers(call: Call, queue: Queue, found: Left) -> int:
    """End what attempts left running, job by job, and say so."""
    from queuectl_lib.run import leftovers

    code = 0
    try:
        interrupts.heed()
        for identifier, left in found.items():
            rest = leftovers.end(queue.database, left, call.config().grace)
            if rest:
                code = 1
                terminal.tell("what job %s left running cannot be ended: %s" % (identifier, rest))
            elif not call.options.quiet:
                terminal.tell("ended what job %s had left running: %s" % (identifier, leftovers.names(left)))
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the cancel stands, and what was left running may go on") from None
    return code


def see_them_end(
    queue: Queue, asked: Sequence[Tuple[str, Optional[str]]], patience: float
) -> Tuple[List[str], List[str]]:
    """What await_cancel returns of jobs of which some run. Ctrl+C leaves the cancel as it is."""
    try:
        interrupts.heed()
        return await_cancel(queue, asked, patience)
    except NoSuchJob as error:  # it has ended, and was deleted since
        raise QueueError("the cancel was asked for, but what became of it is not known: %s" % error) from None
    except KeyboardInterrupt:
        text = "interrupted; the cancel stands, and its worker ends job %s"
        raise Interrupted(text % named([identifier for identifier, token in asked if token], ", job ")) from None


def named(ids: Sequence[str], between: str = ", ") -> str:
    """The first of these, and how many more there are."""
    return between.join(ids[:NAMED]) + (" and %d more" % len(ids[NAMED:]) if ids[NAMED:] else "")


def cancel_selected(call: Call, queue: Queue, patience: float) -> int:
    """Ask for the end of all that a selector means, then wait for those that run, all with one deadline."""
    chosen = choosing.selection(call, queue.database)
    if call.options.dry_run:
        return tables.dry_run(call, queue, chosen, states.HOLDING, "cancelled")
    verb = cancelling.Cancelling(choosing.narrow(chosen, states.HOLDING), call.now)
    choosing.change("cancelled", verb, lambda tell: cancelling.cancel_all(queue.database, chosen, verb, tell))
    late: List[str] = []
    code = see_to_leftovers(call, queue, verb.leaving) if verb.leaving else 0
    if verb.asked:
        late, missed = see_them_end(queue, list(verb.asked.items()), patience)
        verb.changed += len(verb.asked) - len(late) - len(missed)
    if late:
        text = "cancelled %s; not ended yet: %s: %s"
        raise QueueError(text % (terminal.jobs_text(verb.changed), named(late), who_ends_it(queue)), "not_ended")
    return choosing.report(call, queue, "cancelled", verb) or code


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


@frame.command("requeue", *choosing.CHANGING, shows=True)
def requeue(call: Call) -> int:
    choosing.require(call)
    return put_back(call, states.STATES, states.RUN_AGAIN)


def put_back(call: Call, among: Sequence[str], wanted: Sequence[str], left: str = "", may_be_none: bool = False) -> int:
    """Requeue what the call means *among* the jobs in these states, and is in one of the states *wanted*."""
    queue = call.queue()
    ids = choosing.ids_alone(call, queue.database)
    if ids is not None:
        interrupts.keep_until_told()
        kept = queue.requeue(ids, wanted, call.now)
        call.facts = {"requeued": len(ids), "ids": ids, "left": 0, "left_cancelled": [one for one, _ in kept]}
        tell_kept(kept)
        return 0
    from queuectl_lib.store import requeuing

    chosen = choosing.selection(call, queue.database, among)
    if call.options.dry_run:
        return tables.dry_run(call, queue, chosen, wanted, "requeued")
    verb = requeuing.Requeuing(choosing.narrow(chosen, wanted), call.now)
    found = choosing.found(queue.database, chosen, verb.guard)
    choosing.change("requeued", verb, lambda tell: requeuing.requeue_all(queue.database, found, verb, tell))
    verb.found += may_be_none
    more = left_behind(verb.held, verb.behind, left, verb.on_hold)
    code = choosing.report(call, queue, "requeued", verb, *more, left=left)
    count = verb.held + verb.behind + verb.on_hold
    call.facts = {"requeued": verb.changed, "ids": None, "left": count, "left_cancelled": [one for one, _ in verb.kept]}
    tell_kept(verb.kept)
    return code


def left_behind(held: int, behind: int, left: str, on_hold: int = 0) -> List[str]:
    """Why some jobs were not put back, for people."""
    return [
        "left %s%s: %s" % (terminal.jobs_text(count), left, why)
        for count, why in (
            (held, "another job with the same key waits or runs"),
            (behind, "what they come after has not ended as they want"),
            (on_hold, "a person holds them: `release` lets them run again"),
        )
        if count
    ]


def tell_kept(kept: Sequence[Tuple[str, str]]) -> None:
    """Say which jobs are not put back together with what they come after."""
    for identifier, holder in kept[:NAMED]:
        terminal.tell("left job %s cancelled: job %s has its key, and waits or runs" % (identifier, holder))
    if kept[NAMED:]:
        terminal.tell("left %d more cancelled, for the same reason" % len(kept[NAMED:]))
