"""`why`: each reason as it is told, of jobs and of the queue; the form of its JSON; what it does with bad input."""

import os
import re
import signal
import sqlite3
import stat
import struct
import subprocess
import time

import pytest
from helpers.bundle import ROOT
from helpers.home import PATIENT, contents, let_go
from helpers.marks import needs_proc, posix_only
from helpers.processes import end_process
from helpers.queue import claim, raw_file, rows
from helpers.waiting import wait_until

from queuectl_lib import times
from queuectl_lib.host import processes, system
from queuectl_lib.jobs import local_time
from queuectl_lib.reports import crew, failures, queue_reasons, reasons
from queuectl_lib.run import run_file
from queuectl_lib.store import presence

KEYS = ["id", "state", "reason", "sentence", "reasons", "next", "eta"]
SCRIPT = os.path.join(ROOT, "queuectl.py")


@pytest.fixture
def home(near):
    return near


def why(home, *ids):
    """The answer as JSON; its form is looked at, and what is printed says the same."""
    answer = home.run("why", *ids, "--json").json
    assert list(answer) == KEYS
    assert answer["reason"] == answer["reasons"][0]["reason"] and answer["sentence"] == answer["reasons"][0]["sentence"]
    for one in answer["reasons"]:
        assert list(one)[:2] == ["reason", "sentence"] and "next" not in one
        assert one["reason"] in set(reasons.ORDER) | set(queue_reasons.ORDER) | OTHERS
    assert len(answer["next"]) <= 2 and all(isinstance(line, str) for line in answer["next"])
    assert answer["eta"] is None or answer["reason"] == "behind"
    return answer


OTHERS = {"running", "running_long", "ending", "unclaimed_orphan", "completed", "cancelled"}
OTHERS |= {"retries_spent", "dead_verdict", "cannot_start", "lost", "timed_out", "canary_failed"}


def reason(home, *ids):
    return why(home, *ids)["reason"]


def change(home, statement, *values):
    with raw_file(home.db) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute(statement, values)


@pytest.fixture
def worker(home, monkeypatch):
    """A worker that is there, serves all, and takes nothing."""
    one = {"name": "w-1", "kind": "worker", "queues": [], "slots": 1, "pid": 0, "host": "", "supervisor": "w"}
    one.update(since="")
    monkeypatch.setattr(crew.roster, "members", lambda folder: [one])
    return one


def durations(home, kind, *seconds):
    """What is known of a *kind*: that its last runs took so long."""
    recent = struct.pack("<%df" % len(seconds), *seconds)
    values = (kind, len(seconds), time.time(), recent)
    change(home, "INSERT INTO kinds (kind, runs, failures, ended, recent) VALUES (?, ?, 0, ?, ?)", *values)


# ---------------------------------------------------------------- what waits

IN_THREE_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(time.localtime().tm_wday + 3) % 7]
WAITING = {
    "held": (["--hold"], [], "a person holds it", "release j"),
    "not_due": (["--delay", "2h"], [], "its time has not come: it is due in 119m", "edit j --now"),
    "after": (["--after", "first"], [], "it waits until job first has completed, which is pending", "why first"),
    "queue_paused": (["--queue", "mail"], [["pause", "mail"]], "its queue mail is paused", "resume mail"),
    "window": (
        ["--queue", "mail"],
        [["queue", "set", "mail", "--window", "%s 01:00-02:00" % IN_THREE_DAYS]],
        "the queue mail starts nothing now: opens %s" % IN_THREE_DAYS,
        "",
    ),
    "gate": (
        ["--queue", "mail"],
        [["queue", "set", "mail", "--min-free", "4194304T"]],
        "the queue mail starts nothing now: free ",
        "queue show mail",
    ),
    "behind": (["--priority", "-5"], [], "waits behind 1 job of higher priority (its own is -5); 1 worker", ""),
    "next": (["--priority", "5"], [], "it is the next to start: 1 worker, 0 of 1 slot taken", ""),
}


@pytest.mark.parametrize("name", WAITING)
def test_why_a_job_waits_and_what_to_type(home, worker, name):
    options, calls, said, typed = WAITING[name]
    home.run("queue", "set", "mail")
    home.add("true", "--id", "first")
    home.add("true", "--id", "j", *options)
    for words in calls:
        home.run(*words)
    answer = why(home, "j")
    assert (answer["id"], answer["state"], answer["reason"]) == ("j", "pending", name)
    assert answer["sentence"].startswith(said)
    assert [line.split(home.path + " ")[1] for line in answer["next"]] == ([typed] if typed else [])
    assert home.run("why", "j").stdout.splitlines()[0] == answer["sentence"]


