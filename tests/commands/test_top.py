"""`top` on a terminal of its own, and where it has none: keys, signals, another size, what it leaves behind."""

import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import tempfile

import pytest
from helpers.home import Home
from helpers.marks import posix_only
from helpers.screens import OnTerminal
from helpers.waiting import wait_until

pytestmark = posix_only
ARROW_DOWN, ARROW_UP = "\x1b[B", "\x1b[A"


@pytest.fixture
def home(near):
    return near


@pytest.fixture
def shown(home):
    """Starts what is typed to and looked at."""
    started = []

    def start(*words, columns=80, lines=24, command=None, **environment):
        words = words or ("top", "--interval", "0.2")
        on = OnTerminal(command or home.command(*words), home.environment(environment), columns, lines)
        started.append(on)
        return on

    yield start
    for one in started:
        one.close()


MADE = {}  # once, for a worker takes a second


def jobs_of_all_sorts(home):
    """A dead one, a completed one, one that comes."""
    if not MADE:
        MADE["in"] = tempfile.mkdtemp()
        made = Home(os.path.join(MADE["in"], "home"))
        os.mkdir(made.path, 0o700)
        made.run("add", "echo cannot open it >&2; exit 3", "--id", "bad", "--max-retries", "0")
        made.run("add", "echo fine", "--id", "good")
        made.drain()
        made.run("add", "true", "--id", "later", "--delay", "1h")
    os.rmdir(home.path)
    shutil.copytree(os.path.join(MADE["in"], "home"), home.path, ignore=shutil.ignore_patterns("bell"))


def teardown_module():
    shutil.rmtree(MADE.get("in", ""), ignore_errors=True)


# ---------------------------------------------------------------- the screen


def test_it_shows_what_there_is_and_q_ends_it(home, shown):
    jobs_of_all_sorts(home)
    on = shown()
    on.until_shown("FAILED", "bad", "exit 3: cannot open it", "NEXT", "later", "ENDED", "good", "no worker is alive")
    on.type("q")
    assert on.ended() == 0
    assert on.screen.shell == "", "nothing is left on the screen of the shell"


def test_no_frame_clears_all_and_lines_that_stay_are_not_drawn_again(home, shown):
    """That nothing clears all of it the emulated terminal sees to: it knows no such thing."""
    jobs_of_all_sorts(home)
    on = shown()
    on.until(lambda: len(on.screen.frames) > 3, "some frames")
    assert len(on.screen.frames[0]) == 24
    assert all(len(frame) < 12 for frame in on.screen.frames[1:]), on.screen.frames
    assert on.written.count(b"\x1b[?2026h") == len(on.screen.frames)
    assert b"\x1b[2J" not in on.written and b"\x1b[J" not in on.written


def test_what_runs_shows_its_progress_and_the_last_line_of_its_output(home, shown):
    say = "echo first; printf 'last \\033[2J words'; echo progress 40 half >> \"$QUEUECTL_CONTROL\"; sleep 300"
    home.run("add", say, "--id", "job")
    home.start()
    on = shown(columns=100)
    on.until_shown("RUNNING", "job", "40% half", "last \\x1b[2J words")


def test_keys_choose_a_job_and_show_it(home, shown):
    jobs_of_all_sorts(home)
    on = shown()
    on.until_shown("later")
    on.type("j")
    on.until_shown("> bad")
    on.type(ARROW_DOWN + "k" + ARROW_DOWN)
    on.until_shown("> later")
    on.type(ARROW_UP + "\r")
    on.until(lambda: "any key" in on.screen.shell, "the job to be shown on the screen of the shell")
    assert "==> show bad <==" in on.screen.shell and "exit 3" in on.screen.shell
    assert on.screen.is_as_it_was()
    on.type("x")
    on.until_shown("> bad")
    on.type("q")
    assert on.ended() == 0


