"""What keys of `top` do to a job, by the same verbs and commands as are typed: cancel, requeue, show, follow."""

from __future__ import annotations

import sys
import time

from queuectl_lib.commands import cancel, frame, logs, show, terminal
from queuectl_lib.errors import QueueError
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call

BUSY_SECONDS = 5.0  # a person waits for it
LAST_LINES = 20  # of what there is when a log is followed
ROOMS = (logs, show)  # loaded at once: later another version may stand in their place


def act(call: Call, verb: str, identifier: str) -> str:
    """Cancel or requeue a job, and what came of it. Raises QueueError where it is too late for that."""
    queue = call.queue()
    queue.database.busy_seconds = BUSY_SECONDS
    if verb == "cancel":
        [(_, token)] = queue.cancel([identifier], time.time())
        if token is None:
            return "cancelled %s" % identifier
        return "cancelling %s: %s" % (identifier, cancel.who_ends_it(queue).replace("goes on trying", "ends it"))
    kept = queue.requeue([identifier], states.RUN_AGAIN, time.time())
    left = "; left %s cancelled, whose key another holds" % terminal.jobs_text(len(kept)) if kept else ""
    return "requeued %s%s" % (identifier, left)


def look_at(call: Call, follows: bool, identifier: str) -> None:
    """Print what `show` says of a job, or what it writes until it ends or Ctrl+C is pressed."""
    name = "logs" if follows else "show"
    options = ["--follow", "--lines", str(LAST_LINES)] if follows else []
    home = [] if call.options.home is None else ["--home", call.options.home]
    terminal.tell("==> %s %s%s <==" % (name, identifier, ": Ctrl+C goes back" if follows else ""))
    try:
        command = frame.load(name)
        command.run(frame.Call(command.parse([*home, *options, identifier]), None))
    except QueueError as error:
        terminal.tell(str(error))
    except KeyboardInterrupt:
        terminal.print_text("\n")
    sys.stdout.flush()
