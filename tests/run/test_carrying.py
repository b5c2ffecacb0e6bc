"""What a job sends to its group, and what is in its environment, meets the command alone, not the shell above it."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from helpers.bundle import ROOT
from helpers.marks import long, needs_proc, posix_only
from helpers.queue import NOW, SETTINGS, claim
from helpers.waiting import wait_until

from queuectl_lib.errors import BadInput
from queuectl_lib.host import shells
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import carrying, launching
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.spare_files import SpareFiles

pytestmark = posix_only
needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
SHELLS = [None] + [pytest.param(name, marks=long) for name in ("dash", "bash", "busybox", "mksh", "yash", "zsh")]


@pytest.fixture(params=SHELLS, ids=lambda name: name or "sh")
def shell(request, tmp_path, monkeypatch):
    """/bin/sh, and in the long run one shell after the other in its place."""
    if request.param:
        found = shutil.which(request.param)
        if not found:
            pytest.skip("there is no %s here" % request.param)
        (tmp_path / "as").mkdir()
        (tmp_path / "as" / "sh").symlink_to(os.path.realpath(found))
        monkeypatch.setattr(launching, "SHELL", str(tmp_path / "as" / "sh"))
    return request.param or "sh"


@pytest.fixture
def worker_env(monkeypatch):
    """Sets variables of the worker's own environment."""

    def be(**variables):
        variables = {name.replace("__dot__", "."): value for name, value in variables.items()}
        monkeypatch.setattr(launching, "worker_environment", lambda: dict(before, **variables))
        forget()

    def forget():
        launching.environment_and_homes.cache_clear()
        launching.carried_of_worker.cache_clear()
        launching.functions_of_worker.cache_clear()

    before = dict(launching.worker_environment())
    yield be
    monkeypatch.undo()
    forget()


def ended(queue, command, **fields):
    """How an attempt at *command* ended."""
    here = os.path.dirname(queue.path)
    queue.enqueue(JobMaker(0, here, 0o022, NOW).row(dict(fields, command=command)))
    attempt = Attempt(queue, claim(queue)[0])
    attempt.start(SETTINGS, SpareFiles(queue))
    return wait_until(attempt.poll, "the end of %r" % (command,))


def ran(queue, command, **fields):
    outcome = ended(queue, command, **fields)
    return outcome.exit_code, (outcome.stdout or b"").decode(), (outcome.stderr or b"").decode()


def script(queue, name, text, mode=0o755):
    path = os.path.join(os.path.dirname(queue.path), name)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


# ---------------------------------------------------------------- no process in between

ENDS_ITS_GROUP = """#!/bin/bash
trap "exit" INT TERM
trap "kill 0" EXIT
tail -f /dev/null &
echo made >> made
exit 0
"""
SENDS_AND_LIVES = """#!/usr/bin/env python3
import os, signal
signal.signal(%d, signal.SIG_IGN)
os.kill(0, %d)
print("alive")
"""


@needs_bash
@pytest.mark.parametrize("how", ["./b.sh", ["./b.sh"], "exec ./b.sh", "cd . && ./b.sh", "echo x >f; ./b.sh >f 2>&1"])
def test_a_script_that_ends_its_group_when_it_exits_is_completed_once(queue, shell, how):
    if shell in ("mksh", "yash", "zsh") and how in ("cd . && ./b.sh", "echo x >f; ./b.sh >f 2>&1"):
        pytest.skip("there a text with several commands is left to sh -c, whatever that does")
    script(queue, "b.sh", ENDS_ITS_GROUP)
    outcome = ended(queue, how)
    assert (outcome.kind, outcome.exit_code) == ("completed", 0)
    with open(os.path.join(os.path.dirname(queue.path), "made")) as file:
        assert file.read() == "made\n"


@pytest.mark.parametrize("number", launching.signals.that_a_group_may_get())
def test_a_signal_that_a_command_sends_to_its_group_ends_nobody_in_its_stead(queue, number):
    script(queue, "s", SENDS_AND_LIVES.replace("#!/usr/bin/env python3", "#!" + sys.executable) % ((int(number),) * 2))
    assert ran(queue, "./s") == (0, "alive\n", "")
    assert ran(queue, ["./s"]) == (0, "alive\n", "")


