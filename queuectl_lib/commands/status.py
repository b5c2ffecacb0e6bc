"""`status`: how many jobs are in each state, and who works."""

from __future__ import annotations

from queuectl_lib import errors, times, values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.jobs import states
from queuectl_lib.store import looking, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields
    from storage import Queue

HEADINGS = {"after_others": "after others", "held": "held", "parked": "parked", "in_paused_queues": "paused"}


@frame.command(
    "status",
    frame.argument("--tag", metavar="TAG", action="append", help="only count the jobs with it (repeatable: with all)"),
    shows=True,
)
def status(call: Call) -> int:
    queue = call.queue()
    if call.options.tag:
        return count_tagged(call, queue)
    counts, oldest = looking.overview(queue.database)
    waits = numbers_waiting(call, queue) if oldest else {}
    far = all_progress(queue) if counts["processing"] else {}
    members = roster.members(queue.folder)
    workers = sum(member["kind"] == "worker" for member in members)
    slots = sum(member.get("slots", 1) for member in members if member["kind"] == "worker")
    supervisors = sum(member["kind"] == "supervisor" for member in members)
    estimate = None
    if workers and (oldest or counts["processing"]):
        from queuectl_lib.reports import estimate as estimates  # which a queue where nothing goes on needs not

        estimate = estimates.of(queue.database, members, call.now)
    if call.options.json:
        value: Fields = dict(counts, workers=workers, slots=slots, supervisors=supervisors, database=queue.path)
        value["oldest_waiting"] = {"id": oldest[1], "created_at": oldest[0]} if oldest else None
        value.update(after_others=0, held=0, parked=0, in_paused_queues={})
        value.update(waits, progress=far)
        value.update(estimate.facts() if estimate else {"eta_seconds": None, "eta_known": 0.0})
        call.print_json(value)
        return 0
    print_counts(counts)
    for name, jobs in waits.items():
        if jobs:
            text = ", ".join("%d in %s" % (jobs[one], one) for one in jobs) if isinstance(jobs, dict) else str(jobs)
            terminal.print_text("%-16s%s\n" % (HEADINGS[name], errors.printable(text)))
    for identifier, progress in far.items():
        text = "%s: %s" % (identifier, values.progress_text(progress))
        terminal.print_text("%-16s%s\n" % ("progress", errors.printable(text)))
    alive = (workers, slots, supervisors)
    terminal.print_text("%-16s%d alive, jobs at once: %d, supervisors: %d\n" % ("workers", *alive))
    waiting = "-"
    if oldest:
        waiting = "%s, enqueued %s ago" % (oldest[1], times.age_text(call.now - times.seconds_or(oldest[0], call.now)))
        due_in = times.seconds_or(oldest[2], call.now) - call.now
        waiting += ", due in %s" % times.age_text(due_in) if due_in > 0 else ""
    terminal.print_text("%-16s%s\n" % ("oldest waiting", waiting))
    if estimate and estimate.sentence():
        terminal.print_text("%-16s%s\n" % ("estimate", estimate.sentence()))
    terminal.print_text("%-16s%s\n" % ("database", errors.printable(queue.path)))
    return 0


def all_progress(queue: Queue) -> Dict[str, Fields]:
    from queuectl_lib.store import said  # where nothing runs it is not needed

    return said.all_progress(queue.database)


def print_counts(counts: Dict[str, int]) -> None:
    for state in states.STATES:
        terminal.print_text(
            "%s%d\n" % (terminal.coloured("%-16s" % state, state if counts[state] else ""), counts[state])
        )


def count_tagged(call: Call, queue: Queue) -> int:
    """How many of the jobs with all of these tags are in each state."""
    from queuectl_lib.commands import choosing  # which most calls need not
    from queuectl_lib.store import numbered, selecting

    chosen = selecting.Selection()
    chosen.tags = choosing.checked_tags(call.options.tag)
    counts = numbered.counts(selecting.find(queue.database, chosen))
    if call.options.json:
        call.print_json(counts)
    else:
        print_counts(counts)
    return 0


def numbers_waiting(call: Call, queue: Queue) -> Fields:
    """How many jobs wait for what (store/waiting.numbers)."""
    from queuectl_lib.store import waiting  # which an empty queue needs not

    return waiting.numbers(queue.database, call.now)
