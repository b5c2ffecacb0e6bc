#!/usr/bin/env python3
"""powercut: pull the plug of a real file system under a busy queue, and look what is there after the restart.

    python3 tests/instruments/powercut.py [--rounds N] [--seed N]     (root on Linux; skips itself elsewhere)

The home lies on an ext4 file system of its own, in a file behind a loop device. While
enqueuers add, workers run and somebody looks, the ioctl EXT4_IOC_SHUTDOWN stops that file
system without writing its journal back: what was not synced is gone, as after a power cut.
All processes are killed, the file system is mounted anew, and then must hold:

    every id that was printed is there, no batch is there in part;
    every completed result that anybody had seen stands, and its command runs no more;
    the database passes its integrity check, its counts are true;
    a plain drain runs everything else to its success.

Books are kept outside of that file system, and only of what was heard before the cut began:
while the kernel shuts down, an fsync under way can return 0 though its data never arrive
(seen on Linux 6.18: 1 cut in 20), which after a real cut nobody lives to hear.
Exit code: 0 all rounds held or skipped, 1 something was lost, 2 the run itself failed.
"""

import argparse
import collections
import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from instruments.chaos import QUEUECTL, all_processes, carries, send

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
WITHOUT_JOURNAL = struct.pack("I", 2)  # EXT4_GOING_FLAGS_NOLOGFLUSH
IMAGE_BYTES = 48 * 1024 * 1024
COMMAND = 'sleep 0.0$(($$ % 5)); echo "$QUEUECTL_JOB_ID" >>"$POWERCUT_LEDGER"'
CALL_SECONDS = 60


