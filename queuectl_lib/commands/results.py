"""`results`: what became of many jobs, and what they printed, in one call."""

from __future__ import annotations

import json
import os
import sys

from queuectl_lib import errors, times, values
from queuectl_lib.commands import cells, choosing, frame, tables, terminal
from queuectl_lib.errors import BadInput, Interrupted
from queuectl_lib.host import new_files, system
from queuectl_lib.jobs import fields
from queuectl_lib.store import output, selecting
from queuectl_lib.store import results as found_results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable, Iterator, List, Optional, Sequence

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.store.output import Output
    from queuectl_lib.store.results import Result

FILES = {"stdout": ".out", "stderr": ".err"}  # with -o, and how their names end
COLUMNS = ("id", "state", "tags", "exit_code", "seconds", "result", "command")  # of --tsv, before the outputs
OF_FILES = (".tsv", ".csv", ".json", ".jsonl", ".txt")  # endings of names that no folder has
TAGS_CHARACTERS, LINE_CHARACTERS = 20, 200  # in the table
HEADINGS = ("ID", "STATE", "EXIT", "TOOK", "TAGS", "LAST LINE")


@frame.command(
    "results",
    *choosing.SELECTORS,
    frame.argument("--tsv", action="store_true", help="print a line for each job, for a spreadsheet or a data frame"),
    frame.argument("-o", "--output", metavar="DIR", help="write what each job printed into files there, named by id"),
    frame.argument("--replace", action="store_true", help="with -o: also in the place of files that are there"),
    shows=True,
)
def results(call: Call) -> int:
    options = call.options
    if options.json and options.tsv:
        raise BadInput("--json and --tsv contradict each other: give one of them")
    if options.replace and options.output is None:
        raise BadInput("--replace goes with -o DIR")
    given, database = choosing.conditions(call), call.queue().database
    selection = choosing.selection(call, database)
    is_table = not (options.json or options.tsv or options.output is not None)
    shown = tables.SHOWN_JOBS if is_table and not (options.all or options.last or options.ids) else None
    pairs, more = selecting.newest(database, selection, shown)
    rows = Rows(found_results.of(database, pairs))
    folder = None
    if options.output is not None:
        folder = Folder(options.output, options.replace)
        rows.use = folder.keep
    try:
        if options.json:
            print_all(json_of(rows))
        elif options.tsv:
            print_all(tsv_of(rows, folder is not None))
        elif not folder:
            print_table(rows, selection.tags)
        for _ in rows if folder else ():
            pass  # all of them, or those that nobody has wanted to read
    except KeyboardInterrupt:
        if folder is None or not folder.written:
            raise
        raise Interrupted("interrupted after %s" % folder.words()) from None
    if rows.are_over and not rows.count:
        terminal.tell("no job matches" if given else "no jobs")
    if more:
        text = "there are more: these are the newest %d (--last N and --all show more; --tsv and --json, all)"
        terminal.tell(text % rows.count)
    if folder:
        folder.tell()
    return 0


def show_logs(call: Call, number: Optional[int]) -> int:
    """`logs --json`: the same of one attempt of each job, of the last one where *number* names none."""
    options = call.options
    if options.follow or options.stderr:
        other = "--follow" if options.follow else "--stderr"
        raise BadInput("--json and %s contradict each other: --json prints once, and both streams" % other)
    if options.exit_code or options.lines is not None:
        other = "--exit-code" if options.exit_code else "--lines"
        raise BadInput("--json and %s contradict each other: --json prints all, and tells the exit code" % other)
    database = call.queue().database
    found = (found_results.of_attempt(database, one, number) for one in choosing.each_id(call, call.queue()))
    if len(call.options.ids) == 1 and not choosing.conditions(call):
        print_all([*object_of(next(found)), "\n"])
    else:
        print_all(json_of(found))
    return 0


class Rows:
    """Results as they come, counted; *use* does something with each before it is printed."""

    def __init__(self, found: Iterator[Result]) -> None:
        self.found = found
        self.count = 0
        self.are_over = False
        self.use: Optional[Callable[[Result], None]] = None

    def __iter__(self) -> Iterator[Result]:
        for result in self.found:
            self.count += 1
            if self.use:
                self.use(result)
            yield result
        self.are_over = True


def print_all(pieces: Iterable[str]) -> None:
    """Print *pieces*, and no more of them once nobody reads them."""
    try:
        for piece in pieces:
            sys.stdout.write(piece)
    except OSError as error:
        if not terminal.is_closed_pipe(error):
            raise
        terminal.quiet_end(0)


