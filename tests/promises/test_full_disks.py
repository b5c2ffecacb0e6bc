"""Disks on which the WAL index itself needs space when it is written: a full one is told, and kills nobody."""

import errno
import glob
import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from helpers.home import contents
from helpers.waiting import wait_until

from queuectl_lib.errors import HostError
from queuectl_lib.host import bytecode, files, places
from queuectl_lib.store import looking, opening
from queuectl_lib.store.index_room import PLENTY, SEGMENT, IndexRoom
from storage import Queue

KINDS = {
    "ext4 with blocks of 1 KiB": (["mkfs.ext4", "-q", "-F", "-m", "0", "-b", "1024"], 60 << 20),
    "btrfs": (["mkfs.btrfs", "-q", "-f"], 160 << 20),
}


@pytest.fixture(params=KINDS)
def disk(request, tmp_path):
    """A small disk of each such kind; only root can mount one."""
    words, size = KINDS[request.param]
    if not sys.platform.startswith("linux") or os.geteuid() or not shutil.which(words[0]):
        pytest.skip("needs root on Linux, and %s" % words[0])
    place, image = str(tmp_path / "disk"), str(tmp_path / "image")
    os.mkdir(place)
    with open(image, "wb") as file:
        file.truncate(size)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.call(words + [image], **quiet) or subprocess.call(["mount", "-o", "loop", image, place], **quiet):
        pytest.skip("such a disk cannot be made or mounted here")
    yield place
    subprocess.check_call(["umount", "-l", place])


class Filler:
    """A file that takes all that is left, and gives it back a little at a time."""

    def __init__(self, place):
        self.path = os.path.join(place, "filler")
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        for size in (1 << 20, 65536, 4096, 1024, 1):
            try:
                while True:
                    os.write(self.fd, b"x" * size)
            except OSError:
                continue
        os.fsync(self.fd)

    def give_back(self, size):
        os.ftruncate(self.fd, max(0, os.fstat(self.fd).st_size - size))
        os.fsync(self.fd)

    def end(self):
        os.close(self.fd)
        os.unlink(self.path)


@pytest.mark.parametrize("kept", [True, False], ids=["a connection stays open", "each call opens the first"])
@pytest.mark.parametrize("words", [["add", "true"], ["list"]], ids=["add", "list"])
def test_a_call_on_a_full_disk_says_so_however_little_is_left(home, disk, kept, words):
    home.path = os.path.join(disk, "home")
    home.add("true", "--id", "first")
    keeper = home.queue.database.keeper() if kept else None
    filler = Filler(disk)
    added = 0
    try:
        for step in range(45):
            done = subprocess.run(home.command(*words), capture_output=True, text=True, env=home.environment())
            assert done.returncode in (0, 3), (step, done)
            assert done.returncode == 0 or "the disk is full" in done.stderr, done
            added += words[0] == "add" and done.returncode == 0
            filler.give_back(3072 if step < 30 else 16384)
    finally:
        filler.end()
        if keeper:
            keeper.close()
    wait_until(lambda: not subprocess.call(home.command("status"), stdout=subprocess.DEVNULL), "space to return")
    assert sum(looking.counts(home.queue.database).values()) == 1 + added, "what was refused is not there"
    home.run("add", "true")


def test_workers_outlive_a_full_disk_and_go_on_by_themselves(home, disk, tmp_path):
    home.path = os.path.join(disk, "home")
    home.run("initdb")
    log = str(tmp_path / "log")
    with open(log, "wb") as file:
        words = home.command("worker", "start", "--count", "2", "--poll-interval", "0.2")
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=home.environment())
    home.started.append(process)
    home.wait_for_workers(2)
    command = "until [ -e %s ]; do sleep 0.05; done" % (tmp_path / "go")
    jobs = [home.add(command, "--cwd", str(tmp_path)) for _ in range(3)]
    wait_until(lambda: contents(log).count(" started (attempt") == 2, "two jobs to run")
    pids = sorted(worker["pid"] for worker in home.workers())
    filler = Filler(disk)
    for _ in range(10):
        done = subprocess.run(home.command("add", "true"), capture_output=True, text=True, env=home.environment())
        assert done.returncode == 3 and "the disk is full" in done.stderr, done
    (tmp_path / "go").touch()
    wait_until(lambda: "the disk is full" in contents(log), "a worker to tell of it")
    for _ in range(12):
        filler.give_back(4096)
        subprocess.run(home.command("add", "true"), capture_output=True, env=home.environment())
    assert process.poll() is None
    filler.end()
    wait_until(lambda: not subprocess.call(home.command("status"), stdout=subprocess.DEVNULL), "space to return")
    for job in jobs:
        home.wait_for_state(job, "completed", 40)
    assert sorted(worker["pid"] for worker in home.workers()) == pids, "none of them died"
    assert [home.job(job)["attempts"] for job in jobs] == [1, 1, 1]
    home.run("worker", "stop")


