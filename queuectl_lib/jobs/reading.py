"""Jobs as JSON and JSON Lines: values, one after the other; a mistake names its line."""

from __future__ import annotations

import itertools
import json
import re
import sys

from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import decoding, sources
from queuectl_lib.jobs.making import NotNew

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Iterator, Pattern, Sequence, Tuple

    from queuectl_lib.jobs.making import JobMaker

VALUE_CHARACTERS = 16 * 1024 * 1024  # longest value of JSON over several lines; of an array, each of its values


def read_jobs(source: Any, report: Callable[[int, int, int], None]) -> Iterator[Tuple[object, object]]:
    """Pairs of line (and number in an array) and job, in flat memory.

    *source* is an open binary file; *report* is told bytes read, bytes in all (0 where that is not known),
    and lines. Raises BadInput that names the line, HostError where the source cannot be read.
    """
    reader = sources.LineReader(source, report)
    blocks = reader.blocks()
    for number, lines in blocks:
        for begin, first in enumerate(lines, number):
            if not first.strip():
                continue
            rest = itertools.islice(lines, begin - number + 1, None)
            if first.lstrip()[:1] == "{" and decoding.is_json(first):
                yield begin, decoding.read_line(first, begin)
                yield from decoding.read_lines(list(rest), begin + 1)
                for number, lines in blocks:
                    yield from decoding.read_lines(lines, number)
            elif first.lstrip()[:1] not in ("{", "["):
                yield from read_values([first], begin)  # no job at all: what comes behind it is not waited for
            else:
                yield from read_values(reader.text(first, rest, blocks), begin)
            break
    if reader.has_begun_array:
        yield from read_values(reader.text("", (), ()), reader.number + 1)


def read_values(parts: Iterable[str], begin: int) -> Iterator[Tuple[object, object]]:
    """Jobs of arrays and objects that go over several lines, one after the other, as the *parts* of the text come."""
    window = Window(iter(parts), begin)
    while True:
        first = window.skip(WHITE_SPACE)
        window.begin_value()
        if first == "[":
            yield from read_array(window)
        elif first:
            yield window.line, window.value()
        else:
            return


def read_array(window: Window) -> Iterator[Tuple[object, object]]:
    """The jobs of the array at whose begin *window* stands."""
    begin, number = window.line, 0
    window.place += 1
    behind = "," if window.skip(JSON_SPACE) != "]" else "]"
    while behind == ",":
        number += 1
        job = window.value(in_array=True)
        behind = window.skip(JSON_SPACE)
        if behind not in (",", "]"):
            raise window.mistake("Expecting ',' delimiter", window.place)
        if behind == ",":
            window.place += 1
            if window.skip(JSON_SPACE) == "]":
                comma = window.text.rfind(",", 0, window.place) if TRAILING_COMMA else -1
                raise window.mistake(TRAILING_COMMA or "Expecting value", comma if comma >= 0 else window.place)
        yield begin if number == 1 and behind == "]" else "%d, job %d" % (begin, number), job
    window.place += 1


class Window:
    """What is at hand of a text that comes in *parts* and begins in *line*: from a value on that is being read."""

    def __init__(self, parts: Iterator[str], line: int) -> None:
        self.parts = parts
        self.text = ""
        self.place = 0  # of what is next
        self.line = line  # in which the value begins that is being read
        self.known, self.where = 0, (line, 0)  # a place, and its line and column
        self.is_all = False

    def begin_value(self) -> None:
        self.known, self.where = self.place, self.where_is(self.place)
        self.line = self.where[0]

    def more(self) -> bool:
        """Read on, as much again as is left at least, and forget what has been read; False at the end.

        Raises BadInput where what is left, so one value, is too long.
        """
        left, got = self.text[self.place :], []
        if len(left) > VALUE_CHARACTERS:
            text = (
                "line %d: a value is longer than %d characters (give one job per line, JSON Lines): nothing was added"
            )
            raise BadInput(text % (self.where_is(self.place)[0], VALUE_CHARACTERS))
        size = 0
        while size <= len(left) and not self.is_all:
            part = next(self.parts, None)
            self.is_all = part is None
            got.append(part or "")
            size += len(got[-1])
        if size:
            self.where = self.where_is(self.place)
            self.text, self.place, self.known = left + "".join(got), 0, 0
        return bool(size)

    def skip(self, space: Pattern[str]) -> str:
        """Go on to what is no *space*: its first character, "" at the end."""
        while True:
            self.place = space.match(self.text, self.place).end()  # type: ignore[union-attr]
            if self.place < len(self.text):
                return self.text[self.place]
            if not self.more():
                return ""

    def value(self, in_array: bool = False) -> object:
        """The value that is next, whole. Raises BadInput."""
        while True:
            try:
                value, end = decoding.DECODER.raw_decode(self.text, self.place)
                decoding.check_depth([value] if in_array else value, self.text[self.place : end])
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos > len(self.text) - LONGEST_WORD
                if is_cut and self.more():
                    continue
                raise self.mistake(error.msg, error.pos) from None
            except decoding.JSON_MISTAKES as error:
                raise decoding.json_refusal(error, self.line) from None
            if end == len(self.text) and self.more():  # of a number there may be more
                continue
            self.place = end
            return value

    def where_is(self, place: int) -> Tuple[int, int]:
        """Line and column of *place*, which is behind what is known."""
        line, column = self.where
        end = self.text.rfind("\n", self.known, place)
        column = place - end - 1 if end >= 0 else column + place - self.known
        return line + self.text.count("\n", self.known, place), column

    def mistake(self, what: str, place: int) -> BadInput:
        line, column = self.where_is(place)
        return BadInput("line %d, column %d: %s: nothing was added" % (line, column + 1, what))


WHITE_SPACE, JSON_SPACE = re.compile(r"\s*"), re.compile(r"[ \t\n\r]*")  # between values, and within an array
TRAILING_COMMA = "Illegal trailing comma before end of array" if sys.version_info >= (3, 13) else ""
LONGEST_WORD = 16  # what is cut off in the middle of an escape or a word is told as wrong within so many characters


def checked_rows(maker: JobMaker, jobs: Iterable[Tuple[object, object]]) -> Iterator[Tuple[object, Sequence[Any]]]:
    """Rows for the queue; a mistake names its line.

    Jobs that say of themselves that they ran, or run now, are refused together at the end.
    """
    count = not_new = 0
    first = ""
    for line, job in jobs:
        count += 1
        try:
            row = maker.row(job)
        except NotNew as error:
            not_new += 1
            first = first or "line %s: %s" % (line, error)
            continue
        except BadInput as error:
            raise BadInput("line %s: %s: nothing was added" % (line, error)) from None
        if not not_new:  # else all that is left to do is to count them
            yield line, row
    if not count:
        raise BadInput("no job was given: nothing was added")
    if not_new:
        text = "%s, and would run again (jobs of that kind: %d): nothing was added; `list --state pending,failed`"
        raise BadInput((text + " leaves them out, --any-state takes them as new") % (first, not_new))
