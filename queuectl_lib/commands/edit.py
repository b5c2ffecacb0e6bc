"""`edit`: jobs that wait, changed."""

from __future__ import annotations

from queuectl_lib.commands import add, choosing, frame, tables, terminal
from queuectl_lib.errors import BadInput
from queuectl_lib.host import interrupts
from queuectl_lib.jobs import checks, fields, states
from queuectl_lib.jobs.changes import Change
from queuectl_lib.store import editing, showing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields
    from storage import Queue

KEYS = (
    *("priority", "max_retries", "run_at", "delay", "timeout", "queue", "lock", "cwd", "command"),
    *("launcher", "launcher_args"),
)
NONE = "none"  # the word for no value
EMPTIED = ("timeout", "lock", "launcher_args")  # keys that take it


@frame.command(
    "edit",
    *[one for one in choosing.CHANGING if one not in (choosing.QUEUE, choosing.TAG)],
    *choosing.BESIDE_CHANGES,
    frame.argument("--priority", metavar="N", help="higher runs first"),
    frame.argument("--run-at", metavar="TIME", help="not before this time"),
    frame.argument("--delay", metavar="DURATION", help="not before this long from now"),
    frame.argument("--now", action="store_true", help="due now"),
    frame.argument("--timeout", metavar="DURATION", help="end an attempt that runs longer; none: as the settings say"),
    frame.argument("--max-retries", metavar="N", help="retries after the first attempt"),
    frame.argument("--queue", metavar="NAME", help="the queue that it waits in"),
    frame.argument("--lock", metavar="KEY", help="run only while no other job with this lock runs; none: whenever"),
    frame.argument("--tag", metavar="TAG", action="append", default=[], help="a further tag (repeatable)"),
    frame.argument("--untag", metavar="TAG", action="append", default=[], help="take this tag off (repeatable)"),
    frame.argument("--env", metavar="NAME=VALUE", action="append", default=[], help="set a variable (repeatable)"),
    frame.argument("--unset-env", metavar="NAME", action="append", default=[], help="take a variable out (repeatable)"),
    frame.argument("--cwd", metavar="DIR", help="run in this directory"),
    frame.argument("--launcher", metavar="NAME", help="who starts it elsewhere; none: it runs here"),
    frame.argument("--launcher-args", metavar="WORDS", help="what its launcher is given with it; none: nothing"),
    frame.argument("--no-after", action="store_true", help="come after no other job any more"),
    frame.argument("--command", metavar="TEXT", help="another command line, or -- PROG ARG... (of one job only)"),
    shows=True,
)
def edit(call: Call) -> int:
    if not choosing.is_given(call):
        from queuectl_lib.commands import retyped  # needed only to refuse

        raise BadInput(retyped.who_is_edited(call.said, call.options))
    change = change_of(call)
    queue = call.queue()
    ids = choosing.ids_alone(call, queue.database)
    if "command" in change.columns and (ids is None or len(ids) > 1):
        several = terminal.jobs_text(len(ids)) if ids else "what a selector means"
        raise BadInput("one command for %s: give one id with it" % several)
    if ids is None:
        return edit_selected(call, queue, change)
    interrupts.keep_until_told()
    jobs = editing.edit(queue.database, ids, change, call.now)
    add.tell_returns(call, change.maker)
    add.tell_when(call, change.columns.get("run_at"))
    if call.options.json:
        terminal.acknowledge(terminal.json_text(jobs), "the jobs were changed, but what they are now")
    return 0


def edit_selected(call: Call, queue: Queue, change: Change) -> int:
    """Change what a selector means, each job by itself: what cannot be changed so is left as it is, and counted."""
    chosen = choosing.selection(call, queue.database)
    if call.options.dry_run:
        return tables.dry_run(call, queue, chosen, states.WAITING, "changed")
    verb = editing.Editing(choosing.narrow(chosen, states.WAITING), change, call.now)
    found = choosing.found(queue.database, chosen, verb.guard)
    choosing.change("changed", verb, lambda tell: editing.edit_all(queue.database, found, verb, tell))
    left = ["left %s: %s" % (terminal.jobs_text(verb.left), verb.why)] if verb.left else []
    if call.options.json and verb.found and not verb.refused:
        changed = showing.in_order(queue.database, iter(verb.seqs), states.STATES)
        terminal.print_json_array(changed)
    return choosing.report(call, queue, "changed", verb, *left)


def change_of(call: Call) -> Change:
    """What the options ask for. Raises BadInput."""
    options = call.options
    if options.command is not None and call.words is not None:
        raise BadInput("give one command: as --command TEXT, or as a program and its arguments behind --")
    if (options.run_at is not None) + (options.delay is not None) + options.now > 1:
        raise BadInput("--run-at, --delay and --now contradict each other: give one of them")
    asked: Fields = {key: getattr(options, key) for key in KEYS if getattr(options, key) is not None}
    if call.words is not None:
        asked["command"] = call.words
    if options.now:
        asked["delay"] = 0
    emptied = [key for key in EMPTIED if asked.get(key) == NONE]
    for key in emptied:
        del asked[key]
    for field in fields.FIELDS:
        if field.words and field.key in asked:
            asked[field.key] = field.words(asked[field.key])
    base = call.home if options.cwd is None else options.cwd  # who changes no directory needs to be in none
    change = Change(add.job_maker(call, base), asked, emptied)
    change.with_variables(checks.variables_from_text(options.env), options.unset_env)
    change.with_tags(options.tag, options.untag)
    change.no_after = options.no_after
    if change.is_empty():
        raise BadInput("nothing to change: give at least one option, such as --priority N")
    return change
