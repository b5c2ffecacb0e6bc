"""What gates ask of the host: answers that agree with others, and None for each that should have come."""

import os
import shutil
import subprocess
import sys
import time

import pytest
from helpers.house import ROOT
from helpers.marks import WINDOWS, needs_proc, posix_only
from helpers.zones import at, needs_tzset, zone

from queuectl_lib.host import load


def test_what_a_host_can_tell():
    assert load.CAN_TELL_LOAD is (not WINDOWS)
    assert load.CAN_TELL_MEMORY is (sys.platform in ("linux", "win32"))
    assert (load.load() is not None) is load.CAN_TELL_LOAD
    assert (load.memory_available() is not None) is load.CAN_TELL_MEMORY


@posix_only
def test_the_load_is_the_one_of_the_last_minute(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (6.25, 3.0, 1.0))
    assert load.load() == 6.25

    def refuse():
        raise OSError("Load averages are unobtainable")

    monkeypatch.setattr(os, "getloadavg", refuse)
    assert load.load() is None


@pytest.mark.skipif(not load.CAN_TELL_MEMORY, reason="this system does not tell it")
def test_the_memory_is_a_number_of_bytes():
    assert 1 << 20 < load.memory_available() < 1 << 60


@needs_proc
def test_the_memory_is_what_programs_can_take_not_what_lies_idle():
    with open("/proc/meminfo") as file:
        lines = dict(line.split(":") for line in file)
    expected = int(lines["MemAvailable"].split()[0]) * 1024
    assert load.memory_available() == pytest.approx(expected, rel=0.5)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("MemTotal:  9 kB\nMemFree:  1 kB\nMemAvailable:   12 kB\nBuffers:  3 kB\n", 12288),
        ("MemTotal:  9 kB\nMemFree:  1 kB\n", None),  # before Linux 3.14
        ("MemAvailable:\n", None),
        ("MemAvailable: much\n", None),
        ("", None),
    ],
)
def test_what_meminfo_does_not_say_is_not_guessed(tmp_path, text, expected):
    path = tmp_path / "meminfo"
    path.write_text(text)
    assert load.available_in(str(path)) == expected
    assert load.available_in(str(tmp_path / "gone")) is None
    assert load.available_in(str(tmp_path)) is None


def test_the_free_space_is_that_of_the_disk_of_a_path(tmp_path):
    expected = shutil.disk_usage(str(tmp_path)).free
    assert load.free_bytes(str(tmp_path)) == pytest.approx(expected, rel=0.1, abs=1 << 28)


@pytest.mark.parametrize("name", ["gone", "a\0b", "x" * 5000])
def test_a_path_that_cannot_be_looked_at_has_no_free_space(tmp_path, name):
    assert load.free_bytes(str(tmp_path / name)) is None


@needs_tzset
def test_a_process_heeds_a_zone_that_has_changed_meanwhile():
    now = at("2027-03-03T12:00")
    with zone("UTC0"):
        assert time.localtime(now).tm_hour == 12
        os.environ["TZ"] = "XXX-5"
        load.heed_zone()
        assert time.localtime(now).tm_hour == 17


def test_it_costs_a_worker_no_other_module():
    script = "import os, sys, time; sys.path.insert(0, sys.argv[1]); before = set(sys.modules)\n"
    script += "from queuectl_lib.host import load; load.load(); load.memory_available(); load.free_bytes('.')\n"
    script += "print(' '.join(set(sys.modules) - before))"
    words = [sys.executable, "-I", "-S", "-c", script, ROOT]
    loaded = set(subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode().split())
    allowed = {"queuectl_lib", "queuectl_lib.host", "queuectl_lib.host.load", "__future__"}
    assert WINDOWS or loaded <= allowed
