"""`add --after`, `--after-any`, `--after-fail`: jobs after jobs, as a person sees them, and with real workers."""

import os
import sys
import time

import pytest
from helpers.home import Home, ledger
from helpers.marks import long, posix_only
from helpers.processes import end_process
from helpers.queue import rows
from helpers.waiting import wait_until

from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.store import looking, placing, roster


@pytest.fixture
def home(near):
    return near


def when(home, identifier):
    """What `list` says of the job under WHEN."""
    text = home.run("list", "--limit", "1000").stdout.splitlines()
    begin, end = text[0].index("WHEN"), text[0].index("COMMAND")
    return next(line[begin:end].strip() for line in text if line.split()[0] == identifier)


# ---------------------------------------------------------------- what is said


def test_what_waits_says_for_whom_in_list_show_and_status(home):
    for one in ("J7", "J8", "J9"):
        home.add("exit 0", "--id", one)
    home.add("exit 0", "--id", "one", "--after", "J7")
    home.add("exit 0", "--id", "three", "--after", "J7,J8", "--after-any", "J9")
    assert [when(home, one) for one in ("J7", "one", "three")] == ["due", "after J7", "after 3 jobs"]
    assert "after others    2\n" in home.run("status").stdout
    assert home.run("status", "--json").json["after_others"] == 2
    job = home.job("three")
    assert (job["after"], job["after_any"], job["after_fail"], job["depended_on"]) == (["J7", "J8"], ["J9"], [], [])
    home.drain()
    assert when(home, "three").endswith("ago")
    assert "after others" not in home.run("status").stdout
    job = home.job("three")
    assert (job["after"], job["after_any"], job["state"]) == ([], [], "completed")
    assert job["depended_on"] == [
        {"id": one, "kind": kind, "outcome": "met", "state": "completed"}
        for one, kind in (("J7", "after"), ("J8", "after"), ("J9", "after_any"))
    ]
    shown = home.run("show", "three").stdout
    assert "depended_on   J7 (met: completed), J8 (met: completed), J9 (met: completed)\n" in shown


def test_a_parent_may_be_named_by_the_beginning_of_its_id(home):
    parent = home.run("add", "true").id
    child = home.run("add", "true", "--after", parent[:11].upper()).id
    assert home.job(child)["after"] == [parent]
    listed = home.run("enqueue", "--lines", "-", "--after-any", parent[:11], input="true\n").stdout.split()
    assert [home.job(one)["after_any"] for one in listed if one != child] == [[parent]]
    other = parent[:11] + next(digit for digit in "0123456789" if parent[:11] + digit not in (parent, child))
    home.add("true", "--id", other)
    refused = home.run("add", "true", "--after", parent[:11], code=1)
    assert "more than one id begins with %s" % parent[:11] in refused.stderr
    said = home.run("add", "true", "--after", "zz", code=1).stderr
    assert said.endswith('no job has the id "zz": nothing was added\n')


def test_show_names_the_root_of_what_was_cancelled_in_a_chain(home):
    home.add("exit 3", "--id", "J1", "--max-retries", "0")
    home.add("exit 0", "--id", "J2", "--after", "J1")
    home.add("exit 0", "--id", "J3", "--after", "J2")
    home.drain()
    assert "last_error    not run: J1 is dead (through J2)\n" in home.run("show", "J3").stdout
    assert home.job("J3")["reason"]["root"] == "J1"
    assert home.job("J1")["reason"] is None


def test_check_says_how_many_jobs_a_dead_letter_has_taken_along(home):
    home.add("exit 3", "--id", "J", "--max-retries", "0")
    home.add("exit 3", "--id", "alone", "--max-retries", "0")
    home.add("exit 0", "--id", "one", "--after", "J")
    for number in range(11):
        home.queue.enqueue(row_of(id="c%d" % number, after=["one"]))
    home.add("exit 0", "--id", "mine", "--after", "J")
    home.run("cancel", "mine")
    home.drain()
    said = home.run("check", code=1).stdout
    assert "  J: exit 3; command: exit 3 (12 jobs after it were cancelled)\n" in said
    assert "  alone: exit 3; command: exit 3\n" in said


def row_of(**fields):
    return JobMaker(0, os.path.abspath(os.sep), 0o022, 1800000000.0).row(dict({"command": "exit 0"}, **fields))


def test_a_job_that_is_cancelled_at_birth_has_an_id_and_a_word_on_stderr(home):
    home.add("exit 3", "--id", "J", "--max-retries", "0")
    home.drain()
    done = home.run("add", "exit 0", "--id", "child", "--after", "J")
    assert (done.id, done.stderr) == ("child", "job child was cancelled: not run: J is dead\n")
    lines = "".join('{"command": "exit 0", "id": "c%d", "after": ["J"]}\n' % number for number in range(7))
    done = home.run("enqueue", "-", input=lines)
    assert done.stdout.split() == ["c%d" % number for number in range(7)]
    assert done.stderr.splitlines()[4:] == [
        "job c4 was cancelled: not run: J is dead",
        "2 more were cancelled",
        "enqueued 7 jobs",
    ]


