"""Another user of the host: only root can act as one."""

import contextlib
import os
import subprocess
import sys
import tempfile

import pytest

from helpers.bundle import copy_bundle
from helpers.home import COMPLAINTS

NOBODY = 65534


def become_nobody(uid=NOBODY):
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def python_of_nobody():
    """A Python that another user may run, or None."""
    probe = ["-c", "import sqlite3, sys; sys.exit(sys.version_info < (3, 8))"]
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            if subprocess.run([python] + probe, preexec_fn=become_nobody, cwd="/").returncode == 0:
                return python
        except OSError:
            continue
    return None


class Nobody:
    """Another user, with the program installed where he may read but not write."""

    def __init__(self, folder, python, uid=NOBODY):
        self.uid = uid
        self.folder = folder
        self.python = python
        self.app = os.path.join(folder, "app")
        self.home = os.path.join(folder, "home")
        os.chmod(folder, 0o755)
        os.mkdir(self.app)
        os.mkdir(self.home, 0o700)
        copy_bundle(self.app)
        os.chown(self.home, uid, uid)

    def command(self, *words):
        return [self.python, "-W", "error", os.path.join(self.app, "queuectl.py")] + list(words)

    def run(self, *words, code=0, cwd="/", input=b""):
        """Run as that user, without HOME; returns stdout, or the one line of an error."""
        done = subprocess.run(
            self.command(*words),
            input=input,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin"},
            cwd=cwd,
            preexec_fn=lambda: become_nobody(self.uid),
            timeout=60,
        )
        said = done.stderr.decode()
        assert done.returncode == code and not COMPLAINTS.search(said), said
        assert code == 0 or (said.startswith("queuectl: error: ") and said.count("\n") == 1)
        return said if code else done.stdout.decode()


@contextlib.contextmanager
def another(uid=NOBODY):
    """The user *uid*, as Nobody is; skips the test where we cannot act as him."""
    python = python_of_nobody() if os.geteuid() == 0 else None
    if not python:
        pytest.skip("only root can act as another user, who needs a Python")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Nobody(folder, python, uid)
