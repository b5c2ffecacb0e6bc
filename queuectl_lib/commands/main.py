"""One call of queuectl: the commands, what they print, and how they end."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time

import queuectl_lib
import storage
from queuectl_lib import errors, settings, times, values
from queuectl_lib.errors import BadInput, HostError, QueueError
from queuectl_lib.host import files, system
from queuectl_lib.jobs import fields, ids, reading, states
from queuectl_lib.jobs.fields import JobMaker
from queuectl_lib.jobs.ids import Holder
from queuectl_lib.reports import problems
from queuectl_lib.settings import ConfigFile
from storage import Follower, Output, Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, NoReturn, Optional, Sequence, Tuple

    from queuectl_lib.doctor.probes import Finding

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, Iterator, List, NoReturn, Optional, Sequence, Tuple  # noqa: F401

    Fields = Dict[str, Any]

LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(queuectl_lib.__file__)))
IS_ARCHIVE = os.path.isfile(LIBRARY)  # queuectl.pyz
SCRIPT = LIBRARY if IS_ARCHIVE else os.path.join(LIBRARY, "queuectl.py")
HERE = os.path.dirname(SCRIPT)
PROGRAM = "queuectl.py"
SHOWN_BYTES = 16 * 1024  # of output that `show` prints per stream
JSON_BYTES = 1024 * 1024  # of output that `show --json` carries per stream
INTERRUPTED = 130
EINVAL = 22
TIMED_OUT = 124


class Command:
    """One command: its words, its action, its help, its arguments."""

    def __init__(self, name: str, run: Callable[[Call], int], text: str, arguments: Sequence[Any], shows: bool) -> None:
        self.name = name
        self.run = run
        self.text = text
        self.arguments = arguments
        self.shows = shows

    def parser(self) -> Parser:
        argparse.__dict__["_"] = str  # it would look for translations of its few words: milliseconds, and none is there
        name = "%s %s" % (PROGRAM, self.name)
        # One for all: argparse formats each argument only to see that it can, and would ask how wide the terminal is.
        trial = argparse.HelpFormatter(name, width=80)
        parser = Parser(prog=name, description=self.text, allow_abbrev=False, formatter_class=lambda prog: trial)
        add_common(parser)
        if self.shows:
            parser.add_argument("--json", action="store_true", help="print one JSON value")
        for names, details in self.arguments:
            parser.add_argument(*names, **details)
        return parser


COMMANDS: Dict[str, Command] = {}


def command(
    name: str, text: str, *arguments: Any, **options: bool
) -> Callable[[Callable[[Call], int]], Callable[[Call], int]]:
    """Register the function below as the command *name*; shows=True gives it --json."""

    def register(run: Callable[[Call], int]) -> Callable[[Call], int]:
        COMMANDS[name] = Command(name, run, text, arguments, options.get("shows", False))
        return run

    return register


def argument(*names: str, **settings: Any) -> Tuple[Tuple[str, ...], Fields]:
    return names, settings


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line."""

    def error(self, message: str) -> NoReturn:
        message = re.sub("(?s)=.*", "=...", message)  # it may be the value of a variable
        start = "unrecognized arguments: "
        message = message.replace(start + "-- ", start)
        if message.startswith(start + "-"):
            option = message.split()[2]  # and no more of them: what follows may be a secret, too
            message = start + option + self.nearest(option)
        elif message.startswith(start) and self.prog.endswith(" add"):
            message = "more than one word: put the command line in quotes, or a program and its arguments behind --"
        if len(message) > 200:
            message = message[:197] + "..."
        raise BadInput("%s: see `%s --help`" % (message, self.prog))

    def format_help(self) -> str:
        self.formatter_class = argparse.HelpFormatter  # as wide as the terminal
        return super(Parser, self).format_help()

    def nearest(self, word: str) -> str:
        """The option that *word* may have meant, as the end of a message."""
        import difflib  # needed only to refuse

        near = difflib.get_close_matches(word, list(self._option_string_actions), 1)
        return " (did you mean %s?)" % near[0] if near else ""


def add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", metavar="DIR", help="where queue and settings are (default: beside queuectl.py)")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument("--version", action="version", version="queuectl " + queuectl_lib.VERSION)


class Call:
    """One call of one command: its options, and what they lead to."""

    def __init__(self, options: argparse.Namespace, words: Optional[List[str]]) -> None:
        self.options = options
        self.words = words  # what came behind --, None without it
        for identifier in [getattr(options, "id", None)] + list(getattr(options, "ids", [])):
            if identifier is not None:
                ids.check_id(identifier)
        self.home = find_home(options.home)
        self.config = ConfigFile(self.home)
        self.now = time.time()

    def queue(self) -> Queue:
        return Queue(self.config.database_path())

    def print_json(self, value: object) -> None:
        """One JSON value. Jobs come one per line, so that a list stays greppable."""
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row) for row in value)
            print_text(json_safe("[\n%s\n]" % rows if rows else "[]"))
        else:
            print_text(json_text(value))


def json_text(value: object) -> str:
    return json_safe(json.dumps(value, indent=2))


def json_safe(text: str) -> str:
    """A line of JSON without the one control character that JSON lets through."""
    return text.replace("\x7f", "\\u007f") + "\n"


