"""The windows of a queue: the minutes of the week, by the clock on the wall, in which it may start something. Pure.

A window opens at one time of each of its days and closes at another, on the next day where that is not later; days
alone are the whole day. All windows of a queue are one set of minutes of the week, so overlaps mean nothing. Whether
one is open is asked of the wall: an hour that the clock repeats is inside twice, one that it skips never comes. There
is no database of zones: time.localtime tells the offset at an instant, and bisection when it changes.
"""

from __future__ import annotations

import functools
import re
import time

from queuectl_lib import errors
from queuectl_lib.errors import BadInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import FrozenSet, List, Optional, Sequence, Tuple

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = frozenset(range(7))
DAY = 1440  # minutes
WEEK = 7 * DAY
DAY_SECONDS = 86400
MOST_WINDOWS = 50  # of a queue
MOST_CHARACTERS = 100  # of one of them
MOST_STEPS = 100  # of at most a day each, to a change: a window in a skipped hour costs a week
NOTED_DAYS = 8  # ahead in which it is told that one will not open

SPAN = r"([0-9]{1,2}:[0-9]{2})-([0-9]{1,2}:[0-9]{2})\Z"
EXAMPLE = 'such as "mon-fri 22:00-06:00" or "sat,sun"'


class Window:
    """The days on which it opens (0 is Monday), and start and end as minutes of the day; past DAY it is the next."""

    __slots__ = ("days", "start", "end")

    def __init__(self, days: FrozenSet[int], start: int, end: int) -> None:
        self.days = days
        self.start = start
        self.end = end

    def text(self) -> str:
        """As it is stored and shown."""
        if (self.start, self.end) == (0, DAY):
            return days_text(self.days)
        end = self.end if self.end <= DAY else self.end - DAY
        span = "%s-%s" % (minute_text(self.start), minute_text(end))
        return span if self.days == EVERY_DAY else "%s %s" % (days_text(self.days), span)