def test_what_a_person_must_mend_first_is_said_first_and_all_is_listed(home):
    home.run("pause", "default")
    home.add("true", "--id", "first")
    home.add("true", "--id", "j", "--hold", "--after", "first", "--delay", "1h")
    answer = why(home, "j")
    assert [one["reason"] for one in answer["reasons"]] == ["no_worker", "queue_paused", "held", "after", "not_due"]
    assert answer["sentence"] == "it is due in 59m, and no worker is alive"


def test_a_lock_names_who_holds_it(home, worker):
    home.add("true", "--id", "holder", "--lock", "db")
    home.add("true", "--id", "j", "--lock", "db")
    taken = claim(home.queue, time.time())
    assert [one.id for one in taken] == ["holder"]
    answer = why(home, "j")
    assert (answer["reason"], answer["sentence"]) == ("lock", "its lock db is held by job holder")
    assert answer["reasons"][0]["held_by"] == ["holder"]
    claim(home.queue, time.time())  # which parks it
    assert rows(home.queue, "SELECT lane FROM jobs WHERE id = 'j'")[0]["lane"] == 4
    assert reason(home, "j") == "lock"
    change(home, "DELETE FROM jobs WHERE id = 'holder'")
    assert "is free again" in why(home, "j")["sentence"]


def test_a_queue_that_is_full_and_one_whose_rate_is_used_up(home, worker):
    home.run("queue", "set", "mail", "--limit", "1")
    home.run("queue", "set", "slow", "--rate", "1/1h")
    for name in ("mail", "slow"):
        home.add("true", "--queue", name)
        home.add("true", "--id", name, "--queue", name)
        claim(home.queue, time.time())
    assert why(home, "mail")["sentence"] == "its queue mail runs as many jobs as it may (queue mail: 1 at once)"
    answer = why(home, "slow")
    assert answer["reason"] == "queue_rate" and "rate 1/1h is used up" in answer["sentence"]
    assert answer["reasons"][0]["again"] > "2026"


def test_how_long_that_takes_is_said_where_the_kinds_of_jobs_are_known(home, worker):
    for _ in range(3):
        home.run("add", "true", "--name", "short")
    job = home.run("add", "true", "--name", "short", "--priority", "-1").id
    assert why(home, job)["eta"] is None, "nothing is known yet"
    durations(home, "short", *[20.0] * 10)
    answer = why(home, job)
    assert answer["sentence"].endswith("1 worker, 0 of 1 slot taken: about 60 s at their usual pace")
    assert answer["eta"] == 60.0


def test_a_job_that_runs_unusually_long_says_how_long_its_kind_takes(home, worker, monkeypatch):
    job = home.run("add", "true", "--name", "short").id
    claim(home.queue, time.time() - 300)
    monkeypatch.setattr(crew.Crew, "is_gone", lambda self, worker: False)
    assert reason(home, job) == "running"
    durations(home, "short", *[20.0] * 10)
    answer = why(home, job)
    assert answer["reason"] == "running_long" and answer["sentence"].endswith("; its kind usually takes 20s")


def test_one_that_went_first_for_its_group_and_failed_says_what_became_of_the_others(home):
    for name in ("first", "second", "third"):
        home.run("add", "echo down >&2; exit 3", "--id", name, "--max-retries", "0")
    home.run("worker", "start", "--drain")
    group = home.run("dlq", "groups", "--json").json[0]["group"]
    home.run("dlq", "retry", "--group", group, "--canary")
    answer = why(home, "second")
    told = "; job first goes first for its group, and this one follows once that has succeeded"
    assert answer["reason"] == "retries_spent" and answer["sentence"].endswith(told)
    assert answer["reasons"][0]["follows"] == "first" and answer["next"][0].endswith("why first")
    home.run("worker", "start", "--drain")
    answer = why(home, "first")
    assert answer["reason"] == "canary_failed"
    assert answer["sentence"].startswith("dead after its only attempt: ")
    assert answer["sentence"].endswith("; it went first for its group %s, and the 2 others of it stay dead" % group[:6])
    answer = why(home, "second")
    assert answer["reason"] == "retries_spent" and answer["sentence"].endswith("; 2 others died of the same")
    assert answer["next"][1].endswith("dlq retry --group %s --canary" % group)
    home.run("dlq", "purge", "third")
    assert why(home, "first")["sentence"].endswith(", and the 1 other of it stays dead")
    home.run("requeue", "second")
    assert why(home, "first")["sentence"].endswith("; it went first for its group %s" % group[:6])


