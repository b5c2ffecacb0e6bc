"""`cancel` and `requeue`: jobs taken out by a person, and put back."""

from __future__ import annotations

from queuectl_lib import values
from queuectl_lib.commands import frame
from queuectl_lib.errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call


@frame.command(
    "cancel",
    frame.argument("ids", metavar="ID", nargs="+"),
)
def cancel(call: Call) -> int:
    queue = call.queue()
    patience = call.config().grace + 15
    asked = queue.cancel(values.unique(call.options.ids), call.now)
    late, missed = queue.await_cancel(asked, patience)
    if missed:
        raise QueueError("before the cancel reached it, job %s" % ", job ".join(missed))
    if late:
        hope = "its worker goes on trying" if queue.has_worker() else "the next worker that starts ends it"
        raise QueueError("not ended yet: %s: %s" % (", ".join(late), hope))
    return 0


@frame.command("requeue", frame.argument("ids", metavar="ID", nargs="+"))
def requeue(call: Call) -> int:
    call.queue().requeue(values.unique(call.options.ids), ("dead", "cancelled"), call.now)
    return 0
