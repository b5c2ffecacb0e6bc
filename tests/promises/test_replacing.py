"""Copying newer files over those that run: what runs goes on, and the next one to start says what it met."""

import os
import signal
import sys

import pytest
from helpers.bundle import copy_bundle
from helpers.home import contents, ledger, let_go
from helpers.installed import Installed, broken, newer
from helpers.marks import posix_only
from helpers.waiting import wait_until

from queuectl_lib.store import looking, showing

pytestmark = posix_only
PATIENT = """echo begun-$QUEUECTL_JOB_ID >>ledger
while [ ! -e go ]; do sleep 0.05; done
echo done-$QUEUECTL_JOB_ID >>ledger"""
BOTH = ["begun-patient-0", "begun-patient-1", "done-patient-0", "done-patient-1"]


@pytest.fixture
def installed(tmp_path):
    home = Installed(tmp_path / "installed")
    os.mkdir(home.path, 0o700)
    copy_bundle(home.path, used_by=sys.executable)
    home.run("config", "set", "backoff_base", "0")
    yield home
    home.clean_up()


@pytest.mark.parametrize("change", [newer, broken])
def test_running_workers_go_on_whatever_is_copied_over_their_files(installed, change):
    """They wait, finish, fail, retry, time out and end a tree with what they loaded at their start."""
    installed.run("worker", "start", "--background", "--count", "2")
    for number in range(2):
        installed.run("add", PATIENT, "--id", "patient-%d" % number, "--cwd", installed.path)
    wait_until(lambda: len(ledger(installed)) == 2, "both jobs to begin")
    for job in (
        ["echo short-$QUEUECTL_JOB_ID >>ledger", "--id", "short", "--cwd", installed.path],
        ["exit 3", "--id", "failing", "--max-retries", "2"],
        ["sleep 0.3 & exit 1", "--id", "leaving", "--max-retries", "1"],
        ["sleep 60", "--id", "slow", "--timeout", "0.3", "--max-retries", "0"],
        ["head -c 100000 /dev/zero", "--id", "large"],
    ):
        installed.run("add", "--quiet", *job)
    installed.replace(change)
    let_go(installed)
    expected = {"patient-0": 1, "patient-1": 1, "short": 1, "failing": 3, "leaving": 2, "slow": 1, "large": 1}
    queue = installed.queue

    def ended():
        counts = looking.counts(queue.database)
        return counts["completed"] + counts["dead"] == len(expected)

    wait_until(ended, "all jobs to end")
    assert {name: showing.job(queue.database, name)["attempts"] for name in expected} == expected
    assert sorted(ledger(installed)) == sorted(BOTH + ["short-short"])
    assert "loaded after all" not in contents(queue.folder.log)


def test_a_supervisor_that_meets_newer_files_says_so_and_ends_when_its_jobs_have(installed):
    process = installed.start("--count", "2")
    installed.wait_for_workers(2)
    for number in range(2):
        installed.run("add", PATIENT, "--id", "patient-%d" % number, "--cwd", installed.path)
    wait_until(lambda: len(ledger(installed)) == 2, "both jobs to begin")
    installed.replace(newer)
    os.kill(installed.workers()[0]["pid"], signal.SIGKILL)
    said = "the files here are of version 9.9.9 now, and this supervisor of 0.1.0: start another one"
    wait_until(lambda: said in contents(process.log), "the next worker to meet the newer files")
    let_go(installed)
    wait_until(lambda: process.poll() is not None, "the supervisor to end")
    assert process.returncode == 3, "it could not go on, for a reason that it said"
    installed.run("worker", "start", "--drain")
    assert [installed.state("patient-%d" % number) for number in range(2)] == ["completed"] * 2
    assert sorted(ledger(installed)) == BOTH


def other(text):
    """Another build of the same version."""
    return text + "\n# of another day\n"


NEEDING_MORE = [
    ("a lock", ["--lock", "db"], ()),
    ("a job after another", ["--after", "patient"], ()),
    ("a queue of its own", ["--queue", "q"], ("q", "--limit", "1")),
    ("a rate", ["--queue", "q"], ("q", "--rate", "100/1m")),
    ("a window", ["--queue", "q"], ("q", "--window", "00:00-24:00")),
]


@pytest.mark.parametrize("what, options, queue", NEEDING_MORE, ids=[row[0] for row in NEEDING_MORE])
def test_a_worker_that_needs_more_of_its_files_takes_none_of_another_build(installed, what, options, queue):
    """What few homes need is loaded late: it goes on with the files of its start, or leaves to a worker of the new."""
    process = installed.start("--count", "2", "--processes", "1")
    installed.run("add", PATIENT, "--id", "patient", "--cwd", installed.path)
    wait_until(lambda: len(ledger(installed)) == 1, "the job to begin")
    first = installed.workers()[0]["name"]
    installed.replace(other)
    if queue:
        installed.run("queue", "set", *queue)
    installed.run("add", "echo more >>ledger", "--id", "more", "--cwd", installed.path, *options)
    if "--after" in options:
        let_go(installed)
    wait_until(lambda: "was replaced after this process had begun" in contents(process.log), "the worker to leave")
    let_go(installed)
    for job in ("patient", "more"):
        installed.wait_for_state(job, "completed")
    assert sorted(ledger(installed)) == ["begun-patient", "done-patient", "more"]
    assert showing.job(installed.queue.database, "more")["history"][0]["worker"] != first
    assert contents(process.log).count("was replaced after") == 1


def test_newer_files_stop_older_workers_and_take_over_what_they_left_running(installed):
    """The upgrade as the README has it: leave running, copy, start."""
    installed.run("worker", "start", "--background")
    installed.run("add", PATIENT, "--id", "patient", "--cwd", installed.path)
    wait_until(lambda: len(ledger(installed)) == 1, "the job to begin")
    installed.replace(newer)
    installed.run("worker", "stop", "--leave-running")
    installed.run("worker", "start", "--background")
    wait_until(lambda: "adopted from" in contents(installed.queue.folder.log), "the newer worker to adopt the job")
    let_go(installed)
    installed.wait_for_state("patient", "completed")
    assert ledger(installed) == ["begun-patient", "done-patient"]
