"""What exit codes mean and how long a retry waits, as people and programs write it: read, checked, and said again.

    ok_codes, later_codes, dead_codes    0,24 or 64-78; in JSON a list [0, 24], also ["64-78"]
    backoff                              exponential, exponential:2, linear:30s, fixed:30s, or a list 30s,2m,10m
    jitter                               20% or 0.2

Loaded where a job or a setting says something of these, and not before.
"""

from __future__ import annotations

import re

from queuectl_lib import errors, times, values
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Set, Tuple

CODES = ("ok_codes", "later_codes", "dead_codes")
MOST_CODES = 1000  # in one list
HIGHEST_CODE = 4294967295 if system.WINDOWS else 255
RANGE = r"\s*([0-9]{1,10})\s*(?:-\s*([0-9]{1,10})\s*)?\Z"


def check_codes(value: object, key: str) -> List[int]:
    """Exit codes, each once and in order, of a text or a list. Raises BadInput."""
    if isinstance(value, str):
        parts: List[Any] = [] if value.strip().lower() == "none" else value.split(",")
    elif isinstance(value, list):
        parts = value
    else:
        raise BadInput("%s: %s is no list of exit codes such as [0, 24]" % (key, errors.shown(value)))
    found: Set[int] = set()
    for part in parts:
        low, high = range_of(part, key)
        if high - low >= MOST_CODES or len(found) > MOST_CODES:
            raise BadInput("%s: more than %d codes" % (key, MOST_CODES))
        found.update(range(low, high + 1))
    return sorted(found)


def range_of(part: object, key: str) -> Tuple[int, int]:
    """The first and the last of the codes that *part* of a list means. Raises BadInput."""
    match = re.match(RANGE, part) if isinstance(part, str) else None
    if match:
        low, high = int(match.group(1)), int(match.group(2) or match.group(1))
    elif isinstance(part, int) and not isinstance(part, bool):
        low = high = part
    else:
        raise BadInput("%s: %s is no exit code, such as 24 or 64-78" % (key, errors.shown(part)))
    for code in (low, high):
        if not 0 <= code <= HIGHEST_CODE:
            raise BadInput("%s: %s is not between 0 and %d" % (key, errors.shown(code), HIGHEST_CODE))
    if low > high:
        raise BadInput("%s: %s ends before it begins" % (key, errors.shown(part)))
    return low, high


def codes_text(codes: object) -> str:
    """A list of codes as one would type it: 0,24,64-78."""
    if not isinstance(codes, list):
        return str(codes)
    ranges: List[List[int]] = []
    for code in codes:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ",".join("%d" % low if low == high else "%d-%d" % (low, high) for low, high in ranges) or "none"


def refuse_twice(lists: Mapping[str, Any]) -> None:
    """Raise BadInput where one code is in two of these lists, by the keys of CODES."""
    seen: Dict[int, str] = {}
    for key in CODES:
        for code in lists.get(key) or ():
            if code in seen:
                raise BadInput("the exit code %d is in %s and in %s: it can mean one thing" % (code, seen[code], key))
            seen[code] = key


def share(text: str, key: str) -> float:
    """What a word of a command line means as a share of one: 20% or 0.2. Raises BadInput."""
    number = values.decimal_number(text[:-1], key) / 100 if text.endswith("%") else values.decimal_number(text, key)
    if not 0 <= number <= 1:
        raise BadInput("%s: %s is not from 0 to 1, or from 0%% to 100%%" % (key, errors.shown(text)))
    return number


WRITTEN = "exponential:2, linear:30s, fixed:30s or a list such as 30s,2m,10m"


def check_backoff(value: object, key: str) -> str:
    """A backoff as it was written, without blanks, where it can be read. Raises BadInput."""
    if not isinstance(value, str) or len(value) > 1000:
        raise BadInput("%s: %s is not %s" % (key, errors.shown(value), WRITTEN))
    text = re.sub(r"\s+", "", value)
    delays(text, 2.0, key)
    return text


def delays(text: str, base: float, key: str = "backoff") -> Callable[[int], float]:
    """Seconds after attempt number N (from 1) failed, as *text* has it, before any cap. Raises BadInput.

    *base* is that of an exponential one which names none.
    """
    kind, colon, amount = text.partition(":")
    if kind == "exponential":
        if colon:
            base = values.check_number(values.decimal_number(amount, key), key, 0, 1000000000)
        return lambda number: power(float(base), number)
    if kind in ("linear", "fixed") and colon:
        step = times.parse_duration(amount, key)
        return (lambda number: step * number) if kind == "linear" else (lambda number: step)
    parts = text.split(",")
    if colon or not all(re.match(r"[0-9.]", part) for part in parts):
        raise BadInput("%s: %s is not %s" % (key, errors.shown(text), WRITTEN))
    steps = [times.parse_duration(part, key) for part in parts]
    return lambda number: steps[min(number, len(steps)) - 1]


def power(base: float, number: int) -> float:
    try:
        return base**number
    except OverflowError:
        return float(times.SECONDS_LIMIT)
