"""The manual as man and groff show it: every word, at any width, and no warning."""

import os
import shutil
import subprocess

import pytest

from queuectl_lib.commands import COMMANDS, manual

needs_man = pytest.mark.skipif(not shutil.which("man"), reason="man")
needs_groff = pytest.mark.skipif(not shutil.which("groff"), reason="groff")


@needs_man
@pytest.mark.parametrize("width", ["40", "60", "80", "140"])
def test_man_shows_it_without_a_warning(width):
    done = subprocess.run(
        ["man", "--warnings=w", "-l", "-"],
        input=manual.page().encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ, MANWIDTH=width, LC_ALL="C.UTF-8", MANPAGER="cat", MANROFFOPT="-ww", PAGER="cat"),
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode()
    for name in COMMANDS:
        assert "\n   %s\n" % name in shown
    words = " ".join(shown.split())
    assert "queuectl.py add --tag nightly -- rsync -a /data/ backup:/data/" in words
    assert "enqueue '{\"command\": \"echo hello\", \"priority\": 5}'" in words
    prose = [line for line in shown.splitlines() if "queuectl.py " not in line]
    assert width == "40" or max(map(len, prose)) <= int(width), "examples alone stand in one line"


@needs_groff
@pytest.mark.parametrize("device", ["utf8", "ascii", "ps"])
def test_groff_formats_it_without_a_warning(device):
    done = subprocess.run(
        ["groff", "-man", "-T" + device, "-ww"],
        input=manual.page("0").encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
