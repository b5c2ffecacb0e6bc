"""The one door through which text goes into a cell of a table that a spreadsheet or a data frame will read."""

from __future__ import annotations

import re

from queuectl_lib import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Iterator, Tuple

NUMBER = r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\Z"
COMPUTED = "=+-@\uff1d\uff0b\uff0d\uff20"  # what a spreadsheet takes a formula by, in full width, too
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def tsv_cell(pieces: Iterable[str]) -> Iterator[str]:
    r"""One text, given in *pieces*, as a cell between tabs: one line, and nothing in it that acts.

    Its last line end is left out. Backslash, tab and line end are \\, \t, \n and \r; what is not printable, \x1b.
    What a spreadsheet would compute (= + - @, but no number) stands behind an apostrophe, a quote first in it behind
    a backslash.
    """
    behind, is_first = "", True
    for piece in pieces:
        text, behind = trimmed(behind + piece)
        if is_first and text:
            is_first = False
            if text[0] in COMPUTED and not re.match(NUMBER, text):
                yield "'"
            elif text[0] == '"':
                yield "\\"
        yield escaped(text)


def trimmed(text: str) -> Tuple[str, str]:
    """*text* without the line end that it ends in, and that."""
    for end in ("\r\n", "\n"):
        if text.endswith(end):
            return text[: -len(end)], end
    return text, ""


def escaped(text: str) -> str:
    return errors.printable(text.translate(ESCAPES))
