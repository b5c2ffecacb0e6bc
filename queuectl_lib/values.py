"""Values from outside, checked: text, numbers, sizes, keys of JSON; and numbers written for people."""

from __future__ import annotations

import json
import re
import sys

from queuectl_lib import errors
from queuectl_lib.errors import BadInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

    Fields = Dict[str, Any]  # a job, an attempt, a member ... by its column or JSON key


class Unwanted(BadInput):
    """JSON that Python would take: *words* are what stands in the text."""

    def __init__(self, message: str, words: str) -> None:
        super().__init__(message)
        self.words = words


def unique_keys(pairs: List[Tuple[str, Any]]) -> Fields:
    """An object of JSON; raises Unwanted for a key that comes twice."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: Set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Unwanted("the key %s comes twice" % errors.shown(twice), json.dumps(twice, ensure_ascii=False))
    return fields


def refuse_constant(name: str) -> None:
    """Raise Unwanted for NaN, Infinity and -Infinity."""
    raise Unwanted("%s is not a number that JSON knows" % name, name)


def short_integer(digits: str) -> int:
    """A whole number of JSON. Raises ValueError for one of thousands of digits: to read it takes their square."""
    if len(digits) > INTEGER_DIGITS:
        raise ValueError
    return int(digits)


INTEGER_DIGITS = 4300  # as newer Pythons have it, which refuse by themselves, and quicker
SHORT_INTEGER = None if hasattr(sys, "set_int_max_str_digits") else short_integer


def check_text(value: object, name: str) -> str:
    """*value* when it is text that a system call and the database can carry."""
    if not isinstance(value, str):
        raise BadInput("%s: %s is not text" % (name, errors.shown(value)))
    if "\0" in value:
        raise BadInput("%s: %s holds a NUL character" % (name, errors.shown(value)))
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise BadInput("%s: %s is not valid UTF-8" % (name, errors.shown(value))) from None
    return value


def utf8_bytes(text: str) -> int:
    return len(text.encode("utf-8"))


def check_integer(value: object, name: str, low: int, high: int) -> int:
    """*value* when it is a whole number from *low* to *high*."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput("%s: %s is not a whole number" % (name, errors.shown(value)))
    if not low <= value <= high:
        raise BadInput("%s: %s is not between %d and %d" % (name, errors.shown(value), low, high))
    return value


def whole_number(text: str, name: str) -> int:
    """What a word of a command line means as a whole number. Raises BadInput."""
    if not re.match(r"[+-]?[0-9]{1,18}\Z", text):
        raise BadInput("%s: %s is not a whole number" % (name, errors.shown(text)))
    return int(text)


def count_from_text(text: str, name: str, most: int) -> int:
    """The same for a number from 1 to *most*."""
    return check_integer(whole_number(text, name), name, 1, most)


def check_number(value: object, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise BadInput("%s: %s is not a number from %g to %g" % (name, errors.shown(value), low, high))
    return value


def decimal_number(text: str, name: str) -> float:
    """What a word of a command line means as any number. Raises BadInput."""
    if not re.match(r"[+-]?([0-9]{1,18}(\.[0-9]*)?|\.[0-9]+)\Z", text):
        raise BadInput("%s: %s is not a number" % (name, errors.shown(text)))
    return float(text) if "." in text else int(text)


def parse_size(text: str, name: str) -> int:
    """Bytes: a number, also with K, M, G or T behind it."""
    match = re.match(r"([0-9]{1,18})([KMGT]?)\Z", text)
    if not match:
        raise BadInput("%s: %s is not a size such as 256M, 2G or 1000000" % (name, errors.shown(text)))
    return int(match.group(1)) << 10 * " KMGT".index(match.group(2) or " ")


def number_text(value: float) -> str:
    """A number with all its digits, as `config set` and --timeout take it back."""
    if value == int(value):
        return "%d" % value
    return ("%.12f" % value).rstrip("0") if "e" in repr(value) else repr(value)


def shortened(text: str, most: int) -> str:
    """*text* where it has *most* characters or fewer; else its beginning, and that there is more."""
    return text if len(text) <= most else text[: most - 3] + "..."


def progress_text(progress: Optional[Fields]) -> str:
    """How far a job says it is, for people."""
    if not progress:
        return "-"
    text = "%g%%" % progress["percent"]
    return "%s %s" % (text, progress["text"]) if progress["text"] else text


def size_text(count: int) -> str:
    for power, unit in ((4, "T"), (3, "G"), (2, "M"), (1, "K")):
        if count >= 1024**power:
            return ("%.1f" % (count / 1024.0**power)).replace(".0", "") + unit
    return "%d bytes" % count


def unique(ids: Sequence[str]) -> List[str]:
    """*ids* in their order, each once."""
    return list(dict.fromkeys(ids))
