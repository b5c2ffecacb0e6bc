"""Selectors: the same words mean the same jobs whatever is done with them; what is said, and how it ends."""

import json
import os
import subprocess
import sys
import time

import pytest
from helpers.bundle import ROOT
from helpers.home import Home, contents
from helpers.marks import posix_only
from helpers.queue import claim, raw, settle
from helpers.waiting import wait_until

from queuectl_lib.jobs import states


@pytest.fixture
def home(near):
    return near

# Words that say which jobs, and which of the jobs below they mean.
UNNAMED = "queuectl: error: name jobs, or --tag, --group ..., or --all: `list` shows their ids\n"
JOBS = [
    {"id": "a", "command": "true", "tags": ["x", "y"]},
    {"id": "b", "command": "exit 1", "tags": ["x"]},
    {"id": "c", "command": "echo Hello", "tags": ["y"]},
    {"id": "d", "command": ["printf", "hello there"]},
]
SELECTED = [
    (["--tag", "x"], "a b"),
    (["--tag", "x", "--tag", "y"], "a"),
    (["--tag", "z"], ""),
    (["--match", "HELLO"], "c d"),
    (["--match", "hello", "--tag", "y"], "c"),
    (["--last", "1"], "d"),
    (["--last", "3", "--tag", "y"], "a c"),
    (["--last", "1", "--tag", "x"], "b"),
    (["--queue", "default"], "a b c d"),
    (["--queue", "default,default", "--last", "2"], "c d"),
    (["--state", "dead,cancelled", "--tag", "x"], ""),
    (["--state", "pending", "--tag", "x"], "a b"),
    (["--since", "1h"], "a b c d"),
    (["--until", "1h"], ""),
    (["--since", "2020-01-01", "--until", "2039-01-01T00:00:00Z"], "a b c d"),
    (["--since", "2039-01-01"], ""),
    (["--schedule", "a"], ""),
    (["b", "a"], "a b"),
    (["b", "c", "a", "--tag", "y"], "a c"),
    (["--all"], "a b c d"),
]


@pytest.fixture
def four(call):
    call("enqueue", json.dumps(JOBS), "--quiet")
    return call


def ids_of(text):
    return [job["id"] for job in json.loads(text)]


def listed(call, *words):
    return ids_of(call("list", "--json", *words).stdout)


@pytest.mark.parametrize("words, meant", SELECTED, ids=str)
def test_the_same_words_mean_the_same_jobs_to_each_command(four, words, meant):
    meant = meant.split()
    assert listed(four, *words) == meant
    table = [line.split()[0] for line in four("list", *words).stdout.splitlines()[1:]]
    assert table == meant
    expected = meant if words[0] != "b" or len(words) > 2 else ["b", "a"]  # as they were given
    if meant:
        shown = json.loads(four("show", "--json", *words).stdout)
        assert [job["id"] for job in shown] == expected
        assert four("cancel", "--dry-run", *words).stdout.splitlines() == four("list", *words).stdout.splitlines()
        assert {job["state"] for job in json.loads(four("list", "--json").stdout)} == {"pending"}, "nothing was changed"
        done = four("cancel", *words)
        assert done.stderr == (
            "" if expected != meant else "cancelled %d job%s\n" % (len(meant), "s"[: len(meant) > 1])
        )
    else:
        assert four("show", *words, code=1).stderr == "queuectl: error: no job matches\n"
        assert "no job matches: nothing was cancelled" in four("cancel", *words, code=1).stderr
        assert "no job matches: nothing was cancelled" in four("cancel", "--dry-run", *words, code=1).stderr
        assert four("cancel", "--quiet", *words).stderr == ""
        assert four("list", *words).stdout == ""
    assert listed(four, "--state", "cancelled") == sorted(meant)


def test_what_changes_jobs_does_nothing_when_nothing_is_named(four):
    for verb in (["cancel"], ["requeue"], ["dlq", "retry"]):
        assert four(*verb, code=2).stderr == UNNAMED


@pytest.mark.parametrize("other", [["a"], ["--tag", "x"], ["--queue", "default"], ["--last", "2"], ["--since", "1h"]])
def test_all_stands_alone(four, other):
    for verb in ("cancel", "requeue", "hold", "release", "list", "wait", "prune"):
        said = four(verb, *other, "--all", code=2).stderr
        assert said.startswith("queuectl: error: --all and ") and "contradict each other" in said
    assert listed(four, "--state", "pending") == ["a", "b", "c", "d"] and held(four) == []


