"""What the README says of commands and job keys, written from their tables: `make readme`."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

import argparse

from queuectl_lib.commands import COMMANDS, choosing, frame
from queuectl_lib.jobs import fields

README = os.path.join(ROOT, "README.md")
# Some have a --state, --queue or --tag of their own.
SELECTORS = [one for one in choosing.SELECTORS if one not in (choosing.STATE, choosing.QUEUE, choosing.TAG)]
BEGIN, END = "<!-- written by `make readme` -->\n", "<!-- until here -->\n"
FED_BACK = """ What queuectl itself sets is accepted and ignored,
so one home feeds another: `queuectl.py list --state pending,failed --json | queuectl.py --home
OTHER enqueue -`. Jobs that say by their `state` that they ran, or run now, are refused, and the others with
them; `--any-state` takes them as new.
"""


def table():
    """The lines between BEGIN and END."""
    rows = ["| command | does |", "|---|---|"]
    for name, (_, sentence) in COMMANDS.items():
        words, options = [name], []
        arguments = list(frame.load(name).arguments)
        if all(one in arguments for one in SELECTORS):
            words.append("[SELECTOR]")
            arguments = [one for one in arguments if one not in choosing.SELECTORS]
        for names, details in arguments:
            if not names[0].startswith("-"):
                word = details.get("metavar", names[0].upper())
                words.append({"*": "[%s...]", "+": "%s...", "?": "[%s]"}.get(details.get("nargs"), "%s") % word)
            elif details.get("help") != argparse.SUPPRESS:
                options.append(next(one for one in names if one.startswith("--")))
        options += ["--json"] if frame.load(name).shows else []
        rows.append("| `%s` | %s |" % (" ".join(words), sentence + (". `%s`" % " ".join(options) if options else "")))
    keys = "JSON keys of `enqueue`: `%s`." % " ".join(fields.JOB_KEYS)
    return "\n".join(rows) + "\n\n" + keys + FED_BACK


def main():
    with open(README, encoding="utf-8") as file:
        text = file.read()
    head, rest = text.split(BEGIN)
    with open(README, "w", encoding="utf-8") as file:
        file.write(head + BEGIN + table() + END + rest.split(END, 1)[1])


if __name__ == "__main__":
    main()
