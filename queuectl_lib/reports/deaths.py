"""What is said of those that have died: the line that tells most, and where one of them had gone first for a group."""

from __future__ import annotations

from queuectl_lib.store import canary, groups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

OWN_WORDS = ("cannot start: ", "lost: ")  # of the queue, which last_error holds in full


def with_errors(database: Database, jobs: Sequence[Fields]) -> List[Fields]:
    """*jobs* (id, signature), each with its "error", and with "canary_of": facts, where it went first for a group."""
    texts = groups.texts(database, [job["signature"] for job in jobs])
    return [
        dict(job, error=texts.get(job["signature"]), canary_of=canary.failed_first(database, job["id"])) for job in jobs
    ]


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
