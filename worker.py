"""worker: running jobs, and keeping the runners alive.

    Supervisor --spawn--> Worker --sh (the watcher)--> command --> whatever it starts
        |                   |            |
        | life file         | life file  | attempts/T.run: lock inherited by the whole tree;
        | (locked)          | (locked)   | the watcher adds "pid N" and, at the end, "exit N"
        v                   v            v
                   the queue's folder  <------- anyone who must decide what became of a job

The supervisor starts workers, replaces those that die, and passes on the wish to stop as
files in the queue's folder (they need no signal, so Windows has them too, and no
multiprocessing primitive is shared: a killed child would take its lock along).

A worker loops: collect what ended, look around, start what is next, rest. Results that
end together and the next claims share one transaction. While jobs are short a worker
claims ahead what it expects to run within AHEAD_SECONDS, and gives back what it has not
started as soon as one takes longer than QUICK_SECONDS, so no job waits behind a long one.

While a worker is busy, the files of recorded attempts that stayed empty serve the next ones
(SpareFiles): to make and delete three of them costs more than a short command.

A job outlives its worker. Its watcher is a shell of the job's own session that waits for
the command and leaves the exit status in the run file. When a worker is gone (its life
file is no longer locked: the kernel's word, not a clock's), any other worker decides what
became of its jobs, in this order:

    no run file or no "pid" line, and the lock free   it never started: given back
    "exit N" in the run file                          it finished unseen: recorded (one that was
                                                      being ended, as what it was ended for)
    the run file is locked                            it still runs: adopted by an idle worker
    otherwise                                         it died: a lost attempt

Keeping the runners alive is here as well: starting one only where none serves, crontab lines
that do so, and `doctor`, which tries on a host whether all of this works there.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import functools
import multiprocessing
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import storage
from storage import Claim, Finding, HostError, Outcome, Presence, Queue, QueueError, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

    if sys.platform == "win32":
        ChildProcess = subprocess.Popen[bytes]
    else:
        ChildProcess = Union[subprocess.Popen[bytes], "Child"]

    class Options(NamedTuple):
        """What `worker start` was asked for; seconds where it is a time."""

        workers: int
        drain: bool
        backoff_base: Optional[float]
        poll_interval: Optional[float]
        max_seconds: Optional[float]

else:
    Options = collections.namedtuple("Options", "workers drain backoff_base poll_interval max_seconds")

VERSION = "0.1.0"

NOW_SIGNAL = int(getattr(signal, "SIGUSR1", 0))  # from the supervisor to its workers
REQUESTS = ("stop", "leave", "now")  # files that ask a supervisor and its workers to end: a later one outdoes
BATCH_MOST = 32  # jobs that one worker claims ahead at the most
AHEAD_SECONDS = 0.05  # what it claims ahead it expects to run within this time
QUICK_SECONDS = 0.02  # a job that takes longer has the rest given back
TICK_SECONDS = 0.25  # how often a busy worker looks at requests
SUPERVISOR_TICK_SECONDS = 0.5  # the same for a supervisor, whom signals and dying workers wake at once
ADOPTED_TICK_SECONDS = 0.1  # how often a job that is nobody's child is looked at
LOOK_AROUND_SECONDS = 1.0  # how often cancels and orphans are looked for
LOOKS_PER_SECOND = 4  # that all workers of a supervisor together take at the most, while their jobs are short
SETTLED_SECONDS = 3.0  # how long files must have been at rest before their times are trusted
FRESH_SECONDS = 10.0  # how long an answer of the database counts at the most
KILL_SECONDS = 5.0  # how long SIGKILL may take before a process counts as unkillable
PS_SECONDS = 2.0  # how far the start of a process that `ps` tells may be off (it tells whole seconds)
SHORT_LIFE_SECONDS = 1.0  # a worker that dies sooner is replaced after a pause, not in a spin
BOOT_FAILURES = 3  # workers that die before they began, in a row, that stop the supervisor
READY_SECONDS = 60.0  # how long a background supervisor may take to be ready
LOG_BYTES = 8 * 1024 * 1024  # a background log larger than this is rotated
TROUBLE_SECONDS = 5.0  # longest pause between two tries while the database refuses
WINDOWS_WAITS = 60  # of how many workers Windows can tell the end at once (63, less some)

SHELL = "/bin/sh"
# The watcher. Its stdin is the run file: moved to 9, where the command's tree inherits it
# (redirected anew for the command, for shells that close 3 to 9). It outlives the signals
# that end the command, and keeps the shell's own "Killed" out of the job's output.
# EVALUATE runs text in a fork of the watcher, which saves loading a second shell (a third
# of the cost of a short job); EVALUATE_INSIDE in the watcher itself, which saves the fork
# too, for text that is one builtin that only writes and returns (ONE_BUILTIN). Text that
# may ask for its own pid gets a shell of its own, and so does every text where sh is of the
# ksh or zsh kind: these do not fork there, or keep descriptor 9 from what they start.
WATCHER = """exec 9<&0 8>&2 </dev/null 2>/dev/null
trap : HUP INT QUIT TERM USR1 USR2 ALRM
echo "pid $$" >&9
umask "$1"; shift
%s
queuectl_code=$?
echo "exit $queuectl_code" >&9
exit "$queuectl_code"
"""
NEEDS_OWN_SHELL = re.compile(r"\$\$|PPID|\{\$\}|(?:^|[\s;&|({])(?:\.|source)\s")
ONE_BUILTIN = re.compile(r"\s*(?:true|false|echo|test)(?:[ \t]+(?:[\w./:,=@%+-]+|'[^'\\$`\[]*'))*\s*\Z")
EXECUTE = WATCHER % '(exec "$@" 9<&9 2>&8 8>&-)'
EVALUATE = WATCHER % """if [ -z "${KSH_VERSION-}${YASH_VERSION-}${ZSH_VERSION-}" ]
then (eval "set --; $1") 9<&9 2>&8 8>&-
else (exec "$0" -c " $1" 9<&9 2>&8 8>&-)
fi"""
EVALUATE_INSIDE = EVALUATE.replace('(eval "set --; $1")', 'eval "set --; $1"')


# ---------------------------------------------------------------- saying


def say(who: str, text: str) -> None:
    """One line to the log (standard error), in one write so that lines of many processes stay whole."""
    line = "%s %s: %s\n" % (second_text(int(time.time())), who, storage.printable(text))
    with contextlib.suppress(OSError):  # a full or closed log stops no work
        os.write(2, line.encode("utf-8", "backslashreplace"))


@functools.lru_cache(maxsize=1)
def second_text(second: int) -> str:
    """A second since 1970 as local time: a busy worker says hundreds of lines in one."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


def brief(command: Union[str, Sequence[str]]) -> str:
    """A command as one short piece of text."""
    text = command if isinstance(command, str) else " ".join(shlex.quote(word) for word in command)
    return text if len(text) <= 60 else text[:57] + "..."


def seconds_text(seconds: float) -> str:
    """Three digits are enough: 0.0042 s, 3.2 s, 60 s, 86400 s."""
    return ("%.2g" % seconds if seconds < 10 else "%.0f" % seconds) + " s"


# ---------------------------------------------------------------- supervisor


def checked_options(
    count: str, drain: bool, backoff_base: Optional[str], poll_interval: Optional[str], max_time: Optional[str]
) -> Options:
    """What the words of a command line ask for. Raises BadInput."""
    base: Any = None if backoff_base is None else storage.decimal_number(backoff_base, "--backoff-base")
    return Options(
        workers=storage.count_from_text(count, "--count", 1000),
        drain=drain,
        backoff_base=None if base is None else storage.check_setting("backoff_base", base),
        poll_interval=None if poll_interval is None else storage.check_setting("poll_interval", poll_interval),
        max_seconds=None if max_time is None else storage.parse_duration(max_time, "--max-time"),
    )


def command_line(script: str, home: str, name: str, options: Options) -> List[str]:
    """The words that start a supervisor *name* with these options: the reverse of :func:`checked_options`."""
    words = [script, "--home", home, "worker", "start", "--name", name, "--count", str(options.workers)]
    given = (
        ("--backoff-base", options.backoff_base),
        ("--poll-interval", options.poll_interval),
        ("--max-time", options.max_seconds),
    )
    for option, value in given:
        words += [] if value is None else [option, storage.number_text(value)]
    return words + ["--drain"] * options.drain


def new_supervisor_name() -> str:
    """A name that no other supervisor of this queue has had."""
    return "s" + os.urandom(3).hex()


class WorkerProcess:
    """A worker as its supervisor sees it."""

    def __init__(self, name: str, process: Any) -> None:
        self.name = name
        self.process = process
        self.began = time.monotonic()
        self.booted = False


