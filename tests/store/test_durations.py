"""How long jobs of each kind take: written where attempts end, once, and never in the way of an end."""

import struct

import pytest
from helpers.queue import NOW, SETTINGS, claim, claim_one, enqueue, raw, rows

from queuectl_lib.jobs import attempts, states
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import durations, kinds


def ended(queue, kind="completed", command="prog", seconds=1.0, started=NOW, finished=NOW + 1, **fields):
    """A job that is added, runs, and ends so."""
    enqueue(queue, 0, command=command, **fields)
    outcome = Outcome(claim_one(queue, NOW + 10**6), kind, finished)
    outcome.started, outcome.seconds = started, seconds
    assert queue.exchange("w-1", [outcome], 0, finished, SETTINGS)[0] == []
    return outcome


def ended_together(queue, count, seconds):
    """The same of so many, in the transaction of one worker."""
    row = JobMaker(0, "/", 0o022, NOW).row
    list(queue.enqueue_each((line, row({"command": "prog"})) for line in range(count)))
    outcomes = [Outcome(held, "completed", NOW + 1) for held in claim(queue, NOW + 10**6, want=count)]
    for outcome in outcomes:
        outcome.started, outcome.seconds = NOW, seconds
    assert len(outcomes) == count and queue.exchange("w-1", outcomes, 0, NOW + 1, SETTINGS)[0] == []


def known(queue):
    return {row["kind"]: (row["runs"], row["failures"], row["recent"]) for row in durations.table(queue.database)}


def test_attempts_that_end_are_counted_and_those_that_succeed_are_measured(queue):
    ended(queue, seconds=1.5)
    ended(queue, seconds=2.5)
    ended(queue, "failed", seconds=0.25)
    ended(queue, "timed out", seconds=9)
    ended(queue, "lost", seconds=None)
    assert known(queue) == {"prog": (5, 3, [1.5, 2.5])}


def test_a_kind_that_only_fails_is_counted(queue):
    for _ in range(3):
        ended(queue, "failed")
    assert known(queue) == {"prog": (3, 3, [])}
    ended(queue)
    assert known(queue) == {"prog": (4, 3, [1.0])}


def test_what_was_not_let_run_to_its_end_says_nothing(queue):
    ended(queue, "cancelled")
    ended(queue, "given back")
    queue.exchange("w-1", [attempts.unstarted(claim_one(queue, NOW + 10**6))], 0, NOW, SETTINGS)
    outcome = Outcome(claim_one(queue, NOW + 10**6), "failed", NOW)
    queue.cancel([outcome.claim.id], NOW)
    queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)
    assert outcome.counts_as_cancelled
    assert known(queue) == {}


def test_an_ending_that_is_new_counts_nothing_until_it_says_what_it_means(queue, monkeypatch):
    monkeypatch.setitem(states.ENDINGS, "snoozed", "release")
    enqueue(queue, 0, command="prog")
    claim = claim_one(queue)
    with queue.database.writing() as connection:
        kinds.record(connection, [Outcome(claim, "snoozed", NOW), Outcome(claim, "unheard of", NOW)])
    assert known(queue) == {}


def test_a_lost_claim_counts_nothing(queue):
    first = ended(queue)
    assert queue.exchange("w-1", [first], 0, NOW, SETTINGS)[0] == [first]
    other = enqueue(queue, 0, command="other")
    second = Outcome(claim_one(queue), "completed", NOW)
    second.seconds = 3.0
    assert queue.exchange("w-1", [first, second], 0, NOW, SETTINGS)[0] == [first], other
    assert known(queue) == {"prog": (1, 0, [1.0]), "other": (1, 0, [3.0])}


def test_jobs_that_end_together_are_one_write_for_each_kind(queue, monkeypatch):
    for number in range(32):
        enqueue(queue, 0, command="prog %d" % number if number % 4 else "other")
    claims = queue.exchange("w-1", [], 32, NOW, SETTINGS)[1]
    outcomes = [Outcome(claim, "completed", NOW) for claim in claims]
    for number, outcome in enumerate(outcomes):
        outcome.seconds = float(number)
    written, note = [], kinds.note
    monkeypatch.setattr(kinds, "note", lambda *given: written.append(given[1]) or note(*given))
    queue.exchange("w-1", outcomes, 0, NOW, SETTINGS)
    assert sorted(written) == ["other", "prog <n>"]
    assert known(queue)["other"] == (8, 0, [float(number) for number in range(0, 32, 4)]), "in the order of their ends"
    assert known(queue)["prog <n>"][0] == 24


