"""doctor --launcher: what the engine of a launcher does is tried, and each lack is named by what it would cost."""

import json
import os

import pytest
from helpers.engine import Engine, add_launcher
from helpers.marks import posix_only
from helpers.waiting import wait_until

from queuectl_lib.doctor import launcher_trial
from queuectl_lib.host import control

pytestmark = posix_only

NAMES = ["run", "exit code", "output", "directory", "end", "lost client"]


@pytest.fixture(scope="module")
def engine():
    with Engine() as engine:
        yield engine


@pytest.fixture
def trial(near, engine, tmp_path, monkeypatch):
    """doctor on the engine, its waits short: the result, its findings by their names."""
    for name, seconds in (("GONE_SECONDS", 0.3), ("GRACE_SECONDS", 0.5), ("BEATS_SECONDS", 0.5)):
        monkeypatch.setattr(launcher_trial, name, seconds)
    monkeypatch.setattr(control, "CONTROL_SECONDS", 1.0)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def run(code=0, **changes):
        add_launcher(near, "far", engine.launcher(**changes))
        done = near.run("doctor", "--launcher", "far", "--json", code=code)
        wait_until(lambda: not engine.running() and not os.listdir(str(work)), "nothing to be left there")
        return {row["name"]: row for row in done.json["findings"]}

    return run


def failing(findings):
    return [name for name, row in findings.items() if row["ok"] is False]


def test_an_engine_that_does_all_is_fit(near, engine, trial):
    findings = trial()
    assert list(findings) == NAMES and {row["ok"] for row in findings.values()} == {True}, findings
    lines = near.run("doctor", "--launcher", "far").stdout.splitlines()
    assert [line[:6].strip() for line in lines[:-1]] == ["ok"] * 6 and "far does what a job needs" in lines[-1]


def test_one_that_attaches_is_joined(engine, trial):
    findings = trial(attach=True)
    assert list(findings) == [*NAMES, "join"] and {row["ok"] for row in findings.values()} == {True}, findings


@pytest.mark.parametrize(
    ("fault", "changes", "failed", "text"),
    [
        ("deaf", {}, ["end", "lost client"], "after TERM and KILL by end alive says that it is there"),
        ("says-gone", {}, ["end", "lost client"], "while a job runs there alive says that it is gone"),
        ("says-there", {}, ["run"], "after `true` has ended there alive says that it is there"),
        ("loses-code", {}, ["exit code", "directory"], "`exit 7` there is exit code 0 here"),
        ("mixed", {}, ["output"], "of 327700 bytes on stdout there 327706 came back"),
        ("nodir", {}, ["directory"], "ran in /, and succeeded"),
        ("unreachable", {}, ["run"], "exit code 75, the launcher's own failure: far-run: the engine cannot be reached"),
        ("hang", {}, ["run"], "alive does not know: python"),
        ("flood", {}, ["run"], "alive does not know: python"),
        ("forgets", {}, ["lost client"], "alive says that it is gone, and the job there runs on"),
        ("starts-anew", {"attach": True}, ["join"], "started the job again"),
    ],
)
def test_each_lack_is_found(engine, trial, fault, changes, failed, text):
    with engine.fault(fault):
        findings = trial(1, **changes)
    assert failing(findings) == failed, findings
    assert text in " ".join(findings[name]["text"] for name in failed), findings
    if failed == ["run"]:
        assert {row["text"] for name, row in findings.items() if name != "run"} == {"not tried"}


def test_a_trap_that_is_not_heard_is_no_grace(engine, trial):
    """As srun itself, when it is asked to end."""
    findings = trial(1, end=[*engine.words("end", "{token}", "KILL")])
    assert failing(findings) == ["end"] and "its own trap did not run" in findings["end"]["text"]


def test_without_alive_a_job_that_outlives_its_client_is_found(engine, trial):
    findings = trial(1, alive=None)
    assert failing(findings) == ["lost client"] and "nobody is asked" in findings["lost client"]["text"]


def test_programs_that_are_missing_are_named(trial):
    found = trial(1, run=["no-such-run"])["run"]
    assert "no-such-run" in found["text"] and "on the PATH of the workers" in found["advice"]
    assert "no-such-end" in trial(1, end=["no-such-end"])["end"]["text"]


@pytest.mark.parametrize(
    ("script", "text", "advice"),
    [
        ("echo oh no >&2; exit 1", "exit code 1: oh no", "can stand in its env"),
        ("printf 'no daemon\\n\\nRun x --help\\n' >&2; exit 75", "own failure: no daemon", "up to max_snoozes times"),
        ("echo see --help >&2; exit 1", "exit code 1: see --help", "later_codes"),
        ("queuectl-is-not-there", "exit code 127: ", "by its full path"),
    ],
)
def test_what_keeps_a_job_from_running_is_said_with_what_to_do(trial, script, text, advice):
    found = trial(1, run=["sh", "-c", script])["run"]
    assert text in found["text"] and advice in found["advice"], found


def test_a_program_here_that_is_the_job_itself_needs_neither_end_nor_alive(near, trial, tmp_path, monkeypatch):
    findings = trial(run=["env", "-C", "{cwd}"], end=None, alive=None)
    assert failing(findings) == [] and findings["run"]["ok"] is None, findings


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--launcher", "fra"], "did you mean far"),
        (["--launcher", "far", "--launcher-args", "'x"], "no closing quotation"),
        (["--launcher-args=-x"], "--launcher-args goes with --launcher NAME"),
    ],
)
def test_bad_input(near, engine, words, said):
    add_launcher(near, "far", engine.launcher())
    assert said in near.run("doctor", *words, code=2).stderr


def test_what_is_added_to_its_words(near, engine, trial):
    add_launcher(near, "far", engine.launcher())
    done = near.run("doctor", "--launcher", "far", "--launcher-args=--no-such", "--json", code=1)
    assert "far-run: no such option: --no-such" in done.json["findings"][0]["text"]
    told = "launcher far is not fit for jobs yet: run"
    assert json.loads(done.stderr) == {"error": {"code": "unfit_launcher", "message": told}}
