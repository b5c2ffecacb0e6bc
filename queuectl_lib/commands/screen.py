"""A terminal that is drawn on: the other screen, no cursor, and of each frame only the lines that differ, in one write.

It is never cleared as a whole, which flickers: each line that is drawn erases what stood behind it. Where a terminal
knows how (mode 2026), it shows a frame only once all of it is there.
"""

from __future__ import annotations

import os
import select
import sys

from queuectl_lib.commands import terminal
from queuectl_lib.host import keyboard, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Tuple

    from queuectl_lib.commands.top_tables import Line

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"  # the other screen, no cursor, no line goes on in the next one
LEAVE = "\x1b[?7h\x1b[0m\x1b[?25h\x1b[?1049l"
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
HOME, ERASE, NORMAL = "\x1b[H", "\x1b[K", "\x1b[0m"
PATIENCE_SECONDS = 0.5  # with a terminal that takes nothing (Ctrl+S), when it is to be left
STYLES: Dict[str, str] = {"bold": "1", "chosen": "7"}
COLOURS: Dict[str, str] = dict(terminal.STATE_COLOURS, dim="2")


def encoded(line: Line, colours: Dict[str, str]) -> str:
    """*line* with what switches its styles on and off."""
    parts = []
    for text, style in line:
        code = colours.get(style)
        parts.append("\x1b[%sm%s%s" % (code, text, NORMAL) if code and text else text)
    return "".join(parts).rstrip(" ")


class Gone(Exception):
    """The terminal is no more, or a signal to end has come while it took nothing."""


class Screen:
    """The terminal behind a descriptor, which takes text of an *encoding*."""

    def __init__(self, fd: int = 1, encoding: str = "utf-8") -> None:
        self.fd = fd
        self.encoding = encoding
        self.colours = STYLES if "NO_COLOR" in os.environ else dict(STYLES, **COLOURS)
        self.drawn: Optional[List[str]] = None  # lines, as they stand there
        self.size = keyboard.size(fd)
        self.is_on = False
        self.is_writing = False

    def look(self) -> Tuple[int, int]:
        """Its size now, in columns and lines; where that has changed, all will be drawn anew."""
        size = keyboard.size(self.fd, self.size)
        if size != self.size:
            self.size, self.drawn = size, None
        return self.size

    def enter(self) -> None:
        if not self.is_on:
            self.is_on, self.drawn = True, None
            self.write(ENTER)

    def again(self) -> None:
        """Draw all anew, on a terminal that others have had meanwhile."""
        self.drawn = None
        if self.is_on:
            self.write("\x1b[?25l\x1b[?7l")

    def leave(self) -> None:
        """The terminal as it was; not waiting for one that takes nothing."""
        if self.is_on:
            self.is_on = False
            if system.WINDOWS or select.select([], [self.fd], [], PATIENCE_SECONDS)[1]:
                self.write(LEAVE)

    def draw(self, lines: Sequence[Line]) -> None:
        """Show *lines*, as many as there are on the screen. What is on it already is not written again."""
        wanted = [encoded(line, self.colours) for line in lines]
        known = self.drawn if self.drawn is not None and len(self.drawn) == len(wanted) else None
        parts = []
        for number, text in enumerate(wanted):
            if known is None or known[number] != text:
                place = HOME if number == 0 else "\x1b[%d;1H" % (number + 1)
                parts.append(place + text + NORMAL + ERASE)
        self.drawn = wanted
        if parts:
            self.write(BEGIN + "".join(parts) + END)

    def write(self, text: str) -> None:
        """All of it in one write, where the terminal takes it so. Raises Gone."""
        self.is_writing = True
        try:
            if system.WINDOWS:  # where bytes are of the code page of the console
                sys.stdout.write(text)
                sys.stdout.flush()
            else:
                terminal.write_all(self.fd, text.encode(self.encoding, "backslashreplace"))
        except OSError as error:
            raise Gone from error
        finally:
            self.is_writing = False
