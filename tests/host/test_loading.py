"""How a call loads a room: the bytecode at one go where it is right, and by Python's own way where it is not."""

import importlib.util
import os
import py_compile
import subprocess
import sys

import pytest
from helpers.bundle import copy_bundle

from queuectl_lib.host import loading

TEXT = "VALUE = %d\n\n\ndef fails():\n    return 1 / 0\n"


@pytest.fixture
def room(tmp_path):
    path = tmp_path / "room.py"
    path.write_text(TEXT % 1)
    py_compile.compile(str(path), doraise=True)
    return path


@pytest.fixture(autouse=True)
def slow_ways(monkeypatch):
    """The sources that were left to Python."""
    left = []
    ours = loading.SourceFileLoader.get_code

    def counted(self, name):
        if isinstance(self, loading.Loader):
            left.append(self.path)
        return ours(self, name)

    monkeypatch.setattr(loading.SourceFileLoader, "get_code", counted)
    return left


def loaded(path, kind=loading.Loader):
    names = {}
    exec(kind("room", str(path)).get_code("room"), names)
    return names


def cache(path):
    return importlib.util.cache_from_source(str(path))


def test_bytecode_that_goes_with_its_source_is_taken_at_one_go(room, slow_ways):
    assert loaded(room)["VALUE"] == 1
    assert slow_ways == []


def changed_text(path):
    path.write_text(TEXT % 22)


def changed_time(path):
    path.write_text(TEXT % 2)
    os.utime(path, (1, 1))


def no_bytecode(path):
    os.unlink(cache(path))


def empty_bytecode(path):
    open(cache(path), "w").close()


def of_another_python(path):
    with open(cache(path), "r+b") as file:
        file.write(b"\0\0\r\n")
    path.write_text(TEXT % 2)


def told_by_a_hash(path):
    path.write_text(TEXT % 2)
    py_compile.compile(str(path), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


@pytest.mark.parametrize(
    "change, value",
    [
        *((changed_text, 22), (changed_time, 2), (no_bytecode, 1), (empty_bytecode, 1)),
        *((of_another_python, 2), (told_by_a_hash, 2)),
    ],
)
def test_any_other_is_left_to_python(room, slow_ways, change, value):
    change(room)
    assert loaded(room)["VALUE"] == value
    assert slow_ways == [str(room)]


def test_what_is_compiled_anew_is_kept(room, slow_ways, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    changed_text(room)
    loaded(room)
    assert loaded(room)["VALUE"] == 22
    assert len(slow_ways) == 1


@pytest.mark.parametrize("size", [1, 12, 16, 17, 40])
def test_bytecode_that_a_full_disk_has_cut_short_does_no_harm(room, size):
    with open(cache(room), "r+b") as file:
        file.truncate(size)
    assert loaded(room)["VALUE"] == 1


def test_bytecode_kept_elsewhere_is_found_from_any_directory(tmp_path):
    """By PYTHONPYCACHEPREFIX; Python itself stumbles on a name without a folder in /, where a worker is."""
    copy = tmp_path / "copy"
    os.makedirs(str(copy), 0o700)
    copy_bundle(str(copy))
    words = [sys.executable, str(copy / "queuectl.py"), "--home", str(copy)]
    settings = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "QUEUECTL_"))}
    settings["PYTHONPYCACHEPREFIX"] = str(tmp_path / "kept")
    for more in (["add", "exit 0"], ["worker", "start", "--drain"], ["wait"]):
        done = subprocess.run(words + more, cwd="/", env=settings, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert os.listdir(str(tmp_path / "kept"))


def test_a_copy_tells_its_own_place(room, tmp_path, slow_ways):
    copy = tmp_path / "copy"
    os.makedirs(str(copy / "__pycache__"))
    os.rename(str(room), str(copy / "room.py"))
    os.rename(cache(room), cache(copy / "room.py"))
    code = loaded(copy / "room.py")["fails"].__code__
    assert code.co_filename == str(copy / "room.py")
    assert slow_ways == []


def test_a_worker_takes_what_it_can_get(room, slow_ways):
    """First what was written for workers; that may be of an older source."""
    other = room.parent / "other.py"
    other.write_text(TEXT % 3)
    os.utime(str(other), (os.stat(str(room)).st_mtime,) * 2)
    lean = loading.lean(cache(room))
    py_compile.compile(str(other), lean, doraise=True)
    assert loaded(room, loading.LeanLoader)["VALUE"] == 3
    os.utime(str(room), (5, 5))
    py_compile.compile(str(room), doraise=True)
    assert loaded(room, loading.LeanLoader)["VALUE"] == 1
    assert slow_ways == []


def test_the_bytecode_is_where_python_keeps_it(room, monkeypatch, tmp_path):
    assert loading.cache_of(str(room)) == cache(room)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "elsewhere"))
    assert loading.cache_of(str(room)) == cache(room)


def test_a_module_is_what_python_would_have_made_of_it():
    """Its spec: the traceback, pickle and `-m` ask for these."""
    import queuectl_lib.store.folder as made

    path = os.path.join(loading.LIBRARY, "queuectl_lib", "store", "folder.py")
    theirs = importlib.util.spec_from_file_location("queuectl_lib.store.folder", path)
    ours = loading.spec_of("queuectl_lib.store.folder", loading.Loader("queuectl_lib.store.folder", path), None)
    for name in ("name", "origin", "cached", "has_location", "parent", "submodule_search_locations"):
        assert getattr(ours, name) == getattr(theirs, name), name
    place = os.path.dirname(path)
    loader = loading.Loader("queuectl_lib.store", place + "/__init__.py")
    package = loading.spec_of("queuectl_lib.store", loader, [place])
    assert package.submodule_search_locations == [place] and package.parent == "queuectl_lib.store"
    assert made.__file__ == path
