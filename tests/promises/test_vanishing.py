"""Vanishing: life files swept, homes deleted, renamed or covered under running workers; nobody spins, nobody hides."""

import errno
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest
from helpers.home import Home, contents, ledger, wait_for_log
from helpers.installed import Copy
from helpers.marks import needs_proc, posix_only
from helpers.processes import is_running
from helpers.queue import SETTINGS, claim, enqueue, raw_file
from helpers.waiting import wait_until

from queuectl_lib.commands import worker
from queuectl_lib.errors import QueueError
from queuectl_lib.host import locks
from queuectl_lib.run import pace
from queuectl_lib.run.options import Options
from queuectl_lib.run.standing import Standing
from queuectl_lib.store import ending, looking, presence, roster
from worker import Worker


@pytest.fixture
def home(near):
    return near


pytestmark = posix_only

NOTICED_SECONDS = 6.0  # two seconds on a host that has nothing else to do
PATIENT = "echo begun >> ledger; while [ ! -e go ]; do sleep 0.03; done; echo done >> ledger"


@pytest.fixture
def renamed(tmp_path):
    """Where a home is moved to; nothing is there yet."""
    found = Home(tmp_path / "renamed")
    yield found
    found.clean_up()
    assert found.complaints() == []


def start(home, *words):
    process = home.start("--backoff-base", "0", *words)
    wait_until(lambda: glob.glob(home.db + ".d/workers/*.ready"), "the supervisor to be ready")
    return process


def begin_job(where, *options):
    """Let the job "j" begin, whose files lie in the folder *where* of its own."""
    home = where.home
    home.run("add", "--id", "j", *options, PATIENT, cwd=str(where.path))
    wait_until(lambda: contents(os.path.join(str(where.path), "ledger")).split() == ["begun"], "the job to begin")


class Where:
    """A folder apart from the home, for a job that outlives it."""

    def __init__(self, home, path):
        self.home, self.path = home, str(path)
        os.mkdir(self.path)


@pytest.fixture
def where(home, tmp_path):
    return Where(home, tmp_path / "where")


def seconds_of_cpu(pid):
    with open("/proc/%d/stat" % pid) as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


# ---------------------------------------------------------------- a cleaner of temporary files


@needs_proc
@pytest.mark.parametrize("sweep", [os.unlink, lambda path: os.truncate(path, 0)], ids=["deleted", "emptied"])
def test_life_files_that_were_swept_are_made_anew(home, sweep):
    process = start(home)
    names = {member["name"] for member in roster.members(home.queue.folder)}
    assert len(names) == 2
    for path in glob.glob(home.db + ".d/workers/*.life"):
        sweep(path)
    spent = seconds_of_cpu(process.pid)
    wait_until(
        lambda: {member["name"] for member in roster.members(home.queue.folder) if member["pid"]} == names,
        "both to be seen again",
        NOTICED_SECONDS,
    )
    time.sleep(1)
    assert seconds_of_cpu(process.pid) - spent < 0.3, "it spins"
    log = contents(process.log)
    assert log.count("its life file was deleted") == 2 and log.count("worker started") == 1, log
    home.run("worker", "start", "--ensure")
    assert home.run("worker", "stop").stdout == "" and process.wait(timeout=10) == 0


def test_the_folder_of_attempts_is_made_anew_for_the_next_job(home):
    """While no job runs it is old and empty, as a cleaner likes them."""
    process = start(home)
    os.rmdir(home.db + ".d/attempts")
    job = home.add("echo made")
    home.wait_for_state(job, "completed")
    assert home.job(job)["history"][0]["stdout"] == "made\n"
    assert os.stat(home.db + ".d/attempts").st_mode & 0o777 == 0o700
    assert "cannot start" not in contents(process.log)


def test_the_folder_of_life_files_is_made_anew_with_them(home):
    process = start(home)
    shutil.rmtree(home.db + ".d/workers")
    wait_until(lambda: len(roster.members(home.queue.folder)) == 2, "both to be seen again", NOTICED_SECONDS)
    home.run("add", "--id", "j", "true")
    home.wait_for_state("j", "completed")
    home.run("worker", "stop")
    assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("way", ["deleted", "renamed"])