def test_a_script_without_a_first_line_is_run_by_the_shell(queue, shell):
    script(queue, "plain", "echo $FOO $1\nexit 5\n")
    assert ran(queue, "FOO=foo ./plain 'a  b'") == (5, "foo a b\n", "")
    assert ran(queue, "./plain b >f; cat f") == (0, "b\n", "")
    assert ran(queue, ["./plain", "c"]) == (5, "c\n", "")


def test_what_is_no_program_is_told_as_ever(queue, shell):
    script(queue, "unusable", "x", 0o644)
    os.mkdir(os.path.join(os.path.dirname(queue.path), "folder"))
    for text, code in (
        ("no-such-program", 127),
        ("./none", 127),
        ("./unusable", 126),
        ("./folder", 126),
        ("true; ./none", 127),
    ):
        assert ran(queue, text)[0] == code, text
        if text in ("no-such-program", "./none", "./unusable"):
            assert ran(queue, text, env={"a.b": "c"})[0] == code, "past the watcher"


# ---------------------------------------------------------------- names that are none for a shell


def test_a_variable_with_an_odd_name_arrives_for_lists_and_texts(queue, shell):
    env = {"spring.datasource.url": "x y", "a-b": "", "1": "one", "\u00e9": "\u00e8"}
    code = "import os; print([os.environ.get(n) for n in ('spring.datasource.url', 'a-b', '1', '\\u00e9')])"
    script(queue, "look", "#!%s\n%s\n" % (sys.executable, code))
    for command in (["./look"], "./look", "cd . && ./look && true", "X=y; ./look | cat; exit 0"):
        code, out, _ = ran(queue, command, env=env)
        assert (code, out.encode("utf-8", "backslashreplace")) == (0, "['x y', '', 'one', '\u00e8']\n".encode()), (
            command
        )


@pytest.mark.parametrize("command", [["./look"], "./look", "cd . && ./look && true"], ids=str)
def test_one_of_the_workers_own_environment_arrives_as_well(queue, shell, worker_env, command):
    worker_env(spring__dot__url="of the worker")
    script(queue, "look", "#!%s\nimport os; print(os.environ['spring.url'], os.environ.get('own'))\n" % sys.executable)
    assert ran(queue, command) == (0, "of the worker None\n", "")
    assert ran(queue, command, env={"own": "x", "spring.url": "of the job"}) == (0, "of the job x\n", "")


def test_what_is_carried_leaves_nothing_behind(queue):
    """Neither the names of the way, nor what Python sets for itself, nor signals that it ignores."""
    env = {"a.b": "c", "LC_ALL": ""}
    for command in (["env"], "env", "env; true"):
        _, out, _ = ran(queue, command, env=env)
        names = {line.partition("=")[0] for line in out.splitlines()}
        assert "a.b" in names and not [name for name in names if name.startswith("QUEUECTL_PAST")]
        assert "LC_CTYPE" in names or "LC_CTYPE" not in os.environ
        assert ("LC_CTYPE" in names) == ("LC_CTYPE" in os.environ)


@needs_proc
def test_a_command_behind_the_carrier_has_default_signals_and_its_lock(queue):
    _, out, _ = ran(queue, ["grep", "^Sig", "/proc/self/status"], env={"a.b": "c"})
    found = dict(re.findall(r"^(Sig\w+):\s*(\w+)$", out, re.M))
    assert int(found["SigBlk"], 16) == int(found["SigIgn"], 16) & (1 << 31) - 1 == 0, out
    outcome = ended(queue, ["sh", "-c", "sleep 60 & exit 0"], env={"a.b": "c"})
    assert outcome.leftovers and "sleep" in outcome.leftovers
    for word in outcome.leftovers.replace("pid ", "").split():
        if word.isdigit():
            os.kill(int(word), 9)


@needs_proc
def test_no_process_listing_shows_what_is_carried(queue):
    here = os.path.dirname(queue.path)
    queue.enqueue(JobMaker(0, here, 0o022, NOW).row({"command": ["sleep", "60"], "env": {"a.b": "se-cret"}}))
    attempt = Attempt(queue, claim(queue)[0])
    attempt.start(SETTINGS, SpareFiles(queue))
    seen = set()

    def begun():
        for pid in attempt.tree.members():
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as file:
                    seen.add(file.read())
            except OSError:
                pass
        return any(line.startswith(b"sleep\0") for line in seen)

    wait_until(begun, "the command to begin")
    assert not [line for line in seen if b"se-cret" in line]
    assert attempt.tree.end(1.0) == ""


