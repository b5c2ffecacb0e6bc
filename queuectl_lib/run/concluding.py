"""What to record of an attempt that is over: its outcome, its end, what it left running, its output."""

from __future__ import annotations

import contextlib
import os
import time

from queuectl_lib import times
from queuectl_lib.errors import QueueError
from queuectl_lib.host import locks, memory_kills, processes, tree
from queuectl_lib.jobs import attempts, states
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.run import interruption, launching, run_file
from queuectl_lib.store import claiming, folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

    from queuectl_lib.jobs.attempts import Claim
    from queuectl_lib.jobs.verdicts import Verdict
    from queuectl_lib.run.attempt import Attempt
    from queuectl_lib.store.database import Database
    from queuectl_lib.store.folder import Folder


NEVER_BEGAN = "its shell was killed before the command began"
UNNOTED = "lost: its shell was %s, and no exit code was noted"


def outcome(attempt: Attempt) -> Outcome:
    """What to record of an attempt whose own process is gone. Raises HostError where the database does not answer."""
    code, kind = attempt.code, attempt.ending[0] if attempt.ending else None
    if code != 0 and kind in (None, states.TIMED_OUT) and run_file.never_began(attempt.status()):
        return orphan_not_begun(attempt) if attempt.adopted else not_begun(attempt)
    came_to_its_end = kind == states.GIVEN_BACK and code == 0 and not attempt.claim.launcher
    if attempt.ending and not came_to_its_end:
        found = outcome_of(attempt, *attempt.ending)
        found.exit_code = code if code is not None and code >= 0 else None
        return weighed(attempt, found, run_file.how_it_ended(code)[1]) if kind == states.LOST and code else found
    if code is None:
        return gone(attempt)
    if interruption.has_ended(attempt):
        return interrupted(attempt)
    return watcher_killed(attempt, code) if attempt.is_unwatched() else ended_by_itself(attempt, code)


def ended_by_itself(attempt: Attempt, code: int) -> Outcome:
    """The command exited with *code* (negative: a signal, where nothing that it has said of itself is heeded)."""
    spoke = speaks(attempt)
    verdict = judgement(attempt, code, spoke) if code >= 0 else None
    error, name = (None, None) if code == 0 else run_file.how_it_ended(code)
    if code in (126, 127):
        with contextlib.suppress(ImportError):  # newer files lie there
            from queuectl_lib.run import first_line  # which few jobs need

            error = "%s%s" % (error, first_line.why(attempt.claim))
    if verdict is None:
        found = outcome_of(attempt, states.FAILED if code else states.COMPLETED, error, spoke)
    else:
        found = outcome_of(attempt, verdict.kind, verdict.error, spoke)
        found.is_last, found.delay = verdict.is_last, verdict.delay
    found.exit_code = code if code >= 0 else 128 - code
    found.signal = name
    return weighed(attempt, found, name)


def weighed(attempt: Attempt, found: Outcome, name: Optional[str]) -> Outcome:
    """*found*, of an attempt that the signal *name* ended, none of ours: with what is known of a want of memory."""
    if name == "SIGKILL" and found.error:  # which a job that says "ok" all the same has not
        found.oom = memory_kills.evidence(attempt.memory_kills)
        found.error = "%s; out of memory: %s" % (found.error, found.oom) if found.oom else found.error
    return found


def judgement(attempt: Attempt, code: int, spoke: bool) -> Optional[Verdict]:
    """What the command says of its end, or what somebody has said of its exit *code*; None where nobody has."""
    said = attempt.settings
    if attempt.claim.policy or said.later_codes or said.dead_codes or said.ok_codes != [0] or spoke:
        from queuectl_lib.run import hearing  # which few homes need

        return hearing.verdict(attempt, code, control_path(attempt))
    return None


def control_path(attempt: Attempt) -> str:
    """Where the command of an attempt may say something of itself."""
    return attempt.run_path[:-3] + folder.SAY


def speaks(attempt: Attempt) -> bool:
    """True where it has: asked once it has ended, and of one with a timeout while it runs."""
    return run_file.is_beside(control_path(attempt), attempt.run_path, attempt.queue.database.path)