def test_a_slot_that_is_taken_is_waited_for(home, worker):
    home.add("true")
    home.add("true", "--id", "j")
    claim(home.queue, time.time())
    assert why(home, "j")["sentence"] == "it is the next to start, when a slot is free: 1 worker, 1 of 1 slot taken"


def test_a_free_worker_that_does_not_take_the_next_job_is_told(home, worker):
    home.add("true", "--id", "j")
    change(home, "UPDATE jobs SET next_run_at = '2026-01-01T00:00:00.000000Z', updated_at = '2026-01-01T00:00:00.0Z'")
    assert "no worker takes it, though 1 worker, 0 of 1 slot taken: " in why(home, "j")["sentence"]


def test_a_job_that_failed_and_waits_says_how_it_failed(home):
    home.add("echo first; echo oh no >&2; exit 3", "--id", "j")
    home.run("config", "set", "backoff_base", "3000")
    home.start()
    home.wait_for_state("j", "failed")
    home.run("worker", "stop")
    answer = why(home, "j")
    assert (answer["state"], [one["reason"] for one in answer["reasons"]]) == (
        "failed",
        ["no_worker", "backoff", "failed_will_retry"],
    )
    told = answer["reasons"][2]
    assert told["sentence"] == 'attempt 1 of 4 failed: exit code 3; its last line: "oh no"'
    assert (told["exit_code"], told["last_line"]) == (3, "oh no")


def test_a_snoozed_job_says_so(home, worker):
    home.add("true", "--id", "j", "--delay", "1h")
    change(home, "UPDATE jobs SET snoozes = 2")
    columns = "(job, number, outcome, started_at, worker) VALUES (1, 1, 'snoozed', '2026-01-01', 'w-1')"
    change(home, "INSERT INTO attempts " + columns)
    answer = why(home, "j")
    assert answer["reason"] == "snoozed"
    assert answer["sentence"].startswith("it asked to be run later, for the 2nd time: it is due in 59m")


# ---------------------------------------------------------------- who works


def test_without_a_worker_that_is_said_and_how_to_start_one(home):
    home.add("true", "--id", "j")
    answer = why(home, "j")
    assert answer["reason"] == "no_worker" and answer["sentence"].endswith("no worker is alive")
    assert answer["next"] == ["%s worker start --background" % typed(home)]
    assert why(home)["sentence"].startswith("nothing runs: 1 job is due")
    assert why(home)["sentence"].endswith(" and no worker is alive")


def test_a_queue_that_no_worker_serves(home):
    home.run("queue", "set", "mail")
    home.add("true", "--id", "j", "--queue", "mail")
    home.start("--queue", "default")
    home.wait_for_workers(1)
    answer = why(home, "j")
    assert answer["sentence"].endswith("no worker that is alive serves the queue mail")
    assert (answer["reason"], reason(home)) == ("queue_not_served", "queue_not_served")
    assert answer["next"] == ["%s worker start --background --queue mail" % typed(home)]
    home.run("worker", "stop")


@posix_only
def test_workers_that_stop_start_nothing(home):
    first = home.add(PATIENT, "--cwd", home.path)
    process = home.start()
    home.wait_for_state(first, "processing")
    home.add("true", "--id", "j")
    process.terminate()
    wait_until(lambda: reason(home, "j") == "workers_stopping", "the worker to stop")
    assert "was asked to stop, and starts nothing new" in why(home, "j")["sentence"]
    assert reason(home) == "workers_stopping"
    let_go(home)
    assert process.wait() == 0


@needs_proc
def test_a_worker_that_is_paused_is_named_with_its_pid_and_how_to_wake_it(home):
    first = home.add(PATIENT, "--cwd", home.path)
    home.start()
    home.wait_for_state(first, "processing")
    home.add("true", "--id", "j")
    pid = home.workers()[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: reason(home, "j") == "worker_paused", "the worker to be seen paused")
        answer = why(home, "j")
        assert "(state T, pid %d)" % pid in answer["sentence"] and answer["next"] == ["kill -CONT %d" % pid]
        answer = why(home, first)
        assert answer["reason"] == "worker_paused" and "pid %d" % pid in answer["sentence"]
        assert why(home)["next"] == ["kill -CONT %d" % pid]
    finally:
        os.kill(pid, signal.SIGCONT)
    let_go(home)
    home.wait_for_state("j", "completed")
    home.run("worker", "stop")


