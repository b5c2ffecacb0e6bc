"""A job that opens its own output by name erases nothing; where it does, that is noticed and told."""

import json
import os
import shutil
import sys

import pytest
from helpers.home import contents
from helpers.marks import long, needs_proc, posix_only
from helpers.processes import end_process, is_running
from helpers.queue import NOW, SETTINGS, claim, in_full
from helpers.waiting import wait_until

from queuectl_lib.host import locks
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import launching, output_files, output_streams
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.spare_files import SpareFiles
from queuectl_lib.store import folder, looking


@pytest.fixture
def home(near):
    return near


pytestmark = [posix_only, needs_proc]

FOUR = 'echo first >&2; echo second >&2; echo "third by name" > /dev/stderr; echo fourth >&2'
# A program that does it by itself: nothing in the command says so.
BY_ITSELF = (
    "import sys, time\nout = lambda text: (sys.stdout.write(text), sys.stdout.flush())\nout('first\\nsecond\\n')\n"
    "open('/dev/std' + 'out', 'w').close()\nwith open('/proc/self/' + 'fd/1', 'a') as file: file.write('third\\n')\n"
)


def started(queue, command, settings=SETTINGS, **fields):
    queue.enqueue(JobMaker(0, os.path.dirname(queue.path), 0o022, NOW).row(dict(fields, command=command)))
    attempt = Attempt(queue, claim(queue)[0])
    attempt.start(settings, SpareFiles(queue))
    return attempt


def ended(attempt):
    return wait_until(attempt.poll, "the end of %r" % (attempt.claim.command,))


def keepers_gone(attempt):
    return not any(locks.is_held(attempt.paths[kind]) for kind in folder.OUTPUTS)


def test_what_a_job_writes_to_its_output_by_name_stands_beside_the_rest(queue):
    assert ended(started(queue, FOUR)).stderr == b"first\nsecond\nthird by name\nfourth\n"
    for command in ("echo a; echo b | tee /dev/stderr; echo c", ["sh", "-c", "echo a; echo b >/dev/fd/1; echo c"]):
        outcome = ended(started(queue, command))
        assert (outcome.stdout, outcome.erased) == (b"a\nb\nc\n", None)
    assert ended(started(queue, "echo a; echo b >/proc/self/fd/1; echo c")).stdout == b"a\nb\nc\n"


@long
@pytest.mark.parametrize("name", ["dash", "bash", "busybox", "mksh", "yash", "zsh"])
def test_it_does_with_every_shell(name, queue, tmp_path, monkeypatch):
    if not shutil.which(name):
        pytest.skip("there is no %s here" % name)
    (tmp_path / "sh").symlink_to(os.path.realpath(shutil.which(name)))
    monkeypatch.setattr(launching, "SHELL", str(tmp_path / "sh"))
    attempt = started(queue, FOUR)
    assert ended(attempt).stderr == b"first\nsecond\nthird by name\nfourth\n"
    assert keepers_gone(attempt)


def test_a_job_can_ask_for_pipes(queue):
    words = [sys.executable, "-c", BY_ITSELF]
    assert ended(started(queue, words, pipe_output=True)).stdout == b"first\nsecond\nthird\n"


def test_all_that_was_written_is_there_when_the_attempt_ends_and_its_keepers_are_gone(queue):
    attempt = started(queue, "head -c 3000000 /dev/zero >/dev/stdout; head -c 2000000 /dev/zero >&2; exit 3")
    outcome = ended(attempt)
    assert (outcome.exit_code, outcome.stdout_bytes, outcome.stderr_bytes) == (3, 3000000, 2000000)
    assert (outcome.leftovers, keepers_gone(attempt)) == (None, True)


def test_a_background_child_that_holds_the_pipe_does_not_keep_the_attempt_open(queue):
    attempt = started(queue, "sleep 60 & echo $! >/dev/stdout")
    outcome = wait_until(attempt.poll, "the end", 10)
    with open(attempt.paths["out"]) as file:
        left = int(file.read())
    try:
        assert outcome.leftovers == "pid %d (sleep)" % left, "and no keeper"
        assert is_running(left)
    finally:
        end_process(left)
    wait_until(lambda: keepers_gone(attempt), "the keepers to end with it")


def test_last_words_at_a_timeout_are_kept(queue):
    text = "trap 'echo bye >/dev/stderr; exit 1' TERM; echo hello >/dev/stdout; while :; do sleep 0.05; done"
    attempt = started(queue, text, timeout=0.5)
    outcome = ended(attempt)
    assert (outcome.kind, outcome.stdout) == ("timed out", b"hello\n")
    assert outcome.stderr.endswith(b"bye\n"), "sh may say before that its sleep was terminated"
    assert keepers_gone(attempt)


