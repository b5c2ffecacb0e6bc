"""A home of its own for a test, and one helper that asserts the whole contract of a call."""

import json
import os
import re
import subprocess

from helpers.bundle import ROOT
from helpers.processes import PYTHON, end_process
from helpers.waiting import PATIENCE, wait_until
from queuectl_lib.store import finding, roster
from storage import Queue

SCRIPT = os.path.join(ROOT, "queuectl.py")
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


def is_one_error(words, stderr):
    """True where *stderr* is an error and nothing else: a line for people, or with --json an object."""
    if "--json" in words:
        return stderr.count("\n") == 1 and set(json.loads(stderr)) == {"error"}
    return stderr.count("\n") == 1 and stderr.startswith("queuectl: error: ")


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
            assert is_one_error(words, stderr), said
        return Result(done.returncode, stdout, stderr)

    def add(self, command, *options):
        return self.run("add", command, *options).id

    def job(self, identifier):
        return self.run("show", identifier, "--json").json

    def state(self, identifier):
        return finding.states_of(self.queue.database, [identifier])[0]

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


def contents(path):
    """The text of a file, "" while there is none; also of one in /proc whose process ends meanwhile."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def ledger(home):
    """The words that jobs have appended to the file `ledger` in their home."""
    return contents(os.path.join(home.path, "ledger")).split()


# Says that it runs, waits to be let go, says that it is done.
PATIENT = "echo begun >> ledger; while [ ! -e go ]; do sleep 0.03; done; echo done >> ledger"


def let_go(home):
    """Make the file that a patient job waits for."""
    with open(os.path.join(home.path, "go"), "w"):
        pass


def wait_for_log(process, text, seconds=PATIENCE):
    """Wait until what Home.start has started has said *text*."""
    wait_until(lambda: text in contents(process.log), "the log to say %r" % text, seconds)


def through_a_shell(home, redirection, *words, **variables):
    return subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" ' + redirection, "sh"] + home.command(*words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=home.environment(variables),
        timeout=60,
    )
