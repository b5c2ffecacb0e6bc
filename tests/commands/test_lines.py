"""`enqueue --lines` and `--skip-existing`: plain lists of commands, and the same list again."""

import json

import pytest
from helpers.marks import posix_only
from helpers.queue import rows, total

from queuectl_lib.host import system

COMMANDS = "SELECT command FROM jobs ORDER BY seq"


@pytest.fixture
def home(near):
    return near


def commands(home):
    return [row["command"] for row in rows(home.queue, COMMANDS)]


def written(home, text, name="list"):
    path = "%s/%s" % (home.path, name)
    with open(path, "wb") as file:
        file.write(text.encode("utf-8"))
    return path


# ---------------------------------------------------------------- lines


def test_each_line_is_a_command_and_the_options_are_for_all_of_them(home):
    path = written(home, "# a list\n\n  echo 1\n#!no command\necho '# 2'  \n\t\necho 3")
    said = home.run("enqueue", "--lines", path, "--priority", "4", "--tag", "a", "--env", "B=1", "--max-retries", "0")
    assert commands(home) == ["echo 1", "echo '# 2'  ", "echo 3"]
    jobs = home.run("list", "--json").json
    assert said.stdout.split() == [job["id"] for job in jobs]
    assert said.stderr == "enqueued 3 jobs\n"
    shared = {"priority": 4, "tags": ["a"], "env": {"B": "1"}, "max_retries": 0}
    assert [{key: job[key] for key in shared} for job in jobs] == [shared] * 3


def test_lines_come_from_standard_input_too(home):
    home.run("enqueue", "--lines", "-", input="true\necho 2\n")
    assert commands(home) == ["true", "echo 2"]


@pytest.mark.parametrize(
    "text, said",
    [
        ("true\necho a \\\n b\n", "line 2 ends in a backslash, but a command stands on one line"),
        ('true\n{"command": "true"}\n', "line 2 is JSON, and --lines takes shell commands: --file takes JSON"),
        ("true\n\0\n", "line 2: command: "),
        ("# only this\n\n", "no job was given"),
    ],
)
def test_what_is_wrong_with_a_line_adds_nothing(home, text, said):
    path = written(home, text)
    found = home.run("enqueue", "--lines", path, code=2).stderr
    assert said in found and "nothing was added" in found
    assert home.run("list").stdout == ""


def test_a_backslash_that_is_quoted_itself_may_end_a_line(home):
    home.run("enqueue", "--lines", written(home, "echo a\\\\\n"))
    assert commands(home) == ["echo a\\\\"]


def test_what_only_one_job_can_have_is_refused_for_a_list(home):
    path = written(home, "true\n")
    assert "--id: one id for many jobs" in home.run("enqueue", "--lines", path, "--id", "a", code=2).stderr
    assert "only the first would be added" in home.run("enqueue", "--lines", path, "--unique", "k", code=2).stderr
    said = home.run("enqueue", "--lines", path, "--file", path, code=2).stderr
    assert "--file F, --lines F, or --command TEXT" in said
    assert "--wait is of one job" in home.run("enqueue", "--lines", path, "--wait", code=2).stderr


def test_beside_json_an_option_of_a_job_is_refused_with_what_to_do(home):
    said = home.run("enqueue", '{"command": "true"}', "--priority", "3", code=2).stderr
    assert "--priority is a key of the JSON: " in said
    assert home.run("list").stdout == ""


@posix_only
def test_line_ends_of_windows_are_taken_out_of_a_list_with_a_word(home):
    path = written(home, "touch made\r\n\r\ntrue\r\n")
    said = home.run("enqueue", "--lines", path).stderr
    assert commands(home) == ["touch made", "true"]
    assert "the carriage returns at the ends of the lines of 2 commands were taken out\n" in said
    assert home.run("enqueue", "--lines", path, "--quiet").stderr == ""


def test_a_long_list_is_read_in_parts(home):
    path = written(home, "".join("echo %d\n" % number for number in range(20000)))
    assert home.run("enqueue", "--lines", path, "--json").json["enqueued"] == 20000
    assert commands(home)[::19999] == ["echo 0", "echo 19999"]


# ---------------------------------------------------------------- again


def lines(*jobs):
    return "\n".join(json.dumps(dict({"command": "true"}, **job)) for job in jobs)


def test_the_same_list_again_adds_what_is_missing_and_says_how_many_were_there(home):
    home.run("enqueue", lines({"id": "a"}, {"id": "b"}))
    assert home.run("enqueue", lines({"id": "a"}, {"id": "c"}), code=1).stdout == ""
    again = lines({"id": "b", "command": "other"}, {"id": "c"}, {}, {"id": "a"})
    said = home.run("enqueue", again, "--skip-existing", "--verbose")
    assert said.stdout.split()[:2] + said.stdout.split()[3:] == ["b", "c", "a"]
    assert said.stderr.splitlines() == [
        "job b is there already (pending, with another command): nothing was added",
        "job a is there already (pending): nothing was added",
        "enqueued 2 jobs; 2 were there already, 1 of them with another command, which stays as it is",
    ]
    assert commands(home) == ["true"] * 4
    found = home.run("enqueue", lines({"id": "c"}, {"id": "d"}), "--skip-existing", "--json").json
    assert found == {"enqueued": 1, "ids": ["c", "d"], "there": [], "existing": 1}


def test_one_job_that_is_there_is_told_of_and_nothing_changes(home):
    home.run("enqueue", lines({"id": "a", "tags": ["x"]}))
    before = rows(home.queue)
    said = home.run("enqueue", lines({"id": "a", "tags": ["y"]}), "--skip-existing")
    assert (said.stdout, said.stderr) == ("a\n", "enqueued 0 jobs; 1 was there already\n")
    assert rows(home.queue) == before


def test_an_id_that_comes_twice_in_one_list_is_refused_all_the_same(home):
    said = home.run("enqueue", lines({"id": "a"}, {"id": "a"}), "--skip-existing", code=1).stderr
    assert "line 2: id a comes twice" in said


def test_ids_and_keys_together_say_which_job_stands_for_each(home):
    list_of_them = lines({"id": "a", "unique": "k"}, {"unique": "k"}, {"id": "b", "unique": "m"})
    assert home.run("enqueue", list_of_them).stdout.split() == ["a", "a", "b"]
    assert home.run("enqueue", list_of_them, "--skip-existing").stdout.split() == ["a", "a", "b"]
    home.run("cancel", "a")
    said = home.run("enqueue", list_of_them, "--skip-existing")
    assert said.stdout.split() == ["a", "a", "b"], "the leader of the key is there, though it has ended"
    assert len(commands(home)) == 2


def test_a_thousand_of_which_some_are_there_are_counted_rightly(home):
    """So many that the trigger which counts is put aside."""
    half = [{"id": "j%d" % number} for number in range(0, 3000, 2)]
    home.run("enqueue", "-", input=lines(*half))
    whole = [{"id": "j%d" % number} for number in range(3000)]
    found = home.run("enqueue", "-", "--skip-existing", "--json", input=lines(*whole)).json
    assert (found["enqueued"], found["existing"]) == (1500, 1500)
    assert found["ids"] == [job["id"] for job in whole]
    assert total(home.queue) == 3000


def test_windows_keeps_no_carriage_return_at_the_end_of_a_line(home, monkeypatch):
    monkeypatch.setattr(system, "WINDOWS", True)
    path = written(home, "ver\r\n")
    from queuectl_lib.jobs import command_lines, sources

    with sources.open_source(None, path) as source:
        assert list(command_lines.read_jobs(source, {}, lambda *_: None)) == [(1, {"command": "ver"})]