def test_a_range_or_a_word_is_an_id_like_any_other(call):
    words = ["a..b", "1-3", "all", "last"]
    for word in words + ["a", "b", "2"]:
        call("add", "true", "--id", word)
    for word in words:
        call("cancel", word)
        assert listed(call, word) == [word]
    assert listed(call, "--state", "pending") == ["a", "b", "2"]


def test_a_selector_takes_what_fits_the_verb_and_ids_are_all_or_none(four):
    four("cancel", "a", "c")
    assert "job c is cancelled already: nothing was cancelled" in four("cancel", "b", "c", code=1).stderr
    assert four("cancel", "--tag", "x").stderr == "cancelled 1 job\n"
    assert four("cancel", "--tag", "x", code=1).stderr == "queuectl: error: no job matches: nothing was cancelled\n"
    assert four("requeue", "--tag", "y").stderr == "requeued 2 jobs\n"
    assert listed(four, "--state", "pending") == ["a", "c", "d"]
    assert four("requeue", "b", "d", code=1).stderr.startswith("queuectl: error: job d is pending")
    assert four("cancel", "a", "b", "--state", "pending").stderr == "cancelled 1 job\n", "ids beside a condition"


def test_the_newest_are_chosen_before_what_fits_of_them(four):
    """Whoever takes out what he has added last does not hit the job before it."""
    four("cancel", "d")
    assert "no job matches" in four("cancel", "--last", "1", code=1).stderr
    assert four("cancel", "--last", "2").stderr == "cancelled 1 job\n"
    assert listed(four, "--state", "pending") == ["a", "b"]


def test_quiet_is_quiet_and_an_unknown_id_still_a_failure(four):
    assert four("cancel", "--quiet", "--tag", "x").stderr == ""
    assert four("requeue", "--quiet", "--tag", "none").stderr == ""
    assert 'no job has the id "none"' in four("cancel", "--quiet", "none", code=1).stderr


def test_a_beginning_of_an_id_will_do(call):
    first = call("add", "true").id
    other = call("add", "true").id
    common = os.path.commonprefix([first, other])
    assert json.loads(call("show", first[: len(common) + 1], "--json").stdout)["id"] == first
    said = call("cancel", common, code=1).stderr
    assert said == "queuectl: error: more than one id begins with %s: %s, %s\n" % (common, first, other)
    call("cancel", other[: len(common) + 1], other)
    assert [job["state"] for job in json.loads(call("list", "--json").stdout)] == ["pending", "cancelled"]
    call("add", "true", "--id", common)
    assert json.loads(call("show", common, "--json").stdout)["id"] == common


# ---------------------------------------------------------------- the dead, and what is finished


@pytest.fixture
def ended(home, four):
    """Of the four jobs a is completed, b dead, c cancelled, d waits."""
    four("cancel", "c")
    held = claim(home.queue, time.time(), 2)
    settle(home.queue, held[0], "completed", time.time() - 10)
    held[1].max_retries = 0
    settle(home.queue, held[1], "failed", time.time() - 10)
    assert [job["state"] for job in json.loads(four("list", "--json").stdout)] == [
        *("completed", "dead", "cancelled", "pending")
    ]
    return four


def test_the_dlq_is_a_condition_of_its_own(ended):
    assert ids_of(ended("dlq", "list", "--json", "--last", "1").stdout) == ["b"]
    assert ids_of(ended("dlq", "list", "--json", "--tag", "y").stdout) == []
    assert "no job matches" in ended("dlq", "retry", "--tag", "y", code=1).stderr
    assert ended("dlq", "retry", "--last", "1", "--dry-run").stderr == "1 job would be requeued\n"
    assert ended("dlq", "retry", "--last", "1").stderr == "requeued 1 job\n"
    assert ended("dlq", "retry", "--all").stderr == "requeued 0 jobs\n", "as ever"


