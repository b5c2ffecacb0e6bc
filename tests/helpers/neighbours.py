"""Users who share a host: each has a home of his own, and the program where he may only read it."""

import os
import struct
import subprocess

import pytest

from helpers.bundle import copy_bundle
from helpers.home import COMPLAINTS
from helpers.users import NOBODY, become_nobody

NEIGHBOUR = 65533
needs_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can act as other users")


class User:
    """A user with a home of his own below *folder*, which all may enter."""

    def __init__(self, folder, python, uid=NOBODY, name="home"):
        self.folder = folder
        self.python = python
        self.uid = uid
        self.app = os.path.join(folder, "app")
        self.home = os.path.join(folder, name)
        os.chmod(folder, 0o755)
        if not os.path.exists(self.app):
            os.mkdir(self.app)
            copy_bundle(self.app, used_by=python)
        os.mkdir(self.home, 0o700)
        os.chown(self.home, uid, uid)

    def run(self, *words, code=0, cwd="/", umask=None, uid=None, app=None, env=None):
        """Run as that user (or as *uid*), without HOME; returns stdout, or the one line of an error."""

        def prepare():
            if umask is not None:
                os.umask(umask)
            become_nobody(self.uid if uid is None else uid)

        done = subprocess.run(
            [self.python, "-W", "error", os.path.join(app or self.app, "queuectl.py")] + [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict({"PATH": "/usr/bin:/bin"}, **(env or {})),
            cwd=cwd,
            preexec_fn=prepare,
            timeout=60,
        )
        said = done.stderr.decode()
        assert done.returncode == code and not COMPLAINTS.search(said), said
        assert code in (0, 1) or (said.startswith("queuectl: error: ") and said.count("\n") == 1)
        return said if code else done.stdout.decode()

    def as_root(self, *words, **options):
        return self.run(*words, uid=0, **options)

    def own(self, path, mode=None):
        """Give *path* to this user."""
        os.lchown(path, self.uid, self.uid)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def owners(self):
        """Who owns something in the home."""
        found = {os.lstat(self.home).st_uid}
        for folder, folders, files in os.walk(self.home):
            found |= {os.lstat(os.path.join(folder, name)).st_uid for name in folders + files}
        return found


def share(path, which="access"):
    """Let NEIGHBOUR do all to *path*, as `setfacl -m u:UID:rwx` does: the mask shows as the bits of its group.

    As "default" list it is for all that is made in it. Skips the test where there are no such lists.
    """
    nobody, own = 0xFFFFFFFF, os.stat(path).st_mode >> 6 & 7
    entries = [(0x01, own, nobody), (0x02, 7, NEIGHBOUR), (0x04, 0, nobody), (0x10, 7, nobody), (0x20, 0, nobody)]
    text = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_" + which, text)
    except (OSError, AttributeError):
        pytest.skip("no access lists on this file system")
