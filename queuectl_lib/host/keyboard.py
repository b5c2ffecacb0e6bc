"""The terminal as something with keys and a size: keys come as they are pressed, and escape sequences act.

On Windows a key with no character comes as the sequence that other terminals send for it.
"""

from __future__ import annotations

import errno
import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Tuple

    from queuectl_lib.host.waking import WakeUp

TICK_SECONDS = 0.05  # how often Windows is asked for a key
READ_BYTES = 1024
WITHOUT_CHARACTER = {"H": "\x1b[A", "P": "\x1b[B", "I": "\x1b[5~", "Q": "\x1b[6~", "G": "\x1b[H", "O": "\x1b[F"}


def can_draw(fd: int) -> bool:
    """True where *fd* is a terminal on which escape sequences act; on Windows they are switched on for it."""
    if not os.isatty(fd) or os.environ.get("TERM") == "dumb":
        return False
    if sys.platform != "win32":
        return bool(os.environ.get("TERM"))
    import ctypes
    import msvcrt
    from ctypes import byref, c_uint32, c_void_p

    handle, mode = c_void_p(msvcrt.get_osfhandle(fd)), c_uint32()
    kernel32 = ctypes.windll.kernel32
    if not kernel32.GetConsoleMode(handle, byref(mode)):
        return False
    virtual_terminal, processed = 4, 1  # ENABLE_VIRTUAL_TERMINAL_PROCESSING, ENABLE_PROCESSED_OUTPUT
    return bool(kernel32.SetConsoleMode(handle, c_uint32(mode.value | virtual_terminal | processed)))


def size(fd: int, otherwise: Tuple[int, int] = (80, 24)) -> Tuple[int, int]:
    """Columns and lines of the terminal, as it is now."""
    try:
        found = os.get_terminal_size(fd)
    except OSError:
        return otherwise
    return (found.columns, found.lines) if found.columns > 0 and found.lines > 0 else otherwise


class Keyboard:
    """The keys of the terminal at *fd*; none where there is none."""

    def __init__(self, fd: int = 0) -> None:
        self.fd = fd
        self.is_there = os.isatty(fd)
        self.kept: Any = None  # how the terminal was

    def open(self) -> None:
        """From here on keys come at once and are not shown; Ctrl+C and its kin stay signals."""
        if sys.platform == "win32" or not self.is_there:
            return
        import termios

        try:
            self.kept = termios.tcgetattr(self.fd) if self.kept is None else self.kept
            wanted = termios.tcgetattr(self.fd)
            wanted[3] &= ~(termios.ICANON | termios.ECHO)
            wanted[6][termios.VMIN], wanted[6][termios.VTIME] = 1, 0
            self._set(wanted)
        except termios.error:  # it is gone
            self.is_there = False

    def close(self) -> None:
        """The terminal as it was."""
        if sys.platform == "win32" or self.kept is None:
            return
        import termios

        kept, self.kept = self.kept, None
        try:
            self._set(kept)
        except termios.error:
            pass

    def _set(self, wanted: Any) -> None:
        """One who is stopped for it, being in the background, is interrupted in it when going on: then again."""
        if sys.platform == "win32":
            return
        import termios

        while True:
            try:
                termios.tcsetattr(self.fd, termios.TCSANOW, wanted)
                return
            except termios.error as error:
                if error.args[0] != errno.EINTR:
                    raise

    def forget(self) -> None:
        """Drop what was typed so far."""
        if sys.platform == "win32":
            import msvcrt

            while self.is_there and msvcrt.kbhit():
                msvcrt.getwch()
        elif self.is_there:
            import termios

            try:
                termios.tcflush(self.fd, termios.TCIFLUSH)
            except termios.error:
                pass

    def is_ours(self) -> bool:
        """False while another job of the shell has the terminal."""
        if sys.platform == "win32" or not self.is_there:
            return True
        try:
            return os.tcgetpgrp(self.fd) == os.getpgrp()
        except OSError:
            return True

    def read(self, seconds: float, wake: WakeUp) -> Optional[bytes]:
        """What was typed; b"" where nothing was within *seconds*, or a signal came; None where nobody can type more."""
        if sys.platform == "win32":
            return self._read_console(seconds, wake)
        if not self.is_there:
            wake.wait_for_any([], seconds)
            return b""
        wake.wait_for_any([self.fd], seconds)
        try:
            if not select.select([self.fd], [], [], 0)[0]:
                return b""
            return os.read(self.fd, READ_BYTES) or None
        except OSError:
            return None

    def _read_console(self, seconds: float, wake: WakeUp) -> bytes:
        if sys.platform != "win32":
            raise NotImplementedError
        import msvcrt

        until, found = time.monotonic() + seconds, ""
        while not (found or wake.noted):
            while self.is_there and msvcrt.kbhit():
                char = msvcrt.getwch()
                found += WITHOUT_CHARACTER.get(msvcrt.getwch(), "") if char in "\x00\xe0" else char
            left = until - time.monotonic()
            if left <= 0:
                break
            if not found:
                time.sleep(min(left, TICK_SECONDS))
        return found.encode("utf-8", "replace")