def test_a_purge_takes_what_is_selected(ended):
    assert "nothing was deleted" in ended("dlq", "purge", "--tag", "y", code=1).stderr
    assert ended("dlq", "purge", "--tag", "x", "--dry-run", "--json").stdout.count("\n") == 3
    assert json.loads(ended("dlq", "purge", "--tag", "x", "--json").stdout)["deleted"] == 1
    assert ended("dlq", "purge").stderr == "deleted 0 jobs\n", "as ever"
    assert listed(ended) == ["a", "c", "d"]


def test_a_prune_takes_what_is_selected_and_is_finished(ended):
    assert ended("prune", "--dry-run").stderr == "2 jobs would be deleted\n"
    assert "no job matches" in ended("prune", "--tag", "y", "--older-than", "1h", code=1).stderr
    assert ended("prune", "--older-than", "1h").stderr == "deleted 0 jobs that ended more than 1h ago\n"
    assert ended("prune", "--tag", "x").stderr == "deleted 1 job\n"
    assert "job d is pending, not cancelled or completed" in ended("prune", "c", "d", code=1).stderr
    assert ended("prune", "c").stderr == "deleted 1 job\n"
    assert ended("prune", "--state", "dead", "b").stderr == "deleted 1 job\n"
    assert json.loads(ended("prune", "--match", "none", "--quiet", "--json").stdout)["deleted"] == 0
    assert listed(ended) == ["d"]


def test_a_key_that_is_held_leaves_the_others(home, call):
    for name in ("a", "b", "c"):
        call("add", "true", "--id", name, "--unique", "c" if name == "c" else "k")
        call("cancel", name)
    assert call("requeue", "--all").stderr == (
        "requeued 2 jobs\nleft 1 job: another job with the same key waits or runs\n"
    )
    assert listed(call, "--state", "pending") == ["a", "c"]


def test_what_the_database_refuses_is_told_with_what_was_done(home, four):
    with raw(home.queue) as connection:
        connection.execute(
            "CREATE TRIGGER k BEFORE UPDATE ON jobs WHEN OLD.id = 'b' BEGIN SELECT RAISE(ABORT, 'kept'); END"
        )
    said = four("cancel", "--all", code=3).stderr
    assert "cancelled 3 jobs; left 1 job, which %s refuses to change (b: kept)" % home.db in said


# ---------------------------------------------------------------- held, released, changed


def held(call):
    return [job["id"] for job in json.loads(call("list", "--json").stdout) if job["hold"]]


def test_hold_and_release_take_what_is_selected_and_fits(four):
    assert four("hold", code=2).stderr == four("release", code=2).stderr == UNNAMED
    four("cancel", "d")
    assert four("hold", "--tag", "x", "--dry-run").stderr == "2 jobs would be held\n"
    assert held(four) == []
    assert four("hold", "--tag", "x").stderr == "held 2 jobs\n"
    assert held(four) == ["a", "b"]
    assert "no job matches: nothing was held" in four("hold", "--tag", "x", code=1).stderr, "they are held already"
    assert four("hold", "--all").stderr == "held 1 job\n"
    assert "no job matches: nothing was held" in four("hold", "--last", "1", code=1).stderr
    assert four("release", "--match", "true").stderr == "released 1 job\n"
    assert four("release", "--all", "--quiet").stderr == four("release", "--all", "--quiet").stderr == ""
    assert held(four) == []


def test_of_many_with_a_lock_that_are_held_another_is_next(home, call):
    for name in ("a", "b", "c"):
        call("add", "true", "--id", name, "--lock", "k", *(["--tag", "t"] if name != "c" else []))
    first = claim(home.queue, time.time(), 3)
    assert [one.id for one in first] == ["a"], "the others are parked"
    settle(home.queue, first[0], "completed", time.time())
    assert call("hold", "--tag", "t").stderr == "held 1 job\n"
    assert [one.id for one in claim(home.queue, time.time(), 3)] == ["c"]


