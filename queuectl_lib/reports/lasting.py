"""Troubles that last, for a `check` that cron calls: told when they begin, once a day while they last, and when over.

What was told is known by what was asked for: of two lines of cron with different limits each tells of its own.
"""

from __future__ import annotations

import contextlib
import json
import os

from queuectl_lib import contexts, errors, times
from queuectl_lib.errors import HostError
from queuectl_lib.host import system
from queuectl_lib.store import told_troubles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Sequence, Tuple

    from queuectl_lib.values import Fields
    from storage import Queue

AGAIN_SECONDS = 86400.0 - 60  # a line of cron is not quite punctual
SETTLING_SECONDS = 120.0  # after a start of the host, and after somebody has come or left: cron calls each minute

# By kind: which limit of the call it was found by, which fact says what it is of, and what it was once it is over.
KINDS = {
    "waiting": ("waiting", None, "jobs that wait too long"),
    "workers": (None, None, "work and no worker that can do it"),
    "launcher": (None, "launcher", "jobs of which the launcher %s tells nothing"),
    "lock": ("waiting", "lock", "jobs that wait too long for the lock %s"),
    "paused": (None, "queue", "queue %s paused for too long"),
    "held": (None, None, "jobs held for too long"),
    "gate": ("waiting", "queue", "queue %s kept shut by its gate"),
    "unserved": (None, "queue", "queue %s served by no worker"),
    "schedule": ("waiting", "schedule", "trouble with the schedule %s"),
    "disk": ("least", "path", "too little room on the disk that holds %s"),
    "hook": (None, None, "a hook that fails"),
    "expected": ("every", "key", "no success of a job with the key %s"),
}


class Asked:
    """What a `check` was asked for: as far as it decides whether something is a trouble."""

    def __init__(self, waiting: float, least: int, expected: Sequence[Tuple[str, float]]) -> None:
        self.limits: Dict[Optional[str], float] = {None: 0.0, "waiting": waiting, "least": float(least)}
        self.expected = expected
        self.passing: List[Optional[str]] = []  # names of what may be over in a moment

    def settled(self, queue: Queue, found: Sequence[Fields], now: float) -> List[Fields]:
        """*found* without the absence of workers, where a line of cron may be about to start one."""
        passing = [one for one in found if one["kind"] == "workers" and not part_of(one)]
        if not passing or not is_settling(queue, now):
            return list(found)
        self.passing = [self.name_of(one) for one in passing]
        return [one for one in found if one not in passing]

    def name_of(self, problem: Fields) -> Optional[str]:
        """What a trouble is known by from one call to the next; None of what is told but once anyway."""
        if problem["kind"] not in KINDS:
            return None
        by, fact, _ = KINDS[problem["kind"]]
        limit = problem["every"] if by == "every" else self.limits[by]
        return json.dumps([problem["kind"], limit, problem[fact] if fact else part_of(problem)])

    def has_looked_at(self, name: str) -> bool:
        """True where a trouble of this name would have been found now, if it were there."""
        kind, limit, what = read(name)
        if name in self.passing:
            return False
        if kind == "expected":
            return (what, limit) in [(key, float(every)) for key, every in self.expected]
        return kind in KINDS and limit == self.limits[KINDS[kind][0]]


def part_of(problem: Fields) -> str:
    return "supervisor" if "supervisor" in problem else "paused" if "pids" in problem else ""


def read(name: str) -> Tuple[str, float, str]:
    """A name in its parts; what somebody has put in its place is that of nothing."""
    try:
        kind, limit, what = json.loads(name)
        return str(kind), float(limit), str(what)
    except (ValueError, TypeError, RecursionError):
        return "", 0.0, ""


@contexts.contextmanager
def untold(queue: Queue, found: Sequence[Fields], asked: Asked, now: float) -> Iterator[List[str]]:
    """The sentences that are to be told now, of what was *found*; they count as told when the block ends well.

    Where nothing can be noted, all of them are, each time.
    """
    names = {name: problem for name, problem in ((asked.name_of(one), one) for one in found) if name}
    with contextlib.ExitStack() as held:
        can_note = os.path.exists(queue.path)
        told, over, known = changes(queue, names, asked, now) if can_note else (list(names), [], {})
        if can_note and (told or over):
            try:
                held.enter_context(told_troubles.gate(queue.database))
                told, over, known = changes(queue, names, asked, now)
            except HostError:
                can_note = False
        texts = [still(names[name]["text"], known.get(name), now) for name in told]
        texts += [over_text(name, known[name][0], now) for name in over]
        yield texts
        if can_note and (told or over):
            told_troubles.note(queue.database, told, over, now)


def changes(
    queue: Queue, names: Dict[str, Fields], asked: Asked, now: float
) -> Tuple[List[str], List[str], Dict[str, Tuple[float, float]]]:
    """Which troubles are to be told now, which that were are over, and what is known of those that were told."""
    known = told_troubles.known(queue.database)
    told = [name for name in names if name not in known or abs(now - known[name][1]) >= AGAIN_SECONDS]
    return told, [name for name in known if name not in names and asked.has_looked_at(name)], known


def still(text: str, known: Optional[Tuple[float, float]], now: float) -> str:
    return text if known is None else "%s (told first %s ago)" % (text, times.age_text(now - known[0]))


def over_text(name: str, first: float, now: float) -> str:
    kind, _, what = read(name)
    text = KINDS[kind][2]
    text = text % (errors.shown(what) if kind == "expected" else what) if "%s" in text else text
    return "over: %s (told first %s ago)" % (text, times.age_text(now - first))


def is_settling(queue: Queue, now: float) -> bool:
    """True where a line of cron may be about to start a worker: nobody's absence is a trouble yet."""
    if system.up_seconds() < SETTLING_SECONDS:
        return True
    try:
        return abs(now - os.stat(queue.folder.workers).st_mtime) < SETTLING_SECONDS
    except OSError:
        return False
