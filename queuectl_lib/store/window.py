"""The attempts of a stretch of time up to now: all of them counted, and as many as a page can show read in full.

No index has their times. Their ids go with their starts, but for clocks that are set, and their numbers (ended) with
their ends: so where the stretch begins is found by halving, and what began long before and ended in it by its number.
"""

from __future__ import annotations

import collections
import json
import sqlite3

from queuectl_lib import contexts, stored_times, times
from queuectl_lib.jobs import kinds, states
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Counter, Dict, Iterator, List, Optional, Sequence, Tuple

SLACK_SECONDS = 3600.0  # by which a clock may have been set
IN_FULL, SAMPLE = 30000, 10000  # so many attempts are read in full; of more than that, so many that lie evenly
WITH_KINDS, OF_SAMPLE = 20000, 4000  # of these whose kinds are made, which takes longest; of a sample
LONG_MOST = 5000  # that began before the stretch and ended in it
COMMAND_CHARACTERS = 500  # no kind needs more
AT_ONCE = 500  # an old SQLite takes 999 parameters
MOST_ID = (1 << 63) - 1
READABLE = 20  # rows behind each other among which one has a time that can be read

ENDS_OF_IDS = ("SELECT min(id) FROM attempts", "SELECT max(id) FROM attempts")
NEXT_ID = "SELECT min(id) FROM attempts WHERE id >= ?"
FROM_ID = "SELECT id, started_at FROM attempts WHERE id >= ? ORDER BY id LIMIT ?"
OF_NUMBERS = "ended > 0 AND ended < 9000000000000000000 AND ended IS NOT NULL"  # not what somebody has put there
ENDS_OF_NUMBERS = tuple(
    "SELECT ended FROM attempts INDEXED BY attempts_ended WHERE %s ORDER BY ended %s LIMIT 1" % (OF_NUMBERS, order)
    for order in ("", "DESC")
)
FROM_NUMBER = (
    "SELECT ended, finished_at FROM attempts INDEXED BY attempts_ended WHERE ended >= ? AND ended IS NOT NULL"
    " ORDER BY ended LIMIT ?"
)
BEGAN_BEFORE = (
    "SELECT id FROM attempts INDEXED BY attempts_ended WHERE ended >= ? AND ended IS NOT NULL AND id < ? LIMIT ?"
)


class Window:
    """The attempts that ended or ran since *since* (seconds since 1970), in one read transaction of *connection*.

    With *until* those alone that began before it, and not long before *since*.
    """

    def __init__(self, connection: sqlite3.Connection, since: float, until: Optional[float] = None) -> None:
        self.connection = connection
        self.since = since
        begin = times.utc_text(max(times.FIRST_TIME, since - SLACK_SECONDS))
        ids = [connection.execute(statement).fetchone()[0] or 0 for statement in ENDS_OF_IDS]
        self.low = halved(ids[0], ids[1] + 1, self.looker(FROM_ID, "id", "started_at", begin))
        self.high = MOST_ID
        self.long: List[int] = []  # ids of those that began before
        if until is not None:
            end = times.utc_text(max(times.FIRST_TIME, until))
            self.high = halved(self.low, ids[1] + 1, self.looker(FROM_ID, "id", "started_at", end))
            return
        numbers = [connection.execute(statement).fetchone() for statement in ENDS_OF_NUMBERS]
        if numbers[0] and numbers[1]:
            look = self.looker(FROM_NUMBER, "ended", "finished_at", begin)
            number = halved(numbers[0][0], numbers[1][0] + 1, look)
            rows = connection.execute(BEGAN_BEFORE, (number, self.low, LONG_MOST))
            self.long = [row[0] for row in rows]

    def looker(self, statement: str, key: str, column: str, begin: str) -> Callable[[int], Optional[int]]:
        """Says of a place whether the first time behind it is before *begin*: then where to go on, else None."""

        def look(place: int) -> Optional[int]:
            for row in opening.rows(self.connection, statement, (place, READABLE)):
                moment = row[column]
                if isinstance(moment, str) and moment[:1].isdigit():
                    return int(row[key]) + 1 if moment < begin else None
            return None

        return look

    def parts(self) -> Iterator[Tuple[str, Sequence[Any]]]:
        """Conditions, and their values, that together mean the attempts of the window, each once."""
        yield "a.id >= ? AND a.id < ?", (self.low, self.high)
        for begin in range(0, len(self.long), AT_ONCE):
            some = self.long[begin : begin + AT_ONCE]
            yield "a.id IN (%s)" % ", ".join("?" * len(some)), some


    def pieces(self) -> Iterator[Tuple[str, Sequence[Any]]]:
        """The same in pieces of not too many attempts."""
        low: Optional[int] = self.low
        while low is not None and low < self.high:
            yield "a.id >= ? AND a.id < ?", (low, min(self.high, low + IDS_AT_ONCE))
            low = self.connection.execute(NEXT_ID, (low + IDS_AT_ONCE,)).fetchone()[0]  # behind a gap it may be far
        yield from list(self.parts())[1:]


