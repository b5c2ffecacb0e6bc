"""Why a job runs as it does, or ended: the reasons of reports/reasons for one that waits no more."""

from __future__ import annotations

import time

from queuectl_lib import errors, times
from queuectl_lib.jobs import after, states
from queuectl_lib.reports import crew, failures
from queuectl_lib.store import durations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.reports.reasons import Why
    from queuectl_lib.values import Fields


def running(asked: Why, facts: Fields) -> Fields:
    """What is known of one that runs, or is thought to."""
    job, worker = facts["job"], str(facts["job"]["worker"] or "")
    since = asked.ago(job["started_at"])
    attempt = failures.of_all(job["attempts"] if type(job["attempts"]) is int else 1, job["max_retries"])
    said = "attempt %s has been running%s" % (attempt, " for %s" % since if since else "")
    found: Fields = {"worker": crew.printed(worker), "started_at": job["started_at"]}
    logs = ("logs", "-f", str(job["id"]))
    if asked.people.is_gone(worker):
        text = "%s under worker %s, which is gone: the next worker finds out what became of it"
        start = crew.START if not asked.people.workers else None
        return dict(found, reason="unclaimed_orphan", sentence=text % (said, crew.printed(worker) or "?"), next=start)
    pid = asked.people.paused.get(worker)
    if pid:
        text = "%s under worker %s, which is paused (state T, pid %d): its end is not noticed until it goes on"
        wake = crew.wake(pid)
        return dict(found, reason="worker_paused", sentence=text % (said, crew.printed(worker), pid), next=wake)
    last = facts["attempts"][0] if facts["attempts"] else {"outcome": None, "error": None}
    if last["outcome"] == states.RUNNING and last["error"] is not None:
        return dict(found, **of_its_launcher(said, last))
    if job["cancel_requested"]:
        text = "%s; it was cancelled, and worker %s is ending it" % (said, crew.printed(worker))
        return dict(found, reason="ending", sentence=text, next=logs)
    text = "%s, under worker %s%s" % (said, crew.printed(worker), time_left(asked, job))
    usual = unusual(asked, job)
    if usual:
        return dict(found, reason="running_long", sentence=text + usual, next=logs)
    return dict(found, reason="running", sentence=text, next=logs)


def of_its_launcher(said: str, attempt: Fields) -> Fields:
    """Nothing is known of what a launcher has started, or it cannot be ended."""
    from queuectl_lib.store import launched  # which only these need

    name = str(launched.parts(attempt["launcher"])[0])
    error = crew.cut(errors.printable(str(attempt["error"])))
    text = "%s: %s; until that is known it is asked again and again, and given to nobody" % (said, error)
    type_this = ("config", "get", "launchers") if "config.json" in error else ("doctor", "--launcher", name)
    return {"reason": "launcher_unknown", "sentence": text, "launcher": crew.printed(name), "next": type_this}


def time_left(asked: Why, job: Fields) -> str:
    """How long it may run yet."""
    limit = job["timeout"] if job["timeout"] is not None else asked.timeout
    if type(limit) not in (int, float) or not times.is_time(job["started_at"]):
        return "" if limit is None else "; its timeout cannot be read"
    left = times.utc_seconds(job["started_at"]) + float(limit or 0) - asked.now
    left = max(left, given_more(asked, job))
    over = "its timeout is over"
    return "; %s in %s" % (over, times.age_text(left)) if left > 0 else "; %s, unless it has asked for more" % over


def given_more(asked: Why, job: Fields) -> float:
    """For how many seconds from now its worker has given it time beyond its timeout, as it asked; 0.0 for none."""
    from queuectl_lib.run import run_file  # which only what runs needs

    try:
        noted = run_file.read_status(asked.database.folder.attempt_path(str(job["token"]), "run")).get("until")
    except (OSError, ValueError):
        return 0.0
    return 0.0 if noted is None else float(noted) - time.monotonic()


def final(asked: Why, facts: Fields) -> Fields:
    job = facts["job"]
    if job["state"] == "dead":
        found, type_these = failures.of_dead(asked.database, facts, asked.people)
        return dict(found, next=type_these)
    ago = asked.ago(job["finished_at"])
    when = " %s ago" % ago if ago else ""
    identifier = str(job["id"])
    if job["state"] == "completed":
        number = facts["attempts"][0]["number"] if facts["attempts"] else None
        text = "completed%s" % when + (", by attempt %d" % number if type(number) is int else "")
        return {"reason": "completed", "sentence": text, "finished_at": job["finished_at"]}
    above = after.reason_of(job["reason"])
    text = "cancelled%s: %s" % (when, failures.as_words(job["last_error"]) or "a person took it out")
    found = {"reason": "cancelled", "sentence": text, "finished_at": job["finished_at"]}
    if above is None:
        return dict(found, next=[("requeue", identifier)])
    # Alone it is not put back while that one is dead or cancelled, with which it comes back by itself.
    root, comes_back = str(above["root"]), above["why"] == after.NOT_RUN and above["root_state"] != after.DELETED
    return dict(found, next=[("why", root), *([("requeue", root)] if comes_back else [])])


def unusual(asked: Why, job: Fields) -> str:
    """In which way it runs longer than its kind does; "" where it does not, or no history tells."""
    if not times.is_time(job["started_at"]):
        return ""
    from queuectl_lib.reports import history  # which only what runs needs

    shown = dict(job, command=durations.command_of(job))
    long = history.long_ones(asked.database, [shown], asked.now)
    return "; its kind usually takes %s" % history.usual_text(long[job["id"]]) if long else ""
