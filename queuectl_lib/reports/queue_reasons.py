"""Why the queue does what it does, or does nothing: one reason of a closed list, as reports/reasons has it for a job.

    database_locked  another program keeps it locked
    no_worker worker_starting worker_refuses worker_paused workers_stopping    something is due, and nobody starts it
    disk_low         what `check` says of the disk
    queue_not_served queue_paused lock queue_full queue_rate window gate       all that is due waits for this
    held, after      nothing is due, and what waits needs a person, or another job
    stuck            something is due, a worker is free, and none takes it
    busy             jobs run
    idle             there is nothing to do now

Only ever extended.
"""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.errors import Locked
from queuectl_lib.jobs import local_time, states
from queuectl_lib.reports import crew, problems, reasons
from queuectl_lib.reports.crew import Crew
from queuectl_lib.store import explaining_all, health, preceding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Optional, Tuple

    from queuectl_lib.values import Fields
    from storage import Queue

LEAST_FREE = 256 << 20  # bytes, as `check` wants them where it is told nothing else
PATIENCE_SECONDS = 2.0  # for a lock: whoever asks why does not want to wait
NAMED = 3  # schedules that are late
LATE_SECONDS = reasons.PATIENCE_SECONDS
ORDER = (
    *("database_locked", "no_worker", "worker_starting", "worker_refuses", "worker_paused", "workers_stopping"),
    *("disk_low", "queue_not_served", "stuck", "queue_paused", "lock", "queue_full", "queue_rate", "window", "gate"),
    *("busy", "held", "after", "idle"),
)


def of(queue: Queue, now: float) -> Fields:
    """The answer about the whole queue, in the form of `why --json`. Raises HostError."""
    queue.database.busy_seconds = min(queue.database.busy_seconds, PATIENCE_SECONDS)
    try:
        facts = explaining_all.of_queue(queue.database, now)
    except Locked as error:
        return reasons.answer(None, None, [{"reason": "database_locked", "sentence": str(error)}])
    if facts is None:
        text = "nothing was ever added: %s does not exist yet" % crew.printed(queue.path)
        return reasons.answer(None, None, [{"reason": "idle", "sentence": text, "next": ("add", "echo hello")}])
    found = sorted(Reasons(queue, facts, now).all(), key=lambda one: ORDER.index(one["reason"]))
    found = [one for one in found if one["reason"] != "idle" or len(found) == 1]
    return reasons.answer(None, None, found)


