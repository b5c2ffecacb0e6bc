"""Input that is wrong costs no more than its length: work that grows with it, memory within the limits."""

import io
import json
import subprocess
import sys
import time

import pytest
from helpers.bundle import ROOT
from helpers.marks import posix_only

from queuectl_lib import errors, values
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import reading, sources
from queuectl_lib.jobs.making import JobMaker


def refusal(text):
    """What is said of *text*, read and checked as `enqueue` does it."""
    jobs = reading.read_jobs(io.BytesIO(text.encode("utf-8")), lambda done, total, lines: None)
    with pytest.raises(BadInput) as raised:
        list(reading.checked_rows(JobMaker(1, "/", 0o022, 0.0), jobs))
    return str(raised.value)


def seconds_for(text):
    """Of this process alone, the best of three."""
    found = []
    for _ in range(3):
        began = time.process_time()
        refusal(text)
        found.append(time.process_time() - began)
    return min(found)


def names(count):
    return ",".join('"k%d": "1"' % number for number in range(count))


HOSTILE = {
    "a name that comes twice at the end": lambda n: '{"command": "true", %s, "k%d": 1}' % (names(n), n - 1),
    "names that no job has": lambda n: '{"command": "true", %s}' % names(n),
    "one long name that no job has": lambda n: '{"command": "true", "%s": 1}' % ("delay" * n),
    "many variables, one twice": lambda n: '{"command": "true", "env": {%s, "k%d": "1"}}' % (names(n), n - 1),
    "too many variables": lambda n: '{"command": "true", "env": {%s}}' % names(7 * n),
    "a command of objects": lambda n: '{"command": {%s}}' % names(n),
    "a command of too many words": lambda n: '{"command": [%s""]}' % ('"a", ' * (10 * n)),
    "a long time": lambda n: '{"command": "true", "run_at": "2027-01-01%sx"}' % (" " * (20 * n)),
    "a long duration": lambda n: '{"command": "true", "timeout": "%sx"}' % ("1" * (20 * n)),
    "a long id": lambda n: '{"command": "true", "id": "%s"}' % ("a" * (20 * n)),
    "a long umask": lambda n: '{"command": "true", "umask": "%s"}' % ("0" * (20 * n)),
    "a long state": lambda n: '{"command": "true", "state": "%s"}' % ("dead" * (5 * n)),
    "a long key of controls": lambda n: '{"command": "true", "unique": "%s"}' % ("\\u202e" * n),
    "an object that never ends": lambda n: "{\n" + '"a": 1,\n' * n,
    "jobs that ran": lambda n: '{"command": "true", "state": "dead"}\n' * n,
    "objects in objects": lambda n: '{"command": "true", "env": %s}' % ('{"a":' * 700 + "{%s}" % names(n) + "}" * 700),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_four_times_the_input_takes_about_four_times_the_work(kind):
    """Quadratic work would take sixteen times as much."""
    few, many = seconds_for(HOSTILE[kind](10000)), seconds_for(HOSTILE[kind](40000))
    assert many < 9 * few + 0.02, "%.4f s and %.4f s" % (few, many)


class Countless(str):
    """Text that counts how often it is compared."""

    compared = 0

    def __eq__(self, other):
        Countless.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_the_name_that_comes_twice_is_found_without_comparing_each_with_each():
    pairs = [(Countless("k%d" % number), 1) for number in range(3000)] + [(Countless("k2999"), 1)]
    with pytest.raises(BadInput, match='the key "k2999" comes twice'):
        values.unique_keys(pairs)
    assert Countless.compared < 10 * len(pairs)


def test_only_the_start_of_a_name_that_does_not_exist_is_compared_with_those_that_do():
    assert "did you mean delay?" in str(errors.unknown_name("key", "delya", ["delay", "command"]))
    assert "known: delay" in str(errors.unknown_name("key", "delay" * 100000, ["delay", "command"]))


@pytest.mark.skipif(hasattr(sys, "set_int_max_str_digits"), reason="this Python refuses such numbers by itself")
def test_a_number_of_a_million_digits_is_refused_without_being_read():
    assert "a number is too long" in refusal('{"command": "true", "max_retries": %s}' % ("9" * 1000000))


def test_where_python_reads_numbers_of_any_length_we_do_not():
    assert values.short_integer("-12") == -12
    with pytest.raises(ValueError):
        values.short_integer("9" * 5000)


# ---------------------------------------------------------------- memory, and input that never ends


class Endless(io.RawIOBase):
    """A source that gives *piece* for ever, and says how much was taken."""

    def __init__(self, start, piece):
        self.behind, self.piece, self.taken = start, piece, 0

    def peek(self, size):
        return self.behind

    def read(self, size=-1):
        assert size >= 0, "all of it was asked for"
        return self.read1(size)

    def read1(self, size):
        while len(self.behind) < size:
            self.behind += self.piece * (1 + size // len(self.piece))
        data, self.behind = self.behind[:size], self.behind[size:]
        self.taken += len(data)
        assert self.taken < 40 * sources.LINE_BYTES, "this goes on for ever"
        return data


@pytest.mark.parametrize(
    "start, piece, said",
    [
        ("\ufeff".encode("utf-16-le"), "a".encode("utf-16-le"), "longer than"),
        ("\ufeff{".encode("utf-16-be"), "\u4e00".encode("utf-16-be"), "longer than"),
        (b"", b"y\n", "Expecting value"),
        (b'"', b"text\n", "line 1"),
        (b"5\n", b"5\n", "a job is an object"),
        (b"", b"\0", "longer than"),
    ],
)
def test_what_never_ends_is_refused_at_the_limit_and_read_no_further(monkeypatch, start, piece, said):
    monkeypatch.setattr(sources, "LINE_BYTES", 300000)
    jobs = reading.read_jobs(Endless(start, piece), lambda done, total, lines: None)
    with pytest.raises(BadInput, match=said):
        list(reading.checked_rows(JobMaker(1, "/", 0o022, 0.0), jobs))


@pytest.mark.parametrize(
    "start, piece, line",
    [
        (b'[{"command": "true"},\n{"command": "', b"x ", 2),
        (b'[{"command": "true"}, {"command": [1', b",\n1", 1),
        (b'{\n"command": "', b"\xc3\xa9", 1),
        (b'{"command":\n"true"}\n\n{"command":\n', b'["",\n', 4),
        (b"[", b"[", 1),
    ],
)
def test_a_value_that_never_ends_is_refused_at_the_limit_with_the_line_where_it_begins(monkeypatch, start, piece, line):
    monkeypatch.setattr(reading, "VALUE_CHARACTERS", 300000)
    jobs = reading.read_jobs(Endless(start, piece), lambda done, total, lines: None)
    with pytest.raises(BadInput) as raised:
        list(jobs)
    said = str(raised.value)
    assert said.startswith("line %d: " % line)
    assert "longer than 300000 characters (give one job per line, JSON Lines)" in said or "too deeply" in said


ARRAY = """
import io, resource, sys
sys.path.insert(0, sys.argv[1])
from queuectl_lib.jobs import reading
class Source(io.RawIOBase):
    def __init__(self, first, between, last):
        self.parts = self.all(first, between, last)
        self.behind = b""
    def all(self, first, between, last):
        yield first
        for number in range(150000):
            yield b'{"command": "echo %d",%s"max_retries": 3}' % (number, between)
            yield b"," + between if number < 149999 else last
    def peek(self, size):
        return b"["
    def read1(self, size):
        while len(self.behind) < size:
            part = next(self.parts, None)
            if part is None:
                break
            self.behind += part
        data, self.behind = self.behind[:size], self.behind[size:]
        return data
count = lambda form: sum(1 for _ in reading.read_jobs(Source(*form), lambda *progress: None))
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
assert list(reading.read_jobs(io.BytesIO(b"[]"), lambda *progress: None)) == []
before = most()
forms = (b"[", b"\\n", b"]\\n"), (b"[\\n", b" ", b"]"), (b"\\n[\\n ", b"\\n  ", b"\\n]\\n")
print([count(form) for form in forms], (most() - before) // 1024)
"""


@posix_only
def test_an_array_of_any_length_is_read_in_flat_memory_on_one_line_or_on_many():
    """All at once these 150,000 jobs take 60 MiB."""
    done = subprocess.run([sys.executable, "-S", "-c", ARRAY, ROOT], stdout=subprocess.PIPE, check=True, timeout=120)
    counts, mebibytes = done.stdout.decode().rsplit(" ", 1)
    assert counts == "[150000, 150000, 150000]"
    assert int(mebibytes) < 12


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_read_a_part_at_a_time_with_characters_cut_anywhere(encoding):
    text = "\ufeff" + "".join(
        json.dumps({"command": "echo \u00e9\U0001f600 %d" % n}, ensure_ascii=False) + "\n" for n in range(99)
    )

    class Small(io.BytesIO):
        def read1(self, size=-1):
            return super().read1(3)

    jobs = reading.read_jobs(Small(text.encode(encoding)), lambda done, total, lines: None)
    assert [job["command"] for _, job in jobs] == ["echo \u00e9\U0001f600 %d" % n for n in range(99)]


@posix_only
def test_a_call_that_is_fed_without_end_stays_small(home):
    """With the memory that it may take bounded by the system."""
    script = "import resource as r; r.setrlimit(r.RLIMIT_AS, (400 << 20,) * 2); import runpy, sys; sys.argv[0] = %r; %s"
    script = script % (ROOT + "/queuectl.py", "runpy.run_path(sys.argv[0], run_name='__main__')")
    words = [sys.executable, "-S", "-c", script, "--home", home.path, "enqueue", "-"]
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes:
        done = subprocess.run(words, stdin=yes.stdout, stderr=subprocess.PIPE, timeout=60, env=home.environment())
        yes.kill()
    assert (done.returncode, b"Expecting value" in done.stderr) == (2, True), done.stderr
