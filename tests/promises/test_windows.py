"""Windows: job objects in place of process groups, files in place of signals, and files that are open."""

import ctypes
import json
import os
import re
import subprocess
import sys
import time

import pytest
from helpers.bundle import ROOT
from helpers.home import contents
from helpers.marks import WINDOWS
from helpers.waiting import wait_until

from queuectl_lib.errors import HostError
from queuectl_lib.store.presence import Presence

pytestmark = pytest.mark.skipif(not WINDOWS, reason="Windows only")

PYTHON = '"%s"' % sys.executable
SLEEP = "import sys, time; sys.stdout.write('up'); sys.stdout.flush(); time.sleep(%g)"


def lives(pid):
    """True while process *pid* runs (os.kill(pid, 0) would end it)."""
    kernel32 = ctypes.windll.kernel32
    kernel32.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel32.OpenProcess(0x100000, 0, int(pid)))
    if not handle:
        return False
    try:
        return kernel32.WaitForSingleObject(handle, 0) == 0x102
    finally:
        kernel32.CloseHandle(handle)


def taskkill(pid):
    words = ["taskkill", "/F", "/PID", str(pid)]
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)
    wait_until(lambda: not lives(pid), "the end of process %d" % pid)


class Family:
    """A command line: cmd, which starts a Python, which starts a second one, both asleep."""

    def __init__(self, tmp_path):
        self.pids = tmp_path / "family.pids"
        child = tmp_path / "child.py"
        child.write_text(
            "import os, subprocess, sys, time\n"
            "if len(sys.argv) == 2:\n"
            "    subprocess.Popen([sys.executable, __file__, sys.argv[1], 'grandchild'])\n"
            "with open(sys.argv[1], 'a') as file:\n"
            "    file.write('%d\\n' % os.getpid())\n"
            "time.sleep(120)\n"
        )
        self.command = '%s "%s" "%s"' % (PYTHON, child, self.pids)

    def alive(self):
        """The pids once both have begun."""
        wait_until(lambda: self.pids.exists() and len(self.pids.read_text().split()) >= 2, "the family to begin")
        return [int(word) for word in self.pids.read_text().split()]

    def wait_for_end(self, pids):
        wait_until(lambda: not any(lives(pid) for pid in pids), "the family to end")


@pytest.fixture
def family(tmp_path):
    family = Family(tmp_path)
    yield family
    for word in family.pids.read_text().split() if family.pids.exists() else []:
        if lives(word):
            taskkill(int(word))


def members(home, kind):
    return [member for member in home.run("worker", "list", "--json").json if member["kind"] == kind]


def one_line(*statements):
    """An argument list that runs Python *statements*."""
    return ["--", sys.executable, "-c", "; ".join(statements)]


# ---------------------------------------------------------------- enqueue and look


def test_an_empty_home_can_be_looked_at(home):
    assert home.run("status", "--json").json["pending"] == 0
    assert home.run("list", "--json").json == []
    home.run("worker", "list")
    home.run("worker", "stop")
    home.run("initdb")
    home.run("initdb")
    assert home.run("status", "--json").json["database"].endswith("queuectl.db")


def test_text_runs_in_cmd_and_a_list_without_it(home, tmp_path):
    text = home.add('echo "%QUEUECTL_JOB_ID%" ^& "a&b" & echo two>&2', "--id", "text")
    words = ["a b", "%PATH%", 'q"uote', "back\\slash\\", "&", "\u00e9\u4e2d"]
    listed = home.run("add", *one_line("import sys", "print(ascii(sys.argv[1:]))"), *words).id
    home.drain()
    assert home.run("logs", text).stdout.split() == ['"text"', "&", '"a&b"']
    assert home.run("logs", text, "--stderr").stdout.strip() == "two"
    assert home.run("logs", listed).stdout.strip() == ascii(words)
    assert ' "a b" ' in home.run("show", listed).stdout.splitlines()[1]


