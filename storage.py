"""storage: what a job is, how it moves, and how it is kept.

                     claim                  exit 0
    enqueue --> pending ------> processing --------> completed
                 ^  |  ^         |  |  ^ |
                 |  |  +-release-+  |  | +--retries left--> failed --cancel--+
                 |  |               |  +-------claim----------+              |
                 |  +----cancel-+   +---no retry left---> dead               |
                 |              v   +---cancel--+          |                 |
                 |          cancelled <---------+          |                 |
                 |              |  ^-----------------------|-----------------+
                 +---requeue----+------requeue-------------+

pending     Waits for a worker, or for its run_at. A claim takes it, a cancel ends it.
            A crash does not touch it: the row was synced before its id was printed.
processing  One worker holds it; `token` names that claim. The worker's finishing write
            moves it on. When the worker dies, whoever holds the queue next decides by
            evidence (worker.py): finished unseen, still running, died, or never started.
completed   Its command exited 0. Final; `prune` deletes it.
failed      The last attempt failed and retries remain; claimed again at next_run_at.
dead        Retries are used up: the dead letter queue. Only a person moves it out.
cancelled   A person took it out. Only a person moves it back.

While a job with a *unique key* is pending, failed or processing it *holds* the key: no other
with that key is added or requeued. Looked up and inserted in one transaction.

The same arrows stand below as MOVES, and in the schema as a trigger that refuses every
other move. Every write is one `BEGIN IMMEDIATE` transaction on a fresh connection, behind
the *gate*, a file lock that keeps writers in line (SQLite's own waiting sleeps, and is
unfair) and makes checkpoints safe: SQLite up to 3.51.2 can lose commits that race a
PASSIVE checkpoint (its "WAL-reset bug"), so automatic ones are off and ours run behind
the gate. A commit is synced to disk before the call returns; with the setting durability
off, those of claims and results are not. (A foreign writer, say the sqlite3 shell, knows no gate.)

Beside the database `q.db` lies the folder `q.db.d`, private to the user:

    gate            the write gate
    start           locked by a `worker start --ensure` until its supervisor lives
    check           held while dead letters are told of, so that two do not tell of the same
    bell            a FIFO: an enqueue writes a byte to wake a sleeping worker (a hint only)
    workers/N.life  held locked by the supervisor or worker N for as long as it lives
    workers/N.stop  supervisor N is asked to finish and leave (.now: to end its jobs first,
                    .leave: to leave them running)
    attempts/T.*    lock and status (.run), output (.out, .err) of the attempt with token T
    worker.log      what background supervisors and their workers say

What comes from outside is read and checked here too: settings (config.json in the home) and
jobs as JSON; and what `logs`, `check` and `doctor` tell is found here, and told elsewhere.
"""

from __future__ import annotations

import _thread
import collections
import contextlib
import datetime
import json
import os
import re
import sqlite3
import stat
import sys
import time

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

TYPE_CHECKING = False  # typing costs every `add` milliseconds; checkers know this name
if TYPE_CHECKING:
    import signal
    from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

    Fields = Dict[str, Any]
else:
    try:
        import _signal as signal  # what does the work in signal, which makes enums of it: a millisecond of every `add`
    except ImportError:
        import signal

VERSION = "0.1.0"

DURABILITIES = ("full", "off")
STATES = ("pending", "processing", "completed", "failed", "dead", "cancelled")
WAITING = ("pending", "failed")
FINAL = ("completed", "dead", "cancelled")

MOVES = {
    "pending": {"processing": "claim", "cancelled": "cancel"},
    "processing": {
        "completed": "complete",
        "failed": "fail",
        "dead": "fail",
        "cancelled": "cancel",
        "pending": "release",
    },
    "completed": {},
    "failed": {"processing": "claim", "cancelled": "cancel"},
    "dead": {"pending": "requeue"},
    "cancelled": {"pending": "requeue"},
}

BUSY_SECONDS = 30.0  # how long a write waits for its turn
CHECKPOINT_BYTES = 4 * 1024 * 1024  # a WAL larger than this is written back
HAS_TRUNCATE = sqlite3.sqlite_version_info >= (3, 8, 8)  # else the first commit after a checkpoint cuts the WAL
CHUNK_BYTES = 64 * 1024  # of output that is read at once
INLINE_BYTES = 32 * 1024  # output up to this size moves into the database
PRUNE_ROWS = 500  # deleted per transaction, so that no claim waits long
VACUUM_PAGES = 500  # given back per transaction
STARTING_SECONDS = 3.0  # a supervisor without a worker has this long to start one
YIELD_SECONDS = 0.015  # between two transactions of long work: longer than a waiter's longest nap at the gate
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

# Linux refuses one argument of 128 KiB and more; cmd.exe a line over 8191 characters.
COMMAND_BYTES = 8000 if sys.platform == "win32" else 131000
ARGUMENTS_BYTES = 30000 if sys.platform == "win32" else 1000000
SECONDS_LIMIT = 100 * 366 * 86400
KEY_LENGTH = 200
FIRST_TIME, LAST_TIME = 0.0, 253402300799.0  # 1970 to 9999


# ---------------------------------------------------------------- errors


class QueueError(Exception):
    """Not done: no such job, wrong state, duplicate id. One line for the user."""

    exit_code = 1


class BadInput(QueueError):
    """A value from outside that cannot be meant."""

    exit_code = 2


class HostError(QueueError):
    """The environment refuses: disk, permission, lock, damage."""

    exit_code = 3


class NoDatabase(HostError):
    """The database file does not exist."""


# ---------------------------------------------------------------- types

SETTING_DEFAULTS = {
    "max_retries": 3,
    "backoff_base": 2,
    "backoff_cap": 3600,
    "timeout": None,
    "db_path": "queuectl.db",
    "poll_interval": 1,
    "grace": 10,
    "max_output": 100 * 1024 * 1024,
    "durability": "full",
}  # type: Fields

if TYPE_CHECKING:

    class Settings(NamedTuple):
        """What config.json says, complete and checked (seconds where it is a time)."""

        max_retries: int
        backoff_base: float
        backoff_cap: float
        timeout: Optional[float]
        db_path: str
        poll_interval: float
        grace: float
        max_output: int
        durability: str

else:
    Settings = collections.namedtuple("Settings", list(SETTING_DEFAULTS))


class Claim:
    """One attempt that one worker holds: what to run, and the token that proves it.

    ``command`` is a str for the shell or a list of arguments; ``leftovers`` are tokens of
    earlier attempts that may have left processes running.
    """

    def __init__(self, row: Fields, token: str, attempt_id: int, number: int) -> None:
        self.seq: int = row["seq"]
        self.id: str = row["id"]
        self.command: Union[str, List[str]] = json.loads(row["command"]) if row["is_list"] else row["command"]
        self.attempts: int = row["attempts"]
        self.max_retries: int = row["max_retries"]
        self.timeout: Optional[float] = row["timeout"]
        self.cwd: str = row["cwd"]
        self.env: Dict[str, str] = json.loads(row["env"]) if row["env"] else {}
        self.umask: Optional[int] = row["umask"]
        self.token = token
        self.attempt_id = attempt_id
        self.number = number
        self.leftovers: List[str] = []
        self.unique_key: Optional[str] = None


class Outcome:
    """How an attempt ended, ready to be recorded.

    ``kind`` is one of completed, failed, timed out, lost, cancelled, given back.
    ``unstarted`` gives back an attempt that never ran: it leaves no row behind.
    Outputs are bytes, or None with a size where the file stays.
    """

    def __init__(self, claim: Claim, kind: str, finished: float, error: Optional[str] = None) -> None:
        self.claim = claim
        self.kind = kind
        self.started: Optional[float] = None
        self.finished = finished
        self.error = error
        self.exit_code: Optional[int] = None
        self.signal: Optional[str] = None
        self.leftovers: Optional[str] = None
        self.unstarted = False
        self.stdout: Optional[bytes] = None
        self.stderr: Optional[bytes] = None
        self.stdout_bytes = 0
        self.stderr_bytes = 0

    def useless_files(self) -> List[str]:
        """Which files of the attempt nobody needs once this is recorded: of run, out, err.

        While it has left processes running they may write, and its lock tells of them.
        """
        if self.leftovers:
            return []
        kept_out = self.stdout is None and self.stdout_bytes
        kept_err = self.stderr is None and self.stderr_bytes
        return ["run"] + ([] if kept_out else ["out"]) + ([] if kept_err else ["err"])

    def keeps_files(self) -> bool:
        """True where something of this attempt stays in the attempts folder."""
        return len(self.useless_files()) < 3


# ---------------------------------------------------------------- retry maths and time


def backoff_delay(base: float, attempt: int, cap: float) -> float:
    """Seconds to wait after attempt number *attempt* (from 1) failed: min(base ** attempt, cap).

    >>> [backoff_delay(2, n, 3600) for n in (1, 2, 3, 12, 5000)]
    [2.0, 4.0, 8.0, 3600.0, 3600.0]
    """
    try:
        return min(float(base) ** attempt, float(cap))
    except OverflowError:
        return float(cap)


EPOCH = datetime.datetime(1970, 1, 1)  # time.gmtime knows no year after 3000 on Windows


def utc_text(seconds: float) -> str:
    """A wall-clock time (seconds since 1970) as ISO 8601 UTC with microseconds and Z."""
    micros = int(round(seconds * 1000000))
    whole, part = divmod(micros, 1000000)
    return (EPOCH + datetime.timedelta(seconds=whole)).isoformat() + ".%06dZ" % part


def utc_seconds(text: str) -> float:
    """The reverse of :func:`utc_text`, for times that queuectl itself wrote."""
    return parse_time(text, "time")


# Text, compiled at first use, as DURATION is: most calls need neither, and half a millisecond is much for them.
TIME = (
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(?: *([Zz]|[+-]\d\d(?::?\d\d)?))?\Z"
)


def parse_time(text: object, name: str = "run_at") -> float:
    """Seconds since 1970 of an ISO 8601 time; without Z or an offset it is local time.

    Raises BadInput for anything else. (datetime.fromisoformat knows no Z before 3.11.)
    """
    match = re.match(TIME, text) if isinstance(text, str) and text.isascii() else None
    if not match:
        raise BadInput("%s: %s is not a time such as 2027-12-01T10:00:00Z" % (name, shown(text)))
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime.datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
        if zone is None:
            seconds = moment.timestamp()
        else:
            seconds = moment.replace(tzinfo=datetime.timezone.utc).timestamp() - zone_seconds(zone)
    except (ValueError, OverflowError, OSError):
        raise BadInput("%s: %s is not a time that exists" % (name, shown(text))) from None
    seconds += int((fraction or "0").ljust(9, "0")) / 1e9
    if not FIRST_TIME <= seconds <= LAST_TIME:
        raise BadInput("%s: %s is not between the years 1970 and 9999" % (name, shown(text)))
    return seconds


def zone_seconds(zone: str) -> int:
    """Seconds east of UTC that an ISO 8601 offset means."""
    if zone in "Zz":
        return 0
    digits = zone[1:].replace(":", "") + "00"
    hours, minutes = int(digits[:2]), int(digits[2:4])
    if hours > 23 or minutes > 59:
        raise ValueError(zone)
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


DURATION = r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?\Z"


def parse_duration(value: object, name: str) -> float:
    """Seconds of a number or of text such as 90, 90s, 10m, 1h30m, 2d. Raises BadInput."""
    if isinstance(value, str) and value.isascii() and len(value) <= 40:
        match = re.match(DURATION, value.strip())
        if match and match.group(0):
            amounts = [float(amount or 0) for amount in match.groups()]
            return checked_seconds(sum(a * unit for a, unit in zip(amounts, (86400, 3600, 60, 1))), value, name)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return checked_seconds(value, value, name)
    raise BadInput("%s: %s is not a duration such as 90, 90s, 10m or 1h30m" % (name, shown(value)))


def checked_seconds(seconds: float, value: object, name: str) -> float:
    """*seconds* when it is a length of time that can be meant."""
    if not 0 <= seconds <= SECONDS_LIMIT:
        raise BadInput("%s: %s is not between 0 and 100 years" % (name, shown(value)))
    return float(seconds)


def parse_size(text: str, name: str) -> int:
    """Bytes: a number, also with K, M, G or T behind it."""
    match = re.match(r"([0-9]{1,18})([KMGT]?)\Z", text)
    if not match:
        raise BadInput("%s: %s is not a size such as 256M, 2G or 1000000" % (name, shown(text)))
    return int(match.group(1)) << 10 * " KMGT".index(match.group(2) or " ")


