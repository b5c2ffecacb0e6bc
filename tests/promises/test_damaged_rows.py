"""One row, file or job that is not as it should be stops none of the others."""

import json
import os
import re
import shutil
import time

import pytest
from helpers.home import Home, contents, ledger, wait_for_log
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS, claim, enqueue, raw, rows, settle
from helpers.waiting import wait_until

from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import log, refusals
from queuectl_lib.store import finding, identity, looking, opening


@pytest.fixture
def home(near):
    return near

# What somebody does to the row of a waiting job, past every check of ours, and a word of what is said of it.
DAMAGE = {
    "a list that is text": ("is_list = 1", "command"),
    "a list of numbers": ("is_list = 1, command = '[1, 2]'", "command"),
    "an object as list": ("is_list = 1, command = '{}'", "command"),
    "an empty list": ("is_list = 1, command = '[]'", "command"),
    "a command of bytes": ("command = x'00ff'", "command"),
    "a command that is no UTF-8": ("command = CAST(x'ff20ff' AS TEXT)", "command"),
    "an env that is no JSON": ("env = 'secret'", "env"),
    "an env that is a list": ("env = '[1]'", "env"),
    "an env of numbers": ("env = '{\"A\": 1}'", "env"),
    "an env of bytes": ("env = x'ff'", "env"),
    "attempts in words": ("attempts = 'many'", "attempts"),
    "retries in words": ("max_retries = 'many'", "max_retries"),
    "runs in words": ("runs = 'many'", "runs"),
    "a umask in words": ("umask = 'none'", "umask"),
    "a umask that is too large": ("umask = 99999", "umask"),
    "a timeout in words": ("timeout = 'soon'", "timeout"),
    "a directory of bytes": ("cwd = x'2f'", "cwd"),
    "a due time that is none": ("next_run_at = 'tomorrow'", "next_run_at"),
    "a due time that is none, and later": ("next_run_at = 'tomorrow', lane = 1", "next_run_at"),
    "a due time of bytes": ("next_run_at = x'ff', lane = 1", "next_run_at"),
    "a key of bytes": ("unique_key = x'ff'", "unique_key"),
    "tags of bytes": ("tags = x'ff'", "tags"),
}


def damage(queue, identifier, change, check=True):
    with raw(queue) as connection:
        if not check:
            connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute("UPDATE jobs SET %s WHERE id = ?" % change, (identifier,))


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_row_that_cannot_be_read_is_set_aside_with_a_word_and_all_others_are_claimed(queue, kind):
    enqueue(queue, id="before")
    enqueue(queue, id="broken")
    enqueue(queue, id="behind")
    change, word = DAMAGE[kind]
    damage(queue, "broken", change)
    found = []
    for _ in range(4):
        found += [held.id for held in claim(queue, NOW + 1, 2)]
    assert found == ["before", "behind"]
    counts = looking.counts(queue.database)
    assert (counts["dead"], counts["processing"], counts["pending"]) == (1, 2, 0)
    error = rows(queue, "SELECT last_error FROM jobs WHERE id = 'broken'")[0]["last_error"]
    assert error.startswith("cannot be read: ") and word in error and "secret" not in error
    assert rows(queue, "SELECT outcome FROM attempts WHERE job = 2")[0]["outcome"] == "failed"


@pytest.mark.parametrize("kind", DAMAGE)
def test_every_command_shows_what_it_can_of_such_a_row(home, kind):
    home.add("true", "--id", "whole")
    home.add("true", "--id", "broken")
    damage(home.queue, "broken", DAMAGE[kind][0])
    for words in (
        ["list"],
        ["list", "--json"],
        ["show", "broken"],
        ["show", "broken", "--json"],
        ["status"],
        ["logs", "broken"],
    ):
        assert home.run(*words).stdout.count("broken") or words[0] in ("status", "logs")
    if kind == "a list that is text":
        assert home.run("list", "--json").json[1]["command"] == "true"
    home.run("check", "--waiting", "0s", code=1)
    home.run("cancel", "broken")
    home.run("requeue", "broken")
    home.run("cancel", "broken")
    assert home.run("prune").stderr == "deleted 1 job\n"