def find_home(given: Optional[str]) -> str:
    """--home, else $QUEUECTL_HOME, else the directory of the real queuectl.py."""
    home = given if given is not None else os.environ.get("QUEUECTL_HOME") or HERE
    if not home:
        raise BadInput("--home is empty")
    values.check_text(home, "--home")
    return home if os.path.isabs(home) else os.path.join(system.current_directory(), home)


def split_words(argv: List[str]) -> Tuple[Command, List[str], Optional[List[str]]]:
    """The command that *argv* names, its options, and what stands behind --."""
    behind: Optional[List[str]] = None
    if "--" in argv:
        place = argv.index("--")
        argv, behind = argv[:place], argv[place + 1 :]
    place = 0
    while place < len(argv) and argv[place].startswith("-"):
        place += 2 if argv[place] == "--home" else 1
    rest = argv[place:]
    if not rest:
        if "--version" in argv:
            print_text("queuectl %s\n" % queuectl_lib.VERSION)
            raise SystemExit(0)
        if "--help" in argv or "-h" in argv:
            print_overview()
            raise SystemExit(0)
        raise BadInput("no command is given: `%s --help` lists them" % PROGRAM)
    second = 1
    while second < len(rest) and rest[second].startswith(("--home", "--debug")):
        second += 2 if rest[second] == "--home" else 1
    two = " ".join(rest[:1] + rest[second : second + 1])
    if two in COMMANDS:
        return COMMANDS[two], argv[:place] + rest[1:second] + rest[second + 1 :], behind
    group = [name for name in COMMANDS if name.startswith(rest[0] + " ")]
    if group and len(rest) > 1 and not rest[1].startswith("-"):
        raise errors.unknown_name("command", two, group)
    if rest[0] in COMMANDS:
        return COMMANDS[rest[0]], argv[:place] + rest[1:], behind
    if group and ("--help" in rest or "-h" in rest):
        print_overview(rest[0] + " ")
        raise SystemExit(0)
    if group:
        raise BadInput("%s needs one of: %s" % (rest[0], ", ".join(name.split()[1] for name in group)))
    raise errors.unknown_name("command", rest[0], list(COMMANDS))


def print_overview(start: str = "") -> None:
    lines = [
        "usage: %s [--home DIR] COMMAND ..." % PROGRAM,
        "",
        "A background job queue for shell commands. `%s COMMAND --help` tells more." % PROGRAM,
        "",
    ]
    for name, one in COMMANDS.items():
        if name.startswith(start):
            lines.append("  %-13s %s" % (name, one.text))
    lines += ["", "  --home DIR    where queue and settings are (default: beside %s)" % PROGRAM]
    lines += ["  --version     print the version", "  --debug       show tracebacks"]
    print_text("\n".join(lines) + "\n")


def print_text(text: str, flush: bool = False) -> None:
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except OSError as error:
        if not is_closed_pipe(error):
            raise
        quiet_end(0)  # into nothing from here, and the exit code still tells


def is_closed_pipe(error: OSError) -> bool:
    """True where nobody reads what we print any more (on Windows that is EINVAL)."""
    windows = sys.platform == "win32" and error.errno == EINVAL and not error.filename
    return isinstance(error, BrokenPipeError) or windows


def tell(text: str) -> None:
    """A word to the person, on standard error; that nobody can read it is no failure.

    Raises OSError where what was printed before cannot be written: that comes first.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        if not is_closed_pipe(error):
            raise
        give_up(sys.stdout)
    try:
        sys.stderr.write(errors.printable(text) + "\n")
        sys.stderr.flush()
    except OSError:
        give_up(sys.stderr)


def is_terminal(stream: Any) -> bool:
    return bool(stream.isatty())


STATE_COLOURS = {"completed": "32", "failed": "33", "dead": "31", "processing": "36", "cancelled": "2"}


def coloured(text: str, state: str) -> str:
    """*text* in the colour of *state*, on a terminal that wants colour."""
    plain = sys.platform == "win32" or "NO_COLOR" in os.environ or os.environ.get("TERM") in (None, "dumb")
    if plain or state not in STATE_COLOURS or not is_terminal(sys.stdout):
        return text
    return "\x1b[%sm%s\x1b[0m" % (STATE_COLOURS[state], text)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], state_column: Optional[int] = None) -> None:
    """Columns under headings; the last one ends where a terminal does."""
    import shutil  # needed only here

    cells = [[errors.printable(cell) for cell in row] for row in rows]
    widths = [max([len(row[i]) for row in cells] + [len(headings[i])]) for i in range(len(headings))]
    columns = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None
    for number, row in enumerate([list(headings)] + cells):
        line = [cell.ljust(width) for cell, width in zip(row[:-1], widths)] + [row[-1]]
        text = "  ".join(line).rstrip()
        if columns is not None:
            text = fitted(text, columns)
        if number and state_column is not None and line[state_column] in text:
            text = text.replace(line[state_column], coloured(line[state_column], row[state_column]), 1)
        print_text(text + "\n")


def fitted(text: str, columns: int) -> str:
    """*text* cut to a terminal's columns, of which East Asian characters take two."""
    import unicodedata  # needed only on a terminal

    used, last = 0, len(text)
    for place, char in enumerate(text):
        used += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if used <= columns - 3:
            last = place + 1
        if used > columns:
            return text[:last] + "..."
    return text


