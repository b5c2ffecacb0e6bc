"""`report`: a page that is whole, safe and bounded whatever the queue holds, and a file that is whole or not there."""

import os
import re
import stat
import subprocess
import time

import pytest
from helpers import day, hostile
from helpers.home import through_a_shell
from helpers.marks import posix_only
from helpers.page import checked
from helpers.queue import raw

from queuectl_lib import times, values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.reports import page as report_page
from queuectl_lib.reports import queue_reasons, seen, timeline
from queuectl_lib.store import health, window


@pytest.fixture
def home(near):
    return near


def page(home, *options):
    """The page that `report` writes, read and checked."""
    path = os.path.join(home.path, "report.html")
    home.run("report", "-o", path, *options)
    with open(path, encoding="utf-8", newline="") as file:
        return checked(file.read())


def fill(home, jobs=300, seed=1):
    return day.fill(home.queue, jobs, time.time(), seed)


# ---------------------------------------------------------------- what it shows


def test_a_queue_that_is_not_there_yet_has_a_page_and_is_not_made(home):
    found = page(home).text()
    assert "Nothing was ever added" in found and "No attempt ended in this time." in found
    assert "check finds nothing wrong." in found and "Nothing runs." in found and "No job is dead." in found
    assert not os.path.exists(home.db)


def test_a_day_is_told_in_numbers_that_are_those_of_the_queue(home):
    made = fill(home)
    found = page(home).text()
    since = time.time() - 86400
    failed = [one for one in made.attempts if one["outcome"] == "failed" and one["end"] > since + 60]
    completed = [one for one in made.attempts if one["outcome"] == "completed" and one["end"] > since + 60]
    said = re.search(r"([\d,]+) attempts ended: ([\d,]+) completed and ([\d,]+) failed", found)
    numbers = [int(one.replace(",", "")) for one in said.groups()]
    assert numbers[0] == numbers[1] + numbers[2]
    assert len(completed) <= numbers[1] <= len(completed) + 5 and len(failed) <= numbers[2] <= len(failed) + 5
    assert "Nothing runs and nothing is due" in found and "new dead letters: " in found
    for text in ("transcode", "python3 thumb.py --size <n> <path>", "cannot identify image file", "w-1"):
        assert text in found, text


def test_each_plot_has_a_title_a_finding_and_its_numbers(home):
    fill(home)
    found = page(home)
    plots = [one for one in found.of("svg") if one.get("role") == "img"]
    assert len(plots) == 5 == len(found.of("figure")) == len(found.of("details"))
    descriptions = [data for name, data in found.texts if name == "desc"]
    assert len(descriptions) == 5 and all(text.endswith((".", "'")) or ":" in text for text in descriptions)
    assert all(one["datetime"].endswith("Z") and times.is_time(one["datetime"]) for one in found.of("time"))


def test_what_runs_is_told_with_how_much_longer_than_usual_it_has_run(home):
    home.queue.database.create()
    now = time.time()
    seen_before = [times.utc_text(now - 4000 + place) for place in range(30)]
    with raw(home.queue) as connection:
        job = "INSERT INTO jobs (seq, id, command, state, max_retries, cwd, created_at, updated_at, started_at, token,"
        job += " name, runs) VALUES (?, ?, 'x', ?, 3, '/', ?, ?, ?, ?, 'slow', 1)"
        attempt = "INSERT INTO attempts (job, number, outcome, started_at, finished_at, worker, token, ended)"
        attempt += " VALUES (?, 1, ?, ?, ?, 'w', ?, ?)"
        for place, begin in enumerate(seen_before):
            connection.execute(job, (place + 1, "j%d" % place, "completed", begin, begin, begin, None))
            end = times.utc_text(times.utc_seconds(begin) + 10)
            connection.execute(attempt, (place + 1, "completed", begin, end, None, place + 1))
        begin = times.utc_text(now - 100)
        connection.execute(job, (99, "long-one", "processing", begin, begin, begin, "t" * 16))
        connection.execute(attempt, (99, "running", begin, None, "t" * 16, None))
    home.run("stats", "--rebuild")
    found = re.sub(r"\s+", " ", page(home).text())
    assert re.search(r"long-one\s*1m\d\ds\s*10\.\d x", found), found[-1500:]