def test_an_edit_takes_what_is_selected(four):
    assert "name jobs, or --tagged TAG, --in-queue Q" in four("edit", "--priority", "3", code=2).stderr
    assert four("edit", "--tagged", "x", "--priority", "3", "--dry-run").stderr == "2 jobs would be changed\n"
    assert four("edit", "--tagged", "x", "--priority", "3").stderr == "changed 2 jobs\n"
    jobs = json.loads(four("edit", "--match", "hello", "--tag", "new", "--json").stdout)
    assert [(job["id"], job["tags"]) for job in jobs] == [("c", ["new", "y"]), ("d", ["new"])]
    assert listed(four, "--tag", "new") == ["c", "d"]
    assert [job["priority"] for job in json.loads(four("list", "--json").stdout)] == [3, 3, 0, 0]
    assert "no job matches: nothing was changed" in four("edit", "--tagged", "z", "--now", code=1).stderr
    said = four("edit", "--all", "--untag", "new").stderr
    assert said == 'changed 2 jobs\nleft 2 jobs: job a has no tag "new": nothing was changed\n'
    assert "one command for what a selector means" in four("edit", "--last", "1", "--command", "true", code=2).stderr
    assert "--all and --tagged contradict" in four("edit", "--all", "--tagged", "x", "--now", code=2).stderr
    assert "unknown queue" in four("edit", "--in-queue", "none", "--now", code=2).stderr


# ---------------------------------------------------------------- list, show, logs, status, wait


def test_tags_have_a_column_where_a_job_shown_has_one(four):
    assert "TAGS" in four("list").stdout.splitlines()[0]
    assert "TAGS" not in four("list", "d").stdout
    assert four("list", "a").stdout.splitlines()[1].split()[-3:] == ["x,", "y", "true"]


def test_the_default_of_fifty_holds_unless_a_call_says_otherwise(call):
    call("enqueue", json.dumps([{"command": "true", "tags": ["t"]}] * 60), "--quiet")
    for words, count, more in (
        ([], 50, True),
        (["--tag", "t"], 50, True),
        (["--all"], 60, False),
        (["--last", "55"], 55, False),
        (["--last", "55", "--limit", "3"], 3, True),
        (["--limit", "60"], 60, False),
        (["--limit", "7", "--tag", "t"], 7, True),
    ):
        done = call("list", *words)
        assert len(done.stdout.splitlines()) == count + 1, words
        assert ("there are more: these are the newest %d" % count in done.stderr) == more, words
    assert len(listed(call)) == len(listed(call, "--tag", "t")) == 60, "JSON is whole unless it is limited"
    assert len(listed(call, "--limit", "7")) == 7
    done = call("cancel", "--all", "--dry-run")
    assert len(done.stdout.splitlines()) == 51
    assert done.stderr == "60 jobs would be cancelled, of which these are the newest\n"


def test_show_is_an_object_for_one_id_and_an_array_for_a_selector(four):
    assert json.loads(four("show", "a", "--json").stdout)["id"] == "a"
    assert [job["id"] for job in json.loads(four("show", "--last", "1", "--json").stdout)] == ["d"]
    assert four("show", "d", "a").stdout.count("\n\nid ") == 1


@posix_only
def test_logs_of_several_come_one_after_the_other(home):
    home.run(
        "enqueue", json.dumps([{"id": name, "command": "echo out-%s; echo err-%s >&2" % (name, name)} for name in "ab"])
    )
    home.drain()
    done = home.run("logs", "--all")
    assert done.stdout == "out-a\nout-b\n"
    assert done.stderr == "==> a <==\nerr-a\n==> b <==\nerr-b\n"
    assert home.run("logs", "--last", "1", "--stderr").stdout == "err-b\n"
    assert home.run("logs", "b", "a", "--follow").stdout == "out-b\nout-a\n"
    assert home.run("logs", "b").stderr == "err-b\n", "of one alone nothing is said but what it wrote"


def test_status_counts_what_has_a_tag(ended):
    found = json.loads(ended("status", "--tag", "x", "--json").stdout)
    assert found == {"pending": 0, "processing": 0, "completed": 1, "failed": 0, "dead": 1, "cancelled": 0}
    lines = [line.split() for line in ended("status", "--tag", "x", "--tag", "y").stdout.splitlines()]
    assert lines[2] == ["completed", "1"] and len(lines) == 6
    assert {tuple(line.split()[1:]) for line in ended("status", "--tag", "none").stdout.splitlines()} == {("0",)}


