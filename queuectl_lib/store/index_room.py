"""Room on the disk for the WAL index (`-shm`): where there is none, the kernel kills whoever writes to it.

SQLite maps that file. A page of it that is a hole, or that the file system writes elsewhere (btrfs), needs space
at the moment of the write, and a full disk then is SIGBUS and no error. So it is looked for before: where blocks
are smaller than a page, or are never written in place, and little is free. Everywhere else this costs one
statvfs for each Database. https://www.sqlite.org/wal.html#implementation_of_shared_memory_for_the_wal_index
"""

from __future__ import annotations

import os
import sqlite3

from queuectl_lib import contexts
from queuectl_lib.errors import HostError
from queuectl_lib.host import files
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

PAGE = 4096  # SQLite writes a byte into each, so that none is a hole where blocks are no smaller
SEGMENT = 32768  # by which the index grows
SEGMENT_FRAMES = 4096  # of the WAL that it has room for
IN_USE = 128  # the byte of it that each connection holds, as long as it is open (SQLite, UNIX_SHM_DMS)
PLENTY = 64 * 1024 * 1024  # where so much is free nothing is looked at
NEW_INDEX = 4 * SEGMENT  # what must be free for one that does not exist
WRITTEN_ELSEWHERE = 4 * 1024 * 1024  # what must be free for each transaction where nothing is written in place


class IndexRoom:
    """What the disk of one database can still give to its WAL index."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.index = path + "-shm"
        self.is_safe = not files.CAN_ALLOCATE
        self.writes_elsewhere = False
        self.is_short = False

    def look(self) -> None:
        """Before a connection is opened: raise HostError where the index has no room."""
        if self.is_safe:
            return
        free, block, inodes = files.disk_of(os.path.dirname(self.path))
        self.writes_elsewhere = not inodes  # btrfs counts none
        self.is_safe = block >= PAGE and not self.writes_elsewhere
        self.is_short = not self.is_safe and free < PLENTY
        if not self.is_short:
            return
        if self.writes_elsewhere:
            self._try(WRITTEN_ELSEWHERE)
        elif size_of(self.index) < SEGMENT:  # whoever opens first makes it
            self._try(NEW_INDEX)

    def look_for(self, size: int) -> None:
        """Before *size* bytes are written at once: the same, however much is free."""
        if not self.is_safe:
            self._try(size + WRITTEN_ELSEWHERE)

    def _try(self, size: int) -> None:
        """See that *size* bytes can be had, quotas and all: in a file without a name."""
        try:
            fd = files.open_nameless(os.path.dirname(self.path))
        except OSError as error:
            if error.errno in files.FULL:
                raise self._full() from None
            return  # there is no such file here
        try:
            self._allocate(fd, size)
        finally:
            os.close(fd)

    @contexts.contextmanager
    def allocated(self, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        """For who is going to write: see that no page that *connection* may write is a hole; close it at the end.

        Raises HostError. Our descriptor is closed last: with any close SQLite's locks on that file fall.
        """
        fd = -1
        try:
            if self.is_short and not self.writes_elsewhere and self._has_holes():
                fd = files.open_private(self.index, os.O_RDWR)
                self._allocate(fd, self._wanted_size())
            yield connection
        finally:
            connection.close()
            if fd >= 0:
                os.close(fd)

    def _has_holes(self) -> bool:
        return size_of(self.index) < self._wanted_size() or files.has_holes(self.index)

    def _wanted_size(self) -> int:
        """What the index may grow to in a transaction, beginning with the log as it is."""
        return (size_of(self.path + "-wal") // PAGE // SEGMENT_FRAMES + 2) * SEGMENT

    def _allocate(self, fd: int, size: int) -> None:
        try:
            files.allocate(fd, size)
        except OSError as error:
            if error.errno in files.FULL:
                raise self._full() from None

    def _full(self) -> HostError:
        return HostError(opening.explanation(self.path, "full"), "disk_full")


def size_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
