"""One run of a hook: fed, bounded in time and in what it prints, ended with all that it started."""

import os
import time

import pytest
from helpers.home import contents
from helpers.marks import WINDOWS
from helpers.processes import is_running

from queuectl_lib.host import processes
from queuectl_lib.run import hook_process
from queuectl_lib.store import hook_note

pytestmark = pytest.mark.skipif(WINDOWS, reason="hooks of /bin/sh")
LINES = b'{"event": "dead"}\n' * 60000  # more than any pipe holds


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(hook_process, "LISTENING_SECONDS", 0.2)

    def run(hook, data=b"", seconds=20.0, grace=0.5):
        monkeypatch.setattr(hook_process, "LIMIT_SECONDS", seconds)
        note = hook_note.Note()
        note.token, note.boot = os.urandom(8).hex(), processes.boot_id()
        program = hook_process.Program(hook, str(tmp_path), note, grace)
        ended = program.run(data, {"QUEUECTL_EVENTS": "2", "QUEUECTL_EVENT": "dead"})
        ended.left = program.tree.members()
        ended.note = note
        return ended

    return run


def pids(tmp_path):
    return [int(pid) for pid in contents(str(tmp_path / "pids")).split()]


def test_all_of_a_batch_reaches_its_standard_input(run, tmp_path):
    ended = run("cat > got; echo $QUEUECTL_EVENT $QUEUECTL_EVENTS; echo last >&2; pwd", LINES)
    assert (ended.code, ended.words) == (0, "exit code 0")
    assert ended.lines() == ["dead 2", "last", os.path.realpath(str(tmp_path))]
    assert (tmp_path / "got").read_bytes() == LINES


@pytest.mark.parametrize("hook, code", [("exit 0", 0), ("exec <&-; exit 3", 3), ("head -1 > /dev/null; exit 4", 4)])
def test_one_that_does_not_read_holds_up_nobody(run, hook, code):
    assert run(hook, LINES).code == code


def test_one_that_hangs_is_ended_with_all_that_it_started(run, tmp_path):
    ended = run("trap '' TERM; echo $$ > pids; setsid sleep 300 & echo $! >> pids; sleep 300", LINES, 0.5, 0.2)
    assert (ended.code, ended.sentence()) == (None, "ended after 0 s")
    assert ended.left == [] and not [pid for pid in pids(tmp_path) if is_running(pid)]


def test_what_it_leaves_behind_is_ended_too(run, tmp_path):
    ended = run("sleep 300 & echo $! > pids; (setsid sleep 300 &); echo done", b"")
    assert (ended.code, ended.lines(), ended.left) == (0, ["done"], [])
    assert not [pid for pid in pids(tmp_path) if is_running(pid)]


def test_one_that_prints_without_end_is_listened_to_within_bounds(run):
    began = time.monotonic()
    ended = run("yes", b"", 0.7, 0.2)
    assert ended.code is None and len(ended.output) <= hook_process.KEPT_BYTES and ended.lines() == ["y"] * 5
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    "hook, words",
    [
        (["./none.sh"], "the program ./none.sh does not exist"),
        (["./plain.txt"], "the program ./plain.txt is not executable"),
        (["no-such-program"], "the program no-such-program was not found on PATH"),
        (["./no-format"], "cannot start: Exec format error: a script begins with a line such as #!/bin/sh"),
        ("no-such-program", "exit code 127 (command not found): no-such-program: not found"),
    ],
)
def test_one_that_cannot_start_is_told_in_words(run, tmp_path, hook, words):
    (tmp_path / "plain.txt").write_text("echo")
    (tmp_path / "no-format").write_bytes(b"\x7f nothing")
    os.chmod(str(tmp_path / "no-format"), 0o700)
    ended = run(hook)
    assert ended.code != 0 and ended.sentence().replace("/bin/sh: 1:  ", "").replace("/bin/sh: 1: ", "") == words


def test_a_signal_that_ends_it_is_a_failure(run):
    ended = run("kill -9 $$")
    assert (ended.code, ended.words) == (-9, "killed by SIGKILL")


def test_what_is_left_of_a_run_is_found_by_its_note_and_ended(run, tmp_path):
    found = []
    hook = "echo $$ > pids; sleep 300"
    original = hook_process.Program._wait

    class Killed(Exception):
        pass

    def die(self, child, deadline):
        deadline = time.monotonic() + 10
        while not pids(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.02)
        found.append((child, self.note))
        raise Killed

    hook_process.Program._wait = die
    try:
        with pytest.raises(Killed):
            run(hook)
    finally:
        hook_process.Program._wait = original
    child, note = found[0]
    assert is_running(child.pid)
    assert "pid %d" % child.pid in hook_process.end_left(note, 0.2)
    child.poll()
    assert not is_running(child.pid) and hook_process.end_left(note, 0.2) == ""
    note.boot = "0" * len(note.boot)
    assert hook_process.end_left(note, 0.2) == "", "of another boot nothing is left"
