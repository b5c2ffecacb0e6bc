"""Evidence of a run: what a job writes into its own run file is believed by nobody, and costs an attempt at worst."""

import os
import shlex
import sys
import time

import pytest
from helpers.home import contents
from helpers.marks import posix_only
from helpers.processes import is_running
from helpers.queue import NOW, SETTINGS, claim, enqueue
from helpers.waiting import wait_until

from queuectl_lib.host import processes
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import concluding, launching, run_file
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.interruption import Stop
from queuectl_lib.run.options import Options
from queuectl_lib.run.spare_files import SpareFiles
from queuectl_lib.store import finding, looking, showing
from worker import Worker

pytestmark = posix_only

TOKEN = "0123456789abcdef"
START = "start %s 12.5 %s %s\n" % (processes.boot_id(), TOKEN, processes.pid_namespace())


@pytest.fixture
def told(tmp_path):
    """What a run file with this text tells."""

    def read(text):
        path = tmp_path / (TOKEN + ".run")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        notes = run_file.read_status(str(path))
        return {name: value for name, value in notes.items() if name != "start"} if "start" in notes else None

    return read


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", None),
        ("pid 7\nexit 0\n", None),
        ("start x\npid 7\nexit 0\n", None),
        (START.replace(TOKEN, "fedcba9876543210") + "pid 7\nexit 0\n", None),
        (START[:-1], None),
        (START, {}),
        (START + "pid 7\n", {"pid": "7"}),
        (START + "pid 7", {}),
        (START + "pid 0\npid -1\npid 007\npid 7 \npid abc\npid 99999999999\n", {}),
        (START + "pid 7\nexit 3\n", {"pid": "7", "exit": "3"}),
        (
            START + "pid 7\nexit abc\nexit -1\nexit 4294967295\nexit 900\nexit 0x1\nexit \nexit 1 \nExit 1\n",
            {"pid": "7"},
        ),
        (START + "pid 7\nexit 0\nexit 1\n", {"pid": "7", "exit": "1"}),
        (START + "pid 7\n" + START + "pid 8\n", {"pid": "7"}),
        (START + "pid 7\nstart x\n", {"pid": "7"}),
        (START + "pid 7\nend given back|x\n", {"pid": "7", "end": "given back|x"}),
        (START + "pid 7\nend completed|\nend odd|x\nend given back\nend |\nend failed|x\n", {"pid": "7"}),
        (START + "pid 7\nend lost|\x1b[2J\n", {"pid": "7"}),
        (START + "pid 7\nexit 0\nend timed out|late\n", {"pid": "7", "exit": "0"}),
        (START + "pid 7\nend timed out|late\nexit 0\n", {"pid": "7", "end": "timed out|late", "exit": "0"}),
        (START.encode() + b"pid 7\n\xff\x00\xfe\n\0\0exit 0\nexit 5\n", {"pid": "7", "exit": "5"}),
        ("exit 9\npid 1\n" * 500 + "\n" + START + "pid 7\nexit 5\n", {"pid": "7", "exit": "5"}),
        (START.encode() + b"pid 7\n" + os.urandom(300000) + b"\nexit 5\n", {"pid": "7", "exit": "5"}),
        (START + "pid 7\n" + "exit 0" * 100000 + "\nexit 5\n", {"pid": "7", "exit": "5"}),
    ],
)
def test_only_whole_lines_that_say_exactly_what_they_should_are_notes(told, text, expected):
    assert told(text) == expected


@pytest.mark.parametrize("make", [os.mkdir, lambda path: os.mkfifo(path), lambda path: os.symlink("/etc/passwd", path)])
def test_what_is_no_file_tells_nothing_and_holds_nobody_up(queue, make):
    path = queue.folder.attempt_path(TOKEN, "run")
    make(path)
    assert run_file.read_status(path) == {}
    assert not queue.folder.attempt_is_held(TOKEN)


