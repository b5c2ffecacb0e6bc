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
    from typing import Any, Deque, Dict, Iterator, Optional, Sequence

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.jobs.fields import Field
    from queuectl_lib.store.database import Database
    from queuectl_lib.store.said import Running
    from queuectl_lib.store.selecting import Found, Selection
    from queuectl_lib.store.waiting import Reasons
    from queuectl_lib.values import Fields
    from storage import Queue

CELL_CHARACTERS = 30  # of a field beside the command, which shall be seen
ERROR_CHARACTERS = 100  # of what a job died of

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
    shown = [] if options.json else list(jobs)  # of which a table has to know the widest anyway
    if not print_jobs(call, jobs if options.json else iter(shown)):
        terminal.tell("no job matches" if conditions else none_of(database, wanted, among))
    elif more and most is not None and most == limit:
        left = "" if conditions or options.ids or options.json else not_shown(database, wanted or among, shown)
        terminal.tell("there are more: these are the newest %d (--limit N shows more)%s" % (most, left))


def none_of(database: Database, wanted: Sequence[str], among: Sequence[str]) -> str:
    """What is said where no job is in the states *wanted* of those *among*: of failures also where else they are."""
    if not wanted and len(among) == len(states.STATES):
        return "no jobs"
    chosen = sorted(wanted or among)
    said = "no jobs are %s" % " or ".join(chosen)
    if chosen not in (["failed"], ["dead"]):
        return said
    from queuectl_lib.store import looking  # which only these need

    counts = looking.counts(database)
    if chosen == ["failed"] and counts["dead"]:
        said += ": none waits for a retry; {:,} dead: `{} dlq list`"
        return said.format(counts["dead"], frame.PROGRAM)
    if chosen == ["dead"] and counts["failed"]:
        said += "; {:,} failed and will be tried again: `{} list --state failed`"
        return said.format(counts["failed"], frame.PROGRAM)
    return said


def not_shown(database: Database, wanted: Sequence[str], shown: Sequence[Fields]) -> str:
    """How many jobs of the states *wanted* there are beside those *shown*, as the end of a sentence."""
    from queuectl_lib.store import looking  # which only a long list needs

    counts = looking.counts(database)
    for job in shown:
        if job["state"] in counts:
            counts[job["state"]] -= 1
    left = ["{:,} {}".format(counts[state], state) for state in states.STATES if state in wanted and counts[state] > 0]
    return "; not shown: " + ", ".join(left) if left else ""


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
    if known:
        spare = ["ATTEMPTS", *[field.heading for field in reversed(headed)]]
        spare += ["STATE"] * (len({row[1] for row in rows}) == 1) + ["ERROR"]
        terminal.print_table(headings, rows, 1, spare)
    return bool(known)


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
    """By id what each of *jobs* that is dead or failed says of its last failure; of others what a launcher says."""
    failed = [job for job in jobs if job["state"] in ("dead", "failed")]
    put_off = [job for job in jobs if job["state"] == "pending" and str(job["last_error"]).startswith("launcher ")]
    found: Dict[Any, str] = {job["id"]: str(job["last_error"]) for job in put_off}
    if [job for job in jobs if job["state"] == "processing"]:
        from queuectl_lib.store import launched  # which only these need

        troubles = {one["id"]: one["error"] for one in launched.troubles(call.queue().database)}
        found.update((job["id"], troubles[job["id"]]) for job in jobs if job["id"] in troubles)
    if failed:
        from queuectl_lib.store import failure_words  # the same

        found.update(failure_words.texts(call.queue().database, list(reversed(failed))))
    return {key: values.shortened(text, ERROR_CHARACTERS) for key, text in found.items()}


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
