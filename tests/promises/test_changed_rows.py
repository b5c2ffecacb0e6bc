"""Rows of what is under way, or has ended, that somebody changed by hand stop no worker, no call and no other job."""

import os
import shutil
import time

import pytest
from helpers.home import Home, contents, let_go, wait_for_log
from helpers.marks import posix_only
from helpers.processes import end_process
from helpers.queue import NOW, SETTINGS, claim, enqueue, raw, rows, settle
from helpers.waiting import wait_until

from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.run import pace
from queuectl_lib.store import ending, identity, looking, output


@pytest.fixture
def home(near):
    return near

# What somebody does to the row of a running job, and whether its result can be recorded all the same.
WHILE_IT_RUNS = {
    "worker": ["NULL", "x'ff00'", "CAST(x'ff' AS TEXT)", "'../x'"],
    "attempts": ["'many'", "x'ff'"],
    "max_retries": ["'many'", "x'ff'"],
    "runs": ["'many'", "7"],
    "timeout": ["'soon'", "x'ff'"],
    "command": ["CAST(x'ff' AS TEXT)", "x'ff'"],
    "cwd": ["CAST(x'ff' AS TEXT)"],
    "unique_key": ["x'ff'"],
    "id": ["x'ff'"],
    "started_at": ["x'ff'"],
}
EACH_CHANGE = ["%s = %s" % (column, value) for column, values in WHILE_IT_RUNS.items() for value in values]


@posix_only
def test_an_orphan_whose_row_was_changed_stops_no_worker_and_ends(home):
    """Each died with its worker. What can be tried again is; where that cannot be read, it is set aside."""
    for _ in EACH_CHANGE:
        enqueue(home.queue, now=time.time(), max_retries=1, cwd=home.path)
    assert len(claim(home.queue, time.time(), len(EACH_CHANGE), "dead-1")) == len(EACH_CHANGE)
    with raw(home.queue) as connection:
        for number, change in enumerate(EACH_CHANGE, 1):
            connection.execute("UPDATE jobs SET %s WHERE seq = %d" % (change, number))
    home.run("worker", "list")
    home.run("status")
    other = home.add("true")
    log = home.drain()
    assert home.state(other) == "completed" and "Traceback" not in log and "Error(" not in log, log
    counts = looking.counts(home.queue.database)
    assert counts["processing"] == counts["pending"] == counts["failed"] == 0
    for change, job in zip(EACH_CHANGE, rows(home.queue, "SELECT CAST(last_error AS TEXT) AS error FROM jobs")):
        if change in ("attempts = 'many'", "max_retries = 'many'"):
            assert job["error"] == "cannot be read: " + change.replace("=", "is").replace("'", '"')
        elif change.split()[0] in ("worker", "runs", "started_at"):
            assert job["error"] is None


def changed_while_it_runs(home, command, change):
    """A worker that runs *command*, whose row is then changed; the worker."""
    home.add("touch begun; " + command, "--id", "job", "--cwd", home.path, "--max-retries", "1")
    process = home.start("--backoff-base", "0")
    wait_until(lambda: os.path.exists(os.path.join(home.path, "begun")), "the job to run")
    with raw(home.queue) as connection:
        connection.execute("UPDATE jobs SET " + change)
    return process


@posix_only
def test_a_running_job_whose_attempts_were_changed_can_be_given_back_and_is_then_set_aside(home):
    process = changed_while_it_runs(home, "sleep 60", "attempts = 'many'")
    home.run("worker", "stop", "--now", "--timeout", "20s")
    assert process.wait(20) == 0 and home.state("job") == "pending"
    home.drain()
    assert home.job("job")["last_error"] == 'cannot be read: attempts is "many"'


@posix_only
def test_a_result_stands_whatever_was_made_of_the_row_of_its_job(home):
    """Its worker is killed, so that the next one finds it out."""
    change = "attempts = 'many', max_retries = x'ff', runs = 'many', timeout = 'soon', worker = NULL"
    process = changed_while_it_runs(home, "echo $$ > pid; while [ ! -e go ]; do sleep 0.03; done", change)
    other = home.add("true")
    for member in home.workers():
        end_process(member["pid"])
    wait_for_log(process, "job job adopted from a worker whose name cannot be read")
    let_go(home)
    for job in ("job", other):
        home.wait_for_state(job, "completed")
    assert "Traceback" not in contents(process.log)


@posix_only
@posix_only
def test_a_running_job_whose_token_was_changed_is_not_begun_beside_itself(home, tmp_path):
    """By hand, in its row: its worker still knows what it runs."""
    text = "mkdir lock || echo twice >> ledger; echo begun >> ledger; while [ ! -e go ]; do sleep 0.05; done"
    text += "; rmdir lock"
    home.run("add", "--id", "j", text, cwd=str(tmp_path))
    home.start("--count", "2", "--poll-interval", "0.2", "--backoff-base", "0")
    wait_until(lambda: contents(tmp_path / "ledger"), "the job to begin")
    with raw(home.queue) as connection:
        connection.execute("UPDATE jobs SET token = '0123456789abcdef' WHERE id = 'j'")
    home.add("true", "--id", "other")
    home.wait_for_state("other", "completed")
    time.sleep(2 * pace.STANDING_SECONDS + 1)  # some looks at the jobs under way
    (tmp_path / "go").touch()
    home.wait_for_state("j", "completed")
    assert "twice" not in contents(tmp_path / "ledger")


