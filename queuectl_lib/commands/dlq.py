"""`dlq list`, `dlq retry`, `dlq purge`: the dead letter queue; and `prune`, which deletes what is finished."""

from __future__ import annotations

from queuectl_lib import errors, times, values
from queuectl_lib.commands import cancel, frame, tables, terminal
from queuectl_lib.commands.terminal import Progress
from queuectl_lib.errors import BadInput, HostError, Interrupted
from queuectl_lib.host import interrupts
from queuectl_lib.jobs import states
from queuectl_lib.store import pruning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence, Tuple

    from queuectl_lib.commands.frame import Call


@frame.command(
    "dlq list",
    frame.argument("--limit", metavar="N", default="50", help="the newest N (default 50)"),
    shows=True,
)
def dlq_list(call: Call) -> int:
    limit = values.count_from_text(call.options.limit, "--limit", 1000000000)
    tables.show_jobs(call, ["dead"], limit)
    return 0


@frame.command(
    "dlq retry",
    frame.argument("ids", metavar="ID", nargs="*"),
    frame.argument("--all", action="store_true", help="all of them"),
)
def dlq_retry(call: Call) -> int:
    if bool(call.options.ids) == call.options.all:
        raise BadInput("give either the ids of dead jobs or --all")
    interrupts.keep_until_told()
    if call.options.ids:
        cancel.tell_kept(call.queue().requeue(values.unique(call.options.ids), ("dead",), call.now))
        return 0
    queue = call.queue()
    held: List[str] = []
    kept: List[Tuple[str, str]] = []
    count, refused = queue.requeue_dead(call.now, held, kept)
    said = ["requeued %s" % terminal.jobs_text(count)]
    if held:
        said.append("left %s dead: another job with the same key waits or runs" % terminal.jobs_text(len(held)))
    if refused:
        raise HostError("; ".join(said + [refusal_of(queue.path, refused)]))
    for text in said:
        terminal.tell(text)
    cancel.tell_kept(kept)
    return 0


NAMED = 5  # of the jobs that are left, each with its reason


def refusal_of(path: str, refused: Sequence[Tuple[str, str]]) -> str:
    """Which jobs stay dead although they should not, and why."""
    named = ["%s: %s" % (errors.printable(identifier), errors.printable(why)) for identifier, why in refused[:NAMED]]
    if refused[NAMED:]:
        named.append("and %d more" % len(refused[NAMED:]))
    text = "left %s dead, which %s refuses to change (%s): look at its constraints and triggers"
    return text % (terminal.jobs_text(len(refused)), errors.printable(path), "; ".join(named))


@frame.command("dlq purge", shows=True)
def dlq_purge(call: Call) -> int:
    return delete_jobs(call, ["dead"], 0, False)


@frame.command(
    "prune",
    frame.argument("--state", metavar="S[,S]", help="which (default: completed,cancelled)"),
    frame.argument("--older-than", metavar="AGE", default="0", help="only those that finished this long ago: 7d, 12h"),
    frame.argument("--quiet", action="store_true", help="print nothing when it worked"),
    shows=True,
)
def prune(call: Call) -> int:
    wanted = states.check_states(call.options.state) or ["cancelled", "completed"]
    for state in wanted:
        if state not in states.FINAL:
            raise BadInput("jobs that are %s are not finished: cancel them first" % state)
    age = times.parse_duration(call.options.older_than, "--older-than")
    return delete_jobs(call, wanted, age, call.options.quiet)


def delete_jobs(call: Call, states: Sequence[str], age: float, quiet: bool) -> int:
    progress, so_far = Progress(), [0]

    def show(count: int) -> None:
        so_far[0] = count
        progress.show("deleted %s" % terminal.jobs_text(count))

    try:
        try:
            deleted = pruning.prune(call.queue().database, states, max(0.0, call.now - age), show)
        finally:
            progress.end()
        if call.options.json:
            terminal.acknowledge(terminal.json_text({"deleted": deleted}), "the jobs were deleted, but their number")
        elif not quiet:
            terminal.tell("deleted %s" % terminal.jobs_text(deleted))
    except KeyboardInterrupt:
        if not so_far[0]:
            raise
        were = "was" if so_far[0] == 1 else "were"
        raise Interrupted("interrupted after %s %s deleted" % (terminal.jobs_text(so_far[0]), were)) from None
    return 0
