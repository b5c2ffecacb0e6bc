"""Limits of the system that a job asks for (`--limit`): their names, what their values mean, and how they are shown.

They are those of setrlimit(2), each for one process and whatever it starts: `as` is the address space and not the
memory in use, of which some programs (Node, Go, Java) reserve far more than they ever use.
"""

from __future__ import annotations

from queuectl_lib import errors, times, values
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple

MOST = 2**62
# Name in the order they are shown: what it counts, the least and the most that can be meant.
LIMITS: Dict[str, Tuple[str, int, int]] = {
    "cpu": ("seconds", 1, times.SECONDS_LIMIT),
    "fsize": ("bytes", 0, MOST),
    "nofile": ("number", 4, 2**30),
    "nproc": ("number", 1, 2**30),
    "core": ("bytes", 0, MOST),
    "as": ("bytes", 2**20, MOST),
}


def from_text(text: str, key: str) -> Dict[str, int]:
    """What the words of the option mean: cpu=1h,fsize=10G. Raises BadInput."""
    found: Dict[str, int] = {}
    for part in text.split(","):
        name, sign, value = (word.strip() for word in part.partition("="))
        if not (name and sign and value):
            raise BadInput("%s: %s is not NAME=VALUE, such as cpu=1h" % (key, errors.shown(part)))
        if name in found:
            raise BadInput("%s: %s comes twice" % (key, errors.shown(name)))
        check_name(name, key)
        found[name] = check_one(name, number(value, name, key), "%s: %s" % (key, name))
    return found


def number(text: str, name: str, key: str) -> object:
    """The duration, size or number that a word means, as check_one takes it. Raises BadInput."""
    kind, name = LIMITS[name][0], "%s: %s" % (key, name)
    if kind == "seconds":
        return text
    return values.parse_size(text, name) if kind == "bytes" else values.whole_number(text, name)


def check(value: object, key: str) -> Dict[str, int]:
    """What is stored of a JSON value: an object of names and numbers, and at least one. Raises BadInput."""
    if not isinstance(value, dict) or not value:
        raise BadInput('%s: %s is not an object such as {"cpu": 3600}' % (key, errors.shown(value)))
    if system.WINDOWS:
        raise BadInput("%s: Windows has no such limits: leave it out (a timeout works there, too)" % key)
    return {check_name(name, key): check_one(name, value[name], "%s: %s" % (key, name)) for name in value}


def check_name(name: object, key: str) -> str:
    if not isinstance(name, str) or name not in LIMITS:
        raise errors.unknown_name(key, name, list(LIMITS))
    return name


def check_one(name: str, value: object, key: str) -> int:
    """One value: whole seconds are rounded up, for a system knows no others."""
    kind, low, high = LIMITS[name]
    if kind == "seconds":
        value = int(-(-times.parse_duration(value, key) // 1))
    return values.check_integer(value, key, low, high)


def shown(limits: Any) -> str:
    """As the option takes it. Raises TypeError, AttributeError, KeyError for what is none."""
    return ",".join("%s=%s" % (name, value_text(name, limits[name])) for name in LIMITS if name in limits)


def value_text(name: str, value: int) -> str:
    """One value as the option takes it."""
    kind = LIMITS[name][0]
    if kind == "seconds":
        return times.exact_age(value)
    if kind == "bytes" and value:
        for power, unit in ((4, "T"), (3, "G"), (2, "M"), (1, "K")):
            if value % 1024**power == 0:
                return "%d%s" % (value // 1024**power, unit)
    return "%d" % value
