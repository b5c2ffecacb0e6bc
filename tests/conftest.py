"""What every test uses: a home of its own, and one helper that asserts the whole contract of a call."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPT = os.path.join(ROOT, "queuectl.py")
sys.path.insert(0, ROOT)

import storage  # noqa: E402

WINDOWS = sys.platform == "win32"
# A shell starts what it puts in the background with SIGINT ignored, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Where `make test` fetched pytest to; the product must need nothing from there.
os.environ.pop("PYTHONPATH", None)

posix_only = pytest.mark.skipif(WINDOWS, reason="signals, modes and shells of POSIX")


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


def wait_until(condition, what, seconds=20.0):
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

    @property
    def db(self):
        return os.path.join(self.path, "queuectl.db")

    @property
    def queue(self):
        return storage.Queue(self.db)

    def command(self, *words):
        return [sys.executable, SCRIPT, "--home", self.path] + [str(word) for word in words]

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
        assert "Traceback" not in stderr, said
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
        return self.queue.states_of([identifier])[0]

    def wait_for_state(self, identifier, state, seconds=20.0):
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
        return [member for member in self.queue.members() if member["kind"] == "worker"]

    def wait_for_workers(self, count):
        wait_until(lambda: len(self.workers()) == count, "%d workers to be alive" % count)

    def drain(self, *words):
        """Run everything to its end and return the log."""
        return self.run("worker", "start", "--drain", "--backoff-base", "0", *words).stderr

    def clean_up(self):
        for member in self.queue.members() if os.path.isdir(self.db + ".d") else []:
            if member["pid"]:  # 0 while it has only begun
                end_process(member["pid"])
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()


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
