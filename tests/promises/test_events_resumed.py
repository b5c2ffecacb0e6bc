"""Who reads `events` and goes on behind the last number it saw is told of every end, whoever is killed."""

import json
import subprocess
import threading
import time

from helpers.marks import posix_only
from helpers.queue import rows
from helpers.waiting import wait_until
from promises.test_counted_once import kill_workers_at_random

from queuectl_lib.errors import HostError
from queuectl_lib.store import looking

pytestmark = posix_only


def read_and_die(home, cursor, lives):
    """What one reader after the other has printed in whole lines, each killed in the middle of its work."""
    found = []
    for number in range(lives):
        last = number == lives - 1
        words = ["events", "--after", cursor, "--follow"] + ["--until-idle"] * last
        process = subprocess.Popen(home.command(*words), stdout=subprocess.PIPE, env=home.environment())
        home.started.append(process)
        for count, line in enumerate(process.stdout):
            if line.endswith(b"\n"):
                found.append(json.loads(line))
                cursor = found[-1]["seq"]
            if count == number and not last:  # the first reader is killed at its first line, and so on
                process.kill()
                break
        process.stdout.close()
        process.wait()
    return found


def test_a_reader_killed_and_resumed_is_told_of_every_end_while_workers_are_killed(home):
    home.run("initdb")
    for number in range(30):
        home.add("sleep 0.0%d; exit %d" % (number % 5, number % 3 == 0), "--max-retries", "1")
    home.start("--count", "2", "--backoff-base", "0")
    found = []
    reader = threading.Thread(target=lambda: found.extend(read_and_die(home, 0, 8)), daemon=True)
    reader.start()

    def is_over():
        try:
            counts = looking.counts(home.queue.database)
        except HostError:
            return False
        return not (counts["pending"] or counts["processing"] or counts["failed"])

    deadline = time.monotonic() + 6
    assert kill_workers_at_random(home, 3, lambda: is_over() or time.monotonic() > deadline)
    wait_until(is_over, "all jobs to end", 60)
    reader.join(60)
    assert not reader.is_alive(), "the last reader goes on though nothing is left"
    known = {row["ended"]: row["outcome"] for row in rows(home.queue, "SELECT ended, outcome FROM attempts")}
    assert None not in known and sorted(known) == list(range(1, len(known) + 1))
    assert not [one for one in found if "gap" in one]
    assert {one["seq"]: one["outcome"] for one in found} == known, "each at least once"
    assert [one["seq"] for one in found] == sorted(known), "and here, where whole lines are counted, once"
