"""Background: `worker start --background` detaches, says when it cannot, and wakes when work comes."""

import glob
import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import time

import pytest
from helpers.home import SCRIPT, contents, let_go
from helpers.marks import needs_proc, posix_only
from helpers.queue import in_full
from helpers.waiting import wait_until

from queuectl_lib import times
from queuectl_lib.store import finding, roster, showing


@pytest.fixture
def home(near):
    return near


pytestmark = posix_only


def supervisor(home):
    """The one supervisor that lives."""
    found = [member for member in roster.members(home.queue.folder) if member["kind"] == "supervisor"]
    assert len(found) == 1
    return found[0]


def modes(home):
    """The mode of everything below a home, by path."""
    found = {}
    for folder, _, files in os.walk(home.path):
        for path in [folder] + [os.path.join(folder, name) for name in files]:
            found[os.path.relpath(path, home.path)] = os.lstat(path).st_mode & 0o777
    return found


def test_a_background_start_returns_at_once_inside_a_command_substitution(home):
    """Nobody holds the pipes of whoever started it open, or $(...) would wait for ever."""
    began = time.monotonic()
    script = 'x=$("$@" 2>err); code=$?; printf "%s|%s" "$x" "$code"'
    shell = ["/bin/sh", "-c", script, "sh"] + home.command("worker", "start", "--background", "--count", "2")
    done = subprocess.run(
        shell, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment(), cwd=home.path, timeout=30
    )
    assert (done.stdout, done.stderr) == (b"|0", b"")
    assert time.monotonic() - began < 15
    assert len(home.workers()) == 2, "all workers are up when it returns"
    said = contents(os.path.join(home.path, "err"))
    assert said.startswith("started in the background: supervisor %(name)s, pid %(pid)d, workers: 2" % supervisor(home))
    job = home.add("true")
    home.wait_for_state(job, "completed")


