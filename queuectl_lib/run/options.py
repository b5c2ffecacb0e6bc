"""What `worker start` is asked for, from words and back; and the settings in which that is contained."""

from __future__ import annotations

from queuectl_lib import settings, times, values
from queuectl_lib.errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

    from queuectl_lib.settings import Settings
    from queuectl_lib.values import Fields


class Options:
    """What `worker start` was asked for; seconds where it is a time. *overrides* stand in place of settings."""

    def __init__(
        self, workers: int, drain: bool, overrides: Optional[Fields] = None, max_seconds: Optional[float] = None
    ) -> None:
        self.workers = workers
        self.drain = drain
        self.overrides = overrides or {}
        self.max_seconds = max_seconds


def checked_options(count: str, drain: bool, overrides: Dict[str, str], max_time: Optional[str]) -> Options:
    """What the words of a command line ask for; *overrides* by the key of the setting. Raises BadInput."""
    meant = {key: settings.setting_from_text(key, text, option_of(key)) for key, text in overrides.items()}
    return Options(
        workers=values.count_from_text(count, "--count", 1000),
        drain=drain,
        overrides={key: settings.check_setting(key, value) for key, value in meant.items()},
        max_seconds=None if max_time is None else times.parse_duration(max_time, "--max-time"),
    )


def option_of(key: str) -> str:
    """The option of `worker start` that stands in place of the setting *key*."""
    return "--" + key.replace("_", "-")


def command_line(script: str, home: str, name: str, options: Options) -> List[str]:
    """The words that start a supervisor *name* with these options: the reverse of :func:`checked_options`."""
    words = [script, "--home", home, "worker", "start", "--name", name, "--count", str(options.workers)]
    for key, value in options.overrides.items():
        words += [option_of(key), values.number_text(value)]
    if options.max_seconds is not None:
        words += ["--max-time", values.number_text(options.max_seconds)]
    return words + ["--drain"] * options.drain


class CurrentSettings:
    """The settings as a worker has them: the last ones that could be read, with *overrides* in their place."""

    def __init__(self, read: Callable[[], Settings], overrides: Fields, say: Callable[[str], None]) -> None:
        self.read = read
        self.overrides = overrides
        self.say = say
        self.told = ""
        self.settings = read().but(**overrides)

    def refresh(self) -> None:
        """Take over what was changed; where it cannot be read the old ones hold, which is said once."""
        try:
            self.settings = self.read().but(**self.overrides)
            self.told = ""
        except QueueError as error:
            if self.told != str(error):
                self.told = str(error)
                self.say("%s; the old settings hold" % error)
