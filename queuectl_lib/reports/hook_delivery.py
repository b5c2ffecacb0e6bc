"""Telling the hook: one batch at a time, at least once, whoever dies in between.

    take the lock    so that of two supervisors one tells; who finds it taken has nothing to do
    end what is left of a run whose end nobody has seen
    note the try     so that one that is killed counts as failed, and its processes are found
    run the hook     the batch on its standard input
    exit 0           the cursor moves behind the batch, in one transaction
    anything else    it stays, and the next try, with the same events, comes later each time

Killed between exit 0 and the transaction, the same events are told twice; never is one lost.
"""

from __future__ import annotations

import os

from queuectl_lib.errors import HostError
from queuectl_lib.host import failpoints, files, processes
from queuectl_lib.reports import hook_batch
from queuectl_lib.run import hook_process
from queuectl_lib.store import hook_note, hooking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    from queuectl_lib.reports.hook_batch import Batch
    from queuectl_lib.run.hook_process import Ended
    from queuectl_lib.settings import Settings
    from queuectl_lib.store.hook_note import Note
    from queuectl_lib.store.hooking import Cursor
    from storage import Queue


class Told:
    """What a call has told: of how many *events*, and how the hook *ended*; None where it was not run, *why*."""

    def __init__(self, events: int = 0, ended: Optional[Ended] = None, why: str = "") -> None:
        self.events = events
        self.ended = ended
        self.why = why

    def succeeded(self) -> bool:
        return self.ended is None or self.ended.code == 0


def deliver(queue: Queue, settings: Settings, home: str, now: float, say: Callable[[str], None]) -> Told:
    """Tell what is to be told now, whenever the last try was. Raises HostError, KeyboardInterrupt."""
    if not os.path.exists(queue.path):
        return Told(why="there is no database yet, so nothing has happened")
    with files.refusals_told(queue.folder.path):
        lock = hook_note.try_lock(queue.folder)
    if lock is None:
        return Told(why="another process tells it now")
    try:
        return deliver_locked(queue, settings, home, now, say)
    finally:
        os.close(lock)


def deliver_locked(queue: Queue, settings: Settings, home: str, now: float, say: Callable[[str], None]) -> Told:
    note = hook_note.read(queue.folder)
    left = hook_process.end_left(note, settings.grace) if note.tries else ""
    if left:
        say("hook: of an earlier run, whose end nobody has seen, this was left and is ended: %s" % left)
    cursor = hooking.how_far(queue.database)
    if cursor is None or not cursor.next:
        hooking.listen(queue.database)
        return Told(why="it is told of what ends from now on")
    batch = hook_batch.batch_of(queue, settings, cursor, now)
    if not batch.events:
        if batch.following > cursor.next or batch.told or batch.over:
            move_on(queue, cursor, batch)
        return Told(why="there is nothing to tell")
    ended = try_once(queue, settings, home, batch, note, now)
    if ended.code == 0:
        move_on(queue, cursor, batch)
        failpoints.failpoint("hook.told")
        note.tries, note.since, note.why = 0, 0.0, ""
    else:
        note.why, note.failed_at = ended.sentence(), note.began + ended.seconds
    keep(queue, note)
    return Told(len(batch.events), ended)


def try_once(queue: Queue, settings: Settings, home: str, batch: Batch, note: Note, now: float) -> Ended:
    """Run the hook with *batch*, which is noted before."""
    note.why = note.why or (hook_note.UNSEEN if note.tries else "")
    note.tries += 1
    note.began, note.since, note.events = now, note.since or now, len(batch.events)
    note.token, note.pid, note.boot = os.urandom(8).hex(), 0, processes.boot_id()
    keep(queue, note)
    variables = {"QUEUECTL_EVENTS": str(len(batch.events)), "QUEUECTL_EVENT": batch.word()}
    program = hook_process.Program(settings.hook, home, note, settings.grace)
    program.when_begun = lambda: keep(queue, note)
    ended = program.run(batch.data(), variables)
    failpoints.failpoint("hook.ended")
    return ended


def keep(queue: Queue, note: Note) -> None:
    """A note that cannot be written, on a full disk, keeps nobody from hearing of it."""
    try:
        hook_note.write(queue.folder, note)
    except OSError:
        pass


def move_on(queue: Queue, cursor: Cursor, batch: Batch) -> None:
    """All of *batch* was told. Raises HostError, with what comes of it."""
    try:
        hooking.advance(queue.database, cursor.kept, batch.following, batch.told, batch.over)
    except HostError as error:
        if not batch.events:
            raise
        raise HostError("the hook was told, which could not be noted, so it will be again: %s" % error) from None
