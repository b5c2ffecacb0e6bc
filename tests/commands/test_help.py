"""`--help` and `help`: the overview by groups, a command with its options and examples, at any width."""

import re

import pytest

from queuectl_lib.commands import COMMANDS, FAMILIES, frame, helping
from queuectl_lib.jobs import states


@pytest.fixture
def shown(monkeypatch):
    """What is printed on a terminal so wide."""

    def show(width, name=""):
        monkeypatch.setenv("COLUMNS", str(width))
        return helping.of_command(frame.load(name)) if name else helping.overview()

    return show


@pytest.mark.parametrize("width", [40, 60, 80, 140])
@pytest.mark.parametrize("name", ["", *sorted(COMMANDS)])
def test_help_is_as_wide_as_the_terminal_and_breaks_no_word(shown, width, name):
    text, wide = shown(width, name), shown(1000, name)
    broken = {word.rstrip(",") for word in text.split()} - {word.rstrip(",") for word in wide.split()}
    assert broken == set(), "words that are not there where there is room"
    for line in text.splitlines():
        alone = len(line.split()) == 1 or (line.startswith("  ") and not re.search(r"\S  +\S", line))
        assert len(line) < width or alone, "%d columns: %s" % (len(line), line)
        assert line == line.rstrip()


def test_the_overview_has_each_command_in_one_group(shown):
    text = shown(80)
    heads = [line.split()[0] for line in text.splitlines() if re.match(r"[a-z]+  +[a-z]", line)]
    assert heads == list(helping.GROUPS)
    for name in COMMANDS:
        first = name.split()[0]
        groups = [group for group, words in helping.GROUPS.items() if first in words.split()]
        assert len(groups) == 1, "%s belongs into one of the GROUPS of commands/helping" % first
        row = "  %s ..." % first if first in FAMILIES else "  %s  " % name
        assert text.count(row) == 1, row


def test_a_command_in_no_group_is_shown_all_the_same(shown, monkeypatch):
    monkeypatch.setitem(COMMANDS, "novelty", ("list", "do what nobody has thought of"))
    assert "  novelty" in shown(80)


def test_the_overview_says_where_to_start(shown):
    start = shown(80).split("Start here:")[1].splitlines()[2:5]
    assert [line.split()[1] for line in start] == ["add", "worker", "list"]
    assert all(len(line) < 80 for line in start)


def test_help_explains_what_an_id_is_and_lists_the_states(shown):
    for name in ("cancel", "list", "show", "prune"):
        text = " ".join(shown(80, name).split())
        assert "the first letters will do" in text
    assert ", ".join(states.STATES) in " ".join(shown(80, "list").split())
    assert "S is one of completed, dead, cancelled" in " ".join(shown(80, "prune").split())


def test_the_usage_has_the_form_with_two_dashes(shown):
    for name in ("add", "edit", "schedule set"):
        assert re.search(r"usage: queuectl.py %s .*\n +queuectl.py %s .*-- PROGRAM" % (name, name), shown(100, name))
    assert "queuectl.py enqueue [OPTION ...] --command TEXT" in shown(100, "enqueue")


def test_help_of_a_command_shows_examples(shown):
    assert 'examples:\n  queuectl.py add "pg_dump' in shown(80, "add")
    assert "\nexamples:\n  queuectl.py doctor\n" in shown(80, "doctor")


def test_hidden_options_stay_so_and_percent_signs_stand_once(shown):
    assert "--name" not in shown(80, "worker start")
    assert "20% or 0.2" in " ".join(shown(80, "add").split())


@pytest.mark.parametrize("words", [["help"], ["help", "help"], ["help", "--home", "x"], ["--help"]])
def test_help_is_the_overview(near, words):
    assert near.run(*words).stdout == near.run("-h").stdout
    assert near.run("help", "dlq", "purge").stdout == near.run("dlq", "purge", "--help").stdout
