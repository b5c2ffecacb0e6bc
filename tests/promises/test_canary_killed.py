"""A canary with real workers: a kill around its success leaves both or neither, and each job runs once."""

import os
import subprocess

import pytest
from helpers.home import ledger
from helpers.marks import posix_only
from helpers.queue import rows


@pytest.fixture
def home(near):
    return near


pytestmark = posix_only

# Fails while the file `up` is not there, as a server that is down would have it.
JOB = "if [ -e up ]; then echo {0} >> ledger; rm -f armed; else echo \"can't connect to 10.0.0.{0}\" >&2; exit 2; fi"


def die(home, count):
    """So many dead jobs of one group; their ids, and the group."""
    ids = [home.add(JOB.format(n), "--cwd", home.path, "--max-retries", "0") for n in range(count)]
    home.drain()
    [group] = home.run("dlq", "groups", "--json").json
    assert group["jobs"] == count and group["text"] == "exit 2: can't connect to <ip>"
    return ids, group["group"]


def let_up(home):
    with open(os.path.join(home.path, "up"), "w"):
        pass


def states_of(home):
    return [row["state"] for row in rows(home.queue)]


@pytest.mark.parametrize("count", [1, 2])
def test_a_canary_succeeds_and_all_the_others_run_by_themselves(home, count):
    die(home, 5)
    let_up(home)
    group = home.run("dlq", "groups", "--json").json[0]["group"]
    home.run("dlq", "retry", "--group", group, "--canary")
    home.drain("--count", str(count))
    assert states_of(home) == ["completed"] * 5 and sorted(ledger(home)) == ["0", "1", "2", "3", "4"]


def test_a_canary_fails_and_nothing_else_is_touched(home):
    ids, group = die(home, 4)
    before = rows(home.queue)[1:]
    home.run("dlq", "retry", "--group", group, "--canary", "--quiet")
    home.run("edit", ids[0], "--max-retries", "7")
    after = rows(home.queue)[1:]
    home.drain()
    assert states_of(home) == ["dead"] * 4 and rows(home.queue)[1:] == after
    assert [row["attempts"] for row in rows(home.queue)] == [1] * 4
    assert [dict(row, release=None) for row in after] == before


@pytest.mark.parametrize("place", ["exchange.before-commit", "exchange.committed"])
def test_a_worker_killed_with_a_canarys_success_leaves_both_or_neither(home, place):
    """The file that keeps the failpoint from being met is removed by the canary: the next exchange has its success."""
    die(home, 4)
    let_up(home)
    group = home.run("dlq", "groups", "--json").json[0]["group"]
    home.run("dlq", "retry", "--group", group, "--canary")
    armed = os.path.join(home.path, "armed")
    with open(armed, "w"):
        pass
    environment = home.environment({"QUEUECTL_FAILPOINT": "%s:%s" % (place, armed)})
    words = home.command("worker", "start", "--drain", "--backoff-base", "0")
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    log = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 0 and "died" in log, log
    assert states_of(home) == ["completed"] * 4, log
    assert sorted(ledger(home)) == ["0", "1", "2", "3"], log


def test_the_command_of_a_canary_knows_that_this_is_its_last_attempt(home):
    job = home.add('if [ -e up ]; then echo "$QUEUECTL_ATTEMPT/$QUEUECTL_MAX_RETRIES" > said; else exit 3; fi',
                   "--cwd", home.path, "--max-retries", "2")
    home.drain()
    let_up(home)
    [group] = home.run("dlq", "groups", "--json").json
    home.run("dlq", "retry", "--group", group["group"], "--canary")
    home.drain()
    with open(os.path.join(home.path, "said")) as file:
        assert file.read() == "1/0\n"
    assert home.job(job)["max_retries"] == 2 and home.job(job)["state"] == "completed"


def test_the_line_that_tells_is_found_in_large_output_and_in_that_of_a_job_that_left_something_running(home):
    noise = "i=0; while [ $i -lt 4000 ]; do echo noise noise noise $i; i=$((i+1)); done; echo nothing >&2; exit 4"
    large = "{ %s; } | head -c 300000 >&2; echo \"boom 17\" >&2; exit 4" % noise.replace(" >&2; exit 4", "")
    home.add(large, "--cwd", home.path, "--max-retries", "0")
    home.add("sleep 3 & echo 'bang 18' >&2; exit 4", "--cwd", home.path, "--max-retries", "0")
    home.drain()
    assert {row["text"] for row in rows(home.queue, "SELECT text FROM errors")} == {
        "exit 4: boom <n>", "exit 4: bang <n>"
    }
