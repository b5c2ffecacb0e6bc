"""When a schedule is due: slots of cron lines and of intervals, computed forwards or backwards from any instant."""

from __future__ import annotations

import re

from queuectl_lib import errors, times, values
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import wall_clock
from queuectl_lib.jobs.cron_fields import CronFields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from queuectl_lib.jobs.wall_clock import Zone

MOST_CHARACTERS = 1000
MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def parse(when: object, zone: object, anchor: float) -> Timing:
    """The timing that *when* asks for, by the clock of *zone*; intervals are counted from *anchor*.

    Raises BadInput, or HostError where the zone cannot be had here.
    """
    text = " ".join(values.check_text(when, "when").split())
    if len(text) > MOST_CHARACTERS:
        raise BadInput("when: %s is longer than %d characters" % (errors.shown(text), MOST_CHARACTERS))
    clock = wall_clock.find(values.check_text(zone, "tz"))
    match = re.match(r"@?every (\d.*|\S+)\Z", text, re.I)
    if match:
        return Interval("every " + match.group(1), clock, anchor, times.parse_duration(match.group(1), "when"))
    if text.startswith("@"):
        if text.lower() == "@reboot":
            raise BadInput("when: @reboot is what cron alone can do: leave it in the crontab")
        if text.lower() not in MACROS:
            raise errors.unknown_name("time", text, list(MACROS) + ["@every 15m"])
        return Cron(text.lower(), clock, CronFields(MACROS[text.lower()]))
    if not text or text.split()[0].lower() == "every" or len(text.split()) == 1:
        why = "write five fields such as 17 3 * * *, or @daily, or every 15m"
        raise BadInput("when: %s is not understood: %s" % (errors.shown(text), why))
    return Cron(text, clock, CronFields(text))


class Timing:
    """When a schedule is due. All times are seconds since 1970; a slot is the instant of one run."""

    def __init__(self, text: str, zone: Zone) -> None:
        self.text = text  # as given, in one form
        self.zone = zone

    def after(self, now: float) -> Optional[float]:
        """The first slot after *now*; None where there is none before the year 9999 ends."""
        raise NotImplementedError

    def newest(self, now: float, since: float, number: int) -> List[float]:
        """The newest slots up to *now* and after *since*, at most *number* of them, in the order of time."""
        raise NotImplementedError

    def count_between(self, since: float, now: float, most: int) -> int:
        """How many slots are after *since* and up to *now*; *most* where there are more."""
        raise NotImplementedError

    def next_several(self, now: float, number: int) -> List[Tuple[float, str]]:
        """The first slots after *now*, each with a word where a change of the clock moved it or left one out."""
        found: List[Tuple[float, str]] = []
        while len(found) < number:
            slot = self.after(now)
            if slot is None:
                break
            found.append((slot, self.remark(slot, now)))
            now = slot
        return found

    def remark(self, slot: float, before: float) -> str:
        """What a change of the clock did to *slot*, or to what is missing between it and *before*; "" for nothing."""
        return ""

    def words(self) -> List[str]:
        """What whoever sets this should know of it."""
        return []


