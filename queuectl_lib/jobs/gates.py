"""What keeps a queue from starting anything now: its window, the load, memory and disk of the host, its rate. Pure.

The host is asked through *look*, which host/load is, and a test's own object may be. Each answer says why in words for
people, and when to look again. A gate fails shut: what should be known and is not keeps it closed, and so does a row
that somebody has written by hand. A look at a disk can hang with its server: `closed_by` is for before a transaction,
`spaced_by` and `rate_closed_by` are for within.
"""

from __future__ import annotations

import os

from queuectl_lib import errors, times, values
from queuectl_lib.errors import BadInput
from queuectl_lib.host import load
from queuectl_lib.jobs import windows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Protocol, Tuple

    Closed = Tuple[str, float]  # why, and when to look again

    class Look(Protocol):
        def load(self) -> Optional[float]: ...
        def memory_available(self) -> Optional[int]: ...
        def free_bytes(self, path: str) -> Optional[int]: ...


LOOK_AGAIN = 10.0  # at what the host tells
WINDOW_AGAIN = 60.0  # at a closed window: that long a step of the clock, or another zone, goes unseen
START_SECONDS = 15.0  # from start to start under a load gate, so that the average can follow
MOST_STARTS = 10000  # of a rate, which has a row for each
LEAST_RATE_SECONDS = 0.001
RATE_MARGIN = 0.001  # behind a span: a start is *older* than it, whatever the rounding of what is stored
MOST_LOAD = 1000000
MOST_BYTES = 1 << 62

NUMBERS = ("load_most", "memory_least", "free_least", "rate_count", "rate_seconds")
TEXTS = ("windows", "free_path")


class Gate:
    """The row of a queue, as far as it says when something may start; None is no limit."""

    __slots__ = NUMBERS + TEXTS + ("last_start",)

    def __init__(
        self,
        windows: Optional[str] = None,
        load_most: Optional[float] = None,
        memory_least: Optional[int] = None,
        free_least: Optional[int] = None,
        free_path: Optional[str] = None,
        rate_count: Optional[int] = None,
        rate_seconds: Optional[float] = None,
        last_start: Optional[float] = None,
    ) -> None:
        self.windows = windows
        self.load_most = load_most
        self.memory_least = memory_least
        self.free_least = free_least
        self.free_path = free_path
        self.rate_count = rate_count
        self.rate_seconds = rate_seconds
        self.last_start = last_start

    @classmethod
    def of(cls, row: Mapping[str, Any], folder: str) -> Gate:
        """That of a row of queues; a free space without a path is that of *folder*."""
        gate = cls(**{name: row[name] for name in NUMBERS + TEXTS})
        if row["free_path"] is None:
            gate.free_path = folder
        if row["last_start_at"] is not None:
            gate.last_start = times.seconds_or(row["last_start_at"], 0.0)
        return gate

    def is_set(self) -> bool:
        """False where nothing can close it but its rate."""
        limits = (self.windows, self.load_most, self.memory_least, self.free_least)
        return any(limit is not None for limit in limits)

    def closed_by(self, now: float, look: Look) -> Optional[Closed]:
        """Why nothing of the queue may start now, and when to look again; None where it may, as far as a gate knows."""
        if not self.is_set():
            return None
        return (
            self._damaged(now)
            or self._out_of_window(now)
            or self._loaded(now, look)
            or self.spaced_by(now)
            or self._short_of_memory(now, look)
            or self._short_of_space(now, look)
        )

    def spaced_by(self, now: float) -> Optional[Closed]:
        """The one answer of `closed_by` that another worker's start changes: to be asked again where one begins."""
        if self.load_most is None or self.last_start is None:
            return None
        # One in the future is from before a clock that was put back: the next start writes it anew.
        if not -1 < now - self.last_start < START_SECONDS:
            return None
        return "one start in %d s under a limit of load" % START_SECONDS, self.last_start + START_SECONDS

    def rate_closed_by(self, now: float, oldest: Optional[float]) -> Optional[Closed]:
        """The same for its rate, by the start that was rate_count starts ago (None: there are fewer).

        One in the future, before a clock that was put back, counts as one of now: who stores them has to say so there.
        """
        if self.rate_count is None or self.rate_seconds is None or oldest is None:
            return None
        free_again = min(oldest, now) + self.rate_seconds + RATE_MARGIN
        if now >= free_again:
            return None
        return "rate %s is used up" % rate_text(self.rate_count, self.rate_seconds), free_again

    def _damaged(self, now: float) -> Optional[Closed]:
        for names, kinds in ((NUMBERS, (int, float)), (TEXTS, (str,))):
            for name in names:
                value = getattr(self, name)
                if value is not None and not isinstance(value, kinds):
                    return "cannot read its %s in the database" % name, now + WINDOW_AGAIN
        return None

    def _out_of_window(self, now: float) -> Optional[Closed]:
        if self.windows is None:
            return None
        try:
            found = windows.stored(self.windows)
        except BadInput:
            return "cannot read its windows in the database", now + WINDOW_AGAIN
        if found.is_open(now):
            return None
        opens = found.next_change(now)
        if opens is None:
            return "never opens", now + WINDOW_AGAIN
        return "opens %s" % windows.moment_text(opens, now), min(opens, now + WINDOW_AGAIN)

    def _loaded(self, now: float, look: Look) -> Optional[Closed]:
        if self.load_most is None:
            return None
        found = look.load()
        if found is None:
            return "cannot read the load of this host", now + LOOK_AGAIN
        if found >= self.load_most:
            told, most = load_text(found), values.number_text(self.load_most)
            return "load %s %s %s" % (told, "is not below" if told == most else "over", most), now + LOOK_AGAIN
        return None

    def _short_of_memory(self, now: float, look: Look) -> Optional[Closed]:
        if self.memory_least is None:
            return None
        found = look.memory_available()
        if found is None:
            return "cannot read how much memory is available", now + LOOK_AGAIN
        if found >= self.memory_least:
            return None
        return "memory %s" % share_text(found, self.memory_least), now + LOOK_AGAIN

    def _short_of_space(self, now: float, look: Look) -> Optional[Closed]:
        if self.free_least is None:
            return None
        path = errors.printable(self.free_path or "the folder to look at")
        found = look.free_bytes(self.free_path) if self.free_path else None
        if found is None:
            return "cannot read %s" % path, now + LOOK_AGAIN
        if found >= self.free_least:
            return None
        return "free %s on %s" % (share_text(found, self.free_least), path), now + LOOK_AGAIN


