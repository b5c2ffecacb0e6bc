"""How frames reach a terminal: only what differs, in one write, and never by clearing all of it."""

import os

import pytest
from helpers.marks import posix_only
from helpers.screens import Emulated

from queuectl_lib.commands import screen

pytestmark = posix_only


class Written:
    """A Screen whose writes are kept, one by one, and shown by a terminal that knows no clearing of all."""

    def __init__(self, monkeypatch, lines=3):
        self.writes = []
        self.emulated = Emulated(20, lines)
        self.size = (20, lines)
        monkeypatch.setattr(screen.keyboard, "size", lambda fd, otherwise=(80, 24): self.size)
        self.screen = screen.Screen(1)
        monkeypatch.setattr(self.screen, "write", self.write)

    def write(self, text):
        self.writes.append(text)
        self.emulated.feed(text)

    def draw(self, *texts):
        """What this frame has written."""
        before = len(self.writes)
        self.screen.draw([[(text, "bold")] for text in texts])
        assert len(self.writes) - before <= 1, "one write for a frame"
        return "".join(self.writes[before:])


@pytest.fixture
def written(monkeypatch):
    found = Written(monkeypatch)
    found.screen.enter()
    return found


def test_a_frame_is_one_write_between_marks_and_clears_no_more_than_lines(written):
    frame = written.draw("one", "two", "three")
    assert frame.startswith("\x1b[?2026h\x1b[H") and frame.endswith("\x1b[?2026l")
    assert "\x1b[2J" not in frame and "\x1b[J" not in frame and frame.count("\x1b[K") == 3
    assert written.emulated.lines() == ["one", "two", "three"]


def test_lines_that_are_there_already_are_not_written_again(written):
    written.draw("one", "two", "three")
    frame = written.draw("one", "2", "three")
    assert "2" in frame and "one" not in frame and "three" not in frame
    assert written.emulated.lines() == ["one", "2", "three"], "what was longer is gone"
    assert written.draw("one", "2", "three") == "", "nothing at all where nothing has changed"
    assert written.emulated.frames == [{0, 1, 2}, {1}]


def test_another_size_draws_all_of_it(written):
    written.draw("one", "two", "three")
    for columns, lines in ((30, 3), (30, 2)):
        written.size = (columns, lines)
        assert written.screen.look() == (columns, lines)
        written.emulated.resize(columns, lines)
        assert written.draw(*["one", "two", "three"][:lines]).count("\x1b[K") == lines


def test_the_terminal_is_left_as_it_was_found(written):
    written.screen.fd = os.open(os.devnull, os.O_WRONLY)
    written.draw("one", "two", "three")
    assert not written.emulated.is_as_it_was()
    written.screen.leave()
    written.screen.leave()
    os.close(written.screen.fd)
    assert written.emulated.is_as_it_was()
    assert written.writes[-1] == screen.LEAVE and written.writes[-2] != screen.LEAVE


def test_without_colour_there_is_bold_and_the_chosen_line_is_reversed(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    plain = screen.Screen(1)
    line = [("a", "dead"), ("b", "bold"), ("c", "chosen")]
    assert screen.encoded(line, plain.colours) == "a\x1b[1mb\x1b[0m\x1b[7mc\x1b[0m"
    monkeypatch.delenv("NO_COLOR")
    assert screen.encoded([("a", "dead")], screen.Screen(1).colours) == "\x1b[31ma\x1b[0m"
