"""The door: what it says where something is missing, every Python that meets it, and our own files."""

import ast
import os
import re
import shutil
import stat
import subprocess
import sys

import pytest
from helpers.bundle import BUNDLE, ROOT, sources
from helpers.home import SCRIPT
from helpers.installed import Copy
from helpers.marks import WINDOWS, long, posix_only
from helpers.processes import runnable

from queuectl_lib import lacking
from queuectl_lib.host import bytecode

OURS = ("queuectl", "queuectl_lib", "storage", "worker")


def source(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def nodes(name):
    return list(ast.walk(ast.parse(source(name))))


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


@pytest.mark.parametrize("module", OURS)
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
    assert [loaded.count(name) for name in ("storage", "worker", "argparse")] == [2, 2, 1]
    front = [name for name in loaded if name.startswith("queuectl_lib.commands.")]
    assert len(front) == len(set(front)) > 3, "the supervisor's alone"


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
    before = [node for top in body[:check] for node in ast.walk(top)]
    assert [node.module for node in before if isinstance(node, ast.ImportFrom)] == []
    names = [alias.name for node in before if isinstance(node, ast.Import) for alias in node.names]
    assert names == ["sys", "os", "gc"], "what every Python has, and nothing of ours"
    assert isinstance(body[check], ast.If)


# ---------------------------------------------------------------- what is copied together

TOGETHER = "copy queuectl.py, storage.py, worker.py and queuectl_lib together"


class Changeable(Copy):
    """A copy of the bundle that a test changes."""

    def write(self, name, old, new):
        path = os.path.join(self.path, name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert text.count(old) == 1, (name, old)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))


@pytest.fixture
def copy(tmp_path):
    copy = Changeable(tmp_path / "copy")
    os.chmod(copy.path, 0o755)  # else nobody else can enter, and nothing in it need be looked at
    yield copy
    copy.clean_up()


@pytest.fixture
def unused(tmp_path):
    """The same before its first start, without bytecode."""
    copy = Changeable(tmp_path / "unused", used=False)
    yield copy
    copy.clean_up()


def refusal(copy, *words):
    """What a call says that cannot begin: one line, exit 3."""
    said = copy.run(*words, code=3).stderr
    assert said.startswith("queuectl: error: ") and said.endswith(TOGETHER + "\n")
    return said[len("queuectl: error: ") : -len(": " + TOGETHER) - 1]


def test_a_folder_that_is_missing_is_told(copy):
    shutil.rmtree(os.path.join(copy.path, "queuectl_lib"))
    said = copy.run("list", code=3).stderr
    assert said.startswith("queuectl: error: the folder queuectl_lib is not beside queuectl.py: copy queuectl.py, ")


@pytest.mark.parametrize("lacking", ["__init__", "commands/__init__", "commands/main", "commands/list", "host/files"])
def test_a_folder_that_is_incomplete_is_told(copy, lacking):
    os.remove(os.path.join(copy.path, "queuectl_lib", lacking + ".py"))
    assert refusal(copy, "list") == "queuectl_lib/%s.py is missing" % lacking


@pytest.mark.parametrize("emptied", ["__init__", "host/places", "errors"])
def test_a_file_that_is_empty_since_the_disk_was_full_is_told(copy, emptied):
    open(os.path.join(copy.path, "queuectl_lib", emptied + ".py"), "w").close()
    assert refusal(copy, "add", "true") == "queuectl_lib/%s.py is not whole" % emptied


def test_the_room_of_a_command_that_is_empty_is_told(copy):
    open(os.path.join(copy.path, "queuectl_lib", "commands", "add.py"), "w").close()
    assert refusal(copy, "add", "true") == "queuectl_lib/commands/add.py is not whole"


def test_a_file_that_may_not_be_read_is_told():
    error = PermissionError(13, "Permission denied", "/opt/q/queuectl_lib/errors.py")
    assert lacking.told(error, "/opt/q") == "cannot read /opt/q/queuectl_lib/errors.py: Permission denied"


