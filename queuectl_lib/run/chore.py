"""What all chores of a supervisor have in common (run/chores)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    from queuectl_lib.store.database import Database


def to_nobody(text: str) -> None:
    """Where nobody is to hear it."""


class Chore:
    """What all have in common: a turn each time that the supervisor rests, and what they need to know."""

    is_service = False  # of a supervisor that still serves, and not of one that stops

    def __init__(self, database: Database, say: Callable[[str], None] = to_nobody) -> None:
        self.database = database
        self.say = say

    def turn(self) -> None:
        raise NotImplementedError

    def due(self) -> Optional[float]:
        """When it has something to do (seconds since 1970) that no file tells of; None for no such thing."""
        return None

    def mourn(self) -> None:
        """A worker has died."""

    def close(self) -> None:
        """The supervisor leaves."""
