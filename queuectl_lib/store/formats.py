"""How a database of ours is known, and of which format it is."""

from __future__ import annotations

from queuectl_lib.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID = 0x71756575  # "queu"
HEAD_BYTES = 100  # of an SQLite database (https://www.sqlite.org/fileformat.html#the_database_header)

FORMAT = 7  # how many steps there are


def version_of(connection: sqlite3.Connection, path: str) -> int:
    """The format of the database. Raises HostError for one that this program does not know."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > FORMAT:
        raise HostError(
            "%s was written by a newer queuectl (format %d, this one knows %d): use that one" % (path, version, FORMAT)
        )
    return version


def is_head_of_queue(head: bytes) -> bool:
    """True where a file begins as a database of ours does."""
    return head.startswith(b"SQLite format 3\0") and head[68:72] == APPLICATION_ID.to_bytes(4, "big")
