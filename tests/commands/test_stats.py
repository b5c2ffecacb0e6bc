"""`stats`, and what other commands say of kinds: estimates in `status` and `wait`, what runs unusually long."""

import os
import re
import subprocess
import time

import pytest
from helpers.home import Home
from helpers.marks import posix_only
from helpers.queue import SETTINGS, claim, enqueue, raw, rows, settle
from helpers.terminals import THE_END

from queuectl_lib.errors import HostError
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.reports import running_long
from queuectl_lib.store import kinds, told_slow


@pytest.fixture
def home(near):
    near.run("initdb")
    return near


def learn(home, name, seconds, failures=0, now=None):
    """Jobs of this name took so long, and so many more failed."""
    now = time.time() if now is None else now
    identifier = enqueue(home.queue, 0, now - 10, name=name, priority=1000)
    held = claim(home.queue, now)[0]
    outcomes = [Outcome(held, "completed", now) for _ in seconds] + [Outcome(held, "failed", now)] * failures
    for outcome, one in zip(outcomes, seconds):
        outcome.seconds = float(one)
    with home.queue.database.writing() as connection:
        kinds.record(connection, outcomes)
    home.queue.exchange("w-1", [Outcome(held, "cancelled", now)], 0, now, SETTINGS)
    home.queue.database.served = ()
    return identifier


def runs(home, name, since):
    """A job of this name that a worker nobody knows of has been running since so many seconds."""
    now = time.time()
    identifier = enqueue(home.queue, 3, now - since - 1, name=name, priority=1000)
    assert [one.id for one in claim(home.queue, now - since)] == [identifier]
    return identifier


def test_stats_tells_of_each_kind_those_that_ran_most_first(home):
    assert home.run("stats").stdout == "" and home.run("stats", "--json").json == []
    assert home.run("stats").stderr == "nothing is known yet: jobs that end are counted here by kind\n"
    learn(home, "rare", [1, 2, 3], now=time.time() - 7200)
    learn(home, "often", [10] * 19 + [90], failures=5)
    learn(home, "bad", [], failures=2)
    lines = [re.sub(r"\b\d+s ago", "just now", line) for line in home.run("stats").stdout.splitlines()]
    assert [re.split("  +", line) for line in lines] == [
        ["RUNS", "FAILED", "MEDIAN", "P95", "CPU", "MEMORY", "LAST", "KIND"],
        ["25", "20 %", "10 s", "10 s", "-", "-", "just now", "often"],
        ["3", "0 %", "2 s", "3 s", "-", "-", "2h ago", "rare"],
        ["2", "100 %", "-", "-", "-", "-", "just now", "bad"],
    ]


def test_stats_as_json_is_a_list_of_facts(home):
    learn(home, "job", [1, 3], failures=1)
    value = home.run("stats", "--json").json
    assert len(value) == 1 and re.match(r"20\d\d-.*Z$", value[0].pop("last_at"))
    facts = {"kind": "job", "runs": 3, "failures": 1, "samples": 2, "median_seconds": 2.0, "p95_seconds": 3.0}
    assert value == [dict(facts, cpu=None, peak_rss=None)]
    learn(home, "bad", [], failures=1)
    value = home.run("stats", "bad", "--json").json[0]
    assert (value["samples"], value["median_seconds"], value["p95_seconds"]) == (0, None, None)


def test_stats_tells_what_attempts_of_a_kind_have_used_of_late(home):
    for cpu, peak in ((0.5, 80000000), (1.5, 214000000), (2.5, -19000000), ("damaged", "damaged"), (None, None)):
        job = home.run("add", "true", "--name", "big").id
        (held,) = claim(home.queue, time.time())
        settle(home.queue, held, "completed", time.time())
        with raw(home.queue) as connection:
            where = "WHERE job = (SELECT seq FROM jobs WHERE id = ?)"
            connection.execute("UPDATE attempts SET cpu = ?, peak_rss = ? " + where, (cpu, peak, job))
    (facts,) = home.run("stats", "--json").json
    assert (facts["cpu"], facts["peak_rss"]) == (1.5, 214000000), "the median, and the largest that is known"
    assert re.split("  +", home.run("stats").stdout.splitlines()[1])[4:6] == ["1.5 s", "214 MB"]


def test_what_an_attempt_has_used_belongs_to_what_it_ran_then(home):
    job = home.run("add", "burn", "--max-retries", "5").id
    (held,) = claim(home.queue, time.time())
    settle(home.queue, held, "failed", time.time())
    with raw(home.queue) as connection:
        connection.execute("UPDATE attempts SET cpu = 7.5")
    home.run("edit", job, "--command", "true")
    assert [(one["kind"], one["cpu"]) for one in home.run("stats", "--json").json] == [("burn", 7.5)]


def test_stats_of_one_kind(home):
    learn(home, "a", [1])
    learn(home, "b", [1])
    assert [one["kind"] for one in home.run("stats", "b", "--json").json] == ["b"]
    said = home.run("stats", "c", code=1).stderr
    assert (
        said
        == 'queuectl: error: nothing is known of the kind "c": `queuectl.py stats` lists those of which something is\n'
    )


