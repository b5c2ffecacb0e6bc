"""What `top` has on its screen, for programs: one look, with the keys of `status` where it is the same. Pure."""

from __future__ import annotations

from queuectl_lib import times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from queuectl_lib.commands.top_view import Section
    from queuectl_lib.values import Fields

RUNNING = ("id", "name", "command", "worker", "started_at", "seconds")
FAILURES = ("id", "state", "failed_at", "next_run_at", "exit_code", "command")
NEXT = ("id", "state", "command")
ENDS = ("id", "state", "started_at", "finished_at", "seconds", "exit_code", "command")


def value(facts: Fields, sections: Sequence[Section]) -> Fields:
    """One object: the counts, who works at which pace, what is wrong, and the jobs of each section that are shown."""
    shown = {one.name: one.shown() for one in sections}
    late, stuck = facts["lately"], facts["stuck"]
    found: Fields = dict(facts["counts"], at=times.utc_text(facts["at"]), database=facts["database"])
    found.update(workers=facts["workers"], slots=facts["slots"], eta_seconds=facts["left"])
    found.update(ended_in_a_minute=late["ended"], failed_in_a_minute=late["failed"])
    found["stuck"] = {"sentence": stuck["sentence"], "next": stuck["lines"]} if stuck else None
    found["running"] = [running(job) for job in shown.get("running", ())]
    found["failures"] = [dict(some(job, FAILURES), reason=job.get("says", "-")) for job in shown.get("failures", ())]
    found["next"] = [dict(some(job, NEXT), due_at=job["next_run_at"]) for job in shown.get("next", ())]
    found["ends"] = [dict(some(job, ENDS), verdict=job["verdict"]) for job in shown.get("ends", ())]
    return found


def some(job: Fields, keys: Sequence[str]) -> Fields:
    return {key: job[key] for key in keys}


def running(job: Fields) -> Fields:
    found = dict(some(job, RUNNING), usual_seconds=job["median"], p95_seconds=job["p95"], is_long=job["is_long"])
    return dict(found, progress=job.get("progress"), last_line=job.get("line") or None)