@posix_only
def test_a_worker_runs_the_others_and_check_names_what_was_set_aside(home):
    for number, kind in enumerate(sorted(DAMAGE)):
        home.run("enqueue", '{"command": "true", "id": "broken%d", "priority": 5}' % number)
        damage(home.queue, "broken%d" % number, DAMAGE[kind][0])
    jobs = [home.add("true") for _ in range(3)]
    home.drain()
    assert finding.states_of(home.queue.database, jobs) == ["completed"] * 3
    assert looking.counts(home.queue.database)["dead"] == len(DAMAGE)
    said = home.run("check", code=1).stdout
    assert "new dead letters: %d" % len(DAMAGE) in said and "cannot be read" in said


def test_an_attempt_whose_number_is_taken_gets_the_next(queue):
    enqueue(queue, id="job", max_retries=5)
    settle(queue, claim(queue)[0], "failed")
    damage(queue, "job", "runs = 0")
    held = claim(queue, NOW + 100)[0]
    assert held.number == 2
    settle(queue, held, "completed", NOW + 101)
    assert [one["number"] for one in rows(queue, "SELECT number FROM attempts ORDER BY number")] == [1, 2]


@pytest.mark.parametrize("column", ["id", "state", "attempts", "max_retries", "command", "cwd", "created_at"])
def test_where_nothing_stands_a_list_shows_that(home, column):
    """A database from elsewhere may lack each NOT NULL of ours."""
    home.add("true", "--id", "odd")
    home.add("echo fine", "--id", "whole")
    with raw(home.queue) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        found = "SELECT sql FROM sqlite_master WHERE tbl_name = 'jobs' AND type IN ('table', 'index') AND sql <> ''"
        statements = [row["sql"] for row in connection.execute(found + " ORDER BY type = 'index'")]
        connection.execute("CREATE TABLE before AS SELECT * FROM jobs")
        connection.execute("DROP TABLE jobs")
        for statement in statements:
            connection.execute(re.sub("(TEXT|INTEGER) NOT NULL", r"\1", statement))
        connection.execute("INSERT INTO jobs SELECT * FROM before")
        connection.execute("UPDATE jobs SET %s = NULL WHERE id = 'odd'" % column)
    lines = home.run("list").stdout.splitlines()
    assert len(lines) == 3 and lines[2].startswith("whole  pending")
    assert column != "state" or lines[1].split()[:2] == ["odd", "-"]
    listed = home.run("list", "--json").json
    assert listed[0][column] is None and listed[1]["command"] == "echo fine"


# ---------------------------------------------------------------- triggers and constraints of somebody else


def forbid(queue, event, text="not today", when=""):
    with raw(queue) as connection:
        connection.execute(
            "CREATE TRIGGER forbidden BEFORE %s ON jobs %s BEGIN SELECT RAISE(ABORT, '%s'); END" % (event, when, text)
        )


@pytest.mark.parametrize("how", ["ABORT, 'not today'", "IGNORE"])
@pytest.mark.parametrize(
    "words",
    [["add", "true"], ["add", "true", "--id", "mine"], ["enqueue", '[{"command": "true"}, {"command": "true"}]']],
)
def test_an_insert_that_a_trigger_refuses_is_told_and_tried_no_more(home, words, how):
    home.run("initdb")
    with raw(home.queue) as connection:
        connection.execute("CREATE TRIGGER forbidden BEFORE INSERT ON jobs BEGIN SELECT RAISE(%s); END" % how)
    said = home.run(*words, code=3, timeout=30).stderr
    assert ("not today" in said or "ignores" in said) and "trigger" in said
    assert sum(looking.counts(home.queue.database).values()) == 0


