"""Who launches an attempt: of the job's own launcher, its queue's and the setting's the first there is, noted with it.

Before all of these: that of a far job which is to be joined, whatever was chosen since. It may run.

    attempts.launcher    NAME        its far job is its own
                         NAME#N:T    it has joined the far job that the attempt with the number N and the token T began
                         ...+        it is over, and the next attempt is to join the same far job
"""

from __future__ import annotations

import re
import sqlite3
import time

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from queuectl_lib.jobs.attempts import Claim
    from queuectl_lib.store.database import Database
    from queuectl_lib.store.serving import Line
    from queuectl_lib.values import Fields

NONE = "none"  # of a job: here, whatever its queue or the setting says
NOTED = re.compile(r"([A-Za-z0-9._-]{1,64})(?:#(\d{1,18}):([0-9a-f]{16}))?(\+?)\Z")
NOTE = "UPDATE attempts SET launcher = ? WHERE id = ?"
BEFORE = "SELECT launcher FROM attempts WHERE job = ? AND number < ? ORDER BY number DESC LIMIT 1"


def note(connection: sqlite3.Connection, claim: Claim, line: Optional[Line], default: Optional[str]) -> None:
    """Choose the launcher of a new *claim* from the queue of *line*, *default* being the setting, and note it."""
    own = claim.policy.get("launcher")
    joins = far_job(connection, claim.seq, claim.number)
    name = joins[0] if joins else own if own is not None else (line.launcher if line else None) or default
    if not isinstance(name, str) or name == NONE:
        return
    claim.launcher, claim.far_attempt, claim.far_token = joins or (name, claim.number, claim.token)
    claim.launcher_args = arguments(claim, line)
    connection.execute(NOTE, (text_of(claim), claim.attempt_id))


def far_job(connection: sqlite3.Connection, seq: int, number: int) -> Optional[Tuple[str, int, str]]:
    """What the attempt *number* of a job is to join: its launcher, and the number and token of who began it."""
    before = connection.execute(BEFORE, (seq, number)).fetchone()
    told = NOTED.match(before["launcher"]) if before and isinstance(before["launcher"], str) else None
    if not (told and told.group(4) and told.group(2)):
        return None
    return told.group(1), int(told.group(2)), told.group(3)


def arguments(claim: Claim, line: Optional[Line]) -> List[str]:
    """Those of the job, or else of its queue: what can be meant as such."""
    own = claim.policy.get("launcher_args")
    found = own if own is not None else line.launcher_args if line else None
    return [word for word in found if isinstance(word, str)] if isinstance(found, list) else []


def text_of(claim: Claim, in_full: bool = False) -> str:
    if claim.far_token == claim.token and not in_full:
        return str(claim.launcher)
    return "%s#%d:%s" % (claim.launcher, claim.far_attempt, claim.far_token)


def read(claim: Claim, text: object) -> None:
    """Take over into a *claim* that is adopted what its attempt has noted."""
    told = NOTED.match(text) if isinstance(text, str) else None
    if told:
        claim.launcher, claim.far_attempt = told.group(1), int(told.group(2) or claim.number)
        claim.far_token = told.group(3) or claim.token


def let_join(connection: sqlite3.Connection, claim: Claim) -> None:
    """The next attempt of this job is to join its far job."""
    connection.execute(NOTE, (text_of(claim, in_full=True) + "+", claim.attempt_id))


def parts(text: object) -> Tuple[object, Optional[int]]:
    """Of what an attempt has noted the name of its launcher, and the number of the attempt whose far job it joined.

    What somebody has changed it to stands for the name.
    """
    told = NOTED.match(text) if isinstance(text, str) else None
    return (told.group(1), int(told.group(2)) if told.group(2) else None) if told else (text, None)


# For how long it has not been known: from when the first of such words came.
BEGINS = (
    "UPDATE jobs SET updated_at = ? WHERE seq = ? AND token = ? AND state = 'processing'"
    " AND EXISTS (SELECT 1 FROM attempts WHERE id = ? AND outcome = 'running' AND error IS NULL)"
)
TELL = "UPDATE attempts SET error = ? WHERE id = ? AND outcome = 'running'"


def tell(database: Database, claim: Claim, text: Optional[str]) -> None:
    """Write why nothing is known of the far job, where `why` and `list` read it; None: it is known again.

    Raises QueueError.
    """
    with database.writing() as connection:
        if text is not None:
            values = (times.utc_text(time.time()), claim.seq, claim.token, claim.attempt_id)
            connection.execute(BEGINS, values)
        connection.execute(TELL, (text, claim.attempt_id))


RUNNING = (
    "SELECT j.id, a.launcher FROM jobs j INDEXED BY jobs_open"
    " CROSS JOIN attempts a ON a.job = j.seq AND a.token = j.token"
    " WHERE j.state = 'processing' AND j.state <> 'completed' AND a.launcher IS NOT NULL"
)


def running(database: Database) -> List[Tuple[str, str]]:
    """Each job that runs by a launcher, and the name of that."""
    with contexts.suppress(NoDatabase), database.reading() as connection:
        rows = [opening.without_bytes(row) for row in opening.rows(connection, RUNNING)]
        return [(str(row["id"]), str(parts(row["launcher"])[0])) for row in rows]
    return []


TROUBLES = (
    "SELECT j.id, j.updated_at, a.error, a.launcher FROM jobs j INDEXED BY jobs_open"
    " CROSS JOIN attempts a ON a.job = j.seq AND a.token = j.token"
    " WHERE j.state = 'processing' AND j.state <> 'completed' AND a.error IS NOT NULL AND a.outcome = 'running'"
)


def troubles(database: Database) -> List[Fields]:
    """The running attempts of whose far jobs nothing is known: "id", "since", "error", "launcher"; the oldest first."""
    found: List[Fields] = []
    with contexts.suppress(NoDatabase), database.reading() as connection:
        for row in map(opening.without_bytes, opening.rows(connection, TROUBLES)):
            launcher = str(parts(row["launcher"])[0])
            facts = {"id": str(row["id"]), "since": row["updated_at"], "error": str(row["error"])}
            found.append(dict(facts, launcher=launcher))
    return sorted(found, key=lambda one: str(one["since"]))
