#!/usr/bin/env python3
"""strace_faults: fail, or kill at, the n-th system call of every command that writes, for n = 1, 2, ...

    python3 tests/instruments/strace_faults.py [--case WORD] [--every K] [--jobs N]

First each command runs untouched under strace, which shows its calls that touch the home.
Then it runs again once per such call and fault: the call fails with ENOSPC or EIO, once or
from then on, or the process is killed at it. After each run four things must hold:

    what was acknowledged is there, what was refused is not, no batch is there in part;
    the database passes its integrity check, and its counts are true;
    a plain `worker start --drain` then runs every job to its success, each exactly once;
    nothing is left over in the folders.

The counter is per process and system call, as strace counts. Linux with strace only.
Exit code: 0 everything held, 1 something did not, 2 no strace.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUEUECTL = [sys.executable, "-S", os.path.join(ROOT, "queuectl.py")]
CALLS = ("openat", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "rename", "unlink", "mkdir")
FAULTS = ("error=ENOSPC", "error=EIO", "signal=SIGKILL")
CALL_SECONDS = 90
REPLACED_SECONDS = 12  # workers that are killed are replaced, and killed at the same call again, for so long
# The success of a job is one line, and the last thing it does.
COMMAND = 'echo "$QUEUECTL_JOB_ID" >>"$FAULTS_LEDGER"'

Point = collections.namedtuple("Point", "case call number fault lasting")


def point_text(point):
    lasting = "+" if point.lasting else ""
    return "%s: %s number %d%s, %s" % (point.case.name, point.call, point.number, lasting, point.fault)


class Case:
    """One command, the home that it finds, and which jobs it adds."""

    def __init__(self, name, words, jobs=(), before=(), adds=0, text=""):
        self.name = name
        self.words = words
        self.jobs = jobs  # ids that are waiting in the home
        self.before = before  # commands that make the home what it is
        self.adds = adds
        self.text = text


RUNNING = set()  # straces, each with a group of its own


def leave_at_once(number, frame):
    """End what runs under strace with us: workers that are killed and replaced would go on for ever."""
    for child in list(RUNNING):
        os.killpg(child.pid, signal.SIGKILL)
    os._exit(2)


def json_lines(*ids):
    return "".join(json.dumps({"id": identifier, "command": COMMAND, "cwd": "/"}) + "\n" for identifier in ids)


NOTHING = [["initdb"]]
CASES = [
    Case("first add", ["add", "--id", "new", COMMAND], adds=1),
    Case("add", ["add", "--id", "new", COMMAND], jobs=["old"], adds=1),
    Case("enqueue", ["enqueue", "-"], jobs=["old"], adds=5, text=json_lines("n1", "n2", "n3", "n4", "n5")),
    Case("initdb", ["initdb"]),
    Case("config set", ["config", "set", "backoff_cap", "7"], before=[["config", "set", "poll_interval", "0.5"]]),
    Case("cancel", ["cancel", "old"], jobs=["old", "older"]),
    Case("requeue", ["requeue", "old"], jobs=["old", "older"], before=[["cancel", "old"]]),
    Case(
        "prune",
        ["prune", "--state", "cancelled"],
        jobs=["old", "older", "oldest"],
        before=[["cancel", "old", "older"]],
    ),
    Case("worker", ["worker", "start", "--drain", "--backoff-base", "0"], jobs=["old", "older"]),
]


# ---------------------------------------------------------------- one run


class Run:
    """A fresh home, the command under strace, and what came of it."""

    def __init__(self, case, folder):
        self.case = case
        self.folder = folder
        self.home = os.path.join(folder, "home")
        self.ledger_path = os.path.join(folder, "ledger")
        self.trace_path = os.path.join(folder, "trace")
        self.database = os.path.join(self.home, "queuectl.db")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("QUEUECTL_")}
        self.environment.update(FAULTS_LEDGER=self.ledger_path, PYTHONDONTWRITEBYTECODE="1")
        os.mkdir(self.home, 0o700)
        open(self.ledger_path, "w").close()
        if case.jobs:
            self.plain(["enqueue", "-"], json_lines(*case.jobs))
        for words in case.before:
            self.plain(words)

    def plain(self, words, text=""):
        done = subprocess.run(
            QUEUECTL + ["--home", self.home] + words,
            input=text.encode("utf-8"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            timeout=CALL_SECONDS,
        )
        assert done.returncode == 0, "%s: %s" % (words, done.stderr.decode("utf-8", "replace"))
        return done.stdout.decode("utf-8")

    def strace(self, calls, inject=()):
        """Run the command under strace; afterwards self.code, self.said and self.ids."""
        words = ["strace", "-f", "-q", "-y", "-o", self.trace_path]
        words += [] if "signal" in "".join(inject) else ["--seccomp-bpf"]  # quicker, but it forgets injected signals
        words += ["-e", "trace=execve,%s" % ",".join(calls)] + list(inject)
        stdout = os.path.join(self.folder, "stdout")
        with open(stdout, "wb") as file:
            child = subprocess.Popen(
                words + QUEUECTL + ["--home", self.home] + self.case.words,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.PIPE,
                env=self.environment,
                start_new_session=True,
            )
            endless = self.case.name == "worker" and "signal" in "".join(inject)
            RUNNING.add(child)
            try:
                text = self.case.text.encode("utf-8")
                self.said = child.communicate(text, REPLACED_SECONDS if endless else CALL_SECONDS)[1].decode()
                self.code = child.returncode
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)  # our own child's group
                child.communicate()
                self.said, self.code = "hung", -signal.SIGKILL if endless else None
            RUNNING.discard(child)
        with open(stdout) as file:
            self.ids = file.read().split()
        with open(self.trace_path, errors="replace") as file:
            self.trace = file.read().splitlines()

    # -------------------------------------------------------- what the trace tells

    def calls_on_home(self, call):
        """Which numbers of *call*, counted per process, touch the home or its output."""
        counts, found = collections.Counter(), set()
        for line in self.trace:
            match = re.match(r"(\d+) +%s\(" % call, line)
            if match:
                counts[match.group(1)] += 1
                if self.folder in line:
                    found.add(counts[match.group(1)])
        return sorted(found)

    def fault_fired(self):
        return any("(INJECTED)" in line or "killed by SIGKILL" in line for line in self.trace)

    def hit(self, place):
        """True when a fault of this run touched something in *place*."""
        return any(place in line for line in self.trace if "INJECTED" in line)

    def python_was_hit(self):
        """The same number is another call in another process: there it may be a module that Python loads."""
        return any(self.folder not in line for line in self.trace if "INJECTED" in line)

    def killed_pids(self):
        return {line.split()[0] for line in self.trace if "+++ killed by SIGKILL" in line}

    def watcher_was_killed(self):
        """A kill of the watching shell costs its exit status (docs/promises.md, 6): the command may run again."""
        shells = {line.split()[0] for line in self.trace if 'execve("/bin/sh"' in line}
        children = self.killed_pids() - {line.split()[0] for line in self.trace if "execve(" in line}
        return bool(self.killed_pids() & shells or children and self.case.name == "worker" and shells)

    # -------------------------------------------------------- the database

    def rows(self):
        """id to state, straight from the database; also its own checks."""
        if not os.path.exists(self.database) or not os.path.getsize(self.database):
            return {}
        connection = sqlite3.connect(self.database)
        try:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found = dict(connection.execute("SELECT id, state FROM jobs"))
            kept = dict(connection.execute("SELECT state, jobs FROM counts WHERE jobs > 0"))
            assert kept == dict(collections.Counter(found.values())), "counts %s of %s" % (kept, found)
            return found
        finally:
            connection.close()

    def ledger(self):
        with open(self.ledger_path) as file:
            return collections.Counter(file.read().split())

    def files(self):
        """What lies in the folders of attempts and workers."""
        folder = self.database + ".d"
        return os.listdir(os.path.join(folder, "attempts")) + os.listdir(os.path.join(folder, "workers"))

    def config(self):
        with open(os.path.join(self.home, "config.json")) as file:
            return json.load(file)

    # -------------------------------------------------------- checking

    def check(self):
        """Raises AssertionError for a promise that does not hold after the fault."""
        assert self.code is not None, "it hung"
        killed = bool(self.killed_pids())
        if not self.python_was_hit():
            assert "Traceback" not in self.said, "traceback"
            assert killed or self.code in (0, 1, 3), "exit code %d" % self.code
        states = self.rows()
        for identifier in self.case.jobs:
            assert identifier in states or self.case.name == "prune" and identifier != "oldest", (
                "%s is lost" % identifier
            )
        self.check_enqueued(states, killed)
        self.check_effect(states, killed)
        self.check_drain()

    def check_enqueued(self, states, killed):
        new = set(states) - set(self.case.jobs)
        assert len(new) in (0, self.case.adds), "half a batch: %s" % sorted(new)
        assert set(self.ids) <= set(states) or not self.case.adds, "printed but not there"
        if self.case.adds and not killed:
            # The commit stands, only its id could not be printed: that is told, where it can be.
            told = "added" in self.said or any("write(2<" in line and "INJECTED" in line for line in self.trace)
            assert (len(new) == self.case.adds) == (self.code == 0 or told), "exit %d, there: %s" % (self.code, new)

    def check_effect(self, states, killed):
        """A call that says it has done its work has, and one that says it has not has not."""
        if killed:
            return
        done = self.code == 0
        if self.case.name in ("cancel", "requeue"):
            expected = "cancelled" if done == (self.case.name == "cancel") else "pending"
            assert states["old"] == expected, "exit %d, but it is %s" % (self.code, states["old"])
        if self.case.name == "prune" and done:
            assert set(states) == {"oldest"}
        if self.case.name == "config set":
            assert (self.config().get("backoff_cap") == 7) == done, "exit %d, set: %s" % (self.code, self.config())
        if self.case.name == "worker" and done and not self.hit(self.ledger_path):  # else the job failed by itself
            assert set(states.values()) == {"completed"}, states

    def check_drain(self):
        """A plain drain makes everything good."""
        self.plain(["worker", "start", "--drain", "--backoff-base", "0"])
        states = self.rows()
        allowed = ("completed", "cancelled", "dead" if self.hit(self.ledger_path) else "")
        assert set(states.values()) <= set(allowed), states
        ran = self.ledger()
        for identifier, state in states.items():
            times = ran.pop(identifier, 0)
            assert times == int(state == "completed") or times and self.watcher_was_killed(), "ran %d times" % times
        assert not ran, "ran, but are not there: %s" % ran
        if self.files():  # of a worker whose job was only just decided: the next to start tidies them
            self.plain(["worker", "start", "--drain"])
        assert not self.files(), self.files()
        self.plain(["config", "set", "grace", "9"])
        known = (
            "queuectl.db",
            "queuectl.db.d",
            "queuectl.db-wal",
            "queuectl.db-shm",
            "config.json",
            "config.json.lock",
        )
        left = [name for name in os.listdir(self.home) if name not in known]
        assert not left, "left over: %s" % left


# ---------------------------------------------------------------- all points


@contextlib.contextmanager
def scratch():
    """A folder of its own, in memory where that is possible."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="queuectl-faults-", dir=place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def points_of(case, lasting):
    """Every call of *case* that touches its home, with every fault."""
    with scratch() as folder:
        run = Run(case, folder)
        run.strace(CALLS)
        run.check()
        found = []
        for call in CALLS:
            for number in run.calls_on_home(call):
                found += [Point(case, call, number, fault, False) for fault in FAULTS]
                if lasting and case.name != "worker":  # workers wait for the disk, so for ever
                    found.append(Point(case, call, number, "error=ENOSPC", True))
        return found


