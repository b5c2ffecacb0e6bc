"""`enqueue`: jobs from JSON, all or none."""

from __future__ import annotations

import itertools

from queuectl_lib.commands import add, frame, terminal
from queuectl_lib.commands.terminal import Progress
from queuectl_lib.errors import BadInput, Interrupted
from queuectl_lib.host import files, interrupts
from queuectl_lib.jobs import reading, sources
from queuectl_lib.jobs.ids import Holder
from queuectl_lib.store import bulk  # noqa: F401 - before input is waited for: our files may be replaced meanwhile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Tuple

    from queuectl_lib.commands.frame import Call


@frame.command(
    "enqueue",
    frame.argument("text", nargs="?", metavar="JSON", help="the jobs, or - to read them from standard input"),
    frame.argument("--file", metavar="F", help="read them from this file"),
    frame.argument("--any-state", action="store_true", help="also jobs that ran, or run now, as new ones"),
    frame.argument("--make-queues", action="store_true", help="make the queues that they name and that there are not"),
    frame.argument("--quiet", action="store_true", help="print nothing when it worked"),
    frame.argument("--verbose", action="store_true", help="say which jobs a key kept from being added"),
    shows=True,
)
def enqueue(call: Call) -> int:
    options = call.options
    if call.words is not None:
        raise BadInput("enqueue takes JSON: a program behind -- goes with add")
    if (options.text is None) == (options.file is None):
        raise BadInput("give one source: JSON, - for standard input, or --file F")
    maker = add.job_maker(call, makes_queues=options.make_queues)
    maker.any_state = options.any_state
    queue = call.queue()
    progress = Progress()
    with sources.open_source(options.text, options.file) as source:
        try:
            rows = reading.checked_rows(maker, reading.read_jobs(source, progress.jobs_read))
            first = [next(rows)]  # what begins with a mistake does not even make a home
            files.make_home(call.home)
            interrupts.keep_until_told()
            born: List[str] = []
            ids = queue.enqueue_each(itertools.chain(first, rows), born)
            given, added = print_ids(call, ids, progress)
            ids.close()
        finally:
            progress.end()
    for text in born:
        terminal.tell(text)
    if given > 1 and not (options.json or options.quiet):
        terminal.tell("enqueued %s" % terminal.jobs_text(added))
    return 0


def print_ids(call: Call, ids: Iterator[str], progress: Progress) -> Tuple[int, int]:
    """Take up the ids as they come, and print them; returns how many came, and how many of them are new."""
    options, found = call.options, []
    given = held = 0
    is_silent = options.quiet and not (options.verbose or options.json)
    try:
        for identifier in itertools.islice(ids, 1) if is_silent else ids:  # with the first one all are safe
            if not given:
                progress.end()
            given += 1
            if isinstance(identifier, Holder):
                held += 1
                if options.verbose:
                    add.tell_holder(identifier)
            if options.json:
                found.append(identifier)
            elif not options.quiet:
                terminal.acknowledge(identifier + "\n", "the jobs were added, but their ids", given == 1)
    except KeyboardInterrupt:
        if not given:
            raise
        raise Interrupted("the jobs were added, but not all that there is to say was printed: interrupted") from None
    if options.json:
        terminal.acknowledge(
            terminal.json_text({"enqueued": given - held, "ids": found}), "the jobs were added, but their ids"
        )
    elif not options.quiet:
        terminal.acknowledge("", "the jobs were added, but their ids")
    return given, given - held
