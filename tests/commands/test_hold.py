"""`hold`, `release` and `edit` as they are typed; and beside workers that claim meanwhile."""

import json
import os
import re
import subprocess
import time

import pytest
from helpers.home import PATIENT, Home, contents, ledger, let_go
from helpers.marks import WINDOWS, posix_only
from helpers.processes import all_at_once
from helpers.queue import claim_one, everything, rows, settle
from helpers.waiting import wait_until

from queuectl_lib.store import health, showing


@pytest.fixture
def home(near):
    return near

# ---------------------------------------------------------------- hold and release


@posix_only
def test_a_held_job_does_not_start_until_it_is_released(home):
    home.add("echo held >> ledger", "--id", "held", "--cwd", home.path, "--hold")
    home.add("echo waits >> ledger", "--id", "waits", "--cwd", home.path)
    home.run("hold", "waits")
    home.add("echo free >> ledger", "--id", "free", "--cwd", home.path)
    home.start()
    home.wait_for_state("free", "completed")
    assert (home.state("held"), home.state("waits")) == ("pending", "pending")
    home.run("release", "held", "waits")
    home.wait_for_state("held", "completed")
    home.wait_for_state("waits", "completed")
    assert ledger(home) == ["free", "held", "waits"]


@posix_only
def test_a_released_job_starts_at_once_however_seldom_a_worker_looks(home):
    home.run("config", "set", "poll_interval", "3600")
    home.add("echo first >> ledger", "--id", "first", "--cwd", home.path)
    home.start()
    home.wait_for_state("first", "completed")
    home.add("true", "--id", "held", "--hold")
    home.add("true", "--id", "later", "--delay", "1h")
    home.run("release", "held")
    home.wait_for_state("held", "completed")
    home.run("edit", "later", "--now")
    home.wait_for_state("later", "completed")


@posix_only
def test_a_hold_outlives_workers_and_a_prune(home):
    home.add("true", "--id", "held", "--hold")
    for number in range(2):
        home.add("exit 0", "--id", "free-%d" % number)
        process = home.start()
        home.wait_for_state("free-%d" % number, "completed")
        home.run("worker", "stop")
        assert process.wait(20) == 0
        home.run("prune", "--state", "completed,dead,cancelled")
    assert [(job["id"], job["hold"]) for job in home.run("list", "--json").json] == [("held", True)]


def test_hold_and_release_are_silent_and_seen_in_list_and_show(call):
    call("add", "true", "--id", "job")
    assert call("hold", "job").stdout == call("hold", "job", "job").stdout == ""
    assert re.search(r"^job +pending +0/4 +held +true$", call("list").stdout, re.M)
    assert re.search(r"^hold +yes$", call("show", "job").stdout, re.M)
    assert call("show", "job", "--json").json["hold"] is True
    assert call("release", "job").stdout == call("release", "job").stdout == ""
    assert re.search(r"^job +pending +0/4 +due +true$", call("list").stdout, re.M)
    assert re.search(r"^hold +no$", call("show", "job").stdout, re.M)


def test_a_held_job_says_so_whatever_its_time_is(call):
    call("add", "true", "--id", "job", "--delay", "1h", "--hold")
    assert re.search(r"^job +pending +0/4 +held +true$", call("list").stdout, re.M)
    call("cancel", "job")
    assert " ago " in call("list").stdout


@pytest.mark.parametrize("verb", ["hold", "release", "edit"])
def test_all_of_the_jobs_named_or_none(home, call, verb):
    more = ["--priority", "1"] if verb == "edit" else []
    assert "no job has the id" in call(verb, "job", *more, code=1).stderr, "not even a database"
    call("add", "true", "--id", "one")
    call("add", "true", "--id", "two", "--hold")
    before = everything(home.queue)
    assert 'no job has the id "nobody"' in call(verb, "one", "two", "nobody", *more, code=1).stderr
    assert everything(home.queue) == before


def test_what_list_prints_of_a_held_job_makes_a_held_one_elsewhere(home, tmp_path):
    home.add("true", "--id", "held")
    home.run("hold", "held")
    home.add("true", "--id", "free")
    other = Home(tmp_path / "other")
    other.run("enqueue", "-", input=home.run("list", "--state", "pending,failed", "--json").stdout)
    assert [(job["id"], job["hold"]) for job in other.run("list", "--json").json] == [("held", True), ("free", False)]
    assert claim_one(other.queue, time.time()).id == "free"
    assert claim_one(other.queue, time.time()) is None


def test_a_held_job_holds_its_key_and_is_not_overdue(home, call):
    call("add", "true", "--id", "job", "--unique", "key")
    call("hold", "job")
    assert call("add", "true", "--unique", "key").id == "job"
    week = time.time() + 7 * 86400
    assert health.due_work(home.queue.database, week, week) == (0, 0, None)


