"""Jobs as rows of a table."""

from __future__ import annotations

import collections

from queuectl_lib import times, values
from queuectl_lib.commands import choosing, frame, terminal
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system
from queuectl_lib.jobs import fields, states
from queuectl_lib.store import showing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Deque, Dict, Iterator, List, Optional, Sequence

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.jobs.fields import Field
    from queuectl_lib.store.said import Running
    from queuectl_lib.store.selecting import Found, Selection
    from queuectl_lib.store.waiting import Reasons
    from queuectl_lib.values import Fields
    from storage import Queue

CELL_CHARACTERS = 30  # of a field beside the command, which shall be seen
LEAST_CHARACTERS = 16  # of what a job died of, and of its command, where a terminal has little room


SHOWN_JOBS = 50  # unless a call says otherwise
LIMIT = frame.argument("--limit", metavar="N", help="at most the newest N (default %d, with --json all)" % SHOWN_JOBS)


def show_jobs(call: Call, among: Sequence[str]) -> None:
    """Print the newest jobs that the call means, of those in the states *among*."""
    options, database = call.options, call.queue().database
    wanted = states.check_states(options.state)
    conditions = [name for name in choosing.conditions(call) if name not in ("--state", "--last")]
    limit = None if options.limit is None else values.count_from_text(options.limit, "--limit", 1000000000)
    last = None if options.last is None else values.count_from_text(options.last, "--last", 1000000000)
    if limit is None and not (options.json or options.all or last):
        limit = SHOWN_JOBS
    most = min(one for one in (limit, last) if one) if limit or last else None
    if most is not None and most <= SHOWN_JOBS and not (conditions or options.ids):
        chosen = [state for state in among if not wanted or state in wanted]
        found, more = showing.jobs(database, chosen if len(chosen) < len(states.STATES) else (), most)
        jobs = iter(found)
    else:
        from queuectl_lib.store import selecting  # which most calls need not

        selection = choosing.selection(call, database, among)
        selection.last = None
        pairs, more = selecting.newest(database, selection, most)
        jobs = showing.in_order(database, pairs, selection.states)
    if not print_jobs(call, jobs):
        word = " or ".join(sorted(wanted or among)) if wanted or len(among) < len(states.STATES) else ""
        said = "no jobs are %s" % word if word else "no jobs"
        terminal.tell("no job matches" if conditions else said)
    if more and most is not None and most == limit:
        terminal.tell("there are more: these are the newest %d (--limit N shows more)" % most)


def print_jobs(call: Call, jobs: Iterator[Fields]) -> bool:
    """Print *jobs* as JSON, one at a time, or as a table; False where a table would have no row."""
    jobs = with_progress(call, jobs)
    if getattr(call.options, "json", False):
        terminal.print_json_array(jobs)
        return True
    known = list(jobs)
    headed = [field for field in fields.FIELDS if field.heading and any(job[field.key] for job in known)]
    told = errors_of(call, known)
    headings = ["ID", "STATE", "ATTEMPTS", "WHEN"] + [field.heading for field in headed]
    headings += ["ERROR"] * bool(told) + ["COMMAND"]
    rows, why, long = [], reasons(call, known), unusual(call, known)
    for job in known:
        row = [as_it_stands(job["id"]), as_it_stands(job["state"])]
        row.append("%s/%s" % (as_it_stands(job["attempts"]), as_it_stands(one_more(job["max_retries"]))))
        row.append(time_that_matters(job, call.now, why) + long.get(job["id"], ""))
        row += [cell_of(field, job[field.key]) for field in headed]
        row += [told.get(job["id"], "-")] * bool(told)
        rows.append(row + [fields.shown(system.typed, job["command"])])
    if told:
        make_room(headings, rows)
    if known:
        terminal.print_table(headings, rows, 1)
    return bool(known)


def make_room(headings: Sequence[str], rows: Sequence[List[str]]) -> None:
    """Cut the errors, before the last column, so far that a terminal shows the beginning of each command."""
    columns = terminal.columns()
    if columns is None:
        return
    widths = [max(len(row[i]) for row in [list(headings), *rows]) + 2 for i in range(len(headings) - 2)]
    most = max(LEAST_CHARACTERS, columns - sum(widths) - 2 - LEAST_CHARACTERS)
    for row in rows:
        row[-2] = shortened(row[-2], most)


