"""The lasting troubles that `check` has told of: rows of totals, for each when it was told first, and when last."""

from __future__ import annotations

import contextlib

from queuectl_lib import contexts
from queuectl_lib.errors import HostError, NoDatabase
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Tuple

    from queuectl_lib.store.database import Database

FIRST, LAST = "trouble first ", "trouble last "
TOLD = "SELECT key, value FROM totals WHERE key > 'trouble ' AND key < 'trouble!'"
NOTE_FIRST = "INSERT OR IGNORE INTO totals (key, value) VALUES (?, ?)"
NOTE_LAST = "INSERT OR REPLACE INTO totals (key, value) VALUES (?, ?)"
FORGET = "DELETE FROM totals WHERE key = ?"


@contexts.contextmanager
def gate(database: Database) -> Iterator[None]:
    """One process at a time tells of them. Raises HostError."""
    with contextlib.ExitStack() as held:
        with opening.told(database.path):  # not around the block: its errors are its own
            held.enter_context(database.gate("check-troubles"))
        yield


def known(database: Database) -> Dict[str, Tuple[float, float]]:
    """By its name when each was told first and last, in seconds since 1970."""
    found: Dict[str, float] = {}
    with contexts.suppress(NoDatabase), database.reading() as connection:
        for row in opening.rows(connection, TOLD):
            if isinstance(row["value"], float):
                found[opening.as_text(row["key"])] = row["value"]
    last = {key[len(LAST) :]: value for key, value in found.items() if key.startswith(LAST)}
    return {name: (found.get(FIRST + name, value), value) for name, value in last.items()}


def note(database: Database, told: Iterable[str], over: Iterable[str], now: float) -> None:
    """Note that these were *told* of, and forget those that are *over*. What cannot be noted is told again."""
    gone: List[Tuple[str]] = [(begin + name,) for name in over for begin in (FIRST, LAST)]
    names = list(told)
    with contexts.suppress(HostError), database.writing() as connection:
        connection.executemany(FORGET, gone)
        connection.executemany(NOTE_FIRST, [(FIRST + name, now) for name in names])
        connection.executemany(NOTE_LAST, [(LAST + name, now) for name in names])
