"""The run file of an attempt: its lock, and the notes that its watcher leaves for whoever comes next."""

from __future__ import annotations

import functools
import os
import signal

from queuectl_lib.host import processes, signals, system
from queuectl_lib.host.tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Tuple


def read_status(run_path: str) -> Dict[str, str]:
    """The lines of a run file since its last start: start, pid, end, exit (only whole lines count).

    A file that was used again may have kept its new name but not its new start when the power
    went: that start names another attempt, so nothing in it is of this one.
    """
    try:
        with open(run_path, "rb") as file:
            text = file.read(65536).decode("ascii", "replace")
    except FileNotFoundError:
        return {}
    lines = text[text.rfind("\nstart ") + 1 :].split("\n")[:-1]
    status = {name: value for name, _, value in (line.partition(" ") for line in lines)}
    of = status.get("start", "").split()[2:]
    return status if of in ([], [os.path.basename(run_path)[: -len(".run")]]) else {}


def never_began(status: Dict[str, str]) -> bool:
    """True where the notes prove that the command never began: the last thing before it is to write "pid"."""
    return "start" in status and "pid" not in status


def began_monotonic(status: Dict[str, str]) -> Optional[float]:
    """When an attempt began on the monotonic clock of this boot, None for one of another boot."""
    words = status.get("start", "").split()
    return float(words[1]) if len(words) >= 2 and words[0] == processes.boot_id() else None


def tree_of(token: str, run_path: str, queue: str = "") -> Tree:
    """All that the attempt *token* of the *queue* (its identity) started, whose run file is *run_path*."""
    return Tree(token, run_path, functools.partial(watcher_of, run_path), queue)


def watcher_of(run_path: str) -> Optional[Tuple[int, float]]:
    """The pid of an attempt's watcher and when it began (monotonic, this boot), as far as the run file tells."""
    status = read_status(run_path)
    began, pid = began_monotonic(status), status.get("pid", "")
    return (int(pid), began) if pid.isdigit() and began is not None else None


def status_code(text: str) -> int:
    """The exit code that a watcher wrote. Of signal N, ksh93 says 256 + N, yash 384 + N, all others 128 + N."""
    code = int(text)
    return code if code < 256 else 128 + code % 128


def how_it_ended(code: int) -> Tuple[str, Optional[str]]:
    """An exit code (negative: a signal, as Popen says it) in words, and the signal's name.

    A shell reports a command that signal N ended as 128 + N.
    """
    number = -code if code < 0 else code - 128
    if not system.WINDOWS and 0 < number < signal.NSIG:
        name = signals.signal_name(number)
        return ("killed by %s" % name if code < 0 else "killed by %s (exit code %d)" % (name, code)), name
    hints = {126: " (not executable)", 127: " (command not found)", 9009: " (command not found)"}
    return "exit code %d%s" % (code, hints.get(code, "")), None