def test_several_who_are_paused_and_a_supervisor_without_a_worker_that_is(home, monkeypatch):
    home.add("true", "--id", "j")
    workers = [
        {"name": "s-%d" % pid, "kind": "worker", "pid": pid, "host": "", "since": "", "supervisor": "s", "slots": 1}
        for pid in (7, 8)
    ]
    monkeypatch.setattr(crew.roster, "members", lambda folder: workers)
    monkeypatch.setattr(crew.Crew, "_is_paused", lambda self, member: True)
    answer = why(home, "j")
    assert answer["sentence"].endswith("all 2 workers are paused (state T, pid 7, 8), and start nothing")
    assert answer["next"] == ["kill -CONT 7 8"]
    workers[:] = [dict(workers[0], kind="supervisor", name="s", supervisor="")]
    assert why(home, "j")["sentence"].endswith("supervisor s is paused (state T, pid 7), and starts nothing")
    monkeypatch.setattr(crew.Crew, "_is_paused", lambda self, member: False)
    workers[0]["asked"] = "stop"
    assert why(home, "j")["sentence"].endswith("the supervisor was asked to stop, and starts nothing new")
    workers[:] = [dict(workers[0], kind="starting", asked="")]
    assert why(home, "j")["reason"] == "worker_starting"


@needs_proc
def test_a_pid_that_is_another_process_by_now_is_never_named(home, monkeypatch):
    """One that does not hold the life file is not the worker."""
    stranger = subprocess.Popen(["sleep", "60"])
    os.kill(stranger.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: processes.is_paused(stranger.pid), "it to stop")
        home.add("true", "--id", "j")
        one = {"name": "w-1", "kind": "worker", "pid": stranger.pid, "host": crew.system.hostname(), "since": ""}
        one.update(supervisor="w", queues=[], slots=1)
        monkeypatch.setattr(crew.roster, "members", lambda folder: [one])
        assert str(stranger.pid) not in home.run("why", "j", "--json").stdout
    finally:
        stranger.kill()
        stranger.wait()


def test_a_supervisor_whose_workers_cannot_start_says_why(home, monkeypatch):
    home.add("true", "--id", "j")
    one = {"name": "s", "kind": "supervisor", "pid": 0, "host": "", "since": "", "supervisor": ""}
    one["trouble"] = "no worker can start (\x1b[2Jno memory)"
    monkeypatch.setattr(crew.roster, "members", lambda folder: [one])
    answer = why(home, "j")
    assert answer["reason"] == "worker_refuses" and "no worker can start (\\x1b[2Jno memory)" in answer["sentence"]
    one["trouble"] = ""
    assert reason(home, "j") == "worker_starting"


# ---------------------------------------------------------------- what runs


@posix_only
def test_a_job_that_runs_one_that_is_being_ended_and_one_whose_worker_is_gone(home):
    job = home.add(PATIENT, "--cwd", home.path, "--timeout", "1h")
    process = home.start()
    home.wait_for_state(job, "processing")
    worker = home.workers()[0]
    answer = why(home, job)
    assert answer["reason"] == "running" and answer["next"] == ["%s logs -f %s" % (typed(home), job)]
    said = r"attempt 1 of 4 has been running for \d+s, under worker %s; its timeout is over in 5\dm" % worker["name"]
    assert re.fullmatch(said, answer["sentence"])
    ((token,),) = sqlite3.connect(home.db).execute("SELECT token FROM jobs")
    run_file.add_note(home.queue.folder.attempt_path(token, "run"), "until %.6f" % (time.monotonic() + 4 * 3600))
    assert re.search(r"its timeout is over in (?:4|3)h$", why(home, job)["sentence"]), "as it was given more"
    wait_until(lambda: "begun" in contents(os.path.join(home.path, "ledger")), "it to begin")
    end_process(process.pid)
    end_process(worker["pid"])
    wait_until(lambda: not home.workers(), "the worker to be gone")
    answer = why(home, job)
    assert answer["reason"] == "unclaimed_orphan"
    assert "under worker %s, which is gone: the next worker finds out" % worker["name"] in answer["sentence"]
    assert answer["next"] == ["%s worker start --background" % typed(home)]
    assert why(home)["sentence"] == "nothing is due, and no worker is alive; 1 job has begun and has no worker now"
    let_go(home)
    home.drain()
    assert reason(home, job) == "completed"


