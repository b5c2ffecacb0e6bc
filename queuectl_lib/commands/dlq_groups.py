"""`dlq groups`, and `dlq retry --canary`: dead letters by what they died of, and one of a group sent first."""

from __future__ import annotations

from queuectl_lib import times, values
from queuectl_lib.commands import cancel, choosing, frame, tables, terminal
from queuectl_lib.errors import BadInput, Interrupted
from queuectl_lib.store import canary, groups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.store.groups import Group
    from queuectl_lib.values import Fields

DEAD = ["dead"]
SHOWN_GROUPS = 50


@frame.command(
    "dlq groups",
    frame.argument("--limit", metavar="N", help="at most the N largest (default %d, with --json all)" % SHOWN_GROUPS),
    shows=True,
)
def dlq_groups(call: Call) -> int:
    options, database = call.options, call.queue().database
    limit = None if options.limit is None else values.count_from_text(options.limit, "--limit", 1000000000)
    if limit is None and not options.json:
        limit = SHOWN_GROUPS
    found = groups.of_dead(database)
    shown, first = found[:limit], canary.firsts(database)
    names = groups.shortest(group.signature for group in found)
    if options.json:
        groups.look_into(database, shown)
        call.print_json([as_json(group, first) for group in shown])
        return 0
    if not shown:
        terminal.tell("no jobs are dead")
        return 0
    rows = []
    for group in shown:
        when = [ago(call, group.first_at), ago(call, group.last_at)]
        rows.append([names[group.signature], str(group.jobs), *when, group.text or "?"])
    terminal.print_table(["GROUP", "JOBS", "FIRST", "LAST", "ERROR"], rows)
    if len(found) > len(shown):
        terminal.tell("there are more: these are the largest %d (--limit N shows more)" % len(shown))
    for group in shown:
        if group.signature in first:
            one = first[group.signature]
            words = dict(one, group=names[group.signature], wait="waits" if one["waiting"] == 1 else "wait")
            terminal.tell("job %(id)s goes first for %(group)s; %(waiting)d %(wait)s for it" % words)
    return 0


def as_json(group: Group, first: Dict[str, Fields]) -> Fields:
    return {
        "group": group.signature,
        "jobs": group.jobs,
        "text": group.text or None,
        "verdict": group.text.partition(": ")[0] or None,
        "first_at": group.first_at or None,
        "last_at": group.last_at or None,
        "failures": group.failures,
        "sample": group.ids[: groups.SAMPLE],
        "kinds": group.kinds,
        "canary": first.get(group.signature),
    }


def ago(call: Call, moment: str) -> str:
    """A time as it is stored, as seen from now."""
    try:
        return times.age_text(call.now - times.utc_seconds(moment)) + " ago"
    except BadInput:
        return "?"


def send_first(call: Call) -> int:
    """`dlq retry --group G --canary`: the oldest that is meant goes, and the others wait for it."""
    if call.options.group is None:
        raise BadInput("--canary sends one job of a group first: give the group, too (--group GROUP)")
    queue = call.queue()
    chosen = choosing.selection(call, queue.database, DEAD)
    if call.options.dry_run:
        return tables.dry_run(call, queue, chosen, DEAD, "requeued, the oldest first and the others once it succeeds")
    found = choosing.found(queue.database, chosen, DEAD)
    progress = terminal.Progress()
    try:
        sent = canary.send(queue.database, found, str(chosen.signature), call.now, lambda: progress.show("looking"))
    except KeyboardInterrupt:
        raise Interrupted("interrupted: nothing was requeued") from None
    finally:
        progress.end()
    kept = [identifier for identifier, _ in sent.kept]
    facts: Fields = {"requeued": 1, "ids": [sent.id], "left": sent.held + sent.behind, "left_cancelled": kept}
    call.facts = dict(facts, waiting=sent.waiting)
    if not call.options.quiet:
        waits = "nothing waits" if not sent.waiting else "1 waits" if sent.waiting == 1 else "%d wait" % sent.waiting
        terminal.tell("%s goes first; %s for it" % (sent.id, waits))
        for text in cancel.left_behind(sent.held, sent.behind, " dead"):
            terminal.tell(text)
    cancel.tell_kept(sent.kept)
    return 0