def halved(low: int, high: int, look: Callable[[int], Optional[int]]) -> int:
    """The first place from *low* to *high* of which *look* says that what is sought lies there or before it."""
    while low < high:
        middle = (low + high) // 2
        behind = look(middle)
        low, high = (low, middle) if behind is None else (max(behind, middle + 1), high)
    return low


# ---------------------------------------------------------------- all of them, counted

# In one text, many a time: a row for each would take twice as long.
COUNTED = "SELECT group_concat(substr(a.finished_at, 1, %d) || a.outcome, x'1e') FROM attempts a WHERE %s"
IDS_AT_ONCE = 200000

# Of a stretch so long (seconds): the length of the text of a second, minute or hour, and what such a one lacks.
UNITS = ((3 * 3600.0, 1, 19, ""), (10 * 86400.0, 60, 16, ":00"), (float("inf"), 3600, 13, ":00:00"))


def whole_unit(since: float, now: float) -> float:
    """The second, minute or hour in which *since* lies, by which what ended since then is counted until *now*."""
    unit = next(unit for most, unit, _, _ in UNITS if now - since <= most)
    return since // unit * unit


def ends(window: Window, now: float) -> Dict[Tuple[float, str], int]:
    """How many attempts ended when (seconds since 1970, to the second, minute or hour) and how; all of the window."""
    length, rest = next((size, end) for most, _, size, end in UNITS if now - window.since <= most)
    counted: Counter[bytes] = collections.Counter()
    factory = window.connection.text_factory
    window.connection.text_factory = bytes  # which is quicker, and refuses none
    try:
        for condition, values in window.pieces():
            text = window.connection.execute(COUNTED % (length, condition), values).fetchone()[0]
            counted.update((text or b"").split(b"\x1e"))
    finally:
        window.connection.text_factory = factory
    found: Counter[Tuple[float, str]] = collections.Counter()
    for text, count in counted.items():
        moment = times.seconds_or(opening.as_text(text[:length]) + rest + "Z", -1.0)
        if window.since <= moment <= now:
            found[moment, opening.as_text(text[length:])] += count
    return found


# ---------------------------------------------------------------- as many as can be shown, in full

SPREAD = "(a.id %% 1000003) * 2654435761 %% 4294967296 < ?"  # so many of 2**32, lying evenly; written for a format
IN_DETAIL = (
    "SELECT a.job, a.number, a.outcome, a.started_at, a.finished_at, a.worker, j.id, j.name, j.is_list, j.created_at,"
    " j.run_at, substr(coalesce(a.command, j.command), 1, %d) AS command, a.command IS NOT NULL AS changed,"
    " j.state = 'processing' AND j.token = a.token AS runs"
    " FROM attempts a CROSS JOIN jobs j WHERE %%s AND " % COMMAND_CHARACTERS
    + SPREAD
    + " AND j.seq = a.job"
)
RUNNING_LONG = (
    "SELECT a.id FROM jobs j INDEXED BY jobs_open CROSS JOIN attempts a WHERE j.state = 'processing'"
    " AND j.state <> 'completed' AND a.job = j.seq AND a.token = j.token AND a.id < ? LIMIT ?"
)