# ---------------------------------------------------------------- what edit takes


def test_every_option_of_edit_changes_its_field(call, tmp_path):
    call("add", "true", "--id", "job", "--tag", "x", "--tag", "y", "--env", "A=1", "--env", "B=2")
    before = call("show", "job", "--json").json
    words = ["--priority", "-3", "--run-at", "2031-01-01T00:00:00Z", "--timeout", "1m", "--max-retries", "7"]
    words += ["--queue", "default", "--lock", "key", "--tag", "z", "--tag", "a:1", "--untag", "x", "--env", "C=3"]
    words += ["--env", "A=new", "--unset-env", "B", "--cwd", str(tmp_path), "--command", "echo b"]
    done = call("edit", "job", *words)
    assert (done.stdout, done.stderr) == ("", "")
    expected = {
        "command": "echo b",
        "priority": -3,
        "run_at": "2031-01-01T00:00:00.000000Z",
        "next_run_at": "2031-01-01T00:00:00.000000Z",
        "timeout": 60.0,
        "max_retries": 7,
        "lock": "key",
        "tags": ["a:1", "y", "z"],
        "env": {"A": "new", "C": "3"},
        "cwd": str(tmp_path),
    }
    found = call("show", "job", "--json").json
    assert found.pop("updated_at") > before.pop("updated_at")
    assert found == dict(before, **expected)
    call("edit", "job", "--timeout", "none", "--lock", "none", "--now")
    found = call("show", "job", "--json").json
    assert (found["timeout"], found["lock"]) == (None, None)
    assert before["next_run_at"] < found["next_run_at"] == found["run_at"] < "2031"


def test_a_job_goes_to_another_queue_that_there_is(call):
    call("queue", "set", "mail")
    call("add", "true", "--id", "job")
    call("edit", "job", "--queue", "mail")
    assert call("show", "job", "--json").json["queue"] == "mail"
    assert 'unknown queue "mial": did you mean mail?' in call("edit", "job", "--queue", "mial", code=2).stderr
    call("edit", "job", "--queue", "default")
    assert call("show", "job", "--json").json["queue"] == "default"


def test_a_program_with_its_arguments_stands_behind_two_dashes(call):
    call("add", "true", "--id", "job")
    call("edit", "job", "--priority", "1", "--", "printf", "%s", "--priority")
    job = call("show", "job", "--json").json
    assert (job["command"], job["priority"]) == (["printf", "%s", "--priority"], 1)


def test_edit_prints_the_changed_jobs_as_json_alone(call):
    for name in ("b", "a"):
        call("add", "true", "--id", name)
    found = call("edit", "b", "a", "b", "--priority", "1", "--json").json
    assert [(job["id"], job["priority"]) for job in found] == [("b", 1), ("a", 1)]
    listed = call("list", "--json").json
    assert found == listed, "as list has them, so that it feeds another home"
    assert call("edit", "a", "--priority", "2").stdout == ""