def test_the_process_of_another_namespace_or_boot_is_not_looked_for_by_its_number_here(told, tmp_path):
    def watcher(start):
        told(start + "pid 7\n")
        return run_file.watcher_seen_from_here(run_file.read_status(str(tmp_path / (TOKEN + ".run"))))

    assert watcher(START) == 7
    assert watcher(START.replace(processes.pid_namespace(), "pid:[1]")) is None
    if processes.boot_id() != processes.UNKNOWN_BOOT:
        assert watcher(START.replace(processes.boot_id(), "another-boot")) is None


@pytest.mark.parametrize(
    "noted, now, began",
    [
        ("one", "one", 12.5),
        ("one", "two", None),
        ("unknown", "one", 12.5),  # begun behind a /proc that hides it
        ("one", "unknown", 12.5),  # looked at from there
        ("unknown", "unknown", 12.5),
    ],
)
def test_a_boot_that_is_not_known_proves_no_restart(told, tmp_path, monkeypatch, noted, now, began):
    """Else an orphan would lose its age, and with it who was there before it, and is not to be ended with it."""
    monkeypatch.setattr(processes, "boot_id", lambda: now)
    path = str(tmp_path / (TOKEN + ".run"))
    told(START.replace(START.split()[1], noted, 1) + "pid 7\n")
    status = run_file.read_status(path)
    assert run_file.began_monotonic(status) == began
    assert run_file.is_of_another_boot(status) == (began is None)
    assert run_file.watcher_of(path) == (None if began is None else (7, began))


# ---------------------------------------------------------------- orphans by what is there


def is_dead(queue, worker):
    """Its life file is there, as every dead one's is, and nobody holds it."""
    open(queue.folder.life_path(worker), "w").close()


@pytest.fixture
def orphan(queue):
    """A claim of a dead worker with these files: (its attempt as another worker takes it up, that worker)."""

    def make(run=None, outputs=True, **fields):
        queue.enqueue(JobMaker(0, "/", 0o022, time.time()).row(dict({"command": "true", "id": "job"}, **fields)))
        claim = queue.exchange("s1-1", [], 1, time.time(), SETTINGS)[1][0]
        return claim, put(claim, run, outputs)

    for name in ("s1-1", "s1-2"):
        is_dead(queue, name)

    def put(claim, run, outputs=True):
        if outputs:
            for kind in ("out", "err"):
                open(queue.folder.attempt_path(claim.token, kind), "w").close()
        if run is not None:
            with open(queue.folder.attempt_path(claim.token, "run"), "w") as file:
                file.write(run.replace(TOKEN, claim.token))
        return Worker(queue, "s2-1", "s2", Options(1, False), lambda: SETTINGS)

    make.again = put
    return make


def decided(queue, worker):
    """What the worker has recorded of the job: its state, its attempts, and how the last one ended."""
    worker.orphans.look_after(looking.processing(queue.database), set(), worker.running, free=1)
    worker.collect_ended()
    worker.trade(claim=False)
    job = showing.job(queue.database, "job")
    last = job["history"][-1] if job["history"] else {"outcome": None, "error": None}
    return job["state"], job["attempts"], last["outcome"], last["error"]


def test_a_claim_that_was_not_launched_never_was(queue, orphan):
    for run, outputs in ((None, False), ("", False), (START, False)):
        _, worker = orphan(run, outputs)
        assert decided(queue, worker) == ("pending", 0, None, None)
        queue.cancel(["job"], time.time())
        with queue.database.writing() as connection:
            connection.execute("DELETE FROM jobs")


def test_a_run_file_that_lost_its_start_is_a_lost_attempt(queue, orphan):
    for run in (None, "", "start x\n", "pid 7\nexit 0\n"):
        _, worker = orphan(run)
        assert decided(queue, worker)[:3] == ("dead", 1, "lost")
        with queue.database.writing() as connection:
            connection.execute("DELETE FROM jobs")


