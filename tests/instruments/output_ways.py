#!/usr/bin/env python3
"""output_ways: what it costs to collect the output of a job in each way, per job, beside a file.

    python3 tests/instruments/output_ways.py [--jobs N] [--turns N]

The ways: a file that the job appends to; a pipe with a keeper for each stream (a shell and two
cats beside the job, as --pipe-output has it); a pipe for each stream that the worker itself
reads (which breaks when the worker dies). Each turn does all of them, one after the other.
"""

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from queuectl_lib.host import spawn
from queuectl_lib.run import launching, output_streams
from queuectl_lib.store import folder

TEXTS = ("true", "echo x; exit 0", "head -c 1000000 /dev/zero")


class Spare:
    """Files made anew, as a worker makes them that has none to use again."""

    def open(self, path, kind):
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)


def launch(text, run, out, err):
    notes = os.open(run, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
    lock = os.open(run, os.O_RDONLY)
    words = [launching.SHELL, "-c", launching.EVALUATE, launching.SHELL, "0022", text]
    child = spawn.start(words, "/", dict(os.environ), [lock, out, err, notes])
    os.close(lock)
    os.close(notes)
    return child


def through_files(text, paths, piped=False):
    streams = output_streams.OutputStreams(paths, piped)
    ends = streams.open(Spare(), launching.SHELL)
    child = launch(text, paths["run"], ends[0], ends[1])
    streams.close_ends(ends)
    if child.returncode is None:
        os.waitpid(child.pid, 0)
    streams.look()
    streams.close()
    while not streams.drained():
        pass


def through_keepers(text, paths):
    through_files(text, paths, True)


def through_the_worker(text, paths):
    ends = [os.pipe(), os.pipe()]
    kept = [Spare().open(paths[kind], kind) for kind in folder.OUTPUTS]
    child = launch(text, paths["run"], ends[0][1], ends[1][1])
    for _, write in ends:
        os.close(write)
    for (read, _), file in zip(ends, kept):  # one after the other will do for these jobs: stderr stays empty
        while True:
            data = os.read(read, 1 << 16)
            if not data:
                break
            os.write(file, data)
        os.close(read)
        os.close(file)
    os.waitpid(child.pid, 0)


WAYS = (("file", through_files), ("pipe and keepers", through_keepers), ("pipe, worker reads", through_the_worker))


def measured(way, text, jobs, paths):
    """Milliseconds of wall time and of CPU, ours and the children's, for one job."""
    before, began = cpu(), time.perf_counter()
    for _ in range(jobs):
        way(text, paths)
    wall = time.perf_counter() - began
    return wall / jobs * 1000, (cpu() - before) / jobs * 1000


def cpu():
    """Seconds of CPU by us and our children; the keepers are their shell's children, and counted with it."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in found)


def main():
    parser = argparse.ArgumentParser(description="What each way to collect output costs.")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # a subreaper: so the keepers' CPU is counted, once waited for
    with tempfile.TemporaryDirectory() as place:
        paths = {kind: os.path.join(place, "0." + kind) for kind in folder.FILES}
        print("%-28s%-20s%12s%12s" % ("command", "way", "wall ms", "CPU ms"))
        for text in TEXTS:
            found = {name: [] for name, _ in WAYS}
            for _ in range(options.turns):
                for name, way in WAYS:
                    found[name].append(with_orphans(way, text, options.jobs, paths))
            for name, _ in WAYS:
                wall, used = (statistics.median(one) for one in zip(*found[name]))
                print("%-28s%-20s%12.2f%12.2f" % (text, name, wall, used))
    return 0


def with_orphans(way, text, jobs, paths):
    """The same with what the keepers took, who are nobody's children but a subreaper's."""
    before = cpu()
    wall, _ = measured(way, text, jobs, paths)
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return wall, (cpu() - before) / jobs * 1000


if __name__ == "__main__":
    sys.exit(main())
