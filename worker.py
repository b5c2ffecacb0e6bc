"""worker: who runs the jobs, and who keeps the runners alive.

    Supervisor --spawn--> Worker --sh (the watcher)--> command --> whatever it starts
        |                   |            |
        | life file         | life file  | attempts/T.run: lock inherited by the whole tree;
        | (locked)          | (locked)   | the watcher adds "pid N" and, at the end, "exit N"
        v                   v            v
                   the queue's folder  <------- anyone who must decide what became of a job

The supervisor starts workers, replaces those that die, and passes on the wish to stop as
files in the queue's folder (they need no signal, so Windows has them too, and no
multiprocessing primitive is shared: a killed child would take its lock along).

A worker loops: heed requests, collect what ended, look around, start what is next, rest.
Results that end together and the next claims share one transaction. While jobs are short it
claims ahead what it expects to run within AHEAD_SECONDS, and gives back what it has not
started as soon as one takes longer than QUICK_SECONDS: then the next slot opens (run/slots).

A worker whose supervisor is gone finishes what runs and leaves. A job outlives its worker: when that is
gone (its life file is no longer locked), any other decides by evidence what became of it (run/orphans).

What the two stand on, each a room of queuectl_lib/run:

    starting     only where none serves          orphans       the jobs of dead workers
    options      what was asked for              log, pace     what is said, how often
    chores       what a supervisor does beside   standing      whether the queue is still its own
    replacing, places  when and how many start   trouble, refusals   a database that refuses all, or one
    slots        what one worker runs at once    launching     environment, watcher, start
    concluding   what to record of it            run_file      what its watcher noted
    interruption a stop that reached everything  glance, quiet what the database and the files said last
    attempt      one run of one command          spare_files   files used again

Both outlive the files that they were loaded from: all of ours that they need is loaded here, and by
the supervisor in boot, before they begin, but for host/loading.LATE: from those same files, or not at all.
"""

from __future__ import annotations

import collections
import contextlib
import gc
import multiprocessing
import os
import sys
import time

from queuectl_lib.errors import HostError, QueueError
from queuectl_lib.host import bell, failpoints, loading, processes, signals, spawn, stream, tree
from queuectl_lib.host.waking import Bell, WakeUp
from queuectl_lib.jobs import attempts, retrying, states  # noqa: F401 - retrying is for ending.settle
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.run import concluding, log, pace, refusals, standing, taking, trouble
from queuectl_lib.run.glance import Glance
from queuectl_lib.run.interruption import Stop
from queuectl_lib.run.options import CurrentSettings, Options
from queuectl_lib.run.orphans import Orphans
from queuectl_lib.run.pace import Pace
from queuectl_lib.run.quiet import Quiet
from queuectl_lib.run.slots import Slots
from queuectl_lib.run.spare_files import SpareFiles
from queuectl_lib.settings import ConfigFile
from queuectl_lib.store import claiming, ending, folder, opening, outlook, presence, stops  # noqa: F401
from storage import Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Deque, List, Optional, Sequence

    from queuectl_lib.jobs.attempts import Claim
    from queuectl_lib.run.chores import Chores
    from queuectl_lib.run.replacing import WorkerProcess
    from queuectl_lib.settings import Settings

VERSION = "0.1.0"


