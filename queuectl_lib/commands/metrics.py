"""`metrics`: the queue for Prometheus, on stdout or as a file for the textfile collector of node_exporter."""

from __future__ import annotations

import os
import sys

from queuectl_lib import errors, values
from queuectl_lib.commands import frame, output_file, terminal
from queuectl_lib.errors import BadInput, HostError
from queuectl_lib.reports import metrics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.commands.frame import Call

ENDING = ".prom"
READABLE = 0o644  # whatever the umask: node_exporter is another user
MOST_KINDS = 1000
LABEL_CHARACTERS = 200


@frame.command(
    "metrics",
    frame.argument("-o", "--output", metavar="FILE", help="write it there, whole, for all to read; its name: *.prom"),
    frame.argument("--label", metavar="NAME", help="the label `queue` of all metrics (default: the home)"),
    frame.argument("--kinds", metavar="N", help="also how long the N named kinds that ran most take"),
    shows=True,
)
def print_metrics(call: Call) -> int:
    options = call.options
    if options.output is not None:
        check_name(options.output)
        if options.json:
            raise BadInput("--json and -o contradict each other: node_exporter reads no JSON")
    label = os.path.normpath(call.home) if options.label is None else checked_label(options.label)
    kinds = 0 if options.kinds is None else values.count_from_text(options.kinds, "--kinds", MOST_KINDS)
    trouble: Optional[HostError] = None
    try:
        samples = metrics.measure(call.queue().database, kinds, call.now)
        text = metrics.text(samples, label)
    except HostError as error:
        if options.json:
            raise
        text, trouble = metrics.unreadable(label), error
    if options.json:
        call.print_json(metrics.values(samples, label))
        return 0
    if options.output is not None:
        output_file.write(options.output, [text.encode("utf-8")], [b"# HELP queuectl_"], "file of metrics", READABLE)
    else:
        show(text)
    if trouble:
        raise trouble
    return 0


def check_name(path: str) -> None:
    """Raise BadInput where the collector would not see the file."""
    output_file.check(path)
    if not path.endswith(ENDING) or os.path.basename(path) == ENDING:
        text = "-o: %s: node_exporter reads only files whose names end in %s: name it queuectl%s"
        raise BadInput(text % (errors.shown(path), ENDING, ENDING))


def checked_label(text: str) -> str:
    """Raises BadInput."""
    if not values.check_text(text, "--label") or len(text) > LABEL_CHARACTERS:
        raise BadInput("--label: give 1 to %d characters" % LABEL_CHARACTERS)
    return text


def show(text: str) -> None:
    """On a terminal nothing in it acts; elsewhere it is UTF-8, whatever the surroundings say."""
    if terminal.is_terminal(sys.stdout):
        terminal.print_text("".join(errors.printable(line) + "\n" for line in text.split("\n")[:-1]))
        return
    try:
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.flush()
    except OSError as error:
        if not terminal.is_closed_pipe(error):
            raise
        terminal.quiet_end(0)
