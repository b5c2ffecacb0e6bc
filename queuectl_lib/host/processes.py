"""The process table, and a process by its identity: pid and start, never a bare pid."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time

from queuectl_lib import contexts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable, Optional, Set

KILL_SECONDS = 5.0  # how long SIGKILL may take before a process counts as unkillable
PS_TIMEOUT_SECONDS = 10.0
UNKNOWN_BOOT = "unknown"


@functools.lru_cache(maxsize=None)
def boot_id() -> str:
    """What differs after every start of the host; UNKNOWN_BOOT where the system does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return UNKNOWN_BOOT


def is_another_boot(before: str, now: str) -> bool:
    """True where the host is known to have been started again between the two: what is unknown proves nothing."""
    return before != now and UNKNOWN_BOOT not in (before, now)


def cores() -> int:
    """How many processors this process may use, at least 1."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def most_descriptors() -> int:
    """How many files this process may have open."""
    if sys.platform == "win32":
        return 8192
    import resource  # needed only before workers start

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 65536 if limit == resource.RLIM_INFINITY else limit


def booted_at() -> float:
    """When the host was started, seconds since 1970; 0.0 where the system does not tell."""
    if sys.platform == "linux":
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return 0.0


@functools.lru_cache(maxsize=None)
def pid_namespace() -> str:
    """What differs where a pid means another process; "-" where the system knows no such thing, or does not tell."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return "-"


class Process:
    """A row of the process table."""

    __slots__ = ("parent", "session", "start", "name")

    def __init__(self, parent: int, session: int, start: str, name: str) -> None:
        self.parent = parent
        self.session = session
        self.start = start
        self.name = name


def process_table() -> Dict[int, Process]:
    """Every living process by pid, zombies left out."""
    if has_proc():
        found = ((int(entry), linux_process(entry)) for entry in os.listdir("/proc") if entry.isdigit())
        return {pid: process for pid, process in found if process}
    return ps_table()


@functools.lru_cache(maxsize=None)
def shows_nobody() -> bool:
    """True where neither /proc nor `ps` shows the processes, when this was first asked."""
    return not has_proc() and not has_ps()


def has_proc() -> bool:
    """True where /proc shows the processes by the numbers that they have for us.

    That of another PID namespace shows us under another number, or not at all.
    """
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


@functools.lru_cache(maxsize=None)
def has_ps() -> bool:
    """True where `ps` shows the processes."""
    return can_be_seen(ps_table())


def can_be_seen(table: Dict[int, Process]) -> bool:
    """True where *table* is one of the processes here: we at least are in it."""
    return os.getpid() in table


def linux_process(pid: str) -> Optional[Process]:
    """One process from /proc/PID/stat (proc(5): the name in parentheses may hold anything)."""
    try:
        with open("/proc/%s/stat" % pid, "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    words = rest.split()
    if words[0] in "ZX":
        return None
    return Process(int(words[1]), int(words[3]), words[19], name)


def is_paused(pid: int) -> bool:
    """True where /proc says that *pid* is stopped (state T: by SIGSTOP, a terminal or a debugger)."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            return has_proc() and file.read().rpartition(b")")[2].split()[:1] in ([b"T"], [b"t"])
    except OSError:
        return False


def await_death(pids: Iterable[int], seconds: float) -> None:
    """Wait until none of *pids* is a process any more, at most so long; where /proc cannot tell, not at all."""
    deadline = time.monotonic() + seconds
    left = set(pids) if has_proc() else set()
    while left and time.monotonic() < deadline:
        time.sleep(0.005)
        left = {pid for pid in left if linux_process(str(pid))}


def ticks_of(monotonic: float) -> int:
    """A moment of the monotonic clock as /proc counts the starts of processes; too early where the host has slept."""
    if sys.platform == "win32":
        raise NotImplementedError
    return int(monotonic * os.sysconf("SC_CLK_TCK"))


def ps_table() -> Dict[int, Process]:
    """The process table where there is no /proc (macOS, BSD); the group stands in for the session.

    Empty where `ps` is missing, fails, or hangs.
    """
    found = {}
    try:
        done = subprocess.run(
            ["ps", "-axo", "pid=,ppid=,pgid=,stat=,lstart=,comm="],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, LC_ALL="C", TZ="UTC0"),  # what lstart looks like must not vary
            timeout=PS_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        words = line.split(None, 9)
        numbers = all(word.isdigit() for word in words[:3])
        if len(words) == 10 and numbers and not words[3].startswith("Z"):
            found[int(words[0])] = Process(int(words[1]), int(words[2]), " ".join(words[4:9]), words[9])
    return found


def seconds_of_ps(lstart: str) -> float:
    """What `ps` calls lstart (Mon Nov 23 09:15:00 2026, in UTC) as seconds since 1970."""
    import calendar  # needed only where there is no /proc

    return calendar.timegm(time.strptime(lstart, "%a %b %d %H:%M:%S %Y"))


def send_signal(pid: int, start: str, number: int) -> None:
    """Signal *pid* if it is still the process that began at *start*, and nobody else."""
    if sys.platform == "win32":
        raise NotImplementedError
    handle = pidfd(pid)  # holds the identity between the look and the signal, where the kernel has that
    with contexts.suppress(OSError):
        process = linux_process(str(pid)) if handle is not None or has_proc() else process_table().get(pid)
        if process and process.start == start:
            if sys.platform == "linux" and handle is not None and hasattr(signal, "pidfd_send_signal"):
                signal.pidfd_send_signal(handle, number)
            else:
                os.kill(pid, number)
    if handle is not None:
        os.close(handle)


def signal_group(pid: int, number: int) -> None:
    """Send signal *number* to the group that a child of ours leads, which nobody has waited for. Not on Windows."""
    if sys.platform != "win32":
        with contexts.suppress(OSError):
            os.killpg(pid, number)


def pidfd(pid: int) -> Optional[int]:
    """A handle on *pid*; None where the system has none (before Linux 5.3), or refuses it (old containers)."""
    if sys.platform == "linux" and hasattr(os, "pidfd_open"):
        with contexts.suppress(OSError):
            return int(os.pidfd_open(pid))
    return None


def has_dead_child() -> bool:
    """True while the exit status of a child, ours or one that we inherited, is to be had; where that can be told."""
    if sys.platform == "win32" or not hasattr(os, "waitid"):
        return False
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # there is none at all
        return False


def reap_strangers(ours: Callable[[], Set[int]]) -> int:
    """Take the exit status of dead children that are not *ours* to nobody; how many there were.

    As PID 1 of a container, or as a subreaper, one inherits what jobs leave behind. A child is looked at
    first, and taken only when it is a stranger: an exit status can be had once.
    """
    if sys.platform == "win32" or not hasattr(os, "waitid"):
        return 0
    for count in range(1000):  # what comes then is for the next time
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None or dead.si_pid in ours():
                return count
            os.waitpid(dead.si_pid, os.WNOHANG)
        except ChildProcessError:  # there is none at all
            return count
    return count
