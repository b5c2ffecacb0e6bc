"""Why a job is where it is: a closed list of reasons, each with a sentence, facts and what to type.

Of a job that waits, in the order in which a person must mend them; all but the last three keep it from being claimed:

    no_worker           nobody works here                         worker start
    worker_starting     a supervisor is about to have workers
    worker_refuses      workers cannot start, or take nothing     (the log)
    worker_paused       those that could are stopped (SIGSTOP)    kill -CONT
    workers_stopping    those that could were asked to stop       worker start
    queue_not_served    none of those that live serves its queue  worker start --queue
    queue_paused        a person has paused its queue             resume
    held                a person holds it                         release
    after               it comes after a job that has not ended   why THAT
    lock                as many as may run with its lock          why THAT
    queue_full          as many as may run of its queue
    queue_rate          the rate of its queue is used up
    window              its queue is closed at this time
    gate                load, memory or disk keep its queue shut  queue show
    not_due             its own time has not come                 edit --now
    backoff             it failed, and waits for its next attempt
    snoozed             it asked to be run later
    unreadable          somebody has changed its row: it will be set aside
    failed_will_retry   it failed before (reports/failures), and is tried again
    behind              others are claimed before it
    next                nobody is: it starts when a slot is free

    running running_long ending worker_paused unclaimed_orphan launcher_unknown    of one that runs
    (reports/failures)                                            of one that is dead
    completed cancelled                                           of one that is final

Only ever extended. All is worked out from what stood in the database at one moment, and nothing is promised.
"""

from __future__ import annotations

from queuectl_lib import errors, times
from queuectl_lib.jobs import local_time, states
from queuectl_lib.reports import crew, estimate, failures, under_way
from queuectl_lib.store import preceding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

    from queuectl_lib.reports.crew import Crew
    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

# Reasons that keep no claim from taking a job.
NOT_BLOCKING = ("unreadable", "failed_will_retry", "behind", "next")
ORDER = (
    *("no_worker", "worker_starting", "worker_refuses", "worker_paused", "workers_stopping", "queue_not_served"),
    *("queue_paused", "held", "after", "lock", "queue_full", "queue_rate", "window", "gate"),
    *("not_due", "backoff", "snoozed", "unreadable", "failed_will_retry", "behind", "next"),
)
PATIENCE_SECONDS = 30.0  # from which on it is odd that a free worker does not take the next job


