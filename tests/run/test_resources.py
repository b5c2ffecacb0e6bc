"""Resources: CPU and memory of each attempt as they were, bounds that bite, and none that is silently less."""

import json
import os
import re
import signal
import sys

import pytest
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS, claim_one, enqueue, raw
from helpers.waiting import wait_until

from queuectl_lib.host import bounds, spawn
from queuectl_lib.run import launching
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.interruption import PastStop
from queuectl_lib.run.spare_files import SpareFiles
from queuectl_lib.store import showing

resource = pytest.importorskip("resource")
pytestmark = posix_only

BURN = "import os\nwhile sum(os.times()[:2]) < 0.4: pass\n"
SHOWS_LIMITS = "import resource as r; print([r.getrlimit(getattr(r, 'RLIMIT_' + n)) for n in %r])"


def begun(queue, **fields):
    """An attempt of a job with these fields, started."""
    enqueue(queue, **dict({"id": "a"}, **fields))
    attempt = Attempt(queue, claim_one(queue))
    attempt.start(SETTINGS, SpareFiles(queue))
    return attempt


def ended(queue, **fields):
    """What the history says of the only attempt of a job with these fields; its output under "text"."""
    return recorded(queue, begun(queue, **fields))


def recorded(queue, attempt):
    outcome = wait_until(attempt.poll, "the end of the job")
    assert not queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)[0]
    found = showing.job(queue.database, "a")["history"][0]
    text = ((outcome.stdout or b"") + (outcome.stderr or b"")).decode()
    return dict(found, text=text)


# ---------------------------------------------------------------- what it used


@pytest.mark.parametrize("in_shell", [False, True])
def test_the_cpu_of_an_attempt_is_what_it_burnt(queue, in_shell):
    program = [sys.executable, "-S", "-c", BURN]
    words = "exec %s -S -c '%s'" % (sys.executable, BURN) if in_shell else program
    assert 0.4 <= ended(queue, command=words)["cpu"] < 3


def test_the_cpu_of_grandchildren_that_were_waited_for_counts(queue):
    both = "for n in 1 2; do (%s -S -c '%s'); done; true" % (sys.executable, BURN)
    assert 0.8 <= ended(queue, command=both)["cpu"] < 6


def test_the_peak_of_the_largest_process_is_told(queue):
    eat = [sys.executable, "-c", "x = bytearray(400000000)"]
    attempt = ended(queue, command=eat)
    assert 400000000 <= attempt["peak_rss"] < 600000000
    assert attempt["peak_rss_under"] is None


def test_a_small_job_of_a_larger_worker_shows_a_bound(queue):
    attempt = ended(queue)
    assert attempt["peak_rss"] is None
    assert 1000000 < attempt["peak_rss_under"] <= 1.1 * own_peak() + 2**20


def own_peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * spawn.RSS_UNIT


def test_where_its_end_was_seen_before_it_was_reaped_all_the_same_is_told(queue):
    attempt = begun(queue, command=[sys.executable, "-S", "-c", BURN])
    attempt.child.keep()
    found = recorded(queue, attempt)
    assert 0.4 <= found["cpu"] < 3
    assert found["peak_rss_under"] or found["peak_rss"]


def test_of_an_adopted_attempt_nothing_is_known(queue):
    first = begun(queue, command="while [ ! -e %s/go ]; do sleep 0.02; done" % queue.folder.path)
    wait_until(first.has_begun, "the begin of the job")
    orphan = Attempt(queue, first.claim, PastStop(queue.folder, "w-1"))
    orphan.adopt(first.started, SETTINGS)
    open(os.path.join(queue.folder.path, "go"), "w").close()
    wait_until(first.leader_ended, "the end of the watcher")
    found = recorded(queue, orphan)
    assert (found["outcome"], found["cpu"], found["peak_rss"], found["peak_rss_under"]) == ("completed", *(None,) * 3)


def test_of_one_whose_watcher_was_killed_nothing_is_known(queue):
    attempt = begun(queue, command="sleep 60; true")
    wait_until(attempt.has_begun, "the begin of the job")
    os.kill(attempt.child.pid, signal.SIGKILL)
    found = recorded(queue, attempt)
    assert (found["outcome"], found["cpu"], found["peak_rss"]) == ("lost", None, None)


def test_show_tells_both_and_stays_whole_where_the_row_was_changed(home):
    home.run("add", "--id", "big", "--", sys.executable, "-c", "x = bytearray(200000000)")
    home.run("add", "--id", "small", "true")
    home.run("worker", "start", "--drain", "--count", "1")
    assert "largest process 2" in home.run("show", "big", "--all").stdout
    shown = home.run("show", "small", "--all").stdout
    assert ", cpu " in shown and "largest process under " in shown
    assert re.search(r" +[\d.]+ m?s  0 +[\d.]+ m?s +<\d+ MB\n", home.run("show", "small").stdout)
    for value in ("'x'", "x'ff'", "1e300", "-9223372036854775807", "NULL"):
        with raw(home.queue) as connection:
            connection.execute("UPDATE attempts SET cpu = %s, peak_rss = %s, oom = %s" % (value, value, value))
        home.run("show", "small")
        json.loads(home.run("show", "small", "--json").stdout)


