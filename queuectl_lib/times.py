"""Moments and durations, read and written."""

from __future__ import annotations

import datetime
import functools
import re

from queuectl_lib import errors, values
from queuectl_lib.errors import BadInput

FIRST_TIME, LAST_TIME = 0.0, 253402300799.0  # 1970 to 9999
SECONDS_LIMIT = 100 * 366 * 86400

EPOCH = datetime.datetime(1970, 1, 1)  # time.gmtime knows no year after 3000 on Windows


def utc_text(seconds: float) -> str:
    """A wall-clock time (seconds since 1970) as ISO 8601 UTC with microseconds and Z."""
    micros = int(round(seconds * 1000000))
    whole, part = divmod(micros, 1000000)
    return "%s.%06dZ" % (second_text(whole), part)


@functools.lru_cache(maxsize=4)
def second_text(second: int) -> str:
    """A whole second of it: a busy worker writes hundreds of times of one."""
    return (EPOCH + datetime.timedelta(seconds=second)).isoformat()


def utc_seconds(text: str) -> float:
    """The reverse of :func:`utc_text`, for times that queuectl itself wrote."""
    return parse_time(text, "time")


def is_time(text: object) -> bool:
    """True for what :func:`utc_text` can have written, and for what one can have meant so."""
    try:
        return bool(parse_time(text, "time"))
    except BadInput:
        return False


def seconds_or(text: object, otherwise: float) -> float:
    """Like :func:`utc_seconds`, of what somebody else may have written: *otherwise* where that is no time."""
    try:
        return parse_time(text, "time")
    except BadInput:
        return otherwise


# Text, compiled at first use, as DURATION is: most calls need neither, and half a millisecond is much for them.
TIME = r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(?: *([Zz]|[+-]\d\d(?::?\d\d)?))?\Z"


def parse_time(text: object, name: str = "run_at") -> float:
    """Seconds since 1970 of an ISO 8601 time; without Z or an offset it is local time.

    Raises BadInput for anything else. (datetime.fromisoformat knows no Z before 3.11.)
    """
    match = re.match(TIME, text) if isinstance(text, str) and text.isascii() else None
    if not match:
        is_span = isinstance(text, (int, float)) or re.match(r"[+]?[0-9.]{1,9}[smhd]?\Z", str(text))
        hint = "; a time from now on is for `delay`" if name == "run_at" and is_span else ""
        raise BadInput("%s: %s is not a time such as 2027-12-01T10:00:00Z%s" % (name, errors.shown(text), hint))
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime.datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
        if zone is None:
            seconds = moment.timestamp()
        else:
            seconds = moment.replace(tzinfo=datetime.timezone.utc).timestamp() - zone_seconds(zone)
    except (ValueError, OverflowError, OSError):
        raise BadInput("%s: %s is not a time that exists" % (name, errors.shown(text))) from None
    seconds += int((fraction or "0").ljust(9, "0")) / 1e9
    if not FIRST_TIME <= seconds <= LAST_TIME:
        raise BadInput("%s: %s is not between the years 1970 and 9999" % (name, errors.shown(text)))
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


DURATION = (
    r"(?:(\d+(?:\.\d+)?) *w(?:eeks?)?)? *(?:(\d+(?:\.\d+)?) *d(?:ays?)?)? *(?:(\d+(?:\.\d+)?) *h(?:rs?|ours?)?)? *"
    r"(?:(\d+(?:\.\d+)?) *m(?:ins?|inutes?)?)? *(?:(\d+(?:\.\d+)?) *(?:s(?:ecs?|econds?)?)?)?\Z"
)
UNITS = (7 * 86400, 86400, 3600, 60, 1)
WITHOUT_UNIT = r".*[a-z] +[\d.]+\Z"  # behind a blank it may be of another: 1h 30


def parse_duration(value: object, name: str) -> float:
    """Seconds of a number or of text such as 90, 90s, 10m, 5min, 1h30m, 1h 30m, 2d, 1w. Raises BadInput."""
    if isinstance(value, str) and value.isascii() and len(value) <= 40:
        match = re.match(DURATION, value.strip())
        if match and match.group(0) and not (" " in value and re.match(WITHOUT_UNIT, value)):
            amounts = [float(amount or 0) for amount in match.groups()]
            return checked_seconds(sum(a * unit for a, unit in zip(amounts, UNITS)), value, name)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return checked_seconds(value, value, name)
    raise BadInput("%s: %s is not a duration such as 90, 90s, 10m or 1h30m" % (name, errors.shown(value)))


def checked_seconds(seconds: float, value: object, name: str) -> float:
    """*seconds* when it is a length of time that can be meant."""
    if not 0 <= seconds <= SECONDS_LIMIT:
        raise BadInput("%s: %s is not between 0 and 100 years" % (name, errors.shown(value)))
    return float(seconds)


def age_text(seconds: float) -> str:
    """A length of time in one short word: 7s, 12m, 3h, 5d."""
    seconds = abs(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return "%d%s" % (seconds // size, unit)
    return "%ds" % seconds


def exact_age(seconds: float) -> str:
    """A length of time as one gives it: 90m, 26h, 7d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0:
            return "%d%s" % (seconds // size, unit)
    return values.number_text(seconds) + "s"


def seconds_text(seconds: float) -> str:
    """What can be told of it in short: 0 s, 0.06 ms, 4.2 ms, 1.25 s, 12.5 s, 3600 s."""
    if 0.000005 <= seconds < 0.1:
        amount, unit, decimals = seconds * 1000, "ms", 2 if seconds < 0.001 else 1
    else:
        amount, unit, decimals = seconds, "s", 2 if seconds < 100 else 1 if seconds < 1000 else 0
    text = "%.*f" % (decimals, amount)
    return "%s %s" % (text.rstrip("0").rstrip(".") if "." in text else text, unit)


def span_text(seconds: float) -> str:
    """The same of what may last long, as durations are typed: 1.25 s, 4m12s, 2h5m, 3d4h."""
    if seconds < 100:
        return seconds_text(seconds)
    for size, unit, part, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m")):
        if seconds >= size:
            return "%d%s%s" % (seconds // size, unit, rest_text(seconds % size, part, small))
    return "%dm%s" % (seconds // 60, rest_text(seconds % 60, 1, "s"))


def rest_text(seconds: float, size: int, unit: str) -> str:
    return "%d%s" % (seconds // size, unit) if seconds >= size else ""


def check_timeout(value: object) -> float:
    """Seconds that an attempt may run."""
    seconds = parse_duration(value, "timeout")
    if seconds == 0:
        raise BadInput("timeout: 0 would end every attempt at once: leave it out for no limit")
    return seconds
