"""The course of doctor: which probe comes after which."""

from __future__ import annotations

import os
import sys
import time

from queuectl_lib.doctor import probes
from queuectl_lib.doctor.probes import Finding
from queuectl_lib.doctor.trial import Trial
from queuectl_lib.host import system
from storage import Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from queuectl_lib.host.trust import Way
    from queuectl_lib.settings import ConfigFile


def examine(home: str, config: ConfigFile, way: Way, script: str, modules: str) -> Iterator[Finding]:
    """Finding after finding: the host, the real home, a home that is thrown away.

    *script* is queuectl.py, or the archive that holds it; *modules* is where the others are imported from.
    """
    wall, monotonic = time.time(), time.monotonic()
    yield Finding("python", True, "%d.%d.%d, %s" % (sys.version_info[:3] + (sys.executable,)))
    yield probes.probe_sqlite()
    reached = probes.tried("home", probes.probe_hands, home, config, way)
    if reached.ok is False:  # then nothing in it is read
        yield reached
    else:
        yield from examine_home(home, config, way, script, modules)
    yield probes.probe_clock(wall, monotonic)
    yield probes.tried("cron", probes.probe_cron)
    if not system.WINDOWS:
        yield probes.tried("bare PATH", probes.probe_bare_path)


def examine_home(home: str, config: ConfigFile, way: Way, script: str, modules: str) -> Iterator[Finding]:
    """What concerns the home, its queue, and a home beside them that is thrown away."""
    readable = probes.tried("config", probes.probe_config, config)
    yield readable
    queue = Queue(os.path.join(home, "queuectl.db")) if readable.ok is False else Queue(config.database_path())
    if readable.ok is not False and config().hook is not None:
        yield probes.tried("hook", probes.probe_hook, home, config().hook)
    yield probes.tried("bytecode", probes.probe_bytecode)
    yield probes.tried("home", probes.probe_home, home)
    yield probes.tried("file system", probes.probe_file_system, queue)
    reached = probes.tried("database", probes.probe_hands_on_database, queue, way)
    if reached.ok is False:
        yield reached
        return
    yield probes.tried("database", probes.probe_database, queue)
    yield probes.tried("alive", probes.probe_alive, queue)
    folder = existing_folder(os.path.dirname(queue.path))
    try:
        with Trial(script, modules, folder) as trial:
            yield from trial.findings()
    except OSError as error:
        text = "no home to try with can be made in %s: %s" % (folder, error.strerror)
        yield Finding("trial", False, text, "make it writable, or choose another home")


def existing_folder(path: str) -> str:
    """*path*, or what is there of the way to it."""
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