def test_quotes_typed_at_a_cmd_prompt_reach_the_job_as_the_readme_says(home):
    call = '%s "%s" --home "%s" add ' % (PYTHON, os.path.join(ROOT, "queuectl.py"), home.path)
    typed = '"\\"%s\\" --version & echo done"' % sys.executable
    said = subprocess.run(call + typed, shell=True, stdout=subprocess.PIPE, env=home.environment(), timeout=60)
    job = said.stdout.decode().strip()
    assert home.job(job)["command"] == "%s --version & echo done" % PYTHON
    home.drain()
    assert re.match(r"Python 3\S+\s+done\s*\Z", home.run("logs", job).stdout)


def test_json_from_powershell_and_from_a_pipe(home, tmp_path):
    file = tmp_path / "jobs.json"
    file.write_bytes(b'\xef\xbb\xbf{"id": "a",\r\n "command": "echo a"}\r\n')
    assert home.run("enqueue", "--file", file).id == "a"
    file.write_text('[{"id": "b", "command": "echo b"}]\r\n', encoding="utf-16")
    assert home.run("enqueue", "--file", file).id == "b"
    lines = '{"id": "c", "command": "echo c"}\r\n{"id": "d", "command": "echo d"}\r\n'
    assert home.run("enqueue", "-", input=lines).stdout == "c\nd\n"
    assert [job["id"] for job in home.run("list", "--json").json] == ["a", "b", "c", "d"]


def test_text_beyond_ascii(home, tmp_path):
    folder = tmp_path / "\u00fcber"
    folder.mkdir()
    job = home.add("echo h\u00e9llo", "--cwd", folder, "--env", "WORD=\u4e2d")
    words = one_line("import os", "print(ascii(os.environ['WORD']), ascii(os.getcwd()[-4:]))")
    listed = home.run("add", "--env", "WORD=\u4e2d", "--cwd", folder, *words).id
    home.drain()
    assert home.job(job)["command"] == "echo h\u00e9llo"
    assert home.job(job)["history"][0]["stdout"].strip() == "h\u00e9llo"
    home.run("show", job)  # to a pipe that knows only the ANSI code page
    assert home.run("logs", listed).stdout.strip() == "%s %s" % (ascii("\u4e2d"), ascii("\u00fcber"[-4:]))


def test_a_home_beyond_ascii(tmp_path):
    from helpers.home import Home

    home = Home(tmp_path / "h\u00f6me #1 %41")
    try:
        job = home.add("echo x")
        home.run("worker", "start", "--background", "--drain")
        home.run("wait", job, "--timeout", "60")
    finally:
        home.clean_up()


