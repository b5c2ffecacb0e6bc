"""Trust in code: nobody else could have written what is loaded, and no folder of ours lends Python a module."""

import contextlib
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES

import pytest
from helpers.bundle import ROOT, copy_bundle
from helpers.home import contents
from helpers.installed import Copy
from helpers.marks import posix_only
from helpers.neighbours import NEIGHBOUR, User, needs_root, share
from helpers.users import python_of_nobody
from helpers.waiting import wait_until

PLANTED = "import os\nos.write(2, b'PLANTED ')\nraise ImportError('planted')\n"
# Of the standard library: needed early and late, missing on this system, loaded by workers alone.
NAMES = ["os", "json", "argparse", "sqlite3", "socket", "multiprocessing", "subprocess", "msvcrt", "_winapi", "gettext"]


@pytest.fixture
def copy(tmp_path):
    copy = Copy(tmp_path / "copy")
    os.chmod(copy.path, 0o755)  # else nobody else can enter, and nothing in it need be looked at
    yield copy
    copy.clean_up()


@pytest.fixture
def unused(tmp_path):
    """One whose bytecode Python is still to keep."""
    copy = Copy(tmp_path / "unused", used=False)
    os.chmod(copy.path, 0o755)
    yield copy
    copy.clean_up()


@pytest.fixture
def alice():
    python = python_of_nobody()
    if not python:
        pytest.skip("no Python here that another user may run")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield User(folder, python)


# ---------------------------------------------------------------- where Python looks for its own


@pytest.mark.parametrize("flags", [[], ["-S"], ["-I"], ["-E", "-s"]], ids=" ".join)
def test_a_file_in_the_home_is_never_taken_for_a_module_of_python(copy, flags):
    for name in NAMES:
        with open(os.path.join(copy.path, name + ".py"), "w") as file:
            file.write(PLANTED)
    copy.python = [sys.executable] + flags
    job = copy.add("exit 0")
    for words in (["list"], ["worker", "start", "--drain"], ["check", "--min-free", "0"], ["status"], ["doctor"]):
        done = copy.run(*words)
        assert "PLANTED" not in done.stdout + done.stderr, words
    assert copy.state(job) == "completed"


def test_a_worker_in_the_background_and_its_replacement_find_what_is_ours_and_nothing_else(copy):
    for name in NAMES:
        with open(os.path.join(copy.path, name + ".py"), "w") as file:
            file.write(PLANTED)
    copy.run("worker", "start", "--background", "--count", "2")
    copy.wait_for_workers(2)
    job = copy.add("exit 0")
    copy.wait_for_state(job, "completed")
    copy.run("worker", "stop")


@pytest.mark.parametrize("name", ["storage", "worker"])
def test_a_module_of_others_with_a_name_of_ours_is_not_loaded(copy, tmp_path, name):
    """By PYTHONPATH or among the packages of the host, also in the processes of workers."""
    (tmp_path / "packages").mkdir(mode=0o700)
    (tmp_path / "packages" / (name + ".py")).write_text(PLANTED)
    job = copy.add("exit 0")
    copy.run("worker", "start", "--drain", env={"PYTHONPATH": str(tmp_path / "packages")})
    assert copy.state(job) == "completed"


def test_the_program_runs_as_a_module(copy):
    job = copy.add("exit 0")
    copy.python = [sys.executable]
    for words in (["-m", "queuectl", "list"], ["-c", "import queuectl, sys; sys.exit(queuectl.main(['list']))"]):
        done = subprocess.run(copy.python + words, cwd=copy.path, stdout=subprocess.PIPE, env=copy.environment())
        assert job.encode() in done.stdout, words


@posix_only
def test_the_program_runs_under_another_name(copy):
    job, link = copy.add("exit 0"), os.path.join(copy.path, "link to it")
    os.symlink("queuectl.py", link)
    assert job.encode() in subprocess.check_output([sys.executable, link, "list"], env=copy.environment())