def test_what_was_killed_before_its_command_began_is_given_back_but_not_twice_in_a_row(queue, orphan):
    _, worker = orphan(START)
    assert decided(queue, worker) == ("pending", 0, "given back", concluding.NEVER_BEGAN)
    claim = queue.exchange("s1-2", [], 1, time.time(), SETTINGS)[1][0]
    worker = orphan.again(claim, START)
    assert decided(queue, worker)[:3] == ("dead", 1, "lost")


def test_an_exit_code_that_is_none_is_no_evidence_and_no_exception(queue, orphan):
    _, worker = orphan(START + "pid 7\nexit abc\n")
    assert decided(queue, worker)[:3] == ("dead", 1, "lost")


@pytest.mark.parametrize("wish", ["given back", "cancelled"])
def test_a_wish_that_costs_no_retry_is_believed_only_where_it_stands_elsewhere_too(queue, orphan, wish):
    run = START + "pid 7\nend %s|x\n" % wish
    claim, worker = orphan(run)
    assert decided(queue, worker)[:3] == ("dead", 1, "lost")
    queue.requeue(["job"], ("dead",), time.time())
    claim = queue.exchange("s1-2", [], 1, time.time(), SETTINGS)[1][0]
    worker = orphan.again(claim, run)
    if wish == "given back":
        queue.folder.put_request("s1", "now")
        assert decided(queue, worker) == ("pending", 0, "given back", "x")
    else:
        queue.cancel(["job"], time.time())
        assert decided(queue, worker)[0] == "cancelled"


@pytest.mark.parametrize(
    "wish, expected", [("given back", "completed"), ("timed out", "timed out"), ("cancelled", "cancelled")]
)
def test_an_exit_0_in_the_middle_of_an_ending_is_a_success_only_where_it_was_to_be_given_back(
    queue, orphan, wish, expected
):
    """The worker was killed while it ended the job; the command came to its end by itself, within the grace time."""
    claim, worker = orphan(START + "pid 7\nend %s|why\nexit 0\n" % wish)
    queue.folder.put_request("s1", "now")
    if wish == "cancelled":
        queue.cancel(["job"], time.time())
    assert decided(queue, worker)[2] == expected


@pytest.mark.parametrize(
    "by_path",
    [
        'echo "exit abc" >> "$run"',
        'echo "start x" >> "$run"',
        'echo "end given back|x" >> "$run"',
        'echo "end completed|x" >> "$run"',
        ': > "$run"',
        'rm "$run"; mkdir "$run"',
        'rm "$run"; mkfifo "$run"',
        'rm "$run"; ln -s /dev/zero "$run"',
        'head -c 200000 /dev/urandom >> "$run"',
    ],
)
def test_whatever_a_job_does_to_its_run_file_costs_an_attempt_at_worst_and_stops_nobody(home, by_path):
    """And kills its worker, its watcher and itself, so that nothing but the file tells."""
    home.run("config", "set", "backoff_base", "0")
    command = 'echo run >> made; run="$QUEUECTL_HOME/queuectl.db.d/attempts/$QUEUECTL_TOKEN.run"; %s; ' % by_path
    command += "kill -9 $(ps -o ppid= -p $PPID) $PPID 0"
    home.run("add", command, "--id", "bad", "--max-retries", "1", "--cwd", home.path)
    home.run("add", "true", "--id", "next", "--priority", "-1")
    process = home.start("--drain")
    wait_until(lambda: process.poll() is not None, "the queue to be worked off", 40)
    assert finding.states_of(home.queue.database, ["bad", "next"]) == ["dead", "completed"]
    assert contents(os.path.join(home.path, "made")).split() == ["run", "run"]


# ---------------------------------------------------------------- two who look at the same one


