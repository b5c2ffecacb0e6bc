"""The bell, and what else can stand in its place; and a full disk that is not the home's."""

import os
import subprocess
import sys
import time

import pytest
from helpers.home import SCRIPT
from helpers.marks import posix_only
from helpers.waiting import wait_until

from queuectl_lib.host import bell
from queuectl_lib.host.waking import Bell

pytestmark = posix_only


class Quiet:
    """A wake-up without any signal."""

    def __init__(self):
        self.reader, self.writer = os.pipe()

    def fileno(self):
        return self.reader

    def clear(self):
        pass


def put_file(path):
    with open(path, "w") as file:
        file.write("x")


def put_link(path):
    os.symlink("/dev/null", path)


def put_device(path):
    if os.geteuid():
        pytest.skip("only root can make a device")
    try:
        os.mknod(path, 0o20600, os.makedev(1, 5))  # zero: always ready
    except OSError:
        pytest.skip("no devices here")


@pytest.mark.parametrize("put", [put_file, put_link, put_device, os.mkdir], ids=lambda put: put.__name__)
def test_what_is_no_bell_keeps_no_worker_busy(tmp_path, put):
    path = str(tmp_path / "bell")
    put(path)
    ear = Bell(path, str(tmp_path / "q.db"))
    wake = Quiet()
    wake.reader = open(wake.reader, "rb", buffering=0)
    began = time.monotonic()
    try:
        assert not ear.wait(0.3, wake)
        assert time.monotonic() - began >= 0.29
    finally:
        ear.close()
        wake.reader.close()
        os.close(wake.writer)


@pytest.mark.parametrize("put", [put_file, put_link, put_device], ids=lambda put: put.__name__)
def test_a_supervisor_hangs_the_bell_again(home, put):
    home.run("initdb")
    path = home.queue.folder.bell
    os.unlink(path)
    put(path)
    home.start("--count", "1", "--poll-interval", "3600")
    home.wait_for_workers(1)
    assert os.path.exists(path) and not os.path.islink(path)
    job = home.add("exit 0")
    wait_until(lambda: home.state(job) == "completed", "the bell to be heard")
    bell.make(path)


def test_a_full_folder_of_temporary_files_is_told_as_such(home, tmp_path):
    """SQLite keeps there what `enqueue` takes in before it writes."""
    if os.geteuid() or subprocess.call(["unshare", "-m", "true"], stderr=subprocess.DEVNULL):
        pytest.skip("only root can mount a small disk")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    lines = tmp_path / "lines"
    lines.write_text('{"command": "%s"}\n' % ("x" * 1000) * 20000)
    script = 'mount -t tmpfs -o size=256k none "$1" && shift && exec "$@"'
    words = ["unshare", "-m", "sh", "-c", script, "sh", str(temporary), sys.executable, SCRIPT, "--home", home.path]
    environment = home.environment({"SQLITE_TMPDIR": str(temporary)})
    done = subprocess.run(words + ["enqueue", "--file", str(lines)], stderr=subprocess.PIPE, env=environment)
    said = done.stderr.decode()
    assert done.returncode == 3, said
    assert "%s, where SQLite keeps its temporary files, is full: set SQLITE_TMPDIR" % temporary in said
    assert home.run("list", "--json").json == []
