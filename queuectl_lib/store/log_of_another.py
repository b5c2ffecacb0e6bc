"""A log (`-wal`) of another database than the one it lies beside: known by its counters, and put aside unread.

A crash leaves the log; then a backup, or another queue's database, is given the name of the one that it belonged to,
and SQLite would replay it into that, which ruins it for good. Page 1 has a counter (bytes 24 to 27). Whoever writes
page 1 into the log puts there the counter of the page 1 that he has read, and one more (SQLite,
pager_write_changecounter); a checkpoint brings page 1 from the log into the file. So of a file and its own log

    counter of the first page 1 in the log, less one  <=  counter of the file  <=  that of the last page 1 in the log

Where this does not hold, the log is another's. Where it has no page 1, or anything is odd, it cannot be told, and is
left to SQLite. https://www.sqlite.org/fileformat2.html#the_write_ahead_log

Frames count up to the last commit, and while their salts are those of the header: what lies behind is of an earlier
round. Checksums are not looked at: what was begun in this round and never committed has the salts, too, but its page 1
has at most the counter that the next one would have, so the span becomes no narrower. One exception is known: a
rollback to a savepoint, in a transaction larger than SQLite's cache, leaves frames without salts (3.40, sqlite3 by
hand; nothing here does it). What lies behind those SQLite cannot replay either; once it was written back, the file is
ahead of all that the log can give, and is the better without it.

*Limits:* a file whose counter lies in the span by chance, or in which only other pages have changed since it was
copied, is not told apart; one that is put there later than at the first look of a process, or while somebody is
connected, is not noticed; nothing is looked at on Windows, where a database that is open cannot be replaced.
"""

from __future__ import annotations

import os

from queuectl_lib import contexts, errors
from queuectl_lib.host import files, locks, stream
from queuectl_lib.store import formats, index_room, schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Tuple

MAGICS = (0x377F0682, 0x377F0683)
HEADER, FRAME_HEADER = 32, 24
COUNTER = 24  # where it stands in page 1
FRAME_START = FRAME_HEADER + COUNTER + 4  # up to the end of it
SHARED, SHARED_BYTES = 0x40000002, 510  # those of the database that one holds before it opens a log


def number(data: bytes, start: int, size: int = 4) -> int:
    return int.from_bytes(data[start : start + size], "big")


@contexts.contextmanager
def opened(path: str, flags: int = os.O_RDONLY) -> Iterator[int]:
    fd = files.open_private(path, flags | files.WITHOUT_WAITING)
    try:
        yield fd
    finally:
        os.close(fd)


def part(fd: int, place: int, size: int) -> bytes:
    os.lseek(fd, place, os.SEEK_SET)
    return os.read(fd, size)


def is_of_another(path: str) -> bool:
    """True where the log beside the database *path* cannot be its own; no lock of ours may be on it. Raises OSError."""
    with opened(path) as database:
        return has_log_of_another(path, database)


def has_log_of_another(path: str, database: int) -> bool:
    """The same of the open file *database*, which is not opened again: with any close of it its locks would fall."""
    head = part(database, 0, formats.HEAD_BYTES)
    if index_room.size_of(path + "-journal") or not formats.is_head_of_queue(head):
        return False
    with opened(path + "-wal") as log:
        found = counters(log, number(head, 16, 2))
    if found is None or not 0 < found[0] <= found[1]:  # the largest number is followed by 0
        return False
    return not found[0] - 1 <= number(head, COUNTER) <= found[1]


def counters(fd: int, page_bytes: int) -> Optional[Tuple[int, int]]:
    """Those of the first and the last page 1 that are committed in an open log; None where none is, or it is odd."""
    header = part(fd, 0, HEADER)
    if len(header) < HEADER or number(header, 0) not in MAGICS or number(header, 8) != page_bytes:
        return None
    found: List[int] = []
    committed = 0
    place = HEADER
    frame = part(fd, place, FRAME_START)
    while len(frame) == FRAME_START and frame[8:16] == header[16:24]:
        if number(frame, 0) == 1:
            found.append(number(frame, FRAME_HEADER + COUNTER))
        if number(frame, 4):  # how large the database is then: the last frame of a commit
            committed = len(found)
        place += FRAME_HEADER + page_bytes
        frame = part(fd, place, FRAME_START)
    return (found[0], found[committed - 1]) if committed else None


def put_aside(path: str) -> None:
    """Put the log aside, and say so, where it is another's and nobody is connected; behind the gate. Raises OSError.

    Whoever is about to connect waits meanwhile, as for any other lock of SQLite's.
    """
    with opened(path, os.O_RDWR) as database, opened(path + "-shm", os.O_RDWR | os.O_CREAT) as index:
        is_alone = locks.take_bytes(database, SHARED, SHARED_BYTES) and locks.take_bytes(index, index_room.IN_USE, 1)
        if is_alone and locks.is_still_there(path, database) and has_log_of_another(path, database):
            names = schema.put_aside_what_is_of_another(path)
            files.sync_folder(os.path.dirname(path))
            tell(path, names)


def tell(path: str, names: List[str]) -> None:
    text = (
        "queuectl: the log %s-wal is of another database than the one that is there now (a backup?): put aside as %s;"
        " delete it, or keep it for the database that it belongs to\n"
    )
    line = text % (errors.printable(path), errors.printable(", ".join(names)))
    with contexts.suppress(OSError):
        stream.write(line.encode("utf-8", "backslashreplace"))