class Machine:
    """The file system that loses its power, and the books about what was promised on it."""

    def __init__(self, folder, seed):
        self.folder = folder
        self.image = os.path.join(folder, "image")
        self.mount_point = os.path.join(folder, "disk")
        self.home = os.path.join(self.mount_point, "home")
        self.database = os.path.join(self.home, "queuectl.db")
        self.ledger_path = os.path.join(folder, "ledger")
        self.chance = random.Random(seed)
        self.guard = threading.Lock()
        self.batches = []  # lists of ids that were acknowledged together
        self.completed = {}  # id -> when it ended, as somebody has seen it
        self.over = threading.Event()
        self.dark = False  # from the moment the power goes
        mark = os.urandom(8).hex()
        self.cookie = ("POWERCUT_RUN=" + mark).encode("ascii")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("QUEUECTL_")}
        self.environment.update(POWERCUT_RUN=mark, POWERCUT_LEDGER=self.ledger_path, QUEUECTL_HOME=self.home)
        self.made = 0

    # -------------------------------------------------------- power

    def build(self):
        """False where this host allows no such mount."""
        with open(self.image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        os.mkdir(self.mount_point)
        open(self.ledger_path, "w").close()
        if subprocess.call(["mkfs.ext4", "-q", "-F", self.image]):
            return False
        return self.switch_on()

    def switch_on(self):
        return subprocess.call(["mount", "-o", "loop", self.image, self.mount_point]) == 0

    def cut(self):
        """The file system ends at once; so does everybody who lived on it."""
        fd = os.open(self.mount_point, os.O_RDONLY)
        try:
            with self.guard:
                self.dark = True
            fcntl.ioctl(fd, SHUTDOWN, WITHOUT_JOURNAL)
        finally:
            os.close(fd)
        self.kill_all()

    def kill_all(self):
        for _ in range(100):
            found = [process for process in all_processes() if carries(process.pid, self.cookie)]
            if not found:
                return
            for process in found:
                send(process, self.cookie, signal.SIGKILL)
            time.sleep(0.02)

    def switch_off(self):
        """False where the file system is in use all the while: mounted again it would be the one without power."""
        self.kill_all()
        deadline = time.monotonic() + CALL_SECONDS
        while os.path.ismount(self.mount_point):
            if subprocess.call(["umount", self.mount_point], stderr=subprocess.DEVNULL) == 0:
                break
            if time.monotonic() > deadline:
                subprocess.call(["umount", "-l", self.mount_point])
                return False
            time.sleep(0.1)
        return True

    # -------------------------------------------------------- calling

    def call(self, words, text=""):
        return subprocess.run(
            QUEUECTL + words,
            input=text.encode("utf-8"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd="/",
            timeout=CALL_SECONDS,
        )

    def hear(self, words, text=""):
        """What a call prints and its exit code; no text where its first byte came after the power went."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(QUEUECTL + words, env=self.environment, cwd="/", **pipes) as process:
            with contextlib.suppress(BrokenPipeError), process.stdin as file:
                file.write(text.encode("utf-8"))
            first = process.stdout.read(1)
            with self.guard:
                in_time = not self.dark
            rest = process.stdout.read()
        return (first + rest).decode("ascii") if in_time else "", process.returncode

    def enqueue_for_ever(self, number):
        chance = random.Random(number)
        while not self.over.is_set():
            with self.guard:
                self.made += 1
                name = "j%d" % self.made
            if chance.random() < 0.5:
                said, _ = self.hear(["add", "--id", name, COMMAND])
            else:
                jobs = [{"id": "%s.%d" % (name, index), "command": COMMAND} for index in range(5)]
                said, _ = self.hear(["enqueue", "-"], json.dumps(jobs))
            ids = said[: said.rfind("\n") + 1].split()  # a kill may cut the last word off
            if ids:
                with self.guard:
                    self.batches.append(ids)

    def look_for_ever(self):
        while not self.over.wait(0.05):
            said, code = self.hear(["list", "--state", "completed", "--limit", "1000000", "--json"])
            if said and code == 0:
                seen = {job["id"]: job["finished_at"] for job in json.loads(said)}
                with self.guard:
                    self.completed.update(seen)

    def ledger(self):
        with open(self.ledger_path) as file:
            return collections.Counter(file.read().split())

    # -------------------------------------------------------- a round

    def play(self):
        """A busy while, a cut, and the mount after it; returns what is broken."""
        self.over.clear()
        self.dark = False
        threads = [threading.Thread(target=self.enqueue_for_ever, args=(number,)) for number in range(2)]
        threads.append(threading.Thread(target=self.look_for_ever))
        supervisor = subprocess.Popen(
            QUEUECTL + ["worker", "start", "-n", "2"],
            env=self.environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for thread in threads:
            thread.start()
        time.sleep(self.chance.uniform(1.5, 4))
        self.over.set()  # the last calls are under way while the power goes
        self.cut()
        for thread in threads:
            thread.join()
        supervisor.wait()
        if not self.switch_off():
            return ["the file system was in use for %d s, and cannot be looked at" % CALL_SECONDS]
        if not self.switch_on():
            return ["the file system cannot be mounted any more"]
        return self.check()

    def check(self):
        broken = []
        ran_before = self.ledger()
        states = self.states(broken)
        for ids in self.batches:
            missing = [identifier for identifier in ids if identifier not in states]
            if missing:
                broken.append("acknowledged, but gone: %s" % ", ".join(missing))
        present = collections.Counter(identifier.partition(".")[0] for identifier in states if "." in identifier)
        broken += ["half a batch: %s has %d of 5" % item for item in present.items() if item[1] != 5]
        for identifier, finished in self.completed.items():
            if states.get(identifier) != ("completed", finished):
                broken.append("%s was seen completed at %s, is %s" % (identifier, finished, states.get(identifier)))
        drained = self.call(["worker", "start", "--drain", "--backoff-base", "0", "-n", "2"])
        if drained.returncode:
            broken.append("the drain exits %d: %s" % (drained.returncode, drained.stderr[-300:]))
        after, ran = self.states(broken), self.ledger()
        broken += ["%s is %s after the drain" % (job, now[0]) for job, now in after.items() if now[0] != "completed"]
        broken += ["%s is completed, but never ran" % job for job in after if not ran[job]]
        broken += ["%s ran again" % job for job in self.completed if ran[job] > ran_before[job]]
        return broken

    def states(self, broken):
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchall()
            if found != [("ok",)]:
                broken.append("integrity_check: %s" % found[:3])
            rows = {row[0]: row[1:] for row in connection.execute("SELECT id, state, finished_at FROM jobs")}
            kept = dict(connection.execute("SELECT state, jobs FROM counts WHERE jobs > 0"))
        if kept != dict(collections.Counter(state for state, _ in rows.values())):
            broken.append("the counts are wrong: %s" % kept)
        return rows


def why_not():
    """Why this cannot run here, "" if it may."""
    if not sys.platform.startswith("linux") or os.geteuid():
        return "needs root on Linux"
    missing = [tool for tool in ("mkfs.ext4", "mount", "umount") if not shutil.which(tool)]
    return "needs %s" % ", ".join(missing) if missing else ""


def main():
    parser = argparse.ArgumentParser(description="Cut the power of a file system under a busy queue.")
    parser.add_argument("--rounds", type=int, default=8, help="how many cuts (default 8)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if why_not():
        print("skipped: " + why_not())
        return 0
    folder = tempfile.mkdtemp(prefix="queuectl-powercut-")
    machine = Machine(folder, options.seed)
    failed = 0
    try:
        if not machine.build():
            print("skipped: this host does not let root mount a loop device")
            return 0
        for number in range(1, options.rounds + 1):
            broken = machine.play()
            failed += len(broken)
            acknowledged = sum(map(len, machine.batches))
            print(
                "cut %d: %d acknowledged, %d seen completed so far; %s"
                % (number, acknowledged, len(machine.completed), "%d BROKEN" % len(broken) if broken else "all there"),
                flush=True,
            )
            for text in broken[:10]:
                print("    " + text)
            if broken:
                break
    finally:
        machine.over.set()
        machine.switch_off()
        shutil.rmtree(folder, ignore_errors=True)
    print("%d cuts, %s" % (number, "something was lost" if failed else "nothing was lost"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
