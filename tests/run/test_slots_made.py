"""Slots made by supervisors: in time, each once, whoever is killed, and with next to nothing to do in between."""

import os
import signal
import time

import pytest
from helpers.home import ledger
from helpers.marks import needs_proc, posix_only
from helpers.queue import raw, rows
from helpers.waiting import wait_until
from helpers.zones import BERLIN, NEW_YORK, needs_tzset, zone

from queuectl_lib import times
from queuectl_lib.errors import HostError, Locked
from queuectl_lib.jobs import recurring
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import chores, pace
from queuectl_lib.store import roster, schedules, slots_made


@pytest.fixture
def home(near):
    return near


def put(queue, when, now=None, **asked):
    now = time.time() if now is None else now
    asked = dict({"name": "s", "when": when, "tz": "UTC", "job": {"command": "true"}}, **asked)
    schedules.put(queue.database, [recurring.of_schedule(asked, JobMaker(1, "/", 0o022, now))], now)


def made(home):
    return rows(home.queue, "SELECT * FROM jobs WHERE schedule IS NOT NULL ORDER BY seq")


def slot_seconds(job):
    return times.utc_seconds(job["slot"])


def shift(queue, seconds, name="s"):
    """As if the schedule had been set, and had last been seen to, so long ago."""
    with raw(queue) as connection:
        (row,) = connection.execute("SELECT anchor, next_at FROM schedules WHERE name = ?", (name,))
        values = [times.utc_text(times.utc_seconds(text) - seconds) for text in row]
        connection.execute("UPDATE schedules SET anchor = ?, next_at = ? WHERE name = ?", values + [name])


# ---------------------------------------------------------------- the chore, without a process


@pytest.fixture
def said():
    return []


@pytest.fixture
def scheduler(queue, said):
    return chores.Scheduler(queue.database, said.append)


@pytest.fixture
def asked(monkeypatch):
    """How often the database was asked when the next slot comes."""
    found = []
    real = slots_made.next_due
    monkeypatch.setattr(slots_made, "next_due", lambda *words: found.append(words) or real(*words))
    return found


def turn_until_settled(scheduler):
    for _ in range(5):
        scheduler.turn()


def test_a_slot_is_due_when_it_comes_and_no_earlier(queue, scheduler):
    put(queue, "@yearly")
    turn_until_settled(scheduler)
    assert scheduler.due() == times.utc_seconds(rows(queue, "SELECT next_at FROM schedules")[0]["next_at"])
    assert rows(queue) == []


def test_without_schedules_there_is_nothing_to_wait_for(scheduler):
    turn_until_settled(scheduler)
    assert scheduler.due() is None


def test_while_no_file_changes_the_database_is_not_asked(queue, scheduler, asked, monkeypatch):
    put(queue, "@yearly")
    keeper = queue.database.keeper()
    for path in (queue.path, queue.path + "-wal"):
        os.utime(path, (time.time() - 60,) * 2)
    turn_until_settled(scheduler)
    scheduler.asked_at = 0.0  # a second later
    scheduler.turn()
    asked.clear()
    for _ in range(20):
        scheduler.asked_at = 0.0
        scheduler.turn()
    assert asked == []
    put(queue, "@hourly")
    scheduler.asked_at = 0.0
    scheduler.turn()
    assert len(asked) == 1
    keeper.close()


def test_where_files_change_all_the_time_it_is_asked_once_a_second(queue, scheduler, asked, monkeypatch):
    put(queue, "@yearly")
    turn_until_settled(scheduler)
    asked.clear()
    monkeypatch.setattr(queue.database, "fingerprint", lambda: None)
    moments = iter(number / 10 for number in range(100000, 100100))
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    began = scheduler.asked_at = next(moments)
    while next(moments) < began + 5:
        scheduler.turn()
    assert 2 <= len(asked) <= 6


def test_the_only_one_that_is_in_trouble_is_tried_again_in_a_minute_and_nobody_spins(
    queue, scheduler, said, monkeypatch
):
    put(queue, "every 1s", now=time.time() - 10)
    with raw(queue) as connection:
        connection.execute("UPDATE schedules SET zone = 'Nowhere/Else'")
    turn_until_settled(scheduler)
    assert scheduler.due() is None and len(said) == 1 and "Nowhere/Else" in said[0]
    with raw(queue) as connection:
        connection.execute("UPDATE schedules SET zone = 'UTC'")
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + pace.APART_SECONDS + 1)
    turn_until_settled(scheduler)
    assert len(rows(queue)) == 1


