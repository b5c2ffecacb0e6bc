"""What is wrong with a queue, as facts and a sentence each."""

from __future__ import annotations

import contextlib
import os

from queuectl_lib import errors, times, values
from queuectl_lib.errors import BadInput
from queuectl_lib.store import health, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Sequence, Tuple

    from queuectl_lib.values import Fields
    from storage import Queue

NEWEST_DEAD = 20  # dead letters that `check` tells of
NAMED_DEAD = 5  # of them in one sentence; and of jobs of one launcher
ERROR_CHARACTERS = 100  # of the error of each
UNKNOWN_SECONDS = 60.0  # from which on a launcher that says nothing is told of


def check_expected(keys: Sequence[str], ages: Sequence[str]) -> List[Tuple[str, float]]:
    """Which keys must complete how often: as one or several give them to `check`. Raises BadInput."""
    if bool(keys) != bool(ages):
        raise BadInput("--expect KEY and --every DURATION go together: give both")
    if len(ages) not in (1, len(keys)) and keys:
        raise BadInput("give one --every for all, or one for each --expect")
    if keys:
        from queuectl_lib.jobs import checks  # which a `check` that expects nothing needs not

        for key in keys:
            checks.check_key(key, "--expect")
    seconds = [times.parse_duration(age, "--every") for age in ages]
    if 0 in seconds:
        raise BadInput("--every: 0 is never kept: give a length of time such as 26h")
    return list(zip(keys, seconds * len(keys) if len(seconds) == 1 else seconds))


@contextlib.contextmanager
def problems(
    queue: Queue,
    now: float,
    waiting: float,
    least: int,
    expected: Sequence[Tuple[str, float]],
    slow: bool = False,
) -> Iterator[List[Fields]]:
    """What is wrong with the queue, each as "kind", "text" and facts; deaths count as told once the block is left.

    A job is due for longer than *waiting* seconds, something stands still for a queue, a lock or a person, slots of a
    schedule are not made or bring no success, the disk has less than *least* bytes free, no job with a key that is
    *expected* completed within its seconds, jobs died since the last time. Where *slow* is asked for:
    an attempt runs unusually long, which is told once, too.
    """
    found = work_problems(queue, now, waiting) + standstill_problems(queue, now, waiting)
    found += schedule_problems(queue, now, waiting) + disk_problems(queue, least) + hook_problems(queue, now)
    for key, every in expected:
        found += expected_problems(queue, now, key, every)
    with contextlib.ExitStack() as told:
        if slow:
            from queuectl_lib.reports import running_long  # needed only then

            long = told.enter_context(running_long.untold(queue.database, now))
            found += [problem("slow", text, **facts) for text, facts in long]
        with health.untold_deaths(queue.database, NEWEST_DEAD) as (count, jobs):
            yield found + dead_problems(queue, count, jobs)


def gone(home: str, queue: Queue) -> List[Fields]:
    """That the home is not there, or that the database went from under those who live: then nothing can be checked."""
    if os.path.exists(queue.path):
        return []
    if not os.path.isdir(home):
        return [problem("home", "there is no folder %s: nothing is checked" % home, path=home)]
    alive = roster.members(queue.folder)
    if not alive:
        return []  # nothing was added yet
    who = "%s %s (pid %s)" % (alive[0]["kind"], alive[0]["name"], alive[0]["pid"])
    text = "the database %s is gone, and %s lives: put it back, or `worker stop`"
    return [problem("database", text % (queue.path, who), path=queue.path, alive=[one["name"] for one in alive])]


def problem(kind: str, text: str, **facts: Any) -> Fields:
    return dict([("kind", kind), ("text", text)], **facts)


