"""`joblog`: what has ended, as GNU parallel's --joblog has it, for its --retry-failed; or with all we know.

parallel reads nine columns: a tenth would be a part of the command, which it runs, and what is missing of Seq it fills
with empty commands. So each job stands there once, counted from 1, and what has completed as 0, whatever its exit code.
"""

from __future__ import annotations

import signal
import sys

from queuectl_lib import errors, stored_times
from queuectl_lib.commands import cells, choosing, frame, output_file, terminal
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system
from queuectl_lib.jobs import states
from queuectl_lib.store import durations, events, job_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator, List

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields

HEADINGS = ("Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command")
FORMATS = ("parallel", "wide", "jsonl")
BEGINS = (b"Seq\tHost\t", b"seq\tat\t", b'{"seq": ')  # of files in these formats
ENDED = ("completed", "dead")  # what a person has cancelled is not to be run again unasked
NO_CODE = -1  # parallel's own, of what it has ended itself


@frame.command(
    "joblog",
    frame.argument("-o", "--output", metavar="FILE", help="write it there, in the place of a file that is there"),
    frame.argument("--since", metavar="T", help="only what ended since this time, or age: 24h"),
    frame.argument("--state", metavar="STATE[,STATE]", help="only jobs in these states (default %s)" % ",".join(ENDED)),
    frame.argument("--format", metavar="FORMAT", help="parallel (default, nine columns), wide or jsonl (all)"),
    frame.argument("--attempts", action="store_true", help="with wide and jsonl: each attempt, not only the last"),
    shows=True,
)
def joblog(call: Call) -> int:
    options = call.options
    form = ("jsonl" if options.json else FORMATS[0]) if options.format is None else options.format
    if form not in FORMATS:
        raise errors.unknown_name("format", form, FORMATS)
    if options.json and (options.format or options.output) is not None:
        text = "--json and %s contradict each other: --format jsonl -o FILE writes a line of JSON for each"
        raise BadInput(text % ("--format" if options.format is not None else "-o"))
    if options.attempts and form == FORMATS[0]:
        raise BadInput("--attempts goes with --format wide or jsonl: parallel would run a command once for each")
    wanted = states.check_states(options.state)
    since = choosing.moment(call, "since")
    database = call.queue().database
    rows = job_log.each(database, None if options.attempts else wanted or ENDED, since)
    records = chosen(rows, wanted if options.attempts else [])
    if options.json:
        terminal.print_json_array(records)
        return 0
    lines = nine_columns(rows) if form == FORMATS[0] else {"wide": wide, "jsonl": json_lines}[form](records)
    if options.output is not None and options.output != "-":
        data = (line.encode("utf-8", "backslashreplace") for line in lines)
        output_file.write(options.output, data, BEGINS, "job log")
    else:
        print_lines(lines)
    return 0


def chosen(rows: Iterable[Fields], wanted: List[str]) -> Iterator[Fields]:
    """What is told of each of *rows*, with its command; where states are *wanted*, of those that led to these."""
    for row in rows:
        record = events.record(row)
        if not wanted or record["state"] in wanted:
            command = durations.command_run(row)
            yield dict(record, started_at=row["started_at"], stdout_bytes=row["stdout_bytes"], command=command)


def print_lines(lines: Iterable[str]) -> None:
    """On a terminal nothing of a command acts; else byte for byte, whatever characters the terminal would have."""
    is_terminal = terminal.is_terminal(sys.stdout)
    try:
        for line in lines:
            if is_terminal:
                sys.stdout.write("\t".join(errors.printable(cell) for cell in line[:-1].split("\t")) + "\n")
            else:
                sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace"))
        sys.stdout.flush()
    except OSError as error:
        if not terminal.is_closed_pipe(error):
            raise
        terminal.quiet_end(0)


def nine_columns(rows: Iterable[Fields]) -> Iterator[str]:
    """Lines of a job log of GNU parallel."""
    yield "\t".join(HEADINGS) + "\n"
    micros = stored_times.Clock().micros
    for number, row in enumerate(rows, 1):
        began = micros(row["started_at"])
        took = events.span(began, micros(row["finished_at"])) or 0.0
        size = row["stdout_bytes"] if type(row["stdout_bytes"]) is int else 0
        command = command_text(durations.command_run(row)).replace("\0", "").replace("\n", "\0")
        numbers = (number, max(0, began) / 1e6, took, size, *how_it_ended(row))
        yield "%d\t:\t%.3f\t%.3f\t0\t%d\t%d\t%d\t%s\n" % (*numbers, command)


def command_text(command: Any) -> str:
    """A command as a shell reads it."""
    return system.typed([str(word) for word in command]) if isinstance(command, list) else str(command)


def how_it_ended(row: Fields) -> tuple[int, int]:
    """Exit code and number of the signal, as parallel has them: both 0 for what succeeded, and for nothing else."""
    if row["outcome"] == states.COMPLETED:
        return 0, 0
    found = getattr(signal, str(row["signal"]), None) if row["signal"] is not None else None
    if isinstance(found, signal.Signals):
        return 0, int(found)
    code = row["exit_code"]
    return code if type(code) is int and code != 0 else NO_CODE, 0


def json_lines(records: Iterable[Fields]) -> Iterator[str]:
    for record in records:
        yield terminal.json_safe(terminal.json_of(record))


def wide(records: Iterable[Fields]) -> Iterator[str]:
    r"""A line of names, then a line of cells each: backslash, tab and line end are \\, \t and \n; nothing is empty."""
    names: List[str] = []
    for record in records:
        if not names:
            names = list(record)
            yield "\t".join(names) + "\n"
        values = [command_text(record[name]) if name == "command" else record[name] for name in names]
        yield "\t".join("" if value is None else cells.escaped(str(value)) for value in values) + "\n"