def test_a_cancel_that_is_under_way_is_told(home, worker, monkeypatch):
    home.add("true", "--id", "j")
    claim(home.queue, time.time())
    monkeypatch.setattr(crew.Crew, "is_gone", lambda self, name: False)
    home.queue.cancel(["j"], time.time())
    answer = why(home, "j")
    assert (answer["reason"], answer["sentence"].split("; ")[1]) == (
        "ending",
        "it was cancelled, and worker w-1 is ending it",
    )


# ---------------------------------------------------------------- what has ended

ENDS = {
    "exit 3": ("retries_spent", "dead after its only attempt: exit code 3"),
    "exit 127": ("retries_spent", "dead after its only attempt: exit code 127 (the command was not found)"),
    "exit 126": ("retries_spent", "exit code 126 (found, but it may not be executed)"),
    "exit 124": ("retries_spent", "exit code 124 (what timeout(1) says when its time is over)"),
    "exit 255": ("retries_spent", "exit code 255 (what ssh says when the connection fails"),
    "exit 143": ("retries_spent", "exit code 143, as after SIGTERM (somebody asked it to end)"),
    "kill -KILL $$": ("retries_spent", "SIGKILL (by whom is not known)"),
    "kill -SEGV $$": ("retries_spent", "SIGSEGV (it touched memory that is not its own: a fault of the program)"),
}


@posix_only
def test_how_each_end_is_told(home):
    ids = {text: home.add("ulimit -c 0; " + text, "--max-retries", "0") for text in ENDS}
    late = home.add("sleep 30", "--max-retries", "0", "--timeout", "0.1s")
    home.drain()
    for text, identifier in ids.items():
        answer = why(home, identifier)
        assert (answer["state"], answer["reason"]) == ("dead", ENDS[text][0]), text
        assert ENDS[text][1] in answer["sentence"], text
        assert "out of memory" not in answer["sentence"]
        assert answer["next"][1] == "%s requeue %s" % (typed(home), identifier)
    assert (reason(home, late), why(home, late)["sentence"]) == (
        "timed_out",
        "dead after its only attempt: timed out after 0.1 s",
    )


@pytest.mark.parametrize("oom, said", [(None, "by whom is not known"), ("likely", "most likely out of memory")])
def test_out_of_memory_is_said_only_with_evidence(oom, said):
    attempt = {"outcome": "failed", "exit_code": 137, "signal": "SIGKILL", "error": "killed by SIGKILL", "oom": oom}
    assert failures.how_it_ended(attempt) == "killed by SIGKILL (%s)" % said
    attempt["oom"] = "proved"
    assert failures.how_it_ended(attempt) == "killed by SIGKILL (out of memory)"


@posix_only
def test_what_all_attempts_have_in_common_is_said_once(home):
    same = home.add("echo x >&2; echo no such table; echo it is gone >&2; exit 4", "--max-retries", "2")
    other = home.add("echo $QUEUECTL_ATTEMPT; exit 4", "--max-retries", "1")
    ways = home.add("exit $QUEUECTL_ATTEMPT", "--max-retries", "1")
    home.drain()
    assert why(home, same)["sentence"] == (
        'dead after 3 of 3 attempts, each with the same end: exit code 4, and the same last line: "it is gone"'
    )
    assert why(home, other)["sentence"].endswith('exit code 4; the last line of the last one: "2"')
    assert why(home, ways)["sentence"].startswith("dead after 2 of 2 attempts: exit code 2")


@posix_only
def test_a_program_that_is_on_the_path_here_and_not_there_is_named_with_both_paths(home, tmp_path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "mysqldump").write_text("#!/bin/sh\n")
    (tools / "mysqldump").chmod(0o755)
    text = home.add("mysqldump all", "--max-retries", "0")
    words = home.run("add", "--max-retries", "0", "--", "mysqldump", "all").id
    own = home.add("mysqldump", "--max-retries", "0", "--env", "PATH=/nowhere")
    process = home.start()
    for job in (text, words, own):
        home.wait_for_state(job, "dead")
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", str(tools) + os.pathsep + path)
    here, there = crew.cut(str(tools)), crew.cut(path)
    said = "mysqldump is on your PATH here (%s), not on that of the workers (%s)" % (here, there)
    assert said in why(home, text)["sentence"] and said in why(home, words)["sentence"]
    whole = "%s:%s" % (tools, path)
    line = ", or add it again with --env %s" % system.quoted("PATH=" + whole)
    assert (line in why(home, text)["sentence"]) == (len(whole) <= crew.MOST_CHARACTERS), "whole, or not at all"
    assert (reason(home, text), reason(home, words)) == ("retries_spent", "cannot_start")
    assert "It was given a PATH of its own" in why(home, own)["sentence"] and "/nowhere" not in str(why(home, own))
    process.terminate()
    process.wait()
    assert "mysqldump is on your PATH here (%s): compare it" % here in why(home, text)["sentence"]
    monkeypatch.setenv("PATH", path)
    assert "mysqldump is not on your PATH here either: is it installed?" in why(home, text)["sentence"]


