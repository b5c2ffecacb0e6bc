"""What every test uses: a home of its own, and one helper that asserts the whole contract of a call."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPT = os.path.join(ROOT, "queuectl.py")
sys.path.insert(0, ROOT)

from queuectl_lib import settings
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.settings import Settings
from queuectl_lib.store import looking, roster
from queuectl_lib.store.output import Output
from storage import Queue

WINDOWS = sys.platform == "win32"
# Without the site module: the product needs nothing from it, and packages that hook into it can take most of a call.
PYTHON = [sys.executable, "-S"]
# A shell starts what it puts in the background with SIGINT and SIGQUIT ignored, nohup what it starts with
# SIGHUP, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if not WINDOWS:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
# Where `make test` fetched pytest to; the product must need nothing from there.
os.environ.pop("PYTHONPATH", None)
# As users have it: without its cache Python compiles the three files in every process.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# A warning of the product is an error, in every process that a test starts.
os.environ.setdefault("PYTHONWARNINGS", "error")

posix_only = pytest.mark.skipif(WINDOWS, reason="signals, modes and shells of POSIX")
long = pytest.mark.long


def pytest_configure(config):
    config.addinivalue_line("markers", "long: a whole matrix; left out by `make test`, not by `make test-long`")


# What Python says of mistakes, and where a warning comes too late to be an error.
COMPLAINTS = re.compile(r"Traceback|Exception ignored|\w+Warning: ")
# What multiprocessing says in a worker whose supervisor is killed in the middle of starting it.
HALF_STARTED = re.compile(r"^Traceback [^\n]*\n(?:  [^\n]*\n)*EOFError: Ran out of input\n", re.M)


class Result:
    """What one call printed and returned."""

    def __init__(self, code, stdout, stderr):
        self.code = code
        self.stdout = stdout
        self.stderr = stderr

    @property
    def id(self):
        return self.stdout.strip()

    @property
    def json(self):
        return json.loads(self.stdout)


PATIENCE = 60.0 if WINDOWS else 20.0  # seconds


def wait_until(condition, what, seconds=PATIENCE):
    """Wait for *condition* to return something true, and return it; fails naming *what* was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail("waited %g s for %s" % (seconds, what))
        time.sleep(0.02)


class Home:
    """A queue in a directory of its own, used through the real command line."""

    def __init__(self, path):
        self.path = str(path)
        self.started = []
        self.python = PYTHON

    @property
    def db(self):
        return os.path.join(self.path, "queuectl.db")

    @property
    def queue(self):
        return Queue(self.db)

    def command(self, *words):
        return self.python + [SCRIPT, "--home", self.path] + [str(word) for word in words]

    def environment(self, extra=None):
        found = {key: value for key, value in os.environ.items() if not key.startswith("QUEUECTL_")}
        found.update(extra or {})
        return found

    def run(self, *words, code=0, input=None, env=None, cwd=None, timeout=60):
        """Run `queuectl.py WORDS`, assert the exit code and the form of what it says, return a Result."""
        if isinstance(input, str):
            input = input.encode("utf-8")
        done = subprocess.run(
            self.command(*words),
            input=b"" if input is None else input,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(env),
            cwd=cwd,
            timeout=timeout,
        )
        stdout = done.stdout.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
        stderr = done.stderr.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
        said = "%r exited %d\nstdout: %s\nstderr: %s" % (words, done.returncode, stdout, stderr)
        assert not COMPLAINTS.search(stderr), said
        assert done.returncode == code, said
        if code in (2, 3):
            assert stdout == "", said
            assert stderr.startswith("queuectl: error: ") and stderr.count("\n") == 1, said
        return Result(done.returncode, stdout, stderr)

    def add(self, command, *options):
        return self.run("add", command, *options).id

    def job(self, identifier):
        return self.run("show", identifier, "--json").json

    def state(self, identifier):
        return looking.states_of(self.queue.database, [identifier])[0]

    def wait_for_state(self, identifier, state, seconds=PATIENCE):
        wait_until(lambda: self.state(identifier) == state, "job %s to be %s" % (identifier, state), seconds)

    def start(self, *words):
        """Start `worker start WORDS` in the foreground; returns the process, its log in process.log."""
        log = os.path.join(self.path, "foreground-%d.log" % len(self.started))
        os.makedirs(self.path, exist_ok=True)
        with open(log, "wb") as file:
            process = subprocess.Popen(
                self.command("worker", "start", *words),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=self.environment(),
            )
        process.log = log
        self.started.append(process)
        return process

    def workers(self):
        return [member for member in roster.members(self.queue.folder) if member["kind"] == "worker"]

    def wait_for_workers(self, count):
        wait_until(lambda: len(self.workers()) == count, "%d workers to be alive" % count)

    def drain(self, *words):
        """Run everything to its end and return the log."""
        return self.run("worker", "start", "--drain", "--backoff-base", "0", *words).stderr

    def clean_up(self):
        for member in roster.members(self.queue.folder) if os.path.isdir(self.db + ".d") else []:
            if member["pid"]:  # 0 while it has only begun
                end_process(member["pid"])
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()

    def complaints(self):
        """What the logs of supervisors and workers hold that no program should say."""
        logs = [process.log for process in self.started if hasattr(process, "log")] + [self.db + ".d/worker.log"]
        texts = [HALF_STARTED.sub("", contents(log)) for log in logs]
        return [text for text in texts if COMPLAINTS.search(text)]


