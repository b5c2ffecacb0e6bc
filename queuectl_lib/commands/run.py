"""`run`: one command enqueued, its output followed, and its exit code ours; Ctrl+C leaves the job alone.

On a terminal it says what becomes of the job. Elsewhere exactly the bytes of the job come, on its stdout and stderr,
and beside them only that nobody works, or how it ended where it has no exit code.
"""

from __future__ import annotations

import json
import re
import sys
import time

from queuectl_lib import errors
from queuectl_lib.commands import add, frame, logs, logs_words, terminal
from queuectl_lib.errors import BadInput, HostError, Interrupted, QueueError
from queuectl_lib.host import files, interrupts, system
from queuectl_lib.jobs import fields, states
from queuectl_lib.jobs.ids import Holder
from queuectl_lib.store import output, showing
from queuectl_lib.store.output import Follower

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields
    from storage import Queue

NO_CODE = 125  # of a job that has no exit code: cancelled before it ran, deleted meanwhile; as timeout(1) and env(1)
CANNOT_START = ((" was not found on PATH", 127), (" is not executable", 126))  # as a shell has it (run/launching)
CLOSED_PIPE = 141  # 128 and SIGPIPE: what a shell says of a program whose reader has gone
PATIENCE = 1.0  # seconds: who waits for less need not be told why

QUIET = frame.argument("--quiet", action="store_true", help="say nothing beside the output of the job")
ATTACH = frame.argument(
    "--attach", action="store_true", help="with --id: where a job with this id and command is there, follow that one"
)
OPTIONS = [QUIET if one[0][0] == "--quiet" else one for one in add.JOB_ARGUMENTS]


@frame.command(
    "run",
    frame.argument("command", nargs="?", help="the command line for the shell; - reads it from standard input"),
    *OPTIONS,
    *[one for one in add.OF_ONE_JOB if one[0][0] != "--wait"],
    ATTACH,
    shows=True,
)
def run(call: Call) -> int:
    options = call.options
    line = "`run %s`" % ("-- echo hello" if options.command else '"echo hello"')
    nothing = options.command is None and call.words is None
    command = add.command_of(call, line + "; `worker start` runs what waits" * nothing)
    if options.attach and options.id is None:
        raise BadInput("--attach goes with --id ID: it is the job to come back to")
    asked = add.Asked(call, command)
    queue = call.queue()
    identifier, is_new = taken_up(call, queue, asked)
    try:
        with interrupts.raised():
            return followed(call, queue, asked, identifier, is_new)
    except KeyboardInterrupt as stopped:
        raise left_alone(identifier, options.id is not None, getattr(stopped, "number", 2)) from None
    except HostError as error:
        raise goes_on(str(error), identifier, error.code) from error
    except OSError as error:
        what = "its output cannot be printed: %s" % (error.strerror or error)
        raise goes_on(what, identifier, files.full_or_not(error)) from error


def followed(call: Call, queue: Queue, asked: add.Asked, identifier: str, is_new: bool) -> int:
    """Say which job it is, print what it writes until it is final, and with --json all of it then; its exit code."""
    options = call.options
    follower = Follower(queue.database, identifier, None, [] if options.json else ["stdout", "stderr"])
    follower.of_all = is_new
    words = Words(queue, follower, options.quiet, options.json)
    asked.tell_what_came()
    words.begin(is_new)
    asked.tell_a_person(queue, identifier)
    code = follow(follower, words)
    if options.json:
        job = showing.job(queue.database, identifier)
        call.print_json(output.with_output(queue.database, job, output.JSON_BYTES))
    return code


# ---------------------------------------------------------------- the job


def taken_up(call: Call, queue: Queue, asked: add.Asked) -> Tuple[str, bool]:
    """The id of the job to follow, which is added where it is not there; and whether that was done. Raises QueueError.

    The one that is there must have the command that is asked for: its output and exit code are taken for those of it.
    """
    options = call.options
    if options.attach:
        there = job_there(queue, options.id)
        if there:
            refuse_other_command(there, asked, "id")
            return options.id, False
    try:
        identifier = asked.enqueue(queue)
    except QueueError as error:
        if error.code != "exists":
            raise
        if not options.attach:
            raise QueueError("%s; with --attach it is followed" % error, error.code) from None
        refuse_other_command(showing.job(queue.database, options.id), asked, "id")  # added by another meanwhile
        return options.id, False
    if not isinstance(identifier, Holder):
        return identifier, True
    refuse_other_command(showing.job(queue.database, identifier), asked, "key")
    if not options.quiet:
        add.tell_holder(identifier, True)
    return identifier, False


