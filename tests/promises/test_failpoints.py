"""A kill between any two effects: nothing is lost, and no command runs to its end twice."""

import os
import subprocess
import sys

import pytest
from helpers.bundle import ROOT
from helpers.marks import posix_only
from helpers.queue import NOW
from helpers.waiting import wait_until

from queuectl_lib.errors import HostError
from queuectl_lib.host import places
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import output_files
from queuectl_lib.store import bulk, finding, looking, showing
from storage import Queue

pytestmark = posix_only

# Where a worker dies, and how often each of three commands may have begun by the end.
WORKER_FAILPOINTS = (
    "write.before-commit",
    "write.committed",
    "exchange.before-commit",
    "exchange.committed",
    "start.run-file",
    "start.launched",
    "attempt.ended",
    "report.recorded",
    "report.removed",
)


def run_with_failpoint(home, name, *words):
    once = os.path.join(home.path, "died-at-" + name)
    environment = home.environment({"QUEUECTL_FAILPOINT": "%s:%s" % (name, once)})
    return once, subprocess.Popen(
        home.command(*words), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE
    )


@pytest.mark.parametrize("name", WORKER_FAILPOINTS)
def test_a_worker_killed_between_two_effects_loses_and_repeats_nothing(home, name):
    ledger = os.path.join(home.path, "ledger")
    home.run("initdb")
    home.drain()  # the first supervisor of a queue notes where that is, and is not to die of it
    jobs = [home.add("sleep 0.1; echo %d >> ledger" % number, "--cwd", home.path) for number in range(3)]
    once, process = run_with_failpoint(home, name, "worker", "start", "--drain", "--backoff-base", "0")
    log = process.communicate(timeout=60)[1].decode()
    assert os.path.exists(once), "nobody died at %s" % name
    assert process.returncode == 0, log
    assert finding.states_of(home.queue.database, jobs) == ["completed"] * 3, log
    with open(ledger) as file:
        assert sorted(file.read().split()) == ["0", "1", "2"], log
    assert os.listdir(home.queue.folder.attempts) == [], log


def test_a_worker_killed_after_adopting_leaves_the_job_to_the_next(home):
    job = home.add("until [ -e go ]; do sleep 0.05; done; echo done >> ledger", "--cwd", home.path)
    first = home.start()
    home.wait_for_state(job, "processing")
    wait_until(
        lambda: os.path.exists(home.queue.folder.attempt_path(finding.running_token(home.queue.database, job), "out")),
        "its start",
    )
    home.run("worker", "stop", "--leave-running")
    first.wait(20)
    once, process = run_with_failpoint(home, "adopt.committed", "worker", "start", "--drain")
    wait_until(lambda: os.path.exists(once), "a worker to die after adopting")
    with open(os.path.join(home.path, "go"), "w"):
        pass
    log = process.communicate(timeout=60)[1].decode()
    assert home.job(job)["attempts"] == 1, log
    with open(os.path.join(home.path, "ledger")) as file:
        assert file.read() == "done\n", log


def test_a_worker_killed_while_it_ends_a_job_leaves_the_ending_to_the_next(home):
    job = home.add("[ -e begun ] && exit 0; echo on > begun; sleep 15", "--cwd", home.path)
    once, process = run_with_failpoint(home, "end.written", "worker", "start")
    wait_until(lambda: os.path.exists(os.path.join(home.path, "begun")), "the job to run")
    home.run("worker", "stop", "--now")
    process.communicate(timeout=60)
    assert os.path.exists(once), "nobody died between the wish and the signal"
    assert home.state(job) == "processing"
    log = home.drain()
    assert [attempt["outcome"] for attempt in home.job(job)["history"]] == ["given back", "completed"], log
    assert home.job(job)["attempts"] == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("write.before-commit", ("add", "true")),
        ("write.committed", ("add", "true")),
        ("enqueue.before-commit", ("enqueue", '[{"command": "true"}, {"command": "true"}]')),
        ("enqueue.committed", ("enqueue", '[{"command": "true"}, {"command": "true"}]')),
    ],
)
def test_an_enqueue_killed_around_its_commit_is_whole_or_not_at_all(home, name, words):
    home.run("initdb")
    once, process = run_with_failpoint(home, name, *words)
    assert process.communicate(timeout=60)[0] == b""
    assert os.path.exists(once)
    expected = 0 if "before" in name else words[1].count("true")
    assert looking.counts(home.queue.database)["pending"] == expected


