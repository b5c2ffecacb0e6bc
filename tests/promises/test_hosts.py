"""Hosts: other shells as /bin/sh, bare and odd environments, other users, Pythons called with any flag."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import pytest
from helpers.bundle import BUNDLE, copy_bundle
from helpers.home import COMPLAINTS, SCRIPT, Home, contents, through_a_shell
from helpers.marks import long, posix_only
from helpers.queue import NOW, SETTINGS, claim
from helpers.users import NOBODY
from helpers.waiting import wait_until

from queuectl_lib.jobs import command_text
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import launching, run_file
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.spare_files import SpareFiles

pytestmark = posix_only
needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="there is no /proc to look into")


# ---------------------------------------------------------------- the shell that watches a job

SHELLS = ["dash", "bash", "busybox", "mksh", "yash", "zsh"]
QUICK = SETTINGS.but(grace=0.3)


@pytest.fixture(params=SHELLS)
def shell(request, tmp_path, monkeypatch):
    """One shell after the other in place of /bin/sh, and called by that name."""
    found = shutil.which(request.param)
    if not found:
        pytest.skip("there is no %s here" % request.param)
    folder = tmp_path / "as"
    folder.mkdir()
    (folder / "sh").symlink_to(os.path.realpath(found))
    monkeypatch.setattr(launching, "SHELL", str(folder / "sh"))
    return request.param


def started(queue, command, **fields):
    """An attempt at *command*, under way."""
    maker = JobMaker(3, os.path.dirname(queue.path), 0o027, NOW)
    queue.enqueue(maker.row(dict(fields, command=command)))
    attempt = Attempt(queue, claim(queue)[0])
    attempt.start(QUICK, SpareFiles(queue))
    return attempt


def finished(attempt):
    return wait_until(attempt.poll, "the end of %r" % (attempt.claim.command,))


def ran(queue, command, **fields):
    """How an attempt at *command* ended: exit code, stdout, stderr."""
    outcome = finished(started(queue, command, **fields))
    assert outcome.leftovers is None
    return outcome.exit_code, (outcome.stdout or b"").decode(), (outcome.stderr or b"").decode()


@long
def test_every_shell_keeps_exit_code_streams_and_arguments(shell, queue):
    assert ran(queue, "echo out; echo err >&2; cat; exit 3") == (3, "out\n", "err\n")
    assert ran(queue, "echo $# \"$*\" 'a b' $((1 + 1)); umask -S") == (0, "0  a b 2\nu=rwx,g=rx,o=\n", "")
    assert ran(queue, "set -eu; trap 'echo bye' EXIT; false; echo no") == (1, "bye\n", "")
    assert ran(queue, 'test "$$" -gt 1 && exit 5') == (5, "", "")
    words = ["printf", "%s|", "a b", "$HOME", ";", "*", "", "-n", "--", "'\""]
    assert ran(queue, words) == (0, "a b|$HOME|;|*||-n|--|'\"|", "")
    assert ran(queue, "no-such-command-here")[0] == 127


@long
def test_every_shell_runs_one_builtin_as_it_would_alone_and_tells_its_status(shell, queue):
    for command, result in (
        ("true", (0, "", "")),
        ("false", (1, "", "")),
        ("echo 'a  b' c", (0, "a  b c\n", "")),
        ("echo x=y", (0, "x=y\n", "")),
        ("test -d /nowhere", (1, "", "")),
    ):
        assert command_text.ONE_BUILTIN.match(command)
        attempt = started(queue, command)
        outcome = finished(attempt)
        assert (outcome.exit_code, (outcome.stdout or b"").decode(), (outcome.stderr or b"").decode()) == result
        assert attempt.status()["exit"] == str(result[0])


@long
def test_no_option_that_a_shell_takes_from_the_environment_changes_a_result(shell, queue):
    env = {"SHELLOPTS": "nounset:errexit:noglob", "POSIXLY_CORRECT": "1"}
    assert ran(queue, "false", env=env)[0] == 1
    assert ran(queue, "exit 3", env=env) == (3, "", "")


@long
def test_no_shell_takes_a_command_that_begins_with_a_dash_for_an_option(shell, queue, tmp_path):
    odd = tmp_path / "-odd"
    odd.write_text('#!/bin/sh\necho "odd $1"\n')
    odd.chmod(0o755)
    env = {"PATH": "%s:%s" % (tmp_path, os.environ["PATH"])}
    assert ran(queue, "-odd text", env=env) == (0, "odd text\n", "")
    assert ran(queue, "-odd $(test $$ -gt 1 && echo text)", env=env) == (0, "odd text\n", "")
    assert ran(queue, ["-odd", "list"], env=env) == (0, "odd list\n", "")


@long
def test_no_shell_dies_of_a_syntax_error_before_it_has_told_the_status(shell, queue):
    for command in ("if", "echo 'open", "echo $(", "case x in"):
        attempt = started(queue, command)
        code, error = finished(attempt).exit_code, attempt.status()
        assert code > 0 and error["exit"] == str(code), command


@long
def test_every_shell_tells_the_signal_that_ended_a_command_and_adds_no_word_to_its_output(shell, queue):
    for command in ("kill -KILL $$", ["/bin/sh", "-c", "kill -KILL $$"], "ulimit -c 0; exec sh -c 'kill -KILL $$'"):
        outcome = finished(started(queue, command))
        assert (outcome.signal, outcome.exit_code, outcome.stderr) == ("SIGKILL", 137, None), command


@long
def test_every_shell_outlives_the_signals_that_end_its_command(shell, queue):
    deaf = "trap '' TERM HUP; echo up; while :; do sleep 0.05; done"
    for command, codes in (("echo up; sleep 60", [143]), (deaf, [137, -9])):
        attempt = started(queue, command)
        wait_until(lambda path=attempt.paths["out"]: contents(path) == "up\n", "the command to be up")
        attempt.end("cancelled", "cancelled while it ran")
        outcome = finished(attempt)
        assert (outcome.kind, outcome.leftovers, attempt.tree.members()) == ("cancelled", None, [])
        assert attempt.leader_ended() and attempt.code in codes


@long
@needs_proc
def test_under_every_shell_a_command_has_default_signals_and_nothing_open_but_its_lock(shell, queue):
    for command in ("grep ^Sig /proc/self/status; ls -l /proc/self/fd", "grep ^Sig /proc/self/status; echo $$"):
        _, out, _ = ran(queue, command)
        signals = dict(re.findall(r"^(Sig\w+):\s*(\w+)$", out, re.M))
        assert int(signals["SigBlk"], 16) == int(signals["SigIgn"], 16) & (1 << 31) - 1 == 0, out
        opened = [line.rpartition(" -> ")[2] for line in out.splitlines() if queue.folder.path in line]
        assert {name.rpartition(".")[2] for name in opened} <= {"out", "err", "run"}


@long
@needs_proc
def test_under_every_shell_what_a_command_inherits_cannot_write_its_evidence(shell, queue):
    """A lock works on a descriptor that is open for reading, too."""
    code = "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'exit 0\\n')\n    except OSError: pass"
    for command in ("echo 'exit 0' >&9", [sys.executable, "-c", code], "echo $$ >&9; echo 'exit 0' >&9; false"):
        attempt = started(queue, command)
        finished(attempt)
        lines = contents(attempt.run_path).splitlines()
        assert [line.split()[0] for line in lines] == ["start", "pid", "exit"], lines
    _, flags, _ = ran(queue, "grep ^flags /proc/self/fdinfo/9")
    assert int(flags.split()[1], 8) & os.O_ACCMODE == os.O_RDONLY
    assert ran(queue, ["sh", "-c", "ls /proc/self/fd/3 2>&1; ls /proc/$$/fd"])[1].split()[-1:] == ["9"]


@long
def test_under_every_shell_what_a_command_left_running_holds_its_lock(shell, queue):
    attempt = started(queue, "sleep 60 & echo done")
    outcome = finished(attempt)
    assert (outcome.kind, queue.folder.attempt_is_held(attempt.claim.token)) == ("completed", True)
    assert run_file.tree_of(attempt.claim.token, attempt.run_path).end(1.0) == ""
    assert not queue.folder.attempt_is_held(attempt.claim.token)


@long
def test_every_shell_leaves_the_status_to_whoever_adopts_the_job(shell, queue):
    attempt = started(queue, "while [ ! -e go ]; do sleep 0.02; done; exit 3")
    child = attempt.child
    attempt.forget()
    adopted = Attempt(queue, attempt.claim)
    adopted.adopt(NOW, QUICK)
    assert adopted.poll() is None
    with open(os.path.join(os.path.dirname(queue.path), "go"), "w"):
        pass
    assert finished(adopted).exit_code == 3
    os.waitpid(child.pid, 0)


# ---------------------------------------------------------------- bare and odd environments


def bare(home, *words, flags=(), env=None, code=0, script=SCRIPT, **options):
    """What a call prints with nothing in its environment but *env*; it may complain of nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error"] + list(flags) + [script, "--home", str(home)] + list(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env or {},
        timeout=60,
        **options,
    )
    said = done.stderr.decode("utf-8", "replace")
    assert not COMPLAINTS.search(said), said
    assert done.returncode == code, said
    if code in (2, 3):
        assert said.startswith("queuectl: error: ") and said.count("\n") == 1
        return said
    return done.stdout.decode("utf-8", "surrogateescape")


