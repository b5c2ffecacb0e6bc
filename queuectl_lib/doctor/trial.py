"""This program run for real, in a home that is thrown away: locks, writers, workers, the ending of a tree."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

from queuectl_lib import times
from queuectl_lib.doctor import probes
from queuectl_lib.doctor.probes import Finding
from queuectl_lib.errors import HostError, QueueError
from queuectl_lib.host import bundle, files, loading, locks, processes, signals
from queuectl_lib.run import launching, replacing, starting
from queuectl_lib.store import looking, roster, showing
from storage import Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List

TRIAL_JOBS = 20  # that each of two callers enqueues
TRIAL_WORKERS = 2
TRIAL_TIMEOUT = 2.0  # least seconds of the job whose tree must end; more where processes start slowly
TRIAL_SECONDS = 60.0  # longest step
# A process in a session of its own, where no signal to a group reaches it. Its lock tells whether it lives.
ESCAPED = """import os, sys, time
sys.path.append(sys.argv[1])
from queuectl_lib.host import files, locks
fd = files.open_private(sys.argv[2], os.O_RDWR | os.O_CREAT)
locks.try_lock(fd)
os.write(fd, b"%d" % os.getpid())
time.sleep(60)"""
ESCAPING = """import subprocess, sys, time
subprocess.Popen([sys.executable, "-I", "-S", "-c"] + sys.argv[1:], start_new_session=True)
time.sleep(60)"""


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
        starting.spawn_without_front_end()
        for number in signals.stop_signals():
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
        deadline = time.monotonic() + processes.KILL_SECONDS + 2
        while any(child.poll() is None for child in self.children):
            with contextlib.suppress(QueueError, OSError):
                for member in roster.members(self.queue.folder):
                    self.queue.folder.put_request(str(member["supervisor"]), "now")
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
            fd = files.open_private(self.lock_path, os.O_RDWR)
            try:
                if not locks.try_lock(fd):
                    os.kill(int(os.read(fd, 20)), getattr(signal, "SIGKILL", signal.SIGTERM))
            finally:
                os.close(fd)

    def findings(self) -> Iterator[Finding]:
        """Each of these builds on what the one before has proved: after a failure no other is tried."""
        yield probes.tried("space", probes.probe_space, self.home)
        yield probes.tried("sync", probes.probe_sync, self.home)
        failed = ""
        for name, probe in (
            ("locks", lambda: probe_locks(self.home)),
            ("writers", self.probe_writers),
            ("workers", self.probe_workers),
            ("ending", self.probe_ending),
        ):
            finding = Finding(name, None, "not tried", "see to the %s first" % failed)
            if not failed:
                finding = probes.tried(name, probe)
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
            env=launching.worker_environment(),
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
            raise HostError("a trial ended with exit code %d: %s" % (child.returncode, last_words(lines)))

    def probe_writers(self) -> Finding:
        """Two callers enqueue at once into a database that neither has made before."""
        both = [self.start("enqueue", "--quiet", "-") for _ in range(2)]
        for child in both:
            self.end(child, '{"command": "exit 0"}\n' * TRIAL_JOBS)
        count = looking.counts(self.queue.database)["pending"]
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
        jobs = [job for job in showing.jobs(self.queue.database, (), 10 * TRIAL_JOBS)[0] if job["id"] != "tree"]
        done = [job for job in jobs if (job["state"], job["attempts"]) == ("completed", 1)]
        if len(done) != 2 * TRIAL_JOBS:
            error = next((job["last_error"] for job in jobs if job["last_error"]), "no reason is known")
            text = "%d of %d jobs `exit 0` completed: %s" % (len(done), 2 * TRIAL_JOBS, error)
            return Finding("workers", False, text, "see that processes can be started, and /bin/sh")
        first = min(times.utc_seconds(job["started_at"]) for job in done) - began
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
        job = showing.job(self.queue.database, "tree")
        if not os.path.exists(self.lock_path):
            text = "not tried: %s" % (job["last_error"] or "the job is %s" % job["state"])
            return Finding("ending", None, text, "try again when the host is less busy")
        fd = files.open_private(self.lock_path, os.O_RDWR)
        try:
            gone = comes_free(fd)
        finally:
            os.close(fd)
        if not gone or not str(job["last_error"]).startswith("timed out"):
            text = "a child in a session of its own outlived its job (%s)" % (job["last_error"] or job["state"])
            return Finding("ending", False, text, "see that /proc is mounted (Linux), or that `ps` works")
        return Finding("ending", True, "a job that ran into its timeout ended with all that it had started")


def probe_locks(folder: str) -> Finding:
    """Whether a lock keeps another process out, and falls when its holder is killed."""
    path = os.path.join(folder, "lock.probe")
    fd = files.open_private(path, os.O_RDWR | os.O_CREAT)
    here, there = multiprocessing.Pipe()
    holding = loading.in_child(hold_lock, (path, there))
    child = multiprocessing.get_context("spawn").Process(daemon=True, **holding)
    try:
        with bundle.found_by_child():
            child.start()
        there.close()
        if not here.poll(TRIAL_SECONDS) or here.recv() is not True:
            return Finding("locks", False, "a new process cannot lock a file", "use a local file system")
        if locks.try_lock(fd):
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
    fd = files.open_private(path, os.O_RDWR)
    answer.send(locks.try_lock(fd))
    time.sleep(TRIAL_SECONDS)


def comes_free(fd: int) -> bool:
    """True once *fd* can be locked, which the kernel may take a moment for."""
    deadline = time.monotonic() + 2
    while not locks.try_lock(fd):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def interrupt(number: int, frame: object) -> None:
    """Any stop signal is what Ctrl+C is: a way out that cleans up."""
    raise KeyboardInterrupt


def last_words(lines: List[str]) -> str:
    """What a trial said last, without the advice to look for more where nobody can, and to try doctor: this is it."""
    text, begin = lines[-1], "queuectl: error: "
    for advice in (replacing.TRY_DOCTOR, ": " + replacing.SEE_ABOVE):
        text = text[: -len(advice)] if text.endswith(advice) else text
    text = text[len(begin) :] if text.startswith(begin) else text
    return "%s; before that it said: %s" % (text, lines[-2]) if len(lines) > 1 else text


def remove_tree(path: str) -> None:
    """Delete a folder and all in it; on Windows wait for what is still open there."""
    deadline = time.monotonic() + 2
    while os.path.exists(path):
        shutil.rmtree(path, ignore_errors=True)
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)
