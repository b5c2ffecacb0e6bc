"""storage: the queue. The arrows of the state machine, with their SQL; those that end attempts in store/ending.

The machine itself is drawn in queuectl_lib/jobs/states.py, with a paragraph for each state. A
transition is one write transaction on a fresh connection (store/database.py: the gate, the syncs);
what it finds no longer as it must be, it leaves alone, and says so. Every finishing write names the
claim that it finishes. Time is passed in, as seconds since 1970; every method may raise HostError.

Fresh, because nothing then goes stale: each operation meets the file, the schema and the settings that are there now.
One opened before an idle worker sleeps would spare a pick-up some 0.4 ms of 3. But all of a process's locks on a file
are dropped when it closes *any* descriptor of it (fcntl(2)), so for as long as such a connection slept, one careless
look at the database by another room would let others believe that nobody uses it.

A claim that comes with no results is synced behind the start of its command, not before (catch_up): a power cut in
between takes it back, and the job runs again from its beginning, as what ended unrecorded does anyway (promise 6).

What the arrows stand on, each a room of queuectl_lib/store:

    opening      the one opener                  looking    questions about all jobs
    schema       steps, creating, upgrading      showing    jobs in a list, or one in full
    database     the gate, reading, writing      finding    one job by its id or key
    folder       the files beside the database   health     what `check` asks
    bulk         many jobs, all or none          output     the bytes of attempts
    pruning      deleting what is finished       presence   a life file, and who is seen to hold his
    claiming     due jobs given to a worker      roster     who is alive, what was asked of him
    ending       attempts recorded, jobs moved   stops      what was asked, as evidence
    aftermath    what that brings with it        tidying    what the dead left
    placing      the lane in which a job waits   requeuing  the arrow back to pending
    holding      held by a person, and released  editing    what waits, changed by a person
    dependencies jobs after jobs                 settling   what an end does to those
    selecting    jobs by what they share         cancelling the arrow out, by a person
    changing     many jobs, a few at a time      schedules  what recurs, set and paused
    numbered     jobs by their numbers           slots_made the jobs of schedules
    kinds        what kinds of jobs take, noted  durations  the same, asked
    alike        failures signed                 groups     the dead by what they died of
    canary       one of a group sent first       following  the others, once it has succeeded
"""

from __future__ import annotations

import sqlite3
import time

from queuectl_lib import times
from queuectl_lib.errors import QueueError
from queuectl_lib.host import bell, failpoints, locks, system
from queuectl_lib.jobs import states
from queuectl_lib.store import opening
from queuectl_lib.store.database import Database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generator, Iterable, List, Optional, Sequence, Tuple

    from queuectl_lib.jobs.attempts import Claim, Outcome
    from queuectl_lib.settings import Settings

VERSION = "0.1.0"