# ---------------------------------------------------------------- what others could have written


def bytecode_of(copy, name):
    """What a call loads; that without docstrings is for workers."""
    return next(path for path in glob.glob(os.path.join(copy.path, name + ".*.pyc")) if ".opt-" not in path)


def loosened(copy):
    """Each kind of file and folder that is loaded from, once."""
    copy.run("initdb")
    for place in ("queuectl.py", "storage.py", "__pycache__", "queuectl_lib", "queuectl_lib/errors.py"):
        yield os.path.join(copy.path, place)
    yield os.path.join(copy.path, "queuectl_lib", "host", "trust.py")
    yield os.path.join(copy.path, "queuectl_lib", "store", "__pycache__")
    rooms = ["queuectl_lib/store/__pycache__/formats", "queuectl_lib/host/__pycache__/trust"]
    for name in ["__pycache__/storage"] + rooms:
        yield bytecode_of(copy, name)


@posix_only
def test_no_command_loads_what_others_can_write(copy):
    for path in loosened(copy):
        mode = os.stat(path).st_mode & 0o777
        os.chmod(path, mode | 0o002)
        for words in (["list"], ["add", "true"], ["worker", "start", "--drain"]):
            said = copy.run(*words, code=3).stderr
            assert said == "queuectl: error: %s can be written by other users: chmod go-w it first\n" % path
        os.chmod(path, mode)
    assert copy.run("list").stdout == ""


@needs_root
@pytest.mark.parametrize(
    "name", [".", "queuectl.py", "storage.py", "queuectl_lib", "queuectl_lib/__init__.py", "queuectl_lib/store"]
)
def test_code_that_a_list_of_further_users_lets_another_user_write_is_refused(copy, name):
    """The mask of the list shows as what the group may do; of root's group there is nobody else."""
    copy.run("initdb")
    path = os.path.join(copy.path, name)
    share(path)
    for words in (["list"], ["add", "true"], ["worker", "start", "--drain"]):
        assert " can be written by other users" in copy.run(*words, code=3).stderr


@posix_only
def test_the_rooms_that_came_before_the_finder_are_looked_at_by_it_too(copy):
    """The door does not ask who is in a group; and of these no later look is taken."""
    script = "import sys; sys.path.insert(0, %r); import queuectl; from queuectl_lib.host import loading; "
    script += "print([name for name in loading.Finder.way.known if name.endswith('.py')])"
    seen = subprocess.check_output(copy.python + ["-c", script % copy.path], env=copy.environment()).decode()
    for name in ("queuectl", "queuectl_lib/__init__", "queuectl_lib/errors", "queuectl_lib/host/__init__"):
        assert name + ".py'" in seen
    assert "host/trust.py'" in seen and "host/loading.py'" in seen and "host/bundle.py'" in seen


@posix_only
def test_what_one_command_alone_loads_is_looked_at_before_it_runs(copy):
    copy.run("initdb")  # which writes the bytecode
    room = os.path.join(copy.path, "queuectl_lib", "commands", "cron.py")
    for path in (room, bytecode_of(copy, "queuectl_lib/commands/__pycache__/cron")):
        os.chmod(path, 0o666)
        assert copy.run("cron", code=3).stderr.startswith("queuectl: error: %s can be written by" % path)
        os.chmod(path, 0o644)


@posix_only
def test_what_few_calls_load_is_looked_at_when_one_does(copy):
    """A database that is up to date asks for no schema; one that is to be made does."""
    copy.run("initdb")
    room = os.path.join(copy.path, "queuectl_lib", "store", "schema.py")
    for path in (room, bytecode_of(copy, "queuectl_lib/store/__pycache__/schema")):
        os.chmod(path, 0o666)
        copy.run("list")
        home = os.path.join(copy.path, "another")
        said = copy.run("--home", home, "initdb", code=3).stderr
        assert said.startswith("queuectl: error: %s can be written by" % path)
        assert not os.path.exists(os.path.join(home, "queuectl.db"))
        os.chmod(path, 0o644)
    copy.run("--home", home, "initdb")