class Supervisor:
    """Keeps the wanted number of workers alive until asked to stop, until drained, or until its time is over.

    It calls *when_present* as soon as others can see that it lives.
    """

    def __init__(
        self,
        queue: Queue,
        name: str,
        options: Options,
        read_settings: Callable[[], Settings],
        when_present: Optional[Callable[[], None]] = None,
    ) -> None:
        self.queue = queue
        self.name = name
        self.options = options
        self.read_settings = read_settings
        self.when_present = when_present
        self.began = time.monotonic()
        self.workers: List[WorkerProcess] = []
        self.stage = ""  # or one of REQUESTS: what the workers have been asked
        self.signals: List[int] = []
        self.started = 0
        self.boot_failures = 0
        self.start_after = 0.0  # monotonic; later only while workers die before they begin
        self.drained = False
        self.announced = False
        self.keeper: Optional[Keeper] = None

    def run(self) -> None:
        """Serve until the end. Raises HostError when workers cannot start."""
        self.boot()
        try:
            while self.workers or self.wanted():
                self.heed_requests()
                self.bury_dead_workers()
                self.start_missing_workers()
                self.announce_ready()
                self.rest()
        finally:
            self.leave()

    def boot(self) -> None:
        self.queue.create()
        self.read_settings()
        free_signals()
        self.wake = WakeUp(self.signals)
        for number in stop_signals():  # before anyone can see that we are here, and ask us to stop
            self.wake.catch(number)
        self.presence = Presence(self.queue, self.name, member_details("supervisor", self.name))
        if self.when_present:
            self.when_present()
        self.keeper = Keeper(self.queue)
        os.chdir(os.path.abspath(os.sep))  # spawn fails from a directory that was deleted
        say(self.name, "supervisor started, pid %d, workers: %d" % (os.getpid(), self.options.workers))

    def wanted(self) -> int:
        """How many workers there should be."""
        return 0 if self.stage or self.drained else self.options.workers

    def heed_requests(self) -> None:
        """Follow signals, and requests that others left as files."""
        for _ in range(len(self.signals)):
            say(self.name, "%s received" % signal_name(self.signals.pop(0)))
            request = "now" if self.stage else "stop"
            self.request(request)
            self.advance(request)
        if self.time_is_over() and not self.stage:
            self.request("stop")
            self.advance("stop")
        for request in REQUESTS:
            if os.path.exists(self.queue.request_path(self.name, request)):
                self.advance(request)

    def time_is_over(self) -> bool:
        limit = self.options.max_seconds
        return limit is not None and time.monotonic() - self.began >= limit

    def request(self, request: str) -> None:
        try:
            os.close(storage.open_private(self.queue.request_path(self.name, request), os.O_CREAT | os.O_WRONLY))
        except OSError as error:
            say(self.name, "cannot pass the stop on as a file (%s): workers are signalled" % error.strerror)

    def wake_workers(self) -> None:
        """Say it by signal too: that ends an idle worker's sleep, and works without the folder."""
        if sys.platform != "win32":
            number = signal.SIGUSR1 if self.stage == "now" else signal.SIGTERM
            for worker in self.workers:
                if worker.process.exitcode is None:  # not waited for yet, so the pid is its own
                    os.kill(worker.process.pid, number)

    def advance(self, stage: str) -> None:
        if self.stage and REQUESTS.index(stage) <= REQUESTS.index(self.stage):
            return
        self.stage = stage
        if stage == "leave":
            say(self.name, "stopping: running jobs go on without a worker, for the next one to adopt")
        elif stage == "stop":
            say(self.name, "stopping: running jobs finish, nothing new starts (again to end them)")
        else:
            say(self.name, "stopping now: running jobs are ended and given back")
        self.wake_workers()

    def bury_dead_workers(self) -> None:
        for worker in self.workers[:]:
            worker.booted = worker.booted or os.path.exists(self.queue.life_path(worker.name))
            if worker.process.exitcode is None:
                continue
            self.workers.remove(worker)
            self.judge(worker, worker.process.exitcode)
            worker.process.close()

    def judge(self, worker: WorkerProcess, code: int) -> None:
        """Tell a worker that left from one that died, and that from one that never began."""
        if code == 0:
            self.boot_failures = 0
            self.drained = self.drained or (self.options.drain and nothing_left(self.queue))
            return
        how = "killed by %s" % signal_name(-code) if code < 0 else "exit code %d" % code
        say(self.name, "worker %s died (%s)" % (worker.name, how))
        self.boot_failures = 0 if worker.booted or self.stage else self.boot_failures + 1
        now = time.monotonic()
        pause = SHORT_LIFE_SECONDS / 2 if now - worker.began < SHORT_LIFE_SECONDS else 0.0
        self.start_after = now + min(max(pause, self.boot_failures * 0.2), TROUBLE_SECONDS)
        if self.boot_failures >= BOOT_FAILURES and os.access(self.queue.workers_folder, os.W_OK | os.X_OK):
            raise HostError("workers cannot start (%s each time): the lines above say why" % how)

    def start_missing_workers(self) -> None:
        while len(self.workers) < self.wanted() and time.monotonic() >= self.start_after:
            self.started += 1
            name = "%s-%d" % (self.name, self.started)
            arguments = (self.queue.path, name, self.name, self.options, self.read_settings)
            process = multiprocessing.get_context("spawn").Process(target=work, args=arguments, name=name)
            try:
                start_helper_of_spawn()
                with signals_held_back():
                    process.start()
            except OSError as error:
                self.meet_shortage(error)
                return
            self.workers.append(WorkerProcess(name, process))

    def meet_shortage(self, error: OSError) -> None:
        """No process or memory for a worker now: fatal at the start, later a reason to wait."""
        if not self.announced and not self.workers:
            raise HostError("cannot start a worker: %s" % error.strerror)
        say(self.name, "cannot start a worker: %s; trying again" % error.strerror)
        self.start_after = time.monotonic() + TROUBLE_SECONDS

    def announce_ready(self) -> None:
        """Tell who started us in the background that every worker is up (or that we are to stop already)."""
        complete = len(self.workers) >= self.options.workers
        up = complete and all(worker.booted for worker in self.workers)
        if not self.announced and (up or self.stage):
            self.announced = True
            self.boot_failures = 0
            with contextlib.suppress(OSError):
                os.close(storage.open_private(self.queue.request_path(self.name, "ready"), os.O_CREAT | os.O_WRONLY))

    def rest(self) -> None:
        """Wait for a worker's end, a signal, or the next tick."""
        import multiprocessing.connection  # loads tempfile and hashlib: no worker needs these

        if not self.workers and not self.wanted():
            return
        handles: List[Any] = [worker.process.sentinel for worker in self.workers]
        if sys.platform == "win32":
            handles = handles[:WINDOWS_WAITS]
        pause = SUPERVISOR_TICK_SECONDS if self.announced else 0.01
        with contextlib.suppress(InterruptedError):  # on Windows Ctrl+C ends the wait so
            multiprocessing.connection.wait(handles + self.wake.handles(), pause)
        self.wake.clear()
        if self.keeper:
            self.keeper.renew()
        trim_log(self.queue.log_path)

    def leave(self) -> None:
        """See the workers off, also when the supervisor itself has failed."""
        if self.workers and not self.stage:
            self.request("stop")
            self.advance("stop")
        while self.workers:
            self.heed_requests()
            self.bury_dead_workers()
            self.rest()
        if self.keeper:
            self.keeper.close()
        self.wake.close()
        for request in REQUESTS + ("ready",):
            with contextlib.suppress(OSError):
                storage.remove(self.queue.request_path(self.name, request))
        with contextlib.suppress(OSError):
            self.presence.end()
        say(self.name, "supervisor stopped")


def nothing_left(queue: Queue) -> bool:
    """True when no job waits or runs (False where the database does not answer)."""
    try:
        counts = queue.counts()
    except HostError:
        return False
    return not (counts["pending"] or counts["failed"] or counts["processing"])


class Keeper:
    """An idle connection that lives as long as its supervisor; it follows a replaced file."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.connection: Any = None
        self.identity: Any = None
        self.renew()

    def renew(self) -> None:
        identity = self._identity()
        if identity == self.identity:
            return
        self.close()
        with contextlib.suppress(QueueError):
            self.connection = self.queue.keeper()
            self.identity = identity

    def _identity(self) -> Optional[Tuple[int, int]]:
        try:
            info = os.stat(self.queue.path)
            return info.st_dev, info.st_ino
        except OSError:
            return None

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = self.identity = None


def member_details(kind: str, supervisor: str) -> Dict[str, Any]:
    """What `worker list` shows of this process."""
    return {
        "kind": kind,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": storage.utc_text(time.time()),
        "supervisor": supervisor,
    }


def stop_signals() -> List[int]:
    """The signals that ask to stop, less those that whoever started us had ignored (nohup)."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    numbers = [int(getattr(signal, name)) for name in names if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


def free_signals() -> None:
    """Take back what whoever started us did to SIGCHLD and the mask.

    An ignored SIGCHLD hides every exit status, and would turn failures into successes.
    """
    if sys.platform != "win32":
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])


def start_helper_of_spawn() -> None:
    """See that multiprocessing's resource tracker runs: to start it unblocks SIGINT and SIGTERM (3.8 to 3.12)."""
    if sys.platform != "win32":
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Start a child that gets no signal before it can handle one (it unblocks them itself)."""
    if sys.platform == "win32":
        yield
        return
    held = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


def trim_log(path: str) -> None:
    """Rotate the log when standard error is that file and it has grown large."""
    try:
        info = os.fstat(2)
        if info.st_size > LOG_BYTES and os.path.samestat(info, os.stat(path)):
            shutil.copyfile(path, path + ".1")
            os.chmod(path + ".1", storage.PRIVATE_FILE)
            if sys.platform == "win32":
                os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))  # descriptor 2 may only append
            else:
                os.ftruncate(2, 0)  # every writer appends, so none leaves a hole
    except OSError:
        pass


class WakeUp:
    """Ends a wait when a signal arrives: handlers only note it and the wait's pipe wakes."""

    def __init__(self, noted: List[int]) -> None:
        self.noted = noted
        self.reader, self.writer = socket.socketpair()
        self.reader.setblocking(False)
        self.writer.setblocking(False)
        signal.set_wakeup_fd(self.writer.fileno(), warn_on_full_buffer=False)

    def catch(self, number: int) -> None:
        signal.signal(number, self._note)

    def ignore(self, number: int) -> None:
        """Let a signal only wake; unlike SIG_IGN, a job does not inherit this."""
        signal.signal(number, self._pass)

    def _note(self, number: int, frame: object) -> None:
        self.noted.append(number)

    def _pass(self, number: int, frame: object) -> None:
        return

    def handles(self) -> List[Any]:
        """What multiprocessing.connection.wait can wait for (on Windows it takes no sockets)."""
        return [] if sys.platform == "win32" else [self.reader]

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            while len(self.reader.recv(4096)) == 4096:
                pass

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        self.reader.close()
        self.writer.close()


# ---------------------------------------------------------------- starting


def ensure_served(queue: Queue, start: Callable[[Callable[[], None]], None]) -> None:
    """Call *start* unless a supervisor serves the queue, or another call is about to start one.

    It is given what to call once others can see the new one.
    """
    with storage.told(queue.folder):
        lock = queue.try_start_lock()
    if lock is None:
        return
    held = [lock]

    def let_go() -> None:
        while held:
            os.close(held.pop())

    try:
        if not queue.is_served():
            start(let_go)
    finally:
        let_go()


def serve(
    queue: Queue,
    name: str,
    options: Options,
    read_settings: Callable[[], Settings],
    when_present: Optional[Callable[[], None]] = None,
) -> None:
    """Be the supervisor *name* to the end."""
    spawn_without_front_end()
    with storage.told(queue.folder):
        Supervisor(queue, name, options, read_settings, when_present).run()


def spawn_without_front_end() -> None:
    """Have spawned processes load this file and storage.py alone: of the front end they need nothing.

    multiprocessing would load it there as well, by path and so uncached, unless the main
    module has a name; and by the name __main__ it loads nothing.
    """
    from importlib.machinery import ModuleSpec  # no worker needs it

    main_module = sys.modules["__main__"]
    if main_module.__spec__ is None:
        main_module.__spec__ = ModuleSpec("__main__", None)


def start_background(queue: Queue, arguments: Sequence[str], name: str) -> int:
    """Start `queuectl.py ARGUMENTS` as a detached supervisor *name*; returns its pid when it is ready.

    Raises HostError with its own words when it cannot start.
    """
    queue.create()
    free_signals()
    command = [sys.executable] + subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    environment = {key: value for key, value in os.environ.items() if key not in JOB_VARIABLES}
    if sys.platform == "win32":
        log = open_appending(queue.log_path)
    else:
        log = os.open(queue.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, storage.PRIVATE_FILE)
        storage.restore_owner_bits(log)
    try:
        begin = os.fstat(log).st_size
        child = detached(command + list(arguments), environment, log)
    finally:
        os.close(log)
    deadline = time.monotonic() + READY_SECONDS
    while not os.path.exists(queue.request_path(name, "ready")):
        if child.poll() is not None:
            if child.returncode == 0:
                break  # drained already
            raise HostError("the worker did not start: %s" % last_words(queue.log_path, begin))
        if time.monotonic() > deadline:
            raise HostError("the worker is not ready after %d seconds: see %s" % (READY_SECONDS, queue.log_path))
        time.sleep(0.01)
    pid = child.pid
    child.returncode = 0  # it is on its own now: no warning about a child left behind
    return pid


def detached(command: List[str], environment: Dict[str, str], log: int) -> subprocess.Popen[bytes]:
    """Start a process that no terminal, shell or parent holds on to."""
    if sys.platform == "win32":
        # A console of its own without a window: without any (DETACHED_PROCESS) each worker,
        # and many a program that a job starts, would open a window.
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        try:
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                creationflags=flags | subprocess.CREATE_BREAKAWAY_FROM_JOB,
            )
        except PermissionError:  # the job object we are in lets nobody out
            return subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, creationflags=flags
            )
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


def last_words(path: str, begin: int) -> str:
    """The last line that was logged after byte *begin*."""
    with open(path, "rb") as file:
        file.seek(begin)
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    words = lines[-1] if lines else "it said nothing"
    prefix = "queuectl: error: "
    return words[len(prefix) :] if words.startswith(prefix) else words


# ---------------------------------------------------------------- worker

JOB_VARIABLES = (
    "QUEUECTL_JOB_ID",
    "QUEUECTL_ATTEMPT",
    "QUEUECTL_MAX_RETRIES",
    "QUEUECTL_HOME",
    "QUEUECTL_TOKEN",
    "QUEUECTL_FAILPOINT",
)


def work(db_path: str, name: str, supervisor: str, options: Options, read_settings: Callable[[], Settings]) -> None:
    """The target of a spawned worker process."""
    try:
        Worker(Queue(db_path), name, supervisor, options, read_settings).run()
    except (QueueError, OSError) as error:
        say(name, "worker cannot go on: %s" % error)
        sys.exit(HostError.exit_code)


