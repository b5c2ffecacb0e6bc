"""Ctrl+C and its kin, held back between a commit and the word about it.

Who has heard nothing believes that nothing was done. While a transaction is open an interrupt ends
the call, and nothing was done. From the commit on it is only noted, until what was done has been told
(let_go) or the call has ended. Whatever goes on after a commit (prune, between two of them) heeds it then.
"""

from __future__ import annotations

import os

from queuectl_lib import contexts

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any, Dict, Iterator, List
else:
    try:
        import _signal as signal  # as in host/locks: each `add` loads this
    except ImportError:
        import signal

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
HELD: Dict[int, Any] = {}  # what is held back, and the handler to give back
NOTED: List[int] = []  # what came meanwhile
KEPT: List[bool] = []  # filled where a commit is followed by a word about it


def keep_until_told() -> None:
    """What interrupts this call after its next commit waits until let_go, or for ever."""
    KEPT[:] = [True]


@contexts.contextmanager
def held() -> Iterator[None]:
    """Commit in this block. Raises KeyboardInterrupt behind it, where nobody asked to keep_until_told."""
    hold()
    try:
        yield
    except BaseException:
        let_go()  # nothing was done, and that is told
        raise
    if HELD and not KEPT:
        heed()


def hold() -> None:
    """Note from here on what would end this process; what a worker, or nohup, has arranged stays as it is."""
    for name in NAMES:
        number = int(getattr(signal, name, 0))
        handler = signal.getsignal(number) if number and number not in HELD else None
        if handler is signal.default_int_handler or handler == signal.SIG_DFL:
            with contexts.suppress(ValueError):  # not in the main thread: there it is nobody's to hold
                signal.signal(number, note)
                HELD[number] = handler


def note(number: int, frame: object) -> None:
    NOTED.append(number)


def let_go() -> None:
    """From here on an interrupt acts at once again; what was noted is dropped."""
    while HELD:
        signal.signal(*HELD.popitem())
    del KEPT[:], NOTED[:]


def let_be_told() -> None:
    """From here on whatever is held back raises KeyboardInterrupt: what was done can be told then. As let_go else."""
    for number in HELD:
        signal.signal(number, signal.default_int_handler)
    del KEPT[:], NOTED[:]


def heed() -> None:
    """The same, but what was noted acts now. Raises KeyboardInterrupt."""
    noted = NOTED[:]
    let_go()
    if int(signal.SIGINT) in noted:
        raise KeyboardInterrupt
    for number in noted:
        os.kill(os.getpid(), number)


class Asked(KeyboardInterrupt):
    """One of them, which ends what is under way: its *number*."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contexts.contextmanager
def raised() -> Iterator[None]:
    """Each of them raises Asked in this block, one that was noted at once; what nohup has arranged stays as it is."""
    noted = NOTED[:]
    hold()  # those that nobody held
    before = dict(HELD)
    HELD.clear()
    del KEPT[:], NOTED[:]
    try:
        for number in before:
            signal.signal(number, raise_asked)
        if noted:
            raise Asked(noted[0])
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def raise_asked(number: int, frame: object) -> None:
    raise Asked(number)
