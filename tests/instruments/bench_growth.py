"""The works 8, 9, 12 and 13 of bench: size, crowds, time; what grows with it, and other queues beside it."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from bench_ground import (
    DAY,
    IMPORTS,
    ROOT,
    SMALL,
    UNDER_LOAD_SECONDS,
    absent_row,
    at_most,
    clean_environment,
    columns,
    drain_rate,
    number_text,
    percentile,
    plain_row,
    populate,
    set_aside,
    timed,
)
from bench_works import SLEEPERS, bare_loops_rate, children_of, name_of, proportional_memory, xargs_rate

from queuectl_lib import settings, times
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.run import wording
from queuectl_lib.settings import Settings
from queuectl_lib.store import looking, pruning

# ---------------------------------------------------------------- works 8, 9, 12: size


class Claimer:
    """Claims and finishes jobs in this process, as a worker does under its supervisor's keeper."""

    def __init__(self, home):
        self.queue = home.queue
        self.settings = Settings(**settings.SETTING_DEFAULTS)
        self.keeper = home.queue.database.keeper()

    def claim_and_finish(self):
        """Milliseconds of one claim and of recording its result."""
        began = time.perf_counter()
        _, claims, _ = self.queue.exchange("bench", [], 1, time.time(), self.settings)
        claimed = time.perf_counter()
        outcomes = [Outcome(claim, "completed", time.time()) for claim in claims]
        for outcome in outcomes:
            outcome.exit_code, outcome.started = 0, outcome.finished
        middle = time.perf_counter()
        self.queue.exchange("bench", outcomes, 0, time.time(), self.settings)
        return (claimed - began) * 1000, (time.perf_counter() - middle) * 1000

    def close(self):
        self.keeper.close()


def rows_text(bench):
    scaled = "" if bench.scale.rows == 1000000 else " (scaled down)"
    return "{:,} pending and finished each{}, {:,} future".format(bench.scale.rows, scaled, bench.scale.due)


