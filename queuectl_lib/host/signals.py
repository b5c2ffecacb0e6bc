"""Signals: noted by handlers that only wake, held back around a start, told by name."""

from __future__ import annotations

import os
import signal
import sys

from queuectl_lib import contexts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List

    from queuectl_lib.host.waking import WakeUp

NOW_SIGNAL = int(getattr(signal, "SIGUSR1", 0))  # from the supervisor to its workers


def stop_signals() -> List[int]:
    """The signals that ask to stop, less those that whoever started us had ignored (nohup)."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    numbers = [int(getattr(signal, name)) for name in names if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


def free_signals() -> None:
    """Take back what whoever started us did to SIGCHLD and the mask.

    An ignored SIGCHLD hides every exit status, and would turn failures into successes.
    """
    if sys.platform != "win32":
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])


@contexts.contextmanager
def signals_held_back() -> Iterator[None]:
    """Start a child that gets no signal before it can handle one (it unblocks them itself)."""
    if sys.platform == "win32":
        yield
        return
    held = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


def reset_signals(wake: WakeUp) -> None:
    """Free this worker, and so its jobs, from what whoever started it ignored or blocked."""
    if sys.platform == "win32":
        wake.ignore(signal.SIGINT)
        wake.ignore(signal.SIGBREAK)
        return
    for number in range(1, signal.NSIG):
        with contexts.suppress(OSError, ValueError):
            kept = (signal.SIGPIPE, getattr(signal, "SIGXFSZ", 0), signal.SIGTTOU)  # Python's, ours; spawn resets them
            if signal.getsignal(number) == signal.SIG_IGN and number not in kept:
                signal.signal(number, signal.SIG_DFL)
    wake.catch(signal.SIGTERM)
    wake.catch(signal.SIGHUP)
    wake.catch(signal.SIGUSR1)
    wake.ignore(signal.SIGINT)  # Ctrl+C reaches the whole terminal: the supervisor decides
    wake.ignore(signal.SIGCHLD)
    wake.ignore(signal.SIGIO)  # somebody opened a file while SpareFiles asked whether anybody has it open
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def ask_worker(pid: int, now: bool) -> None:
    """Tell a worker by signal that it is to stop: that ends an idle one's sleep. (Windows has only the files.)"""
    if sys.platform != "win32":
        os.kill(pid, signal.SIGUSR1 if now else signal.SIGTERM)


def hold_back_late_ones() -> None:
    """A signal that comes now is late, and must not look like a death."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])


def that_a_group_may_get() -> List[str]:
    """The numbers, as text, of the signals that programs send to their group or get at a limit, and may heed."""
    names = ["HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "PIPE", "ALRM", "TERM", "XCPU", "XFSZ", "VTALRM", "PROF"]
    names += ["IO", "PWR"]
    found = {int(getattr(signal, "SIG" + name)) for name in names if hasattr(signal, "SIG" + name)}
    return [str(number) for number in sorted(found)]