def whole_life(home, **how):
    """Enqueue, run and look at a job beyond ASCII; returns what it printed."""
    job = bare(home, "add", "echo caf\u00e9; pwd", **how).strip()
    bare(home, "worker", "start", "--drain", **how)
    assert "completed" in bare(home, "list", **how)
    bare(home, "show", job, **how)
    bare(home, "status", "--json", **how)
    return bare(home, "logs", job, **how)


FLAGS = ["", "-I", "-I -S -E -B", "-O", "-OO", "-bb", "-X dev", "-X utf8=0", "-P", "-X warn_default_encoding"]


@long
@pytest.mark.parametrize("flags", FLAGS)
def test_it_runs_under_every_flag_of_python(tmp_path, flags):
    if subprocess.run([sys.executable] + flags.split() + ["-c", ""], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this Python does not know %s" % flags)
    assert whole_life(tmp_path / "home", flags=flags.split(), cwd="/") == "caf\u00e9\n/\n"


ENVIRONMENTS = [
    {},  # as env -i leaves it: no PATH, no HOME
    {"LC_ALL": "C"},
    {"LANG": "de_DE.UTF-8"},
    {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp1252"},
    {"PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "PATH": "/nonexistent"},
    {"PYTHONWARNDEFAULTENCODING": "1"},
    {"TZ": "Asia/Kolkata", "COLUMNS": "x", "TERM": "no-such-terminal"},
]


@long
@pytest.mark.parametrize("env", ENVIRONMENTS, ids=lambda env: " ".join(sorted(env)) or "empty")
def test_it_runs_in_every_environment_and_makes_no_directory_named_tilde(tmp_path, env):
    here = tmp_path / "here"
    here.mkdir()
    assert whole_life(tmp_path / "home", env=env, cwd=str(here)) == "caf\u00e9\n%s\n" % os.path.realpath(str(here))
    assert os.listdir(str(here)) == []


def with_strict_python(home):
    """The same home, called by a Python with its site module, to which every warning is an error."""
    strict = Home(home.path)
    strict.python = [sys.executable, "-W", "error"]
    return strict


@long
@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
@pytest.mark.parametrize("way", ["--drain", "--background"])
def test_workers_start_with_closed_or_full_streams_and_their_jobs_have_whole_ones(home, redirection, way):
    if "full" in redirection and not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    job = home.add("cat; echo out; echo err >&2")
    done = through_a_shell(with_strict_python(home), redirection, "worker", "start", way)
    assert done.returncode == 0 and not COMPLAINTS.search(done.stderr.decode())
    home.wait_for_state(job, "completed")
    history = home.job(job)["history"]
    assert [(one["stdout"], one["stderr"]) for one in history] == [("out\n", "err\n")]
    home.run("worker", "stop")


def test_reading_jobs_from_a_closed_standard_input_is_told(home):
    done = through_a_shell(with_strict_python(home), "<&-", "enqueue", "-")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"queuectl: error: no job was given: nothing was added\n"


def test_a_directory_that_is_not_utf8_is_refused_in_words(tmp_path):
    odd = os.path.join(os.fsencode(str(tmp_path)), b"caf\xe9")
    try:
        os.mkdir(odd)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    copy_bundle(os.fsdecode(odd), used_by=sys.executable)
    home, inside = str(tmp_path / "home"), os.path.join(os.fsdecode(odd), "queuectl.py")
    assert "the current directory" in bare(home, "add", "true", code=2, cwd=odd)
    assert "the current directory" in bare("sub", "list", code=2, cwd=odd)
    assert "--home" in bare(os.fsdecode(odd), "list", code=2)
    os.symlink(odd, home + "-link")
    assert "path of the database" in bare(home + "-link", "add", "true", code=2)
    assert bare(home, "add", "true", "--cwd", "/", cwd=odd) != ""
    bare(home, "worker", "start", "--drain", cwd=odd, script=inside)
    assert "completed" in bare(home, "list", cwd=odd, script=inside)
    assert sorted(os.listdir(odd)) == sorted(name.encode() for name in BUNDLE + ("__pycache__",))


def test_a_deleted_current_directory_hinders_only_what_needs_it(home, tmp_path):
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'

    def run(*words):
        gone = tempfile.mkdtemp(dir=str(tmp_path))
        call = ["/bin/sh", "-c", script, "sh", gone] + home.command(*words)
        return subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)

    job = home.add("pwd", "--cwd", "/")
    for words in (["status"], ["add", "true", "--cwd", "/"], ["worker", "start", "--background"], ["worker", "stop"]):
        done = run(*words)
        assert done.returncode == 0 and not COMPLAINTS.search(done.stderr.decode()), done.stderr
    assert home.run("logs", job).stdout == "/\n"
    assert run("add", "true").returncode == 3


def test_it_is_found_through_links_and_as_a_module(tmp_path):
    real = tmp_path / "r\u00e9al place"
    (real / "bin").mkdir(parents=True)
    copy_bundle(real, used_by=sys.executable)
    (real / "bin" / "q").symlink_to("../queuectl.py")
    (tmp_path / "q2").symlink_to(real / "bin" / "q")
    database = os.path.join(os.path.realpath(str(real)), "queuectl.db")
    for words, cwd in (([str(tmp_path / "q2")], tmp_path), (["bin/q"], real), (["-m", "queuectl"], real)):
        call = [sys.executable, "-W", "error"] + words
        assert subprocess.check_output(call + ["add", "true", "--quiet"], cwd=str(cwd), env={}) == b""
        said = subprocess.check_output(call + ["status", "--json"], cwd=str(cwd), env={})
        assert json.loads(said.decode())["database"] == database
        subprocess.check_call(call + ["worker", "start", "--drain"], cwd=str(cwd), env={}, stderr=subprocess.DEVNULL)
    assert sorted(os.listdir(str(tmp_path))) == ["q2", real.name]


# ---------------------------------------------------------------- other users


def test_another_user_runs_a_read_only_installation_with_a_home_of_his_own(nobody):
    job = nobody.run("--home", nobody.home, "add", "id -u; echo ${HOME-none}").strip()
    nobody.run("--home", nobody.home, "worker", "start", "--background", "--drain")
    nobody.run("--home", nobody.home, "wait", job, "--timeout", "20")
    assert nobody.run("--home", nobody.home, "logs", job) == "%d\nnone\n" % NOBODY
    assert sorted(os.listdir(nobody.app)) == sorted(BUNDLE)


def test_without_a_home_of_his_own_another_user_is_told_what_cannot_be_written(nobody):
    assert nobody.run("list") == ""
    for words in (["add", "true"], ["initdb"], ["worker", "start"], ["config", "set", "grace", "1"]):
        assert nobody.app in nobody.run(*words, code=3)
    assert sorted(os.listdir(nobody.app)) == sorted(BUNDLE)


def test_another_users_queue_can_neither_be_read_nor_worked(nobody):
    mine = os.path.join(nobody.folder, "mine")
    subprocess.check_call([sys.executable, SCRIPT, "--home", mine, "add", "true", "--quiet"])
    os.chmod(mine, 0o755)
    for words in (["list"], ["add", "true"], ["worker", "start"], ["worker", "list"], ["prune"]):
        assert "mine" in nobody.run("--home", mine, *words, code=3)


def test_a_current_directory_that_may_not_be_entered_fails_the_job_in_words(nobody):
    closed = os.path.join(nobody.folder, "closed")
    os.mkdir(closed, 0o000)
    job = nobody.run("--home", nobody.home, "add", "true", "--max-retries", "0", cwd=closed).strip()
    nobody.run("--home", nobody.home, "worker", "start", "--drain", cwd=closed)
    shown = nobody.run("--home", nobody.home, "show", job, cwd=closed)
    assert "the directory %s may not be entered" % closed in shown
