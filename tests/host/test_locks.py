"""Whether a lock is held: yes, no, or not to be told, and never a guess."""

import os
import sys

import pytest
from helpers.marks import posix_only

from queuectl_lib.host import files, locks


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "lock")


def test_a_lock_is_held_while_somebody_holds_it_and_no_longer(path):
    fd = files.open_private(path, os.O_RDWR | os.O_CREAT)
    assert locks.is_held(path) is False
    assert locks.try_lock(fd)
    assert locks.is_held(path) is True
    os.close(fd)
    assert locks.is_held(path) is False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a second kind of lock that is its descriptor's own")
def test_a_second_lock_stands_beside_the_first_and_who_asks_after_it_disturbs_nobody(path):
    import fcntl

    fd, other = (files.open_private(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    assert locks.lock_apart(fd) and locks.try_lock(other)
    assert not locks.lock_apart(other), "it keeps others out"
    fcntl.flock(other, fcntl.LOCK_UN)
    asking = [files.open_private(path, os.O_RDWR) for _ in range(2)]
    assert [locks.is_locked_apart(one) for one in asking * 2] == [True] * 4
    assert locks.is_held(path) is True
    os.close(fd)
    assert [locks.is_locked_apart(one) for one in asking * 2] == [False] * 4, "to ask takes nothing"
    assert locks.is_held(path) is False
    for one in (other, *asking):
        os.close(one)


def test_a_file_that_is_gone_is_held_by_nobody_and_one_whose_folder_is_gone_cannot_be_told(path):
    assert locks.is_held(path) is False
    assert locks.is_held(os.path.join(path, "in a folder", "that is not there")) is None


@posix_only
def test_what_may_not_be_opened_cannot_be_told(path, monkeypatch):
    def refuse(name, flags):
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr(files, "open_private", refuse)
    assert locks.is_held(path) is None


def test_a_file_that_is_held_is_there_locked_and_private_and_is_gone_with_its_lock(path):
    fd = locks.hold_file(path)
    assert locks.is_held(path) is True
    locks.remove_held_file(path, fd)
    assert not os.path.exists(path)


@posix_only
def test_who_locked_a_file_that_was_taken_away_meanwhile_makes_it_anew(path, monkeypatch):
    """As when a tidying process takes a new life file, not locked yet, for a dead one's."""
    lock, taken = locks.try_lock, []

    def late(fd, shared=False):
        if not taken:
            taken.append(path)
            os.unlink(path)
        return lock(fd, shared)

    monkeypatch.setattr(locks, "try_lock", late)
    fd = locks.hold_file(path)
    assert taken and os.path.samestat(os.fstat(fd), os.stat(path))
    os.close(fd)