def test_a_time_that_was_written_by_hand_in_another_form_has_nobody_spin(queue, scheduler):
    put(queue, "@yearly")
    turn_until_settled(scheduler)
    east = times.utc_text(time.time() + 3500)[:19] + "+01:00"  # has come, but does not look so
    with raw(queue) as connection:
        connection.execute("UPDATE schedules SET next_at = ?", (east,))
    scheduler.asked_at = 0.0
    turn_until_settled(scheduler)
    assert scheduler.due() > time.time()


@pytest.mark.parametrize("error", [HostError("it is full"), OSError(28, "no space"), MemoryError()], ids=repr)
def test_a_database_that_refuses_is_told_once_and_tried_again(queue, scheduler, said, monkeypatch, error):
    put(queue, "every 1s", now=time.time() - 10)

    def refuse(*words):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(slots_made, "make_due", refuse)
        for _ in range(3):
            scheduler.trouble.retry_at = 0.0
            scheduler.turn()
        assert len(said) == 1 and said[0].startswith("schedules: ") and said[0].endswith("; trying again")
        assert scheduler.due() > time.time(), "and not at once, again and again"
    scheduler.trouble.retry_at = 0.0
    scheduler.turn()
    assert len(rows(queue)) == 1 and said[-1].endswith("again") and "trying" not in said[-1]


def test_a_lock_is_not_waited_for_longer_than_a_signal_may_wait(queue, scheduler, monkeypatch):
    put(queue, "every 1s", now=time.time() - 10)
    patience = []

    def locked(database, *words):
        patience.append(database.busy_seconds)
        raise Locked("locked")

    monkeypatch.setattr(slots_made, "make_due", locked)
    scheduler.turn()
    assert patience == [pace.LOCK_SECONDS] and queue.database.busy_seconds > 10


@needs_tzset
def test_when_the_host_is_in_another_zone_the_next_slots_are_found_anew(queue, scheduler):
    with zone(BERLIN):
        put(queue, "17 3 * * *", tz="local")
        turn_until_settled(scheduler)
        before = scheduler.due()
    with zone(NEW_YORK):
        scheduler.asked_at = 0.0
        turn_until_settled(scheduler)
        assert (scheduler.due() - before) % 86400 in (5 * 3600, 6 * 3600)


def test_when_the_clock_goes_back_the_next_slots_are_found_anew(queue, scheduler, monkeypatch):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 40 * 366 * 86400)
    put(queue, "@daily")
    turn_until_settled(scheduler)
    assert scheduler.due() > real() + 39 * 366 * 86400
    monkeypatch.undo()
    turn_until_settled(scheduler)
    assert scheduler.due() <= real() + 86400


def test_who_stops_makes_no_jobs_any_more(queue):
    all_of_them = chores.Chores(queue.database)
    put(queue, "every 1s", now=time.time() - 10)
    for chore in all_of_them.chores:
        if isinstance(chore, chores.Scheduler):
            chore.asked_at = 0.0
    all_of_them.turn(serves=False)
    assert rows(queue) == []
    all_of_them.turn()
    assert len(rows(queue)) == 1
    all_of_them.close()


# ---------------------------------------------------------------- supervisors


def test_a_job_knows_its_schedule_and_its_slot_and_one_of_none_knows_nothing(home):
    words = 'echo "$QUEUECTL_SCHEDULE/$QUEUECTL_SCHEDULED_AT" >> ledger'
    os.environ["QUEUECTL_SCHEDULE"] = "outer"
    try:
        home.run("schedule", "set", "s", "@yearly", words, "--cwd", home.path)
        home.run("schedule", "run", "s")
        home.add(words, "--cwd", home.path)
        home.run("worker", "start", "--drain", env={"QUEUECTL_SCHEDULE": "outer"})
    finally:
        del os.environ["QUEUECTL_SCHEDULE"]
    (job,) = made(home)
    assert sorted(ledger(home)) == sorted(["s/" + job["slot"], "/"])