@posix_only
@needs_root
def test_no_command_loads_what_belongs_to_another_user(copy):
    for path in loosened(copy):
        os.chown(path, NEIGHBOUR, -1)
        assert path in copy.run("list", code=3).stderr
        os.chown(path, 0, -1)
    copy.run("list")


@posix_only
@pytest.mark.parametrize("umask", [0o000, 0o002])
def test_what_python_caches_is_for_nobody_else_to_write_whatever_the_umask(unused, umask):
    before = os.umask(umask)
    try:
        job = unused.add("umask")
        unused.run("check", "--all", code=1)
        unused.run("worker", "start", "--drain")
        unused.run("worker", "start", "--background", "--drain")
    finally:
        os.umask(before)
    for folder, folders, names in os.walk(unused.path):
        for name in folders + names:
            with contextlib.suppress(FileNotFoundError):  # the log goes with the supervisor, which is about to end
                assert not os.stat(os.path.join(folder, name)).st_mode & 0o022, name
    assert glob.glob(os.path.join(unused.path, "queuectl_lib", "run", "__pycache__", "*.pyc"))
    assert unused.job(job)["history"][0]["stdout"].strip() == "%04o" % umask, "the job has that of its caller"


@posix_only
@needs_root
def test_a_program_whose_folder_others_could_swap_is_not_used(alice):
    shared = os.path.join(alice.folder, "shared")
    os.mkdir(shared)
    shutil.copytree(alice.app, os.path.join(shared, "app"))
    os.chmod(shared, 0o777)
    said = alice.run("--home", alice.home, "list", code=3, app=os.path.join(shared, "app"))
    assert "%s can be written by other users" % shared in said


# ---------------------------------------------------------------- root and the program of a user


@posix_only
@needs_root
def test_root_leaves_nothing_of_its_own_beside_the_program_of_a_user(alice):
    """Its caches would be in his way; nor does root run his program on what is not his."""
    copy_bundle(alice.home)
    for folder, folders, names in os.walk(alice.home):
        for name in folders + names:
            alice.own(os.path.join(folder, name))
    for words in (["list"], ["add", "true"], ["initdb"], ["check", "--all", "--min-free", "0"]):
        alice.as_root(*words, app=alice.home, code=1 if words[0] == "check" else 0)
        assert alice.owners() == {alice.uid}
    roots = os.path.join(alice.folder, "roots")
    os.mkdir(roots, 0o700)
    said = alice.as_root("--home", roots, "add", "true", app=alice.home, code=3)
    assert "queuectl.py belongs to another user" in said or "%s belongs to another user" % alice.home in said
    assert os.listdir(roots) == []


def test_the_tests_load_what_they_test():
    assert os.path.dirname(os.path.realpath(sys.modules["queuectl"].__file__)) == os.path.realpath(ROOT)


@posix_only
def test_a_folder_that_nobody_else_can_enter_now_is_looked_at_as_well(copy):
    """Somebody may be in it from before, or have linked what he could write to a place of his own."""
    os.chmod(copy.path, 0o700)
    os.chmod(os.path.join(copy.path, "queuectl_lib", "times.py"), 0o666)
    assert "times.py can be written by other users" in copy.run("add", "true", code=3).stderr


@posix_only
def test_a_room_that_lies_elsewhere_is_reached_by_no_way_that_others_can_change(copy, tmp_path):
    rooms = os.path.join(copy.path, "queuectl_lib", "jobs")
    (tmp_path / "shared").mkdir(mode=0o700)
    shutil.move(rooms, str(tmp_path / "shared" / "jobs"))
    os.symlink(str(tmp_path / "shared" / "jobs"), rooms)
    copy.run("list")
    os.chmod(str(tmp_path / "shared"), 0o777)
    assert "shared can be written by other users" in copy.run("list", code=3).stderr


