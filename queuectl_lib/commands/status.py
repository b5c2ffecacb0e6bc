"""`status`: how many jobs are in each state, and who works."""

from __future__ import annotations

from queuectl_lib import errors, times, values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import states
from queuectl_lib.store import looking, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Tuple

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields
    from storage import Queue

MOST_LINES = 24  # of all it says, where the path of the database fits the terminal
MOST_CHARACTERS = 200  # of a command, or of what it died of
HEADINGS = {"after_others": "after others", "held": "held", "parked": "parked", "in_paused_queues": "paused"}


@frame.command(
    "status",
    frame.argument("--tag", metavar="TAG", action="append", help="only count the jobs with it (repeatable: with all)"),
    frame.argument("--watch", metavar="S", nargs="?", const="1", help="the screen of top without keys, each S seconds"),
    shows=True,
)
def status(call: Call) -> int:
    if call.options.watch is not None:
        return watch(call)
    queue = call.queue()
    if call.options.tag:
        return count_tagged(call, queue)
    counts, oldest = looking.overview(queue.database)
    waits = numbers_waiting(call, queue) if oldest else {}
    at_hand: Fields = {"running": [], "failures": [], "next": []}
    if oldest or counts["processing"] or counts["dead"]:
        from queuectl_lib.reports import overview  # which a queue with nothing but successes needs not

        at_hand = overview.of(queue.database, counts, call.now)
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
        value.update(stay_stopped_since=since_of_stay(queue), after_others=0, held=0, parked=0, in_paused_queues={})
        value.update(waits, progress=all_progress(queue) if counts["processing"] else {})
        value.update(estimate.facts() if estimate else {"eta_seconds": None, "eta_known": 0.0}, **at_hand)
        call.print_json(value)
        return 0
    print_counts(counts)
    lines = waits_lines(waits)
    lines.append(("workers", "%d alive, jobs at once: %d, supervisors: %d" % (workers, slots, supervisors)))
    lines += stay_line(call, queue)
    lines.append(("oldest waiting", oldest_text(oldest, call.now) if oldest else "-"))
    if estimate and estimate.sentence():
        lines.append(("estimate", estimate.sentence()))
    for name, text in [*lines, ("database", queue.path)]:
        terminal.print_text("%s%s\n" % (name.ljust(terminal.LABEL_CELLS), errors.printable(text)))
    print_at_hand(call, at_hand, counts, MOST_LINES - len(counts) - len(lines) - 1)
    return 0


def watch(call: Call) -> int:
    """The same on a screen that lives, until Ctrl+C."""
    from queuectl_lib.commands import top  # which few calls need

    if call.options.json or call.options.tag:
        given = "--json" if call.options.json else "--tag"
        raise BadInput("--watch and %s contradict each other: give one of them" % given)
    return top.watch(call, top.seconds_of(call.options.watch, "--watch"), False)


def waits_lines(waits: Fields) -> List[Tuple[str, str]]:
    """What waits for something else than its time: a name and a value for each line."""
    found = []
    for name, jobs in waits.items():
        if jobs:
            text = ", ".join("%d in %s" % (jobs[one], one) for one in jobs) if isinstance(jobs, dict) else str(jobs)
            found.append((HEADINGS[name], text))
    return found


def since_of_stay(queue: Queue) -> Optional[str]:
    """Since when workers are to stay stopped, None where they are not."""
    since = queue.folder.stays_since()
    return None if since is None else times.utc_text(since)


def stay_line(call: Call, queue: Queue) -> List[Tuple[str, str]]:
    since = queue.folder.stays_since()
    if since is None:
        return []
    from queuectl_lib.store import staying  # which few homes need

    return [("stay stopped", staying.until(since, call.now))]


def oldest_text(oldest: Sequence[str], now: float) -> str:
    text = ", enqueued %s ago" % times.age_text(now - times.seconds_or(oldest[0], now))
    due_in = times.seconds_or(oldest[2], now) - now
    text += ", due in %s" % times.age_text(due_in) if due_in > 0 else ""
    room, name = terminal.columns(), errors.printable(oldest[1])
    if room is None:
        return name + text
    from queuectl_lib.commands import layout  # which only a terminal needs

    return layout.cut_within(name, max(layout.NARROWEST, room - terminal.LABEL_CELLS - len(text))) + text


# ---------------------------------------------------------------- what runs, what failed, what comes


def print_at_hand(call: Call, found: Fields, counts: Dict[str, int], lines: int) -> None:
    """A row for each of the jobs *found*, on so many lines: failures first, for they are what one looks for."""
    failures = found["failures"][: max(1, lines - 2)]
    coming = found["next"][: max(1, min(3, lines - len(failures) - 3))]
    running = found["running"][: max(1, lines - len(failures) - len(coming))]
    rows = [running_row(job, call.now) for job in running]
    if not any(row[2] for row in rows):
        rows = [row[:2] + row[3:] for row in rows]
    headings = ("ID", "FOR", "PROGRESS", "COMMAND") if rows and len(rows[0]) > 3 else ("ID", "FOR", "COMMAND")
    print_rows("running", headings, rows, counts["processing"])
    rows = [failure_row(job, call.now) for job in failures]
    print_rows("failures", ("ID", "STATE", "AGO", "REASON"), rows, counts["dead"] + counts["failed"])
    rows = [[job["id"], due_text(job["due_at"], call.now), cut(job["command"])] for job in coming]
    print_rows("next", ("ID", "DUE", "COMMAND"), rows, len(rows))


def print_rows(name: str, headings: Sequence[str], rows: Sequence[Sequence[str]], count: int) -> None:
    """*rows* behind their *name*; how many of *count* they are stands beneath it where that are not all."""
    if rows:
        more = ["  %d of %d" % (len(rows), count)] if 1 < len(rows) < count else []
        state = headings.index("STATE") if "STATE" in headings else None
        terminal.print_table(headings, rows, state, ("PROGRESS", "STATE"), [name, *more])


def running_row(job: Fields, now: float) -> List[str]:
    age = "for %s" % times.age_text(now - times.seconds_or(job["started_at"], now))
    return [job["id"], age, values.progress_text(job["progress"]) if job["progress"] else "", cut(job["command"])]


def failure_row(job: Fields, now: float) -> List[str]:
    ago = "%s ago" % times.age_text(now - times.seconds_or(job["failed_at"], now))
    return [job["id"], str(job["state"]), ago, cut(job["reason"] or "-")]


def cut(value: object) -> str:
    return values.shortened(str(value), MOST_CHARACTERS)


def due_text(due_at: object, now: float) -> str:
    due_in = times.seconds_or(due_at, now) - now
    return "due in %s" % times.age_text(due_in) if due_in > 1 else "due"


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