class Supervisor:
    """Keeps the wanted number of workers alive until asked to stop, until drained, or until its time is over.

    It calls *when_present* as soon as others can see that it lives.
    """

    def __init__(
        self,
        queue: Queue,
        name: str,
        options: Options,
        config: ConfigFile,
        when_present: Optional[Callable[[], None]] = None,
    ) -> None:
        from queuectl_lib.run.places import Places  # which no worker needs
        from queuectl_lib.run.replacing import Pressing, Replacing

        self.queue = queue
        self.name = name
        self.options = options
        queue.database.served = options.served
        self.config = config
        self.when_present = when_present
        self.began = time.monotonic()
        self.workers: List[WorkerProcess] = []
        self.stage = ""  # or one of folder.REQUESTS: what the workers have been asked
        self.signals: List[int] = []
        self.started = 0
        self.replacing = Replacing(self.say)
        self.pressing = Pressing(self.say, config, options)
        self.places = Places(queue.folder, name, options.max_seconds is not None)
        self.drained = False
        self.announced = False
        self.chores: Optional[Chores] = None
        self.quiet = Quiet(queue.database, self.signals)

    def run(self) -> None:
        """Serve until the end. Raises HostError when workers cannot start."""
        self.boot()
        try:
            while self.workers or self.wanted():
                with self.replacing.memory_awaited():
                    self.heed_requests()
                    self.bury_dead_workers()
                    self.start_missing_workers()
                    self.announce_ready()
                    self.rest()
        finally:
            self.leave()
        if self.standing.lost:
            raise HostError(self.standing.why())

    def boot(self) -> None:
        from queuectl_lib.run import wording  # which no worker needs
        from queuectl_lib.run.chores import Chores

        self.queue.database.create()
        self.config()
        stream.never_wait()
        signals.free_signals()
        self.wake = WakeUp(self.signals)
        for number in signals.stop_signals():  # before anyone can see that we are here, and ask us to stop
            self.wake.catch(number)
        details = presence.member_details("supervisor", self.name, self.options.told())
        self.standing = standing.Standing(self.queue.folder, self.name, details, self.say)
        if self.when_present:
            self.when_present()
        self.chores = Chores(self.queue.database, self.say, self.options.drain, self.name, self.config)
        os.chdir(os.path.abspath(os.sep))  # spawn fails from a directory that was deleted
        self.say("supervisor started, pid %d, %s" % (os.getpid(), wording.described(self.options, log.clock_text())))
        with contextlib.suppress(QueueError, OSError):  # else the workers will, who tell what is in the way
            self.standing.recognise(self.queue.database, ending.settle, self.config().but(**self.options.overrides))

    def say(self, text: str) -> None:
        log.say(self.name, text)

    def wanted(self) -> int:
        """How many jobs should be able to run at once."""
        return 0 if self.stage or self.drained or self.standing.lost else self.options.jobs

    def slots(self) -> int:
        """How many can, on the workers that there are."""
        return sum(worker.slots for worker in self.workers)

    def heed_requests(self) -> str:
        """Follow signals, requests that others left as files, and what became of the queue; returns the stage."""
        if self.standing.is_lost():
            self.advance("leave" if self.standing.lost == standing.MOVED else "stop")
        for _ in range(len(self.signals)):
            self.say("%s received" % signals.signal_name(self.signals.pop(0)))
            self.request("now" if self.stage else "stop")
        if self.time_is_over() and not self.stage:
            self.request("stop")
        for request in [one for one in folder.REQUESTS if self.queue.folder.is_asked(self.name, one)]:
            self.advance(request)
        self.pressing.turn(self.stage, self.workers)
        return self.stage

    def time_is_over(self) -> bool:
        limit = self.options.max_seconds
        return limit is not None and time.monotonic() - self.began >= limit

    def request(self, request: str) -> None:
        try:
            self.queue.folder.put_request(self.name, request)
        except OSError as error:
            self.say("cannot pass the stop on as a file (%s): workers are signalled" % error.strerror)
        self.advance(request)

    def wake_workers(self) -> None:
        """Say it by signal too: that ends an idle worker's sleep, and works without the folder."""
        for worker in self.workers:
            if worker.process.exitcode is None:  # not waited for yet, so the pid is its own
                signals.ask_worker(worker.process.pid, self.stage == "now")

    def advance(self, stage: str) -> None:
        if self.stage and folder.REQUESTS.index(stage) <= folder.REQUESTS.index(self.stage):
            return
        self.stage = stage
        self.standing.presence.tell("asked", stage)
        if stage == "leave":
            self.say("stopping: running jobs go on without a worker, for the next one to adopt")
        elif stage == "stop":
            self.say("stopping: running jobs finish, nothing new starts (again to end them)")
        else:
            self.say("stopping now: running jobs are ended and given back")
        self.wake_workers()

    def bury_dead_workers(self) -> None:
        for worker in self.workers[:]:
            if not (worker.booted or worker.rehearses) and presence.has_begun(self.queue.folder, worker.name):
                worker.booted = True
                self.replacing.has_begun()
            if worker.process.exitcode is None:
                continue
            self.workers.remove(worker)
            self.judge(worker, worker.process.exitcode)
            worker.process.close()

    def judge(self, worker: WorkerProcess, code: int) -> None:
        """Tell a worker that left from one that died, and that from one that never began."""
        if worker.rehearses:
            self.replacing.has_rehearsed(code, worker.began)
            return
        if code == 0:
            self.drained = self.drained or (self.options.drain and outlook.nothing_left(self.queue.database))
        else:
            how = "killed by %s" % signals.signal_name(-code) if code < 0 else "exit code %d" % code
            self.say("worker %s died (%s)" % (worker.name, how))
            self.standing.is_lost(at_once=True)  # with the home our files may be gone, so no other could start
            if self.chores:
                self.chores.mourn()
        if not self.stage:
            self.replacing.has_left(code, worker.began, worker.booted or not code)

    def start_missing_workers(self) -> None:
        all_up = all(worker.booted for worker in self.workers)
        most = self.places.most(self.wanted(), self.slots(), all_up)
        while self.slots() < most and time.monotonic() >= self.replacing.not_before:
            if self.replacing.is_told and not all(worker.booted for worker in self.workers):
                return  # one at a time, until one has begun
            from queuectl_lib.run import replacing  # which no worker needs

            self.started += 1
            name = "%s-%d" % (self.name, self.started)
            slots = min(replacing.next_share(self.options, self.workers), most - self.slots())
            given = replacing.given(self.options, slots)
            arguments = (VERSION, self.queue.path, name, self.name, given, self.config.home, self.replacing.rehearses())
            process = multiprocessing.get_context("spawn").Process(name=name, **loading.in_child(work, arguments))
            worker = replacing.WorkerProcess(name, process, slots, rehearses=bool(arguments[-1]))
            try:
                worker.start()
            except (OSError, MemoryError, HostError) as error:
                why = getattr(error, "strerror", None) or str(error) or "no memory"
                if not self.announced and not self.workers:
                    raise HostError("cannot start a worker: %s" % why) from None
                self.replacing.is_refused(why, worker.began)
                return
            self.workers.append(worker)

    def announce_ready(self) -> None:
        """Tell who started us in the background that every worker is up (or that we are to stop already)."""
        up = (self.slots() >= self.options.jobs or self.places.are_taken) and all(one.booted for one in self.workers)
        if not self.announced and (up or self.stage):
            self.announced = self.replacing.was_ready = True
            with contextlib.suppress(OSError):
                self.queue.folder.put_request(self.name, "ready")

    def rest(self) -> None:
        """Wait for a worker's end, a signal, or the next tick."""
        if not self.workers and not self.wanted():
            return
        due = self.chores.due() if self.chores and self.wanted() else None
        pause = pace.until(due, pace.SUPERVISOR_TICK_SECONDS if self.announced else 0.01)
        self.standing.presence.tell("trouble", self.replacing.trouble())
        sentinels = [worker.process.sentinel for worker in self.workers]
        if not self.wake.wait_for_any(sentinels, pause) and self.is_complete():
            self.quiet.stay(lambda: self.wake.wait_for_any(sentinels, pause) or processes.has_dead_child(), due)
        if self.chores:
            self.chores.turn(serves=self.wanted() > 0)

    def is_complete(self) -> bool:
        """True where nothing is to be done unless something changes."""
        stays = self.announced and not self.stage and not self.replacing.is_told and self.options.max_seconds is None
        return stays and self.slots() == self.wanted() and self.standing.is_sure()

    def leave(self) -> None:
        """See the workers off, also when the supervisor itself has failed."""
        if self.workers and not self.stage:
            self.request("stop")
        while self.workers:
            self.heed_requests()
            self.bury_dead_workers()
            self.rest()
        if self.chores:
            self.chores.close(self.heed_requests)
        self.wake.close()
        stops.forget_requests(self.queue.database, self.name)
        self.standing.leave(holds_jobs=False)
        self.say("supervisor stopped")


