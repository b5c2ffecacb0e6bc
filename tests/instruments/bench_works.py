"""The works 1 to 7, 10 and 11 of bench: draining, submitting, idling."""

import contextlib
import os
import random
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from bench_ground import (
    LADEN,
    LEAN,
    SCRIPT,
    UNCACHED,
    UNDER_LOAD_SECONDS,
    YARDSTICK,
    Missing,
    absent_row,
    at_least,
    at_most,
    clean_environment,
    columns,
    drain_rate,
    percentile,
    plain_row,
    timed,
)
from helpers.bundle import copy_bundle

from queuectl_lib import settings
from queuectl_lib.run import wording
from queuectl_lib.store import looking

# ---------------------------------------------------------------- works 1, 2, 10, 11: draining

BARE_LOOP = """
import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
sync = getattr(os, "fdatasync", os.fsync)
print("ready", flush=True)
sys.stdin.readline()
began = time.time()
for _ in range(int(sys.argv[2])):
    os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", sys.argv[3]], os.environ), 0)
    os.write(fd, b"x" * 100)
    sync(fd)
print(began, time.time())
"""


def bare_loops_rate(bench, jobs, command="true"):
    """Two bare loops side by side: spawn, wait, append 100 bytes, sync."""
    if not hasattr(os, "posix_spawn"):
        raise Missing("needs posix_spawn and /bin/sh")
    loops = []
    for number in range(2):
        path = os.path.join(bench.folder, "loop%d" % number)
        words = [sys.executable, "-c", BARE_LOOP, path, str(jobs // 2), command]
        loops.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    for loop in loops:
        loop.stdout.readline()
    for loop in loops:
        loop.stdin.write(b"\n")
        loop.stdin.flush()
    spans = [tuple(map(float, loop.communicate()[0].split())) for loop in loops]
    return jobs / (max(end for _, end in spans) - min(begin for begin, _ in spans))


def xargs_rate(bench, jobs):
    """Plain xargs, two at a time, from its start to its end."""
    if not shutil.which("xargs"):
        raise Missing("needs xargs")
    path = os.path.join(bench.folder, "commands")
    with open(path, "w") as file:
        file.write("true\n" * jobs)
    with open(path) as file:
        return jobs / timed(["xargs", "-P2", "-I{}", "sh", "-c", "{}"], file)[0]


def work_1(bench):
    """2,000 jobs `true` through the shell by 2 workers that are up, first start to last finish; 1b: `/bin/true`."""
    jobs, rows = bench.scale.jobs, []
    for number, command in (("1", "true"), ("1b", "/bin/true")):
        pairs = []
        for _ in bench.turns(bench.scale.turns):
            home = bench.home()
            pairs.append((drain_rate(home, 2, jobs, command), bare_loops_rate(bench, jobs, command)))
        bench.drained = bench.drained or home
        work = "drain %d jobs `%s`, 2 workers" % (jobs, command)
        rows.append(at_least(number, work, "jobs/s", *(columns(pairs) + [1.0, "beside 2 bare synced loops"])))
    return rows


def work_2(bench):
    """The same with the durability of power loss given up, beside xargs -P2."""
    work, jobs = "drain %d jobs, not synced" % bench.scale.jobs, bench.scale.jobs
    if "durability" not in settings.SETTING_DEFAULTS:
        return [absent_row("2", work, ">= 1", "there is no such setting")]
    pairs = []
    for _ in bench.turns(bench.scale.turns):
        home = bench.home()
        home.call("config", "set", "durability", "off")
        pairs.append((drain_rate(home, 2, jobs), xargs_rate(bench, jobs)))
    ours, xargs = columns(pairs)
    return [at_least("2", work, "jobs/s", ours, xargs, 1.0, "beside xargs -P2")]


def work_10(bench):
    """Bytes of the database per finished `true` job after a checkpoint, beyond an empty one; files that jobs left."""
    jobs = bench.scale.jobs
    if bench.drained is None:
        bench.drained = bench.home()
        drain_rate(bench.drained, 2, jobs)
    home = bench.drained
    with home.connect() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        size = os.path.getsize(home.queue.path)
    empty = bench.home()
    empty.queue.database.create()
    none = os.path.getsize(empty.queue.path)
    files = len(os.listdir(home.queue.folder.attempts))
    return [
        plain_row(
            *("10", "disk per finished job", (size - none) / jobs, "bytes", 450),
            "%d jobs: the file less that of an empty queue, %d kB" % (jobs, none // 1000),
        ),
        plain_row("10", "files left by %d jobs" % jobs, files, "files", 0),
    ]


def work_11(bench):
    """50 at once, 5,000 jobs `true`, beside the same with 2 at once."""
    jobs, pairs = bench.scale.crowd, []
    for _ in bench.turns(bench.scale.costly, 2):
        pairs.append((drain_rate(bench.home(), 50, jobs), drain_rate(bench.home(), 2, jobs)))
    many, few = columns(pairs)
    bench.grown("drain, 2 and 50 at once", "jobs/s", statistics.median(few), statistics.median(many))
    note = "beside 2 at once"
    return [at_least("11", "drain %d jobs, 50 at once" % jobs, "jobs/s", many, few, 0.9, note)]


# ---------------------------------------------------------------- works 3, 4, 5: submitting


def work_3(bench):
    """One `add` as a process of its own, 2 workers up; each job has ended before the next turn.

    On a Python whose site directory loads much and on one where it loads nothing; then from a
    fresh copy of ours where Python may keep no bytecode, before and after one `initdb` there; 3c: many at once.
    """
    home, rows = bench.home(), []
    with home.working(2):
        rows += add_rows(bench, home, "3", "", LADEN, 1.05)
        rows += add_rows(bench, home, "3", ", empty site directory", LEAN, 1.2)
        home.script, home.environment = fresh_copy(bench), UNCACHED
        rows += add_rows(bench, home, "3b", ", no bytecode kept", LADEN, 1.9)
        home.call("initdb")
        rows += add_rows(bench, home, "3b", ", the same after `initdb`", LADEN, 1.2)
        home.script, home.environment = SCRIPT, {}
        rows += burst_rows(bench, home)
    return rows


def fresh_copy(bench):
    """The path of queuectl.py in a new copy of the bundle, of which nothing was ever loaded."""
    folder = tempfile.mkdtemp(prefix="copy-", dir=bench.folder)
    copy_bundle(folder)
    return os.path.join(folder, "queuectl.py")


def add_rows(bench, home, number, what, python, limit):
    """Wall and CPU of `add`, called by *python*, beside the same that imports three modules."""
    home.python, walls, cpus = python, [], []
    before = looking.counts(home.queue.database)["completed"]
    for turn in bench.turns(bench.scale.adds + 1):
        ours = timed(home.words("add", "true"), environment=home.environment)
        home.await_completed(before + turn + 1)
        time.sleep(0.03)
        bare = timed(python + YARDSTICK)
        if turn:  # the first warms the caches
            walls.append((ours[0] * 1000, bare[0] * 1000))
            cpus.append((ours[1], bare[1]))
    home.python = LADEN
    note = "beside python -c 'import argparse, json, sqlite3'"
    rows = [at_most(number, "one add, wall" + what, "ms", *(columns(walls) + [limit, note]))]
    if None in cpus[0]:
        return rows + [absent_row(number, "one add, CPU" + what, "<= %g" % limit, "needs wait4")]
    milliseconds = [[value * 1000 for value in column] for column in columns(cpus)]
    return rows + [at_most(number, "one add, CPU" + what, "ms", *(milliseconds + [limit, note]))]


def timed_at_once(callers):
    """Seconds of each process, and of all; *callers*: (seconds to wait at first, the words of one after the other)."""
    took, failed = [], []

    def call(pause, calls):
        time.sleep(pause)
        for words in calls:
            began = time.perf_counter()
            code = subprocess.call(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=clean_environment(), close_fds=False
            )
            took.append(time.perf_counter() - began)
            failed.extend([words] * bool(code))

    threads = [threading.Thread(target=call, args=caller) for caller in callers]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError("%d of %d calls failed, such as %r" % (len(failed), len(took), failed[0]))
    return took, time.perf_counter() - began


def burst_rows(bench, home):
    """`add` started so often within one second, and by 16 callers with 10 each, beside as many of the bare Python."""
    burst, callers, each = bench.scale.burst, 16, 10
    words = (home.words("add", "--quiet", "true"), LADEN + YARDSTICK)
    slowest, rates = [], []
    before = looking.counts(home.queue.database)["completed"]
    for _ in bench.turns(bench.scale.costly, 2):
        for found, burst_of in ((slowest, True), (rates, False)):
            pair = []
            for one in words:
                if burst_of:
                    took, _ = timed_at_once([(number / burst, [one]) for number in range(burst)])
                    pair.append(percentile(took, 0.99))
                else:
                    pair.append(callers * each / timed_at_once([(0, [one] * each)] * callers)[1])
                done = burst if burst_of else callers * each
                before += done * (one is words[0])
                home.await_completed(before)
            found.append(tuple(pair))
    note = "beside as many of python -c 'import argparse, json, sqlite3'"
    text = "%d add within a second, 99th percentile" % burst
    rows = [at_most("3c", text, "s", *(columns(slowest) + [1.3, note]))]
    text = "%d callers with %d add each" % (callers, each)
    return rows + [at_least("3c", text, "add/s", *(columns(rates) + [0.77, note]))]


PLAIN_INSERT = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA synchronous = FULL")
names = sys.argv[3].split()
connection.execute("CREATE TABLE jobs (seq INTEGER PRIMARY KEY, %s)" % ", ".join(names[1:]))
with open(sys.argv[2], encoding="utf-8") as file:
    jobs = map(json.loads, file)
    rows = ((job["id"], job["command"], job["priority"], "pending", 3, 0, "/", "now", "now") for job in jobs)
    connection.executemany(
        "INSERT INTO jobs (id, command, priority, state, max_retries, attempts, cwd, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
connection.commit()
connection.close()
"""

PEAK_MEMORY = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def write_lines(path, count):
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            file.write('{"id": "job-%07d", "command": "echo %d", "priority": %d}\n' % (number, number, number % 10))


def work_4(bench):
    """`enqueue --file` of JSON Lines, beside a process that parses and inserts them plainly (WAL, synced)."""
    lines = bench.scale.lines
    path, few = os.path.join(bench.folder, "lines"), os.path.join(bench.folder, "few")
    write_lines(path, lines)
    write_lines(few, lines // 10)
    example = bench.home()
    example.queue.database.create()
    with example.connect() as connection:
        names = " ".join(row[1] for row in connection.execute("PRAGMA table_info(jobs)"))
    pairs = []
    for number in bench.turns(bench.scale.turns):
        home = bench.home()
        home.queue.database.create()
        ours = timed(home.words("enqueue", "--quiet", "--file", path))[0]
        plain = os.path.join(bench.folder, "plain%d.db" % number)
        pairs.append((ours, timed([sys.executable, "-c", PLAIN_INSERT, plain, path, names])[0]))
    note = "beside json.loads and one executemany"
    rows = [at_most("4", "enqueue %d lines" % lines, "s", *(columns(pairs) + [1.8, note]))]
    return rows + [memory_row(bench, few, path, lines)]


def memory_row(bench, few, path, lines):
    work = "its memory, beside a tenth of the lines"
    try:
        import resource  # noqa: F401
    except ImportError:
        return absent_row("4", work, "<= 1.1", "needs getrusage")
    peaks = []
    for source in (path, few):
        words = [sys.executable, "-c", PEAK_MEMORY] + bench.home().words("enqueue", "--quiet", "--file", source)
        unit = 1.0 / (1 << 20) if sys.platform == "darwin" else 1.0 / 1024
        peaks.append(int(subprocess.check_output(words, env=clean_environment())) * unit)
    return at_most("4", work, "MB", peaks[:1], peaks[1:], 1.1, "peak; flat is 1")


def work_5(bench):
    """From the return of Queue.enqueue (in this process) to a byte that the command's first word writes.

    The byte comes through a FIFO that this process sleeps on, so its own waking counts
    too. (The time of a file would be rounded to a tick of the kernel, up to 4 ms.)
    """
    if not hasattr(os, "mkfifo"):
        return [absent_row("5", "pick-up", "<= 25 ms", "needs a FIFO")]
    home, delays = bench.home(), []
    fifo = os.path.join(home.path, "fifo")
    os.mkfifo(fifo, 0o600)
    fd = os.open(fifo, os.O_RDWR)
    try:
        with home.working(2):
            for number in bench.turns(bench.scale.pickups, 50):
                time.sleep(random.uniform(0.02, 0.04))  # idle again, at no fixed beat
                home.add("echo > '%s'" % fifo)
                returned = time.perf_counter()
                if not select.select([fd], [], [], UNDER_LOAD_SECONDS)[0]:
                    raise RuntimeError("the job was not picked up")
                delays.append((time.perf_counter() - returned) * 1000)
                os.read(fd, 4096)
                home.await_completed(number + 1)
    finally:
        os.close(fd)
    part = max(1, len(delays) // 5)
    medians = [statistics.median(delays[begin : begin + part]) for begin in range(0, len(delays), part)]
    note = "%d adds, from the return of Queue.enqueue; the targets are those of a quiet machine" % len(delays)
    median_limit, late_limit = (25, 60) if os.name == "nt" else (2.6, 4.5)
    return [
        plain_row("5", "pick-up, median", statistics.median(delays), "ms", median_limit, note, medians),
        plain_row(
            "5", "pick-up, 99th percentile", percentile(delays, 0.99), "ms", late_limit, "worst %.1f ms" % max(delays)
        ),
    ]


# ---------------------------------------------------------------- works 6, 7: idling


def cpu_seconds(pid):
    """CPU time of a process; the scheduler's own nanoseconds where it keeps them."""
    try:
        with open("/proc/%d/schedstat" % pid) as file:
            return int(file.read().split()[0]) / 1e9
    except OSError:
        with open("/proc/%d/stat" % pid) as file:
            words = file.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / float(os.sysconf("SC_CLK_TCK"))


def written_bytes(pid):
    with open("/proc/%d/io" % pid) as file:
        return int(dict(line.split(": ") for line in file)["write_bytes"])


def proportional_memory(pid):
    """PSS in MB: private pages, and of shared ones its share."""
    with open("/proc/%d/smaps_rollup" % pid) as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    raise Missing("needs PSS")


def work_6(bench):
    """CPU and disk writes of a supervisor with 4 workers that have nothing to do, in five windows."""
    if not os.path.exists("/proc/self/io"):
        return [absent_row("6", "idle, supervisor and 4 workers", "<= 0.2 %", "needs /proc")]
    home, shares = bench.home(), []
    home.queue.database.create()
    with home.working(4):
        time.sleep(5)  # until the workers trust that nothing changes
        pids = [pid for _, pid in home.pids()]
        written = sum(map(written_bytes, pids))
        for _ in range(5):
            used, began = sum(map(cpu_seconds, pids)), time.monotonic()
            time.sleep(bench.scale.idle / 5)
            shares.append(100 * (sum(map(cpu_seconds, pids)) - used) / (time.monotonic() - began))
        written = sum(map(written_bytes, pids)) - written
    note = "of one core, %g s; spread of five windows" % bench.scale.idle
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    root = "for root SQLite sets the owner of the WAL at each open: 4,096 in 30 s" if is_root else ""
    return [
        plain_row("6", "idle, supervisor and 4 workers", statistics.mean(shares), "%", 0.2, note, shares),
        plain_row("6", "written to the disk meanwhile", written, "bytes", 0, root),
    ]


BARE_CHILDREN = """
import multiprocessing, sys
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    code = "import os, sqlite3, subprocess, time; os.write(1, b'%d%c' % (os.getpid(), 10)); time.sleep(600)"
    children = [context.Process(target=exec, args=(code,), daemon=True) for _ in range(4)]
    for child in children:
        child.start()
    sys.stdin.read()
"""


def work_7(bench):
    """PSS of 4 idle workers and of 4 bare spawn-mode children that live at the same time.

    The last row is of a fresh copy of ours where Python may keep no bytecode.
    """
    if not os.path.exists("/proc/self/smaps_rollup"):
        return [absent_row("7", "memory of an idle worker", "<= 1.15", "needs /proc/PID/smaps_rollup")]
    rows = [memory_of_workers(bench.home(), "7", "", LADEN, 1.15)]
    rows.append(memory_of_workers(bench.home(), "7", ", empty site directory", LEAN, 1.15))
    home = bench.home()
    home.script, home.environment = fresh_copy(bench), UNCACHED
    rows.append(memory_of_workers(home, "7b", ", no bytecode kept", LADEN, 1.2))
    return rows + cost_of_sleepers(bench.home())


SLEEPERS = 100


def cost_of_sleepers(home):
    """A hundred jobs that sleep, at once: what all weighs that is not these, what it costs, and how soon all run."""
    with home.working(SLEEPERS, wording.useful_processes(SLEEPERS)):
        began = time.monotonic()
        maker = home.maker()
        list(home.queue.enqueue_each((n, maker.row({"command": "sleep 600"})) for n in range(SLEEPERS)))
        ours = [pid for _, pid in home.pids()]
        watchers = sleepers = set()
        while len(sleepers) < SLEEPERS and time.monotonic() < began + UNDER_LOAD_SECONDS:
            time.sleep(0.01)
            watchers = children_of(set(ours)) - set(ours)
            sleepers = {pid for pid in children_of(watchers) if name_of(pid) == "sleep"}
        took = time.monotonic() - began
        time.sleep(2)
        used, since = sum(map(cpu_seconds, ours)), time.monotonic()
        time.sleep(8)
        share = 100 * (sum(map(cpu_seconds, ours)) - used) / (time.monotonic() - since)
        memory = sum(map(proportional_memory, [*ours, *watchers]))
    what = "%d jobs `sleep 600` at once" % SLEEPERS
    note = "PSS of %d workers, their supervisor and the watching shells" % (len(ours) - 1)
    return [
        plain_row("7c", what + ", memory", memory, "MB", 85, note),
        plain_row("7c", what + ", CPU", share, "%", 1.5, "of one core, 8 s"),
        plain_row("7c", what + ", until all run", took, "s", 1),
    ]


def children_of(parents):
    """The pids of the children of these."""
    found = set()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open("/proc/%s/stat" % entry) as file:
            if int(file.read().rpartition(")")[2].split()[1]) in parents:
                found.add(int(entry))
    return found


def name_of(pid):
    with contextlib.suppress(OSError), open("/proc/%d/comm" % pid) as file:
        return file.read().strip()
    return ""


def memory_of_workers(home, number, what, python, limit):
    home.python = python
    with home.working(4):
        words = python + ["-c", BARE_CHILDREN]
        bare = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment())
        try:
            children = [int(bare.stdout.readline()) for _ in range(4)]
            time.sleep(1.5)
            ours = [proportional_memory(pid) for kind, pid in home.pids() if kind == "worker"]
            theirs = [proportional_memory(pid) for pid in children]
            (supervisor,) = [proportional_memory(pid) for kind, pid in home.pids() if kind == "supervisor"]
        finally:
            bare.communicate()
    note = "beside a bare spawn-mode child; the supervisor has %.1f MB" % supervisor
    return at_most(number, "memory of an idle worker" + what, "MB", sorted(ours), sorted(theirs), limit, note)
