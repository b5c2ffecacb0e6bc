"""`list`: the newest jobs; with --slow those that run unusually long."""

from __future__ import annotations

from queuectl_lib import values
from queuectl_lib.commands import choosing, frame, tables, terminal
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call


@frame.command(
    "list",
    *choosing.SELECTORS,
    frame.argument("--dlq", action="store_true", help="only the dead letter queue (state dead)"),
    frame.argument("--slow", action="store_true", help="only what runs unusually long for its kind (see stats)"),
    tables.LIMIT,
    shows=True,
)
def list_jobs(call: Call) -> int:
    options = call.options
    if options.dlq and states.check_states(options.state) not in ([], ["dead"]):
        raise BadInput("--dlq and --state contradict each other: give one of them")
    if options.slow:
        show_slow(call)
    else:
        tables.show_jobs(call, ["dead"] if options.dlq else states.STATES)
    return 0


def show_slow(call: Call) -> None:
    """Print the jobs that run unusually long, with --json with their seconds so far and the usual ones."""
    from queuectl_lib.reports import history  # which most calls need not
    from queuectl_lib.store import selecting, showing

    options, running = call.options, ["processing"]
    if options.dlq or states.check_states(options.state) not in ([], running):
        given = "--dlq" if options.dlq else "--state"
        raise BadInput("--slow and %s contradict each other: --slow means jobs that run" % given)
    choosing.conditions(call)  # or they do not fit together
    limits = (("--limit", options.limit), ("--last", options.last))
    most = [values.count_from_text(text, name, 1000000000) for name, text in limits if text is not None]
    database = call.queue().database
    chosen = choosing.selection(call, database, running)
    chosen.last = None
    jobs = list(showing.in_order(database, selecting.find(database, chosen), running))
    long = history.long_ones(database, jobs, call.now)
    found = [job for job in jobs if job["id"] in long][-min(most) if most else 0 :]
    if options.json:
        found = [dict(job, **long[job["id"]]) for job in found]
    if not tables.print_jobs(call, iter(found)):
        terminal.tell("no job runs unusually long")
