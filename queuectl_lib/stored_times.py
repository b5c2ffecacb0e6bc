"""Times as they are stored, read quickly: for who reads hundreds of thousands of them (times.seconds_or reads one)."""

from __future__ import annotations

from queuectl_lib import times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

LENGTH = len("2027-03-04T05:06:07.000008Z")
MOST_MINUTES = 10000  # that are known at once: a week


class Clock:
    """Times to seconds since 1970, as times.seconds_or has them; -1.0 for what is none. Each minute is read once."""

    def __init__(self) -> None:
        self.minutes: Dict[str, int] = {}

    def seconds(self, text: object) -> float:
        micros = self.micros(text)
        return micros / 1e6 if micros >= 0 else -1.0

    def micros(self, text: object) -> int:
        """The same in whole microseconds; -1."""
        if not isinstance(text, str):
            return -1 if text is None else whole_micros(text)
        digits = text[17:19] + text[20:26]
        is_number = digits.isdigit() and digits.isascii() and digits < "6"
        if len(text) != LENGTH or text[19] != "." or text[26] != "Z" or not is_number:
            return whole_micros(text)
        minute = self.minutes.get(text[:17])
        if minute is None:
            minute = self.of_minute(text[:17])
        return minute + int(digits) if minute >= 0 else -1

    def of_minute(self, text: str) -> int:
        if len(self.minutes) >= MOST_MINUTES:
            self.minutes.clear()
        found = self.minutes[text] = whole_micros(text + "00Z")
        return found


def whole_micros(text: object) -> int:
    seconds = times.seconds_or(text, -1.0)
    return int(round(seconds * 1000000)) if seconds >= 0 else -1