def test_a_claim_that_a_trigger_ignores_runs_nothing(home):
    home.add("echo ran >> ledger", "--cwd", home.path)
    with raw(home.queue) as connection:
        connection.execute(
            "CREATE TRIGGER forbidden BEFORE UPDATE OF state ON jobs WHEN NEW.state = 'processing'"
            " BEGIN SELECT RAISE(IGNORE); END"
        )
    process = home.start()
    wait_for_log(process, "trigger")
    assert ledger(home) == []


@pytest.mark.parametrize("column", ["runs", "attempts", "max_retries", "priority"])
def test_a_number_that_is_as_large_as_can_be_stops_nobody(home, column):
    ids = [home.add("true", "--id", "huge"), home.add("true")]
    damage(home.queue, "huge", "%s = 9223372036854775807" % column, check=False)
    log = home.drain()
    assert "Traceback" not in log
    assert home.state(ids[1]) == "completed"
    assert home.state("huge") in ("completed", "dead")


def test_json_stays_json_where_a_number_is_infinite(home):
    home.add("echo Infinity", "--id", "endless")
    damage(home.queue, "endless", "timeout = 9e999, exit_code = -9e999", check=False)

    def refuse(word):
        raise AssertionError("%s is no JSON" % word)

    for words, pick in ((("list", "--json"), lambda told: told[0]), (("show", "endless", "--json"), lambda told: told)):
        job = pick(json.loads(home.run(*words).stdout, parse_constant=refuse))
        assert (job["command"], job["timeout"], job["exit_code"]) == ("echo Infinity", "Infinity", "-Infinity")


@pytest.mark.parametrize("words", [["cancel", "job"], ["dlq", "retry", "--all"], ["prune", "--state", "dead"]])
def test_a_move_that_a_trigger_refuses_is_told(home, words):
    home.add("true", "--id", "job", "--max-retries", "0")
    if words[0] != "cancel":
        settle(home.queue, claim(home.queue, time.time())[0], "failed", time.time() - 9)
    forbid(home.queue, "DELETE" if words[0] == "prune" else "UPDATE OF state")
    assert "not today" in home.run(*words, code=3).stderr


def test_jobs_that_a_trigger_keeps_where_they_are_do_not_hide_those_behind_them(queue):
    for number in range(5):
        enqueue(queue, id="kept%d" % number, priority=9)
    enqueue(queue, id="free")
    forbid(queue, "UPDATE OF state", when="WHEN OLD.id LIKE 'kept%'")
    assert [held.id for held in claim(queue)] == ["free"]
    with pytest.raises(opening.Refused, match="not today"):
        claim(queue)
    assert rows(queue, "SELECT count(*) AS n FROM attempts") == [{"n": 1}]


# A trigger that refuses what one job comes to: (its event, what it does), and a word of what is said of it.
SETTLING = {
    "refuses": ("BEFORE UPDATE ON jobs WHEN NEW.state = 'completed'", "SELECT RAISE(ABORT, 'not today')", "not today"),
    "ends all": ("BEFORE UPDATE ON jobs WHEN NEW.state = 'completed'", "SELECT RAISE(ROLLBACK, 'no more')", "no more"),
    "ignores": ("BEFORE UPDATE ON jobs WHEN NEW.state = 'completed'", "SELECT RAISE(IGNORE)", "ignores"),
    "errs": ("BEFORE UPDATE ON jobs WHEN NEW.state = 'completed'", "SELECT json_extract('{', '$')", "malformed JSON"),
    "is late": ("AFTER UPDATE ON jobs WHEN NEW.state = 'completed'", "SELECT RAISE(ABORT, 'too late')", "too late"),
}


def put_in_the_way(home, kind):
    event, action, word = SETTLING[kind]
    with raw(home.queue) as connection:
        connection.execute("CREATE TRIGGER forbidden %s AND NEW.id = 'kept' BEGIN %s; END" % (event, action))
    return word


def take_out_of_the_way(home):
    with raw(home.queue) as connection:
        connection.execute("DROP TRIGGER forbidden")


