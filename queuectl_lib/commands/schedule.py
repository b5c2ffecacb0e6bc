"""`schedule set`, `list`, `show`, `next`, `pause`, `resume`, `run`, `remove`, `load`: commands that recur."""

from __future__ import annotations

from queuectl_lib import contexts, errors, times, values
from queuectl_lib.commands import add, frame, terminal
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.host import files, interrupts
from queuectl_lib.jobs import due_slots, fields, local_time, reading, recurring, sources
from queuectl_lib.store import schedules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Sequence, Set

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.jobs.local_time import Screen
    from queuectl_lib.jobs.recurrence import Timing
    from queuectl_lib.values import Fields

NOT_OURS = ("--verbose",) + tuple("--" + key.replace("_", "-") for key in recurring.OF_ONE_JOB)
JOB_ARGUMENTS = [(names, details) for names, details in add.JOB_ARGUMENTS if names[0] not in NOT_OURS]
POLICIES = [
    frame.argument("--missed", metavar="HOW", help="slots that nobody was there for: once (default), skip, all[:N]"),
    frame.argument("--overlap", metavar="HOW", help="while the last job waits or runs: skip (default), queue, allow"),
    frame.argument("--tz", metavar="ZONE", help="local (default), UTC, +02:00 or Europe/Berlin"),
    frame.argument("--start", metavar="TIME", help="no slot before this time; an interval counts from it"),
    frame.argument("--end", metavar="TIME", help="no slot after this time"),
]
SHOWN_AT_ONCE = 3  # slots that `set` tells of


@frame.command(
    "schedule set",
    frame.argument("schedule", metavar="NAME"),  # `--name` is that of its jobs' kind
    frame.argument("when", help="such as 17 3 * * * in quotes, @daily, every 15m"),
    frame.argument("command", nargs="?", help="the command line for the shell; - reads it from standard input"),
    *JOB_ARGUMENTS,
    *POLICIES,
    shows=True,
)
def schedule_set(call: Call) -> int:
    options = call.options
    line = '`schedule set NAME "every 15m" "COMMAND"`'
    job: Fields = dict(command=add.command_of(call, line), **add.asked_of(options))
    asked = {key: getattr(options, key) for key in ("when", "tz", "missed", "overlap", "start", "end")}
    row = recurring.of_schedule(dict(asked, name=options.schedule, job=job), add.job_maker(call, options.cwd))
    queue = call.queue()
    files.make_home(call.home)
    interrupts.keep_until_told()
    schedules.put(queue.database, [row], call.now)
    (kept,) = schedules.some_of(queue.database, [row["name"]])
    if not options.quiet:
        tell_what_comes(call, kept)
    if options.json or not options.quiet:
        text = terminal.json_text(recurring.as_json(kept)) if options.json else row["name"] + "\n"
        terminal.acknowledge(text, "schedule %s was set, but that" % row["name"])
    return 0


def tell_what_comes(call: Call, row: Fields) -> None:
    """On standard error: what whoever sets a schedule should know, and its next slots."""
    timing = due_slots.timing_of(row)
    lines = list(timing.words())
    if row["paused_at"]:
        lines.append("%s is paused: `schedule resume %s` goes on with it" % (row["name"], row["name"]))
    else:
        lines += ["next: " + line for line in lines_to_come(row, call.now, SHOWN_AT_ONCE, timing)] or [over(row)]
    for line in lines:
        terminal.tell(line)


def over(row: Fields) -> str:
    return "%s is over: no slot comes any more" % row["name"]


def lines_to_come(row: Fields, now: float, number: int, timing: Timing) -> List[str]:
    """A line for each of the next slots: by its clock with the offset, as UTC, and what a change of the clock did."""
    found = due_slots.to_come(row, now, number, timing)
    lines = ["%s  %sZ" % (timing.zone.text(slot), times.second_text(int(slot))) for slot, _ in found]
    return [line + ("  (%s)" % word if word else "") for line, (_, word) in zip(lines, found)]


