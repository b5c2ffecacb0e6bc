"""Queues, pauses and locks as they are typed, and as they are told of."""

import json
import os
import time

import pytest
from helpers.home import PATIENT, Home, let_go
from helpers.marks import posix_only
from helpers.queue import claim, claim_one, raw_file, rows, settle
from helpers.zones import needs_tzset

from queuectl_lib import times
from queuectl_lib.store import queues


@pytest.fixture
def home(near):
    return near


def whens(home):
    """What `list` says of each job under WHEN, by its id."""
    lines = home.run("list").stdout.splitlines()
    begin, end = lines[0].index("WHEN"), lines[0].index("COMMAND")
    headings = lines[0][begin:end].split()
    end = lines[0].index(headings[1]) if len(headings) > 1 else end
    return {line.split()[0]: line[begin:end].strip() for line in lines[1:]}


def queue_set(home, *words):
    return home.run("queue", "set", *words)


# ---------------------------------------------------------------- queue set, list, show, remove


def test_a_queue_is_made_changed_shown_and_removed(home):
    assert queue_set(home, "mail", "--limit", "4", "--rate", "60/1h").stderr == "queue mail was made\n"
    assert queue_set(home, "mail", "--limit", "none").stderr == ""
    shown = home.run("queue", "show", "mail", "--json").json
    assert (shown["limit"], shown["rate"], shown["paused"], shown["due"]) == (None, "60/1h", False, 0)
    assert "rate          60/1h" in home.run("queue", "show", "mail").stdout
    assert [row["name"] for row in home.run("queue", "list", "--json").json] == ["default", "mail"]
    home.run("queue", "remove", "mail")
    assert [row["name"] for row in home.run("queue", "list", "--json").json] == ["default"]


def test_what_is_said_of_queues_fits_eighty_columns(home):
    queue_set(home, "mail", "--limit", "4", "--rate", "60/1h")
    queue_set(home, "night", "--window", "mon-fri 22:00-06:00")
    queue_set(home, "heavy", "--min-free", "1K:/")
    home.add("true", "--queue", "mail")
    home.run("pause", "mail", "--note", "the server is away")
    lines = home.run("queue", "list").stdout.splitlines()
    assert max(map(len, lines)) <= 80, "\n".join(lines)
    assert lines[0].split() == ["QUEUE", "DUE", "RUNNING", "STATE", "SET"]
    assert lines[2].split()[:4] == ["mail", "1", "0", "of"] and "paused" in lines[2] and "60/1h" in lines[2]
    assert "22:00-06:00" in lines[3] and "1K:" in lines[4]


def test_what_is_said_of_locks_fits_eighty_columns(home):
    assert "no lock is held" in home.run("lock", "list").stderr
    home.run("lock", "set", "db", "2")
    for number in range(4):
        home.add("true", "--id", "j%d" % number, "--lock", "db")
    for _ in range(3):
        claim(home.queue, time.time())
    lines = home.run("lock", "list").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["LOCK", "RUNNING", "PARKED", "HELD", "BY"],
        ["db", "2", "of", "2", "2", "j0,", "j1"],
    ]
    found = home.run("lock", "list", "--json").json
    assert found == [{"lock": "db", "most": 2, "running": 2, "held_by": ["j0", "j1"], "parked": 2}]
    home.run("lock", "unset", "db")
    assert home.run("lock", "list", "--json").json[0]["most"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["queue", "set", "a b"], "is not a name"),
        (["queue", "set", ""], "is not a name"),
        (["queue", "set", "x" * 65], "is not a name"),
        (["queue", "set", "q", "--limit", "0"], "`pause` does that"),
        (["queue", "set", "q", "--limit", "-1"], "--limit"),
        (["queue", "set", "q", "--limit", "many"], "--limit"),
        (["queue", "set", "q", "--rate", "0/1m"], "`pause` does that"),
        (["queue", "set", "q", "--rate", "5/0s"], "is no limit"),
        (["queue", "set", "q", "--rate", "5"], "such as 60/1m"),
        (["queue", "set", "q", "--rate", "10001/1m"], "--rate"),
        (["queue", "set", "q", "--window", "25:00-26:00"], "window"),
        (["queue", "remove", "default"], "default cannot be removed"),
        (["queue", "remove", "mial"], "did you mean mail"),
        (["queue", "show", "mial"], "did you mean mail"),
        (["pause", "mial"], "did you mean mail"),
        (["resume", "mial"], "did you mean mail"),
        (["pause", "mail", "--for", "1h", "--until", "2030-01-01"], "contradict"),
        (["pause", "mail", "--until", "2001-01-01"], "is over already"),
        (["pause", "mail", "--for", "99999999999h"], "--for"),
        (["add", "true", "--queue", "mial"], "did you mean mail"),
        (["add", "true", "--queue", ""], "unknown queue"),
        (["enqueue", '{"command": "true", "queue": "mial"}'], "did you mean mail"),
        (["enqueue", '{"command": "true", "queue": 7}'], "unknown queue"),
        (["add", "true", "--lock", ""], "lock is empty"),
        (["add", "true", "--lock", "x" * 201], "longer than 200"),
        (["enqueue", '{"command": "true", "lock": ["a"]}'], "lock"),
        (["lock", "set", "", "2"], "lock is empty"),
        (["lock", "set", "db", "0"], "N"),
        (["lock", "set", "db", "x"], "N"),
        (["worker", "start", "--queue", "mail", "--not-queue", "default"], "contradict"),
        (["worker", "start", "--queue", "mial", "--drain"], "did you mean mail"),
        (["worker", "start", "--not-queue", "mial", "--drain"], "did you mean mail"),
        (["worker", "start", "--queue", "", "--drain"], "unknown queue"),
    ],
)
def test_bad_input_is_refused_in_one_line_and_changes_nothing(home, words, said):
    queue_set(home, "mail")
    home.run("initdb")
    before = rows(home.queue, "SELECT * FROM queues"), rows(home.queue, "SELECT * FROM locks"), rows(home.queue)
    assert said in home.run(*words, code=2).stderr
    assert (
        rows(home.queue, "SELECT * FROM queues"),
        rows(home.queue, "SELECT * FROM locks"),
        rows(home.queue),
    ) == before


