"""`worker stop --stay`: nobody but a person who types `worker start` starts a supervisor again."""

import errno
import os
import shutil
import subprocess

import pytest
from helpers.home import Home, contents
from helpers.marks import posix_only
from helpers.processes import end_process
from helpers.waiting import wait_until

from queuectl_lib.commands import cron
from queuectl_lib.errors import HostError
from queuectl_lib.host import files
from queuectl_lib.reports import problems
from queuectl_lib.store import roster, staying

ENSURE = ("worker", "start", "--ensure", "--background")
STAYS = "workers stay stopped until `worker start` is typed (`worker stop --stay`, "
DAY = 86400.0


def stay(home):
    return os.path.join(home.db + ".d", "stay")


def since(home, age):
    """As if the wish were so many seconds old."""
    then = os.stat(stay(home)).st_mtime - age
    os.utime(stay(home), (then, then))


def test_workers_stay_stopped_until_a_person_starts_them(home):
    home.run(*ENSURE)
    assert STAYS in home.run("worker", "stop", "--stay").stderr
    if os.name == "posix":
        assert os.stat(stay(home)).st_mode & 0o777 == 0o600
    done = home.run(*ENSURE, "--quiet")
    assert (done.stdout, done.stderr, roster.members(home.queue.folder)) == ("", "", [])
    said = home.run(*ENSURE, "--verbose").stderr
    assert said.startswith(STAYS) and said.endswith(": none was started\n")
    assert "is over" in home.run("worker", "start", "--background").stderr
    assert len(home.workers()) == 1 and not os.path.exists(stay(home))
    home.run("worker", "stop")
    home.run(*ENSURE)
    assert len(home.workers()) == 1, "a plain stop lasts until the next --ensure"


def test_every_line_of_cron_that_starts_workers_heeds_it(home):
    home.run("worker", "stop", "--stay")
    lines = [line for line in cron.crontab(["q"], 2).splitlines() if " worker start " in line]
    assert len(lines) == 3
    for line in lines:
        words = line[line.index(" worker start ") :].split()
        assert home.run(*words).stderr == "" and roster.members(home.queue.folder) == []


def test_it_outlives_those_who_were_there(home):
    """As after a restart of the host: all are dead, and its file is there."""
    home.run(*ENSURE)
    staying.begin(home.queue.folder)
    for member in roster.members(home.queue.folder):
        end_process(member["pid"])
    wait_until(lambda: roster.members(home.queue.folder) == [], "the killed ones to be gone")
    home.run(*ENSURE)
    assert roster.members(home.queue.folder) == []


def test_a_copy_of_the_home_has_the_wish_too_and_each_is_ended_by_itself(home, tmp_path):
    home.run("initdb")
    home.run("worker", "stop", "--stay")
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.path, copy.path, ignore=shutil.ignore_patterns("bell"))
    try:
        copy.run(*ENSURE)
        assert roster.members(copy.queue.folder) == []
        copy.run("worker", "start", "--drain")
        assert not os.path.exists(stay(copy)) and os.path.exists(stay(home))
    finally:
        copy.clean_up()


def test_a_supervisor_that_was_about_to_start_meanwhile_stops_by_itself(home):
    """One that the stop could not see: the child of a --ensure that had looked before."""
    staying.begin(home.queue.folder)
    job = home.add("true")
    process = home.start("--name", "late")
    assert process.wait(20) == 0
    assert "stopping: running jobs finish" in contents(process.log)
    assert home.state(job) == "pending" and os.path.exists(stay(home))


@posix_only
def test_of_many_that_start_at_the_same_instant_none_stays(home):
    home.run("initdb")
    for _ in range(3):
        null = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        calls = [subprocess.Popen(home.command(*ENSURE, "--quiet"), env=home.environment(), **null) for _ in range(3)]
        home.run("worker", "stop", "--stay")
        assert [call.wait(60) for call in calls] == [0, 0, 0]
        wait_until(lambda: roster.members(home.queue.folder) == [], "all who had begun to be gone")
        staying.end(home.queue.folder)


def test_where_it_cannot_be_noted_nothing_is_stopped(home, monkeypatch):
    home.run(*ENSURE)

    def full(path, flags):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    with monkeypatch.context() as patched:
        patched.setattr(files, "open_private", full)
        with pytest.raises(HostError, match="No space left on device: nothing was stopped"):
            staying.begin(home.queue.folder)
    assert home.queue.folder.stays_since() is None
    assert len(home.workers()) == 1


@posix_only
def test_whatever_stands_there_is_heeded_and_what_cannot_be_removed_is_named(home):
    home.run("initdb")
    os.symlink("nowhere", stay(home))
    home.run(*ENSURE)
    assert roster.members(home.queue.folder) == []
    home.run("worker", "start", "--drain")
    os.mkdir(stay(home))
    home.run(*ENSURE)
    assert roster.members(home.queue.folder) == []
    said = home.run("worker", "start", "--drain", code=3).stderr
    assert stay(home) in said and "remove that by hand" in said


def test_it_can_be_asked_for_before_there_is_a_queue(home):
    said = home.run("worker", "stop", "--stay").stderr
    assert said.splitlines()[0] == "no worker is running" and STAYS in said
    home.run(*ENSURE)
    assert roster.members(home.queue.folder) == []
    assert home.run("worker", "stop").stderr.splitlines()[1].startswith(STAYS)


# ---------------------------------------------------------------- who says so


def test_it_is_told_where_one_looks(near):
    near.run("add", "true", "--id", "job")
    assert near.run("status", "--json").json["stay_stopped_since"] is None
    near.run("worker", "stop", "--stay")
    since(near, 3 * 3600)
    assert "stay stopped    until `worker start` is typed (`worker stop --stay`, 3h ago)" in near.run("status").stdout
    assert near.run("status", "--json").json["stay_stopped_since"].endswith("Z")
    assert STAYS in near.run("worker", "list").stderr
    assert "they stay stopped until `worker start` is typed" in near.run("why", "job").stdout


def test_check_speaks_of_it_after_a_day(near):
    near.run("add", "true", "--id", "job")
    near.run("check", "--waiting", "0", code=1)
    near.run("worker", "stop", "--stay")
    since(near, DAY - 60)
    near.run("check", "--waiting", "0")
    since(near, 120)
    done = near.run("check", "--waiting", "0", "--json", code=1)
    (found,) = done.json["problems"]
    assert found["kind"] == "stopped" and found["due"] == 1
    assert found["text"].startswith(STAYS) and found["text"].endswith("; jobs due: 1")


def test_a_clock_that_went_back_makes_no_one_shout(queue):
    staying.begin(queue.folder)
    now = os.stat(os.path.join(queue.folder.path, "stay")).st_mtime - 2 * DAY
    assert problems.work_problems(queue, now, 900.0) == []
    assert "0s ago" in staying.words(now + 2 * DAY, now)
