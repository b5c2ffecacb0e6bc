"""Jobs as rows of a table."""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.commands import terminal
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system
from queuectl_lib.jobs import fields, states
from queuectl_lib.store import showing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.jobs.fields import Field
    from queuectl_lib.values import Fields

CELL_CHARACTERS = 30  # of a field beside the command, which shall be seen


def show_jobs(call: Call, wanted: Sequence[str], limit: int) -> None:
    """Print the newest *limit* jobs in the states *wanted*, or in all."""
    jobs, more = showing.jobs(call.queue().database, wanted, limit)
    if call.options.json:
        call.print_json(jobs)
    elif jobs:
        headed = [field for field in fields.FIELDS if field.heading]
        headings = ["ID", "STATE", "ATTEMPTS", "WHEN"] + [field.heading for field in headed] + ["COMMAND"]
        rows = []
        for job in jobs:
            row = [as_it_stands(job["id"]), as_it_stands(job["state"])]
            row.append("%s/%s" % (as_it_stands(job["attempts"]), as_it_stands(one_more(job["max_retries"]))))
            row.append(time_that_matters(job, call.now))
            row += [cell_of(field, job[field.key]) for field in headed]
            rows.append(row + [fields.shown(system.typed, job["command"])])
        terminal.print_table(headings, rows, 1)
    else:
        terminal.tell("no jobs" if not wanted else "no jobs are %s" % " or ".join(wanted))
    if more:
        terminal.tell("there are more: these are the newest %d (--limit N shows more)" % limit)


def as_it_stands(value: Any) -> str:
    return "-" if value is None else str(value)


def one_more(retries: Any) -> Any:
    return retries + 1 if isinstance(retries, int) else retries


def cell_of(field: Field, value: Any) -> str:
    """What `list` says of a field in a column of its own."""
    text = "-" if value is None else fields.shown(field.shown, value)
    return text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 3] + "..."


def time_that_matters(job: Fields, now: float) -> str:
    """The time that matters in a job's state, seen from now."""
    try:
        if job["state"] in states.WAITING and job["hold"]:
            return "held"
        if job["state"] in states.WAITING:
            others = [parent for key in fields.EDGE_KEYS for parent in job[key]]
            if others:
                return "after " + (others[0] if len(others) == 1 else "%d jobs" % len(others))
            due = times.utc_seconds(job["next_run_at"])
            return "due in " + times.age_text(due - now) if due > now + 1 else "due"
        if job["state"] == "processing":
            return "for " + times.age_text(now - times.utc_seconds(job["started_at"]))
        return times.age_text(now - times.utc_seconds(job["finished_at"])) + " ago"
    except BadInput:
        return "?"  # what stands there is no time
