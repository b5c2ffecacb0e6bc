"""One file: `make dist` builds queuectl.pyz, which does all that the bundle do, workers included."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from helpers.bundle import ROOT, sources
from helpers.home import Home
from helpers.marks import long, posix_only
from helpers.processes import end_process, runnable
from helpers.waiting import wait_until

import storage
from queuectl_lib.store import looking, roster

BUILDER = os.path.join(ROOT, ".ci", "dist.py")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The file as it is built, elsewhere than it is used."""
    path = str(tmp_path_factory.mktemp("dist") / "sub" / "queuectl.pyz")
    subprocess.run([sys.executable, BUILDER, path], check=True, stdout=subprocess.DEVNULL)
    return path


class OneFile(Home):
    """A home that holds nothing but the archive, called in a way of the test's choice."""

    script = None

    def command(self, *words):
        return self.python + [self.script] + [str(word) for word in words]


@pytest.fixture
def one(tmp_path, archive):
    one = OneFile(tmp_path / "one file \u00e9")
    os.mkdir(one.path, 0o700)
    one.script = os.path.join(one.path, "queuectl.pyz")
    shutil.copy(archive, one.script)
    yield one
    one.clean_up()


def test_the_archive_holds_the_three_files_and_says_their_version(one, archive):
    assert one.run("--version").stdout == "queuectl %s\n" % storage.VERSION
    with zipfile.ZipFile(archive) as file:
        rooms = set(sources()) - {"queuectl.py"}
        assert sorted(file.namelist()) == sorted(rooms | {name + "c" for name in rooms} | {"__main__.py"})
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}, "also without zlib"


def test_the_same_files_give_the_same_bytes(archive, tmp_path):
    again = str(tmp_path / "again.pyz")
    environment = dict(os.environ, TZ="Asia/Tokyo")
    done = subprocess.run([sys.executable, BUILDER, again], env=environment, stdout=subprocess.PIPE, check=True)
    assert b"queuectl %s" % storage.VERSION.encode("ascii") in done.stdout
    with open(archive, "rb") as first, open(again, "rb") as second:
        assert first.read() == second.read()


def test_what_python_compiled_is_in_the_file_and_read_from_it(archive):
    """Else each call compiles all that it needs, which took as long again as the call."""
    code = "import sys; sys.path.insert(0, %r); import storage\nfor name in sorted(sys.modules):\n    " % archive
    code += "print(getattr(sys.modules[name], '__file__', None) or '')"
    done = subprocess.run([sys.executable, "-I", "-c", code], stdout=subprocess.PIPE, check=True)
    ours = [name for name in done.stdout.decode().splitlines() if name.startswith(archive)]
    assert len(ours) > 10
    assert [name for name in ours if not name.endswith(".pyc")] == []


def test_jobs_run_from_one_file_whose_home_is_where_it_lies(one):
    job = one.add("echo hello", "--cwd", one.path)
    one.run("worker", "start", "--drain")
    assert one.job(job)["history"][0]["stdout"].split() == ["hello"]
    assert os.path.isfile(one.db)


@long
@posix_only
@pytest.mark.parametrize("flags", [[], ["-I", "-S"], ["-W", "error", "-X", "dev"]], ids=" ".join)
def test_one_file_can_be_called_by_a_relative_path_through_a_link_and_isolated(one, tmp_path, flags):
    """Workers start in another directory, from a path that must still mean the archive."""
    os.symlink(one.script, str(tmp_path / "link.pyz"))
    for script, cwd in (("queuectl.pyz", one.path), ("link.pyz", str(tmp_path))):
        words = [sys.executable] + flags + [script]
        options = {"cwd": cwd, "env": {"PATH": "/usr/bin:/bin"}, "stderr": subprocess.PIPE, "timeout": 60}
        subprocess.run(words + ["add", "--quiet", "true"], check=True, **options)
        done = subprocess.run(words + ["worker", "start", "--drain"], **options)
        assert done.returncode == 0, done.stderr
        assert b"Warning" not in done.stderr
    assert looking.counts(one.queue.database)["completed"] == 2


@posix_only
def test_one_file_is_a_program_by_itself(one, tmp_path):
    os.symlink(sys.executable, str(tmp_path / "python3"))
    environment = {"PATH": "%s:/usr/bin:/bin" % tmp_path}
    done = subprocess.run([one.script, "--version"], env=environment, stdout=subprocess.PIPE)
    assert done.stdout.decode() == "queuectl %s\n" % storage.VERSION


def test_workers_in_the_background_run_settings_and_replacements_from_one_file(one):
    one.run("worker", "start", "--background", "--count", "2")
    first = {member["pid"] for member in one.workers()}
    assert len(first) == 2
    job = one.add("exit 0")
    one.wait_for_state(job, "completed")
    one.run("config", "set", "max_retries", "0")
    one.run("config", "set", "timeout", "1h")
    end_process(min(first))
    wait_until(lambda: len({member["pid"] for member in one.workers()} | first) == 3, "a new worker in its place")
    failing = one.add("exit 3")
    one.wait_for_state(failing, "dead")
    one.run("worker", "stop")
    assert roster.members(one.queue.folder) == []


@posix_only
def test_the_lines_of_cron_name_the_one_file(one):
    lines = [line for line in one.run("cron").stdout.splitlines() if line and line[0] != "#"]
    assert all("/queuectl.pyz' " in line and "--home" not in line for line in lines)
    command = lines[1].split(None, 5)[5]
    done = subprocess.run(["env", "-i", "sh", "-c", command], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (done.returncode, done.stdout) == (0, b"")
    assert len(one.workers()) == 1


@long
def test_a_module_that_lies_beside_the_one_file_is_not_taken_for_its_own(one):
    for name in ("storage.py", "worker.py", "queuectl.py"):
        with open(os.path.join(one.path, name), "w") as file:
            file.write("raise SystemExit('the wrong one')\n")
    job = one.add("exit 0")
    one.run("worker", "start", "--drain")
    assert one.state(job) == "completed"


@long
@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13", "3.14"])
def test_one_file_runs_jobs_on_every_python(one, version):
    path = runnable(version, "import sqlite3")
    if not path:
        pytest.skip("no Python %s here" % version)
    one.python = [path]
    job = one.add("exit 0")
    one.run("worker", "start", "--background", "--drain")
    one.wait_for_state(job, "completed")
    one.script = "queuectl.pyz"  # which 3.8 keeps as it is, while a supervisor changes its directory
    job = one.run("add", "exit 0", cwd=one.path).id
    one.run("worker", "start", "--drain", cwd=one.path)
    assert one.state(job) == "completed"


@pytest.mark.parametrize("version", ["2.7", "3.6"])
def test_an_old_python_is_told_in_one_line_by_the_one_file_too(one, version):
    path = shutil.which("python" + version)
    if not path or subprocess.run([path, "-c", "pass"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no Python %s here" % version)
    one.python = [path]
    assert "this is Python %s, and 3.8 or newer is needed" % version in one.run("status", code=3).stderr
