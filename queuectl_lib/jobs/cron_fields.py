"""The five fields of a cron line: what they mean, and the minutes of wall time that they name."""

from __future__ import annotations

import bisect
import datetime
import re

from queuectl_lib import errors, times
from queuectl_lib.errors import BadInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence, Set, Tuple

DAY = 86400
FIRST_DAY = datetime.date(1970, 1, 1).toordinal()
LAST_YEAR = 9999
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # a month of any year


class Field:
    """One of the five: its name, its lowest and highest value, the names of values, and of what its steps count."""

    def __init__(self, name: str, low: int, high: int, names: Sequence[str], anew: str, unit: str) -> None:
        self.name = name
        self.low = low
        self.high = high
        self.names = {word: low + place for place, word in enumerate(names)}
        self.anew = anew
        self.unit = unit


FIELDS = (
    Field("minute", 0, 59, (), "hour", "minutes"),
    Field("hour", 0, 23, (), "day", "hours"),
    Field("day of month", 1, 31, (), "month", ""),
    Field("month", 1, 12, MONTHS, "year", "months"),
    Field("day of week", 0, 6, WEEKDAYS, "week", "days"),
)
SUNDAY_AGAIN = 7
ITEM = r"(?:(\*)|([0-9]{1,4}|[a-z]{3})(?:-([0-9]{1,4}|[a-z]{3}))?)(?:/([0-9]{1,4}))?\Z"


