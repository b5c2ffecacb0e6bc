"""A real sshd on loopback with a queuectl behind it, by our preset: what is told of a far job when lines and hosts die.

The far queue keeps the job while the line is down, so the next attempt joins it: nothing is asked, nothing runs twice.
"""

import os
import subprocess

import pytest
from helpers.engine import add_launcher
from helpers.far_life import CODES, DEAF, STEADY, FarHome
from helpers.processes import end_process, is_running
from helpers.real import needs
from helpers.sshd import PROGRAMS, Sshd
from helpers.waiting import wait_until

pytestmark = needs(*PROGRAMS)


@pytest.fixture(scope="module")
def node():
    with Sshd() as sshd:
        sshd.far.run("config", "set", "grace", "2")
        sshd.far.run("config", "set", "poll_interval", "0.2")
        sshd.far.start("--count", "4")
        yield sshd


@pytest.fixture
def far(node, tmp_path, monkeypatch):
    """Our own side of it; the ssh there is one that knows the host."""
    monkeypatch.setenv("PATH", node.bin + os.pathsep + os.environ["PATH"])
    node.heal()
    node.far.run("prune", "--all", "--quiet")  # the tests use the same ids
    node.far.run("dlq", "purge", "--all", "--quiet")
    try:
        with FarHome(tmp_path / "home", node.launcher()) as home:
            values = dict(node.launcher()["values"], directory="/no/such/directory")
            add_launcher(home, "elsewhere", node.launcher(values=values))
            yield home
        assert not node.far.run("list", "--state", "processing,pending", "--json").json
    finally:
        node.heal()
        node.far.run("cancel", "--all", "--quiet")


def test_doctor_finds_it_fit(far, tmp_path):
    done = far.run("doctor", "--launcher", "far", cwd=str(tmp_path), timeout=180)
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == ["ok"] * 7, done.stdout
    assert os.listdir(str(tmp_path)) == ["home"]