@posix_only
@pytest.mark.parametrize("kind", SETTLING)
def test_a_result_that_a_trigger_refuses_holds_up_no_other_and_is_recorded_once_it_may_be(home, kind):
    jobs = [home.add("echo a", "--id", one) for one in ("first", "kept", "behind")]
    word = put_in_the_way(home, kind)
    process = home.start()
    wait_for_log(process, "job kept completed")
    for job in ("first", "behind", home.add("echo later")):
        home.wait_for_state(job, "completed")
    assert home.state("kept") == "processing"
    said = [line for line in contents(process.log).splitlines() if "job kept completed" in line]
    assert len(said) == 1 and word in said[0] and "not recorded: " in said[0] and said[0].endswith("; trying again")
    assert "answers again" not in contents(process.log) and "damaged" not in contents(process.log)
    take_out_of_the_way(home)
    home.wait_for_state("kept", "completed")
    home.run("worker", "stop")
    assert process.wait(20) == 0
    assert finding.states_of(home.queue.database, jobs) == ["completed"] * 3
    assert home.job("kept")["attempts"] == 1 and home.run("logs", "kept").stdout == "a\n"
    assert os.listdir(home.db + ".d/attempts") == []


@posix_only
def test_a_refused_result_is_evidence_for_the_next_worker_when_its_own_has_stopped(home):
    home.add("echo a; echo ran >> ledger", "--id", "kept", "--cwd", home.path)
    put_in_the_way(home, "refuses")
    process = home.start()
    wait_for_log(process, "not recorded")
    home.run("worker", "stop", timeout=30)
    assert process.wait(20) == 0 and "job kept completed" in contents(process.log).split("left unrecorded")[0]
    second = home.start()
    wait_for_log(second, "not recorded")
    home.wait_for_state(home.add("true"), "completed")
    take_out_of_the_way(home)
    home.wait_for_state("kept", "completed")
    assert (ledger(home), home.run("logs", "kept").stdout) == (["ran"], "a\n")


@posix_only
def test_an_orphan_that_a_trigger_keeps_from_being_adopted_holds_up_no_other(home):
    orphans = [home.add("true", "--id", one) for one in ("kept", "other")]
    assert len(claim(home.queue, time.time(), 2, "dead-1")) == 2
    forbid(home.queue, "UPDATE", when="WHEN OLD.id = 'kept'")
    process = home.start()
    for job in (home.add("true"), "other"):
        home.wait_for_state(job, "completed")
    wait_for_log(process, "job kept: it cannot be adopted (")
    take_out_of_the_way(home)
    home.wait_for_state("kept", "completed")
    assert contents(process.log).count("cannot be adopted") == 1
    assert finding.states_of(home.queue.database, orphans) == ["completed"] * 2


def test_a_row_that_cannot_be_read_and_may_not_be_set_aside_hides_none_behind_it(queue):
    enqueue(queue, id="broken")
    damage(queue, "broken", "is_list = 1")
    enqueue(queue, id="behind")
    forbid(queue, "UPDATE", when="WHEN NEW.state = 'dead'")
    assert [held.id for held in claim(queue, want=2)] == ["behind"]
    assert [one["state"] for one in rows(queue)] == ["pending", "processing"]
    assert rows(queue, "SELECT count(*) AS n FROM attempts") == [{"n": 1}]


def test_a_worker_with_many_refused_results_starts_no_more_until_one_is_recorded(queue, monkeypatch, capfd):
    monkeypatch.setattr(refusals, "MOST_APART", 3)
    for number in range(5):
        enqueue(queue, id="job%d" % number)
    forbid(queue, "UPDATE", when="WHEN NEW.state = 'completed'")
    apart = refusals.Refusals(queue, "w-1", lambda text: log.say("w-1", text))
    held = apart.exchange([], 5, SETTINGS)[1]
    for one in held[:3]:
        apart.exchange([Outcome(one, "completed", NOW)], 1, SETTINGS)
    assert apart.are_many() and list(apart.try_again(SETTINGS)) == []
    assert "3 results are refused: no job is started" in capfd.readouterr().err
    with raw(queue) as connection:
        connection.execute("DROP TRIGGER forbidden")
    apart.retry_at = 0.0  # the pause is over
    assert [(outcome.claim.id, lost) for outcome, lost in apart.try_again(SETTINGS)] == [
        ("job0", False),
        ("job1", False),
        ("job2", False),
    ]
    assert not apart.are_many() and apart.left_unrecorded([]) == []