def test_a_queue_with_jobs_and_one_too_many_are_refused(home):
    queue_set(home, "mail")
    home.add("true", "--id", "m", "--queue", "mail")
    assert "queue mail still has jobs, such as m" in home.run("queue", "remove", "mail", code=1).stderr
    with home.queue.database.writing() as connection:
        for number in range(queues.MOST_QUEUES - 2):
            queues.make(connection, "q%d" % number)
    assert "there are 64 queues" in home.run("queue", "set", "more", code=1).stderr
    assert (
        "there are 64 queues"
        in home.run("enqueue", "--make-queues", '{"command": "true", "queue": "more"}', code=1).stderr
    )
    assert [job["id"] for job in home.run("list", "--json").json] == ["m"]


def test_pause_and_resume_of_one_of_some_and_of_all(home):
    for name in ("a", "b"):
        queue_set(home, name)

    def paused():
        return [row["name"] for row in home.run("queue", "list", "--json").json if row["paused"]]

    home.run("pause", "a")
    assert paused() == ["a"]
    home.run("pause")
    assert paused() == ["default", "a", "b"]
    home.run("resume", "a", "default")
    assert paused() == ["b"]
    home.run("resume")
    assert paused() == []
    home.run("pause", "b", "--for", "1h", "--note", "why")
    row = home.run("queue", "show", "b", "--json").json
    assert row["note"] == "why" and 3500 < times.utc_seconds(row["paused_until"]) - time.time() < 3601


# ---------------------------------------------------------------- windows


@needs_tzset
def test_a_window_that_the_clock_skips_this_week_is_told_of_where_its_queue_is_shown(home):
    later = [time.gmtime(time.time() + days * 86400) for days in (3, 180)]
    days = tuple(day.tm_yday - 1 for day in later)
    variables = {"TZ": "XXX0YYY,%d/2,%d/3" % days}  # where 02:00 is 03:00, three days from now
    text = "%s 02:10-02:50" % ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[later[0].tm_wday]
    home.run("queue", "set", "night", "--window", text, "--window", "mon-sun", env=variables)
    said = "%s does not open on %s: the clock skips it" % (text, time.strftime("%Y-%m-%d", later[0]))
    assert said not in home.run("queue", "show", "night", env={"TZ": "UTC0"}).stdout
    assert said in home.run("queue", "show", "night", env=variables).stdout
    home.run("queue", "set", "night", "--window", text, env=variables)
    assert said in home.run("queue", "show", "night", env=variables).stdout


# ---------------------------------------------------------------- into a paused queue


def pause_since(home, name, seconds):
    queues.pause(home.queue.database, [name], None, None, time.time() - seconds)


def test_who_adds_to_a_paused_queue_is_told(home):
    queue_set(home, "mail")
    assert home.run("add", "true", "--queue", "mail").stderr == ""
    pause_since(home, "mail", 7200)
    assert home.run("add", "true", "--queue", "mail").stderr == "queue mail has been paused for 2h: it waits\n"
    assert home.run("add", "true").stderr == ""
    jobs = [{"command": "true", "queue": name} for name in ("mail", "default", "mail")]
    said = home.run("enqueue", json.dumps(jobs)).stderr
    assert said == "queue mail has been paused for 2h: it waits\nenqueued 3 jobs\n"
    home.run("pause")
    assert "queue default has been paused for 0s: it waits" in home.run("add", "true").stderr


