"""Ids of jobs: given ones checked, made ones short, unique, and in the order of their age."""

from __future__ import annotations

import os
import re

from queuectl_lib import errors
from queuectl_lib.errors import BadInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Pattern

ID = r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,127}\Z"
COMPILED: List[Pattern[str]] = []  # ID, once one is checked: most calls check none, many check a million
ID_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
ID_EPOCH = 1704067200  # 2024-01-01: keeps ten digits good until 2059
ID_PAIRS: List[str] = []  # two digits for each number below 1024, once an id is made: a worker makes none


class NotAnId(BadInput):
    """This can be the id of no job."""

    def __init__(self, identifier: object) -> None:
        text = "id: %s is not an id: up to 128 letters, digits and _ . : @ + -, the first a letter, digit or _"
        super().__init__(text % errors.shown(identifier))
        self.identifier = identifier


class MadeId(str):
    """An id that queuectl made, and may make anew if it is taken."""


class Holder(str):
    """The id of a job that waits or runs with a key, given where another with that key was not added."""

    key: str
    state: str

    @classmethod
    def of(cls, identifier: str, key: str, state: str) -> Holder:
        holder = cls(identifier)
        holder.key, holder.state = key, state
        return holder


class There(str):
    """The id of a job that is there already, given where another with that id was skipped."""

    state: str
    differs: bool  # in its command

    @classmethod
    def of(cls, identifier: str, state: str, differs: bool) -> There:
        there = cls(identifier)
        there.state, there.differs = state, differs
        return there


class Aside(str):
    """A sentence on new jobs with which all is well, so --quiet keeps it back."""


class IdMaker:
    """Makes ids: ten base-32 digits of time (microseconds), then two at random."""

    def __init__(self) -> None:
        self.last = 0
        self.second = -1  # what `start` says: the first six digits, the same for a million ids
        self.start = ""
        self.random: Iterator[int] = iter(())

    def __call__(self, now: float) -> MadeId:
        is_first = not self.last
        self.last = micros = max(self.last + 1, int((now - ID_EPOCH) * 1000000))
        if is_first:
            return MadeId(digits(micros << 10 | self._random() & 1023))
        if not ID_PAIRS:
            ID_PAIRS.extend(one + two for one in ID_DIGITS for two in ID_DIGITS)
        if micros >> 20 != self.second:
            self.second = micros >> 20
            self.start = "".join([ID_PAIRS[self.second >> shift & 1023] for shift in (20, 10, 0)])
        end = ID_PAIRS[micros >> 10 & 1023] + ID_PAIRS[micros & 1023] + ID_PAIRS[self._random() & 1023]
        return MadeId(self.start + end)

    def _random(self) -> int:
        """Sixteen random bits, fetched from the system by the hundred."""
        for number in self.random:
            return number
        self.random = iter(memoryview(os.urandom(256)).cast("H"))
        return next(self.random)


def digits(number: int) -> str:
    """The last sixty bits of *number*: for one id alone the pairs of digits need not be made."""
    return "".join([ID_DIGITS[number >> shift & 31] for shift in range(55, -1, -5)])


make_id = IdMaker()


def check_id(value: object) -> str:
    """*value* when it can be the id of a job. Raises BadInput."""
    if not COMPILED:
        COMPILED.append(re.compile(ID))
    if isinstance(value, str) and COMPILED[0].match(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 64:
        raise BadInput('id: %s is a number, and an id is text: write "%s"' % ((errors.shown(value),) * 2))
    raise NotAnId(value)