def command_text(job: Fields) -> str:
    """The command as one would type it."""
    if isinstance(job["command"], str):
        return job["command"]
    if sys.platform == "win32":
        import subprocess

        return subprocess.list2cmdline(job["command"])
    import shlex  # needed only for lists

    return " ".join(shlex.quote(word) for word in job["command"])


class Progress:
    """A line on a terminal that says how far long work is; nothing elsewhere."""

    def __init__(self) -> None:
        self.active = is_terminal(sys.stderr)
        self.shown_at = time.monotonic()
        self.width = 0

    def show(self, text: str) -> None:
        now = time.monotonic()
        if self.active and now - self.shown_at > 0.2:
            self.shown_at = now
            sys.stderr.write("\r" + text.ljust(self.width))
            sys.stderr.flush()
            self.width = len(text)

    def bar(self, done: int, total: int, what: str) -> None:
        if total:
            part = min(1.0, done / float(total))
            self.show("[%-30s] %3d %%  %s" % ("#" * int(part * 30), part * 100, what))
        else:
            self.show(what)

    def jobs_read(self, done: int, total: int, lines: int) -> None:
        self.bar(done, total, "%d jobs" % lines)

    def end(self) -> None:
        if self.width:
            sys.stderr.write("\r" + " " * self.width + "\r")
            sys.stderr.flush()


JOB_ARGUMENTS = (
    argument("--id", help="the job's id (default: a new one)"),
    argument("--max-retries", metavar="N", help="retries after the first attempt"),
    argument("--priority", metavar="N", help="higher runs first (default 0)"),
    argument("--run-at", metavar="TIME", help="not before this ISO 8601 time (local unless it ends in Z or an offset)"),
    argument("--delay", metavar="DURATION", help="not before this long from now: 90, 90s, 10m, 1h30m"),
    argument("--timeout", metavar="DURATION", help="end an attempt that runs longer"),
    argument("--cwd", metavar="DIR", help="run in this directory (default: the current one)"),
    argument("--env", metavar="NAME=VALUE", action="append", help="set a variable for the job (repeatable)"),
    argument("--unique", metavar="KEY", help="add nothing while another job with this key waits or runs"),
    argument("--quiet", action="store_true", help="print nothing when it worked"),
    argument("--verbose", action="store_true", help="say so where a key kept a job from being added"),
)


@command(
    "add",
    "enqueue one shell command line, or after -- a program with its arguments",
    argument("command", nargs="?", help="the command line for the shell"),
    *JOB_ARGUMENTS,
    shows=True,
)
def add(call: Call) -> int:
    options = call.options
    if (options.command is None) == (call.words is None):
        raise BadInput("give one command: as one word in quotes, or as a program and its arguments behind --")
    asked: Fields = {
        "command": options.command if call.words is None else call.words,
        "id": options.id,
        "run_at": options.run_at,
        "delay": options.delay,
        "timeout": options.timeout,
        "cwd": options.cwd,
        "unique": options.unique,
    }
    if options.max_retries is not None:
        asked["max_retries"] = values.whole_number(options.max_retries, "max_retries")
    if options.priority is not None:
        asked["priority"] = values.whole_number(options.priority, "priority")
    if options.env:
        asked["env"] = fields.variables_from_text(options.env)
    row = job_maker(call, options.cwd).row(asked)
    queue = call.queue()
    files.make_home(call.home)
    identifier = queue.enqueue(row)
    if options.verbose:
        tell_holder(identifier)
    if options.json:
        job = queue.job(identifier)
        del job["history"]
    if options.json or not options.quiet:
        how = "is there already" if isinstance(identifier, Holder) else "was added"
        text = json_text(job) if options.json else identifier + "\n"
        acknowledge(text, "job %s %s, but its id" % (identifier, how))
    return 0


def tell_holder(identifier: str) -> None:
    """Say so where *identifier* stands for a job that was not added."""
    if isinstance(identifier, Holder):
        key = errors.shown(identifier.key)
        tell("job %s with the key %s is %s: nothing was added" % (identifier, key, identifier.state))


def acknowledge(text: str, what: str, flush: bool = True) -> None:
    """Print what was done; a full disk behind stdout must not look as if nothing was."""
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise HostError("%s could not be printed: %s" % (what, error.strerror)) from None


def job_maker(call: Call, cwd: Optional[str] = None) -> JobMaker:
    base = cwd if cwd and os.path.isabs(cwd) else system.current_directory()
    return JobMaker(call.config().max_retries, base, system.current_umask(), call.now)


