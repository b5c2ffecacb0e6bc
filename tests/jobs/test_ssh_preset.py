"""The preset ssh, with an ssh that is a shell here: what comes back from a queuectl on the other side."""

import os
import subprocess

import pytest
from helpers.home import SCRIPT
from helpers.marks import posix_only
from helpers.near import Near
from helpers.processes import PYTHON

from queuectl_lib.jobs import launchers
from queuectl_lib.jobs.attempts import CLAIMED_COLUMNS, Claim

pytestmark = posix_only

SSH = """while [ "$1" != -- ]; do shift; done
shift 2; exec sh -c "$*" """


@pytest.fixture
def far(tmp_path, monkeypatch):
    """What runs words there: its exit code, stdout and stderr; the last arguments: the program, and values."""

    def program(name, text):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n%s\n" % text)
        path.chmod(0o755)
        return str(path)

    program("ssh", SSH)
    monkeypatch.setenv("PATH", str(tmp_path / "bin") + os.pathsep + os.environ["PATH"])

    def run(words, text, timeout=None, **more):
        queuectl = program("queuectl of ours", text)
        facts = dict(more, host="me@n1", queuectl=queuectl)
        setting = launchers.check({"far": {"preset": "ssh", "values": facts}}, "launchers")
        row = dict.fromkeys(CLAIMED_COLUMNS)
        row.update(seq=1, is_list=0, id="job", command="", attempts=1, max_retries=0, cwd=str(tmp_path), snoozes=0)
        claim = Claim(row, "f" * 16, 1, 1)
        claim.env, claim.far_token = {"A": "it's \"$x\""}, claim.token
        found = launchers.named(setting, "far").command(claim, words, 1, timeout)
        done = subprocess.run(found, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return run


@pytest.mark.parametrize("timeout, given", [(None, []), (2.5, ["--timeout=3"])])
def test_the_timeout_holds_there_too_for_when_the_line_is_down(far, timeout, given):
    words = far(["true"], "printf '%s\\n' \"$@\"", timeout=timeout)[1].splitlines()
    assert [word for word in words if word.startswith("--timeout")] == given


@pytest.mark.parametrize("code, told", [(0, 0), (1, 1), (75, 75), (254, 254), (255, 254)])
def test_a_code_of_the_job_is_never_that_of_a_lost_line(far, code, told):
    """Joined, it would come back so for ever, and the job never be tried again."""
    assert far(["true"], "exit %d" % code)[0] == told


def test_words_variables_and_directory_come_as_they_are(far, tmp_path):
    words = ["a b", "c'd", "$x", "`y`", "*", "", 'e"f', "g\\h"]
    given = far(words, "printf '<%s>\n' \"$@\"")[1].splitlines()
    assert given[given.index("<-->") + 1 :] == ["<%s>" % word for word in words]
    assert "<--env=A=it's \"$x\">" in given and given[given.index("<--cwd>") + 1] == "<%s>" % tmp_path


def test_what_keeps_it_from_running_there_is_said(far, tmp_path):
    """Else the job here has failed, or waits, and nobody knows why."""
    home = Near(tmp_path / "there")
    os.mkdir(home.path, 0o700)
    text = "exec %s \"$@\"" % " ".join([*PYTHON, SCRIPT, "--home", home.path])
    home.start()
    try:
        code, _, said = far(["true"], text, directory="/no/such/directory")
    finally:
        home.clean_up()
    assert (code, "the directory /no/such/directory does not exist" in said) == (125, True), said
