"""What a supervisor and its workers were asked for, and the settings in which that is contained."""

from __future__ import annotations

from queuectl_lib.errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, Sequence

    from queuectl_lib.settings import Settings
    from queuectl_lib.values import Fields


class Options:
    """What `worker start` was asked for; seconds where it is a time. *overrides* stand in place of settings.

    *jobs* are to run at once, on so many worker *processes*; *slots* has the one that is given these.
    """

    def __init__(
        self,
        jobs: int,
        drain: bool,
        overrides: Optional[Fields] = None,
        max_seconds: Optional[float] = None,
        processes: int = 1,
        slots: int = 1,
        served: Sequence[str] = (),
    ) -> None:
        self.jobs = jobs
        self.drain = drain
        self.overrides = overrides or {}
        self.max_seconds = max_seconds
        self.processes = processes
        self.slots = slots
        self.served = served  # queues (store/serving.is_served)

    def told(self) -> Fields:
        """What others are to know of it: whether its time is limited, and which queues it serves."""
        return {"limited": self.max_seconds is not None, "queues": list(self.served)}


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
