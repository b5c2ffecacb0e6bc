"""Identity: one database has one name, a copy is another queue than its original, and a moved one is the same."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys

import pytest
from helpers.home import Home, contents, ledger, let_go, wait_for_log
from helpers.marks import needs_proc, posix_only
from helpers.processes import end_process, is_running
from helpers.queue import raw_file
from helpers.waiting import wait_until

from queuectl_lib.host import places
from queuectl_lib.run import run_file
from queuectl_lib.store import identity

pytestmark = posix_only


def can_mount():
    """Whether we may mount in a namespace of our own."""
    tried = ["unshare", "-m", "true"]
    return bool(shutil.which("unshare")) and not subprocess.run(tried, stderr=subprocess.DEVNULL).returncode


needs_mounts = pytest.mark.skipif(not can_mount(), reason="needs root on Linux, and unshare")


# ---------------------------------------------------------------- one database, one name


def with_mounted_file(home, original, *words):
    """Run `queuectl.py WORDS` on *home*, whose database is the mounted file of the home *original*."""
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", original.db, home.db] + home.command(*words)
    pipe = subprocess.PIPE
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=home.environment(), timeout=60
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def other(tmp_path):
    """A second home; a blank in its name, which mountinfo writes in octal."""
    other = Home(tmp_path / "the other")
    os.mkdir(other.path, 0o700)
    yield other
    other.clean_up()
    assert other.complaints() == []


@needs_mounts
@pytest.mark.parametrize(
    "words",
    [
        ["add", "true"],
        ["list"],
        ["status"],
        ["check"],
        ["worker", "list"],
        ["worker", "stop"],
        ["worker", "start", "--drain"],
        ["worker", "start", "--ensure", "--background"],
        ["initdb"],
        ["prune"],
    ],
    ids=" ".join,
)
def test_a_database_that_is_mounted_as_a_single_file_is_refused(home, other, words):
    """Its log and its locks are not mounted with it, so what was added there would never be seen here."""
    home.run("initdb")
    with open(other.db, "w"):
        pass
    code, out, err = with_mounted_file(other, home, *words)
    assert (code, out) == (3, ""), err
    assert err.startswith("queuectl: error: %s is mounted as a single file" % other.db) and err.count("\n") == 1
    assert "mount the folder that it lies in instead" in err
    assert os.listdir(other.path) == ["queuectl.db"], "something was made beside it"


@needs_mounts
def test_doctor_says_that_a_database_is_mounted_as_a_single_file(home, other):
    home.run("initdb")
    with open(other.db, "w"):
        pass
    code, out, _ = with_mounted_file(other, home, "doctor")
    assert code == 1
    lines = [line for line in out.splitlines() if "mounted as a single file" in line]
    assert [line.split()[0] for line in lines] == ["FAIL"], out


@needs_mounts
@pytest.mark.parametrize("part", [".d", ".d/workers", ".d/attempts"])
def test_a_folder_of_locks_that_is_mounted_by_itself_is_refused(home, part):
    """Who has the database without that mount has other locks, and takes those who work here for dead."""
    home.run("initdb")
    script = 'mount -t tmpfs -o mode=700 none "$1" && shift && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", home.db + part] + home.command("worker", "start", "--drain")
    done = subprocess.run(command, stderr=subprocess.PIPE, env=home.environment(), timeout=30)
    said = done.stderr.decode()
    assert done.returncode == 3 and said.startswith("queuectl: error: %s is mounted by itself" % (home.db + part)), said


@needs_mounts
def test_a_home_that_is_mounted_as_a_whole_is_the_same_queue(home, other):
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", home.path, other.path] + other.command("add", "true")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=home.environment())
    assert len(home.run("list", "--json").json) == 1


def test_mount_points_are_told_apart_by_their_whole_name(tmp_path):
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_bytes(
        b"25 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        b"40 25 254:0 /a/q.db /data/my\\040q.db rw - ext4 /dev/vda rw\n"
        b"41 25 254:0 /data/other.db /srv/x.db-wal rw - ext4 /dev/vda rw\n"
    )
    found = [
        places.mounted_alone([path, path + "-wal"], str(mountinfo))
        for path in ("/data/my q.db", "/data/my", "/data/other.db", "/srv/x.db", "/a/q.db")
    ]
    assert found == ["/data/my q.db", None, None, "/srv/x.db-wal", None]
    assert places.mounted_alone(["/x"], str(tmp_path / "none")) is None


# ---------------------------------------------------------------- a copy is another queue

# The first attempt waits to be let go; the next ones, which a copy makes, only say that they were there.
ONCE = (
    "if mkdir first 2>/dev/null; then echo $$ > pid; echo begun >> ledger; while [ ! -e go ]; do sleep 0.03; done;"
    " echo done >> ledger; else echo again >> ledger; fi"
)
COPIED = re.compile(
    r"this is a copy of the queue in (\S+): what was running there is left alone(?:, (\d+ jobs? count).*)?$", re.M
)


def copy_of(home, target):
    """What `cp -a` makes of a home."""
    subprocess.run(["cp", "-a", home.path, str(target)], check=True)
    return Home(target)


def copy_database(home, copy):
    """The same of its database alone."""
    os.mkdir(copy.path, 0o700)
    for ending in ("", "-wal"):
        shutil.copy(home.db + ending, copy.db + ending)


@pytest.fixture
def copies():
    found = []
    yield found
    for copy in found:
        copy.clean_up()
        assert copy.complaints() == []


def start_once(home, *options):
    """A supervisor in whose worker the job "j" runs, for as long as it is not let go."""
    home.run("add", "--id", "j", *options, ONCE, cwd=home.path)
    process = home.start("--backoff-base", "0")
    wait_until(lambda: ledger(home) == ["begun"], "the job to begin")
    return process


@pytest.mark.parametrize("what", ["the home", "the database"])
def test_a_copy_touches_nothing_of_its_original(home, tmp_path, copies, what):
    start_once(home)
    copy = Home(tmp_path / "copy")
    copies.append(copy)
    if what == "the home":
        copy_of(home, copy.path)
    else:
        copy_database(home, copy)
    log = copy.drain("--count", "3")
    assert COPIED.findall(log) == [(home.path, "1 job count")], log
    job = copy.job("j")
    assert [one["outcome"] for one in job["history"]] == ["lost", "completed"]
    assert job["history"][0]["error"] == "lost: it ran in %s when this copy was taken" % home.path
    assert is_running(int(contents(os.path.join(home.path, "pid")))), "the job of the original was ended"
    let_go(home)
    home.wait_for_state("j", "completed")
    assert ledger(home) == ["begun", "again", "done"]
    assert [one["outcome"] for one in home.job("j")["history"]] == ["completed"]
    assert not COPIED.search(copy.drain()), "it is a queue of its own now, and says it once"


def test_what_was_under_way_in_the_original_counts_as_an_attempt_of_the_copy(home, tmp_path, copies):
    start_once(home, "--max-retries", "0")
    copy = copy_of(home, tmp_path / "copy")
    copies.append(copy)
    copy.run("add", "--id", "next", "true")
    copy.drain()
    assert (copy.state("j"), copy.state("next")) == ("dead", "completed")
    let_go(home)
    home.wait_for_state("j", "completed")


def test_what_a_copy_promises_of_a_job_that_ran_in_its_original_is_what_its_first_worker_does(home, tmp_path, copies):
    """It ends nothing of the original's and adopts nothing, so neither is said."""
    start_once(home)
    copy = copy_of(home, tmp_path / "copy")
    copies.append(copy)
    place = "this is a copy of the queue in %s" % home.path
    stop = copy.run("worker", "stop", "--now").stderr
    left = "%s: what runs there is left alone, and the next `worker start` here counts 1 job as interrupted" % place
    assert left in stop and "adopts" not in stop
    assert "interrupted when this copy was taken: 1" in copy.run("check", "--all", code=1).stdout
    cancel = copy.run("cancel", "j", code=1).stderr
    assert "%s, where it is left alone: the next worker that starts here cancels it" % place in cancel
    copy.drain()
    assert copy.state("j") == "cancelled" and len(copy.job("j")["history"]) == 1
    assert ledger(home) == ["begun"] and is_running(int(contents(os.path.join(home.path, "pid"))))
    let_go(home)
    home.wait_for_state("j", "completed")


