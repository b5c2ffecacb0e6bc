"""`say`: what a job says of itself, from within it: snooze, dead, ok, signature, progress, result, extend."""

from __future__ import annotations

import os

from queuectl_lib import errors, values
from queuectl_lib.commands import frame
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.host import files
from queuectl_lib.jobs import verdicts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call

USAGE = {
    "snooze": "snooze DURATION [WHY], from 1s to 30d",
    "dead": "dead [WHY]",
    "ok": "ok",
    "signature": "signature WORD, up to 64 letters, digits and . _ : @ / -",
    "progress": "progress PERCENT [TEXT], from 0 to 100",
    "result": "result TEXT",
    "extend": "extend DURATION",
}


@frame.command("say", frame.argument("words", metavar="WORD", nargs="*", help="; ".join(USAGE.values())), shows=True)
def say(call: Call) -> int:
    line = checked_line(" ".join(call.options.words + (call.words or [])))
    path = os.environ.get("QUEUECTL_CONTROL")
    if not path or not os.path.isabs(path):
        raise QueueError("`say` works only within a job: QUEUECTL_CONTROL is not set here")
    with files.refusals_told(path):
        fd = files.open_appending(path)
        try:
            before = b"\n" if os.fstat(fd).st_size else b""  # the last line may have been left without its end
            os.write(fd, before + line.encode("utf-8") + b"\n")
        finally:
            os.close(fd)
    call.facts = {"said": line}
    return 0


def checked_line(line: str) -> str:
    """*line* where a worker would understand it. Raises BadInput."""
    values.check_text(line, "say")
    word, _, rest = line.partition(" ")
    if word not in USAGE:
        raise errors.unknown_name("word", word, list(USAGE)) if word else BadInput("say what? %s" % ", ".join(USAGE))
    if "\n" in line or "\r" in line:
        raise BadInput("%s: one line is expected" % word)
    if values.utf8_bytes(rest) > verdicts.RESULT_BYTES:
        raise BadInput("%s: longer than %d bytes" % (word, verdicts.RESULT_BYTES))
    if not verdicts.Said().hear(line):
        raise BadInput("%s is not understood: %s" % (errors.shown(line), USAGE[word]))
    return line
