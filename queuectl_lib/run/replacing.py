"""When the next worker is started: at once, or ever later where they do not stay; and when one is given up."""

from __future__ import annotations

import contextlib
import time

from queuectl_lib.errors import HostError, QueueError
from queuectl_lib.host import bundle, signals, spawn, tree
from queuectl_lib.run import pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Iterator, List, Tuple

    from queuectl_lib.run.options import Options
    from queuectl_lib.settings import ConfigFile


SEE_ABOVE, TRY_DOCTOR = "see what they said above", ", and try `doctor`"


class WorkerProcess:
    """A worker as its supervisor sees it."""

    def __init__(self, name: str, process: Any, slots: int = 1, rehearses: bool = False) -> None:
        self.name = name
        self.process = process
        self.slots = slots
        self.rehearses = rehearses
        self.began = time.monotonic()
        self.booted = False
        self.is_killed = False  # by us: it did not heed

    def start(self) -> None:
        """Start it; one that rehearses is not heard. Raises OSError, and HostError for files not to be trusted."""
        spawn.without_resource_tracker()
        with signals.signals_held_back(), bundle.found_by_child(), spawn.unheard(self.rehearses):
            self.process.start()


def shares(options: Options) -> List[int]:
    """How many slots each worker has, the largest first."""
    each, rest = divmod(options.jobs, options.processes)
    return [each + 1] * rest + [each] * (options.processes - rest)


def next_share(options: Options, workers: Iterable[WorkerProcess]) -> int:
    """How many slots the next worker gets: the largest share that none of *workers* has."""
    left = shares(options)
    for worker in workers:
        if worker.slots in left:
            left.remove(worker.slots)
    return max(left, default=1)


def given(options: Options, slots: int) -> Tuple[Any, ...]:
    """What a worker with so many *slots* is told: text and numbers, which whatever files are there can read."""
    return tuple(dict(vars(options), slots=slots).values())