def test_a_log_is_followed_and_ctrl_c_comes_back(home, shown):
    home.run("add", "echo words; while [ ! -e go ]; do sleep 0.05; done", "--id", "job", "--cwd", home.path)
    home.start()
    on = shown()
    on.until_shown("RUNNING", "job")
    on.type("jl")
    on.until(lambda: "words" in on.screen.shell, "its output")
    on.type("\x03")
    on.until(lambda: "any key" in on.screen.shell, "the way back")
    on.type("\x03")  # any key, this one too
    on.until_shown("> job")
    with open(os.path.join(home.path, "go"), "w"):
        pass
    on.until(lambda: [line for line in on.screen.lines() if "> job" in line and "completed" in line], "its end, chosen")
    on.type("q")
    assert on.ended() == 0


def test_keys_typed_while_a_log_is_followed_are_neither_shown_nor_done(home, shown):
    writes = "echo words; until [ -e more ]; do sleep 0.05; done; echo second; until [ -e go ]; do sleep 0.05; done"
    home.run("add", writes, "--id", "job", "--cwd", home.path)
    home.start()
    on = shown()
    on.until_shown("RUNNING", "job")
    on.type("jl")
    on.until(lambda: "words" in on.screen.shell, "its output")
    on.type("#@z")
    for name, seen in (("more", "second"), ("go", "any key")):
        with open(os.path.join(home.path, name), "w"):
            pass
        on.until(lambda seen=seen: seen in on.screen.shell, seen)
    assert not set("#@z") & set(on.screen.shell)
    assert not on.screen.is_other, "a key typed before is the key that goes back"
    on.type("x")
    on.until_shown("> job")
    on.type("q")
    assert on.ended() == 0


def test_a_signal_while_a_log_is_followed_gives_the_terminal_back(home, shown):
    home.run("add", "echo words; until [ -e go ]; do sleep 0.05; done", "--id", "job", "--cwd", home.path)
    home.start()
    on = shown()
    on.until_shown("RUNNING", "job")
    on.type("jl")
    on.until(lambda: "words" in on.screen.shell, "its output")
    on.process.send_signal(signal.SIGTERM)
    assert on.ended() == -signal.SIGTERM
    with open(os.path.join(home.path, "go"), "w"):
        pass


def test_cancel_and_requeue_ask_first_and_are_what_the_commands_are(home, shown):
    jobs_of_all_sorts(home)
    on = shown()
    on.until_shown("later")
    on.type("jjc")
    on.until_shown("cancel later? y/n")
    on.type("n")
    on.until_shown("not done")
    assert home.state("later") == "pending"
    on.type("cy")
    on.until_shown("cancelled later")
    assert home.state("later") == "cancelled"
    on.type("kr")
    on.until_shown("requeue bad? y/n")
    on.type("y")
    on.until_shown("requeued bad")
    assert home.state("bad") == "pending"


def test_who_was_quicker_is_an_ordinary_answer(home, shown):
    jobs_of_all_sorts(home)
    on = shown("top", "--interval", "60")
    on.until_shown("later")
    on.type("jjc")
    on.until_shown("cancel later? y/n")
    home.run("cancel", "later")
    on.type("y")
    on.until_shown("job later is cancelled already: nothing was cancelled")


def test_a_key_that_needs_a_job_says_so_where_none_is_chosen(home, shown):
    jobs_of_all_sorts(home)
    on = shown()
    on.until_shown("later")
    on.type("c")
    on.until_shown("no job is chosen")
    on.type("y")
    assert home.state("later") == "pending"


def test_a_filter_a_pause_and_the_help(home, shown):
    jobs_of_all_sorts(home)
    on = shown()
    on.until_shown("later", "good")
    on.type("/lat")
    on.until(lambda: "good" not in on.screen.text(), "the filter to act while it is typed")
    assert "/lat" in on.screen.lines()[-1] and "later" in on.screen.text()
    on.type("\r")
    on.until_shown('only "lat"')
    on.type("\x1b")  # after which nothing comes: the key
    on.until_shown("good")
    on.type(" ")
    on.until_shown("paused at")
    home.run("add", "true", "--id", "new", "--delay", "2h")
    on.type("?")
    on.until_shown("keys of top", "reset")
    on.type("x")
    on.until_shown("later")
    assert "new" not in on.screen.text()
    on.type(" ")
    on.until_shown("new")


