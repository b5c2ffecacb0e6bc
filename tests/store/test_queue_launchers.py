"""The launcher of a queue, as a claim takes it from its row."""

import json

import pytest
from helpers.queue import NOW, SETTINGS, claim_one, enqueue, raw, rows, set_queue

from queuectl_lib.store import launched, queues, serving


def far(queue, name, launcher="slurm", args=("--mem=4G", "a b"), **more):
    set_queue(queue, name, launcher=launcher, launcher_args=json.dumps(list(args)) if args else None, **more)


def launcher_of(held):
    return held.launcher, list(held.launcher_args)


@pytest.mark.parametrize("name", ["default", "far"])
@pytest.mark.parametrize("more", [{}, {"running_most": 2}], ids=["plain", "limited"])
def test_a_claim_has_the_launcher_of_its_queue_and_what_is_given_to_it(queue, name, more):
    far(queue, name, **more)
    enqueue(queue, queue=name)
    assert launcher_of(claim_one(queue)) == ("slurm", ["--mem=4G", "a b"])
    assert [row["launcher"] for row in rows(queue, "SELECT launcher FROM attempts")] == ["slurm"]


def test_what_the_job_itself_asks_for_counts_more(queue):
    far(queue, "default")
    enqueue(queue, id="here", launcher="none")
    enqueue(queue, id="other", launcher="ssh")
    enqueue(queue, id="args", launcher_args=["-c2"])
    enqueue(queue, id="plain")
    found = {held.id: launcher_of(held) for held in (claim_one(queue, NOW + at) for at in range(4))}
    assert found["here"][0] is None
    assert found["other"][0] == "ssh"
    assert found["args"] == ("slurm", ["-c2"])
    assert found["plain"] == ("slurm", ["--mem=4G", "a b"])


def test_the_setting_counts_where_neither_names_one(queue):
    settings = SETTINGS.but(launcher="mine")
    set_queue(queue, "far", launcher="slurm")
    enqueue(queue, id="plain")
    enqueue(queue, id="far", queue="far")
    held = queue.exchange("w-1", [], 2, NOW, settings)[1]
    assert {one.id: one.launcher for one in held} == {"plain": "mine", "far": "slurm"}


def test_no_launcher_is_none_everywhere(queue):
    enqueue(queue)
    assert launcher_of(claim_one(queue)) == (None, [])
    assert queues.launchers(queue.database) == {"default": None}


@pytest.mark.parametrize("damage", ["[", "{}", "7", b"\xff"])
def test_words_that_somebody_has_damaged_are_none(queue, damage):
    far(queue, "default")
    with raw(queue) as connection:
        connection.execute("UPDATE queues SET launcher_args = ?", (damage,))
    enqueue(queue)
    assert launcher_of(claim_one(queue)) == ("slurm", [])
    assert queues.shown(queue.database, NOW)[0]["launcher_args"]


def test_what_an_attempt_has_noted_is_told_in_its_parts():
    assert launched.parts("slurm") == ("slurm", None)
    assert launched.parts("far#3:00000000000000aa+") == ("far", 3)
    assert launched.parts("a b") == ("a b", None)
    assert serving.Line(0).launcher is None


# ---------------------------------------------------------------- nothing is known of it


def error_and_time(queue):
    (row,) = rows(queue, "SELECT a.error, j.updated_at FROM attempts a JOIN jobs j ON j.seq = a.job")
    return row["error"], row["updated_at"]


def test_since_when_nothing_is_known_is_when_the_first_such_words_came(queue):
    enqueue(queue, launcher="slurm")
    held = claim_one(queue)
    claimed_at = error_and_time(queue)[1]
    launched.tell(queue.database, held, "one")
    error, since = error_and_time(queue)
    assert (error, since == claimed_at) == ("one", False)
    launched.tell(queue.database, held, "other")
    assert error_and_time(queue) == ("other", since)
    (told,) = launched.troubles(queue.database)
    assert told == {"id": held.id, "since": since, "error": "other", "launcher": "slurm"}
    launched.tell(queue.database, held, None)
    assert error_and_time(queue) == (None, since)
    assert launched.troubles(queue.database) == []
