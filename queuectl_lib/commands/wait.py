"""`wait`: until jobs are final."""

from __future__ import annotations

import sys

from queuectl_lib import errors, times, values
from queuectl_lib.commands import choosing, frame, terminal, waiting_for
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system
from queuectl_lib.jobs import ids as job_ids
from queuectl_lib.store import awaited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.commands.waiting_for import Waiting
    from queuectl_lib.store.awaited import Awaited
    from queuectl_lib.values import Fields
    from storage import Queue

TIMED_OUT = 124


@frame.command(
    "wait",
    *choosing.SELECTORS,
    frame.argument("--timeout", metavar="DURATION", help="give up after this long"),
    frame.argument("--any", action="store_true", help="only until the first is final; print the ids of those that are"),
    frame.argument("--exit-code", action="store_true", help="exit with the code of the one job that is named"),
    frame.argument("--verbose", action="store_true", help="say failures as they come, where no terminal is, too"),
    shows=True,
)
def wait(call: Call) -> int:
    queue, options = call.queue(), call.options
    reads, options.ids = "-" in options.ids, given_ids(options.ids)
    limit = None if options.timeout is None else times.parse_duration(options.timeout, "--timeout")
    if options.exit_code and (len(options.ids) != 1 or choosing.conditions(call) or options.any):
        raise BadInput("--exit-code is that of one job: give one id, and nothing that selects others")
    look = awaited.of_ids(queue.database, []) if reads and not options.ids else what_to_count(call, queue)
    waiting = waiting_for.Waiting(queue, look, is_bare=look.names is None and not choosing.conditions(call))
    waiting.is_any = options.any
    waiting.tells_failures = options.verbose or terminal.is_terminal(sys.stderr)
    waiting.tells_all = options.verbose
    waiting.until_final(limit, call.now)
    code = tell_what_became(call, waiting)
    if options.exit_code and not look.open:
        return code_of(look)
    return code


def given_ids(words: List[str]) -> List[str]:
    """The ids that the call names; those on standard input in place of a `-`. Raises BadInput."""
    found: List[str] = []
    for word in words:
        some = read_words() if word == "-" else [word]
        found += [job_ids.check_id(one) for one in some]
    if "-" in words and not found:
        terminal.tell("no id came on standard input: there is nothing to wait for")
    return values.unique(found)


def read_words() -> List[str]:
    """What stands on standard input, blanks and line ends between."""
    with open(0, "rb", closefd=False) as stdin:
        return stdin.read().decode("utf-8-sig", "surrogateescape").split()


def what_to_count(call: Call, queue: Queue) -> Awaited:
    """The jobs that the call means; where it says nothing, all that are open now."""
    ids = choosing.ids_alone(call, queue.database)
    if ids is not None:
        return awaited.of_ids(queue.database, ids)
    if not choosing.conditions(call):
        return awaited.all_open(queue.database)
    return awaited.selected(queue.database, choosing.selection(call, queue.database))


def tell_what_became(call: Call, waiting: Waiting) -> int:
    """Say how many are how; the exit code of that."""
    look, left = waiting.look, waiting.left
    counts, missed = look.counts(), look.failed()
    not_needed = sum(fields["not_needed"] for fields in awaited.of(look.database, missed))
    is_late = bool(look.open) and not left and not waiting.has_one()
    if call.options.json:
        facts: Fields = {"not_needed": not_needed, "for_a_person": len(look.open) if left else 0}
        if look.names is not None or not waiting.is_bare:
            from queuectl_lib.store import said  # which few calls need

            facts["results"] = said.results(look.database, look.ids())
        facts["not_completed"] = list(look.not_completed())
        if waiting.is_any:
            facts["ended"] = ended_ids(look)
        call.print_json(dict(counts, **facts, timed_out=is_late))
    elif waiting.has_one():
        terminal.print_text("".join(errors.printable(identifier) + "\n" for identifier in ended_ids(look)))
    if left:
        terminal.tell(waiting_for.words_of(left, len(look.open)))
    elif is_late:
        jobs = len(look.open)
        terminal.tell("timed out: %s not final" % ("1 job is" if jobs == 1 else "%d jobs are" % jobs))
        return TIMED_OUT
    failures = {"dead": counts["dead"], "cancelled": counts["cancelled"] - not_needed}
    failures["deleted before they were seen to end"] = len(look.gone)
    said_of = ["%d %s" % (number, what) for what, number in failures.items() if number]
    if said_of:
        terminal.tell("not all completed: %s" % ", ".join(said_of))
    return 1 if said_of else 0


def ended_ids(look: Awaited) -> List[str]:
    return [fields["id"] for fields in awaited.of(look.database, look.ended())]


def code_of(look: Awaited) -> int:
    """The exit code of the one job, which is final: never 0 where it has not completed."""
    for fields in awaited.of(look.database, list(look.found)):
        code, has_completed = fields["exit_code"], fields["state"] == "completed"
        if type(code) is int and code > 0:
            return system.fitting_code(code)
        return 0 if has_completed else 1
    return 1
