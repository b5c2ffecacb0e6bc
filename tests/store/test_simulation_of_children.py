"""The simulator with jobs after jobs: some hundred seeds (tests/instruments/simulate_after.py)."""

import pytest
from instruments import simulate, simulate_after

from queuectl_lib.store import settling

BLOCK = 25
SIGHTS = {
    *("cancelled at birth", "a child falls", "a grandchild falls", "one parent", "several parents"),
    *(
        "another parent keeps it down",
        "a person has cancelled it",
        "a child returns",
        "a broken edge",
        "with its parent",
    ),
}


@pytest.mark.parametrize("first", range(0, 4 * BLOCK, BLOCK))
def test_children_stand_where_the_ends_of_their_parents_have_put_them_whoever_dies_in_between(first):
    for seed in range(first, first + BLOCK):
        simulate.simulate(seed, kind=simulate_after.AfterWorld)


def test_the_seeds_have_seen_what_they_are_there_for():
    for seed in range(4 * BLOCK):
        if simulate_after.SEEN >= SIGHTS:
            break
        simulate.simulate(seed, kind=simulate_after.AfterWorld)
    assert simulate_after.SEEN >= SIGHTS


@pytest.mark.parametrize("name", ["HAS_ENDED", "HAS_RETURNED"])
def test_a_storage_that_forgets_a_child_is_found_within_some_seeds(monkeypatch, name):
    monkeypatch.setattr(settling, name, getattr(settling, name).replace("LIMIT 1", "AND parent % 2 LIMIT 1"))
    with pytest.raises(simulate.Broken, match="must be|not settled"):
        for seed in range(4 * BLOCK):
            simulate.simulate(seed, kind=simulate_after.AfterWorld)
