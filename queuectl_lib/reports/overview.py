"""What a person wants to know of a queue at once, beside its counts: what runs, what failed last, what comes next."""

from __future__ import annotations

from queuectl_lib.store import at_hand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

MOST_RUNNING, MOST_FAILURES, MOST_NEXT = 10, 5, 5  # that are shown of each


def of(database: Database, counts: Dict[str, int], now: float) -> Dict[str, List[Fields]]:
    """"running", "failures" and "next", of a queue with so many jobs in each state; a few of each, as JSON has them."""
    running = of_running(database) if counts["processing"] else []
    failures = of_failures(database) if counts["dead"] or counts["failed"] else []
    coming = at_hand.coming(database, MOST_NEXT, now) if counts["pending"] or counts["failed"] else []
    following = [{"id": job["id"], "due_at": job["next_run_at"], "command": job["command"]} for job in coming]
    return {"running": running, "failures": failures, "next": following}


def of_running(database: Database) -> List[Fields]:
    from queuectl_lib.store import said  # where nothing runs it is not needed

    return [
        {
            **{key: job[key] for key in ("id", "started_at", "worker", "command")},
            "progress": said.now(database, job["token"]).get("progress"),
        }
        for job in at_hand.running(database, MOST_RUNNING)
    ]


def of_failures(database: Database) -> List[Fields]:
    """Each with its "reason": how the last attempt ended, and the line that tells most."""
    from queuectl_lib.store import failure_words  # the same

    failed = at_hand.failures(database, MOST_FAILURES)
    reasons = failure_words.texts(database, failed)
    return [
        {
            **{key: job[key] for key in ("id", "state", "failed_at", "exit_code")},
            "reason": reasons[job["id"]],
            "command": job["command"],
        }
        for job in failed
    ]
