"""`check`: silent when all is well, one line for each thing that is wrong, each death told of once."""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import time

import pytest
from helpers.home import SCRIPT
from helpers.marks import WINDOWS, posix_only
from helpers.processes import end_process
from helpers.queue import claim, enqueue, settle
from helpers.waiting import wait_until

from queuectl_lib import times, values
from queuectl_lib.errors import HostError
from queuectl_lib.host import files
from queuectl_lib.reports import problems
from queuectl_lib.store import health, looking, queues
from queuectl_lib.store.presence import Presence
from storage import Queue


@pytest.fixture
def home(near):
    return near

HUGE = "999999T"


def check(home, *words, code=1):
    """The lines that `check` prints of all that is wrong."""
    done = home.run("check", "--all", *words, code=code)
    assert done.stderr == ""
    assert bool(done.stdout) == bool(code)
    return done.stdout.splitlines()


def kinds(home, *words):
    value = home.run("check", "--json", *words, code=1).json
    assert value["ok"] is False
    return [problem["kind"] for problem in value["problems"]]


def enqueue_ago(home, seconds_ago=0.0, **fields):
    """Add a job that is tried once, and that was added so long ago."""
    return enqueue(home.queue, 0, time.time() - seconds_ago, **dict({"command": "exit 0"}, **fields))


def settle_next(home, kind, now=None, error=None):
    """Claim the next due job and record how it ended."""
    now = time.time() if now is None else now
    (held,) = claim(home.queue, now)
    assert settle(home.queue, held, kind, now, error=error)
    return held.id


def kill_job(home, identifier, error="exit code 1", now=None):
    enqueue_ago(home, 3600, id=identifier)
    settle_next(home, "failed", now, error)


@contextlib.contextmanager
def present_worker(home):
    """A worker lives, and does nothing."""
    home.run("initdb")
    presence = Presence(home.queue.folder, "w-1", {"kind": "worker", "pid": 0, "supervisor": "w"})
    try:
        yield
    finally:
        presence.end()


# ---------------------------------------------------------------- all is well


def test_a_home_that_was_never_used_is_well_and_stays_untouched(tmp_path, home):
    assert check(home, code=0) == []
    assert os.listdir(home.path) == []
    assert check(home, "--expect", "k", "--every", "1h") == [
        'no job with the key "k" completed within 1h; the last success: never'
    ]


def test_a_queue_that_is_well_prints_nothing_and_as_json_says_so(home):
    home.add("exit 0", "--delay", "1h")
    home.add("exit 0", "--unique", "k")
    with present_worker(home):
        assert check(home, code=0) == []
        assert home.run("check", "--json").json == {"ok": True, "problems": []}


