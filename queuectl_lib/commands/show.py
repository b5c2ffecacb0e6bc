"""`show`: one job, its attempts in a table and the end of what the last one wrote; with --all everything."""

from __future__ import annotations

import itertools
import sys

from queuectl_lib import errors
from queuectl_lib.commands import attempts, choosing, frame, terminal
from queuectl_lib.jobs import fields, local_time
from queuectl_lib.reports import rounds
from queuectl_lib.store import output, showing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call
    from queuectl_lib.jobs.local_time import Screen
    from queuectl_lib.values import Fields
    from storage import Queue

ALL = frame.argument("--all", action="store_true", help="all jobs; beside an ID or a condition: all there is of these")
TIMES = frozenset(
    ("run_at", "next_run_at", "scheduled_at", "created_at", "updated_at", "started_at", "finished_at"),
)


@frame.command("show", *[ALL if one is choosing.ALL else one for one in choosing.SELECTORS], shows=True)
def show(call: Call) -> int:
    queue, options = call.queue(), call.options
    is_asked, options.all = options.all, False
    some = choosing.is_given(call)
    options.all = is_asked and not some
    ids = choosing.each_id(call, queue)
    if not options.json:
        for number, identifier in enumerate(ids):
            terminal.print_text("\n" * (number > 0))
            show_job(call, queue, showing.job(queue.database, identifier), is_asked and some)
        return 0
    jobs = (
        output.with_output(queue.database, showing.job(queue.database, identifier), output.JSON_BYTES)
        for identifier in ids
    )
    first = next(jobs)  # an unknown id leaves stdout empty
    if len(options.ids) == 1 and not choosing.conditions(call):
        call.print_json(first)
    else:
        terminal.print_json_array(itertools.chain([first], jobs))
    return 0


def show_job(call: Call, queue: Queue, job: Fields, in_full: bool) -> None:
    """Print one job. On a terminal what was not set is left out, unless *in_full*."""
    screen = local_time.Screen()
    is_short = terminal.is_terminal(sys.stdout) and not in_full
    for field in fields.FIELDS:
        if field.key in job and field.key not in ("history", "reason"):  # which last_error says in words
            value = job[field.key]
            if field.key in TIMES and value is not None:
                text = screen.text(value)
            else:
                text = "-" if value is None else fields.shown(field.shown, value)
            if field.key == "signature" and value is not None:
                text += what_it_says(queue, value)
            elif field.key == "attempts" and rounds.in_all(job) != value:
                text += " (%d in all)" % rounds.in_all(job)
            if not (is_short and (text == "-" or value is False)):
                terminal.print_text("%-14s%s\n" % (field.key, errors.printable(text)))
    if in_full:
        show_all_attempts(queue, job, screen)
    elif job["history"]:
        attempts.show_table(queue, job, call.now, screen)
        attempts.show_last(queue, job)


def show_all_attempts(queue: Queue, job: Fields, screen: Screen) -> None:
    marks = rounds.put_back(job)
    for place, attempt in enumerate(job["history"]):
        terminal.print_text("\n%s\n" % attempts.MARK if place in marks else "")
        attempts.show_in_full(queue, job["id"], attempt, screen)
    if len(job["history"]) in marks:
        terminal.print_text("\n%s\n" % attempts.MARK)


def what_it_says(queue: Queue, signature: object) -> str:
    """What is known of the failures with this signature."""
    from queuectl_lib.store import groups  # which only a job that has failed needs

    return "".join(" (%s)" % text for text in groups.texts(queue.database, [signature]).values())