def test_what_would_be_dropped_is_refused(monkeypatch):
    """Where /bin/sh drops it, and there is no bash."""
    monkeypatch.setattr(shells, "hands_on", lambda shell: False)
    monkeypatch.setattr(shells, "bash", lambda: None)
    maker = JobMaker(0, "/", 0o022, NOW)
    env = {"a.b": "c"}
    for command in ("./x", ["sh", "-c", "x; y"]):
        maker.row({"command": command, "env": env})
    maker.row({"command": "x; y", "env": {"a_b": "c"}})
    with pytest.raises(BadInput, match='env: /bin/sh does not hand "a.b" on to what a text starts'):
        maker.row({"command": "x; y", "env": env})


# ---------------------------------------------------------------- names that a shell heeds

HEEDED = (
    *(
        {"SHELLOPTS": "noexec"},
        {"BASHOPTS": "extdebug"},
        {"BASH_FUNC_[%%": "() { exit 0; }"},
        {"BASH_FUNC_umask%%": "() { exit 0; }"},
    ),
    *({"BASH_FUNC_echo%%": "() { exit 0; }"}, {"BASH_FUNC_exit%%": "() { :; }"}, {"BASH_FUNC_shift%%": "() { :; }"}),
    *(
        {"LD_LIBRARY_PATH": "/nowhere"},
        {"BASH_ENV": "/nowhere", "ENV": "/nowhere"},
        {"PS4": "$(exit 0)", "SHELLOPTS": "xtrace"},
    ),
    *(
        {"KSH_VERSION": "x", "ZSH_VERSION": "y"},
        {"IFS": "0123456789"},
        {"POSIXLY_CORRECT": "1"},
        {"PATH": "/usr/bin:/bin"},
    ),
    *({"SECONDS": "x"}, {"TMOUT": "x"}, {"COLUMNS": "abc"}, {"EPOCHSECONDS": "x", "SRANDOM": "y", "BASH": "z"}),
)


@pytest.mark.parametrize("env", HEEDED, ids=lambda env: " ".join(env))
def test_no_variable_of_a_job_makes_its_watcher_tell_what_is_not_so(queue, shell, env):
    assert ran(queue, [sys.executable, "-c", "import sys; sys.exit(7)"], env=env) == (7, "", "")
    assert ran(queue, ["false"], env=env)[0] == 1
    if "SHELLOPTS" not in env:
        assert ran(queue, "%s -c 'import sys; sys.exit(7)'" % sys.executable, env=env)[0] == 7


@pytest.mark.parametrize("env", HEEDED[:9], ids=lambda env: " ".join(env))
def test_every_variable_of_a_job_reaches_its_program_as_it_was_given(queue, shell, env):
    code = "import json, os; print(sorted((k, v) for k, v in os.environ.items() if k in %r))" % sorted(env)
    script(queue, "look", "#!%s\n%s\n" % (sys.executable, code))
    assert ran(queue, ["./look"], env=env) == (0, "%r\n" % sorted(env.items()), "")


@needs_bash
def test_a_function_of_bash_in_a_jobs_environment_is_there_for_its_text(queue, tmp_path, monkeypatch):
    (tmp_path / "sh").symlink_to(os.path.realpath(shutil.which("bash")))
    monkeypatch.setattr(launching, "SHELL", str(tmp_path / "sh"))
    for text in ("greet x", "true && greet x"):
        assert ran(queue, text, env={"BASH_FUNC_greet%%": "() { echo hello $1; }"}) == (0, "hello x\n", "")


@needs_bash
def test_functions_of_the_workers_own_bash_are_handed_on_by_it_at_no_cost(queue, tmp_path, monkeypatch, worker_env):
    """As environment modules have them: BASH_FUNC_module%%."""
    (tmp_path / "sh").symlink_to(os.path.realpath(shutil.which("bash")))
    monkeypatch.setattr(launching, "SHELL", str(tmp_path / "sh"))
    worker_env(**{"BASH_FUNC_module%%": "() { echo loaded $1; }"})
    monkeypatch.setattr(carrying, "carrier", lambda shell: ["/nowhere"])
    assert ran(queue, "module x") == (0, "loaded x\n", "")
    assert ran(queue, ["bash", "-c", "module y"]) == (0, "loaded y\n", "")