def with_progress(call: Call, jobs: Iterator[Fields]) -> Iterator[Fields]:
    """Each of *jobs* with how far it says it is, where it runs and does."""
    running: Optional[Running] = None
    for job in jobs:
        if job["state"] == "processing":
            if running is None:
                from queuectl_lib.store import said  # which only these need

                running = said.Running(call.queue().database)
            job["progress"] = running.progress_of(job)
        yield job


def dry_run(call: Call, queue: Queue, chosen: Selection, fits: Sequence[str], done: str) -> int:
    """Show the newest of the jobs that the call would change, and how many they are."""
    if chosen.ids is not None and not choosing.conditions(call):
        choosing.refuse_unfit(queue, chosen, fits, done)
    guard = choosing.narrow(chosen, fits)
    count = 0
    newest: Deque[Found] = collections.deque(maxlen=None if getattr(call.options, "json", False) else SHOWN_JOBS)
    for pair in choosing.found(queue.database, chosen, guard):
        newest.append(pair)
        count += 1
    if not count:
        return choosing.nothing(call, done)
    print_jobs(call, showing.in_order(queue.database, iter(newest), guard))
    more = ", of which these are the newest" if len(newest) < count else ""
    terminal.tell("%s would be %s%s" % (terminal.jobs_text(count), done, more))
    return 0


def as_it_stands(value: Any) -> str:
    return "-" if value is None else str(value)


def one_more(retries: Any) -> Any:
    return retries + 1 if isinstance(retries, int) else retries


def cell_of(field: Field, value: Any) -> str:
    """What `list` says of a field in a column of its own."""
    text = "-" if value is None else fields.shown(field.shown, value)
    return text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 3] + "..."


def reasons(call: Call, jobs: Sequence[Fields]) -> Optional[Reasons]:
    """What keeps those of *jobs* that wait from starting; None where none does."""
    waits = [job for job in jobs if job["state"] in states.WAITING]
    if not waits:
        return None
    from queuectl_lib.store import waiting  # which only these need

    return waiting.reasons(call.queue().database, waits, call.now)


def errors_of(call: Call, jobs: Sequence[Fields]) -> Dict[Any, str]:
    """What is said of the last failure of those of *jobs* that are dead or failed, by id; empty where nothing tells."""
    failed = [job for job in jobs if job["state"] in ("dead", "failed") and job["signature"] is not None]
    if not failed:
        return {}
    from queuectl_lib.store import groups  # which only these need

    texts = groups.texts(call.queue().database, [job["signature"] for job in failed])
    if not any(groups.tells_more(text) for text in texts.values()):
        return {}
    return {job["id"]: shortened(texts[job["signature"]]) for job in failed if job["signature"] in texts}


def shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def unusual(call: Call, jobs: Sequence[Fields]) -> Dict[Any, str]:
    """What is said, by id, of those of *jobs* that run unusually long."""
    if not [job for job in jobs if job["state"] == "processing"]:
        return {}
    from queuectl_lib.reports import history  # which only these need

    found = history.long_ones(call.queue().database, jobs, call.now)
    return {key: ", usually " + history.usual_text(facts) for key, facts in found.items()}


def time_that_matters(job: Fields, now: float, why: Optional[Reasons] = None) -> str:
    """The time that matters in a job's state, seen from now; or *why* it does not start."""
    try:
        if job["state"] in states.WAITING and job["hold"]:
            return "held"
        if job["state"] in states.WAITING:
            others = [parent for key in fields.EDGE_KEYS for parent in job[key]]
            if others:
                return "after " + (others[0] if len(others) == 1 else "%d jobs" % len(others))
            due = times.utc_seconds(job["next_run_at"])
            if due > now + 1:
                return "due in " + times.age_text(due - now)
            return (why.of(job) if why else None) or "due"
        if job["state"] == "processing":
            age = "for " + times.age_text(now - times.utc_seconds(job["started_at"]))
            far = job.get("progress") and values.progress_text(job["progress"])
            return "%s, %s" % (age, far if len(far) <= CELL_CHARACTERS else far[:27] + "...") if far else age
        return times.age_text(now - times.utc_seconds(job["finished_at"])) + " ago"
    except BadInput:
        return "?"  # what stands there is no time
