"""What doctor can find out by looking: each probe answers with a finding."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import time

from queuectl_lib import errors
from queuectl_lib.errors import NoDatabase, QueueError
from queuectl_lib.host import bytecode, files, loading, places, system
from queuectl_lib.jobs import ids
from queuectl_lib.store import health, looking, opening, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from queuectl_lib.host.trust import Way
    from queuectl_lib.settings import ConfigFile
    from storage import Queue

SLOW_SYNC_SECONDS = 0.1
FREE_SYNC_SECONDS = 0.00002  # no disk answers as fast: nothing was synced
LITTLE_SPACE, ENOUGH_SPACE = 16 << 20, 1 << 30
CHECK_SECONDS = 5.0  # how long a large database is checked


class Finding:
    """What a probe found. ``ok`` is False where the queue cannot run so, None for what is only good to know."""

    def __init__(self, name: str, ok: Optional[bool], text: str, advice: str = "") -> None:
        self.name = name
        self.ok = ok
        self.text = text
        self.advice = advice


def tried(name: str, probe: Callable[..., Finding], *arguments: Any) -> Finding:
    """What *probe* finds; that it cannot even be made is a finding too."""
    try:
        with opening.told(name):
            return probe(*arguments)
    except QueueError as error:
        return Finding(name, False, str(error))


def probe_sqlite() -> Finding:
    here = sqlite3.sqlite_version_info
    if here < (3, 7, 17):
        return Finding("sqlite", False, sqlite3.sqlite_version, "too old: use a Python whose SQLite is 3.7.17 or newer")
    lacking = ["partial indexes"] * (here < (3, 8, 0)) + ["TRUNCATE checkpoints"] * (here < (3, 8, 8))
    if lacking:
        text = "%s, without %s" % (sqlite3.sqlite_version, " and ".join(lacking))
        return Finding("sqlite", None, text, "nothing to do: others are used in their place, somewhat slower")
    return Finding("sqlite", True, sqlite3.sqlite_version)


def probe_bytecode() -> Finding:
    """Whether Python can keep what it has compiled of our files, and what each call costs where it cannot."""
    cost = "each call compiles anew what it needs, some %d ms" % round(compile_seconds() * 1000)
    if loading.IS_ARCHIVE:
        return Finding("bytecode", None, "none is kept for an archive: " + cost, "copy the files where that matters")
    if not list(bytecode.uncached()):
        return Finding("bytecode", True, "is kept beside our files in %s" % loading.LIBRARY)
    if not bytecode.is_ours():
        advice = "have its owner run `initdb` there once, or copy the files to a folder of yours"
        return Finding("bytecode", None, "none can be kept in %s: %s" % (loading.LIBRARY, cost), advice)
    if sys.dont_write_bytecode:
        text = "PYTHONDONTWRITEBYTECODE is set, and not all of it is there: " + cost
        return Finding("bytecode", None, text, "`initdb` and `worker start` write it all the same")
    return Finding("bytecode", True, "Python keeps it beside our files in %s" % loading.LIBRARY)


def compile_seconds() -> float:
    """How long Python takes for the sources that a call such as `add` needs."""
    taken = 0.0
    for name, module in list(sys.modules.items()):
        wing = name.split(".")[1:2] or [name]
        if name != "storage" and (not name.startswith("queuectl_lib.") or wing[0] in ("run", "doctor", "reports")):
            continue
        loader: Any = module.__loader__
        source = loader.get_source(name) if hasattr(loader, "get_source") else None
        began = time.perf_counter()
        compile(source or "", name, "exec")
        taken += time.perf_counter() - began
    return taken


def probe_hands(home: str, config: ConfigFile, way: Way) -> Finding:
    """Whether nobody else has a hand in *home*."""
    way.refuse_untrusted(home, (), "choose a home of your own")
    way.refuse_untrusted_file(config.path)
    return Finding("home", True, "%s is in nobody else's reach" % home)


def probe_hands_on_database(queue: Queue, way: Way) -> Finding:
    """The same of the database and the folder beside it."""
    queue.database.refuse_untrusted(way)
    return Finding("database", True, "%s is in nobody else's reach" % queue.path)


def probe_home(home: str) -> Finding:
    """Whether *home* can be written, and keeps what is in it private."""
    if not os.path.lexists(home):
        return Finding("home", None, "%s does not exist" % home, "nothing to do: the first add makes it")
    try:
        mode = mode_of_new_file(home)
    except OSError as error:
        text = "%s cannot be written: %s" % (home, error.strerror)
        return Finding("home", False, text, "see its permissions and the free space")
    if not system.WINDOWS and mode & 0o077:
        text = "%s: a new file there has mode %04o, so others can read it" % (home, mode)
        return Finding("home", False, text, "use a file system with permissions")
    if not system.WINDOWS and os.stat(home).st_mode & 0o077:
        return Finding("home", None, "%s can be listed by other users" % home, "chmod 700 it; its files are private")
    return Finding("home", True, "%s is writable%s" % (home, "" if system.WINDOWS else " and private"))


def mode_of_new_file(folder: str) -> int:
    path = os.path.join(folder, "doctor-%d.probe" % os.getpid())
    fd = files.open_private(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    try:
        os.write(fd, b"probe")
        return stat.S_IMODE(os.fstat(fd).st_mode)
    finally:
        os.close(fd)
        files.remove(path)


def probe_file_system(queue: Queue) -> Finding:
    queue.database.refuse_unsafe_place()
    return Finding("file system", True, places.file_system(queue.path) or "no network's, as far as can be told")


ADVICE = "make room, and keep some: on a full disk no job can be added, and not even `prune` can work"


def probe_space(folder: str) -> Finding:
    free = shutil.disk_usage(folder).free
    text = "%.1f GiB free" % (free / 2**30) if free >= ENOUGH_SPACE else "%d MiB free" % (free >> 20)
    if free >= ENOUGH_SPACE:
        return Finding("space", True, text)
    return Finding("space", None if free >= LITTLE_SPACE else False, text, ADVICE)


def probe_sync(folder: str) -> Finding:
    """How long the disk takes to keep something, which each enqueue waits for."""
    path = os.path.join(folder, "sync.probe")
    fd = files.open_private(path, os.O_CREAT | os.O_WRONLY)
    try:
        seconds = sorted(sync_seconds(fd) for _ in range(9))[4]
    finally:
        os.close(fd)
        files.remove(path)
    text = "%.3g ms (median of 9)" % (seconds * 1000)
    if seconds < FREE_SYNC_SECONDS:
        return Finding("sync", None, text, "too fast for a disk: a power cut may take acknowledged jobs along")
    if seconds > SLOW_SYNC_SECONDS:
        return Finding("sync", None, text, "slow: each add takes as long; enqueue many jobs in one call")
    return Finding("sync", True, text)


def sync_seconds(fd: int) -> float:
    os.write(fd, b"x" * 512)
    began = time.perf_counter()  # on Windows monotonic() ticks every 15.6 ms
    os.fsync(fd)
    return time.perf_counter() - began


def probe_clock(wall: float, monotonic: float) -> Finding:
    """Whether the clocks agree since they said *wall* and *monotonic*, and on a year that can be."""
    now = time.time()
    drift = (now - wall) - (time.monotonic() - monotonic)
    text = "%s (%s)" % (time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now)), time.strftime("%Z"))
    if not ids.ID_EPOCH <= now < ids.ID_EPOCH + 75 * 365 * 86400:
        return Finding("clock", False, text, "set the clock: no job would be due when it should")
    if abs(drift) > 0.5:
        return Finding("clock", None, "%s, moved by %.1f s meanwhile" % (text, drift), "see what sets it")
    return Finding("clock", True, text)


def probe_database(queue: Queue) -> Finding:
    """Whether the database at hand is ours, of a version that we know, and whole."""
    queue.database.refuse_in_the_way()
    try:
        damage = health.damage(queue.database, CHECK_SECONDS)
    except NoDatabase:
        return Finding("database", None, "%s does not exist" % queue.path, "nothing to do: the first add creates it")
    if damage is None:
        text = "%s answers; too large to be checked in %d s" % (queue.path, CHECK_SECONDS)
        return Finding("database", None, text, "`PRAGMA quick_check` in sqlite3 takes the time it needs")
    if damage:
        text = "%s is damaged: %s" % (queue.path, damage)
        return Finding("database", False, text, "move it away together with its -wal, then restore a backup")
    found = ", ".join("%d %s" % (count, state) for state, count in looking.counts(queue.database).items() if count)
    return Finding("database", True, "%s is whole: %s" % (queue.path, found or "no jobs"))


def probe_config(config: ConfigFile) -> Finding:
    config()
    given = config.values()
    text = "%s sets %s" % (config.path, ", ".join(given)) if given else "every setting has its default"
    return Finding("config", True, text)


def probe_hook(home: str, hook: Any) -> Finding:
    """Whether the program that is to be told can be started; of a text only its shell knows."""
    from queuectl_lib.run import hook_process, launching  # which a home without one needs not

    text = errors.printable(system.typed(hook))
    if isinstance(hook, str):
        return Finding("hook", True, text)
    words: Any = hook_process.Words(hook, home)
    try:
        launching.check_startable(words, launching.worker_environment())
    except launching.CannotStart as error:
        return Finding("hook", None, str(error), "correct it, then `hook --test`: so far nobody is told")
    return Finding("hook", True, text)


def probe_alive(queue: Queue) -> Finding:
    members = roster.members(queue.folder)
    workers = sum(member["kind"] == "worker" for member in members)
    if not workers:
        advice = "`worker start` starts one, `cron` tells how to keep one"
        return Finding("alive", None, "no worker works on this queue", advice)
    return Finding("alive", True, "%d workers, supervisors: %d" % (workers, len(members) - workers))


def probe_cron() -> Finding:
    """Whether cron is there to start workers, and does so. Only good to know."""
    tool, *words = ("schtasks", "/query", "/fo", "csv") if system.WINDOWS else ("crontab", "-l")
    advice = "`cron` prints lines that keep workers running"
    if not shutil.which(tool):
        return Finding("cron", None, "%s is not there" % tool, "start workers at boot by other means")
    try:
        done = subprocess.run(
            [tool] + words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("cron", None, "%s does not work: %s" % (tool, str(error).replace("\n", " ")), advice)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    count = sum("queuectl" in line and not line.startswith("#") for line in lines)
    if not count:
        return Finding("cron", None, "%s is there, and nothing in it starts queuectl" % tool, advice)
    return Finding("cron", True, "%s names queuectl in %d lines" % (tool, count))


def probe_bare_path() -> Finding:
    """Which Python the word python3 means in a bare environment, such as cron's."""
    found = shutil.which("python3", path="/usr/bin:/bin")
    if not found:
        return Finding("bare PATH", None, "no python3 in /usr/bin or /bin", "in crontabs write %s" % sys.executable)
    done = subprocess.run([found, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=10)
    version = done.stdout.decode("ascii", "replace").strip()
    if [int(number) for number in re.findall(r"\d+", version)[:2]] < [3, 8]:
        text = "%s is %s, too old" % (found, version)
        return Finding("bare PATH", None, text, "in crontabs write %s" % sys.executable)
    return Finding("bare PATH", True, "python3 is %s, %s" % (found, version))
