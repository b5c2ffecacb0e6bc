"""The settings launchers and launcher: taken as JSON, and never at odds with each other."""

import json
import os

import pytest

MINE = '{"mine": {"run": ["my-run", "{args}"]}, "slurm": {}}'


@pytest.fixture
def home(near):
    return near


def config_of(home):
    with open(os.path.join(home.path, "config.json"), encoding="utf-8") as file:
        return json.load(file)


def refused(home, *words, code=2):
    try:
        before = config_of(home)
    except OSError:
        before = None
    text = home.run(*words, code=code).stderr
    assert text.count("\n") == 1 and "Traceback" not in text
    if before is not None:
        assert config_of(home) == before
    return text


def test_launchers_are_set_as_json_and_shown_as_json(home):
    home.run("config", "set", "launchers", MINE)
    assert config_of(home)["launchers"] == json.loads(MINE)
    assert json.loads(home.run("config", "get", "launchers").stdout) == json.loads(MINE)
    home.run("config", "set", "launcher", "slurm")
    assert home.run("config", "get", "launcher").stdout == "slurm\n"
    home.run("config", "set", "launcher", "none")
    home.run("config", "set", "launchers", "none")
    assert home.run("config", "get", "launchers").stdout == "{}\n"


def test_text_that_is_no_json_is_refused_with_its_place(home):
    assert "line 1, column 2" in refused(home, "config", "set", "launchers", "{slurm}")
    assert "comes twice" in refused(home, "config", "set", "launchers", '{"slurm": {}, "slurm": {}}')
    assert "{hots} is no placeholder" in refused(home, "config", "set", "launchers", '{"x": {"run": ["a{hots}"]}}')


def test_the_launcher_of_all_jobs_is_one_that_is_there(home):
    assert "nor any other" in refused(home, "config", "set", "launcher", "slurm")
    home.run("config", "set", "launchers", MINE)
    assert "did you mean slurm" in refused(home, "config", "set", "launcher", "slrum")
    home.run("config", "set", "launcher", "mine")
    assert 'launcher "mine"' in refused(home, "config", "set", "launchers", '{"slurm": {}}')
    assert "mine" in refused(home, "config", "unset", "launchers")
    home.run("config", "unset", "launcher")
    home.run("config", "unset", "launchers")
    assert config_of(home) == {}


def test_a_file_that_names_one_that_is_not_there_is_told_of(home):
    with open(os.path.join(home.path, "config.json"), "w", encoding="utf-8") as file:
        file.write('{"launcher": "mine", "launchers": {"slurm": {}}}')
    assert 'unknown launcher "mine"' in refused(home, "list", code=3)
    home.run("config", "unset", "launcher")
    home.run("list")


def test_a_broken_launcher_can_be_taken_out_again(home):
    with open(os.path.join(home.path, "config.json"), "w", encoding="utf-8") as file:
        file.write('{"launchers": {"slurm": 1}}')
    assert "launchers: slurm: an object" in refused(home, "list", code=3)
    home.run("config", "unset", "launchers")
    assert config_of(home) == {}
