"""`queue set|list|show|remove`, `pause`, `resume`: what is true of a class of jobs."""

from __future__ import annotations

import json

from queuectl_lib import contexts, errors, times, values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import BadInput
from queuectl_lib.host import files
from queuectl_lib.jobs import checks, fields, gates, launcher_words, launchers, local_time, moments, windows
from queuectl_lib.store import queues, serving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

MOST_AT_ONCE = 1000000
ARGS = "--launcher-args"


@frame.command(
    "queue set",
    frame.argument("name", metavar="NAME"),
    frame.argument("--limit", metavar="N|none", help="so many of its jobs run at a time at the most"),
    frame.argument("--rate", metavar="N/TIME|none", help="so many start in any span of this length: 60/1h"),
    frame.argument("--window", metavar="W|none", action="append", help="start only then: 'mon-fri 22:00-06:00'"),
    frame.argument("--max-load", metavar="X|none", help="start only while the load of the host is below"),
    frame.argument("--min-memory", metavar="SIZE|none", help="start only while so much memory is available: 2G"),
    frame.argument("--min-free", metavar="SIZE[:PATH]|none", help="start only while so much disk is free: 20G:/data"),
    frame.argument("--launcher", metavar="L|none", help="who starts its jobs elsewhere, where they name none"),
    frame.argument("--launcher-args", metavar="WORDS|none", help='what that is given: "--mem=4G -c2"'),
    shows=True,
)
def queue_set(call: Call) -> int:
    """Make a queue, or change what is set of it; what is not named stays."""
    name = checks.check_queue(call.options.name)
    changed = wanted(call)
    queue = call.queue()
    if call.options.launcher is not None or call.options.launcher_args is not None:
        changed.update(launcher_wanted(call, queues.launchers(queue.database).get(name)))
    files.make_home(call.home)
    queue.database.ready()
    is_new = queues.change(queue.database, name, changed)
    if call.options.json:
        call.print_json(next(row for row in queues.shown(queue.database, call.now) if row["name"] == name))
    elif is_new:
        terminal.tell("queue %s was made" % name)
    return 0


def wanted(call: Call) -> Fields:
    """What is to be set, by column; "none" takes a limit away. Raises BadInput."""
    options = call.options
    found: Fields = {}
    if options.limit is not None:
        found["running_most"] = None if options.limit == "none" else limit_of(options.limit)
    if options.rate is not None:
        count, seconds = (None, None) if options.rate == "none" else gates.parse_rate(options.rate, "--rate")
        found.update(rate_count=count, rate_seconds=seconds)
    if options.window is not None:
        none = options.window == ["none"]
        found["windows"] = None if none else windows.stored_text(windows.parse(options.window))
    if options.max_load is not None:
        found["load_most"] = None if options.max_load == "none" else gates.parse_load(options.max_load, "--max-load")
    if options.min_memory is not None:
        text = options.min_memory
        found["memory_least"] = None if text == "none" else gates.parse_memory(text, "--min-memory")
    if options.min_free is not None:
        least, path = (None, None) if options.min_free == "none" else gates.parse_free(options.min_free, "--min-free")
        found.update(free_least=least, free_path=path)
    return found


def launcher_wanted(call: Call, before: Optional[str]) -> Fields:
    """The same of its launcher, which was *before* that."""
    options = call.options
    found: Fields = {}
    if options.launcher is not None:
        found["launcher"] = None
        if options.launcher != launchers.NONE:
            launchers.refuse_unknown(options.launcher, call.config().launchers, "--launcher")
            found["launcher"] = options.launcher
    if options.launcher_args is not None:
        none = options.launcher_args == launchers.NONE
        words = None if none else launcher_words.check_args(launcher_words.args_of(options.launcher_args, ARGS), ARGS)
        found["launcher_args"] = None if words is None else json.dumps(words, ensure_ascii=False)
    elif "launcher" in found and found["launcher"] != before:
        found["launcher_args"] = None  # they were those of another one
    if found.get("launcher_args") and not (found.get("launcher", before) or call.config().launcher):
        raise BadInput("%s: the queue has no launcher that they could be given to: give --launcher NAME, too" % ARGS)
    return found


def limit_of(text: str) -> int:
    if values.whole_number(text, "--limit") == 0:
        raise BadInput("--limit: 0 at a time is none at all: `pause` does that")
    return values.count_from_text(text, "--limit", MOST_AT_ONCE)


@frame.command("queue list", shows=True)
def queue_list(call: Call) -> int:
    found = queues.shown(call.queue().database, call.now)
    if call.options.json:
        call.print_json(found)
        return 0
    rows = []
    for row in found:
        due = "%d" % row["due"] if row["due"] <= queues.COUNTED else "over %d" % queues.COUNTED
        running = "%d" % row["running"] if row["limit"] is None else "%d of %s" % (row["running"], row["limit"])
        rows.append([row["name"], due, running, state_of(row, call.now), said_of(row)])
    terminal.print_table(("QUEUE", "DUE", "RUNNING", "STATE", "SET"), rows)
    return 0