def test_a_closed_pipe_is_quiet(home):
    jobs = [{"command": "rem " + "x" * 7000} for _ in range(40)]
    home.run("enqueue", "-", input=json.dumps(jobs))
    process = subprocess.Popen(
        home.command("list", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment()
    )
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == 0
    process.stderr.close()


# ---------------------------------------------------------------- exit codes, retries


def test_exit_codes(home):
    codes = {home.add("exit %d" % code, "--max-retries", "0"): code for code in (3, 255)}
    minus_one = home.run("add", "--max-retries", "0", *one_line("import os", "os._exit(-1)")).id
    unknown = home.add("no-such-command-here", "--max-retries", "0")
    home.drain()
    assert {job: home.job(job)["exit_code"] for job in codes} == codes
    assert home.job(minus_one)["exit_code"] == 4294967295
    assert home.job(unknown)["exit_code"] in (1, 9009)
    assert home.job(unknown)["state"] == "dead"


def test_retries_and_the_dead_letter_queue(home):
    job = home.add("exit 1", "--max-retries", "2")
    home.drain()
    assert (home.job(job)["state"], home.job(job)["attempts"]) == ("dead", 3)
    assert [one["id"] for one in home.run("dlq", "list", "--json").json] == [job]
    home.run("dlq", "retry", job)
    home.drain()
    assert len(home.job(job)["history"]) == 6
    assert home.run("dlq", "purge", "--json").json["deleted"] == 1


@pytest.mark.parametrize(
    "words", [["no-such-program"], ["C:\\no\\such\\program"], ["not-a-program.txt"], [".\\not-a-program.exe"]]
)
def test_a_program_that_cannot_start_fails_in_words(home, tmp_path, words):
    for name in ("not-a-program.txt", "not-a-program.exe"):
        (tmp_path / name).write_text("hello")
    job = home.run("add", "--max-retries", "0", "--cwd", tmp_path, "--", *words).id
    home.drain()
    assert home.job(job)["state"] == "dead"
    assert "program" in home.job(job)["last_error"] or "cannot start" in home.job(job)["last_error"]


def test_a_program_is_found_as_cmd_finds_it(home, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "greet.cmd").write_text("@echo hello %1\r\n")
    found = [
        home.run("add", "--env", "Path=%s;%s" % (tools, os.environ["PATH"]), "--", "greet", "path").id,
        home.run("add", "--cwd", tmp_path, "--", "tools\\greet", "folder").id,
        home.run("add", "--cwd", tools, "--", ".\\greet.cmd", "here").id,
    ]
    home.drain()
    assert [home.run("logs", job).stdout.strip() for job in found] == ["hello path", "hello folder", "hello here"]


def test_a_missing_directory_fails_in_words(home, tmp_path):
    job = home.add("echo x", "--max-retries", "0", "--cwd", tmp_path / "gone")
    home.drain()
    assert "does not exist" in home.job(job)["last_error"]


# ---------------------------------------------------------------- the tree of a job


def test_a_timeout_ends_the_whole_tree(home, family):
    job = home.add(family.command, "--timeout", "15", "--max-retries", "0")
    home.start("--drain")
    pids = family.alive()
    family.wait_for_end(pids)
    home.wait_for_state(job, "dead")
    assert home.job(job)["last_error"] == "timed out after 15 s"


def test_a_cancel_ends_the_whole_tree(home, family):
    job = home.add(family.command)
    home.start()
    pids = family.alive()
    home.run("cancel", job)
    assert home.state(job) == "cancelled"
    family.wait_for_end(pids)
    home.run("requeue", job)
    home.run("worker", "stop", "--now")


def test_what_a_job_leaves_running_is_named_and_ended_before_it_runs_again(home, family):
    job = home.add("start /b cmd /c %s & exit 1" % family.command, "--max-retries", "1")
    home.start("--backoff-base", "15")
    home.wait_for_state(job, "failed")
    first = family.alive()
    assert all(lives(pid) for pid in first)
    assert home.job(job)["history"][0]["leftovers"].startswith("pid ")
    home.wait_for_state(job, "dead", 40)
    family.wait_for_end(first)
    wait_until(lambda: len(family.alive()) >= 4, "the second family")
    home.run("worker", "stop")
    time.sleep(0.5)
    assert all(lives(pid) for pid in family.alive()[2:])  # left alone, as with at and cron


def test_a_job_sees_no_console_window_and_no_input(home):
    job = home.run(
        "add",
        *one_line(
            "import ctypes, sys",
            "window = ctypes.windll.kernel32.GetConsoleWindow()",
            "print(bool(window and ctypes.windll.user32.IsWindowVisible(window)), repr(sys.stdin.read()))",
        ),
    ).id
    home.drain()
    assert home.run("logs", job).stdout.strip() == "False ''"


# ---------------------------------------------------------------- workers


def test_a_background_supervisor_returns_at_once_and_stops(home):
    began = time.monotonic()
    home.run("worker", "start", "--background", "--count", "2")  # its output is captured here
    assert time.monotonic() - began < 30
    assert len(members(home, "worker")) == 2 and len(members(home, "supervisor")) == 1
    assert home.run("status", "--json").json["workers"] == 2
    job = home.add("echo x")
    home.run("wait", job, "--timeout", "30")
    home.run("worker", "stop")
    assert home.run("worker", "list", "--json").json == []
    assert os.listdir(home.queue.folder.workers) == []
    assert os.listdir(home.queue.folder.attempts) == []


def test_every_background_supervisor_appends_to_the_log(home):
    for _ in range(2):
        home.run("worker", "start", "--background")
        home.run("worker", "stop")
    with open(home.queue.folder.log) as file:
        log = file.read()
    assert log.count("supervisor started") == log.count("supervisor stopped") == 2
    assert log.count("worker started") == log.count("worker stopped") == 2


def test_a_large_log_is_rotated(home):
    home.run("initdb")
    with open(home.queue.folder.log, "wb") as file:
        file.write(b"x" * (9 * 1024 * 1024))
    home.run("worker", "start", "--background")
    wait_until(lambda: os.path.getsize(home.queue.folder.log) < 1000000, "the log to be rotated")
    assert os.path.getsize(home.queue.folder.log + ".1") > 9000000
    home.run("worker", "stop")
    wait_until(lambda: "supervisor stopped" in contents(home.queue.folder.log), "the last word in the log that was cut")


def test_a_background_start_that_fails_says_why(home):
    from queuectl_lib.run import starting

    script = "import sys; sys.stderr.write('queuectl: error: no luck today\\n'); sys.exit(3)"
    with pytest.raises(HostError) as raised:
        starting.start_background(home.queue, ["-c", script], "s000000")
    assert str(raised.value) == "the worker did not start: no luck today"
    with open(os.path.join(home.path, "config.json"), "w") as file:
        file.write("{")
    assert "config.json" in home.run("worker", "start", "--background", code=3).stderr


def test_a_killed_worker_is_replaced_and_its_attempt_is_lost(home, family):
    job = home.add(family.command, "--max-retries", "1")
    home.start("--backoff-base", "1")
    pids = family.alive()
    old = members(home, "worker")[0]
    assert old["job"] == job
    taskkill(old["pid"])
    family.wait_for_end(pids)
    wait_until(lambda: len(home.job(job)["history"]) == 2, "the second attempt", 30)
    first = home.job(job)["history"][0]
    assert first["outcome"] == "lost" and first["error"].startswith("lost: it was killed together with its worker")
    assert home.job(job)["attempts"] == 2
    assert [worker["pid"] != old["pid"] for worker in members(home, "worker")] == [True]
    wait_until(lambda: len(family.alive()) >= 4, "the second family")
    home.run("worker", "stop", "--now")
    assert home.job(job)["state"] == "pending"


def test_workers_of_a_killed_supervisor_finish_their_job_and_leave(home):
    job = home.run("add", *one_line("import time", "print('begun', flush=True)", "time.sleep(12)", "print('done')")).id
    home.run("worker", "start", "--background")
    home.wait_for_state(job, "processing")
    taskkill(members(home, "supervisor")[0]["pid"])
    assert len(members(home, "worker")) == 1
    home.wait_for_state(job, "completed")
    assert home.run("logs", job).stdout.split() == ["begun", "done"]
    wait_until(lambda: not members(home, "worker"), "the worker to leave")


def test_stop_finishes_what_runs_and_stop_now_gives_it_back(home, family):
    quick = home.run("add", *one_line("import time", "time.sleep(2)")).id
    home.run("worker", "start", "--background")
    home.wait_for_state(quick, "processing")
    home.run("worker", "stop")
    assert home.state(quick) == "completed"
    long = home.add(family.command)
    home.run("worker", "start", "--background")
    pids = family.alive()
    home.run("worker", "stop", "--now")
    family.wait_for_end(pids)
    assert (home.job(long)["state"], home.job(long)["attempts"]) == ("pending", 0)
    assert home.job(long)["history"][0]["outcome"] == "given back"


def test_there_can_be_more_workers_than_windows_waits_for(home, monkeypatch):
    import multiprocessing

    import worker
    from queuectl_lib.host.waking import WakeUp
    from queuectl_lib.run.options import Options
    from queuectl_lib.run.standing import Standing
    from queuectl_lib.store import presence

    supervisor = worker.Supervisor(home.queue, "s1", Options(70, False), None)
    context = multiprocessing.get_context("spawn")
    semaphores = [context.Semaphore(0) for _ in range(70)]  # seventy handles to wait for

    class Stub:
        def __init__(self, semaphore):
            self.process = self
            self.sentinel = semaphore._semlock.handle

    supervisor.workers = [Stub(semaphore) for semaphore in semaphores]
    supervisor.wake = WakeUp(supervisor.signals)
    home.queue.folder.make()
    supervisor.standing = Standing(home.queue.folder, "s1", presence.member_details("supervisor", "s1", {}), print)
    supervisor.rest()
    supervisor.standing.leave(holds_jobs=False)  # else this very process would be ended as one that was left behind


def test_an_interrupt_ends_no_supervisor_the_hard_way(home):
    home.add("echo x")
    script = (
        "import sys, threading, signal; sys.path.insert(0, sys.argv[1]); import queuectl;"
        " threading.Timer(4, signal.raise_signal, [signal.SIGINT]).start();"
        " sys.exit(queuectl.main(sys.argv[2:]))"
    )
    words = [sys.executable, "-c", script, ROOT, "--home", home.path, "worker", "start"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment(), timeout=60)
    log = done.stderr.decode("utf-8", "replace")
    assert "SIGINT received" in log and "supervisor stopped" in log and "error" not in log and done.returncode == 0


# ---------------------------------------------------------------- waiting, files that are open


def test_logs_follow_a_job_to_its_end(home):
    job = home.run("add", *one_line("import time", "print(1, flush=True)", "time.sleep(1)", "print(2)")).id
    follower = subprocess.Popen(home.command("logs", job, "--follow"), stdout=subprocess.PIPE, env=home.environment())
    home.drain()
    assert follower.communicate(timeout=30)[0].split() == [b"1", b"2"]
    assert follower.returncode == 0


def test_output_beyond_the_limit_loses_its_middle_and_no_zeros_come_in(home):
    home.run("config", "set", "max_output", "100000")
    writing = "[(print('%06d' % n + 'x' * 993, flush=True), time.sleep(0.005)) for n in range(400)]"
    job = home.run("add", *one_line("import time", writing)).id
    home.drain()
    output = home.run("logs", job).stdout
    assert output.startswith("000000x") and "left out here" in output and "\0" not in output
    assert len(output) < 120000 and output.splitlines()[-1].startswith("000399")


def test_wait_tells_the_end(home):
    good, bad = home.add("exit 0"), home.add("exit 1", "--max-retries", "0")
    home.run("wait", good, "--timeout", "0.2", code=124)
    home.drain()
    home.run("wait", good)
    home.run("wait", good, bad, code=1)


def test_settings_are_set_at_once(home):
    home.run("config", "set", "grace", "5")
    settings = [("max_retries", "7"), ("backoff_base", "3"), ("poll_interval", "0.5"), ("timeout", "60")]
    home.start()
    home.wait_for_workers(1)
    setters = [
        subprocess.Popen(home.command("config", "set", key, value), stderr=subprocess.PIPE, env=home.environment())
        for key, value in settings
    ]
    for setter in setters:
        assert setter.communicate(timeout=60)[1] == b"" and setter.returncode == 0
    values = home.run("config", "get", "--json").json
    assert [values[key] for key, _ in settings] == [7, 3, 0.5, 60]


def test_settings_are_replaced_while_someone_reads_them(home):
    home.run("config", "set", "grace", "5")
    reader = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; f = open(sys.argv[1]); print('open', flush=True); time.sleep(0.5)",
            os.path.join(home.path, "config.json"),
        ],
        stdout=subprocess.PIPE,
    )
    reader.stdout.readline()
    home.run("config", "set", "grace", "6")
    assert home.run("config", "get", "grace").stdout == "6\n"
    reader.communicate()


def test_prune_deletes_what_it_can_while_output_is_open(home):
    big = home.run("add", *one_line("print('x' * 100000)")).id
    other = home.add("echo x")
    home.drain()
    files = os.listdir(home.queue.folder.attempts)
    assert len(files) >= 1
    path = [name for name in files if name.endswith(".out")][0]
    with open(os.path.join(home.queue.folder.attempts, path), "rb"):
        assert home.run("prune", "--json").json["deleted"] == 2
    home.run("show", big, code=1)
    home.run("show", other, code=1)
    home.drain()  # a worker that begins tidies up
    assert os.listdir(home.queue.folder.attempts) == []


def test_a_prober_is_no_proof_of_life(home):
    """Looking at a life file for a moment disturbs nobody, and its end is seen."""
    home.run("initdb")
    presence = Presence(home.queue.folder, "s1", {"kind": "supervisor"})
    assert home.queue.folder.is_alive("s1")
    presence.end()
    assert not home.queue.folder.is_alive("s1") and not os.path.exists(home.queue.folder.life_path("s1"))