class Windows:
    """All windows of a queue, as one set of minutes."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self.windows = list({window.text(): window for window in windows}.values())
        week = bytearray(WEEK)
        for window in self.windows:
            for day in window.days:
                first, last = day * DAY + window.start, day * DAY + window.end
                for low, high in ((first, min(last, WEEK)), (0, last - WEEK)):  # sunday night ends in the first minutes
                    if low < high:
                        week[low:high] = b"\1" * (high - low)
        self.edges = edges_of(week)
        self.before = bool(week[-1])  # open in the last minute of the week

    def texts(self) -> List[str]:
        """Each window in its one form, which `parse` takes back."""
        return [window.text() for window in self.windows]

    def is_open(self, now: float) -> bool:
        minute = minute_of_week(time.localtime(now))
        return self.before ^ (sum(edge <= minute for edge in self.edges) % 2 == 1)

    def next_change(self, now: float) -> Optional[float]:
        """The next instant at which it opens, if it is closed, or closes; None where it never does."""
        if not self.edges:
            return None
        at, was_open = int(now // 1), self.is_open(now)
        for _ in range(MOST_STEPS):
            at = self._step(at)
            if self.is_open(at) != was_open:
                break
        return float(at)  # or when to look again

    def _step(self, at: int) -> int:
        """The next instant after *at* at which it can change: an edge by the wall, or a shift of the clock."""
        local = time.localtime(at)
        minute = minute_of_week(local)
        edge = next((edge for edge in self.edges if edge > minute), self.edges[0] + WEEK)
        step = at - min(local.tm_sec, 59) + 60 * (edge - minute)
        return first_shift(at, min(step, at + DAY_SECONDS))

    def words(self, now: float) -> str:
        """What `queue show` tells: until when it is open or when it opens, and what the clock will skip."""
        change = self.next_change(now)
        if change is None:
            told = "always open"
        else:
            told = ("open until %s" if self.is_open(now) else "opens %s") % moment_text(change, now)
        return "; ".join([told] + self.skipped(now))

    def skipped(self, now: float) -> List[str]:
        """A sentence for each window of the next days that the clock leaves out as a whole."""
        told = []
        for date, low, high in gaps(now):
            day = date.tm_wday
            for window in self.windows:
                if day in window.days and low <= window.start and window.end <= high:
                    words = "%s does not open on %s: the clock skips it"
                    told.append(words % (window.text(), time.strftime("%Y-%m-%d", date)))
        return told


def edges_of(week: bytearray) -> List[int]:
    """The minutes at which it opens or closes, in turn."""
    found, value = [], week[-1]
    at = week.find(1 - value)
    while at >= 0:
        found.append(at)
        value = week[at]
        at = week.find(1 - value, at)
    return found


# ---------------------------------------------------------------- from words


def parse(texts: Sequence[str]) -> Windows:
    """The windows that *texts* mean, at least one. Raises BadInput."""
    if not isinstance(texts, (list, tuple)):
        raise BadInput("windows: %s is not a list of texts %s" % (errors.shown(texts), EXAMPLE))
    if not texts:
        raise BadInput("windows: none is given: name one, %s" % EXAMPLE)
    if len(texts) > MOST_WINDOWS:
        raise BadInput("windows: %d are more than %d" % (len(texts), MOST_WINDOWS))
    return Windows([parse_window(text) for text in texts])


@functools.lru_cache(maxsize=64)
def stored(text: str) -> Windows:
    """The windows of a row of queues, each parsed once in a process. Raises BadInput for what nobody has stored."""
    return parse(text.split("; "))


def stored_text(windows: Windows) -> str:
    """What `stored` takes back."""
    return "; ".join(windows.texts())


def parse_window(text: object) -> Window:
    if not isinstance(text, str):
        raise BadInput("window: %s is not a text %s" % (errors.shown(text), EXAMPLE))
    if len(text) > MOST_CHARACTERS:
        raise BadInput("window: %s is longer than %d characters" % (errors.shown(text), MOST_CHARACTERS))
    words = re.sub(r"\s*([,-])\s*", r"\1", text).lower().split()
    if not words:
        raise BadInput("window: it is empty: name one, %s" % EXAMPLE)
    timed = ":" in words[-1] or words[-1][0] in "0123456789"
    if len(words) > 1 + timed:
        raise BadInput("window: %s is not days, then one span of time, %s" % (errors.shown(text), EXAMPLE))
    days = parse_days(words[0], text) if len(words) > timed else EVERY_DAY
    return Window(days, *(parse_span(words[-1], text) if timed else (0, DAY)))


def parse_days(word: str, text: str) -> FrozenSet[int]:
    found = set()
    for part in word.split(","):
        names = part.split("-")
        if len(names) > 2 or not all(names):
            raise BadInput("window: %s: %s is not days such as mon-fri" % (errors.shown(text), errors.shown(part)))
        first, last = day_number(names[0], text), day_number(names[-1], text)
        found |= {(first + more) % 7 for more in range((last - first) % 7 + 1)}
    return frozenset(found)


def day_number(name: str, text: str) -> int:
    if name not in DAYS:
        raise BadInput("window: %s: %s" % (errors.shown(text), errors.unknown_name("day", name, DAYS)))
    return DAYS.index(name)


def parse_span(word: str, text: str) -> Tuple[int, int]:
    """Start and end in minutes; an end that is not later than the start is one of the next day."""
    match = re.match(SPAN, word)
    if not match:
        raise BadInput("window: %s: %s is not a span such as 22:00-06:00" % (errors.shown(text), errors.shown(word)))
    start, end = (day_minute(one, text) for one in match.groups())
    if start == DAY:
        raise BadInput("window: %s: 24:00 is an end alone: a day starts at 00:00" % errors.shown(text))
    if start == end:
        raise BadInput("window: %s: it ends as it starts: the whole day is 00:00-24:00" % errors.shown(text))
    return start, end if end > start else end + DAY


def day_minute(word: str, text: str) -> int:
    hour, minute = map(int, word.split(":"))
    if minute > 59 or hour * 60 + minute > DAY:
        raise BadInput("window: %s: %s is not a time from 00:00 to 24:00" % (errors.shown(text), errors.shown(word)))
    return hour * 60 + minute


# ---------------------------------------------------------------- into words


def days_text(days: FrozenSet[int]) -> str:
    """Three and more in a row as a range, around the end of the week, too."""
    if days == EVERY_DAY:
        return "mon-sun"
    parts = []
    for first in sorted(day for day in days if (day - 1) % 7 not in days):
        length = next(length for length in range(1, 8) if (first + length) % 7 not in days)
        names = [DAYS[(first + more) % 7] for more in range(length)]
        parts += names if length < 3 else ["%s-%s" % (names[0], names[-1])]
    return ",".join(parts)


def minute_text(minute: int) -> str:
    return "%02d:%02d" % divmod(minute, 60)


def moment_text(at: float, now: float) -> str:
    """A moment ahead as people say it: 22:00, or fri 22:00 where that is not the next 22:00, or with its date."""
    local = time.localtime(at)
    clock = "%02d:%02d" % (local.tm_hour, local.tm_min)
    if at - now < DAY_SECONDS:
        return clock
    if at - now < 7 * DAY_SECONDS:
        return "%s %s" % (DAYS[local.tm_wday], clock)
    return "%s %s" % (time.strftime("%Y-%m-%d", local), clock)


# ---------------------------------------------------------------- the clock on the wall


def minute_of_week(local: time.struct_time) -> int:
    return local.tm_wday * DAY + local.tm_hour * 60 + local.tm_min


def offset(at: int) -> int:
    """Seconds east of UTC that the clock on the wall is then."""
    return time.localtime(at).tm_gmtoff


def first_shift(low: int, high: int) -> int:
    """The first second after *low* with the offset of *high*; *high* where nothing has changed."""
    before = offset(low)
    if offset(high) == before:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if offset(middle) == before:
            low = middle
        else:
            high = middle
    return high


def gaps(now: float) -> List[Tuple[time.struct_time, int, int]]:
    """What the clock skips in the next days: a date, and from and to which minute, which may be outside of that day."""
    found = []
    for ahead in range(NOTED_DAYS):
        low = int(now) + ahead * DAY_SECONDS
        shift = first_shift(low, low + DAY_SECONDS)
        before = offset(shift - 1)
        if offset(shift) > before:
            start = shift + before  # the wall as seconds without a zone
            length = (offset(shift) - before) // 60
            for date in sorted({start // DAY_SECONDS, (start + length * 60) // DAY_SECONDS}):
                minute = (start - date * DAY_SECONDS) // 60
                found.append((time.gmtime(date * DAY_SECONDS), minute, minute + length))
    return found
