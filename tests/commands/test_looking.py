"""Looking: what status, list, show, logs and wait print, and where it can go."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time

import pytest
from helpers.home import Home, through_a_shell
from helpers.marks import WINDOWS, posix_only
from helpers.near import Near
from helpers.terminals import THE_END, read_to_the_end
from helpers.waiting import wait_until

from queuectl_lib import times
from queuectl_lib.store import looking


@pytest.fixture
def home(near):
    return near

# Each of these drives a terminal when it is sent raw: title, colour (also the one-byte C1 form), direction, line.
HOSTILE = "\x1b]0;owned\x07 \x1b[31m \x9b32m \x08\x08 \u202edrow \r over\nFAKE LINE \x7f"
BINARY = bytes(bytearray(range(256))) * 3
PRINT_HOSTILE = "printf '\\033]0;owned\\007 \\302\\23332m \\342\\200\\256drow \\r over\\377\\n'"


TWICE = "echo out $QUEUECTL_ATTEMPT; echo err $QUEUECTL_ATTEMPT >&2; exit 3"


def label(value):
    """The name of a row: its words."""
    return " ".join(value) if isinstance(value, list) else None


def is_harmless(text):
    """True where nothing but line ends could act on a terminal."""
    return all(line.isprintable() for line in text.split("\n"))


def on_a_terminal(home, *words, **settings):
    """What the call shows on a terminal of its own (80 columns unless told), standard error included."""
    import fcntl
    import pty
    import struct
    import termios

    columns = settings.pop("columns", 80)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    left_out = ("COLUMNS", "LINES", "NO_COLOR")
    environment = {key: value for key, value in home.environment().items() if key not in left_out}
    environment.update({"TERM": "xterm", "PYTHONUTF8": "1"}, **settings)
    process = subprocess.Popen(
        home.command(*words), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment
    )
    marking = threading.Thread(target=mark_the_end, args=(process, theirs))
    marking.start()
    shown = read_to_the_end(ours)
    marking.join()
    os.close(theirs)
    os.close(ours)
    assert process.poll() == 0, shown
    return shown.decode("utf-8").replace("\r\n", "\n")


def mark_the_end(process, terminal):
    """Write THE_END to *terminal* where *process* has ended."""
    try:
        process.wait(60)
    finally:
        os.write(terminal, THE_END)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A home in which everything has run that is looked at here, and nothing runs any more."""
    home = Near(tmp_path_factory.mktemp("looking") / "home")
    os.mkdir(home.path, 0o700)
    jobs = [
        {"id": "good", "command": "echo out; echo err >&2"},
        {"id": "twice", "command": TWICE, "max_retries": 1},
        {"id": "secret", "command": "exit 0", "env": {"TOKEN": "sw0rdfish", "OTHER": "sw0rdfish"}},
        {"id": "list", "command": ["printf", "%s", "a b", "$HOME", ""]},
        {"id": "hostile-command", "command": "exit 0 # " + HOSTILE},
        {"id": "hostile-list", "command": ["true", HOSTILE]},
        {"id": "hostile-cwd", "command": "exit 0", "cwd": "/nowhere/" + HOSTILE, "max_retries": 0},
        {"id": "hostile-output", "command": "%s; %s >&2" % (PRINT_HOSTILE, PRINT_HOSTILE)},
        {"id": "binary", "command": "cat '%s'" % os.path.join(home.path, "binary")},
        {"id": "long", "command": "exit 0 # " + "x" * 500},
        {"id": "silent", "command": "exit 0"},
        {"id": "left-out", "command": "exit 0"},
    ]
    with open(os.path.join(home.path, "binary"), "wb") as file:
        file.write(BINARY)
    home.run("enqueue", "-", input=json.dumps(jobs))
    home.run("cancel", "left-out")
    home.worker_log = home.drain()
    home.run("add", "exit 0", "--id", "waiting", "--delay", "300d")
    return home


# ---------------------------------------------------------------- status

ZERO = {"pending": 0, "processing": 0, "completed": 0, "failed": 0, "dead": 0, "cancelled": 0}


@pytest.mark.parametrize(
    "words", [["status"], ["list"], ["dlq", "list"], ["worker", "list"], ["wait"], ["config", "get"]], ids=label
)
def test_looking_at_a_queue_that_was_never_used_creates_nothing(tmp_path, words):
    home = Home(tmp_path / "home")
    home.run(*words)
    assert not os.path.exists(home.path)