def serve(
    queue: Queue, name: str, options: Options, config: ConfigFile, when_present: Optional[Callable[[], None]] = None
) -> None:
    """Be the supervisor *name* to the end."""
    from queuectl_lib.run import starting  # which no worker needs

    starting.spawn_without_front_end()
    with opening.told(queue.folder.path):
        Supervisor(queue, name, options, config, when_present).run()


def work(
    version: str, db_path: str, name: str, supervisor: str, options: Sequence[Any], home: str, rehearses: bool = False
) -> None:
    """The target of a spawned worker process; *version* is that of its supervisor, which may be of older files.

    One that *rehearses* finds out whether a worker can begin now, and no more.
    """
    try:
        if version != VERSION:
            text = "the files here are of version %s now, and this supervisor of %s: start another one"
            log.say(name, "worker cannot go on: " + text % (VERSION, version))
            sys.exit(pace.OTHER_VERSION)
        del globals()["Supervisor"]  # which this process never is: its memory serves what is to come
        gc.collect()  # what loading has left behind
        worker = Worker(Queue(db_path), name, supervisor, Options(*options), ConfigFile(home))
        if rehearses:
            worker.settle_in()
            worker.leave()
        else:
            worker.run()
    except (QueueError, OSError, MemoryError, ImportError) as error:
        log.say(name, "worker cannot go on: %s" % (str(error) or "no memory"))
        sys.exit(HostError.exit_code)


