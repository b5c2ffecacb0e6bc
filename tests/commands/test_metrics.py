"""`metrics`: names, types, labels and HELP texts that never change, a whole file, and `up` that tells the truth."""

import os
import re
import stat
import subprocess

import pytest
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS, claim, claim_one, enqueue, raw, settle

from queuectl_lib.commands import frame, terminal
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.reports import metrics
from queuectl_lib.store import totals

# For ever: node_exporter drops a metric whose HELP differs between two homes of one host.
FROZEN = {
    "queuectl_up": ("gauge", "Whether the database of the queue could be read."),
    "queuectl_build_info": ("gauge", "The versions of queuectl, Python and SQLite that wrote this; always 1."),
    "queuectl_jobs": ("gauge", "Jobs in each state."),
    "queuectl_due_jobs": ("gauge", "Jobs that could start now."),
    "queuectl_workers": ("gauge", "Workers alive."),
    "queuectl_running_long_jobs": ("gauge", "Jobs that run unusually long for their kind."),
    "queuectl_oldest_due_age_seconds": (
        "gauge",
        "How long the job that waits longest could have run; 0 if none waits.",
    ),
    "queuectl_oldest_dead_age_seconds": ("gauge", "How long ago the dead job that died first died; 0 if none is dead."),
    "queuectl_attempts_total": ("counter", "Attempts that ended, by outcome."),
    "queuectl_deaths_total": ("counter", "Jobs that became dead."),
    "queuectl_attempt_cpu_seconds_total": ("counter", "CPU time that ended attempts used."),
    "queuectl_attempt_duration_seconds": ("histogram", "How long attempts took."),
    "queuectl_wait_seconds": ("histogram", "How long attempts had been due when they began."),
    "queuectl_last_success_timestamp_seconds": ("gauge", "When a job with this unique key last completed."),
    "queuectl_keys_left_out": ("gauge", "Unique keys whose last success is left out, for there are newer ones."),
    "queuectl_kind_duration_seconds": ("gauge", "Durations of the last attempts of this kind that completed."),
}
LE = ["0.1", "1", "10", "60", "300", "1800", "7200", "28800", "86400", "+Inf"]
OUTCOMES = ["completed", "failed", "timed_out", "lost", "snoozed", "given_back", "cancelled"]
LINE = re.compile(r'(\w+)\{((?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)*)\} (\S+)\Z')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
HOSTILE = ['a"b\\c', "line\nend\\n", "\x1b[31m", "<script>", "{}=,\t\r\u2028", "\u202egpj", "'", "\xe9\u6f22"]


@pytest.fixture
def home(near):
    near.run("initdb")
    return near


def parsed(text):
    """By name its type and HELP; and by name a list of (labels, value), as a parser of the format reads them."""
    assert text.endswith("\n") and "\n\n" not in text and "\r\n" not in text
    helps, types, samples = {}, {}, {}
    for line in text[:-1].split("\n"):
        if line.startswith("# "):
            _, what, name, words = line.split(" ", 3)
            {"HELP": helps, "TYPE": types}[what][name] = words
            continue
        match = LINE.match(line)
        assert match, line
        labels = {name: unescaped(value) for name, value in LABEL.findall(match.group(2))}
        assert all(labels != other for other, _ in samples.get(match.group(1), [])), line
        samples.setdefault(match.group(1), []).append((labels, float(match.group(3))))
    return {name: (types[name], helps[name]) for name in types}, samples


def unescaped(value):
    return re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match.group(1), match.group(1)), value)


def values(home, *words):
    """By name, and the labels beside `queue`, what `metrics` prints."""
    _, samples = parsed(home.run("metrics", "--label", "q", *words).stdout)
    found = {}
    for name, some in samples.items():
        for labels, value in some:
            assert labels.pop("queue") == "q"
            found[" ".join([name, *labels.values()])] = value
    return found


def test_names_types_and_help_are_what_they_were(home):
    families, samples = parsed(home.run("metrics", "--label", "q").stdout)
    without = {name: what for name, what in FROZEN.items() if name != "queuectl_kind_duration_seconds"}
    assert families == without
    assert {"queuectl_" + name: what for name, what in metrics.FAMILIES.items()} == FROZEN
    keys = {name: sorted({key for labels, _ in some for key in labels}) for name, some in samples.items()}
    assert keys.pop("queuectl_build_info") == ["python", "queue", "sqlite", "version"]
    assert keys.pop("queuectl_jobs") == ["queue", "state"]
    assert keys.pop("queuectl_attempts_total") == ["outcome", "queue"]
    assert keys.pop("queuectl_wait_seconds_bucket") == keys.pop("queuectl_attempt_duration_seconds_bucket")
    assert set(map(tuple, keys.values())) == {("queue",)}


