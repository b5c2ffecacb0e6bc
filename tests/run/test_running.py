"""Running commands: what a job sees, how its end is told, and what is kept of it."""

import json
import os
import statistics
import subprocess
import sys

import pytest
from helpers.bundle import ROOT
from helpers.home import PATIENT, Home, contents, let_go
from helpers.marks import needs_proc, posix_only
from helpers.processes import PYTHON, end_process, is_running
from helpers.queue import in_full
from helpers.waiting import wait_until

from queuectl_lib import times
from queuectl_lib.store import looking, showing


@pytest.fixture
def home(near):
    return near


pytestmark = posix_only

BIG = 200 * 1024
FLOOD = 20 * 1000 * 1000


def enqueue_all(home, jobs, **options):
    """Add many jobs in one call; *jobs* are ids with a command or with all their fields."""
    lines = []
    for identifier, fields in jobs.items():
        fields = fields if isinstance(fields, dict) else {"command": fields}
        lines.append(json.dumps(dict({"id": identifier, "max_retries": 0}, **fields)))
    home.run("enqueue", "-", input="\n".join(lines), **options)


def start_after(home, prelude, *words, env=None):
    """Start `worker start WORDS` from a Python that first does *prelude*, then becomes queuectl."""
    code = prelude + "\nimport os, sys\nos.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code] + home.command("worker", "start", *words),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=home.environment(env),
    )
    home.started.append(process)
    return process