class Worker:
    """Claims and runs jobs, so many at once as it has slots, and looks after those of dead workers."""

    def __init__(
        self, queue: Queue, name: str, supervisor: str, options: Options, read_settings: Callable[[], Settings]
    ) -> None:
        self.queue = queue
        self.name = name
        self.supervisor = supervisor
        self.options = options
        queue.database.served = options.served
        self.current = CurrentSettings(read_settings, options.overrides, self.say)
        self.ahead: Deque[Claim] = collections.deque()  # claimed, not started
        self.ended: List[Outcome] = []  # not recorded yet
        self.pace = Pace()
        self.slots = Slots(options.slots, self.pace)
        self.running = self.slots.running
        self.stage = ""  # or one of folder.REQUESTS
        self.signals: List[int] = []
        self.looked_at = 0.0
        self.share = os.urandom(1)[0] / 256  # of the pause: many workers do not look all at once
        self.heeded_at = 0.0
        self.trouble = trouble.Trouble(self.say)
        self.refusals = refusals.Refusals(queue, name, self.say)
        self.stop = Stop(queue.folder, supervisor)
        self.orphans = Orphans(queue, name, self.current, self.stop, self.say)
        self.glance = Glance(queue.database, options.processes)
        self.spare = SpareFiles(queue)
        self.clock = trouble.ClockWatch()

    def run(self) -> None:
        self.settle_in()
        while not self.done():
            try:
                self.one_round()
            except QueueError as error:
                if not self.standing.is_lost(at_once=True):
                    self.trouble.meet(error)
                    self.bell.wait(self.trouble.pause, self.wake)
            except (OSError, MemoryError) as error:  # the disk or its permissions, memory: keep everything, go on
                self.trouble.meet(trouble.in_words(error))
                self.bell.wait(self.trouble.pause, self.wake)
        self.leave()

    def one_round(self) -> None:
        self.heed_requests()
        if not self.queue.folder.identity:
            self.standing.recognise(self.queue.database, ending.settle, self.current.settings)
        self.collect_ended()
        self.queue.database.busy_seconds = self.trouble.patience(self.running)
        if not self.standing.lost:
            self.look_around()
            self.keep_going()
        self.rest()

    # -------------------------------------------------------- coming and going

    def settle_in(self) -> None:
        os.umask(0o077)
        spawn.prepare()
        stream.never_wait()
        self.wake = WakeUp(self.signals)
        signals.reset_signals(self.wake)
        self.bell = Bell(self.queue.folder.bell, self.queue.path)
        self.quiet = Quiet(self.queue.database, self.signals, self.bell)
        self.job_object = tree.own_job_object(self.name)
        details = presence.member_details("worker", self.supervisor, self.options.told(), self.slots.most)
        self.standing = standing.Standing(self.queue.folder, self.name, details, self.say)
        self.say("worker started, pid %d" % os.getpid())
        with contextlib.suppress(HostError, OSError, MemoryError):  # which the first round tells of
            self.queue.forgive_clock(time.time())  # it may have gone back while no worker ran

    def done(self) -> bool:
        """True when a stopping worker holds nothing any more, or a draining one has nothing left."""
        if self.trouble.outlasts(self.stage) and not self.running:
            return True  # what it holds is evidence on the disk: the next worker records it
        if self.standing.lost:
            return not self.running
        if self.running or self.ended or self.ahead:
            return False
        return bool(self.stage) or (self.options.drain and outlook.nothing_left(self.queue.database))

    def leave(self) -> None:
        signals.hold_back_late_ones()
        self.bell.close()
        self.wake.close()
        self.spare.clear()
        tree.spare_leftovers(self.job_object)
        left = self.refusals.left_unrecorded(self.ended)
        self.say("worker stopped")
        self.standing.leave(holds_jobs=self.stage == "leave" or bool(left or self.ahead or self.slots.left))

    def say(self, text: str) -> None:
        log.say(self.name, text)

    # -------------------------------------------------------- what others want

    def heed_requests(self) -> None:
        now = time.monotonic()
        if now - self.heeded_at < pace.HEED_SECONDS and not self.signals:
            return
        self.heeded_at = now
        noted = [self.signals.pop(0) for _ in range(len(self.signals))]
        if self.stop.is_asked("now") or signals.NOW_SIGNAL in noted:
            self.stop_now()
        elif self.standing.is_lost(at_once=bool(noted)):
            self.let_go()
        elif self.stop.is_asked("leave") and self.stage != "now":
            self.leave_running()
        elif not self.stage and (noted or self.stop.is_asked("stop") or not self.standing.sees(self.supervisor)):
            self.stage = "stop"
        if self.stage:
            self.standing.presence.tell("asked", self.stage)
            self.slots.heed(self.stop, self.say)

    def let_go(self) -> None:
        """The queue is not at its path: what runs is left to whoever finds it, or where nobody can, waited for."""
        self.ahead.clear()
        if self.standing.lost == standing.MOVED:
            self.leave_running()
        self.stage = self.stage or "stop"
        for attempt in [one for one in self.running if one.adopted]:  # its end would be told by files
            self.slots.leave(attempt, self.say)

    def leave_running(self) -> None:
        """Let go of what runs: without our life file, it is the next worker's to adopt."""
        self.stage = "leave"
        self.collect_ended()
        for attempt in self.running[:]:
            self.slots.leave(attempt, self.say)

    def stop_now(self) -> None:
        self.stage = "now"
        self.slots.end_all(states.GIVEN_BACK, "ended by a stop")

    # -------------------------------------------------------- one round

    def collect_ended(self) -> None:
        with self.slots.looking():
            for attempt in self.slots.with_news():
                outcome = attempt.poll()
                if attempt.defies_news():
                    survivors = concluding.survivors(attempt)
                    self.say("job %s cannot be ended: still alive: %s" % (attempt.claim.id, survivors))
                if outcome:
                    failpoints.failpoint("attempt.ended")
                    self.running.remove(attempt)
                    self.ended.append(outcome)
                    self.trouble.note_start(attempt.claim.token, outcome.error if outcome.unstarted else None)
                    self.pace.follow(time.monotonic() - attempt.began)

    def keep_going(self) -> None:
        """Start the next job where there is room for one, after recording and claiming where that is due."""
        if self.trouble.is_in_the_way(self.stage) or not self.slots.have_room():
            return
        if not self.ahead or self.stage:
            self.trade(claim=True)
        if not self.ahead or self.stage:
            return
        if self.standing.is_shown():
            self.start(self.ahead.popleft())
        elif not self.standing.lost:  # others may have taken us for dead, and what we hold ahead for theirs
            self.trade(claim=False)
            self.trouble.retry_at = time.monotonic() + pace.STANDING_SECONDS / 2

    def trade(self, claim: bool) -> None:
        """One transaction: record what ended, give back what will not start now, claim what is next."""
        want = 0 if self.stage or not claim or self.refusals.are_many() else self.pace.batch
        given_back = [attempts.unstarted(held) for held in self.ahead]
        if not (self.ended or given_back or (want and self._something_due())):
            return
        self.current.refresh()
        try:
            lost, claims, more = self.refusals.exchange(self.ended + given_back, want, self.current.settings)
        except QueueError as error:
            self.trouble.meet(error, in_writing=True)
            return
        self.trouble.over(in_writing=True)
        recorded, self.ended = self.refusals.others(self.ended), []
        for outcome in recorded:
            self.report(outcome, outcome in lost)
        self.ahead.clear()
        self.ahead.extend(claims)
        if more or given_back or (recorded and self.running):  # what we recorded beside our own job may be due again
            bell.ring(self.queue.folder.bell)

    def _something_due(self) -> bool:
        """Ask without a write lock; also find out how long an idle worker may sleep.

        Not after the bell: that something is due is then likely enough to try at once.
        """
        if self.ended or self.bell.rung:
            self.bell.rung, self.glance.is_stale = False, True
            return True
        try:
            self.glance.refresh()
        except QueueError as error:
            self.trouble.meet(error)
            return False
        self.trouble.over()
        return self.glance.next_due is not None and self.glance.next_due <= time.time()

    def start(self, claim: Claim) -> None:
        refused = self.slots.start(taking.attempt_of(self, claim, self.stop), self.current.settings, self.spare)
        if refused is None:
            self.trouble.starts[claim.token] = log.start_of(claim)
        else:
            self.ended.append(refused)
            if refused.unstarted:
                self.trouble.note_start(claim.token, refused.error)
        self.queue.database.catch_up()

    def report(self, outcome: Outcome, lost: bool) -> None:
        """Log a recorded outcome and remove the files that it made useless."""
        claim = outcome.claim
        if lost and concluding.was_lost(self.queue.database, outcome):
            self.say("job %s: %s" % (claim.id, concluding.why_unrecorded(outcome)))
            return
        failpoints.failpoint("report.recorded")
        self.spare.put_away(outcome)
        failpoints.failpoint("report.removed")
        if not (outcome.unstarted and outcome.error):  # a shortage, which has been told
            self.say("job %s %s" % (claim.id, concluding.sentence(outcome)))

    # -------------------------------------------------------- resting

    def rest(self) -> None:
        """Sleep until something can have changed."""
        if self.running:
            self.watch_running()
        elif not (self.ended or self.ahead or self.stage) or self.trouble.is_in_the_way(self.stage):
            self.idle()

    def watch_running(self) -> None:
        """Wait for what runs: for a moment for a short job, with the results of others in hand; then for what comes."""
        young = self.slots.young()
        if young and not self.slots.have_room():
            if self.slots.wait(young.began + pace.QUICK_SECONDS - time.monotonic(), self.wake):
                return
            self.pace.follow(pace.AHEAD_SECONDS)  # so it is a long one
        self.trouble.tell_starts(self.running)
        if (self.ended or self.ahead) and not self.trouble.is_in_the_way(self.stage):
            self.trade(claim=self.slots.have_room())
            if self.ahead:
                return
        if True in [attempt.bound_output() for attempt in self.running]:
            return  # it writes fast: look again at once
        has_room = self.slots.have_room() and not self.stage
        pause = min(self.slots.tick(), self.due_within(pace.CALM_TICK_SECONDS) if has_room else pace.CALM_TICK_SECONDS)
        if pause and not self.slots.wait(pause, self.wake, self.bell if has_room else None):
            self.spare.clear()  # long jobs: nothing is started soon

    def idle(self) -> None:
        """Wait for the bell, the next due time, or poll_interval."""
        pause = self.due_within(min(self.current.settings.poll_interval, pace.longest_rest(self.options.drain)))
        if pause and not self.bell.wait(pause, self.wake):
            self.spare.clear()
            if self.only_waits():
                self.quiet.stay(lambda: self.bell.wait(pause, self.wake), self.glance.next_due)

    def due_within(self, pause: float) -> float:
        """How long to wait, *pause* seconds at the most, where something may fall due; 0.0: ask the database first."""
        if self.trouble.is_in_the_way():
            return self.trouble.rest()
        return pause if self.refusals.are_many() else self.glance.due_within(pause)

    def only_waits(self) -> bool:
        """True where nothing but what others do ends the waiting, and files, the bell or a signal tell of that."""
        mine = self.options.drain or self.glance.processing or self.refusals.apart or log.Unwritten.lines
        return not mine and self.standing.is_sure() and self.trouble.is_over()

    # -------------------------------------------------------- the jobs of others

    def look_around(self) -> None:
        """Heed cancels, and decide what became of the jobs of dead workers."""
        now = time.monotonic()
        pause = pace.pause_between_looks(now, [one.began for one in self.running], self.options.processes)
        if self.looked_at and now - self.looked_at < pause:
            return
        self.looked_at = now if self.looked_at else now - self.share * pause
        log.tell_unwritten()
        try:
            if self.clock.went_back():
                self.say("the clock went back: retries that would wait for it are due now")
                self.queue.forgive_clock(time.time())
            self.glance.refresh()
            self.slots.keep_notes()
            mine = {attempt.claim.token: attempt for attempt in self.running}
            for job in self.glance.processing:
                if job["token"] in mine and job["cancel_requested"]:
                    mine[job["token"]].cancel()
            for outcome, lost in self.refusals.try_again(self.current.settings):
                self.report(outcome, lost)
            ours = self.running + self.ended + self.refusals.apart
            held = self.slots.left | {claim.seq for claim in [*self.ahead, *[one.claim for one in ours]]}
            free = 0 if self.ahead or self.stage else self.slots.free()
            self.orphans.look_after(self.glance.processing, held, self.running, free)
            self.collect_ended()  # those that had ended
        except QueueError as error:
            self.trouble.meet(error)