@pytest.mark.parametrize(
    "line, program",
    [
        ("/bin/sh: 1: exec: foo-2.1: not found", "foo-2.1"),
        ("bash: line 1: foo: command not found", "foo"),
        ("zsh:1: command not found: foo", "foo"),
        ("sh: foo: inaccessible or not found", "foo"),
        ("env: 'foo': No such file or directory", "foo"),
        ("table foo: not found in the database", ""),
        ("/bin/sh: 1: ../../foo: not found", ""),
        ("foo bar not found", ""),
        ("", ""),
    ],
)
def test_the_program_that_a_shell_did_not_find_is_told_by_its_words(line, program):
    ends = failures.Ends.__new__(failures.Ends)
    ends.last, ends.line = {"exit_code": 127, "error": None}, line
    assert failures.missing_program({}, ends) == program
    ends.last = {"exit_code": 1, "error": None}
    assert failures.missing_program({}, ends) == ""


def test_a_path_that_would_fill_the_life_file_is_left_out_of_it(monkeypatch):
    monkeypatch.setenv("PATH", "/bin")
    assert presence.member_details("supervisor", "s", {})["path"] == "/bin"
    assert "path" not in presence.member_details("worker", "s", {}), "one is enough"
    monkeypatch.setenv("PATH", "/x" * 2000)
    assert "path" not in presence.member_details("supervisor", "s", {})


def test_a_job_that_completed_and_one_that_was_cancelled_with_its_parent(home):
    done = home.add("exit 0")
    parent = home.add("exit 1", "--max-retries", "0")
    child = home.add("true", "--after", parent)
    mine = home.add("true", "--hold")
    home.run("cancel", mine)
    home.drain()
    assert why(home, done)["sentence"].startswith("completed ") and why(home, done)["reason"] == "completed"
    answer = why(home, child)
    assert answer["reason"] == "cancelled" and "not run: %s is dead" % parent in answer["sentence"]
    assert answer["next"] == ["%s why %s" % (typed(home), parent), "%s requeue %s" % (typed(home), parent)]
    home.run("requeue", parent)
    assert home.state(child) == "pending", "the line that is proposed brings it back"
    assert "cancelled before it ran" in why(home, mine)["sentence"]


def test_a_job_that_died_though_retries_were_left_died_by_a_verdict(home):
    home.add("exit 7", "--id", "j", "--max-retries", "0")
    home.drain()
    change(home, "UPDATE jobs SET max_retries = 3")
    answer = why(home, "j")
    assert answer["reason"] == "dead_verdict" and "no retry follows, though some were left" in answer["sentence"]
    change(home, "UPDATE attempts SET outcome = 'lost', error = 'lost: x', exit_code = NULL")
    assert reason(home, "j") == "lost"
    change(home, "DELETE FROM attempts")
    assert why(home, "j")["sentence"] == "dead: exit code 7", "a row from before the upgrade has its plain sentence"


# ---------------------------------------------------------------- the queue


def test_a_queue_that_does_not_exist_yet_and_one_with_nothing_to_do(home):
    assert "nothing was ever added" in why(home)["sentence"]
    assert not os.path.exists(home.db), "asking makes nothing"
    home.run("initdb")
    assert why(home)["sentence"] == "nothing runs and nothing is due"
    home.add("exit 1", "--max-retries", "0")
    home.drain()
    answer = why(home)
    assert answer["sentence"] == "nothing runs and nothing is due; 1 job is dead"
    assert answer["next"] == ["%s dlq groups" % typed(home)]


