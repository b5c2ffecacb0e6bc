"""The chores of a supervisor, beside its workers."""

import pytest
from helpers.queue import claim, enqueue, raw, rows

from queuectl_lib.host import bell
from queuectl_lib.run import chores
from queuectl_lib.store import tidying


@pytest.fixture
def tidied(monkeypatch):
    found = []
    monkeypatch.setattr(tidying, "in_parts", lambda database: found.append(database) or iter(()))
    return found


def test_a_supervisor_tidies_when_it_begins_and_whenever_a_worker_has_died_and_else_never(queue, tidied):
    all_of_them = chores.Chores(queue.database)
    assert tidied == [queue.database]
    for _ in range(5):
        all_of_them.turn()
    assert len(tidied) == 1
    all_of_them.mourn()
    all_of_them.turn()
    all_of_them.turn()
    assert len(tidied) == 2
    all_of_them.close()


def test_a_turn_that_has_used_its_time_leaves_the_rest_of_the_tidying_to_the_next(queue, monkeypatch):
    done = []

    def three_parts(database):
        for part in range(3):
            done.append(part)
            yield
        done.append("removed")

    monkeypatch.setattr(chores, "TIDY_SECONDS", 0)
    monkeypatch.setattr(tidying, "in_parts", three_parts)
    tidier = chores.Tidier(queue.database)
    for count in range(1, 3):
        tidier.turn()
        assert len(done) == count
    tidier.mourn()  # from the beginning, once this is done
    for _ in range(2):
        tidier.turn()
    assert done == [0, 1, 2, "removed"]
    for _ in range(5):
        tidier.turn()
    assert done == [0, 1, 2, "removed"] * 2


def test_a_tidying_that_fails_is_not_begun_again(queue, monkeypatch):
    begun = []

    def refused(database):
        begun.append(database)
        raise OSError
        yield

    monkeypatch.setattr(tidying, "in_parts", refused)
    tidier = chores.Tidier(queue.database)
    tidier.turn()
    tidier.turn()
    assert len(begun) == 1


def test_the_keeper_keeps_a_connection_open_until_the_supervisor_leaves(queue):
    keeper = chores.Keeper(queue.database)
    keeper.turn()
    connection = keeper.connection
    keeper.turn()
    assert keeper.connection is connection is not None
    keeper.close()
    assert keeper.connection is None


def test_what_is_parked_for_a_lock_that_nobody_holds_any_more_is_freed_once_a_minute(queue, monkeypatch):
    rung = []
    for name in ("holder", "next", "behind"):
        enqueue(queue, id=name, lock="db")
    claim(queue)
    assert claim(queue) == []
    monkeypatch.setattr(bell, "ring", rung.append)
    freer = chores.Freer(queue.database)
    freer.turn()
    assert [row["lane"] for row in rows(queue)] == [None, 4, 4] and rung == [], "it is held"
    with raw(queue) as connection:
        connection.execute("DELETE FROM jobs WHERE id = 'holder'")
    freer.turn()
    assert [row["lane"] for row in rows(queue)] == [4, 4], "the minute is not over"
    freer.not_before = 0.0
    freer.turn()
    assert [row["lane"] for row in rows(queue)] == [0, 4]
    assert rung == [queue.folder.bell], "a worker may sleep"