def test_a_limit_shows_those_that_ran_most(home):
    for number in range(60):
        learn(home, "k%d" % number, [1] * (number + 1))
    done = home.run("stats")
    assert len(done.stdout.splitlines()) == 51
    assert done.stderr == "there are more: these are the 50 that ran most (--limit N shows more)\n"
    assert [one["kind"] for one in home.run("stats", "--limit", "2", "--json").json] == ["k59", "k58"]
    assert len(home.run("stats", "--json").json) == 60


def test_what_is_known_is_forgotten_or_read_again(home):
    home.run("add", "true")
    home.drain()
    learn(home, "a", [1])
    assert home.run("stats", "a", "--reset").stderr == "forgot 1 kind\n"
    assert home.run("stats", "a", "--reset", code=1).stderr.startswith(
        'queuectl: error: nothing is known of the kind "a"'
    )
    assert home.run("stats", "--reset").stderr == "forgot 1 kind\n"
    assert home.run("stats", "--json").json == []
    assert home.run("stats", "--rebuild").stderr == "read 1 attempt again: 1 kind\n"
    assert [one["kind"] for one in home.run("stats", "--json").json] == ["true"]


@pytest.mark.parametrize(
    "words, said",
    [
        (["--reset", "--rebuild"], "--reset and --rebuild contradict each other"),
        (["--reset", "--json"], "--json shows what is known: leave out --reset"),
        (["--rebuild", "--limit", "3"], "--limit shows what is known: leave out --rebuild"),
        (["x", "--rebuild"], "--rebuild is for all kinds: leave out KIND"),
        (["--limit", "0"], "--limit"),
        (["--limit", "many"], "--limit"),
        (["x", "y"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(home, words, said):
    learn(home, "a", [1])
    assert said in home.run("stats", *words, code=2).stderr
    assert len(home.run("stats", "--json").json) == 1


def test_without_a_database_nothing_is_known(home):
    home.run("config", "set", "db_path", "other.db")
    assert home.run("stats", "--json").json == []
    assert home.run("stats", "--reset").stderr == "forgot 0 kinds\n"
    assert "does not exist" in home.run("stats", "--rebuild", code=3).stderr
    assert not os.path.exists(os.path.join(home.path, "other.db"))


def test_hostile_text_in_a_kind_is_shown_as_escapes(home):
    learn(home, None, [])
    with home.queue.database.writing() as connection:
        connection.execute("INSERT INTO kinds VALUES (?, 3, 1, 5, x'')", ("\x1b]0;x\x07\u202e",))
        connection.execute("INSERT INTO kinds VALUES (x'ff1b', 'x', 1.5, 'y', 17)")
    assert not set("\x1b\x07\u202e") & set(home.run("stats").stdout)
    assert len(home.run("stats", "--json").json) == 2


# ---------------------------------------------------------------- how long it will take


def test_status_without_workers_or_jobs_says_nothing_of_the_time(home):
    learn(home, "job", [1] * 5)
    value = home.run("status", "--json").json
    assert (value["eta_seconds"], value["eta_known"]) == (None, 0.0)
    home.run("add", "true", "--name", "job")
    value = home.run("status", "--json").json
    assert (value["eta_seconds"], value["eta_known"]) == (None, 0.0)
    assert "estimate" not in home.run("status").stdout


def test_status_says_about_how_long_the_workers_need(home):
    learn(home, "job", [1200] * 5)
    home.start("--count", "1")
    home.wait_for_state(home.add("sleep 60", "--name", "job"), "processing")
    for _ in range(2):
        home.add("sleep 60", "--name", "job")
    home.run("add", "true", "--delay", "3600")
    value = home.run("status", "--json").json
    assert value["eta_known"] == 1.0 and 3500 < value["eta_seconds"] <= 3600
    line = [line for line in home.run("status").stdout.splitlines() if line.startswith("estimate")]
    assert line == ["estimate        about 60 min left (2 due; kinds known: 3 of 3), and 1 later"]
    home.run("cancel", "--all")


@posix_only
def test_wait_on_a_terminal_says_so_too(home):
    import pty

    learn(home, "job", [1200] * 5)
    home.start("--count", "1")
    home.wait_for_state(home.add("sleep 60", "--name", "job"), "processing")
    shown, other = pty.openpty()
    command = Home.command(home, "wait", "--timeout", "20")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=other, env=home.environment())
    seen = b""
    deadline = time.monotonic() + 20
    while b"about 20 min left" not in seen and time.monotonic() < deadline:
        seen += os.read(shown, 65536)
    home.run("cancel", "--all")
    process.wait(60)
    os.write(other, THE_END)
    os.close(other)
    os.close(shown)
    assert b"0 of 1 jobs are final, about 20 min left" in seen or b"final, about 20 min left" in seen, seen


# ---------------------------------------------------------------- what runs unusually long


def test_list_says_of_what_runs_unusually_long_how_long_it_is_usually(home):
    learn(home, "job", [180] * 10)
    learn(home, "new", [180] * 9)
    long, other, new = runs(home, "job", 12 * 60), runs(home, "job", 8 * 60), runs(home, "new", 3600)
    lines = {line.split()[0]: line for line in home.run("list", "--state", "processing").stdout.splitlines()}
    assert "for 12m, usually 3m  " in lines[long]
    assert "for 8m  " in lines[other] and "usually" not in lines[other] + lines[new]
    assert [line.split()[0] for line in home.run("list", "--slow").stdout.splitlines()] == ["ID", long]
    value = home.run("list", "--slow", "--json").json
    assert [job["id"] for job in value] == [long]
    assert 715 < value[0]["running_seconds"] < 800 and value[0]["usual_seconds"] == 180.0


def test_what_usually_takes_no_second_is_told_as_that(home):
    learn(home, "job", [0.2] * 10)
    runs(home, "job", 12 * 60)
    assert "for 12m, usually less than 1s  " in home.run("list", "--slow").stdout


def test_list_slow_goes_with_other_conditions_and_limits(home):
    learn(home, "job", [1] * 10)
    assert home.run("list", "--slow").stderr == "no job runs unusually long\n"
    assert home.run("list", "--slow", "--json").json == []
    first, second = runs(home, "job", 600), runs(home, "job", 600)

    def slow(*words):
        return [job["id"] for job in home.run("list", "--slow", "--json", *words).json]

    assert slow() == slow("--state", "processing") == slow("--all") == [first, second]
    assert slow("--limit", "1") == slow("--last", "1") == [second]
    assert slow(first) == [first] and slow("--tag", "x") == []


@pytest.mark.parametrize("words", [["--dlq"], ["--state", "dead"], ["--all", "--last", "3"], ["--limit", "0"]])
def test_list_slow_refuses_what_contradicts_it(home, words):
    home.run("list", "--slow", *words, code=2)


def told(home, code=1):
    done = home.run("check", "--slow", "--waiting", "99d", "--json", code=code)
    return [problem for problem in done.json["problems"] if problem["kind"] == "slow"]


def test_check_slow_tells_of_each_attempt_once(home):
    learn(home, "job", [180] * 10)
    job = runs(home, "job", 12 * 60)
    assert not [one for one in home.run("check", "--json", code=1).json["problems"] if one["kind"] == "slow"]
    found = told(home)
    assert [one["text"] for one in found] == ["job %s has been running for 12m, usually 3m" % job]
    assert (found[0]["id"], found[0]["usual_seconds"]) == (job, 180.0)
    assert told(home) == []
    other = runs(home, "job", 12 * 60)
    assert [one["id"] for one in told(home)] == [other]
    assert told(home) == []


def test_the_next_attempt_is_told_of_again_and_what_has_ended_is_forgotten(home):
    learn(home, "job", [1] * 10)
    identifier = enqueue(home.queue, 3, time.time() - 700, name="job", priority=1000)
    held = claim(home.queue, time.time() - 600)[0]
    assert len(told(home)) == 1
    home.queue.exchange("w-1", [Outcome(held, "given back", time.time())], 0, time.time(), SETTINGS)
    again = claim(home.queue, time.time() - 500)[0]
    assert again.id == identifier and again.token != held.token
    assert [one["id"] for one in told(home)] == [identifier]
    assert told_slow.tokens(home.queue.database) == {again.token}


def test_what_could_not_be_printed_is_told_again(home):
    learn(home, "job", [1] * 10)
    runs(home, "job", 600)
    with pytest.raises(HostError), running_long.untold(home.queue.database, time.time()) as found:
        assert len(found) == 1
        raise HostError("nobody reads it")
    assert len(told(home)) == 1


def test_other_rows_of_totals_are_left_alone(home):
    learn(home, "job", [1] * 10)
    with home.queue.database.writing() as connection:
        connection.execute("INSERT INTO totals VALUES ('told slowly', 3), ('other', 2)")
    runs(home, "job", 600)
    told(home)
    keys = {row["key"] for row in rows(home.queue, "SELECT key FROM totals")} - {"ends of attempts"}
    assert {"told slowly", "other"} < keys and len(keys) == 3


def test_check_slow_is_silent_where_all_is_well(home):
    assert home.run("check", "--slow").stdout == ""
    learn(home, "job", [1] * 10)
    assert home.run("check", "--slow").stdout == ""


# ---------------------------------------------------------------- a word to who adds


@posix_only
@pytest.mark.parametrize("successes, failures, said", [(1, 5, True), (3, 3, True), (4, 3, False), (0, 4, False)])
def test_add_on_a_terminal_says_that_such_jobs_mostly_fail(home, successes, failures, said):
    import pty

    learn(home, "job", [1] * successes, failures=failures)
    shown, other = pty.openpty()
    command = Home.command(home, "add", "true", "--name", "job")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=other, env=home.environment(), timeout=60)
    os.write(other, THE_END)
    text = os.read(shown, 65536).replace(THE_END, b"").decode().strip()
    os.close(other)
    os.close(shown)
    assert done.returncode == 0 and len(done.stdout.split()) == 1
    assert text == ("of %d runs of this kind so far %d failed" % (successes + failures, failures) if said else "")
    assert home.run("add", "true", "--name", "job").stderr == "", "no terminal, no word"
