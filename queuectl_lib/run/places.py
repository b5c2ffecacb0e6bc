"""The places that supervisors with a --max-time share: from cron each minute, they must not pile up."""

from __future__ import annotations

import os

from queuectl_lib.errors import HostError
from queuectl_lib.store import roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.store.folder import Folder


class Places:
    """How many slots one supervisor may have now, less those of others with a --max-time, leaving or not.

    Whoever counts holds a lock until those that it starts can be counted, too. A supervisor without a
    --max-time neither waits nor is counted.
    """

    def __init__(self, folder: Folder, name: str, is_limited: bool) -> None:
        self.folder = folder
        self.name = name
        self.is_limited = is_limited
        self.are_taken = False  # by others: some of ours have to wait
        self.was_counted = False  # once
        self.lock: Optional[int] = None

    def most(self, wanted: int, own: int, all_up: bool) -> int:
        """How many slots there may be now, of as many as are *wanted*; we have *own*, on workers *all_up* or not.

        Raises HostError where that could be told not even once: what is in the way of that would be in that of a start.
        """
        if not self.is_limited:
            return wanted
        try:
            found = self._counted(wanted, own, all_up)
        except (HostError, OSError) as error:  # who else is there cannot be told now
            if own or self.was_counted:
                return own
            raise HostError("cannot start a worker: %s" % (getattr(error, "strerror", None) or error)) from None
        self.was_counted = True
        return found

    def _counted(self, wanted: int, own: int, all_up: bool) -> int:
        found = min(own, wanted)
        if own < wanted:
            if self.lock is None:
                self.lock = roster.try_start_lock(self.folder, "slots")
            if self.lock is not None:
                found = max(own, wanted - self.others())
                self.are_taken = found < wanted
        if all_up and found <= own:
            self.let_go()
        return found

    def others(self) -> int:
        """How many slots the living workers of other supervisors with a --max-time have."""
        found = [one for one in roster.members(self.folder) if one["kind"] == "worker" and one["limited"]]
        return sum(one.get("slots", 1) for one in found if one["supervisor"] != self.name)

    def let_go(self) -> None:
        """Let others count."""
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None
