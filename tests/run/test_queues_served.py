"""Queues with real workers: which they serve, what they do not start, and that they rest meanwhile."""

import os
import re
import time

import pytest
from helpers.home import PATIENT, contents, ledger, let_go, wait_for_log
from helpers.marks import needs_proc, posix_only
from helpers.processes import end_process
from helpers.queue import NOW, SETTINGS, claim, claim_one, enqueue, rows, set_queue
from helpers.waiting import wait_until

from queuectl_lib import times
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.store import roster
from queuectl_lib.store.presence import Presence


@pytest.fixture
def home(near):
    return near


MOST_GAP = 5.0  # seconds that a loaded host may take for what takes one at the most, or no time at all


def supervisors(home):
    return [member for member in roster.members(home.queue.folder) if member["kind"] == "supervisor"]


def say(home, word, *options, seconds=0):
    """Add a job that writes *word* into the ledger."""
    text = "echo %s >> ledger" % word if not seconds else "echo %s+ >> ledger; sleep %s; echo %s- >> ledger"
    text = text if not seconds else text % (word, seconds, word)
    return home.add(text, "--id", word, "--cwd", home.path, *options)


def spans(home):
    """When each attempt started and ended, by the ids of its jobs, in seconds."""
    found = rows(home.queue, "SELECT j.id, a.started_at, a.finished_at FROM attempts a JOIN jobs j ON j.seq = a.job")
    return {row["id"]: (times.utc_seconds(row["started_at"]), times.utc_seconds(row["finished_at"])) for row in found}


# ---------------------------------------------------------------- who serves which


@posix_only
@pytest.mark.parametrize(("words", "done"), [(["--queue", "a,b"], "ab"), (["--not-queue", "a,b"], "cd")])
def test_a_drain_runs_what_it_serves_and_ends(home, words, done):
    for name in "abc":
        home.run("queue", "set", name)
        say(home, name, "--queue", name)
    say(home, "d")
    home.drain(*words)
    assert sorted(ledger(home)) == list(done)
    assert {name for name in "abcd" if home.state(name) == "pending"} == set("abcd") - set(done)


@posix_only
def test_a_drain_ends_though_its_queue_is_paused_and_others_have_work(home):
    home.run("queue", "set", "mail")
    say(home, "m", "--queue", "mail")
    say(home, "d")
    home.run("pause", "mail")
    home.drain("--queue", "mail")
    assert ledger(home) == []
    home.drain()
    assert (ledger(home), home.state("m")) == (["d"], "pending")


@posix_only
def test_a_drain_waits_for_what_its_own_lock_or_rate_keeps(home):
    home.run("queue", "set", "mail", "--rate", "1/1s", "--limit", "1")
    for number in range(3):
        say(home, "m%d" % number, "--queue", "mail", "--lock", "db")
    home.drain("--count", "4")
    assert ledger(home) == ["m0", "m1", "m2"]


@posix_only
def test_what_a_supervisor_serves_is_listed_logged_and_kept_in_the_background(home):
    home.run("queue", "set", "mail")
    home.run("worker", "start", "--background", "--queue", "mail")
    home.wait_for_workers(1)
    assert [member["queues"] for member in home.run("worker", "list", "--json").json] == [["mail"]] * 2
    lines = home.run("worker", "list").stdout.splitlines()
    assert "QUEUES" in lines[0].split() and all(" mail " in line for line in lines[1:])
    assert "queues: mail" in contents(home.queue.folder.log)
    say(home, "d")
    say(home, "m", "--queue", "mail")
    home.wait_for_state("m", "completed")
    assert home.state("d") == "pending"
    home.run("worker", "stop")
    home.run("worker", "start", "--background", "--not-queue", "mail")
    home.wait_for_state("d", "completed")
    assert "all but mail" in home.run("worker", "list").stdout


