"""`results`: what many jobs have printed, in one call; into cells, JSON and files."""

import json
import os
import sqlite3
import subprocess

import pytest
from helpers.marks import posix_only

from queuectl_lib.commands import cells
from queuectl_lib.host import new_files
from queuectl_lib.store import output, results, selecting
from queuectl_lib.store.selecting import Selection

pytestmark = posix_only
WIDE = "x" * 65535 + "\u00e9" * 40000  # of which a piece ends within a character


@pytest.fixture
def swept(near):
    """Jobs that have run, with one tag; one that has not."""
    with open(os.path.join(near.path, "wide"), "w", encoding="utf-8") as file:
        file.write(WIDE)
    near.add("echo 0.5; echo warning >&2", "--id", "a", "--tag", "s")
    near.add("printf '=1+1\\n\\tx'; exit 3", "--id", "b:1", "--tag", "s", "--max-retries", "0")
    near.add("printf '\\377\\n'", "--id", "bytes", "--tag", "s")
    near.add("cat wide", "--id", "wide", "--tag", "s", "--cwd", near.path)
    near.add("true", "--id", "later", "--tag", "s", "--tag", "t")
    near.run("hold", "later")
    near.drain()
    return near


def change(home, statement, *values):
    connection = sqlite3.connect(home.db)
    with connection:
        connection.execute(statement, values)
    connection.close()


def rows_of(text):
    lines = [line.split("\t") for line in text.splitlines()]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def test_one_call_tells_of_all_what_they_came_to_and_printed(swept):
    found = {row["id"]: row for row in swept.run("results", "--tag", "s", "--json").json}
    assert list(found) == ["a", "b:1", "bytes", "wide", "later"]
    assert (found["a"]["stdout"], found["a"]["stderr"], found["a"]["exit_code"]) == ("0.5\n", "warning\n", 0)
    assert (found["b:1"]["state"], found["b:1"]["exit_code"], found["b:1"]["stdout"]) == ("dead", 3, "=1+1\n\tx")
    assert found["bytes"]["stdout"] == "\\xff\n" and found["bytes"]["stdout_bytes"] == 2
    assert found["wide"]["stdout"] == WIDE
    assert 0 < found["a"]["seconds"] < 60 and found["a"]["tags"] == ["s"]
    assert (found["later"]["attempt"], found["later"]["seconds"], found["later"]["stdout"]) == (None, None, "")
    assert swept.run("logs", "a", "--json").json == found["a"]
    assert swept.run("logs", "--tag", "s", "--json").json == list(found.values())
    rows = rows_of(swept.run("results", "--tag", "s", "--tsv").stdout)
    assert [row["id"] for row in rows] == list(found)
    assert (rows[0]["stdout"], rows[0]["stderr"], rows[0]["tags"]) == ("0.5", "warning", "s")
    assert rows[1]["stdout"] == "'=1+1\\n\\tx" and rows[2]["stdout"] == "\\\\xff" and rows[3]["stdout"] == WIDE
    assert rows[4]["exit_code"] == rows[4]["stdout"] == ""
    table = swept.run("results", "--tag", "s").stdout.splitlines()
    assert table[0].split() == ["ID", "STATE", "EXIT", "TOOK", "TAGS", "LAST", "LINE"]
    assert table[1].split()[::6] == ["a", "0.5"] and "\\xff" in table[3]


def test_each_job_has_a_file_and_what_is_there_stays(swept):
    folder = os.path.join(swept.path, "out")
    done = swept.run("results", "--tag", "s", "-o", folder)
    assert done.stdout == "" and "5 files were written" in done.stderr and "1 job has not ended yet" in done.stderr
    assert sorted(os.listdir(folder)) == ["a.err", "a.out", "b%3A1.out", "bytes.out", "wide.out"]
    assert {os.stat(os.path.join(folder, name)).st_mode & 0o777 for name in os.listdir(folder)} == {0o600}
    assert os.stat(folder).st_mode & 0o777 == 0o700
    with open(os.path.join(folder, "bytes.out"), "rb") as file:
        assert file.read() == b"\xff\n"
    other = os.path.join(swept.path, "other")
    os.remove(os.path.join(folder, "a.out"))
    os.symlink(other, os.path.join(folder, "a.out"))
    again = swept.run("results", "--tag", "s", "-o", folder)
    assert "0 files were written" in again.stderr and "5 files that were there are left" in again.stderr
    assert os.path.islink(os.path.join(folder, "a.out")) and not os.path.exists(other)
    found = swept.run("results", "a", "-o", folder, "--replace", "--json").json
    assert found[0]["stdout_file"] == os.path.join(folder, "a.out") and "stdout" not in found[0]
    assert not os.path.islink(found[0]["stdout_file"]) and not os.path.exists(other)
    with open(found[0]["stdout_file"]) as file:
        assert file.read() == "0.5\n"


