"""`enqueue`: many jobs, all or none: from JSON, or from a list of commands."""

from __future__ import annotations

import itertools

from queuectl_lib.commands import add, frame, terminal
from queuectl_lib.commands.terminal import Progress
from queuectl_lib.errors import BadInput, Interrupted
from queuectl_lib.host import files, interrupts
from queuectl_lib.jobs import fields, reading, sources
from queuectl_lib.jobs.ids import Holder, There
from queuectl_lib.store import bulk  # noqa: F401 - before input is waited for: our files may be replaced meanwhile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Optional, Tuple

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields


OFTEN = [
    frame.argument("text", nargs="?", metavar="JSON", help="the jobs, or - to read them from standard input"),
    frame.argument("--file", metavar="F", help="read them from this file"),
    frame.argument(
        "--lines",
        metavar="F",
        help="read shell commands instead, one a line, with the options below for all of them; - is standard input",
    ),
    frame.argument("--skip-existing", action="store_true", help="leave out jobs whose id is there already"),
    frame.argument("--any-state", action="store_true", help="also jobs that ran, or run now, as new ones"),
    frame.argument("--make-queues", action="store_true", help="make the queues that they name and that there are not"),
    *[one for one in add.JOB_ARGUMENTS if one[0][0] in ("--quiet", "--verbose")],
]
IN_PLACE_OF_JSON = [
    frame.argument("-c", "--command", metavar="TEXT", help="one command line, with the options of `add`, which follow"),
]


@frame.command(
    "enqueue",
    *OFTEN,
    *IN_PLACE_OF_JSON,
    *[one for one in add.JOB_ARGUMENTS if one not in OFTEN],
    *add.OF_ONE_JOB,
    often=OFTEN,
    shows=True,
)
def enqueue(call: Call) -> int:
    options = call.options
    command = getattr(options, "command", None)
    refuse_what_is_no_json(call, command)
    if command is not None:
        return add.add_one(call, command)
    asked = asked_of_all(call)
    maker = add.job_maker(call, getattr(options, "cwd", None), makes_queues=options.make_queues)
    maker.any_state = options.any_state
    queue = call.queue()
    progress = Progress()
    with sources.open_source(options.text, options.lines if options.file is None else options.file) as source:
        try:
            rows = reading.checked_rows(maker, jobs_of(call, source, asked, progress))
            first = [first_of(rows, options)]  # what begins with a mistake does not even make a home
            add.tell_new_home(call)
            files.make_home(call.home)
            interrupts.keep_until_told()
            born: List[str] = []
            ids = queue.enqueue_each(itertools.chain(first, rows), born, options.skip_existing)
            count = print_ids(call, ids, progress)
            ids.close()
        finally:
            progress.end()
    add.tell_returns(call, maker)
    add.tell_born(call, born)
    if (count.given > 1 or count.there) and not (options.json or options.quiet):
        terminal.tell(count.text())
    return 0


def first_of(rows: Iterator[Any], options: Any) -> Any:
    """The first of *rows*. Raises BadInput, with the line to type where the file is a list of commands."""
    try:
        return next(rows)
    except BadInput as error:
        if options.file in (None, "-") or "Expecting value" not in str(error):
            raise
        from queuectl_lib.commands import no_json  # needed only to refuse

        meant = no_json.of_file(options.file)
        raise BadInput("%s; %s" % (error, meant) if "--file" not in meant else str(error)) from None


