"""The lines of docs/running.md for a container, carried out as docker would: its own PIDs, user and volume."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from helpers.bundle import ROOT
from helpers.home import contents
from helpers.readme import RUNNING
from helpers.users import another, become_nobody
from helpers.waiting import wait_until

AS_PID_1 = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
USER = 1000
AS_USER = "import os, sys; os.setgroups([]); os.setgid(%d); os.setuid(%d); os.execvp(sys.argv[1], sys.argv[1:])"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux"
    or os.geteuid() != 0
    or not shutil.which("unshare")
    or bool(subprocess.call(AS_PID_1 + ["true"], stderr=subprocess.DEVNULL)),
    reason="needs root on Linux, and unshare",
)


def lines_of_readme():
    """The Dockerfile as (instruction, the rest) pairs."""
    block = re.search(r"\n    FROM .*?\n\n", contents(RUNNING), re.S).group()
    return [tuple(line.split(None, 1)) for line in block.strip().splitlines() if line.strip()]


class Image:
    """What `docker build` would make of them in *folder*, less the system of FROM."""

    def __init__(self, folder, python):
        self.folder = folder
        self.python = python
        self.environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        self.words = {}
        self.started = []
        for instruction, rest in lines_of_readme():
            self.carry_out(instruction, rest)

    def carry_out(self, instruction, rest):
        rest = re.sub(r"(?<![\w/])/(opt|queue)\b", self.folder + r"/\1", rest)
        words = rest.split()
        if instruction == "COPY":
            self.copy(words[:-1], words[-1])
        elif instruction == "ENV":
            self.environment.update(word.split("=", 1) for word in words)
        elif instruction in ("ENTRYPOINT", "CMD"):
            self.words[instruction] = json.loads(rest)
        elif instruction == "STOPSIGNAL":
            self.stop_signal = getattr(signal, rest)
        elif words[0] == "useradd":  # the user is there by his number
            assert "--uid %d" % USER in rest and rest.endswith("-o queue -m 700 " + self.folder + "/queue")
            os.mkdir(self.folder + "/queue", 0o700)
            os.chown(self.folder + "/queue", USER, USER)
        elif instruction == "RUN":
            subprocess.run([self.python] + words[1:], check=True)
        else:
            assert instruction in ("FROM", "USER", "VOLUME")

    def copy(self, sources, target):
        os.makedirs(target if target.endswith("/") else os.path.dirname(target), 0o755, exist_ok=True)
        for name in sources:
            source = os.path.join(ROOT, name)
            if os.path.isdir(source):
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        subprocess.run(["chmod", "-R", "go-w,a+rX", target], check=True)

    def start(self):
        """`docker run`: returns the process outside, and the supervisor, which is PID 1 inside."""
        words = AS_PID_1 + [self.python, "-c", AS_USER % (USER, USER), self.python]
        words += self.words["ENTRYPOINT"][1:] + self.words["CMD"]
        with open(self.folder + "/log", "wb") as log:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, cwd="/"
            )
        self.started.append(process)
        wait_until(lambda: contents(log.name).count("worker started") == 2, "two workers to start")
        with open("/proc/%d/task/%d/children" % (process.pid, process.pid)) as file:
            return process, int(file.read().split()[0])

    def call(self, *words):
        """`docker exec`, but for its PID namespace."""
        words = [self.python] + self.words["ENTRYPOINT"][1:] + list(words)
        done = subprocess.run(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd="/",
            preexec_fn=lambda: become_nobody(USER),
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()


@pytest.fixture
def image():
    with another(USER) as user:
        image = Image(user.folder, user.python)
        yield image
        for process in image.started:
            process.kill()
            process.wait(20)


def begin_job(image):
    ledger, go = image.folder + "/queue/ledger", image.folder + "/queue/go"
    image.call("add", "--id", "j", "echo begun >> %s; until [ -e %s ]; do sleep 0.05; done" % (ledger, go))
    wait_until(lambda: contents(ledger), "the job to begin")
    return ledger, go


def state(image):
    job = json.loads(image.call("show", "j", "--json"))
    return job["state"], job["attempts"], job["exit_code"]


def test_a_container_runs_jobs_and_a_stop_lets_them_finish(image):
    process, supervisor = image.start()
    assert "supervisor started, pid 1," in contents(image.folder + "/log")
    ledger, go = begin_job(image)
    os.kill(supervisor, image.stop_signal)
    wait_until(lambda: "stopping" in contents(image.folder + "/log"), "the stop to be heard")
    open(go, "w").close()
    assert process.wait(20) == 0
    assert state(image) == ("completed", 1, 0)


def test_what_is_killed_with_its_container_after_a_stop_is_given_back_and_costs_no_retry(image):
    process, supervisor = image.start()
    ledger, go = begin_job(image)
    os.kill(supervisor, image.stop_signal)
    wait_until(lambda: "stopping" in contents(image.folder + "/log"), "the stop to be heard")
    os.kill(supervisor, signal.SIGKILL)  # docker's last word: all of the namespace dies
    process.wait(20)
    open(go, "w").close()
    process, supervisor = image.start()
    wait_until(lambda: state(image)[0] == "completed", "the job to run again")
    os.kill(supervisor, image.stop_signal)
    assert process.wait(20) == 0
    assert state(image) == ("completed", 1, 0)
    assert contents(ledger).split() == ["begun", "begun"]
