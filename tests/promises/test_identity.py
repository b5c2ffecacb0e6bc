"""Identity: one database has one name, a copy is another queue than its original, and a moved one is the same."""

import os
import shutil
import subprocess

import pytest
from helpers.marks import posix_only

from queuectl_lib.host import places

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
    from helpers.home import Home

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
