"""What is printed and how: streams, colour, tables, progress, JSON; and what becomes of output that nobody reads."""

from __future__ import annotations

import json
import os
import sys
import time

from queuectl_lib import errors
from queuectl_lib.errors import HostError, Interrupted
from queuectl_lib.host import files, interrupts, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Optional, Sequence

    from queuectl_lib.values import Fields

EINVAL = 22


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
    windows = system.WINDOWS and error.errno == EINVAL and not error.filename
    return isinstance(error, BrokenPipeError) or windows


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


notes: Optional[List[str]] = None  # words to people, held back while an error may come; None where no program asks


def speak_to_a_program(is_asked: bool) -> None:
    """From here on an error is one line of JSON on standard error and nothing beside it, where that *is_asked*."""
    global notes
    notes = [] if is_asked else None


def tell_notes() -> None:
    """Say what was held back: no error can come any more."""
    global notes
    texts, notes = notes or [], None
    for text in texts:
        tell(text)


def error_text(text: str, code: str, line: str) -> str:
    """What standard error is told of an error; *line* is to be typed instead."""
    if notes is None:
        return "queuectl: error: %s\n" % errors.printable(text)
    facts: Fields = {"code": code, "message": errors.printable(text)}
    facts.update({"try": line} if line else {})
    facts.update({"notes": [errors.printable(note) for note in notes]} if notes else {})
    return json_safe(json_of({"error": facts}))


def tell(text: str) -> None:
    """A word to the person, on standard error; that nobody can read it is no failure.

    Where a program has asked it is held back to the end, and becomes a part of the error where one comes.
    Raises OSError where what was printed before cannot be written: that comes first.
    """
    interrupts.let_go()
    try:
        sys.stdout.flush()
    except OSError as error:
        if not is_closed_pipe(error):
            raise
        give_up(sys.stdout)
    if notes is not None:
        notes.append(text)
        return
    try:
        sys.stderr.write(errors.printable(text) + "\n")
        sys.stderr.flush()
    except OSError:
        give_up(sys.stderr)


def can_tell() -> bool:
    """True where a word on standard error would not have to wait for its reader (a full pipe, a stopped terminal)."""
    from queuectl_lib.host import stream  # needed only by what takes long

    return stream.has_room()


def acknowledge(text: str, what: str, flush: bool = True) -> None:
    """Print what was done; a full disk behind stdout, or Ctrl+C while it blocks, must not look as if nothing was."""
    try:
        interrupts.let_be_told()
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise HostError("%s could not be printed: %s" % (what, error.strerror), files.full_or_not(error)) from None
    except KeyboardInterrupt:
        raise Interrupted("%s could not be printed: interrupted" % what) from None


def jobs_text(count: int) -> str:
    return "1 job" if count == 1 else "%d jobs" % count


def is_terminal(stream: Any) -> bool:
    return bool(stream.isatty())


STATE_COLOURS = {"completed": "32", "failed": "33", "dead": "31", "processing": "36", "cancelled": "2"}


def coloured(text: str, state: str) -> str:
    """*text* in the colour of *state*, on a terminal that wants colour."""
    plain = system.WINDOWS or "NO_COLOR" in os.environ or os.environ.get("TERM") in (None, "dumb")
    if plain or state not in STATE_COLOURS or not is_terminal(sys.stdout):
        return text
    return "\x1b[%sm%s\x1b[0m" % (STATE_COLOURS[state], text)


