"""The house: floors and walls of the code, what a room may hold, and what a call loads."""

import ast
import functools
import gc
import glob
import importlib
import os
import re
import subprocess
import sys

import pytest
from helpers import sparing
from helpers.house import DOORS, FLOORS, ROOMS, ROOT, TREES, floor_of, text_of

from queuectl_lib.host import loading

# What is larger than it should be, and why it may: this list only shrinks.
LARGE = {
    "worker.py": 635,  # supervisor and worker, each a screen of verbs
}
FUNCTION_LINES, CLASS_LINES, ROOM_LINES, DOOR_LINES = 45, 300, 300, 90


def each(names):
    """A law for each of *names*, held by one test: thousands of tests of a few microseconds cost ten seconds."""

    def of_all(law):
        def test():
            broken = {}
            for name in names:
                try:
                    law(name)
                except AssertionError as error:
                    broken[name] = str(error)
            assert broken == {}, law.__doc__

        return test

    return of_all


INSIDE = [name for name in ROOMS if name not in DOORS]
FILLED = [name for name in ROOMS if TREES[name].body]


def teardown_module():
    gc.freeze()  # millions of nodes, which pytest would look through for garbage


@functools.lru_cache(maxsize=None)
def nodes_of(name):
    """All nodes of a room: the laws ask for them again and again."""
    return tuple(ast.walk(TREES[name]))


@functools.lru_cache(maxsize=None)
def tree_of(name):
    """A file of ours by the grammar of Python 3.8."""
    return ast.parse(text_of(name), feature_version=(3, 8))


