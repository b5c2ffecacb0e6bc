"""The simulator of one schedule: some lives (`make simulate` for more)."""

import pytest
from helpers.queue import raw
from instruments import simulate_schedules


@pytest.mark.parametrize("policy", simulate_schedules.POLICIES, ids=lambda policy: "%s, %s" % (policy[0], policy[2]))
@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_the_slots_are_those_of_the_account(queue, policy, seed):
    with raw(queue) as connection:
        connection.execute("PRAGMA synchronous = OFF")
    assert simulate_schedules.live(queue, policy, seed) or policy[0] == "skip"