class Worker:
    """Claims and runs one job at a time, and looks after the jobs of dead workers."""

    def __init__(
        self, queue: Queue, name: str, supervisor: str, options: Options, read_settings: Callable[[], Settings]
    ) -> None:
        self.queue = queue
        self.name = name
        self.supervisor = supervisor
        self.options = options
        self.read_settings = read_settings
        self.settings = read_settings()
        self.running: List[Attempt] = []  # at most one of its own; any number that it ends for others
        self.ahead: Deque[Claim] = collections.deque()  # claimed, not started
        self.ended: List[Outcome] = []  # not recorded yet
        self.batch = 1  # how many to claim
        self.pace = 0.0  # seconds that a job took of late
        self.stage = ""  # or one of REQUESTS
        self.signals: List[int] = []
        self.looked_at = 0.0
        self.share = os.urandom(1)[0] / 256  # of the pause: many workers do not look all at once
        self.heeded_at = 0.0
        self.trouble = ""
        self.trouble_pause = 0.0
        self.write_refused = False  # the last time
        self.shortage_pause = 0.0
        self.retry_at = 0.0
        self.puzzles: Set[str] = set()  # tokens of orphans whose files cannot be read
        self.glance = Glance(queue)
        self.spare = SpareFiles(queue)
        self.rung = False  # the bell, just now
        self.clock_offset = time.time() - time.monotonic()

    def run(self) -> None:
        self.settle_in()
        while not self.done():
            try:
                self.one_round()
            except QueueError as error:
                self.meet_trouble(str(error))
                self.bell.wait(self.trouble_pause, self.wake)
            except OSError as error:  # the disk or its permissions: keep everything, go on
                self.meet_trouble("%s: %s" % (error.filename, error.strerror))
                self.bell.wait(self.trouble_pause, self.wake)
        self.leave()

    def one_round(self) -> None:
        self.heed_requests()
        self.collect_ended()
        self.look_around()
        self.keep_going()
        self.rest()

    # -------------------------------------------------------- coming and going

    def settle_in(self) -> None:
        os.umask(0o077)
        keep_descriptors()
        self.wake = WakeUp(self.signals)
        reset_signals(self.wake)
        self.bell = Bell(self.queue)
        self.job_object = own_job_object(self.name)
        self.presence = Presence(self.queue, self.name, member_details("worker", self.supervisor))
        self.say("worker started, pid %d" % os.getpid())
        with contextlib.suppress(HostError, OSError):
            self.queue.tidy()
            self.queue.forgive_clock(time.time())  # it may have gone back while no worker ran

    def done(self) -> bool:
        """True when a stopping worker holds nothing any more, or a draining one has nothing left."""
        if self.stage in ("now", "leave") and self.trouble_pause >= TROUBLE_SECONDS and not self.running:
            return True  # what it holds is evidence on the disk: the next worker records it
        if self.running or self.ended or self.ahead:
            return False
        return bool(self.stage) or (self.options.drain and nothing_left(self.queue))

    def leave(self) -> None:
        if sys.platform != "win32":  # a signal that comes now is late, and must not look like a death
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
        self.bell.close()
        self.wake.close()
        self.spare.clear()
        spare_leftovers(self.job_object)
        self.say("worker stopped")
        with contextlib.suppress(OSError):
            self.presence.end()

    def say(self, text: str) -> None:
        say(self.name, text)

    # -------------------------------------------------------- what others want

    def heed_requests(self) -> None:
        now = time.monotonic()
        if now - self.heeded_at < TICK_SECONDS / 5 and not self.signals:
            return
        self.heeded_at = now
        signals = [self.signals.pop(0) for _ in range(len(self.signals))]
        if self._is_asked_to("now") or NOW_SIGNAL in signals:
            self.stop_now()
        elif self._is_asked_to("leave") and self.stage != "now":
            self.leave_running()
        elif not self.stage and (signals or self._is_asked_to("stop") or not self.queue.is_alive(self.supervisor)):
            self.stage = "stop"

    def _is_asked_to(self, request: str) -> bool:
        return os.path.exists(self.queue.request_path(self.supervisor, request))

    def leave_running(self) -> None:
        """Let go of what runs: without our life file, it is the next worker's to adopt."""
        self.stage = "leave"
        self.collect_ended()
        for attempt in self.running:
            self.say("job %s left running" % attempt.claim.id)
            attempt.forget()
        self.running = []

    def stop_now(self) -> None:
        self.stage = "now"
        for attempt in self.running:
            attempt.end("given back", "ended by a stop")

    # -------------------------------------------------------- one round

    def collect_ended(self) -> None:
        for attempt in self.running[:]:
            outcome = attempt.poll()
            if attempt.defies_news():
                self.say("job %s cannot be ended: still alive: %s" % (attempt.claim.id, attempt.tree.description()))
            if outcome:
                storage.failpoint("attempt.ended")
                self.running.remove(attempt)
                self.ended.append(outcome)
                self.adapt_batch(time.monotonic() - attempt.began)

    def adapt_batch(self, took: float) -> None:
        """Claim twice as many next time, but no more than fit into AHEAD_SECONDS at the pace of late."""
        self.pace = max(took, self.pace + (took - self.pace) / 4)
        fitting = int(AHEAD_SECONDS / max(self.pace, AHEAD_SECONDS / BATCH_MOST))
        self.batch = max(1, min(self.batch * 2, fitting))

    def keep_going(self) -> None:
        """Start the next job, after recording and claiming where that is due."""
        if self.running or time.monotonic() < self.retry_at:
            return
        if not self.ahead or self.stage:
            self.trade(claim=True)
        if self.ahead and not self.stage:
            self.start(self.ahead.popleft())

    def trade(self, claim: bool) -> None:
        """One transaction: record what ended, give back what will not start, claim what is next."""
        want = 0 if self.stage or not claim or self.running else self.batch
        given_back = [unstarted(held) for held in self.ahead] if not want else []
        if not (self.ended or given_back or (want and self._something_due())):
            return
        self.refresh_settings()
        outcomes = self.ended + given_back
        try:
            refused, claims, more = self.queue.exchange(self.name, outcomes, want, time.time(), self.settings)
        except QueueError as error:
            self.meet_trouble(str(error))
            self.write_refused = True
            return
        self.write_refused = False
        self.trouble_over()
        for outcome in self.ended:
            self.report(outcome, outcome in refused)
        self.ended = []
        if given_back:
            self.ahead.clear()
        self.ahead.extend(claims)
        if more or given_back:
            self.queue.ring()

    def _something_due(self) -> bool:
        """Ask without a write lock; also find out how long an idle worker may sleep.

        Not after the bell: that something is due is then likely enough to try at once.
        """
        if self.ended or self.rung:
            self.rung, self.glance.is_stale = False, True
            return True
        try:
            self.glance.refresh()
        except QueueError as error:
            self.meet_trouble(str(error))
            return False
        if not self.write_refused:  # else only a write tells that this is over: reading may have worked all along
            self.trouble_over()
        return self.glance.next_due is not None and self.glance.next_due <= time.time()

    def refresh_settings(self) -> None:
        try:
            settings = self.read_settings()
        except QueueError as error:
            if self.trouble != str(error):
                self.trouble = str(error)
                self.say("%s; the old settings hold" % error)
            return
        if self.options.backoff_base is not None:
            settings = settings._replace(backoff_base=self.options.backoff_base)
        if self.options.poll_interval is not None:
            settings = settings._replace(poll_interval=self.options.poll_interval)
        self.settings = settings

    def meet_trouble(self, text: str) -> None:
        """The database refuses: keep everything, say it once, try again, ever more slowly."""
        if text != self.trouble:
            self.trouble = text
            self.say("%s; trying again" % text)
        self.trouble_pause = min(max(0.1, self.trouble_pause * 2), TROUBLE_SECONDS)
        self.retry_at = time.monotonic() + self.trouble_pause

    def meet_shortage(self, text: str) -> None:
        """The host cannot start a process now: wait, ever longer until one starts again."""
        if not self.shortage_pause:
            self.say("%s; trying again" % text)
        self.shortage_pause = min(max(0.1, self.shortage_pause * 2), TROUBLE_SECONDS)
        self.retry_at = time.monotonic() + self.shortage_pause

    def trouble_over(self) -> None:
        if self.trouble_pause:
            self.say("the database answers again")
            self.trouble, self.trouble_pause, self.retry_at = "", 0.0, 0.0

    def start(self, claim: Claim) -> None:
        attempt = Attempt(self.queue, claim)
        try:
            attempt.start(self.settings, self.spare)
        except CannotStart as error:
            self.ended.append(Outcome(claim, "failed", time.time(), str(error)))
            attempt.discard()
        except (OSError, QueueError) as error:  # no memory, no processes, no disk: not the job's fault
            self.ended.append(unstarted(claim))
            attempt.discard()
            self.meet_shortage("cannot start a job (%s)" % (getattr(error, "strerror", None) or error))
        else:
            self.shortage_pause = 0.0
            self.running.append(attempt)
            self.say(
                "job %s started (attempt %d of %d): %s"
                % (claim.id, claim.attempts, claim.max_retries + 1, brief(claim.command))
            )

    def report(self, outcome: Outcome, refused: bool) -> None:
        """Log a recorded outcome and remove the files that it made useless."""
        claim = outcome.claim
        if refused:
            self.say("job %s: its claim was lost, so its result was not recorded" % claim.id)
            return
        storage.failpoint("report.recorded")
        if not self.spare.keep(outcome):
            with contextlib.suppress(OSError):  # tidy() will
                for kind in outcome.useless_files():
                    storage.remove(self.queue.attempt_path(claim.token, kind))
        storage.failpoint("report.removed")
        detail = outcome.kind if outcome.error is None else outcome.error
        if not detail.startswith(outcome.kind):
            detail = "%s: %s" % (outcome.kind, detail)
        if outcome.started is not None:
            detail += " (after %s)" % seconds_text(max(0.0, outcome.finished - outcome.started))
        if outcome.kind in ("failed", "timed out", "lost"):
            left = claim.max_retries + 1 - claim.attempts
            detail += "; retries left: %d" % left if left > 0 else "; dead, no retries left"
        self.say("job %s %s" % (claim.id, detail))

    # -------------------------------------------------------- resting

    def rest(self) -> None:
        """Sleep until something can have changed."""
        if self.running:
            self.watch_running()
        elif not (self.ended or self.ahead or self.stage) or time.monotonic() < self.retry_at:
            self.idle()

    def watch_running(self) -> None:
        """Wait for the running job, first for a moment with the results of others in hand."""
        own = self.running[0]
        if own.wait(QUICK_SECONDS, self.wake):
            return
        if (self.ended or self.ahead) and time.monotonic() >= self.retry_at:
            self.trade(claim=False)
        if True in [attempt.bound_output() for attempt in self.running]:
            return  # it writes fast: look again at once
        if not own.wait(ADOPTED_TICK_SECONDS if own.adopted or own.ending else TICK_SECONDS, self.wake):
            self.spare.clear()  # a long job: nothing is started soon

    def idle(self) -> None:
        """Wait for the bell, the next due time, or poll_interval."""
        pause = min(self.settings.poll_interval, LOOK_AROUND_SECONDS)
        if self.glance.next_due is not None:
            pause = min(pause, max(0.0, self.glance.next_due - time.time()))
        if self.options.drain:
            pause = min(pause, 0.1)
        now = time.monotonic()
        if now < self.retry_at:
            pause = max(0.01, self.retry_at - now)
        elif self.glance.is_stale:  # the bell was rung in vain, or for later: ask first
            return
        self.rung = self.bell.wait(max(pause, 0.001), self.wake)
        if not self.rung:
            self.spare.clear()

    # -------------------------------------------------------- the jobs of others

    def look_around(self) -> None:
        """Heed cancels, and decide what became of the jobs of dead workers."""
        now = time.monotonic()
        pause = self.pause_between_looks(now)
        if self.looked_at and now - self.looked_at < pause:
            return
        self.looked_at = now if self.looked_at else now - self.share * pause
        try:
            self._forgive_clock()
            self.glance.refresh()
            jobs = self.glance.processing
            mine = {attempt.claim.token: attempt for attempt in self.running}
            for job in jobs:
                if job["token"] in mine and job["cancel_requested"]:
                    mine[job["token"]].end("cancelled", "cancelled while it ran")
            self._look_after_orphans([job for job in jobs if job["worker"] != self.name])
        except QueueError as error:
            self.meet_trouble(str(error))

    def pause_between_looks(self, now: float) -> float:
        """A second where a job of ours may have been cancelled that long ago, so has run for so long.

        Else many workers share the looking: each looks seldom, all of them several times a second.
        (A look costs the more the more workers there are; one that is new looks at once.)
        """
        if any(now - attempt.began >= LOOK_AROUND_SECONDS for attempt in self.running):
            return LOOK_AROUND_SECONDS
        return max(LOOK_AROUND_SECONDS, self.options.workers / LOOKS_PER_SECOND)

    def _forgive_clock(self) -> None:
        before, self.clock_offset = self.clock_offset, time.time() - time.monotonic()
        if self.clock_offset < before - 1:
            self.say("the clock went back: retries that would wait for it are due now")
            self.queue.forgive_clock(time.time())

    def _look_after_orphans(self, jobs: Sequence[Dict[str, Any]]) -> None:
        alive: Dict[str, bool] = {}
        for job in jobs:
            worker = job["worker"]
            if worker not in alive:
                alive[worker] = self.queue.is_alive(worker) or job_object_lives(worker)
            if not alive[worker]:
                try:
                    self._decide(job)
                except OSError as error:  # its files cannot be read now: no evidence, no verdict
                    if job["token"] not in self.puzzles:
                        self.say("job %s: what became of it cannot be read (%s); trying again" % (job["id"], error))
                    self.puzzles.add(job["token"])

    def _decide(self, job: Dict[str, Any]) -> None:
        """Find out by evidence what became of an orphan: settle it, or adopt it if it runs."""
        found = self.queue.running_attempt(job["seq"], job["token"])
        if not found:
            return
        claim, started = found
        self.refresh_settings()
        orphan = Attempt(self.queue, claim)
        orphan.adopt(started, self.settings)
        outcome = orphan.poll()
        if outcome:
            self._settle_orphan(outcome)
            return
        must_end = job["cancel_requested"] or orphan.overdue() or orphan.ending
        idle = not (self.running or self.ahead or self.stage)
        if not (must_end or idle) or not self.queue.adopt(claim, job["worker"], self.name, time.time()):
            return
        storage.failpoint("adopt.committed")
        self.running.append(orphan)
        self.say("job %s adopted from %s, which died while it ran" % (claim.id, job["worker"]))

    def _settle_orphan(self, outcome: Outcome) -> None:
        refused, _, _ = self.queue.exchange(self.name, [outcome], 0, time.time(), self.settings)
        if not refused:  # else another worker was first
            self.report(outcome, False)
            self.queue.ring()


