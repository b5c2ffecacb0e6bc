"""What a busy worker uses again: the files of recorded attempts, and its own process for a builtin of the shell."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.home import contents
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS, claim
from helpers.waiting import wait_until

from queuectl_lib.host import files, processes, spawn
from queuectl_lib.host.spawn import Child
from queuectl_lib.jobs import command_text
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import launching, log, pace, run_file, spare_files
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.spare_files import SpareFiles
from queuectl_lib.store import folder, looking, roster

pytestmark = posix_only
needs_leases = pytest.mark.skipif(not files.HAS_LEASES, reason="only Linux has leases")


@pytest.fixture
def spare(queue):
    return SpareFiles(queue)


def finished(queue, command, spare, **fields):
    """An attempt at *command* that has ended, and its outcome."""
    queue.enqueue(JobMaker(3, os.path.dirname(queue.path), 0o022, NOW).row(dict(fields, command=command)))
    attempt = Attempt(queue, claim(queue)[0])
    attempt.start(SETTINGS, spare)
    return attempt, wait_until(attempt.poll, "the end of %r" % (command,))


def kept(spare, outcome):
    """Which files of a recorded attempt are kept for the next."""
    spare.put_away(outcome)
    paths = spare.queue.folder.attempt_paths(outcome.claim.token)
    return [kind for kind, kept in spare.paths.items() if paths[kind] in kept]


def inodes(attempt):
    return {kind: os.stat(path).st_ino for kind, path in attempt.paths.items()}


def files_of(queue):
    return sorted(os.listdir(queue.folder.attempts))


def own_files(attempt):
    return sorted(os.path.basename(path) for path in attempt.paths.values())


# ---------------------------------------------------------------- files


@needs_leases
def test_a_recorded_attempt_that_wrote_nothing_gives_its_files_to_the_next(queue, spare):
    first, outcome = finished(queue, "exit 3", spare)
    before = inodes(first)
    assert kept(spare, outcome) == ["run", "out", "err"]
    second, outcome = finished(queue, "true", spare)
    assert inodes(second) == before
    assert files_of(queue) == own_files(second), "the first has none any more"
    assert (outcome.kind, outcome.exit_code, outcome.stdout, outcome.stderr) == ("completed", 0, None, None)


@needs_leases
def test_files_used_again_carry_the_output_of_their_new_attempt_alone(queue, spare):
    _, outcome = finished(queue, "true", spare)
    assert kept(spare, outcome) == ["run", "out", "err"]
    _, outcome = finished(queue, "echo out; echo err >&2; exit 4", spare)
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (4, b"out\n", b"err\n")
    assert kept(spare, outcome) == ["run"], "the others hold something"
    assert files_of(queue) == [outcome.claim.token + ".run"]


@needs_leases
def test_before_a_run_file_gets_its_new_name_it_tells_of_a_new_start_and_of_nothing_earlier(queue, spare, monkeypatch):
    """Whoever kills the worker here must not make the next one take the old exit code for the new attempt's."""
    first, outcome = finished(queue, "exit 7", spare)
    assert run_file.read_status(first.run_path)["exit"] == "7"
    assert kept(spare, outcome) == ["run", "out", "err"]
    seen, rename = [], os.rename

    def look(old, new):
        if old == first.run_path:
            seen.append(contents(old).splitlines()[-1].split())
        rename(old, new)

    monkeypatch.setattr(os, "rename", look)
    second, outcome = finished(queue, "exit 8", spare)
    assert [(line[0], line[3]) for line in seen] == [("start", second.claim.token)]
    assert run_file.read_status(second.run_path)["exit"] == "8"
    assert outcome.exit_code == 8


