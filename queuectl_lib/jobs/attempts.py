"""An attempt as the queue sees it: the claim that a worker holds, and the outcome that it records."""

from __future__ import annotations

import json
import time

from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Union

    from queuectl_lib.values import Fields


class Claim:
    """One attempt that one worker holds: what to run, and the token that proves it.

    ``command`` is a str for the shell or a list of arguments; ``leftovers`` are tokens of
    earlier attempts that may have left processes running.
    """

    def __init__(self, row: Fields, token: str, attempt_id: int, number: int) -> None:
        self.seq: int = row["seq"]
        self.id: str = row["id"]
        self.command: Union[str, List[str]] = json.loads(row["command"]) if row["is_list"] else row["command"]
        self.attempts: int = row["attempts"]
        self.max_retries: int = row["max_retries"]
        self.timeout: Optional[float] = row["timeout"]
        self.cwd: str = row["cwd"]
        self.env: Dict[str, str] = json.loads(row["env"]) if row["env"] else {}
        self.umask: Optional[int] = row["umask"]
        self.unique_key: Optional[str] = row["unique_key"]
        self.pipe_output: Optional[int] = row["pipe_output"]
        self.token = token
        self.attempt_id = attempt_id
        self.number = number
        self.leftovers: List[str] = []


class Outcome:
    """How an attempt ended, ready to be recorded.

    ``kind`` is one of states.ENDINGS.
    ``unstarted`` gives back an attempt that never ran: it leaves no row behind.
    Outputs are bytes, or None with a size where the file stays.
    """

    def __init__(self, claim: Claim, kind: str, finished: float, error: Optional[str] = None) -> None:
        self.claim = claim
        self.kind = kind
        self.started: Optional[float] = None
        self.finished = finished
        self.error = error
        self.exit_code: Optional[int] = None
        self.signal: Optional[str] = None
        self.leftovers: Optional[str] = None
        self.erased: Optional[str] = None  # which of its streams the job erased a part of
        self.unstarted = False
        self.stdout: Optional[bytes] = None
        self.stderr: Optional[bytes] = None
        self.stdout_bytes = 0
        self.stderr_bytes = 0

    def useless_files(self) -> List[str]:
        """Which files of the attempt nobody needs once this is recorded: of run, out, err.

        While it has left processes running they may write, and its lock tells of them.
        """
        if self.leftovers:
            return []
        kept_out = self.stdout is None and self.stdout_bytes
        kept_err = self.stderr is None and self.stderr_bytes
        return ["run"] + ([] if kept_out else ["out"]) + ([] if kept_err else ["err"])

    def keeps_files(self) -> bool:
        """True where something of this attempt stays in the attempts folder."""
        return len(self.useless_files()) < 3


def unstarted(claim: Claim, shortage: Optional[str] = None) -> Outcome:
    """A claim given back before its command began, for a *shortage* of the host or none: as if it had never been."""
    outcome = Outcome(claim, states.GIVEN_BACK, time.time(), shortage)
    outcome.unstarted = True
    return outcome
