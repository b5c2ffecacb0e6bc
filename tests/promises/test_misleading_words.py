"""What was told of a fault and led the wrong way: each is told by its name."""

import errno
import os
import subprocess

import pytest
from helpers.marks import posix_only

from queuectl_lib.errors import HostError
from queuectl_lib.host import files
from queuectl_lib.run import replacing, starting
from queuectl_lib.store import opening


@posix_only
def test_a_limit_of_file_sizes_is_no_fault_of_the_disk(home):
    words = ["/bin/sh", "-c", 'ulimit -f 8; exec "$@"', "sh"] + home.command("add", "true")
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment(), timeout=60)
    said = done.stderr.decode()
    assert done.returncode == 3
    assert "write no file larger than " in said and "(ulimit -f)" in said and "check the disk" not in said


@posix_only
def test_nor_is_a_quota(near, monkeypatch):
    def refused(folder):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    assert "check the disk" in opening.explanation(near.db, "disk I/O error")
    monkeypatch.setattr(files, "open_nameless", refused)
    assert "the disk quota of this user is used up" in opening.explanation(near.db, "disk I/O error")


def test_a_settings_file_that_is_mounted_by_itself_is_named_as_such(near, monkeypatch):
    near.run("config", "set", "grace", "5")

    def refused(partial, target):
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(files, "replace", refused)
    said = near.run("config", "set", "grace", "6", code=3).stderr
    assert "config.json is mounted by itself, so it cannot be replaced: mount the folder" in said
    assert os.listdir(near.path) == ["config.json"]
    assert near.run("config", "get", "grace").stdout == "5\n"


@pytest.mark.parametrize("code, said", [(9, "see what they said above"), (-9, "something ends them")])
def test_lines_above_are_spoken_of_only_where_workers_could_say_something(code, said):
    replacement = replacing.Replacing.__new__(replacing.Replacing)
    replacement.failures, replacement.was_ready = replacing.pace.BOOT_FAILURES, False
    with pytest.raises(HostError, match=said):
        replacement.has_left(code, 0.0, False)


def test_in_the_background_the_lines_are_in_the_log(tmp_path):
    log = tmp_path / "worker.log"
    log.write_text("queuectl: error: workers cannot start (exit code 9 each time): see what they said above\n")
    assert starting.last_words(str(log), 0).endswith("each time): see what they said in %s" % log)