def fits(table: Sequence[Sequence[str]]) -> bool:
    """True where these rows, the headings among them, are not wider than the terminal is."""
    room = columns()
    return room is None or sum(max(map(len, column)) + 2 for column in zip(*table)) - 2 <= room


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    state_column: Optional[int] = None,
    spare: Sequence[str] = (),
    label: Sequence[str] = (),
) -> None:
    """Columns under headings, as wide as a terminal is; where that is narrow, those with the headings *spare* go first.

    With *label* there are no headings: its texts stand before the first rows, in a column of their own.
    """
    table = [list(headings), *[[errors.printable(cell) for cell in row] for row in rows]]
    room, left = columns(), " " * LABEL_CELLS if label else ""
    if room is None and all(cell.isascii() for row in table for cell in row):
        kept = list(range(len(headings)))
        widths = [max(len(row[i]) for row in table[bool(label) :]) for i in kept]
        lines = [[cell.ljust(width) for cell, width in zip(row[:-1], widths)] + [row[-1]] for row in table]
    else:
        from queuectl_lib.commands import layout  # which plain text on a pipe needs not

        lines, kept = layout.fitted(table, None if room is None else room - len(left), spare, bool(label))
    for number, line in enumerate(lines):
        if number and state_column in kept:
            place = kept.index(state_column)
            line[place] = coloured(line[place], rows[number - 1][state_column])
        if number or not label:
            begin = label[number - 1] if 0 < number <= len(label) else ""
            print_text(begin.ljust(len(left)) + "  ".join(line).rstrip() + "\n")


LABEL_CELLS = 16  # of what stands before a value of `status`


def columns() -> Optional[int]:
    """How wide the terminal is that standard output goes to; None where it goes elsewhere."""
    import shutil  # needed only here

    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def columns_of(stream: Any) -> int:
    """How wide the terminal is that *stream* goes to; 80 where it does not tell."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


BAR_CELLS = 30


class Progress:
    """A line on a terminal that says how far long work is; nothing elsewhere."""

    def __init__(self) -> None:
        self.active = is_terminal(sys.stderr)
        self.shown_at = time.monotonic()
        self.width = 0

    def show(self, text: str) -> None:
        """Show *text*, as much of it as the line has room for: the rest of a longer one would stay, line upon line."""
        now = time.monotonic()
        if self.active and now - self.shown_at > 0.2 and can_tell():
            self.shown_at = now
            room = columns_of(sys.stderr) - 1
            if len(text) > room:
                text = text[: max(0, room - 3)] + "..."[: max(0, room)]
            sys.stderr.write("\r" + text.ljust(min(self.width, room)))
            sys.stderr.flush()
            self.width = len(text)

    def bar(self, done: int, total: int, what: str) -> None:
        """The same behind a bar, which is what a narrow terminal has no room for."""
        if not total or not self.active:
            self.show(what)
            return
        part = min(1.0, done / float(total))
        text = "%3d %%  %s" % (part * 100, what)
        room = min(BAR_CELLS, columns_of(sys.stderr) - len(text) - 4)
        self.show("[%s] %s" % (("#" * int(part * room)).ljust(room), text) if room >= 10 else text.lstrip())

    def jobs_read(self, done: int, total: int, lines: int) -> None:
        self.bar(done, total, jobs_text(lines))

    def end(self) -> None:
        if self.width and can_tell():
            sys.stderr.write("\r" + " " * self.width + "\r")
            sys.stderr.flush()


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def terminal_text(data: bytes) -> str:
    """Output for a terminal: only line ends and tabs act, everything else is shown."""
    text = system.output_text(data)
    return "\n".join("\t".join(errors.printable(cell) for cell in line.split("\t")) for line in text.split("\n"))


def print_json_array(values: Iterable[object]) -> None:
    """The same for many, one a line, each printed as it comes; nothing more once nobody reads it."""
    empty = True
    try:
        for value in values:
            sys.stdout.write(("[\n" if empty else ",\n") + json_safe(json_of(value))[:-1])
            empty = False
        sys.stdout.write("[]\n" if empty else "\n]\n")
    except OSError as error:
        if not is_closed_pipe(error):
            raise
        quiet_end(0)


def json_text(value: object) -> str:
    return json_safe(json_of(value, indent=2))


def json_of(value: object, indent: Optional[int] = None) -> str:
    """*value* as JSON, which has no infinity: one that was written by hand is told in words."""
    text = json.dumps(value, indent=indent)
    return text if "Infinity" not in text else json.dumps(json.loads(text, parse_constant=str), indent=indent)


def json_safe(text: str) -> str:
    """A line of JSON without the one control character that JSON lets through."""
    return text.replace("\x7f", "\\u007f") + "\n"