def test_a_queue_of_which_all_waits_for_a_person_or_a_lock(home, worker):
    home.add("true", "--hold", "--id", "j")
    assert why(home)["sentence"] == "nothing is due: 1 job is held by a person"
    home.add("true")
    home.run("pause", "default")
    assert why(home)["sentence"] == "the queue default is paused, and 1 job is due in it"
    home.run("resume")
    home.run("cancel", "--all")
    home.add("true", "--lock", "db")
    home.add("true", "--lock", "db")
    for _ in range(2):
        claim(home.queue, time.time())
    answer = why(home)
    assert (answer["reason"], answer["sentence"]) == ("lock", "1 job runs, and 1 job is waiting for the lock db")
    assert [one["reason"] for one in answer["reasons"]] == ["lock", "busy"]


def minute_of(text):
    """A time as it stands in a sentence: by the clock of this host, with its offset, without seconds."""
    found = local_time.text(times.utc_seconds(text))
    return found[:16] + found[19:]


def test_a_queue_that_is_busy_and_one_that_is_stuck(home, worker):
    home.add("true")
    home.add("true", "--id", "j")
    assert reason(home) == "idle" and "a worker takes the first one now" in why(home)["sentence"]
    change(home, "UPDATE jobs SET next_run_at = '2026-01-01T00:00:00.000000Z'")
    assert reason(home) == "stuck" and "a worker is free, and none takes one" in why(home)["sentence"]
    claim(home.queue, time.time())
    assert why(home)["sentence"] == "1 job runs on 1 slot, and 1 job is due since " + minute_of("2026-01-01T00:00:00Z")


def test_a_disk_that_is_low_is_told_as_check_tells_it(home, monkeypatch):
    home.add("true")
    monkeypatch.setattr(queue_reasons, "LEAST_FREE", 1 << 62)
    answer = why(home)
    assert [one["reason"] for one in answer["reasons"]] == ["no_worker", "disk_low"]
    assert "the disk that holds" in answer["reasons"][1]["sentence"]


def test_a_database_that_another_program_keeps_locked_is_told(home, monkeypatch):
    monkeypatch.setattr(queue_reasons, "PATIENCE_SECONDS", 0.1)
    home.run("initdb")
    with raw_file(home.db) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("UPDATE counts SET told = told")
        found = why(home)
    assert found["reason"] == "database_locked" and "is locked by another program" in found["sentence"]


def test_the_time_since_when_nothing_runs_is_the_earliest(home):
    home.add("true")
    home.add("true", "--priority", "3")
    change(home, "UPDATE jobs SET next_run_at = '2026-01-01T03:12:00.000000Z' WHERE priority = 0")
    when = minute_of("2026-01-01T03:12:00Z")
    assert why(home)["sentence"] == "nothing runs: 2 jobs are due since %s and no worker is alive" % when


# ---------------------------------------------------------------- the call


def test_many_ids_give_a_line_each_and_an_array(home):
    home.add("true", "--id", "a", "--hold")
    home.add("true", "--id", "b", "--hold")
    found = home.run("why", "a", "b", "a", "--json").json
    assert [one["id"] for one in found] == ["a", "b"]
    lines = [line for line in home.run("why", "a", "b").stdout.splitlines() if not line.startswith("  ")]
    assert [line[:3] for line in lines] == ["a  ", "b  "]


def test_an_unknown_id_is_one_line_and_nothing_else_is_said(home):
    home.add("true", "--id", "a")
    for ids in (["nope"], ["a", "nope"]):
        found = home.run("why", *ids, code=1)
        assert found.stdout == "" and found.stderr.startswith('queuectl: error: no job has the id "nope"')
    home.run("why", "../x", code=2)
    home.run("why", "--nope", code=2)


def test_an_unknown_id_without_a_database(home):
    assert "no job has the id" in home.run("why", "a", code=1).stderr
    assert not os.path.exists(home.db)


def test_an_id_that_is_cut_in_a_sentence_is_whole_where_it_is_to_be_pasted(home, worker):
    long = "j" * 128
    home.add("true", "--id", long)
    home.add("true", "--id", "child", "--after", long)
    answer = why(home, "child")
    assert answer["next"] == ["%s why %s" % (typed(home), long)] and long not in answer["sentence"]
    assert why(home, long)["id"] == long


def test_the_beginning_of_an_id_will_do(home):
    identifier = home.add("true")
    assert why(home, identifier[:11])["id"] == identifier


@posix_only
def test_a_home_that_cannot_be_written_is_read(home):
    home.add("exit 1", "--id", "j", "--max-retries", "0")
    home.drain()
    os.chmod(home.path, 0o500)
    os.chmod(home.db, 0o400)
    try:
        assert reason(home, "j") == "retries_spent" and reason(home) == "idle"
    finally:
        os.chmod(home.path, 0o700)
        os.chmod(home.db, 0o600)