def test_nothing_is_told_to_whom_check_still_is_to_tell_it(home):
    fill(home)
    before = health.deaths_to_tell(home.queue.database, 0)[1]
    page(home)
    assert before > 0 and health.deaths_to_tell(home.queue.database, 0)[1] == before


def test_since_title_and_refresh(home):
    fill(home)
    found = page(home, "--since", "7d", "--title", "My <queue> & \x1b", "--refresh", "5m")
    assert [data for name, data in found.texts if name in ("title", "h1")][:2] == ["My <queue> & \\x1b"] * 2
    assert [one["content"] for one in found.of("meta") if one.get("http-equiv") == "refresh"] == ["300"]
    assert "7d of history" in found.text()


# ---------------------------------------------------------------- what is cut


def test_each_cut_is_named_and_all_is_bounded(home, monkeypatch):
    monkeypatch.setattr(window, "IN_FULL", 100)
    monkeypatch.setattr(window, "SAMPLE", 50)
    monkeypatch.setattr(window, "WITH_KINDS", 20)
    monkeypatch.setattr(timeline, "MOST_LANES", 2)
    fill(home, 600)
    found = page(home).text()
    for text in (r"by \d+ of 6\d\d attempts", r"2 of 3 workers", r"20 of \d+ failures"):
        assert re.search(text, found), text


def test_a_page_is_bounded_where_all_texts_are_long_and_all_of_them_hostile(home):
    """As large as it can come: fifty rows in each table, of texts that grow most when they are made safe."""
    worst = "'\"<&>" * 200
    home.queue.database.create()
    now = times.utc_text(time.time() - 60)
    with raw(home.queue) as connection:
        connection.execute("BEGIN")
        job = "INSERT INTO jobs (seq, id, command, state, max_retries, cwd, created_at, updated_at, started_at,"
        job += " finished_at, token, name, runs, signature, worker, last_error) VALUES"
        job += " (?, ?, ?, ?, 3, '/', ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)"
        attempt = "INSERT INTO attempts (job, number, outcome, started_at, finished_at, exit_code, error, worker,"
        attempt += " token, stderr_bytes, stderr, ended) VALUES (?, 1, ?, ?, ?, NULL, ?, ?, ?, ?, ?, ?)"
        error = "\n".join([worst[:700]] * 5).encode()
        for place in range(600):
            name, state = "%d%s" % (place, worst), ("dead", "processing", "completed")[place % 3]
            token = "t%015d" % place if state == "processing" else None
            finished = None if token else now
            outcome = {"dead": "failed", "processing": "running"}.get(state, state)
            worker = worst[: place % 50] + worst
            values = (place + 1, name, name, state, now, now, now, finished, token, name, name, worker, worst)
            connection.execute(job, values)
            values = (place + 1, outcome, now, finished, worst, worker, token, len(error), error, finished and place)
            connection.execute(attempt, values)
            connection.execute("INSERT INTO errors VALUES (?, ?, ?, ?, 1)", (name, worst, now, now))
        connection.execute("COMMIT")
    found = page(home)  # which is checked to be no larger than it may be
    text = found.text()
    for cut in ("50 of 400 kinds", "50 of 200 groups", "50 of 200 jobs", "20 of 200 failures"):
        assert cut in text, cut


# ---------------------------------------------------------------- what it is safe from


