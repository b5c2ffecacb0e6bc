"""One run of one command: started or adopted, polled, ended."""

from __future__ import annotations

import contextlib
import os
import time

from queuectl_lib import settings, times
from queuectl_lib.host import failpoints, files, memory_kills, processes, tree
from queuectl_lib.jobs import states
from queuectl_lib.run import concluding, interruption, launching, output_streams, run_file
from queuectl_lib.run.output_streams import OutputStreams
from queuectl_lib.run.run_lock import RunLock
from queuectl_lib.store import folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Dict, List, Optional, Tuple, Union

    from queuectl_lib.host.spawn import ChildProcess
    from queuectl_lib.jobs.attempts import Claim, Outcome
    from queuectl_lib.run.hearing import Extension
    from queuectl_lib.run.interruption import PastStop, Stop
    from queuectl_lib.run.spare_files import SpareFiles
    from queuectl_lib.settings import Settings
    from storage import Queue


CANCELLED_RUNNING = "cancelled while it ran"


class Attempt:
    """Start or adopt it, poll it, end it."""

    def __init__(self, queue: Queue, claim: Claim, *stops: Union[Stop, PastStop]) -> None:
        self.queue = queue
        self.claim = claim
        self.paths = queue.folder.attempt_paths(claim.token)
        self.run_path = self.paths["run"]
        self.output = OutputStreams(self.paths, output_streams.wants_pipes(claim))
        self.child: Optional[ChildProcess] = None
        self.lock = RunLock(self.run_path)
        self.adopted = False
        self.started = time.time()
        self.began = time.monotonic()
        self.grace = 0.0
        self.settings = settings.DEFAULTS
        self.max_output = self.settings.max_output
        self.heard: Optional[Extension] = None  # what it has asked for
        self.timeout: Optional[float] = None
        self.deadline: Optional[float] = None  # monotonic
        self.memory_kills: Optional[int] = None  # of the system, before it began; None where that is not known
        self.ending: Optional[Tuple[str, str]] = None  # kind and error once it is being ended
        self.kill_at = 0.0
        self.killed_at: Optional[float] = None
        self.told = False  # that it defies SIGKILL
        self.code: Optional[int] = None  # of the command's own process, once it has ended
        self.ended_at = 0.0  # monotonic; when that was seen, or noted
        self.stops = list(stops)  # that may have interrupted it
        self.tree = run_file.tree_of(claim.token, self.run_path, queue.folder.identity)

    # -------------------------------------------------------- beginning

    def start(self, settings: Settings, spare: SpareFiles) -> None:
        """Start the command. Raises CannotStart (its fault) or OSError (the host's)."""
        claim = self.claim
        if claim.leftovers:
            concluding.end_leftovers(self.queue.folder, claim)
        environment = launching.job_environment(claim, self.queue.folder.identity, concluding.control_path(self))
        claim = self.startable(environment, settings)
        ends: List[int] = []
        try:
            self.lock.take(spare.open(self.run_path, "run", run_file.start_line(claim.token, time.monotonic())))
            failpoints.failpoint("start.run-file")
            ends = self.output.open(spare, launching.SHELL)
            self.started, self.began = time.time(), time.monotonic()  # before: a short command is over by the return
            self.memory_kills = memory_kills.before(self.began)
            self.child = launching.launch_checked(claim, environment, [self.lock.fd, *ends, self.lock.notes])
        finally:
            self.output.close_ends(ends)
        if tree.JOBS_OUTLIVE_WORKERS:  # from here only the job's own tree holds the lock
            self.lock.hand_over()
        failpoints.failpoint("start.launched")
        self.tree.hold(self.child)
        if not tree.JOBS_OUTLIVE_WORKERS:  # elsewhere the watcher itself says so, before the command begins
            self.lock.note(b"pid %d\n" % self.child.pid)
            self.tree.resume(self.child)
        self.set_deadline(settings, self.began)

    def startable(self, environment: Dict[str, str], settings: Settings) -> Claim:
        """The claim as it is to be launched in *environment*. Raises CannotStart, OSError."""
        return launching.startable(self.claim, environment, settings.shell)

    def adopt(self, started: float, settings: Settings, believed: Collection[str] = run_file.WATCHED) -> None:
        """Look at a command that another worker started; its timeout still holds, and its ending if *believed*."""
        self.adopted = True
        self.started = started
        self.began = self._started_monotonic()
        self.set_deadline(settings, self.began)
        concluding.take_up_time(self)
        kind, _, error = self.status().get("end", "").partition("|")
        if kind in believed:
            self.ending = (kind, error)
            self.kill_at = time.monotonic() + self.grace

    def _started_monotonic(self) -> float:
        """When the command began on this boot's monotonic clock."""
        began = run_file.began_monotonic(self.status())
        return time.monotonic() - max(0.0, time.time() - self.started) if began is None else began

    def set_deadline(self, settings: Settings, begin: float) -> None:
        self.settings, self.grace = settings, settings.grace
        self.max_output = settings.max_output
        self.timeout = self.claim.timeout if self.claim.timeout is not None else settings.timeout
        self.deadline = None if self.timeout is None else begin + self.timeout

    def overdue(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline and not concluding.extends(self)

    # -------------------------------------------------------- going on

    def has_begun(self) -> bool:
        """True once its watcher has come to the command itself."""
        return not run_file.never_began(self.status())

    def lingers(self) -> bool:
        """True where no child's end will tell of the next change: it is not ours, or has ended, but not all of it."""
        return self.child is None or self.code is not None

    def is_watched_closely(self) -> bool:
        """True where it is to be looked at often."""
        return self.lingers() or bool(self.ending)

    def rests(self) -> bool:
        """True where it needs no slot, nor this worker: nothing of it is known to run here."""
        return False

    def bound_output(self) -> bool:
        """Cut the middle out of output that grew past the limit; True if any was cut."""
        return self.output.bound(self.max_output)

    def poll(self) -> Optional[Outcome]:
        """What became of the attempt, or None while it goes on, or is being ended. For who holds the claim."""
        if self.overdue() and not self.ending and not self.leader_ended():
            self.end(states.TIMED_OUT, "timed out after %s" % times.seconds_text(self.timeout or 0))
        if not self.leader_ended() or not self.is_over():
            self.press_on()
            return None
        if self.output.piped and not (self.ending and self._tree_lives()) and not self.output.drained():
            return None
        outcome = self.conclude()
        self.output.close()
        return outcome

    def conclude(self) -> Outcome:
        """What to record of it, now that it is over. Raises HostError."""
        return concluding.outcome(self)

    def judge(self) -> Optional[Outcome]:
        """What became of an orphan, for who does not hold its claim: nothing is written, and nobody signalled.

        None while something of it lives.
        """
        if not self.leader_ended() or ((self.ending or self.code is None) and self._tree_lives()):
            return None
        return None if interruption.has_ended(self) is None else self.conclude()

    def must_be_ended(self) -> bool:
        """True for an orphan that lives, but not as it should: overdue, being ended, or without its watcher."""
        return self.overdue() or bool(self.ending) or self.leader_ended()

    def leader_ended(self) -> bool:
        """True once the command's own process is gone; sets its exit code if that is known."""
        if self.code is not None:
            return True
        if self.child is not None:
            code = self.child.poll()
            if code is None:
                return False
            self.code = code
            self.ended_at = self.tree.since = time.monotonic()
            if not tree.JOBS_OUTLIVE_WORKERS and not self.ending:  # elsewhere the watcher says so
                with contextlib.suppress(OSError):
                    self.lock.note(b"exit %d\n" % code)
            self.lock.let_go(has_ended=True)
            if code < 0:  # else our child, the watcher, has told us the exit code of its own
                self._read_code()
        return self.child is not None or not self.adopted or self._orphan_ended()

    def _orphan_ended(self) -> bool:
        """The same for a command that is nobody's child: by its watcher, its notes, its lock."""
        held = self.is_held()
        status = self.status()  # after the lock: the watcher writes, then lets go
        watcher_lives = self.tree.leader_lives(run_file.watcher_seen_from_here(status))
        if watcher_lives or (watcher_lives is None and held and "exit" not in status):
            return False
        self._read_code()  # it may have ended between the looks
        self.tree.since = time.monotonic()
        return True

    def _read_code(self) -> None:
        """The exit code as the watcher has noted it, if it has."""
        text = self.status().get("exit")
        if text is not None:
            self.code, self.ended_at = run_file.status_code(text), interruption.noted_at(self.run_path)

    def is_over(self) -> bool:
        """The leader is gone; whether the rest is, as far as that matters, and whether it is known why."""
        if self.is_unwatched() and not self.ending and self._tree_lives():
            if interruption.has_ended(self) is None or not os.path.exists(self.run_path):
                return False  # without its notes nobody knows of its watcher: what lives is waited for
            if self.adopted and not self._orphan_ended():
                return False  # its worker lives, and has left them anew since we looked for them
            self._begin_to_end(*concluding.without_watcher(self))  # which was killed; the command was not
        if self.ending:
            patient = self.killed_at is None or time.monotonic() < self.killed_at + processes.KILL_SECONDS
            return not (patient and self._tree_lives())
        return interruption.has_ended(self) is not None

    def is_unwatched(self) -> bool:
        """True once the shell that watched the command is gone, and has noted no exit code.

        A code that a watcher notes is never negative: such a one is of its own end.
        """
        return tree.JOBS_OUTLIVE_WORKERS and (self.code is None or self.code < 0)

    def _tree_lives(self) -> bool:
        """True while anything of the attempt lives: by its lock, which tells also where nobody can be found."""
        return self.is_held() or bool(self.tree.members())

    def is_held(self) -> bool:
        """True while a process of this attempt lives, one that inherited its lock; or where that cannot be told."""
        return not self.lock.is_free and self.queue.folder.is_held(self.run_path)

    def status(self) -> Dict[str, str]:
        return run_file.read_status(self.run_path)

    # -------------------------------------------------------- ending

    def end(self, kind: str, error: str) -> None:
        """Begin to end the whole tree: TERM now, KILL after the grace period (see poll).

        Does nothing where the command has ended by itself: that result stands.
        """
        if not self.ending and not self.leader_ended():
            self._begin_to_end(kind, error)

    def cancel(self) -> None:
        """A person wants it ended."""
        self.end(states.CANCELLED, CANCELLED_RUNNING)

    def _begin_to_end(self, kind: str, error: str) -> None:
        """Write the wish down first: if we die now, whoever comes next takes it up (adopt)."""
        self.ending = (kind, error)
        self.kill_at = time.monotonic() + self.grace
        run_file.add_note(self.run_path, "end %s|%s" % (kind, error))
        failpoints.failpoint("end.written")
        self.ask_to_end()

    def ask_to_end(self) -> None:
        self.tree.signal(gently=True)

    def press_on(self) -> None:
        """TERM to those that have come since, or to all where the ending was taken up; KILL when the time has come."""
        if self.ending and time.monotonic() < self.kill_at:
            self.tree.signal(gently=True)
        elif self.ending:
            self.killed_at = self.killed_at or time.monotonic()
            self.tree.signal(gently=False)

    def defies_news(self) -> bool:
        """True once, when the command's own process outlives SIGKILL.

        It sleeps in the kernel, say on a dead disk, or cannot be seen from here, so not be signalled.
        """
        if self.told or self.code is not None or self.killed_at is None:
            return False
        self.told = time.monotonic() > self.killed_at + processes.KILL_SECONDS
        return self.told

    def forget(self) -> None:
        """Hand the command over to whoever adopts it."""
        self.lock.let_go()
        self.output.close()
        if self.child is not None:
            self.child.returncode = 0  # not ours to wait for: no warning when it is dropped

    def discard(self) -> None:
        """Remove the files of an attempt that did not start."""
        self.lock.let_go()
        self.output.close()
        with contextlib.suppress(OSError):
            for path in (*self.paths.values(), self.queue.folder.attempt_path(self.claim.token, folder.SCRIPT)):
                files.remove(path)