def extends(attempt: Attempt) -> bool:
    """Heed what an attempt with a deadline has asked for since; True where that gives it more time than to now."""
    if attempt.ending or not speaks(attempt):
        return False
    from queuectl_lib.run import hearing  # which few homes need

    return hearing.extends(attempt, control_path(attempt))


def take_up_time(attempt: Attempt) -> None:
    """Heed what another worker has given an attempt beyond its timeout, as that has noted it."""
    noted = attempt.status().get("until")
    if noted is not None and attempt.deadline is not None:
        from queuectl_lib.run import hearing  # which few homes need

        hearing.give_time(attempt, float(noted))


def watcher_killed(attempt: Attempt, code: int) -> Outcome:
    """The shell that watched it was killed, and nothing lives: what the command came to was noted by nobody."""
    how, name = run_file.how_it_ended(code)
    return weighed(attempt, outcome_of(attempt, states.LOST, UNNOTED % how), name)


def interrupted(attempt: Attempt) -> Outcome:
    """A stop of everything has ended it."""
    how, name = ("killed", None) if attempt.code is None else run_file.how_it_ended(attempt.code)
    found = outcome_of(attempt, states.GIVEN_BACK, "%s while its supervisor was told to stop" % how)
    found.signal = name
    return found


def without_watcher(attempt: Attempt) -> Tuple[str, str]:
    """As what to end a command that lives while the shell that watched it is gone, and why."""
    how = "killed" if attempt.code is None else run_file.how_it_ended(attempt.code)[0]
    if interruption.has_ended(attempt):
        return states.GIVEN_BACK, "its shell was %s while its supervisor was told to stop" % how
    return states.LOST, UNNOTED % how


def not_begun(attempt: Attempt) -> Outcome:
    """Its watcher ended before the command began, so the host was short of something: given back, with what of."""
    attempt.tree.let_go()
    return attempts.unstarted(attempt.claim, launching.shortage_of_watcher())


def orphan_not_begun(attempt: Attempt) -> Outcome:
    """The same of an orphan: that costs nothing, but not twice in a row, or a job could go on so for ever."""
    if not was_launched(attempt):
        return attempts.unstarted(attempt.claim)
    if claiming.ended_so_before(attempt.queue.database, attempt.claim, NEVER_BEGAN):
        return outcome_of(attempt, states.LOST, "lost: %s, as the last time" % NEVER_BEGAN)
    return outcome_of(attempt, states.GIVEN_BACK, NEVER_BEGAN)


def was_launched(attempt: Attempt) -> bool:
    """True where an orphan may have been launched: just before that, and behind its run file, its output is made."""
    return all(os.path.exists(attempt.paths[kind]) for kind in folder.OUTPUTS)


def gone(attempt: Attempt) -> Outcome:
    """An orphan that no longer runs and left no exit code (the table of run/orphans)."""
    status = attempt.status()
    may_not_have_begun = attempt.started < processes.booted_at() or not was_launched(attempt)
    if "start" not in status and may_not_have_begun and not attempt.tree.was_seen:
        return attempts.unstarted(attempt.claim)
    if interruption.has_ended(attempt):
        return interrupted(attempt)
    if "start" not in status:
        return outcome_of(attempt, states.LOST, "lost: what its run file told is gone")
    if run_file.is_of_another_boot(status):
        return outcome_of(attempt, states.LOST, "lost: the host was restarted while it ran")
    if not tree.JOBS_OUTLIVE_WORKERS:
        return outcome_of(attempt, states.LOST, "lost: it was killed together with its worker")
    return outcome_of(attempt, states.LOST, "lost: its worker and its shell are gone, and no exit code was noted")