def test_pages_have_all_of_it_and_no_writer_waits(swept, monkeypatch):
    monkeypatch.setattr(results, "AT_ONCE", 2)
    monkeypatch.setattr(results, "BYTES_AT_ONCE", 10)
    database, found = swept.queue.database, []
    for number, result in enumerate(results.of(database, selecting.find(database, Selection()))):
        found.append((result.facts["id"], b"".join(map(b"".join, map(output.pieces, result.outputs.values())))))
        database.busy_seconds = 0
        swept.add("true", "--id", "new%d" % number)  # at once: nothing is held while this is looked at
    assert [name for name, _ in found] == ["a", "b:1", "bytes", "wide", "later"]
    assert found[0][1] == b"0.5\nwarning\n" and found[3][1].decode() == WIDE


def test_damaged_rows_make_no_path_and_no_trouble(swept):
    change(swept, "UPDATE jobs SET id = '../x' WHERE id = 'a'")
    change(swept, "UPDATE jobs SET id = x'ff2f', tags = 5 WHERE id = 'bytes'")
    damaged = "exit_code = '=2', started_at = 'soon', stdout = 'text', note = '['"
    change(swept, "UPDATE attempts SET %s WHERE job = 2" % damaged)
    folder = os.path.join(swept.path, "deep", "out")
    swept.run("results", "-o", folder)
    assert sorted(os.listdir(folder)) == ["%job-1.err", "%job-1.out", "%job-3.out", "b%3A1.out", "wide.out"]
    assert os.listdir(os.path.dirname(folder)) == ["out"]
    found = swept.run("results", "--json").json
    assert [row["seconds"] for row in found][1] is None and found[1]["stdout"] == "text"
    assert rows_of(swept.run("results", "--tsv").stdout)[1]["exit_code"] == "'=2"
    swept.run("results")


def test_a_reader_that_leaves_is_told_nothing_more_and_the_files_are_made(swept):
    folder = os.path.join(swept.path, "out")
    reader, writer = os.pipe()
    os.close(reader)
    words = swept.command("results", "--json", "-o", folder)
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, env=swept.environment(), timeout=60)
    os.close(writer)
    assert done.returncode == 0 and done.stderr.decode().startswith("5 files were written into ")
    assert len(os.listdir(folder)) == 5


def test_what_does_not_fit_together_is_refused(near):
    assert "--json and --tsv" in near.run("results", "--tsv", "--json", code=2).stderr
    assert "-o DIR" in near.run("results", "--replace", code=2).stderr
    assert near.run("results", "--json").stdout == "[]\n"
    assert near.run("results", "--tag", "x").stderr == "no job matches\n"
    assert near.run("results", "nope", code=1).stdout == ""


@pytest.mark.parametrize(
    "pieces, cell",
    [
        (["0.5\n"], "0.5"),
        (["a\r\n"], "a"),
        (["a\n\n"], "a\\n"),
        (["a\n", "b"], "a\\nb"),
        (["a\tb\\n\rc"], "a\\tb\\\\n\\rc"),
        (["\x1b[31m\u202e"], "\\x1b[31m\\u202e"),
        (["=1"], "'=1"),
        (["@x"], "'@x"),
        (["\uff1d1"], "'\uff1d1"),
        (["-0.5e-3\n"], "-0.5e-3"),
        (["+1\n"], "+1"),
        (["-1\n2"], "'-1\\n2"),
        (["--help"], "'--help"),
        (['"a'], '\\"a'),
        (["", "=1"], "'=1"),
        ([], ""),
    ],
)
def test_a_cell_is_one_line_and_nothing_in_it_acts(pieces, cell):
    assert "".join(cells.tsv_cell(pieces)) == cell


@pytest.mark.parametrize(
    "identifier, name",
    [
        ("a.b-c@d+1", "a.b-c@d+1"),
        ("C:x", "C%3Ax"),
        ("con", "%63on"),
        ("NUL.txt", "%4EUL.txt"),
        ("console", "console"),
        ("../x", "%job-7"),
        ("a/b", "%job-7"),
        (".hidden", "%job-7"),
        ("", "%job-7"),
        ("x" * 129, "%job-7"),
        ("a\n", "%job-7"),
    ],
)
def test_a_file_of_a_job_has_a_name_that_is_no_path(identifier, name):
    assert new_files.name_of(identifier, 7) == name


def test_a_file_that_cannot_be_finished_leaves_nothing(tmp_path):
    def pieces():
        yield b"x"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        new_files.write(str(tmp_path / "a"), pieces(), False)
    assert os.listdir(str(tmp_path)) == []


def test_where_there_are_no_hard_links_it_is_written_all_the_same(tmp_path, monkeypatch):
    def refuse(old, new):
        raise PermissionError(1, "no links here", old)

    monkeypatch.setattr(os, "link", refuse)
    assert new_files.write(str(tmp_path / "a"), [b"x"], False)
    assert not new_files.write(str(tmp_path / "a"), [b"y"], False)
    assert (tmp_path / "a").read_bytes() == b"x" and os.listdir(str(tmp_path)) == ["a"]


def test_json_of_what_is_no_text_can_be_read(near):
    near.add("printf '\\177\\0\"'", "--id", "a")
    near.drain()
    text = near.run("results", "--json").stdout
    assert "\x7f" not in text and json.loads(text)[0]["stdout"] == '\x7f\x00"'