def test_a_pause_that_is_over_is_not_told(home):
    queue_set(home, "mail")
    queues.pause(home.queue.database, ["mail"], time.time() - 1, None, time.time() - 60)
    assert home.run("add", "true", "--queue", "mail").stderr == ""


def test_a_job_that_its_key_keeps_out_waits_in_no_paused_queue(home):
    home.add("true", "--unique", "k")
    home.run("pause")
    assert home.run("add", "true", "--unique", "k").stderr == ""


# ---------------------------------------------------------------- queues made with the jobs


def test_make_queues_makes_what_the_jobs_name(home):
    jobs = [{"id": "j%d" % number, "command": "true", "queue": name} for number, name in enumerate("abab")]
    assert "unknown queue" in home.run("enqueue", json.dumps(jobs), code=2).stderr
    assert home.run("enqueue", "--make-queues", json.dumps(jobs)).stdout.split() == ["j0", "j1", "j2", "j3"]
    assert [job["queue"] for job in home.run("list", "--json").json] == list("abab")
    assert [row["name"] for row in home.run("queue", "list", "--json").json] == ["default", "a", "b"]


@pytest.mark.parametrize(
    "last", [{"command": ""}, {"command": "true", "id": "first"}, {"command": "true", "queue": "a b"}]
)
def test_where_the_jobs_are_refused_no_queue_is_made(home, last):
    home.run("initdb")
    jobs = [{"id": "first", "command": "true", "queue": "new"}, last]
    home.run("enqueue", "--make-queues", json.dumps(jobs), code=1 if last.get("id") else 2)
    assert [row["name"] for row in home.run("queue", "list", "--json").json] == ["default"]


# ---------------------------------------------------------------- why a job waits


def test_list_says_why_a_job_waits(home):
    for words in (["mail"], ["narrow", "--limit", "1"], ["night", "--window", window_elsewhere()]):
        queue_set(home, *words)
    home.add("true", "--id", "holder", "--lock", "db", "--priority", "9")
    home.add("true", "--id", "runs", "--queue", "narrow", "--priority", "8")
    claim(home.queue, time.time())
    claim(home.queue, time.time())
    home.add("true", "--id", "free")
    home.add("true", "--id", "later", "--delay", "2h")
    home.add("true", "--id", "held", "--hold")
    home.add("true", "--id", "locked", "--lock", "db")
    home.add("true", "--id", "paused", "--queue", "mail")
    home.add("true", "--id", "second", "--queue", "narrow")
    home.add("true", "--id", "night", "--queue", "night")
    home.add("true", "--id", "child", "--after", "free")
    home.run("pause", "mail")
    found = whens(home)
    assert found["free"] == "due" and found["later"].startswith("due in ")
    assert found["held"] == "held"
    assert found["locked"] == "lock db: holder"
    assert found["paused"] == "queue mail paused"
    assert found["second"] == "queue narrow: 1 at once"
    assert found["night"].startswith("opens ")
    assert found["child"] == "after free"
    claim(home.queue, time.time(), 9)
    assert whens(home)["locked"] == "lock db: holder", "parked, too"


def window_elsewhere():
    """A window that is shut for some hours."""
    begin, end = (time.localtime(time.time() + seconds) for seconds in (4 * 3600, 5 * 3600))
    return "%02d:00-%02d:00" % (begin.tm_hour, end.tm_hour)


def test_status_counts_what_waits_for_something_and_only_then(home):
    assert not {"held", "parked", "paused"} & set(home.run("status").stdout.split())
    queue_set(home, "mail")
    home.add("true", "--id", "holder", "--lock", "db", "--priority", "9")
    home.add("true", "--lock", "db")
    home.add("true", "--hold")
    home.add("true", "--queue", "mail")
    home.add("true", "--queue", "mail", "--delay", "1h")
    home.run("pause", "mail")
    claim(home.queue, time.time())
    claim(home.queue, time.time())
    text = home.run("status").stdout
    lines = {line[:16].strip(): line[16:] for line in text.splitlines()}
    assert (lines["held"], lines["parked"], lines["paused"]) == ("1", "1", "2 in mail")
    found = home.run("status", "--json").json
    assert (found["held"], found["parked"], found["in_paused_queues"]) == (1, 1, {"mail": 2})


# ---------------------------------------------------------------- wait


