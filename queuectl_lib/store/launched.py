"""Who launches an attempt: of the job's own launcher, its queue's and the setting's the first there is, noted with it.

    attempts.launcher    NAME        its far job is its own
                         NAME#N      it has joined the far job that the attempt with the number N began
                         ...+        it is over, and the next attempt is to join the same far job
"""

from __future__ import annotations

import re
import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

    from queuectl_lib.jobs.attempts import Claim
    from queuectl_lib.store.database import Database
    from queuectl_lib.store.serving import Line

NONE = "none"  # of a job: here, whatever its queue or the setting says
NOTED = re.compile(r"([A-Za-z0-9._-]{1,64})(?:#(\d{1,18}))?(\+?)\Z")
NOTE = "UPDATE attempts SET launcher = ? WHERE id = ?"
BEFORE = "SELECT number, launcher FROM attempts WHERE job = ? AND number < ? ORDER BY number DESC LIMIT 1"


def note(connection: sqlite3.Connection, claim: Claim, line: Optional[Line], default: Optional[str]) -> None:
    """Choose the launcher of a new *claim* from the queue of *line*, *default* being the setting, and note it."""
    own = claim.policy.get("launcher")
    name = own if own is not None else (line.launcher if line else None) or default
    if not isinstance(name, str) or name == NONE:
        return
    claim.launcher, claim.far_attempt = name, claim.number
    claim.launcher_args = arguments(claim, line)
    before = connection.execute(BEFORE, (claim.seq, claim.number)).fetchone()
    told = NOTED.match(before["launcher"]) if before and isinstance(before["launcher"], str) else None
    if told and told.group(3) and told.group(1) == name:
        claim.far_attempt = int(told.group(2) or before["number"])
    connection.execute(NOTE, (text_of(claim), claim.attempt_id))


def arguments(claim: Claim, line: Optional[Line]) -> List[str]:
    """Those of the job, or else of its queue: what can be meant as such."""
    own = claim.policy.get("launcher_args")
    found = own if own is not None else line.launcher_args if line else None
    return [word for word in found if isinstance(word, str)] if isinstance(found, list) else []


def text_of(claim: Claim) -> str:
    return str(claim.launcher) + ("#%d" % claim.far_attempt if claim.far_attempt != claim.number else "")


def read(claim: Claim, text: object) -> None:
    """Take over into a *claim* that is adopted what its attempt has noted."""
    told = NOTED.match(text) if isinstance(text, str) else None
    if told:
        claim.launcher, claim.far_attempt = told.group(1), int(told.group(2) or claim.number)


def let_join(connection: sqlite3.Connection, claim: Claim) -> None:
    """The next attempt of this job is to join its far job."""
    connection.execute(NOTE, (text_of(claim) + "+", claim.attempt_id))


TELL = "UPDATE attempts SET error = ? WHERE id = ? AND outcome = 'running'"


def tell(database: Database, claim: Claim, text: Optional[str]) -> None:
    """Write why nothing is known of the far job, where `why` and `list` read it; None: it is known again.

    Raises QueueError.
    """
    with database.writing() as connection:
        connection.execute(TELL, (text, claim.attempt_id))
