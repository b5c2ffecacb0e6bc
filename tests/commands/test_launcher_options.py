"""Launchers asked for by jobs, schedules and queues: taken as they are meant, refused where this host has none such."""

import json
import time

import pytest
from helpers.queue import claim

from queuectl_lib.jobs import launcher_words, launchers, policy

MINE = '{"mine": {"run": ["my-run"]}, "slurm": {}}'


@pytest.fixture
def home(near):
    near.run("config", "set", "launchers", MINE)
    return near


def refused(home, *words, code=2, input=None):
    said = home.run(*words, code=code, input=input).stderr
    assert said.count("\n") == 1
    assert home.run("list", "--json").json == []
    return said


def asked(home, identifier):
    job = home.job(identifier)
    return job["launcher"], job["launcher_args"]


# ---------------------------------------------------------------- jobs


@pytest.mark.parametrize("words", [["--launcher-args", "--mem=4G"], ["--launcher-args=--mem=4G"]])
def test_what_follows_launcher_args_is_no_option_of_ours(home, words):
    assert asked(home, home.run("add", "true", "--launcher", "slurm", *words).id) == ("slurm", ["--mem=4G"])


def test_words_are_those_of_a_shell_and_shown_as_one_would_type_them(home):
    job = home.run("add", "true", "--launcher", "slurm", "--launcher-args", "--mem=4G -c2 'a b' --help").id
    assert asked(home, job) == ("slurm", ["--mem=4G", "-c2", "a b", "--help"])
    shown = home.run("show", job).stdout
    assert "--mem=4G -c2 'a b' --help" in shown and "slurm" in shown


def test_a_launcher_that_is_not_there_is_refused_with_those_that_are(home):
    assert 'unknown launcher "slrum": did you mean slurm?' in refused(home, "add", "true", "--launcher", "slrum")
    assert "known: mine, slurm" in refused(home, "add", "true", "--launcher", "xxxxxx")
    home.run("config", "unset", "launchers")
    for name, made in (("mine", '{"slurm": {}}'), ("ssh", '{"ssh": {"values": {"host": "me@node1"}}}')):
        text = refused(home, "add", "true", "--launcher", name)
        assert "nor any other: `config set launchers '%s'` makes one" % made in text
    assert "no name of a launcher" in refused(home, "add", "true", "--launcher", "a b")


def test_none_is_a_launcher_that_is_always_there(home):
    assert asked(home, home.run("add", "true", "--launcher", "none").id) == ("none", None)


def test_args_without_a_launcher_are_refused_unless_queue_or_setting_have_one(home):
    words = ["add", "true", "--launcher-args", "-c2"]
    assert "name one, too (--launcher NAME)" in refused(home, *words)
    assert "no launcher" in refused(home, *words, "--launcher", "none")
    home.run("queue", "set", "far", "--launcher", "mine")
    assert "no launcher" in refused(home, *words)
    assert asked(home, home.run(*words, "--queue", "far").id) == (None, ["-c2"])
    home.run("config", "set", "launcher", "slurm")
    assert asked(home, home.run(*words).id) == (None, ["-c2"])


def test_bad_words_are_refused(home):
    words = ["add", "true", "--launcher", "mine", "--launcher-args"]
    assert "no closing quotation" in refused(home, *words, "'a")
    assert "longer than 65536" in refused(home, *words, "x" * 65536)


def test_a_script_by_its_first_line_cannot_go_there(home):
    assert "begins with #!" in refused(home, "add", "#!/bin/sh\ntrue", "--launcher", "mine")
    home.run("add", "#!/bin/sh\ntrue")


def test_in_json_the_refusal_names_the_line(home, tmp_path):
    file = tmp_path / "jobs"
    lines = [{"command": "true"}, {"command": "true", "launcher": "mine", "launcher_args": ["-c2"]}]
    file.write_text("\n".join(map(json.dumps, [*lines, {"command": "true", "launcher": "other"}])))
    said = refused(home, "enqueue", "--file", str(file))
    assert "line 3: launcher: unknown launcher" in said and "nothing was added" in said
    file.write_text('{"command": "true"}\n{"command": "true", "launcher_args": "-c2"}')
    assert "line 2: launcher_args: a list of words" in refused(home, "enqueue", "--file", str(file))
    file.write_text('{"command": "true", "launcher_args": ["-c2"]}')
    assert "line 1: launcher_args: the job has no launcher" in refused(home, "enqueue", "--file", str(file))
    home.run("enqueue", json.dumps(lines))


def test_options_of_other_programs_are_answered_with_launcher_args(home):
    assert "--launcher-args" in refused(home, "add", "true", "--mem", "4G")
    assert '--launcher-args "--partition=VALUE"' in refused(home, "add", "true", "--partition", "long")