@frame.command("schedule list", shows=True)
def schedule_list(call: Call) -> int:
    found = schedules.all_of(call.queue().database)
    if call.options.json:
        call.print_json([recurring.as_json(row) for row in found])
    elif found:
        screen = local_time.Screen(call.now)
        headings = ["NAME", "WHEN", screen.heading("NEXT"), "LEFT", "LAST", "OUTCOME"]
        rows = [cells(row, call.now, screen) for row in found]
        if not terminal.fits([headings, *rows]):
            rows = [[*row[:2], local_time.shortened(row[2]), *row[3:]] for row in rows]
        terminal.print_table(headings, rows, spare=("LAST",))
        for row in found:
            if row["trouble"]:
                terminal.tell("schedule %s: %s" % (row["name"], row["trouble"]))
    else:
        terminal.tell("no schedules")
    return 0


def cells(row: Fields, now: float, screen: Screen) -> List[str]:
    """What the table says of a schedule. The time of its next slot is that of its own clock, with another offset."""
    following, left = "paused" if row["paused_at"] else "over", "-"
    if row["next_at"]:
        slot = times.seconds_or(row["next_at"], now)
        following = str(row["next_at"])
        with contexts.suppress(QueueError, TypeError):  # what cannot be computed here is shown as it is kept
            following = screen.beside(due_slots.timing_of(row).zone.text(slot))
        left = times.age_text(slot - now) if slot > now else "%s late" % times.age_text(now - slot)
    last = "%s ago" % times.age_text(now - times.seconds_or(row["last_slot"], now)) if row["last_slot"] else "-"
    return [str(row["name"]), str(row["timing"]), following, left, last, str(row["last_outcome"] or "-")]


@frame.command("schedule show", frame.argument("name", metavar="NAME"), shows=True)
def schedule_show(call: Call) -> int:
    (row,) = schedules.some_of(call.queue().database, [call.options.name])
    found = recurring.as_json(row)
    if call.options.json:
        call.print_json(found)
        return 0
    job = found.pop("job")
    screen = local_time.Screen()
    shown = []
    for key, value in found.items():
        is_time = key in recurring.TIMES and value is not None
        shown.append((key, screen.text(value) if is_time else field_text(value)))
    for field in fields.FIELDS if isinstance(job, dict) else ():
        if job.get(field.key) is not None:
            shown.append(("  " + field.key, fields.shown(field.shown, job[field.key])))
    for key, text in shown:
        terminal.print_text("%-14s%s\n" % (key, errors.printable(text)))
    return 0


def field_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


@frame.command(
    "schedule next",
    frame.argument("name", metavar="NAME", nargs="?", help="one schedule (default: all)"),
    frame.argument("-n", "--count", metavar="N", default="5", help="how many slots (default 5)"),
    frame.argument("--from", dest="begin", metavar="TIME", help="those after this time (default: now)"),
    shows=True,
)
def schedule_next(call: Call) -> int:
    options, database = call.options, call.queue().database
    number = values.count_from_text(options.count, "--count", 1000)
    begin = call.now if options.begin is None else times.parse_time(options.begin, "--from")
    rows = schedules.all_of(database) if options.name is None else schedules.some_of(database, [options.name])
    found: List[Fields] = []
    for row in rows:
        timing = due_slots.timing_of(row)
        since = begin
        if row["next_at"] and options.begin is None:  # after a clock that went back it waits for that
            since = max(begin, times.seconds_or(row["next_at"], begin) - due_slots.MOMENT)
        lines = lines_to_come(row, since, number, timing)
        for line, (slot, word) in zip(lines, due_slots.to_come(row, since, number, timing)):
            text = {"name": row["name"], "at": times.utc_text(slot), "local": timing.zone.text(slot), "remark": word}
            found.append(dict(text, paused=bool(row["paused_at"]), line=line))
        if not lines and not options.json:
            terminal.tell(over(row))
    show_slots(call, found, [str(row["name"]) for row in rows])
    return 0


def show_slots(call: Call, found: Sequence[Fields], names: Sequence[str]) -> None:
    """All of them in the order of time; the name stands before them where there are several schedules."""
    ordered = sorted(found, key=lambda slot: str(slot["at"]))
    lines = [slot.pop("line") + ("  (paused)" if slot["paused"] else "") for slot in ordered]
    if call.options.json:
        call.print_json(ordered)
        return
    width = max([len(name) for name in names], default=0)
    for slot, line in zip(ordered, lines):
        start = "%s  " % slot["name"].ljust(width) if call.options.name is None else ""
        terminal.print_text(errors.printable(start + line) + "\n")


