"""The bytecode that a worker loads: the same code, without what nobody reads there."""

import inspect
import marshal
import os
import sys

import pytest
from helpers.house import ROOMS

from queuectl_lib.host import bytecode

TEXT = '''"""A docstring."""
from __future__ import annotations
COUNT: int = 2
NAME: str


class One:
    """Another."""

    size: int = 3
    later: int

    def method(self, first: int, *rest: str, last: bool = True, **more: object) -> int:
        """A third."""
        here: int
        total: int = sum(
            [first, COUNT]

        )
        for number in rest:
            other: str = number
        else:
            other: str = "none"
        return total, other, last, more


def fails():
    return (COUNT
            / 0)
'''


def loaded(path):
    with open(bytecode.write_lean(path), "rb") as file:
        return marshal.loads(file.read()[16:])


@pytest.fixture
def lean(tmp_path):
    """What the module of TEXT has, from its lean bytecode."""
    path = tmp_path / "module.py"
    path.write_text(TEXT)
    names = {}
    exec(loaded(str(path)), names)
    return names


def test_it_does_the_same_without_docstrings_and_annotations(lean):
    assert lean["COUNT"] == 2 and "NAME" not in lean and not lean.get("__doc__")
    assert not lean.get("__annotations__") and not vars(lean["One"]).get("__annotations__")
    assert lean["One"].size == 3 and not hasattr(lean["One"], "later") and lean["One"].__doc__ is None
    method = lean["One"]().method
    assert method(1, "a", "b", last=False, key=4) == (3, "none", False, {"key": 4})
    assert method.__annotations__ == {} and method.__doc__ is None
    assert str(inspect.signature(method)) == "(first, *rest, last=True, **more)"


def test_a_traceback_tells_its_lines(lean):
    with pytest.raises(ZeroDivisionError) as raised:
        lean["fails"]()
    trace = raised.tb.tb_next
    assert TEXT.splitlines()[trace.tb_lineno - 1].strip() in ("return (COUNT", "/ 0)")


def codes(code):
    yield code
    for one in code.co_consts:
        if isinstance(one, type(code)):
            yield from codes(one)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python keeps columns from 3.11 on")
def test_it_knows_the_lines_of_each_room_and_no_columns(tmp_path):
    for name in ROOMS:
        path = os.path.join(bytecode.LIBRARY, name)
        with open(path, encoding="utf-8") as file:
            whole = compile(file.read(), path, "exec", dont_inherit=True)
        for code in codes(bytecode.lines_only(whole)):
            assert {column for _, _, column, _ in code.co_positions()} <= {None}, "%s of %s" % (code.co_name, name)
        pairs = zip(codes(whole), codes(bytecode.lines_only(whole)))
        assert all(bytecode.lines_of(one) == bytecode.lines_of(other) for one, other in pairs)


@pytest.mark.parametrize("value", [0, 1, -1, 31, 32, -32, 1000, -70000])
def test_a_number_of_the_table_of_lines_is_read_back(value):
    parts = list(bytecode.signed_number(value))
    assert all(part & 64 for part in parts[:-1]) and not parts[-1] & 64
    number = sum((part & 63) << 6 * place for place, part in enumerate(parts))
    assert (-(number >> 1) if number & 1 else number >> 1) == value
