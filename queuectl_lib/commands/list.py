"""`list`: the newest jobs."""

from __future__ import annotations

from queuectl_lib.commands import choosing, frame, tables
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call


@frame.command(
    "list",
    *choosing.SELECTORS,
    frame.argument("--dlq", action="store_true", help="only the dead letter queue (state dead)"),
    tables.LIMIT,
    shows=True,
)
def list_jobs(call: Call) -> int:
    options = call.options
    if options.dlq and states.check_states(options.state) not in ([], ["dead"]):
        raise BadInput("--dlq and --state contradict each other: give one of them")
    tables.show_jobs(call, ["dead"] if options.dlq else states.STATES)
    return 0
