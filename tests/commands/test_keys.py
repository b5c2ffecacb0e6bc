"""Keys by their names, from the bytes of a terminal, however they come in pieces."""

import pytest

from queuectl_lib.commands import keys

TYPED = [
    (b"q", ["q"]),
    (b"jk", ["j", "k"]),
    (b"\x1b[A\x1b[B", ["up", "down"]),
    (b"\x1bOA\x1bOB", ["up", "down"]),
    (b"\x1b[5~\x1b[6~", ["page up", "page down"]),
    (b"\r\n", ["enter", "enter"]),
    (b"\x7f \x0c", ["backspace", "space", "redraw"]),
    (b"\x1b[1;5A", []),  # Ctrl+Up: not known, and no letter A
    (b"\x1b[200~q\x1b[201~", ["q"]),  # a paste
    (b"\x1b[<0;3;4M", []),  # a mouse that nobody has asked for
    (b"\x1bq", []),  # Alt+q is not q
    ("ä日".encode(), ["ä", "日"]),
    (b"\xff\xfe", ["\ufffd", "\ufffd"]),
    (b"\x00\x01\x02", []),
]


@pytest.mark.parametrize("data, names", TYPED)
def test_bytes_are_keys_at_once_and_one_by_one(data, names):
    assert keys.Keys().feed(data) == names
    some, found = keys.Keys(), []
    for place in range(len(data)):
        found += some.feed(data[place : place + 1])
    assert found == names and not some.ends_open()


def test_an_escape_character_is_a_key_only_once_nothing_more_has_come():
    some = keys.Keys()
    assert some.feed(b"\x1b") == [] and some.ends_open()
    assert some.let_go() == ["escape"] and not some.ends_open()
    assert some.feed(b"\x1b[") == [] and some.let_go() == []
    assert some.feed(b"A") == ["A"], "what was given up is no part of what follows"


def test_a_sequence_without_end_is_given_up():
    some = keys.Keys()
    assert some.feed(b"\x1b[" + b"1;" * 1000) == []
    assert not some.ends_open() and some.feed(b"q") == ["q"]
