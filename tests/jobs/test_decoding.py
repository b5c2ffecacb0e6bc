"""JSON Lines read many at once: the same jobs and the same mistakes as line by line."""

import io
import random
import subprocess
import sys

import pytest
from helpers.bundle import ROOT

from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import decoding, reading

PIECES = [
    '{"command": "a"}',
    '{"command": "b:c", "id": "x"}',
    '{"command": ["a", "b:c"]}',
    '{"command": "a", "env": {"A": "1:2", "B": "x"}}',
    '{"command": "\\u003a"}',
    '{"command": "say \\"a\\\\b\\" : c"}',
    '{"command": "a", "command": "b"}',
    '{"command": "a", "env": {"A": "1", "A": "2"}}',
    '{"command": "a", "\\u0063ommand": "b", "id": ":"}',
    '{"command": {"a": {"b": {"c": 1, "c": 2}}}}',
    '{"command": [{"a": 1, "a": 2}]}',
    '{"command": "a"},{"command": "b"}',
    '{"command": "a"},{"command": "b"},{"command": "c"}',
    '{"command": "\\u003a", "id": "a", "id": "b"}',
    '{"command": "a"} {"command": "b"}',
    '{"command": "a',
    'b"}',
    '{"command": ["a"',
    '"b"]}',
    '{"command": 1',
    "}",
    "]",
    "[",
    "",
    "  ",
    "\r",
    "\f",
    "null",
    "7",
    '"a"',
    '["a"]',
    "NaN",
    '{"priority": Infinity}',
    '{"priority": ' + "9" * 5000 + "}",
    '{"command": ' + "[" * 1000 + "]" * 1000 + "}",
    '{"command": "' + "x" * 2000 + '"}\r',
    "\ufeff{}",
    "{}",
]


def told(lines):
    """What is read of *lines*, and what is said of the first that is wrong."""
    found = []
    try:
        for pair in reading.read_jobs(io.BytesIO("\n".join(lines).encode()), lambda *values: None):
            found.append(pair)
    except BadInput as error:
        return found, str(error)
    return found, None


def compare(monkeypatch, lines):
    quick = told(lines)
    with monkeypatch.context() as patched:
        patched.setattr(decoding, "plain_objects", lambda lines: None)
        assert quick == told(lines), lines
    return quick


def test_each_pair_of_lines_is_read_as_if_one_by_one(monkeypatch):
    for one in PIECES:
        for other in PIECES:
            compare(monkeypatch, [PIECES[0], one, other, PIECES[0]])


def test_many_lines_are_read_as_if_one_by_one(monkeypatch):
    numbers = random.Random(7)
    refused = 0
    for _ in range(300):
        odd = numbers.choices(PIECES, k=numbers.choice((0, 1, 2, 4)))
        lines = odd + numbers.choices(PIECES[:6], k=numbers.randrange(1, 40))
        numbers.shuffle(lines)
        refused += compare(monkeypatch, lines)[1] is not None
    assert 50 < refused < 280


def test_lines_that_are_plain_objects_are_read_at_once(monkeypatch):
    """Else the test above compares nothing."""
    monkeypatch.setattr(decoding, "read_line", lambda line, number: pytest.fail("line %d: %s" % (number, line)))
    good = [PIECES[place] for place in (0, 1, 2, 3, 5)] * 10
    found = list(decoding.read_lines(good, 7))
    assert [number for number, _ in found] == list(range(7, 57))
    assert found[1][1] == {"command": "b:c", "id": "x"} and found[3][1]["env"] == {"A": "1:2", "B": "x"}


DOUBLE, TRIPLE = PIECES[0] + "," + PIECES[0], ",".join(PIECES[:1] * 3)
HALVES = ['{"command": "a', 'b"}']


@pytest.mark.parametrize(
    "lines",
    [
        [PIECES[0], DOUBLE],
        [DOUBLE, PIECES[0]],
        [TRIPLE] + HALVES,
        HALVES + [TRIPLE],
        [DOUBLE] + HALVES + [DOUBLE],
        [PIECES[0], PIECES[0] + ",{}"],
        [PIECES[0] + ",{}," + PIECES[0]] + HALVES,
        ['{"command": "\\u003a", "id": "a", "id": "b"}'],
        ['{"command": "a", "id": "a", "id": "b"}', '{"command": "a:b"}'],
    ],
)
def test_lines_that_are_not_one_object_each_with_each_key_once_are_not_read_at_once(lines):
    assert decoding.plain_objects(lines) is None


def test_nobody_can_know_the_number_that_stands_between_two_lines():
    words = [sys.executable, "-S", "-c", "from queuectl_lib.jobs import decoding; print(decoding.MARK)"]
    other = int(subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=60).stdout)
    assert len({other, decoding.MARK}) == 2 and len(str(other) + str(decoding.MARK)) > 16
