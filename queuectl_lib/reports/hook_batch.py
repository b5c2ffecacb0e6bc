"""What is to be told to the hook now: a batch of events, each a JSON object on a line, and what comes of it once told.

An ended attempt is told as store/events has it, with `event` (the word of jobs/notices) and `text` (a sentence) before.
"""

from __future__ import annotations

import json

from queuectl_lib import errors, times, values
from queuectl_lib.jobs import notices
from queuectl_lib.reports import running_long
from queuectl_lib.store import ended, events, failure_words, hook_signs, hooking, looking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List

    from queuectl_lib.settings import Settings
    from queuectl_lib.store.database import Database
    from queuectl_lib.store.hooking import Cursor
    from queuectl_lib.values import Fields
    from storage import Queue

MOST = 1000  # events in a batch
STUCK_KINDS = ("waiting", "workers", "lock", "gate", "unserved")  # of what `check` tells
REASON_CHARACTERS = 300


class Batch:
    """What is told at one go, and what it comes to once it is told."""

    def __init__(self, following: int) -> None:
        self.events: List[Fields] = []
        self.following = following  # the number of the next end to be told
        self.told: Dict[str, float] = {}
        self.over: List[str] = []

    def data(self) -> bytes:
        """JSON Lines, in ASCII."""
        return "".join(json.dumps(event) + "\n" for event in self.events).encode("ascii")

    def word(self) -> str:
        """The most serious that it tells of."""
        words = [str(event["event"]) for event in self.events]
        for event in self.events:
            words += event.get("counts", ())
        return notices.most_serious(words) or words[0]


def batch_of(queue: Queue, settings: Settings, cursor: Cursor, now: float) -> Batch:
    """What is to be told from *cursor* on: nothing of what is no news. Raises HostError."""
    batch = Batch(cursor.next)
    late = Late()
    rows: List[Fields] = []
    is_all = True
    for row in ends_from(queue, batch):
        if hooking.is_wanted(row, settings.hook_on):
            rows.append(row)
            if now - times.seconds_or(row["finished_at"], now) > settings.hook_max_age:
                late.add(rows.pop())
        batch.following = row["ended"] + 1
        if len(rows) >= MOST - 1:
            is_all = False
            break
    batch.events = late.summary(now) + events_of(queue.database, rows)
    if is_all:
        add_signs(batch, queue, settings, cursor, now)
    return batch


def ends_from(queue: Queue, batch: Batch) -> Iterator[Fields]:
    """Each ended attempt from the next one of *batch* on, which follows."""
    more = True
    while more:
        rows, last = ended.look(queue.database, batch.following - 1, hooking.AT_ONCE)
        yield from rows
        more = len(rows) == hooking.AT_ONCE
        if not more:
            batch.following = max(batch.following, last + 1)


class Late:
    """Ends that nobody told in time: how many of each word, the first and the last."""

    def __init__(self) -> None:
        self.counts: Dict[str, int] = {}
        self.first: Any = None
        self.last: Any = None

    def add(self, row: Fields) -> None:
        word = hooking.word_of(row)
        self.counts[word] = self.counts.get(word, 0) + 1
        self.first, self.last = self.first or row, row

    def summary(self, now: float) -> List[Fields]:
        if not self.counts:
            return []
        counts = {word: self.counts[word] for word in notices.WORDS if word in self.counts}
        numbers = ", ".join("%s: %d" % one for one in counts.items())
        since, until = self.first["finished_at"], self.last["finished_at"]
        text = "not told in time, from %s to %s: %s" % (since, until, numbers)
        facts = {"counts": counts, "since": since, "until": until}
        return [dict(beside("summary", text, now), seq=self.last["ended"], **facts)]


def beside(word: str, text: str, now: float) -> Fields:
    """The beginning of an event that is not of an ended attempt."""
    return {"event": word, "text": errors.printable(text), "seq": None, "at": times.utc_text(now)}


def events_of(database: Database, rows: List[Fields]) -> List[Fields]:
    """Ended attempts as they are told."""
    told = [(hooking.word_of(row), events.record(row)) for row in rows]
    failed = [dict(record, last_error=record["error"]) for word, record in told if word in ("dead", "failed")]
    said = failure_words.texts(database, failed) if failed else {}
    return [dict({"event": word, "text": sentence(word, record, said)}, **record) for word, record in told]


SAID = {"dead": "is dead", "failed": "failed and will be tried again", "snoozed": "is to run again later"}


def sentence(word: str, record: Fields, said: Dict[Any, str]) -> str:
    """What has become of a job, for people; and what it *said* when it failed, by its id."""
    name = " (%s)" % record["name"] if record["name"] else ""
    text = "job %s%s %s" % (record["id"], name, SAID.get(word, word))
    if word == "completed" and isinstance(record["duration"], float):
        return errors.printable("%s after %s" % (text, times.age_text(record["duration"])))
    reason = said.get(record["id"]) if word in ("dead", "failed") else record["error"]
    reason = values.shortened(" ".join(str(reason or record["error"] or "").split()), REASON_CHARACTERS)
    return errors.printable("%s: %s" % (text, reason) if reason else text)


def add_signs(batch: Batch, queue: Queue, settings: Settings, cursor: Cursor, now: float) -> None:
    """What is told beside ended attempts: that the queue is idle, or stuck, and which attempts run unusually long."""
    database, told = queue.database, cursor.told
    batch.over += hook_signs.ended_since(database, told)
    for token, facts in running_long.long_tokens(database, now).items():
        if hooking.LONG + token not in told and hook_signs.is_wanted_long(database, token, settings.hook_on):
            text, facts = running_long.problem_of(facts)
            batch.events.append(dict(beside("running_long", text, now), **facts))
            batch.told[hooking.LONG + token] = now
    if "stuck" in settings.hook_on:
        add_stuck(batch, queue, cursor, now)
    if "idle" in settings.hook_on and told.get(hooking.IDLE, 0) < cursor.last and hook_signs.is_idle(database, now):
        counts = looking.counts(database)
        text = "nothing is due and nothing runs; jobs: %s"
        text %= ", ".join("%s %d" % one for one in counts.items() if one[1]) or "none"
        batch.events.append(dict(beside("idle", text, now), jobs=counts))
        batch.told[hooking.IDLE] = cursor.last


def add_stuck(batch: Batch, queue: Queue, cursor: Cursor, now: float) -> None:
    """Due jobs and no progress, as `check` has it: told once, until it is over."""
    may_be = hook_signs.may_be_stuck(queue.database, now)
    if not may_be and hooking.STUCK in cursor.told:
        batch.over.append(hooking.STUCK)
    if not may_be or hooking.STUCK in cursor.told:
        return
    from queuectl_lib.reports import problems  # which most batches need not

    found = problems.work_problems(queue, now, hook_signs.WAITING_SECONDS)
    found += problems.standstill_problems(queue, now, hook_signs.WAITING_SECONDS)
    runs = looking.counts(queue.database)["processing"] > 0
    found = [one for one in found if one["kind"] in STUCK_KINDS and not (runs and one["kind"] == "waiting")]
    texts = [str(one["text"]) for one in found]
    batch.told[hooking.STUCK] = now
    if texts:
        batch.events.append(dict(beside("stuck", "; ".join(texts), now), problems=texts))
