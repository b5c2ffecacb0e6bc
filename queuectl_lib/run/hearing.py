"""What a running or ended attempt says of itself in its control file, heard."""

from __future__ import annotations

import time

from queuectl_lib.host import control_file
from queuectl_lib.jobs import verdicts
from queuectl_lib.jobs.verdicts import Said
from queuectl_lib.run import run_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.jobs.attempts import Outcome
    from queuectl_lib.jobs.verdicts import Verdict
    from queuectl_lib.run.attempt import Attempt

MOST_MORE = 86400.0  # seconds that an attempt can be given beyond its timeout, in all


def said(path: str) -> Said:
    """All that stands in the control file *path*, once the attempt has ended."""
    found = control_file.read(path)
    heard = verdicts.read(found.text if found else b"")
    if found and found.trouble:
        heard.ignore(found.trouble)
    return heard


def verdict(attempt: Attempt, code: int, path: str) -> Verdict:
    """How the end of *attempt* with exit *code* counts."""
    claim = attempt.claim
    how, name = run_file.how_it_ended(code)
    heard = said(path) if name is None else Said()  # one that was killed may have said before how it hoped to end
    return verdicts.verdict(code, how, heard, claim.policy, attempt.settings, claim.snoozes)


def note(outcome: Outcome, path: str) -> None:
    """Put what is kept of the control file, however the attempt has ended, into its *outcome*."""
    heard = said(path)
    outcome.spoke = True
    outcome.note = heard.note()
    outcome.said_signature = heard.signature


class Extension:
    """How far the control file of a running attempt was read, and until when it can be given time (monotonic)."""

    def __init__(self, deadline: float) -> None:
        self.latest = deadline + MOST_MORE
        self.past = 0  # bytes, to the end of the last whole line
        self.seen: Optional[tuple[float, int]] = None  # time and size of the file then


def extends(attempt: Attempt, path: str) -> bool:
    """Move the deadline where the file has grown by lines that ask for it; True where it lies ahead."""
    info, now = control_file.look(path), time.monotonic()
    if info is None or attempt.deadline is None:
        return False
    heard = extension(attempt)
    if heard.seen != (info.st_mtime, info.st_size):
        heard.seen = (info.st_mtime, info.st_size)
        found = control_file.read(path, heard.past)
        lines, newline, _ = found.text.rpartition(b"\n") if found else (b"", b"", b"")
        more = verdicts.read(lines).extend
        if found and newline:
            heard.past = found.size - (len(found.text) - len(lines) - 1)
        if more is not None:  # from when it was written, as far as that is known
            written = now - max(0.0, time.time() - info.st_mtime)
            if give_time(attempt, written + more):  # noted: whoever takes it up may find other lines by then
                run_file.add_note(attempt.run_path, "until %.6f" % attempt.deadline)
    return now < attempt.deadline


def extension(attempt: Attempt) -> Extension:
    """What is known of the control file of a running *attempt* that has a deadline."""
    attempt.heard = attempt.heard or Extension(attempt.deadline or 0.0)
    return attempt.heard


def give_time(attempt: Attempt, until: float) -> bool:
    """Move its deadline to *until* (monotonic), to no earlier time and by no more than MOST_MORE; False: it stays."""
    before = attempt.deadline or 0.0
    attempt.deadline = max(before, min(until, extension(attempt).latest))
    attempt.timeout = max(0.0, attempt.deadline - attempt.began)
    return attempt.deadline > before
