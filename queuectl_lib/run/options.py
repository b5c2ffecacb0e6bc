"""What `worker start` is asked for, from words and back."""

from __future__ import annotations

from queuectl_lib import settings, times, values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional


class Options:
    """What `worker start` was asked for; seconds where it is a time."""

    def __init__(
        self,
        workers: int,
        drain: bool,
        backoff_base: Optional[float],
        poll_interval: Optional[float],
        max_seconds: Optional[float],
    ) -> None:
        self.workers = workers
        self.drain = drain
        self.backoff_base = backoff_base
        self.poll_interval = poll_interval
        self.max_seconds = max_seconds


def checked_options(
    count: str, drain: bool, backoff_base: Optional[str], poll_interval: Optional[str], max_time: Optional[str]
) -> Options:
    """What the words of a command line ask for. Raises BadInput."""
    base: Any = None if backoff_base is None else values.decimal_number(backoff_base, "--backoff-base")
    return Options(
        workers=values.count_from_text(count, "--count", 1000),
        drain=drain,
        backoff_base=None if base is None else settings.check_setting("backoff_base", base),
        poll_interval=None if poll_interval is None else settings.check_setting("poll_interval", poll_interval),
        max_seconds=None if max_time is None else times.parse_duration(max_time, "--max-time"),
    )


def command_line(script: str, home: str, name: str, options: Options) -> List[str]:
    """The words that start a supervisor *name* with these options: the reverse of :func:`checked_options`."""
    words = [script, "--home", home, "worker", "start", "--name", name, "--count", str(options.workers)]
    given = (
        ("--backoff-base", options.backoff_base),
        ("--poll-interval", options.poll_interval),
        ("--max-time", options.max_seconds),
    )
    for option, value in given:
        words += [] if value is None else [option, values.number_text(value)]
    return words + ["--drain"] * options.drain
