"""Dead jobs by what they died of: the groups, what each of them says, and which one is meant by a beginning.

Dead letters from before signatures were kept get theirs when somebody first asks, a little at a time; where nothing
can be written, for the answer alone.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time

from queuectl_lib import contexts, errors
from queuectl_lib.errors import BadInput, HostError, NoDatabase, QueueError
from queuectl_lib.jobs import kinds, signatures, states
from queuectl_lib.store import alike, folder, opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

    from queuectl_lib.jobs.signatures import Signed
    from queuectl_lib.store.database import Database

ROWS = 1000  # old dead letters signed in one transaction
YIELD_SECONDS = 0.015  # between two of them
SAMPLE = 3  # ids of a group that are named
KINDS_OF = 20  # of the oldest jobs of a group it is said what they are

DEAD = "FROM jobs INDEXED BY jobs_open WHERE state = 'dead' AND state <> 'completed'"
GROUPS = (
    "SELECT g.*, e.text, e.failures FROM (SELECT signature, count(*) AS jobs, min(finished_at) AS first_at,"
    " max(finished_at) AS last_at %s GROUP BY signature) g LEFT JOIN errors e ON e.signature = g.signature" % DEAD
)


class Group:
    """Dead jobs whose last failures are alike."""

    def __init__(self, signature: str, text: str) -> None:
        self.signature = signature
        self.text = text
        self.jobs = 0
        self.failures = 0  # ever
        self.first_at = self.last_at = ""  # when those that are dead now died
        self.ids: List[str] = []
        self.kinds: List[str] = []

    def add(self, jobs: int, first_at: object, last_at: object) -> None:
        self.jobs += jobs
        self.first_at = min(filter(None, (self.first_at, text_of(first_at))), default="")
        self.last_at = max(self.last_at, text_of(last_at))


def text_of(value: object) -> str:
    return "" if value is None else opening.as_text(value)


def of_dead(database: Database) -> List[Group]:
    """The groups of all that is dead, the largest first."""
    unsigned: List[Tuple[sqlite3.Row, Signed]] = []
    try:
        sign_old(database)
    except HostError:  # nothing can be written here
        unsigned = [pair for part in unsigned_parts(database) for pair in part]
    found: Dict[str, Group] = {}
    with contexts.suppress(NoDatabase), database.reading() as connection:
        for row in opening.rows(connection, GROUPS):
            if row["signature"] is not None:
                signature = text_of(row["signature"])
                group = found.setdefault(signature, Group(signature, text_of(row["text"])))
                group.failures = row["failures"] if type(row["failures"]) is int else 0
                group.add(row["jobs"], row["first_at"], row["last_at"])
    for row, signed in unsigned:
        group = found.setdefault(signed.signature, Group(signed.signature, signed.text))
        group.add(1, row["finished_at"], row["finished_at"])
        take_along(group, row)
    return sorted(found.values(), key=lambda group: (-group.jobs, group.signature))


NEWEST = 1000  # dead jobs among which it is asked how many died of the same
LIKE_IT = "SELECT count(*) FROM (SELECT signature %s ORDER BY seq DESC LIMIT %d) WHERE signature = ?" % (DEAD, NEWEST)


def others_like(database: Database, signature: object) -> int:
    """How many others of the NEWEST dead jobs died of the same as one with this signature."""
    if not isinstance(signature, str):
        return 0
    with contexts.suppress(NoDatabase), database.reading() as connection:
        return max(0, int(connection.execute(LIKE_IT, (signature,)).fetchone()[0]) - 1)
    return 0


MEMBERS = "SELECT seq, id, signature, name, command, is_list, last_error %s AND seq > ? ORDER BY seq LIMIT ?" % DEAD
READ_ROWS = 10000


def look_into(database: Database, groups: Iterable[Group]) -> None:
    """Note of each of *groups* which jobs are in it, and what they are, as far as the oldest of them tell."""
    known = {group.signature: group for group in groups}
    behind = 0
    while True:
        rows: List[sqlite3.Row] = []
        with contexts.suppress(NoDatabase), database.reading() as connection:
            rows = opening.rows(connection, MEMBERS, (behind, READ_ROWS))
        for row in rows:
            group = known.get(text_of(row["signature"]))
            if group is not None and len(group.ids) < KINDS_OF:
                take_along(group, row)
        if len(rows) < READ_ROWS:
            return
        behind = rows[-1]["seq"]


def take_along(group: Group, row: sqlite3.Row) -> None:
    if len(group.ids) >= KINDS_OF:
        return
    group.ids.append(opening.as_text(row["id"]))
    kind = kind_of(row)
    if kind and kind not in group.kinds:
        group.kinds.append(kind)


def kind_of(row: sqlite3.Row) -> str:
    """What kind of job this is."""
    command: Any = opening.as_text(row["command"])
    if row["is_list"]:
        with contexts.suppress(ValueError, RecursionError):
            command = json.loads(command)
    return kinds.of(row["name"], command)


def shortest(signatures: Iterable[str], least: int = 6) -> Dict[str, str]:
    """The shortest beginning of each that no other has."""
    ordered = sorted(set(signatures))
    found = {}
    for place, one in enumerate(ordered):
        near = ordered[max(place - 1, 0) : place] + ordered[place + 1 : place + 2]
        alike = [len(os.path.commonprefix([one, other])) for other in near]
        found[one] = one[: max([least] + [length + 1 for length in alike])]
    return found


# ---------------------------------------------------------------- which one is meant

LEAST = 4  # characters of a beginning
BEGINNING = "signature >= ? AND signature < ?"
OF_DEAD = "SELECT DISTINCT signature %s AND %s ORDER BY signature LIMIT 3" % (DEAD, BEGINNING)
OF_ERRORS = "SELECT signature FROM errors WHERE %s ORDER BY signature LIMIT 3" % BEGINNING


def meant(database: Database, word: str) -> str:
    """The signature that begins with *word*, of what is dead, else of what has failed at all.

    Raises BadInput where it can be none, QueueError where there is none, or more than one.
    """
    beginning = word.lower()
    if not LEAST <= len(word) <= signatures.DIGITS or set(beginning) - set("0123456789abcdef"):
        text = "--group: %s is no group: give %d or more of the digits that `queuectl.py dlq groups` shows"
        raise BadInput(text % (errors.shown(word), LEAST))
    with contexts.suppress(HostError):  # else only what is signed is found
        sign_old(database)
    found: List[str] = []
    with contexts.suppress(NoDatabase), database.reading() as connection:
        for statement in (OF_DEAD, OF_ERRORS):
            if not found:
                rows = opening.rows(connection, statement, (beginning, beginning + "g"))
                found = [opening.as_text(row["signature"]) for row in rows]
    if not found:
        text = "no group begins with %s: `queuectl.py dlq groups` lists them"
        raise QueueError(text % beginning, "no_such_group", "dlq groups")
    if len(found) > 1:
        more = " and others" if len(found) > 2 else ""
        text = "more than one group begins with %s: %s, %s%s"
        raise QueueError(text % (beginning, found[0], found[1], more), "ambiguous")
    return found[0]


# ---------------------------------------------------------------- what is said of a failure

TEXTS = "SELECT signature, text FROM errors WHERE signature IN (%s)"
AT_ONCE = 500  # an old SQLite takes 999 parameters


def texts(database: Database, wanted: Iterable[object]) -> Dict[str, str]:
    """What is said of the failures with these signatures, as far as it is known."""
    known = sorted({one for one in wanted if isinstance(one, str)})
    found: Dict[str, str] = {}
    with contexts.suppress(NoDatabase), database.reading() as connection:
        for begin in range(0, len(known), AT_ONCE):
            some = known[begin : begin + AT_ONCE]
            rows = opening.rows(connection, TEXTS % ", ".join("?" * len(some)), some)
            found.update({opening.as_text(row["signature"]): opening.as_text(row["text"]) for row in rows})
    return found


def tells_more(text: str) -> bool:
    """True where the *text* of a group holds more than how its jobs ended."""
    return ": " in text


# ---------------------------------------------------------------- from before signatures were kept

UNSIGNED = (
    "SELECT seq, id, name, command, is_list, exit_code, last_error, finished_at %s AND signature IS NULL AND seq > ?"
    " ORDER BY seq LIMIT ?" % DEAD
)
LAST_ATTEMPT = (
    "SELECT outcome, exit_code, signal, error, token, stdout_bytes, stderr_bytes, substr(stdout, -4096) AS stdout,"
    " substr(stderr, -4096) AS stderr FROM attempts WHERE job = ? ORDER BY number DESC LIMIT 1"
)
SIGN_OLD = "UPDATE jobs SET signature = ? WHERE seq = ? AND state = 'dead' AND signature IS NULL"


def sign_old(database: Database) -> None:
    """Give each dead job that has none its signature. Raises HostError where nothing can be written."""
    for part in unsigned_parts(database):
        with database.writing() as connection:
            for row, signed in part:
                with contexts.suppress(sqlite3.IntegrityError), opening.undone_alone(connection):  # its guard keeps it
                    if connection.execute(SIGN_OLD, (signed.signature, row["seq"])).rowcount:
                        alike.count(connection, signed, text_of(row["finished_at"]))
        if len(part) == ROWS:
            time.sleep(YIELD_SECONDS)


def unsigned_parts(database: Database) -> Iterator[Sequence[Tuple[sqlite3.Row, Signed]]]:
    """Those jobs, each with what its signature is, up to ROWS at a time."""
    behind = -1
    while True:
        part: List[Tuple[sqlite3.Row, Signed]] = []
        with contexts.suppress(NoDatabase), database.reading() as connection:
            for row in opening.rows(connection, UNSIGNED, (behind, ROWS)):
                attempts = opening.rows(connection, LAST_ATTEMPT, (row["seq"],))
                part.append((row, signed_old(database, row, attempts[0] if attempts else None)))
        if part:
            yield part
        if len(part) < ROWS:
            return
        behind = part[-1][0]["seq"]


def signed_old(database: Database, job: sqlite3.Row, attempt: Optional[sqlite3.Row]) -> Signed:
    """What the signature of a dead *job* is, by the last *attempt* of it. What stands there may be anything."""
    if attempt is None:
        return signatures.sign(signatures.verdict(states.FAILED, job["exit_code"], None), "", job["last_error"])
    verdict = signatures.verdict(opening.as_text(attempt["outcome"]), attempt["exit_code"], attempt["signal"])
    line = telling_line(database, attempt)
    return signatures.sign(verdict, signatures.normal(line), attempt["error"])


def telling_line(database: Database, attempt: Any) -> str:
    """The line of its output that tells most, "" where none does; *attempt* with its streams or the ends of them."""
    return signatures.telling_line(tail(database, attempt, "stderr"), tail(database, attempt, "stdout"))


def tail(database: Database, attempt: Any, stream: str) -> object:
    """The end of a stream, in the row or in its file."""
    if attempt[stream] is not None:
        return attempt[stream]
    if attempt[stream + "_bytes"] == 0 or not folder.is_token(attempt["token"]):
        return b""
    return alike.tail_of(database.folder.attempt_path(attempt["token"], stream[3:]))
