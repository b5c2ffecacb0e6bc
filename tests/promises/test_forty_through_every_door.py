"""Forty hostile texts through every door: terminal, HTML, labels, cells, JSON; each shows them, and none is driven."""

import json
import re
import time

import pytest
from helpers import hostile, page
from helpers.queue import claim, enqueue, raw, settle

from queuectl_lib.commands import cells
from queuectl_lib.reports import markup, metrics

# What would move a terminal, end a line of a table, or turn what is written.
DRIVING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture
def home(near):
    """Each text is the command of a dead job, the error and the last line of its attempt, and a unique key."""
    near.run("initdb")
    now = time.time()
    for number, text in enumerate(hostile.STRINGS):
        job = enqueue(near.queue, 0, now - 60, id="j%d" % number)
        (held,) = claim(near.queue, now - 50)
        settle(near.queue, held, "failed", now - 40, error="exit code 1", exit_code=1)
        given = text.encode("utf-8", "surrogatepass").replace(b"\0", b"")
        with raw(near.queue) as connection:
            connection.execute("UPDATE jobs SET command = CAST(? AS TEXT) WHERE id = ?", (given, job))
            connection.execute(
                "UPDATE attempts SET error = CAST(? AS TEXT), stderr = ?, stderr_bytes = ? WHERE token = ?",
                (given, given, len(given), held.token),
            )
            connection.execute(
                "INSERT OR REPLACE INTO successes VALUES (CAST(? AS TEXT), '2027-01-15T08:00:00Z')", (given,)
            )
    return near


SCREENS = (
    *(["list", "--all"], ["list", "--limit", "40"], ["dlq", "list", "--all"], ["status"], ["top", "--once"]),
    *(["top", "--plain", "--once"], ["check", "--all"], ["dlq", "groups"], ["results", "--all"], ["stats"]),
    *(["show", "--state", "dead"], ["why", *["j%d" % number for number in range(40)]], ["joblog", "--format", "wide"]),
)


def test_no_screen_is_driven(home):
    driven = {}
    for words in SCREENS:
        shown = home.run(*words, code=1 if words[0] == "check" else 0)
        assert shown.stdout, words
        found = DRIVING.search(shown.stdout + shown.stderr)
        driven.update({" ".join(words): found.group(0)} if found else {})
    assert driven == {}


def test_programs_get_each_as_json_of_ascii(home):
    for words in (["list", "--all"], ["results", "--all"], ["joblog"], ["top"]):
        printed = home.run(*words, "--json").stdout
        assert printed.isascii() and "\x7f" not in printed and json.loads(printed), words
    for words in (["events", "--after", "0"], ["joblog", "--format", "jsonl"]):
        printed = home.run(*words).stdout
        assert printed.isascii() and "\x7f" not in printed, words
        assert len([json.loads(line) for line in printed.split("\n")[:-1]]) == 40, words


def test_each_line_of_cells_has_as_many_as_there_are_names(home):
    for words in (["joblog", "--format", "wide"], ["results", "--all", "--tsv"]):
        lines = home.run(*words).stdout.split("\n")
        assert lines.pop() == "" and len(lines) == 41
        assert {line.count("\t") for line in lines} == {lines[0].count("\t")}
    for text in hostile.STRINGS:
        cell = "".join(cells.tsv_cell([text]))
        assert not set(cell) & set("\t\n\r") and cell[:1] not in tuple(cells.COMPUTED), text


def test_a_page_holds_texts_and_no_more(home, tmp_path):
    path = str(tmp_path / "r.html")
    home.run("report", "-o", path)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    page.checked(text)
    for one in hostile.STRINGS:
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", markup.html_text(one))
        assert not re.search("[<>\"']", markup.html_text(one))


def test_a_label_is_one(home):
    printed = home.run("metrics").stdout
    assert printed.encode("utf-8").endswith(b"\n")
    for line in printed.split("\n")[:-1]:
        assert re.match(r'#|\w+(\{(\w+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? [-+.\dNnaIife]+\Z', line), line
    for text in hostile.STRINGS:
        assert re.fullmatch(r'(?:[^"\\\n]|\\[\\"n])*', metrics.prom_label(text)), text
