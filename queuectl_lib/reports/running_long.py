"""Attempts that run unusually long, for `check --slow`: each is told of once, by its token."""

from __future__ import annotations

from queuectl_lib import contexts, times
from queuectl_lib.errors import NoDatabase
from queuectl_lib.reports import history
from queuectl_lib.store import looking, showing, told_slow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields


@contexts.contextmanager
def untold(database: Database, now: float) -> Iterator[List[Tuple[str, Fields]]]:
    """Those that nobody was told of: a sentence and facts each.

    They count as told when the block ends without an error. Of two that ask at once the second waits for
    the first, where there is something to tell.
    """
    if not long_tokens(database, now):
        yield []
        return
    with told_slow.gate(database):
        long = long_tokens(database, now)
        known = told_slow.tokens(database)
        new = [token for token in long if token not in known]
        yield [problem_of(long[token]) for token in new]
        if new:
            told_slow.note(database, new)


def long_tokens(database: Database, now: float) -> Dict[str, Fields]:
    """By its token the facts of each attempt that runs unusually long."""
    jobs: List[Fields] = []
    with contexts.suppress(NoDatabase):
        running = looking.processing(database)
        jobs = list(showing.in_order(database, iter([(job["seq"], "processing") for job in running]), ["processing"]))
        long = history.long_ones(database, jobs, now)
        return {str(job["token"]): dict(long[job["id"]], id=job["id"]) for job in running if job["id"] in long}
    return {}


def problem_of(facts: Fields) -> Tuple[str, Fields]:
    text = "job %s has been running for %s, usually %s"
    return text % (facts["id"], times.age_text(facts["running_seconds"]), history.usual_text(facts)), facts
