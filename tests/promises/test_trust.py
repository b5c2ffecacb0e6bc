"""Trust: nothing is read, written or run on what another user owns, can write, or has put in our way."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

import pytest
from helpers.bundle import copy_bundle
from helpers.marks import posix_only
from helpers.neighbours import NEIGHBOUR, User, needs_root, share
from helpers.users import python_of_nobody

from queuectl_lib.errors import HostError
from queuectl_lib.host import trust
from queuectl_lib.store import roster
from storage import Queue


@pytest.fixture
def home(near):
    return near


grp = pytest.importorskip("grp")
pwd = pytest.importorskip("pwd")

pytestmark = [posix_only, needs_root]
SOMEBODY = 12345


@pytest.fixture
def alice():
    python = python_of_nobody()
    if not python:
        pytest.skip("no Python here that another user may run")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield User(folder, python)


def path_of(home, which):
    home.run("initdb")
    paths = {
        "home": home.path,
        "database": home.db,
        "log": home.db + "-wal",
        "journal": home.db + "-journal",
        "folder": home.db + ".d",
        "config": os.path.join(home.path, "config.json"),
    }
    if which in ("log", "journal"):
        with open(paths[which], "wb"):
            pass
    if which == "config":
        home.run("config", "set", "grace", "5")
    return paths[which]


WHICH = ["database", "log", "journal", "folder", "config"]


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
    for words in (["worker", "start", "--drain"], ["list"], ["add", "true"]):
        assert "%s can be written by other users" % path in home.run(*words, code=3).stderr


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_no_call_works_where_others_could_put_a_log_beside_the_database(home, tmp_path, mode):
    """SQLite would replay it: jobs of theirs would run as ours."""
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chmod(str(shared), mode)
    home.run("config", "set", "db_path", str(shared / "q.db"))
    for words in (["add", "true"], ["list"], ["worker", "start", "--drain"]):
        said = home.run(*words, code=3).stderr
        assert "%s can be written by other users" % shared in said
        assert ("choose a db_path elsewhere" in said) == (mode == 0o1777)
    assert list(shared.iterdir()) == []


def test_a_database_may_lie_in_a_folder_of_root_and_of_nobody_else(tmp_path, monkeypatch):
    queue = Queue(str(tmp_path / "q.db"))
    queue.database.create()
    monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)
    queue.database.refuse_untrusted(trust.Way())
    os.chown(queue.path, SOMEBODY, SOMEBODY)
    queue.database.refuse_untrusted(trust.Way())
    os.chown(str(tmp_path), SOMEBODY + 1, SOMEBODY)
    with pytest.raises(HostError, match="belongs to another user"):
        queue.database.refuse_untrusted(trust.Way())


def test_a_group_that_is_the_users_own_may_write(home):
    job = home.add("true")
    os.chmod(home.path, 0o770)  # the group root, which has no other member
    home.drain()
    assert home.state(job) == "completed"


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


@pytest.mark.parametrize("name", ["", "attempts", "workers"])
def test_a_folder_of_ours_is_never_a_link(home, tmp_path, name):
    home.run("initdb")
    place, elsewhere = os.path.join(home.db + ".d", name).rstrip("/"), str(tmp_path / "elsewhere")
    os.rename(place, elsewhere)
    os.symlink(elsewhere, place)
    for words in (["add", "true"], ["list"], ["prune"], ["worker", "start", "--drain"]):
        assert "%s is a symbolic link" % place in home.run(*words, code=3).stderr


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_what_sqlite_plays_back_is_never_a_link(home, tmp_path, ending):
    home.run("initdb")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    if os.path.exists(home.db + ending):
        os.unlink(home.db + ending)
    os.symlink(str(elsewhere), home.db + ending)
    for words in (["add", "true"], ["list"], ["worker", "start", "--drain"]):
        assert "%s is a symbolic link" % (home.db + ending) in home.run(*words, code=3).stderr
    assert elsewhere.read_bytes() == b"precious"


@pytest.mark.parametrize("words", [("list",), ("add", "true"), ("worker", "start", "--drain"), ("doctor",)])
def test_what_a_mistyped_db_path_names_keeps_its_mode(home, tmp_path, words):
    """As root that might be any file of the host."""
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n")
    path.chmod(0o644)
    (tmp_path / "hosts-wal").write_text("")
    (tmp_path / "hosts-wal").chmod(0o644)
    home.run("config", "set", "db_path", str(path))
    home.run(*words, code=1 if words == ("doctor",) else 3)
    assert [os.stat(str(path) + ending).st_mode & 0o777 for ending in ("", "-wal")] == [0o644, 0o644]
    assert path.read_text() == "127.0.0.1 localhost\n"


def test_what_a_restore_has_left_open_is_made_private(home):
    home.add("true")
    folder, journal = home.db + ".d", home.db + "-journal"
    with open(journal, "wb") as file:
        file.write(bytes(512))  # one that has been played back
    for path in (home.db, journal):
        os.chmod(path, 0o644)
    for path in (folder, folder + "/attempts", folder + "/workers"):
        os.chmod(path, 0o755)
    home.run("list")
    for path in (home.db, journal):
        assert os.stat(path).st_mode & 0o777 == 0o600
    for path in (folder, folder + "/attempts", folder + "/workers"):
        assert os.stat(path).st_mode & 0o777 == 0o700


# ---------------------------------------------------------------- whose home it is, asked by every command

SECRET = ["add", "--env", "PASSWORD=hunter2", "true"]
CALLS = [SECRET, ["list"], ["status"], ["show", "x"], ["logs", "x"], ["check"], ["prune"], ["cancel", "x"], ["initdb"]]
CALLS += [["config", "set", "grace", "5"], ["config", "get"], ["dlq", "list"], ["cron"]]
CALLS += [["enqueue", '{"command": "true"}']]
CALLS += [["worker", "start", "--drain"], ["worker", "list"], ["worker", "stop"], ["wait"]]


def refused_everywhere(alice, home, what):
    for words in CALLS:
        assert what in alice.run("--home", home, *words, code=3), words


def test_nobody_works_in_a_home_that_a_neighbour_has_made_first(alice):
    theirs = os.path.join(alice.folder, "q")
    os.mkdir(theirs)
    os.chown(theirs, NEIGHBOUR, NEIGHBOUR)
    os.chmod(theirs, 0o777)
    refused_everywhere(alice, theirs, "%s belongs to another user" % theirs)
    assert os.listdir(theirs) == []


def test_nobody_works_in_a_home_that_others_could_swap(alice):
    shared = os.path.join(alice.folder, "shared")
    os.mkdir(shared)
    os.chmod(shared, 0o777)
    refused_everywhere(alice, os.path.join(shared, "q"), "%s can be written by other users" % shared)
    assert os.listdir(shared) == [], "nor is it made there"
    os.chmod(shared, 0o1777)
    alice.run("--home", os.path.join(shared, "q"), *SECRET)
    os.chmod(shared, 0o777)
    refused_everywhere(alice, os.path.join(shared, "q"), "%s can be written by other users" % shared)


def test_a_folder_that_is_everybodys_is_no_home_even_with_a_sticky_bit(alice):
    shared = os.path.join(alice.folder, "shared")
    os.mkdir(shared)
    os.chmod(shared, 0o1777)
    refused_everywhere(alice, shared, "%s can be written by other users: choose a home of your own" % shared)


def test_a_link_of_a_neighbour_on_the_way_is_not_followed(alice):
    shared, link = os.path.join(alice.folder, "shared"), os.path.join(alice.folder, "shared", "link")
    os.mkdir(shared)
    os.chmod(shared, 0o1777)
    os.symlink(alice.home, link)
    os.lchown(link, NEIGHBOUR, NEIGHBOUR)
    refused_everywhere(alice, link, "%s belongs to another user" % link)
    alice.own(link)
    alice.run("--home", link, *SECRET)
    assert alice.run("--home", alice.home, "status", "--json")


def test_a_link_is_judged_by_each_step_that_it_leads_over(alice):
    shared = os.path.join(alice.folder, "shared")
    os.mkdir(shared)
    os.chmod(shared, 0o777)
    os.mkdir(os.path.join(shared, "real"))
    alice.own(os.path.join(shared, "real"))
    link = os.path.join(alice.home, "link")
    os.symlink("../shared/./real", link)
    alice.own(link)
    refused_everywhere(alice, link, "%s can be written by other users" % shared)


def test_links_in_a_circle_end(alice):
    for name, other in (("a", "b"), ("b", "a")):
        os.symlink(other, os.path.join(alice.home, name))
        alice.own(os.path.join(alice.home, name))
    assert "/a" in alice.run("--home", os.path.join(alice.home, "a"), "add", "true", code=3)


def test_a_database_elsewhere_is_judged_with_the_way_to_it(alice):
    shared, mine = os.path.join(alice.folder, "shared"), os.path.join(alice.folder, "shared", "mine")
    os.mkdir(shared)
    os.mkdir(mine)
    alice.own(mine, 0o700)
    alice.run("--home", alice.home, "config", "set", "db_path", os.path.join(mine, "q.db"))
    alice.run("--home", alice.home, *SECRET)
    os.chmod(shared, 0o777)
    for words in (SECRET, ["list"], ["worker", "start", "--drain"]):
        assert "%s can be written by other users" % shared in alice.run("--home", alice.home, *words, code=3)


def journal_of(database, text, folder):
    """A rollback journal as one leaves who is killed: played back into *database* it puts *text* into its first job."""
    copy = os.path.join(folder, "copy.db")
    shutil.copy(database, copy)
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("UPDATE jobs SET command = ?", (text,))
        connection.execute("PRAGMA synchronous = OFF")  # so that the journal is whole from the beginning
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE jobs SET command = 'echo unfinished'")
        with open(copy + "-journal", "rb") as file:
            return file.read()


def test_a_journal_of_a_neighbour_is_not_played_back(alice):
    alice.run("--home", alice.home, "add", "echo mine", "--id", "job")
    database = os.path.join(alice.home, "queuectl.db")
    alice.run("--home", alice.home, "prune")  # which writes the log back
    with open(database + "-journal", "wb") as file:
        file.write(journal_of(database, "echo theirs", alice.folder))
    os.chown(database + "-journal", NEIGHBOUR, NEIGHBOUR)
    os.chmod(database + "-journal", 0o644)
    for words in CALLS:
        if words[0] not in ("config", "cron"):
            said = alice.run("--home", alice.home, *words, code=3)
            assert "%s-journal belongs to another user" % database in said, words
    alice.own(database + "-journal", 0o622)
    assert "%s-journal can be written" % database in alice.run("--home", alice.home, "list", code=3)
    os.chmod(database + "-journal", 0o600)
    assert "echo theirs" in alice.run("--home", alice.home, "show", "job"), "SQLite would have"


def test_the_settings_are_not_read_through_the_link_of_a_neighbour(alice):
    theirs = os.path.join(alice.folder, "theirs.json")
    with open(theirs, "w") as file:
        file.write('{"grace": 1}')
    os.chown(theirs, NEIGHBOUR, NEIGHBOUR)
    link = os.path.join(alice.home, "config.json")
    os.symlink(theirs, link)
    alice.own(link)
    for words in (["config", "get"], ["config", "set", "grace", "5"], ["add", "true"]):
        assert "%s belongs to another user" % theirs in alice.run("--home", alice.home, *words, code=3)
    with open(theirs) as file:
        assert file.read() == '{"grace": 1}'


def test_settings_may_be_kept_elsewhere_behind_a_link_of_ones_own(alice):
    kept, link = os.path.join(alice.home, "dotfiles.json"), os.path.join(alice.home, "config.json")
    with open(kept, "w") as file:
        file.write("{}")
    alice.own(kept, 0o644)
    os.symlink("dotfiles.json", link)
    alice.own(link)
    alice.run("--home", alice.home, "config", "set", "grace", "5")
    assert os.path.islink(link) and os.stat(kept).st_mode & 0o777 == 0o644
    assert alice.run("--home", alice.home, "config", "get", "grace") == "5\n"


# ---------------------------------------------------------------- what a group can write


def test_a_list_of_further_users_is_no_private_group(home):
    home.add("true")
    os.chmod(home.path, 0o770)  # of the group root, which has no other member
    home.run("list")
    share(home.path)
    assert os.stat(home.path).st_mode & 0o777 == 0o770
    for words in (["list"], ["add", "true"], ["worker", "start", "--drain"]):
        assert "%s can be written by other users" % home.path in home.run(*words, code=3).stderr


@pytest.mark.parametrize("name", ["queuectl.db", "queuectl.db.d", "queuectl.db.d/attempts", "config.json"])
def test_a_list_that_lets_another_user_write_a_file_of_the_home_is_noticed(home, name):
    home.run("config", "set", "grace", "5")
    home.add("true")
    path = os.path.join(home.path, name)
    share(path)
    for words in (["list"], ["add", "true"], ["worker", "start", "--drain"]):
        assert "%s can be written by other users" % path in home.run(*words, code=3).stderr
    os.chmod(path, os.stat(path).st_mode & 0o755)  # the mask, so whoever is on the list may only read
    home.run("list")
    assert name == "config.json" or os.stat(path).st_mode & 0o077 == 0, "nor that"


def test_what_is_made_in_a_home_whose_list_is_handed_down_is_private(home):
    """Where a folder has defaults (`setfacl -d`) no umask counts, but the mode that is asked for does."""
    os.makedirs(home.path, mode=0o700, exist_ok=True)
    share(home.path, "default")
    home.run("config", "set", "grace", "5")
    home.add("echo hello; exit 1", "--max-retries", "0")
    home.drain()
    home.run("worker", "start", "--background")
    found = [os.path.join(folder, name) for folder, _, names in os.walk(home.db + ".d") for name in names + ["."]]
    found += [os.path.join(home.path, name) for name in os.listdir(home.path)]
    assert len(found) > 8
    assert [path for path in found if os.stat(path).st_mode & 0o070] == [], "the mask"
    home.run("worker", "stop")


def test_a_group_that_is_the_primary_one_of_another_user_is_not_ones_own(tmp_path, monkeypatch):
    os.chmod(str(tmp_path), 0o770)
    trust.Way().refuse_untrusted(str(tmp_path))
    other = pwd.struct_passwd(("bob", "x", NEIGHBOUR, 0, "", "/", "/bin/sh"))
    everybody = pwd.getpwall()
    monkeypatch.setattr(pwd, "getpwall", lambda: everybody + [other])
    with pytest.raises(HostError, match="can be written by other users"):
        trust.Way().refuse_untrusted(str(tmp_path))


def test_a_group_of_which_a_further_line_names_another_user_is_not_ones_own(tmp_path, monkeypatch):
    """The kernel knows its number only, and grp.getgrgid the first line with it."""
    os.chmod(str(tmp_path), 0o770)
    everybody, further = grp.getgrall(), []
    monkeypatch.setattr(grp, "getgrall", lambda: everybody + further)
    further.append(grp.struct_group(("further", "x", 0, ["root"])))
    trust.Way().refuse_untrusted(str(tmp_path))
    further.append(grp.struct_group(("third", "x", 0, ["bob"])))
    with pytest.raises(HostError, match="can be written by other users"):
        trust.Way().refuse_untrusted(str(tmp_path))


def test_a_group_that_nobody_knows_proves_nothing(home):
    os.chown(home.path, 0, SOMEBODY)
    os.chmod(home.path, 0o770)
    assert "can be written by other users" in home.run("list", code=3).stderr


# ---------------------------------------------------------------- root in the home of another user


def test_what_root_makes_in_somebodys_home_is_his(alice):
    alice.as_root("--home", alice.home, "config", "set", "grace", "5")
    job = alice.as_root("--home", alice.home, "add", "id -u").strip()
    alice.as_root("--home", alice.home, "enqueue", '{"command": "true"}')
    assert job in alice.as_root("--home", alice.home, "list")
    assert alice.owners() == {alice.uid}
    alice.run("--home", alice.home, "add", "true")
    alice.run("--home", alice.home, "config", "set", "grace", "6")
    alice.run("--home", alice.home, "worker", "start", "--drain")
    assert alice.as_root("--home", alice.home, "logs", job) == "%d\n" % alice.uid
    assert alice.owners() == {alice.uid}


def test_a_home_that_root_makes_below_somebodys_folder_is_his(alice):
    alice.as_root("--home", os.path.join(alice.home, "new", "q"), "add", "true")
    assert alice.owners() == {alice.uid}


def test_root_starts_no_workers_for_others_and_says_what_to_type(alice):
    alice.run("--home", alice.home, "add", "true")
    for words in (["worker", "start"], ["worker", "start", "--background"], ["worker"]):
        said = alice.as_root("--home", alice.home, *words, code=3)
        assert "%s belongs to " % alice.home in said and "call `sudo -u " in said
        typed = (os.path.join(alice.app, "queuectl.py"), " ".join(words[:2]), alice.home)
        assert said.endswith("%s %s --home %s ...`\n" % typed)
    assert alice.owners() == {alice.uid}


def test_what_root_is_to_type_names_the_home_but_where_it_lies_beside_the_program(alice):
    home = os.path.join(alice.home, "my queue")
    os.mkdir(home)
    alice.own(home)
    for words, env in ((["--home", home], {}), ([], {"QUEUECTL_HOME": home})):
        said = alice.as_root(*words, "worker", "start", code=3, env=env)
        assert said.endswith(" worker start --home '%s' ...`\n" % home)
    copy_bundle(home)
    for folder, folders, files in os.walk(home):
        for name in folders + files:
            alice.own(os.path.join(folder, name))
    said = alice.as_root("worker", "start", code=3, app=home)
    assert said.endswith(" '%s' worker start ...`\n" % os.path.join(home, "queuectl.py"))


def test_root_that_cannot_become_the_owner_touches_nothing(alice):
    """In a user namespace that holds nobody else."""
    script = os.path.join(alice.app, "queuectl.py")
    words = ["unshare", "-Ur", alice.python, script, "--home", alice.home, "add", "true"]
    if subprocess.run(["unshare", "-Ur", "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no user namespaces here")
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = done.stderr.decode()
    assert (done.returncode, os.listdir(alice.home)) == (3, []), said
    assert "root cannot act as that user here" in said or "belongs to another user" in said


def test_root_whose_python_the_owner_cannot_read_touches_nothing_and_says_what_to_type(alice):
    """As where it lies below /root: whatever is loaded from there on could not be."""
    private = os.path.join(alice.folder, "os.py")
    with open(private, "w"):
        pass
    os.chmod(private, 0o600)
    script = os.path.join(alice.app, "queuectl.py")
    code = "import os, runpy, sys; os.__file__ = %r; sys.argv = %r; runpy.run_path(sys.argv[0], run_name='__main__')"
    for words in (["add", "true"], ["list"], ["config", "set", "grace", "5"]):
        call = [alice.python, "-c", code % (private, [script, "--home", alice.home] + words)]
        done = subprocess.run(call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said = done.stderr.decode()
        assert (done.returncode, done.stdout, os.listdir(alice.home)) == (3, b"", []), said
        assert said.startswith("queuectl: error: %s belongs to " % alice.home) and said.count("\n") == 1
        assert "that user cannot read " in said and "call `sudo -u " in said
        command = " ".join(words[: 1 + (words[0] == "config")])
        assert said.endswith(" python3 %s %s --home %s ...`\n" % (script, command, alice.home))


def test_a_python_that_only_root_can_read_is_told_where_root_calls_it(alice):
    if python_of_nobody() == sys.executable:
        pytest.skip("others can read this Python")
    alice.python = sys.executable
    said = alice.as_root("--home", alice.home, "add", "true", code=3)
    assert "that user cannot read %s: call `sudo -u " % sys.executable in said and os.listdir(alice.home) == []


def test_through_a_link_of_his_root_makes_nothing_anywhere_else(alice):
    """A db_path, a home, a file of settings that lead into what is root's."""
    roots = os.path.join(alice.folder, "roots")
    os.mkdir(roots, 0o755)
    with open(os.path.join(roots, "precious"), "w") as file:
        file.write("{}")
    for name, target in (("config.json", "precious"), ("queuectl.db", "precious"), ("sub", "")):
        os.symlink(os.path.join(roots, target), os.path.join(alice.home, name))
        alice.own(os.path.join(alice.home, name))
    alice.as_root("--home", alice.home, "config", "set", "grace", "5", code=3)
    alice.as_root("--home", alice.home, "add", "true", code=3)
    alice.as_root("--home", os.path.join(alice.home, "sub", "q"), "add", "true", code=3)
    assert os.listdir(roots) == ["precious"]
    with open(os.path.join(roots, "precious")) as file:
        assert file.read() == "{}"