@posix_only
def test_wait_for_what_has_a_tag(home):
    home.run("enqueue", json.dumps([dict(job, max_retries=0) for job in JOBS] + [{"id": "e", "command": "sleep 600"}]))
    home.start("--count", "2")
    done = home.run("wait", "--tag", "y", "--json")
    expected = {"completed": 2, "not_needed": 0, "results": {}, "not_completed": [], "timed_out": False}
    assert done.json == dict(dict.fromkeys(states.STATES, 0), for_a_person=0, **expected)
    assert home.run("wait", "--tag", "x", code=1).stderr == "not all completed: 1 dead\n"
    assert (
        home.run("wait", "--match", "sleep", "--timeout", "0.2", code=124).stderr == "timed out: 1 job is not final\n"
    )
    assert home.run("wait", "--tag", "none").stdout == "", "there is nothing to wait for"
    assert home.run("wait", "--last", "2", "--state", "completed").code == 0


@posix_only
def test_a_job_that_waits_for_its_own_tag_waits_for_the_others(home):
    words = home.command("wait", "--tag", "t", "--timeout", "20")
    home.run("enqueue", json.dumps([{"id": "w", "command": words, "tags": ["t"], "max_retries": 0}]))
    home.run("add", "true", "--tag", "t")
    home.drain("--count", "2")
    assert home.state("w") == "completed"


# ---------------------------------------------------------------- a cancel of many


@posix_only
def test_a_cancel_by_selector_waits_for_those_that_run(home):
    for name in ("a", "b"):
        home.run("add", "--id", name, "--tag", "t", "echo $$ > %s; exec sleep 600" % name, "--cwd", home.path)
    home.run("add", "--id", "c", "--tag", "t", "--delay", "1h", "true")
    process = home.start("--count", "2")
    for name in ("a", "b"):
        wait_until(lambda name=name: contents(os.path.join(home.path, name)), "%s to run" % name)
    assert home.run("cancel", "--tag", "t").stderr == "cancelled 3 jobs\n"
    assert [home.state(name) for name in "abc"] == ["cancelled"] * 3
    assert process.poll() is None


@posix_only
def test_what_still_runs_when_patience_is_over_is_named(home):
    home.run("add", "--id", "a", "--tag", "t", "true")
    home.run("add", "--id", "b", "--tag", "t", "true")
    claim(home.queue, time.time(), 1, "w-1")  # by nobody who lives
    said = home.run("cancel", "--tag", "t", code=1).stderr
    assert said == "queuectl: error: cancelled 1 job; not ended yet: a: the next worker that starts ends it\n"


# ---------------------------------------------------------------- JSON of many

PEAK = """
import re, sys
sys.path.insert(0, sys.argv[1])
import queuectl
queuectl.main(sys.argv[2:])
with open("/proc/self/status") as file:
    sys.stderr.write(re.search("VmHWM:[^0-9]*([0-9]+)", file.read()).group(1))
"""


@pytest.mark.long
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_json_of_a_hundred_thousand_jobs_takes_no_more_memory_than_of_a_few(tmp_path):
    peaks = []
    for count in (20000, 100000):
        home = Home(tmp_path / str(count))
        os.mkdir(home.path, 0o700)
        lines = "\n".join('{"command": "echo %d", "tags": ["t"]}' % number for number in range(count))
        home.run("enqueue", "-", "--quiet", input=lines, timeout=300)
        for words in (["list"], ["list", "--tag", "t"], ["list", "--limit", str(count - 1)]):
            command = [sys.executable, "-c", PEAK, ROOT, "--home", home.path]
            with open(str(tmp_path / "out"), "wb") as out:
                done = subprocess.run(
                    command + words + ["--json"],
                    stdout=out,
                    stderr=subprocess.PIPE,
                    env=home.environment(),
                    timeout=300,
                )
            peaks.append(int(done.stderr.split()[-1]))
            with open(str(tmp_path / "out"), encoding="utf-8") as file:
                jobs = json.load(file)
            commands = ["echo %d" % number for number in range(count)]
            assert [job["command"] for job in jobs] == (commands[1:] if "--limit" in words else commands)
    assert all(large < small * 1.15 for small, large in zip(peaks[:3], peaks[3:])), peaks


def test_a_reader_of_json_that_leaves_ends_it(home):
    lines = "\n".join('{"command": "true"}' for _ in range(5000))
    home.run("enqueue", "-", "--quiet", input=lines)
    process = subprocess.Popen(
        home.command("list", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment()
    )
    assert process.stdout.readline().strip() == b"["
    process.stdout.close()
    assert process.wait(30) == 0 and process.stderr.read() == b""
    process.stderr.close()
