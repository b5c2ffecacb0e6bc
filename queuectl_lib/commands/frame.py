"""The frame of a command: its arguments, its parser, the call that it gets, the home that it works on."""

from __future__ import annotations

import os
import time

import queuectl_lib
import storage
from queuectl_lib import values
from queuectl_lib.commands import COMMANDS, terminal
from queuectl_lib.commands.untranslated import argparse
from queuectl_lib.errors import BadInput
from queuectl_lib.host import bundle, system, trust
from queuectl_lib.jobs import ids
from queuectl_lib.settings import ConfigFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, Tuple

    from queuectl_lib.values import Fields

queuectl_lib.refuse_other_version(storage)
PROGRAM = "queuectl.py"
HIDDEN = argparse.SUPPRESS  # the help of an option that is for ourselves


class Command:
    """One command: its words, its action, its help, its arguments."""

    def __init__(
        self, name: str, run: Callable[[Call], int], arguments: Sequence[Any], shows: bool = False, **options: bool
    ) -> None:
        self.name = name
        self.run = run
        self.text = COMMANDS[name][1]
        self.arguments = arguments
        self.often = arguments
        self.shows = shows
        self.judges = options.get("judges", False)
        self.as_owner = options.get("as_owner", True)

    def parse(self, words: List[str]) -> argparse.Namespace:
        """What *words* ask for; options may stand between several arguments. Raises BadInput."""
        if OF_OPTIONS in words:
            words = with_equals(words)
        parser = self.parser(words, self.often)
        options, left = parser.parse_known_args(words)
        if left and self.often is not self.arguments:
            parser = self.parser(words)
            options, left = parser.parse_known_args(words)
        if left and not [word for word in left if word.startswith("-")]:
            return self.parser(words).parse_intermixed_args(words)  # reads twice, and so only where it must
        if left:
            parser.error("unrecognized arguments: %s" % " ".join(left))
        return options

    def parser(self, words: Sequence[str], arguments: Sequence[Any] = ()) -> Parser:
        name = "%s %s" % (PROGRAM, self.name)
        # One for all: argparse formats each argument only to see that it can, and would ask how wide the terminal is.
        trial = argparse.HelpFormatter(name, width=80)
        parser = Parser(prog=name, description=self.text, allow_abbrev=False, formatter_class=lambda prog: trial)
        parser.words = words
        add_common(parser)
        if self.shows:
            parser.add_argument("--json", action="store_true", help="print one JSON value")
        for names, details in arguments or self.arguments:
            parser.add_argument(*names, **details)
        return parser


OF_OPTIONS = "--launcher-args"  # what follows it are options, which are not ours


def with_equals(words: List[str]) -> List[str]:
    """*words* with what follows OF_OPTIONS joined to it: argparse would take it for an option of ours."""
    found: List[str] = []
    for word in words:
        if found and found[-1] == OF_OPTIONS:
            found[-1] += "=" + word
        else:
            found.append(word)
    return found


LOADED: Dict[str, Command] = {}


def command(
    name: str, *arguments: Any, often: Sequence[Any] = (), **options: bool
) -> Callable[[Callable[[Call], int]], Callable[[Call], int]]:
    """The function below does the command *name* of the table; shows=True gives it --json.

    judges=True: it tells by itself whose hands can reach the home. as_owner=False: root does not do it for others.
    *often*: the arguments that most calls have, where there are many; in the options of such a call no others stand.
    """

    def register(run: Callable[[Call], int]) -> Callable[[Call], int]:
        LOADED[name] = Command(name, run, arguments, **options)
        LOADED[name].often = often or arguments
        return run

    return register


def load(name: str) -> Command:
    """The command *name* of the table, with its room loaded."""
    if name not in LOADED:
        room = "queuectl_lib.commands." + COMMANDS[name][0]
        __import__(room)
        if name not in LOADED:
            raise ImportError("cannot import name '%s' from '%s'" % (name, room), name=room)
    return LOADED[name]