class CronFields:
    """Five fields, understood. Wall time is counted in seconds, as if the clock on the wall showed UTC."""

    def __init__(self, text: str) -> None:
        """Raises BadInput for what is not five fields, and for a day that no year has."""
        parts = text.split()
        if len(parts) != len(FIELDS):
            raise wrong_number(text, len(parts))
        self.notes: List[str] = []
        found = [sorted(self._values(part, field)) for part, field in zip(parts, FIELDS)]
        self.minutes, self.hours, days, months, weekdays = found
        self.days, self.months, self.weekdays = frozenset(days), months, frozenset(weekdays)
        # As in vixie cron, the first letter decides: with `1-7 * */7` both must hold, so it is the first Sunday.
        self.is_either = parts[2][0] != "*" and parts[4][0] != "*"
        self.follows_clock = "*" in (parts[0][0], parts[1][0])
        self.moments: List[int] = []  # minutes of a day, once somebody asks
        if not self.is_either and not any(days[0] <= LONGEST[month - 1] for month in months):
            raise BadInput("when: %s: no such day in any year" % errors.shown(text))

    def _values(self, text: str, field: Field) -> Set[int]:
        found: Set[int] = set()
        for item in text.split(","):
            match = re.match(ITEM, item, re.I)
            if not match:
                raise not_understood(item, field)
            star, first, last, step = match.groups()
            low, high = (field.low, field.high) if star else limits(item, field, first, last)
            if step and not int(step):
                raise wrong(item, field, "a step of 0 comes nowhere")
            if step and first and last is None:
                raise wrong(item, field, "write %s-%d/%s" % (first, field.high, step))
            steps = range(low, high + 1, int(step or 1))
            found.update(value % 7 if field.names and field.low == 0 else value for value in steps)
            if step and (low, high) == (field.low, field.high):
                self._note(item, field, steps)
        return found

    def _note(self, item: str, field: Field, steps: Sequence[int]) -> None:
        """Remember a word about steps that do not divide what they count."""
        size, step = field.high - field.low + 1, int(item.rpartition("/")[2])
        if not field.unit and step > 1:
            why = "so the gap at its end differs"
        elif len(steps) == 1 and step > size:
            why = "so only %d is left of them" % steps[0]
        elif size % step:
            last = size - (steps[-1] - field.low)
            why = "so the last gap is %d %s" % (last, field.unit if last > 1 else field.unit[:-1])
        else:
            return
        self.notes.append("%s in %s: the steps begin anew each %s, %s" % (item, field.name, field.anew, why))

    def next_wall(self, wall: int) -> Optional[int]:
        """The first minute that is named, at *wall* or later; None after the year 9999."""
        day, second = divmod(max(wall, 0), DAY)
        if wall > times.LAST_TIME:
            return None
        moments = self._moments()
        if self._has_day(day):
            place = bisect.bisect_left(moments, -(-second // 60))
            if place < len(moments):
                return day * DAY + moments[place] * 60
        date = datetime.date.fromordinal(FIRST_DAY + day)
        year, month, after = date.year, date.month, date.day
        while year <= LAST_YEAR:
            days = [number for number in self._days_of(year, month) if number > after]
            if days:
                return day_number(year, month, days[0]) * DAY + moments[0] * 60
            later = [number for number in self.months if number > month]
            year, month, after = (year, later[0], 0) if later else (year + 1, self.months[0], 0)
        return None

    def last_wall(self, wall: int) -> Optional[int]:
        """The last minute that is named, at *wall* or earlier; None before 1970."""
        if wall < 0:
            return None
        day, second = divmod(min(wall, int(times.LAST_TIME)), DAY)
        moments = self._moments()
        if self._has_day(day):
            place = bisect.bisect_right(moments, second // 60)
            if place:
                return day * DAY + moments[place - 1] * 60
        date = datetime.date.fromordinal(FIRST_DAY + day)
        year, month, before = date.year, date.month, date.day
        while year >= 1970:
            days = [number for number in self._days_of(year, month) if number < before]
            if days:
                return day_number(year, month, days[-1]) * DAY + moments[-1] * 60
            earlier = [number for number in self.months if number < month]
            year, month, before = (year, earlier[-1], 32) if earlier else (year - 1, self.months[-1], 32)
        return None

    def count(self, low: int, high: int) -> int:
        """How many minutes are named from *low* to *high*, both included."""
        low, high = max(low, 0), min(high, int(times.LAST_TIME))
        if low > high:
            return 0
        (first, begin), (last, end) = divmod(low, DAY), divmod(high, DAY)
        moments = self._moments()
        before = bisect.bisect_left(moments, -(-begin // 60)) if self._has_day(first) else 0
        behind = len(moments) - bisect.bisect_right(moments, end // 60) if self._has_day(last) else 0
        return self._count_days(first, last) * len(moments) - before - behind

    def _count_days(self, first: int, last: int) -> int:
        begin, end = datetime.date.fromordinal(FIRST_DAY + first), datetime.date.fromordinal(FIRST_DAY + last)
        found = 0
        for year in range(begin.year, end.year + 1):
            for month in self.months:
                if (begin.year, begin.month) <= (year, month) <= (end.year, end.month):
                    days = self._days_of(year, month)
                    if (year, month) == (begin.year, begin.month):
                        days = [day for day in days if day >= begin.day]
                    if (year, month) == (end.year, end.month):
                        days = [day for day in days if day <= end.day]
                    found += len(days)
        return found

    def _moments(self) -> List[int]:
        if not self.moments:
            self.moments = [hour * 60 + minute for hour in self.hours for minute in self.minutes]
        return self.moments

    def _has_day(self, day: int) -> bool:
        date = datetime.date.fromordinal(FIRST_DAY + day)
        return date.month in self.months and self._is_meant(date.day, (day + 4) % 7)

    def _days_of(self, year: int, month: int) -> List[int]:
        """The days of a month that are named."""
        if month not in self.months:
            return []
        weekday = (day_number(year, month, 1) + 3) % 7
        days = range(1, length(year, month) + 1)
        return [day for day in days if self._is_meant(day, (weekday + day) % 7)]

    def _is_meant(self, day: int, weekday: int) -> bool:
        if self.is_either:
            return day in self.days or weekday in self.weekdays
        return day in self.days and weekday in self.weekdays


def day_number(year: int, month: int, day: int) -> int:
    """Days since 1970."""
    return datetime.date(year, month, day).toordinal() - FIRST_DAY


def length(year: int, month: int) -> int:
    """How many days a month has."""
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 28 if month == 2 and not is_leap else LONGEST[month - 1]


def limits(item: str, field: Field, first: str, last: Optional[str]) -> Tuple[int, int]:
    """The lowest and the highest value of *item*, which is `first` or `first-last`."""
    low = one_value(item, field, first)
    high = low if last is None else one_value(item, field, last)
    if last is not None and last.lower() == "sun":
        high = SUNDAY_AGAIN if low else 0  # the end of a week that begins on a Monday
    if low > high:
        start, end = field.low, field.high
        raise wrong(item, field, "it ends before it begins: write %s-%d,%d-%s" % (first, end, start, last))
    return low, high


def one_value(item: str, field: Field, word: str) -> int:
    if not word.isdigit():
        if word.lower() not in field.names:
            raise not_understood(item, field)
        return field.names[word.lower()]
    value, high = int(word), field.high if field.low or not field.names else SUNDAY_AGAIN
    if not field.low <= value <= high:
        raise wrong(item, field, "%d is not between %d and %d" % (value, field.low, high))
    return value


def wrong(item: str, field: Field, why: str) -> BadInput:
    return BadInput("when: %s in %s: %s" % (errors.shown(item), field.name, why))


# What other schedulers know, and this one does not: the sign, and what to do instead.
FOREIGN = (
    (r"\?", "? is not known: write *"),
    (r"~|\AH([(/].*)?\Z", "~ and H are not known: choose a value"),
    (r"#|[0-9]L\Z", "# and L are not known: write the days, as 1-7 for the first week, with */7 for its Sunday"),
    (r"\AL(W|-[0-9]+)?\Z", "L is not known: write the day, as 28 for one that each month has"),
    (r"[0-9]W\Z", "W is not known: write the days, as 1-5 for Monday to Friday"),
)


def not_understood(item: str, field: Field) -> BadInput:
    for sign, why in FOREIGN:
        if re.search(sign, item, re.I):
            return wrong(item, field, why)
    words = list(field.names)
    known = "%d-%d" % (field.low, field.high) + (", %s-%s" % (words[0], words[-1]) if words else "")
    return wrong(item, field, "write *, %s, a range a-b, a step */n or a-b/n, or several with commas" % known)


def wrong_number(text: str, number: int) -> BadInput:
    hint = "five are known: minute, hour, day of month, month, day of week"
    if number == 6:
        hint += "; for seconds: write every 10s"
    return BadInput("when: %s has %d field%s: %s" % (errors.shown(text), number, "" if number == 1 else "s", hint))