def test_nothing_is_written_by_asking(home):
    home.add("true", "--id", "j", "--delay", "1h")
    before = rows(home.queue), sorted(os.listdir(home.path)), os.stat(home.db).st_mtime_ns
    home.run("why", "j")
    home.run("why")
    assert (rows(home.queue), sorted(os.listdir(home.path)), os.stat(home.db).st_mtime_ns) == before


@posix_only
def test_what_a_job_wrote_cannot_drive_a_terminal_and_is_cut(home):
    shouted = home.add("printf '\\033]0;owned\\007 \\342\\200\\256%0500d\\n' 7 >&2; exit 1", "--max-retries", "0")
    home.drain()
    answer = why(home, shouted)
    assert answer["sentence"].isprintable() and '"\\u202e000' in answer["sentence"], "what colours it is left out"
    assert len(answer["sentence"]) < 60 + crew.MOST_CHARACTERS
    assert len(answer["reasons"][0]["last_line"]) <= crew.MOST_CHARACTERS


def test_a_home_that_was_named_is_named_in_what_to_type(home):
    line = home.run("why", "--json").json["next"][0]
    assert line == "%s add 'echo hello'" % typed(home)
    printed = home.run("why").stdout.splitlines()
    assert printed[1] == "  try: " + line


DAMAGE = [
    "state = 'odd'",
    "lane = NULL",
    "lane = 'x'",
    "priority = 'high'",
    "priority = x'ff'",
    "next_run_at = 'tomorrow'",
    "next_run_at = x'ff'",
    "next_run_at = 'tomorrow', lane = 1",
    "attempts = 'many', state = 'failed'",
    "max_retries = x'ff', state = 'failed'",
    "queue = 99",
    "queue = x'ff'",
    "lock_key = x'ff', lane = 4",
    "lock_key = 7",
    "held_at = x'ff', lane = 3",
    "held_at = 5, lane = 3",
    "lane = 2",
    "snoozes = 'x', lane = 1",
    "env = 'x'",
    "last_error = x'ff00'",
    "state = 'processing', token = x'ff', worker = x'ff', lane = NULL, next_run_at = NULL",
    "state = 'processing', token = 't', worker = '../x', started_at = 'x', timeout = 'x', lane = NULL",
    "state = 'dead', lane = NULL, next_run_at = NULL, attempts = x'ff', last_error = x'ff'",
    "state = 'cancelled', lane = NULL, next_run_at = NULL, reason = '{', finished_at = 'x'",
    "state = 'completed', lane = NULL, next_run_at = NULL, attempts = 'x', finished_at = 9",
]


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("with_worker", [False, True])
def test_a_row_that_somebody_has_changed_gives_a_sentence_and_no_traceback(home, monkeypatch, what, with_worker):
    if with_worker:
        one = {"name": "w-1", "kind": "worker", "queues": [], "slots": 1, "pid": 0, "host": "", "supervisor": "w"}
        monkeypatch.setattr(crew.roster, "members", lambda folder: [one])
    home.add("true", "--id", "other")
    home.add("true", "--id", "j")
    with raw_file(home.db) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        for trigger in ("jobs_move", "jobs_moved"):
            connection.execute("DROP TRIGGER %s" % trigger)
        connection.execute("UPDATE jobs SET %s WHERE id = 'j'" % what)
        connection.execute(
            "INSERT INTO attempts (job, number, outcome, exit_code, signal, error, worker, token, started_at, oom)"
            " VALUES (2, 'x', x'ff', 'x', x'ff', x'ff', x'ff', '../../x', 7, x'ff')"
        )
    assert why(home, "j")["sentence"].isprintable()
    why(home, "other")
    why(home)


@pytest.mark.parametrize(
    "columns",
    ["outcome = 'failed', exit_code = x'ff'", "outcome = 'failed', signal = 7", "outcome = 'lost', error = x'ff'"],
)
def test_an_attempt_that_somebody_has_changed_gives_a_sentence(home, columns):
    home.add("exit 1", "--id", "j", "--max-retries", "0")
    home.drain()
    change(home, "UPDATE attempts SET " + columns)
    assert why(home, "j")["sentence"].isprintable()


# ---------------------------------------------------------------- helpers


def typed(home):
    """What begins a line that was proposed."""
    is_program = os.stat(SCRIPT).st_mode & stat.S_IXUSR
    return "%s%s --home %s" % ("" if is_program else "python3 ", SCRIPT, home.path)