class Replacing:
    """What one supervisor has seen of workers that left.

    Until all were up once, workers that cannot begin are a mistake, which ends the supervisor. From then
    on they are a shortage of the host, or a file away for a moment, and that is waited for: told once, tried
    ever later, and by rehearsals, which say nothing, until one has gone well.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.was_ready = False  # all workers have been up once
        self.failures = 0  # workers that died before they began, in a row
        self.pause = 0.0
        self.not_before = 0.0  # monotonic: when the next one may be started
        self.noticed = 0.0  # monotonic: the last short life; those that began before belong to it
        self.is_told = False  # that they cannot start
        self.rehearsed = False  # well, since
        self.early_deaths = 0  # in a row, whatever the pause between them
        self.died_at = 0.0  # monotonic: the last of these
        self.why = ""  # the last one left

    def trouble(self) -> str:
        """What `check` is to say of it, "" while workers start and stay."""
        if self.is_told:
            return "no worker can start (%s)" % self.why
        dying = self.early_deaths > 2 and self._died_lately()
        return "workers die soon after they have begun (%s)" % self.why if dying else ""

    def rehearses(self) -> bool:
        """True where the next start is to be a rehearsal."""
        return self.is_told and not self.rehearsed

    def has_begun(self) -> None:
        """A worker is up."""
        if self.is_told:
            self.say("workers start again")
        self.failures, self.is_told, self.rehearsed = 0, False, False

    def has_left(self, code: int, began: float, booted: bool) -> None:
        """A worker that *began* then (monotonic) has left with this exit code, negative a signal, unasked.

        Raises HostError where workers cannot start and never could, or are of another version.
        """
        how = "killed by %s" % signals.signal_name(-code) if code < 0 else "exit code %d" % code
        self.why = how
        self.failures = 0 if booted else self.failures + 1
        if code == pace.OTHER_VERSION:
            raise HostError("workers cannot start: the files here are of another version than this supervisor")
        if booted:
            self._count(code, began)
            self._put_off(began, pace.SHORT_LIFE_SECONDS if code == -9 else pace.TROUBLE_SECONDS)
            return
        if self.was_ready:
            self.is_refused(how, began)
            return
        if self.failures >= pace.BOOT_FAILURES:
            why = SEE_ABOVE if code > 0 else "something ends them, such as a limit of memory"
            raise HostError("workers cannot start (%s each time): %s%s" % (how, why, TRY_DOCTOR))
        self._put_off(began, pace.SHORT_LIFE_SECONDS / 2)

    def has_rehearsed(self, code: int, began: float) -> None:
        """A rehearsal is over."""
        self.rehearsed = code in (0, pace.OTHER_VERSION)  # a real one says which version
        self.not_before = 0.0
        if not self.rehearsed:
            self.is_refused("", began)

    def is_refused(self, why: str, began: float) -> None:
        """No worker can be started now."""
        if not self.is_told:
            self.say("no worker can start now (%s): trying again, ever more slowly" % why)
            self.is_told, self.why = True, why
        self.rehearsed = False
        self._put_off(began, pace.NO_START_SECONDS)

    @contextlib.contextmanager
    def memory_awaited(self) -> Iterator[None]:
        """Where no memory is to be had for what is done here, wait for a moment instead."""
        try:
            yield
        except MemoryError:
            with contextlib.suppress(MemoryError):  # to say so takes some, too
                self.is_refused("no memory", time.monotonic())
            time.sleep(pace.SUPERVISOR_TICK_SECONDS)

    def _put_off(self, began: float, most: float) -> None:
        """The next start comes later each time, by *most* seconds at the most; many that leave at once are one time."""
        now = time.monotonic()
        if now - began >= pace.SHORT_LIFE_SECONDS and not self.is_told:
            self.pause = 0.0
        elif began >= self.noticed:
            self.pause = min(max(pace.SHORT_LIFE_SECONDS / 2, self.pause * 2), most)
            self.noticed, self.not_before = now, now + self.pause

    def _count(self, code: int, began: float) -> None:
        """A worker that was up has left: was it early, as the one before it? Many that leave at once are one time."""
        if began < self.died_at:
            return
        now = time.monotonic()
        limit = pace.EARLY_DEATH_SECONDS if code else pace.SHORT_LIFE_SECONDS
        before = self.early_deaths if self._died_lately() else 0
        self.early_deaths, self.died_at = (before + 1 if now - began < limit else 0), now

    def _died_lately(self) -> bool:
        return time.monotonic() - self.died_at < 2 * pace.EARLY_DEATH_SECONDS


class Pressing:
    """What becomes of a worker that does not heed a stop in which there is nothing to wait for.

    It hangs in the kernel, say, or is paused. What it holds is evidence on the disk, and what ran under it goes on
    without it: the next worker decides about both, as if it had died by itself.
    """

    def __init__(self, say: Callable[[str], None], config: ConfigFile, options: Options) -> None:
        self.say = say
        self.config = config
        self.options = options
        self.stage = ""
        self.waited = 0.0  # seconds in which we ran: who was paused with us gets its time
        self.looked_at = 0.0
        self.grace = 0.0  # the longest that was set since the start, as far as we know

    def turn(self, stage: str, workers: Iterable[WorkerProcess]) -> None:
        """Kill those of *workers* that have not left long after they were asked to, in this *stage*.

        Asked to end their jobs, they have the grace of these, too. A "stop" waits for jobs, however long they take.
        """
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.waited, self.looked_at = stage, 0.0, now
        self.waited += min(now - self.looked_at, 2 * pace.SUPERVISOR_TICK_SECONDS)
        self.looked_at = now
        has_nothing_to_wait_for = stage == "now" or stage == "leave" and tree.JOBS_OUTLIVE_WORKERS
        if not has_nothing_to_wait_for or self.waited < pace.DEAF_SECONDS:
            return
        if stage == "now" and self.waited < pace.DEAF_SECONDS + self._longest_grace():
            return
        for worker in workers:
            if not worker.is_killed and worker.process.exitcode is None:
                text = "worker %s (pid %d) does not heed the stop: it is killed, and what it ran is up to the next one"
                self.say(text % (worker.name, worker.process.pid))
                worker.is_killed = True
                worker.process.kill()

    def _longest_grace(self) -> float:
        known = [self.config.settings] if self.config.settings else []  # that of the start, the first time
        with contextlib.suppress(QueueError):
            known.append(self.config())
        self.grace = max([self.grace] + [one.but(**self.options.overrides).grace for one in known])
        return self.grace