@pytest.mark.parametrize("name", ["enqueue.uncounted", "enqueue.before-commit", "enqueue.committed"])
def test_an_enqueue_killed_while_its_jobs_are_counted_at_once_leaves_the_counting_as_it_was(home, name):
    home.run("initdb")
    count = bulk.COUNTED_AT_ONCE
    once, process = run_with_failpoint(home, name, "enqueue", "-")
    assert process.communicate(b'{"command": "true"}\n' * count, timeout=60)[0] == b""
    assert os.path.exists(once)
    before = count if name == "enqueue.committed" else 0
    assert looking.counts(home.queue.database)["pending"] == before
    home.add("true")
    assert looking.counts(home.queue.database)["pending"] == before + 1
    home.run("cancel", showing.jobs(home.queue.database, [], 1)[0][0]["id"])
    assert looking.counts(home.queue.database)["pending"] == before


def test_a_network_file_system_is_recognised(tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "23 22 0:40 / /home rw,relatime shared:1 - nfs4 server:/home rw\n"
        "24 23 0:41 / /home/with\\040space rw - tmpfs tmpfs rw\n"
    )
    assert places.network_file_system("/home/me/queuectl.db", str(mounts)) == "nfs4"
    assert places.network_file_system("/homes/me/queuectl.db", str(mounts)) is None
    assert places.network_file_system("/home/with space/queuectl.db", str(mounts)) is None
    assert places.network_file_system("/queuectl.db", str(mounts)) is None


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.glusterfs", "fuse.sshfs", "fuse.ceph"])
def test_a_network_file_system_of_every_kind_is_recognised(tmp_path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 254:0 / / rw - %s server:/ rw\n" % kind)
    assert places.network_file_system("/queuectl.db", str(mounts)) == kind


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs", "fuseblk", "fuse.gocryptfs"])
def test_a_local_file_system_is_not_taken_for_one(tmp_path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 254:0 / / rw - %s device rw\n" % kind)
    assert places.network_file_system("/queuectl.db", str(mounts)) is None


@pytest.mark.parametrize("exists", [True, False])
def test_nothing_is_written_to_a_queue_on_a_network_file_system(queue, monkeypatch, exists):
    if not exists:
        os.unlink(queue.path)
    monkeypatch.setattr(places, "network_file_system", lambda path: "nfs4")
    elsewhere = Queue(queue.path)
    row = JobMaker(0, "/", 0o022, NOW).row({"command": "true"})
    for write in (lambda: elsewhere.enqueue(row), lambda: list(elsewhere.enqueue_each([(1, row)]))):
        with pytest.raises(HostError, match="is on a network file system"):
            write()
    assert os.path.exists(queue.path) == exists


@pytest.mark.parametrize("name", ["cut.copied", "cut.truncated"])
@pytest.mark.parametrize("earlier", [0, 1])
def test_a_worker_killed_while_it_cuts_output_leaves_head_and_tail_and_counts_nothing_twice(tmp_path, name, earlier):
    path, killed = str(tmp_path / "output"), str(tmp_path / "killed")
    text = b"".join(b"%07d\n" % number for number in range(30000))
    with open(path, "wb") as file:
        file.write(text[: 10 * 8000])
    if earlier:
        assert output_files.cut_middle(path, 40000)
    with open(path, "ab") as file:
        file.write(text[10 * 8000 : 10 * 16000])
    code = "import sys; sys.path.insert(0, sys.argv[1])\n"
    code += "from queuectl_lib.run import output_files; output_files.cut_middle(sys.argv[2], 40000)"
    died = subprocess.run(
        [sys.executable, "-c", code, ROOT, path], env=dict(os.environ, QUEUECTL_FAILPOINT="%s:%s" % (name, killed))
    )
    assert died.returncode == -9 and os.path.exists(killed)
    with open(path, "ab") as file:
        file.write(text[10 * 16000 : 10 * 24000])  # the job has written on meanwhile
    assert output_files.cut_middle(path, 40000)
    with open(path, "rb") as file:
        kept = file.read()
    assert kept.startswith(text[:10000]) and kept.endswith(text[10 * 24000 - 10000 : 10 * 24000])
    told = int(kept[10000:].split(b"queuectl: ")[1].split()[0])
    assert told == 10 * 24000 - 20000 and len(kept) < 20100 and b"the setting max_output" in kept
    assert not output_files.cut_middle(path, 40000)
