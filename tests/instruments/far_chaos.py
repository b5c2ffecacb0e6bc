#!/usr/bin/env python3
"""far_chaos: jobs of mixed kinds through a launcher, while all that stands between them and their engine is killed.

    python3 tests/instruments/far_chaos.py --engine stand-in|slurm|ssh [--jobs 200] [--seconds 90] [--seed N]

Jobs keep books on the disk that they share with us: each begin, each TERM that was heard, each end; and each holds a
lock for as long as anything of it lives, so that a second one beside it is noted. Meanwhile workers, supervisors,
clients (srun, ssh), their watchers and the controller are killed in turn, and jobs are cancelled. In the end all
must be final, none may have run twice at once, what is completed has come to its end there, and nothing may run on.

Exit code: 0 all of that holds, 1 something does not: it is printed.
"""

import argparse
import collections
import contextlib
import fcntl
import os
import random
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.dirname(os.path.dirname(HERE))]

from helpers.engine import Engine
from helpers.far_life import DEAF, STEADY, FarHome
from helpers.home import contents
from helpers.processes import end_process
from helpers.slurm import Slurm
from helpers.sshd import Sshd

WORKERS = "6"
KINDS = {
    "quick": ("exit 0", (), ("completed",)),
    "slow": ("i=0; while [ $i -lt 20 ]; do i=$((i + 1)); sleep 0.1; done; exit 0", (), ("completed", "dead")),
    "fails": ("exit 3", ("--max-retries", "1"), ("dead",)),
    "late": (STEADY, ("--timeout", "3", "--max-retries", "1"), ("dead",)),
    "deaf": (DEAF, ("--timeout", "2"), ("dead",)),
    "cancelled": (STEADY, ("--max-retries", "9"), ("cancelled", "dead")),
}
FREE_SECONDS = 30
PATIENCE = 120  # seconds in which something has to end, until all is final, once nothing is killed any more


class StandIn:
    words = ()

    def __init__(self):
        self.engine = Engine()

    def launcher(self):
        return self.engine.launcher()

    @contextlib.contextmanager
    def broken(self):
        with self.engine.fault("unreachable"):
            yield

    def left(self):
        return self.engine.running()

    def stop(self):
        self.engine.__exit__()


class OnSlurm:
    words = ("--launcher-args=--export=NONE",)
    hard = False

    def __init__(self):
        self.slurm = Slurm(places=8)

    def launcher(self):
        return self.slurm.launcher("10")  # its nodes have reported by then

    @contextlib.contextmanager
    def broken(self):
        if self.hard:  # then it forgets what began and ended in its last seconds: no alive could tell
            self.slurm.controller.kill()
        self.slurm.stop_controller()
        try:
            yield
        finally:
            self.slurm.start_controller()

    def left(self):
        return self.slurm.ask("squeue", "-h", "-o", "%j %T %M").splitlines()

    def keep(self, folder):
        for name in os.listdir(self.slurm.folder):
            if name.endswith(".log"):
                shutil.copy(os.path.join(self.slurm.folder, name), folder)

    def stop(self):
        self.slurm.stop()


class OverSsh:
    words = ()

    def __init__(self):
        self.sshd = Sshd()
        os.environ["PATH"] = self.sshd.bin + os.pathsep + os.environ["PATH"]
        for key, value in (("grace", "2"), ("poll_interval", "0.2")):
            self.sshd.far.run("config", "set", key, value)
        self.sshd.far.start("--count", WORKERS)

    def launcher(self):
        return self.sshd.launcher()

    @contextlib.contextmanager
    def broken(self):
        self.sshd.fall()
        try:
            yield
        finally:
            self.sshd.heal()

    def left(self):
        return [job["id"] for job in self.sshd.far.run("list", "--state", "processing,pending", "--json").json]

    def stop(self):
        self.sshd.stop()


ENGINES = {"stand-in": StandIn, "slurm": OnSlurm, "ssh": OverSsh}


