"""Time zones: what the clock on the wall shows at an instant, when it is changed, and how far it has come."""

from __future__ import annotations

import datetime
import os
import re
import sys
import time

from queuectl_lib import errors, times
from queuectl_lib.errors import BadInput, HostError
from queuectl_lib.host import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional

DAY = 86400
# In no zone two changes have been, or are foreseen, within six days (Recife undid one after seven, in 2000),
# and none is further than 25 hours from UTC: so in a stride there is at most one, and walls do not come back after it.
STRIDE = 3 * DAY
LAST = int(times.LAST_TIME)


class Zone:
    """A time zone: *offset* tells for a whole second since 1970 how many seconds east of UTC its clock is."""

    def __init__(self, name: str, offset: Callable[[int], int], is_fixed: bool = False) -> None:
        self.name = name
        self.offset = offset
        self.is_fixed = is_fixed

    def next_change(self, low: int, high: int) -> Optional[int]:
        """The first second after *low*, up to *high*, with another offset than the one before it."""
        while low < high and not self.is_fixed:
            end = min(low + STRIDE, high)
            if self.offset(low) != self.offset(end):
                return self._change_within(low, end)
            low = end
        return None

    def last_change(self, low: int, high: int) -> Optional[int]:
        """The last one of them."""
        while low < high and not self.is_fixed:
            begin = max(high - STRIDE, low)
            if self.offset(begin) != self.offset(high):
                return self._change_within(begin, high)
            high = begin
        return None

    def _change_within(self, low: int, high: int) -> int:
        before = self.offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset(middle) == before:
                low = middle
            else:
                high = middle
        return high

    def reached(self, second: int) -> int:
        """The furthest that the clock on the wall has shown up to *second*: it may have been put back since."""
        wall = second + self.offset(second)
        change = self.next_change(second - STRIDE, second)
        return wall if change is None else max(wall, change - 1 + self.offset(change - 1))

    def text(self, second: float) -> str:
        """An instant as its clock shows it, with the offset: 2026-03-29 03:00:00 +02:00."""
        east = self.offset(int(second // 1))
        sign, (hours, rest) = "-" if east < 0 else "+", divmod(abs(east), 3600)
        return "%s %s%02d:%02d" % (wall_text(int(second // 1) + east), sign, hours, rest // 60)


def wall_text(wall: int) -> str:
    return times.second_text(wall).replace("T", " ")


def look_again() -> None:
    """Heed that the zone of the host may be another one now; for whoever is about to compute, in a long life."""
    if hasattr(time, "tzset"):
        time.tzset()


OFFSET = r"[+-]\d\d(?::?\d\d)?\Z"


def find(name: str) -> Zone:
    """The zone of that *name*. Raises BadInput for one that is unknown, HostError for one that cannot be had here."""
    if name == "local":
        if system.WINDOWS and os.environ.get("TZ"):
            raise BadInput("tz: local: Windows makes up rules of its own for the variable TZ: unset it, or name a zone")
        return Zone(name, host_offset)
    if name.upper() == "UTC":
        return Zone("UTC", lambda second: 0, True)
    if re.match(OFFSET, name, re.ASCII):
        try:
            seconds = times.zone_seconds(name)
        except ValueError:
            raise BadInput("tz: %s is not an offset that exists" % errors.shown(name)) from None
        return Zone(name, lambda second: seconds, True)
    return named(name)


CYCLE = 400 * 365.2425 * DAY  # after which the calendar repeats itself, week days and all


def host_offset(second: int) -> int:
    """Seconds east of UTC on this host."""
    try:
        return time.localtime(max(second, 0)).tm_gmtoff
    except (ValueError, OverflowError, OSError):  # Windows knows no year after 3000
        if second < CYCLE:
            raise HostError("this system cannot tell its local time of %s" % times.utc_text(second)) from None
        return host_offset(second - int(CYCLE))


NAME = r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*\Z"


def named(name: str) -> Zone:
    """A zone of the data that Python or the host has."""
    if sys.version_info >= (3, 9):
        import zoneinfo

        found = None
        if re.match(NAME, name) and len(name) <= errors.NAME_CHARACTERS and not name.startswith("right/"):
            try:  # those under right/ count leap seconds
                found = zoneinfo.ZoneInfo(name)
            except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
                pass
        if found is None:
            raise unknown(name, sorted(zoneinfo.available_timezones()))
        return Zone(name, offset_of(found))
    old = "tz: %s: names of zones need Python 3.9: here are local, UTC and offsets such as +02:00"
    raise HostError(old % errors.shown(name))


def offset_of(zone: datetime.tzinfo) -> Callable[[int], int]:
    epoch = times.EPOCH.replace(tzinfo=zone)

    def offset(second: int) -> int:
        found = zone.fromutc(epoch + datetime.timedelta(0, min(second, LAST - DAY))).utcoffset()
        return 0 if found is None else found.days * DAY + found.seconds

    return offset


def unknown(name: str, known: List[str]) -> errors.QueueError:
    """The refusal of a zone that is none of *known*."""
    if not known:
        return HostError(
            "tz: %s: this host has no data of time zones: install tzdata (as with `pip install tzdata`), "
            "or use local, UTC or an offset such as +02:00" % errors.shown(name)
        )
    import difflib  # needed only to refuse

    near = difflib.get_close_matches(name[: errors.NAME_CHARACTERS], known, 1, 0.5)
    hint = "did you mean %s?" % near[0] if near else "write local, UTC, +02:00 or a name such as Europe/Berlin"
    return BadInput("tz: unknown zone %s: %s" % (errors.shown(name), hint))