def test_a_drain_makes_what_is_due_and_a_slot_to_come_does_not_keep_it(home):
    home.run("schedule", "set", "s", "every 1h", "echo ran >> ledger", "--cwd", home.path)
    assert "supervisor stopped" in home.drain()
    assert ledger(home) == []
    shift(home.queue, 3 * 3600 + 60)
    log = home.drain()
    assert ledger(home) == ["ran"] and "schedule s: 2 slots were missed, not made" in log
    (found,) = home.run("schedule", "list", "--json").json
    assert found["last_outcome"] == "completed" and (found["made"], found["skipped"]) == (1, 2)


def test_a_slot_comes_in_time_though_all_workers_are_busy(home):
    home.start("--count", "1")
    home.wait_for_workers(1)
    blocked = home.add("until [ -e go ]; do sleep 0.05; done", "--cwd", home.path)
    home.wait_for_state(blocked, "processing")
    home.run("schedule", "set", "s", "every 1s", "true", "--overlap", "allow")
    wait_until(lambda: len(made(home)) >= 4, "four slots")
    late = [times.utc_seconds(job["created_at"]) - slot_seconds(job) for job in made(home)]
    assert min(late) >= 0 and sorted(late)[1] < 1.0
    assert home.state(blocked) == "processing"


def test_a_schedule_that_is_set_beside_an_idle_supervisor_is_seen_at_once(home):
    home.start("--count", "1")
    home.wait_for_workers(1)
    wait_until(lambda: ready(home), "it to be ready")
    for path in (home.db, home.db + "-wal", home.queue.folder.workers):
        os.utime(path, (time.time() - 60,) * 2)
    time.sleep(2 * pace.SUPERVISOR_TICK_SECONDS)  # it rests by now; else this tests less
    home.run("schedule", "set", "s", "every 1s", "true")
    began = time.monotonic()
    wait_until(lambda: made(home), "the first slot")
    assert time.monotonic() - began < pace.LOOK_AT_ALL_SECONDS / 2


def test_a_slot_wakes_a_supervisor_that_rests(home):
    home.run("schedule", "set", "s", "every 1h", "true")
    home.start("--count", "1")
    home.wait_for_workers(1)
    wait_until(lambda: ready(home), "it to be ready")
    shift(home.queue, 3600 - 8)
    schedules.nudge(home.queue.database)
    time.sleep(1.5)  # it has seen that
    for path in (home.db, home.db + "-wal", home.queue.folder.workers):
        os.utime(path, (time.time() - 60,) * 2)
    (job,) = wait_until(lambda: made(home), "the slot")
    assert times.utc_seconds(job["created_at"]) - slot_seconds(job) < 1.5


@posix_only
def test_a_supervisor_that_was_stopped_for_a_while_makes_what_it_missed_once(home):
    """SIGSTOP, or a laptop that sleeps: as if nobody had been there meanwhile."""
    process = home.start("--count", "1")
    home.wait_for_workers(1)
    home.run("schedule", "set", "s", "every 1s", "true", "--overlap", "allow")
    wait_until(lambda: made(home), "the first slot")
    os.kill(process.pid, signal.SIGSTOP)
    began, before = time.monotonic(), len(made(home))
    wait_until(lambda: time.monotonic() - began > 3.5, "three slots to pass")
    assert len(made(home)) <= before + 1, "nobody was there to make them"
    os.kill(process.pid, signal.SIGCONT)
    wait_until(lambda: len(made(home)) >= before + 3, "it to go on")
    slots = [slot_seconds(job) for job in made(home)]
    assert len(slots) == len(set(slots)) and slots == sorted(slots)
    (row,) = home.run("schedule", "list", "--json").json
    assert row["skipped"] >= 2, "of several that were missed the newest alone is made"


def ready(home):
    names = [member["name"] for member in roster.members(home.queue.folder) if member["kind"] == "supervisor"]
    return names and os.path.exists(home.queue.folder.request_path(names[0], "ready"))


FAILPOINTS = ("schedule.inserted", "schedule.before-commit", "write.before-commit", "schedule.committed")


