"""`list`: the newest jobs."""

from __future__ import annotations

from queuectl_lib import values
from queuectl_lib.commands import frame, tables
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call


@frame.command(
    "list",
    frame.argument("--state", metavar="S[,S]", help="only these states"),
    frame.argument("--dlq", action="store_true", help="only the dead letter queue (state dead)"),
    frame.argument("--limit", metavar="N", default="50", help="the newest N (default 50)"),
    shows=True,
)
def list_jobs(call: Call) -> int:
    options = call.options
    wanted = states.check_states(options.state)
    if options.dlq and wanted not in ([], ["dead"]):
        raise BadInput("--dlq and --state contradict each other: give one of them")
    limit = values.count_from_text(options.limit, "--limit", 1000000000)
    tables.show_jobs(call, ["dead"] if options.dlq else wanted, limit)
    return 0
