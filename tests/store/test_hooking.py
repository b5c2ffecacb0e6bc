"""How far the hook was told: the cursor, which ends are news, and who may move it."""

import pytest
from helpers.queue import NOW, claim_one, enqueue, raw, requeue_dead, settle

from queuectl_lib.jobs import notices
from queuectl_lib.jobs.states import ENDINGS
from queuectl_lib.store import ended, hook_note, hooking


def run_one(queue, kind="failed", retries=0, **fields):
    enqueue(queue, retries, **fields)
    assert settle(queue, claim_one(queue), kind)


def cursor(queue):
    return hooking.how_far(queue.database)


def wanted(queue, number, words=("dead",)):
    return hooking.any_wanted(queue.database, number, cursor(queue).last, words)


def test_who_listens_hears_of_what_ends_from_then_on(queue):
    run_one(queue)
    assert (cursor(queue).next, cursor(queue).last) == (0, 1)
    assert hooking.listen(queue.database)
    assert (cursor(queue).next, cursor(queue).told) == (2, {"hook idle": 1.0})
    assert not wanted(queue, 1)[0]
    run_one(queue)
    assert not hooking.listen(queue.database), "who listens already keeps his place"
    assert cursor(queue).next == 2
    assert wanted(queue, 1) == (True, 1)


def test_an_empty_queue_has_a_place_of_its_own(queue):
    """0 is nobody, so the first end of all is not taken for one that came before."""
    hooking.listen(queue.database)
    assert cursor(queue).next == 1
    run_one(queue)
    assert wanted(queue, 0)[0]


def test_who_listens_no_more_and_then_again_is_not_told_of_the_time_between(queue):
    hooking.listen(queue.database)
    run_one(queue)
    hooking.forget(queue.database)
    assert (cursor(queue).kept, cursor(queue).told, hook_note.is_there(queue.folder)) == (0, {}, False)
    run_one(queue)
    hooking.listen(queue.database)
    assert cursor(queue).next == 3


def test_the_cursor_moves_only_from_where_it_was_read(queue):
    hooking.listen(queue.database)
    run_one(queue)
    hooking.advance(queue.database, 1, 2, {"hook stuck": 5.0, "hook long x": 1.0})
    assert (cursor(queue).next, cursor(queue).told["hook stuck"]) == (2, 5.0)
    hooking.advance(queue.database, 1, 9, {"hook stuck": 7.0})
    assert (cursor(queue).next, cursor(queue).told["hook stuck"]) == (2, 5.0)
    hooking.advance(queue.database, 2, 2, {}, ["hook long x"])
    assert set(cursor(queue).told) == {"hook stuck", "hook idle"}


@pytest.mark.parametrize("value", [-1, 99, "x", 2.5, None, b"\xff"])
def test_a_cursor_that_somebody_has_made_what_it_cannot_be_is_set_anew(queue, value):
    run_one(queue)
    with raw(queue) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        try:
            connection.execute("UPDATE counts SET hooked = ? WHERE state = 'completed'", (value,))
        except Exception:
            pytest.skip("the schema refuses it")
    assert cursor(queue).next == 0
    assert hooking.listen(queue.database)
    assert cursor(queue).next == 2


def test_a_death_is_told_though_the_job_was_put_back_meanwhile(queue):
    run_one(queue, id="one")
    requeue_dead(queue)
    (row,) = ended.after(queue.database, 0, 10)
    assert hooking.word_of(row) == "dead"


def test_a_job_is_told_of_by_its_own_wish_too(queue):
    run_one(queue, "completed", notify=["completed"])
    run_one(queue, "completed")
    first, second = ended.after(queue.database, 0, 10)
    assert hooking.is_wanted(first, []) and not hooking.is_wanted(second, [])
    assert hooking.is_wanted(second, ["completed"])
    assert wanted(queue, 0) == (True, 0) and wanted(queue, 1) == (False, 2)
    assert wanted(queue, 1, ["completed"]) == (True, 1)


def test_many_ends_are_looked_at_a_part_at_a_time(queue, monkeypatch):
    monkeypatch.setattr(hooking, "SEEN_AT_ONCE", 2)
    for kind in ("completed", "completed", "completed", "failed"):
        run_one(queue, kind)
    assert [wanted(queue, number) for number in (0, 2, 4)] == [(False, 2), (True, 3), (False, 4)]


@pytest.mark.parametrize("policy", ["[]", '{"notify": 3}', '{"notify": [[1]]}', "[" * 5000 + '"notify"', 7, b"\xff"])
def test_a_wish_that_is_damaged_is_none(queue, policy):
    run_one(queue, "completed")
    (row,) = ended.after(queue.database, 0, 10)
    assert not hooking.is_wanted(dict(row, policy=policy), [])


def test_each_end_has_its_word():
    assert {kind for kind in ENDINGS if not notices.word_of(kind, "completed")} == set()
    assert [notices.word_of(kind, "failed") for kind in ("failed", "timed out", "lost")] == ["failed"] * 3
    assert notices.word_of("timed out", "dead") == "dead"
    assert notices.word_of("failed", "cancelled") == "cancelled"
    assert notices.word_of("snoozed", "pending") == "snoozed"
    assert notices.word_of("given back", "pending") == ""
    assert notices.word_of(7, None) == ""
    assert notices.most_serious(["idle", "completed", "failed", "other"]) == "failed"


NOTES = ["", "{", "[]", '{"began": true, "tries": -1}', '{"why": 3, "tries": 1e400}', "[" * 999, "\0"]


@pytest.mark.parametrize("text", NOTES)
def test_a_note_that_is_none_of_ours_says_nothing(queue, text):
    queue.folder.make()
    with open(hook_note.path_of(queue.folder), "w") as file:
        file.write(text)
    note = hook_note.read(queue.folder)
    assert vars(note) == vars(hook_note.Note())
    assert note.rest(NOW, 10) == 0 and not note.fails(NOW)


def test_a_note_is_read_as_it_was_written(queue):
    note = hook_note.Note()
    note.began, note.events, note.tries, note.since, note.why, note.pid = NOW, 7, 3, NOW - 9, "a\nb\u20ac", 17
    hook_note.write(queue.folder, note)
    assert vars(hook_note.read(queue.folder)) == vars(note)


def test_pauses_between_tries_grow_from_ten_seconds_to_an_hour():
    note = hook_note.Note()
    pauses = []
    for note.tries in range(12):
        pauses.append(note.pause(10))
    assert pauses == [10, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    note.tries, note.began = 3, NOW
    assert (note.rest(NOW + 5, 10), note.rest(NOW + 40, 10)) == (35, 0)
    note.failed_at = NOW + 60
    assert note.rest(NOW + 61, 10) == 39, "counted from the end of one that took long"
    assert note.rest(NOW - 3600, 10) == 0, "a clock that went back makes nobody wait"
    assert note.pause(7200) == 7200


def test_a_try_that_nobody_has_seen_the_end_of_fails_after_a_while():
    note = hook_note.Note()
    note.tries, note.began = 1, NOW
    assert not note.fails(NOW + 60) and note.fails(NOW + 301)
    assert note.reason() == "nobody has seen how it ended"
    note.why = "exit code 1"
    assert note.fails(NOW + 60) and note.reason() == "exit code 1"
