"""`cron`: lines for the crontab, or commands for the task scheduler of Windows, that keep workers running."""

from __future__ import annotations

import os
import re
import sys

from queuectl_lib import errors, values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import BadInput
from queuectl_lib.host import bundle, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from queuectl_lib.commands.frame import Call


@frame.command(
    "cron",
    frame.argument("-n", "--count", metavar="N", default="1", help="how many jobs at once (default 1)"),
    shows=True,
)
def cron(call: Call) -> int:
    count = values.count_from_text(call.options.count, "--count", 1000)
    words = [sys.executable or "python3", bundle.SCRIPT]
    if os.path.realpath(call.home) != bundle.HERE:
        words += ["--home", call.home]
    text = schedule(words, count)
    if call.config.named_database:
        told = "QUEUECTL_DB_PATH is set here, and cron will not know it: `config set db_path FILE` holds for both"
        terminal.tell(told)
    call.facts = {"text": text}
    if call.options.json:
        return 0
    if system.WINDOWS:
        terminal.print_text(text)
    else:
        terminal.write_all(1, os.fsencode(text))  # paths are bytes to cron, whatever stdout can encode
    return 0


CRONTAB = """\
# Lines for your crontab. This adds them to what stands there:
#   (crontab -l; {self} cron --count {count}) | crontab -
# and `crontab -e` changes them or takes them out again. Jobs run with cron's short PATH, unless
# a line such as PATH=/usr/local/bin:/usr/bin:/bin stands above. `worker stop` lasts until the next minute,
# `worker stop --stay` until `worker start` is typed.

# After a start of the host, and every minute: see that workers run. Nothing happens while they do.
@reboot       {line} worker start --ensure --background --quiet --count {count}
* * * * *     {line} worker start --ensure --background --quiet --count {count}

# Where no process may stay, in place of these two (jobs that run longer than a minute count as some of the {count}):
# * * * * *   {line} worker start --ensure --drain --max-time 55s --background --quiet --count {count}

# Every ten minutes: look whether all is well. cron mails what it says.
*/10 * * * *  {line} check

# Once a day: delete what finished more than 30 days ago.
17 3 * * *    {line} prune --older-than 30d --quiet
"""


def schedule(words: Sequence[str], count: int) -> str:
    """Lines for the crontab (on Windows commands for the task scheduler) that keep *count* workers running.

    *words* call queuectl. Raises BadInput for one that no crontab can carry.
    """
    for word in words:
        if not word.isprintable():
            text = "%s holds a character that no crontab can carry: rename it"
            raise BadInput(text % errors.shown(word))
    return windows_tasks(words, count) if system.WINDOWS else crontab(words, count)


def crontab(words: Sequence[str], count: int) -> str:
    typed = " ".join(map(system.quoted, words))
    return CRONTAB.format(self=typed, line=" ".join(cron_word(word) for word in words), count=count)


def cron_word(word: str) -> str:
    """*word* for sh behind any cron: a bare \\% is % for those that unescape it and for those that do not.

    No backslash stands beside another one, which some would make one of.
    """
    parts = re.split(r"([%\\])", word)
    special = {"%": "\\%", "\\": "'\\'", "": ""}
    return "".join(special[part] if part in special else system.quoted(part) for part in parts)


def windows_tasks(words: Sequence[str], count: int) -> str:
    """The same for the Windows task scheduler, to be pasted into cmd."""
    windowless = re.sub(r"python\.exe\Z", "pythonw.exe", words[0])  # else a console flashes up each minute
    words = [windowless if os.path.isfile(windowless) else words[0]] + list(words[1:])
    line = " ".join('\\"%s\\"' % word for word in words)
    tasks = (
        ("queuectl workers", "/sc minute /mo 1", "worker start --ensure --background --quiet --count %d" % count),
        ("queuectl check", "/sc minute /mo 10", "check"),
        ("queuectl prune", "/sc daily /st 03:17", "prune --older-than 30d --quiet"),
    )
    lines = ["rem For cmd. `schtasks /delete /tn NAME` takes a task out again."]
    lines += ['schtasks /create /f /tn "%s" %s /tr "%s %s"' % (name, when, line, rest) for name, when, rest in tasks]
    return "\n".join(lines) + "\n"