def work_problems(queue: Queue, now: float, limit: float) -> List[Fields]:
    """A job that waits too long; nobody there to run it. Where workers are to stay stopped: that, after a day."""
    stays_since = queue.folder.stays_since()
    if stays_since is not None:
        from queuectl_lib.reports import stays  # needed only then

        return stays.told_of(queue, now, stays_since)
    found = []
    due, running, oldest = health.due_work(queue.database, now, now - limit)
    facts = {"due": min(due, health.MANY_DUE), "more_due": due > health.MANY_DUE}
    due_text = "more than {:,}".format(health.MANY_DUE) if facts["more_due"] else str(due)
    if oldest:
        since, identifier = oldest
        text = "job %s has been due since %s (%s); jobs due: %s"
        ago = times.age_text(now - times.seconds_or(since, now))
        text = text % (identifier, local_text(since), ago, due_text)
        found.append(problem("waiting", text, id=identifier, since=since, **facts))
    if (due or running) and not roster.has_worker_soon(queue.folder):
        from queuectl_lib.store import identity  # needed only then

        is_copy = running and identity.copied_from(queue.database)
        left = "interrupted when this copy was taken" if is_copy else "left without a worker"
        text = "no worker is alive; jobs due: %s, %s: %d; `queuectl.py worker start` starts one"
        found.append(problem("workers", text % (due_text, left, running), running=running, **facts))
    if due or running:
        found += paused_problems(queue, facts, due_text, running)
    if running:
        found += launcher_problems(queue, now)
    return found + worker_problems(queue)


def paused_problems(queue: Queue, due: Fields, due_text: str, running: int) -> List[Fields]:
    """Supervisors and workers that somebody has stopped with SIGSTOP, and that hold up what is there to be done."""
    if not roster.members(queue.folder):
        return []
    from queuectl_lib.reports import crew  # needed only then

    paused = crew.Crew(queue.folder).paused
    if not paused:
        return []
    pids = sorted(paused.values())
    who = "%s is" % next(iter(paused)) if len(paused) == 1 else "%s are" % ", ".join(sorted(paused))
    text = "%s paused (state T): `kill -CONT %s` lets %s go on; jobs due: %s, under way: %d"
    text = text % (who, " ".join(map(str, pids)), "it" if len(pids) == 1 else "them", due_text, running)
    return [problem("workers", text, pids=pids, running=running, **due)]


def launcher_problems(queue: Queue, now: float) -> List[Fields]:
    """Launchers that do not say for a minute whether what they started still runs, or cannot end it."""
    from queuectl_lib.store import launched  # needed only where something runs

    found: Dict[str, List[Fields]] = {}
    for one in launched.troubles(queue.database):
        if now - times.seconds_or(one["since"], 0.0) >= UNKNOWN_SECONDS:
            found.setdefault(one["launcher"], []).append(one)
    text = "%s: %s (for %s); until that is known it is given to nobody: `why %s` says more"
    problems = []
    for name, jobs in found.items():
        first, more = jobs[0], " and %d more" % len(jobs[NAMED_DEAD:]) if jobs[NAMED_DEAD:] else ""
        who = "job%s %s%s" % ("s" * (len(jobs) > 1), ", ".join(one["id"] for one in jobs[:NAMED_DEAD]), more)
        age = times.age_text(now - times.seconds_or(first["since"], now))
        told = text % (who, values.shortened(first["error"], ERROR_CHARACTERS), age, first["id"])
        problems.append(problem("launcher", told, **dict(first, launcher=name, jobs=len(jobs))))
    return problems


def worker_problems(queue: Queue) -> List[Fields]:
    """Supervisors whose workers cannot start, or die soon after they have."""
    text = "supervisor %s: %s; its log says more"
    troubled = [member for member in roster.members(queue.folder) if member.get("trouble")]
    return [
        problem("workers", text % (member["name"], member["trouble"]), supervisor=member["name"]) for member in troubled
    ]


def standstill_problems(queue: Queue, now: float, limit: float) -> List[Fields]:
    """What queues, locks and persons keep from starting for longer than they should."""
    if not health.any_aside(queue.database):
        return []
    from queuectl_lib.reports import standstills  # needed only then

    return [problem(kind, text, **facts) for kind, text, facts in standstills.told_of(queue.database, now, limit)]


