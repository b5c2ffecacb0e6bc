"""What every command takes: words, options and their values, read from the actions of its parser, for other programs.

Completion, the manual and `help --json` are made of it. Nothing here reads the text of a help.
"""

from __future__ import annotations

from queuectl_lib import settings
from queuectl_lib.commands import COMMANDS, FAMILIES, frame, helping
from queuectl_lib.jobs import recurring, states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Action
    from typing import Iterator, List, Sequence, Tuple

    from queuectl_lib.commands.frame import Command
    from queuectl_lib.values import Fields

# What a value can be, by the word that stands for it; and by the name of its option or word.
BY_WORD = {"ID": "id", "ID[,ID]": "ids", "F": "file", "FILE": "file", "DIR": "folder", "S[,S]": "some"}
BY_NAME = {"--shell": "file", "--output": "file", "--file": "file", "--missed": "one", "--overlap": "one"}
CHOICES = {"--missed": recurring.MISSED, "--overlap": recurring.OVERLAP}
# Of which states the jobs are that a command has a use for, where these are not all.
STATES_OF = {
    "cancel": states.HOLDING,
    "requeue": states.RUN_AGAIN,
    "rerun": states.FINAL,
    "export": states.WAITING,
    "hold": states.WAITING,
    "release": states.WAITING,
    "edit": states.WAITING,
    "dlq retry": ("dead",),
    "dlq purge": ("dead",),
    "prune": states.FINAL,
}


class Taken:
    """One word or option of a command."""

    def __init__(self, command: Command, action: Action) -> None:
        self.flags: List[str] = list(action.option_strings)
        self.name: str = self.flags[-1] if self.flags else action.dest
        self.value = ""  # the word that stands for its value; "" for an option that has none
        if action.nargs != 0:
            word = action.metavar if isinstance(action.metavar, str) else ""
            self.value = word or self.name.lstrip("-").replace("-", "_").upper()
        self.count = action.nargs if isinstance(action.nargs, str) else ""  # ?, *, +; "" for one
        self.is_repeatable = "Append" in type(action).__name__
        self.default: object = action.default if action.default != frame.HIDDEN else None
        self.text = helping.explained(command, self.value, action.help)
        self.choices: Sequence[str] = choices_of(command, self, action)
        self.kind = "" if not self.value else BY_WORD.get(self.value) or BY_NAME.get(self.name, "text")
        if self.name == "--id" and command.name != "run":
            self.kind = "text"  # that of a new job
        if self.choices and self.kind == "text":
            self.kind = "one"

    def facts(self) -> Fields:
        """The same for programs."""
        return {
            "name": self.name,
            "flags": self.flags,
            "value": self.value or None,
            "count": self.count or ("1" if self.value else "0"),
            "repeatable": self.is_repeatable,
            "type": self.kind or "flag",
            "choices": list(self.choices),
            "default": self.default if isinstance(self.default, (bool, int, str)) else None,
            "help": self.text,
        }


def choices_of(command: Command, taken: Taken, action: Action) -> Sequence[str]:
    """The words that the value can be; none where it can be many."""
    if action.choices is not None:
        return [str(one) for one in action.choices]
    if taken.value == "S[,S]":
        return helping.states_of(command)
    if taken.value == "KEY" and command.name.startswith("config "):
        return [*settings.BY_KEY, *settings.ALIASES]
    return CHOICES.get(taken.name, ())


class Shape:
    """All that one command takes."""

    def __init__(self, name: str) -> None:
        command = frame.load(name)
        self.name = name
        self.text = COMMANDS[name][1]
        self.states: Sequence[str] = STATES_OF.get(name, states.STATES)
        self.other_usage = helping.OTHER_USAGE.get(name, "")  # what can stand in the place of its last word
        self.takes_program = self.other_usage.endswith(helping.PROGRAM_BEHIND)
        actions = [one for one in command.parser([])._actions if one.help != frame.HIDDEN]
        taken = [Taken(command, action) for action in actions]
        self.words = [one for one in taken if not one.flags]
        common = ("--json", "--home", "--debug", "--version", "--help")
        own = [one for one in taken if one.flags and one.name not in common]
        self.options = own + [one for one in taken if one.name in common]
        self.own = own  # without what all commands have

    def facts(self) -> Fields:
        """The same for programs."""
        return {
            "command": self.name,
            "help": self.text,
            "program": self.takes_program,
            "words": [one.facts() for one in self.words],
            "options": [one.facts() for one in self.options],
        }


def shapes() -> Iterator[Shape]:
    """All commands, in the order of the overview."""
    for name in COMMANDS:
        yield Shape(name)


def first_words() -> List[str]:
    """The words with which commands begin."""
    return list(dict.fromkeys(name.split()[0] for name in COMMANDS))


def members(family: str) -> List[Tuple[str, str]]:
    """The second words of the commands that begin with the word *family*, and what these do."""
    return [(name.split()[1], text) for name, (_, text) in COMMANDS.items() if name.startswith(family + " ")]


def sentence_of(first: str) -> str:
    """What is said of the commands that begin so."""
    return COMMANDS[first][1] if first in COMMANDS else FAMILIES.get(first, "")