def python(code):
    return [sys.executable, "-c", code]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A home in which one worker has run a job of every kind."""
    home = Home(tmp_path_factory.mktemp("running") / "home")
    os.mkdir(home.path, 0o700)
    here = os.path.join(home.path, "here")
    os.makedirs(os.path.join(here, "below"))
    unusable = os.path.join(here, "unusable")
    odd = os.path.join(here, "-odd")
    for path in (unusable, odd):
        with open(path, "w") as file:
            file.write('#!/bin/sh\necho "odd $1"\n')
    os.chmod(unusable, 0o644)
    os.chmod(odd, 0o755)
    odd_env = {"PATH": here + os.pathsep + os.environ["PATH"]}
    home.run("config", "set", "grace", "0.5")
    enqueue_all(
        home,
        {
            "text": "echo $((1 + 1)) 'a b' $# \"$*\"; echo err >&2",
            "list": ["printf", "%s|", "a b", "$HOME", ";", "*", ""],
            "dash-text": {"command": "-odd text", "env": odd_env},
            "dash-list": {"command": ["-odd", "list"], "env": odd_env},
            "stdin": "cat; echo end",
            "variables": 'echo "$QUEUECTL_JOB_ID|$QUEUECTL_ATTEMPT|$QUEUECTL_MAX_RETRIES|$QUEUECTL_HOME"',
            "env": {"command": 'echo "$ONE $TWO $THREE"', "env": {"TWO": "job", "THREE": "j o b"}},
            "retried": {"command": 'echo "$QUEUECTL_ATTEMPT"; [ "$QUEUECTL_ATTEMPT" = 3 ]', "max_retries": 2},
            "session": python("import os; print(os.getsid(0), os.getpgrp())"),
            "open-files": "ls -l /proc/self/fd",
            "exit-3": "echo before; exit 3",
            "exit-255": "exit 255",
            "sigkill": "kill -9 $$",
            "sigsegv": python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"),
            "inner-kill": "sh -c 'kill -TERM $$'; exit 0",
            "no-directory": {"command": "true", "cwd": os.path.join(here, "missing")},
            "no-program-text": "no-such-program-anywhere",
            "no-program-list": ["no-such-program-anywhere", "x"],
            "no-path-list": [os.path.join(here, "missing-program")],
            "unusable-text": unusable,
            "unusable-list": [unusable],
            "timeout": {"command": "echo before; sleep 60", "timeout": 0.3},
            "stubborn": {"command": "trap '' TERM; while :; do sleep 0.1; done", "timeout": 0.3},
            "stopped": {"command": "kill -STOP 0; sleep 60", "timeout": 0.3},
            "kill-group": "kill -9 0; sleep 60",
            "kill-parent": "echo $$ > kill-parent.pid; kill -9 $PPID; sleep 60",
            "closed-output": "exec >&- 2>&-; exit 0",
            "flood": "head -c %d /dev/zero" % FLOOD,
        },
        cwd=here,
    )
    home.run("add", "pwd", "--id", "where", cwd=os.path.join(here, "below"))
    home.run("add", "pwd", "--id", "cwd", "--cwd", "below", cwd=here)
    for umask in (0o027, 0o002):
        before = os.umask(umask)
        try:
            home.run("add", "umask; touch made-%o" % umask, "--id", "umask-%o" % umask, cwd=here)
        finally:
            os.umask(before)
    variables = {"ONE": "worker", "TWO": "worker"}
    # In a session of their own: `kill -9 0` must not end the tests where jobs have none.
    process = start_after(home, "import os\nos.setsid()", "--drain", "--backoff-base", "0", env=variables)
    try:
        wait_until(lambda: process.poll() is not None, "every job to run", 60)
    finally:
        home.clean_up()
    return home


def attempt(home, identifier):
    return in_full(home.queue, identifier)["history"][-1]


def printed(home, identifier):
    return (attempt(home, identifier)["stdout"] or b"").decode()


def error(home, identifier):
    """What is told about a job that failed once and for all."""
    job = showing.job(home.queue.database, identifier)
    assert job["state"] == "dead"
    assert job["history"][-1]["error"] == job["last_error"]
    return job["last_error"]


# ---------------------------------------------------------------- what a job sees


def test_a_job_runs_and_its_output_is_kept(ran):
    assert ran.run("logs", "text").stdout == "2 a b 0 \n"
    assert ran.run("logs", "text").stderr == "err\n"
    assert ran.run("logs", "text", "--stderr").stdout == "err\n"


def test_a_list_of_arguments_runs_without_a_shell(ran):
    assert printed(ran, "list") == "a b|$HOME|;|*||"


def test_a_list_behind_two_dashes_runs_without_a_shell(home):
    job = home.run("add", "--", "printf", "%s|", "-n", "--", "a  b").id
    home.drain()
    assert home.run("logs", job).stdout == "-n|--|a  b|"


def test_a_command_that_begins_with_a_dash_is_no_option_to_the_shell(ran):
    assert printed(ran, "dash-text") == "odd text\n"
    assert printed(ran, "dash-list") == "odd list\n"


def test_a_job_runs_where_it_was_enqueued(ran):
    assert printed(ran, "where") == os.path.realpath(os.path.join(ran.path, "here", "below")) + "\n"


def test_a_relative_cwd_starts_where_the_job_was_enqueued(ran):
    assert printed(ran, "cwd") == os.path.realpath(os.path.join(ran.path, "here", "below")) + "\n"


def test_a_job_has_the_umask_it_was_enqueued_with(ran):
    assert printed(ran, "umask-27") == "0027\n"
    assert printed(ran, "umask-2") == "0002\n"
    assert os.stat(os.path.join(ran.path, "here", "made-27")).st_mode & 0o777 == 0o640
    assert os.stat(os.path.join(ran.path, "here", "made-2")).st_mode & 0o777 == 0o664


def test_a_job_is_told_who_it_is(ran):
    assert printed(ran, "variables") == "variables|1|0|%s\n" % ran.path


def test_a_job_has_the_workers_environment_and_its_own_on_top(ran):
    assert printed(ran, "env") == "worker job j o b\n"


def test_each_attempt_knows_its_number_and_keeps_its_output(ran):
    job = in_full(ran.queue, "retried")
    assert (job["state"], job["attempts"]) == ("completed", 3)
    assert [one["stdout"] for one in job["history"]] == [b"1\n", b"2\n", b"3\n"]
    assert [one["outcome"] for one in job["history"]] == ["failed", "failed", "completed"]


def test_the_standard_input_of_a_job_is_empty(ran):
    assert printed(ran, "stdin") == "end\n"


def test_a_job_has_a_session_and_a_process_group_of_its_own(ran):
    session, group = printed(ran, "session").split()
    assert session == group
    assert int(session) != os.getsid(0)


@needs_proc
def test_a_job_holds_nothing_open_but_its_output_and_its_lock(ran):
    folder = ran.queue.folder.attempts
    files = [name for name in printed(ran, "open-files").split() if name.startswith(ran.queue.folder.path)]
    kinds = sorted(name.rpartition(".")[2] for name in files if name.startswith(folder))
    assert kinds == ["err", "out", "run"]
    assert len(files) == 3, "a life file that a job holds would keep a dead worker alive: %s" % files


@needs_proc
def test_a_job_holds_the_lock_of_its_run_file_and_cannot_write_there(home):
    job = home.add("cat /proc/self/fdinfo/9")
    home.drain()
    said = printed(home, job)
    assert "FLOCK" in said and "WRITE" in said, said
    assert int(said.split("flags:")[1].split()[0], 8) & os.O_ACCMODE == os.O_RDONLY, said


@needs_proc
def test_a_job_has_default_signals_whatever_its_worker_was_started_with(home):
    prelude = (
        "import signal\n"
        "for name in ('INT', 'CHLD', 'PIPE', 'QUIT', 'HUP', 'TERM', 'USR1', 'XFSZ'):\n"
        "    signal.signal(getattr(signal, 'SIG' + name), signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2])"
    )
    text = home.add("grep ^Sig /proc/self/status")
    words = home.run("add", "--", "grep", "^Sig", "/proc/self/status").id
    failing = home.add("exit 7", "--max-retries", "0")
    start_after(home, prelude, "--drain").wait(30)
    for job in (text, words):
        signals = dict(line.split() for line in printed(home, job).splitlines() if line.startswith("Sig"))
        assert int(signals["SigBlk:"], 16) == 0
        assert int(signals["SigIgn:"], 16) & (1 << 31) - 1 == 0, "ignored: %s" % signals["SigIgn:"]
    assert error(home, failing) == "exit code 7", "an ignored SIGCHLD turns failures into successes"


def test_workers_need_not_be_started_from_a_directory_that_exists(home):
    job = home.add("pwd", "--cwd", home.path)
    prelude = "import os\nos.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')"
    process = start_after(home, "import os\nos.chdir(%r)\n%s" % (home.path, prelude), "--drain")
    assert process.wait(30) == 0
    assert printed(home, job) == os.path.realpath(home.path) + "\n"


# ---------------------------------------------------------------- how an end is told


def test_exit_codes_are_kept(ran):
    assert error(ran, "exit-3") == "exit code 3"
    assert showing.job(ran.queue.database, "exit-3")["exit_code"] == 3
    assert attempt(ran, "exit-3")["exit_code"] == 3
    assert printed(ran, "exit-3") == "before\n"
    assert error(ran, "exit-255") == "exit code 255"
    assert showing.job(ran.queue.database, "text")["exit_code"] == 0


def test_a_signal_is_told_by_its_name(ran):
    assert error(ran, "sigkill").startswith("killed by SIGKILL")
    assert error(ran, "sigsegv").startswith("killed by SIGSEGV")
    assert attempt(ran, "sigkill")["signal"] == "SIGKILL"


def test_a_signal_that_ended_only_a_part_of_a_command_is_its_own_affair(ran):
    assert showing.job(ran.queue.database, "inner-kill")["state"] == "completed"


def test_the_shell_that_watches_a_job_writes_nothing_into_its_output(ran):
    for job in ("sigkill", "sigsegv", "kill-group", "timeout", "closed-output", "exit-3"):
        assert attempt(ran, job)["stderr"] in (None, b""), job
    own = b"Killed\n"  # by the shell of the job itself, where its sleep was killed a moment before it
    assert attempt(ran, "stubborn")["stderr"] in (None, b"", own)
    assert attempt(ran, "text")["stderr"] == b"err\n"


def test_a_missing_directory_is_told(ran):
    assert error(ran, "no-directory") == "the directory %s does not exist" % os.path.realpath(
        os.path.join(ran.path, "here", "missing")
    )


def test_a_program_that_is_not_found_is_told(ran):
    assert error(ran, "no-program-text") == "exit code 127 (command not found)"
    assert error(ran, "no-program-list") == "the program no-such-program-anywhere was not found on PATH"
    assert error(ran, "no-path-list").endswith("missing-program does not exist")


def test_a_program_that_is_not_executable_is_told(ran):
    assert error(ran, "unusable-text") == "exit code 126 (not executable)"
    assert error(ran, "unusable-list").endswith("unusable is not executable")


def test_a_timeout_is_told_and_the_output_before_it_is_kept(ran):
    assert error(ran, "timeout") == "timed out after 0.3 s"
    assert attempt(ran, "timeout")["outcome"] == "timed out"
    assert printed(ran, "timeout") == "before\n"


def test_a_job_that_ignores_term_is_killed_after_its_timeout_and_the_grace(ran):
    assert error(ran, "stubborn") == "timed out after 0.3 s"


def test_a_job_that_stopped_itself_is_ended_by_its_timeout(ran):
    assert error(ran, "stopped") == "timed out after 0.3 s"


def test_a_job_that_kills_its_whole_group_has_failed(ran):
    assert error(ran, "kill-group") == "lost: its shell was killed by SIGKILL, and no exit code was noted"


def test_a_job_that_kills_the_shell_above_it_has_failed_and_is_ended(ran):
    assert error(ran, "kill-parent") == "lost: its shell was killed by SIGKILL, and no exit code was noted"
    assert not is_running(int(contents(os.path.join(ran.path, "here", "kill-parent.pid"))))


def test_a_job_may_close_its_output(ran):
    assert showing.job(ran.queue.database, "closed-output")["state"] == "completed"


def test_no_job_of_any_kind_stays_behind_in_processing(ran):
    counts = looking.counts(ran.queue.database)
    assert counts["processing"] == counts["pending"] == counts["failed"] == 0


# ---------------------------------------------------------------- what is kept


def test_a_flood_of_output_is_kept_in_full(ran):
    assert attempt(ran, "flood")["outcome"] == "completed"
    assert attempt(ran, "flood")["stdout_bytes"] == FLOOD
    assert attempt(ran, "flood")["stdout"] is None, "20 MB do not belong into the database"


def test_small_output_goes_to_the_database_and_big_output_stays_a_file_until_pruned(home):
    big = home.add("head -c %d /dev/zero | tr '\\0' x; echo small >&2" % BIG)
    small = home.add("echo small; echo small >&2")
    home.drain()
    token = attempt(home, big)["token"]
    assert os.listdir(home.queue.folder.attempts) == [token + ".out"]
    assert attempt(home, small)["token"] is None
    assert attempt(home, small)["stdout"] == b"small\n"
    result = home.run("logs", big)
    assert result.stdout == "x" * BIG
    assert result.stderr == "small\n"
    home.run("prune")
    assert os.listdir(home.queue.folder.attempts) == []


def test_output_is_kept_byte_by_byte(home):
    every_byte = bytes(range(256)) * 2
    code = "import sys; sys.%s.buffer.write(bytes(range(256)) * %d)"
    small = home.run("add", "--", *python(code % ("stdout", 2) + "; " + code % ("stderr", 2))).id
    big = home.run("add", "--", *python(code % ("stdout", BIG // 256))).id
    home.drain()
    done = subprocess.run(home.command("logs", small), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.stdout, done.stderr) == (every_byte, every_byte)
    done = subprocess.run(home.command("logs", big), stdout=subprocess.PIPE)
    assert done.stdout == bytes(range(256)) * (BIG // 256)


# ---------------------------------------------------------------- what a job leaves running

LEAVERS = {
    "in its shell's background": "sleep 60 & echo $! > left",
    "in a session of its own": "python - <<END\nimport os\nif os.fork() == 0:\n    os.setsid()\n"
    "    open('left', 'w').write(str(os.getpid()))\n    os.execvp('sleep', ['sleep', '60'])\nEND\n"
    "while [ ! -s left ]; do sleep 0.05; done",
    "without the lock of the attempt": "python -c 'import subprocess as s\n"
    'print(s.Popen(["sleep", "60"], close_fds=True).pid)\' > left',
}


@pytest.mark.parametrize("how", sorted(LEAVERS))
def test_what_a_failed_attempt_left_running_is_named_left_alone_and_ended_before_the_next(home, how):
    leave = LEAVERS[how].replace("python", sys.executable)
    job = home.add(
        'if [ -e left ]; then ps -o stat= -p "$(cat left)"; exit 0; fi\n%s\nexit 1' % leave,
        "--max-retries",
        "0",
        "--cwd",
        home.path,
    )
    home.start()
    home.wait_for_state(job, "dead")
    left = int(contents(os.path.join(home.path, "left")))
    try:
        assert is_running(left), "what a finished attempt left running is left alone"
        assert "left running: " in home.run("show", job).stdout
        assert "pid %d (" % left in attempt(home, job)["leftovers"]  # sh, until that has become it
        home.run("requeue", job)
        home.wait_for_state(job, "completed")
        assert printed(home, job).strip()[:1] in ("", "Z"), "the next attempt ran beside it"
        assert not is_running(left)
    finally:
        end_process(left)


def test_a_background_child_that_holds_the_output_does_not_keep_the_attempt_open(home):
    job = home.add("sleep 60 & echo $!")
    home.start()
    home.wait_for_state(job, "completed", 10)
    left = int(home.run("logs", job).stdout)
    try:
        assert is_running(left)
        assert "left running: pid %d (s" % left in home.run("show", job).stdout, "sleep, or the sh before it"
    finally:
        end_process(left)


# ---------------------------------------------------------------- when, and beside whom


def test_higher_priority_runs_first_then_what_was_due_first_then_first_come(home):
    enqueue_all(
        home,
        {
            "later": {"command": "true", "run_at": "2020-01-01T00:00:00Z"},
            "earlier": {"command": "true", "run_at": "2019-01-01T00:00:00Z"},
            "low": {"command": "true", "priority": -1},
            "first": "true",
            "second": "true",
            "urgent": {"command": "true", "priority": 10},
        },
    )
    log = home.drain()
    order = [line.split("job ")[1].split()[0] for line in log.splitlines() if " started (attempt" in line]
    assert order == ["urgent", "earlier", "later", "first", "second", "low"]


def test_a_delayed_job_starts_close_to_its_time_and_never_before(home):
    home.start()
    home.wait_for_workers(1)
    enqueue_all(home, {"d%d" % n: {"command": "true", "delay": 0.5 + n * 0.3} for n in range(3)})
    late = []
    for n in range(3):
        home.wait_for_state("d%d" % n, "completed")
        job = showing.job(home.queue.database, "d%d" % n)
        late.append(times.utc_seconds(job["started_at"]) - times.utc_seconds(job["run_at"]))
    assert min(late) >= 0
    assert statistics.median(late) < 0.3, late


def test_two_workers_run_two_jobs_at_once(home):
    command = "touch %s; n=0; while [ ! -e %s ]; do n=$((n+1)); [ $n -gt 400 ] && exit 1; sleep 0.05; done"
    options = ("--max-retries", "0", "--cwd", home.path)
    one, two = home.add(command % ("a", "b"), *options), home.add(command % ("b", "a"), *options)
    home.drain("--count", "2")
    assert [home.state(one), home.state(two)] == ["completed", "completed"]


def test_one_worker_never_runs_two_jobs_at_once(home):
    alone = "mkdir busy || exit 1; sleep 0.0%d; rmdir busy"
    enqueue_all(home, {"j%d" % n: {"command": alone % (n % 5), "cwd": home.path} for n in range(30)})
    home.drain()
    assert looking.counts(home.queue.database)["completed"] == 30


# One worker, alone, that claims ahead from its first job on: how quick the host is must not decide.
EAGER_WORKER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from queuectl_lib.run.options import Options
from queuectl_lib.settings import ConfigFile
from queuectl_lib.store import presence
from storage import Queue
from worker import Worker
queue = Queue(sys.argv[2])
present = presence.Presence(queue.folder, "s", {})
one = Worker(queue, "s-1", "s", Options(1, True), ConfigFile(os.path.dirname(sys.argv[2])))
one.pace.batch = 8
one.run()
"""


def test_a_job_that_a_worker_claimed_ahead_does_not_wait_behind_a_long_one(home):
    enqueue_all(home, {"long": {"command": PATIENT, "cwd": home.path}, "after": "true"})
    process = subprocess.Popen(PYTHON + ["-c", EAGER_WORKER, ROOT, home.db], stderr=subprocess.PIPE)
    home.started.append(process)
    home.wait_for_state("long", "processing")
    home.wait_for_state("after", "pending")  # given back, for whoever is idle
    let_go(home)
    said = process.communicate(timeout=60)[1].decode()
    assert said.index("job long completed") < said.index("job after started"), said