def put_hostile(home):
    """Each hostile text as a command, a name, a worker, an error, an output, and what a group says."""
    home.queue.database.create()
    now = times.utc_text(time.time() - 60)
    with raw(home.queue) as connection:
        for place, text in enumerate(hostile.STRINGS):
            text = text.encode("utf-8", "replace").decode().replace("\0", "")
            data = text.encode()
            job = "INSERT INTO jobs (seq, id, command, state, max_retries, cwd, env, created_at, updated_at,"
            job += " finished_at, name, runs, signature, last_error) VALUES (?, ?, ?, ?, 3, ?, ?, ?, ?, ?, ?, 1, ?, ?)"
            state = ("dead", "failed", "completed")[place % 3]
            name = text if place % 2 else None
            values = (place + 1, text, text, state, text, text, now, now, now, name, text, text)
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(job, values)
            attempt = "INSERT INTO attempts (job, number, outcome, started_at, finished_at, signal, error, worker,"
            attempt += " ended, stdout_bytes, stdout, stderr_bytes, stderr)"
            attempt += " VALUES (?, 1, 'failed', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            sizes = (len(data), data) * 2
            connection.execute(attempt, (place + 1, now, now, text, text, text, place + 1, *sizes))
            connection.execute("INSERT INTO errors VALUES (?, ?, ?, ?, 1)", (text, text, now, now))


def test_forty_hostile_texts_stay_text_wherever_they_stand(home):
    put_hostile(home)
    for title in (hostile.STRINGS[0], hostile.STRINGS[6], hostile.STRINGS[18]):
        found = page(home, "--title", title)
        assert {name for name, _ in found.elements} - KNOWN == set()
        allowed = {"\n"}
        assert {char for char in found.source if not char.isprintable()} <= allowed
        assert "<script>alert(1)</script>" in found.text()
        styles = [data for name, data in found.texts if name == "style"]
        assert len(styles) == 1


KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "div", "section", "figure", "footer"),
    *("h1", "h2", "p", "ul", "ol", "li", "b", "strong", "code", "pre", "time", "details", "summary"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    *("svg", "defs", "pattern", "rect", "line", "text", "desc"),
}


def test_to_share_means_without_commands_output_environment_and_what_is_made_of_them(home):
    fill(home)
    with raw(home.queue) as connection:
        for place, error in enumerate(("cannot start /srv/hush: no such file", "/srv/hush: permission denied")):
            change = "UPDATE attempts SET outcome = 'failed', exit_code = NULL, error = ?, stderr = NULL,"
            connection.execute(change + " stderr_bytes = 0 WHERE id = ?", (error, place + 200))
    shared, whole = page(home, "--share"), page(home)
    secrets = ["thumb.py", "send-mail", "ffmpeg", "rsync", "cannot identify", "KeyError", "psql", "SECRET", "w-1"]
    secrets += [home.path, "hush"]
    for word in secrets:
        assert word not in shared.source, word
    told = {word for word in secrets if word in whole.source}
    assert told >= {"thumb.py", "cannot identify", "w-1", "hush", home.path}
    assert "SECRET" not in whole.source
    shown = ("transcode", "unnamed 1", "exit 1", "worker 1", "Nothing runs and nothing is due.", "Made to be shared")
    for word in shown:
        assert word in shared.text(), word


def test_what_a_shared_page_says_of_the_queue_has_words_for_each_reason():
    assert set(report_page.PLAIN) == set(queue_reasons.ORDER) - {"database_locked"}  # of which there is no page


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE jobs SET state = 'odd', id = CAST(x'ff' || seq AS BLOB), name = 7, command = x'ff' WHERE seq % 2",
        "UPDATE attempts SET started_at = x'ff', worker = 7, number = 'x' || id, job = 'y' WHERE id % 2",
        "UPDATE counts SET jobs = 'many', deaths = x'ff', told = 'z', ended = 'x'",
        "UPDATE kinds SET recent = 'x', runs = 'y', ended = x'ff'",
        "UPDATE errors SET text = x'ff', last_at = 9",
        "DELETE FROM jobs WHERE seq % 2",
        "UPDATE jobs SET started_at = 'x', finished_at = 5, signature = 1.5, worker = x'ff', runs = 'z'",
    ],
)
def test_damaged_rows_give_a_page(home, damage):
    fill(home)
    with raw(home.queue) as connection:
        connection.execute("DROP TRIGGER jobs_move")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(damage)
    page(home)


# ---------------------------------------------------------------- the file


