"""The storage alone: jobs into a queue and out of it, without a process, at a time that stands."""

import contextlib
import sqlite3

from queuectl_lib import settings
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.settings import Settings
from queuectl_lib.store import formats, looking, queues, requeuing, selecting, showing, steps
from queuectl_lib.store.output import Output
from queuectl_lib.store.selecting import Selection

NOW = 1800000000.0
SETTINGS = Settings(**settings.SETTING_DEFAULTS)


def enqueue(queue, /, max_retries=1, now=NOW, **fields):
    """Add a job, `true` where *fields* name no other command; returns its id."""
    maker = JobMaker(max_retries, "/", 0o022, now)
    if "queue" in fields:
        maker.queue_of = lambda name: queues.ids(queue.database)[name]
    return queue.enqueue(maker.row(dict({"command": "true"}, **fields)))


def set_queue(queue, name, **values):
    """Make a queue, or change what is set of it, by the columns of its row."""
    queues.change(queue.database, name, values)


def claim(queue, now=NOW, want=1, worker="w-1"):
    return queue.exchange(worker, [], want, now, SETTINGS)[1]


def claim_one(queue, now=NOW):
    """The next due job, claimed; None where none is due."""
    claims = claim(queue, now)
    return claims[0] if claims else None


def settle(queue, held, kind, now=NOW, unstarted=False, settings=SETTINGS, error=None, exit_code=None):
    """Record one outcome; True when the storage took it."""
    outcome = Outcome(held, kind, now, error)
    outcome.unstarted = unstarted
    outcome.exit_code = exit_code
    return not queue.exchange("w-1", [outcome], 0, now, settings)[0]


def requeue_dead(queue, now=NOW):
    """As `dlq retry --all`: how many went back, and (id, why) of those that the database refuses to change."""
    verb = requeuing.Requeuing(["dead"], now)
    requeuing.requeue_all(queue.database, selecting.find(queue.database, Selection(["dead"])), verb, lambda: None)
    return verb.changed, verb.named


def total(queue):
    return sum(looking.counts(queue.database).values())


def raw(queue):
    return raw_file(queue.path)


@contextlib.contextmanager
def raw_file(path):
    """A connection past the product, to a database that may be no queue."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        yield connection
    finally:
        connection.close()


def rows(queue, sql="SELECT * FROM jobs ORDER BY seq"):
    with raw(queue) as connection:
        return [dict(row) for row in connection.execute(sql)]


def everything(queue):
    return rows(queue), rows(queue, "SELECT * FROM attempts ORDER BY id")


def in_full(queue, identifier):
    """A job with its attempts, and in them the bytes of what output stands in the database (None of what does not)."""
    job = showing.job(queue.database, identifier)
    for attempt in job["history"]:
        for stream in ("stdout", "stderr"):
            kept = Output(queue.database, attempt, stream)
            attempt[stream] = kept.read(0, kept.size) if attempt[stream] else None
    return job


def know_steps(monkeypatch, known):
    """This program, as if the steps of the schema were these."""
    monkeypatch.setattr(steps, "MIGRATIONS", known)
    monkeypatch.setattr(formats, "FORMAT", len(known))