def test_an_orphan_is_ended_and_recorded_only_by_who_holds_its_claim_and_to_the_end(queue, monkeypatch):
    """It is overdue. One worker adopts it; another, with an older list, must not signal it, nor record anything."""
    command = "trap '' TERM; echo $$ > %s; while :; do sleep 0.05; done"
    pid_file = os.path.join(os.path.dirname(queue.path), "pid")
    fields = {"command": command % pid_file, "id": "job", "timeout": 0.2}
    queue.enqueue(JobMaker(0, "/", 0o022, time.time()).row(fields))
    settings = SETTINGS.but(grace=0.5)
    names = ("s2-1", "s3-1", "s1-1")
    one, two, dead = (Worker(queue, name, name[:2], Options(1, False), lambda: settings) for name in names)
    is_dead(queue, dead.name)
    claim = queue.exchange(dead.name, [], 1, time.time(), settings)[1][0]
    first = Attempt(queue, claim)
    first.start(settings, dead.spare)
    try:
        wait_until(lambda: contents(pid_file), "the command to begin")
        first.lock.let_go()
        time.sleep(max(0.0, first.deadline - time.monotonic()))
        older = looking.processing(queue.database)
        signalled = []
        send = processes.send_signal
        monkeypatch.setattr(processes, "send_signal", lambda *words: (signalled.append(words), send(*words)))
        orphan = two.orphans.taken_up(older[0])
        assert orphan.judge() is None and orphan.must_be_ended()
        assert signalled == [] and "end" not in run_file.read_status(first.run_path), "to look changes nothing"
        one.orphans.look_after(older, set(), one.running, free=0)
        two.orphans.look_after(older, set(), two.running, free=0)
        assert [attempt.claim.id for attempt in one.running] == ["job"] and two.running == []
        assert signalled == [], "the adopter begins to end it when it polls"
        wait_until(lambda: (first.child.poll(), one.collect_ended(), one.ended)[2], "the ending to be carried through")
        one.trade(claim=False)
        job = showing.job(queue.database, "job")
        assert (job["state"], job["last_error"]) == ("dead", "timed out after 0.2 s")
        assert first.tree.members() == []
    finally:
        first.tree.signal(gently=False)


# ---------------------------------------------------------------- what is said


def test_a_result_that_was_recorded_though_the_disk_said_no_is_not_told_as_lost(queue, orphan, capfd):
    claim, worker = orphan()
    outcome = Outcome(claim, "completed", time.time())
    assert queue.exchange("w", [outcome], 0, time.time(), SETTINGS)[0] == []
    worker.report(outcome, lost=True)
    assert "claim was lost" not in capfd.readouterr().err
    worker.report(Outcome(claim, "failed", time.time(), "exit code 1"), lost=True)
    assert "claim was lost" in capfd.readouterr().err


def test_a_duration_in_the_log_does_not_follow_the_wall_clock(queue, monkeypatch):
    queue.enqueue(JobMaker(0, "/", 0o022, time.time()).row({"command": "sleep 0.2; true"}))
    attempt = Attempt(queue, queue.exchange("w", [], 1, time.time(), SETTINGS)[1][0])
    attempt.start(SETTINGS, SpareFiles(queue))
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 86400)
    outcome = wait_until(attempt.poll, "its end")
    assert "(after 0." in concluding.sentence(outcome)


@pytest.mark.parametrize("kind, error", [("timed out", "timed out after 2 s"), ("failed", "exit code 1")])
def test_the_log_tells_of_a_cancel_that_came_while_it_was_ended(queue, kind, error):
    """And of no retries: list and show say cancelled."""
    enqueue(queue, max_retries=0)
    (held,) = claim(queue)
    queue.cancel([held.id], NOW)
    outcome = Outcome(held, kind, NOW, error)
    queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)
    assert finding.states_of(queue.database, [held.id]) == ["cancelled"]
    said = concluding.sentence(outcome)
    assert said.endswith(error + "; cancelled") and "dead" not in said


@posix_only
def test_a_command_that_is_over_before_its_launch_returns_took_time_all_the_same(queue, monkeypatch):
    def launch(*options):
        child = launched(*options)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        return child

    launched = launching.launch_checked
    monkeypatch.setattr(launching, "launch_checked", launch)
    enqueue(queue, command="sleep 0.2")
    attempt = Attempt(queue, claim(queue)[0])
    attempt.start(SETTINGS, SpareFiles(queue))
    outcome = wait_until(attempt.poll, "its end")
    assert 0.2 <= outcome.seconds < 30 and outcome.finished - outcome.started >= 0.19