@functools.lru_cache(maxsize=None)
def functions_of(name):
    """The names of the functions of a room, but for methods."""
    methods_of = {id(f) for c in nodes_of(name) if isinstance(c, ast.ClassDef) for f in c.body}
    return frozenset(f.name for f in nodes_of(name) if isinstance(f, FUNCTIONS) and id(f) not in methods_of)


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def is_type_checking(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def running(node):
    """The nodes below *node* that run: not those that only a checker of types reads."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            for other in child.orelse:
                yield other
                yield from running(other)
            continue
        yield child
        yield from running(child)


@functools.lru_cache(maxsize=None)
def file_of(module):
    """The file of one of our modules, None for any other."""
    path = module.replace(".", "/")
    return next((one for one in (path + ".py", path + "/__init__.py") if one in ROOMS), None)


@functools.lru_cache(maxsize=None)
def imports(name):
    """(room, line) of each room that *name* imports when it runs."""
    found = []
    for node in running(TREES[name]):
        if isinstance(node, ast.Import):
            found += [(file_of(alias.name), node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "%s:%d: a relative import" % (name, node.lineno)
            for alias in node.names:
                found.append((file_of("%s.%s" % (node.module, alias.name)) or file_of(node.module), node.lineno))
    return [(room, line) for room, line in found if room]


# ---------------------------------------------------------------- floors


@each(ROOMS)
def test_a_room_opens_no_door_that_it_should_not(name):
    up = ["line %d: %s" % (line, room) for room, line in imports(name) if floor_of(room) > floor_of(name)]
    assert up == []


def test_the_rooms_stand_in_one_line():
    below = {name: sorted({room for room, _ in imports(name)} - {name}) for name in ROOMS}
    done, path = set(), []

    def visit(name):
        assert name not in path, "a circle: %s" % " -> ".join(path[path.index(name) :] + [name])
        if name not in done:
            path.append(name)
            for room in below[name]:
                visit(room)
            path.pop()
            done.add(name)

    for name in ROOMS:
        visit(name)


@each(ROOMS)
def test_nothing_is_imported_by_other_means(name):
    """By a name that is made, or through the folder, an import could go anywhere unseen."""
    calls = [node.func for node in nodes_of(name) if isinstance(node, ast.Call)]
    names = [getattr(one, "id", getattr(one, "attr", "")) for one in calls]
    allowed = ["__import__"] if name == "queuectl_lib/commands/frame.py" else []  # the room of a command, by the table
    assert [one for one in names if one in ("import_module", "__import__", "exec", "eval")] == allowed
    known = {"VERSION", "BUNDLE", "refuse_other_version", "__file__"}
    attributes = [node for node in nodes_of(name) if isinstance(node, ast.Attribute)]
    assert {one.attr for one in attributes if getattr(one.value, "id", "") == "queuectl_lib"} <= known
    for node in TREES[name].body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "TYPE_CHECKING":
            assert isinstance(node.value, ast.Constant) and node.value.value is False


@each(FILLED)
def test_a_room_stands_on_one_floor(name):
    assert sum(name.startswith(place) for places in FLOORS for place in places) == 1


@each([name for name in INSIDE if "/store/" in name or "/run/" in name])
def test_the_wings_below_a_door_do_not_open_it(name):
    """They are handed a queue; only a checker of types reads where it comes from."""
    assert [(room, line) for room, line in imports(name) if room in DOORS] == []


@each([name for name in INSIDE if name.endswith("/__init__.py")])
def test_no_folder_imports_anything(name):
    assert [node.lineno for node in nodes_of(name) if isinstance(node, (ast.Import, ast.ImportFrom))] == []


STANDARD = {
    *(
        "__future__",
        "_frozen_importlib",
        "_frozen_importlib_external",
        "_thread",
        "_sha2",
        "_sha256",
        "_signal",
        "_socket",
        "argparse",
        "ast",
        "bisect",
        "calendar",
        "codecs",
    ),
    *("collections", "contextlib", "ctypes"),
    *(
        "datetime",
        "difflib",
        "errno",
        "fcntl",
        "functools",
        "gc",
        "grp",
        "hashlib",
        "heapq",
        "importlib",
        "io",
        "itertools",
        "json",
        "marshal",
        "math",
        "msvcrt",
    ),
    *("multiprocessing", "os", "pickle", "pwd", "py_compile", "re", "select", "shutil", "signal", "socket", "sqlite3"),
    *("resource", "stat", "struct", "subprocess", "sys", "tempfile", "threading", "time", "traceback", "types"),
    *("shlex", "termios", "typing", "unicodedata", "warnings", "zoneinfo"),
}


@each(ROOMS)
def test_only_the_standard_library_is_imported(name):
    found = set()
    for node in nodes_of(name):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    assert found - STANDARD - {"queuectl_lib", "storage", "worker"} == set()
    if hasattr(sys, "stdlib_module_names"):
        of_some = {"_sha2", "_sha256"}  # the one since 3.12, the other before
        assert STANDARD - set(sys.stdlib_module_names) - of_some == set()


def test_there_is_no_fourth_module():
    beside = {name for name in os.listdir(ROOT) if name.endswith(".py")}
    assert beside == set(DOORS)
    allowed = {"queuectl_lib", "tests", "docs", "dist"}
    folders = {name for name in os.listdir(ROOT) if os.path.isdir(os.path.join(ROOT, name)) and name[0] != "."}
    assert folders - allowed - {"__pycache__"} == set()


def test_nothing_stands_at_the_top_but_what_belongs_there():
    """A file that a test or a hand has left is taken along by the next `git add`."""
    try:
        listed = subprocess.run(
            ["git", "-C", ROOT, "ls-files"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60
        )
    except OSError:
        pytest.skip("no git here")
    if listed.returncode:
        pytest.skip("not a checkout of its own")
    top = {line.split("/")[0] for line in listed.stdout.decode().splitlines()}
    files = {"config.json", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore", ".gitattributes"}
    assert top - files - set(DOORS) - {".ci", "queuectl_lib", "tests", "docs"} == set()


# ---------------------------------------------------------------- what may stand where

SQL = re.compile(r"\b(SELECT .* FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|PRAGMA|BEGIN IMMEDIATE)\b")


@functools.lru_cache(maxsize=None)
def strings(name):
    docs = {id(node.value) for node in nodes_of(name) if isinstance(node, ast.Expr)}
    nodes = nodes_of(name)
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in docs]


# What a person may be told to type is no statement of ours.
SAID = {"`PRAGMA quick_check` in sqlite3 takes the time it needs"}


@each([name for name in ROOMS if name != "storage.py" and "/store/" not in name])
def test_sql_is_spoken_in_the_storage_room_only(name):
    assert [text for text in strings(name) if SQL.search(text) and text not in SAID] == []


@each([name for name in ROOMS if name != "storage.py" and "/store/" not in name])
def test_nobody_else_has_the_means_to_speak_sql(name):
    attributes = {node.attr for node in nodes_of(name) if isinstance(node, ast.Attribute)}
    assert attributes & {"execute", "executemany", "executescript", "cursor", "connect", "Connection"} == set()
    nodes = nodes_of(name)
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert "sqlite3" not in modules or name == "queuectl_lib/doctor/probes.py", "doctor tells which version it is"


def test_the_pattern_of_sql_finds_what_it_looks_for():
    assert any(SQL.search(text) for text in strings("storage.py"))


def test_one_place_opens_a_connection():
    """But for the copy of a backup, whose other side is no queue yet."""
    calls = {}
    for name in ROOMS:
        attributes = [node for node in nodes_of(name) if isinstance(node, ast.Attribute)]
        count = sum((getattr(node.value, "id", ""), node.attr) == ("sqlite3", "connect") for node in attributes)
        calls.update({name: count} if count else {})
    assert calls == {"queuectl_lib/store/opening.py": 1, "queuectl_lib/store/schema.py": 1}


@each([name for name in ROOMS if "/host/" not in name])
def test_systems_are_asked_for_in_host_only(name):
    attributes = [node for node in nodes_of(name) if isinstance(node, ast.Attribute)]
    assert [node.lineno for node in attributes if node.attr == "platform"] == []
    assert [text for text in strings(name) if text in ("win32", "darwin", "nt", "linux", "posix", "cygwin")] == []
    asking = {"uname", "getwindowsversion"}
    assert [one.lineno for one in attributes if one.attr in asking] == []
    assert [one.lineno for one in attributes if (getattr(one.value, "id", ""), one.attr) == ("os", "name")] == []
    nodes = nodes_of(name)
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert modules & {"fcntl", "msvcrt", "ctypes", "grp", "pwd", "winreg", "platform"} == set()
    assert [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module in ("sys", "os")] == []


@each([name for name in ROOMS if "/commands/" not in name and name != "queuectl.py"])
def test_only_the_front_end_prints(name):
    calls = [node for node in nodes_of(name) if isinstance(node, ast.Call)]
    assert [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"] == []
    texts = [node for node in nodes_of(name) if isinstance(node, ast.Attribute)]
    assert [t.lineno for t in texts if t.attr in ("stdout", "stderr") and getattr(t.value, "id", "") == "sys"] == []


@each(FILLED)
def test_a_room_says_what_it_is_in_its_first_sentence(name):
    text = ast.get_docstring(TREES[name])
    assert text, "no docstring"
    first = text.split("\n")[0]
    assert 20 <= len(first) <= 117 and first[-1] in ".:", first


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]


def lines_of(node):
    return node.end_lineno - node.lineno + 1


@each(ROOMS)
def test_functions_classes_and_rooms_stay_small(name):
    long = ["%s, %d lines" % (f.name, lines_of(f)) for f in functions(TREES[name]) if lines_of(f) > FUNCTION_LINES]
    assert long == []
    wide = ["%s: %d" % (f.name, len(f.args.args)) for f in functions(TREES[name]) if len(f.args.args) > 7]
    assert [one for one in wide if not one.startswith("__init__")] == []
    classes = [node for node in nodes_of(name) if isinstance(node, ast.ClassDef)]
    assert [c.name for c in classes if lines_of(c) > CLASS_LINES] == []
    size = text_of(name).count("\n")
    assert size <= LARGE.get(name, ROOM_LINES), "%d lines: where is the seam?" % size
    assert set(LARGE) <= set(DOORS), "only a door may be large"
    assert size > ROOM_LINES or name not in LARGE, "it needs no excuse any more"


def test_no_statement_can_set_any_state():
    """Every UPDATE of a state names the states that it leaves and enters, and they are moves of the machine."""
    sys.path.insert(0, ROOT)
    import storage
    from queuectl_lib.jobs import states

    rooms = [name[:-3].replace("/", ".") for name in ROOMS if "/store/" in name and TREES[name].body]
    found = {}
    for holder in [storage, storage.Queue] + [importlib.import_module(name) for name in rooms]:
        texts = {name: text for name, text in vars(holder).items() if isinstance(text, str)}
        found.update({name: text for name, text in texts.items() if text.startswith("UPDATE jobs SET state")})
    assert len(found) >= 6
    moves = re.compile(r"(?is)\bUPDATE jobs\b.*\bSET\b((?!\bWHERE\b).)*\bstate\s*=")
    texts = [text for name in ROOMS for text in strings(name) if moves.search(text)]
    assert [text for text in texts if not any(one.startswith(text.split("%")[0]) for one in found.values())] == []
    for name, text in found.items():
        enters = re.findall(r"SET state = '(\w+)'", text) or ["failed", "dead", "cancelled"]
        where = text[text.index(" WHERE ") :]
        leaves = re.findall(r"state = '(\w+)'", where)
        for several in re.findall(r"state IN \(([^)]*)\)", where):
            leaves += re.findall(r"\w+", several)
        if "lane = 0" in where:
            leaves += states.WAITING
        assert leaves, "%s names no state that it leaves" % name
        for before in leaves:
            assert set(enters) & set(states.MOVES[before]), "%s: %s to %s is no move" % (name, before, enters)


@each(ROOMS)
def test_functions_of_another_room_are_called_through_it(name):
    """So the reader sees where it stands, and what a test replaces there is replaced everywhere."""
    wrong = []
    for node in running(TREES[name]):
        if isinstance(node, ast.ImportFrom) and file_of(node.module) and name != "queuectl_lib/host/tree.py":
            lower = functions_of(file_of(node.module)) | {"*"}
            wrong += ["line %d: %s" % (node.lineno, alias.name) for alias in node.names if alias.name in lower]
    assert wrong == []


def test_a_test_replaces_a_name_only_where_it_is_at_home():
    """What a module has only borrowed can be replaced there to no effect, and the test goes green for nothing."""
    known, wrong, borrowed = {}, [], set()
    for name in ROOMS:
        for node in running(TREES[name]):
            if isinstance(node, ast.ImportFrom) and file_of(node.module):
                borrowed |= {(file_of(node.module), alias.name) for alias in node.names}
    for name in ROOMS:
        own = set()
        for node in TREES[name].body:
            own |= {getattr(node, "name", "")}
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            own |= {one.id for target in targets if target for one in ast.walk(target) if isinstance(one, ast.Name)}
        known[name] = own
    for path in glob.glob(os.path.join(ROOT, "tests", "**", "*.py"), recursive=True):
        file = os.path.relpath(path, ROOT)
        if "setattr" not in text_of(file):
            continue
        ours = {}
        nodes = list(ast.walk(tree_of(file)))
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    room = file_of("%s.%s" % (node.module, alias.name))
                    if room:
                        ours[alias.asname or alias.name] = room
            elif isinstance(node, ast.Import):
                ours.update({a.asname or a.name: file_of(a.name) for a in node.names if file_of(a.name)})
        for node in nodes:
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "setattr" and len(node.args) > 1:
                target, name = node.args[:2]
                room = ours.get(getattr(target, "id", None))
                if room and isinstance(name, ast.Constant) and name.value not in known[room]:
                    wrong.append("%s:%d: %s is not at home in %s" % (path, node.lineno, name.value, room))
                if room and isinstance(name, ast.Constant) and (room, name.value) in borrowed:
                    wrong.append("%s:%d: others have %s from %s by name" % (path, node.lineno, name.value, room))
                if isinstance(target, ast.Constant):
                    wrong.append("%s:%d: a target in words cannot be followed" % (path, node.lineno))
    assert wrong == []


# ---------------------------------------------------------------- the doors

METHODS_OF_QUEUE = ["enqueue", "enqueue_each", "exchange", "adopt", "forgive_clock", "cancel", "requeue"]


def methods(tree, name):
    found = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return [f.name for f in found.body if isinstance(f, ast.FunctionDef) and not f.name.startswith("_")]


def test_the_doors_have_the_names_that_they_are_known_by():
    assert methods(TREES["storage.py"], "Queue") == METHODS_OF_QUEUE, "a feature speaks to a room of the store instead"
    of_worker = {node.name for node in TREES["worker.py"].body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    assert of_worker >= {"Supervisor", "Worker", "serve", "work"}


def test_the_front_door_is_small():
    assert text_of("queuectl.py").count("\n") <= DOOR_LINES
    assert len(text_of("queuectl.py")) <= 4096


def test_all_doors_and_the_folder_are_of_one_version():
    found = {name: re.search(r'^VERSION = "(.*)"$', text_of(name), re.M).group(1) for name in DOORS}
    found["queuectl_lib"] = re.search(r'^VERSION = "(.*)"$', text_of("queuectl_lib/__init__.py"), re.M).group(1)
    assert len(set(found.values())) == 1, found


TESTS = sorted(glob.glob(os.path.join(ROOT, "tests", "**", "*.py"), recursive=True))


@each([*ROOMS, ".ci/dist.py"] + [os.path.relpath(path, ROOT) for path in TESTS])
def test_a_file_parses_by_the_grammar_of_python_3_8(name):
    tree_of(name)


# Modules, and names of os, signal, socket and time, that are not there on Windows.
NOT_ON_WINDOWS = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty", "AF_UNIX", "tzset", "wait4"}
NOT_ON_WINDOWS |= {"geteuid", "getuid", "getgid", "getpgid", "fork", "killpg", "mkfifo", "setsid", "sched_getaffinity"}
NOT_ON_WINDOWS |= {"SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGUSR1"}


def at_loading(node):
    """The nodes below *node* that run when its file is loaded: but not where the system is asked first."""
    if isinstance(node, (ast.BoolOp, ast.If, ast.IfExp)):
        asked = ast.dump(node.values[0] if isinstance(node, ast.BoolOp) else node.test)
        if any(word in asked for word in ("WINDOWS", "platform", "'nt'", "hasattr")):
            return
    for field, value in ast.iter_fields(node):
        if field == "body" and isinstance(node, (ast.FunctionDef, ast.Lambda)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                yield from at_loading(child)


@each([os.path.relpath(path, ROOT) for path in TESTS if "instruments" not in path])
def test_a_test_can_be_loaded_on_windows(name):
    """Even where all of it is skipped there: a file that cannot be loaded stops the run of all others."""
    found = set()
    for node in at_loading(tree_of(name)):
        names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else {getattr(node, "attr", "")}
        found |= {"%d: %s" % (node.lineno, one) for one in names & NOT_ON_WINDOWS}
    assert found == set()


def test_annotations_are_in_place_everywhere_but_in_the_door():
    """The door alone must be read by Python 2.7, so types stand in comments there."""
    comments = re.compile(r"#\s*type:(?!\s*ignore)")
    assert [name for name in INSIDE + ["storage.py", "worker.py"] if comments.search(text_of(name))] == []
    tree = TREES["queuectl.py"]
    assert not [f.name for f in functions(tree) if f.returns or [a for a in f.args.args if a.annotation]]


# ---------------------------------------------------------------- the commands


def test_the_table_of_commands_and_what_the_rooms_do_are_the_same():
    sys.path.insert(0, ROOT)
    from queuectl_lib.commands import COMMANDS, frame

    for name, (room, _) in COMMANDS.items():
        assert frame.load(name).run.__module__ == "queuectl_lib.commands." + room
    assert set(frame.LOADED) == set(COMMANDS), "what is no row of the table cannot be called"
    wing = {name.split("/")[-1][:-3] for name in ROOMS if "/commands/" in name}
    beside = {"__init__", "main", "frame", "terminal", "tables", "untranslated", "choosing", "layout", "cells"}
    beside |= {"attempts", "logs_words", "waiting_for", "starting_words", "output_file"}
    beside |= {"acting", "keys", "screen", "top_json", "top_lines", "top_plain", "top_tables", "top_view", "watching"}
    beside |= {"arguments", "examples", "helping", "hints", "words"}
    beside |= {"anatomy", "completion_table", "completion_posix", "completion_others", "manual_texts"}
    beside |= {"asked_launchers", "export_files", "misnamed", "named_database", "no_json", "option_words", "retyped"}
    assert {room for room, _ in COMMANDS.values()} == wing - beside


def test_every_field_of_settings_is_a_row_of_the_table():
    sys.path.insert(0, ROOT)
    from queuectl_lib import settings

    assert list(settings.Settings.__annotations__) == [row.key for row in settings.SETTINGS]


def test_every_field_that_can_be_given_is_checked_and_stored():
    """One with an option but no check would be taken and forgotten."""
    sys.path.insert(0, ROOT)
    from queuectl_lib.jobs import fields

    given = [field for field in fields.FIELDS if field.option is not None]
    assert [field.key for field in given if not field.check and field.key not in fields.BY_HAND] == []
    columns = fields.INSERT_COLUMNS.split(", ")
    assert [field.key for field in given if field.column and field.column not in columns] == []


# ---------------------------------------------------------------- what is loaded

LOADED = """
import sys
sys.path.insert(0, %r)
import queuectl
code = queuectl.main(sys.argv[1:])
sys.stderr.write("\\n".join(["code=%%d" %% code] + sorted(sys.modules)))
"""
ALWAYS = "contexts errors values times settings commands.main commands.frame commands.terminal commands.untranslated"
ALWAYS += " host.bundle host.loading host.files host.locks"
ALWAYS += " host.interrupts host.places host.trust host.system host.failpoints host.bell"
ALWAYS += " jobs.ids jobs.states"
ALWAYS += " store.database store.folder store.index_room store.opening store.formats"
# The rooms that a call of each command loads beside these. A room costs each call 0.05 to 0.1 ms: who lengthens a
# list says why in the same commit.
WAITING = "store.waiting"  # where a job waits, which may be for a queue or for a lock
MORE = {
    "add true": "commands.add jobs.checks jobs.fields jobs.making jobs.policy store.finding",
    "list": "commands.choosing commands.list commands.tables jobs.checks jobs.fields jobs.policy store.showing "
    + WAITING,
    # What comes next, where a job waits: of which queues, and which (reports.overview, store.at_hand).
    "status": "commands.status store.looking store.roster reports.overview store.at_hand store.open_queues"
    " store.serving " + WAITING,
    "check": "commands.check reports.problems store.health store.looking store.roster store.open_queues store.serving",
}


@pytest.mark.parametrize("words", sorted(MORE))
def test_a_frequent_command_loads_exactly_the_rooms_that_it_needs(tmp_path, words):
    home = ["--home", str(tmp_path)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("QUEUECTL_", "PYTHON"))}

    def call(*more):
        command = [sys.executable, "-I", "-S", "-c", LOADED % ROOT] + home + list(more)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, timeout=60)
        return done.stderr.decode().split()

    call("initdb")
    if words != "check":  # which would have something to say
        call("add", "true")
    loaded = call(*words.split())
    assert "code=0" in loaded, loaded
    packages = {"queuectl_lib." + wing for wing in ("commands", "host", "jobs", "store", "reports", "run", "doctor")}
    ours = {name for name in loaded if name.startswith("queuectl_lib.")} - packages
    expected = {"queuectl_lib." + name for name in (ALWAYS + " " + MORE[words]).split()}
    assert sorted(ours) == sorted(expected)
    assert "storage" in loaded and "worker" not in loaded
    assert len(ours) <= 34  # of `list`, where a job waits: it says why
    heavy = {"signal", "multiprocessing", "subprocess", "typing", "socket", "difflib", "tempfile", "asyncio"}
    assert set(loaded) & heavy == set()
    assert "contextlib" not in loaded or words == "check", "contexts.py is there to spare it"


# What is imported later all the same: by callers alone, or by a supervisor before anybody can see that it is there.
LATER = {
    ("queuectl_lib/host/bundle.py", "queuectl_lib/host/trust.py"),
    ("queuectl_lib/host/files.py", "queuectl_lib/host/trust.py"),
    ("storage.py", "queuectl_lib/jobs/fields.py"),
    ("storage.py", "queuectl_lib/jobs/ids.py"),
    ("storage.py", "queuectl_lib/store/beside.py"),
    ("storage.py", "queuectl_lib/store/bulk.py"),
    ("storage.py", "queuectl_lib/store/cancelling.py"),
    ("storage.py", "queuectl_lib/store/finding.py"),
    ("storage.py", "queuectl_lib/store/giving_way.py"),
    ("storage.py", "queuectl_lib/store/requeuing.py"),
    ("worker.py", "queuectl_lib/run/chores.py"),
    ("worker.py", "queuectl_lib/run/places.py"),
    ("worker.py", "queuectl_lib/run/replacing.py"),
    ("worker.py", "queuectl_lib/run/starting.py"),
    ("worker.py", "queuectl_lib/run/wording.py"),
}


def imports_at_once(name):
    """The rooms that are loaded together with *name*."""

    def at_once(node):
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, (ast.FunctionDef, ast.Lambda)) and not is_type_checking(child):
                yield child
                yield from at_once(child)

    lines = {node.lineno for node in at_once(TREES[name]) if isinstance(node, (ast.Import, ast.ImportFrom))}
    return {room for room, line in imports(name) if line in lines}


def test_whatever_a_worker_can_come_to_is_loaded_with_it():
    """Also what it comes to seldom: an adoption, a stop, a clock that goes back."""
    loaded, todo = set(), ["worker.py", "queuectl_lib/run/chores.py", "queuectl_lib/run/starting.py"]
    while todo:
        name = todo.pop()
        if name not in loaded:
            loaded.add(name)
            todo += imports_at_once(name)
    with_worker = set()
    todo = ["worker.py"]
    while todo:
        name = todo.pop()
        if name not in with_worker:
            with_worker.add(name)
            todo += imports_at_once(name)
    late = {(name, room) for name in loaded for room, _ in imports(name) if room not in with_worker}
    noted = {"queuectl_lib/%s.py" % name.replace(".", "/") for name in loading.LATE.split()}
    assert {(name, room) for name, room in late if name in with_worker and room not in noted} == LATER
    assert noted & with_worker == set(), "loaded at once"
    assert {room for name in noted for room, _ in imports(name)} <= with_worker | noted, "these load what is not noted"


# What is large, and of no use to a worker: each of them has it in memory all the time that it waits.
FOR_CALLS = "host.trust host.bytecode jobs.fields jobs.ids jobs.checks store.finding store.showing store.roster"
FOR_CALLS += " store.dependencies"


def test_a_worker_loads_nothing_that_only_calls_need():
    script = "import sys; sys.path.insert(0, sys.argv[1]); import worker; print('\\n'.join(sys.modules))"
    words = [sys.executable, "-I", "-S", "-c", script, ROOT]
    loaded = set(subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode().split())
    assert {"worker", "queuectl_lib.store.claiming"} <= loaded
    ours = {"queuectl_lib." + name for name in FOR_CALLS.split()}
    assert loaded & (ours | {"argparse", "shlex", "binascii", "zlib", "difflib", "tempfile"}) == set()


AFTERWARDS = """
import os, sys
sys.path.insert(0, sys.argv[1])
import storage, worker
from queuectl_lib.store import presence
began = set()

kind, class_ = sys.argv[2], getattr(worker, sys.argv[2])
begin = class_.settle_in if kind == "Worker" else class_.boot

def begins(self):
    begin(self)
    began.update(sys.modules)

setattr(class_, begin.__name__, begins)
from queuectl_lib.settings import ConfigFile
from queuectl_lib.run.options import Options
queue, config = storage.Queue(sys.argv[3]), ConfigFile(os.path.dirname(sys.argv[3]))
if kind == "Worker":
    presence.Presence(queue.folder, "s", {})
    worker.Worker(queue, "w-1", "s", Options(1, True), config).run()
else:
    worker.serve(queue, "s", Options(1, True), config)
ours = ("queuectl_lib", "storage", "worker")
from queuectl_lib.host.loading import LATE  # of which it takes no other files than those that it began with
late = {"queuectl_lib." + name for name in LATE.split()}
print(sorted(name for name in set(sys.modules) - began - late if name.split(".")[0] in ours))
"""


@pytest.mark.parametrize("kind", ["Worker", "Supervisor"])
def test_a_process_that_outlives_its_call_loads_nothing_of_ours_once_it_has_begun(tmp_path, kind):
    """Its files may be replaced meanwhile. With jobs that succeed, fail, time out and leave something behind."""
    home = ["--home", str(tmp_path)]
    os.chmod(str(tmp_path), 0o700)
    script = [sys.executable, "-S", os.path.join(ROOT, "queuectl.py")] + home
    for job in (
        ["exit 0"],
        ["exit 3", "--max-retries", "1"],
        ["--timeout", "0.2", "--max-retries", "0", "--", sys.executable, "-S", "-c", "import time; time.sleep(9)"],
        ["sleep 0.5 & exit 1", "--max-retries", "1"],
        ["--", sys.executable, "-S", "-c", "print('x' * 100000)"],
        ["/nonexistent", "--max-retries", "0", "--cwd", "/nonexistent"],
        ["echo $$", "--unique", "key"],
    ):
        subprocess.run(script + ["add", "--quiet"] + job, check=True, timeout=60)
    subprocess.run(script + ["config", "set", "backoff_base", "0"], check=True, timeout=60)
    words = [sys.executable, "-S", "-c", AFTERWARDS, ROOT, kind, str(tmp_path / "queuectl.db")]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().strip() == "[]", done.stderr.decode()
    shown = subprocess.run(script + ["status", "--json"], stdout=subprocess.PIPE, check=True, timeout=60).stdout
    assert b'"completed": 3' in shown and b'"dead": 4' in shown, shown


def test_each_test_of_which_some_parameters_are_spared_exists():
    for file, tests in sparing.KEPT.items():
        assert [test for test in tests if "\ndef %s(" % test not in text_of("tests/" + file)] == [], file
