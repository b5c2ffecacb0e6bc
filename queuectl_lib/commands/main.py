"""One call of queuectl: which command its words name, and how it ends."""

from __future__ import annotations

import gc
import os
import sys

import queuectl_lib
from queuectl_lib.commands import ALIASES, COMMANDS, frame, terminal
from queuectl_lib.commands.frame import Call
from queuectl_lib.errors import BadInput, NoSuchJob, QueueError
from queuectl_lib.host import files, loading, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import List, NoReturn, Optional, Tuple

    from queuectl_lib.commands.frame import Command
    from queuectl_lib.values import Fields

INTERRUPTED = 130
SCHEMA = 1  # of all JSON: what is there stays, keys are only added (docs/json.md)
# What looks, and finds nothing all the same.
LOOKING = ("list", "status", "top", "wait", "events", "joblog", "dlq list", "dlq groups", "worker list")


def split_words(argv: List[str]) -> Tuple[Command, List[str], Optional[List[str]]]:
    """The command that *argv* names, its options, and what stands behind --."""
    behind: Optional[List[str]] = None
    if "--" in argv:
        place = argv.index("--")
        argv, behind = argv[:place], argv[place + 1 :]
    place = 0
    while place < len(argv) and argv[place].startswith("-"):
        place += 2 if argv[place] == "--home" else 1
    rest = argv[place:]
    if not rest or (rest[0] == "version" and not set(rest[1:]) - {"--json", "--debug"}):
        if rest or "--version" in argv:
            print_version("--json" in argv)
        if "--help" in argv or "-h" in argv:
            print_overview(as_json="--json" in argv)
        raise nothing_given(argv)
    if rest[0] in ALIASES and not [word for word in rest[1:] if word in ("--help", "-h")] and not plainly(rest):
        return frame.load(ALIASES[rest[0]]), argv[:place] + rest[1:], behind
    second = 1
    while second < len(rest) and rest[second].startswith(("--home", "--debug")):
        second += 2 if rest[second] == "--home" else 1
    two = " ".join(rest[:1] + rest[second : second + 1])
    two = ALIASES.get(two, two)
    if two in COMMANDS:
        return frame.load(two), argv[:place] + rest[1:second] + rest[second + 1 :], behind
    group = any(name.startswith(rest[0] + " ") for name in COMMANDS)
    if rest[0] in COMMANDS and not (group and len(rest) > 1 and not rest[1].startswith("-")):
        return frame.load(rest[0]), argv[:place] + rest[1:], behind
    if rest[0] == "help" and rest[1:]:
        return split_words([*argv[:place], *rest[1:], "--help"])
    if rest[0] == "help" or (group and ("--help" in rest or "-h" in rest)):
        print_overview(rest[0] + " " if group else "", "--json" in argv)
    if rest[0] == "_ids":  # of a shell that completes: no word for people
        return frame.load("completion"), argv[:place], rest[1:]
    raise unknown_command(argv, place, second)


def plainly(rest: List[str]) -> List[str]:
    """The words behind the first of *rest* that are neither options nor the home."""
    return [word for at, word in enumerate(rest) if at and not word.startswith("-") and rest[at - 1] != "--home"]


def nothing_given(argv: List[str]) -> BadInput:
    from queuectl_lib.commands import hints  # needed only to refuse

    return hints.nothing_given(argv)


def unknown_command(argv: List[str], place: int, second: int) -> BadInput:
    """The refusal of what is no command, and begins at *place*; *second* is where, from there, its second word is."""
    from queuectl_lib.commands import hints  # the same

    first, rest = argv[place], argv[place + second :]
    if first in hints.FAMILIES and (not rest or rest[0].startswith("-")):
        return hints.needs_one_of(first)
    return hints.unknown_command([first, *rest], argv[:place])


def print_version(as_json: bool) -> NoReturn:
    """Which version this is; for a program also which commands there are."""
    facts: Fields = {"version": queuectl_lib.VERSION, "schema": SCHEMA, "commands": list(COMMANDS)}
    terminal.print_text(terminal.json_text(facts) if as_json else "queuectl %s\n" % queuectl_lib.VERSION)
    raise SystemExit(0)


