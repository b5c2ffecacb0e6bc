"""Columns: how wide text is on a terminal, and what of a table gives way where that is narrow."""

import re

import pytest
from helpers.marks import posix_only

from queuectl_lib.commands import layout, terminal


@pytest.fixture
def home(near):
    return near


LONG = "exp-2026-11-27-lr0.001-bs64-seed42-a-very-long-run-name-indeed"


@pytest.mark.parametrize(
    "text, width",
    [
        ("abc", 3),
        ("\u65e5\u672c", 4),  # East Asian
        ("e\u0301te\u0301", 3),  # marks on the letter before
        ("\uff21", 2),  # full width
        ("\uff76", 1),  # half width
        ("\u1112\u1161\u11ab", 2),  # one Korean syllable of three letters
        ("\U0001f600", 2),
        ("\u2764\ufe0f", 1),  # with a selector of its look
        ("", 0),
    ],
)
def test_text_is_as_wide_as_a_terminal_shows_it(text, width):
    assert layout.cells(text) == width
    assert layout.cells(layout.padded(text, 9)) == 9


@pytest.mark.parametrize("width", range(12))
@pytest.mark.parametrize("text", ["abcdefghijkl", "\u65e5\u672c\u8a9e\u306e\u30a8\u30e9\u30fc", "e\u0301" * 20])
def test_what_is_cut_fits_and_says_so(text, width):
    for cut in (layout.cut(text, width), layout.cut_within(text, max(3, width))):
        assert layout.cells(cut) <= max(3, width) and (layout.CUT in cut or width <= 3 or cut == text)


def test_a_name_keeps_its_beginning_and_its_end():
    assert layout.cut_within(LONG, 16) == "exp-202...indeed"
    assert layout.cut_within(LONG, 62) == LONG


HEADINGS = ["ID", "STATE", "ATTEMPTS", "WHEN", "ERROR", "COMMAND"]
ROW = [LONG, "processing", "1/4", "due in 119m", "exit 3: " + "x" * 80, "python train.py --lr 0.001 --epochs 90"]


def fitted(room, row=ROW, spare=("ATTEMPTS", "ERROR")):
    lines, kept = layout.fitted([HEADINGS, row], room, spare)
    return [HEADINGS[i] for i in kept], ["  ".join(line).rstrip() for line in lines]


@pytest.mark.parametrize("room", [40, 60, 72, 80, 100, 140, 200, 400])
def test_every_column_that_stays_can_be_read(room):
    headings, (_, line) = fitted(room)
    assert layout.cells(line) <= room
    assert room < 60 or "processing" in line, "a long id hides no state"
    assert room < 60 or re.search(r"  python train\.p", line), "and 20 cells of the command are seen"
    assert (headings == HEADINGS) == (room > 80)
    assert room < 400 or line.count("...") == 0


def test_what_goes_first_is_what_is_named_first():
    assert fitted(80)[0] == ["ID", "STATE", "WHEN", "ERROR", "COMMAND"]
    assert fitted(60)[0] == ["ID", "STATE", "WHEN", "COMMAND"]
    assert fitted(60, spare=())[0] == HEADINGS


def test_where_there_is_room_nothing_is_cut_and_the_first_column_has_a_uuid_in_full():
    row = ["123e4567-e89b-12d3-a456-426614174000", "dead", "1/1", "5m ago", "exit 3", "true " + "x" * 300]
    assert row[0] in fitted(100, row)[1][1]
    assert fitted(400, row)[1][1].endswith("x" * 300)
    assert fitted(None, row)[1][1].endswith("x" * 300)


@pytest.mark.parametrize("columns", [30, 60, 80, 140])
def test_lists_fit_terminals_with_long_ids_wide_letters_and_hostile_text(home, monkeypatch, columns):
    monkeypatch.setattr(terminal, "columns", lambda: columns)
    home.add("\u65e5\u672c\u8a9e " * 40, "--id", LONG)
    home.add("e\u0301\u0301" * 60, "--tag", "some-tag", "--id", "marks")
    home.add("true # \x1b[31m\u202e" * 9, "--id", "hostile")
    shown = home.run("list").stdout
    assert max(map(layout.cells, shown.splitlines())) <= columns
    assert all(line.isprintable() for line in shown.splitlines())
    assert columns < 60 or shown.count("pending") == 3
    for words in (["status"], ["dlq", "list"]):
        lines = [line for line in home.run(*words).stdout.splitlines() if home.path not in line]
        assert columns < 60 or max(map(layout.cells, lines), default=0) <= columns


@posix_only
def test_on_a_pipe_columns_of_wide_letters_stand_beneath_each_other(home):
    for word in ("\u65e5\u672c\u8a9e", "abcdef", "e\u0301"):
        home.add("echo %s >&2; exit 3" % word, "--max-retries", "0")
    home.drain()
    first, *lines = home.run("list").stdout.splitlines()
    assert {layout.cells(line[: line.index("echo ")]) for line in lines} == {first.index("COMMAND")}
