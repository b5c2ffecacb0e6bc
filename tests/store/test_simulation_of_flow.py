"""The simulator with queues, limits, locks, pauses and holds: some hundred seeds (`make simulate` for more)."""

import pytest
from instruments import simulate, simulate_flow

BLOCK = 25
SIGHTS = ("pause ", "resume", "hold ", "release ", "--limit 1", "lock set ", "killed committed")


@pytest.mark.parametrize("block", range(6))
def test_every_step_of_a_block_of_seeds_holds(block):
    seen = ""
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        seen += "\n".join(simulate.simulate(seed, kind=simulate_flow.FlowWorld))
    assert [sight for sight in SIGHTS if sight not in seen] == []