class Chaos:
    def __init__(self, home, engine, options):
        self.home = home
        self.engine = engine
        self.chance = random.Random(options.seed)
        self.done = collections.Counter()
        self.jobs = {}  # id -> kind
        for number in range(options.jobs):
            kind = self.chance.choice(sorted(KINDS))
            name = "%s%d" % (kind, number)
            text, more, _ = KINDS[kind]
            home.far(name, text, *more, "--backoff", "fixed:1s", *engine.words)
            self.jobs[name] = kind

    def start(self):
        """A supervisor, where there is none."""
        if not [process for process in self.home.started if process.poll() is None]:
            self.home.start("--count", WORKERS)

    def here(self):
        """The pids of what stands here for far jobs: watchers and clients, by the token in their environment."""
        mark = "QUEUECTL_HOME=" + self.home.path
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(PermissionError):
                variables = contents("/proc/%s/environ" % entry).split("\0")
                tokens = [one for one in variables if one.startswith("QUEUECTL_TOKEN=")]
                if mark in variables and tokens:
                    found.setdefault(tokens[0], []).append(int(entry))
        return [sorted(pids) for pids in found.values()]

    def kill_worker(self):
        for member in self.chance.sample(self.home.workers(), min(2, len(self.home.workers()))):
            end_process(member["pid"])

    def kill_supervisor(self):
        for process in self.home.started:
            process.kill()
            process.wait()

    def kill_clients(self):
        """What is youngest of each tree: srun, ssh; their watchers live."""
        for pids in self.chance.sample(self.here(), min(2, len(self.here()))):
            for pid in pids[1:]:
                end_process(pid)

    def kill_trees(self):
        for pids in self.here()[:2]:
            for pid in pids:
                end_process(pid)

    def kill_host(self):
        self.kill_supervisor()
        for member in self.home.workers():
            end_process(member["pid"])
        for pids in self.here():
            for pid in pids:
                end_process(pid)

    def kill_controller(self):
        with self.engine.broken():
            time.sleep(self.chance.uniform(0.5, 3))
            self.chance.choice([self.kill_worker, self.kill_clients, self.kill_trees, self.kill_host])()
            self.start()
            time.sleep(self.chance.uniform(0.5, 3))

    def cancel_some(self):
        began = {row[1] for row in self.home.ledger() if row[0] == "begin"}
        for name in sorted(name for name in began if self.jobs[name] == "cancelled"):
            with contextlib.suppress(Exception):  # it is final
                self.home.ask_to_cancel(name)

    def play(self, seconds):
        deeds = [self.kill_worker, self.kill_supervisor, self.kill_clients, self.kill_trees, self.kill_host]
        deeds += [self.kill_controller]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.start()
            time.sleep(self.chance.uniform(0.5, 3))
            deed = self.chance.choice(deeds)
            self.done[deed.__name__] += 1
            deed()
            self.cancel_some()
        ended, deadline = -1, 0.0
        while self.left() and (self.ended() != ended or time.monotonic() < deadline):
            if self.ended() != ended:
                ended, deadline = self.ended(), time.monotonic() + PATIENCE
            self.start()
            self.cancel_some()
            time.sleep(0.5)

    def left(self):
        with self.home.queue.database.reading() as connection:
            text = "SELECT count(*) FROM jobs WHERE state NOT IN ('completed', 'dead', 'cancelled')"
            return connection.execute(text).fetchone()[0]

    def ended(self):
        """How many attempts have: while that grows, a busy machine is all there is to wait for."""
        with self.home.queue.database.reading() as connection:
            return connection.execute("SELECT ended FROM counts WHERE state = 'completed'").fetchone()[0]

    def violations(self):
        """What does not hold, a line each."""
        with self.home.queue.database.reading() as connection:
            rows = {row["id"]: row for row in connection.execute("SELECT id, state, attempts FROM jobs")}
        ledger = self.home.ledger()
        for row in ledger:
            if row[0] == "twice":
                yield "%s ran twice at once" % row[1]
        begins = collections.Counter(row[1] for row in ledger if row[0] == "begin")
        ends = {(row[1], row[3]) for row in ledger if row[0] == "end" and len(row) > 3}
        for name, kind in self.jobs.items():
            state, wanted = rows[name]["state"], KINDS[kind][2]
            if state not in wanted and not (kind in ("quick", "fails") and state == "dead"):
                yield "%s is %s" % (name, state)
            if state == "completed" and (name, "0") not in ends:
                yield "%s is completed, and never came to its end there" % name
            if not begins[name] and state == "completed":
                yield "%s never began" % name
        deadline = time.monotonic() + FREE_SECONDS  # what has ended may be tidied up there
        while (self.holding() or self.engine.left()) and time.monotonic() < deadline:
            time.sleep(0.5)
        for name in self.holding():
            yield "%s runs on, and all jobs are final" % name

    def holding(self):
        """The jobs of which a process lives: it holds the lock of its job, wherever it runs."""
        found = []
        for name in self.jobs:
            with contextlib.suppress(FileNotFoundError), open(os.path.join(self.home.work, name + ".lock")) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    found.append(name)
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=sorted(ENGINES), default="stand-in")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hard", action="store_true", help="the controller of Slurm dies by KILL, not by TERM")
    options = parser.parse_args()
    OnSlurm.hard = options.hard
    folder = tempfile.mkdtemp(prefix="far-chaos-")
    engine = ENGINES[options.engine]()
    try:
        with FarHome(os.path.join(folder, "home"), engine.launcher()) as home:
            chaos = Chaos(home, engine, options)
            began = time.monotonic()
            chaos.play(options.seconds)
            found, listed = list(chaos.violations()), engine.left()
            rows = collections.Counter(row[0] for row in home.ledger())
            states = home.run("status", "--json").json
            if found and hasattr(engine, "keep"):
                engine.keep(folder)  # what its daemons say
    except AssertionError as error:  # what its home found when it was left
        found.append(str(error).splitlines()[0])
    finally:
        engine.stop()
    print("%s, seed %d: %d jobs, %.0f s" % (options.engine, options.seed, options.jobs, time.monotonic() - began))
    print("done: %s" % ", ".join("%s %d" % one for one in sorted(chaos.done.items())))
    print("ledger: %s" % ", ".join("%s %d" % one for one in sorted(rows.items())))
    print("states: %s" % {key: states[key] for key in ("completed", "dead", "cancelled") if key in states})
    for what in listed:  # no process of it lives; a Slurm whose controller was killed forgets the ends of some seconds
        print("still listed there: %s" % what)
    for line in found:
        print("VIOLATION: " + line)
    if not found:
        shutil.rmtree(folder)
        print("no job ran twice at once, none was lost, nothing runs on")
    else:
        print("kept: " + folder)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
