"""`schedule import`: a crontab and what came of it, side by side."""

import os

import pytest
from helpers.marks import posix_only
from helpers.queue import rows
from helpers.zones import at

from queuectl_lib.store import slots_made

pytestmark = posix_only

TABLE = r"""MAILTO=me@example.org
PATH=/usr/bin:/bin

# every night
17 3 * * *      /home/me/bin/backup --all
*/5 * * * *     date +\%F >> /tmp/days
@reboot         /home/me/bin/begin
0 0 31 2 *      never
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "crontab"
    path.write_text(TABLE)
    return str(path)


def shown(call):
    return {one["name"]: one for one in call("schedule", "list", "--json").json}


def test_lines_become_paused_schedules_that_mean_what_cron_means(call, table):
    done = call("schedule", "import", table)
    backup, days = done.stdout.split()
    assert backup.startswith("backup-all-") and days.startswith("date-f-")
    found = shown(call)
    assert set(found) == {backup, days} and all(one["paused"] for one in found.values())
    assert (found[backup]["missed"], found[backup]["overlap"], found[backup]["when"]) == ("skip", "allow", "17 3 * * *")
    assert found[days]["job"]["command"] == "date +%F >> /tmp/days"
    assert found[days]["job"]["env"] == {"PATH": "/usr/bin:/bin"} and found[days]["job"]["max_retries"] == 0
    lines = done.stderr.splitlines()
    assert lines[0].startswith("line 1: MAILTO is not heeded")
    assert lines[1].startswith("line 7 stays in the crontab: ") and "@reboot" in lines[1]
    assert lines[2].startswith("line 8 stays in the crontab: ") and "no such day" in lines[2]
    assert lines[3] == "take lines 5, 6 out of the crontab (crontab -e), then: schedule resume %s %s" % (backup, days)


def test_while_they_are_paused_nothing_runs_twice_and_then_they_run_as_cron_would(call, home, table):
    _, days = call("schedule", "import", table).stdout.split()
    now = at("2040-06-01T12:00:30")
    assert slots_made.make_due(home.queue.database, now).made == 0
    call("schedule", "resume", days)
    slots_made.review(home.queue.database, now, "")
    assert slots_made.make_due(home.queue.database, now).made == 1
    assert [job["command"] for job in rows(home.queue)] == ["date +%F >> /tmp/days"]


def test_a_second_import_updates_and_pauses_nothing_that_was_resumed(call, table):
    names = call("schedule", "import", table).stdout.split()
    call("schedule", "resume", names[0])
    done = call("schedule", "import", table)
    assert done.stdout.split() == names
    assert [shown(call)[name]["paused"] for name in names] == [False, True]
    assert "then: schedule resume %s\n" % names[1] in done.stderr
    assert "must not stand in the crontab any more" in call("schedule", "import", table, "--active").stderr
    assert [shown(call)[name]["paused"] for name in names] == [False, False]


def test_a_dry_run_changes_nothing_and_shows_what_would_be(call, home, table):
    done = call("schedule", "import", "--dry-run", table)
    assert done.stdout.splitlines()[0].split() == ["NAME", "WHEN", "COMMAND"]
    assert "lines 5, 6 would become schedules; nothing was changed" in done.stderr
    assert not os.path.exists(home.db)
    text = call("schedule", "import", "--dry-run", "--json", table).stdout
    assert home.run("schedule", "load", "-", input=text).stderr == "schedules: 2 new\n"
    assert all(one["paused"] for one in shown(call).values())


def test_policies_can_be_others_and_wrong_ones_are_refused_at_once(call, table):
    call("schedule", "import", table, "--missed", "all:3", "--tz", "UTC")
    found = list(shown(call).values())
    assert {(one["missed"], one["missed_most"], one["overlap"], one["tz"]) for one in found} == {
        ("all", 3, "queue", "UTC")
    }
    for words in (
        ["--missed", "twice"],
        ["--overlap", "never"],
        ["--tz", "+99:00"],
        ["--missed", "all", "--overlap", "skip"],
    ):
        call("schedule", "import", "/nonexistent", *words, code=2)


def test_the_crontab_of_the_user_is_asked_for_where_no_file_is_named(home, table, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "crontab").write_text('#!/bin/sh\n[ "$1" = -l ] && cat "$TABLE"\n')
    (tools / "crontab").chmod(0o755)
    path = {"PATH": "%s:%s" % (tools, os.environ["PATH"])}
    assert len(home.run("schedule", "import", env=dict(path, TABLE=table)).stdout.split()) == 2
    said = home.run("schedule", "import", env=dict(path, TABLE="/nonexistent"), code=1).stderr
    assert said.startswith("queuectl: error: `crontab -l` says: ")
    assert "name a file" in home.run("schedule", "import", env={"PATH": str(tmp_path)}, code=3).stderr


def test_where_no_line_can_be_taken_over_nothing_is_made(home, tmp_path):
    path = tmp_path / "crontab"
    path.write_bytes(b"@reboot x\n\xff\xfe * * *\n")
    done = home.run("schedule", "import", str(path), code=1)
    assert done.stdout == "" and "line 2 stays" in done.stderr and "no line becomes a schedule" in done.stderr
    assert not os.path.exists(home.db)
