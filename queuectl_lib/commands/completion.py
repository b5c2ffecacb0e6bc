"""`completion`: a script that completes what is typed, for a shell: static text, made of what the commands take.

`python3 queuectl.py` cannot be completed without seizing python3: so the script defines a function, `queuectl`, that
calls this very interpreter and file. The ids of jobs alone are asked for when they are wanted (`_ids BEGIN STATES`).
"""

from __future__ import annotations

import os
import re
import sys

from queuectl_lib import errors
from queuectl_lib.commands import completion_others, completion_posix, frame, terminal
from queuectl_lib.errors import BadInput, HostError, QueueError
from queuectl_lib.host import bundle, system
from queuectl_lib.jobs import ids, states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List

    from queuectl_lib.commands.frame import Call

SHELLS = ("bash", "zsh", "fish", "powershell")
NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z"
START = "queuectl"


@frame.command(
    "completion",
    frame.argument(
        "shell", nargs="?", metavar="SHELL", choices=SHELLS, help="for which shell: %s" % ", ".join(SHELLS)
    ),
    frame.argument("--name", metavar="NAME", help="what the function is called (default: queuectl)"),
    shows=True,
    judges=True,
)
def completion(call: Call) -> int:
    options = call.options
    if call.words is not None:
        return print_ids(call)
    if options.shell is None:
        raise BadInput("for which shell? `completion %s`" % "`, `completion ".join(SHELLS), "bad_usage")
    name = START if options.name is None else options.name
    if not re.match(NAME, name):
        raise BadInput("--name: %s is no name of a function: letters, digits, _ and -" % errors.shown(name))
    text = script(options.shell, name, program(call))
    if options.json:
        call.print_json({"shell": options.shell, "name": name, "script": text})
        return 0
    sys.stdout.flush()
    try:
        terminal.write_all(sys.stdout.fileno(), os.fsencode(text))  # a path may be no text
    except OSError as error:
        if not terminal.is_closed_pipe(error):
            raise
        terminal.quiet_end(0)
    return 0


def program(call: Call) -> List[str]:
    """The words that call this program, from wherever; with the home, where that was named. Raises HostError."""
    if not sys.executable:
        raise HostError("this Python does not know where it lies: call it by its full path")
    home = [] if call.options.home is None else ["--home", call.home]
    return [os.path.abspath(sys.executable), bundle.SCRIPT, *home]


QUOTES: Dict[str, Callable[[str], str]] = {
    "bash": system.quoted,
    "zsh": system.quoted,
    "fish": completion_others.fish_word,
    "powershell": completion_others.powershell_word,
}
SCRIPTS: Dict[str, Callable[[str, str], str]] = {
    "bash": completion_posix.bash,
    "zsh": completion_posix.zsh,
    "fish": completion_others.fish,
    "powershell": completion_others.powershell,
}


def script(shell: str, name: str, words: List[str]) -> str:
    """All of what *shell* is to read: for the function *name*, which calls *words*."""
    line = " ".join(QUOTES[shell](word) for word in words)
    return SCRIPTS[shell](name, line)


# ---------------------------------------------------------------- the ids


def print_ids(call: Call) -> int:
    """The newest ids that begin so, a line each: for a shell, which is told of no trouble; nothing is waited for."""
    begin, which = [*(call.words or ()), "", ""][:2]
    wanted = states.STATES if which in ("", "all") else [one for one in states.STATES if one in which.split(",")]
    from queuectl_lib.store import newest_ids  # which no script needs

    try:
        call.refuse_untrusted()
        found = newest_ids.of(call.queue().database, begin, wanted)
    except QueueError:
        return 1
    terminal.print_text("".join(one + "\n" for one in found if re.match(ids.ID, one)))
    return 0
