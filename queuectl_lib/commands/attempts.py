"""The attempts of one job on the screen: a table of them, the last one with the end of its output, or each in full."""

from __future__ import annotations

from queuectl_lib import errors, times
from queuectl_lib.commands import terminal
from queuectl_lib.host import system
from queuectl_lib.jobs import fields, states
from queuectl_lib.reports import rounds
from queuectl_lib.store import output
from queuectl_lib.store.output import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

    from queuectl_lib.jobs.local_time import Screen
    from queuectl_lib.values import Fields
    from storage import Queue

SHOWN_BYTES = 16 * 1024  # of output that is printed per stream
LAST_LINES = 10  # of the last attempt's output, each stream
LINE_CHARACTERS = 400  # of one of these: what is no text, or a bar that moves, has no line ends
SAID_CHARACTERS = 200  # of the line that tells most
SHOWN_ATTEMPTS = 20  # in the table, the newest
MARK = "--  put back into the queue"


# ---------------------------------------------------------------- the table

HEADINGS = ("#", "OUTCOME", "STARTED", "TOOK", "EXIT", "LAUNCHER", "CPU", "MEMORY", "STDOUT", "STDERR", "SAYS")
STARTED, LAUNCHER, CPU, MEMORY, SAYS = 2, 5, 6, 7, 10
SAID_LEAST = 12  # columns of a terminal that what an attempt says must have, or it is left out
SAID_WELL = 30  # columns for it, before times are told in full


def show_table(queue: Queue, job: Fields, now: float, screen: Screen) -> None:
    """Print a line for each attempt, the newest last, with a mark where somebody has put the job back between."""
    history: List[Fields] = job["history"]
    skipped = max(0, len(history) - SHOWN_ATTEMPTS)
    rows = [cells(queue, attempt, now, screen) for attempt in history[skipped:]]
    numbers = range(len(HEADINGS))
    columns = [number for number in numbers if number < LAUNCHER or any(row[number] != "-" for row in rows)]
    columns = fitting(columns, rows)
    lines = [[row[number] for number in columns] for row in rows]
    mark = ["--", "put back"] + [""] * (len(columns) - 2)
    for place in reversed([one for one in rounds.put_back(job) if one > skipped]):
        lines.insert(place - skipped, mark)
    terminal.print_text("\n")
    if skipped:
        told = "... %d earlier attempt%s: `show %s --all`\n"
        terminal.print_text(told % (skipped, "s" * (skipped > 1), errors.printable(str(job["id"]))))
    terminal.print_table([HEADINGS[number] for number in columns], lines)


def cells(queue: Queue, attempt: Fields, now: float, screen: Screen) -> List[str]:
    """What the table says of one attempt, by HEADINGS."""
    seconds = rounds.seconds_of(attempt, now)
    took = "-" if seconds < 0 else times.span_text(seconds)
    if attempt["outcome"] == states.RUNNING and seconds >= 0:
        took = "for " + times.age_text(seconds)
    code = attempt["exit_code"] if attempt["exit_code"] is not None else attempt["signal"]
    cpu, memory = attempt["cpu"], attempt["peak_rss"]
    under = attempt["peak_rss_under"]
    return [
        str(attempt["number"]),
        str(attempt["outcome"]),
        screen.text(attempt["started_at"]),
        took,
        "-" if code is None else str(code),
        launcher_of(attempt),
        times.seconds_text(cpu) if isinstance(cpu, (int, float)) else "-",
        megabytes(memory) if isinstance(memory, int) else "-" if under is None else "<" + megabytes(under + 1000000),
        *[size_cell(Output(queue.database, attempt, stream).size) for stream in ("stdout", "stderr")],
        said_of(queue, attempt),
    ]


def launcher_of(attempt: Fields) -> str:
    """Who started it elsewhere, and which attempt's far job it has joined; "-" for nobody."""
    name = attempt["launcher"]
    return "-" if name is None else "%s, joins %s" % (name, attempt["joined"]) if attempt["joined"] else str(name)


