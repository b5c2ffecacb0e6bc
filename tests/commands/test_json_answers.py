"""What a program is told by commands that people need no answer of."""

import json
import subprocess

import pytest
from helpers.waiting import wait_until


def test_a_job_that_was_there_by_its_key_was_not_added(near):
    first = near.run("add", "true", "--unique", "k", "--json").json
    second = near.run("add", "true", "--unique", "k", "--json")
    assert (first["added"], second.json["added"]) == (True, False)
    assert second.json["id"] == first["id"]
    assert second.stderr == ""


def test_another_command_under_the_same_key_is_told_unasked(near):
    identifier = near.add("echo one", "--unique", "k")
    said = "job %s with the key \"k\" is pending: nothing was added" % identifier
    more = '; its command is another one: "echo one"\n'
    assert near.run("add", "echo two", "--unique", "k").stderr == said + more
    assert near.run("add", "echo two", "--unique", "k", "--json").stderr == said + more
    assert near.run("add", "echo two", "--unique", "k", "--quiet").stderr == ""
    assert near.run("add", "echo one", "--unique", "k").stderr == ""
    assert near.run("add", "--unique", "k", "--", "echo", "one").stderr == "", "it is typed alike"
    assert near.run("add", "echo one", "--unique", "k", "--verbose").stderr == said + "\n"


def test_enqueue_tells_which_were_there(near):
    identifier = near.add("true", "--unique", "k")
    text = '[{"command": "true", "unique": "k"}, {"command": "true", "id": "b"}]'
    assert near.run("enqueue", text, "--json").json == {"enqueued": 1, "ids": [identifier, "b"], "there": [identifier]}


def test_what_changes_jobs_tells_how_many_and_of_named_ones_which(near):
    for name in "abc":
        near.add("true", "--id", name, "--tag", name)
    assert near.run("hold", "a", "b", "--json").json == {"held": 2, "ids": ["a", "b"]}
    assert near.run("release", "--tag", "a", "--json").json == {"released": 1, "ids": None}
    assert near.run("cancel", "a", "--json").json == {"cancelled": 1, "ids": ["a"]}
    done = near.run("cancel", "--state", "pending", "--json")
    assert (done.json, done.stderr) == ({"cancelled": 2, "ids": None}, "")
    kept = {"left": 0, "left_cancelled": []}
    assert near.run("requeue", "a", "--json").json == dict(kept, requeued=1, ids=["a"])
    assert near.run("prune", "b", "--json").json == {"deleted": 1, "ids": ["b"]}
    assert near.run("prune", "--json").json == {"deleted": 1, "ids": None}


def test_where_none_was_meant_and_that_is_fine_a_program_gets_a_value_all_the_same(near):
    near.add("true")
    none = ["--tag", "none", "--quiet", "--json"]
    assert near.run("cancel", *none).json == {"cancelled": 0, "ids": None}
    assert near.run("edit", *none, "--priority", "1", code=2).stderr  # which has a --tag of its own
    assert near.run("edit", "--tagged", "none", "--quiet", "--json", "--priority", "1").json == []
    assert near.run("cancel", *none, "--dry-run").json == []
    assert near.run("rerun", *none).json == {"enqueued": 0, "ids": [], "there": []}


@pytest.mark.parametrize("words", [["--exit-code"], ["--lines", "3"]])
def test_logs_refuses_what_json_would_not_heed(near, words):
    near.run("add", "true", "--id", "a")
    assert "--json and %s contradict" % words[0] in near.run("logs", "a", "--json", *words, code=2).stderr


def test_a_supervisor_in_the_foreground_tells_who_it_is_while_it_runs(home):
    words = home.command("worker", "start", "--json")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment())
    home.started.append(process)
    lines = []
    while not lines or lines[-1] != b"}":
        lines.append(process.stdout.readline().rstrip())
    told = json.loads(b"".join(lines))
    assert told == {"started": True, "supervisor": told["supervisor"], "pid": process.pid, "jobs": 1, "log": None}
    assert home.run("worker", "start", "--ensure", "--json").json["started"] is False
    stopped = home.run("worker", "stop", "--json").json
    assert stopped == {"stopped": [told["supervisor"]], "ended": True, "left_running": 0}
    wait_until(lambda: process.poll() is not None, "the supervisor to end")
    assert process.communicate()[0] == b"", "one value"


def test_a_supervisor_in_the_background_tells_its_log(home):
    told = home.run("worker", "start", "--background", "--json").json
    assert told["pid"] in [member["pid"] for member in home.run("worker", "list", "--json").json]
    assert told["log"] == home.db + ".d/worker.log"
    home.run("worker", "stop")
