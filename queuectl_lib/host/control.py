"""A control program of a launcher, run without waiting for it: its exit code, and what it says on standard error.

It gets CONTROL_SECONDS and is killed then, with its group; of a flood of words the beginning is kept.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time

from queuectl_lib import contexts, errors
from queuectl_lib.host import spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

CONTROL_SECONDS = 30.0
KEPT_BYTES = 4096  # of what it says
READ_BYTES = 64 * 1024
READS = 16  # at one look: who floods has no more than that, and waits


# What a Python says that ends with 1 for a mistake in its script, or for what that needs and has not.
MISTAKE = re.compile(rb"^(Traceback \(most recent call|(Syntax|Indentation|Tab)Error: |.*: No module named )", re.M)


class Answer:
    """What came of one run: *code* (negative: a signal; None: it did not end by itself, or did not begin), in words.

    It *has_failed* where a code is that of its interpreter.
    """

    def __init__(self, code: Optional[int], words: str, has_failed: bool = False) -> None:
        self.code = code
        self.words = words
        self.has_failed = has_failed


class Control:
    """One run of a control program, begun in *environment*. Not on Windows."""

    def __init__(self, words: List[str], environment: Dict[str, str]) -> None:
        """Raises OSError, where it cannot begin."""
        self.name = os.path.basename(words[0])
        program = words[0] if os.path.dirname(words[0]) else spawn.on_path(words[0], environment)
        if program is None:
            raise FileNotFoundError(2, "the program was not found on PATH", words[0])
        self.kill_at = time.monotonic() + CONTROL_SECONDS
        self.said = b""
        self.listening, outside = os.pipe()
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            try:
                streams = [nothing, nothing, outside]
                self.child = spawn.start([program, *words[1:]], os.path.abspath(os.sep), environment, streams)
            finally:
                os.close(nothing)
            if sys.platform != "win32":
                os.set_blocking(self.listening, False)
        except BaseException:
            os.close(self.listening)
            raise
        finally:
            os.close(outside)

    def poll(self) -> Optional[Answer]:
        """What came of it, None while it runs."""
        code = self.child.poll()
        self._listen()
        if code is None and time.monotonic() < self.kill_at:
            return None
        self.abandon()
        if code is None:
            return Answer(None, "%s did not end within %d s" % (self.name, CONTROL_SECONDS))
        how = "killed by signal %d" % -code if code < 0 else "exit code %d" % code
        text = self.said.decode("utf-8", "replace").strip()
        line = errors.printable(text.splitlines()[-1].strip()) if text else ""
        words = "%s (%s)" % (line[:200], how) if line else "%s: %s" % (self.name, how)
        return Answer(code, words, MISTAKE.search(self.said) is not None)

    def abandon(self) -> None:
        """Whatever of it lives is killed: nobody waits for it."""
        if self.listening < 0:
            return
        os.close(self.listening)
        self.listening = -1
        if sys.platform != "win32" and self.child.returncode is None:
            with contexts.suppress(OSError):
                os.killpg(self.child.pid, signal.SIGKILL)
        with contexts.suppress(OSError):
            self.child.poll()

    def _listen(self) -> None:
        for _ in range(READS):
            try:
                data = os.read(self.listening, READ_BYTES)
            except OSError:  # nothing is there now
                return
            if not data:
                return
            self.said = (self.said + data)[:KEPT_BYTES]