def small_disk(place, words):
    """Mount a disk at *place*, by *words* for `mount`; only root can."""
    if not sys.platform.startswith("linux") or os.geteuid():
        pytest.skip("needs root on Linux")
    os.mkdir(place)
    if subprocess.call(["mount", *words, place], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        pytest.skip("such a disk cannot be mounted here")


def test_a_full_disk_is_no_fault_of_the_disk_where_nobody_has_the_database_open(home, tmp_path):
    """SQLite calls it an I/O error that its index cannot be made."""
    place = str(tmp_path / "small")
    small_disk(place, ["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
    try:
        home.path = os.path.join(place, "home")
        home.run("add", "true")
        Filler(place)
        for words in (["list"], ["add", "true"], ["check"], ["why"], ["worker", "start", "--ensure", "--background"]):
            done = home.run(*words, code=3)
            assert "cannot grow: the disk is full; nothing was changed" in done.stderr, done.stderr
            if words[0] != "worker":
                assert json.loads(home.run(*words, "--json", code=3).stderr)["error"]["code"] == "disk_full"
    finally:
        subprocess.call(["umount", "-l", place])


def test_a_start_leaves_the_last_of_a_disk_to_the_jobs(tmp_path, monkeypatch):
    """Four megabytes of bytecode, on a disk from which somebody has just taken as much."""
    free = bytecode.ROOM_BYTES - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, free))
    assert not bytecode.has_room()
    free = bytecode.ROOM_BYTES
    assert bytecode.has_room()


@pytest.mark.parametrize("words", [["stop"], ["stop", "--now"], ["stop", "--leave-running"]], ids=" ".join)
def test_workers_stop_where_no_further_file_can_be_made(home, tmp_path, words):
    """As on a full XFS, or where a disk has no inodes left: what asks for the stop is a file."""
    disk = str(tmp_path / "disk")
    small_disk(disk, ["-t", "tmpfs", "-o", "nr_inodes=200", "tmpfs"])
    try:
        home.path = os.path.join(disk, "home")
        home.start("--count", "2")
        job = home.add("echo begun; exec sleep 60" if len(words) > 1 else "echo begun; sleep 1")
        home.wait_for_state(job, "processing")
        wait_until(lambda: glob.glob(home.db + ".d/workers/*.ready"), "the supervisor to say that its workers are up")
        number = 0
        with pytest.raises(OSError, match="No space"):
            for number in range(1000):
                open(os.path.join(disk, "filler%d" % number), "w").close()
        done = home.run("worker", *words)
        assert home.workers() == []
        for entry in range(number):
            os.unlink(os.path.join(disk, "filler%d" % entry))
        assert home.state(job) == {"stop": "completed", "--now": "pending", "--leave-running": "processing"}[words[-1]]
        assert "Traceback" not in done.stderr
        if words != ["stop"]:
            home.queue.cancel([job], time.time())
            home.drain()
    finally:
        subprocess.call(["umount", "-l", disk])


@pytest.mark.parametrize("is_full, told", [(True, "the disk is full"), (False, "permissions"), (None, "permissions")])
def test_a_file_that_cannot_be_made_is_told_as_what_it_is(tmp_path, monkeypatch, is_full, told):
    monkeypatch.setattr(places, "is_full", lambda folder: is_full)
    assert told in opening.explanation(str(tmp_path / "q.db"), "unable to open database file")


def test_a_second_stop_that_asks_for_more_takes_the_name_of_the_first(tmp_path, monkeypatch):
    folder = Queue(str(tmp_path / "q.db")).folder
    folder.make()
    folder.put_request("s1", "ready")

    def full(path, flags):
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr(files, "open_private", full)
    os.utime(folder.request_path("s1", "ready"), (5, 5))
    folder.put_request("s1", "stop")
    assert os.stat(folder.request_path("s1", "stop")).st_mtime > 5, "it tells when that was asked"
    folder.put_request("s1", "now")
    assert folder.is_asked("s1", "now")
    with pytest.raises(OSError, match="No space"):
        folder.put_request("s1", "stop")
    assert folder.is_asked("s1", "now"), "what asks for more stays"


# ---------------------------------------------------------------- where it costs


@pytest.fixture
def room(tmp_path, monkeypatch):
    """The room beside a database on a disk that a test describes in room.disk; the calls that are made are noted."""
    room = IndexRoom(str(tmp_path / "q.db"))
    room.is_safe, room.calls = False, []
    room.disk = (10**12, 4096, 1000)

    def disk_of(folder):
        room.calls.append("disk")
        return room.disk

    monkeypatch.setattr(files, "disk_of", disk_of)
    monkeypatch.setattr(
        files, "open_nameless", lambda folder: room.calls.append("try") or os.open(os.devnull, os.O_RDWR)
    )
    monkeypatch.setattr(files, "allocate", lambda fd, size: None)
    return room


def test_on_an_ordinary_disk_it_is_looked_at_once_and_never_tried(room):
    for _ in range(5):
        room.look()
        room.look_for(10**9)
    assert room.calls == ["disk"]


@pytest.mark.parametrize(
    "disk, index, tried",
    [
        ((PLENTY, 1024, 1000), 0, 0),
        ((PLENTY - 1, 1024, 1000), 0, 1),
        ((PLENTY - 1, 1024, 1000), SEGMENT, 0),
        ((PLENTY, 4096, 0), SEGMENT, 0),
        ((PLENTY - 1, 4096, 0), SEGMENT, 1),
    ],
)
def test_it_is_tried_only_where_blocks_are_small_or_written_elsewhere_and_little_is_free(room, disk, index, tried):
    room.disk = disk
    with open(room.index, "wb") as file:
        file.truncate(index)
    room.look()
    assert room.calls == ["disk"] + ["try"] * tried


def test_a_batch_looks_for_what_it_will_take(room, monkeypatch):
    room.disk = (PLENTY * 4, 4096, 0)
    sizes = []

    def refuse(fd, size):
        sizes.append(size)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "allocate", refuse)
    room.look()
    with pytest.raises(HostError, match="the disk is full"):
        room.look_for(PLENTY * 5)
    assert sizes[0] > PLENTY * 5