class Why:
    """Answers about the jobs of one queue, at the time *now*; *timeout* is that of jobs without one of their own."""

    def __init__(self, database: Database, people: Crew, now: float, timeout: Optional[float] = None) -> None:
        self.database = database
        self.people = people
        self.now = now
        self.timeout = timeout

    def of(self, facts: Fields) -> Fields:
        """The answer about one job, of which the *facts* are known (store/explaining): the keys of `why --json`."""
        job = facts["job"]
        if job["state"] in states.WAITING and job["lane"] in range(5):
            found = sorted(self.waiting(facts), key=lambda one: ORDER.index(one["reason"]))
        elif job["state"] == "processing":
            found = [under_way.running(self, facts)]
        elif job["state"] in states.FINAL:
            found = [under_way.final(self, facts)]
        else:
            text = "its state in the database cannot be read: %s" % crew.cut(errors.printable(str(job["state"])))
            found = [{"reason": "unreadable", "sentence": text}]
        return answer(str(job["id"]), str(job["state"]), found)

    # -------------------------------------------------------- it waits

    def waiting(self, facts: Fields) -> Iterator[Fields]:
        """Each reason why a job waits."""
        missing = self.people.why_not(facts["queue"])
        if missing:
            yield dict(missing, sentence="%s%s" % (self.when_due(facts["job"]), missing["sentence"]))
        yield from self.of_its_queue(facts)
        yield from self.of_itself(facts)
        if facts["lock"]:
            yield self.of_its_lock(facts)
        if facts["wrong"]:
            text = "%s: the worker that comes to it sets it aside among the dead" % crew.cut(
                errors.printable(facts["wrong"])
            )
            yield {"reason": "unreadable", "sentence": text}
        if facts["job"]["state"] == "failed":
            yield failures.of_failed(self.database, facts, self.people)
        if facts["ahead"] is not None and not missing:
            yield self.of_its_place(facts)

    def when_due(self, job: Fields) -> str:
        """What a sentence begins with that says who is missing."""
        if not times.is_time(job["next_run_at"]) or not (job["is_due"] or job["is_early"]):
            return ""
        seconds = times.utc_seconds(job["next_run_at"]) - self.now
        if job["is_early"]:
            return "it is due in %s, and " % times.age_text(seconds)
        return "it has been due for %s, and " % times.age_text(seconds) if seconds < 0 else ""

    def of_its_queue(self, facts: Fields) -> Iterator[Fields]:
        name = crew.printed(facts["queue"])
        for shut in facts["closed"]:
            text = "the queue %s starts nothing now: %s" % (name, crew.printed(shut["text"]))
            type_this: Optional[Tuple[str, ...]] = None
            if shut["reason"] == "queue_paused":
                until = " until %s" % self.moment(shut["again"]) if shut["again"] else ""
                text = "its queue %s is paused%s" % (name, until)
                type_this = ("resume", facts["queue"])
            elif shut["reason"] == "queue_full":
                text = "its queue %s runs as many jobs as it may (%s)" % (name, crew.printed(shut["text"]))
            elif shut["reason"] == "gate":
                type_this = ("queue", "show", facts["queue"])
            opens = {} if shut["again"] is None else {"again": times.utc_text(shut["again"])}
            yield dict(opens, reason=shut["reason"], sentence=text, queue=facts["queue"], next=type_this)

    def of_itself(self, facts: Fields) -> Iterator[Fields]:
        """What it was given itself: held, after others, a time of its own."""
        job = facts["job"]
        if job["lane"] == 3:
            since = self.ago(job["held_at"])
            text = "a person holds it%s: it starts once it is released" % (" (for %s now)" % since if since else "")
            yield {"reason": "held", "sentence": text, "since": job["held_at"], "next": ("release", str(job["id"]))}
        if facts["parents"] is not None:
            yield of_parents(facts["parents"])
        if not job["is_early"]:
            return
        due = crew.printed(job["next_run_at"])
        seconds = times.seconds_or(job["next_run_at"], self.now)
        when = "in %s (%s)" % (times.age_text(seconds - self.now), self.moment(seconds))
        reason, text = "not_due", "its time has not come: it is due %s" % when
        type_this: Optional[Tuple[str, ...]] = ("edit", str(job["id"]), "--now")
        if job["state"] == "failed":
            reason, text = "backoff", "it waits for its next attempt, due %s, as attempt %s failed%s" % (
                when,
                failures.of_all(job["attempts"] if type(job["attempts"]) is int else 1, job["max_retries"]),
                failures.last_words(facts),
            )
        elif type(job["snoozes"]) is int and job["snoozes"] > 0 and last_outcome(facts) == "snoozed":
            why = crew.cut(errors.printable(str(job["last_error"] or "")))
            reason, text = "snoozed", "it asked to be run later, for the %s time: it is due %s%s" % (
                ordinal(job["snoozes"]),
                when,
                " (%s)" % why if why else "",
            )
            if why.startswith("launcher "):  # it has not asked for that (run/far_attempt)
                text = "%s; put off for the %s time, and due %s" % (why, ordinal(job["snoozes"]), when)
                type_this = launchers_trial(facts) or type_this
        yield {"reason": reason, "sentence": text, "due": due, "next": type_this}

    def of_its_lock(self, facts: Fields) -> Fields:
        holders: List[str] = facts["lock"]["held_by"]
        more = " and %d more" % (len(holders) - 1) if len(holders) > 1 else ""
        key = crew.printed(facts["job"]["lock_key"])
        text = "its lock %s is held by job %s%s" % (key, crew.printed(holders[0]), more) if holders else ""
        text = text or "its lock %s is free again: a supervisor finds that out within a minute" % key
        type_this = ("why", holders[0]) if holders else None
        return {"reason": "lock", "sentence": text, "lock": key, "held_by": holders[:100], "next": type_this}

    def of_its_place(self, facts: Fields) -> Fields:
        """How many are claimed before it; a bare rank says nothing, so what they are and who runs them, too."""
        ahead = facts["ahead"]
        workers, slots = self.people.slots(facts["queue"])
        running = facts["running"]
        who = "%s, %d of %s taken" % (counted(workers, "worker"), min(running, slots), counted(slots, "slot"))
        if ahead["jobs"] or ahead["more"]:
            text = "waits behind %s %s; %s" % (number_text(ahead), why_before(facts), who)
            eta = None if ahead["more"] else estimate.until(self.database, self.people.workers, ahead["jobs"], self.now)
            text += "" if eta is None else ": about %s at their usual pace" % estimate.length_text(eta)
            facts = {"ahead": ahead["jobs"], "more": ahead["more"], "eta": eta}
            return dict(facts, reason="behind", sentence=text)
        late = self.now - times.seconds_or(facts["job"]["next_run_at"], self.now)
        late = min(late, self.now - times.seconds_or(facts["job"]["updated_at"], self.now))
        if running >= slots:
            return {"reason": "next", "sentence": "it is the next to start, when a slot is free: %s" % who}
        if running or late < PATIENCE_SECONDS:  # while short jobs run, a slot may be left for a moment
            return {"reason": "next", "sentence": "it is the next to start: %s" % who}
        text = "it could have started %s ago, and no worker takes it, though %s: %s says more"
        log = crew.cut(errors.printable(self.people.folder.log))
        return {"reason": "next", "sentence": text % (times.age_text(late), who, log)}

    # -------------------------------------------------------- words

    def ago(self, moment: Any) -> str:
        """How long ago that was; "" for what is no time."""
        return times.age_text(self.now - times.utc_seconds(moment)) if times.is_time(moment) else ""

    def moment(self, seconds: float) -> str:
        return local_time.text(seconds)


