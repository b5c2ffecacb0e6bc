"""`hold` and `release`: waiting jobs kept from starting by a person, and let go."""

from __future__ import annotations

from queuectl_lib import values
from queuectl_lib.commands import frame
from queuectl_lib.host import interrupts
from queuectl_lib.store import holding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call


@frame.command("hold", frame.argument("ids", metavar="ID", nargs="+"))
def hold(call: Call) -> int:
    interrupts.keep_until_told()
    holding.hold(call.queue().database, values.unique(call.options.ids), call.now)
    return 0


@frame.command("release", frame.argument("ids", metavar="ID", nargs="+"))
def release(call: Call) -> int:
    interrupts.keep_until_told()
    holding.release(call.queue().database, values.unique(call.options.ids), call.now)
    return 0
