"""`check`: what is wrong, for cron."""

from __future__ import annotations

import sys

from queuectl_lib import errors, times, values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.reports import problems
from queuectl_lib.store import health

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Sequence, Tuple

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields
    from storage import Queue


@frame.command(
    "check",
    frame.argument("--waiting", metavar="AGE", default="15m", help="how long a due job may wait (default 15m)"),
    frame.argument("--min-free", metavar="SIZE", default="256M", help="what the disk must have free (default 256M)"),
    frame.argument("--expect", metavar="KEY", action="append", help="a job with this unique key must complete"),
    frame.argument(
        "--every", metavar="DURATION", action="append", help="this often; one for all, or one for each --expect"
    ),
    frame.argument("--slow", action="store_true", help="tell of jobs that run unusually long, too, of each once"),
    frame.argument(
        "--all", action="store_true", help="tell all that is wrong, not only what is new or over; a death is told once"
    ),
    shows=True,
)
def check(call: Call) -> int:
    options = call.options
    waiting = times.parse_duration(options.waiting, "--waiting")
    least = values.parse_size(options.min_free, "--min-free")
    expected = problems.check_expected(options.expect or [], options.every or [])
    queue = call.queue()
    troubles: Sequence[Fields] = problems.gone(call.home, queue)
    if troubles:  # then nothing can be kept of what was told: it is told each time
        report_problems(call, troubles)
        return 1
    try:
        with problems.problems(queue, call.now, waiting, least, expected, options.slow) as found:
            troubles = found
            if options.json or options.all or terminal.is_terminal(sys.stdout):
                report_problems(call, found)
            elif found or health.any_trouble_told(queue.database):
                troubles = report_news(call, queue, found, (waiting, least, expected))
    except BrokenPipeError:
        return terminal.quiet_end(int(bool(troubles)))
    return int(bool(troubles))


def report_problems(call: Call, found: Sequence[Fields]) -> None:
    """Print them to the last byte, or raise: only then do dead letters count as told."""
    if call.options.json:
        terminal.acknowledge(terminal.json_text({"ok": not found, "problems": found}), "what is wrong")
    else:
        print_lines([line for one in found for line in lines_of(one)])


def report_news(call: Call, queue: Queue, found: Sequence[Fields], limits: Tuple[Any, ...]) -> Sequence[Fields]:
    """Print what nobody was told of within a day, and what is over; which of those *found* are troubles by now."""
    from queuectl_lib.reports import lasting  # which a queue that is well needs not

    asked = lasting.Asked(*limits)
    found = asked.settled(queue, found, call.now)
    with lasting.untold(queue, found, asked, call.now) as texts:
        once = [line for one in found if one["kind"] not in lasting.KINDS for line in lines_of(one)]
        print_lines([*texts, *once])
    return found


def lines_of(found: Fields) -> List[str]:
    if found["kind"] != "dead":
        return [found["text"]]
    from queuectl_lib.reports import deaths  # which only they need

    return deaths.lines_of(found)


def print_lines(lines: Sequence[str]) -> None:
    terminal.acknowledge("".join(errors.printable(line) + "\n" for line in lines), "what is wrong")