def work_8(bench):
    """Claim + finish of one job at a time, alternately in the large and the small database.

    The future jobs have a higher priority than what is due.
    """
    small, large = in_turns(bench, bench.databases())
    for place, what in enumerate(("claim", "finish")):
        few, many = ([pair[place] for pair in pairs] for pairs in (small, large))
        bench.grown(what, "ms", statistics.median(few), statistics.median(many))
    ours, theirs = parts(bench, large), parts(bench, small)
    rows = [at_most("8", "claim + finish, large queue", "ms", ours, theirs, 1.2, rows_text(bench) + ", beside 1,000")]
    few, many = bench.home(), bench.home()
    for home, count in ((few, SMALL // 10), (many, bench.scale.due)):
        populate(home, SMALL + bench.scale.claims, 0, 0)
        set_aside(home, count)
    theirs, ours = (parts(bench, pairs) for pairs in in_turns(bench, (few, many)))
    what = "{:,} each held, parked, after others, and in a paused queue, of higher priority; beside {:,}"
    what = what.format(bench.scale.due, SMALL // 10)
    return [*rows, at_most("8", "the same, much set aside in front", "ms", ours, theirs, 1.5, what)]


def in_turns(bench, homes):
    """Pairs of milliseconds, of a claim and of its result, alternately in each of *homes*; a list of each."""
    claimers = [Claimer(home) for home in homes]
    for claimer in claimers:
        claimer.claim_and_finish()
    found = columns([[claimer.claim_and_finish() for claimer in claimers] for _ in range(bench.scale.claims)])
    for claimer in claimers:
        claimer.close()
    return found


def parts(bench, pairs):
    """The median of both together, in five parts of the run."""
    part = max(1, bench.scale.claims // 5)
    return [statistics.median(map(sum, pairs[i : i + part])) for i in range(0, len(pairs), part)]


def work_9(bench):
    """status, list, show and check as processes, beside an interpreter that imports three modules.

    No worker lives, which check tells with exit 1.
    """
    small, large = bench.databases()
    commands = {
        "status": (["status"], 1.3),
        "list --limit 20": (["list", "--limit", "20"], 1.3),
        "show": (["show", "finished0000500"], 1.3),
        "list --state completed": (["list", "--state", "completed"], 2.0),
        "check": (["check"], 2.0),
        "check, all too late": (["check", "--waiting", "0"], 2.0),
    }
    rows = []
    for name, (words, limit) in commands.items():
        turns = []
        for _ in bench.turns(bench.scale.turns + 2):
            calls = (large.words(*words), IMPORTS, small.words(*words))
            turns.append([timed(one, codes=(0, 1))[0] * 1000 for one in calls])
        ours, bare, few = columns(turns)
        bench.grown(name, "ms", statistics.median(few), statistics.median(ours))
        rows.append(at_most("9", name, "ms", ours, bare, limit, rows_text(bench)))
    return rows


def prune_rate(home, days):
    """Milliseconds per 1,000 jobs of a prune in this process."""
    keeper = home.queue.database.keeper()
    began = time.perf_counter()
    deleted = pruning.prune(home.queue.database, ["completed"], time.time() - days * DAY, lambda count: None)
    seconds = time.perf_counter() - began
    keeper.close()
    return 1000 * seconds / max(1, deleted) * 1000


class Watch:
    """Every claim of a third claimer is timed, while 2 workers run other jobs."""

    def __init__(self, home):
        self.claimer = Claimer(home)
        self.waits = []
        self.began = time.monotonic()

    def go_on(self, lasts):
        """Claim, again and again, while *lasts*."""
        self.began = time.monotonic()
        while lasts():
            self.waits.append(self.claimer.claim_and_finish()[0])
            time.sleep(0.003)
        self.seconds = time.monotonic() - self.began
        self.claimer.close()

    def row(self, number, work, of_what):
        waits = self.waits
        facts = (len(waits), self.seconds, of_what, statistics.median(waits), percentile(waits, 0.99))
        note = "%d claims in %.1f s of %s; median %.1f ms, 99th percentile %.1f ms" % facts
        return plain_row(number, work, max(waits), "ms", 100, note)


def work_12(bench):
    """Claims while 2 workers run other jobs and about half of the finished ones are pruned.

    12b: while many fall due; 12c: while many are cancelled, and requeued. As many of each kind are set aside in front.
    """
    small, large = bench.databases()
    set_aside(large, bench.scale.due, LONG)
    bench.grown("prune, per 1,000 jobs", "ms", prune_rate(small, 1), prune_rate(large, 300))
    watch = Watch(large)
    words = large.words("prune", "--json", "--state", "completed", "--older-than", "1d")
    with large.working(3):
        await_holder(large)
        said = watched(watch, words)
    rows = [watch.row("12", "longest claim while pruning", "pruning %d jobs" % json.loads(said)["deleted"])]
    return rows + crowd_rows(bench)


def watched(watch, words):
    """Run a command while claims are timed; what it printed."""
    process = subprocess.Popen(words, env=clean_environment(), stdout=subprocess.PIPE)
    watch.go_on(lambda: process.poll() is None)
    said = process.communicate()[0]
    if process.returncode:
        raise RuntimeError("%r exited %d" % (words, process.returncode))
    return said


LONG = "sleep 600"


def await_holder(home):
    """Wait until a worker runs the job that holds the lock of those that are parked."""
    deadline = time.monotonic() + UNDER_LOAD_SECONDS
    while "holder" not in [job["id"] for job in looking.processing(home.queue.database)]:
        if time.monotonic() > deadline:
            raise RuntimeError("no worker has claimed the job with the lock")
        time.sleep(0.02)


FALL_DUE = "UPDATE jobs SET next_run_at = :due, run_at = :due WHERE lane = 1"


def crowd_rows(bench):
    """The longest claim while many jobs fall due in one moment, and while many are changed by a selector."""
    home, count = bench.home(), bench.scale.due
    populate(home, SMALL * 10, SMALL, count)
    set_aside(home, count, LONG)
    watch, rows = Watch(home), []
    with home.working(3):
        await_holder(home)
        with home.connect() as connection:
            due = time.time() + 1
            connection.execute(FALL_DUE, {"due": times.utc_text(due)})
        watch.go_on(lambda: time.time() < due + 6)
        rows.append(watch.row("12b", "longest claim while {:,} fall due".format(count), "these"))
        for verb in ("cancel", "requeue"):
            watch = Watch(home)
            watched(watch, home.words(verb, "--queue", "paused", "--quiet"))
            rows.append(watch.row("12c", "longest claim during %s of %s" % (verb, format(count, ",")), "this"))
    return rows


# ---------------------------------------------------------------- work 13: time


def files_below(folder):
    return sum(len(names) for _, _, names in os.walk(folder))


def open_files(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def cpu_with_children(pid):
    with open("/proc/%d/stat" % pid) as file:
        words = file.read().rpartition(")")[2].split()
    return sum(map(int, words[11:15])) / float(os.sysconf("SC_CLK_TCK"))


PARTS = 10
MEASURED = {"CPU per job": "ms", "memory": "MB", "descriptors": "open", "files": "files"}


def work_13(bench):
    """Short jobs in a row by 2 workers, in ten parts: the last beside the first.

    Neighbours come and go meanwhile: time is that of the two bare loops of work 1 after each part, and of three parts.
    """
    jobs, parts = bench.scale.row, []
    if not os.path.exists("/proc/self/smaps_rollup"):
        return [absent_row("13", "short jobs in a row", "<= 1.05", "needs /proc")]
    home = bench.home()
    home.queue.database.create()
    with home.working(2):
        home.fill(jobs // 4)  # the first ones of a process find all caches cold
        home.await_completed(jobs // 4)
        pids = [pid for _, pid in home.pids()]
        for number in range(PARTS):
            parts.append(one_part(home, jobs, number * jobs + jobs // 4, pids))
            parts[-1]["time"] *= bare_loops_rate(bench, jobs // 10)
    work = "{:,} short jobs in a row: the last {:,}, ".format(PARTS * jobs, jobs)
    note = "beside the first of ten parts"
    rows = []
    times = ["%.2f" % part["time"] for part in parts]
    last, first = (statistics.median(part["time"] for part in three) for three in (parts[-3:], parts[:3]))
    text = "beside the first three, in that of two bare loops: " + " ".join(times)
    rows.append(at_most("13", work + "time per job", "", [last], [first], 1.05, text))
    for name, unit in MEASURED.items():
        rows.append(at_most("13", work + name, unit, [parts[-1][name]], [parts[0][name]], 1.05, note))
    first, last = (max(part["log"] for part in half) for half in (parts[: PARTS // 2], parts[PARTS // 2 :]))
    return rows + [at_most("13", work + "log (WAL)", "MB", [last], [first], 1.05, "the largest of each half")]


def one_part(home, jobs, before, pids):
    """What so many jobs cost, after *before* others."""
    log, largest = home.queue.path + "-wal", 0
    used = sum(map(cpu_with_children, pids))
    home.fill(jobs)
    while looking.counts(home.queue.database)["completed"] < before + jobs:
        largest = max(largest, os.path.getsize(log))
        time.sleep(0.1)
    with home.connect() as connection:
        span = "SELECT min(started_at), max(finished_at) FROM jobs WHERE seq > ?"
        first, last = connection.execute(span, (before,)).fetchone()
    return {
        "time": (times.utc_seconds(last) - times.utc_seconds(first)) / jobs,
        "CPU per job": 1000 * (sum(map(cpu_with_children, pids)) - used) / jobs,
        "memory": sum(map(proportional_memory, pids)),
        "descriptors": sum(map(open_files, pids)),
        "log": largest / 1e6,
        "files": files_below(home.path),
    }


# ---------------------------------------------------------------- growth, and others beside it

ENQUEUER = """
import sys
sys.path.insert(0, sys.argv[1])
import storage, time
from queuectl_lib.jobs.making import JobMaker
queue = storage.Queue(sys.argv[2])
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    queue.enqueue(JobMaker(3, "/", 18, time.time()).row({"command": "true"}))
"""


def enqueue_rate(home, processes, jobs):
    """Jobs per second of processes that enqueue one by one at the same time."""
    home.queue.database.create()
    keeper = home.queue.database.keeper()
    words = [sys.executable, "-c", ENQUEUER, ROOT, home.queue.path, str(jobs // processes)]
    writers = [subprocess.Popen(words, stdin=subprocess.PIPE) for _ in range(processes)]
    time.sleep(0.3 + 0.05 * processes)
    began = time.perf_counter()
    for writer in writers:
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    codes = [writer.wait() for writer in writers]
    seconds = time.perf_counter() - began
    for writer in writers:
        writer.stdin.close()
    keeper.close()
    if any(codes) or looking.counts(home.queue.database)["pending"] != jobs:
        raise RuntimeError("enqueue by %d processes failed: %r" % (processes, codes))
    return jobs / seconds


def output_seconds(home, size):
    """Seconds of one job that writes *size* bytes, from its start to its recorded end."""
    home.add("head -c %d /dev/zero" % size)
    done = looking.counts(home.queue.database)["completed"]
    home.await_completed(done + 1)
    with home.connect() as connection:
        row = connection.execute("SELECT started_at, finished_at FROM jobs ORDER BY seq DESC LIMIT 1").fetchone()
    return times.utc_seconds(row[1]) - times.utc_seconds(row[0])


def growth_rows(bench):
    """What the works have not measured yet: writers at once, and sizes of output."""
    jobs = 64 if bench.scale.name == "quick" else 800
    bench.grown(
        "enqueue, 1 and 16 processes",
        "jobs/s",
        enqueue_rate(bench.home(), 1, jobs),
        enqueue_rate(bench.home(), 16, jobs),
    )
    if not shutil.which("head"):
        return
    home = bench.home()
    with home.working(1):
        sizes = [1, 10**6] + ([10**9] if bench.scale.name == "full" else [])
        times = [
            1000 * statistics.median(output_seconds(home, size) for _ in range(3 if size < 10**9 else 1))
            for size in sizes
        ]
    bench.grown("a job with 1 byte and 1 MB of output", "ms", times[0], times[1])
    if len(times) > 2:
        bench.grown("a job with 1 byte and 1 GB of output", "ms", times[0], times[2])


def parallel_rate(bench, jobs):
    path = os.path.join(bench.folder, "commands")
    with open(path, "w") as file:
        file.write("true\n" * jobs)
    with open(path) as file:
        return jobs / timed(["parallel", "-j2"], file)[0]


def spooler_rate(bench, jobs):
    """task-spooler with two slots and a server of its own, submitting included."""
    program = shutil.which("tsp") or "ts"
    script = '"$0" -S 2; i=0; while [ $i -lt %d ]; do "$0" -n true; i=$((i+1)); done; "$0" -w; "$0" -K' % jobs
    socket = "TS_SOCKET=" + os.path.join(bench.folder, "socket")
    return jobs / timed(["env", socket, "TS_MAXFINISHED=10", "sh", "-c", script, program])[0]


def nq_rate(bench, jobs):
    """nq runs one job at a time: two queues side by side, submitting included."""
    script = "i=0; while [ $i -lt %d ]; do nq -q true; i=$((i+1)); done; nq -w" % (jobs // 2)
    folders = [tempfile.mkdtemp(prefix="nq", dir=bench.folder) for _ in range(2)]
    both = " & ".join("(NQDIR=%s; export NQDIR; %s)" % (folder, script) for folder in folders)
    return jobs / timed(["sh", "-c", both + " & wait"])[0]


def memory_of_others(pids):
    """PSS in MB of these processes, less those that only sleep: these are the jobs."""
    return sum(proportional_memory(pid) for pid in pids if name_of(pid) != "sleep")


def waiting_memory(home):
    """MB with SLEEPERS jobs that run and as many that wait: workers, supervisor and watching shells."""
    with home.working(SLEEPERS, wording.useful_processes(SLEEPERS)):
        home.fill(2 * SLEEPERS, "sleep 600")
        ours = {pid for _, pid in home.pids()}
        await_sleepers(lambda: children_of(children_of(ours)))
        return memory_of_others(ours | children_of(ours))


def spooler_memory(bench):
    """The same of task-spooler: its server, and a client for each job that runs or waits."""
    program = shutil.which("tsp") or "ts"
    socket = os.path.join(bench.folder, "memory-socket")
    environment = dict(clean_environment(), TS_SOCKET=socket)

    def of_queue():
        """Whoever has our socket in his environment."""
        found = set()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open("/proc/%s/environ" % entry, "rb") as file:
                if socket.encode() in file.read():
                    found.add(int(entry))
        return found

    try:
        subprocess.check_call([program, "-S", str(SLEEPERS)], env=environment)
        for _ in range(2 * SLEEPERS):
            subprocess.check_call([program, "-n", "sleep", "600"], env=environment, stdout=subprocess.DEVNULL)
        await_sleepers(of_queue)
        return memory_of_others(of_queue())
    finally:
        subprocess.call([program, "-K"], env=environment)
        for pid in of_queue():
            with contextlib.suppress(OSError):
                os.kill(pid, 9)


def await_sleepers(pids):
    """Wait until so many of them sleep, and a second more."""
    deadline = time.monotonic() + UNDER_LOAD_SECONDS
    while sum(name_of(pid) == "sleep" for pid in pids()) < SLEEPERS:
        if time.monotonic() > deadline:
            raise RuntimeError("%d jobs did not begin" % SLEEPERS)
        time.sleep(0.05)
    time.sleep(1)


def memory_beside(bench):
    """MB of all that is not a job itself, with a hundred that run and a hundred that wait."""
    if not shutil.which("tsp") or not os.path.exists("/proc/self/smaps_rollup"):
        return []
    ours, theirs = waiting_memory(bench.home()), spooler_memory(bench)
    name = "task-spooler, memory with %d running and as many waiting" % SLEEPERS
    texts = (number_text(theirs), number_text(ours))
    return [(name, "%s MB; queuectl: %s MB" % texts, ours / theirs)]


PEERS = (
    ("xargs -P2", ("xargs",), xargs_rate),
    ("GNU parallel -j2", ("parallel",), parallel_rate),
    ("task-spooler, 2 slots", ("tsp",), spooler_rate),
    ("nq, 2 queues", ("nq",), nq_rate),
)


def beside(bench):
    """The same jobs by others, where they are installed: (name, jobs/s or why not, ours to theirs)."""
    jobs, found = bench.scale.jobs, []
    for name, programs, rate in PEERS:
        if not any(map(shutil.which, programs)):
            found.append((name, "not installed", None))
            continue
        try:
            pairs = [(drain_rate(bench.home(), 2, jobs), rate(bench, jobs)) for _ in range(3)]
        except (RuntimeError, OSError) as error:
            found.append((name, "failed: %s" % error, None))
            continue
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        found.append((name, "%s jobs/s" % number_text(statistics.median(columns(pairs)[1])), ratio))
    return found + memory_beside(bench)
