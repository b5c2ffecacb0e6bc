"""The attempts of a job as people are told of them: their names, their ends, and where it was put back between.

When somebody has put a job back is not kept. It is known where an attempt has ended a job for good and another follows,
and, of the last time, by how many count since: `attempts` begins anew.
"""

from __future__ import annotations

from queuectl_lib import errors, times
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

    from queuectl_lib.values import Fields

NOT_COUNTED = (states.GIVEN_BACK, states.SNOOZED)  # they cost no retry


def in_all(job: Fields) -> int:
    """How many attempts there were: the rows of old ones that were snoozed are gone (store/snoozing)."""
    history: List[Fields] = job["history"]
    number = history[-1]["number"] if history else 0
    return max(len(history), number) if type(number) is int else len(history)


def put_back(job: Fields) -> List[int]:
    """Before which of the attempts, by their place in the history, somebody has put the job back, as far as is known.

    The length of the history where that was after the last one.
    """
    history: List[Fields] = job["history"]
    ended = (states.CANCELLED, states.COMPLETED)
    found = {place for place in range(1, len(history)) if history[place - 1]["outcome"] in ended}
    counted, place = job["attempts"], len(history)
    if type(counted) is int and job["state"] in states.STATES:
        while place and (counted > 0 or history[place - 1]["outcome"] in NOT_COUNTED):
            place -= 1
            counted -= history[place]["outcome"] not in NOT_COUNTED
        if place > 0 and (place < len(history) or job["state"] == "pending"):
            found.add(place)
    return sorted(found)


def name(job: Fields, attempt: Fields) -> str:
    """What an attempt is called: attempt 2 of 4; without the number of all where it is not one of these."""
    number, retries = attempt["number"], job["max_retries"]
    called = "attempt %s" % errors.printable(str(number))
    is_plain = in_all(job) == job["attempts"] and not put_back(job)
    if is_plain and type(number) is type(retries) is int and number <= retries + 1:
        return "%s of %d" % (called, retries + 1)
    return called


def seconds_of(attempt: Fields, now: float) -> float:
    """How long it took, or has been running *now*; -1 where what stands there is no time."""
    begin = times.seconds_or(attempt["started_at"], -1.0)
    end = now if attempt["outcome"] == states.RUNNING else times.seconds_or(attempt["finished_at"], -1.0)
    return max(0.0, end - begin) if begin >= 0 and end >= 0 else -1.0


def how(attempt: Fields) -> str:
    """How it ended, in words: failed: exit code 1; timed out after 3 s; completed."""
    from queuectl_lib.reports import failures  # which what has succeeded needs not

    outcome = errors.printable(str(attempt["outcome"]))
    if attempt["outcome"] == states.COMPLETED and not attempt["error"]:
        return outcome
    words = failures.how_it_ended(attempt)
    return words if words.startswith(outcome) else "%s: %s" % (outcome, words)