def unstarted(claim: Claim) -> Outcome:
    """A claim given back before its command began: as if it had never been claimed."""
    outcome = Outcome(claim, "given back", time.time())
    outcome.unstarted = True
    return outcome


def reset_signals(wake: WakeUp) -> None:
    """Free this worker, and so its jobs, from what whoever started it ignored or blocked."""
    if sys.platform == "win32":
        wake.ignore(signal.SIGINT)
        wake.ignore(signal.SIGBREAK)
        return
    for number in range(1, signal.NSIG):
        with contextlib.suppress(OSError, ValueError):
            kept = (signal.SIGPIPE, getattr(signal, "SIGXFSZ", 0))  # Python's own; Popen resets them
            if signal.getsignal(number) == signal.SIG_IGN and number not in kept:
                signal.signal(number, signal.SIG_DFL)
    wake.catch(signal.SIGTERM)
    wake.catch(signal.SIGHUP)
    wake.catch(signal.SIGUSR1)
    wake.ignore(signal.SIGINT)  # Ctrl+C reaches the whole terminal: the supervisor decides
    wake.ignore(signal.SIGCHLD)
    wake.ignore(signal.SIGIO)  # somebody opened a file while SpareFiles asked whether anybody has it open
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


class Glance:
    """What the database said last: an idle worker asks every second and would hear the same.

    An answer counts while the files stay as they were. Their times can be as coarse as two
    seconds, so it counts only if they had been at rest for SETTLED_SECONDS before.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.processing: List[Dict[str, Any]] = []
        self.next_due: Optional[float] = None
        self.is_stale = False
        self.seen: Any = None
        self.asked_at = 0.0

    def refresh(self) -> None:
        """Ask again if the answer can have changed. Raises HostError."""
        self.is_stale = False
        seen = self.queue.fingerprint()
        if seen and seen == self.seen and time.monotonic() - self.asked_at < FRESH_SECONDS:
            return
        now = time.time()
        self.seen, self.next_due = None, None
        self.processing, self.next_due = self.queue.look(now)
        self.asked_at = time.monotonic()
        if seen and seen[0] < now - SETTLED_SECONDS:
            self.seen = seen


class Bell:
    """Wakes an idle worker when a job is added (the FIFO that Queue.ring writes to).

    Several workers listen; the one that gets the byte asks the database, and rings again
    if more is due than it took. Where there is no FIFO (Windows) the WAL's time tells.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.fd = -1
        if sys.platform != "win32":
            with contextlib.suppress(OSError):  # without it, polling remains
                self.fd = os.open(queue.bell_path, os.O_RDWR | os.O_NONBLOCK)

    def wait(self, seconds: float, wake: WakeUp) -> bool:
        """Return True when the bell rings, False when a signal arrives or after *seconds*."""
        if sys.platform == "win32":
            return self._watch_wal(seconds)
        deadline = time.monotonic() + seconds
        watched = [wake.reader.fileno()] + ([self.fd] if self.fd >= 0 else [])
        while seconds > 0:
            ready = select.select(watched, [], [], seconds)[0]
            wake.clear()
            if self.fd not in ready:
                return False
            if self._take():
                return True
            seconds = deadline - time.monotonic()
        return False

    def _take(self) -> bool:
        """True for the one worker that gets what the bell holds."""
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self.fd, 65536))
        return False

    def _watch_wal(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        before = self._wal()
        while self._wal() == before:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.015)
        return True

    def _wal(self) -> Optional[Tuple[int, int]]:
        try:
            info = os.stat(self.queue.path + "-wal")
            return info.st_mtime_ns, info.st_size
        except OSError:
            return None

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


# ---------------------------------------------------------------- one attempt


