"""`dlq list`, `dlq retry`, `dlq purge`: the dead letter queue; and `prune`, which deletes what is finished."""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.commands import cancel, choosing, frame, tables
from queuectl_lib.errors import BadInput
from queuectl_lib.host import interrupts
from queuectl_lib.jobs import states
from queuectl_lib.store import pruning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

    from queuectl_lib.commands.frame import Call

DEAD = ["dead"]
# Taken, but told of by no help: all there are dead.
STATE = frame.argument("--state", help=frame.HIDDEN)


def of_dead(arguments: Sequence[Any]) -> Sequence[Any]:
    """The same arguments, where the state is no question."""
    return [STATE if one is choosing.STATE else one for one in arguments]


def refuse_states(call: Call) -> None:
    """Raise BadInput where another state than dead is asked for."""
    wanted = states.check_states(call.options.state)
    if wanted not in ([], DEAD):
        others = ",".join(state for state in wanted if state != "dead")
        raise BadInput("--state: what is in the dead letter queue is dead: `list --state %s` lists the others" % others)


@frame.command("dlq list", *of_dead(choosing.SELECTORS), tables.LIMIT, shows=True)
def dlq_list(call: Call) -> int:
    refuse_states(call)
    tables.show_jobs(call, DEAD)
    return 0


@frame.command(
    "dlq retry",
    *of_dead(choosing.CHANGING),
    frame.argument(
        "--canary", action="store_true", help="the oldest of the group goes first, the others once it has succeeded"
    ),
    frame.argument("--limit", metavar="N", dest="oldest", help="at most the oldest N"),
    shows=True,
)
def dlq_retry(call: Call) -> int:
    refuse_states(call)
    if call.options.canary:
        from queuectl_lib.commands import dlq_groups

        return dlq_groups.send_first(call)
    choosing.require(call)
    return cancel.put_back(call, DEAD, DEAD, left=" dead", may_be_none=call.options.all)


@frame.command("dlq purge", *of_dead(choosing.CHANGING), shows=True)
def dlq_purge(call: Call) -> int:
    refuse_states(call)
    return delete_jobs(call, DEAD, 0)


@frame.command(
    "prune",
    *[one for one in choosing.CHANGING if one is not choosing.STATE],
    frame.argument("--state", metavar="S[,S]", help="which (default: completed,cancelled)"),
    frame.argument("--older-than", metavar="AGE", default="0", help="only those that finished this long ago: 7d, 12h"),
    shows=True,
)
def prune(call: Call) -> int:
    wanted = states.check_states(call.options.state) or ["cancelled", "completed"]
    for state in wanted:
        if state not in states.FINAL:
            raise BadInput("jobs that are %s are not finished: cancel them first" % state)
    return delete_jobs(call, wanted, times.parse_duration(call.options.older_than, "--older-than"))


def delete_jobs(call: Call, among: Sequence[str], age: float) -> int:
    """Delete what the call means of the jobs in the states *among*: all of them where it names none."""
    options, queue = call.options, call.queue()
    chosen = choosing.selection(call, queue.database, among)
    given = set(choosing.conditions(call)) - {"--state"}
    ids_alone = chosen.ids is not None and not given and not age
    chosen.finished_before = None if ids_alone else times.utc_text(max(0.0, call.now - age))
    since = "ended more than %s ago" % times.exact_age(age) if age else ""  # so that it is seen what 7 means: 7s
    if options.dry_run:
        done = "deleted" + (", of those that %s" % since if since else "")
        return tables.dry_run(call, queue, chosen, among, done)
    verb = pruning.Deleting(choosing.narrow(chosen, among), chosen.finished_before)
    if ids_alone and chosen.ids is not None:
        interrupts.keep_until_told()
        pruning.delete_ids(queue.database, chosen.ids, verb, call.now)
    else:
        found = choosing.found(queue.database, chosen, verb.states)
        choosing.change("deleted", verb, lambda tell: pruning.delete(queue.database, found, verb, tell))
    verb.found += not given and chosen.ids is None  # who says no more than which states does not mind that none is
    code = choosing.report(call, queue, "deleted", verb, which=" that %s" % since if since else "")
    call.facts = {"deleted": verb.changed, "ids": chosen.ids if ids_alone else None}
    return code
