"""`schedule import`: lines of a crontab as schedules of the same meaning, paused while the crontab still runs them."""

from __future__ import annotations

import re

from queuectl_lib import errors
from queuectl_lib.commands import add, frame, schedule, terminal
from queuectl_lib.errors import BadInput, HostError, QueueError
from queuectl_lib.host import bundle, files, interrupts, system
from queuectl_lib.jobs import crontab, recurring, sources, wall_clock
from queuectl_lib.jobs.own_calls import Place
from queuectl_lib.store import schedules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.jobs.crontab import Import
    from queuectl_lib.values import Fields

MOST_BYTES = 16 * 1024 * 1024  # of a crontab
POLICIES = [
    frame.argument("--missed", metavar="HOW", help="slots that nobody was there for: skip (default), once, all[:N]"),
    frame.argument("--overlap", metavar="HOW", help="while the last job waits or runs: allow (default), skip, queue"),
    *[one for one in schedule.POLICIES if one[0][0] == "--tz"],
]


@frame.command(
    "schedule import",
    frame.argument("file", metavar="FILE", nargs="?", help="the crontab; - for standard input (default: crontab -l)"),
    frame.argument("--dry-run", action="store_true", help="change nothing"),
    frame.argument("--active", action="store_true", help="not paused: once the lines are out of the crontab"),
    frame.argument("--system", action="store_true", help="with a user before each command, as in /etc/crontab"),
    *POLICIES,
    shows=True,
)
def schedule_import(call: Call) -> int:
    options = call.options
    check_policies(options.missed, options.overlap, options.tz)
    user, home = system.user_and_home()
    place = Place(user, home, bundle.SCRIPT, call.home, options.tz or "local", options.system)
    found = crontab.read(text_of(options.file), place)
    queue = call.queue()
    known = {str(row["name"]): bool(row["paused_at"]) for row in schedules.all_of(queue.database)}
    asked = [one for one in found.schedules if understood(call, one, found)]
    rows = [row_of(call, one, known) for one in asked]
    if rows and not options.dry_run:
        files.make_home(call.home)
        interrupts.keep_until_told()
        schedules.put(queue.database, rows, call.now)
        known = {str(row["name"]): bool(row["paused_at"]) for row in schedules.all_of(queue.database)}
    show(call, asked)
    tell(call, found, [row["name"] for row in rows if known.get(row["name"], not options.active)])
    return 0 if rows or not found.refused else 1


def check_policies(missed: Optional[str], overlap: Optional[str], zone: Optional[str]) -> None:
    """Raise BadInput for what no schedule could have: before any line is looked at."""
    is_all = recurring.check_missed(missed, None)[0] == "all"
    if recurring.one_of(recurring.OVERLAP, "overlap", overlap, "queue") == "skip" and is_all:
        raise BadInput("overlap: skip would leave out all but one of the slots that missed: all makes up for")
    wall_clock.find(zone or "local")


def text_of(path: Optional[str]) -> str:
    """The crontab in *path*, on standard input, or of this user. Raises QueueError."""
    if path is None:
        data = of_this_user()
    else:
        with sources.open_source("-" if path == "-" else None, path) as source:
            try:
                data = source.read(MOST_BYTES + 1)
            except OSError as error:
                raise HostError("cannot read %s: %s" % (errors.shown(path), error.strerror)) from None
    if len(data) > MOST_BYTES:
        raise BadInput("a crontab of more than 16 MiB is none")
    return str(data.decode("utf-8", "surrogateescape"))


def of_this_user() -> bytes:
    import subprocess  # needed only here

    try:
        done = subprocess.run(
            ["crontab", "-l"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = getattr(error, "strerror", None) or "it does not end"
        raise HostError("cannot run `crontab -l` (%s): name a file" % why) from None
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip()
        raise QueueError("`crontab -l` says: %s" % errors.printable(why or "nothing"))
    return done.stdout


def understood(call: Call, one: Fields, found: Import) -> bool:
    """Give one schedule the policies of this call; False where it is refused then, which is noted by its line."""
    options = call.options
    one.update(missed=options.missed or one["missed"], overlap=options.overlap or one["overlap"])
    if options.missed and recurring.check_missed(options.missed, None)[0] == "all" and not options.overlap:
        one["overlap"] = "queue"
    try:
        recurring.of_schedule(one, add.job_maker(call))
    except BadInput as error:
        found.refused.append((found.lines[one["name"]], str(error)))
        return False
    return True


def row_of(call: Call, one: Fields, known: Fields) -> Fields:
    """As it is kept: paused where it is new, for the crontab still runs it; one that is known stays as it is."""
    if call.options.active:
        one["paused"] = False
    elif one["name"] not in known:
        one["paused"] = True
    return recurring.of_schedule(one, add.job_maker(call))


def show(call: Call, asked: Sequence[Fields]) -> None:
    """On standard output: the names, in the order of the lines; or what `schedule load` takes."""
    if call.options.json:
        call.print_json(list(asked))
    elif call.options.dry_run and asked:
        rows = [[one["name"], one["when"], system.typed(one["job"]["command"])] for one in asked]
        terminal.print_table(["NAME", "WHEN", "COMMAND"], rows)
    else:
        terminal.print_text("".join(one["name"] + "\n" for one in asked))


def first_number(text: str) -> int:
    """The line of a crontab that a note begins with, or the first of several."""
    found = re.match(r"lines? (\d+)", text)
    return int(found.group(1)) if found else 0


def tell(call: Call, found: Import, paused: List[str]) -> None:
    """On standard error: what is left where it is, and what is to be done with the rest."""
    said = ["line %d stays in the crontab: %s" % one for one in sorted(found.refused)] + found.notes
    for text in sorted(said, key=first_number):
        terminal.tell(text)
    refused = {number for number, _ in found.refused}
    taken = sorted(number for number in found.lines.values() if number not in refused)
    if not taken:
        terminal.tell("no line becomes a schedule")
        return
    lines = "line%s %s" % ("" if len(taken) == 1 else "s", ", ".join(map(str, taken)))
    if call.options.dry_run:
        terminal.tell("%s would become schedules; nothing was changed" % lines)
    elif paused:
        text = "take %s out of the crontab (crontab -e), then: schedule resume %s"
        terminal.tell(text % (lines, " ".join(paused)))
    else:
        terminal.tell("%s must not stand in the crontab any more, else they run twice" % lines)
