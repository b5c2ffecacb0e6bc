"""The run file of an attempt: its lock, and the notes that are left in it for whoever comes next.

    start BOOT MONOTONIC TOKEN NAMESPACE    by the worker, before the launch
    pid N                                   by the watcher, as the last thing before the command begins
    end KIND|why                            by a worker, before it ends the command
    until MONOTONIC                         by a worker, that has given it time beyond its timeout; the last counts
    exit N                                  by the watcher, once the command has ended

A job of the same user can write here by path. So only whole lines that say exactly this are
notes; all else is nothing, and no error.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import time

from queuectl_lib.host import files, processes, signals, system
from queuectl_lib.host.tree import Tree
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Tuple

AWAY_SECONDS = 3.0  # for which a home that is moved, or its mount, may be away while a job ends
HEAD_BYTES = 16 * 1024  # where the start is found, behind what earlier attempts left in a file that is used again
TAIL_BYTES = 64 * 1024  # where the exit is found, however much a job has written in between
WATCHED = (states.TIMED_OUT, states.CANCELLED, states.GIVEN_BACK, states.LOST)  # what an attempt can be ended as
START = r"start ([\w.:-]{1,80}) (\d{1,15}\.\d{1,9}) ([0-9a-f]{16})(?: (-|pid:\[\d{1,20}\]))?"
NOTES = {
    "pid": r"[1-9]\d{0,9}",
    "end": r"(?:%s)\|[ -~]{0,200}" % "|".join(WATCHED),
    "until": r"\d{1,15}\.\d{1,6}",
    "exit": r"\d{1,3}" if not system.WINDOWS else r"\d{1,10}",
}
MOST_CODE = 128 + 128 * 3  # what a shell says of a signal, at the most (status_code)


def start_line(token: str, monotonic: float) -> bytes:
    """The first note of the attempt *token*, which begins now."""
    words = (processes.boot_id(), monotonic, token, processes.pid_namespace())
    return ("start %s %.6f %s %s\n" % words).encode("ascii")


def leave_anew(run_path: str, token: str, began: float, watcher: int) -> None:
    """Note that the attempt *token* runs, where its run file is gone: since *began* (monotonic), watched by that pid.

    Its exit stands nowhere then, but in the memory of its worker; and its lock is held by nobody.
    """
    with contextlib.suppress(OSError):
        fd = files.open_private(run_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, start_line(token, began) + b"pid %d\n" % watcher)
        os.close(fd)


def add_note(run_path: str, line: str) -> None:
    """Write one more note behind the others, where the file is there and can be written."""
    with contextlib.suppress(OSError):
        fd = files.open_private(run_path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, (line + "\n").encode("utf-8"))
        finally:
            os.close(fd)


def read_status(run_path: str) -> Dict[str, str]:
    """The notes of the attempt whose run file this is, by name; none where the file is gone.

    What stands before the start that names the attempt is of earlier ones. That start counts once, and so does the
    first pid; of several exits the last counts, which is the watcher's. A wish to end what had ended already is none.
    """
    notes: Dict[str, str] = {}
    token = os.path.basename(run_path)[: -len(".run")]
    for line in _lines(run_path):
        start = re.fullmatch(START, line)
        if start and start.group(3) == token:
            notes.setdefault("start", line[len("start ") :])
        name, _, value = line.partition(" ")
        if "start" not in notes or name not in NOTES or not re.fullmatch(NOTES[name], value):
            continue
        if name == "until" or (name == "exit" and (system.WINDOWS or int(value) < MOST_CODE)):
            notes[name] = value
        elif name != "exit" and not (name == "end" and "exit" in notes):
            notes.setdefault(name, value)
    return notes


def _lines(run_path: str) -> Tuple[str, ...]:
    """The whole lines at the head and at the tail of a run file; none where it is no file, or gone."""
    try:
        if files.is_irregular(run_path):
            return ()
        fd = files.open_private(run_path, os.O_RDONLY | files.WITHOUT_WAITING)  # a FIFO by now does not hold us up
    except FileNotFoundError:
        return ()
    with open(fd, "rb") as file:
        head = file.read(HEAD_BYTES)
        if len(head) < HEAD_BYTES:
            return _whole_lines(head)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(len(head), size - TAIL_BYTES))
        tail = file.read(TAIL_BYTES)
    if size <= HEAD_BYTES + TAIL_BYTES:
        return _whole_lines(head + tail)
    return _whole_lines(head) + _whole_lines(tail)[1:]


def _whole_lines(text: bytes) -> Tuple[str, ...]:
    return tuple(text.decode("ascii", "replace").split("\n")[:-1])


def never_began(status: Dict[str, str]) -> bool:
    """True where the notes prove that the command never began: the last thing before it is to write "pid"."""
    return "start" in status and "pid" not in status


def began_monotonic(status: Dict[str, str]) -> Optional[float]:
    """When an attempt began on the monotonic clock of this boot, None for one that is known to be of another."""
    words = status.get("start", "").split()
    return float(words[1]) if words and not is_of_another_boot(status) else None


def is_of_another_boot(status: Dict[str, str]) -> bool:
    """True where the host is known to have been started again since."""
    before = status.get("start", "").split(" ")[0]
    return before != "" and processes.is_another_boot(before, processes.boot_id())


def watcher_seen_from_here(status: Dict[str, str]) -> Optional[int]:
    """The pid of an attempt's watcher, if it means the same process here as where it was noted."""
    words = status.get("start", "").split()
    if "pid" not in status or words[3:] != [processes.pid_namespace()] or is_of_another_boot(status):
        return None
    return int(status["pid"])


def tree_of(token: str, run_path: str, queue: str = "") -> Tree:
    """All that the attempt *token* of the *queue* (its identity) started, whose run file is *run_path*."""
    return Tree(token, run_path, functools.partial(watcher_of, run_path), queue)


def watcher_of(run_path: str) -> Optional[Tuple[Optional[int], float]]:
    """The pid of an attempt's watcher and when it was launched (monotonic, this boot), as far as the run file tells."""
    status = read_status(run_path)
    began = began_monotonic(status)
    return None if began is None else (watcher_seen_from_here(status), began)


def status_code(text: str) -> int:
    """The exit code that a watcher wrote. Of signal N, ksh93 says 256 + N, yash 384 + N, all others 128 + N."""
    code = int(text)
    return code if code < 256 or system.WINDOWS else 128 + code % 128


HINTS = {126: " (not executable)", 127: " (command not found)", 9009: " (command not found)"}  # what shells mean by it


def how_it_ended(code: int) -> Tuple[str, Optional[str]]:
    """An exit code (negative: a signal, as Popen says it) in words, and the signal's name.

    A shell reports a command that signal N ended as 128 + N.
    """
    number = -code if code < 0 else code - 128
    if not system.WINDOWS and 0 < number < signal.NSIG:
        name = signals.signal_name(number)
        return ("killed by %s" % name if code < 0 else "killed by %s (exit code %d)" % (name, code)), name
    return "exit code %d%s" % (code, HINTS.get(code, "")), None


def is_beside(path: str, run_path: str, database_path: str) -> bool:
    """True where *path*, beside the run file, is there; where neither that nor the database is, the home is waited for.

    For where it means something that nothing is there: who moves a home, or mounts it anew, takes it away for a moment.
    """
    is_there = files.is_there(path)
    if is_there or files.is_there(run_path):
        return is_there
    deadline = time.monotonic() + AWAY_SECONDS
    while not (files.is_there(run_path) or files.is_there(database_path)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return files.is_there(path)
