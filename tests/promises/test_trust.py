"""Trust: no worker starts on what another user owns, can write, or has put in our way."""

import os

import pytest
from helpers.marks import posix_only

from queuectl_lib.errors import HostError
from queuectl_lib.store import roster
from storage import Queue

needs_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can give files away")
pytestmark = [posix_only, needs_root]
SOMEBODY = 12345


def path_of(home, which):
    home.run("initdb")
    paths = {
        "home": home.path,
        "database": home.db,
        "log": home.db + "-wal",
        "folder": home.db + ".d",
        "config": os.path.join(home.path, "config.json"),
    }
    if which == "log":
        with open(home.db + "-wal", "wb"):
            pass
    if which == "config":
        home.run("config", "set", "grace", "5")
    return paths[which]


WHICH = ["home", "database", "log", "folder", "config"]


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("words", [["--drain"], ["--background"]])
def test_no_worker_starts_on_what_belongs_to_another_user(home, which, words):
    path = path_of(home, which)
    os.chown(path, SOMEBODY, SOMEBODY)
    refused = home.run("worker", "start", *words, code=3).stderr
    assert "%s belongs to another user" % path in refused
    assert roster.members(home.queue.folder) == []


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("mode", [0o722, 0o702, 0o720])
def test_no_worker_starts_on_what_other_users_can_write(home, which, mode):
    path = path_of(home, which)
    os.chown(path, 0, SOMEBODY)
    os.chmod(path, mode)
    assert "%s can be written by other users" % path in home.run("worker", "start", "--drain", code=3).stderr


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_no_worker_starts_where_others_could_put_a_log_beside_the_database(home, tmp_path, mode):
    """SQLite would replay it: jobs of theirs would run as ours."""
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chmod(str(shared), mode)
    home.run("config", "set", "db_path", str(shared / "q.db"))
    home.add("true")
    said = home.run("worker", "start", "--drain", code=3).stderr
    assert "%s can be written by other users" % shared in said
    assert ("choose a db_path elsewhere" in said) == (mode == 0o1777)


def test_a_database_may_lie_in_a_folder_of_root_and_of_nobody_else(tmp_path, monkeypatch):
    queue = Queue(str(tmp_path / "q.db"))
    queue.database.create()
    monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)
    for path in (queue.path, queue.folder.path, str(tmp_path / "home")):
        if not os.path.exists(path):
            os.mkdir(path)
        os.chown(path, SOMEBODY, SOMEBODY)
    queue.database.refuse_untrusted([str(tmp_path / "home"), str(tmp_path / "none")])
    os.chown(str(tmp_path), SOMEBODY + 1, SOMEBODY)
    with pytest.raises(HostError, match="belongs to another user"):
        queue.database.refuse_untrusted([str(tmp_path / "home"), str(tmp_path / "none")])


def test_a_group_that_is_the_users_own_may_write(home):
    job = home.add("true")
    os.chmod(home.path, 0o770)  # the group root, which has no other member
    home.drain()
    assert home.state(job) == "completed"


def test_a_home_through_a_symbolic_link_of_another_user_is_judged_by_where_it_leads(home, tmp_path):
    link = str(tmp_path / "link")
    os.symlink(home.path, link)
    os.lchown(link, SOMEBODY, SOMEBODY)
    os.chown(home.path, SOMEBODY, SOMEBODY)
    home.path = link
    assert "belongs to another user" in home.run("worker", "start", "--drain", code=3).stderr


@pytest.mark.parametrize("name", ["gate", "bell"])
def test_a_link_that_was_put_in_our_way_is_not_followed(home, tmp_path, name):
    home.run("initdb")
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    place = os.path.join(home.db + ".d", name)
    if os.path.exists(place):
        os.unlink(place)
    os.symlink(str(victim), place)
    code = 3 if name == "gate" else 0
    said = home.run("add", "true", code=code)
    assert victim.read_bytes() == b"precious"
    assert code == 0 or "gate" in said.stderr


def test_a_partial_database_or_setting_that_is_a_link_is_replaced_and_not_followed(home, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    os.symlink(str(victim), home.db + ".partial")
    home.run("initdb")
    assert victim.read_bytes() == b"precious"
    assert not os.path.islink(home.db)