def test_who_serves_all_is_listed_without_the_column(home):
    home.start()
    home.wait_for_workers(1)
    assert "QUEUES" not in home.run("worker", "list").stdout


ENSURED = [
    ([], ["--queue", "a"], 1),
    (["--queue", "a"], ["--queue", "a"], 1),
    (["--queue", "a,b"], ["--queue", "b"], 1),
    (["--queue", "a"], ["--queue", "a,b"], 2),
    (["--queue", "a"], [], 2),
    (["--not-queue", "b"], ["--queue", "a"], 1),
    (["--not-queue", "b"], ["--queue", "b"], 2),
    (["--not-queue", "b"], ["--not-queue", "b"], 1),
    (["--not-queue", "a,b"], ["--not-queue", "b"], 2),
    (["--queue", "a,b,default"], ["--not-queue", "a"], 2),
]


@pytest.mark.parametrize(("first", "second", "count"), ENSURED)
def test_ensure_looks_for_one_that_serves_at_least_these(home, first, second, count):
    for name in "ab":
        home.run("queue", "set", name)
    for words in (first, second, second):
        home.run("worker", "start", "--ensure", "--background", "--quiet", *words)
    assert len(supervisors(home)) == count


# ---------------------------------------------------------------- what does not start


@posix_only
def test_a_pause_lets_what_runs_finish_and_a_resume_starts_the_rest_at_once(home):
    home.run("queue", "set", "mail")
    home.run("config", "set", "poll_interval", "3600")
    home.add("echo begun >> ledger; while [ ! -e go ]; do sleep 0.03; done", "--id", "a", "--cwd", home.path)
    home.run("edit", "a", "--queue", "mail")
    say(home, "b", "--queue", "mail")
    home.start()
    home.wait_for_state("a", "processing")
    home.run("pause", "mail")
    let_go(home)
    home.wait_for_state("a", "completed")
    say(home, "d")
    home.wait_for_state("d", "completed")
    assert home.state("b") == "pending"
    began = time.monotonic()
    home.run("resume", "mail")
    home.wait_for_state("b", "completed")
    assert time.monotonic() - began < MOST_GAP


@posix_only
def test_a_pause_with_a_time_ends_though_nobody_rings(home):
    home.run("queue", "set", "mail")
    home.run("config", "set", "poll_interval", "3600")
    home.start()
    home.wait_for_workers(1)
    home.run("pause", "mail", "--for", "3s")
    until = times.utc_seconds(home.run("queue", "show", "mail", "--json").json["paused_until"])
    say(home, "m", "--queue", "mail")
    home.wait_for_state("m", "completed")
    assert 0 <= spans(home)["m"][0] - until < MOST_GAP


@posix_only
def test_no_more_run_at_once_than_may_however_many_workers_there_are(home):
    home.run("queue", "set", "mail", "--limit", "2")
    home.run("lock", "set", "db", "3")
    for number in range(8):
        say(home, "m%d" % number, "--queue", "mail", seconds=0.2)
        say(home, "l%d" % number, "--lock", "db", seconds=0.2)
        say(home, "o%d" % number, "--lock", "one", seconds=0.05)
    home.drain("--count", "10", "--processes", "5")
    running, most = set(), {"m": 0, "l": 0, "o": 0}
    for word in ledger(home):
        (running.add if word[-1] == "+" else running.discard)(word[:-1])
        for kind in most:
            most[kind] = max(most[kind], sum(1 for one in running if one[0] == kind))
    assert most == {"m": 2, "l": 3, "o": 1}
    assert len(ledger(home)) == 48


@posix_only
def test_with_a_rate_no_span_has_more_starts(home):
    home.run("queue", "set", "mail", "--rate", "3/2s")
    for number in range(8):
        say(home, "m%d" % number, "--queue", "mail")
    home.drain("--count", "8", "--processes", "4")
    noted = sorted(row["at"] for row in rows(home.queue, "SELECT at FROM starts"))
    assert len(noted) == 3
    begun = sorted(begin for begin, _ in spans(home).values())
    assert len(begun) == 8
    for before, after in zip(begun, begun[3:]):
        assert after - before > 2 - 0.5, "its command begins a moment behind the claim, which is what counts"


