"""What to record of an attempt that is over: its outcome, its end, what it left running, its output."""

from __future__ import annotations

import contextlib
import os
import time

from queuectl_lib import times
from queuectl_lib.host import processes, tree
from queuectl_lib.jobs import attempts, states
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.run import launching, output_files, run_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from queuectl_lib.run.attempt import Attempt


def ended_by_itself(attempt: Attempt, code: int) -> Outcome:
    """The command exited with *code* (negative: a signal)."""
    error, name = run_file.how_it_ended(code)
    outcome = outcome_of(attempt, states.COMPLETED if code == 0 else states.FAILED, None if code == 0 else error)
    outcome.exit_code = code if code >= 0 else 128 - code
    outcome.signal = name
    return outcome


def not_begun(attempt: Attempt) -> Outcome:
    """Its watcher ended before the command began, so the host was short of something: given back, with what of."""
    attempt.tree.let_go()
    return attempts.unstarted(attempt.claim, launching.shortage_of_watcher())


def gone(attempt: Attempt) -> Outcome:
    """An orphan that no longer runs and left no status."""
    status = attempt.status()
    if "pid" not in status:
        return attempts.unstarted(attempt.claim)
    if status.get("start", "").split()[:1] != [processes.boot_id()]:
        return outcome_of(attempt, states.LOST, "lost: the host was restarted while it ran")
    return outcome_of(attempt, states.LOST, "lost: it was killed together with its worker")


def outcome_of(attempt: Attempt, kind: str, error: Optional[str]) -> Outcome:
    """The outcome *kind* of an attempt whose own process is gone, with what it left and what it wrote."""
    outcome = Outcome(attempt.claim, kind, end_time(attempt), error)
    outcome.started = attempt.started
    if may_have_left_something(attempt, kind):
        held = attempt.queue.folder.attempt_is_held(attempt.claim.token)
        outcome.leftovers = attempt.tree.description() or ("unknown processes" if held else None)
    attempt.tree.let_go()
    stays = bool(outcome.leftovers)
    outcome.erased = " and ".join(sorted(attempt.output.erased, reverse=True)) or None
    outcome.stdout, outcome.stdout_bytes = output_files.collected(attempt.paths["out"], attempt.max_output, stays)
    outcome.stderr, outcome.stderr_bytes = output_files.collected(attempt.paths["err"], attempt.max_output, stays)
    return outcome


def end_time(attempt: Attempt) -> float:
    """Now, or for one that finished unseen when its watcher said so (seconds since 1970)."""
    if attempt.adopted and attempt.code is not None and not attempt.ending:
        with contextlib.suppress(OSError):
            return max(attempt.started, os.stat(attempt.run_path).st_mtime)
    return time.time()


def may_have_left_something(attempt: Attempt, kind: str) -> bool:
    """Whether processes of this attempt may live on.

    Before a retry that must be certain, so everything is searched. After a success
    two cheap signs will do: the lock is held, or the process group is not empty.
    """
    if tree.JOBS_OUTLIVE_WORKERS and kind != states.COMPLETED:
        return True
    return attempt.tree.seems_alive() or attempt.queue.folder.attempt_is_held(attempt.claim.token)


def sentence(outcome: Outcome) -> str:
    """What the log says of a recorded outcome behind the job's id."""
    claim, text = outcome.claim, outcome.kind if outcome.error is None else outcome.error
    if not text.startswith(outcome.kind):
        text = "%s: %s" % (outcome.kind, text)
    if outcome.started is not None:
        text += " (after %s)" % times.seconds_text(max(0.0, outcome.finished - outcome.started))
    if states.ENDINGS[outcome.kind] == "fail":
        left = claim.max_retries + 1 - claim.attempts
        text += "; retries left: %d" % left if left > 0 else "; dead, no retries left"
    return text
