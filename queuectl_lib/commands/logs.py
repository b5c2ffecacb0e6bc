"""`logs`: the output of a job, also while it grows."""

from __future__ import annotations

import sys
import time

from queuectl_lib import values
from queuectl_lib.commands import choosing, frame, terminal
from queuectl_lib.errors import BadInput, HostError, NoDatabase, QueueError
from queuectl_lib.store import output
from queuectl_lib.store.output import Follower

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.commands.logs_words import Words
    from storage import Queue


@frame.command(
    "logs",
    *choosing.SELECTORS,
    frame.argument("-f", "--follow", action="store_true", help="go on until the job ends, also before it starts"),
    frame.argument("--attempt", metavar="N", help="of this attempt (default: the last one)"),
    frame.argument("-n", "--lines", metavar="N", help="only the last N lines of each stream"),
    frame.argument("--stderr", action="store_true", help="only its stderr, on stdout"),
    frame.argument("--exit-code", action="store_true", help="with --follow: exit with the code of the job"),
    shows=True,
)
def logs(call: Call) -> int:
    options = call.options
    number = lines = None
    if options.attempt is not None:
        number = values.count_from_text(options.attempt, "--attempt", 10**9)
    if options.lines is not None:
        lines = values.check_integer(values.whole_number(options.lines, "--lines"), "--lines", 0, 10**9)
    if options.json:
        from queuectl_lib.commands import results  # which people need not

        return results.show_logs(call, number)
    targets = {"stderr": sys.stdout} if options.stderr else {"stdout": sys.stdout, "stderr": sys.stderr}
    queue = call.queue()
    several = bool(choosing.is_given(call)) and (len(options.ids) != 1 or bool(choosing.conditions(call)))
    if options.exit_code and (several or not options.follow):
        raise BadInput("--exit-code goes with --follow, of one job: give its id")
    code = 0
    for identifier in meant(call, queue):
        if several:
            terminal.tell("==> %s <==" % identifier)
        follower = Follower(queue.database, identifier, number, list(targets))
        follower.lines = lines
        code = print_log(call, queue, follower, targets)
    return code if options.exit_code else 0


def meant(call: Call, queue: Queue) -> Iterator[str]:
    """The ids of the jobs that the call means; on a terminal the one that runs, where it names none."""
    if choosing.is_given(call) or not terminal.is_terminal(sys.stdout):
        return choosing.each_id(call, queue)
    from queuectl_lib.store import looking  # which few calls need

    running = []
    try:
        running = [job["id"] for job in looking.processing(queue.database)]
    except NoDatabase:
        pass
    if len(running) != 1:
        more = ", ..." if len(running) > 5 else ""
        which = "%d jobs run (%s%s)" % (len(running), ", ".join(running[:5]), more) if running else "no job runs now"
        raise BadInput("%s: name jobs, or --tag, --group ..., or --all" % which)
    return iter(running)


def print_log(call: Call, queue: Queue, follower: Follower, targets: Dict[str, Any]) -> int:
    """Print what one job wrote, and what it goes on to write where that is asked for; the exit code of that."""
    from queuectl_lib.commands import logs_words

    options = call.options
    words = logs_words.Words(queue, follower, bool(options.follow), len(options.ids) == 1, len(targets) == 1)
    try:
        wrote = print_news(follower, targets)
        follow(call, follower, targets, words)
        if follower.attempt is not None and follower.attempt["erased"]:
            terminal.tell(output.erased_words(follower.attempt["erased"]))
        if call.options.follow and (follower.number is None or follower.attempt is not None):
            words.has_ended()
    except (BadInput, HostError):
        raise
    except QueueError:
        if not (call.options.follow and follower.job):
            raise
        words.is_gone()
        return 1
    if follower.number is not None and follower.attempt is None:
        raise QueueError("job %s has no attempt %d" % (follower.identifier, follower.number), "no_such_attempt")
    if not (wrote or call.options.follow or follower.lines == 0):
        words.wrote_nothing()
    return logs_words.exit_code_of(follower.job, follower.attempt)


def follow(call: Call, follower: Follower, targets: Dict[str, Any], words: Words) -> None:
    """Print what is new until no more can come, where that is asked for."""
    pause = 0.02
    while call.options.follow and not follower.ended():
        words.meanwhile()
        time.sleep(pause)
        pause = pause * 1.2 if pause < 0.2 else pause
        if print_news(follower, targets):
            pause = 0.02


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
