"""What `--help` prints: the overview by groups, and each command with its options and examples, as wide as one sees."""

from __future__ import annotations

import re

from queuectl_lib.commands import COMMANDS, FAMILIES, choosing, examples, frame
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

    from queuectl_lib.commands.frame import Command

    Row = Tuple[str, str]

LEAST_COLUMNS = 38
# Groups of the overview, by the first words of their commands; what is in none comes behind the row above it.
GROUPS = {
    "submit": "add run enqueue schedule say",
    "look": "list show why logs results wait status top stats report check hook",
    "programs": "events joblog metrics",
    "decide": "cancel requeue rerun export hold release edit dlq prune pause resume queue lock",
    "workers": "worker",
    "settings": "config initdb",
    "host": "cron completion manual doctor",
}
START_HERE = (
    ('add "echo hello"', "enqueue a command; its id is printed"),
    ("worker start --drain", "run all that waits, then end"),
    ("list", "what became of it; `logs ID` has its output"),
)
COMMON = (
    ("--home DIR", "where queue and settings are (default: beside %s)" % frame.PROGRAM),
    ("--version", "print the version"),
    ("--debug", "show tracebacks"),
)
JSON = ("--json", "print one JSON value")
ID = (
    "as `add` prints it and `list` shows it; of an id that queuectl made the first letters will do, as many as no other"
    " begins with"
)
PROGRAM_BEHIND = "-- PROGRAM [ARGUMENT ...]"
OTHER_USAGE = {  # of the last word: what can stand in its place
    "add": PROGRAM_BEHIND,
    "run": PROGRAM_BEHIND,
    "enqueue": "--command TEXT",
    "edit": "ID " + PROGRAM_BEHIND,
    "schedule set": PROGRAM_BEHIND,
}


def columns() -> int:
    """How wide help may be."""
    import shutil  # needed only here

    return max(LEAST_COLUMNS, shutil.get_terminal_size().columns - 1)


