"""Recurring schedules: what one may ask for, checked, and as JSON; when they are due is computed in jobs/due_slots."""

from __future__ import annotations

import json
import re

from queuectl_lib import errors, times, values
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import checks, fields, recurrence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Tuple

    from queuectl_lib.jobs.making import JobMaker
    from queuectl_lib.values import Fields

MOST = 10000  # schedules of a queue
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}\Z"
MISSED = ("once", "skip", "all")
MISSED_MOST, MISSED_LIMIT = 10, 1000  # of the slots that "all" makes up for: where none is said, and at most
OVERLAP = ("skip", "queue", "allow")
KEYS = ("name", "when", "tz", "missed", "missed_most", "overlap", "start", "end", "paused", "job")
# What queuectl itself sets: it is shown, accepted in input, and ignored there.
OWN_KEYS = ("next_at", "last_slot", "last_job", "last_outcome", "outcome_at", "failures", "made", "skipped", "trouble")
TIMES = ("start", "end", "next_at", "last_slot", "outcome_at")
OF_ONE_JOB = ("id", "run_at", "delay") + fields.EDGE_KEYS  # keys of a job that none of a schedule's can have
JOB_KEYS = tuple(key for key in fields.JOB_KEYS if key not in OF_ONE_JOB)
ASKED = ("timing", "zone", "job", "missed", "missed_most", "overlap", "starts_at", "ends_at")  # columns, as checked


def check_name(value: object) -> str:
    """*value* when it can be the name of a schedule. Raises BadInput."""
    if isinstance(value, str) and re.match(NAME, value):
        return value
    text = "name: %s is not a name: up to 64 letters, digits and _ . : -, the first a letter, digit or _"
    raise BadInput(text % errors.shown(value))


def lock_of(name: str) -> str:
    """The lock that all jobs of a schedule carry whose runs stand in line."""
    return "schedule:" + name


def of_schedule(asked: object, maker: JobMaker) -> Fields:
    """The columns of ASKED, and name and paused (None where it is not said), of what JSON keys *asked* for.

    Raises BadInput; HostError for a zone that cannot be had here.
    """
    if not isinstance(asked, dict):
        raise BadInput('a schedule is an object such as {"name": "backup", "when": "17 3 * * *", "job": {...}}')
    unknown = set(asked) - set(KEYS) - set(OWN_KEYS)
    if unknown:
        raise errors.unknown_name("key", min(unknown), KEYS)
    get = asked.get
    name = check_name(get("name"))
    start, end = moment(get("start"), "start"), moment(get("end"), "end")
    if start is not None and end is not None and end < start:
        raise BadInput("end: %s is before the start" % errors.shown(get("end")))
    timing = recurrence.parse(get("when"), "local" if get("tz") is None else get("tz"), start or maker.now)
    missed, most = check_missed(get("missed"), get("missed_most"))
    overlap = one_of(OVERLAP, "overlap", get("overlap"), "queue" if missed == "all" else "skip")
    if missed == "all" and overlap == "skip":
        raise BadInput("overlap: skip would leave out all but one of the slots that missed: all makes up for")
    paused = get("paused")
    return {
        "name": name,
        "timing": timing.text,
        "zone": timing.zone.name,
        "job": job_text(get("job"), maker, overlap),
        "missed": missed,
        "missed_most": most,
        "overlap": overlap,
        "starts_at": None if start is None else times.utc_text(start),
        "ends_at": None if end is None else times.utc_text(end),
        "paused": None if paused is None else bool(checks.check_flag("paused")(paused)),
    }


def moment(value: object, name: str) -> Optional[float]:
    return None if value is None else times.parse_time(value, name)


def one_of(known: Tuple[str, ...], name: str, value: object, default: str) -> str:
    if value is None:
        return default
    if value not in known:
        raise errors.unknown_name("word for " + name, value, known)
    return str(value)


def check_missed(value: object, most: object) -> Tuple[str, Optional[int]]:
    """What becomes of missed slots: a word of MISSED, of which all may have a number behind it; and that number."""
    word, colon, number = str(value).partition(":") if isinstance(value, str) else (value, "", "")
    if colon and word == "all":
        value, most = word, values.whole_number(number, "missed")
    missed = one_of(MISSED, "missed", value, MISSED[0])
    if missed != "all":
        return missed, None
    return missed, MISSED_MOST if most is None else values.check_integer(most, "missed_most", 1, MISSED_LIMIT)


def job_text(job: object, maker: JobMaker, overlap: str) -> str:
    """The job of a schedule as it is kept: JSON as for `enqueue`, with all that an `add` would take from its call."""
    if not isinstance(job, dict):
        raise BadInput('job: an object such as {"command": "true"} is expected')
    for key in OF_ONE_JOB:
        if job.get(key) and key in fields.EDGE_KEYS:
            raise BadInput("job: %s: what a schedule makes comes after no other job: leave it out" % key)
        if job.get(key) is not None and key not in fields.EDGE_KEYS:
            raise BadInput("job: %s is what a schedule gives each of its jobs: leave it out" % key)
    if overlap == "queue" and job.get("lock") is not None:
        raise BadInput("lock: with overlap: queue its jobs have a lock of their own, which keeps them in line")
    row = dict(zip(fields.INSERT_COLUMNS.split(", "), maker.row(job)))
    found = {key: job[key] for key in JOB_KEYS if job.get(key) is not None}
    found.update(max_retries=row["max_retries"], cwd=row["cwd"])
    if row["umask"] is not None:
        found["umask"] = "%04o" % row["umask"]
    return json.dumps({key: found[key] for key in JOB_KEYS if key in found}, ensure_ascii=False)


# Column and how it is read for the key of JSON.
SOURCES = {"when": "timing", "tz": "zone", "start": "starts_at", "end": "ends_at", "paused": "paused_at"}
READ: Tuple[Tuple[str, Callable[[Any], object]], ...] = (
    ("job", lambda text: json.loads(text)),
    ("paused", lambda since: since is not None),
)


def as_json(row: Fields) -> Fields:
    """A schedule as the outside sees it, from its row; what cannot be read, as it stands."""
    found = {key: row[SOURCES.get(key, key)] for key in KEYS + OWN_KEYS}
    for key, read in READ:
        try:
            found[key] = read(found[key])
        except (ValueError, TypeError, RecursionError):
            pass
    return found