def test_outcomes_are_recorded_although_nothing_can_be_claimed(queue):
    """A claim that is refused is in the way of the next claim only."""
    for name in ("mine", "kept"):
        enqueue(queue, id=name)
    held = claim(queue)[0]
    forbid(queue, "UPDATE", when="WHEN NEW.id = 'kept'")
    apart = refusals.Refusals(queue, "w-1", lambda text: None)
    assert apart.exchange([Outcome(held, "completed", NOW)], 1, SETTINGS) == ([], [], False)
    assert rows(queue)[0]["state"] == "completed" and not apart.apart
    with pytest.raises(opening.Refused, match="not today"):
        apart.exchange([], 1, SETTINGS)


@posix_only
def test_a_copy_in_which_a_trigger_keeps_what_ran_goes_on_with_what_waits(home, tmp_path):
    """What was under way in the original counts as lost here; where that is refused, it is in nobody's way."""
    enqueue(home.queue, id="kept", now=time.time())
    enqueue(home.queue, id="lost", now=time.time())
    identity.recognise(home.queue.database, None, time.time())
    assert len(claim(home.queue, time.time(), 2, "dead-1")) == 2
    forbid(home.queue, "UPDATE", when="WHEN OLD.id = 'kept'")
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.path, copy.path, ignore=shutil.ignore_patterns("bell"))
    try:
        copy.start()
        copy.wait_for_state(copy.add("true"), "completed")
        copy.wait_for_state("lost", "completed")
        assert copy.job("lost")["history"][0]["error"].startswith("lost: it ran in ")
        assert copy.state("kept") == "processing"
    finally:
        copy.clean_up()


def test_a_made_id_that_is_taken_is_still_made_anew(queue, monkeypatch):
    maker = JobMaker(1, "/", 0o022, NOW)
    row = maker.row({"command": "true"})
    first = queue.enqueue(row)
    assert queue.enqueue(row) != first


MOVES = {
    "cancel": (["cancel", "job", "other"], "pending"),
    "cancel of a running one": (["cancel", "job", "other"], "processing"),
    "requeue": (["requeue", "job", "other"], "dead"),
    "dlq retry": (["dlq", "retry", "job", "other"], "dead"),
    "prune": (["prune", "--state", "dead"], "dead"),
}


@pytest.mark.parametrize("kind", MOVES)
def test_a_move_that_a_trigger_ignores_for_one_is_told_and_made_for_none(home, kind):
    words, state = MOVES[kind]
    for name in ("other", "job"):
        home.add("true", "--id", name, "--max-retries", "0")
    for held in claim(home.queue, time.time(), 2) if state != "pending" else []:
        if state == "dead":
            settle(home.queue, held, "failed", time.time() - 9)
    event = "DELETE" if kind == "prune" else "UPDATE"
    with raw(home.queue) as connection:
        connection.execute(
            "CREATE TRIGGER forbidden BEFORE %s ON jobs WHEN OLD.id = 'job' BEGIN SELECT RAISE(IGNORE); END" % event
        )
    before = rows(home.queue)
    said = home.run(*words, code=3).stderr
    assert "a trigger ignores it" in said and rows(home.queue) == before


