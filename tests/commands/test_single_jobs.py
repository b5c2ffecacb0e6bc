"""`prune ID`, `dlq purge ID`, `requeue ID`: one job, by its id or the beginning of it, in capitals too."""

import time

import pytest
from helpers.queue import enqueue, raw, rows

from queuectl_lib.store import pruning


@pytest.fixture
def home(near):
    near.run("enqueue", '[{"id": "good", "command": "true"}, {"id": "bad", "command": "false", "max_retries": 0}]')
    near.drain()
    near.run("add", "true", "--id", "waits", "--delay", "1h")
    return near


def test_one_finished_job_is_deleted(home):
    assert home.run("prune", "good").stderr == "deleted 1 job\n"
    assert home.run("dlq", "purge", "bad", "--json").json == {"deleted": 1, "ids": ["bad"]}
    assert [job["id"] for job in home.run("list", "--json").json] == ["waits"]


REFUSED = [
    (["prune", "good", "waits"], "not cancelled or completed: nothing was deleted; `cancel waits` comes first"),
    (["prune", "good", "bad"], "job bad is dead, not cancelled or completed: nothing was deleted; `dlq purge bad` "),
    (["dlq", "purge", "bad", "good"], "job good is completed, not dead: nothing was deleted; `prune good` deletes it"),
    (["prune", "good", "nope"], 'no job has the id "nope"'),
]


@pytest.mark.parametrize("words, said", REFUSED)
def test_what_cannot_be_deleted_is_named_with_what_to_type_and_nothing_is(home, words, said):
    assert said in home.run(*words, code=1).stderr
    assert len(home.run("list", "--json").json) == 3


def test_one_with_many_children_lets_go_of_them_a_little_at_a_time(queue, monkeypatch):
    enqueue(queue, id="parent")
    with raw(queue) as connection:
        connection.execute("UPDATE jobs SET state = 'processing', token = 'x', lane = NULL, next_run_at = NULL")
        connection.execute("UPDATE jobs SET state = 'completed', token = NULL")
        insert = "INSERT INTO edges (child, parent, parent_id, wants, state) VALUES (?, 1, 'parent', 1, 0)"
        connection.executemany(insert, [(child,) for child in range(2, 1300)])
    calls = []
    monkeypatch.setattr(time, "sleep", calls.append)
    pruning.delete_ids(queue.database, ["parent"], pruning.Deleting(["completed"]), 0.0)
    assert len(calls) >= 3 and rows(queue) == []
    assert {edge["parent"] for edge in rows(queue, "SELECT parent FROM edges")} == {None}


def test_a_made_id_is_known_in_capitals_and_by_its_beginning(home):
    made = home.run("add", "true").id
    assert home.run("show", made.upper(), "--json").json["id"] == made
    home.run("cancel", made[:11].upper())
    assert home.state(made) == "cancelled"
    home.run("add", "true", "--id", made.upper())
    assert home.run("show", made.upper(), "--json").json["id"] == made.upper(), "one that is written so goes first"
