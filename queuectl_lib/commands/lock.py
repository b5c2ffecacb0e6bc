"""`lock list|set|unset`: of how many jobs with the same lock so many may run at a time."""

from __future__ import annotations

from queuectl_lib import values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.host import files
from queuectl_lib.jobs import checks
from queuectl_lib.store import lock_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call

MOST_AT_ONCE = 1000000


@frame.command("lock list", shows=True)
def lock_list(call: Call) -> int:
    found = lock_table.shown(call.queue().database)
    if call.options.json:
        call.print_json(found)
    elif not found:
        terminal.tell("no lock is held, waited for, or set")
    else:
        rows = [
            (
                row["lock"],
                "%d of %d" % (row["running"], row["most"]),
                str(row["parked"]),
                ", ".join(row["held_by"]) or "-",
            )
            for row in found
        ]
        terminal.print_table(("LOCK", "RUNNING", "PARKED", "HELD BY"), rows)
    return 0


@frame.command(
    "lock set",
    frame.argument("key", metavar="KEY"),
    frame.argument("most", metavar="N", help="so many"),
    shows=True,
)
def lock_set(call: Call) -> int:
    """N jobs with this lock may run at a time."""
    key = checks.check_key(call.options.key, "lock")
    most = values.count_from_text(call.options.most, "N", MOST_AT_ONCE)
    queue = call.queue()
    files.make_home(call.home)
    queue.database.ready()
    lock_table.change(queue.database, key, most)
    call.facts = {"lock": key, "most": most}
    return 0


@frame.command("lock unset", frame.argument("key", metavar="KEY"), shows=True)
def lock_unset(call: Call) -> int:
    """One at a time again."""
    key = checks.check_key(call.options.key, "lock")
    lock_table.change(call.queue().database, key, None)
    call.facts = {"lock": key, "most": 1}
    return 0
