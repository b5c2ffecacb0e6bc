"""What stands still for a queue, a lock or a person: as a kind, a sentence and facts each."""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.jobs import local_time
from queuectl_lib.store import roster, serving, stuck

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

    Told = Tuple[str, str, Fields]

DAY = 86400.0
PAUSED_SECONDS = DAY  # from which on a pause is told of
HELD_SECONDS = 30 * DAY


def told_of(database: Database, now: float, waiting: float) -> List[Told]:
    """All there is to tell of; a due job may wait for *waiting* seconds."""
    found = stuck.Standstill(database, now, now - waiting, now - HELD_SECONDS, now - PAUSED_SECONDS)
    members = roster.members(database.folder)
    told = [*of_a_lock(found.parked, now), *of_pauses(found.paused, now), *of_holds(found.held, now)]
    for queue in found.queues:
        told += [*of_a_gate(queue, now, waiting), *of_nobody(queue, members)]
    return told


def of_a_lock(job: Optional[Fields], now: float) -> Iterator[Told]:
    if job:
        more = "" if len(job["held_by"]) < 2 else " and %d more" % (len(job["held_by"]) - 1)
        holder = "job %s%s" % (job["held_by"][0], more) if job["held_by"] else "nobody"
        text = "job %s has been due since %s (%s): its lock %s is held by %s"
        since = local_time.Screen().text(job["since"])
        yield "lock", text % (job["id"], since, age(job["since"], now), job["lock"], holder), job


def of_pauses(queues: List[Fields], now: float) -> Iterator[Told]:
    for queue in queues:
        note = " (%s)" % queue["note"] if queue["note"] else ""
        text = "queue %s is paused since %s%s; jobs in it: %d"
        yield "paused", text % (queue["queue"], age(queue["since"], now), note, queue["waiting"]), queue


def of_holds(held: List[Fields], now: float) -> Iterator[Told]:
    if held:
        longest = min(held, key=lambda job: str(job["since"]))
        text = "jobs held for longer than %s: %s; the first: %s (%s)"
        facts = dict(longest, held=min(len(held), stuck.MANY), more_held=len(held) > stuck.MANY)
        number = number_text(len(held))
        yield "held", text % (times.age_text(HELD_SECONDS), number, longest["id"], age(longest["since"], now)), facts


def of_a_gate(queue: Fields, now: float, waiting: float) -> Iterator[Told]:
    """A queue that its gate keeps shut for longer than its jobs may wait. (A window or a rate is meant to.)"""
    is_late = times.seconds_or(queue["since"], now) < now - waiting
    if queue["shut"] and is_late and not queue["shut"].startswith(stuck.EXPECTED):
        text = "queue %s: %s due, the first since %s (%s); %s"
        since = local_time.Screen().text(queue["since"])
        yield "gate", text % (*named(queue), since, age(queue["since"], now), queue["shut"]), queue


def of_nobody(queue: Fields, members: List[Fields]) -> Iterator[Told]:
    """A queue that none of those who work serves. (That nobody works at all is told apart.)"""
    who = [one for one in members if serving.is_served(one.get("queues", ()), queue["queue"])]
    if members and not who:
        text = "queue %s: %s due, no worker serves it"
        yield "unserved", text % named(queue), {"queue": queue["queue"], "due": min(queue["due"], stuck.MANY)}


def named(queue: Fields) -> Tuple[str, str]:
    return queue["queue"], number_text(queue["due"])


def number_text(number: int) -> str:
    return str(number) if number <= stuck.MANY else "more than {:,}".format(stuck.MANY)


def age(since: str, now: float) -> str:
    return times.age_text(now - times.seconds_or(since, now))