class Attempt:
    """One attempt: when it *began* and *ended* (seconds since 1970; None: it runs), how it went, who ran it, and what.

    *waited*: seconds from when the job was due to the begin of its first attempt. *kind*: None: not looked at.
    """

    __slots__ = ("began", "ended", "outcome", "has_failed", "worker", "job", "kind", "is_named", "waited")

    def __init__(self, row: sqlite3.Row, began: float, ended: Optional[float]) -> None:
        self.began = began
        self.ended = ended
        self.outcome = opening.as_text(row["outcome"])
        self.has_failed = states.ENDINGS.get(self.outcome) == "fail"
        self.worker = opening.as_text(row["worker"])
        self.job = opening.as_text(row["id"])
        self.kind: Optional[str] = None  # not looked at
        self.is_named = isinstance(row["name"], str) and bool(row["name"])
        self.waited: Optional[float] = None


class Detail:
    """*attempts*, each of which stands for *weight*; *total*: how many there are of which these were read."""

    def __init__(self, attempts: List[Attempt], weight: float, total: int) -> None:
        self.attempts = attempts
        self.weight = weight
        self.total = total

    @property
    def is_sample(self) -> bool:
        return self.weight > 1


def detail(window: Window, total: int, now: float, most: Optional[int] = None) -> Detail:
    """Attempts of the window, of which there are *total*: all up to IN_FULL, else SAMPLE; with *most* about so many."""
    enough = (IN_FULL if most is None else most) >= total
    share = 1.0 if enough else (SAMPLE if most is None else most) / float(total)
    clock, seen = stored_times.Clock(), Kinds(WITH_KINDS if enough else OF_SAMPLE, int(total * share))
    parts = list(window.parts())
    older: List[int] = []
    if window.high == MOST_ID:
        older = [row[0] for row in window.connection.execute(RUNNING_LONG, (window.low, AT_ONCE))]
    if older:
        parts.append(("a.id IN (%s)" % ", ".join("?" * len(older)), older))
    found: List[Attempt] = []
    for condition, values in parts:
        for row in opening.rows(window.connection, IN_DETAIL % condition, (*values, int(share * 4294967296))):
            one = attempt_of(row, clock, window.since, now)
            if one is not None:
                seen.tell(one, row)
                found.append(one)
    return Detail(found, 1 / share, total)


def attempt_of(row: sqlite3.Row, clock: stored_times.Clock, since: float, now: float) -> Optional[Attempt]:
    """The attempt of a row; None where it ended before the window, or its times are none."""
    runs = row["outcome"] == states.RUNNING
    began, ended = clock.seconds(row["started_at"]), None if runs else clock.seconds(row["finished_at"])
    if began < 0 or (ended is not None and ended < since) or (runs and not row["runs"]):
        return None
    found = Attempt(row, began, ended)
    if row["number"] == 1 and began >= since:
        due = max(clock.seconds(row["created_at"]), clock.seconds(row["run_at"]))
        found.waited = max(0.0, began - due) if due >= 0 else None
    return found if began <= now else None


class Kinds:
    """Tells attempts their kinds: *most* of *total*, which lie evenly among them, for a kind takes long to make."""

    def __init__(self, most: int, total: int) -> None:
        self.share = min(1.0, most / float(max(1, total)))
        self.owed = 1.0
        self.known: Dict[Any, str] = {}

    def tell(self, attempt: Attempt, row: sqlite3.Row) -> None:
        self.owed += self.share
        if self.owed >= 1:
            self.owed -= 1
            key = row["name"] or row["command"]
            kind = self.known.get(key)
            if kind is None:
                kind = self.known[key] = kind_of(row)
            attempt.kind = kind


def kind_of(row: sqlite3.Row) -> str:
    return kinds.of(row["name"], words_of(row))


def words_of(row: sqlite3.Row) -> Any:
    """What was run: a text, or a list of words; where that is very long the beginning of it."""
    command = opening.as_text(row["command"])
    if row["is_list"] or row["changed"]:
        if len(command) == COMMAND_CHARACTERS:  # it may be cut: whole words of it do
            command = command[: command.rfind('", "')] + '"]'
        with contexts.suppress(ValueError, RecursionError):
            return json.loads(command)
    return command