def test_a_run_file_whose_new_start_was_lost_with_the_power_tells_nothing_of_the_new_attempt(queue, spare):
    """The new name had reached the disk, the line that was written before it had not."""
    first, _ = finished(queue, "true", spare)
    second, _ = finished(queue, "true", spare)
    os.replace(first.run_path, second.run_path)
    assert run_file.read_status(second.run_path) == {}
    orphan = Attempt(queue, second.claim)
    orphan.adopt(processes.booted_at() - 1, SETTINGS)
    outcome = orphan.judge()
    assert (outcome.kind, outcome.unstarted) == ("given back", True)
    orphan.adopt(time.time(), SETTINGS)
    assert orphan.judge().error == "lost: what its run file told is gone", "no power was lost: somebody has done it"


@needs_leases
@pytest.mark.parametrize("mode", ["a", "r"], ids=["writer", "reader"])
@pytest.mark.parametrize("kind", folder.OUTPUTS)
def test_a_file_that_somebody_has_open_is_not_used_again(queue, spare, kind, mode):
    first, outcome = finished(queue, "true", spare)
    before = inodes(first)
    with open(first.paths[kind], mode) as late:
        assert kept(spare, outcome) == ["run", "out", "err"]
        second, outcome = finished(queue, "echo mine; echo mine >&2", spare)
        assert inodes(second)[kind] != before[kind]
        if mode == "a":
            late.write("late\n")
        else:
            assert late.read() == "", "a reader of the first sees nothing of the second"
    assert (outcome.stdout, outcome.stderr) == (b"mine\n", b"mine\n")
    assert files_of(queue) == own_files(second)


@needs_leases
@pytest.mark.parametrize("change", ["chmod 644 $d/fd/1", "ln -L $d/fd/2 second"], ids=["mode", "link"])
def test_a_file_that_a_job_made_less_private_is_not_used_again(queue, spare, change):
    first, outcome = finished(queue, "d=/proc/self; " + change, spare)
    assert outcome.exit_code == 0
    assert kept(spare, outcome) == ["run", "out", "err"]
    second, _ = finished(queue, "true", spare)
    for path in second.paths.values():
        assert (os.stat(path).st_mode & 0o777, os.stat(path).st_nlink) == (0o600, 1)


@needs_leases
def test_what_an_unseen_grandchild_writes_late_reaches_no_other_job(queue, spare, tmp_path):
    """It left the session and let go of the lock, so nothing but its open output tells of it."""
    go, gone = tmp_path / "go", tmp_path / "gone"
    code = "import os, time\nos.closerange(3, 99)\nopen(%r, 'w').close()\n" % str(gone)
    code += "while not os.path.exists(%r): time.sleep(0.01)\nprint('late', flush=True)" % str(go)
    parent = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
    words = [sys.executable, "-Wignore", "-c", parent, sys.executable, "-Wignore", "-c", code]
    first, outcome = finished(queue, words, spare)
    try:
        wait_until(gone.exists, "the grandchild to let go of the lock")
        assert not queue.folder.attempt_is_held(first.claim.token)
        outcome.leftovers = None  # as where it let go before anybody looked
        assert kept(spare, outcome) == ["run", "out", "err"], outcome.stderr
        with open(first.paths["out"]) as watching:
            second, outcome = finished(queue, "true", spare)
            go.touch()
            wait_until(watching.read, "the late word")
    finally:
        go.touch()  # it ends
    assert os.path.getsize(second.paths["out"]) == 0


@needs_leases
def test_what_was_tidied_away_is_made_anew(queue, spare):
    first, outcome = finished(queue, "true", spare)
    assert kept(spare, outcome) == ["run", "out", "err"]
    queue.folder.remove_attempt_files(first.claim.token)
    second, outcome = finished(queue, "exit 2", spare)
    assert (outcome.exit_code, files_of(queue)) == (2, own_files(second))


@needs_leases
def test_a_run_file_that_has_grown_large_is_not_used_again(queue, spare):
    first, outcome = finished(queue, "true", spare)
    with open(first.run_path, "a") as file:
        file.write("x" * spare_files.RUN_BYTES + "\n")
    assert kept(spare, outcome) == ["run", "out", "err"]
    second, _ = finished(queue, "true", spare)
    assert os.path.getsize(second.run_path) < spare_files.RUN_BYTES
    assert files_of(queue) == own_files(second)


