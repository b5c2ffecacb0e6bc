"""An attempt as the queue sees it: the claim that a worker holds, and the outcome that it records."""

from __future__ import annotations

import json
import os
import time

from queuectl_lib import errors, times
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

    from queuectl_lib.values import Fields


class Unreadable(Exception):
    """What stands in a job's row cannot be meant: it was changed by hand, or damaged. In words."""


TIME_LENGTH = 27  # of what times.utc_text writes
TYPES: Dict[str, Tuple[type, ...]] = {
    "runs": (int,),
    "id": (str,),
    "command": (str,),
    "attempts": (int,),
    "max_retries": (int,),
    "cwd": (str,),
    "snoozes": (int,),
}
MAY_BE_MISSING: Dict[str, Tuple[type, ...]] = {
    "timeout": (float, int),
    "umask": (int,),
    "unique_key": (str,),
    "tags": (str,),
    "lock_key": (str,),
    "name": (str,),
    "policy": (str,),
    "signature": (str,),
    "release": (int,),
}


def what_is_wrong(row: Any) -> Optional[str]:
    """What in the row of a due job cannot be read, in words; None where it can be claimed."""
    try:
        check_row(row)
    except Unreadable as error:
        return str(error)
    return None


def can_be_read(row: Any) -> bool:
    """False where mended has to stand for the row of a job that runs, which is not due at any time."""
    try:
        check_fields(row)
    except Unreadable:
        return False
    return True


def check_row(row: Any) -> None:
    """Raise Unreadable where a row of the table of jobs holds what no enqueue can have put there."""
    check_fields(row)
    due = row["next_run_at"]
    if not (type(due) is str and len(due) == TIME_LENGTH) and not times.is_time(due):
        raise Unreadable("cannot be read: next_run_at is %s" % errors.shown(row["next_run_at"]))


def check_fields(row: Any) -> None:
    """The same, but for when the job is due."""
    for column, types in TYPES.items():
        if type(row[column]) not in types:
            raise Unreadable("cannot be read: %s is %s" % (column, errors.shown(row[column])))
    for column, types in MAY_BE_MISSING.items():
        if row[column] is not None and type(row[column]) not in types:
            raise Unreadable("cannot be read: %s is %s" % (column, errors.shown(row[column])))
    if row["is_list"] and not is_text(json_of(row["command"], "command"), list):
        raise Unreadable("cannot be read: command is no list of arguments: %s" % errors.shown(row["command"]))
    if row["env"] is not None and (
        type(row["env"]) is not str or not is_text(json_of(row["env"] or "{}", "env"), dict)
    ):
        raise Unreadable("cannot be read: env is no object of names and values")  # which are secrets
    if row["policy"] is not None and type(json_of(row["policy"], "policy")) is not dict:
        raise Unreadable("cannot be read: policy is no object")
    if row["umask"] is not None and not 0 <= row["umask"] <= 0o777:
        raise Unreadable("cannot be read: umask is %s" % errors.shown(row["umask"]))