def is_locked(run_path: str) -> bool:
    """True while somebody holds the lock of a run file. Raises OSError where that cannot be told."""
    try:
        fd = storage.open_private(run_path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not storage.try_lock(fd, shared=True)
    finally:
        os.close(fd)


def read_status(run_path: str) -> Dict[str, str]:
    """The lines of a run file since its last start: start, pid, end, exit (only whole lines count).

    A file that was used again may have kept its new name but not its new start when the power
    went: that start names another attempt, so nothing in it is of this one.
    """
    try:
        with open(run_path, "rb") as file:
            text = file.read(65536).decode("ascii", "replace")
    except FileNotFoundError:
        return {}
    lines = text[text.rfind("\nstart ") + 1 :].split("\n")[:-1]
    status = {name: value for name, _, value in (line.partition(" ") for line in lines)}
    of = status.get("start", "").split()[2:]
    return status if of in ([], [os.path.basename(run_path)[: -len(".run")]]) else {}


def began_monotonic(status: Dict[str, str]) -> Optional[float]:
    """When an attempt began on the monotonic clock of this boot, None for one of another boot."""
    words = status.get("start", "").split()
    return float(words[1]) if len(words) >= 2 and words[0] == boot_id() else None


# What the host may have again in a moment; every other refusal to start is the job's own.
SHORTAGES = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
WINDOWS_SHORTAGES = (1450, 1455)  # of system resources, of memory: no errno has them


OUTPUTS = ("out", "err")
FILES = ("run",) + OUTPUTS
RUN_BYTES = 8192  # a run file that has grown larger is not used again
ACCESS = {kind: os.O_APPEND | (os.O_RDWR if kind == "run" else os.O_WRONLY) for kind in FILES}


class CannotStart(Exception):
    """The command cannot be started, in words for last_error; the attempt has failed."""


class SpareFiles:
    """The files of the attempts of one worker: made anew, or those of a recorded attempt used again.

    To create and delete three files costs more than a short job itself, the more of them the
    more (ext4 looks past every inode that was freed within the last minute). So while a worker
    is busy, the files of a recorded attempt get the name of the next one. Only files that
    stayed empty, and that nobody else has open by the kernel's own word: what a late
    grandchild writes never reaches another job. A worker that has waited for a job in vain
    keeps none, nor does one with a long job.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.tokens: Dict[str, List[str]] = {kind: [] for kind in FILES}  # of recorded attempts

    def keep(self, outcome: Outcome) -> bool:
        """Keep the files of a recorded attempt; False where they have to be removed instead."""
        full = len(self.tokens["run"]) >= BATCH_MOST
        if not storage.HAS_LEASES or full or outcome.stdout_bytes or outcome.stderr_bytes or outcome.keeps_files():
            return False
        for tokens in self.tokens.values():
            tokens.append(outcome.claim.token)
        return True

    def open(self, path: str, kind: str, start: bytes = b"") -> int:
        """The file *path* of an attempt, to append to, which holds nothing but *start*. Raises OSError."""
        while self.tokens[kind]:
            fd = self._use_again(self.queue.attempt_path(self.tokens[kind].pop(), kind), path, start)
            if fd >= 0:
                return fd
        if sys.platform == "win32" and kind in OUTPUTS:
            return open_appending(path)
        fd = storage.open_private(path, ACCESS[kind] | os.O_CREAT | os.O_EXCL)
        try:
            if start and os.write(fd, start) < len(start):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _use_again(self, spare: str, path: str, start: bytes) -> int:
        """Move *spare* to *path*; -1 where it is gone, is not as good as new, or a writer or reader has it open.

        A run file is not emptied, which would cost as much as a new one: what stands before its last
        *start* is of earlier attempts (read_status). That line is written before the new name is given.
        """
        fd = -1
        try:
            fd = storage.open_private(spare, os.O_RDWR | os.O_APPEND)
            if start and not (storage.is_as_made(fd, RUN_BYTES) and os.write(fd, b"\n" + start) > len(start)):
                storage.remove(spare)
            else:
                os.rename(spare, path)
                if start or (storage.is_open_here_only(fd) and storage.is_as_made(fd, 0)):
                    return fd
                storage.remove(path)
        except OSError:  # somebody tidied, or the disk is full: make a new one, which tells
            with contextlib.suppress(OSError):
                storage.remove(spare)
        if fd >= 0:
            os.close(fd)
        return -1

    def clear(self) -> None:
        """Remove what is kept."""
        for kind, tokens in self.tokens.items():
            while tokens:
                with contextlib.suppress(OSError):
                    storage.remove(self.queue.attempt_path(tokens.pop(), kind))


class Attempt:
    """One run of one command: start or adopt it, poll it, end it."""

    def __init__(self, queue: Queue, claim: Claim) -> None:
        self.queue = queue
        self.claim = claim
        self.paths = {kind: queue.attempt_path(claim.token, kind) for kind in FILES}
        self.run_path = self.paths["run"]
        self.child: Optional[ChildProcess] = None
        self.run_fd = -1
        self.adopted = False
        self.started = time.time()
        self.began = time.monotonic()
        self.grace = 0.0
        self.max_output = storage.SETTING_DEFAULTS["max_output"]
        self.timeout: Optional[float] = None
        self.deadline: Optional[float] = None  # monotonic
        self.ending: Optional[Tuple[str, str]] = None  # kind and error once it is being ended
        self.kill_at = 0.0
        self.killed_at: Optional[float] = None
        self.told = False  # that it defies SIGKILL
        self.code: Optional[int] = None  # of the command's own process, once it has ended
        self.tree = Tree(claim.token, self.run_path)

    # -------------------------------------------------------- beginning

    def start(self, settings: Settings, spare: SpareFiles) -> None:
        """Start the command. Raises CannotStart (its fault) or OSError (the host's)."""
        claim = self.claim
        self._end_leftovers()
        environment = job_environment(claim)
        check_startable(claim, environment)
        output: List[int] = []
        try:
            start = "start %s %.6f %s\n" % (boot_id(), time.monotonic(), claim.token)
            self.run_fd = spare.open(self.run_path, "run", start.encode("ascii"))
            if not storage.try_lock(self.run_fd):
                raise OSError("the lock of a new file is held by someone else")
            storage.failpoint("start.run-file")
            for kind in OUTPUTS:
                output.append(spare.open(self.paths[kind], kind))
            self.child = launch_checked(claim, environment, self.run_fd, output[0], output[1])
        finally:
            for fd in output:
                os.close(fd)
        storage.failpoint("start.launched")
        self.tree.hold(self.child)
        if sys.platform == "win32":  # elsewhere the watcher itself says so, before the command begins
            os.write(self.run_fd, b"pid %d\n" % self.child.pid)
            self.tree.resume(self.child)
        self.started = time.time()
        self._set_deadline(settings, time.monotonic())

    def _end_leftovers(self) -> None:
        """End what earlier attempts of this job left running, before it runs again."""
        for token in self.claim.leftovers:
            run_path = self.queue.attempt_path(token, "run")
            rest = Tree(token, run_path).end(2.0)
            deadline = time.monotonic() + KILL_SECONDS
            while not rest and is_locked(run_path):  # also by one that is dying: its threads let go last
                if time.monotonic() > deadline:
                    rest = "unknown processes"
                time.sleep(0.02)
            if rest:
                raise CannotStart("not started: an earlier attempt still runs and cannot be ended: %s" % rest)

    def adopt(self, started: float, settings: Settings) -> None:
        """Watch a command that another worker started; its timeout still holds, and its ending."""
        self.adopted = True
        self.started = started
        self._set_deadline(settings, self._started_monotonic())
        kind, _, error = self._status().get("end", "").partition("|")
        if kind:
            self.ending = (kind, error)
            self.kill_at = time.monotonic() + self.grace
            self.tree.signal(gently=True)

    def _started_monotonic(self) -> float:
        """When the command began on this boot's monotonic clock."""
        began = began_monotonic(self._status())
        return time.monotonic() - max(0.0, time.time() - self.started) if began is None else began

    def _set_deadline(self, settings: Settings, begin: float) -> None:
        self.grace = settings.grace
        self.max_output = settings.max_output
        self.timeout = self.claim.timeout if self.claim.timeout is not None else settings.timeout
        self.deadline = None if self.timeout is None else begin + self.timeout

    def overdue(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    # -------------------------------------------------------- going on

    def wait(self, seconds: float, wake: WakeUp) -> bool:
        """Wait until the command's own process ends (True), a signal, or *seconds*."""
        if self.deadline is not None and not self.ending:
            seconds = min(seconds, max(0.001, self.deadline - time.monotonic()))
        lingers = self.child is None or (self.ending is not None and self.code is not None)
        if sys.platform == "win32":
            return self._wait_windows(seconds, lingers)
        until = time.monotonic() + seconds
        while lingers or (self.child is not None and self.child.poll() is None):
            left = until - time.monotonic()
            if left <= 0 or (wake.noted and left > QUICK_SECONDS):
                return False
            select.select([wake.reader], [], [], left)
            wake.clear()
        return True

    def _wait_windows(self, seconds: float, lingers: bool) -> bool:
        if sys.platform != "win32":
            raise NotImplementedError
        if lingers or self.child is None:
            time.sleep(seconds)
            return False
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def bound_output(self) -> bool:
        """Cut the middle out of output that grew past the limit; True if any was cut."""
        return True in [cut_middle(self.paths[kind], self.max_output) for kind in OUTPUTS]

    def poll(self) -> Optional[Outcome]:
        """What became of the attempt, or None while it goes on."""
        if self.overdue() and not self.ending and not self._leader_ended():
            self.end("timed out", "timed out after %s" % seconds_text(self.timeout or 0))
        if not self._leader_ended():
            self._press_on()
            return None
        if self.ending:
            return self._poll_ending()
        return self._conclude()

    def _leader_ended(self) -> bool:
        """True once the command's own process is gone; sets its exit code if that is known."""
        if self.code is not None:
            return True
        if self.child is not None:
            code = self.child.poll()
            if code is None:
                return False
            self.code = code
            if sys.platform == "win32" and not self.ending:  # elsewhere the watcher says so
                with contextlib.suppress(OSError):
                    os.write(self.run_fd, b"exit %d\n" % code)
            self._let_go()
        elif self.adopted:
            return self._orphan_ended()
        return True

    def _orphan_ended(self) -> bool:
        """The same for a command that is nobody's child: by its status, its lock, its watcher."""
        held = self.queue.attempt_is_held(self.claim.token)
        status = self._status()  # after the lock: the watcher writes, then lets go
        if "exit" not in status and held and self.tree.leader_lives(status.get("pid")):
            return False
        status = self._status()  # it may have ended between the looks
        if "exit" in status:
            self.code = status_code(status["exit"])
        elif not self.ending and self._tree_lives():
            self._begin_to_end("lost", "its shell was killed")
        return True

    def _tree_lives(self) -> bool:
        """True while anything of the attempt lives: by its lock, which tells also where nobody can be found."""
        return self.queue.attempt_is_held(self.claim.token) or bool(self.tree.members())

    def _let_go(self) -> None:
        """Close our copy of the run lock: from here only the job's own tree holds it."""
        if self.run_fd >= 0:
            os.close(self.run_fd)
            self.run_fd = -1

    def _status(self) -> Dict[str, str]:
        return read_status(self.run_path)

    # -------------------------------------------------------- ending

    def end(self, kind: str, error: str) -> None:
        """Begin to end the whole tree: TERM now, KILL after the grace period (see poll).

        Does nothing where the command has ended by itself: that result stands.
        """
        if not self.ending and not self._leader_ended():
            self._begin_to_end(kind, error)

    def _begin_to_end(self, kind: str, error: str) -> None:
        """Write the wish down first: if we die now, whoever comes next takes it up (adopt)."""
        self.ending = (kind, error)
        self.kill_at = time.monotonic() + self.grace
        with contextlib.suppress(OSError):
            fd = storage.open_private(self.run_path, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(fd, ("end %s|%s\n" % (kind, error)).encode("utf-8"))
            finally:
                os.close(fd)
        storage.failpoint("end.written")
        self.tree.signal(gently=True)

    def _press_on(self) -> None:
        if self.ending and time.monotonic() >= self.kill_at:
            self.killed_at = self.killed_at or time.monotonic()
            self.tree.signal(gently=False)

    def defies_news(self) -> bool:
        """True once, when the command's own process outlives SIGKILL: it sleeps in the kernel, say on a dead disk."""
        if self.told or self.code is not None or self.killed_at is None:
            return False
        self.told = time.monotonic() > self.killed_at + KILL_SECONDS
        return self.told

    def _poll_ending(self) -> Optional[Outcome]:
        """The leader is gone; wait for the rest of the tree."""
        if self._tree_lives():
            self._press_on()
            if self.killed_at is None or time.monotonic() < self.killed_at + KILL_SECONDS:
                return None
        kind, error = self.ending or ("", "")
        outcome = self._outcome(kind, error)
        if self.code is not None and self.code >= 0:
            outcome.exit_code = self.code
        return outcome

    def _conclude(self) -> Optional[Outcome]:
        """The command ended by itself."""
        if self.code is None or self.code < 0:  # else our child, the watcher, has told us its exit code
            status = self._status()
            if "exit" in status:
                self.code = status_code(status["exit"])
            elif self.adopted:
                return self._gone()
            elif sys.platform != "win32" and self._tree_lives():  # its watcher was killed, it was not
                self._begin_to_end("lost", "its shell was %s" % how_it_ended(self.code or 0)[0])
                return None
        code = self.code or 0
        error, name = how_it_ended(code)
        outcome = self._outcome("completed" if code == 0 else "failed", None if code == 0 else error)
        outcome.exit_code = code if code >= 0 else 128 - code
        outcome.signal = name
        return outcome

    def _gone(self) -> Outcome:
        """An orphan that no longer runs and left no status."""
        status = self._status()
        if "pid" not in status:
            return unstarted(self.claim)
        if status.get("start", "").split()[:1] != [boot_id()]:
            return self._outcome("lost", "lost: the host was restarted while it ran")
        return self._outcome("lost", "lost: it was killed together with its worker")

    def _outcome(self, kind: str, error: Optional[str]) -> Outcome:
        outcome = Outcome(self.claim, kind, self._end_time(), error)
        outcome.started = self.started
        if self._may_have_left_something(kind):
            held = self.queue.attempt_is_held(self.claim.token)
            outcome.leftovers = self.tree.description() or ("unknown processes" if held else None)
        if sys.platform == "win32":
            self.tree.let_go()
        outcome.stdout, outcome.stdout_bytes = self._output("out", bool(outcome.leftovers))
        outcome.stderr, outcome.stderr_bytes = self._output("err", bool(outcome.leftovers))
        return outcome

    def _end_time(self) -> float:
        """Now, or for one that finished unseen when its watcher said so."""
        if self.adopted and self.code is not None and not self.ending:
            with contextlib.suppress(OSError):
                return max(self.started, os.stat(self.run_path).st_mtime)
        return time.time()

    def _may_have_left_something(self, kind: str) -> bool:
        """Whether processes of this attempt may live on.

        Before a retry that must be certain, so everything is searched. After a success
        two cheap signs will do: the lock is held, or the process group is not empty.
        """
        if sys.platform == "win32":
            return bool(self.tree.members())
        if kind != "completed":
            return True
        if self.child is not None:
            with contextlib.suppress(OSError):
                os.killpg(self.child.pid, 0)
                return True
        return self.queue.attempt_is_held(self.claim.token)

    def _output(self, kind: str, stays: bool) -> Tuple[Optional[bytes], int]:
        """What was written, if it is small and finished, and its size in bytes."""
        path = self.paths[kind]
        try:
            size = os.stat(path).st_size
            if size > self.max_output and cut_middle(path, self.max_output):
                size = os.stat(path).st_size
            if stays or not size or size > storage.INLINE_BYTES:
                return None, size
            with open(path, "rb") as file:
                return file.read(), size
        except FileNotFoundError:
            return None, 0

    def forget(self) -> None:
        """Hand the command over to whoever adopts it."""
        self._let_go()
        if self.child is not None:
            self.child.returncode = 0  # not ours to wait for: no warning when it is dropped

    def discard(self) -> None:
        """Remove the files of an attempt that did not start."""
        self._let_go()
        with contextlib.suppress(OSError):
            for path in self.paths.values():
                storage.remove(path)


LEFT_OUT = b"\n[queuectl: %020d bytes left out here: the setting max_output]\n"


def cut_middle(path: str, limit: int) -> bool:
    """Keep a quarter of *limit* bytes at the head and one at the tail of a file that outgrew *limit*.

    Between them stands a line that counts what is gone. The job appends to the file, so
    it goes on behind the cut; what it writes during the cut itself may be lost uncounted.
    The tail is copied before anything is cut off: whoever is killed here leaves it to the
    next, and two who do it at once do the same.
    """
    try:
        if os.stat(path).st_size <= limit:
            return False
        with open(path, "r+b") as file:
            keep, marker = limit // 4, len(LEFT_OUT % 0)
            file.seek(keep)
            match = re.match(rb"\n\[queuectl: (\d{20}) bytes", file.read(marker))
            size = file.seek(0, os.SEEK_END)
            gone = size - 2 * keep
            if match:
                gone += int(match.group(1)) - marker
            file.seek(size - keep)
            tail = file.read(keep)
            if len(tail) < keep:
                return False  # another has just cut it
            file.seek(keep)
            file.write(LEFT_OUT % gone + tail)
            file.flush()
            storage.failpoint("cut.copied")
            file.truncate()
        return True
    except OSError:
        return False


def status_code(text: str) -> int:
    """The exit code that a watcher wrote. Of signal N, ksh93 says 256 + N, yash 384 + N, all others 128 + N."""
    code = int(text)
    return code if code < 256 else 128 + code % 128


def how_it_ended(code: int) -> Tuple[str, Optional[str]]:
    """An exit code (negative: a signal, as Popen says it) in words, and the signal's name.

    A shell reports a command that signal N ended as 128 + N.
    """
    number = -code if code < 0 else code - 128
    if sys.platform != "win32" and 0 < number < signal.NSIG:
        name = signal_name(number)
        return ("killed by %s" % name if code < 0 else "killed by %s (exit code %d)" % (name, code)), name
    hints = {126: " (not executable)", 127: " (command not found)", 9009: " (command not found)"}
    return "exit code %d%s" % (code, hints.get(code, "")), None


@functools.lru_cache(maxsize=None)
def boot_id() -> str:
    """What differs after every start of the host, where the system tells."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


@functools.lru_cache(maxsize=None)
def worker_has_shell_functions() -> bool:
    return any(name.startswith("BASH_FUNC_") for name in worker_environment())


def has_shell_functions(own: Dict[str, str]) -> bool:
    """Whether a job with the variables *own* meets functions that bash exports: one may be called like a builtin."""
    return worker_has_shell_functions() or any(name.startswith("BASH_FUNC_") for name in own)


@functools.lru_cache(maxsize=None)
def worker_environment() -> Dict[str, str]:
    """The worker's environment, without what an outer job left in it."""
    return {key: value for key, value in os.environ.items() if key not in JOB_VARIABLES}


def job_environment(claim: Claim) -> Dict[str, str]:
    """The worker's environment, the job's own, and what tells the job who it is."""
    own = claim.env
    if sys.platform == "win32":  # where Path is PATH
        own = {name.upper(): value for name, value in own.items()}
    environment = dict(worker_environment(), **own)
    values = (claim.id, str(claim.attempts), str(claim.max_retries), os.environ.get("QUEUECTL_HOME", ""), claim.token)
    environment.update(zip(JOB_VARIABLES, values))
    return environment


def check_startable(claim: Claim, environment: Dict[str, str]) -> None:
    """Raise CannotStart, in words, for a directory or program that cannot be used."""
    if not os.path.isdir(claim.cwd):
        raise CannotStart("the directory %s does not exist" % claim.cwd)
    if not os.access(claim.cwd, os.X_OK):
        raise CannotStart("the directory %s may not be entered" % claim.cwd)
    if isinstance(claim.command, str):
        return
    program = claim.command[0]
    if sys.platform == "win32":
        if not find_program(program, claim.cwd, environment):
            raise CannotStart("the program %s was not found" % program)
    elif os.path.dirname(program):
        path = os.path.join(claim.cwd, program)
        if not os.path.exists(path):
            raise CannotStart("the program %s does not exist" % program)
        if os.path.isdir(path) or not os.access(path, os.X_OK):
            raise CannotStart("the program %s is not executable" % program)
    elif not shutil.which(program, path=environment.get("PATH", os.defpath)):
        raise CannotStart("the program %s was not found on PATH" % program)


def launch_checked(
    claim: Claim, environment: Dict[str, str], run_fd: int, stdout: int, stderr: int
) -> ChildProcess:
    """Launch. Raises CannotStart where that fails by the job's own fault, OSError where the host lacks something."""
    try:
        return launch(claim, environment, run_fd, stdout, stderr)
    except OSError as error:
        if error.errno in SHORTAGES or getattr(error, "winerror", None) in WINDOWS_SHORTAGES:
            raise
        raise CannotStart("cannot start in %s: %s" % (claim.cwd, error.strerror)) from None
    except ValueError as error:
        raise CannotStart("cannot start: %s" % error) from None


def launch(
    claim: Claim, environment: Dict[str, str], run_fd: int, stdout: int, stderr: int
) -> ChildProcess:
    """Start the command under its watcher, in a session of its own."""
    if sys.platform == "win32":
        return launch_windows(claim, environment, stdout, stderr)
    script, words = EXECUTE, claim.command
    if isinstance(words, str):
        if NEEDS_OWN_SHELL.search(words):
            words = [SHELL, "-c", " " + words]  # the blank: a leading - would be an option
        else:
            inside = ONE_BUILTIN.match(words) and not has_shell_functions(claim.env)
            script, words = EVALUATE_INSIDE if inside else EVALUATE, [words]
    elif words[0].startswith("-"):  # an option to `exec`, of which only some shells know --
        words = [shutil.which(words[0], path=environment.get("PATH", os.defpath)) or words[0]] + words[1:]
    umask = "%04o" % (0o022 if claim.umask is None else claim.umask)
    arguments = [SHELL, "-c", script, SHELL, umask] + words
    with contextlib.suppress(NotImplementedError):  # an old C library
        return Child(spawn(arguments, claim.cwd, environment, (run_fd, stdout, stderr)))
    return subprocess.Popen(
        arguments,
        stdin=run_fd,
        stdout=stdout,
        stderr=stderr,
        cwd=claim.cwd,
        env=environment,
        start_new_session=True,
    )


def spawn(arguments: List[str], cwd: str, environment: Dict[str, str], streams: Sequence[int]) -> int:
    """The pid of a program started in a session of its own. Raises NotImplementedError where that cannot be said.

    Half of what subprocess.Popen costs. The program gets no descriptors but its three
    *streams*: none of ours is inheritable (keep_descriptors).
    """
    if sys.platform == "win32" or not hasattr(os, "posix_spawn"):
        raise NotImplementedError
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(cwd)
        return os.posix_spawn(
            arguments[0],
            arguments,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(streams)],
            setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
    finally:
        os.fchdir(here)
        os.close(here)


def keep_descriptors() -> None:
    """See that no job inherits a descriptor of this worker: multiprocessing leaves one that can be."""
    for entry in os.listdir("/dev/fd") if os.path.isdir("/dev/fd") else range(256):
        if int(entry) > 2:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(entry), False)


class Child:
    """A child process by its pid: as much of subprocess.Popen as an Attempt needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: Optional[int] = None

    def poll(self) -> Optional[int]:
        """The exit code once it has ended, negative the signal that ended it."""
        if sys.platform == "win32":
            raise NotImplementedError
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it: what its watcher wrote decides
                pid, status = self.pid, signal.SIGKILL
            if pid:
                self.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return self.returncode


# ---------------------------------------------------------------- a tree of processes

if sys.platform == "win32":
    import msvcrt
    from ctypes import (
        GetLastError,
        Structure,
        byref,
        c_int64,
        c_size_t,
        c_uint32,
        c_uint64,
        c_void_p,
        create_unicode_buffer,
        sizeof,
        windll,
    )

    KILL_ON_JOB_CLOSE = 0x2000
    BREAKAWAY_OK = 0x800
    CREATE_SUSPENDED = 0x4

    class JobLimits(Structure):
        """JOBOBJECT_EXTENDED_LIMIT_INFORMATION of winnt.h."""

        _fields_ = [
            ("process_time", c_int64),
            ("job_time", c_int64),
            ("flags", c_uint32),
            ("minimum_working_set", c_size_t),
            ("maximum_working_set", c_size_t),
            ("active_limit", c_uint32),
            ("affinity", c_size_t),
            ("priority", c_uint32),
            ("scheduling", c_uint32),
            ("io", c_uint64 * 6),
            ("process_memory", c_size_t),
            ("job_memory", c_size_t),
            ("peak_process", c_size_t),
            ("peak_job", c_size_t),
        ]

    def open_appending(path: str) -> int:
        """Open a file so that all who inherit it append (O_APPEND holds only in our own process)."""
        access = c_uint32(0x100084)  # FILE_APPEND_DATA, FILE_READ_ATTRIBUTES, SYNCHRONIZE
        shared, open_always, normal = c_uint32(0x7), c_uint32(0x4), c_uint32(0x80)
        handle = kernel32.CreateFileW(path, access, shared, None, open_always, normal, None)
        if handle == c_void_p(-1).value:
            raise OSError(None, "cannot be opened", path, GetLastError())
        return msvcrt.open_osfhandle(int(handle), os.O_APPEND)

    class JobProcesses(Structure):
        """JOBOBJECT_BASIC_PROCESS_ID_LIST of winnt.h."""

        _fields_ = [("assigned", c_uint32), ("listed", c_uint32), ("pids", c_size_t * 1024)]

    class JobAccounting(Structure):
        """JOBOBJECT_BASIC_ACCOUNTING_INFORMATION of winnt.h."""

        _fields_ = [
            ("times", c_int64 * 4),
            ("faults", c_uint32),
            ("total", c_uint32),
            ("active", c_uint32),
            ("ended", c_uint32),
        ]

    kernel32 = windll.kernel32
    kernel32.CreateJobObjectW.restype = kernel32.OpenJobObjectW.restype = c_void_p
    kernel32.GetCurrentProcess.restype = kernel32.OpenProcess.restype = kernel32.CreateFileW.restype = c_void_p

    def new_job_object(name: str) -> Any:
        """A job object whose processes all end when its last handle closes."""
        handle = kernel32.CreateJobObjectW(None, name)
        if not handle or not limit_job_object(c_void_p(handle), KILL_ON_JOB_CLOSE | BREAKAWAY_OK):
            raise OSError("Windows gives no job object")
        return c_void_p(handle)

    def limit_job_object(handle: Any, flags: int) -> bool:
        limits = JobLimits(flags=flags)
        return bool(kernel32.SetInformationJobObject(handle, 9, byref(limits), c_uint32(sizeof(limits))))

    def own_job_object(worker: str) -> Any:
        """Put this worker into a named job object: what it starts ends with it."""
        handle = new_job_object("queuectl-" + worker)
        if not kernel32.AssignProcessToJobObject(handle, c_void_p(kernel32.GetCurrentProcess())):
            raise OSError("Windows does not let this worker into a job object")
        return handle

    def spare_leftovers(job_object: Any) -> None:
        """Before a worker leaves in peace: what its jobs left running is left alone."""
        limit_job_object(job_object, BREAKAWAY_OK)

    def job_object_lives(worker: str) -> bool:
        """True while processes of a (dead) worker's job object live."""
        handle = kernel32.OpenJobObjectW(c_uint32(0x4), 0, "queuectl-" + worker)
        if not handle:
            return False
        active = active_processes(c_void_p(handle))
        kernel32.CloseHandle(c_void_p(handle))
        return active > 0

    def active_processes(handle: Any) -> int:
        accounting = JobAccounting()
        kernel32.QueryInformationJobObject(handle, 1, byref(accounting), c_uint32(sizeof(accounting)), None)
        return int(accounting.active)

    def find_program(program: str, cwd: str, environment: Dict[str, str]) -> Optional[str]:
        """The file that *program* means in a job: from its directory or its PATH, with or without .exe and such."""
        if not os.path.dirname(program):
            return shutil.which(program, path=environment.get("PATH", os.defpath))
        path = os.path.join(cwd, program)
        endings = [""] + environment.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").split(";")
        return next((path + ending for ending in endings if os.path.isfile(path + ending)), None)

    def program_name(pid: int) -> str:
        """What runs as *pid*, "" where that is unknown."""
        name = create_unicode_buffer(32768)
        process = c_void_p(kernel32.OpenProcess(c_uint32(0x1000), 0, c_uint32(pid)))
        if process:
            kernel32.QueryFullProcessImageNameW(process, c_uint32(0), name, byref(c_uint32(len(name))))
            kernel32.CloseHandle(process)
        return os.path.basename(name.value)

    def launch_windows(claim: Claim, environment: Dict[str, str], stdout: int, stderr: int) -> subprocess.Popen[bytes]:
        """Start the command suspended; its Tree puts it into its job object, then lets it run."""
        command: Union[str, List[str]] = claim.command
        if isinstance(command, str):
            shell = environment.get("COMSPEC") or "cmd.exe"
            command = '"%s" /d /s /c "%s"' % (shell, command)
        else:  # CreateProcess would look with our PATH, from our directory, and only for .exe
            command = [find_program(command[0], claim.cwd, environment) or command[0]] + command[1:]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=claim.cwd,
            env=environment,
            creationflags=CREATE_SUSPENDED | subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW,
        )

    class Tree:
        """The processes of one attempt: a job object holds them all, inside that of their worker.

        They end when their worker dies. What a finished attempt left running holds the
        job object from then on, and so keeps its name, by which `end` finds them.
        """

        def __init__(self, token: str, run_path: str) -> None:
            self.name = "queuectl-" + token
            self.handle: Any = None

        def hold(self, child: subprocess.Popen[bytes]) -> None:
            """Raises OSError, and *child* is gone, where Windows refuses."""
            try:
                self.handle = new_job_object(self.name)
                process = c_void_p(int(child._handle))  # type: ignore[attr-defined]
                if not kernel32.AssignProcessToJobObject(self.handle, process):
                    raise OSError("Windows does not let a command into a job object")
            except OSError:
                child.kill()
                child.wait()
                self._close()
                raise

        def resume(self, child: subprocess.Popen[bytes]) -> None:
            windll.ntdll.NtResumeProcess(c_void_p(int(child._handle)))  # type: ignore[attr-defined]

        def let_go(self) -> None:
            """The attempt is over: leave what is left of it alone, in possession of the job object."""
            if not self.handle:
                return
            left = self.members()
            if left:
                limit_job_object(self.handle, BREAKAWAY_OK)
            for pid in left:
                process = c_void_p(kernel32.OpenProcess(c_uint32(0x40), 0, c_uint32(pid)))
                if process:
                    own = c_void_p(kernel32.GetCurrentProcess())
                    kernel32.DuplicateHandle(own, self.handle, process, byref(c_void_p()), c_uint32(0), 0, c_uint32(2))
                    kernel32.CloseHandle(process)
            self._close()

        def _close(self) -> None:
            if self.handle:
                kernel32.CloseHandle(self.handle)
                self.handle = None

        def signal(self, gently: bool) -> None:
            """Windows has no way to ask: the tree ends at once."""
            if self.handle:
                kernel32.TerminateJobObject(self.handle, c_uint32(1))

        def members(self) -> List[int]:
            """The pids that live now, less the console that Windows itself gave them."""
            if not self.handle:
                return []
            found = JobProcesses()
            kernel32.QueryInformationJobObject(self.handle, 3, byref(found), c_uint32(sizeof(found)), None)
            pids = [int(pid) for pid in found.pids[: found.listed]]
            return [pid for pid in pids if program_name(pid).lower() != "conhost.exe"]

        def description(self) -> str:
            """Who is left, for `show`: pid and name of each."""
            return ", ".join("pid %d (%s)" % (pid, program_name(pid)) for pid in self.members())

        def leader_lives(self, pid: Optional[str]) -> bool:
            return False  # the tree ended with its worker

        def end(self, seconds: float) -> str:
            """End what an earlier attempt left running. Returns who resisted, "" if nobody."""
            self.handle = c_void_p(kernel32.OpenJobObjectW(c_uint32(0xC), 0, self.name))
            self.signal(gently=True)
            deadline = time.monotonic() + KILL_SECONDS
            while self.members() and time.monotonic() < deadline:
                time.sleep(0.02)
            rest = self.description()
            self._close()
            return rest

else:

    def own_job_object(worker: str) -> Any:
        """Only Windows has these; elsewhere a job outlives its worker."""
        return None

    def spare_leftovers(job_object: Any) -> None:
        return

    def job_object_lives(worker: str) -> bool:
        return False

    def launch_windows(claim: Claim, environment: Dict[str, str], stdout: int, stderr: int) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    class Tree:
        """The processes of one attempt, wherever they went.

        Found by what they inherit and cannot shed by accident: the session of their
        watcher, the run file's descriptor, QUEUECTL_TOKEN in their environment, and
        descent from any of these. Once seen, a process is known by pid and start time.
        """

        def __init__(self, token: str, run_path: str) -> None:
            self.cookie = ("QUEUECTL_TOKEN=%s" % token).encode("ascii")
            self.run_path = run_path
            self.child: Optional[ChildProcess] = None
            self.known: Dict[int, str] = {}

        def hold(self, child: ChildProcess) -> None:
            self.child = child

        def signal(self, gently: bool) -> None:
            """TERM (and CONT, so that a stopped process hears it) or KILL to all of them."""
            for pid in self.members():
                send_signal(pid, self.known[pid], signal.SIGTERM if gently else signal.SIGKILL)
                if gently:
                    send_signal(pid, self.known[pid], signal.SIGCONT)

        def members(self) -> List[int]:
            """The pids that live now."""
            table = process_table()
            found = {pid for pid, start in self.known.items() if pid in table and table[pid].start == start}
            if self.child is not None and self.child.returncode is None:
                leader = self.child.pid  # not reaped, so nobody else has this pid or session
                found |= {pid for pid, process in table.items() if leader in (pid, process.session)}
            if has_proc():
                found |= {pid for pid in table if self._carries(pid)}
                found |= holders(self.run_path, table)
            elif self.child is None:
                found |= self._group_of_watcher(table)
            found = with_descendants(found, table) - {os.getpid()}
            self.known = {pid: table[pid].start for pid in found}
            return sorted(found)

        def _group_of_watcher(self, table: Dict[int, Process]) -> Set[int]:
            """Where there is no /proc: the watcher that the run file names, if it began at that time, and its group."""
            status = read_status(self.run_path)
            began = began_monotonic(status)
            leader = table.get(int(status["pid"])) if status.get("pid", "").isdigit() else None
            if leader is None or began is None:
                return set()
            age = time.time() - seconds_of_ps(leader.start)
            if abs(time.monotonic() - began - age) > PS_SECONDS or leader.session != int(status["pid"]):
                return set()
            return {pid for pid, process in table.items() if process.session == leader.session}

        def _carries(self, pid: int) -> bool:
            """True when *pid* has our cookie in its environment."""
            try:
                with open("/proc/%d/environ" % pid, "rb") as file:
                    return self.cookie in file.read().split(b"\0")
            except OSError:
                return False

        def description(self) -> str:
            """Who is left, for `show`: pid and name of each."""
            members = self.members()
            table = process_table()
            return ", ".join("pid %d (%s)" % (pid, table[pid].name) for pid in members if pid in table)

        def leader_lives(self, pid_text: Optional[str]) -> bool:
            """True while the watcher of an orphan lives."""
            if not pid_text or not pid_text.isdigit():
                return True  # it has not begun to speak; its lock says that it lives
            pid = int(pid_text)
            if has_proc():
                return self._carries(pid)
            return pid in process_table()

        def end(self, seconds: float) -> str:
            """End them all: TERM, *seconds* of grace, KILL. Returns who resisted, "" if nobody."""
            kill_at = time.monotonic() + seconds
            self.signal(gently=True)
            while self.members():
                now = time.monotonic()
                if now > kill_at + KILL_SECONDS:
                    return self.description()
                if now > kill_at:
                    self.signal(gently=False)
                time.sleep(0.02)
            return ""


class Process:
    """A row of the process table."""

    __slots__ = ("parent", "session", "start", "name")

    def __init__(self, parent: int, session: int, start: str, name: str) -> None:
        self.parent = parent
        self.session = session
        self.start = start
        self.name = name


def process_table() -> Dict[int, Process]:
    """Every living process by pid, zombies left out."""
    if has_proc():
        found = ((int(entry), linux_process(entry)) for entry in os.listdir("/proc") if entry.isdigit())
        return {pid: process for pid, process in found if process}
    return ps_table()


def has_proc() -> bool:
    return os.path.isdir("/proc/self")


def linux_process(pid: str) -> Optional[Process]:
    """One process from /proc/PID/stat (proc(5): the name in parentheses may hold anything)."""
    try:
        with open("/proc/%s/stat" % pid, "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    words = rest.split()
    if words[0] in "ZX":
        return None
    return Process(int(words[1]), int(words[3]), words[19], name)


def ps_table() -> Dict[int, Process]:
    """The process table where there is no /proc (macOS, BSD); the group stands in for the session."""
    found = {}
    listing = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,pgid=,stat=,lstart=,comm="],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ, LC_ALL="C", TZ="UTC0"),  # what lstart looks like must not vary
    ).stdout.decode("utf-8", "replace")
    for line in listing.splitlines():
        words = line.split(None, 9)
        if len(words) == 10 and not words[3].startswith("Z"):
            found[int(words[0])] = Process(int(words[1]), int(words[2]), " ".join(words[4:9]), words[9])
    return found


def seconds_of_ps(lstart: str) -> float:
    """What `ps` calls lstart (Mon Nov 23 09:15:00 2026, in UTC) as seconds since 1970."""
    import calendar  # needed only where there is no /proc

    return calendar.timegm(time.strptime(lstart, "%a %b %d %H:%M:%S %Y"))


def holders(path: str, table: Dict[int, Process]) -> Set[int]:
    """The processes that inherited the lock on *path*."""
    return {pid for pid in table if holds_lock(pid, path)}


def holds_lock(pid: int, path: str) -> bool:
    """True when *pid* has the locked description itself: who only reads the file is a bystander."""
    try:
        for fd in os.listdir("/proc/%d/fd" % pid):
            if os.readlink("/proc/%d/fd/%s" % (pid, fd)) == path:
                with open("/proc/%d/fdinfo/%s" % (pid, fd), encoding="ascii") as file:
                    if re.search(r"^lock:.*FLOCK.*WRITE", file.read(), re.M):
                        return True
    except OSError:
        pass
    return False


def with_descendants(found: Set[int], table: Dict[int, Process]) -> Set[int]:
    """*found* and everything that descends from it."""
    result, fresh = set(found), set(found)
    while fresh:
        fresh = {pid for pid, process in table.items() if process.parent in fresh} - result
        result |= fresh
    return result


def send_signal(pid: int, start: str, number: int) -> None:
    """Signal *pid* if it is still the process that began at *start*, and nobody else."""
    if sys.platform == "win32":
        raise NotImplementedError
    handle = pidfd(pid)  # holds the identity between the look and the signal, where the kernel has that
    with contextlib.suppress(OSError):
        process = process_table().get(pid) if handle is None else linux_process(str(pid))
        if process and process.start == start:
            if sys.platform == "linux" and handle is not None and hasattr(signal, "pidfd_send_signal"):
                signal.pidfd_send_signal(handle, number)
            else:
                os.kill(pid, number)
    if handle is not None:
        os.close(handle)


def pidfd(pid: int) -> Optional[int]:
    """A handle on *pid*; None where the system has none (before Linux 5.3), or refuses it (old containers)."""
    if sys.platform == "linux" and hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return int(os.pidfd_open(pid))
    return None


# ---------------------------------------------------------------- being started (cron)

CRONTAB = """\
# Lines for your crontab. This adds them to what stands there:
#   (crontab -l; {self} cron --count {count}) | crontab -
# and `crontab -e` changes them or takes them out again. Jobs run with cron's short PATH, unless
# a line such as PATH=/usr/local/bin:/usr/bin:/bin stands above. `worker stop` lasts until the next minute.

# After a start of the host, and every minute: see that workers run. Nothing happens while they do.
@reboot       {line} worker start --ensure --background --quiet --count {count}
* * * * *     {line} worker start --ensure --background --quiet --count {count}

# Where no process may stay, in place of these two (jobs that run longer than a minute may then add up):
# * * * * *   {line} worker start --drain --max-time 55s --background --quiet --count {count}

# Every ten minutes: look whether all is well. cron mails what it says.
*/10 * * * *  {line} check

# Once a day: delete what finished more than 30 days ago.
17 3 * * *    {line} prune --older-than 30d --quiet
"""


def schedule(words: Sequence[str], count: int) -> str:
    """Lines for the crontab (on Windows commands for the task scheduler) that keep *count* workers running.

    *words* call queuectl. Raises BadInput for one that no crontab can carry.
    """
    for word in words:
        if not word.isprintable():
            text = "%s holds a character that no crontab can carry: rename it"
            raise storage.BadInput(text % storage.shown(word))
    return windows_tasks(words, count) if sys.platform == "win32" else crontab(words, count)


def crontab(words: Sequence[str], count: int) -> str:
    typed = " ".join(shlex.quote(word) for word in words)
    return CRONTAB.format(self=typed, line=" ".join(cron_word(word) for word in words), count=count)


def cron_word(word: str) -> str:
    """*word* for sh behind any cron: a bare \\% is % for those that unescape it and for those that do not.

    No backslash stands beside another one, which some would make one of.
    """
    parts = re.split(r"([%\\])", word)
    special = {"%": "\\%", "\\": "'\\'", "": ""}
    return "".join(special[part] if part in special else shlex.quote(part) for part in parts)


def windows_tasks(words: Sequence[str], count: int) -> str:
    """The same for the Windows task scheduler, to be pasted into cmd."""
    windowless = re.sub(r"python\.exe\Z", "pythonw.exe", words[0])  # else a console flashes up each minute
    words = [windowless if os.path.isfile(windowless) else words[0]] + list(words[1:])
    line = " ".join('\\"%s\\"' % word for word in words)
    tasks = (
        ("queuectl workers", "/sc minute /mo 1", "worker start --ensure --background --quiet --count %d" % count),
        ("queuectl check", "/sc minute /mo 10", "check"),
        ("queuectl prune", "/sc daily /st 03:17", "prune --older-than 30d --quiet"),
    )
    lines = ["rem For cmd. `schtasks /delete /tn NAME` takes a task out again."]
    lines += ['schtasks /create /f /tn "%s" %s /tr "%s %s"' % (name, when, line, rest) for name, when, rest in tasks]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- proving the host (doctor)

TRIAL_JOBS = 20  # that each of two callers enqueues
TRIAL_WORKERS = 2
TRIAL_TIMEOUT = 2.0  # least seconds of the job whose tree must end; more where processes start slowly
TRIAL_SECONDS = 60.0  # longest step
# A process in a session of its own, where no signal to a group reaches it. Its lock tells whether it lives.
ESCAPED = """import os, sys, time
sys.path.insert(0, sys.argv[1])
import storage
fd = storage.open_private(sys.argv[2], os.O_RDWR | os.O_CREAT)
storage.try_lock(fd)
os.write(fd, b"%d" % os.getpid())
time.sleep(60)"""
ESCAPING = """import subprocess, sys, time
subprocess.Popen([sys.executable, "-I", "-S", "-c"] + sys.argv[1:], start_new_session=True)
time.sleep(60)"""


def examine(home: str, config: storage.ConfigFile, script: str, modules: str) -> Iterator[Finding]:
    """Finding after finding: the host, the real home, a home that is thrown away.

    *script* is queuectl.py, or the archive that holds it; *modules* is where the others are imported from.
    """
    wall, monotonic = time.time(), time.monotonic()
    yield Finding("python", True, "%d.%d.%d, %s" % (sys.version_info[:3] + (sys.executable,)))
    yield storage.probe_sqlite()
    readable = storage.tried("config", storage.probe_config, config)
    yield readable
    queue = Queue(os.path.join(home, "queuectl.db")) if readable.ok is False else config.queue()
    yield storage.tried("home", storage.probe_home, home, config.path, queue)
    yield storage.tried("file system", storage.probe_file_system, queue)
    yield storage.tried("database", storage.probe_database, queue)
    yield storage.tried("alive", storage.probe_alive, queue)
    folder = existing_folder(os.path.dirname(queue.path))
    try:
        with Trial(script, modules, folder) as trial:
            yield from trial.findings()
    except OSError as error:
        text = "no home to try with can be made in %s: %s" % (folder, error.strerror)
        yield Finding("trial", False, text, "make it writable, or choose another home")
    yield storage.probe_clock(wall, monotonic)
    yield storage.tried("cron", probe_cron)
    if sys.platform != "win32":
        yield storage.tried("bare PATH", probe_bare_path)


def existing_folder(path: str) -> str:
    """*path*, or what is there of the way to it."""
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def probe_locks(folder: str) -> Finding:
    """Whether a lock keeps another process out, and falls when its holder is killed."""
    path = os.path.join(folder, "lock.probe")
    fd = storage.open_private(path, os.O_RDWR | os.O_CREAT)
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=hold_lock, args=(path, there), daemon=True)
    try:
        child.start()
        there.close()
        if not here.poll(TRIAL_SECONDS) or here.recv() is not True:
            return Finding("locks", False, "a new process cannot lock a file", "use a local file system")
        if storage.try_lock(fd):
            return Finding("locks", False, "two processes hold one lock at once", "use a local file system")
        child.kill()
        child.join()
        if not comes_free(fd):
            return Finding("locks", False, "a lock outlives its process", "use a local file system")
    except EOFError:
        return Finding("locks", False, "a Python process ended as soon as it was started", "see what it says above")
    finally:
        here.close()
        if child.pid:
            child.kill()
            child.join()
        os.close(fd)
    return Finding("locks", True, "keep another process out, and fall when it is killed")


def hold_lock(path: str, answer: Any) -> None:
    """In a process of its own: lock *path*, say so, and wait to be killed."""
    fd = storage.open_private(path, os.O_RDWR)
    answer.send(storage.try_lock(fd))
    time.sleep(TRIAL_SECONDS)


def comes_free(fd: int) -> bool:
    """True once *fd* can be locked, which the kernel may take a moment for."""
    deadline = time.monotonic() + 2
    while not storage.try_lock(fd):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Trial:
    """This program run for real, in a home of its own that is gone afterwards, with all that it started."""

    def __init__(self, script: str, modules: str, folder: str) -> None:
        self.script = script
        self.modules = modules
        self.folder = folder
        self.children: List[subprocess.Popen[bytes]] = []
        self.handlers: Dict[int, Any] = {}

    def __enter__(self) -> Trial:
        """Raises OSError where no folder can be made."""
        import tempfile  # with random and more, which no worker needs

        os.chdir(os.path.abspath(os.sep))  # spawn fails from a directory that was deleted
        spawn_without_front_end()
        for number in stop_signals():
            self.handlers[number] = signal.signal(number, interrupt)
        try:
            self.home = tempfile.mkdtemp(prefix=".queuectl-doctor-", dir=self.folder)
        except OSError:
            self._restore_signals()
            raise
        self.queue = Queue(os.path.join(self.home, "queuectl.db"))
        self.lock_path = os.path.join(self.home, "escaped.lock")
        return self

    def __exit__(self, *error: object) -> None:
        for number in self.handlers:
            signal.signal(number, signal.SIG_IGN)
        try:
            self._end_children()
            self._end_escaped()
            remove_tree(self.home)
        finally:
            self._restore_signals()

    def _restore_signals(self) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def _end_children(self) -> None:
        """As `worker stop --now` would, then by force."""
        deadline = time.monotonic() + KILL_SECONDS + 2
        while any(child.poll() is None for child in self.children):
            with contextlib.suppress(QueueError, OSError):
                for member in self.queue.members():
                    path = self.queue.request_path(str(member["supervisor"]), "now")
                    os.close(storage.open_private(path, os.O_CREAT | os.O_WRONLY))
            if time.monotonic() > deadline:
                for child in self.children:
                    child.kill()
            time.sleep(0.02)
        for child in self.children:
            for pipe in (child.stdin, child.stdout, child.stderr):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def _end_escaped(self) -> None:
        """The one process that may be left where ending a tree does not work: as its lock is held, it is that pid."""
        with contextlib.suppress(OSError, ValueError, HostError):
            fd = storage.open_private(self.lock_path, os.O_RDWR)
            try:
                if not storage.try_lock(fd):
                    os.kill(int(os.read(fd, 20)), getattr(signal, "SIGKILL", signal.SIGTERM))
            finally:
                os.close(fd)

    def findings(self) -> Iterator[Finding]:
        """Each of these builds on what the one before has proved: after a failure no other is tried."""
        yield storage.tried("space", storage.probe_space, self.home)
        yield storage.tried("sync", storage.probe_sync, self.home)
        failed = ""
        for name, probe in (
            ("locks", lambda: probe_locks(self.home)),
            ("writers", self.probe_writers),
            ("workers", self.probe_workers),
            ("ending", self.probe_ending),
        ):
            finding = Finding(name, None, "not tried", "see to the %s first" % failed)
            if not failed:
                finding = storage.tried(name, probe)
                failed = name if finding.ok is False else ""
            yield finding

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start one command line of ours with pipes."""
        command = [sys.executable] + subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        child = subprocess.Popen(
            command + [self.script, "--home", self.home] + list(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=worker_environment(),
            cwd=self.home,
        )
        self.children.append(child)
        return child

    def end(self, child: subprocess.Popen[bytes], text: str = "") -> None:
        """Give *text* to a started one and wait for its end. Raises HostError with its last words if it failed."""
        try:
            _, stderr = child.communicate(text.encode("utf-8"), TRIAL_SECONDS)
        except subprocess.TimeoutExpired:
            raise HostError("a trial did not end within %d s" % TRIAL_SECONDS) from None
        if child.returncode:
            lines = stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
            raise HostError("a trial ended with exit code %d: %s" % (child.returncode, lines[-1]))

    def probe_writers(self) -> Finding:
        """Two callers enqueue at once into a database that neither has made before."""
        both = [self.start("enqueue", "--quiet", "-") for _ in range(2)]
        for child in both:
            self.end(child, '{"command": "exit 0"}\n' * TRIAL_JOBS)
        count = self.queue.counts()["pending"]
        if count != 2 * TRIAL_JOBS:
            text = "two callers enqueued %d jobs each, and %d are there" % (TRIAL_JOBS, count)
            return Finding("writers", False, text, "use a local file system")
        return Finding("writers", True, "two callers at once enqueued %d jobs, and all are there" % count)

    def probe_workers(self) -> Finding:
        """Workers start, share these jobs, and record them; beside them runs one whose tree must end."""
        self._add_escaping_job()
        began = time.time()
        self.end(self.start("worker", "start", "--drain", "--count", str(TRIAL_WORKERS)))
        took = time.time() - began
        jobs = [job for job in self.queue.jobs((), 10 * TRIAL_JOBS)[0] if job["id"] != "tree"]
        done = [job for job in jobs if (job["state"], job["attempts"]) == ("completed", 1)]
        if len(done) != 2 * TRIAL_JOBS:
            error = next((job["last_error"] for job in jobs if job["last_error"]), "no reason is known")
            text = "%d of %d jobs `exit 0` completed: %s" % (len(done), 2 * TRIAL_JOBS, error)
            return Finding("workers", False, text, "see that processes can be started, and /bin/sh")
        first = min(storage.utc_seconds(job["started_at"]) for job in done) - began
        text = "%d workers ran %d jobs; the first began after %.2f s, all ended after %.1f s"
        return Finding("workers", True, text % (TRIAL_WORKERS, len(done), first, took))

    def _add_escaping_job(self) -> None:
        """The job whose tree must end at its timeout: a process, and its child in a session of its own."""
        began = time.monotonic()
        self.end(self.start("config", "set", "grace", "0.5"))
        start_seconds = time.monotonic() - began  # of one process, and the job takes two
        timeout = "%.1f" % min(max(TRIAL_TIMEOUT, 6 * start_seconds), TRIAL_SECONDS / 2)
        words = ["--id", "tree", "--quiet", "--max-retries", "0", "--timeout", timeout, "--"]
        escaping = [sys.executable, "-I", "-S", "-c", ESCAPING, ESCAPED, self.modules, self.lock_path]
        self.end(self.start("add", *words, *escaping))

    def probe_ending(self) -> Finding:
        """What became of the job that ran into its timeout, and of its child in another session."""
        job = self.queue.job("tree")
        if not os.path.exists(self.lock_path):
            text = "not tried: %s" % (job["last_error"] or "the job is %s" % job["state"])
            return Finding("ending", None, text, "try again when the host is less busy")
        fd = storage.open_private(self.lock_path, os.O_RDWR)
        try:
            gone = comes_free(fd)
        finally:
            os.close(fd)
        if not gone or not str(job["last_error"]).startswith("timed out"):
            text = "a child in a session of its own outlived its job (%s)" % (job["last_error"] or job["state"])
            return Finding("ending", False, text, "see that /proc is mounted (Linux), or that `ps` works")
        return Finding("ending", True, "a job that ran into its timeout ended with all that it had started")


def interrupt(number: int, frame: object) -> None:
    """Any stop signal is what Ctrl+C is: a way out that cleans up."""
    raise KeyboardInterrupt


def remove_tree(path: str) -> None:
    """Delete a folder and all in it; on Windows wait for what is still open there."""
    deadline = time.monotonic() + 2
    while os.path.exists(path):
        shutil.rmtree(path, ignore_errors=True)
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def probe_cron() -> Finding:
    """Whether cron is there to start workers, and does so. Only good to know."""
    tool, *words = ("schtasks", "/query", "/fo", "csv") if sys.platform == "win32" else ("crontab", "-l")
    advice = "`cron` prints lines that keep workers running"
    if not shutil.which(tool):
        return Finding("cron", None, "%s is not there" % tool, "start workers at boot by other means")
    try:
        done = subprocess.run(
            [tool] + words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("cron", None, "%s does not work: %s" % (tool, str(error).replace("\n", " ")), advice)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    count = sum("queuectl" in line and not line.startswith("#") for line in lines)
    if not count:
        return Finding("cron", None, "%s is there, and nothing in it starts queuectl" % tool, advice)
    return Finding("cron", True, "%s names queuectl in %d lines" % (tool, count))


def probe_bare_path() -> Finding:
    """Which Python the word python3 means in a bare environment, such as cron's."""
    found = shutil.which("python3", path="/usr/bin:/bin")
    if not found:
        return Finding("bare PATH", None, "no python3 in /usr/bin or /bin", "in crontabs write %s" % sys.executable)
    done = subprocess.run([found, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=10)
    version = done.stdout.decode("ascii", "replace").strip()
    if [int(number) for number in re.findall(r"\d+", version)[:2]] < [3, 8]:
        text = "%s is %s, too old" % (found, version)
        return Finding("bare PATH", None, text, "in crontabs write %s" % sys.executable)
    return Finding("bare PATH", True, "python3 is %s, %s" % (found, version))