def test_the_ring_holds_the_last_64_so_old_ones_leave(queue):
    enqueue(queue, 0, command="prog")
    claim = claim_one(queue)
    outcomes = [Outcome(claim, "completed", NOW) for _ in range(100)]
    for number, outcome in enumerate(outcomes):
        outcome.seconds = float(number)
    with queue.database.writing() as connection:
        kinds.record(connection, outcomes[:60])
        kinds.record(connection, outcomes[60:70])
        kinds.record(connection, outcomes[70:71])
    assert known(queue)["prog"] == (71, 0, [float(number) for number in range(7, 71)])
    assert len(rows(queue, "SELECT recent FROM kinds")[0]["recent"]) == 256
    with queue.database.writing() as connection:
        kinds.record(connection, outcomes)
    assert known(queue)["prog"][2] == [float(number) for number in range(36, 100)]


@pytest.mark.parametrize(
    "seconds, started, finished, kept",
    [
        (2.0, NOW, NOW - 3600, [2.0]),  # the wall clock went back while it ran
        (None, NOW, NOW + 3, [3.0]),
        (None, NOW, NOW - 3600, []),
        (None, NOW - 11 * 365 * 86400, NOW, []),
        (-1.0, NOW, NOW, []),
        (float("nan"), NOW, NOW, []),
        (float("inf"), NOW, NOW, []),
        (None, None, NOW, []),
        (0.0, NOW, NOW, [0.0]),
    ],
)
def test_a_clock_that_jumps_spoils_no_duration(queue, seconds, started, finished, kept):
    ended(queue, seconds=seconds, started=started, finished=finished)
    assert known(queue) == {"prog": (1, 0, kept)}, "it ran, all the same"


def test_a_name_is_the_kind(queue):
    ended(queue, name="nightly")
    ended(queue, command="other", name="nightly")
    assert known(queue)["nightly"][0] == 2


def test_pruning_does_not_touch_what_is_known(queue):
    ended(queue)
    before = durations.table(queue.database)
    with queue.database.writing() as connection:
        connection.execute("DELETE FROM jobs")
    assert durations.table(queue.database) == before
    assert before[0]["last_at"].startswith("2027-01-15T08:00:01")


def test_of_more_than_1000_kinds_those_longest_unseen_go(queue):
    enqueue(queue, 0, command="prog")
    claim = claim_one(queue)

    def end(name, moment):
        claim.name = name
        outcome = Outcome(claim, "completed", moment)
        with queue.database.writing() as connection:
            kinds.record(connection, [outcome])

    outcomes = []
    for number in range(1000):
        outcomes.append(
            Outcome(attempts.Claim(dict(vars_of(claim), name="k%d" % number), "t", 1, 1), "completed", NOW + number)
        )
    with queue.database.writing() as connection:
        kinds.record(connection, outcomes)
    assert len(known(queue)) == 1000
    end("k0", NOW + 5000)
    end("k1000", NOW + 1000)
    found = known(queue)
    assert len(found) <= 1000
    assert {"k0", "k1000", "k999"} <= set(found), "seen lately"
    assert "k1" not in found, "longest unseen"
    for number in range(1001, 1100):
        end("k%d" % number, NOW + number)
    assert len(known(queue)) <= 1000 and "k1099" in known(queue)


def vars_of(claim):
    row = dict.fromkeys(attempts.CLAIMED_COLUMNS)
    row.update(seq=claim.seq, id=claim.id, command="prog", is_list=0, attempts=1, max_retries=0, cwd="/", snoozes=0)
    return row


DAMAGE = [
    ("recent", b"\0\0\0"),
    ("recent", b"\xff" * 256),
    ("recent", b"\0" * 5000),
    ("recent", "text"),
    ("recent", 17),
    ("recent", b""),
    ("runs", "many"),
    ("runs", 1.5),
    ("runs", -3),
    ("runs", (1 << 63) - 1),
    ("failures", b"\0"),
    ("failures", float("inf")),
    ("ended", "yesterday"),
    ("ended", -(1 << 63)),
    ("ended", (1 << 63) - 1),
    ("kind", b"\xff"),
]


@pytest.mark.parametrize("column, value", DAMAGE)
def test_a_damaged_row_stops_no_end_and_begins_anew(queue, column, value):
    ended(queue)
    with raw(queue) as connection:
        connection.execute("UPDATE kinds SET %s = ?" % column, (value,))
    durations.table(queue.database)  # tells something, whatever stands there
    for count in (1, 13, 13, 13, 13, 12):  # each puts its own behind what is left there
        ended_together(queue, count, seconds=2.0)
    assert durations.look(queue.database, ["prog"]) == {"prog": [2.0] * 64}, "the last 64 are sound"
    ended(queue)


