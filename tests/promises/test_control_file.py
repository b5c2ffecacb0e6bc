"""What a job says in its control file: heard by whoever records it, never waited for, never followed."""

import json
import os
import re
import sqlite3
import time

import pytest
from helpers.marks import needs_proc, posix_only
from helpers.near import Near
from helpers.queue import SETTINGS, claim, enqueue
from helpers.waiting import wait_until

from queuectl_lib.host import control_file, files
from queuectl_lib.run import concluding, hearing, run_file
from queuectl_lib.run.attempt import Attempt
from queuectl_lib.run.spare_files import SpareFiles
from queuectl_lib.store import said, tidying


@pytest.fixture
def home(near):
    return near


pytestmark = posix_only

SAY = '>> "$QUEUECTL_CONTROL"'


def files_left(home):
    return os.listdir(home.queue.folder.attempts)


# ---------------------------------------------------------------- a worker killed anywhere

FAILPOINTS = (
    *("write.before-commit", "write.committed", "exchange.before-commit", "exchange.committed"),
    *("start.run-file", "start.launched", "attempt.ended", "report.recorded", "report.removed"),
)


@pytest.mark.parametrize("name", FAILPOINTS)
def test_a_worker_killed_anywhere_loses_no_snooze_and_spends_no_retry(home, name):
    """Each of two snoozes is counted once, or its command begins anew: in no case does it cost a retry."""
    home.run("initdb")
    home.drain()
    command = 'echo x >> ledger; [ "$QUEUECTL_SNOOZES" = 2 ] || echo "snooze 1s" %s; sleep 0.1' % SAY
    home.add(command, "--id", "job", "--cwd", home.path, "--max-retries", "0")
    once = os.path.join(home.path, "died")
    died = home.run("worker", "start", "--drain", env={"QUEUECTL_FAILPOINT": "%s:%s" % (name, once)})
    assert os.path.exists(once), "nobody died at %s" % name
    job = home.job("job")
    assert (job["state"], job["attempts"], job["snoozes"]) == ("completed", 1, 2), died.stderr
    assert [one["outcome"] for one in job["history"]][-3:] == ["snoozed", "snoozed", "completed"]
    assert files_left(home) == []


@needs_proc
def test_what_finishes_unseen_is_heard_by_whoever_finds_it(home):
    job = home.add(
        'echo here > here; while [ ! -e go ]; do sleep 0.03; done; echo "dead unseen" %s' % SAY, "--cwd", home.path
    )
    worker = home.start()
    wait_until(lambda: os.path.exists(os.path.join(home.path, "here")), "the job to begin")
    (member,) = [one for one in home.run("worker", "list", "--json").json if one["kind"] == "worker"]
    supervisor = worker.pid
    os.kill(supervisor, 9)
    os.kill(member["pid"], 9)
    open(os.path.join(home.path, "go"), "w").close()
    wait_until(lambda: b"exit 0" in b"".join(run_files(home)), "the job to end")
    home.drain()
    found = home.job(job)
    assert (found["state"], found["last_error"]) == ("dead", "said dead: unseen")
    assert files_left(home) == []


def run_files(home):
    folder = home.queue.folder.attempts
    return [open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder) if name.endswith(".run")]


# ---------------------------------------------------------------- hostile files

