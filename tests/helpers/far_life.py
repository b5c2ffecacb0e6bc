"""What tests of real engines share: a home whose jobs go there, a ledger that these write, and deaths of all kinds."""

import contextlib
import os
import signal
import time

from helpers.engine import add_launcher
from helpers.home import Home, contents
from helpers.processes import end_process
from helpers.waiting import wait_until

SETTINGS = {"grace": "2", "backoff_base": "0", "poll_interval": "0.2", "max_retries": "0", "launcher": "far"}
CODES = {"exit 0": 0, "exit 1": 1, "exit 3": 3, "exit 126": 126, "exit 127": 127, "exit 254": 254,
         "kill -9 $$": 137, "kill -15 $$": 143, "kill -11 $$": 139}  # fmt: skip
# What holds its lock is one that runs: the kernel drops it with the last of its processes.
JOB = """name=$1
note() { echo "$1 $name $$ $2" >>ledger; }
exec 9>"$name.lock"; flock -w 1 9 || note twice
trap 'note term; sleep 0.3; exit 42' TERM
trap 'note end $?' EXIT
note begin
eval "$2"
"""
STEADY = "while :; do sleep 0.05; done"
DEAF = "trap '' TERM; " + STEADY


class FarHome(Home):
    """Its jobs run far away, with the directory `work` of it in common; there is `ledger`."""

    def __init__(self, path, launcher):
        super().__init__(path)
        os.mkdir(self.path, 0o700)
        self.work = os.path.join(self.path, "work")
        os.mkdir(self.work)
        with open(os.path.join(self.work, "job.sh"), "w") as file:
            file.write(JOB)
        add_launcher(self, "far", launcher)
        for key, value in SETTINGS.items():
            self.run("config", "set", key, value)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.clean_up()
        assert self.complaints() == []
        assert [row for row in self.ledger() if row[0] == "twice"] == [], "these ran twice at once"

    def far(self, name, text, *options):
        """Add a job that runs *text*; its begin and end stand in the ledger, TERM, and that it was not alone."""
        return self.run("add", "--id", name, "--cwd", self.work, *options, "--", "/bin/sh", "job.sh", name, text).id

    def ledger(self):
        """What jobs have noted: [word, name, pid, code]."""
        return [line.split() for line in contents(os.path.join(self.work, "ledger")).splitlines()]

    def noted(self, word, name):
        return [row for row in self.ledger() if row[:2] == [word, name]]

    def wait_for(self, word, name, times=1, seconds=30):
        wait_until(lambda: len(self.noted(word, name)) >= times, "%s to %s" % (name, word), seconds)

    def ask_to_cancel(self, name):
        self.queue.cancel([name], time.time())

    def ended(self, name, state, seconds=60):
        self.wait_for_state(name, state, seconds)
        return self.job(name)

    def here(self, name):
        """The pids of what stands here for what runs there, by the token of its attempt: its watcher first."""
        variable = "QUEUECTL_TOKEN=" + self.token(name)
        found = []
        for entry in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
            with contextlib.suppress(PermissionError):
                if variable in contents("/proc/%s/environ" % entry).split("\0"):
                    found.append(int(entry))
        return found

    def token(self, name):
        with self.queue.database.reading() as connection:
            return connection.execute("SELECT token FROM jobs WHERE id = ?", (name,)).fetchone()[0]

    def kill_host(self, *names):
        """The death of this host: supervisor, workers, watchers and clients; what runs there runs on.

        All at once, as far as they can tell: one srun that sees the other die ends what runs there.
        """
        pids = [pid for name in names for pid in self.here(name)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        for process in self.started:
            process.kill()
            process.wait()
        for member in self.workers():
            end_process(member["pid"])
        for pid in pids:
            end_process(pid)
        wait_until(lambda: not self.workers(), "all workers to be dead")