# ---------------------------------------------------------------- the lock


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a second kind of lock that is its descriptor's own")
@pytest.mark.parametrize("form", ["text", "one program", "list"])
def test_what_a_job_unlocks_is_still_held_while_its_watcher_lives(queue, tmp_path, form):
    go = tmp_path / "go"
    code = "import fcntl, os, time\nfcntl.flock(9, fcntl.LOCK_UN)\nopen('unlocked', 'w').close()\n"
    words = [sys.executable, "-c", code + "while not os.path.exists('go'): time.sleep(0.01)"]
    text = " ".join(map(shlex.quote, words))
    command = {"text": text + "; exit 0", "one program": text, "list": words}[form]
    queue.enqueue(JobMaker(0, str(tmp_path), 0o022, time.time()).row({"command": command}))
    attempt = Attempt(queue, queue.exchange("s1-1", [], 1, time.time(), SETTINGS)[1][0])
    attempt.start(SETTINGS, SpareFiles(queue))
    try:
        wait_until((tmp_path / "unlocked").exists, "the job to give its lock up")
        assert queue.folder.attempt_is_held(attempt.claim.token)
    finally:
        go.touch()
    outcome = wait_until(attempt.poll, "the end")
    assert (outcome.kind, outcome.leftovers) == ("completed", None)
    assert not queue.folder.attempt_is_held(attempt.claim.token)


@posix_only
@pytest.mark.parametrize(
    "rest", ["exit 0", "exit 3", "kill -TERM $$", "trap 'exit 0' TERM; while :; do sleep 0.03; done"]
)
@pytest.mark.parametrize("form", ["text", "list"])
def test_the_death_of_the_watching_shell_is_never_the_command_s_whenever_it_is_seen(queue, tmp_path, rest, form):
    """Also where the command has ended long before, with another code, or goes on without it."""
    pid = str(tmp_path / "pid")
    command = "echo $$ > %s; kill -9 $PPID; %s" % (shlex.quote(pid), rest)
    enqueue(queue, command=command if form == "text" else ["/bin/sh", "-c", command], cwd=str(tmp_path))
    attempt = Attempt(queue, claim(queue)[0])
    attempt.start(SETTINGS, SpareFiles(queue))
    wait_until(lambda: not is_running(attempt.child.pid), "the shell to die")
    if "while" not in rest:
        wait_until(lambda: contents(pid).endswith("\n") and not is_running(int(contents(pid))), "the command to end")
    outcome = wait_until(attempt.poll, "the end of the attempt")
    assert (outcome.kind, outcome.exit_code, outcome.signal) == ("lost", None, None)
    assert outcome.error == "lost: its shell was killed by SIGKILL, and no exit code was noted"


def test_notes_that_come_back_between_two_looks_keep_an_orphan_from_being_ended(queue):
    """Its worker lives, and leaves them anew where they were swept away; without them its watcher was none."""
    enqueue(queue, command="sleep 60")
    held = claim(queue, now=NOW + 1)[0]
    owner, looks_on = (Attempt(queue, held, Stop(queue.folder, "s")) for _ in range(2))
    owner.start(SETTINGS, SpareFiles(queue))
    try:
        os.unlink(owner.run_path)
        looks_on.adopt(time.time(), SETTINGS)
        assert looks_on.leader_ended() and not looks_on.is_over() and not looks_on.ending
        run_file.leave_anew(owner.run_path, held.token, owner.began, owner.child.pid)
        assert not looks_on.is_over() and not looks_on.ending
        assert not looks_on.leader_ended() and looks_on.poll() is None
        assert owner.child.poll() is None
    finally:
        owner.tree.end(0)
        wait_until(lambda: owner.child.poll() is not None, "it to end")