def test_status_of_a_queue_that_was_never_used_shows_zeros(tmp_path):
    home = Home(tmp_path / "home")
    value = home.run("status", "--json").json
    assert {state: value[state] for state in ZERO} == ZERO
    assert (value["workers"], value["oldest_waiting"]) == (0, None)
    assert value["database"] == os.path.realpath(home.db)
    lines = home.run("status").stdout.splitlines()
    for state in ZERO:
        assert any(line.split() == [state, "0"] for line in lines), state


@posix_only
def test_status_counts_every_state(ran):
    value = ran.run("status", "--json").json
    assert {state: value[state] for state in ZERO} == dict(ZERO, pending=1, completed=9, dead=2, cancelled=1)
    assert value["workers"] == 0
    assert value["oldest_waiting"]["id"] == "waiting"
    shown = ran.run("status").stdout
    for words in (["pending", "1"], ["completed", "9"], ["dead", "2"], ["failed", "0"], ["cancelled", "1"]):
        assert words in [line.split() for line in shown.splitlines()]
    assert re.search(r"^oldest waiting +waiting, enqueued \d+s ago, due in \d", shown, re.M), shown
    assert os.path.realpath(ran.db) in shown


# ---------------------------------------------------------------- list


def rows_of(text):
    return [line.split(None, 1)[0] for line in text.splitlines()[1:]]


@posix_only
def test_list_shows_a_job_per_line_newest_last(ran):
    done = ran.run("list")
    assert rows_of(done.stdout)[0] == "good"
    assert rows_of(done.stdout)[-1] == "waiting"
    assert len(rows_of(done.stdout)) == 13
    assert done.stderr == ""


@posix_only
def test_a_line_of_list_can_be_grepped(ran):
    """On a pipe nothing is cut off, and id, state, attempts and command stand on one line."""
    lines = {line.split()[0]: line for line in ran.run("list").stdout.splitlines()}
    assert "x" * 500 in lines["long"]
    assert lines["twice"].split()[1:3] == ["dead", "2/2"]
    assert lines["good"].split()[1:3] == ["completed", "1/4"]
    assert lines["waiting"].split()[1:3] == ["pending", "0/4"]
    assert "due in" in lines["waiting"]
    assert lines["good"].endswith("echo out; echo err >&2")
    assert lines["list"].endswith("printf %s 'a b' '$HOME' ''")
    assert not any(line.endswith(" ") for line in lines.values())


@posix_only
@pytest.mark.parametrize(
    "options, count",
    [
        (["--state", "completed"], 9),
        (["--state", "dead"], 2),
        (["--state", "dead,cancelled"], 3),
        (["--state", "cancelled,dead,dead"], 3),
        (["--state", "processing"], 0),
        (["--dlq"], 2),
        (["--dlq", "--state", "dead"], 2),
    ],
    ids=label,
)
def test_list_can_be_narrowed_to_states(ran, options, count):
    assert len(ran.run("list", "--json", *options).json) == count


def test_list_of_nothing_says_so(home):
    done = home.run("list", "--state", "processing")
    assert (done.stdout, done.stderr) == ("", "no jobs are processing\nno queue in %s yet\n" % home.path)
    assert home.run("list", "--json").json == []


@posix_only
def test_dlq_list_is_list_of_dead_jobs(ran):
    assert ran.run("dlq", "list", "--json").json == ran.run("list", "--state", "dead", "--json").json


@posix_only
def test_list_shows_the_newest_and_says_that_there_are_more(ran):
    done = ran.run("list", "--limit", "2")
    assert rows_of(done.stdout) == ["left-out", "waiting"]
    assert "more" in done.stderr
    assert "2" in done.stderr
    assert [job["id"] for job in ran.run("list", "--limit", "2", "--json").json] == ["left-out", "waiting"]


def test_list_stops_at_fifty_unless_told(home):
    home.run("enqueue", "-", input='{"command": "exit 0"}\n' * 51)
    done = home.run("list")
    assert len(rows_of(done.stdout)) == 50
    assert "more" in done.stderr
    everything = home.run("list", "--limit", "51")
    assert len(rows_of(everything.stdout)) == 51
    assert everything.stderr == ""
    assert rows_of(everything.stdout)[1:] == rows_of(done.stdout)


def columns_of(text):
    """How wide a terminal shows *text*: East Asian wide characters take two columns."""
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


@posix_only
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_list_fits_a_terminal(ran, columns):
    shown = on_a_terminal(ran, "list", columns=columns, NO_COLOR="1")
    assert max(map(columns_of, shown.splitlines())) <= columns
    assert columns == 60 or max(map(len, shown.splitlines())) == columns  # the room there is, is used
    assert len(rows_of(shown)) == 13


