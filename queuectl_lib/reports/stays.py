"""What `check` says while workers are to stay stopped (`worker stop --stay`): nothing for a day, then that they do."""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.store import health, roster, staying

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

    from queuectl_lib.values import Fields
    from storage import Queue

LONG_SECONDS = 86400.0


def told_of(queue: Queue, now: float, since: float) -> List[Fields]:
    """That they stay stopped *since* then (seconds since 1970), where that is more than a day ago."""
    if now - since < LONG_SECONDS:
        return []
    due, running, _ = health.due_work(queue.database, now, now)
    work = "more than {:,}".format(health.MANY_DUE) if due > health.MANY_DUE else str(due)
    text = "%s; jobs due: %s" % (staying.words(since, now), work)
    facts = {"due": min(due, health.MANY_DUE), "more_due": due > health.MANY_DUE, "running": running}
    workers = roster.has_worker(queue.folder)
    return [dict({"kind": "stopped", "text": text}, since=times.utc_text(since), workers=workers, **facts)]
