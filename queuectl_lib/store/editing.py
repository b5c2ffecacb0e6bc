"""Jobs that wait, changed by a person: one guarded statement a job, so that what has started keeps what it has."""

from __future__ import annotations

import sqlite3

from queuectl_lib import errors, times
from queuectl_lib.errors import QueueError
from queuectl_lib.host import bell, failpoints
from queuectl_lib.jobs import changes, states
from queuectl_lib.store import beside, changing, dependencies, finding, locking, opening, placing, queues, showing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator, List, Sequence

    from queuectl_lib.jobs.changes import Change
    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Found
    from queuectl_lib.values import Fields

GET_AS_STORED = "SELECT seq, id, state, attempts, command, is_list, env, tags, lock_key, policy FROM jobs WHERE id = ?"


def edit(database: Database, ids: Sequence[str], change: Change, now: float) -> List[Fields]:
    """Change waiting jobs, held ones too; all or none. Returns them as they are then.

    Raises QueueError when one does not exist, runs, is finished, or cannot be changed so.
    """
    with finding.no_job_without_database(ids):
        with database.reading() as connection:  # what is refused holds nobody up, and a shell is tried here, if at all
            for identifier in ids:
                job = as_stored(connection, identifier)
                refuse_started(identifier, job["state"], change)
                change.columns_of(job)
        failpoints.failpoint("edit.before-change")
        with database.writing() as connection:
            found = [edit_one(connection, identifier, change, times.utc_text(now)) for identifier in ids]
    bell.ring(database.folder.bell)
    return found


def as_stored(connection: sqlite3.Connection, identifier: str) -> Fields:
    """What an edit asks of a job. Raises QueueError if there is none."""
    found = opening.rows(connection, GET_AS_STORED, (identifier,))
    if not found:
        raise errors.no_such_job(identifier)
    return opening.without_bytes(found[0])


def refuse_started(identifier: str, state: str, change: Change) -> None:
    """Raise QueueError for a job that does not wait; a cancelled one can forget what it comes after."""
    if state == "processing":
        raise QueueError("job %s runs, with what it was started with: nothing was changed" % identifier, "wrong_state")
    if state not in states.WAITING and not (state == "cancelled" and change.only_forgets()):
        text = "job %s is %s already: nothing was changed; " % (identifier, state)
        if state in states.REQUEUED:
            text += "`pause`, `requeue %s`, the same `edit` again and `resume` run it changed" % identifier
        else:
            text += "`add` a changed one anew"
        raise QueueError(text, "wrong_state")


CHANGE_JOB = "UPDATE jobs SET %s, updated_at = ? WHERE seq = ? AND state IN ('pending', 'failed')"


def edit_one(connection: sqlite3.Connection, identifier: str, change: Change, now_text: str) -> Fields:
    """Change one job, and return it as it is then. Raises QueueError and IntegrityError."""
    job = as_stored(connection, identifier)
    if change.no_after:
        dependencies.forget(connection, job["seq"], now_text)
    if change.only_forgets():
        refuse_started(identifier, job["state"], change)
        return showing.job_fields(opening.rows(connection, showing.GET_JOB, (identifier,))[0])
    columns = change.columns_of(job)
    queues.heed(connection, columns.get("queue", 0), None)
    assignments = ["%s = ?" % column for column in columns]
    values = list(columns.values())
    if change.places_anew():
        is_due_anew = "next_run_at" in columns
        assignments.append("lane = " + placing.place("?" if is_due_anew else placing.OWN_TIME))
        values += [columns["next_run_at"], now_text] if is_due_anew else [now_text]
    statement = CHANGE_JOB % ", ".join(assignments) if assignments else CHANGE_JOB.replace("%s, ", "")
    if connection.execute(statement, values + [now_text, job["seq"]]).rowcount != 1:
        opening.refuse_ignored(int(job["state"] in states.WAITING))
        happened = "was cancelled" if job["state"] == "cancelled" else "has started"
        raise QueueError("job %s %s meanwhile: nothing was changed" % (identifier, happened), "wrong_state")
    if "command" in columns:
        keep_command(connection, job, columns)
    if change.tags or change.untags:
        beside.set_tags(connection, job["seq"], change.tags_of(job))
    if change.places_anew():
        locking.free_lock(connection, job["lock_key"])  # it may have been the next one with that lock
    return showing.job_fields(opening.rows(connection, showing.GET_JOB, (identifier,))[0])


class Editing(changing.Verb):
    """Waiting jobs changed, in the states of *guard*; and how many cannot be changed so, with what is said of one."""

    ID_OF = "SELECT id, state FROM jobs WHERE seq = ?"

    def __init__(self, guard: Sequence[str], change: Change, now: float) -> None:
        super().__init__()
        self.guard = guard
        self.change = change
        self.now_text = times.utc_text(now)
        self.left = 0
        self.why = ""
        self.seqs: List[Found] = []  # of those that were changed

    def one(self, connection: sqlite3.Connection, seq: int) -> bool:
        found = opening.rows(connection, self.ID_OF, (seq,))
        if not found or found[0]["state"] not in self.guard:
            return False
        try:
            with opening.undone_alone(connection):
                edit_one(connection, found[0]["id"], self.change, self.now_text)
            self.seqs.append((seq, found[0]["state"]))
            return True
        except QueueError as error:
            self.left += 1
            self.why = self.why or str(error)
            return False


def edit_all(database: Database, found: Iterator[Found], verb: Editing, tell: Callable[[], object]) -> None:
    """Change the jobs *found*; changing.change tells more."""
    changing.change(database, found, verb, tell)
    bell.ring(database.folder.bell)


KEEP_COMMAND = "UPDATE attempts SET command = ? WHERE job = ? AND command IS NULL"
FORGET_COMMAND = "UPDATE attempts SET command = NULL WHERE job = ? AND command = ?"
NOT_KEPT = "SELECT 1 FROM attempts WHERE job = ? AND command IS NULL"


def keep_command(connection: sqlite3.Connection, job: Fields, columns: Fields) -> None:
    """Note in the attempts of *job* so far which command they ran, where that is no longer the one of the job."""
    old, new = (changes.as_json(each["command"], each["is_list"]) for each in (job, columns))
    if old != new:
        connection.execute(KEEP_COMMAND, (old, job["seq"]))
        opening.refuse_ignored(len(connection.execute(NOT_KEPT, (job["seq"],)).fetchall()))
        connection.execute(FORGET_COMMAND, (job["seq"], new))
