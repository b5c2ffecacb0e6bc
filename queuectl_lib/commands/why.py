"""`why`: one sentence about a job, or about the queue, and what to type."""

from __future__ import annotations

import os
import sys

from queuectl_lib import errors
from queuectl_lib.commands import choosing, frame, terminal
from queuectl_lib.host import bundle, system
from queuectl_lib.jobs import states
from queuectl_lib.reports import reasons
from queuectl_lib.reports.crew import Crew
from queuectl_lib.store import explaining

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields

AT_ONCE = 500  # jobs that are looked at in one read


@frame.command(
    "why",
    frame.argument("ids", metavar="ID", nargs="*", help="an id, or the beginning of one that was made"),
    shows=True,
)
def why(call: Call) -> int:
    queue = call.queue()
    if not call.options.ids:
        from queuectl_lib.reports import queue_reasons  # which no job needs

        answers = [queue_reasons.of(queue, call.now)]
    else:
        ids = choosing.ids_in_full(call, queue.database)
        people = Crew(queue.folder)
        told = reasons.Why(queue.database, people, call.now, call.config().timeout)
        facts = explaining.of_jobs(queue.database, ids, call.now, people.serves_both)
        answers = [told.of(one) for one in facts]
    words = program_words(call)
    for one in answers:
        one["next"] = [line_of(words, what) for what in one["next"]]
    if call.options.json:
        call.print_json(answers[0] if len(call.options.ids) < 2 else answers)
    else:
        print_answers(answers)
    return 0


def print_answers(answers: Sequence[Fields]) -> None:
    for one in answers:
        named = "%s  " % one["id"] if len(answers) > 1 else ""
        terminal.print_text("%s\n" % errors.printable(named + one["sentence"]))
        for more in one["reasons"][1:] if one["state"] in states.WAITING else ():
            terminal.print_text("  also: %s\n" % errors.printable(more["sentence"]))
        for line in one["next"]:
            terminal.print_text("  try: %s\n" % errors.printable(line))


def program_words(call: Call) -> List[str]:
    """What calls this queue again, as it was typed."""
    typed = sys.argv[0] if sys.argv else ""
    script = typed if os.path.basename(typed) == os.path.basename(bundle.SCRIPT) else bundle.SCRIPT
    words = [script] if os.access(script, os.X_OK) and os.path.dirname(script) else ["python3", script]
    return words + (["--home", call.options.home] if call.options.home is not None else [])


def line_of(words: Sequence[str], what: Sequence[str]) -> str:
    """A line to be pasted: *what* of ours, or a `kill`."""
    return system.typed(list(what) if what[0] == "kill" else [*words, *what])
