"""What all chores of a supervisor have in common (run/chores)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    from queuectl_lib.settings import ConfigFile
    from queuectl_lib.store.database import Database


def to_nobody(text: str) -> None:
    """Where nobody is to hear it."""


class Supervised:
    """What a chore may want to know of its supervisor, which *drains* or does not."""

    def __init__(self, name: str, config: ConfigFile, drains: bool) -> None:
        self.name = name
        self.config = config
        self.home = config.home
        self.drains = drains


class Chore:
    """What all have in common: a turn each time that the supervisor rests, and what they need to know."""

    is_service = False  # of a supervisor that still serves, and not of one that stops

    def __init__(self, database: Database, say: Callable[[str], None] = to_nobody) -> None:
        self.database = database
        self.say = say

    def meet(self, supervisor: Supervised) -> None:
        """Before its first turn."""

    def turn(self) -> None:
        raise NotImplementedError

    def due(self) -> Optional[float]:
        """When it has something to do (seconds since 1970) that no file tells of; None for no such thing."""
        return None

    def mourn(self) -> None:
        """A worker has died."""

    def lingers(self, stage: str) -> bool:
        """True while a supervisor without workers is to wait for it, asked to stop (a *stage*) or not ("")."""
        return False

    def close(self) -> None:
        """The supervisor leaves."""