class Cron(Timing):
    """Five fields, by the rule of Debian's cron.

    Where minute or hour begins with `*`, each minute that the clock on the wall shows counts, as often as it shows it.
    Any other time comes once: when the clock first comes to it, or has gone past it.
    """

    def __init__(self, text: str, zone: Zone, fields: CronFields) -> None:
        super().__init__(text, zone)
        self.fields = fields

    def after(self, now: float) -> Optional[float]:
        second = first_second_after(now)  # of a stretch in which the clock is not changed
        while second <= times.LAST_TIME:
            east = self.zone.offset(second)
            wall = self.fields.next_wall(self._first_wall(second, east))
            if wall is None:
                return None
            slot = max(wall - east, second)
            near = second + wall_clock.STRIDE
            change = self.zone.next_change(second, min(slot, near))
            if change is None and slot <= near:
                return float(slot) if slot <= times.LAST_TIME else None
            second = max(near, slot - wall_clock.STRIDE) if change is None else change
        return None

    def _before(self, second: int) -> Optional[int]:
        """The last slot up to *second*."""
        while second >= 0:
            east = self.zone.offset(second)
            wall = self.fields.last_wall(second + east)
            if wall is None:
                return None
            change = self.zone.last_change(second - wall_clock.STRIDE, second)
            begin = second - wall_clock.STRIDE if change is None else change
            if wall >= self._first_wall(begin, self.zone.offset(begin)):
                return max(wall - east, begin)
            second = min(begin - 1, wall - east + wall_clock.STRIDE) if change is None else change - 1
        return None

    def _first_wall(self, second: int, east: int) -> int:
        """The first wall time that can have its slot at *second* or later."""
        return second + east if self.fields.follows_clock else self.zone.reached(second - 1) + 1

    def newest(self, now: float, since: float, number: int) -> List[float]:
        found: List[float] = []
        slot = self._before(int(min(now, times.LAST_TIME) // 1))
        while slot is not None and slot > since and len(found) < number:
            found.append(float(slot))
            slot = self._before(slot - 1)
        return found[::-1]

    def count_between(self, since: float, now: float, most: int) -> int:
        second, last, found = first_second_after(since), int(min(now, times.LAST_TIME) // 1), 0
        while second <= last and found < most:
            change = self.zone.next_change(second, last)
            end = last if change is None else change - 1
            east = self.zone.offset(second)
            low, high = self._first_wall(second, east), second + east
            found += self.fields.count(low, high) > 0  # what the clock has gone past comes at one instant
            found += self.fields.count(max(low, high + 1), end + east)
            second = end + 1
        return min(found, most)

    def remark(self, slot: float, before: float) -> str:
        second = int(slot)
        low = first_second_after(before) - 1 if self.fields.follows_clock else second - 1
        change = self.zone.next_change(low, second)
        while change is not None:
            lost = self._lost(change, second)
            if lost:
                return ("left out: %s" if self.fields.follows_clock else "moved: %s") % lost
            change = self.zone.next_change(change, second)
        east = self.zone.offset(second)
        if self.fields.follows_clock:
            return "again: the clock was put back" if self.zone.reached(second - 1) >= second + east else ""
        change = self.zone.next_change(second, second + wall_clock.STRIDE)
        if change is not None and change + self.zone.offset(change) <= second + east:
            return "the first of two: %s comes twice" % self._time_text(second + east, second + east)
        return ""

    def _lost(self, change: int, slot: int) -> str:
        """Which named minutes the clock went past at *change*, in words."""
        low, high = self.zone.reached(change - 1) + 1, change + self.zone.offset(change) - 1
        number = self.fields.count(low, high)
        first, last = self.fields.next_wall(low), self.fields.last_wall(high)
        if not number or first is None or last is None:
            return ""
        text = self._time_text(first, slot + self.zone.offset(slot))
        if number == 1:
            return text + " does not exist"
        return "%s %s %s do not exist" % (text, "and" if number == 2 else "to", self._time_text(last, first))

    def _time_text(self, wall: int, other: int) -> str:
        """The time of day of *wall*, behind its day where that is not the one of *other*."""
        text = wall_clock.wall_text(wall)[:16]
        return text[11:] if wall // wall_clock.DAY == other // wall_clock.DAY else text

    def words(self) -> List[str]:
        return list(self.fields.notes)


class Interval(Timing):
    """Every so many seconds from an anchor on, whatever any clock on a wall shows."""

    def __init__(self, text: str, zone: Zone, anchor: float, seconds: float) -> None:
        """Raises BadInput for less than a second."""
        super().__init__(text, zone)
        if seconds < 1:
            raise BadInput("when: %s: at most once a second: write every 1s or more" % errors.shown(text))
        self.seconds = seconds
        self.anchor = anchor
        self.first, self.step = round(anchor * 1e6), round(seconds * 1e6)

    def _slot(self, number: int) -> float:
        """To the microsecond, as times are stored: what is read back is the same slot."""
        return (self.first + number * self.step) / 1e6

    def _number(self, now: float) -> int:
        """The number of the last slot up to *now*; -1 before the anchor."""
        number = (round(now * 1e6) - self.first) // self.step
        if self._slot(number) > now:
            number -= 1
        elif self._slot(number + 1) <= now:  # in far years a float is no longer good for a microsecond
            number += 1
        return max(number, -1)

    def after(self, now: float) -> Optional[float]:
        slot = self._slot(self._number(now) + 1)
        return slot if slot <= times.LAST_TIME else None

    def newest(self, now: float, since: float, number: int) -> List[float]:
        last = self._number(min(now, times.LAST_TIME))
        first = max(self._number(since), last - number) + 1
        return [self._slot(place) for place in range(first, last + 1)]

    def count_between(self, since: float, now: float, most: int) -> int:
        return max(0, min(most, self._number(min(now, times.LAST_TIME)) - self._number(since)))

    def words(self) -> List[str]:
        second = int(self.anchor)
        if self.seconds % wall_clock.DAY or self.zone.next_change(second, second + 366 * wall_clock.DAY) is None:
            return []
        word = "%s counts elapsed time: by the clock it moves by an hour with summer time, as 30 7 * * * does not"
        return [word % self.text]


def first_second_after(now: float) -> int:
    return int(max(now, -1.0) // 1) + 1
