"""Out of memory by evidence: said of a SIGKILL that was not ours, where the kernel's count of such kills rose."""

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS, claim_one, enqueue
from helpers.waiting import wait_until

from queuectl_lib.host import memory_kills
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.spare_files import SpareFiles
from queuectl_lib.store import showing

pytestmark = posix_only
MEMORY = "/sys/fs/cgroup/memory"


@pytest.fixture
def counter(tmp_path, monkeypatch):
    """A file that stands for the kernel's count; call it to set the count."""
    path = tmp_path / "memory.events"

    def put(count):
        path.write_text("low 0\noom 9\noom_kill %d\noom_group_kill 0\n" % count)

    put(3)
    monkeypatch.setattr(memory_kills, "place", lambda: str(path))
    monkeypatch.setattr(memory_kills, "LAST", [float("-inf"), None])
    return put


def ended(queue, text, meanwhile=lambda attempt: None):
    """The outcome of the job *text*, recorded, and what its history says."""
    enqueue(queue, command=text, id="a")
    attempt = Attempt(queue, claim_one(queue))
    attempt.start(SETTINGS, SpareFiles(queue))
    meanwhile(attempt)
    outcome = wait_until(attempt.poll, "the end of the job")
    assert not queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)[0]
    return showing.job(queue.database, "a")["history"][0]


def test_a_kill_while_the_count_rose_is_likely_for_want_of_memory(queue, counter):
    attempt = ended(queue, "kill -9 $$", lambda attempt: counter(4))
    assert attempt["oom"] == "likely"
    assert attempt["error"] == "killed by SIGKILL (exit code 137); out of memory: likely"


def test_a_kill_while_the_count_stood_says_nothing_of_memory(queue, counter):
    attempt = ended(queue, "kill -9 $$")
    assert (attempt["oom"], attempt["error"]) == (None, "killed by SIGKILL (exit code 137)")


def test_a_kill_that_was_told_already_is_no_evidence_for_the_next_job(queue, counter):
    """The count before a job may be a second old: that of one that has just been told of is taken anew."""
    now = time.monotonic()
    assert memory_kills.before(now) == 3
    counter(4)
    assert memory_kills.evidence(3) == "likely"
    assert memory_kills.evidence(memory_kills.before(now + 0.1)) is None


def test_an_end_by_another_signal_or_code_says_nothing_of_memory(queue, counter):
    attempt = ended(queue, "kill -15 $$", lambda attempt: counter(4))
    assert (attempt["oom"], attempt["signal"]) == (None, "SIGTERM"), attempt


def test_our_own_kill_says_nothing_of_memory(queue, counter):
    def overdue(attempt):
        wait_until(attempt.has_begun, "the begin of the job")
        counter(4)
        attempt.end("timed out", "timed out after 1 s")
        attempt.kill_at = 0.0

    attempt = ended(queue, "trap '' TERM; while :; do sleep 0.1; done", overdue)
    assert (attempt["oom"], attempt["outcome"]) == (None, "timed out")


def test_a_watcher_that_is_killed_with_its_command_is_weighed_too(queue, counter):
    def all_killed(attempt):
        wait_until(attempt.has_begun, "the begin of the job")
        counter(4)
        for pid in attempt.tree.members():
            os.kill(pid, signal.SIGKILL)

    attempt = ended(queue, "sleep 60", all_killed)
    assert (attempt["outcome"], attempt["oom"]) == ("lost", "likely")
    assert (attempt["cpu"], attempt["peak_rss"], attempt["peak_rss_under"]) == (None, None, None)


def test_where_nothing_tells_before_the_begin_nothing_is_said(queue, counter, monkeypatch):
    monkeypatch.setattr(memory_kills, "place", lambda: None)
    attempt = ended(queue, "kill -9 $$")
    assert attempt["oom"] is None


def test_the_count_is_read_once_a_second_at_most(counter):
    now = time.monotonic()
    assert memory_kills.before(now) == 3
    counter(4)
    assert memory_kills.before(now + 0.5) == 3
    assert memory_kills.before(now + 5) == 4


@pytest.mark.parametrize(
    "text, count",
    [
        ("oom_kill 7\n", 7),
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", 2),
        ("oom 5\noom_kill", None),
        ("oom_kill x\n", None),
        ("", None),
    ],
)
def test_only_the_line_of_kills_counts(tmp_path, text, count):
    path = tmp_path / "counts"
    path.write_text(text)
    assert memory_kills.count_in(str(path)) == count
    assert memory_kills.count_in(str(tmp_path / "none")) is None


@pytest.mark.parametrize(
    "text, paths",
    [
        ("4:memory:/a/b\n0::/c\n", ["/sys/fs/cgroup/memory/a/b/memory.oom_control", "/sys/fs/cgroup/c/memory.events"]),
        ("0::/\n", ["/sys/fs/cgroup/memory.events"]),
        ("9:cpu,memory:/x:y\n", ["/sys/fs/cgroup/memory/x:y/memory.oom_control"]),
        ("1:cpu:/x\nodd\n", []),
    ],
)
def test_the_cgroup_of_both_versions_is_found(tmp_path, monkeypatch, text, paths):
    own = tmp_path / "cgroup"
    own.write_text(text)
    monkeypatch.setattr(memory_kills, "OWN", str(own))
    assert memory_kills.of_own_cgroup() == paths


@pytest.fixture
def small_cgroup():
    """The folder of a memory cgroup of 150 MB."""
    if not os.access(MEMORY, os.W_OK) or not os.path.exists(MEMORY + "/memory.limit_in_bytes"):
        pytest.skip("no memory cgroup (version 1) that may be written here")
    folder = "%s/queuectl-test-%d" % (MEMORY, os.getpid())
    os.mkdir(folder)
    try:
        with open(folder + "/memory.limit_in_bytes", "w") as file:
            file.write("150M")
        yield folder
    finally:
        wait_until(lambda: not removal_refused(folder), "the cgroup to be empty")


def removal_refused(folder):
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        pass
    except OSError:
        return True
    return False


def test_a_real_kill_in_a_memory_cgroup_is_told(home, small_cgroup):
    """Worker and jobs share the cgroup, as in a container; another job that is killed there by hand is not accused."""
    eat = [sys.executable, "-c", "x = [bytearray(1000000) for _ in range(1000)]"]
    home.run("add", "--id", "before", "--max-retries", "0", "kill -9 $$")
    home.run("add", "--id", "eater", "--max-retries", "0", "--", *eat)
    words = home.command("worker", "start", "--drain", "--count", "1")
    inside = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


    done = subprocess.run(["/bin/sh", "-c", inside, small_cgroup] + words, env=home.environment(), timeout=60)
    assert done.returncode == 0
    eater = home.run("show", "eater", "--json").json["history"][0]
    assert (eater["oom"], eater["signal"]) == ("likely", "SIGKILL")
    assert "out of memory: likely" in home.run("show", "eater").stdout
    assert home.run("show", "before", "--json").json["history"][0]["oom"] is None


def test_a_signal_that_its_starter_holds_back_ends_a_job_all_the_same(queue):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        attempt = ended(queue, "kill -15 $$")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert (attempt["outcome"], attempt["signal"]) == ("failed", "SIGTERM")
