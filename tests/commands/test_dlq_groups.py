"""`dlq groups`, `--group` and `--canary` as a person types them: what is said, what is refused, and how it ends."""

import json
import time

import pytest
from helpers.queue import SETTINGS, claim, raw, rows

from queuectl_lib.jobs import states
from queuectl_lib.jobs.attempts import Outcome


@pytest.fixture
def home(near):
    return near


def die(home, line="can't connect to <ip>", code=2, retries="0", command="sh job.sh", *words):
    """A dead job of that group; its id."""
    identifier = home.add(command, "--max-retries", retries, *words)
    [held] = claim(home.queue, time.time())
    ended = Outcome(held, states.FAILED, time.time(), "exit code %d" % code)
    ended.exit_code, ended.error_line = code, line
    home.queue.exchange("w-1", [ended], 0, time.time(), SETTINGS)
    return identifier


@pytest.fixture
def five(home):
    """Three of one group, two of another; their ids."""
    return [die(home) for _ in range(3)] + [die(home, "", 9, command="other") for _ in range(2)]


def groups(home, *words):
    return home.run("dlq", "groups", "--json", *words).json


def test_groups_are_a_table_the_largest_first(home, five):
    lines = home.run("dlq", "groups").stdout.splitlines()
    assert lines[0].split() == ["GROUP", "JOBS", "FIRST", "LAST", "ERROR"]
    assert [line.split()[1] for line in lines[1:]] == ["3", "2"]
    assert lines[1].endswith("exit 2: can't connect to <ip>") and lines[2].endswith("exit 9")
    assert {len(line.split()[0]) for line in lines[1:]} == {6}


def test_groups_as_json_name_all_there_is(home, five):
    first, second = groups(home)
    assert first.pop("first_at") <= first.pop("last_at")
    signature = rows(home.queue)[0]["signature"]
    assert first == {
        "group": signature,
        "jobs": 3,
        "text": "exit 2: can't connect to <ip>",
        "verdict": "exit 2",
        "failures": 3,
        "sample": five[:3],
        "kinds": ["sh job.sh"],
        "canary": None,
    }
    assert second["verdict"] == second["text"] == "exit 9" and second["kinds"] == ["other"]
    assert groups(home, "--limit", "1")[0]["jobs"] == 3


def test_where_nothing_is_dead_there_is_no_group(home):
    assert groups(home) == []
    done = home.run("dlq", "groups")
    assert (done.stdout, done.stderr) == ("", "no jobs are dead\nno queue in %s yet\n" % home.path)
    home.add("true")
    assert groups(home) == []


def test_of_many_groups_the_largest_are_shown(home, five):
    done = home.run("dlq", "groups", "--limit", "1")
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == "there are more: these are the largest 1 (--limit N shows more)\n"
    home.run("dlq", "groups", "--limit", "0", code=2)


def test_what_a_job_prints_never_reaches_the_terminal_as_it_is(home):
    die(home, "\x1b[2Jboom\x07")
    assert "\x1b" not in home.run("dlq", "groups").stdout + home.run("list").stdout + home.run("dlq", "list").stdout


GROUP_COMMANDS = [["list"], ["dlq", "list"], ["show"], ["logs"], ["wait"], ["cancel"], ["requeue"], ["dlq", "retry"]]
GROUP_COMMANDS += [["dlq", "purge"], ["prune", "--state", "dead"], ["hold"], ["release"], ["edit", "--priority", "1"]]


@pytest.mark.parametrize("words", GROUP_COMMANDS, ids=" ".join)
def test_a_group_that_is_none_is_one_clear_line_and_nothing_happens(home, five, words):
    before = rows(home.queue)
    for word in ("abc", "nosuch", "", "../..", "0123456789ab"):
        assert "--group" in home.run(*words, "--group", word, code=2).stderr
    unknown = "0000" if not rows(home.queue)[0]["signature"].startswith("0000") else "1111"
    said = home.run(*words, "--group", unknown, code=1).stderr
    assert said == "queuectl: error: no group begins with %s: `queuectl.py dlq groups` lists them\n" % unknown
    with raw(home.queue) as connection:
        connection.execute("UPDATE jobs SET signature = 'abcd' || seq || '0000'")
    assert "more than one group begins with abcd" in home.run(*words, "--group", "abcd", code=1).stderr
    assert [dict(row, signature=0) for row in rows(home.queue)] == [dict(row, signature=0) for row in before]


