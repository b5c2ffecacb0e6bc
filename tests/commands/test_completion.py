"""`completion`: scripts that hold all that there is, in bash what they propose; and the ids, asked for when wanted."""

import os
import re
import shutil
import subprocess
import time

import pytest
from helpers import shells
from helpers.marks import posix_only
from helpers.queue import NOW, claim, enqueue, raw, settle

import queuectl
from queuectl_lib.commands import COMMANDS, anatomy, completion, completion_others, frame, helping
from queuectl_lib.store import newest_ids

needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="bash")


# ---------------------------------------------------------------- what every script holds


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_each_option_of_each_command_is_in_the_script(shell):
    text = completion.script(shell, "queuectl", ["python3", "/queuectl.py"])
    for name in COMMANDS:
        found = re.search(r"^ *\(?(?:case )?'%s'.*\n.*" % name, text, re.M)
        assert found, name
        for names, details in frame.load(name).arguments:
            for flag in names:
                if flag.startswith("-") and details.get("help") != frame.HIDDEN:
                    assert re.search(r"(?<![\w-])%s(?![\w-])" % flag, found.group(0)), (name, flag)
        taken = frame.load(name).arguments
        hidden = [flag for names, details in taken if details.get("help") == frame.HIDDEN for flag in names]
        own = next(text for text in (found.group(0).split("\n")[0], found.group(0)) if "--help" in text)
        assert [flag for flag in hidden if re.search(r"(?<![\w-])%s(?![\w-])" % flag, own)] == []
    assert " _ids " in text and not re.search("@[A-Z]+@", text)


def test_what_a_value_can_be_is_known():
    shapes = {shape.name: shape for shape in anatomy.shapes()}
    kinds = {one.name: one.kind for shape in shapes.values() for one in shape.options + shape.words}
    kinds["--after"] = next(one.kind for one in shapes["add"].options if one.name == "--after")
    assert {name: kinds[name] for name in ("--home", "--cwd", "--file", "--shell", "--state", "ids", "--after")} == {
        "--home": "folder",
        "--cwd": "folder",
        "--file": "file",
        "--shell": "file",
        "--state": "some",
        "ids": "id",
        "--after": "ids",
    }
    (key,) = shapes["config unset"].words
    assert (key.kind, key.choices[:2]) == ("one", ["max_retries", "backoff_base"])
    assert [one.kind for one in shapes["completion"].words] == ["one"]
    assert set(anatomy.STATES_OF) <= set(COMMANDS)


def test_facts_and_help_say_the_same():
    """The one is read from the actions of the parser, the other from the table that they are made of."""
    for name in COMMANDS:
        words, options = helping.arguments(frame.load(name))
        shape = anatomy.Shape(name)
        assert [text for _, text in words] == [one.text for one in shape.words]
        own = {", ".join(one.flags) + (" " + one.value if one.value else ""): one.text for one in shape.own}
        assert own == dict(options[: -len(helping.COMMON) - 2])


@pytest.mark.parametrize("name", ["", "a b", "$x", "-x", "x;y", "é", "1x", "x" * 65])
def test_a_name_that_is_none_of_a_function_is_refused(near, name):
    assert "--name: " in near.run("completion", "bash", "--name=" + name, code=2).stderr


def test_without_a_shell_it_says_which_there_are(near):
    assert "`completion bash`, `completion zsh`" in near.run("completion", code=2).stderr
    assert "invalid choice" in near.run("completion", "csh", code=2).stderr
    assert near.run("completion", "bash", "--name", "q").stdout.count("complete -F _q_complete q\n") == 1
    assert not os.path.exists(near.db)


@pytest.mark.parametrize(
    "word, fish, powershell",
    [
        ("a b", "'a b'", "'a b'"),
        ("it's", r"'it\'s'", "'it''s'"),
        ("\\'$x\n", "'\\\\\\'$x\n'", "'\\''$x\n'"),
        ("\u2019", "'\u2019'", "'\u2019\u2019'"),
    ],
)
def test_words_are_quoted_for_fish_and_powershell(word, fish, powershell):
    assert (completion_others.fish_word(word), completion_others.powershell_word(word)) == (fish, powershell)


# ---------------------------------------------------------------- in bash