@pytest.mark.parametrize("words", [["check", "--all"], ["worker", "stop"], ["cancel", "j"]], ids=lambda words: words[0])
def test_what_is_said_of_a_job_in_a_copy_of_the_database_alone_is_the_same(home, tmp_path, copies, words):
    """The folder beside it, by which a copy is known, is not there yet."""
    start_once(home)
    copy = Home(tmp_path / "copy")
    copies.append(copy)
    copy_database(home, copy)
    said = copy.run(*words, code=0 if words[0] == "worker" else 1)
    assert re.search(r"this (is a )?copy (was taken: 1|of the queue in )", said.stdout + said.stderr), said.stderr
    let_go(home)
    home.wait_for_state("j", "completed")


@needs_proc
def test_a_copy_leaves_alone_what_a_finished_job_of_the_original_left_running(home, tmp_path, copies):
    command = "[ -e pid ] && exit 0; setsid sleep 1000 & echo $! > pid; exit 1"
    home.run("add", "--id", "j", "--max-retries", "0", command, cwd=home.path)
    home.drain()
    pid = int(contents(os.path.join(home.path, "pid")))
    try:
        assert "pid %d" % pid in home.job("j")["history"][0]["leftovers"]
        copy = copy_of(home, tmp_path / "copy")
        copies.append(copy)
        copy.run("requeue", "j")
        log = copy.drain()
        assert COPIED.findall(log) == [(home.path, "")], "of jobs nothing is said where none counts"
        assert copy.state("j") == "completed" and is_running(pid)
        home.run("requeue", "j")
        home.drain()
        assert home.state("j") == "completed" and not is_running(pid)
    finally:
        end_process(pid)


