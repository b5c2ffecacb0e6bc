"""`check`: what is wrong, for cron."""

from __future__ import annotations

from queuectl_lib import errors, times, values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.reports import problems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields


@frame.command(
    "check",
    frame.argument("--waiting", metavar="AGE", default="15m", help="how long a due job may wait (default 15m)"),
    frame.argument("--min-free", metavar="SIZE", default="256M", help="what the disk must have free (default 256M)"),
    frame.argument("--expect", metavar="KEY", action="append", help="a job with this unique key must complete"),
    frame.argument(
        "--every", metavar="DURATION", action="append", help="this often; one for all, or one for each --expect"
    ),
    frame.argument("--slow", action="store_true", help="tell of jobs that run unusually long, too, of each once"),
    shows=True,
)
def check(call: Call) -> int:
    options = call.options
    waiting = times.parse_duration(options.waiting, "--waiting")
    least = values.parse_size(options.min_free, "--min-free")
    expected = problems.check_expected(options.expect or [], options.every or [])
    queue = call.queue()
    try:
        with problems.problems(queue, call.now, waiting, least, expected, options.slow) as found:
            report_problems(call, found)
    except BrokenPipeError:
        return terminal.quiet_end(int(bool(found)))
    return int(bool(found))


def report_problems(call: Call, problems: Sequence[Fields]) -> None:
    """Print them to the last byte, or raise: only then do dead letters count as told."""
    text = "".join(errors.printable(problem["text"]) + "\n" for problem in problems)
    if call.options.json:
        text = terminal.json_text({"ok": not problems, "problems": problems})
    terminal.acknowledge(text, "what is wrong")