def test_another_size_is_drawn_at_once(home, shown):
    jobs_of_all_sorts(home)
    on = shown("top", "--interval", "60", columns=140, lines=40)
    on.until_shown("bad")
    for columns, lines in ((60, 10), (40, 24), (100, 50)):
        on.resize(columns, lines)
        on.until(lambda lines=lines: "q ends" in on.screen.lines()[lines - 1], "the last line to be drawn")
        assert "queuectl.db" in on.screen.lines()[0]


# ---------------------------------------------------------------- signals


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_it_and_the_terminal_is_as_it_was(home, shown, number):
    on = shown()
    on.until_shown("no jobs")
    on.process.send_signal(getattr(signal, number))
    assert on.ended() == (130 if number == "SIGINT" else -getattr(signal, number))


def test_ctrl_c_ends_it(home, shown):
    on = shown()
    on.until_shown("no jobs")
    on.type("\x03")
    assert on.ended() == 130


UNDER_A_SHELL = 'set -m; "$@"; echo left; stty -a; read answer; fg; echo "ended $?"'


def test_ctrl_z_gives_the_terminal_back_until_it_goes_on(home, shown):
    jobs_of_all_sorts(home)
    command = ["/bin/sh", "-c", UNDER_A_SHELL, "sh", *home.command("top", "--interval", "0.2")]
    on = shown(command=command)
    on.until_shown("later")
    on.type("\x1a")
    on.until(on.screen.is_as_it_was, "the screen of the shell")
    on.until(lambda: " icanon" in on.screen.shell and " echo " in on.screen.shell, "keys to be lines again")
    on.type("\n")
    on.until(lambda: on.screen.is_other, "it to take the other screen again")
    on.until_shown("later")
    on.type("j")
    on.until_shown("> bad")
    on.type("q")
    on.until(lambda: "ended 0" in on.screen.shell, "its end")


GOES_ON_BEHIND = (  # all that the shell itself says would stand on the screen of top
    'set -m; exec 3>&2 2> /dev/null; "$@" 2>&3; kill -CONT %1; until jobs > "$0"; grep -q "output\\|TTOU" "$0"; do'
    ' sleep 0.05; done; echo > "$0.behind"; fg > /dev/null; echo "ended $?"'
)


def test_one_that_went_on_in_the_background_has_its_keys_again(home, shown):
    """There it is stopped for what it asks of the terminal, and interrupted in that by the next fg."""
    jobs_of_all_sorts(home)
    noted = os.path.join(home.path, "jobs")
    on = shown(command=["/bin/sh", "-c", GOES_ON_BEHIND, noted, *home.command("top", "--interval", "0.2")])
    on.until_shown("later")
    found = subprocess.run(["pgrep", "-P", str(on.process.pid)], stdout=subprocess.PIPE, timeout=60).stdout.split()
    os.kill(int(found[0]), signal.SIGSTOP)
    on.until(lambda: os.path.exists(noted + ".behind"), "it to be stopped in the background")
    on.type("j")
    on.until_shown("> bad")
    on.type("q")
    on.until(lambda: "ended 0" in on.screen.shell, "its end")


def test_one_that_was_stopped_as_it_stood_draws_all_of_it_anew(home, shown):
    jobs_of_all_sorts(home)
    on = shown("top", "--interval", "60")
    on.until_shown("later")
    on.process.send_signal(signal.SIGSTOP)
    on.screen.resize(80, 24)  # as if somebody else had drawn over it
    on.process.send_signal(signal.SIGCONT)
    on.until_shown("later", "bad", "queuectl.db")


def test_a_terminal_that_takes_nothing_does_not_keep_it_from_ending(home, shown):
    on = shown("top", "--interval", "0.1")
    on.until_shown("no jobs")
    on.type("\x13")  # Ctrl+S
    wait_until(lambda: not select.select([], [on.theirs], [], 0)[1], "the terminal to stop")
    on.process.send_signal(signal.SIGTERM)
    wait_until(lambda: on.process.poll() is not None, "its end")
    assert on.process.returncode == -signal.SIGTERM
    assert termios_of(on) == on.before, "keys are shown again, whatever became of the screen"


