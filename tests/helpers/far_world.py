"""A home whose jobs go to a stand-in engine of its own, with real workers, and deaths of all kinds."""

import os
import time

from helpers.engine import Engine, add_launcher
from helpers.home import contents
from helpers.near import Near
from helpers.processes import end_process
from helpers.waiting import wait_until

POLITE = "trap 'echo ended; exit 42' TERM; echo begun; while :; do sleep 0.02; done"
DEAF = "trap '' TERM; echo begun; while :; do sleep 0.02; done"
SETTINGS = {"grace": "1", "backoff_base": "0", "poll_interval": "0.2", "max_retries": "0"}


class World:
    """A home whose jobs go to an engine of their own."""

    def __init__(self, path, **changes):
        self.engine = Engine()
        self.home = Near(path)
        os.mkdir(self.home.path, 0o700)
        add_launcher(self.home, "far", self.engine.launcher(**changes))
        for key, value in dict(SETTINGS, launcher="far").items():
            self.home.run("config", "set", key, value)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.home.clean_up()
        self.engine.__exit__()
        assert self.home.complaints() == []
        assert self.engine.twice() == [], "these ran twice at once"

    def begin(self, identifier, command, *options):
        """Add it, and wait until it runs there."""
        self.home.add(command, "--id", identifier, *options)
        self.engine.wait_for_start(identifier)

    def job(self, identifier):
        return self.home.run("show", identifier, "--json").json

    def ended(self, identifier, state):
        self.home.wait_for_state(identifier, state)
        return self.job(identifier)

    def ask_to_cancel(self, identifier):
        """Without waiting for its end, as the command does."""
        self.home.queue.cancel([identifier], time.time())

    def token(self, identifier):
        return [row["token"] for row in self.engine.ledger() if row["job"] == identifier][-1]

    def here(self, token, *programs):
        """The pids of what stands here for a far job: its watcher (sh) and its client (python)."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            words = contents("/proc/%s/cmdline" % entry).split("\0")
            if token in words and [name for name in programs if name in os.path.basename(words[0])]:
                found.append(int(entry))
        return found

    def kill_all(self):
        """The death of the host: worker, supervisor, watchers and clients; what runs there runs on."""
        for process in self.home.started:
            process.kill()
            process.wait()
        for member in self.home.workers():
            end_process(member["pid"])
        for token in self.engine.running():
            for pid in self.here(token, "sh", "python"):
                end_process(pid)
        wait_until(lambda: not self.home.workers(), "all workers to be dead")
