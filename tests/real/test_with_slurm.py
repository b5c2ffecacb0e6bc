"""A real Slurm of two nodes on loopback, by our preset: the life of a far job, with kills of all that can be killed.

srun --export=NONE: on one kernel the far process would be found by the token in its environment, and everything would
look well.
"""

import os
import signal
import subprocess

import pytest
from helpers.daemons import is_root
from helpers.far_life import CODES, DEAF, STEADY, FarHome
from helpers.processes import end_process, is_running
from helpers.real import needs
from helpers.slurm import PROGRAMS, Slurm
from helpers.waiting import wait_until

pytestmark = [needs(*PROGRAMS), pytest.mark.skipif(not is_root(), reason="Slurm's daemons need root here")]
FAR = ("--launcher-args=--export=NONE",)


@pytest.fixture(scope="module")
def slurm():
    with Slurm() as slurm:
        yield slurm


@pytest.fixture
def far(slurm, tmp_path):
    with FarHome(tmp_path / "home", slurm.launcher()) as home:
        yield home
    wait_until(lambda: not slurm.names(), "Slurm to have nothing left", 60)


def sruns(home, name):
    """The pids of both processes of its srun."""
    return [pid for pid in home.here(name) if open("/proc/%d/comm" % pid).read() == "srun\n"]


def test_doctor_finds_it_fit(far, tmp_path):
    done = far.run("doctor", "--launcher", "far", *FAR, cwd=str(tmp_path), timeout=120)
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == ["ok"] * 6
    assert not [name for name in os.listdir(str(tmp_path)) if name != "home"]