@posix_only
def test_it_works_in_a_bare_environment_with_closed_standard_input(home):
    enqueue_ago(home)
    words = ["env", "-i", sys.executable, SCRIPT, "--home", home.path, "check", "--all"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh"] + words, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.startswith(b"no worker is alive")


# ---------------------------------------------------------------- work that waits


def test_a_due_job_that_waits_too_long_is_named(home):
    with present_worker(home):
        enqueue_ago(home, 1200, id="new", priority=5)
        enqueue_ago(home, 7200, id="old")
        (line,) = check(home)
        assert re.match(r"job old has been due since \d{4}-[^(]+ [+-]\d\d:\d\d \(2h\); jobs due: 2$", line)
        assert check(home, "--waiting", "3h", code=0) == []
        (problem,) = home.run("check", "--json", "--waiting", "1h", code=1).json["problems"]
        assert (problem["kind"], problem["id"], problem["due"]) == ("waiting", "old", 2)


def test_a_job_waits_from_when_it_falls_due_not_from_when_it_was_added(home):
    with present_worker(home):
        enqueue_ago(home, 7200, id="later", run_at=times.utc_text(time.time() + 3600))
        enqueue_ago(home, 7200, id="just-due", run_at=times.utc_text(time.time() - 60))
        assert check(home, code=0) == []
        enqueue_ago(home, 7200, id="long-due", run_at=times.utc_text(time.time() - 1800))
        assert "long-due" in check(home)[0]


def test_a_job_that_was_given_back_waits_from_then(home):
    with present_worker(home):
        enqueue_ago(home, 36000)
        settle_next(home, "given back")
        assert check(home, code=0) == []


def test_due_work_without_a_worker_is_told_at_once(home):
    enqueue_ago(home, run_at=times.utc_text(time.time() + 3600))
    assert check(home, code=0) == []
    enqueue_ago(home)
    (line,) = check(home)
    assert line.startswith("no worker is alive; jobs due: 1, left without a worker: 0;")
    with present_worker(home):
        assert check(home, code=0) == []


def test_a_job_that_runs_on_without_a_worker_is_told_too(home):
    enqueue_ago(home)
    claim(home.queue, time.time())
    assert "jobs due: 0, left without a worker: 1" in check(home)[0]


def test_a_real_worker_is_seen(home):
    home.start()
    home.wait_for_workers(1)
    job = home.add("exit 0", "--unique", "k")
    home.wait_for_state(job, "completed")
    assert check(home, "--expect", "k", "--every", "1h", code=0) == []


# ---------------------------------------------------------------- the disk


def test_a_disk_with_less_room_than_asked_for_is_named(home):
    home.run("initdb")
    (line,) = check(home, "--min-free", HUGE)
    assert home.path in line and line.endswith("less than 999999T")
    assert check(home, "--min-free", "1", code=0) == []
    assert kinds(home, "--min-free", HUGE) == ["disk"]


@pytest.mark.parametrize("text, size", [("0", 0), ("12", 12), ("100K", 102400), ("256M", 1 << 28), ("2G", 1 << 31)])
def test_a_size_is_read(text, size):
    assert values.parse_size(text, "--min-free") == size
    assert values.size_text(size) == {"0": "0 bytes", "12": "12 bytes"}.get(text, text)


# ---------------------------------------------------------------- dead letters


def test_each_death_is_told_of_once_with_its_error(home):
    kill_job(home, "a", "exit code 7")
    assert check(home) == ["new dead letters: 1", "  a: exit code 7; command: exit 0"]
    assert check(home, code=0) == []
    kill_job(home, "b")
    assert check(home) == ["new dead letters: 1", "  b: exit code 1; command: exit 0"]
    home.run("dlq", "retry", "a")
    settle_next(home, "failed")
    assert "  a: " in check(home)[1]
    assert check(home, code=0) == []


def test_of_many_deaths_the_newest_are_told_whatever_the_clock_did(home, monkeypatch):
    """Every one died a minute earlier than the one before, by the clock."""
    monkeypatch.setattr(problems, "NEWEST_DEAD", 6)
    for number in range(8):
        kill_job(home, "job%d" % number, now=time.time() - 60 * number)
    with contextlib.suppress(KeyError), health.untold_deaths(home.queue.database, 6) as (count, jobs):
        (problem,) = problems.dead_problems(home.queue, count, jobs)
        raise KeyError("so that they do not count as told")
    assert problem["text"] == "new dead letters: 8; the newest: job7, job6, job5, job4, job3 (exit code 1)"
    lines = check(home)
    assert lines[0] == "new dead letters: 8"
    assert [line.split(":")[0] for line in lines[1:7]] == ["  job%d" % number for number in (7, 6, 5, 4, 3, 2)]
    assert lines[7:] == ["  and 2 more: `queuectl.py dlq list`, `queuectl.py dlq groups`"]
    kill_job(home, "last", now=time.time() - 3600)
    assert re.findall(r"job\d|last", str(check(home))) == ["last"]


@pytest.mark.parametrize("by", [["dlq", "purge"], ["dlq", "retry", "--all"]], ids=" ".join)
def test_a_dead_letter_that_was_dealt_with_before_the_check_is_none(home, by):
    for name in "ab":
        kill_job(home, name)
    home.run(*by)
    with present_worker(home):
        assert check(home, code=0) == []
    for _ in range(home.run("status", "--json").json["pending"]):
        settle_next(home, "completed")
    kill_job(home, "c", "exit code 3")
    assert check(home)[0] == "new dead letters: 1", "and those that are gone are not counted with it"
    assert check(home, code=0) == []


def test_the_text_of_a_job_cannot_drive_the_terminal(home):
    kill_job(home, "a", "\x1b]0;owned\x07\u202e" + "x" * 500)
    (_, line) = check(home)
    assert line.isprintable() and "\\x1b]0;owned" in line
    assert len(line) < 260
    assert "\x1b" not in home.run("check", "--expect", "\x1b[31m", "--every", "1h", code=1).stdout


@posix_only
def test_a_report_that_could_not_be_written_is_made_again(home):
    kill_job(home, "a")
    for words in (["check"], ["check", "--all"], ["check", "--json"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(home.command(*words), stdout=full, stderr=subprocess.PIPE)
        assert done.returncode == 3
        assert done.stderr.count(b"\n") == 1 and b"could not be printed" in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(home.command("check"), stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
    assert check(home) == ["new dead letters: 1", "  a: exit code 1; command: exit 0"]
    assert check(home, code=0) == []


def test_while_one_check_tells_another_waits_and_then_has_nothing_to_tell(home):
    for number in range(3):
        kill_job(home, "job%d" % number)
    impatient = Queue(home.db, busy_seconds=0.2)
    with health.untold_deaths(home.queue.database, 5) as (count, _):
        assert count == 3
        with pytest.raises(HostError, match="locked by another"), health.untold_deaths(impatient.database, 5):
            pass
        process = subprocess.Popen(home.command("check"), stdout=subprocess.PIPE, env=home.environment())
    assert process.communicate(timeout=60)[0] == b""
    assert process.returncode == 0


@posix_only
def test_a_job_that_a_real_worker_gives_up_is_told_of(home):
    job = home.add("echo row 17 is wrong >&2; exit 3", "--max-retries", "1")
    home.drain()
    line = "  %s: exit 3: row 17 is wrong; command: echo row 17 is wrong >&2; exit 3" % job
    assert check(home) == ["new dead letters: 1", line]


# ---------------------------------------------------------------- what is expected


def test_an_expected_job_must_have_completed_in_time(home):
    enqueue_ago(home, 7200, unique="k")
    settle_next(home, "completed", time.time() - 7200)
    assert check(home, "--expect", "k", "--every", "26h", code=0) == []
    (line,) = check(home, "--expect", "k", "--every", "90m")
    assert re.match(r'no job with the key "k" completed within 90m; the last success: \S+ [^(]+\(2h ago\)$', line)
    enqueue_ago(home, unique="k")
    settle_next(home, "completed")
    assert check(home, "--expect", "k", "--every", "90m", code=0) == []


def test_only_a_success_counts(home):
    enqueue_ago(home, 60, unique="k")
    settle_next(home, "failed")
    enqueue_ago(home, 60, unique="other")
    settle_next(home, "completed")
    assert kinds(home, "--expect", "k", "--every", "1h") == ["expected", "dead"]


def test_a_success_is_remembered_beyond_prune(home):
    home.add("exit 0", "--unique", "k")
    home.drain()
    home.run("prune")
    assert sum(looking.counts(home.queue.database).values()) == 0
    assert check(home, "--expect", "k", "--every", "1h", code=0) == []


def test_a_success_far_in_the_future_is_not_believed(home):
    enqueue_ago(home, unique="k")
    settle_next(home, "completed", time.time() + 90000)
    assert "in the future" in check(home, "--expect", "k", "--every", "1h")[0]


def test_several_keys_have_one_age_or_one_each(home):
    for key, ago in (("a", 7200), ("b", 60)):
        enqueue_ago(home, ago, unique=key)
        settle_next(home, "completed", time.time() - ago)
    words = ["--expect", "a", "--expect", "b"]
    assert check(home, "--every", "3h", *words, code=0) == []
    assert ['"a"' in line for line in check(home, "--every", "1h", *words)] == [True]
    assert check(home, "--every", "3h", "--every", "5m", *words, code=0) == []
    assert ['"b"' in line for line in check(home, "--every", "3h", "--every", "1s", *words)] == [True]


# ---------------------------------------------------------------- the report, and what stops it


def test_every_problem_has_a_line_of_its_own_and_a_kind(home):
    kill_job(home, "a")
    enqueue_ago(home, 7200)
    words = ["--min-free", HUGE, "--expect", "k", "--every", "1h"]
    value = home.run("check", "--json", *words, code=1).json
    assert [problem["kind"] for problem in value["problems"]] == ["waiting", "workers", "disk", "expected", "dead"]
    kill_job(home, "b")
    lines = check(home, *words)
    assert lines[3] == value["problems"][3]["text"]
    assert lines[4] == "new dead letters: 1" and lines[5].endswith(": exit code 1; command: exit 0")


def test_a_broken_configuration_or_database_is_the_environment(home):
    home.run("initdb")
    with open(os.path.join(home.path, "config.json"), "w") as file:
        file.write("{oops}")
    assert "config.json" in home.run("check", code=3).stderr
    os.remove(os.path.join(home.path, "config.json"))
    for ending in ("", "-wal", "-shm"):
        files.remove(home.db + ending)
    with open(home.db, "w") as file:
        file.write("these are my notes\n" * 100)
    assert "is not a database" in home.run("check", code=3).stderr


@pytest.mark.skipif(WINDOWS or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_database_without_permission_is_the_environment(home):
    home.run("initdb")
    os.chmod(home.db, 0)
    home.run("check", code=3)


def test_a_check_changes_nothing_but_what_was_told(home):
    kill_job(home, "a")
    with contextlib.closing(sqlite3.connect(home.db)) as connection:
        before = list(connection.iterdump())
        check(home)
        after = list(connection.iterdump())
    changed = set(before) ^ set(after)
    assert len(changed) == 2 and all("'dead'" in line and "counts" in line for line in changed)


@posix_only
@pytest.mark.parametrize("age", [0.0, 1.2], ids=["at once", "after a second"])
def test_workers_that_die_in_a_loop_are_told_of(home, age):
    home.start()
    dead, seen = set(), {}

    def is_told():
        for worker in home.workers():
            seen.setdefault(worker["pid"], time.monotonic())
            if worker["pid"] not in dead and time.monotonic() - seen[worker["pid"]] >= age:
                dead.add(worker["pid"])
                end_process(worker["pid"])
        return problems.worker_problems(home.queue)

    wait_until(is_told, "check to know of workers that die")
    (line,) = check(home)
    assert "workers die soon after they have begun (killed by SIGKILL)" in line
    if not age:
        wait_until(lambda: not problems.worker_problems(home.queue), "them to stay for long enough", 60)
        check(home, code=0)


# ---------------------------------------------------------------- queues, locks and persons


def set_queue(home, name, **values):
    queues.change(home.queue.database, name, values)


def pause_ago(home, name, seconds, note=None):
    queues.pause(home.queue.database, [name], None, note, time.time() - seconds)


@contextlib.contextmanager
def worker_of(home, *served):
    """A worker lives that serves these queues, and does nothing."""
    home.run("initdb")
    details = {"kind": "worker", "pid": 0, "supervisor": "w", "queues": list(served)}
    presence = Presence(home.queue.folder, "w-1", details)
    try:
        yield
    finally:
        presence.end()


def test_what_waits_in_a_queue_that_is_paused_or_out_of_its_time_is_not_late(home):
    with present_worker(home):
        set_queue(home, "mail")
        set_queue(home, "narrow", rate_count=1, rate_seconds=86400)
        pause_ago(home, "mail", 3600)
        for name in ("mail", "narrow", "narrow"):
            enqueue_ago(home, 3600, queue=name)
        assert len(claim(home.queue, time.time(), 9)) == 1
        enqueue(home.queue, 5, time.time() - 7200, queue="mail", delay=60)  # which nobody has promoted
        assert check(home, code=0) == []


def test_a_queue_paused_for_longer_than_a_day_is_told_of(home):
    with present_worker(home):
        set_queue(home, "mail")
        enqueue_ago(home, 3600, queue="mail")
        enqueue(home.queue, 5, queue="mail", delay=99999999, now=time.time())
        pause_ago(home, "mail", 86000)
        assert check(home, code=0) == []
        pause_ago(home, "mail", 2 * 86400 + 60, "until the new server is there")
        assert check(home) == ["queue mail is paused since 2d (until the new server is there); jobs in it: 2"]
        assert kinds(home) == ["paused"]


def test_holds_of_more_than_thirty_days_are_told_of(home):
    with present_worker(home):
        enqueue_ago(home, 29 * 86400, hold=True)
        assert check(home, code=0) == []
        enqueue_ago(home, 31 * 86400, hold=True, id="old")
        enqueue_ago(home, 40 * 86400, hold=True, id="older")
        assert check(home) == ["jobs held for longer than 30d: 2; the first: older (40d)"]
        assert home.run("check", "--json", code=1).json["problems"][0]["held"] == 2


def test_a_job_that_waits_too_long_for_a_lock_names_who_holds_it(home):
    with present_worker(home):
        enqueue_ago(home, 3600, id="holder", lock="db", priority=9)
        enqueue_ago(home, 3000, id="waits", lock="db")
        claim(home.queue, time.time())
        claim(home.queue, time.time())
        (line,) = check(home)
        assert re.match(r"job waits has been due since \S+ [^(]+\(50m\): its lock db is held by job holder$", line)
        assert home.run("check", "--json", code=1).json["problems"][0]["held_by"] == ["holder"]
        assert check(home, "--waiting", "2h", code=0) == []


def test_a_gate_that_stays_shut_is_told_with_what_it_says(home):
    with present_worker(home):
        set_queue(home, "heavy", free_least=1 << 60, free_path=home.path)
        enqueue_ago(home, 600, queue="heavy")
        assert check(home, code=0) == []
        enqueue_ago(home, 3600, queue="heavy")
        (line,) = check(home)
        assert re.match(r"queue heavy: 2 due, the first since \S+ [^(]+\((60m|1h)\); free \S+ of 1048576T on ", line)
        set_queue(home, "heavy", free_path=os.path.join(home.path, "gone"))
        assert check(home)[0].endswith("cannot read %s" % os.path.join(home.path, "gone"))


def test_a_queue_that_no_worker_serves_is_told_of(home):
    home.run("initdb")
    for name in ("mail", "bulk"):
        set_queue(home, name)
    enqueue_ago(home, queue="mail")
    enqueue_ago(home, queue="mail")
    with worker_of(home, "bulk", "default"):
        assert check(home) == ["queue mail: 2 due, no worker serves it"]
    with worker_of(home, "!mail"):
        assert kinds(home) == ["unserved"]
    with worker_of(home, "!bulk"):
        assert check(home, code=0) == []
    assert "no worker is alive" in check(home)[0] and len(check(home)) == 1


def test_a_check_asks_no_more_where_no_queue_was_ever_set(home):
    with present_worker(home):
        enqueue_ago(home)
        assert not health.any_aside(home.queue.database)
