"""`report`: one page of HTML about the queue, with plots, for a browser; made for cron, and to be sent."""

from __future__ import annotations

import os
import sys

from queuectl_lib import errors, times, values
from queuectl_lib.commands import frame, terminal, why
from queuectl_lib.errors import BadInput, HostError, QueueError
from queuectl_lib.host import files, new_files, system
from queuectl_lib.reports import page, seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.commands.frame import Call

LEAST_SECONDS, LEAST_REFRESH = 60.0, 5.0
TITLE_CHARACTERS = 200


@frame.command(
    "report",
    frame.argument("-o", "--output", metavar="FILE", help="write it there, private, in the place of an older one"),
    frame.argument("--since", metavar="AGE", default="24h", help="how far back it looks (default 24h)"),
    frame.argument("--title", metavar="T", help="what stands above it (default: the name of this host)"),
    frame.argument("--refresh", metavar="AGE", help="let browsers load it again so often: 60, 5m"),
    frame.argument(
        "--share", action="store_true", help="for others: without commands, output and environment; readable by all"
    ),
    shows=True,
)
def report(call: Call) -> int:
    options = call.options
    length = times.parse_duration(options.since, "--since")
    if length < LEAST_SECONDS:
        raise BadInput("--since: %s is too short: give 60s or more" % errors.shown(options.since))
    wishes = page.Wishes(title_of(call), refresh_of(call), options.share)
    if options.output is None:
        refuse_without_file(call)
    else:
        refuse_file(call, options.output)
    queue = call.queue()
    found = seen.Seen(queue, call.now - length, call.now)
    words = why.program_words(call)
    lines = [why.line_of(words, what) for what in found.answer["next"]]
    text = page.of(found, wishes, lines).encode("utf-8")
    if options.output is None:
        print_page(text)
        return 0
    new_files.write(options.output, [text], replaces=True, mode=0o644 if options.share else None)
    call.facts = {
        "path": options.output,
        "bytes": len(text),
        "since": times.utc_text(found.since),
        "until": times.utc_text(found.now),
        "attempts": found.ended(),
        "looked_at": len(found.detail.attempts),
    }
    return 0


def title_of(call: Call) -> str:
    given = call.options.title
    if given is None:
        return "queuectl" if call.options.share else "queuectl on %s" % system.hostname()
    title = values.check_text(given, "--title")
    if not title.strip() or len(title) > TITLE_CHARACTERS:
        raise BadInput("--title: give 1 to %d characters" % TITLE_CHARACTERS)
    return title


def refresh_of(call: Call) -> Optional[int]:
    given = call.options.refresh
    if given is None:
        return None
    seconds = times.parse_duration(given, "--refresh")
    if seconds < LEAST_REFRESH or seconds > times.SECONDS_LIMIT / 100:
        raise BadInput("--refresh: %s is not between 5s and a year" % errors.shown(given))
    return int(seconds)


def refuse_without_file(call: Call) -> None:
    """Raise BadInput where the page would go to a terminal, or be mixed with JSON."""
    if call.options.json:
        raise BadInput("--json tells of the file that was written: give it, too (-o FILE)", "bad_usage")
    if terminal.is_terminal(sys.stdout):
        text = "the report is a page for a browser: `%s report -o report.html` writes it to a file"
        raise BadInput(text % frame.PROGRAM, "bad_usage", "report -o report.html")


def refuse_file(call: Call, path: str) -> None:
    """Raise QueueError where something else than an older report has that name; nothing of it is lost."""
    values.check_text(path, "-o")
    if not path or path.endswith(("/", os.sep)):
        raise BadInput("-o: %s is not the name of a file" % errors.shown(path))
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise BadInput("-o: there is no folder %s: make it first" % errors.shown(folder))
    if files.is_irregular(path):
        raise QueueError("-o: %s is no file, or a link: give the name of a file" % errors.shown(path))
    if files.is_there(path) and not is_report(path):
        text = "-o: %s is there, and is no report: give another name, or remove it first"
        raise QueueError(text % errors.shown(path), "exists")


def is_report(path: str) -> bool:
    """True for a file that begins as our pages do, or is empty. Raises HostError."""
    with files.refusals_told(path), os.fdopen(files.open_private(path, os.O_RDONLY), "rb") as file:
        return file.read(len(page.BEGIN)) in (b"", page.BEGIN.encode())


def print_page(text: bytes) -> None:
    """The page, as it is whatever the locale. Raises HostError where it cannot be written."""
    try:
        sys.stdout.flush()
        terminal.write_all(sys.stdout.fileno(), text)
    except OSError as error:
        if not terminal.is_closed_pipe(error):
            raise HostError("the report could not be printed: %s" % error.strerror, files.full_or_not(error)) from None
        terminal.quiet_end(0)
