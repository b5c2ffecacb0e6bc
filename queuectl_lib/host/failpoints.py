"""Places between two effects where a test can have this process killed."""

from __future__ import annotations

import os
import sys

from queuectl_lib import contexts


def failpoint(name: str) -> None:
    """A named place between two effects, where a test can have this process killed.

    QUEUECTL_FAILPOINT=NAME:FILE kills it there once: the first to create FILE dies.
    """
    if FAILPOINT and FAILPOINT.partition(":")[0] == name:
        with contexts.suppress(FileExistsError):
            os.close(os.open(FAILPOINT.partition(":")[2], os.O_CREAT | os.O_EXCL))
            if sys.platform == "win32":
                os._exit(9)
            os.kill(os.getpid(), 9)


FAILPOINT = os.environ.get("QUEUECTL_FAILPOINT", "")