def test_a_schedule_asks_as_its_jobs_do(home):
    words = ["schedule", "set", "each", "every 15m", "true", "--launcher"]
    assert 'unknown launcher "other"' in refused(home, *words, "other")
    home.run(*words, "slurm", "--launcher-args", "-c2")
    job = home.run("schedule", "show", "each", "--json").json["job"]
    assert (job["launcher"], job["launcher_args"]) == ("slurm", ["-c2"])
    made = home.run("schedule", "run", "each").id
    assert asked(home, made) == ("slurm", ["-c2"])


def test_plain_jobs_load_none_of_it():
    assert policy.of({}.get) is None
    assert policy.of({"launcher": "mine"}.get) == '{"launcher":"mine"}'
    assert launcher_words.check_args([], "launcher_args") is None
    assert launchers.NONE == "none"


# ---------------------------------------------------------------- edit


def test_edit_changes_both_and_keeps_all_other_rules(home):
    job = home.run("add", "true", "--nice", "5").id
    home.run("edit", job, "--launcher", "slurm", "--launcher-args", "-c2")
    assert asked(home, job) == ("slurm", ["-c2"]) and home.job(job)["nice"] == 5
    home.run("edit", job, "--launcher-args", "none")
    assert asked(home, job) == ("slurm", None) and home.job(job)["nice"] == 5
    assert 'unknown launcher "other"' in home.run("edit", job, "--launcher", "other", code=2).stderr
    home.run("edit", job, "--launcher", "none")
    assert "nothing is given to it" in home.run("edit", job, "--launcher-args", "-c2", code=1).stderr
    assert asked(home, job) == ("none", None)


def test_edit_gives_no_launcher_to_a_script_by_its_first_line(home):
    job = home.run("add", "#!/bin/sh\ntrue").id
    assert "begins with #!" in home.run("edit", job, "--launcher", "slurm", code=1).stderr
    assert asked(home, job) == (None, None)


# ---------------------------------------------------------------- queues


def of_queue(home, name):
    row = home.run("queue", "show", name, "--json").json
    return row["launcher"], row["launcher_args"]


def test_a_queue_has_a_launcher_and_what_is_given_to_it(home):
    home.run("queue", "set", "far", "--launcher", "slurm", "--launcher-args", "--mem=4G 'a b'")
    assert of_queue(home, "far") == ("slurm", ["--mem=4G", "a b"])
    assert "launcher slurm --mem=4G 'a b'" in home.run("queue", "list").stdout
    shown = home.run("queue", "show", "far").stdout
    assert "slurm" in shown and "--mem=4G" in shown
    home.run("queue", "set", "far", "--limit", "2")
    assert of_queue(home, "far") == ("slurm", ["--mem=4G", "a b"]), "what is not named stays"
    home.run("queue", "set", "far", "--launcher", "mine")
    assert of_queue(home, "far") == ("mine", []), "they were those of another one"
    home.run("queue", "set", "far", "--launcher-args", "-x")
    home.run("queue", "set", "far", "--launcher-args", "none")
    assert of_queue(home, "far") == ("mine", [])
    home.run("queue", "set", "far", "--launcher", "none")
    assert of_queue(home, "far") == (None, [])
    assert of_queue(home, "default") == (None, [])


def test_who_takes_a_launcher_away_is_told_who_needs_it(home):
    home.run("queue", "set", "far", "--launcher", "mine")
    home.run("add", "true", "--id", "j1", "--launcher", "slurm")
    assert [one.id for one in claim(home.queue, time.time())] == ["j1"]
    said = home.run("config", "set", "launchers", '{"mine": {"run": ["r"]}, "slurm": {"alive": ["mine"]}}').stderr
    assert "job j1 runs by the launcher slurm, which asks otherwise now" in said and said.count("\n") == 1
    said = home.run("config", "set", "launchers", '{"mine": {"run": ["other"]}}').stderr
    assert "job j1 runs by the launcher slurm" in said and "queue" not in said
    said = home.run("config", "unset", "launchers").stderr
    assert "job j1 runs by the launcher slurm" in said and "queue far names the launcher mine" in said


def test_a_queue_takes_only_launchers_that_are_there(home):
    home.run("initdb")
    assert 'unknown launcher "other"' in home.run("queue", "set", "far", "--launcher", "other", code=2).stderr
    assert "no launcher" in home.run("queue", "set", "far", "--launcher-args", "-c2", code=2).stderr
    assert [row["name"] for row in home.run("queue", "list", "--json").json] == ["default"], "nothing was made"
    home.run("config", "set", "launcher", "mine")
    home.run("queue", "set", "far", "--launcher-args", "-c2")
    assert of_queue(home, "far") == (None, ["-c2"])
    assert "launcher as set -c2" in home.run("queue", "list").stdout