BESIDE = ("reason", "sentence", "next", "eta")  # what is no fact


def answer(identifier: Optional[str], state: Optional[str], found: Sequence[Fields]) -> Fields:
    """The first of the reasons *found* in the form of `why --json`: "next" are words behind `queuectl.py`, or a kill.

    At most two things are proposed, of the first reason.
    """
    first = found[0]
    proposed = first.get("next") or ()
    proposed = list(proposed) if isinstance(proposed, list) else [proposed] if proposed else []
    listed = []
    for one in found:
        facts = {key: value for key, value in one.items() if key not in BESIDE}
        listed.append(dict({"reason": one["reason"], "sentence": one["sentence"]}, **facts))
    return {
        "id": identifier,
        "state": state,
        "reason": first["reason"],
        "sentence": first["sentence"],
        "reasons": listed,
        "next": proposed[:2],
        "eta": first.get("eta"),
    }


def launchers_trial(facts: Fields) -> Optional[Tuple[str, ...]]:
    """What tries the launcher of the last attempt."""
    from queuectl_lib.store import launched  # which only these need

    name = launched.parts(facts["attempts"][0].get("launcher"))[0]
    return ("doctor", "--launcher", str(name)) if name else None


def last_outcome(facts: Fields) -> object:
    return facts["attempts"][0]["outcome"] if facts["attempts"] else None


WANTS: Dict[str, str] = {"after": "has completed", "after_any": "has ended", "after_fail": "is dead"}


def of_parents(parents: List[Fields]) -> Fields:
    """It waits for others: which, and what they do."""
    names = [str(one["id"]) for one in parents[:100]]
    if not parents:
        text = "it waits for what it comes after: a worker takes note of how that ended"
        return {"reason": "after", "sentence": text, "after": names}
    first = parents[0]
    more = " and %d more jobs" % (len(parents) - 1) if len(parents) > 1 else ""
    more = more if len(parents) <= 100 else " and more than 99 more jobs"
    state = "which is %s" % crew.printed(first["state"]) if first["state"] != "gone" else "which is gone"
    text = "it waits until job %s %s, %s%s" % (crew.printed(names[0]), WANTS[first["wants"]], state, more)
    return {"reason": "after", "sentence": text, "after": names, "next": ("why", names[0])}


def why_before(facts: Fields) -> str:
    """What brings those before it there."""
    ahead, own = facts["ahead"], crew.printed(facts["job"]["priority"])
    if ahead["priority"] and ahead["priority"] >= ahead["jobs"]:
        return "of higher priority (its own is %s)" % own
    if ahead["priority"]:
        return "(%d of higher priority than its %s, the others due earlier)" % (ahead["priority"], own)
    is_one = ahead["jobs"] == 1
    if ahead["turns"]:
        return "that %s first, as other queues take turns with its own" % ("comes" if is_one else "come")
    return "that %s due earlier" % ("was" if is_one else "were")


def number_text(ahead: Fields) -> str:
    if ahead["more"] and ahead["jobs"] < preceding.MANY:  # of what has fallen due, only so many were looked at
        return "at least %s" % counted(ahead["jobs"], "job") if ahead["jobs"] else "other jobs"
    if ahead["more"]:
        return "more than {:,} jobs".format(ahead["jobs"])
    return counted(ahead["jobs"], "job")


def counted(number: int, what: str) -> str:
    return "1 %s" % what if number == 1 else "{:,} {}s".format(number, what)


def ordinal(number: int) -> str:
    ends = {1: "st", 2: "nd", 3: "rd"}
    return "%d%s" % (number, "th" if 10 <= number % 100 <= 20 else ends.get(number % 10, "th"))
