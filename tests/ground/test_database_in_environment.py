"""QUEUECTL_DB_PATH, by which other programs of this name are told their database, in place of the setting db_path."""

import os
import subprocess
import sys

import pytest
from helpers.bundle import copy_bundle
from helpers.marks import posix_only
from helpers.processes import PYTHON

from queuectl_lib.commands import named_database
from queuectl_lib.commands.named_database import DB_HOME, DB_PATH
from queuectl_lib.errors import BadInput


class Copied:
    """An installation whose home is not named: it is where queuectl.py is."""

    def __init__(self, path):
        self.path = str(path)
        os.mkdir(self.path, 0o700)
        copy_bundle(self.path, used_by=sys.executable)
        self.script = os.path.join(self.path, "queuectl.py")

    def __call__(self, *words, code=0, cwd=None, **variables):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("QUEUECTL_")}
        done = subprocess.run(
            [*PYTHON, self.script, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment, **variables),
            cwd=cwd or self.path,
            timeout=60,
        )
        said = done.stdout.decode() + done.stderr.decode()
        assert done.returncode == code, said
        return said


@pytest.fixture
def copied(tmp_path):
    return Copied(tmp_path / "app")


def test_the_variable_counts_in_place_of_the_setting(copied, tmp_path):
    path = str(tmp_path / "named.db")
    copied("add", "true", "--id", "one", QUEUECTL_DB_PATH=path)
    assert os.path.exists(path) and not os.path.exists(os.path.join(copied.path, "queuectl.db"))
    assert "one" in copied("list", QUEUECTL_DB_PATH=path)
    assert "no jobs" in copied("list")
    assert "no jobs" in copied("list", QUEUECTL_DB_PATH="")
    assert copied("config", "get", "db_path", QUEUECTL_DB_PATH=path) == path + "\n"
    assert "(from QUEUECTL_DB_PATH)" in copied("config", "get", QUEUECTL_DB_PATH=path)
    assert "counts in its place" in copied("config", "set", "db_path", "other.db", QUEUECTL_DB_PATH=path)


def test_a_home_that_is_named_in_the_call_counts_more(copied, tmp_path):
    path = str(tmp_path / "named.db")
    copied("--home", copied.path, "add", "true", QUEUECTL_DB_PATH=path)
    assert os.path.exists(os.path.join(copied.path, "queuectl.db")) and not os.path.exists(path)


@posix_only
def test_workers_and_jobs_find_the_same_database_wherever_they_run_and_another_program_its_own(copied, tmp_path):
    other = Copied(tmp_path / "other")
    (tmp_path / "here").mkdir()
    within = "%s %%s --id %%s true" % " ".join(PYTHON)
    calls = [within % (copied.script + " add", "within"), within % (other.script + " add", "elsewhere")]
    calls.append(within % (copied.script + ' --home "$QUEUECTL_HOME" add', "by-home"))
    words = {"cwd": str(tmp_path / "here"), DB_PATH: "rel.db"}
    copied("add", "; ".join(calls), "--id", "outer", "--cwd", "/", **words)
    copied("worker", "start", "--drain", "--background", **words)
    copied("wait", **words)
    assert "not all completed" not in copied("wait", "outer", "within", "by-home", **words)
    assert os.path.exists(str(tmp_path / "here" / "rel.db"))
    assert "elsewhere" in other("list")


def test_crontab_lines_come_with_a_word_that_cron_does_not_know_the_variable(copied, tmp_path):
    assert "cron will not know it" in copied("cron", QUEUECTL_DB_PATH=str(tmp_path / "x.db"))
    assert "cron will not know it" not in copied("cron")


@pytest.mark.parametrize("path", ["config.json", ".", "x" * 300])
def test_a_path_that_can_be_no_database_is_refused_by_the_name_of_the_variable(copied, path):
    assert DB_PATH in copied("list", code=2, QUEUECTL_DB_PATH=path)


def test_a_worker_hands_the_variable_on_for_its_home_alone(monkeypatch, tmp_path):
    monkeypatch.setenv(DB_PATH, "rel.db")
    monkeypatch.setenv(DB_HOME, "")
    monkeypatch.chdir(tmp_path)
    here = os.path.join(os.getcwd(), "rel.db")
    assert named_database.of("/named", True) == ""
    assert named_database.of("/own", False) == here
    assert os.environ[DB_PATH] == here
    assert named_database.of("/own/.", True) == here
    assert named_database.of("/other", False) == ""
    monkeypatch.setenv(DB_HOME, "")
    monkeypatch.setenv(DB_PATH, "config.json")
    with pytest.raises(BadInput, match=DB_PATH):
        named_database.of("/own", False)