def megabytes(count: int) -> str:
    return "%d MB" % max(1, round(count / 1e6))


def size_cell(count: int) -> str:
    """A size in few characters; "-" for none."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "K")):
        if count >= size:
            amount = count / (size if size != 1e4 else 1e3)
            return "%.*f%s" % (amount < 10, amount, unit)
    return str(count) if count else "-"


def said_of(queue: Queue, attempt: Fields) -> str:
    """The line that tells most of a failure, or what else is known of the end than is told beside; "-"."""
    line = telling_line(queue, attempt)
    if line or attempt["error"] is None:
        return line[:SAID_CHARACTERS] or "-"
    text = str(attempt["error"])
    return "-" if text.startswith("exit code ") else text[:SAID_CHARACTERS]


def fitting(columns: List[int], rows: List[List[str]]) -> List[int]:
    """Those of the *columns* for which a terminal has room; where it has little the *rows* get shorter times."""
    room = terminal.columns()
    if room is None:
        return columns
    if wanted(columns, rows) > room:
        columns = [one for one in columns if one not in (CPU, MEMORY)]
    if wanted(columns, rows, SAID_WELL) > room:
        for row in rows:
            row[STARTED] = row[STARTED][5:16] if times.is_time(row[STARTED][:19]) else row[STARTED]
    if wanted(columns, rows) > room:
        columns = [one for one in columns if one != SAYS]
    return columns


def wanted(columns: List[int], rows: List[List[str]], least: int = SAID_LEAST) -> int:
    """How wide a table is, of whose last column only so much must be seen."""
    widths: Dict[int, int] = {one: max(len(row[one]) for row in [list(HEADINGS), *rows]) for one in columns}
    if SAYS in widths:
        widths[SAYS] = min(widths[SAYS], least)
    return sum(widths.values()) + 2 * len(widths) - 2


# ---------------------------------------------------------------- one attempt


def show_last(queue: Queue, job: Fields) -> None:
    """Print what is known of the last attempt beside the table, and the last lines of what it wrote."""
    attempt = job["history"][-1]
    streams = [stream for stream in ("stdout", "stderr") if Output(queue.database, attempt, stream).size]
    told = [attempt[key] for key in ("command", "error", "leftovers", "erased")]
    if not streams and not any(told) and not (attempt["note"] or {}).get("ignored"):
        return  # the table has said it
    show_name(attempt)
    show_facts(queue, attempt)
    are_cut = [show_end(queue, attempt, stream) for stream in streams]
    if any(are_cut):
        number = "" if type(attempt["number"]) is not int else " --attempt %d" % attempt["number"]
        terminal.print_text("  (`logs %s%s` shows all of it)\n" % (errors.printable(str(job["id"])), number))


def show_end(queue: Queue, attempt: Fields, stream: str) -> bool:
    """Print the last lines of a stream; True where there are more."""
    found = Output(queue.database, attempt, stream)
    data = found.tail(SHOWN_BYTES)
    lines = system.output_text(data).splitlines()
    is_cut = len(lines) > LAST_LINES or len(data) < found.size
    show_size(found, len(data), ", the end" if data and is_cut else "")
    for line in lines[-LAST_LINES:]:
        text = errors.printable(line)
        is_cut = is_cut or len(text) > LINE_CHARACTERS
        terminal.print_text("    %s\n" % (text if len(text) <= LINE_CHARACTERS else text[:LINE_CHARACTERS] + "..."))
    return bool(is_cut and data)


def show_in_full(queue: Queue, identifier: object, attempt: Fields, screen: Screen) -> None:
    """Print all that is known of one attempt, and the end of what it wrote."""
    show_name(attempt)
    facts = ["started %s" % screen.text(attempt["started_at"])]
    if attempt["finished_at"]:
        facts.append("took %s" % times.span_text(max(0.0, rounds.seconds_of(attempt, 0.0))))
    if attempt["exit_code"] is not None:
        facts.append("exit code %s" % attempt["exit_code"])
    if attempt["launcher"] is not None:
        facts.append("launcher %s" % launcher_of(attempt))
    facts += used(attempt)
    facts.append("worker %s" % attempt["worker"])
    terminal.print_text("  %s\n" % errors.printable(", ".join(facts)))
    show_facts(queue, attempt)
    for stream in ("stdout", "stderr"):
        found = Output(queue.database, attempt, stream)
        data = found.tail(SHOWN_BYTES)
        if not found.size:
            continue
        show_size(found, len(data))
        if data and len(data) < found.size:
            shown = errors.printable(str(identifier)), errors.printable(str(attempt["number"]))
            terminal.print_text("    ... (`logs %s --attempt %s` shows all of it)\n" % shown)
        for line in system.output_text(data).splitlines():
            terminal.print_text("    %s\n" % errors.printable(line))


def show_name(attempt: Fields) -> None:
    # All of what an attempt is said to be may be anything.
    name = errors.printable(str(attempt["number"])), errors.printable(str(attempt["outcome"]))
    terminal.print_text("\nattempt %s: %s\n" % name)


def show_size(found: Output, there: int, more: str = "") -> None:
    gone = "" if there else ", which are not there any more"
    terminal.print_text("  %s, %d bytes%s%s%s\n" % (found.stream, found.size, more, gone, ":" * bool(there)))


def show_facts(queue: Queue, attempt: Fields) -> None:
    """Print what few attempts have: another command, an error, processes that were left ..."""
    if attempt["command"] is not None:
        terminal.print_text("  command: %s\n" % errors.printable(fields.shown(system.typed, attempt["command"])))
    if attempt["error"]:
        terminal.print_text("  error: %s\n" % errors.printable(str(attempt["error"])))
        line = telling_line(queue, attempt)
        if line:
            terminal.print_text("  it says: %s\n" % errors.printable(line[:SAID_CHARACTERS]))
    if attempt["leftovers"]:
        terminal.print_text("  left running: %s\n" % errors.printable(str(attempt["leftovers"])))
    if attempt["erased"]:
        terminal.print_text("  %s\n" % output.erased_words(attempt["erased"]))
    note = attempt["note"] or {}
    if note.get("ignored"):
        lines = ", ".join(map(errors.shown, note["ignored"]))
        more = ", ..." if note["ignored_lines"] > len(note["ignored"]) else ""
        count = "1 line that is" if note["ignored_lines"] == 1 else "%d lines that are" % note["ignored_lines"]
        terminal.print_text("  ignored: %s not understood: %s%s\n" % (count, lines, more))


def telling_line(queue: Queue, attempt: Fields) -> str:
    """The line of its output that tells most of why it failed; "" where none does."""
    if attempt["outcome"] not in states.ENDINGS or states.ENDINGS[attempt["outcome"]] != "fail":
        return ""
    from queuectl_lib.jobs import signatures  # which only a job that has failed needs

    stderr, stdout = (Output(queue.database, attempt, s).tail(signatures.TAIL_BYTES) for s in ("stderr", "stdout"))
    return signatures.telling_line(stderr, stdout)


def used(attempt: Fields) -> List[str]:
    """What an attempt has used, as far as it is known: CPU of all its processes, memory of the largest one."""
    cpu, peak, under = attempt["cpu"], attempt["peak_rss"], attempt["peak_rss_under"]
    facts = []
    if isinstance(cpu, (int, float)):
        facts.append("cpu %s" % times.seconds_text(cpu))
    if isinstance(peak, int):
        facts.append("largest process %s" % megabytes(peak))
    elif under is not None:
        facts.append("largest process under %d MB" % (under // 1000000 + 1))
    return facts