def outcome_of(attempt: Attempt, kind: str, error: Optional[str], spoke: Optional[bool] = None) -> Outcome:
    """The outcome *kind* of an attempt whose own process is gone, with what it left and what it wrote."""
    outcome = Outcome(attempt.claim, kind, end_time(attempt), error)
    outcome.started, outcome.timeout = attempt.started, attempt.timeout
    if not attempt.adopted or attempt.ended_at:
        outcome.seconds = max(0.0, (attempt.ended_at or time.monotonic()) - attempt.began)
    if may_have_left_something(attempt, kind):
        outcome.leftovers = attempt.tree.description() or (attempt.tree.others() if attempt.is_held() else None)
    used = attempt.tree.let_go()
    if kind != states.LOST:  # of which nobody has waited for all
        outcome.cpu, outcome.peak_rss = used
    if speaks(attempt) if spoke is None else spoke:
        from queuectl_lib.run import hearing  # which few homes need

        hearing.note(outcome, control_path(attempt))
    attempt.output.look()  # when nothing is left that could write: what comes to its end late is seen, too
    if attempt.output.erased:
        outcome.erased = " and ".join(sorted(attempt.output.erased, reverse=True))
    if attempt.output.is_empty:
        return outcome
    stays = bool(outcome.leftovers)
    outcome.stdout, outcome.stdout_bytes = attempt.output.collected("out", attempt.max_output, stays)
    outcome.stderr, outcome.stderr_bytes = attempt.output.collected("err", attempt.max_output, stays)
    if states.ENDINGS[kind] == "fail":
        with contextlib.suppress(ImportError):  # newer files lie there: who asks for groups looks for it then
            from queuectl_lib.run import telling  # of failures alone

            outcome.error_line = telling.line_of(outcome, attempt.paths)
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
    return attempt.tree.seems_alive() or attempt.is_held()


def end_leftovers(place: Folder, claim: Claim) -> None:
    """End what earlier attempts of a job left running, before it runs again. Raises CannotStart, OSError."""
    for token in filter(folder.is_token, claim.leftovers):
        rest = end_left(place, token, 2.0)
        if rest:
            raise launching.CannotStart("not started: an earlier attempt still runs and cannot be ended: %s" % rest)


def end_left(place: Folder, token: str, seconds: float) -> str:
    """End what the attempt *token* left running: TERM, *seconds* of grace, KILL. Who resisted; raises OSError."""
    run_path = place.attempt_path(token, "run")
    earlier = run_file.tree_of(token, run_path, place.identity)
    rest = earlier.end(seconds)
    deadline = time.monotonic() + processes.KILL_SECONDS
    held = locks.is_held(run_path)  # also by one that is dying: its threads let go last
    while held and not rest:
        if time.monotonic() > deadline:
            rest = earlier.others()
        time.sleep(0.02)
        held = locks.is_held(run_path)
    if held is None and not rest:
        raise OSError(None, "what an earlier attempt left running cannot be told", run_path)
    return rest


def was_lost(database: Database, outcome: Outcome) -> bool:
    """True where a refused outcome tells of a lost claim; not where nothing had run, or we ourselves have recorded it.

    A commit of which the disk said that it failed may have been done all the same; then it is tried again.
    """
    if outcome.unstarted:
        return False
    with contextlib.suppress(QueueError):
        return not claiming.is_recorded(database, outcome.claim, outcome.kind, outcome.finished)
    return True


def why_unrecorded(outcome: Outcome) -> str:
    """Why the outcome of a claim was refused, for people."""
    if outcome.joins:  # and its job was cancelled: who adopts it ends what runs there
        return "its cancel was asked for meanwhile: what its launcher has started is ended first"
    return "its claim was lost, so its result was not recorded"


def survivors(attempt: Attempt) -> str:
    """Who of an attempt lives that cannot be ended, for people."""
    return attempt.tree.description() or "processes that cannot be seen from here"


def sentence(outcome: Outcome) -> str:
    """What the log says of a recorded outcome behind the job's id."""
    claim, text = outcome.claim, outcome.kind if outcome.error is None else outcome.error
    if not text.startswith(outcome.kind):
        text = "%s: %s" % (outcome.kind, text)
    if outcome.started is not None:
        wall = max(0.0, outcome.finished - outcome.started)
        text += " (after %s)" % times.seconds_text(wall if outcome.seconds is None else outcome.seconds)
    if outcome.counts_as_cancelled:
        text += "" if outcome.kind == states.CANCELLED else "; cancelled"
    elif states.ENDINGS[outcome.kind] == "fail":
        left = claim.max_retries + 1 - claim.attempts
        if outcome.is_last:
            return text + "; dead, whatever retries are left"
        text += "; retries left: %d" % left if left > 0 else "; dead, no retries left"
    return text