@needs_bash
@posix_only
def test_bash_proposes_what_fits(tmp_path):
    folder = shells.installed(tmp_path)
    home = str(tmp_path / "home")
    os.mkdir(home, 0o700)
    for identifier in ("job-1", "job-2", "a:b", "other"):
        assert queuectl.main(["--home", home, "add", "--quiet", "true", "--id", identifier]) == 0
    assert queuectl.main(["--home", home, "cancel", "--quiet", "job-2"]) == 0
    path = shells.script(folder, "bash", "--home", home)
    rows = {
        "queuectl ca": "cancel",
        "queuectl queue s": "set show",
        "queuectl worker st": "start stop",
        "queuectl cancel job": "job-1",
        "queuectl requeue ": "job-2",
        "queuectl show job-": "job-2 job-1",
        "queuectl show a:": "b",
        "queuectl add --after job-1,ot": "job-1,other",
        "queuectl cancel --quie": "--quiet",
        "queuectl list --state pend": "pending",
        "queuectl list --state=dead,p": "dead,pending dead,processing",
        "queuectl prune --state c": "completed cancelled",
        "queuectl config set max_r": "max_retries",
        "queuectl config set max_retries ": "",
        "queuectl completion f": "fish",
        "queuectl schedule set x y --missed ": "once skip all",
        "queuectl --home /nowhere cancel ": "",
        "queuectl --home %s/nowhere cancel " % home: "",
        "queuectl add -- queuect": "queuectl",
        "queuectl results -o %s/hom" % tmp_path: home,
        "queuectl nosuch ": "",
    }
    found = shells.proposed("bash", path, list(rows))
    assert dict(zip(rows, map(" ".join, found))) == rows
    assert not os.path.exists(home + "/nowhere")


@needs_bash
@posix_only
def test_the_function_calls_this_very_file_wherever_it_lies(tmp_path):
    path = shells.script(shells.installed(tmp_path, shells.AWKWARD), "bash", "--name", "q-ctl")
    command = ["bash", "--norc", "-c", 'source "$1"; q-ctl add "a  b"; q-ctl list --json; complete -p q-ctl', "-"]
    done = subprocess.run([*command, path], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.stderr == b"" and b'"command": "a  b"' in done.stdout
    assert done.stdout.endswith(b"complete -F _q_ctl_complete q-ctl\n")


# ---------------------------------------------------------------- the ids


def test_the_newest_ids_that_fit_come_and_not_too_many(near):
    near.run("initdb")
    for number in range(newest_ids.MOST + 30):
        enqueue(near.queue, id="n%03d" % number)
    for held in claim(near.queue, NOW, 10):
        settle(near.queue, held, "completed")
    found = near.run("_ids", "", "all").stdout.split()
    assert found == ["n%03d" % number for number in range(newest_ids.MOST + 29, 29, -1)]
    assert near.run("_ids", "n00", "all").stdout.split() == ["n%03d" % number for number in range(9, -1, -1)]
    assert near.run("_ids", "", "completed,dead").stdout.split()[0] == "n009"
    assert near.run("_ids", "n00", "pending,failed").stdout == ""
    assert len(near.run("_ids", "n1", "pending").stdout.split()) == 100
    assert near.run("_ids", "x';--", "all").stdout == "" and near.run("_ids").stdout.count("\n") == newest_ids.MOST


def test_where_there_is_no_queue_nothing_is_said_or_made(near):
    done = near.run("_ids", "", "all", code=1)
    assert (done.stdout, done.stderr) == ("", "") and os.listdir(near.path) == []


def test_what_is_no_id_is_never_proposed(near):
    near.add("true", "--id", "fine")
    with raw(near.queue) as connection:
        for place, bad in enumerate(["$(rm -rf x)", "a b", b"\xff", "x\ny", "\x1b[2J", 5.5]):
            enqueue(near.queue, id="bad%d" % place)
            connection.execute("UPDATE jobs SET id = ? WHERE id = ?", (bad, "bad%d" % place))
    assert near.run("_ids", "", "all").stdout.split() in (["fine"], ["5.5", "fine"])
    assert near.run("_ids", "", "pending").stdout.split() in (["fine"], ["5.5", "fine"])


def test_people_are_not_told_of_the_callback(near):
    assert "_ids" not in near.run("--help").stdout + near.run("completion", "--help").stdout
    assert "_ids" not in near.run("_id", code=2).stderr


def test_ids_of_many_jobs_come_at_once(near):
    near.run("initdb")
    enqueue(near.queue, id="first")
    with raw(near.queue) as connection:
        columns = [row["name"] for row in connection.execute("PRAGMA table_info(jobs)")]
        names = ", ".join(name for name in columns if name not in ("seq", "id"))
        more = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)"
        connection.execute("%s INSERT INTO jobs (id, %s) SELECT 'm' || i, %s FROM n, jobs" % (more, names, names))
    began = time.monotonic()
    assert near.run("_ids", "", "dead,failed").stdout == ""
    assert len(near.run("_ids", "m5", "pending").stdout.split()) == newest_ids.MOST
    assert time.monotonic() - began < 5, "60,000 jobs: some hundredths of a second each"
