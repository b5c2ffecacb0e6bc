"""Text to JSON values, in the quickest way that is sure; what is wrong with it is told of its line."""

from __future__ import annotations

import json
import os

from queuectl_lib import values
from queuectl_lib.errors import BadInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Optional, Tuple

JSON_LEVELS = 900  # of lists and objects in each other: what every Python can read
JSON_MISTAKES = (ValueError, RecursionError, BadInput)

DECODER = json.JSONDecoder(
    object_pairs_hook=values.unique_keys, parse_constant=values.refuse_constant, parse_int=values.SHORT_INTEGER
)  # json.loads makes one a call
PLAIN_DECODER = json.JSONDecoder(parse_constant=values.refuse_constant, parse_int=values.SHORT_INTEGER)
MARK = int.from_bytes(os.urandom(6), "big")  # of this process; in no input, but by chance
BETWEEN = ",%d," % MARK


def read_lines(lines: List[str], begin: int) -> Iterator[Tuple[object, object]]:
    """Jobs of JSON Lines, the first from line *begin*: all at once, or else one by one, which tells what is wrong."""
    jobs = plain_objects(lines)
    if jobs is not None:
        return enumerate(jobs, begin)
    return ((number, read_line(line, number)) for number, line in enumerate(lines, begin) if line.strip())


def plain_objects(lines: List[str]) -> Optional[List[Any]]:
    """The objects that *lines* are, one each, read in the quickest way; None where that cannot tell.

    They are read as one list. Between two stands a number that nobody else knows, so lines that are objects
    only together, or are several, are noticed.
    """
    if max(map(len, lines), default=0) > JSON_LEVELS:  # see check_depth
        return None
    text = BETWEEN.join(lines)
    try:
        found = PLAIN_DECODER.decode("[%s]" % text)
    except JSON_MISTAKES:
        return None
    jobs = found[::2]
    is_each_one = len(found) == 2 * len(lines) - 1 and found[1::2].count(MARK) == len(lines) - 1
    return jobs if is_each_one and no_key_twice(jobs, text) else None


def no_key_twice(jobs: List[Any], text: str) -> bool:
    """True where each of *jobs*, read from *text*, is an object in which, for sure, no key came twice.

    A key that comes twice is not seen when objects are read in the quickest way. But each key in the text, at whatever
    depth, has a colon behind it: where there are no more colons than keys in the objects, none came twice. Those in
    texts do not count, unless escapes hide how many they are.
    """
    if set(map(type, jobs)) != {dict}:
        return False
    colons, keys = text.count(":"), sum(map(len, jobs))
    if colons != keys and "\\u003" not in text:
        for job in jobs:
            for value in job.values():
                if type(value) is str:
                    colons -= value.count(":")
                elif type(value) is dict:
                    keys += len(value)
                    colons -= sum(one.count(":") for one in value.values() if type(one) is str)
                elif type(value) is list:
                    colons -= sum(one.count(":") for one in value if type(one) is str)
    return colons == keys


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
    """The object that *line* is, read in the quickest way; None where only DECODER can tell."""
    try:
        value, end = PLAIN_DECODER.raw_decode(line)
    except JSON_MISTAKES:
        return None
    return value if line[end:] in ("", "\r") and no_key_twice([value], line) else None


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
