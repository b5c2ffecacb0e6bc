"""Work 6b of bench: what a supervisor and 4 workers cost while jobs wait, each kind of waiting in a home of its own.

All homes are measured at once, in the same window. The worst of them counts.
"""

import contextlib
import os
import time

import bench_works
from bench_ground import absent_row, plain_row
from bench_works import cpu_seconds

KINDS = {
    "for its time": [["add", "--delay", "1h", "true"]],
    "held": [["add", "--hold", "true"]],
    "after a held one": [["add", "--id", "a", "--hold", "true"], ["add", "--after", "a", "true"]],
    "in a paused queue": [["pause"], ["add", "true"]],
    "in a shut window": [["queue", "set", "q", "--window", "WINDOW"], ["add", "--queue", "q", "true"]],
    "at a gate": [["queue", "set", "q", "--min-free", "900000T"], ["add", "--queue", "q", "true"]],
    "for a rate": [
        *(["queue", "set", "q", "--rate", "1/1d"], ["add", "--queue", "q", "true"]),
        ["add", "--queue", "q", "true"],
    ],
    "in a full queue": [
        *(["queue", "set", "q", "--limit", "1"], ["add", "--queue", "q", "sleep 600"]),
        ["add", "--queue", "q", "true"],
    ],
    "for a lock": [["add", "--lock", "k", "sleep 600"], ["add", "--lock", "k", "true"]],
    "for a schedule": [["schedule", "set", "s", "0 0 29 2 *", "true"]],
}
SETTLED_SECONDS = 8  # until the workers trust that nothing changes


def work_6(bench):
    """CPU and disk writes of a supervisor with 4 workers that have nothing to do, and where something waits."""
    return bench_works.work_6(bench) + waiting_alone(bench)


def window():
    """One that is shut for the next hours, and opens for a minute."""
    opens = time.localtime(time.time() + 12 * 3600)
    return "%02d:00-%02d:01" % (opens.tm_hour, opens.tm_hour)


def waiting_alone(bench):
    """The row of the worst kind, its note with all of them."""
    if not os.path.exists("/proc/self/io"):
        return [absent_row("6b", "idle, while jobs wait", "<= 0.3 %", "needs /proc")]
    with contextlib.ExitStack() as all_of_them:
        homes = {kind: bench.home() for kind in KINDS}
        for kind, home in homes.items():
            for words in KINDS[kind]:
                home.call(*[window() if word == "WINDOW" else word for word in words])
            all_of_them.enter_context(home.working(4))
        time.sleep(SETTLED_SECONDS)
        pids = {kind: [pid for _, pid in home.pids()] for kind, home in homes.items()}
        used, began = {kind: sum(map(cpu_seconds, pids[kind])) for kind in homes}, time.monotonic()
        time.sleep(bench.scale.idle)
        taken = time.monotonic() - began
        shares = {kind: 100 * (sum(map(cpu_seconds, pids[kind])) - used[kind]) / taken for kind in homes}
    worst = max(shares, key=lambda kind: shares[kind])
    each = ", ".join("%s %.2f" % row for row in sorted(shares.items(), key=lambda row: -row[1]))
    return [plain_row("6b", "idle, while a job waits %s" % worst, shares[worst], "%", 0.3, each)]
