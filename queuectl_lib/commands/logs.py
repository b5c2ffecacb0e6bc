"""`logs`: the output of a job, also while it grows."""

from __future__ import annotations

import sys
import time

from queuectl_lib import values
from queuectl_lib.commands import choosing, frame, terminal
from queuectl_lib.errors import QueueError
from queuectl_lib.store import output
from queuectl_lib.store.output import Follower

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from queuectl_lib.commands.frame import Call


@frame.command(
    "logs",
    *choosing.SELECTORS,
    frame.argument("-f", "--follow", action="store_true", help="go on until the job ends, also before it starts"),
    frame.argument("--attempt", metavar="N", help="of this attempt (default: the last one)"),
    frame.argument("--stderr", action="store_true", help="only its stderr, on stdout"),
)
def logs(call: Call) -> int:
    options = call.options
    number = None
    if options.attempt is not None:
        number = values.count_from_text(options.attempt, "--attempt", 10**9)
    targets = {"stderr": sys.stdout} if options.stderr else {"stdout": sys.stdout, "stderr": sys.stderr}
    queue = call.queue()
    several = len(options.ids) != 1 or bool(choosing.conditions(call))
    for identifier in choosing.each_id(call, queue):
        if several:
            terminal.tell("==> %s <==" % identifier)
        print_log(call, Follower(queue.database, identifier, number, list(targets)), targets)
    return 0


def print_log(call: Call, follower: Follower, targets: Dict[str, Any]) -> None:
    """Print what one job wrote, and what it goes on to write where that is asked for."""
    print_news(follower, targets)
    pause = 0.02
    while call.options.follow and not follower.ended():
        time.sleep(pause)
        pause = pause * 1.2 if pause < 0.2 else pause
        if print_news(follower, targets):
            pause = 0.02
    if follower.attempt is not None and follower.attempt["erased"]:
        terminal.tell(output.erased_words(follower.attempt["erased"]))
    if follower.number is not None and follower.attempt is None:
        raise QueueError("job %s has no attempt %d" % (follower.identifier, follower.number))


def print_news(follower: Follower, targets: Dict[str, Any]) -> bool:
    """Print what the job wrote since the last call; True if it did."""
    printed = False
    for stream, data in follower.news():
        target = targets[stream]
        printed = True
        if terminal.is_terminal(target):
            target.write(terminal.terminal_text(data))
            target.flush()
        else:
            target.flush()
            terminal.write_all(target.fileno(), data)
    return printed
