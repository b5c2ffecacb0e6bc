"""The life of a far job, with real workers and real kills: on an engine that stands in for Slurm and its kin.

Whatever dies here, no job runs there twice at once, none is lost, and none is given away while it is not known whether
it runs: the ledger of the engine tells.
"""

import json
import os

import pytest
from helpers.engine import add_launcher
from helpers.far_world import DEAF, POLITE, World
from helpers.home import contents
from helpers.marks import posix_only
from helpers.processes import end_process
from helpers.waiting import wait_until

from queuectl_lib.reports import problems

pytestmark = posix_only


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """For all rows that need no kill of a worker: one home, with workers."""
    with World(tmp_path_factory.mktemp("far") / "home") as world:
        world.home.start("--count", "4")
        yield world


@pytest.fixture
def own(tmp_path):
    with World(tmp_path / "home") as world:
        yield world


# ---------------------------------------------------------------- what ends by itself


def test_codes_and_signals_come_back(world):
    codes = {"exit 0": 0, "exit 1": 1, "exit 3": 3, "exit 126": 126, "exit 127": 127, "exit 255": 255,
             "kill -9 $$": 137, "kill -15 $$": 143, "kill -11 $$": 139}  # fmt: skip
    ids = {world.home.add(command): code for command, code in codes.items()}
    world.home.run("wait", *ids, code=1)
    assert {key: world.job(key)["exit_code"] for key in ids} == ids
    assert [world.engine.started(key) for key in ids] == [1] * len(ids)
    states = [world.job(key)["state"] for key in ids]
    assert states == ["completed"] + ["dead"] * (len(ids) - 1)


def test_output_directory_and_variables(world, tmp_path):
    text = "pwd; echo $A; printf '\\001\\377' >&2; head -c 5000000 /dev/zero | tr '\\0' x"
    job = world.home.add(text, "--cwd", str(tmp_path), "--env", "A=one two")
    listed = world.home.run("add", "--", "printf", "%s|", "a b", "c'd").id
    world.ended(job, "completed")
    world.ended(listed, "completed")
    parts = world.home.run("logs", job).stdout.split("\n")
    assert (parts[0], parts[1], parts[2] == "x" * 5000000) == (str(tmp_path), "one two", True)
    assert world.home.run("logs", listed).stdout == "a b|c'd|"


def test_a_directory_that_is_missing_there_is_no_success(world):
    run = [word.replace("{cwd}", "{cwd}/missing") for word in world.engine.launcher()["run"]]
    add_launcher(world.home, "elsewhere", world.engine.launcher(run=run))
    job = world.ended(world.home.add("exit 0", "--launcher", "elsewhere"), "dead")
    assert job["exit_code"] == 126 and "no such directory" in world.home.run("logs", job["id"]).stderr


def test_the_engines_own_failure_is_told_of_a_job_that_it_puts_off(world):
    with world.engine.fault("refuses"):
        job = world.home.add("exit 0", "--backoff", "fixed:1h")
        wait_until(lambda: world.job(job)["snoozes"] == 1, "it to be put off")
        said = "launcher far: far-run: no place for it (exit code 75)"
        assert world.job(job)["last_error"] == said and said in world.home.run("list").stdout
        told = world.home.run("why", job, "--json").json
        assert told["sentence"].startswith(said + "; put off for the 1st time, and due in ")
        assert told["reason"] == "snoozed" and told["next"][0].endswith(" doctor --launcher far")
    world.home.run("edit", job, "--now")
    assert world.ended(job, "completed")["last_error"] is None


def test_the_engines_own_failure_costs_no_retry(world):
    with world.engine.fault("refuses"):
        job = world.home.add("exit 0", "--max-retries", "0", "--backoff", "fixed:1s")
        wait_until(lambda: world.job(job)["snoozes"] >= 1, "it to be put off")
    assert (world.ended(job, "completed")["attempts"], world.engine.started(job)) == (1, 1)


# ---------------------------------------------------------------- what is ended


def test_a_cancel_is_heard_there_with_its_grace(world):
    world.begin("cancelled", POLITE)
    world.home.run("cancel", "cancelled")
    job = world.ended("cancelled", "cancelled")
    assert job["exit_code"] is None and world.engine.ledger()[-1]["code"] == 42
    assert world.home.run("logs", "cancelled").stdout == "begun\nended\n"