def try_point(point):
    """What broke, "" if nothing; and whether the fault happened at all."""
    with scratch() as folder:
        run = Run(point.case, folder)
        when = "%d%s" % (point.number, "+" if point.lasting else "")
        run.strace([point.call], ["-e", "inject=%s:%s:when=%s" % (point.call, point.fault, when)])
        try:
            run.check()
        except AssertionError as error:
            last = [line[:200] for line in run.trace if "INJECTED" in line or "+++ killed" in line][-2:]
            text = str(error).strip()[-300:] + "\n    exit %s, said: " % run.code + run.said.strip()[-200:]
            return "\n    ".join([text] + last), True
        return "", run.fault_fired()


def why_not():
    """Why this cannot run here, "" if it can."""
    if not sys.platform.startswith("linux") or not shutil.which("strace"):
        return "needs Linux and strace"
    done = subprocess.run(
        ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "inject=fsync:error=EIO:when=9", "true"],
        stderr=subprocess.PIPE,
    )
    return "" if done.returncode == 0 else "strace may not trace here: %s" % done.stderr.decode("utf-8", "replace")


def main():
    parser = argparse.ArgumentParser(description="Fail or kill at every system call of every command that writes.")
    parser.add_argument("--case", default="", help="cases with this word in their name")
    parser.add_argument("--every", type=int, default=1, help="only every K-th point")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default 2)")
    options = parser.parse_args()
    if why_not():
        print(why_not())
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave_at_once)
    began, broken, total = time.monotonic(), 0, collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for case in [case for case in CASES if options.case in case.name]:
            points = points_of(case, lasting=True)[:: options.every]
            for point, (error, fired) in zip(points, pool.map(try_point, points)):
                total[case.name] += fired
                if error:
                    broken += 1
                    print("BROKEN %s\n    %s" % (point_text(point), error), flush=True)
            print("%-12s %d faults" % (case.name, total[case.name]), flush=True)
    print("%d faults, %d broken, %.0f s" % (sum(total.values()), broken, time.monotonic() - began))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
