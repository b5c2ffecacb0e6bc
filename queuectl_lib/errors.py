"""What can go wrong, its exit code, and how a foreign value is shown safely."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence


class QueueError(Exception):
    """Not done: no such job, wrong state, duplicate id. One line for the user."""

    exit_code = 1


class BadInput(QueueError):
    """A value from outside that cannot be meant."""

    exit_code = 2


class HostError(QueueError):
    """The environment refuses: disk, permission, lock, damage."""

    exit_code = 3


class Interrupted(QueueError):
    """Ctrl+C after something was done: the message says what."""

    exit_code = 130


class Locked(HostError):
    """Another process holds a lock for longer than was waited."""


class NoDatabase(HostError):
    """The database file does not exist, or is empty."""


NAME_CHARACTERS = 100  # of a name that does not exist, looked at for what it may have meant


def unknown_name(what: str, name: object, known: Sequence[str]) -> BadInput:
    """The refusal of a name that does not exist, with the nearest that does."""
    import difflib  # needed only to refuse

    near = difflib.get_close_matches(str(name)[:NAME_CHARACTERS], known, 1, 0.5)
    hint = "did you mean %s?" % near[0] if near else "known: %s" % ", ".join(known)
    return BadInput("unknown %s %s: %s" % (what, shown(name), hint))


def no_such_job(identifier: str) -> QueueError:
    return QueueError("no job has the id %s: `list` shows the newest" % shown(identifier))


def shown(value: object) -> str:
    """A foreign value, quoted, short and with nothing that could drive a terminal."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return "a number of %d bits" % value.bit_length()
    text = value if isinstance(value, str) else repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    quoted = printable(text)
    return '"%s"' % quoted if isinstance(value, str) else quoted


def printable(text: str) -> str:
    r"""*text* with every character that is not printable shown as an escape (\x1b, \u202e)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
