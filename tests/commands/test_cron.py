"""Cron: the lines that `cron` prints run as they stand, wherever the bundle and the home are."""

import os
import re
import subprocess
import sys

import pytest
from helpers.bundle import copy_bundle
from helpers.home import Home
from helpers.marks import WINDOWS, posix_only
from helpers.processes import PYTHON
from helpers.waiting import wait_until

from queuectl_lib.commands import COMMANDS
from queuectl_lib.store import roster

HOSTILE = 'my jobs 50%\\% of it\'s "all" \u00e9\u4e2d $HOME `x` \\\\'
FIVE_FIELDS = re.compile(r"(@reboot|(?:\S+ ){4}\S+)\s+(.*)\Z")


class CopiedHome(Home):
    """A home that holds its own copy of the bundle, as on a host."""

    def __init__(self, path):
        super().__init__(path)
        os.mkdir(self.path, 0o700)
        copy_bundle(self.path, used_by=sys.executable)

    def command(self, *words):
        return PYTHON + [os.path.join(self.path, "queuectl.py")] + [str(word) for word in words]


@pytest.fixture
def copied(tmp_path):
    copied = CopiedHome(tmp_path / HOSTILE)
    yield copied
    copied.clean_up()


@pytest.fixture
def hostile(tmp_path):
    home = Home(tmp_path / (HOSTILE + "2"))
    yield home
    home.clean_up()


def active(text):
    """(when, command) of every line that cron would run."""
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            match = FIVE_FIELDS.match(line)
            assert match, line
            found.append(match.groups())
    return found


def unescaped(command):
    """What cron gives to sh: the strictest rule, where a backslash also quotes a backslash."""
    assert not re.search(r"(?<!\\)%", command), "an unescaped %% ends the command: %s" % command
    return re.sub(r"\\([%\\])", r"\1", command)


def as_it_stands(command):
    """The same by a cron that knows no such rule."""
    return command


def run_as_cron(command, *interpreter):
    words = ["env", "-i"] + list(interpreter or ("sh", "-c")) + [command]
    return subprocess.run(words, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run_lines(home, lines, cron_rule):
    for _, command in lines:
        if command.endswith(" check") and "check" not in COMMANDS:
            continue
        done = run_as_cron(cron_rule(command))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), (command, done.stderr)


@posix_only
@pytest.mark.parametrize("cron_rule", [unescaped, as_it_stands])
def test_every_line_runs_as_printed_where_the_files_lie_in_a_hostile_path(copied, cron_rule):
    lines = active(copied.run("cron", "--count", "2").stdout)
    assert [when for when, _ in lines] == ["@reboot", "* * * * *", "*/10 * * * *", "17 3 * * *"]
    job = copied.add("echo done")
    run_lines(copied, lines, cron_rule)
    assert not any("--home" in command for _, command in lines)
    supervisors = [member for member in roster.members(copied.queue.folder) if member["kind"] == "supervisor"]
    assert (len(supervisors), len(copied.workers())) == (1, 2)
    copied.wait_for_state(job, "completed")


@posix_only
@pytest.mark.parametrize("cron_rule", [unescaped, as_it_stands])
def test_every_line_runs_as_printed_with_a_home_elsewhere(hostile, cron_rule):
    lines = active(hostile.run("cron").stdout)
    run_lines(hostile, lines, cron_rule)
    assert len(hostile.workers()) == 1
    job = hostile.add("echo done")
    hostile.wait_for_state(job, "completed")


@posix_only
def test_the_line_for_hosts_where_no_process_may_stay_runs_too(hostile):
    text = hostile.run("cron").stdout
    line = next(line[2:] for line in text.splitlines() if line.startswith("# * * * * *"))
    command = active(line)[0][1]
    assert " --drain --max-time 55s " in command
    job = hostile.add("echo done")
    run_lines(hostile, [("", command)], unescaped)
    hostile.wait_for_state(job, "completed")
    wait_until(lambda: roster.members(hostile.queue.folder) == [], "the drained supervisor to leave")


@posix_only
def test_the_comment_says_how_to_install_the_lines_and_that_keeps_what_was_there(hostile, tmp_path):
    """Against a crontab that is a file: -l prints it, - replaces it."""
    table, tool = tmp_path / "table", tmp_path / "crontab"
    table.write_text("0 0 * * * true\n")
    tool.write_text('#!/bin/sh\ncd "%s"; case $1 in -l) cat table;; -) cat > new; mv new table;; esac\n' % tmp_path)
    tool.chmod(0o700)
    text = hostile.run("cron", "--count", "3").stdout
    install = re.search(r"^# +(\(crontab -l; .* \| crontab -)$", text, re.M).group(1)
    done = subprocess.run(["sh", "-c", install], env={"PATH": "%s:/usr/bin:/bin" % tmp_path}, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert table.read_bytes() == b"0 0 * * * true\n" + os.fsencode(text)


@posix_only
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_the_bytes_of_a_path_do_not_depend_on_what_stdout_can_encode(hostile, encoding):
    normal = hostile.run("cron").stdout
    assert hostile.run("cron", env={"PYTHONIOENCODING": encoding}).stdout == normal
    assert "\u00e9\u4e2d" in normal


@pytest.mark.parametrize("bad", ["new\nline", "escape\x1b[31m", "return\r"])
def test_a_path_that_no_crontab_can_carry_is_refused(tmp_path, bad):
    home = Home(tmp_path / bad)
    assert "holds a character that no crontab can carry" in home.run("cron", code=2).stderr
    assert os.listdir(str(tmp_path)) == []


def test_printing_the_lines_changes_nothing(tmp_path):
    home = Home(tmp_path / "none")
    assert "worker start --ensure" in home.run("cron").stdout
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.skipif(not WINDOWS, reason="Windows only")
def test_on_windows_the_lines_are_tasks(home):
    lines = home.run("cron", "--count", "2").stdout.splitlines()
    tasks = [line for line in lines if line.startswith("schtasks /create ")]
    assert len(tasks) == 3
    assert all('/tr "\\"' in line for line in tasks)
    assert "--ensure --background --quiet --count 2" in tasks[0]
