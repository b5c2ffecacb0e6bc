"""Dead letters by what they died of: signed as they fail, counted, found by a beginning; old and damaged rows."""

import contextlib
import os

import pytest
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS, claim, claim_one, enqueue, raw, rows

from queuectl_lib import times
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.jobs import signatures, states
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.store import alike, groups, selecting
from queuectl_lib.store.selecting import Selection


def outcome(held, line, kind=states.FAILED, code=1, now=NOW, error="exit code 1"):
    found = Outcome(held, kind, now, error if kind != states.COMPLETED else None)
    found.exit_code = code
    found.error_line = line
    return found


def end(queue, line, kind=states.FAILED, code=1, now=NOW, said=None, **fields):
    """A job that has ended so; its id."""
    identifier = enqueue(queue, max_retries=0, now=now, **fields)
    ended = outcome(claim_one(queue, now), line, kind, code, now)
    if said:
        ended.said_signature = said
    assert queue.exchange("w-1", [ended], 0, now, SETTINGS)[0] == []
    return identifier


def job(queue, identifier):
    return next(row for row in rows(queue) if row["id"] == identifier)


def errors_of(queue):
    return rows(queue, "SELECT * FROM errors ORDER BY text")


def test_a_failure_is_signed_and_counted_where_it_is_recorded(queue):
    first, second = end(queue, "boom <n>"), end(queue, "boom <n>", now=NOW + 60)
    assert job(queue, first)["signature"] == job(queue, second)["signature"] == signatures.digest("exit 1|boom <n>")
    [error] = errors_of(queue)
    assert error["text"] == "exit 1: boom <n>" and error["failures"] == 2
    assert (error["first_at"], error["last_at"]) == (times.utc_text(NOW), times.utc_text(NOW + 60))


def test_a_failure_with_retries_left_is_signed_too_and_a_success_forgets_it(queue):
    identifier = enqueue(queue, max_retries=3)
    queue.exchange("w-1", [outcome(claim_one(queue), "boom")], 0, NOW, SETTINGS)
    assert job(queue, identifier)["state"] == "failed" and job(queue, identifier)["signature"]
    held = claim_one(queue, NOW + 100)
    assert held.signature == job(queue, identifier)["signature"]
    queue.exchange("w-1", [outcome(held, None, states.COMPLETED, 0, NOW + 100)], 0, NOW + 100, SETTINGS)
    assert job(queue, identifier)["state"] == "completed" and job(queue, identifier)["signature"] is None
    assert len(errors_of(queue)) == 1, "how often it has failed is still known"


@pytest.mark.parametrize("kind", [states.GIVEN_BACK, states.CANCELLED, states.COMPLETED])
def test_what_is_no_failure_is_not_signed(queue, kind):
    identifier = end(queue, "boom", kind)
    assert job(queue, identifier)["signature"] is None and errors_of(queue) == []


def test_a_failure_that_is_cancelled_meanwhile_is_not_signed(queue):
    identifier = enqueue(queue)
    held = claim_one(queue)
    queue.cancel([identifier], NOW)
    queue.exchange("w-1", [outcome(held, "boom")], 0, NOW, SETTINGS)
    assert job(queue, identifier)["state"] == "cancelled" and job(queue, identifier)["signature"] is None


def test_the_word_that_a_job_has_given_decides_alone(queue):
    one, other = end(queue, "boom", said="db-down"), end(queue, "else", code=9, said="db-down")
    assert job(queue, one)["signature"] == job(queue, other)["signature"]
    assert [error["text"] for error in errors_of(queue)] == ["said: db-down"]


def test_without_a_line_the_words_of_the_queue_are_taken(queue):
    kinds = [
        (states.LOST, None, "lost: gone"),
        (states.TIMED_OUT, 143, "timed out after 3 s"),
        (states.FAILED, 7, "exit code 7"),
        (states.FAILED, 0, "said dead: no use"),
    ]
    for kind, code, error in kinds:
        enqueue(queue, max_retries=0)
        queue.exchange("w-1", [outcome(claim_one(queue), None, kind, code, error=error)], 0, NOW, SETTINGS)
    texts = [error["text"] for error in errors_of(queue)]
    assert texts == ["exit 0: said dead: no use", "exit 7", "lost: gone", "timed out"]