def test_all_are_there_with_zeros_from_the_first_time_on(home):
    families, samples = parsed(home.run("metrics").stdout)
    assert [labels["outcome"] for labels, _ in samples["queuectl_attempts_total"]] == OUTCOMES
    assert [labels["le"] for labels, _ in samples["queuectl_wait_seconds_bucket"]] == LE
    assert [labels["le"] for labels, _ in samples["queuectl_attempt_duration_seconds_bucket"]] == LE
    assert len(samples["queuectl_jobs"]) == 6
    always = {"queuectl_up", "queuectl_build_info"}
    assert [name for name, some in samples.items() if name not in always and any(value for _, value in some)] == []
    assert {labels["queue"] for some in samples.values() for labels, _ in some} == {home.path}
    assert set(families) - {name for name in families for one in samples if one.startswith(name)} == {
        "queuectl_last_success_timestamp_seconds"
    }


def test_what_waits_has_died_and_has_succeeded_is_told_with_its_age(home, monkeypatch):
    monkeypatch.setattr(frame.time, "time", lambda: NOW)
    enqueue(home.queue, 0, NOW - 500, id="dead")
    settle(home.queue, claim_one(home.queue, NOW - 400), "failed", NOW - 400)
    enqueue(home.queue, 0, NOW - 300, id="good", unique="k")
    outcome = Outcome(claim_one(home.queue, NOW - 290), "completed", NOW - 280)
    outcome.started, outcome.cpu = NOW - 290, 1.5
    home.queue.exchange("w-1", [outcome], 0, NOW - 280, SETTINGS)
    enqueue(home.queue, 0, NOW - 30, id="due")
    enqueue(home.queue, 0, NOW - 9, id="due-too")
    enqueue(home.queue, 0, NOW, id="later", delay=3600)
    enqueue(home.queue, 0, NOW - 900, id="held", hold=True)
    found = values(home)
    assert found["queuectl_up"] == 1 and found["queuectl_build_info 0.1.0 %s %s" % versions()] == 1
    assert found["queuectl_jobs pending"] == 4 and found["queuectl_jobs dead"] == 1
    assert found["queuectl_due_jobs"] == 2, "neither what is to come nor what a person holds"
    assert found["queuectl_oldest_due_age_seconds"] == 30
    assert found["queuectl_oldest_dead_age_seconds"] == 400
    assert found["queuectl_attempts_total completed"] == found["queuectl_attempts_total failed"] == 1
    assert found["queuectl_deaths_total"] == 1 and found["queuectl_attempt_cpu_seconds_total"] == 1.5
    assert found["queuectl_last_success_timestamp_seconds k"] == NOW - 280
    assert found["queuectl_attempt_duration_seconds_bucket 1"] == 0
    assert found["queuectl_attempt_duration_seconds_bucket 10"] == 1
    assert found["queuectl_attempt_duration_seconds_bucket +Inf"] == 1
    assert found["queuectl_attempt_duration_seconds_count"] == 1
    assert found["queuectl_wait_seconds_sum"] == found["queuectl_attempt_duration_seconds_sum"] == 10


def versions():
    import platform
    import sqlite3

    return platform.python_version(), sqlite3.sqlite_version


def test_a_paused_queue_has_nothing_that_could_start(home, monkeypatch):
    enqueue(home.queue, 0, NOW - 30)
    home.run("pause")
    found = values(home)
    assert found["queuectl_due_jobs"] == found["queuectl_oldest_due_age_seconds"] == 0


def test_of_many_keys_the_newest_are_told_and_how_many_are_left_out(home):
    with home.queue.database.writing() as connection:
        rows = [("k%03d" % number, "2027-01-15T08:%02d:%02d.000000Z" % divmod(number, 60)) for number in range(103)]
        connection.executemany("INSERT INTO successes VALUES (?, ?)", rows)
        connection.execute("INSERT INTO successes VALUES ('odd', 'never')")
    found = values(home)
    told = [name.split()[1] for name in found if name.startswith("queuectl_last_success")]
    assert len(told) == 99 and "k102" in told and "k003" not in told and "odd" not in told
    assert found["queuectl_keys_left_out"] == 4


def test_kinds_are_told_only_where_asked_for_and_only_those_with_names(home):
    for command, name in (("sleep 1", "backup"), ("sleep 1", None), ("true", "often"), ("true", "often")):
        enqueue(home.queue, 0, NOW, command=command, **({"name": name} if name else {}))
        outcome = Outcome(claim_one(home.queue, NOW), "completed", NOW + 2)
        outcome.started = NOW
        home.queue.exchange("w-1", [outcome], 0, NOW, SETTINGS)
    kinds = {name: value for name, value in values(home, "--kinds", "9").items() if "kind_duration" in name}
    begin = "queuectl_kind_duration_seconds "
    assert kinds == {begin + one: 2.0 for one in ("often 50", "often 95", "backup 50", "backup 95")}
    assert [name for name in values(home, "--kinds", "1") if "backup" in name] == []
    assert [name for name in values(home) if "kind" in name] == []


