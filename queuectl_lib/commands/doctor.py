"""`doctor`: whether this host can run the queue."""

from __future__ import annotations

import time

from queuectl_lib import errors
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import QueueError
from queuectl_lib.host import bundle, loading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.doctor.probes import Finding


@frame.command("doctor", shows=True, judges=True)
def doctor(call: Call) -> int:
    from queuectl_lib.doctor import course  # with the worker and all that it stands on

    began, found = time.monotonic(), []
    findings: Any = course.examine(call.home, call.config, call.way, bundle.SCRIPT, loading.LIBRARY)
    try:
        for finding in findings:
            found.append(finding)
            if not call.options.json:
                print_finding(finding)
    finally:
        findings.close()  # also after Ctrl+C: the trial home goes
    failed = [finding.name for finding in found if finding.ok is False]
    if call.options.json:
        rows = [{"name": one.name, "ok": one.ok, "text": one.text, "advice": one.advice or None} for one in found]
        call.print_json({"ok": not failed, "seconds": round(time.monotonic() - began, 3), "findings": rows})
    if failed:
        raise QueueError("this host cannot run the queue yet: %s" % ", ".join(failed), "unfit_host")
    if not call.options.json:
        terminal.print_text("this host can run the queue (%.1f s)\n" % (time.monotonic() - began))
    return 0


def print_finding(finding: Finding) -> None:
    word, state = {True: ("ok", "completed"), False: ("FAIL", "dead"), None: ("note", "failed")}[finding.ok]
    text = finding.text + (": " + finding.advice if finding.advice else "")
    terminal.print_text(
        "%s%-13s%s\n" % (terminal.coloured("%-6s" % word, state), finding.name, errors.printable(text)), flush=True
    )