# ---------------------------------------------------------------- into words


def load_text(found: float) -> str:
    return ("%.2f" % found).rstrip("0").rstrip(".")


def share_text(found: int, least: int) -> str:
    """What there is of what there should be; byte by byte where shorter words could not tell them apart."""
    words = values.size_text(found), values.size_text(least)
    return "%s of %s" % words if words[0] != words[1] else "%d of %d bytes" % (found, least)


def rate_text(count: int, seconds: float) -> str:
    """What `parse_rate` takes back."""
    return "%d/%s" % (count, times.exact_age(seconds))


# ---------------------------------------------------------------- from words


def parse_rate(text: object, name: str = "rate") -> Tuple[int, float]:
    """Starts, and the seconds in any span of which there are no more. Raises BadInput."""
    parts = text.split("/") if isinstance(text, str) else []
    if len(parts) != 2:
        raise BadInput("%s: %s is not starts in a time, such as 60/1m" % (name, errors.shown(text)))
    starts = values.whole_number(parts[0].strip(), name)
    if starts == 0:
        raise BadInput("%s: 0 starts are none at all: `pause` does that" % name)
    values.check_integer(starts, name, 1, MOST_STARTS)
    seconds = times.parse_duration(parts[1], name)
    if seconds < LEAST_RATE_SECONDS:
        raise BadInput("%s: %s is no limit: its time must be a millisecond at least" % (name, errors.shown(text)))
    return starts, seconds


def parse_load(text: str, name: str = "max-load") -> float:
    """A load that must not be reached. Raises BadInput, also where the host cannot tell its own."""
    found = values.decimal_number(text, name)
    if not 0 < found <= MOST_LOAD:
        raise BadInput("%s: %s is not above 0 and at most %d" % (name, errors.shown(text), MOST_LOAD))
    if not load.CAN_TELL_LOAD:
        raise BadInput("%s: this system does not tell its load" % name)
    return found


def parse_memory(text: str, name: str = "min-memory") -> int:
    """Bytes that must be available. Raises BadInput, also where the host cannot tell how many are."""
    found = checked_bytes(text, name)
    if not load.CAN_TELL_MEMORY:
        raise BadInput("%s: this system does not tell how much memory is available" % name)
    return found


def parse_free(text: str, name: str = "min-free") -> Tuple[int, Optional[str]]:
    """Bytes that must be free, and where, if that is said: 20G, 20G:/data. Raises BadInput."""
    size, colon, path = text.partition(":")
    if not colon:
        return checked_bytes(size, name), None
    if not values.check_text(path, name) or len(path.encode("utf-8")) > 4096:
        raise BadInput("%s: a path belongs behind the colon, such as 20G:/data" % name)
    return checked_bytes(size, name), os.path.abspath(path)


def checked_bytes(text: str, name: str) -> int:
    found = values.parse_size(text, name)
    if not 0 < found <= MOST_BYTES:
        raise BadInput("%s: %s is not a size from 1 byte to 4194304T" % (name, errors.shown(text)))
    return found