SOME = frame.argument("names", metavar="NAME", nargs="+")


@frame.command("schedule pause", SOME, shows=True)
def schedule_pause(call: Call) -> int:
    interrupts.keep_until_told()
    names, database = values.unique(call.options.names), call.queue().database
    schedules.pause(database, names, call.now)
    if call.options.json:
        call.facts = [recurring.as_json(row) for row in schedules.some_of(database, names)]
    return 0


@frame.command("schedule resume", SOME, shows=True)
def schedule_resume(call: Call) -> int:
    names, database = values.unique(call.options.names), call.queue().database
    interrupts.keep_until_told()
    schedules.resume(database, names, call.now)
    rows = schedules.some_of(database, names)
    call.facts = [recurring.as_json(row) for row in rows]
    for row in rows:
        following = lines_to_come(row, call.now, 1, due_slots.timing_of(row))
        terminal.tell("%s: next: %s" % (row["name"], following[0]) if following else over(row))
    return 0


@frame.command("schedule run", frame.argument("name", metavar="NAME"), shows=True)
def schedule_run(call: Call) -> int:
    from queuectl_lib.store import slots_made  # which the others need not

    database = call.queue().database
    (row,) = schedules.some_of(database, [call.options.name])
    interrupts.keep_until_told()
    identifier = slots_made.run_now(database, row, call.now)
    call.facts = {"id": identifier}
    if not call.options.json:
        terminal.acknowledge(identifier + "\n", "job %s was added, but its id" % identifier)
    return 0


@frame.command(
    "schedule remove",
    SOME,
    frame.argument("--cancel", action="store_true", help="cancel their waiting jobs, too"),
    shows=True,
)
def schedule_remove(call: Call) -> int:
    queue, names = call.queue(), values.unique(call.options.names)
    interrupts.keep_until_told()
    waiting = schedules.remove(queue.database, names)
    cancelled = 0
    for identifier in waiting if call.options.cancel else ():
        with contexts.suppress(QueueError):  # it has ended meanwhile
            queue.cancel([identifier], call.now)
            cancelled += 1
    call.facts = {"removed": names, "cancelled": cancelled, "waiting": len(waiting) - cancelled}
    if cancelled:
        terminal.tell("cancelled %s" % terminal.jobs_text(cancelled))
    elif waiting and not call.options.cancel:
        terminal.tell("%s of theirs will still run: `cancel` takes jobs out" % terminal.jobs_text(len(waiting)))
    return 0


@frame.command(
    "schedule load",
    frame.argument("file", metavar="FILE", help="JSON as of `schedule list --json`; - for standard input"),
    frame.argument("--only", action="store_true", help="remove all other schedules"),
    frame.argument("--quiet", action="store_true", help="print nothing when it worked"),
    shows=True,
)
def schedule_load(call: Call) -> int:
    options = call.options
    is_input = options.file == "-"
    with sources.open_source("-" if is_input else None, None if is_input else options.file) as source:
        asked = list(checked(call, source))
    queue = call.queue()
    files.make_home(call.home)
    interrupts.keep_until_told()
    done = list(schedules.put(queue.database, asked, call.now, options.only).values())
    call.facts = {word: done.count(word) for word in OUTCOMES}
    if not (options.quiet or options.json):
        terminal.tell(counted(done))
    return 0


OUTCOMES = ("new", "changed", "same", "removed")


def counted(done: Sequence[str]) -> str:
    """How many schedules are new, changed, the same, removed."""
    words = ["%d %s" % (done.count(word), word) for word in OUTCOMES if word in done]
    return "schedules: " + ", ".join(words)


def checked(call: Call, source: object) -> Iterator[Fields]:
    """The schedules that *source* asks for; a mistake names its line, and stops all."""
    maker = add.job_maker(call)
    seen: Set[str] = set()
    for line, asked in reading.read_jobs(source, lambda done, total, lines: None):
        try:
            row = recurring.of_schedule(asked, maker)
            if row["name"] in seen:
                raise BadInput("the schedule %s comes twice" % row["name"])
        except BadInput as error:
            raise BadInput("line %s: %s: nothing was changed" % (line, error)) from None
        seen.add(row["name"])
        yield row
    if not seen:
        raise BadInput("no schedule was given: nothing was changed")