@posix_only
def test_edit_needs_no_directory_that_it_does_not_name(home):
    home.add("true", "--id", "job")
    gone = os.path.join(home.path, "gone")
    os.mkdir(gone)
    words = ["/bin/sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', gone]
    words += home.command("edit", "job", "--priority", "1")
    done = subprocess.run(words, env=home.environment(), stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert home.job("job")["priority"] == 1


SECRET = "sw0rdfish"
BAD = [
    ([], "nothing to change"),
    (["--json"], "nothing to change"),
    (["--run-at", "2031-01-01", "--delay", "1h"], "--run-at, --delay and --now contradict each other"),
    (["--run-at", "2031-01-01", "--now"], "--run-at, --delay and --now contradict each other"),
    (["--delay", "1h", "--now"], "--run-at, --delay and --now contradict each other"),
    (["--id", "other"], "unrecognized arguments: --id"),
    (["--unique", "key"], "unrecognized arguments: --unique"),
    (["--priority", "high"], "priority"),
    (["--priority", "1000000001"], "priority"),
    (["--priority", "none"], "priority"),
    (["--max-retries", "-1"], "max_retries"),
    (["--max-retries", "1.5"], "max_retries"),
    (["--run-at", "soon"], "run_at"),
    (["--run-at", "none"], "run_at"),
    (["--delay", "-1"], "delay"),
    (["--delay", "9999999999999d"], "delay"),
    (["--timeout", "0"], "timeout"),
    (["--timeout", "None"], "timeout"),
    (["--queue", "defualt"], 'unknown queue "defualt": did you mean default?'),
    (["--lock", ""], "lock is empty"),
    (["--lock", "x" * 201], "lock"),
    (["--tag", "a b"], "tags"),
    (["--tag", ""], "tags"),
    (["--untag", "-"], "tags"),
    (["--tag", "a", "--untag", "a"], "--tag and --untag contradict each other"),
    (["--env", SECRET], "--env: NAME=VALUE is expected"),
    (["--env", "=" + SECRET], "--env: NAME=VALUE is expected"),
    (["--env", "QUEUECTL_JOB_ID=" + SECRET], "env: QUEUECTL_JOB_ID"),
    (["--env", "A=" + SECRET, "--unset-env", "A"], "--env and --unset-env contradict each other"),
    (["--unset-env", "A=" + SECRET], "--unset-env: the name of a variable is expected"),
    (["--unset-env", ""], "--unset-env: the name of a variable is expected"),
    (["--cwd", ""], "cwd is empty"),
    (["--command", ""], "command is empty"),
    (["--command", " \n"], "command is empty"),
    (["--command", "true", "--", "true"], "give one command"),
    (["--"], "the list names no program"),
    (["--", ""], "the list names no program"),
    (["second", "--command", "true"], "one command for 2 jobs"),
    (["second", "--", "true"], "one command for 2 jobs"),
    (["--tag"] + [word for number in range(17) for word in ("t%d" % number, "--tag")][:-1], "tags: more than 16"),
]


@pytest.mark.parametrize(("words", "fragment"), BAD, ids=[" ".join(words)[:50] for words, _ in BAD])
def test_what_cannot_be_meant_is_refused_in_one_line_and_changes_nothing(home, call, words, fragment):
    call("enqueue", json.dumps([{"id": "job", "command": "true"}, {"id": "second", "command": "true"}]))
    before = everything(home.queue), rows(home.queue, "SELECT * FROM tags")
    said = call("edit", "job", *words, code=2).stderr
    assert fragment in said
    assert SECRET not in said
    assert (everything(home.queue), rows(home.queue, "SELECT * FROM tags")) == before


@pytest.mark.parametrize("verb", ["hold", "release", "edit"])
@pytest.mark.parametrize("words", [[], ["../x"], ["-n"], [""]])
def test_ids_that_can_be_none_are_refused(call, verb, words):
    call(verb, *words, code=2)


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["--unset-env", "B"], 'job job has no variable "B": nothing was changed'),
        (["--untag", "y"], 'job job has no tag "y": nothing was changed'),
        (["--max-retries", "0"], "job job has used 1 attempt: at least 1"),
    ],
)
def test_what_does_not_fit_a_job_is_refused_in_one_line(home, call, words, fragment):
    call("add", "true", "--id", "job", "--env", "A=" + SECRET, "--tag", "x")
    settle(home.queue, claim_one(home.queue, time.time()), "failed", time.time())
    before = everything(home.queue)
    said = call("edit", "job", *words, code=1).stderr
    assert fragment in said
    assert SECRET not in said
    assert everything(home.queue) == before


# ---------------------------------------------------------------- beside workers


@posix_only
def test_a_running_job_is_neither_held_nor_edited_and_released_without_harm(home):
    job = home.add(PATIENT, "--cwd", home.path)
    home.start()
    wait_until(lambda: ledger(home) == ["begun"], "it to begin")
    text = "job %s runs: cancel it, or hold it when it is back: nothing was held" % job
    assert text in home.run("hold", job, code=1).stderr
    text = "job %s runs, with what it was started with: nothing was changed" % job
    assert text in home.run("edit", job, "--command", "true", code=1).stderr
    home.run("release", job)
    let_go(home)
    home.wait_for_state(job, "completed")
    assert ledger(home) == ["begun", "done"]
    assert home.job(job)["command"] == PATIENT


@posix_only
def test_an_edited_job_runs_as_it_is_now_and_show_says_what_each_attempt_ran(home):
    job = home.add("echo one >> ledger; exit 3", "--cwd", home.path, "--env", "WORD=old")
    home.run("config", "set", "backoff_base", "3600")
    process = home.start()
    home.wait_for_state(job, "failed")
    home.run("edit", job, "--command", "echo $WORD >> ledger", "--env", "WORD=new", "--now")
    home.wait_for_state(job, "completed")
    home.run("worker", "stop")
    process.wait(20)
    assert ledger(home) == ["one", "new"]
    shown = home.run("show", job, "--all").stdout
    first = r"attempt 1: failed\n  started .*\n  command: echo one >> ledger; exit 3\n  error: exit code 3\n"
    assert re.search(first, shown)
    assert shown.count("  command:") == 1
    history = home.job(job)["history"]
    assert [attempt["command"] for attempt in history] == ["echo one >> ledger; exit 3", None]


def test_the_list_that_an_attempt_ran_is_shown_as_one_types_it(home, call):
    call("add", "--id", "job", "--", "prog", "a b")
    settle(home.queue, claim_one(home.queue, time.time()), "failed", time.time())
    call("edit", "job", "--command", "true")
    shown = 'prog "a b"' if WINDOWS else "prog 'a b'"
    assert "  command: %s\n" % shown in call("show", "job", "--all").stdout
    assert call("show", "job", "--json").json["history"][0]["command"] == ["prog", "a b"]


