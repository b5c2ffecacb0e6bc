"""Tags: taken in words and JSON, checked, shown, known to the job, and found by."""

import json
import sqlite3

import pytest
from helpers.home import ledger
from helpers.marks import posix_only
from helpers.queue import NOW, claim_one, enqueue, raw, rows

from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import launching
from queuectl_lib.store import beside

WITH_TAGS = "SELECT seq, tags FROM jobs WHERE tags IS NOT NULL"
FOUND = "SELECT job, tag FROM tags ORDER BY job, tag"


@pytest.mark.parametrize("tag", ["a", "A1", "_", "1", "host:db-1", "a=b", "x/y+z@w.v", "t" * 64])
def test_what_can_be_a_tag(queue, tag):
    enqueue(queue, tags=[tag])
    assert rows(queue, FOUND) == [{"job": 1, "tag": tag}] and rows(queue, WITH_TAGS) == [{"seq": 1, "tags": tag}]


@pytest.mark.parametrize(
    "tags",
    ["a", [""], ["a b"], ["-a"], [".a"], ["a,b"], ["a" * 65], [1], [None], ["\u00e4"], ["a\n"], {"a": 1}, 5, True]
    + [["t%d" % number for number in range(17)]],
)
def test_what_cannot_be_one_is_refused(call, tags):
    said = call("enqueue", json.dumps({"command": "true", "tags": tags}), code=2).stderr
    assert "tags:" in said
    assert call("list").stdout == ""


def test_a_tag_that_comes_twice_counts_once_and_none_is_none(queue):
    enqueue(queue, tags=["b", "a", "b"])
    enqueue(queue, tags=[])
    assert rows(queue, FOUND) == [{"job": 1, "tag": "a"}, {"job": 1, "tag": "b"}]
    assert rows(queue, WITH_TAGS) == [{"seq": 1, "tags": "a b"}]


def test_many_at_once_have_each_its_own(queue):
    maker = JobMaker(1, "/", 0o022, NOW)
    wanted = [["a"], None, ["b", "a"], ["a"], []]
    list(queue.enqueue_each((n, maker.row({"command": "true", "tags": tags})) for n, tags in enumerate(wanted)))
    assert [(row["seq"], row["tags"]) for row in rows(queue, WITH_TAGS)] == [(1, "a"), (3, "a b"), (4, "a")]
    assert [(row["job"], row["tag"]) for row in rows(queue, FOUND)] == [(1, "a"), (3, "a"), (3, "b"), (4, "a")]


def test_words_and_json_show_them(call):
    job = call("add", "true", "--tag", "night", "--tag", "db").id
    plain = call("add", "true").id
    assert call("show", job, "--json").json["tags"] == ["db", "night"]
    assert call("show", plain, "--json").json["tags"] == []
    assert "tags          db, night\n" in call("show", job).stdout


@posix_only
def test_a_job_knows_its_tags_and_no_other_does(home):
    command = 'echo "${QUEUECTL_TAGS-none}" | tr " " + >> ledger'
    inner = home.command("add", command, "--cwd", home.path, "--quiet")
    home.run("add", "--tag", "b", "--tag", "a", command, "--cwd", home.path)
    home.run("add", "--tag", "outer", "--cwd", home.path, "--", *inner)  # a worker in a job knows none of these
    home.run("worker", "start", "--drain", env={"QUEUECTL_TAGS": "of somebody else"})
    assert ledger(home) == ["a+b", "none"]


def test_what_tells_a_job_its_tags_is_no_variable_of_its_own(call):
    assert (
        "QUEUECTL_TAGS is what queuectl itself tells" in call("add", "true", "--env", "QUEUECTL_TAGS=x", code=2).stderr
    )


def test_the_environment_of_a_job_without_tags_is_asked_for_none(queue):
    enqueue(queue)
    enqueue(queue, tags=["a", "b"])
    claims = [claim_one(queue), claim_one(queue)]
    assert [launching.job_environment(held).get("QUEUECTL_TAGS") for held in claims] == [None, "a b"]


def test_a_deleted_job_leaves_no_tag_to_the_next_with_its_number(queue):
    enqueue(queue, tags=["a"])
    with raw(queue) as connection:
        connection.execute("DELETE FROM jobs")
    enqueue(queue)
    assert rows(queue, FOUND) == [] and rows(queue, WITH_TAGS) == []


def test_tags_are_changed_where_they_are_shown_and_where_they_are_found(queue):
    enqueue(queue, tags=["a", "b"])
    for tags in (["c", "b"], []):
        with queue.database.writing() as connection:
            beside.set_tags(connection, 1, tags)
        assert [row["tag"] for row in rows(queue, FOUND)] == sorted(tags)
        assert [row["tags"] for row in rows(queue)] == [" ".join(sorted(tags)) or None]
    with raw(queue) as connection:
        connection.execute("CREATE TRIGGER keep BEFORE UPDATE ON jobs BEGIN SELECT RAISE(IGNORE); END")
    with pytest.raises(Exception) as caught, queue.database.writing() as connection:
        beside.set_tags(connection, 1, ["x"])
    assert isinstance(caught.value.__cause__, sqlite3.IntegrityError) and rows(queue, FOUND) == []