def wrapped(text: str, width: int) -> List[str]:
    """*text* in lines of *width* columns at the most; no word is broken, so one that is wider stands alone."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def column_of(names: Sequence[str], width: int, indent: int = 2) -> int:
    """Where what is said of *names* begins: behind all of them but those that are too long."""
    most = min(32, width * 2 // 5)
    return indent + 2 + max([len(name) for name in names if len(name) <= most] or [8])


def rows(pairs: Sequence[Row], width: int, column: int, indent: int = 2) -> Iterator[str]:
    """A name, and from *column* on what is said of it, each over as many lines as it takes."""
    for name, text in pairs:
        start = " " * indent + name
        if len(start) + 2 > column:
            yield start
            start = ""
        for line in wrapped(text, max(12, width - column)):
            yield (start.ljust(column) + line).rstrip()
            start = ""


# ---------------------------------------------------------------- the overview


def overview(start: str = "") -> str:
    """All commands by groups, or those whose names begin with *start*."""
    width = columns()
    what = "COMMAND" if not start else start + "COMMAND"
    lines = [*hanging("usage: %s [--home DIR] %s ..." % (frame.PROGRAM, what), width, 7), ""]
    if start:
        pairs = [(name, text) for name, (_, text) in COMMANDS.items() if name.startswith(start)]
        lines += rows(pairs, width, column_of([name for name, _ in pairs], width))
    else:
        lines += wrapped("A background job queue for shell commands. Start here:", width)
        first = [("%s %s" % (frame.PROGRAM, words), text) for words, text in START_HERE]
        column = 4 + max(len(name) for name, _ in first)
        if width - column < 36:
            column = column_of([name for name, _ in first], width)
        lines += ["", *rows(first, width, column), ""]
        lines += grouped(width)
    lines += ["", *wrapped("`%s %s --help` tells more, with examples." % (frame.PROGRAM, what), width)]
    lines += rows(COMMON, width, column_of([name for name, _ in COMMON], width))
    return "\n".join(lines) + "\n"


def grouped(width: int) -> Iterator[str]:
    """All commands, each group behind its name."""
    found: Dict[str, List[Row]] = {group: [] for group in GROUPS}
    group = next(iter(GROUPS))
    for name, (_, text) in COMMANDS.items():
        family = name.split()[0]
        group = next((one for one, words in GROUPS.items() if family in words.split()), group)
        if family not in FAMILIES:
            found[group].append((name, text))
        elif family + " ..." not in dict(found[group]):
            members = ", ".join(one.split()[1] for one in COMMANDS if one.startswith(family + " "))
            found[group].append((family + " ...", "%s: %s" % (FAMILIES[family], members)))
    indent = 2 + max(map(len, GROUPS))
    column = column_of([name for pairs in found.values() for name, _ in pairs], width, indent)
    for group, pairs in found.items():
        brief = [(name, text if name.endswith("...") else briefly(text, width - column)) for name, text in pairs]
        for number, text in enumerate(rows(brief, width, column, indent)):
            yield text if number else group + text[len(group) :]


def briefly(text: str, room: int) -> str:
    """The first part of what is said of a command: as much as fits into one line, where that makes sense by itself."""
    whole = re.split(r"[;:] ", text)[0]
    parts = re.split(r"(?=, )|(?= \()", whole)
    while len(parts) > 1 and len("".join(parts)) > room:
        parts.pop()
    kept = "".join(parts)
    return kept if 2 * len(kept) > len(whole) else whole


# ---------------------------------------------------------------- one command


def usage(name: str) -> str:
    """The words of a call of the command *name*, without those of the program."""
    said = [name, "[OPTION ...]"]
    for names, details in frame.load(name).arguments:
        if not names[0].startswith("-"):
            word = metavar(names, details)
            said.append({"*": "[%s ...]", "+": "%s ...", "?": "[%s]"}.get(details.get("nargs"), "%s") % word)
    return " ".join(said).replace("[COMMAND]", "COMMAND")


def metavar(names: Sequence[str], details: Dict[str, Any]) -> str:
    return str(details.get("metavar") or names[-1].lstrip("-").replace("-", "_").upper())


def of_command(command: Command) -> str:
    """All of the help of one command."""
    width, name = columns(), command.name
    start = "usage: %s " % frame.PROGRAM
    lines = hanging(start + usage(name), width, len(start))
    if name in OTHER_USAGE:
        before = re.sub(r" (COMMAND|\[JSON\]|\[ID \.\.\.\])\Z", "", usage(name))
        text = "%s%s %s %s" % (" " * len("usage: "), frame.PROGRAM, before, OTHER_USAGE[name])
        lines += hanging(text, width, len(start))
    sentence = COMMANDS[name][1]
    lines += ["", *wrapped(sentence[:1].upper() + sentence[1:] + ".", width)]
    words, options = arguments(command)
    column = column_of([name for name, _ in words + options], width)
    lines += [""] * bool(words) + list(rows(words, width, column))
    lines += ["", *rows(options, width, column)]
    shown = examples.EXAMPLES.get(name, ())
    lines += ["", "example:" if len(shown) == 1 else "examples:"] if shown else []
    for words_of_call, text in shown:
        lines += hanging("  %s %s" % (frame.PROGRAM, words_of_call), width, 6)
        lines += ["      " + line for line in wrapped(text, width - 6)] if text else []
    return "\n".join(lines) + "\n"


def hanging(text: str, width: int, indent: int) -> List[str]:
    """*text*, which may begin with blanks, in lines of which all but the first are indented."""
    begin = text[: len(text) - len(text.lstrip())]
    first, *more = wrapped_from(text.lstrip(), width, len(begin), indent)
    return [begin + first, *(" " * indent + line for line in more)]


def wrapped_from(text: str, width: int, begin: int, indent: int) -> List[str]:
    """*text* in lines, of which the first has *begin* columns less than *width*, the others *indent*."""
    head = wrapped(text, width - begin)[0]
    rest = text[len(head) :].strip()
    return [head, *(wrapped(rest, max(16, width - indent)) if rest else [])]


def arguments(command: Command) -> Tuple[List[Row], List[Row]]:
    """What is said of the words of a command, and of its options."""
    words: List[Row] = []
    options: List[Row] = []
    for names, details in command.arguments:
        word = metavar(names, details)
        if details.get("help") == frame.HIDDEN:
            continue
        text = explained(command, word, details.get("help"))
        if not names[0].startswith("-"):
            words.append((word, text))
        elif details.get("action") in ("store_true", "store_const"):
            options.append((", ".join(names), text))
        else:
            options.append(("%s %s" % (", ".join(names), word), text))
    options += [JSON] if command.shows else []
    return words, [*options, COMMON[0], *COMMON[:0:-1], ("-h, --help", "print this")]


def explained(command: Command, word: str, text: Optional[str]) -> str:
    """What is said of an argument, by its *text*; *word* is what stands for its value."""
    text = (text or "").replace("%%", "%")
    if word == "ID" and not text.startswith("the "):
        return ID
    return text if word != "S[,S]" else "%s; S is one of %s" % (text, ", ".join(states_of(command)))


def states_of(command: Command) -> Sequence[str]:
    """The states that its --state can name."""
    return states.STATES if choosing.STATE in command.arguments else states.FINAL
