"""`manual`: roff that holds all commands and options; and what `help --json` and `version --json` say to programs."""

import re

import pytest

import queuectl_lib
from queuectl_lib import settings
from queuectl_lib.commands import COMMANDS, anatomy, examples, manual, manual_texts
from queuectl_lib.errors import BadInput

MACROS = {".TH", ".SH", ".SS", ".TP", ".PP", ".RS", ".RE", ".nf", ".fi", ".br", ".nh", ".ad"}


@pytest.fixture(scope="module")
def text():
    return manual.page()


def plain(roff):
    """What is printed of a piece of the page, without fonts."""
    found = re.sub(r"\\f[BIP]|\\&", "", roff)
    for one, escape in manual.ESCAPED.items():
        found = found.replace(escape, one) if one != "\\" else found
    return found.replace(r"\e", "\\")


def test_each_command_has_a_section_with_each_of_its_options(text):
    parts = re.split(r"^\.SS (.*)$", text.split(".SH SETTINGS")[0], flags=re.M)
    sections = {plain(name): plain(body) for name, body in zip(parts[1::2], parts[2::2])}
    assert list(sections) == list(COMMANDS)
    for shape in anatomy.shapes():
        if shape.name == "worker":
            assert "Its options are those of worker start." in sections["worker"]
            continue
        for one in shape.own:
            assert re.search(r"(?<![\w-])%s(?![\w-])" % one.name, sections[shape.name]), (shape.name, one.name)
        for words, _ in examples.EXAMPLES[shape.name]:
            assert "queuectl.py " + words in sections[shape.name]


def test_the_sections_are_those_of_a_manual_page(text):
    found = re.findall(r"^\.SH (.*)$", text, re.M)
    assert " ".join(found) == "NAME SYNOPSIS DESCRIPTION OPTIONS COMMANDS SETTINGS FILES ENVIRONMENT EXIT STATUS"
    assert text.split("\n")[0] == '.TH QUEUECTL 1 "" "queuectl %s" "User Commands"' % queuectl_lib.VERSION
    assert set(manual_texts.SETTINGS) == set(settings.BY_KEY)
    assert all(setting.key in plain(text) and setting.alias in plain(text) for setting in settings.SETTINGS)


def test_no_text_becomes_a_command_of_roff(text):
    assert text.isascii() and "\t" not in text
    for line in text.splitlines():
        assert line, "an empty line is a break"
        if line[0] in ".'":
            assert line.split()[0] in MACROS, line
    body = text.split("\n", 1)[1]
    escapes = set(re.findall(r"\\(?:\(..|f.|\[\w+\]|.)", body))
    assert escapes <= {r"\fB", r"\fI", r"\fP", r"\&", *manual.ESCAPED.values()}
    assert not re.search(r"(?<!\\)-", body), "a hyphen where a minus is typed"


@pytest.mark.parametrize(
    "said, printed",
    [
        (".so /etc/passwd", r"\&.so /etc/passwd"),
        ("'ab", r"\(aqab"),
        ("a\\nb -x", r"a\enb \-x"),
        ("a\n.b", "a .b"),
        ("`~^\"\u00e9", r"\(ga\(ti\(ha\(dq\[u00E9]"),
    ],
)
def test_each_character_that_means_something_is_escaped(said, printed):
    assert manual.escaped(said) == printed
    assert manual.marked("see `.x`") == r"see \fB\&.x\fP" and manual.marked("a `b") == r"a \(gab"


def test_the_page_is_the_same_at_any_width_and_has_the_date_that_is_asked_for(near, monkeypatch):
    pages = []
    for width in ("40", "200"):
        monkeypatch.setenv("COLUMNS", width)
        pages.append(near.run("manual").stdout)
    assert pages[0] == pages[1] == manual.page()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert near.run("manual").stdout.startswith('.TH QUEUECTL 1 "1970-01-02" ')
    for bad in ("yesterday", "-1", "9" * 12):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", bad)
        assert "SOURCE_DATE_EPOCH: " in near.run("manual", code=2).stderr
    with pytest.raises(BadInput):
        manual.date_of("1\n")


# ---------------------------------------------------------------- for programs


def test_help_for_programs_has_every_command_with_all_that_it_takes(near):
    told = near.run("help", "--json").json
    assert told == near.run("--help", "--json").json
    assert (told["version"], told["schema"]) == (queuectl_lib.VERSION, 1)
    assert [one["command"] for one in told["commands"]] == list(COMMANDS)
    found = {one["command"]: one for one in told["commands"]}
    options = {one["name"]: one for one in found["add"]["options"]}
    assert options["--tag"]["repeatable"] and not options["--cwd"]["repeatable"]
    assert [options[name]["type"] for name in ("--cwd", "--hold", "--after")] == ["folder", "flag", "ids"]
    assert found["add"]["program"] and not found["list"]["program"]
    assert [(one["name"], one["count"]) for one in found["show"]["words"]] == [("ids", "*")]
    (shell,) = found["completion"]["words"]
    assert shell["choices"] == ["bash", "zsh", "fish", "powershell"]
    assert "-f" in next(one["flags"] for one in found["logs"]["options"] if one["name"] == "--follow")
    keys = {tuple(one) for shown in found.values() for one in shown["words"] + shown["options"]}
    assert len(keys) == 1, "all have the same keys"


def test_help_for_programs_of_some_commands(near):
    for words, expected in (
        (["help", "add"], ["add"]),
        (["worker", "--help"], ["worker"]),
        (["queue", "-h"], ["queue set", "queue list", "queue show", "queue remove"]),
        (["dlq", "list", "--help"], ["dlq list"]),
    ):
        assert [one["command"] for one in near.run(*words, "--json").json["commands"]] == expected


def test_version_for_programs_names_the_commands(near):
    told = {"version": queuectl_lib.VERSION, "schema": 1, "commands": list(COMMANDS)}
    assert near.run("version", "--json").json == near.run("--version", "--json").json == told
    assert near.run("version").stdout == "queuectl %s\n" % queuectl_lib.VERSION
    near.run("version", "now", code=2)