@posix_only
def test_list_fits_a_terminal_also_with_wide_characters(home):
    home.add("echo " + "\u65e5\u672c" * 40)
    shown = on_a_terminal(home, "list")
    assert max(map(columns_of, shown.splitlines())) <= 80


@posix_only
@pytest.mark.parametrize("words", [["list"], ["status"]], ids=label)
def test_colour_is_for_terminals_that_want_it(ran, words):
    assert "\x1b[" in on_a_terminal(ran, *words)
    assert "\x1b" not in on_a_terminal(ran, *words, NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(ran, *words, TERM="dumb")
    assert "\x1b" not in ran.run(*words, env={"TERM": "xterm", "CLICOLOR_FORCE": "0"}).stdout
    assert "\x1b" not in on_a_terminal(ran, *words + ["--json"])


# ---------------------------------------------------------------- --json


@posix_only
@pytest.mark.parametrize(
    "words, kind",
    [
        (["list"], list),
        (["list", "--state", "failed"], list),
        (["list", "--limit", "1"], list),
        (["dlq", "list"], list),
        (["show", "hostile-output"], dict),
        (["show", "binary"], dict),
        (["show", "hostile-cwd"], dict),
        (["status"], dict),
        (["wait", "good"], dict),
        (["worker", "list"], list),
        (["config", "get"], dict),
        (["config", "get", "max_retries"], int),
        (["prune", "--older-than", "99d"], dict),
    ],
    ids=label,
)
def test_json_is_one_value_of_plain_ascii(ran, words, kind):
    done = ran.run(*words + ["--json"])
    assert isinstance(json.loads(done.stdout), kind)
    assert is_harmless(done.stdout)
    assert done.stdout.isascii() and done.stdout.endswith("\n")


def test_commands_that_change_something_print_one_json_value_too(home):
    assert home.run("add", "exit 0", "--json").json["state"] == "pending"
    assert home.run("enqueue", '{"command": "exit 0"}', "--json").json["enqueued"] == 1
    assert home.run("dlq", "purge", "--json").json == {"deleted": 0, "ids": None}
    assert home.run("prune", "--json").json == {"deleted": 0, "ids": None}


def test_an_error_leaves_standard_output_empty_with_json_too(home):
    done = home.run("show", "nobody", "--json", code=1)
    assert done.stdout == ""
    assert json.loads(done.stderr)["error"]["message"].startswith("no job has the id")


# ---------------------------------------------------------------- text from jobs cannot drive the terminal


@posix_only
@pytest.mark.parametrize(
    "words",
    [["list"]] + [["show", "hostile-" + name] for name in ("command", "list", "cwd", "output")],
    ids=label,
)
def test_control_characters_are_shown_and_never_sent(ran, words):
    shown = ran.run(*words).stdout
    assert is_harmless(shown), repr(shown)
    assert "\\x1b]0;owned\\x07" in shown
    assert "\\u202e" in shown
    assert "\nFAKE LINE" not in shown
    assert is_harmless(on_a_terminal(ran, *words, NO_COLOR="1"))


@posix_only
def test_logs_on_a_terminal_shows_control_characters(ran):
    for words in (["logs", "hostile-output"], ["logs", "hostile-output", "--stderr"], ["logs", "binary"]):
        shown = on_a_terminal(ran, *words)
        assert is_harmless(shown.replace("\t", "")), repr(shown)
        assert "\\x1b" in shown


@posix_only
def test_the_log_of_a_worker_is_harmless(ran):
    assert "\\x1b]0;owned\\x07" in ran.worker_log
    assert is_harmless(ran.worker_log)
    assert "\nFAKE LINE" not in ran.worker_log


@posix_only
def test_what_an_error_quotes_is_harmless(ran):
    for words in (["show"], ["list", "--state"], ["config", "get"], ["add", "exit 0", "--id"]):
        words = words + [HOSTILE]
        done = subprocess.run(ran.command(*words), stderr=subprocess.PIPE, env=ran.environment())
        assert done.returncode in (1, 2)
        text = done.stderr.decode("utf-8")
        assert is_harmless(text)
        assert text.count("\n") == 1
        assert "\\x1b" in text


# ---------------------------------------------------------------- show


@posix_only
def test_show_displays_every_field_each_attempt_and_its_output(ran):
    shown = ran.run("show", "twice", "--all").stdout
    names = [line.split()[0] for line in shown.split("\n\n")[0].splitlines()]
    fields = "id command state attempts max_retries priority run_at next_run_at timeout cwd env created_at updated_at"
    fields += " started_at finished_at exit_code last_error worker"
    assert set(fields.split()) <= set(names)
    for word in ("attempt 1", "attempt 2", "out 1", "out 2", "err 1", "err 2", "exit code 3"):
        assert word in shown
    assert shown.index("attempt 1") < shown.index("out 1") < shown.index("attempt 2") < shown.index("out 2")


@posix_only
def test_show_json_carries_every_attempt_with_its_output(ran):
    job = ran.job("twice")
    assert (job["state"], job["attempts"], job["exit_code"]) == ("dead", 2, 3)
    assert [attempt["number"] for attempt in job["history"]] == [1, 2]
    assert [attempt["stdout"] for attempt in job["history"]] == ["out 1\n", "out 2\n"]
    assert [attempt["stderr"] for attempt in job["history"]] == ["err 1\n", "err 2\n"]
    assert [attempt["exit_code"] for attempt in job["history"]] == [3, 3]
    for attempt in job["history"]:
        assert attempt["started_at"] <= attempt["finished_at"]


@posix_only
def test_the_values_of_env_are_shown_to_programs_and_not_to_people(ran):
    shown = ran.run("show", "secret").stdout
    assert "TOKEN" in shown and "OTHER" in shown
    assert "sw0rdfish" not in shown + ran.run("list").stdout + ran.worker_log
    assert ran.job("secret")["env"] == {"TOKEN": "sw0rdfish", "OTHER": "sw0rdfish"}


@posix_only
def test_show_names_a_list_as_one_would_type_it(ran):
    assert "printf %s 'a b' '$HOME' ''" in ran.run("show", "list").stdout
    assert ran.job("list")["command"] == ["printf", "%s", "a b", "$HOME", ""]


# ---------------------------------------------------------------- logs


@posix_only
def test_logs_on_a_pipe_is_exact_to_the_byte(ran):
    done = subprocess.run(ran.command("logs", "binary"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    assert done.stdout == BINARY
    assert done.stderr == b""


@posix_only
def test_logs_sends_each_stream_to_its_own(ran):
    done = ran.run("logs", "good")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    only = ran.run("logs", "good", "--stderr")
    assert (only.stdout, only.stderr) == ("err\n", "")


@posix_only
def test_logs_prints_the_last_attempt_or_the_one_asked_for(ran):
    assert ran.run("logs", "twice").stdout == "out 2\n"
    assert ran.run("logs", "twice", "--attempt", "1").stdout == "out 1\n"
    assert ran.run("logs", "twice", "--attempt", "2", "--stderr").stdout == "err 2\n"


@posix_only
def test_logs_of_a_job_without_output_is_empty(ran):
    for job in ("silent", "left-out", "waiting"):
        assert ran.run("logs", job).stdout == ""


@posix_only
def test_follow_of_a_job_that_has_ended_ends(ran):
    assert ran.run("logs", "good", "--follow").stdout == "out\n"
    assert ran.run("logs", "twice", "-f", "--attempt", "1").stdout == "out 1\n"
    assert ran.run("logs", "left-out", "--follow").stdout == ""


def follow(home, job, path, *options):
    with open(path, "wb") as file:
        words = home.command("logs", job, "--follow", *options)
        return subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, env=home.environment())


def read(path):
    with open(path, "rb") as file:
        return file.read()


@posix_only
def test_follow_begins_before_the_job_and_ends_with_it(home, tmp_path):
    """Meanwhile list, show, status and worker list tell of the running job."""
    gate, path = str(tmp_path / "gate"), str(tmp_path / "followed")
    job = home.add("echo begin; while [ ! -e '%s' ]; do sleep 0.05; done; echo end" % gate)
    process = follow(home, job, path)
    try:
        home.start("--poll-interval", "0.1")
        wait_until(lambda: read(path).endswith(b"begin\n"), "the first line to be followed")
        assert process.poll() is None
        assert home.run("logs", job).stdout == "begin\n"
        assert home.run("wait", job, "--timeout", "0.1", code=124).stdout == ""
        assert "begin" in home.run("show", job).stdout
        assert home.job(job)["history"][0]["stdout"] == "begin\n"
        assert [one["id"] for one in home.run("list", "--state", "processing", "--json").json] == [job]
        check_members(home, job)
        open(gate, "w").close()
        assert process.wait(20) == 0
        begun, ended = read(path).split(b"begin\nend\n")
        assert begun.endswith(b"==> attempt 1 of 4 <==\n")
        assert ended.startswith(b"job %s completed: attempt 1 of 4, after " % job.encode()) and ended.count(b"\n") == 1
        home.run("wait", job, "--timeout", "20")
        home.run("worker", "stop")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def check_members(home, job):
    """`worker list` names the supervisor and the worker with its job, for programs and for people."""
    members = home.run("worker", "list", "--json").json
    assert sorted(member["kind"] for member in members) == ["supervisor", "worker"]
    for member in members:
        os.kill(member["pid"], 0)
        assert member["host"]
        assert abs(time.time() - times.utc_seconds(member["since"])) < 60
    assert {member["kind"]: member["job"] for member in members} == {"supervisor": None, "worker": job}
    assert job in home.run("worker", "list").stdout
    status = home.run("status", "--json").json
    assert (status["processing"], status["workers"]) == (1, 1)


@posix_only
def test_follow_goes_on_across_retries(home, tmp_path):
    gate, path = str(tmp_path / "gate"), str(tmp_path / "followed")
    wait_for_gate = "while [ ! -e '%s' ]; do sleep 0.05; done" % gate
    job = home.add("echo out $QUEUECTL_ATTEMPT; %s; [ $QUEUECTL_ATTEMPT = 3 ]" % wait_for_gate)
    process = follow(home, job, path)
    try:
        home.start("--drain", "--backoff-base", "0")
        wait_until(lambda: read(path).endswith(b"out 1\n"), "the first attempt to be followed")
        open(gate, "w").close()
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    lines = read(path).decode("ascii").splitlines()
    assert lines[-2:] == ["out 3", lines[-1]] and lines[-1].startswith("job %s completed: attempt 3 of 4" % job)
    assert [line for line in lines if line.startswith("==>")] == ["==> attempt %d of 4 <==" % n for n in (1, 2, 3)]
    assert [line for line in lines if line.startswith("out")] == ["out 1", "out 2", "out 3"]


# ---------------------------------------------------------------- wait


@posix_only
@pytest.mark.parametrize(
    "words, code",
    [
        (["good"], 0),
        (["good", "silent", "good"], 0),
        (["good", "twice"], 1),
        (["left-out"], 1),
        (["good", "waiting", "--timeout", "0"], 124),
        (["twice", "waiting", "--timeout", "0.05"], 124),
        (["--timeout", "0"], 124),
    ],
    ids=label,
)
def test_wait_tells_by_its_exit_code(ran, words, code):
    done = ran.run("wait", "--json", *words, code=code)
    assert ("timed out" in done.stderr) == (code == 124)
    assert done.json["timed_out"] == (code == 124)


def test_wait_for_all_of_an_empty_queue_is_done_at_once(home):
    assert home.run("wait").stdout == ""


def test_wait_counts_a_job_that_is_named_twice_once(home):
    job = home.add("exit 0")
    done = home.run("wait", job, job, "--timeout", "0.1", "--json", code=124)
    assert done.json["pending"] == 1
    assert done.stderr.endswith("timed out: 1 job is not final\n")


def test_logs_of_an_attempt_that_never_came_is_not_done(home):
    job = home.add("exit 0")
    home.drain()
    for words in ([], ["--follow"]):
        assert "has no attempt 5" in home.run("logs", job, "--attempt", "5", *words, code=1).stderr


def test_wait_within_a_job_waits_for_all_others(home):
    words = home.command()
    typed = subprocess.list2cmdline(words) if WINDOWS else " ".join(shlex.quote(word) for word in words)
    command = "%s wait --timeout 15" % typed
    waiting = home.run("add", command, "--max-retries", "0", env={"PYTHONDONTWRITEBYTECODE": "1"}).id
    home.add("exit 0")
    home.drain("--count", "2")
    assert home.job(waiting)["exit_code"] == 0


def test_wait_ends_when_the_job_does(home):
    job = home.add("exit 0")
    process = subprocess.Popen(home.command("wait", job), stderr=subprocess.PIPE, env=home.environment())
    try:
        assert process.stderr.readline().startswith(b"no worker is running")
        home.drain()
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


# ---------------------------------------------------------------- where output can go


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A home whose list, and one output, are far larger than a pipe."""
    home = Home(tmp_path_factory.mktemp("large") / "home")
    os.mkdir(home.path, 0o700)
    program = "for number in range(50000): print('line', number)"
    home.run("enqueue", "-", input=json.dumps({"id": "talker", "command": [sys.executable, "-c", program]}))
    home.drain()
    home.run("enqueue", "-", input='{"command": "echo a line that takes some room"}\n' * 2500)
    return home


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--limit", "5000"],
        ["list", "--limit", "5000", "--json"],
        ["logs", "talker"],
        ["show", "talker", "--json"],
        ["logs", "talker", "--follow"],
    ],
    ids=label,
)
def test_a_closed_pipe_is_quiet(large, words):
    process = subprocess.Popen(
        large.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=large.environment()
    )
    process.stdout.read(100)
    process.stdout.close()
    assert process.stderr.read() == (b"==> attempt 1 of 4 <==\n" if "--follow" in words else b"")
    process.stderr.close()
    assert process.wait(20) == 0


@posix_only
def test_a_pipe_closed_after_a_short_answer_is_quiet(ran):
    """The text is shorter than any buffer, so the break shows only when it is flushed at the end."""
    for words in (["list"], ["status"], ["--help"], ["list", "--help"], ["--version"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(ran.command(*words), stdout=writing, stderr=subprocess.PIPE, env=ran.environment())
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, b""), words


@posix_only
@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_no_harm(home, redirection):
    for words in (["add", "exit 0", "--id", "kept"], ["list"], ["logs", "kept"], ["--help"]):
        done = through_a_shell(home, redirection, *words)
        assert (done.returncode, done.stderr.split(b"job kept has not run yet")[0]) == (0, b""), words
    assert through_a_shell(home, redirection, "show", "nobody").returncode == 1
    assert looking.counts(home.queue.database)["pending"] == 1
    assert home.run("list").stdout.count("\n") == 2


@posix_only
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "words", [["list"], ["status"], ["show", "twice"], ["logs", "twice"], ["list", "--json"]], ids=label
)
def test_a_full_disk_behind_standard_output_is_an_error(ran, words):
    done = through_a_shell(ran, ">/dev/full", *words)
    assert done.returncode == 3
    said = done.stderr.decode("utf-8")
    assert ('{"error": ' if "--json" in words else "queuectl: error: ") in said
    assert "No space left" in said
    assert "Exception ignored" not in said and "Traceback" not in said


@posix_only
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "words, done",
    [
        (["add", "exit 0", "--json"], "was added, but its id"),
        (["enqueue", '{"command": "true"}', "--json"], "the jobs were added, but their ids"),
        (["prune", "--json"], "it was done, but what was done"),
    ],
    ids=label,
)
def test_a_full_disk_behind_standard_output_hides_nothing_that_was_done(home, words, done):
    said = through_a_shell(home, ">/dev/full", *words)
    assert said.returncode == 3
    assert done.encode() in said.stderr and b"could not be printed" in said.stderr


@posix_only
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_left_changes_no_exit_code(home, unbuffered):
    home.add("exit 0")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        words = home.command("wait", "--timeout", "0.1", "--json")
        environment = home.environment({"PYTHONUNBUFFERED": unbuffered})
        done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, env=environment)
    finally:
        os.close(writer)
    assert done.returncode == 124
    assert b"Traceback" not in done.stderr


@posix_only
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_an_error_that_cannot_be_told_keeps_its_exit_code(ran):
    assert through_a_shell(ran, "2>/dev/full", "show", "nobody").returncode == 1
    assert through_a_shell(ran, ">/dev/full 2>/dev/full", "list").returncode == 3


@posix_only
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("redirection", [">/dev/full 2>&1", ">/dev/full 2>/dev/full", ">/dev/full"])
@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["wait", "--timeout", "0", "--json"]], ids=label)
def test_a_word_on_standard_error_does_not_hide_that_standard_output_was_lost(tmp_path, redirection, words):
    home = Home(tmp_path / "home")
    home.run("enqueue", "--quiet", "-", input='{"command": "exit 0"}\n' * 60)
    done = through_a_shell(home, redirection, *words, PYTHONUNBUFFERED="")
    assert done.returncode == 3
    assert done.stderr.count(b"\n") == int(redirection == ">/dev/full"), "one line where it can be read"


@posix_only
def test_output_in_a_locale_without_unicode_is_shown_as_escapes(home):
    home.add("echo caf\u00e9", "--id", "caf")
    bare = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    for words in (["list"], ["show", "caf"]):
        assert "echo caf\\xe9" in home.run(*words, env=bare).stdout
    assert home.run("show", "caf", "--json", env=bare).json["command"] == "echo caf\u00e9"
