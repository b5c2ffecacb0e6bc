"""`rerun`: a job that has ended, added again with the same fields; and `add --replace`."""

import json

import pytest
from helpers.queue import claim, raw, rows, settle

from queuectl_lib.commands import rerun
from queuectl_lib.jobs import fields

# As far as they are kept; the rules of `policy` are in there.
RICH = {
    "command": ["prog", "", "a b", "caf\u00e9 \x1b\u202e"],
    "name": "kind",
    "max_retries": 7,
    "priority": -7,
    "timeout": 1.5,
    "cwd": "/tmp",
    "env": {"A": "\x1b"},
    "umask": "0077",
    "unique": "a key",
    "lock": "a lock",
    "tags": ["a:1", "b"],
    "pipe_output": True,
    "nice": 3,
    "merge": True,
    "ok_codes": [0, 24],
    "backoff": "30s,2m",
    "jitter": 0.2,
}


@pytest.fixture
def home(near):
    return near


def end(home, kind="completed"):
    """Let the next job end so."""
    held = claim(home.queue, 1900000000.0)[0]
    settle(home.queue, held, kind, 1900000000.0)
    return held.id


def ended(home, *words):
    job = home.add("true", "--max-retries", "0", *words)
    assert end(home) == job
    return job


def test_a_job_that_has_completed_runs_again_with_the_same_fields(home):
    first = home.run("enqueue", json.dumps(dict(RICH, run_at="2020-01-01", hold=False))).id
    end(home)
    second = home.run("rerun", first).id
    assert second != first
    old, new = home.job(first), home.job(second)
    for key in rerun.KEPT:
        assert new[key] == old[key], key
    assert {key: new[key] for key in RICH} == RICH
    assert (new["state"], new["attempts"], new["run_at"]) == ("pending", 0, None)
    assert home.job(first)["state"] == "completed"


def test_every_field_that_can_be_given_is_kept_or_of_one_run(home):
    assert set(rerun.KEPT) | set(rerun.OF_THAT_RUN) == set(fields.JOB_KEYS)


def test_ids_are_printed_in_the_order_in_which_they_were_given(home):
    first, second = ended(home), ended(home, "--tag", "x")
    found = home.run("rerun", second, first)
    assert [home.job(one)["tags"] for one in found.stdout.split()] == [["x"], []]
    assert found.stderr == "enqueued 2 jobs\n"


def test_what_has_not_ended_or_is_not_there_is_refused_and_nothing_is_added(home):
    done, waits = ended(home), home.add("true")
    said = home.run("rerun", done, waits, code=1).stderr
    assert "job %s is pending, and has not ended yet: nothing was added" % waits in said
    assert "no job has the id" in home.run("rerun", done, "nope", code=1).stderr
    assert "name jobs, or --tag" in home.run("rerun", code=2).stderr
    assert "no job matches: nothing was run again" in home.run("rerun", "--tag", "nobody", code=1).stderr
    assert len(rows(home.queue)) == 2


def test_a_selector_means_those_that_have_ended(home):
    ended(home, "--tag", "x"), ended(home, "--tag", "y")
    home.add("true", "--tag", "x")
    assert "1 job would be run again" in home.run("rerun", "--tag", "x", "--dry-run").stderr
    assert len(rows(home.queue)) == 3
    found = home.run("rerun", "--tag", "x", "--json").json
    assert found["enqueued"] == 1 and home.job(found["ids"][0])["tags"] == ["x"]


def test_a_key_that_is_held_keeps_it_from_being_added(home):
    job = ended(home, "--unique", "k")
    holder = home.run("rerun", job).id
    again = home.run("rerun", job)
    assert again.id == holder
    assert again.stderr == 'job %s with the key "k" is pending: nothing was added\n' % holder


def test_what_somebody_has_made_of_a_row_is_told_and_adds_nothing(home):
    job, other = ended(home), ended(home)
    with raw(home.queue) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE jobs SET cwd = x'ff', policy = '[]' WHERE id = ?", (job,))
    said = home.run("rerun", other, job, code=1).stderr
    assert "job %s cannot be run again: " % job in said and "nothing was added" in said
    assert len(rows(home.queue)) == 2


# ---------------------------------------------------------------- --replace


def test_what_waits_with_the_key_gives_way_to_the_new_one(home):
    old = home.add("true", "--unique", "k", "--lock", "l")
    said = home.run("add", "echo new", "--unique", "k", "--replace")
    assert said.stderr == 'job %s, which waited with the key "k", was cancelled for it\n' % old
    gone, new = home.job(old), home.job(said.id)
    assert (gone["state"], gone["last_error"]) == ("cancelled", "replaced by job %s" % said.id)
    assert (new["state"], new["command"], new["unique"]) == ("pending", "echo new", "k")


def test_so_does_one_that_waits_for_its_retry_and_what_comes_after_it_is_cancelled(home):
    old = home.add("true", "--unique", "k")
    child = home.add("true", "--after", old)
    end(home, "failed")
    assert home.state(old) == "failed"
    new = home.run("add", "true", "--unique", "k", "--replace").id
    assert [home.state(one) for one in (old, child, new)] == ["cancelled", "cancelled", "pending"]


def test_one_that_runs_does_not_give_way_and_nothing_changes(home):
    old = home.add("true", "--unique", "k")
    claim(home.queue, 1900000000.0)
    said = home.run("add", "true", "--unique", "k", "--replace", code=1).stderr
    assert 'job %s with the key "k" runs, and does not give way: nothing was added' % old in said
    assert [row["state"] for row in rows(home.queue)] == ["processing"]


def test_where_the_new_one_cannot_be_added_the_old_one_stays(home):
    home.add("true", "--id", "taken")
    old = home.add("true", "--unique", "k")
    home.run("add", "true", "--unique", "k", "--replace", "--id", "taken", code=1)
    assert home.state(old) == "pending"


def test_replace_without_a_key_or_a_holder(home):
    assert "--replace goes with --unique KEY" in home.run("add", "true", "--replace", code=2).stderr
    assert home.run("add", "true", "--unique", "k", "--replace").stderr == ""
