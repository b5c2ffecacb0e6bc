"""A job that calls queuectl: which queue it means, and what of its own variables goes no further."""

import os
import sys

import pytest
from helpers.bundle import copy_bundle
from helpers.home import Home
from helpers.marks import posix_only

from queuectl_lib.run import inheriting


class Copy(Home):
    """A home that holds its own copy of the bundle, and is named by nothing else."""

    def __init__(self, path):
        super().__init__(path)
        os.mkdir(self.path, 0o700)
        copy_bundle(self.path, used_by=sys.executable)

    @property
    def script(self):
        return os.path.join(self.path, "queuectl.py")

    def command(self, *words):
        return self.python + [self.script] + [str(word) for word in words]

    def called_by_a_job(self, words):
        return "'%s' -S '%s' %s" % (sys.executable, self.script, words)


@pytest.fixture
def two(tmp_path):
    two = Copy(tmp_path / "a"), Copy(tmp_path / "b")
    yield two
    for copy in two:
        copy.clean_up()


def commands(home, env=None):
    return [job["command"] for job in home.run("list", "--json", env=env).json]


WAYS = [["--drain"], ["--drain", "--background"]]


def run_all(home, how, env=None):
    home.run("worker", "start", *how, env=env)
    home.run("wait", "--timeout", "20", env=env)


@posix_only
@pytest.mark.parametrize("how", WAYS, ids=" ".join)
def test_another_program_that_a_job_calls_uses_its_own_home(two, how):
    a, b = two
    a.add(b.called_by_a_job("add 'echo for b'"))
    a.add(b.called_by_a_job("config set grace 7"))
    run_all(a, how)
    assert "echo for b" in commands(b) and len(commands(a)) == 2
    assert (b.run("config", "get", "grace").stdout, a.run("config", "get", "grace").stdout) == ("7\n", "10\n")


@posix_only
@pytest.mark.parametrize("how", WAYS, ids=" ".join)
def test_the_same_program_that_a_job_calls_uses_the_queue_of_the_job(two, tmp_path, how):
    a, _ = two
    elsewhere = str(tmp_path / "elsewhere")
    a.run("--home", elsewhere, "add", a.called_by_a_job("add 'echo again'"))
    a.run("--home", elsewhere, "worker", "start", *how)
    a.run("--home", elsewhere, "wait", "--timeout", "20")
    assert "echo again" in a.run("--home", elsewhere, "list").stdout
    assert commands(a) == []


@posix_only
def test_a_job_may_say_otherwise(two, tmp_path):
    a, b = two
    third, fourth = str(tmp_path / "third"), str(tmp_path / "fourth")
    a.add("export QUEUECTL_HOME='%s'; " % third + b.called_by_a_job("add true"))
    a.add(b.called_by_a_job("add true"), "--env", "QUEUECTL_HOME=" + fourth)
    run_all(a, ["--drain"])
    assert commands(b) == []
    for home in (third, fourth):
        assert os.path.exists(os.path.join(home, "queuectl.db"))


@posix_only
@pytest.mark.parametrize("how", WAYS, ids=" ".join)
def test_the_home_that_a_person_names_is_named_for_every_program(two, tmp_path, how):
    a, b = two
    env = {"QUEUECTL_HOME": str(tmp_path / "mine")}
    a.run("add", b.called_by_a_job("add 'echo from b'"), env=env)
    run_all(a, how, env)
    assert "echo from b" in commands(a, env)
    assert commands(b) == []


@posix_only
@pytest.mark.parametrize("how", WAYS, ids=" ".join)
def test_workers_that_a_job_starts_hand_its_variables_to_no_job_of_others(two, how):
    a, b = two
    show = 'echo "${SECRET-none} ${KEPT-none} ${SET-none}"'
    job = b.add(show)
    text = "SET=later; " + b.called_by_a_job("worker start " + " ".join(how)) + " 2>/dev/null"
    starter = a.add(text, "--env", "SECRET=x", "--env", "KEPT=y", "--env", "SET=z")
    run_all(a, ["--drain"], {"KEPT": "before", "PATH": os.environ["PATH"]})
    b.run("wait", job, "--timeout", "20")
    assert a.state(starter) == "completed"
    assert b.job(job)["history"][0]["stdout"] == "none before later\n"


def test_what_was_replaced_comes_back_and_what_was_set_since_stays():
    before = {"KEPT": "old", "OTHER": "x", "CHANGED": "old"}
    own = {"KEPT": "new", "MADE": "new", "CHANGED": "new"}
    inside = dict(before, **own, **inheriting.replaced(own, before))
    inside["CHANGED"] = "newer"
    assert inheriting.undone(inside) == {"KEPT": "old", "OTHER": "x", "CHANGED": "newer"}
    assert inheriting.replaced({}, before) == {}


@pytest.mark.parametrize("text", ["", "{", "5", '{"A": 1}', '{"A": [1, 2]}', '{"A": [null]}', '{"A": ["x", 0, 0]}'])
def test_what_others_write_in_place_of_it_changes_nothing(text):
    assert inheriting.undone({"A": "1", inheriting.BEFORE: text}) == {"A": "1"}


def test_a_variable_that_would_be_too_long_is_not_made():
    own = {"A": "x"}
    assert inheriting.replaced(own, {"A": "y" * 200000}) == {}


@posix_only
def test_no_value_of_a_job_is_shown_in_the_list_of_processes(two):
    a, _ = two
    job = a.add("ps -o args= -p $PPID", "--env", "SECRET=hunter2")
    run_all(a, ["--drain"])
    assert "hunter2" not in a.job(job)["history"][0]["stdout"]