@pytest.mark.parametrize("processes", [1, 3])
def test_the_folder_beside_the_database_is_made_anew_under_running_jobs(home, tmp_path, processes, way):
    """All evidence is gone, but who runs them has seen them begin, and sees them end."""
    process = start(home, "--count", "4", "--processes", str(processes), "--poll-interval", "0.2")
    for number, code in enumerate((0, 0, 3)):
        text = "echo begun >> %d; for n in $(seq 600); do [ -e go ] && break; sleep 0.05; done; echo done >> %d;"
        text += " exit %d"
        text %= (number, number, code)
        home.run("add", "--id", "j%d" % number, "--max-retries", "0", text, cwd=str(tmp_path))
    wait_until(lambda: all(contents(tmp_path / str(number)) for number in range(3)), "three jobs to begin")
    if way == "deleted":
        shutil.rmtree(home.db + ".d")
    else:
        os.rename(home.db + ".d", home.db + ".elsewhere")
    wait_until(lambda: len(home.workers()) == processes, "the workers to be seen again", NOTICED_SECONDS)
    (tmp_path / "go").touch()
    for number, state in enumerate(("completed", "completed", "dead")):
        home.wait_for_state("j%d" % number, state)
        job = home.job("j%d" % number)
        assert (job["attempts"], job["exit_code"]) == (1, 3 if number == 2 else 0)
    home.run("add", "--id", "later", "echo later >> later", cwd=str(tmp_path))
    home.wait_for_state("later", "completed")
    home.run("worker", "stop")
    assert process.wait(20) == 0
    home.drain()
    for number in range(3):
        assert contents(tmp_path / str(number)).split() == ["begun", "done"]
    assert contents(tmp_path / "later").split() == ["later"]


@pytest.mark.parametrize("first", ["a worker", "everybody"])
def test_a_job_whose_files_were_swept_counts_as_lost_once_its_worker_is_killed_too(home, where, first):
    """Not as one that never began: it did, what it came to is known to nobody, and that costs an attempt."""
    process = start(home, "--poll-interval", "0.2")
    begin_job(where, "--max-retries", "0")
    shutil.rmtree(home.db + ".d")
    wait_until(lambda: glob.glob(home.db + ".d/attempts/*.run"), "its notes to be there again", NOTICED_SECONDS)
    wait_until(home.workers, "the worker to be seen again", NOTICED_SECONDS)
    os.kill(home.workers()[0]["pid"], signal.SIGKILL)
    if first == "everybody":
        process.kill()
        process.wait(20)
        start(home, "--poll-interval", "0.2")
    time.sleep(presence.MISSING_SECONDS + 1)  # now it counts as dead to everybody, and its job is still there
    assert home.state("j") == "processing"
    open(os.path.join(where.path, "go"), "w").close()
    home.wait_for_state("j", "dead")
    assert home.job("j")["attempts"] == 1 and home.job("j")["last_error"].startswith("lost: ")
    assert contents(os.path.join(where.path, "ledger")).split() == ["begun", "done"]


def test_a_folder_that_was_made_anew_and_then_put_back_gives_no_running_job_away(home, tmp_path):
    """The life files that it holds are those of the living, who keep them locked."""
    processes = [start(home, "--count", "3", "--processes", "1", "--poll-interval", "0.2") for _ in range(2)]
    os.rename(home.db + ".d", home.db + ".away")
    wait_until(lambda: len(home.workers()) == 2, "the workers to be seen again", NOTICED_SECONDS)
    text = "echo begun >> %d; for n in $(seq 600); do [ -e go ] && break; sleep 0.05; done; echo done >> %d; exit %d"
    for number in range(4):
        words = ("add", "--id", "j%d" % number, "--max-retries", "0", text % (number, number, number))
        home.run(*words, cwd=str(tmp_path))
    wait_until(lambda: all(contents(tmp_path / str(number)) for number in range(4)), "four jobs to begin")
    os.rename(home.db + ".d", home.db + ".anew")
    os.rename(home.db + ".away", home.db + ".d")
    wait_until(lambda: len(home.workers()) == 2, "the workers to be seen again", NOTICED_SECONDS)
    time.sleep(presence.MISSING_SECONDS + 1)  # by then those whose life files are missing count as dead
    (tmp_path / "go").touch()
    for number in range(4):
        home.wait_for_state("j%d" % number, "dead" if number else "completed")
        assert home.job("j%d" % number)["exit_code"] == number
        assert contents(tmp_path / str(number)).split() == ["begun", "done"]
    home.run("worker", "stop")
    assert [process.wait(20) for process in processes] == [0, 0]
    assert "adopted" not in "".join(contents(process.log) for process in processes)


