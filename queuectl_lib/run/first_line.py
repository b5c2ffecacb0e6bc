"""Why a program was not found that is there: its first line ends in a carriage return, as files from Windows do."""

from __future__ import annotations

import os
import re

from queuectl_lib import errors
from queuectl_lib.host import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.jobs.attempts import Claim

NOT_FOUND = (126, 127)  # the exit codes of a shell
FIRST_WORD = r"\s*(?:exec\s+)?([\w./+@%~-]*/[\w.+@%~-]+)"
MOST_BYTES = 256  # that the kernel reads of it


def why(claim: Claim) -> str:
    """What to say of it behind the exit code, "" where that is not so."""
    program = claim.command[0] if isinstance(claim.command, list) else first_word(claim.command)
    path = os.path.join(claim.cwd, os.path.expanduser(program))
    try:
        if not os.path.isfile(path):  # a FIFO would be waited for
            return ""
        with open(path, "rb") as file:
            line, end, _ = file.read(MOST_BYTES).partition(b"\n")
    except (OSError, ValueError):
        return ""
    if not (end and line.startswith(b"#!") and line.endswith(b"\r")):
        return ""
    text = "; the first line of %s ends in a carriage return, as on Windows: `sed -i 's/\\r$//' %s` takes them out"
    return text % (errors.printable(program), errors.printable(system.quoted(program)))


def first_word(text: str) -> str:
    """The program that a text begins with, where that is a path; else what is no file."""
    match = re.match(FIRST_WORD, text)
    return match.group(1) if match else ""
