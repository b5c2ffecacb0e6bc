"""The simulator: some hundred seeds of imaginary workers on the real storage (`make simulate` for more)."""

import pytest
from instruments import simulate

from queuectl_lib.store import ending

BLOCK = 25

# What the seeds must have seen, or they prove less than they say.
SIGHTS = (
    "killed before-commit",
    "killed committed",
    "wakes late",
    "too late",
    "adopts",
    "falls silent",
    "looks around",
    "given back",
    "unstarted",
    "lost",
    "cancelled",
    "refused",
    "attempt 4",
    "the host goes down",
    "the clock jumps by -1",
    "forgives the clock",
    "requeue",
    "prune",
    "records j5 snoozed",
)
seen = set()


@pytest.mark.parametrize("first", range(0, 8 * BLOCK, BLOCK))
def test_workers_that_die_between_any_two_calls_leave_the_queue_as_it_must_be(first):
    for seed in range(first, first + BLOCK):
        steps = "\n".join(simulate.simulate(seed))
        seen.update(sight for sight in SIGHTS if sight in steps)


def test_the_seeds_have_seen_everything_that_they_are_there_for():
    if len(seen) < len(SIGHTS):  # this test alone, or some of the seeds
        for seed in range(8 * BLOCK):
            steps = "\n".join(simulate.simulate(seed))
            seen.update(sight for sight in SIGHTS if sight in steps)
    assert seen == set(SIGHTS)


def test_a_storage_that_breaks_its_word_is_found_within_some_seeds(monkeypatch):
    for name in ("COMPLETE_JOB", "RETRY_JOB"):
        broken = getattr(ending, name).replace(ending.OWN_CLAIM, " WHERE seq = ? AND (token = ? OR 1)")
        assert broken != getattr(ending, name)
        monkeypatch.setattr(ending, name, broken)
    with pytest.raises(simulate.Broken, match="accepted, not|must be|refuses the change"):
        for seed in range(BLOCK):
            simulate.simulate(seed)
