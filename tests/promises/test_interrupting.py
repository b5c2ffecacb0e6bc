"""Ctrl+C in a call that changes something: 130 without a word means that nothing was done, whenever it comes."""

import json
import os
import random
import select
import signal
import subprocess
import time

import pytest
from helpers.bundle import ROOT
from helpers.home import contents
from helpers.marks import posix_only
from helpers.processes import PYTHON
from helpers.queue import SETTINGS, claim, raw, settle
from helpers.waiting import wait_until
from instruments import strace_faults

from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.store import looking

pytestmark = posix_only
WHY_NOT = strace_faults.why_not()
needs_strace = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")

# The command line, in which signal N comes at the failpoint NAME, the TIME-th time that it is passed.
AT_A_FAILPOINT = """
import os, sys
sys.path.insert(0, %r)
import queuectl
from queuectl_lib.host import failpoints
name, time, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def failpoint(passed):
    global time
    time -= passed == name
    if passed == name and time == 0:
        os.kill(os.getpid(), number)

failpoints.failpoint = failpoint
queuectl.front.leave(queuectl.main(sys.argv[4:]))
"""


def interrupted(home, name, *words, time=1, number=signal.SIGINT):
    """A call in which a signal comes at a failpoint: exit code, stdout, stderr."""
    command = PYTHON + ["-c", AT_A_FAILPOINT % ROOT, name, str(time), str(int(number)), "--home", home.path]
    pipe = subprocess.PIPE
    done = subprocess.run(command + list(words), stdout=pipe, stderr=pipe, env=home.environment(), timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def count(home):
    return sum(looking.counts(home.queue.database).values())


BEFORE, BEHIND = "write.before-commit", "write.committed"
THREE = json.dumps([{"command": "true"}] * 3)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_add_interrupted_behind_its_commit_prints_its_id(home, name):
    code, out, said = interrupted(home, BEHIND, "add", "true", number=getattr(signal, name))
    assert (code, said) == (0, "")
    assert home.state(out.strip()) == "pending"


def test_an_add_interrupted_before_its_commit_has_added_nothing(home):
    assert interrupted(home, BEFORE, "add", "true") == (130, "", "")
    assert count(home) == 0
    assert interrupted(home, BEFORE, "add", "true", number=signal.SIGTERM)[0] == -signal.SIGTERM
    assert count(home) == 0


@pytest.mark.parametrize("options", [[], ["--json"], ["--quiet"], ["--verbose"]])
def test_an_enqueue_interrupted_behind_its_commit_says_what_it_did(home, options):
    code, out, said = interrupted(home, "enqueue.committed", "enqueue", THREE, *options)
    assert code == 0 and count(home) == 3
    assert ("enqueued 3 jobs" in said) == (options in ([], ["--verbose"]))
    assert out.count("\n") == {(): 3, ("--verbose",): 3, ("--quiet",): 0}.get(tuple(options), out.count("\n"))


def test_an_enqueue_interrupted_before_its_commit_has_added_nothing(home):
    assert interrupted(home, "enqueue.before-commit", "enqueue", THREE) == (130, "", "")
    assert count(home) == 0


def in_state(home, identifier, kind):
    """Add a job, and end it so."""
    home.add("true", "--id", identifier, "--max-retries", "0")
    settle(home.queue, claim(home.queue, time.time())[0], kind, time.time())


@pytest.mark.parametrize(
    "words, before, behind",
    [
        (["cancel", "waits"], "pending", "cancelled"),
        (["requeue", "dead"], "dead", "pending"),
        (["dlq", "retry", "dead"], "dead", "pending"),
        (["dlq", "retry", "--all"], "dead", "pending"),
    ],
)
def test_a_move_that_was_made_exits_0_and_one_that_was_not_130(home, words, before, behind):
    in_state(home, "dead", "failed")
    home.add("true", "--id", "waits")
    subject = "waits" if words[0] == "cancel" else "dead"
    assert interrupted(home, BEFORE, *words) == (130, "", "")
    assert home.state(subject) == before
    code, _, said = interrupted(home, BEHIND, *words)
    assert code == 0 and ("requeued 1 job\n" in said) == ("--all" in words)
    assert home.state(subject) == behind


def test_a_setting_that_was_changed_exits_0(home):
    script = AT_A_FAILPOINT % ROOT
    patch = (
        "from queuectl_lib.host import files\nreplace = files.replace\n"
        "def patched(*paths):\n    replace(*paths)\n    os.kill(os.getpid(), 2)\nfiles.replace = patched\n"
    )
    script = script.replace("queuectl.front.leave(", patch + "queuectl.front.leave(")
    words = PYTHON + ["-c", script, "none", "1", "2", "--home", home.path]
    for more in (["config", "set", "grace", "3"], ["config", "unset", "grace"]):
        assert subprocess.run(words + more, env=home.environment(), timeout=60).returncode == 0
        assert ("3" in contents(os.path.join(home.path, "config.json"))) == ("set" in more)


@pytest.mark.parametrize("when", ["behind the commit", "while it waits"])
def test_a_cancel_of_a_running_job_says_that_it_stands(home, when):
    job = home.add("trap '' TERM; echo on > begun; sleep 60", "--cwd", home.path)
    home.run("config", "set", "grace", "2")
    home.start()
    wait_until(lambda: contents(os.path.join(home.path, "begun")), "the job to run")
    if when == "behind the commit":
        code, out, said = interrupted(home, BEHIND, "cancel", job)
    else:
        process = subprocess.Popen(home.command("cancel", job), stderr=subprocess.PIPE, env=home.environment())
        with raw(home.queue) as connection:
            asked = "SELECT cancel_requested FROM jobs"
            wait_until(lambda: connection.execute(asked).fetchone()[0], "the cancel to be asked for")
        process.send_signal(signal.SIGINT)
        code, out, said = process.wait(20), "", process.communicate()[1].decode()
    assert (code, out) == (130, "") and "the cancel stands" in said and job in said
    home.wait_for_state(job, "cancelled")


def test_a_prune_stops_between_two_of_its_transactions_and_says_how_far_it_came(home):
    rows = "\n".join('{"command": "true", "id": "j%d"}' % number for number in range(1200))
    home.run("enqueue", "-", "--quiet", input=rows)
    held = claim(home.queue, time.time(), 1200)
    for one in range(0, 1200, 400):
        outcomes = [Outcome(each, "completed", time.time() - 5) for each in held[one : one + 400]]
        home.queue.exchange("w-1", outcomes, 0, time.time() - 5, SETTINGS)
    assert interrupted(home, BEFORE, "prune")[0] == 130
    assert count(home) == 1200
    code, _, said = interrupted(home, BEHIND, "prune")
    assert code == 130 and "interrupted after 500 jobs were deleted" in said
    assert count(home) == 700
    code, _, said = interrupted(home, BEHIND, "prune", time=2)
    assert code == 130 and "interrupted after 700 jobs were deleted" in said


def test_a_cancel_of_many_keeps_what_is_done_and_says_how_many(home):
    rows = "\n".join('{"command": "true", "id": "j%d"}' % number for number in range(1200))
    home.run("enqueue", "-", "--quiet", input=rows)
    assert interrupted(home, BEFORE, "cancel", "--all")[0] == 130
    assert looking.counts(home.queue.database)["cancelled"] == 0
    code, _, said = interrupted(home, BEHIND, "cancel", "--all")
    assert code == 130 and "interrupted after 500 jobs were cancelled" in said
    assert looking.counts(home.queue.database)["cancelled"] == 500
    code, _, said = interrupted(home, BEHIND, "requeue", "--all", time=2)
    assert (code, said) == (0, "requeued 500 jobs\n"), "nothing was left to be spared"
    code, _, said = interrupted(home, BEHIND, "cancel", "--all", time=3)
    assert (code, said) == (0, "cancelled 1200 jobs\n")


def test_a_call_that_waits_for_its_turn_is_interrupted_at_once(home):
    home.run("initdb")
    with home.queue.database.gate():
        process = subprocess.Popen(home.command("add", "true"), stderr=subprocess.PIPE, env=home.environment())
        try:
            wait_until(lambda: waits(process.pid), "the call to stand in line")
            process.send_signal(signal.SIGINT)
            assert process.wait(5) == 130
        finally:
            process.kill()
            process.communicate()
    assert count(home) == 0


def waits(pid):
    """True once a thread of *pid* waits for a lock (where that can be seen; else once it has had time to)."""
    tasks = "/proc/%d/task" % pid
    if not os.path.isdir(tasks):
        time.sleep(1)
        return True
    return len(os.listdir(tasks)) > 1


@pytest.mark.parametrize("words", [["add", "true"], ["enqueue", THREE]])
def test_what_cannot_be_printed_since_nobody_reads_can_still_be_interrupted_and_is_told(home, words):
    """stdout is a full pipe: the first Ctrl+C finds the call in its print."""
    home.run("initdb")
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    process = subprocess.Popen(home.command(*words), stdout=writer, stderr=subprocess.PIPE, env=home.environment())
    os.close(writer)
    try:
        wait_until(lambda: count(home), "the jobs to be added")
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        said = process.communicate(timeout=20)[1].decode()
    finally:
        process.kill()
        os.close(reader)
    assert process.returncode == 130
    assert "added" in said and said.count("\n") == 1


@needs_strace
def test_ctrl_c_during_the_sync_of_the_commit_does_not_deny_what_was_done(home):
    """For each sync that a call makes: a commit that the signal finds half done is told like any other."""
    home.run("initdb")
    keeper = home.queue.database.keeper()
    try:
        for when in range(1, 6):
            before = count(home)
            words = ["strace", "-f", "-o", os.devnull, "-e", "trace=fdatasync"]
            words += ["-e", "inject=fdatasync:signal=INT:when=%d" % when]
            done = subprocess.run(words + home.command("add", "true"), capture_output=True, env=home.environment())
            assert done.returncode in (0, 130), done.stderr
            added = count(home) - before
            assert added == (1 if done.stdout.strip() else 0), (when, done)
            assert done.returncode == 130 or added == 1
    finally:
        keeper.close()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_whatever_interrupts_the_printing_of_ids_is_told_that_the_jobs_are_there(home, name):
    process = subprocess.Popen(
        home.command("enqueue", "-"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=home.environment(),
    )
    process.stdin.write(b'{"command": "true"}\n' * 20000)  # their ids are more than a pipe holds
    process.stdin.close()
    wait_until(lambda: count(home) == 20000, "the commit")
    select.select([process.stdout], [], [], 60)  # it prints, and is going to be held up
    process.send_signal(getattr(signal, name))
    with process.stderr, process.stdout:
        said = process.stderr.read().decode()
    assert (process.wait(60), said.count("the jobs were added, but")) == (130, 1), said


def test_ctrl_c_at_any_moment_of_an_add_tells_the_truth(home):
    home.add("true")
    chance, outcomes = random.Random(5), set()
    for _ in range(40):
        before = count(home)
        process = subprocess.Popen(
            home.command("add", "true"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment()
        )
        time.sleep(chance.uniform(0.02, 0.09))
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
        outcomes.add(process.returncode)
        if process.returncode in (0, 130):
            assert count(home) - before == bool(out.strip()), (process.returncode, out, said)
        else:
            assert count(home) == before and not out, (process.returncode, said)  # Python itself had not begun


def test_a_worker_keeps_its_own_way_with_signals(home):
    """Nothing is held back there: a stop is a stop."""
    process = home.start()
    home.wait_for_workers(1)
    job = home.add("true")
    home.wait_for_state(job, "completed")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
