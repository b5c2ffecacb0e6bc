"""Doctor: it proves what a host can do, says what it cannot, and leaves no trace of the proof."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from helpers.bundle import copy_bundle
from helpers.home import Home
from helpers.marks import long, posix_only
from helpers.processes import PYTHON
from helpers.waiting import wait_until

from queuectl_lib.doctor import probes
from queuectl_lib.store import health, showing

PATIENCE = 240  # seconds: on a busy host a process may take long to start, and it starts a dozen
LINUX = sys.platform == "linux"
ESSENTIAL = ["python", "sqlite", "config", "bytecode", "home", "file system", "database", "alive", "space", "sync"]
ESSENTIAL += ["locks", "writers", "workers", "ending", "clock", "cron"]


def names(home):
    """Every file of a home that a look at it must not change."""
    found = []
    for folder, _, files in os.walk(home.path):
        found += [os.path.join(folder, name) for name in files if not name.endswith(("-wal", "-shm"))]
    return sorted(found)


def processes_of(path):
    """Command lines of the processes that have *path* in theirs."""
    found = []
    for pid in os.listdir("/proc") if LINUX else []:
        if pid.isdigit() and int(pid) != os.getpid():
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as file:
                    line = file.read()
            except OSError:
                continue
            if os.fsencode(path) in line:
                found.append(line)
    return found


def no_trace(home):
    assert [name for name in os.listdir(home.path) if "doctor" in name] == []
    wait_until(lambda: processes_of(os.path.join(home.path, ".queuectl-doctor")) == [], "the trial to be gone")


def failures(home, env=None):
    """What a call with exit code 1 finds wrong: {name: text and advice}."""
    done = home.run("doctor", "--json", code=1, env=env, timeout=PATIENCE)
    value = done.json
    assert value["ok"] is False
    found = {row["name"]: "%s: %s" % (row["text"], row["advice"]) for row in value["findings"] if row["ok"] is False}
    told = "this host cannot run the queue yet: %s" % ", ".join(found)
    assert json.loads(done.stderr) == {"error": {"code": "unfit_host", "message": told}}
    return found


def test_a_host_that_can_run_the_queue_is_told_so_and_nothing_of_its_queue_changes(home):
    home.add("exit 0")
    os.chmod(home.path, 0o750)
    before = names(home), showing.jobs(home.queue.database, (), 9)
    value = home.run("doctor", "--json", timeout=PATIENCE).json
    assert value["ok"] is True
    assert 0 < value["seconds"] < PATIENCE
    found = {row["name"]: row for row in value["findings"]}
    assert [name for name in found if name != "bare PATH"] == ESSENTIAL
    assert set(found["sync"]) == {"name", "ok", "text", "advice"}
    assert [name for name, row in found.items() if row["ok"] is False] == []
    assert [name for name, row in found.items() if row["ok"] is None and not row["advice"]] == []
    assert {name for name, row in found.items() if row["ok"]} >= set(ESSENTIAL[10:15]) | {"python", "database"}
    assert "1 pending" in found["database"]["text"]
    assert found["alive"]["ok"] is None
    if os.name == "posix":
        assert "chmod 700" in found["home"]["advice"]
    assert (names(home), showing.jobs(home.queue.database, (), 9)) == before
    no_trace(home)


@long
def test_people_get_a_line_for_each_finding_and_a_verdict(home):
    home.run("worker", "start", "--background", "--count", "2")
    lines = home.run("doctor", timeout=PATIENCE).stdout.splitlines()
    assert lines[-1].startswith("this host can run the queue (")
    assert [line[6:19].strip() for line in lines[: len(ESSENTIAL)]] == ESSENTIAL
    assert {line.split()[0] for line in lines[:-1]} <= {"ok", "note"}
    assert "2 workers, supervisors: 1" in lines[ESSENTIAL.index("alive")]
    home.run("worker", "stop")
    no_trace(home)


@long
def test_a_home_that_is_not_there_is_no_failure_and_is_not_made(tmp_path):
    fresh = Home(tmp_path / "not" / "yet")
    found = {row["name"]: row for row in fresh.run("doctor", "--json", timeout=PATIENCE).json["findings"]}
    assert (found["home"]["ok"], found["database"]["ok"], found["ending"]["ok"]) == (None, None, True)
    assert os.listdir(str(tmp_path)) == []


# ---------------------------------------------------------------- what cannot be


@long
@posix_only
def test_a_home_that_others_can_write_is_told_and_nothing_in_it_is_read(home):
    home.add("exit 0")
    with open(os.path.join(home.path, "config.json"), "w") as file:
        file.write("{broken")
    os.chmod(home.path, 0o707)
    found = failures(home)
    assert list(found) == ["home"]
    assert "%s can be written by other users: chmod go-w" % home.path in found["home"]


@long
@posix_only
def test_a_database_that_others_can_write_is_told_and_not_read(home):
    home.run("initdb")
    os.chmod(home.db, 0o622)
    assert "can be written by other users" in failures(home)["database"]
    with open(home.db, "wb") as file:
        file.write(b"no database")
    assert "can be written by other users" in failures(home)["database"]


@long
def test_a_damaged_database_is_told_at_once(home):
    for number in range(20):
        home.add("exit 0", "--id", "job%d" % number, "--env", "X=%s" % ("y" * 5000))
    size = os.path.getsize(home.db)
    with open(home.db, "r+b") as file:
        file.seek(size - 30000)
        file.write(b"\xff" * 20000)
    found = failures(home)
    assert list(found) == ["database"]
    assert "damaged" in found["database"] and "restore a backup" in found["database"]
    no_trace(home)


@long
def test_a_broken_configuration_is_told_and_everything_else_tried_all_the_same(home):
    with open(os.path.join(home.path, "config.json"), "w") as file:
        file.write('{"max_retries": }')
    with sqlite3.connect(home.db) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    found = failures(home)
    assert list(found) == ["config", "database"]
    assert "config.json: line 1, column 17" in found["config"]
    assert "database of another program" in found["database"]
    no_trace(home)


@pytest.mark.skipif(not LINUX, reason="where even root cannot write")
def test_a_place_where_nothing_can_be_written_is_told(tmp_path):
    found = failures(Home("/proc/queue"))
    assert list(found) == ["trial"]
    assert "no home to try with can be made in /proc: " in found["trial"]


@long
def test_a_home_that_is_a_file_is_told(tmp_path):
    home = Home(tmp_path / "file")
    (tmp_path / "file").write_text("no folder")
    assert "file cannot be written: " in failures(home)["home"]
    assert os.listdir(str(tmp_path)) == ["file"]


def lend(home, text):
    """An environment whose Python runs *text* at its start."""
    folder = os.path.join(home.path, "lent")
    os.mkdir(folder)
    home.python = [sys.executable]
    with open(os.path.join(folder, "sitecustomize.py"), "w") as file:
        file.write(text)
    return {"PYTHONPATH": folder}


@posix_only
def test_locks_that_hold_nobody_back_are_told(home):
    found = failures(home, lend(home, "import fcntl\nfcntl.flock = lambda fd, operation: None\n"))
    assert list(found) == ["locks"], "the rest would only hang or mislead"
    assert "two processes hold one lock at once: use a local file system" in found["locks"]
    no_trace(home)


@pytest.mark.skipif(not LINUX, reason="looks into /proc")
def test_a_python_that_cannot_start_workers_is_told(home):
    text = (
        "import os\n"
        "with open('/proc/self/cmdline', 'rb') as file:\n"
        "    if b'--multiprocessing-fork' in file.read():\n"
        "        os._exit(9)\n"
    )
    found = failures(home, lend(home, text))
    assert list(found) == ["locks"]
    assert "ended as soon as it was started" in found["locks"]
    no_trace(home)


class ChangedHome(Home):
    """A home with a copy of the bundle in which one thing does not work."""

    def change(self, name, old, new):
        path = os.path.join(self.path, name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert old in text
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))

    def command(self, *words):
        return PYTHON + [os.path.join(self.path, "queuectl.py")] + [str(word) for word in words]


@pytest.fixture
def changed(tmp_path):
    changed = ChangedHome(tmp_path / "changed")
    os.mkdir(changed.path, 0o700)
    copy_bundle(changed.path, used_by=sys.executable)
    yield changed
    changed.clean_up()


@long
@pytest.mark.skipif(not LINUX, reason="looks into /proc")
def test_a_child_that_outlives_its_job_is_told_and_ended_after_all(changed):
    """As if nothing but the session of a job could be seen."""
    tree = "queuectl_lib/host/tree_posix.py"
    for search in ("look.carriers(self.token, self.queue)", "self._holders(look, found)"):
        changed.change(tree, "found |= " + search, "pass")
    changed.change(tree, "found = look.with_descendants(found) - {os.getpid()}", "pass")
    found = failures(changed)
    assert list(found) == ["ending"]
    assert "outlived its job" in found["ending"]
    no_trace(changed)


def test_jobs_that_are_lost_between_two_writers_are_told(changed):
    losing = "connection.execute('DELETE FROM jobs WHERE seq = (SELECT max(seq) FROM jobs)')"
    counted = "        opening.refuse_ignored("
    changed.change("queuectl_lib/store/bulk.py", counted, "        %s\n%s" % (losing, counted))
    assert "two callers enqueued 20 jobs each, and 38 are there" in failures(changed)["writers"]
    no_trace(changed)


# ---------------------------------------------------------------- leaving


@long
@posix_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_doctor_leaves_nothing_behind(home, number):
    process = subprocess.Popen(
        home.command("doctor"), env=home.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    home.started.append(process)

    def escaped():
        folders = [name for name in os.listdir(home.path) if "doctor" in name]
        path = os.path.join(home.path, folders[0], "escaped.lock") if folders else ""
        return os.path.exists(path) and os.path.getsize(path)

    wait_until(escaped, "the job with a child of its own session to run")
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (130, b"")
    no_trace(home)


@posix_only
def test_a_reader_that_goes_away_ends_the_proof_and_its_traces(home):
    script = '"$@" 2>err | head -n 9'  # gone when the trial home has just been made
    shell = subprocess.run(
        ["sh", "-c", script, "sh"] + home.command("doctor"),
        env=home.environment(),
        cwd=home.path,
        stdout=subprocess.PIPE,
        timeout=60,
    )
    assert len(shell.stdout.splitlines()) == 9
    wait_until(lambda: not any("doctor" in name for name in os.listdir(home.path)), "the trial home to go")
    with open(os.path.join(home.path, "err")) as file:
        assert file.read() == ""
    no_trace(home)


# ---------------------------------------------------------------- single probes


def test_a_disk_that_syncs_in_no_time_or_slowly_is_told(tmp_path, monkeypatch):
    for seconds, ok, advice in ((0.000001, None, "power cut"), (0.003, True, ""), (0.2, None, "slow")):
        monkeypatch.setattr(probes, "sync_seconds", lambda fd, seconds=seconds: seconds)
        found = probes.probe_sync(str(tmp_path))
        assert found.ok is ok and advice in found.advice
    assert os.listdir(str(tmp_path)) == []


def test_a_clock_that_jumps_or_shows_an_impossible_year_is_told(monkeypatch):
    now = time.time()
    assert probes.probe_clock(now, time.monotonic()).ok is True
    assert "moved by" in probes.probe_clock(now - 3600, time.monotonic()).text
    monkeypatch.setattr(time, "time", lambda: 86400.0)
    assert probes.probe_clock(86400.0, time.monotonic()).ok is False


def test_a_full_disk_and_an_old_sqlite_are_told(tmp_path, monkeypatch):
    for free, ok in ((1 << 20, False), (100 << 20, None), (9 << 30, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: shutil._ntuple_diskusage(0, 0, free))
        assert probes.probe_space(str(tmp_path)).ok is ok
    for version, ok in (((3, 7, 16), False), ((3, 7, 17), None), ((3, 8, 8), True)):
        monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
        assert probes.probe_sqlite().ok is ok


def test_a_database_too_large_to_be_checked_in_time_is_told(home):
    rows = ({"command": "exit 0"} for _ in range(3000))
    home.run("enqueue", "--quiet", "-", input="\n".join(json.dumps(row) for row in rows))
    assert health.damage(home.queue.database, 60.0) == ""
    assert health.damage(home.queue.database, -1.0) is None


@posix_only
def test_a_crontab_is_searched_for_lines_that_start_the_queue(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "is not there" in probes.probe_cron().text
    tool = tmp_path / "crontab"
    for line, ok in (("# queuectl.py", None), ("* * * * * python3 /q/queuectl.py worker start", True)):
        tool.write_text("#!/bin/sh\necho '%s'\n" % line)
        tool.chmod(0o700)
        assert probes.probe_cron().ok is ok
    tool.write_text("#!/bin/sh\necho 'you may not use this program' >&2\nexit 1\n")
    assert probes.probe_cron().ok is None
