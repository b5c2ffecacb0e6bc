"""Trust: no worker starts on what another user owns, can write, or has put in our way."""

import os

import pytest
from conftest import posix_only

needs_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can give files away")
pytestmark = [posix_only, needs_root]
SOMEBODY = 12345


def path_of(home, which):
    home.run("initdb")
    paths = {
        "home": home.path,
        "database": home.db,
        "folder": home.db + ".d",
        "config": os.path.join(home.path, "config.json"),
    }
    if which == "config":
        home.run("config", "set", "grace", "5")
    return paths[which]


WHICH = ["home", "database", "folder", "config"]


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("words", [["--drain"], ["--background"]])
def test_no_worker_starts_on_what_belongs_to_another_user(home, which, words):
    path = path_of(home, which)
    os.chown(path, SOMEBODY, SOMEBODY)
    refused = home.run("worker", "start", *words, code=3).stderr
    assert "%s belongs to another user" % path in refused
    assert home.queue.members() == []


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("mode", [0o722, 0o702, 0o720])
def test_no_worker_starts_on_what_other_users_can_write(home, which, mode):
    path = path_of(home, which)
    os.chown(path, 0, SOMEBODY)
    os.chmod(path, mode)
    assert "%s can be written by other users" % path in home.run("worker", "start", "--drain", code=3).stderr


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
