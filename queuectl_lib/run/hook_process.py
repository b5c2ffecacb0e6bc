"""One run of the hook: fed, bounded in time and in what it prints, and ended with all that it started.

It is a program of the user's own, run by a process of ours that waits for it alone (commands/hook). Nothing of a job
is on its command line or in its environment: that comes on its standard input. Two threads feed it and listen to it, so
that one that does not read, or prints without end, holds up nobody.
"""

from __future__ import annotations

import os
import threading
import time

from queuectl_lib import contexts
from queuectl_lib.host import processes, signals, spawn, system
from queuectl_lib.host.tree import Tree
from queuectl_lib.run import launching, run_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple, Union

    from queuectl_lib.host.spawn import ChildProcess
    from queuectl_lib.store.hook_note import Note

LIMIT_SECONDS = 60.0  # that one run may take
STOP_SECONDS = 2.0  # of grace where we are asked to leave ourselves
LISTENING_SECONDS = 1.0  # for the rest of what it printed, once it has ended
KEPT_BYTES = 4096  # of the end of what it prints
FREE_BYTES = 1024 * 1024  # what it prints beyond that is read slowly
SLOW_SECONDS = 0.02  # for each 64 KiB
TOLD_LINES, LINE_CHARACTERS = 5, 200


class Ended:
    """How a run ended: its exit code (None: it did not start, or was ended), that in words, the end of its output."""

    def __init__(self, code: Optional[int], words: str, output: bytes = b"", seconds: float = 0.0) -> None:
        self.code = code
        self.words = words
        self.output = output
        self.seconds = seconds

    def lines(self) -> List[str]:
        """The last lines of what it printed."""
        text = self.output.decode("utf-8", "replace")
        found = [line.rstrip()[:LINE_CHARACTERS] for line in text.splitlines() if line.strip()]
        return found[-TOLD_LINES:]

    def sentence(self) -> str:
        """How it ended, and the last line of what it printed."""
        return ": ".join([self.words, *self.lines()[-1:]])


class Words:
    """What launching checks of a job, of a hook that is a list of words."""

    def __init__(self, command: Union[str, List[str]], cwd: str) -> None:
        self.command: Any = command
        self.cwd = cwd


class Program:
    """The hook of one home; *note* keeps of its first process what finds it again."""

    def __init__(self, hook: Union[str, List[str]], home: str, note: Note, grace: float) -> None:
        self.hook = hook
        self.home = home
        self.note = note
        self.grace = grace
        self.tree = tree_of(note)
        self.when_begun: Callable[[], None] = lambda: None
        self.kept = b""

    def run(self, data: bytes, variables: Dict[str, str]) -> Ended:
        """Run it, with *data* on its standard input. Raises KeyboardInterrupt, once all of it was ended."""
        signals.free_signals()
        environment = dict(launching.environment_and_homes(), **variables, QUEUECTL_TOKEN=self.note.token)
        began = time.monotonic()
        try:
            child, ends = self._start(environment)
        except launching.CannotStart as error:
            return Ended(None, str(error))
        except OSError as error:
            return Ended(None, "cannot start: %s" % launching.why_not(error))
        except ValueError as error:
            return Ended(None, "cannot start: %s" % error)
        feeder = threading.Thread(target=feed, args=(ends[0], data), daemon=True)
        listener = threading.Thread(target=self._listen, args=(ends[1],), daemon=True)
        feeder.start()
        listener.start()
        try:
            code = self._wait(child, began + LIMIT_SECONDS)
            left = self.tree.end(self.grace) if code is None or self.tree.members() else ""
        except KeyboardInterrupt:
            self.tree.end(min(STOP_SECONDS, self.grace))
            raise
        listener.join(LISTENING_SECONDS)
        words = run_file.how_it_ended(code)[0] if code is not None else "ended after %d s" % LIMIT_SECONDS
        words += " (still alive: %s)" % left if left else ""
        return Ended(code, words, self.kept, time.monotonic() - began)

    def _start(self, environment: Dict[str, str]) -> Tuple[ChildProcess, Tuple[int, int]]:
        """It, and our ends of its standard input and of its output. Raises CannotStart, OSError, ValueError."""
        inside, feeding = os.pipe()
        listening, outside = os.pipe()
        try:
            child = self._launch(environment, inside, outside)
            self.note.pid, self.note.launched = child.pid, time.monotonic()
            self.tree.hold(child)
            self.tree.resume(child)
            self.when_begun()
        except BaseException:
            os.close(feeding)
            os.close(listening)
            raise
        finally:
            os.close(inside)
            os.close(outside)
        return child, (feeding, listening)

    def _launch(self, environment: Dict[str, str], stdin: int, output: int) -> ChildProcess:
        hook = self.hook
        if not isinstance(hook, str):
            words: Any = Words(hook, self.home)
            launching.check_startable(words, environment)
            if not os.path.dirname(hook[0]) and not system.WINDOWS:
                hook = [spawn.on_path(hook[0], environment) or hook[0], *hook[1:]]
        launching.check_directory(self.home)
        if system.WINDOWS:
            return spawn.launch_suspended(hook, self.home, environment, output, output, stdin=stdin)
        if isinstance(hook, str):
            hook = [launching.SHELL, "-c", " " + hook]  # the blank: a leading - would be an option
        return spawn.start(hook, self.home, environment, [stdin, output, output])

    def _wait(self, child: ChildProcess, deadline: float) -> Optional[int]:
        """Its exit code; None where it has not ended by then (monotonic)."""
        pause = 0.001
        while time.monotonic() < deadline:
            code = child.poll()
            if code is not None:
                return code
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)
        return None

    def _listen(self, fd: int) -> None:
        """In a thread: keep the end of what it prints."""
        size = 0
        with contexts.suppress(OSError):
            data = os.read(fd, 65536)
            while data:
                size += len(data)
                self.kept = (self.kept + data)[-KEPT_BYTES:]
                if size > FREE_BYTES:
                    time.sleep(SLOW_SECONDS)
                data = os.read(fd, 65536)
        os.close(fd)


def feed(fd: int, data: bytes) -> None:
    """In a thread: hand it *data*, as far as it reads."""
    rest = memoryview(data)
    with contexts.suppress(OSError):
        while rest:
            rest = rest[os.write(fd, rest) :]
    with contexts.suppress(OSError):
        os.close(fd)


def tree_of(note: Note) -> Tree:
    """All that a run started, by its note."""
    return Tree(note.token, "", lambda: (note.pid or None, note.launched))


def end_left(note: Note, grace: float) -> str:
    """End what is left of a run whose end nobody has seen; who that was, "" for nobody."""
    if not note.token or processes.is_another_boot(note.boot, processes.boot_id()):
        return ""
    tree = tree_of(note)
    left = tree.description()
    if left:
        tree.end(grace)
    return left
