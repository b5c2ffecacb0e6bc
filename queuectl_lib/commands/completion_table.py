"""What completion knows of each command, for the scripts of all shells: a row for the words typed so far.

What a value can be is a code:

    -  text    f  a file    d  a folder    i:STATES  an id    I:STATES  ids    =:A,B  one of these    ,:A,B  some
"""

from __future__ import annotations

import re

from queuectl_lib.commands import anatomy
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Tuple

    from queuectl_lib.commands.anatomy import Shape, Taken


class Row:
    """What can come behind the *words* of a command, or behind the beginning of some."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.options: List[Tuple[str, str, str]] = []  # each of its flags, the code of its value ("": none), its text
        self.own: List[str] = []  # the codes of its own words
        self.more = False  # the last of these can come again
        self.inner: List[Tuple[str, str]] = []  # in the place of the first of them: a word of a command, and its text

    def codes(self) -> List[str]:
        """The codes of what comes behind, inner words as choices."""
        return ["=:" + ",".join(word for word, _ in self.inner)] if self.inner else self.own


COMMON = [("--home", "d", "where queue and settings are"), ("--help", "", "print help")]


def rows() -> List[Row]:
    """A row for nothing typed yet, for each command, and for each word with which only longer ones begin."""
    top = Row("")
    top.options = [*COMMON, ("--version", "", "print the version")]
    top.inner = [(first, anatomy.sentence_of(first)) for first in anatomy.first_words()]
    found = {"": top}
    for shape in anatomy.shapes():
        row = found[shape.name] = Row(shape.name)
        row.options = [(flag, code(shape, one), one.text) for one in shape.options for flag in one.flags]
        row.own = [code(shape, one) for one in shape.words]
        row.more = bool(shape.words) and shape.words[-1].count in ("*", "+")
        row.inner = anatomy.members(shape.name)
    for first, _ in top.inner:
        if first not in found:
            row = found[first] = Row(first)
            row.options, row.inner = COMMON, anatomy.members(first)
    return list(found.values())


def code(shape: Shape, taken: Taken) -> str:
    """What the value of a word or option can be; "" for an option that has none."""
    if taken.kind in ("id", "ids"):
        every = set(shape.states) >= set(states.STATES)
        return "%s:%s" % ("i" if taken.kind == "id" else "I", "all" if every else ",".join(shape.states))
    if taken.choices:
        return "%s:%s" % ("=" if taken.kind == "one" else ",", ",".join(taken.choices))
    return {"": "", "file": "f", "folder": "d"}.get(taken.kind, "-")


def filled(text: str, places: Dict[str, str]) -> str:
    """A script with its places, such as @NAME@, filled; what is filled in is not looked at again."""
    return re.sub("@(%s)@" % "|".join(places), lambda found: places[found.group(1)], text)
