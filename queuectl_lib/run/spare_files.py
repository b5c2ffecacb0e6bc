"""Files of recorded attempts, used again by the next ones while a worker is busy."""

from __future__ import annotations

import contextlib
import errno
import os

from queuectl_lib.host import files, system
from queuectl_lib.run import pace
from queuectl_lib.store import folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

    from queuectl_lib.jobs.attempts import Outcome
    from storage import Queue

RUN_BYTES = 8192  # a run file that has grown larger is not used again
ACCESS = {kind: os.O_APPEND | (os.O_RDWR if kind == "run" else os.O_WRONLY) for kind in folder.FILES}


class SpareFiles:
    """The files of the attempts of one worker: made anew, or those of a recorded attempt used again.

    To create and delete three files costs more than a short job itself, the more of them the
    more (ext4 looks past every inode that was freed within the last minute). So while a worker
    is busy, the files of a recorded attempt get the name of the next one. Only files that
    stayed empty, and that nobody else has open by the kernel's own word: what a late
    grandchild writes never reaches another job. A worker that has waited for a job in vain
    keeps none, nor does one with a long job.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.paths: Dict[str, List[str]] = {kind: [] for kind in folder.FILES}  # of recorded attempts

    def put_away(self, outcome: Outcome) -> None:
        """Of the files of a recorded attempt, keep what can serve again and remove what is useless."""
        start = self.queue.folder.attempt_path(outcome.claim.token, "")
        sizes = {"out": outcome.stdout_bytes, "err": outcome.stderr_bytes}
        for kind in outcome.useless_files():
            kept = self.paths.get(kind)
            if kept is not None and files.HAS_LEASES and not sizes.get(kind) and len(kept) < pace.BATCH_MOST:
                kept.append(start + kind)
            else:
                with contextlib.suppress(OSError):  # the next tidying will
                    files.remove(start + kind)

    def open(self, path: str, kind: str, start: bytes = b"") -> int:
        """The file *path* of an attempt, to append to, which holds nothing but *start*. Raises OSError."""
        while self.paths[kind]:
            fd = self._use_again(self.paths[kind].pop(), path, start)
            if fd >= 0:
                return fd
        if system.WINDOWS and kind in folder.OUTPUTS:
            return files.open_appending(path)
        try:
            fd = files.open_private(path, ACCESS[kind] | os.O_CREAT | os.O_EXCL)
        except FileNotFoundError:  # the folder was swept while it was empty
            files.make_private_folder(self.queue.folder.attempts)
            fd = files.open_private(path, ACCESS[kind] | os.O_CREAT | os.O_EXCL)
        try:
            if start and os.write(fd, start) < len(start):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _use_again(self, spare: str, path: str, start: bytes) -> int:
        """Move *spare* to *path*; -1 where it is gone, is not as good as new, or a writer or reader has it open.

        A run file is not emptied, which would cost as much as a new one: what stands before its last
        *start* is of earlier attempts (read_status). That line is written before the new name is given.
        """
        fd = -1
        try:
            fd = files.open_private(spare, os.O_RDWR | os.O_APPEND)
            if start and not (files.is_as_made(fd, RUN_BYTES) and os.write(fd, b"\n" + start) > len(start)):
                files.remove(spare)
            else:
                os.rename(spare, path)
                if start or (files.is_open_here_only(fd) and files.is_as_made(fd, 0)):
                    return fd
                files.remove(path)
        except OSError:  # somebody tidied, or the disk is full: make a new one, which tells
            with contextlib.suppress(OSError):
                files.remove(spare)
        if fd >= 0:
            os.close(fd)
        return -1

    def clear(self) -> None:
        """Remove what is kept."""
        for paths in self.paths.values():
            while paths:
                with contextlib.suppress(OSError):
                    files.remove(paths.pop())
