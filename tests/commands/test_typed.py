"""What people type at `add`: - for standard input, line ends of Windows, ~, a directory behind a link, a time."""

import json
import os
import sys

import pytest
from helpers.marks import WINDOWS, posix_only

from queuectl_lib import times
from queuectl_lib.commands import terminal
from queuectl_lib.host import system
from queuectl_lib.jobs import sources


@pytest.fixture
def home(near):
    return near


# ---------------------------------------------------------------- add -


@pytest.mark.parametrize(
    "given, command",
    [
        ("echo hi\n", "echo hi"),
        ("echo hi", "echo hi"),
        ("cat <<E\n$A\nE\n\n", "cat <<E\n$A\nE"),
        ("\ufeffecho caf\u00e9\n", "echo caf\u00e9"),
        (b"\xff\xfee\x00c\x00h\x00o\x00\n\x00", "echo"),
    ],
)
def test_a_command_is_read_from_standard_input(home, given, command):
    job = home.run("add", "-", "--priority", "3", input=given).id
    assert [home.job(job)[key] for key in ("command", "priority")] == [command, 3]


@pytest.mark.parametrize(
    "given, said",
    [
        ("", "standard input holds no command"),
        (" \n\t\n", "standard input holds no command"),
        (b"a\xff", "is not valid UTF-8"),
        (b"x" * (sources.BLOCK_BYTES * 16 + 1), "is too long: put it into a script file"),
        (b"a\0b", "holds a NUL character"),
    ],
    ids=("none", "blank", "no UTF-8", "long", "NUL"),
)
def test_what_is_no_command_there_is_refused(home, given, said):
    assert said in home.run("add", "-", code=2, input=given).stderr
    assert home.run("list").stdout == ""


def test_a_program_called_so_is_one_behind_two_dashes(home):
    assert home.job(home.run("add", "--", "-", "x").id)["command"] == ["-", "x"]


def test_a_schedule_reads_its_command_there_too(home):
    home.run("schedule", "set", "s", "@daily", "-", input="echo hi\n")
    assert home.run("schedule", "show", "s", "--json").json["job"]["command"] == "echo hi"


# ---------------------------------------------------------------- line ends


@posix_only
@pytest.mark.parametrize(
    "command, kept",
    [
        ("touch made\r\ntrue", "touch made\ntrue"),
        ("touch made\r\n", "touch made\n"),
        ("touch made\r", "touch made"),
        ("printf 'a\rb'", None),
        ("true\n", None),
    ],
)
def test_a_carriage_return_before_a_line_end_is_taken_out_with_a_word(home, command, kept):
    for words in (["add", command], ["enqueue", json.dumps({"command": command})]):
        said = home.run(*words)
        assert home.job(said.id)["command"] == (command if kept is None else kept)
        taken = "the carriage returns at the ends of the lines of the command were taken out\n"
        assert said.stderr == ("" if kept is None else taken)
        assert home.run(*words, "--quiet").stderr == ""


def test_a_list_of_arguments_is_what_it_is(home):
    assert home.job(home.run("add", "--", "prog", "a\r\nb\r").id)["command"] == ["prog", "a\r\nb\r"]


@posix_only
def test_edit_takes_them_out_as_well(home):
    job = home.add("true")
    assert "of the command were taken out" in home.run("edit", job, "--command", "touch made\r\ntrue\r").stderr
    assert home.job(job)["command"] == "touch made\ntrue"


def test_on_windows_they_stay_for_there_they_belong(monkeypatch):
    from queuectl_lib.jobs.making import JobMaker

    monkeypatch.setattr(system, "WINDOWS", True)
    maker = JobMaker(0, "/", None, 0.0)
    assert maker.row({"command": "a\r\nb"})[1] == "a\r\nb" and maker.returns_taken == 0


# ---------------------------------------------------------------- directories


def test_a_tilde_is_the_home_directory_of_who_adds(home, tmp_path):
    variables = {"USERPROFILE" if WINDOWS else "HOME": str(tmp_path)}
    for given, meant in (("~", tmp_path), ("~/a/b", tmp_path / "a" / "b"), ("/~", "/~")):
        job = home.run("add", "true", "--cwd", given, env=variables).id
        assert home.job(job)["cwd"] == os.path.abspath(str(meant))
    job = home.run("add", "true", "--cwd", "~x", cwd=str(tmp_path)).id
    assert home.job(job)["cwd"] == os.path.join(os.path.realpath(str(tmp_path)), "~x")


@posix_only
def test_a_directory_keeps_the_name_by_which_its_user_has_come_to_it(home, tmp_path):
    (tmp_path / "releases" / "5").mkdir(parents=True)
    (tmp_path / "current").symlink_to(tmp_path / "releases" / "5")
    seen, real = str(tmp_path / "current"), os.path.realpath(str(tmp_path / "current"))

    def added(pwd, *words):
        return home.job(home.run("add", "true", *words, cwd=seen, env={"PWD": pwd}).id)["cwd"]

    assert added(seen) == seen
    assert added(seen, "--cwd", "sub") == seen + "/sub"
    assert added(seen, "--cwd", "..") == os.path.dirname(real), "as `ls ..` has it"
    for wrong in (str(tmp_path), "/nope", "current", seen + "/", seen + "/../current", ""):
        assert added(wrong) == real, wrong
    (tmp_path / "current").unlink()
    assert home.job(home.run("add", "true", cwd=real, env={"PWD": seen}).id)["cwd"] == real


# ---------------------------------------------------------------- the moment


@pytest.fixture
def told(home, monkeypatch):
    """What `add` with *words* says of the time on a terminal."""

    def ask(*words):
        return home.run(*words).stderr

    monkeypatch.setattr(terminal, "is_terminal", lambda stream: stream is sys.stderr)
    return ask


def test_on_a_terminal_the_moment_that_was_chosen_is_said(home, told):
    said = told("add", "true", "--delay", "1w")
    assert said.startswith("it is due at 2") and said.endswith(", in 7d\n")
    said = told("add", "true", "--run-at", "2020-01-01T00:00Z")
    assert said.startswith("its time, 20") and said.endswith("d ago: it is due now\n")
    assert told("add", "true", "--run-at", "2020-01-01T00:00Z", "--quiet") == ""
    assert told("add", "true", "--run-at", "+0") == told("add", "true") == ""
    job = home.add("true")
    assert told("edit", job, "--run-at", "+2h").endswith(", in 2h\n")


def test_elsewhere_nothing_is_said_of_it(home):
    assert home.run("add", "true", "--delay", "1w").stderr == ""
    assert home.run("add", "true", "--run-at", "2020-01-01").stderr == ""


def test_the_time_is_that_of_the_job(home, told):
    said = told("add", "true", "--run-at", "2031-02-03T04:05:06Z", "--json")
    assert times.utc_text(times.parse_time("2031-02-03T04:05:06Z")).startswith("2031-02-03T04:05:06")
    assert "it is due at 2031-02-0" in said