@command(
    "enqueue",
    "enqueue jobs from JSON: an object, an array, or JSON Lines",
    argument("text", nargs="?", metavar="JSON", help="the jobs, or - to read them from standard input"),
    argument("--file", metavar="F", help="read them from this file"),
    argument("--quiet", action="store_true", help="print nothing when it worked"),
    argument("--verbose", action="store_true", help="say which jobs a key kept from being added"),
    shows=True,
)
def enqueue(call: Call) -> int:
    options = call.options
    if call.words is not None:
        raise BadInput("enqueue takes JSON: a program behind -- goes with add")
    if (options.text is None) == (options.file is None):
        raise BadInput("give one source: JSON, - for standard input, or --file F")
    maker = job_maker(call)
    queue = call.queue()
    progress = Progress()
    with reading.open_source(options.text, options.file) as source:
        try:
            rows = reading.checked_rows(maker, reading.read_jobs(source, progress.jobs_read))
            first = [next(rows)]  # what begins with a mistake does not even make a home
            files.make_home(call.home)
            ids = queue.enqueue_each(row for part in (first, rows) for row in part)
            given, added = print_ids(call, ids, progress)
        finally:
            progress.end()
    if given > 1 and not (options.json or options.quiet):
        tell("enqueued %d jobs" % added)
    return 0


def print_ids(call: Call, ids: Iterator[str], progress: Progress) -> Tuple[int, int]:
    """Take up the ids as they come, and print them; returns how many came, and how many of them are new."""
    options, found = call.options, []
    given = held = 0
    for identifier in ids:
        if not given:
            progress.end()
        given += 1
        if isinstance(identifier, Holder):
            held += 1
            if options.verbose:
                tell_holder(identifier)
        if options.json:
            found.append(identifier)
        elif not options.quiet:
            acknowledge(identifier + "\n", "the jobs were added, but their ids", given == 1)
    if options.json:
        acknowledge(json_text({"enqueued": given - held, "ids": found}), "the jobs were added, but their ids")
    elif not options.quiet:
        acknowledge("", "the jobs were added, but their ids")
    return given, given - held


@command(
    "list",
    "list jobs, newest last",
    argument("--state", metavar="S[,S]", help="only these states"),
    argument("--dlq", action="store_true", help="only the dead letter queue (state dead)"),
    argument("--limit", metavar="N", default="50", help="the newest N (default 50)"),
    shows=True,
)
def list_jobs(call: Call) -> int:
    options = call.options
    wanted = states.check_states(options.state)
    if options.dlq and wanted not in ([], ["dead"]):
        raise BadInput("--dlq and --state contradict each other: give one of them")
    limit = values.count_from_text(options.limit, "--limit", 1000000000)
    show_jobs(call, ["dead"] if options.dlq else wanted, limit)
    return 0


def show_jobs(call: Call, states: Sequence[str], limit: int) -> None:
    jobs, more = call.queue().jobs(states, limit)
    if call.options.json:
        call.print_json(jobs)
    elif jobs:
        rows = []
        for job in jobs:
            attempts = "%d/%d" % (job["attempts"], job["max_retries"] + 1)
            when = storage.time_that_matters(job, call.now)
            rows.append((job["id"], job["state"], attempts, when, command_text(job)))
        print_table(("ID", "STATE", "ATTEMPTS", "WHEN", "COMMAND"), rows, 1)
    else:
        tell("no jobs" if not states else "no jobs are %s" % " or ".join(states))
    if more:
        tell("there are more: these are the newest %d (--limit N shows more)" % limit)


@command("show", "show one job in full", argument("id", metavar="ID"), shows=True)
def show(call: Call) -> int:
    queue = call.queue()
    job = queue.job(call.options.id)
    if call.options.json:
        call.print_json(storage.with_output(queue, job, JSON_BYTES))
        return 0
    for name, value in job.items():
        if name != "history":
            print_text("%-14s%s\n" % (name, errors.printable(field_text(job, name, value))))
    for attempt in job["history"]:
        show_attempt(queue, job["id"], attempt)
    return 0


def field_text(job: Fields, name: str, value: Any) -> str:
    """A field for people. Of the environment only the names: its values are secrets."""
    if name == "command":
        return command_text(job)
    if name == "env":
        return ", ".join(sorted(value)) + " (values not shown)" if value else "-"
    if name == "timeout" and value is not None:
        return values.number_text(value) + " s"
    return "-" if value is None else str(value)


def show_attempt(queue: Queue, identifier: str, attempt: Fields) -> None:
    facts = ["started " + attempt["started_at"]]
    if attempt["finished_at"]:
        took = times.utc_seconds(attempt["finished_at"]) - times.utc_seconds(attempt["started_at"])
        facts.append("took %.3f s" % max(0.0, took))
    if attempt["exit_code"] is not None:
        facts.append("exit code %d" % attempt["exit_code"])
    facts.append("worker " + attempt["worker"])
    print_text("\nattempt %d: %s\n" % (attempt["number"], attempt["outcome"]))
    print_text("  %s\n" % errors.printable(", ".join(facts)))
    if attempt["error"]:
        print_text("  error: %s\n" % errors.printable(attempt["error"]))
    if attempt["leftovers"]:
        print_text("  left running: %s\n" % errors.printable(attempt["leftovers"]))
    for stream in ("stdout", "stderr"):
        output = Output(queue, attempt, stream)
        text = output.tail(SHOWN_BYTES)
        if output.size:
            print_text("  %s, %d bytes:\n" % (stream, output.size))
            if len(text) < output.size:
                print_text("    ... (`logs %s --attempt %d` shows all of it)\n" % (identifier, attempt["number"]))
            for line in system.output_text(text).splitlines():
                print_text("    %s\n" % errors.printable(line))