def test_a_copy_that_was_taken_before_the_last_start_of_the_host_is_taken_up_quietly(home, tmp_path, copies):
    process = start_once(home)
    copy = copy_of(home, tmp_path / "copy")
    copies.append(copy)
    with raw_file(copy.db) as connection:
        connection.execute("UPDATE identity SET boot = 'another'")
    log = copy.drain()
    assert not COPIED.search(log) and ledger(home) == ["begun", "again"]
    assert is_running(int(contents(os.path.join(home.path, "pid")))), "another queue by its id all the same"
    let_go(home)
    home.wait_for_state("j", "completed")
    process.send_signal(signal.SIGTERM)


def test_a_moved_home_is_the_same_queue(home, tmp_path, copies):
    start_once(home)
    home.run("worker", "stop", "--leave-running")
    moved = Home(tmp_path / "moved")
    copies.append(moved)
    os.rename(home.path, moved.path)
    process = moved.start("--backoff-base", "0", "--drain")
    wait_for_log(process, "job j adopted from s")
    assert re.search(r"job j adopted from s\w+-1, which left it running$", contents(process.log), re.M)
    let_go(moved)
    assert process.wait(timeout=30) == 0
    assert ledger(moved) == ["begun", "done"] and not COPIED.search(contents(process.log))
    assert [one["outcome"] for one in moved.job("j")["history"]] == ["completed"]
    os.mkdir(home.path)


@needs_proc
def test_a_process_is_known_by_the_token_and_the_queue_together(tmp_path):
    token, path = secrets.token_hex(8), str(tmp_path / "run")
    for variables, known_to in (({"QUEUECTL_QUEUE": "mine"}, ["mine", ""]), ({}, ["mine", "other", ""])):
        environment = dict(os.environ, QUEUECTL_TOKEN=token, **variables)  # without any: an older version
        process = subprocess.Popen(["sleep", "100"], env=environment)
        try:
            wait_until(lambda: run_file.tree_of(token, path).members(), "the process to be seen")
            found = [one for one in ("mine", "other", "") if run_file.tree_of(token, path, one).members()]
            assert found == known_to
        finally:
            process.kill()
            process.wait()


HERE = {"id": "", "folder": "8:100", "file": "8:101", "path": "/a/q.db", "boot": "now"}


@pytest.mark.parametrize(
    "changed, expected",
    [
        (None, "new"),
        ({}, "same"),
        ({"path": "/b/q.db"}, "same"),  # mv, or another mount of the same disk
        ({"boot": "before"}, "same"),
        ({"folder": "8:200"}, "same"),  # only the folder was made anew
        ({"file": "8:201"}, "same"),  # only the database was restored
        ({"folder": "9:100", "file": "9:101"}, "new"),  # mounted again, or the image of a disk
        ({"folder": "9:100", "file": "9:101", "path": "/b/q.db"}, "copy"),  # a snapshot of the disk
        ({"folder": "8:200", "file": "8:201"}, "copy"),  # the original was moved away, or restored over
        ({"folder": "8:200", "file": "8:201", "path": "/b/q.db"}, "copy"),
        ({"folder": "8:200", "file": "8:201", "path": "/b/q.db", "boot": "before"}, "new"),
        ({"folder": "8:200", "file": "8:201", "path": "/b/q.db", "boot": "unknown"}, "copy"),  # that proves no restart
    ],
    ids=str,
)
def test_what_is_noted_and_what_is_here_tell_a_move_from_a_copy(changed, expected):
    noted = None if changed is None else dict(HERE, **changed)
    assert identity.verdict(noted, HERE) == expected
    if changed and changed.get("boot") == "unknown":  # and the other way round
        assert identity.verdict(dict(noted, boot="now"), dict(HERE, boot="unknown")) == expected


def test_a_queue_on_which_nothing_ever_ran_is_noted_quietly(home, tmp_path, copies):
    home.run("add", "--id", "j", "true")
    copy = copy_of(home, tmp_path / "copy")
    copies.append(copy)
    assert not COPIED.search(copy.drain()) and copy.state("j") == "completed"
    with raw_file(copy.db) as connection:
        (note,) = connection.execute("SELECT * FROM identity").fetchall()
    assert dict(note, id="") == identity.look_here(copy.queue.database) and re.match("[0-9a-f]{16}", note["id"])


@pytest.mark.skipif(sys.platform != "linux", reason="uses tar of GNU")
def test_a_copy_by_tar_while_jobs_run_goes_on_with_what_waits(home, tmp_path, copies):
    start_once(home)
    home.run("add", "--id", "next", "echo next >> ledger", cwd=home.path)
    copy = Home(tmp_path / "copy")
    copies.append(copy)
    os.mkdir(copy.path, 0o700)
    subprocess.run("tar -C '%s' -cf - . | tar -C '%s' -xf -" % (home.path, copy.path), shell=True, check=True)
    assert COPIED.search(copy.drain())
    assert copy.state("next") == "completed" and home.state("next") == "pending"
    let_go(home)
    home.wait_for_state("next", "completed")