def json_of(text: str, column: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("cannot be read: %s is no JSON" % column) from None


def is_text(value: object, kind: type) -> bool:
    """True where *value* is of that *kind*, a list (not an empty one) or an object, of nothing but text without NUL."""
    parts = list(value.values()) if isinstance(value, dict) else value
    if type(value) is not kind or not isinstance(parts, list):
        return False
    return bool(parts or kind is dict) and not [part for part in parts if type(part) is not str or "\0" in part]


def mended(row: Any) -> Fields:
    """*row* with nothing in it that cannot be read: of a job that is not going to be started.

    Where it is not known how many attempts are left one is, so that the claim before it finds that out and says so.
    """
    whole = dict(row, is_list=0, command="", env=None, umask=None, cwd=os.sep)
    whole["timeout"] = whole["timeout"] if type(whole["timeout"]) in (float, int) else None
    whole["runs"] = whole["runs"] if type(whole.get("runs")) is int else 0
    if not type(whole["attempts"]) is type(whole["max_retries"]) is int:
        whole.update(attempts=0, max_retries=0)
    whole["id"] = row["id"] if type(row["id"]) is str else "?"
    for column in ("unique_key", "tags", "lock_key", "name", "signature"):
        whole[column] = row[column] if type(row[column]) is str else None
    whole["policy"], whole["snoozes"] = None, row["snoozes"] if type(row["snoozes"]) is int else 0
    whole["release"] = row["release"] if type(row["release"]) is int else None
    return whole


# What is read of the row of a job that is claimed, which Claim and check_row know by these names.
CLAIMED_COLUMNS = (
    *("is_list", "id", "command", "attempts", "max_retries", "timeout", "cwd", "env", "umask", "unique_key"),
    *("pipe_output", "tags", "lock_key", "schedule", "slot"),
    *("name", "policy", "snoozes", "signature", "release"),
)


NO_POLICY: Fields = {}  # of nearly all jobs


class Claim:
    """One attempt that one worker holds: what to run, and the token that proves it.

    ``command`` is a str for the shell or a list of arguments; ``leftovers`` are tokens of
    earlier attempts that may have left processes running.
    """

    # Of one that has a launcher:
    far_attempt, far_token = 0, ""  # number and token of the attempt that began its far job
    launcher_args: Sequence[str] = ()
    was_launched = False  # true where an earlier attempt had one
    is_unwanted = False  # true where its cancel was asked for before it was adopted

    def __init__(self, row: Fields, token: str, attempt_id: int, number: int) -> None:
        self.seq: int = row["seq"]
        self.id: str = row["id"]
        self.command: Union[str, List[str]] = json.loads(row["command"]) if row["is_list"] else row["command"]
        self.attempts: int = row["attempts"]
        # Who goes first for a group has one attempt (store/following).
        self.max_retries: int = row["max_retries"] if row["release"] is None else 0
        self.timeout: Optional[float] = row["timeout"]
        self.cwd: str = row["cwd"]
        self.env: Dict[str, str] = json.loads(row["env"]) if row["env"] else {}
        self.umask: Optional[int] = row["umask"]
        self.unique_key: Optional[str] = row["unique_key"]
        self.pipe_output: Optional[int] = row["pipe_output"]
        self.tags: Optional[str] = row["tags"]
        self.lock_key: Optional[str] = row["lock_key"]
        self.schedule: Optional[str] = row["schedule"]
        self.slot: Optional[str] = row["slot"]
        self.name: Optional[str] = row["name"]
        self.policy: Fields = json.loads(row["policy"]) if row["policy"] else NO_POLICY
        self.snoozes: int = row["snoozes"]
        self.signature: Optional[str] = row["signature"]  # of its last failure
        self.release: Optional[int] = row["release"]
        self.due: Optional[str] = row.get("next_run_at")  # when it was due, as the row has it; not known of one adopted
        self.token = token
        self.attempt_id = attempt_id
        self.number = number
        self.leftovers: List[str] = []
        self.launcher: Optional[str] = None  # who starts it elsewhere (store/launched); None: it runs here

    def is_to_join(self) -> bool:
        """True where what it is to run may run already: a launcher has started it for an earlier attempt."""
        return self.far_token not in ("", self.token)


def alike(claim: Claim) -> Claim:
    """Another of the same, in which something may be changed."""
    found = Claim.__new__(Claim)
    found.__dict__.update(claim.__dict__)
    return found


class Outcome:
    """How an attempt ended, ready to be recorded.

    ``kind`` is one of states.ENDINGS.
    ``unstarted`` gives back an attempt that never ran: it leaves no row behind.
    Outputs are bytes, or None with a size where the file stays.
    """

    counts_as_cancelled = False  # set by who records it: a cancel was asked for meanwhile
    # What few attempts say of themselves (jobs/verdicts):
    spoke = False  # there is a control file
    is_last = False  # no retry is wanted, though some may be left
    delay: Optional[float] = None  # it is to run again after so many seconds
    said_signature: Optional[str] = None  # how its failure is to be grouped
    signature: Optional[str] = None  # of a failure, set by who records it

    joins = False  # the next attempt is to join what a launcher has started for this one

    def __init__(self, claim: Claim, kind: str, finished: float, error: Optional[str] = None) -> None:
        self.claim = claim
        self.kind = kind
        self.started: Optional[float] = None
        self.finished = finished
        self.seconds: Optional[float] = None  # that it took, by a clock that nobody sets
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
        self.cpu: Optional[float] = None  # seconds of it that all its processes used
        self.peak_rss: Optional[int] = None  # bytes, of the largest of them; negative: no more than that
        self.oom: Optional[str] = None  # how far it is known that the system ended it for lack of memory
        self.note: Optional[str] = None  # what the job itself has said, JSON
        self.timeout: Optional[float] = None  # the one in force, seconds
        self.error_line: Optional[str] = None  # of a failure: the line that tells most, without what varies

    def useless_files(self) -> List[str]:
        """Which files of the attempt nobody needs once this is recorded: of run, out, err, say, cmd.

        While it has left processes running they may write, and its lock tells of them.
        """
        if self.leftovers:
            return []
        kept_out = self.stdout is None and self.stdout_bytes
        kept_err = self.stderr is None and self.stderr_bytes
        useless = ["run"] + ([] if kept_out else ["out"]) + ([] if kept_err else ["err"])
        return useless + ["say"] * self.spoke + ["cmd"] * self.has_script()

    def has_script(self) -> bool:
        """True where its text may have stood in a file for its interpreter."""
        return self.claim.command[:2] == "#!"

    def keeps_files(self) -> bool:
        """True where something of this attempt stays in the attempts folder."""
        return len(self.useless_files()) < 3 + self.spoke + self.has_script()


def unstarted(claim: Claim, shortage: Optional[str] = None) -> Outcome:
    """A claim given back before its command began, for a *shortage* of the host or none: as if it had never been."""
    outcome = Outcome(claim, states.GIVEN_BACK, time.time(), shortage)
    outcome.unstarted = True
    outcome.joins = claim.is_to_join()
    return outcome
