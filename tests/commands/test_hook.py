"""`hook`: what is set and how far it was told, tried and told by hand; its settings; the scripts of README."""

import json
import os
import re
import time

import pytest
from helpers import hooked
from helpers.bundle import ROOT
from helpers.home import contents
from helpers.marks import posix_only
from helpers.neighbours import needs_root
from helpers.queue import claim_one, enqueue, raw, settle

from queuectl_lib.store import hook_note

pytestmark = posix_only


@pytest.fixture
def home(near):
    return near


def die(home, identifier="bad", error="exit code 3"):
    """A job that is dead, without a supervisor that tells of it."""
    now = time.time()
    enqueue(home.queue, 0, now, id=identifier)
    assert settle(home.queue, claim_one(home.queue, now), "failed", now, error=error, exit_code=3)
    return identifier


# ---------------------------------------------------------------- looking, trying, telling


def test_where_none_is_set_it_says_how_to(home):
    assert "config set hook" in home.run("hook").stdout
    for option in ("--test", "--now"):
        assert "no hook is set" in home.run("hook", option, code=1).stderr
    assert home.run("hook", "--json").json["hook"] is None
    assert "contradict" in home.run("hook", "--test", "--now", code=2).stderr


def test_what_is_set_and_how_far_it_was_told(home):
    hooked.set_hook(home, ["sh", "-c", hooked.KEEPS], on="dead,completed", every="10s")
    assert "told of  dead, completed" in home.run("hook").stdout
    job = die(home)
    home.run("config", "set", "hook", "exit 1")
    home.run("hook", "--now", code=1)
    found = home.run("hook", "--json").json
    assert (found["told"], found["last"], found["tries"], found["why"]) == (0, 1, 1, "exit code 1")
    assert "fails    since" in home.run("hook").stdout and "hook --now` tries at once" in home.run("hook").stdout
    home.run("config", "set", "hook", hooked.KEEPS)
    assert "hook: told, events: 1" in home.run("hook", "--now").stderr
    assert hooked.ids(home) == [job]
    found = home.run("hook", "--json").json
    assert (found["told"], found["failing_since"], found["tries"]) == (1, None, 0)
    assert "there is nothing to tell" in home.run("hook", "--now").stderr


def test_a_made_up_event_is_sent_and_nothing_is_noted(home):
    hooked.set_hook(home)
    before = home.run("hook", "--json").json
    said = home.run("hook", "--test").stdout
    assert re.match(r"the hook: exit code 0, after \d+\.\d s\n\Z", said)
    assert hooked.batches(home) == ["test 1"] and hooked.told(home)[0]["text"] == "this is a test of the hook"
    assert home.run("hook", "--json").json == before
    home.run("config", "set", "hook", "printf 'one\\n\\033[31mtwo\\n'; exit 9")
    assert home.run("hook", "--test", code=1).stdout.splitlines()[1:] == ["  one", "  \\x1b[31mtwo"]
    home.run("config", "set", "hook", '["./none.sh"]')
    assert "the program ./none.sh does not exist" in home.run("hook", "--test", code=1).stdout


def test_what_is_too_old_is_told_as_a_summary(home):
    hooked.set_hook(home)
    die(home)
    with raw(home.queue) as connection:
        connection.execute("UPDATE attempts SET finished_at = '2026-01-01T00:00:00.000000Z'")
    home.run("hook", "--now")
    assert hooked.batches(home) == ["dead 1"] and hooked.told(home)[0]["counts"] == {"dead": 1}


def test_without_a_database_it_looks_and_tells_nothing(home):
    home.run("config", "set", "hook", "true")
    assert "nobody listens yet" in home.run("hook").stdout
    assert "no database yet" in home.run("hook", "--now").stderr
    home.run("hook", "--test")
    assert os.listdir(home.path) == ["config.json"]


def test_another_who_tells_it_is_not_waited_for(home):
    hooked.set_hook(home)
    die(home)
    fd = hook_note.try_lock(home.queue.folder)
    try:
        assert "another process tells it now" in home.run("hook", "--now").stderr
    finally:
        os.close(fd)
    assert hooked.told(home) == []


