"""Jobs from a plain list: a shell command a line, blank lines and those that begin with # left out."""

from __future__ import annotations

from queuectl_lib.errors import BadInput
from queuectl_lib.host import system
from queuectl_lib.jobs import sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, Tuple

    from queuectl_lib.values import Fields


def read_jobs(source: Any, asked: Fields, report: Callable[[int, int, int], None]) -> Iterator[Tuple[object, object]]:
    """Pairs of line and job, in flat memory: each has the fields *asked* for all of them, and its own command.

    *source* and *report* as in reading.read_jobs. Raises BadInput that names the line, HostError where the source
    cannot be read.
    """
    for number, lines in sources.LineReader(source, report).blocks():
        for place, line in enumerate(lines, number):
            text = line.lstrip()
            if system.WINDOWS:
                text = text.rstrip("\r")  # elsewhere a JobMaker does that, and counts
            if not text or text == "\r" or text[0] == "#":
                continue
            refuse_mistaken(text.rstrip("\r"), place)
            yield place, dict(asked, command=text)


def refuse_mistaken(text: str, place: int) -> None:
    """Raise BadInput for what is hardly meant as a command of one line."""
    if text.startswith(('{"', '[{"')):
        what = "line %d is JSON, and --lines takes shell commands: --file takes JSON: nothing was added"
        raise BadInput(what % place)
    if (len(text) - len(text.rstrip("\\"))) % 2:
        raise BadInput(
            "line %d ends in a backslash, but a command stands on one line, without a second: nothing was added" % place
        )