@command(
    "logs",
    "print the output of a job: its stdout on stdout, its stderr on stderr",
    argument("id", metavar="ID"),
    argument("-f", "--follow", action="store_true", help="go on until the job ends, also before it starts"),
    argument("--attempt", metavar="N", help="of this attempt (default: the last one)"),
    argument("--stderr", action="store_true", help="only its stderr, on stdout"),
)
def logs(call: Call) -> int:
    options = call.options
    number = None
    if options.attempt is not None:
        number = values.count_from_text(options.attempt, "--attempt", 10**9)
    targets = {"stderr": sys.stdout} if options.stderr else {"stdout": sys.stdout, "stderr": sys.stderr}
    follower = Follower(call.queue(), options.id, number, list(targets))
    print_news(follower, targets)
    pause = 0.02
    while options.follow and not follower.ended():
        time.sleep(pause)
        pause = pause * 1.2 if pause < 0.2 else pause
        if print_news(follower, targets):
            pause = 0.02
    if number is not None and follower.attempt is None:
        raise QueueError("job %s has no attempt %d" % (options.id, number))
    return 0


def print_news(follower: Follower, targets: Dict[str, Any]) -> bool:
    """Print what the job wrote since the last call; True if it did."""
    printed = False
    for stream, data in follower.news():
        target = targets[stream]
        printed = True
        if is_terminal(target):
            target.write(terminal_text(data))
            target.flush()
        else:
            target.flush()
            write_all(target.fileno(), data)
    return printed


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def terminal_text(data: bytes) -> str:
    """Output for a terminal: only line ends and tabs act, everything else is shown."""
    text = system.output_text(data)
    return "\n".join("\t".join(errors.printable(cell) for cell in line.split("\t")) for line in text.split("\n"))


@command(
    "wait",
    "wait until jobs are final; exit 0 if all completed, 1 if not, 124 on timeout",
    argument("ids", metavar="ID", nargs="*"),
    argument("--timeout", metavar="DURATION", help="give up after this long"),
    shows=True,
)
def wait(call: Call) -> int:
    queue, ids, options = call.queue(), values.unique(call.options.ids), call.options
    limit = None if options.timeout is None else times.parse_duration(options.timeout, "--timeout")
    deadline = None if limit is None else time.monotonic() + limit
    progress, pause, hinted = Progress(), 0.02, False
    try:
        while True:
            counts = queue.counts_of(ids) if ids else queue.counts_of_others()
            open_jobs = sum(counts[state] for state in states.STATES if state not in states.FINAL)
            if not open_jobs or (deadline is not None and time.monotonic() >= deadline):
                break
            if not hinted and not queue.members():
                hinted = True
                tell("no worker is running: `%s worker start` starts one" % PROGRAM)
            total = sum(counts.values())
            progress.bar(total - open_jobs, total, "%d of %d jobs are final" % (total - open_jobs, total))
            time.sleep(pause if deadline is None else min(pause, max(0.001, deadline - time.monotonic())))
            pause = min(pause * 1.2, 0.25)
    finally:
        progress.end()
    if options.json:
        call.print_json(dict(counts, timed_out=bool(open_jobs)))
    if open_jobs:
        tell("timed out: %s" % ("1 job is not final" if open_jobs == 1 else "%d jobs are not final" % open_jobs))
        return TIMED_OUT
    missed = ["%d %s" % (counts[state], state) for state in ("dead", "cancelled") if counts[state]]
    if missed:
        tell("not all completed: %s" % ", ".join(missed))
    return 1 if missed else 0


@command("status", "show how many jobs are in each state, and who works", shows=True)
def status(call: Call) -> int:
    queue = call.queue()
    counts, oldest = queue.overview()
    members = queue.members()
    workers = sum(member["kind"] == "worker" for member in members)
    supervisors = sum(member["kind"] == "supervisor" for member in members)
    if call.options.json:
        value: Fields = dict(counts, workers=workers, supervisors=supervisors, database=queue.path)
        value["oldest_waiting"] = {"id": oldest[1], "created_at": oldest[0]} if oldest else None
        call.print_json(value)
        return 0
    for state in states.STATES:
        print_text("%s%d\n" % (coloured("%-16s" % state, state if counts[state] else ""), counts[state]))
    print_text("%-16s%d alive, supervisors: %d\n" % ("workers", workers, supervisors))
    waiting = "-"
    if oldest:
        waiting = "%s, enqueued %s ago" % (oldest[1], times.age_text(call.now - times.utc_seconds(oldest[0])))
        due_in = times.utc_seconds(oldest[2]) - call.now
        waiting += ", due in %s" % times.age_text(due_in) if due_in > 0 else ""
    print_text("%-16s%s\n" % ("oldest waiting", waiting))
    print_text("%-16s%s\n" % ("database", errors.printable(queue.path)))
    return 0


