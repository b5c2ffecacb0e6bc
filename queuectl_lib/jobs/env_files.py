"""Variables from a file (`--env-file`): NAME=VALUE lines, comments and quotes as in systemd's EnvironmentFile.

    # a comment, as is what begins with ;             (but not what stands behind a value)
    NAME=all up to the end of the line                without blanks at either end
    NAME="quoted: \\" and \\\\ are escapes"             in single quotes nothing is; both may go over several lines
    export NAME=the same

Nothing is inserted for $NAME. No message ever holds a value.
"""

from __future__ import annotations

import re

from queuectl_lib import errors
from queuectl_lib.errors import BadInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Tuple

MOST_BYTES = 1024 * 1024
BETWEEN = re.compile(r"(?:\s+|[#;][^\n]*)*")
NAME = re.compile(r"(?:export[ \t]+)?([^\s=#;'\"]+)[ \t]*=[ \t]*")
QUOTED = re.compile(r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)")[ \t]*""", re.S)
PLAIN = re.compile(r"(?:[^\\\n]|\\.)*(?:\\\Z)?", re.S)


def read(path: str) -> Dict[str, str]:
    """The variables in the file *path*; of one that comes twice the last value. Raises BadInput."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadInput("--env-file: cannot read %s: %s" % (errors.shown(path), why)) from None
    if len(data) > MOST_BYTES:
        raise BadInput("--env-file: %s is longer than %d bytes" % (errors.shown(path), MOST_BYTES))
    try:
        return parse(data.decode("utf-8-sig").replace("\r\n", "\n"), path)
    except UnicodeDecodeError:
        raise BadInput("--env-file: %s is not valid UTF-8" % errors.shown(path)) from None


def parse(text: str, path: str) -> Dict[str, str]:
    """The same of its text. Raises BadInput, with the line."""
    found: Dict[str, str] = {}
    place = end_of(BETWEEN, text, 0)
    while place < len(text):
        name = NAME.match(text, place)
        if name is None:
            raise mistake(text, place, path, "NAME=VALUE is expected")
        found[name.group(1)], place = value(text, name.end(), path)
        place = end_of(BETWEEN, text, place)
    return found


def end_of(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return match.end() if match else place


def value(text: str, place: int, path: str) -> Tuple[str, int]:
    """The value that begins at *place*, and where what comes behind it begins."""
    parts = []
    while text[place : place + 1] in ("'", '"'):
        quoted = QUOTED.match(text, place)
        if quoted is None:
            raise mistake(text, place, path, "a quote is not closed")
        single, double = quoted.groups()
        parts.append(single if double is None else re.sub(r'\\(?:\n|([\\"$`]))', unescaped, double))
        place = quoted.end()
    plain = PLAIN.match(text, place)
    rest = plain.group() if plain else ""
    parts.append(re.sub(r"(?s)\\(?:\n|(.)|\Z)", unescaped, rest.rstrip(" \t")))
    return "".join(parts), place + len(rest)


def unescaped(match: re.Match[str]) -> str:
    """What a backslash is before: nothing where that is the end of a line, which goes on in the next."""
    return match.group(1) or ""


def mistake(text: str, place: int, path: str, what: str) -> BadInput:
    return BadInput("--env-file: %s, line %d: %s" % (errors.shown(path), text.count("\n", 0, place) + 1, what))