def is_running(pid):
    """True while *pid* lives (a zombie, which only waits to be reaped, does not)."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE).stdout.strip()
    return bool(state) and not state.startswith(b"Z")


def contents(path):
    """The text of a file, "" while there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def ledger(home):
    """The words that jobs have appended to the file `ledger` in their home."""
    return contents(os.path.join(home.path, "ledger")).split()


def let_go(home):
    """Make the file that a patient job waits for."""
    with open(os.path.join(home.path, "go"), "w"):
        pass


def end_process(pid):
    try:
        os.kill(pid, signal.SIGTERM if WINDOWS else signal.SIGKILL)
    except OSError:
        pass


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    os.mkdir(home.path, 0o700)
    yield home
    home.clean_up()
    assert home.complaints() == []


def in_full(queue, identifier):
    """A job with its attempts, and in them the bytes of what output stands in the database (None of what does not)."""
    job = looking.job(queue.database, identifier)
    for attempt in job["history"]:
        for stream in ("stdout", "stderr"):
            kept = Output(queue.database, attempt, stream)
            attempt[stream] = kept.read(0, kept.size) if attempt[stream] else None
    return job


# ---------------------------------------------------------------- the storage alone

NOW = 1800000000.0
SETTINGS = Settings(**settings.SETTING_DEFAULTS)


@pytest.fixture
def queue(tmp_path):
    queue = Queue(str(tmp_path / "q.db"))
    queue.database.create()
    return queue


def claim(queue, now=NOW, want=1, worker="w-1"):
    return queue.exchange(worker, [], want, now, SETTINGS)[1]


def settle(queue, held, kind, now=NOW, unstarted=False):
    """Record one outcome; True when the storage took it."""
    outcome = Outcome(held, kind, now)
    outcome.unstarted = unstarted
    return not queue.exchange("w-1", [outcome], 0, now, SETTINGS)[0]


@contextlib.contextmanager
def raw(queue):
    connection = sqlite3.connect(queue.path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        yield connection
    finally:
        connection.close()


def rows(queue, sql="SELECT * FROM jobs ORDER BY seq"):
    with raw(queue) as connection:
        return [dict(row) for row in connection.execute(sql)]


def everything(queue):
    return rows(queue), rows(queue, "SELECT * FROM attempts ORDER BY id")


def all_at_once(script, count, *arguments):
    """Start *count* Pythons on *script*, wait until all have said "ready", and let them go at once."""
    words = PYTHON + ["-c", script, ROOT] + [str(argument) for argument in arguments]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(count)]
    try:
        assert [process.stdout.readline().strip() for process in started] == [b"ready"] * count
        for process in started:
            process.stdin.write(b"go\n")
            process.stdin.flush()
        ended = [process.communicate(timeout=60) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [(process.returncode, out.decode().strip(), err.decode()) for process, (out, err) in zip(started, ended)]
