"""Trouble with the disk while workers run: it is told, nothing is lost, and they go on by themselves."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

import pytest
from helpers.bundle import FILES, ROOT, copy_bundle
from helpers.home import PATIENT, Home, contents, ledger, let_go, wait_for_log
from helpers.installed import Copy
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS
from helpers.waiting import wait_until

from queuectl_lib.errors import HostError
from queuectl_lib.host.waking import Bell
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import pace
from queuectl_lib.run.options import Options
from queuectl_lib.run.trouble import in_words
from queuectl_lib.store import opening
from worker import Worker

pytestmark = posix_only

NOBODY = 65534


def begin(home, place):
    """Start a worker on a patient job that keeps its ledger in the home *place*; returns worker process and id."""
    process = home.start("--backoff-base", "0")
    job = home.add(PATIENT, "--cwd", place.path)
    wait_until(lambda: "begun" in ledger(place), "the job to run")
    return process, job


@pytest.mark.parametrize(
    "error, told",
    [
        (HostError("it is read-only"), ["it is read-only; trying again", "the database answers again"]),
        (HostError(in_words(MemoryError())), ["no memory; trying again", "there is memory again"]),
    ],
)
def test_a_refused_write_is_told_once_and_tried_ever_more_slowly_although_reading_works(
    queue, monkeypatch, capfd, error, told
):
    """As on a database that a worker may read but not write."""
    queue.enqueue(JobMaker(0, "/", 0o022, NOW).row({"command": "true"}))
    one = Worker(queue, "w-1", "s", Options(1, False), lambda: SETTINGS)
    one.bell = Bell(queue.folder.bell, queue.path)

    def refuse(*values):
        raise error

    monkeypatch.setattr(queue, "exchange", refuse)
    for _ in range(10):
        one.trouble.retry_at = 0.0  # the pause is over
        one.keep_going()
    assert one.trouble.pause == pace.TROUBLE_SECONDS
    monkeypatch.setattr(queue, "exchange", lambda *values: ([], [], False))
    one.trouble.retry_at = 0.0
    one.keep_going()
    one.bell.close()
    said = [line.split(": ", 1)[1] for line in capfd.readouterr().err.splitlines()]
    assert said == told


def test_a_stop_does_not_wait_for_ever_for_a_database_that_refuses_and_the_result_is_recorded_by_the_next(tmp_path):
    home = Copy(tmp_path / "home")
    home.replace(lambda text: text.replace("STOP_SECONDS = 30.0", "STOP_SECONDS = 1.0"))
    try:
        process, job = begin(home, home)
        second = str(tmp_path / "second")
        subprocess.run(["cp", "-al", home.path, second], check=True)
        let_go(home)
        wait_until(lambda: "done" in ledger(home), "the job to end")
        wait_for_log(process, "has a second name (hard link), which SQLite cannot keep safe: remove it; trying again")
        assert "second name" in home.run("worker", "stop").stderr
        assert process.wait(20) == 0 and "job %s completed (after" % job in contents(process.log)
        assert "left unrecorded" in contents(process.log)
        shutil.rmtree(second)
        home.drain()
        found = home.job(job)
        assert (found["state"], found["attempts"], ledger(home)) == ("completed", 1, ["begun", "done"])
    finally:
        home.clean_up()


# ---------------------------------------------------------------- taken away


def test_a_database_that_is_put_back_from_a_backup_under_idle_workers_is_used(home):
    process = home.start()
    home.wait_for_workers(1)
    first = home.add("true")
    home.wait_for_state(first, "completed")
    with sqlite3.connect(home.db) as source, sqlite3.connect(home.db + ".copy") as copy:
        source.backup(copy)
    source.close()
    copy.close()
    for ending in ("-wal", "-shm"):
        os.unlink(home.db + ending)
    os.replace(home.db + ".copy", home.db)
    second = home.add("true")
    home.wait_for_state(second, "completed")
    assert home.state(first) == "completed"
    assert process.poll() is None


# ---------------------------------------------------------------- permission


@pytest.fixture
def nobodys():
    """A home and a copy of the program that belong to a user without power, and how to run as him."""
    if os.geteuid() != 0:
        pytest.skip("only root can take a permission away from another user")
    place = tempfile.mkdtemp()  # a tmp_path is closed to others by every pytest that starts
    os.chmod(place, 0o755)
    home = Home(os.path.join(place, "home"))
    os.mkdir(home.path, 0o700)
    installed = os.path.join(place, "program")
    os.mkdir(installed, 0o755)
    copy_bundle(installed, used_by=sys.executable)
    for name in FILES:
        os.chmod(os.path.join(installed, name), 0o644)
    os.chown(home.path, NOBODY, NOBODY)
    script = os.path.join(installed, "queuectl.py")
    code = "import os, sys; os.setgroups([]); os.setgid(%d); os.setuid(%d); os.execv(sys.argv[1], sys.argv[1:])"
    for python in (sys.executable, "/usr/bin/python3"):
        start = [sys.executable, "-c", code % (NOBODY, NOBODY), python, script, "--home", home.path]
        if subprocess.call(start + ["status"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            break
    else:
        pytest.skip("no Python here can be run by another user")
    home.command = lambda *words: start + [str(word) for word in words]
    yield home
    os.chmod(home.path, 0o700)
    home.clean_up()
    shutil.rmtree(place)


def test_lost_permission_is_told_and_what_ran_meanwhile_is_recorded_when_it_is_back(nobodys):
    home = nobodys
    process, job = begin(home, home)
    folder = home.db + ".d"
    os.chmod(home.db, 0)
    os.chmod(folder, 0)
    refused = home.run("add", "true", code=3).stderr
    assert "ermission" in refused
    let_go(home)
    wait_until(lambda: "done" in ledger(home), "the job to end")
    wait_for_log(process, "trying again")
    os.chmod(folder, 0o700)
    os.chmod(home.db, 0o600)
    home.wait_for_state(job, "completed", 40)
    found = home.job(job)
    assert (found["attempts"], ledger(home)) == (1, ["begun", "done"])
    home.run("wait", "--timeout", "20")
    assert process.poll() is None


def test_a_home_that_cannot_be_written_is_told_and_still_read(nobodys):
    home = nobodys
    job = home.add("true")
    os.chmod(home.db, 0o400)
    os.chmod(home.path, 0o500)
    assert "read-only" in home.run("add", "true", code=3).stderr
    assert home.run("list").stdout.count(job) == 1
    os.chmod(home.path, 0o700)
    os.chmod(home.db, 0o600)
    home.add("true")


# ---------------------------------------------------------------- memory


WITHOUT_MEMORY = """
import resource, sqlite3, sys
sys.path.insert(0, sys.argv[1])
from queuectl_lib.errors import HostError
from queuectl_lib.store import opening
kept = bytearray(64 << 20)  # so that nothing as large stands ready in a heap
resource.setrlimit(resource.RLIMIT_AS, (1 << 20,) * 2)
try:
    with opening.told("q.db"):
        raise sqlite3.OperationalError("disk I/O error")
except HostError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is not kept")
def test_a_lack_of_memory_is_not_told_as_a_fault_of_the_disk():
    words = [sys.executable, "-S", "-c", WITHOUT_MEMORY, ROOT]
    said = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=30).stdout.decode()
    assert said == "q.db cannot be used now: there is no memory; nothing was changed\n"


@pytest.mark.parametrize("name, word", [("SQLITE_IOERR_NOMEM", "no memory"), ("SQLITE_IOERR_WRITE", "disk I/O error")])
def test_sqlites_own_word_for_the_lack_counts(name, word):
    refusal = sqlite3.OperationalError("disk I/O error")
    refusal.sqlite_errorname = name
    with pytest.raises(HostError, match=word), opening.told("q.db"):
        raise refusal
