"""Lines that a terminal has no room for: progress that stays one line, tables that keep what tells most."""

import os
import re
import signal
import time

import pytest
from helpers.marks import posix_only
from helpers.queue import claim, enqueue, settle
from helpers.waiting import wait_until

from queuectl_lib.commands import layout, terminal, waiting_for
from queuectl_lib.reports import estimate
from queuectl_lib.store import awaited
from queuectl_lib.store.ahead import Ahead


class Screen:
    """Standard error that is a terminal of so many columns."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def fileno(self):
        return 2

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize("columns", [1, 5, 20, 40, 60, 80, 140])
def test_a_line_of_progress_never_reaches_the_edge_of_the_terminal(monkeypatch, columns):
    """What does reach it is left there, and the next one comes beneath: four lines a second, for hours."""
    screen = Screen()
    monkeypatch.setattr(terminal.sys, "stderr", screen)
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((columns, 24)))
    monkeypatch.setattr(terminal, "can_tell", lambda: True)
    progress = terminal.Progress()
    for done in (0, 1500, 3000):
        progress.shown_at = time.monotonic() - 1
        progress.bar(done, 3000, "%d of 3000 jobs are final, about 6 min left" % done)
    progress.end()
    shown = [line for line in screen.text.split("\r") if line]
    assert len(shown) >= 3 or columns == 1
    assert max(map(len, shown), default=0) < columns
    if columns >= 60:
        assert "1500 of 3000 jobs are final, about 6 min left" in screen.text
    assert ("[###" in screen.text) == (columns >= 80)


def test_wait_says_what_a_job_wrote_and_not_what_those_of_its_group_have_in_common(home):
    home.start()
    home.add("echo 'row 17 of 3000: bad value at /data/a.csv' >&2; exit 4", "--id", "j", "--max-retries", "0")
    said = home.run("wait", "--verbose", code=1).stderr
    assert "job j is dead: exit 4: row 17 of 3000: bad value at /data/a.csv\n" in said


def test_a_list_of_80_columns_shows_why_though_an_id_is_long_and_a_job_tells_its_progress():
    table = [
        ["ID", "STATE", "ATTEMPTS", "WHEN", "ERROR", "COMMAND"],
        ["2keekrfzgn0j", "processing", "1/4", "for 15m, 40% half of it", "-", "python3 work.py --all"],
        ["r" * 101, "dead", "1/1", "15m ago", "exit 127: not found", "./resize photo.jpg"],
    ]
    lines, kept = layout.fitted(table, 80, ["ATTEMPTS", "ERROR"])
    assert kept == [0, 1, 3, 4, 5]
    assert lines[2][3].startswith("exit 127") and lines[1][2].startswith("for 15m")
    wide, _ = layout.fitted(table, 140, ["ATTEMPTS", "ERROR"])
    assert len(wide[2][0]) >= 36 and "exit 127: not found" in wide[2][4] and "./resize photo.jpg" in wide[2][5]


def test_there_is_no_estimate_where_what_runs_has_run_longer_than_its_kind():
    seen = Ahead()
    seen.running = [(100.0, [1.0] * 10)]
    assert estimate.reckoned(seen, 2).seconds is None
    seen.running = [(0.25, [1.0] * 10)]
    assert estimate.reckoned(seen, 2).seconds == 0.75


def test_what_comes_next_is_not_said_to_be_due_while_its_lock_is_taken(near):
    home = near
    home.run("initdb")
    for name in ("l1", "l2"):
        home.run("add", "true", "--id", name, "--lock", "k")
    (held,) = claim(home.queue, time.time())
    assert [one["id"] for one in home.run("status", "--json").json["next"]] == []
    settle(home.queue, held, "completed", time.time())
    assert [one["id"] for one in home.run("status", "--json").json["next"]] == ["l2"]


def test_why_says_all_that_keeps_a_job_from_starting(near):
    home = near
    home.run("add", "true", "--id", "h")
    home.run("hold", "h")
    lines = home.run("why", "h").stdout.splitlines()
    assert lines[0].endswith("no worker is alive")
    assert re.match(r"  also: a person holds it.*: it starts once it is released", lines[1]), lines
    assert lines[2].endswith("worker start --background")


def test_results_name_the_command_and_no_column_of_nothing(near):
    home = near
    home.run("add", "--id", "a", "--tag", "s", "--", "echo", "a b")
    settle(home.queue, claim(home.queue, time.time())[0], "completed", time.time())
    assert home.run("results", "--json").json[0]["command"] == ["echo", "a b"]
    names, row = (line.split("\t") for line in home.run("results", "--tsv").stdout.splitlines())
    assert row[names.index("command")] == "echo 'a b'"
    assert "TAGS" in home.run("results").stdout and "TAGS" not in home.run("results", "--tag", "s").stdout


@pytest.mark.parametrize("name", ["out.tsv", "out.csv", "out.json"])
def test_a_file_is_no_folder_for_results(near, name):
    said = near.run("results", "--tsv", "-o", name, code=2).stderr
    assert "it names a folder" in said and "results --tsv > %s" % name in said and not os.path.exists(name)


@posix_only
def test_a_worker_whose_supervisor_was_killed_was_not_asked_to_stop(home):
    supervisor = home.start("--count", "1")
    home.add("sleep 30", "--id", "long")
    home.wait_for_state("long", "processing")
    home.add("true", "--id", "waits")
    supervisor.send_signal(signal.SIGKILL)
    wait_until(lambda: "the supervisor is dead" in home.run("why", "waits").stdout, "why to say so")
    home.run("cancel", "long")
    wait_until(lambda: "no worker is alive" in home.run("why", "waits").stdout, "its worker to end, too")


@pytest.mark.parametrize("tells_all", [False, True])
def test_failures_that_trickle_in_are_told_by_name_so_often_and_then_no_more(queue, monkeypatch, tells_all):
    said = []
    monkeypatch.setattr(terminal, "tell", said.append)
    now = time.time()
    for number in range(30):
        enqueue(queue, 0, now - 60, id="j%d" % number)
    waiting = waiting_for.Waiting(queue, awaited.all_open(queue.database))
    waiting.tells_failures, waiting.tells_all = True, tells_all
    for _ in range(30):
        settle(queue, claim(queue, now)[0], "failed", now, error="exit code 1")
        waiting.tell_failures(waiting.look.look())
    named = [text for text in said if text.startswith("job j")]
    assert len(named) == (30 if tells_all else waiting_for.MOST_FAILURES)
    assert len(said) == (30 if tells_all else waiting_for.MOST_FAILURES + 1) and (tells_all or "dlq groups" in said[-1])


def test_a_list_of_commands_that_is_given_as_json_is_told_as_what_it_is(near, tmp_path):
    path = tmp_path / "cmds.txt"
    path.write_text("echo a\necho b\n")
    said = near.run("enqueue", "--file", str(path), code=2).stderr
    assert "nothing was added; that is a file, no JSON: each line a command: `enqueue --lines %s`" % path in said
    path.write_text("# nightly\n17 3 * * * /usr/bin/dump\n")
    assert "that is a crontab: `schedule import %s`" % path in near.run("enqueue", str(path), code=2).stderr
    path.write_text('{"command": }\n')
    assert "`enqueue" not in near.run("enqueue", "--file", str(path), code=2).stderr