class Reasons:
    """All that is to be said of one queue, of which the *facts* are known (store/explaining_all)."""

    def __init__(self, queue: Queue, facts: Fields, now: float) -> None:
        self.queue = queue
        self.facts = facts
        self.now = now
        self.people = Crew(queue.folder)
        self.running: int = facts["counts"]["processing"]
        self.due: int = sum(one["due"] for one in facts["queues"])
        self.waiting: int = sum(facts["counts"][state] for state in states.WAITING)
        self.late = self.late_schedules()

    def late_schedules(self) -> str:
        """Those whose slots nobody makes since nobody is there, in words; "" where there are none."""
        if self.people.supervisors or not health.any_schedule_to_tell(self.queue.database, self.now):
            return ""
        from queuectl_lib.reports import late_schedules  # needed only then

        told = late_schedules.told_of(self.queue.database, self.now, 0.0)
        names = [crew.printed(facts["schedule"]) for _, facts in told if "slots" in facts]
        more = ", and %d more" % (len(names) - NAMED) if len(names) > NAMED else ""
        begin = "the schedule %s is" if len(names) == 1 else "the schedules %s are"
        return (begin + " late") % (", ".join(names[:NAMED]) + more) if names else ""

    def all(self) -> Iterator[Fields]:
        work = self.running or self.due or self.facts["next"] or self.waiting
        missing = self.people.why_not() if work or self.late or self.queue.folder.stays_since() is not None else None
        if missing:
            yield dict(missing, sentence=self.nothing_starts(missing), due=self.due, running=self.running)
        for one in problems.disk_problems(self.queue, LEAST_FREE):
            yield {"reason": "disk_low", "sentence": one["text"], "path": one["path"], "free": one["free"]}
        open_queues = [one for one in self.facts["queues"] if not one["closed"]]
        if not missing:
            yield from self.of_open(open_queues)
        if not open_queues:
            yield from self.of_closed()
            yield from self.of_parked()
        yield from self.of_the_rest()

    def nothing_starts(self, missing: Fields) -> str:
        """What stands still, and why: nobody starts it."""
        begin, why = "" if self.running else "nothing runs: ", missing["sentence"]
        end = "; %s" % self.begun(not self.people.workers) if self.running else ""
        if self.due:
            return "%s%s due%s and %s%s" % (begin, is_or_are(self.due), self.since(), why, end)
        if self.facts["next"]:
            return "%sthe next job is due at %s and %s%s" % (begin, self.next_text(), why, end)
        what = self.waits_text() if self.waiting else self.late or "nothing is due"
        dead = self.facts["counts"]["dead"]
        return "%s%s, and %s%s" % (begin, what, why, end or ("; %s dead" % is_or_are(dead) if dead else ""))

    def begun(self, is_left: bool) -> str:
        """Which jobs are under way; where they are *left* only a worker can tell what has become of them."""
        if not is_left:
            return jobs_run(self.running)
        return "%s begun and %s no worker now" % (
            ("1 job has", "has") if self.running == 1 else ("{:,} jobs have".format(self.running), "have")
        )

    def since(self) -> str:
        found = [one["since"] for one in self.facts["queues"] if one["since"]]
        moment = times.seconds_or(min(found, default=None), self.now)
        return " since %s" % wall_text(moment, self.now) if found and moment < self.now else ""

    def next_text(self) -> str:
        return wall_text(times.seconds_or(self.facts["next"], self.now), self.now)

    def waits_text(self) -> str:
        """What waits for something else than its time, by numbers."""
        texts = {"held": "held by a person", "after": "waiting for others", "parked": "waiting for a lock"}
        said = ["%s %s" % (is_or_are(self.facts[key]), text) for key, text in texts.items() if self.facts[key]]
        return ", ".join(said) or "%s waiting" % is_or_are(self.waiting)

    # -------------------------------------------------------- what is due

    def of_open(self, open_queues: List[Fields]) -> Iterator[Fields]:
        """Jobs could start: nobody serves them, or nobody takes them."""
        served = [one for one in open_queues if self.people.able(one["queue"])]
        if open_queues and not served:
            missing = self.people.why_not(open_queues[0]["queue"]) or {}
            text = "%s due%s: %s" % (is_or_are(self.due), self.since(), missing.get("sentence"))
            yield dict(missing, sentence=text)
        _, slots = self.people.slots()
        late = [one for one in served if self.now - times.seconds_or(one["since"], self.now) > LATE_SECONDS]
        if late and not self.running:
            text = "%s due%s, %s free, and none takes one: %s says more"
            free = "a worker is" if slots == 1 else "%d slots are" % slots
            log = crew.printed(self.queue.folder.log)
            text = text % (is_or_are(self.due), self.since(), free, log)
            yield {"reason": "stuck", "sentence": text, "due": self.due}

    def of_closed(self) -> Iterator[Fields]:
        """All that is due is in queues that may start nothing."""
        for one in self.facts["queues"]:
            shut = one["closed"][0]
            name, text = crew.printed(one["queue"]), crew.printed(shut["text"])
            said = "the queue %s, in which %s due, starts nothing: %s" % (name, is_or_are(one["due"]), text)
            what: Tuple[str, ...] = ("queue", "show", one["queue"])
            if shut["reason"] == "queue_paused":
                said = "the queue %s is paused, and %s due in it" % (name, is_or_are(one["due"]))
                what = ("resume", one["queue"])
            yield {"reason": shut["reason"], "sentence": said, "queue": one["queue"], "due": one["due"], "next": what}

    def of_parked(self) -> Iterator[Fields]:
        if self.facts["parked"]:
            names = [crew.printed(key) for key in self.facts["locks"]]
            locks = "the lock %s" % names[0] if len(names) == 1 else "several locks"
            text = "%s waiting for %s" % (is_or_are(self.facts["parked"]), locks)
            text = "%s, and %s" % (jobs_run(self.running), text) if self.running else text
            yield {"reason": "lock", "sentence": text, "jobs": self.facts["parked"], "next": ("lock", "list")}

    # -------------------------------------------------------- what there is else

    def of_the_rest(self) -> Iterator[Fields]:
        later = "; the next falls due at %s" % self.next_text() if self.facts["next"] else ""
        if self.running:
            _, slots = self.people.slots()
            due = ", and %s due%s" % (is_or_are(self.due), self.since()) if self.due else ""
            text = "%s on %s%s" % (jobs_run(self.running), reasons.counted(slots, "slot"), due or later)
            yield {"reason": "busy", "sentence": text, "running": self.running, "slots": slots, "due": self.due}
        for key, what in (("held", ("list", "--state", "pending,failed")), ("after", None)):
            if self.facts[key] and not (self.running or self.due):
                text = "nothing is due: %s%s" % (self.waits_text(), later)
                yield {"reason": key, "sentence": text, "jobs": self.facts[key], "next": what}
        if not self.running:
            yield self.idle(later)

    def idle(self, later: str) -> Fields:
        dead = self.facts["counts"]["dead"]
        what: Optional[Any] = None
        text = "nothing runs and nothing is due" + later
        if self.due:
            text = "nothing runs, and %s due%s: a worker takes the first one now" % (is_or_are(self.due), self.since())
        if dead:
            text, what = text + "; %s dead" % is_or_are(dead), ("dlq", "groups")
        return {"reason": "idle", "sentence": text, "dead": dead, "next": what}


def is_or_are(number: int) -> str:
    """So many jobs, as what a sentence begins with."""
    if number > preceding.MANY:
        return "more than {:,} jobs are".format(preceding.MANY)
    return "1 job is" if number == 1 else "{:,} jobs are".format(number)


def jobs_run(number: int) -> str:
    return "1 job runs" if number == 1 else "{:,} jobs run".format(number)


def wall_text(moment: float, now: float) -> str:
    """A time for people, with the offset of this host: of the same day the minute alone."""
    text, today = local_time.text(moment), local_time.text(now)
    minute = text[11:16] if text[:10] == today[:10] else text[:16]
    return minute + text[local_time.LENGTH :]
