"""The command line as a new user meets it: bundle in a directory, and every line that must work as written."""

import argparse
import contextlib
import itertools
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys

import pytest
from helpers.bundle import BUNDLE, copy_bundle
from helpers.home import SCRIPT, Home
from helpers.marks import WINDOWS, posix_only
from helpers.processes import PYTHON
from helpers.waiting import wait_until

import queuectl
import queuectl_lib
import storage
from queuectl_lib.commands import frame
from queuectl_lib.jobs import states
from queuectl_lib.store import looking, roster


class Installation(Home):
    """The bundle in a directory of their own, called without --home.

    As `python3 queuectl.py ...` from that directory; where *elsewhere* is given, every other call comes from there.
    """

    def __init__(self, path, elsewhere=None):
        super().__init__(path)
        os.makedirs(self.path, 0o700)
        copy_bundle(self.path, used_by=sys.executable)
        self.cwd = self.path
        self.places = itertools.cycle([self.path, elsewhere or self.path])

    def command(self, *words):
        script = "queuectl.py" if self.cwd == self.path else os.path.join(self.path, "queuectl.py")
        return PYTHON + [script] + [str(word) for word in words]

    def run(self, *words, **options):
        self.cwd = next(self.places)
        options.setdefault("cwd", self.cwd)
        return super().run(*words, **options)

    def line(self, text, **options):
        """Run the words of *text* as a shell would split them."""
        return self.run(*shlex.split(text), **options)

    def start(self, *words):
        """`worker WORDS` in the foreground."""
        with open(os.path.join(self.path, "foreground.log"), "ab") as log:
            process = subprocess.Popen(
                self.command("worker", *words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.cwd,
                env=self.environment(),
            )
        self.started.append(process)
        return process


@pytest.fixture
def installed(tmp_path):
    """Called in turn from its own directory and, as cron would, from another: that makes no difference."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    installed = Installation(tmp_path / "app", str(elsewhere))
    yield installed
    installed.clean_up()
    assert os.listdir(str(elsewhere)) == [], "nothing is ever written to the current directory"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """An installation with one job in it, for calls that change nothing."""
    kept = Installation(tmp_path_factory.mktemp("kept") / "app")
    kept.run("add", "exit 0", "--id", "job1")
    return kept


# ---------------------------------------------------------------- lines that must work as written


def test_the_lines_of_a_simple_queue_work_as_written(installed):
    installed.line("initdb")
    installed.line("initdb")
    first = installed.line("""add "echo 'Hello World'" """).id
    second = installed.line('add "%s" --max-retries 5' % ("exit 0" if WINDOWS else "sleep 0.01")).id
    third = installed.line("""add "echo 'Urgent!'" --priority 10""").id
    fourth = installed.line("""add "echo 'later'" --run-at "2027-12-01T10:00:00Z" """).id
    jobs = {job["id"]: job for job in installed.line("list --json").json}
    assert list(jobs) == [first, second, third, fourth]
    assert jobs[first]["command"] == "echo 'Hello World'"
    assert jobs[second]["max_retries"] == 5
    assert jobs[third]["priority"] == 10
    assert jobs[fourth]["run_at"] == "2027-12-01T10:00:00.000000Z"
    assert installed.line("list").stdout.count("\n") == 5
    installed.line("list --state completed")
    installed.line("list --dlq")
    installed.run("show", first)
    installed.run("cancel", fourth)
    installed.line("worker start --drain")
    assert installed.run("logs", first).stdout.strip().strip("'") == "Hello World"  # cmd prints the quotes
    started = {job["id"]: job["started_at"] for job in installed.line("list --state completed --json").json}
    assert min(started, key=started.get) == third
    installed.run("requeue", fourth)
    assert installed.state(fourth) == "pending"
    expected = BUNDLE + ("__pycache__",)
    names = [name for name in os.listdir(installed.path) if name not in expected]
    assert all(name.startswith("queuectl.db") for name in names), names


HELLO = """{
    "id":  "hello",
    "command":  "exit 1",
    "max_retries":  0
}
"""  # as PowerShell spaces it, and writes it: with a byte order mark and CRLF


def test_the_lines_of_a_json_queue_work_as_written(installed, tmp_path):
    assert installed.line("""enqueue '{"id":"job1","command":"sleep 2","max_retries":3}'""").id == "job1"
    (tmp_path / "job_hello.json").write_bytes(HELLO.replace("\n", "\r\n").encode("utf-8-sig"))
    assert installed.line("enqueue --file ../job_hello.json").id == "hello"
    installed.line("cancel job1")
    installed.line("worker start --drain")
    installed.line("status")
    for state in ("pending", "processing", "completed", "failed", "dead"):
        shown = installed.line("list --state " + state).stdout
        assert ("hello" in shown) == (state == "dead")
    assert "hello" in installed.line("dlq list").stdout
    installed.line("dlq retry hello")
    assert installed.state("hello") == "pending"
    installed.line("requeue job1")
    assert installed.state("job1") == "pending"


def test_the_lines_about_settings_work_as_written(installed):
    assert "max_retries" in installed.line("config get").stdout
    installed.line("config set max_retries 5")
    assert installed.line("config get max_retries").stdout == "5\n"
    installed.line("config set default_max_retries 6")
    assert installed.line("config get max-retries").stdout == "6\n"
    installed.line("config set backoff_base 3")
    installed.line("config set worker_poll_interval 0.5")
    settings = installed.line("config get --json").json
    assert (settings["max_retries"], settings["backoff_base"], settings["poll_interval"]) == (6, 3, 0.5)
    assert os.path.isfile(os.path.join(installed.path, "config.json"))
    installed.line("config unset max_retries")
    assert installed.line("config get max_retries").stdout == "3\n"


def slots_of(home):
    return sum(worker["slots"] for worker in home.workers())


@pytest.mark.parametrize(
    "line, count",
    [
        ("", 1),
        ("-n 4 --backoff-base 3", 4),
        ("start", 1),
        ("start --count 3", 3),
    ],
)
def test_workers_in_the_foreground_start_as_written(tmp_path, line, count):
    installed = Installation(tmp_path / "app")
    try:
        process = installed.start(*line.split())
        wait_until(lambda: slots_of(installed) == count, "workers for %d jobs at once" % count)
        job = installed.run("add", "exit 0").id
        installed.wait_for_state(job, "completed")
        installed.line("worker stop")
        assert process.wait(20) == 0
        assert roster.members(installed.queue.folder) == []
    finally:
        installed.clean_up()


@pytest.mark.parametrize("line, count", [("start --count 3 --background", 3), ("start --daemon", 1)])
def test_workers_in_the_background_start_as_written(tmp_path, line, count):
    installed = Installation(tmp_path / "app")
    try:
        done = installed.line("worker " + line)
        assert done.stdout == ""
        assert slots_of(installed) == count, "they are ready when the call returns"
        job = installed.run("add", "exit 0").id
        installed.wait_for_state(job, "completed")
        installed.line("worker stop")
        assert roster.members(installed.queue.folder) == []
        installed.line("worker stop")
    finally:
        installed.clean_up()


def sqlite3_shell(path, statement):
    """What the sqlite3 shell does with a statement."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(statement).fetchall()
        connection.commit()
        return rows


def test_the_database_can_be_read_and_emptied_with_the_sqlite3_shell(tmp_path):
    installed = Installation(tmp_path / "app")
    path = os.path.join(installed.path, "queuectl.db")
    installed.line("add 'exit 1' --id bad --max-retries 0")
    installed.line("worker start --drain")
    installed.line("add 'exit 0' --id good")
    assert sqlite3_shell(path, "SELECT id, command, state, attempts, last_error FROM jobs;") == [
        ("bad", "exit 1", "dead", 1, "exit code 1"),
        ("good", "exit 0", "pending", 0, None),
    ]
    sqlite3_shell(path, "DELETE FROM jobs;")
    status = installed.line("status --json").json
    assert {state: status[state] for state in states.STATES} == dict.fromkeys(states.STATES, 0)
    assert status["oldest_waiting"] is None
    assert installed.line("list --json").json == []
    assert sqlite3_shell(path, "SELECT count(*) FROM attempts") == [(0,)]
    assert installed.line("add 'exit 0' --id good").id == "good"
    installed.line("worker start --drain")
    assert installed.state("good") == "completed"
    assert len(installed.job("good")["history"]) == 1


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="there is no sqlite3 shell")
def test_the_sqlite3_shell_itself_works(tmp_path):
    installed = Installation(tmp_path / "app")
    installed.line("add 'exit 0' --id job1")
    for statement, said in (
        ("SELECT id, command, state, attempts, last_error FROM jobs;", b"job1|exit 0|pending|0|"),
        ("DELETE FROM jobs;", b""),
    ):
        words = ["sqlite3", "queuectl.db", statement]
        assert subprocess.check_output(words, cwd=installed.path).strip() == said
    assert installed.line("status --json").json["pending"] == 0


