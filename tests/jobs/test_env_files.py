"""`--env-file`: NAME=VALUE lines, read as systemd reads them; no message holds a value."""

import pytest

from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import env_files

UNDERSTOOD = [
    ("A=1\nB=2", {"A": "1", "B": "2"}),
    ("\n# c\n ; d = e\n\tA=1\n", {"A": "1"}),
    ("A=", {"A": ""}),
    ("A=\nB=1", {"A": "", "B": "1"}),
    ("A=x y  \nB=z", {"A": "x y", "B": "z"}),
    ("A = x", {"A": "x"}),
    ("A=b # c", {"A": "b # c"}),
    ("A=it's", {"A": "it's"}),
    ("A='x  '\nB=\"y \"", {"A": "x  ", "B": "y "}),
    ("A='a\nb'\nC=1", {"A": "a\nb", "C": "1"}),
    ('A="a \\"b\\" \\\\ \\$ \\n"', {"A": 'a "b" \\ $ \\n'}),
    ("A='a\\b'", {"A": "a\\b"}),
    ("A='a' \"b\"c", {"A": "abc"}),
    ("A=a\\\nb\nC=1", {"A": "ab", "C": "1"}),
    ("A=a\\ b\\\\", {"A": "a b\\"}),
    ("A=x=y", {"A": "x=y"}),
    ("A=$HOME `x`", {"A": "$HOME `x`"}),
    ("export A=1\nexport=2", {"A": "1", "export": "2"}),
    ("A=1\nA=2", {"A": "2"}),
    ("spring.datasource.url=x", {"spring.datasource.url": "x"}),
    ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("", {}),
]


@pytest.mark.parametrize("text, found", UNDERSTOOD)
def test_what_a_file_says_is_understood(tmp_path, text, found):
    (tmp_path / "f").write_bytes(text.encode("utf-8"))
    assert env_files.read(str(tmp_path / "f")) == found


@pytest.mark.parametrize(
    "text, said",
    [
        ("A=1\nsecret\n", "line 2: NAME=VALUE is expected"),
        ("A=1\n=secret\n", "line 2: NAME=VALUE is expected"),
        ("A=1\n\nB='secret\n", "line 3: a quote is not closed"),
        ('B="secret\\"', "line 1: a quote is not closed"),
        ("A B=secret", "line 1: NAME=VALUE is expected"),
        (b"A=\xff", "is not valid UTF-8"),
        (b"A=" + b"x" * env_files.MOST_BYTES, "is longer than"),
    ],
)
def test_what_is_wrong_with_a_file_names_the_line_and_no_value(tmp_path, text, said):
    (tmp_path / "f").write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    with pytest.raises(BadInput) as told:
        env_files.read(str(tmp_path / "f"))
    assert said in str(told.value) and "secret" not in str(told.value)


def test_several_files_are_joined_and_an_option_outdoes_them(near, tmp_path):
    (tmp_path / "one").write_text("A=1\nB=1\nC=1\n")
    (tmp_path / "two").write_text("B=2\nC=2\n")
    files = ["--env-file", tmp_path / "one", "--env-file", tmp_path / "two"]
    assert near.job(near.add("true", *files, "--env", "C=3"))["env"] == {"A": "1", "B": "2", "C": "3"}
    said = near.run("add", "true", "--env-file", tmp_path / "none", code=2).stderr
    assert "--env-file: cannot read" in said and "No such file" in said
    (tmp_path / "bad").write_text("QUEUECTL_TOKEN=secret\n")
    assert "secret" not in near.run("add", "true", "--env-file", tmp_path / "bad", code=2).stderr


def test_a_schedule_and_a_list_of_commands_take_a_file_too(near, tmp_path):
    (tmp_path / "one").write_text("A=1\n")
    near.run("schedule", "set", "s", "@daily", "true", "--env-file", tmp_path / "one")
    assert near.run("schedule", "show", "s", "--json").json["job"]["env"] == {"A": "1"}
    (tmp_path / "list").write_text("true\n")
    job = near.run("enqueue", "--lines", tmp_path / "list", "--env-file", tmp_path / "one").id
    assert near.job(job)["env"] == {"A": "1"}
