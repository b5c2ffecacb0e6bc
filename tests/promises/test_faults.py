"""Faults of the disk: no call is said to be done that is not, and nothing is lost when space or luck returns.

The points here are a spread of those that `make faults` tries in full.
"""

import os
import random
import re
import shutil
import subprocess
import sys

import pytest
from helpers.home import contents
from helpers.marks import long, posix_only
from helpers.waiting import wait_until
from instruments import strace_faults

from queuectl_lib.store import finding, looking

pytestmark = posix_only
SPREAD = {"first add": 3, "add": 3, "enqueue": 3, "config set": 2, "cancel": 2, "requeue": 1, "prune": 2, "worker": 4}
WHY_NOT = strace_faults.why_not()
needs_strace = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")


@long
@needs_strace
@pytest.mark.parametrize("name", SPREAD)
def test_a_system_call_that_fails_or_kills_breaks_no_promise(name):
    case = next(case for case in strace_faults.CASES if case.name == name)
    points = strace_faults.points_of(case, lasting=True)
    fired = 0
    for point in random.Random(name).sample(points, SPREAD[name]):
        error, happened = strace_faults.try_point(point)
        assert not error, "%s\n%s" % (strace_faults.point_text(point), error)
        fired += happened
    assert fired, "no fault happened at all"


@needs_strace
@pytest.mark.parametrize("words", [["add", "true"], ["enqueue", '[{"command": "true"}, {"command": "true"}]']])
def test_the_id_is_printed_after_its_commit_is_on_the_disk(home, words):
    """While another connection is open the last one does not write the WAL back, and so does not sync by accident."""
    home.run("initdb")
    trace = os.path.join(home.path, "trace")
    keeper = home.queue.database.keeper()
    try:
        strace = ["strace", "-y", "-o", trace, "-e", "trace=write,pwrite64,fsync,fdatasync"]
        done = subprocess.run(
            strace + home.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment()
        )
    finally:
        keeper.close()
    assert done.returncode == 0, done.stderr
    with open(trace) as file:
        lines = file.read().splitlines()
    printed = next(number for number, line in enumerate(lines) if line.startswith("write(1<"))
    written = [number for number, line in enumerate(lines) if re.match(r"pwrite64\(\d+<.*queuectl\.db-wal>", line)]
    synced = [number for number, line in enumerate(lines) if re.match(r"f(?:data)?sync\(\d+<.*queuectl\.db-wal>", line)]
    assert written and synced, lines
    assert written[-1] < synced[-1] < printed


# ---------------------------------------------------------------- a disk that is full


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MiB that can be filled; only root may mount one."""
    place = str(tmp_path / "disk")
    os.mkdir(place)
    words = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "none", place]
    if not sys.platform.startswith("linux") or os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root on Linux can mount a small disk")
    if subprocess.call(words, stderr=subprocess.DEVNULL):
        pytest.skip("mounts are not allowed here")
    yield place
    subprocess.check_call(["umount", "-l", place])


def fill(path):
    with open(path, "ab", 0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def start_with_log_elsewhere(home, log):
    with open(log, "wb") as file:
        words = home.command("worker", "start", "--count", "2")
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=home.environment())
    home.started.append(process)
    return process


def test_a_full_disk_is_told_and_workers_keep_their_jobs_and_results_until_there_is_space(home, small_disk, tmp_path):
    home.path = os.path.join(small_disk, "home")
    log, filler = str(tmp_path / "log"), os.path.join(small_disk, "filler")
    command = (
        'echo "begun-$QUEUECTL_JOB_ID" >>ledger; until [ -e go ]; do sleep 0.05; done; echo "$QUEUECTL_JOB_ID" >>ledger'
    )
    jobs = [home.add(command, "--cwd", str(tmp_path)) for _ in range(3)]
    process = start_with_log_elsewhere(home, log)
    wait_until(lambda: contents(str(tmp_path / "ledger")).count("begun") == 2, "two jobs to run")
    home.wait_for_workers(2)
    pids = sorted(worker["pid"] for worker in home.workers())
    fill(filler)
    refused = home.run("add", "true", code=3).stderr
    assert "full" in refused or "No space left" in refused
    (tmp_path / "go").touch()
    wait_until(lambda: contents(log).count("; trying again") >= 2, "both workers to meet the full disk")
    assert process.poll() is None
    assert sorted(finding.states_of(home.queue.database, jobs)) == ["pending", "processing", "processing"]
    os.unlink(filler)
    for job in jobs:
        home.wait_for_state(job, "completed")
    assert sorted(contents(str(tmp_path / "ledger")).split()) == sorted(jobs + ["begun-" + job for job in jobs])
    assert [home.job(job)["attempts"] for job in jobs] == [1, 1, 1]
    assert sorted(worker["pid"] for worker in home.workers()) == pids, "no worker died of it"
    assert looking.counts(home.queue.database)["completed"] == 3, "what was refused is not there"
    home.run("worker", "stop")


def test_a_read_only_database_is_told_and_nothing_is_added(home):
    if not os.geteuid():
        pytest.skip("root may write everything")
    home.add("true")
    os.chmod(home.path, 0o500)
    os.chmod(home.db, 0o400)
    try:
        assert "read-only" in home.run("add", "true", code=3).stderr
    finally:
        os.chmod(home.path, 0o700)
        os.chmod(home.db, 0o600)
    assert looking.counts(home.queue.database)["pending"] == 1