def argument(*names: str, **settings: Any) -> Tuple[Tuple[str, ...], Fields]:
    return names, settings


class Refused(BadInput):
    """What argparse says of the words of a call; commands/arguments knows what to type in their place."""

    def __init__(self, message: str, parser: Parser) -> None:
        super().__init__(message)
        self.parser = parser


class HelpAsked(Exception):
    """The help of the command is wanted."""


class Parser(argparse.ArgumentParser):
    """argparse, but what it refuses is told by main, and help is ours."""

    words: Sequence[str]  # of the call

    def error(self, message: str) -> NoReturn:
        raise Refused(message, self)

    def print_help(self, file: object = None) -> NoReturn:
        raise HelpAsked


def add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", metavar="DIR", help="where queue and settings are (default: beside queuectl.py)")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument("--version", action="version", version="queuectl " + queuectl_lib.VERSION)


class Call:
    """One call of one command: its options, and what they lead to."""

    def __init__(self, options: argparse.Namespace, words: Optional[List[str]]) -> None:
        self.options = options
        self.words = words  # what came behind --, None without it
        self.said: Sequence[str] = ()  # the words before that, but for those of the command
        for identifier in [getattr(options, "id", None)] + list(getattr(options, "ids", [])):
            if identifier not in (None, "-"):  # which stands for those on standard input, and is the id of none
                ids.check_id(identifier)
        self.home = find_home(options.home)
        self.config = ConfigFile(self.home)
        if os.environ.get("QUEUECTL_DB_PATH"):
            from queuectl_lib.commands import named_database  # which few calls need

            self.config.named_database = named_database.of(self.home, options.home is not None)
        self.way = trust.Way()
        self.now = time.time()
        self.facts: object = None  # what a program is told, where the command prints no value by itself

    def enter(self, command: Command) -> None:
        """See that nobody else has a hand in the home, before anything in it is read or made. Raises HostError."""
        owner = trust.owner_to_become(self.home)
        if owner is not None:
            from queuectl_lib.host import becoming  # which root alone needs

            becoming.become_owner(self.home, owner, command.name, command.as_owner)
        self.way.refuse_untrusted_file(bundle.SCRIPT, "copy queuectl to a folder of your own")
        if not command.judges:
            self.refuse_untrusted()

    def refuse_untrusted(self) -> None:
        """Raise HostError where another user can change what stands in the home."""
        self.way.refuse_untrusted(self.home, (), "choose a home of your own")
        self.way.refuse_untrusted_file(self.config.path)

    def queue(self) -> storage.Queue:
        """The queue that the settings name, as they are now.

        Raises HostError where others have a hand in its database, or where that has a second name.
        """
        path = self.config.database_path()
        self.way.refuse_untrusted_file(path, "choose a db_path elsewhere")
        queue = storage.Queue(path)
        queue.database.refuse_untrusted(self.way)
        queue.database.refuse_second_name()
        return queue

    def answer(self) -> None:
        """Tell a program what the command has come to. Raises HostError where that cannot be told."""
        if self.facts is not None and self.options.json:
            terminal.acknowledge(terminal.json_text(self.facts), "it was done, but what was done")

    def missing_database(self) -> str:
        """Where the queue would be, if it is not there yet: the home, or a database elsewhere. "" where it is."""
        path = self.config.database_path()
        if os.path.exists(path):
            return ""
        return self.home if os.path.dirname(path) == os.path.normpath(self.home) else path

    def print_json(self, value: object) -> None:
        """One JSON value. Jobs come one per line, so that a list stays greppable."""
        if isinstance(value, list):
            terminal.print_json_array(value)
        else:
            terminal.print_text(terminal.json_text(value))


def find_home(given: Optional[str]) -> str:
    """--home, else $QUEUECTL_HOME, else the directory of the real queuectl.py."""
    home = given if given is not None else bundle.home_in_environment() or bundle.HERE
    if not home:
        raise BadInput("--home is empty")
    values.check_text(home, "--home")
    return home if os.path.isabs(home) else os.path.join(system.current_directory(), home)
