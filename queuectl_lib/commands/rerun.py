"""`rerun`: jobs that have ended, added again as new ones."""

from __future__ import annotations

import itertools

from queuectl_lib.commands import add, choosing, enqueue, frame, tables, terminal
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.host import interrupts
from queuectl_lib.jobs import fields, states
from queuectl_lib.store import showing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator, List, Sequence, Tuple

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.jobs.making import JobMaker
    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields
    from storage import Queue

# Of one run alone: which job it is, when it was due, that somebody held it, what it came after.
OF_THAT_RUN = ("id", "run_at", "delay", "hold", *fields.EDGE_KEYS)
KEPT = [key for key in fields.JOB_KEYS if key not in OF_THAT_RUN]


@frame.command("rerun", *choosing.CHANGING, shows=True)
def rerun(call: Call) -> int:
    choosing.require(call)
    queue = call.queue()
    ids = choosing.ids_alone(call, queue.database)
    if ids is not None:
        jobs: Iterable[Fields] = ended_jobs(queue.database, ids)
    else:
        chosen = choosing.selection(call, queue.database)
        if call.options.dry_run:
            return tables.dry_run(call, queue, chosen, states.FINAL, "run again")
        guard = choosing.narrow(chosen, states.FINAL)
        jobs = showing.in_order(queue.database, choosing.found(queue.database, chosen, guard), guard)
    rows = rows_of(add.job_maker(call, call.home), jobs)
    first = next(rows, None)
    if first is None:
        code = choosing.nothing(call, "run again")
        call.facts = {"enqueued": 0, "ids": [], "there": []}
        return code
    return add_all(call, queue, [first], rows)


def ended_jobs(database: Database, ids: Sequence[str]) -> Sequence[Fields]:
    """The jobs with these ids. Raises QueueError for one that is not there, or has not ended."""
    jobs = [showing.job(database, identifier) for identifier in ids]
    for job in jobs:
        if job["state"] not in states.FINAL:
            raise QueueError("job %s is %s, and has not ended yet: nothing was added" % (job["id"], job["state"]))
    return jobs


def rows_of(maker: JobMaker, jobs: Iterable[Fields]) -> Iterator[Tuple[object, Sequence[Any]]]:
    """For each its id, and the row of a new job with its fields. Raises QueueError where they cannot be meant."""
    for job in jobs:
        try:
            yield job["id"], maker.row({key: job[key] for key in KEPT if job[key] is not None})
        except BadInput as error:
            raise QueueError("job %s cannot be run again: %s: nothing was added" % (job["id"], error)) from None


def add_all(call: Call, queue: Queue, first: Sequence[Any], rows: Iterator[Any]) -> int:
    """Add them, all or none, and print their ids; say of each that a key kept from being added."""
    options = call.options
    options.verbose, options.skip_existing = not options.quiet, False
    progress = terminal.Progress()
    born: List[str] = []
    interrupts.keep_until_told()
    ids = queue.enqueue_each(itertools.chain(first, rows), born)
    count = enqueue.print_ids(call, ids, progress)
    ids.close()
    for text in born:
        terminal.tell(text)
    if count.given > 1 and not (options.json or options.quiet):
        terminal.tell(count.text())
    return 0