@command(
    "check",
    "say what is wrong, and nothing when all is well: exit 1 or 0; for cron, which mails it",
    argument("--waiting", metavar="AGE", default="15m", help="how long a due job may wait (default 15m)"),
    argument("--min-free", metavar="SIZE", default="256M", help="what the disk must have free (default 256M)"),
    argument("--expect", metavar="KEY", action="append", help="a job with this unique key must complete"),
    argument("--every", metavar="DURATION", action="append", help="this often; one for all, or one for each --expect"),
    shows=True,
)
def check(call: Call) -> int:
    options = call.options
    waiting = times.parse_duration(options.waiting, "--waiting")
    least = values.parse_size(options.min_free, "--min-free")
    expected = problems.check_expected(options.expect or [], options.every or [])
    queue = call.queue()
    try:
        with problems.problems(queue, call.now, waiting, least, expected) as found:
            report_problems(call, found)
    except BrokenPipeError:
        return quiet_end(int(bool(found)))
    return int(bool(found))


def report_problems(call: Call, problems: Sequence[Fields]) -> None:
    """Print them to the last byte, or raise: only then do dead letters count as told."""
    text = "".join(errors.printable(problem["text"]) + "\n" for problem in problems)
    if call.options.json:
        text = json_text({"ok": not problems, "problems": problems})
    acknowledge(text, "what is wrong")


@command(
    "cancel",
    "take jobs out; a running one is ended with its whole process tree",
    argument("ids", metavar="ID", nargs="+"),
)
def cancel(call: Call) -> int:
    queue = call.queue()
    patience = call.config().grace + 15
    asked = queue.cancel(values.unique(call.options.ids), call.now)
    late, missed = queue.await_cancel(asked, patience)
    if missed:
        raise QueueError("before the cancel reached it, job %s" % ", job ".join(missed))
    if late:
        hope = "its worker goes on trying" if queue.has_worker() else "the next worker that starts ends it"
        raise QueueError("not ended yet: %s: %s" % (", ".join(late), hope))
    return 0


@command("requeue", "put dead or cancelled jobs back into the queue", argument("ids", metavar="ID", nargs="+"))
def requeue(call: Call) -> int:
    call.queue().requeue(values.unique(call.options.ids), ("dead", "cancelled"), call.now)
    return 0


@command(
    "dlq list",
    "list the dead letter queue",
    argument("--limit", metavar="N", default="50", help="the newest N (default 50)"),
    shows=True,
)
def dlq_list(call: Call) -> int:
    limit = values.count_from_text(call.options.limit, "--limit", 1000000000)
    show_jobs(call, ["dead"], limit)
    return 0


@command(
    "dlq retry",
    "put dead jobs back into the queue",
    argument("ids", metavar="ID", nargs="*"),
    argument("--all", action="store_true", help="all of them"),
)
def dlq_retry(call: Call) -> int:
    if bool(call.options.ids) == call.options.all:
        raise BadInput("give either the ids of dead jobs or --all")
    if call.options.ids:
        call.queue().requeue(values.unique(call.options.ids), ("dead",), call.now)
        return 0
    left: List[str] = []
    count = call.queue().requeue_dead(call.now, left)
    tell("requeued %d jobs" % count)
    if left:
        tell("left %d jobs dead: another job with the same key waits or runs" % len(left))
    return 0


@command("dlq purge", "delete all dead jobs and their output", shows=True)
def dlq_purge(call: Call) -> int:
    return delete_jobs(call, ["dead"], 0, False)


@command(
    "prune",
    "delete finished jobs and their output, and give the space back",
    argument("--state", metavar="S[,S]", help="which (default: completed,cancelled)"),
    argument("--older-than", metavar="AGE", default="0", help="only those that finished this long ago: 7d, 12h"),
    argument("--quiet", action="store_true", help="print nothing when it worked"),
    shows=True,
)
def prune(call: Call) -> int:
    wanted = states.check_states(call.options.state) or ["cancelled", "completed"]
    for state in wanted:
        if state not in states.FINAL:
            raise BadInput("jobs that are %s are not finished: cancel them first" % state)
    age = times.parse_duration(call.options.older_than, "--older-than")
    return delete_jobs(call, wanted, age, call.options.quiet)


def delete_jobs(call: Call, states: Sequence[str], age: float, quiet: bool) -> int:
    progress = Progress()
    try:
        deleted = call.queue().prune(
            states, max(0.0, call.now - age), lambda count: progress.show("deleted %d jobs" % count)
        )
    finally:
        progress.end()
    if call.options.json:
        acknowledge(json_text({"deleted": deleted}), "the jobs were deleted, but their number")
    elif not quiet:
        tell("deleted %d jobs" % deleted)
    return 0


START_ARGUMENTS = (
    argument("-n", "--count", metavar="N", default="1", help="how many workers (default 1)"),
    argument("--background", "--daemon", action="store_true", help="detach, and log to a file"),
    argument("--drain", action="store_true", help="end once nothing is left to run, retries and delays included"),
    argument("--backoff-base", metavar="X", help="in place of the setting"),
    argument("--poll-interval", metavar="S", help="in place of the setting, seconds"),
    argument("--max-time", metavar="DURATION", help="stop after this long: running jobs finish, nothing new starts"),
    argument("--ensure", action="store_true", help="only where no supervisor serves this queue already"),
    argument("--quiet", action="store_true", help="do not say that it was started in the background"),
    argument("--name", help=argparse.SUPPRESS),
)