KEEPING = "CREATE TRIGGER keeping BEFORE UPDATE ON jobs WHEN OLD.id = 'kept' BEGIN SELECT RAISE(%s); END"
# What keeps one dead job where it is, and a word of what is said of it.
STAYS = {
    "a token left on it": ("UPDATE jobs SET token = 'x' WHERE id = 'kept'", "CHECK"),
    "a trigger that refuses": (KEEPING % "ABORT, 'not today'", "not today"),
    "a trigger that ignores": (KEEPING % "IGNORE", "ignores"),
}


def let_die(home, *names):
    for name in names:
        home.add("true", "--id", name, "--max-retries", "0")
    for held in claim(home.queue, time.time(), len(names)):
        settle(home.queue, held, "failed", time.time() - 9)


@pytest.mark.parametrize("kind", STAYS)
def test_a_dead_job_that_cannot_be_moved_is_named_and_all_others_are_retried(home, kind):
    let_die(home, "first", "kept", "last")
    statement, word = STAYS[kind]
    with raw(home.queue) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute(statement)
    said = home.run("dlq", "retry", "--all", code=3).stderr
    assert "requeued 2 jobs; left 1 job dead, which %s refuses to change (kept: " % home.db in said and word in said
    assert [one["state"] for one in rows(home.queue)] == ["pending", "dead", "pending"]


def test_of_many_dead_jobs_that_cannot_be_moved_some_are_named(home):
    let_die(home, *["job%d" % number for number in range(8)])
    forbid(home.queue, "UPDATE")
    said = home.run("dlq", "retry", "--all", code=3).stderr
    assert "requeued 0 jobs; left 8 jobs dead" in said and "job4: not today; and 3 more)" in said and "job5" not in said


def test_a_trigger_that_ends_the_whole_retry_leaves_all_where_they_are(home):
    let_die(home, "first", "kept")
    with raw(home.queue) as connection:
        connection.execute(KEEPING % "ROLLBACK, 'no more'")
    assert "no more" in home.run("dlq", "retry", "--all", code=3).stderr
    assert [one["state"] for one in rows(home.queue)] == ["dead", "dead"]


@pytest.mark.parametrize("column", ["unique_key", "id"])
def test_a_dead_job_with_text_that_is_no_utf_8_keeps_no_other_from_being_retried(home, column):
    let_die(home, "first", "odd", "last")
    damage(home.queue, "odd", "%s = CAST(x'fffe' AS TEXT)" % column)
    assert home.run("dlq", "retry", "--all").stderr == "requeued 3 jobs\n"
    home.drain()
    assert finding.states_of(home.queue.database, ["first", "last"]) == ["completed", "completed"]
    if column == "unique_key":
        assert "cannot be read: unique_key" in home.job("odd")["last_error"]


def test_a_holder_whose_id_is_no_utf_8_holds_its_key(home):
    home.add("true", "--id", "odd", "--unique", "k")
    damage(home.queue, "odd", "id = CAST(x'fffe' AS TEXT)")
    assert "\\xff" in home.run("add", "--unique", "k", "--verbose", "true").stderr
    assert len(rows(home.queue, "SELECT seq FROM jobs")) == 1


def test_an_adoption_that_a_trigger_ignores_is_refused(queue):
    enqueue(queue)
    held = claim(queue)[0]
    with raw(queue) as connection:
        connection.execute("CREATE TRIGGER forbidden BEFORE UPDATE ON jobs BEGIN SELECT RAISE(IGNORE); END")
    assert not queue.adopt(held, "w-2", "w-3", NOW)  # another was first: nothing was to be done
    with pytest.raises(opening.Refused, match="ignores"):
        queue.adopt(held, "w-1", "w-3", NOW)