def ids_of(home, *words):
    return [job["id"] for job in home.run(*words, "--json").json]


def test_a_group_is_one_more_condition(home, five):
    group = groups(home)[0]["group"]
    tagged = die(home, "can't connect to <ip>", 2, "0", "sh job.sh", "--tag", "x")
    assert ids_of(home, "list", "--group", group[:4]) == five[:3] + [tagged]
    assert ids_of(home, "dlq", "list", "--group", group) == five[:3] + [tagged]
    assert ids_of(home, "list", "--group", group, "--tag", "x") == [tagged]
    assert ids_of(home, "list", "--group", group, "--last", "2") == [five[2], tagged]
    assert ids_of(home, "list", "--group", group, "--state", "pending") == []
    assert "contradict" in home.run("list", "--group", group, "--all", code=2).stderr


def test_one_group_is_put_back_or_deleted_and_the_other_stays(home, five):
    first, second = (group["group"] for group in groups(home))
    assert "3 jobs would be requeued" in home.run("dlq", "retry", "--group", first, "--dry-run").stderr
    assert home.run("dlq", "retry", "--group", first, "--limit", "2").stderr == "requeued 2 jobs\n"
    assert [row["state"] for row in rows(home.queue)] == ["pending"] * 2 + ["dead"] * 3, "the oldest two"
    assert home.run("dlq", "purge", "--group", second).stderr == "deleted 2 jobs\n"
    assert [row["state"] for row in rows(home.queue)] == ["pending"] * 2 + ["dead"]


@pytest.mark.parametrize("words", [["--all"], ["--last", "3"], ["--match", "sh"]], ids=" ".join)
def test_a_limit_takes_the_oldest_of_whatever_is_meant(home, five, words):
    assert "1 job would be requeued" in home.run("dlq", "retry", *words, "--limit", "1", "--dry-run").stderr
    assert home.run("dlq", "retry", *words, "--limit", "1").stderr == "requeued 1 job\n"
    home.run("dlq", "retry", *words, "--limit", "none", code=2)
    home.run("dlq", "retry", "--limit", "1", code=2)


def test_a_limit_beside_ids_takes_the_oldest_of_them(home, five):
    home.run("dlq", "retry", five[2], five[0], "--limit", "1")
    assert [row["state"] for row in rows(home.queue)] == ["pending"] + ["dead"] * 4


def test_a_canary_is_sent_shown_and_refused_a_second_time(home, five):
    group = groups(home)[0]["group"]
    said = home.run("dlq", "retry", "--group", group, "--canary", "--dry-run").stderr
    assert said == "3 jobs would be requeued, the oldest first and the others once it succeeds\n"
    said = home.run("dlq", "retry", "--group", group[:5], "--canary").stderr
    assert said == "%s goes first; 2 wait for it\n" % five[0]
    assert groups(home)[0]["canary"] in (None, {"id": five[0], "waiting": 2})
    assert {one["canary"] and one["canary"]["id"] for one in groups(home)} == {five[0], None}
    assert "job %s goes first for %s; 2 wait for it" % (five[0], group[:6]) in home.run("dlq", "groups").stderr
    said = home.run("dlq", "retry", "--group", group, "--canary", code=1).stderr
    refusal = "queuectl: error: job %s goes first for this group already (pending): nothing was requeued\n"
    assert said == refusal % five[0]