def test_a_row_of_counts_that_is_gone_stops_no_end(queue):
    ended(queue)
    with raw(queue) as connection:
        connection.execute("DELETE FROM counts WHERE state = 'completed'")
    ended(queue)
    assert known(queue)["prog"][0] == 2


def test_what_cannot_be_read_of_a_job_is_of_no_kind(queue):
    enqueue(queue, 0, id="odd")
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET umask = 'x'")
    assert claim_one(queue) is None
    assert known(queue) == {}


def test_a_queue_that_is_not_there_knows_nothing(tmp_path):
    import storage

    database = storage.Queue(str(tmp_path / "q.db")).database
    assert durations.table(database) == [] and durations.look(database, ["x"]) == {}
    assert durations.tally(database, "x") == (0, 0) and durations.reset(database) == 0


def test_more_kinds_than_a_statement_takes_are_looked_up(queue):
    ended(queue)
    wanted = ["k%d" % number for number in range(1200)] + ["prog"]
    assert durations.look(queue.database, wanted) == {"prog": [1.0]}


# ---------------------------------------------------------------- forgotten, or read again


def test_one_kind_is_forgotten_or_all(queue):
    for name in "abc":
        ended(queue, name=name)
    assert durations.reset(queue.database, "b") == 1 and set(known(queue)) == {"a", "c"}
    assert durations.reset(queue.database, "b") == 0
    assert durations.reset(queue.database) == 2 and known(queue) == {}


def test_reading_again_finds_what_was_written(queue):
    for number in range(5):
        ended(queue, seconds=float(number), finished=NOW + number, command="prog %d" % number)
    ended(queue, "failed", command=["list", "a b"])
    ended(queue, "cancelled")
    ended(queue, name="named", seconds=1.0)
    before, whole = known(queue), durations.table(queue.database)
    durations.reset(queue.database)
    assert durations.rebuild(queue.database) == (7, 3)
    assert known(queue) == before
    assert {row["kind"]: row["last_at"] for row in durations.table(queue.database)} == {
        row["kind"]: row["last_at"] for row in whole
    }
    assert durations.rebuild(queue.database) == (7, 3), "and again the same"
    assert known(queue) == before


def test_attempts_from_before_they_were_numbered_are_read(queue):
    ended(queue)
    ended(queue, seconds=1.0)
    with raw(queue) as connection:
        connection.execute("UPDATE attempts SET ended = NULL WHERE id = 1")
    durations.reset(queue.database)
    assert durations.rebuild(queue.database) == (2, 1)
    assert known(queue) == {"prog": (2, 0, [1.0, 1.0])}


def test_what_ends_while_attempts_are_read_again_counts_once(queue, monkeypatch):
    ended(queue, seconds=1.0)
    newest = durations.newest

    def slowly(database):
        ended(queue, seconds=1.0)  # after the number was read, before the attempts are
        yield from newest(database)
        ended(queue, seconds=1.0)  # after that

    monkeypatch.setattr(durations, "newest", slowly)
    assert durations.rebuild(queue.database) == (3, 1)
    assert known(queue) == {"prog": (3, 0, [1.0] * 3)}


def test_only_the_newest_are_read_again(queue, monkeypatch):
    monkeypatch.setattr(durations, "NEWEST", 5)
    monkeypatch.setattr(durations, "READ_ROWS", 2)
    for number in range(9):
        ended(queue, seconds=None, started=NOW, finished=NOW + number)
    assert durations.rebuild(queue.database) == (5, 1)
    assert known(queue) == {"prog": (5, 0, [4.0, 5.0, 6.0, 7.0, 8.0])}


def test_a_damaged_attempt_is_read_over(queue):
    for _ in range(4):
        ended(queue)
    with raw(queue) as connection:
        connection.execute("UPDATE attempts SET started_at = x'ff' WHERE id = 1")
        connection.execute("UPDATE attempts SET finished_at = 'never', ended = 'x' WHERE id = 2")
        connection.execute("UPDATE attempts SET command = '{' WHERE id = 3")
        connection.execute("UPDATE attempts SET outcome = x'ff' WHERE id = 4")
    assert durations.rebuild(queue.database)[0] == 3


def test_what_an_attempt_ran_counts_and_not_what_the_job_is_now(queue):
    ended(queue)
    with raw(queue) as connection:
        connection.execute("UPDATE attempts SET command = '\"old 17\"'")
        connection.execute("UPDATE jobs SET command = 'new'")
    durations.rebuild(queue.database)
    assert set(known(queue)) == {"old <n>"}


def test_durations_are_little_endian_floats_of_four_bytes(queue):
    ended(queue, seconds=0.1)
    assert rows(queue, "SELECT recent FROM kinds")[0]["recent"] == struct.pack("<f", 0.1)
