"""What README and docs/commands.md say of commands and job keys, written from their tables: `make readme`."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

import argparse

from queuectl_lib.commands import COMMANDS, choosing, frame
from queuectl_lib.jobs import fields

README = os.path.join(ROOT, "README.md")
DETAILS = os.path.join(ROOT, "docs", "commands.md")
RUNNING = os.path.join(ROOT, "docs", "running.md")
# One screen, by what somebody wants to do. A command stands in one group.
GROUPS = {
    "put jobs in": "`add` one command · `run` one as if it ran here · `enqueue` many, as JSON or as a list of commands",
    "speak from within": "`say` to the worker of a job that it is to run later, is dead, how far it is",
    "see them": "`list` · `show` one with its attempts · `logs` what it printed, `results` what many did"
    " · `wait` until they are final"
    " · `status` how many are in each state, `top` on a screen that lives · `why` it waits, failed, or nothing runs"
    " · `report` a page of HTML with plots",
    "tell programs": "`events` each end of an attempt · `joblog` as GNU parallel has it · `metrics` for Prometheus",
    "change them": "`cancel` · `requeue` what is dead, cancelled or failed · `rerun` what has ended"
    " · `export` for Slurm, parallel, sh"
    " · `hold`, `release` · `edit` what waits",
    "see to the dead": "`dlq list` · `dlq groups` · `dlq retry` · `dlq purge`",
    "run them": "`worker` or `worker start` · `worker stop` · `worker list`",
    "again and again": "`schedule set` · `schedule list`, `schedule show`, `schedule next`"
    " · `schedule pause`, `schedule resume` · `schedule run` · `schedule remove` · `schedule load` from JSON"
    " · `schedule import` a crontab",
    "how many, when": "`queue set`, `queue list`, `queue show`, `queue remove`"
    " · `pause`, `resume` · `lock set`, `lock unset`, `lock list`",
    "look after it": "`check` what is wrong, `hook` who is told · `stats` what jobs of a kind take"
    " · `prune` what is over · `doctor` for a new host · `cron` lines that keep workers running",
    "set it up": "`config get`, `config set`, `config unset` · `initdb`"
    " · `completion` for your shell, `manual` for man",
}
# Some have one of these of their own.
OF_THEIR_OWN = (choosing.ALL, choosing.STATE, choosing.QUEUE, choosing.TAG)
SELECTORS = [one for one in choosing.SELECTORS if one not in OF_THEIR_OWN]
BEGIN, END = "<!-- written by `make readme` -->\n", "<!-- until here -->\n"
FED_BACK = """ What queuectl itself sets is accepted and ignored,
so one home feeds another: `queuectl.py list --state pending,failed --json | queuectl.py --home
OTHER enqueue -`. Jobs that say by their `state` that they ran, or run now, are refused, and the others with
them; `--any-state` takes them as new.
"""


def table():
    """The lines between BEGIN and END: one screen."""
    rows = ["| to | there is |", "|---|---|"] + ["| %s | %s |" % row for row in GROUPS.items()]
    more = "Options: `queuectl.py COMMAND --help`, or [docs/commands.md](docs/commands.md).\n\n"
    keys = "JSON keys of `enqueue`: `%s`." % " ".join(fields.JOB_KEYS)
    return "\n".join(rows) + "\n\n" + more + keys + FED_BACK


TITLE = """# Commands and their options

Written by `make readme` from the tables of the program; `queuectl.py COMMAND --help` tells more.
`[SELECTOR]` stands for ids, `--tag`, `--queue`, `--state`, `--match` and others: README, "Which jobs".

"""


def details():
    """All of docs/commands.md."""
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
    return TITLE + "\n".join(rows) + "\n"


def main():
    with open(README, encoding="utf-8") as file:
        text = file.read()
    head, rest = text.split(BEGIN)
    with open(README, "w", encoding="utf-8") as file:
        file.write(head + BEGIN + table() + END + rest.split(END, 1)[1])
    os.makedirs(os.path.dirname(DETAILS), exist_ok=True)
    with open(DETAILS, "w", encoding="utf-8") as file:
        file.write(details())


if __name__ == "__main__":
    main()
