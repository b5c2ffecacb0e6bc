"""`add`: enqueue one command."""

from __future__ import annotations

import os
import sys

from queuectl_lib import contexts, errors
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.host import files, interrupts, system
from queuectl_lib.jobs import checks, fields
from queuectl_lib.jobs.ids import Holder
from queuectl_lib.jobs.making import JobMaker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Union

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields
    from storage import Queue

JOB_ARGUMENTS = [
    frame.argument(field.flag, dest=field.key, **field.option) for field in fields.FIELDS if field.option
] + [
    frame.argument("--quiet", action="store_true", help="print nothing when it worked"),
    frame.argument("--verbose", action="store_true", help="say so where a key kept a job from being added"),
]


@frame.command(
    "add",
    frame.argument("command", nargs="?", help="the command line for the shell"),
    *JOB_ARGUMENTS,
    shows=True,
)
def add(call: Call) -> int:
    options = call.options
    if (options.command is None) == (call.words is None):
        raise BadInput("give one command: as one word in quotes, or as a program and its arguments behind --")
    asked: Fields = {"command": options.command if call.words is None else call.words}
    for field in fields.FIELDS:
        value = getattr(options, field.key) if field.option else None
        if value is not None:
            asked[field.key] = field.words(value) if field.words else value
    row = job_maker(call, options.cwd).row(asked)
    queue = call.queue()
    files.make_home(call.home)
    interrupts.keep_until_told()
    born: List[str] = []
    identifier = queue.enqueue(row, born)
    for text in born:
        terminal.tell(text)
    if options.verbose:
        tell_holder(identifier)
    if options.json:
        from queuectl_lib.store import showing  # which most calls need not

        job = showing.job(queue.database, identifier)
        del job["history"]
    if options.json or not options.quiet:
        how = "is there already" if isinstance(identifier, Holder) else "was added"
        text = terminal.json_text(job) if options.json else identifier + "\n"
        terminal.acknowledge(text, "job %s %s, but its id" % (identifier, how))
    if terminal.is_terminal(sys.stderr) and not options.quiet:
        tell_failures(queue, asked)
    return 0


def tell_holder(identifier: str) -> None:
    """Say so where *identifier* stands for a job that was not added."""
    if isinstance(identifier, Holder):
        key = errors.shown(identifier.key)
        terminal.tell("job %s with the key %s is %s: nothing was added" % (identifier, key, identifier.state))


def tell_failures(queue: Queue, asked: Fields) -> None:
    """Say so where jobs of this kind fail more often than not."""
    from queuectl_lib.jobs import kinds  # which only a person needs
    from queuectl_lib.store import durations

    runs = failures = 0
    with contexts.suppress(QueueError):  # the job was added, all the same
        runs, failures = durations.tally(queue.database, kinds.of(asked.get("name"), asked["command"]))
    if runs >= 5 and 2 * failures >= runs:
        terminal.tell("of %d runs of this kind so far %d failed" % (runs, failures))


def job_maker(call: Call, cwd: Optional[str] = None, makes_queues: bool = False) -> JobMaker:
    base = cwd if cwd and os.path.isabs(cwd) else system.current_directory()
    settings = call.config()
    if settings.shell is not None:
        from queuectl_lib.jobs import interpreters  # which few homes need

        interpreters.check_shell(settings.shell, "the setting shell")
    maker = JobMaker(settings.max_retries, base, system.current_umask(), call.now)
    maker.queue_of = QueueNumbers(call, makes_queues)
    return maker


class QueueNumbers:
    """The numbers of queues by their names, asked of the database when the first job names one.

    Where *makes* is set one that there is not is made together with the jobs, and has its name for a number till then.
    """

    def __init__(self, call: Call, makes: bool) -> None:
        self.call = call
        self.makes = makes
        self.known: Dict[str, int] = {}

    def __call__(self, name: object) -> Union[int, str]:
        from queuectl_lib.store import queues  # which most calls need not

        if not self.known:
            self.known = queues.ids(self.call.queue().database)
        if not isinstance(name, str) or name not in self.known:
            if self.makes:
                return checks.check_queue(name)
            raise queues.unknown(name, self.known)
        return self.known[name]
