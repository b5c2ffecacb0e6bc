"""A backup put in the place of the database after a crash: the log that the former one has left does not ruin it."""

import os
import shutil
import signal

from helpers.home import ledger
from helpers.marks import posix_only
from helpers.processes import is_running
from helpers.queue import raw_file
from helpers.waiting import wait_until

from queuectl_lib.store import looking, roster

LINES = "".join('{"command": "echo j%d >> ledger", "id": "j%d"}\n' % (number, number) for number in range(300))


def kill_all(home):
    """A crash of everything that works for the queue."""
    pids = [member["pid"] for member in roster.members(home.queue.folder)]
    for pid in sorted(pids):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, pids)), "supervisor and workers to be dead")
    folder = home.queue.folder  # what they ran goes on, and would write into the ledger of what comes then
    notes = [os.path.join(folder.attempts, name) for name in os.listdir(folder.attempts) if name.endswith(".run")]
    wait_until(lambda: not any(map(folder.is_held, notes)), "the jobs that ran to be over")


@posix_only
def test_a_backup_put_there_after_a_crash_is_what_it_was_and_runs_to_its_end(home):
    home.run("enqueue", "-", "--quiet", input=LINES, cwd=home.path)
    backup = os.path.join(home.path, "backup.db")
    shutil.copy(home.db, backup)
    for round_number in range(3):  # each call writes its log back, so the file goes on
        home.run("enqueue", "-", "--quiet", input=LINES.replace('"j', '"later%d-' % round_number), cwd=home.path)
    process = home.start("--count", "2")
    wait_until(lambda: looking.counts(home.queue.database)["completed"] > 300, "some jobs to be done")
    wait_until(lambda: os.path.getsize(home.db + "-wal") > 100 * 4096, "the log to hold much of them")
    kill_all(home)
    process.wait()
    size = os.path.getsize(home.db + "-wal")
    os.replace(backup, home.db)
    os.unlink(os.path.join(home.path, "ledger"))

    said = home.run("status").stderr
    assert said.count("\n") == 1 and "put aside as %s-wal.orphan1" % home.db in said
    assert os.path.getsize(home.db + "-wal.orphan1") == size, "it may be the only copy of jobs"
    with raw_file(home.db) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    counts = looking.counts(home.queue.database)
    assert (counts["pending"], sum(counts.values())) == (300, 300)
    home.drain()
    assert sorted(ledger(home)) == sorted("j%d" % number for number in range(300))
    assert home.run("status").stderr == "", "it is said once"


@posix_only
def test_after_a_crash_alone_nothing_is_put_aside(home):
    home.run("enqueue", "-", "--quiet", input=LINES, cwd=home.path)
    process = home.start("--count", "2")
    wait_until(lambda: looking.counts(home.queue.database)["completed"] > 100, "some jobs to be done")
    kill_all(home)
    process.wait()
    assert os.path.getsize(home.db + "-wal")
    assert home.run("status").stderr == ""
    assert not os.path.exists(home.db + "-wal.orphan1")
    home.drain()
    assert sorted(ledger(home)) == sorted("j%d" % number for number in range(300))
