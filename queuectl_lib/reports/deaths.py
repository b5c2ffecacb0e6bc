"""What is said of those that have died: the line that tells most, and where one of them had gone first for a group."""

from __future__ import annotations

from queuectl_lib import values
from queuectl_lib.store import canary, failure_words, groups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

OWN_WORDS = ("cannot start: ", "lost: ")  # of the queue, which last_error holds in full


def with_errors(database: Database, jobs: Sequence[Fields]) -> List[Fields]:
    """*jobs* (id, signature, last_error), each with more.

    "error" is what those of its group have in common, "reason" what it said itself; "canary_of": facts, where it went
    first for a group.
    """
    texts = groups.texts(database, [job["signature"] for job in jobs])
    reasons = failure_words.texts(database, jobs)
    return [
        dict(
            job,
            error=texts.get(job["signature"]),
            reason=reasons[job["id"]],
            canary_of=canary.failed_first(database, job["id"]),
        )
        for job in jobs
    ]


COMMAND_CHARACTERS, REASON_CHARACTERS = 120, 200  # of each death that are told


def lines_of(problem: Fields) -> List[str]:
    """What `check` says to people: how many have died, a full line for each, and what has gone with them."""
    lines = ["new dead letters: %d" % problem["count"]]
    for job in problem["jobs"]:
        reason = values.shortened(job["reason"], REASON_CHARACTERS)
        lines.append("  %s: %s; command: %s%s" % (job["id"], reason, command_text(job), taken_along(job)))
    more = problem["count"] - len(problem["jobs"])
    if more > 0:
        lines.append("  and %d more: `queuectl.py dlq list`, `queuectl.py dlq groups`" % more)
    return lines + ["  " + of_canary(job) for job in problem["jobs"] if job["canary_of"]]


def command_text(job: Fields) -> str:
    return values.shortened(" ".join(str(job["command"]).split()), COMMAND_CHARACTERS)


def taken_along(job: Fields) -> str:
    """What has gone with a dead letter, for people."""
    count = job["cancelled_after"]
    text = " (1 job after it was cancelled)" if count == 1 else " (%d jobs after it were cancelled)" % count
    return text if count else ""


def said_of(job: Fields) -> str:
    """What a dead job died of, for people."""
    text = job["error"]
    if text and groups.tells_more(text) and not text.startswith(OWN_WORDS):
        return str(text)
    return str(job["last_error"] or "?")


def of_canary(job: Fields) -> str:
    """What it means that this one is dead."""
    facts = job["canary_of"]
    how = "failed as they did" if facts["alike"] else "failed otherwise than they did"
    stay = "none waits" if not facts["stay"] else "1 stays dead" if facts["stay"] == 1 else "%(stay)d stay dead" % facts
    return "%s went first for group %s and %s: %s" % (job["id"], facts["group"][:6], how, stay)