def test_hostile_text_stays_the_text_of_a_label(home):
    for text in HOSTILE:
        samples = parsed(home.run("metrics", "--label", text).stdout)[1]
        assert {labels["queue"] for some in samples.values() for labels, _ in some} == {text}
    with home.queue.database.writing() as connection:
        connection.executemany("INSERT INTO successes VALUES (?, '2027-01-15T08:00:00Z')", [(one,) for one in HOSTILE])
        connection.execute("INSERT INTO successes VALUES (CAST(x'ff22' AS TEXT), '2027-01-15T08:00:00Z')")
        connection.execute("INSERT INTO successes VALUES ('\\xff\"', '2027-01-15T08:00:00Z')")
    samples = parsed(home.run("metrics").stdout)[1]["queuectl_last_success_timestamp_seconds"]
    keys = [labels["key"] for labels, _ in samples]
    assert sorted(keys) == sorted([*HOSTILE, '\\xff"']), "two that look alike are one"
    assert metrics.prom_label("half \ud800 of one") == "half ? of one"


@posix_only
def test_a_file_is_for_all_to_read_whatever_the_umask_and_renamed(home):
    path = os.path.join(home.path, "q.prom")
    words = home.command("metrics", "-o", path)
    subprocess.run(["sh", "-c", 'umask 077; exec "$@"', "sh", *words], check=True, env=home.environment())
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    before = os.stat(path).st_ino
    assert home.run("metrics", "-o", path).stdout == ""
    assert os.stat(path).st_ino != before
    with open(path, encoding="utf-8") as file:
        assert parsed(file.read())[0]
    assert [name for name in os.listdir(home.path) if "partial" in name] == []


def broken(home):
    with open(home.db, "r+b") as file:
        file.write(b"no database at all" * 10)


def missing(home):
    os.unlink(home.db)


@pytest.mark.parametrize("harm", [broken, missing])
def test_where_the_database_cannot_be_read_up_is_zero_and_nothing_else_is_told(home, harm):
    path = os.path.join(home.path, "q.prom")
    harm(home)
    stderr = home.run("metrics", "-o", path, code=3).stderr
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert parsed(text) == ({"queuectl_up": FROZEN["queuectl_up"]}, {"queuectl_up": [({"queue": home.path}, 0.0)]})
    done = subprocess.run(home.command("metrics"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (3, text, stderr)


@pytest.mark.parametrize(
    "words, code, text",
    [
        (["-o", "q.txt"], 2, "node_exporter reads only files whose names end in .prom: name it queuectl.prom"),
        (["-o", ".prom"], 2, "node_exporter reads only"),
        (["-o", ""], 2, "-o is empty"),
        (["-o", "none/q.prom"], 3, '"none": there is no such folder'),
        (["--kinds", "0"], 2, "--kinds: 0 is not between 1 and 1000"),
        (["--label", ""], 2, "--label: give 1 to 200 characters"),
        (["--label", "x" * 201], 2, "--label: give 1 to 200 characters"),
    ],
)
def test_what_cannot_be_meant_is_refused(home, words, code, text):
    assert text in home.run("metrics", *words, code=code).stderr


def test_what_somebody_has_damaged_gives_numbers_all_the_same(home):
    enqueue(home.queue, 0, NOW, id="dead")
    for held in claim(home.queue, NOW):
        settle(home.queue, held, "failed", NOW)
    enqueue(home.queue, 0, NOW, id="due")
    with raw(home.queue) as opened:
        opened.execute("UPDATE jobs SET finished_at = x'ff' WHERE id = 'dead'")
        opened.execute("UPDATE jobs SET next_run_at = 'soon', updated_at = x'c3' WHERE id = 'due'")
        opened.execute("UPDATE counts SET deaths = 'many', jobs = -1")
        opened.execute("UPDATE totals SET value = 'x' WHERE key = ?", (totals.KEY,))
        opened.execute("INSERT INTO kinds VALUES (x'ff', 'x', 1, 1, x'00')")
    found = values(home, "--kinds", "5")
    assert found["queuectl_jobs dead"] == 1 and found["queuectl_deaths_total"] == 0
    assert found["queuectl_oldest_dead_age_seconds"] == 0


def test_on_a_terminal_nothing_of_a_label_acts(home, monkeypatch):
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: True)
    text = home.run("metrics", "--label", "a\x1b[2J\u202e").stdout
    assert 'queuectl_up{queue="a\\x1b[2J\\u202e"} 1\n' in text and "\x1b" not in text


def test_samples_as_json_are_the_same(home):
    found = home.run("metrics", "--label", "q", "--json").json
    assert [sorted(one) for one in found] == [["labels", "name", "value"]] * len(found)
    plain = {" ".join([one["name"], *list(one["labels"].values())[1:]]): one["value"] for one in found}
    assert plain == values(home)
    assert "contradict" in home.run("metrics", "--json", "-o", "q.prom", code=2).stderr