def shown(value: object) -> str:
    """A foreign value, quoted, short and with nothing that could drive a terminal."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return "a number of %d bits" % value.bit_length()
    text = value if isinstance(value, str) else repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    quoted = printable(text)
    return '"%s"' % quoted if isinstance(value, str) else quoted


def printable(text: str) -> str:
    r"""*text* with every character that is not printable shown as an escape (\x1b, \u202e)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def age_text(seconds: float) -> str:
    """A length of time in one short word: 7s, 12m, 3h, 5d."""
    seconds = abs(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return "%d%s" % (seconds // size, unit)
    return "%ds" % seconds


def time_that_matters(job: Fields, now: float) -> str:
    """The time that matters in a job's state, seen from now."""
    if job["state"] in WAITING:
        due = utc_seconds(job["next_run_at"])
        return "due in " + age_text(due - now) if due > now + 1 else "due"
    if job["state"] == "processing":
        return "for " + age_text(now - utc_seconds(job["started_at"]))
    return age_text(now - utc_seconds(job["finished_at"])) + " ago"


def exact_age(seconds: float) -> str:
    """A length of time as one gives it: 90m, 26h, 7d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0:
            return "%d%s" % (seconds // size, unit)
    return number_text(seconds) + "s"


def number_text(value: float) -> str:
    """A number with all its digits, as `config set` and --timeout take it back."""
    if value == int(value):
        return "%d" % value
    return ("%.12f" % value).rstrip("0") if "e" in repr(value) else repr(value)


def size_text(count: int) -> str:
    for power, unit in ((4, "T"), (3, "G"), (2, "M"), (1, "K")):
        if count >= 1024**power:
            return ("%.1f" % (count / 1024.0**power)).replace(".0", "") + unit
    return "%d bytes" % count


# ---------------------------------------------------------------- checking jobs

JOB_KEYS = ("id", "command", "max_retries", "priority", "run_at", "delay", "timeout", "cwd", "env", "unique")
OWN_KEYS = frozenset(
    (
        "state",
        "attempts",
        "next_run_at",
        "created_at",
        "updated_at",
        "started_at",
        "finished_at",
        "exit_code",
        "last_error",
        "worker",
        "umask",
        "history",
    )
)
KNOWN_KEYS = OWN_KEYS | frozenset(JOB_KEYS)
COMMON_KEYS = frozenset(("id", "command", "max_retries", "priority", "unique"))  # SHARED_COLUMNS stay as they are
ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,127}\Z")
ID_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
ID_EPOCH = 1704067200  # 2024-01-01: keeps ten digits good until 2059


class MadeId(str):
    """An id that queuectl made, and may make anew if it is taken."""


class Holder(str):
    """The id of a job that waits or runs with a key, given where another with that key was not added."""

    key: str
    state: str

    @classmethod
    def of(cls, identifier: str, key: str, state: str) -> Holder:
        holder = cls(identifier)
        holder.key, holder.state = key, state
        return holder


ID_PAIRS = [one + two for one in ID_DIGITS for two in ID_DIGITS]


class IdMaker:
    """Makes ids: ten base-32 digits of time (microseconds), then two at random."""

    def __init__(self) -> None:
        self.last = 0
        self.second = -1  # what `start` says: the first six digits, the same for a million ids
        self.start = ""
        self.random: Iterator[int] = iter(())

    def __call__(self, now: float) -> MadeId:
        self.last = micros = max(self.last + 1, int((now - ID_EPOCH) * 1000000))
        if micros >> 20 != self.second:
            self.second = micros >> 20
            self.start = "".join([ID_PAIRS[self.second >> shift & 1023] for shift in (20, 10, 0)])
        end = ID_PAIRS[micros >> 10 & 1023] + ID_PAIRS[micros & 1023] + ID_PAIRS[self._random() & 1023]
        return MadeId(self.start + end)

    def _random(self) -> int:
        """Sixteen random bits, fetched from the system by the hundred."""
        for number in self.random:
            return number
        self.random = iter(memoryview(os.urandom(256)).cast("H"))
        return next(self.random)


make_id = IdMaker()


def check_id(value: object) -> str:
    """*value* when it can be the id of a job. Raises BadInput."""
    if isinstance(value, str) and ID.match(value):
        return value
    raise BadInput(
        "id: %s is not an id: up to 128 letters, digits and _ . : @ + -, the first a letter, digit or _" % shown(value)
    )


class JobMaker:
    """Turns what a person or program asks for into rows for the jobs table.

    Holds what the jobs of one call share: settings, directory, umask, time.
    """

    def __init__(self, max_retries: int, cwd: str, umask: Optional[int], now: float) -> None:
        self.max_retries = max_retries
        self.cwd = cwd
        self.umask = umask
        self.now = now
        self.now_text = utc_text(now)
        self.shared = self._shared(None, None, None, None, None)  # of jobs that say nothing of these

    def row(self, fields: object) -> Tuple[Any, ...]:
        """Check *fields* (JSON keys to values) and return the values of INSERT_COLUMNS.

        Raises BadInput that names the field, never a partial result.
        """
        if not isinstance(fields, dict):
            kind = {list: "a list", str: "text", type(None): "null"}.get(type(fields), "a number or a truth value")
            raise BadInput('a job is an object such as {"command": "true"}, not %s' % kind)
        keys, get = fields.keys(), fields.get
        if keys <= COMMON_KEYS:
            shared = self.shared
        elif keys <= KNOWN_KEYS:
            shared = self._shared(get("run_at"), get("delay"), get("timeout"), get("cwd"), get("env"))
        else:
            raise unknown_name("key", sorted(set(fields) - KNOWN_KEYS)[0], JOB_KEYS)
        command, is_list = check_command(get("command"))
        identifier, max_retries, priority, key = get("id"), get("max_retries"), get("priority"), get("unique")
        return (
            make_id(self.now) if identifier is None else check_id(identifier),
            command,
            is_list,
            self.max_retries if max_retries is None else check_integer(max_retries, "max_retries", 0, 1000000),
            0 if priority is None else check_integer(priority, "priority", -1000000000, 1000000000),
            None if key is None else check_key(key),
        ) + shared

    def _shared(self, run_at: object, delay: object, timeout: object, cwd: object, env: object) -> Tuple[Any, ...]:
        """The values of SHARED_COLUMNS, which are the same for most jobs of a call."""
        return self._times(run_at, delay) + (
            None if timeout is None else check_timeout(timeout),
            self.cwd if cwd is None else check_directory(cwd, self.cwd),
            None if env is None else check_env(env),
            self.umask,
            self.now_text,
            self.now_text,
        )

    def _times(self, run_at: object, delay: object) -> Tuple[Optional[str], str, int]:
        """run_at as stored, when it is due, and the lane (0 due, 1 later)."""
        if run_at is None and delay is None:
            return None, self.now_text, 0
        if run_at is not None and delay is not None:
            raise BadInput("run_at and delay contradict each other: give one of them")
        due = parse_time(run_at) if delay is None else self.now + parse_duration(delay, "delay")
        if due > LAST_TIME:
            raise BadInput("delay: %s is after the year 9999" % shown(delay))
        return utc_text(due), utc_text(due), int(due > self.now)


def unique(ids: Sequence[str]) -> List[str]:
    """*ids* in their order, each once."""
    return list(dict.fromkeys(ids))


def check_states(text: Optional[str]) -> List[str]:
    """The states that *text* names, with commas between them; none where there is no text. Raises BadInput."""
    states = [] if text is None else text.split(",")
    for state in states:
        if state not in STATES:
            raise unknown_name("state", state, STATES)
    return sorted(set(states))


def current_directory() -> str:
    try:
        return str(check_text(os.getcwd(), "the current directory"))
    except OSError:
        raise HostError("the current directory no longer exists: change to one that does") from None


def current_umask() -> Optional[int]:
    """The umask that a job enqueued by this process will run with."""
    if sys.platform == "win32":
        return None
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def unknown_name(what: str, name: object, known: Sequence[str]) -> BadInput:
    """The refusal of a name that does not exist, with the nearest that does."""
    import difflib  # needed only to refuse

    near = difflib.get_close_matches(str(name), known, 1, 0.5)
    hint = "did you mean %s?" % near[0] if near else "known: %s" % ", ".join(known)
    return BadInput("unknown %s %s: %s" % (what, shown(name), hint))


def check_text(value: object, name: str) -> str:
    """*value* when it is text that a system call and the database can carry."""
    if not isinstance(value, str):
        raise BadInput("%s: %s is not text" % (name, shown(value)))
    if "\0" in value:
        raise BadInput("%s: %s holds a NUL character" % (name, shown(value)))
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise BadInput("%s: %s is not valid UTF-8" % (name, shown(value))) from None
    return value


def check_command(value: object) -> Tuple[str, int]:
    """A command as stored, and whether it is a list of arguments."""
    if isinstance(value, list):
        if not value or not value[0]:
            raise BadInput("command: the list names no program")
        words = [check_text(word, "command") for word in value]
        sizes = [utf8_bytes(word) + 9 for word in words]  # the system counts a pointer and a NUL for each
        if max(sizes) > COMMAND_BYTES or sum(sizes) > ARGUMENTS_BYTES:
            raise BadInput("command: the arguments are too long for this system: put them into a file")
        return json.dumps(words, ensure_ascii=False), 1
    if value is None:
        raise BadInput("command is missing")
    text = check_text(value, "command")
    if not text or text.isspace():
        raise BadInput("command is empty")
    if len(text) * 4 > COMMAND_BYTES and utf8_bytes(text) > COMMAND_BYTES:
        raise BadInput("command is longer than %d bytes: put it into a script file" % COMMAND_BYTES)
    return text, 0


def utf8_bytes(text: str) -> int:
    return len(text.encode("utf-8"))


def check_integer(value: object, name: str, low: int, high: int) -> int:
    """*value* when it is a whole number from *low* to *high*."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput("%s: %s is not a whole number" % (name, shown(value)))
    if not low <= value <= high:
        raise BadInput("%s: %s is not between %d and %d" % (name, shown(value), low, high))
    return value


def whole_number(text: str, name: str) -> int:
    """What a word of a command line means as a whole number. Raises BadInput."""
    if not re.match(r"[+-]?[0-9]{1,18}\Z", text):
        raise BadInput("%s: %s is not a whole number" % (name, shown(text)))
    return int(text)


def count_from_text(text: str, name: str, most: int) -> int:
    """The same for a number from 1 to *most*."""
    return check_integer(whole_number(text, name), name, 1, most)


def decimal_number(text: str, name: str) -> float:
    """What a word of a command line means as any number. Raises BadInput."""
    if not re.match(r"[+-]?([0-9]{1,18}(\.[0-9]*)?|\.[0-9]+)\Z", text):
        raise BadInput("%s: %s is not a number" % (name, shown(text)))
    return float(text) if "." in text else int(text)


def check_key(value: object, name: str = "unique") -> str:
    """*value* when it can be the key that only one waiting or running job has."""
    text = check_text(value, name)
    if not text:
        raise BadInput("%s is empty" % name)
    if len(text) > KEY_LENGTH:
        raise BadInput("%s: %s is longer than %d characters" % (name, shown(text), KEY_LENGTH))
    return text


def check_timeout(value: object) -> float:
    seconds = parse_duration(value, "timeout")
    if seconds == 0:
        raise BadInput("timeout: 0 would end every attempt at once: leave it out for no limit")
    return seconds


def check_directory(value: object, base: str) -> str:
    """An absolute directory; a relative one starts from where the job is enqueued."""
    text = check_text(value, "cwd")
    if not text:
        raise BadInput("cwd is empty")
    if utf8_bytes(text) > 4096:
        raise BadInput("cwd is longer than 4096 bytes")
    return os.path.normpath(os.path.join(base, text))


def check_env(value: object) -> Optional[str]:
    """Environment variables as stored. No message ever holds a value."""
    if not isinstance(value, dict):
        raise BadInput("env is not an object of names and values")
    size = 0
    for name, text in value.items():
        if not name or "=" in name:
            raise BadInput("env: %s... is not the name of a variable" % shown(name.partition("=")[0]))
        check_text(name, "env")
        if not isinstance(text, str):
            raise BadInput("env: the value of %s is not text" % shown(name))
        try:
            one = utf8_bytes(name) + utf8_bytes(text) + 10
        except UnicodeEncodeError:
            raise BadInput("env: the value of %s is not valid UTF-8" % shown(name)) from None
        if "\0" in text:
            raise BadInput("env: the value of %s holds a NUL character" % shown(name))
        size += one
        if one > COMMAND_BYTES or size > ARGUMENTS_BYTES:
            raise BadInput("env: the value of %s is too long for this system" % shown(name))
    return json.dumps(value, ensure_ascii=False) if value else None


def variables_from_text(pairs: Sequence[str]) -> Dict[str, str]:
    """--env NAME=VALUE as a dict; a message never holds the value."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise BadInput("--env: NAME=VALUE is expected")
        found[name] = value
    return found


# ---------------------------------------------------------------- reading jobs

LINE_BYTES = 16 * 1024 * 1024  # longest line of JSON Lines (an array may be longer)
BLOCK_BYTES = 64 * 1024  # of lines, read and decoded at once
JSON_LEVELS = 900  # of lists and objects in each other: what every Python can read


class Unwanted(BadInput):
    """JSON that Python would take: *words* are what stands in the text."""

    def __init__(self, message: str, words: str) -> None:
        super().__init__(message)
        self.words = words


def unique_keys(pairs: List[Tuple[str, Any]]) -> Fields:
    """An object of JSON; raises Unwanted for a key that comes twice."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = [name for name in names if names.count(name) > 1][0]
        raise Unwanted("the key %s comes twice" % shown(twice), json.dumps(twice, ensure_ascii=False))
    return fields


def refuse_constant(name: str) -> None:
    """Raise Unwanted for NaN, Infinity and -Infinity."""
    raise Unwanted("%s is not a number that JSON knows" % name, name)


def read_jobs(source: Any, report: Callable[[int, int, int], None]) -> Iterator[Tuple[object, object]]:
    """Pairs of line (and number in an array) and job: JSON Lines flat in memory, else all at once.

    *source* is an open binary file; *report* is told bytes read, bytes in all (0 where that is not known),
    and lines. Raises BadInput that names the line, HostError where the source cannot be read.
    """
    reader = LineReader(source, report)
    lines = reader.lines()
    for begin, first in lines:
        if not first.strip():
            continue
        if first.lstrip()[:1] == "{" and is_json(first):
            yield begin, read_line(first, begin)
            for number, line in lines:
                if line and not line.isspace():
                    yield number, read_line(line, number)
        else:
            yield from read_values(reader.rest(first, lines), begin)


def read_line(line: str, number: int) -> object:
    """What one line of JSON Lines says."""
    try:
        value = plain_object(line)
        if value is None:
            value = DECODER.decode(line)
        check_depth(value, line)
    except JSON_MISTAKES as error:
        raise json_refusal(error, number) from None
    return value


def plain_object(line: str) -> object:
    """The object that *line* is, read in the quickest way; None where only DECODER can tell.

    A key that comes twice is not seen in this way. But each key in the line, at whatever depth,
    has a colon behind it: where there are no more colons than keys in the object, none came
    twice. Those in its values do not count, unless escapes hide how many they are in the line.
    """
    try:
        value, end = PLAIN_DECODER.raw_decode(line)
    except JSON_MISTAKES:
        return None
    if type(value) is not dict or line[end:] not in ("", "\r"):
        return None
    colons = line.count(":")
    if colons != len(value) and "\\" not in line:
        colons -= sum(text.count(":") for text in value.values() if type(text) is str)
    return value if colons == len(value) else None


def read_values(text: str, begin: int) -> Iterator[Tuple[object, object]]:
    """Jobs of arrays and objects that go over several lines, one value after the other."""
    place, end, line = 0, 0, begin
    while True:
        place = WHITE_SPACE.match(text, end).end()  # type: ignore[union-attr]
        if place >= len(text):
            return
        line += text.count("\n", end, place)
        try:
            value, end = DECODER.raw_decode(text, place)
            check_depth(value, text[place:end])
        except json.JSONDecodeError as error:
            raise json_refusal(error, begin) from None
        except JSON_MISTAKES as error:
            raise json_refusal(error, line) from None
        jobs = value if isinstance(value, list) else [value]
        for number, job in enumerate(jobs, 1):
            yield "%d, job %d" % (line, number) if len(jobs) > 1 else line, job
        line += text.count("\n", place, end)


DECODER = json.JSONDecoder(object_pairs_hook=unique_keys, parse_constant=refuse_constant)  # json.loads makes one a call
PLAIN_DECODER = json.JSONDecoder(parse_constant=refuse_constant)
WHITE_SPACE = re.compile(r"\s*")
JSON_MISTAKES = (ValueError, RecursionError, BadInput)


def json_refusal(error: BaseException, begin: int) -> BadInput:
    """What to say of a broken piece of JSON that began in line *begin* of the source."""
    place = "line %d" % begin
    if isinstance(error, json.JSONDecodeError):
        place = "line %d, column %d" % (begin + error.lineno - 1, error.colno)
        what = error.msg
    elif isinstance(error, RecursionError):
        what = "JSON is nested too deeply"
    elif isinstance(error, BadInput):
        what = str(error)
    else:
        what = "a number is too long"
    return BadInput("%s: %s: nothing was added" % (place, what))


def check_depth(value: object, text: str) -> None:
    """Raise RecursionError for JSON that is nested too deeply: Python 3.14 reads what others refuse."""
    if len(text) <= JSON_LEVELS:
        return
    if text.count("[") + text.count("{") <= JSON_LEVELS:
        return
    level: List[Any] = [value]
    for _ in range(JSON_LEVELS):
        parts = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        level = [inner for part in parts for inner in part]
    if level:
        raise RecursionError


def is_json(line: str) -> bool:
    """True where one line is a whole JSON value, so that the source is JSON Lines."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return error.pos < len(line.rstrip())  # broken rather than unfinished: say so for this line
    except (ValueError, RecursionError):
        pass
    return True


class LineReader:
    """Reads lines of UTF-8 (with or without BOM) or of UTF-16 with BOM, counting them.

    No line is longer than ``line_bytes``, but an array that begins in the first; None lifts that.
    """

    def __init__(self, source: Any, report: Callable[[int, int, int], None]) -> None:
        import codecs  # loaded already; the name is needed only here
        import io

        self.source = source
        self.report = report
        self.line_bytes: Optional[int] = LINE_BYTES
        self.number = 0
        self.done = 0
        self.total = source_size(source)
        self.begun = False  # a line that is not blank has come
        self.behind = b""  # what was read of the line behind the last block
        start = source.peek(3)[:3] if hasattr(source, "peek") else source.getvalue()[:3]
        if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            try:
                self.source = io.BytesIO(source.read().decode("utf-16").encode("utf-8"))
            except UnicodeDecodeError:
                raise BadInput("line 1: not valid UTF-16: nothing was added") from None
        elif start == codecs.BOM_UTF8:
            source.read(3)

    def lines(self) -> Iterator[Tuple[int, str]]:
        """Each line with its number, without its end. Of what is wrong, those before it come first."""
        block = self._next_block()
        while block:
            text, whole = decoded_lines(block)
            may_be_long, next_number = len(block) > LINE_BYTES, self.number + 1
            for self.number, line in enumerate(text, next_number):
                if may_be_long:
                    self._refuse_long(self.number, line.encode("utf-8"))
                yield self.number, line
            if not whole:
                raise BadInput("line %d: not valid UTF-8: nothing was added" % (self.number + 1))
            self.begun = self.begun or not block.isspace()
            self.done += len(block)
            self.report(self.done, self.total, self.number)
            block = self._next_block()

    def rest(self, first: str, lines: Iterator[Tuple[int, str]]) -> str:
        """All the text from the line *first* on; *lines* are those behind it, of any length."""
        import io

        self.line_bytes = None
        text = io.StringIO()  # a list of the lines would take several times as much
        text.write(first)
        for _, line in lines:
            text.write("\n" + line)
        return text.getvalue()

    def _next_block(self) -> bytes:
        """Lines that end, as many as there are without waiting for more; at the end what is left.

        A line that is too long is not read to its end.
        """
        parts = [self.behind]
        size = len(self.behind)
        while True:
            data = self._read(BLOCK_BYTES)
            end = data.rfind(b"\n") + 1
            if end or not data:
                self.behind = data[end:]
                return b"".join(parts + [data[:end]])
            parts.append(data)
            size += len(data)
            if self.line_bytes is not None and size > self.line_bytes:
                self._refuse_long(self.number + 1, b"".join(parts))
                self.line_bytes = None

    def _refuse_long(self, number: int, line: bytes) -> None:
        """Raise BadInput for a *line* that is too long, unless it begins an array that is all there is."""
        is_array = not self.begun and line.lstrip()[:1] == b"["
        if self.line_bytes is not None and len(line) > self.line_bytes and not is_array:
            raise BadInput("line %d is longer than %d bytes: nothing was added" % (number, self.line_bytes))
        self.begun = self.begun or not line.isspace()

    def _read(self, size: int) -> bytes:
        try:
            data: bytes = self.source.read1(size)
        except OSError as error:
            raise HostError("cannot read the jobs: %s" % error.strerror) from None
        return data


def decoded_lines(block: bytes) -> Tuple[List[str], bool]:
    """The lines of *block*, of UTF-8, without their ends; False with those before the first that is not."""
    whole = True
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError as error:
        text = block[: block.rfind(b"\n", 0, error.start) + 1].decode("utf-8")
        whole = False
    lines = text.split("\n")  # not splitlines, which knows more ends than JSON does
    if not lines[-1]:
        lines.pop()
    return lines, whole


def source_size(source: Any) -> int:
    """Bytes in a regular file, 0 for what cannot tell."""
    try:
        return os.fstat(source.fileno()).st_size
    except (OSError, ValueError, AttributeError):
        return 0


def open_source(text: Optional[str], path: Optional[str]) -> Any:
    """What to read jobs from, as an open binary file."""
    if path is not None and path != "-":
        try:
            return open(path, "rb")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise BadInput("cannot read %s: %s" % (shown(path), why)) from None
    if path == "-" or text == "-":
        return os.fdopen(os.dup(0), "rb")
    import io  # needed only for JSON on the command line

    return io.BytesIO(check_text(text, "JSON").encode("utf-8"))


def checked_rows(
    maker: JobMaker, jobs: Iterable[Tuple[object, object]]
) -> Iterator[Tuple[object, Sequence[Any]]]:
    """Rows for the queue; a mistake names its line."""
    count = 0
    for line, fields in jobs:
        try:
            row = maker.row(fields)
        except BadInput as error:
            raise BadInput("line %s: %s: nothing was added" % (line, error)) from None
        count += 1
        yield line, row
    if not count:
        raise BadInput("no job was given: nothing was added")


# ---------------------------------------------------------------- failpoints


def failpoint(name: str) -> None:
    """A named place between two effects, where a test can have this process killed.

    QUEUECTL_FAILPOINT=NAME:FILE kills it there once: the first to create FILE dies.
    """
    if FAILPOINT and FAILPOINT.partition(":")[0] == name:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(FAILPOINT.partition(":")[2], os.O_CREAT | os.O_EXCL))
            if sys.platform == "win32":
                os._exit(9)
            os.kill(os.getpid(), signal.SIGKILL)


FAILPOINT = os.environ.get("QUEUECTL_FAILPOINT", "")

# ---------------------------------------------------------------- locks and who is alive

LOCK_BYTE = 1 << 30  # Windows locks forbid reading what they cover: lock beyond the content


def try_lock(fd: int, shared: bool = False) -> bool:
    """Lock an open file without waiting; False when someone else holds it.

    The kernel drops the lock when the last copy of *fd* is closed, so also at the death
    of its holder. flock, never lockf: POSIX locks vanish with any close of the file.
    """
    try:
        if sys.platform == "win32":
            os.lseek(fd, LOCK_BYTE, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if sys.platform == "win32":
            return False
        raise HostError("file locks do not work here (%s): use a local file system" % error.strerror) from None
    return True


IN_LINE_AFTER = 0.002  # a nap that has grown longer ends the asking, after 7 ms
LEFT_BEHIND: List[Any] = []  # what tells of threads that wait in vain
LEFT_BEHIND_MOST = 3


def wait_for_lock(fd: int, seconds: float) -> bool:
    """Lock an open file within *seconds*; False when it does not come free.

    Who has waited for a moment stands in line: many who ask again and again would cost more
    than the one who works, and the last to come would be served first.
    """
    pause, deadline = 0.0002, time.monotonic() + seconds
    while not try_lock(fd):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if pause > IN_LINE_AFTER and sys.platform != "win32":
            with contextlib.suppress(RuntimeError):  # no thread can be started: ask on
                return lock_in_line(fd, left)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.01)
    return True


def lock_in_line(fd: int, seconds: float) -> bool:
    """The same in the order of coming, which the kernel keeps. Raises RuntimeError where no thread is to be had.

    The kernel's waiting (flock) knows no limit, so a thread does it. When the time is over it is left
    behind, and its turn passes as soon as it comes: nobody else has the lock's description open then.
    Where the lock is never free, no more than LEFT_BEHIND_MOST are left so.
    """
    if sys.platform == "win32":
        raise NotImplementedError
    LEFT_BEHIND[:] = [turn for turn in LEFT_BEHIND if turn.locked()]
    if len(LEFT_BEHIND) >= LEFT_BEHIND_MOST:
        raise RuntimeError
    turn, refused = _thread.allocate_lock(), []  # type: Any, List[OSError]
    turn.acquire()
    copy = os.dup(fd)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the main thread
    try:
        _thread.start_new_thread(stand_in_line, (copy, turn, refused))
    except RuntimeError:
        os.close(copy)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if not turn.acquire(timeout=seconds):
        LEFT_BEHIND.append(turn)
        return False
    if refused:
        raise refused[0]
    return True


def stand_in_line(fd: int, turn: Any, refused: List[OSError]) -> None:
    """In a thread of its own: wait for the lock of *fd*, close it, and let *turn* go."""
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError as error:
            refused.append(error)
    os.close(fd)
    turn.release()


HAS_LEASES = sys.platform == "linux"
OPEN_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def is_open_here_only(fd: int) -> bool:
    """True where the kernel is certain that nobody else has the file of *fd* open.

    It grants a write lease only then (fcntl(2), F_SETLEASE), on file systems that have leases.
    Whoever opens the file at that moment waits until the lease is given up, and we get SIGIO.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            return True
    return False


def is_as_made(fd: int, most_bytes: int) -> bool:
    """True where the file of *fd* is still private, has no second name, and holds no more than *most_bytes*."""
    info = os.fstat(fd)
    return info.st_size <= most_bytes and info.st_nlink == 1 and stat.S_IMODE(info.st_mode) == PRIVATE_FILE


def open_private(path: str, flags: int) -> int:
    """os.open that creates with mode 0600 whatever the umask, and follows no link."""
    fd = os.open(path, flags | OPEN_SAFELY, PRIVATE_FILE)
    if flags & os.O_CREAT:
        restore_owner_bits(fd)
    return fd


def restore_owner_bits(fd: int) -> None:
    """Make a file of ours usable again if a umask took even its owner's bits."""
    if sys.platform != "win32":
        info = os.fstat(fd)
        if info.st_mode & PRIVATE_FILE != PRIVATE_FILE and info.st_uid == os.geteuid():
            os.fchmod(fd, PRIVATE_FILE)


class Presence:
    """Proof that one supervisor or worker lives: its life file, locked until it dies.

    The descriptor is not inheritable, so a job can never keep a dead worker alive.
    """

    def __init__(self, queue: Queue, name: str, details: Fields) -> None:
        self.path = queue.life_path(name)
        while True:
            self.fd = open_private(self.path, os.O_RDWR | os.O_CREAT)
            if try_lock(self.fd) and self._still_ours():
                break
            os.close(self.fd)  # a tidying process took it for a dead one's: again
            time.sleep(0.001)
        os.lseek(self.fd, 0, os.SEEK_SET)
        os.write(self.fd, json.dumps(dict(details, name=name)).encode("ascii"))

    def _still_ours(self) -> bool:
        if sys.platform == "win32":
            return True  # an open file cannot be replaced there
        try:
            return os.path.samestat(os.fstat(self.fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def end(self) -> None:
        """Give the lock up and take the file away."""
        if sys.platform == "win32":
            os.close(self.fd)
            remove(self.path)
        else:
            remove(self.path)
            os.close(self.fd)


def remove(path: str) -> None:
    """Delete a file that may be gone already or, on Windows, still open elsewhere."""
    for _ in range(10 if sys.platform == "win32" else 1):
        try:
            os.unlink(path)
            return
        except FileNotFoundError:
            return
        except PermissionError:
            if sys.platform != "win32":
                raise
            time.sleep(0.02)


def replace(partial: str, path: str) -> None:
    """os.replace; on Windows it waits up to a second for those who have *path* open."""
    for tries_left in range(50 if sys.platform == "win32" else 0, -1, -1):
        try:
            os.replace(partial, path)
            return
        except PermissionError:
            if not tries_left:
                raise
            time.sleep(0.02)


def read_whole(path: str) -> bytes:
    """The content of a file that others replace; on Windows it cannot be opened at that moment."""
    for tries_left in range(50 if sys.platform == "win32" else 0, -1, -1):
        try:
            with open(path, "rb") as file:
                return file.read()
        except PermissionError:
            if not tries_left:
                raise
            time.sleep(0.02)
    return b""


# ---------------------------------------------------------------- settings (config.json)

ALIASES = {
    "default_max_retries": "max_retries",
    "job_timeout": "timeout",
    "worker_poll_interval": "poll_interval",
}


def setting_key(name: str) -> str:
    """The key that *name* means: max-retries and default_max_retries are max_retries."""
    key = name.replace("-", "_")
    key = ALIASES.get(key, key)
    if key not in SETTING_DEFAULTS:
        raise unknown_name("setting", name, list(SETTING_DEFAULTS) + list(ALIASES))
    return key


def check_setting(key: str, value: object) -> Any:
    """*value* when the setting *key* can have it; raises BadInput."""
    if key == "max_retries":
        return check_integer(value, key, 0, 1000000)
    if key == "max_output":
        return check_integer(value, key, 4096, 10**15)
    if key == "db_path":
        text = check_text(value, key)
        if not text:
            raise BadInput("db_path is empty")
        if os.path.normpath(text) in (".", "..", "config.json"):
            raise BadInput("db_path: %s is no place for a database" % shown(text))
        longest = max(len(part.encode("utf-8")) for part in re.split(r"[/\\]", text))
        if longest > 200 or len(text.encode("utf-8")) > 1000:
            raise BadInput("db_path: %s is too long" % shown(text))
        return text
    if key == "timeout":
        return None if value is None else check_timeout(value)
    if key == "backoff_base":
        return check_number(value, key, 0, 1000000000)
    if key == "durability":
        if value not in DURABILITIES:
            raise BadInput("durability: %s is not full or off" % shown(value))
        return value
    seconds = parse_duration(value, key)
    if key == "poll_interval":
        return check_number(seconds, key, 0.01, 3600)
    return seconds


def check_number(value: object, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise BadInput("%s: %s is not a number from %g to %g" % (name, shown(value), low, high))
    return value


def setting_from_text(key: str, text: str) -> object:
    """What the words of a command line mean as the value of *key*."""
    if key == "timeout" and text.lower() in ("none", "null", ""):
        return None
    if key in ("max_retries", "max_output"):
        return whole_number(text, key)
    if key == "backoff_base":
        return decimal_number(text, key)
    return text


class ConfigFile:
    """config.json: read when it changes, checked, and replaced atomically.

    Calling it gives the Settings. Workers carry it along and call it before each claim.
    """

    def __init__(self, home: str) -> None:
        self.home = home
        self.path = os.path.join(home, "config.json")
        self.seen: Any = None
        self.settings: Optional[Settings] = None

    def __call__(self) -> Settings:
        """The settings as they are now. Raises HostError for a broken file."""
        try:
            info = os.stat(self.path)
            seen: Any = (info.st_mtime_ns, info.st_size, info.st_ino)
        except OSError:
            seen = ()
        if self.settings is None or seen != self.seen:
            self.settings = Settings(**dict(SETTING_DEFAULTS, **self.values()))
            self.seen = seen
        return self.settings

    def queue(self) -> Queue:
        """The queue that belongs to the settings as they are now."""
        return Queue(os.path.join(self.home, self().db_path))

    def values(self) -> Fields:
        """What the file sets, by key, checked."""
        found: Fields = {}
        for name, value in self.content().items():
            try:
                key = setting_key(name)
                if key in found:
                    raise BadInput("%s is set twice, once under another name" % key)
                found[key] = check_setting(key, value)
            except BadInput as error:
                raise HostError("%s: %s" % (printable(self.path), error)) from None
        return found

    def content(self) -> Fields:
        """The file's object as it stands, {} where there is no file."""
        try:
            text = read_whole(self.path).decode("utf-8-sig")
            value = json.loads(text, object_pairs_hook=unique_keys, parse_constant=refuse_constant)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise HostError("cannot read %s: %s" % (printable(self.path), error.strerror)) from None
        except UnicodeDecodeError as error:
            raise self.broken("not UTF-8 at byte %d" % error.start) from None
        except Unwanted as error:
            place = max(0, text.rfind(error.words))
            line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
            raise self.broken("line %d, column %d: %s" % (line, column, error)) from None
        except json.JSONDecodeError as error:
            raise self.broken("line %d, column %d: %s" % (error.lineno, error.colno, error.msg)) from None
        except (ValueError, RecursionError, BadInput) as error:
            raise self.broken(str(error)) from None
        if not isinstance(value, dict):
            raise self.broken("line 1, column 1: an object such as {} is expected")
        return value

    def broken(self, what: str) -> HostError:
        return HostError("%s: %s: correct it, or move it away" % (printable(self.path), what))

    def change(self, name: str, value: object, remove: bool) -> None:
        """Set or remove one key, whatever others change at the same time."""
        with told(self.path):
            make_home(self.home)
            fd = self.lock()
            try:
                content = self.content()
                key = ALIASES.get(name.replace("-", "_"), name.replace("-", "_"))
                for old in list(content):
                    if ALIASES.get(old.replace("-", "_"), old.replace("-", "_")) == key:
                        del content[old]
                if not remove:
                    content[key] = value
                self.remove_what_a_kill_left()
                self.replace(content)
            finally:
                os.close(fd)

    def lock(self) -> int:
        """Hold the right to replace the file (a lock on its directory; on Windows on a file)."""
        if sys.platform == "win32":
            fd = open_private(self.path + ".lock", os.O_RDWR | os.O_CREAT)
        else:
            fd = os.open(self.home, os.O_RDONLY)
        deadline = time.monotonic() + BUSY_SECONDS
        while not try_lock(fd):
            if time.monotonic() > deadline:
                os.close(fd)
                raise HostError("%s is locked by another queuectl: is one of them paused?" % self.path)
            time.sleep(0.01)
        return fd

    def replace(self, content: Fields) -> None:
        target = os.path.realpath(self.path)  # a symbolic link stays one
        partial = "%s.%d.partial" % (target, os.getpid())
        try:
            fd = open_private(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            replace(partial, target)
        except BaseException:
            with contextlib.suppress(OSError):  # the next call does; why the writing failed is what must be told
                remove(partial)
            raise
        sync_folder(self.home)

    def remove_what_a_kill_left(self) -> None:
        """Half-written files of calls that were killed; whoever holds the lock is the only one to write any."""
        for name in os.listdir(self.home):
            if re.match(r"config\.json\.\d+\.partial\Z", name):
                remove(os.path.join(self.home, name))


def make_home(home: str) -> None:
    """Make the home, private, where it is missing. Raises HostError."""
    with told(home):
        if not os.path.isdir(home):
            os.makedirs(home, PRIVATE_FOLDER, exist_ok=True)
            os.chmod(home, PRIVATE_FOLDER)  # a umask may have taken even the owner's bits


# ---------------------------------------------------------------- schema

APPLICATION_ID = 0x71756575  # "queu"

# Append only. {where:...} becomes WHERE ... where this SQLite has partial indexes (3.8);
# where it has none, {plain:...} stands instead, so that a plain index serves as well.
MIGRATIONS = [
    [
        """
        CREATE TABLE jobs (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            command TEXT NOT NULL,
            is_list INTEGER NOT NULL DEFAULT 0 CHECK (is_list IN (0, 1)),
            state TEXT NOT NULL DEFAULT 'pending'
                CHECK (state IN ('pending', 'processing', 'completed', 'failed', 'dead', 'cancelled')),
            attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
            max_retries INTEGER NOT NULL CHECK (max_retries >= 0),
            priority INTEGER NOT NULL DEFAULT 0,
            run_at TEXT,
            next_run_at TEXT,
            lane INTEGER CHECK (lane IN (0, 1)),
            timeout REAL CHECK (timeout > 0),
            cwd TEXT NOT NULL,
            env TEXT,
            umask INTEGER,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL,
            started_at TEXT,
            finished_at TEXT,
            exit_code INTEGER,
            last_error TEXT,
            worker TEXT,
            token TEXT,
            cancel_requested INTEGER NOT NULL DEFAULT 0,
            runs INTEGER NOT NULL DEFAULT 0,
            CHECK ((state = 'processing') = (token IS NOT NULL)),
            CHECK ((state IN ('pending', 'failed')) = (lane IS NOT NULL)),
            CHECK ((lane IS NULL) = (next_run_at IS NULL))
        )
        """,
        # lane 0 is due and in the order of claims; lane 1 waits for next_run_at. Apart,
        # so that a claim never walks over a hundred thousand future jobs.
        "CREATE INDEX jobs_due ON jobs ({plain:lane, }priority DESC, next_run_at, seq) {where:lane = 0}",
        "CREATE INDEX jobs_later ON jobs ({plain:lane, }next_run_at) {where:lane = 1}",
        # Nearly all rows are completed in the end: left out, they cost nothing here.
        "CREATE INDEX jobs_open ON jobs (state) {where:state <> 'completed'}",
        """
        CREATE TABLE attempts (
            id INTEGER PRIMARY KEY,
            job INTEGER NOT NULL,
            number INTEGER NOT NULL,
            outcome TEXT NOT NULL DEFAULT 'running',
            started_at TEXT NOT NULL,
            finished_at TEXT,
            exit_code INTEGER,
            signal TEXT,
            error TEXT,
            worker TEXT NOT NULL,
            token TEXT,
            leftovers TEXT,
            stdout_bytes INTEGER NOT NULL DEFAULT 0,
            stderr_bytes INTEGER NOT NULL DEFAULT 0,
            stdout BLOB,
            stderr BLOB,
            UNIQUE (job, number)
        )
        """,
        "CREATE TABLE counts (state TEXT PRIMARY KEY, jobs INTEGER NOT NULL)",
        "INSERT INTO counts SELECT 'pending', 0 UNION ALL SELECT 'processing', 0 UNION ALL SELECT 'completed', 0"
        " UNION ALL SELECT 'failed', 0 UNION ALL SELECT 'dead', 0 UNION ALL SELECT 'cancelled', 0",
        """
        CREATE TRIGGER jobs_added AFTER INSERT ON jobs BEGIN
            UPDATE counts SET jobs = jobs + 1 WHERE state = NEW.state;
        END
        """,
        """
        CREATE TRIGGER jobs_move BEFORE UPDATE OF state ON jobs
        WHEN NOT CASE OLD.state
            WHEN 'pending' THEN NEW.state IN ('processing', 'cancelled')
            WHEN 'processing' THEN NEW.state IN ('completed', 'failed', 'dead', 'cancelled', 'pending')
            WHEN 'failed' THEN NEW.state IN ('processing', 'cancelled')
            WHEN 'dead' THEN NEW.state = 'pending'
            WHEN 'cancelled' THEN NEW.state = 'pending'
            ELSE 0 END
        BEGIN
            SELECT RAISE(ABORT, 'no such move');
        END
        """,
        """
        CREATE TRIGGER jobs_moved AFTER UPDATE OF state ON jobs BEGIN
            UPDATE counts SET jobs = jobs - 1 WHERE state = OLD.state;
            UPDATE counts SET jobs = jobs + 1 WHERE state = NEW.state;
        END
        """,
        """
        CREATE TRIGGER jobs_deleted AFTER DELETE ON jobs BEGIN
            UPDATE counts SET jobs = jobs - 1 WHERE state = OLD.state;
            DELETE FROM attempts WHERE job = OLD.seq;
        END
        """,
    ],
    [
        "ALTER TABLE jobs ADD COLUMN unique_key TEXT",
        # With the state, so that however many have finished with a key, who holds it is found
        # at once. One term after WHERE: SQLite 3.8.0 to 3.8.8 cannot prove more.
        "CREATE INDEX jobs_keyed ON jobs (unique_key, state) {where:unique_key IS NOT NULL}",
        # A table of its own, for prune deletes the jobs. No trigger writes it, nor the counter
        # below: the two cost every claim and finish of every job a tenth.
        "CREATE TABLE successes (unique_key TEXT PRIMARY KEY, finished_at TEXT NOT NULL)",
        # How many deaths there were, and up to which of them `check` has told (in the row of
        # 'dead'): numbers, for clocks go back. jobs.death is the number of a job's own last.
        "ALTER TABLE counts ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE counts ADD COLUMN told INTEGER NOT NULL DEFAULT 0",
        "UPDATE counts SET deaths = jobs WHERE state = 'dead'",
        "ALTER TABLE jobs ADD COLUMN death INTEGER",
        "UPDATE jobs SET death = 1 WHERE state = 'dead' AND state <> 'completed'",
    ],
]

# ---------------------------------------------------------------- statements

OWN_COLUMNS = "id, command, is_list, max_retries, priority, unique_key"
SHARED_COLUMNS = "run_at, next_run_at, lane, timeout, cwd, env, umask, created_at, updated_at"
INSERT_COLUMNS = OWN_COLUMNS + ", " + SHARED_COLUMNS
OWN, SHARED = (names.count(",") + 1 for names in (OWN_COLUMNS, SHARED_COLUMNS))
KEY = OWN - 1  # where unique_key stands in a row
INSERT_JOB = "INSERT INTO jobs (%s) VALUES (%s)" % (INSERT_COLUMNS, ", ".join("?" * (OWN + SHARED)))

# Who holds a key: the one job with it that is not final. NOT NULL again, for the proof that the index serves.
HOLDS = "state IN ('pending', 'failed', 'processing')"
FIND_HOLDER = "SELECT id, state FROM jobs WHERE unique_key = ? AND unique_key IS NOT NULL AND %s LIMIT 1" % HOLDS

# Between reading input and holding the write lock stands a private table: a slow or
# wrong input then costs nobody else anything, and memory stays flat. It is filled by many rows at
# once that share most of their values, and has no index: these two were most of the cost of an enqueue.
CREATE_INCOMING = "CREATE TEMP TABLE incoming (%s, line INTEGER, made INTEGER, %s)" % (SHARED_COLUMNS, OWN_COLUMNS)


def insert_incoming(rows: int) -> str:
    """The statement for *rows* of the same SHARED_COLUMNS: these first, then what each has of its own."""
    shared = ["?%d" % (number + 1) for number in range(SHARED)]
    own = [["?%d" % (SHARED + row * (OWN + 2) + number + 1) for number in range(OWN + 2)] for row in range(rows)]
    return "INSERT INTO incoming VALUES " + ", ".join("(%s)" % ", ".join(shared + one) for one in own)


INSERT_INCOMING = insert_incoming(1)
INCOMING_AT_ONCE = 100  # with their values still below the 999 parameters that an old SQLite takes
INSERT_ALL = "INSERT INTO jobs (%s) SELECT %s FROM incoming WHERE id IS NOT NULL ORDER BY rowid" % (
    INSERT_COLUMNS,
    INSERT_COLUMNS,
)
COUNT_INCOMING = "SELECT count(*) FROM incoming WHERE id IS NOT NULL"
LIST_INCOMING = "SELECT id FROM incoming ORDER BY rowid"
FIND_TAKEN = "SELECT i.rowid, i.id, i.line, i.made FROM incoming i JOIN jobs j ON j.id = i.id ORDER BY i.made, i.rowid"
RENAME_INCOMING = "UPDATE incoming SET id = ? WHERE rowid = ?"
INDEX_INCOMING = "CREATE INDEX temp.incoming_id ON incoming (id)"  # once it is known that an id comes twice
FIND_TWICE = (
    "SELECT line, id FROM incoming i"
    " WHERE id IS NOT NULL AND EXISTS (SELECT 1 FROM incoming WHERE id = i.id AND rowid < i.rowid)"
    " ORDER BY i.rowid LIMIT 1"
)

# Counting one job after the other would be a good part of the time that a large batch holds the write lock.
COUNTED_AT_ONCE = 1000  # jobs, from which on their trigger is put aside: others have to read the schema anew
FIND_COUNTING = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'jobs_added'"
DROP_COUNTING = "DROP TRIGGER jobs_added"
COUNT_ADDED = "UPDATE counts SET jobs = jobs + ? WHERE state = 'pending'"

# The keys among them: the first row with a key leads, those behind it lose their id; so does
# the leader when a job of the queue holds the key. What has no id is not added.
CREATE_KEYS = (
    "CREATE TEMP TABLE incoming_keys (unique_key TEXT PRIMARY KEY, leader INTEGER NOT NULL, holder TEXT, state TEXT)"
)
INSERT_KEY = "INSERT OR IGNORE INTO incoming_keys (unique_key, leader) VALUES (?, ?)"
ANY_KEY = "SELECT 1 FROM incoming_keys LIMIT 1"
FIND_HOLDERS = (
    "INSERT OR REPLACE INTO incoming_keys SELECT k.unique_key, k.leader, j.id, j.state"
    " FROM incoming_keys k CROSS JOIN jobs j ON j.unique_key = k.unique_key"
    " WHERE j.unique_key IS NOT NULL AND j.%s" % HOLDS
)
DROP_HELD = (
    "UPDATE incoming SET id = NULL WHERE rowid IN (SELECT leader FROM incoming_keys WHERE holder IS NOT NULL)"
)
LIST_INCOMING_AND_HOLDERS = (
    "SELECT coalesce(k.holder, l.id, i.id) AS id, i.id IS NULL AS held, i.unique_key,"
    " coalesce(k.state, 'pending') AS state"
    " FROM incoming i"
    " LEFT JOIN incoming_keys k ON k.unique_key = i.unique_key"
    " LEFT JOIN incoming l ON l.rowid = k.leader"
    " ORDER BY i.rowid"
)

# Each index is named: after an ANALYZE, SQLite up to 3.25 would rather read or sort the whole table.
PROMOTE_DUE = "UPDATE jobs INDEXED BY jobs_later SET lane = 0 WHERE lane = 1 AND next_run_at <= ?"
# A failed job whose failure lies in the future: the clock went back, so it is due.
IN_THE_FUTURE = "WHERE lane = 1 AND next_run_at > '' AND state = 'failed' AND updated_at > ?"
ANY_FAILED_IN_THE_FUTURE = "SELECT 1 FROM jobs INDEXED BY jobs_later %s LIMIT 1" % IN_THE_FUTURE
PROMOTE_FAILED_IN_THE_FUTURE = "UPDATE jobs INDEXED BY jobs_later SET lane = 0 %s" % IN_THE_FUTURE

CLAIM_COLUMNS = "seq, id, command, is_list, attempts, max_retries, timeout, cwd, env, umask, runs, unique_key"
DUE_IN_ORDER = "FROM jobs INDEXED BY jobs_due WHERE lane = 0 ORDER BY priority DESC, next_run_at, seq"
FIND_DUE = "SELECT %s %s LIMIT ?" % (CLAIM_COLUMNS, DUE_IN_ORDER)
CLAIM_JOB = (
    "UPDATE jobs"
    " SET state = 'processing', lane = NULL, next_run_at = NULL, attempts = attempts + 1, runs = runs + 1,"
    " worker = ?, token = ?, started_at = ?, updated_at = ?, finished_at = NULL, exit_code = NULL"
    " WHERE seq = ? AND lane = 0"
)
INSERT_ATTEMPT = "INSERT INTO attempts (job, number, started_at, worker, token) VALUES (?, ?, ?, ?, ?)"
FIND_LEFTOVERS = "SELECT token FROM attempts WHERE job = ? AND leftovers IS NOT NULL AND token IS NOT NULL"

# The guard of every finishing write: the claim must still be its own.
OWN_CLAIM = " WHERE seq = ? AND token = ? AND state = 'processing'"
COMPLETE_JOB = (
    "UPDATE jobs SET state = 'completed', token = NULL, cancel_requested = 0, exit_code = 0, last_error = NULL,"
    " started_at = coalesce(?, started_at), finished_at = ?, updated_at = ?" + OWN_CLAIM
)
FAIL_JOB = (
    "UPDATE jobs SET state = ?, token = NULL, cancel_requested = 0, exit_code = ?, last_error = ?,"
    " started_at = coalesce(?, started_at), finished_at = ?, updated_at = ?, next_run_at = ?, lane = ?" + OWN_CLAIM
)
RELEASE_JOB = (
    "UPDATE jobs SET state = 'pending', token = NULL, worker = NULL, attempts = attempts - 1, runs = runs - ?,"
    " started_at = NULL, updated_at = ?, next_run_at = coalesce(run_at, created_at), lane = 0" + OWN_CLAIM
)
FINISH_ATTEMPT = (
    "UPDATE attempts SET outcome = ?, started_at = coalesce(?, started_at), finished_at = ?, exit_code = ?,"
    " signal = ?, error = ?, token = ?, leftovers = ?, stdout_bytes = ?, stderr_bytes = ?, stdout = ?, stderr = ?"
    " WHERE id = ? AND outcome = 'running'"
)
RECORD_SUCCESS = "INSERT OR REPLACE INTO successes VALUES (?, ?)"
COUNT_DEATH = "UPDATE counts SET deaths = deaths + 1 WHERE state = 'dead'"
NUMBER_DEATH = "UPDATE jobs SET death = (SELECT deaths FROM counts WHERE state = 'dead') WHERE seq = ?"
DELETE_ATTEMPT = "DELETE FROM attempts WHERE id = ? AND outcome = 'running'"
CANCEL_WAITING = (
    "UPDATE jobs SET state = 'cancelled', lane = NULL, next_run_at = NULL, finished_at = ?, updated_at = ?,"
    " last_error = 'cancelled before it ran'"
    " WHERE seq = ? AND state IN ('pending', 'failed')"
)
REQUEST_CANCEL = "UPDATE jobs SET cancel_requested = 1, updated_at = ? WHERE seq = ? AND state = 'processing'"
REQUEUE_JOB = (
    "UPDATE jobs SET state = 'pending', attempts = 0, next_run_at = ?, lane = 0, updated_at = ?, started_at = NULL,"
    " finished_at = NULL, exit_code = NULL, last_error = NULL, worker = NULL"
    " WHERE seq = ? AND state IN ('dead', 'cancelled')"
)
ADOPT_JOB = "UPDATE jobs SET worker = ?, updated_at = ?" + OWN_CLAIM + " AND worker = ?"

# "state <> 'completed'" again, in so many words: SQLite's proof that a partial index serves needs it.
PROCESSING = (
    "SELECT seq, id, token, worker, cancel_requested FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'processing' AND state <> 'completed'"
)
RUNNING_ATTEMPT = (
    "SELECT j.seq, j.id, j.command, j.is_list, j.attempts, j.max_retries, j.timeout, j.cwd, j.env, j.umask,"
    " j.unique_key, a.id AS attempt_id, a.number, a.started_at, j.token, j.worker, j.cancel_requested"
    " FROM jobs j JOIN attempts a ON a.job = j.seq AND a.number = j.runs"
    " WHERE j.seq = ? AND j.token = ? AND j.state = 'processing'"
)

JOB_COLUMNS = (
    "id, command, is_list, state, attempts, max_retries, priority, run_at, next_run_at, timeout, cwd, env, umask,"
    ' unique_key AS "unique", created_at, updated_at, started_at, finished_at, exit_code, last_error, worker'
)
LIST_JOBS = "SELECT seq, %s FROM jobs ORDER BY seq DESC LIMIT ?" % JOB_COLUMNS
LIST_COMPLETED = "SELECT seq, %s FROM jobs WHERE state = 'completed' ORDER BY seq DESC LIMIT ?" % JOB_COLUMNS
LIST_OPEN = (
    "SELECT seq, %s FROM jobs INDEXED BY jobs_open WHERE state = ? AND state <> 'completed'"
    " ORDER BY seq DESC LIMIT ?" % JOB_COLUMNS
)
GET_JOB = "SELECT seq, %s FROM jobs WHERE id = ?" % JOB_COLUMNS
GET_HEAD = "SELECT seq, id, state, token, worker, unique_key FROM jobs WHERE id = ?"
FIND_DEAD = "SELECT seq, id, unique_key FROM jobs WHERE state = 'dead' AND state <> 'completed' ORDER BY seq"
GET_ATTEMPTS = "SELECT * FROM attempts WHERE job = ? ORDER BY number"
COUNT_STATES = "SELECT state, jobs FROM counts"
OLDEST_WAITING = (
    "SELECT created_at, id, next_run_at FROM jobs INDEXED BY jobs_open"
    " WHERE state = ? AND state <> 'completed' ORDER BY seq LIMIT 1"
)
ANY_DUE = "SELECT 1 %s LIMIT 1" % DUE_IN_ORDER
NEXT_DUE = "SELECT next_run_at FROM jobs INDEXED BY jobs_later WHERE lane = 1 ORDER BY next_run_at LIMIT 1"
KNOWN_TOKENS = "SELECT token FROM attempts WHERE token IS NOT NULL"

COUNT_DUE = (
    "SELECT (SELECT count(*) FROM jobs WHERE lane = 0)"
    " + (SELECT count(*) FROM jobs WHERE lane = 1 AND next_run_at <= ?) AS due,"
    " (SELECT jobs FROM counts WHERE state = 'processing') AS running"
)
# Waiting since: what was given back keeps its old next_run_at, and has waited only since it was touched.
OVERDUE = (
    "SELECT id, max(next_run_at, updated_at) AS since FROM jobs"
    " WHERE lane = %d AND next_run_at < ? AND updated_at < ?"
    " ORDER BY since LIMIT 1"
)
OVERDUE_IN_LANE = (OVERDUE % 0, OVERDUE % 1)
LAST_SUCCESS = "SELECT finished_at FROM successes WHERE unique_key = ?"
UNTOLD_DEATHS = "SELECT deaths, told, deaths - told AS untold FROM counts WHERE state = 'dead'"
NEWEST_DEATHS = (
    "SELECT id, last_error, finished_at FROM jobs"
    " WHERE state = 'dead' AND state <> 'completed' AND death > ?"
    " ORDER BY death DESC, seq DESC LIMIT ?"
)
DEATHS_TOLD = "UPDATE counts SET told = ? WHERE state = 'dead'"


# ---------------------------------------------------------------- the queue


class Queue:
    """One database and the folder beside it. Every method opens its own connection.

    Times are passed in as seconds since 1970. Every method may raise HostError.
    """

    def __init__(self, db_path: str, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = check_text(os.path.realpath(db_path), "the path of the database")
        self.folder = self.path + ".d"
        self.workers_folder = os.path.join(self.folder, "workers")
        self.attempts_folder = os.path.join(self.folder, "attempts")
        self.bell_path = os.path.join(self.folder, "bell")
        self.log_path = os.path.join(self.folder, "worker.log")
        self.busy_seconds = busy_seconds
        self.place_is_safe = False  # until it has been looked at

    def life_path(self, name: str) -> str:
        return os.path.join(self.workers_folder, name + ".life")

    def request_path(self, supervisor: str, request: str) -> str:
        """The file that asks *supervisor* to "stop", to stop "now", or to "leave" jobs running."""
        return os.path.join(self.workers_folder, supervisor + "." + request)

    def attempt_path(self, token: str, kind: str) -> str:
        """Where an attempt keeps its lock and status ("run") or output ("out", "err")."""
        return "%s%s%s.%s" % (self.attempts_folder, os.sep, token, kind)

    # -------------------------------------------------------- creating and opening

    def create(self) -> bool:
        """Create the database and its folder where they are missing; True if it was new."""
        self.refuse_unsafe_place()
        with told(self.path):
            with contextlib.suppress(FileNotFoundError):
                self._refuse_no_file(os.stat(self.path))
            self._make_folders()
            with self._gate():
                new = not os.path.exists(self.path) or not os.path.getsize(self.path)
                if new:
                    self._create_file()
                return new

    def refuse_unsafe_place(self) -> None:
        """Raise HostError where the database lies on a network file system."""
        if self.place_is_safe:
            return
        kind = network_file_system(self.path)
        self.place_is_safe = not kind
        if kind:
            raise HostError(
                "%s is on a network file system (%s), where locks and WAL are not safe:"
                " config set db_path to a local disk" % (printable(self.path), kind)
            )

    def refuse_untrusted(self, home: str, config: str) -> None:
        """Raise HostError where another user could make a worker of this queue run something."""
        files = [self.path + ending for ending in ("", "-wal", "-shm")]
        refuse_untrusted(os.path.dirname(self.path), [home, config, self.folder] + files)

    def _make_folders(self) -> None:
        for folder in (self.folder, self.workers_folder, self.attempts_folder):
            try:
                os.mkdir(folder, PRIVATE_FOLDER)
                if sys.platform != "win32":
                    os.chmod(folder, PRIVATE_FOLDER)  # a umask may have taken even the owner's bits
                    sync_folder(os.path.dirname(folder))
            except FileExistsError:
                if not os.path.isdir(folder):
                    raise
        if sys.platform != "win32" and not os.path.exists(self.bell_path):
            with contextlib.suppress(OSError):
                os.mkfifo(self.bell_path, PRIVATE_FILE)

    def _create_file(self) -> None:
        """Make the database under another name: nobody ever sees it half done."""
        partial = self.path + ".partial"
        for ending in ("", "-wal", "-shm", "-journal"):
            remove(partial + ending)
        fd = open_private(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        if sys.platform != "win32":
            os.fchmod(fd, PRIVATE_FILE)
        os.close(fd)
        with contextlib.closing(self._connect(partial)) as connection:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._migrate(connection)
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":  # SQLite refuses this without an error
            raise HostError(
                "%s cannot be created: the disk is full, or its file system is not one for SQLite's WAL"
                % printable(self.path)
            )
        self._put_aside_what_is_of_another()
        os.replace(partial, self.path)
        sync_folder(os.path.dirname(self.path))

    def _put_aside_what_is_of_another(self) -> None:
        """The log of a database that was deleted or moved away: SQLite would replay it into the new one."""
        for ending in ("-wal", "-journal"):
            orphan = self.path + ending
            if os.path.lexists(orphan) and os.path.getsize(orphan):  # it may hold the only copy of jobs
                number = 1
                while os.path.lexists("%s.orphan%d" % (orphan, number)):
                    number += 1
                replace(orphan, "%s.orphan%d" % (orphan, number))
            remove(orphan)
        remove(self.path + "-shm")

    def _connect(self, path: Optional[str] = None, options: str = "mode=rw") -> sqlite3.Connection:
        """The one place that opens a connection."""
        name = path or self.path
        if sys.platform == "win32":
            name = name.replace("\\", "/")
        for char, code in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
            name = name.replace(char, code)
        uri = "file:%s%s?%s" % ("/" if sys.platform == "win32" else "", name, options)
        connection = sqlite3.connect(uri, timeout=self.busy_seconds, isolation_level=None, uri=True)
        with closed_on_error(connection):
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            if sys.platform == "darwin":
                connection.execute("PRAGMA fullfsync = 1")
                connection.execute("PRAGMA checkpoint_fullfsync = 1")
            if not HAS_TRUNCATE:
                connection.execute("PRAGMA journal_size_limit = %d" % (CHECKPOINT_BYTES // 2)).fetchall()
        return connection

    def _open(self, options: str = "mode=rw", gated: bool = False) -> sqlite3.Connection:
        """A connection to the queue as this version knows it. Raises NoDatabase.

        *gated* says that the caller holds the gate, behind which an older format is upgraded.
        """
        try:
            info = os.stat(self.path)
        except FileNotFoundError:
            raise NoDatabase("%s does not exist: `queuectl.py initdb` creates it" % self.path) from None
        self._refuse_no_file(info)
        if info.st_nlink > 1:
            raise HostError("%s has a second name (hard link), which SQLite cannot keep safe: remove it" % self.path)
        if not info.st_size:
            raise NoDatabase("%s is empty: `queuectl.py initdb` fills it" % self.path)
        connection = self._connect(options=options)
        with closed_on_error(connection):
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise HostError("%s is a database of another program: choose another db_path" % self.path)
            if self._version(connection) < len(MIGRATIONS):
                with contextlib.nullcontext() if gated else self._gate():
                    self._migrate(connection)
        return connection

    def _refuse_no_file(self, info: os.stat_result) -> None:
        if not stat.S_ISREG(info.st_mode):
            what = "a directory" if stat.S_ISDIR(info.st_mode) else "a device or pipe"
            raise HostError("%s is %s, not a database: choose another db_path" % (self.path, what))

    def _version(self, connection: sqlite3.Connection) -> int:
        """The format of the database. Raises HostError for one that this program does not know."""
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise HostError(
                "%s was written by a newer queuectl (format %d, this one knows %d): use that one"
                % (self.path, version, len(MIGRATIONS))
            )
        return version

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring the schema to the newest version; a step and its number commit together."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = self._version(connection)  # again: another may have been first
            if 0 < version < len(MIGRATIONS):
                self._back_up(version)
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    connection.execute(fitting(statement))
            connection.execute("PRAGMA application_id = %d" % APPLICATION_ID)
            connection.execute("PRAGMA user_version = %d" % len(MIGRATIONS))
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise

    def _back_up(self, version: int) -> None:
        """Copy the database beside itself before its format changes.

        Called with the write lock held, so only one does it; read through a connection
        of its own, which sees the old format.
        """
        path = "%s.v%d.backup" % (self.path, version)
        partial = path + ".partial"
        remove(partial)
        os.close(open_private(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        with contextlib.closing(self._connect()) as source, contextlib.closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
        os.replace(partial, path)

    @contextlib.contextmanager
    def _gate(self, name: str = "gate") -> Iterator[None]:
        """Hold the write gate (or another). Waits its turn for busy_seconds, then raises HostError."""
        path = os.path.join(self.folder, name)
        try:
            fd = open_private(path, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            self._make_folders()
            fd = open_private(path, os.O_RDWR | os.O_CREAT)
        try:
            if not wait_for_lock(fd, self.busy_seconds):
                raise HostError(
                    "%s has been locked by another queuectl for %d seconds: is one of them paused?"
                    % (self.path, self.busy_seconds)
                )
            with not_paused():
                yield
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with told(self.path):
            connection = self._open_for_reading()
            try:
                yield connection
            finally:
                connection.close()

    def _open_for_reading(self) -> sqlite3.Connection:
        """The same as _open; also where nothing can be written, if all is in the database itself.

        In WAL mode even a reader makes files beside it, unless told that nothing changes
        (https://www.sqlite.org/wal.html#read_only_databases).
        """
        try:
            return self._open()
        except sqlite3.OperationalError:
            if os.access(self.path, os.W_OK) and os.access(os.path.dirname(self.path), os.W_OK):
                raise
            if os.path.exists(self.path + "-wal") and os.path.getsize(self.path + "-wal"):
                raise
            return self._open("mode=ro&immutable=1")

    @contextlib.contextmanager
    def _writing(self, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """One write transaction: all of it is on the disk afterwards, or none of it.

        Not *synced* it survives every kill, but power loss only once a later one is synced.
        """
        with told(self.path):
            if not os.path.isdir(self.folder) and not os.path.exists(self.path):
                raise NoDatabase("%s does not exist: `queuectl.py initdb` creates it" % self.path)
            self.refuse_unsafe_place()
            with self._gate():
                connection = self._open(gated=True)
                try:
                    if not synced:
                        connection.execute("PRAGMA synchronous = NORMAL")
                    connection.execute("BEGIN IMMEDIATE")
                    try:
                        yield connection
                        failpoint("write.before-commit")
                        connection.execute("COMMIT")
                        failpoint("write.committed")
                    except BaseException:
                        roll_back(connection)
                        raise
                    self._checkpoint(connection, CHECKPOINT_BYTES)
                finally:
                    connection.close()

    def _checkpoint(self, connection: sqlite3.Connection, more_than_bytes: int) -> None:
        """Write a large WAL back. Behind the gate only, where it cannot race a commit."""
        try:
            if os.stat(self.path + "-wal").st_size <= more_than_bytes:
                return
            connection.execute("PRAGMA busy_timeout = 0")  # a reader is not waited for: next time
            mode = "TRUNCATE" if HAS_TRUNCATE else "RESTART"
            connection.execute("PRAGMA wal_checkpoint(%s)" % mode).fetchall()
        except (OSError, sqlite3.OperationalError):
            pass  # the commit stands; the WAL is only larger than it need be

    def keeper(self) -> sqlite3.Connection:
        """An idle connection. While one is open, no operation deletes and re-makes the WAL."""
        with told(self.path):
            connection = self._open()
            with closed_on_error(connection):
                connection.execute("SELECT count(*) FROM counts").fetchall()
            return connection

    # -------------------------------------------------------- enqueue

    def enqueue(self, row: Sequence[Any]) -> str:
        """Add one job (a JobMaker row) and return its id once it is safe on the disk.

        While another job with its key waits or runs nothing is added, and that Holder is
        returned. Raises QueueError when a given id exists; a made one is then made anew.
        """
        self._ready()
        while True:
            try:
                with self._writing() as connection:
                    holder = find_holder(connection, row[KEY])
                    if holder is not None:
                        return holder
                    connection.execute(INSERT_JOB, row)
                break
            except sqlite3.IntegrityError:
                if not isinstance(row[0], MadeId):
                    raise QueueError("job %s exists already: nothing was added" % row[0]) from None
                row = (make_id(time.time()),) + tuple(row[1:])
        self.ring()
        return str(row[0])

    def enqueue_all(self, rows: Iterable[Tuple[object, Sequence[Any]]]) -> List[str]:
        """The same as enqueue_each, with the ids as a list."""
        return list(self.enqueue_each(rows))

    def enqueue_each(self, rows: Iterable[Tuple[object, Sequence[Any]]]) -> Iterator[str]:
        """Add many jobs, all or none. *rows* are (line number or "LINE, job N", JobMaker row).

        Gives the ids in order, the first one when all are safe on the disk; a Holder where
        a job of the queue or an earlier one of these has the key. No number of jobs needs
        more memory. Raises QueueError when a given id exists or comes twice.
        """
        self._ready()
        with told(self.path), contextlib.closing(self._open()) as connection:
            connection.execute(CREATE_INCOMING)
            connection.execute(CREATE_KEYS)
            self._take_in(connection, rows)
            keyed = connection.execute(ANY_KEY).fetchone() is not None
            try:
                with self._gate():
                    self._insert_all(connection, keyed)
                    self._checkpoint(connection, CHECKPOINT_BYTES)
            except sqlite3.IntegrityError:
                self._refuse_twice(connection)  # which nobody need wait for
                raise
            self.ring()
            if keyed:
                for row in connection.execute(LIST_INCOMING_AND_HOLDERS):
                    yield Holder.of(row["id"], row["unique_key"], row["state"]) if row["held"] else row["id"]
            else:
                for row in connection.execute(LIST_INCOMING):
                    yield row[0]

    def _ready(self) -> None:
        """See that the database exists, where one may: the first enqueue creates it."""
        self.refuse_unsafe_place()
        if not os.path.exists(self.path) or not os.path.getsize(self.path):
            self.create()

    @staticmethod
    def _take_in(connection: sqlite3.Connection, rows: Iterable[Tuple[object, Sequence[Any]]]) -> None:
        """Fill the private table: row N of *rows* gets the rowid N."""
        many = ""
        connection.execute("BEGIN")
        shared: Tuple[Any, ...] = ()
        own: List[Any] = []  # of rows that share the rest, one after the other
        for number, (line, row) in enumerate(rows, 1):
            row = tuple(row)
            key = row[KEY]
            if key is not None and not connection.execute(INSERT_KEY, (key, number)).rowcount:
                row = (None,) + row[1:]  # an earlier one has the key
            if row[OWN:] != shared:
                insert_few(connection, shared, own)
                shared, own = row[OWN:], []
            own += (line, isinstance(row[0], MadeId)) + row[:OWN]
            if len(own) == INCOMING_AT_ONCE * (OWN + 2):
                many = many or insert_incoming(INCOMING_AT_ONCE)
                connection.execute(many, shared + tuple(own))
                own = []
        insert_few(connection, shared, own)
        connection.execute("COMMIT")

    def _insert_all(self, connection: sqlite3.Connection, keyed: bool) -> None:
        """Move everything from the private table into the queue, but those whose key is held.

        Raises QueueError for a given id that exists, IntegrityError where one comes twice.
        """
        connection.execute("BEGIN IMMEDIATE")
        try:
            if keyed:
                connection.execute(FIND_HOLDERS)
                connection.execute(DROP_HELD)
            with counted_at_once(connection):
                while not self._insert_incoming(connection):
                    pass  # those that were taken have other ids now
            failpoint("enqueue.before-commit")
            connection.execute("COMMIT")
            failpoint("enqueue.committed")
        except BaseException:
            roll_back(connection)
            raise

    def _insert_incoming(self, connection: sqlite3.Connection) -> bool:
        """False, and nothing inserted, when a made id exists: it is made anew."""
        try:
            connection.execute(INSERT_ALL)
        except sqlite3.IntegrityError:
            if not self._rename_taken(connection):
                raise
            return False
        return True

    @staticmethod
    def _rename_taken(connection: sqlite3.Connection) -> bool:
        """Make other ids for those that another enqueue has made too; a given one is refused. False for none."""
        taken = connection.execute(FIND_TAKEN).fetchall()
        for found in taken:
            if not found["made"]:
                raise QueueError("line %s: job %s exists already: nothing was added" % (found["line"], found["id"]))
            connection.execute(RENAME_INCOMING, (make_id(time.time()), found["rowid"]))
        return bool(taken)

    @staticmethod
    def _refuse_twice(connection: sqlite3.Connection) -> None:
        """Raise QueueError for the first id in the private table that stood in it before."""
        connection.execute(INDEX_INCOMING)
        found = connection.execute(FIND_TWICE).fetchone()
        if found:
            raise QueueError("line %s: id %s comes twice: nothing was added" % (found["line"], found["id"])) from None

    def ring(self) -> None:
        """Wake a sleeping worker. A hint: the worker's polling is the truth."""
        if sys.platform == "win32":
            return
        with contextlib.suppress(OSError):
            fd = os.open(self.bell_path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            try:
                if stat.S_ISFIFO(os.fstat(fd).st_mode):
                    os.write(fd, b"\n")
            finally:
                os.close(fd)

    # -------------------------------------------------------- claim and finish

    def exchange(
        self, worker: str, outcomes: Sequence[Outcome], want: int, now: float, settings: Settings
    ) -> Tuple[List[Outcome], List[Claim], bool]:
        """Record *outcomes* and claim up to *want* due jobs, in one transaction.

        Returns the outcomes that were refused because their claim was lost, the new
        claims, and whether more due jobs are left for others.
        """
        with self._writing(synced=settings.durability == "full") as connection:
            refused = [o for o in outcomes if not self._settle(connection, o, settings)]
            claims, more = self._claim(connection, worker, want, now) if want else ([], False)
            failpoint("exchange.before-commit")
        failpoint("exchange.committed")
        return refused, claims, more

    def _claim(
        self, connection: sqlite3.Connection, worker: str, want: int, now: float
    ) -> Tuple[List[Claim], bool]:
        now_text = utc_text(now)
        connection.execute(PROMOTE_DUE, (now_text,))
        due = connection.execute(FIND_DUE, (want + 1,)).fetchall()
        return [self._claim_one(connection, worker, row, now_text) for row in due[:want]], len(due) > want

    @staticmethod
    def _claim_one(connection: sqlite3.Connection, worker: str, row: sqlite3.Row, now_text: str) -> Claim:
        token = os.urandom(8).hex()
        number = row["runs"] + 1
        connection.execute(CLAIM_JOB, (worker, token, now_text, now_text, row["seq"]))
        attempt = connection.execute(INSERT_ATTEMPT, (row["seq"], number, now_text, worker, token)).lastrowid
        fields = dict(row)
        fields["attempts"] += 1  # counted before it starts: what kills its worker ends up dead
        claim = Claim(fields, token, attempt or 0, number)
        claim.unique_key = row["unique_key"]
        if number > 1:
            claim.leftovers = [left["token"] for left in connection.execute(FIND_LEFTOVERS, (row["seq"],))]
        return claim

    @staticmethod
    def _settle(connection: sqlite3.Connection, outcome: Outcome, settings: Settings) -> bool:
        """Finish one attempt and move its job on; False when the claim is not its own any more."""
        claim = outcome.claim
        end = utc_text(outcome.finished)
        start = None if outcome.started is None else utc_text(outcome.started)
        if outcome.kind == "given back" and cancel_wanted(connection, claim):
            outcome.kind, outcome.error = "cancelled", "cancelled while it was given back"
        if not move_on(connection, outcome, settings, start, end):
            return False
        if outcome.unstarted:
            connection.execute(DELETE_ATTEMPT, (claim.attempt_id,))
            return True
        connection.execute(
            FINISH_ATTEMPT,
            (
                outcome.kind,
                start,
                end,
                outcome.exit_code,
                outcome.signal,
                outcome.error,
                claim.token if outcome.keeps_files() else None,
                outcome.leftovers,
                outcome.stdout_bytes,
                outcome.stderr_bytes,
                outcome.stdout,
                outcome.stderr,
                claim.attempt_id,
            ),
        )
        return True

    # -------------------------------------------------------- recovery

    def processing(self) -> List[Fields]:
        """Every job under way: seq, id, token, worker, cancel_requested."""
        with self._reading() as connection:
            return [dict(row) for row in connection.execute(PROCESSING)]

    def look(self, now: float) -> Tuple[List[Fields], Optional[float]]:
        """What a worker asks again and again: every job under way, and when the next one falls due."""
        with self._reading() as connection:
            return [dict(row) for row in connection.execute(PROCESSING)], next_due(connection, now)

    def fingerprint(self) -> Optional[Tuple[float, Tuple[int, ...]]]:
        """When the database's files last changed (seconds since 1970), and what differs after each commit.

        None where that is no evidence: a file is missing, or Windows, which tells the
        times of an open file late.
        """
        if sys.platform == "win32":
            return None
        try:
            main, wal = os.stat(self.path), os.stat(self.path + "-wal")
        except OSError:
            return None
        changed = max(main.st_mtime, wal.st_mtime)
        return changed, (main.st_mtime_ns, main.st_size, main.st_ino, wal.st_mtime_ns, wal.st_size, wal.st_ino)

    def running_attempt(self, seq: int, token: str) -> Optional[Tuple[Claim, float]]:
        """The claim *token* on job *seq* and when it started, if it still stands."""
        with self._reading() as connection:
            row = connection.execute(RUNNING_ATTEMPT, (seq, token)).fetchone()
        if not row:
            return None
        claim = Claim(row, row["token"], row["attempt_id"], row["number"])
        claim.unique_key = row["unique_key"]
        return claim, utc_seconds(row["started_at"])

    def adopt(self, claim: Claim, dead_worker: str, worker: str, now: float) -> bool:
        """Take over a claim from a worker that is proved dead; False if someone else was first."""
        with self._writing() as connection:
            moved = connection.execute(ADOPT_JOB, (worker, utc_text(now), claim.seq, claim.token, dead_worker))
            return moved.rowcount == 1

    def forgive_clock(self, now: float) -> None:
        """After the wall clock went back: retries that would wait for it are due.

        A second is left for the failures of others between the caller's look at the clock and here.
        """
        future = (utc_text(now + 1.0),)
        with self._reading() as connection:
            if not connection.execute(ANY_FAILED_IN_THE_FUTURE, future).fetchone():
                return
        with self._writing() as connection:
            connection.execute(PROMOTE_FAILED_IN_THE_FUTURE, future)

    def known_tokens(self) -> List[str]:
        """Tokens whose files in the attempts folder still mean something."""
        with self._reading() as connection:
            return [row["token"] for row in connection.execute(KNOWN_TOKENS)]

    # -------------------------------------------------------- cancel, requeue, prune

    def cancel(self, ids: Sequence[str], now: float) -> List[Tuple[str, Optional[str]]]:
        """Cancel waiting jobs and ask the workers of running ones to end them; all or none.

        Returns (id, token) per job: the token of the running attempt, None if none ran.
        Raises QueueError when one does not exist or is finished.
        """
        with no_job_without_database(ids), self._writing() as connection:
            heads = [self._head(connection, identifier) for identifier in ids]
            for identifier, head in zip(ids, heads):
                if head["state"] in FINAL:
                    raise QueueError("job %s is %s already: nothing was cancelled" % (identifier, head["state"]))
            for head in heads:
                if head["state"] == "processing":
                    connection.execute(REQUEST_CANCEL, (utc_text(now), head["seq"]))
                else:
                    connection.execute(CANCEL_WAITING, (utc_text(now), utc_text(now), head["seq"]))
        return [(identifier, head["token"]) for identifier, head in zip(ids, heads)]

    def await_cancel(
        self, asked: Sequence[Tuple[str, Optional[str]]], seconds: float
    ) -> Tuple[List[str], List[str]]:
        """Wait up to *seconds* for the end of what :meth:`cancel` returned, while a worker lives to end it.

        Returns the ids of jobs that still run, and words on each that ended another way first.
        """
        late, missed = [], []
        deadline = time.monotonic() + seconds
        for identifier, token in asked:
            while token and self.running_token(identifier) == token:
                if time.monotonic() > deadline or not self.has_worker_soon():
                    late.append(identifier)
                    break
                time.sleep(0.05)
        for identifier, token in asked:
            if not token or identifier in late:
                continue  # cancelled already, or not yet
            state = self.states_of([identifier])[0]
            if state != "cancelled":
                missed.append("%s was %s" % (identifier, state))
        return late, missed

    def requeue(self, ids: Sequence[str], states: Sequence[str], now: float) -> None:
        """Move jobs in one of *states* back to pending with attempts 0; all or none.

        Raises QueueError when one does not exist, is in another state, or has a key that
        a waiting or running job holds.
        """
        with no_job_without_database(ids), self._writing() as connection:
            heads = [self._head(connection, identifier) for identifier in ids]
            for identifier, head in zip(ids, heads):
                if head["state"] not in states:
                    raise QueueError(
                        "job %s is %s, not %s: nothing was requeued" % (identifier, head["state"], " or ".join(states))
                    )
            for head in heads:
                holder = self._requeue_one(connection, head, now)
                if holder is not None:
                    raise key_is_held(head["id"], holder, holder in ids)
        self.ring()

    def requeue_dead(self, now: float, left: Optional[List[str]] = None) -> int:
        """Move every dead job back to pending; returns how many.

        Those whose key is held stay, and their ids are put into *left*.
        """
        found, stay = [], []
        with contextlib.suppress(NoDatabase), self._writing() as connection:
            found = connection.execute(FIND_DEAD).fetchall()
            stay = [head["id"] for head in found if self._requeue_one(connection, head, now) is not None]
        if left is not None:
            left += stay
        self.ring()
        return len(found) - len(stay)

    @staticmethod
    def _requeue_one(connection: sqlite3.Connection, head: sqlite3.Row, now: float) -> Optional[Holder]:
        """Move one job back to pending, unless another holds its key: that one is returned."""
        holder = find_holder(connection, head["unique_key"])
        if holder is None:
            connection.execute(REQUEUE_JOB, (utc_text(now), utc_text(now), head["seq"]))
        return holder

    @staticmethod
    def _head(connection: sqlite3.Connection, identifier: str) -> sqlite3.Row:
        head: Optional[sqlite3.Row] = connection.execute(GET_HEAD, (identifier,)).fetchone()
        if head is None:
            raise no_such_job(identifier)
        return head

    def prune(self, states: Sequence[str], before: float, progress: Callable[[int], None]) -> int:
        """Delete jobs in final *states* that finished before *before*, with their output.

        In small transactions, so that no claim waits; calls *progress* with the sum so
        far. Gives the space back to the file system. Returns how many were deleted.
        """
        deleted = 0
        with contextlib.suppress(NoDatabase):
            for state in states:
                last_seq = 0
                while True:
                    count, last_seq = self._prune_some(state, utc_text(before), last_seq)
                    deleted += count
                    progress(deleted)
                    if last_seq < 0:
                        break
                    time.sleep(YIELD_SECONDS)
            self._give_space_back()
        return deleted

    def _prune_some(self, state: str, before: str, after_seq: int) -> Tuple[int, int]:
        """Delete one batch; how many, and the seq to go on from (-1: none left)."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT seq FROM jobs WHERE state = ? AND finished_at < ? AND seq > ? ORDER BY seq LIMIT ?",
                (state, before, after_seq, PRUNE_ROWS),
            ).fetchall()
        if not rows:
            return 0, -1
        tokens: List[str] = []
        deleted = 0
        with self._writing() as connection:
            for row in rows:
                kept = connection.execute(
                    "SELECT token FROM attempts WHERE job = ? AND token IS NOT NULL", (row["seq"],)
                ).fetchall()
                gone = connection.execute("DELETE FROM jobs WHERE seq = ? AND state = ?", (row["seq"], state)).rowcount
                deleted += gone
                tokens += [token["token"] for token in kept if gone]
        for token in tokens:
            self.remove_attempt_files(token)
        return deleted, rows[-1]["seq"]

    def _give_space_back(self) -> None:
        left, before = 1, 0
        while left and left != before:  # it stays where auto_vacuum was turned off
            before = left
            with self._writing() as connection:
                for _ in range(VACUUM_PAGES):  # sqlite3 steps this pragma once: a page, whatever N says
                    connection.execute("PRAGMA incremental_vacuum(1)")
                left = connection.execute("PRAGMA freelist_count").fetchone()[0]
            time.sleep(YIELD_SECONDS)
        with told(self.path), self._gate(), contextlib.closing(self._open(gated=True)) as connection:
            self._checkpoint(connection, 0)

    def remove_attempt_files(self, token: str) -> None:
        """Delete what an attempt left in the attempts folder, except a lock that is still held."""
        for kind in ("out", "err"):
            remove(self.attempt_path(token, kind))
        if not self.attempt_is_held(token):
            remove(self.attempt_path(token, "run"))

    # -------------------------------------------------------- looking

    def counts(self) -> Dict[str, int]:
        """How many jobs are in each state, zeros too; all zero where no database exists yet."""
        found = dict.fromkeys(STATES, 0)
        with contextlib.suppress(NoDatabase), self._reading() as connection:
            found.update((row["state"], row["jobs"]) for row in connection.execute(COUNT_STATES))
        return found

    def counts_of(self, ids: Sequence[str]) -> Dict[str, int]:
        """How many of these jobs are in each state, zeros too. Raises QueueError for one that does not exist."""
        states = self.states_of(ids)
        return {state: states.count(state) for state in STATES}

    def counts_of_others(self) -> Dict[str, int]:
        """How many jobs are in each state, less the one that asks."""
        counts = self.counts()
        if counts["processing"] and self.is_asked_by_its_job():
            counts["processing"] -= 1
        return counts

    def is_asked_by_its_job(self) -> bool:
        """True when a job of this very queue calls, not what an attempt that has ended left running."""
        identifier, token = os.environ.get("QUEUECTL_JOB_ID"), os.environ.get("QUEUECTL_TOKEN")
        if not identifier or not token:
            return False
        try:
            return self.running_token(check_id(identifier)) == token
        except (NoDatabase, BadInput):
            return False
        except HostError:
            return True  # it cannot be told now: rather leave too early than wait for oneself
        except QueueError:
            return False

    def overview(self) -> Tuple[Dict[str, int], Optional[Tuple[str, str, str]]]:
        """Counts per state; when the oldest waiting job was created, its id, and when it is due."""
        counts = dict.fromkeys(STATES, 0)
        oldest: List[Tuple[str, str, str]] = []
        with contextlib.suppress(NoDatabase), self._reading() as connection:
            counts.update((row["state"], row["jobs"]) for row in connection.execute(COUNT_STATES))
            for state in WAITING:
                found = connection.execute(OLDEST_WAITING, (state,))
                oldest += [(row["created_at"], row["id"], row["next_run_at"]) for row in found]
        return counts, min(oldest) if oldest else None

    def due_work(self, now: float, before: float) -> Tuple[int, int, Optional[Tuple[str, str]]]:
        """How many jobs are due, how many are under way; which has been due longest, since before *before*."""
        limit = utc_text(max(FIRST_TIME, before))
        waiting: List[Tuple[str, str]] = []
        try:
            with self._reading() as connection:
                counts = connection.execute(COUNT_DUE, (utc_text(now),)).fetchone()
                for statement in OVERDUE_IN_LANE:
                    waiting += [(row["since"], row["id"]) for row in connection.execute(statement, (limit, limit))]
        except NoDatabase:
            return 0, 0, None
        return counts["due"], counts["running"], min(waiting) if waiting else None

    def last_success(self, key: str) -> Optional[str]:
        """When a job with *key* last completed, also one that was pruned since."""
        row = None
        with contextlib.suppress(NoDatabase), self._reading() as connection:
            row = connection.execute(LAST_SUCCESS, (key,)).fetchone()
        return row["finished_at"] if row else None

    @contextlib.contextmanager
    def untold_deaths(self, newest: int) -> Iterator[Tuple[int, List[Fields]]]:
        """How many jobs died since the last time, and the *newest* that are still dead.

        They count as told when the block ends without an error. Each is told once: where
        there are any, only one process at a time is in the block.
        """
        if not self._untold_deaths(0)[1]:
            yield 0, []
            return
        with contextlib.ExitStack() as held:
            with told(self.path):  # not around the block: its errors are its own
                held.enter_context(self._gate("check"))
            deaths, untold, jobs = self._untold_deaths(newest)
            yield untold, jobs
            if untold:
                with self._writing() as connection:
                    connection.execute(DEATHS_TOLD, (deaths,))

    def _untold_deaths(self, newest: int) -> Tuple[int, int, List[Fields]]:
        """Deaths ever, those nobody was told of, and the newest jobs of these."""
        try:
            with self._reading() as connection:
                row = connection.execute(UNTOLD_DEATHS).fetchone()
                jobs = connection.execute(NEWEST_DEATHS, (row["told"], newest if row["untold"] else 0)).fetchall()
        except NoDatabase:
            return 0, 0, []
        return row["deaths"], row["untold"], [dict(job) for job in jobs]

    def next_due(self, now: float) -> Optional[float]:
        """When the next waiting job falls due (*now* where one is due); None where none waits."""
        with self._reading() as connection:
            return next_due(connection, now)

    def jobs(self, states: Sequence[str], limit: int) -> Tuple[List[Fields], bool]:
        """The newest *limit* jobs (in *states*, or all), newest last, and whether there are more."""
        rows: List[sqlite3.Row] = []
        with contextlib.suppress(NoDatabase), self._reading() as connection:
            if not states:
                rows = connection.execute(LIST_JOBS, (limit + 1,)).fetchall()
            for state in states:
                statement, values = (LIST_OPEN, (state, limit + 1))  # type: Tuple[str, Tuple[Any, ...]]
                if state == "completed":
                    statement, values = (LIST_COMPLETED, (limit + 1,))
                rows += connection.execute(statement, values).fetchall()
        rows.sort(key=lambda row: int(row["seq"]), reverse=True)
        return [job_fields(row) for row in reversed(rows[:limit])], len(rows) > limit

    def job(self, identifier: str) -> Fields:
        """One job in full, with its attempts under "history". Raises QueueError if there is none."""
        try:
            with self._reading() as connection:
                row = connection.execute(GET_JOB, (identifier,)).fetchone()
                if row is None:
                    raise no_such_job(identifier)
                attempts = connection.execute(GET_ATTEMPTS, (row["seq"],)).fetchall()
        except NoDatabase:
            raise no_such_job(identifier) from None
        return dict(job_fields(row), history=[dict(attempt) for attempt in attempts])

    def states_of(self, ids: Sequence[str]) -> List[str]:
        """The state of each job. Raises QueueError for one that does not exist."""
        try:
            with self._reading() as connection:
                return [self._head(connection, identifier)["state"] for identifier in ids]
        except NoDatabase:
            raise no_such_job(ids[0]) from None

    def running_token(self, identifier: str) -> Optional[str]:
        """The token of the claim that holds a job now, or None."""
        with self._reading() as connection:
            token: Optional[str] = self._head(connection, identifier)["token"]
            return token

    def damage(self, seconds: float) -> Optional[str]:
        """What SQLite's quick check complains of, "" if nothing, None if it takes longer than *seconds*."""
        with self._reading() as connection:
            deadline = time.monotonic() + seconds
            connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 100000)
            try:
                found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            except sqlite3.OperationalError as error:
                if "interrupt" in str(error):
                    return None
                raise
        return "" if found == "ok" else found.replace("\n", " ")

    # -------------------------------------------------------- who is alive

    def attempt_is_held(self, token: str) -> bool:
        """True while a process of this attempt lives: one that inherited its lock."""
        return self._is_held(self.attempt_path(token, "run"))

    def is_alive(self, name: str) -> bool:
        """True while the supervisor or worker *name* lives, or where that cannot be told."""
        return self._is_held(self.life_path(name))

    @staticmethod
    def _is_held(path: str) -> bool:
        """True while *path* is locked. Only evidence counts: no access, no verdict of death."""
        try:
            fd = open_private(path, os.O_RDWR)
        except FileNotFoundError:
            return not os.path.isdir(os.path.dirname(path))
        except OSError:
            return True  # no permission now, or (Windows) on its way out: ask again later
        try:
            return not try_lock(fd, shared=True)
        finally:
            os.close(fd)

    def members(self) -> List[Fields]:
        """The supervisors and workers that live: kind, name, pid, host, since, supervisor."""
        found = []
        for name in self._life_names():
            if self.is_alive(name):
                found.append(self._details(name))
        return sorted(found, key=lambda member: (str(member["since"]), str(member["name"])))

    def members_of(self, supervisors: Sequence[str]) -> List[Fields]:
        """Those of the members that are one of these supervisors or a worker of one."""
        return [member for member in self.members() if (member["supervisor"] or member["name"]) in supervisors]

    def members_and_jobs(self) -> List[Fields]:
        """The members, and the id of the job that each runs (or None) as "job"."""
        members = self.members()
        jobs: Dict[str, str] = {}
        with contextlib.suppress(NoDatabase):
            jobs = {job["worker"]: job["id"] for job in self.processing()} if members else {}
        return [dict(member, job=jobs.get(member["name"])) for member in members]

    def ask_to_stop(self, supervisors: Sequence[str], request: str) -> None:
        """Leave each of these supervisors a *request* ("stop", "now" or "leave"), which its workers heed, too."""
        with told(self.workers_folder):
            for name in supervisors:
                os.close(open_private(self.request_path(name, request), os.O_WRONLY | os.O_CREAT))

    def has_worker(self) -> bool:
        """True while any worker lives that can heed a request."""
        return any(member["kind"] == "worker" for member in self.members())

    def has_worker_soon(self) -> bool:
        """True where a worker lives; a supervisor gets a moment to replace the one it has lost."""
        deadline = time.monotonic() + STARTING_SECONDS
        while not self.has_worker():
            if not self.members() or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def is_served(self) -> bool:
        """True while a supervisor lives that nobody has asked to stop."""
        supervisors = [str(member["name"]) for member in self.members() if member["kind"] == "supervisor"]
        return any(not self._is_asked_to_stop(name) for name in supervisors)

    def _is_asked_to_stop(self, supervisor: str) -> bool:
        return any(os.path.exists(self.request_path(supervisor, request)) for request in ("stop", "now", "leave"))

    def try_start_lock(self) -> Optional[int]:
        """The right to start a supervisor where none serves: a descriptor to close, None where another holds it."""
        fd = open_private(os.path.join(self.folder, "start"), os.O_RDWR | os.O_CREAT)
        if try_lock(fd):
            return fd
        os.close(fd)
        return None

    def _life_names(self) -> List[str]:
        try:
            return [entry[:-5] for entry in os.listdir(self.workers_folder) if entry.endswith(".life")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise HostError("cannot read %s: %s" % (self.workers_folder, error.strerror)) from None

    def _details(self, name: str) -> Fields:
        details = {"kind": "starting", "name": name, "pid": 0, "host": "", "since": "", "supervisor": ""}
        try:
            with open(self.life_path(name), "rb") as file:
                details.update(json.loads(file.read(4096).decode("ascii")))
        except (OSError, ValueError):
            pass  # it has just begun, or has just gone
        return details

    def tidy(self) -> None:
        """Remove what dead supervisors and workers, and deleted jobs, left in the folder."""
        held = {job["worker"] for job in self.processing()}
        for name in self._life_names():
            if name not in held:
                self._remove_dead_life(name)
        self._remove_stale_requests()
        files = os.listdir(self.attempts_folder)  # before the tokens: a file follows its claim
        tokens = set(self.known_tokens()) if files else set()
        for token in {entry.split(".")[0] for entry in files} - tokens:
            self.remove_attempt_files(token)

    def _remove_stale_requests(self) -> None:
        """Requests to supervisors of whom neither they nor a worker lives any more."""
        entries = os.listdir(self.workers_folder)  # before the names: a request follows its supervisor
        wanted = {str(member["supervisor"]) for member in self.members()} | set(self._life_names())
        for entry in entries:
            name, _, kind = entry.rpartition(".")
            if kind != "life" and name not in wanted:
                with contextlib.suppress(OSError):
                    remove(os.path.join(self.workers_folder, entry))

    def _remove_dead_life(self, name: str) -> None:
        try:
            fd = open_private(self.life_path(name), os.O_RDWR)
        except OSError:
            return
        try:
            dead = try_lock(fd)
            if dead and sys.platform != "win32":
                remove(self.life_path(name))  # while locked, so that nobody is mistaken for dead
        finally:
            os.close(fd)
        if dead and sys.platform == "win32":
            with contextlib.suppress(OSError):
                os.unlink(self.life_path(name))
        if dead:
            for request in ("stop", "now", "leave", "ready"):
                with contextlib.suppress(OSError):
                    remove(self.request_path(name, request))


# ---------------------------------------------------------------- helpers of the queue


def refuse_untrusted(folder: str, paths: Iterable[str]) -> None:
    """Raise HostError for a path that another user owns or can write: he could run commands as us.

    The *folder* of the database may be root's, but who can write there could put a log beside it.
    A group may write where it is the user's own private one (umask 002 on many systems).
    Nothing is checked on Windows, whose permissions Python does not show.
    """
    if sys.platform == "win32":
        return
    for path, owners in [(folder, (os.geteuid(), 0))] + [(path, (os.geteuid(),)) for path in paths]:
        try:
            info = os.stat(path)
        except OSError:
            continue
        if info.st_uid not in owners:
            raise HostError("%s belongs to another user: no worker starts on it" % printable(path))
        if info.st_mode & stat.S_IWOTH or (info.st_mode & stat.S_IWGRP and not is_private_group(info.st_gid)):
            advice = "choose a db_path elsewhere" if info.st_mode & stat.S_ISVTX else "chmod go-w it first"
            raise HostError("%s can be written by other users: %s" % (printable(path), advice))


NETWORK_FILE_SYSTEMS = (
    *("nfs", "cifs", "smb", "9p", "afs", "ceph", "gluster", "lustre", "ncpfs", "beegfs", "gpfs", "ocfs2", "gfs2"),
    *("ssh", "s3fs", "rclone", "davfs", "vboxsf", "vmhgfs", "prl_fs", "drvfs"),
)


def network_file_system(path: str, mountinfo: str = "/proc/self/mountinfo") -> Optional[str]:
    """The kind of network file system that holds *path*, None for a local or unknown one."""
    if sys.platform == "win32":
        return "a network share" if path.startswith("\\\\") else None
    kind = file_system(path, mountinfo)
    bare = kind[5:] if kind.startswith("fuse.") else kind
    return kind if bare.startswith(NETWORK_FILE_SYSTEMS) else None


def file_system(path: str, mountinfo: str = "/proc/self/mountinfo") -> str:
    """The kind of file system that holds *path*, "" where the system does not tell (not Linux)."""
    try:
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
            mounts = [line.split() for line in file]
    except OSError:
        return ""
    best, kind = "", ""
    for words in mounts:  # proc(5): the fifth word is the place, the kind follows the lone -
        place = words[4]
        if "\\" in place:  # a space, say, in three octal digits
            place = re.sub(r"\\(\d{3})", lambda match: chr(int(match.group(1), 8)), place)
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, kind = place, words[words.index("-") + 1]
    return kind


def is_private_group(gid: int) -> bool:
    """True for the group that is this user's alone: same name, no further members."""
    if sys.platform == "win32":
        return False
    import grp  # needed only for a group-writable home
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and not set(group.gr_mem) - {user.pw_name}


def move_on(
    connection: sqlite3.Connection, outcome: Outcome, settings: Settings, start: Optional[str], end: str
) -> bool:
    """Move the job of an ended attempt to its next state, and keep for `check` what that means."""
    claim = outcome.claim
    guard = (claim.seq, claim.token)
    state = ""
    if outcome.kind == "completed":
        moved = connection.execute(COMPLETE_JOB, (start, end, end) + guard)
    elif outcome.kind == "given back":
        moved = connection.execute(RELEASE_JOB, (int(outcome.unstarted), end) + guard)
    else:
        values = failure(connection, outcome, settings, start)
        state = values[0]
        moved = connection.execute(FAIL_JOB, values + guard)
    if moved.rowcount != 1:
        return False
    if outcome.kind == "completed" and claim.unique_key is not None:
        connection.execute(RECORD_SUCCESS, (claim.unique_key, end))
    elif state == "dead":
        connection.execute(COUNT_DEATH)
        connection.execute(NUMBER_DEATH, (claim.seq,))
    return True


def failure(
    connection: sqlite3.Connection, outcome: Outcome, settings: Settings, start: Optional[str]
) -> Tuple[Any, ...]:
    """The values of FAIL_JOB before its guard: cancelled, failed with a date, or dead."""
    claim = outcome.claim
    end = utc_text(outcome.finished)
    if outcome.kind == "cancelled" or cancel_wanted(connection, claim):
        return "cancelled", outcome.exit_code, outcome.error, start, end, end, None, None
    if claim.attempts > claim.max_retries:
        return "dead", outcome.exit_code, outcome.error, start, end, end, None, None
    delay = backoff_delay(settings.backoff_base, claim.attempts, settings.backoff_cap)
    due = utc_text(min(outcome.finished + delay, LAST_TIME))
    return "failed", outcome.exit_code, outcome.error, start, None, end, due, int(delay > 0)


def next_due(connection: sqlite3.Connection, now: float) -> Optional[float]:
    if connection.execute(ANY_DUE).fetchone():
        return now
    row = connection.execute(NEXT_DUE).fetchone()
    return utc_seconds(row["next_run_at"]) if row else None


def cancel_wanted(connection: sqlite3.Connection, claim: Claim) -> bool:
    row = connection.execute("SELECT cancel_requested FROM jobs WHERE seq = ?", (claim.seq,)).fetchone()
    return bool(row and row["cancel_requested"])


def find_holder(connection: sqlite3.Connection, key: Optional[str]) -> Optional[Holder]:
    """The job that waits or runs with *key*."""
    row = None if key is None else connection.execute(FIND_HOLDER, (key,)).fetchone()
    return None if key is None or row is None else Holder.of(row["id"], key, row["state"])


def insert_few(connection: sqlite3.Connection, shared: Sequence[Any], own: Sequence[Any]) -> None:
    """Rows for the private table that are too few to go at once."""
    size = OWN + 2
    connection.executemany(
        INSERT_INCOMING, (tuple(shared) + tuple(own[place : place + size]) for place in range(0, len(own), size))
    )


@contextlib.contextmanager
def counted_at_once(connection: sqlite3.Connection) -> Iterator[None]:
    """Count the jobs of a large private table in one go, in the transaction that moves them into the queue.

    Nobody else sees the queue without the trigger that counts: it is back when the transaction
    commits, and was never away when it does not, for whatever reason.
    """
    added = connection.execute(COUNT_INCOMING).fetchone()[0]
    trigger = connection.execute(FIND_COUNTING).fetchone() if added >= COUNTED_AT_ONCE else None
    if not trigger:
        yield
        return
    connection.execute(DROP_COUNTING)
    yield
    failpoint("enqueue.uncounted")
    connection.execute(COUNT_ADDED, (added,))
    connection.execute(trigger["sql"])


def fitting(statement: str) -> str:
    """A schema statement for this SQLite: partial indexes exist from 3.8.0."""
    partial = sqlite3.sqlite_version_info >= (3, 8, 0)
    statement = re.sub(r"\{plain:(.*?)\}", "" if partial else r"\1", statement)
    return re.sub(r"\{where:(.*?)\}", r"WHERE \1" if partial else "", statement)


def job_fields(row: sqlite3.Row) -> Fields:
    """A job as the outside sees it: the JSON keys, in the order of the columns."""
    fields = dict(row)
    del fields["seq"]
    if fields.pop("is_list"):
        fields["command"] = json.loads(fields["command"])
    fields["env"] = json.loads(fields["env"]) if fields["env"] else {}
    fields["umask"] = None if fields["umask"] is None else "%04o" % fields["umask"]
    return fields


def no_such_job(identifier: str) -> QueueError:
    return QueueError("no job has the id %s: `list` shows the newest" % shown(identifier))


@contextlib.contextmanager
def no_job_without_database(ids: Sequence[str]) -> Iterator[None]:
    """Where no database exists, neither does a job with the first of *ids*."""
    try:
        yield
    except NoDatabase:
        raise no_such_job(ids[0]) from None


def key_is_held(identifier: str, holder: Holder, same_call: bool) -> QueueError:
    if same_call:
        text = "jobs %s and %s have the same key %s, and only one can wait: nothing was requeued"
        return QueueError(text % (holder, identifier, shown(holder.key)))
    text = "job %s has the key %s, which job %s (%s) holds: nothing was requeued"
    return QueueError(text % (identifier, shown(holder.key), holder, holder.state))


@contextlib.contextmanager
def closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """Python 3.13 warns of a connection that is dropped unclosed."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction, which SQLite may have ended already by itself."""
    with contextlib.suppress(sqlite3.Error):
        connection.execute("ROLLBACK")


def sync_folder(path: str) -> None:
    """Make a new entry of a directory survive power loss (not needed on Windows)."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextlib.contextmanager
def not_paused() -> Iterator[None]:
    """Put Ctrl+Z off while the gate is held: one paused process must not stop the queue."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTSTP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def told(path: str) -> Iterator[None]:
    """Turn what SQLite and the system say about *path* into one line that helps."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        raise HostError(explanation(path, str(error))) from error
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else path
        raise HostError("cannot use %s: %s" % (printable(where), error.strerror or error)) from error


EXPLANATIONS = (
    ("locked", "is locked by another program for too long: end that program, then try again"),
    ("busy", "is locked by another program for too long: end that program, then try again"),
    ("full", "cannot grow: the disk is full; nothing was changed"),
    ("readonly", "is read-only: check its permissions and those of its directory"),
    ("read-only", "is read-only: check its permissions and those of its directory"),
    ("unable to open", "cannot be opened: check the permissions of it and of its directory"),
    ("not a database", "is not a database: move it away, or choose another db_path"),
    ("malformed", "is damaged: it was left as it is; restore a backup, or move it away with its -wal"),
    ("disk i/o", "cannot be read or written (disk I/O error): check the disk, then try again"),
)


def explanation(path: str, message: str) -> str:
    """One line about a database that refuses."""
    lowered = message.lower()
    for word, text in EXPLANATIONS:
        if word in lowered:
            return "%s %s" % (printable(path), text)
    return "%s: %s" % (printable(path), printable(message))


# ---------------------------------------------------------------- reading output

class Output:
    """One output stream of one attempt, wherever it is kept: database or file."""

    def __init__(self, queue: Queue, attempt: Fields, stream: str) -> None:
        self.blob: Optional[bytes] = attempt[stream]
        self.path = ""
        self.size: int = attempt[stream + "_bytes"]
        if self.blob is None and attempt["token"]:
            self.path = queue.attempt_path(attempt["token"], stream[3:])
            try:
                self.size = os.stat(self.path).st_size
            except OSError:
                self.path = ""

    def read(self, offset: int, count: int) -> bytes:
        """Up to *count* bytes from *offset*."""
        if self.blob is not None:
            return bytes(self.blob[offset : offset + count])
        if not self.path:
            return b""
        try:
            with open(self.path, "rb") as file:
                file.seek(offset)
                return file.read(count)
        except FileNotFoundError:
            return b""  # it has just moved into the database

    def tail(self, count: int) -> bytes:
        return self.read(max(0, self.size - count), count)


def output_text(data: bytes) -> str:
    """Output as text: UTF-8, on Windows else what cmd and its commands write there."""
    if sys.platform == "win32":
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("oem", "backslashreplace")
    return data.decode("utf-8", "backslashreplace")


def with_output(queue: Queue, job: Fields, most: int) -> Fields:
    """*job* with up to *most* bytes of each attempt's output as text, and without what is internal."""
    for attempt in job["history"]:
        for stream in ("stdout", "stderr"):
            output = Output(queue, attempt, stream)
            text = output.tail(most)
            attempt[stream] = output_text(text)
            attempt[stream + "_bytes"] = output.size
            if len(text) < output.size:
                attempt[stream + "_truncated"] = True
        for name in ("id", "job", "token"):
            attempt.pop(name, None)
    return job


class Follower:
    """Reads what is new in the output of a job, attempt after attempt.

    *number* chooses one attempt; without it begins the last one, and each that follows.
    """

    def __init__(self, queue: Queue, identifier: str, number: Optional[int], streams: Sequence[str]) -> None:
        self.queue = queue
        self.identifier = identifier
        self.number = number
        self.streams = streams
        self.offsets: Dict[str, int] = {}
        self.attempt: Optional[Fields] = None
        self.job: Fields = {}

    def news(self) -> Iterator[Tuple[str, bytes]]:
        """What came since the last call, in pieces, each with its stream. Raises QueueError if the job is gone."""
        self.job = self.queue.job(self.identifier)
        for attempt in self._wanted():
            if self.attempt is None or attempt["number"] != self.attempt["number"]:
                self.offsets = dict.fromkeys(self.streams, 0)
            self.attempt = attempt
            for stream in self.streams:
                for piece in self._pieces(Output(self.queue, attempt, stream), stream):
                    yield stream, piece

    def _wanted(self) -> List[Fields]:
        """The attempts to look at now: the chosen one; the last; or those since the one at hand."""
        history: List[Fields] = self.job["history"]
        if self.number is not None:
            return [attempt for attempt in history if attempt["number"] == self.number]
        if self.attempt is None:
            return history[-1:]
        at_hand = self.attempt["number"]
        return [attempt for attempt in history if attempt["number"] >= at_hand]

    def _pieces(self, output: Output, stream: str) -> Iterator[bytes]:
        while True:
            data = output.read(self.offsets[stream], CHUNK_BYTES)
            if not data:
                return
            if len(data) == CHUNK_BYTES:
                data = data[: data.rfind(b"\n") + 1] or data  # whole lines, so that no character is cut in two
            self.offsets[stream] += len(data)
            yield data

    def ended(self) -> bool:
        """True when no more can come."""
        if self.number is not None and self.attempt is not None:
            return bool(self.attempt["outcome"] != "running")
        return self.job["state"] in FINAL


# ---------------------------------------------------------------- what is wrong (check)

NEWEST_DEAD = 5  # dead letters that `check` names
ERROR_CHARACTERS = 100  # of the error of each


def check_expected(keys: Sequence[str], ages: Sequence[str]) -> List[Tuple[str, float]]:
    """Which keys must complete how often: as one or several give them to `check`. Raises BadInput."""
    if bool(keys) != bool(ages):
        raise BadInput("--expect KEY and --every DURATION go together: give both")
    if len(ages) not in (1, len(keys)) and keys:
        raise BadInput("give one --every for all, or one for each --expect")
    for key in keys:
        check_key(key, "--expect")
    seconds = [parse_duration(age, "--every") for age in ages]
    if 0 in seconds:
        raise BadInput("--every: 0 is never kept: give a length of time such as 26h")
    return list(zip(keys, seconds * len(keys) if len(seconds) == 1 else seconds))


@contextlib.contextmanager
def problems(
    queue: Queue, now: float, waiting: float, least: int, expected: Sequence[Tuple[str, float]]
) -> Iterator[List[Fields]]:
    """What is wrong with the queue, each as "kind", "text" and facts; deaths count as told once the block is left.

    A job is due for longer than *waiting* seconds, the disk has less than *least* bytes free, no
    job with a key that is *expected* completed within its seconds, jobs died since the last time.
    """
    found = work_problems(queue, now, waiting) + disk_problems(queue, least)
    for key, every in expected:
        found += expected_problems(queue, now, key, every)
    with queue.untold_deaths(NEWEST_DEAD) as (count, jobs):
        yield found + dead_problems(count, jobs)


def problem(kind: str, text: str, **facts: Any) -> Fields:
    return dict([("kind", kind), ("text", text)], **facts)


def work_problems(queue: Queue, now: float, limit: float) -> List[Fields]:
    """A job that waits too long; nobody there to run it."""
    found = []
    due, running, oldest = queue.due_work(now, now - limit)
    if oldest:
        since, identifier = oldest
        text = "job %s has been due since %s (%s); jobs due: %d"
        text = text % (identifier, since, age_text(now - utc_seconds(since)), due)
        found.append(problem("waiting", text, id=identifier, since=since, due=due))
    if (due or running) and not queue.has_worker_soon():
        text = "no worker is alive; jobs due: %d, left running: %d; `queuectl.py worker start` starts one"
        found.append(problem("workers", text % (due, running), due=due, running=running))
    return found


def disk_problems(queue: Queue, least: int) -> List[Fields]:
    """Too little room beside the database, or where output goes if that is another disk."""
    import shutil  # needed only here

    found, seen = [], set()
    folders = (os.path.dirname(queue.path), queue.attempts_folder) if os.path.exists(queue.path) else ()
    for folder in folders:
        try:
            device, free = os.stat(folder).st_dev, shutil.disk_usage(folder).free
        except OSError:
            continue
        if free < least and device not in seen:
            text = "the disk that holds %s has %s free, less than %s" % (folder, size_text(free), size_text(least))
            found.append(problem("disk", text, path=folder, free=free, min_free=least))
        seen.add(device)
    return found


def expected_problems(queue: Queue, now: float, key: str, every: float) -> List[Fields]:
    last = queue.last_success(key)
    age = now - utc_seconds(last) if last else 0.0
    if last and abs(age) <= every:
        return []
    when_text = "%s (%s)" % (last, age_text(age) + " ago" if age >= 0 else "in the future") if last else "never"
    text = "no job with the key %s completed within %s; the last success: %s"
    text = text % (shown(key), exact_age(every), when_text)
    return [problem("expected", text, key=key, every=every, last_success=last)]


def dead_problems(count: int, jobs: Sequence[Fields]) -> List[Fields]:
    """One line for all that died since the last check, with the newest by name."""
    if not count:
        return []
    named = ["%s (%s)" % (job["id"], shortened(job["last_error"] or "?")) for job in jobs]
    text = "new dead letters: %d" % count
    if named:
        text += "; %s%s" % ("the newest: " if count > len(named) else "", ", ".join(named))
    return [problem("dead", text, count=count, jobs=jobs)]


def shortened(text: str) -> str:
    return text if len(text) <= ERROR_CHARACTERS else text[: ERROR_CHARACTERS - 3] + "..."


# ---------------------------------------------------------------- proving the host (doctor)

SLOW_SYNC_SECONDS = 0.1
FREE_SYNC_SECONDS = 0.00002  # no disk answers as fast: nothing was synced
LITTLE_SPACE, ENOUGH_SPACE = 16 << 20, 1 << 30
CHECK_SECONDS = 5.0  # how long a large database is checked


class Finding:
    """What a probe found. ``ok`` is False where the queue cannot run so, None for what is only good to know."""

    def __init__(self, name: str, ok: Optional[bool], text: str, advice: str = "") -> None:
        self.name = name
        self.ok = ok
        self.text = text
        self.advice = advice


def tried(name: str, probe: Callable[..., Finding], *arguments: Any) -> Finding:
    """What *probe* finds; that it cannot even be made is a finding too."""
    try:
        with told(name):
            return probe(*arguments)
    except QueueError as error:
        return Finding(name, False, str(error))


def probe_sqlite() -> Finding:
    here = sqlite3.sqlite_version_info
    if here < (3, 7, 17):
        return Finding(
            "sqlite", False, sqlite3.sqlite_version, "too old: use a Python whose SQLite is 3.7.17 or newer"
        )
    lacking = ["partial indexes"] * (here < (3, 8, 0)) + ["TRUNCATE checkpoints"] * (here < (3, 8, 8))
    if lacking:
        text = "%s, without %s" % (sqlite3.sqlite_version, " and ".join(lacking))
        return Finding("sqlite", None, text, "nothing to do: others are used in their place, somewhat slower")
    return Finding("sqlite", True, sqlite3.sqlite_version)


def probe_home(home: str, config: str, queue: Queue) -> Finding:
    """Whether *home* is ours, can be written, and keeps what is in it private."""
    if not os.path.lexists(home):
        return Finding("home", None, "%s does not exist" % home, "nothing to do: the first add makes it")
    queue.refuse_untrusted(home, config)
    try:
        mode = mode_of_new_file(home)
    except OSError as error:
        text = "%s cannot be written: %s" % (home, error.strerror)
        return Finding("home", False, text, "see its permissions and the free space")
    if sys.platform != "win32" and mode & 0o077:
        text = "%s: a new file there has mode %04o, so others can read it" % (home, mode)
        return Finding("home", False, text, "use a file system with permissions")
    if sys.platform != "win32" and os.stat(home).st_mode & 0o077:
        return Finding("home", None, "%s can be listed by other users" % home, "chmod 700 it; its files are private")
    return Finding("home", True, "%s is writable%s" % (home, "" if sys.platform == "win32" else " and private"))


def mode_of_new_file(folder: str) -> int:
    path = os.path.join(folder, "doctor-%d.probe" % os.getpid())
    fd = open_private(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    try:
        os.write(fd, b"probe")
        return stat.S_IMODE(os.fstat(fd).st_mode)
    finally:
        os.close(fd)
        remove(path)


def probe_file_system(queue: Queue) -> Finding:
    queue.refuse_unsafe_place()
    return Finding("file system", True, file_system(queue.path) or "no network's, as far as can be told")


def probe_space(folder: str) -> Finding:
    import shutil  # needed only here

    free = shutil.disk_usage(folder).free
    text = "%.1f GiB free" % (free / 2**30) if free >= ENOUGH_SPACE else "%d MiB free" % (free >> 20)
    if free >= ENOUGH_SPACE:
        return Finding("space", True, text)
    return Finding("space", None if free >= LITTLE_SPACE else False, text, "make room, or prune: full, it takes no job")


def probe_sync(folder: str) -> Finding:
    """How long the disk takes to keep something, which each enqueue waits for."""
    path = os.path.join(folder, "sync.probe")
    fd = open_private(path, os.O_CREAT | os.O_WRONLY)
    try:
        seconds = sorted(sync_seconds(fd) for _ in range(9))[4]
    finally:
        os.close(fd)
        remove(path)
    text = "%.3g ms (median of 9)" % (seconds * 1000)
    if seconds < FREE_SYNC_SECONDS:
        return Finding("sync", None, text, "too fast for a disk: a power cut may take acknowledged jobs along")
    if seconds > SLOW_SYNC_SECONDS:
        return Finding("sync", None, text, "slow: each add takes as long; enqueue many jobs in one call")
    return Finding("sync", True, text)


def sync_seconds(fd: int) -> float:
    os.write(fd, b"x" * 512)
    began = time.perf_counter()  # on Windows monotonic() ticks every 15.6 ms
    os.fsync(fd)
    return time.perf_counter() - began


def probe_clock(wall: float, monotonic: float) -> Finding:
    """Whether the clocks agree since they said *wall* and *monotonic*, and on a year that can be."""
    now = time.time()
    drift = (now - wall) - (time.monotonic() - monotonic)
    text = "%s (%s)" % (time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now)), time.strftime("%Z"))
    if not ID_EPOCH <= now < ID_EPOCH + 75 * 365 * 86400:
        return Finding("clock", False, text, "set the clock: no job would be due when it should")
    if abs(drift) > 0.5:
        return Finding("clock", None, "%s, moved by %.1f s meanwhile" % (text, drift), "see what sets it")
    return Finding("clock", True, text)


def probe_database(queue: Queue) -> Finding:
    """Whether the database at hand is ours, of a version that we know, and whole."""
    try:
        damage = queue.damage(CHECK_SECONDS)
    except NoDatabase:
        return Finding("database", None, "%s does not exist" % queue.path, "nothing to do: the first add creates it")
    if damage is None:
        text = "%s answers; too large to be checked in %d s" % (queue.path, CHECK_SECONDS)
        return Finding("database", None, text, "`PRAGMA quick_check` in sqlite3 takes the time it needs")
    if damage:
        text = "%s is damaged: %s" % (queue.path, damage)
        return Finding("database", False, text, "restore a backup, or move it away")
    found = ", ".join("%d %s" % (count, state) for state, count in queue.counts().items() if count)
    return Finding("database", True, "%s is whole: %s" % (queue.path, found or "no jobs"))


def probe_config(config: ConfigFile) -> Finding:
    config()
    given = config.values()
    text = "%s sets %s" % (config.path, ", ".join(given)) if given else "every setting has its default"
    return Finding("config", True, text)


def probe_alive(queue: Queue) -> Finding:
    members = queue.members()
    workers = sum(member["kind"] == "worker" for member in members)
    if not workers:
        advice = "`worker start` starts one, `cron` tells how to keep one"
        return Finding("alive", None, "no worker works on this queue", advice)
    return Finding("alive", True, "%d workers, supervisors: %d" % (workers, len(members) - workers))
