"""A stand-in for an engine such as Slurm: it runs programs far from whoever asks, with a process table of its own.

Its faults are files in its folder (`with engine.fault("unreachable")`):

    unreachable   run ends with 75, end and alive with 2, and say so
    refuses       run ends with 75
    hang, flood   end and alive wait for ever; write to their stderr for ever
    deaf          end does nothing, and says that it did
    late          alive says "there" for so many seconds after the end (what stands in the file)
    pending       what is run waits for a place, until this is away
    says-gone, says-there, forgets    alive lies; it says "gone" once the client is gone
    loses-code, mixed, nodir    run always ends with 0; puts both streams into one; runs elsewhere, where the directory
                  is missing
    starts-anew   who should join what is there starts it a second time
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

from helpers.waiting import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = [sys.executable, "-I", "-S"]
# As long as a test goes on, and no longer: what hangs looks at its file, too.
SECONDS = 20


class Engine:
    """The engine, its server running; `with Engine() as engine`: all that it runs is ended with it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="far-")
        words = [*PYTHON, os.path.join(HERE, "far_server.py"), self.folder]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        # No variable of ours: by one of them what it runs could be found.
        self.server = subprocess.Popen(words, env={}, cwd="/", start_new_session=True, **pipes)
        assert self.server.stdout.readline() == b"ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.stdin.close()  # its sign to end all that it runs, also where we are killed
        self.server.wait(timeout=SECONDS)
        self.server.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ------------------------------------------------------------ its programs

    def words(self, verb, *words):
        return [*PYTHON, os.path.join(HERE, "far_client.py"), self.folder, verb, *words]

    def call(self, verb, *words, timeout=SECONDS):
        """One call of a program of it: exit code, stdout, stderr."""
        done = subprocess.run(self.words(verb, *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout)  # fmt: skip
        return done.returncode, done.stdout, done.stderr.decode()

    def launcher(self, **changes):
        """It as a launcher of config.json; attach=True: by the name of the job and its attempt."""
        attach = changes.get("attach", False)
        name = "{far}" if attach else "{token}"
        run = [name, *["--attach"] * attach, "--job", "{id}", "--cwd", "{cwd}", "--env={name}={value}", "{args}", "--"]
        whole = {
            "run": self.words("run", *run),
            "end": self.words("end", name, "{signal}"),
            "alive": self.words("alive", name),
            "later_codes": [75],
        }
        return {**whole, **changes}

    # ------------------------------------------------------------ its faults

    def set(self, name, text=""):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(str(text))

    def mend(self, name):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.folder, name))

    @contextlib.contextmanager
    def fault(self, name, text=""):
        self.set(name, text)
        try:
            yield
        finally:
            self.mend(name)

    def cut(self):
        """All lines to those who run something fall; what they run runs on."""
        self.server.stdin.write(b"cut\n")
        self.server.stdin.flush()
        assert self.server.stdout.readline() == b"cut\n"

    # ------------------------------------------------------------ what has become

    def ledger(self):
        """Each start, end and join, as it happened."""
        try:
            with open(os.path.join(self.folder, "ledger")) as file:
                return [json.loads(line) for line in file]
        except FileNotFoundError:
            return []

    def started(self, job):
        """How often something was started for *job*."""
        return sum(row["kind"] == "start" and row["job"] == job for row in self.ledger())

    def joined(self, job):
        return sum(row["kind"] == "join" and row["job"] == job for row in self.ledger())

    def knows(self, job):
        """True once it was asked to run something for *job*."""
        return any(row["job"] == job for row in self.ledger())

    def running(self, job=None):
        """The tokens of what runs now, of one job or of all."""
        rows = [row for row in self.ledger() if job is None or row["job"] == job]
        ended = {row["token"] for row in rows if row["kind"] == "end"}
        return [row["token"] for row in rows if row["kind"] == "start" and row["token"] not in ended]

    def twice(self):
        """The jobs of which two ran at once: there must be none."""
        there, found = {}, []
        for row in self.ledger():
            if row["kind"] == "start":
                found += [row["job"]] * bool(there.get(row["job"]))
                there.setdefault(row["job"], set()).add(row["token"])
            elif row["kind"] == "end":
                there[row["job"]].discard(row["token"])
        return found

    def wait_for_start(self, job, times=1):
        wait_until(lambda: self.started(job) >= times, "the engine to start %s" % job)

    def wait_until_free(self, job=None):
        wait_until(lambda: not self.running(job), "the engine to have ended %s" % (job or "all"))


@contextlib.contextmanager
def configured(home, **changes):
    """An engine, known to *home* as the launcher "far"."""
    with Engine() as engine:
        add_launcher(home, "far", engine.launcher(**changes))
        yield engine


def add_launcher(home, name, launcher):
    """Write it into the config.json of *home*, beside what is there."""
    path = os.path.join(home.path, "config.json")
    try:
        with open(path) as file:
            config = json.load(file)
    except FileNotFoundError:
        config = {}
    config.setdefault("launchers", {})[name] = launcher
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(fd, "w") as file:
        json.dump(config, file)
    os.replace(path + ".new", path)