def test_an_orphan_that_was_seen_to_run_is_none_that_never_began(home, where):
    """Nothing is left of it but its processes."""
    process = start(home)
    begin_job(where, "--max-retries", "0")
    for pid in [home.workers()[0]["pid"], process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.wait(20)
    shutil.rmtree(home.db + ".d")
    start(home, "--poll-interval", "0.2")
    wait_until(lambda: "adopted" in contents(home.started[1].log), "it to be found", NOTICED_SECONDS)
    open(os.path.join(where.path, "go"), "w").close()
    home.wait_for_state("j", "dead")
    assert home.job("j")["last_error"] == "lost: what its run file told is gone"
    assert contents(os.path.join(where.path, "ledger")).split() == ["begun", "done"]


def test_a_database_that_was_moved_away_from_its_folder_is_let_go_of(home, where, renamed):
    process = start(home, "--poll-interval", "0.2")
    begin_job(where, "--max-retries", "0")
    os.makedirs(renamed.path, exist_ok=True)
    for suffix in ("-wal", "-shm", ""):
        os.rename(home.db + suffix, renamed.db + suffix)
    assert process.wait(20) == 3
    assert "the queue is no longer in %s" % home.path in contents(process.log)
    other = start(renamed, "--poll-interval", "0.2")
    wait_until(lambda: "adopted" in contents(other.log), "it to be found", NOTICED_SECONDS)
    open(os.path.join(where.path, "go"), "w").close()
    renamed.wait_for_state("j", "dead")
    assert "lost" in renamed.job("j")["last_error"]
    assert contents(os.path.join(where.path, "ledger")).split() == ["begun", "done"]
    renamed.run("worker", "stop")
    assert other.wait(20) == 0


def replace_database(home, by):
    """Put the database of the home *by* in the place of that of *home*, which is called old.db from then on."""
    for source, target in ((home.db, os.path.join(home.path, "old.db")), (by.db, home.db)):
        for suffix in ("-wal", "-shm", ""):
            if os.path.exists(source + suffix):
                os.rename(source + suffix, target + suffix)


@pytest.mark.parametrize("has_worked", [True, False], ids=["one that has run", "a new one"])
def test_another_queue_that_is_put_in_the_place_of_the_database_gets_no_worker_of_the_old_one(
    home, where, renamed, has_worked
):
    """Its jobs would run as those of another queue, beside whatever of them still runs.

    A new one has no id, and so has a backup of ours from before its first worker: these two nothing tells apart.
    """
    process = start(home, "--poll-interval", "0.2")
    begin_job(where)
    renamed.run("initdb")
    if has_worked:
        renamed.drain()
    renamed.run("add", "--id", "later", "--delay", "4s", "true")
    replace_database(home, renamed)
    assert process.wait(timeout=NOTICED_SECONDS) == 3
    said = contents(process.log)
    what = "the database of another queue" if has_worked else "a database that no worker has worked on yet"
    assert "%s was put in the place of that in %s" % (what, home.path) in said
    assert "job j left running" in said
    assert home.job("later")["state"] == "pending", "it was begun by the worker of another queue"
    open(os.path.join(where.path, "go"), "w").close()
    home.drain()
    assert home.state("later") == "completed"
    wait_until(lambda: contents(os.path.join(where.path, "ledger")).split() == ["begun", "done"], "the job to end")


def test_a_database_that_was_restored_from_a_backup_of_its_own_is_followed(home, renamed):
    said, queue = [], home.queue
    home.run("initdb")
    standing = Standing(queue.folder, "w", {"kind": "worker"}, said.append)
    standing.recognise(queue.database, ending.settle, SETTINGS)
    os.makedirs(renamed.path, exist_ok=True)
    with raw_file(home.db) as connection:
        connection.execute("VACUUM INTO '%s'" % renamed.db)
    replace_database(home, renamed)
    assert not standing.is_lost(at_once=True)
    os.rename(home.db, renamed.db)
    for text in (b"", b"SQLite format 3"):  # being copied: nothing can be told of it yet
        with open(home.db, "wb") as file:
            file.write(text)
        assert not standing.is_lost(at_once=True) and said == []
    os.unlink(home.db)
    home.run("initdb")
    assert standing.is_lost(at_once=True) and "a database that no worker has worked on yet" in said[0]
    standing.leave(holds_jobs=False)


@pytest.mark.parametrize("way", ["deleted", "renamed", "log"])
def test_the_log_goes_on_where_it_belongs(home, way):
    """Lines that go to a file without a name are read by nobody."""
    home.run("worker", "start", "--background", "--poll-interval", "0.2")
    log = home.db + ".d/worker.log"
    assert "supervisor started" in contents(log)
    if way == "deleted":
        shutil.rmtree(home.db + ".d")
    elif way == "renamed":
        os.rename(home.db + ".d", home.db + ".elsewhere")
    else:
        os.unlink(log)
    wait_until(lambda: os.path.exists(log), "the log to be there again", NOTICED_SECONDS)
    wait_until(home.workers, "the worker to be seen again", NOTICED_SECONDS)
    home.add("true", "--id", "j")
    wait_until(lambda: "job j completed" in contents(log), "the worker to write there")
    home.run("worker", "stop")
    assert "supervisor stopped" in contents(log)


def test_a_folder_that_was_put_back_as_a_copy_gives_no_running_job_away(home, tmp_path):
    """In a copy no life file is locked; who looks takes nobody for dead by that, and who lives makes his anew."""
    process = start(home, "--count", "2", "--poll-interval", "0.2")
    for number, code in enumerate((0, 3)):
        text = (
            "echo begun >> %d; for n in $(seq 600); do [ -e go ] && break; sleep 0.05; done; echo done >> %d; exit %d"
        )
        home.run("add", "--id", "j%d" % number, "--max-retries", "0", text % (number, number, code), cwd=str(tmp_path))
    wait_until(lambda: all(contents(tmp_path / str(number)) for number in range(2)), "two jobs to begin")
    shutil.copytree(home.db + ".d", home.db + ".copy", ignore=lambda folder, names: ["bell"])
    shutil.rmtree(home.db + ".d")
    os.rename(home.db + ".copy", home.db + ".d")
    other = start(home, "--count", "2", "--poll-interval", "0.2")
    wait_until(lambda: len(home.workers()) == 4, "all workers to be seen", NOTICED_SECONDS)
    time.sleep(presence.MISSING_SECONDS + 1)  # by then those whose life files are missing count as dead
    (tmp_path / "go").touch()
    for number, state in enumerate(("completed", "dead")):
        home.wait_for_state("j%d" % number, state)
        job = home.job("j%d" % number)
        assert (job["attempts"], job["exit_code"]) == (1, 3 * number)
        assert contents(tmp_path / str(number)).split() == ["begun", "done"]
    home.run("worker", "stop")
    assert (process.wait(20), other.wait(20)) == (0, 0)
    assert "adopted" not in contents(home.started[0].log) + contents(home.started[1].log)


def test_a_swept_life_file_gives_no_running_job_away(home, where):
    """Another worker looks on, to whom a life file that is not there proves nothing."""
    start(home, "--count", "2")
    home.wait_for_workers(2)
    begin_job(where)
    for path in glob.glob(home.db + ".d/workers/*.life"):
        os.unlink(path)
    wait_until(lambda: len(home.workers()) == 2, "both to be seen again", NOTICED_SECONDS)
    time.sleep(presence.MISSING_SECONDS + 1)
    open(os.path.join(where.path, "go"), "w").close()
    home.wait_for_state("j", "completed")
    assert "adopted" not in contents(home.started[0].log)
    assert contents(os.path.join(where.path, "ledger")).split() == ["begun", "done"]


def test_a_sweep_in_the_middle_of_many_short_jobs_runs_none_twice(home, tmp_path):
    count = 800
    jobs = "\n".join('{"id": "j%d", "command": "echo j%d >> ledger"}' % (n, n) for n in range(count))
    home.run("enqueue", "-", input=jobs, cwd=home.path)
    process = home.start("--backoff-base", "0", "--drain", "--count", "3")
    sweeps = 0
    while process.poll() is None:
        for path in glob.glob(home.db + ".d/workers/*.life"):
            os.unlink(path)
            sweeps += 1
        enough = len(ledger(home)) + 100
        wait_until(
            lambda enough=enough: len(ledger(home)) >= enough or process.poll() is not None, "some more to be done", 60
        )
    assert process.returncode == 0 and sweeps > 3
    assert sorted(ledger(home)) == sorted("j%d" % n for n in range(count))


def test_who_is_looked_for_again_and_again_is_dead_only_after_a_while_without_a_life_file(queue, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    sightings = presence.Sightings(queue.folder)
    path = queue.folder.life_path("w")
    seen = []
    for moment in (0.0, 2.9, 3.1):
        now[0] = 1000.0 + moment
        seen.append(sightings.is_alive("w"))
    assert seen == [True, True, False]
    held = locks.hold_file(path)
    assert sightings.is_alive("w")
    os.close(held)
    assert not sightings.is_alive("w"), "the dead leave theirs, unlocked"
    os.unlink(path)
    assert sightings.is_alive("w"), "counted from here"


def test_what_was_claimed_ahead_is_given_back_when_the_life_file_was_away(queue):
    """Who was taken for dead meanwhile may not hold it any more."""
    enqueue(queue)
    here = Worker(queue, "w", "s", Options(1, False), lambda: SETTINGS)
    here.standing = Standing(queue.folder, "w", {"kind": "worker"}, here.say)
    here.ahead.extend(claim(queue, worker="w"))
    os.unlink(queue.folder.life_path("w"))
    here.keep_going()
    assert (here.running, list(here.ahead)) == ([], [])
    assert looking.counts(queue.database)["pending"] == 1 and os.listdir(queue.folder.attempts) == []
    assert here.trouble.is_in_the_way(), "nothing is claimed until it is there again"
    here.standing.leave(holds_jobs=False)


def test_the_life_file_that_is_made_anew_is_locked_when_it_appears(queue):
    own = presence.Presence(queue.folder, "w", {"kind": "worker"})
    assert own.is_shown()
    os.unlink(own.path)
    assert not own.is_shown() and not own.has_a_name()
    own.show_again()
    assert own.is_shown() and queue.folder.is_alive("w")
    own.tell("asked", "stop")
    assert queue.folder.details_of("w")["asked"] == "stop"
    with open(own.path + ".other", "w"):
        os.replace(own.path + ".other", own.path)  # what stands there now is another's
    own.end()
    assert os.path.exists(own.path)


def test_a_life_file_that_cannot_be_written_is_taken_away_again(queue, monkeypatch):
    def refuse(fd, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        with pytest.raises(OSError, match="No space left"):
            presence.Presence(queue.folder, "w", {"kind": "worker"})
    assert os.listdir(queue.folder.workers) == []


# ---------------------------------------------------------------- deleted


@pytest.mark.parametrize("anew", [False, True], ids=["deleted", "made anew at once"])
def test_an_idle_supervisor_whose_queue_was_deleted_says_so_and_ends(home, anew):
    process = start(home)
    for path in glob.glob(home.db + "*"):
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    if anew:
        home.run("add", "--id", "new", "true")
    began = time.monotonic()
    assert process.wait(timeout=NOTICED_SECONDS) == 3
    log = contents(process.log)
    assert log.count("the queue in %s was deleted" % home.path) >= 1 and len(log.splitlines()) < 12, log
    assert time.monotonic() - began < NOTICED_SECONDS
    assert os.path.exists(home.db) == anew, "it makes nothing there"
    if anew:
        home.drain()
        assert home.state("new") == "completed"


def test_the_job_of_a_deleted_queue_goes_on_to_its_end_with_its_worker(home, where):
    process = start(home)
    begin_job(where)
    shutil.rmtree(home.path)
    os.mkdir(home.path)
    time.sleep(2)
    assert process.poll() is None, "it waits for its job"
    home.run("add", "--id", "j", "echo other", cwd=where.path)  # a new queue, and a job of the same id
    open(os.path.join(where.path, "go"), "w").close()
    assert process.wait(timeout=NOTICED_SECONDS) == 3
    assert contents(os.path.join(where.path, "ledger")).split() == ["begun", "done"]
    assert home.state("j") == "pending"


def test_a_stop_by_signal_ends_the_job_of_a_deleted_queue(home, where):
    process = start(home)
    begin_job(where)
    for path in glob.glob(home.db + "*"):
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    wait_for_log(process, "was deleted", NOTICED_SECONDS)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=NOTICED_SECONDS) == 3
    assert contents(os.path.join(where.path, "ledger")).split() == ["begun"]


# ---------------------------------------------------------------- renamed


def test_workers_of_a_renamed_home_let_go_and_the_next_one_adopts(home, where, renamed):
    process = start(home)
    begin_job(where)
    os.rename(home.path, renamed.path)
    process.log = process.log.replace(home.path, renamed.path)
    assert process.wait(timeout=NOTICED_SECONDS) == 3
    log = contents(process.log)
    assert "the queue is no longer in %s" % home.path in log and "job j left running" in log
    assert contents(os.path.join(where.path, "ledger")).split() == ["begun"]
    problem = renamed.run("check", "--all", code=1).stdout
    assert "no worker is alive" in problem
    second = renamed.start("--drain")
    wait_for_log(second, "job j adopted")
    open(os.path.join(where.path, "go"), "w").close()
    assert second.wait(timeout=20) == 0 and renamed.state("j") == "completed"
    assert [one["outcome"] for one in renamed.job("j")["history"]] == ["completed"]
    assert "this is a copy" not in contents(second.log)
    os.mkdir(home.path)


def test_ensure_starts_a_supervisor_where_the_home_was_renamed_just_now(home, renamed):
    process = start(home)
    os.rename(home.path, renamed.path)
    renamed.run("worker", "start", "--ensure", "--background", "--quiet")
    assert len(renamed.workers()) == 1
    assert process.wait(timeout=NOTICED_SECONDS) == 3
    renamed.run("add", "--id", "j", "true")
    renamed.wait_for_state("j", "completed")
    renamed.run("worker", "stop")
    os.mkdir(home.path)


@pytest.mark.parametrize("how", ["--now", None])
def test_a_stop_from_a_renamed_home_returns_with_the_truth(home, where, renamed, how):
    process = start(home)
    begin_job(where)
    os.rename(home.path, renamed.path)
    began = time.monotonic()
    said = renamed.run("worker", "stop", *([how] if how else [])).stderr
    assert time.monotonic() - began < NOTICED_SECONDS
    left = "1 job is left without a worker: the next `worker start` adopts what still runs"
    assert said.splitlines()[-1] == left, said
    assert process.wait(timeout=5) == 3
    open(os.path.join(where.path, "go"), "w").close()
    renamed.drain()
    assert renamed.state("j") == "completed"
    os.mkdir(home.path)


def test_a_home_that_is_renamed_while_many_short_jobs_run_loses_and_repeats_none(home, where, renamed):
    count = 1500
    jobs = "\n".join('{"id": "j%d", "command": "echo j%d >> ledger"}' % (n, n) for n in range(count))
    home.run("enqueue", "-", input=jobs, cwd=where.path)
    process = home.start("--backoff-base", "0", "--drain", "--count", "2")
    path = os.path.join(where.path, "ledger")
    wait_until(lambda: len(contents(path).split()) > 100, "some jobs to be done")
    os.rename(home.path, renamed.path)
    os.mkdir(home.path)
    process.wait(timeout=NOTICED_SECONDS * 2)
    assert 100 < len(contents(path).split()) < count
    renamed.drain("--count", "2")
    assert sorted(contents(path).split()) == sorted("j%d" % n for n in range(count))
    assert looking.counts(renamed.queue.database)["completed"] == count


def test_a_home_that_is_swapped_for_another_queue_gets_no_worker_of_the_old_one(home, where, renamed):
    process = start(home)
    begin_job(where)
    os.rename(home.path, renamed.path)
    home.run("add", "--id", "j", "echo other >> ledger", cwd=where.path)
    process.log = process.log.replace(home.path, renamed.path)
    assert process.wait(timeout=NOTICED_SECONDS) == 3
    assert home.state("j") == "pending"
    assert contents(os.path.join(where.path, "ledger")).split() == ["begun"]
    open(os.path.join(where.path, "go"), "w").close()
    renamed.drain()


# ---------------------------------------------------------------- covered, and out of reach


@pytest.mark.skipif(
    not shutil.which("unshare") or bool(subprocess.call(["unshare", "-m", "true"], stderr=subprocess.DEVNULL)),
    reason="needs root on Linux, and unshare",
)
def test_a_volume_that_is_mounted_over_the_home_is_noticed(home, tmp_path):
    log = str(tmp_path / "log")
    script = '"$@" 2> %s & until grep -q "worker started" %s; do sleep 0.05; done; sleep 0.3;' % (log, log)
    script += ' mount -t tmpfs none "%s"; wait $!' % home.path
    command = ["unshare", "-m", "sh", "-c", script, "sh"] + home.command("worker", "start")
    done = subprocess.run(command, env=home.environment(), timeout=30)
    assert done.returncode == 3
    assert "the queue is no longer in %s" % home.path in contents(log)


def test_where_it_cannot_be_told_nothing_is_let_go(home, monkeypatch):
    home.run("initdb")
    said = []
    standing = Standing(home.queue.folder, "w", {"kind": "worker"}, said.append)

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        assert not standing.is_lost(at_once=True) and standing.is_shown()
    assert not standing.is_lost(at_once=True) and said == []
    standing.leave(holds_jobs=False)


# ---------------------------------------------------------------- a stop that nobody hears


def test_a_stop_that_nobody_hears_says_who_is_alive_and_what_to_type(home, monkeypatch):
    process = start(home)
    pids = [member["pid"] for member in roster.members(home.queue.folder)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        script = "import sys; sys.path.insert(0, %r); from queuectl_lib.store import roster; import queuectl;" % (
            os.path.dirname(home.command()[-3])
        )
        script += " roster.HEARING_SECONDS = 1.0; roster.locks.BUSY_SECONDS = 1.0; sys.exit(queuectl.main())"
        words = home.python + ["-c", script, "--home", home.path, "worker", "stop"]
        done = subprocess.run(words, stderr=subprocess.PIPE, env=home.environment(), timeout=30)
        said = done.stderr.decode()
        assert done.returncode == 1 and "\nqueuectl: error: nobody here has heard of the stop: " in said, said
        assert "killed at last" not in said, "the supervisor, who would do that, is paused, too"
        assert all("pid %d on " % pid in said for pid in pids) and "kill -9 " in said
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert process.wait(timeout=10) == 0, "it hears of it afterwards"


def alive_with(home, *pids, host=None):
    """What a stop with --timeout says of supervisors in whose life files these stand."""
    folder, held = home.queue.folder, []
    try:
        for number, pid in enumerate(pids, 1):
            held.append(locks.hold_file(folder.life_path("s%d" % number)))
            told = {"kind": "supervisor", "host": host or socket.gethostname(), "since": "%d" % number}
            with open(folder.life_path("s%d" % number), "w") as file:
                file.write(json.dumps(dict(told, pid="PID")).replace('"PID"', pid))
        home.run("status")
        assert len(home.run("worker", "list", "--json").json) == len(pids)
        shown = [line.split()[2] for line in home.run("worker", "list").stdout.splitlines()[1:]]
        with pytest.raises(QueueError, match="not ended in time") as caught:
            worker.await_end(home.queue, ["s%d" % number for number in range(1, len(pids) + 1)], 0.0)
        return shown, str(caught.value).partition("; ")
    finally:
        for fd in held:
            os.close(fd)


NO_PIDS = ["0", "-1", "-2147483648", "true", "1.5", "1e400", "4294967295", "18446744073709551615", "9" * 40]
NO_PIDS += ["2147483648", '"7"', "[7]", "null"]


@pytest.mark.parametrize("pid", NO_PIDS)
def test_what_is_no_pid_in_a_life_file_is_in_no_line_to_type(home, pid):
    """`kill -9 0` and `kill -9 -1` end the processes of who types them."""
    home.run("initdb")
    host = socket.gethostname()
    shown, (named, _, how) = alive_with(home, pid)
    assert (shown, how) == (["?"], "") and named.endswith("still alive: supervisor s1 (pid ? on %s)" % host)
    shown, (named, _, how) = alive_with(home, pid, "99999")
    assert shown == ["?", "99999"] and "supervisor s1 (pid ? on %s), supervisor s2 (pid 99999 on " % host in named
    assert how == "`kill -CONT 99999` wakes who is paused, `kill -9 99999` ends them"


def test_the_first_process_of_a_container_is_shown_and_in_no_line_to_type(home):
    home.run("initdb")
    shown, (named, _, how) = alive_with(home, "1")
    assert (shown, how) == (["1"], "") and "(pid 1 on " in named


def test_a_pid_of_another_host_is_in_no_line_to_type_here(home):
    home.run("initdb")
    shown, (named, _, how) = alive_with(home, "4711", host="elsewhere")
    assert (shown, how) == (["4711"], "") and named.endswith("supervisor s1 (pid 4711 on elsewhere)")


def test_a_stop_waits_for_a_worker_that_has_heard_and_finishes_its_job(home, where, monkeypatch):
    start(home)
    begin_job(where)
    members = roster.members(home.queue.folder)
    assert roster.patience_with(members) == roster.HEARING_SECONDS + locks.BUSY_SECONDS
    stop = subprocess.Popen(home.command("worker", "stop"), env=home.environment(), stderr=subprocess.PIPE)
    wait_until(
        lambda: [one.get("asked") for one in roster.members(home.queue.folder)] == ["stop"] * 2, "both to have heard"
    )
    assert roster.patience_with(roster.members(home.queue.folder)) == float("inf")
    open(os.path.join(where.path, "go"), "w").close()
    assert stop.communicate(timeout=20)[1] == b"stopped\n" and stop.returncode == 0
    wait_until(lambda: not any(is_running(member["pid"]) for member in members), "those to end that have let go")


def test_a_worker_that_dies_just_when_its_home_was_renamed_is_not_replaced_by_one_without_files(tmp_path, renamed):
    """The program lies in the home, so nothing of it could be loaded: that would be a traceback in the log."""
    home = Copy(str(tmp_path / "home"))
    home.run("worker", "start", "--count", "2", "--background")
    pids = [member["pid"] for member in roster.members(home.queue.folder)]
    worker = home.workers()[0]["pid"]
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > pace.SHORT_LIFE_SECONDS, "an age in which it is replaced at once")
    os.rename(home.path, renamed.path)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, pids)), "the supervisor and its workers to leave")
    log = contents(renamed.db + ".d/worker.log")
    assert log.count(": the queue is no longer in %s: " % home.path) >= 2
    assert "Traceback" not in log and "ModuleNotFoundError" not in log and "no worker can start" not in log