def test_codes_signals_and_output(far):
    ids = {far.add(command, *FAR): code for command, code in CODES.items()}
    listed = far.run("add", *FAR, "--", "printf", "%s|", "a b", "c'd", "$x").id
    whole = far.add("head -c 5000000 /dev/urandom | tee copy; echo aside >&2", "--cwd", far.work, *FAR)
    far.run("worker", "start", "--drain", "--count", "4", timeout=120)
    assert {key: far.job(key)["exit_code"] for key in ids} == ids
    assert far.run("logs", listed).stdout == "a b|c'd|$x|"
    logs = subprocess.run(far.command("logs", whole), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with open(os.path.join(far.work, "copy"), "rb") as file:
        assert (logs.stdout == file.read(), len(logs.stdout)) == (True, 5000000) and b"aside\n" in logs.stderr


def test_its_own_errors_cost_no_retry_and_a_missing_directory_is_no_success(far):
    far.start("--count", "2")
    job = far.add("exit 0", "--launcher-args=-pnosuch", "--backoff", "fixed:1h")
    wait_until(lambda: far.job(job)["snoozes"] == 1, "it to be put off")
    assert (far.job(job)["state"], far.job(job)["attempts"]) == ("pending", 0)
    assert "invalid partition" in far.run("logs", job).stderr
    gone = os.path.join(far.work, "gone")
    os.mkdir(gone)
    missing = far.add("rmdir %s; sleep 0.1; exit 3" % gone, *FAR)
    far.ended(missing, "dead")
    # What is missing there alone, as without a shared disk
    assert far.job(missing)["exit_code"] == 3
    far.run("config", "set", "launchers", far_and_elsewhere(far))
    lost = far.add("exit 0", "--launcher", "elsewhere")
    assert far.ended(lost, "dead")["exit_code"] == 126
    assert "/no/such" in far.run("logs", lost).stderr


def far_and_elsewhere(far):
    """The launchers of this home, and one whose directory there is missing."""
    import json

    from queuectl_lib.jobs.launcher_presets import SLURM

    with open(os.path.join(far.path, "config.json")) as file:
        found = json.load(file)["launchers"]
    run = [word.replace("{cwd}", "/no/such") for word in SLURM["run"]]
    found["elsewhere"] = dict(found["far"], run=run)
    return json.dumps(found)


def test_cancel_timeout_and_stop_are_heard_there(far):
    far.start("--count", "4")
    far.far("cancelled", STEADY, *FAR)
    far.far("late", STEADY, *FAR, "--timeout", "1")
    far.far("deaf", DEAF, *FAR, "--timeout", "1")
    far.wait_for("begin", "cancelled")
    far.run("cancel", "cancelled")
    assert far.ended("cancelled", "cancelled")["exit_code"] is None
    assert far.ended("late", "dead")["last_error"].startswith("timed out after 1 s")
    for name in ("cancelled", "late"):
        assert [row[0] for row in far.ledger() if row[1] == name] == ["begin", "term", "end"]
        assert far.noted("end", name)[0][3] == "42"
    far.ended("deaf", "dead")
    assert not far.noted("end", "deaf") and not is_running(far.noted("begin", "deaf")[0][2])
    far.far("stopped", STEADY, *FAR)
    far.wait_for("begin", "stopped")
    far.run("worker", "stop", "--now")
    assert (far.state("stopped"), far.job("stopped")["attempts"]) == ("pending", 0)
    assert far.noted("end", "stopped")[0][3] == "42"
    far.run("cancel", "stopped")


def test_what_waits_for_a_node_is_cancelled_there(far, slurm):
    far.start("--count", "1")
    job = far.add("exit 0", "--launcher-args=--export=NONE --begin=now+1hour")
    wait_until(lambda: slurm.names("PENDING"), "Slurm to hold it")
    far.run("cancel", job)
    far.ended(job, "cancelled")
    assert not slurm.names()


@pytest.mark.parametrize("which", ["one", "both", "watcher too"])
def test_a_dead_srun_and_no_second_start_beside_the_first(far, which):
    """srun alone: Slurm ends the step. Both of its processes: the step runs on, and is ended by us."""
    far.start("--count", "1")
    far.far("job", STEADY, *FAR, "--max-retries", "1")
    far.wait_for("begin", "job")
    first = far.noted("begin", "job")[0][2]
    pids = {"one": sruns(far, "job")[:1], "both": sruns(far, "job"), "watcher too": far.here("job")}[which]
    assert len(pids) == {"one": 1, "both": 2, "watcher too": 3}[which]
    for pid in pids:
        end_process(pid)
    far.wait_for("begin", "job", 2, 60)
    assert not is_running(first)
    far.run("cancel", "job")
    far.ended("job", "cancelled")


def test_killed_workers_leave_a_job_that_goes_on(far):
    far.start("--count", "1")
    far.far("adopted", "while [ ! -e go ]; do sleep 0.05; done; echo done; exit 5", *FAR)
    far.wait_for("begin", "adopted")
    for process in far.started:
        process.kill()
        process.wait()
    for member in far.workers():
        end_process(member["pid"])
    wait_until(lambda: not far.workers(), "all workers to be dead")
    far.start("--count", "1")
    open(os.path.join(far.work, "go"), "w").close()
    assert far.ended("adopted", "dead")["exit_code"] == 5
    assert (far.run("logs", "adopted").stdout, len(far.noted("begin", "adopted"))) == ("done\n", 1)


def test_after_the_death_of_the_host_no_second_start_before_the_first_is_gone(far, slurm):
    far.start("--count", "2")
    for name, text in (("polite", STEADY), ("deaf", DEAF)):
        far.far(name, text, *FAR, "--max-retries", "1")
        far.wait_for("begin", name)
    far.kill_host("polite", "deaf")
    assert len(slurm.names("RUNNING")) == 2, "what runs there runs on"
    far.start("--count", "2")
    for name in ("polite", "deaf"):
        far.wait_for("begin", name, 2, 60)
        assert not is_running(far.noted("begin", name)[0][2])
    assert far.noted("term", "polite") and far.noted("end", "polite")[0][3] == "42"
    far.run("cancel", "polite", "deaf")
    for name in ("polite", "deaf"):
        far.ended(name, "cancelled")


def test_without_the_controller_nothing_is_known_and_nothing_given_away(far, slurm):
    far.start("--count", "2")
    far.far("lost", STEADY, *FAR, "--max-retries", "1")
    far.far("cancelled", STEADY, *FAR)
    for name in ("lost", "cancelled"):
        far.wait_for("begin", name)
    slurm.stop_controller()
    try:
        for pid in far.here("lost"):
            end_process(pid)
        far.ask_to_cancel("cancelled")
        said = "launcher far does not say whether the job still runs: slurm_load_jobs error: Unable to contact"
        wait_until(lambda: said in far.run("why", "lost").stdout, "why to tell of it", 60)
        wait_until(lambda: "Unable to contact" in far.run("why", "cancelled").stdout, "why to tell of the other", 60)
        assert "launcher far" in far.run("list").stdout
        assert [far.state(name) for name in ("lost", "cancelled")] == ["processing"] * 2
        here = far.add("exit 0", "--launcher", "none")
        far.ended(here, "completed")
        assert len(far.noted("begin", "lost")) == 1 and not far.noted("term", "cancelled")
    finally:
        slurm.start_controller()
    far.ended("cancelled", "cancelled", 120)
    assert far.noted("end", "cancelled")[0][3] == "42"
    far.wait_for("begin", "lost", 2, 120)
    assert far.run("why", "lost", "--json").json["reason"] != "launcher_unknown"
    far.run("cancel", "lost")
    far.ended("lost", "cancelled")


def test_a_controller_that_comes_and_goes_does_no_harm(far, slurm):
    far.start("--count", "1")
    far.far("steady", "while [ ! -e go ]; do sleep 0.05; done; exit 3", *FAR)
    far.wait_for("begin", "steady")
    slurm.controller.process.send_signal(signal.SIGKILL)
    slurm.stop_controller()
    slurm.start_controller()
    open(os.path.join(far.work, "go"), "w").close()
    assert far.ended("steady", "dead")["exit_code"] == 3
    assert len(far.noted("begin", "steady")) == 1


def test_a_controller_that_has_forgotten_a_job_is_not_believed_while_it_is_young(slurm, tmp_path):
    """Killed, it knows nothing of its last seconds; until the nodes have told it, what it forgot runs on."""
    saved = slurm.state()
    with FarHome(tmp_path / "home", slurm.launcher(settle="8")) as home:
        home.start("--count", "1")
        home.far("job", DEAF, *FAR, "--max-retries", "1")
        home.wait_for("begin", "job")
        first = home.noted("begin", "job")[0][2]
        slurm.forget_since(saved)
        for pid in home.here("job"):
            end_process(pid)
        assert is_running(first) and not slurm.names(), "what was to be forgotten runs, and is not listed"
        said = "younger than 8 s, may have forgotten jobs"
        wait_until(lambda: said in home.run("why", "job").stdout, "why to tell of it", 60)
        home.wait_for("begin", "job", 2, 120)
        assert not is_running(first)
        home.run("cancel", "job")
        home.ended("job", "cancelled")
