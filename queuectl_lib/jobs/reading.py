"""Jobs as JSON and JSON Lines: values, one after the other; a mistake names its line."""

from __future__ import annotations

import json
import re
import sys

from queuectl_lib import values
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import sources
from queuectl_lib.jobs.fields import NotNew

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Iterator, List, Pattern, Sequence, Tuple

    from queuectl_lib.jobs.fields import JobMaker

VALUE_CHARACTERS = 16 * 1024 * 1024  # longest value of JSON over several lines; of an array, each of its values
JSON_LEVELS = 900  # of lists and objects in each other: what every Python can read


def read_jobs(source: Any, report: Callable[[int, int, int], None]) -> Iterator[Tuple[object, object]]:
    """Pairs of line (and number in an array) and job, in flat memory.

    *source* is an open binary file; *report* is told bytes read, bytes in all (0 where that is not known),
    and lines. Raises BadInput that names the line, HostError where the source cannot be read.
    """
    reader = sources.LineReader(source, report)
    lines = reader.lines()
    for begin, first in lines:
        if not first.strip():
            continue
        if first.lstrip()[:1] == "{" and is_json(first):
            yield begin, read_line(first, begin)
            for number, line in lines:
                if line and not line.isspace():
                    yield number, read_line(line, number)
        elif first.lstrip()[:1] not in ("{", "["):
            yield from read_values([first], begin)  # no job at all: what comes behind it is not waited for
        else:
            yield from read_values(reader.text(first, lines), begin)
    if reader.has_begun_array:
        yield from read_values(reader.text("", iter(())), reader.number + 1)


def read_line(line: str, number: int) -> object:
    """What one line of JSON Lines says."""
    try:
        value = plain_object(line)
        if value is None:
            value = DECODER.decode(line)
        check_depth(value, line)
    except JSON_MISTAKES as error:
        raise json_refusal(error, number) from None
    return value


def plain_object(line: str) -> object:
    """The object that *line* is, read in the quickest way; None where only DECODER can tell.

    A key that comes twice is not seen in this way. But each key in the line, at whatever depth,
    has a colon behind it: where there are no more colons than keys in the object, none came
    twice. Those in its values do not count, unless escapes hide how many they are in the line.
    """
    try:
        value, end = PLAIN_DECODER.raw_decode(line)
    except JSON_MISTAKES:
        return None
    if type(value) is not dict or line[end:] not in ("", "\r"):
        return None
    colons = line.count(":")
    if colons != len(value) and "\\" not in line:
        colons -= sum(text.count(":") for text in value.values() if type(text) is str)
    return value if colons == len(value) else None


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
                value, end = DECODER.raw_decode(self.text, self.place)
                check_depth([value] if in_array else value, self.text[self.place : end])
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos > len(self.text) - LONGEST_WORD
                if is_cut and self.more():
                    continue
                raise self.mistake(error.msg, error.pos) from None
            except JSON_MISTAKES as error:
                raise json_refusal(error, self.line) from None
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


DECODER = json.JSONDecoder(
    object_pairs_hook=values.unique_keys, parse_constant=values.refuse_constant, parse_int=values.SHORT_INTEGER
)  # json.loads makes one a call
PLAIN_DECODER = json.JSONDecoder(parse_constant=values.refuse_constant, parse_int=values.SHORT_INTEGER)
WHITE_SPACE, JSON_SPACE = re.compile(r"\s*"), re.compile(r"[ \t\n\r]*")  # between values, and within an array
TRAILING_COMMA = "Illegal trailing comma before end of array" if sys.version_info >= (3, 13) else ""
LONGEST_WORD = 16  # what is cut off in the middle of an escape or a word is told as wrong within so many characters
JSON_MISTAKES = (ValueError, RecursionError, BadInput)


def json_refusal(error: BaseException, begin: int) -> BadInput:
    """What to say of a broken piece of JSON that began in line *begin* of the source."""
    place = "line %d" % begin
    if isinstance(error, json.JSONDecodeError):
        place = "line %d, column %d" % (begin + error.lineno - 1, error.colno)
        what = error.msg
    elif isinstance(error, RecursionError):
        what = "JSON is nested too deeply"
    elif isinstance(error, BadInput):
        what = str(error)
    else:
        what = "a number is too long"
    return BadInput("%s: %s: nothing was added" % (place, what))


def check_depth(value: object, text: str) -> None:
    """Raise RecursionError for JSON that is nested too deeply: Python 3.14 reads what others refuse."""
    if len(text) <= JSON_LEVELS:
        return
    if text.count("[") + text.count("{") <= JSON_LEVELS:
        return
    level: List[Any] = [value]
    for _ in range(JSON_LEVELS):
        parts = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        level = [inner for part in parts for inner in part]
    if level:
        raise RecursionError


def is_json(line: str) -> bool:
    """True where one line is a whole JSON value, so that the source is JSON Lines."""
    try:
        json.loads(line, parse_int=values.SHORT_INTEGER)
    except json.JSONDecodeError as error:
        return error.pos < len(line.rstrip())  # broken rather than unfinished: say so for this line
    except (ValueError, RecursionError):
        pass
    return True


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
