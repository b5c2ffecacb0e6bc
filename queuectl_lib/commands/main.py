"""One call of queuectl: which command its words name, and how it ends."""

from __future__ import annotations

import gc
import os
import sys

import queuectl_lib
from queuectl_lib import errors
from queuectl_lib.commands import COMMANDS, FAMILIES, frame, terminal
from queuectl_lib.commands.frame import Call
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.host import files, loading, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from queuectl_lib.commands.frame import Command

INTERRUPTED = 130


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
    if not rest:
        if "--version" in argv:
            terminal.print_text("queuectl %s\n" % queuectl_lib.VERSION)
            raise SystemExit(0)
        if "--help" in argv or "-h" in argv:
            print_overview()
            raise SystemExit(0)
        raise BadInput("no command is given: `%s --help` lists them" % frame.PROGRAM, "bad_usage", "--help")
    second = 1
    while second < len(rest) and rest[second].startswith(("--home", "--debug")):
        second += 2 if rest[second] == "--home" else 1
    two = " ".join(rest[:1] + rest[second : second + 1])
    if two in COMMANDS:
        return frame.load(two), argv[:place] + rest[1:second] + rest[second + 1 :], behind
    group = [name for name in COMMANDS if name.startswith(rest[0] + " ")]
    if group and len(rest) > 1 and not rest[1].startswith("-"):
        raise errors.unknown_name("command", two, group)
    if rest[0] in COMMANDS:
        return frame.load(rest[0]), argv[:place] + rest[1:], behind
    if group and ("--help" in rest or "-h" in rest):
        print_overview(rest[0] + " ")
        raise SystemExit(0)
    if group:
        raise BadInput("%s needs one of: %s" % (rest[0], ", ".join(name.split()[1] for name in group)), "bad_usage")
    raise errors.unknown_name("command", rest[0], list(COMMANDS))


def print_overview(start: str = "") -> None:
    """All commands, or those whose names begin with *start*."""
    told: List[str] = []
    lines = [
        "usage: %s [--home DIR] COMMAND ..." % frame.PROGRAM,
        "",
        "A background job queue for shell commands. `%s COMMAND --help` tells more." % frame.PROGRAM,
        "",
    ]
    for name, (_, text) in COMMANDS.items():
        family = name.split()[0]
        if start or family not in FAMILIES:
            lines += ["  %-15s %s" % (name, text)] * name.startswith(start)
        elif family not in told:
            told.append(family)
            members = ", ".join(one.split()[1] for one in COMMANDS if one.startswith(family + " "))
            lines.append("  %-15s %s: %s" % (family + " ...", FAMILIES[family], members))
    lines += ["", "  --home DIR      where queue and settings are (default: beside %s)" % frame.PROGRAM]
    lines += ["  --version       print the version", "  --debug         show tracebacks"]
    terminal.print_text("\n".join(lines) + "\n")


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
            place = " (%s)" % error.filename if error.filename else ""
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
    try:
        chosen, options, behind = split_words(words)
        if behind is not None and chosen.name not in ("add", "enqueue", "edit", "schedule set"):
            options, behind = options + ["--"] + behind, None
        call = Call(chosen.parse(options), behind)
        call.enter(chosen)
        code = chosen.run(call)
        call.answer()
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


def show_trace(debug: bool) -> None:
    """Where the error at hand came from, for those who want to know."""
    if debug:
        import traceback  # needed only here

        traceback.print_exc()


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
