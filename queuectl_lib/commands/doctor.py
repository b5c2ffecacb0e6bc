"""`doctor`: whether this host can run the queue; and whether a launcher can do what the queue's promises need."""

from __future__ import annotations

import os
import time

from queuectl_lib import errors
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.host import bundle, loading, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.doctor.probes import Finding


@frame.command(
    "doctor",
    frame.argument(
        "--launcher",
        metavar="NAME",
        help="try this launcher of config.json on its engine instead, with short jobs that it starts from here",
    ),
    frame.argument(
        "--launcher-args",
        metavar="WORDS",
        help='what those jobs add to its words, such as "--mem=1G -ptest"; one beginning with - as --launcher-args=-p',
    ),
    shows=True,
    judges=True,
)
def doctor(call: Call) -> int:
    if call.options.launcher is not None:
        return try_launcher(call)
    if call.options.launcher_args is not None:
        raise BadInput("--launcher-args goes with --launcher NAME")
    from queuectl_lib.doctor import course  # with the worker and all that it stands on

    findings: Any = course.examine(call.home, call.config, call.way, bundle.SCRIPT, loading.LIBRARY)
    return tell(call, findings, "this host can run the queue", "this host cannot run the queue yet", "unfit_host")


def try_launcher(call: Call) -> int:
    """The far jobs of the trial start in the directory where we are, as a job that is added here would."""
    from queuectl_lib.doctor import launcher_trial
    from queuectl_lib.jobs import launcher_words, launchers

    name = call.options.launcher
    if system.WINDOWS:
        raise BadInput("--launcher: Windows starts no job by a launcher")
    call.way.refuse_untrusted(call.home, (), "choose a home of your own")
    call.way.refuse_untrusted_file(call.config.path)
    settings = call.config()
    launchers.refuse_unknown(name, settings.launchers, "--launcher")
    arguments = launcher_words.args_of(call.options.launcher_args or "", "--launcher-args")
    launcher = launchers.named(settings.launchers, name)
    good = "launcher %s does what a job needs" % name
    with launcher_trial.LauncherTrial(launcher, os.getcwd(), arguments, settings.grace) as trial:
        return tell(call, trial.findings(), good, "launcher %s is not fit for jobs yet" % name, "unfit_launcher")


def tell(call: Call, findings: Any, good: str, bad: str, code: str) -> int:
    """Say what is found as it is found, at last what that comes to. Raises QueueError where something failed."""
    began = time.monotonic()
    found: List[Finding] = []
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
        raise QueueError("%s: %s" % (bad, ", ".join(failed)), code)
    if not call.options.json:
        terminal.print_text("%s (%.1f s)\n" % (good, time.monotonic() - began))
    return 0


def print_finding(finding: Finding) -> None:
    word, state = {True: ("ok", "completed"), False: ("FAIL", "dead"), None: ("note", "failed")}[finding.ok]
    text = finding.text + (": " + finding.advice if finding.advice else "")
    terminal.print_text(
        "%s%-13s%s\n" % (terminal.coloured("%-6s" % word, state), finding.name, errors.printable(text)), flush=True
    )
