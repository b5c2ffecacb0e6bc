"""`stats`: what is known of each kind of job: how often it ran and failed, how long it takes, and what it uses."""

from __future__ import annotations

from queuectl_lib import errors, times, values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.reports import history
from queuectl_lib.store import durations, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields

SHOWN = 50
HEADINGS = ("RUNS", "FAILED", "MEDIAN", "P95", "CPU", "MEMORY", "LAST", "KIND")


@frame.command(
    "stats",
    frame.argument("kind", metavar="KIND", nargs="?", help="only this kind: a name, or a command as it is shown here"),
    frame.argument("--limit", metavar="N", help="at most the N that ran most (default %d, with --json all)" % SHOWN),
    frame.argument("--reset", action="store_true", help="forget it all, or what is known of KIND"),
    frame.argument("--rebuild", action="store_true", help="read the newest %d attempts again" % durations.NEWEST),
    shows=True,
)
def stats(call: Call) -> int:
    options = call.options
    if options.reset and options.rebuild:
        raise BadInput("--reset and --rebuild contradict each other: give one of them")
    for name in ("limit", "json"):
        if (options.reset or options.rebuild) and getattr(options, name):
            raise BadInput("--%s shows what is known: leave out --%s" % (name, "reset" if options.reset else "rebuild"))
    if options.rebuild and options.kind is not None:
        raise BadInput("--rebuild is for all kinds: leave out KIND")
    kind = None if options.kind is None else values.check_text(options.kind, "KIND")
    limit = None if options.limit is None else values.count_from_text(options.limit, "--limit", 1000000000)
    if options.reset:
        return reset(call, kind)
    if options.rebuild:
        count, number = durations.rebuild(call.queue().database)
        terminal.tell("read %s again: %s" % (number_text(count, "attempt"), number_text(number, "kind")))
        return 0
    show(call, kind, limit)
    return 0


def number_text(number: int, what: str) -> str:
    return "1 %s" % what if number == 1 else "%d %ss" % (number, what)


def reset(call: Call, kind: Optional[str]) -> int:
    forgotten = durations.reset(call.queue().database, kind)
    if kind is not None and not forgotten:
        raise unknown(kind)
    terminal.tell("forgot %s" % number_text(forgotten, "kind"))
    return 0


def unknown(kind: str) -> QueueError:
    text = "nothing is known of the kind %s: `%s stats` lists those of which something is"
    return QueueError(text % (errors.shown(kind), frame.PROGRAM), "no_such_kind", "stats")


def show(call: Call, kind: Optional[str], limit: Optional[int]) -> None:
    """Those that ran most first. Raises QueueError where nothing is known of *kind*."""
    database = call.queue().database
    used = usage.of_kinds(database)
    found = [facts_of(row, used) for row in durations.table(database) if kind in (None, row["kind"])]
    if kind is not None and not found:
        raise unknown(kind)
    found.sort(key=lambda facts: (-facts["runs"], facts["kind"]))
    if limit is None and not call.options.json:
        limit = SHOWN
    if call.options.json:
        call.print_json(found[:limit])
        return
    if found:
        terminal.print_table(HEADINGS, [row_of(facts, call.now) for facts in found[:limit]], spare=("CPU", "MEMORY"))
    else:
        terminal.tell("nothing is known yet: jobs that end are counted here by kind")
    if limit is not None and len(found) > limit:
        terminal.tell("there are more: these are the %d that ran most (--limit N shows more)" % limit)


def facts_of(row: Fields, used: Dict[str, usage.Used]) -> Fields:
    recent: List[float] = row.pop("recent")
    facts = dict(row, samples=len(recent), median_seconds=history.median(recent), p95_seconds=history.p95(recent))
    of_late = used.get(row["kind"], usage.Used())
    facts.update(cpu=history.median(of_late.cpu), peak_rss=of_late.peak)
    facts["last_at"] = facts.pop("last_at")  # behind them
    return facts


def row_of(facts: Fields, now: float) -> List[str]:
    failed = "%d %%" % round(100.0 * facts["failures"] / facts["runs"]) if facts["runs"] > 0 else "-"
    last = "-" if facts["last_at"] is None else times.age_text(now - times.seconds_or(facts["last_at"], now)) + " ago"
    long = ["-" if facts[key] is None else times.seconds_text(facts[key]) for key in ("median_seconds", "p95_seconds")]
    cpu = "-" if facts["cpu"] is None else times.seconds_text(facts["cpu"])
    peak = "-" if facts["peak_rss"] is None else "%.0f MB" % max(1, facts["peak_rss"] / 1e6)
    return [str(facts["runs"]), failed, *long, cpu, peak, last, facts["kind"]]
