"""`show`: one job in full, with its attempts and their output."""

from __future__ import annotations

import itertools

from queuectl_lib import errors, times
from queuectl_lib.commands import choosing, frame, terminal
from queuectl_lib.host import system
from queuectl_lib.jobs import fields, states
from queuectl_lib.store import output, showing
from queuectl_lib.store.output import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields
    from storage import Queue

SHOWN_BYTES = 16 * 1024  # of output that `show` prints per stream
SAID_CHARACTERS = 200  # of the line that tells most
JSON_BYTES = 1024 * 1024  # of output that `show --json` carries per stream


@frame.command("show", *choosing.SELECTORS, shows=True)
def show(call: Call) -> int:
    queue = call.queue()
    ids = choosing.each_id(call, queue)
    if not call.options.json:
        for number, identifier in enumerate(ids):
            terminal.print_text("\n" * (number > 0))
            show_job(queue, showing.job(queue.database, identifier))
        return 0
    jobs = (
        output.with_output(queue.database, showing.job(queue.database, identifier), JSON_BYTES) for identifier in ids
    )
    first = next(jobs)  # an unknown id leaves stdout empty
    if len(call.options.ids) == 1 and not choosing.conditions(call):
        call.print_json(first)
    else:
        terminal.print_json_array(itertools.chain([first], jobs))
    return 0


def show_job(queue: Queue, job: Fields) -> None:
    for field in fields.FIELDS:
        if field.key in job and field.key not in ("history", "reason"):  # which last_error says in words
            value = job[field.key]
            text = "-" if value is None else fields.shown(field.shown, value)
            if field.key == "signature" and value is not None:
                text += what_it_says(queue, value)
            terminal.print_text("%-14s%s\n" % (field.key, errors.printable(text)))
    for attempt in job["history"]:
        show_attempt(queue, job["id"], attempt)


def what_it_says(queue: Queue, signature: object) -> str:
    """What is known of the failures with this signature."""
    from queuectl_lib.store import groups  # which only a job that has failed needs

    return "".join(" (%s)" % text for text in groups.texts(queue.database, [signature]).values())


def telling_line(queue: Queue, attempt: Fields) -> str:
    """The line of its output that tells most of why it failed; "" where none does."""
    if attempt["outcome"] not in states.ENDINGS or states.ENDINGS[attempt["outcome"]] != "fail":
        return ""
    from queuectl_lib.jobs import signatures  # the same

    stderr, stdout = (Output(queue.database, attempt, s).tail(signatures.TAIL_BYTES) for s in ("stderr", "stdout"))
    return signatures.telling_line(stderr, stdout)


def used(attempt: Fields) -> List[str]:
    """What an attempt has used, as far as it is known: CPU of all its processes, memory of the largest one."""
    cpu, peak, under = attempt["cpu"], attempt["peak_rss"], attempt["peak_rss_under"]
    facts = []
    if isinstance(cpu, (int, float)):
        facts.append("cpu %s" % times.seconds_text(cpu))
    if isinstance(peak, int):
        facts.append("largest process %.0f MB" % max(1, peak / 1e6))
    elif under is not None:
        facts.append("largest process under %d MB" % (under // 1000000 + 1))
    return facts


def show_attempt(queue: Queue, identifier: str, attempt: Fields) -> None:
    facts = ["started %s" % attempt["started_at"]]
    if attempt["finished_at"]:
        took = times.seconds_or(attempt["finished_at"], 0) - times.seconds_or(attempt["started_at"], 0)
        facts.append("took %.3f s" % max(0.0, took))
    if attempt["exit_code"] is not None:
        facts.append("exit code %s" % attempt["exit_code"])
    facts += used(attempt)
    facts.append("worker %s" % attempt["worker"])
    number = errors.printable(str(attempt["number"]))  # all of these may be anything
    terminal.print_text("\nattempt %s: %s\n" % (number, errors.printable(str(attempt["outcome"]))))
    terminal.print_text("  %s\n" % errors.printable(", ".join(facts)))
    if attempt["command"] is not None:
        terminal.print_text("  command: %s\n" % errors.printable(fields.shown(system.typed, attempt["command"])))
    if attempt["error"]:
        terminal.print_text("  error: %s\n" % errors.printable(str(attempt["error"])))
        line = telling_line(queue, attempt)
        if line:
            terminal.print_text("  it says: %s\n" % errors.printable(line[:SAID_CHARACTERS]))
    if attempt["leftovers"]:
        terminal.print_text("  left running: %s\n" % errors.printable(str(attempt["leftovers"])))
    if attempt["erased"]:
        terminal.print_text("  %s\n" % output.erased_words(attempt["erased"]))
    note = attempt["note"] or {}
    if note.get("ignored"):
        lines = ", ".join(map(errors.shown, note["ignored"]))
        more = ", ..." if note["ignored_lines"] > len(note["ignored"]) else ""
        count = "1 line that is" if note["ignored_lines"] == 1 else "%d lines that are" % note["ignored_lines"]
        terminal.print_text("  ignored: %s not understood: %s%s\n" % (count, lines, more))
    for stream in ("stdout", "stderr"):
        found = Output(queue.database, attempt, stream)
        text = found.tail(SHOWN_BYTES)
        if found.size:
            terminal.print_text("  %s, %d bytes:\n" % (stream, found.size))
            if len(text) < found.size:
                terminal.print_text("    ... (`logs %s --attempt %s` shows all of it)\n" % (identifier, number))
            for line in system.output_text(text).splitlines():
                terminal.print_text("    %s\n" % errors.printable(line))
