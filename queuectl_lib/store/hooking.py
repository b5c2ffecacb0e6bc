"""How far the hook was told: the cursor over ended attempts (counts.hooked), and rows of totals for all else.

`hooked` is the number of the next end to be told (store/ended), so all before it were; 0: nobody listens, which is how
a queue begins. The rows: "hook idle" (how many had ended when that was told), "hook stuck" (when it was told), and
"hook long TOKEN" for each attempt that runs unusually long and was told of.
"""

from __future__ import annotations

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import notices
from queuectl_lib.store import events, hook_note, opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Dict, Iterable, Mapping, Optional, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

IDLE, STUCK, LONG = "hook idle", "hook stuck", "hook long "
AT_ONCE = 1000  # ends that are read at one go

CURSOR = "SELECT hooked, ended FROM counts WHERE state = 'completed'"
TOLD = "SELECT key, value FROM totals WHERE key > 'hook ' AND key < 'hook!'"


class Cursor:
    """How far it was told: the *next* end (0: nobody listens), the *last* that there is, and what else was *told*."""

    def __init__(self, hooked: object, last: object, told: Dict[str, float]) -> None:
        self.last = last if isinstance(last, int) else 0
        self.kept = hooked if isinstance(hooked, int) else 0  # as it stands there
        self.next = self.kept if 0 < self.kept <= self.last + 1 else 0  # else somebody has changed it
        self.told = told


def how_far(database: Database) -> Optional[Cursor]:
    """How far it was told; None where there is no database. Raises HostError."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        rows = opening.rows(connection, CURSOR)
        if not rows:
            return None
        told = opening.rows(connection, TOLD)
        known = {opening.as_text(row["key"]): row["value"] for row in told if isinstance(row["value"], (int, float))}
        return Cursor(rows[0]["hooked"], rows[0]["ended"], known)
    return None


TO_THE_END = "UPDATE counts SET hooked = ended + 1 WHERE state = 'completed' AND NOT (hooked BETWEEN 1 AND ended + 1)"
SO_FAR = "INSERT OR REPLACE INTO totals (key, value) SELECT 'hook idle', ended FROM counts WHERE state = 'completed'"


def listen(database: Database) -> bool:
    """Somebody listens from now on: nothing is told that ended before. False where one did already.

    Raises HostError, OSError.
    """
    found = how_far(database)
    if found is None or found.next:
        return False
    with database.writing() as connection:
        if connection.execute(TO_THE_END).rowcount:
            connection.execute(SO_FAR)
    if not hook_note.is_there(database.folder):
        hook_note.write(database.folder, hook_note.Note())
    return True


NOBODY = "UPDATE counts SET hooked = 0 WHERE state = 'completed'"
FORGET = "DELETE FROM totals WHERE key > 'hook ' AND key < 'hook!'"


def forget(database: Database) -> None:
    """Nobody listens any more; nor is it told, when somebody does again, what ended before. Raises HostError."""
    found = how_far(database)
    if found and (found.kept or found.told):
        with database.writing() as connection:
            connection.execute(NOBODY)
            connection.execute(FORGET)
    hook_note.remove(database.folder)


ADVANCE = "UPDATE counts SET hooked = ? WHERE state = 'completed' AND hooked = ?"
NOTE = "INSERT OR REPLACE INTO totals (key, value) VALUES (?, ?)"
UNNOTE = "DELETE FROM totals WHERE key = ?"


def advance(
    database: Database,
    kept: int,
    following: int,
    told: Mapping[str, float] = {},
    over: Iterable[str] = (),
    synced: bool = True,
) -> None:
    """All before *following* was told where *kept* stands, and of the rest *told*; what is *over* may come again.

    No effect where the cursor was moved meanwhile: somebody has taken the hook away, or set it anew. Raises HostError.
    """
    with database.writing(synced=synced) as connection:
        if connection.execute(ADVANCE, (following, kept)).rowcount:
            connection.executemany(UNNOTE, [(key,) for key in over])
            connection.executemany(NOTE, list(told.items()))


def word_of(row: Fields) -> str:
    """What one of store/ended is told as; "" for what is no news."""
    return notices.word_of(row["outcome"], events.state_of(row, events.mark_of(row["note"])))


def is_wanted(row: Fields, words: Collection[str]) -> bool:
    """True where *words* are told of, or the job itself asks for it, and this end is one."""
    word = word_of(row)
    return word != "" and (word in words or word in notices.rule_of(row["policy"]))


# Of what completed only that of which somebody wants to hear: it may be thousands a second.
SOME_ENDS = (
    "SELECT a.ended, a.outcome, a.note, a.number, a.finished_at, j.id, j.runs, j.state, j.policy,"
    " j.finished_at AS job_finished_at FROM attempts a INDEXED BY attempts_ended LEFT JOIN jobs j ON j.seq = a.job"
    " WHERE a.ended > ? AND a.ended <= ? AND a.ended IS NOT NULL"
    " AND (a.outcome <> 'completed' OR ? OR instr(j.policy, '\"notify\"')) ORDER BY a.ended"
)
SEEN_AT_ONCE = 5000


def any_wanted(database: Database, number: int, last: int, words: Collection[str]) -> Tuple[bool, int]:
    """Whether one of the ends after *number* is to be told, up to *last*; and up to which none is, a part at a time.

    Raises HostError.
    """
    until = min(last, number + SEEN_AT_ONCE)
    with contexts.suppress(NoDatabase), database.reading() as connection:
        for row in opening.rows(connection, SOME_ENDS, (number, until, "completed" in words)):
            if is_wanted(opening.without_bytes(row), words):
                return True, row["ended"] - 1
    return False, until
