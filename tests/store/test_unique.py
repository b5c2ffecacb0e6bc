"""A unique key: while a job with it waits or runs, nothing else with it is added or brought back."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time

import pytest
from helpers.bundle import ROOT
from helpers.home import Home
from helpers.marks import WINDOWS, posix_only
from helpers.queue import NOW, SETTINGS, claim, know_steps, settle, total
from helpers.waiting import wait_until

from queuectl_lib import times
from queuectl_lib.errors import HostError
from queuectl_lib.jobs import states
from queuectl_lib.jobs.ids import MadeId
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import claiming, finding, formats, health, looking, showing, steps
from storage import Queue


@pytest.fixture
def home(near):
    return near


AT_ONCE = SETTINGS.but(backoff_base=0)
MAKER = JobMaker(0, "/", 0o022, NOW)


def row(**fields):
    return MAKER.row(dict({"command": "exit 0"}, **fields))


def lines(*jobs):
    return "".join(json.dumps(dict({"command": "exit 0"}, **job)) + "\n" for job in jobs)


# ---------------------------------------------------------------- add


def test_a_second_add_prints_the_first_id_and_adds_nothing(home):
    first = home.add("exit 0", "--unique", "mirror")
    second = home.run("add", "exit 0", "--unique", "mirror")
    assert (second.id, second.stderr) == (first, "")
    assert total(home.queue) == 1
    assert home.add("exit 0", "--unique", "another") != first
    assert home.add("exit 0") != first


def test_verbose_says_that_nothing_was_added_and_quiet_prints_no_id(home):
    first = home.run("add", "exit 0", "--unique", "a key", "--verbose")
    assert first.stderr == ""
    told = 'job %s with the key "a key" is pending: nothing was added\n' % first.id
    second = home.run("add", "exit 0", "--unique", "a key", "--verbose")
    assert (second.id, second.stderr) == (first.id, told)
    both = home.run("add", "exit 0", "--unique", "a key", "--verbose", "--quiet")
    assert (both.stdout, both.stderr) == ("", told)


def test_json_shows_the_existing_job(home):
    first = home.run("add", "exit 0", "--unique", "k", "--priority", "7", "--json").json
    assert first["unique"] == "k"
    assert home.run("add", "exit 1", "--unique", "k", "--json").json == dict(first, added=False)


def test_an_id_of_ones_own_gives_way_to_the_holder_of_the_key(home):
    home.add("exit 0", "--id", "first", "--unique", "k")
    assert home.add("exit 0", "--id", "other", "--unique", "k") == "first"
    assert home.add("exit 0", "--id", "first", "--unique", "k") == "first"
    assert "first exists already" in home.run("add", "exit 0", "--id", "first", "--unique", "free", code=1).stderr
    assert total(home.queue) == 1


def test_the_key_is_shown_and_travels_to_another_home(home, tmp_path):
    key = "caf\u00e9 \x1b[31m"
    job = home.add("exit 0", "--unique", key)
    plain = home.add("exit 0")
    shown = home.run("show", job, env={"PYTHONIOENCODING": "utf-8"}).stdout  # Windows writes its own into a pipe
    assert "unique        caf\u00e9 \\x1b[31m\n" in shown
    listed = home.run("list", "--json")
    assert [one["unique"] for one in listed.json] == [key, None]
    other = Home(tmp_path / "other")
    assert other.run("enqueue", "-", input=listed.stdout).stdout.split() == [job, plain]
    assert other.job(job)["unique"] == key


@posix_only
def test_an_id_that_cannot_be_printed_does_not_claim_that_a_job_was_added(home):
    job = home.add("exit 0", "--unique", "k")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(home.command("add", "exit 0", "--unique", "k"), stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 3
    assert b"job %s is there already" % job.encode() in done.stderr


# ---------------------------------------------------------------- who holds a key


def reach(queue, state):
    """The job "held" with the key k, in *state*."""
    queue.enqueue(row(id="held", unique="k", max_retries=1 if state == "failed" else 0))
    if state == "cancelled":
        queue.cancel(["held"], NOW)
    elif state != "pending":
        (held,) = claim(queue)
        if state != "processing":
            assert settle(queue, held, "completed" if state == "completed" else "failed", settings=AT_ONCE)
    assert finding.states_of(queue.database, ["held"]) == [state]


@pytest.mark.parametrize("state", states.STATES)
def test_a_job_holds_its_key_until_it_is_final(queue, state):
    reach(queue, state)
    holds = state not in states.FINAL
    assert queue.enqueue(row(id="one", unique="k")) == ("held" if holds else "one")
    if not holds:
        queue.cancel(["one"], NOW)
    assert list(queue.enqueue_each([(1, row(id="many", unique="k"))])) == ["held" if holds else "many"]
    assert total(queue) == (1 if holds else 3)


def test_a_job_that_was_given_back_still_holds_its_key(queue):
    reach(queue, "pending")
    assert settle(queue, claim(queue)[0], "given back", settings=AT_ONCE)
    assert queue.enqueue(row(unique="k")) == "held"


def test_the_holder_is_found_through_an_index_however_many_have_finished(queue):
    with contextlib.closing(sqlite3.connect(queue.path)) as connection:
        for statement, values in ((finding.FIND_HOLDER, ("k",)), (health.LAST_SUCCESS, ("k",))):
            plan = " ".join(found[-1] for found in connection.execute("EXPLAIN QUERY PLAN " + statement, values))
            assert "SEARCH" in plan and "unique_key=?" in plan and "SCAN" not in plan


# ---------------------------------------------------------------- many at once


def start_adds(home, count, key):
    """*count* processes that all add the same key."""
    pipe = subprocess.PIPE
    words = home.command("add", "exit 0", "--unique", key)
    return [subprocess.Popen(words, stdout=pipe, stderr=pipe, env=home.environment()) for _ in range(count)]


def test_commands_at_the_same_time_add_one_job_and_print_its_id(home):
    started = start_adds(home, 12, "k")
    ended = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0] * 12, ended
    assert len({out for out, _ in ended}) == 1
    assert total(home.queue) == 1


ADDER = """
import sys
sys.path.insert(0, sys.argv[1])
import storage
from queuectl_lib.jobs.making import JobMaker
queue = storage.Queue(sys.argv[2])
maker = JobMaker(1, "/", 0o022, 1800000000.0)
print("ready", flush=True)
for line in sys.stdin:
    rows = [maker.row({"command": "true", "unique": line.strip()}) for _ in range(2)]
    if int(sys.argv[3]) % 2:
        print(queue.enqueue(rows[0]), flush=True)
    else:
        print(list(queue.enqueue_each(enumerate(rows)))[1], flush=True)