def termios_of(on):
    import termios

    return termios.tcgetattr(on.theirs)


def test_of_many_jobs_those_out_of_sight_can_be_chosen_too(home, shown):
    home.run("enqueue", "--lines", "-", input="".join("true %d\n" % number for number in range(150)))
    on = shown()
    on.until_shown("true 0", "of 150)")
    on.type("\x1b[F")  # End
    on.until_shown("true 149")
    on.type("\x1b[H")
    on.until_shown("true 0")


def test_a_terminal_that_goes_away_ends_it_quietly(home, tmp_path):
    import pty

    home.run("initdb")
    ours, theirs = pty.openpty()
    errors = tmp_path / "errors"
    with open(str(errors), "wb") as file:
        words = home.command("top", "--interval", "0.1")
        environment = dict(home.environment(), TERM="xterm")
        process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=file, env=environment)
    os.close(theirs)
    while b"no jobs" not in os.read(ours, 65536):
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert errors.read_bytes() == b""


# ---------------------------------------------------------------- when the database is not to be had


def test_a_locked_database_keeps_the_last_frame_and_says_so(home, shown):
    jobs_of_all_sorts(home)
    on = shown()
    on.until_shown("later")
    with sqlite3.connect(home.db, isolation_level=None) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("UPDATE counts SET told = told")
        other.execute("COMMIT")
        on.until_shown("this is of", "locked", "later")
    other.close()
    on.until(lambda: "locked" not in on.screen.text(), "it to be read again")


def test_a_database_that_is_gone_keeps_the_last_frame_and_says_so(home, shown):
    jobs_of_all_sorts(home)
    on = shown()
    on.until_shown("later")
    os.rename(home.db, home.db + ".away")
    on.until_shown("does not exist", "later")
    os.rename(home.db + ".away", home.db)
    on.until(lambda: "does not exist" not in on.screen.text(), "it to be read again")


# ---------------------------------------------------------------- without keys, without a screen


def test_status_watch_is_the_same_screen_without_keys(home, shown):
    jobs_of_all_sorts(home)
    on = shown("status", "--watch", "0.2")
    on.until_shown("later", "Ctrl+C ends")
    on.type("jq?")
    before = len(on.screen.frames)
    on.until(lambda: len(on.screen.frames) > before + 2, "more frames")
    assert "> " not in on.screen.text() and "keys of top" not in on.screen.text()
    on.type("\x03")
    assert on.ended() == 130


def test_once_prints_plain_tables(home):
    jobs_of_all_sorts(home)
    text = home.run("top", "--once").stdout
    for word in ("1 pending", "no worker is alive", "try: ", "exit 3: cannot open it", "NEXT", "later", "ENDED"):
        assert word in text
    assert "\x1b" not in text


def lines_of(process, count):
    return [process.stdout.readline().decode() for _ in range(count)]


@pytest.mark.parametrize("words", [["top", "--interval", "0.1"], ["status", "--watch", "0.1"]])
def test_where_there_is_no_terminal_tables_follow_each_other(home, words):
    jobs_of_all_sorts(home)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(home.command(*words), env=home.environment(), **streams)
    try:
        text = "".join(lines_of(process, 60))
        assert text.count("NEXT") > 2 and "\x1b" not in text
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.communicate()


