"""Times for people: by the clock of this host, with its offset once on a screen, and wherever it is another one.

Programs are given UTC (times.utc_text): in the database, and with --json.
"""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import wall_clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

LOCAL, UTC = wall_clock.Zone("local", wall_clock.host_offset), wall_clock.find("UTC")
LENGTH = len("2027-12-01 10:00:00")  # what stands before the offset


def text(seconds: float) -> str:
    """A time (seconds since 1970) by the clock of this host, with its offset: 2027-12-01 10:00:00 +01:00."""
    known = min(max(seconds, times.FIRST_TIME), times.LAST_TIME)
    try:
        return LOCAL.text(known)
    except OverflowError:  # in the last hours of the year 9999, which east of UTC are no more
        return UTC.text(known)


def offset_text(seconds: float) -> str:
    """The offset alone: +01:00."""
    return text(seconds)[LENGTH + 1 :]


def shortened(shown: str) -> str:
    """A time as a table has it, for a narrow one: without year and seconds; anything else as it is."""
    return shown[5:16] + shown[LENGTH:] if shown[:1].isdigit() and len(shown) >= LENGTH else shown


class Screen:
    """The times of one screen: the first has its offset, and so has each whose offset is not the one shown before.

    With *now* the offset of that moment counts as shown: a heading has it.
    """

    def __init__(self, now: Optional[float] = None) -> None:
        self.offset = "" if now is None else offset_text(now)

    def text(self, moment: object) -> str:
        """What is kept as a time; as it stands where it is none: changed by hand, or damaged."""
        try:
            return self.of(times.parse_time(moment, "time"))
        except BadInput:
            return str(moment)

    def of(self, seconds: float) -> str:
        """The same of seconds since 1970."""
        whole = text(seconds)
        short = self.beside(whole)
        self.offset = whole[LENGTH + 1 :]
        return short

    def beside(self, whole: str) -> str:
        """The same of a time by any clock, as :func:`text` has it, in a table whose heading has the offset of this."""
        return whole[:LENGTH] if whole[LENGTH + 1 :] == self.offset else whole

    def heading(self, word: str) -> str:
        """That of a column of times."""
        return "%s (%s)" % (word, self.offset)
