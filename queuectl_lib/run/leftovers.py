"""What the attempts of a job left running: named, and ended, for a person who cancels it.

A process is one of these by the marks that host/tree knows, and this queue's own; what cannot be proved to be one is
named at the most. In a copy of a queue nothing is: what runs is the original's.
"""

from __future__ import annotations

from queuectl_lib.host import locks, sight
from queuectl_lib.run import concluding, run_file
from queuectl_lib.store import cancelling, identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Sequence

    from queuectl_lib.store.database import Database

    Left = Dict[str, Dict[str, str]]  # id: token: who lives


def living(database: Database, ids: Sequence[str]) -> Left:
    """Of those of these jobs of whose earlier attempts something lives: pid and program, by the token of the attempt.

    Raises QueueError.
    """
    tokens: Dict[str, List[str]] = {identifier: cancelling.left_running(database, identifier) for identifier in ids}
    found: Left = {}
    if not any(tokens.values()) or identity.copied_from(database):
        return found
    database.folder.identity = identity.noted_id(database)
    if not database.folder.identity:
        return found
    with sight.TOGETHER:
        for identifier, some in tokens.items():
            names = {token: who_lives(database, token) for token in some}
            if any(names.values()):
                found[identifier] = {token: text for token, text in names.items() if text}
    return found


def who_lives(database: Database, token: str) -> str:
    """Who of one attempt, which is over; "" where nobody does."""
    run_path = database.folder.attempt_path(token, "run")
    tree = run_file.tree_of(token, run_path, database.folder.identity)
    return tree.left() or (tree.others() if locks.is_held(run_path) else "")


def names(left: Dict[str, str]) -> str:
    """All of these, for people."""
    return ", ".join(left.values())


def end(database: Database, left: Dict[str, str], seconds: float) -> str:
    """End what *living* found of one job: TERM, *seconds* of grace, KILL. Who resisted. Raises OSError."""
    rest = [concluding.end_left(database.folder, token, seconds) for token in left]
    return ", ".join(filter(None, rest))