def test_a_background_supervisor_is_detached_logs_privately_and_is_stopped_from_anywhere(home):
    shell = subprocess.Popen(
        ["/bin/sh", "-c", '"$@" && sleep 60', "sh"] + home.command("worker", "start", "--daemon"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=home.environment(),
        start_new_session=True,
    )
    try:
        home.wait_for_workers(1)
        member = supervisor(home)
        assert os.getsid(member["pid"]) == member["pid"]
        assert os.getsid(member["pid"]) != shell.pid
        os.killpg(shell.pid, 9)  # whoever started it goes, with the whole session
    finally:
        shell.kill()
        shell.wait()
    job = home.add("echo hello")
    home.wait_for_state(job, "completed")
    listed = {row["kind"]: row for row in home.run("worker", "list", "--json").json}
    assert listed["supervisor"]["pid"] == member["pid"]
    assert listed["worker"]["supervisor"] == member["name"]
    text = home.run("worker", "list").stdout
    heads = ["NAME", "KIND", "PID", "HOST", "SINCE", "SLOTS", "JOB"]
    assert re.sub(r" \([+-]\d\d:\d\d\)", "", text.splitlines()[0]).split() == heads
    assert str(listed["worker"]["pid"]) in text
    status = home.run("status", "--json").json
    assert (status["workers"], status["supervisors"], status["completed"]) == (1, 1, 1)
    log = home.queue.folder.log
    assert os.stat(log).st_mode & 0o777 == 0o600
    assert "job %s completed" % job in contents(log)
    home.run("worker", "stop")
    status = home.run("status", "--json").json
    assert (status["workers"], status["supervisors"]) == (0, 0)
    assert home.run("worker", "list", "--json").json == []
    assert contents(log).rstrip().endswith("supervisor stopped")


def test_worker_list_shows_what_each_worker_runs(home):
    job = home.add("echo on > begun; while [ ! -e go ]; do sleep 0.03; done", "--cwd", home.path)
    home.run("worker", "start", "--background", "--count", "2")
    wait_until(lambda: contents(os.path.join(home.path, "begun")), "the job to run")
    rows = home.run("worker", "list", "--json").json
    assert sorted(str(row["job"]) for row in rows) == sorted([job, "None", "None"])
    with open(os.path.join(home.path, "go"), "w"):
        pass
    home.wait_for_state(job, "completed")


@needs_proc
def test_a_background_supervisor_holds_no_terminal_and_no_stream_of_its_starter(home):
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    subprocess.run(
        home.command("worker", "start", "--background"),
        env=home.environment(),
        close_fds=False,
        check=True,
        stdout=writer,
        stderr=writer,
        stdin=subprocess.DEVNULL,
    )
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        assert b"started in the background" in file.read(), "the read ends: nobody holds the other end"
    folder = "/proc/%d/fd" % supervisor(home)["pid"]
    first = [os.readlink(os.path.join(folder, str(number))) for number in (0, 1, 2)]
    assert first == [os.devnull, home.queue.folder.log, home.queue.folder.log]


def test_drain_in_the_background_leaves_by_itself(home):
    first = home.add("true")
    second = home.add('[ "$QUEUECTL_ATTEMPT" = 2 ]')
    home.run("worker", "start", "--background", "--drain", "--backoff-base", "0", "--poll-interval", "0.1")
    wait_until(lambda: roster.members(home.queue.folder) == [], "the drained workers to leave")
    assert finding.states_of(home.queue.database, [first, second]) == ["completed", "completed"]
    home.run("worker", "start", "--background", "--drain")  # nothing to do is no failure to start


# ---------------------------------------------------------------- what cannot start


def foreign_database(home):
    connection = sqlite3.connect(home.db)
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    connection.close()
    os.chmod(home.db, 0o600)
    return "database of another program"


def directory_as_database(home):
    os.mkdir(home.db)
    return "is a directory, not a database"


def broken_config(home):
    with open(os.path.join(home.path, "config.json"), "w") as file:
        file.write('{"max_retries": }')
    return "config.json: line 1, column 17"


def writable_home(home):
    os.chmod(home.path, 0o707)
    return "can be written by other users"


def python_that_cannot_start_children(home):
    home.python = [sys.executable]
    with open(os.path.join(home.path, "sitecustomize.py"), "w") as file:
        file.write(
            "import os\n"
            "with open('/proc/self/cmdline', 'rb') as file:\n"
            "    if b'--multiprocessing-fork' in file.read():\n"
            "        os._exit(9)\n"
        )
    return "workers cannot start (exit code 9 each time)"


HINDRANCES = [foreign_database, directory_as_database, broken_config, writable_home]
if os.path.isdir("/proc/self"):
    HINDRANCES.append(python_that_cannot_start_children)


@pytest.mark.parametrize("hinder", HINDRANCES)
def test_a_background_start_that_fails_says_why_and_exits_3(home, hinder):
    reason = hinder(home)
    result = home.run("worker", "start", "--background", code=3, env={"PYTHONPATH": home.path})
    assert reason in result.stderr
    lives = home.queue.folder.workers
    assert not os.path.isdir(lives) or os.listdir(lives) == [], "nobody stays behind"


# ---------------------------------------------------------------- from within a job


def test_workers_started_by_a_job_in_the_background_are_not_ended_with_the_job(home, tmp_path):
    other = type(home)(tmp_path / "other")
    os.mkdir(other.path, 0o700)
    words = [sys.executable, SCRIPT, "--home", other.path, "worker", "start", "--background"]
    job = home.add(" ".join(words) + " && echo on > begun && sleep 60", "--cwd", home.path)
    home.start()
    try:
        wait_until(lambda: contents(os.path.join(home.path, "begun")), "the job to start workers")
        home.run("cancel", job)
        assert home.state(job) == "cancelled"
        inner = other.add('echo "$QUEUECTL_JOB_ID $QUEUECTL_HOME"')
        other.wait_for_state(inner, "completed")
        assert in_full(other.queue, inner)["history"][0]["stdout"].decode() == "%s %s\n" % (
            inner,
            other.path,
        )
        other.run("worker", "stop")
    finally:
        other.clean_up()


@pytest.mark.parametrize("spelling", ["%s", "%s/", "%s/../home"])
def test_a_job_that_waits_for_all_does_not_wait_for_itself_however_it_spells_its_home(home, spelling):
    words = [sys.executable, "-S", SCRIPT, "--home", spelling % home.path, "wait", "--timeout", "15"]
    job = home.add(" ".join(words))
    home.start()
    home.wait_for_state(job, "completed")


def test_what_a_finished_job_left_running_waits_and_stops_like_anybody_else(home):
    """It still has the job's variables, but the attempt that they name is over."""
    words = " ".join([sys.executable, "-S", SCRIPT, "--home", home.path])
    left = "(while [ ! -e go ]; do sleep 0.05; done; %s wait --timeout 0.1; echo $? > waited;" % words
    left += " %s worker stop --now; echo $? > stopped) >/dev/null 2>&1 & true" % words
    starter = home.add(left, "--cwd", home.path)
    process = home.start()
    home.wait_for_state(starter, "completed")
    slow = home.add("sleep 60")
    home.wait_for_state(slow, "processing")
    let_go(home)
    waited = wait_until(lambda: contents(os.path.join(home.path, "waited")), "the wait of what was left to end")
    assert waited == "124\n", "a job runs"
    wait_until(lambda: contents(os.path.join(home.path, "stopped")), "its stop to return")
    assert roster.members(home.queue.folder) == [], "it returned when all was stopped"
    assert process.wait(20) == 0


# ---------------------------------------------------------------- private files


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_everything_in_a_home_is_private_whatever_the_umask(tmp_path, home, umask):
    fresh = type(home)(tmp_path / "fresh")
    before = os.umask(umask)
    try:
        fresh.run("config", "set", "poll_interval", "0.5")
        running = fresh.add("head -c 100000 /dev/zero; echo on > begun; sleep 60", "--cwd", home.path)
        fresh.run("worker", "start", "--background")
        wait_until(lambda: contents(os.path.join(home.path, "begun")), "the job to run")
        found = modes(fresh)
        fresh.run("worker", "stop", "--now")
        found.update(modes(fresh))
    finally:
        os.umask(before)
        fresh.clean_up()
    assert fresh.state(running) == "pending"
    folders = {".", "queuectl.db.d", "queuectl.db.d/workers", "queuectl.db.d/attempts"}
    assert {path: mode for path, mode in found.items() if path in folders} == dict.fromkeys(folders, 0o700)
    others = {path: mode for path, mode in found.items() if path not in folders}
    names = {"config.json", "queuectl.db", "queuectl.db-wal", "queuectl.db.d/worker.log", "queuectl.db.d/bell"}
    assert names <= set(others)
    assert any(path.endswith(".run") for path in others) and any(path.endswith(".life") for path in others)
    assert set(others.values()) == {0o600}, others


# ---------------------------------------------------------------- waking


def test_an_idle_worker_is_woken_by_the_bell_and_not_by_polling(home):
    home.run("config", "set", "poll_interval", "30")
    home.run("worker", "start", "--background", "--count", "2")
    waits = []
    for _ in range(10):
        job = home.add("true")
        home.wait_for_state(job, "completed")
        found = showing.job(home.queue.database, job)
        waits.append(times.utc_seconds(found["started_at"]) - times.utc_seconds(found["created_at"]))
    assert statistics.median(waits) < 0.3, waits


def test_one_enqueue_of_many_jobs_wakes_every_idle_worker(home):
    home.run("config", "set", "poll_interval", "30")
    home.run("worker", "start", "--background", "--count", "3")
    meet = "touch here-$QUEUECTL_JOB_ID; while [ $(ls here-* | wc -l) -lt 3 ]; do sleep 0.02; done"
    spreads = []
    for turn in range(5):  # on a busy host one worker or the other can be late
        ids = ["j%d-%d" % (turn, n) for n in range(3)]
        jobs = [{"id": one, "command": meet, "cwd": home.path, "timeout": 20} for one in ids]
        home.run("enqueue", "-", input="\n".join(json.dumps(job) for job in jobs))
        home.run("wait", "--timeout", "60")
        starts = [times.utc_seconds(showing.job(home.queue.database, one)["started_at"]) for one in ids]
        spreads.append(max(starts) - min(starts))
        for name in glob.glob(os.path.join(home.path, "here-*")):
            os.unlink(name)
    # Polling alone spreads three starts over a second: two turns of five below 0.15 s are then one chance in thirty.
    assert sorted(spreads)[1] < 0.15, "the bell is passed on: %r" % spreads