class Queue:
    """One queue: its database, the folder beside it, and the moves of its jobs."""

    def __init__(self, db_path: str, busy_seconds: float = locks.BUSY_SECONDS) -> None:
        self.database = Database(db_path, busy_seconds)
        self.folder = self.database.folder
        self.path = self.database.path

    # -------------------------------------------------------- enqueue

    INSERT_JOB = "INSERT INTO jobs (%s) VALUES (%s)"

    def enqueue(self, row: Sequence[Any], born: Optional[List[str]] = None, replaces: bool = False) -> str:
        """Add one job (a JobMaker row) and return its id once it is safe on the disk.

        While another job with its key waits or runs nothing is added, and that Holder is
        returned. Raises QueueError when a given id exists; a made one is then made anew. Where
        it is cancelled at once, for what it comes after has ended so, or its queue is paused, *born* is told.
        Where it *replaces*, one that waits with its key gives way; QueueError for one that runs.
        """
        from queuectl_lib.jobs import fields, ids  # which no worker needs
        from queuectl_lib.store import finding

        insert = self.INSERT_JOB % (fields.INSERT_COLUMNS, ", ".join("?" * fields.BESIDE))
        self.database.ready()
        while True:
            try:
                with self.database.writing() as connection:
                    holder = finding.find_holder(connection, row[fields.KEY])
                    if holder is not None and replaces:
                        from queuectl_lib.store import giving_way

                        giving_way.give_way(connection, holder, row[0], time.time(), born)
                    elif holder is not None:
                        return holder
                    finding.heed_queues(connection, [row[fields.QUEUE]], born)
                    added = connection.execute(insert, row[: fields.BESIDE])
                    opening.refuse_ignored(1 - added.rowcount)
                    if row[fields.BESIDE]:
                        from queuectl_lib.store import beside

                        beside.insert(connection, [(added.lastrowid or 0, row[0], "", row[fields.BESIDE])], born)
                break
            except opening.Refused:
                if not finding.exists(self.database, row[0]):  # something else refuses, and would again
                    raise
                if not isinstance(row[0], ids.MadeId):
                    raise QueueError("job %s exists already: nothing was added" % row[0], "exists") from None
                row = (ids.make_id(time.time()),) + tuple(row[1:])
        bell.ring(self.folder.bell)
        return str(row[0])

    def enqueue_each(
        self, rows: Iterable[Tuple[object, Sequence[Any]]], born: Optional[List[str]] = None, skips: bool = False
    ) -> Generator[str, None, None]:
        """Add many jobs, all or none. *rows* are (line number or "LINE, job N", JobMaker row).

        Gives the ids in order, the first one when all are safe on the disk; a Holder where
        a job of the queue or an earlier one of these has the key. No number of jobs needs
        more memory. Raises QueueError when a given id exists or comes twice. *born* as in enqueue.
        Where it *skips* what has an id that exists, a There stands for it.
        """
        from queuectl_lib.store import bulk  # which one job alone needs not

        self.database.ready()
        room = self.database.index_room
        with opening.told(self.path), room.allocated(self.database.open()) as opened:
            keyed = bulk.take_in(opened, rows)
            try:
                with self.database.gate():
                    if not room.is_safe:
                        room.look_for(bulk.most_bytes(opened))
                    bulk.insert_all(opened, keyed, born, skips)
                    self.database.checkpoint(opened)
            except sqlite3.IntegrityError:  # told as Refused, if not as this:
                bulk.refuse_twice(opened)  # which nobody need wait for
                raise
            bell.ring(self.folder.bell)
            yield from bulk.ids_of(opened, keyed, skips)

    # -------------------------------------------------------- claim and finish

    def exchange(
        self, worker: str, outcomes: Sequence[Outcome], want: int, now: float, settings: Settings
    ) -> Tuple[List[Outcome], List[Claim], bool]:
        """Record *outcomes* and claim up to *want* due jobs, in one transaction.

        Returns the outcomes that were refused because their claim was lost, the new
        claims, and whether more jobs may be left for others. Where there are claims alone, the
        first can begin before they are synced: the caller sees to that (database.catch_up) then.
        A power cut in between takes the claims back, so what has begun runs again from its
        beginning, as does whatever had ended and was not recorded, and this costs no attempt.
        """
        from queuectl_lib.store import claiming, ending, looking, serving  # no enqueue needs them; a worker has them

        is_later = not outcomes and system.SYNCS_LOG_ALONE
        began = time.monotonic()
        with self.database.writing(synced=settings.durability == "full" and not is_later) as connection:
            refused = ending.settle_all(connection, outcomes, settings)
            is_unsettled = connection.execute(looking.ANY_UNSETTLED).fetchone() is not None
            if is_unsettled:
                from queuectl_lib.store import edges  # which few homes need

                is_unsettled = edges.settle_some(connection, now)
            claims: List[Claim] = []
            more = False
            if want:
                asker = serving.Asker(self.database, asks=False, waited=time.monotonic() - began)
                asker.launcher = settings.launcher

                def bury(unreadable: Outcome) -> None:
                    ending.settle(connection, unreadable, settings)

                claims, more = claiming.claim_due(connection, worker, want, now, bury, asker)
            self.database.is_behind = is_later and settings.durability == "full"
            failpoints.failpoint("exchange.before-commit")
        failpoints.failpoint("exchange.committed")
        # Who claims nothing, or of some queues alone, lets others have the place or the lock that has come free.
        locked = self.database.served and any(ended.claim.lock_key is not None for ended in outcomes)
        return refused, claims, bool(more or is_unsettled or locked or (outcomes and not want))

    # -------------------------------------------------------- recovery

    # As bytes: whatever somebody has put there is told from all else, also what is no text.
    HELD_BY = " WHERE seq = ? AND token = ? AND state = 'processing' AND CAST(worker AS BLOB) IS CAST(? AS BLOB)"
    ADOPT_JOB = "UPDATE jobs SET worker = ?, updated_at = ?" + HELD_BY
    STILL_HELD = "SELECT 1 FROM jobs" + HELD_BY

    def adopt(self, claim: Claim, dead_worker: object, worker: str, now: float) -> bool:
        """Take over a claim from a worker that is proved dead; False if someone else was first."""
        held = (claim.seq, claim.token, dead_worker)
        with self.database.writing() as connection:
            moved = connection.execute(self.ADOPT_JOB, (worker, times.utc_text(now)) + held).rowcount == 1
            if not moved:
                opening.refuse_ignored(len(connection.execute(self.STILL_HELD, held).fetchall()))
            return moved

    # A failed job whose failure lies in the future: the clock went back, so it is due.
    # (One for which somebody has given a time meanwhile, by `edit`, waits for that.) So is one that snoozes.
    IN_THE_FUTURE = (
        "WHERE lane = 1 AND next_run_at > '' AND (state = 'failed' OR snoozes > 0) AND updated_at > ?"
        " AND next_run_at IS NOT run_at"
    )
    ANY_FAILED_IN_THE_FUTURE = "SELECT 1 FROM jobs INDEXED BY jobs_later %s LIMIT 1" % IN_THE_FUTURE
    PROMOTE_FAILED_IN_THE_FUTURE = "UPDATE jobs INDEXED BY jobs_later SET lane = 0 %s" % IN_THE_FUTURE

    def forgive_clock(self, now: float) -> None:
        """After the wall clock went back: retries that would wait for it are due.

        A second is left for the failures of others between the caller's look at the clock and here.
        """
        future = (times.utc_text(now + 1.0),)
        with self.database.reading() as connection:
            if not connection.execute(self.ANY_FAILED_IN_THE_FUTURE, future).fetchone():
                return
        with self.database.writing() as connection:
            connection.execute(self.PROMOTE_FAILED_IN_THE_FUTURE, future)

    # -------------------------------------------------------- cancel and requeue

    def cancel(self, ids: Sequence[str], now: float) -> List[Tuple[str, Optional[str]]]:
        """Cancel waiting jobs and ask the workers of running ones to end them; all or none.

        Returns (id, token) per job: the token of the attempt that is to be ended, None if none ran.
        Raises QueueError when one does not exist or is finished.
        """
        from queuectl_lib.store import cancelling, edges, finding  # which no worker needs

        with finding.no_job_without_database(ids), self.database.writing() as connection:
            heads = [finding.head(connection, identifier) for identifier in ids]
            for identifier, head in zip(ids, heads):
                if head["state"] in states.FINAL:
                    text = "job %s is %s already: nothing was cancelled"
                    raise QueueError(text % (identifier, head["state"]), "wrong_state")
            end = times.utc_text(now)
            begun = [cancelling.cancel_one(connection, head["seq"], head["state"], end) for head in heads]
            cancelling.free_locks(connection, {head["lock_key"] for head in heads})
            is_unsettled = edges.settle_some(connection, now)
        edges.settle_rest(self.database, is_unsettled, now)
        bell.ring(self.folder.bell)  # for what comes after them
        return [(one, token or head["token"]) for one, token, head in zip(ids, begun, heads)]

    def requeue(self, ids: Sequence[str], states: Sequence[str], now: float) -> List[Tuple[str, str]]:
        """Move jobs in one of *states* back to pending with attempts 0; all or none. A failed one is due now, no more.

        So is what was cancelled because of them; what stays of that, for its key is held, is returned: (id, by whom).
        Raises QueueError when one does not exist, is in another state, has a key that a waiting or running job
        holds, comes after one that has not ended as it wants, or has failed and is held.
        """
        from queuectl_lib.store import edges, finding, requeuing  # which no worker needs

        kept: List[Tuple[str, str]] = []
        with finding.no_job_without_database(ids), self.database.writing() as connection:
            heads = [finding.head(connection, identifier) for identifier in ids]
            for identifier, head in zip(ids, heads):
                if head["state"] not in states:
                    text = "job %s is %s, not %s: nothing was requeued"
                    raise QueueError(text % (identifier, head["state"], " or ".join(states)), "wrong_state")
                if requeuing.is_held(connection, head):
                    text = "job %s is held: `release %s` lets it run again: nothing was requeued"
                    raise QueueError(text % (identifier, identifier), "wrong_state")
            for head in sorted(heads, key=requeuing.by_age):
                holder = requeuing.requeue_one(connection, head, now)
                if holder is not None:
                    raise finding.key_is_held(head["id"], holder, holder in ids)
            is_unsettled = edges.settle_some(connection, now, kept=kept)
        bell.ring(self.folder.bell)
        edges.settle_rest(self.database, is_unsettled, now, kept)
        return kept
