"""`add`: enqueue one command."""

from __future__ import annotations

import os
import sys

from queuectl_lib import contexts, errors, times
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import BadInput, Interrupted, QueueError
from queuectl_lib.host import files, interrupts, system
from queuectl_lib.jobs import checks, fields
from queuectl_lib.jobs.ids import Aside, Holder, There
from queuectl_lib.jobs.making import JobMaker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Union

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.commands.untranslated import argparse
    from queuectl_lib.values import Fields
    from storage import Queue

TIME_OVER = 60.0  # seconds: a time that is over for longer was hardly meant

JOB_ARGUMENTS = [
    frame.argument(field.flag, dest=field.key, **field.option) for field in fields.FIELDS if field.option
] + [
    frame.argument("--env-file", metavar="F", action="append", help="set variables from NAME=VALUE lines (repeatable)"),
    frame.argument("--quiet", action="store_true", help="print nothing when it worked"),
    frame.argument("--verbose", action="store_true", help="say so where a key kept a job from being added"),
]


OF_ONE_JOB = [
    frame.argument("--replace", action="store_true", help="with --unique: what waits with this key gives way to it"),
    frame.argument("--wait", action="store_true", help="wait until it is final, and exit with its exit code"),
]


@frame.command(
    "add",
    frame.argument("command", nargs="?", help="the command line for the shell; - reads it from standard input"),
    *JOB_ARGUMENTS,
    *OF_ONE_JOB,
    shows=True,
)
def add(call: Call) -> int:
    options = call.options
    return add_one(call, command_of(call, '`add %s`' % ("-- echo hello" if options.command else '"echo hello"')))


def add_one(call: Call, command: object) -> int:
    """Enqueue *command* with the options of the call, which may be `enqueue`."""
    options = call.options
    job = Asked(call, command)
    queue = call.queue()
    identifier = job.enqueue(queue)
    job.tell_what_came()
    if isinstance(identifier, Holder) and not (options.quiet and not options.verbose):
        is_asked = options.verbose or options.wait
        tell_holder(identifier, is_asked, other_command(queue, identifier, command))
    if not (options.json and options.wait):
        print_id(call, queue, identifier)
    job.tell_a_person(queue, identifier)
    if options.wait:
        return see_it_end(call, queue, identifier)
    return 0


class Asked:
    """The one job that a call asks for, as its options and its command say."""

    def __init__(self, call: Call, command: object) -> None:
        """Raises BadInput for what no job can be."""
        self.call = call
        self.fields: Fields = dict(with_parents_in_full(call, asked_of(call.options)), command=command)
        if call.options.replace and call.options.unique is None:
            raise BadInput("--replace goes with --unique KEY: it is the job with that key that gives way")
        self.maker = job_maker(call, call.options.cwd)
        self.row = self.maker.row(self.fields)
        self.born: List[str] = []

    def enqueue(self, queue: Queue) -> str:
        """Add it; its id, or the Holder of its key. Interrupts wait from then on. Raises QueueError."""
        tell_new_home(self.call)
        files.make_home(self.call.home)
        interrupts.keep_until_told()
        return queue.enqueue(self.row, self.born, self.call.options.replace)

    def tell_what_came(self) -> None:
        """Say what was changed in its command, and what has become of it at once."""
        tell_returns(self.call, self.maker)
        if "notify" in self.fields and not self.call.options.quiet and self.call.config().hook is None:
            terminal.tell("no hook is set, so nobody is told of it: `%s hook`" % frame.PROGRAM)
        tell_born(self.call, self.born)

    def tell_a_person(self, queue: Queue, identifier: str) -> None:
        """On a terminal, say when it is due, and how those like it ended."""
        if terminal.is_terminal(sys.stderr) and not self.call.options.quiet:
            if not isinstance(identifier, Holder):
                tell_when(self.call, self.row[fields.OWN])
            tell_failures(queue, self.fields)


def tell_born(call: Call, born: List[str]) -> None:
    """Say what the queue has to say of new jobs; with --quiet only what is wrong with them."""
    for text in born:
        if not (call.options.quiet and isinstance(text, Aside)):
            terminal.tell(text)


def tell_new_home(call: Call) -> None:
    """Say on a terminal that a home that was named is not there yet: it may be a slip."""
    if not (call.options.quiet or os.path.isdir(call.home)) and terminal.is_terminal(sys.stderr):
        terminal.tell("a new queue in %s" % call.home)


def print_id(call: Call, queue: Queue, identifier: str) -> None:
    """Print the id of the job that was added, or with --json all of it."""
    options = call.options
    if options.json:
        from queuectl_lib.store import showing  # which most calls need not

        job = dict(showing.job(queue.database, identifier), added=not isinstance(identifier, Holder))
        del job["history"]
    if options.json or not options.quiet:
        how = "is there already" if isinstance(identifier, Holder) else "was added"
        text = terminal.json_text(job) if options.json else identifier + "\n"
        terminal.acknowledge(text, "job %s %s, but its id" % (identifier, how))