# ---------------------------------------------------------------- what is taken, and how long


@posix_only
def test_what_a_finished_job_left_running_holds_neither_its_lock_nor_its_place(home):
    home.run("queue", "set", "mail", "--limit", "1")
    left = "(while [ ! -e go ]; do sleep 0.05; done; echo left >> ledger) > /dev/null 2>&1 & echo first >> ledger"
    home.add(left, "--id", "first", "--cwd", home.path, "--queue", "mail", "--lock", "db")
    say(home, "next", "--queue", "mail", "--lock", "db")
    home.start("--count", "2")
    home.wait_for_state("next", "completed")
    assert ledger(home) == ["first", "next"]
    let_go(home)
    wait_until(lambda: "left" in ledger(home), "what was left to end")


@posix_only
def test_a_job_of_killed_workers_holds_its_lock_and_its_place_until_it_has_ended(home):
    home.run("queue", "set", "mail", "--limit", "1")
    home.add(PATIENT, "--id", "first", "--cwd", home.path, "--queue", "mail", "--lock", "db")
    process = home.start("--count", "2")
    wait_until(lambda: ledger(home) == ["begun"], "the job to run")
    process.kill()
    process.wait()
    wait_until(lambda: not [end_process(one["pid"]) for one in home.workers() if one["pid"]], "all workers to be gone")
    say(home, "locked", "--lock", "db")
    say(home, "behind", "--queue", "mail")
    assert home.state("first") == "processing"
    home.start("--count", "2")
    for number in range(2):
        say(home, "free%d" % number)
        home.wait_for_state("free%d" % number, "completed")
    assert [home.state(name) for name in ("first", "locked", "behind")] == ["processing", "pending", "pending"]
    let_go(home)
    for name in ("first", "locked", "behind"):
        home.wait_for_state(name, "completed")
    found = spans(home)
    assert min(found["locked"][0], found["behind"][0]) >= found["first"][1]
    assert ledger(home).count("begun") == ledger(home).count("done") == 1


@posix_only
def test_a_job_that_waits_for_another_with_its_own_lock_is_ended_by_its_timeout(home):
    words = " ".join("'%s'" % word for word in home.command("wait", "second"))
    home.add(words, "--id", "first", "--lock", "db", "--timeout", "1.5s", "--max-retries", "0")
    say(home, "second", "--lock", "db")
    home.start("--count", "2")
    home.wait_for_state("first", "processing")
    assert "lock db: first" in home.run("list").stdout
    home.wait_for_state("second", "completed")
    assert home.job("first")["last_error"] == "timed out after 1.5 s"
    found = spans(home)
    assert found["second"][0] >= found["first"][1]


# ---------------------------------------------------------------- what comes free


@posix_only
def test_a_place_that_comes_free_is_not_left_beside_a_job_that_waits_for_it(home):
    """Though who frees it cannot take the job, and who can looks once an hour."""
    home.run("queue", "set", "mail")
    home.run("config", "set", "poll_interval", "3600")
    home.start("--queue", "mail")
    home.start("--not-queue", "mail")
    home.wait_for_workers(2)
    for number in range(3):
        say(home, "m%d" % number, "--queue", "mail", "--lock", "db", seconds=0.3)
        say(home, "d%d" % number, "--lock", "db", seconds=0.3)
    for number in range(3):
        home.wait_for_state("m%d" % number, "completed")
        home.wait_for_state("d%d" % number, "completed")
    found = sorted(spans(home).values())
    gaps = [begin - end for (_, end), (begin, _) in zip(found, found[1:])]
    assert min(gaps) >= -0.001 and max(gaps) < MOST_GAP


