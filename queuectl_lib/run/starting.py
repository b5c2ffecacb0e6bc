"""How a supervisor comes to be: only where none serves, in the background, without the front end."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from queuectl_lib.errors import HostError
from queuectl_lib.host import files, signals, spawn, trust  # noqa: F401 - trust is for bundle.look_again
from queuectl_lib.run import inheriting, launching
from queuectl_lib.store import roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Sequence

    from storage import Queue

READY_SECONDS = 60.0  # how long a background supervisor may take to be ready


def new_supervisor_name() -> str:
    """A name that no other supervisor of this queue has had."""
    return "s" + os.urandom(3).hex()


def ensure_served(queue: Queue, wanted: Sequence[str], start: Callable[[Callable[[], None]], None]) -> None:
    """Call *start* unless a supervisor serves the queues *wanted*, or another call is about to start one.

    It is given what to call once others can see the new one.
    """
    with files.refusals_told(queue.folder.path):
        lock = roster.try_start_lock(queue.folder)
    if lock is None:
        return
    held = [lock]

    def let_go() -> None:
        while held:
            os.close(held.pop())

    try:
        if not roster.is_served(queue.folder, wanted):
            start(let_go)
    finally:
        let_go()


def spawn_without_front_end() -> None:
    """Have spawned processes load worker.py and what it stands on alone: of the front end they need nothing.

    multiprocessing would load it there as well, by path and so uncached, unless the main
    module has a name; and by the name __main__ it loads nothing.
    """
    from importlib.machinery import ModuleSpec  # no worker needs it

    main_module = sys.modules["__main__"]
    if main_module.__spec__ is None:
        main_module.__spec__ = ModuleSpec("__main__", None)


def start_background(queue: Queue, arguments: Sequence[str], name: str) -> int:
    """Start `queuectl.py ARGUMENTS` as a detached supervisor *name*; returns its pid when it is ready.

    Raises HostError with its own words when it cannot start.
    """
    queue.database.create()
    signals.free_signals()
    command = [sys.executable] + subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    log = files.open_appending(queue.folder.log)
    try:
        begin = os.fstat(log).st_size
        environment = dict(launching.worker_environment(), **inheriting.persons_home())
        child = spawn.detached(command + list(arguments), environment, log)
    finally:
        os.close(log)
    deadline = time.monotonic() + READY_SECONDS
    while not os.path.exists(queue.folder.request_path(name, "ready")):
        if child.poll() is not None:
            if child.returncode == 0:
                break  # drained already
            raise HostError("the worker did not start: %s" % last_words(queue.folder.log, begin))
        if time.monotonic() > deadline:
            raise HostError("the worker is not ready after %d seconds: see %s" % (READY_SECONDS, queue.folder.log))
        time.sleep(0.01)
    pid = child.pid
    child.returncode = 0  # it is on its own now: no warning about a child left behind
    return pid


def last_words(path: str, begin: int) -> str:
    """The last line that was logged after byte *begin*."""
    with open(path, "rb") as file:
        file.seek(begin)
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    words = (lines[-1] if lines else "it said nothing").replace("they said above", "they said in %s" % path)
    prefix = "queuectl: error: "
    return words[len(prefix) :] if words.startswith(prefix) else words