@posix_only
def test_a_page_is_private_and_one_to_share_is_for_all(home):
    path = os.path.join(home.path, "report.html")
    before = os.umask(0o077)
    try:
        for options, mode in (([], 0o600), (["--share"], 0o644), ([], 0o600)):
            home.run("report", "-o", path, *options)
            assert stat.S_IMODE(os.stat(path).st_mode) == mode
    finally:
        os.umask(before)


def test_what_is_no_report_is_not_replaced(home):
    path = os.path.join(home.path, "notes")
    for content in (b"mine", b"<!DOCTYPE html><p>mine"):
        with open(path, "wb") as file:
            file.write(content)
        assert "is no report" in home.run("report", "-o", path, code=1).stderr
        with open(path, "rb") as file:
            assert file.read() == content
    with open(path, "wb"):
        pass
    home.run("report", "-o", path)
    home.add("true")
    assert "is no report" in home.run("report", "-o", home.db, code=1).stderr


@posix_only
def test_no_device_and_no_link_is_replaced(home):
    """A pipe stands for the device: were it replaced, a test run by root would leave a host without /dev/null."""
    link, pipe = (os.path.join(home.path, name) for name in ("link", "pipe"))
    os.symlink(os.path.join(home.path, "target"), link)
    os.mkfifo(pipe, 0o600)
    for path in (pipe, link):
        assert "is no file, or a link" in home.run("report", "-o", path, code=1).stderr
    assert os.path.islink(link) and stat.S_ISFIFO(os.lstat(pipe).st_mode)


@pytest.mark.parametrize(
    "words, said",
    [
        (["-o", ""], "not the name of a file"),
        (["-o", "x/"], "not the name of a file"),
        (["-o", "/nonexistent/x"], "no folder"),
        (["--since", "59s"], "too short"),
        (["--since", "yesterday"], "not a duration"),
        (["--refresh", "1"], "between 5s"),
        (["--title", " "], "1 to 200"),
        (["--title", "x" * 201], "1 to 200"),
        (["--json"], "-o FILE"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_made(home, words, said):
    before = sorted(os.listdir(home.path))
    assert said in home.run("report", *words, code=2).stderr
    assert sorted(os.listdir(home.path)) == before


def test_a_terminal_is_not_flooded(home, monkeypatch):
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: True)
    assert "report -o report.html" in home.run("report", code=2).stderr


def test_without_a_file_it_goes_to_standard_output_and_json_tells_of_a_file(home):
    fill(home, 50)
    checked(home.run("report").stdout)
    path = os.path.join(home.path, "r.html")
    facts = home.run("report", "-o", path, "--json").json
    assert facts["path"] == path and facts["bytes"] == os.path.getsize(path)
    assert facts["attempts"] <= facts["looked_at"] + 1


@posix_only
def test_a_full_disk_and_a_reader_that_leaves(home):
    fill(home)
    assert through_a_shell(home, "| head -c 5", "report").stdout == b"<!DOC"
    if os.path.exists("/dev/full"):
        done = through_a_shell(home, "> /dev/full", "report")
        assert done.returncode == 3 and b"No space left" in done.stderr and done.stderr.count(b"\n") == 1
    path = os.path.join(home.path, "cut.html")
    script = 'ulimit -f 100; exec "$@"'
    words = ["/bin/sh", "-c", script, "sh", *home.command("report", "-o", path)]
    done = subprocess.run(words, stderr=subprocess.PIPE, env=home.environment(), timeout=60)
    assert done.returncode == 3 and b"File too large" in done.stderr
    assert [name for name in os.listdir(home.path) if "cut" in name or "partial" in name] == []


def test_the_numbers_of_check_are_those_that_it_has_by_itself():
    """What the page calls wrong is what `check` calls wrong where it is told nothing else."""
    defaults = {names[0]: details.get("default") for names, details in frame.load("check").arguments}
    assert times.parse_duration(defaults["--waiting"], "") == seen.WAITING_SECONDS
    assert values.parse_size(defaults["--min-free"], "") == seen.LEAST_FREE