def test_a_canary_needs_a_group_with_somebody_in_it(home, five):
    assert "--canary" in home.run("dlq", "retry", "--all", "--canary", code=2).stderr
    assert "--canary" in home.run("dlq", "retry", five[0], "--canary", code=2).stderr
    assert "--group GROUP" in home.run("dlq", "retry", "--canary", code=2).stderr
    group = groups(home)[0]["group"]
    said = home.run("dlq", "retry", "--group", group, "--tag", "none", "--canary", code=1).stderr
    assert said == "queuectl: error: no job matches: nothing was requeued\n"
    assert home.run("dlq", "retry", "--group", group, "--limit", "1", "--canary", "--quiet").stderr == ""
    assert [row["state"] for row in rows(home.queue)] == ["pending"] + ["dead"] * 4


def test_a_list_says_what_each_died_of(home):
    home.add("true")
    assert "ERROR" not in home.run("list").stdout
    home.run("cancel", "--all")
    home.run("prune")
    die(home, "", 9)
    die(home, "x" * 150)
    home.add("true")
    for words in (["list"], ["dlq", "list"]):
        lines = home.run(*words).stdout.splitlines()
        assert lines[0].split()[-2:] == ["ERROR", "COMMAND"]
        place = lines[0].index("ERROR")
        assert lines[1][place:].split("  ")[0] == "exit 9" and lines[2][place:].startswith("exit 2: xxx")
        assert lines[2].endswith("...  sh job.sh")
    assert home.run("list").stdout.splitlines()[3].split()[-2:] == ["-", "true"]
    assert home.run("list", "--json").json[0]["signature"] == rows(home.queue)[0]["signature"]
    assert home.run("list", "--json").json[0]["last_error"] == "exit code 9", "for scripts it stays what it was"


def test_show_has_the_signature_and_what_it_stands_for(home):
    identifier = die(home)
    signature = rows(home.queue)[0]["signature"]
    assert "signature     %s (exit 2: can't connect to <ip>)\n" % signature in home.run("show", identifier).stdout
    assert home.job(identifier)["signature"] == signature
    waiting = home.add("true")
    assert "signature     -\n" in home.run("show", waiting).stdout and home.job(waiting)["signature"] is None


def problem_of(home):
    problems = json.loads(home.run("check", "--json", code=1).stdout)["problems"]
    return next(one for one in problems if one["kind"] == "dead")


def test_check_says_of_each_death_what_tells_most(home):
    identifier = die(home)
    other = die(home, "", 9)
    text = "new dead letters: 2; %s (exit code 9), %s (exit 2: can't connect to <ip>)\n" % (other, identifier)
    shown = problem_of(home)
    assert shown["text"] + "\n" == text
    assert [job["error"] for job in shown["jobs"]] == ["exit 9", "exit 2: can't connect to <ip>"]
    assert shown["jobs"][0]["last_error"] == "exit code 9" and shown["jobs"][0]["canary_of"] is None


OTHERWISE = "failed otherwise than they did"


@pytest.mark.parametrize("line, how", [("can't connect to <ip>", "failed as they did"), ("x", OTHERWISE)])
def test_check_says_once_that_a_canary_has_failed_and_for_which_group(home, five, line, how):
    group = groups(home)[0]["group"]
    home.run("dlq", "retry", "--group", group, "--canary")
    problem_of(home)
    [held] = claim(home.queue, time.time())
    ended = Outcome(held, states.FAILED, time.time(), "exit code 2")
    ended.exit_code, ended.error_line = 2, line
    home.queue.exchange("w-1", [ended], 0, time.time(), SETTINGS)
    shown = problem_of(home)
    assert shown["text"].endswith("; %s went first for group %s and %s: 2 stay dead" % (five[0], group[:6], how))
    assert shown["jobs"][0]["canary_of"] == {"group": group, "stay": 2, "alike": line != "x"}
    assert home.run("check").stdout == "", "once"


def test_a_clock_that_stands_before_the_deaths_is_no_fault(home):
    die(home)
    with raw(home.queue) as connection:
        connection.execute("UPDATE jobs SET finished_at = '2099-01-01T00:00:00.000000Z'")
    assert len(home.run("dlq", "groups").stdout.splitlines()) == 2
