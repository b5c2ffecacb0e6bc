"""`hold` and `release`: waiting jobs kept from starting by a person, and let go."""

from __future__ import annotations

from queuectl_lib.commands import choosing, frame, tables
from queuectl_lib.host import interrupts
from queuectl_lib.jobs import states
from queuectl_lib.store import holding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call


@frame.command("hold", *choosing.CHANGING, shows=True)
def hold(call: Call) -> int:
    return hold_or_release(call, True)


@frame.command("release", *choosing.CHANGING, shows=True)
def release(call: Call) -> int:
    return hold_or_release(call, False)


def hold_or_release(call: Call, is_hold: bool) -> int:
    choosing.require(call)
    queue, done = call.queue(), "held" if is_hold else "released"
    ids = choosing.ids_alone(call, queue.database)
    if ids is not None:
        interrupts.keep_until_told()
        (holding.hold if is_hold else holding.release)(queue.database, ids, call.now)
        call.facts = {done: len(ids), "ids": ids}
        return 0
    chosen = choosing.selection(call, queue.database)
    if chosen.last is None:
        chosen.held = not is_hold
    if call.options.dry_run:
        return tables.dry_run(call, queue, chosen, states.WAITING, done)
    verb = holding.Holding(choosing.narrow(chosen, states.WAITING), is_hold, call.now)
    found = choosing.found(queue.database, chosen, verb.guard)
    choosing.change(done, verb, lambda tell: holding.change_all(queue.database, found, verb, tell))
    return choosing.report(call, queue, done, verb)