@needs_root
def test_root_runs_the_hook_of_nobody_else(home):
    home.run("config", "set", "hook", "id -u > who")
    os.chown(home.path, 12345, 12345)
    for name in os.listdir(home.path):
        os.chown(os.path.join(home.path, name), 12345, 12345)
    assert "sudo -u" in home.run("hook", "--test", code=3).stderr
    os.chown(home.path, 0, 0)
    assert not os.path.exists(os.path.join(home.path, "who"))


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("hook_on", "daed", '"daed" is none of dead, stuck'),
        ("hook_on", "dead,,", "is none of"),
        ("hook", "[1]", "1 is not text"),
        ("hook", '["a"', "not a JSON list"),
        ("hook", "[]", "hook is empty"),
        ("hook", " ", "hook is empty"),
        ("hook", "x" * 9000, "longer than 8192 bytes"),
        ("hook_every", "often", "often"),
        ("hook_max_age", "-1", "-1"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(home, key, value, words):
    assert words in home.run("config", "set", key, value, code=2).stderr
    assert not os.path.exists(os.path.join(home.path, "config.json"))


@pytest.mark.parametrize(
    "text", ['{"hook": 3}', '{"hook": ["a\\u0000"]}', '{"hook_on": "dead"}', '{"hook_on": [["dead"]]}']
)
def test_a_file_that_holds_what_cannot_be_meant_is_refused(home, text):
    with open(os.path.join(home.path, "config.json"), "w") as file:
        file.write(text)
    assert "config.json: hook" in home.run("hook", code=3).stderr


def test_what_a_job_asks_for_is_checked_and_shown(home):
    assert '"stuck" is none of dead, failed' in home.run("add", "true", "--notify", "stuck", code=2).stderr
    said = home.run("add", "true", "--notify", "running-long,completed", "--notify", "dead")
    job = said.id
    assert "no hook is set, so nobody is told of it" in said.stderr
    home.run("config", "set", "hook", "true")
    assert home.run("add", "true", "--notify", "dead").stderr == ""
    assert home.job(job)["notify"] == ["dead", "running_long", "completed"]
    assert "dead,running_long,completed" in home.run("show", job).stdout
    home.run("enqueue", json.dumps({"command": "true", "id": "one", "notify": ["failed"]}))
    assert home.job("one")["notify"] == ["failed"]
    assert home.job(home.add("true", "--notify", "none"))["notify"] is None


def test_a_setting_is_shown_as_it_is_typed(home):
    home.run("config", "set", "hook", '["./mail.sh", "a b"]')
    home.run("config", "set", "hook_on", "completed,dead")
    said = home.run("config", "get").stdout
    assert 'hook           = ["./mail.sh", "a b"]\n' in said and "hook_on        = dead,completed\n" in said
    home.run("config", "set", "hook", "none")
    home.run("config", "set", "hook_on", "none")
    said = home.run("config", "get").stdout
    assert "hook           = none\n" in said and "hook_on        = none\n" in said


# ---------------------------------------------------------------- the scripts

SCRIPTS = re.findall(r"```sh\n(#!/bin/sh\n# (\w+\.sh): .*?)```", contents(os.path.join(ROOT, "README.md")), re.S)
STAND_IN = '#!/bin/sh\nprintf "%%s\\n" "$@" > %(home)s/words\ncat > %(home)s/body\nexit $(cat %(home)s/code)\n'


@pytest.mark.parametrize("name, program", [("mail.sh", "sendmail"), ("webhook.sh", "curl"), ("ping.sh", "curl")])
def test_a_script_hands_on_what_it_is_told_and_how_that_went(home, tmp_path, name, program):
    """With a stand-in for the program that it calls, found on PATH before the real one."""
    tools = tmp_path / "tools"
    tools.mkdir()
    script = next(text for text, found in SCRIPTS if found == name)
    for path, text in ((str(tools / program), STAND_IN % {"home": home.path}), (home.path + "/" + name, script)):
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o700)
    path = {"PATH": "%s%s%s" % (tools, os.pathsep, os.environ["PATH"])}
    hooked.set_hook(home, ["./" + name])
    job = die(home, error="Bcc: all@example.org $(touch pwned) \x1b[31m")
    for code, said in ((75, "exit code 75"), (0, "told, events: 1")):
        with open(home.path + "/code", "w") as file:
            file.write(str(code))
        assert said in home.run("hook", "--now", env=path, code=int(code > 0)).stderr
    body, words = contents(home.path + "/body"), contents(home.path + "/words").splitlines()
    assert job in body and "pwned" not in " ".join(words) and not os.path.exists(home.path + "/pwned")
    if program == "sendmail":
        head, _, text = body.partition("\n\n")
        assert words == ["-t", "-oi"]
        assert [line.partition(":")[0] for line in head.splitlines()] == ["To", "Subject", "Content-Type"]
        assert re.search(r"Subject: \[queuectl\] dead \(1\) on \S+", head)
        assert text == "job %s is dead: exit 3: Bcc: all@example.org $(touch pwned) \\x1b[31m\n" % job
    else:
        assert words[words.index("--max-time") + 1] == "10" and words[words.index("--retry") + 1] == "2"
        assert json.loads(body)["id"] == job
        assert words[-1].startswith("https://") and words[-1].endswith("/fail") == (name == "ping.sh")
