"""What is known of a kind is exact whoever is killed: each attempt that ended counts once, and no other."""

import os
import random
import signal
import subprocess
import time

import pytest
from helpers.marks import posix_only
from helpers.queue import rows
from helpers.waiting import wait_until

from queuectl_lib.errors import HostError
from queuectl_lib.store import durations, looking, roster, totals

pytestmark = posix_only

COUNTED = ("completed", "failed", "timed out", "lost")


def counted(home):
    """By kind how many attempts have ended and how many of them failed, as it is kept."""
    return {row["kind"]: (row["runs"], row["failures"]) for row in durations.table(home.queue.database)}


def ended(home):
    """The same by what stands in the attempts themselves."""
    found = {}
    for row in rows(home.queue, "SELECT name, outcome FROM attempts JOIN jobs ON jobs.seq = attempts.job"):
        if row["outcome"] in COUNTED:
            runs, failures = found.get(row["name"], (0, 0))
            found[row["name"]] = (runs + 1, failures + (row["outcome"] != "completed"))
    return found


def totals_kept(home):
    """How many attempts have ended in each way, as `metrics` has it."""
    with home.queue.database.reading() as connection:
        found = totals.read(connection)[0]
    return {name: int(count) for name, count in zip(totals.OUTCOMES, found) if count}


def totals_in_table(home):
    text = "SELECT outcome, count(*) AS attempts FROM attempts WHERE outcome <> 'running' GROUP BY outcome"
    return {row["outcome"]: row["attempts"] for row in rows(home.queue, text)}


def samples(home):
    return {row["kind"]: len(row["recent"]) for row in durations.table(home.queue.database)}


@pytest.mark.parametrize("name", ["exchange.before-commit", "exchange.committed"])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_worker_killed_around_the_commit_of_an_end_counts_it_once(home, name, workers):
    """Not at the claim before it: the command itself arms the failpoint, whose file has been there till then."""
    home.run("initdb")
    armed, once = os.path.join(home.path, "armed"), os.path.join(home.path, "once")
    with open(once, "w"):
        pass
    for number in range(4):
        line = "mkdir %s 2>/dev/null && rm %s; sleep 0.1; exit %d" % (armed, once, number % 2)
        home.add(line, "--name", "k%d" % (number // 2), "--max-retries", "1")
    environment = home.environment({"QUEUECTL_FAILPOINT": "%s:%s" % (name, once)})
    words = home.command("worker", "start", "--drain", "--backoff-base", "0", "--count", str(workers))
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    log = done.stderr.decode()
    assert os.path.exists(once) and "killed" in log, "nobody died at %s: %s" % (name, log)
    assert done.returncode == 0, log
    assert counted(home) == ended(home) == {"k0": (3, 2), "k1": (3, 2)}, log
    assert samples(home) == {"k0": 1, "k1": 1}
    assert totals_kept(home) == totals_in_table(home) == {"completed": 2, "failed": 4}, log


def kill_workers_at_random(home, seed, until):
    chance = random.Random(seed)
    killed = 0
    while not until():
        workers = [one["pid"] for one in roster.members(home.queue.folder) if one["kind"] == "worker" and one["pid"]]
        if workers:
            try:
                os.kill(chance.choice(workers), signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
        time.sleep(chance.uniform(0.02, 0.25))
    return killed


@pytest.mark.parametrize("seed", [1, 2])
def test_workers_killed_at_random_count_each_end_once(home, seed):
    home.run("initdb")
    lines = ["sleep 0.0%d" % (number % 7) if number % 5 else "exit 3" for number in range(40)]
    for number, line in enumerate(lines):
        home.add(line, "--name", "k%d" % (number % 3), "--max-retries", "1")
    home.start("--count", "2", "--backoff-base", "0")

    def is_over():
        try:
            counts = looking.counts(home.queue.database)
        except HostError:
            return False
        return not (counts["pending"] or counts["processing"] or counts["failed"])

    deadline = time.monotonic() + 8
    killed = kill_workers_at_random(home, seed, lambda: is_over() or time.monotonic() > deadline)
    wait_until(is_over, "all jobs to end", 60)
    assert killed
    assert counted(home) == ended(home)
    assert totals_kept(home) == totals_in_table(home)
    known = durations.table(home.queue.database)
    assert all(len(row["recent"]) <= min(64, row["runs"] - row["failures"]) for row in known)
