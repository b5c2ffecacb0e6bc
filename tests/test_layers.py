"""The three rooms: what each file may import and say, and what stays true on every Python that meets it."""

import ast
import os
import re
import subprocess
import sys

import pytest
from helpers.bundle import FILES, ROOT, sources
from helpers.home import SCRIPT
from helpers.processes import runnable

MAIN = "queuectl_lib/commands/main.py"
OURS = {"queuectl", "queuectl_lib", "storage", "worker"}
FORBIDDEN = {
    "storage.py": {"queuectl", "worker", "argparse", "subprocess", "multiprocessing"},
    "worker.py": {"queuectl", "argparse", "sqlite3"},
    MAIN: {"queuectl", "sqlite3", "signal", "multiprocessing"},
}
# What the Pythons 3.8 to 3.14 all have, of all that these files need.
STANDARD = {
    *("__future__", "_thread", "_signal", "argparse", "calendar", "codecs", "collections", "contextlib", "ctypes"),
    *("datetime", "difflib", "errno"),
    *("fcntl", "functools", "gc", "grp", "importlib", "io", "json", "msvcrt", "multiprocessing", "os", "pwd", "re"),
    *("select", "shlex"),
    *("shutil", "signal", "socket", "sqlite3", "stat", "subprocess", "sys", "tempfile", "threading", "time", "typing"),
    "traceback",
    "unicodedata",
}