def see_it_end(call: Call, queue: Queue, identifier: str) -> int:
    """Wait until the job is final, with --json print it then; its exit code. Ctrl+C leaves it in the queue."""
    from queuectl_lib.commands import wait, waiting_for  # which no other `add` needs
    from queuectl_lib.store import awaited

    try:
        interrupts.heed()
        waiting = waiting_for.Waiting(queue, awaited.of_ids(queue.database, [identifier]))
        waiting.until_final(None, call.now, lambda: "waiting for job %s (Ctrl+C leaves it in the queue)" % identifier)
    except KeyboardInterrupt:
        text = "interrupted; job %s stays in the queue: `wait %s --exit-code` waits for it"
        raise Interrupted(text % (identifier, identifier)) from None
    if waiting.look.gone:
        raise QueueError("job %s was deleted before it was seen to end" % identifier)
    if call.options.json:
        print_id(call, queue, identifier)
    waiting.tells_failures = call.options.verbose or terminal.is_terminal(sys.stderr)
    waiting.tell_failures(list(waiting.look.found))
    return wait.code_of(waiting.look)


def command_of(call: Call, line: str) -> object:
    """The command that the call names: a text, or the words behind --. Raises BadInput, with the *line* to type."""
    options = call.options
    if (options.command is None) == (call.words is None):
        text = "give one command: as one word in quotes, or as a program and its arguments behind --: %s"
        raise BadInput(text % line)
    if options.command != "-":
        return options.command if call.words is None else call.words
    from queuectl_lib.jobs import sources  # which most calls need not

    if os.isatty(0):
        terminal.tell("type the command line; Ctrl+D on a line of its own ends it")
    return sources.command_from_input()


def asked_of(options: argparse.Namespace) -> Fields:
    """What the options of a job ask for, by the keys of JSON. Raises BadInput."""
    asked: Fields = {}
    for field in fields.FIELDS:
        value = getattr(options, field.key, None) if field.option and field.key != "command" else None
        if value is not None:
            asked[field.key] = field.words(value) if field.words else value
    paths = getattr(options, "env_file", None)  # not there where `enqueue` has none of these options
    if paths:
        from queuectl_lib.jobs import env_files  # the same

        variables = [env_files.read(path) for path in paths] + [asked.get("env", {})]
        asked["env"] = {name: value for some in variables for name, value in some.items()}
    return asked


def with_parents_in_full(call: Call, asked: Fields) -> Fields:
    """*asked*, with the ids of the jobs that it is to come after whole: a person may type the beginnings of made ones.

    Raises QueueError where two begin so.
    """
    for key in fields.EDGE_KEYS:
        if asked.get(key):
            from queuectl_lib.store import finding  # which most calls need not

            asked[key] = finding.in_full(call.queue().database, asked[key])
    return asked


def tell_when(call: Call, due_text: Optional[str]) -> None:
    """Say on a terminal which moment was meant by a time or a delay (as jobs have it), and where that is over."""
    if due_text is None or getattr(call.options, "quiet", False) or not terminal.is_terminal(sys.stderr):
        return
    from queuectl_lib.jobs import wall_clock  # which only a person needs

    due = times.utc_seconds(due_text)
    at, far = wall_clock.find("local").text(due), times.age_text(round(due - call.now))
    if due < call.now - TIME_OVER:
        terminal.tell("its time, %s, was %s ago: it is due now" % (at, far))
    elif due >= call.now + 1:
        terminal.tell("it is due at %s, in %s" % (at, far))


def tell_returns(call: Call, maker: JobMaker) -> None:
    """Say so where line ends as Windows has them were made those of a shell."""
    if maker.returns_taken and not call.options.quiet:
        one = "the command" if maker.returns_taken == 1 else "%d commands" % maker.returns_taken
        terminal.tell("the carriage returns at the ends of the lines of %s were taken out" % one)


def tell_holder(identifier: str, is_asked: bool, command: str = "") -> None:
    """Say that *identifier* is a job that was not added, where that *is_asked* or that has another *command*."""
    if isinstance(identifier, There) and is_asked:
        text = "job %s is there already (%s%s): nothing was added"
        terminal.tell(text % (identifier, identifier.state, ", with another command" if identifier.differs else ""))
    if isinstance(identifier, Holder) and (is_asked or command):
        key = errors.shown(identifier.key)
        text = "job %s with the key %s is %s: nothing was added" % (identifier, key, identifier.state)
        terminal.tell(text + ("; its command is another one: %s" % errors.shown(command) if command else ""))


def other_command(queue: Queue, holder: Holder, command: Any) -> str:
    """The command of the job that is there, where it is not *command*; "" where it is, and where the job has gone."""
    from queuectl_lib.store import showing  # which few calls need

    with contexts.suppress(QueueError):
        found = showing.job(queue.database, holder)["command"]
        there, asked = fields.shown(system.typed, found), system.typed(command)
        return "" if there == asked else there
    return ""


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
    base = cwd if cwd and os.path.isabs(cwd) else system.directory_as_seen()
    settings = call.config()
    if settings.shell is not None:
        from queuectl_lib.jobs import interpreters  # which few homes need

        interpreters.check_shell(settings.shell, "the setting shell")
    maker = JobMaker(settings.max_retries, base, system.current_umask(), call.now)
    maker.queue_of = QueueNumbers(call, makes_queues)
    maker.launching = refusing_launchers(call)
    return maker


def refusing_launchers(call: Call) -> Callable[[Callable[[str], object]], None]:
    """What refuses jobs that ask for a launcher that they cannot have, once one asks for any."""
    made: List[Any] = []

    def refuse(get: Callable[[str], object]) -> None:
        from queuectl_lib.commands import asked_launchers  # which few calls need

        made.extend([] if made else [asked_launchers.Asked(call)])
        made[0].refuse(get)

    return refuse


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