@needs_bash
def test_one_that_is_named_like_what_the_watcher_uses_is_kept_from_it(queue, tmp_path, monkeypatch, worker_env):
    (tmp_path / "sh").symlink_to(os.path.realpath(shutil.which("bash")))
    monkeypatch.setattr(launching, "SHELL", str(tmp_path / "sh"))
    worker_env(**{"BASH_FUNC_umask%%": "() { exit 0; }"})
    assert ran(queue, ["false"])[0] == 1
    assert ran(queue, "echo x; exit 4") == (4, "x\n", "")


@needs_bash
@pytest.mark.parametrize("options", [{"SHELLOPTS": "noexec"}, {"SHELLOPTS": "braceexpand:errexit"}])
@pytest.mark.parametrize("odd", [{"a__dot__b": "1"}, {"BASH_FUNC_ml%%": "() { :; }"}, {}], ids=str)
def test_what_only_bash_heeds_changes_no_text_that_sh_runs(queue, shell, worker_env, options, odd):
    """As a script with `set -e; export SHELLOPTS` starts the workers, where environment modules export functions."""
    if shells.hands_on(launching.SHELL):
        pytest.skip("this sh heeds it as well")
    worker_env(**options, **odd)
    assert ran(queue, "false; echo ran; exit 3") == (3, "ran\n", "")
    assert ran(queue, "false; echo $X; exit 3", env={"X": "own"}) == (3, "own\n", "")


@needs_bash
def test_a_function_of_bash_changes_no_text_that_sh_runs(queue, shell):
    if shells.hands_on(launching.SHELL):
        pytest.skip("this sh takes it for a function")
    env = {"BASH_FUNC_touch%%": "() { echo fake; }", "a.b": "c"}
    code = "import os; print(os.path.exists('made'), sorted(set(os.environ) & %r))" % set(env)
    script(queue, "look", "#!%s\n%s\n" % (sys.executable, code))
    assert ran(queue, "touch made; ./look", env=env) == (0, "True %r\n" % sorted(env), "")


def test_what_neither_sh_nor_bash_could_hand_on_is_refused(monkeypatch):
    monkeypatch.setattr(shells, "hands_on", lambda shell: False)
    monkeypatch.setattr(shells, "bash", lambda: "/bin/bash")
    maker = JobMaker(0, "/", 0o022, NOW)
    for env in ({"a.b": "c"}, {"SHELLOPTS": "errexit"}):
        maker.row({"command": "x; y", "env": env})
    both = {"a.b": "c", "SHELLOPTS": "errexit"}
    maker.row({"command": ["x", "y"], "env": both})
    with pytest.raises(BadInput, match='env: /bin/sh does not hand "a.b" on'):
        maker.row({"command": "x; y", "env": both})


# ---------------------------------------------------------------- bash as /bin/sh


@pytest.mark.parametrize("which", ["not long", pytest.param("long", marks=long)])
def test_what_holds_of_running_holds_with_bash_as_sh_too(tmp_path, which):
    """The product names /bin/sh: a mount of our own puts bash there."""
    bash, sh = shutil.which("bash"), os.path.realpath("/bin/sh")
    if not bash or os.path.realpath(bash) == sh:
        pytest.skip("there is no bash here, or it is sh already")
    within = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', os.path.realpath(bash), sh]
    try:
        if subprocess.run(within + ["true"], stderr=subprocess.DEVNULL).returncode:
            pytest.skip("nothing can be mounted here")
    except OSError:
        pytest.skip("there is no unshare here")
    probe = subprocess.run(within + ["/bin/sh", "-c", "echo $BASH_VERSION"], stdout=subprocess.PIPE)
    assert probe.stdout.strip(), "bash is sh there"
    left_out = (
        "delayed or higher or two_workers or one_worker or claimed_ahead or holds_with_bash or big_output or group_ends"
    )
    call = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "inner")]
    call += ["-m", which, "-k", "not (%s)" % left_out]
    call += [os.path.join(ROOT, "tests", "run", name) for name in ("test_running.py", "test_carrying.py")]
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run(within + call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, env=env)
    assert done.returncode == 0, done.stdout.decode()[-5000:]
