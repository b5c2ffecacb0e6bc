"""The README: complete about verbs and settings, and its commands run."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from helpers import readme
from helpers.bundle import ROOT, copy_bundle
from helpers.marks import posix_only

import queuectl_lib
from queuectl_lib import settings
from queuectl_lib.commands import frame
from queuectl_lib.jobs import fields

with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
    README = file.read()
with open(readme.DETAILS, encoding="utf-8") as file:
    DETAILS = file.read()


@pytest.mark.parametrize("name", sorted(queuectl_lib.commands.COMMANDS))
def test_every_command_is_in_the_table(name):
    rows = [row for row in readme.GROUPS.values() if "`%s`" % name in row]
    assert len(rows) == 1, "see GROUPS in tests/helpers/readme.py, and run `make readme`"


@pytest.mark.parametrize("name", sorted(queuectl_lib.commands.COMMANDS))
def test_every_option_of_a_command_is_mentioned(name):
    for names, details in frame.load(name).arguments:
        options = [one for one in names if one.startswith("--")]
        if options and details.get("help") != argparse.SUPPRESS:
            named = [one for one in options if re.search(re.escape(one) + r"\b", DETAILS + README)]
            assert named, "run `make readme` (%s)" % options


def test_the_table_of_commands_is_what_make_readme_writes():
    assert README.split(readme.BEGIN)[1].split(readme.END)[0] == readme.table(), "run `make readme`"
    assert readme.details() == DETAILS, "run `make readme`"


def test_the_table_of_commands_is_one_screen_and_names_each_once():
    assert len(readme.GROUPS) <= 24
    named = re.findall(r"`([^`]+)`", " ".join(readme.GROUPS.values()))
    assert sorted(named) == sorted(queuectl_lib.commands.COMMANDS)


def test_every_verb_of_the_readme_exists():
    verbs = set(re.findall(r"(?:python3 \S*|`)queuectl\.py ((?:worker|dlq|config) [a-z]+|[a-z]+)", README))
    assert len(verbs) > 5
    words = {name.split()[0] for name in queuectl_lib.commands.COMMANDS} | set(queuectl_lib.commands.COMMANDS)
    assert verbs <= words


def test_every_setting_is_in_the_table_with_its_default():
    for key, default in settings.SETTING_DEFAULTS.items():
        shown = "none" if default is None else str(default)
        assert re.search(r"^\| `%s`.*\| `?%s`? \|" % (key, re.escape(shown)), README, re.M), key
    for alias, key in settings.ALIASES.items():
        assert re.search(r"^\| `%s` \(also `%s`\)" % (key, alias), README, re.M), alias


def test_every_job_key_is_named():
    assert "`%s`" % " ".join(fields.JOB_KEYS) in README, "run `make readme`"


def test_the_shipped_configuration_states_the_defaults():
    with open(os.path.join(ROOT, "config.json"), encoding="utf-8") as file:
        assert json.load(file) == settings.SETTING_DEFAULTS


@posix_only
def test_the_first_minutes_by_hand_work_as_written(tmp_path):
    block = README.split("    mkdir -m 700 ~/queue\n")[1].split("\n\n")[0]
    copy_bundle(tmp_path, used_by=sys.executable)
    script = "set -eu\nmkdir -m 700 ~/queue\n" + block.replace("python3 ", shlex.quote(sys.executable) + " ")
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=str(tmp_path),
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert b"completed" in done.stderr


@posix_only
def test_make_demo_runs():
    done = subprocess.run(
        ["sh", os.path.join(ROOT, "tests", "instruments", "demo.sh")],
        env=dict(os.environ, PYTHON=sys.executable),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout.decode()
    assert b"As expected" in done.stdout