def state_of(row: Fields, now: float) -> str:
    """Whether a queue may start something, in short."""
    if row["paused_until"]:
        left = max(0.0, times.seconds_or(row["paused_until"], now) - now)
        return "paused for %s" % times.age_text(left if left < 120 else -(-left // 60) * 60)  # 2d, not 47h, at first
    if row["paused"]:
        return "paused since %s" % times.age_text(now - times.seconds_or(row["paused_at"], now))
    return str(row["closed"]) if row["state"] == serving.SHUT else str(row["state"])


def said_of(row: Fields) -> str:
    """What is set of a queue, in short."""
    said = [] if row["rate"] is None else ["rate %s" % row["rate"]]
    said += row["windows"]
    said += [] if row["max_load"] is None else ["load below %s" % fields.shown(values.number_text, row["max_load"])]
    said += [] if row["min_memory"] is None else ["memory %s" % fields.shown(values.size_text, row["min_memory"])]
    if row["min_free"] is not None:
        path = ":%s" % row["min_free_path"] if row["min_free_path"] else ""
        said.append("free %s%s" % (fields.shown(values.size_text, row["min_free"]), path))
    if row["launcher"] or row["launcher_args"]:
        words = launcher_words.args_text(row["launcher_args"])
        said.append(("launcher %s %s" % (row["launcher"] or "as set", words)).strip())
    return ", ".join(said) or "-"


@frame.command("queue show", frame.argument("name", metavar="NAME"), shows=True)
def queue_show(call: Call) -> int:
    database = call.queue().database
    (name,) = queues.named(database, call.options.name)
    row = next(row for row in queues.shown(database, call.now) if row["name"] == name)
    if call.options.json:
        call.print_json(row)
        return 0
    screen = local_time.Screen()
    for key, value in row.items():
        value = screen.text(value) if key in ("paused_at", "paused_until") and value is not None else value
        text = ", ".join(value) if isinstance(value, list) else value
        text = "-" if text is None or text == "" else "yes" if text is True else "no" if text is False else str(text)
        terminal.print_text("%-14s%s\n" % (key, errors.printable(text)))
    if row["windows"]:
        with contexts.suppress(BadInput):  # somebody has changed it, and what stands there is shown above
            terminal.print_text("%-14s%s\n" % ("window", windows.parse(row["windows"]).words(call.now)))
    return 0


@frame.command("queue remove", frame.argument("name", metavar="NAME"), shows=True)
def queue_remove(call: Call) -> int:
    queues.remove(call.queue().database, call.options.name)
    call.facts = {"removed": call.options.name}
    return 0


@frame.command(
    "pause",
    frame.argument("names", metavar="QUEUE", nargs="*", help="which (default: all)"),
    frame.argument("--for", metavar="DURATION", dest="span", help="only for this long"),
    frame.argument("--until", metavar="TIME", help="only until then"),
    frame.argument("--note", metavar="TEXT", help="why, for whoever looks"),
    shows=True,
)
def pause(call: Call) -> int:
    options = call.options
    if options.span is not None and options.until is not None:
        raise BadInput("--for and --until contradict each other: give one of them")
    until: Optional[float] = None
    if options.span is not None:
        until = call.now + times.parse_duration(options.span, "--for")
    elif options.until is not None:
        until = moments.parse(options.until, "--until", call.now)
        if until <= call.now:
            raise BadInput("--until: %s is over already" % errors.shown(options.until))
    if until is not None and until > times.LAST_TIME:
        raise BadInput("--for: %s is after the year 9999" % errors.shown(options.span))
    note = None if options.note is None else values.check_text(options.note, "--note")
    database = made(call)
    names = checked(database, options.names)
    before = queues.pause(database, names, until, note, call.now)
    for name, is_longer in before:
        how = "its pause lasts as long as this one now, and its note stays" if is_longer else "its own pause stays"
        terminal.tell("queue %s was paused already: %s" % (name, how))
    end = None if until is None else times.utc_text(until)
    facts = {"queues": names or None, "paused_until": end, "paused_note": note}
    call.facts = dict(facts, before=[name for name, _ in before])
    return 0


@frame.command("resume", frame.argument("names", metavar="QUEUE", nargs="*", help="which (default: all)"), shows=True)
def resume(call: Call) -> int:
    database = made(call)
    names = checked(database, call.options.names)
    queues.resume(database, names)
    call.facts = {"queues": names or None}
    return 0


def made(call: Call) -> Database:
    queue = call.queue()
    files.make_home(call.home)
    queue.database.ready()
    return queue.database


def checked(database: Database, names: Sequence[str]) -> List[str]:
    """*names*, each that of a queue, once. Raises BadInput."""
    return [name for word in values.unique(names) for name in queues.named(database, word)]
