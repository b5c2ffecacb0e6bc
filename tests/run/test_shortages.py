"""Workers that cannot start, and workers that do not stay: told once, waited for, and never a spin."""

import glob
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers.bundle import copy_bundle
from helpers.home import contents
from helpers.installed import Installed
from helpers.marks import posix_only
from helpers.waiting import wait_until

from queuectl_lib.errors import HostError
from queuectl_lib.run import pace
from queuectl_lib.run.replacing import Replacing


@pytest.fixture
def clock(monkeypatch):
    """The monotonic time, which stands until it is moved."""
    moments = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: moments[0])
    return moments


def pauses(replacing, clock, code, lived, booted, times):
    """How long each of *times* next starts was put off, where each worker *lived* so many seconds and then left."""
    found = []
    for _ in range(times):
        clock[0] = max(clock[0], replacing.not_before)
        began = clock[0]
        clock[0] += lived
        replacing.has_left(code, began, booted)
        found.append(max(0.0, replacing.not_before - clock[0]))
    return found


@pytest.mark.parametrize(
    "code, lived, expected",
    [
        (-9, 0.1, [0.5, 1.0, 1.0, 1.0]),  # a job of a killed worker is taken up within a second or so
        (-7, 0.1, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]),
        (0, 0.1, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]),
        (3, 0.1, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]),
        (-9, 10.0, [0.0, 0.0]),
        (0, 10.0, [0.0, 0.0]),
    ],
)
def test_a_worker_that_leaves_young_is_replaced_after_a_pause_whatever_its_exit_code(clock, code, lived, expected):
    replacing = Replacing(lambda text: None)
    replacing.was_ready = True
    assert pauses(replacing, clock, code, lived, True, len(expected)) == pytest.approx(expected)


def test_workers_that_leave_at_once_count_as_one_and_a_long_life_ends_the_row(clock):
    replacing = Replacing(lambda text: None)
    replacing.was_ready = True
    began = clock[0]
    clock[0] += 0.1
    for _ in range(20):
        replacing.has_left(-7, began, True)
    assert replacing.not_before - clock[0] == pytest.approx(0.5)
    pauses(replacing, clock, -7, 0.1, True, 3)
    pauses(replacing, clock, -7, 5.0, True, 1)
    assert pauses(replacing, clock, -7, 0.1, True, 1) == pytest.approx([0.5])


@pytest.mark.parametrize(
    "code, lived, is_told",
    [(-9, 0.1, True), (-9, 1.2, True), (3, 9.0, True), (-9, 11.0, False), (0, 0.1, True), (0, 1.2, False)],
)
def test_three_that_die_early_one_after_the_other_are_told_of_for_a_while(clock, code, lived, is_told):
    """Also where each lived for a second, say for what kills it to look around; one that was asked to go is none."""
    replacing = Replacing(lambda text: None)
    replacing.was_ready = True
    pauses(replacing, clock, code, lived, True, 2)
    assert not replacing.trouble()
    pauses(replacing, clock, code, lived, True, 1)
    assert replacing.trouble().startswith("workers die soon after they have begun (") == is_told
    clock[0] += 2 * pace.EARLY_DEATH_SECONDS
    assert not replacing.trouble(), "they stay"
    pauses(replacing, clock, code, lived, True, 1)
    assert not replacing.trouble(), "a new row"


def test_workers_that_all_die_in_one_moment_are_no_row(clock):
    replacing = Replacing(lambda text: None)
    replacing.was_ready = True
    began = clock[0]
    clock[0] += 2.0
    for _ in range(20):
        replacing.has_left(-9, began, True)
    assert not replacing.trouble()
    pauses(replacing, clock, -9, 1.5, True, 2)
    assert "killed by SIGKILL" in replacing.trouble()
    pauses(replacing, clock, -9, 60.0, True, 1)
    assert not replacing.trouble(), "one has lived for long since"


