"""The wish that workers stay stopped until a person starts them: a file in the queue's folder, and what is said of it.

    worker stop --stay     makes the file, then asks whoever lives to stop
    worker start --ensure  starts nobody while it is there, also after a restart of the host
    worker start           removes it, then starts

That it is there says all, so a copy of the home has the wish, too, and nothing need fit on the disk but its name.
A supervisor looks for it once others can see him, and then stops: whoever made it after he had begun to start, and saw
nobody whom he could have asked, has his way all the same.

*Limit:* where the folder is deleted, by a cleaner say, the wish is gone with it.
"""

from __future__ import annotations

import os

from queuectl_lib import errors, times
from queuectl_lib.errors import HostError
from queuectl_lib.host import files
from queuectl_lib.store import folder as folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    from queuectl_lib.store.folder import Folder

UNTIL = "until `worker start` is typed"


def begin(folder: Folder) -> None:
    """Let workers stay stopped. Raises HostError, and then that was not noted."""
    path = os.path.join(folder.path, folders.STAY)
    try:
        folder.refuse_links()
        folder.make()
        if folder.stays_since() is None:
            os.close(files.open_private(path, os.O_WRONLY | os.O_CREAT))
            files.sync_folder(folder.path)
    except OSError as error:
        text = "that workers stay stopped cannot be noted in %s: %s: nothing was stopped, as `worker stop` alone does"
        raise HostError(text % (errors.printable(path), error.strerror)) from None


def end(folder: Folder) -> Optional[float]:
    """Forget the wish; since when it has stood (seconds since 1970), None where there was none. Raises HostError."""
    with files.refusals_told(folder.path):
        since = folder.stays_since()
    if since is None:
        return None
    path = os.path.join(folder.path, folders.STAY)
    try:
        folder.refuse_links()
        files.remove(path)
        files.sync_folder(folder.path)
    except OSError as error:
        text = "the wish of `worker stop --stay` cannot be forgotten: %s: %s: remove that by hand"
        raise HostError(text % (errors.printable(path), error.strerror)) from None
    return since


def heeded(folder: Folder, supervisor: str, then: Optional[Callable[[], None]]) -> Callable[[], None]:
    """What a *supervisor* does once others can see that he lives: ask himself to stop where the wish stands; *then*."""

    def heed() -> None:
        if folder.stays_since() is not None:
            folder.put_request(supervisor, "stop")
        if then:
            then()

    return heed


def words(since: float, now: float) -> str:
    """That the wish stands, for people."""
    return "workers stay stopped %s" % until(since, now)


def until(since: float, now: float) -> str:
    return "%s (`worker stop --stay`, %s ago)" % (UNTIL, times.age_text(max(0.0, now - since)))
