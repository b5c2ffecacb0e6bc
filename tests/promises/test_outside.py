"""Nothing outside its folder is read, written or deleted for a queue, whatever names its database holds."""

import os
import time

import pytest
from helpers.marks import posix_only
from helpers.queue import NOW, claim_one, enqueue, raw, settle

from queuectl_lib.errors import HostError
from queuectl_lib.jobs import states
from queuectl_lib.store import finding, folder, output, pruning, showing, tidying
from storage import Queue

TOKEN = "../../outside/keep"
KINDS = ("out", "err", "run")


@pytest.fixture
def outside(home):
    """Files that the token names, if it is taken for a path; and what they must hold to the end."""
    place = os.path.join(home.path, "outside")
    os.mkdir(place)
    for kind in KINDS:
        with open(os.path.join(place, "keep." + kind), "w") as file:
            file.write("precious")
    yield place
    assert sorted(os.listdir(place)) == sorted("keep." + kind for kind in KINDS)
    for kind in KINDS:
        with open(os.path.join(place, "keep." + kind)) as file:
            assert file.read() == "precious"


def restored(home, state, outcome, **more):
    """A home whose database was made elsewhere: one job with one attempt, whose token is a path."""
    job = home.add("true", "--max-retries", "3")
    now = time.time()
    held = claim_one(home.queue, now)
    kind = states.FAILED if state == "failed" else states.COMPLETED
    if state != "processing":
        settle(home.queue, held, kind, now - 1, exit_code=1 if state == "failed" else 0)
    values = dict({"token": TOKEN, "outcome": outcome, "stdout_bytes": 8, "stderr_bytes": 8}, **more)
    with raw(home.queue) as connection:
        if state == "processing":
            connection.execute("UPDATE jobs SET token = ?, worker = 'gone-1'", (TOKEN,))
        sets = ", ".join(name + " = ?" for name in values)
        connection.execute("UPDATE attempts SET " + sets, tuple(values.values()))
    return job


def test_what_is_shown_of_a_job_is_never_read_elsewhere(home, outside):
    job = restored(home, "completed", "completed")
    assert "precious" not in home.run("show", job).stdout + home.run("show", job, "--json").stdout
    logs = home.run("logs", job)
    assert "precious" not in logs.stdout + logs.stderr


def test_what_is_pruned_is_never_deleted_elsewhere(home, outside):
    restored(home, "completed", "completed")
    home.run("prune", "--older-than", "0")
    assert home.run("list", "--json").json == []


@posix_only
def test_a_job_that_was_under_way_elsewhere_ends_without_a_file_of_others(home, outside):
    job = restored(home, "processing", "running")
    home.run("worker", "start", "--drain", "--backoff-base", "0")
    assert home.state(job) == "completed"


@posix_only
def test_what_an_earlier_attempt_left_running_is_not_looked_for_elsewhere(home, outside):
    job = restored(home, "failed", "failed", leftovers="sleep")
    home.run("cancel", job)
    home.run("requeue", job)
    home.run("worker", "start", "--drain")
    assert home.state(job) == "completed"


def test_a_worker_whose_name_is_a_path_is_not_looked_for_elsewhere(home, outside):
    here = home.queue.folder.workers
    assert home.queue.folder.life_path(TOKEN) == os.path.join(here, folder.NO_TOKEN + ".life")
    assert home.queue.folder.request_path("..", "stop") == os.path.join(here, folder.NO_TOKEN + ".stop")


def test_tidying_leaves_alone_what_is_no_file_of_an_attempt(queue):
    job = enqueue(queue)
    names = ["README", "notes.out", "0123456789abcdef.out", "0123456789abcdeg.out", "0123456789ABCDEF.run"]
    for name in names:
        with open(os.path.join(queue.folder.attempts, name), "w"):
            pass
    tidying.tidy(queue.database)
    assert sorted(os.listdir(queue.folder.attempts)) == sorted(set(names) - {"0123456789abcdef.out"})
    assert finding.states_of(queue.database, [job]) == ["pending"]


@pytest.mark.parametrize("value", [None, 5, b"0123456789abcdef", "", "0123456789abcde", "0123456789abcdef\n", TOKEN])
def test_a_token_is_sixteen_digits_or_none(queue, value):
    assert not folder.is_token(value)
    assert os.path.dirname(queue.folder.attempt_path(value, "out")) == queue.folder.attempts
    queue.folder.remove_attempt_files(value)


def test_every_token_that_is_made_is_one(queue):
    enqueue(queue)
    assert folder.is_token(claim_one(queue).token)


# ---------------------------------------------------------------- links in place of what is ours


@posix_only
@pytest.mark.parametrize("act", ["tidy", "prune"])
def test_what_a_folder_that_became_a_link_leads_to_is_not_deleted(queue, tmp_path, act):
    """Under a supervisor that runs, which no command's check precedes."""
    enqueue(queue)
    held = claim_one(queue)
    kept = os.path.join(str(tmp_path), "elsewhere")
    os.rename(queue.folder.attempts, kept)
    os.symlink(kept, queue.folder.attempts)
    for kind in KINDS:
        with open(os.path.join(kept, "%s.%s" % (held.token, kind)), "w"):
            pass
    settle(queue, held, states.COMPLETED, exit_code=0)
    with raw(queue) as connection:
        connection.execute("UPDATE attempts SET token = ?", (held.token,))
    with pytest.raises(HostError, match="is a symbolic link"):
        if act == "tidy":
            tidying.tidy(queue.database)
        else:
            pruning.prune(queue.database, ["completed"], NOW + 10, lambda count: None)
    with pytest.raises(OSError):
        queue.folder.remove_attempt_files(held.token)
    assert len(os.listdir(kept)) == 3


@posix_only
def test_output_that_is_a_link_is_not_followed(queue, tmp_path):
    identifier = enqueue(queue)
    held = claim_one(queue)
    secret = tmp_path / "secret"
    secret.write_text("precious")
    os.symlink(str(secret), queue.folder.attempt_path(held.token, "out"))
    attempt = showing.job(queue.database, identifier)["history"][0]
    found = output.Output(queue.database, attempt, "stdout")
    assert (found.path, found.read(0, 100)) == ("", b"")


@posix_only
def test_no_folder_is_made_behind_a_link(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.symlink(str(elsewhere), str(tmp_path / "q.db.d"))
    with pytest.raises(HostError):
        Queue(str(tmp_path / "q.db")).database.create()
    assert list(elsewhere.iterdir()) == []