def print_overview(start: str = "", as_json: bool = False) -> NoReturn:
    """All commands, or those whose names begin with *start*; for a program with all that they take."""
    if as_json:
        from queuectl_lib.commands import anatomy  # needed only to help

        whole = start and not start.endswith(" ")  # the words of one command
        names = [name for name in COMMANDS if (name == start if whole else name.startswith(start))]
        told = [anatomy.Shape(name).facts() for name in names]
        facts: Fields = {"version": queuectl_lib.VERSION, "schema": SCHEMA, "commands": told}
        terminal.print_text(terminal.json_text(facts))
        raise SystemExit(0)
    from queuectl_lib.commands import helping  # the same

    terminal.print_text(helping.overview(start))
    raise SystemExit(0)


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in (words[: words.index("--")] if "--" in words else words)
    terminal.prepare_streams()
    terminal.speak_to_a_program("--json" in (words[: words.index("--")] if "--" in words else words))
    try:
        try:
            return run(words)
        except QueueError as error:
            show_trace(debug)
            return complain(str(error), error.exit_code, error.code, error.line)
        except OSError as error:
            if terminal.is_closed_pipe(error):
                return terminal.quiet_end(0)
            show_trace(debug)
            place = " (%s)" % error.filename if error.filename else where_refused(error)
            return complain("the system refuses: %s%s" % (error.strerror or error, place), 3, files.full_or_not(error))
        except MemoryError:
            return complain("out of memory", 3, "out_of_memory")
        except (ImportError, SyntaxError, AttributeError, EOFError) as error:  # of what one command needs
            show_trace(debug)
            if isinstance(error, AttributeError) and "module '" not in str(error):
                raise
            from queuectl_lib import lacking  # needed only here

            return complain(lacking.told(error, loading.LIBRARY), 3, "broken_installation")
    except KeyboardInterrupt:
        return terminal.quiet_end(INTERRUPTED)


def run(words: List[str]) -> int:
    chosen: Optional[Command] = None
    call: Optional[Call] = None
    try:
        chosen, options, behind = split_words(words)
        if behind is not None and chosen.name not in ("add", "run", "completion", "enqueue", "edit", "schedule set"):
            options, behind = options + ["--"] + behind, None
        call = Call(parse(chosen, options, behind), behind)
        call.said = options
        call.enter(chosen)
        code = chosen.run(call)
        call.answer()
        if chosen.name in LOOKING and not getattr(call.options, "json", False):
            tell_of_no_queue(call)
    except (NoSuchJob, BadInput) as error:
        from queuectl_lib.commands import misnamed  # needed only to refuse

        better = misnamed.told(error, chosen.name, options, call) if chosen else error
        if better is error:
            raise
        raise better from error
    except SystemExit:  # after --help or --version
        code = 0
    try:
        sys.stdout.flush()
    except OSError as error:
        if not terminal.is_closed_pipe(error):
            raise
        code = terminal.quiet_end(code)  # the work was done, well or not
    terminal.tell_notes()
    return code


def parse(chosen: Command, words: List[str], behind: Optional[List[str]]) -> Namespace:
    """The options of a call of *chosen*, with the words *behind* -- if any.

    Raises BadInput with the line to type, SystemExit after help.
    """
    try:
        return chosen.parse(words)
    except frame.Refused as error:
        from queuectl_lib.commands import arguments  # needed only to refuse

        parser = error.parser
        text = arguments.refused(str(error), chosen.name, parser.words, behind)
        raise BadInput(text, "bad_usage", "%s --help" % chosen.name) from error
    except frame.HelpAsked:
        if "--json" in words:
            print_overview(chosen.name, as_json=True)
        from queuectl_lib.commands import helping  # needed only to help

        terminal.print_text(helping.of_command(chosen))
        raise SystemExit(0) from None


def tell_of_no_queue(call: Call) -> None:
    """Say so where what was looked at is not there: the home may be mistyped."""
    place = call.missing_database()
    if place:
        terminal.tell("no queue in %s yet" % place)


def show_trace(debug: bool) -> None:
    """Where the error at hand came from, for those who want to know."""
    if debug:
        import traceback  # needed only here

        traceback.print_exc()


PRINTING = ("print_text", "print_json_array", "tell", "run")  # functions that write to standard output or flush it


def where_refused(error: OSError) -> str:
    """That it was standard output, where the system refuses that: such an error has no name of a file."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    frame_of = trace and trace.tb_frame
    is_output = frame_of and (frame_of.f_code.co_name in PRINTING or frame_of.f_locals.get("fd") == 1)
    return " (standard output)" if is_output else ""


def complain(text: str, code: int, kind: str, line: str = "") -> int:
    """The one place that tells an error: one line, whatever it holds."""
    try:
        sys.stderr.write(terminal.error_text(text, kind or "system", "%s %s" % (frame.PROGRAM, line) if line else ""))
        sys.stderr.flush()
        sys.stdout.flush()
    except OSError:
        terminal.quiet_end(code)
    return code


def begin(umask: int) -> None:
    """The whole call, from the door to the end of the process; *umask* is that of the caller."""
    system.callers_umask = umask
    getattr(gc, "freeze", gc.enable)()  # PyPy has none
    gc.enable()
    leave(main())


def leave(code: int) -> None:
    """End the process with *code*, at once: all is done and closed, and to take Python down costs milliseconds.

    A command that has started workers ends as usual, for multiprocessing has its own work to do then.
    """
    if "multiprocessing" in sys.modules:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            pass  # that it failed has been told, or cannot be
    os._exit(code)