@pytest.mark.parametrize(
    "words, code, text",
    [
        (["--after", ""], 2, 'after: "" is not an id'),
        (["--after", "a,,b"], 2, 'after: "" is not an id'),
        (["--after", "../x"], 2, "is not an id"),
        (["--after", "J", "--after-fail", "J"], 2, "after_fail: job J stands under after, too"),
        (["--id", "x", "--after", "x"], 2, "after: job x cannot come after itself"),
        (["--after", "nobody"], 1, 'after: no job has the id "nobody": nothing was added'),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line_and_nothing_added(home, words, code, text):
    home.add("exit 0", "--id", "J")
    done = home.run("add", "exit 0", *words, code=code)
    assert text in done.stderr and done.stderr.count("\n") == 1
    assert len(rows(home.queue)) == 1


def test_options_may_be_repeated(home):
    for one in "abc":
        home.add("exit 0", "--id", one)
    home.add("exit 0", "--id", "child", "--after", "a,b", "--after", "c")
    assert home.job("child")["after"] == ["a", "b", "c"]


def test_open_dependencies_feed_another_home(home, tmp_path):
    home.add("exit 0", "--id", "done", "--priority", "1")
    home.run("worker", "start", "--drain")
    home.add("exit 0", "--id", "J")
    home.add("exit 0", "--id", "child", "--after", "J,done")
    home.add("exit 0", "--id", "mend", "--after-fail", "child", "--after-any", "J")
    dump = home.run("list", "--state", "pending,failed", "--json").stdout
    other = Home(tmp_path / "other")
    assert other.run("enqueue", "-", input=dump).stdout.split() == ["J", "child", "mend"]
    for one in ("J", "child", "mend"):
        mine, theirs = home.job(one), other.job(one)
        assert [mine[key] for key in ("after", "after_any", "after_fail")] == [
            theirs[key] for key in ("after", "after_any", "after_fail")
        ]
    assert other.job("child")["depended_on"] == []


# ---------------------------------------------------------------- wait, requeue


def test_wait_counts_what_was_cancelled_but_not_what_was_not_needed(home):
    home.add("exit 0", "--id", "J")
    home.add("exit 0", "--id", "mend", "--after-fail", "J")
    home.drain()
    assert home.run("wait").stderr == ""
    assert home.run("wait", "mend").stderr == ""
    assert home.run("wait", "J", "mend", "--json").json["not_needed"] == 1
    home.add("exit 3", "--id", "K", "--max-retries", "0")
    home.add("exit 0", "--id", "child", "--after", "K")
    home.drain()
    assert home.run("wait", "child", code=1).stderr == "not all completed: 1 cancelled\n"
    assert home.run("wait", "K", "child", code=1).stderr == "not all completed: 1 dead, 1 cancelled\n"


def test_a_retry_says_which_job_cannot_come_back_since_its_key_is_held(home):
    home.add("exit 3", "--id", "J", "--max-retries", "0")
    home.add("exit 0", "--id", "child", "--after", "J", "--unique", "k")
    home.drain()
    home.add("exit 0", "--id", "other", "--unique", "k")
    said = "left job child cancelled: job other has its key, and waits or runs\n"
    assert home.run("dlq", "retry", "J").stderr == said
    home.run("cancel", "J")
    assert home.run("requeue", "J").stderr == said
    home.run("cancel", "J", "other")
    assert home.run("requeue", "J").stderr == ""
    assert home.state("child") == "pending"


def test_a_child_is_not_requeued_before_its_parent(home):
    home.add("exit 3", "--id", "J", "--max-retries", "0")
    home.add("exit 0", "--id", "B", "--after", "J")
    home.drain()
    said = (
        "queuectl: error: job B waits for J, which is dead: retry that, or `edit B --no-after`: nothing was requeued\n"
    )
    assert home.run("requeue", "B", code=1).stderr == said
    assert home.state("B") == "cancelled"


def test_a_change_of_mind_lets_a_job_come_after_nothing(home):
    home.add("exit 3", "--id", "J", "--max-retries", "0")
    home.add("exit 0", "--id", "child", "--after", "J")
    home.add("exit 0", "--id", "late", "--after", "J", "--delay", "1h")
    home.run("edit", "late", "--no-after", "--priority", "5")
    assert when(home, "late").startswith("due in")
    home.run("edit", "late", "--now")
    home.drain()
    assert [home.state(one) for one in ("child", "late")] == ["cancelled", "completed"]
    assert "already" in home.run("edit", "child", "--no-after", "--priority", "5", code=1).stderr
    home.run("edit", "child", "--no-after")
    home.run("requeue", "child")
    home.drain()
    assert home.state("child") == "completed"
    assert "already" in home.run("edit", "child", "--no-after", code=1).stderr


@posix_only
def test_what_a_death_took_down_its_retry_brings_back_and_all_runs_to_the_end(home):
    home.add("test -e mended", "--id", "J", "--max-retries", "0", "--cwd", home.path)
    for parent, child in (("J", "a"), ("a", "b"), ("b", "c")):
        home.add("echo %s >> ledger" % child, "--id", child, "--after", parent, "--cwd", home.path)
    home.drain()
    assert [home.state(one) for one in "Jabc"] == ["dead"] + ["cancelled"] * 3
    with open(os.path.join(home.path, "mended"), "w"):
        pass
    home.run("dlq", "retry", "--all")
    home.drain()
    assert ledger(home) == ["a", "b", "c"]


# ---------------------------------------------------------------- with real workers


@posix_only
def test_a_job_that_adds_what_comes_after_itself(home):
    """With its own id; that starts when it has completed."""
    inner = " ".join('"%s"' % word for word in home.command("add", "--quiet", "--after"))
    home.add('%s "$QUEUECTL_JOB_ID" --id child -- %s' % (inner, command_of("child", home)), "--id", "J")
    home.drain()
    assert [home.state(one) for one in ("J", "child")] == ["completed", "completed"]
    assert ledger(home) == ["child"]


def command_of(word, home):
    code = "open(r'%s', 'a').write('%s ')" % (os.path.join(home.path, "ledger"), word)
    return '"%s" -S -c "%s"' % (sys.executable, code)


WAITS = [sys.executable, "-S", "-c", "import os, time\nwhile not os.path.exists('go'): time.sleep(0.001)"]


def test_two_workers_that_finish_two_parents_at_once_free_the_child_once(home):
    pairs = 12
    home.run("config", "set", "poll_interval", "0.05")
    home.start("--count", "2", "--processes", "2")
    for number in range(pairs):  # one pair after the other: of those behind it one may be held ahead, and the other run
        folder = os.path.join(home.path, "at%d" % number)
        os.mkdir(folder)
        names = ["p%d" % number, "q%d" % number]
        for name in names:
            home.run("add", "--quiet", "--id", name, "--cwd", folder, "--", *WAITS)
        home.add("echo %d >> ledger" % number, "--cwd", home.path, "--id", "c%d" % number, "--after", ",".join(names))
        for name in names:
            home.wait_for_state(name, "processing")
        with open(os.path.join(folder, "go"), "w"):
            pass
        home.wait_for_state("c%d" % number, "completed")
    assert sorted(ledger(home), key=int) == [str(number) for number in range(pairs)]
    assert rows(home.queue, "SELECT * FROM settling") == []


def fan_out(home, count, command):
    home.run("add", "--quiet", "--id", "J", "--", sys.executable, "-S", "-c", "")
    lines = ('{"command": %s, "after": ["J"], "id": "c%d"}\n' % (command % n, n) for n in range(count))
    home.run("enqueue", "--quiet", "-", input="".join(lines), timeout=600, cwd=home.path)


def kill_everything(home, supervisor):
    supervisor.kill()
    for member in roster.members(home.queue.folder):
        end_process(member["pid"])
    supervisor.wait()
    wait_until(lambda: not roster.members(home.queue.folder), "all to be gone")


def left_open(home):
    return rows(home.queue, "SELECT count(*) AS n FROM edges WHERE state = 1")[0]["n"]


@posix_only
@pytest.mark.parametrize("count", [2000, pytest.param(100000, marks=long)], ids=["small", "large"])
def test_everything_killed_between_two_batches_of_a_fan_out_loses_and_doubles_nothing(home, count):
    fan_out(home, count, '"echo %d >> ledger"')
    killed, left = 0, count
    while killed < (12 if count > 2000 else 4):
        supervisor = home.start("--count", "2", "--processes", "2")
        deadline = time.monotonic() + 60
        while left_open(home) == left and time.monotonic() < deadline:
            pass  # as soon as one batch is settled
        kill_everything(home, supervisor)
        left = left_open(home)
        assert placing.misplaced(home.queue.database, "9") == []
        if not left:
            break
        killed += 1
    assert killed
    home.run("worker", "start", "--drain", "--count", "2", "--processes", "2", timeout=1800)
    assert rows(home.queue, "SELECT * FROM settling") == []
    counts = looking.counts(home.queue.database)
    assert counts["completed"] == count + 1, counts
    assert sorted(map(int, ledger(home))) == list(range(count))


@posix_only
def test_a_worker_killed_at_the_end_of_a_parent_leaves_its_children_to_the_next(home):
    for point in ("exchange.before-commit", "exchange.committed", "attempt.ended"):
        folder = os.path.join(home.path, point)
        os.mkdir(folder)
        home.add("exit 0", "--id", "J" + point)
        home.add("echo %s >> ledger" % point, "--id", "c" + point, "--cwd", home.path, "--after", "J" + point)
        failpoint = {"QUEUECTL_FAILPOINT": "%s:%s" % (point, os.path.join(folder, "dead"))}
        home.run("worker", "start", "--drain", env=failpoint)
        assert os.path.exists(os.path.join(folder, "dead"))
    assert ledger(home) == ["exchange.before-commit", "exchange.committed", "attempt.ended"]
