"""One far job of a trial of a launcher: started, read, asked after and ended by the programs of that launcher alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from queuectl_lib import errors
from queuectl_lib.host import control, files, processes
from queuectl_lib.jobs.attempts import CLAIMED_COLUMNS, Claim
from queuectl_lib.run import launching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Sequence

    from queuectl_lib.host.control import Answer
    from queuectl_lib.jobs.launchers import Launcher

LOOK_SECONDS = 0.05  # between two looks at what may have changed
THERE, GONE = 0, 1  # exit codes of alive
ATTEMPT = 1  # all of these jobs are first attempts


def claim_of(identifier: str, cwd: str, arguments: Sequence[str]) -> Claim:
    """A claim as a worker would hold it, of a job that no queue has; its token is a new one."""
    row = dict.fromkeys(CLAIMED_COLUMNS)
    row.update(seq=0, id=identifier, is_list=0, command="", attempts=ATTEMPT, max_retries=0, cwd=cwd, snoozes=0)
    claim = Claim(row, os.urandom(16).hex(), 0, ATTEMPT)
    claim.launcher_args = list(arguments)
    return claim


class FarJob:
    """Its client runs here, in a session of its own; *text* is what /bin/sh is to run there."""

    def __init__(self, launcher: Launcher, claim: Claim, text: str, folder: str) -> None:
        """Start it; what it writes goes to files in *folder*. Raises OSError where its program cannot be started."""
        self.launcher = launcher
        self.claim = claim
        self.environment: Dict[str, str] = dict(launching.worker_environment(), **launcher.env)
        self.paths = [os.path.join(folder, "%s.%s" % (claim.token, end)) for end in ("out", "err")]
        self.is_over = False  # its end is proved: nothing has to be ended
        self.was_killed = False  # its client
        streams = [files.open_private(path, os.O_WRONLY | os.O_CREAT) for path in self.paths]
        try:
            self.client = subprocess.Popen(
                launcher.command(claim, ["/bin/sh", "-c", text], ATTEMPT, None),
                stdin=subprocess.DEVNULL,
                stdout=streams[0],
                stderr=streams[1],
                cwd=claim.cwd if os.path.isdir(claim.cwd) else os.path.abspath(os.sep),
                env=self.environment,
                start_new_session=True,
            )
        finally:
            for fd in streams:
                os.close(fd)

    def output(self, number: int = 1) -> bytes:
        """What came of its stdout (1) or stderr (2) until now."""
        with open(self.paths[number - 1], "rb") as file:
            return file.read()

    def last_line(self) -> str:
        """What was said last on its stderr, for people; "" for nothing. Docker ends with a pointer to help."""
        lines = [line for line in self.output(2).decode("utf-8", "replace").splitlines() if line.strip()]
        lines = [line for line in lines if "--help" not in line] or lines
        return errors.printable(lines[-1].strip())[:200] if lines else ""

    def wait(self, seconds: float, until: Optional[Callable[[], bool]] = None) -> Optional[int]:
        """The exit code of its client; None where it has not ended after *seconds*, or *until* is true before."""
        deadline = time.monotonic() + seconds
        while self.client.poll() is None and time.monotonic() < deadline and not (until and until()):
            time.sleep(LOOK_SECONDS)
        return self.client.returncode

    def says(self, text: bytes, seconds: float) -> bool:
        """True once its output has *text*; False where it ends without, or *seconds* are over."""
        self.wait(seconds, lambda: text in self.output())
        return text in self.output()

    def signal_here(self, name: str) -> None:
        """TERM or KILL to what stands for it here, the client and all in its group."""
        if self.client.poll() is None:
            processes.signal_group(self.client.pid, getattr(signal, "SIG" + name))

    def kill_here(self) -> None:
        self.was_killed = self.was_killed or self.client.poll() is None
        self.signal_here("KILL")
        self.client.wait()

    # ------------------------------------------------------------ by the launcher's programs

    def alive(self) -> Answer:
        return self._answer(self.launcher.alive_words(self.claim, ATTEMPT))

    def end(self, name: str, grace: float) -> Answer:
        """Send TERM or KILL, by `end` where the launcher has it, else to the client, which is the job then."""
        if self.launcher.end is None:
            self.signal_here(name)
            return control.Answer(0, "")
        return self._answer(self.launcher.end_words(self.claim, ATTEMPT, name, grace))

    def becomes(self, code: int, seconds: float) -> Answer:
        """What alive says once that is *code*, or after *seconds*; asked at least once."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.alive()
            if answer.code == code or time.monotonic() >= deadline:
                self.is_over = self.is_over or answer.code == GONE
                return answer
            time.sleep(4 * LOOK_SECONDS)

    def _answer(self, words: List[str]) -> Answer:
        try:
            running = control.Control(words, self.environment)
        except (OSError, ValueError) as error:
            return control.Answer(None, "%s: %s" % (words[0], getattr(error, "strerror", None) or error))
        try:
            while True:
                answer = running.poll()
                if answer is not None:
                    return answer
                time.sleep(LOOK_SECONDS)
        finally:
            running.abandon()

    def clear(self) -> None:
        """Leave nothing of it, here or there, whatever became of it."""
        code = self.client.poll()
        by_itself = code is not None and code not in self.launcher.later_codes and not self.was_killed
        if not self.is_over and not by_itself:
            self.end("KILL", 0)
        self.kill_here()