@needs_leases
def test_no_more_is_kept_than_a_worker_claims_at_once_and_what_it_keeps_it_can_clear(queue, spare):
    ended = [finished(queue, "true", spare)[1] for _ in range(3)]
    for outcome in ended * pace.BATCH_MOST:
        spare.put_away(outcome)
    assert len(spare.paths["run"]) == pace.BATCH_MOST
    spare.clear()
    assert files_of(queue) == []


def test_where_there_are_no_leases_nothing_is_kept(queue, spare, monkeypatch):
    monkeypatch.setattr(files, "HAS_LEASES", False)
    assert kept(spare, finished(queue, "true", spare)[1]) == []
    assert files_of(queue) == []


def test_an_attempt_that_left_something_running_keeps_its_files(queue, spare):
    attempt, outcome = finished(queue, "sleep 60 & true", spare)
    assert outcome.leftovers
    assert kept(spare, outcome) == []
    assert attempt.tree.end(1.0) == ""


def test_an_idle_worker_keeps_no_files(home):
    home.run("worker", "start", "--background")
    home.run("enqueue", "-", input='{"command": "true", "max_retries": 0}\n' * 50)
    home.run("wait")
    wait_until(lambda: files_of(home.queue) == [], "the worker to clear up")


def test_a_worker_with_a_long_job_keeps_the_files_of_that_one_alone(home):
    home.run("enqueue", "-", input='{"command": "true", "max_retries": 0}\n' * 20 + '{"command": "sleep 60"}\n')
    home.run("worker", "start", "--background")
    wait_until(lambda: looking.counts(home.queue.database)["completed"] == 20, "the short jobs")
    token = wait_until(lambda: looking.processing(home.queue.database), "the long job")[0]["token"]
    left = [token + "." + kind for kind in ("err", "out", "run")]
    wait_until(lambda: files_of(home.queue) == left, "the clearing up")
    home.run("worker", "stop", "--now")


@needs_leases
def test_a_worker_that_is_killed_with_spare_files_leaves_none_to_the_next(home):
    home.run("enqueue", "-", input='{"command": "true", "max_retries": 0}\n' * 20 + '{"command": "sleep 60"}\n')
    home.run("worker", "start", "--background")
    wait_until(lambda: looking.counts(home.queue.database)["completed"] == 20, "the short jobs")
    for member in roster.members(home.queue.folder):
        os.kill(member["pid"], signal.SIGKILL)
    (last,) = looking.processing(home.queue.database)
    home.run("worker", "start", "--background")
    wait_until(lambda: {name.partition(".")[0] for name in files_of(home.queue)} <= {last["token"]}, "the tidying")
    home.run("worker", "stop", "--now")


@pytest.mark.parametrize("fault", ["full", "short"])
def test_a_run_file_that_cannot_be_begun_leaves_neither_a_file_nor_a_descriptor(queue, spare, monkeypatch, fault):
    """On a full disk a worker tries again for hours: what each try leaves would add up."""
    queue.enqueue(JobMaker(3, "/", 0o022, NOW).row({"command": "true"}))
    attempt = Attempt(queue, claim(queue)[0])
    fds = sorted(os.listdir("/dev/fd"))

    def write(fd, data):
        if fault == "short":
            return len(data) - 1
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(OSError):
            attempt.start(SETTINGS, spare)
    attempt.discard()
    assert sorted(os.listdir("/dev/fd")) == fds
    assert files_of(queue) == []


@needs_leases
def test_a_spare_file_that_cannot_be_begun_again_is_removed(queue, spare, monkeypatch):
    _, outcome = finished(queue, "true", spare)
    assert kept(spare, outcome) == ["run", "out", "err"]

    def write(fd, data):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(OSError):
            spare.open(queue.folder.attempt_path("0123456789abcdef", "run"), "run", b"start\n")
    files.remove(queue.folder.attempt_path("0123456789abcdef", "run"))
    spare.clear()
    assert files_of(queue) == []