@command("worker start", "start workers; Ctrl+C finishes running jobs, a second one ends them", *START_ARGUMENTS)
@command("worker", "short for worker start", *START_ARGUMENTS)
def worker_start(call: Call) -> int:
    options = call.options
    if options.name is not None and not re.match(r"[A-Za-z0-9]{1,32}\Z", options.name):
        raise BadInput("--name: %s is not up to 32 letters and digits" % errors.shown(options.name))
    import worker  # with multiprocessing, which other commands do without
    from queuectl_lib.run import options as options_room
    from queuectl_lib.run import starting

    queue = call.queue()
    wanted = options_room.checked_options(
        options.count, options.drain, options.backoff_base, options.poll_interval, options.max_time
    )
    if options.ensure and queue.is_served():
        return 0
    files.make_home(call.home)
    queue.refuse_untrusted(call.home, call.config.path)  # before SQLite takes in what lies there
    queue.create()
    queue.counts()  # is it ours, whole, and of a version that we know?
    os.environ["QUEUECTL_HOME"] = call.home
    name = options.name or starting.new_supervisor_name()

    def start(when_present: Optional[Callable[[], None]]) -> None:
        if not options.background:
            worker.serve(queue, name, wanted, call.config, when_present)
            return
        pid = starting.start_background(queue, options_room.command_line(SCRIPT, call.home, name, wanted), name)
        if not options.quiet:
            text = "started in the background: supervisor %s, pid %d, workers: %d; log: %s"
            tell(text % (name, pid, wanted.workers, queue.log_path))

    if options.ensure:
        starting.ensure_served(queue, start)
    else:
        start(None)
    return 0


@command(
    "worker stop",
    "stop every supervisor of this queue: finish what runs, take nothing new",
    argument("--now", action="store_true", help="end running jobs and give them back"),
    argument("--leave-running", action="store_true", help="leave running jobs to the next worker (not on Windows)"),
    argument("--timeout", metavar="DURATION", help="end running jobs after this long"),
)
def worker_stop(call: Call) -> int:
    queue = call.queue()
    limit = None if call.options.timeout is None else times.parse_duration(call.options.timeout, "--timeout")
    if call.options.now and call.options.leave_running:
        raise BadInput("--now and --leave-running contradict each other: give one of them")
    if limit is not None and call.options.leave_running:
        raise BadInput("--timeout and --leave-running contradict each other: give one of them")
    if call.options.leave_running and sys.platform == "win32":
        raise BadInput("--leave-running: on Windows a job ends with its worker")
    members = queue.members()
    if not members:
        tell("no worker is running")
        return 0
    supervisors = values.unique([member["supervisor"] or member["name"] for member in members])
    how = "now" if call.options.now else "leave" if call.options.leave_running else "stop"
    inside = queue.is_asked_by_its_job()
    queue.ask_to_stop(supervisors, how)
    if inside:
        tell("stopping; called by a job, which the stop waits for, so this returns at once")
        return 0
    if how != "stop":
        return await_end(queue, supervisors, call.config().grace + 30)
    progress = Progress()
    if await_end(queue, supervisors, limit, progress) == 0:
        return 0
    tell("running jobs did not finish in time: they are ended and given back")
    queue.ask_to_stop(supervisors, "now")
    return await_end(queue, supervisors, call.config().grace + 30)


def await_end(
    queue: Queue, supervisors: Sequence[str], limit: Optional[float], progress: Optional[Progress] = None
) -> int:
    """Wait until these supervisors and their workers are gone: 0, or 1 after *limit* seconds."""
    began = time.monotonic()
    while True:
        left = queue.members_of(supervisors)
        if not left:
            if progress:
                progress.end()
            tell("stopped")
            return 0
        if limit is not None and time.monotonic() - began >= limit:
            if progress:
                progress.end()
                return 1
            raise QueueError("still alive: %s" % ", ".join("pid %d" % member["pid"] for member in left))
        if progress:
            progress.show("waiting for %d processes to finish (Ctrl+C leaves them to it)" % len(left))
        time.sleep(0.03)


@command("worker list", "list supervisors and workers, and what they run", shows=True)
def worker_list(call: Call) -> int:
    queue = call.queue()
    members = queue.members_and_jobs()
    if call.options.json:
        call.print_json(members)
    elif not members:
        tell("no worker is running")
    else:
        rows = [
            (m["name"], m["kind"], str(m["pid"]), m["host"], m["since"][:19] + "Z", m["job"] or "-") for m in members
        ]
        print_table(("NAME", "KIND", "PID", "HOST", "SINCE", "JOB"), rows)
    return 0


@command("config get", "print settings", argument("key", metavar="KEY", nargs="?"), shows=True)
def config_get(call: Call) -> int:
    values = dict(call.config().__dict__)
    if call.options.key is not None:
        key = settings.setting_key(call.options.key)
        if call.options.json:
            call.print_json(values[key])
        else:
            print_text(setting_text(values[key]) + "\n")
        return 0
    if call.options.json:
        call.print_json(values)
        return 0
    given = call.config.values()
    for key, value in values.items():
        note = "" if key in given else "  (default)"
        print_text("%-14s = %s%s\n" % (key, setting_text(value), note))
    return 0


def setting_text(value: object) -> str:
    if value is None:
        return "none"
    return values.number_text(value) if isinstance(value, float) else errors.printable(str(value))