def test_codes_signals_output_and_quoting(far):
    ids = {far.add(command): code for command, code in dict(CODES, **{"exit 255": 254}).items()}
    missing = far.add("exit 0", "--launcher", "elsewhere")
    words = ["a b", "c'd", "$x", "`y`", "*", ""]
    listed = far.run("add", "--", "printf", "<%s>", *words).id
    variables = far.add("pwd; echo $A", "--env", "A=it's \"$HOME\"", "--cwd", far.work)
    whole = far.add("head -c 5000000 /dev/urandom | tee copy; echo aside >&2", "--cwd", far.work)
    far.run("worker", "start", "--drain", "--count", "4", timeout=120)
    assert {key: far.job(key)["exit_code"] for key in ids} == ids
    assert "the directory /no/such/directory does not exist" in far.run("logs", missing).stderr
    assert far.run("logs", listed).stdout == "".join("<%s>" % word for word in words)
    assert far.run("logs", variables).stdout == far.work + "\nit's \"$HOME\"\n"
    logs = subprocess.run(far.command("logs", whole), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with open(os.path.join(far.work, "copy"), "rb") as file:
        assert (logs.stdout == file.read(), len(logs.stdout), logs.stderr) == (True, 5000000, b"aside\n")


def test_cancel_timeout_and_stop_are_heard_there(far):
    far.start("--count", "4")
    far.far("cancelled", STEADY)
    far.far("late", STEADY, "--timeout", "3")
    far.far("deaf", DEAF, "--timeout", "3")
    far.wait_for("begin", "cancelled")
    far.run("cancel", "cancelled")
    far.ended("cancelled", "cancelled")
    assert far.ended("late", "dead")["last_error"].startswith("timed out after 3 s")
    for name in ("cancelled", "late"):
        assert [row[0] for row in far.ledger() if row[1] == name] == ["begin", "term", "end"]
        assert far.noted("end", name)[0][3] == "42"
    far.ended("deaf", "dead")
    assert not far.noted("end", "deaf") and not is_running(far.noted("begin", "deaf")[0][2])
    far.far("stopped", STEADY)
    far.wait_for("begin", "stopped")
    far.run("worker", "stop", "--now")
    assert far.state("stopped") == "pending" and far.noted("end", "stopped")[0][3] == "42"
    far.run("cancel", "stopped")


def test_a_line_that_falls_costs_no_retry_and_the_job_is_joined(far, node):
    far.start("--count", "1")
    far.far("job", "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; exit 3")
    far.wait_for("begin", "job")
    for pid in node.lines():
        end_process(pid)
    wait_until(lambda: far.job("job")["snoozes"] == 1, "the line to be missed")
    open(os.path.join(far.work, "go"), "w").close()
    job = far.ended("job", "dead")
    assert (job["exit_code"], job["attempts"], len(far.noted("begin", "job"))) == (3, 1, 1)
    assert far.run("logs", "job").stdout == "one\ntwo\n"


def test_after_the_death_of_the_host_the_job_is_joined(far):
    far.start("--count", "1")
    far.far("job", "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; exit 0", "--max-retries", "1")
    far.wait_for("begin", "job")
    far.kill_host("job")
    far.start("--count", "1")
    wait_until(lambda: far.state("job") == "processing" and far.here("job"), "the next attempt")
    open(os.path.join(far.work, "go"), "w").close()
    far.ended("job", "completed")
    assert len(far.noted("begin", "job")) == 1 and far.run("logs", "job").stdout == "one\ntwo\n"


def test_killed_workers_leave_a_job_that_goes_on(far):
    far.start("--count", "1")
    far.far("adopted", "while [ ! -e go ]; do sleep 0.05; done; echo done; exit 5")
    far.wait_for("begin", "adopted")
    far.kill_host()
    far.start("--count", "1")
    open(os.path.join(far.work, "go"), "w").close()
    assert far.ended("adopted", "dead")["exit_code"] == 5
    assert (far.run("logs", "adopted").stdout, len(far.noted("begin", "adopted"))) == ("done\n", 1)


def test_a_failure_there_begins_a_new_one(far):
    far.far("fails", "exit 4", "--max-retries", "1")
    far.run("worker", "start", "--drain", timeout=120)
    assert (far.state("fails"), len(far.noted("begin", "fails"))) == ("dead", 2)


def test_without_a_line_nothing_is_known_and_nothing_given_away(far, node):
    far.start("--count", "1")
    far.far("job", STEADY)
    far.wait_for("begin", "job")
    node.daemon.stop()
    try:
        far.ask_to_cancel("job")
        wait_until(lambda: "Connection refused" in far.run("why", "job").stdout, "why to tell of it", 60)
        assert far.state("job") == "processing" and not far.noted("term", "job")
    finally:
        node.heal()
    far.ended("job", "cancelled")
    assert far.noted("end", "job")[0][3] == "42"


def test_a_cancel_while_the_line_is_down_ends_what_runs_there(far, node):
    far.start("--count", "1")
    far.far("job", STEADY, "--backoff", "fixed:1h")
    far.wait_for("begin", "job")
    node.fall()
    try:
        far.wait_for_state("job", "pending")
        far.ask_to_cancel("job")
        wait_until(lambda: "Connection refused" in far.run("why", "job").stdout, "why to tell of it", 60)
        assert not far.noted("term", "job")
    finally:
        node.heal()
    far.ended("job", "cancelled")
    assert (far.noted("end", "job")[0][3], len(far.noted("begin", "job"))) == ("42", 1)


def test_a_host_that_cannot_be_reached_costs_no_retry(far, node):
    node.daemon.stop()
    try:
        far.start("--count", "1")
        far.far("job", "exit 0", "--backoff", "fixed:1s")
        wait_until(lambda: far.job("job")["snoozes"] >= 1, "it to be put off")
        assert far.job("job")["state"] in ("pending", "processing")
    finally:
        node.heal()
    assert far.ended("job", "completed")["attempts"] == 1