def test_wait_leaves_out_what_only_a_person_can_free(home):
    queue_set(home, "mail")
    home.add("exit 0", "--id", "done")
    home.drain()
    home.add("true", "--id", "held", "--hold")
    home.add("true", "--queue", "mail")
    home.add("true", "--after", "held")
    home.run("pause", "mail")
    found = home.run("wait", timeout=20)
    assert found.stderr == "3 jobs wait for a person: 1 held, 1 in the paused queue mail, 1 after others\n"
    found = home.run("wait", "--json", timeout=20).json
    assert (found["pending"], found["for_a_person"], found["timed_out"]) == (3, 3, False)
    assert home.run("wait", "held", "--timeout", "0.2s", code=124).stderr.count("\n") == 2


@posix_only
def test_wait_waits_on_for_what_runs_and_then_says_once_what_is_left(home):
    home.add(PATIENT, "--id", "runs", "--cwd", home.path)
    home.add("true", "--id", "held", "--hold")
    home.start()
    home.wait_for_state("runs", "processing")
    assert home.run("wait", "--timeout", "0.3s", code=124).stderr.startswith("timed out: 2 jobs")
    let_go(home)
    assert home.run("wait", timeout=30).stderr == "1 job waits for a person: 1 held\n"


def test_wait_says_what_is_left_and_nothing_of_what_had_failed_before(home):
    home.add("exit 1", "--max-retries", "0")
    home.drain()
    home.add("true", "--hold")
    assert home.run("wait", timeout=20).stderr == "1 job waits for a person: 1 held\n"


@posix_only
def test_a_job_that_waits_for_all_others_does_not_wait_for_itself_and_what_is_held(home):
    home.add("true", "--id", "held", "--hold")
    words = " ".join("'%s'" % word for word in home.command("wait", "--timeout", "20s"))
    home.add("%s 2> said" % words, "--id", "waits", "--cwd", home.path)
    home.drain()
    assert home.state("waits") == "completed"
    with open(os.path.join(home.path, "said")) as file:
        assert file.read() == "1 job waits for a person: 1 held\n"


# ---------------------------------------------------------------- put back into a paused queue


def test_a_retry_into_a_paused_queue_waits_there(home):
    queue_set(home, "mail")
    home.add("exit 1", "--id", "m", "--queue", "mail", "--max-retries", "0")
    home.drain()
    home.run("pause", "mail")
    home.run("dlq", "retry", "m")
    assert whens(home) == {"m": "queue mail paused"}
    assert claim(home.queue, time.time()) == []
    home.run("cancel", "m")
    home.run("requeue", "m")
    assert claim(home.queue, time.time()) == []
    home.run("resume", "mail")
    assert claim_one(home.queue, time.time()).id == "m"


# ---------------------------------------------------------------- from home to home


def test_list_feeds_another_home_with_queues_locks_tags_and_holds(home, tmp_path):
    queue_set(home, "mail", "--limit", "1")
    home.add("true", "--id", "a", "--queue", "mail", "--lock", "db", "--tag", "x", "--hold")
    home.add("true", "--id", "b", "--queue", "mail", "--lock", "db")
    home.add("true", "--id", "c", "--lock", "db", "--priority", "9")
    settle(home.queue, claim_one(home.queue, time.time()), "failed", time.time())
    other = Home(tmp_path / "other")
    text = home.run("list", "--state", "pending,failed", "--json").stdout
    assert "unknown queue" in other.run("enqueue", "-", input=text, code=2).stderr
    assert other.run("enqueue", "--make-queues", "-", input=text).stdout.split() == ["a", "b", "c"]
    found = [(job["queue"], job["lock"], job["tags"], job["hold"]) for job in other.run("list", "--json").json]
    assert found == [("mail", "db", ["x"], True), ("mail", "db", [], False), ("default", "db", [], False)]


HELD_TO_NOTHING = [
    ("running_most", "many"),
    ("rate_count", "x"),
    ("windows", "whenever"),
    ("load_most", "low"),
    ("memory_least", "some"),
    ("free_least", "some"),
]


@pytest.mark.parametrize("column, value", HELD_TO_NOTHING, ids=[column for column, _ in HELD_TO_NOTHING])
def test_what_somebody_has_written_into_a_queue_is_shown(home, column, value):
    home.run("queue", "set", "mail", "--limit", "2")
    with raw_file(home.db) as connection:
        connection.execute("UPDATE queues SET %s = ?, free_path = 'x' WHERE name = 'mail'" % column, (value,))
        connection.commit()
    home.add("true", "--queue", "mail")
    for words in (["queue", "list"], ["queue", "show", "mail"]):
        assert value in home.run(*words).stdout
    home.run("list")
    home.run("status")
    home.run("check", "--min-free", "0")
    assert home.run("queue", "list", "--json").json[1]["name"] == "mail"
