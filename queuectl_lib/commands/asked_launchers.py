"""What jobs ask of launchers, held against config.json and the queues of this home. Loaded where one asks."""

from __future__ import annotations

from queuectl_lib.jobs import launcher_words, launchers
from queuectl_lib.jobs.making import DEFAULT
from queuectl_lib.store import queues

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Optional

    from queuectl_lib.commands.frame import Call


class Asked:
    """The launchers that there are for the jobs of one call."""

    def __init__(self, call: Call) -> None:
        self.database = call.queue().database
        self.settings = call.config()
        self.of_queues: Optional[Dict[str, Optional[str]]] = None

    def refuse(self, get: Callable[[str], object]) -> None:
        """Raise BadInput where a job, whose value of a key *get* has, asks for what it cannot have."""
        launcher_words.refuse_job(get, self.settings.launchers, lambda: self.there_is(get("queue")))

    def there_is(self, queue: object) -> bool:
        """True where a job of *queue* (None: the default one) that names no launcher has one."""
        if self.settings.launcher is not None:
            return True
        if self.of_queues is None:
            self.of_queues = queues.launchers(self.database)
        return self.of_queues.get(str(queue or DEFAULT)) not in (None, launchers.NONE)
