"""The states of a job, its moves between them, and how an attempt can end.

                     claim                  exit 0
    enqueue --> pending ------> processing --------> completed
                 ^  |  ^         |  |  ^ |
                 |  |  +-release,+  |  | +--retries left--> failed --cancel--+
                 |  |     snooze    |  |                     |               |
                 |  |               |  +-------claim----------+              |
                 |  +----cancel-+   +---no retry left---> dead               |
                 |              v   +---cancel--+          |                 |
                 |          cancelled <---------+          |                 |
                 |              |  ^-----------------------|-----------------+
                 +---requeue----+------requeue-------------+

pending     Waits for a worker, or for its run_at, or snoozes: its command has asked to
            run again later, which costs no retry. A claim takes it, a cancel ends it.
            A crash does not touch it: the row was synced before its id was printed.
processing  One worker holds it; `token` names that claim. The worker's finishing write
            moves it on. When the worker dies, whoever holds the queue next decides by
            evidence (run/orphans): finished unseen, still running, died, or never started.
completed   Its command exited 0, or what counts as that (verdicts). Final; `prune` deletes it.
failed      The last attempt failed and retries remain; claimed again at next_run_at.
dead        Retries are used up, or it has said that none would help: the dead letter
            queue. Only a person moves it out.
cancelled   A person took it out. Only a person moves it back.

While a job with a *unique key* is in one of HOLDING it *holds* the key: no other with that key
is added or requeued. Looked up and inserted in one transaction.

The same arrows stand below as MOVES, in storage.py with their statements, and in the schema as a
trigger that refuses every other move.
"""

from __future__ import annotations

from queuectl_lib import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

STATES = ("pending", "processing", "completed", "failed", "dead", "cancelled")
WAITING = ("pending", "failed")
FINAL = ("completed", "dead", "cancelled")
HOLDING = WAITING + ("processing",)
REQUEUED = ("dead", "cancelled")  # what a person can put back
RUN_AGAIN = REQUEUED + ("failed",)  # and whose next attempt he can have now: that is no move

MOVES: Dict[str, Dict[str, str]] = {
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

# How an attempt ends, as its row says it.
COMPLETED = "completed"  # exit 0, or what counts as that
FAILED = "failed"  # any other exit, or it could not be started
SNOOZED = "snoozed"  # it has asked to run again later: no retry is spent
TIMED_OUT = "timed out"
LOST = "lost"  # its end was not seen and left no trace
CANCELLED = "cancelled"
GIVEN_BACK = "given back"  # ended or never begun through no fault of its own

# Ending: the verb of MOVES that it leads to. The endings that fail cost a retry.
ENDINGS: Dict[str, str] = {
    COMPLETED: "complete",
    FAILED: "fail",
    TIMED_OUT: "fail",
    LOST: "fail",
    CANCELLED: "cancel",
    GIVEN_BACK: "release",
    SNOOZED: "release",
}
# Verb: the state in which the job is then. Of those that fail the outcome alone does not tell it.
AFTER_ENDING: Dict[str, str] = {"complete": "completed", "cancel": "cancelled", "release": "pending"}
RUNNING = "running"  # what the row says before


def nothing_left(counts: Dict[str, int]) -> bool:
    """True where, of so many jobs in each state, none waits or runs."""
    return not any(counts[state] for state in HOLDING)


def check_states(text: Optional[str]) -> List[str]:
    """The states that *text* names, with commas between them; none where there is no text. Raises BadInput."""
    states = [] if text is None else [one if one in STATES else one.lower() for one in text.split(",")]
    for state in states:
        if state not in STATES:
            raise errors.unknown_name("state", state, STATES)
    return sorted(set(states))