"""


def test_processes_that_add_a_key_at_the_same_instant_add_one_job(queue):
    """Sixteen processes that wait at the line, twenty times; half of them through enqueue."""
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", ADDER, ROOT, queue.path]
    started = [subprocess.Popen(words + [str(number)], stdin=pipe, stdout=pipe) for number in range(16)]
    try:
        assert [process.stdout.readline().strip() for process in started] == [b"ready"] * 16
        for turn in range(20):
            for process in started:
                process.stdin.write(b"key%d\n" % turn)
                process.stdin.flush()
            assert len({process.stdout.readline() for process in started}) == 1
            assert total(queue) == turn + 1
    finally:
        for process in started:
            process.stdin.close()
            process.stdout.close()
            process.wait()


# ---------------------------------------------------------------- enqueue


def test_enqueue_prints_the_holder_in_the_place_of_a_job_that_was_not_added(home):
    home.add("exit 0", "--id", "old", "--unique", "a")
    text = lines({"id": "x"}, {"id": "y", "unique": "a"}, {"id": "z", "unique": "b"}, {"unique": "b"}, {"unique": "a"})
    done = home.run("enqueue", "-", "--verbose", input=text)
    assert done.stdout.split() == ["x", "old", "z", "z", "old"]
    said = ['old with the key "a"', 'z with the key "b"', 'old with the key "a"']
    assert done.stderr == "".join("job %s is pending: nothing was added\n" % one for one in said) + "enqueued 2 jobs\n"
    assert sorted(job["id"] for job in showing.jobs(home.queue.database, [], 9)[0]) == ["old", "x", "z"]
    again = home.run("enqueue", "-", "--json", input=text.replace('"x"', '"w"'))
    assert again.json == {"enqueued": 1, "ids": ["w", "old", "z", "z", "old"], "there": ["old", "z", "z", "old"]}
    assert again.stderr == ""


def test_a_job_that_is_not_added_may_have_an_id_that_exists(home):
    home.add("exit 0", "--id", "old", "--unique", "a")
    text = lines({"id": "new", "unique": "b"}, {"id": "new", "unique": "b"}, {"id": "old", "unique": "a"})
    assert home.run("enqueue", "-", input=text).stdout.split() == ["new", "new", "old"]
    assert "old exists already" in home.run("enqueue", "-", input=lines({"id": "old", "unique": "c"}), code=1).stderr
    assert total(home.queue) == 2


def test_an_id_that_is_made_twice_is_made_anew_beside_keys(queue):
    made = MadeId("taken")
    queue.enqueue(row(id="taken"))
    rows = [row(unique="k"), row(unique="k"), row()]
    rows[0] = (made,) + rows[0][1:]
    ids = list(queue.enqueue_each(enumerate(rows)))
    assert ids[0] == ids[1] != "taken"
    assert total(queue) == 3


def test_an_enqueue_that_failed_leaves_no_key_held(home):
    home.run("enqueue", "-", input=lines({"unique": "k"}) + "oops\n", code=2)
    assert total(home.queue) == 0
    home.add("exit 0", "--unique", "k")
    assert total(home.queue) == 1


PEAK = """
import resource, subprocess, sys
process = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
for number in range(int(sys.argv[1])):
    process.stdin.write(b'{"command": "true", "unique": "the key of the job with the number %d"}\\n' % (number // 2))
process.stdin.close()
process.wait()
unit = 1 if sys.platform == "darwin" else 1024
print(process.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit)
"""


@pytest.mark.skipif(WINDOWS, reason="getrusage is POSIX")
def test_memory_stays_flat_however_many_keys_come(home):
    peaks = []
    for count in (1000, 40000):
        words = [sys.executable, "-c", PEAK, str(count)] + home.command("enqueue", "-")
        code, peak = subprocess.check_output(words, env=home.environment()).split()
        assert code == b"0"
        peaks.append(int(peak))
    assert total(home.queue) == 20000  # the 500 keys of the first call are held
    assert (peaks[1] - peaks[0]) / 39000.0 < 250


# ---------------------------------------------------------------- back into the queue


def make_dead(queue, *ids):
    for identifier in ids:
        queue.enqueue(row(id=identifier, unique="k"))
        assert settle(queue, claim(queue)[0], "failed", settings=AT_ONCE)


@pytest.mark.parametrize("words", [("requeue",), ("dlq", "retry")], ids=" ".join)
def test_a_job_whose_key_is_held_is_not_requeued(home, words):
    make_dead(home.queue, "dead")
    home.add("exit 0", "--id", "holder", "--unique", "k")
    home.queue.enqueue(row(id="free", max_retries=0))
    error = home.run(*(words + ("dead",)), code=1).stderr
    assert error == (
        'queuectl: error: job dead has the key "k", which job holder (pending) holds: nothing was requeued\n'
    )
    assert home.state("dead") == "dead"
    home.run("cancel", "holder")
    home.run(*(words + ("dead",)))
    assert home.state("dead") == "pending"


def test_one_job_is_no_jobs_in_what_is_said(home):
    job = '{"command": "false", "max_retries": 0, "unique": "k"}'
    assert home.run("enqueue", "[%s, %s]" % (job, job)).stderr == "enqueued 1 job\n"
    home.drain()
    assert home.run("dlq", "retry", "--all").stderr == "requeued 1 job\n"
    home.drain()
    assert home.run("dlq", "purge").stderr == "deleted 1 job\n"


def test_two_jobs_with_the_same_key_are_not_requeued_together(home):
    make_dead(home.queue, "a", "b")
    assert 'jobs a and b have the same key "k"' in home.run("requeue", "a", "b", code=1).stderr
    assert finding.states_of(home.queue.database, ["a", "b"]) == ["dead", "dead"]


def test_dlq_retry_all_leaves_those_whose_key_is_held_and_counts_them(home):
    make_dead(home.queue, "a", "b")
    home.queue.enqueue(row(id="plain"))
    assert settle(home.queue, claim(home.queue)[0], "failed", settings=AT_ONCE)
    done = home.run("dlq", "retry", "--all")
    assert done.stderr == "requeued 2 jobs\nleft 1 job dead: another job with the same key waits or runs\n"
    assert finding.states_of(home.queue.database, ["a", "b", "plain"]) == ["pending", "dead", "pending"]


# ---------------------------------------------------------------- a real run


def test_a_running_job_keeps_a_second_one_out_until_it_ends(home):
    gate = os.path.join(home.path, "gate")
    waits = [sys.executable, "-c", "import os, time\nwhile not os.path.exists(%r): time.sleep(0.02)" % gate]
    job = home.run("add", "--unique", "k", "--", *waits).id
    home.start()
    home.wait_for_state(job, "processing")
    assert home.add("exit 0", "--unique", "k") == job
    with open(gate, "w"):
        pass
    home.wait_for_state(job, "completed")
    second = home.add("exit 0", "--unique", "k")
    assert second != job
    home.wait_for_state(second, "completed")


# ---------------------------------------------------------------- databases from before there were keys


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A queue of format 1 with a job in each state, as the first version wrote it."""
    with monkeypatch.context() as patch:
        know_steps(patch, steps.MIGRATIONS[:1])
        queue = Queue(str(tmp_path / "old.db"))
        queue.database.create()
    with contextlib.closing(sqlite3.connect(queue.path)) as connection:
        for number, state in enumerate(states.STATES):
            waits, runs = state in states.WAITING, state == "processing"
            connection.execute(
                "INSERT INTO jobs (id, command, state, max_retries, cwd, created_at, updated_at, finished_at,"
                " next_run_at, lane, token, worker, runs) VALUES (?, 'true', ?, 0, '/', ?, ?, ?, ?, ?, ?, 'w-1', ?)",
                (state, state, times.utc_text(NOW), times.utc_text(NOW))
                + (times.utc_text(NOW + number) if state in states.FINAL else None,)
                + ((times.utc_text(NOW), 0) if waits else (None, None))
                + ("t" if runs else None, int(runs)),
            )
        connection.execute(
            "INSERT INTO attempts (job, number, started_at, worker, token)"
            " SELECT seq, 1, created_at, 'w-1', 't' FROM jobs WHERE state = 'processing'"
        )
        connection.commit()
    return queue


def version(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_a_database_without_keys_is_backed_up_and_upgraded_while_an_older_worker_has_it_open(old):
    assert version(old.path) == 1
    with contextlib.closing(sqlite3.connect(old.path)) as keeper:  # what an idle older worker keeps open
        keeper.execute("SELECT count(*) FROM counts").fetchall()
        assert old.enqueue(row(id="new", unique="k")) == "new"
        assert old.enqueue(row(unique="k")) == "new"
        assert keeper.execute("SELECT count(*) FROM jobs").fetchone() == (len(states.STATES) + 1,)
    assert (version(old.path), version(old.path + ".v1.backup")) == (formats.FORMAT, 1)
    assert finding.states_of(old.database, states.STATES) == list(states.STATES)
    assert showing.job(old.database, "completed")["unique"] is None


def test_what_an_older_worker_left_running_is_finished_after_the_upgrade(old):
    (running,) = looking.processing(old.database)
    held, _ = claiming.running_attempt(old.database, running["seq"], "t")
    assert settle(old, held, "completed", NOW + 1, settings=AT_ONCE)
    assert finding.states_of(old.database, ["processing"]) == ["completed"]


def test_an_older_program_is_refused_after_the_upgrade_and_changes_nothing(old, monkeypatch):
    old.enqueue(row(unique="k"))
    know_steps(monkeypatch, steps.MIGRATIONS[:1])
    with pytest.raises(HostError, match="newer"):
        old.exchange("w-1", [], 1, NOW, SETTINGS)
    monkeypatch.undo()
    assert total(old) == len(states.STATES) + 1


def test_dead_letters_from_before_the_upgrade_are_told_of_once(old):
    with health.untold_deaths(old.database, 5) as (count, jobs):
        assert (count, [job["id"] for job in jobs]) == (1, ["dead"])
    with health.untold_deaths(old.database, 5) as (count, jobs):
        assert (count, jobs) == (0, [])


@posix_only
def test_an_upgrade_that_is_killed_before_its_commit_is_done_by_the_next(old):
    killer = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); import storage\n"
        "from queuectl_lib.store import looking, schema\n"
        "fitting = schema.fitting\n"
        "def dying(text):\n"
        "    if 'jobs_keyed' in text: os.kill(os.getpid(), 9)\n"
        "    return fitting(text)\n"
        "schema.fitting = dying\n"
        "looking.counts(storage.Queue(sys.argv[2]).database)\n"
    )
    assert subprocess.run([sys.executable, "-c", killer, ROOT, old.path]).returncode == -9
    assert version(old.path) == 1
    wait_until(lambda: total(old) == len(states.STATES), "the upgrade", 10)
    assert version(old.path) == formats.FORMAT
    assert old.enqueue(row(unique="k", run_at=times.utc_text(time.time()))) == old.enqueue(row(unique="k"))
