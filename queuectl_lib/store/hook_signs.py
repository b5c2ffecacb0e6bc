"""What the hook is told of beside ended attempts, as far as few statements show it: idle, stuck, runs long."""

from __future__ import annotations

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import notices
from queuectl_lib.store import health, hooking, looking, opening, roster, serving, stuck

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Mapping, Optional

    from queuectl_lib.store.database import Database

WAITING_SECONDS = 900.0  # how long a due job may wait, as `check` has it
BEGINNING_SECONDS = 60.0  # that who has been started may take until something runs
LONG_SECONDS = 60.0  # nothing runs unusually long before (reports/history)


def is_idle(database: Database, now: float) -> bool:
    """True where nothing is due that may start, nothing runs, and no retry is to come. Raises HostError."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        counts = looking.kept_counts(connection)
        if counts["processing"] or counts["failed"] or connection.execute(looking.ANY_UNSETTLED).fetchone():
            return False
        return not counts["pending"] or not health.due_work(database, now, now)[0]
    return False


def may_be_stuck(database: Database, now: float) -> bool:
    """True where a due job waits for longer than it should, or for a worker that nobody has. Raises HostError.

    Where any runs that need no more than their turn, there is progress; and who has just begun may yet see to them.
    """
    limit, members = now - WAITING_SECONDS, roster.members(database.folder)
    if members and all(now - times.seconds_or(one["since"], now) < BEGINNING_SECONDS for one in members):
        return False
    _, running, oldest = health.due_work(database, now, limit)
    if oldest and not running:
        return True
    if not health.any_aside(database):
        return False
    found = stuck.Standstill(database, now, limit, 0.0, 0.0)
    for queue in found.queues:
        is_late = times.seconds_or(queue["since"], now) < limit
        if is_late and queue["shut"] and not queue["shut"].startswith(stuck.EXPECTED):
            return True
        if not any(serving.is_served(one.get("queues", ()), queue["queue"]) for one in members):
            return True
    return found.parked is not None


# "state <> 'completed'" again, in so many words, for the proof that the index serves.
RUNNING = (
    "SELECT token, started_at, policy FROM jobs INDEXED BY jobs_open"
    " WHERE state = 'processing' AND state <> 'completed'"
)


def youngest_long(
    database: Database, now: float, told: Mapping[str, float], words: Collection[str]
) -> Optional[float]:
    """Of what runs for long enough, is to be told of and was not: how long the youngest runs (seconds); else None."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        spans = [
            now - times.seconds_or(row["started_at"], now)
            for row in opening.rows(connection, RUNNING)
            if hooking.LONG + opening.as_text(row["token"]) not in told
            and ("running_long" in words or "running_long" in notices.rule_of(row["policy"]))
        ]
        return min([span for span in spans if span > LONG_SECONDS], default=None)
    return None


OF_TOKEN = RUNNING + " AND token = ?"


def is_wanted_long(database: Database, token: str, words: Collection[str]) -> bool:
    """True where it is to be told of this attempt that it runs long. Raises HostError."""
    if "running_long" in words:
        return True
    with contexts.suppress(NoDatabase), database.reading() as connection:
        rows = opening.rows(connection, OF_TOKEN, (token,))
        return any("running_long" in notices.rule_of(row["policy"]) for row in rows)
    return False


GONE = "SELECT token FROM jobs INDEXED BY jobs_open WHERE state = 'processing' AND state <> 'completed'"


def ended_since(database: Database, told: Mapping[str, float]) -> Collection[str]:
    """The rows of attempts that were told to run long, and have ended. Raises HostError."""
    keys = [key for key in told if key.startswith(hooking.LONG)]
    if keys:
        with contexts.suppress(NoDatabase), database.reading() as connection:
            alive = {hooking.LONG + opening.as_text(row["token"]) for row in opening.rows(connection, GONE)}
            return [key for key in keys if key not in alive]
    return []
