"""What a supervisor that drains waits for, said once where it is long: nobody takes it for one that hangs."""

from __future__ import annotations

import time

from queuectl_lib.run.chore import Chore
from queuectl_lib.store import later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, Tuple

    from queuectl_lib.store.database import Database

LOOK_SECONDS = 10.0  # between two looks


class Teller(Chore):
    """Says what all waits for, of each job and time once."""

    is_service = True

    def __init__(self, database: Database, say: Callable[[str], None]) -> None:
        super().__init__(database, say)
        self.look_at = 0.0  # seconds since 1970
        self.told: Tuple[str, float] = ("", 0.0)

    def due(self) -> Optional[float]:
        return self.look_at

    def turn(self) -> None:
        now = time.time()
        if now < self.look_at <= now + LOOK_SECONDS:  # else the clock went back
            return
        self.look_at = now + LOOK_SECONDS
        found = later.all_that_is_left(self.database, now)
        if found and (found.id, found.begin) != self.told:
            self.told = (found.id, found.begin)
            self.say(found.words(now))