# ---------------------------------------------------------------- limits


COMMANDS = {
    "list": lambda text: ["/bin/sh", "-c", text],
    "text": lambda text: text,
    "text that is one program": lambda text: "/bin/sh -c '%s'" % text,
}


@pytest.mark.parametrize("env", [{}, {"odd-name": "1"}, {"LD_BIND_NOW": "1", "IFS": "x"}])
@pytest.mark.parametrize("kind", COMMANDS)
def test_the_number_of_files_is_bound_in_every_kind_of_command(queue, kind, env):
    found = ended(queue, command=COMMANDS[kind]("ulimit -n; ulimit -Hn"), limit={"nofile": 23}, env=env)
    assert (found["text"], found["outcome"]) == ("23\n23\n", "completed")


def test_every_limit_is_set_soft_and_hard(queue):
    names = ["fsize", "nofile", "nproc", "core", "as"]
    limit = {"fsize": 2**30, "nofile": 64, "nproc": 5000, "core": 0, "as": 2**33, "cpu": 60}
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    limit["nproc"] = limit["nproc"] if most == resource.RLIM_INFINITY else min(5000, most)
    words = [sys.executable, "-c", SHOWS_LIMITS % [name.upper() for name in names]]
    assert ended(queue, command=words, limit=limit)["text"] == "%s\n" % [(limit[name],) * 2 for name in names]


def test_a_file_grows_no_further_than_it_may(queue, tmp_path):
    big = tmp_path / "big"
    found = ended(queue, command="dd if=/dev/zero of=%s bs=65536 count=40" % big, limit={"fsize": 2**20})
    assert (found["signal"], big.stat().st_size) == ("SIGXFSZ", 2**20)


def test_the_cpu_runs_out_with_a_signal_that_says_so(queue):
    found = ended(queue, command="while :; do :; done", limit={"cpu": 1})
    assert (found["signal"], found["error"]) == ("SIGXCPU", "killed by SIGXCPU (exit code 152)")


def test_the_address_space_runs_out(queue):
    words = [sys.executable, "-c", "bytearray(400000000)"]
    assert "MemoryError" in ended(queue, command=words, limit={"as": 300 * 2**20})["text"]


def test_the_watcher_itself_is_not_bound(queue):
    """Else its note of the end would count: no file may grow at all."""
    found = ended(queue, command="exit 7", limit={"fsize": 0, "nofile": 10, "cpu": 1})
    assert (found["outcome"], found["exit_code"]) == ("failed", 7)


@pytest.mark.parametrize("command", ["ps -o ni= -p $$", ["sh", "-c", "ps -o ni= -p $$"]])
def test_a_job_is_as_far_behind_others_as_it_asks(queue, command):
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert int(ended(queue, command=command, nice=7)["text"]) == min(19, own + 7)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


def refused(queue, **fields):
    """Why a job with these fields cannot start."""
    enqueue(queue, **dict({"id": "a", "command": "touch %s/ran" % queue.folder.path}, **fields))
    attempt = Attempt(queue, claim_one(queue))
    with pytest.raises(launching.CannotStart) as error:
        attempt.start(SETTINGS, SpareFiles(queue))
    attempt.discard()
    assert not os.path.exists(os.path.join(queue.folder.path, "ran"))
    return str(error.value)


def test_what_is_before_others_without_the_right_to_it_cannot_start(queue, monkeypatch):
    monkeypatch.setattr(os, "setpriority", not_allowed)
    assert refused(queue, nice=-5) == "cannot start: nice -5: only root may run a job before others"


def not_allowed(*arguments):
    raise PermissionError(1, "Operation not permitted")


def test_a_limit_above_the_hard_one_of_the_worker_cannot_start(queue, monkeypatch):
    monkeypatch.setattr(resource, "setrlimit", not_allowed)
    monkeypatch.setattr(resource, "getrlimit", lambda number: (512, 1024))
    text = "cannot start: the limit nofile=2048 is above the hard limit of its worker, 1024"
    assert refused(queue, limit={"nofile": 2048}) == text


def test_trying_leaves_our_own_limits_as_they_were(monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY:
        try:
            bounds.bound("nofile", before[1] + 1)
        except ValueError:
            pass
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


@pytest.mark.parametrize(
    "policy", ['{"limit":3}', '{"limit":{}}', '{"limit":{"foo":1}}', '{"limit":{"cpu":"x"}}', '{"nice":"x"}']
)
def test_rules_that_were_changed_by_hand_keep_the_job_from_starting_and_no_more(queue, policy):
    enqueue(queue, id="a", nice=1)
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET policy = ?", (policy,))
    attempt = Attempt(queue, claim_one(queue))
    with pytest.raises(launching.CannotStart):
        attempt.start(SETTINGS, SpareFiles(queue))
    attempt.discard()


def test_a_limit_that_is_refused_at_the_last_keeps_the_command_from_running(queue, monkeypatch):
    monkeypatch.setattr(bounds, "bound", lambda name, value: value - 1)
    found = ended(queue, command="echo ran", limit={"core": 5})
    assert (found["outcome"], found["exit_code"]) == ("failed", 126)
    assert found["text"].startswith("queuectl: the limits of this job cannot be set: ") and "ran\n" not in found["text"]
