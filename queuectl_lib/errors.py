"""What can go wrong, its exit code, and how a foreign value is shown safely."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence


# What an error is called with --json: this list is closed, and docs/json.md says what each means.
CODES = (
    *("refused", "no_such_job", "ambiguous", "no_match", "wrong_state", "exists", "key_held", "not_ended"),
    *("no_such_attempt", "no_such_group", "no_such_kind", "no_such_schedule", "unfit_host", "unfit_launcher"),
    "cursor_ahead",
    *("bad_input", "bad_usage", "unknown_command", "unknown_name", "unknown_queue"),
    *("host", "system", "locked", "no_database", "database_refuses", "disk_full", "untrusted", "bad_config"),
    *("out_of_memory", "broken_installation", "interrupted"),
)


class QueueError(Exception):
    """Not done: no such job, wrong state, duplicate id. One line for the user.

    *code* is one of CODES; *line* are words of ours to be typed instead, where there are such.
    """

    exit_code = 1
    code = "refused"

    def __init__(self, text: object = "", code: str = "", line: str = "") -> None:
        super().__init__(text)
        self.code = code or self.code
        self.line = line


class BadInput(QueueError):
    """A value from outside that cannot be meant."""

    exit_code = 2
    code = "bad_input"


class HostError(QueueError):
    """The environment refuses: disk, permission, lock, damage."""

    exit_code = 3
    code = "host"


class Interrupted(QueueError):
    """Ctrl+C after something was done: the message says what."""

    exit_code = 130
    code = "interrupted"


class Locked(HostError):
    """Another process holds a lock for longer than was waited."""

    code = "locked"


class NoDatabase(HostError):
    """The database file does not exist, or is empty."""

    code = "no_database"


NAME_CHARACTERS = 100  # of a name that does not exist, looked at for what it may have meant


class NoSuchJob(QueueError):
    """No job has this id."""

    code = "no_such_job"

    def __init__(self, message: str, identifier: str) -> None:
        super().__init__(message, line="list")
        self.identifier = identifier


# What a name that does not exist was to name, by the word for it.
UNKNOWN = {"command": "unknown_command", "queue": "unknown_queue"}


def unknown_name(what: str, name: object, known: Sequence[str]) -> BadInput:
    """The refusal of a name that does not exist, with what it may have meant, or else all that there are."""
    from queuectl_lib import meant  # needed only to refuse

    hint = meant.hint(what, str(name)[:NAME_CHARACTERS], known)
    return BadInput("unknown %s %s: %s" % (what, shown(name), hint), UNKNOWN.get(what, "unknown_name"))


def no_such_job(identifier: str) -> QueueError:
    return NoSuchJob("no job has the id %s: `list` shows the newest" % shown(identifier), identifier)


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
