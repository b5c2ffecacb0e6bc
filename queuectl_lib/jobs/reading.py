"""Jobs as JSON and JSON Lines: values, one after the other; a mistake names its line."""

from __future__ import annotations

import json
import re

from queuectl_lib import values
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import sources
from queuectl_lib.jobs.fields import NotNew

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Iterator, List, Sequence, Tuple

    from queuectl_lib.jobs.fields import JobMaker

JSON_LEVELS = 900  # of lists and objects in each other: what every Python can read


def read_jobs(source: Any, report: Callable[[int, int, int], None]) -> Iterator[Tuple[object, object]]:
    """Pairs of line (and number in an array) and job: JSON Lines flat in memory, else all at once.

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
            yield from read_values(first, begin)  # no job at all: what comes behind it is not waited for
        else:
            yield from read_values(reader.rest(first, lines), begin)


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


def read_values(text: str, begin: int) -> Iterator[Tuple[object, object]]:
    """Jobs of arrays and objects that go over several lines, one value after the other."""
    place, end, line = 0, 0, begin
    while True:
        place = WHITE_SPACE.match(text, end).end()  # type: ignore[union-attr]
        if place >= len(text):
            return
        line += text.count("\n", end, place)
        try:
            value, end = DECODER.raw_decode(text, place)
            check_depth(value, text[place:end])
        except json.JSONDecodeError as error:
            raise json_refusal(error, begin) from None
        except JSON_MISTAKES as error:
            raise json_refusal(error, line) from None
        jobs = value if isinstance(value, list) else [value]
        for number, job in enumerate(jobs, 1):
            yield "%d, job %d" % (line, number) if len(jobs) > 1 else line, job
        line += text.count("\n", place, end)


DECODER = json.JSONDecoder(
    object_pairs_hook=values.unique_keys, parse_constant=values.refuse_constant, parse_int=values.SHORT_INTEGER
)  # json.loads makes one a call
PLAIN_DECODER = json.JSONDecoder(parse_constant=values.refuse_constant, parse_int=values.SHORT_INTEGER)
WHITE_SPACE = re.compile(r"\s*")
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