HOSTILE = {
    "a pipe": 'mkfifo "$QUEUECTL_CONTROL"',
    "a link": 'echo dead > there; ln -s "$PWD/there" "$QUEUECTL_CONTROL"',
    "a link to /etc/passwd": 'ln -s /etc/passwd "$QUEUECTL_CONTROL"',
    "a dangling link": 'ln -s /nonexistent "$QUEUECTL_CONTROL"',
    "a folder": 'mkdir "$QUEUECTL_CONTROL"',
    "a second name": 'echo dead > there; ln there "$QUEUECTL_CONTROL"',
    "a device": 'ln -s /dev/zero "$QUEUECTL_CONTROL"',
}
BESIDE = {
    "1 GB of nothing": 'truncate -s 1G "$QUEUECTL_CONTROL"',
    "NUL": 'printf "dead\\000\\nok\\000" %s' % SAY,
    "no UTF-8": 'printf "\\377\\376dead\\n" %s' % SAY,
    "no line": 'head -c 100000 /dev/zero | tr "\\000" d %s' % SAY,
    "many lines": "yes nonsense | head -n 10000 %s" % SAY,
    "an unreadable one": 'echo dead %s; chmod 0 "$QUEUECTL_CONTROL"; [ $(id -u) != 0 ] || rm "$QUEUECTL_CONTROL"' % SAY,
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    home = Near(tmp_path_factory.mktemp("hostile") / "home")
    os.mkdir(home.path, 0o700)
    for code in (0, 3):
        for name, command in dict(HOSTILE, **BESIDE).items():
            folder = os.path.join(home.path, "%s-%d" % (name.replace("/", "_"), code))
            os.mkdir(folder)
            identifier = name.replace(" ", "-").replace("/", "_") + "-%d" % code
            home.add("%s; exit %d" % (command, code), "--id", identifier, "--cwd", folder, "--max-retries", "0")
    assert "Traceback" not in home.drain()
    yield home
    home.clean_up()


@pytest.mark.parametrize("name", sorted(HOSTILE) + sorted(BESIDE))
@pytest.mark.parametrize("code, state", [(0, "completed"), (3, "dead")])
def test_what_is_no_control_file_decides_nothing_and_holds_nobody_up(hostile, name, code, state):
    job = hostile.job(name.replace(" ", "-").replace("/", "_") + "-%d" % code)
    assert (job["state"], job["exit_code"]) == (state, code)
    note = job["history"][0]["note"]
    if name in HOSTILE:
        assert note["ignored_lines"] == 1 and note["ignored"][0].startswith("the control file")
    shown = hostile.run("show", job["id"])
    assert "root:" not in shown.stdout and "\0" not in shown.stdout and len(shown.stdout) < 5000


def test_of_these_only_folders_stay(hostile):
    """A job can make one in place of its output, too: nobody deletes a folder of somebody's."""
    left = [os.path.join(hostile.queue.folder.attempts, name) for name in files_left(hostile)]
    assert [path for path in left if not os.path.isdir(path)] == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_not_heard(home):
    job = home.add('echo dead %s; chown 65534 "$QUEUECTL_CONTROL"; exit 0' % SAY)
    home.drain()
    found = home.job(job)
    assert found["state"] == "completed"
    assert found["history"][0]["note"]["ignored"] == ["the control file belongs to another user"]


def test_the_last_lines_of_a_long_file_are_heard_and_a_torn_one_is_not(tmp_path):
    path = str(tmp_path / "x.say")
    with open(path, "w") as file:
        file.write("dead\n" + "progress 1\n" * 5000 + "snooze 5m")
    found = control_file.read(path)
    assert len(found.text) <= control_file.TAIL_BYTES and found.text.startswith(b"progress 1\n")
    heard = hearing.said(path)
    assert heard.snooze == (300, "") and heard.dead is None and heard.ignored_lines == 0


def test_a_job_that_says_nothing_costs_one_look_and_no_room(queue, monkeypatch):
    looked = []
    real = files.is_there
    monkeypatch.setattr(files, "is_there", lambda path: looked.append(path) or real(path))
    enqueue(queue, 0)
    attempt = Attempt(queue, claim(queue)[0])
    attempt.start(SETTINGS, SpareFiles(queue))
    wait_until(attempt.poll, "the job to end")
    assert len([path for path in looked if path.endswith(".say")]) == 1


# ---------------------------------------------------------------- other ends go before

OTHER_ENDS = [("timed out", ["--timeout", "0.3"]), ("cancelled", []), ("given back", [])]


@pytest.mark.parametrize("words", ["dead", "snooze 10m", "ok"])
@pytest.mark.parametrize("kind, options", OTHER_ENDS)
def test_what_was_ended_by_others_does_not_decide_by_its_words(home, kind, options, words):
    command = 'echo "%s" %s; echo "result 5" %s; sleep 60' % (words, SAY, SAY)
    job = home.add(command, "--max-retries", "0", *options)
    process = home.start()
    wait_until(lambda: home.job(job)["result"] or home.job(job)["state"] == "dead", "the job to speak")
    if kind == "cancelled":
        home.run("cancel", job)
    elif kind == "given back":
        home.run("worker", "stop", "--now")
        process.wait(20)
    expected = {"timed out": "dead", "cancelled": "cancelled", "given back": "pending"}[kind]
    home.wait_for_state(job, expected)
    found = home.job(job)
    assert [one["outcome"] for one in found["history"]] == [kind]
    assert (found["result"], found["snoozes"]) == ("5", 0)


# ---------------------------------------------------------------- more time


def test_an_extension_moves_the_deadline_and_is_told_as_the_timeout_in_force(home):
    job = home.add('echo "extend 30s" %s; sleep 1.5' % SAY, "--timeout", "0.5", "--max-retries", "0")
    home.drain()
    found = home.job(job)
    assert found["state"] == "completed"
    assert 29 < found["history"][0]["timeout"] < 33


def test_an_extension_that_has_passed_ends_it(home):
    job = home.add('echo "extend 1s" %s; sleep 60' % SAY, "--timeout", "0.3", "--max-retries", "0")
    home.drain()
    found = home.job(job)
    assert found["state"] == "dead" and found["last_error"].startswith("timed out after 1")


def started(queue, path_lines, timeout=10):
    enqueue(queue, 0, timeout=timeout)
    attempt = Attempt(queue, claim(queue)[0])
    attempt.set_deadline(SETTINGS, attempt.began)
    os.makedirs(queue.folder.attempts, exist_ok=True)
    with open(concluding.control_path(attempt), "a") as file:
        file.write(path_lines)
    return attempt


@pytest.mark.parametrize("asked, more", [("30m", 1800), ("23h", 82800), ("24h", 86400), ("300d", 86410), ("1s", 10)])
def test_an_attempt_is_given_at_most_a_day_more_in_all(queue, asked, more):
    attempt = started(queue, "extend %s\n" % asked)
    concluding.extends(attempt)
    assert attempt.deadline - attempt.began == pytest.approx(more, abs=5)


def test_a_line_that_was_heard_does_not_give_time_again(queue):
    attempt = started(queue, "extend 30m\n")
    concluding.extends(attempt)
    first = attempt.deadline
    with open(concluding.control_path(attempt), "a") as file:
        file.write("progress 5\n")
    concluding.extends(attempt)
    assert attempt.deadline == first
    with open(concluding.control_path(attempt), "a") as file:
        file.write("exte")
    concluding.extends(attempt)
    with open(concluding.control_path(attempt), "a") as file:
        file.write("nd 2h\n")
    concluding.extends(attempt)
    assert attempt.deadline - attempt.began == pytest.approx(7200, abs=5)


def test_time_that_was_given_outlives_its_worker(queue):
    attempt = started(queue, "extend 30m\n")
    with open(attempt.run_path, "wb") as file:
        file.write(run_file.start_line(attempt.claim.token, attempt.began))
    concluding.extends(attempt)
    os.remove(concluding.control_path(attempt))
    heir = Attempt(queue, attempt.claim)
    heir.adopt(time.time(), SETTINGS)
    assert heir.deadline - heir.began == pytest.approx(1800, abs=5)
    assert heir.timeout == pytest.approx(1800, abs=5) and not heir.overdue()


@pytest.mark.parametrize("note, more", [("until 9e9", 10), ("until -1.0", 10), ("until 999999999999.0", 86410)])
def test_a_note_of_more_time_that_a_job_has_written_itself_gives_what_it_could_ask_for(queue, note, more):
    attempt = started(queue, "")
    with open(attempt.run_path, "wb") as file:
        file.write(run_file.start_line(attempt.claim.token, attempt.began) + note.encode() + b"\n")
    attempt.adopt(time.time(), SETTINGS)
    assert attempt.deadline - attempt.began == pytest.approx(more, abs=5)


def test_of_two_that_ask_for_more_time_the_one_that_gives_most_counts(queue):
    attempt = started(queue, "extend 30m\nextend 1s\nextend 0\n")
    concluding.extends(attempt)
    assert attempt.deadline - attempt.began == pytest.approx(1800, abs=5)


def test_what_has_no_timeout_is_not_looked_at_while_it_runs(queue, monkeypatch):
    attempt = started(queue, "extend 30m\n", timeout=None)
    monkeypatch.setattr(control_file, "look", lambda path: pytest.fail("looked"))
    assert not attempt.overdue()


# ---------------------------------------------------------------- who it is told, and its files


def test_what_a_running_job_says_is_seen_at_once_and_stays_with_its_attempt(home):
    job = home.add(
        'echo "progress 40 half way" %s; echo "result 42 rows" %s; while [ ! -e go ]; do sleep 0.03; done' % (SAY, SAY),
        *("--cwd", home.path),
    )
    home.start()
    wait_until(lambda: home.job(job)["result"], "the job to speak")
    progress = {"percent": 40, "text": "half way"}
    (listed,) = home.run("list", "--json").json
    assert (home.job(job)["progress"], listed["progress"]) == (progress, progress)
    assert "40% half way" in home.run("list").stdout
    assert home.run("status", "--json").json["progress"] == {job: progress}
    assert re.search(r"^running +%s  for \d+s  40%% half way  echo " % job, home.run("status").stdout, re.M)
    with sqlite3.connect(home.db) as connection:
        assert connection.execute("SELECT note FROM attempts").fetchall() == [(None,)], (
            "nothing is written while it runs"
        )
    open(os.path.join(home.path, "go"), "w").close()
    assert home.run("wait", job, "--json").json["results"] == {job: "42 rows"}
    found = home.job(job)
    assert (found["progress"], found["result"]) == (progress, "42 rows")
    assert "result        42 rows" in home.run("show", job).stdout
    assert home.run("status", "--json").json["progress"] == {}


def test_hostile_text_of_a_job_drives_no_terminal(home):
    job = home.add('printf "progress 5 \\033[31mred\\nresult \\033]0;x\\007\\n\\033[2J\\n" %s' % SAY)
    home.drain()
    assert "\x1b" not in home.run("show", job).stdout


@pytest.mark.parametrize(
    "value", ["x", b"x", 5, "[]", '{"progress": 5, "result": [], "ignored": 7}', '{"progress": {}}', "[" * 100000]
)
def test_a_note_that_somebody_changed_is_no_trouble(home, value):
    job = home.add("true")
    home.drain()
    with sqlite3.connect(home.db) as connection:
        connection.execute("UPDATE attempts SET note = ?", (value,))
    assert home.job(job)["result"] is None
    home.run("show", job)
    assert said.results(home.queue.database, [job]) == {}


def test_the_file_of_an_attempt_that_is_recorded_and_of_a_deleted_job_is_tidied(home):
    job = home.add("head -c 100000 /dev/zero; echo ok %s" % SAY)
    home.drain()
    token = [name[:16] for name in files_left(home)][0]
    assert files_left(home) == [token + ".out"]
    path = os.path.join(home.queue.folder.attempts, token + ".say")
    open(path, "w").close()
    tidying.tidy(home.queue.database)
    assert files_left(home) == [token + ".out"]
    open(path, "w").close()
    home.run("prune", "--state", "completed", "--older-than", "0s")
    assert files_left(home) == []
    open(path, "w").close()
    tidying.tidy(home.queue.database)
    assert files_left(home) == [] and job


def test_a_job_within_a_job_speaks_for_itself_alone(home):
    inner = "env | grep QUEUECTL_CONTROL; true"
    job = home.add(inner, "--id", "job")
    env = {"QUEUECTL_CONTROL": "/tmp/of-another", "QUEUECTL_SNOOZES": "7"}
    home.run("worker", "start", "--drain", env=env)
    assert "of-another" not in home.run("logs", job).stdout
    for name in ("QUEUECTL_CONTROL", "QUEUECTL_SNOOZES"):
        refused = home.run("add", "true", "--env", name + "=x", code=2)
        assert name in refused.stderr


# ---------------------------------------------------------------- say


def test_say_writes_what_a_worker_understands(home):
    main = " ".join(map(json.dumps, home.command()))
    home.add('%s say progress 5; %s say snooze 30d "the export is not there"' % (main, main), "--id", "job")
    process = home.start()
    home.wait_for_state("job", "pending")
    wait_until(lambda: home.job("job")["snoozes"], "the job to snooze")
    assert home.job("job")["last_error"] == "snoozed for 30d: the export is not there"
    home.run("worker", "stop")
    process.wait(20)


@pytest.mark.parametrize(
    "words, told",
    [
        ([], "say what?"),
        (["snoze", "10m"], "did you mean snooze?"),
        (["snooze"], "snooze DURATION"),
        (["snooze", "31d"], "from 1s to 30d"),
        (["progress", "101"], "from 0 to 100"),
        (["ok", "then"], '"ok then" is not understood'),
        (["result", "a\nb"], "one line"),
        (["result", "x" * 5000], "longer than 4096 bytes"),
        (["signature", "two words"], "up to 64"),
    ],
)
def test_say_refuses_what_would_not_be_understood(home, tmp_path, words, told):
    path = str(tmp_path / "x.say")
    refused = home.run("say", *words, code=2, env={"QUEUECTL_CONTROL": path})
    assert told in refused.stderr and refused.stderr.count("\n") == 1
    assert not os.path.exists(path)


def test_say_outside_of_a_job_is_told_so(home):
    assert "works only within a job" in home.run("say", "ok", code=1).stderr


def test_say_begins_a_line_of_its_own(home, tmp_path):
    path = str(tmp_path / "x.say")
    with open(path, "w") as file:
        file.write("progress 5")
    home.run("say", "ok", env={"QUEUECTL_CONTROL": path})
    assert hearing.said(path).is_ok and hearing.said(path).progress


# ---------------------------------------------------------------- in and out

RULES = ["--ok-codes", "0,24", "--later-codes", "75", "--dead-codes", "64-66", "--max-snoozes", "7"]
RULES += ["--backoff", "30s,2m", "--backoff-cap", "1h", "--jitter", "20%"]


def test_one_home_feeds_another_with_all_rules(home, tmp_path):
    job = home.add("true", *RULES)
    listed = home.run("list", "--json").stdout
    other = str(tmp_path / "other")
    home.run("--home", other, "enqueue", "-", input=listed)
    (found,) = home.run("--home", other, "list", "--json").json
    keys = [word[2:].replace("-", "_") for word in RULES[::2]]
    assert {key: found[key] for key in keys} == {key: home.job(job)[key] for key in keys}
    assert found["dead_codes"] == [64, 65, 66] and found["jitter"] == 0.2
    shown = home.run("show", job).stdout
    assert "dead_codes    64-66" in shown and "backoff       30s,2m" in shown


def test_settings_decide_for_all_jobs_and_contradictions_are_refused_with_no_effect(home):
    home.run("config", "set", "later_codes", "75")
    home.run("config", "set", "dead_codes", "65")
    refused = home.run("config", "set", "ok_codes", "0,65", code=2)
    assert "65 is in ok_codes and in dead_codes" in refused.stderr
    home.run("config", "set", "max_snoozes", "0")
    home.add("exit 75", "--id", "later")
    home.add("exit 65", "--id", "dead")
    home.add("exit 65", "--id", "otherwise", "--ok-codes", "65")
    home.run("config", "set", "backoff", "fixed:0s")
    home.drain()
    states = {one["id"]: (one["state"], one["attempts"]) for one in home.run("list", "--json").json}
    assert states == {"later": ("dead", 4), "dead": ("dead", 1), "otherwise": ("completed", 1)}
    assert home.job("otherwise")["exit_code"] == 65


# ---------------------------------------------------------------- what it says and what becomes of it


def test_more_time_never_means_less(queue):
    attempt = started(queue, "extend 2s\n", timeout=60.0)
    before = attempt.deadline
    concluding.extends(attempt)
    assert attempt.deadline == before


@pytest.mark.parametrize("word", ["ok", "snooze 10m", "dead"])
def test_what_a_job_said_before_it_was_killed_goes_for_nothing(home, word):
    job = home.add('echo "%s" %s; echo "progress 50" %s; kill -9 $$' % (word, SAY, SAY), "--max-retries", "1")
    home.run("worker", "start", "--drain")
    found = home.job(job)
    assert (found["state"], found["exit_code"], found["attempts"], found["snoozes"]) == ("dead", 137, 2, 0)
    assert found["progress"] == {"percent": 50, "text": None}


def test_deaths_by_verdict_say_so_wherever_they_are_told(home):
    home.add('echo "dead the account is locked" %s' % SAY, "--id", "said")
    home.add("exit 3", "--id", "listed", "--dead-codes", "3")
    home.run("worker", "start", "--drain")
    texts = {group["sample"][0]: group["text"] for group in home.run("dlq", "groups", "--json").json}
    assert texts["said"] == "exit 0: said dead: the account is locked"
    assert texts["listed"] == "exit 3: exit code <n> is a dead code"
    for told in (home.run("why", "said").stdout, home.run("list").stdout, home.run("dlq", "list").stdout):
        assert "said dead: the account is locked" in told


def test_the_mark_that_windows_begins_files_with_is_no_part_of_the_first_line(home):
    job = home.add("printf '\\357\\273\\277ok\\n' %s; exit 3" % SAY, "--max-retries", "0")
    home.run("worker", "start", "--drain")
    assert home.state(job) == "completed"


def test_rules_that_somebody_has_made_no_object_are_shown_as_they_stand(home):
    for number, text in enumerate(("[1]", "7", '"x"', "null", "true", "{")):
        home.add("true", "--id", "j%d" % number)
        with sqlite3.connect(home.db) as connection:
            connection.execute("UPDATE jobs SET policy = ? WHERE id = ?", (text, "j%d" % number))
    assert len(home.run("list").stdout.splitlines()) == 7 and len(home.run("list", "--json").json) == 6
    home.run("worker", "start", "--drain")
    for number in range(6):
        assert home.run("show", "j%d" % number).code == 0
    assert home.run("dlq", "list").code == 0