def test_a_worker_does_not_adopt_what_it_runs_itself(home):
    process = changed_while_it_runs(home, "while [ ! -e go ]; do sleep 0.03; done", "worker = NULL")
    home.add("true", "--id", "other")
    home.run("cancel", "other")
    other = home.start()  # one that is idle, and may
    wait_for_log(other, "adopted")
    let_go(home)
    home.wait_for_state("job", "completed")
    assert "adopted" not in contents(process.log)
    assert len(home.job("job")["history"]) == 1


@pytest.mark.parametrize("column", ["id", "folder", "file", "path", "boot"])
@pytest.mark.parametrize("value", ["NULL", "x'ff'", "CAST(x'ff' AS TEXT)"])
def test_an_identity_that_cannot_be_read_counts_as_none(home, tmp_path, column, value):
    enqueue(home.queue, now=time.time())
    identity.recognise(home.queue.database, None, time.time())
    with raw(home.queue) as connection:
        connection.execute("UPDATE identity SET %s = %s" % (column, value))
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.path, copy.path, ignore=shutil.ignore_patterns("bell"))
    assert identity.recognise(copy.queue.database, None, time.time()) == ""
    noted = rows(copy.queue, "SELECT * FROM identity")
    assert len(noted) == 1 and all(isinstance(value, str) for value in noted[0].values())


def test_a_copy_settles_what_ran_in_the_original_whatever_its_rows_hold(home, tmp_path):
    changes = [change for change in EACH_CHANGE if not change.startswith("worker")]
    for _ in changes:
        enqueue(home.queue, now=time.time())
    identity.recognise(home.queue.database, None, time.time())
    assert len(claim(home.queue, time.time(), len(changes), "dead-1")) == len(changes)
    with raw(home.queue) as connection:
        for number, change in enumerate(changes, 1):
            connection.execute("UPDATE jobs SET %s WHERE seq = %d" % (change, number))
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.path, copy.path, ignore=shutil.ignore_patterns("bell"))
    said = identity.recognise(
        copy.queue.database, lambda connection, lost: ending.settle(connection, lost, SETTINGS), time.time()
    )
    assert "%d jobs count as interrupted" % len(changes) in said
    assert looking.counts(copy.queue.database)["processing"] == 0


STRANGE_VALUES = ["'text'", "x'ff00'", "CAST(x'ff20' AS TEXT)", "1.5"]
OF_ATTEMPTS = ["number", "outcome", "started_at", "finished_at", "exit_code", "signal", "error", "worker", "token"]
OF_ATTEMPTS += ["leftovers", "erased", "stdout", "stderr", "stdout_bytes", "stderr_bytes"]


@pytest.mark.parametrize("value", STRANGE_VALUES)
def test_an_attempt_is_shown_as_far_as_it_can_be_whatever_its_row_holds(home, value):
    """One of them a job, for each column; and in all columns at once."""
    with raw(home.queue) if home.run("initdb") else None as connection:
        for job, column in enumerate(OF_ATTEMPTS + [" = %s, ".join(OF_ATTEMPTS).replace("%s", value)]):
            enqueue(home.queue, id="job%d" % job, max_retries=5)
            settle(home.queue, claim(home.queue)[0], "failed", error="why not", exit_code=3)
            connection.execute("UPDATE attempts SET %s = %s WHERE job = %d" % (column, value, job + 1))
            assert "attempt " in home.run("show", "job%d" % job).stdout
            assert len(home.run("show", "job%d" % job, "--json").json["history"]) == 1
            home.run("logs", "job%d" % job)
    for words in (["list"], ["list", "--json"], ["status"], ["wait", "--timeout", "0"]):
        home.run(*words, code=124 if words[0] == "wait" else 0)


def test_output_is_followed_from_attempt_to_attempt_although_their_numbers_are_none(queue):
    enqueue(queue, id="job", max_retries=5)
    follower = output.Follower(queue.database, "job", None, ["stdout"])
    read = []
    for number in range(3):
        held = claim(queue, NOW + number * 100)[0]
        outcome = Outcome(held, "failed", NOW + number * 100)
        outcome.stdout, outcome.stdout_bytes = b"%d" % number, 1
        queue.exchange("w-1", [outcome], 0, NOW + number * 100, SETTINGS)
        with raw(queue) as connection:
            value = ("number", "'first'", "x'ff'")[number]
            connection.execute("UPDATE attempts SET number = %s WHERE id = %d" % (value, held.attempt_id))
        read += [data for _, data in follower.news()]
    assert read == [b"0", b"1", b"2"]


def test_the_next_attempt_gets_a_number_although_the_last_has_none(queue):
    enqueue(queue, id="job", max_retries=5)
    for number in range(2):
        settle(queue, claim(queue, NOW + 100 * number)[0], "failed", NOW + 100 * number)
    with raw(queue) as connection:
        connection.execute(
            "UPDATE attempts SET number = 'last', leftovers = 'x', token = CAST(x'ff' AS TEXT) WHERE id = 2"
        )
        connection.execute("UPDATE jobs SET runs = 0")
    assert claim(queue, NOW + 1000)[0].number == 2
