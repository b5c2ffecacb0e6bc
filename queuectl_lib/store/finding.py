"""One job found, by its id or by its key; in words where there is none, or another in its place."""

from __future__ import annotations

import sqlite3

from queuectl_lib import contexts, errors
from queuectl_lib.errors import NoDatabase, QueueError
from queuectl_lib.jobs import ids as ids_made
from queuectl_lib.jobs import states
from queuectl_lib.jobs.ids import Holder
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Sequence

    from queuectl_lib.store.database import Database

GET_HEAD = "SELECT seq, id, state, token, worker, unique_key, lock_key FROM jobs WHERE id = ?"


def head(connection: sqlite3.Connection, identifier: str) -> sqlite3.Row:
    """The job's seq, id, state, token, worker, key and lock. Raises QueueError if there is none."""
    found = opening.rows(connection, GET_HEAD, (identifier,))
    if not found:
        raise errors.no_such_job(identifier)
    return found[0]


def states_of(database: Database, ids: Sequence[str]) -> List[str]:
    """The state of each job. Raises QueueError for one that does not exist."""
    try:
        with database.reading() as connection:
            return [head(connection, identifier)["state"] for identifier in ids]
    except NoDatabase:
        raise errors.no_such_job(ids[0]) from None


def counts_of(database: Database, ids: Sequence[str]) -> Dict[str, int]:
    """How many of these jobs are in each state, zeros too. Raises QueueError for one that does not exist."""
    found = states_of(database, ids)
    return {state: found.count(state) for state in states.STATES}


QUEUE = "SELECT paused_at FROM queues WHERE id = ?"


def heed_queues(connection: sqlite3.Connection, used: Sequence[int], said: Optional[List[str]]) -> None:
    """Raise QueueError where a queue of new jobs was removed meanwhile; *said* is told where one is paused."""
    for number in used:
        found = connection.execute(QUEUE, (number,)).fetchone()
        if found is None or found[0] is not None:
            from queuectl_lib.store import queues  # which most jobs need not

            queues.heed(connection, number, said)


def exists(database: Database, identifier: str) -> bool:
    """True where a job has this id."""
    try:
        return bool(states_of(database, [identifier]))
    except QueueError:
        return False


def running_token(database: Database, identifier: str) -> Optional[str]:
    """The token of the claim that holds a job now, or None."""
    with database.reading() as connection:
        token: Optional[str] = head(connection, identifier)["token"]
        return token


@contexts.contextmanager
def no_job_without_database(ids: Sequence[str]) -> Iterator[None]:
    """Where no database exists, neither does a job with the first of *ids*."""
    try:
        yield
    except NoDatabase:
        raise errors.no_such_job(ids[0]) from None


# NOT NULL again, for the proof that the index serves.
HOLDS = "state IN (%s)" % ", ".join("'%s'" % state for state in states.HOLDING)
FIND_HOLDER = "SELECT id, state FROM jobs WHERE unique_key = ? AND unique_key IS NOT NULL AND %s LIMIT 1" % HOLDS


def find_holder(connection: sqlite3.Connection, key: Optional[str]) -> Optional[Holder]:
    """The job that waits or runs with *key*."""
    found = [] if key is None else opening.rows(connection, FIND_HOLDER, (key,))
    return Holder.of(opening.as_text(found[0]["id"]), key, found[0]["state"]) if key is not None and found else None


def key_is_held(identifier: str, holder: Holder, same_call: bool) -> QueueError:
    if same_call:
        text = "jobs %s and %s have the same key %s, and only one can wait: nothing was requeued"
        return QueueError(text % (holder, identifier, errors.shown(holder.key)), "key_held")
    text = "job %s has the key %s, which job %s (%s) holds: nothing was requeued"
    return QueueError(text % (identifier, errors.shown(holder.key), holder, holder.state), "key_held")


MADE_LENGTH = 12
OTHER_DIGITS = "*[^%s]*" % ids_made.ID_DIGITS
BEGINNING = "SELECT id FROM jobs WHERE id >= ? AND id < ? AND length(id) = %d AND id NOT GLOB ? ORDER BY id LIMIT 3" % (
    MADE_LENGTH
)
EXACT = "SELECT 1 FROM jobs WHERE id = ?"


def in_full(database: Database, words: Sequence[str]) -> List[str]:
    """The id that each of *words* is, or is the only beginning of, each once; what is neither stays as it is.

    Only ids that queuectl made can be meant by a beginning, or in capitals. Raises QueueError where two begin so.
    """
    short = [word for word in words if 0 < len(word) <= MADE_LENGTH and not set(word.lower()) - set(ids_made.ID_DIGITS)]
    whole: Dict[str, str] = {}
    with contexts.suppress(NoDatabase):
        if short:
            with database.reading() as connection:
                whole = {word: only_one(connection, word) for word in short}
    return list(dict.fromkeys(whole.get(word, word) for word in words))


def only_one(connection: sqlite3.Connection, word: str) -> str:
    """The id that *word* is, or the only one that begins so; the word itself where none does. Raises QueueError."""
    if connection.execute(EXACT, (word,)).fetchone():
        return word
    small = word.lower()
    behind = small[:-1] + chr(ord(small[-1]) + 1)
    found = [row["id"] for row in opening.rows(connection, BEGINNING, (small, behind, OTHER_DIGITS))]
    if len(found) > 1:
        more = " and others" if len(found) > 2 else ""
        raise QueueError("more than one id begins with %s: %s, %s%s" % (word, found[0], found[1], more), "ambiguous")
    return found[0] if found else word
