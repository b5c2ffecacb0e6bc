"""`manual`: the manual page as roff, for man(1), made of what the commands take; the same in any terminal."""

from __future__ import annotations

import os
import re
import time

import queuectl_lib
from queuectl_lib import errors, settings
from queuectl_lib.commands import anatomy, examples, frame, helping, manual_texts, terminal
from queuectl_lib.errors import BadInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple

    from queuectl_lib.commands.anatomy import Shape, Taken
    from queuectl_lib.commands.frame import Call

# Commands whose options others have, too: there these are told in full, elsewhere by their names.
TOLD_AT = {"add": "As `add` has them", "cancel": "Which jobs, as with `cancel`"}


@frame.command("manual", shows=True, judges=True)
def manual(call: Call) -> int:
    text = page(os.environ.get("SOURCE_DATE_EPOCH"))
    if call.options.json:
        call.print_json({"name": "queuectl", "section": 1, "text": text})
    else:
        terminal.print_text(text)
    return 0


def page(epoch: Optional[str] = None) -> str:
    """All of it. *epoch*: seconds since 1970 as text, of which the date is told. Raises BadInput for what is none."""
    version = "queuectl %s" % queuectl_lib.VERSION
    lines = ['.TH QUEUECTL 1 "%s" "%s" "User Commands"' % (date_of(epoch), version)]
    lines += [".nh", ".ad l"]  # no word is broken, no line stretched
    lines += [".SH NAME", r"queuectl \- a background job queue for shell commands, on one host", ".SH SYNOPSIS"]
    lines += [synopsis("[--home DIR] COMMAND [OPTION ...] [ARGUMENT ...]"), ".SH DESCRIPTION"]
    for text in manual_texts.ABOUT:
        lines += [".PP", marked(text)]
    lines += [".SH OPTIONS", "Each command has these:", *tagged([*helping.COMMON, helping.JSON])]
    lines += [".SH COMMANDS", *of_commands()]
    lines += [".SH SETTINGS", *of_settings(), ".SH FILES", *tagged(manual_texts.FILES.items())]
    lines += [".SH ENVIRONMENT", *tagged(manual_texts.ENVIRONMENT.items())]
    lines += [".PP", "A job finds, beside the variables of its worker and its own:"]
    lines += [*tagged(manual_texts.OF_A_JOB.items()), ".SH EXIT STATUS", *tagged(manual_texts.CODES.items())]
    lines += [line for text in manual_texts.OF_RUN for line in (".PP", marked(text))]
    return "\n".join(lines) + "\n"


def date_of(epoch: Optional[str]) -> str:
    """The day of SOURCE_DATE_EPOCH, in UTC; "" where that says none. Raises BadInput."""
    if not epoch:
        return ""
    if not re.match(r"[0-9]{1,11}\Z", epoch):
        raise BadInput("SOURCE_DATE_EPOCH: %s is no number of seconds since 1970" % errors.shown(epoch))
    return time.strftime("%Y-%m-%d", time.gmtime(int(epoch)))


# ---------------------------------------------------------------- roff


ESCAPED = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", '"': r"\(dq", "~": r"\(ti", "^": r"\(ha"}


def escaped(text: str) -> str:
    """*text* as roff prints it: no character is a command, also at the begin of a line; one line, in ASCII."""
    text = " ".join(text.split("\n"))
    found = "".join(ESCAPED.get(one, one if one < "\x7f" else r"\[u%04X]" % ord(one)) for one in text)
    return r"\&" + found if found[:1] in (".", "'") else found


def bold(text: str) -> str:
    return r"\fB%s\fP" % escaped(text)


def marked(text: str) -> str:
    """*text*, in which what stands in backquotes is bold."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escaped(text)
    found = "".join(bold(part) if place % 2 else escaped(part) for place, part in enumerate(parts))
    return r"\&" + found if found[:1] in (".", "'") else found


def tagged(pairs: Iterable[Tuple[str, str]]) -> Iterator[str]:
    """Each name, and indented below it what is said of it."""
    for name, text in pairs:
        yield ".TP"
        yield bold(name)
        yield marked(sentence(text))


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "." * (not text.endswith("."))


def synopsis(words: str) -> str:
    r"""A line of words, of which those in capitals stand for others."""
    parts = re.split(r"([A-Z][A-Z_]*(?![a-z]))", words)
    found = "".join(r"\fI%s\fP" % escaped(part) if place % 2 else escaped(part) for place, part in enumerate(parts))
    return "%s %s" % (bold(frame.PROGRAM), found)


# ---------------------------------------------------------------- the commands


def of_commands() -> Iterator[str]:
    """A section for each command."""
    shapes = {shape.name: shape for shape in anatomy.shapes()}
    told = {name: {key_of(one) for one in shapes[name].own} for name in TOLD_AT}
    for name, shape in shapes.items():
        yield ".SS " + escaped(name)
        yield synopsis(helping.usage(name))
        if shape.other_usage:
            yield ".br"
            yield synopsis("%s [OPTION ...] %s" % (name, shape.other_usage))
        yield ".PP"
        yield marked(sentence(shape.text))
        longer = shapes.get("%s start" % name)
        if longer is not None and [key_of(one) for one in longer.own] == [key_of(one) for one in shape.own]:
            yield marked("Its options are those of `%s`." % longer.name)
        else:
            yield from of_arguments(shape, told)
        yield from of_examples(name)


def key_of(taken: Taken) -> Tuple[str, str, str]:
    return " ".join(taken.flags), taken.value, taken.text


def of_arguments(shape: Shape, told: Dict[str, Set[Tuple[str, str, str]]]) -> Iterator[str]:
    """The words and options of a command, in full but for those that are *told* elsewhere."""
    elsewhere: Dict[str, List[str]] = {}
    for one in shape.words + shape.own:
        where = next((name for name, keys in told.items() if name != shape.name and key_of(one) in keys), "")
        if where and one.flags:
            elsewhere.setdefault(where, []).append(one.name)
            continue
        yield ".TP"
        value = r"\fI%s\fP" % escaped(one.value) if one.value else ""
        yield (", ".join(map(bold, one.flags)) + " " * bool(one.flags) + value).rstrip()
        yield marked(sentence(one.text)) if one.text else r"\&"
    for where, names in elsewhere.items():
        yield ".PP"
        yield "%s: %s." % (marked(TOLD_AT[where]), ", ".join(map(bold, names)))


def of_examples(name: str) -> Iterator[str]:
    for words, text in examples.EXAMPLES.get(name, ()):
        yield ".PP"
        yield marked(sentence(text or "example")[:-1] + ":")
        yield from (".PP", ".RS 4", ".nf", escaped("%s %s" % (frame.PROGRAM, words)), ".fi", ".RE")


def of_settings() -> Iterator[str]:
    """Each with its default."""
    yield marked("They stand in config.json, and are changed by `config set`.")
    for setting in settings.SETTINGS:
        default = "none" if setting.default is None else settings_text(setting.default)
        also = ", also %s" % setting.alias if setting.alias else ""
        yield ".TP"
        yield "%s (%s%s)" % (bold(setting.key), escaped(default), escaped(also))
        yield marked(sentence(manual_texts.SETTINGS.get(setting.key, setting.key)))


def settings_text(value: object) -> str:
    return ",".join(map(str, value)) or "no code" if isinstance(value, list) else str(value)