def test_tables_that_nobody_reads_any_more_are_no_longer_printed(home):
    home.run("initdb")
    process = subprocess.Popen(
        home.command("top", "--interval", "0.1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment()
    )
    lines_of(process, 3)
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_dumb_terminal_gets_tables(home, shown):
    jobs_of_all_sorts(home)
    on = shown(command=["env", "TERM=dumb", *home.command("top", "--interval", "0.2")], columns=60)
    on.until(lambda: on.screen.shell.count("NEXT") > 2, "tables")
    assert b"\x1b" not in on.written
    assert [line for line in on.screen.shell.split("\n") if len(line.rstrip("\r")) > 60] == []


def test_plain_prints_only_what_is_new(home):
    home.run("add", "while [ ! -e go ]; do sleep 0.05; done", "--id", "job", "--cwd", home.path)
    home.start()
    home.wait_for_state("job", "processing")
    words = home.command("top", "--plain", "--interval", "0.1")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=home.environment())
    try:
        begin = lines_of(process, 3)
        assert begin[0] == "jobs: processing 1\n" and begin[2].startswith("running: job, since ")
        with open(os.path.join(home.path, "go"), "w"):
            pass
        after = lines_of(process, 2)
        assert after[0] == "jobs: completed 1\n" and after[1].startswith("ended: job, completed, after ")
    finally:
        process.kill()
        process.communicate()


def test_json_is_one_look(home):
    jobs_of_all_sorts(home)
    value = json.loads(home.run("top", "--json", "--state", "dead").stdout)
    assert [job["id"] for job in value["failures"]] == ["bad"] and value["next"] == []
    assert value["failures"][0]["reason"] == "exit 3: cannot open it"
    assert value["stuck"]["sentence"].endswith("no worker is alive")


def test_no_queue_is_an_empty_screen(home):
    assert "no jobs yet" in home.run("top", "--once").stdout
    assert not os.path.exists(home.db)


@pytest.mark.parametrize(
    "words, said",
    [
        ("top --interval 0", "--interval: give a time between 0.1s and 1h"),
        ("top --interval soon", "is not a duration"),
        ("top --interval 2d", "--interval: give a time"),
        ("top --state running", "unknown state"),
        ("top --json --plain", "contradict each other"),
        ("top job", "unrecognized arguments"),
        ("status --watch 0", "--watch: give a time"),
        ("status --watch x", "is not a duration"),
        ("status --watch --tag x", "contradict each other"),
    ],
)
def test_what_cannot_be_meant_is_refused(home, words, said):
    error = home.run(*words.split(), code=2).stderr
    assert said in error or said in json.loads(error)["error"]["message"]


@pytest.mark.parametrize("column", ["id", "command", "state", "worker", "started_at", "next_run_at", "token", "name"])
@pytest.mark.parametrize("value", [None, 7, b"\xff\x1b[2J"])
def test_a_damaged_row_is_shown_as_it_stands(home, column, value):
    jobs_of_all_sorts(home)
    home.run("add", "true", "--id", "runs")
    with sqlite3.connect(home.db) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        processing = "state = 'processing', lane = NULL, next_run_at = NULL, token = '0123456789abcdef'"
        connection.execute("UPDATE jobs SET %s, started_at = created_at, worker = 'w' WHERE id = 'runs'" % processing)
        try:
            connection.execute("UPDATE jobs SET %s = ?" % column, (value,))
        except sqlite3.Error:
            pytest.skip("the schema itself refuses that")
    connection.close()
    for words in (["top", "--once"], ["top", "--once", "--plain"]):
        text = home.run(*words).stdout
        assert "\x1b" not in text and ("queuectl.db" in text or "jobs: " in text)
    home.run("top", "--json")


def test_what_is_asked_needs_no_more_than_indexes_and_few_rows(home):
    """The statements name their indexes, so that SQLite refuses them where one cannot serve; all have a limit."""
    from queuectl_lib.store import live

    for text in (live.RUNNING, live.ENDS, live.LATELY):
        assert "INDEXED BY" in text and text.endswith("LIMIT ?")
    jobs_of_all_sorts(home)
    with home.queue.database.reading() as connection:
        for text in (live.RUNNING, live.ENDS, live.LATELY):
            plan = [row[-1] for row in connection.execute("EXPLAIN QUERY PLAN " + text, (5,))]
            assert not [step for step in plan if "TEMP B-TREE" in step], plan
            assert not [step for step in plan if step.startswith("SCAN") and "INDEX" not in step], plan
