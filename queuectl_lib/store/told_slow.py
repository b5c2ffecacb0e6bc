"""The attempts that `check --slow` has told of: rows of totals, one for each token, as long as the attempt runs."""

from __future__ import annotations

import contextlib

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Sequence, Set

    from queuectl_lib.store.database import Database

KEY = "told slow "
TOLD = "SELECT key FROM totals WHERE key > 'told slow ' AND key < 'told slow!'"
NOTE = "INSERT OR REPLACE INTO totals (key, value) VALUES (?, 1)"
# "state <> 'completed'" again, in so many words, for the proof that the index serves.
FORGET = (
    "DELETE FROM totals WHERE key > 'told slow ' AND key < 'told slow!' AND substr(key, %d) NOT IN"
    " (SELECT token FROM jobs INDEXED BY jobs_open WHERE state = 'processing' AND state <> 'completed')"
    % (len(KEY) + 1)
)


@contexts.contextmanager
def gate(database: Database) -> Iterator[None]:
    """One process at a time tells of them."""
    with contextlib.ExitStack() as held:
        with opening.told(database.path):  # not around the block: its errors are its own
            held.enter_context(database.gate("check-slow"))
        yield


def tokens(database: Database) -> Set[str]:
    with contexts.suppress(NoDatabase), database.reading() as connection:
        return {opening.as_text(row["key"])[len(KEY) :] for row in opening.rows(connection, TOLD)}
    return set()


def note(database: Database, told: Sequence[str]) -> None:
    """Note that these were told of, and forget those that have ended."""
    with database.writing() as connection:
        connection.execute(FORGET)
        connection.executemany(NOTE, [(KEY + token,) for token in told])