def refuse_what_is_no_json(call: Call, command: Optional[str]) -> None:
    """Raise BadInput, with the line to type, for what names no source of jobs, or goes with another."""
    options = call.options
    if call.words is not None:
        raise BadInput("enqueue takes JSON: a program behind -- goes with add: `add -- PROGRAM [ARGUMENT ...]`")
    if [options.text, options.file, options.lines, command].count(None) != 3:
        raise BadInput("give one source: JSON, - for standard input, --file F, --lines F, or --command TEXT")
    if command is not None:
        for flag in ("--any-state", "--make-queues", "--skip-existing"):
            if getattr(options, flag[2:].replace("-", "_")):
                raise BadInput("%s is for JSON, not for --command: leave it out" % flag)
        return
    for flag in ("--replace", "--wait"):
        if getattr(options, flag[2:], False):
            raise BadInput("%s is of one job: it goes with `add`, or `enqueue --command TEXT`" % flag)
    if options.lines is not None:
        return
    asked = add.asked_of(options)
    text = "" if options.text in (None, "-") else options.text
    if not asked and (not text.strip() or text.lstrip()[:1] in ("{", "[") and '"' in text):
        return
    from queuectl_lib.commands import no_json  # needed only to refuse

    refusal = no_json.refused(text, call.said)
    if refusal is None and asked:
        refusal = no_json.beside_json(next(field for field in fields.FIELDS if field.key in asked))
    if refusal is not None:
        raise refusal


# One id or key cannot be that of many.
OF_ONE = {"id": "one id for many jobs", "unique": "of jobs with one key only the first would be added"}


def asked_of_all(call: Call) -> Fields:
    """What the options of `add` ask for, of each job of a list. Raises BadInput where they do not go together."""
    asked = add.with_parents_in_full(call, add.asked_of(call.options))
    flags = {field.key: field.flag for field in fields.FIELDS}
    for key in asked:
        if key in OF_ONE:
            raise BadInput("%s: %s: leave it out, or give JSON" % (flags[key], OF_ONE[key]))
    return asked


def jobs_of(call: Call, source: Any, asked: Fields, progress: Progress) -> Iterator[Tuple[object, object]]:
    """Pairs of line and job."""
    if call.options.lines is None:
        return reading.read_jobs(source, progress.jobs_read)
    from queuectl_lib.jobs import command_lines  # which JSON needs not

    return command_lines.read_jobs(source, asked, progress.jobs_read)


class Count:
    """How many jobs were given, how many of them a key kept from being added, and how many were there already."""

    given = held = there = differ = 0

    def heed(self, identifier: str) -> None:
        self.given += 1
        self.held += isinstance(identifier, Holder)
        if isinstance(identifier, There):
            self.there += 1
            self.differ += identifier.differs

    def added(self) -> int:
        return self.given - self.held - self.there

    def text(self) -> str:
        """For people."""
        text = "enqueued %s" % terminal.jobs_text(self.added())
        if self.there:
            text += "; %d %s there already" % (self.there, "was" if self.there == 1 else "were")
        if self.differ:
            text += ", %d of them with another command, which stays as it is" % self.differ
        return text


def print_ids(call: Call, ids: Iterator[str], progress: Progress) -> Count:
    """Take up the ids as they come, and print them; returns how many came, and what they are."""
    options, found, there, count = call.options, [], [], Count()
    is_silent = options.quiet and not (options.verbose or options.json)
    try:
        for identifier in itertools.islice(ids, 1) if is_silent else ids:  # with the first one all are safe
            if not count.given:
                progress.end()
            count.heed(identifier)
            there += [identifier] * (options.json and isinstance(identifier, Holder))
            add.tell_holder(identifier, options.verbose)
            if options.json:
                found.append(identifier)
            elif not options.quiet:
                terminal.acknowledge(identifier + "\n", "the jobs were added, but their ids", count.given == 1)
    except KeyboardInterrupt:
        if not count.given:
            raise
        raise Interrupted("the jobs were added, but not all that there is to say was printed: interrupted") from None
    if options.json:
        said: Fields = {"enqueued": count.added(), "ids": found, "there": there}
        if options.skip_existing:
            said["existing"] = count.there
        terminal.acknowledge(terminal.json_text(said), "the jobs were added, but their ids")
    elif not options.quiet:
        terminal.acknowledge("", "the jobs were added, but their ids")
    return count