def test_a_mistake_of_ours_is_not_taken_for_a_file_that_is_not_whole(copy):
    begin = "def list_jobs(call: Call) -> int:\n"
    copy.write("queuectl_lib/commands/list.py", begin, begin + "    None.x\n")
    done = subprocess.run(copy.command("list"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=copy.environment())
    assert done.returncode == 1
    assert b"AttributeError: 'NoneType' object has no attribute 'x'" in done.stderr


@long
@pytest.mark.parametrize("name", sources())
def test_whatever_file_is_missing_is_told_by_some_call_and_never_by_a_traceback(tmp_path, name):
    """The calls that load most; a call that needs no such file does not notice."""
    if name == "queuectl.py" or "windows" in name or name.endswith(("__init__.py", "becoming.py", "lacking.py")):
        pytest.skip("not loaded here by name")
    if WINDOWS and "posix" in name:
        pytest.skip("not loaded on Windows")
    copy = Changeable(tmp_path / "copy")
    os.remove(os.path.join(copy.path, name))
    module = name[:-3].split("/")[-1]
    calls = [["worker", "start", "--drain"], ["doctor"], [module], [module, "x"], [module, "get"], [module, "list"]]
    calls += [["enqueue", '{"command": "true", "after": ["x"]}'], ["requeue", "x"]]
    calls += [["enqueue", '{"command": "true"}'], ["check"], ["prune"], ["logs", "x"], ["show", "x"]]
    calls += [["requeue", "x"], ["hold", "x"], ["edit", "x", "--now"]]
    for words in calls:
        done = subprocess.run(copy.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        said = done.stderr.decode().replace("\r\n", "\n")
        assert "Traceback" not in said, said
        if "is missing" in said:
            assert (done.returncode, said) == (3, "queuectl: error: %s is missing: %s\n" % (name, TOGETHER))
            return
    pytest.fail("nothing missed %s" % name)


def test_files_of_another_version_are_told(copy):
    copy.write("queuectl.py", 'VERSION = "', 'VERSION = "9.')
    assert refusal(copy, "list") == "queuectl.py is 9.0.1.0 and queuectl_lib is 0.1.0"


@pytest.mark.parametrize("door", ["storage", "worker"])
def test_doors_of_another_version_are_told(copy, door):
    copy.write(door + ".py", 'VERSION = "0.1.0"', 'VERSION = "0.0.9"')
    assert refusal(copy, "worker", "start", "--drain") == "%s.py is 0.0.9 and queuectl_lib is 0.1.0" % door
    copy.write(door + ".py", 'VERSION = "0.0.9"', "")
    assert refusal(copy, "worker", "start", "--drain") == "%s.py is older and queuectl_lib is 0.1.0" % door


def test_a_file_that_was_copied_by_half_is_told(copy):
    path = os.path.join(copy.path, "queuectl_lib", "store", "showing.py")
    with open(path, "r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) // 2)
        file.seek(0, os.SEEK_END)
        file.write(b"\n    def (")
    assert "showing.py" in refusal(copy, "list")


@pytest.mark.parametrize("version", ["2.7", "3.6"])
@pytest.mark.parametrize("lacking", [name for name in BUNDLE if name != "queuectl.py"])
def test_an_old_python_is_told_what_it_is_whatever_is_missing(copy, version, lacking):
    path = runnable(version)
    if not path:
        pytest.skip("no Python %s here" % version)
    target = os.path.join(copy.path, lacking)
    shutil.rmtree(target) if os.path.isdir(target) else os.remove(target)
    copy.python = [path, "-B"]
    assert "this is Python %s, and 3.8 or newer is needed" % version in copy.run("list", code=3).stderr


# ---------------------------------------------------------------- bytecode


def cached(copy):
    """The sources below *copy* whose bytecode Python would use, as paths below it."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); from queuectl_lib.host import bytecode; "
    code += "print('\\n'.join(set(bytecode.sources()) - set(bytecode.uncached())))"
    found = subprocess.run([sys.executable, "-S", "-B", "-c", code, copy.path], stdout=subprocess.PIPE, check=True)
    paths = [path for path in found.stdout.decode().splitlines() if path]
    return sorted(os.path.relpath(path, copy.path).replace(os.sep, "/") for path in paths)


@pytest.mark.parametrize("words", [["initdb"], ["worker", "start", "--drain"]], ids=" ".join)
def test_the_bytecode_is_written_where_it_is_missing_although_python_may_not(unused, words):
    unused.run("list", env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert cached(unused) == ["queuectl.py"], "which Python compiles at each call in any case"
    unused.run(*words, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert cached(unused) == sources()
    os.utime(os.path.join(unused.path, "storage.py"), (1, 1))
    assert "storage.py" not in cached(unused), "that of a replaced file counts no more"
    unused.run("initdb", env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert cached(unused) == sources()


SPAWN = """
import multiprocessing, sys
sys.path.insert(0, sys.argv[1])
from queuectl_lib.host import bundle, loading
code = "import storage, worker; print(worker.__doc__ is None, storage.Queue.__doc__ is None, hasattr(storage, 'NEW'))"
with bundle.found_by_child():
    process = multiprocessing.get_context("spawn").Process(**loading.in_child(exec, (code, {})))
    process.start()
process.join()
"""


def without_docstrings(copy):
    """Whether a worker has loaded worker and storage so, and whether the latter has a NEW."""
    words = [sys.executable, "-S", "-B", "-c", SPAWN, copy.path]
    return subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode().split()


def test_a_worker_loads_no_docstrings_where_the_bytecode_for_that_is_there_and_goes_with_the_source(unused):
    assert without_docstrings(unused) == ["False", "False", "False"]
    unused.run("initdb", env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert without_docstrings(unused) == ["True", "True", "False"]
    unused.write("storage.py", "TYPE_CHECKING = False\n", "TYPE_CHECKING = False\nNEW = 1\n")
    assert without_docstrings(unused) == ["True", "False", "True"], "what is older than its source is not used"
    unused.run("initdb", env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert without_docstrings(unused) == ["True", "True", "True"]


def finding(copy, env=None):
    """What doctor says of the bytecode."""
    rows = copy.run("doctor", "--json", env=env).json["findings"]
    return next(row for row in rows if row["name"] == "bytecode")


def test_doctor_says_where_no_bytecode_is_kept_and_what_that_costs(unused):
    found = finding(unused, {"PYTHONDONTWRITEBYTECODE": "1"})
    assert found["ok"] is None and re.search(r"each call compiles anew what it needs, some \d+ ms", found["text"])
    unused.run("initdb")
    assert finding(unused, {"PYTHONDONTWRITEBYTECODE": "1"})["ok"] is True


# ---------------------------------------------------------------- trust

NOBODY = 65534


@posix_only
@pytest.mark.parametrize("place", ["", "queuectl.py", "storage.py", "queuectl_lib", "queuectl_lib/times.py"])
@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_no_worker_starts_from_files_that_others_can_write(copy, tmp_path, place, mode):
    home = ["--home", str(tmp_path / "home")]
    copy.run("initdb", *home)
    path = os.path.join(copy.path, place) if place else copy.path
    os.chmod(path, mode)
    if mode == 0o775:
        if os.geteuid():
            pytest.skip("only root can give a file to another group")
        os.chown(path, -1, NOBODY)
    said = copy.run("worker", "start", "--drain", *home, code=3).stderr
    assert path in said and "chmod go-w it first" in said


@posix_only
@pytest.mark.parametrize("place", ["__pycache__", "queuectl_lib/store/__pycache__"])
def test_no_worker_starts_on_bytecode_that_others_can_write(copy, tmp_path, place):
    home = ["--home", str(tmp_path / "home")]
    copy.run("initdb", *home)
    folder = os.path.join(copy.path, place)
    both = [os.path.join(folder, name) for name in sorted(os.listdir(folder))[:2]]  # with and without docstrings
    assert ".opt-2." in both[0] and ".opt-2." not in both[1]
    for path in [folder, *both]:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        os.chmod(path, mode | 0o002)
        assert path in copy.run("worker", "start", "--drain", *home, code=3).stderr
        os.chmod(path, mode)
    copy.run("worker", "start", "--drain", *home)


@posix_only
def test_no_worker_starts_from_files_of_another_user_but_of_root(copy, tmp_path):
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(os.path.join(copy.path, "worker.py"), NOBODY, -1)
    said = copy.run("worker", "start", "--drain", "--home", tmp_path / "home", code=3).stderr
    assert "worker.py belongs to another user" in said


def test_compiled_code_that_was_cut_short_is_told_with_its_cure_and_not_written_by_us(copy, monkeypatch):
    copy.run("initdb")  # which writes it
    folder = os.path.join(copy.path, "queuectl_lib", "__pycache__")  # of the rooms that Python's own loader loads
    path = next(
        os.path.join(folder, name) for name in os.listdir(folder) if name.startswith("errors.") and ".opt-" not in name
    )
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)
    said = copy.run("list", code=3).stderr
    cure = re.search("cut short: `(.*)` removes them", said).group(1)
    assert "__pycache__" in cure
    bytecode.keep_only_whole(path)
    assert not os.path.exists(path)
    copy.run("list")


@posix_only
@pytest.mark.parametrize("folder", ["plain", "with a blank", "don't"])
def test_the_cure_of_compiled_code_that_was_cut_short_removes_it_and_nothing_else(tmp_path, folder):
    kept, gone = tmp_path / "with", tmp_path / folder / "queuectl_lib" / "__pycache__"
    kept.mkdir()
    gone.mkdir(parents=True)
    (gone / "states.pyc").write_bytes(b"")
    said = lacking.told(EOFError("marshal data too short"), str(tmp_path / folder))
    cure = re.search("cut short: `(.*)` removes them", said).group(1)
    assert ("'" in cure) == (folder != "plain" or " " in str(tmp_path))
    subprocess.run(["/bin/sh", "-c", cure], cwd=str(tmp_path), check=True)
    assert kept.is_dir() and gone.parent.is_dir() and not gone.exists()


# ---------------------------------------------------------------- Ctrl+C while it is loaded

INTERRUPTED = """
import runpy, sys
script, line = sys.argv[1], int(sys.argv[2])
def interrupt(frame, event, argument):
    if frame.f_code.co_filename == script and frame.f_lineno >= line:
        sys.settrace(None)
        raise KeyboardInterrupt
    return interrupt
sys.argv = [script, "--version"]
sys.settrace(interrupt)
runpy.run_path(script, run_name="__main__")
"""


def test_an_interrupt_behind_the_first_lines_of_the_door_is_quiet():
    """At each of its steps but `import os` and the one that sees to it."""
    steps = ast.parse(source("queuectl.py")).body
    first = next(
        place for place, step in enumerate(steps) if isinstance(step, ast.Import) and step.names[0].name == "os"
    )
    for step in steps[first + 2 :]:
        done = python("-c", INTERRUPTED, SCRIPT, str(step.lineno))
        assert (step.lineno, done.returncode, done.stdout, done.stderr) == (step.lineno, 130, b"", b"")