def test_who_claims_nothing_says_that_others_may(queue):
    """A worker that stops records its last job: what that frees is for others, so the bell is rung."""
    set_queue(queue, "mail", running_most=1)
    enqueue(queue, queue="mail")
    enqueue(queue, queue="mail")
    held = claim_one(queue)
    assert queue.exchange("w-1", [Outcome(held, "completed", NOW)], 0, NOW, SETTINGS)[2]


def test_who_serves_some_queues_says_that_the_lock_is_free_for_those_of_others(queue):
    set_queue(queue, "mail")
    enqueue(queue, queue="mail", lock="db", priority=1)
    enqueue(queue, lock="db")
    held = claim_one(queue)
    claim(queue)
    queue.database.served = ["mail"]
    assert queue.exchange("w-1", [Outcome(held, "completed", NOW)], 1, NOW, SETTINGS)[2]
    assert not queue.exchange("w-1", [], 1, NOW, SETTINGS)[2], "and not again and again"


# ---------------------------------------------------------------- at rest


def ticks(pid):
    """CPU seconds and wakes of a process so far."""
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    with open("/proc/%d/status" % pid) as file:
        wakes = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", file.read(), re.M).group(1)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(wakes)


def shut_window(home):
    begin = time.localtime(time.time() + 4 * 3600)
    home.run("queue", "set", "mail", "--window", "%02d:00-%02d:30" % (begin.tm_hour, begin.tm_hour))


CLOSED = {
    "paused": lambda home: home.run("pause", "mail"),
    "paused for an hour": lambda home: home.run("pause", "mail", "--for", "1h"),
    "out of its window": shut_window,
    "its rate used up": lambda home: home.run("queue", "set", "mail", "--rate", "1/1h"),
    "short of disk": lambda home: home.run("queue", "set", "mail", "--min-free", "100000T:/"),
    "its lock taken": lambda home: None,
    "full": lambda home: home.run("queue", "set", "mail", "--limit", "1"),
    "served by others": lambda home: None,
}
WATCHED_SECONDS = 4.0


@needs_proc
@pytest.mark.parametrize("how", sorted(CLOSED))
def test_a_worker_rests_while_its_queue_is_closed(home, how):
    """It takes no attempt, and wakes once a second or so as an idle one does, not a thousand times."""
    home.run("queue", "set", "mail")
    CLOSED[how](home)
    lock = ["--lock", "db"] if how == "its lock taken" else []
    if how in ("its rate used up", "its lock taken", "full"):
        # Somebody who lives elsewhere runs one: its life file is held by this process.
        home.add("true", "--id", "first", "--queue", "mail", "--priority", "9", *lock)
        other = Presence(home.queue.folder, "w-9", {"kind": "worker", "pid": 0, "supervisor": "w"})
        assert claim(home.queue, time.time(), worker="w-9")[0].id == "first"
    else:
        other = None
    for number in range(5):
        home.add("true", "--id", "m%d" % number, "--queue", "mail", *lock)
    try:
        process = home.start(*(["--queue", "default"] if how == "served by others" else []))
        wait_for_log(process, "worker started")
        wait_until(lambda: [one for one in home.workers() if one["pid"]], "the worker to be alive")
        time.sleep(1.0)  # it looks around first
        (pid,) = [member["pid"] for member in home.workers() if member["pid"]]
        before = ticks(pid)
        time.sleep(WATCHED_SECONDS)
        cpu, slept = (after - then for after, then in zip(ticks(pid), before))
        print("%s: %.3f s of CPU, %d wakes in %g s" % (how, cpu, slept, WATCHED_SECONDS))
        assert cpu <= 0.02 * WATCHED_SECONDS and slept <= 3 * WATCHED_SECONDS
        found = rows(home.queue, "SELECT DISTINCT attempts, runs FROM jobs WHERE id LIKE 'm%'")
        assert found == [{"attempts": 0, "runs": 0}]
    finally:
        if other:
            other.end()
