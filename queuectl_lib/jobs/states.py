"""The states of a job and its moves between them."""

from __future__ import annotations

from queuectl_lib import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

STATES = ("pending", "processing", "completed", "failed", "dead", "cancelled")
WAITING = ("pending", "failed")
FINAL = ("completed", "dead", "cancelled")

MOVES = {
    "pending": {"processing": "claim", "cancelled": "cancel"},
    "processing": {
        "completed": "complete",
        "failed": "fail",
        "dead": "fail",
        "cancelled": "cancel",
        "pending": "release",
    },
    "completed": {},
    "failed": {"processing": "claim", "cancelled": "cancel"},
    "dead": {"pending": "requeue"},
    "cancelled": {"pending": "requeue"},
}


def check_states(text: Optional[str]) -> List[str]:
    """The states that *text* names, with commas between them; none where there is no text. Raises BadInput."""
    states = [] if text is None else text.split(",")
    for state in states:
        if state not in STATES:
            raise errors.unknown_name("state", state, STATES)
    return sorted(set(states))