def job_there(queue: Queue, identifier: str) -> Fields:
    """The job with this id; nothing where there is none. Raises HostError."""
    try:
        return showing.job(queue.database, identifier)
    except errors.NoSuchJob:
        return {}


def refuse_other_command(job: Fields, asked: add.Asked, what: str) -> None:
    """Raise QueueError where the *job* that has the same id, or key (*what*), runs another command."""
    text, is_list = asked.row[1:3]
    if job["command"] == (json.loads(text) if is_list else text):
        return
    there = errors.shown(fields.shown(system.typed, job["command"]))
    said = "job %s, which has this %s, runs another command, %s: nothing was added" % (job["id"], what, there)
    if what == "key":
        raise QueueError(said, "key_held")
    raise QueueError(said, "exists")


# ---------------------------------------------------------------- its output


class Words(logs_words.Words):
    """What is said beside the output: to a person at a terminal; to others only that nobody works."""

    def __init__(self, queue: Queue, follower: Follower, is_quiet: bool, is_json: bool) -> None:
        super().__init__(queue, follower, True, True, False)
        self.is_quiet = is_quiet
        self.speaks = terminal.is_terminal(sys.stderr) and not (is_quiet or is_json)
        self.began = time.monotonic()

    def tell(self, text: str) -> None:
        if self.speaks:
            terminal.tell(text)

    def begin(self, is_new: bool) -> None:
        """Say which job it is."""
        self.tell("%s %s; Ctrl+C leaves it alone" % (self.job, "was added" if is_new else "is there already"))

    def nobody_works(self, text: str) -> None:
        if not self.is_quiet:
            terminal.tell(text)

    def has_not_run(self) -> None:
        if self.speaks and time.monotonic() > self.began + PATIENCE:
            self.waits = True
            terminal.tell(self.why_not_yet())


def follow(follower: Follower, words: Words) -> int:
    """Print what the job writes until it is final; its exit code. Raises QueueError where it is deleted meanwhile."""
    targets: Dict[str, Any] = {"stdout": sys.stdout, "stderr": sys.stderr}
    pause = 0.02
    try:
        while True:
            wrote = logs.print_news(follower, targets)
            if follower.ended():
                break
            words.meanwhile()
            time.sleep(pause)
            pause = 0.02 if wrote else min(0.25, pause * 1.2)
    except errors.NoSuchJob:
        gone = QueueError("job %s was deleted before it was seen to end" % follower.identifier)
        gone.exit_code = NO_CODE
        raise gone from None
    except OSError as error:
        if not terminal.is_closed_pipe(error):
            raise
        terminal.give_up(sys.stdout)
        text = "nobody reads the output any more; job %s goes on: `logs -f %s` follows it"
        words.nobody_works(text % (follower.identifier, follower.identifier))
        return CLOSED_PIPE
    return end(follower, words)


def end(follower: Follower, words: Words) -> int:
    """Say how the job ended; its exit code."""
    job, attempt = follower.job, follower.attempt
    if attempt is not None and attempt["erased"]:
        words.tell(output.erased_words(attempt["erased"]))
    has_code = attempt is not None and (type(attempt["exit_code"]) is int or attempt["signal"] is not None)
    if words.speaks or not (has_code or words.is_quiet):
        words.has_ended()
    code = logs_words.exit_code_of(job, attempt, NO_CODE)
    if job["state"] == states.COMPLETED:
        return code if has_code else 0
    if attempt is not None and not has_code:
        return code_of_start(str(attempt["error"]))
    return code or NO_CODE


def code_of_start(error: str) -> int:
    """What a shell would have ended with where a program could not be started (run/launching)."""
    if re.search(r"the program .* does not exist\Z", error, re.S):
        return 127
    return next((number for how, number in CANNOT_START if error.endswith(how)), NO_CODE)


def goes_on(what: str, identifier: str, code: str) -> HostError:
    """What is said where the host ends the call, and the job goes on."""
    return HostError("%s; job %s goes on: `logs -f %s` follows it" % (what, identifier, identifier), code)


def left_alone(identifier: str, is_given: bool, number: int) -> Interrupted:
    """What is said where the signal *number* ends the call, and the job goes on."""
    again = "--attach" if is_given else "--attach --id %s" % identifier
    text = "interrupted; job %s goes on: `logs -f %s` follows it, as the same call with %s does; `cancel %s` ends it"
    error = Interrupted(text % (identifier, identifier, again, identifier))
    error.exit_code = 128 + number
    return error