@command("config set", "change a setting", argument("key", metavar="KEY"), argument("value", metavar="VALUE"))
def config_set(call: Call) -> int:
    key = settings.setting_key(call.options.key)
    value = settings.check_setting(key, settings.setting_from_text(key, call.options.value))
    call.config.change(key, value, False)
    return 0


@command("config unset", "go back to the default of a setting", argument("key", metavar="KEY"))
def config_unset(call: Call) -> int:
    if call.options.key not in call.config.content():
        settings.setting_key(call.options.key)
    call.config.change(call.options.key, None, True)
    return 0


@command("initdb", "create the database now rather than at first use")
def initdb(call: Call) -> int:
    queue = call.queue()
    files.make_home(call.home)
    new = queue.create()
    queue.counts()  # is it ours, and of a version that we know?
    tell("%s %s" % ("created" if new else "exists already:", queue.path))
    return 0


@command(
    "cron",
    "print crontab lines (on Windows schtasks commands) that keep workers running",
    argument("-n", "--count", metavar="N", default="1", help="how many workers (default 1)"),
)
def cron(call: Call) -> int:
    import worker

    count = values.count_from_text(call.options.count, "--count", 1000)
    words = [sys.executable or "python3", SCRIPT]
    if os.path.realpath(call.home) != HERE:
        words += ["--home", call.home]
    text = worker.schedule(words, count)
    if sys.platform == "win32":
        print_text(text)
    else:
        write_all(1, os.fsencode(text))  # paths are bytes to cron, whatever stdout can encode
    return 0


@command("doctor", "prove in a few seconds that this host can run the queue; exit 1 where it cannot", shows=True)
def doctor(call: Call) -> int:
    from queuectl_lib.doctor import course

    began, found = time.monotonic(), []
    findings: Any = course.examine(call.home, call.config, SCRIPT, LIBRARY)
    try:
        for finding in findings:
            found.append(finding)
            if not call.options.json:
                print_finding(finding)
    finally:
        findings.close()  # also after Ctrl+C: the trial home goes
    failed = [finding.name for finding in found if finding.ok is False]
    if call.options.json:
        rows = [{"name": one.name, "ok": one.ok, "text": one.text, "advice": one.advice or None} for one in found]
        call.print_json({"ok": not failed, "seconds": round(time.monotonic() - began, 3), "findings": rows})
    if failed:
        raise QueueError("this host cannot run the queue yet: %s" % ", ".join(failed))
    if not call.options.json:
        print_text("this host can run the queue (%.1f s)\n" % (time.monotonic() - began))
    return 0


def print_finding(finding: Finding) -> None:
    word, state = {True: ("ok", "completed"), False: ("FAIL", "dead"), None: ("note", "failed")}[finding.ok]
    text = finding.text + (": " + finding.advice if finding.advice else "")
    print_text("%s%-13s%s\n" % (coloured("%-6s" % word, state), finding.name, errors.printable(text)), flush=True)


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in (words[: words.index("--")] if "--" in words else words)
    prepare_streams()
    try:
        try:
            return run(words)
        except QueueError as error:
            show_trace(debug)
            return complain(str(error), error.exit_code)
        except OSError as error:
            if is_closed_pipe(error):
                return quiet_end(0)
            show_trace(debug)
            place = " (%s)" % error.filename if error.filename else ""
            return complain("the system refuses: %s%s" % (error.strerror or error, place), 3)
        except MemoryError:
            return complain("out of memory", 3)
        except ImportError:  # of what one command alone needs: the door says which
            show_trace(debug)
            raise
    except KeyboardInterrupt:
        return quiet_end(INTERRUPTED)


def run(words: List[str]) -> int:
    try:
        chosen, options, behind = split_words(words)
        if behind is not None and chosen.name not in ("add", "enqueue"):
            options, behind = options + ["--"] + behind, None
        code = chosen.run(Call(chosen.parser().parse_args(options), behind))
    except SystemExit:  # after --help or --version
        code = 0
    try:
        sys.stdout.flush()
    except OSError as error:
        if not is_closed_pipe(error):
            raise
        return quiet_end(code)  # the work was done, well or not
    return code


def show_trace(debug: bool) -> None:
    """Where the error at hand came from, for those who want to know."""
    if debug:
        import traceback  # needed only here

        traceback.print_exc()


def complain(text: str, code: int) -> int:
    """The one place that tells an error: one line, whatever it holds."""
    try:
        sys.stderr.write("queuectl: error: %s\n" % errors.printable(text))
        sys.stderr.flush()
        sys.stdout.flush()
    except OSError:
        quiet_end(code)
    return code


def quiet_end(code: int) -> int:
    """Leave without a word, also from the interpreter when it flushes at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            give_up(stream)
    return code


def give_up(stream: Any) -> None:
    """Let what a stream still holds, and all that follows, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def prepare_streams() -> None:
    """Closed standard streams become /dev/null; what cannot be encoded is shown as an escape."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    for name, fd in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(fd, "w", encoding="utf-8", errors="backslashreplace", closefd=False))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def leave(code: int) -> None:
    """End the process with *code*, at once: all is done and closed, and to take Python down costs milliseconds.

    A command that has started workers ends as usual, for multiprocessing has its own work to do then.
    """
    if "multiprocessing" in sys.modules:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            pass  # that it failed has been told, or cannot be
    os._exit(code)
