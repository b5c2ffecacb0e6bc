"""What to type in place of a text, or of the name of a file, where `enqueue` takes JSON. Loaded only to refuse."""

from __future__ import annotations

import json
import os
import re

from queuectl_lib import values
from queuectl_lib.commands import frame, retyped
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from queuectl_lib.jobs.fields import Field

LOOKED_AT = 4096  # bytes at the beginning of a file
MOST_COLUMNS = 9
CRONTAB = rb"(?m)\A(?:\s*#.*\n|\w+=.*\n|\s*\n)*[ \t]*(?:@[a-z]+|[\d*][\d*/,-]*(?:[ \t]+[\d*][\w*/,-]*){4})[ \t]"
MOST_SHOWN = 60  # characters of a command that stand in the line to type


def of_text(text: str, is_cut: bool = False, said: Sequence[str] = ()) -> str:
    """What to type in place of a *text* that is no JSON, or no more; *said* are the words of that call of `enqueue`."""
    bare = text.strip().strip("'\"")
    if bare[:1] in ("{", "["):
        if ":" in bare and not set(bare) & set("'\""):
            return "the shell took the quotes of the JSON: `enqueue --file FILE`, or a pipe into `enqueue -`"
        return "JSON is one word, in quotes: `enqueue '{\"command\": \"true\"}'`"
    if not is_cut and os.path.isfile(text.lstrip("@")):
        return of_file(text.lstrip("@"), [word for word in said if word != text])
    is_whole = not is_cut and 0 < len(text) <= MOST_SHOWN and text.isprintable() and text[0] != "-"
    line = system.typed([text]) if is_whole else '"COMMAND"'
    return "a command line goes with `add %s`, or `enqueue --command %s`" % (line, line)


def of_file(path: str, others: Sequence[str] = ()) -> str:
    """How the jobs of a file are added, by what it begins with; *others* are the words of the call beside its name."""
    try:
        with open(path, "rb") as file:
            data = file.read(LOOKED_AT)
    except OSError:
        data = b"{"  # `enqueue --file` tells why it cannot be read
    name = system.typed([path])
    start = data.replace(b"\xef\xbb\xbf", b"", 1).lstrip()[:2]
    if path.lower().endswith((".csv", ".tsv")):
        return "that is a table; a command of each row: `%s`" % of_table(path, data)
    if start == b"#!":
        script = path if os.path.dirname(path) else os.path.join(".", path)
        typed = system.typed([script]) if os.access(path, os.X_OK) else system.typed(["sh " + name])
        return "that is a script: `add %s`" % typed
    if re.search(CRONTAB, data):
        return "that is a crontab: `schedule import %s`" % name
    flag = "--file" if start[:1] in (b"{", b"[") else "--lines"
    plain = "enqueue %s %s" % (flag, name)
    what = "that is a file" if flag == "--file" else "that is a file, no JSON: each line a command"
    return "%s: `%s`" % (what, retyped.line("enqueue", [flag, path, *others]) or plain)


def of_table(path: str, data: bytes) -> str:
    """A pipe that makes a command of each row of the table at *path*, which begins with *data*."""
    is_tabs = path.lower().endswith(".tsv")
    heading = data.split(b"\n")[0]
    separator = b"\t" if is_tabs else b";" if heading.count(b";") > heading.count(b",") else b","
    columns = min(MOST_COLUMNS, heading.count(separator) + 1)
    shown = "\\t" if is_tabs else separator.decode("ascii")
    fields = ", ".join("$%d" % number for number in range(1, columns + 1))
    text = "awk -F '%s' 'NR > 1 {print \"PROGRAM\", %s}' %s | python3 %s enqueue --lines -"
    return text % (shown, fields, system.typed([path]), frame.PROGRAM)


def refused(text: str, said: Sequence[str]) -> Optional[BadInput]:
    """The refusal of what `enqueue` is given as JSON and cannot be, by the words *said*; None where it may be."""
    values.check_text(text, "JSON")
    answer, start = of_text(text, said=said), text.strip()[:1]
    if start in ("", "{", "[") and not answer.startswith("the shell"):
        return None
    try:
        json.loads(text)
        what = 'a job is an object such as {"command": "true"}'
    except (ValueError, RecursionError):
        what = "not JSON"
    return BadInput("%s: %s: nothing was added" % (what, answer))


def beside_json(field: Field) -> BadInput:
    """The refusal of an option of `add`, that for *field*, beside JSON, which may be many jobs."""
    text = '%s is a key of the JSON: {"command": "true", "%s": ...}; or `enqueue --command "COMMAND" %s ...`'
    return BadInput(text % (field.flag, field.key, field.flag))
