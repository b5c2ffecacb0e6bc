"""The number of an attempt in the order of ends: what each reader of what has happened goes by."""

from helpers.queue import NOW, SETTINGS, claim_one, enqueue, settle

from queuectl_lib.jobs import attempts


def ends(queue):
    """The numbers of all attempts, in the order of their rows; None for one that has not ended."""
    with queue.database.reading() as connection:
        return [row[0] for row in connection.execute("SELECT ended FROM attempts ORDER BY id")]


def test_attempts_are_numbered_in_the_order_of_their_ends(queue):
    for name in ("first", "second", "third"):
        enqueue(queue, 0, id=name)
    held = [claim_one(queue, NOW) for _ in range(3)]
    assert ends(queue) == [None, None, None]
    settle(queue, held[2], "completed", NOW + 1)
    settle(queue, held[0], "failed", NOW - 100)
    settle(queue, held[1], "cancelled", NOW + 1)
    assert ends(queue) == [2, 3, 1], "in the order of ends, whatever the clock says"


def test_what_is_recorded_twice_or_never_ran_takes_no_number(queue):
    enqueue(queue, 0, id="once")
    enqueue(queue, 0, id="back")
    held = claim_one(queue, NOW)
    settle(queue, held, "completed", NOW)
    settle(queue, held, "completed", NOW)  # its claim is over
    queue.exchange("w", [attempts.unstarted(claim_one(queue, NOW))], 0, NOW, SETTINGS)
    settle(queue, claim_one(queue, NOW), "completed", NOW)
    assert ends(queue) == [1, 2]


def test_a_number_is_never_given_out_again(queue):
    enqueue(queue, 0, id="old")
    settle(queue, claim_one(queue, NOW), "completed", NOW)
    with queue.database.writing() as connection:
        connection.execute("DELETE FROM jobs")
    enqueue(queue, 0, id="new")
    settle(queue, claim_one(queue, NOW), "completed", NOW)
    assert ends(queue) == [2]
