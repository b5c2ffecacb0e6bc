"""`wait`: until jobs are final."""

from __future__ import annotations

import time

from queuectl_lib import times, values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.commands.terminal import Progress
from queuectl_lib.jobs import states
from queuectl_lib.store import finding, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call

TIMED_OUT = 124


@frame.command(
    "wait",
    frame.argument("ids", metavar="ID", nargs="*"),
    frame.argument("--timeout", metavar="DURATION", help="give up after this long"),
    shows=True,
)
def wait(call: Call) -> int:
    queue, ids, options = call.queue(), values.unique(call.options.ids), call.options
    limit = None if options.timeout is None else times.parse_duration(options.timeout, "--timeout")
    deadline = None if limit is None else time.monotonic() + limit
    progress, pause, hinted = Progress(), 0.02, False
    try:
        while True:
            counts = finding.counts_of(queue.database, ids) if ids else roster.counts_of_others(queue.database)
            open_jobs = sum(counts[state] for state in states.STATES if state not in states.FINAL)
            if not open_jobs or (deadline is not None and time.monotonic() >= deadline):
                break
            if not hinted and not roster.members(queue.folder):
                hinted = True
                terminal.tell("no worker is running: `%s worker start` starts one" % frame.PROGRAM)
            total = sum(counts.values())
            progress.bar(total - open_jobs, total, "%d of %d jobs are final" % (total - open_jobs, total))
            time.sleep(pause if deadline is None else min(pause, max(0.001, deadline - time.monotonic())))
            pause = min(pause * 1.2, 0.25)
    finally:
        progress.end()
    not_needed = 0
    if counts["cancelled"]:
        from queuectl_lib.store import dependencies  # which few calls need

        not_needed = min(counts["cancelled"], dependencies.not_needed(queue.database, ids))
    if options.json:
        call.print_json(dict(counts, not_needed=not_needed, timed_out=bool(open_jobs)))
    if open_jobs:
        terminal.tell(
            "timed out: %s" % ("1 job is not final" if open_jobs == 1 else "%d jobs are not final" % open_jobs)
        )
        return TIMED_OUT
    failures = {"dead": counts["dead"], "cancelled": counts["cancelled"] - not_needed}
    missed = ["%d %s" % (failures[state], state) for state in failures if failures[state]]
    if missed:
        terminal.tell("not all completed: %s" % ", ".join(missed))
    return 1 if missed else 0
