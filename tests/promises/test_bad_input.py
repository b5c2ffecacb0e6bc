"""The table of bad input: every command refuses what cannot be meant, in one line, with no effect.

A row is (words, exit code, fragment of the message). Most rows share one home, whose database, settings and
files must be the same before and after.
"""

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys

import pytest
from helpers.home import SCRIPT, Home, Result, is_one_error
from helpers.marks import posix_only

import queuectl
import queuectl_lib
from queuectl_lib.store import roster

SECRET = "sw0rdfish"  # stands as the value of a variable in every row that has one
NOT_UTF8 = os.fsdecode(b"\xff") if sys.platform != "win32" else "\udcff"
ESCAPE = "\x1b]0;owned\x07"
MESSAGE_LIMIT = 1000  # characters: a message is a line for a person, however long the word that it refuses


def everything_in(home):
    """Everything that a call could change: tables, settings, files."""
    if not os.path.exists(home.db):
        return sorted(os.listdir(home.path))
    with contextlib.closing(sqlite3.connect(home.db)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = {name: connection.execute("SELECT * FROM %s ORDER BY rowid" % name).fetchall() for name in names}
    files = {}
    for folder, _, found in os.walk(home.path):
        for name in found:
            path = os.path.join(folder, name)
            if name == "bell" or name.endswith(("-wal", "-shm")):
                continue
            with open(path, "rb") as file:
                files[path] = None if path == home.db else file.read()
    return tables, files


def call_here(home, words):
    """The same call in this process, which takes a hundredth of the time; a traceback fails the test."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = queuectl.main(["--home", home.path] + [str(word) for word in words])
    return Result(code, stdout.getvalue(), stderr.getvalue())


SEEN = set()  # commands that went through a process of their own already


def run_once(home, words, code, **options):
    """Through a process: the first row of every command, and what only a process can show; else within this one."""
    name = tuple(words[: 2 if words and words[0] in ("config", "dlq", "worker") else 1])
    plain = not options and all(label(word).isprintable() and NOT_UTF8 not in str(word) for word in words)
    if plain and (name in SEEN or " ".join(name) not in queuectl_lib.commands.COMMANDS):
        return call_here(home, words)
    SEEN.add(name)
    return home.run(*words, code=code, **options)


def refuses(home, words, code, fragment, **options):
    """Call *words*, and assert exit code, one short line with *fragment*, no secret, and no effect."""
    before = everything_in(home)
    done = run_once(home, words, code, **options)
    assert done.code == code, done.stderr
    assert done.stdout == ""
    assert is_one_error(words, done.stderr), done.stderr
    assert done.stderr[:-1].isprintable(), repr(done.stderr)
    assert len(done.stderr) < MESSAGE_LIMIT, "%d characters: %.200s" % (len(done.stderr), done.stderr)
    assert SECRET not in done.stderr
    assert fragment in done.stderr
    assert before == everything_in(home)
    return done


def label(value):
    """A short and harmless name for a row."""
    text = " ".join(map(str, value)) if isinstance(value, list) else value if isinstance(value, str) else repr(value)
    text = text if len(text) < 60 else "%s...%d" % (text[:40], len(text))
    return text.encode("ascii", "backslashreplace").decode("ascii") or "nothing"


def table(rows):
    """Parameters from rows; the first cell names them."""
    return [pytest.param(*row, id="%s-%d" % (label(row[0]), number)) for number, row in enumerate(rows)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A home with a job in each state that lasts."""
    home = Home(tmp_path_factory.mktemp("bad") / "home")
    os.mkdir(home.path, 0o700)
    home.run("config", "set", "max_retries", "0")
    jobs = [{"id": name, "command": "exit 1" if name == "dead" else "exit 0"} for name in ("done", "dead", "gone")]
    home.run("enqueue", "-", input=json.dumps(jobs))
    home.run("cancel", "gone")
    home.drain()
    home.add("exit 0", "--id", "waiting", "--delay", "300d")
    states = [home.state(name) for name in ("done", "dead", "gone", "waiting")]
    assert states == ["completed", "dead", "cancelled", "pending"]
    return home


# ---------------------------------------------------------------- words that are no command

LONG = "x" * 100000

NO_COMMAND = [
    ([], 2, "no command is given"),
    (["--json"], 2, "no command is given"),
    (["--home"], 2, ""),
    (["lst"], 2, "did you mean list?"),
    (["statu"], 2, "did you mean status?"),
    (["quite-unlike-any"], 2, "known: add"),
    ([""], 2, 'unknown command ""'),
    ([LONG], 2, "unknown command"),
    ([ESCAPE], 2, "\\x1b"),
    ([NOT_UTF8], 2, "\\udcff"),
    (["\u202ells"], 2, "\\u202e"),
    (["--", "list"], 2, "no command is given"),
    (["status", "extra"], 2, "unrecognized arguments: extra"),
    (["status", LONG], 2, "unrecognized arguments"),
    (["list", LONG], 2, "is not an id"),
    (["list", "--nope"], 2, "--nope"),
    (["status", "--", "extra"], 2, "extra"),
    (["status", "--jso"], 2, "--jso"),
    (["status", "list"], 2, "list"),
    (["initdb", "now"], 2, "now"),
    (["dlq"], 2, "list, groups, retry, purge"),
    (["dlq", "lst"], 2, "did you mean dlq list?"),
    (["lock"], 2, "list, set, unset"),
    (["config", "gte"], 2, "did you mean config get?"),
    (["worker", "strat"], 2, "did you mean worker start?"),
    (["worker", "5"], 2, 'unknown command "worker 5"'),
]


@pytest.mark.parametrize("words, code, fragment", table(NO_COMMAND))
def test_an_unknown_command_is_refused_with_the_nearest(shared, words, code, fragment):
    refuses(shared, words, code, fragment)


# ---------------------------------------------------------------- add

ADD = [
    ([], 2, "give one command"),
    ([""], 2, "command is empty"),
    ([" \t\n"], 2, "command is empty"),
    (["--"], 2, "the list names no program"),
    (["--", ""], 2, "the list names no program"),
    (["echo", "two words"], 2, "more than one word"),
    (["x", "--env", "A=b", "--evn", "SECRET=-----BEGIN\n" + SECRET], 2, "unrecognized arguments: --evn (did you mean"),
    (["x", "--env", "TOKEN", SECRET], 2, "more than one word"),
    (["x", "--nothing", SECRET], 2, "unrecognized arguments: --nothing"),
    (["echo", "--", "echo"], 2, "give one command"),
    (["echo", LONG], 2, ""),
    ([NOT_UTF8], 2, "not valid UTF-8"),
    (["--", "true", NOT_UTF8], 2, "not valid UTF-8"),
    (["--nope", "true"], 2, "--nope"),
    (["true", "--id"], 2, "--id"),
    (["true", "--id", "done"], 1, "job done exists already"),
    (["true", "--id", ""], 2, "id:"),
    (["true", "--id", "../x"], 2, "../x"),
    (["true", "--id", ".."], 2, '".."'),
    (["true", "--id", "-n"], 2, "--id"),
    (["true", "--id=-n"], 2, '"-n"'),
    (["true", "--id=--help"], 2, '"--help"'),
    (["true", "--id", "a/b"], 2, "a/b"),
    (["true", "--id", "a b"], 2, "a b"),
    (["true", "--id", "x" * 200], 2, "128"),
    (["true", "--id", "a\n"], 2, "\\n"),
    (["true", "--id", ESCAPE], 2, "\\x1b"),
    (["true", "--id", "caf\u00e9"], 2, "is not an id"),
    (["true", "--id", NOT_UTF8], 2, "\\udcff"),
    (["true", "--max-retries", "-1"], 2, "max_retries"),
    (["true", "--max-retries", "1.5"], 2, "max_retries"),
    (["true", "--max-retries", "many"], 2, "many"),
    (["true", "--max-retries", "\u0663"], 2, "max_retries"),
    (["true", "--max-retries", "9" * 5000], 2, "max_retries"),
    (["true", "--max-retries", "1000001"], 2, "between 0 and 1000000"),
    (["true", "--priority", ""], 2, "priority"),
    (["true", "--priority", "high"], 2, "high"),
    (["true", "--priority", "1e3"], 2, "1e3"),
    (["true", "--priority", "0x10"], 2, "0x10"),
    (["true", "--priority", "-1000000001"], 2, "priority"),
    (["true", "--priority", "NaN"], 2, "NaN"),
    (["true", "--run-at", ""], 2, "run_at"),
    (["true", "--run-at", "soon"], 2, "such as 2027-12-01T10:00:00Z"),
    (["true", "--run-at", "2027-02-30"], 2, "not a time that exists"),
    (["true", "--run-at", "2027-12-01T10:00:00Z", "--delay", "5"], 2, "contradict"),
    (["true", "--delay", "-5"], 2, "delay"),
    (["true", "--delay", "soon"], 2, "such as 90, 90s, 10m or 1h30m"),
    (["true", "--delay", "101y"], 2, "delay"),
    (["true", "--delay", "inf"], 2, "delay"),
    (["true", "--delay", "9" * 5000], 2, "delay"),
    (["true", "--timeout", "0"], 2, "timeout: 0"),
    (["true", "--timeout", "-1"], 2, "timeout"),
    (["true", "--timeout", "nan"], 2, "timeout"),
    (["true", "--timeout", "1e999"], 2, "timeout"),
    (["true", "--cwd", ""], 2, "cwd is empty"),
    (["true", "--cwd", NOT_UTF8], 2, "cwd"),
    (["true", "--cwd", "x" * 5000], 2, "4096"),
    (["true", "--env"], 2, "--env"),
    (["true", "--env", SECRET], 2, "NAME=VALUE"),
    (["true", "--env", "=" + SECRET], 2, "NAME=VALUE"),
    (["true", "--env", "A=%s%s" % (SECRET, NOT_UTF8)], 2, 'the value of "A"'),
    (["true", "--env", "%s=%s" % (NOT_UTF8, SECRET)], 2, "env"),
    (["true", "--env", "A=%s" % SECRET, "B=%s" % SECRET], 2, ""),
    (["true", "--evn", "A=%s" % SECRET], 2, "--evn"),
    (["true", "--evn=A=%s" % SECRET], 2, "--evn"),
    (["true", "-e", "A=%s" % SECRET], 2, "-e"),
    (["--env", "A=%s" % SECRET, "--id", "../x", "true"], 2, "../x"),
    (["true", "--unique"], 2, "--unique"),
    (["true", "--unique", ""], 2, "unique is empty"),
    (["true", "--unique", "x" * 201], 2, "longer than 200 characters"),
    (["true", "--unique", ESCAPE * 100], 2, "\\x1b"),
    (["true", "--unique", NOT_UTF8], 2, "unique"),
    (["true", "--unique", "free", "--id", "done"], 1, "job done exists already"),
]


@pytest.mark.parametrize("words, code, fragment", table(ADD))
def test_add_refuses(shared, words, code, fragment):
    refuses(shared, ["add"] + words, code, fragment)


@posix_only
def test_add_refuses_what_the_system_could_not_pass_on(shared):
    refuses(shared, ["add", "x" * 131050], 2, "put it into a script file")
    refuses(shared, ["add", "--", "echo", "x" * 131050], 2, "put them into a file")
    refuses(shared, ["add", "true", "--env", "A=" + SECRET + "x" * 131040], 2, 'the value of "A" is too long')


# ---------------------------------------------------------------- enqueue: JSON

JSON_TEXT = [
    ("", 2, "no job was given"),
    (" \n\n", 2, "no job was given"),
    ("[]", 2, "no job was given"),
    ("nul", 2, "not JSON: a command line goes with `add nul`"),
    ("null", 2, "a job is an object"),
    ("true", 2, "a job is an object"),
    ("5", 2, "a job is an object"),
    ('"true"', 2, "a job is an object"),
    ("[null]", 2, "a job is an object"),
    ('[[{"command": "true"}]]', 2, "a job is an object"),
    ("{}", 2, "command is missing"),
    ("{", 2, "line 1, column"),
    ('{"command": "true"', 2, "line 1, column"),
    ('[{"command": "true"}', 2, "line 1, column"),
    ('{"command": "true"}]', 2, "line 1, column"),
    ('{"command": "true",}', 2, "line 1, column"),
    ("{'command': 'true'}", 2, "line 1, column"),
    ('{"command": "true"} trailing', 2, "line 1, column"),
    ('[{"command": "true"}] trailing', 2, "line 1, column"),
    ('{"command": "a\tb"}', 2, "line 1, column"),
    ('{"command": "true", "priority": NaN}', 2, "NaN"),
    ('{"command": "true", "delay": Infinity}', 2, "Infinity"),
    ('{"command": "true", "attempts": -Infinity}', 2, "-Infinity"),
    ('{"command": "true", "priority": 1e999}', 2, "priority"),
    ('{"command": "true", "delay": 1e999}', 2, "delay"),
    ('{"command": "true", "timeout": -1e999}', 2, "timeout"),
    ('{"command": "true", "max_retries": %s}' % ("9" * 5000), 2, "line 1"),
    ('{"command": "true", "state": %s}' % ("9" * 5000), 2, "line 1"),
    ('[{"command": "true", "priority": -%s}]' % ("9" * 5000), 2, "line 1"),
    ('{"command": "true", "priority": 1%s}' % ("0" * 4000), 2, "priority"),
    ("[" * 10000, 2, "line 1"),
    ('{"command": "true", "state": %s%s}' % ("[" * 920, "]" * 920), 2, "nested too deeply"),
    ('[{"command": "true", "state": %s%s}]' % ("[" * 920, "]" * 920), 2, "nested too deeply"),
    ('{"a":' * 10000, 2, "line 1"),
    ("[" * 10000 + "]" * 10000, 2, "line 1"),
    ('{"command": %s"true"%s}' % ("[" * 10000, "]" * 10000), 2, "line 1"),
    ('{"command": "true", "state": %s%s}' % ('{"a":' * 10000 + "1", "}" * 10000), 2, "line 1"),
    ('{"command": "true", "command": "false"}', 2, 'the key "command" comes twice'),
    ('{"command": "true", "env": {"A": "%s", "A": "%s"}}' % (SECRET, SECRET), 2, 'the key "A" comes twice'),
    ('{"command": "a:b", "command": "false"}', 2, 'the key "command" comes twice'),
    ('{"command": "false", "command": "a:b"}', 2, 'the key "command" comes twice'),
    ('{"command": "false", "command": "\\u003a"}', 2, 'the key "command" comes twice'),
    ('{"command": "a:b", "env": {"A": "%s", "A": "b"}}' % SECRET, 2, 'the key "A" comes twice'),
    ('{"command": "true", "state": [{"A": 1, "A": 2}]}', 2, 'the key "A" comes twice'),
    ('{"comand": "true"}', 2, "did you mean command?"),
    ('{"command": "true", "max-retries": 3}', 2, "did you mean max_retries?"),
    ('{"command": "true", "prority": 3}', 2, "did you mean priority?"),
    ('{"command": "true", "Timeout": 3}', 2, "did you mean timeout?"),
    ('{"command": "true", "evn": {"A": "%s"}}' % SECRET, 2, "did you mean env?"),
    ('{"command": "true", "": 3}', 2, 'unknown key ""'),
    ('{"command": "true", "\\u001b[31m": 3}', 2, "\\x1b[31m"),
    ('{"command": "true", "\\ud800": 3}', 2, "\\ud800"),
    ('{"command": "true", "%s": 3}' % ("k" * 10000), 2, "unknown key"),
    ('{"command": "true", "run_at": "2027-12-01T10:00:00Z", "delay": 5}', 2, "contradict"),
    ('{"id": "done", "command": "true"}', 1, "job done exists already"),
    ('{"id": "a", "command": "true"}\n{"command": "true"}\n{"id": "a", "command": "true"}', 1, "line 3: id a"),
    ('[{"id": "a", "command": "true"}, {"id": "done", "command": "true"}]', 1, "job done exists already"),
    ('{"command": "true"}\n{"command": "true"}\n{"command": oops}\n', 2, "line 3, column 13"),
    ('{"command": "true"}\n\n{"command": "true", "priority": "x"}\n', 2, "line 3: priority"),
    ('[\n{"command": "true"},\n{"command": oops}\n]', 2, "line 3, column 13"),
    ('{\n"command":\noops}', 2, "line 3, column 1"),
    ('[{"command": "true"},\n{"commnd": "z"}]', 2, 'line 1, job 2: unknown key "commnd"'),
    ('{"command": "true"}\n\n[{"command": "true"}, {"command": 5}]', 2, "line 3: "),
    ('{\n"command": "true"}\n{\n"command": "true",\n"priority": NaN}', 2, "line 3: NaN"),
    ('[{"id": "a", "command": "true"}, {"id": "a", "command": "true"}]', 1, "line 1, job 2: id a comes twice"),
]


@pytest.mark.parametrize("text, code, fragment", table(JSON_TEXT))
def test_enqueue_refuses_json(shared, text, code, fragment):
    refuses(shared, ["enqueue", text], code, fragment)


WRONG_VALUES = [
    ("id", "../x"),
    ("id", "-n"),
    ("id", "."),
    ("id", ""),
    ("id", "x" * 129),
    ("id", "a\0b"),
    ("id", "a\nb"),
    ("id", "\ud800"),
    ("id", 5),
    ("id", False),
    ("id", []),
    ("command", None),
    ("command", ""),
    ("command", 5),
    ("command", True),
    ("command", {}),
    ("command", []),
    ("command", [""]),
    ("command", [None]),
    ("command", ["echo", 5]),
    ("command", ["echo", ["x"]]),
    ("command", ["echo", "a\0b"]),
    ("command", ["echo", "\udfff"]),
    ("command", "a\0b"),
    ("command", "\ud800"),
    ("max_retries", "3"),
    ("max_retries", 1.5),
    ("max_retries", 3.0),
    ("max_retries", -1),
    ("max_retries", 1000001),
    ("max_retries", True),
    ("max_retries", []),
    ("priority", "high"),
    ("priority", 0.5),
    ("priority", 10**9 + 1),
    ("priority", -(10**30)),
    ("priority", False),
    ("priority", {}),
    ("run_at", ""),
    ("run_at", "soon"),
    ("run_at", "2027-13-01T10:00:00Z"),
    ("run_at", "2027-12-01T24:01:00Z"),
    ("run_at", "2027-12-01T10:00:00+99:00"),
    ("run_at", "0001-01-01T00:00:00Z"),
    ("run_at", "9999-12-31T23:59:59-23:00"),
    ("run_at", "2027-12-01T10:00:00Z\n"),
    ("run_at", "\uff12\uff10\uff12\uff17-12-01"),
    ("run_at", "2" * 5000),
    ("run_at", 1900000000),
    ("run_at", True),
    ("run_at", []),
    ("delay", ""),
    ("delay", "-1"),
    ("delay", "1h 30"),
    ("delay", "30m1h"),
    ("delay", "1y"),
    ("delay", "1e3"),
    ("delay", -0.001),
    ("delay", 1e12),
    ("delay", True),
    ("delay", []),
    ("timeout", 0),
    ("timeout", "0s"),
    ("timeout", -1),
    ("timeout", "forever"),
    ("timeout", 1e12),
    ("timeout", False),
    ("timeout", {}),
    ("cwd", ""),
    ("cwd", 5),
    ("cwd", ["/"]),
    ("cwd", "a\0b"),
    ("cwd", "\ud800"),
    ("cwd", "x" * 5000),
    ("env", "A=" + SECRET),
    ("env", ["A=" + SECRET]),
    ("env", 5),
    ("env", True),
    ("env", {"": SECRET}),
    ("env", {"A=" + SECRET: ""}),
    ("env", {"A": 5}),
    ("env", {"A": None}),
    ("env", {"A": [SECRET]}),
    ("env", {"A": {"B": SECRET}}),
    ("env", {"A": SECRET + "\0"}),
    ("env", {"A": SECRET + "\ud800"}),
    ("env", {"A\0": SECRET}),
    ("env", {"\ud800": SECRET}),
    ("unique", ""),
    ("unique", 5),
    ("unique", True),
    ("unique", ["k"]),
    ("unique", {}),
    ("unique", "a\0b"),
    ("unique", "\ud800"),
    ("unique", "\u00e9" * 201),
]


@pytest.mark.parametrize(
    "key, value", [pytest.param(*row, id="%s-%s-%d" % (row[0], label(row[1]), n)) for n, row in enumerate(WRONG_VALUES)]
)
def test_enqueue_refuses_the_value_and_names_line_and_key(shared, key, value):
    fields = dict({"command": "true"}, **{key: value})
    done = refuses(shared, ["enqueue", json.dumps(fields)], 2, "line 1: " + key)
    assert "nothing was added" in done.stderr


def test_enqueue_refuses_what_the_system_could_not_pass_on(shared):
    for fields in (
        {"command": "x" * 2000000},
        {"command": ["echo"] + ["x" * 1000] * 2000},
        {"command": "true", "env": {"A": SECRET * 20000}},
        {"command": "true", "env": {"A%d" % number: SECRET * 10 for number in range(20000)}},
    ):
        refuses(shared, ["enqueue", "-"], 2, "line 1: ", input=json.dumps(fields))


# ---------------------------------------------------------------- enqueue: sources

SOURCES = [
    ([], 2, "give one source"),
    (["{}", "--file", "x"], 2, "give one source"),
    (["-", "--file", "x"], 2, "give one source"),
    (["--file"], 2, "--file"),
    (["--file", ""], 2, "cannot read"),
    (["--file", "no such file"], 2, '"no such file": No such file or directory'),
    (["--file", ESCAPE], 2, "\\x1b"),
    (["--file", LONG], 2, "cannot read"),
    (["--file", NOT_UTF8], 2, "cannot read"),
    (["--file", os.path.dirname(SCRIPT)], 2, "irectory"),
    (["{}", "{}"], 2, "more than one word: JSON is one word"),
    (["--", "true"], 2, "add"),
    ([NOT_UTF8], 2, "not valid UTF-8"),
    (["{}", "--priority", "5"], 2, "--priority"),
]


@pytest.mark.parametrize("words, code, fragment", table(SOURCES))
def test_enqueue_refuses_the_source(shared, words, code, fragment):
    if sys.platform == "win32" and "irectory" in fragment:
        fragment = ""
    refuses(shared, ["enqueue"] + words, code, fragment)


GOOD_LINE = b'{"command": "true"}\n'
BYTES = [
    (b"", "no job was given"),
    (b"\xef\xbb\xbf", "no job was given"),
    (b"\xff\xfe", "no job was given"),
    (b'{"command": "\xff"}', "line 1: not valid UTF-8"),
    (GOOD_LINE * 2 + b'{"command": "\xe9"}\n' + GOOD_LINE, "line 3"),
    (b'[\n{"command": "\xe9"}]', "not valid UTF-8"),
    (b'{"command": "\xed\xa0\x80"}', "not valid UTF-8"),
    (b'\xff\xfe{\0"\0c', "line 1"),
    ('{"command": "true"}'.encode("utf-16-le"), "line 1"),
    (GOOD_LINE * 2 + b"\0\n", "line 3"),
    (GOOD_LINE * 2 + b"oops\n", "line 3, column 1"),
    (GOOD_LINE * 999 + b'{"command": ""}\n', "line 1000: command is empty"),
    (GOOD_LINE * 999 + b'{"command": "true", "id": "done"}\n', "line 1000: job done exists already"),
    (b"\0" * (17 * 1024 * 1024), "line 1"),
    (b"[" * 100000, "line 1"),
]


@pytest.mark.parametrize("way", ["--file", "-"])
@pytest.mark.parametrize("data, fragment", table(BYTES))
def test_enqueue_refuses_the_bytes(shared, tmp_path, data, fragment, way):
    code = 1 if "exists already" in fragment else 2
    if way == "-":
        refuses(shared, ["enqueue", "-"], code, fragment, input=data)
        return
    path = tmp_path / "jobs.json"
    path.write_bytes(data)
    refuses(shared, ["enqueue", "--file", path], code, fragment)


def test_a_closed_standard_input_holds_no_job(shared):
    refuses(shared, ["enqueue", "-"], 2, "no job was given")


# ---------------------------------------------------------------- looking, waiting, moving

HOSTILE_IDS = ["", "../x", "..", "/etc/passwd", "a b", "x" * 200, "a\nb", ESCAPE, "\u202e", "'; --", NOT_UTF8, LONG]
TAKES_ID = [["show"], ["logs"], ["wait"], ["cancel"], ["requeue"], ["dlq", "retry"]]


@pytest.mark.parametrize("words", TAKES_ID, ids=label)
def test_a_job_that_does_not_exist_is_named(shared, words):
    refuses(shared, words + ["nobody"], 1, '"nobody"')


@pytest.mark.parametrize("identifier", table([(text,) for text in HOSTILE_IDS]))
def test_show_refuses_what_cannot_be_an_id(shared, identifier):
    refuses(shared, ["show", identifier], 2, "")


@pytest.mark.parametrize("words", TAKES_ID, ids=label)
def test_an_id_that_is_not_utf8_is_refused(shared, words):
    refuses(shared, words + [NOT_UTF8], 2, "\\udcff")
    refuses(shared, words + ["waiting", NOT_UTF8], 2, "")


@pytest.mark.parametrize("words", TAKES_ID, ids=label)
def test_an_id_that_looks_like_an_option_is_refused(shared, words):
    refuses(shared, words + ["-n"], 2, "")
    refuses(shared, words + ["--", "-n"], 2, "-n")


REST = [
    (["list", "--state"], 2, "--state"),
    (["list", "--state", ""], 2, 'unknown state ""'),
    (["list", "--state", "complete"], 2, "did you mean completed?"),
    (["list", "--state", "dead,,failed"], 2, 'unknown state ""'),
    (["list", "--state", "dead failed"], 2, "unknown state"),
    (["list", "--state", ESCAPE], 2, "\\x1b"),
    (["list", "--state", NOT_UTF8], 2, "\\udcff"),
    (["list", "--state", LONG], 2, "unknown state"),
    (["list", "--dlq", "--state", "pending"], 2, "contradict"),
    (["list", "--limit", "0"], 2, "--limit"),
    (["list", "--limit", "-1"], 2, "--limit"),
    (["list", "--limit", "all"], 2, "all"),
    (["list", "--limit", "9" * 5000], 2, "--limit"),
    (["dlq", "list", "--limit", "0"], 2, "--limit"),
    (["dlq", "list", "nobody"], 1, '"nobody"'),
    (["list", "done", "nobody"], 1, '"nobody"'),
    (["list", "--all", "--last", "2"], 2, "contradict"),
    (["list", "--last", "0"], 2, "--last"),
    (["list", "--last", "x"], 2, "--last"),
    (["list", "--tag", ""], 2, "tags:"),
    (["list", "--tag", "a b"], 2, "tags:"),
    (["list", "--tag", ESCAPE], 2, "tags:"),
    (["list", "--queue", ""], 2, "unknown queue"),
    (["list", "--queue", "default,defualt"], 2, "did you mean default?"),
    (["list", "--match", ""], 2, "--match is empty"),
    (["list", "--match", NOT_UTF8], 2, "--match"),
    (["list", "--since", "yesterday"], 2, "neither a time"),
    (["list", "--since", ""], 2, "neither a time"),
    (["list", "--since=-1h"], 2, "neither a time"),
    (["list", "--since", "2027-13-01"], 2, "--since"),
    (["list", "--until", LONG], 2, "--until"),
    (["list", "--schedule", NOT_UTF8], 2, "--schedule"),
    (["status", "--tag", "a b"], 2, "tags:"),
    (["show"], 2, "name jobs, or --tag, --group ..., or --all"),
    (["show", "done", "nobody"], 1, '"nobody"'),
    (["show", "--tag", "none"], 1, "no job matches"),
    (["logs"], 2, "name jobs, or --tag, --group ..., or --all"),
    (["logs", "--match", "none"], 1, "no job matches"),
    (["logs", "done", "--attempt"], 2, "--attempt"),
    (["logs", "done", "--attempt", "0"], 2, "--attempt"),
    (["logs", "done", "--attempt", "last"], 2, "last"),
    (["logs", "done", "--attempt", "9" * 30], 2, "--attempt"),
    (["logs", "done", "--attempt", "2"], 1, "has no attempt 2"),
    (["wait", "done", "--timeout"], 2, "--timeout"),
    (["wait", "done", "--timeout", "soon"], 2, "soon"),
    (["wait", "done", "--timeout", "-1"], 2, "--timeout"),
    (["wait", "done", "--timeout", "nan"], 2, "--timeout"),
    (["wait", "done", "nobody", "--timeout", "0"], 1, '"nobody"'),
    (["cancel"], 2, "name jobs, or --tag, --group ..., or --all"),
    (["cancel", "--dry-run"], 2, "name jobs, or --tag, --group ..., or --all"),
    (["cancel", "--all", "--tag", "a"], 2, "--all and --tag contradict"),
    (["cancel", "--tag", "none"], 1, "no job matches: nothing was cancelled"),
    (["cancel", "--state", "completed"], 1, "no job matches"),
    (["cancel", "done", "--dry-run"], 1, "job done is completed: nothing would be cancelled"),
    (["cancel", "waiting", "nobody", "--state", "pending"], 1, '"nobody"'),
    (["cancel", "done"], 1, "job done is completed already"),
    (["cancel", "dead"], 1, "job dead is dead already"),
    (["cancel", "waiting", "done"], 1, "nothing was cancelled"),
    (["cancel", "waiting", "nobody"], 1, '"nobody"'),
    (["requeue"], 2, "name jobs, or --tag, --group ..., or --all"),
    (["requeue", "waiting"], 1, "job waiting is pending, not dead or cancelled"),
    (["requeue", "dead", "done"], 1, "nothing was requeued"),
    (["requeue", "gone", "nobody"], 1, '"nobody"'),
    (["requeue", "--all", "gone"], 2, "--all and ids contradict"),
    (["requeue", "--queue", "default", "--since", "2039-01-01"], 1, "no job matches: nothing was requeued"),
    (["dlq", "retry"], 2, "--all"),
    (["dlq", "retry", "dead", "--all"], 2, "--all"),
    (["dlq", "retry", "gone"], 1, "job gone is cancelled, not dead"),
    (["dlq", "retry", "dead", "waiting"], 1, "nothing was requeued"),
    (["dlq", "purge", "dead", "gone"], 1, "job gone is cancelled, not dead: nothing was deleted"),
    (["dlq", "purge", "--tag", "none"], 1, "no job matches: nothing was deleted"),
    (["prune", "done", "dead"], 1, "job dead is dead, not cancelled or completed: nothing was deleted"),
    (["prune", "done", "nobody"], 1, '"nobody"'),
    (["prune", "--match", "nothing of the kind"], 1, "no job matches"),
    (["prune", "--state", "pending"], 2, "not finished"),
    (["prune", "--state", "completed,processing"], 2, "not finished"),
    (["prune", "--state", "compelted"], 2, "did you mean completed?"),
    (["prune", "--state", ""], 2, 'unknown state ""'),
    (["prune", "--older-than"], 2, "--older-than"),
    (["prune", "--older-than", ""], 2, "--older-than"),
    (["prune", "--older-than", "-1d"], 2, "--older-than"),
    (["prune", "--older-than", "yesterday"], 2, "yesterday"),
    (["prune", "--older-than", "9" * 30 + "d"], 2, "--older-than"),
    (["status", "--wach"], 2, "--watch"),
    (["doctor", "now"], 2, "now"),
    (["doctor", "--fix"], 2, "--fix"),
    (["cron", "daily"], 2, "daily"),
    (["cron", "--count"], 2, "--count"),
    (["cron", "--count", "0"], 2, "between 1 and 1000"),
    (["cron", "--count", "many"], 2, "many"),
    (["check", "now"], 2, "now"),
    (["check", "--waiting"], 2, "--waiting"),
    (["check", "--waiting", ""], 2, "--waiting"),
    (["check", "--waiting", "long"], 2, "long"),
    (["check", "--waiting", "-5"], 2, "--waiting"),
    (["check", "--waiting", "nan"], 2, "nan"),
    (["check", "--min-free", ""], 2, "--min-free"),
    (["check", "--min-free", "-1"], 2, "--min-free"),
    (["check", "--min-free", "1.5G"], 2, "1.5G"),
    (["check", "--min-free", "256MB"], 2, "such as 256M, 2G or 1000000"),
    (["check", "--min-free", "\u0663M"], 2, "--min-free"),
    (["check", "--min-free", "9" * 5000], 2, "--min-free"),
    (["check", "--min-free", ESCAPE], 2, "\\x1b"),
    (["check", "--expect", "k"], 2, "go together"),
    (["check", "--every", "1h"], 2, "go together"),
    (["check", "--expect", "", "--every", "1h"], 2, "--expect is empty"),
    (["check", "--expect", "x" * 201, "--every", "1h"], 2, "--expect"),
    (["check", "--expect", NOT_UTF8, "--every", "1h"], 2, "--expect"),
    (["check", "--expect", "k", "--every", "0"], 2, "--every: 0"),
    (["check", "--expect", "k", "--every", "daily"], 2, "daily"),
    (["check", "--expect", "k", "--every", "1h", "--every", "2h"], 2, "one --every for all"),
    (["check", "--expect", "a", "--expect", "b", "--expect", "c", "--every", "1h", "--every", "2h"], 2, "--every"),
]


@pytest.mark.parametrize("words, code, fragment", table(REST))
def test_looking_and_moving_refuse(shared, words, code, fragment):
    refuses(shared, words, code, fragment)


# ---------------------------------------------------------------- workers

WORKER = [
    (["start", "extra"], 2, "extra"),
    (["start", "--count"], 2, "--count"),
    (["start", "--count", "0"], 2, "--count"),
    (["start", "--count", "-4"], 2, "--count"),
    (["start", "--count", "four"], 2, "four"),
    (["start", "--count", "1001"], 2, "between 1 and 1000"),
    (["start", "--count", "9" * 5000], 2, "--count"),
    (["start", "--backoff-base", "-1"], 2, "backoff_base"),
    (["start", "--backoff-base", "nan"], 2, "nan"),
    (["start", "--backoff-base", "inf"], 2, "inf"),
    (["start", "--backoff-base", "1e999"], 2, "1e999"),
    (["start", "--poll-interval", "0"], 2, "poll_interval"),
    (["start", "--poll-interval", "often"], 2, "often"),
    (["start", "--max-time", "soon"], 2, "soon"),
    (["start", "--max-time", "-1"], 2, "--max-time"),
    (["start", "--ensure", "--max-time"], 2, "--max-time"),
    (["start", "--ensure", "--count", "0"], 2, "--count"),
    (["start", "--quiet=yes"], 2, "--quiet"),
    (["-n"], 2, "-n"),
    (["-n", "0"], 2, ""),
    (["-n", "x"], 2, '"x"'),
    (["--daemn"], 2, "--daemn (did you mean --daemon?)"),
    (["stop", "now"], 2, "now"),
    (["stop", "--timeout", "soon"], 2, "soon"),
    (["stop", "--timeout", "-1"], 2, "--timeout"),
    (["list", "all"], 2, "all"),
]


@pytest.mark.parametrize("words, code, fragment", table(WORKER))
def test_worker_refuses_and_starts_nothing(shared, words, code, fragment):
    refuses(shared, ["worker"] + words, code, fragment)
    assert roster.members(shared.queue.folder) == []


@posix_only
def test_a_supervisor_cannot_be_named_out_of_its_folder(home):
    refuses(home, ["worker", "start", "--drain", "--name", "../../evil"], 2, "evil", timeout=20)


# ---------------------------------------------------------------- settings

CONFIG = [
    (["get", "max_retires"], 2, "did you mean max_retries?"),
    (["get", ""], 2, 'unknown setting ""'),
    (["get", ESCAPE], 2, "\\x1b"),
    (["get", "timeout", "grace"], 2, "grace"),
    (["set"], 2, "KEY"),
    (["set", "max_retries"], 2, "VALUE"),
    (["set", "max_retries", "5", "6"], 2, "6"),
    (["set", "max-retrys", "5"], 2, "did you mean max_retries?"),
    (["set", "backof_base", "5"], 2, "did you mean backoff_base?"),
    (["set", LONG, "5"], 2, "unknown setting"),
    (["set", NOT_UTF8, "5"], 2, "\\udcff"),
    (["set", "max_retries", ""], 2, "max_retries"),
    (["set", "max_retries", "-1"], 2, "max_retries"),
    (["set", "max_retries", "1.5"], 2, "max_retries"),
    (["set", "max_retries", "lots"], 2, "lots"),
    (["set", "default_max_retries", "1000001"], 2, "max_retries"),
    (["set", "max_retries", "9" * 5000], 2, "max_retries"),
    (["set", "backoff_base", "-0.5"], 2, "backoff_base"),
    (["set", "backoff_base", "NaN"], 2, "NaN"),
    (["set", "backoff_base", "Infinity"], 2, "Infinity"),
    (["set", "backoff_base", "1e999"], 2, "1e999"),
    (["set", "backoff_base", "two"], 2, "two"),
    (["set", "durability", "half"], 2, "full or off"),
    (["set", "durability", "true"], 2, "full or off"),
    (["set", "backoff_cap", "-1"], 2, "backoff_cap"),
    (["set", "backoff_cap", ESCAPE], 2, "\\x1b"),
    (["set", "timeout", "0"], 2, "timeout"),
    (["set", "job_timeout", "-5"], 2, "timeout"),
    (["set", "timeout", "never"], 2, "timeout"),
    (["set", "poll_interval", "0"], 2, "poll_interval"),
    (["set", "worker_poll_interval", "3601"], 2, "poll_interval"),
    (["set", "poll_interval", NOT_UTF8], 2, "poll_interval"),
    (["set", "db_path", ""], 2, "db_path is empty"),
    (["set", "db_path", "."], 2, "no place for a database"),
    (["set", "db_path", "a/../.."], 2, "no place for a database"),
    (["set", "db_path", "config.json"], 2, "no place for a database"),
    (["set", "db_path", NOT_UTF8], 2, "db_path"),
    (["unset"], 2, "KEY"),
    (["unset", "max_retires"], 2, "did you mean max_retries?"),
]


@pytest.mark.parametrize("words, code, fragment", table(CONFIG))
def test_config_refuses(shared, words, code, fragment):
    refuses(shared, ["config"] + words, code, fragment)


def test_config_refuses_a_database_path_that_no_system_can_open(home):
    refuses(home, ["config", "set", "db_path", LONG], 2, "db_path")


BROKEN_SETTINGS = [
    (b"", "line 1, column 1"),
    (b'{\n  "max_retries": 3,\n  "timeout": oops\n}', "line 3, column 14"),
    (b'{"max_retries": 3,}', "line 1, column"),
    (b"[]", "line 1, column 1"),
    (b"[" * 10000, ""),
    (b'{"max_retries": "\xff"}', "not UTF-8"),
    (b'{"max_retries": NaN}', "NaN"),
    (b'{"backoff_base": 1e999}', "backoff_base"),
    (b'{"max_retries": %s}' % (b"9" * 5000), ""),
    (b'{"max_retries": "3"}', "max_retries"),
    (b'{"max_retries": true}', "max_retries"),
    (b'{"max_retries": 3, "max_retries": 4}', "comes twice"),
    (b'{"max_retries": 3, "default_max_retries": 4}', "max_retries"),
    (b'{"max_retires": 3}', "did you mean max_retries?"),
    (b'{"db_path": "a\\u0000b"}', "NUL"),
    (b'{"db_path": "\\ud800"}', "db_path"),
    (b'{"poll_interval": 0}', "poll_interval"),
]


@pytest.mark.parametrize("data, fragment", table(BROKEN_SETTINGS))
def test_a_broken_config_file_is_named_and_stays_as_it_is(home, data, fragment):
    path = os.path.join(home.path, "config.json")
    with open(path, "wb") as file:
        file.write(data)
    for words in (["add", "true"], ["config", "set", "grace", "5"]):
        if words[0] == "config" and not fragment.startswith(("line", "not", "NaN")):
            continue  # JSON that can be read can be repaired with `config set`
        done = refuses(home, words, 3, fragment)
        assert "config.json" in done.stderr
    with open(path, "rb") as file:
        assert file.read() == data


# ---------------------------------------------------------------- the home


def test_an_empty_home_is_refused(shared):
    refuses(shared, ["--home", "", "status"], 2, "--home is empty")


def test_a_home_that_is_a_file_is_named(shared):
    refuses(shared, ["--home", os.path.join(shared.path, "config.json"), "add", "true"], 3, "config.json")


def test_a_hostile_home_cannot_drive_the_terminal(shared, tmp_path):
    """It is refused or used, but never sent raw."""
    hostile = str(tmp_path / "file")
    with open(hostile, "w"):
        pass
    done = shared.run("--home", os.path.join(hostile, "\x1b]0;owned\x07"), "add", "true", code=3)
    assert done.stderr[:-1].isprintable()


@posix_only
def test_a_home_that_is_not_utf8_is_refused(shared):
    refuses(shared, ["--home", NOT_UTF8, "status"], 2, "not valid UTF-8")


@posix_only
def test_a_current_directory_that_is_gone_is_told(shared, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    before = everything_in(shared)
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", str(gone)] + shared.command("add", "true"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=shared.environment(),
    )
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr.startswith(b"queuectl: error: the current directory no longer exists")
    assert done.stderr.count(b"\n") == 1
    assert before == everything_in(shared)


@pytest.mark.parametrize(
    "words", [["add", ""], ["enqueue", "{"], ["show", "x"], ["config", "set", "x", "1"]], ids=label
)
def test_a_refused_call_leaves_a_new_home_untouched(tmp_path, words):
    home = Home(tmp_path / "home")
    done = home.run(*words, code=1 if words[0] == "show" else 2)
    assert done.stderr.startswith("queuectl: error: ")
    assert not os.path.exists(home.path)