@posix_only
@pytest.mark.parametrize("name", FAILPOINTS)
def test_a_supervisor_killed_around_a_slot_makes_it_once(home, name):
    home.run("schedule", "set", "s", "every 1h", "echo $QUEUECTL_SCHEDULED_AT >> ledger", "--cwd", home.path)
    home.drain()  # the first supervisor of a queue notes where that is, and is not to die of it
    shift(home.queue, 3600)
    once = os.path.join(home.path, "died")
    died = home.run("worker", "start", "--drain", env={"QUEUECTL_FAILPOINT": "%s:%s" % (name, once)}, code=-9)
    assert os.path.exists(once), died.stderr
    wait_until(lambda: not roster.members(home.queue.folder), "its workers to leave")
    assert len(made(home)) == (name == "schedule.committed")
    home.drain()
    assert len(made(home)) == 1 and len(ledger(home)) == 1
    (found,) = home.run("schedule", "list", "--json").json
    assert (found["made"], found["skipped"], found["last_outcome"]) == (1, 0, "completed")


def supervisors(home):
    return [member for member in roster.members(home.queue.folder) if member["kind"] == "supervisor"]


@posix_only
@pytest.mark.long
def test_two_supervisors_and_kills_make_each_slot_once_while_one_lives(home):
    """The one that is killed is replaced before the other is: so somebody is there at any time."""
    home.run("schedule", "set", "s", "every 1s", "true", "--missed", "all:1000", "--overlap", "allow")
    began = slot_seconds_of_next(home)
    for _ in range(2):
        home.start("--count", "1")
    wait_until(lambda: len(supervisors(home)) == 2, "two supervisors")
    until = time.monotonic() + 20
    while time.monotonic() < until:
        victim = supervisors(home)[0]
        os.kill(victim["pid"], signal.SIGKILL)
        home.start("--count", "1")
        wait_until(lambda victim=victim: new_one(home, victim), "another one")
    (last,) = rows(home.queue, "SELECT last_slot FROM schedules")
    expected = [began + number for number in range(int(times.utc_seconds(last["last_slot"]) - began) + 1)]
    assert len(expected) >= 18
    wait_until(lambda: len(made(home)) >= len(expected), "all slots")
    assert sorted(slot_seconds(job) for job in made(home))[: len(expected)] == expected
    assert len({job["slot"] for job in made(home)}) == len(made(home))
    (found,) = home.run("schedule", "list", "--json").json
    assert found["skipped"] == 0


def new_one(home, victim):
    alive = [member["pid"] for member in supervisors(home)]
    return len(alive) == 2 and victim["pid"] not in alive


def slot_seconds_of_next(home):
    return times.utc_seconds(rows(home.queue, "SELECT next_at FROM schedules")[0]["next_at"])


@posix_only
def test_two_supervisors_share_the_slots_of_one_schedule(home):
    home.run("schedule", "set", "s", "every 1s", "true", "--missed", "all", "--overlap", "allow")
    for _ in range(2):
        home.start("--count", "1")
    wait_until(lambda: len(made(home)) >= 5, "five slots")
    found = [slot_seconds(job) for job in made(home)]
    assert found == [found[0] + number for number in range(len(found))]


@posix_only
def test_missed_slots_that_are_queued_run_one_after_the_other(home):
    words = "echo begin >> ledger; sleep 0.2; echo end >> ledger"
    home.run("schedule", "set", "s", "every 1h", words, "--missed", "all:3", "--cwd", home.path)
    shift(home.queue, 5 * 3600)
    home.drain("--count", "4")
    assert [job["lock_key"] for job in made(home)] == ["schedule:s"] * 3
    assert ledger(home) == ["begin", "end"] * 3


@needs_proc
@pytest.mark.long
def test_an_idle_supervisor_with_schedules_uses_next_to_no_processor_time(home):
    for number in range(20):
        home.run("schedule", "set", "s%d" % number, "%d 3 1 1 *" % number, "true", "--quiet")
    home.start("--count", "1")
    home.wait_for_workers(1)
    wait_until(lambda: ready(home), "it to be ready")
    (member,) = supervisors(home)
    time.sleep(pace.SETTLED_SECONDS + 1)
    tries = []
    for _ in range(3):
        before = processor_seconds(member["pid"])
        time.sleep(10)
        tries.append((processor_seconds(member["pid"]) - before) / 10)
        if tries[-1] <= 0.003:
            return
    pytest.fail("parts of a core: %r" % tries)


def processor_seconds(pid):
    with open("/proc/%d/schedstat" % pid) as file:
        return int(file.read().split()[0]) / 1e9