def test_of_too_many_errors_the_one_longest_unseen_goes(queue, monkeypatch):
    monkeypatch.setattr(alike, "MOST_ERRORS", 3)
    for number, line in enumerate("abca" + "d"):
        end(queue, line, now=NOW + number)
    assert [error["text"] for error in errors_of(queue)] == ["exit 1: a", "exit 1: c", "exit 1: d"]
    assert {group.text for group in groups.of_dead(queue.database)} == {"exit 1: a", "exit 1: c", "exit 1: d", ""}


def test_groups_are_those_of_the_dead_the_largest_first(queue):
    ids = [end(queue, line, now=NOW + n, command=command) for n, (line, command) in enumerate(
        [("b", "sh x"), ("a", "/opt/tool 1"), ("b", ["/usr/bin/rsync", "x"]), ("b", "sh y"), ("b", "sh z")]
    )]
    enqueue(queue)
    found = groups.of_dead(queue.database)
    groups.look_into(queue.database, found)
    assert [(group.text, group.jobs) for group in found] == [("exit 1: b", 4), ("exit 1: a", 1)]
    assert (found[0].first_at, found[0].last_at) == (times.utc_text(NOW), times.utc_text(NOW + 4))
    assert found[0].ids == [ids[0], ids[2], ids[3], ids[4]] and found[0].kinds == ["sh x", "rsync x", "sh y", "sh z"]
    assert found[1].kinds == ["tool <n>"]


def test_the_groups_are_one_reading_of_an_index(queue):
    end(queue, "a")
    with raw(queue) as connection:
        plan = " ".join(row["detail"] for row in connection.execute("EXPLAIN QUERY PLAN " + groups.GROUPS))
    assert "jobs_open" in plan


# ---------------------------------------------------------------- a beginning


def test_the_shortest_beginning_that_no_other_has_is_shown():
    assert groups.shortest(["aaaaaaaaaa", "aaaaaaab00", "b000000000"]) == {
        "aaaaaaaaaa": "aaaaaaaa", "aaaaaaab00": "aaaaaaab", "b000000000": "b00000"
    }
    assert groups.shortest(["aaaaaaaaaa"]) == {"aaaaaaaaaa": "aaaaaa"} and groups.shortest([]) == {}


def test_a_beginning_means_the_only_group_of_the_dead_that_has_it(queue):
    signature = job(queue, end(queue, "a"))["signature"]
    for length in (4, 6, 10):
        assert groups.meant(queue.database, signature[:length].upper()) == signature
    with pytest.raises(QueueError, match="no group begins with %s" % ("0000" if signature[:4] != "0000" else "1111")):
        groups.meant(queue.database, "0000" if signature[:4] != "0000" else "1111")
    for word in ("", "abc", "xyzw", signature + "0", "%' OR 1", "\u0661\u0661\u0661\u0661"):
        with pytest.raises(BadInput, match="--group"):
            groups.meant(queue.database, word)


def test_a_beginning_of_two_means_neither(queue):
    end(queue, "a")
    end(queue, "b")
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET signature = 'abcd' || seq || '00000'")
    with pytest.raises(QueueError, match="more than one group begins with abcd: abcd100000, abcd200000"):
        groups.meant(queue.database, "abcd")


def test_what_is_not_dead_is_found_by_its_group_too(queue):
    identifier = enqueue(queue, max_retries=3)
    queue.exchange("w-1", [outcome(claim_one(queue), "boom")], 0, NOW, SETTINGS)
    other = enqueue(queue)
    selection = Selection()
    selection.signature = groups.meant(queue.database, job(queue, identifier)["signature"][:5])
    assert [seq for seq, _ in selecting.find(queue.database, selection)] == [job(queue, identifier)["seq"]], other


def test_only_so_many_of_the_oldest_are_meant(queue):
    ids = [end(queue, "a") for _ in range(4)]
    selection = Selection(["dead"])
    selection.signature, selection.oldest = job(queue, ids[0])["signature"], 2
    assert [seq for seq, _ in selecting.find(queue.database, selection)] == [1, 2]


# ---------------------------------------------------------------- old rows, and damaged ones


def forget(queue):
    """As an older version has left its dead letters."""
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET signature = NULL")
        connection.execute("DELETE FROM errors")


def test_old_dead_letters_are_signed_when_somebody_asks_first(queue, monkeypatch):
    monkeypatch.setattr(groups, "ROWS", 3)
    for number in range(8):
        enqueue(queue, max_retries=0)
        ended = outcome(claim_one(queue), None)
        ended.stderr = b"x\nboom %d\n" % number
        ended.stderr_bytes = len(ended.stderr)
        queue.exchange("w-1", [ended], 0, NOW, SETTINGS)
    forget(queue)
    [group] = groups.of_dead(queue.database)
    assert (group.text, group.jobs, group.failures) == ("exit 1: boom <n>", 8, 8)
    assert {row["signature"] for row in rows(queue)} == {signatures.digest("exit 1|boom <n>")}
    assert groups.of_dead(queue.database)[0].failures == 8, "once"


