"""A moment to come as people write it: 22:00, tomorrow 06:00, mon 6am, +2h; or an ISO 8601 time (times.parse_time)."""

from __future__ import annotations

import datetime
import re

from queuectl_lib import errors, times
from queuectl_lib.errors import BadInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

MOST_CHARACTERS = 60
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# A day or none, and a time of day that is seen to be one: 6 alone could be six hours.
WALL = (
    r"(?:(?P<day>today|tomorrow|mon(?:day)?|tues?(?:day)?|wed(?:nesday)?|thu(?:rs(?:day)?)?|fri(?:day)?|sat(?:urday)?"
    r"|sun(?:day)?) +)?(?:at +)?"
    r"(?P<hour>\d{1,2})(?:(?::(?P<minute>\d\d)(?::(?P<second>\d\d))?) ?(?P<half>[ap]m)?| ?(?P<half_alone>[ap]m))\Z"
)
WORDS = {"noon": "12:00", "midnight": "0:00"}
EXAMPLES = "2027-12-01T10:00:00Z, 22:00, tomorrow 06:00 or +2h"


def parse(value: object, name: str, now: float) -> float:
    """Seconds since 1970 of what *value* means *now*, which messages call *name*; without an offset it is local time.

    A time of day is the next one. Raises BadInput.
    """
    text = value.strip().lower() if isinstance(value, str) and value.isascii() and len(value) <= MOST_CHARACTERS else ""
    if text == "now":
        return now
    ahead = re.match(r"(?:\+|in +)(.+)\Z", text)
    if ahead:
        return now + times.parse_duration(ahead.group(1), name)
    wall = re.match(WALL, " ".join(WORDS.get(word, word) for word in text.split()))
    if wall:
        return by_the_wall(wall, value, name, now)
    try:
        return times.parse_time(value, name)
    except BadInput as error:
        if "such as" not in str(error):
            raise
    raise BadInput("%s: %s is not a time such as %s%s" % (name, errors.shown(value), EXAMPLES, hint(value, text)))


def hint(value: object, text: str) -> str:
    """What somebody may have meant, as the end of a message."""
    if text in ("today", "tomorrow") or text[:3] in DAYS:
        return ": a time of day is missing"
    if isinstance(value, (int, float)) or re.match(r"[\d.]+ *[a-z]*\Z", text):
        return ": a length of time from now is `delay`"
    return ""


def by_the_wall(wall: re.Match[str], value: object, name: str, now: float) -> float:
    """The next moment at which the clock on the wall shows that; of a day that is named, the one on it."""
    hour, minute, second = (int(wall.group(part) or 0) for part in ("hour", "minute", "second"))
    half = wall.group("half") or wall.group("half_alone")
    if half and 1 <= hour <= 12:
        hour = hour % 12 + 12 * (half == "pm")
    elif half:
        hour = 24
    try:
        at = datetime.time(hour, minute, second)
    except ValueError:
        raise BadInput("%s: %s is not a time that exists" % (name, errors.shown(value))) from None
    today = datetime.datetime.fromtimestamp(now)
    day = wall.group("day") or ""
    for ahead in days_ahead(day, today.weekday()):
        local = datetime.datetime.combine(today.date() + datetime.timedelta(ahead), at)
        for seconds in instants(local):
            if seconds > now or day in ("today", "tomorrow"):
                return seconds
    raise BadInput("%s: %s is not a time that exists" % (name, errors.shown(value)))


def days_ahead(day: str, weekday: int) -> List[int]:
    """How many days from today, a *weekday*, it may be; the nearest first."""
    if day[:3] in DAYS:
        first = (DAYS.index(day[:3]) - weekday) % 7
        return [first, first + 7]
    return {"today": [0], "tomorrow": [1]}.get(day, [0, 1, 2])


def instants(local: datetime.datetime) -> List[float]:
    """When the clock shows that: twice where it is put back; what it skips counts as if it had not been put forward."""
    first, second = (local.replace(fold=fold).timestamp() for fold in (0, 1))
    is_twice = second > first and datetime.datetime.fromtimestamp(second) == local
    return [first, second] if is_twice else [first]