def test_a_job_with_pipes_outlives_its_worker_with_all_its_output(home):
    job = home.add(
        "echo one >/dev/stderr; while [ ! -e go ]; do sleep 0.03; done; echo two >/dev/stderr", "--cwd", home.path
    )
    process = home.start()
    home.wait_for_state(job, "processing")
    token = wait_until(lambda: looking.processing(home.queue.database), "the job")[0]["token"]
    wait_until(lambda: "one" in contents(home.queue.folder.attempt_path(token, "err")), "its first word")
    for member in home.workers():
        end_process(member["pid"])
    process.kill()
    process.wait()
    home.start()
    with open(os.path.join(home.path, "go"), "w"):
        pass
    home.wait_for_state(job, "completed")
    assert home.run("logs", job).stderr == "one\ntwo\n"


# ---------------------------------------------------------------- noticed


def test_a_job_that_erased_its_own_output_is_told_of(home):
    job = home.run("add", "--id", "erasing", "--", sys.executable, "-c", BY_ITSELF.replace("third\\n", "3")).id
    kept = home.run("add", "--pipe-output", "--id", "kept", "--", sys.executable, "-c", BY_ITSELF).id
    home.drain()
    told = "the job erased a part of its stdout, which it opened by name: --pipe-output avoids that"
    assert told in home.run("show", job).stdout
    assert told in home.run("logs", job).stderr
    assert in_full(home.queue, job)["history"][0]["erased"] == "stdout"
    assert home.run("logs", kept).stdout == "first\nsecond\nthird\n"
    assert "erased" not in home.run("show", kept).stdout + home.run("logs", kept).stderr


def test_output_that_shrank_between_two_looks_is_noticed_also_where_it_grew_again(queue):
    code = "import os, sys, time\nos.write(2, b'x' * 100)\nopen('a', 'w').close()\n"
    code += "while not os.path.exists('b'): time.sleep(0.01)\n"
    code += "open('/dev/std' + 'err', 'w').close(); os.write(2, b'y')"
    attempt = started(queue, [sys.executable, "-c", code])
    here = os.path.dirname(queue.path)
    wait_until(lambda: os.path.exists(os.path.join(here, "a")), "it to have written")
    attempt.bound_output()
    with open(os.path.join(here, "b"), "w"):
        pass
    assert ended(attempt).erased == "stderr"


@pytest.mark.parametrize("size", [3, 32 * 1024, 100000])
@pytest.mark.parametrize("fate", ["elsewhere for a moment", "swept"])
def test_output_is_kept_where_its_file_is_not_at_its_place_when_the_job_ends(queue, fate, size):
    attempt = started(queue, "head -c %d /dev/zero; touch a; while [ ! -e b ]; do sleep 0.02; done" % size)
    here, place = os.path.dirname(queue.path), queue.folder.attempts
    wait_until(lambda: os.path.exists(os.path.join(here, "a")), "it to have written")
    if fate == "swept":
        os.unlink(attempt.paths["out"])
    else:
        os.rename(place, place + ".elsewhere")
    with open(os.path.join(here, "b"), "w"):
        pass
    outcome = ended(attempt)
    if fate != "swept":
        os.rename(place + ".elsewhere", place)
    assert (outcome.kind, outcome.stdout_bytes) == ("completed", size)
    small = size <= output_files.INLINE_BYTES and os.path.isdir("/proc/self/fd")
    assert outcome.stdout == (bytes(size) if small else None)
    assert "out" in outcome.useless_files() or not small, "what is large, or cannot be read, is looked for at its place"


def test_what_we_cut_out_ourselves_is_not_taken_for_erased(queue):
    attempt = started(
        queue,
        "head -c 400000 /dev/zero; touch a; while [ ! -e b ]; do sleep 0.02; done; echo x",
        SETTINGS.but(max_output=1000),
    )
    here = os.path.dirname(queue.path)
    wait_until(lambda: os.path.exists(os.path.join(here, "a")), "it to have written")
    assert attempt.bound_output()
    assert not attempt.bound_output()
    with open(os.path.join(here, "b"), "w"):
        pass
    outcome = ended(attempt)
    assert (outcome.erased, outcome.stdout_bytes < 1100) == (None, True)
    quiet = started(queue, "head -c 400000 /dev/zero", SETTINGS.but(max_output=1000))
    assert ended(quiet).erased is None


def test_the_wish_for_pipes_survives_the_way_into_another_home(home):
    home.run("add", "--pipe-output", "--id", "piped", "true")
    home.run("add", "--id", "plain", "true")
    listed = home.run("list", "--json").json
    assert {job["id"]: job["pipe_output"] for job in listed} == {"piped": True, "plain": False}
    home.run("enqueue", "-", input=json.dumps({"command": "true", "pipe_output": False}))
    for wrong in (1, "yes", []):
        home.run("enqueue", "-", input=json.dumps({"command": "true", "pipe_output": wrong}), code=2)


def test_what_the_job_writes_during_a_look_erases_nothing(queue, monkeypatch):
    streams = output_streams.OutputStreams(queue.folder.attempt_paths("0123456789abcdef"), False)
    streams.open(SpareFiles(queue), "/bin/sh")
    seek = os.lseek

    def as_the_job_writes(fd, *where):
        os.write(fd, b"more")
        return seek(fd, *where)

    monkeypatch.setattr(os, "lseek", as_the_job_writes)
    streams.look()
    streams.look()
    monkeypatch.undo()
    streams.close()
    assert not streams.erased and streams.sizes == [8, 8]