def json_of(rows: Iterable[Result]) -> Iterator[str]:
    """An array, a job a line; of an output only a piece at a time is held."""
    before = "[\n"
    for result in rows:
        yield before
        yield from object_of(result)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def object_of(result: Result) -> Iterator[str]:
    yield terminal.json_safe(terminal.json_of(result.facts))[:-2]
    for stream in () if "stdout_file" in result.facts else FILES:
        yield ', "%s": "' % stream
        for text in texts(result.outputs[stream]) if stream in result.outputs else ():
            yield terminal.json_safe(json.dumps(text))[1:-2]
        yield '"'
    yield "}"


def tsv_of(rows: Iterable[Result], in_files: bool) -> Iterator[str]:
    """A line of names, then one for each job."""
    columns = list(COLUMNS) + ([stream + "_file" for stream in FILES] if in_files else [])
    yield "\t".join(columns + ([] if in_files else list(FILES))) + "\n"
    for result in rows:
        facts = dict(result.facts, tags=",".join(result.facts["tags"]))
        facts["command"] = fields.shown(system.typed, facts["command"])
        yield "\t".join(cell(facts[name]) for name in columns)
        for stream in () if in_files else FILES:
            yield "\t"
            yield from cells.tsv_cell(texts(result.outputs[stream])) if stream in result.outputs else ()
        yield "\n"


def cell(value: object) -> str:
    return "" if value is None else "".join(cells.tsv_cell([str(value)]))


def texts(found: Output) -> Iterator[str]:
    """What was printed, as text, in pieces."""
    return map(system.output_text, output.pieces(found))


def print_table(rows: Iterable[Result], asked: Sequence[str]) -> None:
    """For people; without the tags that were *asked* for, which all have."""
    lines: List[List[str]] = []
    headings: Sequence[str] = HEADINGS
    for result in rows:
        facts = result.facts
        code = facts["signal"] if facts["exit_code"] is None else facts["exit_code"]
        took = "-" if facts["seconds"] is None else times.seconds_text(facts["seconds"])
        tags = values.shortened(", ".join(tag for tag in facts["tags"] if tag not in asked) or "-", TAGS_CHARACTERS)
        lines.append([str(facts["id"]), str(facts["state"]), tables.as_it_stands(code), took, tags, last_line(result)])
    if not any(line[4] != "-" for line in lines):  # of which no job has any but those that were asked for
        lines, headings = [line[:4] + line[5:] for line in lines], HEADINGS[:4] + HEADINGS[5:]
    if lines:
        terminal.print_table(headings, lines, 1)


def last_line(result: Result) -> str:
    """The last line that the job printed, on stderr where it printed none on stdout; its result where it told one."""
    if result.facts["result"]:
        return str(result.facts["result"])
    for found in result.outputs.values():
        lines = system.output_text(found.tail(output.LINE_BYTES)).split("\n")
        text = next((line for line in reversed(lines) if line.strip()), "")
        if text:
            return text[:LINE_CHARACTERS]
    return "-"


class Folder:
    """Where -o puts what jobs have printed: ID.out, and ID.err where there is any. Only of jobs that have ended."""

    def __init__(self, path: str, replaces: bool) -> None:
        self.path = path
        self.replaces = replaces
        self.written = self.left = self.waiting = 0
        if not path:
            raise BadInput("-o is empty")
        if path.endswith(OF_FILES) and not os.path.isdir(path):
            text = "-o %s: it names a folder, for a file of each job: one file of all is `results --tsv > %s`"
            raise BadInput(text % (errors.shown(path), system.typed([path])))
        new_files.make_folder(path)

    def keep(self, result: Result) -> None:
        """Write the files of one job, and put their names in the place of what is in them. Raises HostError."""
        names: Dict[str, Optional[str]] = dict.fromkeys(FILES)
        self.waiting += not result.is_final
        for stream, found in result.outputs.items() if result.is_final else ():
            if stream == "stdout" or found.size:
                name = new_files.name_of(str(result.facts["id"]), result.seq) + FILES[stream]
                names[stream] = path = os.path.join(self.path, name)
                is_new = new_files.write(path, output.pieces(found), self.replaces)
                self.written += is_new
                self.left += not is_new
        result.facts.update({stream + "_file": name for stream, name in names.items()})
        result.outputs = {}

    def words(self) -> str:
        return "%s were written" % files_text(self.written) if self.written != 1 else "1 file was written"

    def tell(self) -> None:
        terminal.tell("%s into %s" % (self.words(), errors.shown(self.path)))
        if self.left:
            text = "%d files that were there are left as they were: --replace writes them anew" % self.left
            if self.left == 1:
                text = "1 file that was there is left as it was: --replace writes it anew"
            terminal.tell(text)
        if self.waiting:
            text = "1 job has" if self.waiting == 1 else "%d jobs have" % self.waiting
            terminal.tell("%s not ended yet, and no file" % text)


def files_text(count: int) -> str:
    return "1 file" if count == 1 else "%d files" % count
