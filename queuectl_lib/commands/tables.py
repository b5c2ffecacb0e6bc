"""Jobs as rows of a table, and as one would type their commands."""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.commands import terminal
from queuectl_lib.host import system
from queuectl_lib.jobs import states
from queuectl_lib.store import looking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields


def show_jobs(call: Call, states: Sequence[str], limit: int) -> None:
    jobs, more = looking.jobs(call.queue().database, states, limit)
    if call.options.json:
        call.print_json(jobs)
    elif jobs:
        rows = []
        for job in jobs:
            attempts = "%d/%d" % (job["attempts"], job["max_retries"] + 1)
            when = time_that_matters(job, call.now)
            rows.append((job["id"], job["state"], attempts, when, command_text(job)))
        terminal.print_table(("ID", "STATE", "ATTEMPTS", "WHEN", "COMMAND"), rows, 1)
    else:
        terminal.tell("no jobs" if not states else "no jobs are %s" % " or ".join(states))
    if more:
        terminal.tell("there are more: these are the newest %d (--limit N shows more)" % limit)


def time_that_matters(job: Fields, now: float) -> str:
    """The time that matters in a job's state, seen from now."""
    if job["state"] in states.WAITING:
        due = times.utc_seconds(job["next_run_at"])
        return "due in " + times.age_text(due - now) if due > now + 1 else "due"
    if job["state"] == "processing":
        return "for " + times.age_text(now - times.utc_seconds(job["started_at"]))
    return times.age_text(now - times.utc_seconds(job["finished_at"])) + " ago"


def command_text(job: Fields) -> str:
    """The command as one would type it."""
    if isinstance(job["command"], str):
        return job["command"]
    if system.WINDOWS:
        import subprocess

        return subprocess.list2cmdline(job["command"])
    import shlex  # needed only for lists

    return " ".join(shlex.quote(word) for word in job["command"])