def test_a_timeout_too_and_what_heeds_no_term_is_killed_there(world):
    world.begin("late", POLITE, "--timeout", "0.5")
    world.begin("deaf", DEAF, "--timeout", "0.5")
    for name, code in (("late", 42), ("deaf", 137)):
        assert world.ended(name, "dead")["last_error"].startswith("timed out after 0.5 s")
        assert [row["code"] for row in world.engine.ledger() if row["job"] == name and row["kind"] == "end"] == [code]


def test_what_waits_for_a_place_there_is_cancelled_there(world):
    with world.engine.fault("pending"):
        world.home.add("exit 0", "--id", "waits")
        wait_until(lambda: world.job("waits")["state"] == "processing", "it to be under way")
        wait_until(lambda: world.engine.knows("waits"), "the engine to have it")
        world.home.run("cancel", "waits")
        world.ended("waits", "cancelled")
    assert world.engine.started("waits") == 0


def test_it_is_over_only_when_alive_says_so(world):
    world.begin("lingers", POLITE)
    with world.engine.fault("late", "1.5"):
        world.home.run("cancel", "lingers")
        assert world.engine.call("alive", world.token("lingers"))[0] == 1
        world.ended("lingers", "cancelled")


def test_a_launcher_without_end_and_alive_is_the_job_itself(world):
    add_launcher(world.home, "env", {"run": ["env"]})
    done = world.home.add("exit 7", "--launcher", "env")
    world.home.add(POLITE, "--launcher", "env", "--id", "local")
    wait_until(lambda: "begun" in world.home.run("logs", "local").stdout, "it to begin")
    world.home.run("cancel", "local")
    world.ended("local", "cancelled")
    assert world.home.run("logs", "local").stdout == "begun\nended\n"
    assert world.ended(done, "dead")["exit_code"] == 7 and not world.engine.started(done)


def test_one_that_is_to_run_here_does(world):
    job = world.home.add("echo $QUEUECTL_JOB_ID", "--launcher", "none")
    world.ended(job, "completed")
    assert (world.home.run("logs", job).stdout.strip(), world.engine.started(job)) == (job, 0)


# ---------------------------------------------------------------- what is killed


def test_a_client_that_is_killed_leaves_a_job_that_is_ended_before_the_next_attempt(world):
    """Its code is known, so the far job has a grace to end by itself; with its watcher: it is ended at once."""
    for name, programs in (("client", ["python"]), ("watched", ["sh", "python"])):
        world.begin(name, POLITE, "--max-retries", "1")
        for pid in world.here(world.token(name), *programs):
            end_process(pid)
    for name in ("client", "watched"):
        world.engine.wait_for_start(name, 2)
        world.home.run("cancel", name)
        world.ended(name, "cancelled")
        codes = [row["code"] for row in world.engine.ledger() if row["job"] == name and row["kind"] == "end"]
        assert codes == [42, 42]


def test_a_killed_worker_leaves_a_job_that_goes_on(own, tmp_path):
    own.home.start()
    go = tmp_path / "go"
    own.begin("adopted", "while [ ! -e %s ]; do sleep 0.02; done; echo done; exit 5" % go)
    for member in own.home.workers():
        end_process(member["pid"])
    wait_until(lambda: [line for line in contents(own.home.started[0].log).splitlines() if "adopted" in line],
               "a worker to take it over")  # fmt: skip
    go.write_text("")
    job = own.ended("adopted", "dead")
    assert (job["exit_code"], own.home.run("logs", "adopted").stdout) == (5, "done\n")
    assert own.engine.started("adopted") == 1


def test_after_the_death_of_the_host_nothing_runs_twice(own):
    own.home.start("--count", "2")
    own.begin("polite", POLITE, "--max-retries", "1")
    own.begin("deaf", DEAF, "--max-retries", "1")
    own.kill_all()
    assert sorted(own.engine.running()) == sorted(map(own.token, ("polite", "deaf")))
    own.home.start("--count", "2")
    for name in ("polite", "deaf"):
        own.engine.wait_for_start(name, 2)
        assert own.engine.twice() == []
        assert own.job(name)["attempts"] == 2
    rows = [row for row in own.engine.ledger() if row["kind"] == "end"]
    assert {row["job"]: row["code"] for row in rows} == {"polite": 42, "deaf": 137}
    own.home.run("worker", "stop", "--now")
    own.engine.wait_until_free()


# ---------------------------------------------------------------- what is not known


