"""The chores of a supervisor, beside its workers."""

import pytest

from queuectl_lib.run import chores
from queuectl_lib.store import tidying


@pytest.fixture
def tidied(monkeypatch):
    found = []
    monkeypatch.setattr(tidying, "tidy", found.append)
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


def test_the_keeper_keeps_a_connection_open_until_the_supervisor_leaves(queue):
    keeper = chores.Keeper(queue.database)
    keeper.turn()
    connection = keeper.connection
    keeper.turn()
    assert keeper.connection is connection is not None
    keeper.close()
    assert keeper.connection is None