# ---------------------------------------------------------------- processes


INSIDE = ("true", " echo a  b ", "echo -n 'a b' c", "test -d .", "echo 'a;b'", "echo\n", "false x=y")
FORKED = (
    *("exit 3", "exec true", "true; true", "true & wait", "echo $HOME", "echo `id`", "echo 'a\\n'", "echo > f"),
    *("trap : 0", "trueish", "sleep 1", "echo a\necho b", 'echo "a"', "cd /", ": x", "echo a#b *", "echo ~"),
    *("printf -v IFS 0", "printf '%n' IFS", "test -v 'a[IFS=0]'", "echo '$(id)'"),
)


@pytest.mark.parametrize("text", INSIDE)
def test_one_builtin_that_writes_and_returns_runs_in_the_watcher_itself(text):
    assert command_text.ONE_BUILTIN.match(text)


@pytest.mark.parametrize("text", FORKED)
def test_any_other_text_runs_in_a_process_beside_the_watcher(text):
    assert not command_text.ONE_BUILTIN.match(text)


@pytest.mark.parametrize("text", INSIDE)
def test_a_builtin_does_in_the_watcher_what_it_does_in_a_shell_of_its_own(queue, spare, text):
    attempt, outcome = finished(queue, text, spare)
    alone = subprocess.run(
        [launching.SHELL, "-c", text], cwd=attempt.claim.cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    got = (outcome.exit_code, outcome.stdout or b"", outcome.stderr or b"")
    assert got == (alone.returncode, alone.stdout, alone.stderr)
    assert attempt.status()["exit"] == str(alone.returncode), "for whoever adopts it"


def test_a_job_starts_the_same_where_the_system_cannot_spawn_into_a_session(queue, spare, monkeypatch):
    def refuse(*words, **options):
        raise NotImplementedError

    monkeypatch.setattr(os, "posix_spawn", refuse)
    _, outcome = finished(queue, "ps -o sid= -p $$; pwd; exit 5", spare, cwd="/")
    assert (outcome.exit_code, outcome.stdout.splitlines()[1:]) == (5, [b"/"])
    assert int(outcome.stdout.split()[0]) != os.getsid(0)


def test_a_start_leaves_the_directory_of_the_worker_as_it_was(queue, spare, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(spawn, "HERE", [])  # what another test prepared
    _, outcome = finished(queue, "pwd", spare, cwd="/")
    assert (outcome.stdout, os.getcwd()) == (b"/\n", str(tmp_path))


def test_a_child_that_somebody_else_has_waited_for_is_not_taken_for_a_success():
    child = Child(spawn.spawn([launching.SHELL, "-c", "true"], "/", {}, (0, 1, 2)))
    os.waitpid(child.pid, 0)
    assert child.poll() < 0


def test_a_child_tells_its_exit_code_and_its_signal():
    for text, code in (("exit 9", 9), ("kill -KILL $$", -9)):
        child = Child(spawn.spawn([launching.SHELL, "-c", text], "/", dict(os.environ), (0, 1, 2)))
        wait_until(lambda child=child: child.poll() is not None, "its end")
        assert child.poll() == child.returncode == code


def test_descriptors_of_the_worker_are_kept_from_its_jobs(tmp_path, monkeypatch):
    monkeypatch.setattr(spawn, "HERE", [])
    fd = os.open(str(tmp_path), os.O_RDONLY)
    try:
        os.set_inheritable(fd, True)
        spawn.prepare()
        assert not os.get_inheritable(fd)
        assert os.get_inheritable(1)
    finally:
        for here in spawn.HERE:
            os.close(here)
        os.close(fd)


def test_the_time_in_the_log_is_that_of_the_moment(capfd):
    for _ in range(2):
        log.say("who", "text")
        said = capfd.readouterr().err.partition(" who")[0]
        assert abs(time.mktime(time.strptime(said, "%Y-%m-%d %H:%M:%S")) - time.time()) < 3
        time.sleep(1.01)