def source(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def nodes(name):
    return list(ast.walk(ast.parse(source(name))))


def imports(name):
    found = set()
    for node in nodes(name):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "line %d: a relative import" % node.lineno
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_a_room_opens_no_door_that_it_should_not(name):
    assert imports(name) & FORBIDDEN[name] == set()


def test_the_rooms_stand_in_one_line():
    assert imports("storage.py") & OURS == {"queuectl_lib"}
    assert imports("worker.py") & OURS == {"queuectl_lib", "storage"}
    assert imports(MAIN) & OURS == {"queuectl_lib"}
    assert imports("queuectl.py") & OURS == {"queuectl_lib"}


@pytest.mark.parametrize("name", sources())
def test_only_the_standard_library_is_imported(name):
    assert imports(name) - OURS - STANDARD == set()
    if hasattr(sys, "stdlib_module_names"):
        assert STANDARD - set(sys.stdlib_module_names) == set()


def test_there_is_no_fourth_module():
    assert sorted(name for name in os.listdir(ROOT) if name.endswith(".py")) == sorted(FILES)


def strings(name):
    return [node.value for node in nodes(name) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


@pytest.mark.parametrize("name", [MAIN, "worker.py"])
def test_sql_is_spoken_in_the_storage_room_only(name):
    sql = re.compile(r"\b(SELECT .* FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|PRAGMA|BEGIN IMMEDIATE)\b")
    assert [text for text in strings(name) if sql.search(text)] == []
    assert any(sql.search(text) for text in strings("storage.py")), "the pattern finds what it looks for"


@pytest.mark.parametrize("name", ["storage.py", "worker.py"])
def test_only_the_front_end_prints(name):
    calls = [node for node in nodes(name) if isinstance(node, ast.Call)]
    assert [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"] == []
    texts = [node for node in nodes(name) if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr")]
    assert [one.lineno for one in texts if isinstance(one.value, ast.Name) and one.value.id == "sys"] == []


def test_no_statement_can_set_any_state():
    """Every UPDATE of a state names the state, or guards the old one."""
    moving = [text for text in strings("storage.py") if re.search(r"UPDATE jobs\s+SET\s+state", text)]
    assert len(moving) >= 5
    for text in moving:
        assert "WHERE" in text or text.rstrip().endswith("updated_at = ?") or "next_run_at" in text, text
        named = re.search(r"SET\s+state = '(\w+)'", text)
        assert named or "state = ?, token = NULL" in text, "only a claim's own end may choose the state: %s" % text


# ---------------------------------------------------------------- silent and cheap at import


def python(*words, **options):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("QUEUECTL_", "PYTHON"))}
    return subprocess.run(
        [sys.executable] + list(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        timeout=60,
        **options,
    )


@pytest.mark.parametrize("module", sorted(OURS))
def test_nothing_is_printed_done_or_warned_about_at_import(tmp_path, module):
    code = "import sys; sys.path.insert(0, %r); sys.dont_write_bytecode = True; import %s" % (ROOT, module)
    done = python("-I", "-W", "error", "-X", "dev", "-c", code, cwd=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert os.listdir(str(tmp_path)) == []


LOADED = """
import sys
sys.path.insert(0, %r)
import queuectl
code = queuectl.main(sys.argv[1:])
sys.stderr.write("\\n".join(["code=%%d" %% code] + sorted(sys.modules)))
"""
HEAVY = {"worker", "signal", "multiprocessing", "subprocess", "typing", "socket", "difflib", "tempfile", "asyncio"}


@pytest.mark.parametrize(
    "words",
    [("add", "true"), ("add", "--", "true", "x"), ("status",), ("list", "--json")],
    ids=" ".join,
)
def test_a_frequent_command_imports_nothing_that_it_does_not_need(home, words):
    home.run("initdb")
    done = python("-I", "-S", "-c", LOADED % ROOT, "--home", home.path, *words)
    loaded = set(done.stderr.decode().split())
    assert "code=0" in loaded, done.stderr
    assert {"argparse", "sqlite3", "storage"} <= loaded
    assert loaded & HEAVY == set()


def test_a_worker_loads_no_front_end(home):
    """Python says on standard error what it imports, in the supervisor and in its one worker."""
    home.add("exit 0")
    words = home.command("worker", "start", "--drain")
    environment = home.environment({"PYTHONPROFILEIMPORTTIME": "1"})
    said = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment).stderr.decode()
    loaded = re.findall(r"^import time:.*\| *([\w.]+)\r?$", said, re.M)
    assert [loaded.count(name) for name in ("storage", "worker", "argparse", "queuectl")] == [2, 2, 1, 0]


# ---------------------------------------------------------------- every Python that meets it


def test_the_program_works_isolated_and_without_site_packages(home):
    job = home.add("exit 0")
    done = python("-I", "-S", SCRIPT, "--home", home.path, "status")
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    done = python("-I", "-S", SCRIPT, "--home", home.path, "worker", "start", "--drain")
    assert done.returncode == 0, done.stderr
    assert home.state(job) == "completed"


def test_the_program_works_optimised_and_with_warnings_as_errors(home):
    for flags in (("-O",), ("-OO",), ("-W", "error"), ("-b", "-b")):
        done = python(*(flags + (SCRIPT, "--home", home.path, "add", "true")))
        assert (done.returncode, done.stderr) == (0, b"")


LACKING = """
import sys
sys.modules[sys.argv[1]] = None  # as where a package of the system leaves it out
sys.path.insert(0, sys.argv[2])
import queuectl
sys.exit(queuectl.main(sys.argv[3:]))
"""


@pytest.mark.parametrize(
    "module, words",
    [
        ("sqlite3", ["list"]),
        ("_sqlite3", ["list"]),
        ("json", ["list"]),
        ("multiprocessing", ["worker", "start"]),
        ("ctypes" if sys.platform == "win32" else "subprocess", ["worker"]),
    ],
)
def test_a_python_that_lacks_a_module_is_told_in_one_line(home, module, words):
    done = python("-c", LACKING, module, ROOT, "--home", home.path, *words)
    told = done.stderr.decode().replace("\r\n", "\n")
    assert (done.returncode, done.stdout) == (3, b"")
    assert told.startswith("queuectl: error: this Python lacks a part that queuectl needs (") and told.count("\n") == 1
    assert module in told
    assert os.listdir(home.path) == []


@pytest.mark.parametrize("name", sources())
def test_a_file_parses_by_the_grammar_of_python_3_8(name):
    ast.parse(source(name), feature_version=(3, 8))


@pytest.mark.parametrize("version", ["2.7", "3.5", "3.6", "3.7"])
def test_an_old_python_is_told_in_one_line_what_is_missing(tmp_path, version):
    path = runnable(version)
    if not path:
        pytest.skip("no Python %s here" % version)
    words = [path, "-B", SCRIPT, "add", "true"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=str(tmp_path))
    assert (done.returncode, done.stdout) == (3, b"")
    told = "queuectl: error: this is Python %s, and 3.8 or newer is needed: call queuectl.py with such a python3\n"
    assert done.stderr.decode() == told % version


def test_the_front_end_holds_nothing_that_an_old_python_cannot_parse():
    tree = nodes("queuectl.py")
    newer = (ast.JoinedStr, ast.NamedExpr, ast.AnnAssign, ast.AsyncFunctionDef, ast.Await, ast.Nonlocal, ast.YieldFrom)
    assert [type(node).__name__ for node in tree if isinstance(node, newer)] == []
    functions = [node for node in tree if isinstance(node, (ast.FunctionDef, ast.Lambda))]
    assert functions
    for function in functions:
        assert not getattr(function, "returns", None), "line %d: an annotation" % function.lineno
        assert not function.args.kwonlyargs and not function.args.posonlyargs, "line %d" % function.lineno
    assert [node.lineno for node in tree if isinstance(node, ast.arg) and node.annotation] == []
    assert [node.lineno for node in tree if isinstance(node, ast.Raise) and node.cause] == []
    for node in tree:
        if isinstance(node, ast.ClassDef):
            assert not node.keywords, "line %d: a keyword of a class" % node.lineno
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            assert not any(isinstance(one, ast.Starred) for one in node.elts), "line %d" % node.lineno
        if isinstance(node, ast.Dict):
            assert None not in node.keys, "line %d: ** in a dict" % node.lineno


def test_the_front_end_is_pure_ascii_for_pythons_that_expect_it():
    source("queuectl.py").encode("ascii")


def test_the_version_is_looked_at_before_anything_that_an_old_python_lacks():
    body = ast.parse(source("queuectl.py")).body
    check = next(place for place, node in enumerate(body) if "version_info" in ast.dump(node))
    before = [alias.name for node in body[:check] if isinstance(node, ast.Import) for alias in node.names]
    assert before == ["os", "sys"], "what every Python has, and nothing of ours"
    assert isinstance(body[check], ast.If)
