"""The output of a running attempt: files that the job appends to, or pipes before these; and what it erased."""

from __future__ import annotations

import errno
import os
import re
import time

from queuectl_lib.host import locks, spawn, system
from queuectl_lib.run import output_files, pace
from queuectl_lib.store import folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set, Tuple

    from queuectl_lib.jobs.attempts import Claim
    from queuectl_lib.run.spare_files import SpareFiles

NAMES = {"out": "stdout", "err": "stderr"}
BY_NAME = re.compile(r"/dev/std(?:out|err)\b|/dev/fd/|/proc/[^\s/]+/fd/")
DRAIN_SECONDS = 1.0  # how long the end of an attempt waits for what is still in its pipes

# A keeper for each pipe, in a session of its own and nobody's child: it ends when the last writer has,
# and on a full disk it tries again. It holds the lock of its output file, by which it can be told.
KEEPERS = """exec 5<&0 2>/dev/null
(until %(cat)s <&5 5<&-; do sleep 1; done) 3<&- 4>&- &
(until %(cat)s <&3 >&4 3<&- 4>&-; do sleep 1; done) 1>&- 5<&- &
"""


def wants_pipes(claim: Claim) -> bool:
    """True where the job asks for pipes, or its command names its output: what opens a file so, erases it."""
    if system.WINDOWS:
        return False
    text = claim.command if isinstance(claim.command, str) else "\0".join(claim.command)
    return bool(claim.pipe_output) or (("/dev/" in text or "/proc/" in text) and BY_NAME.search(text) is not None)


class OutputStreams:
    """What an attempt writes to; see OUTPUTS of store/folder for the two kinds."""

    def __init__(self, paths: Dict[str, str], piped: bool) -> None:
        self.paths = paths
        self.piped = piped
        self.files: List[int] = []  # ours; they share the position of the job's own
        self.sizes = [0, 0]  # at the last look
        self.is_empty = False  # then; never where there was nothing to look at
        self.ignored = [0, 0]  # the position behind a cut of ours
        self.erased: Set[str] = set()
        self.drain_until = 0.0  # monotonic
        self.grew_at = time.monotonic()  # when that was seen, or it began

    def open(self, spare: SpareFiles, shell: str) -> List[int]:
        """Stdout and stderr for the command, to be closed by `close_ends` once it has them. Raises OSError."""
        for kind in folder.OUTPUTS:
            self.files.append(spare.open(self.paths[kind], kind))
        if not self.piped:
            return self.files
        ends = list(os.pipe())
        try:
            ends += os.pipe()
            for fd in self.files:
                locks.try_lock(fd)
            start_keepers([ends[0], self.files[0], self.files[0], ends[2], self.files[1]], shell)
        except OSError:
            for fd in (ends[1], *ends[3:]):
                os.close(fd)
            raise
        finally:
            for fd in ends[0::2]:
                os.close(fd)
            self.close()
        return [ends[1], ends[3]]

    def close_ends(self, ends: List[int]) -> None:
        """Close what was handed to the command, but for the files: by these we see what becomes of them."""
        for fd in ends:
            if fd not in self.files:
                os.close(fd)

    def may_need_a_look(self, limit: int) -> bool:
        """False where all is as long as at the last look, and not longer than *limit*, in bytes."""
        if system.WINDOWS or not self.files:
            return True
        sizes = [os.fstat(fd).st_size for fd in self.files]
        if sizes != self.sizes:
            self.grew_at = time.monotonic()
        return sizes != self.sizes or max(sizes) > limit

    def is_calm(self) -> bool:
        """True where nothing was written for long, as far as was looked."""
        return bool(self.files) and time.monotonic() - self.grew_at > pace.CALM_SECONDS

    def bound(self, limit: int) -> bool:
        """Cut the middle out of what grew past *limit* bytes; True if any was cut."""
        if not self.may_need_a_look(limit):
            return False
        self.look()
        cut = True in [output_files.cut_middle(self.paths[kind], limit) for kind in folder.OUTPUTS]
        if cut:
            self.look(cut)
        return cut

    def look(self, cut: bool = False) -> None:
        """Notice what the job has erased: a file is shorter than it was, or than the end of the last write to it.

        *cut*: we have just cut one ourselves.
        """
        if system.WINDOWS or not self.files:
            return
        for number, fd in enumerate(self.files):
            end = os.lseek(fd, 0, os.SEEK_CUR)
            size = os.fstat(fd).st_size  # after that: the job may write in between
            if cut:
                self.ignored[number] = end
            elif size < self.sizes[number] or (size < end and end != self.ignored[number]):
                self.erased.add(NAMES[folder.OUTPUTS[number]])
            self.sizes[number] = size
        self.is_empty = not any(self.sizes)

    def collected(self, kind: str, limit: int, stays: bool) -> Tuple[Optional[bytes], int]:
        """What was written, as output_files.collected has it; by our own descriptor where nothing is at its path.

        The home may be elsewhere for a moment, or a cleaner was there. What is large is said to be in its file.
        """
        data, size = output_files.collected(self.paths[kind], limit, stays)
        number = folder.OUTPUTS.index(kind)
        if size or not self.files or not self.sizes[number] or os.path.lexists(self.paths[kind]):
            return data, size
        return None if stays else output_files.read_open(self.files[number]), self.sizes[number]

    def close(self) -> None:
        for fd in self.files:
            os.close(fd)
        self.files = []

    def drained(self) -> bool:
        """True once nothing more is to come out of the pipes, or they are held for long by what was left running."""
        if not self.piped:
            return True
        self.drain_until = self.drain_until or time.monotonic() + DRAIN_SECONDS
        for _ in range(5):  # mostly they end at once
            if not any(locks.is_held(self.paths[kind]) for kind in folder.OUTPUTS):
                return True
            time.sleep(0.001)
        return time.monotonic() > self.drain_until


def start_keepers(streams: List[int], shell: str) -> None:
    """Start a keeper for each pipe. Raises OSError where the host cannot."""
    cat = next((path for path in ("/bin/cat", "/usr/bin/cat") if os.path.exists(path)), "cat")
    environment = {"PATH": os.environ.get("PATH", os.defpath)}  # without the token: they are nobody's to end
    child = spawn.start([shell, "-c", KEEPERS % {"cat": cat}], os.sep, environment, streams)
    while child.poll() is None:
        time.sleep(0.0003)
    if child.returncode:
        raise OSError(errno.EAGAIN, "no process to keep its output")
