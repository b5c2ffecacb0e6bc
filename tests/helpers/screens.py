"""A terminal of which a test sees what a person would: the screen as it stands, and how it was left."""

import os
import re
import select
import signal
import struct
import subprocess
import time

import pytest

from helpers.waiting import PATIENCE
from queuectl_lib.commands import layout

SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


class Emulated:
    """What acts on a terminal, as far as `top` uses it. Whatever else comes is an error: a clear of all, too."""

    def __init__(self, columns=80, lines=24):
        self.frames = []  # between the marks of synchronised output
        self.is_other = self.in_frame = False  # the other screen
        self.has_cursor = self.wraps = True
        self.shell = ""  # what was written on the screen of the shell
        self.left = ""
        self.resize(columns, lines)

    def resize(self, columns, lines):
        self.columns, self.cells = columns, [[] for _ in range(lines)]
        self.row = self.column = 0

    def lines(self):
        return ["".join(row).rstrip() for row in self.cells]

    def text(self):
        return "\n".join(self.lines())

    def feed(self, text):
        text, self.left = self.left + text, ""
        place = 0
        while place < len(text):
            if text[place] != "\x1b":
                self.put(text[place])
                place += 1
                continue
            match = SEQUENCE.match(text, place)
            if match is None:
                assert re.match(r"\x1b(\[[?0-9;]*)?\Z", text[place:]), repr(text[place : place + 20])
                self.left = text[place:]
                return
            self.act(match.group(1), match.group(2))
            place = match.end()

    def put(self, char):
        if not self.is_other:
            self.shell += char
            return
        assert char.isprintable(), repr(char)
        width = layout.width_of(char)
        row = self.cells[self.row]
        row.extend(" " * (self.column - len(row)))
        if width == 0:
            row[self.column - 1] += char
            return
        row[self.column : self.column + width] = [char] + [""] * (width - 1)
        self.column += width
        assert self.column < self.columns, "the last cell of a line is not written: %r" % "".join(row)
        if self.in_frame:
            self.frames[-1].add(self.row)

    def act(self, parameters, letter):
        if letter == "m":
            return
        if letter == "H":
            numbers = [int(one) for one in parameters.split(";") if one] or [1]
            self.row, self.column = numbers[0] - 1, 0
        elif letter == "K":
            del self.cells[self.row][self.column :]
            if self.in_frame:
                self.frames[-1].add(self.row)
        else:
            assert letter in "hl" and parameters in ("?1049", "?25", "?7", "?2026"), (parameters, letter)
            self.switch(parameters, letter == "h")

    def switch(self, mode, is_set):
        if mode == "?1049":
            assert is_set != self.is_other, "the other screen is taken and left in turns"
            self.is_other = is_set
        elif mode == "?25":
            self.has_cursor = is_set
        elif mode == "?7":
            self.wraps = is_set
        elif is_set:
            self.in_frame = True
            self.frames.append(set())
        else:
            self.in_frame = False

    def is_as_it_was(self):
        return not self.is_other and self.has_cursor and self.wraps and not self.in_frame


class OnTerminal:
    """A process whose terminal is ours: it is typed to, and what it shows is seen."""

    def __init__(self, words, environment, columns=80, lines=24):
        import fcntl
        import pty
        import termios

        self.ours, self.theirs = pty.openpty()
        self.screen = Emulated(columns, lines)
        self.written = b""
        self.set_size(columns, lines)
        self.before = termios.tcgetattr(self.theirs)
        self.process = subprocess.Popen(
            words,
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=dict(environment, TERM="xterm"),
        )

    def set_size(self, columns, lines):
        import fcntl
        import termios

        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns, lines):
        """As somebody who draws the window wider or narrower does it; the kernel tells the process."""
        self.screen.resize(columns, lines)
        self.set_size(columns, lines)

    def type(self, text):
        os.write(self.ours, text.encode())

    def pump(self, seconds=0.02):
        while select.select([self.ours], [], [], seconds)[0]:
            data = os.read(self.ours, 65536)
            self.written += data
            self.screen.feed(data.decode("utf-8", "replace"))
            seconds = 0

    def until(self, condition, what):
        """Wait until *condition* is so of what it shows."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.pump()
            found = condition()
            if found:
                return found
            if time.monotonic() > deadline:
                pytest.fail("waited for %s; on the screen:\n%s\n%s" % (what, self.screen.text(), self.screen.shell))

    def until_shown(self, *texts):
        self.until(lambda: all(text in self.screen.text() for text in texts), "the screen to show %r" % (texts,))

    def ended(self):
        """Its exit code; the terminal is as it was."""
        import termios

        self.until(lambda: self.process.poll() is not None, "it to end")
        self.pump(0.1)
        assert self.screen.is_as_it_was(), "the terminal is not given back"
        assert termios.tcgetattr(self.theirs) == self.before
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)