@posix_only
@pytest.mark.parametrize("name", ["edit.before-change", "write.before-commit", "write.committed"])
@pytest.mark.parametrize("verb", ["edit", "hold", "release"])
def test_one_that_is_killed_has_done_all_or_nothing_and_leaves_nothing_behind(home, verb, name):
    if name.startswith("edit") and verb != "edit":
        pytest.skip("only edit comes there")
    ids = ["one", "two"]
    for job in ids:
        home.add("true", "--id", job, *(["--hold"] if verb == "release" else []))
    before = rows(home.queue)
    once = os.path.join(home.path, "once")
    words = home.command(verb, *ids + (["--env", "A=1"] if verb == "edit" else []))
    environment = home.environment({"QUEUECTL_FAILPOINT": "%s:%s" % (name, once)})
    code = subprocess.run(words, env=environment, timeout=60).returncode
    assert code == -9
    after = rows(home.queue)
    changed = [one["id"] for one, other in zip(before, after) if one != other]
    assert changed == (ids if name == "write.committed" else [])
    home.run("edit", "one", "--command", "echo again")
    home.run("release", *ids)
    home.drain()
    assert {job["state"] for job in rows(home.queue)} == {"completed"}


# Until nothing waits any more: one holds jobs for a moment, and looks; the others change commands at random.
# All of the jobs are held until each of these has done so once: however slow it is here, none comes too late.
MEDDLER = """
import os, random, sys, time
sys.path.insert(0, sys.argv[1])
import storage
from queuectl_lib.errors import QueueError
from queuectl_lib.jobs import states
from queuectl_lib.jobs.changes import Change
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import editing, holding, looking, showing
queue, count, command = storage.Queue(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
chance, done, refused, wrong = random.Random(), 0, 0, []
deadline = time.monotonic() + 50

def attempts(jobs):
    return [len(showing.job(queue.database, job)["history"]) for job in jobs]

def hold_some():
    jobs = chance.sample(["j%d" % number for number in range(count)], 3)
    holding.hold(queue.database, jobs, time.time())
    before = attempts(jobs)
    time.sleep(0.02)
    if attempts(jobs) != before:
        wrong.append(jobs)
    holding.release(queue.database, jobs, time.time())

def edit_one():
    maker = JobMaker(3, "/", 0, time.time())
    change = Change(maker, {"command": command % ("%d-%d" % (os.getpid(), done))})
    editing.edit(queue.database, ["j%d" % chance.randrange(count)], change, time.time())

try:
    os.close(os.open(sys.argv[2] + ".holder", os.O_CREAT | os.O_EXCL))
    meddle = hold_some
except FileExistsError:
    meddle = edit_one
meddle()
done += 1
print("ready", flush=True)
sys.stdin.readline()
if meddle is hold_some:
    holding.release(queue.database, ["j%d" % number for number in range(count)], time.time())
while any(looking.counts(queue.database)[state] for state in states.HOLDING) and time.monotonic() < deadline:
    try:
        meddle()
        done += 1
    except QueueError as error:
        assert type(error) is QueueError, error
        refused += 1
print(done, refused, wrong)
"""


@posix_only
def test_each_attempt_ran_what_show_says_whoever_edits_and_holds_while_workers_claim(home):
    count, command = 60, "echo %s $QUEUECTL_JOB_ID $QUEUECTL_ATTEMPT >> ledger; exit 1"
    job = {"command": command % "first", "cwd": home.path, "hold": True, "max_retries": 3}
    home.run("enqueue", "-", input=json.dumps([dict(job, id="j%d" % number) for number in range(count)]))
    home.run("config", "set", "backoff_base", "0")
    home.start("--count", "2")
    found = all_at_once(MEDDLER, 3, home.db, count, command)
    for code, said, errors in found:
        assert code == 0, errors
        assert said.split(" ", 2)[2] == "[]", "held jobs were started"
    wait_until(lambda: {job["state"] for job in rows(home.queue)} == {"dead"}, "all to have failed four times", 120)
    ran = {}
    for word, job, attempt in (line.split() for line in contents(os.path.join(home.path, "ledger")).splitlines()):
        ran.setdefault(job, {})[int(attempt)] = word
    said = {}
    for job in ran:
        shown = showing.job(home.queue.database, job)
        for attempt in shown["history"]:
            words = (attempt["command"] or shown["command"]).split()
            said.setdefault(job, {})[attempt["number"]] = words[1]
    assert ran == said
    assert [len(one) for one in ran.values()] == [4] * count
    assert len({word for one in ran.values() for word in one.values()}) > 3, "some were edited while workers claimed"
