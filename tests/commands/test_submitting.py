"""Submitting: what `add` and `enqueue` take, what they say, and what then stands in the queue."""

import io
import json
import os
import random
import subprocess
import sys
import threading
import time

import pytest
from helpers.home import SCRIPT, Home
from helpers.marks import WINDOWS, posix_only
from helpers.queue import total
from helpers.waiting import wait_until

import queuectl
from queuectl_lib import times
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import decoding, reading, sources
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import health, looking, showing
from storage import Queue

GENERATED = 12  # characters of a generated id


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A home in which nothing ever runs."""
    home = Home(tmp_path_factory.mktemp("submitting") / "home")
    os.mkdir(home.path, 0o700)
    return home


def fields(home, identifier):
    """A job as the database has it, without the cost of a call."""
    return showing.job(home.queue.database, identifier)


# ---------------------------------------------------------------- add


def test_add_prints_the_id_and_nothing_else(shared):
    done = shared.run("add", "exit 0")
    assert done.stdout == done.id + "\n"
    assert done.stderr == ""
    assert fields(shared, done.id)["command"] == "exit 0"


def test_add_takes_every_option(shared, tmp_path):
    words = ["--id", "every", "--max-retries", "7", "--priority", "-3", "--run-at", "2031-02-03T04:05:06.5+01:00"]
    words += ["--timeout", "1h30m", "--cwd", tmp_path, "--env", "A=1", "--env", "B=x=y z", "--env", "EMPTY="]
    assert shared.add("exit 0", *words) == "every"
    job = fields(shared, "every")
    assert job["max_retries"] == 7
    assert job["priority"] == -3
    assert job["run_at"] == job["next_run_at"] == "2031-02-03T03:05:06.500000Z"
    assert job["timeout"] == 5400
    assert job["cwd"] == str(tmp_path)
    assert job["env"] == {"A": "1", "B": "x=y z", "EMPTY": ""}


def test_options_may_stand_before_the_command(shared):
    job = shared.run("add", "--priority", "4", "--env", "A=1", "exit 0").id
    assert fields(shared, job)["priority"] == 4


def test_what_is_not_given_has_the_default(shared, tmp_path):
    before = time.time()
    job = fields(shared, shared.run("add", "exit 0", cwd=str(tmp_path)).id)
    assert (job["state"], job["attempts"], job["max_retries"], job["priority"]) == ("pending", 0, 3, 0)
    assert (job["run_at"], job["timeout"], job["env"]) == (None, None, {})
    assert os.path.samefile(job["cwd"], str(tmp_path))
    assert before - 1 <= times.utc_seconds(job["created_at"]) <= time.time() + 1


def test_max_retries_comes_from_the_settings_at_the_time_of_adding(home):
    first = home.add("exit 0")
    home.run("config", "set", "max_retries", "0")
    second = home.add("exit 0")
    assert [fields(home, job)["max_retries"] for job in (first, second)] == [3, 0]


def test_a_relative_cwd_starts_where_the_job_is_enqueued(shared, tmp_path):
    (tmp_path / "sub").mkdir()
    job = shared.run("add", "exit 0", "--cwd", "sub", cwd=str(tmp_path)).id
    assert os.path.samefile(fields(shared, job)["cwd"], str(tmp_path / "sub"))


def test_what_stands_behind_two_dashes_is_a_list_of_arguments(shared):
    job = shared.run("add", "--priority", "2", "--", "prog", "--priority", "9", "", "$HOME", "--", "a b").id
    assert fields(shared, job)["command"] == ["prog", "--priority", "9", "", "$HOME", "--", "a b"]
    assert fields(shared, job)["priority"] == 2


def test_a_command_may_hold_any_text(shared):
    command = "printf '%s\\n' \"caf\u00e9 \u65e5\u672c \U0001f600\"\n# second line\ttab"
    assert fields(shared, shared.add(command))["command"] == command


@pytest.mark.parametrize("command", ["-n 5 sleep", "--help me", "- x"])
def test_a_command_line_that_begins_with_a_dash_is_a_command(shared, command):
    assert fields(shared, shared.add(command))["command"] == command


def test_add_json_prints_the_job(shared):
    job = shared.run("add", "exit 0", "--env", "A=1", "--json").json
    assert job["state"] == "pending"
    stored = fields(shared, job["id"])
    del stored["history"]
    assert job.pop("added") is True
    assert job == stored


def test_add_quiet_prints_nothing(shared):
    before = total(shared.queue)
    done = shared.run("add", "exit 0", "--quiet")
    assert (done.stdout, done.stderr) == ("", "")
    assert total(shared.queue) == before + 1


def test_generated_ids_are_short_unique_and_sort_by_age(shared):
    first = shared.add("exit 0")
    batch = shared.run("enqueue", "-", input='{"command": "exit 0"}\n' * 500).stdout.split()
    ids = [first] + batch + [shared.add("exit 0")]
    assert len(set(ids)) == len(ids) == 502
    assert {len(identifier) for identifier in ids} == {GENERATED}
    assert sorted(ids) == ids


def test_ids_made_at_once_by_many_processes_differ(shared):
    processes = [
        subprocess.Popen(shared.command("add", "exit 0"), stdout=subprocess.PIPE, env=shared.environment())
        for _ in range(8)
    ]
    ids = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 8
    assert len(set(ids)) == 8


def test_an_id_of_ones_own_is_kept(shared):
    own = ["job1", "0", "_x", "a.b:c@d+e-f", "x" * 128, "2027-12-01T10:00:00Z"]
    assert [job["id"] for job in enqueued(shared, "id", own)] == own
    assert shared.add("exit 0", "--id", "my-job.2") == "my-job.2"


# ---------------------------------------------------------------- when


def enqueued(home, key, values):
    """Jobs made of values of one key, as stored, in one call."""
    lines = "\n".join(json.dumps({"command": "exit 0", key: value}) for value in values)
    ids = home.run("enqueue", "-", input=lines).stdout.split()
    return [fields(home, identifier) for identifier in ids]


def test_a_delay_makes_a_job_due_that_much_later(shared):
    delays = {"90": 90, "90s": 90, "10m": 600, "1h30m": 5400, "2d": 172800, "0.5": 0.5, "0": 0, "1d1h1m1s": 90061}
    job = fields(shared, shared.add("exit 0", "--delay", "1m30s"))
    jobs = [job] + enqueued(shared, "delay", list(delays) + [90, 0.25])
    found = [times.utc_seconds(job["next_run_at"]) - times.utc_seconds(job["created_at"]) for job in jobs]
    assert [round(seconds, 4) for seconds in found] == [90] + list(delays.values()) + [90, 0.25]
    assert [job["run_at"] for job in jobs] == [job["next_run_at"] for job in jobs]


def test_run_at_is_stored_as_utc(shared):
    times = {
        "2031-12-01T10:00:00Z": "2031-12-01T10:00:00.000000Z",
        "2031-12-01t10:00:00z": "2031-12-01T10:00:00.000000Z",
        "2031-12-01T10:00:00+05:30": "2031-12-01T04:30:00.000000Z",
        "2031-12-01T10:00:00-0800": "2031-12-01T18:00:00.000000Z",
        "2031-12-01T10:00:00.123456Z": "2031-12-01T10:00:00.123456Z",
        "2031-12-01 10:00Z": "2031-12-01T10:00:00.000000Z",
        "1999-01-01T00:00:00Z": "1999-01-01T00:00:00.000000Z",
    }
    assert [job["run_at"] for job in enqueued(shared, "run_at", times)] == list(times.values())
    text = "2031-12-01T10:00:00+05:30"
    assert fields(shared, shared.add("exit 0", "--run-at", text))["run_at"] == times[text]


@pytest.mark.skipif(WINDOWS, reason="TZ in this form is POSIX")
def test_run_at_without_an_offset_is_local_time(shared):
    job = shared.run("add", "exit 0", "--run-at", "2031-12-01T10:00:00", env={"TZ": "XXX-3"}).id
    assert fields(shared, job)["run_at"] == "2031-12-01T07:00:00.000000Z"


def test_a_delayed_job_is_not_run_before_it_is_due(home):
    job = home.add("exit 0", "--delay", "1")
    home.drain()
    job = fields(home, job)
    assert (job["state"], job["attempts"]) == ("completed", 1)
    assert job["run_at"] <= job["started_at"]


# ---------------------------------------------------------------- enqueue

TWO = [{"id": "%s1", "command": "exit 0", "max_retries": 5}, {"id": "%s2", "command": ["echo", "caf\u00e9"]}]
POWERSHELL = '{\r\n    "id":  "%s1",\r\n    "command":  "echo caf\u00e9"\r\n}\r\n'
FORMS = {
    "one-line": ('{"id": "%s1", "command": "exit 0"}', 1),
    "spread-over-lines": ('\n\n{\n  "id": "%s1",\n  "command":\n    "exit 0"\n}\n\n', 1),
    "array": (json.dumps(TWO), 2),
    "spread-array": (json.dumps(TWO, indent=4), 2),
    "lines": ("\n".join(json.dumps(one) for one in TWO), 2),
    "lines-of-windows": ("\r\n".join(json.dumps(one) for one in TWO) + "\r\n", 2),
    "lines-with-gaps": ("\n \n".join(json.dumps(one) for one in TWO) + "\n\n", 2),
    "objects-over-lines": ("\n".join(json.dumps(one, indent=2) for one in TWO), 2),
    "arrays-one-after-another": ('[{"id": "%s1", "command": "a"}]\n[{"id": "%s2", "command": "b"}]', 2),
    "powershell": (POWERSHELL, 1),
}
ENCODINGS = {
    "utf-8": lambda text: text.encode("utf-8"),
    "utf-8-bom": lambda text: text.encode("utf-8-sig"),
    "utf-16-le": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "utf-16-be": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
}


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
@pytest.mark.parametrize("form", ["powershell", "lines-of-windows", "spread-array"])
def test_enqueue_takes_the_form_in_the_encoding(shared, tmp_path, form, encoding):
    text, count = FORMS[form]
    prefix = "%s-%s-" % (form, encoding)
    path = tmp_path / "jobs.json"
    path.write_bytes(ENCODINGS[encoding](text.replace("%s", prefix)))
    done = shared.run("enqueue", "--file", path)
    assert done.stdout.split() == [prefix + "1", prefix + "2"][:count]
    assert done.stderr == ("" if count == 1 else "enqueued %d jobs\n" % count)
    if "caf" in text:
        last = fields(shared, "%s%d" % (prefix, count))["command"]
        assert last in ("echo caf\u00e9", ["echo", "caf\u00e9"])


@pytest.mark.parametrize("form", sorted(FORMS))
def test_enqueue_takes_the_form_as_an_argument_and_from_standard_input(shared, form):
    text, count = FORMS[form]
    prefix = form + "-"
    for way in ("argument", "input"):
        given = text.replace("%s", prefix + way)
        done = shared.run("enqueue", given) if way == "argument" else shared.run("enqueue", "-", input=given)
        assert done.stdout.split() == [prefix + way + "1", prefix + way + "2"][:count]


def test_enqueue_takes_every_key(shared, tmp_path):
    given = {
        "id": "all-keys",
        "command": ["prog", "a b"],
        "max_retries": 0,
        "priority": 12,
        "run_at": "2031-12-01T10:00:00Z",
        "timeout": "2m",
        "cwd": str(tmp_path),
        "env": {"A": "b", "C": ""},
    }
    shared.run("enqueue", json.dumps(given))
    job = fields(shared, "all-keys")
    assert {key: job[key] for key in given} == dict(given, run_at="2031-12-01T10:00:00.000000Z", timeout=120)


def test_null_stands_for_the_default(shared):
    keys = ["id", "max_retries", "priority", "run_at", "delay", "timeout", "cwd", "env"]
    job = fields(shared, shared.run("enqueue", json.dumps(dict({"command": "exit 0"}, **dict.fromkeys(keys)))).id)
    assert (job["max_retries"], job["priority"], job["run_at"], job["env"]) == (3, 0, None, {})


def test_fields_that_queuectl_sets_are_ignored_on_input(shared):
    own = {
        "state": "failed",
        "attempts": 99,
        "next_run_at": "1999-01-01T00:00:00Z",
        "created_at": "1999-01-01T00:00:00Z",
        "updated_at": "nonsense",
        "started_at": 5,
        "finished_at": [],
        "exit_code": 1,
        "last_error": "x",
        "worker": {"a": 1},
    }
    identifier = shared.run("enqueue", json.dumps(dict(own, command="exit 0"))).id
    job = fields(shared, identifier)
    assert (job["state"], job["attempts"]) == ("pending", 0)
    assert job["created_at"] == job["updated_at"] == job["next_run_at"] > "2025"
    assert [job[key] for key in ("started_at", "finished_at", "exit_code", "last_error", "worker")] == [None] * 5


def test_enqueue_json_prints_the_ids_in_order(shared):
    done = shared.run("enqueue", "-", "--json", input='{"id": "z", "command": "a"}\n{"id": "y", "command": "b"}\n')
    assert done.json == {"enqueued": 2, "ids": ["z", "y"], "there": []}


def test_enqueue_quiet_prints_nothing(shared):
    done = shared.run("enqueue", "-", "--quiet", input='{"command": "a"}\n{"command": "b"}\n')
    assert (done.stdout, done.stderr) == ("", "")


def test_jobs_of_one_batch_run_in_their_order(home):
    text = "\n".join(json.dumps({"id": "job%d" % number, "command": "exit 0"}) for number in (3, 1, 2))
    home.run("enqueue", "-", input=text)
    home.drain()
    jobs = [fields(home, "job%d" % number) for number in (1, 2, 3)]
    assert [job["id"] for job in sorted(jobs, key=lambda job: job["started_at"])] == ["job3", "job1", "job2"]


def some_jobs(count):
    """Jobs of every kind, alone and in runs of the same kind."""
    kinds = [
        {},
        {"priority": -2, "max_retries": 7},
        {"command": ["a", "b c"]},
        {"timeout": "1m"},
        {"delay": 3600},
        {"cwd": "sub"},
        {"env": {"A": "x"}},
        {"run_at": "2031-12-01T10:00:00Z", "priority": 3},
        {"unique": "k%d"},
        {"unique": "k%d", "timeout": 5},
    ]
    chance, jobs = random.Random(count), []
    while len(jobs) < count:
        kind = chance.choice(kinds)
        for _ in range(chance.choice((1, 1, 2, 60, 130, 250))):
            number = len(jobs)
            job = dict({"id": "job%d" % number, "command": "echo %d" % number}, **kind)
            jobs.append(dict(job, unique=job["unique"] % number) if "unique" in job else job)
    return jobs[:count]


def test_many_jobs_at_once_are_stored_as_one_by_one(tmp_path):
    maker, jobs, stored = JobMaker(3, "/", 0o022, 1800000000.0), some_jobs(600), []
    for name in ("together", "apart"):
        queue = Queue(str(tmp_path / name))
        queue.database.create()
        rows = [(line, maker.row(job)) for line, job in enumerate(jobs, 1)]
        given = list(queue.enqueue_each(rows)) if name == "together" else [queue.enqueue(row) for _, row in rows]
        assert given == [job["id"] for job in jobs]
        stored.append(
            (
                showing.jobs(queue.database, [], len(jobs))[0],
                looking.counts(queue.database),
                health.due_work(queue.database, 1800000000.0, 0),
            )
        )
    assert stored[0] == stored[1]
    assert len(stored[0][0]) == len(jobs)


# ---------------------------------------------------------------- all or nothing


@pytest.mark.parametrize("first, second", [(0, 1), (3, 99), (99, 100), (5, 250), (0, 299)])
def test_an_id_that_comes_twice_is_named_with_its_second_line(home, first, second):
    jobs = [dict(job, unique=None) for job in some_jobs(300)]
    jobs[second]["id"] = jobs[first]["id"]
    jobs[-1]["id"] = jobs[second]["id"]  # a third time, or not
    text = "".join(json.dumps(job) + "\n" for job in jobs)
    told = home.run("enqueue", "-", input=text, code=1).stderr
    assert told == "queuectl: error: line %d: id job%d comes twice: nothing was added\n" % (second + 1, first)
    assert total(home.queue) == 0


def test_an_enqueue_that_failed_leaves_nothing(home):
    kept = home.add("exit 0", "--id", "kept")
    good = "".join('{"id": "job%d", "command": "exit 0"}\n' % number for number in range(5000))
    home.run("enqueue", "-", input=good + '{"command": 5}\n', code=2)
    home.run("enqueue", "-", input=good + '{"id": "kept", "command": "exit 0"}\n', code=1)
    home.run("enqueue", "-", input=good + '{"id": "job0", "command": "exit 0"}\n', code=1)
    assert total(home.queue) == 1
    assert fields(home, kept)["state"] == "pending"
    assert len(home.run("enqueue", "-", input=good).stdout.split()) == 5000


def test_a_producer_that_is_killed_half_way_through_a_line_leaves_nothing(home):
    """What it wrote is not JSON, so nothing of it is taken."""
    home.run("enqueue", "-", input='{"command": "exit 0"}\n{"command": "exi', code=2)
    assert total(home.queue) == 0


# ---------------------------------------------------------------- large and slow

PEAK = """
import resource, subprocess, sys
words, count = sys.argv[2:], int(sys.argv[1])
process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
for number in range(count // 100):
    process.stdin.write(b'{"command": "echo a line of an ordinary length, as they come", "priority": 1}\\n' * 100)
process.stdin.close()
process.wait()
unit = 1 if sys.platform == "darwin" else 1024
print(process.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit)
"""
BYTES_PER_LINE = 250  # what a returned id may cost; a job held in memory costs several times as much


@pytest.mark.skipif(WINDOWS, reason="getrusage is POSIX")
def test_memory_stays_flat_however_many_lines_come(home):
    peaks = []
    for count in (1000, 60000):
        words = [sys.executable, "-c", PEAK, str(count)] + home.command("enqueue", "-")
        code, peak = subprocess.check_output(words, env=home.environment()).split()
        assert code == b"0"
        peaks.append(int(peak))
    assert total(home.queue) == 61000
    growth = (peaks[1] - peaks[0]) / 59000.0
    assert growth < BYTES_PER_LINE, "%d bytes per line" % growth


def test_twenty_thousand_lines_are_taken_at_once(home, tmp_path):
    path = tmp_path / "many.jsonl"
    path.write_text("".join('{"id": "job%05d", "command": "exit 0"}\n' % number for number in range(20000)))
    done = home.run("enqueue", "--file", path)
    assert done.stdout.split() == ["job%05d" % number for number in range(20000)]
    assert looking.counts(home.queue.database)["pending"] == 20000


def test_a_slow_producer_holds_nobody_up(home):
    """Its lines have been read (more than a pipe holds), the rest is still to come: others enqueue meanwhile."""
    line = b'{"command": "exit 0", "env": {"A": "%s"}}\n' % (b"x" * 1000)
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "--home", home.path, "enqueue", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=home.environment(),
    )
    try:
        written = threading.Event()

        def produce():
            for _ in range(1000):
                process.stdin.write(line)
            process.stdin.flush()
            written.set()

        thread = threading.Thread(target=produce, daemon=True)
        thread.start()
        wait_until(written.is_set, "the first lines to be read")
        began = time.monotonic()
        ids = [home.add("exit 0"), home.run("enqueue", '{"command": "exit 0"}').id]
        assert time.monotonic() - began < 5
        assert looking.counts(home.queue.database)["pending"] == 2
        home.run("cancel", *ids)
        output = process.communicate(line)[0]
        assert process.returncode == 0
        assert len(output.split()) == 1001
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert looking.counts(home.queue.database)["pending"] == 1001


@pytest.mark.parametrize(
    "text",
    [
        '{"env": {"A": "1"}\n, "command": "true"}',
        '{"command": "true",\n "env": {}}',
        '{\n"command": "true"}\n{"command":\n"true"}',
        '{"env": {},\n\n"command": "true"\n}\n',
    ],
)
def test_an_object_may_go_over_several_lines(home, text):
    ids = home.run("enqueue", "-", input=text).stdout.split()
    assert {home.job(one)["command"] for one in ids} == {"true"}


def test_a_broken_line_of_many_is_named(home):
    refused = home.run("enqueue", "-", input='{"command": "true" "id": "a"}\n{"command": "true"}\n', code=2)
    assert "line 1, column 20" in refused.stderr


def jobs_read(data):
    """What is read from *data*: pairs of line and job, at the end a refusal."""
    found = []
    try:
        for pair in reading.read_jobs(io.BytesIO(data), lambda done, total, lines: None):
            found.append(pair)
    except BadInput as error:
        found.append(str(error))
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10000])
def test_where_a_block_of_the_input_ends_changes_nothing(monkeypatch, size):
    """Not in the middle of a letter, of a line, of its end."""
    monkeypatch.setattr(sources, "BLOCK_BYTES", size)
    jobs = [{"command": "echo \u65e5\u672c\u2028 %d" % number} for number in range(5)]
    lines = [json.dumps(job, ensure_ascii=False) for job in jobs]
    for end, numbers in (("\n", (1, 2, 3, 4, 5)), ("\r\n", (1, 2, 3, 4, 5)), ("\n \n\r\n", (1, 4, 7, 10, 13))):
        for last in ("", end):
            assert jobs_read((end.join(lines) + last).encode()) == list(zip(numbers, jobs))
    array = [("1, job %d" % number, job) for number, job in enumerate(jobs, 1)]
    assert jobs_read(json.dumps(jobs, indent=1).encode()) == array


# What is wrong in JSON that goes over several lines, or in an array, and where.
MISTAKES = {
    '[{"a": 1},\n{"b": 2} {"c": 3}]': "line 2, column 10: Expecting ',' delimiter",
    '[{"a": 1},\n {"b": 2}\n\n': "line 3, column 1: Expecting ',' delimiter",
    '[\n{"a": 1},\n{"b": \n nul}]': "line 4, column 2: Expecting value",
    '[\n{"a": 1},\n{"b": 123': "line 3, column 10: Expecting ',' delimiter",
    '[\n{"a": 1},\n{"b": "c\\u12': "line 3, column 10: Invalid \\uXXXX escape",
    '[\n{"a": 1},\n{"b": "c\n"}]': "line 3, column 9: Invalid control character at",
    '[\n{"a": 1},\n"b': "line 3, column 1: Unterminated string starting at",
    "\n[": "line 2, column 2: Expecting value",
    '{"a": 1\n}\n\n[{"b": 1}, {"b": \nNaN}]': "line 4: NaN is not a number that JSON knows",
    '[{"a": 1}]\n{"b": 1, "b": \n2}': 'line 2: the key "b" comes twice',
}


@pytest.mark.parametrize("size", [1, 2, 7, 10000])
@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_named_by_its_place_wherever_a_block_of_the_input_ends(monkeypatch, text, size):
    monkeypatch.setattr(sources, "BLOCK_BYTES", size)
    assert jobs_read(text.encode())[-1] == MISTAKES[text] + ": nothing was added"


@pytest.mark.parametrize("size", [4, 5, 10000])
def test_the_first_wrong_line_is_named_whatever_is_wrong_with_those_behind_it(monkeypatch, size):
    monkeypatch.setattr(sources, "BLOCK_BYTES", size)
    monkeypatch.setattr(sources, "LINE_BYTES", 100)
    good, long = b'{"command": "true"}\n', b'{"command": "%s"}\n' % (b"x" * 100)
    wrong = {
        b"oops\n": "line 2, column 1: Expecting value: nothing was added",
        b'{"command": "\xff"}\n': "line 2: not valid UTF-8: nothing was added",
        long: "line 2 is longer than 100 bytes: nothing was added",
        long.replace(b"x", b"\xc3\xa9"): "line 2 is longer than 100 bytes: nothing was added",
    }
    for line, message in wrong.items():
        for other in wrong:
            assert jobs_read(good + line + other + good) == [(1, {"command": "true"}), message]
    assert jobs_read(long) == ["line 1 is longer than 100 bytes: nothing was added"]


def test_the_quick_way_to_read_a_line_finds_what_the_careful_way_finds():
    """Random objects, many with keys that come twice, colons and escapes: it gives the same, or leaves it to that."""
    chance = random.Random(1)
    texts = ['"a"', '":"', '"a:b"', '"\\u003a"', '"\\""', "1", "null", "[1]", '[":"]', "{}"]
    texts += ['{"a": 1}', '{"a": 1, "a": ":"}']
    agreed = 0
    for _ in range(20000):
        pairs = [chance.choice(('"a"', '"b"', '"c:"', '"\\u0061"')) for _ in range(chance.randrange(4))]
        line = "{%s}" % ", ".join("%s%s%s" % (key, chance.choice((":", " : ")), chance.choice(texts)) for key in pairs)
        quick = decoding.plain_object(line)
        try:
            careful = decoding.DECODER.decode(line)
        except BadInput:
            assert quick is None, line
        else:
            assert quick is None or quick == careful, line
            agreed += quick == careful
    assert agreed > 1000


@pytest.mark.skipif(WINDOWS, reason="pipes are polled there")
def test_a_wrong_line_is_refused_while_its_producer_still_waits(home):
    words = home.command("enqueue", "-")
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment()) as process:
        process.stdin.write(b'{"command": "true"}\noops\n')
        process.stdin.flush()
        assert process.wait(30) == 2
        assert b"line 2, column 1" in process.stderr.read()


# ---------------------------------------------------------------- large input that is not JSON Lines


def test_an_array_in_one_line_may_be_longer_than_any_line_of_json_lines(home, monkeypatch):
    monkeypatch.setattr(sources, "LINE_BYTES", 1000)
    text = json.dumps([{"command": "echo %d" % number} for number in range(200)])
    source = os.path.join(home.path, "jobs.json")
    with open(source, "w") as file:
        file.write(text)
    assert queuectl.main(["--home", home.path, "enqueue", "--quiet", "--file", source]) == 0
    assert looking.counts(home.queue.database)["pending"] == 200


@pytest.mark.parametrize("letter", ["x", "\u00e9"], ids=["ascii", "two bytes"])
def test_a_line_that_is_too_long_is_named_whatever_it_is_made_of(home, monkeypatch, capsys, letter):
    monkeypatch.setattr(sources, "LINE_BYTES", 1000)
    source = os.path.join(home.path, "jobs.jsonl")
    with open(source, "w", encoding="utf-8") as file:
        file.write('{"command": "true"}\n{"command": "%s"}\n' % (letter * 995))
    assert queuectl.main(["--home", home.path, "enqueue", "--file", source]) == 2
    assert "line 2 is longer than 1000 bytes: nothing was added" in capsys.readouterr().err


@posix_only  # Windows counts CPU time in steps of 16 ms
def test_objects_over_several_lines_are_read_in_time_that_grows_with_their_number():
    """Twenty times as many take less than a hundred times as long (a quadratic reader: four hundred)."""

    def seconds_for(count):
        text = '{\n  "command": "true"\n}\n' * count
        began = time.process_time()  # other processes do not count
        assert sum(1 for _ in reading.read_values([text], 1)) == count
        return time.process_time() - began

    few = min(seconds_for(2000) for _ in range(5))
    assert min(seconds_for(40000) for _ in range(3)) < 100 * few


@pytest.mark.parametrize("name", ["QUEUECTL_JOB_ID", "QUEUECTL_TOKEN"])
def test_a_variable_that_queuectl_itself_sets_is_refused(home, name):
    said = home.run("add", "true", "--env", name + "=hidden", code=2).stderr
    assert name in said and "hidden" not in said
