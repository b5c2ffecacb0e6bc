"""One ended attempt as programs are told of it: a record of fixed keys, for `events` and for hooks."""

from __future__ import annotations

import json

from queuectl_lib import stored_times
from queuectl_lib.jobs import states
from queuectl_lib.store import durations, said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.values import Fields

MICROS = stored_times.Clock().micros


def record(row: Fields) -> Fields:
    """Of a *row* of store/ended: the keys that docs/json.md has for `events`. Times are UTC text, spans seconds.

    `state` is what that end has made of the job. What somebody has damaged is told as it stands, or None.
    """
    began, at = MICROS(row["started_at"]), MICROS(row["finished_at"])
    note, peak, cpu, outcome = row["note"], row["peak_rss"], row["cpu"], row["outcome"]
    plain = outcome == states.COMPLETED and note is None  # most are
    mark = {} if note is None else mark_of(note)
    return {
        "seq": row["ended"],
        "at": row["finished_at"],
        "id": row["id"],
        "name": row["name"],
        "kind": durations.kind_of(row) if row["id"] is not None else None,
        "attempt": row["number"],
        "outcome": outcome,
        "state": states.COMPLETED if plain else state_of(row, mark),
        "exit_code": row["exit_code"],
        "signal": row["signal"],
        "error": row["error"],
        "signature": None if plain else signature_of(row, mark),
        "duration": span(began, at),
        "waited": span(due_of(row), began) if row["number"] == 1 else None,  # when a later one was due is not kept
        "cpu": round(cpu, 6) if isinstance(cpu, float) else cpu,
        "peak_rss": None if isinstance(peak, int) and peak < 0 else peak,  # a bound, as Outcome.peak_rss has it
        "worker": row["worker"],
        "result": None if note is None else said.of_note(note).get("result"),
    }


def due_of(row: Fields) -> int:
    """From when its first attempt could begin, in microseconds since 1970; -1 where that is not known."""
    due = MICROS(row["created_at"])
    return due if row["run_at"] is None else max(due, MICROS(row["run_at"]))


def span(begin: int, end: int) -> Optional[float]:
    """Seconds between two times (microseconds); None where one is not known. A clock that went back makes it 0."""
    return None if begin < 0 or end < 0 else max(0, end - begin) / 1e6


def mark_of(note: object) -> Fields:
    """What store/aftermath has noted of an end that its outcome alone does not tell."""
    try:
        found = json.loads(note) if isinstance(note, str) else {}
    except (ValueError, RecursionError):
        return {}
    mark = found.get("end") if isinstance(found, dict) else None
    return mark if isinstance(mark, dict) else {}


def state_of(row: Fields, mark: Fields) -> Optional[str]:
    """The state that the job was in once this attempt had ended."""
    if mark.get("state") in states.STATES:
        return str(mark["state"])
    plain = states.AFTER_ENDING.get(states.ENDINGS.get(str(row["outcome"]), ""))
    if plain is not None or row["id"] is None:
        return plain
    is_last = row["number"] == row["runs"] and row["finished_at"] == row["job_finished_at"]
    return str(row["state"]) if is_last and row["state"] in states.FINAL else "failed"


def signature_of(row: Fields, mark: Fields) -> Optional[str]:
    """The group of a failure; of others there is none."""
    if isinstance(mark.get("signature"), str):
        return str(mark["signature"])
    failed = states.ENDINGS.get(str(row["outcome"])) == "fail"
    return row["signature"] if failed and row["number"] == row["runs"] and isinstance(row["signature"], str) else None