def test_before_all_were_up_three_that_cannot_begin_are_the_end_and_later_they_are_waited_for(clock):
    said = []
    replacing = Replacing(said.append)
    with pytest.raises(HostError, match="workers cannot start .exit code 3 each time"):
        pauses(replacing, clock, 3, 0.1, False, pace.BOOT_FAILURES)
    replacing = Replacing(said.append)
    replacing.was_ready = True
    found = pauses(replacing, clock, 3, 0.1, False, 1)
    assert replacing.rehearses(), "what cannot start is tried unheard"
    for _ in range(8):
        clock[0] = replacing.not_before
        replacing.has_rehearsed(3, clock[0])
        found.append(replacing.not_before - clock[0])
    assert found == pytest.approx([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0])
    assert said == ["no worker can start now (exit code 3): trying again, ever more slowly"]
    replacing.has_rehearsed(0, clock[0])
    assert not replacing.rehearses() and replacing.not_before <= clock[0], "now a real one, at once"
    replacing.has_begun()
    replacing.has_begun()
    assert said[1:] == ["workers start again"]


@posix_only
def test_a_module_that_is_away_for_a_while_ends_no_supervisor(tmp_path):
    home = Installed(tmp_path / "installed")
    os.mkdir(home.path, 0o700)
    copy_bundle(home.path, used_by=sys.executable)
    module = os.path.join(home.path, "queuectl_lib", "run", "pace.py")
    try:
        process = home.start("--count", "2")
        home.wait_for_workers(2)
        wait_until(lambda: glob.glob(home.db + ".d/workers/*.ready"), "the supervisor to have seen them")
        os.rename(module, module + ".away")
        shutil.rmtree(os.path.join(os.path.dirname(module), "__pycache__"), ignore_errors=True)
        for member in home.workers():
            os.kill(member["pid"], signal.SIGKILL)
        wait_until(lambda: "no worker can start now" in contents(process.log), "the trouble to be told")
        time.sleep(3)
        said = contents(process.log)
        assert said.count("Traceback") == 2, "of the two that were started first, and none of what was tried since"
        os.rename(module + ".away", module)
        home.wait_for_workers(2)
        wait_until(lambda: "workers start again" in contents(process.log), "the end of the trouble to be told")
        assert process.poll() is None
    finally:
        home.clean_up()


FULL_DISK = """
mount -t tmpfs -o size=3m,mode=0700 none "$1" || exit 99
shift
exec "$@"
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a small disk, on Linux")
def test_a_disk_that_is_full_for_a_while_ends_no_supervisor_and_replaces_no_worker_in_a_spin(home):
    """A life file that can be made, but not written, as on ext4, is no life."""
    words = ["unshare", "-m", "sh", "-c", FULL_DISK, "sh", home.path] + home.command("worker", "start", "--count", "2")
    log = home.path + ".log"
    with open(log, "wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=file, env=home.environment())
    home.started.append(process)

    def inside(*words):
        return subprocess.run(["nsenter", "-t", str(process.pid), "-m"] + list(words), stdout=subprocess.PIPE).stdout

    filler = process
    try:
        wait_until(lambda: contents(log).count("worker started") == 2 or process.poll() is not None, "workers")
        if process.returncode == 99:
            pytest.skip("nothing can be mounted here")
        pid = int(contents(log).split("worker started, pid ")[1].split()[0])
        fill = os.path.join(home.path, "fill")
        keep_full = 'while :; do cat /dev/zero >> "$1"; sleep 0.01; done 2>/dev/null'
        filler = subprocess.Popen(["nsenter", "-t", str(process.pid), "-m", "sh", "-c", keep_full, "sh", fill])
        wait_until(lambda: inside("df", "--output=avail", home.path).split()[1:] == [b"0"], "the disk to be full")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "no worker can start now" in contents(log), "the trouble to be told")
        time.sleep(4)
        assert process.poll() is None
        assert contents(log).count("No space left") == 1, contents(log)
        assert contents(log).count(" died (") == 2, contents(log)
        filler.kill()
        filler.wait()
        inside("rm", fill)
        wait_until(lambda: "workers start again" in contents(log), "the end of the trouble to be told")
    finally:
        for one in (filler, process):
            one.kill()
            one.wait()