def test_the_output_of_an_old_one_may_lie_in_its_file(queue):
    identifier = enqueue(queue, max_retries=0)
    held = claim_one(queue)
    path = queue.folder.attempt_path(held.token, "err")
    with open(path, "wb") as file:
        file.write(b"noise\n" * 5000 + b"no route to 10.0.0.1\n")
    ended = outcome(held, None)
    ended.stderr_bytes = os.path.getsize(path)
    queue.exchange("w-1", [ended], 0, NOW, SETTINGS)
    forget(queue)
    assert [group.text for group in groups.of_dead(queue.database)] == ["exit 1: no route to <ip>"], identifier


@posix_only
def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(str(tmp_path / "pipe"))
    os.symlink("/etc/passwd", str(tmp_path / "link"))
    for name in ("pipe", "link", "none"):
        assert alike.tail_of(str(tmp_path / name)) == b""


@posix_only
def test_where_nothing_can_be_written_they_are_signed_for_the_answer_alone(queue, monkeypatch):
    end(queue, None)
    end(queue, "kept")
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET signature = NULL WHERE seq = 1")

    @contextlib.contextmanager
    def refuse(*_, **__):
        from queuectl_lib.errors import HostError

        raise HostError("read-only")
        yield

    monkeypatch.setattr(queue.database, "writing", refuse)
    found = {group.text: (group.jobs, group.ids) for group in groups.of_dead(queue.database)}
    assert set(found) == {"exit 1", "exit 1: kept"} and found["exit 1"][0] == 1 and len(found["exit 1"][1]) == 1
    assert rows(queue)[0]["signature"] is None


DAMAGE = {
    "signature of bytes": "UPDATE jobs SET signature = x'ff00ff'",
    "signature a number": "UPDATE jobs SET signature = 12",
    "signature no UTF-8": "UPDATE jobs SET signature = CAST(x'ff' AS TEXT)",
    "no end": "UPDATE jobs SET finished_at = NULL",
    "an end of bytes": "UPDATE jobs SET finished_at = x'ff'",
    "an end that is a number": "UPDATE jobs SET finished_at = 7 WHERE seq = 1",
    "a text of bytes": "UPDATE errors SET text = x'ff'",
    "failures in words": "UPDATE errors SET failures = 'many', last_at = x'00', first_at = 3",
    "no errors": "DELETE FROM errors",
    "a list that is none": "UPDATE jobs SET is_list = 1, command = '{}'",
    "a command of bytes": "UPDATE jobs SET command = x'ff'",
    "a name of bytes": "UPDATE jobs SET name = x'ff'",
    "old, without attempts": "UPDATE jobs SET signature = NULL, exit_code = x'01', last_error = 7;"
    " DELETE FROM attempts",
    "old, attempts of nonsense": "UPDATE jobs SET signature = NULL; UPDATE attempts SET outcome = 1, exit_code = 'x',"
    " signal = 3, error = x'ff', token = '../../x', stderr_bytes = 'many', stdout_bytes = -1, stderr = 12",
    "old, a text for output": "UPDATE jobs SET signature = NULL; UPDATE attempts SET stderr = 'boom', stdout = x'ff'",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_rows_are_grouped_somehow_and_stop_nobody(queue, what):
    end(queue, "a")
    end(queue, "a")
    with raw(queue) as connection:
        connection.executescript(DAMAGE[what])
    found = groups.of_dead(queue.database)
    groups.look_into(queue.database, found)
    assert sum(group.jobs for group in found) == 2
    for group in found:
        with contextlib.suppress(BadInput, QueueError):
            groups.meant(queue.database, group.signature)
    end(queue, "a", now=NOW + 1)
    assert sum(group.jobs for group in groups.of_dead(queue.database)) == 3


def test_a_damaged_signature_of_a_job_that_waits_is_said_and_then_mended(queue):
    identifier = enqueue(queue)
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET signature = 5, release = 'x'")
    assert claim(queue) == []
    found = job(queue, identifier)
    assert found["state"] == "dead" and found["last_error"].startswith("cannot be read")
    assert [group.text[:14] for group in groups.of_dead(queue.database)] == ["cannot start: "]
