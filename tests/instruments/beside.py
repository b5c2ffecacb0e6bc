#!/usr/bin/env python3
"""beside: what a short job and one `add` cost here, beside another commit.

    python3 tests/instruments/beside.py COMMIT [--turns N] [--jobs N] [--dir DIR] [TEXT ...]

Both are copied from git into folders of mode 0755 (a change that is not committed does not count) and work turn by
turn, each in a home of its own. A turn drains N jobs with one worker, for each TEXT; then it calls `add` ten times
while two workers are up. The figure is the CPU of all processes per job or call, of which a busy machine changes
little. The ratio is the median of the ratios of the turns; nothing is asserted.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEXTS = ["true", "/bin/true", "echo x; exit 0", "sleep 0 && echo x"]
ADDS = 10


class Copy:
    """A commit and the homes that it works in."""

    def __init__(self, folder, name, commit):
        self.name = name
        self.path = os.path.join(folder, name)
        os.mkdir(self.path, 0o755)
        archive = subprocess.check_output(["git", "-C", ROOT, "archive", commit])
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(self.path)

    def run(self, home, *words, text=None):
        program = [sys.executable, os.path.join(self.path, "queuectl.py"), "--home", home]
        unwanted = ("QUEUECTL_", "PYTHONDONTWRITEBYTECODE")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(program + list(words), input=text, env=environment, check=True, **streams)

    def drained(self, text, jobs):
        """CPU seconds per job of *jobs* jobs *text*, all of one drain counted."""
        with tempfile.TemporaryDirectory(dir=self.path) as home:
            self.run(home, "enqueue", "-", text=(json.dumps({"command": text}) + "\n").encode() * jobs)
            with cpu_of_children() as used:
                self.run(home, "worker", "start", "--drain", "--count", "1")
        return used[0] / jobs

    def added(self):
        """CPU seconds of one `add`."""
        with tempfile.TemporaryDirectory(dir=self.path) as home:
            self.run(home, "worker", "start", "--background", "--count", "2")
            try:
                with cpu_of_children() as used:
                    for _ in range(ADDS):
                        self.run(home, "add", "true")
            finally:
                self.run(home, "worker", "stop")
        return used[0] / ADDS


@contextlib.contextmanager
def cpu_of_children():
    """A list to which is added what the processes used that ended meanwhile, in seconds."""
    used = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    yield used
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def compare(here, there, turns, measure):
    """The medians of both in seconds, and of their ratios; the one that goes first changes."""
    for copy in (here, there):
        measure(copy)  # what is slow once: compiling, a cold disk
    found = {here.name: [], there.name: []}
    for turn in range(turns):
        for copy in (here, there) if turn % 2 else (there, here):
            found[copy.name].append(measure(copy))
    ratios = [ours / theirs for ours, theirs in zip(found[here.name], found[there.name])]
    return [statistics.median(values) for values in (found[here.name], found[there.name], ratios)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("commit")
    parser.add_argument("texts", nargs="*", metavar="TEXT", default=TEXTS)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--dir", help="a folder on the disk to measure on")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        os.chmod(folder, 0o755)
        here, there = Copy(folder, "here", "HEAD"), Copy(folder, "there", options.commit)
        print("%-22s %9s %9s  %s" % ("CPU, ms", "here", options.commit[:9], "ratio"))
        for text in options.texts:
            figures = compare(here, there, options.turns, lambda copy, text=text: copy.drained(text, options.jobs))
            print("%-22s %9.3f %9.3f  %.3f" % (text, figures[0] * 1e3, figures[1] * 1e3, figures[2]), flush=True)
        figures = compare(here, there, options.turns, Copy.added)
        print("%-22s %9.3f %9.3f  %.3f" % ("one add", figures[0] * 1e3, figures[1] * 1e3, figures[2]))
    print("%d turns of %d jobs, %d s" % (options.turns, options.jobs, time.monotonic() - began))


if __name__ == "__main__":
    main()