SHADOWS = [
    "queuectl_lib/errors/__init__.py",
    "queuectl_lib/errors%s" % EXTENSION_SUFFIXES[0],
    "queuectl_lib/host/trust/__init__.py",
    "queuectl_lib.py",
    "queuectl_lib%s" % EXTENSION_SUFFIXES[0],
    "queuectl_lib/jobs/fields/__init__.py",
    "storage/__init__.py",
]


@pytest.mark.parametrize("name", SHADOWS)
def test_what_lies_beside_a_room_is_not_taken_for_it(copy, name):
    """Python itself would take a folder, or a library, before the file."""
    path = os.path.join(copy.path, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(PLANTED)
    done = copy.run("add", "exit 0")
    assert done.stderr == "" and copy.job(done.id)["state"] == "pending"


@pytest.mark.parametrize("room", ["commands/list", "errors", "host/trust", "host/loading", "host/bundle", "__init__"])
@pytest.mark.parametrize("left", [".pyc", EXTENSION_SUFFIXES[0], "/__init__.py"])
def test_where_a_room_is_missing_nothing_else_is_taken_for_it(copy, room, left):
    os.remove(os.path.join(copy.path, "queuectl_lib", room + ".py"))
    path = os.path.join(copy.path, "queuectl_lib", room + left)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(PLANTED)
    done = copy.run("list", code=3)
    assert "PLANTED" not in done.stderr and "copy queuectl.py" in done.stderr


def test_the_door_alone_takes_no_other_file_for_the_rooms(tmp_path):
    shutil.copy(os.path.join(ROOT, "queuectl.py"), str(tmp_path))
    (tmp_path / "queuectl_lib.py").write_text(PLANTED)
    done = subprocess.run([sys.executable, str(tmp_path / "queuectl.py"), "list"], stderr=subprocess.PIPE)
    assert done.returncode == 3 and b"PLANTED" not in done.stderr and b"is not beside queuectl.py" in done.stderr


@posix_only
@pytest.mark.parametrize("name", ["run/attempt.py", "run", "run/other.so", "lacking.py"])
def test_a_worker_is_not_replaced_while_others_can_write_what_it_would_load(copy, name):
    copy.run("worker", "start", "--background", "--count", "1")
    copy.wait_for_workers(1)
    path = os.path.join(copy.path, "queuectl_lib", name)
    if name.endswith(".so"):
        open(path, "w").close()
    os.chmod(path, 0o777)
    (worker,) = [one for one in copy.workers() if one["kind"] == "worker"]
    os.kill(worker["pid"], signal.SIGKILL)
    log = os.path.join(copy.path, "queuectl.db.d", "worker.log")
    said = "no worker can start now (%s can be written by other users: chmod go-w it first)" % path
    wait_until(lambda: said in contents(log), "the word on what is not to be trusted")
    os.chmod(path, 0o755)
    copy.wait_for_workers(1)


@needs_root
def test_code_that_another_group_can_write_is_refused_before_it_runs(copy):
    path = os.path.join(copy.path, "queuectl_lib", "host", "bundle.py")
    with open(path, "a") as file:
        file.write("\nprint('PLANTED')\n")
    os.chown(path, -1, 65534)
    os.chmod(path, 0o664)
    done = copy.run("list", code=3)
    assert done.stdout == "" and "can be written by other users" in done.stderr


@posix_only
def test_a_link_out_of_a_closed_folder_is_looked_at(copy, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    shutil.move(os.path.join(copy.path, "queuectl_lib"), str(shared / "queuectl_lib"))
    os.symlink(str(shared / "queuectl_lib"), os.path.join(copy.path, "queuectl_lib"))
    os.chmod(copy.path, 0o700)
    assert copy.run("add", "true").id
    os.chmod(str(shared / "queuectl_lib" / "times.py"), 0o666)
    assert "times.py can be written by other users" in copy.run("list", code=3).stderr
