"""How much, how often, how long: the numbers that supervisors and workers go by.

(How long a process may resist SIGKILL is host/processes.KILL_SECONDS; the grace before is a setting.)
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

BATCH_MOST = 32  # jobs that one worker claims ahead at the most
AHEAD_SECONDS = 0.05  # what it claims ahead it expects to run within this time
QUICK_SECONDS = 0.02  # a job that takes longer has the rest given back
HEED_SECONDS = 0.05  # how often a worker looks for requests at the most
TICK_SECONDS = 0.25  # the longest rest of a busy worker between two rounds
CALM_TICK_SECONDS = 0.5  # the same where all that runs has written nothing for CALM_SECONDS
CALM_SECONDS = 10.0
SUPERVISOR_TICK_SECONDS = 0.5  # the same for a supervisor, whom signals and dying workers wake at once
DRAIN_TICK_SECONDS = 0.1  # how often a worker that drains asks whether anything is left
ADOPTED_TICK_SECONDS = 0.1  # how often a job that is nobody's child is looked at
LOOK_AROUND_SECONDS = 1.0  # how often cancels and orphans are looked for
LOOKS_PER_SECOND = 4  # that all workers of a supervisor together take at the most, while their jobs are short
STANDING_SECONDS = 0.5  # how often supervisors and workers look whether the queue is still at its path
GONE_SECONDS = 3.0  # a database that is away for so long, beside its folder, was moved or deleted
SETTLED_SECONDS = 3.0  # how long files must have been at rest before their times are trusted
FRESH_SECONDS = 10.0  # how long an answer of the database counts at the most; that of many workers, in turn, longer
FRESH_TURNS = 4  # of how many at the most
APART_SECONDS = 60.0  # how long a schedule in trouble is left alone, and an answer about all of them counts at the most
LOOK_AT_ALL_SECONDS = 8.0  # how often who is idle looks at all there is where no file changed: before a stop gives up
CLOCK_SET_SECONDS = 0.5  # a clock that moved so far against the monotonic one was set
SHORT_LIFE_SECONDS = 1.0  # a worker that dies sooner is replaced after a pause, not in a spin
EARLY_DEATH_SECONDS = 10.0  # one that dies within this was killed by what may kill the next one, too: told if it does
BOOT_FAILURES = 3  # workers that die before they began, in a row, that stop a supervisor that was never ready
NO_START_SECONDS = 30.0  # longest pause between two tries while no worker can start
OTHER_VERSION = 4  # the exit code of a worker whose files are of another version than its supervisor
LOCK_SECONDS = 0.5  # how long a worker whose jobs run waits for a lock at one go, before it looks at them
TROUBLE_SECONDS = 5.0  # longest pause between two tries while the database refuses
DEAF_SECONDS = 20.0  # who has not left so long after a stop that waits for no job, and their grace, hangs: it is killed
STOP_SECONDS = 30.0  # how long it may refuse a worker that has only to record what has ended, and leave


def pause_between_looks(now: float, began: Sequence[float], workers: int) -> float:
    """Seconds between two looks for cancels and orphans, where jobs *began* then (monotonic).

    A second where a job of ours may have been cancelled that long ago, so has run for so long.
    Else many workers share the looking: each looks seldom, all of them several times a second.
    (A look costs the more the more workers there are; one that is new looks at once.)
    """
    if any(now - moment >= LOOK_AROUND_SECONDS for moment in began):
        return LOOK_AROUND_SECONDS
    return max(LOOK_AROUND_SECONDS, workers / LOOKS_PER_SECOND)


def until(due: Optional[float], pause: float) -> float:
    """How long to wait, *pause* seconds at the most, for what is *due* then (seconds since 1970)."""
    return pause if due is None else max(0.0, min(pause, due - time.time()))


def longest_rest(drain: bool) -> float:
    """How long an idle worker waits for the bell at the most, until it looks or asks."""
    return DRAIN_TICK_SECONDS if drain else LOOK_AROUND_SECONDS


def fresh_seconds(workers: int, share: float) -> float:
    """How long an answer of an unchanged database counts: so that of many *workers* one asks every FRESH_SECONDS.

    *share*, from 0 to 1, is drawn anew each time: they are not to ask all at once.
    """
    return FRESH_SECONDS * (1 + 2 * share * (min(workers, FRESH_TURNS) - 1))


class Pace:
    """How many short jobs a worker claims at once: twice as many each time, while they end quickly."""

    def __init__(self) -> None:
        self.batch = 1  # how many to claim
        self.seconds = 0.0  # that a job took of late

    def is_long(self) -> bool:
        """True where the next job is more likely a long one."""
        return self.seconds >= QUICK_SECONDS

    def follow(self, took: float) -> None:
        """A job took so many seconds: no more are claimed than fit into AHEAD_SECONDS at the pace of late."""
        took = min(took, AHEAD_SECONDS)  # however long one was: after a few short ones more are claimed again
        self.seconds = max(took, self.seconds + (took - self.seconds) / 4)
        fitting = int(AHEAD_SECONDS / max(self.seconds, AHEAD_SECONDS / BATCH_MOST))
        self.batch = max(1, min(self.batch * 2, fitting))