@posix_only
@pytest.mark.parametrize("event", ["INSERT", "UPDATE"])
def test_a_job_whose_attempt_a_trigger_ignores_is_neither_begun_nor_completed_without_one(home, event):
    """What it came to would stand nowhere. And the id of an attempt that was not made is that of another."""
    jobs = [home.add("echo $QUEUECTL_JOB_ID >> ledger", "--id", one, "--cwd", home.path) for one in ("a", "kept", "b")]
    with raw(home.queue) as connection:
        connection.execute(
            "CREATE TRIGGER forbidden BEFORE %s ON attempts"
            " WHEN NEW.job = (SELECT seq FROM jobs WHERE id = 'kept') BEGIN SELECT RAISE(IGNORE); END" % event
        )
    process = home.start("--poll-interval", "0.1")
    wait_for_log(process, "a trigger ignores it")
    for job in ("a", "b"):
        home.wait_for_state(job, "completed")
    assert home.state("kept") == ("pending" if event == "INSERT" else "processing")
    assert ("kept" in ledger(home)) == (event == "UPDATE")
    take_out_of_the_way(home)
    home.wait_for_state("kept", "completed")
    home.run("worker", "stop")
    assert process.wait(20) == 0
    assert sorted(ledger(home)) == sorted(jobs)
    assert [[one["outcome"] for one in home.job(job)["history"]] for job in jobs] == [["completed"]] * 3


# ---------------------------------------------------------------- files


STRANGE = {
    "a directory": "rm $F; mkdir $F; touch $F/x",
    "a FIFO": "rm $F; mkfifo $F",
    "a link to what never ends": "rm $F; ln -s /dev/zero $F",
    "gone": "rm $F",
    "nobody's to read": "chmod 000 $F",
}


@posix_only
@pytest.mark.parametrize("kind", STRANGE)
def test_output_files_that_a_job_has_made_into_something_else_hold_up_nobody(home, kind):
    script = "for F in %s.d/attempts/$QUEUECTL_TOKEN.out %s.d/attempts/$QUEUECTL_TOKEN.err; do %s; done; echo written"
    home.add(script % (home.db, home.db, STRANGE[kind]), "--id", "strange")
    home.add("echo fine", "--id", "after")
    process = home.start()
    home.wait_for_state("strange", "completed")
    home.wait_for_state("after", "completed")
    assert home.run("logs", "after").stdout == "fine\n"
    home.run("logs", "strange", timeout=20)
    home.run("show", "strange", timeout=20)
    assert home.job("strange")["state"] == "completed"
    home.run("worker", "stop", "--now", "--timeout", "10s")
    assert process.wait(20) == 0
    assert "deleted 2 jobs" in home.run("prune").stderr


@posix_only
def test_a_stop_keeps_its_time_beside_a_running_job_with_such_files(home):
    script = "for F in %s.d/attempts/$QUEUECTL_TOKEN.out; do rm $F; mkfifo $F; done; echo on > begun; sleep 60"
    job = home.add(script % home.db, "--cwd", home.path)
    home.start()
    wait_until(lambda: contents(os.path.join(home.path, "begun")), "the job to run")
    began = time.monotonic()
    home.run("worker", "stop", "--now", timeout=30)
    assert time.monotonic() - began < 15
    assert home.state(job) == "pending"


COUNTS = ("state", "jobs", "deaths", "told")
CHANGED_COUNTS = ["UPDATE counts SET jobs = 'x', deaths = 'y'", "DELETE FROM counts", "UPDATE counts SET jobs = -5"]
CHANGED_COUNTS += ["UPDATE counts SET %s = CAST(x'fffe' AS TEXT) WHERE state = 'dead'" % column for column in COUNTS]
CHANGED_COUNTS += ["INSERT INTO counts (state, jobs) VALUES (CAST(x'fffe' AS TEXT), 7)"]
CHANGED_COUNTS += ["INSERT INTO counts (state, jobs) VALUES (NULL, 7)"]


@pytest.mark.parametrize("change", CHANGED_COUNTS)
def test_counts_that_somebody_has_changed_are_counted_anew(home, change):
    home.add("true")
    with raw(home.queue) as connection:
        connection.execute(change)
    told = home.run("status", "--json").json
    assert told["pending"] == 1 and 7 not in told.values()
    home.run("status")
    home.run("check", "--all", code=1)  # nobody works
    home.drain()
    home.run("check")
    assert home.run("status", "--json").json["completed"] == 1
