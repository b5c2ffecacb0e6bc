"""Text ends as it does under `sh -c`: with the same code, and with the same output."""

import os
import re
import shutil
import subprocess

import pytest
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS, claim
from helpers.waiting import wait_until

from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import launching
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.spare_files import SpareFiles

pytestmark = posix_only

PROGRAM = "/bin/sh -c 'echo ran'"
TEXTS = (
    # An error in what is inserted ends a shell; bash then says 127, and a fork of bash says 1.
    *("set -u; echo $NOPE", 'set -u; echo a; echo "$NOPE"; echo b', "set -u; x=$NOPE; echo b", "set -u; echo $1"),
    *("set -eu; %s $NOPE" % PROGRAM, "set -o nounset\necho $NOPE\ntrue", "set -u; echo ${NOPE-}; cat $NOPE; echo c"),
    *("set -u; if [ $NOPE = x ]; then echo b; fi", "set -u; echo > $NOPE; echo b", "set -u; exit $NOPE"),
    *("s''et -u; echo $NOPE; true", "x=set; $x -u; echo $NOPE; true", "set -u; echo $(echo $NOPE); echo b"),
    *("echo ${NOPE?is not set}", "%s ${NOPE?x}" % PROGRAM, ": ${NOPE:?x}; echo y", "echo ${NOPE?x} & wait $!; echo $?"),
    *("echo one; echo ${NOPE?x} > f; echo two", "echo $(echo ${NOPE?x}); echo b", "echo ${1x}", "echo ${1=x}; echo b"),
    *(
        "echo $((1/0))",
        "x=$((1/0)); echo b",
        "%s $((1/0))" % PROGRAM,
        "echo $((08))",
        "echo $((1 +))",
        "echo $((1 + 1))",
    ),
    *("readonly x=1; x=2; echo b", "readonly x=1; unset x; echo b", "readonly x=1; for x in 1 2; do echo $x; done"),
    *("UID=5; echo b", "shift 5; echo b", "exit x; echo b", "return 3; echo b", "export 1x; echo b", "set -z; echo b"),
    *(": > /nope/x; echo b", "exec < /nope; echo b", "exec nope; echo b", "exec nope || echo b", "cat < /nope; echo b"),
    # A trap, whatever its name is put together from.
    *("%s 'echo bye' EXIT; %s" % (word, PROGRAM) for word in ("tr''ap", '"trap"', "tr\\ap", "\\trap", "x=tra; ${x}p")),
    *("%s 'echo bye' EXIT; %s" % (word, PROGRAM) for word in ("x=trap; $x", "$(echo tra)p", "co''mmand tr''ap")),
    *("ev''al \"tr''ap 'echo bye' EXIT\"; %s" % PROGRAM, "trap 'echo bye' EXIT; %s" % PROGRAM, "al''ias x=echo; x a"),
    # What is no command, or no redirection, at second sight.
    *(
        "then",
        "do",
        "else",
        "esac",
        "fi",
        "if true; echo a; fi",
        "echo a 2>& 1",
        "echo a; >&1 %s" % PROGRAM,
        "echo a |",
    ),
    *("nope", "nope; echo $?", "./nope; echo b", "/tmp", "set -e; nope; echo b", "set -e; false; echo b", "nope | cat"),
    # What a shell says of itself.
    *(
        "echo $LINENO",
        "echo a\necho $LINENO",
        "echo $BASH_SUBSHELL",
        "echo $BASH_EXECUTION_STRING",
        "echo $#",
        "echo $-",
    ),
    *("exec 2>&1; set -x; x=1; %s $x" % PROGRAM, "set a b; echo $@", "echo $SHLVL", "kill -QUIT 0; echo b"),
)


@pytest.fixture(params=["dash", "bash", "busybox", "mksh", "yash"])
def shell(request, tmp_path, monkeypatch):
    """One shell after the other in place of /bin/sh, and called by that name."""
    found = shutil.which(request.param)
    if not found:
        pytest.skip("there is no %s here" % request.param)
    (tmp_path / "as").mkdir()
    path = tmp_path / "as" / "sh"
    path.symlink_to(os.path.realpath(found))
    monkeypatch.setattr(launching, "SHELL", str(path))
    return str(path)


def as_a_job(queue, text, cwd):
    queue.enqueue(JobMaker(0, str(cwd), 0o022, NOW).row({"command": text}))
    attempt = Attempt(queue, claim(queue)[0])
    attempt.start(SETTINGS, SpareFiles(queue))
    outcome = wait_until(attempt.poll, "the end of %r" % text)
    attempt.discard()
    return outcome.exit_code, outcome.stdout or b""


def as_it_is(shell, text, cwd):
    done = subprocess.run(
        [shell, "-c", text],
        cwd=str(cwd),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return done.returncode if done.returncode >= 0 else 128 - done.returncode, done.stdout


def test_every_text_ends_as_it_does_under_sh_c(queue, tmp_path, shell):
    found = [(text, as_a_job(queue, text, tmp_path), as_it_is(shell, text, tmp_path)) for text in TEXTS]
    different = ["%r: %s as a job, %s as it is" % one for one in found if one[1] != one[2]]
    assert not different, "\n".join(different)


def test_an_error_names_the_line_of_the_text_as_under_sh_c(queue, tmp_path, shell):
    text = "exec 2>&1\necho b\nnope\ntrue"
    said = [as_a_job(queue, text, tmp_path), as_it_is(shell, text, tmp_path)]
    job, plain = (re.findall(rb"(?:line |: )(\d+):", output) for _, output in said)
    assert job == plain or not plain, said  # where it names none, what `eval` adds may