# ---------------------------------------------------------------- help and version


@pytest.mark.parametrize("name", sorted(queuectl_lib.commands.COMMANDS))
def test_every_command_has_help_that_names_its_options(capsys, name):
    assert queuectl.main(name.split() + ["--help"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("usage: queuectl.py " + name)
    for words, settings in frame.load(name).arguments:
        if settings.get("help") != argparse.SUPPRESS:
            assert settings.get("metavar", words[-1]) in said.out
            speaks_for_itself = settings.get("metavar") in ("ID", "KEY", "NAME", "VALUE")
            assert settings.get("help") or speaks_for_itself, "what is %s for?" % words[0]


def test_every_command_tells_the_version(kept, capsys):
    said = "queuectl %s\n" % storage.VERSION
    assert kept.run("list", "--version").stdout == kept.run("--version").stdout == said
    for name in queuectl_lib.commands.COMMANDS:
        assert queuectl.main(name.split() + ["--version"]) == 0
        assert capsys.readouterr().out == said


AS_MAIN = """
import atexit, gc, runpy, sys
atexit.register(lambda: sys.stderr.write("taken down" if gc.isenabled() else "never collects"))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    "words, code, ordinary",
    [
        (["status"], 0, False),
        (["--help"], 0, False),
        (["list", "--help"], 0, False),
        (["add", "--version"], 0, False),
        (["show", "nobody"], 1, False),
        (["list", "--wrong"], 2, False),
        (["initdb", "--debug"], 3, False),
        (["worker", "start", "--drain"], 0, True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_command_ends_at_once_when_all_is_said_unless_it_had_processes_of_its_own(home, words, code, ordinary):
    if code == 3:
        os.makedirs(home.db)  # no place for a database
    words = PYTHON + ["-c", AS_MAIN, SCRIPT, "--home", home.path] + words
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment())
    said = done.stderr.decode("utf-8")
    assert (done.returncode, said.endswith("taken down")) == (code, ordinary), said
    assert (code == 0 and not ordinary) == bool(done.stdout)
    assert (code != 0) == ("queuectl: error: " in said)
    assert (code == 3) == ("Traceback" in said), "--debug shows where it comes from"


@pytest.mark.parametrize("group", ["worker", *queuectl_lib.commands.FAMILIES])
def test_help_of_a_group_tells_of_its_commands(kept, group):
    shown = kept.run(group, "--help").stdout
    if group == "worker":  # which is a command of its own
        shown = kept.run("--help").stdout
    for name in queuectl_lib.commands.COMMANDS:
        if name.startswith(group + " "):
            assert name in shown


def test_the_overview_names_every_command_on_one_screen(kept):
    for words in (["--help"], ["-h"]):
        shown = kept.run(*words, env={"COLUMNS": "140"}).stdout
        for name in queuectl_lib.commands.COMMANDS:
            family, _, member = name.partition(" ")
            if family in queuectl_lib.commands.FAMILIES:
                (line,) = [line for line in shown.splitlines() if "  %s ..." % family in line]
                assert re.search(r"\b%s\b" % member, line.rpartition(":")[2])
            else:
                assert "  %s " % name in shown
        assert shown.count("\n") <= 60


def test_help_fits_a_narrow_terminal_and_a_pipe(kept):
    for name in ("add", "worker start"):
        shown = kept.run(*name.split() + ["--help"], env={"COLUMNS": "60"}).stdout
        assert max(map(len, shown.splitlines())) <= 62


# ---------------------------------------------------------------- common options


def test_common_options_stand_before_or_after_the_command(kept, tmp_path):
    for words in (
        ["--home", tmp_path, "add", "exit 0"],
        ["add", "--home", tmp_path, "exit 0"],
        ["add", "exit 0", "--home", tmp_path],
        ["--home=%s" % tmp_path, "add", "exit 0"],
        ["--debug", "--home", tmp_path, "add", "exit 0"],
        ["add", "exit 0", "--debug", "--home", tmp_path],
    ):
        kept.run(*words)
    assert looking.counts(Home(tmp_path).queue.database)["pending"] == 6
    assert looking.counts(kept.queue.database)["pending"] == 1
    assert kept.run("--json", "list").json == kept.run("list", "--json").json
    assert kept.run("dlq", "--json", "list", code=2).stdout == ""


def test_home_is_the_option_then_the_variable_then_the_place_of_the_program(kept, tmp_path):
    option, variable = str(tmp_path / "option"), str(tmp_path / "variable")
    environment = {"QUEUECTL_HOME": variable}

    def database(*words, **options):
        return kept.run(*("status", "--json") + words, **options).json["database"]

    def inside(folder):
        return os.path.join(os.path.realpath(folder), "queuectl.db")

    assert database("--home", option, env=environment) == inside(option)
    assert database(env=environment) == inside(variable)
    assert database(env={"QUEUECTL_HOME": ""}) == inside(kept.path)


def test_a_relative_home_starts_from_the_current_directory(home, tmp_path):
    inside = os.path.join(os.path.realpath(str(tmp_path)), "sub", "queuectl.db")
    assert home.run("status", "--json", "--home", "sub", cwd=str(tmp_path)).json["database"] == inside


@posix_only
def test_home_is_the_place_of_the_real_program_when_called_through_a_link(kept, tmp_path):
    link = str(tmp_path / "q")
    os.symlink(os.path.join(kept.path, "queuectl.py"), link)
    shown = subprocess.check_output([sys.executable, link, "list"], cwd=str(tmp_path), env=kept.environment())
    assert b"job1" in shown
    assert os.listdir(str(tmp_path)) == ["q"]


def test_a_home_that_does_not_exist_is_created_private(kept, tmp_path):
    home = tmp_path / "a" / "b"
    kept.run("--home", home, "add", "exit 0")
    if os.name == "posix":
        assert os.stat(str(home)).st_mode & 0o777 == 0o700
        assert os.stat(str(home / "queuectl.db")).st_mode & 0o777 == 0o600


# ---------------------------------------------------------------- exit codes


def test_exit_codes_are_those_of_the_contract(home):
    home.run("add", "exit 1", "--id", "bad", "--max-retries", "0", code=0)
    home.run("show", "nobody", code=1)
    home.run("add", "exit 0", "--id", "bad", code=1)
    home.run("requeue", "bad", code=1)
    home.run("wait", "bad", "--timeout", "0", code=124)
    home.drain()
    home.run("wait", "bad", code=1)
    home.run("cancel", "bad", code=1)
    home.run("list", "--nope", code=2)
    with open(os.path.join(home.path, "config.json"), "w") as file:
        file.write("{")
    home.run("list", code=3)


@pytest.mark.parametrize("content", [b"this is no database at all, and was never one" * 30, b"x"])
def test_a_file_that_is_no_database_is_refused_and_stays_as_it_is(home, content):
    with open(home.db, "wb") as file:
        file.write(content)
    for words in (["list"], ["add", "exit 0"], ["worker", "start", "--drain"]):
        assert "queuectl.db" in home.run(*words, code=3).stderr
    with open(home.db, "rb") as file:
        assert file.read() == content


@posix_only
@pytest.mark.parametrize("words", [["wait"], ["logs", "job1", "--follow"]], ids=lambda words: words[0])
def test_an_interrupt_ends_in_130_without_a_word(kept, words):
    import signal

    # An import that is interrupted leaves its file to Python, which complains of that where warnings are errors.
    environment = dict(kept.environment(), PYTHONWARNINGS="ignore")
    process = subprocess.Popen(
        kept.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=kept.path
    )
    try:
        if words[0] == "wait":
            process.stderr.readline()  # its hint that no worker runs: it waits now
        else:
            wait_until(lambda: reads_database(process.pid), "the follower to be at work")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert (process.returncode, stdout, stderr) == (130, b"", b"")


def reads_database(pid):
    """True once the process has loaded what reads a database (where /proc tells; elsewhere at once)."""
    try:
        with open("/proc/%d/maps" % pid) as file:
            return "_sqlite3" in file.read()
    except OSError:
        import time

        time.sleep(1)
        return True


@pytest.mark.parametrize(
    "words, code", [(["show", "nobody"], 1), (["show", "a b"], 2), (["--home", "queuectl.py", "list"], 3)]
)
def test_debug_shows_the_traceback_that_is_hidden_otherwise_and_changes_nothing_else(kept, words, code):
    words = kept.command("--debug", *words)
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=kept.path, env=kept.environment())
    assert b"Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith(b"queuectl: error: ")
    assert done.returncode == code


# ---------------------------------------------------------------- where it has to run

STRICT = ["-I", "-S", "-E", "-B", "-W", "error"]


def test_it_runs_isolated_and_without_a_warning(tmp_path):
    home = Home(tmp_path / "home")

    def run(*words):
        done = subprocess.run(
            [sys.executable] + STRICT + [SCRIPT, "--home", home.path] + list(words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=60,
        )
        said = done.stderr.decode("utf-8")
        assert done.returncode == 0, said
        assert "Warning" not in said and "Exception" not in said, said
        return done.stdout.decode("utf-8")

    job = run("add", "echo out").strip()
    run("enqueue", '[{"command": ["%s", "--version"]}]' % sys.executable.replace("\\", "/"))
    run("worker", "start", "--drain")
    run("wait", job, "--timeout", "5")
    assert run("logs", job).strip() == "out"
    for words in (["list"], ["show", job], ["status"], ["config", "get"], ["worker", "list"], ["prune"], ["--help"]):
        run(*words)


@posix_only
def test_it_runs_with_hardly_any_environment_as_cron_does(tmp_path):
    installed = Installation(tmp_path / "app")

    def run(*words):
        bare = ["/usr/bin/env", "-i", "PATH=/usr/bin:/bin", sys.executable, os.path.join(installed.path, "queuectl.py")]
        return subprocess.check_output(bare + list(words), cwd="/", stderr=subprocess.STDOUT).decode("utf-8")

    job = run("add", "pwd; echo caf\u00e9; echo ${HOME-none}").strip()
    run("worker", "start", "--drain")
    assert run("logs", job) == "/\ncaf\u00e9\nnone\n"
    run("worker", "start", "--background")
    try:
        assert "supervisor" in run("worker", "list")
    finally:
        run("worker", "stop")
    assert "completed" in run("list")


@posix_only
def test_an_installation_that_cannot_be_written_works_with_a_home_elsewhere(tmp_path):
    installed = Installation(tmp_path / "app")
    os.chmod(installed.path, 0o555)
    try:
        home = str(tmp_path / "home")
        job = installed.run("--home", home, "add", "echo out").id
        installed.run("--home", home, "worker", "start", "--drain")
        assert installed.run("--home", home, "logs", job).stdout == "out\n"
        installed.run("--home", home, "config", "set", "max_retries", "5")
        assert set(os.listdir(installed.path)) <= set(BUNDLE) | {"__pycache__"}
        if os.geteuid() != 0:
            assert "app" in installed.run("add", "exit 0", code=3).stderr
    finally:
        os.chmod(installed.path, 0o700)


@posix_only
@pytest.mark.parametrize("name", ["-dash", 'space %41 hash# query? caf\u00e9 quote\' "quote" $HOME `x` ;'])
def test_it_runs_in_a_directory_of_any_name(tmp_path, name):
    installed = Installation(tmp_path / name)
    installed.line("add 'echo out' --id job1")
    installed.line("worker start --drain")
    assert installed.line("logs job1").stdout == "out\n"
    assert os.path.isfile(os.path.join(installed.path, "queuectl.db"))


@pytest.mark.parametrize("lacking", ["storage.py", "worker.py"])
def test_a_copy_that_lacks_a_file_says_so(tmp_path, lacking):
    copy_bundle(tmp_path, [name for name in BUNDLE if name != lacking])
    words = [sys.executable, str(tmp_path / "queuectl.py"), "worker", "start", "--drain"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (3, b"")
    assert said.startswith("queuectl: error: ") and said.count("\n") == 1
    assert "%s is missing: copy queuectl.py, storage.py, worker.py and queuectl_lib together" % lacking in said