def test_what_is_not_known_is_waited_for_and_told(own, monkeypatch):
    """One that lost its watcher, one cancelled, one whose launcher was taken away; and the engine gives no answer."""
    monkeypatch.setattr(problems, "UNKNOWN_SECONDS", 0.0)
    home, engine = own.home, own.engine
    home.start("--count", "3")
    add_launcher(home, "other", engine.launcher())
    own.begin("lost", POLITE, "--max-retries", "1")
    own.begin("cancelled", POLITE)
    own.begin("orphan", POLITE, "--launcher", "other")
    with engine.fault("unreachable"):
        for pid in own.here(own.token("lost"), "sh", "python"):
            end_process(pid)
        own.ask_to_cancel("cancelled")
        remove_launcher(home, "other")
        own.ask_to_cancel("orphan")
        said = "launcher far does not say whether the job still runs: far-alive: the engine cannot be reached"
        wait_until(lambda: said in home.run("why", "lost").stdout, "why to tell of it")
        reason = home.run("why", "lost", "--json").json
        assert (reason["reason"], reason["state"]) == ("launcher_unknown", "processing")
        wait_until(lambda: "launcher far" in home.run("why", "cancelled").stdout, "why to tell of the other")
        wait_until(lambda: "other is not in config" in home.run("why", "orphan").stdout, "why to tell of the third")
        assert said in home.run("list").stdout
        assert "lost" in home.run("check", code=1).stdout
        free = home.add("echo here", "--launcher", "none")
        own.ended(free, "completed")  # the worker waits for none of them
        assert [home.state(name) for name in ("lost", "cancelled", "orphan")] == ["processing"] * 3
        assert [engine.started(name) for name in ("lost", "cancelled", "orphan")] == [1] * 3
    add_launcher(home, "other", engine.launcher())
    own.ended("cancelled", "cancelled")
    own.ended("orphan", "cancelled")
    engine.wait_for_start("lost", 2)
    assert home.run("why", "lost", "--json").json["reason"] != "launcher_unknown"


def remove_launcher(home, name):
    path = os.path.join(home.path, "config.json")
    with open(path) as file:
        config = json.load(file)
    del config["launchers"][name]
    with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        json.dump(config, file)
    os.replace(path + ".new", path)


def test_a_control_program_that_hangs_holds_up_nothing(world):
    world.begin("hangs", POLITE)
    with world.engine.fault("hang"):
        world.ask_to_cancel("hangs")
        for _ in range(3):
            world.ended(world.home.add("exit 0", "--launcher", "none"), "completed")
        assert world.home.state("hangs") == "processing"
    world.ended("hangs", "cancelled")


def test_a_launcher_that_this_host_has_not_starts_nothing(world):
    add_launcher(world.home, "coming", world.engine.launcher())
    job = world.home.add("exit 0", "--launcher", "coming", "--delay", "1d")
    remove_launcher(world.home, "coming")
    world.home.run("edit", job, "--delay", "0")
    wait_until(lambda: "coming" in world.home.run("why", job).stdout, "why to name it")
    assert world.job(job)["attempts"] == 0
    add_launcher(world.home, "coming", world.engine.launcher())
    assert world.ended(job, "completed")["attempts"] == 1


# ---------------------------------------------------------------- what is joined


def test_the_next_attempt_joins_what_runs_there(tmp_path):
    """After a lost line, after the death of the host: the same far job, its whole output, its code."""
    with World(tmp_path / "home", attach=True) as own:
        home, engine = own.home, own.engine
        home.start()
        go = tmp_path / "go"
        own.begin("joined", "echo one; while [ ! -e %s ]; do sleep 0.02; done; echo two; exit 0" % go)
        engine.cut()
        wait_until(lambda: engine.joined("joined") == 1, "the next attempt to join")
        own.kill_all()
        home.start()
        wait_until(lambda: engine.joined("joined") == 2, "the one after it to join")
        go.write_text("")
        job = own.ended("joined", "completed")
        assert engine.started("joined") == 1
        assert home.run("logs", "joined").stdout == "one\ntwo\n"
        assert job["attempts"] <= 2


def test_a_failure_there_begins_a_new_one(tmp_path):
    with World(tmp_path / "home", attach=True) as own:
        own.home.add("exit 3", "--id", "fails", "--max-retries", "1")
        own.home.run("worker", "start", "--drain")
        assert (own.home.state("fails"), own.engine.started("fails"), own.engine.joined("fails")) == ("dead", 2, 0)