def schedule_problems(queue: Queue, now: float, limit: float) -> List[Fields]:
    """Slots that nobody makes, schedules without success or in trouble."""
    if not health.any_schedule_to_tell(queue.database, now):
        return []
    from queuectl_lib.reports import late_schedules  # needed only then

    found = late_schedules.told_of(queue.database, now, limit)
    return [problem("schedule", text, **facts) for text, facts in found]


def disk_problems(queue: Queue, least: int) -> List[Fields]:
    """Too little room beside the database, or where output goes if that is another disk."""
    import shutil  # needed only here

    found, seen = [], set()
    folders = (os.path.dirname(queue.path), queue.folder.attempts) if os.path.exists(queue.path) else ()
    for folder in folders:
        try:
            device, free = os.stat(folder).st_dev, shutil.disk_usage(folder).free
        except OSError:
            continue
        if free < least and device not in seen:
            text = "the disk that holds %s has %s free, less than %s" % (
                folder,
                values.size_text(free),
                values.size_text(least),
            )
            found.append(problem("disk", text, path=folder, free=free, min_free=least))
        seen.add(device)
    return found


def hook_problems(queue: Queue, now: float) -> List[Fields]:
    """A hook that fails, so that somebody is not told of what he wants to know."""
    if not os.path.exists(os.path.join(queue.folder.path, "hook")):
        return []
    from queuectl_lib.store import hook_note  # which a queue without one needs not

    note = hook_note.read(queue.folder)
    if not note.fails(now):
        return []
    since = times.utc_text(note.since)
    text = "the hook fails since %s (%s), tries: %d: %s"
    text %= (local_text(since), times.age_text(max(0.0, now - note.since)), note.tries, note.reason())
    return [problem("hook", text, since=since, tries=note.tries, why=note.reason())]


def expected_problems(queue: Queue, now: float, key: str, every: float) -> List[Fields]:
    last = health.last_success(queue.database, key)
    age = now - times.seconds_or(last, 0.0) if last else 0.0
    if last and abs(age) <= every:
        return []
    when_text = "never"
    if last:
        when_text = "%s (%s)" % (local_text(last), times.age_text(age) + " ago" if age >= 0 else "in the future")
    text = "no job with the key %s completed within %s; the last success: %s"
    text = text % (errors.shown(key), times.exact_age(every), when_text)
    return [problem("expected", text, key=key, every=every, last_success=last)]


def local_text(moment: object) -> str:
    """A time that is kept, for people."""
    from queuectl_lib.jobs import local_time  # which a queue where all is well needs not

    return local_time.Screen().text(moment)


def dead_problems(queue: Queue, count: int, jobs: Sequence[Fields]) -> List[Fields]:
    """One line for all that died since the last check, with the newest by name."""
    if not count:
        return []
    from queuectl_lib.reports import deaths  # needed only then
    from queuectl_lib.store import dependencies

    jobs = [dict(job, cancelled_after=dependencies.cancelled_after(queue.database, job["id"])) for job in jobs]
    jobs = deaths.with_errors(queue.database, jobs)
    text = "new dead letters: %d" % count
    if jobs:
        text += "; %s%s" % ("the newest: " if count > NAMED_DEAD else "", ", ".join(named(jobs[:NAMED_DEAD])))
    text += "".join("; " + deaths.of_canary(job) for job in jobs if job["canary_of"])
    return [problem("dead", text, count=count, jobs=jobs)]


def named(jobs: Sequence[Fields]) -> List[str]:
    """Each of these that died, and of what; those that died of the same one after the other, and that once."""
    from queuectl_lib.reports import deaths  # the same

    found: List[Tuple[str, List[str]]] = []
    for job in jobs:
        along = deaths.taken_along(job)
        error = "(%s)%s" % (values.shortened(deaths.said_of(job), ERROR_CHARACTERS), along)
        if not found or found[-1][0] != error or along:
            found.append((error, []))
        found[-1][1].append(str(job["id"]))
    return ["%s %s" % (", ".join(names), error) for error, names in found]
